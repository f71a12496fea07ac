/* SPDX-License-Identifier: MIT */
/*
 * Driver for Microsoft Hyper-V: its WMI classes (root/virtualization/v2) by WS-Management over
 * HTTPS. Much of what takes time there is a job that must be polled; ops start it and return,
 * `pump` does the waiting. This file: parameters, lifecycle, the table of ops.
 */
#include "hyperv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETER(name_, type_, flags_, fallback_, minimum_, maximum_, doc_)                       \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .flags = (flags_),  \
		.name = (name_), .doc = (doc_), .fallback = (fallback_), .minimum = (minimum_),    \
		.maximum = (maximum_)                                                              \
	}
#define CHOICE(name_, choices_, fallback_, doc_)                                                   \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = NOVA_PARAM_CHOICE,           \
		.name = (name_), .doc = (doc_), .fallback = (fallback_), .choices = (choices_)     \
	}

static const char *const auth_choices[] = {"negotiate", "ntlm", NULL};
static const char *const generation_choices[] = {"1", "2", NULL};

static const struct nova_parameter parameters[] = {
        PARAMETER("uri", NOVA_PARAM_TEXT, NOVA_PARAM_REQUIRED, NULL, NULL, NULL,
                  "the host's WinRM over HTTPS, https://host:5986"),
        CHOICE("auth", auth_choices, "ntlm",
               "how the account proves itself: ntlm by its password, negotiate by a Kerberos "
               "ticket or, without one, its password"),
        PARAMETER("user", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "the account: DOMAIN\\name, name@domain, or a local one; with negotiate, "
                  "default: whose ticket there is"),
        PARAMETER("password", NOVA_PARAM_SECRET, 0, NULL, NULL, NULL, "its password"),
        PARAMETER("ca_file", NOVA_PARAM_PATH, 0, NULL, NULL, NULL,
                  "authority of the host's certificate (PEM); default: the system's"),
        PARAMETER("fingerprint", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "SHA-256 fingerprint of the host's certificate; trusted instead of an authority"),
        PARAMETER("insecure", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "do not verify the certificate at all"),
        PARAMETER("template", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "disk that VMs' disks are linked to: a VHDX on the host, "
                  "C:\\templates\\debian12.vhdx"),
        PARAMETER("full_clone", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "copy the template's disk instead of linking to it"),
        PARAMETER("directory", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "directory of the host for VMs' disks; default: Hyper-V's own"),
        PARAMETER("switch", NOVA_PARAM_TEXT, 0, NULL, NULL, NULL,
                  "virtual switch for new VMs' network card; default: no card"),
        CHOICE("generation", generation_choices, "2",
               "generation of new VMs: 1 boots by BIOS, 2 by UEFI"),
        PARAMETER("secure_boot", NOVA_PARAM_BOOLEAN, 0, "false", NULL, NULL,
                  "generation 2 boots only what Microsoft has signed"),
        PARAMETER("heartbeat", NOVA_PARAM_BOOLEAN, 0, "true", NULL, NULL,
                  "the VMs' systems have the integration services (Linux: hv_utils): shutting "
                  "down, addresses, ready events"),
        PARAMETER("move_storage", NOVA_PARAM_BOOLEAN, 0, "true", NULL, NULL,
                  "a migration takes the disk along; false: both hosts see it at the same path"),
        PARAMETER("poll_first", NOVA_PARAM_DURATION, 0, "100ms", "10ms", "60s",
                  "first interval at which a job is polled; each further one is half longer"),
        PARAMETER("poll_longest", NOVA_PARAM_DURATION, 0, "1s", "10ms", "60s",
                  "longest interval: how far the end of a job may be misjudged"),
        PARAMETER("poll_ready", NOVA_PARAM_DURATION, 0, "250ms", "10ms", "60s",
                  "interval at which the heartbeats of started VMs are asked for, all at once"),
};

