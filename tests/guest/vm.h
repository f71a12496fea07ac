/* SPDX-License-Identifier: MIT */
/*
 * A VM for these tests: QEMU started directly, its pulse port, its agent and its monitor as
 * sockets.
 */
#ifndef NOVACORE_TEST_GUEST_VM_H
#define NOVACORE_TEST_GUEST_VM_H

#include "core/guest/guest.h"

/* A VM that boots from a disk by itself. */
struct vm_kind {
	const char *image, *format; /* as qemu-img calls it */
	const char *machine;        /* "q35", "pc" */
	const char *firmware;       /* a UEFI firmware, or NULL for BIOS */
	const char *const
	        *devices; /* for the drive "disk" and the network "net"; NULL-terminated */
	const char *oem;  /* "value=STRING[,value=STRING]" of SMBIOS, or NULL */
	bool agent;       /* has a port for the agent */
};

struct vm {
	char directory[64];
	pid_t pid;
	int pulse, agent, monitor; /* sockets */
	unsigned ssh;              /* port on 127.0.0.1 that leads to the VM's 22 */
	int64_t started_ns;
	struct nova_text pulses; /* what the pulse port has said so far */
};

/*
 * Boots `guest` with `extra` on its kernel command line, on a disk of `size` ("2G"; NULL: as large
 * as the image). The test fails if QEMU does not start.
 */
void vm_start(struct vm *vm, const struct nova_guest *guest, const char *size, const char *extra);
/* Boots a disk of one's own, on an overlay. */
void vm_start_disk(struct vm *vm, const struct vm_kind *kind);
/* Ends QEMU, if it runs, and removes its files. */
void vm_end(struct vm *vm);
/* Waits until `byte` has come over the pulse port; seconds since the start. */
double vm_pulse(struct vm *vm, char byte);
/* Waits until QEMU has ended by itself; its exit status. */
int vm_wait(struct vm *vm);
/* Calls the agent; its "return", for the caller to free, or NULL for an error or silence. */
json_t *vm_agent(struct vm *vm, const char *command, json_t *arguments);
/* Asks again until the agent answers; seconds since the start. */
double vm_agent_ready(struct vm *vm);
/* Runs a program in the guest: what it wrote to stdout, heap; *status is its exit status. */
char *vm_exec(struct vm *vm, const char *const *argv, int *status);
/* As vm_exec, by SSH with the private key in `key`, once the server is there. */
char *vm_ssh(struct vm *vm, const char *key, const char *command, int *status);
/* Asks the agent to power off, which it does without an answer. */
void vm_shutdown(struct vm *vm);
/* Sends a monitor command. */
void vm_monitor(struct vm *vm, const char *command);

#endif
