/* SPDX-License-Identifier: MIT */
/*
 * The Proxmox VE driver against the self-made peer, which checks every call by Proxmox's own
 * schema: whole lives of VMs, wrong credentials, broken answers, deadlines, many VMs at once, and
 * VMs that are not ours. At the end no call of the whole run may have been refused as malformed.
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

#include "peer.h"
#include <novacore/testhost.h>

#define SECRET   "11111111-2222-3333-4444-555555555555"
#define TOKEN_ID "token_id=bench@pve!novacore"
#define TOKEN    "token=" SECRET
#define LONG_MS  20000

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

/* --- helpers ---------------------------------------------------------------------------------- */

/* The peer's VM, or NULL; the caller owns it. */
static json_t *peer_vm(long long vmid)
{
	char path[64];

	snprintf(path, sizeof(path), "/vms?%lld", vmid);
	return peer_first(path);
}

/* Parameters beside uri, NULL-terminated; not connected yet. */
static struct nova_testhost *open_with(const char *first, ...)
{
	const char *parameters[20];
	char uri[80];
	size_t count = 0;
	struct nova_testhost *host;
	va_list more;

	snprintf(uri, sizeof(uri), "uri=%s", peer_uri());
	parameters[count++] = uri;
	va_start(more, first);
	for (const char *one = first; one; one = va_arg(more, const char *))
		parameters[count++] = one;
	va_end(more);
	parameters[count] = NULL;
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	if (!host)
		fail_msg("%s", nova_testhost_refusal());
	return host;
}

/* A connected target with everything configured, polling fast. */
static struct nova_testhost *open_lab(void)
{
	char ca_file[600];
	struct nova_testhost *host;

	peer_tell("/clear", "{}"); /* of a test that has failed */
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = open_with(TOKEN_ID, TOKEN, ca_file, "template=debian12", "storage=local-lvm",
	                 "bridge=vmbr0", "agent=true", "poll_first=10ms", "poll_longest=50ms",
	                 "poll_ready=20ms", NULL);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	assert_int_equal(nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

static void close_lab(struct nova_testhost *host)
{
	peer_tell("/clear", "{}");
	peer_tell("/settings", "{'taskMs':30,'agentMs':0,'nodes':1,'version':'8.4.1'}");
	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("contract: %s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void assert_said(struct nova_testhost *host, const char *part)
{
	if (!strstr(nova_testhost_error(host), part))
		fail_msg("'%s' is not in the error '%s'", part, nova_testhost_error(host));
	if (strstr(nova_testhost_error(host), SECRET))
		fail_msg("the secret is in the error");
}

static void expect(struct nova_testhost *host, int got, int wanted)
{
	if (got != wanted)
		fail_msg("status %d instead of %d: %s", got, wanted, nova_testhost_error(host));
}

static const struct nova_shape from_template = {
        .struct_size = sizeof(from_template),
        .boot = NOVA_BOOT_TEMPLATE,
        .vcpus = 2,
        .memory_bytes = 1024ull * 1024 * 1024,
};

struct vm {
	char name[64], id[64];
	struct nova_ref ref;
	long long vmid;
};

static void use_id(struct vm *vm, const char *id)
{
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->vmid = atoll(strchr(id, '/') + 1);
	vm->ref = (struct nova_ref){
	        .struct_size = sizeof(vm->ref), .vm = 1, .name = vm->name, .id = vm->id};
}

static void create_vm(struct nova_testhost *host, struct vm *vm, const char *name)
{
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &from_template), NOVA_DONE);
	assert_non_null(nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	use_id(vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
}

static void power_vm(struct nova_testhost *host, const struct vm *vm, uint32_t action)
{
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, action), NOVA_DONE);
}

static void delete_vm(struct nova_testhost *host, const struct vm *vm)
{
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm->ref), NOVA_DONE);
}

static int64_t state_of(struct nova_testhost *host, const struct vm *vm)
{
	int64_t state = 0;

	expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm->ref, NOVA_QUERY_STATE),
	       NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STATE, 0, &state), NOVA_DONE);
	return state;
}

static void assert_peer_status(long long vmid, const char *status)
{
	json_t *vm = peer_vm(vmid);

	assert_non_null(vm);
	assert_string_equal(json_string_value(json_object_get(vm, "status")), status);
	json_decref(vm);
}

static void assert_peer_gone(long long vmid)
{
	assert_null(peer_vm(vmid));
}

/* How the peer's last task of that type ended; "" if it still runs. */
static void last_task(const char *type, char outcome[160])
{
	json_t *tasks = peer_ask("/tasks");
	size_t i;
	json_t *task;

	strcpy(outcome, "none");
	json_array_foreach(tasks, i, task)
	{
		const char *end = json_string_value(json_object_get(task, "exitstatus"));

		if (strcmp(json_string_value(json_object_get(task, "type")), type) == 0)
			snprintf(outcome, 160, "%s", end ? end : "");
	}
	json_decref(tasks);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connects_and_says_what_is_possible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const can[] = {"create",  "clone", "start", "shutdown", "pause",
	                                  "reset",   "exec",  "ready", "snapshot", "stats",
	                                  "address", "image", "knobs", "place"};
	static const char *const cannot[] = {"beat", "stub", "network",   "migrate",
	                                     "twin", "pin",  "post-copy", "compress"};

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "Proxmox VE");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "version"), "8.4.1");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "node"), "pve1");
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

