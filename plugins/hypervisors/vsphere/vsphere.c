/* SPDX-License-Identifier: MIT */
/*
 * Driver for VMware vSphere, by the SOAP API that vCenter and ESXi have in common (vim25).
 * Everything that takes time there is a task; ops start it and return, `pump` does the waiting.
 * This file: parameters, lifecycle, the table of ops.
 */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETER(name_, type_, flags_, fallback_, minimum_, maximum_, doc_)                       \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .flags = (flags_),  \
		.name = (name_), .doc = (doc_), .fallback = (fallback_), .minimum = (minimum_),    \
		.maximum = (maximum_)                                                              \
	}
#define TEXT(name_, doc_) PARAMETER(name_, NOVA_PARAM_TEXT, 0, NULL, NULL, NULL, doc_)
#define FLAG(name_, doc_) PARAMETER(name_, NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL, doc_)

static const struct nova_parameter parameters[] = {
        PARAMETER("uri", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "address of the vCenter or of a host, https://vcenter.example"),
        PARAMETER("user", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "who logs in: bench@vsphere.local, or a local user of the host"),
        PARAMETER("password", NOVA_PARAM_SECRET, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "that user's password"),
        PARAMETER("ca_file", NOVA_PARAM_PATH, 0, NULL, NULL, NULL,
                  "authority of the server's certificate (PEM), from https://vcenter/certs/"
                  "download.zip; default: the system's"),
        TEXT("fingerprint",
             "SHA-256 fingerprint of the server's certificate; trusted instead of an authority"),
        FLAG("insecure", "do not verify the certificate at all"),
        TEXT("datacenter", "path of the datacenter; not needed if there is only one"),
        TEXT("cluster",
             "cluster or host to measure, below the datacenter; not needed if there is only one"),
        TEXT("host", "host of the cluster on which VMs are made and to which they migrate; "
                     "default: the cluster's choice"),
        TEXT("pool", "path of a resource pool, CLUSTER/Resources/NAME; default: the cluster's"),
        TEXT("folder", "path of the folder for VMs, below the datacenter's; default: that"),
        TEXT("datastore", "datastore for disks; not needed if the cluster has only one"),
        TEXT("network", "network for new VMs' card; default: no card"),
        TEXT("template", "path of the template to clone VMs from, below the datacenter's folder"),
        FLAG("linked", "link clones to the template's current snapshot instead of copying disks"),
        PARAMETER("guest_id", NOVA_PARAM_TEXT, 0, "otherLinux64Guest", NULL, NULL,
                  "what vSphere calls the system of new VMs that have no template"),
        FLAG("tools", "the VMs run VMware Tools: shutdown, addresses, ready events, commands"),
        TEXT("guest_user", "account in the VMs that runs commands there"),
        PARAMETER("guest_password", NOVA_PARAM_SECRET, 0, NULL, NULL, NULL,
                  "that account's password"),
        PARAMETER("poll_first", NOVA_PARAM_DURATION, 0, "100ms", "10ms", "60s",
                  "first interval at which a task is polled where the server tells nothing; each "
                  "further one is half longer"),
        PARAMETER("poll_longest", NOVA_PARAM_DURATION, 0, "1s", "10ms", "60s",
                  "longest such interval"),
};

#define PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

static const struct nova_parameter *const parameter_list[PARAMETERS + 1] = {
        &parameters[0],  &parameters[1],
        &parameters[2],  &parameters[3],
        &parameters[4],  &parameters[5],
        &parameters[6],  &parameters[7],
        &parameters[8],  &parameters[9],
        &parameters[10], &parameters[11],
        &parameters[12], &parameters[13],
        &parameters[14], &parameters[15],
        &parameters[16], &parameters[17],
        &parameters[18], &parameters[19],
        &parameters[20], NULL,
};

/* --- create -------------------------------------------------------------------------------------
 */

static const char *text_of(const struct vsphere *self, const char *name)
{
	const char *text = self->host->param_text(self->instance, name, 0);

	return text && text[0] ? text : NULL;
}

static int64_t number_of(const struct vsphere *self, const char *name, int64_t fallback)
{
	int64_t value;

	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

/* "https://vcenter.example", also with a port, also with a slash or /sdk behind it. */
static int read_uri(struct vsphere *self)
{
	const char *uri = text_of(self, "uri");
	size_t length = uri ? strlen(uri) : 0;

	if (!uri || strncmp(uri, "https://", 8) != 0 || uri[8] == '\0' || uri[8] == '/' ||
	    strpbrk(uri, " @?#\r\n"))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "uri '%s' is not of the form https://vcenter.example",
		                          uri ? uri : "");
	while (uri[length - 1] == '/')
		length--;
	if (length > 12 && strncmp(uri + length - 4, "/sdk", 4) == 0)
		length -= 4;
	self->base = strndup(uri, length);
	if (!self->base)
		return self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	if (strchr(self->base + 8, '/'))
		return self->host->errorf(
		        self->instance, NOVA_E_INVALID,
		        "uri '%s' has a path: only the server's name belongs there", uri);
	return NOVA_DONE;
}

