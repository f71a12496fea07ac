/* SPDX-License-Identifier: MIT */
/* novacore record: samples this host, a process, a VM's QEMU or a command. */
#include "core/cli/cli.h"
#include "core/cli/recordings.h"

#include "core/profiler/profiler.h"
#include "core/report/report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore record [--pid PID | --vm NAME | --cgroup DIR | --all] [OPTION]…\n"
        "       novacore record [OPTION]… -- COMMAND [ARGUMENT]…\n"
        "\n"
        "Samples where the CPUs are, with their stacks, and writes a directory: the recording "
        "itself, which\n"
        "opens even if it was killed, pprof, folded stacks and a flame graph. What sampling costs "
        "is\n"
        "measured, printed, and kept below --overhead by lowering the frequency. Ctrl-C ends a "
        "recording as\n"
        "its duration does.\n"
        "\n"
        "examples:\n"
        "  novacore record --all --duration 30s\n"
        "  novacore record -- stress-ng --cpu 1 --timeout 8\n"
        "  novacore record --vm web --output /tmp/web && novacore hotspots /tmp/web/cpu.pb.gz\n"
        "\n"
        "  --pid PID             a process, with its threads and their children\n"
        "  --vm NAME             the QEMU process of a VM on this host; its vCPUs are labelled\n"
        "  --guest-kallsyms FILE  a copy of the guest's /proc/kallsyms: names functions of its "
        "kernel\n"
        "  --guest-maps FILE     a copy of /proc/PID/maps of the guest's: names that process's "
        "functions\n"
        "  --guest-root DIR      where the guest's files are that are named there\n"
        "  --cgroup DIR          what is in a cgroup: /sys/fs/cgroup/…\n"
        "  --all                 all processes of this host\n"
        "  --freq HZ             samples a second and CPU; default: 99\n"
        "  --duration TIME       default: 10s; a command until it ends\n"
        "  --output DIR          a new directory; default: one below novacore's own "
        "(novacore recordings)\n"
        "  --stacks HOW          frame-pointers; dwarf: of programs without them, for more CPU "
        "time, not with\n"
        "                        --all and --cgroup; default: auto, which looks at the program\n"
        "  --debuginfod TIME     how long the servers of DEBUGINFOD_URLS may be asked for files "
        "that are gone\n"
        "                        or have no debug information; default: 60s, no: not at all\n"
        "  --overhead SHARE      what sampling may cost; default: 2%\n"
        "  --cpu                 sample CPUs: so it is if none of these is said; several may be\n"
        "  --off-cpu             where threads wait, and for how long\n"
        "  --lock                which of them wait for locks: futexes, and the kernel's own\n"
        "  --memory              page faults, allocations, and resident memory over time\n"
        "  --continuous          one recording after another, each of --duration (60s), until "
        "Ctrl-C;\n"
        "                        old ones of this kind are deleted\n"
        "  --keep TIME           how long those are kept; default: 7d\n"
        "  --keep-size SIZE      how much all of those may take; default: 1GiB\n"
        "  --format FORMAT       table (default) or json: what is printed at the "
        "end\n" NOVA_COMMON_HELP;

enum {
	OPTION_PID = 1,
	OPTION_VM,
	OPTION_GUEST_KALLSYMS,
	OPTION_GUEST_MAPS,
	OPTION_GUEST_ROOT,
	OPTION_CGROUP,
	OPTION_ALL,
	OPTION_FREQ,
	OPTION_DURATION,
	OPTION_OUTPUT,
	OPTION_STACKS,
	OPTION_DEBUGINFOD,
	OPTION_OVERHEAD,
	OPTION_CPU,
	OPTION_OFF_CPU,
	OPTION_LOCK,
	OPTION_MEMORY,
	OPTION_CONTINUOUS,
	OPTION_KEEP,
	OPTION_KEEP_SIZE,
	OPTION_FORMAT
};

