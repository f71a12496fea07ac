/* SPDX-License-Identifier: MIT */
/*
 * The vSphere driver against vcsim, as a vCenter and as a host alone, behind a front that refuses
 * each request which is not exactly as the API defines it: whole lives of VMs, wrong credentials,
 * broken answers, deadlines, sessions that end, notifications that are lost, many VMs at once, and
 * VMs that are not ours. At the end no request of the whole run may have been refused as malformed.
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

#define SECRET       "Zw4n-passw0rd<&>\"of'lab"
#define GUEST_SECRET "Gu3st-pass<w&rd>'s"
#define USER         "user=bench@vsphere.local"
#define PASSWORD     "password=" SECRET

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

/* --- helpers ---------------------------------------------------------------------------------- */

static const char *trust(void)
{
	static char text[600];

	snprintf(text, sizeof(text), "ca_file=%s", peer_file("cert.pem"));
	return text;
}

/* Parameters beside uri, user, password and polling, NULL-terminated; not connected yet. */
static struct nova_testhost *open_with(const char *first, ...)
{
	const char *parameters[24];
	size_t count = 0;
	va_list more;

	parameters[count++] = USER;
	parameters[count++] = "poll_first=10ms";
	parameters[count++] = "poll_longest=50ms";
	va_start(more, first);
	for (const char *one = first; one; one = va_arg(more, const char *))
		parameters[count++] = one;
	va_end(more);
	parameters[count] = NULL;
	return lab_open(peer_uri(), parameters);
}

static struct nova_testhost *connected(struct nova_testhost *host)
{
	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

/* A connected cluster with everything configured; tasks take a moment. */
static struct nova_testhost *open_lab(void)
{
	peer_tell("/clear", "{}"); /* of a test that has failed */
	peer_tell("/settings", "{'taskMs':20,'toolsMs':20}");
	return connected(open_with(PASSWORD, trust(), "cluster=DC0_C0", "datastore=LocalDS_0",
	                           "network=VM Network", "template=debian12", "folder=lab",
	                           "tools=true", "guest_user=bench", "guest_password=" GUEST_SECRET,
	                           NULL));
}

static void close_lab(struct nova_testhost *host)
{
	peer_tell("/clear", "{}");
	lab_close(host);
}

static void assert_said(struct nova_testhost *host, const char *part)
{
	lab_said(host, part); /* nor the secret of the account */
	if (strstr(nova_testhost_error(host), "Gu3st"))
		fail_msg("a secret is in the error");
}

static const struct nova_shape from_template = {
        .struct_size = sizeof(from_template),
        .boot = NOVA_BOOT_TEMPLATE,
        .vcpus = 2,
        .memory_bytes = 64ull << 20,
};

static const struct nova_shape with_disk = {
        .struct_size = sizeof(with_disk),
        .boot = NOVA_BOOT_DISK,
        .vcpus = 3,
        .memory_bytes = (257ull << 20) + 1,
        .disk_bytes = 1ull << 20,
};

struct vm {
	char name[64], id[64];
	struct nova_ref ref;
};

static void use_id(struct vm *vm, const char *id)
{
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->ref = (struct nova_ref){
	        .struct_size = sizeof(vm->ref), .vm = 1, .name = vm->name, .id = vm->id};
}

static void create_vm(struct nova_testhost *host, struct vm *vm, const char *name)
{
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &from_template),
	           NOVA_DONE);
	assert_non_null(nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	use_id(vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
}

static void power_vm(struct nova_testhost *host, const struct vm *vm, uint32_t action)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, action), NOVA_DONE);
}

static void delete_vm(struct nova_testhost *host, const struct vm *vm)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm->ref), NOVA_DONE);
}

static int64_t state_of(struct nova_testhost *host, const struct vm *vm)
{
	int64_t state = 0;

	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm->ref, NOVA_QUERY_STATE),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STATE, 0, &state), NOVA_DONE);
	return state;
}

/* What the peer says of the VM; "" if it is not there. */
static const char *peer_fact(const char *name, const char *key)
{
	static char text[80];
	char path[200];
	json_t *vm;
	json_t *value;

	snprintf(path, sizeof(path), "/vms?%s", name);
	vm = peer_first(path);
	value = json_object_get(vm, key);
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%s", value ? json_string_value(value) : "");
	json_decref(vm);
	return text;
}

static long long count_calls(const char *method)
{
	json_t *calls = peer_ask("/calls");
	long long count =
	        json_integer_value(json_object_get(json_object_get(calls, "calls"), method));

	json_decref(calls);
	return count;
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connects_and_says_what_is_possible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const can[] = {"create",   "clone",   "start",    "shutdown",
	                                  "pause",    "reset",   "exec",     "ready",
	                                  "template", "disk",    "snapshot", "stats",
	                                  "address",  "migrate", "image",    "knobs"};
	static const char *const cannot[] = {"beat", "stub",    "direct",
	                                     "twin", "network", "post-copy"};

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "vCenter"));
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_FACT, "version"), "build-"));
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "datacenter"), "DC0");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "verified");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "rights"), "checked");
	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++) {
		if (!nova_testhost_can(host, can[i]))
			fail_msg("it cannot %s: %s", can[i],
			         nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, can[i]));
	}
	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++) {
		const char *why = nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, cannot[i]);

		assert_int_equal(nova_testhost_can(host, cannot[i]), 0);
		assert_non_null(why);
		assert_true(strlen(why) > 20);
	}
	close_lab(host);
}

static void names_the_privileges_that_are_missing(void **state)
{
	struct nova_testhost *host;

	(void)state;
	peer_tell("/settings", "{'denied':['VirtualMachine.Interact.PowerOn',"
	                       "'VirtualMachine.State.RemoveSnapshot','Resource.AssignVMToPool']}");
	host = connected(open_with(PASSWORD, trust(), "cluster=DC0_C0", NULL));
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_RESET), 1);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_START),
	                    "bench@vsphere.local lacks VirtualMachine.Interact.PowerOn");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_SNAPSHOT),
	                    "bench@vsphere.local lacks VirtualMachine.State.RemoveSnapshot");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_CREATE),
	                    "bench@vsphere.local lacks Resource.AssignVMToPool");
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_EXEC),
	                       "hypervisor.vsphere.tools"));
	peer_tell("/settings", "{}");
	close_lab(host);
}

