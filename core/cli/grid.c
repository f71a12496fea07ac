/* SPDX-License-Identifier: MIT */
/*
 * Text in columns, for the commands that list things.
 */
#include "core/cli/profiles.h"

#include <stdlib.h>
#include <string.h>

void grid_add(struct grid *grid, const char *cell)
{
	grid->cells = nova_grow(grid->cells, grid->count, sizeof(*grid->cells));
	grid->cells[grid->count++] = nova_strdup(cell ? cell : "–");
}

static size_t width_of(const struct grid *grid, size_t column)
{
	size_t width = 0;
	for (size_t i = column; i < grid->count; i += grid->columns) {
		size_t columns = nova_columns(grid->cells[i]);
		width = columns > width ? columns : width;
	}
	return width;
}

void grid_print(struct grid *grid, FILE *out)
{
	for (size_t i = 0; i < grid->count; i++) {
		size_t column = i % grid->columns;
		fputs(grid->cells[i], out);
		if (column + 1 == grid->columns) {
			fputc('\n', out);
			continue;
		}
		size_t pad = width_of(grid, column) - nova_columns(grid->cells[i]) + 2;
		fprintf(out, "%*s", (int)pad, "");
	}
}

/* "|" would end a cell, "<" begin HTML, "*" emphasis. */
static void print_escaped(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (strchr("|<*_", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

void grid_print_markdown(struct grid *grid, FILE *out)
{
	for (size_t i = 0; i < grid->count; i++) {
		size_t column = i % grid->columns;
		fputs(column == 0 ? "| " : " | ", out);
		print_escaped(grid->cells[i], out);
		if (column + 1 < grid->columns)
			continue;
		fputs(" |\n", out);
		if (i + 1 == grid->columns) {
			for (size_t j = 0; j < grid->columns; j++)
				fputs(j == 0 ? "|---|" : "---|", out);
			fputc('\n', out);
		}
	}
}

void grid_free(struct grid *grid)
{
	for (size_t i = 0; i < grid->count; i++)
		free(grid->cells[i]);
	free(grid->cells);
	*grid = (struct grid){0};
}
