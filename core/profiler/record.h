/* SPDX-License-Identifier: MIT */
/*
 * What the files of recording share. The way of a sample: the kernel's rings (ring.c) hold events
 * (event.c), which are put in order; maps and names of processes are followed (space.c), stacks
 * are counted (tally.c) and written once a second (writer.c). After sampling the file is read back
 * (recording.c), its addresses get names (symbols.c and what it calls), and the names are written
 * behind the counts.
 */
#ifndef NOVACORE_PROFILER_RECORD_H
#define NOVACORE_PROFILER_RECORD_H

#include "core/profiler/inside.h"

#include <linux/perf_event.h>

#define BUILD_ID_BYTES 20u
#define COMM_BYTES     16u /* of a thread's name, with its end: TASK_COMM_LEN */

/* --- index.c: numbers found again by a hash ----------------------------------------------------
 */

struct index_slot {
	uint64_t hash;
	uint32_t number; /* plus 1; 0: free */
};
struct index {
	struct index_slot *slots;
	size_t room, used;
};
/* for (at = hash; index_next(…, &at, &number);) gives each number that has this hash. */
bool index_next(const struct index *index, uint64_t hash, uint64_t *at, uint32_t *number);
void index_add(struct index *index, uint64_t hash, uint32_t number);
void index_clear(struct index *index); /* keeps its room */
void index_free(struct index *index);

/* --- lanes.c: what is counted --------------------------------------------------------------------
 * A recording has one or more lanes, and each of them two values: how often, and how much.
 */

enum lane_kind { LANE_CPU, LANE_OFF_CPU, LANE_LOCK, LANE_FAULTS, LANE_ALLOCATIONS, LANE_KINDS };
struct lane {
	const char *name; /* of its files, too */
	struct nova_value_type often, much;
	bool shows_much; /* the second is what is meant if nobody says */
};
extern const struct lane lanes[LANE_KINDS];
/* LANE_KINDS: there is none of that name. */
enum lane_kind lane_of(const char *name);

/* What makes samples. */
enum sampler_kind {
	SAMPLE_CPU,        /* cycles or the CPU's clock */
	SAMPLE_SWITCHES,   /* where threads leave their CPU */
	SAMPLE_CONTENTION, /* where the kernel waits for its locks, and where that ends */
	SAMPLE_FAULTS,
	SAMPLE_ALLOCATIONS,
	SAMPLE_KINDS
};

/* --- event.c: what the kernel writes into a ring -------------------------------------------------
 */

#define EVENT_SAMPLE_TYPE                                                                          \
	(PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU |                   \
	 PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN)

struct event {
	uint32_t type; /* PERF_RECORD_* */
	uint32_t misc;
	uint32_t pid, tid, cpu;
	uint64_t time;   /* CLOCK_MONOTONIC */
	uint32_t parent; /* FORK: pid */
	uint64_t ip, period;
	const void *chain; /* SAMPLE: u64s, perhaps unaligned */
	size_t depth;
	const void *registers; /* SAMPLE with stacks: u64s; NULL: of the kernel alone */
	const void *stack;     /* from where the stack pointer is */
	size_t stack_bytes;
	const void *raw; /* SAMPLE with EVENT_RAW: what the tracepoint or program says */
	size_t raw_bytes;
	uint64_t caller; /* a return address that the chain lacks behind its first, or 0 */
	uint8_t sampler; /* enum sampler_kind: whose ring it was in */
	uint64_t start, length, offset, inode; /* MMAP2; KSYMBOL: start, length */
	uint32_t major, minor;
	uint8_t build_id[BUILD_ID_BYTES];
	uint32_t build_id_bytes;
	bool executable;
	bool unregister;  /* KSYMBOL */
	const char *name; /* MMAP2, COMM, KSYMBOL */
	size_t name_length;
	uint64_t lost;
};
#define EVENT_STACKS 1u /* samples hold registers and a piece of the stack, too */
#define EVENT_RAW    2u /* samples hold what their origin says of them */
#define EVENT_EQUAL  4u /* samples do not hold their period */
/* `extra`: EVENT_STACKS, EVENT_RAW, EVENT_EQUAL. False if the record is not what the kernel
 * documents. Types that nobody asked for have nothing but `type`. Texts are the record's. */
