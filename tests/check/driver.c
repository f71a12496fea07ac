/* SPDX-License-Identifier: MIT */
/*
 * A small driver that keeps every promise; -DHOSTILE_<WHAT> breaks one. A VM is a file in the
 * folder of the parameter `uri`, so that it outlives the process; its first byte is its state. NAME
 * is the plugin's name.
 */
#include <novacore/sdk.h>

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)
#define SECOND_NS   1000000000ll

struct self {
	const struct nova_host *host;
	nova_op instance;
	const char *folder;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int woken;
};

/* --- ways to misbehave ------------------------------------------------------------------------ */

static inline void rest(double seconds)
{
	struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	nanosleep(&t, NULL);
}

static inline void *sleep_on(void *context)
{
	rest(60);
	return context;
}

static inline void handle(int number)
{
	(void)number;
}

#ifdef HOSTILE_LEAK
void *volatile lost;
#endif

static void misbehave_in_create(void)
{
#if defined(HOSTILE_LOCALE)
	setlocale(LC_ALL, "C.UTF-8");
#elif defined(HOSTILE_SIGNAL)
	signal(SIGUSR2, handle);
#elif defined(HOSTILE_MASK)
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
#elif defined(HOSTILE_ENVIRONMENT)
	setenv("NOVACORE_HOSTILE", "1", 1);
#elif defined(HOSTILE_DIRECTORY)
	(void)!chdir("/");
#elif defined(HOSTILE_UMASK)
	umask(0);
#elif defined(HOSTILE_LEAK)
	lost = malloc(500);
#elif defined(HOSTILE_CHILD)
	if (fork() == 0) {
		rest(8);
		_exit(0);
	}
#elif defined(HOSTILE_FILE)
	close(open("left-behind", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
#endif
}

static void misbehave_in_connect(void)
{
#if defined(HOSTILE_THREAD) || defined(HOSTILE_THREAD_ONCE)
	static int started;
	pthread_t thread;
#ifdef HOSTILE_THREAD
	started = 0;
#endif
	if (!started++ && pthread_create(&thread, NULL, sleep_on, NULL) == 0)
		pthread_detach(thread);
#elif defined(HOSTILE_DESCRIPTOR)
	(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
#elif defined(HOSTILE_PRINT)
	printf("connected!\n");
#endif
}

/* --- life ------------------------------------------------------------------------------------- */

static int create(const struct nova_host *host, nova_op instance, void **out)
{
	struct self *self = calloc(1, sizeof(*self));
	pthread_condattr_t monotonic;

	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	misbehave_in_create();
	self->host = host;
	self->instance = instance;
	self->folder = host->param_text(instance, "uri", 0);
	pthread_mutex_init(&self->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&self->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = self;
	return NOVA_DONE;
}

static void destroy(void *opaque)
{
	struct self *self = opaque;

#if defined(HOSTILE_EXIT_IN_DESTROY)
	exit(0);
#elif defined(HOSTILE_CRASH_IN_DESTROY)
	abort();
#endif
	pthread_cond_destroy(&self->changed);
	pthread_mutex_destroy(&self->lock);
	free(self);
}

static int pump(void *opaque, int64_t until_ns)
{
	struct self *self = opaque;
	struct timespec until = {(time_t)(until_ns / SECOND_NS), (long)(until_ns % SECOND_NS)};

	if (until_ns < 0)
		return NOVA_DONE;
	pthread_mutex_lock(&self->lock);
	while (!self->woken && pthread_cond_timedwait(&self->changed, &self->lock, &until) == 0)
		;
	self->woken = 0;
	pthread_mutex_unlock(&self->lock);
	return NOVA_DONE;
}

static int wake(void *opaque)
{
	struct self *self = opaque;

	pthread_mutex_lock(&self->lock);
#ifndef HOSTILE_WAKE
	self->woken = 1;
	pthread_cond_broadcast(&self->changed);
#endif
	pthread_mutex_unlock(&self->lock);
	return NOVA_DONE;
}

static int cancel(void *opaque, nova_op op)
{
	(void)opaque, (void)op;
	return NOVA_DONE;
}

static int connect_(void *opaque, nova_op op)
{
	struct self *self = opaque;
	struct stat status;

	misbehave_in_connect();
	if (!self->folder || stat(self->folder, &status) != 0 || !S_ISDIR(status.st_mode))
		return self->host->errorf(op, NOVA_E_UNAVAILABLE, "there is no folder \"%s\"",
		                          self->folder ? self->folder : "");
	return NOVA_DONE;
}

static int describe(void *opaque, nova_op op)
{
	static const char *const can[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_DISK, NULL};
	static const char *const cannot[] = {NOVA_CAN_CLONE,
	                                     NOVA_CAN_SHUTDOWN,
	                                     NOVA_CAN_PAUSE,
	                                     NOVA_CAN_RESET,
	                                     NOVA_CAN_EXEC,
	                                     NOVA_CAN_READY,
	                                     NOVA_CAN_BEAT,
	                                     NOVA_CAN_DIRECT,
	                                     NOVA_CAN_STUB,
	                                     NOVA_CAN_TEMPLATE,
	                                     NOVA_CAN_STATS,
	                                     NOVA_CAN_ADDRESS,
	                                     NOVA_CAN_IMAGE,
	                                     NOVA_CAN_NETWORK,
	                                     NOVA_CAN_MIGRATE,
	                                     NOVA_CAN_KNOBS,
	                                     NOVA_CAN_TWIN,
	                                     NOVA_CAN_SNAPSHOT,
	                                     NULL};
	const struct nova_host *host = ((struct self *)opaque)->host;
	const char *why = "its VMs are files";

	host->put_fact(op, NOVA_FIELD_FACT, "product", "folder");
	host->put_fact(op, NOVA_FIELD_FACT, "version", "1");
	for (int i = 0; can[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, can[i], NULL);
	for (int i = 0; cannot[i]; i++) {
		int last = !cannot[i + 1];
		(void)last;
#if defined(HOSTILE_SILENT)
		if (last)
			break;
#elif defined(HOSTILE_REASONLESS)
		why = last ? "" : why;
#elif defined(HOSTILE_LIES)
		why = last ? NULL : why;
#endif
		host->put_fact(op, NOVA_FIELD_CAPABILITY, cannot[i], why);
	}
	return NOVA_DONE;
}

/* --- VMs -------------------------------------------------------------------------------------- */

static int path_of(const struct self *self, const char *name, char path[512])
{
	if (!name || !*name || strlen(name) > 100 || strpbrk(name, "/\n"))
		return 0;
	snprintf(path, 512, "%s/%s", self->folder, name);
	return 1;
}

/* The VM's state; 0: it is not there. The id is the file's inode. */
static int look(const struct self *self, const struct nova_ref *ref, char path[512])
{
	struct stat status;
	char id[32], state = 0;
	int fd = path_of(self, ref->name, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (fstat(fd, &status) != 0 || read(fd, &state, 1) != 1)
		state = 0;
	close(fd);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)status.st_ino);
#ifndef HOSTILE_ANY_ID
	if (ref->id && strcmp(ref->id, id) != 0)
		return 0;
#endif
	return state;
}

static int write_state(const char *path, int flags, char state)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600);
	int fine = fd >= 0 && write(fd, &state, 1) == 1;

	if (fd >= 0)
		close(fd);
	return fine;
}

static void put_id(const struct self *self, nova_op op, const char *path)
{
	struct stat status;
	char id[32];

	if (stat(path, &status) != 0)
		return;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)status.st_ino);
	self->host->put_fact(op, NOVA_FIELD_ID, "", id);
}

