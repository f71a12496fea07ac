/* SPDX-License-Identifier: MIT */
/*
 * core/profiler: stacks and what was counted on them. It samples (record), reads and writes what
 * others sample (perf script, folded stacks, pprof), and shows where time goes (hotspots, flame
 * graphs, their differences). It knows nothing of hypervisors, runs or stores.
 *
 * Everything that is read or sampled becomes a `struct nova_stacks`: a tree of frames, in which
 * equal beginnings of stacks are there once, and a count for each end of a stack and origin
 * (process, thread, CPU). So its memory is linear in distinct stacks, not in samples.
 */
#ifndef NOVACORE_PROFILER_H
#define NOVACORE_PROFILER_H

#include "core/base/base.h"

/* --- stacks --------------------------------------------------------------------------------------
 */

#define NOVA_STACKS_VALUES 12u /* kinds of value that they have at most */

/* What is counted, in pprof's words: {"cpu", "nanoseconds"}, {"samples", "count"}. */
struct nova_value_type {
	const char *type, *unit;
};

#define NOVA_FRAME_KERNEL  1u
#define NOVA_FRAME_GUEST   2u /* inside of a VM */
#define NOVA_FRAME_INLINED 4u /* in the frame below it */
#define NOVA_FRAME_JIT     8u

struct nova_frame {
	const char *name;    /* the function; never "": "[unknown]" */
	const char *library; /* of whose file it is, its whole path; "" if that is not known */
	const char *file;    /* source, or "" */
	uint32_t flags;      /* NOVA_FRAME_* */
};

/* Where a sample was taken. -1 and "" are not known. */
struct nova_origin {
	const char *process, *thread; /* their names (comm) */
	int32_t pid, tid, cpu, vcpu;
};

/* Stacks go from the root to the leaf; node 0 is the root, and has no frame. A parent is before its
 * children. */
struct nova_stack_node {
	uint32_t parent, frame;
};

/* What ended at a node, counted for one origin. */
struct nova_stack_count {
	uint32_t node, origin;
};

struct nova_stacks_index;

/*
 * To be read by anybody; written by the functions below. All texts are their own, and equal
 * ones are the same pointer.
 */
struct nova_stacks {
	struct nova_value_type types[NOVA_STACKS_VALUES];
	uint32_t type_count; /* 1… */
	uint32_t shown;      /* which of them is meant if nobody says */
	int64_t period;      /* of types[shown] between two samples, or 0 */
	int64_t utc_ns;      /* when it began, or 0 */
	int64_t duration_ns; /* or 0 */
	uint64_t lost;       /* samples that the kernel dropped */
	struct nova_frame *frames;
	uint32_t frame_count;
	struct nova_origin *origins; /* 0: nothing is known */
	uint32_t origin_count;
	struct nova_stack_node *nodes;
	uint32_t node_count; /* ≥ 1 */
	struct nova_stack_count *counts;
	uint64_t *values; /* count i has values[i · type_count …] */
	uint32_t count_count;
	const char **notes; /* what a reader should know: "frames of … have no names" */
	uint32_t note_count;
	struct nova_stacks_index *index; /* how they are found again; stacks.c's own */
};

/* `count` ≤ NOVA_STACKS_VALUES. Not to be shared between threads while it is written. */
struct nova_stacks *nova_stacks_new(const struct nova_value_type *types, uint32_t count);
void nova_stacks_free(struct nova_stacks *stacks);
void nova_stacks_cleanup(struct nova_stacks **stacks); /* for NOVA_AUTO */

/* Their own copy of the text. */
const char *nova_stacks_text(struct nova_stacks *stacks, const char *text, size_t length);
/* The same number for the same frame; its texts are copied. */
uint32_t nova_stacks_frame(struct nova_stacks *stacks, const struct nova_frame *frame);
uint32_t nova_stacks_origin(struct nova_stacks *stacks, const struct nova_origin *origin);
/* The node of `frame` called by the one of `parent`, made if it is new. O(1). */
uint32_t nova_stacks_call(struct nova_stacks *stacks, uint32_t parent, uint32_t frame);
/* Adds `values`, type_count of them, to what ended at `node` for `origin`. O(1). */
void nova_stacks_add(struct nova_stacks *stacks, uint32_t node, uint32_t origin,
                     const uint64_t *values);
void nova_stacks_note(struct nova_stacks *stacks, const char *format, ...) NOVA_PRINTF(2, 3);
/* Bytes that it takes. */
size_t nova_stacks_bytes(const struct nova_stacks *stacks);
/* The sum of a value. */
uint64_t nova_stacks_total(const struct nova_stacks *stacks, uint32_t type);

/* --- files ---------------------------------------------------------------------------------------
 */

struct nova_stacks_limits {
	size_t bytes; /* of memory that the stacks may take; 0: 1 GiB */
};

/*
 * Reads a file, "-" is standard input, and finds out what it is: folded stacks, `perf script` text,
 * pprof (with gzip or without), or a recording of novacore. Text is read in one pass and never held
 * as a whole. NOVA_E_INVALID names line or byte and what was expected; NOVA_E_FULL: it takes more
 * than the limits.
 */
