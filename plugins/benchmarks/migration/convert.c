/* SPDX-License-Identifier: MIT */
/*
 * What a move to another kind of hypervisor costs: there is no live migration between kinds, so the
 * disk of a VM that is off is converted, on this host, by qemu-img. A VM's disk is a fresh overlay
 * over the image that VMs boot from, as drivers make it.
 */
#include "migration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct work {
	struct migration *self;
	const char *image;
	char source[4096], target[4096];
};

static const char *format_of(const char *path)
{
	char magic[4] = "";
	FILE *file = fopen(path, "re");
	size_t count = file ? fread(magic, 1, sizeof(magic), file) : 0;

	if (file)
		fclose(file);
	return count == sizeof(magic) && memcmp(magic, "QFI\xfb", 4) == 0 ? "qcow2" : "raw";
}

/* Runs it on this host; its stamps, or why it failed. */
static int run(struct migration *self, const char *const *argv, struct nova_sample *sample,
               char why[WHY_BYTES])
{
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct nova_result from = {.struct_size = sizeof(from)}, to = from, result = from;
	int status = self->lab->exec(self->run, 0, &exec, self->host->now_ns() + self->timeout_ns);

	if (ends_the_run(status))
		return status;
	self->lab->result(self->run, 0, NOVA_FIELD_STARTED_NS, 0, &from);
	self->lab->result(self->run, 0, NOVA_FIELD_RETURNED_NS, 0, &to);
	sample->value = (double)(to.i64 - from.i64) / 1e9;
	sample->t_ns = to.i64;
	if (status == NOVA_DONE &&
	    self->lab->result(self->run, 0, NOVA_FIELD_EXIT_STATUS, 0, &result) == NOVA_DONE &&
	    result.i64 == 0)
		return NOVA_DONE;
	snprintf(why, WHY_BYTES, "%s did not convert the disk", argv[0]);
	result = (struct nova_result){.struct_size = sizeof(result)};
	if (self->lab->result(self->run, 0, NOVA_FIELD_STDERR, 0, &result) == NOVA_DONE)
		snprintf(why, WHY_BYTES, "%s: %.*s", argv[0],
		         (int)(result.byte_count < 400 ? result.byte_count : 400),
		         (const char *)result.bytes);
	return status == NOVA_E_TIMEOUT ? status : NOVA_E_FAILED;
}

static int convert_to(struct work *work, const struct nova_metric *metric, const char *format,
                      uint32_t *failed)
{
	struct migration *self = work->self;
	/* writeback: what is written is on the disk at the end, and not only in memory */
	const char *const make[] = {
	        "qemu-img", "create",    "-q",         "-f", "qcow2", "-F", format_of(work->image),
	        "-b",       work->image, work->source, NULL};
	const char *const move[] = {"qemu-img",   "convert",    "-f", "qcow2",
	                            "-O",         format,       "-t", "writeback",
	                            work->source, work->target, NULL};
	struct nova_sample sample = {.struct_size = sizeof(sample), .metric = metric->name};
	char why[WHY_BYTES];
	int status = run(self, make, &sample, why);

	if (status == NOVA_DONE)
		status = run(self, move, &sample, why);
	unlink(work->source);
	unlink(work->target);
	if (ends_the_run(status))
		return status;
	sample.status = sample_status(status);
	sample.why = status == NOVA_DONE ? NULL : why;
	*failed += status != NOVA_DONE;
	return self->lab->sample(self->run, &sample);
}

int convert(struct migration *self, uint32_t *failed)
{
	static const struct {
		const struct nova_metric *metric;
		const char *format;
	} kinds[] = {{&TO_RAW, "raw"}, {&TO_VMDK, "vmdk"}, {&TO_VHDX, "vhdx"}};
	const char *directory = self->host->directory(self->run, NOVA_DIRECTORY_RUN);
	struct work work = {.self = self,
	                    .image = self->host->param_text(self->run, "guest_image", 0)};
	int status = NOVA_DONE;

	*failed = 0;
	if (!work.image || !*work.image || !directory)
		return self->host->error(
		        self->run, NOVA_E_INVALID,
		        "there is no disk to convert: name one with migration.guest_image");
	snprintf(work.source, sizeof(work.source), "%s/conversion.qcow2", directory);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == NOVA_DONE; i++) {
		snprintf(work.target, sizeof(work.target), "%s/conversion.%s", directory,
		         kinds[i].format);
		status = convert_to(&work, kinds[i].metric, kinds[i].format, failed);
	}
	return status;
}