static int connect_with(const char *whom, const char *password, char error[512])
{
	struct nova_testhost *host = open_with(password, whom, "cluster=DC0_C0", NULL);
	int status;

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	status = nova_testhost_call(host, LONG_MS, connect);
	snprintf(error, 512, "%s", nova_testhost_error(host));
	if (status == NOVA_DONE && strncmp(whom, "insecure", 8) == 0) {
		lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
		assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "insecure");
	}
	close_lab(host);
	return status;
}

static void trusts_only_what_it_was_told_to(void **state)
{
	char whom[600], error[512];

	(void)state;
	snprintf(whom, sizeof(whom), "ca_file=%s", peer_file("other.pem"));
	assert_int_equal(connect_with(whom, PASSWORD, error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "ca_file"));
	/* the system's authorities do not know it */
	assert_int_equal(connect_with("insecure=false", PASSWORD, error), NOVA_E_PERMISSION);
	assert_int_equal(connect_with("insecure=true", PASSWORD, error), NOVA_DONE);
	snprintf(whom, sizeof(whom), "fingerprint=%s", peer_fingerprint());
	assert_int_equal(connect_with(whom, PASSWORD, error), NOVA_DONE);
	whom[12] = whom[12] == '0' ? '1' : '0';
	assert_int_equal(connect_with(whom, PASSWORD, error), NOVA_E_PERMISSION);
}

static void refuses_a_wrong_password_without_showing_it(void **state)
{
	char error[512];

	(void)state;
	assert_int_equal(connect_with(trust(), "password=very<wrong>secret", error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "InvalidLogin"));
	assert_non_null(strstr(error, "user and password"));
	assert_null(strstr(error, "very"));
	/* even if the peer sends it back, as it was sent */
	peer_tell("/fault", "{'match':'Login','garbage':'<x>you sent Zw4n-passw0rd&lt;&amp;&gt;"
	                    "&quot;of&#39;lab</x>'}");
	assert_int_equal(connect_with(trust(), PASSWORD, error), NOVA_E_PROTOCOL);
	assert_null(strstr(error, "Zw4n"));
}

static int start_with(const char *uri, const char *user, const char *more)
{
	const char *parameters[] = {uri, user, PASSWORD, more, NULL};
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
	static const char good[] = "uri=https://127.0.0.1:8989/sdk/";

	(void)state;
	assert_int_equal(start_with(good, USER, NULL), NOVA_DONE);
	assert_int_equal(start_with("uri=http://127.0.0.1", USER, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://", USER, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https:///sdk", USER, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://a@b", USER, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://a/ui/sdk", USER, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "user=", NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, USER, "fingerprint=AB:CD"), NOVA_E_INVALID);
}

static void place_is_wrong(const char *first, const char *second, int wanted, const char *said)
{
	struct nova_testhost *host = open_with(PASSWORD, trust(), first, second, NULL);

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), wanted);
	assert_said(host, said);
	close_lab(host);
}

static void names_what_there_is_to_choose_from(void **state)
{
	(void)state;
	place_is_wrong(NULL, NULL, NOVA_E_INVALID,
	               "several: set hypervisor.vsphere.cluster to one of DC0_");
	place_is_wrong("cluster=DC0_C9", NULL, NOVA_E_NOT_FOUND, "no 'DC0_C9'");
	place_is_wrong("datacenter=DC7", NULL, NOVA_E_NOT_FOUND, "no 'DC7'");
	place_is_wrong("cluster=DC0_C0", "host=esx9", NOVA_E_NOT_FOUND, "it has DC0_C0_H");
	place_is_wrong("cluster=DC0_C0", "datastore=nfs", NOVA_E_NOT_FOUND, "it has LocalDS_0");
	place_is_wrong("cluster=DC0_C0", "network=dmz", NOVA_E_NOT_FOUND, "VM Network");
	place_is_wrong("cluster=DC0_C0", "folder=none", NOVA_E_NOT_FOUND, "folder");
	place_is_wrong("cluster=DC0_C0", "folder=debian12", NOVA_E_INVALID, "not a Folder");
	place_is_wrong("cluster=DC0_C0", "pool=DC0_C0", NOVA_E_INVALID, "not a ResourcePool");
	place_is_wrong("cluster=DC0_C0", "template=lab", NOVA_E_INVALID, "not a VirtualMachine");
}

static void takes_places_by_their_paths(void **state)
{
	struct nova_testhost *host = connected(open_with(
	        PASSWORD, trust(), "datacenter=DC0", "cluster=DC0_C0", "host=DC0_C0_H1",
	        "pool=DC0_C0/Resources", "network=DC0_DVPG0", "datastore=LocalDS_0", NULL));
	struct vm vm = {.name = "novacore-placed"};

	(void)state;
	/* its card is at a port of a distributed switch */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &with_disk),
	           NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_string_equal(peer_fact(vm.name, "power"), "poweredOff");
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- lives of VMs ----------------------------------------------------------------------------- */

static void assert_seen(const struct nova_event *event)
{
	assert_non_null(event);
	assert_true(event->source == NOVA_SOURCE_WATCH || event->source == NOVA_SOURCE_POLL ||
	            event->source == NOVA_SOURCE_TOOLS);
	assert_true(event->resolution_ns > 0);
	assert_true(event->t_ns > 0);
}

static void leads_a_vm_through_its_life(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	int64_t started = 0, latency = 0;
	size_t before;
	const struct nova_event *running;

	(void)state;
	create_vm(host, &vm, "novacore-life");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_API_NS, 0, &latency), NOVA_DONE);
	assert_true(latency > 1000); /* no server answers in less */
	assert_string_equal(peer_fact(vm.name, "id"), vm.id);
	assert_int_equal(state_of(host, &vm), NOVA_STATE_OFF);

	power_vm(host, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STARTED_NS, 0, &started), NOVA_DONE);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_seen(running);
	assert_true(running->t_ns > started);
	assert_true(running->t_ns - running->resolution_ns >= started);
	assert_seen(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_int_equal(state_of(host, &vm), NOVA_STATE_RUNNING);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_BUSY);
	assert_said(host, "poweredOn");

	power_vm(host, &vm, NOVA_POWER_PAUSE);
	assert_seen(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_PAUSED, 0));
	assert_int_equal(state_of(host, &vm), NOVA_STATE_PAUSED);
	power_vm(host, &vm, NOVA_POWER_RESUME);
	assert_seen(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RESUMED, 0));
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_RESUME),
	           NOVA_E_BUSY);
	before = nova_testhost_event_count(host);
	power_vm(host, &vm, NOVA_POWER_RESET);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_seen(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_seen(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));

	power_vm(host, &vm, NOVA_POWER_SHUTDOWN);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_SHUTDOWN, 0));
	assert_seen(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_string_equal(peer_fact(vm.name, "power"), "poweredOff");
	power_vm(host, &vm, NOVA_POWER_SHUTDOWN); /* off already */
	power_vm(host, &vm, NOVA_POWER_OFF);

	delete_vm(host, &vm);
	assert_string_equal(peer_fact(vm.name, "id"), "");
	delete_vm(host, &vm); /* not there already */
	close_lab(host);
}

