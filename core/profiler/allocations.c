/* SPDX-License-Identifier: MIT */
/*
 * Sampled allocations. Breakpoints of the kernel (uprobes) stand at malloc and its like, in the
 * processes that are recorded; a program of a few instructions (BPF) runs where one is hit, and
 * gives out one allocation in so many bytes: an allocation of s bytes with the probability s /
 * step, so that it stands for `step` bytes, and a larger one always. What is expensive is the
 * breakpoint, so the step is such that what is given out costs about as much as all hits together,
 * and the breakpoints are there for a part of the time only, at random, as long as that costs too
 * much otherwise, and what is seen then is counted as many times more.
 */
#include "core/profiler/record.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STEP         4096u /* bytes, at first */
#define STEP_LEAST   64u
#define STEP_MOST    (1u << 20)
#define SIZE_BITS    46 /* of a size that there can be */
#define CYCLE_NS     (NOVA_SECOND_NS / 4)
#define SHORTEST_NS  (5 * INT64_C(1000000)) /* that breakpoints are there */
#define LONGEST_NS   (20 * NOVA_SECOND_NS)  /* of a cycle */
#define FIRST_DUTY   0.1
#define LOOK_NS      (NOVA_SECOND_NS / 10) /* how often new processes are looked for */
#define MOST_SITES   1024u
#define MOST_CPUS    8192u
#define MOST_CLOSERS 64u
#define CALIBRATIONS 500

/* Functions, and where they are told the size: places in the kernel's pt_regs of x86-64. */
enum { AT_DX = 96, AT_SI = 104, AT_DI = 112, AT_SP = 152 };
static const struct allocator {
	const char *name;
	int16_t size, times; /* times: a factor, or 0 */
	bool again;          /* without an old block it calls malloc, which counts */
} ALLOCATORS[] = {{"malloc", AT_DI, 0, false},        {"calloc", AT_DI, AT_SI, false},
                  {"realloc", AT_SI, 0, true},        {"posix_memalign", AT_DX, 0, false},
                  {"aligned_alloc", AT_SI, 0, false}, {"memalign", AT_SI, 0, false}};
#define FUNCTIONS NOVA_COUNT(ALLOCATORS)

/* A file with such functions, in one process or (pid -1) in all. */
struct site {
	int32_t pid;
	dev_t device;
	ino_t inode;
	char *path;
	uint64_t offsets[FUNCTIONS]; /* in the file; 0: it has none */
	int fds[FUNCTIONS];          /* of the breakpoints, while they are there */
	bool empty, failed;
};

#define FDS_OF_CLOSER ((size_t)(MOST_SITES / MOST_CLOSERS + 1) * FUNCTIONS)
struct closer;

struct allocations {
	int events, hits, steps, cgroup; /* maps */
	int programs[FUNCTIONS];
	uint32_t type; /* of the uprobe PMU */
	bool everywhere;
	struct site sites[MOST_SITES];
	size_t site_count;
	int last_cpu;
	double hit_cost, sample_cost; /* ns */
	uint64_t step;
	double duty, turn_ns;
	uint64_t state;
	bool on;
	bool done; /* the window of this cycle is over */
	int64_t cycle_ns, on_ns, was_on_ns, begins_ns, next_ns, looked_ns;
	struct closer *closers;                       /* MOST_CLOSERS */
	uint64_t hits_first, hits_then, samples_then; /* first: of the calibration */
};

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* --- the program --------------------------------------------------------------------------------
 * Registers: 6 the context, 7 the size, 8 the step. The stack has what is given out: size, caller,
 * step; and at its top a key of the maps, which is 0.
 */

#define INSTRUCTION(op, to, from, offset, value)                                                   \
	(struct bpf_insn)                                                                          \
	{                                                                                          \
		.code = (uint8_t)(op), .dst_reg = (uint8_t)((to)&15u),                             \
		.src_reg = (uint8_t)((from)&15u), .off = (int16_t)(offset),                        \
		.imm = (int32_t)(value)                                                            \
	}
