/* SPDX-License-Identifier: MIT */
/* What tests of a driver at its peer do again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lab.h"

const char *lab_secret = "";

struct nova_testhost *lab_open(const char *uri, const char *const *parameters)
{
	const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);
	const char *all[24];
	char text[160];
	size_t count = 0;
	struct nova_testhost *host;

	snprintf(text, sizeof(text), "uri=%s", uri);
	all[count++] = text;
	for (; *parameters && count < 23; parameters++)
		all[count++] = *parameters;
	all[count] = NULL;
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), all);
	if (!host)
		fail_msg("%s", nova_testhost_refusal());
	return host;
}

struct nova_testhost *lab_connect(const char *uri, const char *const *parameters)
{
	struct nova_testhost *host = lab_open(uri, parameters);

	lab_expect(host, nova_testhost_start(host), NOVA_DONE);
	lab_expect(host, nova_testhost_call(host, LONG_MS, connect), NOVA_DONE);
	return host;
}

void lab_close(struct nova_testhost *host)
{
	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("contract: %s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

void lab_expect(struct nova_testhost *host, int got, int wanted)
{
	if (got != wanted)
		fail_msg("status %d instead of %d: %s", got, wanted, nova_testhost_error(host));
}

void lab_said(struct nova_testhost *host, const char *part)
{
	if (!strstr(nova_testhost_error(host), part))
		fail_msg("'%s' is not in the error '%s'", part, nova_testhost_error(host));
	if (strstr(nova_testhost_error(host), lab_secret))
		fail_msg("the secret is in the error");
}

void lab_use(struct nova_testhost *host, struct lab_vm *vm, const char *name)
{
	const char *id = nova_testhost_fact(host, NOVA_FIELD_ID, "");

	assert_non_null(id);
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->ref = (struct nova_ref){
	        .struct_size = sizeof(vm->ref), .vm = 1, .name = vm->name, .id = vm->id};
}

void lab_create(struct nova_testhost *host, struct lab_vm *vm, const char *name,
                const struct nova_shape *shape)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_create, name, shape), NOVA_DONE);
	lab_use(host, vm, name);
}

void lab_power(struct nova_testhost *host, const struct lab_vm *vm, uint32_t action)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_power, &vm->ref, action), NOVA_DONE);
}

void lab_delete(struct nova_testhost *host, const struct lab_vm *vm)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_delete, &vm->ref), NOVA_DONE);
}

int64_t lab_state(struct nova_testhost *host, const struct lab_vm *vm)
{
	int64_t state = 0;

	lab_expect(host, nova_testhost_call(host, LONG_MS, vm_query, &vm->ref, NOVA_QUERY_STATE),
	           NOVA_DONE);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_STATE, 0, &state), NOVA_DONE);
	return state;
}