static void names_the_privileges_that_a_token_lacks(void **state)
{
	char ca_file[600];
	struct nova_testhost *host;
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-ro", .id = "pve1/700"};

	(void)state;
	peer_tell("/vm", "{'vmid':700,'name':'novacore-ro'}");
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = open_with("token_id=watch@pve!reader", "token=99999999-8888-7777-6666-555555555555",
	                 ca_file, NULL);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_START),
	                    "the token lacks VM.PowerMgmt");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_SNAPSHOT),
	                    "the token lacks VM.Snapshot");
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &ref, NOVA_POWER_START),
	       NOVA_E_PERMISSION);
	assert_said(host, "Permission check failed (/vms/700, VM.PowerMgmt)");
	peer_tell("/forget", "{'vmid':700}");
	close_lab(host);
}

static void makes_do_with_rights_on_a_pool(void **state)
{
	char ca_file[600];
	struct nova_testhost *host;
	struct vm vm;

	(void)state;
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = open_with("token_id=pool@pve!novacore", "token=22222222-2222-3333-4444-555555555555",
	                 ca_file, "template=debian12", "pool=bench", "poll_first=10ms", NULL);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_CREATE), 1);
	create_vm(host, &vm, "novacore-pool");
	power_vm(host, &vm, NOVA_POWER_START);
	delete_vm(host, &vm);
	close_lab(host);
}

static int connect_with(const char *trust, const char *token, char error[512])
{
	struct nova_testhost *host = open_with(TOKEN_ID, token, trust, NULL);
	int status;

	expect(host, nova_testhost_start(host), NOVA_DONE);
	status = nova_testhost_call(host, LONG_MS, connect);
	snprintf(error, 512, "%s", nova_testhost_error(host));
	if (status == NOVA_DONE && strncmp(trust, "insecure", 8) == 0) {
		expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
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
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "ca_file"));
	/* the system's authorities do not know it */
	assert_int_equal(connect_with("insecure=false", TOKEN, error), NOVA_E_PERMISSION);
	assert_int_equal(connect_with("insecure=true", TOKEN, error), NOVA_DONE);
	snprintf(trust, sizeof(trust), "fingerprint=%s", peer_fingerprint());
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_DONE);
	trust[12] = trust[12] == '0' ? '1' : '0';
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_PERMISSION);
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("no-such.pem"));
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_INVALID);
}

static void refuses_a_wrong_token_without_showing_it(void **state)
{
	char trust[600], error[512];

	(void)state;
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("cert.pem"));
	assert_int_equal(connect_with(trust, "token=very-wrong-secret", error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "401 invalid token value!"));
	assert_non_null(strstr(error, "token_id"));
	assert_null(strstr(error, "very-wrong-secret"));
	/* even if the peer sends it back */
	peer_tell("/fault", "{'match':'GET /version','status':500,'reason':'you sent " SECRET "'}");
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_FAILED);
	assert_non_null(strstr(error, "you sent ****"));
	assert_null(strstr(error, SECRET));
}

static int start_with(const char *uri, const char *id, const char *token, const char *more)
{
	const char *parameters[] = {uri, id, token, more, NULL};
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
	static const char good[] = "uri=https://127.0.0.1:8006/api2/json/";

	(void)state;
	assert_int_equal(start_with(good, TOKEN_ID, TOKEN, NULL), NOVA_DONE);
	assert_int_equal(start_with("uri=http://127.0.0.1:8006", TOKEN_ID, TOKEN, NULL),
	                 NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://", TOKEN_ID, TOKEN, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://a@b", TOKEN_ID, TOKEN, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "token_id=bench@pve", TOKEN, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "token_id=@pve!x", TOKEN, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "token_id=a@pve!x=y", TOKEN, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN_ID, "token=a b", NULL), NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN_ID, TOKEN, "node=pve/../x"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN_ID, TOKEN, "fingerprint=AB:CD"), NOVA_E_INVALID);
}

static void names_the_nodes_there_are(void **state)
{
	char ca_file[600];
	struct nova_testhost *host;

	(void)state;
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = open_with(TOKEN_ID, TOKEN, ca_file, "node=pve9", NULL);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_NOT_FOUND);
	assert_said(host, "no node 'pve9'; it has pve1");
	close_lab(host);
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
	struct vm vm;
	int64_t started = 0, latency = 0;
	size_t before;
	const struct nova_event *running;
	json_t *there;

	(void)state;
	create_vm(host, &vm, "novacore-life");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_API_NS, 0, &latency), NOVA_DONE);
	assert_true(latency > 1000); /* no server answers in less */
	there = peer_vm(vm.vmid);
	assert_string_equal(json_string_value(json_object_get(there, "name")), vm.name);
	assert_int_equal(
	        json_integer_value(json_object_get(json_object_get(there, "config"), "cores")), 2);
	json_decref(there);
	assert_int_equal(state_of(host, &vm), NOVA_STATE_OFF);

	peer_tell("/settings", "{'agentMs':100}");
	power_vm(host, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STARTED_NS, 0, &started), NOVA_DONE);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_polled(running);
	assert_true(running->t_ns > started);
	assert_true(running->t_ns - running->resolution_ns >= started);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_int_equal(state_of(host, &vm), NOVA_STATE_RUNNING);

	power_vm(host, &vm, NOVA_POWER_PAUSE);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_PAUSED, 0));
	assert_int_equal(state_of(host, &vm), NOVA_STATE_PAUSED);
	power_vm(host, &vm, NOVA_POWER_RESUME);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RESUMED, 0));
	before = nova_testhost_event_count(host);
	power_vm(host, &vm, NOVA_POWER_RESET);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));

	power_vm(host, &vm, NOVA_POWER_SHUTDOWN);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_SHUTDOWN, 0));
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_peer_status(vm.vmid, "stopped");
	power_vm(host, &vm, NOVA_POWER_SHUTDOWN); /* off already */
	power_vm(host, &vm, NOVA_POWER_OFF);

	delete_vm(host, &vm);
	assert_peer_gone(vm.vmid);
	delete_vm(host, &vm); /* not there already */
	close_lab(host);
}

