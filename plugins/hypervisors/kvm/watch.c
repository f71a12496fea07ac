/* SPDX-License-Identifier: MIT */
/*
 * Events. QEMU stamps what it does (RESUME, STOP, SHUTDOWN, the agent opening its port) in
 * CLOCK_REALTIME; these stamps, turned into CLOCK_MONOTONIC, are what the host gets. libvirt's own
 * lifecycle events only say why a VM stopped. Runs on the pump's thread and never blocks.
 */
#include "kvm.h"

#include <libvirt/libvirt-qemu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STAMP_NS   INT64_C(1000)  /* QEMU's stamps are whole microseconds */
#define ARRIVAL_NS (10 * KVM_MS)  /* libvirt passes events on within this (0.4 … 6 ms seen) */
#define DESTROY_NS (200 * KVM_MS) /* libvirt looks at a dying process this often */
#define WAKE_NS    (INT64_C(200) * 1000) /* the event loop wakes within this when a process ends */

static int64_t read_clock(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * KVM_SECOND + t.tv_nsec;
}

/*
 * The two clocks were read as before (monotonic), realtime, after (monotonic): the offset is known
 * within half of what lies between.
 */
int64_t kvm_convert(int64_t stamp_ns, int64_t before_ns, int64_t realtime_ns, int64_t after_ns,
                    int64_t *bracket_ns)
{
	int64_t half = (after_ns - before_ns + 1) / 2;
	*bracket_ns = half;
	return stamp_ns - realtime_ns + before_ns + half;
}

/* The tightest of a few brackets: a thread that loses its CPU in one seldom does in all. */
void kvm_stamp(int64_t stamp_ns, int64_t *monotonic_ns, int64_t *bracket_ns)
{
	*bracket_ns = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		int64_t bracket, before = read_clock(CLOCK_MONOTONIC);
		int64_t realtime = read_clock(CLOCK_REALTIME);
		int64_t after = read_clock(CLOCK_MONOTONIC);
		int64_t converted = kvm_convert(stamp_ns, before, realtime, after, &bracket);
		if (bracket < *bracket_ns) {
			*bracket_ns = bracket;
			*monotonic_ns = converted;
		}
	}
}

/* Under the lock. NULL: not ours, or out of memory. */
struct kvm_track *kvm_track(struct kvm *self, const char *name)
{
	struct kvm_track *track;
	if (!name || strncmp(name, KVM_PREFIX, strlen(KVM_PREFIX)) != 0 ||
	    strlen(name) >= KVM_NAME_BYTES)
		return NULL;
	for (track = self->tracks; track; track = track->next)
		if (strcmp(track->name, name) == 0)
			return track;
	track = calloc(1, sizeof(*track));
	if (!track)
		return NULL;
	strcpy(track->name, name);
	track->exit_watch = -1;
	track->next = self->tracks;
	self->tracks = track;
	return track;
}

void kvm_watch_forget(struct kvm *self, const char *name)
{
	pthread_mutex_lock(&self->lock);
	for (struct kvm_track **at = &self->tracks; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct kvm_track *gone = *at;
			*at = gone->next;
			if (gone->exit_watch >= 0)
				virEventRemoveHandle(gone->exit_watch);
			free(gone);
			break;
		}
	pthread_mutex_unlock(&self->lock);
}

static void emit(struct kvm *self, const char *name, uint32_t kind, uint32_t source, int64_t t_ns,
                 int64_t resolution_ns)
{
	const struct nova_event event = {.struct_size = sizeof(event),
	                                 .kind = kind,
	                                 .source = source,
	                                 .name = name,
	                                 .t_ns = t_ns,
	                                 .resolution_ns = resolution_ns};
	self->host->event(self->instance, &event);
}

/* Is this VSERPORT_CHANGE about the agent's port, and did it open? */
static bool opens_agent(const char *details)
{
	json_t *root = details ? json_loads(details, 0, NULL) : NULL;
	const char *id = json_string_value(json_object_get(root, "id"));
	bool open =
	        id && strncmp(id, "channel", 7) == 0 && json_is_true(json_object_get(root, "open"));
	json_decref(root);
	return open;
}

