/* SPDX-License-Identifier: MIT */
/*
 * What authors and administrators do with keys: make one, sign a plugin's manifest with it, verify
 * a signature. Private keys are PKCS#8 in PEM, as OpenSSL reads and writes them; nothing here
 * writes one that others could read, or reads one that others can.
 */
#include "core/plugin/inside.h"

#include <novacore/tools/describe.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRIVATE_SUFFIX ".key"
#define PRIVATE_LIMIT  16384u
/* OWASP, Password Storage Cheat Sheet (2023), for PBKDF2-HMAC-SHA256, which PBES2 uses here. */
#define ITERATIONS 600000

struct nova_private_key {
	EVP_PKEY *key;
	struct nova_key public; /* its name, too */
};

static void destroy_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void destroy_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

/* The last part of a path without its suffix, if that is a name; else "unnamed". */
static void name_key(const char *path, struct nova_key *key)
{
	const char *slash = strrchr(path, '/');
	NOVA_AUTOFREE char *name = nova_strdup(slash ? slash + 1 : path);
	char *dot = strrchr(name, '.');

	if (dot)
		*dot = '\0';
	snprintf(key->name, sizeof(key->name), "%s", nova_name_valid(name) ? name : "unnamed");
}

static int describe_key(EVP_PKEY *key, struct nova_key *public, struct nova_error *error)
{
	size_t bytes = sizeof(public->bytes);

	if (EVP_PKEY_get_raw_public_key(key, public->bytes, &bytes) != 1 ||
	    bytes != sizeof(public->bytes))
		return nova_error_set(error, NOVA_E_INTERNAL,
		                      "OpenSSL does not give the public key");
	nova_key_identify(public);
	return 0;
}

/* --- keygen ---------------------------------------------------------------------------------- */

static int encode_private(EVP_PKEY *key, const char *passphrase, BIO *out)
{
	if (!passphrase)
		return PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1;
	PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
	X509_SIG *encrypted =
	        plain ? PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase, (int)strlen(passphrase),
	                              NULL, 0, ITERATIONS, plain)
	              : NULL;
	int result = encrypted && PEM_write_bio_PKCS8(out, encrypted) == 1;

	X509_SIG_free(encrypted);
	PKCS8_PRIV_KEY_INFO_free(plain);
	return result;
}

/* A file that was not there before; `mode` whatever the umask is. */
static int write_new(const char *path, const void *data, size_t bytes, mode_t mode,
                     struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd =
	        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	const char *at = data;

	if (fd < 0 && errno == EEXIST)
		return nova_error_set(error, NOVA_E_EXISTS,
		                      "%s is there already, and a key is never overwritten; choose "
		                      "another name, or move that file away",
		                      path);
	if (fd < 0)
		return nova_error_errno(error, "cannot make %s", path);
	int failed = fchmod(fd, mode);
	while (!failed && bytes) {
		ssize_t written = write(fd, at, bytes);
		if (written < 0 && errno == EINTR)
			continue;
		failed = written < 0;
		at += written;
		bytes -= (size_t)written;
	}
	if (!failed && !fsync(fd))
		return 0;
	nova_error_errno(error, "cannot write %s", path);
	unlink(path);
	return error->code;
}

static int write_pair(const char *directory, const char *name, EVP_PKEY *key,
                      const char *passphrase, const struct nova_key *public,
                      struct nova_error *error)
{
	NOVA_AUTOFREE char *private_path = nova_format("%s/%s" PRIVATE_SUFFIX, directory, name);
	NOVA_AUTOFREE char *public_path = nova_format("%s/%s" NOVA_KEY_SUFFIX, directory, name);
	NOVA_AUTOFREE char *public_text = nova_key_text(public);
	NOVA_AUTO(destroy_bio) BIO *out = BIO_new(BIO_s_secmem());
	char *data;

	if (!out || !encode_private(key, passphrase, out))
		return nova_error_set(error, NOVA_E_INTERNAL, "OpenSSL cannot write the key");
	long bytes = BIO_get_mem_data(out, &data);
	if (write_new(private_path, data, (size_t)bytes, 0600, error))
		return error->code;
	if (write_new(public_path, public_text, strlen(public_text), 0644, error)) {
		unlink(private_path);
		return error->code;
	}
	return 0;
}

int nova_key_make(const char *directory, const char *name, const char *passphrase, char id[65],
                  struct nova_error *error)
{
	struct nova_error local = {0};
	struct nova_key public = {0};
	NOVA_AUTO(destroy_key) EVP_PKEY *key = NULL;

