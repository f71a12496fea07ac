/* SPDX-License-Identifier: MIT */
/*
 * Whether a program keeps frame pointers, told from its code before it is sampled: compilers begin
 * a function that keeps one with "push %rbp; mov %rsp,%rbp" (behind endbr64 where branches are
 * checked). Where functions begin says the table for exceptions, which strip leaves: the Linux
 * Standard Base calls it .eh_frame_hdr.
 */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LOOKED   1000u /* functions of a file, evenly */
#define LEAST_KEEPING 0.2   /* of functions: those that call nothing need no frame */
#define TABLE_BYTES   ((size_t)64 << 20)
#define INTERPRETERS  3 /* "#!" that name a script again */

/* Of the DWARF exception header: udata4; and of the table's pairs: datarel | sdata4 */
#define ENCODED_COUNT 0x03
#define ENCODED_TABLE 0x3b

static bool offset_of(Elf *elf, uint64_t address, uint64_t *offset)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr head;

		if (gelf_getphdr(elf, (int)i, &head) && head.p_type == PT_LOAD &&
		    address >= head.p_vaddr && address - head.p_vaddr < head.p_filesz) {
			*offset = address - head.p_vaddr + head.p_offset;
			return true;
		}
	}
	return false;
}

static bool keeps_one(const unsigned char *code)
{
	static const unsigned char checked[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const unsigned char stored[] = {0x55, 0x48, 0x89, 0xe5};
	static const unsigned char loaded[] = {0x55, 0x48, 0x8b,
	                                       0xec}; /* the same, encoded otherwise */

	if (memcmp(code, checked, sizeof(checked)) == 0)
		code += sizeof(checked);
	return memcmp(code, stored, sizeof(stored)) == 0 ||
	       memcmp(code, loaded, sizeof(loaded)) == 0;
}

/* Pairs of a function's place and what describes it, both from the table's own address on. */
static void look_at_table(Elf *elf, int fd, const GElf_Phdr *head, struct frame_pointers *found)
{
	NOVA_AUTOFREE char *table = nova_alloc(head->p_filesz);
	uint32_t count, step;

	if (pread(fd, table, head->p_filesz, (off_t)head->p_offset) != (ssize_t)head->p_filesz ||
	    table[0] != 1 || table[2] != ENCODED_COUNT || table[3] != ENCODED_TABLE)
		return;
	memcpy(&count, table + 8, sizeof(count));
	if (count > (head->p_filesz - 12) / 8)
		return;
	step = count / MOST_LOOKED + 1;
	for (uint32_t i = 0; i < count; i += step) {
		unsigned char code[8];
		uint64_t offset;
		int32_t place;

		memcpy(&place, table + 12 + (size_t)i * 8, sizeof(place));
		if (!offset_of(elf, head->p_vaddr + (uint64_t)(int64_t)place, &offset) ||
		    pread(fd, code, sizeof(code), (off_t)offset) != (ssize_t)sizeof(code))
			continue;
		found->functions++;
		found->keeping += keeps_one(code);
	}
}

void frame_pointers_of(int fd, struct frame_pointers *found)
{
	size_t count = 0;
	GElf_Ehdr is;
	Elf *elf;

	*found = (struct frame_pointers){0};
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &is) &&
	    is.e_machine == EM_X86_64 && !elf_getphdrnum(elf, &count))
		for (size_t i = 0; i < count; i++) {
			GElf_Phdr head;

			if (gelf_getphdr(elf, (int)i, &head) && head.p_type == PT_GNU_EH_FRAME &&
			    head.p_filesz > 12 && head.p_filesz <= TABLE_BYTES)
				look_at_table(elf, fd, &head, found);
		}
	elf_end(elf);
}

/* As execvp(3) looks for it. */
static int open_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') || !path)
		return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	for (;; path++) {
		size_t length = strcspn(path, ":");
		NOVA_AUTOFREE char *file =
		        nova_format("%.*s%s%s", (int)length, path, length ? "/" : "", name);
		int fd = access(file, X_OK)
		                 ? -1
		                 : open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		path += length;
		if (fd >= 0 || !*path)
			return fd;
	}
}

/* Who runs a script: "#!/bin/sh", "#!/usr/bin/env python3". */
static bool interpreter_of(int fd, char *name, size_t room)
{
	char line[256] = "", *word, *rest;
	ssize_t got = pread(fd, line, sizeof(line) - 1, 0);

	if (got < 4 || line[0] != '#' || line[1] != '!')
		return false;
	line[strcspn(line, "\n")] = '\0';
	word = strtok_r(line + 2, " \t", &rest);
	if (word && strcmp(word, "/usr/bin/env") == 0)
		word = strtok_r(NULL, " \t", &rest);
	return word && snprintf(name, room, "%s", word) < (int)room;
}

char *nova_record_without_frame_pointers(const char *program, int32_t pid)
{
	NOVA_AUTOFREE char *name =
	        program ? nova_strdup(program) : nova_format("/proc/%d/exe", pid);
	NOVA_AUTOCLOSE int fd = open_program(name);
	struct frame_pointers found;
	struct stat is;

	for (int i = 0; i < INTERPRETERS && fd >= 0; i++) {
		char other[256];

		if (fstat(fd, &is) || !S_ISREG(is.st_mode))
			return NULL;
		if (!interpreter_of(fd, other, sizeof(other)))
			break;
		free(name);
		name = nova_strdup(other);
		close(fd);
		fd = open_program(name);
	}
	if (fd < 0)
		return NULL;
	frame_pointers_of(fd, &found);
	if (!found.functions || found.keeping >= found.functions * LEAST_KEEPING)
		return NULL;
	if (!program) {
		char path[4096];
		ssize_t length = readlink(name, path, sizeof(path) - 1);

		if (length > 0 && name[0] == '/') {
			path[length] = '\0';
			free(name);
			name = nova_strdup(path);
		}
	}
	return nova_format("%u of %u functions of %s that were looked at keep a frame pointer",
	                   found.keeping, found.functions, name);
}