/* What an event of QEMU means, given what the VM did before; 0: nothing. Under the lock. */
static uint32_t meaning(struct kvm_track *track, const char *event)
{
	uint32_t kind = 0;
	if (strcmp(event, "RESUME") == 0) {
		kind = track->arriving  ? NOVA_EVENT_MIGRATED
		       : track->paused  ? NOVA_EVENT_RESUMED
		       : track->running ? 0
		                        : NOVA_EVENT_RUNNING;
		track->running = true;
		track->arriving = track->paused = track->shutdown = false;
	} else if (strcmp(event, "STOP") == 0 && track->running && !track->shutdown) {
		kind = NOVA_EVENT_PAUSED; /* after SHUTDOWN it only says the same again */
		track->paused = true;
	} else if (strcmp(event, "RESET") == 0 && track->running && !track->paused &&
	           !track->shutdown) {
		kind = NOVA_EVENT_RUNNING; /* a new life; during a restore the VM is paused */
	} else if (strcmp(event, "SHUTDOWN") == 0 && !track->shutdown) {
		kind = NOVA_EVENT_SHUTDOWN;
		track->shutdown = true;
	}
	return kind;
}

static void on_monitor(virConnectPtr connection, virDomainPtr domain, const char *event,
                       long long seconds, unsigned int micros, const char *details, void *opaque)
{
	struct kvm *self = opaque;
	const char *name = virDomainGetName(domain);
	int64_t t_ns, bracket_ns;
	uint32_t kind = 0;
	(void)connection;
	kvm_stamp((int64_t)seconds * KVM_SECOND + (int64_t)micros * 1000, &t_ns, &bracket_ns);
	bool opened = strcmp(event, "VSERPORT_CHANGE") == 0 && opens_agent(details);
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track && opened) {
		track->opened_ns = t_ns;
		track->opened_bracket_ns = bracket_ns;
	} else if (track) {
		kind = meaning(track, event);
	}
	pthread_mutex_unlock(&self->lock);
	if (kind)
		emit(self, name, kind, NOVA_SOURCE_QMP, t_ns, STAMP_NS + bracket_ns);
}

/* Forgets the run that ended and wakes who waits for it. False: not ours. */
static bool note_stop(struct kvm *self, const char *name, int64_t *exit_ns, bool *agent)
{
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track) {
		*exit_ns = track->exit_ns;
		*agent = track->agent;
		track->running = track->paused = track->shutdown = track->agent = false;
		track->opened_ns = track->exit_ns = 0;
		track->stops++;
		pthread_cond_broadcast(&self->changed);
	}
	pthread_mutex_unlock(&self->lock);
	return track != NULL;
}

/* Says why the process ended; when it ended, its descriptor has said more exactly. */
static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *opaque)
{
	struct kvm *self = opaque;
	const char *name = virDomainGetName(domain);
	int64_t t_ns = self->host->now_ns(), resolution_ns = ARRIVAL_NS, exit_ns = 0;
	uint32_t kind = NOVA_EVENT_STOPPED;
	bool agent = false;
	(void)connection;
	if (event != VIR_DOMAIN_EVENT_STOPPED || !note_stop(self, name, &exit_ns, &agent))
		return 0;
	if (exit_ns) {
		t_ns = exit_ns;
		resolution_ns = WAKE_NS;
	} else if (detail == VIR_DOMAIN_EVENT_STOPPED_DESTROYED) {
		resolution_ns = DESTROY_NS;
	}
	if (agent) /* libvirt says nothing of the channel that ends with the process */
		emit(self, name, NOVA_EVENT_UNREADY, NOVA_SOURCE_AGENT, t_ns, resolution_ns);
	if (detail == VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT ||
	    detail == VIR_DOMAIN_EVENT_STOPPED_MIGRATED)
		return 0; /* it lives on */
	if (detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED || detail == VIR_DOMAIN_EVENT_STOPPED_FAILED)
		kind = NOVA_EVENT_CRASHED;
	emit(self, name, kind, NOVA_SOURCE_WATCH, t_ns, resolution_ns);
	return 0;
}

struct exit_watch {
	struct kvm *self;
	int fd;
	char name[KVM_NAME_BYTES];
};

