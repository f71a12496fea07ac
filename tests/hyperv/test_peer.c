/* SPDX-License-Identifier: MIT */
/*
 * The Hyper-V driver against the self-made peer, which checks every message by the schema of
 * WS-Management and of the WMI classes: whole lives of VMs, wrong credentials, broken answers,
 * deadlines, many VMs at once, and VMs and files that are not ours. At the end no message of the
 * whole run may have been refused as malformed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"
#include "peer.h"

#define SECRET   "Correct-Horse-7!"
#define USER     "user=LAB\\bench"
#define PASSWORD "password=" SECRET
#define TEMPLATE "template=C:\\templates\\debian12.vhdx"

/* --- helpers ---------------------------------------------------------------------------------- */

static const char *ca_file(void)
{
	static char text[600];

	snprintf(text, sizeof(text), "ca_file=%s", peer_file("cert.pem"));
	return text;
}

static const char *uri_of(int host)
{
	static char uri[80];
	json_t *ports = peer_ask("/ports");

	snprintf(uri, sizeof(uri), "https://127.0.0.1:%d",
	         (int)json_integer_value(json_array_get(ports, (size_t)host)));
	json_decref(ports);
	return uri;
}

/* A connected target that polls fast; `more` and `even` may be NULL. */
static struct nova_testhost *open_host(int index, const char *more, const char *even)
{
	return lab_connect(uri_of(index),
	                   (const char *const[]){USER, PASSWORD, ca_file(), TEMPLATE,
	                                         "poll_first=10ms", "poll_longest=40ms",
	                                         "poll_ready=20ms", more ? more : "switch=lan",
	                                         even, NULL});
}

static struct nova_testhost *open_lab(void)
{
	peer_tell("/clear", "{}"); /* of a test that has failed */
	peer_tell("/settings", "{'default':1}");
	return open_host(0, NULL, NULL);
}

static void close_lab(struct nova_testhost *host)
{
	peer_tell("/clear", "{}");
	peer_tell("/settings", "{'default':1}");
	lab_close(host);
}

static const struct nova_shape from_template = {
        .struct_size = sizeof(from_template),
        .boot = NOVA_BOOT_TEMPLATE,
        .vcpus = 2,
        .memory_bytes = 1024ull * 1024 * 1024,
};

static void create_vm(struct nova_testhost *host, struct lab_vm *vm, const char *name)
{
	lab_create(host, vm, name, &from_template);
}

static void snapshot_vm(struct nova_testhost *host, const struct lab_vm *vm, const char *name,
                        uint32_t action, int wanted)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, snapshot, &vm->ref, name, action),
	           wanted);
}

/* The peer's VM; the caller owns it. */
static json_t *peer_vm(const char *guid)
{
	char path[112];

	snprintf(path, sizeof(path), "/vms?%s", guid);
	return peer_first(path);
}

static int64_t peer_number(const char *guid, const char *key)
{
	json_t *vm = peer_vm(guid);
	int64_t value;

	assert_non_null(vm);
	value = json_integer_value(json_object_get(vm, key));
	json_decref(vm);
	return value;
}

static void assert_peer_gone(const char *guid)
{
	assert_null(peer_vm(guid));
}

/* Is it in the peer's list of texts at `path`? */
static int peer_lists(const char *path, const char *wanted)
{
	json_t *list = peer_ask(path);
	int found = 0;
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one) found |= strcasecmp(json_string_value(one), wanted) == 0;
	json_decref(list);
	return found;
}

/* State of the peer's last job of that kind; 0: there was none. */
static int64_t last_job(const char *what)
{
	json_t *jobs = peer_ask("/jobs");
	int64_t state = 0;
	size_t i;
	json_t *one;

	json_array_foreach(jobs, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "what")), what) == 0)
			state = json_integer_value(json_object_get(one, "state"));
	}
	json_decref(jobs);
	return state;
}

/* How many messages of that kind the peer has got. */
static int count_calls(const char *wanted)
{
	json_t *calls = peer_ask("/calls");
	int count = 0;
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(calls, "calls"), i, one) count +=
	        strcmp(json_string_value(one), wanted) == 0;
	json_decref(calls);
	return count;
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connects_and_says_what_is_possible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const can[] = {"create",   "clone", "start",    "shutdown", "pause",
	                                  "reset",    "ready", "snapshot", "stats",    "address",
	                                  "template", "disk",  "migrate",  "network",  "compress"};
	static const char *const cannot[] = {"exec",   "beat",      "stub", "image",
	                                     "direct", "post-copy", "twin"};

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"),
	                    "Microsoft Windows Server 2022 Datacenter");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "version"), "10.0.20348");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "node"), "HV1");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "verified");
	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++) {
		if (!nova_testhost_can(host, can[i]))
			fail_msg("it cannot %s", can[i]);
	}
	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++) {
		const char *why = nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, cannot[i]);

		assert_int_equal(nova_testhost_can(host, cannot[i]), 0);
		assert_non_null(why);
		assert_true(strlen(why) > 20);
	}
	close_lab(host);
}

static struct nova_testhost *open_as(const char *user, const char *password, const char *more)
{
	struct nova_testhost *host =
	        lab_open(uri_of(0), (const char *const[]){user, password, ca_file(), more, NULL});

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	return host;
}

static void names_the_rights_that_an_account_lacks(void **state)
{
	struct nova_testhost *host = open_as("user=LAB\\reader", "password=Reader-Only-8!", NULL);

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_PERMISSION);
	lab_said(host, "Hyper-V Administrators");
	close_lab(host);

	host = open_as("user=blind@lab", "password=Blind-Folded-9!", NULL);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_PERMISSION);
	lab_said(host, "401"); /* a domain that is none of the host's */
	close_lab(host);

	host = open_as("user=LAB\\blind", "password=Blind-Folded-9!", NULL);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_START), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_CREATE), 0);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_CREATE),
	                       "root/cimv2"));
	close_lab(host);
}

static void says_what_the_host_lacks(void **state)
{
	struct nova_testhost *host;

	(void)state;
	peer_tell("/settings", "{'diskPath':'\\\\\\\\nas\\\\disks','migrates':false}");
	host = open_as(USER, PASSWORD, "template=C:\\templates\\nonesuch.vhdx");
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_CREATE),
	                       "hypervisor.hyperv.directory"));
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_TEMPLATE),
	                       "no file C:\\templates\\nonesuch.vhdx"));
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_MIGRATE),
	                       "Enable-VMMigration"));
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &from_template),
	           NOVA_E_UNSUPPORTED);
	close_lab(host);
}

