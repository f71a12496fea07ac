/* SPDX-License-Identifier: MIT */
/*
 * The core's own keys: the one table from which checking, `config keys`, docs/configuration.md and
 * `config show` are made. Keys of plugins are declared from their manifests.
 */
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

#define INTEGER(name_, doc_, low, high, fallback_)                                                 \
	{                                                                                          \
		.type = NOVA_PARAM_INTEGER, .name = (char *)(name_), .doc = (char *)(doc_),        \
		.minimum = (char *)(low), .maximum = (char *)(high),                               \
		.fallback = (char *)(fallback_)                                                    \
	}
#define NUMBER(name_, doc_, low, high, fallback_)                                                  \
	{                                                                                          \
		.type = NOVA_PARAM_NUMBER, .name = (char *)(name_), .doc = (char *)(doc_),         \
		.minimum = (char *)(low), .maximum = (char *)(high),                               \
		.fallback = (char *)(fallback_)                                                    \
	}
#define SIZE(name_, doc_, low, high, fallback_)                                                    \
	{                                                                                          \
		.type = NOVA_PARAM_SIZE, .name = (char *)(name_), .doc = (char *)(doc_),           \
		.minimum = (char *)(low), .maximum = (char *)(high),                               \
		.fallback = (char *)(fallback_)                                                    \
	}
#define DURATION(name_, doc_, low, high, fallback_)                                                \
	{                                                                                          \
		.type = NOVA_PARAM_DURATION, .name = (char *)(name_), .doc = (char *)(doc_),       \
		.minimum = (char *)(low), .maximum = (char *)(high),                               \
		.fallback = (char *)(fallback_)                                                    \
	}
#define BOOLEAN(name_, doc_, fallback_)                                                            \
	{                                                                                          \
		.type = NOVA_PARAM_BOOLEAN, .name = (char *)(name_), .doc = (char *)(doc_),        \
		.fallback = (char *)(fallback_)                                                    \
	}
#define TEXT(name_, doc_, fallback_)                                                               \
	{                                                                                          \
		.type = NOVA_PARAM_TEXT, .name = (char *)(name_), .doc = (char *)(doc_),           \
		.fallback = (char *)(fallback_)                                                    \
	}
#define LIST(name_, doc_, fallback_)                                                               \
	{                                                                                          \
		.type = NOVA_PARAM_TEXT, .flags = NOVA_PARAM_LIST, .name = (char *)(name_),        \
		.doc = (char *)(doc_), .fallback = (char *)(fallback_)                             \
	}
#define PATH(name_, doc_)                                                                          \
	{                                                                                          \
		.type = NOVA_PARAM_PATH, .name = (char *)(name_), .doc = (char *)(doc_)            \
	}
#define CHOICE(name_, doc_, choices_, fallback_)                                                   \
	{                                                                                          \
		.type = NOVA_PARAM_CHOICE, .name = (char *)(name_), .doc = (char *)(doc_),         \
		.choices = (char **)(choices_), .fallback = (char *)(fallback_)                    \
	}

static const char *const boots[] = {"direct", "disk", "stub", "template", NULL};
static const char *const pairs[] = {"none", "local", NULL};
static const char *const aims[] = {"balance", "latency", "throughput", "density", "cost", NULL};
static const char *const risks[] = {"none", "low", "medium", "high", NULL};

