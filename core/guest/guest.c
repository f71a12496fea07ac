/* SPDX-License-Identifier: MIT */
/*
 * The appliance for today's inputs: found in the cache, or built into it by one process at a time.
 */
#include "core/guest/internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

void nova_guest_release(struct nova_guest *guest)
{
	free(guest->directory);
	free(guest->kernel);
	free(guest->initrd);
	free(guest->image);
	free(guest->cmdline);
	json_decref(guest->inputs);
	if (guest->hold >= 0)
		close(guest->hold);
	*guest = (struct nova_guest){.hold = -1};
}

void guest_build_say(const struct guest_build *build, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (build->progress == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	build->progress(build->context, line);
}

static int build_locked(const struct guest_build *build, const char *directory,
                        struct nova_guest *out, struct nova_error *error)
{
	int made = guest_cache_make(build->options, build->cache, error);
	if (made != 0)
		return made;
	int lock = guest_cache_lock(build, error);
	if (lock < 0)
		return lock;
	/* While we waited, the other builder may have built just this one. */
	int failed = guest_cache_open(directory, out, NULL);
	if (failed != 0) {
		guest_cache_sweep(build->cache);
		failed = guest_build_run(build, directory, error);
		if (failed == 0)
			failed = guest_cache_open(directory, out, error);
	}
	close(lock);
	return failed;
}

static int obtain(const struct nova_guest_options *options, bool build_it,
                  void (*progress)(void *, const char *), void *context, struct nova_guest *out,
                  struct nova_error *error)
{
	NOVA_AUTOFREE char *cache = guest_cache_path(options);
	struct guest_inputs inputs;
	struct guest_build build = {options, &inputs, cache, progress, context};

	*out = (struct nova_guest){.hold = -1};
	int failed = guest_inputs_collect(options, &inputs, error);
	if (failed != 0)
		return failed;
	NOVA_AUTOFREE char *directory = guest_cache_directory(cache, inputs.id);
	failed = guest_cache_open(directory, out, error);
	if (failed == NOVA_E_NOT_FOUND && build_it)
		failed = build_locked(&build, directory, out, error);
	guest_inputs_free(&inputs);
	return failed;
}

int nova_guest_ensure(const struct nova_guest_options *options,
                      void (*progress)(void *, const char *), void *context, struct nova_guest *out,
                      struct nova_error *error)
{
	return obtain(options, true, progress, context, out, error);
}

int nova_guest_find(const struct nova_guest_options *options, struct nova_guest *out,
                    struct nova_error *error)
{
	return obtain(options, false, NULL, NULL, out, error);
}
