/* SPDX-License-Identifier: MIT */
/*
 * Are the kvm driver's event stamps true? A guest beats on a serial port that QEMU sends on as UDP;
 * another process, which knows nothing of libvirt, has the kernel stamp each beat on arrival. A VM
 * that pauses, resumes or is restored shows there as a gap, whose edges are compared with what the
 * driver says. Lines: KIND EVENT-NS LAST-BEAT-NS FIRST-BEAT-NS RESOLUTION-NS, and the observer's
 * own.
 */
#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <novacore/testhost.h>

#define GAP_NS                                                                                     \
	INT64_C(5000000) /* shorter ones are noise, not events: a pause lasts 40 ms and more */
#define BATCH    256
#define GAPS_MAX 65536
#define BEATS    4000000 /* distances between beats that are kept for the floor */

extern const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

struct gap {
	int64_t last_ns, first_ns;
	int fresh; /* the beats after it come from another QEMU */
};

/* Shared by the two processes; the observer alone writes. */
struct seen {
	volatile uint32_t gaps, beats, dropped;
	volatile int64_t latest_ns;
	struct gap gap[GAPS_MAX];
	int32_t distance[BEATS];
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void need(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "stamps: cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static void nap(int64_t ns)
{
	nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

/* --- the observer --------------------------------------------------------------------------- */

/* CLOCK_REALTIME minus CLOCK_MONOTONIC, from the tightest of a few pairs of readings. */
static int64_t offset(void)
{
	int64_t best = INT64_MAX, found = 0;
	for (int i = 0; i < 5; i++) {
		int64_t before = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME);
		int64_t after = clock_ns(CLOCK_MONOTONIC);
		if (after - before < best) {
			best = after - before;
			found = real - before - best / 2;
		}
	}
	return found;
}

static void take(struct seen *seen, int64_t at_ns, int port)
{
	static int64_t last_ns;
	static int last_port;
	int64_t distance = at_ns - last_ns;
	if (port != last_port || distance >= GAP_NS) {
		if (seen->gaps < GAPS_MAX)
			seen->gap[seen->gaps] = (struct gap){last_ns, at_ns, port != last_port};
		__sync_synchronize();
		seen->gaps += seen->gaps < GAPS_MAX;
	} else if (seen->beats < BEATS) {
		seen->distance[seen->beats++] = (int32_t)distance;
	}
	last_ns = at_ns;
	last_port = port;
	seen->latest_ns = at_ns;
}

static void take_message(struct seen *seen, struct msghdr *message, int64_t off)
{
	struct timespec stamp = {0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		uint32_t dropped;
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
			seen->dropped = dropped;
		}
	}
	take(seen, (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec - off,
	     ((struct sockaddr_in *)message->msg_name)->sin_port);
}

/* Looks once a millisecond: the kernel has stamped what came, so it need not hurry. */
static void observe(int fd, struct seen *seen)
{
	static struct mmsghdr messages[BATCH];
	static struct sockaddr_in from[BATCH];
	static char control[BATCH][128], byte[BATCH][64];
	static struct iovec part[BATCH];
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			part[i] = (struct iovec){byte[i], sizeof(byte[i])};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
			                                      .msg_namelen = sizeof(from[i]),
			                                      .msg_iov = &part[i],
			                                      .msg_iovlen = 1,
			                                      .msg_control = control[i],
			                                      .msg_controllen = sizeof(control[i])};
		}
		int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
		int64_t off = offset();
		for (int i = 0; i < count; i++)
			take_message(seen, &messages[i].msg_hdr, off);
		if (count < BATCH)
			nap(1000000);
	}
}

static struct seen *start_observer(char heartbeat[64], pid_t *pid)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, room = 32 << 20;
	need(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
	             getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	             setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) == 0 &&
	             setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one)) == 0,
	     "open the observer's socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(seen != MAP_FAILED, "get memory");
	snprintf(heartbeat, 64, "udp:127.0.0.1:%u", ntohs(address.sin_port));
	need((*pid = fork()) >= 0, "fork");
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		observe(fd, seen);
	}
	close(fd);
	return seen;
}

/* --- the driver's side ---------------------------------------------------------------------- */

static struct nova_testhost *host;
static struct seen *seen;
static struct nova_ref ref;
static char vm_id[64];
static const char vm_name[] = "novacore-bench-stamps";

