/* SPDX-License-Identifier: MIT */
/* What the files of the workload library share. */
#ifndef NOVACORE_WORKLOAD_INSIDE_H
#define NOVACORE_WORKLOAD_INSIDE_H

#include <novacore/workload/workload.h>

#include <stddef.h>

#define NOVA_WORKLOAD_CPUS_MOST 1024u

/* A list as the kernel writes it, "0,2-3". @return how many CPUs, in `cpus`; −1: it is none */
int nova_workload_cpu_list(const char *text, uint32_t cpus[NOVA_WORKLOAD_CPUS_MOST]);

/* Says it once for each `bit`. */
void nova_workload_say_once(struct nova_workload *work, uint32_t bit, uint32_t severity,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
