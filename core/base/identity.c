/* SPDX-License-Identifier: MIT */
/* Names that must be unique or repeatable: UUIDs, digests, canonical JSON, derived seeds. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/base.h"

static void random_bytes(void *bytes, size_t count)
{
	unsigned char *at = bytes;
	while (count > 0) {
		ssize_t got = getrandom(at, count, 0);
		if (got < 0 && errno != EINTR)
			abort(); /* not possible on a kernel that has the call (Linux ≥ 3.17) */
		if (got > 0) {
			at += got;
			count -= (size_t)got;
		}
	}
}

/*
 * RFC 9562, 5.7 with method 3 of 6.2: the 12 bits after the milliseconds are the fraction of the
 * millisecond, pushed on by one where two UUIDs would share it. So one process's sort by age.
 */
void nova_uuid7(char out[37])
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t last;
	uint64_t now = (uint64_t)nova_utc_ns();
	uint64_t stamp = (now / 1000000) << 12 | (now % 1000000) * 4096 / 1000000;
	uint64_t tail;

	random_bytes(&tail, sizeof(tail));
	pthread_mutex_lock(&lock);
	if (stamp <= last)
		stamp = last + 1;
	last = stamp;
	pthread_mutex_unlock(&lock);
	snprintf(out, 37, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(stamp >> 28),
	         (unsigned)(stamp >> 12 & 0xffff), (unsigned)(stamp & 0xfff),
	         (unsigned)(tail >> 48 & 0x3fff) | 0x8000,
	         (unsigned long long)(tail & 0xffffffffffffULL));
}

static void to_hex(const unsigned char digest[32], char out[65])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void nova_sha256(const void *data, size_t bytes, char out[65])
{
	unsigned char digest[32];
	if (EVP_Digest(bytes ? data : "", bytes, digest, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* SHA-256 of memory fails only for want of memory */
	to_hex(digest, out);
}

static int digest_stream(int fd, const char *path, EVP_MD_CTX *context, struct nova_error *error)
{
	NOVA_AUTOFREE char *piece = nova_alloc(64 * 1024);
	for (;;) {
		ssize_t got = read(fd, piece, 64 * 1024);
		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return nova_error_errno(error, "cannot read %s", path);
		if (EVP_DigestUpdate(context, piece, (size_t)got) != 1)
			return nova_error_set(error, NOVA_E_INTERNAL,
			                      "cannot compute SHA-256 of %s: OpenSSL refused",
			                      path);
	}
}

int nova_sha256_file(const char *path, char out[65], struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	unsigned char digest[32];

	if (fd < 0)
		return nova_error_errno(error, "cannot open %s", path);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int code = NOVA_E_INTERNAL;
	if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
		code = digest_stream(fd, path, context, error);
	else
		nova_error_set(error, code, "cannot compute SHA-256 of %s: OpenSSL has none", path);
	if (code == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1)
		to_hex(digest, out);
	EVP_MD_CTX_free(context);
	return code;
}

char *nova_json_canonical(const json_t *json)
{
	/* 17 digits tell every double from its neighbours; jansson writes them in any locale alike
	 */
	char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY |
	                                      JSON_REAL_PRECISION(17));
	return text ? text : nova_strdup("null");
}

/* Finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t nova_seed_derive(uint64_t seed, uint64_t stream)
{
	/* the seed is mixed first, so that streams of neighbouring seeds never coincide */
	return mix(mix(seed + UINT64_C(0x9e3779b97f4a7c15)) +
	           (stream + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

const char *nova_json_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}