/* A task of some length: its end is told, and not found by asking on and on. */
static void is_told_of_the_end_of_a_task(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	const struct nova_event *running;
	long long asked;

	(void)state;
	create_vm(host, &vm, "novacore-told");
	peer_tell("/settings", "{'taskMs':1500,'toolsMs':-1}");
	asked = count_calls("RetrievePropertiesEx");
	power_vm(host, &vm, NOVA_POWER_START);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_non_null(running);
	assert_int_equal(running->source, NOVA_SOURCE_WATCH);
	/* the VM, the running task, news that it is known of and that it has ended, and maybe the
	 * question in case that the server forgets to tell */
	assert_true(count_calls("RetrievePropertiesEx") - asked <= 6);
	delete_vm(host, &vm);
	close_lab(host);
}

static void asks_by_itself_where_nothing_is_told(void **state)
{
	struct nova_testhost *host;
	struct vm vm;

	(void)state;
	peer_tell("/fault",
	          "{'match':'CreatePropertyCollector','fault':'NotSupported','times':99}");
	peer_tell("/settings", "{'taskMs':60}");
	host = connected(open_with(PASSWORD, trust(), "cluster=DC0_C0", "template=debian12", NULL));
	create_vm(host, &vm, "novacore-untold");
	power_vm(host, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0)->source,
	                 NOVA_SOURCE_POLL);
	delete_vm(host, &vm);
	close_lab(host);
}

static void goes_on_when_notifications_are_lost(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	long long made = count_calls("CreatePropertyCollector");

	(void)state;
	create_vm(host, &vm, "novacore-deaf");
	peer_tell("/settings", "{'taskMs':400}");
	peer_tell("/fault", "{'match':'WaitForUpdatesEx','drop':'before'}");
	power_vm(host, &vm, NOVA_POWER_START);
	power_vm(host, &vm, NOVA_POWER_OFF);
	peer_tell("/fault", "{'match':'WaitForUpdatesEx','garbage':'<x/>'}");
	power_vm(host, &vm, NOVA_POWER_START);
	delete_vm(host, &vm);
	/* there is a new one */
	for (int i = 0; i < 100 && count_calls("CreatePropertyCollector") == made; i++)
		usleep(50000);
	assert_true(count_calls("CreatePropertyCollector") > made);
	close_lab(host);
}

static void takes_and_restores_snapshots(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	size_t before;

	(void)state;
	create_vm(host, &vm, "novacore-snap");
	power_vm(host, &vm, NOVA_POWER_START);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_CREATE),
	        NOVA_DONE);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_CREATE),
	        NOVA_E_EXISTS);
	assert_said(host, "has a snapshot 'warm' already");
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "50%/\xc3\xa4",
	                              NOVA_SNAPSHOT_CREATE),
	           NOVA_DONE);
	assert_string_equal(peer_fact(vm.name, "snapshots"), "2"); /* one upon the other */
	before = nova_testhost_event_count(host);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_RESTORE),
	        NOVA_DONE);
	assert_seen(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_seen(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "50%/\xc3\xa4",
	                              NOVA_SNAPSHOT_DELETE),
	           NOVA_DONE);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_DELETE),
	        NOVA_DONE);
	assert_string_equal(peer_fact(vm.name, "snapshots"), "0");
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_RESTORE),
	        NOVA_E_NOT_FOUND);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "a\tb", NOVA_SNAPSHOT_DELETE),
	        NOVA_E_INVALID);
	delete_vm(host, &vm);
	close_lab(host);
}

static void makes_vms_with_disks_and_from_other_vms(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm = {.name = "novacore-disk"}, copy = {.name = "novacore-copy"};

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &with_disk),
	           NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_string_equal(peer_fact(vm.name, "cpus"), "3");
	assert_string_equal(peer_fact(vm.name, "memory"), "260"); /* the next that vSphere takes */
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, copy.name, &vm.ref, &from_template),
	           NOVA_DONE);
	use_id(&copy, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_true(strcmp(copy.id, vm.id) != 0);
	delete_vm(host, &copy);
	delete_vm(host, &vm);
	close_lab(host);
}

static void links_clones_to_a_snapshot(void **state)
{
	struct nova_testhost *host = connected(open_with(PASSWORD, trust(), "cluster=DC0_C0",
	                                                 "template=debian12", "linked=true", NULL));
	struct nova_shape shape = from_template;
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-linked");
	delete_vm(host, &vm);
	shape.image = "DC0_C0_RP0_VM0"; /* has none */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_INVALID);
	assert_said(host, "no snapshot to link clones to");
	close_lab(host);
}

static size_t count_files(void)
{
	json_t *files = peer_ask("/files");
	size_t count = json_object_size(files);

	json_decref(files);
	return count;
}

/* A raw disk of 1 MiB in a file of its own; the caller removes it. */
static void make_raw(char path[])
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a boot sector of the test", 25), 25);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void gives_vms_copies_of_an_image(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = with_disk;
	struct vm vm = {.name = "novacore-of-image"};
	char path[] = "/tmp/novacore-raw-XXXXXX";
	size_t before;

	(void)state;
	make_raw(path);
	before = count_files();
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_DONE);
	assert_int_equal(count_files(), before + 3); /* a directory and two files */
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_E_EXISTS);
	shape.image = "novacore-image";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape),
	           NOVA_E_UNSUPPORTED);
	assert_said(host, "has its size");
	shape.disk_bytes = 0;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	power_vm(host, &vm, NOVA_POWER_START);
	delete_vm(host, &vm);
	assert_int_equal(count_files(), before + 3); /* and the copy is gone */
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	assert_int_equal(count_files(), before);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	unlink(path);
	close_lab(host);
}

