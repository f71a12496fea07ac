/* SPDX-License-Identifier: MIT */
/*
 * What the dynamic loader would see in a file: note, exports, binding, needed libraries. Section
 * headers are never used, since the loader does not use them either; every offset goes through
 * libelf's bounds check. Executes nothing.
 */
#include "core/plugin/inside.h"

#include <novacore/tools/note.h>

#include <stdlib.h>
#include <string.h>
#include <link.h>

/* The linker's name for the ELF header of the running program. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

bool nova_elf_is_native(const unsigned char *identity, uint16_t machine)
{
	return machine == __ehdr_start.e_machine &&
	       identity[EI_CLASS] == __ehdr_start.e_ident[EI_CLASS] &&
	       identity[EI_DATA] == __ehdr_start.e_ident[EI_DATA];
}

/* The dynamic segment's values that matter; addresses are virtual until translated. */
struct dynamic {
	GElf_Addr strings, symbols, hash, gnu_hash;
	GElf_Xword string_bytes;
	bool bind_now;
	GElf_Xword rpath, runpath; /* of the string table, whose first is empty */
	size_t needed_count;
	GElf_Xword needed[NOVA_NEEDED_LIMIT];
};

/* Where the bytes at a virtual address lie in the file, and how many follow in its segment. */
static Elf_Data *at_address(Elf *elf, GElf_Addr address, size_t bytes, Elf_Type type)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;
		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD)
			continue;
		if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz)
			continue;
		GElf_Off inside = address - segment.p_vaddr;
		if (bytes > segment.p_filesz - inside)
			return NULL;
		if (segment.p_offset > INT64_MAX - inside)
			return NULL;
		return elf_getdata_rawchunk(elf, (int64_t)(segment.p_offset + inside), bytes, type);
	}
	return NULL;
}

static int read_dynamic(Elf *elf, struct dynamic *dynamic)
{
	size_t count;
	Elf_Data *data = NULL;
	GElf_Dyn entry;

	if (elf_getphdrnum(elf, &count))
		return -1;
	for (size_t i = 0; i < count && !data; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_DYNAMIC)
			data = elf_getdata_rawchunk(elf, (int64_t)segment.p_offset,
			                            segment.p_filesz, ELF_T_DYN);
	}
	if (!data)
		return -1;
	for (int i = 0; gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
		switch (entry.d_tag) {
		case DT_STRTAB: dynamic->strings = entry.d_un.d_ptr; break;
		case DT_STRSZ: dynamic->string_bytes = entry.d_un.d_val; break;
		case DT_SYMTAB: dynamic->symbols = entry.d_un.d_ptr; break;
		case DT_HASH: dynamic->hash = entry.d_un.d_ptr; break;
		case DT_GNU_HASH: dynamic->gnu_hash = entry.d_un.d_ptr; break;
		case DT_RPATH: dynamic->rpath = entry.d_un.d_val; break;
		case DT_RUNPATH: dynamic->runpath = entry.d_un.d_val; break;
		case DT_BIND_NOW: dynamic->bind_now = true; break;
		case DT_FLAGS: dynamic->bind_now |= (entry.d_un.d_val & DF_BIND_NOW) != 0; break;
		case DT_FLAGS_1: dynamic->bind_now |= (entry.d_un.d_val & DF_1_NOW) != 0; break;
		case DT_NEEDED:
			if (dynamic->needed_count == NOVA_NEEDED_LIMIT)
				return -1;
			dynamic->needed[dynamic->needed_count++] = entry.d_un.d_val;
			break;
		default: break;
		}
	}
	return 0;
}

static bool words_at(Elf *elf, GElf_Addr address, uint32_t *words, size_t count)
{
	Elf_Data *data = at_address(elf, address, count * sizeof(*words), ELF_T_WORD);

	if (!data)
		return false;
	memcpy(words, data->d_buf, count * sizeof(*words));
	return true;
}

/* The number of dynamic symbols, from the hash table that the loader uses (System V ABI; for GNU
 * hash the end of the last chain is the end of the table). 0 if it cannot be told. */
static size_t count_symbols(Elf *elf, const struct dynamic *dynamic)
{
	uint32_t head[4], word, last = 0;

	if (!dynamic->gnu_hash)
		return dynamic->hash && words_at(elf, dynamic->hash, head, 2) ? head[1] : 0;
	if (!words_at(elf, dynamic->gnu_hash, head, 4))
		return 0;
	/* head: buckets, first hashed symbol, bloom words, bloom shift */
	GElf_Addr buckets = dynamic->gnu_hash + sizeof(head) +
	                    (GElf_Addr)head[2] * (gelf_getclass(elf) == ELFCLASS64 ? 8 : 4);
	GElf_Addr chains = buckets + (GElf_Addr)head[0] * 4;
	for (uint32_t i = 0; i < head[0]; i++) {
		if (!words_at(elf, buckets + (GElf_Addr)i * 4, &word, 1))
			return 0;
		if (word > last)
			last = word;
	}
	if (last < head[1])
		return head[1]; /* nothing is exported */
	do {
		if (!words_at(elf, chains + (GElf_Addr)(last - head[1]) * 4, &word, 1))
			return 0;
		last++;
	} while (!(word & 1));
	return last;
}

