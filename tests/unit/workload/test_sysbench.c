/* SPDX-License-Identifier: MIT */
/* Reports of sysbench, as they were printed and in every way cut, changed and shortened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include <novacore/workload/sysbench.h>

#include "recorded.h"

#define THREADS 2

struct outcome {
	int code;
	struct nova_sysbench common;
	double figure;
	char why[200];
};

static struct outcome read_cpu(const char *text, size_t bytes)
{
	struct nova_report report = {.text = text, .bytes = bytes};
	struct outcome out = {.figure = -7};

	out.code = nova_sysbench_cpu(&report, THREADS, 20000, &out.common, &out.figure);
	memcpy(out.why, report.why, sizeof(out.why));
	return out;
}

static struct outcome read_memory(const char *text, size_t bytes)
{
	struct nova_report report = {.text = text, .bytes = bytes};
	struct outcome out = {.figure = -7};

	out.code = nova_sysbench_memory(&report, THREADS, "write", &out.common, &out.figure);
	memcpy(out.why, report.why, sizeof(out.why));
	return out;
}

static const struct {
	const char *name;
	struct outcome (*read)(const char *text, size_t bytes);
	size_t needed; /* lines that it cannot do without */
} reports[] = {
        {"sysbench-cpu-host.txt", read_cpu, 12},
        {"sysbench-cpu-guest.txt", read_cpu, 12},
        {"sysbench-memory-host.txt", read_memory, 13},
        {"sysbench-memory-guest.txt", read_memory, 13},
};
#define EACH(i) (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++)

static int same(double a, double b)
{
	return fabs(a - b) <= fabs(b) * 1e-12;
}

static void reads_what_was_printed(void **state)
{
	/* as they stand in the files */
	static const double figures[] = {534.45, 66.87, 758.89 * 1048576, 170.55 * 1048576};

	(void)state;
	for
		EACH(i)
		{
			struct recorded file = recorded_read(RECORDED, reports[i].name);
			struct outcome out = reports[i].read(file.text, file.bytes);

			assert_string_equal(out.why, "");
			assert_int_equal(out.code, 0);
			assert_true(same(out.figure, figures[i]));
			assert_true(out.common.total_s >= 1 && out.common.total_s < 1.5);
			assert_true(out.common.events >= 10);
			assert_true(out.common.latency_max_s >= out.common.latency_avg_s);
			free(file.text);
		}
}

/* No figures, and a reason; or the very same figures, where only what says nothing was lost. */
static void assert_nothing_or_all(const struct outcome *out, const struct outcome *whole)
{
	if (out->code == 0) {
		assert_true(same(out->figure, whole->figure));
		assert_true(same(out->common.latency_p95_s, whole->common.latency_p95_s));
		return;
	}
	assert_true(out->why[0] != '\0');
	assert_true(out->figure < -6); /* untouched */
}

static void truncated_anywhere_it_gives_no_figure(void **state)
{
	(void)state;
	for
		EACH(i)
		{
			struct recorded file = recorded_read(RECORDED, reports[i].name);
			struct outcome whole = reports[i].read(file.text, file.bytes);
			size_t enough = 0;

			for (size_t bytes = 0; bytes <= file.bytes; bytes++) {
				/* a copy, so that memcheck sees a byte too far */
				char *text = malloc(bytes + 1);
				struct outcome out;

				assert_non_null(text);
				memcpy(text, file.text, bytes);
				out = reports[i].read(text, bytes);
				assert_nothing_or_all(&out, &whole);
				enough += out.code == 0;
				free(text);
			}
			assert_int_equal(enough,
			                 2); /* the whole, and that without the last, empty line */
			free(file.text);
		}
}

static void each_line_that_counts_must_be_there_once(void **state)
{
	(void)state;
	for
		EACH(i)
		{
			struct recorded file = recorded_read(RECORDED, reports[i].name), less;
			struct outcome whole = reports[i].read(file.text, file.bytes);
			size_t needed = 0;

			for (size_t at = 0, next; at < file.bytes; at = next) {
				struct outcome out;

				next = recorded_without_line(&file, at, &less);
				out = reports[i].read(less.text, less.bytes);
				assert_nothing_or_all(&out, &whole);
				needed += out.code != 0;
				free(less.text);
			}
			assert_int_equal(needed, reports[i].needed);
			free(file.text);
		}
}

static void changed_it_never_gives_a_zero(void **state)
{
	static const char others[] = {'0', '-', '\n', (char)0xff};

	(void)state;
	for
		EACH(i)
		{
			struct recorded file = recorded_read(RECORDED, reports[i].name);

			for (size_t at = 0; at < file.bytes; at += 5)
				for (size_t j = 0; j < sizeof(others); j++) {
					char was = file.text[at];
					struct outcome out;

					file.text[at] = others[j];
					out = reports[i].read(file.text, file.bytes);
					if (out.code == 0)
						assert_true(out.figure > 0 && isfinite(out.figure));
					else
						assert_true(out.why[0] != '\0');
					file.text[at] = was;
				}
			free(file.text);
		}
}

static void refuses_the_report_of_another_order(void **state)
{
	struct recorded file = recorded_read(RECORDED, "sysbench-cpu-host.txt");
	struct nova_report threads = {.text = file.text, .bytes = file.bytes}, primes = threads;
	struct nova_sysbench common;
	double figure;

	(void)state;
	assert_int_equal(nova_sysbench_cpu(&threads, 1, 20000, &common, &figure), -1);
	assert_string_equal(threads.why, "it is of 2 threads, not of 1");
	assert_int_equal(nova_sysbench_cpu(&primes, 2, 10000, &common, &figure), -1);
	assert_string_equal(primes.why, "its primes are up to 20000, not to 10000");
	free(file.text);

	file = recorded_read(RECORDED, "sysbench-memory-host.txt");
	threads = (struct nova_report){.text = file.text, .bytes = file.bytes};
	assert_int_equal(nova_sysbench_memory(&threads, 2, "read", &common, &figure), -1);
	assert_string_equal(threads.why, "it has no complete line \"operation: read\"");
	free(file.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_what_was_printed),
	        cmocka_unit_test(truncated_anywhere_it_gives_no_figure),
	        cmocka_unit_test(each_line_that_counts_must_be_there_once),
	        cmocka_unit_test(changed_it_never_gives_a_zero),
	        cmocka_unit_test(refuses_the_report_of_another_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
