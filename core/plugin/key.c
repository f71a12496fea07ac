/* SPDX-License-Identifier: MIT */
/*
 * Public keys and revocation lists: <directory>/<name>.pub and <directory>/revoked. Both decide
 * whose code may run, so both are read as strictly as they are written, and from places that obey
 * the rules for plugins. What is wrong is kept as a sentence. While a list cannot be read, nobody
 * knows what it revokes: then no signature is trusted.
 */
#include "core/plugin/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REVOKED_FILE "revoked"
#define KEYS_LIMIT   1000

/* DER of a SubjectPublicKeyInfo for Ed25519 up to the key itself (RFC 8410, 4): always the same. */
static const unsigned char info[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                     0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
#define INFO_BYTES (sizeof(info) + NOVA_KEY_BYTES)

static const char begin[] = "-----BEGIN PUBLIC KEY-----\n";
static const char end[] = "\n-----END PUBLIC KEY-----\n";

/* --- base64 ---------------------------------------------------------------------------------- */

void nova_base64_write(const unsigned char *bytes, size_t count, struct nova_text *text)
{
	NOVA_AUTOFREE char *encoded = nova_alloc(count / 3 * 4 + 5);

	EVP_EncodeBlock((unsigned char *)encoded, bytes, (int)count);
	nova_text_add(text, encoded);
}

/* OpenSSL's decoder skips what it does not know: what it read must encode to the same text. */
bool nova_base64_read(const char *text, size_t length, unsigned char *bytes, size_t count)
{
	NOVA_AUTOFREE unsigned char *decoded = nova_alloc(length + 4);
	NOVA_AUTOTEXT struct nova_text again = {0};

	if (length != (count + 2) / 3 * 4 || length > INT_MAX ||
	    EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length) < (int)count)
		return false;
	nova_base64_write(decoded, count, &again);
	if (again.length != length || memcmp(again.data, text, length))
		return false;
	memcpy(bytes, decoded, count);
	return true;
}

/* --- public keys ----------------------------------------------------------------------------- */

void nova_key_identify(struct nova_key *key)
{
	unsigned char der[INFO_BYTES];

	memcpy(der, info, sizeof(info));
	memcpy(der + sizeof(info), key->bytes, NOVA_KEY_BYTES);
	nova_sha256(der, sizeof(der), key->id);
}

char *nova_key_text(const struct nova_key *key)
{
	unsigned char der[INFO_BYTES];
	struct nova_text text = {0};

	memcpy(der, info, sizeof(info));
	memcpy(der + sizeof(info), key->bytes, NOVA_KEY_BYTES);
	nova_text_add(&text, begin);
	nova_base64_write(der, sizeof(der), &text);
	nova_text_add(&text, end);
	return text.data;
}

int nova_key_parse(const char *origin, const char *text, size_t bytes, struct nova_key *key,
                   struct nova_error *error)
{
	const size_t head = sizeof(begin) - 1, tail = sizeof(end) - 1;
	unsigned char der[INFO_BYTES];

	*key = (struct nova_key){0};
	if (bytes >= 11 && memmem(text, bytes, "PRIVATE KEY", 11))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s is a private key, which belongs to its owner alone; put "
		                      "the .pub file there, and if others could read this one, "
		                      "revoke it and make a new one",
		                      origin);
	if (bytes <= head + tail || memcmp(text, begin, head) ||
	    memcmp(text + bytes - tail, end, tail) ||
	    !nova_base64_read(text + head, bytes - head - tail, der, sizeof(der)) ||
	    memcmp(der, info, sizeof(info)))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s is not an Ed25519 public key in PEM, and nothing else, as "
		        "novacore plugin keygen and openssl pkey -pubout write it",
		        origin);
	memcpy(key->bytes, der + sizeof(info), NOVA_KEY_BYTES);
	nova_key_identify(key);
	return 0;
}

/* --- revocation lists ------------------------------------------------------------------------ */

