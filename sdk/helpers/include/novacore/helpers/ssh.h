/* SPDX-License-Identifier: MIT */
/*
 * Programs in VMs by SSH, over libssh, for drivers whose hypervisor cannot run any: an op's last
 *steps, instead of a request. One connection a program; nothing blocks; deadlines and cancellation
 *are those of the call, and what runs in the VM then is killed there.
 *
 *	static void release(struct nova_call *base)
 *	{
 *		nova_ssh_free(((struct call *)base)->program);
 *	}
 *
 *	static int exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec
 **exec)
 *	{
 *		…
 *		call->program = nova_ssh_program(driver->ssh, vm->id, exec);
 *		…ask for the VM's address, and in the step that has it:
 *		nova_ssh_run(call->program, &call->base, address);
 *	}
 *
 * The user is let in by a key, never by a password. A VM's host key is believed at the first
 *connection and held from then on, as long as the instance lives: a VM is made in the run that
 *enters it, and nobody could know its key before. Programs are started by the VM's shell, which
 *must be POSIX's.
 *
 * `NovacoreSDK::ssh`, which brings the rest of the helpers with it. Part of the helpers: linked
 *into the plugin, not ABI. @thread as call.h
 */
#ifndef NOVACORE_HELPERS_SSH_H
#define NOVACORE_HELPERS_SSH_H

#include <novacore/helpers/call.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nova_ssh;         /* of one instance: who we are, and the host keys that are held */
struct nova_ssh_program; /* one program, on its way or running */

/* All that is 0 or NULL has a meaning; all is copied. */
struct nova_ssh_settings {
	const struct nova_host *host; /* required */
	const char *user;             /* NULL: "root" */
	/* Required: the private key, unencrypted, readable by its owner alone. Read at once; its
	 * text is in no error. */
	const char *key_file;
	uint32_t port;       /* 0: 22 */
	int64_t patience_ns; /* how long a server that is not there, or not yet, is asked again,
	                        within the call's deadline; 0: 60 s */
};

/* NOVA_DONE and *ssh, or NOVA_E_* (NOT_FOUND, PERMISSION, INVALID, MEMORY) and *why, a clause of
 * static lifetime about the key. */
int nova_ssh_open(const struct nova_ssh_settings *settings, struct nova_ssh **ssh,
                  const char **why);
/* After the calls were closed. NULL is fine. */
void nova_ssh_close(struct nova_ssh *ssh);
/* The VM is gone, or was set back to before it had a host key: its key is no longer held. */
void nova_ssh_forget(struct nova_ssh *ssh, const char *vm);

/* A copy of what is to be run; `vm` is any name that the VM keeps. NULL: out of memory, or no
 * program, or "NAME=value" that no shell could set. */
struct nova_ssh_program *nova_ssh_program(struct nova_ssh *ssh, const char *vm,
                                          const struct nova_exec *exec);
/* The same for exec_kill. */
struct nova_ssh_program *nova_ssh_killer(struct nova_ssh *ssh, const char *vm, int64_t pid);
/*
 * In an op or a step, instead of sending or ending: runs it at an IP address, puts GUEST_PID,
 * STDOUT, STDERR, EXIT_STATUS or SIGNAL, and ends the call. Once for each program. The call's
 * errors: UNAVAILABLE (no server), PERMISSION (key refused, or another host key), PROTOCOL,
 * TIMEOUT, CANCELLED.
 */
void nova_ssh_run(struct nova_ssh_program *program, struct nova_call *call, const char *address);
/* In the driver's `release`: ends what still runs. NULL is fine. */
void nova_ssh_free(struct nova_ssh_program *program);

#ifdef __cplusplus
}
#endif

#endif