static int connect_with(const char *trust, const char *password, char error[512])
{
	struct nova_testhost *host =
	        lab_open(uri_of(0), (const char *const[]){USER, password, trust, NULL});
	int status;

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	status = nova_testhost_call(host, LONG_MS, connect);
	snprintf(error, 512, "%s", nova_testhost_error(host));
	if (status == NOVA_DONE && strncmp(trust, "insecure", 8) == 0) {
		lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
		assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "insecure");
	}
	close_lab(host);
	return status;
}

static void trusts_only_what_it_was_told_to(void **state)
{
	char trust[600], error[512];

	(void)state;
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("other.pem"));
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "ca_file"));
	/* the system's authorities do not know it */
	assert_int_equal(connect_with("insecure=false", PASSWORD, error), NOVA_E_PERMISSION);
	assert_int_equal(connect_with("insecure=true", PASSWORD, error), NOVA_DONE);
	snprintf(trust, sizeof(trust), "fingerprint=%s", peer_fingerprint());
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_DONE);
	trust[12] = trust[12] == '0' ? '1' : '0';
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_E_PERMISSION);
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("no-such.pem"));
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_E_INVALID);
}

static void refuses_a_wrong_password_without_showing_it(void **state)
{
	char trust[600], error[512];

	(void)state;
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("cert.pem"));
	assert_int_equal(connect_with(trust, "password=very-wrong-secret", error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "401"));
	assert_non_null(strstr(error, "user and password"));
	assert_null(strstr(error, "very-wrong-secret"));
	/* even if the peer sends it back */
	peer_tell("/fault", "{'match':'ManagementService$','fault':'w:InternalError','text':'you "
	                    "sent " SECRET "'}");
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_E_FAILED);
	assert_non_null(strstr(error, "you sent ****"));
	assert_null(strstr(error, SECRET));
}

static int start_with(const char *uri, const char *user, const char *password, const char *more)
{
	const char *parameters[] = {uri, more ? more : "insecure=false", user, password, NULL};
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	int status;

	assert_non_null(host);
	status = nova_testhost_start(host);
	assert_true(status == NOVA_DONE || strlen(nova_testhost_error(host)) > 10);
	assert_null(strstr(nova_testhost_error(host), SECRET));
	nova_testhost_free(host);
	return status;
}

static void refuses_impossible_parameters(void **state)
{
	static const char good[] = "uri=https://127.0.0.1:5986/wsman/";
	static const char *const wrong_uris[] = {"uri=http://127.0.0.1:5985", "uri=https://",
	                                         "uri=https://a@b", "uri=https://a<b"};
	static const char *const wrong[] = {"fingerprint=AB:CD", "directory=\\\\nas\\vm",
	                                    "directory=vm", "template=debian12",
	                                    "template=C:\\a.iso"};

	(void)state;
	assert_int_equal(start_with(good, USER, PASSWORD, NULL), NOVA_DONE);
	for (size_t i = 0; i < sizeof(wrong_uris) / sizeof(wrong_uris[0]); i++)
		assert_int_equal(start_with(wrong_uris[i], USER, PASSWORD, NULL), NOVA_E_INVALID);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(start_with(good, USER, PASSWORD, wrong[i]), NOVA_E_INVALID);
	assert_int_equal(start_with(good, USER, NULL, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "user=a:b", PASSWORD, NULL), NOVA_E_INVALID);
	/* a ticket needs neither */
	assert_int_equal(start_with(good, "auth=negotiate", NULL, NULL), NOVA_DONE);
}

/* --- lives of VMs ----------------------------------------------------------------------------- */

static void assert_polled(const struct nova_event *event)
{
	assert_non_null(event);
	assert_int_equal(event->source, NOVA_SOURCE_POLL);
	assert_true(event->resolution_ns > 0);
	assert_true(event->t_ns > 0);
}

static void leads_a_vm_through_its_life(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	int64_t started = 0, latency = 0;
	size_t before;
	const struct nova_event *running;

	(void)state;
	create_vm(host, &vm, "novacore-life");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_API_NS, 0, &latency), NOVA_DONE);
	assert_true(latency > 1000); /* no server answers in less */
	assert_int_equal(peer_number(vm.id, "cpus"), 2);
	assert_int_equal(peer_number(vm.id, "memory"), 1024);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);

	peer_tell("/settings", "{'guestMs':100}");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STARTED_NS, 0, &started), NOVA_DONE);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_polled(running);
	assert_true(running->t_ns > started);
	assert_true(running->t_ns - running->resolution_ns >= started);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);

	lab_power(host, &vm, NOVA_POWER_PAUSE);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_PAUSED, 0));
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_PAUSED);
	lab_power(host, &vm, NOVA_POWER_RESUME);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RESUMED, 0));
	before = nova_testhost_event_count(host);
	lab_power(host, &vm, NOVA_POWER_RESET);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));

	lab_power(host, &vm, NOVA_POWER_SHUTDOWN);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_SHUTDOWN, 0));
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_int_equal(peer_number(vm.id, "state"), 3);
	lab_power(host, &vm, NOVA_POWER_SHUTDOWN); /* off already */
	lab_power(host, &vm, NOVA_POWER_OFF);

	lab_delete(host, &vm);
	assert_peer_gone(vm.id);
	lab_delete(host, &vm); /* not there already */
	close_lab(host);
}

static void refuses_orders_in_the_wrong_state(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	static const uint32_t off[] = {NOVA_POWER_PAUSE, NOVA_POWER_RESUME, NOVA_POWER_RESET};
	static const uint32_t running[] = {NOVA_POWER_START, NOVA_POWER_RESUME};

	(void)state;
	create_vm(host, &vm, "novacore-order");
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, off[i]),
		           NOVA_E_BUSY);
	lab_power(host, &vm, NOVA_POWER_START);
	for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, running[i]),
		           NOVA_E_BUSY);
	lab_said(host, "VM novacore-order is running");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, 12345),
	           NOVA_E_UNSUPPORTED);
	lab_delete(host, &vm);
	close_lab(host);
}

static void assert_setting(const char *guid, const char *key, const char *wanted)
{
	json_t *vm = peer_vm(guid);

	assert_non_null(vm);
	assert_string_equal(
	        json_string_value(json_object_get(json_object_get(vm, "settings"), key)), wanted);
	json_decref(vm);
}

