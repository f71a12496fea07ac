/* SPDX-License-Identifier: MIT */
/* Frequency, temperature and stolen time out of directories that look like /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <novacore/workload/workload.h>

static char root[64];

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/novacore-reading-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void put(const char *path, const char *text)
{
	char command[512], whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", whole);
	assert_int_equal(system(command), 0);
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static struct nova_workload_reading read_root(const char *cpus)
{
	struct nova_workload_reading reading;

	nova_workload_read_host(root, cpus, &reading);
	return reading;
}

static void assert_near(double value, double expected)
{
	assert_true(value > expected * 0.999999 - 1e-9 && value < expected * 1.000001 + 1e-9);
}

static void says_of_nothing_that_it_is_not_there(void **state)
{
	struct nova_workload_reading reading = read_root("");

	(void)state;
	assert_near(-reading.hertz, 1);
	assert_near(-reading.celsius, 1);
	assert_near(-reading.stolen, 1);
	assert_near(-reading.all, 1);
}

static void reads_the_clock_of_the_cpus_that_are_used(void **state)
{
	(void)state;
	put("/proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\n"
	                     "cpu MHz\t\t: 3000.0\n\nprocessor\t: 2\ncpu MHz\t\t: 1000.0\n");
	assert_near(read_root("").hertz, (2000.5e6 + 3000e6 + 1000e6) / 3);
	assert_near(read_root("1").hertz, 3000e6);
	assert_near(read_root("0,2").hertz, 1500.25e6);
	/* cpufreq knows better, where it is */
	put("/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3500000\n");
	assert_near(read_root("1").hertz, 3500e6);
	assert_near(-read_root("7").hertz, 1);
}

static void finds_the_cpus_hottest_sensor(void **state)
{
	(void)state;
	put("/sys/class/thermal/thermal_zone0/type", "acpitz\n");
	put("/sys/class/thermal/thermal_zone0/temp", "99000\n");
	assert_near(-read_root("").celsius, 1); /* the case, not the CPU */
	put("/sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n");
	put("/sys/class/thermal/thermal_zone1/temp", "45500\n");
	assert_near(read_root("").celsius, 45.5);
	put("/sys/class/hwmon/hwmon3/name", "k10temp\n");
	put("/sys/class/hwmon/hwmon3/temp1_input", "51250\n");
	put("/sys/class/hwmon/hwmon3/temp2_input", "47000\n");
	put("/sys/class/hwmon/hwmon4/name", "nvme\n");
	put("/sys/class/hwmon/hwmon4/temp1_input", "80000\n");
	assert_near(read_root("").celsius, 51.25);
}

static void reads_stolen_time(void **state)
{
	struct nova_workload_reading reading;

	(void)state;
	put("/proc/stat", "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
	reading = read_root("");
	assert_near(reading.stolen, 80);
	assert_near(reading.all, 360);
}

static void refuses_other_statistics(void **state)
{
	static const char *const wrong[] = {"",
	                                    "cpu",
	                                    "cpu  1 2 3 4 5 6 7\n",
	                                    "cpu0 1 2 3 4 5 6 7 8\n",
	                                    "cpu  1 2 3 x 5 6 7 8\n",
	                                    "cpu  1 2 3 -4 5 6 7 8\n",
	                                    "cat: /proc/stat: no\n"};
	struct nova_workload_reading reading;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		nova_workload_read_stat(wrong[i], &reading);
		assert_near(-reading.stolen, 1);
		assert_near(-reading.all, 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(says_of_nothing_that_it_is_not_there),
	        TEST(reads_the_clock_of_the_cpus_that_are_used),
	        TEST(finds_the_cpus_hottest_sensor),
	        TEST(reads_stolen_time),
	        TEST(refuses_other_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
