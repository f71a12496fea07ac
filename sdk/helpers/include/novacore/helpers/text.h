/* SPDX-License-Identifier: MIT */
/*
 * Texts that grow, and the escapes that requests are made of: URLs, forms, XML, Base64. A text that
 * ran out of memory is `broken` and stays so, whatever is added: check once, at the end.
 *
 *	struct nova_text body = {0};
 *
 *	nova_form_add(&body, "name", name);
 *	nova_form_add_number(&body, "cores", 2);
 *	if (!body.broken)
 *		use(body.text);
 *	nova_text_free(&body);
 *
 * Part of the helpers: linked into the plugin, not ABI. @thread any; one text, one thread.
 */
#ifndef NOVACORE_HELPERS_TEXT_H
#define NOVACORE_HELPERS_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed, it is empty. */
struct nova_text {
	char *text; /* NUL-terminated, or NULL while nothing was added */
	size_t used, room;
	int broken;
};

/* Empties it, and gives its memory back. */
void nova_text_free(struct nova_text *text);
/* The same, and nothing of what was in it stays in memory. */
void nova_text_wipe(struct nova_text *text);
/* Never NULL. */
const char *nova_text_get(const struct nova_text *text);

void nova_text_add(struct nova_text *text, const char *more);
/* `more` may hold NULs, and may be NULL if there are 0 bytes. */
void nova_text_append(struct nova_text *text, const void *more, size_t bytes);
void nova_text_printf(struct nova_text *text, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void nova_text_vprintf(struct nova_text *text, const char *format, va_list arguments)
        __attribute__((format(printf, 2, 0)));

/* Everything but RFC 3986's unreserved characters as %XX: for one segment or one value of a URL. */
void nova_text_escape_url(struct nova_text *text, const char *more, size_t bytes);
/* For text and for attributes in either quotes; what XML 1.0 cannot hold becomes '?'. */
void nova_text_escape_xml(struct nova_text *text, const char *more);
/* RFC 4648 section 4, with padding. */
void nova_text_add_base64(struct nova_text *text, const void *more, size_t bytes);
/*
 * A peer's words as they may stand in a sentence: control characters as blanks, white space at the
 * ends left out, at most `longest` bytes, then "...". A character of UTF-8 is never cut in two.
 * Take secrets out first (nova_secrets_hide): a secret cut in two is not recognised.
 */
void nova_text_add_printable(struct nova_text *text, const char *more, size_t longest);

/* Each `old` becomes `with`; "" is nowhere. */
void nova_text_replace(struct nova_text *text, const char *old, const char *with);

/* application/x-www-form-urlencoded: NAME=VALUE, after an & unless it is the first. */
void nova_form_add(struct nova_text *form, const char *name, const char *value);
void nova_form_add_bytes(struct nova_text *form, const char *name, const void *value, size_t bytes);
void nova_form_add_number(struct nova_text *form, const char *name, int64_t value);

#ifdef __cplusplus
}
#endif

#endif