/* NULL, or what is wrong with the line. */
static const char *read_line(const char *line, size_t length, char digest[65])
{
	const char *comment = memchr(line, '#', length);
	size_t used = comment ? (size_t)(comment - line) : length;

	digest[0] = '\0';
	while (used && strchr(" \t\r", line[used - 1]))
		used--;
	if (!used)
		return NULL;
	for (size_t i = 0; i < used; i++) {
		if (!strchr("0123456789abcdef", line[i]) || !line[i])
			return "only lower-case hexadecimal digits and, after #, a comment can "
			       "stand there";
	}
	if (used != 64)
		return "it does not have 64 hexadecimal digits";
	memcpy(digest, line, 64);
	digest[64] = '\0';
	return NULL;
}

int nova_revoked_parse(const char *origin, const char *text, size_t bytes, struct nova_keys *keys,
                       struct nova_error *error)
{
	unsigned int number = 0;
	int result = 0;

	for (size_t at = 0; at < bytes;) {
		const char *line = text + at, *newline = memchr(line, '\n', bytes - at);
		size_t length = newline ? (size_t)(newline - line) : bytes - at;
		char digest[65];

		number++;
		at += length + 1;
		const char *wrong = read_line(line, length, digest);
		if (!newline && !wrong)
			wrong = "it does not end in a newline, so the file may have been cut off";
		if (wrong && !result)
			result = nova_error_set(error, NOVA_E_INVALID, "%s:%u: %s", origin, number,
			                        wrong);
		if (!digest[0])
			continue;
		keys->revoked =
		        nova_grow(keys->revoked, keys->revoked_count, sizeof(*keys->revoked));
		struct nova_revoked *revoked = &keys->revoked[keys->revoked_count++];
		memcpy(revoked->digest, digest, sizeof(digest));
		revoked->origin = nova_format("%s:%u", origin, number);
	}
	return result;
}

/* --- directories ----------------------------------------------------------------------------- */

static char *add_problem(struct nova_keys *keys, const char *text)
{
	keys->problems = nova_grow(keys->problems, keys->problem_count, sizeof(*keys->problems));
	keys->problems[keys->problem_count] = nova_strdup(text);
	return keys->problems[keys->problem_count++];
}

static void doubt(struct nova_keys *keys, const char *text)
{
	NOVA_AUTOFREE char *whole = nova_format(
	        "%s; until this is put right, no signature is trusted, because nobody can tell "
	        "what is revoked",
	        text);
	char *kept = add_problem(keys, whole);

	if (!keys->doubt)
		keys->doubt = nova_strdup(kept);
}

static void read_key(struct nova_keys *keys, const struct nova_trust *trust, int fd,
                     const char *directory, const char *file)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, file);
	NOVA_AUTOFREE char *name =
	        nova_format("%.*s", (int)(strlen(file) - strlen(NOVA_KEY_SUFFIX)), file);
	enum nova_refusal_reason reason;
	struct nova_error error = {0};
	struct nova_key key;
	size_t bytes;

	if (!nova_name_valid(name))
		nova_error_set(
		        &error, NOVA_E_INVALID,
		        "%s: a key's file is called <name>" NOVA_KEY_SUFFIX
		        ", where the name has only lower-case letters, digits and -; rename it",
		        path);
	NOVA_AUTOFREE char *text =
	        error.code ? NULL
	                   : nova_trust_read(trust, fd, file, path, NOVA_KEY_TEXT_LIMIT, &bytes,
	                                     NULL, &reason, &error);
	if (!text || nova_key_parse(path, text, bytes, &key, &error)) {
		nova_error_prefix(&error, "a key is not used");
		add_problem(keys, error.text);
		return;
	}
	if (nova_keys_find(keys, key.id))
		return;
	snprintf(key.name, sizeof(key.name), "%s", name);
	key.path = nova_strdup(path);
	keys->items = nova_grow(keys->items, keys->count, sizeof(*keys->items));
	keys->items[keys->count++] = key;
}

