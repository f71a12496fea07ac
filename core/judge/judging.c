/* SPDX-License-Identifier: MIT */
/* By what it is judged whether something got worse: the keys regression.*, and their defaults. */
#include "core/judge/judge.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_LEVEL  0.95
#define DEFAULT_ALPHA  0.01
#define DEFAULT_EFFECT 0.1

int nova_effect_parse(const char *text, double *effect)
{
	size_t digits = strspn(text, "0123456789.");
	bool percent = !strcmp(text + digits, "%");

	/* The digits are checked before, so that strtod takes neither "inf" nor "0x1". */
	if (!digits || (text[digits] && !percent) || strchr(text, '.') != strrchr(text, '.'))
		return NOVA_E_INVALID;
	*effect = strtod(text, NULL) / (percent ? 100 : 1);
	return *effect > 0 && *effect <= 100 ? 0 : NOVA_E_INVALID;
}

static bool is_metric(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length && length < 97 && (!name[length] || !strcmp(name + length - 1, ".*"));
}

static int add_effect(json_t *metrics, const char *entry, struct nova_error *error)
{
	const char *equals = strchr(entry, '=');
	NOVA_AUTOFREE char *name = nova_format("%.*s", (int)(equals ? equals - entry : 0), entry);
	double effect = 0;

	if (!equals || !is_metric(name) || nova_effect_parse(equals + 1, &effect))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "regression.metrics: \"%.80s\" is not METRIC=EFFECT; write "
		                      "such as \"cpu.rate=3%%\" or \"cpu.*=0.05\"",
		                      entry);
	json_object_set_new(metrics, name, json_real(effect));
	return 0;
}

int nova_judging_configured(const struct nova_config *config, json_t **regression,
                            struct nova_error *error)
{
	const char *baseline = nova_config_text(config, "regression.baseline", 0);
	NOVA_AUTOJSON json_t *metrics = json_object();
	int code = 0;

	*regression = NULL;
	if (!nova_name_valid(baseline))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "regression.baseline: \"%.80s\" is no name of a baseline: use "
		        "lower-case letters, digits and -",
		        baseline);
	for (size_t i = 0; i < nova_config_count(config, "regression.metrics") && !code; i++)
		code = add_effect(metrics, nova_config_text(config, "regression.metrics", i),
		                  error);
	if (code)
		return code;
	*regression = json_pack("{ss sf sf sO}", "baseline", baseline, "alpha",
	                        nova_config_f64(config, "regression.alpha", 0), "minimum_effect",
	                        nova_config_f64(config, "regression.minimum_effect", 0), "metrics",
	                        metrics);
	return 0;
}

static double in_range(const json_t *object, const char *name, double most, double fallback)
{
	double value = json_number_value(json_object_get(object, name));

	return value > 0 && value < most ? value : fallback;
}

void nova_judging_read(const json_t *regression, double level, struct nova_judging *judging)
{
	judging->level = level > 0 && level < 1 ? level : DEFAULT_LEVEL;
	judging->alpha = in_range(regression, "alpha", 1, DEFAULT_ALPHA);
	judging->minimum_effect = in_range(regression, "minimum_effect", 101, DEFAULT_EFFECT);
	judging->metrics = json_object_get(regression, "metrics");
}

double nova_judging_effect(const struct nova_judging *judging, const char *metric)
{
	json_t *metrics = (json_t *)(uintptr_t)judging->metrics, *effect;
	double found = judging->minimum_effect;
	size_t longest = 0;
	const char *name;

	if (json_is_number(json_object_get(metrics, metric)))
		return json_number_value(json_object_get(metrics, metric));
	json_object_foreach(metrics, name, effect)
	{
		size_t length = strlen(name);

		if (length < 2 || name[length - 1] != '*' || length <= longest ||
		    strncmp(name, metric, length - 1) != 0)
			continue;
		longest = length;
		found = json_number_value(effect);
	}
	return found;
}
