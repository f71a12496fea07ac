/* SPDX-License-Identifier: MIT */
/*
 * Driver for Proxmox VE: its REST API with an API token. Everything that takes time there is a task
 * that must be polled; ops start it and return, `pump` does the waiting. This file: parameters,
 * lifecycle, the table of ops.
 */
#include "proxmox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETER(name_, type_, flags_, fallback_, minimum_, maximum_, doc_)                       \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .flags = (flags_),  \
		.name = (name_), .doc = (doc_), .fallback = (fallback_), .minimum = (minimum_),    \
		.maximum = (maximum_)                                                              \
	}

static const struct nova_parameter parameters[] = {
        PARAMETER("uri", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "the API's address, https://host:8006"),
        PARAMETER("token_id", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "whose token: user@realm!name"),
        PARAMETER("token", NOVA_PARAM_SECRET, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "the token's secret"),
        PARAMETER("node", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "the cluster's node to measure; not needed if there is only one"),
        PARAMETER("ca_file", NOVA_PARAM_PATH, 0, NULL, NULL, NULL,
                  "authority of the API's certificate (PEM), as the node's "
                  "/etc/pve/pve-root-ca.pem; default: the system's"),
        PARAMETER("fingerprint", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "SHA-256 fingerprint of the API's certificate; trusted instead of an authority"),
        PARAMETER("insecure", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "do not verify the certificate at all"),
        PARAMETER("template", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "template to clone VMs from: its name or number"),
        PARAMETER("full_clone", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "copy the template's disks instead of linking to them"),
        PARAMETER("storage", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "storage for the disks of new VMs and of full clones"),
        PARAMETER("image_storage", NOVA_PARAM_TEXT, 0, "local", NULL, NULL,
                  "storage that images are uploaded to: a directory with content type import"),
        PARAMETER("bridge", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "bridge for new VMs' network card; default: no card"),
        PARAMETER("pool", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "resource pool for new VMs, so that a token needs no rights on others"),
        PARAMETER("agent", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "the VMs run the QEMU guest agent: commands in them, addresses, ready events"),
        PARAMETER("vmid_min", NOVA_PARAM_INTEGER, 0, "0", "0", "999999000",
                  "lowest number for new VMs; 0: the cluster's next free one"),
        PARAMETER("poll_first", NOVA_PARAM_DURATION, 0, "100ms", "10ms", "60s",
                  "first interval at which a task is polled; each further one is half longer"),
        PARAMETER("poll_longest", NOVA_PARAM_DURATION, 0, "1s", "10ms", "60s",
                  "longest interval: how far the end of a task may be misjudged"),
        PARAMETER("poll_ready", NOVA_PARAM_DURATION, 0, "250ms", "10ms", "60s",
                  "interval at which a started VM's guest agent is asked whether it is there"),
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
        NULL,
};

/* --- create ----------------------------------------------------------------------------------- */

static const char *text_of(const struct proxmox *self, const char *name)
{
	const char *text = self->host->param_text(self->instance, name, 0);

	return text && text[0] ? text : NULL;
}

static int64_t number_of(const struct proxmox *self, const char *name, int64_t fallback)
{
	int64_t value;

	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

/* "https://host:8006", also with a slash or /api2/json behind it. */
static int read_uri(struct proxmox *self)
{
	const char *uri = text_of(self, "uri");
	size_t length = uri ? strlen(uri) : 0;
	static const char tail[] = "/api2/json";

	if (!uri || strncmp(uri, "https://", 8) != 0 || uri[8] == '\0' || strpbrk(uri, " @?#\r\n"))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "uri '%s' is not of the form https://host:8006",
		                          uri ? uri : "");
	while (length && uri[length - 1] == '/')
		length--;
	if (length > sizeof(tail) &&
	    strncmp(uri + length - (sizeof(tail) - 1), tail, sizeof(tail) - 1) == 0)
		length -= sizeof(tail) - 1;
	if (asprintf(&self->base, "%.*s%s", (int)length, uri, tail) < 0) {
		self->base = NULL;
		return self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	}
	return NOVA_DONE;
}

static int is_token_id(const char *id)
{
	const char *at = id ? strchr(id, '@') : NULL;
	const char *mark = at ? strchr(at, '!') : NULL;

	return mark && at > id && mark > at + 1 && mark[1] && !strpbrk(id, "= :/\t\r\n");
}

