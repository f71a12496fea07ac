/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks that run a program in a fresh VM and, to compare, the same program with the same
 * arguments on this host (NOVA_BENCHMARK_NATIVE). What they have in common is here: the VM and its
 * pins, waiting until it is ready, running, failed samples with the output as evidence, and what
 * this host was like meanwhile.
 *
 *	static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
 *	{
 *		struct mine *self = context;
 *		struct nova_workload *work = &self->work;
 *
 *		if (nova_workload_begin(work, side) == NOVA_DONE &&
 *		    nova_workload_run(work, ARGV, FIVE_SECONDS, METRICS) == NOVA_DONE)
 *			... read work->output: nova_workload_put, or nova_workload_reject ...
 *		return nova_workload_end(work);
 *	}
 *
 * Part of the workload library: linked into the plugin, not ABI. It starts no thread, prints
 * nothing, and keeps nothing global. @thread of all: the one that called create, setup,
 * or replicate.
 */
#ifndef NOVACORE_WORKLOAD_WORKLOAD_H
#define NOVACORE_WORKLOAD_WORKLOAD_H

#include <novacore/sdk.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NOVA_WORKLOAD_SECOND_NS    INT64_C(1000000000)
#define NOVA_WORKLOAD_THREADS_MOST 256u

/* For tables: NOVA_WORKLOAD_METRIC(RATE, PER_SECOND, HIGHER, "cpu.rate", "Events per second"); */
#define NOVA_WORKLOAD_METRIC(variable, unit_, better_, name_, doc_)                                \
	static const struct nova_metric variable = {.struct_size = sizeof(variable),               \
	                                            .unit = NOVA_UNIT_##unit_,                     \
	                                            .better = NOVA_BETTER_##better_,               \
	                                            .revision = 1,                                 \
	                                            .name = (name_),                               \
	                                            .doc = (doc_)}

/* The four about host and guest, as HOST_FREQUENCY, HOST_CELSIUS, HOST_STEAL and GUEST_STEAL. */
#define NOVA_WORKLOAD_HOST_METRICS(benchmark)                                                      \
	NOVA_WORKLOAD_METRIC(                                                                      \
	        HOST_FREQUENCY, PER_SECOND, HIGHER, benchmark ".host.frequency",                   \
	        "Clock of the CPUs used on this host, mean of right before and right "             \
	        "after");                                                                          \
	NOVA_WORKLOAD_METRIC(                                                                      \
	        HOST_CELSIUS, ONE, LOWER, benchmark ".host.celsius",                               \
	        "Hottest sensor of this host's CPU in degrees Celsius, mean of right "             \
	        "before and right after");                                                         \
	NOVA_WORKLOAD_METRIC(                                                                      \
	        HOST_STEAL, ONE, LOWER, benchmark ".host.steal",                                   \
	        "Share of this host's CPU time that its own hypervisor gave to others "            \
	        "meanwhile");                                                                      \
	NOVA_WORKLOAD_METRIC(GUEST_STEAL, ONE, LOWER, benchmark ".guest.steal",                    \
	                     "Share of the VM's CPU time that was given to others meanwhile, as "  \
	                     "its kernel counts it")

/* The same for parameters; further members may follow: .minimum = "1s". */
#define NOVA_WORKLOAD_PARAMETER(variable, type_, name_, fallback_, doc_, ...)                      \
	static const struct nova_parameter variable = {.struct_size = sizeof(variable),            \
	                                               .type = NOVA_PARAM_##type_,                 \
	                                               .name = (name_),                            \
	                                               .fallback = (fallback_),                    \
	                                               .doc = (doc_),                              \
	                                               __VA_ARGS__}

struct nova_workload_program {
	const char *name; /* as in argv[0] */
	/* Debian's, for advice; NULL: one of novacore's own, which its appliance has; on this host
	 * the benchmark says where it is */
	const char *package;
};

/* What a benchmark is. Must live for ever. Metrics that are NULL are not sampled. */
struct nova_workload_kind {
	const char *name;                             /* the benchmark's */
	const struct nova_workload_program *programs; /* that it runs; ends with a NULL name */
	const struct nova_metric *const *measured; /* all that a replicate owes; NULL-terminated */
	/* Of this host, around each replicate, where they can be read; else it is said once. */
	const struct nova_metric *frequency; /* 1/s: of the CPUs used, mean of before and after */
	const struct nova_metric *celsius;   /* 1: the hottest sensor of the CPU, likewise */
	const struct nova_metric *steal; /* 1: share of CPU time that went to others meanwhile */
	const struct nova_metric *guest_steal; /* the same as a VM's own kernel counts it */
	/* 1: a replicate has two VMs alike, joined by an isolated network of its own
	 * (NOVA_CAN_NETWORK) */
	uint32_t pair;
};

