/* SPDX-License-Identifier: MIT */
/*
 * What the parent and a worker say to each other: SOCK_SEQPACKET, one JSON object of at most 64 KiB
 * a packet. Every packet has "is", its kind; each kind's fields are in one table and are checked on
 * arrival, so that nobody who handles a packet checks again. Internal to core/run.
 */
#ifndef NOVACORE_RUN_WIRE_H
#define NOVACORE_RUN_WIRE_H

#include "core/base/base.h"

#define NOVA_WIRE_LIMIT 65536

/* The descriptor on which a worker finds its parent. */
#define NOVA_WIRE_FD 3
/* And, if calls are traced, the file. */
#define NOVA_TRACE_FD 4

/* Checks one packet. NOVA_E_PROTOCOL names what is wrong. `*packet` is the caller's. */
int nova_wire_parse(const char *bytes, size_t count, json_t **packet, struct nova_error *error);
/* Sends and consumes `packet`. NOVA_E_IO when the other side is gone, NOVA_E_BUSY if it does not
 * read. */
int nova_wire_send(int fd, json_t *packet, struct nova_error *error);
/* One packet. NOVA_E_NOT_FOUND: the other side has closed. NOVA_E_PROTOCOL. Blocks. */
int nova_wire_receive(int fd, json_t **packet, struct nova_error *error);

/* Fields of a checked packet. */
const char *nova_wire_is(const json_t *packet);
int64_t nova_wire_i64(const json_t *packet, const char *field); /* 0 if absent */
double nova_wire_f64(const json_t *packet, const char *field);
const char *nova_wire_text(const json_t *packet, const char *field); /* NULL if absent */

#endif
