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

#include "lab.h"
#include "peer.h"

static const struct nova_shape shape = {
        .struct_size = sizeof(shape),
        .boot = NOVA_BOOT_DISK,
        .vcpus = 1,
        .memory_bytes = 512ull * 1024 * 1024,
};

#define BENCH "token=kubevirt-bench-token-0123456789"

static struct nova_testhost *open_lab(const char *token, const char *more, const char *evenmore)
{
	char ca_file[600];

	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", peer_file("cert.pem"));
	return lab_connect(peer_uri(),
	                   (const char *const[]){ca_file, "namespace=bench", "container_disk=x",
	                                         token, more, evenmore, NULL});
}

static void assert_event(struct nova_testhost *host, size_t from, const char *name, uint32_t kind)
{
	if (!nova_testhost_wait(host, from, name, kind, LONG_MS))
		fail_msg("event %u of %s did not come", kind, name);
}

static void goes_on_when_the_server_has_died_and_forgotten(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, NULL, NULL);
	struct lab_vm vm;
	size_t from;

	(void)state;
	lab_create(host, &vm, "novacore-r-reborn", &shape);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_DONE);
	/* its cache of events is empty then: where the watch was is "too old" (410) */
	peer_tell("/restart", "{}");
	peer_tell("/end", "{'plural':'virtualmachineinstances','name':'novacore-r-reborn',"
	                  "'phase':'Failed'}");
	assert_event(host, 0, vm.name, NOVA_EVENT_CRASHED);
	from = nova_testhost_event_count(host);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_DONE);
	assert_event(host, from, vm.name, NOVA_EVENT_RUNNING);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref), NOVA_DONE);
	lab_close(host);
}

static void compares_the_uid(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, NULL, NULL);
	struct lab_vm vm, other;

	(void)state;
	lab_create(host, &vm, "novacore-r-uid", &shape);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, vm.name, &shape),
	           NOVA_E_EXISTS);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref), NOVA_DONE);
	lab_create(host, &other, "novacore-r-uid", &shape);
	assert_string_not_equal(vm.id, other.id);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm.ref, NOVA_POWER_START),
	           NOVA_E_NOT_FOUND);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref), NOVA_DONE);
	lab_power(host, &other, NOVA_POWER_START); /* it is still there */
	lab_delete(host, &other);
	lab_close(host);
}

static void logs_in_by_client_certificate(void **state)
{
	char certificate[600], key[600];
	struct nova_testhost *host;
	struct lab_vm vm;

	(void)state;
	snprintf(certificate, sizeof(certificate), "client_certificate=%s",
	         peer_file("client.pem"));
	snprintf(key, sizeof(key), "client_key=%s", peer_file("client-key.pem"));
	host = open_lab(certificate, key, NULL);
	lab_create(host, &vm, "novacore-r-cert", &shape);
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm.ref), NOVA_DONE);
	lab_close(host);
}

static void names_the_rights_that_an_account_lacks(void **state)
{
	struct nova_testhost *host = open_lab("token=kubevirt-watch-token-0123456789", NULL, NULL);
	const char *why;

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	why = nova_testhost_fact(host, NOVA_FIELD_CAPABILITY, NOVA_CAN_START);
	assert_string_equal(why, "lacks the right to patch virtualmachines, update "
	                         "virtualmachines/stop in the namespace bench");
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, "novacore-r-no", &shape),
	           NOVA_E_PERMISSION);
	assert_non_null(
	        strstr(nova_testhost_error(host), "User \"reader\" cannot create resource"));
	lab_close(host);
}

static void has_every_right_of_the_role(void **state)
{
	struct nova_testhost *host = open_lab(BENCH, "template=x", "agent=true");
	const char *capability, *why;

	(void)state;
	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	for (uint32_t i = 0;
	     nova_testhost_fact_at(host, NOVA_FIELD_CAPABILITY, i, &capability, &why) == NOVA_DONE;
	     i++)
		assert_true(!why || !strstr(why, "lacks the right"));
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_SNAPSHOT), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_STATS), 1);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_MIGRATE), 1);
	lab_close(host);
}

/* Members of a definition made of KubeVirt's types, by JSON Patch: what it did not know would be
 * gone. */
static void keeps_knobs(void **state)
{
	static const char *const knobs[][2] = {
	        {"vm.cpu.mode", "host-model"},   {"vm.cpu.dedicated", "on"},
	        {"vm.memory.hugepages", "2MiB"}, {"vm.disk.iothreads", "auto"},
	        {"vm.disk.cache", "writeback"},  {"vm.disk.io", "threads"},
	        {"vm.disk.queues", "on"},        {"vm.net.queues", "on"},
	};
	struct nova_testhost *host = open_lab(BENCH, NULL, NULL);
	struct lab_vm vm;

	(void)state;
	lab_create(host, &vm, "novacore-r-knobs", &shape);
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		lab_expect(host, lab_set_knob(host, &vm, knobs[i][0], knobs[i][1]), NOVA_DONE);
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		lab_knob(host, &vm, knobs[i][0], knobs[i][1]);
	lab_expect(host, lab_set_knob(host, &vm, "vm.disk.cache", "default"), NOVA_DONE);
	lab_expect(host, lab_set_knob(host, &vm, "vm.memory.hugepages", "off"), NOVA_DONE);
	lab_knob(host, &vm, "vm.disk.cache", "default");
	lab_knob(host, &vm, "vm.memory.hugepages", "off");
	lab_delete(host, &vm);
	lab_close(host);
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
	        cmocka_unit_test(keeps_knobs),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
