/* SPDX-License-Identifier: MIT */
/*
 * Reads a text once before libconfig does, for what libconfig 1.5 takes without a word and gets
 * wrong (integers beyond 31 bits, "\x00", an open comment), and for what it refuses with nothing
 * but "syntax error" although the mistake is a common one.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

#define DEPTH_MAX 16 /* our deepest key has 4 levels; libconfig's parser recurses to free */

struct scan {
	const char *origin, *at;
	unsigned line, depth;
	struct nova_error *error;
};

static int fail(const struct scan *scan, unsigned line, const char *format, ...) NOVA_PRINTF(3, 4);

static int fail(const struct scan *scan, unsigned line, const char *format, ...)
{
	char *text = NULL;
	va_list list;
	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		abort();
	va_end(list);
	nova_error_set(scan->error, NOVA_E_INVALID, "%s:%u: %s", scan->origin, line, text);
	free(text);
	return NOVA_E_INVALID;
}

/* Past the bytes of one UTF-8 character, or NULL (RFC 3629: no overlong form, no surrogate). */
static const char *skip_character(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t more = at[0] < 0x80 ? 0 : at[0] < 0xc2 ? 9 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;

	if (more == 9 || at[0] > 0xf4)
		return NULL;
	for (size_t i = 1; i <= more; i++)
		if ((at[i] & 0xc0) != 0x80)
			return NULL;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return NULL;
	return text + more + 1;
}

static int check_bytes(const struct scan *scan)
{
	unsigned line = 1;
	for (const char *at = scan->at; *at;) {
		line += *at == '\n';
		unsigned char byte = (unsigned char)*at;
		if ((byte < 0x20 && !strchr("\t\n\r\f", byte)) || byte == 0x7f)
			return fail(scan, line, "control character 0x%02x; remove it", byte);
		at = skip_character(at);
		if (!at)
			return fail(scan, line, "not UTF-8; save the file in that encoding");
	}
	return 0;
}

static int scan_block_comment(struct scan *scan)
{
	const char *end = strstr(scan->at + 2, "*/");
	if (!end)
		return fail(scan, scan->line, "the comment that starts here never ends; add */");
	for (; scan->at < end; scan->at++)
		scan->line += *scan->at == '\n';
	scan->at = end + 2;
	return 0;
}

static int scan_string(struct scan *scan)
{
	unsigned start = scan->line;
	for (scan->at++; *scan->at != '"'; scan->at++) {
		if (scan->at[0] == '\\' && (scan->at[1] == 'x' || scan->at[1] == 'X') &&
		    scan->at[2] == '0' && scan->at[3] == '0')
			return fail(scan, scan->line, "\\x00 cannot be part of a text");
		if (*scan->at == '\\' && scan->at[1])
			scan->at++;
		if (*scan->at == '\0')
			return fail(scan, start, "the text that starts here never ends; add \"");
		scan->line += *scan->at == '\n';
	}
	scan->at++;
	return 0;
}

/* The forms that libconfig reads as a number. */
static bool is_float(const char *token)
{
	bool sign = *token == '-' || *token == '+', digits = false, dot = false;
	for (token += sign; isdigit((unsigned char)*token); token++)
		digits = true;
	if (*token == '.')
		for (dot = true, token++; isdigit((unsigned char)*token); token++)
			digits = true;
	if (*token == 'e' || *token == 'E') {
		token++;
		token += *token == '-' || *token == '+';
		if (!isdigit((unsigned char)*token) || !(dot || sign))
			return false;
		token += strspn(token, "0123456789");
	}
	return digits && *token == '\0';
}

