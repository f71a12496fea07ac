/* SPDX-License-Identifier: MIT */
/*
 * The XCP-ng driver against a XenAPI server that takes what xapi's data model declares and nothing
 * else: whole lives of VMs, errors, slow tasks, lost connections, ended sessions, foreign VMs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "peer.h"

#define SECRET   "squirrel-of-the-test"
#define PASSWORD "password=" SECRET

/* --- helpers ---------------------------------------------------------------------------------- */

static const char *ca_file(void)
{
	static char text[600];

	snprintf(text, sizeof(text), "ca_file=%s", peer_file("cert.pem"));
	return text;
}

/* That of another host: 2 is the pool's other one, 3 is another pool. */
static const char *uri_of(int host)
{
	static char uri[64];

	snprintf(uri, sizeof(uri), "%s", peer_uri());
	*strstr(uri, ".1:") = '.';
	strstr(uri, ".1:")[1] = (char)('0' + host);
	return uri;
}

static void wait_for_pushes(struct nova_testhost *host)
{
	for (int i = 0; i < LONG_MS / 20; i++) {
		lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
		if (strncmp(nova_testhost_fact(host, NOVA_FIELD_FACT, "events"), "pushed", 6) == 0)
			return;
		usleep(20000);
	}
	fail_msg("nothing is pushed");
}

static struct nova_testhost *connect_at(int host, const char *more, const char *most)
{
	return lab_connect(uri_of(host),
	                   (const char *const[]){PASSWORD, ca_file(), "template=debian12",
	                                         "tools=true", "poll_longest=300ms", more, most,
	                                         NULL});
}

static struct nova_testhost *open_at(int number, const char *more, const char *most)
{
	struct nova_testhost *host = connect_at(number, more, most);

	wait_for_pushes(host);
	return host;
}

static struct nova_testhost *open_lab(void)
{
	peer_tell("/clear", "{}"); /* of a test that has failed */
	return open_at(1, NULL, NULL);
}

static void close_lab(struct nova_testhost *host)
{
	peer_tell("/clear", "{}");
	peer_tell("/settings", "{'taskMs':30,'toolsMs':0}");
	lab_close(host);
}

static const struct nova_shape from_template = {
        .struct_size = sizeof(from_template),
        .boot = NOVA_BOOT_TEMPLATE,
        .vcpus = 2,
        .memory_bytes = 1024ull * 1024 * 1024,
};

static json_t *find(const char *path, const char *key, const char *value)
{
	json_t *list = peer_ask(path);
	json_t *found = NULL;
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
	{
		const char *text = json_string_value(json_object_get(one, key));

		if (!found && text && strcmp(text, value) == 0)
			found = json_incref(one);
	}
	json_decref(list);
	return found;
}

static void assert_field(const char *name, const char *field, const char *wanted)
{
	json_t *vm = find("/vms", "name_label", name);

	assert_non_null(vm);
	assert_string_equal(json_string_value(json_object_get(vm, field)), wanted);
	json_decref(vm);
}

static size_t count_of(const char *path)
{
	json_t *list = peer_ask(path);
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}

static void assert_nothing_left(void)
{
	assert_int_equal(count_of("/vms"), 0);
	assert_int_equal(count_of("/disks"), 0);
}

static size_t calls_of(const char *method)
{
	json_t *calls = peer_ask("/calls");
	size_t count = 0;
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(calls, "calls"), i, one)
	{
		count += strcmp(json_string_value(one), method) == 0;
	}
	json_decref(calls);
	return count;
}

static void assert_pushed(const struct nova_event *event)
{
	assert_non_null(event);
	if (event->source != NOVA_SOURCE_WATCH && event->source != NOVA_SOURCE_TOOLS)
		fail_msg("the event %u comes from %u", event->kind, event->source);
	assert_true(event->resolution_ns > 0);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connects_and_says_what_is_possible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const can[] = {
	        "create",  "clone",    "start", "shutdown", "pause", "reset", "ready", "stats",
	        "address", "snapshot", "image", "network",  "disk",  "stub",  "knobs", "place"};
	static const char *const cannot[] = {"exec", "beat",    "direct",
	                                     "twin", "migrate", "post-copy"};

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "XCP-ng");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "version"), "8.3.0");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "hosts"), "2");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "verified");
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

static void finds_the_master_from_any_host_of_the_pool(void **state)
{
	struct nova_testhost *host = open_at(2, NULL, NULL);

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"), NOVA_DONE);
	close_lab(host);
}

static void sends_no_password_to_a_master_that_it_does_not_trust(void **state)
{
	struct nova_testhost *host =
	        lab_open(uri_of(1), (const char *const[]){PASSWORD, ca_file(), NULL});

	(void)state;
	peer_tell("/fault",
	          "{'match':'session.login','error':['HOST_IS_SLAVE','evil.example/x?']}");
	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_PROTOCOL);
	lab_said(host, "a master that can be no host");
	/* a host that exists, whose certificate is not for that address */
	peer_tell("/fault", "{'match':'session.login','error':['HOST_IS_SLAVE','127.0.0.9']}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_UNAVAILABLE);
	close_lab(host);
}

