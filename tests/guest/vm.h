/* SPDX-License-Identifier: MIT */
/*
 * A VM for these tests: QEMU started directly, its pulse port, its agent and its monitor as
 * sockets.
 */
#ifndef NOVACORE_TEST_GUEST_VM_H
#define NOVACORE_TEST_GUEST_VM_H

#include "core/guest/guest.h"

struct vm {
	char directory[64];
	pid_t pid;
	int pulse, agent, monitor; /* sockets */
	int64_t started_ns;
	struct nova_text pulses; /* what the pulse port has said so far */
};

/*
 * Boots `guest` with `extra` on its kernel command line, on a disk of `size` ("2G"; NULL: as large
 * as the image). The test fails if QEMU does not start.
 */
void vm_start(struct vm *vm, const struct nova_guest *guest, const char *size, const char *extra);
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
/* Asks the agent to power off, which it does without an answer. */
void vm_shutdown(struct vm *vm);
/* Sends a monitor command. */
void vm_monitor(struct vm *vm, const char *command);

#endif
