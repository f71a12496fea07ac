/* SPDX-License-Identifier: MIT */
/* Inside core/cli: what the commands that judge across runs begin and end with. */
#ifndef NOVACORE_CLI_JUDGING_H
#define NOVACORE_CLI_JUDGING_H

#include "core/cli/cli.h"
#include "core/judge/judge.h"
#include "core/run/run.h"

struct judging {
	struct nova_settings settings;
	struct nova_store *store;
	json_t *regression; /* the keys regression.* */
	struct nova_judging by;
};
/* Loads the settings (`config`: --config, or NULL) and opens the store they name. Close in any
 * case.
 */
int judging_open(const char *config, struct judging *judging, struct nova_error *error);
void judging_close(struct judging *judging);

/* One of the NULL-terminated `formats`, else an error that names them and the nearest. */
int judging_check_format(const char *command, const char *format, const char *const *formats,
                         struct nova_error *error);
extern const char *const judging_formats[]; /* table, json, csv */

/* Writes a document to --output FILE or standard output by a function of core/report. */
int judging_deliver(const json_t *document, const char *format, const char *output,
                    int (*write)(const json_t *document, const char *format, FILE *out,
                                 struct nova_error *error),
                    struct nova_error *error);

#endif
