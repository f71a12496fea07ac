/* SPDX-License-Identifier: MIT */
/*
 * A pair of SSH keys for a run's own VMs. The private one is in OpenSSH's own format, which OpenSSH
 * and libssh both read (openssh-portable, PROTOCOL.key), without a passphrase.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

#define TYPE    "ssh-ed25519"
#define MAGIC   "openssh-key-v1"
#define COMMENT "novacore"
enum { KEY = 32, ROOM = 512, BLOCK = 8, LINE = 70 };

/* Numbers and texts as SSH has them on the wire (RFC 4251, section 5); never longer than ROOM. */
struct blob {
	unsigned char bytes[ROOM];
	size_t count;
};

static void add(struct blob *blob, const void *bytes, size_t count)
{
	memcpy(blob->bytes + blob->count, bytes, count);
	blob->count += count;
}

static void add_number(struct blob *blob, size_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		blob->bytes[blob->count++] = (unsigned char)(number >> shift);
}

static void add_text(struct blob *blob, const void *bytes, size_t count)
{
	add_number(blob, count);
	add(blob, bytes, count);
}

static void add_public(struct blob *blob, const unsigned char key[KEY])
{
	add_text(blob, TYPE, strlen(TYPE));
	add_text(blob, key, KEY);
}

/* Twice the same number, which shows who decrypts that the passphrase was right; then the pair. */
static void add_pair(struct blob *all, const unsigned char secret[KEY],
                     const unsigned char key[KEY])
{
	struct blob blob = {.count = 0};
	unsigned char both[2 * KEY];

	memcpy(both, secret, KEY);
	memcpy(both + KEY, key, KEY);
	add(&blob, key, 4);
	add(&blob, key, 4);
	add_public(&blob, key);
	add_text(&blob, both, sizeof(both));
	add_text(&blob, COMMENT, strlen(COMMENT));
	for (unsigned char pad = 1; blob.count % BLOCK; pad++)
		add(&blob, &pad, 1);
	add_text(all, blob.bytes, blob.count);
	explicit_bzero(both, sizeof(both));
	explicit_bzero(&blob, sizeof(blob));
}

static char *write_secret(const unsigned char secret[KEY], const unsigned char key[KEY])
{
	unsigned char text[ROOM * 2];
	struct blob blob = {.count = 0}, public = {.count = 0};
	NOVA_AUTOTEXT struct nova_text file = {0};
	int length;

	add(&blob, MAGIC, sizeof(MAGIC));
	add_text(&blob, "none", 4); /* cipher */
	add_text(&blob, "none", 4); /* key derivation */
	add_text(&blob, "", 0);
	add_number(&blob, 1);
	add_public(&public, key);
	add_text(&blob, public.bytes, public.count);
	add_pair(&blob, secret, key);
	length = EVP_EncodeBlock(text, blob.bytes, (int)blob.count);
	nova_text_addf(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (int at = 0; at < length; at += LINE)
		nova_text_addf(&file, "%.*s\n", LINE, (const char *)text + at);
	nova_text_addf(&file, "-----END OPENSSH PRIVATE KEY-----\n");
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&blob, sizeof(blob));
	char *copy = nova_strdup(file.data);
	explicit_bzero(file.data, file.length);
	return copy;
}

static char *write_public(const unsigned char key[KEY])
{
	unsigned char text[ROOM];
	struct blob blob = {.count = 0};

	add_public(&blob, key);
	EVP_EncodeBlock(text, blob.bytes, (int)blob.count);
	return nova_format(TYPE " %s " COMMENT "\n", (const char *)text);
}

int nova_ssh_key_make(char **private_key, char **public_key, struct nova_error *error)
{
	unsigned char secret[KEY], key[KEY];
	size_t secret_bytes = KEY, key_bytes = KEY;
	EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	bool made = pair && EVP_PKEY_get_raw_private_key(pair, secret, &secret_bytes) == 1 &&
	            EVP_PKEY_get_raw_public_key(pair, key, &key_bytes) == 1 &&
	            secret_bytes == KEY && key_bytes == KEY;

	EVP_PKEY_free(pair);
	if (made) {
		*private_key = write_secret(secret, key);
		*public_key = write_public(key);
	}
	explicit_bzero(secret, sizeof(secret));
	return made ? 0
	            : nova_error_set(error, NOVA_E_INTERNAL,
	                             "cannot make an SSH key for the run: OpenSSL refused to make "
	                             "an Ed25519 key");
}
