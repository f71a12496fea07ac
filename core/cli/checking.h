/* SPDX-License-Identifier: MIT */
/*
 * Inside core/cli: the parts of `novacore plugin check`. plugin_check.c starts a process for each
 * check and judges what is left of it, conformance.c chooses plugin, parameters and checks for a
 * target, check_print.c prints.
 */
#ifndef NOVACORE_CLI_CHECKING_H
#define NOVACORE_CLI_CHECKING_H

#include "core/cli/check.h"

/* One line of the result. */
struct row {
	const char *name, *needs, *proves;
	uint32_t flags, ops;       /* ops 0: nothing that takes real time */
	bool sized;                /* needs the check `sizes`, like all of the validator */
	int aspect;                /* of the file, or −1 */
	enum nova_verdict verdict; /* 0: not yet */
	bool lost;                 /* it cost its process */
	bool blocked;              /* not tried because of another check, or of this host */
	const char *topic;         /* of conformance, else NULL */
	char *why;
	double seconds;
};

struct arguments {
	const char *file, *image, *kernel, *initrd, *cmdline;
	const char *target; /* of --conformance, or NULL */
	const char *config, *expire;
	char *own_file, *own_uri; /* parts of `target` */
	const char **settings;
	size_t setting_count;
	char *only; /* ",a,b," or NULL */
	bool json, list, quiet, quick;
	int64_t op_timeout_ns, time_limit_ns, memory_bytes, vms;
};

struct checking {
	const struct arguments *arguments;
	struct nova_inspection file;
	struct row *rows;
	size_t count;
	json_t *parameters;
	char prefix[64], directory[64];
	int64_t begun_ns;
};

/* --- conformance.c ---------------------------------------------------------------------------- */

/* The plugin and the parameters of the target that --conformance names. */
int conformance_find(struct checking *checking, struct nova_error *error);
/* Gives each row its topic, in the order of the topics; those without one are what these need. */
void conformance_arrange(struct checking *checking);

/* --- check_print.c ---------------------------------------------------------------------------- */

void check_print_head(const struct checking *checking);
void check_print_row(const struct checking *checking, const struct row *row);
void check_print_summary(const struct checking *checking);
/* JSON. */
void check_print_result(const struct checking *checking, int code);
int check_print_list(const struct checking *checking);

#endif
