/* SPDX-License-Identifier: MIT */
/*
 * Descriptor to libconfig. One table per kind names the ops and says which are required; everything
 * that a struct_size does not cover is never read.
 */
#include <novacore/tools/describe.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_STRUCT_BYTES 65536u /* no struct of ours will ever be larger: the size is a lie */
#define MAX_ELEMENTS     4096u  /* of one table: more is an array without its NULL */

const char *const nova_kind_words[] = {"", "benchmark", "hypervisor", "optimizer", "profile", NULL};
const char *const nova_param_words[] = {"",       "integer", "number", "size",   "duration", "rate",
                                        "choice", "text",    "path",   "secret", "boolean",  NULL};
const char *const nova_unit_words[] = {"", "s", "B", "B/s", "1/s", "1", NULL};
const char *const nova_better_words[] = {"", "lower", "higher", NULL};
const char *const nova_thread_words[] = {"", "serial", "per-instance", "parallel", NULL};

struct op {
	const char *name;
	size_t offset;
	int required;
};

#define OP(type, field, required)                                                                  \
	{                                                                                          \
#field, offsetof(struct type, field), required                                     \
	}
static const struct op benchmark_ops[] = {OP(nova_benchmark, create, 1),
                                          OP(nova_benchmark, setup, 0),
                                          OP(nova_benchmark, replicate, 1),
                                          OP(nova_benchmark, teardown, 0),
                                          OP(nova_benchmark, destroy, 1),
                                          OP(nova_benchmark, width, 0),
                                          {NULL, 0, 0}};
static const struct op hypervisor_ops[] = {OP(nova_hypervisor, create, 1),
                                           OP(nova_hypervisor, destroy, 1),
                                           OP(nova_hypervisor, pump, 0),
                                           OP(nova_hypervisor, wake, 0),
                                           OP(nova_hypervisor, cancel, 0),
                                           OP(nova_hypervisor, connect, 1),
                                           OP(nova_hypervisor, describe, 1),
                                           OP(nova_hypervisor, vm_create, 0),
                                           OP(nova_hypervisor, vm_clone, 0),
                                           OP(nova_hypervisor, vm_power, 0),
                                           OP(nova_hypervisor, vm_delete, 0),
                                           OP(nova_hypervisor, vm_list, 0),
                                           OP(nova_hypervisor, vm_query, 0),
                                           OP(nova_hypervisor, snapshot, 0),
                                           OP(nova_hypervisor, exec, 0),
                                           OP(nova_hypervisor, exec_kill, 0),
                                           OP(nova_hypervisor, image_put, 0),
                                           OP(nova_hypervisor, image_delete, 0),
                                           OP(nova_hypervisor, net_create, 0),
                                           OP(nova_hypervisor, net_delete, 0),
                                           OP(nova_hypervisor, migrate_prepare, 0),
                                           OP(nova_hypervisor, migrate, 0),
                                           OP(nova_hypervisor, migrate_finish, 0),
                                           OP(nova_hypervisor, knob_list, 0),
                                           OP(nova_hypervisor, knob_get, 0),
                                           OP(nova_hypervisor, knob_set, 0),
                                           OP(nova_hypervisor, twin, 0),
                                           OP(nova_hypervisor, disconnect, 0),
                                           {NULL, 0, 0}};
static const struct op optimizer_ops[] = {OP(nova_optimizer, examine, 1), {NULL, 0, 0}};
static const struct op profile_ops[] = {OP(nova_profile, adapt, 0), {NULL, 0, 0}};
#undef OP

/*
 * By kind: the ops, and the size of the ops struct in the first minor, ABI 1.0: what an old plugin
 * has. A struct that grows keeps the last member of 1.0 here.
 */
static const struct {
	const struct op *ops;
	uint32_t minimum;
} kinds[] = {
        {NULL, 0},
        {benchmark_ops, NOVA_SIZE_TO(struct nova_benchmark, width)},
        {hypervisor_ops, NOVA_SIZE_TO(struct nova_hypervisor, disconnect)},
        {optimizer_ops, NOVA_SIZE_TO(struct nova_optimizer, examine)},
        {profile_ops, NOVA_SIZE_TO(struct nova_profile, adapt)},
};

struct describer {
	config_setting_t *root;
	char *text;
	size_t room;
	enum nova_describe_result result;
};