bool event_read(const void *record, size_t bytes, unsigned extra, struct event *event);
uint64_t event_chain_at(const struct event *event, size_t i);
/* Registers of x86-64 that unwinding needs, as asm/perf_regs.h numbers them. */
#define EVENT_REGISTERS      0xff01ffull
#define EVENT_REGISTER_COUNT 17u
#define EVENT_REGISTER_SP    7u /* places in an event, not in asm/perf_regs.h */
#define EVENT_REGISTER_IP    8u
#define EVENT_STACK_BYTES    8192u
uint64_t event_register(const struct event *event, size_t place);

/* --- ring.c -------------------------------------------------------------------------------------
 */

/* Bytes between tail and head of a buffer whose length is a power of two. */
struct ring {
	int fd, cpu;     /* the event whose ring it is */
	uint8_t extra;   /* EVENT_*: what its samples have */
	uint8_t sampler; /* enum sampler_kind */
	const char *data;
	size_t bytes;
	uint64_t tail, head;
	struct perf_event_mmap_page *page; /* NULL: of a test */
	char *scratch;                     /* for a record that goes over the end */
	struct event next;                 /* the one at the tail */
	size_t next_bytes;                 /* 0: not read yet */
	uint64_t broken;                   /* records that were none */
};
int ring_map(struct ring *ring, int fd, size_t pages, struct nova_error *error);
void ring_unmap(struct ring *ring);
/* Calls `take` for each event up to `until_ns`, in the order of their times; later ones stay. */
void rings_drain(struct ring *rings, size_t count, uint64_t until_ns,
                 void (*take)(void *context, const struct event *event), void *context);

/* --- space.c: what is mapped where in each process -----------------------------------------------
 */

enum object_kind {
	OBJECT_UNKNOWN, /* nothing is mapped there */
	OBJECT_FILE,
	OBJECT_KERNEL,
	OBJECT_VDSO,
	OBJECT_JIT,   /* made at run time: anonymous memory of one process */
	OBJECT_GUEST, /* of pid, if that is not 0: code that this QEMU made of the guest's */
	OBJECT_GUEST_KERNEL,
	OBJECT_GUEST_USER,
	OBJECT_GUEST_FILE, /* path: inside of the guest */
	OBJECT_KINDS
};
/* A file, or what stands for one. Offsets are the file's; of JIT, kernels and guests addresses. */
struct object {
	uint8_t kind;
	uint8_t build_id_bytes;
	uint8_t build_id[BUILD_ID_BYTES];
	int32_t pid; /* of JIT and the guest's code, else 0 */
	char *path;
	/* while recording */
	uint64_t inode;
	uint32_t major, minor;
	uint32_t written; /* its number in the recording plus 1, 0: not yet there */
	int fd;           /* kept if the path names another file; -1 */
	bool named;       /* what could be named has been */
};
struct map {
	uint64_t start, end, offset;
	uint32_t object;
};
struct space {
	int32_t pid;
	bool dead;
	uint32_t changes; /* how often its maps have changed */
	uint32_t guest;   /* the object of what it makes of a guest's code; 0: not looked yet */
	struct map *maps; /* sorted, apart from each other */
	uint32_t count, room;
};
struct spaces {
	struct object *objects; /* the first have numbers below */
	uint32_t object_count;
	struct index object_index;
	struct space *spaces;
	uint32_t count;
	struct index by_pid;
	uint64_t map_count;
};
#define OBJECT_NUMBER_UNKNOWN      0u
#define OBJECT_NUMBER_KERNEL       1u
#define OBJECT_NUMBER_GUEST        2u
#define OBJECT_NUMBER_WAITING      3u /* for a CPU: it could run */
#define OBJECT_NUMBER_GUEST_KERNEL 4u
#define OBJECT_NUMBER_GUEST_USER   5u

