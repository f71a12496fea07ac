/* SPDX-License-Identifier: MIT */
/*
 * The KubeVirt driver against the self-made peer: whole lives of VMs, logins, rights, broken
 * answers, broken watches, deadlines, many VMs at once, and VMs that are not ours. At the end no
 * request of the whole run may have been refused as malformed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "peer.h"

#define SECRET "kubevirt-bench-token-0123456789"
#define TOKEN  "token=" SECRET

/* --- helpers ---------------------------------------------------------------------------------- */

#define WITH(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		"namespace=bench", __VA_ARGS__, NULL                                               \
	}

static const char *ca_file(void)
{
	static char text[600];

	snprintf(text, sizeof(text), "ca_file=%s", peer_file("cert.pem"));
	return text;
}

/* Of the namespace, or NULL; the caller owns it. */
static json_t *peer_object(const char *plural, const char *name)
{
	char path[96];
	json_t *list;
	json_t *found = NULL;
	size_t i;
	json_t *one;

	snprintf(path, sizeof(path), "/objects?%s", plural);
	list = peer_ask(path);
	json_array_foreach(list, i, one)
	{
		json_t *own = json_object_get(json_object_get(one, "metadata"), "name");

		if (strcmp(json_string_value(own), name) == 0)
			found = json_incref(one);
	}
	json_decref(list);
	return found;
}

/* A connected target with everything configured, polling fast. */
static struct nova_testhost *open_lab(void)
{
	peer_tell("/clear", "{}"); /* of a test that has failed */
	peer_tell("/settings", "{'agentMs':30,'perNode':200,'deaf':false,'migratable':true,"
	                       "'migrationFails':false,'snapshotFails':false,'noReset':false,"
	                       "'noMetrics':false,'noSnapshots':false,'pageMost':500}");
	return lab_connect(peer_uri(), WITH(TOKEN, ca_file(), "template=pvc:golden",
	                                    "container_disk=registry/debian:12", "agent=true",
	                                    "grace=2s", "poll_first=10ms", "poll_longest=50ms"));
}

static void close_lab(struct nova_testhost *host)
{
	peer_tell("/clear", "{}");
	lab_close(host);
}

static const struct nova_shape from_image = {
        .struct_size = sizeof(from_image),
        .boot = NOVA_BOOT_DISK,
        .vcpus = 2,
        .memory_bytes = 1024ull * 1024 * 1024,
};

static const struct nova_shape from_template = {
        .struct_size = sizeof(from_template),
        .boot = NOVA_BOOT_TEMPLATE,
        .vcpus = 1,
        .memory_bytes = 512ull * 1024 * 1024,
        .disk_bytes = 5368709120ull,
        .place = "fast",
};

static void create_vm(struct nova_testhost *host, struct lab_vm *vm, const char *name)
{
	lab_create(host, vm, name, &from_image);
}

static const struct nova_event *await(struct nova_testhost *host, size_t from,
                                      const struct lab_vm *vm, uint32_t kind)
{
	const struct nova_event *event = nova_testhost_wait(host, from, vm->name, kind, LONG_MS);

	if (!event)
		fail_msg("event %u of %s did not come", kind, vm->name);
	return event;
}

static int count_events(struct nova_testhost *host, const struct lab_vm *vm, uint32_t kind)
{
	const struct nova_event *event;
	int count = 0;

	for (size_t i = 0; (event = nova_testhost_event(host, i)); i++)
		count += event->kind == kind && strcmp(event->name, vm->name) == 0;
	return count;
}

static const char *text_at(const json_t *object, const char *a, const char *b, const char *c)
{
	const json_t *value = json_object_get(json_object_get(object, a), b);
	const char *text = json_string_value(c ? json_object_get(value, c) : value);

	return text ? text : "";
}

static int count_objects(const char *plural)
{
	char path[96];
	json_t *list;
	int count;

	snprintf(path, sizeof(path), "/objects?%s", plural);
	list = peer_ask(path);
	count = (int)json_array_size(list);
	json_decref(list);
	return count;
}

/* --- connecting ------------------------------------------------------------------------------- */

static void connects_and_says_what_is_possible(void **state)
{
	struct nova_testhost *host = open_lab();
	static const char *const can[] = {"create", "clone",   "start",  "shutdown",
	                                  "pause",  "reset",   "ready",  "snapshot",
	                                  "stats",  "address", "migrate"};
	static const char *const cannot[] = {"exec",  "beat",    "stub", "direct",
	                                     "image", "network", "twin"};

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "product"), "KubeVirt");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "version"), "v1.4.0");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "kubernetes"),
	                    "v1.31.0-peer");
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

static const char *why_not(struct nova_testhost *host, const char *capability)
{
	const char *why = nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, capability);

	return why ? why : "(it can)";
}

static void names_the_rights_that_an_account_lacks(void **state)
{
	struct nova_testhost *host =
	        lab_connect(peer_uri(), WITH("token=kubevirt-watch-token-0123456789", ca_file(),
	                                     "container_disk=x", "template=y"));

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_string_equal(why_not(host, NOVA_CAN_START),
	                    "lacks the right to patch virtualmachines, update "
	                    "virtualmachines/stop in the namespace bench");
	assert_string_equal(why_not(host, NOVA_CAN_PAUSE),
	                    "lacks the right to update virtualmachineinstances/pause, update "
	                    "virtualmachineinstances/unpause in the namespace bench");
	assert_string_equal(why_not(host, NOVA_CAN_STATS),
	                    "lacks the right to list pods in the namespace bench");
	assert_non_null(strstr(why_not(host, NOVA_CAN_SNAPSHOT), "create virtualmachinerestores"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_ADDRESS), 1);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-no", &from_image),
	           NOVA_E_PERMISSION);
	lab_said(host, "cannot create resource \"virtualmachines\"");
	lab_said(host, "docs/roles/kubevirt.yaml");
	close_lab(host);
	host = lab_open(peer_uri(), WITH("token=kubevirt-nobody-token-0123456789", ca_file()));
	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_PERMISSION);
	lab_said(host, "may not even get or list virtualmachines");
	close_lab(host);
}