	error = error ? error : &local;
	if (!nova_name_valid(name))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "`%.80s` cannot be the name of a key: it has only lower-case "
		                      "letters, digits and -, and at most 64 of them, such as "
		                      "example-2026",
		                      name);
	if (passphrase && !*passphrase)
		return nova_error_set(error, NOVA_E_INVALID, "the passphrase is empty");
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!key)
		return nova_error_set(
		        error, NOVA_E_UNAVAILABLE,
		        "this OpenSSL makes no Ed25519 keys; use its default provider");
	if (describe_key(key, &public, error) ||
	    write_pair(directory, name, key, passphrase, &public, error))
		return error->code;
	memcpy(id, public.id, sizeof(public.id));
	return 0;
}

/* --- private keys ---------------------------------------------------------------------------- */

struct asking {
	int (*ask)(void *context, char *passphrase, size_t room, struct nova_error *error);
	void *context;
	struct nova_error *error;
	bool asked;
};

static int ask(char *passphrase, int room, int writing, void *context)
{
	struct asking *asking = context;

	(void)writing;
	asking->asked = true;
	if (!asking->ask || room <= 0 ||
	    asking->ask(asking->context, passphrase, (size_t)room, asking->error))
		return -1;
	return (int)strlen(passphrase);
}

static char *read_private(const char *path, size_t *bytes, struct nova_error *error)
{
	struct stat status;
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &status)) {
		nova_error_errno(error, "cannot open the private key %s", path);
		return NULL;
	}
	if (!S_ISREG(status.st_mode) || (status.st_mode & 077) ||
	    (status.st_uid != geteuid() && status.st_uid != 0)) {
		nova_error_set(
		        error, NOVA_E_REFUSED,
		        "the private key %s is not safe there: it must be a plain file of "
		        "yours that nobody else can read. If somebody may have read it, make "
		        "a new one; else chmod 600 it",
		        path);
		return NULL;
	}
	char *text = nova_alloc(PRIVATE_LIMIT + 1);
	ssize_t got = read(fd, text, PRIVATE_LIMIT + 1);
	if (got >= 0 && (size_t)got <= PRIVATE_LIMIT) {
		*bytes = (size_t)got;
		return text;
	}
	if (got < 0)
		nova_error_errno(error, "cannot read the private key %s", path);
	else
		nova_error_set(error, NOVA_E_INVALID, "%s is too large for a private key", path);
	OPENSSL_cleanse(text, PRIVATE_LIMIT + 1);
	free(text);
	return NULL;
}

static EVP_PKEY *decode_private(const char *path, const char *text, size_t bytes,
                                struct asking *asking, struct nova_error *error)
{
	NOVA_AUTO(destroy_bio) BIO *in = BIO_new_mem_buf(text, (int)bytes);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, ask, asking) : NULL;

	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
		return key;
	if (key)
		nova_error_set(error, NOVA_E_INVALID,
		               "%s is a private key of another kind; plugins are signed with "
		               "Ed25519: novacore plugin keygen",
		               path);
	else if (asking->asked && !error->code)
		nova_error_set(
		        error, NOVA_E_INVALID,
		        "cannot decrypt %s: the passphrase is not the right one, or the file "
		        "is damaged",
		        path);
	else if (!error->code)
		nova_error_set(
		        error, NOVA_E_INVALID,
		        "%s is not a private key in PEM, as novacore plugin keygen writes it",
		        path);
	EVP_PKEY_free(key);
	return NULL;
}

int nova_private_key_open(const char *path,
                          int (*how)(void *context, char *passphrase, size_t room,
                                     struct nova_error *error),
                          void *context, struct nova_private_key **key, struct nova_error *error)
{
	struct nova_error local = {0};
	size_t bytes = 0;

	error = error ? error : &local;
	error->code = 0;
	*key = NULL;
	struct asking asking = {.ask = how, .context = context, .error = error};
	char *text = read_private(path, &bytes, error);
	if (!text)
		return error->code;
	EVP_PKEY *decoded = decode_private(path, text, bytes, &asking, error);
	OPENSSL_cleanse(text, PRIVATE_LIMIT + 1);
	free(text);
	if (!decoded)
		return error->code;
	struct nova_private_key *result = nova_alloc(sizeof(*result));
	result->key = decoded;
	name_key(path, &result->public);
	if (describe_key(decoded, &result->public, error)) {
		nova_private_key_free(result);
		return error->code;
	}
	*key = result;
	return 0;
}

void nova_private_key_free(struct nova_private_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	free(key);
}

const char *nova_private_key_id(const struct nova_private_key *key)
{
	return key->public.id;
}