static void on_process_end(int watch, int fd, int events, void *opaque)
{
	struct exit_watch *exit_watch = opaque;
	struct kvm *self = exit_watch->self;
	int64_t now = self->host->now_ns();
	(void)fd;
	(void)events;
	virEventRemoveHandle(watch);
	pthread_mutex_lock(&self->lock);
	for (struct kvm_track *track = self->tracks; track; track = track->next)
		if (track->exit_watch == watch) {
			track->exit_watch = -1;
			track->exit_ns = now;
		}
	pthread_mutex_unlock(&self->lock);
}

static void free_exit_watch(void *opaque)
{
	struct exit_watch *exit_watch = opaque;
	close(exit_watch->fd);
	free(exit_watch);
}

/*
 * A descriptor of the VM's process becomes readable when it ends, however late its parent reaps it
 * and however slowly libvirt looks. Without one the events are merely less exact.
 */
void kvm_watch_process(struct kvm *self, const char *name)
{
	pid_t pid = kvm_pid(self, name);
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct exit_watch *exit_watch = fd < 0 ? NULL : calloc(1, sizeof(*exit_watch));
	int watch = -1;
	if (!exit_watch) {
		if (fd >= 0)
			close(fd);
		return;
	}
	exit_watch->self = self;
	exit_watch->fd = fd;
	snprintf(exit_watch->name, sizeof(exit_watch->name), "%s", name);
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track) {
		if (track->exit_watch >= 0)
			virEventRemoveHandle(track->exit_watch);
		track->exit_ns = 0;
		watch = track->exit_watch = virEventAddHandle(
		        fd, VIR_EVENT_HANDLE_READABLE, on_process_end, exit_watch, free_exit_watch);
	}
	pthread_mutex_unlock(&self->lock);
	if (watch < 0)
		free_exit_watch(exit_watch);
}

static void on_agent(virConnectPtr connection, virDomainPtr domain, int state, int reason,
                     void *opaque)
{
	struct kvm *self = opaque;
	const char *name = virDomainGetName(domain);
	int64_t t_ns = self->host->now_ns(), resolution_ns = ARRIVAL_NS;
	bool up = state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED, news = false;
	(void)connection;
	(void)reason;
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track && track->agent != up) {
		news = true;
		track->agent = up;
		track->channel++;
		if (up && track->opened_ns) {
			t_ns = track->opened_ns;
			resolution_ns = STAMP_NS + track->opened_bracket_ns;
		}
		track->opened_ns = 0;
		pthread_cond_broadcast(&self->changed);
	}
	pthread_mutex_unlock(&self->lock);
	if (news)
		emit(self, name, up ? NOVA_EVENT_READY : NOVA_EVENT_UNREADY, NOVA_SOURCE_AGENT,
		     t_ns, resolution_ns);
}

int kvm_watch_start(struct kvm *self, nova_op op)
{
	self->monitor_callback = virConnectDomainQemuMonitorEventRegister(
	        self->connection, NULL, NULL, on_monitor, self, NULL, 0);
	self->life_callback = virConnectDomainEventRegisterAny(
	        self->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
	        VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), self, NULL);
	self->agent_callback = virConnectDomainEventRegisterAny(
	        self->connection, NULL, VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
	        VIR_DOMAIN_EVENT_CALLBACK(on_agent), self, NULL);
	if (self->monitor_callback < 0 || self->life_callback < 0 || self->agent_callback < 0)
		return kvm_fail(self, op, "watch events of", self->uri);
	return NOVA_DONE;
}

void kvm_watch_stop(struct kvm *self)
{
	if (self->monitor_callback >= 0)
		virConnectDomainQemuMonitorEventDeregister(self->connection,
		                                           self->monitor_callback);
	if (self->life_callback >= 0)
		virConnectDomainEventDeregisterAny(self->connection, self->life_callback);
	if (self->agent_callback >= 0)
		virConnectDomainEventDeregisterAny(self->connection, self->agent_callback);
	self->monitor_callback = self->life_callback = self->agent_callback = -1;
	while (self->tracks) {
		struct kvm_track *track = self->tracks;
		self->tracks = track->next;
		if (track->exit_watch >= 0)
			virEventRemoveHandle(track->exit_watch);
		free(track);
	}
}
