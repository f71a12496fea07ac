/* SPDX-License-Identifier: MIT */
/* How far the load in the guest is: a file that novacore's init keeps, "PAGES NS". */
#include "migration.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS (60 * SECOND_NS) /* for all pages to be touched once; emulation is slow */

/* Exactly two numbers and the end of the line; anything else is no progress. */
static int parse(const char *text, struct progress *progress)
{
	unsigned long long pages, ns;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -1;
	pages = strtoull(text, &end, 10);
	if (*end != ' ' || !isdigit((unsigned char)end[1]))
		return -1;
	ns = strtoull(end + 1, &end, 10);
	if (strcmp(end, "\n") != 0)
		return -1;
	progress->pages = pages;
	progress->guest_ns = ns;
	return 0;
}

/* All chunks of what the program has written. */
static void gather(struct migration *self, nova_vm vm, char *text, size_t room)
{
	struct nova_result piece = {.struct_size = sizeof(piece)};
	size_t length = 0;

	for (uint32_t i = 0;
	     self->lab->result(self->run, vm, NOVA_FIELD_STDOUT, i, &piece) == NOVA_DONE; i++) {
		size_t count = (size_t)piece.byte_count;

		if (count > room - 1 - length)
			count = room - 1 - length;
		memcpy(text + length, piece.bytes, count);
		length += count;
	}
	text[length] = '\0';
}

int run_in(struct migration *self, nova_vm vm, const char *const *argv, char *text, size_t room)
{
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct nova_result exit_status = {.struct_size = sizeof(exit_status)};
	int status = self->lab->exec(self->run, vm, &exec, 0);

	if (status != NOVA_DONE)
		return status;
	if (self->lab->result(self->run, vm, NOVA_FIELD_EXIT_STATUS, 0, &exit_status) !=
	            NOVA_DONE ||
	    exit_status.i64 != 0)
		return NOVA_E_NOT_FOUND;
	gather(self, vm, text, room);
	return NOVA_DONE;
}

int read_progress(struct traveller *traveller, struct progress *progress)
{
	static const char *const argv[] = {"cat", "/run/novacore-dirty", NULL};
	struct migration *self = traveller->self;
	struct nova_result from = {.struct_size = sizeof(from)}, to = from;
	char text[128];
	int status = run_in(self, traveller->vm, argv, text, sizeof(text));

	if (status != NOVA_DONE)
		return status;
	self->lab->result(self->run, traveller->vm, NOVA_FIELD_STARTED_NS, 0, &from);
	self->lab->result(self->run, traveller->vm, NOVA_FIELD_RETURNED_NS, 0, &to);
	progress->at_ns = from.i64 + (to.i64 - from.i64) / 2;
	return parse(text, progress) == 0 ? NOVA_DONE : NOVA_E_BUSY;
}

int await_load(struct traveller *traveller)
{
	struct migration *self = traveller->self;
	int64_t until_ns = self->host->now_ns() + START_NS;
	struct progress progress;
	int status;

	if (!self->load || !self->exec || !self->ready)
		return NOVA_DONE;
	/* It says that it is at 0 until all of its memory is there. */
	for (;;) {
		status = read_progress(traveller, &progress);
		if (status == NOVA_DONE && progress.pages == 0)
			status = NOVA_E_BUSY;
		if (status != NOVA_E_BUSY || self->host->now_ns() >= until_ns)
			break;
		status = let_pass(traveller, SECOND_NS / 10);
		if (status != NOVA_DONE)
			break;
	}
	if (ends_the_run(status))
		return status;
	traveller->loaded = status == NOVA_DONE;
	if (traveller->loaded)
		return NOVA_DONE;
	if (status == NOVA_E_NOT_FOUND)
		return self->host->error(
		        self->run, NOVA_E_UNSUPPORTED,
		        "the guest has no load on its memory: only novacore's appliance, booted "
		        "directly, makes one; use --set migration.load=0 with other images");
	return self->host->error(self->run, NOVA_E_FAILED,
	                         "the load on the guest's memory did not start; the VM's console "
	                         "says why (does migration.working_set fit into its memory?)");
}

double rate_between(const struct progress *from, const struct progress *to)
{
	return to->guest_ns > from->guest_ns && to->pages >= from->pages
	               ? (double)(to->pages - from->pages) /
	                         ((double)(to->guest_ns - from->guest_ns) / 1e9)
	               : 0;
}