__attribute__((format(printf, 3, 4))) static int
fail(struct describer *describer, enum nova_describe_result result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(describer->text, describer->room, format, arguments);
	va_end(arguments);
	describer->result = result;
	return -1;
}

const char *nova_word_of(const char *const *words, uint32_t value)
{
	for (uint32_t i = 0; words[i]; i++) {
		if (i == value)
			return i ? words[i] : NULL;
	}
	return NULL;
}

uint32_t nova_word_value(const char *const *words, const char *word)
{
	for (uint32_t i = 1; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return 0;
}

static void add_text(config_setting_t *group, const char *name, const char *value)
{
	if (value)
		config_setting_set_string(config_setting_add(group, name, CONFIG_TYPE_STRING),
		                          value);
}

static void add_number(config_setting_t *group, const char *name, uint32_t value)
{
	config_setting_set_int(config_setting_add(group, name, CONFIG_TYPE_INT), (int)value);
}

static void add_flag(config_setting_t *group, const char *name, int value)
{
	if (value)
		config_setting_set_bool(config_setting_add(group, name, CONFIG_TYPE_BOOL), 1);
}

/* `name` matches ^[<first>][<first> plus digits and `more`]*$, at most 64 bytes. */
static int name_matches(const char *name, int digit_first, const char *more)
{
	size_t length = strlen(name);

	if (!length || length > 64)
		return 0;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		int letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
		if (!letter && !(digit && (i || digit_first)) && !(i && strchr(more, c)))
			return 0;
	}
	return 1;
}

static int check_size(struct describer *describer, const char *what, uint32_t size,
                      uint32_t minimum)
{
	if (size >= minimum && size <= MAX_STRUCT_BYTES)
		return 0;
	return fail(describer, NOVA_DESCRIBE_SIZE,
	            "%s says struct_size = %u, but this ABI's is at least %u (and less than 64 "
	            "KiB): set it to sizeof the "
	            "struct and rebuild the plugin",
	            what, size, minimum);
}

static int add_names(struct describer *describer, config_setting_t *group, const char *name,
                     const char *const *names)
{
	if (!names)
		return 0;
	config_setting_t *array = config_setting_add(group, name, CONFIG_TYPE_ARRAY);
	for (uint32_t i = 0; names[i]; i++) {
		if (i == MAX_ELEMENTS)
			return fail(describer, NOVA_DESCRIBE_WRONG, "`%s` has no NULL at its end",
			            name);
		config_setting_set_string_elem(array, -1, names[i]);
	}
	return 0;
}

static int add_parameter(struct describer *describer, config_setting_t *list,
                         const struct nova_parameter *parameter)
{
	const uint32_t known =
	        NOVA_PARAM_LIST | NOVA_PARAM_REQUIRED | NOVA_PARAM_EACH | NOVA_PARAM_VMS;

	if (check_size(describer, "a parameter", parameter->struct_size,
	               NOVA_SIZE_TO(struct nova_parameter, choices)))
		return -1;
	if (!parameter->name || !parameter->doc)
		return fail(describer, NOVA_DESCRIBE_NULL,
		            "parameter `%s` has no name or no `doc`: both are required",
		            parameter->name ? parameter->name : "?");
	if (!name_matches(parameter->name, 0, "_"))
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "parameter `%.80s`: a name is lower-case letters, digits and _, "
		            "beginning with a letter",
		            parameter->name);
	const char *type = nova_word_of(nova_param_words, parameter->type);
	if (!type)
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "parameter `%s` has the unknown type %u: use NOVA_PARAM_*",
		            parameter->name, parameter->type);
	if (parameter->reserved)
		return fail(describer, NOVA_DESCRIBE_WRONG, "parameter `%s`: `reserved` is not 0",
		            parameter->name);
	if (parameter->flags & ~known)
		return fail(describer, NOVA_DESCRIBE_WRONG, "parameter `%s` has unknown flags 0x%x",
		            parameter->name, parameter->flags & ~known);
	if ((parameter->type == NOVA_PARAM_CHOICE) != (parameter->choices && parameter->choices[0]))
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "parameter `%s`: a choice has `choices`, and nothing else has",
		            parameter->name);
	if ((parameter->flags & NOVA_PARAM_REQUIRED) && parameter->fallback)
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "parameter `%s` is required and has a default: choose one",
		            parameter->name);

	config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
	add_text(group, "name", parameter->name);
	add_text(group, "type", type);
	add_flag(group, "list", parameter->flags & NOVA_PARAM_LIST);
	add_flag(group, "required", parameter->flags & NOVA_PARAM_REQUIRED);
	add_flag(group, "each", parameter->flags & NOVA_PARAM_EACH);
	add_flag(group, "vms", parameter->flags & NOVA_PARAM_VMS);
	add_text(group, "fallback", parameter->fallback);
	add_text(group, "minimum", parameter->minimum);
	add_text(group, "maximum", parameter->maximum);
	if (add_names(describer, group, "choices", parameter->choices))
		return -1;
	add_text(group, "doc", parameter->doc);
	return 0;
}