void spaces_start(struct spaces *spaces);
void spaces_free(struct spaces *spaces);
/* The process's space, read from /proc if it is not known yet; until the next call. */
struct space *spaces_of(struct spaces *spaces, int32_t pid);
void spaces_map(struct spaces *spaces, const struct event *event);
void spaces_fork(struct spaces *spaces, int32_t parent, int32_t child);
void spaces_exec(struct spaces *spaces, int32_t pid); /* its maps are gone */
void spaces_exit(struct spaces *spaces, int32_t pid);
void spaces_sweep(struct spaces *spaces); /* forgets those that have ended */
/* NULL if nothing is mapped there. */
const struct map *space_find(const struct space *space, uint64_t address);
void space_insert(struct spaces *spaces, struct space *space, const struct map *map);
/* The object of code that the process, a QEMU, makes of its guest's. */
uint32_t spaces_translated(struct spaces *spaces, struct space *space);
/* A file of that path inside of the guest; its number. */
uint32_t spaces_guest_file(struct spaces *spaces, const char *path, size_t length);

/* A line of /proc/PID/maps; `path` is the line's own, not ended. */
struct maps_line {
	uint64_t start, end, offset, inode;
	uint32_t major, minor;
	bool executable;
	const char *path;
	size_t path_length;
};
bool maps_line_read(const char *line, size_t length, struct maps_line *out);

/* --- object.c: the files themselves --------------------------------------------------------------
 */

/* Opens what the process has mapped there, wherever its root is and though it may be deleted; finds
 * its build-id, and keeps the descriptor if nobody else could open it later. */
void object_probe(struct object *object, int32_t pid, const struct map *map);
/* The same file, for reading; or -1. */
int object_open(const struct object *object, int32_t pid, const struct map *map);
/* The build-id of an ELF file; its length, 0 if there is none. */
uint32_t object_build_id(int fd, uint8_t build_id[BUILD_ID_BYTES]);
/* Opens a file below a directory as if that were the root: links and ".." do not lead out of it. */
int object_open_below(const char *root, const char *path);
/* What the process writes of code that it makes: /tmp/perf-PID.map, in its container, too; or -1.
 */
int object_jit_map(int32_t pid);
/* The vDSO of this process, which is that of all: a file in memory, or -1. */
int object_vdso(void);
/* Of /sys/kernel/notes. */
uint32_t object_kernel_build_id(uint8_t build_id[BUILD_ID_BYTES]);

/* --- writer.c and chunk.c: the file -------------------------------------------------------------
 * "novarec" and a version, then chunks: kind, length and CRC-32 of both and the data (32 bits each,
 * little-endian), the data. Numbers in them are LEB128. What is only half there at the end is what
 * a killed process did not finish, and is skipped.
 */

#define RECORDING_MAGIC "novarec\1"
#define MAGIC_BYTES     8u
#define CHUNK_HEAD      12u
#define CHUNK_BYTES     (8u << 20) /* of its data at most */

enum chunk_kind {
	CHUNK_ABOUT = 1, /* JSON: what is recorded, how and where */
	CHUNK_OBJECTS,   /* kind, pid, build-id, path */
	CHUNK_STACKS,    /* depth, then object and offset from the leaf to the root */
	CHUNK_THREADS,   /* pid, tid, vcpu + 1, name of the process and of the thread */
	CHUNK_COUNTS,    /* stack, thread, cpu + 1, how often, how much */
	CHUNK_RESET,     /* numbers of stacks and threads begin anew */
	CHUNK_STATUS,    /* JSON: how it went until now */
	CHUNK_END,       /* the same when it is over */
	CHUNK_SYMBOLS,   /* of one object: offset, functions */
	CHUNK_KSYMBOLS,  /* start, length, name: what the kernel made at run time */
	CHUNK_LANE,      /* the number of a lane, then as CHUNK_COUNTS, which is of lane 0 */
	CHUNK_NOTES = 32 /* texts: what has no names, and why */
};

struct writer {
	int fd;
	const char *path;
	struct nova_text buffer; /* whole chunks */
	size_t open;             /* where the data of the chunk in work begin */
	uint64_t bytes;          /* written */
};
int writer_open(struct writer *writer, const char *path, struct nova_error *error);
/* At the end of a recording that is there, behind its last whole chunk. */
int writer_reopen(struct writer *writer, const char *path, uint64_t at, struct nova_error *error);
void writer_begin(struct writer *writer, enum chunk_kind kind);
void writer_end(struct writer *writer);
void writer_number(struct writer *writer, uint64_t number);
void writer_text(struct writer *writer, const void *text, size_t length);
void writer_json(struct writer *writer, enum chunk_kind kind, const json_t *json);
int writer_flush(struct writer *writer, struct nova_error *error);
int writer_close(struct writer *writer, struct nova_error *error); /* with fsync */