/* A duration in seconds, rounded up, at least 1: what programs take. */
int64_t nova_workload_whole_seconds(int64_t duration_ns);

/* Parameters for the benchmark's table. */
extern const struct nova_parameter nova_workload_threads, nova_workload_cpus;

/* What the host's kernel tells; a member is below 0 where it does not. */
struct nova_workload_reading {
	double hertz;       /* mean over the CPUs */
	double celsius;     /* hottest sensor */
	double stolen, all; /* CPU time since boot, ticks */
};

/* One benchmark instance. Zeroed by nova_workload_create; the members above the line are for
 * reading. */
struct nova_workload {
	const struct nova_host *host;
	const struct nova_lab *lab;
	const struct nova_workload_kind *kind;
	nova_run run;
	uint32_t threads;   /* of the load, vCPUs of the VM, CPUs of this host */
	char cpus[1024];    /* host CPUs to pin to, "0,1"; "": none */
	uint32_t side;      /* NOVA_SIDE_*, of the replicate */
	nova_vm vm;         /* 0 on this host */
	nova_vm peer;       /* of a pair the other one, else 0 */
	const char *output; /* of the last program: standard output, NUL-terminated, never NULL */
	uint64_t output_bytes; /* valid until the next call with this struct */
	/* --- */
	char *texts[2]; /* standard output and error */
	char pins[1100];
	const char *place;
	uint64_t memory_bytes;
	uint32_t outcome, said;
	char last_reason[400]; /* of a failure, as logged */
	int status;            /* how the replicate goes: NOVA_DONE, or why it is over */
	int stop;              /* what replicate must return at once */
	struct nova_workload_reading before, guest_before;
};

/*
 * Takes the parameters nova_workload_threads and nova_workload_cpus.
 * @return NOVA_DONE; NOVA_E_INVALID where `cpus` is no list of CPUs that this process may use, or
 *   has fewer than `threads`
 */
int nova_workload_create(struct nova_workload *work, const struct nova_workload_kind *kind,
                         const struct nova_host *host, const struct nova_lab *lab, nova_run run);

/* For `destroy`. */
void nova_workload_free(struct nova_workload *work);

/*
 * Where the disks of the VMs are to lie (nova_shape.place), and their memory; NULL and 0: as
 * configured. The text must outlive `work`.
 */
void nova_workload_shape(struct nova_workload *work, const char *place, uint64_t memory_bytes);

/*
 * A replicate begins: on NOVA_SIDE_NATIVE here, else in a fresh VM, started and ready. If no VM
 * comes, every metric of kind->measured has failed; if a program is not installed here, so has the
 * replicate (NOVA_E_UNAVAILABLE), with the package to install.
 * @return NOVA_DONE; anything else: go to nova_workload_end
 */
int nova_workload_begin(struct nova_workload *work, uint32_t side);

/*
 * Runs a program to its end, which should come within `duration_ns` (its deadline is 2 min later),
 * pinned on this host. If it cannot be run, or fails, the `metrics` (NULL-terminated) have failed,
 * with its output as the reason.
 * @param argv NULL-terminated, at most 60 words; argv[0] as in kind->programs
 * @return NOVA_DONE: it ended with 0, and work->output is what it printed; else NOVA_E_*
 */
int nova_workload_run(struct nova_workload *work, const char *const *argv, int64_t duration_ns,
                      const struct nova_metric *const *metrics);

/* The same in the other VM of a pair. */
int nova_workload_run_peer(struct nova_workload *work, const char *const *argv, int64_t duration_ns,
                           const struct nova_metric *const *metrics);

/* A figure of the replicate, in the metric's base unit; what is not finite is a failed sample. */
void nova_workload_put(struct nova_workload *work, const struct nova_metric *metric, double value);

/* The output cannot be what was wanted: the `metrics` have failed, because of `why` (half a
 * sentence) and with the output. */
void nova_workload_reject(struct nova_workload *work, const struct nova_metric *const *metrics,
                          const char *why);

/* The replicate ends: this host's metrics, and one attempt. @return what `replicate` returns */
int nova_workload_end(struct nova_workload *work);

/* --- what the kernel tells; `root` is "" or, for tests, a directory with proc and sys in it ------
 */

/* @param cpus a list as "0,2-3"; "": all. Members that cannot be read are -1. */
void nova_workload_read_host(const char *root, const char *cpus,
                             struct nova_workload_reading *reading);
/* Of a text in the format of /proc/stat: `stolen` and `all`, or -1. */
void nova_workload_read_stat(const char *text, struct nova_workload_reading *reading);

#ifdef __cplusplus
}
#endif

#endif
