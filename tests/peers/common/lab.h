/* SPDX-License-Identifier: MIT */
/* A driver in the test host, against the peer of peer.h. Failures end the test. */
#ifndef TESTS_PEERS_LAB_H
#define TESTS_PEERS_LAB_H

#include <novacore/testhost.h>

#define LONG_MS 20000

/* What must stand in no error. */
extern const char *lab_secret;

/* An instance with `uri` and these parameters, NULL-terminated; not started yet. */
struct nova_testhost *lab_open(const char *uri, const char *const *parameters);
/* The same, started and connected. */
struct nova_testhost *lab_connect(const char *uri, const char *const *parameters);
/* Also fails if the driver broke the contract. */
void lab_close(struct nova_testhost *host);

void lab_expect(struct nova_testhost *host, int got, int wanted);
/* That stands in the last op's error, and the secret does not. */
void lab_said(struct nova_testhost *host, const char *part);

struct lab_vm {
	char name[64], id[96];
	struct nova_ref ref;
};

/* With the id that the last op put. */
void lab_use(struct nova_testhost *host, struct lab_vm *vm, const char *name);
void lab_create(struct nova_testhost *host, struct lab_vm *vm, const char *name,
                const struct nova_shape *shape);
void lab_power(struct nova_testhost *host, const struct lab_vm *vm, uint32_t action);
void lab_delete(struct nova_testhost *host, const struct lab_vm *vm);
int64_t lab_state(struct nova_testhost *host, const struct lab_vm *vm);

#endif
