// rooms: helpers
// SPDX-License-Identifier: MIT
/* A line that is a secret, then a text of any content: the secret is not in what is left, as it is
 * or as a form has it, and words made printable are. */
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/secret.h>
#include <novacore/helpers/text.h>
#include <novacore/types.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void check_written(const struct nova_secrets *secrets, const char *secret)
{
	struct nova_text form = {0};

	nova_text_escape_url(&form, secret, strlen(secret));
	require(!form.broken);
	nova_secrets_hide(secrets, form.text);
	require(strspn(form.text, "*") == strlen(form.text) && form.text[0]);
	nova_text_free(&form);
}

static void check_printable(const char *text)
{
	struct nova_text words = {0};

	nova_text_add_printable(&words, text, 60);
	require(!words.broken && words.used <= 63);
	for (size_t i = 0; i < words.used; i++)
		require((unsigned char)words.text[i] >= ' ' && words.text[i] != 0x7f);
	nova_text_free(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(size + 1, 1);
	struct nova_secrets *secrets = nova_secrets_new();
	char *rest;
	size_t length;

	require(text && secrets);
	memcpy(text, data, size);
	rest = strchr(text, '\n');
	if (rest) {
		*rest++ = '\0';
		require(nova_secrets_add(secrets, text) == NOVA_DONE);
		check_printable(rest);
		length = strlen(rest);
		nova_secrets_hide(secrets, rest);
		require(strlen(rest) <= length);
		if (text[0] && !strchr(text, '*')) {
			require(!strstr(rest, text));
			check_written(secrets, text);
		}
	}
	nova_secrets_free(secrets);
	free(text);
	return 0;
}
