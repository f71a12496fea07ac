/* SPDX-License-Identifier: MIT */
/*
 * For schema.py: `render_result check` says of each line of stdin whether it is a result,
 * `render_result FORMAT [WIDTH [colour] [verbose]]` prints the result on stdin.
 */
#include "core/report/report.h"

#include <stdlib.h>
#include <string.h>

static int check_lines(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		NOVA_AUTOJSON json_t *result = json_loads(line, JSON_DECODE_ANY, NULL);
		struct nova_error error = {0};

		if (nova_report_check(result, &error))
			printf("%s\n", error.text);
		else
			puts("ok");
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	NOVA_AUTOJSON json_t *result = NULL;
	struct nova_report_options options = {0};
	struct nova_error error = {0};

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "check"))
		return check_lines();
	options.width = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	for (int i = 3; i < argc; i++) {
		options.colour |= !strcmp(argv[i], "colour");
		options.verbose |= !strcmp(argv[i], "verbose");
	}
	result = json_loadf(stdin, 0, NULL);
	if (nova_report_write(result, argv[1], stdout, &options, &error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error.text);
	return 1;
}
