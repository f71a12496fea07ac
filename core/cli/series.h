/* SPDX-License-Identifier: MIT */
/*
 * A series from a CSV file with a header: one column of numbers and, where there are two columns or
 * more, the first as its times. Memory: 8 bytes a row and the text of its time.
 */
#ifndef NOVACORE_SERIES_H
#define NOVACORE_SERIES_H

#include "core/base/base.h"

#define NOVA_SERIES_ROWS  ((size_t)20000000)
#define NOVA_SERIES_TIMES ((size_t)1 << 30) /* bytes of all times */

struct nova_series {
	char *column, *time_column; /* NULL: there is none */
	double *values;             /* finite */
	size_t count;               /* of them */
	size_t rows;                /* below the header, gaps among them */
	size_t *gaps, gap_count;    /* rows without a value, from 0, ascending */
	bool time_is_number;        /* all of them; false without times */
	bool time_falls;            /* somewhere; only of numbers */
	struct nova_text times;     /* each row's, NUL-terminated */
};

/*
 * Reads all of `file`, called `name` in errors. `column` NULL: the one that there is, or beside the
 * first column, or that is called "value". A cell that is empty, NaN, NA, N/A, null, none or - is a
 * gap. NOVA_E_INVALID with line and column for anything else that is no finite number, for records
 * of another length than the header, a file without header or rows, one that is no CSV or too long.
 * Free it in any case.
 */
int nova_series_read(FILE *file, const char *name, const char *column, struct nova_series *series,
                     struct nova_error *error);
void nova_series_free(struct nova_series *series);

/* The row of value `i`. O(gaps). */
size_t nova_series_row(const struct nova_series *series, size_t i);
/* The times of `count` rows, ascending; owned by the series. NULL where there are none. O(rows). */
void nova_series_times(const struct nova_series *series, const size_t *rows, size_t count,
                       const char **times);
/* `text`, blanks around it left out, is a number in decimal notation, infinity included. */
bool nova_series_number(const char *text, double *value);

#endif
