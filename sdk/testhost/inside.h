/* SPDX-License-Identifier: MIT */
/* What the files of the test host share. Nobody else includes this. */
#ifndef NOVACORE_TESTHOST_INSIDE_H
#define NOVACORE_TESTHOST_INSIDE_H

#include <novacore/testhost.h>

/* Parameter values, checked, with defaults filled in. */
struct parameters {
	const struct nova_plugin *plugin;
	struct value {
		const struct nova_parameter *parameter;
		char **texts;
		uint32_t count;
	} * values;
	uint32_t count;
};

/* NOVA_DONE, or NOVA_E_INVALID with a sentence in `refusal`. */
int parameters_read(struct parameters *all, const struct nova_plugin *plugin,
                    const char *const *given, char *refusal, size_t room);
void parameters_free(struct parameters *all);
int parameters_i64(const struct parameters *all, const char *name, uint32_t index, int64_t *value);
int parameters_f64(const struct parameters *all, const char *name, uint32_t index, double *value);
const char *parameters_text(const struct parameters *all, const char *name, uint32_t index);

/* host->process; `deadline_ns` INT64_MAX: none; `cancelled(op)` is asked every 50 ms. */
int process_run(const struct nova_exec *exec, int64_t deadline_ns, int (*cancelled)(nova_op),
                nova_op op,
                void (*output)(void *context, uint32_t field, const void *bytes, uint64_t count),
                void *context, int32_t *status);

int64_t clock_ns(void);
void *memory(void *old, size_t bytes); /* realloc that never fails; bytes > 0 */
char *copy(const char *text);          /* strdup; NULL stays NULL */

#endif
