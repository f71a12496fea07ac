/* SPDX-License-Identifier: MIT */
#include "core/cli/recording.h"

#include "core/cli/judging.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *recording_file(const char *word)
{
	NOVA_AUTOFREE char *place = nova_recordings_is_id(word) && access(word, F_OK)
	                                    ? nova_recordings_place(word)
	                                    : NULL;
	struct stat is;

	if (place || (!stat(word, &is) && S_ISDIR(is.st_mode)))
		return nova_format("%s/" NOVA_RECORDING_FILE, place ? place : word);
	return nova_strdup(word);
}

int recording_take(const char *word, struct nova_stacks **stacks, struct nova_error *error)
{
	NOVA_AUTOFREE char *file = recording_file(word);

	return nova_stacks_read(file, NULL, stacks, error);
}

int recording_share(const char *text, double *share)
{
	if (!strcmp(text, "0") || !strcmp(text, "0%")) {
		*share = 0;
		return 0;
	}
	return nova_effect_parse(text, share) == 0 && *share <= 1 ? 0 : -1;
}

int recording_value(const struct nova_stacks *stacks, const char *file, const char *wanted,
                    uint32_t *type, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text names = {0};

	*type = stacks->shown;
	if (!wanted)
		return 0;
	for (uint32_t i = 0; i < stacks->type_count; i++) {
		if (!strcmp(stacks->types[i].type, wanted)) {
			*type = i;
			return 0;
		}
		nova_text_addf(&names, "%s%s", i ? ", " : "", stacks->types[i].type);
	}
	return nova_error_set(error, NOVA_E_INVALID, "%s has no values \"%.60s\"; it has %s", file,
	                      wanted, nova_text_get(&names));
}