/* Reads numbers and texts of a chunk; `bad` once something is not there. */
struct chunk {
	uint32_t kind;
	const char *at, *end;
	bool bad;
};
uint64_t chunk_number(struct chunk *chunk);
const char *chunk_text(struct chunk *chunk, size_t *length);
/* 1: the next one, until the next call; 0: the file has ended; `torn` bytes were left over. */
int chunk_next(struct source *source, struct chunk *chunk, uint64_t *torn,
               struct nova_error *error);

/* --- guest.c: what is inside of a VM --------------------------------------------------------- */

struct guest {
	bool kernel;        /* addresses of its kernel are kept: they can be named */
	struct space space; /* the maps of its process whose functions can be named */
};
/* NOVA_E_INVALID says which of the files is not what it should be. */
int guest_start(struct guest *guest, struct spaces *spaces, const struct nova_record_guest *files,
                struct nova_error *error);
/* The object of an address in the guest, and the offset there; 0: of what is not told apart. */
uint32_t guest_place(const struct guest *guest, uint64_t context, uint64_t address,
                     uint64_t *offset);
bool guest_has(enum object_kind kind); /* it is one of a guest */
/* {"kallsyms": …, "root": …}, which symbols_guest.c reads. */
json_t *guest_about(const struct nova_record_guest *files);
void guest_free(struct guest *guest);

/* --- vm.c: what QEMU's threads are ---------------------------------------------------------------
 */

enum vm_part {
	VM_GUEST, /* inside of the guest */
	VM_VCPU,  /* vCPUs' threads, outside of it */
	VM_EMULATOR,
	VM_IO,
	VM_VHOST,
	VM_OTHER,
	VM_PARTS
};
/* Whose is a thread of a QEMU, by its name? */
enum vm_part vm_part_of(const char *name, bool first);
/* What this thread runs in user space may be a guest's code that QEMU made the host's (TCG). */
bool vm_translates(const char *name);
/* Kernel threads that work for the process are added. */
void vm_kernel_threads(int32_t pid, int32_t **tids, size_t *count);

/* --- locks.c: which functions of the kernel wait for locks
 * ----------------------------------------
 */

struct locks;
/* By name, from /proc/kallsyms; with `kernel`, the kernel's own locks, too, not only futexes. NULL:
 * its addresses may not be read. */
struct locks *locks_new(bool kernel);
struct locks *locks_read(FILE *kallsyms, bool kernel);
void locks_free(struct locks *locks);
bool locks_wait(const struct locks *locks, const struct event *event);
/* The numbers of lock:contention_begin and _end, or 0 and why they are not there. */
bool locks_tracepoints(uint16_t *begins, uint16_t *ends, char why[200]);
#define LOCKS_RAW_ADDRESS 8u /* where their records have the lock */

/* --- tally.c -------------------------------------------------------------------------------------
 */

