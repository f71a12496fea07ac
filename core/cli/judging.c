/* SPDX-License-Identifier: MIT */
/* What the commands that judge across runs begin and end with. */
#include "core/cli/judging.h"

#include <string.h>

const char *const judging_formats[] = {"table", "json", "csv", NULL};

int judging_open(const char *config, struct judging *judging, struct nova_error *error)
{
	int code = nova_settings_load(NULL, config, NULL, 0, &judging->settings, error);

	if (!code)
		code = nova_judging_configured(judging->settings.config, &judging->regression,
		                               error);
	if (code)
		return code;
	nova_judging_read(judging->regression,
	                  nova_config_f64(judging->settings.config, "run.level", 0), &judging->by);
	return nova_settings_store(&judging->settings, &judging->store, error);
}

void judging_close(struct judging *judging)
{
	nova_store_close(judging->store);
	json_decref(judging->regression);
	nova_settings_free(&judging->settings);
	memset(judging, 0, sizeof(*judging));
}

int judging_check_format(const char *command, const char *format, const char *const *formats,
                         struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text names = {0};
	const char *near;

	for (size_t i = 0; formats[i]; i++) {
		if (!strcmp(formats[i], format))
			return 0;
		nova_text_addf(&names, "%s%s", i ? (formats[i + 1] ? ", " : " and ") : "",
		               formats[i]);
	}
	near = nova_nearest(format, formats);
	return nova_error_set(error, NOVA_E_INVALID, "%s has no format \"%.40s\"%s%s%s; it has %s",
	                      command, format, near ? "; did you mean " : "", near ? near : "",
	                      near ? "?" : "", nova_text_get(&names));
}

int judging_deliver(const json_t *document, const char *format, const char *output,
                    int (*write)(const json_t *document, const char *format, FILE *out,
                                 struct nova_error *error),
                    struct nova_error *error)
{
	FILE *out = nova_output_open(output, error);
	int code;

	if (!out)
		return error->code;
	code = write(document, format, out, error);
	if (!code)
		return nova_output_close(out, output, error);
	nova_output_discard(out, output);
	return code;
}