static void ends_its_sessions(void **state)
{
	size_t before = count_of("/sessions");
	struct nova_testhost *host = open_lab();

	(void)state;
	assert_int_equal(count_of("/sessions"), before + 1);
	close_lab(host);
	assert_int_equal(count_of("/sessions"), before);
}

static void names_the_permissions_that_a_role_lacks(void **state)
{
	struct nova_testhost *host;
	struct nova_testhost *root = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(root, &vm, "novacore-ro", &from_template);
	host = lab_connect(uri_of(1),
	                   (const char *const[]){"user=reader", "password=reading-squirrel",
	                                         ca_file(), "template=debian12", NULL});
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_PAUSE),
	                    "the user's role lacks vm.pause, vm.unpause");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_PERMISSION);
	lab_said(host, "RBAC_PERMISSION_DENIED (async.vm.start");
	lab_said(host, "novacore-hypervisor-xcp-ng(7)");
	lab_close(host);
	lab_delete(root, &vm);
	close_lab(root);
}

/* The least role of the man page. */
static void makes_do_with_a_power_admin(void **state)
{
	struct nova_testhost *host = lab_connect(
	        uri_of(1),
	        (const char *const[]){"user=bench", "password=another-squirrel", ca_file(),
	                              "template=debian12", "host=a-host2", "tools=true", NULL});
	struct lab_vm vm;

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_CREATE), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_MIGRATE), 1);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_NETWORK),
	                    "the user's role lacks network.create, network.destroy");
	lab_create(host, &vm, "novacore-role", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "s", NOVA_SNAPSHOT_CREATE),
	           NOVA_DONE);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "s", NOVA_SNAPSHOT_RESTORE),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	lab_delete(host, &vm);
	lab_close(host);
	assert_nothing_left();
}

static int connect_with(const char *trust, const char *password, char error[512])
{
	struct nova_testhost *host =
	        lab_open(uri_of(1), (const char *const[]){password, trust, NULL});
	int status;

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	status = nova_testhost_call(host, LONG_MS, connect);
	snprintf(error, 512, "%s", nova_testhost_error(host));
	if (status == NOVA_DONE && strncmp(trust, "insecure", 8) == 0) {
		lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
		assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "insecure");
	}
	lab_close(host);
	return status;
}

static void trusts_only_what_it_was_told_to(void **state)
{
	char trust[600], error[512];

	(void)state;
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("other.pem"));
	assert_int_equal(connect_with(trust, PASSWORD, error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "ca_file"));
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
	char error[512];

	(void)state;
	assert_int_equal(connect_with(ca_file(), "password=very-wrong-secret", error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "SESSION_AUTHENTICATION_FAILED (root, Authentication"));
	assert_non_null(strstr(error, "user and password"));
	assert_null(strstr(error, "very-wrong-secret"));
	/* even if the peer sends it back */
	peer_tell("/fault",
	          "{'match':'session.login','error':['INTERNAL_ERROR','got " SECRET "']}");
	assert_int_equal(connect_with(ca_file(), PASSWORD, error), NOVA_E_FAILED);
	assert_non_null(strstr(error, "got ****"));
	assert_null(strstr(error, SECRET));
	peer_tell("/fault", "{'match':'session.login','status':302,'location':"
	                    "'https://evil.example/?" SECRET "'}");
	assert_int_equal(connect_with(ca_file(), PASSWORD, error), NOVA_E_PROTOCOL);
	assert_null(strstr(error, SECRET));
}

static int start_with(const char *uri, const char *password, const char *more)
{
	struct nova_testhost *host = lab_open(uri, (const char *const[]){password, more, NULL});
	int status = nova_testhost_start(host);

	assert_true(status == NOVA_DONE || strlen(nova_testhost_error(host)) > 10);
	assert_null(strstr(nova_testhost_error(host), SECRET));
	nova_testhost_free(host);
	return status;
}

static void refuses_impossible_parameters(void **state)
{
	static const char *const wrong[] = {
	        "http://127.0.0.1",           "https://",    "https://a@b",
	        "https://a/jsonrpc",          "https://a:b", "https://a:",
	        "https://127.0.0.1:99999999", "https://:443"};

	(void)state;
	assert_int_equal(start_with("https://127.0.0.1:443/", PASSWORD, NULL), NOVA_DONE);
	assert_int_equal(start_with("https://[::1]", PASSWORD, NULL), NOVA_DONE);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(start_with(wrong[i], PASSWORD, NULL), NOVA_E_INVALID);
	assert_int_equal(start_with("https://a", PASSWORD, "fingerprint=AB:CD"), NOVA_E_INVALID);
}

static void names_what_the_pool_does_not_have(void **state)
{
	static const char *const more[] = {"host=nonesuch", "sr=nonesuch", "network=nonesuch"};

	(void)state;
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct nova_testhost *host = lab_open(
		        uri_of(1), (const char *const[]){PASSWORD, ca_file(), more[i], NULL});

		lab_expect(host, nova_testhost_start(host), NOVA_DONE);
		lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_NOT_FOUND);
		lab_said(host, "'nonesuch'");
		lab_close(host);
	}
}

/* --- lives of VMs ----------------------------------------------------------------------------- */

