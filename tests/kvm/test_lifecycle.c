/* SPDX-License-Identifier: MIT */
/* The driver's ops on real VMs of a boot sector: no appliance is needed for these. */
#include "lab.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lab lab;

static void describes_itself(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 20000, describe), "describe");
	const char *accel = nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "accel");
	const char *why = nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "accel.why");
	assert_non_null(accel);
	assert_non_null(why);
	printf("accel %s: %s\n", accel, why);
	assert_true(strcmp(accel, "kvm") == 0 || strcmp(accel, "tcg") == 0);
	assert_non_null(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "version"));
	assert_true(nova_testhost_can(lab.host, NOVA_CAN_CREATE));
	assert_false(nova_testhost_can(lab.host, NOVA_CAN_MIGRATE));
	assert_non_null(nova_testhost_fact(lab.host, NOVA_FIELD_CAPABILITY, NOVA_CAN_MIGRATE));
}

static void runs_a_vm_from_start_to_end(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	size_t from = nova_testhost_event_count(lab.host);
	(void)state;
	lab_create(&lab, &vm, "life", &shape);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	lab_power(&lab, &vm, NOVA_POWER_START);
	const struct nova_event *running = lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	assert_int_equal(running->source, NOVA_SOURCE_QMP);
	int64_t beat = lab_beat(&lab, '.', 20000);
	assert_true(beat > running->t_ns - running->resolution_ns);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_RUNNING);
	lab_power(&lab, &vm, NOVA_POWER_PAUSE);
	lab_wait(&lab, from, &vm, NOVA_EVENT_PAUSED);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_PAUSED);
	lab_power(&lab, &vm, NOVA_POWER_RESUME);
	lab_wait(&lab, from, &vm, NOVA_EVENT_RESUMED);
	lab_power(&lab, &vm, NOVA_POWER_RESET);
	lab_power(&lab, &vm, NOVA_POWER_OFF);
	const struct nova_event *stopped = lab_wait(&lab, from, &vm, NOVA_EVENT_STOPPED);
	assert_true(stopped->t_ns > running->t_ns);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	lab_power(&lab, &vm, NOVA_POWER_OFF); /* off already is fine */
	lab_delete(&lab, &vm);
	lab_delete(&lab, &vm); /* gone already is fine */
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATE),
	                 NOVA_E_NOT_FOUND);
}

static void lists_by_prefix_only(void **state)
{
	struct machine one, two;
	struct nova_shape shape = lab_stub(&lab);
	char prefix[96];
	(void)state;
	lab_create(&lab, &one, "list-1", &shape);
	lab_create(&lab, &two, "list-2", &shape);
	snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(one.name) - 1, one.name);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_list, prefix), "vm_list");
	assert_int_equal(nova_testhost_count(lab.host, NOVA_FIELD_VM), 2);
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_VM, one.name), one.id);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_list, two.name), "vm_list");
	assert_int_equal(nova_testhost_count(lab.host, NOVA_FIELD_VM), 1);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_list, ""), NOVA_E_REFUSED);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_list, "some"), NOVA_E_REFUSED);
	lab_delete(&lab, &one);
	lab_delete(&lab, &two);
}

/* A VM that somebody else has in the same libvirt. */
static virDomainPtr foreign(virConnectPtr *connection)
{
	lab_expect(&lab, nova_testhost_call(lab.host, 20000, describe), "describe");
	*connection = virConnectOpen(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "uri"));
	assert_non_null(*connection);
	virDomainPtr domain = virDomainDefineXML(
	        *connection, "<domain type='qemu'><name>somebody</name><memory>16384</memory>"
	                     "<os><type arch='x86_64'>hvm</type></os></domain>");
	assert_non_null(domain);
	return domain;
}

