/* SPDX-License-Identifier: MIT */
/*
 * A TLS server on 127.0.0.1, in threads of the test, whose paths say how it misbehaves, with
 * certificates made at run time; and a proxy that tunnels. What goes wrong in here ends the test.
 *
 *	/echo              200, the body that was sent
 *	/status/N          that status
 *	/flaky/NAME/N      503 for the first N of that name
 *	/busy/NAME         429 with Retry-After: 1, once
 *	/redirect          302 to another host
 *	/cookies           two cookies
 *	/reflect           500, what the client sent, everywhere
 *	/big/N             N bytes
 *	/many-headers      headers without end
 *	/never             no answer
 *	/drop              the connection ends, no answer
 *	/drop-once/NAME    the same once for that name
 *	/truncated         a part of the body
 *	/garbage           no HTTP
 *	/ntlm              asks for NTLM
 *	/lines             a stream: lines in odd pieces
 *	/stall             a stream: a line, then nothing
 *	/cut-lines         a stream that breaks within a line
 *	/start/WHAT        JSON: the task WHAT
 *	/slow-start/WHAT   the same, later
 *	/tasks/NAME/N      JSON: running N times, then stopped
 *	/shaky/NAME/N      the same, but every other time 503
 *	/lost/NAME/N       no answer N times, then stopped
 *	/failing           a task that failed
 *	/session/login     JSON: a new session's id
 *	/session/end       ends it
 *	/session/WHAT      401 without its cookie; WHAT = slow: it takes a while
 *	/rpc               refused in a 200 unless the body has the id
 *	anything else      404
 */
#ifndef TESTS_HELPERS_SERVER_H
#define TESTS_HELPERS_SERVER_H

#include <stddef.h>

/* A directory with PEM files, removed by certificates_remove: ca, other-ca; good (127.0.0.1 and
 * localhost), wrong-name, expired, client; each as NAME.pem and NAME-key.pem. */
void certificates_make(void);
void certificates_remove(void);
const char *certificates_file(const char *name);
/* SHA-256 of NAME.pem, as openssl writes it. */
const char *certificates_pin(const char *name);

struct server;

/* Presents NAME.pem; `client_ca` NULL, or the authority of the clients that it lets in. */
struct server *server_start(const char *name, const char *client_ca);
void server_stop(struct server *server);
int server_port(const struct server *server);
/* "https://127.0.0.1:PORT/path"; one of four static buffers. */
const char *server_url(const struct server *server, const char *path);
/* How many requests began with that, "GET /echo". */
int server_count(struct server *server, const char *start);
/* Waits until there are so many of them; 0: not within ten seconds. */
int server_wait(struct server *server, const char *start, int count);
/* Of the last request: header lines, and body; the caller frees them. */
char *server_headers(struct server *server);
char *server_body(struct server *server, size_t *bytes);
int server_connections(struct server *server);

struct proxy;

/* `user` NULL, or "user:password", without which it answers 407. */
struct proxy *proxy_start(const char *user);
void proxy_stop(struct proxy *proxy);
int proxy_port(const struct proxy *proxy);
int proxy_tunnels(struct proxy *proxy);

#endif
