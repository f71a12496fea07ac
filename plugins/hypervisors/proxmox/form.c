/* SPDX-License-Identifier: MIT */
/* Texts that grow, and form-encoded bodies. */
#include "form.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void form_free(struct form *form)
{
	free(form->text);
	*form = (struct form){0};
}

static int reserve(struct form *form, size_t bytes)
{
	size_t need = form->used + bytes + 1;
	size_t room = form->room ? form->room : 128;
	char *text;

	if (form->broken)
		return 0;
	if (need <= form->room)
		return 1;
	while (room < need)
		room *= 2;
	text = realloc(form->text, room);
	if (!text) {
		form->broken = 1;
		return 0;
	}
	form->text = text;
	form->room = room;
	return 1;
}

void form_append(struct form *form, const char *text, size_t bytes)
{
	if (!reserve(form, bytes))
		return;
	memcpy(form->text + form->used, text, bytes);
	form->used += bytes;
	form->text[form->used] = '\0';
}

void form_printf(struct form *form, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int bytes;

	va_start(arguments, format);
	bytes = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (bytes < 0) {
		form->broken = 1;
		return;
	}
	form_append(form, text, (size_t)bytes);
	free(text);
}

static int unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void form_escape(struct form *form, const char *text, size_t bytes)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];
		char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (unreserved(c))
			form_append(form, text + i, 1);
		else
			form_append(form, escaped, 3);
	}
}

void form_add_bytes(struct form *form, const char *name, const void *value, size_t bytes)
{
	if (form->used)
		form_append(form, "&", 1);
	form_escape(form, name, strlen(name));
	form_append(form, "=", 1);
	form_escape(form, value, bytes);
}

void form_add(struct form *form, const char *name, const char *value)
{
	form_add_bytes(form, name, value, strlen(value));
}

void form_add_number(struct form *form, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	form_add(form, name, text);
}