static const struct nova_parameter *const parameter_list[] = {
        &parameters[0],  &parameters[1],  &parameters[2],  &parameters[3],      &parameters[4],
        &parameters[5],  &parameters[6],  &parameters[7],  &parameters[8],      &parameters[9],
        &parameters[10], &parameters[11], &parameters[12], &parameters[13],     &parameters[14],
        &parameters[15], &parameters[16], &parameters[17], NOVA_SSH_PARAMETERS, NULL,
};

/* --- create ----------------------------------------------------------------------------------- */

static const char *text_of(const struct hyperv *self, const char *name)
{
	const char *text = self->host->param_text(self->instance, name, 0);

	return text && text[0] ? text : NULL;
}

static int64_t number_of(const struct hyperv *self, const char *name, int64_t fallback)
{
	int64_t value;

	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

/* "https://host:5986", also with a slash or /wsman behind it. */
static int read_uri(struct hyperv *self)
{
	const char *uri = text_of(self, "uri");
	size_t length = uri ? strlen(uri) : 0;
	static const char tail[] = "/wsman";

	if (!uri || strncmp(uri, "https://", 8) != 0 || uri[8] == '\0' ||
	    strpbrk(uri, " @?#<>&\"'\r\n"))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "uri '%s' is not of the form https://host:5986",
		                          uri ? uri : "");
	while (length && uri[length - 1] == '/')
		length--;
	if (length > sizeof(tail) &&
	    strncmp(uri + length - (sizeof(tail) - 1), tail, sizeof(tail) - 1) == 0)
		length -= sizeof(tail) - 1;
	self->base = strndup(uri, length);
	return self->base ? NOVA_DONE
	                  : self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
}

static int read_directory(struct hyperv *self)
{
	const char *path = text_of(self, "directory");
	struct file file;

	if (!path)
		return NOVA_DONE;
	if (!cim_read_directory(path, &file))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "directory '%.200s' is not one on a drive of the host, "
		                          "C:\\vm\\disks: disks on a share could not be deleted "
		                          "again through WMI",
		                          path);
	snprintf(self->directory, sizeof(self->directory), "%s%s", file.drive, file.directory);
	return NOVA_DONE;
}

static int read_template(struct hyperv *self)
{
	struct file file;

	self->template = text_of(self, "template");
	if (!self->template ||
	    (cim_read_file(self->template, &file) &&
	     (strcasecmp(file.extension, "vhdx") == 0 || strcasecmp(file.extension, "vhd") == 0)))
		return NOVA_DONE;
	return self->host->errorf(
	        self->instance, NOVA_E_INVALID,
	        "template '%.200s' is not the path of a disk on the host, such as "
	        "C:\\templates\\debian12.vhdx",
	        self->template);
}

static int read_parameters(struct hyperv *self)
{
	const struct nova_host *host = self->host;
	const char *fingerprint = text_of(self, "fingerprint");
	const char *generation = text_of(self, "generation");
	unsigned char digest[32];
	int result;

	if (fingerprint && !nova_http_parse_pin(fingerprint, digest))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "fingerprint is not a SHA-256: 32 bytes in hexadecimal");
	self->network = text_of(self, "switch");
	self->full_clone = number_of(self, "full_clone", 0) != 0;
	self->generation = generation && strcmp(generation, "1") == 0 ? 1 : 2;
	self->secure_boot = number_of(self, "secure_boot", 0) != 0;
	self->heartbeat = number_of(self, "heartbeat", 1) != 0;
	self->move_storage = number_of(self, "move_storage", 1) != 0;
	self->poll_first_ns = number_of(self, "poll_first", SECOND_NS / 10);
	self->poll_longest_ns = number_of(self, "poll_longest", SECOND_NS);
	self->ready_ns = number_of(self, "poll_ready", SECOND_NS / 4);
	if (self->poll_longest_ns < self->poll_first_ns)
		self->poll_longest_ns = self->poll_first_ns;
	result = read_directory(self);
	if (result == NOVA_DONE)
		result = read_template(self);
	return result == NOVA_DONE ? read_uri(self) : result;
}

