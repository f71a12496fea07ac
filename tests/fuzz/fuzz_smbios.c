// rooms: base
// sources: core/guest/init/smbios.c
/* SPDX-License-Identifier: MIT */
/*
 * The SMBIOS table that a VM's init reads: whatever the bytes, it stays inside them, and what it
 * takes from them are words of ours with nothing in them that would make two.
 */
#include "core/guest/init/init.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t rooms[] = {1, 16, 2048};
	char words[2048];

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		size_t length = smbios_words(data, size, words, rooms[i]);
		if (length >= rooms[i] || strlen(words) != length)
			abort();
		for (const char *word = words; *word != '\0'; word = strchr(word, ' ') + 1)
			if (strncmp(word, "novacore.", 9) != 0 || strchr(word, ' ') == NULL)
				abort();
	}
	return 0;
}