static void leaves_the_vms_of_others_alone(void **state)
{
	virConnectPtr connection;
	virDomainPtr other = foreign(&connection);
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	struct nova_ref ref = {.struct_size = sizeof(ref), .vm = 9, .name = "somebody"};
	(void)state;
	assert_int_equal(virDomainGetUUIDString(other, uuid), 0);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_delete, &ref), NOVA_E_REFUSED);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_power, &ref, NOVA_POWER_START),
	                 NOVA_E_REFUSED);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, "somebody", &shape),
	                 NOVA_E_REFUSED);
	/* Our name, but another's identity: somebody took the one or the other. */
	lab_create(&lab, &vm, "mine", &shape);
	ref.name = vm.name;
	ref.id = uuid;
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_delete, &ref), NOVA_E_REFUSED);
	assert_int_equal(virDomainIsPersistent(other), 1);
	/* Known by name alone, as after a crash. */
	ref.id = NULL;
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_delete, &ref), "vm_delete");
	assert_int_equal(virDomainUndefine(other), 0);
	virDomainFree(other);
	virConnectClose(connection);
}

static void refuses_what_no_vm_can_be(void **state)
{
	struct nova_shape shape = lab_stub(&lab);
	const char *name = "novacore-test-wrong";
	(void)state;
	shape.image = "/no/such/image";
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_NOT_FOUND);
	shape = lab_stub(&lab);
	shape.heartbeat = "tcp:127.0.0.1:1";
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_INVALID);
	shape = lab_stub(&lab);
	shape.vcpus = 0;
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_INVALID);
	shape = lab_stub(&lab);
	shape.boot = NOVA_BOOT_TEMPLATE;
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_UNSUPPORTED);
	shape = lab_stub(&lab);
	shape.knobs = (const char *const[]){"vm.disk.cahce=none", NULL};
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_INVALID);
	assert_non_null(strstr(nova_testhost_error(lab.host), "vm.disk.cache"));
	shape.knobs = (const char *const[]){"vm.disk.cache=sometimes", NULL};
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_INVALID);
	shape.knobs = (const char *const[]){"vm.net.queues=2", NULL};
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_UNSUPPORTED);
	shape = lab_stub(&lab);
	shape.boot = NOVA_BOOT_DIRECT;
	shape.kernel = "/no/such/kernel";
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, name, &shape),
	                 NOVA_E_NOT_FOUND);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_list, name), "vm_list");
	assert_int_equal(nova_testhost_count(lab.host, NOVA_FIELD_VM), 0);
}

static void refuses_a_name_that_is_taken(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	(void)state;
	lab_create(&lab, &vm, "twice", &shape);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_create, vm.name, &shape),
	                 NOVA_E_EXISTS);
	lab_power(&lab, &vm, NOVA_POWER_START); /* the first one's disk is still there */
	lab_delete(&lab, &vm);                  /* running */
}

static void reports_a_killed_qemu_as_crashed(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	size_t from = nova_testhost_event_count(lab.host);
	int64_t pid = 0;
	(void)state;
	lab_create(&lab, &vm, "crash", &shape);
	lab_power(&lab, &vm, NOVA_POWER_START);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_RUNNING);
	assert_int_equal(nova_testhost_i64(lab.host, NOVA_FIELD_PID, 0, &pid), NOVA_DONE);
	int64_t before = nova_testhost_table()->now_ns();
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	const struct nova_event *crashed = lab_wait(&lab, from, &vm, NOVA_EVENT_CRASHED);
	assert_true(crashed->t_ns > before);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	lab_delete(&lab, &vm);
}