static const struct option options[] = {
        {"pid", required_argument, NULL, OPTION_PID},
        {"vm", required_argument, NULL, OPTION_VM},
        {"guest-kallsyms", required_argument, NULL, OPTION_GUEST_KALLSYMS},
        {"guest-maps", required_argument, NULL, OPTION_GUEST_MAPS},
        {"guest-root", required_argument, NULL, OPTION_GUEST_ROOT},
        {"cgroup", required_argument, NULL, OPTION_CGROUP},
        {"all", no_argument, NULL, OPTION_ALL},
        {"freq", required_argument, NULL, OPTION_FREQ},
        {"duration", required_argument, NULL, OPTION_DURATION},
        {"output", required_argument, NULL, OPTION_OUTPUT},
        {"stacks", required_argument, NULL, OPTION_STACKS},
        {"debuginfod", required_argument, NULL, OPTION_DEBUGINFOD},
        {"overhead", required_argument, NULL, OPTION_OVERHEAD},
        {"cpu", no_argument, NULL, OPTION_CPU},
        {"off-cpu", no_argument, NULL, OPTION_OFF_CPU},
        {"lock", no_argument, NULL, OPTION_LOCK},
        {"memory", no_argument, NULL, OPTION_MEMORY},
        {"continuous", no_argument, NULL, OPTION_CONTINUOUS},
        {"keep", required_argument, NULL, OPTION_KEEP},
        {"keep-size", required_argument, NULL, OPTION_KEEP_SIZE},
        {"format", required_argument, NULL, OPTION_FORMAT},
        NOVA_COMMON_OPTIONS,
        {NULL, 0, NULL, 0}};

#define DEFAULT_DURATION_NS (10 * NOVA_SECOND_NS)
#define PIECE_NS            (60 * NOVA_SECOND_NS) /* of a continuous recording */
#define MOST_HZ             20000

struct command {
	struct nova_record_request request;
	const char *vm, *output, *format;
	int targets; /* how many ways of saying whom */
	bool duration_said, continuous;
	bool stacks_said; /* how to walk them is not to be found out */
	double keep_ns, keep_bytes;
	char *directory, *file, *title, *dwarf_why;
};

static volatile int stop;