int nova_stacks_read(const char *path, const struct nova_stacks_limits *limits,
                     struct nova_stacks **stacks, struct nova_error *error);

/* How stacks are told apart above their first frame. */
enum nova_stacks_by { NOVA_BY_NOTHING, NOVA_BY_CPU, NOVA_BY_PROCESS, NOVA_BY_THREAD, NOVA_BY_VCPU };

/* One line per distinct stack, "process;main;work 12", in an order that is always the same. */
int nova_stacks_write_folded(const struct nova_stacks *stacks, uint32_t type,
                             enum nova_stacks_by by, FILE *file, struct nova_error *error);
/* pprof's profile.proto with gzip, all values, origins as labels. */
int nova_stacks_write_pprof(const struct nova_stacks *stacks, FILE *file, struct nova_error *error);

/* --- where time goes -----------------------------------------------------------------------------
 */

enum nova_hotspots_by { NOVA_HOT_FUNCTION, NOVA_HOT_LIBRARY, NOVA_HOT_PROCESS };

struct nova_hotspots_request {
	uint32_t type; /* of value */
	enum nova_hotspots_by by;
	double threshold;                 /* leave out what has less of the total, in [0, 1] */
	double level;                     /* of the intervals, in (0, 1) */
	const struct nova_stacks *before; /* to compare with, or NULL */
};
/* The document novacore.hotspots/1 (docs/hotspots.md). The caller's. O(nodes · log nodes). */
int nova_hotspots(const struct nova_stacks *stacks, const struct nova_hotspots_request *request,
                  json_t **document, struct nova_error *error);

/* --- flame graphs --------------------------------------------------------------------------------
 */

/*
 * The stacks as they are drawn: each box is a function called by the one below it. Boxes are in the
 * order of a walk, callees sorted by name, so the same stacks always give the same picture.
 */
struct nova_flame_box {
	uint32_t parent, depth; /* box 0 is all of it, depth 0 */
	uint32_t next;          /* the box after the last one above this: a sibling, or nobody's */
	uint32_t flags;         /* NOVA_FRAME_* */
	const char *name;       /* box 0: "all" */
	const char *library;
	uint64_t total, self;
};

/* What the counts of two recordings say of a box. */
enum nova_flame_mark {
	NOVA_MARK_FEW =
	        1,       /* so few samples that no outcome could have told a change, or untested */
	NOVA_MARK_NOISE, /* as different as two recordings of the same are */
	NOVA_MARK_MORE,
	NOVA_MARK_LESS,
	NOVA_MARK_CALLER /* in the lane: is still there, and called what vanished */
};
struct nova_flame_change {
	uint64_t total, self; /* before, in the lane of what vanished; the box has those after */
	double width;         /* of the whole picture, in [0, 1] */
	double p;             /* of a frame that did not change; NAN: not tested */
	double q;             /* adjusted for the number of tests (Benjamini–Hochberg) */
	enum nova_flame_mark mark;
};
/* Among the boxes that are marked, this share of false ones is to be expected at most. */
#define NOVA_FLAME_FALSE 0.05

struct nova_flame {
	struct nova_flame_box *boxes;
	uint32_t count;
	uint32_t depth;    /* of the highest */
	uint32_t left_out; /* boxes that were too narrow */
	/* What it was made of: which of the values of which stacks, drawn from the leaf? */
	const struct nova_stacks *stacks;
	uint32_t type;
	bool reverse;
	/* Of a difference, else NULL and 0. A path that is in `before` only stands in the lane:
	 * another tree of boxes, whose root is the box `lane`; 0: none vanished. */
	struct nova_flame_change *changes;
	uint32_t lane, lane_depth;
	uint32_t tests;       /* that were made */
	bool absolute;        /* counts were compared, not shares */
	const char *untested; /* why no test was made, or NULL */
	/* flame.c's own: stacks as they are drawn, and both recordings in one, or NULL */
	struct nova_stacks *turned, *merged;
};
struct nova_flame_request {
	uint32_t type;
	enum nova_stacks_by by;
	bool reverse;     /* from the leaf: who calls it */
	double min_width; /* leave out what has less of the total, in [0, 1] */
	bool absolute;    /* of a difference: compare counts, not shares of the total */
};
/* The stacks must outlive it. O(nodes · log nodes); deep recursion takes no stack. */
void nova_flame_make(const struct nova_stacks *stacks, const struct nova_flame_request *request,
                     struct nova_flame *flame);
/*
 * The difference between two recordings of the same thing, tested for each path: flame_diff.c says
 * how. Processes and threads are told apart by name only. NOVA_E_INVALID: they count different
 * things.
 */
int nova_flame_diff(const struct nova_stacks *before, const struct nova_stacks *after,
                    const struct nova_flame_request *request, struct nova_flame *flame,
                    struct nova_error *error);
void nova_flame_free(struct nova_flame *flame);