static void deletes_a_running_vm(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-busy");
	power_vm(host, &vm, NOVA_POWER_START);
	delete_vm(host, &vm);
	assert_polled(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_peer_gone(vm.vmid);
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
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_CREATE),
	       NOVA_DONE);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_CREATE),
	       NOVA_E_EXISTS);
	assert_said(host, "already used");
	power_vm(host, &vm, NOVA_POWER_OFF);
	before = nova_testhost_event_count(host);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_RESTORE),
	       NOVA_DONE);
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	/* it was off: no agent went away, but one comes */
	assert_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	before = nova_testhost_event_count(host);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_RESTORE),
	       NOVA_DONE);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_polled(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_int_equal(state_of(host, &vm), NOVA_STATE_RUNNING);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_DELETE),
	       NOVA_DONE);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "warm", NOVA_SNAPSHOT_RESTORE),
	       NOVA_E_NOT_FOUND);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "../x", NOVA_SNAPSHOT_DELETE),
	       NOVA_E_INVALID);
	delete_vm(host, &vm);
	close_lab(host);
}

static void makes_vms_from_disks_and_from_other_vms(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .boot = NOVA_BOOT_DISK,
	                           .vcpus = 1,
	                           .memory_bytes = 256ull << 20,
	                           .disk_bytes = (3ull << 30) + 1,
	                           .image = "local:import/debian.qcow2"};
	struct vm vm = {.name = "novacore-disk"}, copy = {.name = "novacore-copy"};
	json_t *there;
	json_t *config;

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	there = peer_vm(vm.vmid);
	config = json_object_get(there, "config");
	assert_string_equal(json_string_value(json_object_get(config, "scsi0")),
	                    "local-lvm:0,import-from=local:import/debian.qcow2");
	assert_string_equal(json_string_value(json_object_get(config, "resized")), "scsi0=4G");
	json_decref(there);

	expect(host,
	       nova_testhost_call(host, LONG_MS, vm_clone, copy.name, &vm.ref, &from_template),
	       NOVA_DONE);
	use_id(&copy, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_true(copy.vmid != vm.vmid);
	delete_vm(host, &copy);
	delete_vm(host, &vm);
	close_lab(host);
}

static void says_why_a_shape_is_impossible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const knobs[] = {"vm.cpu.colour=red", NULL};
	struct nova_shape shape = from_template;

	(void)state;
	shape.boot = NOVA_BOOT_DIRECT;
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	       NOVA_E_UNSUPPORTED);
	assert_said(host, "root@pam");
	shape.boot = NOVA_BOOT_TEMPLATE;
	shape.knobs = knobs;
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	       NOVA_E_UNSUPPORTED);
	shape.knobs = NULL;
	shape.image = "no-such-template";
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
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
	create_vm(host, &two, "novacore-list-2");
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-list-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 2);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_VM, one.name), one.id);
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, "debian"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0); /* a template is no VM */
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, ""), NOVA_E_INVALID);
	one.ref.id = NULL;
	delete_vm(host, &one);
	assert_peer_gone(one.vmid);
	delete_vm(host, &two);
	close_lab(host);
}

static void gives_statistics_and_addresses(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	int64_t value = 0;

	(void)state;
	create_vm(host, &vm, "novacore-stats");
	power_vm(host, &vm, NOVA_POWER_START);
	expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	       NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 1024ll << 20);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_NET_TX_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 400);
	/* what Proxmox does not tell is not invented */
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_CPU_NS), 0);
	expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	       NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_ADDRESS, "eth0"), "192.0.2.7");
	assert_null(nova_testhost_fact(host, NOVA_FIELD_ADDRESS, "lo"));
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- knobs, images, migration ----------------------------------------------------------------- */

static void assert_config(long long vmid, const char *option, const char *wanted)
{
	json_t *vm = peer_vm(vmid);
	const char *text =
	        json_string_value(json_object_get(json_object_get(vm, "config"), option));

	if (!text || strcmp(text, wanted) != 0)
		fail_msg("%s is '%s', not '%s'", option, text ? text : "not there", wanted);
	json_decref(vm);
}