static void leads_a_vm_through_its_life(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	int64_t started = 0, latency = 0;
	size_t before;
	const struct nova_event *running;

	(void)state;
	lab_create(host, &vm, "novacore-life", &from_template);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_API_NS, 0, &latency), NOVA_DONE);
	assert_true(latency > 1000); /* no server answers in less */
	assert_field(vm.name, "VCPUs_max", "2");
	assert_field(vm.name, "VCPUs_at_startup", "2");
	assert_field(vm.name, "memory_static_max", "1073741824");
	assert_field(vm.name, "uuid", vm.id);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);

	peer_tell("/settings", "{'toolsMs':100}");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STARTED_NS, 0, &started), NOVA_DONE);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_pushed(running);
	assert_true(running->t_ns > started);
	assert_true(running->t_ns - running->resolution_ns >= started);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_ADDRESS, LONG_MS));
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);

	lab_power(host, &vm, NOVA_POWER_PAUSE);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_PAUSED, 0));
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_PAUSED);
	lab_power(host, &vm, NOVA_POWER_RESUME);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RESUMED, 0));
	before = nova_testhost_event_count(host);
	lab_power(host, &vm, NOVA_POWER_RESET);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));

	lab_power(host, &vm, NOVA_POWER_SHUTDOWN);
	assert_non_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_SHUTDOWN, 0));
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_field(vm.name, "power_state", "Halted");
	lab_power(host, &vm, NOVA_POWER_SHUTDOWN); /* off already */
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_delete(host, &vm);
	assert_nothing_left();
	lab_delete(host, &vm); /* not there already */
	close_lab(host);
	assert_int_equal(count_of("/tasks"), 0);
}

static void deletes_a_running_vm(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-busy", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_delete(host, &vm);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_nothing_left();
	close_lab(host);
}

static void notices_a_guest_that_switches_itself_off(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-self", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	peer_tell("/vm", "{'find':'novacore-self','halt':true}");
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, LONG_MS));
	lab_delete(host, &vm);
	close_lab(host);
}

static int snapshot(struct nova_testhost *host, const struct lab_vm *vm, const char *name,
                    uint32_t action)
{
	return nova_testhost_call(host, LONG_MS, snapshot, &vm->ref, name, action);
}

static void takes_and_restores_snapshots(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm, other;
	size_t before;

	(void)state;
	lab_create(host, &vm, "novacore-snap", &from_template);
	lab_create(host, &other, "novacore-snap-2", &from_template);
	lab_expect(host, snapshot(host, &other, "warm", NOVA_SNAPSHOT_CREATE), NOVA_DONE);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_CREATE), NOVA_DONE);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_CREATE), NOVA_E_EXISTS);
	lab_said(host, "'warm' already");
	lab_power(host, &vm, NOVA_POWER_OFF);
	before = nova_testhost_event_count(host);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_RESTORE), NOVA_DONE);
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RUNNING, 0));
	assert_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	before = nova_testhost_event_count(host);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_RESTORE), NOVA_DONE);
	assert_non_null(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_UNREADY, 0));
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_READY, LONG_MS));
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_DELETE), NOVA_DONE);
	lab_expect(host, snapshot(host, &vm, "warm", NOVA_SNAPSHOT_RESTORE), NOVA_E_NOT_FOUND);
	lab_expect(host, snapshot(host, &vm, "", NOVA_SNAPSHOT_DELETE), NOVA_E_INVALID);
	lab_expect(host, snapshot(host, &vm, "cold \"x\" \xe2\x82\xac", NOVA_SNAPSHOT_CREATE),
	           NOVA_DONE);
	lab_delete(host, &vm);
	lab_delete(host, &other);
	assert_nothing_left();
	close_lab(host);
}

static void makes_vms_from_disks_images_sectors_and_other_vms(void **state)
{
	struct nova_testhost *host =
	        open_at(1, "network=Pool-wide network associated with eth0", NULL);
	char path[] = "/tmp/novacore-image-XXXXXX";
	int fd = mkstemp(path);
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .boot = NOVA_BOOT_DISK,
	                           .vcpus = 1,
	                           .memory_bytes = 256ull << 20,
	                           .disk_bytes = 3ull << 30,
	                           .image = "novacore-image"};
	struct lab_vm disk, empty, stub, copy;
	json_t *there;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1500000), 0);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-image", path),
	           NOVA_E_EXISTS);
	lab_create(host, &disk, "novacore-disk", &shape);
	there = find("/disks", "name_label", "novacore-disk");
	assert_int_equal(json_integer_value(json_object_get(there, "content")), 1500000);
	assert_string_equal(json_string_value(json_object_get(there, "virtual_size")),
	                    "3221225472");
	json_decref(there);
	there = find("/vms", "name_label", "novacore-disk");
	assert_int_equal(json_array_size(json_object_get(there, "VIFs")), 1);
	json_decref(there);
	shape.image = NULL;
	shape.place = "Local storage";
	lab_create(host, &empty, "novacore-empty", &shape);
	shape.place = NULL;
	shape.boot = NOVA_BOOT_STUB;
	shape.image = path;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-stub", &shape),
	           NOVA_DONE);
	lab_use(host, &stub, "novacore-stub");
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-copy", &disk.ref,
	                              &from_template),
	           NOVA_DONE);
	lab_use(host, &copy, "novacore-copy");
	lab_delete(host, &copy);
	lab_delete(host, &disk);
	lab_delete(host, &empty);
	lab_delete(host, &stub);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "novacore-image"),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_delete, "debian12 root"),
	           NOVA_E_REFUSED);
	assert_nothing_left();
	close(fd);
	unlink(path);
	close_lab(host);
}