static int add_parameters(struct describer *describer,
                          const struct nova_parameter *const *parameters)
{
	config_setting_t *list =
	        config_setting_add(describer->root, "parameters", CONFIG_TYPE_LIST);

	for (uint32_t i = 0; parameters && parameters[i]; i++) {
		if (i == MAX_ELEMENTS)
			return fail(describer, NOVA_DESCRIBE_WRONG,
			            "`parameters` has no NULL at its end");
		for (uint32_t j = 0; j < i; j++) {
			if (parameters[i]->name &&
			    !strcmp(parameters[i]->name, parameters[j]->name))
				return fail(describer, NOVA_DESCRIBE_WRONG,
				            "parameter `%s` is declared twice",
				            parameters[i]->name);
		}
		if (add_parameter(describer, list, parameters[i]))
			return -1;
	}
	return 0;
}

static int add_metric(struct describer *describer, config_setting_t *list, const char *plugin,
                      const struct nova_metric *metric)
{
	size_t length = strlen(plugin);

	if (check_size(describer, "a metric", metric->struct_size,
	               NOVA_SIZE_TO(struct nova_metric, doc)))
		return -1;
	if (!metric->name || !metric->doc)
		return fail(describer, NOVA_DESCRIBE_NULL,
		            "metric `%s` has no name or no `doc`: both are required",
		            metric->name ? metric->name : "?");
	if (strncmp(metric->name, plugin, length) || metric->name[length] != '.')
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "metric `%.80s`: its name must begin with `%s.`", metric->name, plugin);
	const char *unit = nova_word_of(nova_unit_words, metric->unit);
	const char *better = nova_word_of(nova_better_words, metric->better);
	if (!unit || !better || !metric->revision)
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "metric `%s` needs unit (NOVA_UNIT_*), better (NOVA_BETTER_*) and a "
		            "revision of at least 1",
		            metric->name);

	config_setting_t *group = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
	add_text(group, "name", metric->name);
	add_text(group, "unit", unit);
	add_text(group, "better", better);
	add_number(group, "revision", metric->revision);
	add_text(group, "doc", metric->doc);
	return 0;
}

static int add_benchmark(struct describer *describer, const struct nova_plugin *plugin)
{
	const struct nova_benchmark *benchmark = plugin->ops;

	if (benchmark->flags & ~NOVA_BENCHMARK_NATIVE)
		return fail(describer, NOVA_DESCRIBE_WRONG, "benchmark `%s` has unknown flags 0x%x",
		            plugin->name, benchmark->flags & ~NOVA_BENCHMARK_NATIVE);
	if (benchmark->targets_max > NOVA_TARGETS_ALL ||
	    (benchmark->targets_max && benchmark->targets_max < benchmark->targets_min))
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "benchmark `%s`: targets_max is %u and targets_min %u", plugin->name,
		            benchmark->targets_max, benchmark->targets_min);
	if (!benchmark->metrics || !benchmark->metrics[0])
		return fail(describer, NOVA_DESCRIBE_NULL,
		            "benchmark `%s` declares no metric: it would measure nothing",
		            plugin->name);
	add_number(describer->root, "targets_min", benchmark->targets_min);
	if (benchmark->targets_max)
		add_number(describer->root, "targets_max", benchmark->targets_max);
	add_flag(describer->root, "native", benchmark->flags & NOVA_BENCHMARK_NATIVE);
	if (add_names(describer, describer->root, "needs", benchmark->needs))
		return -1;
	config_setting_t *list = config_setting_add(describer->root, "metrics", CONFIG_TYPE_LIST);
	for (uint32_t i = 0; benchmark->metrics[i]; i++) {
		if (i == MAX_ELEMENTS)
			return fail(describer, NOVA_DESCRIBE_WRONG,
			            "`metrics` has no NULL at its end");
		if (add_metric(describer, list, plugin->name, benchmark->metrics[i]))
			return -1;
	}
	return 0;
}

