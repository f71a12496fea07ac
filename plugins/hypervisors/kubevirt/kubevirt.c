/* SPDX-License-Identifier: MIT */
/*
 * Driver for KubeVirt: VMs as objects of a Kubernetes cluster. Orders change objects; what comes of
 * them is told by a watch, which `pump` reads. This file: parameters, lifecycle, the table of ops.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETER(name_, type_, fallback_, minimum_, maximum_, doc_)                               \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .name = (name_),    \
		.doc = (doc_), .fallback = (fallback_), .minimum = (minimum_),                     \
		.maximum = (maximum_)                                                              \
	}
#define TEXT(name_, doc_) PARAMETER(name_, NOVA_PARAM_TEXT, NULL, NULL, NULL, doc_)
#define PATH(name_, doc_) PARAMETER(name_, NOVA_PARAM_PATH, NULL, NULL, NULL, doc_)
#define FLAG(name_, fallback_, doc_)                                                               \
	PARAMETER(name_, NOVA_PARAM_BOOLEAN, fallback_, NULL, NULL, doc_)

static const struct nova_parameter parameters[] = {
        TEXT("uri", "the API server's address, https://host:6443; not needed with kubeconfig"),
        PATH("kubeconfig", "file that says where the cluster is and who we are"),
        TEXT("context", "which of the kubeconfig's contexts; default: its current one"),
        TEXT("namespace", "where VMs are made; default: the context's, else default"),
        PARAMETER("token", NOVA_PARAM_SECRET, NULL, NULL, NULL,
                  "bearer token of a service account, instead of the kubeconfig's credentials"),
        PATH("client_certificate",
             "our certificate (PEM), instead of the kubeconfig's credentials"),
        PATH("client_key", "key of client_certificate (PEM)"),
        FLAG("exec_credentials", "false",
             "run the program that the kubeconfig names to get a token"),
        PATH("ca_file",
             "authority of the API server's certificate (PEM); default: the kubeconfig's, else "
             "the system's"),
        TEXT("fingerprint",
             "SHA-256 fingerprint of the API server's certificate; trusted instead of an "
             "authority"),
        FLAG("insecure", "false", "do not verify the certificate at all"),
        TEXT("container_disk", "container image with a disk in it, for VMs with boot = \"disk\""),
        TEXT("template",
             "volume that VMs' disks are copies of: [pvc:|datasource:|snapshot:][NAMESPACE/]NAME"),
        TEXT("storage_class", "storage class of the copies; default: the cluster's"),
        TEXT("node", "the node to measure; default: all, and Kubernetes chooses"),
        FLAG("spread", "true", "ask Kubernetes to spread our VMs evenly over the nodes"),
        FLAG("agent", "false", "the VMs run the QEMU guest agent: ready events"),
        FLAG("cloud_init", "true",
             "with ssh_key: give VMs its public half by cloud-init, for ssh_user"),
        PARAMETER("grace", NOVA_PARAM_DURATION, "120s", "1s", "1h",
                  "how long a guest may take to shut down before KubeVirt turns it off"),
        PARAMETER("poll_first", NOVA_PARAM_DURATION, "100ms", "10ms", "60s",
                  "first interval at which a copy, a snapshot or a migration is asked about; each "
                  "further one is half longer"),
        PARAMETER("poll_longest", NOVA_PARAM_DURATION, "1s", "10ms", "60s",
                  "longest interval: how far the end of one may be misjudged"),
};

static const struct nova_parameter *const parameter_list[] = {
        &parameters[0],
        &parameters[1],
        &parameters[2],
        &parameters[3],
        &parameters[4],
        &parameters[5],
        &parameters[6],
        &parameters[7],
        &parameters[8],
        &parameters[9],
        &parameters[10],
        &parameters[11],
        &parameters[12],
        &parameters[13],
        &parameters[14],
        &parameters[15],
        &parameters[16],
        &parameters[17],
        &parameters[18],
        &parameters[19],
        &parameters[20],
        NOVA_SSH_PARAMETERS,
        NULL,
};

/* --- create ----------------------------------------------------------------------------------- */

static int is_node(const char *name)
{
	return strlen(name) < 254 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name);
}

static int read_parameters(struct kubevirt *self)
{
	self->may_run = param_number(self, "exec_credentials", 0) != 0;
	self->container_disk = param_text(self, "container_disk");
	self->template = param_text(self, "template");
	self->storage_class = param_text(self, "storage_class");
	self->node = param_text(self, "node");
	self->spread = param_number(self, "spread", 1) != 0;
	self->agent = param_number(self, "agent", 0) != 0;
	self->cloud_init = param_number(self, "cloud_init", 1) != 0;
	self->grace_s = (param_number(self, "grace", 120 * SECOND_NS) + SECOND_NS - 1) / SECOND_NS;
	self->poll_first_ns = param_number(self, "poll_first", SECOND_NS / 10);
	self->poll_longest_ns = param_number(self, "poll_longest", SECOND_NS);
	if (self->poll_longest_ns < self->poll_first_ns)
		self->poll_longest_ns = self->poll_first_ns;
	if (self->node && !is_node(self->node))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "node '%.100s' cannot be a node's name", self->node);
	return login_read(self);
}

static void destroy(void *handle)
{
	struct kubevirt *self = handle;

	nova_calls_close(self->calls);
	nova_ssh_close(self->ssh);
	watch_free(self);
	kubeconfig_free(&self->config);
	free(self->base);
	free(self->namespace);
	free(self);
}

static int create(const struct nova_host *host, nova_op instance, void **handle)
{
	struct kubevirt *self = calloc(1, sizeof(*self));
	int result;

	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->instance = instance;
	result = read_parameters(self);
	if (result == NOVA_DONE)
		result = login_open(self);
	if (result == NOVA_DONE)
		result = nova_ssh_configure(host, instance, &self->ssh);
	if (result != NOVA_DONE) {
		destroy(self);
		return result;
	}
	*handle = self;
	return NOVA_DONE;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static int pump(void *handle, int64_t until_ns)
{
	return nova_calls_pump(((struct kubevirt *)handle)->calls, until_ns);
}

static int wake(void *handle)
{
	return nova_calls_wake(((struct kubevirt *)handle)->calls);
}

static int cancel(void *handle, nova_op op)
{
	return nova_calls_cancel(((struct kubevirt *)handle)->calls, op);
}

/* --- the tables ------------------------------------------------------------------------------- */

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = pump,
        .wake = wake,
        .cancel = cancel,
        .connect = kubevirt_connect,
        .describe = kubevirt_describe,
        .vm_create = kubevirt_vm_create,
        .vm_clone = kubevirt_vm_clone,
        .vm_power = kubevirt_vm_power,
        .vm_delete = kubevirt_vm_delete,
        .vm_list = kubevirt_vm_list,
        .vm_query = kubevirt_vm_query,
        .snapshot = kubevirt_snapshot,
        .knob_list = kubevirt_knob_list,
        .knob_get = kubevirt_knob_get,
        .knob_set = kubevirt_knob_set,
        .exec = kubevirt_exec,
        .exec_kill = kubevirt_exec_kill,
        .migrate_prepare = kubevirt_migrate_prepare,
        .migrate = kubevirt_migrate,
        .migrate_finish = kubevirt_migrate_finish,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "kubevirt",
        .version = "0.1",
        .summary = "KubeVirt by the Kubernetes API",
        .license = "MIT",
        .parameters = parameter_list,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin);