static const struct nova_spec core_keys[] = {
        TEXT("profile", "environment profile that the run follows", "development"),

        LIST("run.suite", "benchmarks to run, in this order", "lifecycle"),
        INTEGER("run.samples", "fresh VMs measured per metric; below 6 there is no interval", "1",
                "100000", "10"),
        INTEGER("run.warmup", "replicates that are run first and discarded", "0", "1000", "1"),
        DURATION("run.budget",
                 "time for the whole run; a plan that does not fit lowers run.samples "
                 "and says so",
                 "1s", "30d", "30min"),
        BOOLEAN("run.full", "run all samples, whatever run.budget says", "false"),
        DURATION("run.op_timeout", "deadline of one call to a hypervisor", "100ms", "1d", "120s"),
        DURATION("run.replicate_timeout",
                 "deadline of a replicate, after which its worker is killed; without it, what "
                 "twelve calls may take by run.op_timeout",
                 "1s", "30d", NULL),
        DURATION("run.ready_timeout", "deadline for a VM to become ready", "100ms", "1d", "120s"),
        BOOLEAN("run.native",
                "run benchmarks that can on this host, too, interleaved with the VMs, and say "
                "the overhead",
                "true"),
        NUMBER("run.precision",
               "half width of intervals, relative to the value, from which on a step needs no "
               "more samples; 0: run all of run.samples",
               "0", "1", "0"),
        CHOICE("run.pair",
               "second target for what needs two: a twin of the first, on this host, for the "
               "time of the run",
               pairs, "none"),
        LIST("run.record",
             "what of this host is recorded while steps measure: cpu, off-cpu, lock, memory; see "
             "novacore-record(1)",
             NULL),
        INTEGER("run.record_frequency", "samples a second and CPU of these recordings", "1",
                "20000", "99"),
        NUMBER("run.record_overhead",
               "what these recordings may cost together, as a share; they are made coarser to "
               "keep it",
               "0.0001", "0.5", "0.02"),
        NUMBER("run.level", "confidence level of intervals", "0.5", "0.999", "0.95"),
        TEXT("run.shape", "shape of the VMs: the name of a group below vm", "standard"),
        LIST("run.targets", "targets to run on: names of groups below target, or PLUGIN=URI", NULL),

        TEXT("regression.baseline", "baseline that runs are judged by (novacore baseline list)",
             "default"),
        NUMBER("regression.alpha",
               "highest p, adjusted over all metrics, that is evidence of a change", "0.000001",
               "0.5", "0.01"),
        NUMBER("regression.minimum_effect",
               "least change, as a share, that is a regression or an improvement", "0.0001", "100",
               "0.1"),
        LIST("regression.metrics",
             "least changes of single metrics, such as cpu.rate=3% or cpu.*=5%", NULL),

        INTEGER("limits.max_vms", "VMs of one run that exist at once", "1", "100000", "100"),
        NUMBER("limits.memory_share", "memory of those VMs, as a share of what is free", "0.01",
               "1", "0.9"),
        NUMBER("limits.cpu_share",
               "virtual CPUs of those VMs, per CPU of the host; without it "
               "there is no such limit",
               "0.01", "1000", NULL),
        SIZE("limits.worker_memory", "resident memory at which a worker is stopped", "32MiB", NULL,
             "1GiB"),

        TEXT("guest.image", "image of your own that VMs boot, instead of the appliance", NULL),
        PATH("guest.kernel", "kernel of your own for direct boot"),
        PATH("guest.initrd", "initial ramdisk of your own for direct boot"),
        TEXT("guest.cmdline", "appended to the kernel's command line", NULL),

        NUMBER("utilization.cpu", "CPU use that the environment aims at, as a share", "0", "1",
               NULL),
        NUMBER("utilization.memory", "memory use that the environment aims at, as a share", "0",
               "1", NULL),
        NUMBER("utilization.cache_hit", "cache hits that the environment aims at, as a share", "0",
               "1", NULL),

        DURATION("monitor.interval", "time between two readings of the live metrics", "100ms", "1d",
                 "5s"),
        DURATION("monitor.retention", "how long readings are kept", "1min", "3650d", "7d"),
        NUMBER("alert.cpu", "CPU use, as a share, from which on an alert is due", "0", "1", NULL),
        NUMBER("alert.memory", "memory use, as a share, from which on an alert is due", "0", "1",
               NULL),
        DURATION("alert.latency", "latency of an operation from which on an alert is due", "1us",
                 "1d", NULL),

        CHOICE("objective.aim", "what matters most in this environment", aims, "balance"),
        TEXT("objective.metric", "metric by which changes are judged first",
             "lifecycle.start.ready"),
        NUMBER("guardrail.degradation",
               "worsening of any other metric, as a share, at which a "
               "change is taken back",
               "0", "1", "0.1"),
        DURATION("guardrail.validation", "how long a change is watched before it is kept", "1s",
                 "30d", "10min"),
        CHOICE("guardrail.risk", "highest risk of a change that may be proposed", risks, "low"),
        LIST("tune.allow", "optimizers that may propose changes; \"all\" for every one", NULL),

        {.type = NOVA_PARAM_PATH,
         .flags = NOVA_PARAM_LIST,
         .name = (char *)"plugins.path",
         .doc = (char *)"more directories with plugins, searched after novacore's own; only in "
                        "the system's file"},
        PATH("store.path", "database of the results; default: novacore.db in the state directory"),
};

