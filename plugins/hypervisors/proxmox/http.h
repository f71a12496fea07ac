/* SPDX-License-Identifier: MIT */
/*
 * HTTPS requests on one curl_multi, for drivers whose ops must not block. Knows nothing of Proxmox:
 * what it says of the peer it is told. One client belongs to one plugin instance; everything but
 * http_wake is called from one thread at a time.
 */
#ifndef PROXMOX_HTTP_H
#define PROXMOX_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct http_client;
struct http_request;

struct http_settings {
	const char *ca_file;       /* PEM; NULL: the system's authorities */
	const char *fingerprint;   /* SHA-256 of the peer's certificate in hex; NULL: none. Replaces
	                              the check of authority and host name */
	int insecure;              /* verify nothing */
	const char *authorization; /* value of that header */
	uint32_t connections;      /* at most at once */
	size_t answer_bytes;       /* longest body that is accepted */
};

struct http_answer {
	int result;        /* NOVA_DONE: the peer answered, whatever it said; else NOVA_E_* */
	const char *error; /* why not, a clause for a sentence; NULL with NOVA_DONE */
	long status;
	const char *reason; /* of the status line, printable; may be empty */
	const char *body;   /* NUL-terminated, never NULL */
	size_t bytes;
	int64_t latency_ns; /* from the sending, on an open connection, to the last byte received */
	int64_t end_ns;     /* CLOCK_MONOTONIC, when it had arrived */
};

/* Called from http_turn, once for each request that was not aborted; the request is gone then. */
typedef void (*http_done)(void *context, const struct http_answer *answer);

/* Copies what it needs. NULL: out of memory. */
struct http_client *http_open(const struct http_settings *settings);
/* Aborts what is under way. NULL is fine. */
void http_close(struct http_client *client);

/*
 * Starts a request; nothing is sent before http_turn. `body` NULL: none, else form-encoded.
 * `timeout_ms` for the whole of it. NULL: out of memory.
 */
struct http_request *http_start(struct http_client *client, const char *method, const char *url,
                                const char *body, long timeout_ms, http_done done, void *context);
/* Ends it without calling `done`. NULL is fine. */
void http_abort(struct http_request *request);

/* Waits up to `wait_ms` for the network or http_wake, then handles what there is. */
void http_turn(struct http_client *client, int wait_ms);
/* @thread any */
void http_wake(struct http_client *client);

int64_t http_now_ns(void);

/* "AA:BB:…" or "aabb…" as 32 bytes; 0 if it is not a SHA-256. */
int http_parse_fingerprint(const char *text, unsigned char digest[32]);

#endif
