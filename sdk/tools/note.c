/* SPDX-License-Identifier: MIT */
/*
 * The note of a plugin. Every offset is checked against the segment by libelf
 * (elf_getdata_rawchunk, gelf_getnote), so that a hostile file can only be refused.
 */
#include <novacore/tools/note.h>

#include <string.h>

#define NOTE_DATA_BYTES (5u * sizeof(uint32_t))

static int is_ours(const GElf_Nhdr *header, const char *name)
{
	return header->n_type == NOVA_NOTE_TYPE && header->n_namesz == sizeof(NOVA_NOTE_NAME) &&
	       header->n_descsz >= NOTE_DATA_BYTES &&
	       !memcmp(name, NOVA_NOTE_NAME, sizeof(NOVA_NOTE_NAME));
}

static int find_in_segment(Elf_Data *data, struct nova_note *note, int found)
{
	GElf_Nhdr header;
	size_t offset = 0, next, name_at, data_at;

	while ((next = gelf_getnote(data, offset, &header, &name_at, &data_at)) > offset) {
		const char *bytes = data->d_buf;
		if (header.n_namesz && is_ours(&header, bytes + name_at)) {
			if (!found) {
				memset(note, 0, sizeof(*note));
				note->name_bytes = header.n_namesz;
				note->data_bytes = header.n_descsz;
				note->type = header.n_type;
				memcpy(note->name, NOVA_NOTE_NAME, sizeof(NOVA_NOTE_NAME));
				memcpy(&note->major, bytes + data_at, NOTE_DATA_BYTES);
			}
			found++;
		}
		offset = next;
	}
	return found;
}

int nova_note_find(Elf *elf, struct nova_note *note)
{
	size_t count;
	int found = 0;

	if (elf_getphdrnum(elf, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;
		if (!gelf_getphdr(elf, (int)i, &segment))
			return found;
		if (segment.p_type != PT_NOTE || !segment.p_filesz)
			continue;
		Elf_Data *data =
		        elf_getdata_rawchunk(elf, (int64_t)segment.p_offset, segment.p_filesz,
		                             segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		if (data)
			found = find_in_segment(data, note, found);
	}
	return found;
}
