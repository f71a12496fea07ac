/* SPDX-License-Identifier: MIT */
/* What the tests of core/plugin share: cmocka, and a benchmark's descriptor to spoil. */
#ifndef CHECK_PLUGIN_H
#define CHECK_PLUGIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/plugin/inside.h"

#include <novacore/tools/describe.h>

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		const char *text_ = (text), *part_ = (part);                                       \
		if (!strstr(text_, part_))                                                         \
			fail_msg("\"%s\" does not contain \"%s\"", text_, part_);                  \
	} while (0)

/* libconfig 1.5 leaks the string that it was reading when it met a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static inline int fake_create(const struct nova_host *host, const struct nova_lab *lab,
                              nova_run run, void **self)
{
	(void)host, (void)lab, (void)run, (void)self;
	return 0;
}
static inline int fake_replicate(void *self, nova_run run, uint32_t index, uint32_t side)
{
	(void)self, (void)run, (void)index, (void)side;
	return 0;
}
static inline void fake_destroy(void *self)
{
	(void)self;
}

/* A whole benchmark by value, so that a test can spoil any part of it. */
struct fake {
	struct nova_plugin plugin;
	struct nova_benchmark benchmark;
	struct nova_metric metrics[2];
	struct nova_parameter parameters[2];
	const struct nova_metric *metric_list[3];
	const struct nova_parameter *parameter_list[3];
	const char *choices[3], *needs[3];
};

static inline void fake_make(struct fake *fake)
{
	*fake = (struct fake){
	        .plugin = {.struct_size = sizeof(struct nova_plugin),
	                   .kind = NOVA_KIND_BENCHMARK,
	                   .thread_model = NOVA_THREADS_PER_INSTANCE,
	                   .name = "fake",
	                   .version = "1.2",
	                   .summary = "a \"fake\"\nof two lines\t\\ and é",
	                   .license = "MIT",
	                   .parameters = fake->parameter_list,
	                   .ops = &fake->benchmark},
	        .benchmark = {.struct_size = sizeof(struct nova_benchmark),
	                      .targets_min = 2,
	                      .needs = fake->needs,
	                      .metrics = fake->metric_list,
	                      .create = fake_create,
	                      .replicate = fake_replicate,
	                      .destroy = fake_destroy},
	        .metrics = {{sizeof(struct nova_metric), NOVA_UNIT_SECOND, NOVA_BETTER_LOWER, 1,
	                     "fake.time", "how long"},
	                    {sizeof(struct nova_metric), NOVA_UNIT_BYTE_PER_SECOND,
	                     NOVA_BETTER_HIGHER, 7, "fake.rate.peak", "how fast"}},
	        .parameters = {{.struct_size = sizeof(struct nova_parameter),
	                        .type = NOVA_PARAM_DURATION,
	                        .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH,
	                        .name = "pause",
	                        .doc = "Between two",
	                        .fallback = "1s, 2s",
	                        .minimum = "0s",
	                        .maximum = "1h"},
	                       {.struct_size = sizeof(struct nova_parameter),
	                        .type = NOVA_PARAM_CHOICE,
	                        .flags = NOVA_PARAM_REQUIRED,
	                        .name = "mode",
	                        .doc = "How",
	                        .choices = fake->choices}},
	        .metric_list = {&fake->metrics[0], &fake->metrics[1], NULL},
	        .parameter_list = {&fake->parameters[0], &fake->parameters[1], NULL},
	        .choices = {"fast", "slow", NULL},
	        .needs = {"create", "start", NULL},
	};
}

/* The manifest that novacore-manifest would write, with a digest of zeros. Heap. */
static inline char *fake_manifest(const struct nova_plugin *plugin)
{
	config_t config;
	char why[512], *text = NULL;
	size_t bytes = 0;

	config_init(&config);
	config_setting_t *root = config_root_setting(&config);
	assert_int_equal(nova_describe(plugin, root, why, sizeof(why)), NOVA_DESCRIBE_DONE);
	FILE *file = open_memstream(&text, &bytes);
	assert_non_null(file);
	config_write(&config, file);
	fprintf(file,
	        "format = 1; abi = { major = 1; minor = 0; min_minor = 0; };\n"
	        "hints = [ \"libx.so.1=libx1\" ];\nsha256 = \"%064d\";\n",
	        0);
	fclose(file);
	config_destroy(&config);
	return text;
}

#endif
