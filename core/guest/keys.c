/* SPDX-License-Identifier: MIT */
/*
 * SSH keys for the appliance: from a file of public keys to words of a kernel command line, which
 * have no spaces. Options and comments of a key are left out.
 */
#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 64 << 10 };

/* A key's blob begins with the length of its type and the type: in base64, 4 zero bits and so
 * "AAAA". */
static bool is_blob(const char *text)
{
	static const char base64[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strspn(text, base64);

	length += strspn(text + length, "=");
	return length >= 40 && text[length] == '\0' && strncmp(text, "AAAA", 4) == 0;
}

static bool is_type(const char *text)
{
	return strncmp(text, "ssh-", 4) == 0 || strncmp(text, "ecdsa-sha2-", 11) == 0 ||
	       strncmp(text, "sk-", 3) == 0;
}

/* Takes the line apart; false if it has no key. */
static bool add_key(char *line, struct nova_text *words)
{
	char *rest = NULL, *type = NULL;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return true;
	for (char *word = strtok_r(line, " \t\r", &rest); word != NULL;
	     word = strtok_r(NULL, " \t\r", &rest)) {
		if (type != NULL && is_blob(word)) {
			nova_text_addf(words, "%snovacore.ssh=%s,%s", words->length > 0 ? " " : "",
			               type, word);
			return true;
		}
		type = is_type(word) ? word : NULL;
	}
	return false;
}

char *guest_keys_read(const char *path, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text words = {0};
	NOVA_AUTOFREE char *text = nova_file_read(path, FILE_LIMIT, NULL, error);
	char *rest = NULL;
	unsigned number = 0;

	if (text == NULL)
		return NULL;
	if (strstr(text, "PRIVATE KEY") != NULL) {
		nova_error_set(error, NOVA_E_INVALID,
		               "%s is a private key, which does not belong into a disk; give the "
		               "public one (usually %s.pub)",
		               path, path);
		return NULL;
	}
	for (char *line = text; line != NULL; line = rest) {
		rest = strchr(line, '\n');
		if (rest != NULL)
			*rest++ = '\0';
		number++;
		if (!add_key(line, &words)) {
			nova_error_set(
			        error, NOVA_E_INVALID,
			        "%s:%u is no public SSH key; a line is TYPE KEY, as in a file "
			        "that ssh-keygen writes as .pub",
			        path, number);
			return NULL;
		}
	}
	if (words.length > 0)
		return nova_strdup(words.data);
	nova_error_set(error, NOVA_E_INVALID, "%s has no SSH key", path);
	return NULL;
}
