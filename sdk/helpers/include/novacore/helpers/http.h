/* SPDX-License-Identifier: MIT */
/*
 * HTTPS requests on one curl_multi, for drivers whose ops must not block. A client belongs to one
 * plugin instance. Nothing is sent and no callback is called but from nova_http_turn.
 *
 * The peer is verified unless a driver says otherwise, and a driver that does says so as the fact
 * "tls" (nova_http_trust). Nothing but https is spoken, HTTP/1.1, no redirect is followed (the
 * answer is the redirect), no body is longer than was said, no order is sent twice.
 *
 * Part of the helpers: linked into the plugin, not ABI. @thread all but nova_http_wake: one at a
 * time, as the ops and `pump` of a PER_INSTANCE driver are
 */
#ifndef NOVACORE_HELPERS_HTTP_H
#define NOVACORE_HELPERS_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include <novacore/helpers/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nova_http;        /* a client: settings, and connections that are kept */
struct nova_http_flight; /* one request under way */

/* Authentication that needs several turns on one connection. Credentials in a header of its own
 * (tokens, Basic) need none of it. */
#define NOVA_HTTP_AUTH_NONE      0u
#define NOVA_HTTP_AUTH_BASIC     1u
#define NOVA_HTTP_AUTH_NTLM      2u
#define NOVA_HTTP_AUTH_NEGOTIATE 3u /* Kerberos, where this libcurl has it */

/* All that is 0 or NULL has a meaning; all is copied. Texts are PEM where nothing else is said. */
struct nova_http_settings {
	/* --- whom to trust: the system's authorities, or --- */
	const char *ca_file; /* these instead, from a file */
	const char *ca_text; /* or from memory */
	const char *pin;     /* this certificate, by its SHA-256 in hex (colons may stand between);
	                        replaces the check of authority, host name and dates */
	int insecure;        /* 1: anybody. The driver must have been told so by its user */

	/* --- who we are --- */
	const char *certificate_file, *key_file; /* a client's certificate and its key */
	const char *certificate_text, *key_text;
	uint32_t auth; /* NOVA_HTTP_AUTH_*, with: */
	const char *user, *password;
	/* "Name: value", sent with each request; NULL-terminated, or NULL */
	const char *const *headers;

	/* --- on the way --- */
	/* NULL: as the environment says (https_proxy, all_proxy, no_proxy); "": none; else its URL.
	 * A password in it is treated as a secret. */
	const char *proxy;

	/* --- limits --- */
	uint32_t connections;       /* at most at once; 0: 16. The rest waits */
	size_t answer_bytes;        /* longest body, or line of a stream; 0: 16 MiB */
	int64_t connect_timeout_ns; /* until a connection is verified; 0: 10 s */

	/* Taken out of every text that comes from here; borrowed, lives longer than the client.
	 * `password`, and the proxy's, are added to it. NULL: none. */
	struct nova_secrets *secrets;
};

/*
 * NOVA_DONE and *client, or NOVA_E_* and *why: a clause for a sentence, of static lifetime. Opens
 * no connection and reads no file (ca_file is read when connecting).
 */
int nova_http_open(const struct nova_http_settings *settings, struct nova_http **client,
                   const char **why);
/* Aborts what is under way. NULL is fine. */
void nova_http_close(struct nova_http *client);
/* Sets a header for the requests from now on (a session's cookie or id); value NULL: not sent any
 * more. 0: out of memory, or a line break in it. Register the value as a secret if it is one. */
int nova_http_set_header(struct nova_http *client, const char *name, const char *value);
/* "verified", "pinned" or "insecure": the fact "tls". */
const char *nova_http_trust(const struct nova_http *client);

