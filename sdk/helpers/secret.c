/* SPDX-License-Identifier: MIT */
/*
 * Takes secrets out of texts. Instead of listing the ways to write a secret, the text is decoded
 * while it is compared: each byte may stand there in any of its writings.
 */
#include <novacore/helpers/secret.h>
#include <novacore/helpers/text.h>
#include <novacore/types.h>

#include <stdlib.h>
#include <string.h>

/* So much of a secret at the end of a text is one that was cut off. */
#define CUT_BYTES 6u
/* Shorter pieces of Base64 would be found by chance. */
#define BASE64_BYTES 6u

struct secret {
	struct secret *next;
	char *text;
	char *base64[3]; /* the digits that depend on it alone, by its distance from a multiple of 3
	                  */
};

struct nova_secrets {
	struct secret *first;
};

struct nova_secrets *nova_secrets_new(void)
{
	return calloc(1, sizeof(struct nova_secrets));
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void free_secret(struct secret *secret)
{
	wipe(secret->text);
	for (int i = 0; i < 3; i++)
		wipe(secret->base64[i]);
	free(secret);
}

void nova_secrets_free(struct nova_secrets *secrets)
{
	if (!secrets)
		return;
	while (secrets->first) {
		struct secret *secret = secrets->first;

		secrets->first = secret->next;
		free_secret(secret);
	}
	free(secrets);
}

/* The secret after `before` bytes of something else: the digits that those bytes, or what follows,
 * have a part in are left out. */
static char *base64_of(const char *secret, size_t before)
{
	struct nova_text plain = {0};
	struct nova_text coded = {0};
	size_t bytes = before + strlen(secret);
	size_t start = (before * 8 + 5) / 6;
	size_t end = bytes * 8 / 6;
	char *digits = NULL;

	nova_text_append(&plain, "\0\0", before);
	nova_text_add(&plain, secret);
	if (!plain.broken)
		nova_text_add_base64(&coded, plain.text, plain.used);
	if (!plain.broken && !coded.broken)
		digits = end > start ? strndup(coded.text + start, end - start) : strdup("");
	nova_text_wipe(&plain);
	nova_text_wipe(&coded);
	return digits;
}

int nova_secrets_add(struct nova_secrets *secrets, const char *text)
{
	struct secret *secret;

	if (!text || !text[0])
		return NOVA_DONE;
	for (secret = secrets->first; secret; secret = secret->next) {
		if (strcmp(secret->text, text) == 0)
			return NOVA_DONE;
	}
	secret = calloc(1, sizeof(*secret));
	if (!secret)
		return NOVA_E_MEMORY;
	secret->text = strdup(text);
	for (size_t i = 0; i < 3; i++)
		secret->base64[i] = base64_of(text, i);
	if (!secret->text || !secret->base64[0] || !secret->base64[1] || !secret->base64[2]) {
		free_secret(secret);
		return NOVA_E_MEMORY;
	}
	secret->next = secrets->first;
	secrets->first = secret;
	return NOVA_DONE;
}

/* Ways to write a byte; itself is always one. */
#define PERCENT 1u
#define JSON    2u
#define XML     4u

/* --- one byte and its writings ---------------------------------------------------------------- */

static int hex_value(const char *text, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* "\n", "\/", "\u002F" */
static size_t json_escape(const char *text, unsigned char byte)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meaning[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (text[0] != '\\' || !text[1])
		return 0;
	if (text[1] == 'u')
		return hex_value(text + 2, 4) == byte ? 6 : 0;
	letter = strchr(letters, text[1]);
	return letter && meaning[letter - letters] == (char)byte ? 2 : 0;
}

/* "&amp;", "&#38;", "&#x26;" */
static size_t xml_escape(const char *text, unsigned char byte)
{
	static const struct {
		const char *name;
		unsigned char byte;
	} named[] = {
	        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	char *end;
	int hex;

	if (text[0] != '&')
		return 0;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (named[i].byte == byte &&
		    strncmp(text, named[i].name, strlen(named[i].name)) == 0)
			return strlen(named[i].name);
	}
	if (text[1] != '#')
		return 0;
	hex = (text[2] | 0x20) == 'x';
	if (hex_value(text + 2 + hex, 1) < 0)
		return 0; /* strtoul would take blanks and signs */
	return strtoul(text + 2 + hex, &end, hex ? 16 : 10) == byte && *end == ';'
	               ? (size_t)(end + 1 - text)
	               : 0;
}

/* How many bytes of the text stand for that byte; 0: it is another one. */
static size_t one_byte(const char *text, unsigned char byte, unsigned int ways)
{
	size_t bytes = 0;

	if ((ways & PERCENT) && text[0] == '%' && hex_value(text + 1, 2) == byte)
		return 3;
	if ((ways & PERCENT) && text[0] == '+' && byte == ' ')
		return 1;
	if (ways & JSON)
		bytes = json_escape(text, byte);
	if (!bytes && (ways & XML))
		bytes = xml_escape(text, byte);
	return bytes ? bytes : (unsigned char)text[0] == byte;
}

/* --- a secret at this place ------------------------------------------------------------------- */

/* How many bytes of the text it takes; 0: it is not there. */
static size_t written_at(const char *text, const char *secret, unsigned int ways)
{
	size_t at = 0;
	size_t i;

	for (i = 0; secret[i] && text[at]; i++) {
		size_t bytes = one_byte(text + at, (unsigned char)secret[i], ways);

		if (!bytes && i >= CUT_BYTES && text[at] == '%' && strlen(text + at) < 3)
			return at + strlen(text + at); /* its escape was cut off, too */
		if (!bytes)
			return 0;
		at += bytes;
	}
	return !secret[i] || i >= CUT_BYTES ? at : 0;
}

/* All ways at once are for who escapes twice. Each alone is not in vain: to a secret with "&#38;"
 * in it, that is five bytes in JSON and one in XML. */
static size_t plain_at(const char *text, const char *secret)
{
	static const unsigned int ways[] = {0, PERCENT, JSON, XML, PERCENT | JSON | XML};
	size_t longest = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t bytes = written_at(text, secret, ways[i]);

		if (bytes > longest)
			longest = bytes;
	}
	return longest;
}

static size_t base64_at(const char *text, const char *digits)
{
	size_t i;

	for (i = 0; digits[i] && text[i]; i++) {
		char c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];

		if (c != digits[i])
			return 0;
	}
	/* cut off: more digits than bytes, so that chance finds nothing here either */
	return (!digits[i] && i >= BASE64_BYTES) || i >= CUT_BYTES + 4 ? i : 0;
}

static size_t any_at(const struct nova_secrets *secrets, const char *text)
{
	size_t longest = 0;

	for (const struct secret *secret = secrets->first; secret; secret = secret->next) {
		size_t bytes = plain_at(text, secret->text);

		for (int i = 0; i < 3 && !bytes; i++)
			bytes = base64_at(text, secret->base64[i]);
		if (bytes > longest)
			longest = bytes;
	}
	return longest;
}

void nova_secrets_hide(const struct nova_secrets *secrets, char *text)
{
	char *to = text;

	if (!secrets || !secrets->first || !text)
		return;
	while (*text) {
		size_t bytes = any_at(secrets, text);

		if (!bytes) {
			*to++ = *text++;
			continue;
		}
		text += bytes;
		for (size_t i = 0; i < bytes && i < 4; i++)
			*to++ = '*';
	}
	*to = '\0';
}