static void sets_knobs_of_a_vm_and_of_its_disk(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const knobs[] = {"vm.disk.cache=writeback", "vm.cpu.mode=host",
	                                    "vm.disk.io=native", "vm.cpu.limit=1", NULL};
	struct nova_shape shape = from_template;
	struct vm vm = {.name = "novacore-knobs"};

	(void)state;
	shape.knobs = knobs;
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_config(vm.vmid, "scsi0",
	              "local-lvm:base-9000-disk-0,size=4G,cache=writeback,aio=native");
	assert_config(vm.vmid, "cpu", "host");
	expect(host, nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.disk.cache", "none"),
	       NOVA_DONE);
	assert_config(vm.vmid, "scsi0", "local-lvm:base-9000-disk-0,size=4G,aio=native,cache=none");
	expect(host, nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.cpu.mode", "default"),
	       NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, knob_get, &vm.ref, "vm.cpu.mode"),
	       NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.mode"), "default");
	expect(host, nova_testhost_call(host, LONG_MS, knob_list, &vm.ref), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.disk.io"), "native");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.limit"), "1");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.disk.discard"), "ignore");
	/* one option stays one option */
	expect(host,
	       nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.disk.cache",
	                          "none,file=local-lvm:vm-100-disk-0"),
	       NOVA_E_INVALID);
	expect(host, nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.disk.colour", "x"),
	       NOVA_E_NOT_FOUND);
	delete_vm(host, &vm);
	close_lab(host);
}

static void uploads_an_image_and_makes_vms_of_it(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const networks[] = {"vmbr1", "vmbr2", NULL};
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .boot = NOVA_BOOT_DISK,
	                           .vcpus = 1,
	                           .networks = networks,
	                           .image = "novacore-image"};
	char path[] = "/tmp/novacore-image-XXXXXX";
	int fd = mkstemp(path);
	struct vm vm = {.name = "novacore-imaged"};

	(void)state;
	assert_int_equal(write(fd, "QFI\xfb", 4), 4);
	assert_int_equal(ftruncate(fd, 100000), 0);
	close(fd);
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape),
	       NOVA_E_NOT_FOUND);
	assert_said(host, "local:import/debian.qcow2");
	expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	       NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	       NOVA_E_EXISTS);
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_DONE);
	use_id(&vm, nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	assert_config(vm.vmid, "scsi0",
	              "local-lvm:0,import-from=local:import/novacore-image.qcow2");
	assert_config(vm.vmid, "net1", "virtio,bridge=vmbr2");
	delete_vm(host, &vm);
	expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, image_delete, "debian"), NOVA_E_REFUSED);
	expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-a\"b", path),
	       NOVA_E_REFUSED);
	unlink(path);
	expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-none", path),
	       NOVA_E_NOT_FOUND);
	close_lab(host);
}

static void takes_no_images_before_the_version_that_does(void **state)
{
	struct nova_testhost *host;

	(void)state;
	peer_tell("/settings", "{'version':'8.3.0'}");
	host = open_lab();
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_IMAGE),
	                    "Proxmox VE takes disk images by its API from 8.4 on");
	expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-x", "/etc/hostname"),
	       NOVA_E_UNSUPPORTED);
	close_lab(host);
}

static struct nova_testhost *open_node(const char *node)
{
	char ca_file[600], which[80];
	struct nova_testhost *host;

	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	snprintf(which, sizeof(which), "node=%s", node);
	host = open_with(TOKEN_ID, TOKEN, ca_file, which, "template=debian12", "poll_first=10ms",
	                 NULL);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

static void migrates_between_nodes(void **state)
{
	struct nova_testhost *one, *two;
	struct nova_migrate how = {.struct_size = sizeof(how), .downtime_ns = 50000000};
	struct vm vm;
	char ticket[100];
	int64_t value = 0;

	(void)state;
	peer_tell("/settings", "{'nodes':2}");
	one = open_node("pve1");
	two = open_node("pve2");
	expect(one, nova_testhost_call(one, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(one, NOVA_CAN_MIGRATE), 1);
	create_vm(one, &vm, "novacore-nomad");
	power_vm(one, &vm, NOVA_POWER_START);
	expect(two, nova_testhost_call(two, LONG_MS, migrate_prepare, &vm.ref, &from_template),
	       NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(two, NOVA_FIELD_TICKET, ""));
	how.ticket = ticket;
	peer_tell("/fault", "{'match':'/migrate','task_error':'migration aborted'}");
	expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &how), NOVA_E_FAILED);
	assert_said(one, "migration aborted");
	assert_int_equal(state_of(one, &vm), NOVA_STATE_RUNNING);
	expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &how), NOVA_DONE);
	assert_int_equal(nova_testhost_i64(one, NOVA_FIELD_DOWNTIME_NS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 73000000);
	expect(two,
	       nova_testhost_call(two, LONG_MS, migrate_finish, &vm.ref, ticket, NOVA_MIGRATED),
	       NOVA_DONE);
	assert_polled(nova_testhost_wait(two, 0, vm.name, NOVA_EVENT_MIGRATED, 0));
	assert_int_equal(state_of(two, &vm), NOVA_STATE_RUNNING);
	expect(one, nova_testhost_call(one, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	       NOVA_E_NOT_FOUND);
	expect(two, nova_testhost_call(two, LONG_MS, migrate, &vm.ref, &how), NOVA_E_UNSUPPORTED);
	assert_said(two, "on that node already");
	how.flags = NOVA_MIGRATE_POST_COPY;
	expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &how), NOVA_E_UNSUPPORTED);
	/* a sweep that only knows where it was made finds it */
	expect(one, nova_testhost_call(one, LONG_MS, vm_list, "novacore-nomad"), NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "pve2/%lld", vm.vmid);
	assert_string_equal(nova_testhost_fact(one, NOVA_FIELD_VM, vm.name), ticket);
	vm.ref.id = NULL;
	delete_vm(one, &vm);
	assert_peer_gone(vm.vmid);
	delete_vm(one, &vm);
	close_lab(two);
	close_lab(one);
}

