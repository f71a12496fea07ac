/* SPDX-License-Identifier: MIT */
/* Starts the peer of tests/peers/kubevirt and speaks to its control port. Failures end the test. */
#ifndef TESTS_KUBEVIRT_PEER_H
#define TESTS_KUBEVIRT_PEER_H

#include <jansson.h>

/* Exits with 77 and the reason where the peer cannot be had. */
void peer_start(void);
void peer_stop(void);
/* "https://127.0.0.1:PORT" */
const char *peer_uri(void);
/* A file of the peer's directory: "cert.pem", "other.pem". */
const char *peer_file(const char *name);
/* SHA-256 fingerprint of its certificate. */
const char *peer_fingerprint(void);

/* POST of a JSON text, written with ' for "; the peer's wishes are in server.js. */
void peer_tell(const char *path, const char *json);
/* GET; the caller owns it. */
json_t *peer_ask(const char *path);
/* An object of the namespace, or NULL; the caller owns it. */
json_t *peer_object(const char *plural, const char *name);

#endif