static void expect(int status, const char *what)
{
	if (status == NOVA_DONE)
		return;
	fprintf(stderr, "stamps: %s: %s\n", what, nova_testhost_error(host));
	nova_testhost_free(host);
	exit(status == NOVA_E_UNAVAILABLE ? 77 : 1);
}

/* mov $0x2f8,%dx; mov $'.',%al; out %al,(%dx); mov $spin,%cx; loop .; jmp to out */
static void write_sector(const char *path, unsigned spin)
{
	unsigned char bytes[512] = {0xba, 0xf8, 0x02, 0xb0, '.',  0xee, 0xb9,
	                            0,    0,    0xe2, 0xfe, 0xeb, 0xf8};
	bytes[7] = (unsigned char)spin;
	bytes[8] = (unsigned char)(spin >> 8);
	bytes[510] = 0x55;
	bytes[511] = 0xaa;
	FILE *file = fopen(path, "we");
	need(file && fwrite(bytes, 1, sizeof(bytes), file) == sizeof(bytes) && fclose(file) == 0 &&
	             chmod(path, 0644) == 0,
	     "write the boot sector");
}

static void create_vm(const char *image, const char *heartbeat)
{
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .boot = NOVA_BOOT_STUB,
	                           .vcpus = 1,
	                           .memory_bytes = 16 << 20,
	                           .image = image,
	                           .heartbeat = heartbeat};
	ref = (struct nova_ref){.struct_size = sizeof(ref), .vm = 1, .name = vm_name};
	expect(nova_testhost_call(host, 60000, vm_delete, &ref), "delete an old VM");
	expect(nova_testhost_call(host, 60000, vm_create, vm_name, &shape), "create the VM");
	snprintf(vm_id, sizeof(vm_id), "%s", nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	ref.id = vm_id;
}

static const struct nova_event *power(uint32_t action, uint32_t kind)
{
	size_t from = nova_testhost_event_count(host);
	expect(nova_testhost_call(host, 60000, vm_power, &ref, action), "power");
	return kind ? nova_testhost_wait(host, from, vm_name, kind, 10000) : NULL;
}

/* Until beats have come that were sent after now. */
static void wait_for_beats(void)
{
	int64_t begin = clock_ns(CLOCK_MONOTONIC);
	while (seen->latest_ns <= begin && clock_ns(CLOCK_MONOTONIC) < begin + 20000000000)
		nap(1000000);
	need(seen->latest_ns > begin, "hear the guest");
}

static void print(const char *kind, const struct nova_event *event, const struct gap *gap)
{
	printf("%s %lld %lld %lld %lld\n", kind, (long long)event->t_ns, (long long)gap->last_ns,
	       (long long)gap->first_ns, (long long)event->resolution_ns);
}

static void pause_and_resume(void)
{
	const struct nova_event *paused = power(NOVA_POWER_PAUSE, NOVA_EVENT_PAUSED);
	nap(40000000 + rand() % 20000000);
	const struct nova_event *resumed = power(NOVA_POWER_RESUME, NOVA_EVENT_RESUMED);
	wait_for_beats();
	nap(20000000 + rand() % 20000000);
	int64_t middle = paused && resumed ? paused->t_ns + (resumed->t_ns - paused->t_ns) / 2 : 0;
	for (uint32_t i = seen->gaps; i-- > 0;) {
		const struct gap *gap = &seen->gap[i];
		if (gap->last_ns > middle || gap->first_ns < middle)
			continue;
		print("paused", paused, gap);
		print("resumed", resumed, gap);
		return;
	}
	printf("unmatched\n");
}

/* The first gap since `before` after which another QEMU beats. */
static void print_fresh(const char *kind, const struct nova_event *event, uint32_t before)
{
	for (uint32_t i = before; event && i < seen->gaps; i++)
		if (seen->gap[i].fresh) {
			print(kind, event, &seen->gap[i]);
			return;
		}
	printf("unmatched\n");
}

static void start_fresh(void)
{
	uint32_t before = seen->gaps;
	const struct nova_event *running = power(NOVA_POWER_START, NOVA_EVENT_RUNNING);
	wait_for_beats();
	print_fresh("start", running, before);
}

/* A restored VM goes on beating where it was: no firmware is between RUNNING and the first beat. */
static void restore(void)
{
	uint32_t before = seen->gaps;
	size_t from = nova_testhost_event_count(host);
	expect(nova_testhost_call(host, 60000, snapshot, &ref, "beating", NOVA_SNAPSHOT_RESTORE),
	       "restore the snapshot");
	const struct nova_event *running =
	        nova_testhost_wait(host, from, vm_name, NOVA_EVENT_RUNNING, 10000);
	wait_for_beats();
	nap(20000000 + rand() % 20000000);
	print_fresh("restored", running, before);
}