/* Where its first minute is over, its share of the CPUs is known. */
static void sums_up_cpu_time(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char wish[96];
	int64_t value = 0;

	(void)state;
	create_vm(host, &vm, "novacore-old");
	power_vm(host, &vm, NOVA_POWER_START);
	snprintf(wish, sizeof(wish), "{'vmid':%lld,'started':1000}", vm.vmid);
	peer_tell("/vm", wish);
	expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	       NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_CPU_NS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 180000000000ll);
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- exec ------------------------------------------------------------------------------------- */

static int run(struct nova_testhost *host, const struct vm *vm, const char *const *argv,
               const char *input, int64_t timeout_ms)
{
	struct nova_exec exec = {.struct_size = sizeof(exec),
	                         .argv = argv,
	                         .input = input,
	                         .input_bytes = input ? strlen(input) : 0};

	return nova_testhost_call(host, timeout_ms, exec, &vm->ref, &exec);
}

static void runs_programs_in_a_guest(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	int64_t value = 0;
	uint64_t bytes = 0;

	(void)state;
	create_vm(host, &vm, "novacore-exec");
	power_vm(host, &vm, NOVA_POWER_START);
	expect(host,
	       run(host, &vm, (const char *const[]){"echo", "a b", "&=%", NULL}, NULL, LONG_MS),
	       NOVA_DONE);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "a b &=%\n");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 0);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_GUEST_PID), 1);
	expect(host, run(host, &vm, (const char *const[]){"cat", NULL}, "in\nput", LONG_MS),
	       NOVA_DONE);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "in\nput");
	expect(host, run(host, &vm, (const char *const[]){"false", NULL}, NULL, LONG_MS),
	       NOVA_DONE);
	nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value);
	assert_int_equal(value, 1);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDERR, NULL), "it is false\n");
	expect(host, run(host, &vm, (const char *const[]){"crash", NULL}, NULL, LONG_MS),
	       NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_SIGNAL, 0, &value), NOVA_DONE);
	assert_int_equal(value, 11);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_EXIT_STATUS), 0);
	expect(host, run(host, &vm, (const char *const[]){"flood", NULL}, NULL, LONG_MS),
	       NOVA_DONE);
	nova_testhost_bytes(host, NOVA_FIELD_STDOUT, &bytes);
	assert_int_equal(bytes, 65536);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_TRUNCATED), 1);
	expect(host, run(host, &vm, (const char *const[]){"nonesuch", NULL}, NULL, LONG_MS),
	       NOVA_E_FAILED);
	assert_said(host, "No such file or directory");
	expect(host, run(host, &vm, (const char *const[]){"sleep", "60", NULL}, NULL, 300),
	       NOVA_E_TIMEOUT);
	delete_vm(host, &vm);
	close_lab(host);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void reports_the_text_of_a_failed_task(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-fail");
	peer_tell("/fault",
	          "{'match':'status/start','task_error':'start failed: QEMU exited with code 1'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	       NOVA_E_FAILED);
	assert_said(host, "qmstart");
	assert_said(host, "start failed: QEMU exited with code 1");
	assert_int_equal(nova_testhost_event_count(host), 0);
	power_vm(host, &vm, NOVA_POWER_START);
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	       NOVA_E_BUSY);
	assert_said(host, "already running");
	delete_vm(host, &vm);
	close_lab(host);
}

static void says_that_a_guest_does_not_shut_down(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char wish[64];

	(void)state;
	create_vm(host, &vm, "novacore-deaf");
	power_vm(host, &vm, NOVA_POWER_START);
	snprintf(wish, sizeof(wish), "{'vmid':%lld,'deaf':1}", vm.vmid);
	peer_tell("/vm", wish);
	expect(host, nova_testhost_call(host, 3500, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN),
	       NOVA_E_FAILED);
	assert_said(host, "VM quit/powerdown failed - got timeout");
	assert_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_peer_status(vm.vmid, "running");
	delete_vm(host, &vm);
	close_lab(host);
}

static void assert_untouched(struct nova_testhost *host, const struct nova_ref *ref)
{
	static const uint32_t actions[] = {NOVA_POWER_START, NOVA_POWER_SHUTDOWN,
	                                   NOVA_POWER_OFF,   NOVA_POWER_RESET,
	                                   NOVA_POWER_PAUSE, NOVA_POWER_RESUME};

	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, ref), NOVA_E_REFUSED);
	assert_said(host, "not ours");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		expect(host, nova_testhost_call(host, LONG_MS, vm_power, ref, actions[i]),
		       NOVA_E_REFUSED);
	expect(host, nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_CREATE),
	       NOVA_E_REFUSED);
	expect(host,
	       nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_RESTORE),
	       NOVA_E_REFUSED);
}

