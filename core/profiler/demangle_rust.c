/* SPDX-License-Identifier: MIT */
/*
 * Rust's newer names, "v0" (RFC 2603; https://doc.rust-lang.org/rustc/symbol-mangling/v0.html has
 * what came later). The functions here are named as the grammar is. As Rust's own tools show them
 * in short: without the hashes of crates and the types of constants. A back-reference repeats what
 * stood before, so few bytes can stand for a text without end: depth, work and the text are
 * limited, and what goes beyond has no readable name.
 */
#include "core/profiler/record.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define MOST_DEPTH     256u
#define MOST_STEPS     100000u
#define MOST_TEXT      65536u
#define MOST_LETTERS   256u /* of an identifier in punycode */
#define MOST_LIFETIMES 256u /* bound by one `for<…>` */

struct name {
	const char *text; /* behind "_R": back-references count from here */
	size_t length, at;
	struct nova_text out;
	uint32_t depth, steps;
	uint64_t lifetimes; /* that are bound around this place */
	bool silent;        /* what is read is not shown */
	bool bad;
};

static void path(struct name *name, bool in_value);
static void type(struct name *name);
static void constant(struct name *name, bool in_value);

/* --- letters ------------------------------------------------------------------------------------
 */

static char peek(const struct name *name)
{
	return !name->bad && name->at < name->length ? name->text[name->at] : 0;
}

static bool eat(struct name *name, char letter)
{
	if (!letter || peek(name) != letter)
		return false;
	name->at++;
	return true;
}

static char next(struct name *name)
{
	char letter = peek(name);

	if (!letter)
		name->bad = true;
	else
		name->at++;
	return letter;
}

static void show_bytes(struct name *name, const char *bytes, size_t count)
{
	if (name->silent || name->bad)
		return;
	if (count > MOST_TEXT - name->out.length)
		name->bad = true;
	else
		nova_text_add_bytes(&name->out, bytes, count);
}

static void show(struct name *name, const char *text)
{
	show_bytes(name, text, strlen(text));
}

static void show_number(struct name *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	show(name, text);
}

static void show_letter(struct name *name, uint32_t letter)
{
	char bytes[4];
	size_t count = 1;

	if (letter > 0x10ffff || (letter >= 0xd800 && letter < 0xe000)) {
		name->bad = true;
		return;
	}
	if (letter < 0x80) {
		bytes[0] = (char)letter;
	} else {
		count = letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
		for (size_t i = count; i-- > 1; letter >>= 6)
			bytes[i] = (char)(0x80 | (letter & 0x3f));
		bytes[0] = (char)((0xf00u >> count & 0xf0u) | letter);
	}
	show_bytes(name, bytes, count);
}

/* As Rust writes a letter of a constant in source. */
static void show_quoted(struct name *name, uint32_t letter, char quote)
{
	static const char escaped[] = "\tt\nn\rr\\\\";
	char text[16] = {'\\', 0};

	for (size_t i = 0; escaped[i]; i += 2)
		if (letter == (unsigned char)escaped[i])
			text[1] = escaped[i + 1];
	if (letter == (unsigned char)quote)
		text[1] = quote;
	if (letter == 0)
		text[1] = '0';
	if (!text[1] && (letter < 0x20 || (letter >= 0x7f && letter < 0xa0)))
		snprintf(text, sizeof(text), "\\u{%x}", (unsigned)letter);
	if (text[1])
		show(name, text);
	else
		show_letter(name, letter);
}

/* Each level of the grammar. */
static bool enter(struct name *name)
{
	if (name->bad || name->depth >= MOST_DEPTH || ++name->steps > MOST_STEPS) {
		name->bad = true;
		return false;
	}
	name->depth++;
	return true;
}

/* Elements until "E", with something between them; how many. */
static size_t list(struct name *name, void (*element)(struct name *name), const char *between)
{
	size_t count = 0;

	while (!name->bad && !eat(name, 'E')) {
		if (count++)
			show(name, between);
		element(name);
	}
	return count;
}

/* --- numbers and identifiers --------------------------------------------------------------------
 */

static int digit62(char letter)
{
	return letter >= '0' && letter <= '9'   ? letter - '0'
	       : letter >= 'a' && letter <= 'z' ? letter - 'a' + 10
	       : letter >= 'A' && letter <= 'Z' ? letter - 'A' + 36
	                                        : -1;
}