static int by_size(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

/* What the observer sees when nothing happens: the distances of beats. */
static void print_floor(uint32_t first)
{
	static const double shares[] = {0.5, 0.95, 0.99, 0.999};
	uint32_t count = seen->beats - first;
	int32_t *copy = calloc(count + 1, sizeof(*copy));
	need(copy != NULL, "get memory");
	memcpy(copy, seen->distance + first, count * sizeof(*copy));
	qsort(copy, count, sizeof(*copy), by_size);
	printf("floor %u", count);
	for (int i = 0; i < 4; i++)
		printf(" %d", copy[(uint32_t)(shares[i] * count)]);
	printf(" %d %u\n", count ? copy[count - 1] : 0, seen->dropped);
	free(copy);
}

/* --- how long a sleeping thread takes to go on, which a resumed vCPU's does ------------------- */

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int64_t woken_ns, rung_ns; /* under the lock */

static void *sleeper(void *nothing)
{
	pthread_mutex_lock(&wake_lock);
	while (!rung_ns)
		pthread_cond_wait(&wake, &wake_lock);
	woken_ns = clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&wake_lock);
	return nothing;
}

static void print_wake(void)
{
	pthread_t thread;
	rung_ns = woken_ns = 0;
	need(pthread_create(&thread, NULL, sleeper, NULL) == 0, "start a thread");
	nap(40000000);
	pthread_mutex_lock(&wake_lock);
	rung_ns = clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&wake_lock);
	pthread_cond_signal(&wake);
	pthread_join(thread, NULL);
	printf("wake %lld\n", (long long)(woken_ns - rung_ns));
}

int main(int argc, char **argv)
{
	char heartbeat[64], sector[512], top[512];
	const char *parameters[] = {argc > 5 ? argv[5] : NULL, NULL};
	pid_t observer;
	if (argc < 5) {
		fprintf(stderr, "usage: stamps PAUSES RESTORES STARTS SPIN [PARAMETER=VALUE]\n");
		return 2;
	}
	raw_fork_below_reaper();
	setvbuf(stdout, NULL, _IOLBF, 0);
	srand((unsigned)time(NULL));
	seen = start_observer(heartbeat, &observer);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	need(host != NULL, nova_testhost_refusal());
	snprintf(top, sizeof(top), "%s/..",
	         nova_testhost_table()->directory(nova_testhost_instance(host),
	                                          NOVA_DIRECTORY_STATE));
	chmod(top, 0711); /* as root QEMU is another user */
	expect(nova_testhost_start(host), "probe the driver");
	expect(nova_testhost_call(host, 60000, connect), "connect");
	snprintf(
	        sector, sizeof(sector), "%s/sector.img",
	        nova_testhost_table()->directory(nova_testhost_instance(host), NOVA_DIRECTORY_RUN));
	write_sector(sector, (unsigned)atoi(argv[4]));
	create_vm(sector, heartbeat);
	for (int i = 0; i < atoi(argv[3]); i++) {
		if (i)
			power(NOVA_POWER_OFF, 0);
		start_fresh();
	}
	nap(200000000); /* let the start's own work end */
	uint32_t quiet = seen->beats;
	int64_t quiet_ns = clock_ns(CLOCK_MONOTONIC);
	nap(2000000000);
	print_floor(quiet);
	printf("rate %.0f\n", (double)(seen->beats - quiet) * 1e9 /
	                              (double)(clock_ns(CLOCK_MONOTONIC) - quiet_ns));
	for (int i = 0; i < atoi(argv[1]); i++)
		pause_and_resume();
	if (atoi(argv[2]) > 0)
		expect(nova_testhost_call(host, 60000, snapshot, &ref, "beating",
		                          NOVA_SNAPSHOT_CREATE),
		       "take a snapshot");
	for (int i = 0; i < atoi(argv[2]); i++)
		restore();
	expect(nova_testhost_call(host, 60000, vm_delete, &ref), "delete the VM");
	for (int i = 0; i < atoi(argv[1]) / 2; i++)
		print_wake();
	nova_testhost_free(host);
	kill(observer, SIGKILL);
	return 0;
}