static void makes_each_kind_of_disk(void **state)
{
	static const char *const jobs[] = {"{'jobs':'some'}", "{'jobs':'always'}"};
	struct nova_shape empty = {.struct_size = sizeof(empty),
	                           .boot = NOVA_BOOT_DISK,
	                           .vcpus = 1,
	                           .disk_bytes = 1ull << 30};
	struct nova_shape linked = {.struct_size = sizeof(linked),
	                            .boot = NOVA_BOOT_DISK,
	                            .image = "C:\\templates\\debian12.vhdx"};
	struct lab_vm vm;

	(void)state;
	close_lab(open_lab());
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		struct nova_testhost *host = open_host(0, "directory=D:\\bench", "generation=1");

		peer_tell("/settings", jobs[i]);
		lab_create(host, &vm, "novacore-gen1", &linked);
		assert_true(peer_lists("/files", "D:\\bench\\novacore-gen1.vhdx"));
		assert_setting(vm.id, "VirtualSystemSubType", "Microsoft:Hyper-V:SubType:1");
		lab_power(host, &vm, NOVA_POWER_START);
		lab_delete(host, &vm);
		assert_false(peer_lists("/files", "D:\\bench\\novacore-gen1.vhdx"));
		close_lab(host);

		host = open_host(0, "full_clone=true", NULL);
		peer_tell("/settings", jobs[i]);
		lab_create(host, &vm, "novacore-empty", &empty);
		assert_setting(vm.id, "VirtualSystemSubType", "Microsoft:Hyper-V:SubType:2");
		lab_delete(host, &vm);
		linked.disk_bytes = 8ull << 30; /* a copy can grow */
		lab_create(host, &vm, "novacore-copy", &linked);
		assert_int_equal(last_job("ConvertVirtualHardDisk"), 7);
		assert_int_equal(last_job("ResizeVirtualHardDisk"), 7);
		lab_delete(host, &vm);
		linked.disk_bytes = 0;
		close_lab(host);
	}
}

static void says_why_a_shape_is_impossible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const knobs[] = {"vm.disk.cache=none", NULL};
	static const char *const networks[] = {"no-such-switch", NULL};
	const struct nova_shape shapes[] = {
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_DIRECT, .kernel = "/k"},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_STUB, .image = "/s"},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_DISK},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_DISK, .image = "/tmp/x.qcow2"},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_TEMPLATE, .knobs = knobs},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_TEMPLATE, .disk_bytes = 1},
	        {.struct_size = sizeof(shapes[0]), .boot = NOVA_BOOT_TEMPLATE, .place = "E:\\"},
	};
	struct nova_shape networked = from_template;
	struct nova_shape missing = from_template;
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-shape"};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		lab_expect(
		        host,
		        nova_testhost_call(host, LONG_MS, vm_create, "novacore-shape", &shapes[i]),
		        NOVA_E_UNSUPPORTED);
		assert_true(strlen(nova_testhost_error(host)) > 20);
	}
	networked.networks = networks;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-shape", &networked),
	           NOVA_E_NOT_FOUND);
	lab_said(host, "no virtual switch 'no-such-switch'");
	/* what was begun is the host's to sweep, by the name alone */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	missing.image = "C:\\templates\\gone.vhdx";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-shape", &missing),
	           NOVA_E_NOT_FOUND);
	lab_said(host, "The system cannot find the file specified");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	assert_false(peer_lists("/files", "C:\\VMs\\Disks\\novacore-shape.vhdx"));
	close_lab(host);
}

static void deletes_a_running_vm_with_its_disks_and_no_others(void **state)
{
	static const char *const foreign[] = {
	        "C:\\VMs\\Disks\\novacore-del-2.vhdx", "C:\\VMs\\Disks\\novacore-del_notes.txt",
	        "C:\\VMs\\Disks\\novacore-del_old.vhdx", "C:\\VMs\\Disks\\novacore-del.iso",
	        "D:\\bench\\novacore-del.vhdx"};
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	char wish[160];

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		char path[120] = "";

		for (const char *at = foreign[i]; *at; at++) /* JSON's escapes */
			snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s%c",
			         *at == '\\' ? "\\" : "", *at);
		snprintf(wish, sizeof(wish), "{'path':'%s'}", path);
		peer_tell("/file", wish);
	}
	create_vm(host, &vm, "novacore-del");
	lab_power(host, &vm, NOVA_POWER_START);
	snapshot_vm(host, &vm, "one", NOVA_SNAPSHOT_CREATE, NOVA_DONE);
	lab_delete(host, &vm);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_peer_gone(vm.id);
	assert_false(peer_lists("/files", "C:\\VMs\\Disks\\novacore-del.vhdx"));
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_true(peer_lists("/files", foreign[i]));
	assert_true(peer_lists("/files", "C:\\templates\\debian12.vhdx"));
	close_lab(host);
}

/* The VM went, the disk stayed (a connection that ended between the two). */
static void deletes_what_an_earlier_attempt_left(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-half");
	peer_tell("/fault", "{'match':'CIM_DataFile.Delete','drop':'before'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref), NOVA_E_UNKNOWN);
	assert_peer_gone(vm.id);
	assert_true(peer_lists("/files", "C:\\VMs\\Disks\\novacore-half.vhdx"));
	lab_delete(host, &vm);
	assert_false(peer_lists("/files", "C:\\VMs\\Disks\\novacore-half.vhdx"));
	close_lab(host);
}

static void takes_and_restores_checkpoints(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	size_t before;
	json_t *there;

	(void)state;
	create_vm(host, &vm, "novacore-snap");
	snapshot_vm(host, &vm, "off <&'\" state", NOVA_SNAPSHOT_CREATE, NOVA_DONE);
	lab_power(host, &vm, NOVA_POWER_START);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_CREATE, NOVA_DONE);
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_CREATE, NOVA_E_EXISTS);
	there = peer_vm(vm.id);
	assert_int_equal(json_array_size(json_object_get(there, "snapshots")), 2);
	json_decref(there);

	before = nova_testhost_event_count(host);
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_RESTORE, NOVA_DONE);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	snapshot_vm(host, &vm, "off <&'\" state", NOVA_SNAPSHOT_RESTORE, NOVA_DONE);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_RESTORE, NOVA_DONE);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);

	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_DELETE, NOVA_DONE);
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_DELETE, NOVA_E_NOT_FOUND);
	snapshot_vm(host, &vm, "on", NOVA_SNAPSHOT_RESTORE, NOVA_E_NOT_FOUND);
	snapshot_vm(host, &vm, "", NOVA_SNAPSHOT_CREATE, NOVA_E_INVALID);
	snapshot_vm(host, &vm, "a\nb", NOVA_SNAPSHOT_CREATE, NOVA_E_INVALID);
	lab_delete(host, &vm);
	close_lab(host);
}