/* "_" is 0, "0_" is 1, … */
static uint64_t base62(struct name *name)
{
	uint64_t number = 0;

	if (eat(name, '_'))
		return 0;
	while (!name->bad && !eat(name, '_')) {
		int digit = digit62(next(name));

		if (digit < 0 || number > UINT64_MAX / 62 - 1)
			name->bad = true;
		else
			number = number * 62 + (uint64_t)digit;
	}
	return number + 1;
}

/* 0 if the letter does not stand there. */
static uint64_t base62_behind(struct name *name, char letter)
{
	uint64_t number;

	if (!eat(name, letter))
		return 0;
	number = base62(name);
	return number == UINT64_MAX ? number : number + 1;
}

struct identifier {
	const char *text;
	size_t length;
	bool punycode;
};

static struct identifier identifier(struct name *name)
{
	struct identifier found = {.text = "", .punycode = eat(name, 'u')};
	size_t length = 0;

	if (!eat(name, '0')) {
		if (!isdigit((unsigned char)peek(name)))
			name->bad = true;
		while (isdigit((unsigned char)peek(name)) && length <= name->length)
			length = length * 10 + (size_t)(next(name) - '0');
	}
	eat(name, '_'); /* where the identifier itself begins with a digit or "_" */
	if (name->bad || length > name->length - name->at) {
		name->bad = true;
		return (struct identifier){.text = ""};
	}
	found.text = name->text + name->at;
	found.length = length;
	name->at += length;
	return found;
}

