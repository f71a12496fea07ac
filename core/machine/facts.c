/* SPDX-License-Identifier: MIT */
/* The facts by which results of two runs may, or may not, be compared. */
#include "core/machine/machine.h"

#include <dirent.h>
#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SMALL_FILE 65536

/* The first line of a file without its end, or NULL. Owned by the caller. */
static char *read_line(const char *path)
{
	char *text = nova_file_read(path, SMALL_FILE, NULL, NULL);

	if (text)
		text[strcspn(text, "\n")] = 0;
	return text;
}

/* The value behind "name : " in a file such as /proc/cpuinfo. Owned by the caller. */
static char *read_entry(const char *path, const char *name)
{
	NOVA_AUTOFREE char *text = nova_file_read(path, 16 << 20, NULL, NULL);
	size_t length = strlen(name);

	for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
		char *colon = strchr(line, ':');

		if (colon && !strncmp(line, name, length) && strchr("\t :", line[length]))
			return nova_strdup(colon + 1 + strspn(colon + 1, " \t"));
	}
	return NULL;
}

static void set_text(json_t *object, const char *name, const char *text)
{
	json_t *value = text && *text ? json_string(text) : NULL;

	json_object_set_new(object, name, value ? value : json_null());
}

static void add_topology(json_t *where)
{
	hwloc_topology_t topology;

	if (hwloc_topology_init(&topology))
		return;
	if (!hwloc_topology_load(topology)) {
		json_object_set_new(
		        where, "topology",
		        json_sprintf("%d packages, %d NUMA nodes, %d cores, %d threads",
		                     hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE),
		                     hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE),
		                     hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE),
		                     hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU)));
	}
	hwloc_topology_destroy(topology);
}

/* Whether this machine is a VM itself, and whose: the CPU's own flag, then the firmware's name. */
static void add_nesting(json_t *where)
{
	NOVA_AUTOFREE char *flags = read_entry("/proc/cpuinfo", "flags");
	NOVA_AUTOFREE char *product = read_line("/sys/class/dmi/id/product_name");
	bool nested = flags && strstr(flags, " hypervisor");

	json_object_set_new(where, "nested", json_boolean(nested));
	set_text(where, "product", product);
}

static void add_mitigations(json_t *what)
{
	static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
	NOVA_AUTOTEXT struct nova_text text = {0};
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		NOVA_AUTOFREE char *path = nova_format("%s/%s", folder, entries[i]->d_name);
		NOVA_AUTOFREE char *line = entries[i]->d_name[0] == '.' ? NULL : read_line(path);

		if (line)
			nova_text_addf(&text, "%s%s: %s", text.length ? "; " : "",
			               entries[i]->d_name, line);
		free(entries[i]);
	}
	free(entries);
	set_text(what, "mitigations", nova_text_get(&text));
}

void nova_machine_facts(json_t **where, json_t **what)
{
	NOVA_AUTOFREE char *cpu = read_entry("/proc/cpuinfo", "model name");
	NOVA_AUTOFREE char *memory = read_entry("/proc/meminfo", "MemTotal");
	NOVA_AUTOFREE char *microcode = read_entry("/proc/cpuinfo", "microcode");
	NOVA_AUTOFREE char *cmdline = read_line("/proc/cmdline");
	struct utsname kernel;

	*where = json_object();
	*what = json_object();
	set_text(*where, "cpu", cpu);
	set_text(*where, "memory", memory);
	add_topology(*where);
	add_nesting(*where);
	if (!uname(&kernel)) {
		set_text(*where, "architecture", kernel.machine);
		set_text(*what, "kernel", kernel.release);
		set_text(*what, "kernel_build", kernel.version);
	}
	set_text(*what, "kernel_cmdline", cmdline);
	set_text(*what, "microcode", microcode);
	add_mitigations(*what);
}

static uint64_t cgroup_free(void)
{
	NOVA_AUTOFREE char *limit = read_line("/sys/fs/cgroup/memory.max");
	NOVA_AUTOFREE char *used = read_line("/sys/fs/cgroup/memory.current");
	unsigned long long most, now;

	if (!limit || !used || !strcmp(limit, "max"))
		return UINT64_MAX;
	most = strtoull(limit, NULL, 10);
	now = strtoull(used, NULL, 10);
	return most > now ? most - now : 0;
}

uint64_t nova_machine_memory_available(void)
{
	NOVA_AUTOFREE char *text = read_entry("/proc/meminfo", "MemAvailable");
	uint64_t host =
	        text ? strtoull(text, NULL, 10) * 1024 : 0; /* the file counts in kB of 1,024 */
	uint64_t group = cgroup_free();

	return host < group ? host : group;
}

unsigned nova_machine_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	return (unsigned)CPU_COUNT(&set);
}
