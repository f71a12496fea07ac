/* SPDX-License-Identifier: MIT */
/*
 * Strict reading of what programs print for people: every line that is asked for must be there,
 * once and whole, and its numbers complete. A report that was cut off or is worded otherwise gives
 * a reason and no number.
 *
 *	struct nova_report report = {.text = text, .bytes = bytes};
 *	double seconds = nova_report_number(&report, "total time: #s");
 *
 *	if (report.why[0])
 *		... the first thing that was wrong ...
 *
 * Part of the workload library: linked into the plugin, not ABI. @thread any; one report, one
 * thread. Nothing is allocated. Each question takes time linear in `bytes`.
 */
#ifndef NOVACORE_WORKLOAD_REPORT_H
#define NOVACORE_WORKLOAD_REPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The text is the caller's, and need not end with a NUL. */
struct nova_report {
	const char *text;
	size_t bytes;
	char why[200]; /* the first failure as a sentence; "" while all is well */
};

/*
 * The one line that is `pattern`: # stands for a number (digits, perhaps a point and more digits;
 * no sign, no exponent, at most 18 digits; blanks before it do not count), a blank for one or more
 * blanks, everything else for itself. Blanks around the line do not count. A line ends with a
 * newline.
 * @param values takes as many numbers as the pattern has #; unchanged after a failure; may be NULL
 *   if it has none
 * @return 0, or -1: there is no such line or more than one, and `why` says so unless it said
 *   something before
 */
int nova_report_line(struct nova_report *report, const char *pattern, double *values);

/* The number of a pattern with one #; 0 after a failure. */
double nova_report_number(struct nova_report *report, const char *pattern);

/* The same, and it must be more than nothing. */
double nova_report_positive(struct nova_report *report, const char *pattern);

/* Keeps a reason of the caller's own, unless there is one. @return -1 */
int nova_report_fail(struct nova_report *report, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