static void sets_knobs_and_reads_them_back(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	(void)state;
	shape.knobs = (const char *const[]){"vm.disk.cache=unsafe", "vm.disk.iothreads=2",
	                                    "vm.cpu.mode=Haswell,-hle", NULL};
	lab_create(&lab, &vm, "knobs", &shape);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, knob_list, &vm.ref), "knob_list");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB, "vm.disk.cache"),
	                    "unsafe");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB, "vm.disk.iothreads"),
	                    "2");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB, "vm.cpu.mode"),
	                    "Haswell,-hle");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB, "vm.cpu.pin"), "none");
	assert_non_null(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB_DOC, "vm.cpu.pin"));
	static const char *const changes[][2] = {
	        {"vm.cpu.pin", "0"},         {"vm.cpu.mode", "maximum"}, {"vm.disk.bus", "sata"},
	        {"vm.disk.bus", "virtio"},   {"vm.disk.cache", "none"},  {"vm.disk.io", "native"},
	        {"vm.disk.iothreads", "0"},  {"vm.disk.iothreads", "1"}, {"vm.disk.queues", "2"},
	        {"vm.disk.discard", "unmap"}};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const char *knob = changes[i][0], *value = changes[i][1];
		if (strcmp(knob, "vm.disk.bus") == 0) /* threads serve virtio disks only */
			lab_expect(&lab,
			           nova_testhost_call(lab.host, 10000, knob_set, &vm.ref,
			                              "vm.disk.iothreads", "0"),
			           "no threads");
		lab_expect(&lab,
		           nova_testhost_call(lab.host, 10000, knob_set, &vm.ref, knob, value),
		           knob);
		lab_expect(&lab, nova_testhost_call(lab.host, 10000, knob_get, &vm.ref, knob),
		           knob);
		assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_KNOB, knob), value);
	}
	lab_power(&lab, &vm, NOVA_POWER_START); /* QEMU takes them together */
	lab_expect(&lab,
	           nova_testhost_call(lab.host, 10000, knob_set, &vm.ref, "vm.cpu.pin", "none"),
	           "live");
	assert_int_equal(nova_testhost_call(lab.host, 10000, knob_set, &vm.ref, "vm.cpu.pim", "0"),
	                 NOVA_E_NOT_FOUND);
	assert_int_equal(nova_testhost_call(lab.host, 10000, knob_set, &vm.ref, "vm.cpu.pin", "x"),
	                 NOVA_E_INVALID);
	lab_delete(&lab, &vm);
}

static void snapshots_a_vm_without_an_agent(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	size_t from = nova_testhost_event_count(lab.host);
	(void)state;
	lab_create(&lab, &vm, "snap", &shape);
	lab_power(&lab, &vm, NOVA_POWER_START);
	lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	lab_expect(&lab,
	           nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "s&<1>",
	                              NOVA_SNAPSHOT_CREATE),
	           "create");
	from = nova_testhost_event_count(lab.host);
	lab_expect(&lab,
	           nova_testhost_call(lab.host, 30000, snapshot, &vm.ref, "s&<1>",
	                              NOVA_SNAPSHOT_RESTORE),
	           "restore");
	lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_RUNNING);
	lab_delete(&lab, &vm); /* with its snapshot */
}

static void clones_imports_and_joins_networks(void **state)
{
	struct machine vm, clone, peer;
	char name[96], net[96], image[] = "test-sector";
	struct nova_shape shape = lab_stub(&lab);
	(void)state;
	snprintf(net, sizeof(net), "novacore-test%d-net", (int)getpid());
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, image_put, image, lab.sector), "put");
	assert_int_equal(nova_testhost_call(lab.host, 10000, image_put, image, lab.sector),
	                 NOVA_E_EXISTS);
	assert_int_equal(nova_testhost_call(lab.host, 10000, image_put, "../x", lab.sector),
	                 NOVA_E_INVALID);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, net_create, net, NOVA_NET_ISOLATED),
	           "net_create");
	shape.image = image;
	shape.networks = (const char *const[]){net, NULL};
	lab_create(&lab, &vm, "clone-of", &shape);
	lab_create(&lab, &peer, "peer", &shape);
	assert_int_equal(
	        nova_testhost_call(lab.host, 10000, vm_create, "novacore-test-third", &shape),
	        NOVA_E_UNSUPPORTED);
	shape.networks = NULL;
	snprintf(name, sizeof(name), "novacore-test%d-clone", (int)getpid());
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, vm_clone, name, &vm.ref, &shape),
	           "clone");
	clone = (struct machine){.ref = {.struct_size = sizeof(clone.ref), .vm = 3, .name = name}};
	lab_power(&lab, &vm, NOVA_POWER_START);
	lab_power(&lab, &peer, NOVA_POWER_START);
	lab_power(&lab, &clone, NOVA_POWER_START);
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_clone, "novacore-test-busy",
	                                    &vm.ref, &shape),
	                 NOVA_E_BUSY);
	lab_delete(&lab, &vm);
	lab_delete(&lab, &peer);
	lab_delete(&lab, &clone);
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, net_delete, net), "net_delete");
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, image_delete, image), "image_delete");
}

