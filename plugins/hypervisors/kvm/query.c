/* SPDX-License-Identifier: MIT */
/* State, statistics and addresses of a VM. What is not known is not put. */
#include "kvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int put_state(struct kvm *self, nova_op op, virDomainPtr domain)
{
	int state = 0, reason = 0;
	int64_t ours = NOVA_STATE_OTHER;
	pid_t pid = kvm_pid(self, virDomainGetName(domain));
	if (virDomainGetState(domain, &state, &reason, 0) != 0)
		return kvm_fail(self, op, "ask for the state of VM", virDomainGetName(domain));
	if (state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED)
		ours = NOVA_STATE_RUNNING;
	else if (state == VIR_DOMAIN_PAUSED || state == VIR_DOMAIN_PMSUSPENDED)
		ours = NOVA_STATE_PAUSED;
	else if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED)
		ours = NOVA_STATE_OFF;
	self->host->put_i64(op, NOVA_FIELD_STATE, ours);
	if (pid > 0 && ours != NOVA_STATE_OFF)
		self->host->put_i64(op, NOVA_FIELD_PID, pid);
	return NOVA_DONE;
}

/* The kernel's own clock of the QEMU process: exact, and there without cgroups. */
static bool process_time(pid_t pid, int64_t *ns)
{
	struct timespec used;
	clockid_t clock;
	if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return false;
	*ns = (int64_t)used.tv_sec * KVM_SECOND + used.tv_nsec;
	return true;
}

/* "KEY: NUMBER kB" in a file of the QEMU process, in bytes; 0: not to be had. */
static int64_t process_bytes(pid_t pid, const char *name, const char *key)
{
	char path[64], line[256];
	long long kib = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	FILE *file = pid > 0 ? fopen(path, "re") : NULL;
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), ": %lld kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024;
}

/* Sums over numbered devices: "block.0.rd.bytes", "net.1.rx.bytes". */
static const struct {
	const char *group, *tail;
	uint32_t field;
} sums[] = {
        {"block.", ".rd.bytes", NOVA_FIELD_DISK_READ_BYTES},
        {"block.", ".wr.bytes", NOVA_FIELD_DISK_WRITE_BYTES},
        {"block.", ".rd.reqs", NOVA_FIELD_DISK_READS},
        {"block.", ".wr.reqs", NOVA_FIELD_DISK_WRITES},
        {"block.", ".allocation", NOVA_FIELD_DISK_ALLOCATED_BYTES},
        {"net.", ".rx.bytes", NOVA_FIELD_NET_RX_BYTES},
        {"net.", ".tx.bytes", NOVA_FIELD_NET_TX_BYTES},
};
#define SUMS (sizeof(sums) / sizeof(sums[0]))

/* Is `name` GROUP<number>TAIL? The backing file's figures have numbers of their own: only the
 * top of each chain is counted, which libvirt gives without being asked for more. */
static bool is_sum(const char *name, size_t i)
{
	size_t length = strlen(name), group = strlen(sums[i].group), tail = strlen(sums[i].tail);
	if (length <= group + tail || strncmp(name, sums[i].group, group) != 0 ||
	    strcmp(name + length - tail, sums[i].tail) != 0)
		return false;
	return strspn(name + group, "0123456789") == length - group - tail;
}

static void put_record(struct kvm *self, nova_op op, virDomainStatsRecordPtr record, int64_t cpu,
                       pid_t pid)
{
	int64_t rss = process_bytes(pid, "status", "VmRSS");
	int64_t pss = process_bytes(pid, "smaps_rollup", "Pss");
	int64_t totals[SUMS], given;
	bool seen[SUMS] = {false};
	unsigned long long number;
	for (int i = 0; i < record->nparams; i++)
		for (size_t j = 0; j < SUMS; j++)
			if (is_sum(record->params[i].field, j)) {
				totals[j] = (seen[j] ? totals[j] : 0) +
				            (int64_t)record->params[i].value.ul;
				seen[j] = true;
			}
	for (size_t j = 0; j < SUMS; j++)
		if (seen[j])
			self->host->put_i64(op, sums[j].field, totals[j]);
	if (!cpu &&
	    virTypedParamsGetULLong(record->params, record->nparams, "cpu.time", &number) == 1)
		cpu = (int64_t)number;
	if (cpu)
		self->host->put_i64(op, NOVA_FIELD_CPU_NS, cpu);
	if (virTypedParamsGetULLong(record->params, record->nparams, "balloon.current", &number) ==
	    1) {
		given = (int64_t)number * 1024;
		self->host->put_i64(op, NOVA_FIELD_MEMORY_BYTES, given);
	}
	if (!rss &&
	    virTypedParamsGetULLong(record->params, record->nparams, "balloon.rss", &number) == 1)
		rss = (int64_t)number * 1024;
	if (rss)
		self->host->put_i64(op, NOVA_FIELD_RESIDENT_BYTES, rss);
	if (pss)
		self->host->put_i64(op, NOVA_FIELD_PROPORTIONAL_BYTES, pss);
}

/*
 * libvirt is not asked for what the kernel says better: for the CPU figures it would first ask
 * every QEMU on this host what it can do.
 */
static int put_stats(struct kvm *self, nova_op op, virDomainPtr domain)
{
	virDomainPtr list[] = {domain, NULL};
	virDomainStatsRecordPtr *records = NULL;
	unsigned groups =
	        VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE;
	pid_t pid = kvm_pid(self, virDomainGetName(domain));
	int64_t cpu = 0;
	if (!process_time(pid, &cpu))
		groups |= VIR_DOMAIN_STATS_CPU_TOTAL;
	int count = virDomainListGetStats(list, groups, &records, 0);
	if (count < 0)
		return kvm_fail(self, op, "get the statistics of VM", virDomainGetName(domain));
	if (count > 0)
		put_record(self, op, records[0], cpu, pid);
	virDomainStatsRecordListFree(records);
	return NOVA_DONE;
}

static int put_addresses(struct kvm *self, nova_op op, virDomainPtr domain)
{
	virDomainInterfacePtr *interfaces = NULL;
	int count = virDomainInterfaceAddresses(domain, &interfaces,
	                                        VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0);
	if (count < 0)
		return kvm_fail(self, op, "ask the guest agent for the addresses of VM",
		                virDomainGetName(domain));
	for (int i = 0; i < count; i++) {
		for (unsigned j = 0; j < interfaces[i]->naddrs; j++)
			if (strcmp(interfaces[i]->name, "lo") != 0)
				self->host->put_fact(op, NOVA_FIELD_ADDRESS, interfaces[i]->name,
				                     interfaces[i]->addrs[j].addr);
		virDomainInterfaceFree(interfaces[i]);
	}
	free(interfaces);
	return NOVA_DONE;
}

int kvm_vm_query(void *instance, nova_op op, const struct nova_ref *ref, uint32_t what)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	int status = kvm_lookup(self, op, ref, &domain);
	if (status != NOVA_DONE)
		return status;
	if (what == NOVA_QUERY_STATE)
		status = put_state(self, op, domain);
	else if (what == NOVA_QUERY_STATS)
		status = put_stats(self, op, domain);
	else if (what == NOVA_QUERY_ADDRESS)
		status = put_addresses(self, op, domain);
	else
		status = self->host->errorf(op, NOVA_E_INVALID, "there is no query %u", what);
	virDomainFree(domain);
	return status;
}