/* Takes a while, as long as the op is wanted. */
static int work(const struct self *self, nova_op op)
{
	int64_t until_ns = self->host->now_ns() + SECOND_NS / 50;

	while (self->host->now_ns() < until_ns) {
#ifdef HOSTILE_DEADLINE
		if (self->host->now_ns() > self->host->deadline_ns(op))
			rest(9);
#endif
		if (self->host->cancelled(op)) {
#ifdef HOSTILE_CANCEL
			if (self->host->deadline_ns(op) > self->host->now_ns() + SECOND_NS)
				rest(9);
#endif
			return self->host->error(op, NOVA_E_CANCELLED, "cancelled");
		}
		if (self->host->now_ns() > self->host->deadline_ns(op))
			return self->host->error(op, NOVA_E_TIMEOUT, "the deadline has passed");
		rest(0.002);
	}
	return NOVA_DONE;
}

static int vm_create(void *opaque, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct self *self = opaque;
	char path[512];
	int status = work(self, op);

	(void)shape;
	if (status != NOVA_DONE)
		return status;
	if (!path_of(self, name, path))
		return self->host->error(op, NOVA_E_INVALID, "no file can have that name");
#if defined(HOSTILE_ALONE)
	static atomic_int inside;
	if (atomic_fetch_add(&inside, 1) > 0)
		abort();
	rest(0.1);
	atomic_fetch_sub(&inside, 1);
#endif
#ifdef HOSTILE_EXISTS
	if (!write_state(path, O_CREAT, NOVA_STATE_OFF))
#else
	if (!write_state(path, O_CREAT | O_EXCL, NOVA_STATE_OFF))
#endif
		return self->host->errorf(op, NOVA_E_EXISTS, "there is a VM %s", name);
	put_id(self, op, path);
#if defined(HOSTILE_DOUBLE_DONE)
	self->host->done(op, NOVA_DONE);
	self->host->done(op, NOVA_DONE);
	return NOVA_PENDING;
#elif defined(HOSTILE_NEVER_DONE)
	return NOVA_PENDING;
#elif defined(HOSTILE_LATE_PUT)
	self->host->done(op, NOVA_DONE);
	put_id(self, op, path);
	return NOVA_PENDING;
#elif defined(HOSTILE_NO_STATUS)
	return 7;
#endif
	return NOVA_DONE;
}

static int vm_delete(void *opaque, nova_op op, const struct nova_ref *vm)
{
	struct self *self = opaque;
	char path[512];
	int state = look(self, vm, path);

#ifdef HOSTILE_ABSENT
	if (!state)
		return self->host->error(op, NOVA_E_NOT_FOUND, "there is no such VM");
#endif
	(void)op;
	if (state)
		unlink(path);
	return NOVA_DONE;
}

