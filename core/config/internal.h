/* SPDX-License-Identifier: MIT */
/*
 * Inside core/config: what a text says (assignments, untyped, in the order they came) and what it
 * means (keys, typed). Texts become assignments at once; assignments become values in finish.
 */
#ifndef NOVACORE_CONFIG_INTERNAL_H
#define NOVACORE_CONFIG_INTERNAL_H

#include "core/config/config.h"

/* How a scalar was written. A word comes from --set or a default: its type is the key's. */
enum raw_kind { RAW_WORD = 1, RAW_TEXT, RAW_INTEGER, RAW_NUMBER, RAW_BOOLEAN };

struct raw {
	enum raw_kind kind;
	char *text;
};

/* One `key = value` of a text, or a group that the text mentions (no values). */
struct assignment {
	enum nova_layer layer;
	char *key;    /* full, with dots */
	char *origin; /* "/etc/novacore/novacore.conf:12", "--set" */
	bool group, list;
	bool exposed; /* from a place that others can read: no home for a secret */
	struct raw *items;
	size_t count;
};

struct scalar {
	char *text; /* canonical, in the configuration's notation */
	int64_t i64;
	double f64;
};

struct key {
	char *name;
	struct nova_spec spec;
	bool dynamic; /* of a group below target or vm: declared anew by each finish */
	bool set;
	enum nova_layer layer;
	bool exposed;
	char *origin, *shown;
	struct scalar *items;
	size_t count;
};

struct goal {
	struct nova_goal out;
	char *metric, *plugin, *shown, *origin;
	char *upto, *param; /* as written, and the name in it; or NULL */
	enum nova_layer layer;
	unsigned text; /* running number of the text it is from */
};

/* One entry of a list `goals` as it was written; NULL: not given. */
struct goal_entry {
	enum nova_layer layer;
	unsigned text;
	char *origin, *metric, *plugin, *upto, *pass, *acceptable;
};

struct names {
	char **items; /* NULL-terminated */
	size_t count;
};

struct nova_config {
	struct assignment *assignments;
	size_t assignment_count;
	struct goal_entry *goal_entries;
	size_t goal_entry_count;
	struct key *keys;
	size_t key_count;
	unsigned texts;        /* read so far */
	struct names prefixes; /* declared ones, "hypervisor.kvm" */
	struct names targets, shapes;
	struct goal *goals;
	size_t goal_count;
};

/* --- lists of names -------------------------------------------------------------------- */
void names_add(struct names *names, const char *name); /* once */
bool names_have(const struct names *names, const char *name);
void names_clear(struct names *names);

/* --- scan.c: what libconfig would misread, found before it reads ------------------------------ */
int scan_text(const char *origin, const char *text, struct nova_error *error);

/* --- text.c ----------------------------------------------------------------------------------- */
struct assignment *assignment_add(struct nova_config *config, enum nova_layer layer,
                                  const char *key, char *origin);
void assignment_item(struct assignment *assignment, enum raw_kind kind, const char *text);
void assignment_clear(struct assignment *assignment);
void goal_entry_clear(struct goal_entry *entry);
/* `exposed`: the text is from a file that others than its owner can read. */
int text_read(struct nova_config *config, enum nova_layer layer, const char *origin,
              const char *text, bool exposed, struct nova_error *error);

/* --- value.c ---------------------------------------------------------------------------------- */
/* Types and checks what was written for a key; `origin: key:` is put in front of errors. */
int value_read(const struct nova_spec *spec, const struct raw *raw, struct scalar *out,
               struct nova_error *error);
int key_assign(struct key *key, const struct assignment *assignment, struct nova_error *error);
int key_fallback(struct key *key, struct nova_error *error);
void key_unset(struct key *key);
void key_clear(struct key *key);
void spec_copy(struct nova_spec *to, const struct nova_spec *from);
/* The number that a --set or text word of a goal means, in the base unit; `unit` is NOVA_UNIT_*. */
int value_number(const char *text, double *value);

/* --- goal.c ----------------------------------------------------------------------------------- */
int goals_read(struct nova_config *config, struct nova_error *error);
void goals_clear(struct nova_config *config);

/* --- secret.c --------------------------------------------------------------------------------- */
/* Is `text` a reference (file:, env:, keyring:) rather than the secret itself? */
bool secret_is_reference(const char *text);
/* The secret that `text` is or refers to; owned by the caller. */
char *secret_resolve(const char *text, struct nova_error *error);

/* --- keys.c ----------------------------------------------------------------------------------- */
void keys_declare(struct nova_config *config);
/* Only the system's file may say it: it decides whose code runs. */
bool keys_system_only(const char *name);
/* The specs below each target.* and vm.*: NULL-name-terminated. */
extern const struct nova_spec keys_of_target[], keys_of_shape[];

/* --- config.c --------------------------------------------------------------------------------- */
struct key *config_find(const struct nova_config *config, const char *name);
void config_declare(struct nova_config *config, const char *prefix, const struct nova_spec *specs,
                    size_t count, bool dynamic, bool fallbacks);

#endif