static void takes_no_image_of_another_format(void **state)
{
	struct nova_testhost *host = open_lab();
	char path[] = "/tmp/novacore-image-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "QFI\xfb and so on", 14), 14);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-q", path),
	           NOVA_E_INVALID);
	lab_said(host, "qemu-img convert -O raw");
	unlink(path);
	close(fd);
	lab_expect(host, nova_testhost_call(host, LONG_MS, image_put, "novacore-q", path),
	           NOVA_E_NOT_FOUND);
	assert_nothing_left();
	close_lab(host);
}

static void says_why_a_shape_is_impossible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const wrong[] = {"vm.disk.cache=none", NULL};
	static const char *const right[] = {"vm.cpu.weight=512", "vm.cpu.mask=0,1", NULL};
	struct nova_shape shape = from_template;
	struct lab_vm vm;
	json_t *there;

	(void)state;
	shape.boot = NOVA_BOOT_DIRECT;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_UNSUPPORTED);
	lab_said(host, "template or disk");
	shape.boot = NOVA_BOOT_TEMPLATE;
	shape.knobs = wrong;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_UNSUPPORTED);
	shape.knobs = right;
	lab_create(host, &vm, "novacore-knobs", &shape);
	there = find("/vms", "name_label", vm.name);
	assert_string_equal(json_string_value(json_object_get(
	                            json_object_get(there, "VCPUs_params"), "weight")),
	                    "512");
	json_decref(there);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, knob_set, &vm.ref, "vm.cpu.weight", "64"),
	           NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_get, &vm.ref, "vm.cpu.weight"),
	           NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.cpu.weight"), "64");
	lab_delete(host, &vm);
	shape.knobs = NULL;
	shape.image = "no-such-template";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-x", &shape),
	           NOVA_E_NOT_FOUND);
	lab_said(host, "no-such-template");
	close_lab(host);
}

static void lists_by_prefix_and_finds_by_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm one, two;

	(void)state;
	lab_create(host, &one, "novacore-list-1", &from_template);
	lab_create(host, &two, "novacore-list-2", &from_template);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-list-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 2);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_VM, one.name), one.id);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "debian"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0); /* a template is no VM */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, ""), NOVA_E_INVALID);
	one.ref.id = NULL;
	lab_delete(host, &one);
	lab_delete(host, &two);
	assert_nothing_left();
	close_lab(host);
}

static void gives_statistics_and_addresses(void **state)
{
	struct nova_testhost *host = open_at(1, "host=a-host2", NULL);
	struct lab_vm vm;
	int64_t value = 0;

	(void)state;
	lab_create(host, &vm, "novacore-stats", &from_template);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_CPU_NS), 0);
	lab_power(host, &vm, NOVA_POWER_START);
	assert_pushed(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_READY, LONG_MS));
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 1024ll << 20);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_CPU_NS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 7500000000ll);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_NET_RX_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 3000);
	/* what is no number is not invented */
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_NET_TX_BYTES), 0);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	           NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_ADDRESS, "eth0"), "192.0.2.7");
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_ADDRESS), 2);
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	           NOVA_E_UNAVAILABLE);
	lab_delete(host, &vm);
	close_lab(host);
}

static void makes_and_deletes_networks(void **state)
{
	struct nova_testhost *host = open_lab();
	const char *const networks[] = {"novacore-net", NULL};
	struct nova_shape shape = {.struct_size = sizeof(shape),
	                           .boot = NOVA_BOOT_DISK,
	                           .vcpus = 1,
	                           .disk_bytes = 1ull << 30,
	                           .networks = networks};
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
	lab_create(host, &vm, "novacore-wired", &shape);
	lab_delete(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, net_delete, "novacore-net"), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, net_delete, "novacore-net"), NOVA_DONE);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, net_delete,
	                              "Pool-wide network associated with eth0"),
	           NOVA_E_REFUSED);
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
	peer_tell("/settings", "{'address':'127.0.0.1','toolsMs':200}"); /* none at first */
	host = lab_connect(uri_of(1), (const char *const[]){PASSWORD, ca_file(),
	                                                    "template=debian12", "tools=true",
	                                                    sshd.key, sshd.port, sshd.user, NULL});
	lab_create(host, &vm, "novacore-exec", &from_template);
	lab_sshd_try(host, &vm);
	peer_tell("/settings", "{'address':'192.0.2.7'}");
	close_lab(host);
	lab_sshd_stop(&sshd);
}

/* --- migration -------------------------------------------------------------------------------- */

