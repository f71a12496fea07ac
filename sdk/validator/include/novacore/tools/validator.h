/* SPDX-License-Identifier: MIT */
/*
 * The contract as a table of checks, each of which tries one promise of a plugin in the calling
 * process, with the test host. A plugin may crash, hang, exit or damage the process meanwhile: run
 * one check per process, with a deadline, and judge what is left. `novacore plugin check` does.
 *
 * A check is a function and a line in the table of its kind's file; the order of the table is the
 * order in which they are run.
 */
#ifndef NOVACORE_VALIDATOR_H
#define NOVACORE_VALIDATOR_H

#include <novacore/sdk.h>

enum nova_verdict { NOVA_VERDICT_PASSED = 1, NOVA_VERDICT_FAILED, NOVA_VERDICT_NOT_TRIED };

#define NOVA_CHECK_OF(kind) (1u << (kind))
#define NOVA_CHECK_OF_ALL   0x1eu

/* The process ends by exit(), not by _exit(), after this check. */
#define NOVA_CHECK_ENDS 1u
/* It looks for objects that other checks have left on the target, and deletes them. */
#define NOVA_CHECK_SWEEPS 2u
/* It is only made where conformance is asked for: it takes long, or makes many VMs. */
#define NOVA_CHECK_CONFORMANCE 4u

struct validator;

struct nova_validator_check {
	const char *name; /* ^[a-z][a-z-]*$, unique */
	uint32_t kinds;   /* NOVA_CHECK_OF */
	uint32_t flags;   /* NOVA_CHECK_* */
	/* How many calls of an op it may wait for at most, one after another: its time limit is
	 * this many op timeouts, and 30 s. */
	uint32_t ops;
	/*
	 * Names of earlier checks, with blanks between, or NULL: it is tried only if NAME has
	 * passed, ?NAME has not failed, !NAME has not cost its process. One that is not for the
	 * plugin's kind stands for what it needs itself.
	 */
	const char *needs;
	const char *proves; /* a sentence without a full stop */
	void (*run)(struct validator *validator);
};

/* All, NULL-terminated. */
const struct nova_validator_check *const *nova_validator_checks(void);

/*
 * Conformance: what a driver must stand, as topics of checks with a target. Every one of them
 * passes, fails, or is not supported by the driver or the target, with a reason.
 */
struct nova_conformance_topic {
	const char *name;
	const char *checks; /* with blanks between */
};
/* In the order in which they are run; `name` NULL at the end. */
const struct nova_conformance_topic *nova_conformance_topics(void);

struct nova_validator_request {
	/*
	 * Loads the plugin: called once, at the moment that the check chooses. NULL: it could not
	 * be loaded, and `why` says the reason.
	 */
	const struct nova_plugin *(*load)(void *context, char *why, uint32_t room);
	/*
	 * A profile's setting: NOVA_DONE if there is such a key and it takes the value, else
	 * NOVA_E_INVALID and the reason in `why`. NULL: settings are not judged.
	 */
	int (*setting)(void *context, const char *key, const char *value, char *why, uint32_t room);
	/* What is being done now, for whoever must explain the death of this process. May be NULL.
	 */
	void (*stage)(void *context, const char *text);
	void *context;
	const char *const *parameters; /* "name=value", NULL-terminated, or NULL */
	int64_t op_timeout_ms;         /* 0: 60 s */
	/* Begins the name of every object that is made on a target; ends in '-'. */
	const char *prefix;
	/* What VMs are made of, if anything is given. */
	const char *image, *kernel, *initrd, *cmdline;
	/* How many VMs `many-vms` makes; 0: 200. */
	uint32_t vms;
	/* 1: what is to happen in the middle of an op does so at one moment of it, not at three. */
	uint32_t quick;
	/* Ends all sessions at the target: NOVA_DONE, or the reason in `why`. NULL: nobody knows
	 * how. */
	int (*expire)(void *context, char *why, uint32_t room);
	/* 1: breaches that the check `contract` reports are not reported again. */
	uint32_t contract_failed;
};

/*
 * Runs the check in this process. `why`: on failure, sentences that say what is wrong; if it was
 * not tried, why not; else "" or what was seen.
 */
enum nova_verdict nova_validator_run(const struct nova_validator_check *check,
                                     const struct nova_validator_request *request, char *why,
                                     uint32_t room);

#endif