struct worker {
	pthread_t thread;
	int number, status;
};

static void *whole_life(void *context)
{
	struct worker *worker = context;
	struct nova_shape shape = lab_stub(&lab);
	char name[96];
	struct nova_ref ref = {.struct_size = sizeof(ref), .vm = 100, .name = name};
	snprintf(name, sizeof(name), "novacore-test%d-many-%d", (int)getpid(), worker->number);
	worker->status = nova_testhost_call(lab.host, 60000, vm_create, name, &shape);
	if (worker->status == NOVA_DONE)
		worker->status =
		        nova_testhost_call(lab.host, 60000, vm_power, &ref, NOVA_POWER_START);
	if (worker->status == NOVA_DONE)
		worker->status =
		        nova_testhost_call(lab.host, 60000, vm_query, &ref, NOVA_QUERY_STATS);
	if (worker->status == NOVA_DONE)
		worker->status =
		        nova_testhost_call(lab.host, 60000, vm_power, &ref, NOVA_POWER_OFF);
	int deleted = nova_testhost_call(lab.host, 60000, vm_delete, &ref);
	worker->status = worker->status == NOVA_DONE ? deleted : worker->status;
	if (worker->status != NOVA_DONE)
		printf("%s: %s\n", name, nova_testhost_error(lab.host));
	return NULL;
}

static void runs_eight_vms_at_once(void **state)
{
	struct worker workers[8];
	(void)state;
	for (int i = 0; i < 8; i++) {
		workers[i] = (struct worker){.number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, whole_life, &workers[i]),
		                 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(workers[i].status, NOVA_DONE);
}

/* One directory serves one process: the second says whose turn it is. */
static void says_who_holds_the_embedded_libvirt(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 20000, describe), "describe");
	const char *root = strstr(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "uri"), "root=");
	char lock[600];
	pid_t child;
	int ended = 0;
	assert_non_null(root);
	snprintf(lock, sizeof(lock), "%s/run/qemu/driver.pid", root + 5);
	child = fork();
	if (child == 0) {
		struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(lock, O_RDWR);
		int got = fd >= 0 ? fcntl(fd, F_GETLK, &held) : -1;
		_exit(got == 0 && held.l_type != F_UNLCK && held.l_pid == getppid() ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &ended, 0), child);
	assert_int_equal(ended, 0); /* what the driver's message relies on */
}

static int open_lab(void **state)
{
	const char *parameters[] = {"network=socket", NULL}; /* bridges have a test of their own */
	(void)state;
	lab_open(&lab, parameters);
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(describes_itself),
	        cmocka_unit_test(runs_a_vm_from_start_to_end),
	        cmocka_unit_test(lists_by_prefix_only),
	        cmocka_unit_test(leaves_the_vms_of_others_alone),
	        cmocka_unit_test(refuses_what_no_vm_can_be),
	        cmocka_unit_test(refuses_a_name_that_is_taken),
	        cmocka_unit_test(reports_a_killed_qemu_as_crashed),
	        cmocka_unit_test(sets_knobs_and_reads_them_back),
	        cmocka_unit_test(snapshots_a_vm_without_an_agent),
	        cmocka_unit_test(clones_imports_and_joins_networks),
	        cmocka_unit_test(runs_eight_vms_at_once),
	        cmocka_unit_test(says_who_holds_the_embedded_libvirt),
	};
	lab_fork();
	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