static void migrate(struct nova_testhost *from, struct nova_testhost *to, struct lab_vm *vm)
{
	struct nova_migrate how = {.struct_size = sizeof(how)};
	char ticket[200];
	size_t before;

	lab_expect(to, nova_testhost_call(to, LONG_MS, migrate_prepare, &vm->ref, &from_template),
	           NOVA_DONE);
	assert_non_null(nova_testhost_fact(to, NOVA_FIELD_TICKET, ""));
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(to, NOVA_FIELD_TICKET, ""));
	assert_null(strstr(ticket, "OpaqueRef")); /* no session in it */
	how.ticket = ticket;
	how.flags = NOVA_MIGRATE_POST_COPY;
	lab_expect(from, nova_testhost_call(from, LONG_MS, migrate, &vm->ref, &how),
	           NOVA_E_UNSUPPORTED);
	how.flags = 0;
	before = nova_testhost_event_count(to);
	lab_expect(from, nova_testhost_call(from, LONG_MS, migrate, &vm->ref, &how), NOVA_DONE);
	lab_expect(to,
	           nova_testhost_call(to, LONG_MS, migrate_finish, &vm->ref, ticket, NOVA_MIGRATED),
	           NOVA_DONE);
	assert_pushed(nova_testhost_wait(to, before, vm->name, NOVA_EVENT_MIGRATED, 0));
	assert_int_equal(lab_state(to, vm), NOVA_STATE_RUNNING);
	lab_expect(from, nova_testhost_call(from, LONG_MS, vm_query, &vm->ref, NOVA_QUERY_STATE),
	           NOVA_E_NOT_FOUND);
	/* a ticket is for one journey */
	lab_expect(to, nova_testhost_call(to, LONG_MS, migrate, &vm->ref, &how), NOVA_E_INVALID);
}

static void migrates_between_hosts_of_a_pool(void **state)
{
	struct nova_testhost *one = open_at(1, "host=a-host1", NULL);
	struct nova_testhost *two = open_at(2, "host=a-host2", NULL);
	struct lab_vm vm;

	(void)state;
	lab_create(one, &vm, "novacore-nomad", &from_template);
	lab_power(one, &vm, NOVA_POWER_START);
	migrate(one, two, &vm);
	migrate(two, one, &vm);
	lab_delete(one, &vm);
	assert_nothing_left();
	lab_close(two);
	close_lab(one);
}

static void migrates_between_pools_with_its_disks(void **state)
{
	static const char network[] = "network=Pool-wide network associated with eth0";
	struct nova_testhost *one = open_at(1, "host=a-host1", network);
	struct nova_testhost *two = open_at(3, "host=b-host1", network);
	struct lab_vm vm;

	(void)state;
	lab_create(one, &vm, "novacore-emigrant", &from_template);
	lab_power(one, &vm, NOVA_POWER_START);
	migrate(one, two, &vm);
	assert_nothing_left();
	assert_int_equal(count_of("/disks?b"), 1);
	migrate(two, one, &vm);
	assert_int_equal(count_of("/vms?b"), 0);
	assert_int_equal(count_of("/disks?b"), 0);
	lab_delete(one, &vm);
	assert_nothing_left();
	lab_close(two);
	close_lab(one);
}

static void leaves_a_vm_where_it_was_when_its_migration_fails(void **state)
{
	struct nova_testhost *one = open_at(1, "host=a-host1", NULL);
	struct nova_testhost *two = open_at(2, "host=a-host2", NULL);
	struct nova_migrate how = {.struct_size = sizeof(how)};
	struct lab_vm vm;
	char ticket[200];

	(void)state;
	lab_create(one, &vm, "novacore-stays", &from_template);
	lab_power(one, &vm, NOVA_POWER_START);
	lab_expect(two, nova_testhost_call(two, LONG_MS, migrate_prepare, &vm.ref, &from_template),
	           NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(two, NOVA_FIELD_TICKET, ""));
	how.ticket = ticket;
	peer_tell("/fault", "{'match':'VM.pool_migrate','error':['VM_MIGRATE_FAILED','x','why']}");
	lab_expect(one, nova_testhost_call(one, LONG_MS, migrate, &vm.ref, &how), NOVA_E_FAILED);
	lab_said(one, "VM_MIGRATE_FAILED (x, why)");
	lab_expect(two,
	           nova_testhost_call(two, LONG_MS, migrate_finish, &vm.ref, ticket,
	                              NOVA_NOT_MIGRATED),
	           NOVA_DONE);
	assert_int_equal(lab_state(one, &vm), NOVA_STATE_RUNNING);
	lab_delete(one, &vm);
	lab_close(two);
	close_lab(one);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void reports_the_text_of_a_failed_task(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-fail", &from_template);
	peer_tell("/fault",
	          "{'match':'VM.start','task_error':['HOST_NOT_ENOUGH_FREE_MEMORY','8','4'"
	          "]}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_FAILED);
	lab_said(host, "VM.start of novacore-fail");
	lab_said(host, "HOST_NOT_ENOUGH_FREE_MEMORY (8, 4)");
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_BUSY);
	lab_said(host, "VM_BAD_POWER_STATE");
	lab_delete(host, &vm);
	close_lab(host);
}

static void says_that_a_guest_does_not_shut_down(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-deaf", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/vm", "{'find':'novacore-deaf','deaf':1}");
	lab_expect(host, nova_testhost_call(host, 400, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN),
	           NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	assert_null(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 0));
	assert_field(vm.name, "power_state", "Running");
	lab_delete(host, &vm);
	close_lab(host);
}

