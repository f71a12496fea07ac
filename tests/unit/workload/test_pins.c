/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as the kernel and its tools write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sdk/workload/inside.h"

static uint32_t cpus[NOVA_WORKLOAD_CPUS_MOST];

static void reads_numbers_and_ranges(void **state)
{
	(void)state;
	assert_int_equal(nova_workload_cpu_list("0", cpus), 1);
	assert_int_equal(cpus[0], 0);
	assert_int_equal(nova_workload_cpu_list("2-4,8,1023", cpus), 5);
	assert_int_equal(cpus[0], 2);
	assert_int_equal(cpus[2], 4);
	assert_int_equal(cpus[3], 8);
	assert_int_equal(cpus[4], 1023);
	assert_int_equal(nova_workload_cpu_list("0-1023", cpus), 1024);
}

static void refuses_everything_else(void **state)
{
	static const char *const wrong[] = {"",
	                                    "a",
	                                    "-1",
	                                    "1-",
	                                    "3-2",
	                                    "1,",
	                                    ",1",
	                                    "1,,2",
	                                    "1 2",
	                                    "1,1",
	                                    "0-2,2",
	                                    "1024",
	                                    "1-x",
	                                    "0x1",
	                                    "1.5",
	                                    "+1",
	                                    "0-1024",
	                                    "1:2:3",
	                                    "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(nova_workload_cpu_list(wrong[i], cpus), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_numbers_and_ranges),
	        cmocka_unit_test(refuses_everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
