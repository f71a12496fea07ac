/* SPDX-License-Identifier: MIT */
/* Recordings of others, as they are and as they should not be. */
#include "core/profiler/profiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct nova_stacks *read_bytes(const char *bytes, size_t length, size_t limit,
                                      struct nova_error *error)
{
	const struct nova_stacks_limits limits = {.bytes = limit};
	struct nova_stacks *stacks = NULL;
	char path[64];
	int fd = memfd_create("stacks", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(error, 0, sizeof(*error));
	if (nova_stacks_read(path, &limits, &stacks, error) != 0)
		assert_null(stacks);
	close(fd);
	return stacks;
}

static struct nova_stacks *read_text(const char *text)
{
	struct nova_error error;
	struct nova_stacks *stacks = read_bytes(text, strlen(text), 0, &error);

	if (!stacks)
		print_error("%s\n", error.text);
	assert_non_null(stacks);
	return stacks;
}

static void refused(const char *text, const char *said)
{
	struct nova_error error;

	assert_null(read_bytes(text, strlen(text), 0, &error));
	if (!strstr(error.text, said))
		print_error("\"%s\" does not say \"%s\"\n", error.text, said);
	assert_non_null(strstr(error.text, said));
}

/* Owned by the caller. */
static char *folded_of(const struct nova_stacks *stacks, uint32_t type, enum nova_stacks_by by)
{
	struct nova_error error = {0};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_int_equal(nova_stacks_write_folded(stacks, type, by, out, &error), 0);
	fclose(out);
	return text;
}

static void folds_to(const struct nova_stacks *stacks, uint32_t type, enum nova_stacks_by by,
                     const char *wanted)
{
	char *text = folded_of(stacks, type, by);

	assert_string_equal(text, wanted);
	free(text);
}

static const char PERF[] =
        "# a comment\n"
        "Web Content 12  1234/1236  [001]  5678.123456:   10101010 cpu-clock:pppH: \n"
        "\tffffffff81001234 do_syscall_64+0x34 ([kernel.kallsyms])\n"
        "\t            55d0 std::vector<int, A (B)>::push_back(int&&)+0x10 (/usr/lib/web "
        "(deleted))\n"
        "\t            55d1 start (inlined)\n"
        "\t            55d2 main+0x1 (/usr/lib/web)\n"
        "\n"
        "Web Content 12  1234/1236  [001]  5678.133456:   10101010 cpu-clock:pppH: \n"
        "\tffffffff81001239 do_syscall_64+0x39 ([kernel.kallsyms])\n"
        "\t            55d2 main+0x1 (/usr/lib/web)\n"
        "\n"
        "swapper     0 [000]  5678.2:    5 cpu-clock:pppH: \n"
        "\tffffffff81aaaaaa pv_native_safe_halt+0xb ([kernel.kallsyms])\n"
        "\t    7f00aa110000 [unknown] (/tmp/perf-77.map)\n"
        "\n";

static void perf_script_is_understood(void **state)
{
	struct nova_stacks *stacks = read_text(PERF);
	const struct nova_origin *origin;

	(void)state;
	assert_int_equal(stacks->type_count, 2);
	assert_string_equal(stacks->types[1].type, "cpu");
	assert_string_equal(stacks->types[1].unit, "nanoseconds");
	assert_int_equal(nova_stacks_total(stacks, 0), 3);
	assert_int_equal(nova_stacks_total(stacks, 1), 20202025);
	origin = &stacks->origins[stacks->counts[0].origin];
	assert_string_equal(origin->thread, "Web Content 12");
	assert_int_equal(origin->pid, 1234);
	assert_int_equal(origin->tid, 1236);
	assert_int_equal(origin->cpu, 1);
	for (uint32_t i = 0; i < stacks->frame_count; i++)
		if (strncmp(stacks->frames[i].name, "std::", 5) == 0) {
			assert_string_equal(stacks->frames[i].name,
			                    "std::vector<int, A (B)>::push_back(int&&)");
			assert_string_equal(stacks->frames[i].library, "/usr/lib/web (deleted)");
		}
	folds_to(stacks, 0, NOVA_BY_THREAD,
	         "Web Content 12 1236;main;do_syscall_64_[k] 1\n"
	         "Web Content 12 1236;main;start_[i];std::vector<int, A (B)>::push_back(int&&);"
	         "do_syscall_64_[k] 1\n"
	         "swapper 0;[unknown]_[j];pv_native_safe_halt_[k] 1\n");
	nova_stacks_free(stacks);
}

static void samples_without_stacks_are_read_too(void **state)
{
	struct nova_stacks *stacks =
	        read_text("sh 1 1.5: cycles:  ffffffff81 a+0x1 ([kernel.kallsyms])\n"
	                  "sh 1 1.6: cycles:  ffffffff82 b+0x1 (/bin/sh)\n"
	                  "sh 1 1.7: instructions:  ffffffff82 b+0x1 (/bin/sh)\n");

	(void)state;
	folds_to(stacks, 0, NOVA_BY_NOTHING, "a_[k] 1\nb 1\n");
	assert_int_equal(stacks->note_count, 1);
	assert_non_null(strstr(stacks->notes[0], "1 samples of other events than cycles"));
	nova_stacks_free(stacks);
}

static void folded_stacks_come_back_as_they_were(void **state)
{
	static const char text[] = "a;b;c_[k] 7\na;b_[i];c 2\na;bc 1\nb 9\n";
	struct nova_stacks *stacks = read_text(text);

	(void)state;
	folds_to(stacks, 0, NOVA_BY_NOTHING, "a;b;c_[k] 7\na;b_[i];c 2\na;bc 1\nb 9\n");
	nova_stacks_free(stacks);
	/* what is shared with the line before is not read again: every way to share */
	stacks = read_text("a;b 1\na;b;c 1\na;b 1\na;bb 1\na 1\nab;b 1\nab 1\n\n# x\nab;b 1\n");
	folds_to(stacks, 0, NOVA_BY_NOTHING, "a 1\na;b 2\na;b;c 1\na;bb 1\nab 1\nab;b 2\n");
	nova_stacks_free(stacks);
}

static void names_that_would_break_a_line_do_not(void **state)
{
	struct nova_stacks *stacks =
	        nova_stacks_new(&(struct nova_value_type){"samples", "count"}, 1);
	const uint64_t one = 1;

	(void)state;
	nova_stacks_add(
	        stacks,
	        nova_stacks_call(stacks, 0,
	                         nova_stacks_frame(stacks, &(struct nova_frame){.name = "a;b\nc"})),
	        0, &one);
	folds_to(stacks, 0, NOVA_BY_NOTHING, "a:b?c 1\n");
	nova_stacks_free(stacks);
}

static void pprof_comes_back_as_it_was(void **state)
{
	struct nova_stacks *stacks = read_text(PERF), *again;
	struct nova_error error;
	char *bytes = NULL, *first, *second;
	size_t length;
	FILE *out = open_memstream(&bytes, &length);

	(void)state;
	stacks->utc_ns = 1700000000000000000;
	stacks->duration_ns = 5;
	stacks->shown = 1;
	nova_stacks_note(stacks, "of a test");
	assert_int_equal(nova_stacks_write_pprof(stacks, out, &error), 0);
	fclose(out);
	again = read_bytes(bytes, length, 0, &error);
	assert_non_null(again);
	for (uint32_t type = 0; type < 2; type++) {
		first = folded_of(stacks, type, NOVA_BY_CPU);
		second = folded_of(again, type, NOVA_BY_CPU);
		assert_string_equal(first, second);
		free(first);
		free(second);
	}
	assert_int_equal(again->utc_ns, stacks->utc_ns);
	assert_int_equal(again->duration_ns, 5);
	assert_int_equal(again->shown, 1);
	assert_string_equal(again->notes[0], "of a test");
	nova_stacks_free(again);
	/* cut anywhere, it is refused and nothing else */
	for (size_t i = 0; i < length; i += 7)
		assert_null(read_bytes(bytes, i, 0, &error));
	free(bytes);
	nova_stacks_free(stacks);
}

static void what_is_none_is_refused_with_line_and_reason(void **state)
{
	(void)state;
	refused("", "is empty");
	refused("\n\n", "no sample is in it");
	refused("main;work 12\nmain;work\n", ":2: folded stacks end with a space and a count");
	refused("main 99999999999999999999999\n", ":1:");
	refused(" 12\n", ":1:");
	refused("a 1 [000] 1.0: 1 x:\n\tzz foo (b)\n", ":2: ");
	refused("a 1 [000] 1.0: 1 x:\n\nhello there\n", ":3: ");
	refused("\x01\x02\x03\x04", "pprof");
}

static void memory_has_a_limit(void **state)
{
	struct nova_error error;
	struct nova_text text = {0};

	(void)state;
	for (int i = 0; i < 20000; i++)
		nova_text_addf(&text, "main;function_number_%d;called_%d 1\n", i, i);
	assert_null(read_bytes(text.data, text.length, 1u << 20, &error));
	assert_int_equal(error.code, NOVA_E_FULL);
	assert_non_null(strstr(error.text, "memory"));
	nova_text_free(&text);
}

/* A few lines, each long: it is not the one without a count, behind them, that is complained of. */
static void memory_has_a_limit_for_long_lines_too(void **state)
{
	struct nova_error error;
	size_t length = 0, line = (size_t)2 << 20;
	char *text = malloc(4 * line + 64);

	(void)state;
	for (int i = 0; i < 4; i++) { /* of frames that are new in each */
		for (size_t j = 0; j < line / 4; j++, length += 4)
			memcpy(text + length, j & (size_t)1 << i ? "aaa;" : "bbb;", 4);
		length += (size_t)sprintf(text + length, "x %d\n", i + 1);
	}
	length += (size_t)sprintf(text + length, "no count\n");
	assert_null(read_bytes(text, length, (size_t)32 << 20, &error));
	assert_non_null(strstr(error.text, "more than 32"));
	free(text);
}

static void a_stack_without_end_is_refused(void **state)
{
	static const char begin[] = "x 1 1.0: 1 cpu-clock: \n", frame[] = "\t1 f\n";
	size_t count = ((size_t)4 << 20) + 1, length = sizeof(begin) - 1;
	char *text = malloc(length + count * (sizeof(frame) - 1));
	struct nova_error error;

	(void)state;
	memcpy(text, begin, length);
	for (size_t i = 0; i < count; i++, length += sizeof(frame) - 1)
		memcpy(text + length, frame, sizeof(frame) - 1);
	assert_null(read_bytes(text, length, 0, &error));
	assert_non_null(strstr(error.text, ":4194306: "));
	assert_non_null(strstr(error.text, "at most 4194304 frames"));
	free(text);
}

/* What was seen last is kept for a while; more lines than fit, and long ones, change nothing. */
static void lines_that_were_seen_before_are_read_as_new_ones(void **state)
{
	size_t samples = 40000, room = samples * 400, length = 0;
	char *text = malloc(room), name[201];
	struct nova_stacks *stacks;
	struct nova_error error;

	(void)state;
	memset(name, 'n', 200);
	name[200] = '\0';
	for (size_t i = 0; i < samples; i++) {
		size_t number = i % (samples / 2); /* each twice, far apart */

		length += (size_t)snprintf(text + length, room - length,
		                           "x 1 1.0: 1 cpu-clock: \n\t1 %s%zu (/lib)\n\t1 main "
		                           "(/bin)\n\n",
		                           name, number);
	}
	stacks = read_bytes(text, length, 0, &error);
	assert_non_null(stacks);
	assert_int_equal(stacks->frame_count, samples / 2 + 1);
	assert_int_equal(stacks->count_count, samples / 2);
	for (uint32_t i = 0; i < stacks->count_count; i++)
		assert_int_equal(stacks->values[(size_t)i * stacks->type_count], 2);
	nova_stacks_free(stacks);
	free(text);
}

static void a_line_without_end_is_refused(void **state)
{
	const size_t length = 17u << 20;
	struct nova_error error;
	char *text = nova_alloc(length);

	(void)state;
	memset(text, 'a', length);
	assert_null(read_bytes(text, length, 0, &error));
	assert_non_null(strstr(error.text, "in one piece"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(perf_script_is_understood),
	        cmocka_unit_test(samples_without_stacks_are_read_too),
	        cmocka_unit_test(folded_stacks_come_back_as_they_were),
	        cmocka_unit_test(names_that_would_break_a_line_do_not),
	        cmocka_unit_test(pprof_comes_back_as_it_was),
	        cmocka_unit_test(what_is_none_is_refused_with_line_and_reason),
	        cmocka_unit_test(memory_has_a_limit),
	        cmocka_unit_test(memory_has_a_limit_for_long_lines_too),
	        cmocka_unit_test(a_stack_without_end_is_refused),
	        cmocka_unit_test(lines_that_were_seen_before_are_read_as_new_ones),
	        cmocka_unit_test(a_line_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