static void assert_untouched(struct nova_testhost *host, const struct nova_ref *ref)
{
	static const uint32_t actions[] = {NOVA_POWER_START, NOVA_POWER_SHUTDOWN,
	                                   NOVA_POWER_OFF,   NOVA_POWER_RESET,
	                                   NOVA_POWER_PAUSE, NOVA_POWER_RESUME};

	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, ref), NOVA_E_REFUSED);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, ref, actions[i]),
		           NOVA_E_REFUSED);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, ref, "mine", NOVA_SNAPSHOT_CREATE),
	           NOVA_E_REFUSED);
}

static void leaves_what_is_not_ours_alone(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_ref foreign = {.struct_size = sizeof(foreign), .name = "payroll"};
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-mine", &from_template);
	peer_tell("/vm", "{'find':'novacore-mine','name_label':'payroll','power_state':'Running'}");
	assert_untouched(host, &vm.ref); /* renamed by somebody who wants to keep it */
	assert_untouched(host, &foreign);
	assert_field("payroll", "power_state", "Running");
	peer_tell("/vm", "{'find':'payroll','power_state':'Halted'}");
	peer_tell("/forget", "{'name':'payroll'}");
	foreign.name = "debian12";
	assert_untouched(host, &foreign);
	foreign.name = "Other install media";
	assert_untouched(host, &foreign);
	peer_tell("/forget", "{'name':'debian12 root'}"); /* ignored: that of the template stays */
	close_lab(host);
}

static void spares_a_disk_that_another_vm_has(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	json_t *disk;

	(void)state;
	lab_create(host, &vm, "novacore-shared", &from_template);
	peer_tell("/vm", "{'name_label':'payroll'}");
	peer_tell("/disk", "{'name':'accounts','vm':['payroll','novacore-shared']}");
	lab_delete(host, &vm);
	disk = find("/disks", "name_label", "accounts");
	assert_non_null(disk);
	json_decref(disk);
	peer_tell("/forget", "{'name':'payroll'}");
	peer_tell("/forget", "{'name':'accounts'}");
	close_lab(host);
}

static void sweeps_what_was_cut_short(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-cut-1"};

	(void)state;
	/* killed between clone and provision; a disk that was made and not attached yet */
	peer_tell("/vm", "{'name_label':'novacore-cut-1','is_a_template':true}");
	peer_tell("/disk", "{'name':'novacore-cut-2'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-cut-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 1);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.name = "novacore-cut-2";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	assert_nothing_left();
	close_lab(host);
}

static void refuses_to_guess_between_two_of_a_name(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = "novacore-twice"};
	char id[64];
	json_t *vm;

	(void)state;
	peer_tell("/vm", "{'name_label':'novacore-twice'}");
	peer_tell("/vm", "{'name_label':'novacore-twice'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_REFUSED);
	vm = find("/vms", "name_label", "novacore-twice");
	snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(vm, "uuid")));
	json_decref(vm);
	ref.id = id;
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.id = NULL; /* one is left */
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_DONE);
	ref.id = "801";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &ref), NOVA_E_INVALID);
	assert_nothing_left();
	close_lab(host);
}