static void refuses_what_can_be_no_image(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = with_disk;
	char path[] = "/tmp/novacore-raw-XXXXXX";

	(void)state;
	make_raw(path);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "debian", path),
	           NOVA_E_REFUSED);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-/../x", path),
	           NOVA_E_REFUSED);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "debian12"),
	           NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, image_put, "novacore-x", "/no/such/file"),
	           NOVA_E_NOT_FOUND);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, image_put, "novacore-x", "/etc/hostname"),
	           NOVA_E_INVALID);
	assert_said(host, "convert it");
	shape.disk_bytes = 0;
	shape.image = "somebody's";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_UNSUPPORTED);
	shape.image = "novacore-none";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_NOT_FOUND);
	/* what the op that failed has left, a sweep finds by its name */
	struct nova_ref left = {.struct_size = sizeof(left), .vm = 1, .name = "novacore-x"};
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &left), NOVA_DONE);
	peer_tell("/fault", "{'match':'PUT /folder/.*-flat','times':1,'status':507}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-x", path),
	           NOVA_E_FULL);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-x"), NOVA_DONE);
	unlink(path);
	close_lab(host);
}

/* A copy that cannot be attached is deleted: with the VM it would not go. */
static void deletes_a_copy_that_cannot_be_attached(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = with_disk;
	struct vm vm = {.name = "novacore-unattached"};
	char path[] = "/tmp/novacore-raw-XXXXXX";
	size_t before;

	(void)state;
	make_raw(path);
	before = count_files();
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_DONE);
	shape.image = "novacore-image";
	shape.disk_bytes = 0;
	peer_tell("/fault", "{'match':'ReconfigVM_Task','times':1,'task':'InvalidDeviceSpec'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape),
	           NOVA_E_FAILED);
	assert_said(host, "could not be attached");
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	delete_vm(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	assert_int_equal(count_files(), before);
	unlink(path);
	close_lab(host);
}

static void turns_knobs(void **state)
{
	static const char *const two[] = {"vm.cpu.shares=4000", "vm.memory.reservation=32", NULL};
	static const char *const values[][2] = {
	        {"vm.cpu.shares", "500"},  {"vm.cpu.reservation", "100"},
	        {"vm.cpu.limit", "-1"},    {"vm.cpu.shares", "low"},
	        {"vm.memory.limit", "64"}, {"vm.latency.sensitivity", "high"}};
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = with_disk;
	struct vm vm = {.name = "novacore-knobs"};

	(void)state;
	shape.knobs = two;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_list, &vm.ref), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.shares"), "4000");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.memory.reservation"),
	                    "32");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, values[i][0],
		                              values[i][1]),
		           NOVA_DONE);
		lab_expect(host, nova_testhost_call(host, LONG_MS, knob_get, &vm.ref, values[i][0]),
		           NOVA_DONE);
		assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, values[i][0]),
		                    values[i][1]);
	}
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.cpu.shares", "many"),
	           NOVA_E_INVALID);
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.cpu.shares", "0"),
	           NOVA_E_INVALID);
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_get, &vm.ref, "vm.disk.cache"),
	           NOVA_E_NOT_FOUND);
	delete_vm(host, &vm);
	close_lab(host);
}

static void says_why_a_shape_is_impossible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const knobs[] = {"vm.disk.cache=none", NULL};
	struct nova_shape shape = from_template;

	(void)state;
	shape.boot = NOVA_BOOT_DIRECT;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_UNSUPPORTED);
	assert_said(host, "without a disk");
	shape.boot = NOVA_BOOT_TEMPLATE;
	shape.knobs = knobs;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_UNSUPPORTED);
	shape.knobs = NULL;
	shape.image = "no-such-template";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_NOT_FOUND);
	assert_said(host, "no-such-template");
	close_lab(host);
}

static void lists_by_prefix_and_finds_by_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm one, two;

	(void)state;
	create_vm(host, &one, "novacore-list-1");
	create_vm(host, &two, "novacore-list-%2f/\\<&\xc3\xa4'\"");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-list-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 2);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_VM, one.name), one.id);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_VM, two.name), two.id);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "debian"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0); /* a template is no VM */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, ""), NOVA_E_INVALID);
	two.ref.id = NULL;
	delete_vm(host, &two);
	one.ref.id = NULL;
	delete_vm(host, &one);
	delete_vm(host, &one);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &one.ref, NOVA_POWER_START),
	           NOVA_E_NOT_FOUND);
	close_lab(host);
}

static void refuses_names_that_would_be_others(void **state)
{
	struct nova_testhost *host = open_lab();
	char name[200] = "novacore-";
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = name};

	(void)state;
	memset(name + 9, 'l', 72); /* 81 in all */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &from_template),
	           NOVA_E_INVALID);
	assert_said(host, "81 characters");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_INVALID);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-\xff", &from_template),
	           NOVA_E_INVALID);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-a\nb", &from_template),
	           NOVA_E_INVALID);
	ref.name = "novacore-x";
	ref.id = "vm-1</obj><obj>";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_INVALID);
	close_lab(host);
}

static void gives_statistics(void **state)
{
	struct nova_testhost *host = open_lab();
	static const uint32_t sums[] = {NOVA_FIELD_CPU_NS, NOVA_FIELD_DISK_READ_BYTES,
	                                NOVA_FIELD_DISK_WRITE_BYTES, NOVA_FIELD_NET_RX_BYTES,
	                                NOVA_FIELD_NET_TX_BYTES};
	long long asked = count_calls("QueryPerf");
	struct vm vm;
	int64_t value = 0;

	(void)state;
	create_vm(host, &vm, "novacore-stats");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 64ll << 20);
	/* a VM that is off has no counters, and none are invented */
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_CPU_NS), 0);
	power_vm(host, &vm, NOVA_POWER_START);
	for (int i = 0; i < 2; i++) { /* what they are called is asked for once */
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
		           NOVA_DONE);
		for (size_t j = 0; j < sizeof(sums) / sizeof(sums[0]); j++) {
			assert_int_equal(nova_testhost_count(host, sums[j]), 1);
			assert_int_equal(nova_testhost_i64(host, sums[j], 0, &value), NOVA_DONE);
			assert_true(value >= 0);
		}
		/* one sample of 20 s on the VM's one CPU, as vcsim makes them up */
		assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_CPU_NS, 0, &value), NOVA_DONE);
		assert_true(value > 0 && value % 1000000 == 0);
	}
	assert_int_equal(count_calls("QueryPerf"), asked + 2);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	           NOVA_DONE);
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- exec ------------------------------------------------------------------------------------- */

