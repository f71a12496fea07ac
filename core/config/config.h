/* SPDX-License-Identifier: MIT */
/*
 * core/config: libconfig texts to typed settings, in layers. Every value knows its origin, every
 * error has file:line. The room is handed texts and declarations: it knows no plugin.
 *
 * Notation: sizes, durations and rates are strings with a unit ("16GiB", "30s", "100MB/s"); a bare
 * number there is an error (libconfig cuts integers at 31 bits). Lists are libconfig arrays; in
 * --set they are separated by commas.
 */
#ifndef NOVACORE_CONFIG_H
#define NOVACORE_CONFIG_H

#include "core/base/base.h"

#include <novacore/plugin.h>

/* A declared key: the SDK's nova_parameter with its own memory. Text in configuration notation. */
struct nova_spec {
	uint32_t type;  /* NOVA_PARAM_* */
	uint32_t flags; /* NOVA_PARAM_LIST, NOVA_PARAM_REQUIRED */
	char *name, *doc, *fallback, *minimum, *maximum;
	char **choices; /* NULL-terminated, or NULL */
};
void nova_spec_free(struct nova_spec *spec);

/* Later layers win; within a layer the later text wins. */
enum nova_layer {
	NOVA_LAYER_DEFAULT = 1,
	NOVA_LAYER_PROFILE,
	NOVA_LAYER_SYSTEM, /* /etc/novacore/novacore.conf */
	NOVA_LAYER_USER,   /* ~/.config/novacore/novacore.conf */
	NOVA_LAYER_FILE,   /* --config */
	NOVA_LAYER_COMMAND /* --set and options that are short for it */
};

struct nova_config;

/* With the core's own keys (core/config/keys.c) declared. */
struct nova_config *nova_config_new(void);
void nova_config_free(struct nova_config *config);
#define NOVA_AUTOCONFIG NOVA_AUTO(nova_config_cleanup)
void nova_config_cleanup(struct nova_config **config);

/*
 * Declares `<prefix>.<spec name>` for each spec, e.g. prefix "hypervisor.kvm". Specs are copied. To
 * be called with a count of 0 too: a prefix that is not declared is a plugin that is not installed.
 */
void nova_config_declare(struct nova_config *config, const char *prefix,
                         const struct nova_spec *specs, size_t count);

/* Adds a text. `origin` names it in messages ("profile hpc", a path). Syntax errors only. */
int nova_config_add_text(struct nova_config *config, enum nova_layer layer, const char *origin,
                         const char *text, struct nova_error *error);
/* A file that is missing is an error only if `required`. An unreadable one always is. */
int nova_config_add_file(struct nova_config *config, enum nova_layer layer, const char *path,
                         bool required, struct nova_error *error);
/*
 * "key=value"; a key without a kind is a benchmark's ("density.count"), "goal.METRIC=10s" (or
 * "=10s,20s" with the acceptable limit) a goal for every driver. Layer COMMAND.
 */
int nova_config_add_setting(struct nova_config *config, const char *assignment,
                            struct nova_error *error);
/* For an option that is short for a setting: `option` ("--samples") is the origin. */
int nova_config_add_option(struct nova_config *config, const char *option, const char *key,
                           const char *value, struct nova_error *error);
/* What the highest layer says for `key`, unchecked and before finish; NULL if none says anything.
 */
const char *nova_config_early(const struct nova_config *config, const char *key);
/* The texts of a list in the highest layer that has it, likewise: NULL-terminated, all the
 * caller's, or NULL. */
char **nova_config_early_list(const struct nova_config *config, const char *key);
/*
 * Resolves and checks everything: unknown keys (with the nearest valid name), types, units, ranges,
 * choices, targets' plugins and their required values, the shape of run.shape. The first error
 * wins. Getters work after it. May be called again after more has been added.
 */
int nova_config_finish(struct nova_config *config, struct nova_error *error);
/*
 * Is all there to use `prefix` (with `over`, as in nova_config_params): required values, secrets
 * that can be read? `given` (or NULL) is not looked at: its value comes from elsewhere. To be asked
 * for what a run really uses.
 */
int nova_config_ready(const struct nova_config *config, const char *prefix, const char *over,
                      const char *given, struct nova_error *error);

