/* SPDX-License-Identifier: MIT */
/* What a run shows while it goes on: one line that is renewed at a terminal, else a line now and
 * then; and how its result is printed at the end. */
#include "core/cli/progress.h"

#include "core/report/report.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PLAIN_NS (15 * NOVA_SECOND_NS) /* between two lines where there is no terminal */

static bool live, quiet; /* stderr is a terminal; nothing is wanted */
static char line[512];   /* what stands there now */
static int64_t last_plain_ns;
static uint32_t last_plain_step = UINT32_MAX;

static void line_hide(void)
{
	if (live && line[0])
		fputs("\r\033[K", stderr);
}

static void line_show(void)
{
	if (live && line[0]) {
		fputs(line, stderr);
		fflush(stderr);
	}
}

static void describe(const struct nova_run_progress *p, char *text, size_t room)
{
	char median[32], left[48] = "";
	int64_t s = (p->left_ns + NOVA_SECOND_NS - 1) / NOVA_SECOND_NS;
	int length = snprintf(text, room, "step %u/%u %s on %s%s%s%s%s%s · %s%u/%u · %llu samples",
	                      p->step + 1, p->steps, p->benchmark, p->target,
	                      *p->params ? ", " : "", p->params, *p->side ? " (" : "", p->side,
	                      *p->side ? ")" : "", p->warming_up ? "warm-up " : "", p->replicate,
	                      p->replicates, (unsigned long long)p->samples);

	if (p->left_ns >= 0)
		snprintf(left, sizeof(left), " · %lld:%02lld left", (long long)(s / 60),
		         (long long)(s % 60));
	if (p->metric && length > 0 && (size_t)length < room) {
		nova_value_format(p->median, p->unit, median);
		length += snprintf(text + length, room - (size_t)length, " · median %s %s",
		                   p->metric, median);
	}
	if (length > 0 && (size_t)length < room)
		snprintf(text + length, room - (size_t)length, "%s", left);
}

/* Cuts to the terminal's width, at a character. */
static void fit_line(void)
{
	struct winsize size = {0};
	size_t columns, length = strlen(line);

	columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
	while (length && nova_columns(line) >= columns) {
		while (length && (line[length - 1] & 0xc0) == 0x80)
			length--;
		line[length ? --length : 0] = 0;
	}
}

void nova_progress_say(const char *text, bool always)
{
	if (quiet)
		return;
	if (live) {
		line_hide();
		snprintf(line, sizeof(line), "%s", text);
		fit_line();
		line_show();
		return;
	}
	if (!always && nova_now_ns() - last_plain_ns < PLAIN_NS)
		return;
	last_plain_ns = nova_now_ns();
	nova_log(NOVA_LOG_INFO, "%s", text);
}

static void on_progress(void *context, const struct nova_run_progress *progress)
{
	char text[sizeof(line)];

	(void)context;
	if (quiet)
		return;
	describe(progress, text, sizeof(text));
	nova_progress_say(text, progress->step != last_plain_step ||
	                                progress->replicate == progress->replicates);
	last_plain_step = progress->step;
}

static void on_note(void *context, enum nova_level level, const char *text)
{
	(void)context;
	nova_log(level, "%s", text);
}

struct nova_run_watch nova_progress_watch(void)
{
	return (struct nova_run_watch){on_progress, on_note, NULL};
}

void nova_progress_begin(bool is_quiet, bool may_be_live)
{
	quiet = is_quiet;
	live = isatty(STDERR_FILENO) && may_be_live;
	nova_log_around(line_hide, line_show);
}

void nova_progress_end(void)
{
	line_hide();
	line[0] = 0;
}

/* --- the end
 * -------------------------------------------------------------------------------------- */

int nova_result_print(const json_t *result, const char *format, const char *path, bool verbose,
                      struct nova_error *error)
{
	struct nova_report_options look = {0};
	FILE *out = nova_output_open(path, error);
	int code;

	if (!out)
		return error->code;
	nova_report_options_detect(out, &look);
	look.verbose = verbose;
	code = nova_report_write(result, format, out, &look, error);
	if (code)
		nova_output_discard(out, path);
	else
		code = nova_output_close(out, path, error);
	return code;
}

int nova_more_urgent(int left, int right)
{
	static const int order[] = {143, 130, 5, 2, 3, 4, 1, 0};

	for (size_t i = 0; i < NOVA_COUNT(order); i++)
		if (left == order[i] || right == order[i])
			return order[i];
	return left;
}
