/* SPDX-License-Identifier: MIT */
/*
 * A benchmark: measures one thing, one replicate at a time. The host decides how often, in which
 * order and on which side replicates run; it drives the hypervisor for the benchmark through
 * `struct nova_lab`, journals VMs before they exist, and deletes what a replicate leaves behind.
 */
#ifndef NOVACORE_BENCHMARK_H
#define NOVACORE_BENCHMARK_H

#include <novacore/hypervisor.h>

/* Must live for ever. */
struct nova_metric {
	uint32_t struct_size;
	uint32_t unit;     /* NOVA_UNIT_* */
	uint32_t better;   /* NOVA_BETTER_* */
	uint32_t revision; /* of its meaning: 1, 2, … */
	const char *name;  /* <benchmark>.<quantity>[.<end point>] */
	const char *doc;   /* one line: from what to what, exactly */
};

struct nova_sample {
	uint32_t struct_size;
	uint32_t status; /* NOVA_SAMPLE_* */
	uint32_t side;   /* NOVA_SIDE_*; 0: the replicate's */
	uint32_t seq;    /* distinguishes samples of one metric, VM and replicate; 0, 1, … */
	nova_vm vm;      /* 0: none, or this host */
	const char *metric;
	double value;        /* base unit; ignored unless NOVA_SAMPLE_OK */
	int64_t t_ns;        /* when: the end of what was measured, CLOCK_MONOTONIC */
	int64_t intended_ns; /* when it was meant to start, 0 if it does not apply */
	int64_t error_ns;    /* resolution of a duration's end points together, 0 if unknown */
	uint32_t source;     /* NOVA_SOURCE_* of the later end point, 0 if it does not apply */
	uint32_t reserved;   /* 0 */
	/* Unless NOVA_SAMPLE_OK: why, with the evidence (the output that could not be read), or
	 * NULL. The host keeps the first 4 KiB. */
	const char *why;
};

struct nova_result {
	uint32_t struct_size;
	uint32_t count; /* how many values of the field there are */
	int64_t i64;
	double f64;
	const void *bytes; /* or text, NUL-terminated; the host's, until the next call on this VM */
	uint64_t byte_count;
	const char *key; /* of a fact */
};

#define NOVA_BEATS_LOST 1u /* the kernel dropped some: a gap may look longer than it was */

/* A VM's heartbeat as this host received it in one window; CLOCK_MONOTONIC, 0 where there is none.
 */
struct nova_beats {
	uint32_t struct_size;
	uint32_t flags;            /* NOVA_BEATS_* */
	uint64_t count;            /* beats received */
	int64_t first_ns, last_ns; /* when */
	int64_t gap_ns, gap_at_ns; /* the longest time without a beat, and when it began */
	int64_t typical_ns;        /* median distance of two beats */
	/* The time without a beat during which another process began to send (the hypervisor at a
	 * migration's destination), and when it began. */
	int64_t handover_ns, handover_at_ns;
	int64_t error_ns; /* resolution of a gap's two ends together */
};

/*
 * All functions block until the call has ended or its deadline has passed, and return NOVA_DONE or
 * NOVA_E_*; the host has recorded the failure. @thread the one that called `replicate` (setup,
 * teardown), or the threads of fan_out. `deadline_ns` is CLOCK_MONOTONIC; 0: the configured one
 * (run.op_timeout; for `wait` run.ready_timeout). `target` counts from 0. On NOVA_E_INTERRUPTED
 * return at once: the run is being stopped.
 */