static void read_revoked(struct nova_keys *keys, const struct nova_trust *trust, int fd,
                         const char *directory)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, REVOKED_FILE);
	enum nova_refusal_reason reason;
	struct nova_error error = {0};
	struct stat status;
	size_t bytes;

	if (fstatat(fd, REVOKED_FILE, &status, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return;
	NOVA_AUTOFREE char *text = nova_trust_read(
	        trust, fd, REVOKED_FILE, path, NOVA_REVOKED_LIMIT, &bytes, NULL, &reason, &error);
	if (text && !nova_revoked_parse(path, text, bytes, keys, &error))
		return;
	nova_error_prefix(&error, "the revocation list cannot be used");
	doubt(keys, error.text);
}

static int is_key(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), suffix = strlen(NOVA_KEY_SUFFIX);

	return entry->d_name[0] != '.' && length > suffix &&
	       !strcmp(entry->d_name + length - suffix, NOVA_KEY_SUFFIX);
}

static void read_directory(struct nova_keys *keys, const struct nova_trust *trust, int fd,
                           const char *directory)
{
	struct dirent **entries;
	int count = scandirat(fd, ".", &entries, is_key, alphasort);

	if (count < 0) {
		NOVA_AUTOFREE char *text =
		        nova_format("cannot list the keys in %s: %s", directory, strerror(errno));
		doubt(keys, text);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (i < KEYS_LIMIT)
			read_key(keys, trust, fd, directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (count > KEYS_LIMIT) {
		NOVA_AUTOFREE char *text =
		        nova_format("%s holds %d keys, of which only %d are used", directory, count,
		                    KEYS_LIMIT);
		add_problem(keys, text);
	}
	read_revoked(keys, trust, fd, directory);
}

void nova_keys_read(struct nova_keys *keys, const struct nova_trust *trust, const char *directory)
{
	NOVA_AUTOFREE char *canonical = realpath(directory, NULL);
	enum nova_refusal_reason reason;
	struct nova_error error = {0};
	NOVA_AUTOCLOSE int fd = -1;

	if (!canonical && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (!canonical)
		nova_error_errno(&error, "cannot look at %s", directory);
	else if (!nova_trust_open(trust, canonical, &fd, &reason, &error)) {
		read_directory(keys, trust, fd, canonical);
		return;
	}
	nova_error_prefix(&error, "keys and revocation list in %s cannot be used", directory);
	doubt(keys, error.text);
}

struct nova_keys *nova_keys_here(const struct nova_trust *trust, const char *prefix)
{
	struct nova_keys *keys = nova_alloc(sizeof(*keys));
	NOVA_AUTOFREE char *system = nova_place(NOVA_PLACE_SYSTEM, "keys.d");
	NOVA_AUTOFREE char *user = nova_place(NOVA_PLACE_CONFIG, "keys.d");

	if (prefix) {
		NOVA_AUTOFREE char *shipped = nova_format("%s/share/novacore/keys.d", prefix);
		nova_keys_read(keys, trust, shipped);
	}
	nova_keys_read(keys, trust, system);
	if (!trust->privileged && strcmp(user, system))
		nova_keys_read(keys, trust, user);
	return keys;
}

void nova_keys_free(struct nova_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		free(keys->items[i].path);
	for (size_t i = 0; i < keys->revoked_count; i++)
		free(keys->revoked[i].origin);
	for (size_t i = 0; i < keys->problem_count; i++)
		free(keys->problems[i]);
	free(keys->items);
	free(keys->revoked);
	free(keys->problems);
	free(keys->doubt);
	free(keys);
}

const struct nova_key *nova_keys_find(const struct nova_keys *keys, const char *id)
{
	for (size_t i = 0; keys && i < keys->count; i++) {
		if (!strcmp(keys->items[i].id, id))
			return &keys->items[i];
	}
	return NULL;
}

const struct nova_revoked *nova_keys_revoked(const struct nova_keys *keys, const char *digest)
{
	for (size_t i = 0; keys && i < keys->revoked_count; i++) {
		if (!strcmp(keys->revoked[i].digest, digest))
			return &keys->revoked[i];
	}
	return NULL;
}
