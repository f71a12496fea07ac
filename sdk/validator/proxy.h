/* SPDX-License-Identifier: MIT */
/*
 * A relay between a driver and its target, which ends the driver's TLS and opens its own, so that
 * anything can go wrong in between: a proxy on 127.0.0.1 with a throw-away authority of its own. It
 * knows just enough of HTTP/1.1 to see where a request begins and what belongs to its answer.
 */
#ifndef NOVACORE_VALIDATOR_PROXY_H
#define NOVACORE_VALIDATOR_PROXY_H

#include <stddef.h>
#include <stdint.h>

enum fault {
	FAULT_NONE,
	FAULT_DIES_BEFORE, /* the connection breaks, the target has not seen the request */
	FAULT_DIES_AFTER, /* the target has done it, and the connection breaks instead of the answer
	                   */
	FAULT_NO_HTTP,    /* bytes that are not HTTP */
	FAULT_GARBAGE,    /* the answer's body is something else; the target has done it */
	FAULT_HALF,       /* half of the answer's body, then the connection breaks */
	FAULT_500,        /* an HTML page with that status; the target has not seen the request */
	FAULT_503,
	FAULT_REDIRECT, /* 307 to a listener that keeps what it gets */
	FAULT_SLOW,     /* the answer comes byte by byte, 50 ms each */
	FAULT_DRIBBLE,  /* the answer comes byte by byte, without delay */
	FAULTS
};

/* Who the relay says that it is. */
enum identity {
	IDENTITY_TRUE,
	IDENTITY_STRANGER,
	IDENTITY_OTHER_NAME,
	IDENTITY_EXPIRED,
	IDENTITIES
};
extern const char *const identity_names[IDENTITIES];

struct proxy_settings {
	const char *uri;         /* https://host[:port][/path] of the target */
	const char *ca_file;     /* how the target is verified, as the driver was told to: this, */
	const char *fingerprint; /* or this (SHA-256 in hex), */
	int insecure;            /* or not at all; else the system's authorities */
	const char *directory;   /* for ca.pem */
};

struct proxy;

/* NULL: `why` is a sentence. */
struct proxy *proxy_open(const struct proxy_settings *settings, char *why, size_t room);
/* Breaks all connections and waits for its threads. NULL is fine. */
void proxy_close(struct proxy *proxy);
/* https://127.0.0.1:PORT/path, and the file of the authority that vouches for it. */
const char *proxy_uri(const struct proxy *proxy);
const char *proxy_ca_file(const struct proxy *proxy);

/* After `skip` further requests the next `times` get the fault; requests and hits count anew. */
void proxy_arm(struct proxy *proxy, enum fault fault, uint32_t skip, uint32_t times);
uint32_t proxy_requests(struct proxy *proxy); /* since it was armed */
uint32_t proxy_hits(struct proxy *proxy);
/* From the next handshake on; connections that are there are broken. */
void proxy_identify(struct proxy *proxy, enum identity identity);
/* What came to where FAULT_REDIRECT points, printable or not; "" and 0 bytes if nothing did. */
const char *proxy_trapped(struct proxy *proxy, size_t *bytes);
/* Why the target could not be reached the last time, or "". */
const char *proxy_trouble(struct proxy *proxy);

/* --- certificate.c ------------------------------------------------------------------------ */

typedef struct ssl_ctx_st SSL_CTX;

struct certificates {
	SSL_CTX *servers[IDENTITIES];
	SSL_CTX *client;
	unsigned char pin[32];
	int pinned;
};
/* An authority, which is written to `ca_path`, and certificates of every identity. 0: `why`. */
int certificates_make(struct certificates *certificates, const struct proxy_settings *settings,
                      const char *ca_path, char *why, size_t room);
void certificates_free(struct certificates *certificates);

#endif