/* A copy of some of the values, of which the one at `shown` is meant if nobody says; what has none
 * of them is left out. */
struct nova_stacks *nova_stacks_only(const struct nova_stacks *stacks, const uint32_t *types,
                                     uint32_t count, uint32_t shown);

/* Adds what `from` counted to `into`: a stacks with the same types, or NOVA_E_INVALID. */
int nova_stacks_join(struct nova_stacks *into, const struct nova_stacks *from,
                     struct nova_error *error);

/* A picture that reads without scripts; with them it zooms and searches. `title` may be NULL. */
int nova_flame_write_svg(const struct nova_flame *flame, const char *title, FILE *file,
                         struct nova_error *error);
/* A page: the picture, a table of functions. It loads nothing. */
int nova_flame_write_html(const struct nova_flame *flame, const char *title, FILE *file,
                          struct nova_error *error);

/* --- recording ----------------------------------------------------------------------------------
 * A recording is a file that is appended to once a second, so what was written opens, whatever
 * happened to who wrote it (core/profiler/record.h describes it).
 */

/* Any set of them, in one recording: each has values of its own. */
enum nova_record_kind {
	NOVA_RECORD_CPU = 1,     /* where CPUs are */
	NOVA_RECORD_OFF_CPU = 2, /* where threads wait, and how long */
	NOVA_RECORD_LOCK = 4,    /* which of these wait for locks */
	NOVA_RECORD_MEMORY = 8   /* where memory is touched first, and allocated */
};
/* What names the functions inside of a VM: copies of files of the guest. Each may be NULL. */
struct nova_record_guest {
	const char *kallsyms; /* its /proc/kallsyms, as its root reads it */
	const char *maps;     /* /proc/PID/maps of one of its processes */
	const char *root;     /* directory with the files that are named there */
};
/* Their names, in the order of their bits; NULL-terminated. */
extern const char *const nova_record_kinds[];
struct nova_record_request {
	unsigned kinds; /* of nova_record_kind; 0: CPU */
	bool dwarf;     /* walk stacks by DWARF, not by frame pointers; of a process or command */
	const char *dwarf_why; /* for people: then of the CPU only; or NULL */
	const char *path;      /* of the file, which must not be there */
	int32_t pid;           /* > 0: this process with its threads and children */
	bool vm;               /* it is a QEMU: what its threads are is told apart */
	struct nova_record_guest guest;
	const char *cgroup;         /* or a cgroup's directory */
	const char *const *command; /* or a command, run until it ends; NULL-terminated */
	/* none of them: all processes */
	uint32_t frequency;       /* samples a second and CPU, ≥ 1 */
	int64_t duration_ns;      /* 0: until `stop`, or until the process has ended */
	double overhead;          /* the frequency is lowered to keep below; in (0, 1) */
	const volatile int *stop; /* or NULL */
	const char *title;        /* what is recorded, for people; or NULL */
	int64_t fetch_ns;         /* how long debuginfod may be asked for files; 0: not at all */
	const json_t *run;        /* `run` of the document: which step of a run it shows; or NULL */
	void (*began)(void *context); /* called when sampling has begun; or NULL */
	void *context;
};
/* `about`, if not NULL, is what nova_recording_about gives. NOVA_E_PERMISSION says what to change.
 */
#define NOVA_FETCH_NS (60 * NOVA_SECOND_NS) /* as long as people wait */
int nova_record(const struct nova_record_request *request, json_t **about,
                struct nova_error *error);

/* The document novacore.recording/1 of a recording (docs/man/novacore-record.md); its stacks are
 * not looked at. The caller's. */
int nova_recording_about(const char *path, json_t **about, struct nova_error *error);

/* Why stacks by frame pointers would not be whole, the caller's: the program, which is looked for
 * as execvp(3) does, or what this process runs, is built without them. NULL: it has them, or cannot
 * be judged. A script is judged by its interpreter. */
char *nova_record_without_frame_pointers(const char *program, int32_t pid);

/* What it counts is called, and what is of it in stacks that were read of it: the caller's. */
const char *nova_recording_lane_name(const json_t *about, uint32_t lane);
struct nova_stacks *nova_recording_lane(const json_t *about, const struct nova_stacks *stacks,
                                        uint32_t lane);
/*
 * What has no other place is kept in directories below one, named by when they began and four
 * digits that tell two of a second apart: "20261128-073007-1a2b".
 */
#define NOVA_RECORDING_FILE "recording.nova" /* in each of them */
/* The directory that all of them stand in (`id` NULL), or of one of them. The caller's. */
char *nova_recordings_place(const char *id);
bool nova_recordings_is_id(const char *id);
/* Makes the directory of a new one. `*directory` is the caller's in any case. */
int nova_recordings_new(char id[32], char **directory, struct nova_error *error);

/* The QEMU process of the VM of that name; NOVA_E_NOT_FOUND names those that there are. */
int nova_record_find_vm(const char *name, int32_t *pid, struct nova_error *error);
/* The process is a QEMU that runs a VM. */
bool nova_record_is_vm(int32_t pid);

#endif
