/* SPDX-License-Identifier: MIT */
/* cmocka with its includes in the order that it wants, and what these tests need besides. */
#ifndef NOVACORE_TESTS_BASE_CHECK_H
#define NOVACORE_TESTS_BASE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/base.h"

/* `text` contains `piece`; the failure shows both. */
#define assert_contains(text, piece)                                                               \
	do {                                                                                       \
		const char *text_ = (text), *piece_ = (piece);                                     \
		if (!strstr(text_, piece_))                                                        \
			fail_msg("\"%s\" does not contain \"%s\"", text_, piece_);                 \
	} while (0)

/* A directory of its own for each test: *state is its path. */
static inline int make_directory(void **state)
{
	char *path = nova_strdup("/tmp/novacore-test-XXXXXX");
	*state = mkdtemp(path);
	return *state ? 0 : -1;
}

static inline int remove_directory(void **state)
{
	int code = nova_directory_remove(*state, NULL);
	free(*state);
	return code;
}

#endif
