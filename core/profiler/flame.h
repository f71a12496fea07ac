/* SPDX-License-Identifier: MIT */
/*
 * What the parts of flame graphs share. flame.c makes boxes, flame_diff.c those of a difference,
 * flame_table.c what each function has, colour.c colours, flame_put.c text and numbers;
 * flame_svg.c and flame_html.c draw. How the drawings behave is flame_svg.js and flame_html.js.
 *
 * Names come from anybody's programs. The only way from a name into a drawing is put_text (or
 * put_json): nothing in it can become markup.
 */
#ifndef NOVACORE_PROFILER_FLAME_H
#define NOVACORE_PROFILER_FLAME_H

#include "core/profiler/inside.h"

#include <string.h>

#define FLAME_LABEL 0x80000000u /* a frame that is a process, a CPU …: no function */

/* --- boxes (flame.c) -----------------------------------------------------------------------------
 */

/* All children of a node together, sorted by name; begin[node + 1] is the end of a node's. */
struct flame_order {
	uint32_t *children, *begin;
};
/* O(nodes · log nodes). */
void flame_order(const struct nova_stacks *stacks, struct flame_order *order);
void flame_order_free(struct flame_order *order);

/* What each node has itself, and with what it calls; both have stacks->node_count elements. */
void flame_weigh(const struct nova_stacks *stacks, uint32_t type, uint64_t *self, uint64_t *total);
/* The same stacks, all types, under a label, or from the leaf, or both. NULL: neither is wanted. */
struct nova_stacks *flame_turn(const struct nova_stacks *stacks,
                               const struct nova_flame_request *request);

struct flame_walk {
	const struct nova_stacks *stacks;
	const struct flame_order *order;
	const uint64_t *self, *total;
	const char *root; /* its name */
	/* Is the node to be a box? Those above it are not asked for if not. */
	bool (*wanted)(const void *context, uint32_t node);
	const void *context;
};
/* Adds boxes to `flame`; `nodes` (or NULL) grows with them and says whose each is. Returns the
 * depth of the highest. */
uint32_t flame_walk(struct nova_flame *flame, const struct flame_walk *walk, uint32_t **nodes);
/* As nova_stacks_join; `slots`: where in `into` each of the types of `from` is added, UINT32_MAX:
 * nowhere. `nameless`: without the numbers of processes and threads. */
void flame_join(struct nova_stacks *into, const struct nova_stacks *from, const uint32_t *slots,
                bool nameless);

/* --- functions (flame_table.c) -------------------------------------------------------------------
 */

struct flame_sum {
	uint64_t self, total;
};
/* Adds to sums[group of its frame] what each node has. A group that is several times in a stack
 * has its total counted once: recursion. `groups`: a number below `group_count` for each frame, or
 * NULL: each frame is one. O(nodes + frames · log frames). */
void flame_sum(const struct nova_stacks *stacks, uint32_t type, const uint32_t *groups,
               uint32_t group_count, struct flame_sum *sums);

struct flame_function {
	uint32_t frame;
	uint64_t self[2], total[2]; /* of type `first` and the one behind it */
};
/* Each frame that has anything; the most self first. A recursion counts once. `types` 1 or 2. The
 * caller's. O(nodes + functions · log functions). */
struct flame_function *flame_table(const struct nova_stacks *stacks, uint32_t first, uint32_t types,
                                   uint32_t *count);

/* --- colours (colour.c) --------------------------------------------------------------------------
 */

/* Of nothing everything is no part. */
static inline double flame_share(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 0;
}

enum flame_kind {
	FLAME_USER,
	FLAME_KERNEL,
	FLAME_JIT,
	FLAME_INLINED,
	FLAME_GUEST,
	FLAME_OTHER, /* labels and what has no name */
	FLAME_KINDS
};
#define FLAME_SHADES 8u
#define FLAME_STEPS  4u /* of a difference */
/* Colours of kinds, then less, more (by how much), noise, and new. */
#define FLAME_COLOURS (FLAME_KINDS * FLAME_SHADES + 2 * FLAME_STEPS + 2)

enum flame_kind flame_kind(const char *name, uint32_t flags);
const char *flame_kind_name(enum flame_kind kind);
/* Which kinds its boxes have. */
void flame_kinds(const struct nova_flame *flame, bool seen[FLAME_KINDS]);
/* The same number for the same name and kind, everywhere. */
unsigned flame_colour(const char *name, uint32_t flags);
/* What stands for a change; `all`, `all_before` are the totals. */
unsigned flame_change_colour(const struct nova_flame_box *box,
                             const struct nova_flame_change *change, uint64_t all,
                             uint64_t all_before);
#define FLAME_NOISE (FLAME_COLOURS - 2)
#define FLAME_NEW   (FLAME_COLOURS - 1)
/* "#rrggbb"; dark text on it has a contrast of 4.5 at least. */
void flame_colour_hex(unsigned colour, char hex[8]);

/* --- text and numbers (flame_put.c) --------------------------------------------------------------
 */

struct put {
	FILE *file;
	size_t used;
	char data[1 << 16];
};
#define PUT_CLIP 1000u /* bytes of a text that are shown at most */
void put_long(struct put *put, const char *bytes, size_t length);
/* Here, so that of a text of ours the compiler knows the length: a box has twenty. */
static inline void put_bytes(struct put *put, const char *bytes, size_t length)
{
	if (length > sizeof(put->data) - put->used) {
		put_long(put, bytes, length);
		return;
	}
	memcpy(put->data + put->used, bytes, length);
	put->used += length;
}
static inline void put_literal(struct put *put, const char *text) /* ours */
{
	put_bytes(put, text, __builtin_strlen(text));
}
/* Anybody's, for content of elements and attributes in double quotes. */
void put_text(struct put *put, const char *text);
/* Its first `columns` characters, with ".." behind it if there are more. */
void put_clipped(struct put *put, const char *text, size_t columns);
/* A JSON string that may stand in a <script>. */
void put_json(struct put *put, const char *text);
void put_number(struct put *put, uint64_t number);
void put_grouped(struct put *put, uint64_t number); /* 1,234,567 */
/* With up to two decimals. 0 ≤ number < 1e15. */
void put_fixed(struct put *put, double number);
void put_percent(struct put *put, double share); /* "12.34 %" */
/* "1,234 samples", "1.23 s" */
void put_value(struct put *put, const struct nova_value_type *type, uint64_t value);
/* Behind another value of that type: what is counted is not said again. */
void put_again(struct put *put, const struct nova_value_type *type, uint64_t value);
/* "memcpy (libc.so.6), kernel", as titles begin */
void put_name(struct put *put, const struct nova_flame_box *box);
/* "12.00 % → 15.00 % of …", what is said of a difference */
void put_change(struct put *put, const struct nova_flame *flame, uint32_t box);
/* What was counted, and what is compared. */
void put_summary(struct put *put, const struct nova_flame *flame);
/* A sentence for each thing that the reader of a drawing should know; `before` and `after` stand
 * around each. */
void put_notes(struct put *put, const struct nova_flame *flame, const char *before,
               const char *after);
/* Its q says something. */
bool flame_is_tested(const struct nova_flame_change *change);
/* The word for a mark. */
const char *flame_mark_name(const struct nova_flame_box *box,
                            const struct nova_flame_change *change);
int put_end(struct put *put, struct nova_error *error);

/* --- made by the build from files beside ---------------------------------------------------------
 */

extern const char flame_svg_script[], flame_html_script[], flame_html_style[];

#endif
