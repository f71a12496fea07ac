/* SPDX-License-Identifier: MIT */
/*
 * Names as people write them. C++ is left to the compiler's own demangler, from libsupc++, which
 * may be linked into any program (binutils' libiberty may not); Rust's older names are the same
 * with a hash and escapes, which are taken away here, the newer ones are in demangle_rust.c.
 */
#include "core/profiler/record.h"

#include <ctype.h>
#include <setjmp.h>
#include <string.h>

#define LONGEST   4096u /* templates may be longer; nobody reads them */
#define MOST_TEXT 65536u

/*
 * What __cxa_demangle is made of, piece by piece. A few hundred bytes can stand for a text without
 * end (each substitution may repeat two others), and this is the way to stop it: all that it needs
 * is on its stack (gcc's libiberty/cp-demangle.c, d_demangle_callback), so it can be left by
 * longjmp.
 */
int __gcclibcxx_demangle_callback(const char *mangled,
                                  void (*take)(const char *piece, size_t length, void *context),
                                  void *context);

struct demangled {
	struct nova_text text;
	jmp_buf too_long;
};

static void take(const char *piece, size_t length, void *context)
{
	struct demangled *out = context;

	if (length > MOST_TEXT - out->text.length)
		longjmp(out->too_long, 1);
	nova_text_add_bytes(&out->text, piece, length);
}

/* A function of its own: what its caller has is as it should be after a jump. */
static bool add_demangled(struct demangled *out, const char *name)
{
	return setjmp(out->too_long) == 0 && __gcclibcxx_demangle_callback(name, take, out) == 0 &&
	       out->text.length;
}

/* The caller's; NULL if it is no name of C++. */
static char *of_cpp(const char *name)
{
	struct demangled out = {0};

	if (!add_demangled(&out, name))
		nova_text_free(&out.text);
	return out.text.data;
}

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

	if (name[0] != '_' || strlen(name) > LONGEST)
		return NULL;
	if (name[1] == 'R')
		return symbols_demangle_rust(name);
	readable = name[1] == 'Z' ? of_cpp(name) : NULL;
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

/* --- over and over ------------------------------------------------------------------------------
 * Addresses are many, functions are few.
 */

#define SLOTS 4096u

struct readable {
	struct {
		const char *name;
		char *made; /* NULL: it is as readable as it can be */
	} slots[SLOTS];
};

struct readable *readable_new(void)
{
	return nova_alloc(sizeof(struct readable));
}

const char *readable_of(struct readable *readable, const char *name)
{
	size_t at = (size_t)(((uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15)) >> 52) % SLOTS;

	if (readable->slots[at].name != name) {
		free(readable->slots[at].made);
		readable->slots[at].name = name;
		readable->slots[at].made = symbols_demangle(name);
	}
	return readable->slots[at].made ? readable->slots[at].made : name;
}

void readable_free(struct readable *readable)
{
	for (size_t i = 0; i < SLOTS; i++)
		free(readable->slots[i].made);
	free(readable);
}