static void says_what_a_cluster_lacks(void **state)
{
	struct nova_testhost *host;

	(void)state;
	peer_tell("/settings", "{'noReset':true,'noMetrics':true,'noSnapshots':true}");
	host = lab_connect(peer_uri(), WITH(TOKEN, ca_file(), "template=golden"));
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_non_null(strstr(why_not(host, NOVA_CAN_RESET), "too old"));
	assert_non_null(strstr(why_not(host, NOVA_CAN_STATS), "metrics-server"));
	assert_non_null(strstr(why_not(host, NOVA_CAN_SNAPSHOT), "snapshot.kubevirt.io"));
	assert_non_null(strstr(why_not(host, NOVA_CAN_READY), "agent=true"));
	close_lab(host);
	host = open_lab(); /* puts the settings back */
	close_lab(host);
	peer_tell("/fault", "{'match':'GET /apis/subresources','status':404}");
	host = lab_open(peer_uri(), WITH(TOKEN, ca_file()));
	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_E_UNSUPPORTED);
	lab_said(host, "has no KubeVirt");
	close_lab(host);
}

static int connect_with(const char *trust, const char *token, char error[600])
{
	struct nova_testhost *host = lab_open(peer_uri(), WITH(token, trust));
	int status;

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	status = nova_testhost_call(host, LONG_MS, connect);
	snprintf(error, 600, "%s", nova_testhost_error(host));
	if (status == NOVA_DONE && strncmp(trust, "insecure", 8) == 0) {
		lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
		assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_FACT, "tls"), "insecure");
	}
	close_lab(host);
	return status;
}

static void trusts_only_what_it_was_told_to(void **state)
{
	char trust[600], error[600];

	(void)state;
	snprintf(trust, sizeof(trust), "ca_file=%s", peer_file("other.pem"));
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "ca_file"));
	assert_int_equal(connect_with("insecure=false", TOKEN, error), NOVA_E_PERMISSION);
	assert_int_equal(connect_with("insecure=true", TOKEN, error), NOVA_DONE);
	snprintf(trust, sizeof(trust), "fingerprint=%s", peer_fingerprint());
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_DONE);
	trust[12] = trust[12] == '0' ? '1' : '0';
	assert_int_equal(connect_with(trust, TOKEN, error), NOVA_E_PERMISSION);
}

static void refuses_a_wrong_token_without_showing_it(void **state)
{
	char error[600];

	(void)state;
	assert_int_equal(connect_with(ca_file(), "token=very-wrong-secret", error),
	                 NOVA_E_PERMISSION);
	assert_non_null(strstr(error, "401 Unauthorized"));
	assert_null(strstr(error, "very-wrong-secret"));
	/* even if the peer sends it back */
	peer_tell("/fault", "{'match':'GET /version','status':500,'reason':'you sent " SECRET "'}");
	assert_int_equal(connect_with(ca_file(), TOKEN, error), NOVA_E_FAILED);
	assert_non_null(strstr(error, "you sent ****"));
	assert_null(strstr(error, SECRET));
}

/* --- logins by kubeconfig --------------------------------------------------------------------- */

static void write_file(const char *path, const char *format, ...)
{
	FILE *file;
	va_list arguments;

	unlink(path);
	file = fdopen(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), "w");
	assert_non_null(file);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

static struct nova_testhost *connect_config(const char *config)
{
	char parameter[160];
	const char *parameters[] = {parameter, "container_disk=x", NULL};
	struct nova_testhost *host;

	snprintf(parameter, sizeof(parameter), "kubeconfig=%s", config);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

#define CONFIG                                                                                     \
	"current-context: a\nclusters: [{name: c, cluster: {server: '%s', certificate-authority: " \
	"'%s'}}]\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: bench}}]\n"       \
	"users: [{name: u, user: {%s}}]\n"

static void logs_in_by_client_certificate(void **state)
{
	char directory[] = "/tmp/novacore-kubevirt-XXXXXX", path[64], user[1200];
	struct nova_testhost *host;
	struct lab_vm vm;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/config", directory);
	snprintf(user, sizeof(user), "client-certificate: '%s', client-key: '%s'",
	         peer_file("client.pem"), peer_file("client-key.pem"));
	write_file(path, CONFIG, peer_uri(), peer_file("cert.pem"), user);
	host = connect_config(path);
	create_vm(host, &vm, "novacore-t-cert");
	lab_delete(host, &vm);
	close_lab(host);
	unlink(path);
	rmdir(directory);
}

static void reads_a_token_file_again_when_the_token_has_expired(void **state)
{
	char directory[] = "/tmp/novacore-kubevirt-XXXXXX", path[64], token[64];
	struct nova_testhost *host;
	struct lab_vm vm;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/config", directory);
	snprintf(token, sizeof(token), "%s/token", directory);
	peer_tell("/issue", "{'token':'first-token-0123456789'}");
	write_file(token, "first-token-0123456789\n");
	write_file(path, CONFIG, peer_uri(), peer_file("cert.pem"), "tokenFile: token");
	host = connect_config(path);
	create_vm(host, &vm, "novacore-t-renew");
	peer_tell("/revoke", "{'token':'first-token-0123456789'}");
	peer_tell("/issue", "{'token':'second-token-0123456789'}");
	write_file(token, "second-token-0123456789\n");
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/revoke", "{'token':'second-token-0123456789'}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	           NOVA_E_PERMISSION);
	assert_null(strstr(nova_testhost_error(host), "second-token"));
	unlink(token);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_OFF),
	           NOVA_E_PERMISSION);
	lab_said(host, "there is no new one");
	peer_tell("/issue", "{'token':'third-token-0123456789'}");
	write_file(token, "third-token-0123456789");
	lab_delete(host, &vm);
	close_lab(host);
	unlink(token);
	unlink(path);
	rmdir(directory);
}

