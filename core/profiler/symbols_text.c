/* SPDX-License-Identifier: MIT */
/* Functions that are listed in text: of the kernel (/proc/kallsyms), of compilers at run time. */
#include "core/profiler/record.h"

#include <inttypes.h>
#include <string.h>

#define LINE_BYTES   8192u
#define MOST_SYMBOLS 4000000u
#define PAGE_BYTES   UINT64_C(4096)

static void add(struct symbols_table *table, uint64_t start, uint64_t end, const char *name,
                size_t length)
{
	table->symbols = nova_grow(table->symbols, table->count, sizeof(*table->symbols));
	table->symbols[table->count] =
	        (struct symbol){start, end, (const char *)table->names.length,
	                        (uint32_t)table->count}; /* what is written later replaces */
	table->count++;
	nova_text_add_bytes(&table->names, name, length);
	nova_text_add_bytes(&table->names, "", 1);
}

void symbols_table_finish(struct symbols_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		table->symbols[i].name = table->names.data + (uintptr_t)table->symbols[i].name;
	symbols_sort(table->symbols, table->count);
}

void symbols_table_free(struct symbols_table *table)
{
	free(table->symbols);
	nova_text_free(&table->names);
}

/* --- the kernel ---------------------------------------------------------------------------------
 */

/* "ffffffff81000000 T _stext" or "ffffffffc0000000 t name\t[module]". The name keeps its module. */
void symbols_read_kallsyms(struct symbols_table *table, FILE *kallsyms, size_t most)
{
	char line[1024];

	while (table->count < most && table->count < MOST_SYMBOLS &&
	       fgets(line, sizeof(line), kallsyms)) {
		uint64_t start;
		char type;
		int name = 0;

		if (sscanf(line, "%" SCNx64 " %c %n", &start, &type, &name) < 2 || !name ||
		    !strchr("tTwW", type))
			continue;
		table->hidden = table->hidden || !start;
		if (start)
			add(table, start, 0, line + name, strcspn(line + name, "\n"));
	}
}

/* "name\t[module]": what stands behind the name, or what nothing stands behind. */
static const char *module_of(const char *text)
{
	const char *tab = strpbrk(text, "\t ");

	return tab ? tab + 1 : "";
}

/* kallsyms tells no sizes. The last function of a module, and what is last of all, is given the
 * page that perf gives it, too: what comes behind is somebody else's. */
void symbols_end_modules(struct symbols_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		struct symbol *symbol = &table->symbols[i];

		if (!symbol->end &&
		    (i + 1 == table->count ||
		     strcmp(module_of(symbol->name), module_of(symbol[1].name)) != 0))
			symbol->end =
			        ((symbol->start + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1)) + PAGE_BYTES;
	}
}

static void name_kernel(const struct address_run *run, uint32_t address, const char *text)
{
	const char *module = module_of(text);
	NOVA_AUTOFREE char *name = strndup(text, strcspn(text, "\t "));
	struct nova_frame frame = {
	        .name = name, .library = run->object->path, .flags = NOVA_FRAME_KERNEL};

	if (module[0] == '[')
		frame.library = module;
	recording_name(run->recording, address, &frame);
}

void symbols_of_kernel(const struct address_run *run, FILE *kallsyms)
{
	const struct recording *recording = run->recording;
	struct symbols_table table = {0};

	symbols_read_kallsyms(&table, kallsyms, SIZE_MAX);
	if (!table.count)
		nova_stacks_note(
		        run->recording->texts,
		        "functions of the kernel have no names: it hides its addresses; "
		        "read the recording as root, or with sysctl kernel.kptr_restrict=0");
	/* what it made at run time, which kallsyms may not list any more */
	for (uint32_t i = 0; i < recording->ksymbol_count; i++) {
		const struct ksymbol *symbol = &recording->ksymbols[i];
		NOVA_AUTOFREE char *text =
		        nova_format("%s%s", symbol->name,
		                    strncmp(symbol->name, "bpf_", 4) == 0 ? "\t[bpf]" : "");

		add(&table, symbol->start, symbol->start + symbol->length, text, strlen(text));
	}
	symbols_table_finish(&table);
	symbols_end_modules(&table);
	for (size_t i = 0; i < run->count; i++) {
		const struct symbol *symbol = symbols_find(
		        table.symbols, table.count, recording->addresses[run->addresses[i]].offset);

		if (symbol)
			name_kernel(run, run->addresses[i], symbol->name);
	}
	symbols_table_free(&table);
}

/* --- compilers at run time ----------------------------------------------------------------------
 * /tmp/perf-PID.map: "START SIZE name" with hexadecimal numbers
 * (tools/perf/Documentation/jit-interface.txt).
 */

void symbols_read_jit(struct symbols_table *table, FILE *map)
{
	char line[LINE_BYTES];

	while (table->count < MOST_SYMBOLS && fgets(line, sizeof(line), map)) {
		uint64_t start, size;
		int name = 0;

		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %n", &start, &size, &name) == 2 && name &&
		    line[name] && size > 0 && start <= UINT64_MAX - size)
			add(table, start, start + size, line + name, strcspn(line + name, "\n"));
	}
}

void symbols_of_jit(const struct address_run *run, FILE *map)
{
	struct symbols_table table = {0};

	symbols_read_jit(&table, map);
	symbols_table_finish(&table);
	for (size_t i = 0; i < run->count; i++) {
		const struct symbol *symbol =
		        symbols_find(table.symbols, table.count,
		                     run->recording->addresses[run->addresses[i]].offset);

		if (symbol)
			recording_name(run->recording, run->addresses[i],
			               &(struct nova_frame){.name = symbol->name,
			                                    .library = run->object->path,
			                                    .flags = NOVA_FRAME_JIT});
	}
	symbols_table_free(&table);
}