static void survives_lost_questions_but_not_lost_orders(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	size_t before;

	(void)state;
	lab_create(host, &vm, "novacore-lost", &from_template);
	peer_tell("/fault", "{'match':'task.get_record','drop':'before','times':2}");
	peer_tell("/fault", "{'match':'task.get_record','status':503,'times':1}");
	peer_tell("/fault", "{'match':'event.from','drop':'middle','times':2}");
	lab_power(host, &vm, NOVA_POWER_START);
	before = calls_of("Async.VM.hard_shutdown");
	peer_tell("/fault", "{'match':'Async.VM.hard_shutdown','drop':'after'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	           NOVA_E_UNKNOWN);
	lab_said(host, "VM.hard_shutdown");
	lab_said(host, "not sent again");
	assert_int_equal(calls_of("Async.VM.hard_shutdown"), before + 1);
	peer_tell("/fault", "{'match':'VM.get_record','drop':'middle'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	           NOVA_E_UNAVAILABLE);
	peer_tell("/fault", "{'match':'VM.get_record','slow_ms':500}");
	lab_state(host, &vm);
	lab_delete(host, &vm);
	assert_nothing_left();
	close_lab(host);
}

static void polls_where_nothing_is_pushed(void **state)
{
	struct nova_testhost *host;
	struct lab_vm vm;
	const struct nova_event *running;

	(void)state;
	peer_tell(
	        "/fault",
	        "{'match':'event.from','error':['MESSAGE_METHOD_UNKNOWN','event.from'],'times':9}");
	host = connect_at(1, "poll_first=20ms", NULL);
	lab_create(host, &vm, "novacore-polled", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	running = nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 0);
	assert_non_null(running);
	assert_int_equal(running->source, NOVA_SOURCE_POLL);
	lab_delete(host, &vm);
	assert_nothing_left();
	close_lab(host);
}

static void logs_in_again_when_its_session_has_ended(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	size_t before;

	(void)state;
	lab_create(host, &vm, "novacore-session", &from_template);
	peer_tell("/expire", "{}");
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	peer_tell("/fault", "{'match':'Async.VM.start','delay_ms':100}");
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/expire", "{}");
	lab_power(host, &vm, NOVA_POWER_PAUSE);
	peer_tell("/expire", "{}");
	peer_tell("/fault",
	          "{'match':'session.login','error':['SESSION_AUTHENTICATION_FAILED','root','x']"
	          ",'times':99}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	           NOVA_E_PERMISSION);
	lab_said(host, "the session has ended, and there is no new one");
	peer_tell("/clear", "{}");
	/* what is pushed is pushed again as well */
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_PAUSED);
	wait_for_pushes(host);
	before = nova_testhost_event_count(host);
	lab_power(host, &vm, NOVA_POWER_RESUME);
	assert_pushed(nova_testhost_wait(host, before, vm.name, NOVA_EVENT_RESUMED, LONG_MS));
	lab_delete(host, &vm);
	assert_nothing_left();
	close_lab(host);
}

static void refuses_answers_that_are_not_xenapis(void **state)
{
	static const struct {
		const char *wish, *said;
		int status;
	} cases[] = {
	        {"'garbage':'<html>Welcome to nginx</html>'", "not XenAPI's", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'jsonrpc\\':\\'2.0\\',\\'id\\':'", "not XenAPI's", NOVA_E_PROTOCOL},
	        {"'garbage':'[]'", "no JSON-RPC 2.0", NOVA_E_PROTOCOL},
	        {"'garbage':'{\\'jsonrpc\\':\\'2.0\\',\\'id\\':7777777,\\'result\\':{}}'",
	         "answers another request", NOVA_E_PROTOCOL},
	        {"'garbage':''", "not XenAPI's", NOVA_E_PROTOCOL},
	        {"'status':503,'reason':'over\\u0007load'", "over?load", NOVA_E_UNAVAILABLE},
	        {"'status':302,'location':'https://evil.example/'", "not followed",
	         NOVA_E_PROTOCOL},
	        {"'error':['INTERNAL_ERROR','a\\u0007b','\\u202e']", "INTERNAL_ERROR",
	         NOVA_E_FAILED},
	};
	struct nova_testhost *host = open_lab();
	char wish[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(wish, sizeof(wish), "{'match':'VM.get_all_records',%s}", cases[i].wish);
		peer_tell("/fault", wish);
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-"),
		           cases[i].status);
		lab_said(host, cases[i].said);
	}
	close_lab(host);
}

static void last_task(const char *name, char status[32])
{
	json_t *tasks = peer_ask("/tasks");
	size_t i;
	json_t *task;

	strcpy(status, "none");
	json_array_foreach(tasks, i, task)
	{
		if (strcmp(json_string_value(json_object_get(task, "name_label")), name) == 0)
			snprintf(status, 32, "%s",
			         json_string_value(json_object_get(task, "status")));
	}
	json_decref(tasks);
}

static void stops_a_slow_task_at_its_deadline(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	char status[32];

	(void)state;
	lab_create(host, &vm, "novacore-slow", &from_template);
	peer_tell("/fault", "{'match':'VM.start','task_ms':60000}");
	lab_expect(host, nova_testhost_call(host, 400, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	last_task("Async.VM.start", status);
	assert_string_equal(status, "cancelled");
	assert_field(vm.name, "power_state", "Halted");
	lab_delete(host, &vm);

	peer_tell("/fault", "{'match':'VM.clone','task_ms':60000}");
	lab_expect(host,
	           nova_testhost_call(host, 400, vm_create, "novacore-slow-2", &from_template),
	           NOVA_E_TIMEOUT);
	last_task("Async.VM.clone", status);
	assert_string_equal(status, "cancelled");
	assert_nothing_left();
	close_lab(host);
}

static void ends_when_the_peer_does_not_answer_at_all(void **state)
{
	struct nova_testhost *host = open_lab();

	(void)state;
	peer_tell("/fault", "{'match':'VM.get_all_records','delay_ms':3000}");
	lab_expect(host, nova_testhost_call(host, 200, vm_list, "novacore-"), NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(host), 1);
	close_lab(host);
}

static void waits_for_another_operation_before_it_deletes(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-locked", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/fault",
	          "{'match':'VM.hard_shutdown','task_error':['OTHER_OPERATION_IN_PROGRESS',"
	          "'VM','x']}");
	lab_delete(host, &vm);
	assert_nothing_left();
	close_lab(host);
}

/* --- many ------------------------------------------------------------------------------------- */

#define MANY 20

struct worker {
	struct nova_testhost *host;
	struct lab_vm vm;
	int status;
	char error[200];
};

static int live(struct worker *worker)
{
	struct nova_testhost *host = worker->host;
	struct lab_vm *vm = &worker->vm;
	char name[64];
	int status;

	snprintf(name, sizeof(name), "%s", vm->name);
	status = nova_testhost_call(host, LONG_MS, vm_create, name, &from_template);
	if (status != NOVA_DONE)
		return status;
	lab_use(host, vm, name);
	status = nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, NOVA_POWER_START);
	if (status != NOVA_DONE)
		return status;
	status = nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, NOVA_POWER_OFF);
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
		assert_pushed(
		        nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_RUNNING, 0));
		assert_pushed(
		        nova_testhost_wait(host, 0, workers[i].vm.name, NOVA_EVENT_STOPPED, 0));
	}
	assert_true(connections() - before <= 16);
	assert_nothing_left();
	close_lab(host);
}

