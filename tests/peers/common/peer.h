/* SPDX-License-Identifier: MIT */
/*
 * Starts a peer and speaks to its control port; which one, PEER_SOURCE (a directory of tests/peers,
 * with prepare.sh and start.sh) and PEER_DIRECTORY (what was prepared) say when this is compiled.
 * Failures end the test.
 */
#ifndef TESTS_PEERS_PEER_H
#define TESTS_PEERS_PEER_H

#include <jansson.h>

/* Exits with 77 and the reason where the peer cannot be had. `argument` of prepare.sh and start.sh,
 * one word, or NULL. */
void peer_start(const char *argument);
void peer_stop(void);
/* "https://127.0.0.1:PORT" */
const char *peer_uri(void);
/* A file of the peer's directory: "cert.pem", "other.pem". */
const char *peer_file(const char *name);
/* SHA-256 fingerprint of its certificate. */
const char *peer_fingerprint(void);

/* POST of a JSON text, written with ' for "; what it may wish the peer says. */
void peer_tell(const char *path, const char *json);
/* GET; the caller owns it. */
json_t *peer_ask(const char *path);
/* The first of an array, or NULL; the caller owns it. */
json_t *peer_first(const char *path);

#endif
