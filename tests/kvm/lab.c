/* SPDX-License-Identifier: MIT */
/* See lab.h. */
#include "lab.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* mov $0x2f8,%dx; mov $'.',%al; out %al,%dx; 1: hlt-free pause; jmp: a beat now and then, for ever.
 */
static const unsigned char beating[] = {0xba, 0xf8, 0x02, 0xb0, '.',  0xee, 0x66, 0xb9, 0x40,
                                        0x42, 0x0f, 0x00, 0x66, 0x49, 0x75, 0xfc, 0xeb, 0xf3};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void skip_all(const char *why)
{
	printf("skipped: %s\n", why);
	exit(77);
}

static void open_observer(struct lab *lab)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	lab->observer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(lab->observer >= 0);
	assert_int_equal(bind(lab->observer, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(lab->observer, (struct sockaddr *)&address, &length), 0);
	snprintf(lab->heartbeat, sizeof(lab->heartbeat), "udp:127.0.0.1:%u",
	         ntohs(address.sin_port));
}

static void write_sector(struct lab *lab)
{
	unsigned char bytes[512] = {0};
	const char *run = nova_testhost_table()->directory(nova_testhost_instance(lab->host),
	                                                   NOVA_DIRECTORY_RUN);
	snprintf(lab->sector, sizeof(lab->sector), "%s/sector.img", run);
	memcpy(bytes, beating, sizeof(beating));
	bytes[510] = 0x55;
	bytes[511] = 0xaa;
	FILE *file = fopen(lab->sector, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(lab->sector, 0644), 0);
}

void lab_fork(void)
{
	int ended = 0;
	pid_t child, gone;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || (child = fork()) < 0)
		exit(1);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	while ((gone = waitpid(-1, &ended, 0)) != child)
		if (gone < 0)
			exit(1);
	exit(WIFEXITED(ended) ? WEXITSTATUS(ended) : 1);
}

void lab_open(struct lab *lab, const char *const *parameters)
{
	char top[512];
	int status;
	lab->host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	if (!lab->host) {
		printf("parameters refused: %s\n", nova_testhost_refusal());
		exit(1);
	}
	/* As root QEMU runs as a user that must be able to enter; novacore makes its own so. */
	snprintf(top, sizeof(top), "%s/..",
	         nova_testhost_table()->directory(nova_testhost_instance(lab->host),
	                                          NOVA_DIRECTORY_STATE));
	assert_int_equal(chmod(top, 0711), 0);
	status = nova_testhost_start(lab->host);
	if (status == NOVA_E_UNAVAILABLE || status == NOVA_E_PERMISSION)
		skip_all(nova_testhost_error(lab->host));
	lab_expect(lab, status, "start");
	lab_expect(lab, nova_testhost_call(lab->host, 60000, connect), "connect");
	open_observer(lab);
	write_sector(lab);
}

void lab_close(struct lab *lab)
{
	for (uint32_t i = 0; i < nova_testhost_complaints(lab->host); i++)
		printf("complaint: %s\n", nova_testhost_complaint(lab->host, i));
	assert_int_equal(nova_testhost_complaints(lab->host), 0);
	nova_testhost_free(lab->host);
	close(lab->observer);
}

void lab_expect(struct lab *lab, int status, const char *what)
{
	if (status != NOVA_DONE)
		printf("%s: %d: %s\n", what, status, nova_testhost_error(lab->host));
	assert_int_equal(status, NOVA_DONE);
}

struct nova_shape lab_stub(struct lab *lab)
{
	return (struct nova_shape){.struct_size = sizeof(struct nova_shape),
	                           .boot = NOVA_BOOT_STUB,
	                           .vcpus = 1,
	                           .memory_bytes = 16 << 20,
	                           .image = lab->sector,
	                           .heartbeat = lab->heartbeat};
}

int lab_appliance(struct lab *lab, struct nova_shape *shape)
{
	static char kernel[512], initrd[512], image[512];
	const char *folder = getenv("NOVACORE_TEST_APPLIANCE");
	if (!folder)
		return 0;
	snprintf(kernel, sizeof(kernel), "%s/kernel", folder);
	snprintf(initrd, sizeof(initrd), "%s/initrd", folder);
	snprintf(image, sizeof(image), "%s/root.img", folder);
	*shape = (struct nova_shape){.struct_size = sizeof(*shape),
	                             .boot = NOVA_BOOT_DIRECT,
	                             .vcpus = 1,
	                             .memory_bytes = 256 << 20,
	                             .image = image,
	                             .kernel = kernel,
	                             .initrd = initrd,
	                             .cmdline = "console=ttyS0 quiet panic=1 root=/dev/vda "
	                                        "cryptomgr.notests",
	                             .heartbeat = lab->heartbeat};
	return access(kernel, R_OK) == 0 && access(image, R_OK) == 0;
}

void lab_create(struct lab *lab, struct machine *machine, const char *name,
                const struct nova_shape *shape)
{
	snprintf(machine->name, sizeof(machine->name), "novacore-test%d-%s", (int)getpid(), name);
	lab_expect(lab, nova_testhost_call(lab->host, 30000, vm_create, machine->name, shape),
	           "vm_create");
	const char *id = nova_testhost_fact(lab->host, NOVA_FIELD_ID, "");
	assert_non_null(id);
	snprintf(machine->id, sizeof(machine->id), "%s", id);
	machine->ref = (struct nova_ref){.struct_size = sizeof(machine->ref),
	                                 .vm = 1,
	                                 .name = machine->name,
	                                 .id = machine->id};
}

void lab_power(struct lab *lab, struct machine *machine, uint32_t action)
{
	lab_expect(lab, nova_testhost_call(lab->host, 60000, vm_power, &machine->ref, action),
	           "vm_power");
}

void lab_delete(struct lab *lab, struct machine *machine)
{
	lab_expect(lab, nova_testhost_call(lab->host, 30000, vm_delete, &machine->ref),
	           "vm_delete");
}

int64_t lab_state(struct lab *lab, struct machine *machine)
{
	int64_t state = 0;
	lab_expect(lab,
	           nova_testhost_call(lab->host, 10000, vm_query, &machine->ref, NOVA_QUERY_STATE),
	           "vm_query");
	assert_int_equal(nova_testhost_i64(lab->host, NOVA_FIELD_STATE, 0, &state), NOVA_DONE);
	return state;
}

const struct nova_event *lab_wait(struct lab *lab, size_t from, struct machine *machine,
                                  uint32_t kind)
{
	const struct nova_event *event =
	        nova_testhost_wait(lab->host, from, machine->name, kind, 60000);
	if (!event)
		printf("no event %u of %s\n", kind, machine->name);
	assert_non_null(event);
	assert_true(event->resolution_ns > 0);
	return event;
}

int64_t lab_beat(struct lab *lab, char byte, int timeout_ms)
{
	int64_t until = now() + (int64_t)timeout_ms * 1000000;
	while (now() < until) {
		struct pollfd fd = {.fd = lab->observer, .events = POLLIN};
		char bytes[2048];
		if (poll(&fd, 1, (int)((until - now()) / 1000000) + 1) <= 0)
			continue;
		ssize_t count = recv(lab->observer, bytes, sizeof(bytes), 0);
		if (count > 0 && memchr(bytes, byte, (size_t)count))
			return now();
	}
	return 0;
}