static int say(const struct self *self, const char *name, uint32_t kind)
{
	const struct nova_event event = {.struct_size = sizeof(event),
	                                 .kind = kind,
	                                 .source = NOVA_SOURCE_API,
	                                 .name = name,
	                                 .t_ns = self->host->now_ns(),
	                                 .resolution_ns = 1000};

	return self->host->event(self->instance, &event);
}

static int vm_power(void *opaque, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct self *self = opaque;
	char path[512];
	int state = look(self, vm, path), status;

	if (!state)
		return self->host->error(op, NOVA_E_NOT_FOUND, "there is no such VM");
	if (action != NOVA_POWER_START && action != NOVA_POWER_OFF)
		return self->host->error(op, NOVA_E_UNSUPPORTED, "a file knows only on and off");
	status = work(self, op);
	if (status != NOVA_DONE)
		return status;
#ifdef HOSTILE_CRASH_IN_POWER
	abort();
#endif
	write_state(path, 0, action == NOVA_POWER_START ? NOVA_STATE_RUNNING : NOVA_STATE_OFF);
#ifdef HOSTILE_TWO_EVENTS
	if (action == NOVA_POWER_START)
		say(self, vm->name, NOVA_EVENT_RUNNING);
#endif
#ifdef HOSTILE_NO_EVENT
	if (action == NOVA_POWER_START)
		return NOVA_DONE;
#endif
	if (action == NOVA_POWER_START || state == NOVA_STATE_RUNNING)
		say(self, vm->name,
		    action == NOVA_POWER_START ? NOVA_EVENT_RUNNING : NOVA_EVENT_STOPPED);
	return NOVA_DONE;
}

static int vm_list(void *opaque, nova_op op, const char *prefix)
{
	struct self *self = opaque;
	DIR *directory = opendir(self->folder);
	struct dirent *entry;
	char id[32];

	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
#ifndef HOSTILE_LIST
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
#endif
		snprintf(id, sizeof(id), "%llu", (unsigned long long)entry->d_ino);
		self->host->put_fact(op, NOVA_FIELD_VM, entry->d_name, id);
	}
	(void)prefix;
	if (directory)
		closedir(directory);
	return NOVA_DONE;
}

static int vm_query(void *opaque, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct self *self = opaque;
	char path[512];
	int state = look(self, vm, path);

	if (!state)
		return self->host->error(op, NOVA_E_NOT_FOUND, "there is no such VM");
	if (what != NOVA_QUERY_STATE)
		return self->host->error(op, NOVA_E_UNSUPPORTED, "a file has nothing else");
	return self->host->put_i64(op, NOVA_FIELD_STATE, state);
}

/* --- the plugin ------------------------------------------------------------------------------- */

static const struct nova_hypervisor ops = {.struct_size = sizeof(ops),
                                           .create = create,
                                           .destroy = destroy,
                                           .pump = pump,
                                           .wake = wake,
                                           .cancel = cancel,
                                           .connect = connect_,
                                           .describe = describe,
                                           .vm_create = vm_create,
                                           .vm_power = vm_power,
                                           .vm_delete = vm_delete,
                                           .vm_list = vm_list,
                                           .vm_query = vm_query};

static int probe(const struct nova_host *host, nova_op op)
{
#if defined(HOSTILE_SLOW_PROBE)
	rest(1.3);
#elif defined(HOSTILE_PROBE_SILENT)
	return NOVA_E_UNAVAILABLE;
#elif defined(HOSTILE_PROBE_PENDING)
	return NOVA_PENDING;
#elif defined(HOSTILE_UNAVAILABLE)
	return host->error(op, NOVA_E_UNAVAILABLE, "the moon is full; wait for another");
#endif
	(void)host, (void)op;
	return NOVA_DONE;
}

static const struct nova_parameter uri = {
        .struct_size = sizeof(uri),
        .type = NOVA_PARAM_TEXT,
#ifdef HOSTILE_NO_URI
        .name = "url",
#else
        .name = "uri",
#endif
        .fallback = "/nonexistent",
        .doc = "folder whose files are the VMs",
};
static const struct nova_parameter count = {
        .struct_size = sizeof(count),
        .type = NOVA_PARAM_INTEGER,
        .name = "count",
#if defined(HOSTILE_RANGE)
        .minimum = "9",
        .maximum = "1",
#elif defined(HOSTILE_DEFAULT)
        .fallback = "0",
        .minimum = "1",
        .maximum = "9",
#else
        .fallback = "1",
        .minimum = "1",
        .maximum = "9",
#endif
#ifdef HOSTILE_DOC
        .doc = "not used.\nat all",
#else
        .doc = "not used",
#endif
};
static const struct nova_parameter *const parameters[] = {&uri, &count, NULL};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_HYPERVISOR,
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .name = TEXT(NAME),
                                          .version = "1",
                                          .summary = "a folder whose files are VMs",
                                          .license = "MIT",
                                          .parameters = parameters,
                                          .probe = probe,
                                          .ops = &ops};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin)
