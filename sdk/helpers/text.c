/* SPDX-License-Identifier: MIT */
/* Texts that grow, and the escapes that requests are made of. */
#include <novacore/helpers/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nova_text_free(struct nova_text *text)
{
	free(text->text);
	*text = (struct nova_text){0};
}

void nova_text_wipe(struct nova_text *text)
{
	if (text->text)
		explicit_bzero(text->text, text->room);
	nova_text_free(text);
}

const char *nova_text_get(const struct nova_text *text)
{
	return text->text ? text->text : "";
}

/* Not by realloc: what it leaves behind may hold a credential. */
static int reserve(struct nova_text *text, size_t bytes)
{
	size_t room = text->room ? text->room : 128;
	char *larger;

	if (text->broken || bytes > SIZE_MAX / 4 - text->used) {
		text->broken = 1;
		return 0;
	}
	if (text->used + bytes + 1 <= text->room)
		return 1;
	while (room < text->used + bytes + 1)
		room *= 2;
	larger = malloc(room);
	if (!larger) {
		text->broken = 1;
		return 0;
	}
	if (text->text) {
		memcpy(larger, text->text, text->used);
		explicit_bzero(text->text, text->used);
		free(text->text);
	}
	text->text = larger;
	text->room = room;
	return 1;
}

void nova_text_append(struct nova_text *text, const void *more, size_t bytes)
{
	if (!reserve(text, bytes))
		return;
	if (bytes)
		memcpy(text->text + text->used, more, bytes);
	text->used += bytes;
	text->text[text->used] = '\0';
}

void nova_text_add(struct nova_text *text, const char *more)
{
	nova_text_append(text, more, strlen(more));
}

void nova_text_vprintf(struct nova_text *text, const char *format, va_list arguments)
{
	va_list again;
	int bytes;

	va_copy(again, arguments);
	bytes = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (bytes < 0)
		text->broken = 1;
	else if (reserve(text, (size_t)bytes))
		text->used += (size_t)vsnprintf(text->text + text->used, (size_t)bytes + 1, format,
		                                arguments);
}

void nova_text_printf(struct nova_text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	nova_text_vprintf(text, format, arguments);
	va_end(arguments);
}

/* --- escapes ---------------------------------------------------------------------------------- */

static int unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void nova_text_escape_url(struct nova_text *text, const char *more, size_t bytes)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)more[i];
		char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (unreserved(c))
			nova_text_append(text, more + i, 1);
		else
			nova_text_append(text, escaped, 3);
	}
}

/* How long the character there is if it is one of UTF-8 that XML 1.0 can hold, else 0. */
static size_t xml_character(const unsigned char *at)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *at < 0x80 ? 1 : *at < 0xc0 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
	uint32_t code = length > 1 ? *at & (0x7fu >> length) : *at;

	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (length == 1)
		return code >= ' ' || code == '\t' || code == '\n' || code == '\r';
	if (!length || *at >= 0xf8 || code < least[length] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff) || code == 0xfffe || code == 0xffff)
		return 0;
	return length;
}

void nova_text_escape_xml(struct nova_text *text, const char *more)
{
	while (*more) {
		size_t length = xml_character((const unsigned char *)more);

		switch (*more) {
		case '&': nova_text_add(text, "&amp;"); break;
		case '<': nova_text_add(text, "&lt;"); break;
		case '>': nova_text_add(text, "&gt;"); break;
		case '"': nova_text_add(text, "&quot;"); break;
		case '\'': nova_text_add(text, "&#39;"); break;
		case '\r': nova_text_add(text, "&#13;"); break; /* a reader would make it \n */
		default: nova_text_append(text, length ? more : "?", length ? length : 1);
		}
		more += length ? length : 1;
	}
}

void nova_text_add_base64(struct nova_text *text, const void *more, size_t bytes)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = more;

	for (; bytes; at += 3) {
		uint32_t three = (uint32_t)at[0] << 16 | (bytes > 1 ? (uint32_t)at[1] << 8 : 0) |
		                 (bytes > 2 ? at[2] : 0);
		char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
		                bytes > 1 ? digits[three >> 6 & 63] : '=',
		                bytes > 2 ? digits[three & 63] : '='};

		nova_text_append(text, four, 4);
		bytes -= bytes > 3 ? 3 : bytes;
	}
}

static int is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

void nova_text_add_printable(struct nova_text *text, const char *more, size_t longest)
{
	size_t bytes = strlen(more);
	int cut;

	while (bytes && is_blank(*more)) {
		more++;
		bytes--;
	}
	while (bytes && is_blank(more[bytes - 1]))
		bytes--;
	cut = bytes > longest;
	if (cut) {
		bytes = longest;
		/* not in the middle of a character: its further bytes are 10xxxxxx */
		while (bytes && ((unsigned char)more[bytes] & 0xc0) == 0x80)
			bytes--;
	}
	for (size_t i = 0; i < bytes; i++)
		nova_text_append(text, is_blank(more[i]) ? " " : more + i, 1);
	if (cut)
		nova_text_add(text, "...");
}

void nova_text_replace(struct nova_text *text, const char *old, const char *with)
{
	struct nova_text made = {0};
	const char *from = nova_text_get(text);
	const char *end = from + text->used;
	const char *at;

	while (*old && (at = memmem(from, (size_t)(end - from), old, strlen(old)))) {
		nova_text_append(&made, from, (size_t)(at - from));
		nova_text_add(&made, with);
		from = at + strlen(old);
	}
	nova_text_append(&made, from, (size_t)(end - from));
	made.broken = made.broken || text->broken;
	nova_text_wipe(text);
	*text = made;
}

/* --- forms ------------------------------------------------------------------------------------ */

void nova_form_add_bytes(struct nova_text *form, const char *name, const void *value, size_t bytes)
{
	if (form->used)
		nova_text_append(form, "&", 1);
	nova_text_escape_url(form, name, strlen(name));
	nova_text_append(form, "=", 1);
	nova_text_escape_url(form, value, bytes);
}

void nova_form_add(struct nova_text *form, const char *name, const char *value)
{
	nova_form_add_bytes(form, name, value, strlen(value));
}

void nova_form_add_number(struct nova_text *form, const char *name, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)value);
	nova_form_add(form, name, digits);
}
