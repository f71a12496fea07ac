/* SPDX-License-Identifier: MIT */
/* What the driver checks share: a connected target, and VMs on it. */
#ifndef NOVACORE_VALIDATOR_TARGET_H
#define NOVACORE_VALIDATOR_TARGET_H

#include "inside.h"

#define NAME_ROOM 160
#define SLACK_MS  2000 /* a busy machine's share of a time limit */
#define EVENT_MS  30000

enum capability {
	CAN_CREATE,
	CAN_CLONE,
	CAN_START,
	CAN_SHUTDOWN,
	CAN_PAUSE,
	CAN_RESET,
	CAN_SNAPSHOT,
	CAN_EXEC,
	CAN_READY,
	CAN_BEAT,
	CAN_DIRECT,
	CAN_DISK,
	CAN_TEMPLATE,
	CAN_STUB,
	CAN_STATS,
	CAN_ADDRESS,
	CAN_IMAGE,
	CAN_NETWORK,
	CAN_MIGRATE,
	CAN_KNOBS,
	CAN_TWIN,
	CAPABILITIES
};
extern const char *const capability_names[CAPABILITIES];

struct target {
	struct validator *v;
	struct nova_testhost *host;
	const struct nova_hypervisor *ops;
	int can[CAPABILITIES];       /* said, and there are the ops */
	char why[CAPABILITIES][160]; /* not, as the driver says it, or "" */
	int quiet;                   /* complaints are left to the check `contract` */
	char sector[512];            /* path of a boot sector, "" without */
	struct nova_shape shape;
};

struct made {
	char name[NAME_ROOM], id[NAME_ROOM];
	struct nova_ref ref;
};

/* Connected and described. 0: the verdict is set, and there is nothing to close. */
int open_target(struct target *target, struct validator *v);
/* `host` of open_host: connects it. */
int connect_target(struct target *target, struct validator *v, struct nova_testhost *host);
void close_target(struct target *target);
/* The verdict is "not tried" unless the target can; returns whether it can. */
int demand(struct target *target, enum capability capability);

/* One op with the usual timeout. */
#define CALL(target, op, ...)                                                                      \
	(stage((target)->v, #op),                                                                  \
	 nova_testhost_call((target)->host, (target)->v->op_timeout_ms, op, ##__VA_ARGS__))
/* Fails unless `status` is NOVA_DONE; returns whether it is. */
int expect_done(struct target *target, const char *what, int status);
/* Fails unless it is the wanted one, and the reason is said. */
void expect_status(struct target *target, const char *what, int status, int wanted);

/* The first op that the capability is about and the driver lacks, or NULL. */
const char *missing_op(const struct nova_hypervisor *ops, enum capability capability);
struct nova_ref ref_to(const char *name);
void new_name(struct validator *v, char name[NAME_ROOM]);
/* 1: it is there, created, not started. */
int make_vm(struct target *target, struct made *vm);
int start_vm(struct target *target, struct made *vm);
/* Fails if the VM does not go. */
void drop_vm(struct target *target, struct made *vm);
/* How many VMs there are whose names begin so; −1 and failed if it cannot be told. */
int count_vms(struct target *target, const char *prefix);
/* Fails unless the event comes. `from`: count of events before what causes it. */
int expect_event(struct target *target, const struct made *vm, size_t from, uint32_t kind,
                 const char *what);
/* Fails unless the VM is in the state. */
void expect_state(struct target *target, struct made *vm, int64_t wanted);

/* For a thread of its own (time.c): cancels the op in a while. */
struct canceller {
	struct nova_testhost *host;
	nova_op op;
	int64_t after_ms;
};
void *cancel_later(void *canceller);

#endif
