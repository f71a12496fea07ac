/* SPDX-License-Identifier: MIT */
/* What tests of a driver at its peer do again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

const char *lab_secret = "";

struct nova_testhost *lab_open(const char *uri, const char *const *parameters)
{
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

void lab_know(struct lab_vm *vm, const char *name, const char *id)
{
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	snprintf(vm->id, sizeof(vm->id), "%s", id);
	vm->ref = (struct nova_ref){
	        .struct_size = sizeof(vm->ref), .vm = 1, .name = vm->name, .id = vm->id};
}

void lab_use(struct nova_testhost *host, struct lab_vm *vm, const char *name)
{
	const char *id = nova_testhost_fact(host, NOVA_FIELD_ID, "");

	assert_non_null(id);
	lab_know(vm, name, id);
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

int lab_run(struct nova_testhost *host, const struct lab_vm *vm, const char *const *argv,
            int64_t timeout_ms)
{
	struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	return nova_testhost_call(host, timeout_ms, exec, &vm->ref, &exec);
}

void lab_knob(struct nova_testhost *host, const struct lab_vm *vm, const char *knob,
              const char *wanted)
{
	lab_expect(host, nova_testhost_call(host, LONG_MS, knob_get, &vm->ref, knob), NOVA_DONE);
	assert_string_equal(nova_testhost_fact(host, NOVA_FIELD_KNOB, knob), wanted);
}

int lab_set_knob(struct nova_testhost *host, const struct lab_vm *vm, const char *knob,
                 const char *value)
{
	return nova_testhost_call(host, LONG_MS, knob_set, &vm->ref, knob, value);
}

static int read_port(const char *path)
{
	int port = -1;
	FILE *file = fopen(path, "r");

	if (file && fscanf(file, "%d", &port) != 1)
		port = -1;
	if (file)
		fclose(file);
	return port;
}

int lab_sshd_start(struct lab_sshd *sshd)
{
	const char *place = sshd->place;
	char text[400];
	int port = -1;

	snprintf(sshd->place, sizeof(sshd->place), "/tmp/novacore-sshd-XXXXXX");
	assert_non_null(mkdtemp(sshd->place));
	snprintf(text, sizeof(text), "%s/alive", place);
	assert_int_equal(mkfifo(text, 0600), 0);
	snprintf(text, sizeof(text),
	         "(" PEER_SOURCE "/../common/sshd.sh %s <%s/alive >%s/port 2>%s/no || "
	         "echo 0 >%s/port) &",
	         place, place, place, place, place);
	assert_int_equal(system(text), 0);
	snprintf(text, sizeof(text), "%s/alive", place);
	sshd->alive = open(text, O_WRONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%s/port", place);
	for (int i = 0; port < 0 && i < 600; i++) {
		port = read_port(text);
		usleep(50000);
	}
	snprintf(sshd->key, sizeof(sshd->key), "ssh_key=%s/key", place);
	snprintf(sshd->port, sizeof(sshd->port), "ssh_port=%d", port);
	snprintf(sshd->user, sizeof(sshd->user), "ssh_user=%s", getpwuid(geteuid())->pw_name);
	if (port > 0)
		return 1;
	lab_sshd_stop(sshd);
	assert_int_not_equal(access("/usr/sbin/sshd", X_OK), 0); /* it is there, and must start */
	print_message("skipped: no SSH server is installed: see tests/peers/common/sshd.sh\n");
	return 0;
}

void lab_sshd_stop(struct lab_sshd *sshd)
{
	char text[96];

	close(sshd->alive);
	snprintf(text, sizeof(text), "rm -rf %s", sshd->place);
	assert_int_equal(system(text), 0);
}

#define RUN(timeout_ms, ...) lab_run(host, vm, (const char *const[]){__VA_ARGS__, NULL}, timeout_ms)

void lab_sshd_try(struct nova_testhost *host, const struct lab_vm *vm)
{
	int64_t value = -1;

	lab_expect(host, nova_testhost_call(host, LONG_MS, describe), NOVA_DONE);
	assert_int_equal(nova_testhost_can(host, NOVA_CAN_EXEC), 1);
	lab_expect(host, RUN(LONG_MS, "true"), NOVA_E_BUSY);
	lab_power(host, vm, NOVA_POWER_START);
	lab_expect(host, RUN(60000, "echo", "a b", "$HOME"), NOVA_DONE);
	assert_string_equal(nova_testhost_bytes(host, NOVA_FIELD_STDOUT, NULL), "a b $HOME\n");
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_EXIT_STATUS, 0, &value), NOVA_DONE);
	assert_int_equal(value, 0);
	lab_expect(host, RUN(LONG_MS, ""), NOVA_E_INVALID);
	lab_expect(host, RUN(1500, "sleep", "60"), NOVA_E_TIMEOUT);
	lab_expect(host, nova_testhost_call(host, LONG_MS, exec_kill, &vm->ref, 1), NOVA_E_INVALID);
	lab_delete(host, vm);
	lab_expect(host, RUN(LONG_MS, "true"), NOVA_E_NOT_FOUND);
}
