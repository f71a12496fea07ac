/* SPDX-License-Identifier: MIT */
/* What `novacore plugin check` prints: while it goes on, at the end, and what checks there are. */
#include "core/cli/checking.h"
#include "core/cli/profiles.h"

#include <string.h>

void check_print_head(const struct checking *checking)
{
	const struct nova_inspection *file = &checking->file;
	const struct nova_manifest *manifest = file->manifest;

	if (checking->arguments->json || checking->arguments->quiet)
		return;
	printf("%s/%s%s%s, ABI %u.%u", nova_kind_name(file->kind), file->name, manifest ? " " : "",
	       manifest ? manifest->version : "", file->note.major, file->note.minor);
	if (file->note.draft)
		printf(" draft %u", file->note.draft);
	printf("\n%s\nSHA-256 %s\n\n", file->path, *file->sha256 ? file->sha256 : "unknown");
}

/* Of conformance. What cannot be connected to is not a thing that the driver lacks. */
static const char *result_of(const struct row *row)
{
	static const char *const words[] = {"", "pass", "fail", "not-supported"};
	bool untried = row->verdict == NOVA_VERDICT_NOT_TRIED &&
	               (row->blocked || !strcmp(row->name, "connect"));

	return untried ? "not-tried" : words[row->verdict];
}

static void print_case(const struct checking *checking, const struct row *row)
{
	static const char *last;
	bool passed = row->verdict == NOVA_VERDICT_PASSED;

	if (checking->arguments->quiet ? passed : !row->topic && passed)
		return;
	if (row->topic && (!last || strcmp(last, row->topic)))
		printf("%s%s\n", last ? "\n" : "", row->topic);
	last = row->topic ? row->topic : last;
	printf("  %-18s %-13s  %s%s%s%s\n", row->name, result_of(row),
	       passed ? row->proves : row->why, passed && *row->why ? " (" : "",
	       passed ? row->why : "", passed && *row->why ? ")" : "");
	fflush(stdout);
}

void check_print_row(const struct checking *checking, const struct row *row)
{
	static const char *const words[] = {"", "passed", "FAILED", "not tried"};
	bool passed = row->verdict == NOVA_VERDICT_PASSED;

	if (checking->arguments->json)
		return;
	if (checking->arguments->target) {
		print_case(checking, row);
		return;
	}
	if (checking->arguments->quiet && passed)
		return;
	printf("%-19s %-9s  ", row->name, words[row->verdict]);
	if (passed)
		printf("%s%s%s%s\n", row->proves, *row->why ? " (" : "", row->why,
		       *row->why ? ")" : "");
	else
		printf("%s\n", row->why);
	fflush(stdout);
}

static size_t count_verdicts(const struct checking *checking, enum nova_verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < checking->count; i++)
		count += checking->rows[i].verdict == verdict;
	return count;
}

/* Cases of conformance with that result. */
static size_t count_results(const struct checking *checking, const char *result)
{
	size_t count = 0;

	for (size_t i = 0; i < checking->count; i++)
		count += checking->rows[i].topic && !strcmp(result_of(&checking->rows[i]), result);
	return count;
}

void check_print_summary(const struct checking *checking)
{
	if (checking->arguments->target) {
		printf("\n%s at %s: %zu pass, %zu fail, %zu not supported, %zu not tried, in %.1f "
		       "s\n",
		       checking->file.name, checking->arguments->target,
		       count_results(checking, "pass"), count_results(checking, "fail"),
		       count_results(checking, "not-supported"),
		       count_results(checking, "not-tried"),
		       (double)(nova_now_ns() - checking->begun_ns) / 1e9);
		return;
	}
	printf("\n%s/%s: %zu passed, %zu failed, %zu not tried, in %.1f s\n",
	       nova_kind_name(checking->file.kind), checking->file.name,
	       count_verdicts(checking, NOVA_VERDICT_PASSED),
	       count_verdicts(checking, NOVA_VERDICT_FAILED),
	       count_verdicts(checking, NOVA_VERDICT_NOT_TRIED),
	       (double)(nova_now_ns() - checking->begun_ns) / 1e9);
}

