/* SPDX-License-Identifier: MIT */
/*
 * Inside core/report: text in columns, and what comparisons, histories and ranks say alike. Every
 * text that goes through here is fit for a terminal.
 */
#ifndef NOVACORE_REPORT_COLUMNS_H
#define NOVACORE_REPORT_COLUMNS_H

#include "core/report/internal.h"

/* Rows of `columns` cells; the first row is the heading. Bit i of `right`: column i is aligned so.
 * Zero-initialise the rest. */
struct columns {
	size_t columns;
	unsigned right;
	char **cells;
	size_t count;
};
void columns_add(struct columns *columns, const char *cell); /* NULL: "-" */
/* Indented by two blanks; frees the cells. O(cells). */
void columns_print(struct columns *columns, FILE *out);

/* "lifecycle on local (kvm), concurrency=5": of a row, series or group. Owned by the caller. */
char *judged_label(const json_t *one);
/* "+12.3 %" of a relative number, "-" if it is null. */
void judged_percent(const json_t *number, char out[32]);
/* "+8 % … +15 %", "-" without. Owned by the caller. */
char *judged_interval(const json_t *interval);
/* A value in its scaled unit, "-" if it is null. */
void judged_value(const json_t *number, const char *unit, char out[32]);
/* "-", or three digits. */
void judged_p(const json_t *number, char out[32]);
/* A line of its own, indented, cleaned. */
void judged_line(FILE *out, unsigned indent, const char *format, ...) NOVA_PRINTF(3, 4);

/* Appends a field and a comma; numbers as digits, null empty, objects and arrays as JSON. */
void judged_csv(struct nova_text *line, const json_t *value);
/* Ends the line in place of the last comma and writes it. */
void judged_csv_end(struct nova_text *line, FILE *out);

/* How each of the formats is written. */
struct judged_writers {
	void (*table)(const json_t *document, FILE *out);
	void (*csv)(const json_t *document, FILE *out);
};
int judged_write(const json_t *document, const char *format, const struct judged_writers *writers,
                 FILE *out, struct nova_error *error);

#endif
