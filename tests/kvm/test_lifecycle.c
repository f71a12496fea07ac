/* SPDX-License-Identifier: MIT */
/* The driver's ops on real VMs of a boot sector: no appliance is needed for these. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct lab lab;

static void describes_itself(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 20000, describe), "describe");
	const char *accel = nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "accel");
	const char *why = nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "accel.why");
	assert_non_null(accel);
	assert_non_null(why);
	printf("accel %s: %s\n", accel, why);
	assert_true(strcmp(accel, "kvm") == 0 || strcmp(accel, "tcg") == 0);
	assert_non_null(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "version"));
	assert_true(nova_testhost_can(lab.host, NOVA_CAN_CREATE));
	assert_false(nova_testhost_can(lab.host, NOVA_CAN_MIGRATE));
	assert_non_null(nova_testhost_fact(lab.host, NOVA_FIELD_CAPABILITY, NOVA_CAN_MIGRATE));
}

static void runs_a_vm_from_start_to_end(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&lab);
	size_t from = nova_testhost_event_count(lab.host);
	(void)state;
	lab_create(&lab, &vm, "life", &shape);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	lab_power(&lab, &vm, NOVA_POWER_START);
	const struct nova_event *running = lab_wait(&lab, from, &vm, NOVA_EVENT_RUNNING);
	assert_int_equal(running->source, NOVA_SOURCE_QMP);
	int64_t beat = lab_beat(&lab, '.', 20000);
	assert_true(beat > running->t_ns - running->resolution_ns);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_RUNNING);
	lab_power(&lab, &vm, NOVA_POWER_PAUSE);
	lab_wait(&lab, from, &vm, NOVA_EVENT_PAUSED);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_PAUSED);
	lab_power(&lab, &vm, NOVA_POWER_RESUME);
	lab_wait(&lab, from, &vm, NOVA_EVENT_RESUMED);
	lab_power(&lab, &vm, NOVA_POWER_RESET);
	lab_power(&lab, &vm, NOVA_POWER_OFF);
	const struct nova_event *stopped = lab_wait(&lab, from, &vm, NOVA_EVENT_STOPPED);
	assert_true(stopped->t_ns > running->t_ns);
	assert_int_equal(lab_state(&lab, &vm), NOVA_STATE_OFF);
	lab_power(&lab, &vm, NOVA_POWER_OFF); /* off already is fine */
	lab_delete(&lab, &vm);
	lab_delete(&lab, &vm); /* gone already is fine */
	assert_int_equal(nova_testhost_call(lab.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATE),
	                 NOVA_E_NOT_FOUND);
}

static int open_lab(void **state)
{
	const char *parameters[] = {NULL};
	(void)state;
	lab_open(&lab, parameters);
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(describes_itself),
	        cmocka_unit_test(runs_a_vm_from_start_to_end),
	};
	lab_fork();
	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