static void copies_a_vm_that_is_off(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm, copy;

	(void)state;
	create_vm(host, &vm, "novacore-source");
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-clone", &vm.ref,
	                              &from_template),
	           NOVA_E_BUSY);
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-clone", &vm.ref,
	                              &from_template),
	           NOVA_DONE);
	lab_use(host, &copy, "novacore-clone");
	assert_string_not_equal(copy.id, vm.id);
	assert_true(peer_lists("/files", "C:\\VMs\\Disks\\novacore-clone.vhdx"));
	lab_delete(host, &vm);
	lab_power(host, &copy, NOVA_POWER_START); /* its disk is its own */
	lab_delete(host, &copy);
	close_lab(host);
}

static void gives_statistics_and_addresses(void **state)
{
	static const char *const forms[] = {"{'cimXml':false}", "{'cimXml':true}"};
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	int64_t value = 0;

	(void)state;
	create_vm(host, &vm, "novacore-stats");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	for (size_t i = 0; i < 2; i++) {
		peer_tell("/settings", forms[i]);
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
		           NOVA_DONE);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &value),
		                 NOVA_DONE);
		assert_int_equal(value, 1024ll << 20);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_RESIDENT_BYTES, 0, &value),
		                 NOVA_DONE);
		assert_int_equal(value, 1024ll << 20);
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_CPU_NS, 0, &value), NOVA_DONE);
		assert_true(value > 0);
	}
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_ADDRESS), 2);
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	/* what a VM that is off does not use is not invented */
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_RESIDENT_BYTES), 0);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_CPU_NS), 0);
	lab_delete(host, &vm);
	close_lab(host);
}

static void makes_private_networks(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const networks[] = {"lan", "novacore-net", NULL};
	struct nova_shape shape = from_template;
	struct lab_vm vm;

	(void)state;
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, net_create, "novacore-net", NOVA_NET_ISOLATED),
	           NOVA_DONE);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, net_create, "novacore-net", NOVA_NET_ISOLATED),
	           NOVA_E_EXISTS);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, net_create, "novacore-nat", NOVA_NET_NAT),
	           NOVA_E_UNSUPPORTED);
	shape.networks = networks;
	lab_create(host, &vm, "novacore-two-cards", &shape);
	lab_delete(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, net_delete, "lan"), NOVA_E_REFUSED);
	assert_true(peer_lists("/switches", "lan"));
	lab_expect(host, nova_testhost_call(host, LONG_MS, net_delete, "novacore-net"), NOVA_DONE);
	assert_false(peer_lists("/switches", "novacore-net"));
	lab_expect(host, nova_testhost_call(host, LONG_MS, net_delete, "novacore-net"), NOVA_DONE);
	close_lab(host);
}

static void migrates_between_two_hosts(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_testhost *other = open_host(1, NULL, NULL);
	struct nova_migrate how = {.struct_size = sizeof(how), .flags = NOVA_MIGRATE_COMPRESS};
	char ticket[600];
	struct lab_vm vm;
	json_t *there;

	(void)state;
	create_vm(host, &vm, "novacore-mover");
	lab_expect(other,
	           nova_testhost_call(other, LONG_MS, migrate_prepare, &vm.ref, &from_template),
	           NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(other, NOVA_FIELD_TICKET, ""));
	assert_string_equal(ticket, "hv2.lab.example|C:\\VMs\\Disks\\");
	how.ticket = ticket;
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how), NOVA_E_BUSY);
	lab_power(host, &vm, NOVA_POWER_START);
	how.downtime_ns = 1;
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how),
	           NOVA_E_UNSUPPORTED);
	how.downtime_ns = 0;
	how.ticket = "hv9.lab.example|C:\\";
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how), NOVA_E_FAILED);
	lab_said(host, "could not be reached");
	lab_expect(other,
	           nova_testhost_call(other, LONG_MS, migrate_finish, &vm.ref, ticket,
	                              NOVA_NOT_MIGRATED),
	           NOVA_DONE);
	how.ticket = ticket;
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how), NOVA_DONE);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_MIGRATED, 0));
	lab_expect(
	        other,
	        nova_testhost_call(other, LONG_MS, migrate_finish, &vm.ref, ticket, NOVA_MIGRATED),
	        NOVA_DONE);
	assert_string_equal(nova_testhost_fact(other, NOVA_FIELD_ID, ""), vm.id);
	there = peer_vm(vm.id);
	assert_string_equal(json_string_value(json_object_get(there, "host")), "HV2");
	json_decref(there);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	           NOVA_E_NOT_FOUND);
	lab_delete(other, &vm);
	assert_false(peer_lists("/files", "C:\\VMs\\Disks\\novacore-mover.vhdx"));
	close_lab(other);
	close_lab(host);
}

/* --- whose VMs -------------------------------------------------------------------------------- */

static void assert_untouched(struct nova_testhost *host, const struct nova_ref *ref)
{
	static const uint32_t actions[] = {NOVA_POWER_START, NOVA_POWER_SHUTDOWN,
	                                   NOVA_POWER_OFF,   NOVA_POWER_RESET,
	                                   NOVA_POWER_PAUSE, NOVA_POWER_RESUME};

	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, ref), NOVA_E_REFUSED);
	lab_said(host, "not ours");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, ref, actions[i]),
		           NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_CREATE),
	           NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_RESTORE),
	           NOVA_E_REFUSED);
}