static int run(struct nova_testhost *host, const struct vm *vm, const char *const *argv,
               const char *input, int64_t timeout_ms)
{
	struct nova_exec exec = {.struct_size = sizeof(exec),
	                         .argv = argv,
	                         .env = (const char *const[]){"LAB=a 'b' $c", NULL},
	                         .input = input,
	                         .input_bytes = input ? strlen(input) : 0};

	return nova_testhost_call(host, timeout_ms, exec, &vm->ref, &exec);
}

static void runs_programs_in_a_guest(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	int64_t value = 0;

	(void)state;
	create_vm(host, &vm, "novacore-exec");
	lab_expect(host, run(host, &vm, (const char *const[]){"true", NULL}, NULL, LONG_MS),
	           NOVA_E_BUSY);
	assert_said(host, "GuestOperationsUnavailable");
	power_vm(host, &vm, NOVA_POWER_START);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_expect(host,
	           run(host, &vm, (const char *const[]){"echo", "a  b", "'&<=%\"\\;$x`", NULL},
	               NULL, LONG_MS),
	           NOVA_DONE);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL),
	                    "a  b '&<=%\"\\;$x`\n");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 0);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_GUEST_PID), 1);
	lab_expect(host, run(host, &vm, (const char *const[]){"cat", NULL}, "in\nput", LONG_MS),
	           NOVA_DONE);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "in\nput");
	lab_expect(host,
	           run(host, &vm, (const char *const[]){"sh", "-c", "echo $LAB >&2; exit 7", NULL},
	               NULL, LONG_MS),
	           NOVA_DONE);
	nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value);
	assert_int_equal(value, 7);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDERR, NULL), "a 'b' $c\n");
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_STDOUT), 0);
	lab_expect(host, run(host, &vm, (const char *const[]){"nonesuch", NULL}, NULL, LONG_MS),
	           NOVA_DONE);
	nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value);
	assert_int_equal(value, 127);
	lab_expect(host, run(host, &vm, (const char *const[]){"sleep", "60", NULL}, NULL, 400),
	           NOVA_E_TIMEOUT);
	assert_said(host, "told to stop");
	delete_vm(host, &vm);
	close_lab(host);
}

static void a_wrong_account_in_the_guest_is_not_shown(void **state)
{
	struct nova_testhost *host;
	struct vm vm;

	(void)state;
	peer_tell("/settings", "{'toolsMs':1}");
	host = connected(open_with(PASSWORD, trust(), "cluster=DC0_C0", "template=debian12",
	                           "tools=true", "guest_user=bench", "guest_password=Gu3st-wrong",
	                           NULL));
	create_vm(host, &vm, "novacore-account");
	power_vm(host, &vm, NOVA_POWER_START);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_expect(host, run(host, &vm, (const char *const[]){"true", NULL}, NULL, LONG_MS),
	           NOVA_E_PERMISSION);
	assert_said(host, "InvalidGuestLogin");
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void reports_the_fault_of_a_failed_task(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-fail");
	peer_tell("/fault", "{'match':'PowerOnVM_Task','task':'InsufficientMemoryResourcesFault'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_FULL);
	assert_said(host, "PowerOnVM_Task");
	assert_said(host, "InsufficientMemoryResourcesFault");
	assert_int_equal(nova_testhost_event_count(host), 0);
	peer_tell("/fault", "{'match':'PowerOnVM_Task','fault':'RestrictedVersion'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_UNSUPPORTED);
	assert_said(host, "licence");
	peer_tell("/fault", "{'match':'CloneVM_Task','task':'NoDiskSpace'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &from_template),
	           NOVA_E_FULL);
	assert_said(host, "LocalDS_0");
	delete_vm(host, &vm);
	close_lab(host);
}

static void assert_untouched(struct nova_testhost *host, const struct nova_ref *ref)
{
	static const uint32_t actions[] = {NOVA_POWER_START, NOVA_POWER_SHUTDOWN,
	                                   NOVA_POWER_OFF,   NOVA_POWER_RESET,
	                                   NOVA_POWER_PAUSE, NOVA_POWER_RESUME};
	static const char *const program[] = {"true", NULL};
	static const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = program};

	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, ref), NOVA_E_REFUSED);
	assert_said(host, "not ours");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, ref, actions[i]),
		           NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_CREATE),
	           NOVA_E_REFUSED);
	lab_expect(host, nova_testhost_call(host, LONG_MS, exec, ref, &exec), NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-y", ref, &from_template),
	           NOVA_E_REFUSED);
}

static void leaves_foreign_vms_alone(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char wish[200], back[200];
	struct nova_ref foreign = {.struct_size = sizeof(foreign), .name = "DC0_C0_RP0_VM0"};
	char id[80];

	(void)state;
	create_vm(host, &vm, "novacore-mine");
	snprintf(wish, sizeof(wish), "{'id':'%s','name':'payroll'}", vm.id);
	snprintf(back, sizeof(back), "{'id':'%s','name':'%s'}", vm.id, vm.name);
	peer_tell("/rename", wish); /* its number is somebody else's by now */
	assert_untouched(host, &vm.ref);
	assert_string_equal(peer_fact("payroll", "power"), "poweredOff");
	peer_tell("/rename", back);
	delete_vm(host, &vm);

	/* and one that we are even asked for by its right name, but that has not our prefix */
	snprintf(id, sizeof(id), "%s", peer_fact("DC0_C0_RP0_VM0", "id"));
	foreign.id = id;
	assert_untouched(host, &foreign);
	assert_string_equal(peer_fact("DC0_C0_RP0_VM0", "power"), "poweredOn");
	/* a template is not touched, whatever it is called */
	snprintf(id, sizeof(id), "%s", peer_fact("debian12", "id"));
	snprintf(wish, sizeof(wish), "{'id':'%s','name':'novacore-template'}", id);
	snprintf(back, sizeof(back), "{'id':'%s','name':'debian12'}", id);
	peer_tell("/rename", wish);
	foreign.name = "novacore-template";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &foreign), NOVA_E_REFUSED);
	peer_tell("/rename", back);
	close_lab(host);
}

