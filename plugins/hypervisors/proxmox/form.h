/* SPDX-License-Identifier: MIT */
/*
 * Texts that grow, and application/x-www-form-urlencoded bodies. Knows nothing of Proxmox. A text
 * that ran out of memory is `broken` and stays so: check once, at the end.
 */
#ifndef PROXMOX_FORM_H
#define PROXMOX_FORM_H

#include <stddef.h>
#include <stdint.h>

struct form {
	char *text; /* NUL-terminated, or NULL while nothing was added */
	size_t used, room;
	int broken;
};

void form_free(struct form *form);
void form_append(struct form *form, const char *text, size_t bytes);
void form_printf(struct form *form, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `bytes` of `text`, with everything but RFC 3986's unreserved characters as %XX. */
void form_escape(struct form *form, const char *text, size_t bytes);

/* Appends NAME=VALUE, after an & where needed. */
void form_add(struct form *form, const char *name, const char *value);
void form_add_bytes(struct form *form, const char *name, const void *value, size_t bytes);
void form_add_number(struct form *form, const char *name, int64_t value);

#endif