struct tally_frame {
	uint32_t object;
	bool guest; /* inside of a VM */
	uint64_t offset;
};
struct tally_stack {
	uint32_t first, depth; /* in frames */
};
/* When a wait began, with which stack, and how many such it stands for; since 0: there is none. */
struct tally_wait {
	uint64_t since, weight;
	uint32_t stack, cpu;
};
/* Who waits for which of the kernel's locks. */
struct tally_contention {
	struct tally_wait wait;
	uint64_t lock; /* its address */
	int32_t tid;
};
struct tally_thread {
	int32_t pid, tid;
	char name[COMM_BYTES];
	uint32_t written;       /* as of an object */
	bool dead, past;        /* past: it has another name by now */
	struct tally_wait left; /* for its CPU, or whatever it has left it for */
	bool for_lock;          /* it left because it waits for a lock */
};
struct tally_count {
	uint32_t stack, thread, cpu;
	uint32_t lane;
	uint64_t often, much;
};
/* What counts: what was seen between two times, so many times more. */
struct allocation_window {
	uint64_t from_ns, until_ns;
	double factor;
};
#define TALLY_DEPTH 1024u /* frames of a stack at most */
struct tally {
	struct spaces spaces;
	struct writer *writer;
	struct tally_frame current[TALLY_DEPTH]; /* of the sample in hand */
	struct tally_frame *frames;
	struct tally_stack *stacks;
	struct tally_thread *threads;
	struct tally_count *counts; /* since the last flush */
	struct tally_contention *contended;
	uint32_t contended_count;
	uint32_t frame_count, stack_count, thread_count, count_count;
	uint32_t written_objects, written_stacks, written_threads;
	struct index stack_index, thread_index, count_index, written_index;
	uint64_t sample_ns;         /* what one sample of the CPU stands for; 0: its own period */
	uint32_t lanes[LANE_KINDS]; /* numbers of those that are counted, plus 1 */
	uint32_t lane_count;
	const struct locks *locks; /* NULL: no wait is one for a lock */
	uint16_t contention_ends;  /* the tracepoint */
	uint64_t page_bytes;
	struct allocation_window window;
	uint64_t weights[SAMPLE_KINDS]; /* of samples that do not say it */
	struct unwinder *unwinder;      /* NULL: stacks are those of frame pointers */
	struct guest guest;
	struct {
		bool is;       /* all samples are of a QEMU: what is below is counted */
		bool named;    /* threads of vCPUs were seen by their names */
		bool kvm, tcg; /* and what runs their code */
		uint64_t samples[VM_PARTS];
	} vm;
	/* what it has seen */
	uint64_t samples, lost, throttled, user_stacks, short_stacks, resets, forks;
	uint64_t lost_of[SAMPLE_KINDS];
	uint64_t taken[SAMPLE_KINDS]; /* samples of each sampler */
	uint64_t counted[LANE_KINDS]; /* that went into each lane */
	struct nova_text objects;     /* numbers of those that are to be written */
};
/* Counts the CPU only, until lanes are added. */
void tally_start(struct tally *tally, struct writer *writer);
/* Instead, in the order in which they are said, from the first one on. */
void tally_lanes(struct tally *tally, const enum lane_kind *kinds, uint32_t count);
void tally_take(void *tally, const struct event *event);
/* Writes what is new into the writer's buffer, and forgets what takes too much room. */
void tally_flush(struct tally *tally);
/* Off-CPU: who waits still has waited until now. */
void tally_waiting(struct tally *tally, uint64_t now_ns);
void tally_free(struct tally *tally);
/* {"accelerator", "vcpus_named", "shares": {"guest": {"samples", "share", "interval"}, …}}; shares
 * are null if there is none of the CPU (vm.c). */
json_t *vm_status(const struct tally *tally);
/* "CPU 3/KVM" is vCPU 3 of a QEMU; else -1. */
int32_t tally_vcpu(const char *name);

/* --- unwind.c and frames.c ----------------------------------------------------------------------
 */

/* A file in memory that has nothing but what unwinding needs of this one; -1: it has nothing. How
 * many bytes were copied. */
int frames_copy(int fd, uint64_t *bytes);

struct unwinder;
struct unwinder *unwinder_new(void);
void unwinder_free(struct unwinder *unwinder);
/* Addresses of the user's part of a sample, ready to be looked up, from the leaf; how many. */
size_t unwind(struct unwinder *unwinder, const struct spaces *spaces, const struct space *space,
              const struct event *event, uint64_t *addresses, size_t room);

/* --- frame_pointers.c ---------------------------------------------------------------------------
 */

/* Of the functions of a file of x86-64 that were looked at. 0 and 0: of another kind, or it does
 * not say where they begin. */
struct frame_pointers {
	uint32_t functions, keeping;
};
void frame_pointers_of(int fd, struct frame_pointers *found);

/* --- sampler.c: the events -------------------------------------------------------------------- */

