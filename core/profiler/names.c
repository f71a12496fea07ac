/* SPDX-License-Identifier: MIT */
/*
 * Gives a recording its names, in processes of their own: what is read there was made by others. A
 * file that breaks its reader, or sends it in circles, takes its own names with it and no others:
 * another process goes on behind it.
 */
#include "core/profiler/record.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* CPU time of each, and of all together; what was found until then stays. */
#define CPU_S      120
#define MOST_CPU_S 300
/* Address space of each: large debug files are mapped whole. */
#define MOST_BYTES  ((rlim_t)4 << 30)
#define MOST_DEATHS 16u

struct naming {
	const char *path;
	const struct object *objects; /* of the recorder: descriptors that nobody else can open */
	uint32_t count;
	int64_t fetch_ns;
	uint32_t *at_work; /* shared: the object's number in the recording, plus 1 */
	uint32_t broke;    /* at which one the last process died, plus 1 */
	int signal;        /* of what */
	int cpu_s;         /* left */
};

/* --- in the child -------------------------------------------------------------------------------
 */

static void limit(int resource, rlim_t most)
{
	struct rlimit is;

	if (getrlimit(resource, &is) || (is.rlim_max != RLIM_INFINITY && is.rlim_max < most))
		return;
	is.rlim_cur = most;
	setrlimit(resource, &is);
}

static void limit_all(int cpu_s)
{
	NOVA_AUTOFREE char *pages = nova_file_read("/proc/self/statm", 256, NULL, NULL);

	limit(RLIMIT_CPU, (rlim_t)cpu_s);
	limit(RLIMIT_CORE, 0);
	if (pages)
		limit(RLIMIT_AS, (rlim_t)atoll(pages) * (rlim_t)sysconf(_SC_PAGESIZE) + MOST_BYTES);
}

static const char *why_it_died(int signal_number)
{
	switch (signal_number) {
	case SIGXCPU: return "reading it takes too much CPU time";
	case SIGABRT: return "reading it takes more than 4 GiB of memory";
	case SIGBUS: return "it became shorter while it was read";
	default: return "it is broken, and broke what read it";
	}
}

static int add_names(const struct naming *naming, struct nova_error *error)
{
	struct writer writer = {.fd = -1};
	struct recording recording;
	struct source source;
	int code = source_open(&source, naming->path, error);

	if (code)
		return code;
	code = recording_load(&source, (size_t)1 << 30, &recording, error);
	source_close(&source);
	for (uint32_t i = 0; i < naming->count && !code; i++) {
		const struct object *object = &naming->objects[i];

		if (object->fd >= 0 && object->written && object->written <= recording.object_count)
			recording.objects[object->written - 1].fd = dup(object->fd);
	}
	recording.at_work = naming->at_work;
	recording.fetch_ns = naming->fetch_ns;
	recording.cached = true;
	if (!code)
		code = writer_reopen(&writer, naming->path, recording.end, error);
	if (!code && naming->broke && naming->broke <= recording.object_count)
		code = recording_pass_over(&recording, naming->broke - 1,
		                           why_it_died(naming->signal), &writer, error);
	if (!code)
		code = recording_symbolise(&recording, &writer, error);
	if (writer.fd >= 0)
		code = code ? (close(writer.fd), code) : writer_close(&writer, error);
	nova_text_free(&writer.buffer);
	recording_free(&recording);
	return code;
}

/* --- in the recorder ----------------------------------------------------------------------------
 */

/* True if another one has to go on. */
static bool run_child(struct naming *naming)
{
	struct rusage used;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct nova_error error = {0};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		limit_all(naming->cpu_s < CPU_S ? naming->cpu_s : CPU_S);
		if (add_names(naming, &error)) {
			nova_log(NOVA_LOG_WARNING, "functions have no names: %s", error.text);
			_exit(1);
		}
		_exit(0);
	}
	while (child > 0 && wait4(child, &status, 0, &used) < 0)
		if (errno != EINTR)
			return false;
	if (child < 0) {
		nova_log(NOVA_LOG_WARNING, "functions have no names: no process can be made: %s",
		         strerror(errno));
		return false;
	}
	naming->cpu_s -= (int)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
	naming->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	naming->broke = *naming->at_work;
	*naming->at_work = 0;
	return naming->signal != 0;
}

void recording_add_names(const char *path, const struct object *objects, uint32_t count,
                         int64_t fetch_ns)
{
	struct naming naming = {path, objects, count, fetch_ns, NULL, 0, 0, MOST_CPU_S};
	void *shared = mmap(NULL, sizeof(*naming.at_work), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool more = shared != MAP_FAILED;

	naming.at_work = shared;
	for (uint32_t deaths = 0; more && deaths <= MOST_DEATHS && naming.cpu_s > 0; deaths++)
		more = run_child(&naming) && naming.broke;
	if (shared == MAP_FAILED || naming.signal)
		nova_log(NOVA_LOG_WARNING,
		         "some functions have no names: what looked for them died of signal %d",
		         naming.signal);
	if (shared != MAP_FAILED)
		munmap(shared, sizeof(*naming.at_work));
}