const char *nova_private_key_name(const struct nova_private_key *key)
{
	return key->public.name;
}

/* --- a plugin's files ------------------------------------------------------------------------ */

struct files {
	char *so, *manifest, *signature, *name;
	char *text; /* of the manifest */
	size_t bytes;
	struct nova_manifest *parsed;
};

static void clear_files(struct files *files)
{
	free(files->so);
	free(files->manifest);
	free(files->signature);
	free(files->name);
	free(files->text);
	nova_manifest_free(files->parsed);
}

static int name_files(const char *file, struct files *files, struct nova_error *error)
{
	static const char *const suffixes[] = {".so", ".manifest", ".manifest.sig"};
	const char *slash = strrchr(file, '/');
	size_t length = strlen(file);

	for (size_t i = 0; i < NOVA_COUNT(suffixes); i++) {
		size_t suffix = strlen(suffixes[i]);
		if (length <= suffix || strcmp(file + length - suffix, suffixes[i]))
			continue;
		NOVA_AUTOFREE char *stem = nova_format("%.*s", (int)(length - suffix), file);
		files->so = nova_format("%s.so", stem);
		files->manifest = nova_format("%s.manifest", stem);
		files->signature = nova_format("%s.manifest" NOVA_SIGNATURE_SUFFIX, stem);
		files->name = nova_strdup(stem + (slash ? slash + 1 - file : 0));
	}
	if (files->name && nova_name_valid(files->name))
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "%.500s is not the name of a plugin's file, such as hello.so or "
	                      "hello.manifest",
	                      file);
}

/* The manifest, and whether it is that of the .so beside it. Sets *reason for a refusal. */
static int read_files(const char *file, struct files *files, enum nova_refusal_reason *reason,
                      struct nova_error *error)
{
	struct nova_error why = {0};
	char digest[65];
	size_t bytes;

	if (name_files(file, files, error))
		return error->code;
	NOVA_AUTOFREE char *data = nova_file_read(files->so, NOVA_PLUGIN_LIMIT, &bytes, error);
	if (!data)
		return error->code;
	if (access(files->manifest, F_OK) && errno == ENOENT)
		return nova_refuse(reason, NOVA_REFUSED_NO_MANIFEST, error,
		                   "%s has no manifest beside it; make it with novacore-manifest",
		                   files->so);
	files->text = nova_file_read(files->manifest, NOVA_MANIFEST_LIMIT, &files->bytes, error);
	if (!files->text)
		return error->code;
	if (nova_manifest_parse(files->manifest, files->text, files->bytes, &files->parsed, &why))
		return nova_refuse(reason, NOVA_REFUSED_BAD_MANIFEST, error,
		                   "%s; make it again with novacore-manifest %s", why.text,
		                   files->so);
	if (strcmp(files->parsed->name, files->name))
		return nova_refuse(reason, NOVA_REFUSED_WRONG_MANIFEST, error,
		                   "the manifest beside %s is that of %s/%s", files->so,
		                   nova_kind_name(files->parsed->kind), files->parsed->name);
	nova_sha256(data, bytes, digest);
	if (strcmp(digest, files->parsed->sha256))
		return nova_refuse(
		        reason, NOVA_REFUSED_HASH, error,
		        "%s is not the file that its manifest was made for (sha256 %s, not "
		        "%s); after stripping it, run novacore-manifest --rehash %s --from "
		        "%s, then sign",
		        files->so, digest, files->parsed->sha256, files->so, files->manifest);
	return 0;
}

/* --- sign ------------------------------------------------------------------------------------ */

static int make_signature(const struct nova_private_key *key, const void *data, size_t bytes,
                          struct nova_signature *signature, struct nova_error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t made = sizeof(signature->bytes);
	int done = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) == 1 &&
	           EVP_DigestSign(context, signature->bytes, &made, data, bytes) == 1 &&
	           made == sizeof(signature->bytes);

	EVP_MD_CTX_free(context);
	if (!done)
		return nova_error_set(error, NOVA_E_INTERNAL, "OpenSSL cannot sign with the key %s",
		                      key->public.name);
	memcpy(signature->key, key->public.id, sizeof(signature->key));
	memcpy(signature->name, key->public.name, sizeof(signature->name));
	return 0;
}

int nova_signature_make(const struct nova_private_key *key, const char *file, const char *output,
                        char **written, struct nova_error *error)
{
	NOVA_AUTO(clear_files) struct files files = {0};
	struct nova_signature signature = {0};
	enum nova_refusal_reason reason;
	struct nova_error local = {0};

	error = error ? error : &local;
	*written = NULL;
	if (read_files(file, &files, &reason, error) ||
	    make_signature(key, files.text, files.bytes, &signature, error))
		return error->code;
	NOVA_AUTOFREE char *text = nova_signature_text(&signature);
	const char *path = output ? output : files.signature;
	if (nova_file_write(path, text, strlen(text), 0644, error))
		return error->code;
	*written = nova_strdup(path);
	return 0;
}