struct sampler {
	enum sampler_kind kind;
	struct perf_event_attr attr;
	size_t cpu_count;
	int *fds; /* of events; the first of each CPU has the ring */
	size_t fd_count;
	int *kept; /* those that count no more, but have the rings */
	size_t kept_count;
	struct ring *rings; /* in what the caller gave */
	size_t ring_count, ring_pages;
	bool hardware;  /* cycles; else the CPU's clock */
	bool user_only; /* the kernel's part is not permitted */
	uint32_t frequency;
	uint64_t lowered;
	double frequency_sum;    /* of seconds */
	uint64_t forks, renewed; /* when its events were opened: forks until then, second */
};
/* Whom it samples: threads (`tids`, whose children are followed), a cgroup, or all. */
struct sampler_target {
	const int *cpus;
	size_t cpu_count, sampler_count; /* who share the memory of all rings */
	const int32_t *tids;
	size_t tid_count;
	int cgroup;            /* descriptor, or -1 */
	bool on_exec;          /* begin when it executes another program */
	bool stacks;           /* with registers and stacks, to unwind them, of the CPU */
	bool all_stacks;       /* and of waits and faults */
	bool follows;          /* with the records of maps, names and processes */
	uint16_t begins, ends; /* tracepoints of lock contention */
};
/* Of those that are online; the caller's. */
int sampler_cpus(int **cpus, size_t *count, struct nova_error *error);
/* They count from sampler_start on, or from the execution on. `rings` has room for one of each CPU,
 * zeroed. */
int sampler_open(struct sampler *sampler, enum sampler_kind kind,
                 const struct sampler_target *target, uint32_t frequency, struct ring *rings,
                 struct nova_error *error);
#define SAMPLER_ALL 1000u /* frequency where no clock samples: of a thousand events */
bool sampler_is_clocked(enum sampler_kind kind);
/* EVENT_*: what its samples have. */
uint8_t sampler_extra(const struct perf_event_attr *attr);
int sampler_start(struct sampler *sampler, struct nova_error *error);
void sampler_set_frequency(struct sampler *sampler, uint32_t frequency);
/*
 * Events that children have inherited keep what they were born with: PERF_EVENT_IOC_PERIOD changes
 * the event that it is called on, which those inherit that begin later, but none that is there
 * (_perf_event_period in kernel/events/core.c; only enabling, disabling and resetting go to the
 * children). So all threads that there are now get events of their own, of the new frequency, in
 * the same rings. A thread that begins while this is done may have none until it is done again.
 */
int sampler_renew(struct sampler *sampler, const struct sampler_target *target, uint32_t frequency,
                  struct nova_error *error);
/* No sample comes any more; the rings stay, and so does what is in them. */
void sampler_stop(struct sampler *sampler);
void sampler_close(struct sampler *sampler);

/* --- allocations.c: breakpoints at malloc
 * ---------------------------------------------------------
 */

struct allocations;
struct allocations_target {
	const int *cpus, *fds; /* of each CPU the event that gives out what is seen */
	size_t cpu_count;
	int cgroup;      /* or -1 */
	bool everywhere; /* in all processes, not only in those that have spaces */
};
struct allocations *allocations_open(const struct allocations_target *target,
                                     struct nova_error *error);
void allocations_free(struct allocations *all);
/* To be called now and then, and not later than at the time that it returns. If it will change the
 * window, what has been seen must have been counted before. `allowed`: what a thread may lose, in
 * (0, 1). */
bool allocations_changes(const struct allocations *all, double allowed, int64_t now_ns);
int64_t allocations_step(struct allocations *all, const struct spaces *spaces, uint64_t samples,
                         double allowed, struct allocation_window *window, int64_t now_ns);
/* What all hits until now have cost those that were recorded; and one. */
double allocations_spent_ns(const struct allocations *all, uint64_t samples);
double allocations_hit_ns(const struct allocations *all);
/* ALLOCATION_BYTES of a sample; false if they are not what the program gives out. */
#define ALLOCATION_BYTES 24u
bool allocation_read(const void *raw, uint64_t *often, uint64_t *bytes, uint64_t *caller);

/* --- samplers.c: all of one recording ------------------------------------------------------------
 */

struct samplers {
	unsigned kinds; /* of nova_record_kind */
	int *cpus;
	size_t cpu_count;
	struct sampler all[SAMPLE_KINDS]; /* the first follows maps and processes */
	size_t count;
	struct ring *rings; /* of all */
	size_t ring_count;
	enum lane_kind lanes[LANE_KINDS];
	uint32_t lane_count;
	struct locks *locks;
	bool tracepoints; /* of lock contention */
	uint16_t contention_begins, contention_ends;
	struct allocations *allocations; /* or NULL */
	json_t *missing;                 /* [{"what", "why"}], or NULL */
};
/* `target` without what is known here: CPUs, how many samplers, tracepoints. */
int samplers_open(struct samplers *samplers, unsigned kinds, struct sampler_target *target,
                  uint32_t frequency, struct nova_error *error);
