/* SPDX-License-Identifier: MIT */
/* What the tests of flame graphs make stacks and drawings with. */
#ifndef NOVACORE_TESTS_FLAME_STACKS_H
#define NOVACORE_TESTS_FLAME_STACKS_H

#include "core/profiler/flame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct nova_value_type SAMPLES = {"samples", "count"};

static inline uint32_t call(struct nova_stacks *stacks, uint32_t node, const char *name,
                            uint32_t flags)
{
	const struct nova_frame frame = {.name = name, .flags = flags};

	return nova_stacks_call(stacks, node, nova_stacks_frame(stacks, &frame));
}

/* Counts "main;work". */
static inline void count(struct nova_stacks *stacks, const char *folded, uint64_t value)
{
	char copy[512], *rest = copy;
	uint32_t node = 0;

	snprintf(copy, sizeof(copy), "%s", folded);
	for (char *name; (name = strsep(&rest, ";")) != NULL;)
		node = call(stacks, node, name, 0);
	nova_stacks_add(stacks, node, 0, &value);
}

static inline uint32_t box_of(const struct nova_flame *flame, const char *name)
{
	for (uint32_t i = 0; i < flame->count; i++)
		if (!strcmp(flame->boxes[i].name, name))
			return i;
	return UINT32_MAX;
}

typedef int write_function(const struct nova_flame *flame, const char *title, FILE *file,
                           struct nova_error *error);

static inline char *drawn(write_function *write, const struct nova_flame *flame, const char *title)
{
	struct nova_error error = {0};
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	assert_non_null(file);
	assert_int_equal(write(flame, title, file, &error), 0);
	fclose(file);
	assert_int_equal(strlen(text), length);
	return text;
}

#endif