static void on_signal(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

/* --- parsing ------------------------------------------------------------------------------------
 */

static int usage(const char *format, const char *word)
{
	fputs("novacore: ", stderr);
	fprintf(stderr, format, word); /* one of ours, with one %s */
	fputs("\n", stderr);
	return 2;
}

static int take_number(const char *text, long least, long most, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return errno || end == text || *end || *number < least || *number > most ? -1 : 0;
}

static int take_duration(struct command *command)
{
	struct nova_error error = {0};
	double value;

	if (nova_quantity_parse(optarg, NOVA_DURATION, &value, &error))
		return usage("--duration: %s", error.text);
	if (value < 1e7 || value > 86400e9 * 366)
		return usage("--duration is from 10ms to a year, not %s", optarg);
	command->request.duration_ns = (int64_t)value;
	command->duration_said = true;
	return -1;
}

static int take_quantity(const char *option, enum nova_quantity quantity, double *value)
{
	struct nova_error error = {0};

	if (!nova_quantity_parse(optarg, quantity, value, &error))
		return -1;
	fprintf(stderr, "novacore: %s: %s\n", option, error.text);
	return 2;
}

static int take_debuginfod(struct command *command)
{
	double value = 0;
	int code = strcmp(optarg, "no") == 0 ? -1
	                                     : take_quantity("--debuginfod", NOVA_DURATION, &value);

	if (code < 0 && value > 86400e9)
		return usage("--debuginfod takes at most a day, or no, not %s", optarg);
	command->request.fetch_ns = (int64_t)value;
	return code;
}

static int take_overhead(struct command *command)
{
	char *end;
	double share;

	errno = 0;
	share = strtod(optarg, &end);
	if (*end == '%')
		share /= 100, end++;
	if (errno || end == optarg || *end || !(share > 0 && share < 1))
		return usage("--overhead takes a share such as 2%% or 0.005, not \"%s\"", optarg);
	command->request.overhead = share;
	return -1;
}

static int take(struct command *command, int option)
{
	long number;

	switch (option) {
	case OPTION_PID:
		command->targets++;
		if (take_number(optarg, 1, INT32_MAX, &number))
			return usage("--pid takes the number of a process, not \"%s\"", optarg);
		command->request.pid = (int32_t)number;
		return -1;
	case OPTION_VM:
		command->targets++;
		command->vm = optarg;
		return -1;
	case OPTION_CGROUP:
		command->targets++;
		command->request.cgroup = optarg;
		return -1;
	case OPTION_ALL: command->targets++; return -1;
	case OPTION_GUEST_KALLSYMS: command->request.guest.kallsyms = optarg; return -1;
	case OPTION_GUEST_MAPS: command->request.guest.maps = optarg; return -1;
	case OPTION_GUEST_ROOT: command->request.guest.root = optarg; return -1;
	case OPTION_FREQ:
		if (take_number(optarg, 1, MOST_HZ, &number))
			return usage("--freq takes samples a second, 1 to 20000, not \"%s\"",
			             optarg);
		command->request.frequency = (uint32_t)number;
		return -1;
	case OPTION_DURATION: return take_duration(command);
	case OPTION_OUTPUT: command->output = optarg; return -1;
	case OPTION_STACKS:
		command->request.dwarf = !strcmp(optarg, "dwarf");
		command->stacks_said = strcmp(optarg, "auto") != 0;
		if (command->stacks_said && !command->request.dwarf &&
		    strcmp(optarg, "frame-pointers") != 0)
			return usage("--stacks takes auto, frame-pointers or dwarf, not \"%s\"",
			             optarg);
		return -1;
	case OPTION_DEBUGINFOD: return take_debuginfod(command);
	case OPTION_OVERHEAD: return take_overhead(command);
	case OPTION_FORMAT:
		if (strcmp(optarg, "table") != 0 && strcmp(optarg, "json") != 0)
			return usage("--format takes table or json, not \"%s\"", optarg);
		command->format = optarg;
		return -1;
	case OPTION_CPU: command->request.kinds |= NOVA_RECORD_CPU; return -1;
	case OPTION_OFF_CPU: command->request.kinds |= NOVA_RECORD_OFF_CPU; return -1;
	case OPTION_LOCK: command->request.kinds |= NOVA_RECORD_LOCK; return -1;
	case OPTION_MEMORY: command->request.kinds |= NOVA_RECORD_MEMORY; return -1;
	case OPTION_CONTINUOUS: command->continuous = true; return -1;
	case OPTION_KEEP: return take_quantity("--keep", NOVA_DURATION, &command->keep_ns);
	case OPTION_KEEP_SIZE: return take_quantity("--keep-size", NOVA_SIZE, &command->keep_bytes);
	default: return -1;
	}
}

static int parse(struct command *command, int argc, char **argv)
{
	int option, code = -1;

	optind = 0;
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1)
		code = option <= OPTION_FORMAT ? take(command, option)
		                               : nova_common_option(option, argv, options, help);
	if (code >= 0)
		return code;
	if (optind < argc) {
		command->targets++;
		command->request.command = (const char *const *)argv + optind;
	}
	if (command->targets != 1)
		return usage("record takes %s: --pid, --vm, --cgroup, --all, or a command behind "
		             "--; --help has examples",
		             command->targets ? "one of these only" : "one of these");
	if (command->request.dwarf && !command->request.command && !command->request.pid &&
	    !command->vm)
		return usage("--stacks dwarf is for %s: it copies 8 KiB with each sample",
		             "--pid, --vm or a command");
	if ((command->request.guest.kallsyms || command->request.guest.maps) && !command->vm &&
	    !command->request.pid)
		return usage("%s are of one VM: say which, with --vm or --pid",
		             "--guest-kallsyms and --guest-maps");
	if (command->request.guest.root && !command->request.guest.maps)
		return usage("--guest-root is where the files of --guest-maps are: %s",
		             "give that, too");
	if (command->continuous && (command->output || command->request.command))
		return usage("--continuous is not for %s: its recordings are kept below novacore's "
		             "own directory",
		             command->output ? "--output" : "a command");
	if (!command->duration_said && !command->request.command)
		command->request.duration_ns = command->continuous ? PIECE_NS : DEFAULT_DURATION_NS;
	return -1;
}

/* --- where it is written ---------------------------------------------------------------------- */

static int make_directory(struct command *command, struct nova_error *error)
{
	char id[32];
	int code = 0;

	if (!command->output)
		code = nova_recordings_new(id, &command->directory, error);
	else
		command->directory = nova_strdup(command->output);
	if (!code && command->output && mkdir(command->directory, 0700) && errno != EEXIST)
		code = nova_error_errno(error, "cannot make %s", command->directory);
	if (code)
		return code;
	command->file = nova_format("%s/" NOVA_RECORDING_FILE, command->directory);
	command->request.path = command->file;
	if (access(command->file, F_OK) == 0)
		return nova_error_set(error, NOVA_E_EXISTS,
		                      "%s has a recording already; take another directory",
		                      command->directory);
	return 0;
}