/* The string, or NULL if it does not end within the table. */
static const char *string_at(const Elf_Data *strings, GElf_Xword offset)
{
	if (offset >= strings->d_size ||
	    !memchr((const char *)strings->d_buf + offset, '\0', strings->d_size - offset))
		return NULL;
	return (const char *)strings->d_buf + offset;
}

static bool is_export(const GElf_Sym *symbol)
{
	int bind = GELF_ST_BIND(symbol->st_info), hidden = GELF_ST_VISIBILITY(symbol->st_other);

	return symbol->st_shndx != SHN_UNDEF && bind != STB_LOCAL && hidden != STV_HIDDEN &&
	       hidden != STV_INTERNAL;
}

static int read_exports(Elf *elf, const struct dynamic *dynamic, const Elf_Data *strings,
                        struct nova_elf *out)
{
	size_t count = count_symbols(elf, dynamic);
	size_t bytes = count * gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
	Elf_Data *symbols = count ? at_address(elf, dynamic->symbols, bytes, ELF_T_SYM) : NULL;
	GElf_Sym symbol;

	if (!symbols || count > INT32_MAX)
		return -1;
	for (int i = 0; i < (int)count; i++) {
		if (!gelf_getsym(symbols, i, &symbol))
			return -1;
		if (!is_export(&symbol))
			continue;
		const char *name = string_at(strings, symbol.st_name);
		if (name && !strcmp(name, NOVA_ENTRY_NAME)) {
			out->entry = true;
		} else {
			out->others++;
			if (!out->other)
				out->other = nova_strdup(name ? name : "?");
		}
	}
	return 0;
}

static int read_needed(const struct dynamic *dynamic, const Elf_Data *strings, char **needed)
{
	for (size_t i = 0; i < dynamic->needed_count; i++) {
		const char *name = string_at(strings, dynamic->needed[i]);
		if (!name || !*name)
			return -1;
		needed[i] = nova_strdup(name);
	}
	return 0;
}

/* The loader takes RPATH only where there is no RUNPATH; both are kept, whatever it takes. */
static int read_search(const struct dynamic *dynamic, const Elf_Data *strings, struct nova_elf *out)
{
	const GElf_Xword offsets[] = {dynamic->rpath, dynamic->runpath};
	size_t count = 0;

	for (size_t i = 0; i < NOVA_COUNT(offsets); i++) {
		const char *text = offsets[i] ? string_at(strings, offsets[i]) : "";
		if (!text)
			return -1;
		if (*text)
			out->search[count++] = nova_strdup(text);
	}
	return 0;
}

static int read_all(Elf *elf, struct nova_elf *out, struct nova_error *error)
{
	struct dynamic dynamic = {0};
	GElf_Ehdr header;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return nova_error_set(error, NOVA_E_INVALID, "is not an ELF file");
	if (header.e_type != ET_DYN)
		return nova_error_set(error, NOVA_E_INVALID, "is not a shared library");
	if (!nova_elf_is_native(header.e_ident, header.e_machine))
		return nova_error_set(error, NOVA_E_INVALID, "is for another kind of machine");
	if (read_dynamic(elf, &dynamic))
		return nova_error_set(error, NOVA_E_INVALID, "has no usable dynamic segment");
	Elf_Data *strings = at_address(elf, dynamic.strings, dynamic.string_bytes, ELF_T_BYTE);
	if (!strings || !strings->d_size)
		return nova_error_set(error, NOVA_E_INVALID, "has no usable string table");
	if (read_needed(&dynamic, strings, out->needed))
		return nova_error_set(error, NOVA_E_INVALID, "has a damaged list of libraries");
	if (read_search(&dynamic, strings, out))
		return nova_error_set(error, NOVA_E_INVALID, "has a damaged search path");
	if (read_exports(elf, &dynamic, strings, out))
		return nova_error_set(error, NOVA_E_INVALID, "has a damaged symbol table");
	out->bind_now = dynamic.bind_now;
	out->note_count = nova_note_find(elf, &out->note);
	return 0;
}

int nova_elf_read(const void *bytes, size_t count, struct nova_elf *elf, struct nova_error *error)
{
	memset(elf, 0, sizeof(*elf));
	elf_version(EV_CURRENT);
	/* elf_memory takes a non-const image, but nothing here writes to it. */
	Elf *image = elf_memory((char *)(uintptr_t)bytes, count);
	int result = read_all(image, elf, error);
	elf_end(image);
	return result;
}

void nova_elf_clear(struct nova_elf *elf)
{
	free(elf->other);
	for (char **path = elf->search; *path; path++)
		free(*path);
	for (char **name = elf->needed; *name; name++)
		free(*name);
	memset(elf, 0, sizeof(*elf));
}

void nova_elf_needs(int fd, struct nova_needs *needs)
{
	struct dynamic dynamic = {0};

	memset(needs, 0, sizeof(*needs));
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && !read_dynamic(elf, &dynamic)) {
		Elf_Data *strings =
		        at_address(elf, dynamic.strings, dynamic.string_bytes, ELF_T_BYTE);
		if (strings && strings->d_size)
			read_needed(&dynamic, strings, needs->names);
	}
	needs->rpath = dynamic.rpath && !dynamic.runpath; /* as the loader has it */
	needs->runpath = dynamic.runpath != 0;
	elf_end(elf);
}