/* Remembers what is missing, and why, and what to do. */
void samplers_miss(struct samplers *samplers, const char *what, const char *why);
int samplers_start(struct samplers *samplers, struct nova_error *error);
void samplers_stop(struct samplers *samplers);
void samplers_close(struct samplers *samplers);

/* --- govern.c ------------------------------------------------------------------------------------
 */

/* What a sample costs the CPU that it is taken on, in ns, measured on this thread; 0: it could not
 * be measured. */
double govern_calibrate(const struct sampler *like);

/* One sampler's part. */
struct governed {
	double sample_cost; /* ns */
	uint32_t wanted, most, frequency;
	bool unclocked; /* how many samples come in a second is not ours to say */
	uint64_t samples_then;
	double share; /* that its samples took in the last second */
};
struct governor {
	double target; /* share, in (0, 1) */
	size_t cpus;
	struct governed of[SAMPLE_KINDS];
	size_t count;
	int64_t began_ns, then_ns, own_began_ns, own_then_ns;
	int64_t second_ns; /* a second that is not over, and what it cost until now */
	double second_cost;
	/* what was found */
	double host;    /* share of all CPUs, until now */
	double sampled; /* share that what is sampled loses */
	double worst;   /* second of `host` */
};
void govern_begin(struct governor *governor);
/* Once a second: what the last one cost, by the samples of each until now. Each has the frequency
 * to go on with. */
void govern_step(struct governor *governor, const uint64_t *samples, int64_t now_ns,
                 int64_t own_ns);
/* So much has been spent since the last step that the next one should be made now. */
bool govern_hurries(const struct governor *governor, const uint64_t *samples, int64_t now_ns,
                    int64_t own_ns);
int64_t govern_own_ns(void); /* CPU time of this process */

/* --- recording.c: a file that is there -----------------------------------------------------------
 */

struct address {
	uint64_t offset;
	uint32_t object;
	uint32_t first, count; /* in `names`, from the outermost to the innermost */
};
struct ksymbol {
	uint64_t start, length;
	const char *name;
};
struct recording {
	uint64_t end, torn; /* of whole chunks; what was left over behind them */
	json_t *about, *status;
	json_t *series; /* [ns, bytes] of resident memory, or NULL */
	uint64_t series_seen, series_step;
	bool complete;
	enum lane_kind lanes[LANE_KINDS];
	uint32_t lane_count;
	struct object *objects;
	uint32_t object_count;
	struct address *addresses;
	uint32_t address_count;
	struct index address_index;
	uint32_t *names; /* numbers of frames of `texts` */
	uint32_t name_count;
	struct ksymbol *ksymbols;
	uint32_t ksymbol_count;
	struct nova_stacks *raw;   /* its frames are numbers of addresses */
	struct nova_stacks *texts; /* has frames, texts and notes only */
	/* since the last reset */
	uint32_t *stack_nodes;
	struct nova_origin *threads;
	uint32_t stack_count, thread_count;
	/* of those who name it */
	uint32_t *at_work;         /* is set to the object's number plus 1; or NULL */
	int64_t fetch_ns;          /* how long debuginfod may be asked */
	bool cached;               /* what was found earlier is taken, and kept for later */
	struct names_cache *cache; /* of the object in work, or NULL */
	struct debuginfod *debuginfod;
};
int recording_load(struct source *source, size_t limit, struct recording *recording,
                   struct nova_error *error);
void recording_free(struct recording *recording);
/* As the readers of inside.h: with names, too. */
int recording_read(struct source *source, size_t limit, struct nova_stacks **stacks,
                   struct nova_error *error);
/* With the names that it has. */
struct nova_stacks *recording_stacks(const struct recording *recording);
/* One function more of this address, which has none or was named last. */
void recording_name(struct recording *recording, uint32_t address, const struct nova_frame *frame);

/* --- symbols.c and what it calls -------------------------------------------------------------- */

/* Names what has no name yet, as far as this machine can. With a writer the names of each object
 * are written as they are found. */