static void survives_lost_questions_but_not_lost_orders(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	long long sent;

	(void)state;
	create_vm(host, &vm, "novacore-lost");
	peer_tell("/fault", "{'match':'RetrievePropertiesEx','drop':'before','times':1}");
	peer_tell("/fault", "{'match':'RetrievePropertiesEx','status':503,'times':1}");
	power_vm(host, &vm, NOVA_POWER_START);
	sent = count_calls("PowerOffVM_Task");
	peer_tell("/fault", "{'match':'PowerOffVM_Task','drop':'after'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	           NOVA_E_UNKNOWN);
	assert_said(host, "PowerOffVM_Task");
	assert_said(host, "not sent again");
	assert_int_equal(count_calls("PowerOffVM_Task"), sent + 1);
	delete_vm(host, &vm);
	close_lab(host);
}

static void refuses_answers_that_are_not_vspheres(void **state)
{
	static const struct {
		const char *wish, *said;
		int status;
	} cases[] = {
	        {"'garbage':'<html>Welcome to nginx</html>'", "not vSphere's", NOVA_E_PROTOCOL},
	        {"'garbage':'{}'", "not well-formed", NOVA_E_PROTOCOL},
	        {"'garbage':'<!DOCTYPE a [<!ENTITY b \\'c\\'>]><a>&b;</a>'", "document type",
	         NOVA_E_PROTOCOL},
	        {"'garbage':'<a/>'", "does not answer what was asked", NOVA_E_PROTOCOL},
	        {"'size':17000000", "longer than is accepted", NOVA_E_PROTOCOL},
	        {"'drop':'middle','times':3", "RetrievePropertiesEx", NOVA_E_UNAVAILABLE},
	        {"'status':503,'times':3", "503", NOVA_E_UNAVAILABLE},
	        {"'status':404", "is this a vCenter", NOVA_E_NOT_FOUND},
	        {"'location':'https://127.0.0.2:1/evil'", "a redirect to https://127.0.0.2:1/evil",
	         NOVA_E_PROTOCOL},
	        {"'fault':'NoPermission'", "role", NOVA_E_PERMISSION},
	};
	struct nova_testhost *host = open_lab();
	char wish[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(wish, sizeof(wish), "{'match':'RetrievePropertiesEx',%s}", cases[i].wish);
		peer_tell("/fault", wish);
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"),
		           cases[i].status);
		assert_said(host, cases[i].said);
	}
	peer_tell("/fault", "{'match':'RetrievePropertiesEx','slow_ms':1}"); /* byte by byte */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"), NOVA_DONE);
	close_lab(host);
}

static void refuses_a_task_that_is_none(void **state)
{
	static const char *const wishes[] = {
	        "{'match':'PowerOnVM_Task','garbage':'<e:Envelope xmlns:e=\\'http://"
	        "schemas.xmlsoap.org/soap/envelope/\\'><e:Body><PowerOnVM_TaskResponse "
	        "xmlns=\\'urn:vim25\\'/></e:Body></e:Envelope>'}",
	        "{'match':'PowerOnVM_Task','garbage':'<e:Envelope xmlns:e=\\'http://"
	        "schemas.xmlsoap.org/soap/envelope/\\'><e:Body><PowerOnVM_TaskResponse "
	        "xmlns=\\'urn:other\\'><returnval type=\\'Task\\'>task-1</returnval>"
	        "</PowerOnVM_TaskResponse></e:Body></e:Envelope>'}",
	};
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-none");
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		peer_tell("/fault", wishes[i]);
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
		           NOVA_E_PROTOCOL);
	}
	delete_vm(host, &vm);
	close_lab(host);
}

