/* SPDX-License-Identifier: MIT */
/* Shared by the tests of the kvm driver on real QEMU: a host, an observer of heartbeats, VMs. */
#ifndef NOVACORE_TESTS_KVM_LAB_H
#define NOVACORE_TESTS_KVM_LAB_H

#include <novacore/testhost.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

extern const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

struct lab {
	struct nova_testhost *host;
	int observer; /* UDP socket */
	char heartbeat[64];
	char sector[256]; /* path of a boot sector that beats */
};

/* A vm's name, id and the shape it was made from. */
struct machine {
	char name[96], id[64];
	struct nova_ref ref;
};

/*
 * First thing in main: the test goes on in a child, whose parent adopts and reaps the QEMUs that
 * libvirt orphans, as novacore's parent process does. Nobody else may: see libvirt's kill loop.
 */
void lab_fork(void);
/* Skips the whole program (77) with its reason if this machine cannot run the driver. */
void lab_open(struct lab *lab, const char *const *parameters);
void lab_close(struct lab *lab);

/* Fails the test with the driver's own text unless `status` is NOVA_DONE. */
void lab_expect(struct lab *lab, int status, const char *what);

struct nova_shape lab_stub(struct lab *lab);
/* The appliance named by NOVACORE_TEST_APPLIANCE (a directory), else by a readable cache; false:
 * there is none. */
int lab_appliance(struct lab *lab, struct nova_shape *shape);

void lab_create(struct lab *lab, struct machine *machine, const char *name,
                const struct nova_shape *shape);
void lab_power(struct lab *lab, struct machine *machine, uint32_t action);
void lab_delete(struct lab *lab, struct machine *machine);
int64_t lab_state(struct lab *lab, struct machine *machine);
const struct nova_event *lab_wait(struct lab *lab, size_t from, struct machine *machine,
                                  uint32_t kind);
/* Waits for `byte` from any guest, at most `timeout_ms`; its arrival, CLOCK_MONOTONIC ns, or 0. */
int64_t lab_beat(struct lab *lab, char byte, int timeout_ms);

#endif
