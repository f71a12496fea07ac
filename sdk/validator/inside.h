/* SPDX-License-Identifier: MIT */
/* What the files of the validator share. Nobody else includes this. */
#ifndef NOVACORE_VALIDATOR_INSIDE_H
#define NOVACORE_VALIDATOR_INSIDE_H

#include <novacore/testhost.h>
#include <novacore/tools/validator.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct validator {
	const struct nova_validator_request *request;
	const struct nova_plugin *plugin;
	struct nova_plugin unprobed; /* the same without probe, which a worker asks once */
	struct nova_plugin relaxed;  /* the same with no parameter required, for probe */
	char unavailable[512];       /* what probe said against it, or "" */
	enum nova_verdict verdict;
	int quiet; /* while > 0, nothing fails and nothing is "not tried": another aspect is judged
	            */
	int64_t op_timeout_ms;
	uint32_t names;     /* objects named so far */
	uint32_t libraries; /* that came with the plugin, beside the C and C++ run time */
	char *why;
	uint32_t room;
};

/* --- validator.c -------------------------------------------------------------------------- */

/* Adds a sentence; the check has failed. */
__attribute__((format(printf, 2, 3))) void fail(struct validator *v, const char *format, ...);
/* The check could not be tried; ignored once it has failed. */
__attribute__((format(printf, 2, 3))) void untried(struct validator *v, const char *format, ...);
/* Something worth knowing about a check that has passed. */
__attribute__((format(printf, 2, 3))) void note(struct validator *v, const char *format, ...);
__attribute__((format(printf, 2, 3))) void stage(struct validator *v, const char *format, ...);
/* The plugin, loaded at the first call; NULL: the verdict is set. */
const struct nova_plugin *loaded(struct validator *v);

/* The same, asked by `probe`. 0: the verdict is set. */
int usable(struct validator *v);

/* A host for `probe` alone: also where required parameters are not given. NULL: out of memory. */
struct nova_testhost *open_for_probe(struct validator *v);

const char *status_name(int status); /* "NOVA_E_TIMEOUT" */
int64_t now_ms(void);
void sleep_ms(int64_t ms);

/*
 * A test host, with `create` called, after `probe`. NULL: the verdict is set. `parameters` NULL:
 * the request's.
 */
struct nova_testhost *open_host(struct validator *v, const char *const *parameters);
/* Takes the host's complaints, and frees it. */
void close_host(struct validator *v, struct nova_testhost *host);
/* The same, the complaints left to the check `contract`: for what is tried before it. */
void close_host_quietly(struct validator *v, struct nova_testhost *host);

/* Does the plugin's work once, as far as that is possible. */
void tour(struct validator *v);

/* --- by kind ------------------------------------------------------------------------------ */

/* name NULL at the end */
extern const struct nova_validator_check first_checks[], common_checks[], work_checks[],
        contract_checks[], value_checks[], watch_checks[], connect_checks[], driver_checks[],
        vm_checks[], time_checks[], conformance_checks[], network_checks[], last_checks[],
        benchmark_checks[], optimizer_checks[], profile_checks[];
void tour_driver(struct validator *v);
void tour_benchmark(struct validator *v);
void tour_optimizer(struct validator *v);
void tour_profile(struct validator *v);

#endif
