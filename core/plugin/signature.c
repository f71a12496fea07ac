/* SPDX-License-Identifier: MIT */
/*
 * Signatures of manifests: Ed25519 over the manifest's bytes as they lie there. The manifest holds
 * the SHA-256, kind, name and version of its plugin, so that a signature cannot be moved to
 * another. Here they are only read and verified; sign.c makes them.
 */
#include "core/plugin/inside.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/*
 * Four lines and nothing else:
 *   novacore-signature 1
 *   key <id of the key: 64 hexadecimal digits>
 *   name <what the signer calls the key>
 *   ed25519 <the signature in base64>
 */
#define FORMAT_LINE "novacore-signature 1"

/* The text of the next line after `word` and a space, its length in *length; NULL if it is not. */
static const char *next_line(const char **at, const char *end, const char *word, size_t *length)
{
	size_t skip = strlen(word);
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	if (!newline || (size_t)(newline - *at) <= skip || memcmp(*at, word, skip) ||
	    (*at)[skip] != ' ')
		return NULL;
	const char *text = *at + skip + 1;
	*length = (size_t)(newline - text);
	*at = newline + 1;
	return text;
}

static bool read_fields(const char *at, const char *end, struct nova_signature *signature)
{
	size_t length;
	const char *text = next_line(&at, end, "novacore-signature", &length);

	if (!text || length != 1 || *text != '1')
		return false;
	text = next_line(&at, end, "key", &length);
	if (!text || length != 64 || strspn(text, "0123456789abcdef") != 64)
		return false;
	memcpy(signature->key, text, 64);
	text = next_line(&at, end, "name", &length);
	if (!text || length >= sizeof(signature->name))
		return false;
	memcpy(signature->name, text, length);
	text = next_line(&at, end, "ed25519", &length);
	return text && nova_name_valid(signature->name) &&
	       nova_base64_read(text, length, signature->bytes, sizeof(signature->bytes)) &&
	       at == end;
}

int nova_signature_parse(const char *origin, const char *text, size_t bytes,
                         struct nova_signature *signature, struct nova_error *error)
{
	*signature = (struct nova_signature){0};
	if (bytes <= NOVA_SIGNATURE_LIMIT && strlen(text) == bytes &&
	    read_fields(text, text + bytes, signature))
		return 0;
	*signature = (struct nova_signature){0};
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%s is not a whole signature (four lines: " FORMAT_LINE
	                      ", key, name, ed25519)",
	                      origin);
}

char *nova_signature_text(const struct nova_signature *signature)
{
	struct nova_text text = {0};

	nova_text_addf(&text, FORMAT_LINE "\nkey %s\nname %s\ned25519 ", signature->key,
	               signature->name);
	nova_base64_write(signature->bytes, sizeof(signature->bytes), &text);
	nova_text_add(&text, "\n");
	return text.data;
}

/* 1 for yes, 0 for no, negative if OpenSSL cannot tell. */
static int verify(const struct nova_key *key, const struct nova_signature *signature,
                  const void *data, size_t bytes)
{
	EVP_PKEY *public =
	        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, sizeof(key->bytes));
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int result = -1;

	if (public && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1)
		result = EVP_DigestVerify(context, signature->bytes, sizeof(signature->bytes), data,
		                          bytes);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public);
	return result;
}

int nova_signature_check(const struct nova_keys *keys, const char *path,
                         const struct nova_signature *signature, const void *data, size_t bytes,
                         struct nova_signer *signer, enum nova_refusal_reason *reason,
                         struct nova_error *error)
{
	const struct nova_revoked *revoked = nova_keys_revoked(keys, signature->key);
	const struct nova_key *key = nova_keys_find(keys, signature->key);

	*signer = (struct nova_signer){.state = NOVA_SIGNED_UNKNOWN};
	memcpy(signer->id, signature->key, sizeof(signer->id));
	memcpy(signer->name, key ? key->name : signature->name, sizeof(signer->name));
	if (revoked)
		return nova_refuse(reason, NOVA_REFUSED_REVOKED, error,
		                   "%s is of the key %s (%s), which is revoked (%s); remove the "
		                   "plugin, or get it signed with another key",
		                   path, signer->name, signer->id, revoked->origin);
	if (!key || keys->doubt)
		return 0;
	int valid = verify(key, signature, data, bytes);
	if (valid < 0)
		return nova_refuse(reason, NOVA_REFUSED_SIGNATURE, error,
		                   "cannot check %s: this OpenSSL has no Ed25519; use its default "
		                   "provider",
		                   path);
	if (!valid)
		return nova_refuse(reason, NOVA_REFUSED_SIGNATURE, error,
		                   "%s is not a signature of this manifest by the key %s: the "
		                   "manifest was changed, or the signature is another's; install "
		                   "the plugin again, or sign it again",
		                   path, signer->name);
	signer->state = NOVA_SIGNED_WELL;
	signer->key_path = nova_strdup(key->path);
	return 0;
}
