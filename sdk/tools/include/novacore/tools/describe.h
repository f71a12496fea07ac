/* SPDX-License-Identifier: MIT */
/*
 * What a plugin's descriptor says, as libconfig settings: the part of a manifest that comes from
 * code. The generator writes it, and the host compares it with the manifest after loading. Needs
 * nothing but the SDK's headers and libconfig.
 */
#ifndef NOVACORE_DESCRIBE_H
#define NOVACORE_DESCRIBE_H

#include <libconfig.h>
#include <novacore/sdk.h>

#include <stddef.h>

#define NOVA_MANIFEST_FORMAT 1
/* libconfig compares each new name with all before it: this bounds what a bad manifest can cost. */
#define NOVA_MANIFEST_LIMIT (64u << 10)

/* What is wrong with a descriptor. */
enum nova_describe_result {
	NOVA_DESCRIBE_DONE,
	NOVA_DESCRIBE_SIZE,  /* a struct_size below the first minor's, or absurd */
	NOVA_DESCRIBE_NULL,  /* descriptor, ops, a required op or a required text is missing */
	NOVA_DESCRIBE_WRONG, /* a value that the SDK does not allow */
};

/*
 * Adds the settings for `plugin` to the group `root`. On failure `text` says what is wrong in a
 * sentence. It follows the plugin's pointers: a hostile plugin may make it crash, so call it only
 * in a process that may die. @thread one at a time.
 */
enum nova_describe_result nova_describe(const struct nova_plugin *plugin, config_setting_t *root,
                                        char *text, size_t room);

/* Words of the manifest; NULL or 0 for what is unknown. */
const char *nova_word_of(const char *const *words, uint32_t value);
uint32_t nova_word_value(const char *const *words, const char *word);
/* Indexed by value, [0] is "", NULL-terminated. */
extern const char *const nova_kind_words[];   /* benchmark, hypervisor, optimizer, profile */
extern const char *const nova_param_words[];  /* integer, number, size, … */
extern const char *const nova_unit_words[];   /* s, B, B/s, 1/s, 1 */
extern const char *const nova_better_words[]; /* lower, higher */
/* By thread model divided by 1000: serial, per-instance, parallel. */
extern const char *const nova_thread_words[];

#endif
