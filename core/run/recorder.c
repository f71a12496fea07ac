/* SPDX-License-Identifier: MIT */
/*
 * The whole life of a recorder: a process that samples while a step measures, so that what it takes
 * is not its parent's. It is told once what to do, says when sampling has begun and what came of
 * it, and ends with its parent, whatever becomes of that.
 */
#include "core/profiler/profiler.h"
#include "core/run/run.h"
#include "core/run/wire.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile int stop;

static void on_signal(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

struct recording {
	int fd; /* to the parent */
	const json_t *wanted;
	char id[32], *directory, *file;
	json_t *flames; /* names of the pictures that were drawn */
};

static void tell_begun(void *context)
{
	const struct recording *recording = context;

	nova_wire_send(recording->fd,
	               json_pack("{ss ss ss}", "is", "recording", "id", recording->id, "directory",
	                         recording->directory),
	               NULL);
}

/* Its whole document may be longer than a packet. */
static json_t *short_of(const json_t *about)
{
	static const char *const kept[] = {"duration_ns", "samples", "lost", "overhead"};
	json_t *some = json_object();

	for (size_t i = 0; i < NOVA_COUNT(kept); i++)
		json_object_set(some, kept[i], json_object_get(about, kept[i]));
	return some;
}

static void tell_ended(int fd, int code, const char *why, const json_t *about, json_t *flames)
{
	nova_wire_send(fd,
	               json_pack("{ss si ss so so}", "is", "recorded", "code", code, "text", why,
	                         "about", short_of(about), "flames",
	                         flames ? json_incref(flames) : json_array()),
	               NULL);
}

static unsigned kinds_of(const json_t *wanted)
{
	json_t *kinds = json_object_get(wanted, "kinds"), *kind;
	unsigned all = 0;
	size_t i;

	json_array_foreach(kinds, i, kind)
	{
		for (unsigned bit = 0; nova_record_kinds[bit]; bit++)
			if (!strcmp(json_string_value(kind), nova_record_kinds[bit]))
				all |= 1u << bit;
	}
	return all;
}

static struct nova_record_request request_of(const json_t *wanted, const char *path)
{
	return (struct nova_record_request){.kinds = kinds_of(wanted),
	                                    .path = path,
	                                    .pid = (int32_t)nova_wire_i64(wanted, "pid"),
	                                    .frequency =
	                                            (uint32_t)nova_wire_i64(wanted, "frequency"),
	                                    .overhead = nova_wire_f64(wanted, "overhead"),
	                                    .stop = &stop,
	                                    .title = nova_wire_text(wanted, "title"),
	                                    .run = json_object_get(wanted, "run")};
}

static int write_flame(const struct recording *recording, const char *name,
                       const struct nova_stacks *stacks, struct nova_error *error)
{
	const struct nova_flame_request request = {
	        .type = stacks->shown, .by = NOVA_BY_PROCESS, .min_width = 0.0001};
	NOVA_AUTOFREE char *path = nova_format("%s/%s.html", recording->directory, name);
	char *page = NULL;
	size_t bytes = 0;
	struct nova_flame flame;
	FILE *memory = open_memstream(&page, &bytes);
	int code;

	if (!memory)
		return nova_error_errno(error, "cannot draw %s", path);
	nova_flame_make(stacks, &request, &flame);
	code = nova_flame_write_html(&flame, nova_wire_text(recording->wanted, "title"), memory,
	                             error);
	nova_flame_free(&flame);
	if (fclose(memory) && !code)
		code = nova_error_errno(error, "cannot draw %s", path);
	if (!code)
		code = nova_file_write(path, page, bytes, 0600, error);
	free(page);
	return code;
}

/* The pictures that reports link, one of each lane; the rest can be made of the recording at any
 * time. */
static void draw(struct recording *recording, const json_t *about, struct nova_error *error)
{
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL;
	int code = nova_stacks_read(recording->file, NULL, &stacks, error);

	recording->flames = json_array();
	for (uint32_t lane = 0; !code && 2 * lane < stacks->type_count; lane++) {
		NOVA_AUTO(nova_stacks_cleanup)
		struct nova_stacks *one = nova_recording_lane(about, stacks, lane);
		const char *name = nova_recording_lane_name(about, lane);

		if (!one->count_count)
			continue;
		code = write_flame(recording, name, one, error);
		if (!code)
			json_array_append_new(recording->flames, json_string(name));
	}
}

static int record(struct recording *recording)
{
	struct nova_error error = {0};
	NOVA_AUTOJSON json_t *about = NULL;
	int code = nova_recordings_new(recording->id, &recording->directory, &error);

	if (!code) {
		recording->file = nova_format("%s/" NOVA_RECORDING_FILE, recording->directory);
		struct nova_record_request request = request_of(recording->wanted, recording->file);

		request.began = tell_begun;
		request.context = recording;
		code = nova_record(&request, &about, &error);
		if (code)
			rmdir(recording->directory); /* only if nothing is in it */
	}
	/* a recording without a picture is whole: the text is told, and no failure */
	if (!code && json_integer_value(json_object_get(about, "samples")))
		draw(recording, about, &error);
	tell_ended(recording->fd, code, error.text, about, recording->flames);
	json_decref(recording->flames);
	free(recording->directory);
	free(recording->file);
	return code ? nova_code_exit(code) : 0;
}

/* May this be recorded at all? By doing it, for no time. */
static int probe(int fd, const json_t *wanted)
{
	NOVA_AUTOFREE char *below = nova_format("probe-%d", (int)getpid());
	NOVA_AUTOFREE char *directory = nova_place(NOVA_PLACE_RUNTIME, below);
	NOVA_AUTOFREE char *file = nova_format("%s/" NOVA_RECORDING_FILE, directory);
	struct nova_record_request request = request_of(wanted, file);
	NOVA_AUTOJSON json_t *about = NULL;
	struct nova_error error = {0};
	int code = nova_directory_make(directory, 0700, &error);

	stop = 1;
	if (request.pid)
		request.pid = getpid(); /* as much its own as any */
	if (!code)
		code = nova_record(&request, &about, &error);
	nova_directory_remove(directory, NULL);
	tell_ended(fd, code, error.text, about, NULL);
	return code ? nova_code_exit(code) : 0;
}

int nova_recorder_main(int fd)
{
	struct pollfd parent = {.fd = fd};
	NOVA_AUTOJSON json_t *wanted = NULL;
	struct recording recording = {.fd = fd};

	/* A kill -9 of the run must not leave a recorder behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&parent, 1, 0) > 0 && parent.revents & (POLLHUP | POLLERR))
		return 4; /* it had died before */
	signal(SIGTERM, on_signal);
	if (nova_wire_receive(fd, &wanted, NULL) || strcmp(nova_wire_is(wanted), "record") != 0)
		return 4;
	if (json_is_true(json_object_get(wanted, "probe")))
		return probe(fd, wanted);
	recording.wanted = wanted;
	return record(&recording);
}