static void leaves_a_foreign_vm_of_the_same_number_alone(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char wish[96];
	struct nova_ref foreign = {
	        .struct_size = sizeof(foreign), .name = "payroll", .id = "pve1/777"};

	(void)state;
	create_vm(host, &vm, "novacore-mine");
	snprintf(wish, sizeof(wish), "{'vmid':%lld,'name':'payroll','status':'running'}", vm.vmid);
	peer_tell("/vm", wish); /* ours was deleted by somebody, its number given away */
	assert_untouched(host, &vm.ref);
	assert_peer_status(vm.vmid, "running");
	snprintf(wish, sizeof(wish), "{'vmid':%lld}", vm.vmid);
	peer_tell("/forget", wish);

	/* and one that we are even asked for by its right name, but that has not our prefix */
	peer_tell("/vm", "{'vmid':777,'name':'payroll','status':'running'}");
	assert_untouched(host, &foreign);
	foreign.id = NULL;
	assert_untouched(host, &foreign);
	assert_peer_status(777, "running");
	peer_tell("/forget", "{'vmid':777}");
	close_lab(host);
}

static void refuses_to_guess_between_two_of_a_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-twice"};

	(void)state;
	peer_tell("/vm", "{'vmid':801,'name':'novacore-twice'}");
	peer_tell("/vm", "{'vmid':802,'name':'novacore-twice'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_REFUSED);
	ref.id = "pve1/801";
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.id = NULL; /* one is left */
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.id = "801";
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_INVALID);
	close_lab(host);
}

/* How often the peer has got exactly that call since its start, within one VM's life. */
static int count_calls(const char *wanted)
{
	json_t *calls = peer_ask("/calls");
	int count = 0;
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(calls, "calls"), i, one)
	{
		const char *call = json_string_value(one);

		if (strcmp(call, wanted) == 0)
			count++;
		else if (strstr(call, "/clone"))
			count = 0;
	}
	json_decref(calls);
	return count;
}

static void survives_lost_polls_but_not_lost_orders(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char stop[80];

	(void)state;
	create_vm(host, &vm, "novacore-lost");
	snprintf(stop, sizeof(stop), "POST /nodes/pve1/qemu/%lld/status/stop", vm.vmid);
	peer_tell("/fault", "{'match':'GET .*/tasks/','drop':'before','times':2}");
	peer_tell("/fault",
	          "{'match':'GET .*/tasks/','status':596,'reason':'broken pipe','times':2}");
	power_vm(host, &vm, NOVA_POWER_START);
	peer_tell("/fault", "{'match':'POST .*/status/stop','drop':'after'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	       NOVA_E_UNKNOWN);
	assert_said(host, "status/stop");
	assert_said(host, "not sent again");
	assert_int_equal(count_calls(stop), 1);
	peer_tell("/fault", "{'match':'GET .*/status/current','drop':'middle'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	       NOVA_E_UNAVAILABLE);
	delete_vm(host, &vm);
	close_lab(host);
}

static void refuses_answers_that_are_not_proxmoxs(void **state)
{
	static const struct {
		const char *wish, *said;
		int status;
	} cases[] = {
	        {"'garbage':'<html>Welcome to nginx</html>'", "not Proxmox's", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'data\\':[1,'", "not Proxmox's", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'data\\':1,\\'data\\':2}'", "not Proxmox's", NOVA_E_PROTOCOL},
	        {"'garbage':'[]'", "no \"data\"", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'data\\':null}'", "not a list", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'data\\':{\\'x\\':1}}'", "not a list", NOVA_E_PROTOCOL},
	        {"'size':17000000", "longer than is accepted", NOVA_E_PROTOCOL},
	        {"'status':503,'reason':'over\\u0007load'", "over?load", NOVA_E_UNAVAILABLE},
	        {"'status':501,'reason':'not implemented'", "501", NOVA_E_UNSUPPORTED},
	};
	struct nova_testhost *host = open_lab();
	char wish[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(wish, sizeof(wish), "{'match':'GET /nodes/pve1/qemu$',%s}", cases[i].wish);
		peer_tell("/fault", wish);
		expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"),
		       cases[i].status);
		assert_said(host, cases[i].said);
	}
	close_lab(host);
}

static void refuses_a_task_without_a_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-upid");
	power_vm(host, &vm, NOVA_POWER_START);
	peer_tell("/fault",
	          "{'match':'POST .*/status/reset','garbage':'{\\'data\\':\\'UPID:x\\'}'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_RESET),
	       NOVA_E_PROTOCOL);
	peer_tell("/fault",
	          "{'match':'GET .*/tasks/','garbage':'{\\'data\\':{\\'status\\':\\'?\\'}}'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_RESET),
	       NOVA_E_PROTOCOL);
	delete_vm(host, &vm);
	close_lab(host);
}

static void stops_a_slow_task_at_its_deadline(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char outcome[160];

	(void)state;
	create_vm(host, &vm, "novacore-slow");
	peer_tell("/fault", "{'match':'status/start','task_ms':60000}");
	expect(host, nova_testhost_call(host, 400, vm_power, &vm.ref, NOVA_POWER_START),
	       NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	last_task("qmstart", outcome);
	assert_string_equal(outcome, "interrupted by signal");
	assert_peer_status(vm.vmid, "stopped");
	delete_vm(host, &vm);

	/* a clone that is given up leaves nothing */
	peer_tell("/fault", "{'match':'/clone','task_ms':60000}");
	expect(host, nova_testhost_call(host, 400, vm_create, "novacore-slow-2", &from_template),
	       NOVA_E_TIMEOUT);
	last_task("qmclone", outcome);
	assert_string_equal(outcome, "interrupted by signal");
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-slow"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	close_lab(host);
}

static void ends_when_the_peer_does_not_answer_at_all(void **state)
{
	struct nova_testhost *host = open_lab();

	(void)state;
	peer_tell("/fault", "{'match':'GET /nodes/pve1/qemu','delay_ms':3000}");
	expect(host, nova_testhost_call(host, 200, vm_list, "novacore-"), NOVA_E_TIMEOUT);
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
	char outcome[160];
	pthread_t thread;
	int returned;

	(void)state;
	peer_tell("/fault", "{'match':'/clone','task_ms':60000}");
	canceller.op = nova_testhost_begin(host, LONG_MS);
	returned = nova_testhost_ops(host)->vm_create(nova_testhost_self(host), canceller.op,
	                                              "novacore-cancelled", &from_template);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
	expect(host, nova_testhost_end(host, returned), NOVA_E_CANCELLED);
	assert_int_equal(nova_testhost_ended(host), 1);
	pthread_join(thread, NULL);
	last_task("qmclone", outcome);
	assert_string_equal(outcome, "interrupted by signal");
	close_lab(host);
}

static void *unlock_soon(void *context)
{
	char wish[64];

	usleep(300000);
	snprintf(wish, sizeof(wish), "{'vmid':%lld,'lock':''}", *(long long *)context);
	peer_tell("/vm", wish);
	return NULL;
}

static void waits_for_a_lock_before_it_deletes(void **state)
{
	struct nova_testhost *host = open_lab();
	struct vm vm;
	char wish[64];
	pthread_t thread;

	(void)state;
	create_vm(host, &vm, "novacore-locked");
	snprintf(wish, sizeof(wish), "{'vmid':%lld,'lock':'backup'}", vm.vmid);
	peer_tell("/vm", wish);
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	       NOVA_E_BUSY);
	assert_said(host, "VM is locked (backup)");
	assert_int_equal(pthread_create(&thread, NULL, unlock_soon, &vm.vmid), 0);
	delete_vm(host, &vm);
	pthread_join(thread, NULL);
	assert_peer_gone(vm.vmid);
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

static int64_t connections(void)
{
	json_t *calls = peer_ask("/calls");
	int64_t count = json_integer_value(json_object_get(calls, "connections"));

	json_decref(calls);
	return count;
}

static void leads_twenty_vms_at_once_over_few_connections(void **state)
{
	static struct worker workers[MANY];
	pthread_t threads[MANY];
	int64_t before = connections();
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
		assert_polled(
		        nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_RUNNING, 0));
		assert_polled(
		        nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_STOPPED, 0));
		for (int k = 0; k < i; k++)
			assert_true(workers[k].vm.vmid != workers[i].vm.vmid);
		assert_peer_gone(workers[i].vm.vmid);
	}
	assert_true(connections() - before <= 16);
	close_lab(host);
}