static int read_parameters(struct vsphere *self)
{
	const struct nova_host *host = self->host;
	const char *fingerprint = text_of(self, "fingerprint");
	unsigned char digest[32];
	const struct {
		const char *name;
		const char **to;
	} texts[] = {
	        {"datacenter", &self->datacenter},
	        {"cluster", &self->cluster},
	        {"host", &self->host_name},
	        {"pool", &self->pool},
	        {"folder", &self->folder},
	        {"datastore", &self->datastore},
	        {"network", &self->network},
	        {"template", &self->template},
	        {"user", &self->user},
	        {"password", &self->password},
	        {"guest_id", &self->guest_id},
	        {"guest_user", &self->guest_user},
	        {"guest_password", &self->guest_password},
	};

	if (fingerprint && !nova_http_parse_pin(fingerprint, digest))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "fingerprint is not a SHA-256: 32 bytes in hexadecimal");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i].to = text_of(self, texts[i].name);
	if (!self->user || !self->password)
		return host->error(self->instance, NOVA_E_INVALID,
		                   "user and password must not be empty");
	if (self->datacenter && strlen(self->datacenter) >= sizeof(self->place.datacenter_path))
		return host->error(self->instance, NOVA_E_INVALID, "datacenter is too long");
	self->linked = number_of(self, "linked", 0) != 0;
	self->tools = number_of(self, "tools", 0) != 0;
	self->poll_first_ns = number_of(self, "poll_first", SECOND_NS / 10);
	self->poll_longest_ns = number_of(self, "poll_longest", SECOND_NS);
	if (self->poll_longest_ns < self->poll_first_ns)
		self->poll_longest_ns = self->poll_first_ns;
	return read_uri(self);
}

static int open_calls(struct vsphere *self)
{
	const char *fingerprint = text_of(self, "fingerprint");

	return nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = self->host,
	                .instance = self->instance,
	                .driver = self,
	                .base = self->base,
	                .peer = "vSphere",
	                .stranger = "; is this a vCenter or an ESXi host?",
	                .trust_advice = "; give its authority by ca_file, or its fingerprint",
	                .parser = &nova_xml_replies,
	                .secrets = (const char *const[]){self->password,
	                                                 self->guest_password ? self->guest_password
	                                                                      : "",
	                                                 NULL},
	                .http = {.ca_file = text_of(self, "ca_file"),
	                         .pin = fingerprint,
	                         .insecure = !fingerprint && number_of(self, "insecure", 0) != 0,
	                         .proxy = ""}, /* it is near, whatever the environment says */
	                .call_bytes = sizeof(struct call),
	                .release = soap_release,
	                .judge = soap_judge,
	                .advice = soap_advice,
	                .expired = soap_expired,
	                .renew = soap_renew},
	        &self->calls);
}

static void destroy(void *handle)
{
	struct vsphere *self = handle;

	nova_calls_close(self->calls);
	nova_text_free(&self->watch.done_with);
	free(self->base);
	free(self);
}

static int create(const struct nova_host *host, nova_op instance, void **handle)
{
	struct vsphere *self = calloc(1, sizeof(*self));
	int result;

	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->instance = instance;
	result = read_parameters(self);
	if (result == NOVA_DONE)
		result = open_calls(self);
	if (result != NOVA_DONE) {
		destroy(self);
		return result;
	}
	*handle = self;
	return NOVA_DONE;
}

/* --- waiting ------------------------------------------------------------------------------------
 */

static int pump(void *handle, int64_t until_ns)
{
	return nova_calls_pump(((struct vsphere *)handle)->calls, until_ns);
}

static int wake(void *handle)
{
	return nova_calls_wake(((struct vsphere *)handle)->calls);
}

static int cancel(void *handle, nova_op op)
{
	return nova_calls_cancel(((struct vsphere *)handle)->calls, op);
}

/* --- the tables ---------------------------------------------------------------------------------
 */

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = pump,
        .wake = wake,
        .cancel = cancel,
        .connect = vsphere_connect,
        .describe = vsphere_describe,
        .vm_create = vsphere_vm_create,
        .vm_clone = vsphere_vm_clone,
        .vm_power = vsphere_vm_power,
        .vm_delete = vsphere_vm_delete,
        .vm_list = vsphere_vm_list,
        .vm_query = vsphere_vm_query,
        .snapshot = vsphere_snapshot,
        .exec = vsphere_exec,
        .exec_kill = vsphere_exec_kill,
        .image_put = vsphere_image_put,
        .image_delete = vsphere_image_delete,
        .migrate_prepare = vsphere_migrate_prepare,
        .migrate = vsphere_migrate,
        .migrate_finish = vsphere_migrate_finish,
        .knob_list = vsphere_knob_list,
        .knob_get = vsphere_knob_get,
        .knob_set = vsphere_knob_set,
        .disconnect = vsphere_disconnect,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "vsphere",
        .version = "0.1",
        .summary = "VMware vSphere by its SOAP API: vCenter, or a host alone",
        .license = "MIT",
        .parameters = parameter_list,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin);
