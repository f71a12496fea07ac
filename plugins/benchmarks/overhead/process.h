/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor's process on this host, as the kernel tells it: proc_pid_smaps(5), proc_pid_task(5).
 * @thread any.
 */
#ifndef NOVACORE_OVERHEAD_PROCESS_H
#define NOVACORE_OVERHEAD_PROCESS_H

#include <stdint.h>
#include <stdio.h>

/*
 * The memory of a process without its guest's: the proportional set size (shared pages divided by
 * those who share them) of all mappings but the one that holds the guest's memory. That one is told
 * by its size: of those that are `guest_bytes` or larger, the one with the most pages resident.
 * Time linear in the file; O(1) memory.
 * @param smaps at its beginning, in the format of /proc/PID/smaps
 * @param beyond_bytes unchanged after a failure
 * @return 0; -1: no such mapping, or the file is cut off or something else
 */
int overhead_read_smaps(FILE *smaps, uint64_t guest_bytes, uint64_t *beyond_bytes);

/* The same of a process. @return 0; -1: as above, or it may not be read or has ended */
int overhead_read_memory(int64_t pid, uint64_t guest_bytes, uint64_t *beyond_bytes);

/* CPU time since it began, in ns. */
struct overhead_cpu {
	int64_t all_ns;   /* of all threads, those that have ended too */
	int64_t vcpus_ns; /* of the threads that run the guest's CPUs */
	uint32_t vcpus;   /* how many of these there are */
};

/* 1: a thread of this name runs a guest's CPU (QEMU's "CPU 0/KVM", "CPU 0/TCG"). */
int overhead_is_vcpu(const char *name);

/* @return 0, or -1: it has ended, or the kernel does not tell */
int overhead_read_cpu(int64_t pid, struct overhead_cpu *cpu);

#endif