static void leaves_vms_that_are_not_ours_alone(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	char wish[160];
	struct nova_ref foreign = {.struct_size = sizeof(foreign), .name = "payroll"};

	(void)state;
	create_vm(host, &vm, "novacore-mine");
	snprintf(wish, sizeof(wish), "{'guid':'%s','name':'payroll','state':2}", vm.id);
	peer_tell("/vm", wish); /* renamed by somebody: it is in use now */
	assert_untouched(host, &vm.ref);
	assert_int_equal(peer_number(vm.id, "state"), 2);
	/* and one that we are even asked for by its right name, but that has not our prefix */
	foreign.id = vm.id;
	assert_untouched(host, &foreign);
	foreign.id = NULL;
	assert_untouched(host, &foreign);
	assert_int_equal(peer_number(vm.id, "state"), 2);
	snprintf(wish, sizeof(wish),
	         "{'guid':'%s','path':'C:\\\\VMs\\\\Disks\\\\novacore-mine.vhdx'}", vm.id);
	peer_tell("/forget", wish);
	close_lab(host);
}

/* The name is ours, the VM another one: made by somebody else, or by another run. */
static void tells_a_vm_from_another_of_its_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	char first[96];
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-same"};

	(void)state;
	create_vm(host, &vm, "novacore-same");
	snprintf(first, sizeof(first), "%s", vm.id);
	lab_delete(host, &vm);
	create_vm(host, &vm, "novacore-same");
	ref.id = first;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &ref, NOVA_POWER_START),
	           NOVA_E_NOT_FOUND);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	assert_int_equal(peer_number(vm.id, "state"), 3); /* still there, with its disk */
	assert_true(peer_lists("/files", "C:\\VMs\\Disks\\novacore-same.vhdx"));

	peer_tell("/vm", "{'guid':'0E1A2F0C-1111-2222-3333-44445555ABCD','name':'novacore-same'}");
	ref.id = NULL;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_REFUSED);
	ref.id = "0E1A2F0C-1111-2222-3333-44445555ABCD"; /* has no disk: the file is the first's */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	assert_true(peer_lists("/files", "C:\\VMs\\Disks\\novacore-same.vhdx"));
	ref.id = NULL; /* one is left */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.id = "801";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_INVALID);
	close_lab(host);
}

static void refuses_a_name_that_is_taken(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-taken");
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-taken", &from_template),
	           NOVA_E_EXISTS);
	lab_said(host, "has the name 'novacore-taken' already");
	/* Windows would give both the same disk */
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-TAKEN", &from_template),
	           NOVA_E_EXISTS);
	lab_delete(host, &vm);
	close_lab(host);
}

static void takes_odd_names_as_they_are_or_refuses_them(void **state)
{
	static const char *const names[] = {
	        "novacore-a'; select $ from Win32_Process where '1'='1",
	        "novacore-\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	        "novacore-&amp;]]&gt;",
	        "novacore-%_[a-z]",
	};
	static const char *const no_file_names[] = {
	        "novacore-\n",          "novacore-\xff",
	        "novacore-<b>",         "novacore-a:b",
	        "novacore-*",           "novacore-a/b",
	        "novacore-\\..\\..\\x", "novacore-.",
	        "novacore- ",           "",
	};
	struct nova_testhost *host = open_lab();
	struct nova_ref ref = {.struct_size = sizeof(ref)};
	json_t *before = peer_ask("/files");
	json_t *after;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_create, names[i], &from_template),
		           NOVA_DONE);
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, names[i]), NOVA_DONE);
		assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 1);
		ref.name = names[i];
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	}
	for (size_t i = 0; i < sizeof(no_file_names) / sizeof(no_file_names[0]); i++)
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_create, no_file_names[i],
		                              &from_template),
		           NOVA_E_INVALID);
	after = peer_ask("/files");
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	close_lab(host);
}

