/* SPDX-License-Identifier: MIT */
/* What the programs that use libvirt without novacore share: the calls that the kvm driver makes
 * for a VM, on the same definition. Any failure ends the program. */
#ifndef NOVACORE_BENCH_RAW_H
#define NOVACORE_BENCH_RAW_H

#include <libvirt/libvirt.h>
#include <stdint.h>

int64_t raw_now(void);
void raw_need(int holds, const char *what);
/*
 * libvirt orphans its QEMUs and polls one that it kills until somebody has reaped it. As in
 * novacore, that is the process above the one that uses libvirt.
 */
void raw_fork_below_reaper(void);
char *raw_read_template(const char *path);
/* An embedded libvirt in `root`, its event loop on a thread. */
virConnectPtr raw_open(const char *root);

struct raw_vm {
	char name[64], disk[512], console[512];
	int beats; /* the socket that its guest writes to */
	virDomainPtr domain;
};
/* The socket, the files and the definition; `number` is in its name. `*begun_ns` (may be NULL):
 * when the socket was there, as novacore's create call begins. */
void raw_define(struct raw_vm *vm, virConnectPtr connection, const char *folder,
                const char *template, const char *image, int number, int64_t *begun_ns);
void raw_start(struct raw_vm *vm);
/* The guest's first byte. */
void raw_hear(struct raw_vm *vm);
void raw_off(struct raw_vm *vm);
/* Undefines it and removes its files. */
void raw_delete(struct raw_vm *vm);
void raw_close(struct raw_vm *vm);

#endif
