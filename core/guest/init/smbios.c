/* SPDX-License-Identifier: MIT */
/*
 * What the host gives one VM to read: OEM strings of SMBIOS (System Management BIOS Reference
 * Specification, DSP0134, "OEM Strings (Type 11)"). QEMU, libvirt and what is built on them can set
 * them. Bytes in, text out: tested and fuzzed on the host.
 */
#include "init.h"

#include <string.h>

enum { HEADER = 4, OEM_STRINGS = 11, END_OF_TABLE = 127 };
#define PREFIX "novacore."

/* A word that could stand on a command line. */
static bool is_word(const char *text, size_t length)
{
	if (length <= strlen(PREFIX) || strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

size_t smbios_words(const unsigned char *table, size_t bytes, char *words, size_t room)
{
	size_t used = 0;

	words[0] = '\0';
	for (size_t at = 0; bytes - at >= HEADER;) {
		unsigned type = table[at], formatted = table[at + 1];
		if (type == END_OF_TABLE || formatted < HEADER || formatted > bytes - at)
			return used;
		at += formatted;
		/* strings, each ended by NUL, and one NUL more; two where there are none */
		bool first = true;
		for (; at < bytes && (first || table[at] != '\0'); first = false) {
			const char *text = (const char *)table + at;
			size_t length = strnlen(text, bytes - at);
			if (type == OEM_STRINGS && is_word(text, length) &&
			    used + length + 2 <= room) {
				memcpy(words + used, text, length);
				memcpy(words + used + length, " ", 2);
				used += length + 1;
			}
			at += length < bytes - at ? length + 1 : length;
		}
		at += at < bytes;
	}
	return used;
}