#define MOVE(to, from)           INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define MOVE_NUMBER(to, number)  INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, number)
#define CALCULATE(op, to, value) INSTRUCTION(BPF_ALU64 | (op) | BPF_K, to, 0, 0, value)
#define LOAD(to, from, offset)   INSTRUCTION(BPF_LDX | BPF_MEM | BPF_DW, to, from, offset, 0)
#define STORE(to, offset, from)  INSTRUCTION(BPF_STX | BPF_MEM | BPF_DW, to, from, offset, 0)
#define STORE_ZERO(to, offset)   INSTRUCTION(BPF_ST | BPF_MEM | BPF_DW, to, 0, offset, 0)
#define CALL(function)           INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, function)
/* To the end; where that is, is put in when it is known. */
#define TO_END                0x7fff
#define END_IF(op, of, value) INSTRUCTION(BPF_JMP | (op) | BPF_K, of, 0, TO_END, value)
#define MAP(to, fd)           INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, fd)
#define MAP_REST              INSTRUCTION(0, 0, 0, 0, 0)
#define MOST_CODE             64u

static void put(struct bpf_insn *code, size_t *count, const struct bpf_insn *more, size_t number)
{
	memcpy(code + *count, more, number * sizeof(*more));
	*count += number;
}
#define PUT(...)                                                                                   \
	put(code, &count, (const struct bpf_insn[]){__VA_ARGS__},                                  \
	    sizeof((const struct bpf_insn[]){__VA_ARGS__}) / sizeof(struct bpf_insn))

static size_t make_program(const struct allocations *all, const struct allocator *allocator,
                           struct bpf_insn code[MOST_CODE])
{
	size_t count = 0;

	PUT(MOVE(6, 1));
	if (allocator->again)
		PUT(LOAD(1, 6, AT_DI), END_IF(BPF_JEQ, 1, 0));
	PUT(LOAD(7, 6, allocator->size));
	if (allocator->times)
		PUT(LOAD(1, 6, allocator->times),
		    INSTRUCTION(BPF_ALU64 | BPF_MUL | BPF_X, 7, 1, 0, 0));
	/* how often it was hit, for the governor */
	PUT(INSTRUCTION(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0), MOVE(2, 10),
	    CALCULATE(BPF_ADD, 2, -4), MAP(1, all->hits), MAP_REST, CALL(BPF_FUNC_map_lookup_elem),
	    END_IF(BPF_JEQ, 0, 0), LOAD(1, 0, 0), CALCULATE(BPF_ADD, 1, 1), STORE(0, 0, 1));
	PUT(MOVE(2, 10), CALCULATE(BPF_ADD, 2, -4), MAP(1, all->steps), MAP_REST,
	    CALL(BPF_FUNC_map_lookup_elem), END_IF(BPF_JEQ, 0, 0), LOAD(8, 0, 0));
	if (all->cgroup >= 0)
		PUT(MAP(1, all->cgroup), MAP_REST, MOVE_NUMBER(2, 0),
		    CALL(BPF_FUNC_current_task_under_cgroup), END_IF(BPF_JNE, 0, 1));
	/* more than there can be fails; nothing takes a byte, too */
	PUT(MOVE(1, 7), CALCULATE(BPF_RSH, 1, SIZE_BITS), END_IF(BPF_JNE, 1, 0),
	    INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 1, 0), MOVE_NUMBER(7, 1));
	/* is one of so many numbers below the size? */
	PUT(CALL(BPF_FUNC_get_prandom_u32), INSTRUCTION(BPF_ALU64 | BPF_MUL | BPF_X, 0, 8, 0, 0),
	    CALCULATE(BPF_RSH, 0, 32), INSTRUCTION(BPF_JMP | BPF_JGE | BPF_X, 0, 7, TO_END, 0));
	/* at a function's first instruction the caller is not in the chain of frames yet */
	PUT(STORE(10, -32, 7), STORE(10, -16, 8), STORE_ZERO(10, -24), MOVE(1, 10),
	    CALCULATE(BPF_ADD, 1, -24), MOVE_NUMBER(2, 8), LOAD(3, 6, AT_SP),
	    CALL(BPF_FUNC_probe_read_user));
	PUT(MOVE(1, 6), MAP(2, all->events), MAP_REST,
	    INSTRUCTION(BPF_ALU | BPF_MOV | BPF_K, 3, 0, 0, -1) /* on this CPU */, MOVE(4, 10),
	    CALCULATE(BPF_ADD, 4, -32), MOVE_NUMBER(5, ALLOCATION_BYTES),
	    CALL(BPF_FUNC_perf_event_output));
	PUT(MOVE_NUMBER(0, 0), INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
	for (size_t i = 0; i < count; i++)
		if (code[i].off == TO_END)
			code[i].off = (int16_t)(count - 2 - i - 1);
	return count;
}

