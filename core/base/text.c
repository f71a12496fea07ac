/* SPDX-License-Identifier: MIT */
/*
 * Memory that never fails to come (out of memory ends the process), growable text, and the few
 * questions about words that several rooms ask.
 */
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "core/base/base.h"
#include "core/base/internal.h"

#define NAME_BYTES_MAX 64

void nova_cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void nova_cleanup_close(int *fd)
{
	if (*fd >= 0)
		base_close_quietly(*fd);
}

void nova_cleanup_json(json_t **json)
{
	json_decref(*json);
}

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "novacore: error: out of memory\n";
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

void *nova_alloc(size_t bytes)
{
	void *pointer = calloc(1, bytes ? bytes : 1);
	if (!pointer)
		out_of_memory();
	return pointer;
}

void *nova_realloc(void *pointer, size_t bytes)
{
	void *grown = realloc(pointer, bytes ? bytes : 1);
	if (!grown)
		out_of_memory();
	return grown;
}

void *nova_grow(void *array, size_t count, size_t element_bytes)
{
	if (count & (count - 1))
		return array;
	size_t room = count ? 2 * count : 1, bytes;
	if (room < count || __builtin_mul_overflow(room, element_bytes, &bytes))
		out_of_memory();
	array = nova_realloc(array, bytes);
	memset((char *)array + count * element_bytes, 0, (room - count) * element_bytes);
	return array;
}

char *nova_strdup(const char *text)
{
	if (!text)
		return NULL;
	char *copy = strdup(text);
	if (!copy)
		out_of_memory();
	return copy;
}

char *nova_format(const char *format, ...)
{
	char *text = NULL;
	va_list list;
	va_start(list, format);
	int length = vasprintf(&text, format, list);
	va_end(list);
	if (length < 0)
		out_of_memory();
	return text;
}

void nova_text_add_bytes(struct nova_text *text, const void *bytes, size_t count)
{
	size_t needed;
	if (__builtin_add_overflow(text->length, count, &needed) || needed > SIZE_MAX / 2 - 1)
		out_of_memory();
	needed++;
	if (needed > text->room) {
		size_t room = text->room ? text->room : 32;
		while (room < needed)
			room *= 2;
		text->data = nova_realloc(text->data, room);
		text->room = room;
	}
	if (count)
		memcpy(text->data + text->length, bytes, count);
	text->length += count;
	text->data[text->length] = '\0';
}

void nova_text_add(struct nova_text *text, const char *piece)
{
	nova_text_add_bytes(text, piece, strlen(piece));
}

void nova_text_addf(struct nova_text *text, const char *format, ...)
{
	char *piece = NULL;
	va_list list;
	va_start(list, format);
	int length = vasprintf(&piece, format, list);
	va_end(list);
	if (length < 0)
		out_of_memory();
	nova_text_add_bytes(text, piece, (size_t)length);
	free(piece);
}

void nova_text_free(struct nova_text *text)
{
	free(text->data);
	*text = (struct nova_text){0};
}