static void finds_another_number_when_one_is_taken(void **state)
{
	char ca_file[600];
	struct nova_testhost *host;
	struct vm vm;

	(void)state;
	peer_tell("/vm", "{'vmid':5000,'name':'payroll'}");
	/* 5001 is taken between the question and the order */
	peer_tell("/fault",
	          "{'match':'/clone','status':500,'reason':'unable to create VM 5001 - VM "
	          "5001 already exists on node \\'pve7\\''}");
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = open_with(TOKEN_ID, TOKEN, ca_file, "template=9000", "vmid_min=5000",
	                 "poll_first=10ms", NULL);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	create_vm(host, &vm, "novacore-number");
	assert_int_equal(vm.vmid, 5002);
	delete_vm(host, &vm);
	peer_tell("/forget", "{'vmid':5000}");
	close_lab(host);
}

/* Proxmox would let two VMs have one name. */
static void refuses_a_name_that_is_taken(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape disk = {.struct_size = sizeof(disk),
	                          .boot = NOVA_BOOT_DISK,
	                          .vcpus = 1,
	                          .disk_bytes = 1024 * 1024 * 1024};
	struct vm vm, other;

	(void)state;
	create_vm(host, &vm, "novacore-taken");
	create_vm(host, &other, "novacore-other");
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-taken", &from_template),
	       NOVA_E_EXISTS);
	assert_said(host, "has the name 'novacore-taken' already");
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-taken", &disk),
	       NOVA_E_EXISTS);
	expect(host,
	       nova_testhost_call(host, LONG_MS, vm_clone, "novacore-taken", &other.ref,
	                          &from_template),
	       NOVA_E_EXISTS);
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-taken"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 1);
	delete_vm(host, &vm);
	delete_vm(host, &other);
	close_lab(host);
}