static char *title_of(const struct command *command)
{
	struct nova_text text = {0};

	if (command->vm)
		return nova_format("VM %s", command->vm);
	if (command->request.cgroup)
		return nova_format("cgroup %s", command->request.cgroup);
	if (command->request.pid)
		return nova_format("process %d", command->request.pid);
	if (!command->request.command)
		return nova_strdup("all processes");
	/* arguments may hold what is nobody's business */
	nova_text_add(&text, command->request.command[0]);
	return text.data;
}

typedef int write_function(const struct command *command, const struct nova_stacks *stacks,
                           FILE *file, struct nova_error *error);

static int write_pprof(const struct command *command, const struct nova_stacks *stacks, FILE *file,
                       struct nova_error *error)
{
	(void)command;
	return nova_stacks_write_pprof(stacks, file, error);
}

static int write_folded(const struct command *command, const struct nova_stacks *stacks, FILE *file,
                        struct nova_error *error)
{
	(void)command;
	return nova_stacks_write_folded(stacks, stacks->shown, NOVA_BY_PROCESS, file, error);
}

/* The same boxes as a page and as a picture. */
static int draw(const struct command *command, const struct nova_stacks *stacks,
                int (*write)(const struct nova_flame *flame, const char *title, FILE *file,
                             struct nova_error *error),
                FILE *file, struct nova_error *error)
{
	const struct nova_flame_request request = {
	        .type = stacks->shown, .by = NOVA_BY_PROCESS, .min_width = 0.0001};
	struct nova_flame flame;
	int code;

	nova_flame_make(stacks, &request, &flame);
	code = write(&flame, command->title, file, error);
	nova_flame_free(&flame);
	return code;
}

static int write_html(const struct command *command, const struct nova_stacks *stacks, FILE *file,
                      struct nova_error *error)
{
	return draw(command, stacks, nova_flame_write_html, file, error);
}

static int write_svg(const struct command *command, const struct nova_stacks *stacks, FILE *file,
                     struct nova_error *error)
{
	return draw(command, stacks, nova_flame_write_svg, file, error);
}

static int write_files(const struct command *command, const char *name,
                       const struct nova_stacks *stacks, struct nova_error *error)
{
	static const struct {
		const char *end;
		write_function *write;
	} files[] = {{"pb.gz", write_pprof},
	             {"folded", write_folded},
	             {"html", write_html},
	             {"svg", write_svg}};
	int code = 0;

	for (size_t i = 0; i < NOVA_COUNT(files) && !code; i++) {
		NOVA_AUTOFREE char *path =
		        nova_format("%s/%s.%s", command->directory, name, files[i].end);
		FILE *file = nova_output_open(path, error);

		if (!file)
			return error->code;
		code = files[i].write(command, stacks, file, error);
		if (code)
			nova_output_discard(file, path);
		else
			code = nova_output_close(file, path, error);
	}
	return code;
}

/* --- what is printed -------------------------------------------------------------------------- */

static int deliver(const struct command *command, const json_t *about, struct nova_error *error)
{
	NOVA_AUTO(nova_stacks_cleanup) struct nova_stacks *stacks = NULL;
	NOVA_AUTOTEXT struct nova_text names = {0};
	bool table = !strcmp(command->format, "table");
	int code = 0;

	if (json_integer_value(json_object_get(about, "samples")) == 0)
		return nova_error_set(
		        error, NOVA_E_FAILED,
		        "%s: not one sample was taken: who was recorded did not run "
		        "on a CPU, or did not wait; record for longer, or raise --freq",
		        command->directory);
	code = nova_stacks_read(command->file, NULL, &stacks, error);
	for (uint32_t lane = 0; !code && 2 * lane < stacks->type_count; lane++) {
		NOVA_AUTO(nova_stacks_cleanup)
		struct nova_stacks *one = nova_recording_lane(about, stacks, lane);
		const char *name = nova_recording_lane_name(about, lane);

		if (!one->count_count)
			continue; /* an empty picture says less than the line of it */
		code = write_files(command, name, one, error);
		nova_text_addf(&names, ",%s.pb.gz,%s.folded,%s.html,%s.svg", name, name, name,
		               name);
	}
	if (code)
		return code;
	if (!table) {
		if (json_dumpf(about, stdout, JSON_INDENT(1)) || putchar('\n') == EOF)
			return nova_error_errno(error, "cannot write to standard output");
		return 0;
	}
	recordings_print(about, stdout);
	printf("%-10s %s/{" NOVA_RECORDING_FILE "%s}\n", "files", command->directory,
	       nova_text_get(&names));
	return recordings_print_hotspots(about, stacks, error);
}

