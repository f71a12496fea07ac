/* SPDX-License-Identifier: MIT */
/* What the name of a library says of its frames, as perf names them. */
#include "core/profiler/inside.h"

#include <string.h>

static bool starts(const char *text, size_t length, const char *with)
{
	size_t bytes = strlen(with);

	return length >= bytes && memcmp(text, with, bytes) == 0;
}

static bool ends(const char *text, size_t length, const char *with)
{
	size_t bytes = strlen(with);

	return length >= bytes && memcmp(text + length - bytes, with, bytes) == 0;
}

uint32_t stacks_library_flags(const char *library, size_t length)
{
	/* perf's, and ours: its kernel's modules are "[guest] [module]" */
	if (starts(library, length, "[guest.") || starts(library, length, "[guest kernel]") ||
	    starts(library, length, "[guest] ["))
		return NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL;
	if (starts(library, length, "[guest]") || starts(library, length, "[guest user]"))
		return NOVA_FRAME_GUEST;
	if (starts(library, length, "[kernel") || ends(library, length, ".ko") ||
	    ends(library, length, ".ko.xz") || ends(library, length, ".ko.zst") ||
	    ends(library, length, ".ko.gz"))
		return NOVA_FRAME_KERNEL;
	/* modules that perf knows by their names only */
	if (length > 2 && library[0] == '[' && !starts(library, length, "[vdso") &&
	    !starts(library, length, "[vsyscall") && !starts(library, length, "[unknown") &&
	    !starts(library, length, "[heap") && !starts(library, length, "[stack") &&
	    !starts(library, length, "[anon"))
		return NOVA_FRAME_KERNEL;
	if (starts(library, length, "/tmp/perf-") && ends(library, length, ".map"))
		return NOVA_FRAME_JIT;
	return 0;
}
