/* SPDX-License-Identifier: MIT */
/* Every op as a deed: what it needs beforehand, and how it is called; for checks that try one thing
 * with all of them. */
#ifndef NOVACORE_VALIDATOR_DEED_H
#define NOVACORE_VALIDATOR_DEED_H

#include "target.h"

/* What the VM is like before the deed. */
enum stand { STANDS_ABSENT, STANDS_OFF, STANDS_RUNNING, STANDS_PAUSED, STANDS_SAVED };

struct deed {
	const char *name;
	enum stand stand;
	enum capability needs; /* CAPABILITIES: nothing but the op itself */
	int needs_agent;       /* the guest must be ready */
	/* Calls the op, and returns what it returns. */
	int (*call)(struct target *target, nova_op op, struct made *vm);
};
extern const struct deed deeds[]; /* name NULL at the end */

/* 1: this target can do it, with the VM that is made here. */
int can_deed(const struct target *target, const struct deed *deed);
/* Makes a VM as the deed wants it; of one that is to be absent only the name. 0: the verdict is
 * set. */
int prepare_deed(struct target *target, const struct deed *deed, struct made *vm);
/* The op with a deadline; status as nova_testhost_end. */
int do_deed(struct target *target, const struct deed *deed, struct made *vm, int64_t timeout_ms);
/*
 * Whatever has become of the VM: it is deleted, and what the deed made beside it. The target may
 * need a moment, so that it is tried again for a while; fails if it then is still there.
 */
void clear_deed(struct target *target, const struct deed *deed, struct made *vm);
/* Fails unless the op's end was one that an op may have: in time, with a status, with a reason. */
void judge_deed(struct target *target, const char *what, int status, int64_t begin_ms,
                int64_t given_ms);

#endif
