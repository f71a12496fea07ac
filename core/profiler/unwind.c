/* SPDX-License-Identifier: MIT */
/*
 * Stacks of programs without frame pointers: the kernel copies registers and the top of the stack
 * into the sample, and libdwfl walks up by what compilers write for exceptions (.eh_frame). What is
 * read of a process's files is kept for its next samples, and made anew when its maps change. Files
 * themselves are not mapped: they are others', and may shrink.
 */
#include "core/profiler/record.h"

#include <elfutils/libdwfl.h>
#include <string.h>
#include <unistd.h>

#define MOST_PROCESSES 16u
#define REGISTERS      17u         /* x86-64's, with the instruction pointer */
#define MOST_COPIED    (24u << 20) /* then they are read anew as they are needed */

struct process {
	int32_t pid;
	uint32_t changes; /* of its space when its files were looked at */
	uint64_t used;
	Dwfl *dwfl;
};

struct copy {
	uint32_t object; /* whose it is */
	int fd;          /* -1: there is nothing in it */
};

struct unwinder {
	struct process processes[MOST_PROCESSES];
	struct copy *copies; /* of files, for all processes */
	uint32_t copy_count;
	uint64_t copied;
	uint64_t clock;
	/* the sample in hand */
	const struct event *event;
	uint64_t *addresses;
	size_t room, count;
};

/* --- what libdwfl asks for -------------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *unwinder, void **thread)
{
	if (*thread)
		return 0;
	*thread = unwinder;
	return dwfl_pid(dwfl);
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *context)
{
	const struct event *event = ((struct unwinder *)context)->event;
	uint64_t stack = event_register(event, EVENT_REGISTER_SP);

	(void)dwfl;
	if (address < stack || address - stack > event->stack_bytes ||
	    event->stack_bytes - (address - stack) < sizeof(uint64_t))
		return false;
	memcpy(result, (const char *)event->stack + (address - stack), sizeof(uint64_t));
	return true;
}

/* perf numbers registers as asm/perf_regs.h does, DWARF as the ABI of x86-64 (figure 3.36). */
static bool set_registers(Dwfl_Thread *thread, void *context)
{
	static const unsigned char number[REGISTERS] = {0,  3,  2,  1,  4,  5,  6,  7, 9,
	                                                10, 11, 12, 13, 14, 15, 16, 8};
	const struct event *event = ((struct unwinder *)context)->event;
	Dwarf_Word registers[REGISTERS];

	for (size_t i = 0; i < REGISTERS; i++)
		registers[i] = event_register(event, number[i]);
	return dwfl_thread_state_registers(thread, 0, REGISTERS, registers);
}

static const Dwfl_Thread_Callbacks threads = {.next_thread = next_thread,
                                              .memory_read = read_memory,
                                              .set_initial_registers = set_registers};

/* Debug files are not looked for: it takes long, and what unwinds is in the file itself. */
static int no_debug_file(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                         const char *file, const char *link, GElf_Word crc, char **found)
{
	(void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc;
	*found = NULL;
	return -1;
}

static const Dwfl_Callbacks callbacks = {.find_debuginfo = no_debug_file,
                                         .section_address = dwfl_offline_section_address};

/* --- a process's files ------------------------------------------------------------------------ */

/* What is added to the file's addresses where it is mapped. */
static bool find_bias(int fd, const struct map *map, uint64_t *bias)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	size_t count = 0;
	bool found = false;

	if (!elf)
		return false;
	if (elf_getphdrnum(elf, &count))
		count = 0;
	for (size_t i = 0; i < count && !found; i++) {
		GElf_Phdr head;

		if (gelf_getphdr(elf, (int)i, &head) && head.p_type == PT_LOAD &&
		    (head.p_flags & PF_X) && map->offset + 4096 > head.p_offset &&
		    map->offset < head.p_offset + head.p_filesz) {
			*bias = map->start - map->offset - (head.p_vaddr - head.p_offset);
			found = true;
		}
	}
	elf_end(elf);
	return found;
}

static void forget_copies(struct unwinder *unwinder)
{
	for (uint32_t i = 0; i < unwinder->copy_count; i++)
		nova_cleanup_close(&unwinder->copies[i].fd);
	unwinder->copy_count = 0;
	unwinder->copied = 0;
}

