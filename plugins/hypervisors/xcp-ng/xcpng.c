/* SPDX-License-Identifier: MIT */
/*
 * Driver for XCP-ng and XenServer: XenAPI as JSON-RPC, to the master of a pool. What takes time is
 * a task; its end, and what happens to VMs, is pushed. This file: parameters, lifecycle, the table
 * of ops.
 */
#include "xcpng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETER(name_, type_, flags_, fallback_, minimum_, maximum_, doc_)                       \
	&(const struct nova_parameter)                                                             \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .flags = (flags_),  \
		.name = (name_), .doc = (doc_), .fallback = (fallback_), .minimum = (minimum_),    \
		.maximum = (maximum_)                                                              \
	}

static const struct nova_parameter *const parameters[] = {
        PARAMETER("uri", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "a host of the pool, https://host; its master is found from any"),
        PARAMETER("user", NOVA_PARAM_TEXT, 0, "root", NULL, NULL,
                  "who logs in: root, or a user of the pool's directory"),
        PARAMETER("password", NOVA_PARAM_SECRET, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "the user's password"),
        PARAMETER("ca_file", NOVA_PARAM_PATH, 0, NULL, NULL, NULL,
                  "authority of the hosts' certificates (PEM); default: the system's"),
        PARAMETER("fingerprint", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "SHA-256 fingerprint of the master's certificate; trusted instead of an "
                  "authority"),
        PARAMETER("insecure", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "do not verify certificates at all"),
        PARAMETER("host", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "the pool's host to measure, by name or UUID; default: where the pool puts VMs"),
        PARAMETER("template", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "template to clone VMs from, by name or UUID"),
        PARAMETER("full_copy", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "copy the template's disks instead of sharing their blocks"),
        PARAMETER("base_template", NOVA_PARAM_TEXT, 0, "Other install media", NULL, NULL,
                  "template for VMs that get a disk of their own: one without disks"),
        PARAMETER("sr", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "storage repository for disks, by name or UUID; default: the pool's"),
        PARAMETER("network", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "network of new VMs with a disk of their own, and of VMs that come from another "
                  "pool, by name or UUID; default: no card"),
        PARAMETER("tools", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "the VMs run Xen's guest tools: addresses, ready events"),
        NOVA_SSH_PARAMETERS,
        PARAMETER("poll_first", NOVA_PARAM_DURATION, 0, "100ms", "10ms", "60s",
                  "first interval at which a task is asked for where nothing is pushed; each "
                  "further one is half longer"),
        PARAMETER("poll_longest", NOVA_PARAM_DURATION, 0, "2s", "10ms", "60s",
                  "longest interval, and that for tasks whose end should be pushed"),
        NULL,
};

/* --- create ----------------------------------------------------------------------------------- */

static const char *text_of(const struct xcpng *self, const char *name)
{
	const char *text = self->host->param_text(self->instance, name, 0);

	return text && text[0] ? text : NULL;
}

static int64_t number_of(const struct xcpng *self, const char *name, int64_t fallback)
{
	int64_t value;

	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

static int bad_uri(const struct xcpng *self, const char *uri)
{
	return self->host->errorf(self->instance, NOVA_E_INVALID,
	                          "uri '%s' is not of the form https://host or https://host:port",
	                          uri ? uri : "");
}

/* "https://host", "https://host:8443", "https://[::1]/"; the port is that of all hosts. */
static int read_uri(struct xcpng *self)
{
	const char *uri = text_of(self, "uri");
	size_t length = uri ? strlen(uri) : 0;
	const char *port;

	if (!uri || strncmp(uri, "https://", 8) != 0 || strpbrk(uri, " @?#\r\n\t"))
		return bad_uri(self, uri);
	while (length > 8 && uri[length - 1] == '/')
		length--;
	self->base = strndup(uri, length);
	if (!self->base)
		return self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	port = strrchr(self->base + 8, ':');
	if (port && strchr(port, ']'))
		port = NULL; /* inside of an IPv6 address */
	if (length == 8 || strchr(self->base + 8, '/') || port == self->base + 8 ||
	    (port && (strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port) < 2 ||
	              strlen(port) >= sizeof(self->port))))
		return bad_uri(self, uri);
	snprintf(self->port, sizeof(self->port), "%s", port ? port : "");
	return NOVA_DONE;
}

static int read_parameters(struct xcpng *self)
{
	const struct nova_host *host = self->host;
	const char *fingerprint = text_of(self, "fingerprint");
	unsigned char digest[32];

	if (fingerprint && !nova_http_parse_pin(fingerprint, digest))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "fingerprint is not a SHA-256: 32 bytes in hexadecimal, as xe "
		                   "host-get-server-certificate and openssl show it");
	self->user = text_of(self, "user");
	self->password = text_of(self, "password");
	if (!self->user || !self->password)
		return host->error(self->instance, NOVA_E_INVALID, "no user or no password");
	self->template = text_of(self, "template");
	self->base_template = text_of(self, "base_template");
	self->host_name = text_of(self, "host");
	self->sr_name = text_of(self, "sr");
	self->network_name = text_of(self, "network");
	self->full_copy = number_of(self, "full_copy", 0) != 0;
	self->tools = number_of(self, "tools", 0) != 0;
	self->poll_first_ns = number_of(self, "poll_first", SECOND_NS / 10);
	self->poll_longest_ns = number_of(self, "poll_longest", 2 * SECOND_NS);
	if (self->poll_longest_ns < self->poll_first_ns)
		self->poll_longest_ns = self->poll_first_ns;
	return read_uri(self);
}

static void destroy(void *handle)
{
	struct xcpng *self = handle;

	nova_calls_close(self->calls);
	nova_ssh_close(self->ssh);
	watch_free(self);
	json_decref(self->permissions);
	free(self->base);
	free(self);
}

static int create(const struct nova_host *host, nova_op instance, void **handle)
{
	struct xcpng *self = calloc(1, sizeof(*self));
	int result;

	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->instance = instance;
	result = read_parameters(self);
	if (result == NOVA_DONE)
		result = rpc_open(self);
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
	return nova_calls_pump(((struct xcpng *)handle)->calls, until_ns);
}

static int wake(void *handle)
{
	return nova_calls_wake(((struct xcpng *)handle)->calls);
}

static int cancel(void *handle, nova_op op)
{
	return nova_calls_cancel(((struct xcpng *)handle)->calls, op);
}

/* --- the tables ------------------------------------------------------------------------------- */

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = pump,
        .wake = wake,
        .cancel = cancel,
        .connect = xcpng_connect,
        .describe = xcpng_describe,
        .vm_create = xcpng_vm_create,
        .vm_clone = xcpng_vm_clone,
        .vm_power = xcpng_vm_power,
        .vm_delete = xcpng_vm_delete,
        .vm_list = xcpng_vm_list,
        .vm_query = xcpng_vm_query,
        .snapshot = xcpng_snapshot,
        .exec = xcpng_exec,
        .exec_kill = xcpng_exec_kill,
        .image_put = xcpng_image_put,
        .image_delete = xcpng_image_delete,
        .net_create = xcpng_net_create,
        .net_delete = xcpng_net_delete,
        .migrate_prepare = xcpng_migrate_prepare,
        .migrate = xcpng_migrate,
        .migrate_finish = xcpng_migrate_finish,
        .knob_list = xcpng_knob_list,
        .knob_get = xcpng_knob_get,
        .knob_set = xcpng_knob_set,
        .disconnect = xcpng_disconnect,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "xcp-ng",
        .version = "0.1",
        .summary = "XCP-ng and XenServer by XenAPI",
        .license = "MIT",
        .parameters = parameters,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin);
