/* SPDX-License-Identifier: MIT */
/* Functions of an ELF file: its symbol tables, sorted once (with what separate debug files have,
 * which libdwfl finds by build-id or .gnu_debuglink, and debuginfod.c if servers are named), and
 * DWARF for what is inlined. */
#include "core/profiler/record.h"

#include <elfutils/libdwfl.h>
#include <string.h>
#include <unistd.h>

#define MOST_SYMBOLS 4000000

/* The module's own word is the run. */
static int find_debug_file(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                           const char *file, const char *link, GElf_Word crc, char **found)
{
	const struct address_run *run = *user;
	int fd = dwfl_standard_find_debuginfo(module, user, name, base, file, link, crc, found);

	return fd < 0 && run
	               ? debuginfod_fetch(run->recording->debuginfod, run->object, true, found)
	               : fd;
}

static const Dwfl_Callbacks callbacks = {.find_debuginfo = find_debug_file,
                                         .section_address = dwfl_offline_section_address};

struct elf {
	Dwfl *dwfl;
	Dwfl_Module *module;
	GElf_Addr bias; /* of the module's addresses */
	Elf *elf;
	struct symbol *symbols;
	size_t symbol_count;
	Dwarf_CFI *unwinding; /* .eh_frame, which strip leaves: where functions begin */
	Dwarf_Addr unwinding_bias;
	struct readable *readable;
};

/* Where the byte of that offset is in memory, as the module's address; with what is around it. */
static bool address_at(const struct elf *elf, uint64_t offset, uint64_t *address,
                       struct bounds *bounds)
{
	size_t count;