/* The caller's; -1. */
static int copy_of(struct unwinder *unwinder, const struct object *object, uint32_t number,
                   int32_t pid, const struct map *map)
{
	struct copy *copy;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < unwinder->copy_count; i++)
		if (unwinder->copies[i].object == number)
			return unwinder->copies[i].fd < 0 ? -1 : dup(unwinder->copies[i].fd);
	if (unwinder->copied > MOST_COPIED)
		forget_copies(unwinder);
	NOVA_AUTOCLOSE int fd = object->kind == OBJECT_FILE ? object_open(object, pid, map) : -1;

	unwinder->copies =
	        nova_grow(unwinder->copies, unwinder->copy_count, sizeof(*unwinder->copies));
	copy = &unwinder->copies[unwinder->copy_count++];
	*copy = (struct copy){number, object->kind == OBJECT_VDSO ? object_vdso() : -1};
	if (fd >= 0)
		copy->fd = frames_copy(fd, &bytes);
	unwinder->copied += bytes;
	return copy->fd < 0 ? -1 : dup(copy->fd);
}

static void report(struct unwinder *unwinder, Dwfl *dwfl, const struct object *object,
                   uint32_t number, int32_t pid, const struct map *map)
{
	int fd = copy_of(unwinder, object, number, pid, map);
	uint64_t bias;

	if (fd < 0)
		return;
	/* once it is reported the descriptor is libdwfl's */
	if (!find_bias(fd, map, &bias) ||
	    !dwfl_report_elf(dwfl, object->path, object->path, fd, bias, true))
		close(fd);
}

/* A file may be mapped in several pieces; one tells where the others are. */
static bool is_reported(const struct space *space, uint32_t number)
{
	for (uint32_t i = 0; i < number; i++)
		if (space->maps[i].object == space->maps[number].object)
			return true;
	return false;
}

static void look_at_files(struct unwinder *unwinder, struct process *process,
                          const struct spaces *spaces, const struct space *space)
{
	process->pid = space->pid;
	process->changes = space->changes;
	process->dwfl = dwfl_begin(&callbacks);
	if (!process->dwfl)
		return;
	dwfl_report_begin(process->dwfl);
	for (uint32_t i = 0; i < space->count; i++)
		if (!is_reported(space, i))
			report(unwinder, process->dwfl, &spaces->objects[space->maps[i].object],
			       space->maps[i].object, space->pid, &space->maps[i]);
	dwfl_report_end(process->dwfl, NULL, NULL);
	if (!dwfl_attach_state(process->dwfl, NULL, space->pid, &threads, unwinder)) {
		dwfl_end(process->dwfl);
		process->dwfl = NULL;
	}
}

static struct process *process_of(struct unwinder *unwinder, const struct spaces *spaces,
                                  const struct space *space)
{
	struct process *oldest = &unwinder->processes[0];

	for (size_t i = 0; i < MOST_PROCESSES; i++) {
		struct process *process = &unwinder->processes[i];

		if (process->pid == space->pid && process->changes == space->changes) {
			process->used = ++unwinder->clock;
			return process;
		}
		if (process->pid == space->pid || process->used < oldest->used)
			oldest = process;
		if (process->pid == space->pid)
			break; /* its maps have changed */
	}
	if (oldest->dwfl)
		dwfl_end(oldest->dwfl);
	*oldest = (struct process){.used = ++unwinder->clock};
	look_at_files(unwinder, oldest, spaces, space);
	return oldest;
}

/* --- a sample --------------------------------------------------------------------------------- */

static int on_frame(Dwfl_Frame *frame, void *context)
{
	struct unwinder *unwinder = context;
	Dwarf_Addr address;
	bool here;

	if (!dwfl_frame_pc(frame, &address, &here))
		return DWARF_CB_ABORT;
	if (unwinder->count == unwinder->room)
		return DWARF_CB_ABORT;
	/* a return address may be the next function's first */
	unwinder->addresses[unwinder->count++] = here || !address ? address : address - 1;
	return DWARF_CB_OK;
}

size_t unwind(struct unwinder *unwinder, const struct spaces *spaces, const struct space *space,
              const struct event *event, uint64_t *addresses, size_t room)
{
	struct process *process = process_of(unwinder, spaces, space);

	unwinder->event = event;
	unwinder->addresses = addresses;
	unwinder->room = room;
	unwinder->count = 0;
	if (process->dwfl)
		dwfl_getthread_frames(process->dwfl, space->pid, on_frame, unwinder);
	if (!unwinder->count && room)
		addresses[unwinder->count++] = event_register(event, EVENT_REGISTER_IP);
	return unwinder->count;
}

struct unwinder *unwinder_new(void)
{
	elf_version(EV_CURRENT);
	return nova_alloc(sizeof(struct unwinder));
}

void unwinder_free(struct unwinder *unwinder)
{
	for (size_t i = 0; unwinder && i < MOST_PROCESSES; i++)
		if (unwinder->processes[i].dwfl)
			dwfl_end(unwinder->processes[i].dwfl);
	if (unwinder) {
		forget_copies(unwinder);
		free(unwinder->copies);
	}
	free(unwinder);
}