static int add_profile(struct describer *describer, const struct nova_plugin *plugin)
{
	const struct nova_profile *profile = plugin->ops;

	if (!profile->settings)
		return fail(describer, NOVA_DESCRIBE_NULL, "profile `%s` has no settings",
		            plugin->name);
	add_text(describer->root, "settings", profile->settings);
	return 0;
}

static int add_ops(struct describer *describer, const struct nova_plugin *plugin)
{
	const char *ops = plugin->ops;
	uint32_t size, flags;

	if (!ops)
		return fail(describer, NOVA_DESCRIBE_NULL, "plugin `%s` has no ops", plugin->name);
	memcpy(&size, ops, sizeof(size));
	if (check_size(describer, "the ops struct", size, kinds[plugin->kind].minimum))
		return -1;
	memcpy(&flags, ops + sizeof(size),
	       sizeof(flags)); /* the second member of each kind's ops */
	if (plugin->kind != NOVA_KIND_BENCHMARK && flags)
		return fail(describer, NOVA_DESCRIBE_WRONG, "%s `%s` has unknown flags 0x%x",
		            nova_kind_words[plugin->kind], plugin->name, flags);

	config_setting_t *array = config_setting_add(describer->root, "ops", CONFIG_TYPE_ARRAY);
	for (const struct op *op = kinds[plugin->kind].ops; op->name; op++) {
		void (*function)(void);
		memcpy(&function, ops + op->offset, sizeof(function));
		if (function)
			config_setting_set_string_elem(array, -1, op->name);
		else if (op->required)
			return fail(describer, NOVA_DESCRIBE_NULL,
			            "the required op `%s` of %s `%s` is NULL", op->name,
			            nova_kind_words[plugin->kind], plugin->name);
	}
	if (plugin->kind == NOVA_KIND_BENCHMARK)
		return add_benchmark(describer, plugin);
	if (plugin->kind == NOVA_KIND_PROFILE)
		return add_profile(describer, plugin);
	return 0;
}

static int add_plugin(struct describer *describer, const struct nova_plugin *plugin)
{
	config_setting_t *root = describer->root;

	if (!plugin)
		return fail(describer, NOVA_DESCRIBE_NULL, "the entry returned NULL");
	if (check_size(describer, "the descriptor", plugin->struct_size,
	               NOVA_SIZE_TO(struct nova_plugin, ops)))
		return -1;
	if (!plugin->name || !plugin->version || !plugin->summary || !plugin->license)
		return fail(describer, NOVA_DESCRIBE_NULL,
		            "the descriptor lacks name, version, summary or license: all four are "
		            "required");
	if (!name_matches(plugin->name, 1, "-"))
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "plugin `%.80s`: a name is lower-case letters, digits and -, beginning "
		            "with a letter or digit",
		            plugin->name);
	const char *kind = nova_word_of(nova_kind_words, plugin->kind);
	if (!kind)
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "plugin `%s` has the unknown kind %u: use NOVA_KIND_*", plugin->name,
		            plugin->kind);
	const char *threads =
	        plugin->thread_model % 1000
	                ? NULL
	                : nova_word_of(nova_thread_words, plugin->thread_model / 1000);
	if (!threads)
		return fail(describer, NOVA_DESCRIBE_WRONG,
		            "plugin `%s` has the unknown thread model %u: use NOVA_THREADS_*",
		            plugin->name, plugin->thread_model);

	if (plugin->flags)
		return fail(describer, NOVA_DESCRIBE_WRONG, "plugin `%s` has unknown flags 0x%x",
		            plugin->name, plugin->flags);

	add_text(root, "kind", kind);
	add_text(root, "name", plugin->name);
	add_text(root, "version", plugin->version);
	add_text(root, "summary", plugin->summary);
	add_text(root, "license", plugin->license);
	add_text(root, "threads", threads);
	add_flag(root, "probe", plugin->probe != NULL);
	if (add_parameters(describer, plugin->parameters))
		return -1;
	return add_ops(describer, plugin);
}

enum nova_describe_result nova_describe(const struct nova_plugin *plugin, config_setting_t *root,
                                        char *text, size_t room)
{
	struct describer describer = {root, text, room, NOVA_DESCRIBE_DONE};

	if (room)
		text[0] = '\0';
	add_plugin(&describer, plugin);
	return describer.result;
}
