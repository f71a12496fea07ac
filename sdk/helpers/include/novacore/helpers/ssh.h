/* SPDX-License-Identifier: MIT */
/*
 * Programs in VMs by SSH, over libssh, for drivers whose hypervisor cannot run any: an op's last
 * steps, instead of a request. One connection a program; nothing blocks; deadlines and cancellation
 * are those of the call, and what runs in the VM then is killed there.
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
 * connection and held from then on, as long as the instance lives: a VM is made in the run that
 * enters it, and nobody could know its key before. Programs are started by the VM's shell, which
 * must be POSIX's.
 *
 * `NovacoreSDK::ssh`, which brings the rest of the helpers with it. Part of the helpers: linked
 * into the plugin, not ABI. @thread as call.h
 */
#ifndef NOVACORE_HELPERS_SSH_H
#define NOVACORE_HELPERS_SSH_H

#include <novacore/helpers/call.h>
#include <novacore/plugin.h>

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
/*
 * The same as the parameters `ssh_key`, `ssh_user` and `ssh_port` of an instance say, which go into
 * its plugin's table by this macro; without a key *ssh is NULL. NOVA_DONE, or NOVA_E_* after
 * host->error(instance, …).
 */
#define NOVA_SSH_PARAMETERS                                                                        \
	&nova_ssh_parameters[0], &nova_ssh_parameters[1], &nova_ssh_parameters[2]
extern const struct nova_parameter nova_ssh_parameters[3];
int nova_ssh_configure(const struct nova_host *host, nova_op instance, struct nova_ssh **ssh);
/* After the calls were closed. NULL is fine. */
void nova_ssh_close(struct nova_ssh *ssh);
/* The VM is gone, or was set back to before it had a host key: its key is no longer held.
 * NULL is fine. */
void nova_ssh_forget(struct nova_ssh *ssh, const char *vm);

/* The public half of the key as a line of authorized_keys, for VMs that can be told it: it is none
 * of the secrets. 0: it does not fit. */
int nova_ssh_public_key(const struct nova_ssh *ssh, char *line, size_t room);

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
/*
 * All of `exec`, or with `exec` NULL of `exec_kill`, for a driver that must ask for the address
 * first. In the op, instead of sending: calls `find`, which asks, and whose last step says
 * nova_ssh_at. A VM that has none yet ("" or NULL) is asked for it again, by `find` and so from the
 * start, as long as the call may take. The program is the driver's, for its `release`; NULL: the
 * call has ended.
 */
struct nova_ssh_program *nova_ssh_exec(struct nova_ssh *ssh, struct nova_call *call, const char *vm,
                                       const struct nova_exec *exec, int64_t pid,
                                       void (*find)(struct nova_call *call));
void nova_ssh_at(struct nova_call *call, const char *address);
/* Of several addresses that one: `best` ("" at first) becomes `address` if that is the better one.
 * IPv4 goes before IPv6; link-local ones lead nowhere from here. */
#define NOVA_SSH_ADDRESS_ROOM 64u
void nova_ssh_consider(char best[NOVA_SSH_ADDRESS_ROOM], const char *address);
/* In the driver's `release`: ends what still runs. NULL is fine. */
void nova_ssh_free(struct nova_ssh_program *program);

#ifdef __cplusplus
}
#endif

#endif