static json_t *cases_of(const struct checking *checking)
{
	json_t *cases = json_array();

	for (size_t i = 0; i < checking->count; i++) {
		const struct row *row = &checking->rows[i];
		if (row->verdict && (row->topic || row->verdict != NOVA_VERDICT_PASSED))
			json_array_append_new(
			        cases, json_pack("{ss? ss ss ss s:o sf}", "topic", row->topic,
			                         "name", row->name, "proves", row->proves, "result",
			                         result_of(row), "why",
			                         *row->why ? json_string(row->why) : json_null(),
			                         "seconds", row->seconds));
	}
	return cases;
}

static void print_conformance(const struct checking *checking, int code)
{
	const struct nova_inspection *file = &checking->file;
	NOVA_AUTOJSON json_t *all = json_pack(
	        "{ss s:{ss ss? ss} ss sb so s:{sI sI sI sI} sI}", "schema",
	        "novacore.conformance/1", "plugin", "name", file->name, "version",
	        file->manifest ? file->manifest->version : NULL, "sha256", file->sha256, "target",
	        checking->arguments->target, "quick", checking->arguments->quick, "cases",
	        cases_of(checking), "counts", "pass", (json_int_t)count_results(checking, "pass"),
	        "fail", (json_int_t)count_results(checking, "fail"), "not_supported",
	        (json_int_t)count_results(checking, "not-supported"), "not_tried",
	        (json_int_t)count_results(checking, "not-tried"), "exit_code", (json_int_t)code);

	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
}

void check_print_result(const struct checking *checking, int code)
{
	if (checking->arguments->target) {
		print_conformance(checking, code);
		return;
	}
	const struct nova_inspection *file = &checking->file;
	NOVA_AUTOJSON json_t *checks = json_array();

	for (size_t i = 0; i < checking->count; i++) {
		const struct row *row = &checking->rows[i];
		if (!row->verdict)
			continue;
		json_array_append_new(
		        checks, json_pack("{ss ss ss s:o sf}", "name", row->name, "proves",
		                          row->proves, "result", verdict_words[row->verdict], "why",
		                          *row->why ? json_string(row->why) : json_null(),
		                          "seconds", row->seconds));
	}
	NOVA_AUTOJSON json_t *all = json_pack(
	        "{ss s:{ss? ss ss? ss ss} s:{sI sI} sO s:{sI sI sI} sI}", "schema",
	        "novacore.check/1", "plugin", "kind",
	        file->kind ? nova_kind_name(file->kind) : NULL, "name", file->name, "version",
	        file->manifest ? file->manifest->version : NULL, "path", file->path, "sha256",
	        file->sha256, "abi", "major", (json_int_t)file->note.major, "minor",
	        (json_int_t)file->note.minor, "checks", checks, "counts", "passed",
	        (json_int_t)count_verdicts(checking, NOVA_VERDICT_PASSED), "failed",
	        (json_int_t)count_verdicts(checking, NOVA_VERDICT_FAILED), "not_tried",
	        (json_int_t)count_verdicts(checking, NOVA_VERDICT_NOT_TRIED), "exit_code",
	        (json_int_t)code);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* The first of what a row needs, or NULL. Owned by the caller. */
static char *first_need(const struct row *row)
{
	const char *needs = row->needs ? row->needs + strspn(row->needs, "?!") : NULL;

	return needs ? nova_format("%.*s", (int)strcspn(needs, " "), needs)
	             : nova_strdup(row->sized ? "sizes" : NULL);
}

int check_print_list(const struct checking *checking)
{
	GRID_AUTO struct grid grid = {.columns = 3};
	NOVA_AUTOJSON json_t *list = json_array();

	grid_add(&grid, "CHECK");
	grid_add(&grid, "NEEDS");
	grid_add(&grid, "PROVES THAT");
	for (size_t i = 0; i < checking->count; i++) {
		const struct row *row = &checking->rows[i];
		NOVA_AUTOFREE char *need = first_need(row);
		grid_add(&grid, row->name);
		grid_add(&grid, need);
		grid_add(&grid, row->proves);
		json_array_append_new(list, json_pack("{ss ss? ss}", "name", row->name, "needs",
		                                      need, "proves", row->proves));
	}
	if (checking->arguments->json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		grid_print(&grid, stdout);
	}
	return 0;
}