static int load_program(const struct allocations *all, const struct allocator *allocator)
{
	struct bpf_insn code[MOST_CODE];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_KPROBE;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = (uint32_t)make_program(all, allocator, code);
	attr.license = (uintptr_t) "Dual MIT/GPL"; /* what it calls asks for it */
	return bpf(BPF_PROG_LOAD, &attr);
}

static int make_map(enum bpf_map_type type, uint32_t value_bytes, uint32_t entries)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = 4;
	attr.value_size = value_bytes;
	attr.max_entries = entries;
	return bpf(BPF_MAP_CREATE, &attr);
}

static int put_into_map(int map, uint32_t key, const void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* On all CPUs that are possible. */
static uint64_t read_hits(const struct allocations *all)
{
	static uint64_t each[MOST_CPUS]; /* the kernel writes as many as there may be */
	uint32_t key = 0;
	uint64_t sum = 0;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)all->hits;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)each;
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr))
		return all->hits_then;
	for (int i = 0; i <= all->last_cpu; i++)
		sum += each[i];
	return sum;
}

/* --- where the functions are --------------------------------------------------------------------
 */

static uint64_t offset_in_file(Elf *elf, uint64_t address)
{
	size_t count = 0;

	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr head;

		if (gelf_getphdr(elf, (int)i, &head) && head.p_type == PT_LOAD &&
		    address >= head.p_vaddr && address - head.p_vaddr < head.p_filesz)
			return address - head.p_vaddr + head.p_offset;
	}
	return 0;
}

static void read_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *head, struct site *site)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data && head->sh_entsize ? data->d_size / head->sh_entsize : 0;
	GElf_Sym symbol;

	for (size_t i = 0; i < count && i < INT32_MAX && gelf_getsym(data, (int)i, &symbol); i++) {
		const char *name = elf_strptr(elf, head->sh_link, symbol.st_name);

		if (!name || GELF_ST_TYPE(symbol.st_info) != STT_FUNC || !symbol.st_value)
			continue;
		for (size_t j = 0; j < FUNCTIONS; j++)
			if (!strcmp(name, ALLOCATORS[j].name))
				site->offsets[j] = offset_in_file(elf, symbol.st_value);
	}
}

/* True if it has any. Two names of one function are one. */
static bool find_functions(struct site *site)
{
	NOVA_AUTOCLOSE int fd = open(site->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	Elf_Scn *section = NULL;
	bool any = false;
	Elf *elf;

	if (fd < 0)
		return false;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	while (elf && (section = elf_nextscn(elf, section))) {
		GElf_Shdr head;

		if (gelf_getshdr(section, &head) &&
		    (head.sh_type == SHT_DYNSYM || head.sh_type == SHT_SYMTAB))
			read_symbols(elf, section, &head, site);
	}
	elf_end(elf);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		for (size_t j = 0; j < i; j++)
			if (site->offsets[i] == site->offsets[j])
				site->offsets[i] = 0;
		any = any || site->offsets[i];
	}
	return any;
}

static bool is_allocator(const char *path)
{
	static const char *const names[] = {"libc.so",     "libc-2",      "libjemalloc",
	                                    "libtcmalloc", "libmimalloc", "libc.musl-",
	                                    "ld-musl-"};
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; slash && i < NOVA_COUNT(names); i++)
		if (!strncmp(slash + 1, names[i], strlen(names[i])))
			return true;
	return false;
}

/* --- breakpoints --------------------------------------------------------------------------------
 */

