/* SPDX-License-Identifier: MIT */
/*
 * What the formats of core/report share: short ways to read a document that nova_report_check has
 * accepted, and escaping. Nothing outside the room includes this but its tests.
 */
#ifndef NOVACORE_REPORT_INTERNAL_H
#define NOVACORE_REPORT_INTERNAL_H

#include "core/report/report.h"

void nova_report_table(const json_t *result, FILE *out, const struct nova_report_options *options);
void nova_report_json(const json_t *result, FILE *out);
void nova_report_csv(const json_t *result, FILE *out);
void nova_report_junit(const json_t *result, FILE *out);
void nova_report_html(const json_t *result, FILE *out, const struct nova_report_options *options);
void nova_report_markdown(const json_t *result, FILE *out);

/* The text of a member, NULL if it is null. */
const char *nova_report_text(const json_t *object, const char *member);
double nova_report_number(const json_t *object, const char *member);
long long nova_report_integer(const json_t *object, const char *member);
/* NOVA_UNIT_* of "s", "B", …; NOVA_UNIT_ONE for what is none. */
uint32_t nova_report_unit(const char *name);
/* Shortest digits that read back as the same double; integers as they are. */
void nova_report_digits(const json_t *number, char out[32]);
/* Adds a value as people write it: "5s", "64MiB"; of A and B "a 1s / b 2s". `unit` of param_units,
 * or NULL: just a number. */
void nova_report_add(struct nova_text *text, const json_t *value, const char *unit);
/* The same of a step's parameter. */
void nova_report_param(struct nova_text *text, const json_t *step, const char *name,
                       const json_t *value);
/* "lifecycle on local": what a step's heading and names of test cases say. */
char *nova_report_step_title(const json_t *result, const json_t *step);
/* A limit, or a tick of an axis, is exact: "10 s", not "10.0 s". */
void nova_report_limit(double value, uint32_t unit, char out[32]);
/* "≤ 10 s (≤ 12 s acceptable)" or NULL without a goal; owned by the caller. */
char *nova_report_goal(const json_t *metric);
/* The value of a metric that has one; "≤ 9.0 ms" if it is not above its noise floor. */
void nova_report_figure(const json_t *metric, char out[32]);
/* "260 ms [250 ms, 290 ms], n = 10 of 10": one number never without the others. */
char *nova_report_value(const json_t *metric);

/* "vm against native, overhead 2.1 % [1.5 %, 3 %], 12 pairs, p 0.003, goal ≤ 3 %", likewise. */
char *nova_report_effect(const json_t *comparison);
/* --- what several formats say alike (summary.c) ---------------------------------------------- */

#define NOVA_REPORT_VERDICTS 6
extern const char *const nova_report_verdicts[NOVA_REPORT_VERDICTS];
/* How many metrics and comparisons have each verdict, and the sentence that sums it up: "2 of 7
 * goals were missed." Owned by the caller. */
char *nova_report_sentence(const json_t *result, unsigned counts[NOVA_REPORT_VERDICTS]);
/* What to look at: the metric's own advice or, where its goal was missed, ours. NULL: nothing. */
const char *nova_report_advice(const json_t *metric);
/* The guests of the step are stubs that run nothing. */
bool nova_report_is_control_plane(const json_t *step);
/* "lifecycle, step 2: ", of an entry of "skipped"; owned by the caller. */
char *nova_report_skipped(const json_t *skipped);
/*
 * "recorded (cpu): 510 samples in 2.57 s of all processes; it took 0.19 % of this host's CPUs:
 * /…", of one of a step's recordings; says if it is deleted by now, or on another host. Owned.
 */
char *nova_report_recording(const json_t *recording);
/* One of its flame graphs, if it is a file of this host now: its path. Owned, or NULL. */
char *nova_report_flame(const json_t *recording, const char *name);
/* The command that runs it again, as far as the document tells and a shell may be given it (a
 * document may come from anywhere). NULL: not known. Owned by the caller. */
char *nova_report_command(const json_t *result);

/* Appends `text` so that it can stand in XML 1.0: as content and within double quotes. What XML
 * cannot hold (control characters, bytes that are no UTF-8, U+FFFE) becomes U+FFFD. */
void nova_report_xml(struct nova_text *out, const char *text);
/* Appends one field of RFC 4180, quoted where it must be. NULL: empty. */
void nova_report_csv_field(struct nova_text *out, const char *text);

#endif