/* More than one page; among them those of others. */
static void lists_two_hundred_vms_by_prefix(void **state)
{
	struct nova_testhost *host = open_lab();
	char wish[120], guid[40];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(wish, sizeof(wish),
		         "{'guid':'00000000-0000-0000-0000-%012d','name':'%s-%d'}", i,
		         i % 4 ? "novacore-list" : "novacoreXlist", i);
		peer_tell("/vm", wish);
	}
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-list-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 150);
	snprintf(guid, sizeof(guid), "00000000-0000-0000-0000-%012d", 7);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_VM, "novacore-list-7"), guid);
	/* _ and % are not the pattern's */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore_list"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "NOVACORE-list-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(wish, sizeof(wish), "{'guid':'00000000-0000-0000-0000-%012d'}", i);
		peer_tell("/forget", wish);
	}
	close_lab(host);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void reports_the_text_of_a_failed_job(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-fail");
	peer_tell("/fault", "{'match':'RequestStateChange','job':'Not enough memory in the system "
	                    "to start the virtual machine novacore-fail.','code':32778}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_FULL);
	lab_said(host, "RequestStateChange of VM novacore-fail failed: Not enough memory");
	assert_int_equal(nova_testhost_event_count(host), 0);
	peer_tell("/fault", "{'match':'RequestStateChange','returns':32769}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_PERMISSION);
	lab_said(host, "it returned 32769: access denied");
	lab_said(host, "Hyper-V Administrators");
	peer_tell("/fault", "{'match':'RequestStateChange','fault':'w:QuotaLimit','text':'too many "
	                    "operations'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_BUSY);
	lab_said(host, "too many operations (QuotaLimit)");
	lab_delete(host, &vm);
	close_lab(host);
}

static void says_that_a_guest_does_not_shut_down(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	char wish[160];

	(void)state;
	create_vm(host, &vm, "novacore-deaf");
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/settings", "{'deaf':true}");
	lab_expect(host, nova_testhost_call(host, 500, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN),
	           NOVA_E_TIMEOUT);
	assert_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_int_equal(peer_number(vm.id, "state"), 2);
	snprintf(wish, sizeof(wish), "{'guid':'%s','services':false}", vm.id);
	peer_tell("/vm", wish);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN),
	           NOVA_E_FAILED);
	lab_said(host, "integration services");
	lab_delete(host, &vm);
	close_lab(host);
}

static void survives_lost_questions_but_not_lost_orders(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	int before;

	(void)state;
	create_vm(host, &vm, "novacore-lost");
	peer_tell("/fault", "{'match':'Get Msvm_ConcreteJob','drop':'before','times':2}");
	peer_tell("/fault", "{'match':'Get Msvm_ConcreteJob','status':503,'times':2}");
	peer_tell("/fault", "{'match':'Enumerate Msvm_ComputerSystem','drop':'after'}");
	lab_power(host, &vm, NOVA_POWER_START);
	before = count_calls("Invoke Msvm_ComputerSystem.RequestStateChange");
	peer_tell("/fault", "{'match':'RequestStateChange','drop':'after'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	           NOVA_E_UNKNOWN);
	lab_said(host, "RequestStateChange");
	lab_said(host, "not sent again");
	assert_int_equal(count_calls("Invoke Msvm_ComputerSystem.RequestStateChange"), before + 1);
	lab_delete(host, &vm);
	close_lab(host);
}

/* WinRM forgets who a connection is after a while: it is asked to prove it again. */
static void proves_who_it_is_again_when_asked(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	int before;

	(void)state;
	create_vm(host, &vm, "novacore-again");
	before = count_calls("Invoke Msvm_ComputerSystem.RequestStateChange");
	peer_tell("/fault", "{'match':'Enumerate Msvm_ComputerSystem','logout':1}");
	peer_tell("/fault", "{'match':'RequestStateChange','logout':1}");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_int_equal(peer_number(vm.id, "state"), 2);
	assert_int_equal(count_calls("Invoke Msvm_ComputerSystem.RequestStateChange"), before + 2);
	assert_int_equal(last_job("RequestStateChange"), 7);
	lab_delete(host, &vm);
	close_lab(host);
}

static void refuses_answers_that_are_not_winrms(void **state)
{
	static const struct {
		const char *wish, *said;
		int status;
	} cases[] = {
	        {"'garbage':'<html>Welcome to IIS</html>'", "not WinRM's", NOVA_E_PROTOCOL},
	        {"'garbage':'<a><b>'", "not WinRM's", NOVA_E_PROTOCOL},
	        {"'garbage':''", "not WinRM's", NOVA_E_PROTOCOL},
	        {"'garbage':'<!DOCTYPE a [<!ENTITY b SYSTEM \\'file:///etc/passwd\\'>]><a>&b;</a>'",
	         "not WinRM's", NOVA_E_PROTOCOL},
	        {"'size':17000000", "longer than is accepted", NOVA_E_PROTOCOL},
	        {"'drop':'middle','times':9", "failed", NOVA_E_UNAVAILABLE},
	        {"'status':503,'reason':'overload','times':9", "overload", NOVA_E_UNAVAILABLE},
	        {"'status':404", "5986", NOVA_E_NOT_FOUND},
	        {"'status':302,'location':'https://evil.example/'", "which is not followed",
	         NOVA_E_FAILED},
	        {"'fault':'n:InvalidEnumerationContext','text':'gone'", "gone", NOVA_E_FAILED},
	};
	struct nova_testhost *host = open_lab();
	char wish[240];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status;

		snprintf(wish, sizeof(wish), "{'match':'Enumerate',%s}", cases[i].wish);
		peer_tell("/fault", wish);
		status = nova_testhost_call(host, LONG_MS, vm_list, "novacore-");
		if (strstr(cases[i].wish, "302"))
			assert_true(status < 0);
		else
			lab_expect(host, status, cases[i].status);
		lab_said(host, cases[i].said);
		peer_tell("/clear", "{}");
	}
	close_lab(host);
}

static void refuses_pages_without_an_end(void **state)
{
	static const char open_page[] =
	        "{'match':'%s','times':9,'garbage':'<s:Envelope xmlns:s=\\'http://www.w3.org/2003/"
	        "05/soap-envelope\\' xmlns:n=\\'http://schemas.xmlsoap.org/ws/2004/09/"
	        "enumeration\\'><s:Body><n:%s>%s</n:%s></s:Body></s:Envelope>'}";
	struct nova_testhost *host = open_lab();
	char wish[600];

	(void)state;
	snprintf(wish, sizeof(wish), open_page, "Enumerate", "EnumerateResponse", "",
	         "EnumerateResponse");
	peer_tell("/fault", wish);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"), NOVA_E_PROTOCOL);
	lab_said(host, "neither the last nor has a next");
	close_lab(host);
}

static void gives_up_what_is_answered_too_slowly(void **state)
{
	struct nova_testhost *host = open_lab();

	(void)state;
	peer_tell("/fault", "{'match':'Enumerate','delay_ms':3000}");
	lab_expect(host, nova_testhost_call(host, 200, vm_list, "novacore-"), NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	peer_tell("/fault", "{'match':'Enumerate','slow_ms':8000}");
	lab_expect(host, nova_testhost_call(host, 300, vm_list, "novacore-"), NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	/* slowly, but in time */
	peer_tell("/fault", "{'match':'Enumerate','slow_ms':300}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"), NOVA_DONE);
	close_lab(host);
}

static void stops_a_slow_job_at_its_deadline(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-slow");
	peer_tell("/fault", "{'match':'RequestStateChange','hang':1}");
	lab_expect(host, nova_testhost_call(host, 1500, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	assert_int_equal(last_job("RequestStateChange"), 8);
	assert_int_equal(peer_number(vm.id, "state"), 3);
	lab_delete(host, &vm);

	/* a creation that is given up in the middle leaves what can be found by its name */
	peer_tell("/fault", "{'match':'CreateVirtualHardDisk','hang':1}");
	vm.ref.id = NULL;
	lab_expect(host, nova_testhost_call(host, 3000, vm_create, vm.name, &from_template),
	           NOVA_E_TIMEOUT);
	assert_int_equal(last_job("CreateVirtualHardDisk"), 8);
	lab_delete(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-slow"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	close_lab(host);
}

struct canceller {
	struct nova_testhost *host;
	nova_op op;
};

static void *cancel_soon(void *context)
{
	struct canceller *canceller = context;

	usleep(200000);
	nova_testhost_cancel(canceller->host, canceller->op);
	return NULL;
}

static void cancels_and_stops_the_job(void **state)
{
	struct nova_testhost *host = open_lab();
	struct canceller canceller = {.host = host};
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-cancelled"};
	pthread_t thread;
	int returned;

	(void)state;
	peer_tell("/fault", "{'match':'CreateVirtualHardDisk','hang':1}");
	canceller.op = nova_testhost_begin(host, LONG_MS);
	returned = nova_testhost_ops(host)->vm_create(nova_testhost_self(host), canceller.op,
	                                              ref.name, &from_template);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
	lab_expect(host, nova_testhost_end(host, returned), NOVA_E_CANCELLED);
	assert_int_equal(nova_testhost_ended(host), 1);
	pthread_join(thread, NULL);
	assert_int_equal(last_job("CreateVirtualHardDisk"), 8);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	close_lab(host);
}

/* A heartbeat that cannot be asked for once is asked for again. */
static void waits_for_guests_through_faults(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-patient");
	peer_tell("/settings", "{'guestMs':150}");
	peer_tell("/fault", "{'match':'HeartbeatComponent','garbage':'<html/>','times':2}");
	peer_tell("/fault", "{'match':'HeartbeatComponent','drop':'after','times':4}");
	peer_tell("/fault", "{'match':'HeartbeatComponent','status':500,'times':2}");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- knobs ------------------------------------------------------------------------------------ */

static int64_t peer_property(const struct lab_vm *vm, const char *what, const char *property)
{
	json_t *all = peer_vm(vm->id);
	const json_t *value = json_object_get(json_object_get(all, what), property);
	int64_t number = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);

	assert_non_null(value);
	json_decref(all);
	return number;
}

static void sets_knobs_of_a_vm(void **state)
{
	/* the last one counts: those of a benchmark come after the configured ones */
	static const char *const knobs[] = {"vm.cpu.weight=50",      "vm.memory.dynamic=on",
	                                    "vm.memory.minimum=256", "vm.cpu.limit=40",
	                                    "vm.cpu.weight=200",     NULL};
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = from_template;
	struct lab_vm vm;

	(void)state;
	shape.knobs = knobs;
	lab_create(host, &vm, "novacore-knobs", &shape);
	assert_int_equal(peer_property(&vm, "processor", "Weight"), 200);
	assert_int_equal(peer_property(&vm, "processor", "Limit"), 40000);
	assert_int_equal(peer_property(&vm, "ram", "DynamicMemoryEnabled"), 1);
	assert_int_equal(peer_property(&vm, "ram", "Reservation"), 256);
	assert_int_equal(peer_property(&vm, "ram", "Limit"), 1024);
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_list, &vm.ref), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.limit"), "40");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.nested"), "off");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.memory.dynamic"), "on");
	assert_non_null(nova_testhost_fact(host, NOVA_FIELD_KNOB_DOC, "vm.memory.weight"));
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.nested", "on"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.numa.cpus", "2"), NOVA_DONE);
	lab_knob(host, &vm, "vm.cpu.nested", "on");
	lab_knob(host, &vm, "vm.numa.cpus", "2");
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.reserve", "10"), NOVA_DONE); /* lives */
	lab_knob(host, &vm, "vm.cpu.reserve", "10");
	lab_expect(host, lab_set_knob(host, &vm, "vm.memory.dynamic", "off"), NOVA_E_BUSY);
	lab_knob(host, &vm, "vm.memory.dynamic", "on");
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.limit", "101"), NOVA_E_INVALID);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.weight", "1x"), NOVA_E_INVALID);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.nested", "1"), NOVA_E_INVALID);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.colour", "red"), NOVA_E_NOT_FOUND);
	lab_delete(host, &vm);
	shape.knobs = (const char *const[]){"vm.cpu.weight=0", NULL};
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-no", &shape),
	           NOVA_E_INVALID);
	lab_said(host, "1…10000");
	close_lab(host);
}

