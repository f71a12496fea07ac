/* SPDX-License-Identifier: MIT */
/* Frequency, temperature and stolen time, as the kernel tells them. Whatever is not there is -1. */
#include "inside.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first `room` - 1 bytes of a file; 0: it cannot be read. */
static int read_file(char *text, size_t room, const char *root, const char *path)
{
	char whole[512];
	size_t count = 0;
	FILE *file;

	text[0] = '\0';
	snprintf(whole, sizeof(whole), "%s%s", root, path);
	file = fopen(whole, "re");
	if (!file)
		return 0;
	count = fread(text, 1, room - 1, file);
	text[count] = '\0';
	fclose(file);
	return count > 0;
}

/* --- frequency ---------------------------------------------------------------------------- */

/* Linux documents scaling_cur_freq in kHz (admin-guide/pm/cpufreq). */
static double scaling_hertz(const char *root, uint32_t cpu)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", cpu);
	return read_file(text, sizeof(text), root, path) ? strtod(text, NULL) * 1e3 : 0;
}

/* "cpu MHz" of x86, of each processor. */
static void cpuinfo_hertz(const char *root, double hertz[NOVA_WORKLOAD_CPUS_MOST])
{
	char line[256], path[512];
	uint32_t cpu = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/cpuinfo", root);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		const char *value = strchr(line, ':');

		if (value && strncmp(line, "processor", 9) == 0)
			cpu = (uint32_t)strtoul(value + 1, NULL, 10);
		else if (value && strncmp(line, "cpu MHz", 7) == 0 && cpu < NOVA_WORKLOAD_CPUS_MOST)
			hertz[cpu] = strtod(value + 1, NULL) * 1e6;
	}
	if (file)
		fclose(file);
}

static double read_hertz(const char *root, const char *cpus)
{
	double hertz[NOVA_WORKLOAD_CPUS_MOST] = {0}, sum = 0;
	uint32_t chosen[NOVA_WORKLOAD_CPUS_MOST];
	int count = *cpus ? nova_workload_cpu_list(cpus, chosen) : 0, found = 0;

	if (count <= 0)
		for (count = 0; count < (int)NOVA_WORKLOAD_CPUS_MOST; count++)
			chosen[count] = (uint32_t)count;
	cpuinfo_hertz(root, hertz);
	for (int i = 0; i < count; i++) {
		double scaled = scaling_hertz(root, chosen[i]);
		double one = scaled > 0 ? scaled : hertz[chosen[i]];

		if (!*cpus && one <= 0 && chosen[i] > 0)
			break; /* CPUs are numbered without gaps, but for those that are off */
		sum += one > 0 ? one : 0;
		found += one > 0;
	}
	return found ? sum / found : -1;
}

/* --- temperature -------------------------------------------------------------------------- */

/* Drivers of the CPU's own sensors, as hwmon names them, and types of thermal zones. */
static const char *const SENSORS[] = {"coretemp",     "k10temp",     "zenpower",    "cpu_thermal",
                                      "x86_pkg_temp", "cpu-thermal", "cpu_thermal", NULL};

static int is_cpu_sensor(const char *root, const char *path)
{
	char name[64];

	if (!read_file(name, sizeof(name), root, path))
		return 0;
	name[strcspn(name, "\n")] = '\0';
	for (int i = 0; SENSORS[i]; i++)
		if (strcmp(name, SENSORS[i]) == 0)
			return 1;
	return 0;
}

/* Both classes count in thousandths of a degree Celsius. */
static double hotter(double hottest, const char *root, const char *path)
{
	char text[32];
	double celsius = read_file(text, sizeof(text), root, path) ? strtod(text, NULL) / 1e3 : -1;

	return celsius > hottest ? celsius : hottest;
}

static double zone_celsius(const char *root, const char *folder)
{
	char path[400];

	snprintf(path, sizeof(path), "%.380s/type", folder);
	if (!is_cpu_sensor(root, path))
		return -1;
	snprintf(path, sizeof(path), "%.380s/temp", folder);
	return hotter(-1, root, path);
}

static double hwmon_celsius(const char *root, const char *folder)
{
	double hottest = -1;
	char path[400];

	snprintf(path, sizeof(path), "%.380s/name", folder);
	if (!is_cpu_sensor(root, path))
		return -1;
	for (int i = 1; i <= 64; i++) {
		snprintf(path, sizeof(path), "%.380s/temp%d_input", folder, i);
		hottest = hotter(hottest, root, path);
	}
	return hottest;
}

static double read_celsius(const char *root)
{
	static const struct {
		const char *folder;
		double (*read)(const char *root, const char *folder);
	} classes[] = {{"/sys/class/hwmon", hwmon_celsius}, {"/sys/class/thermal", zone_celsius}};
	double hottest = -1;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		char path[512];
		struct dirent *entry;
		DIR *folder;

		snprintf(path, sizeof(path), "%s%s", root, classes[i].folder);
		folder = opendir(path);
		while (folder && (entry = readdir(folder))) {
			double celsius;

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%.255s", classes[i].folder, entry->d_name);
			celsius = classes[i].read(root, path);
			hottest = celsius > hottest ? celsius : hottest;
		}
		if (folder)
			closedir(folder);
	}
	return hottest;
}

/* --- stolen time -------------------------------------------------------------------------- */

/* proc_stat(5): user nice system idle iowait irq softirq steal, then guests, which `user` has. */
void nova_workload_read_stat(const char *text, struct nova_workload_reading *reading)
{
	double sum = 0, value = 0;
	char *end;

	reading->stolen = reading->all = -1;
	if (strncmp(text, "cpu ", 4) != 0)
		return;
	text += 4;
	for (int i = 0; i < 8; i++) {
		value = strtod(text, &end);
		if (end == text || value < 0)
			return;
		sum += value;
		text = end;
	}
	reading->stolen = value;
	reading->all = sum;
}

void nova_workload_read_host(const char *root, const char *cpus,
                             struct nova_workload_reading *reading)
{
	char stat[1024];

	read_file(stat, sizeof(stat), root, "/proc/stat");
	nova_workload_read_stat(stat, reading);
	reading->hertz = read_hertz(root, cpus);
	reading->celsius = read_celsius(root);
}