/* RFC 3492, with "_" for its "-": 6.1 is the bias, 6.2 the decoding. */
static size_t punycode_bias(size_t delta, size_t count, bool first)
{
	size_t k = 0;

	delta = first ? delta / 700 : delta / 2;
	for (delta += delta / count; delta > 35 * 26 / 2; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

static bool punycode_number(const char **at, const char *end, size_t bias, size_t *number)
{
	size_t weight = 1;

	for (size_t k = 36;; k += 36) {
		size_t least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
		char letter = *at < end ? *(*at)++ : 0;
		size_t digit = letter >= 'a' && letter <= 'z'   ? (size_t)(letter - 'a')
		               : letter >= '0' && letter <= '9' ? (size_t)(letter - '0') + 26
		                                                : 36;

		if (digit >= 36 || weight > UINT32_MAX || *number > UINT32_MAX)
			return false;
		*number += digit * weight;
		if (digit < least)
			return true;
		weight *= 36 - least;
	}
}

static void show_punycode(struct name *name, const char *text, size_t length)
{
	const char *split = memrchr(text, '_', length), *at = split ? split + 1 : text;
	size_t count = split ? (size_t)(split - text) : 0, bias = 72, code = 128, place = 0;
	uint32_t letters[MOST_LETTERS];

	name->bad = name->bad || at == text + length || count >= MOST_LETTERS;
	for (size_t i = 0; i < count && !name->bad; i++)
		letters[i] = (unsigned char)text[i];
	while (!name->bad && at < text + length) {
		size_t before = place;

		if (count == MOST_LETTERS || !punycode_number(&at, text + length, bias, &place)) {
			name->bad = true;
			return;
		}
		count++;
		bias = punycode_bias(place - before, count, before == 0);
		code += place / count;
		place %= count;
		name->bad = code > 0x10ffff;
		memmove(letters + place + 1, letters + place,
		        (count - 1 - place) * sizeof(*letters));
		letters[place++] = (uint32_t)code;
	}
	for (size_t i = 0; i < count && !name->bad; i++)
		show_letter(name, letters[i]);
}

static void show_identifier(struct name *name, struct identifier shown)
{
	if (name->silent || name->bad)
		return;
	if (shown.punycode)
		show_punycode(name, shown.text, shown.length);
	else
		show_bytes(name, shown.text, shown.length);
}

/* What stood at an earlier place, once more; behind the "B". */
static size_t back_reference(struct name *name)
{
	size_t here = name->at - 1;
	uint64_t there = base62(name);

	if (there >= here)
		name->bad = true;
	return (size_t)there;
}

#define AGAIN(name, call)                                                                          \
	do {                                                                                       \
		size_t again_at = back_reference(name), behind = (name)->at;                       \
		if (!(name)->silent && !(name)->bad) {                                             \
			(name)->at = again_at;                                                     \
			call;                                                                      \
			(name)->at = behind;                                                       \
		}                                                                                  \
	} while (0)

/* --- lifetimes ----------------------------------------------------------------------------------
 */

/* They are counted from the innermost one; shown as 'a, 'b, … from the outermost. */
static void show_lifetime(struct name *name, uint64_t index)
{
	uint64_t from_outside;

	if (name->silent)
		return;
	if (index > name->lifetimes) {
		name->bad = true;
		return;
	}
	from_outside = name->lifetimes - index;
	show(name, "'");
	if (index == 0) {
		show(name, "_");
	} else if (from_outside < 26) {
		show_letter(name, (uint32_t)('a' + from_outside));
	} else {
		show(name, "_");
		show_number(name, from_outside);
	}
}

/* Returns how many it binds: they are the caller's to release. */
static uint64_t binder(struct name *name)
{
	uint64_t count = base62_behind(name, 'G');

	if (count > MOST_LIFETIMES)
		name->bad = true;
	if (!count || name->bad)
		return 0;
	show(name, "for<");
	for (uint64_t i = 0; i < count; i++) {
		name->lifetimes++;
		show(name, i ? ", " : "");
		show_lifetime(name, 1);
	}
	show(name, "> ");
	return count;
}

/* --- paths --------------------------------------------------------------------------------------
 */

static void generic_argument(struct name *name)
{
	if (eat(name, 'L'))
		show_lifetime(name, base62(name));
	else if (eat(name, 'K'))
		constant(name, false);
	else
		type(name);
}

static void nested_path(struct name *name, bool in_value)
{
	char space = next(name);
	uint64_t disambiguator;
	struct identifier own;

	if (!isalpha((unsigned char)space))
		name->bad = true;
	path(name, in_value);
	disambiguator = base62_behind(name, 's');
	own = identifier(name);
	if (islower((unsigned char)space)) { /* of the compiler's own: types, values, … */
		if (own.length)
			show(name, "::");
		show_identifier(name, own);
		return;
	}
	show(name, "::{");
	if (space == 'C')
		show(name, "closure");
	else if (space == 'S')
		show(name, "shim");
	else
		show_bytes(name, &space, 1);
	if (own.length)
		show(name, ":");
	show_identifier(name, own);
	show(name, "#");
	show_number(name, disambiguator);
	show(name, "}");
}

/* <Type>, <Type as Trait>; where the `impl` stands is not shown. */
static void path_of_type(struct name *name, char kind)
{
	if (kind != 'Y') {
		bool silent = name->silent;

		base62_behind(name, 's');
		name->silent = true;
		path(name, false);
		name->silent = silent;
	}
	show(name, "<");
	type(name);
	if (kind != 'M') {
		show(name, " as ");
		path(name, false);
	}
	show(name, ">");
}

static void path(struct name *name, bool in_value)
{
	char kind = next(name);

	if (!enter(name))
		return;
	switch (kind) {
	case 'C':
		base62_behind(name, 's');
		show_identifier(name, identifier(name));
		break;
	case 'N': nested_path(name, in_value); break;
	case 'M':
	case 'X':
	case 'Y': path_of_type(name, kind); break;
	case 'I':
		path(name, in_value);
		show(name, in_value ? "::<" : "<");
		list(name, generic_argument, ", ");
		show(name, ">");
		break;
	case 'B': AGAIN(name, path(name, in_value)); break;
	default: name->bad = true;
	}
	name->depth--;
}

/* --- types --------------------------------------------------------------------------------------
 */

static const char *basic_type(char letter)
{
	static const char *const types['z' + 1] = {
	        ['a'] = "i8",  ['b'] = "bool", ['c'] = "char",  ['d'] = "f64",   ['e'] = "str",
	        ['f'] = "f32", ['h'] = "u8",   ['i'] = "isize", ['j'] = "usize", ['l'] = "i32",
	        ['m'] = "u32", ['n'] = "i128", ['o'] = "u128",  ['p'] = "_",     ['s'] = "i16",
	        ['t'] = "u16", ['u'] = "()",   ['v'] = "...",   ['x'] = "i64",   ['y'] = "u64",
	        ['z'] = "!"};

	return letter > 0 && letter <= 'z' ? types[(unsigned char)letter] : NULL;
}

static void reference(struct name *name, bool mutable)
{
	uint64_t lifetime = eat(name, 'L') ? base62(name) : 0;

	show(name, "&");
	if (lifetime) {
		show_lifetime(name, lifetime);
		show(name, " ");
	}
	show(name, mutable ? "mut " : "");
	type(name);
}

static void function(struct name *name)
{
	uint64_t bound = binder(name);

	show(name, eat(name, 'U') ? "unsafe " : "");
	if (eat(name, 'K')) {
		struct identifier abi = {.text = "C", .length = 1};

		if (!eat(name, 'C'))
			abi = identifier(name);
		show(name, "extern \"");
		name->bad = name->bad || abi.punycode;
		for (size_t i = 0; i < abi.length; i++)
			show_bytes(name, abi.text[i] == '_' ? "-" : abi.text + i, 1);
		show(name, "\" ");
	}
	show(name, "fn(");
	list(name, type, ", ");
	show(name, ")");
	if (!eat(name, 'u')) {
		show(name, " -> ");
		type(name);
	}
	name->lifetimes -= bound;
}

/* The path of a trait; true if it has shown "<" and some arguments, and no ">" yet. */
static bool open_path(struct name *name)
{
	bool open = false;

	if (!enter(name))
		return false;
	if (eat(name, 'B')) {
		AGAIN(name, open = open_path(name));
	} else if (eat(name, 'I')) {
		path(name, false);
		show(name, "<");
		list(name, generic_argument, ", ");
		open = true;
	} else {
		path(name, false);
	}
	name->depth--;
	return open;
}

/* Trait<Argument, Item = Type> */
static void trait(struct name *name)
{
	bool open = open_path(name);

	while (eat(name, 'p')) {
		show(name, open ? ", " : "<");
		open = true;
		show_identifier(name, identifier(name));
		show(name, " = ");
		type(name);
	}
	show(name, open ? ">" : "");
}

static void any_of_traits(struct name *name)
{
	uint64_t bound, lifetime;

	show(name, "dyn ");
	bound = binder(name);
	list(name, trait, " + ");
	name->lifetimes -= bound;
	if (!eat(name, 'L'))
		name->bad = true;
	lifetime = base62(name);
	if (lifetime) {
		show(name, " + ");
		show_lifetime(name, lifetime);
	}
}

static void tuple(struct name *name, void (*element)(struct name *name))
{
	show(name, "(");
	show(name, list(name, element, ", ") == 1 ? ",)" : ")");
}

/* What values a type is narrowed to. */
static void pattern(struct name *name)
{
	char kind = next(name);

	if (!enter(name))
		return;
	if (kind == 'R') {
		constant(name, false);
		show(name, "..=");
		constant(name, false);
	} else if (kind == 'O') {
		list(name, pattern, " | ");
	} else if (kind == 'N') {
		show(name, "!null");
	} else {
		name->bad = true;
	}
	name->depth--;
}

static void composed_type(struct name *name, char kind)
{
	switch (kind) {
	case 'R':
	case 'Q': reference(name, kind == 'Q'); break;
	case 'P': show(name, "*const "), type(name); break;
	case 'O': show(name, "*mut "), type(name); break;
	case 'A':
	case 'S':
		show(name, "[");
		type(name);
		if (kind == 'A') {
			show(name, "; ");
			constant(name, true);
		}
		show(name, "]");
		break;
	case 'T': tuple(name, type); break;
	case 'F': function(name); break;
	case 'D': any_of_traits(name); break;
	case 'B': AGAIN(name, type(name)); break;
	case 'W':
		type(name);
		show(name, " is ");
		pattern(name);
		break;
	default:
		name->at--; /* of a struct, …: its path */
		path(name, false);
	}
}

static void type(struct name *name)
{
	char kind = next(name);
	const char *basic = basic_type(kind);

	if (basic) {
		show(name, basic);
		return;
	}
	if (!enter(name))
		return;
	composed_type(name, kind);
	name->depth--;
}

/* --- constants ----------------------------------------------------------------------------------
 */

/* Hexadecimal digits up to "_", without zeros in front; false if they are more than a uint64_t. */
static bool digits(struct name *name, const char **text, size_t *count, uint64_t *number)
{
	*number = 0;
	*text = name->text + name->at;
	while (isxdigit((unsigned char)peek(name)) && !isupper((unsigned char)peek(name)))
		next(name);
	*count = (size_t)(name->text + name->at - *text);
	if (!eat(name, '_'))
		name->bad = true;
	for (; *count && **text == '0'; --*count)
		++*text;
	for (size_t i = 0; i < *count && *count <= 16; i++)
		*number = *number << 4 | (uint64_t)digit62((*text)[i]);
	return *count <= 16;
}

static void integer(struct name *name)
{
	const char *text;
	size_t count;
	uint64_t number;

	if (digits(name, &text, &count, &number)) {
		show_number(name, number);
	} else {
		show(name, "0x");
		show_bytes(name, text, count);
	}
}

static uint32_t small_integer(struct name *name)
{
	const char *text;
	size_t count;
	uint64_t number;

	if (!digits(name, &text, &count, &number) || number > 0x10ffff)
		name->bad = true;
	return (uint32_t)number;
}

/* One letter of UTF-8 at `at`; how many bytes, 0 if it is none. */
static size_t letter_of(const unsigned char *bytes, size_t count, uint32_t *letter)
{
	size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;

	if (length > count || (length > 1 && (bytes[0] < 0xc2 || bytes[0] > 0xf4)))
		return 0;
	*letter = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		*letter = *letter << 6 | (bytes[i] & 0x3f);
	}
	return length;
}

static void text_constant(struct name *name)
{
	struct nova_text bytes = {0};
	uint32_t letter;

	while (!name->bad && !eat(name, '_')) {
		int high = digit62(next(name)), low = digit62(next(name));

		if (name->bad || high < 0 || high > 15 || low < 0 || low > 15)
			name->bad = true;
		else
			nova_text_add_bytes(&bytes, &(char){(char)(high * 16 + low)}, 1);
	}
	show(name, "\"");
	for (size_t i = 0, step; i < bytes.length && !name->bad; i += step) {
		step = letter_of((const unsigned char *)bytes.data + i, bytes.length - i, &letter);
		if (step)
			show_quoted(name, letter, '"');
		else
			name->bad = true;
		step = step ? step : 1;
	}
	show(name, "\"");
	nova_text_free(&bytes);
}

static void value(struct name *name)
{
	constant(name, true);
}

static void field(struct name *name)
{
	base62_behind(name, 's');
	show_identifier(name, identifier(name));
	show(name, ": ");
	constant(name, true);
}

static void variant(struct name *name)
{
	path(name, true);
	switch (next(name)) {
	case 'U': break;
	case 'T':
		show(name, "(");
		list(name, value, ", ");
		show(name, ")");
		break;
	case 'S':
		show(name, " { ");
		list(name, field, ", ");
		show(name, " }");
		break;
	default: name->bad = true;
	}
}

/* What must stand in braces where a type could stand, too. */
static void composed_constant(struct name *name, char kind)
{
	switch (kind) {
	case 'e': show(name, "*"), text_constant(name); break;
	case 'R':
	case 'Q':
		show(name, kind == 'R' ? "&" : "&mut ");
		constant(name, true);
		break;
	case 'A':
		show(name, "[");
		list(name, value, ", ");
		show(name, "]");
		break;
	case 'T': tuple(name, value); break;
	case 'V': variant(name); break;
	default: name->bad = true;
	}
}

static void simple_constant(struct name *name, char kind)
{
	uint32_t number;

	switch (kind) {
	case 'p': show(name, "_"); break;
	case 'b':
		number = small_integer(name);
		name->bad = name->bad || number > 1;
		show(name, number ? "true" : "false");
		break;
	case 'c':
		show(name, "'");
		show_quoted(name, small_integer(name), '\'');
		show(name, "'");
		break;
	default: /* integers; those with a sign may have one */
		if (strchr("aslxni", kind) && eat(name, 'n'))
			show(name, "-");
		integer(name);
	}
}

static void constant(struct name *name, bool in_value)
{
	char kind = next(name);

	if (!enter(name))
		return;
	if (kind == 'B') {
		AGAIN(name, constant(name, in_value));
	} else if (strchr("pbchtmyojaslxni", kind)) {
		simple_constant(name, kind);
	} else if (kind == 'R' && eat(name, 'e')) {
		text_constant(name);
	} else {
		show(name, in_value ? "" : "{");
		composed_constant(name, kind);
		show(name, in_value ? "" : "}");
	}
	name->depth--;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

char *symbols_demangle_rust(const char *mangled)
{
	struct name name = {.text = mangled + 2};
	const char *end;

	if (strncmp(mangled, "_R", 2) != 0 || !isupper((unsigned char)mangled[2]))
		return NULL; /* a digit is a version that is not there yet */
	/* what other tools have added: ".llvm.123" says nothing, ".cold" does */
	name.length = strcspn(name.text, ".$");
	end = name.text + name.length;
	path(&name, true);
	if (isupper((unsigned char)peek(&name))) { /* the crate that made it of its generic form */
		name.silent = true;
		path(&name, false);
		name.silent = false;
	}
	name.bad = name.bad || name.at != name.length;
	if (strncmp(end, ".llvm.", 6) != 0)
		show(&name, end);
	if (name.bad || !name.out.length) {
		nova_text_free(&name.out);
		return NULL;
	}
	return name.out.data;
}
