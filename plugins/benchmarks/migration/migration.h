/* SPDX-License-Identifier: MIT */
/*
 * Inside of the migration benchmark: what was asked for, one VM on its way, and what the files
 * offer one another.
 */
#ifndef NOVACORE_BENCHMARK_MIGRATION_H
#define NOVACORE_BENCHMARK_MIGRATION_H

#include <novacore/sdk.h>

#define SECOND_NS INT64_C(1000000000)
#define WHY_BYTES 512

enum direction { DIRECTION_THERE, DIRECTION_BACK, DIRECTION_BOTH };

struct migration {
	const struct nova_host *host;
	const struct nova_lab *lab;
	nova_run run;
	/* parameters; 0: as configured, none, no limit */
	uint64_t memory, working_set, load, bandwidth;
	int64_t downtime_ns, timeout_ns, beat_ns, window_ns, probe_ns, repeat;
	enum direction direction;
	uint32_t flags, channels; /* of nova_migrate */
	int conversion;
	/* what the targets can, from setup */
	int ready, exec, beat;
	int blackout; /* asked for; from setup on: also possible */
	int said_no_beat, said_not_live, said_no_blackout;
};

/* A VM and where it is. */
struct traveller {
	struct migration *self;
	nova_vm vm;
	uint32_t at;    /* target */
	uint32_t trips; /* so far: a sample's seq */
	int loaded;     /* the load runs and says how far it is */
	int stop;       /* not NOVA_DONE: return it to the host at once */
	/* blackout.c */
	int watched;     /* they are on one network, and the witness asks */
	nova_vm witness; /* stays where both began */
	char network[64], pid[24];
	const char *networks[2];
};

/* migration.c */
extern const struct nova_metric DURATION, REPORTED, OBSERVED, FLOOR, EXCESS, MOVED, ITERATIONS,
        DIRTY, RATE, SETUP, THROTTLE, WORK_LOST, BLACKOUT, QUIET, TO_RAW, TO_VMDK, TO_VHDX;
/* The run is being stopped, or must not go on: no sample, nothing more. */
int ends_the_run(int status);
/* Lets time pass. NOVA_DONE; NOVA_E_FAILED: the VM has stopped; NOVA_E_INTERRUPTED. */
int let_pass(struct traveller *traveller, int64_t ns);
void say(struct migration *self, uint32_t severity, const char *text);
/* `why` NULL: it is fine. `seq`: which trip, or 0. */
int put_sample(struct traveller *traveller, const struct nova_sample *sample);
uint32_t sample_status(int status);

/* Runs a program to its end. NOVA_E_NOT_FOUND: its exit status is not 0. `text`: what it has
 * written, cut to `room`. */
int run_in(struct migration *self, nova_vm vm, const char *const *argv, char *text, size_t room);

/* load.c: the load in the guest, from our init's file */
struct progress {
	uint64_t pages, guest_ns;
	int64_t at_ns; /* this host's clock: the middle of the call that asked */
};
/* NOVA_E_NOT_FOUND: it does not run there. */
int read_progress(struct traveller *traveller, struct progress *progress);
/* Waits until the load runs. NOVA_DONE, or what `replicate` is to return. */
int await_load(struct traveller *traveller);
/* Pages a second between two looks, by the guest's clock; 0: none. */
double rate_between(const struct progress *from, const struct progress *to);

/* trip.c: one migration to `target`, with its samples. NOVA_DONE, or what `replicate` returns. */
int travel(struct traveller *traveller, uint32_t target);

/* blackout.c. What these lack they say once, and are done: NOVA_DONE, or what ends the run. */
struct silence {
	int known;
	int64_t gap_ns;         /* the longest time between two answers */
	int64_t silent_ns;      /* from the last answer to the last question */
	int64_t sent, received; /* questions, answers */
};
/* Before the VM is made: a network for it, and an address, which goes to `arguments`. */
int make_network(struct traveller *traveller, struct nova_shape *shape, char *arguments,
                 size_t room);
int call_witness(struct traveller *traveller); /* once the VM is ready */
int begin_watch(struct traveller *traveller);
int end_watch(struct traveller *traveller, struct silence *silence);
/* "GAP SILENT SENT RECEIVED\n", whole numbers and nothing else; −1: it is not. */
int read_silence(const char *text, struct silence *silence);

/* convert.c: the disk, for another hypervisor. `*failed`: how many formats it did not become. */
int convert(struct migration *self, uint32_t *failed);

#endif