static int start_with(const char *a, const char *b, const char *c, const char *words)
{
	const char *parameters[] = {a, b, c, NULL};
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	int status;

	assert_non_null(host);
	status = nova_testhost_start(host);
	if (words)
		lab_said(host, words);
	nova_testhost_free(host);
	return status;
}

static void refuses_impossible_parameters(void **state)
{
	char path[] = "/tmp/novacore-kubevirt-config", config[80];
	static const char good[] = "uri=https://127.0.0.1:6443/";

	(void)state;
	assert_int_equal(start_with(good, TOKEN, NULL, NULL), NOVA_DONE);
	assert_int_equal(start_with("uri=http://127.0.0.1", TOKEN, NULL, "https://host"),
	                 NOVA_E_INVALID);
	assert_int_equal(start_with("uri=https://a@b", TOKEN, NULL, "https://host"),
	                 NOVA_E_INVALID);
	assert_int_equal(start_with(TOKEN, NULL, NULL, "neither uri"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, NULL, NULL, "no credential"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "token=a b", NULL, "white space"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN, "namespace=a/b", "namespace's name"),
	                 NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN, "node=a/b", "node's name"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, TOKEN, "fingerprint=00", "SHA-256"), NOVA_E_INVALID);
	assert_int_equal(start_with(good, "client_key=/x", NULL, "need each other"),
	                 NOVA_E_INVALID);
	assert_int_equal(start_with("kubeconfig=/no/such", NULL, NULL, "No such file"), NOVA_E_IO);
	write_file(path, CONFIG, "https://elsewhere:6443", "/ca", "token: abc");
	snprintf(config, sizeof(config), "kubeconfig=%s", path);
	/* its token is for that server alone */
	assert_int_equal(start_with(good, config, NULL, "leave uri out"), NOVA_E_INVALID);
	write_file(path, CONFIG, "https://elsewhere:6443", "/ca", "exec: {command: x}");
	assert_int_equal(start_with(config, NULL, NULL, "exec_credentials"), NOVA_E_INVALID);
	write_file(path, CONFIG, "https://elsewhere:6443", "/ca",
	           "exec: {command: x, interactiveMode: Always}");
	assert_int_equal(start_with(config, "exec_credentials=true", NULL, "ask a person"),
	                 NOVA_E_INVALID);
	write_file(path, CONFIG, "https://elsewhere:6443", "/ca", "auth-provider: {name: gcp}");
	assert_int_equal(start_with(config, NULL, NULL, "auth-provider"), NOVA_E_INVALID);
	unlink(path);
}

/* --- lives ------------------------------------------------------------------------------------ */

static void leads_a_whole_life(void **state)
{
	struct nova_testhost *host = open_lab();
	const struct nova_event *event;
	int64_t value = 0;
	struct lab_vm vm;
	size_t from;

	(void)state;
	create_vm(host, &vm, "novacore-t-life");
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	lab_power(host, &vm, NOVA_POWER_START);
	event = await(host, 0, &vm, NOVA_EVENT_RUNNING);
	assert_int_equal(event->source, NOVA_SOURCE_WATCH);
	assert_true(event->resolution_ns > 0 && event->resolution_ns < 5000000000ll);
	await(host, 0, &vm, NOVA_EVENT_READY);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);
	lab_power(host, &vm, NOVA_POWER_PAUSE);
	await(host, 0, &vm, NOVA_EVENT_PAUSED);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_PAUSED);
	lab_power(host, &vm, NOVA_POWER_RESUME);
	await(host, 0, &vm, NOVA_EVENT_RESUMED);
	from = nova_testhost_event_count(host);
	lab_power(host, &vm, NOVA_POWER_RESET);
	await(host, from, &vm, NOVA_EVENT_RUNNING);
	await(host, from, &vm, NOVA_EVENT_READY);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATS),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_MEMORY_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 1073741824);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_RESIDENT_BYTES, 0, &value), NOVA_DONE);
	assert_int_equal(value, 181 * 1048576 + 5300 * 1024);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_ADDRESS),
	           NOVA_DONE);
	assert_non_null(nova_testhost_fact(host, NOVA_FIELD_ADDRESS, "eth0"));
	lab_power(host, &vm, NOVA_POWER_SHUTDOWN);
	await(host, 0, &vm, NOVA_EVENT_SHUTDOWN);
	await(host, 0, &vm, NOVA_EVENT_STOPPED);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	lab_power(host, &vm, NOVA_POWER_START); /* a second life */
	lab_delete(host, &vm);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 2);
	assert_int_equal(count_objects("virtualmachines"), 0);
	assert_int_equal(count_objects("virtualmachineinstances"), 0);
	close_lab(host);
}

static void makes_what_the_shape_says(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	json_t *object, *spec, *inner;

	(void)state;
	lab_create(host, &vm, "novacore-inst-run-1", &from_template);
	object = peer_object("virtualmachines", "novacore-inst-run-1");
	assert_string_equal(text_at(object, "metadata", "labels", "novacore"), "inst");
	spec = json_object_get(object, "spec");
	inner = json_array_get(json_object_get(spec, "dataVolumeTemplates"), 0);
	inner = json_object_get(inner, "spec");
	assert_string_equal(text_at(inner, "source", "pvc", "name"), "golden");
	assert_string_equal(text_at(inner, "source", "pvc", "namespace"), "bench");
	assert_string_equal(text_at(inner, "storage", "storageClassName", NULL), "fast");
	inner = json_object_get(json_object_get(inner, "storage"), "resources");
	assert_string_equal(text_at(inner, "requests", "storage", NULL), "5368709120");
	inner = json_object_get(json_object_get(spec, "template"), "spec");
	assert_string_equal(
	        text_at(json_array_get(json_object_get(inner, "topologySpreadConstraints"), 0),
	                "labelSelector", "matchLabels", "novacore"),
	        "inst");
	assert_string_equal(text_at(inner, "domain", "memory", "guest"), "512Mi");
	json_decref(object);
	lab_delete(host, &vm);
	close_lab(host);
}

