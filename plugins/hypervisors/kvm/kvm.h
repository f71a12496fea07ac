/* SPDX-License-Identifier: MIT */
/*
 * Inside of the kvm driver: one target's state, and what its files offer one another. Everything
 * that libvirt calls a domain is a VM outside of this folder.
 */
#ifndef NOVACORE_KVM_H
#define NOVACORE_KVM_H

#include <novacore/sdk.h>

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KVM_PREFIX     "novacore-" /* of every VM that this driver will touch */
#define KVM_AGENT      "org.qemu.guest_agent.0"
#define KVM_SECOND     INT64_C(1000000000)
#define KVM_MS         INT64_C(1000000)
#define KVM_NAME_BYTES 128
/* Of the parameter `uri`, beside libvirt's own */
#define KVM_URI_EMBED  "embed"
#define KVM_URI_DAEMON "daemon"
#define KVM_URI_TWIN   "twin"

/* What the driver remembers of a VM between events; watch.c owns it. */
struct kvm_track {
	struct kvm_track *next;
	char name[KVM_NAME_BYTES];
	bool running, paused, shutdown, agent;
	bool arriving;     /* by a migration: its first RESUME is the end of that */
	uint64_t stops;    /* how often it has stopped: waiters compare */
	uint64_t channel;  /* changes of the agent's connection */
	int64_t opened_ns; /* QEMU's stamp of the agent opening its port, 0 if none */
	int64_t opened_bracket_ns;
	int exit_watch;  /* libvirt's number of the handle on the process, -1 if none */
	int64_t exit_ns; /* when the process ended, 0 if not seen */
};

struct kvm_net {
	struct kvm_net *next;
	char name[KVM_NAME_BYTES];
	uint32_t kind, members;
	bool bridged; /* or sockets, with these ports */
	uint16_t ports[2];
};

struct kvm {
	const struct nova_host *host;
	nova_op instance;
	bool embedded, local, privileged;
	bool daemon, twin; /* a libvirt daemon of our own; the second one */
	int daemon_lock;   /* -1: not held */
	char *uri;         /* what libvirt opens */
	char *root;        /* embedded, daemon: libvirt's own directory */
	char *alias;       /* a short link to it, for libvirt's sockets */
	char *run;         /* overlays and consoles */
	char *images;
	char *emulator; /* NULL: libvirt's choice */
	uid_t qemu_uid; /* as root: whose QEMU will be */
	gid_t qemu_gid;
	virConnectPtr connection;
	int monitor_callback, life_callback, agent_callback; /* -1: none */
	bool accelerated;                                    /* KVM, not TCG */
	char *accel_why;
	bool bridged; /* what isolated networks are made of; else sockets */
	char *network_why;
	bool woken; /* under the pump's lock */

	pthread_mutex_t lock; /* of what follows; never held over a call of libvirt */
	pthread_cond_t changed;
	struct kvm_track *tracks;
	struct kvm_net *nets;
	uint64_t counter;
	struct kvm_moving *moving; /* migrations in flight */
};

/* text.c */
char *kvm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *kvm_base64(const void *bytes, size_t count);
/* NULL: not base64. The result is NUL-terminated beyond *count. */
void *kvm_unbase64(const char *text, size_t *count);
int kvm_sleep_until(int64_t when_ns);
/* FNV-1a, mixed: texts that differ in their last character alone differ in every byte. */
uint64_t kvm_hash(const char *text, uint64_t seed);
void kvm_mac(const char *name, size_t index, unsigned char mac[6]);

/* virt.c: libvirt's errors as ours, and looking a VM up */
int kvm_fail(struct kvm *self, nova_op op, const char *what, const char *name);
int kvm_fail_with(struct kvm *self, nova_op op, virErrorPtr kept, const char *what,
                  const char *name);
int kvm_lookup(struct kvm *self, nova_op op, const struct nova_ref *ref, virDomainPtr *domain);
int kvm_check_name(struct kvm *self, nova_op op, const char *name);
int kvm_left_s(struct kvm *self, nova_op op, int most); /* whole seconds to the deadline, ≥ 1 */
const char *kvm_text(struct kvm *self, const char *name, const char *fallback);
int64_t kvm_number(struct kvm *self, const char *name, int64_t fallback);
pid_t kvm_pid(struct kvm *self, const char *name); /* 0: unknown */

/* loop.c: libvirt's event loop, one for the process */
int kvm_loop_register(const char *state); /* also silences libvirt: its lines go to a file there */
int kvm_pump(void *instance, int64_t until_ns);
int kvm_wake(void *instance);

/* connect.c */
extern const char kvm_settings[]; /* qemu.conf */
int kvm_probe(const struct nova_host *host, nova_op op);
int kvm_connect(void *instance, nova_op op);
void kvm_disconnect(struct kvm *self);

