/* SPDX-License-Identifier: MIT */
/*
 * VMs by the hundred, for the benchmarks density and scaling: what they boot, how one of them is
 * ordered and followed to its end point, and the one that is tried before the others are ordered.
 */
#ifndef NOVACORE_BENCHMARKS_FLEET_H
#define NOVACORE_BENCHMARKS_FLEET_H

#include <novacore/sdk.h>

enum fleet_guest { FLEET_APPLIANCE, FLEET_IMAGE, FLEET_STUB };

struct fleet {
	const struct nova_host *host;
	const struct nova_lab *lab;
	nova_run run;
	enum fleet_guest guest;
	uint32_t until; /* NOVA_EVENT_*: the end point, 0 before fleet_try */
	int64_t op_timeout_ns, ready_timeout_ns; /* 0: as configured */
	struct nova_shape shape;
	char sector[4096]; /* file of the stub */
	/* found by fleet_try */
	uint32_t local;  /* targets whose VMs are processes of this host */
	int other_clock; /* a simulator's: times of two VMs do not lie on one line */
};

/* Names of the metrics of one VM; NULL: no such sample. All begin at the intended start. */
struct fleet_metrics {
	const char *running, *first, *ready;
	const char *up;  /* whichever the end point is */
	const char *api; /* each call: seq 0 create, 1 start */
};

/* One VM, from its order on. */
struct fleet_vm {
	nova_vm vm;
	uint32_t target;
	uint32_t outcome;   /* NOVA_SAMPLE_*, 0 while it is on its way */
	const char *lacks;  /* what it has not come to, if the outcome is not OK */
	int64_t from_ns;    /* the intended start; where nothing was intended, the create call's */
	int64_t up_ns;      /* its end point, if the outcome is OK */
	double api_s[2];    /* create, start; INFINITY: failed; < 0: not called */
	int64_t ends_by_ns; /* 0, or an earlier deadline of the waiting for its end point */
};

/* The parameters that both benchmarks have: guest, image, memory, vcpus, until, op_timeout,
 * ready_timeout. */
#define FLEET_PARAMETERS                                                                           \
	&fleet_guest_parameter, &fleet_image, &fleet_memory, &fleet_vcpus, &fleet_until,           \
	        &fleet_op_timeout, &fleet_ready_timeout
extern const struct nova_parameter fleet_guest_parameter, fleet_image, fleet_memory, fleet_vcpus,
        fleet_until, fleet_op_timeout, fleet_ready_timeout;

/* Reads them. NOVA_DONE; NOVA_E_INVALID after host->error. */
int fleet_init(struct fleet *fleet, const struct nova_host *host, const struct nova_lab *lab,
               nova_run run);
/*
 * Makes the stub's file, finds the end point that all targets can tell, and has one VM on each go
 * its whole way, so that what does not work at all fails before hundreds are ordered, and a warm-up
 * of hundreds is not needed. Asks whether there is room for `count` in all, `most` of them on one
 * target. For `setup`: NOVA_DONE, or NOVA_E_* with the reason recorded.
 */
int fleet_try(struct fleet *fleet, uint32_t count, uint32_t most);
/*
 * Creates, starts and follows one VM on vm->target; its failures are samples and its `outcome`.
 * `intended_ns`: of an open loop, else 0. @return NOVA_DONE, or why the run must end
 */
int fleet_order(struct fleet *fleet, const struct fleet_metrics *metrics, int64_t intended_ns,
                struct fleet_vm *vm);
/* Deletes it; `metric` may be NULL. @return as fleet_order */
int fleet_delete(struct fleet *fleet, const char *metric, struct fleet_vm *vm);

/* One value that is no VM's. */
int fleet_put(struct fleet *fleet, const char *metric, uint32_t seq, double value, int64_t t_ns);
/* Lets time pass, in the host's way: an interruption ends it. */
int fleet_pause(struct fleet *fleet, int64_t duration_ns);
/* Two for each CPU of this host, at least 4: one works while another waits for the disk or a lock,
 * and more would queue for the same CPUs. Measured with libvirt on 2 CPUs: 4 threads create 1.8
 * times as many VMs a second as one, and the 99th percentile of a call grows fourfold. */
uint32_t fleet_default_concurrency(void);
/* The run is being stopped, or must not go on: no sample, nothing more. */
int fleet_ends_run(int status);

#endif