/* How many instances run on that node. */
static int count_on(const char *node)
{
	json_t *list = peer_ask("/objects?virtualmachineinstances");
	int count = 0;
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
	{
		count += strcmp(text_at(one, "status", "nodeName", NULL), node) == 0;
	}
	json_decref(list);
	return count;
}

static void asks_for_an_even_spread_over_the_nodes(void **state)
{
	static const char *const spread[] = {"spread=true", "spread=false", "node=node2"};
	static const int wanted[][3] = {{1, 1, 1}, {3, 0, 0}, {0, 3, 0}};
	struct nova_testhost *host;
	struct lab_vm vms[3];
	char name[40];

	(void)state;
	for (size_t k = 0; k < sizeof(spread) / sizeof(spread[0]); k++) {
		host = lab_connect(peer_uri(),
		                   WITH(TOKEN, ca_file(), "container_disk=x", spread[k]));
		for (size_t i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "novacore-t%zu-%zu", k, i);
			create_vm(host, &vms[i], name);
			lab_power(host, &vms[i], NOVA_POWER_START);
		}
		assert_int_equal(count_on("node1"), wanted[k][0]);
		assert_int_equal(count_on("node2"), wanted[k][1]);
		assert_int_equal(count_on("node3"), wanted[k][2]);
		for (size_t i = 0; i < 3; i++)
			lab_delete(host, &vms[i]);
		close_lab(host);
	}
}

static void refuses_shapes_that_it_cannot_give(void **state)
{
	static const char *const networks[] = {"net", NULL};
	static const char *const knobs[] = {"vm.disk.colour=red", NULL};
	const struct nova_shape cases[] = {
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_DIRECT, .kernel = "/k"},
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_STUB, .image = "/s"},
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_DISK, .networks = networks},
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_DISK, .knobs = knobs},
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_DISK, .disk_bytes = 1},
	        {.struct_size = sizeof(cases[0]), .boot = NOVA_BOOT_DISK, .heartbeat = "udp:x:1"},
	};
	struct nova_testhost *host = open_lab();
	struct nova_shape odd = from_template;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		lab_expect(
		        host,
		        nova_testhost_call(host, LONG_MS, vm_create, "novacore-t-odd", &cases[i]),
		        NOVA_E_UNSUPPORTED);
	odd.knobs = (const char *const[]){"vm.disk.cache=None", NULL};
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-t-odd", &odd),
	           NOVA_E_INVALID);
	lab_said(host, "writethrough");
	odd.knobs = NULL;
	odd.image = "volume:x";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-t-odd", &odd),
	           NOVA_E_INVALID);
	lab_said(host, "is not a template");
	odd.image = "pvc:missing";
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-t-odd", &odd),
	           NOVA_E_FAILED);
	lab_said(host, "the source of the DataVolume does not exist");
	struct lab_vm vm;
	lab_use(host, &vm, "novacore-t-odd");
	lab_delete(host, &vm);
	assert_int_equal(count_objects("virtualmachines"), 0);
	close_lab(host);
}

static void says_why_a_vm_does_not_start(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_shape broken = from_image;
	struct lab_vm vm;

	(void)state;
	peer_tell("/settings", "{'perNode':0}");
	create_vm(host, &vm, "novacore-t-full");
	lab_expect(host, nova_testhost_call(host, 40000, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_FULL);
	lab_said(host, "0/3 nodes are available: 3 Insufficient memory");
	lab_delete(host, &vm);
	peer_tell("/settings", "{'perNode':200}");
	broken.image = "registry/broken:1";
	lab_create(host, &vm, "novacore-t-pull", &broken);
	lab_expect(host, nova_testhost_call(host, 40000, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_FAILED);
	lab_said(host, "ErrImagePull");
	lab_delete(host, &vm);
	close_lab(host);
}

static void tells_a_crash_from_an_end(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-crash");
	lab_power(host, &vm, NOVA_POWER_START);
	peer_tell("/end", "{'plural':'virtualmachineinstances','name':'novacore-t-crash',"
	                  "'phase':'Failed'}");
	await(host, 0, &vm, NOVA_EVENT_CRASHED);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	lab_power(host, &vm, NOVA_POWER_START); /* what is left of it is cleared away */
	peer_tell("/end", "{'plural':'virtualmachineinstances','name':'novacore-t-crash',"
	                  "'phase':'Succeeded'}");
	await(host, 0, &vm, NOVA_EVENT_STOPPED);
	lab_power(host, &vm, NOVA_POWER_OFF);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_CRASHED), 1);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 1);
	lab_delete(host, &vm);
	close_lab(host);
}

static void turns_a_deaf_guest_off_at_once(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	peer_tell("/settings", "{'deaf':true}");
	create_vm(host, &vm, "novacore-t-deaf");
	lab_power(host, &vm, NOVA_POWER_START);
	/* told to shut down, it does not listen; then the plug is pulled */
	lab_expect(host, nova_testhost_call(host, 300, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN),
	           NOVA_E_TIMEOUT);
	lab_power(host, &vm, NOVA_POWER_OFF);
	peer_tell("/settings", "{'deaf':false}");
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- wrong order ------------------------------------------------------------------------------ */

static void refuses_a_wrong_order(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-order");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &from_image),
	           NOVA_E_EXISTS);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_PAUSE),
	           NOVA_E_BUSY);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_RESET),
	           NOVA_E_BUSY);
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_power(host, &vm, NOVA_POWER_SHUTDOWN);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_BUSY);
	lab_said(host, "running");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_RESUME),
	           NOVA_E_BUSY);
	lab_said(host, "not paused");
	lab_delete(host, &vm);
	lab_delete(host, &vm);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_NOT_FOUND);
	close_lab(host);
}

