/* SPDX-License-Identifier: MIT */
/* A driver in the test host, against the peer of peer.h. Failures end the test. */
#ifndef TESTS_PEERS_LAB_H
#define TESTS_PEERS_LAB_H

#include <novacore/testhost.h>

#define LONG_MS 60000 /* for a machine that has much else to do */

/* The driver under test. */
const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

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

void lab_know(struct lab_vm *vm, const char *name, const char *id);
/* With the id that the last op put. */
void lab_use(struct nova_testhost *host, struct lab_vm *vm, const char *name);
void lab_create(struct nova_testhost *host, struct lab_vm *vm, const char *name,
                const struct nova_shape *shape);
void lab_power(struct nova_testhost *host, const struct lab_vm *vm, uint32_t action);
void lab_delete(struct nova_testhost *host, const struct lab_vm *vm);
/* The program's end; its output is in the last op's results. */
int lab_run(struct nova_testhost *host, const struct lab_vm *vm, const char *const *argv,
            int64_t timeout_ms);
int64_t lab_state(struct nova_testhost *host, const struct lab_vm *vm);
/* That the VM's knob is that. */
void lab_knob(struct nova_testhost *host, const struct lab_vm *vm, const char *knob,
              const char *wanted);
int lab_set_knob(struct nova_testhost *host, const struct lab_vm *vm, const char *knob,
                 const char *value);

/* An SSH server of this machine (tests/peers/common/sshd.sh), to play a guest's, and the parameters
 * by which a driver enters it. */
struct lab_sshd {
	char place[32], key[64], user[64], port[32];
	int alive;
};

/* 0: there is none here, which was printed. */
int lab_sshd_start(struct lab_sshd *sshd);
void lab_sshd_stop(struct lab_sshd *sshd);
/* What every driver owes that runs programs by SSH: `vm` is off and has the server's address once
 * it runs, and is deleted in the end. */
void lab_sshd_try(struct nova_testhost *host, const struct lab_vm *vm);

#endif
