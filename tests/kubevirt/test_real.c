/* SPDX-License-Identifier: MIT */
/*
 * The KubeVirt driver at a real kube-apiserver, where the self-made peer might be wrong about it:
 * an API server that dies and forgets, uids, names, rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "peer.h"
#include <novacore/testhost.h>

#define LONG_MS 60000

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static const struct nova_shape shape = {
        .struct_size = sizeof(shape),
        .boot = NOVA_BOOT_DISK,
        .vcpus = 1,
        .memory_bytes = 512ull * 1024 * 1024,
};

static void expect(struct nova_testhost *host, int got, int wanted)
{
	if (got != wanted)
		fail_msg("status %d instead of %d: %s", got, wanted, nova_testhost_error(host));
}

static struct nova_testhost *open_lab(const char *token, const char *more, const char *evenmore)
{
	char uri[80], ca_file[600];
	const char *parameters[] = {uri,   ca_file, "namespace=bench", "container_disk=x",
	                            token, more,    evenmore,          NULL};
	struct nova_testhost *host;

	snprintf(uri, sizeof(uri), "uri=%s", peer_uri());
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	assert_non_null(host);
	expect(host, nova_testhost_start(host), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

#define BENCH "token=kubevirt-bench-token-0123456789"

static void close_lab(struct nova_testhost *host)
{
	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("contract: %s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static struct nova_ref create_vm(struct nova_testhost *host, const char *name, char id[64])
{
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, &shape), NOVA_DONE);
	snprintf(id, 64, "%s", nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	return (struct nova_ref){
	        .struct_size = sizeof(struct nova_ref), .vm = 1, .name = name, .id = id};
}

static void assert_event(struct nova_testhost *host, size_t from, const char *name, uint32_t kind)
{
	if (!nova_testhost_wait(host, from, name, kind, LONG_MS))
		fail_msg("event %u of %s did not come", kind, name);
}

static void goes_on_when_the_server_has_died_and_forgotten(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, NULL, NULL);
	char id[64];
	struct nova_ref vm = create_vm(host, "novacore-r-reborn", id);
	size_t from;

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm, NOVA_POWER_START), NOVA_DONE);
	/* its cache of events is empty then: where the watch was is "too old" (410) */
	peer_tell("/restart", "{}");
	peer_tell("/end", "{'plural':'virtualmachineinstances','name':'novacore-r-reborn',"
	                  "'phase':'Failed'}");
	assert_event(host, 0, vm.name, NOVA_EVENT_CRASHED);
	from = nova_testhost_event_count(host);
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm, NOVA_POWER_START), NOVA_DONE);
	assert_event(host, from, vm.name, NOVA_EVENT_RUNNING);
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE);
	close_lab(host);
}

static void compares_the_uid(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, NULL, NULL);
	char id[64], other[64];
	struct nova_ref vm = create_vm(host, "novacore-r-uid", id);

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape), NOVA_E_EXISTS);
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE);
	create_vm(host, "novacore-r-uid", other);
	assert_string_not_equal(id, other);
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm, NOVA_POWER_START),
	       NOVA_E_NOT_FOUND);
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE);
	vm.id = other; /* it is still there */
	expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm, NOVA_POWER_START), NOVA_DONE);
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE);
	close_lab(host);
}

static void logs_in_by_client_certificate(void **state)
{
	char certificate[600], key[600], id[64];
	struct nova_testhost *host;
	struct nova_ref vm;

	(void)state;
	snprintf(certificate, sizeof(certificate), "client_certificate=%s",
	         peer_file("client.pem"));
	snprintf(key, sizeof(key), "client_key=%s", peer_file("client-key.pem"));
	host = open_lab(certificate, key, NULL);
	vm = create_vm(host, "novacore-r-cert", id);
	expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm), NOVA_DONE);
	close_lab(host);
}

static void names_the_rights_that_an_account_lacks(void **state)
{
	struct nova_testhost *host = open_lab("token=kubevirt-watch-token-0123456789", NULL, NULL);
	const char *why;

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	why = nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_START);
	assert_string_equal(why, "lacks the right to patch virtualmachines, update "
	                         "virtualmachines/stop in the namespace bench");
	expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-r-no", &shape),
	       NOVA_E_PERMISSION);
	assert_non_null(
	        strstr(nova_testhost_error(host), "User \"reader\" cannot create resource"));
	close_lab(host);
}

static void has_every_right_of_the_role(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, "template=x", "agent=true");
	const char *capability, *why;

	(void)state;
	expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	for (uint32_t i = 0;
	     nova_testhost_fact_at(host, NOVA_FIELD_CAPABILITY, i, &capability, &why) == NOVA_DONE;
	     i++)
		assert_true(!why || !strstr(why, "lacks the right"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_SNAPSHOT), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_MIGRATE), 1);
	close_lab(host);
}

static int start(void **state)
{
	(void)state;
	peer_start(PEER_CACHE);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	peer_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(goes_on_when_the_server_has_died_and_forgotten),
	        cmocka_unit_test(compares_the_uid),
	        cmocka_unit_test(logs_in_by_client_certificate),
	        cmocka_unit_test(names_the_rights_that_an_account_lacks),
	        cmocka_unit_test(has_every_right_of_the_role),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
