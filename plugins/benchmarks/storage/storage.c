/* SPDX-License-Identifier: MIT */
/*
 * How fast a VM's disk is, and this host's where that disk lies: fio, past every page cache, on one
 * file that is written in full before anything is measured. The file has no name from its first
 * moment on, so none is left, whatever happens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/workload/workload.h>

#include "fio.h"
#include "place.h"

#define MEBIBYTE (UINT64_C(1) << 20)
#define HEADROOM (32 * MEBIBYTE) /* beside the file itself: the overlay's and file system's own */

/* --- metrics ------------------------------------------------------------------------------ */

NOVA_WORKLOAD_METRIC(READ_SEQ, BYTE_PER_SECOND, HIGHER, "storage.read.seq.rate",
                     "What is read in order, 1 MiB at a time");
NOVA_WORKLOAD_METRIC(WRITE_SEQ, BYTE_PER_SECOND, HIGHER, "storage.write.seq.rate",
                     "What is written in order, 1 MiB at a time");
NOVA_WORKLOAD_METRIC(READ_RAND, PER_SECOND, HIGHER, "storage.read.rand.iops",
                     "Reads of 4 KiB at random places that end in a second");
NOVA_WORKLOAD_METRIC(WRITE_RAND, PER_SECOND, HIGHER, "storage.write.rand.iops",
                     "Writes of 4 KiB at random places that end in a second");
NOVA_WORKLOAD_METRIC(READ_P50, SECOND, LOWER, "storage.read.rand.latency.p50",
                     "Median of the time from a random read's submission to its completion");
NOVA_WORKLOAD_METRIC(READ_P99, SECOND, LOWER, "storage.read.rand.latency.p99",
                     "99th percentile of that time, by fio's histogram");
NOVA_WORKLOAD_METRIC(WRITE_P50, SECOND, LOWER, "storage.write.rand.latency.p50",
                     "Median of the time from a random write's submission to its completion");
NOVA_WORKLOAD_METRIC(WRITE_P99, SECOND, LOWER, "storage.write.rand.latency.p99",
                     "99th percentile of that time, by fio's histogram");
NOVA_WORKLOAD_HOST_METRICS("storage");

static const struct nova_metric *const METRICS[] = {
        &READ_SEQ,   &WRITE_SEQ,   &READ_RAND, &WRITE_RAND,     &READ_P50,
        &READ_P99,   &WRITE_P50,   &WRITE_P99, &HOST_FREQUENCY, &HOST_CELSIUS,
        &HOST_STEAL, &GUEST_STEAL, NULL};
static const struct nova_metric *const MEASURED[] = {&READ_SEQ,   &WRITE_SEQ, &READ_RAND,
                                                     &WRITE_RAND, &READ_P50,  &READ_P99,
                                                     &WRITE_P50,  &WRITE_P99, NULL};

static const struct nova_workload_program PROGRAMS[] = {{"fio", "fio"}, {NULL, NULL}};

static const struct nova_workload_kind KIND = {
        .name = "storage",
        .programs = PROGRAMS,
        .measured = MEASURED,
        .frequency = &HOST_FREQUENCY,
        .celsius = &HOST_CELSIUS,
        .steal = &HOST_STEAL,
        .guest_steal = &GUEST_STEAL,
};

/* --- parameters --------------------------------------------------------------------------- */

static const char *const ENGINES[] = {"libaio", "io_uring", "psync", NULL};

NOVA_WORKLOAD_PARAMETER(P_SIZE, SIZE, "size", "64MiB",
                        "Size of the file, in whole MiB; it must fit on the VM's disk",
                        .minimum = "1MiB", .maximum = "1TiB");
NOVA_WORKLOAD_PARAMETER(P_DURATION, DURATION, "duration", "2s",
                        "How long each of the four jobs runs, in whole seconds", .minimum = "1s",
                        .maximum = "1h");
NOVA_WORKLOAD_PARAMETER(P_DEPTH, INTEGER, "depth", "16",
                        "Requests that each thread keeps under way", .minimum = "1",
                        .maximum = "1024");
NOVA_WORKLOAD_PARAMETER(P_ENGINE, CHOICE, "engine", "libaio",
                        "How fio asks the kernel; psync: one request at a time",
                        .choices = ENGINES);
NOVA_WORKLOAD_PARAMETER(P_PLACE, PATH, "place", NULL,
                        "Directory on a disk of the hypervisor's host, for the VM's disk and for "
                        "the file of the native side; default: novacore's own");
NOVA_WORKLOAD_PARAMETER(P_GUEST_DIRECTORY, TEXT, "guest_directory", "/var/tmp",
                        "Directory in the VM that is on its disk, for the file there");

static const struct nova_parameter *const PARAMETERS[] = {&nova_workload_threads,
                                                          &P_SIZE,
                                                          &P_DURATION,
                                                          &P_DEPTH,
                                                          &P_ENGINE,
                                                          &P_PLACE,
                                                          &P_GUEST_DIRECTORY,
                                                          &nova_workload_cpus,
                                                          NULL};

