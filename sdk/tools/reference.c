/* SPDX-License-Identifier: MIT */
/*
 * Manifest to Markdown, for manual pages and `novacore plugin info --format markdown`. It reads
 * settings only, so that a page can be made of a plugin that this user could not run.
 */
#include <novacore/tools/reference.h>

#include <string.h>

static const char *text_of(const config_setting_t *group, const char *name)
{
	const char *text = NULL;

	config_setting_lookup_string(group, name, &text);
	return text;
}

static int flag_of(const config_setting_t *group, const char *name)
{
	int flag = 0;

	config_setting_lookup_bool(group, name, &flag);
	return flag;
}

/* "|" would end a cell, "<" begin HTML, "*" emphasis. */
static void put(const char *text, FILE *out)
{
	for (; text && *text; text++) {
		if (strchr("|<*_", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_choices(const config_setting_t *choices, FILE *out)
{
	for (int i = 0; i < config_setting_length(choices); i++) {
		fputs(i ? ", " : ": ", out);
		put(config_setting_get_string_elem(choices, i), out);
	}
}

/* ": 1 … 1000", or nothing where anything goes */
static void put_values(const config_setting_t *parameter, FILE *out)
{
	const config_setting_t *choices = config_setting_get_member(parameter, "choices");
	const char *type = text_of(parameter, "type");
	const char *minimum = text_of(parameter, "minimum");
	const char *maximum = text_of(parameter, "maximum");

	if (choices) {
		put_choices(choices, out);
	} else if (type && !strcmp(type, "boolean")) {
		fputs(": true, false", out);
	} else if (minimum || maximum) {
		fputs(minimum && maximum ? ": " : minimum ? ": at least " : ": at most ", out);
		put(minimum, out);
		fputs(minimum && maximum ? " … " : "", out);
		put(maximum, out);
	}
}

static void put_parameter(const config_setting_t *parameter, FILE *out)
{
	const char *fallback = text_of(parameter, "fallback");

	fputs("| ", out);
	put(text_of(parameter, "name"), out);
	fputs(" | ", out);
	put(text_of(parameter, "type"), out);
	fputs(flag_of(parameter, "each")   ? ", one step each"
	      : flag_of(parameter, "list") ? ", list"
	                                   : "",
	      out);
	put_values(parameter, out);
	if (flag_of(parameter, "required")) {
		fputs("; required", out);
	} else if (fallback) {
		fputs("; default ", out);
		put(*fallback ? fallback : "(empty)", out);
	}
	fputs(" | ", out);
	put(text_of(parameter, "doc"), out);
	fputs(" |\n", out);
}

static void put_metric(const config_setting_t *metric, FILE *out)
{
	int revision = 0;

	config_setting_lookup_int(metric, "revision", &revision);
	fputs("| ", out);
	put(text_of(metric, "name"), out);
	fputs(" | ", out);
	put(text_of(metric, "unit"), out);
	fputs(", ", out);
	put(text_of(metric, "better"), out);
	fprintf(out, " is better, revision %d | ", revision);
	put(text_of(metric, "doc"), out);
	fputs(" |\n", out);
}

/* A table with a row for each element of a list, or nothing if it has none. */
static void put_list(const config_setting_t *list, const char *head,
                     void (*row)(const config_setting_t *, FILE *), FILE *out)
{
	fputs(head, out);
	for (int i = 0; i < config_setting_length(list); i++)
		row(config_setting_get_elem(list, (unsigned int)i), out);
}

void nova_reference_print(const config_t *manifest, FILE *out)
{
	const config_setting_t *root = config_root_setting(manifest);
	const config_setting_t *parameters = config_setting_get_member(root, "parameters");
	const config_setting_t *metrics = config_setting_get_member(root, "metrics");
	const char *summary = text_of(root, "summary");
	const char *kind = text_of(root, "kind"), *name = text_of(root, "name");

	fprintf(out, "%s\n", summary ? summary : "");
	if (parameters && config_setting_length(parameters)) {
		fprintf(out, "\n### Parameters, %s.%s.NAME\n\n", kind ? kind : "?",
		        name ? name : "?");
		put_list(parameters, "| NAME | VALUE | MEANING |\n|---|---|---|\n", put_parameter,
		         out);
	}
	if (metrics && config_setting_length(metrics)) {
		fputs("\n### Metrics\n\n", out);
		put_list(metrics, "| NAME | UNIT | MEANING |\n|---|---|---|\n", put_metric, out);
	}
}