int recording_symbolise(struct recording *recording, struct writer *writer,
                        struct nova_error *error);
/* This object gets no names, and a note. */
int recording_pass_over(struct recording *recording, uint32_t object, const char *why,
                        struct writer *writer, struct nova_error *error);
/* names.c: names a file in processes of their own; failures are warned of. `objects`: of the
 * recorder, which may hold descriptors that nobody else can open. */
void recording_add_names(const char *path, const struct object *objects, uint32_t count,
                         int64_t fetch_ns);
/* debuginfod.c: NULL if no server is named. When it is freed what did not come is noted. */
struct debuginfod *debuginfod_new(int64_t patience_ns);
void debuginfod_free(struct debuginfod *asked, struct nova_stacks *notes);
/* The file itself, or its debug information: a descriptor and its path, the caller's; or -1. */
int debuginfod_fetch(struct debuginfod *asked, const struct object *object, bool debug_file,
                     char **path);
/* Addresses of one object, sorted by offset. */
struct address_run {
	struct recording *recording;
	const struct object *object;
	const uint32_t *addresses;
	size_t count;
};
/* cache.c: NULL if nothing can be kept of this one. When it is closed what is new is written. */
struct names_cache *cache_open(const struct object *object);
bool cache_name(const struct names_cache *cache, const struct address_run *run, uint32_t address);
/* All offsets in [start, end) have the names of this address. */
void cache_add(struct names_cache *cache, const struct recording *recording, uint32_t address,
               uint64_t start, uint64_t end);
void cache_close(struct names_cache *cache);
/* Each names what it can. */
void symbols_of_elf(const struct address_run *run, int fd);
void symbols_of_kernel(const struct address_run *run, FILE *kallsyms);
void symbols_of_jit(const struct address_run *run, FILE *map);
/* symbols_guest.c: what is of a guest's; `map`: what its QEMU wrote about code that it made. */
void symbols_of_guest_kernel(const struct address_run *run);
void symbols_of_guest_file(const struct address_run *run);
void symbols_of_translated(const struct address_run *run, FILE *map);
/* "_ZN3foo3barEv" → "foo::bar()", and what Rust makes of its names. NULL if it is none of these;
 * the caller's. */
char *symbols_demangle(const char *name);
char *symbols_demangle_rust(const char *name); /* of "_R…" only */
/* The same, or the name itself, for names that stay where they are; until the next call. */
struct readable;
struct readable *readable_new(void);
const char *readable_of(struct readable *readable, const char *name);
void readable_free(struct readable *readable);

/* What DWARF knows of a file (dwarf.c). NULL if there is none. */
struct dwarf;
struct dwarf *dwarf_of(void *dwfl_module, struct readable *readable);
void dwarf_free(struct dwarf *dwarf);
/* Addresses around one of which all is the same. */
struct bounds {
	uint64_t low, high;
};
/* They end where that range begins or ends. */
void bounds_clip(struct bounds *bounds, uint64_t at, uint64_t start, uint64_t end);
/* Names the function at an address of the module and what is inlined there; `outer`, which may be
 * NULL, is what the outermost is called. False if it knows nothing. */
bool dwarf_name(struct dwarf *dwarf, const struct address_run *run, uint32_t address, uint64_t at,
                const char *outer, struct bounds *bounds);

/* A table of functions, sorted once. */
struct symbol {
	uint64_t start, end; /* end: 0 if it is not known */
	const char *name;
	uint32_t rank; /* of two at the same place the higher one is meant */
};
void symbols_sort(struct symbol *symbols, size_t count);
const struct symbol *symbols_find(const struct symbol *symbols, size_t count, uint64_t address);
/* One that is read from text; to be finished before anything is found. */
struct symbols_table {
	struct symbol *symbols;
	size_t count;
	struct nova_text names; /* symbols have offsets in it until it is finished */
	bool hidden;            /* some had no address */
};
/* Until there are `most`. */
void symbols_read_kallsyms(struct symbols_table *table, FILE *kallsyms, size_t most);
void symbols_read_jit(struct symbols_table *table, FILE *map);
void symbols_table_finish(struct symbols_table *table);
/* Of one that has a kernel's functions, finished. */
void symbols_end_modules(struct symbols_table *table);
void symbols_table_free(struct symbols_table *table);

#endif