struct nova_lab {
	uint32_t struct_size;
	uint32_t targets; /* how many targets this step has */
	/* 1 if `target` has the capability (NOVA_CAN_*), else 0 and the reason in `why` (may be
	 * NULL). */
	int (*can)(nova_run run, uint32_t target, const char *capability, char *why, uint32_t room);
	/* `shape` NULL or with zero fields: as configured. */
	int (*vm_create)(nova_run run, uint32_t target, const struct nova_shape *shape,
	                 int64_t deadline_ns, nova_vm *vm);
	int (*vm_power)(nova_run run, nova_vm vm, uint32_t action, int64_t deadline_ns);
	int (*vm_delete)(nova_run run, nova_vm vm, int64_t deadline_ns);
	int (*vm_query)(nova_run run, nova_vm vm, uint32_t what, int64_t deadline_ns);
	int (*snapshot)(nova_run run, nova_vm vm, const char *name, uint32_t action,
	                int64_t deadline_ns);
	int (*exec)(nova_run run, nova_vm vm, const struct nova_exec *exec, int64_t deadline_ns);
	/* Waits for the first such event since the start of the last vm_power, snapshot or migrate
	 * call on the VM; it may have come already. NOVA_E_TIMEOUT; NOVA_E_FAILED if the VM has
	 * stopped meanwhile. `event` may be NULL. */
	int (*wait)(nova_run run, nova_vm vm, uint32_t kind, int64_t deadline_ns,
	            struct nova_event *event);
	/* `how` NULL: all defaults. Its ticket is the host's affair. */
	int (*migrate)(nova_run run, nova_vm vm, uint32_t target, const struct nova_migrate *how,
	               int64_t deadline_ns);
	int (*net_create)(nova_run run, uint32_t target, uint32_t kind, int64_t deadline_ns,
	                  char name[64]);
	/* What the calling thread's last call put, if that was on this VM (0: exec on this host);
	 * `index`th value, from 0. NOVA_FIELD_STARTED_NS and …_RETURNED_NS are always there.
	 * NOVA_E_NOT_FOUND. */
	int (*result)(nova_run run, nova_vm vm, uint32_t field, uint32_t index,
	              struct nova_result *result);
	/* Runs one(context, i, intended_ns) for i in 0…count-1, at most `limit` at once (0: count),
	 * each on a host thread: open loop at `per_s` starts per second if > 0 (intended_ns is the
	 * schedule's), else as fast as the limit allows (intended_ns is 0). Returns the first
	 * failure, after all ended. */
	int (*fan_out)(nova_run run, uint32_t count, uint32_t limit, double per_s,
	               int (*one)(void *context, uint32_t i, int64_t intended_ns), void *context);
	int (*sample)(nova_run run, const struct nova_sample *sample);
	/* Counts a whole attempt (for density, migration: a VM) as attempted and NOVA_SAMPLE_*. */
	int (*attempt)(nova_run run, uint32_t status);
	/* What came of the VM's heartbeat since the last such call on it, and begins the next
	 * window; the first call only begins one. Does not wait. NOVA_E_UNSUPPORTED: this VM has no
	 * heartbeat (NOVA_CAN_BEAT). */
	int (*beats)(nova_run run, nova_vm vm, struct nova_beats *beats);
	/*
	 * Is there room for `count` more VMs like this one, which runs and has come as far as they
	 * are to come? Holds what it takes of this host (memory, disk, virtual CPUs, descriptors,
	 * threads) against what is free and the limits of the configuration. NOVA_DONE, also for a
	 * VM on another host, of which nothing is known; NOVA_E_REFUSED, with the arithmetic.
	 */
	int (*room)(nova_run run, nova_vm vm, uint32_t count);
};

#define NOVA_BENCHMARK_NATIVE 1u /* it has a native side, too: see `replicate` */

#define NOVA_TARGETS_ALL 0x7fffffffu

struct nova_benchmark {
	uint32_t struct_size;
	uint32_t flags;       /* NOVA_BENCHMARK_* */
	uint32_t targets_min; /* 0: native only, 1, 2: e.g. migration */
	/* The most targets that one step has: 0 as targets_min, but at least 1 (then each target of
	 * a run gets steps of its own); NOVA_TARGETS_ALL: one step for all of them. */
	uint32_t targets_max;
	const char *const
	        *needs; /* capabilities without which it cannot run, NULL-terminated, or NULL */
	const struct nova_metric *const *metrics; /* NULL-terminated */
	int (*create)(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
	              void **self);
	/* Once before the first replicate, in each worker; VMs that it leaves stay for the first
	 * replicate. NOVA_E_UNSUPPORTED: the targets cannot do what the parameters ask for, the
	 * step is skipped with the reason. NULL: nothing to set up. */
	int (*setup)(void *self, nova_run run);
	/* One replicate on one side. VMs it leaves are deleted by the host. A failure of a VM is a
	 * sample, not a failure of the replicate: return NOVA_DONE. With NOVA_BENCHMARK_NATIVE each
	 * `index` comes once on NOVA_SIDE_VM and once on NOVA_SIDE_NATIVE, in an order that the
	 * host draws: the same work, the same metrics, on this host by exec on VM 0. */
	int (*replicate)(void *self, nova_run run, uint32_t index, uint32_t side);
	/* Once after the last replicate, if `setup` had succeeded. NULL: nothing to tear down. */
	int (*teardown)(void *self, nova_run run);
	void (*destroy)(void *self);
	/*
	 * How many fresh VMs one replicate makes at once, from the parameters: the host divides
	 * `run.samples` by it. NULL: 1. @thread before setup.
	 */
	uint32_t (*width)(void *self);
};

#endif