/* Cut short, it would be somebody else's. */
static void cuts_no_name_short(void **state)
{
	struct nova_testhost *host = open_lab();
	char name[300];
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = name};

	(void)state;
	memset(name, 'l', sizeof(name));
	memcpy(name, "novacore-", 9);
	name[127] = '\0';
	peer_tell("/vm", "{'vmid':810,'name':'"
	                 "novacore-llllllllllllllllllllllllllllllllllllllllllllllllllllll"
	                 "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
	                 "l'}");
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, name), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 1);
	name[127] = 'l';
	name[299] = '\0';
	expect(host, nova_testhost_call(host, LONG_MS, vm_list, name), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &ref, NOVA_POWER_OFF),
	       NOVA_E_INVALID);
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &from_template),
	       NOVA_E_INVALID);
	peer_tell("/forget", "{'vmid':810}");
	close_lab(host);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int start_peer(void **state)
{
	(void)state;
	peer_start(NULL);
	return 0;
}

/* The role of the man page is what is needed, and no more than that. */
static int name_unused(json_t *used)
{
	static const char *const role[] = {"VM.Allocate",
	                                   "VM.Audit",
	                                   "VM.Clone",
	                                   "VM.Config.CPU",
	                                   "VM.Config.Disk",
	                                   "VM.Config.HWType",
	                                   "VM.Config.Memory",
	                                   "VM.Config.Network",
	                                   "VM.Config.Options",
	                                   "VM.Monitor",
	                                   "VM.PowerMgmt",
	                                   "VM.Snapshot",
	                                   "VM.Migrate",
	                                   "Datastore.Allocate",
	                                   "Datastore.AllocateTemplate",
	                                   "SDN.Use",
	                                   "Datastore.AllocateSpace"};
	int unused = 0;

	for (size_t i = 0; i < sizeof(role) / sizeof(role[0]); i++) {
		if (!json_object_get(used, role[i])) {
			print_error("no call needed the privilege %s\n", role[i]);
			unused = 1;
		}
	}
	return unused;
}

/* Asking whether a number is free is answered by a refusal: that one is Proxmox's way. */
static int stop_peer(void **state)
{
	json_t *calls = peer_ask("/calls");
	int failed = 0;
	size_t i;
	json_t *one;

	(void)state;
	json_array_foreach(json_object_get(calls, "rejected"), i, one)
	{
		const char *call = json_string_value(json_object_get(one, "call"));
		char *text;

		if (strcmp(call, "GET /cluster/nextid") == 0 ||
		    strcmp(json_string_value(json_object_get(one, "text")), "not implemented") == 0)
			continue;
		text = json_dumps(one, 0);
		print_error("the peer refused %s\n", text);
		free(text);
		failed = 1;
	}
	failed |= name_unused(json_object_get(calls, "privileges"));
	print_message("%lld calls were checked against the schema\n",
	              (long long)json_integer_value(json_object_get(calls, "total")));
	json_decref(calls);
	peer_stop();
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_and_says_what_is_possible),
	        cmocka_unit_test(names_the_privileges_that_a_token_lacks),
	        cmocka_unit_test(makes_do_with_rights_on_a_pool),
	        cmocka_unit_test(trusts_only_what_it_was_told_to),
	        cmocka_unit_test(refuses_a_wrong_token_without_showing_it),
	        cmocka_unit_test(refuses_impossible_parameters),
	        cmocka_unit_test(names_the_nodes_there_are),
	        cmocka_unit_test(leads_a_vm_through_its_life),
	        cmocka_unit_test(deletes_a_running_vm),
	        cmocka_unit_test(takes_and_restores_snapshots),
	        cmocka_unit_test(makes_vms_from_disks_and_from_other_vms),
	        cmocka_unit_test(says_why_a_shape_is_impossible),
	        cmocka_unit_test(lists_by_prefix_and_finds_by_name),
	        cmocka_unit_test(gives_statistics_and_addresses),
	        cmocka_unit_test(sets_knobs_of_a_vm_and_of_its_disk),
	        cmocka_unit_test(uploads_an_image_and_makes_vms_of_it),
	        cmocka_unit_test(takes_no_images_before_the_version_that_does),
	        cmocka_unit_test(migrates_between_nodes),
	        cmocka_unit_test(sums_up_cpu_time),
	        cmocka_unit_test(runs_programs_in_a_guest),
	        cmocka_unit_test(reports_the_text_of_a_failed_task),
	        cmocka_unit_test(says_that_a_guest_does_not_shut_down),
	        cmocka_unit_test(leaves_a_foreign_vm_of_the_same_number_alone),
	        cmocka_unit_test(refuses_to_guess_between_two_of_a_name),
	        cmocka_unit_test(survives_lost_polls_but_not_lost_orders),
	        cmocka_unit_test(refuses_answers_that_are_not_proxmoxs),
	        cmocka_unit_test(refuses_a_task_without_a_name),
	        cmocka_unit_test(stops_a_slow_task_at_its_deadline),
	        cmocka_unit_test(ends_when_the_peer_does_not_answer_at_all),
	        cmocka_unit_test(cancels_and_stops_the_task),
	        cmocka_unit_test(waits_for_a_lock_before_it_deletes),
	        cmocka_unit_test(leads_twenty_vms_at_once_over_few_connections),
	        cmocka_unit_test(finds_another_number_when_one_is_taken),
	        cmocka_unit_test(refuses_a_name_that_is_taken),
	        cmocka_unit_test(cuts_no_name_short),
	};

	return cmocka_run_group_tests(tests, start_peer, stop_peer);
}