/*
 * Of a declared key; asking for an undeclared one is a bug and aborts, as is an index beyond the
 * count of a list. Without a value: 0, 0.0, NULL, false. i64 also gives sizes (B), durations (ns)
 * and booleans; f64 gives every numeric type; text gives the canonical notation of every type.
 */
bool nova_config_declared(const struct nova_config *config, const char *key);
bool nova_config_has(const struct nova_config *config, const char *key); /* has a value at all */
size_t nova_config_count(const struct nova_config *config, const char *key); /* elements */
int64_t nova_config_i64(const struct nova_config *config, const char *key, size_t index);
double nova_config_f64(const struct nova_config *config, const char *key, size_t index);
const char *nova_config_text(const struct nova_config *config, const char *key, size_t index);
bool nova_config_flag(const struct nova_config *config, const char *key);
/* Where the value is from ("default", "profile hpc:3", "--set"), or NULL without one. */
const char *nova_config_origin(const struct nova_config *config, const char *key);
/* The value typed as in nova_config_params ("***" for a secret), or NULL. Owned by the caller. */
json_t *nova_config_json(const struct nova_config *config, const char *key);

/*
 * The values of all keys below `prefix` as a flat JSON object {name: value}: integers, sizes (B),
 * durations (ns) and booleans typed, numbers and rates real, the rest text, lists arrays. Values of
 * `over` ("target.lab"), if not NULL, win over those of `prefix`; `plugin` of a target is left out,
 * as are keys without value. With `secrets` false, secrets are left out; with true, references are
 * read, and one that cannot be read is left out and logged (ask nova_config_ready first). Owned by
 * the caller.
 */
json_t *nova_config_params(const struct nova_config *config, const char *prefix, const char *over,
                           bool secrets);

/* Names of the groups below "target", "vm": NULL-terminated, owned by `config`. */
const char *const *nova_config_groups(const struct nova_config *config, const char *parent);

/* A goal for a metric: the limits in base units; `plugin` NULL: any driver. */
struct nova_goal {
	const char *metric, *plugin;
	double pass;
	bool has_acceptable;
	double acceptable;
	uint32_t unit; /* NOVA_UNIT_*: of the limits as they were written */
	const char *origin;
	/* Only for steps whose parameter of this name is at most `most` (B, ns, or a plain number);
	 * of several that hold, the one with the smallest counts. NULL: for every step. */
	const char *param;
	double most;
};
/*
 * The goal for this metric and driver whatever the parameters, or NULL. Goals come from the key
 * `goals` of all layers, merged by (metric, plugin, parameter), the later text wins; one without
 * plugin replaces all for its metric that earlier texts hold, one without parameter all with;
 * within a text the one with a plugin wins for that driver.
 */
const struct nova_goal *nova_config_goal(const struct nova_config *config, const char *metric,
                                         const char *plugin);
/* All goals in force, by index from 0; NULL at the end. */
const struct nova_goal *nova_config_goal_at(const struct nova_config *config, size_t index);

/*
 * All declared keys in order, for `config show`, documentation and completion. `value` and `origin`
 * ("/etc/novacore/novacore.conf:12", "profile hpc:3", "--set", "default") are NULL where there is
 * none; secrets' values are "***". Goals follow as "goal.<metric>" or "goal.<metric> (<plugin>)".
 */
struct nova_config_entry {
	const char *key;
	const struct nova_spec *spec;
	const char *value, *origin;
	enum nova_layer layer; /* of the value; 0 without one */
};
void nova_config_each(const struct nova_config *config,
                      void (*visit)(void *context, const struct nova_config_entry *entry),
                      void *context);

/*
 * The core's own keys as documentation shows them, with "vm.NAME.…" and "target.NAME.…" for what
 * each group below vm and target has. Without values.
 */
void nova_config_each_core(void (*visit)(void *context, const struct nova_config_entry *entry),
                           void *context);
/* "integer", "size", …; "list of …" for a list. */
void nova_spec_type(const struct nova_spec *spec, char out[32]);

/* `inherits` of a profile text, or NULL; owned by the caller. Syntax errors as usual. */
int nova_config_inherits(const char *origin, const char *text, char **base,
                         struct nova_error *error);

#endif