static void stops_a_slow_task_at_its_deadline(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	long long cancels = count_calls("CancelTask");

	(void)state;
	create_vm(host, &vm, "novacore-slow");
	peer_tell("/settings", "{'taskMs':60000}");
	lab_expect(host, nova_testhost_call(host, 400, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_TIMEOUT);
	assert_said(host, "told to stop");
	assert_int_equal(nova_testhost_ended(host), 1);
	/* a clone that is given up leaves nothing */
	lab_expect(host,
	           nova_testhost_call(host, 400, vm_create, "novacore-slow-2", &from_template),
	           NOVA_E_TIMEOUT);
	assert_int_equal(count_calls("CancelTask"), cancels + 2);
	peer_tell("/settings", "{'taskMs':20}");
	assert_string_equal(peer_fact(vm.name, "power"), "poweredOff");
	delete_vm(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-slow"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	close_lab(host);
}

static void ends_when_the_peer_does_not_answer_at_all(void **state)
{
	struct nova_testhost *host = open_lab();

	(void)state;
	peer_tell("/fault", "{'match':'RetrievePropertiesEx','delay_ms':3000}");
	lab_expect(host, nova_testhost_call(host, 200, vm_list, "novacore-"), NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
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

static void cancels_and_stops_the_task(void **state)
{
	struct nova_testhost *host = open_lab();
	struct canceller canceller = {.host = host};
	long long cancels = count_calls("CancelTask");
	pthread_t thread;
	int returned;

	(void)state;
	peer_tell("/settings", "{'taskMs':60000}");
	canceller.op = nova_testhost_begin(host, LONG_MS);
	returned = nova_testhost_ops(host)->vm_create(nova_testhost_self(host), canceller.op,
	                                              "novacore-cancelled", &from_template);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
	lab_expect(host, nova_testhost_end(host, returned), NOVA_E_CANCELLED);
	assert_int_equal(nova_testhost_ended(host), 1);
	pthread_join(thread, NULL);
	assert_int_equal(count_calls("CancelTask"), cancels + 1);
	close_lab(host);
}

static void waits_for_another_task_before_it_deletes(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-locked");
	peer_tell("/fault", "{'match':'Destroy_Task','task':'TaskInProgress'}");
	peer_tell("/fault", "{'match':'Destroy_Task','fault':'TaskInProgress'}");
	delete_vm(host, &vm);
	assert_string_equal(peer_fact(vm.name, "id"), "");
	close_lab(host);
}

static void logs_out_at_the_end(void **state)
{
	long long logins = count_calls("Login"), logouts = count_calls("Logout");
	struct nova_testhost *host = open_lab();

	(void)state;
	close_lab(host);
	assert_int_equal(count_calls("Logout"), logouts + 1);
	assert_int_equal(count_calls("Login"), logins + 1);
}

static void logs_in_again_when_the_session_has_ended(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	long long logins;

	(void)state;
	create_vm(host, &vm, "novacore-session");
	logins = count_calls("Login");
	peer_tell("/expire", "{}");
	power_vm(host, &vm, NOVA_POWER_START);
	assert_int_equal(count_calls("Login"), logins + 1);
	peer_tell("/expire", "{}");
	delete_vm(host, &vm);
	assert_int_equal(count_calls("Login"), logins + 2);
	/* and says so where it is not let in any more */
	peer_tell("/fault", "{'match':'Login','fault':'InvalidLogin','times':50}");
	peer_tell("/expire", "{}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"),
	           NOVA_E_PERMISSION);
	assert_said(host, "the session has ended");
	assert_said(host, "InvalidLogin");
	close_lab(host);
}

/* --- many ------------------------------------------------------------------------------------- */

#define MANY 20

struct worker {
	struct nova_testhost *host;
	struct vm vm;
	int status;
	char error[200];
};

static int live(struct worker *worker)
{
	struct nova_testhost *host = worker->host;
	struct vm *vm = &worker->vm;
	int status = nova_testhost_call(host, LONG_MS, vm_create, vm->name, &from_template);

	if (status != NOVA_DONE)
		return status;
	use_id(vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	status = nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, NOVA_POWER_START);
	if (status != NOVA_DONE)
		return status;
	status = nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, NOVA_POWER_SHUTDOWN);
	if (status != NOVA_DONE)
		return status;
	return nova_testhost_call(host, LONG_MS, vm_delete, &vm->ref);
}

static void *work(void *context)
{
	struct worker *worker = context;

	worker->status = live(worker);
	snprintf(worker->error, sizeof(worker->error), "%s", nova_testhost_error(worker->host));
	return NULL;
}

static void leads_twenty_vms_at_once(void **state)
{
	static struct worker workers[MANY];
	pthread_t threads[MANY];
	struct nova_testhost *host = open_lab();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		workers[i].host = host;
		snprintf(workers[i].vm.name, sizeof(workers[i].vm.name), "novacore-many-%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < MANY; i++) {
		if (workers[i].status != NOVA_DONE)
			fail_msg("VM %d: %d %s", i, workers[i].status, workers[i].error);
		assert_seen(nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_RUNNING, 0));
		assert_seen(nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_STOPPED, 0));
		for (int k = 0; k < i; k++)
			assert_true(strcmp(workers[k].vm.id, workers[i].vm.id) != 0);
		assert_string_equal(peer_fact(workers[i].vm.name, "id"), "");
	}
	close_lab(host);
}

static void refuses_a_name_that_is_taken(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm, other;

	(void)state;
	create_vm(host, &vm, "novacore-taken");
	create_vm(host, &other, "novacore-other");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &from_template),
	           NOVA_E_EXISTS);
	assert_said(host, "has the name 'novacore-taken' already");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &with_disk),
	           NOVA_E_EXISTS);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, vm.name, &other.ref, &from_template),
	           NOVA_E_EXISTS);
	/* and where somebody takes it at the last moment */
	peer_tell("/fault", "{'match':'CloneVM_Task','fault':'DuplicateName'}");
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-new", &from_template),
	           NOVA_E_EXISTS);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 2);
	delete_vm(host, &vm);
	delete_vm(host, &other);
	close_lab(host);
}

/* --- migration -------------------------------------------------------------------------------- */

static struct nova_testhost *open_host(const char *name)
{
	return connected(open_with(PASSWORD, trust(), "cluster=DC0_C0", "template=debian12",
	                           "datastore=LocalDS_0", name, NULL));
}

static int move(struct nova_testhost *from, struct nova_testhost *to, const struct vm *vm,
                struct nova_migrate how)
{
	char ticket[1000];

	lab_expect(to, nova_testhost_call(to, LONG_MS, migrate_prepare, &vm->ref, &from_template),
	           NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(to, NOVA_FIELD_TICKET, ""));
	how.struct_size = sizeof(how);
	how.ticket = ticket;
	return nova_testhost_call(from, LONG_MS, migrate, &vm->ref, &how);
}

static void moves_a_vm_between_hosts(void **state)
{
	struct nova_testhost *one = open_host("host=DC0_C0_H0");
	struct nova_testhost *two = open_host("host=DC0_C0_H1");
	struct vm vm;
	char before[80];
	struct nova_migrate odd = {.struct_size = sizeof(odd), .ticket = "x"};

	(void)state;
	create_vm(one, &vm, "novacore-moved");
	power_vm(one, &vm, NOVA_POWER_START);
	lab_expect(two, move(two, one, &vm, (struct nova_migrate){0}),
	           NOVA_DONE); /* to the first */
	snprintf(before, sizeof(before), "%s", peer_fact(vm.name, "host"));
	lab_expect(one, move(one, one, &vm, (struct nova_migrate){0}), NOVA_E_INVALID);
	assert_said(one, "is on");
	lab_expect(one, move(one, two, &vm, (struct nova_migrate){0}), NOVA_DONE);
	assert_seen(nova_testhost_wait(one, 0, vm.name, NOVA_EVENT_MIGRATED, 0));
	assert_true(strcmp(before, peer_fact(vm.name, "host")) != 0);
	lab_expect(two,
	           nova_testhost_call(two, LONG_MS, migrate_finish, &vm.ref, "", NOVA_MIGRATED),
	           NOVA_DONE);
	assert_string_equal(nova_testhost_fact(two, NOVA_FIELD_ID, ""), vm.id);
	lab_expect(one,
	           nova_testhost_call(one, LONG_MS, migrate_finish, &vm.ref, "", NOVA_MIGRATED),
	           NOVA_E_FAILED);
	assert_int_equal(state_of(two, &vm), NOVA_STATE_RUNNING);

	lab_expect(one, move(one, two, &vm, (struct nova_migrate){.channels = 4}),
	           NOVA_E_UNSUPPORTED);
	lab_expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &odd), NOVA_E_INVALID);
	odd.ticket = "another-vcenter resgroup-1 host-1 -";
	lab_expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &odd),
	           NOVA_E_UNSUPPORTED);
	assert_said(one, "another vCenter");
	delete_vm(two, &vm);
	close_lab(one);
	close_lab(two);
}

