/* SPDX-License-Identifier: MIT */
/*
 * Text and numbers of drawings, into a buffer. Not by printf: a drawing has tens of thousands of
 * boxes, each of which says five numbers.
 */
#include "core/profiler/flame.h"

#include <math.h>
#include <string.h>

static void flush(struct put *put)
{
	if (put->used)
		fwrite(put->data, 1, put->used, put->file);
	put->used = 0;
}

void put_long(struct put *put, const char *bytes, size_t length)
{
	flush(put);
	if (length > sizeof(put->data))
		fwrite(bytes, 1, length, put->file);
	else
		put_bytes(put, bytes, length);
}

/* Where `bytes` more may be written; `used` is to be raised by what was. */
static inline char *room_for(struct put *put, size_t bytes)
{
	if (bytes > sizeof(put->data) - put->used)
		flush(put);
	return put->data + put->used;
}

int put_end(struct put *put, struct nova_error *error)
{
	flush(put);
	return ferror(put->file) ? nova_error_errno(error, "cannot write the flame graph") : 0;
}

/* --- names ---------------------------------------------------------------------------------------
 */

/* Printable ASCII that means nothing to XML or to JSON. */
static const bool
        PLAIN[256] =
                {
                        [' '] = true,         ['!'] = true, ['#' ... '%'] = true,
                        ['(' ... ';'] = true, ['='] = true, ['?' ... '['] = true,
                        [']' ... '~'] = true,
};

/* U+FFFE and U+FFFF are no characters of XML. */
static void drop_noncharacters(char *text)
{
	for (char *at = text; (at = strstr(at, "\xef\xbf")) != NULL; at += 2)
		if ((unsigned char)at[2] >= 0xbe)
			at[0] = at[1] = at[2] = '?';
}

/* A copy that may be shown, of at most `most` bytes of it; `*cut`: there were more. */
static char *shown(const char *text, size_t most, bool *cut)
{
	size_t length = strnlen(text, most + 1);
	char *copy;

	*cut = length > most;
	if (*cut)
		for (length = most; length && ((unsigned char)text[length] & 0xc0) == 0x80;)
			length--;
	copy = nova_alloc(length + 1);
	memcpy(copy, text, length);
	for (size_t i = 0; i < length; i++)
		if (copy[i] == '\n' || copy[i] == '\t')
			copy[i] = ' ';
	nova_text_clean(copy);
	drop_noncharacters(copy);
	return copy;
}

static void put_xml(struct put *put, const char *text)
{
	static const char SPECIAL[] = "<>&\"'";
	static const char *const MEANS[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};

	for (size_t plain; *text; text += plain + 1) {
		plain = strcspn(text, SPECIAL);
		put_bytes(put, text, plain);
		if (!text[plain])
			return;
		put_literal(put, MEANS[strchr(SPECIAL, text[plain]) - SPECIAL]);
	}
}

/* Copies the plain bytes that it begins with, `most` ≤ PUT_CLIP, to where the next would stand: to
 * be counted by the caller, if that is all there is to show. */
static size_t copy_plain(struct put *put, const char *text, size_t most)
{
	char *to = room_for(put, PUT_CLIP);
	size_t length = 0;

	for (; length < most && PLAIN[(unsigned char)text[length]]; length++)
		to[length] = text[length];
	return length;
}

void put_text(struct put *put, const char *text)
{
	size_t plain = copy_plain(put, text, PUT_CLIP);
	bool cut;

	if (!text[plain]) {
		put->used += plain;
		return;
	}
	NOVA_AUTOFREE char *copy = shown(text, PUT_CLIP, &cut);
	put_xml(put, copy);
	if (cut)
		put_literal(put, "…");
}

