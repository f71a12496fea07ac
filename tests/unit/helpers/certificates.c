/* SPDX-License-Identifier: MIT */
/* Authorities and certificates, made when the test runs. */
#include "server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static const char *const names[] = {"ca", "other-ca", "good", "wrong-name", "expired", "client"};

static void die(const char *what)
{
	fprintf(stderr, "certificates: %s\n", what);
	exit(1);
}

const char *certificates_file(const char *name)
{
	static _Thread_local char paths[16][160];
	static _Thread_local int turn;

	turn = (turn + 1) % 16;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s.pem", directory, name);
	return paths[turn];
}

static void extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	if (!extension || !X509_add_ext(certificate, extension, -1))
		die("no extension");
	X509_EXTENSION_free(extension);
}

static void save(const char *name, X509 *certificate, EVP_PKEY *key)
{
	char path[170];
	FILE *file = fopen(certificates_file(name), "w");

	if (!file || !PEM_write_X509(file, certificate) || fclose(file))
		die("a certificate cannot be written");
	snprintf(path, sizeof(path), "%s/%s-key.pem", directory, name);
	file = fopen(path, "w");
	if (!file || !PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) || fclose(file))
		die("a key cannot be written");
}

struct identity {
	X509 *certificate;
	EVP_PKEY *key;
};

/* `issuer` NULL: an authority. Valid from `from_s` to `to_s`, seconds from now. */
static struct identity make(const char *name, const struct identity *issuer, const char *subjects,
                            long from_s, long to_s)
{
	struct identity made = {X509_new(), EVP_EC_gen("P-256")};
	const struct identity *signer = issuer ? issuer : &made;
	static long serial = 1;

	if (!made.certificate || !made.key)
		die("no key");
	X509_set_version(made.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN", MBSTRING_ASC,
	                           (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
	X509_set_pubkey(made.certificate, made.key);
	extend(made.certificate, signer->certificate, NID_basic_constraints,
	       issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (subjects)
		extend(made.certificate, signer->certificate, NID_subject_alt_name, subjects);
	if (!X509_sign(made.certificate, signer->key, EVP_sha256()))
		die("cannot sign");
	save(name, made.certificate, made.key);
	return made;
}

void certificates_make(void)
{
	static const char here[] = "IP:127.0.0.1,DNS:localhost";
	struct identity made[6];

	snprintf(directory, sizeof(directory), "/tmp/novacore-helpers-XXXXXX");
	if (!mkdtemp(directory))
		die("no directory");
	made[0] = make("ca", NULL, NULL, -3600, 3600);
	made[1] = make("other-ca", NULL, NULL, -3600, 3600);
	made[2] = make("good", &made[0], here, -3600, 3600);
	made[3] = make("wrong-name", &made[0], "DNS:elsewhere.example", -3600, 3600);
	made[4] = make("expired", &made[0], here, -7200, -3600);
	made[5] = make("client", &made[0], NULL, -3600, 3600);
	for (size_t i = 0; i < 6; i++) {
		X509_free(made[i].certificate);
		EVP_PKEY_free(made[i].key);
	}
}

void certificates_remove(void)
{
	char key[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(key, sizeof(key), "%s-key", names[i]);
		unlink(certificates_file(names[i]));
		unlink(certificates_file(key));
	}
	rmdir(directory);
}

const char *certificates_pin(const char *name)
{
	static char text[32 * 3 + 1];
	FILE *file = fopen(certificates_file(name), "r");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int bytes = 0;

	if (!certificate || !X509_digest(certificate, EVP_sha256(), digest, &bytes))
		die("no fingerprint");
	fclose(file);
	X509_free(certificate);
	for (unsigned int i = 0; i < bytes; i++)
		snprintf(text + i * 3, 4, "%02X:", digest[i]);
	text[bytes * 3 - 1] = '\0';
	return text;
}