const char *nova_text_get(const struct nova_text *text)
{
	return text->data ? text->data : "";
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, and swap of neighbours cost 1 each. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t width = strlen(b) + 1, height = strlen(a) + 1;
	NOVA_AUTOFREE size_t *rows = nova_alloc(3 * width * sizeof(*rows));
	size_t *older = rows, *old = rows + width, *now = rows + 2 * width;

	for (size_t j = 0; j < width; j++)
		old[j] = j;
	for (size_t i = 1; i < height; i++) {
		now[0] = i;
		for (size_t j = 1; j < width; j++) {
			size_t cost = a[i - 1] != b[j - 1];
			now[j] = smaller(old[j - 1] + cost, smaller(old[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = smaller(now[j], older[j - 2] + 1);
		}
		size_t *spare = older;
		older = old;
		old = now;
		now = spare;
	}
	return old[width - 1];
}

const char *nova_nearest(const char *word, const char *const *candidates)
{
	size_t length = strlen(word), limit = smaller(1 + length / 4, 5), best = limit + 1;
	const char *nearest = NULL;

	for (; candidates && *candidates; candidates++) {
		size_t other = strlen(*candidates);
		if ((other > length ? other - length : length - other) >= best)
			continue;
		size_t distance = edit_distance(word, *candidates);
		/* a distance of the whole word says only that both are short */
		if (distance < best && (distance < length || distance == 0)) {
			best = distance;
			nearest = *candidates;
		}
	}
	return nearest;
}

char *nova_uri_host(const char *uri)
{
	const char *authority = uri ? strstr(uri, "://") : NULL, *at;
	size_t length = authority ? strcspn(authority + 3, "/?#") : 0;

	if (!length)
		return NULL;
	at = memrchr(authority + 3, '@', length);
	at = at ? at + 1 : authority + 3;
	length -= (size_t)(at - (authority + 3));
	return length ? nova_format("%.*s", (int)length, at) : NULL;
}

bool nova_name_valid(const char *word)
{
	if (!word || word[0] == '-' || word[0] == '\0' || strlen(word) > NAME_BYTES_MAX)
		return false;
	return word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/*
 * Reads one character of RFC 3629 UTF-8: its length in bytes, or 0 where there is none (overlong,
 * surrogate, beyond U+10FFFF, cut off).
 */
static size_t utf8_read(const char *text, uint32_t *character)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length = at[0] < 0x80   ? 1
	                : at[0] < 0xc2 ? 0
	                : at[0] < 0xe0 ? 2
	                : at[0] < 0xf0 ? 3
	                               : 4;
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};

	if (length == 0 || at[0] > 0xf4)
		return 0;
	uint32_t value = length == 1 ? at[0] : at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (at[i] & 0x3fu);
	}
	if (value < lowest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return length;
}

void nova_utf8_repair(char *text)
{
	uint32_t character;
	while (text && *text) {
		size_t length = utf8_read(text, &character);
		if (length == 0)
			*text = '?';
		text += length ? length : 1;
	}
}

/* Bidirectional overrides (U+202A…, U+2066…): a text that reads otherwise than it is. */
static bool is_for_terminals(uint32_t character)
{
	return (character < 0x20 && character != '\n' && character != '\t') ||
	       (character >= 0x7f && character <= 0x9f) ||
	       (character >= 0x202a && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

/* The first character that is not to be sent, its bytes in *length; NULL if there is none. */
static const char *find_dirt(const char *text, size_t *length)
{
	uint32_t character;

	while (text && *text) {
		*length = utf8_read(text, &character);
		if (!*length || is_for_terminals(character)) {
			*length = *length ? *length : 1;
			return text;
		}
		text += *length;
	}
	return NULL;
}

void nova_text_clean(char *text)
{
	size_t length;
	char *dirt = text;

	while ((dirt = (char *)(uintptr_t)find_dirt(dirt, &length))) {
		memset(dirt, '?', length);
		dirt += length;
	}
}

bool nova_text_is_dirty(const char *text)
{
	size_t length;

	return find_dirt(text, &length) != NULL;
}

static locale_t utf8_locale;

static void make_utf8_locale(void)
{
	utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* Past a terminal's control sequence (ESC [ … letter), which takes no columns. */
static const char *skip_sequence(const char *text)
{
	if (text[0] != '\033' || text[1] != '[')
		return text;
	text += 2;
	text += strspn(text, "0123456789;?");
	return *text ? text + 1 : text;
}

size_t nova_columns(const char *text)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t columns = 0;

	pthread_once(&once, make_utf8_locale);
	locale_t before = utf8_locale ? uselocale(utf8_locale) : (locale_t)0;
	while (*text) {
		const char *next = skip_sequence(text);
		if (next != text) {
			text = next;
			continue;
		}
		uint32_t character;
		size_t length = utf8_read(text, &character);
		int width = length ? wcwidth((wchar_t)character) : 1;
		columns += width > 0 ? (size_t)width : 0;
		text += length ? length : 1;
	}
	if (before)
		uselocale(before);
	return columns;
}
