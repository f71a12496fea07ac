/* SPDX-License-Identifier: MIT */
/*
 * Which packages, in which versions, the guest is made of: the listed ones and all that they depend
 * on. supermin follows the same dependencies when it builds; here they become part of the identity.
 */
#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>

const char *const guest_packages[] = {"busybox-static",   "dropbear-bin", "fio",      "iperf3",
                                      "qemu-guest-agent", "stress-ng",    "sysbench", NULL};

struct package {
	char *name, *version, *architecture, *depends, *provides;
};

struct universe {
	struct package *packages;
	size_t count;
	json_t *by_name;   /* name → index */
	json_t *providers; /* virtual name → [index] */
};

char *guest_packages_query(struct nova_error *error)
{
	static const char *const argv[] = {
	        "dpkg-query", "-W",
	        "-f=${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\t"
	        "${Pre-Depends}, ${Depends}\t${Provides}\n",
	        NULL};
	static const char *const env[] = {"LC_ALL=C", NULL};
	struct nova_child child = {.argv = argv, .env = env};
	struct nova_child_result result = {0};

	if (nova_child_check(&child, &result, error) != 0) {
		if (error != NULL && error->code == NOVA_E_UNAVAILABLE)
			nova_error_set(
			        error, NOVA_E_UNAVAILABLE,
			        "cannot list the installed packages: there is no dpkg-query "
			        "here; the appliance is made of Debian or Ubuntu packages, so "
			        "use an image of your own instead (--set guest.image=FILE)");
		nova_child_result_free(&result);
		return NULL;
	}
	char *listing = nova_strdup(nova_text_get(&result.output));
	nova_child_result_free(&result);
	return listing;
}

/* Calls `each` for every alternative's bare name in "a (>= 1) | b:any, c". */
static void each_name(const char *field, void (*each)(void *, const char *), void *context)
{
	char name[256];

	while (*field != '\0') {
		field += strspn(field, " ,|");
		size_t length = strcspn(field, " ,|(:[");
		if (length > 0 && length < sizeof(name)) {
			memcpy(name, field, length);
			name[length] = '\0';
			each(context, name);
		}
		field += strcspn(field, ",|");
	}
}

struct providing {
	struct universe *universe;
	json_int_t index;
};

static void add_provider(void *context, const char *name)
{
	struct providing *providing = context;
	json_t *list = json_object_get(providing->universe->providers, name);

	if (list == NULL) {
		list = json_array();
		json_object_set_new(providing->universe->providers, name, list);
	}
	json_array_append_new(list, json_integer(providing->index));
}

static void add_package(struct universe *universe, char **fields)
{
	struct package package = {fields[0], fields[1], fields[2], fields[4], fields[5]};

	if (strcmp(fields[3], "installed") != 0)
		return;
	universe->packages =
	        nova_grow(universe->packages, universe->count, sizeof(*universe->packages));
	universe->packages[universe->count++] = package;
}

/* Foreign architectures stay out: a program's libraries are of its own. */
static void index_packages(struct universe *universe)
{
	const char *native = NULL;

	for (size_t i = 0; i < universe->count; i++)
		if (strcmp(universe->packages[i].name, "dpkg") == 0)
			native = universe->packages[i].architecture;
	for (size_t i = 0; i < universe->count; i++) {
		const struct package *package = &universe->packages[i];
		struct providing providing = {universe, (json_int_t)i};
		if (native != NULL && strcmp(package->architecture, native) != 0 &&
		    strcmp(package->architecture, "all") != 0)
			continue;
		json_object_set_new(universe->by_name, package->name, json_integer((json_int_t)i));
		each_name(package->provides, add_provider, &providing);
	}
}

/* Cuts `text` up in place; the universe points into it. */
static void parse(struct universe *universe, char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *fields[6];
		size_t count = 0;
		for (char *field = line; field != NULL && count < NOVA_COUNT(fields);)
			fields[count++] = strsep(&field, "\t");
		if (count == NOVA_COUNT(fields))
			add_package(universe, fields);
	}
	index_packages(universe);
}

struct walk {
	const struct universe *universe;
	json_t *closure;
	size_t *pending, pending_count;
};

static void visit_index(struct walk *walk, size_t index)
{
	const struct package *package = &walk->universe->packages[index];

	if (json_object_get(walk->closure, package->name) != NULL)
		return;
	json_object_set_new(walk->closure, package->name, json_string(package->version));
	walk->pending = nova_grow(walk->pending, walk->pending_count, sizeof(*walk->pending));
	walk->pending[walk->pending_count++] = index;
}

static void visit(void *context, const char *name)
{
	struct walk *walk = context;
	const json_t *index = json_object_get(walk->universe->by_name, name);
	const json_t *provider;
	size_t i;

	if (index != NULL)
		visit_index(walk, (size_t)json_integer_value(index));
	json_array_foreach(json_object_get(walk->universe->providers, name), i, provider)
	        visit_index(walk, (size_t)json_integer_value(provider));
}

static int missing(const struct universe *universe, const char *const *wanted,
                   struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text names = {0};

	for (; *wanted != NULL; wanted++)
		if (json_object_get(universe->by_name, *wanted) == NULL)
			nova_text_addf(&names, " %s", *wanted);
	if (names.length == 0)
		return 0;
	return nova_error_set(error, NOVA_E_UNAVAILABLE,
	                      "packages that the appliance is made of are not installed:%s; "
	                      "run: apt-get install%s",
	                      names.data, names.data);
}

int guest_packages_closure(const char *listing, const char *const *wanted, json_t **closure,
                           struct nova_error *error)
{
	NOVA_AUTOFREE char *text = nova_strdup(listing);
	struct universe universe = {.by_name = json_object(), .providers = json_object()};

	parse(&universe, text);
	int failed = missing(&universe, wanted, error);
	if (failed == 0) {
		struct walk walk = {.universe = &universe, .closure = json_object()};
		for (; *wanted != NULL; wanted++)
			visit(&walk, *wanted);
		while (walk.pending_count > 0)
			each_name(universe.packages[walk.pending[--walk.pending_count]].depends,
			          visit, &walk);
		free(walk.pending);
		*closure = walk.closure;
	}
	json_decref(universe.by_name);
	json_decref(universe.providers);
	free(universe.packages);
	return failed;
}