/* daemon.c: a libvirt daemon of our own, in `root` */
int kvm_daemon_start(struct kvm *self, nova_op op);
void kvm_daemon_stop(struct kvm *self);
const char *kvm_no_twin(struct kvm *self); /* why it has none, or NULL */
int kvm_twin(void *instance, nova_op op);

/* access.c: what QEMU's own user may reach */
int kvm_access_user(struct kvm *self, nova_op op);
int kvm_access_path(struct kvm *self, nova_op op, const char *path);
bool kvm_access_device(struct kvm *self); /* may QEMU's user open /dev/kvm? */
int kvm_access_give(struct kvm *self, nova_op op, const char *file);

/* trial.c: does KVM run a kernel here? */
int kvm_accelerator(struct kvm *self, nova_op op);
/* Writes an emulator that hides KVM from libvirt; see there why. */
int kvm_hide_kvm(struct kvm *self, nova_op op);

/* describe.c */
int kvm_describe(void *instance, nova_op op);

/* watch.c: events */
int kvm_watch_start(struct kvm *self, nova_op op);
void kvm_watch_stop(struct kvm *self);
void kvm_watch_forget(struct kvm *self, const char *name);
void kvm_watch_process(struct kvm *self, const char *name);      /* after a start */
struct kvm_track *kvm_track(struct kvm *self, const char *name); /* under the lock */
void kvm_stamp(int64_t realtime_ns, int64_t *monotonic_ns, int64_t *bracket_ns);
int64_t kvm_convert(int64_t stamp_ns, int64_t before_ns, int64_t realtime_ns, int64_t after_ns,
                    int64_t *bracket_ns);

/* vm.c */
int kvm_vm_create(void *instance, nova_op op, const char *name, const struct nova_shape *shape);
int kvm_vm_clone(void *instance, nova_op op, const char *name, const struct nova_ref *from,
                 const struct nova_shape *shape);
int kvm_vm_delete(void *instance, nova_op op, const struct nova_ref *ref);
int kvm_vm_list(void *instance, nova_op op, const char *prefix);

/* place.c: NULL: the run's own directory. The disk's path, free(); it is not made yet. */
int kvm_place_disk(struct kvm *self, nova_op op, const char *name, const char *place, char **disk);
/* After its disk was deleted, or to delete it where nothing else knows of it. */
void kvm_place_forget(struct kvm *self, const char *name);

/* disk.c */
struct kvm_spec;
int kvm_disk_overlay(struct kvm *self, nova_op op, const char *overlay, const char *backing,
                     const char *format, uint64_t bytes);
const char *kvm_disk_format(const char *path); /* "qcow2", "raw"; NULL: unreadable, errno */
int kvm_disk_copy(struct kvm *self, nova_op op, const char *from, const char *to);
int kvm_image_put(void *instance, nova_op op, const char *name, const char *path);
int kvm_image_delete(void *instance, nova_op op, const char *name);

/* power.c */
int kvm_vm_power(void *instance, nova_op op, const struct nova_ref *ref, uint32_t action);

/* agent.c, exec.c */
int kvm_agent(struct kvm *self, nova_op op, virDomainPtr domain, json_t *command,
              json_t **answer); /* takes `command` */
int kvm_exec(void *instance, nova_op op, const struct nova_ref *ref, const struct nova_exec *exec);
int kvm_exec_kill(void *instance, nova_op op, const struct nova_ref *ref, int64_t pid);

/* snapshot.c */
int kvm_snapshot(void *instance, nova_op op, const struct nova_ref *ref, const char *name,
                 uint32_t action);

/* query.c */
int kvm_vm_query(void *instance, nova_op op, const struct nova_ref *ref, uint32_t what);

/* net.c */
int kvm_net_create(void *instance, nova_op op, const char *name, uint32_t kind);
int kvm_net_delete(void *instance, nova_op op, const char *name);
int kvm_net_join(struct kvm *self, nova_op op, const char *name, struct kvm_net *copy);

/* migrate.c */
int kvm_migrate_prepare(void *instance, nova_op op, const struct nova_ref *ref,
                        const struct nova_shape *shape);
int kvm_migrate(void *instance, nova_op op, const struct nova_ref *ref,
                const struct nova_migrate *how);
int kvm_migrate_finish(void *instance, nova_op op, const struct nova_ref *ref, const char *ticket,
                       int32_t outcome);
/* Stops the op's migration, if it is one: the VM goes on where it was. */
void kvm_migrate_cancel(struct kvm *self, nova_op op);
/* Why VMs cannot arrive by post-copy, or NULL. */
const char *kvm_no_post_copy(struct kvm *self);

/* knobs.c */
int kvm_knob_list(void *instance, nova_op op, const struct nova_ref *ref);
int kvm_knob_get(void *instance, nova_op op, const struct nova_ref *ref, const char *knob);
int kvm_knob_set(void *instance, nova_op op, const struct nova_ref *ref, const char *knob,
                 const char *value);

#endif