/* --- one, or one after another ----------------------------------------------------------------
 */

static int record_once(struct command *command, json_t **about, struct nova_error *error)
{
	int code = make_directory(command, error);

	if (!code && command->continuous) {
		NOVA_AUTOFREE char *mark = nova_format("%s/" RECORDING_MARK, command->directory);

		code = nova_file_write(mark, "", 0, 0600, error);
	}
	if (!code)
		code = nova_record(&command->request, about, error);
	if (code && command->directory) {
		NOVA_AUTOFREE char *mark = nova_format("%s/" RECORDING_MARK, command->directory);

		if (access(command->file, F_OK) != 0) {
			unlink(mark);
			rmdir(command->directory); /* only if nothing is in it */
		}
	}
	return code;
}

/* Each time: the VM may have been started anew, and its process's number be another one's. */
static int find_vm(struct command *command, struct nova_error *error)
{
	int32_t *pid = &command->request.pid;
	int code = command->vm ? nova_record_find_vm(command->vm, pid, error) : 0;

	command->request.vm = !code && *pid > 0 && nova_record_is_vm(*pid);
	return code;
}

static int record_on(struct command *command, struct nova_error *error)
{
	int code = 0;

	while (!code && !stop) {
		NOVA_AUTOJSON json_t *about = NULL;

		free(command->directory);
		free(command->file);
		command->directory = command->file = NULL;
		code = record_once(command, &about, error);
		if (code)
			break;
		printf("%s  %.1f s  %lld samples  overhead %.2f %%\n",
		       strrchr(command->directory, '/') + 1,
		       json_number_value(json_object_get(about, "duration_ns")) / 1e9,
		       (long long)json_integer_value(json_object_get(about, "samples")),
		       json_number_value(
		               json_object_get(json_object_get(about, "overhead"), "host")) *
		               100);
		fflush(stdout);
		recordings_retain((int64_t)command->keep_ns, (int64_t)command->keep_bytes);
		code = stop ? 0 : find_vm(command, error);
	}
	return code;
}

/* Stacks of waits stay with frame pointers unless it is said: switches may be so many that their
 * copies of the stack do not fit into the rings. */
static void choose_stacks(struct command *command)
{
#ifdef __x86_64__
	struct nova_record_request *request = &command->request;

	if (command->stacks_said || (request->kinds && !(request->kinds & NOVA_RECORD_CPU)) ||
	    !(request->command || request->pid))
		return;
	command->dwarf_why = nova_record_without_frame_pointers(
	        request->command ? request->command[0] : NULL, request->pid);
	request->dwarf_why = command->dwarf_why;
	request->dwarf = command->dwarf_why != NULL;
#else
	(void)command;
#endif
}

static int record(struct command *command, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *about = NULL;
	const json_t *status;
	int code = 0;

	code = find_vm(command, error);
	if (code)
		return code;
	choose_stacks(command);
	command->title = title_of(command);
	command->request.title = command->title;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (command->continuous)
		return record_on(command, error);
	code = record_once(command, &about, error);
	if (code)
		return code;
	code = deliver(command, about, error);
	status = json_object_get(about, "command_status");
	if (!code && json_is_integer(status) && json_integer_value(status) != 0)
		code = nova_error_set(
		        error, NOVA_E_FAILED, "%s ended with status %lld; its recording is whole",
		        command->request.command[0], (long long)json_integer_value(status));
	return code;
}

int nova_command_record(int argc, char **argv)
{
	struct command command = {.format = "table",
	                          .keep_ns = 7 * 86400e9,
	                          .keep_bytes = 1024.0 * 1024 * 1024,
	                          .request = {.frequency = 99,
	                                      .overhead = 0.02,
	                                      .stop = &stop,
	                                      .fetch_ns = NOVA_FETCH_NS}};
	struct nova_error error = {0};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	code = record(&command, &error);
	free(command.directory);
	free(command.file);
	free(command.title);
	free(command.dwarf_why);
	return code ? nova_complain(&error) : 0;
}
