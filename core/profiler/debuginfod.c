/* SPDX-License-Identifier: MIT */
/*
 * Files that are not here, by build-id, from the servers that DEBUGINFOD_URLS names
 * (debuginfod(8)). The client library is loaded if it is there and servers are named, and not
 * otherwise. libdwfl would ask them, too, but without end, and without a word: so it does not see
 * the variable. Addresses of servers may hold passwords: they go into no message.
 */
#include "core/profiler/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY   "libdebuginfod.so.1"
#define VARIABLE  "DEBUGINFOD_URLS"
#define TELL_NS   (3 * NOVA_SECOND_NS)
#define MOST_TOLD 5u /* files in a note */

/* elfutils/debuginfod.h */
struct debuginfod_client;
typedef int find_function(struct debuginfod_client *client, const unsigned char *build_id,
                          int build_id_len, char **path);
typedef int progress_function(struct debuginfod_client *client, long part, long whole);

struct debuginfod {
	char *urls;
	int64_t patience_ns, deadline_ns; /* of all files together */
	void *library;
	struct debuginfod_client *client;
	struct debuginfod_client *(*begin)(void);
	void (*end)(struct debuginfod_client *client);
	void (*set_progress)(struct debuginfod_client *client, progress_function *progress);
	find_function *find_file, *find_debug_file;
	/* in work */
	const char *name;
	int64_t told_ns;
	/* what did not come */
	struct nova_text missing;
	uint32_t missing_count;
	const struct object *missed; /* counted last */
	const char *why;             /* nothing more is asked for; or NULL */
};

/* What calls back has no other way to its context in the library's first versions. */
static struct debuginfod *in_work;

static int on_progress(struct debuginfod_client *who, long part, long whole)
{
	struct debuginfod *asked = in_work;
	int64_t now = nova_now_ns();

	(void)who;
	if (now > asked->deadline_ns) {
		asked->why = "the time for it is over";
		return 1; /* ends the transfer */
	}
	if (now - asked->told_ns > TELL_NS && part > 0 && whole > 0) {
		asked->told_ns = now;
		nova_log(NOVA_LOG_INFO, "fetching what is known of %s: %ld of %ld MiB", asked->name,
		         part >> 20, whole >> 20);
	}
	return 0;
}

static bool load(struct debuginfod *asked)
{
	asked->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!asked->library) {
		asked->why = LIBRARY " is not installed (Debian: libdebuginfod1)";
		return false;
	}
	*(void **)&asked->begin = dlsym(asked->library, "debuginfod_begin");
	*(void **)&asked->end = dlsym(asked->library, "debuginfod_end");
	*(void **)&asked->set_progress = dlsym(asked->library, "debuginfod_set_progressfn");
	*(void **)&asked->find_file = dlsym(asked->library, "debuginfod_find_executable");
	*(void **)&asked->find_debug_file = dlsym(asked->library, "debuginfod_find_debuginfo");
	if (asked->begin && asked->end && asked->set_progress && asked->find_file &&
	    asked->find_debug_file)
		asked->client = asked->begin();
	if (!asked->client) {
		asked->why = LIBRARY " does not work";
		return false;
	}
	asked->set_progress(asked->client, on_progress);
	asked->deadline_ns = nova_now_ns() + asked->patience_ns;
	return true;
}

struct debuginfod *debuginfod_new(int64_t patience_ns)
{
	const char *urls = getenv(VARIABLE);
	struct debuginfod *asked;

	if (!urls || !urls[strspn(urls, " ")])
		return NULL;
	asked = nova_alloc(sizeof(*asked));
	asked->urls = nova_strdup(urls);
	asked->patience_ns = patience_ns;
	if (patience_ns <= 0)
		asked->why = "";
	unsetenv(VARIABLE);
	return asked;
}

static void miss(struct debuginfod *asked, const struct object *object)
{
	const char *slash = strrchr(object->path, '/');

	if (asked->missed == object)
		return;
	asked->missed = object;
	if (asked->missing_count++ < MOST_TOLD)
		nova_text_addf(&asked->missing, "%s%s", asked->missing.length ? ", " : "",
		               slash ? slash + 1 : object->path);
}

int debuginfod_fetch(struct debuginfod *asked, const struct object *object, bool debug_file,
                     char **path)
{
	int fd = -1;

	*path = NULL;
	if (!asked || object->kind != OBJECT_FILE || !object->build_id_bytes ||
	    (asked->why && !asked->why[0]))
		return -1;
	if (!asked->why && (asked->client || load(asked))) {
		in_work = asked;
		asked->name = object->path;
		asked->told_ns = nova_now_ns();
		setenv(VARIABLE, asked->urls, 1);
		fd = (debug_file ? asked->find_debug_file : asked->find_file)(
		        asked->client, object->build_id, object->build_id_bytes, path);
		unsetenv(VARIABLE);
	}
	if (fd < 0)
		miss(asked, object);
	return fd < 0 ? -1 : fd;
}

void debuginfod_free(struct debuginfod *asked, struct nova_stacks *notes)
{
	if (!asked)
		return;
	if (asked->missing_count)
		nova_stacks_note(notes, "debuginfod had nothing of %u files (%s%s)%s%s",
		                 asked->missing_count, nova_text_get(&asked->missing),
		                 asked->missing_count > MOST_TOLD ? ", …" : "",
		                 asked->why ? ": " : "", asked->why ? asked->why : "");
	if (asked->client)
		asked->end(asked->client);
	/* the library itself stays: what it stands on registers threads and exits */
	setenv(VARIABLE, asked->urls, 1);
	free(asked->urls);
	nova_text_free(&asked->missing);
	free(asked);
}
