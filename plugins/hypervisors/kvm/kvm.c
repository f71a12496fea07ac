/* SPDX-License-Identifier: MIT */
/* The kvm driver's descriptor: its parameters, its ops, and one target's life. */
#include "kvm.h"

#include <stdlib.h>

#define PARAMETER(...)                                                                             \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), __VA_ARGS__                          \
	}

static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const machines[] = {"pc", "q35", NULL};
static const char *const caches[] = {"default",    "none",   "writeback", "writethrough",
                                     "directsync", "unsafe", NULL};
static const char *const ios[] = {"default", "threads", "native", "io_uring", NULL};
static const char *const buses[] = {"virtio", "sata", "ide", "scsi", NULL};
static const char *const discards[] = {"default", "unmap", "ignore", NULL};
static const char *const pages[] = {"off", "default", "2MiB", "1GiB", NULL};
static const char *const switches[] = {"on", "off", NULL};
static const char *const transports[] = {"auto", "socket", "bridge", NULL};

static const struct nova_parameter
        uri = PARAMETER(.type = NOVA_PARAM_TEXT, .name = "uri", .fallback = "embed",
                        .doc = "libvirt URI; or embed: libvirt's QEMU driver inside this process; "
                               "daemon: a libvirt daemon of novacore's own, twin: a second one"),
        pair_uri =
                PARAMETER(.type = NOVA_PARAM_TEXT, .name = "pair_uri", .fallback = KVM_URI_DAEMON,
                          .doc = "the uri with --pair local, where none is configured"),
        accel = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "accel", .fallback = "auto",
                          .choices = accels,
                          .doc = "KVM, emulation (tcg), or auto: KVM if it boots a kernel here"),
        trial_kernel = PARAMETER(.type = NOVA_PARAM_PATH, .name = "trial_kernel",
                                 .doc = "kernel that accel=auto boots to try KVM; default: the "
                                        "newest readable /boot/vmlinuz*"),
        trial_timeout = PARAMETER(.type = NOVA_PARAM_DURATION, .name = "trial_timeout",
                                  .fallback = "10s", .minimum = "1s", .maximum = "300s",
                                  .doc = "how long that kernel may take to reach user space"),
        machine = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "machine", .fallback = "q35",
                            .choices = machines, .doc = "QEMU machine type"),
        emulator = PARAMETER(.type = NOVA_PARAM_PATH, .name = "emulator",
                             .doc = "QEMU binary; default: the one that libvirt finds"),
        cpu = PARAMETER(.type = NOVA_PARAM_TEXT, .name = "cpu", .fallback = "auto",
                        .doc = "vm.cpu.mode of each VM; auto: host-passthrough under KVM, "
                               "maximum under TCG"),
        pin = PARAMETER(.type = NOVA_PARAM_TEXT, .name = "pin", .fallback = "none",
                        .doc = "vm.cpu.pin of each VM: host CPUs of vCPU 0:1:… or none"),
        disk_bus = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "disk_bus", .fallback = "virtio",
                             .choices = buses, .doc = "vm.disk.bus of each VM"),
        disk_cache = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "disk_cache", .fallback = "none",
                               .choices = caches, .doc = "vm.disk.cache of each VM"),
        disk_io = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "disk_io", .fallback = "default",
                            .choices = ios, .doc = "vm.disk.io of each VM"),
        disk_discard =
                PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "disk_discard", .fallback = "default",
                          .choices = discards, .doc = "vm.disk.discard of each VM"),
        disk_queues = PARAMETER(.type = NOVA_PARAM_INTEGER, .name = "disk_queues", .fallback = "0",
                                .minimum = "0", .maximum = "64",
                                .doc = "vm.disk.queues of each VM; 0: QEMU's default"),
        iothreads =
                PARAMETER(.type = NOVA_PARAM_INTEGER, .name = "iothreads", .fallback = "0",
                          .minimum = "0", .maximum = "64", .doc = "vm.disk.iothreads of each VM"),
        net_queues = PARAMETER(.type = NOVA_PARAM_INTEGER, .name = "net_queues", .fallback = "0",
                               .minimum = "0", .maximum = "64",
                               .doc = "vm.net.queues of each VM; 0: QEMU's default"),
        network = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "network", .fallback = "auto",
                            .choices = transports,
                            .doc = "isolated networks are sockets between two QEMUs, bridges of "
                                   "this host, or auto: bridges if packets pass over them"),
        hugepages = PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "hugepages", .fallback = "off",
                              .choices = pages, .doc = "vm.memory.hugepages of each VM"),
        memory_locked =
                PARAMETER(.type = NOVA_PARAM_CHOICE, .name = "memory_locked", .fallback = "off",
                          .choices = switches, .doc = "vm.memory.locked of each VM"),
        agent_timeout = PARAMETER(.type = NOVA_PARAM_DURATION, .name = "agent_timeout",
                                  .fallback = "10s", .minimum = "1s", .maximum = "600s",
                                  .doc = "how long one command of the guest agent may take"),
        exec_poll = PARAMETER(.type = NOVA_PARAM_DURATION, .name = "exec_poll", .fallback = "50ms",
                              .minimum = "1ms", .maximum = "10s",
                              .doc = "longest pause between two looks at a program in a guest"),
        shutdown_fallback = PARAMETER(.type = NOVA_PARAM_DURATION, .name = "shutdown_fallback",
                                      .fallback = "10s", .minimum = "0s", .maximum = "3600s",
                                      .doc = "how long the agent's shutdown may take before the "
                                             "power button is pressed too");

