// rooms: plugin config base
// SPDX-License-Identifier: MIT
/* A plugin file of any content: note, dynamic segment, symbols, needed libraries. Whatever is
 * accepted must be whole. */
#include <stdlib.h>
#include <string.h>

#include "core/plugin/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_elf elf;
	struct nova_error error = {0};
	/* a copy of exactly this size, so that reading beyond its end is seen */
	NOVA_AUTOFREE char *copy = malloc(size ? size : 1);

	if (size)
		memcpy(copy, data, size);
	int code = nova_elf_read(copy, size, &elf, &error);
	if (code && (code != NOVA_E_INVALID || !error.text[0]))
		abort();
	if (elf.note_count &&
	    (elf.note.type != NOVA_NOTE_TYPE || strcmp(elf.note.name, "novacore")))
		abort();
	if ((elf.others != 0) != (elf.other != NULL))
		abort();
	for (char **name = elf.needed; *name; name++) {
		if (!**name)
			abort();
	}
	nova_elf_clear(&elf);
	return 0;
}