void put_clipped(struct put *put, const char *text, size_t columns)
{
	size_t plain = copy_plain(put, text, columns), at = 0, count = 0;
	bool cut;

	if (!text[plain] || (plain == columns && PLAIN[(unsigned char)text[plain]])) {
		if (text[plain])
			plain -= plain > 2 ? 2 : plain;
		put->used += plain;
		if (text[plain])
			put_literal(put, "..");
		return;
	}
	NOVA_AUTOFREE char *copy = shown(text, 4 * columns + 4, &cut);
	for (; copy[at] && count <= columns; at++)
		count += ((unsigned char)copy[at] & 0xc0) != 0x80;
	cut = cut || copy[at] || count > columns;
	while (cut && at > 0 && count > (columns > 2 ? columns - 2 : 0))
		if (((unsigned char)copy[--at] & 0xc0) != 0x80)
			count--;
	copy[at] = '\0';
	put_xml(put, copy);
	if (cut)
		put_literal(put, "..");
}

void put_json(struct put *put, const char *text)
{
	size_t plain;
	bool cut;

	put_literal(put, "\"");
	plain = copy_plain(put, text, PUT_CLIP);
	put->used += plain;
	if (text[plain]) {
		NOVA_AUTOFREE char *copy = shown(text + plain, PUT_CLIP, &cut);

		for (const char *at = copy; *at; at++) {
			unsigned char c = (unsigned char)*at;
			char escaped[8];

			if (PLAIN[c] || c >= 0x80) {
				put_bytes(put, at, 1);
				continue;
			}
			snprintf(escaped, sizeof(escaped), "\\u%04x", c);
			put_literal(put, escaped);
		}
		if (cut)
			put_literal(put, "…");
	}
	put_literal(put, "\"");
}

/* --- numbers -------------------------------------------------------------------------------------
 */

void put_number(struct put *put, uint64_t number)
{
	unsigned digits = 1;
	char *to;

	for (uint64_t limit = 10; number >= limit && digits < 20; limit *= 10)
		digits++;
	to = room_for(put, digits) + digits;
	put->used += digits;
	do
		*--to = (char)('0' + number % 10);
	while ((number /= 10) > 0);
}

void put_grouped(struct put *put, uint64_t number)
{
	char group[4] = ",000";

	if (number >= 1000) {
		unsigned last = (unsigned)(number % 1000);

		put_grouped(put, number / 1000);
		for (int i = 3; i > 0; i--, last /= 10)
			group[i] = (char)('0' + last % 10);
		put_bytes(put, group, sizeof(group));
	} else {
		put_number(put, number);
	}
}

void put_fixed(struct put *put, double number)
{
	uint64_t hundredths = (uint64_t)(number * 100 + 0.5);
	unsigned part = (unsigned)(hundredths % 100);
	char text[3] = {'.', (char)('0' + part / 10), (char)('0' + part % 10)};

	put_number(put, hundredths / 100);
	if (part)
		put_bytes(put, text, part % 10 ? 3 : 2);
}

void put_percent(struct put *put, double share)
{
	put_fixed(put, 100 * share);
	put_literal(put, " %");
}

void put_value(struct put *put, const struct nova_value_type *type, uint64_t value)
{
	char text[32];

	if (!strcmp(type->unit, "count")) {
		put_grouped(put, value);
		put_literal(put, " ");
		put_text(put, type->type);
		return;
	}
	if (!strcmp(type->unit, "nanoseconds"))
		nova_value_format((double)value / 1e9, NOVA_UNIT_SECOND, text);
	else if (!strcmp(type->unit, "bytes"))
		nova_value_format((double)value, NOVA_UNIT_BYTE, text);
	else {
		put_grouped(put, value);
		put_literal(put, " ");
		put_text(put, type->unit);
		return;
	}
	put_literal(put, text);
}

void put_again(struct put *put, const struct nova_value_type *type, uint64_t value)
{
	if (!strcmp(type->unit, "count"))
		put_grouped(put, value);
	else
		put_value(put, type, value);
}

/* --- sentences -----------------------------------------------------------------------------------
 */

void put_name(struct put *put, const struct nova_flame_box *box)
{
	enum flame_kind kind = flame_kind(box->name, box->flags);
	const char *slash = strrchr(box->library, '/');

	put_text(put, box->name);
	if (box->library[0]) {
		put_literal(put, " (");
		put_text(put, slash && slash[1] ? slash + 1 : box->library);
		put_literal(put, ")");
	}
	if (kind != FLAME_USER && kind != FLAME_OTHER) {
		put_literal(put, ", ");
		put_literal(put, flame_kind_name(kind));
	}
}