/* Below vm.<name>; vm.standard is always there. */
const struct nova_spec keys_of_shape[] = {
        INTEGER("vcpus", "virtual CPUs", "1", "1024", "1"),
        SIZE("memory", "memory", "1MiB", "64TiB", "512MiB"),
        SIZE("disk", "size of the disk; 0: that of the image", "0", NULL, "0"),
        CHOICE("boot", "how the VM boots", boots, "direct"),
        TEXT("image", "image that the VM boots, instead of guest.image", NULL),
        TEXT("place",
             "where the disk lies: a directory of the hypervisor's host, a datastore or storage by "
             "its own name; without it, where the driver puts disks",
             NULL),
        LIST("knobs", "settings of the VM, such as vm.disk.cache=none", NULL),
        {0},
};

/* Below target.<name>, before the parameters of its driver. */
const struct nova_spec keys_of_target[] = {
        {.type = NOVA_PARAM_TEXT,
         .flags = NOVA_PARAM_REQUIRED,
         .name = (char *)"plugin",
         .doc = (char *)"hypervisor plugin that drives the target"},
        TEXT("uri", "where the hypervisor is, in its driver's notation", NULL),
        {0},
};

void keys_declare(struct nova_config *config)
{
	config_declare(config, "", core_keys, NOVA_COUNT(core_keys), false, true);
}

bool keys_system_only(const char *name)
{
	return strcmp(name, "plugins.path") == 0;
}

static void visit_specs(const char *prefix, const struct nova_spec *specs, size_t count,
                        void (*visit)(void *context, const struct nova_config_entry *entry),
                        void *context)
{
	for (size_t i = 0; i < count; i++) {
		if (!specs[i].name)
			break;
		NOVA_AUTOFREE char *name = nova_format("%s%s", prefix, specs[i].name);
		visit(context, &(struct nova_config_entry){.key = name, .spec = &specs[i]});
	}
}

void nova_config_each_core(void (*visit)(void *context, const struct nova_config_entry *entry),
                           void *context)
{
	visit_specs("", core_keys, NOVA_COUNT(core_keys), visit, context);
	visit_specs("vm.NAME.", keys_of_shape, SIZE_MAX, visit, context);
	visit_specs("target.NAME.", keys_of_target, SIZE_MAX, visit, context);
}

void nova_spec_type(const struct nova_spec *spec, char out[32])
{
	static const char *const names[] = {
	        [NOVA_PARAM_INTEGER] = "integer", [NOVA_PARAM_NUMBER] = "number",
	        [NOVA_PARAM_SIZE] = "size",       [NOVA_PARAM_DURATION] = "duration",
	        [NOVA_PARAM_RATE] = "rate",       [NOVA_PARAM_CHOICE] = "choice",
	        [NOVA_PARAM_TEXT] = "text",       [NOVA_PARAM_PATH] = "path",
	        [NOVA_PARAM_SECRET] = "secret",   [NOVA_PARAM_BOOLEAN] = "boolean",
	};
	bool known = spec->type < NOVA_COUNT(names) && names[spec->type];
	snprintf(out, 32, "%s%s", spec->flags & NOVA_PARAM_LIST ? "list of " : "",
	         known ? names[spec->type] : "text");
}
