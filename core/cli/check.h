/* SPDX-License-Identifier: MIT */
/*
 * Inside core/cli: between `novacore plugin check`, which starts a process for each check and
 * judges what is left of it, and `novacore check-one`, which is that process.
 *
 * The request is one JSON object on stdin: path, sha256, check, and what else check_one.c reads
 * (secrets travel there and nowhere else). The answer are lines on stdout: "P PID", "S what is
 * being done", and at last "V passed|failed|not-tried why".
 */
#ifndef NOVACORE_CLI_CHECK_H
#define NOVACORE_CLI_CHECK_H

#include "core/cli/cli.h"

#include <novacore/tools/validator.h>

/* Checks that need more than the SDK: the loader, the manifest, the configuration. */
struct own_check {
	const char *name;
	uint32_t kinds;
	const char *needs, *proves; /* as in nova_validator_check */
	enum nova_verdict (*run)(const json_t *request, char *why, size_t room);
};
extern const struct own_check own_checks[]; /* name NULL at the end */

extern const char *const verdict_words[]; /* by nova_verdict */

int nova_command_check_one(int argc, char **argv);

#endif