static int set_breakpoint(const struct allocations *all, const struct site *site, size_t function)
{
	struct perf_event_attr attr = {.size = sizeof(attr),
	                               .type = all->type,
	                               .config1 = (uintptr_t)site->path,
	                               .config2 = site->offsets[function],
	                               .sample_period = 1};
	/* The program runs in all threads of the process, whichever of them the event is of: the
	 * breakpoint is in their memory. Children would not have it: the kernel copies no such
	 * event, and must not, since it reads the path from whoever forks. */
	int fd = (int)syscall(SYS_perf_event_open, &attr, site->pid, site->pid < 0 ? 0 : -1, -1,
	                      PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0 && (ioctl(fd, PERF_EVENT_IOC_SET_BPF, all->programs[function]) ||
	                ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static bool turn_on(struct allocations *all, struct site *site)
{
	bool any = false;

	for (size_t i = 0; i < FUNCTIONS && !site->failed && !site->empty; i++) {
		if (site->offsets[i] && site->fds[i] < 0)
			site->fds[i] = set_breakpoint(all, site, i);
		any = any || site->fds[i] >= 0;
	}
	site->failed = !any && !site->empty; /* it has ended, or its file is gone */
	return any;
}

/* The kernel takes a breakpoint away at once, but closing its event lasts a tenth of a second,
 * until nobody can be in it any more. So all of them are closed at the same time. */
struct closer {
	pthread_t thread;
	bool runs;
	int fds[FDS_OF_CLOSER];
	size_t count;
};

static void *close_them(void *context)
{
	struct closer *closer = context;

	for (size_t i = 0; i < closer->count; i++)
		close(closer->fds[i]);
	closer->count = 0;
	return NULL;
}

static void start_closer(struct closer *closer)
{
	sigset_t every, before;
	pthread_attr_t attr;

	/* signals are the main thread's */
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	closer->runs = !pthread_create(&closer->thread, &attr, close_them, closer);
	if (!closer->runs)
		close_them(closer);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void wait_for_closers(struct allocations *all)
{
	for (size_t i = 0; i < MOST_CLOSERS; i++)
		if (all->closers[i].runs) {
			pthread_join(all->closers[i].thread, NULL);
			all->closers[i].runs = false;
		}
}

static void turn_off(struct allocations *all, bool dead_only)
{
	size_t number = 0;

	wait_for_closers(all);
	for (size_t i = 0; i < all->site_count; i++) {
		struct site *site = &all->sites[i];

		for (size_t j = 0; j < FUNCTIONS; j++) {
			struct closer *closer = &all->closers[number % MOST_CLOSERS];

			if (site->fds[j] < 0 || (dead_only && !site->failed))
				continue;
			closer->fds[closer->count++] = site->fds[j];
			site->fds[j] = -1;
			number++;
		}
	}
	for (size_t i = 0; i < MOST_CLOSERS && i < number; i++)
		start_closer(&all->closers[i]);
}

/* Of those whose breakpoints are gone. */
static void drop_sites(struct allocations *all, bool dead_only)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->site_count; i++)
		if (dead_only && !all->sites[i].failed)
			all->sites[kept++] = all->sites[i];
		else
			free(all->sites[i].path);
	all->site_count = kept;
}

static bool is_known(const struct allocations *all, int32_t pid, const struct stat *is)
{
	for (size_t i = 0; i < all->site_count; i++)
		if (all->sites[i].pid == pid && all->sites[i].device == is->st_dev &&
		    all->sites[i].inode == is->st_ino)
			return true;
	return false;
}

/* Most processes have the same files. */
static bool find_again(const struct allocations *all, struct site *site)
{
	for (size_t i = 0; i < all->site_count; i++) {
		const struct site *other = &all->sites[i];

		if (other->device != site->device || other->inode != site->inode)
			continue;
		memcpy(site->offsets, other->offsets, sizeof(site->offsets));
		site->empty = other->empty;
		return true;
	}
	return false;
}

/* Those without such functions are remembered, too: they are not read again. */
static void add_site(struct allocations *all, int32_t pid, int32_t owner, const char *path)
{
	NOVA_AUTOFREE char *whole = nova_format("/proc/%d/root%s", owner, path);
	struct site *site = &all->sites[all->site_count];
	struct stat is;

	if (all->site_count == MOST_SITES || stat(whole, &is) || is_known(all, pid, &is))
		return;
	*site = (struct site){
	        .pid = pid, .path = nova_strdup(whole), .device = is.st_dev, .inode = is.st_ino};
	memset(site->fds, -1, sizeof(site->fds));
	if (!find_again(all, site))
		site->empty = !find_functions(site);
	all->site_count++;
	if (all->on)
		turn_on(all, site);
}

/* A process that runs now, and what it has mapped. */
static void look_at(struct allocations *all, const struct spaces *spaces, const struct space *space)
{
	char exe[48], target[512];
	ssize_t length;

	for (uint32_t i = 0; i < space->count; i++) {
		const struct object *object = &spaces->objects[space->maps[i].object];

		if (object->kind == OBJECT_FILE && is_allocator(object->path))
			add_site(all, all->everywhere ? -1 : space->pid, space->pid, object->path);
	}
	/* what is linked statically; a dynamic one has none, and is looked at once */
	snprintf(exe, sizeof(exe), "/proc/%d/exe", space->pid);
	length = readlink(exe, target, sizeof(target) - 1);
	if (length <= 0 || all->everywhere)
		return;
	target[length] = '\0';
	add_site(all, space->pid, space->pid, target);
}

/* Anything new is a process or a map more. */
static uint64_t state_of(const struct spaces *spaces)
{
	uint64_t state = spaces->count;

	for (uint32_t i = 0; i < spaces->count; i++)
		state += spaces->spaces[i].changes + (uint64_t)spaces->spaces[i].pid;
	return state;
}

static void look(struct allocations *all, const struct spaces *spaces, int64_t now_ns)
{
	uint64_t state = state_of(spaces);

	all->looked_ns = now_ns;
	if (state == all->state)
		return;
	all->state = state;
	for (size_t i = 0; i < all->site_count; i++) {
		struct site *site = &all->sites[i];

		site->failed =
		        site->failed || (site->pid > 0 && kill(site->pid, 0) && errno == ESRCH);
	}
	turn_off(all, true);
	drop_sites(all, true);
	for (uint32_t i = 0; i < spaces->count; i++)
		if (!spaces->spaces[i].dead && spaces->spaces[i].pid > 0)
			look_at(all, spaces, &spaces->spaces[i]);
}

/* All at once; what that takes itself is CPU time of ours. */
static void turn(struct allocations *all, bool on)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (size_t i = 0; i < all->site_count && on; i++)
		turn_on(all, &all->sites[i]);
	if (!on)
		turn_off(all, false);
	all->on = on;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	all->turn_ns =
	        (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
}

/* --- what it costs ------------------------------------------------------------------------------
 */

static double time_of(size_t bytes)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (int i = 0; i < CALIBRATIONS; i++) {
		void *volatile block = malloc(bytes);

		free(block);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
	       CALIBRATIONS;
}

static int refused(struct nova_error *error)
{
	if (errno == EPERM || errno == EACCES)
		return nova_error_set(error, NOVA_E_PERMISSION,
		                      "breakpoints at malloc (uprobes) and a program there (BPF) "
		                      "are for root; or "
		                      "setcap cap_bpf,cap_perfmon,cap_sys_admin+ep on novacore");
	return nova_error_errno(error,
	                        "the kernel takes no BPF program, or no breakpoint at malloc "
	                        "(uprobes)");
}

/* On this process itself: a hit, and one that is given out. */
static int calibrate(struct allocations *all, struct nova_error *error)
{
	struct spaces spaces;
	double with, without, with_sample, without_sample;
	bool any = false;

	spaces_start(&spaces);
	time_of(16);
	without = time_of(16);
	without_sample = time_of(STEP);
	look_at(all, &spaces, spaces_of(&spaces, getpid()));
	for (size_t i = 0; i < all->site_count; i++)
		any = turn_on(all, &all->sites[i]) || any;
	if (!any) {
		refused(error);
	} else {
		with = time_of(16);
		with_sample = time_of(STEP);
		all->hit_cost = fmax(with - without, 100);
		all->sample_cost = fmax(with_sample - without_sample - all->hit_cost, 0);
		all->hits_first = all->hits_then = read_hits(all);
	}
	turn_off(all, false);
	drop_sites(all, false);
	spaces_free(&spaces);
	return any ? 0 : NOVA_E_UNSUPPORTED;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static int set_step(struct allocations *all, uint64_t step)
{
	all->step = step;
	return put_into_map(all->steps, 0, &all->step);
}

static int load_all(struct allocations *all, const struct allocations_target *target,
                    struct nova_error *error)
{
	for (size_t i = 0; i < target->cpu_count; i++)
		if (target->cpus[i] > all->last_cpu)
			all->last_cpu = target->cpus[i];
	if (all->last_cpu >= (int)MOST_CPUS)
		return nova_error_set(error, NOVA_E_UNSUPPORTED, "there are too many CPUs");
	all->events = make_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, (uint32_t)all->last_cpu + 1);
	all->hits = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 8, 1);
	all->steps = make_map(BPF_MAP_TYPE_ARRAY, 8, 1);
	if (all->events < 0 || all->hits < 0 || all->steps < 0 || set_step(all, STEP))
		return refused(error);
	for (size_t i = 0; i < target->cpu_count; i++)
		if (put_into_map(all->events, (uint32_t)target->cpus[i], &target->fds[i]))
			return refused(error);
	if (target->cgroup >= 0) {
		all->cgroup = make_map(BPF_MAP_TYPE_CGROUP_ARRAY, 4, 1);
		if (all->cgroup < 0 || put_into_map(all->cgroup, 0, &target->cgroup))
			return nova_error_errno(error,
			                        "allocations of a cgroup need one of version 2");
	}
	for (size_t i = 0; i < FUNCTIONS; i++)
		if ((all->programs[i] = load_program(all, &ALLOCATORS[i])) < 0)
			return refused(error);
	return 0;
}

struct allocations *allocations_open(const struct allocations_target *target,
                                     struct nova_error *error)
{
	struct allocations *all = nova_alloc(sizeof(*all));
	NOVA_AUTOFREE char *type =
	        nova_file_read("/sys/bus/event_source/devices/uprobe/type", 32, NULL, NULL);
	int code = 0;

	all->events = all->hits = all->steps = all->cgroup = -1;
	memset(all->programs, -1, sizeof(all->programs));
	all->closers = nova_alloc(MOST_CLOSERS * sizeof(*all->closers));
	all->duty = FIRST_DUTY;
#ifndef __x86_64__
	code = nova_error_set(error, NOVA_E_UNSUPPORTED,
	                      "allocations are not implemented on this architecture");
#endif
	if (!code && !type)
		code = nova_error_set(error, NOVA_E_UNSUPPORTED,
		                      "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)");
	if (!code) {
		all->type = (uint32_t)atoi(type);
		code = load_all(all, target, error);
	}
	if (!code)
		code = calibrate(all, error);
	all->everywhere = target->everywhere;
	if (!code)
		return all;
	allocations_free(all);
	return NULL;
}

void allocations_free(struct allocations *all)
{
	if (!all)
		return;
	turn_off(all, false);
	drop_sites(all, false);
	wait_for_closers(all);
	for (size_t i = 0; i < FUNCTIONS; i++)
		nova_cleanup_close(&all->programs[i]);
	nova_cleanup_close(&all->events);
	nova_cleanup_close(&all->hits);
	nova_cleanup_close(&all->steps);
	nova_cleanup_close(&all->cgroup);
	free(all->closers);
	free(all);
}

/* Which part of the time is cheap enough, by what the last window cost. One thread may have had all
 * of it. */
static void decide(struct allocations *all, int64_t window_ns, uint64_t samples, double allowed)
{
	uint64_t hits = read_hits(all);
	double of_hits = (double)(hits - all->hits_then) * all->hit_cost;
	double of_samples = (double)(samples - all->samples_then) * all->sample_cost;
	double cost = of_hits + of_samples;

	all->hits_then = hits;
	all->samples_then = samples;
	if (window_ns <= 0)
		return;
	all->duty = cost > 0 ? allowed * (double)window_ns / cost : 1;
	if (all->duty > 0.9)
		all->duty = 1;
	/* what is in a ring already says its own step */
	if (of_samples > of_hits && all->step < STEP_MOST)
		set_step(all, all->step * 2);
	else if (of_samples < of_hits / 4 && all->step > STEP_LEAST)
		set_step(all, all->step / 2);
}

static void begin_cycle(struct allocations *all, double allowed, int64_t now_ns)
{
	double share = all->duty < 1 ? all->duty : 1;
	double cycle = (double)(all->next_ns ? CYCLE_NS : CYCLE_NS / 5);
	uint32_t random = (uint32_t)now_ns * 2654435761u; /* the clock's last digits */

	/* on and off cost, too */
	if (share < 1 && cycle < 2 * all->turn_ns / allowed)
		cycle = 2 * all->turn_ns / allowed;
	if (cycle * share < SHORTEST_NS)
		cycle = SHORTEST_NS / share;
	if (cycle > LONGEST_NS)
		cycle = LONGEST_NS;
	all->cycle_ns = (int64_t)cycle;
	all->on_ns = (int64_t)(cycle * share);
	if (all->on_ns < SHORTEST_NS)
		all->on_ns = SHORTEST_NS;
	all->begins_ns =
	        now_ns + (int64_t)((double)(all->cycle_ns - all->on_ns) * (random / 4294967296.0));
	all->next_ns = now_ns + all->cycle_ns;
	all->done = false;
}

/* They were cheap until now, and have become many. */
static bool is_burst(const struct allocations *all, double allowed)
{
	return all->on && all->duty >= 1 &&
	       (double)(read_hits(all) - all->hits_then) * all->hit_cost >
	               allowed * (double)CYCLE_NS * 2;
}

bool allocations_changes(const struct allocations *all, double allowed, int64_t now_ns)
{
	return now_ns >= all->next_ns || is_burst(all, allowed);
}

int64_t allocations_step(struct allocations *all, const struct spaces *spaces, uint64_t samples,
                         double allowed, struct allocation_window *window, int64_t now_ns)
{
	if (allocations_changes(all, allowed, now_ns)) {
		if (all->next_ns)
			decide(all,
			       all->on || !all->done ? now_ns - all->begins_ns : all->was_on_ns,
			       samples, allowed);
		begin_cycle(all, allowed, now_ns);
		if (all->duty < 1) { /* nothing counts until they are there */
			if (all->on)
				turn(all, false);
			*window = (struct allocation_window){.from_ns = UINT64_MAX};
		} else {
			*window = (struct allocation_window){.until_ns = UINT64_MAX, .factor = 1};
		}
	}
	if (now_ns - all->looked_ns >= LOOK_NS)
		look(all, spaces, now_ns);
	if (!all->on && !all->done && now_ns >= all->begins_ns) {
		turn(all, true);
		if (all->duty >= 1)
			return now_ns;
		all->begins_ns = nova_now_ns(); /* all are there only now */
		*window = (struct allocation_window){
		        .from_ns = (uint64_t)all->begins_ns,
		        .until_ns = (uint64_t)(all->begins_ns + all->on_ns),
		        .factor = (double)all->cycle_ns / (double)all->on_ns};
	} else if (all->on && all->duty < 1 && now_ns >= all->begins_ns + all->on_ns) {
		turn(all, false);
		all->was_on_ns = now_ns - all->begins_ns;
		all->done = true;
	}
	if (all->duty >= 1 && all->next_ns - now_ns > CYCLE_NS / 5)
		return now_ns + CYCLE_NS / 5;
	if (all->duty >= 1 || all->done)
		return all->next_ns;
	return all->on ? all->begins_ns + all->on_ns : all->begins_ns;
}

double allocations_spent_ns(const struct allocations *all, uint64_t samples)
{
	return (double)(read_hits(all) - all->hits_first) * all->hit_cost +
	       (double)samples * all->sample_cost;
}

double allocations_hit_ns(const struct allocations *all)
{
	return all->hit_cost;
}

bool allocation_read(const void *raw, uint64_t *often, uint64_t *bytes, uint64_t *caller)
{
	uint64_t said[3], size; /* size, caller, step */

	memcpy(said, raw, sizeof(said));
	if (said[0] >> SIZE_BITS || said[2] > STEP_MOST)
		return false; /* the program gives out no such thing */
	size = said[0] ? said[0] : 1;
	*caller = said[1];
	*bytes = size > said[2] ? size : said[2];
	*often = (*bytes + size / 2) / size;
	return true;
}