/* --- a host alone ----------------------------------------------------------------------------- */

static void a_host_alone_does_what_it_can(void **state)
{
	struct nova_testhost *host =
	        connected(open_with(PASSWORD, trust(), "network=VM Network", "tools=true", NULL));
	struct vm vm = {.name = "novacore-alone"};

	(void)state;
	peer_tell("/settings", "{'taskMs':20}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "ESX"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_DISK), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_CREATE), 1);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_CLONE),
	                       "without vCenter"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_MIGRATE), 0);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &with_disk),
	           NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	power_vm(host, &vm, NOVA_POWER_START);
	assert_seen(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "s", NOVA_SNAPSHOT_CREATE),
	           NOVA_DONE);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-c", &vm.ref, &with_disk),
	           NOVA_E_UNSUPPORTED);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-c", &from_template),
	           NOVA_E_UNSUPPORTED);
	delete_vm(host, &vm);
	assert_string_equal(peer_fact(vm.name, "id"), "");
	close_lab(host);
}

static void a_host_alone_gives_vms_copies_of_an_image(void **state)
{
	struct nova_testhost *host = connected(open_with(PASSWORD, trust(), NULL));
	struct nova_shape shape = with_disk;
	struct vm vm = {.name = "novacore-alone-image"};
	char path[] = "/tmp/novacore-raw-XXXXXX";
	size_t before;

	(void)state;
	make_raw(path);
	before = count_files();
	shape.image = "novacore-image";
	shape.disk_bytes = 0;
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	delete_vm(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	assert_int_equal(count_files(), before);
	unlink(path);
	close_lab(host);
}

static void the_free_licence_lets_only_look(void **state)
{
	struct nova_testhost *host;

	(void)state;
	peer_tell("/licence", "{'edition':'esxBasic'}");
	host = connected(open_with(PASSWORD, trust(), NULL));
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_non_null(strstr(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_CREATE),
	                       "licence"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_START), 0);
	close_lab(host);
	peer_tell("/licence", "{'edition':'esx.enterprisePlus'}");
	host = connected(open_with(PASSWORD, trust(), NULL));
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_START), 1);
	close_lab(host);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int start_vcenter(void **state)
{
	(void)state;
	lab_secret = "Zw4n";
	peer_start("vpx");
	return 0;
}

static int start_host(void **state)
{
	(void)state;
	peer_start("esx");
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
		print_error("not as the API defines it: %s\n", json_string_value(one));
		failed = 1;
	}
	print_message("%lld requests were checked against the API's types\n",
	              (long long)json_integer_value(json_object_get(calls, "total")));
	json_decref(calls);
	peer_stop();
	return failed;
}

int main(void)
{
	const struct CMUnitTest vcenter[] = {
	        cmocka_unit_test(connects_and_says_what_is_possible),
	        cmocka_unit_test(names_the_privileges_that_are_missing),
	        cmocka_unit_test(trusts_only_what_it_was_told_to),
	        cmocka_unit_test(refuses_a_wrong_password_without_showing_it),
	        cmocka_unit_test(refuses_impossible_parameters),
	        cmocka_unit_test(names_what_there_is_to_choose_from),
	        cmocka_unit_test(takes_places_by_their_paths),
	        cmocka_unit_test(leads_a_vm_through_its_life),
	        cmocka_unit_test(is_told_of_the_end_of_a_task),
	        cmocka_unit_test(asks_by_itself_where_nothing_is_told),
	        cmocka_unit_test(goes_on_when_notifications_are_lost),
	        cmocka_unit_test(takes_and_restores_snapshots),
	        cmocka_unit_test(makes_vms_with_disks_and_from_other_vms),
	        cmocka_unit_test(links_clones_to_a_snapshot),
	        cmocka_unit_test(gives_vms_copies_of_an_image),
	        cmocka_unit_test(refuses_what_can_be_no_image),
	        cmocka_unit_test(deletes_a_copy_that_cannot_be_attached),
	        cmocka_unit_test(turns_knobs),
	        cmocka_unit_test(says_why_a_shape_is_impossible),
	        cmocka_unit_test(lists_by_prefix_and_finds_by_name),
	        cmocka_unit_test(refuses_names_that_would_be_others),
	        cmocka_unit_test(gives_statistics),
	        cmocka_unit_test(runs_programs_in_a_guest),
	        cmocka_unit_test(a_wrong_account_in_the_guest_is_not_shown),
	        cmocka_unit_test(reports_the_fault_of_a_failed_task),
	        cmocka_unit_test(leaves_foreign_vms_alone),
	        cmocka_unit_test(survives_lost_questions_but_not_lost_orders),
	        cmocka_unit_test(refuses_answers_that_are_not_vspheres),
	        cmocka_unit_test(refuses_a_task_that_is_none),
	        cmocka_unit_test(stops_a_slow_task_at_its_deadline),
	        cmocka_unit_test(ends_when_the_peer_does_not_answer_at_all),
	        cmocka_unit_test(cancels_and_stops_the_task),
	        cmocka_unit_test(waits_for_another_task_before_it_deletes),
	        cmocka_unit_test(logs_out_at_the_end),
	        cmocka_unit_test(logs_in_again_when_the_session_has_ended),
	        cmocka_unit_test(leads_twenty_vms_at_once),
	        cmocka_unit_test(refuses_a_name_that_is_taken),
	        cmocka_unit_test(moves_a_vm_between_hosts),
	};
	const struct CMUnitTest host[] = {
	        cmocka_unit_test(a_host_alone_does_what_it_can),
	        cmocka_unit_test(a_host_alone_gives_vms_copies_of_an_image),
	        cmocka_unit_test(the_free_licence_lets_only_look),
	};
	int failed = cmocka_run_group_tests(vcenter, start_vcenter, stop_peer);

	return failed + cmocka_run_group_tests(host, start_host, stop_peer);
}