#define FOREIGN(name, labels)                                                                      \
	"{'object':{'apiVersion':'kubevirt.io/"                                                    \
	"v1','kind':'VirtualMachine','metadata':{'name':'" name "','labels':{" labels              \
	"}},'spec':{'runStrategy':'Halted','template':{'spec':"                                    \
	"{'domain':{'devices':{}}}}}}}"

static void leaves_vms_alone_that_are_not_ours(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	peer_tell("/object", FOREIGN("production", "'novacore':'x'"));
	peer_tell("/object", FOREIGN("novacore-unlabelled", ""));
	for (int i = 0; i < 2; i++) {
		lab_know(&vm, i ? "production" : "novacore-unlabelled", "");
		vm.ref.id = NULL;
		lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref),
		           NOVA_E_REFUSED);
		lab_expect(host,
		           nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
		           NOVA_E_REFUSED);
		lab_said(host, "not ours");
	}
	/* our name, and somebody else's VM by now */
	create_vm(host, &vm, "novacore-t-mine");
	peer_tell("/forget", "{'name':'novacore-t-mine'}");
	for (int i = 0; i < 100 && count_objects("virtualmachines") > 2; i++)
		usleep(20000);
	peer_tell("/object", FOREIGN("novacore-t-mine", "'novacore':'other'"));
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_NOT_FOUND);
	lab_said(host, "another VM's now");
	lab_delete(host, &vm); /* ours is gone: that is what was wanted */
	assert_int_equal(count_objects("virtualmachines"), 3);
	peer_tell("/forget", "{'name':'novacore-t-mine'}");
	peer_tell("/forget", "{'name':'production'}");
	peer_tell("/forget", "{'name':'novacore-unlabelled'}");
	close_lab(host);
}

static void lists_in_pages(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vms[7];
	const char *name, *id;

	(void)state;
	for (int i = 0; i < 7; i++) {
		char text[32];

		snprintf(text, sizeof(text), "novacore-%s-%d", i < 5 ? "pages" : "others", i);
		create_vm(host, &vms[i], text);
	}
	peer_tell("/settings", "{'pageMost':2}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_list, "novacore-pages-"), NOVA_DONE);
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_VM), 5);
	assert_int_equal(nova_testhost_fact_at(host, NOVA_FIELD_VM, 0, &name, &id), NOVA_DONE);
	assert_string_equal(id, vms[0].id);
	peer_tell("/settings", "{'pageMost':500}");
	for (int i = 0; i < 7; i++)
		lab_delete(host, &vms[i]);
	close_lab(host);
}

/* --- the watch -------------------------------------------------------------------------------- */

static void goes_on_after_a_broken_watch(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-cut");
	peer_tell("/cut", "{}");
	lab_power(host, &vm, NOVA_POWER_START);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_RUNNING), 1);
	peer_tell("/fault", "{'match':'WATCH','times':2,'drop':'before'}");
	peer_tell("/cut", "{}");
	lab_power(host, &vm, NOVA_POWER_OFF);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 1);
	lab_delete(host, &vm);
	close_lab(host);
}

static void reads_the_list_again_after_410(void **state)
{
	struct nova_testhost *host = open_lab();
	const struct nova_event *event;
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-gone");
	lab_power(host, &vm, NOVA_POWER_START);
	/* what happens while it is away is forgotten by the server before it comes back */
	peer_tell("/fault", "{'match':'WATCH','times':1,'delay_ms':600}");
	peer_tell("/cut", "{}");
	usleep(300000);
	peer_tell("/end", "{'plural':'virtualmachineinstances','name':'novacore-t-gone',"
	                  "'phase':'Failed'}");
	peer_tell("/compact", "{}");
	event = await(host, 0, &vm, NOVA_EVENT_CRASHED);
	assert_int_equal(event->source, NOVA_SOURCE_POLL);
	assert_true(event->resolution_ns > 100000000);
	/* the same as an answer of HTTP */
	peer_tell("/fault", "{'match':'WATCH','times':1,'status':410,'code':'Expired'}");
	peer_tell("/cut", "{}");
	lab_power(host, &vm, NOVA_POWER_OFF);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_delete(host, &vm);
	close_lab(host);
}

static void survives_nonsense_in_a_watch(void **state)
{
	static const char *const lines[] = {
	        "{'match':'WATCH','line':'this is no JSON'}",
	        "{'match':'WATCH','line':'{}'}",
	        "{'match':'WATCH','garbage':'half','status':500,'reason':'no'}",
	        "{'match':'WATCH','line':'{\\'type\\':\\'ERROR\\',\\'object\\':{\\'code\\':500}}'}",
	};
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-noise");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		peer_tell("/fault", lines[i]);
		peer_tell("/cut", "{}");
		lab_power(host, &vm, NOVA_POWER_START);
		lab_power(host, &vm, NOVA_POWER_OFF);
	}
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_RUNNING), 4);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 4);
	lab_delete(host, &vm);
	close_lab(host);
}

static void finds_a_running_vm_again(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-again");
	lab_power(host, &vm, NOVA_POWER_START);
	close_lab(host);
	host = open_lab(); /* as after a crash of novacore */
	vm.ref.id = NULL;
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_RUNNING);
	lab_power(host, &vm, NOVA_POWER_OFF);
	await(host, 0, &vm, NOVA_EVENT_STOPPED);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_RUNNING), 0);
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- broken answers --------------------------------------------------------------------------- */