/* Decimal or hexadecimal, with L for 64 bits; *fits tells whether libconfig keeps the value. */
static bool is_integer(const char *token, bool *fits)
{
	bool hexadecimal = token[0] == '0' && (token[1] == 'x' || token[1] == 'X');
	char *end;

	if (hexadecimal && !isxdigit((unsigned char)token[2]))
		return false;
	errno = 0;
	long long value = strtoll(token, &end, hexadecimal ? 16 : 10);
	if (end == token)
		return false;
	*fits = errno == 0;
	if (strcmp(end, "L") == 0 || strcmp(end, "LL") == 0)
		return true;
	*fits = *fits && value >= INT32_MIN && value <= INT32_MAX;
	return *end == '\0';
}

static int scan_number(struct scan *scan)
{
	size_t length = 0;
	for (const char *at = scan->at; isalnum((unsigned char)*at) || strchr("+-._%/", *at);
	     at++) {
		if (*at == '\0' || (*at == '/' && (at[1] == '/' || at[1] == '*')))
			break;
		length++;
	}
	NOVA_AUTOFREE char *token = nova_format("%.*s", (int)length, scan->at);
	bool fits = true;
	if (is_integer(token, &fits) && !fits)
		return fail(scan, scan->line,
		            "%s is too large for a bare number (%d to %d); write a size, duration "
		            "or rate as a text with its unit, such as \"16GiB\" or \"30s\", and a "
		            "large plain number in quotes, \"%.*s\"",
		            token, INT32_MIN, INT32_MAX, (int)strcspn(token, "L"), token);
	if (!is_integer(token, &fits) && !is_float(token))
		return fail(scan, scan->line,
		            "%.60s is not a number; write it in quotes: \"%.60s\"", token, token);
	scan->at += length;
	return 0;
}

static bool is_word(char byte)
{
	return isalnum((unsigned char)byte) || byte == '_' || byte == '-' || byte == '*';
}

static int scan_name(struct scan *scan)
{
	const char *start = scan->at;
	while (is_word(*scan->at))
		scan->at++;
	int length = (int)(scan->at - start);
	if (scan->at[0] == '.' && is_word(scan->at[1])) {
		int all = (int)strspn(start, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		                             "0123456789_-.");
		return fail(scan, scan->line,
		            "keys have no dots in a file: write %.*s = { %s … }; instead of %.*s",
		            length, start, "name = value;", all, start);
	}
	const char *next = scan->at + strspn(scan->at, " \t");
	if (*next == '"' && length < 60)
		return fail(scan, scan->line,
		            "a \"=\" is missing after %.*s (a name of a group is written without "
		            "quotes: target = { lab = { plugin = \"kvm\"; }; };)",
		            length, start);
	return 0;
}

/* One token or comment. */
static int step(struct scan *scan)
{
	char byte = *scan->at, next = byte ? scan->at[1] : '\0';

	if (byte == '#' || (byte == '/' && next == '/')) {
		scan->at += strcspn(scan->at, "\n");
		return 0;
	}
	if (byte == '/' && next == '*')
		return scan_block_comment(scan);
	if (byte == '"')
		return scan_string(scan);
	if (byte == '@')
		return fail(scan, scan->line,
		            "@include is not supported, so that every value has one file and line; "
		            "put the settings here, or use --config");
	if (isdigit((unsigned char)byte) || byte == '.' || byte == '-' || byte == '+')
		return scan_number(scan);
	if (isalpha((unsigned char)byte) || byte == '*')
		return scan_name(scan);
	if (byte == '{' || byte == '[' || byte == '(') {
		if (++scan->depth > DEPTH_MAX)
			return fail(scan, scan->line, "nested deeper than %d levels", DEPTH_MAX);
	} else if ((byte == '}' || byte == ']' || byte == ')') && scan->depth > 0) {
		scan->depth--;
	}
	scan->line += byte == '\n';
	scan->at++;
	return 0;
}

int scan_text(const char *origin, const char *text, struct nova_error *error)
{
	struct scan scan = {.origin = origin, .at = text, .line = 1, .error = error};

	int code = check_bytes(&scan);
	while (code == 0 && *scan.at)
		code = step(&scan);
	return code;
}