/* --- verify ---------------------------------------------------------------------------------- */

/* Only `path`, with the revocation lists of this system. */
static int use_key(struct nova_keys *keys, const char *path, struct nova_error *error)
{
	struct nova_key key;
	size_t bytes;
	NOVA_AUTOFREE char *text = nova_file_read(path, NOVA_KEY_TEXT_LIMIT, &bytes, error);

	if (!text || nova_key_parse(path, text, bytes, &key, error))
		return error->code;
	for (size_t i = 0; i < keys->count; i++)
		free(keys->items[i].path);
	keys->count = 0;
	name_key(path, &key);
	key.path = nova_strdup(path);
	keys->items = nova_grow(keys->items, 0, sizeof(*keys->items));
	keys->items[keys->count++] = key;
	return 0;
}

static int check_revoked(const struct nova_keys *keys, const struct files *files,
                         enum nova_refusal_reason *reason, struct nova_error *error)
{
	const struct nova_revoked *revoked = nova_keys_revoked(keys, files->parsed->sha256);
	char digest[65];

	nova_sha256(files->text, files->bytes, digest);
	if (!revoked)
		revoked = nova_keys_revoked(keys, digest);
	if (revoked)
		return nova_refuse(reason, NOVA_REFUSED_REVOKED, error,
		                   "%s is revoked (%s); remove it and install a newer version",
		                   files->so, revoked->origin);
	return 0;
}

static int check_signature(const struct nova_keys *keys, const struct files *files,
                           const char *public_key, struct nova_verified *verified,
                           struct nova_error *error)
{
	struct nova_signature signature;
	struct nova_error why = {0};
	struct nova_signer *signer = &verified->signer;
	size_t bytes;

	if (access(files->signature, F_OK) && errno == ENOENT)
		return nova_refuse(&verified->reason, NOVA_REFUSED_UNSIGNED, error,
		                   "%s is not signed: there is no %s; sign it with novacore plugin "
		                   "sign",
		                   files->so, files->signature);
	NOVA_AUTOFREE char *text =
	        nova_file_read(files->signature, NOVA_SIGNATURE_LIMIT, &bytes, &why);
	if (!text || nova_signature_parse(files->signature, text, bytes, &signature, &why))
		return nova_refuse(&verified->reason, NOVA_REFUSED_SIGNATURE, error, "%s",
		                   why.text);
	if (nova_signature_check(keys, files->signature, &signature, files->text, files->bytes,
	                         signer, &verified->reason, error))
		return error->code;
	if (signer->state == NOVA_SIGNED_WELL)
		return 0;
	if (keys->doubt)
		return nova_refuse(&verified->reason, NOVA_REFUSED_UNKNOWN_KEY, error, "%s",
		                   keys->doubt);
	return nova_refuse(
	        &verified->reason, NOVA_REFUSED_UNKNOWN_KEY, error,
	        "%s is signed with the key %s (its signer calls it %s), which is not %s%s",
	        files->signature, signer->id, signer->name, public_key ? public_key : "known here",
	        public_key ? ""
	                   : "; check against a public key of your own with --key, or "
	                     "install it in /etc/novacore/keys.d if you trust its owner");
}

int nova_signature_verify(const char *file, const char *public_key, struct nova_verified *verified,
                          struct nova_error *error)
{
	NOVA_AUTO(clear_files) struct files files = {0};
	struct nova_error local = {0};
	struct nova_trust trust = nova_trust_now();

	error = error ? error : &local;
	*verified = (struct nova_verified){.signer.state = NOVA_SIGNED_NOT};
	NOVA_AUTOFREE char *prefix = nova_prefix(error);
	if (!prefix)
		return error->code;
	if (read_files(file, &files, &verified->reason, error))
		return error->code;
	verified->signature_path = nova_strdup(files.signature);
	struct nova_keys *keys = nova_keys_here(&trust, prefix);
	int result = public_key ? use_key(keys, public_key, error) : 0;
	if (!result)
		result = check_revoked(keys, &files, &verified->reason, error);
	if (!result)
		result = check_signature(keys, &files, public_key, verified, error);
	nova_keys_free(keys);
	return result;
}

void nova_verified_free(struct nova_verified *verified)
{
	free(verified->signer.key_path);
	free(verified->signature_path);
}
