/* SPDX-License-Identifier: MIT */
/*
 * What unwinding needs of a file of x86-64, copied into memory of ours. libdwfl maps the files that
 * it is given, and who touches what a mapped file has lost meanwhile is killed by SIGBUS (mmap(2)):
 * so it gets a file that nobody else has, with the tables of frames at their places, and holes
 * where all the rest was.
 */
#include "core/profiler/record.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_SECTIONS   1024u
#define MOST_SEGMENTS   256u
#define MOST_NAME_BYTES 65536u
#define MOST_COPIED     (64u << 20)

struct image {
	int from, to;
	uint64_t bytes; /* of the file */
	uint64_t copied;
	Elf64_Ehdr head;
};

static bool read_at(int fd, void *data, size_t bytes, uint64_t at)
{
	return at <= INT64_MAX && pread(fd, data, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool write_at(int fd, const void *data, size_t bytes, uint64_t at)
{
	return at <= INT64_MAX && pwrite(fd, data, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool copy(struct image *image, uint64_t at, uint64_t bytes)
{
	off_t from = (off_t)at;

	if (at > image->bytes || bytes > image->bytes - at || bytes > MOST_COPIED - image->copied ||
	    lseek(image->to, from, SEEK_SET) < 0)
		return false;
	image->copied += bytes;
	while (bytes > 0) {
		ssize_t got = sendfile(image->to, image->from, &from, bytes);

		if (got <= 0)
			return false;
		bytes -= (uint64_t)got;
	}
	return true;
}

/* All other sections are as in files of separate debug information: named, and not there. */
static bool copy_sections(struct image *image)
{
	size_t count = image->head.e_shnum, bytes = count * sizeof(Elf64_Shdr);
	NOVA_AUTOFREE Elf64_Shdr *sections = nova_alloc(bytes + 1);
	NOVA_AUTOFREE char *names = nova_alloc(MOST_NAME_BYTES + 1);
	const Elf64_Shdr *texts = &sections[image->head.e_shstrndx];
	bool any = false;

	if (!read_at(image->from, sections, bytes, image->head.e_shoff) ||
	    texts->sh_size > MOST_NAME_BYTES ||
	    !read_at(image->from, names, texts->sh_size, texts->sh_offset))
		return false;
	for (size_t i = 1; i < count; i++) {
		const char *name =
		        names + (sections[i].sh_name < MOST_NAME_BYTES ? sections[i].sh_name
		                                                       : MOST_NAME_BYTES);
		bool tables = !strcmp(name, ".eh_frame") || !strcmp(name, ".debug_frame");

		if (sections[i].sh_type == SHT_NOBITS)
			continue;
		if (!tables && strcmp(name, ".eh_frame_hdr") != 0 && &sections[i] != texts) {
			sections[i].sh_type = SHT_NOBITS;
			continue;
		}
		if (!copy(image, sections[i].sh_offset, sections[i].sh_size))
			return false;
		any = any || tables;
	}
	return any && write_at(image->to, sections, bytes, image->head.e_shoff);
}

/* A file without sections: what is loaded together with the table that runtimes search. */
static bool copy_segment(struct image *image)
{
	size_t count = image->head.e_phnum;
	Elf64_Phdr segments[MOST_SEGMENTS];
	const Elf64_Phdr *table = NULL;

	if (!read_at(image->from, segments, count * sizeof(*segments), image->head.e_phoff))
		return false;
	for (size_t i = 0; i < count; i++)
		if (segments[i].p_type == PT_GNU_EH_FRAME)
			table = &segments[i];
	for (size_t i = 0; i < count && table; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_offset <= table->p_offset &&
		    table->p_offset - segments[i].p_offset < segments[i].p_filesz)
			return copy(image, segments[i].p_offset, segments[i].p_filesz);
	return false;
}

static bool fill(struct image *image)
{
	Elf64_Ehdr *head = &image->head;
	struct stat is;

	if (fstat(image->from, &is) || is.st_size < 0 ||
	    !read_at(image->from, head, sizeof(*head), 0) ||
	    memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64 ||
	    head->e_ident[EI_DATA] != ELFDATA2LSB || head->e_phentsize != sizeof(Elf64_Phdr) ||
	    head->e_phnum > MOST_SEGMENTS)
		return false;
	image->bytes = (uint64_t)is.st_size;
	if (head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shnum > MOST_SECTIONS ||
	    head->e_shstrndx >= head->e_shnum)
		head->e_shoff = head->e_shnum = head->e_shstrndx = 0;
	/* a hole costs nothing, and all offsets stay what they are */
	return ftruncate(image->to, is.st_size) == 0 &&
	       (head->e_shnum ? copy_sections(image) : copy_segment(image)) &&
	       copy(image, head->e_phoff, (uint64_t)head->e_phnum * sizeof(Elf64_Phdr)) &&
	       write_at(image->to, head, sizeof(*head), 0);
}

int frames_copy(int fd, uint64_t *bytes)
{
	struct image image = {.from = fd, .to = memfd_create("frames", MFD_CLOEXEC)};

	if (image.to >= 0 && !fill(&image)) {
		close(image.to);
		image.to = -1;
	}
	*bytes = image.copied;
	return image.to;
}
