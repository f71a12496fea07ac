/* SPDX-License-Identifier: MIT */
/* The relay's identities, the true one and those that a driver must not take; and how it verifies
 * the target. Keys live in memory, and end with the process. */
#include "proxy.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define DAY_S 86400L

const char *const identity_names[IDENTITIES] = {
        "the right certificate", "a certificate of an unknown authority",
        "a certificate for another name", "a certificate that has expired"};

static int fail_with(char *why, size_t room, const char *what)
{
	snprintf(why, room, "%s: %s", what, ERR_reason_error_string(ERR_peek_last_error()));
	return 0;
}

static int extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	int done;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	done = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return done;
}

/* `issuer` NULL: an authority. Valid from a day ago until `days` from now. */
static X509 *make_certificate(EVP_PKEY *key, const char *name, const char *names, long days,
                              X509 *issuer, EVP_PKEY *issuer_key)
{
	static long serial = 1;
	X509 *certificate = X509_new();
	X509_NAME *subject = certificate ? X509_get_subject_name(certificate) : NULL;
	int done;

	done = subject && X509_set_version(certificate, 2) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -30 * DAY_S) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S) &&
	       X509_set_pubkey(certificate, key) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
	                                  -1, -1, 0) &&
	       X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
	if (done && issuer)
		done = extend(certificate, issuer, NID_subject_alt_name, names) &&
		       extend(certificate, issuer, NID_ext_key_usage, "serverAuth");
	else if (done)
		done = extend(certificate, certificate, NID_basic_constraints,
		              "critical,CA:TRUE") &&
		       extend(certificate, certificate, NID_key_usage,
		              "critical,keyCertSign,cRLSign") &&
		       extend(certificate, certificate, NID_subject_key_identifier, "hash");
	if (done && X509_sign(certificate, issuer ? issuer_key : key, EVP_sha256()))
		return certificate;
	X509_free(certificate);
	return NULL;
}

static SSL_CTX *make_server(EVP_PKEY *key, const char *names, long days, X509 *issuer,
                            EVP_PKEY *issuer_key)
{
	X509 *certificate =
	        make_certificate(key, "novacore check", names, days, issuer, issuer_key);
	SSL_CTX *context = certificate ? SSL_CTX_new(TLS_server_method()) : NULL;

	if (context && (SSL_CTX_use_certificate(context, certificate) != 1 ||
	                SSL_CTX_use_PrivateKey(context, key) != 1)) {
		SSL_CTX_free(context);
		context = NULL;
	}
	if (context) {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_num_tickets(context, 0); /* each handshake shows who we are */
		SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	}
	X509_free(certificate);
	return context;
}

static int write_authority(const char *path, X509 *authority)
{
	FILE *file = fopen(path, "we");
	int done = file && PEM_write_X509(file, authority);

	return file && fclose(file) == 0 && done;
}

static int make_servers(struct certificates *certificates, const char *ca_path)
{
	static const char here[] = "IP:127.0.0.1,DNS:localhost";
	EVP_PKEY *key = EVP_EC_gen("P-256"), *stranger_key = EVP_EC_gen("P-256"),
	         *own_key = EVP_EC_gen("P-256");
	X509 *authority =
	        key ? make_certificate(key, "novacore check authority", NULL, 2, NULL, NULL) : NULL;
	X509 *stranger = stranger_key ? make_certificate(stranger_key, "novacore check authority",
	                                                 NULL, 2, NULL, NULL)
	                              : NULL;
	SSL_CTX **servers = certificates->servers;
	int done = authority && stranger && own_key && write_authority(ca_path, authority);

	if (done) {
		servers[IDENTITY_TRUE] = make_server(own_key, here, 2, authority, key);
		servers[IDENTITY_STRANGER] = make_server(own_key, here, 2, stranger, stranger_key);
		servers[IDENTITY_OTHER_NAME] =
		        make_server(own_key, "DNS:other.invalid", 2, authority, key);
		servers[IDENTITY_EXPIRED] = make_server(own_key, here, -1, authority, key);
	}
	for (int i = 0; i < IDENTITIES; i++)
		done = done && servers[i];
	X509_free(authority);
	X509_free(stranger);
	EVP_PKEY_free(key);
	EVP_PKEY_free(stranger_key);
	EVP_PKEY_free(own_key);
	return done;
}

static int verify_pin(X509_STORE_CTX *store, void *context)
{
	const struct certificates *certificates = context;
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int bytes = 0;

	if (certificate && X509_digest(certificate, EVP_sha256(), digest, &bytes) &&
	    bytes == sizeof(certificates->pin) && !memcmp(digest, certificates->pin, bytes)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int read_pin(struct certificates *certificates, const char *text)
{
	long bytes = 0;
	unsigned char *digest = OPENSSL_hexstr2buf(text, &bytes);

	certificates->pinned = digest && bytes == sizeof(certificates->pin);
	if (certificates->pinned)
		memcpy(certificates->pin, digest, sizeof(certificates->pin));
	OPENSSL_free(digest);
	return certificates->pinned;
}

/* Credentials go through the relay: it trusts the target as the driver was told to. */
static int make_client(struct certificates *certificates, const struct proxy_settings *settings,
                       char *why, size_t room)
{
	SSL_CTX *context = certificates->client = SSL_CTX_new(TLS_client_method());

	if (!context)
		return fail_with(why, room, "no TLS");
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	if (settings->insecure)
		return 1;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (settings->fingerprint && *settings->fingerprint) {
		if (!read_pin(certificates, settings->fingerprint))
			return fail_with(why, room, "the fingerprint cannot be read");
		SSL_CTX_set_cert_verify_callback(context, verify_pin, certificates);
		return 1;
	}
	if (settings->ca_file && *settings->ca_file)
		return SSL_CTX_load_verify_locations(context, settings->ca_file, NULL) == 1 ||
		       fail_with(why, room, settings->ca_file);
	return SSL_CTX_set_default_verify_paths(context) == 1 ||
	       fail_with(why, room, "the system's authorities");
}

int certificates_make(struct certificates *certificates, const struct proxy_settings *settings,
                      const char *ca_path, char *why, size_t room)
{
	ERR_clear_error();
	if (!make_servers(certificates, ca_path))
		return fail_with(why, room, "no certificate can be made");
	return make_client(certificates, settings, why, room);
}

void certificates_free(struct certificates *certificates)
{
	for (int i = 0; i < IDENTITIES; i++)
		SSL_CTX_free(certificates->servers[i]);
	SSL_CTX_free(certificates->client);
}