static int open_calls(struct hyperv *self)
{
	const struct nova_host *host = self->host;
	const char *auth = text_of(self, "auth");
	const char *user = text_of(self, "user");
	const char *password = text_of(self, "password");
	const char *fingerprint = text_of(self, "fingerprint");
	int negotiate = auth && strcmp(auth, "negotiate") == 0;

	if (!negotiate && (!user || !password))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "auth = ntlm needs user and password");
	if (user && strpbrk(user, ":\r\n"))
		return host->error(self->instance, NOVA_E_INVALID,
		                   "user has a colon or a line break in it: it is DOMAIN\\name, "
		                   "name@domain or a local account");
	return nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = host,
	                .instance = self->instance,
	                .base = self->base,
	                .peer = "WinRM",
	                .stranger = "; is this the port of WinRM over HTTPS, 5986?",
	                .trust_advice = "; give its authority by ca_file, or its fingerprint",
	                .format = NOVA_REPLY_RAW,
	                .parser = &nova_xml_replies,
	                .content_type = "application/soap+xml;charset=UTF-8",
	                .secrets = (const char *const[]){password, NULL},
	                .http = {.ca_file = text_of(self, "ca_file"),
	                         .pin = fingerprint,
	                         .insecure = !fingerprint && number_of(self, "insecure", 0) != 0,
	                         .auth = negotiate ? NOVA_HTTP_AUTH_NEGOTIATE : NOVA_HTTP_AUTH_NTLM,
	                         .user = user ? user : "",
	                         .password = password,
	                         .proxy = ""}, /* hosts are near, whatever the environment says */
	                .call_bytes = sizeof(struct call),
	                .release = call_release,
	                .judge = call_judge,
	                .advice = call_advice},
	        &self->calls);
}

static void destroy(void *handle)
{
	struct hyperv *self = handle;

	nova_calls_close(self->calls);
	nova_ssh_close(self->ssh);
	watch_close(self);
	free(self->base);
	free(self);
}

static int create(const struct nova_host *host, nova_op instance, void **handle)
{
	struct hyperv *self = calloc(1, sizeof(*self));
	int result;

	if (!self)
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	self->host = host;
	self->instance = instance;
	result = read_parameters(self);
	if (result == NOVA_DONE)
		result = open_calls(self);
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
	return nova_calls_pump(((struct hyperv *)handle)->calls, until_ns);
}

static int wake(void *handle)
{
	return nova_calls_wake(((struct hyperv *)handle)->calls);
}

static int cancel(void *handle, nova_op op)
{
	return nova_calls_cancel(((struct hyperv *)handle)->calls, op);
}

/* --- the tables ------------------------------------------------------------------------------- */

static const struct nova_hypervisor ops = {
        .struct_size = sizeof(ops),
        .create = create,
        .destroy = destroy,
        .pump = pump,
        .wake = wake,
        .cancel = cancel,
        .connect = hyperv_connect,
        .describe = hyperv_describe,
        .vm_create = hyperv_vm_create,
        .vm_clone = hyperv_vm_clone,
        .vm_power = hyperv_vm_power,
        .vm_delete = hyperv_vm_delete,
        .vm_list = hyperv_vm_list,
        .vm_query = hyperv_vm_query,
        .snapshot = hyperv_snapshot,
        .knob_list = hyperv_knob_list,
        .knob_get = hyperv_knob_get,
        .knob_set = hyperv_knob_set,
        .exec = hyperv_exec,
        .exec_kill = hyperv_exec_kill,
        .net_create = hyperv_net_create,
        .net_delete = hyperv_net_delete,
        .migrate_prepare = hyperv_migrate_prepare,
        .migrate = hyperv_migrate,
        .migrate_finish = hyperv_migrate_finish,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_HYPERVISOR,
        .thread_model = NOVA_THREADS_PER_INSTANCE,
        .name = "hyperv",
        .version = "0.1",
        .summary = "Microsoft Hyper-V by WS-Management",
        .license = "MIT",
        .parameters = parameter_list,
        .ops = &ops,
};

NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin);