static void copes_with_bad_answers(void **state)
{
	static const struct {
		const char *fault;
		int status;
		const char *words;
	} cases[] = {
	        {"{'match':'POST .*virtualmachines','drop':'before'}", NOVA_E_UNKNOWN, ""},
	        {"{'match':'POST .*virtualmachines','drop':'after'}", NOVA_E_UNKNOWN, ""},
	        {"{'match':'POST .*virtualmachines','drop':'middle'}", NOVA_E_UNKNOWN, ""},
	        {"{'match':'POST .*virtualmachines','garbage':'<html>hello'}", NOVA_E_PROTOCOL,
	         "not Kubernetes's"},
	        {"{'match':'POST .*virtualmachines','garbage':'{}'}", NOVA_E_PROTOCOL, "uid"},
	        {"{'match':'POST .*virtualmachines','garbage':'[1'}", NOVA_E_PROTOCOL, "JSON"},
	        {"{'match':'POST .*virtualmachines','size':20000000}", NOVA_E_PROTOCOL, ""},
	        {"{'match':'POST .*virtualmachines','status':500,'code':'InternalError','reason':"
	         "'etcdserver: request timed out'}",
	         NOVA_E_FAILED, "etcdserver: request timed out"},
	        {"{'match':'POST .*virtualmachines','status':503,'reason':'apiserver is shutting "
	         "down'}",
	         NOVA_E_UNAVAILABLE, "shutting down"},
	        {"{'match':'POST .*virtualmachines','status':403,'code':'Forbidden','reason':"
	         "'exceeded quota: pods'}",
	         NOVA_E_FULL, "exceeded quota"},
	        {"{'match':'POST .*virtualmachines','status':302,'location':'https://evil/'}",
	         NOVA_E_PROTOCOL, ""},
	};
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status;

		peer_tell("/fault", cases[i].fault);
		status =
		        nova_testhost_call(host, LONG_MS, vm_create, "novacore-t-bad", &from_image);
		if (status != cases[i].status)
			fail_msg("case %zu: %d: %s", i, status, nova_testhost_error(host));
		lab_said(host, cases[i].words);
		lab_know(&vm, "novacore-t-bad", "");
		vm.ref.id = NULL;
		lab_delete(host, &vm);
	}
	assert_int_equal(count_objects("virtualmachines"), 0);
	/* questions are asked again */
	create_vm(host, &vm, "novacore-t-bad");
	peer_tell("/fault", "{'match':'GET .*virtualmachineinstances/','status':503}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm.ref, NOVA_QUERY_STATE),
	           NOVA_E_UNAVAILABLE);
	peer_tell("/fault", "{'match':'GET .*virtualmachines/','slow_ms':1}");
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	lab_delete(host, &vm);
	close_lab(host);
}

static void ends_at_its_deadline(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-late");
	peer_tell("/fault", "{'match':'GET .*virtualmachines/','delay_ms':4000}");
	lab_expect(host, nova_testhost_call(host, 200, vm_query, &vm.ref, NOVA_QUERY_STATE),
	           NOVA_E_TIMEOUT);
	peer_tell("/clear", "{}");
	peer_tell("/settings", "{'startMs':100000}");
	lab_expect(host, nova_testhost_call(host, 300, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_TIMEOUT);
	peer_tell("/settings", "{'startMs':25}");
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- snapshots, clones, migrations ------------------------------------------------------------ */

static void snapshots_and_restores(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;
	size_t from;

	(void)state;
	lab_create(host, &vm, "novacore-t-snap", &from_template);
	lab_power(host, &vm, NOVA_POWER_START);
	await(host, 0, &vm, NOVA_EVENT_READY);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_CREATE),
	        NOVA_DONE);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_CREATE),
	        NOVA_E_EXISTS);
	from = nova_testhost_event_count(host);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_RESTORE),
	        NOVA_DONE);
	await(host, from, &vm, NOVA_EVENT_UNREADY);
	await(host, from, &vm, NOVA_EVENT_RUNNING);
	await(host, from, &vm, NOVA_EVENT_READY);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 0); /* it lives on */
	assert_int_equal(count_objects("virtualmachinerestores"), 0);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "two", NOVA_SNAPSHOT_RESTORE),
	        NOVA_E_NOT_FOUND);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "A", NOVA_SNAPSHOT_CREATE),
	           NOVA_E_INVALID);
	peer_tell("/settings", "{'snapshotFails':true}");
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "bad", NOVA_SNAPSHOT_CREATE),
	        NOVA_E_FAILED);
	lab_said(host, "not of a class that can snapshot");
	peer_tell("/settings", "{'snapshotFails':false}");
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "one", NOVA_SNAPSHOT_DELETE),
	        NOVA_DONE);
	assert_int_equal(count_objects("virtualmachinesnapshots"), 0); /* nor what failed */
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "two", NOVA_SNAPSHOT_CREATE),
	        NOVA_DONE);
	lab_delete(host, &vm); /* a snapshot goes with its VM */
	for (int i = 0; i < 100 && count_objects("virtualmachinesnapshots"); i++)
		usleep(20000);
	assert_int_equal(count_objects("virtualmachinesnapshots"), 0);
	close_lab(host);
}

static void restores_to_off_what_was_off(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-t-cold", &from_template);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "cold", NOVA_SNAPSHOT_CREATE),
	        NOVA_DONE);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(
	        host,
	        nova_testhost_call(host, LONG_MS, snapshot, &vm.ref, "cold", NOVA_SNAPSHOT_RESTORE),
	        NOVA_DONE);
	assert_int_equal(lab_state(host, &vm), NOVA_STATE_OFF);
	assert_int_equal(count_events(host, &vm, NOVA_EVENT_STOPPED), 1);
	lab_delete(host, &vm);
	close_lab(host);
}

static void clones_a_vm(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm, copy;
	json_t *object;

	(void)state;
	lab_create(host, &vm, "novacore-t-origin", &from_template);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-t-copy", &vm.ref,
	                              &from_image),
	           NOVA_DONE);
	lab_use(host, &copy, "novacore-t-copy");
	object = peer_object("virtualmachines", "novacore-t-copy");
	assert_string_equal(
	        text_at(json_object_get(
	                        json_array_get(json_object_get(json_object_get(object, "spec"),
	                                                       "dataVolumeTemplates"),
	                                       0),
	                        "spec"),
	                "source", "pvc", "name"),
	        "novacore-t-origin-root");
	json_decref(object);
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-t-more", &vm.ref,
	                              &from_image),
	           NOVA_E_BUSY);
	lab_delete(host, &copy);
	lab_delete(host, &vm);
	close_lab(host);
}

