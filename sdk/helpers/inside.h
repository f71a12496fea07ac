/* SPDX-License-Identifier: MIT */
/* What http.c and flight.c share: a client, and a request under way. */
#ifndef NOVACORE_HELPERS_INSIDE_H
#define NOVACORE_HELPERS_INSIDE_H

#include <novacore/helpers/http.h>
#include <novacore/helpers/text.h>

#include <curl/curl.h>

#define SECOND_NS 1000000000LL

struct nova_http {
	CURLM *multi;
	struct curl_slist *headers;
	struct nova_http_flight *flights;
	struct nova_http_flight *delivering; /* NULL again once it was aborted */
	struct nova_secrets *secrets;        /* borrowed */
	char *ca_file, *ca_text;
	char *certificate_file, *certificate_text, *key_file, *key_text;
	char *user, *password, *proxy;
	uint32_t auth;
	int insecure, pinned;
	unsigned char pin[32], seen[32]; /* the last that was not it */
	size_t answer_bytes;
	int64_t connect_timeout_ns;
	uint32_t chance; /* for pauses */
};

struct nova_http_flight {
	struct nova_http *client;
	struct nova_http_flight *next;
	CURL *easy;
	int in_multi, in_done, ended, parked;
	int (*chunk)(void *context, const char *bytes, size_t count);
	int (*line)(void *context, const char *line, size_t length);
	void (*done)(void *context, const struct nova_http_answer *answer);
	void *context;

	/* what is sent */
	struct curl_slist *own;     /* the request's headers */
	struct curl_slist *headers; /* and the client's as they were at this attempt */
	struct nova_text body;      /* the part before the file */
	struct nova_text tail;
	int posts; /* the body goes as one text */
	int file;  /* -1: none */
	uint64_t file_bytes, offset;
	int repeatable;
	int64_t deadline_ns;

	/* attempts */
	uint32_t attempts, attempt;
	int64_t pause_ns, due_ns; /* due: of the next attempt; 0: none */

	/* what comes back, in this attempt */
	int status;
	char reason[256];
	size_t header_bytes;
	struct nova_text answer;  /* what is kept */
	struct nova_text pending; /* what a callback will get */
	int arrived;              /* there is something new in it */
	int streamed;             /* a callback has had something: there is no other attempt */
	char error[CURL_ERROR_SIZE];
	int too_long, io_failed;
	uint32_t sends;
	int64_t sent_ns; /* the last time */
	int resent;      /* libcurl was about to send an order again */
};

/* --- http.c ----------------------------------------------------------------------------------- */

/* nova_http_turn that also ends when one of `fds` is ready. */
void nova_helper_turn(struct nova_http *client, struct curl_waitfd *fds, unsigned count,
                      int64_t until_ns);
void nova_helper_set_trust(struct nova_http *client, CURL *easy);
int nova_helper_is_header(const char *line);
/* Of two lines "Name: value". */
int nova_helper_same_header(const char *line, const char *other);
/* 0: out of memory. */
int nova_helper_add_header(struct curl_slist **headers, const char *line);
void nova_helper_wipe_headers(struct curl_slist *headers);

/* --- flight.c --------------------------------------------------------------------------------- */

/* Begins the next attempt. */
void nova_helper_launch(struct nova_http_flight *flight);
enum delivery {
	DELIVERED_NOTHING, /* no callback ran */
	DELIVERED,         /* one did: any other request may be gone */
	DELIVERED_AND_GONE /* and this one is */
};

/* Gives the callback what has arrived; `all`: also what is no whole line. */
enum delivery nova_helper_deliver(struct nova_http_flight *flight, int all);
/* libcurl is through with it. 1: it has ended; 0: it will be tried again. */
int nova_helper_finish(struct nova_http_flight *flight, CURLcode code);

/* In `done`: keeps the request to be sent once more by nova_helper_unpark (or aborted). */
struct nova_http_flight *nova_helper_park(const struct nova_http_answer *answer);
/* Its body may be changed while it is parked. */
struct nova_text *nova_helper_body(struct nova_http_flight *flight);
void nova_helper_unpark(struct nova_http_flight *flight);

#endif