bool flame_is_tested(const struct nova_flame_change *change)
{
	return change->mark != NOVA_MARK_FEW && change->mark != NOVA_MARK_CALLER;
}

const char *flame_mark_name(const struct nova_flame_box *box,
                            const struct nova_flame_change *change)
{
	switch (change->mark) {
	case NOVA_MARK_MORE: return change->total ? "more" : "new";
	case NOVA_MARK_LESS: return box->total ? "less" : "vanished";
	case NOVA_MARK_NOISE: return "noise";
	case NOVA_MARK_CALLER: return "still there";
	default:
		return change->total == 0 ? "new, too few to tell"
		       : box->total == 0  ? "vanished, too few to tell"
		                          : "too few to tell";
	}
}

static void put_mark(struct put *put, const struct nova_flame_box *box,
                     const struct nova_flame_change *change)
{
	char text[32];

	put_literal(put, flame_mark_name(box, change));
	if (!flame_is_tested(change))
		return;
	snprintf(text, sizeof(text), ", q %.2g", change->q);
	put_literal(put, text);
}

void put_change(struct put *put, const struct nova_flame *flame, uint32_t number)
{
	const struct nova_flame_box *box = &flame->boxes[number];
	const struct nova_flame_change *change = &flame->changes[number];
	double before = flame_share(change->total, flame->changes[0].total);
	double after = flame_share(box->total, flame->boxes[0].total);

	if (flame->lane && number >= flame->lane) {
		put_percent(put, before);
		put_literal(put, " of before (");
		put_value(put, &flame->stacks->types[0], change->total);
		put_literal(put, ") in paths that vanished: ");
		put_mark(put, box, change);
		return;
	}
	put_percent(put, before);
	put_literal(put, " → ");
	put_percent(put, after);
	put_literal(put, after < before ? " (−" : " (+");
	put_fixed(put, 100 * fabs(after - before));
	put_literal(put, " points; ");
	put_value(put, &flame->stacks->types[0], change->total);
	put_literal(put, " → ");
	put_again(put, &flame->stacks->types[0], box->total);
	put_literal(put, "): ");
	put_mark(put, box, change);
}

void put_summary(struct put *put, const struct nova_flame *flame)
{
	const struct nova_value_type *type = &flame->stacks->types[flame->type];

	if (!flame->changes) {
		put_value(put, type, flame->boxes[0].total);
		put_literal(put, flame->reverse ? "; from the leaf on, what calls it"
		                                : "; from the root on, what it calls");
		return;
	}
	put_value(put, type, flame->changes[0].total);
	put_literal(put, " before, ");
	put_value(put, type, flame->boxes[0].total);
	if (flame->untested) {
		put_literal(put, " after; no path was tested");
		return;
	}
	put_literal(put, flame->absolute ? " after; compared: counts; "
	                                 : " after; compared: shares of the total; ");
	put_grouped(put, flame->tests);
	put_literal(put, " paths tested; at most 5 % of what is marked is expected to be false");
}

void put_notes(struct put *put, const struct nova_flame *flame, const char *before,
               const char *after)
{
	const struct nova_stacks *stacks = flame->stacks;

	if (flame->untested) {
		put_literal(put, before);
		put_literal(put, flame->untested);
		put_literal(put, after);
	}
	if (flame->left_out) {
		put_literal(put, before);
		put_grouped(put, flame->left_out);
		put_literal(put, " boxes are too narrow to be drawn; those around them count them");
		put_literal(put, after);
	}
	if (stacks->lost) {
		put_literal(put, before);
		put_grouped(put, stacks->lost);
		put_literal(put, " samples were lost while it was recorded");
		put_literal(put, after);
	}
	for (uint32_t i = 0; i < stacks->note_count; i++) {
		put_literal(put, before);
		put_text(put, stacks->notes[i]);
		put_literal(put, after);
	}
}
