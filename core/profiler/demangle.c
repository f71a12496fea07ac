/* SPDX-License-Identifier: MIT */
/*
 * Names as people write them. C++ is left to the compiler's own __cxa_demangle, from libsupc++,
 * which may be linked into any program (binutils' libiberty may not); Rust's older names are the
 * same with a hash and escapes, which are taken away here.
 */
#include "core/profiler/record.h"

#include <ctype.h>
#include <string.h>

#define LONGEST 4096u /* templates may be longer; nobody reads them */

/* https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *length, int *status);

/* "::h" and 16 hexadecimal digits at the end: rustc's "legacy" scheme. */
static bool ends_with_hash(const char *name, size_t length)
{
	if (length < 20 || memcmp(name + length - 19, "::h", 3) != 0)
		return false;
	for (size_t i = length - 16; i < length; i++)
		if (!isxdigit((unsigned char)name[i]))
			return false;
	return true;
}

/* rustc_symbol_mangling::legacy: what no symbol may hold. */
static const struct {
	const char *escape, *text;
} escapes[] = {{"$SP$", "@"},  {"$BP$", "*"},   {"$RF$", "&"},  {"$LT$", "<"},  {"$GT$", ">"},
               {"$LP$", "("},  {"$RP$", ")"},   {"$C$", ","},   {"$u20$", " "}, {"$u27$", "'"},
               {"$u5b$", "["}, {"$u5d$", "]"},  {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u3b$", ";"},
               {"$u2b$", "+"}, {"$u22$", "\""}, {"..", "::"}};

static char *of_rust(const char *name, size_t length)
{
	struct nova_text out = {0};

	for (size_t i = 0; i < length;) {
		size_t step = 1;

		/* an underscore that only guards an escape */
		if (name[i] == '_' && name[i + 1] == '$' && (i == 0 || name[i - 1] == ':')) {
			i++;
			continue;
		}
		for (size_t k = 0; k < NOVA_COUNT(escapes); k++) {
			size_t bytes = strlen(escapes[k].escape);

			if (length - i >= bytes &&
			    memcmp(name + i, escapes[k].escape, bytes) == 0) {
				nova_text_add(&out, escapes[k].text);
				step = 0;
				i += bytes;
				break;
			}
		}
		nova_text_add_bytes(&out, name + i, step);
		i += step;
	}
	return out.data;
}

char *symbols_demangle(const char *name)
{
	char *readable;
	size_t length;
	int status = 0;

	if (strncmp(name, "_Z", 2) != 0 || strlen(name) > LONGEST)
		return NULL;
	readable = __cxa_demangle(name, NULL, NULL, &status);
	if (!readable)
		return NULL;
	length = strlen(readable);
	if (ends_with_hash(readable, length)) {
		char *rust = of_rust(readable, length - 19);

		free(readable);
		return rust;
	}
	return readable;
}