static const struct nova_parameter *const parameters[] = {
        &uri,        &pair_uri,          &accel,        &trial_kernel,  &trial_timeout,
        &machine,    &emulator,          &cpu,          &pin,           &disk_bus,
        &disk_cache, &disk_io,           &disk_discard, &disk_queues,   &iothreads,
        &net_queues, &network,           &hugepages,    &memory_locked, &agent_timeout,
        &exec_poll,  &shutdown_fallback, NULL};

static int create(const struct nova_host *host, nova_op instance, void **out)
{
	struct kvm *self;
	pthread_condattr_t monotonic;
	const char *state = host->directory(instance, NOVA_DIRECTORY_STATE);
	if (!state)
		return host->error(instance, NOVA_E_INTERNAL, "the host gave no state directory");
	if (kvm_loop_register(state) != 0)
		return host->error(instance, NOVA_E_FAILED,
		                   "libvirt's event loop cannot be set up");
	self = calloc(1, sizeof(*self));
	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->instance = instance;
	self->daemon_lock = -1;
	self->monitor_callback = self->life_callback = self->agent_callback = -1;
	pthread_mutex_init(&self->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&self->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = self;
	return NOVA_DONE;
}

static void destroy(void *instance)
{
	struct kvm *self = instance;
	kvm_disconnect(self);
	while (self->nets) {
		struct kvm_net *net = self->nets;
		self->nets = net->next;
		free(net);
	}
	pthread_cond_destroy(&self->changed);
	pthread_mutex_destroy(&self->lock);
	free(self->accel_why);
	free(self->network_why);
	free(self->uri);
	free(self->root);
	free(self->alias);
	free(self->run);
	free(self->images);
	free(self->emulator);
	free(self);
}

/* Ops look at host->cancelled themselves; those that sleep must be woken to do so. */
static int cancel(void *instance, nova_op op)
{
	struct kvm *self = instance;
	kvm_migrate_cancel(self, op);
	pthread_mutex_lock(&self->lock);
	pthread_cond_broadcast(&self->changed);
	pthread_mutex_unlock(&self->lock);
	return NOVA_DONE;
}

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = kvm_pump,
        .wake = kvm_wake,
        .cancel = cancel,
        .connect = kvm_connect,
        .describe = kvm_describe,
        .vm_create = kvm_vm_create,
        .vm_clone = kvm_vm_clone,
        .vm_power = kvm_vm_power,
        .vm_delete = kvm_vm_delete,
        .vm_list = kvm_vm_list,
        .vm_query = kvm_vm_query,
        .snapshot = kvm_snapshot,
        .exec = kvm_exec,
        .exec_kill = kvm_exec_kill,
        .image_put = kvm_image_put,
        .image_delete = kvm_image_delete,
        .net_create = kvm_net_create,
        .net_delete = kvm_net_delete,
        .migrate_prepare = kvm_migrate_prepare,
        .migrate = kvm_migrate,
        .migrate_finish = kvm_migrate_finish,
        .knob_list = kvm_knob_list,
        .knob_get = kvm_knob_get,
        .knob_set = kvm_knob_set,
        .twin = kvm_twin,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "kvm",
        .version = "0.1.0",
        .summary = "QEMU/KVM by libvirt, embedded or at any libvirt URI",
        .license = "MIT",
        .parameters = parameters,
        .probe = kvm_probe,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin)
