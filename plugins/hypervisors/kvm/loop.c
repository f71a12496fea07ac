/* SPDX-License-Identifier: MIT */
/*
 * libvirt's event loop. There is one for the whole process, and every instance's pump wants to run
 * it: the first one does, the others wait until it leaves or their time is up.
 */
#include "kvm.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	pthread_cond_t left;
	bool busy, silent;
	int timer, status;
} loop = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .timer = -1};

static void tick(int timer, void *opaque)
{
	(void)opaque;
	virEventUpdateTimeout(timer, -1);
}

static void prepare(void)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&loop.left, &monotonic);
	pthread_condattr_destroy(&monotonic);
	loop.status = virEventRegisterDefaultImpl();
	if (loop.status == 0)
		loop.timer = virEventAddTimeout(-1, tick, NULL, NULL);
}

/* Errors reach the user through host->error only. */
static void quiet(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

/*
 * libvirt writes its own lines to standard error unless told otherwise, and reads where to only
 * once, in its initialisation: they go to a file that starts anew when it has grown.
 */
static void silence(const char *state)
{
	struct stat status;
	char *output = kvm_format("3:file:%s/libvirt.log", state);
	const char *path = output ? output + 7 : NULL;
	if (!path)
		return;
	if (stat(path, &status) == 0 && status.st_size > 1 << 20)
		unlink(path);
	setenv("LIBVIRT_LOG_OUTPUTS", output, 0);
	virSetErrorFunc(NULL, quiet);
	virInitialize();
	unsetenv("LIBVIRT_LOG_OUTPUTS");
	free(output);
}

int kvm_loop_register(const char *state)
{
	pthread_mutex_lock(&loop.lock);
	if (!loop.silent)
		silence(state);
	loop.silent = true;
	pthread_mutex_unlock(&loop.lock);
	pthread_once(&loop.once, prepare);
	return loop.status == 0 && loop.timer >= 0 ? 0 : -1;
}

/* Whole milliseconds, rounded up: waking a little late is cheaper than waking twice. */
static int milliseconds(int64_t ns)
{
	return ns <= 0 ? 0 : ns > 3600 * KVM_SECOND ? 3600000 : (int)((ns + KVM_MS - 1) / KVM_MS);
}

int kvm_pump(void *instance, int64_t until_ns)
{
	struct kvm *self = instance;
	struct timespec until = {.tv_sec = (time_t)(until_ns / KVM_SECOND),
	                         .tv_nsec = (long)(until_ns % KVM_SECOND)};
	pthread_mutex_lock(&loop.lock);
	while (loop.busy && !self->woken)
		if (pthread_cond_timedwait(&loop.left, &loop.lock, &until) != 0)
			break;
	bool mine = !loop.busy;
	if (mine)
		loop.busy = true;
	while (mine) {
		int64_t left = self->woken ? 0 : until_ns - self->host->now_ns();
		virEventUpdateTimeout(loop.timer, milliseconds(left));
		pthread_mutex_unlock(&loop.lock);
		virEventRunDefaultImpl();
		pthread_mutex_lock(&loop.lock);
		if (left <= 0)
			break;
	}
	self->woken = false;
	if (mine) {
		loop.busy = false;
		pthread_cond_broadcast(&loop.left);
	}
	pthread_mutex_unlock(&loop.lock);
	return NOVA_DONE;
}

int kvm_wake(void *instance)
{
	struct kvm *self = instance;
	pthread_mutex_lock(&loop.lock);
	self->woken = true;
	virEventUpdateTimeout(loop.timer, 0);
	pthread_cond_broadcast(&loop.left);
	pthread_mutex_unlock(&loop.lock);
	return NOVA_DONE;
}
