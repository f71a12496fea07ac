/* SPDX-License-Identifier: MIT */
/*
 * A benchmark that does one thing wrong, chosen by -DHOSTILE_<WHAT>; without, it is well-behaved
 * and is what the manifest is made from. NAME is its name. It needs no hypervisor.
 */
#include <novacore/sdk.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

#ifdef HOSTILE_EXPORTS
NOVA_EXPORT int nova_hostile_export(void);
int nova_hostile_export(void)
{
	return 1;
}
#endif

#ifdef HOSTILE_UNDEFINED
int nova_no_such_function(void);
#endif

#ifdef HOSTILE_MISSING_LIBRARY
int nova_hostile_library(void);
#endif

/* --- ways to misbehave ----------------------------------------------------------------------- */

static inline void crash(void)
{
	int *volatile nowhere = (int *)(uintptr_t)8;

	*nowhere = 1;
}

static inline void hang(void)
{
	for (;;)
		pause();
}

/* Takes memory until somebody stops it, in steps that leave time to be seen; never more than a
 * machine for tests can spare. */
static inline void hog(void)
{
	for (int i = 0; i < 80; i++) {
		char *piece = malloc(16u << 20);
		if (piece)
			memset(piece, i + 1, 16u << 20);
		usleep(10000);
	}
	hang();
}

#if defined(HOSTILE_CONSTRUCTOR_CRASH) || defined(HOSTILE_CONSTRUCTOR_EXIT)
__attribute__((constructor)) static void construct(void)
{
#ifdef HOSTILE_CONSTRUCTOR_CRASH
	crash();
#else
	exit(0);
#endif
}
#endif

/* --- the benchmark --------------------------------------------------------------------------- */

struct self {
	const struct nova_host *host;
	const struct nova_lab *lab;
};

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct self *self = calloc(1, sizeof(*self));

	if (!self)
		return host->error(run, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->lab = lab;
	*out = self;
	return NOVA_DONE;
}

static int replicate(void *opaque, nova_run run, uint32_t index, uint32_t side)
{
	struct self *self = opaque;
	const struct nova_sample sample = {
	        .struct_size = sizeof(sample),
	        .status = NOVA_SAMPLE_OK,
	        .metric = TEXT(NAME) ".value",
	        .value = 1.0,
	        .t_ns = self->host->now_ns(),
	};

	(void)index, (void)side;
#if defined(HOSTILE_REPLICATE_CRASH)
	crash();
#elif defined(HOSTILE_REPLICATE_EXIT)
	exit(0);
#elif defined(HOSTILE_REPLICATE_HANG)
	hang();
#elif defined(HOSTILE_REPLICATE_HOG)
	hog();
#elif defined(HOSTILE_REPLICATE_CORRUPT)
	struct self *volatile again = self;
	free(again);
	free(again);
#endif
	return self->lab->sample(run, &sample);
}

static void destroy(void *self)
{
	free(self);
}

#if defined(HOSTILE_PROBE_CRASH) || defined(HOSTILE_PROBE_HANG)
static int probe(const struct nova_host *host, nova_op op)
{
	(void)host, (void)op;
#ifdef HOSTILE_PROBE_CRASH
	crash();
#else
	hang();
#endif
	return NOVA_DONE;
}
#else
static int probe(const struct nova_host *host, nova_op op)
{
	(void)host, (void)op;
	return NOVA_DONE;
}
#endif

static const struct nova_metric metric = {
        .struct_size = sizeof(metric),
        .unit = NOVA_UNIT_ONE,
        .better = NOVA_BETTER_LOWER,
        .revision = 1,
        .name = TEXT(NAME) ".value",
        .doc = "always one",
};
static const struct nova_metric *const metrics[] = {&metric, NULL};

static const struct nova_parameter parameter = {
        .struct_size = sizeof(parameter),
        .type = NOVA_PARAM_INTEGER,
        .name = "count",
        .doc = "not used",
#ifdef HOSTILE_PARAMETER_DIFFERS
        .fallback = "2",
#else
        .fallback = "1",
#endif
        .minimum = "1",
};
static const struct nova_parameter *const parameters[] = {&parameter, NULL};

#ifdef HOSTILE_OPS_SIZE
#define OPS_SIZE 8u
#else
#define OPS_SIZE (uint32_t)sizeof(struct nova_benchmark)
#endif

__attribute__((unused)) static const struct nova_benchmark benchmark = {
        .struct_size = OPS_SIZE,
        .metrics = metrics,
#ifndef HOSTILE_OP_NULL
        .create = create,
#endif
        .replicate = replicate,
        .destroy = destroy,
#ifdef HOSTILE_OP_NULL
        .setup = (int (*)(void *, nova_run))(void *)create,
#endif
};

#if defined(HOSTILE_SIZE_SMALL)
#define PLUGIN_SIZE 16u
#elif defined(HOSTILE_SIZE_HUGE)
#define PLUGIN_SIZE UINT32_MAX
#else
#define PLUGIN_SIZE (uint32_t)sizeof(struct nova_plugin)
#endif

static const struct nova_plugin plugin = {
        .struct_size = PLUGIN_SIZE,
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = TEXT(NAME),
#ifdef HOSTILE_VERSION_DIFFERS
        .version = "6.6.6",
#else
        .version = "1.0.0",
#endif
        .summary = "for tests of what the host survives",
        .license = "MIT",
        .parameters = parameters,
        .probe = probe,
#ifndef HOSTILE_OPS_NULL
        .ops = &benchmark,
#endif
};

#ifndef HOSTILE_NO_NOTE
NOVA_PLUGIN_NOTE(NOVA_KIND_BENCHMARK);
#endif

#ifdef HOSTILE_TWO_NOTES
__attribute__((section(".note.novacore"), used,
               aligned(4))) static const struct nova_note second_note = {
        9u,
        20u,
        NOVA_NOTE_TYPE,
        NOVA_NOTE_NAME,
        NOVA_ABI_MAJOR,
        NOVA_ABI_MINOR,
        NOVA_ABI_MINOR,
        NOVA_KIND_BENCHMARK,
        0u,
};
#endif

#ifdef HOSTILE_NO_ENTRY
#define nova_plugin_entry_v1 nova_some_other_entry
#endif
NOVA_EXTERN_C NOVA_EXPORT const struct nova_plugin *
nova_plugin_entry_v1(const struct nova_host *host);
const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host)
{
	(void)host;
#if defined(HOSTILE_ENTRY_CRASH)
	crash();
#elif defined(HOSTILE_ENTRY_EXIT)
	exit(0);
#elif defined(HOSTILE_ENTRY_HANG)
	hang();
#elif defined(HOSTILE_ENTRY_HOG)
	hog();
#elif defined(HOSTILE_ENTRY_NULL)
	return NULL;
#elif defined(HOSTILE_ENTRY_GARBAGE)
	return (const struct nova_plugin *)(uintptr_t)0x1000;
#elif defined(HOSTILE_UNDEFINED)
	nova_no_such_function();
#elif defined(HOSTILE_MISSING_LIBRARY)
	nova_hostile_library();
#endif
	return &plugin;
}
