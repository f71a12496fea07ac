/* SPDX-License-Identifier: MIT */
/*
 * A small profile that keeps every promise; -DHOSTILE_<WHAT> breaks one. NAME is the plugin's name.
 */
#include <novacore/sdk.h>

#include <string.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

static int adapt(const struct nova_host *host, nova_op op, const char *workload)
{
	if (strcmp(workload, "cpu-intensive") != 0)
		return host->errorf(op, NOVA_E_UNSUPPORTED, "no settings for \"%.40s\"", workload);
#if defined(HOSTILE_ADAPT_KEY)
	return host->put_fact(op, NOVA_FIELD_FACT, "run.smaples", "20");
#elif defined(HOSTILE_ADAPT_VALUE)
	return host->put_fact(op, NOVA_FIELD_FACT, "run.samples", "many");
#else
	return host->put_fact(op, NOVA_FIELD_FACT, "run.samples", "20");
#endif
}

static const struct nova_profile ops = {.struct_size = sizeof(ops),
#if defined(HOSTILE_KEY)
                                        .settings = "run = { smaples = 10; };\n",
#elif defined(HOSTILE_SYNTAX)
                                        .settings = "run = { samples = ; };\n",
#elif defined(HOSTILE_UNIT)
                                        .settings = "run = { budget = 30; };\n",
#else
                                        .settings = "run = { samples = 10; };\n",
#endif
                                        .adapt = adapt};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_PROFILE,
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .name = TEXT(NAME),
                                          .version = "1",
                                          .summary = "ten samples",
                                          .license = "MIT",
                                          .ops = &ops};

NOVA_PLUGIN(NOVA_KIND_PROFILE, plugin)