static void migrates_within_the_cluster(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_testhost *other =
	        lab_connect(peer_uri(), WITH(TOKEN, ca_file(), "container_disk=x", "node=node3",
	                                     "poll_first=10ms"));
	struct nova_migrate how = {.struct_size = sizeof(how)};
	char ticket[256];
	json_t *object;
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-move");
	lab_power(host, &vm, NOVA_POWER_START);
	lab_expect(other, nova_testhost_call(other, LONG_MS, migrate_prepare, &vm.ref, &from_image),
	           NOVA_DONE);
	snprintf(ticket, sizeof(ticket), "%s", nova_testhost_fact(other, NOVA_FIELD_TICKET, ""));
	how.ticket = ticket;
	how.downtime_ns = 1;
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how),
	           NOVA_E_UNSUPPORTED);
	how.downtime_ns = 0;
	peer_tell("/settings", "{'migrationFails':true}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how), NOVA_E_FAILED);
	lab_said(host, "the target pod disappeared");
	peer_tell("/settings", "{'migrationFails':false}");
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how), NOVA_DONE);
	object = peer_object("virtualmachineinstances", vm.name);
	assert_string_equal(text_at(object, "status", "nodeName", NULL), "node3");
	json_decref(object);
	await(host, 0, &vm, NOVA_EVENT_MIGRATED);
	lab_expect(
	        other,
	        nova_testhost_call(other, LONG_MS, migrate_finish, &vm.ref, ticket, NOVA_MIGRATED),
	        NOVA_DONE);
	assert_string_equal(nova_testhost_fact(other, NOVA_FIELD_ID, ""), vm.id);
	assert_int_equal(lab_state(other, &vm), NOVA_STATE_RUNNING);
	how.ticket = "https://elsewhere bench -";
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how),
	           NOVA_E_UNSUPPORTED);
	lab_delete(other, &vm);
	close_lab(other);
	close_lab(host);
}

static void says_why_a_vm_cannot_be_migrated(void **state)
{
	struct nova_testhost *host = open_lab();
	struct nova_migrate how = {.struct_size = sizeof(how)};
	char ticket[256];
	struct lab_vm vm;

	(void)state;
	peer_tell("/settings", "{'migratable':false}");
	create_vm(host, &vm, "novacore-t-stuck");
	lab_power(host, &vm, NOVA_POWER_START);
	snprintf(ticket, sizeof(ticket), "%s bench -", peer_uri());
	how.ticket = ticket;
	lab_expect(host, nova_testhost_call(host, LONG_MS, migrate, &vm.ref, &how),
	           NOVA_E_UNSUPPORTED);
	lab_said(host, "PVC root is not shared");
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- knobs ------------------------------------------------------------------------------------ */

static void sets_knobs_of_a_vm(void **state)
{
	static const char *const knobs[] = {"vm.disk.io=native", "vm.memory.hugepages=2MiB",
	                                    "vm.cpu.dedicated=on", NULL};
	struct nova_testhost *host = open_lab();
	struct nova_shape shape = from_image;
	struct lab_vm vm, copy;
	json_t *object, *domain;

	(void)state;
	shape.knobs = knobs;
	lab_create(host, &vm, "novacore-t-knobs", &shape);
	lab_expect(host, lab_set_knob(host, &vm, "vm.disk.iothreads", "shared"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.mode", "host-passthrough"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.disk.queues", "off"), NOVA_DONE); /* is off */
	object = peer_object("virtualmachines", vm.name);
	domain = json_object_get(json_object_get(object, "spec"), "template");
	domain = json_object_get(json_object_get(domain, "spec"), "domain");
	assert_string_equal(text_at(domain, "memory", "hugepages", "pageSize"), "2Mi");
	assert_string_equal(text_at(domain, "memory", "guest", NULL), "1024Mi");
	assert_string_equal(text_at(domain, "cpu", "model", NULL), "host-passthrough");
	assert_true(json_is_true(
	        json_object_get(json_object_get(domain, "cpu"), "dedicatedCpuPlacement")));
	assert_string_equal(json_string_value(json_object_get(domain, "ioThreadsPolicy")),
	                    "shared");
	json_decref(object);
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_list, &vm.ref), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.disk.io"), "native");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.disk.cache"), "default");
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, "vm.net.queues"), "off");
	lab_expect(host,
	           nova_testhost_call(host, LONG_MS, vm_clone, "novacore-t-twin", &vm.ref, &shape),
	           NOVA_DONE);
	lab_use(host, &copy, "novacore-t-twin");
	lab_knob(host, &copy, "vm.cpu.mode", "host-passthrough");
	lab_knob(host, &copy, "vm.memory.hugepages", "2MiB");
	lab_expect(host, lab_set_knob(host, &vm, "vm.memory.hugepages", "off"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.mode", "default"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.dedicated", "off"), NOVA_DONE);
	lab_knob(host, &vm, "vm.memory.hugepages", "off");
	lab_knob(host, &vm, "vm.cpu.mode", "default");
	lab_knob(host, &vm, "vm.cpu.dedicated", "off");
	lab_expect(host, lab_set_knob(host, &vm, "vm.cpu.mode", "a b"), NOVA_E_INVALID);
	lab_expect(host, lab_set_knob(host, &vm, "vm.disk.queues", "7"), NOVA_E_INVALID);
	lab_expect(host, lab_set_knob(host, &vm, "vm.disk.colour", "red"), NOVA_E_NOT_FOUND);
	lab_power(host, &vm, NOVA_POWER_START); /* with what is left of them */
	lab_delete(host, &copy);
	lab_delete(host, &vm);
	close_lab(host);
}

/* --- programs in guests ----------------------------------------------------------------------- */