/* --- the benchmark ------------------------------------------------------------------------ */

struct storage {
	struct nova_workload work;
	const char *place;  /* configured, or NULL */
	const char *native; /* the file's directory on this host */
	const char *guest, *engine;
	int64_t duration_ns, depth;
	uint64_t size_bytes;
};

static void destroy(void *context)
{
	struct storage *self = context;

	nova_workload_free(&self->work);
	free(self);
}

static const char *text_or(const struct nova_host *host, nova_run run, const char *name,
                           const char *fallback)
{
	const char *text = host->param_text(run, name, 0);

	return text && *text ? text : fallback;
}

static void read_parameters(struct storage *self, const struct nova_host *host, nova_run run)
{
	int64_t size = 64 << 20;

	self->duration_ns = 2 * NOVA_WORKLOAD_SECOND_NS;
	self->depth = 16;
	host->param_i64(run, "size", 0, &size);
	host->param_i64(run, "duration", 0, &self->duration_ns);
	host->param_i64(run, "depth", 0, &self->depth);
	self->size_bytes = (uint64_t)size / MEBIBYTE * MEBIBYTE;
	self->place = text_or(host, run, "place", NULL);
	self->guest = text_or(host, run, "guest_directory", "/var/tmp");
	self->engine = text_or(host, run, "engine", "libaio");
	if (strcmp(self->engine, "psync") == 0)
		self->depth = 1;
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct storage *self = calloc(1, sizeof(*self));
	char why[512];
	int status;

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	read_parameters(self, host, run);
	status = nova_workload_create(&self->work, &KIND, host, lab, run);
	nova_workload_shape(&self->work, self->place, 0);
	self->native = self->place ? self->place : host->directory(run, NOVA_DIRECTORY_RUN);
	if (status == NOVA_DONE && !self->native)
		status = host->error(run, NOVA_E_INTERNAL, "the host gave no directory");
	if (status == NOVA_DONE && storage_check_place(self->native, why, sizeof(why)) != 0)
		status = host->error(run, NOVA_E_INVALID, why);
	if (status == NOVA_DONE &&
	    storage_check_space(self->native, self->size_bytes + HEADROOM, why, sizeof(why)) != 0)
		status = host->error(run, NOVA_E_FULL, why);
	if (status == NOVA_DONE)
		*out = self;
	else
		destroy(self);
	return status;
}

/* A target that put its disks elsewhere would be measured there, and nobody would know. */
static int setup(void *context, nova_run run)
{
	struct storage *self = context;
	const struct nova_lab *lab = self->work.lab;
	char why[256] = "";

	if (!self->place || lab->can(run, 0, NOVA_CAN_PLACE, why, sizeof(why)))
		return NOVA_DONE;
	return self->work.host->errorf(run, NOVA_E_UNSUPPORTED,
	                               "place=%.200s: the target does not let its disks be put "
	                               "somewhere%s%s",
	                               self->place, why[0] ? ": " : "", why);
}

/* --- fio ---------------------------------------------------------------------------------- */

/*
 * $1: directory, $2: bytes, then the program. The file is opened, loses its name, and gets its
 * length, before it is anybody's; fio reaches it by its descriptor. Exit status 1, and a sentence.
 */
static const char SCRIPT[] =
        "d=$1 s=$2; shift 2\n"
        "no() { echo \"$d $1\" >&2; exit 1; }\n"
        "[ -d \"$d\" ] || no 'is no directory there'\n"
        "[ -w \"$d\" ] || no 'cannot be written to there'\n"
        "t=$(stat -f -c %T \"$d\" 2>/dev/null)\n"
        "case $t in tmpfs | ramfs) no \"is in memory ($t), not on a disk\" ;; esac\n"
        "k=$(df -Pk \"$d\" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)\n"
        "[ \"${k:-0}\" -gt $((s / 1024)) ] ||\n"
        "  no \"has ${k:-0} KiB free, and $((s / 1024)) KiB are needed: choose a smaller size, or "
        "a larger disk (vm.NAME.disk)\"\n"
        "f=$d/novacore-storage-$$\n"
        "exec 3<>\"$f\" && rm -f \"$f\" || no 'takes no file'\n"
        "dd if=/dev/null of=/proc/self/fd/3 bs=1 seek=\"$s\" 2>/dev/null || no 'takes no file'\n"
        "exec \"$@\"\n";

static const struct storage_job JOBS[] = {
        {"fill", 1}, {"read.seq", 0}, {"write.seq", 1}, {"read.rand", 0}, {"write.rand", 1}};
enum { FILL, READ_SEQ_JOB, WRITE_SEQ_JOB, READ_RAND_JOB, WRITE_RAND_JOB, JOB_COUNT };

struct command {
	const char *argv[60];
	size_t count;
	char size[32], file_size[32], depth[32], engine[32], threads[32], runtime[32];
};