static int read_parameters(struct proxmox *self)
{
	const struct nova_host *host = self->host;
	const char *node = text_of(self, "node");
	const char *fingerprint = text_of(self, "fingerprint");
	unsigned char digest[32];

	if (node && !upid_is_node(node))
		return host->errorf(self->instance, NOVA_E_INVALID,
		                    "node '%s' cannot be a node's name", node);
	if (fingerprint && !nova_http_parse_pin(fingerprint, digest))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "fingerprint is not a SHA-256: 32 bytes in hexadecimal, as "
		                   "Proxmox shows it under Certificates");
	snprintf(self->node, sizeof(self->node), "%s", node ? node : "");
	self->template = text_of(self, "template");
	self->storage = text_of(self, "storage");
	self->image_storage = text_of(self, "image_storage");
	self->bridge = text_of(self, "bridge");
	self->pool = text_of(self, "pool");
	self->full_clone = number_of(self, "full_clone", 0) != 0;
	self->agent = number_of(self, "agent", 0) != 0;
	self->vmid_min = number_of(self, "vmid_min", 0);
	self->next_vmid = self->vmid_min > 0 && self->vmid_min < 100 ? 100 : self->vmid_min;
	self->poll_first_ns = number_of(self, "poll_first", SECOND_NS / 10);
	self->poll_longest_ns = number_of(self, "poll_longest", SECOND_NS);
	self->ready_ns = number_of(self, "poll_ready", SECOND_NS / 4);
	if (self->poll_longest_ns < self->poll_first_ns)
		self->poll_longest_ns = self->poll_first_ns;
	return read_uri(self);
}

static int open_calls(struct proxmox *self)
{
	const struct nova_host *host = self->host;
	const char *id = text_of(self, "token_id");
	const char *secret = text_of(self, "token");
	const char *fingerprint = text_of(self, "fingerprint");
	struct nova_text authorization = {0};
	int result;

	if (!is_token_id(id))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "token_id is not of the form user@realm!name");
	if (!secret || strpbrk(secret, " \t\r\n"))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "token is empty or has white space in it: it is the secret that "
		                   "Proxmox showed once, when the token was made");
	nova_text_printf(&authorization, "Authorization: PVEAPIToken=%s=%s", id, secret);
	if (authorization.broken)
		return host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	result = nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = host,
	                .instance = self->instance,
	                .base = self->base,
	                .peer = "Proxmox",
	                .stranger = "; is this the API's port, 8006?",
	                .trust_advice = "; give its authority by ca_file, or its fingerprint",
	                .format = NOVA_REPLY_JSON,
	                .content_type = "application/x-www-form-urlencoded",
	                .secrets = (const char *const[]){secret, NULL},
	                .http = {.ca_file = text_of(self, "ca_file"),
	                         .pin = fingerprint,
	                         .insecure = !fingerprint && number_of(self, "insecure", 0) != 0,
	                         .headers = (const char *const[]){authorization.text,
	                                                          "Accept: application/json", NULL},
	                         .proxy = ""}, /* nodes are near, whatever the environment says */
	                .call_bytes = sizeof(struct call),
	                .release = call_release,
	                .judge = call_judge,
	                .advice = call_advice},
	        &self->calls);
	nova_text_wipe(&authorization);
	return result;
}

static void destroy(void *handle)
{
	struct proxmox *self = handle;

	nova_calls_close(self->calls);
	free(self->base);
	free(self);
}

static int create(const struct nova_host *host, nova_op instance, void **handle)
{
	struct proxmox *self = calloc(1, sizeof(*self));
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

/* --- waiting ---------------------------------------------------------------------------------- */

static int pump(void *handle, int64_t until_ns)
{
	return nova_calls_pump(((struct proxmox *)handle)->calls, until_ns);
}

static int wake(void *handle)
{
	return nova_calls_wake(((struct proxmox *)handle)->calls);
}

static int cancel(void *handle, nova_op op)
{
	return nova_calls_cancel(((struct proxmox *)handle)->calls, op);
}

/* --- the tables ------------------------------------------------------------------------------- */

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = pump,
        .wake = wake,
        .cancel = cancel,
        .connect = proxmox_connect,
        .describe = proxmox_describe,
        .vm_create = proxmox_vm_create,
        .vm_clone = proxmox_vm_clone,
        .vm_power = proxmox_vm_power,
        .vm_delete = proxmox_vm_delete,
        .vm_list = proxmox_vm_list,
        .vm_query = proxmox_vm_query,
        .snapshot = proxmox_snapshot,
        .exec = proxmox_exec,
        .exec_kill = proxmox_exec_kill,
        .image_put = proxmox_image_put,
        .image_delete = proxmox_image_delete,
        .migrate_prepare = proxmox_migrate_prepare,
        .migrate = proxmox_migrate,
        .migrate_finish = proxmox_migrate_finish,
        .knob_list = proxmox_knob_list,
        .knob_get = proxmox_knob_get,
        .knob_set = proxmox_knob_set,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "proxmox",
        .version = "0.1",
        .summary = "Proxmox VE by its REST API",
        .license = "MIT",
        .parameters = parameter_list,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin);