/* --- programs in guests ----------------------------------------------------------------------- */

static void runs_programs_in_a_guest_by_ssh(void **state)
{
	struct lab_sshd sshd;
	struct nova_testhost *host;
	struct lab_vm vm;

	(void)state;
	if (!lab_sshd_start(&sshd))
		skip();
	peer_tell("/settings", "{'address':'127.0.0.1','guestMs':200}"); /* none at first */
	host = lab_connect(uri_of(0),
	                   (const char *const[]){USER, PASSWORD, ca_file(), TEMPLATE, "switch=lan",
	                                         "poll_first=10ms", "poll_longest=40ms", sshd.key,
	                                         sshd.port, sshd.user, NULL});
	create_vm(host, &vm, "novacore-exec");
	lab_sshd_try(host, &vm);
	close_lab(host);
	lab_sshd_stop(&sshd);
}

static void runs_no_programs_without_key_or_addresses(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-keyless");
	lab_expect(host, lab_run(host, &vm, (const char *const[]){"true", NULL}, LONG_MS),
	           NOVA_E_UNSUPPORTED);
	lab_said(host, "ssh_key");
	lab_delete(host, &vm);
	close_lab(host);
	assert_int_equal(
	        start_with("uri=https://127.0.0.1:5986", USER, PASSWORD, "ssh_key=/no/such/key"),
	        NOVA_E_NOT_FOUND);
}

/* --- many ------------------------------------------------------------------------------------- */

#define MANY 20

struct worker {
	struct nova_testhost *host;
	char name[40];
	struct lab_vm vm;
	int status;
	char error[200];
};

static int live(struct worker *worker)
{
	struct nova_testhost *host = worker->host;
	struct lab_vm *vm = &worker->vm;
	int status = nova_testhost_call(host, 60000, vm_create, worker->name, &from_template);

	if (status != NOVA_DONE)
		return status;
	lab_use(host, vm, worker->name);
	status = nova_testhost_call(host, 60000, vm_power, &vm->ref, NOVA_POWER_START);
	if (status != NOVA_DONE)
		return status;
	status = nova_testhost_call(host, 60000, vm_power, &vm->ref, NOVA_POWER_SHUTDOWN);
	if (status != NOVA_DONE)
		return status;
	return nova_testhost_call(host, 60000, vm_delete, &vm->ref);
}

static void *work(void *context)
{
	struct worker *worker = context;

	worker->status = live(worker);
	snprintf(worker->error, sizeof(worker->error), "%s", nova_testhost_error(worker->host));
	return NULL;
}

static int64_t number_of_calls(const char *key)
{
	json_t *calls = peer_ask("/calls");
	int64_t count = json_integer_value(json_object_get(calls, key));

	json_decref(calls);
	return count;
}

static void leads_twenty_vms_at_once_over_few_connections(void **state)
{
	static struct worker workers[MANY];
	pthread_t threads[MANY];
	int64_t before = number_of_calls("connections");
	int64_t unproved = number_of_calls("unauthorized");
	struct nova_testhost *host = open_lab();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		workers[i].host = host;
		snprintf(workers[i].name, sizeof(workers[i].name), "novacore-many-%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < MANY; i++) {
		if (workers[i].status != NOVA_DONE)
			fail_msg("VM %d: %d %s", i, workers[i].status, workers[i].error);
		assert_polled(nova_testhost_wait(host, 0, workers[i].name, NOVA_EVENT_RUNNING, 0));
		assert_polled(nova_testhost_wait(host, 0, workers[i].name, NOVA_EVENT_STOPPED, 0));
		assert_peer_gone(workers[i].vm.id);
	}
	/* NTLM is proved once for each connection, not for each request */
	before = number_of_calls("connections") - before;
	assert_true(before <= 17);
	assert_true(number_of_calls("unauthorized") - unproved <= before);
	close_lab(host);
}