static void add(struct command *command, const char *const *words)
{
	while (*words && command->count < sizeof(command->argv) / sizeof(*command->argv) - 1)
		command->argv[command->count++] = *words++;
	command->argv[command->count] = NULL;
}
#define ADD(command, ...) add(command, (const char *const[]){__VA_ARGS__, NULL})

static void make_command(const struct storage *self, uint32_t side, struct command *command)
{
	const char *directory = side == NOVA_SIDE_NATIVE ? self->native : self->guest;
	const char *runtime = command->runtime;

	command->count = 0;
	snprintf(command->size, sizeof(command->size), "%llu",
	         (unsigned long long)self->size_bytes);
	snprintf(command->file_size, sizeof(command->file_size), "--size=%llu",
	         (unsigned long long)self->size_bytes);
	snprintf(command->depth, sizeof(command->depth), "--iodepth=%lld", (long long)self->depth);
	snprintf(command->engine, sizeof(command->engine), "--ioengine=%.16s", self->engine);
	snprintf(command->threads, sizeof(command->threads), "--numjobs=%u", self->work.threads);
	snprintf(command->runtime, sizeof(command->runtime), "--runtime=%lld",
	         (long long)nova_workload_whole_seconds(self->duration_ns));
	ADD(command, "sh", "-c", SCRIPT, "novacore-storage", directory, command->size);
	ADD(command, "fio", "--output-format=json", "--thread", "--direct=1", command->engine,
	    command->depth, "--filename=/proc/self/fd/3", command->file_size, "--lat_percentiles=1",
	    "--clat_percentiles=0", "--group_reporting");
	ADD(command, "--name=fill", "--rw=write", "--bs=1M", "--end_fsync=1");
	ADD(command, "--name=read.seq", "--stonewall", "--rw=read", "--bs=1M", runtime,
	    "--time_based", command->threads);
	ADD(command, "--name=write.seq", "--stonewall", "--rw=write", "--bs=1M", runtime,
	    "--time_based", command->threads);
	ADD(command, "--name=read.rand", "--stonewall", "--rw=randread", "--bs=4k", runtime,
	    "--time_based", command->threads);
	ADD(command, "--name=write.rand", "--stonewall", "--rw=randwrite", "--bs=4k", runtime,
	    "--time_based", command->threads);
}

static void put_figures(struct nova_workload *work, const struct storage_figures *figures)
{
	nova_workload_put(work, &READ_SEQ, figures[READ_SEQ_JOB].bytes_per_s);
	nova_workload_put(work, &WRITE_SEQ, figures[WRITE_SEQ_JOB].bytes_per_s);
	nova_workload_put(work, &READ_RAND, figures[READ_RAND_JOB].per_s);
	nova_workload_put(work, &WRITE_RAND, figures[WRITE_RAND_JOB].per_s);
	nova_workload_put(work, &READ_P50, figures[READ_RAND_JOB].p50_s);
	nova_workload_put(work, &READ_P99, figures[READ_RAND_JOB].p99_s);
	nova_workload_put(work, &WRITE_P50, figures[WRITE_RAND_JOB].p50_s);
	nova_workload_put(work, &WRITE_P99, figures[WRITE_RAND_JOB].p99_s);
}

static void measure(struct storage *self, uint32_t side)
{
	struct nova_workload *work = &self->work;
	struct storage_figures figures[JOB_COUNT];
	struct command command;
	char why[512], reason[600];

	if (storage_check_space(self->native, self->size_bytes + HEADROOM, why, sizeof(why)) != 0) {
		nova_workload_reject(work, MEASURED, why);
		return;
	}
	make_command(self, side, &command);
	if (nova_workload_run(work, command.argv, JOB_COUNT * self->duration_ns, MEASURED) !=
	    NOVA_DONE)
		return;
	if (storage_read_fio(work->output, work->output_bytes, JOBS, JOB_COUNT, figures, why,
	                     sizeof(why)) == 0) {
		put_figures(work, figures);
		return;
	}
	snprintf(reason, sizeof(reason), "fio's report is not what it should be: %s", why);
	nova_workload_reject(work, MEASURED, reason);
}

static int replicate(void *context, nova_run run, uint32_t index, uint32_t side)
{
	struct storage *self = context;

	(void)run;
	(void)index;
	if (nova_workload_begin(&self->work, side) == NOVA_DONE)
		measure(self, side);
	return nova_workload_end(&self->work);
}

static const char *const NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_READY, NOVA_CAN_EXEC,
                                    NULL};

static const struct nova_benchmark BENCHMARK = {
        .struct_size = sizeof(BENCHMARK),
        .flags = NOVA_BENCHMARK_NATIVE,
        .targets_min = 1,
        .needs = NEEDS,
        .metrics = METRICS,
        .create = create,
        .setup = setup,
        .replicate = replicate,
        .destroy = destroy,
};

static const struct nova_plugin STORAGE = {
        .struct_size = sizeof(STORAGE),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "storage",
        .version = "1",
        .summary = "Disks of fresh VMs and of this host: fio with direct I/O",
        .license = "MIT",
        .parameters = PARAMETERS,
        .ops = &BENCHMARK,
};

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, STORAGE)