/* The VM's user data; the object's. */
static const char *user_data(const json_t *object)
{
	json_t *spec = json_object_get(json_object_get(object, "spec"), "template");
	json_t *volumes = json_object_get(json_object_get(spec, "spec"), "volumes");

	return text_at(json_array_get(volumes, 1), "cloudInitNoCloud", "userData", NULL);
}

static void runs_programs_in_a_guest_by_ssh(void **state)
{
	struct lab_sshd sshd;
	struct nova_testhost *host;
	struct lab_vm vm;
	char key[200] = "", path[96];
	json_t *object;
	FILE *file;

	(void)state;
	if (!lab_sshd_start(&sshd))
		skip();
	peer_tell("/settings", "{'address':'127.0.0.1'}");
	host = lab_connect(peer_uri(), WITH(TOKEN, ca_file(), "container_disk=x", "grace=2s",
	                                    sshd.key, sshd.port, sshd.user));
	create_vm(host, &vm, "novacore-t-exec");
	object = peer_object("virtualmachines", vm.name);
	snprintf(path, sizeof(path), "%s/key.pub", sshd.place);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "ssh-ed25519 %199s", key), 1);
	fclose(file);
	assert_non_null(strstr(user_data(object), key)); /* the public half, and no other */
	assert_null(strstr(user_data(object), "PRIVATE"));
	assert_int_equal(strncmp(user_data(object), "#cloud-config\n{", 15), 0);
	json_decref(object);
	lab_sshd_try(host, &vm);
	peer_tell("/settings", "{'address':''}");
	close_lab(host);
	host = lab_connect(peer_uri(), WITH(TOKEN, ca_file(), "container_disk=x", sshd.key,
	                                    "cloud_init=false"));
	create_vm(host, &vm, "novacore-t-plain");
	object = peer_object("virtualmachines", vm.name);
	assert_string_equal(user_data(object), "");
	json_decref(object);
	lab_delete(host, &vm);
	close_lab(host);
	lab_sshd_stop(&sshd);
}

static void runs_no_programs_without_a_key(void **state)
{
	struct nova_testhost *host = open_lab();
	struct lab_vm vm;

	(void)state;
	create_vm(host, &vm, "novacore-t-keyless");
	lab_expect(host, lab_run(host, &vm, (const char *const[]){"true", NULL}, LONG_MS),
	           NOVA_E_UNSUPPORTED);
	lab_said(host, "ssh_key");
	lab_delete(host, &vm);
	close_lab(host);
	assert_int_equal(start_with("uri=https://127.0.0.1:6443", TOKEN, "ssh_key=/no/such/key",
	                            "cannot be found"),
	                 NOVA_E_NOT_FOUND);
}

/* --- the peer's opinion ----------------------------------------------------------------------- */

static void sent_nothing_that_is_malformed(void **state)
{
	json_t *calls = peer_ask("/calls");
	json_t *rejected = json_object_get(calls, "rejected");
	size_t i;
	json_t *one;

	(void)state;
	json_array_foreach(rejected, i, one)
	{
		print_error("%s: %s\n", json_string_value(json_object_get(one, "call")),
		            json_string_value(json_object_get(one, "text")));
	}
	assert_int_equal(json_array_size(rejected), 0);
	assert_true(json_integer_value(json_object_get(calls, "total")) > 500);
	json_decref(calls);
	assert_int_equal(count_objects("virtualmachines"), 0);
	assert_int_equal(count_objects("virtualmachineinstancemigrations"), 0);
}

static int start(void **state)
{
	(void)state;
	peer_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	peer_stop();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(connects_and_says_what_is_possible),
	        cmocka_unit_test(names_the_rights_that_an_account_lacks),
	        cmocka_unit_test(says_what_a_cluster_lacks),
	        cmocka_unit_test(trusts_only_what_it_was_told_to),
	        cmocka_unit_test(refuses_a_wrong_token_without_showing_it),
	        cmocka_unit_test(logs_in_by_client_certificate),
	        cmocka_unit_test(reads_a_token_file_again_when_the_token_has_expired),
	        cmocka_unit_test(refuses_impossible_parameters),
	        cmocka_unit_test(leads_a_whole_life),
	        cmocka_unit_test(makes_what_the_shape_says),
	        cmocka_unit_test(asks_for_an_even_spread_over_the_nodes),
	        cmocka_unit_test(refuses_shapes_that_it_cannot_give),
	        cmocka_unit_test(says_why_a_vm_does_not_start),
	        cmocka_unit_test(tells_a_crash_from_an_end),
	        cmocka_unit_test(turns_a_deaf_guest_off_at_once),
	        cmocka_unit_test(refuses_a_wrong_order),
	        cmocka_unit_test(leaves_vms_alone_that_are_not_ours),
	        cmocka_unit_test(lists_in_pages),
	        cmocka_unit_test(goes_on_after_a_broken_watch),
	        cmocka_unit_test(reads_the_list_again_after_410),
	        cmocka_unit_test(survives_nonsense_in_a_watch),
	        cmocka_unit_test(finds_a_running_vm_again),
	        cmocka_unit_test(copes_with_bad_answers),
	        cmocka_unit_test(ends_at_its_deadline),
	        cmocka_unit_test(snapshots_and_restores),
	        cmocka_unit_test(restores_to_off_what_was_off),
	        cmocka_unit_test(clones_a_vm),
	        cmocka_unit_test(migrates_within_the_cluster),
	        cmocka_unit_test(says_why_a_vm_cannot_be_migrated),
	        cmocka_unit_test(sets_knobs_of_a_vm),
	        cmocka_unit_test(runs_programs_in_a_guest_by_ssh),
	        cmocka_unit_test(runs_no_programs_without_a_key),
	        cmocka_unit_test(sent_nothing_that_is_malformed),
	};

	lab_secret = SECRET;
	if (argc > 1) /* those alone whose names match */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, start, stop);
}
