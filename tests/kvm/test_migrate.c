/* SPDX-License-Identifier: MIT */
/*
 * Live migration between the two libvirt daemons that the driver starts itself, as root and as an
 * ordinary user; and what becomes of the daemons.
 */
#include "lab.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct lab source, destination;

static void open_side(struct lab *lab, const char *uri)
{
	const char *parameters[] = {uri, "accel=tcg", NULL};
	lab_open(lab, parameters);
}

/* The process of a side's daemon, as its file says. */
static pid_t daemon_of(const struct lab *lab, const char *which)
{
	char path[512];
	int pid = 0;
	snprintf(path, sizeof(path), "%s/%s/libvirtd.pid",
	         nova_testhost_table()->directory(nova_testhost_instance(lab->host),
	                                          NOVA_DIRECTORY_STATE),
	         which);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return (pid_t)pid;
}

/* Also a zombie is gone: who adopted it has not looked yet. */
static int is_gone(pid_t pid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 1;
	size_t count = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	const char *after = count ? strrchr(text, ')') : NULL;
	return !after || after[2] == 'Z';
}

static void take_ticket(struct machine *vm, const struct nova_shape *shape, char ticket[512])
{
	lab_expect(&destination,
	           nova_testhost_call(destination.host, 10000, migrate_prepare, &vm->ref, shape),
	           "migrate_prepare");
	const char *text = nova_testhost_fact(destination.host, NOVA_FIELD_TICKET, "");
	assert_non_null(text);
	snprintf(ticket, 512, "%s", text);
}

static int64_t put(uint32_t field)
{
	int64_t value = -1;
	assert_int_equal(nova_testhost_i64(source.host, field, 0, &value), NOVA_DONE);
	return value;
}

static void moves_a_running_vm(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&source);
	char ticket[512];
	(void)state;
	lab_create(&source, &vm, "move", &shape);
	lab_power(&source, &vm, NOVA_POWER_START);
	assert_true(lab_beat(&source, '.', 30000) > 0);
	take_ticket(&vm, &shape, ticket);
	const struct nova_migrate how = {.struct_size = sizeof(how), .ticket = ticket};
	lab_expect(&source, nova_testhost_call(source.host, 60000, migrate, &vm.ref, &how),
	           "migrate");
	assert_true(put(NOVA_FIELD_DURATION_NS) > 0);
	assert_true(put(NOVA_FIELD_DOWNTIME_NS) >= 0);
	assert_true(put(NOVA_FIELD_SETUP_NS) >= 0);
	assert_true(put(NOVA_FIELD_MOVED_BYTES) > 0);
	assert_true(put(NOVA_FIELD_ITERATIONS) > 0);
	lab_expect(&destination,
	           nova_testhost_call(destination.host, 10000, migrate_finish, &vm.ref, ticket,
	                              NOVA_MIGRATED),
	           "migrate_finish");
	lab_wait(&destination, 0, &vm, NOVA_EVENT_MIGRATED);
	assert_int_equal(lab_state(&destination, &vm), NOVA_STATE_RUNNING);
	assert_int_equal(
	        nova_testhost_call(source.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATE),
	        NOVA_E_NOT_FOUND);
	for (size_t i = 0; i < nova_testhost_event_count(source.host); i++)
		assert_int_not_equal(nova_testhost_event(source.host, i)->kind, NOVA_EVENT_STOPPED);
	lab_delete(&destination, &vm);
}

static void a_wrong_ticket_moves_nothing(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&source);
	const struct nova_migrate how = {.struct_size = sizeof(how), .ticket = "not a ticket"};
	const struct nova_migrate gone = {
	        .struct_size = sizeof(gone),
	        .ticket = "{\"libvirt\":\"qemu+unix:///session?socket=/no/such\"}"};
	(void)state;
	lab_create(&source, &vm, "stay", &shape);
	lab_power(&source, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_call(source.host, 10000, migrate, &vm.ref, &how),
	                 NOVA_E_INVALID);
	assert_int_not_equal(nova_testhost_call(source.host, 10000, migrate, &vm.ref, &gone),
	                     NOVA_DONE);
	assert_int_equal(lab_state(&source, &vm), NOVA_STATE_RUNNING);
	lab_delete(&source, &vm);
}

/* At 1 MiB/s it would take minutes. */
static void a_migration_past_its_deadline_leaves_the_vm_where_it_was(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&source);
	char ticket[512];
	(void)state;
	shape.memory_bytes = UINT64_C(256) << 20;
	lab_create(&source, &vm, "slow", &shape);
	lab_power(&source, &vm, NOVA_POWER_START);
	assert_true(lab_beat(&source, '.', 30000) > 0);
	take_ticket(&vm, &shape, ticket);
	const struct nova_migrate how = {.struct_size = sizeof(how),
	                                 .ticket = ticket,
	                                 .bandwidth_bytes_per_s = 1,
	                                 .downtime_ns = 1};
	assert_int_equal(nova_testhost_call(source.host, 500, migrate, &vm.ref, &how),
	                 NOVA_E_TIMEOUT);
	assert_int_equal(nova_testhost_ended(source.host), 1);
	lab_expect(&destination,
	           nova_testhost_call(destination.host, 10000, migrate_finish, &vm.ref, ticket,
	                              NOVA_NOT_MIGRATED),
	           "migrate_finish");
	assert_int_equal(lab_state(&source, &vm), NOVA_STATE_RUNNING);
	assert_int_equal(
	        nova_testhost_call(destination.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATE),
	        NOVA_E_NOT_FOUND);
	lab_delete(&source, &vm);
}

static void only_the_first_has_a_twin(void **state)
{
	(void)state;
	lab_expect(&source, nova_testhost_call(source.host, 10000, twin), "twin");
	assert_string_equal(nova_testhost_fact(source.host, NOVA_FIELD_URI, ""), "twin");
	assert_int_equal(nova_testhost_call(destination.host, 10000, twin), NOVA_E_UNSUPPORTED);
	lab_expect(&source, nova_testhost_call(source.host, 10000, describe), "describe");
	assert_int_equal(nova_testhost_can(source.host, NOVA_CAN_TWIN), 1);
	assert_int_equal(nova_testhost_can(source.host, NOVA_CAN_MIGRATE), 1);
	assert_int_equal(nova_testhost_can(source.host, NOVA_CAN_PARALLEL), 1);
	assert_non_null(nova_testhost_fact(source.host, NOVA_FIELD_FACT, "uri"));
}

static int open_both(void **state)
{
	(void)state;
	open_side(&source, "uri=daemon");
	open_side(&destination, "uri=twin");
	return 0;
}

static int close_both(void **state)
{
	pid_t daemons[2] = {daemon_of(&source, "daemon"), daemon_of(&destination, "twin")};
	(void)state;
	assert_int_equal(kill(daemons[0], 0) == 0 || errno == EPERM, 1);
	assert_int_not_equal(daemons[0], daemons[1]);
	lab_close(&source);
	assert_true(is_gone(daemons[0]));
	assert_false(is_gone(daemons[1]));
	lab_close(&destination);
	assert_true(is_gone(daemons[1]));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_the_first_has_a_twin),
	        cmocka_unit_test(moves_a_running_vm),
	        cmocka_unit_test(a_wrong_ticket_moves_nothing),
	        cmocka_unit_test(a_migration_past_its_deadline_leaves_the_vm_where_it_was),
	};
	lab_fork();
	return cmocka_run_group_tests(tests, open_both, close_both);
}