struct nova_http_answer {
	int result;         /* NOVA_DONE: the peer answered, whatever it said; else NOVA_E_*:
	                     * UNAVAILABLE (not reached), PERMISSION (not the one to be trusted),
	                     * TIMEOUT, PROTOCOL (no HTTP, or too long), UNKNOWN (an order was sent, and
	                     * no answer came), IO (the file to send cannot be read), INVALID, MEMORY */
	int status;         /* 200 …; 0: none came */
	const char *error;  /* why not, a clause for a sentence; NULL with NOVA_DONE */
	const char *reason; /* of the status line, printable; may be "" */
	const char *body;   /* NUL-terminated, never NULL; "" for what went to a callback */
	size_t bytes;
	int64_t sent_ns;   /* CLOCK_MONOTONIC: connected, about to send; 0: it never was */
	int64_t end_ns;    /* the last byte had arrived */
	uint32_t attempts; /* how many times it was sent */
	struct nova_http_flight *flight; /* for nova_http_header */
};

/* A header of the answer, or NULL; `index` counts those of the same name (Set-Cookie) from 0. Lives
 * until `done` returns. */
const char *nova_http_header(const struct nova_http_answer *answer, const char *name, size_t index);

/* All that is 0 or NULL has a meaning. Only `chunk`, `line`, `done` are called later; all else is
 * copied, the file is opened at once. */
struct nova_http_request {
	const char *method; /* NULL: GET */
	const char *url;    /* https://… */
	/* "Name: value", instead of the client's of that name; NULL-terminated, or NULL */
	const char *const *headers;

	/* --- what is sent --- */
	const char *content_type; /* of the body; NULL: no such header */
	const void *body;         /* NULL: none */
	size_t bytes;
	const char *file; /* its content follows the body, read while it is sent */
	const char *tail; /* follows the file (the end of a multipart body) */

	/* --- how long, how often --- */
	int64_t deadline_ns; /* CLOCK_MONOTONIC, also for all attempts together; 0: in 60 s */
	int64_t idle_ns;     /* no byte for that long: TIMEOUT; whole seconds; 0: no such limit */
	/* It changes nothing there, or nothing more when it comes twice. GET and HEAD are, without
	 * saying so; a SOAP call that reads is. All others are orders: never sent again. */
	int repeatable;
	/* A repeatable request is sent up to so many times while the peer is not reached, or
	 * answers 429, 502, 503 or 504; 0: once. With pauses from back_off_ns (0: 200 ms), doubled
	 * each time up to 5 s, or as Retry-After says. */
	uint32_t attempts;
	int64_t back_off_ns;

	/* --- what comes back --- */
	/* Takes the body of a good answer (2xx) as it comes instead of keeping it: in pieces, or
	 * line by line (without its end; a last line that was cut off by an error never). Return 0
	 * to go on; else the request is over, without `done`. */
	int (*chunk)(void *context, const char *bytes, size_t count);
	int (*line)(void *context, const char *line, size_t length);
	/* Once for each request that was not aborted; may start and abort others. */
	void (*done)(void *context, const struct nova_http_answer *answer);
	void *context;
};

/* Starts it. NULL: out of memory, or the file cannot be opened: then *why (may be NULL) is a clause
 * of static lifetime. */
struct nova_http_flight *nova_http_start(struct nova_http *client,
                                         const struct nova_http_request *request, const char **why);
/* Ends it without calling `done`, at once. NULL is fine. */
void nova_http_abort(struct nova_http_flight *flight);
/* How much of body, file and tail was handed over so far; for NOVA_FIELD_PROGRESS. */
uint64_t nova_http_uploaded(const struct nova_http_flight *flight, uint64_t *total);

/* Waits for the network or nova_http_wake, at most until `until_ns` (CLOCK_MONOTONIC), then handles
 * what there is. Does not wait if something ended before. */
void nova_http_turn(struct nova_http *client, int64_t until_ns);
/* Ends a waiting turn, or the next one if none waits. @thread any */
void nova_http_wake(struct nova_http *client);

/* NOVA_DONE for 2xx, else the NOVA_E_* that the status means where the peer says nothing better. */
int nova_http_code(int status);
/* "AA:BB:…" or "aabb…" as 32 bytes; 0 if it is not a SHA-256. */
int nova_http_parse_pin(const char *text, unsigned char digest[32]);
/* CLOCK_MONOTONIC */
int64_t nova_http_now_ns(void);

#ifdef __cplusplus
}
#endif

#endif
