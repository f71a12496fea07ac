/* SPDX-License-Identifier: MIT */
/*
 * JSON that comes from elsewhere, over jansson: strict parsing with a sentence when it fails, and
 * accessors that take anything (NULL, another type, a wrong path) and never fail but answer with a
 * fallback, or with a sentence about the first thing that is not as it must be.
 *
 * A path is "data[3].vmid": keys with dots between them, and indices; a key with other characters
 * than letters, digits, '-' and '_' is quoted: metadata.labels["kubevirt.io/vm"]. "" is the value
 * itself. For making JSON use jansson's json_pack, and nova_json_write.
 *
 * Part of the helpers: linked into the plugin, not ABI. @thread any; one value, one thread.
 */
#ifndef NOVACORE_HELPERS_JSON_H
#define NOVACORE_HELPERS_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <novacore/helpers/text.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Deeper nesting than this is refused. */
#define NOVA_JSON_DEPTH 64

/*
 * Strict: one value and nothing behind it, UTF-8, no key twice in an object, no NUL in a text. The
 * caller owns what is returned. NULL: `why` (of `room` bytes; may be NULL with 0) has a clause such
 * as "no JSON: '}' expected at line 3, column 7"; it has no words of the text in it.
 */
json_t *nova_json_parse(const char *text, size_t bytes, char *why, size_t room);

/* Appends it in one line. */
void nova_json_write(struct nova_text *text, const json_t *value);

/* --- with a fallback -------------------------------------------------------------------------- */

/* What is there, borrowed; NULL: nothing. */
json_t *nova_json_at(const json_t *value, const char *path);
/* A text; borrowed. `fallback` may be NULL. */
const char *nova_json_text(const json_t *value, const char *path, const char *fallback);
/* An integer; also a whole real, true (1) and false (0), and a text that is an integer, as peers
 * send them. What is no integer, or beyond int64_t, is the fallback. */
int64_t nova_json_number(const json_t *value, const char *path, int64_t fallback);
/* A number; also a text that is one, also "NaN", "Infinity" and "-Infinity". */
double nova_json_real(const json_t *value, const char *path, double fallback);
/* true, 1, "1", "true": 1; false, 0, "0", "false": 0; else the fallback. */
int nova_json_flag(const json_t *value, const char *path, int fallback);
/* How many items or keys; 0 if it is neither an array nor an object. */
size_t nova_json_count(const json_t *value, const char *path);

/* --- with a sentence -------------------------------------------------------------------------- */

/*
 * Reads what must be there. The first failure is kept, later ones are not looked at: read all that
 * is needed, then look at `error` once.
 *
 *	struct nova_json_reader reader = {.value = answer};
 *	const char *name = nova_json_need_text(&reader, "data[%zu].name", i);
 *	int64_t vmid = nova_json_need_number(&reader, "data[%zu].vmid", i);
 *
 *	if (reader.error[0])
 *		... "data[3].vmid is missing", "data[3].vmid is a text, not a number" ...
 */
struct nova_json_reader {
	const json_t *value; /* borrowed */
	char error[200];     /* "" while nothing is wrong */
};

/* Each returns something harmless ("" or 0 or NULL) after a failure. */
const char *nova_json_need_text(struct nova_json_reader *reader, const char *path, ...)
        __attribute__((format(printf, 2, 3)));
int64_t nova_json_need_number(struct nova_json_reader *reader, const char *path, ...)
        __attribute__((format(printf, 2, 3)));
json_t *nova_json_need_array(struct nova_json_reader *reader, const char *path, ...)
        __attribute__((format(printf, 2, 3)));
json_t *nova_json_need_object(struct nova_json_reader *reader, const char *path, ...)
        __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