/* --- Kerberos --------------------------------------------------------------------------------- */

static char realm[] = "/tmp/novacore-realm-XXXXXX";
static FILE *realm_alive; /* NULL: there is none here */

/* Before the peer, which has its keys from it: tests/peers/hyperv/realm.sh. */
static void start_realm(void)
{
	char text[600], said[16] = "";
	int answer[2];

	assert_non_null(mkdtemp(realm));
	assert_int_equal(pipe(answer), 0);
	snprintf(text, sizeof(text), PEER_SOURCE "/realm.sh %s 1>&%d", realm, answer[1]);
	realm_alive = popen(text, "w");
	assert_non_null(realm_alive);
	close(answer[1]);
	if (read(answer[0], said, sizeof(said) - 1) <= 0 || strncmp(said, "ready", 5) != 0) {
		pclose(realm_alive);
		realm_alive = NULL;
	}
	close(answer[0]);
	if (!realm_alive)
		return;
	snprintf(text, sizeof(text), "%s/krb5.conf", realm);
	setenv("KRB5_CONFIG", text, 1);
	snprintf(text, sizeof(text), "FILE:%s/keytab", realm);
	setenv("KRB5_KTNAME", text, 1);
}

static void stop_realm(void)
{
	char text[64];

	if (realm_alive)
		pclose(realm_alive);
	snprintf(text, sizeof(text), "rm -rf %s", realm);
	assert_int_equal(system(text), 0);
}

static int negotiate(const char *ticket, struct nova_testhost **host)
{
	char text[80];

	snprintf(text, sizeof(text), "FILE:%s/%s", realm, ticket);
	setenv("KRB5CCNAME", text, 1);
	*host = lab_open(uri_of(0),
	                 (const char *const[]){"auth=negotiate", ca_file(), TEMPLATE, NULL});
	lab_expect(*host, nova_testhost_start(*host), NOVA_DONE);
	return nova_testhost_call(*host, LONG_MS, connect);
}

static void lets_in_by_a_kerberos_ticket(void **state)
{
	struct nova_testhost *host;
	struct lab_vm vm;
	int code;

	(void)state;
	if (!realm_alive) {
		print_message("no Kerberos here: see tests/peers/hyperv/realm.sh\n");
		skip();
	}
	code = negotiate("ticket", &host);
	lab_expect(host, code, NOVA_DONE);
	create_vm(host, &vm, "novacore-ticket");
	lab_delete(host, &vm);
	close_lab(host);
	code = negotiate("no-ticket", &host);
	lab_expect(host, code, NOVA_E_PERMISSION);
	lab_said(host, "klist");
	close_lab(host);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int start_peer(void **state)
{
	(void)state;
	lab_secret = SECRET;
	start_realm();
	peer_start(NULL);
	return 0;
}

static int stop_peer(void **state)
{
	json_t *calls = peer_ask("/calls");
	int failed = 0;
	size_t i;
	json_t *one;

	(void)state;
	json_array_foreach(json_object_get(calls, "rejected"), i, one)
	{
		print_error("the peer refused %s\n", json_string_value(one));
		failed = 1;
	}
	print_message("%lld messages were checked\n",
	              (long long)json_integer_value(json_object_get(calls, "total")));
	json_decref(calls);
	peer_stop();
	stop_realm();
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_and_says_what_is_possible),
	        cmocka_unit_test(names_the_rights_that_an_account_lacks),
	        cmocka_unit_test(says_what_the_host_lacks),
	        cmocka_unit_test(trusts_only_what_it_was_told_to),
	        cmocka_unit_test(refuses_a_wrong_password_without_showing_it),
	        cmocka_unit_test(refuses_impossible_parameters),
	        cmocka_unit_test(leads_a_vm_through_its_life),
	        cmocka_unit_test(refuses_orders_in_the_wrong_state),
	        cmocka_unit_test(makes_each_kind_of_disk),
	        cmocka_unit_test(says_why_a_shape_is_impossible),
	        cmocka_unit_test(deletes_a_running_vm_with_its_disks_and_no_others),
	        cmocka_unit_test(deletes_what_an_earlier_attempt_left),
	        cmocka_unit_test(takes_and_restores_checkpoints),
	        cmocka_unit_test(copies_a_vm_that_is_off),
	        cmocka_unit_test(gives_statistics_and_addresses),
	        cmocka_unit_test(makes_private_networks),
	        cmocka_unit_test(migrates_between_two_hosts),
	        cmocka_unit_test(leaves_vms_that_are_not_ours_alone),
	        cmocka_unit_test(tells_a_vm_from_another_of_its_name),
	        cmocka_unit_test(refuses_a_name_that_is_taken),
	        cmocka_unit_test(takes_odd_names_as_they_are_or_refuses_them),
	        cmocka_unit_test(lists_two_hundred_vms_by_prefix),
	        cmocka_unit_test(reports_the_text_of_a_failed_job),
	        cmocka_unit_test(says_that_a_guest_does_not_shut_down),
	        cmocka_unit_test(survives_lost_questions_but_not_lost_orders),
	        cmocka_unit_test(proves_who_it_is_again_when_asked),
	        cmocka_unit_test(refuses_answers_that_are_not_winrms),
	        cmocka_unit_test(refuses_pages_without_an_end),
	        cmocka_unit_test(gives_up_what_is_answered_too_slowly),
	        cmocka_unit_test(stops_a_slow_job_at_its_deadline),
	        cmocka_unit_test(cancels_and_stops_the_job),
	        cmocka_unit_test(waits_for_guests_through_faults),
	        cmocka_unit_test(sets_knobs_of_a_vm),
	        cmocka_unit_test(runs_programs_in_a_guest_by_ssh),
	        cmocka_unit_test(runs_no_programs_without_key_or_addresses),
	        cmocka_unit_test(lets_in_by_a_kerberos_ticket),
	        cmocka_unit_test(leads_twenty_vms_at_once_over_few_connections),
	};

	return cmocka_run_group_tests(tests, start_peer, stop_peer);
}