static void gives_a_name_to_one_of_two_that_want_it_at_once(void **state)
{
	static struct worker workers[2];
	struct nova_testhost *host = open_lab();
	pthread_t threads[2];
	int exist = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		workers[i].host = host;
		snprintf(workers[i].vm.name, sizeof(workers[i].vm.name), "novacore-race");
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		exist += workers[i].status == NOVA_E_EXISTS;
		assert_true(workers[i].status == NOVA_DONE || workers[i].status == NOVA_E_EXISTS);
	}
	assert_int_equal(exist, 1);
	assert_nothing_left();
	close_lab(host);
}

static void cuts_no_name_short(void **state)
{
	struct nova_testhost *host = open_lab();
	char name[300];
	struct nova_ref ref = {.struct_size = sizeof(ref), .name = name};

	(void)state;
	memset(name, 'l', sizeof(name));
	memcpy(name, "novacore-", 9);
	name[299] = '\0';
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, name), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 0);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &ref, NOVA_POWER_OFF),
	           NOVA_E_INVALID);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &from_template),
	           NOVA_E_INVALID);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_create, "novacore-\xff", &from_template),
	           NOVA_E_INVALID);
	lab_said(host, "not UTF-8");
	close_lab(host);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int start_peer(void **state)
{
	(void)state;
	lab_secret = SECRET;
	peer_start(NULL);
	return 0;
}

static int stop_peer(void **state)
{
	json_t *calls = peer_ask("/calls");
	char *text = json_dumps(json_object_get(calls, "rejected"), 0);
	int failed = strcmp(text, "[]") != 0;

	(void)state;
	if (failed)
		print_error("the peer refused %s\n", text);
	print_message("%lld calls were checked against the data model\n",
	              (long long)json_integer_value(json_object_get(calls, "total")));
	free(text);
	json_decref(calls);
	peer_stop();
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_and_says_what_is_possible),
	        cmocka_unit_test(finds_the_master_from_any_host_of_the_pool),
	        cmocka_unit_test(sends_no_password_to_a_master_that_it_does_not_trust),
	        cmocka_unit_test(ends_its_sessions),
	        cmocka_unit_test(names_the_permissions_that_a_role_lacks),
	        cmocka_unit_test(makes_do_with_a_power_admin),
	        cmocka_unit_test(trusts_only_what_it_was_told_to),
	        cmocka_unit_test(refuses_a_wrong_password_without_showing_it),
	        cmocka_unit_test(refuses_impossible_parameters),
	        cmocka_unit_test(names_what_the_pool_does_not_have),
	        cmocka_unit_test(leads_a_vm_through_its_life),
	        cmocka_unit_test(deletes_a_running_vm),
	        cmocka_unit_test(notices_a_guest_that_switches_itself_off),
	        cmocka_unit_test(takes_and_restores_snapshots),
	        cmocka_unit_test(makes_vms_from_disks_images_sectors_and_other_vms),
	        cmocka_unit_test(takes_no_image_of_another_format),
	        cmocka_unit_test(says_why_a_shape_is_impossible),
	        cmocka_unit_test(lists_by_prefix_and_finds_by_name),
	        cmocka_unit_test(gives_statistics_and_addresses),
	        cmocka_unit_test(makes_and_deletes_networks),
	        cmocka_unit_test(runs_programs_in_a_guest_by_ssh),
	        cmocka_unit_test(migrates_between_hosts_of_a_pool),
	        cmocka_unit_test(migrates_between_pools_with_its_disks),
	        cmocka_unit_test(leaves_a_vm_where_it_was_when_its_migration_fails),
	        cmocka_unit_test(reports_the_text_of_a_failed_task),
	        cmocka_unit_test(says_that_a_guest_does_not_shut_down),
	        cmocka_unit_test(leaves_what_is_not_ours_alone),
	        cmocka_unit_test(spares_a_disk_that_another_vm_has),
	        cmocka_unit_test(sweeps_what_was_cut_short),
	        cmocka_unit_test(refuses_to_guess_between_two_of_a_name),
	        cmocka_unit_test(survives_lost_questions_but_not_lost_orders),
	        cmocka_unit_test(polls_where_nothing_is_pushed),
	        cmocka_unit_test(logs_in_again_when_its_session_has_ended),
	        cmocka_unit_test(refuses_answers_that_are_not_xenapis),
	        cmocka_unit_test(stops_a_slow_task_at_its_deadline),
	        cmocka_unit_test(ends_when_the_peer_does_not_answer_at_all),
	        cmocka_unit_test(waits_for_another_operation_before_it_deletes),
	        cmocka_unit_test(leads_twenty_vms_at_once_over_few_connections),
	        cmocka_unit_test(gives_a_name_to_one_of_two_that_want_it_at_once),
	        cmocka_unit_test(cuts_no_name_short),
	};

	return cmocka_run_group_tests(tests, start_peer, stop_peer);
}