	if (elf_getphdrnum(elf->elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr head;

		if (gelf_getphdr(elf->elf, (int)i, &head) && head.p_type == PT_LOAD &&
		    offset >= head.p_offset && offset - head.p_offset < head.p_filesz) {
			*address = offset - head.p_offset + head.p_vaddr + elf->bias;
			*bounds = (struct bounds){head.p_vaddr + elf->bias,
			                          head.p_vaddr + elf->bias + head.p_filesz};
			return true;
		}
	}
	return false;
}

/* A function; or what has no type but a name, as assembly often leaves it. */
static uint32_t rank_of(const GElf_Sym *symbol, const char *name)
{
	int type = GELF_ST_TYPE(symbol->st_info), bind = GELF_ST_BIND(symbol->st_info);

	if (!name || !name[0] || symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS)
		return 0;
	if (type == STT_NOTYPE && (bind != STB_GLOBAL || symbol->st_size == 0))
		return name[0] == '$' || bind != STB_GLOBAL ? 0 : 1;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return 0;
	/* of several names the global one, and that without decoration */
	return 2u + (bind == STB_GLOBAL ? 4u : bind == STB_WEAK ? 2u : 0u) + (name[0] != '_');
}

static void read_symbols(struct elf *elf)
{
	int count = dwfl_module_getsymtab(elf->module);

	for (int i = 1; i < count && i < MOST_SYMBOLS; i++) {
		GElf_Sym symbol;
		GElf_Addr address;
		const char *name = dwfl_module_getsym_info(elf->module, i, &symbol, &address, NULL,
		                                           NULL, NULL);
		uint32_t rank = name ? rank_of(&symbol, name) : 0;

		if (!rank)
			continue;
		elf->symbols = nova_grow(elf->symbols, elf->symbol_count, sizeof(*elf->symbols));
		elf->symbols[elf->symbol_count++] = (struct symbol){
		        address, symbol.st_size ? address + symbol.st_size : 0, name, rank};
	}
	symbols_sort(elf->symbols, elf->symbol_count);
}

/* A function of a stripped file has no name, but a beginning: "stress-ng+0x3e10" tells it from the
 * others, and addr2line and gdb take the number. */
static char *name_by_place(const struct elf *elf, const char *path, uint64_t at)
{
	Dwarf_Addr start = 0, end = 0;
	Dwarf_Frame *frame = NULL;
	const char *slash = strrchr(path, '/');
	bool found;

	if (!elf->unwinding ||
	    dwarf_cfi_addrframe(elf->unwinding, at - elf->unwinding_bias, &frame) != 0)
		return NULL;
	found = dwarf_frame_info(frame, &start, &end, NULL) >= 0 && start < end;
	free(frame);
	if (!found)
		return NULL;
	return nova_format("%s+0x%llx", slash ? slash + 1 : path,
	                   (unsigned long long)(start + elf->unwinding_bias - elf->bias));
}

static const struct symbol *symbol_at(const struct elf *elf, uint64_t at, struct bounds *bounds)
{
	const struct symbol *symbol = symbols_find(elf->symbols, elf->symbol_count, at);

	if (symbol)
		bounds_clip(bounds, at, symbol->start, symbol->end ? symbol->end : UINT64_MAX);
	else
		bounds_clip(bounds, at, at, at + 1);
	if (symbol && symbol + 1 < elf->symbols + elf->symbol_count)
		bounds_clip(bounds, at, symbol[1].start, UINT64_MAX);
	return symbol;
}

static void name_by_symbol(const struct elf *elf, const struct address_run *run, uint32_t number,
                           uint64_t at, const struct symbol *symbol)
{
	NOVA_AUTOFREE char *place = symbol ? NULL : name_by_place(elf, run->object->path, at);
	if (symbol || place)
		recording_name(
		        run->recording, number,
		        &(struct nova_frame){
		                .name = place ? place : readable_of(elf->readable, symbol->name),
		                .library = run->object->path});
}

static void name_one(const struct elf *elf, struct dwarf *dwarf, const struct address_run *run,
                     uint32_t number)
{
	uint64_t at, offset = run->recording->addresses[number].offset;
	const struct symbol *symbol;
	struct bounds bounds;

	if (!address_at(elf, offset, &at, &bounds))
		return;
	symbol = symbol_at(elf, at, &bounds);
	if (!dwarf || !dwarf_name(dwarf, run, number, at, symbol ? symbol->name : NULL, &bounds))
		name_by_symbol(elf, run, number, at, symbol);
	if (dwarf && run->recording->cache)
		cache_add(run->recording->cache, run->recording, number, offset - (at - bounds.low),
		          offset + (bounds.high - at));
}

void symbols_of_elf(const struct address_run *run, int fd)
{
	struct elf elf = {.dwfl = dwfl_begin(&callbacks)};
	struct dwarf *dwarf;
	int own = dup(fd);
	void **user;

	if (!elf.dwfl || own < 0) {
		nova_cleanup_close(&own);
		return;
	}
	dwfl_report_begin(elf.dwfl);
	elf.module = dwfl_report_elf(elf.dwfl, run->object->path, run->object->path, own, 0, false);
	dwfl_report_end(elf.dwfl, NULL, NULL);
	if (!elf.module)
		close(own); /* else it is the module's */
	if (elf.module)
		elf.elf = dwfl_module_getelf(elf.module, &elf.bias);
	if (elf.elf) {
		dwfl_module_info(elf.module, &user, NULL, NULL, NULL, NULL, NULL, NULL);
		*user = (void *)(uintptr_t)run;
		read_symbols(&elf);
		elf.unwinding = dwfl_module_eh_cfi(elf.module, &elf.unwinding_bias);
		elf.readable = readable_new();
		dwarf = dwarf_of(elf.module, elf.readable);
		for (size_t i = 0; i < run->count; i++)
			name_one(&elf, dwarf, run, run->addresses[i]);
		dwarf_free(dwarf);
		readable_free(elf.readable);
	} else {
		nova_stacks_note(run->recording->texts, "functions of %s have no names: %s",
		                 run->object->path, dwfl_errmsg(-1));
	}
	free(elf.symbols);
	dwfl_end(elf.dwfl);
}
