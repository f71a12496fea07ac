/* SPDX-License-Identifier: MIT */
/* Which CPUs of this host the load, here or in a VM, is pinned to. */
#include "inside.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct nova_parameter nova_workload_threads = {
        .struct_size = sizeof(struct nova_parameter),
        .type = NOVA_PARAM_INTEGER,
        .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH,
        .name = "threads",
        .fallback = "1",
        .minimum = "1",
        .maximum = "256",
        .doc = "Threads of the load, vCPUs of its VM and CPUs of this host to compare with, one "
               "step for each value",
};

const struct nova_parameter nova_workload_cpus = {
        .struct_size = sizeof(struct nova_parameter),
        .type = NOVA_PARAM_TEXT,
        .name = "cpus",
        .fallback = "auto",
        .doc = "Host CPUs that the vCPUs and the load on this host are pinned to, such as 2-3,8; "
               "auto: the first that may be used; none",
};

/* A number below `most` at *at, which moves behind it; −1. */
static long read_cpu(const char **at)
{
	char *end;
	long cpu;

	if (**at < '0' || **at > '9')
		return -1;
	cpu = strtol(*at, &end, 10);
	*at = end;
	return cpu < (long)NOVA_WORKLOAD_CPUS_MOST ? cpu : -1;
}

int nova_workload_cpu_list(const char *text, uint32_t cpus[NOVA_WORKLOAD_CPUS_MOST])
{
	char seen[NOVA_WORKLOAD_CPUS_MOST] = {0};
	int count = 0;

	for (;;) {
		long first = read_cpu(&text), last = first;

		if (*text == '-') {
			text++;
			last = read_cpu(&text);
		}
		if (first < 0 || last < first)
			return -1;
		for (; first <= last; first++) {
			if (seen[first])
				return -1;
			seen[first] = 1;
			cpus[count++] = (uint32_t)first;
		}
		if (*text == '\0')
			return count;
		if (*text++ != ',')
			return -1;
	}
}

/* The CPUs that this process may use. */
static int allowed_cpus(uint32_t cpus[NOVA_WORKLOAD_CPUS_MOST])
{
	cpu_set_t set;
	int count = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && cpu < NOVA_WORKLOAD_CPUS_MOST; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count;
}

/* The texts for taskset and for the knob vm.cpu.pin: one CPU for each thread, in turn. */
static void write_pins(struct nova_workload *work, const uint32_t *cpus, uint32_t count)
{
	size_t used = 0;

	for (uint32_t i = 0; i < count && i < work->threads; i++)
		used += (size_t)snprintf(work->cpus + used, sizeof(work->cpus) - used, "%s%u",
		                         i ? "," : "", cpus[i]);
	used = (size_t)snprintf(work->pins, sizeof(work->pins), "vm.cpu.pin=");
	for (uint32_t i = 0; i < work->threads && used < sizeof(work->pins); i++)
		used += (size_t)snprintf(work->pins + used, sizeof(work->pins) - used, "%s%u",
		                         i ? ":" : "", cpus[i % count]);
}

static int check_allowed(struct nova_workload *work, const char *text, const uint32_t *cpus,
                         int count)
{
	uint32_t allowed[NOVA_WORKLOAD_CPUS_MOST];
	int allowed_count = allowed_cpus(allowed);

	for (int i = 0; i < count && i < (int)work->threads; i++) {
		int found = 0;

		for (int j = 0; j < allowed_count && !found; j++)
			found = allowed[j] == cpus[i];
		if (!found)
			return work->host->errorf(
			        work->run, NOVA_E_INVALID,
			        "cpus=%.100s: CPU %u is not one of the %d that this process may "
			        "use; `nproc` and `taskset -p $$` tell which",
			        text, cpus[i], allowed_count);
	}
	return NOVA_DONE;
}

static int choose_pins(struct nova_workload *work, const char *text)
{
	uint32_t cpus[NOVA_WORKLOAD_CPUS_MOST];
	int count;

	if (strcmp(text, "none") == 0)
		return NOVA_DONE;
	if (strcmp(text, "auto") == 0) {
		count = allowed_cpus(cpus);
		if (count > 0 && count < (int)work->threads)
			nova_workload_say_once(work, 1u << 31, NOVA_SAY_WARNING,
			                       "%u threads share the %d CPUs that there are",
			                       work->threads, count);
	} else {
		count = nova_workload_cpu_list(text, cpus);
		if (count < 0)
			return work->host->errorf(work->run, NOVA_E_INVALID,
			                          "cpus=%.100s is no list of CPUs; write numbers "
			                          "and ranges such as 2-3,8, or auto, or none",
			                          text);
		if (count < (int)work->threads)
			return work->host->errorf(work->run, NOVA_E_INVALID,
			                          "cpus=%.100s: %d CPUs are too few for %u "
			                          "threads; name one for each",
			                          text, count, work->threads);
		if (check_allowed(work, text, cpus, count) != NOVA_DONE)
			return NOVA_E_INVALID;
	}
	if (count > 0)
		write_pins(work, cpus, (uint32_t)count);
	return NOVA_DONE;
}

int nova_workload_create(struct nova_workload *work, const struct nova_workload_kind *kind,
                         const struct nova_host *host, const struct nova_lab *lab, nova_run run)
{
	const char *cpus = host->param_text(run, "cpus", 0);
	int64_t threads = 1;

	*work = (struct nova_workload){
	        .host = host, .lab = lab, .kind = kind, .run = run, .output = ""};
	host->param_i64(run, "threads", 0, &threads);
	work->threads = (uint32_t)threads;
	return choose_pins(work, cpus ? cpus : "auto");
}
