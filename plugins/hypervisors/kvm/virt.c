/* SPDX-License-Identifier: MIT */
/* libvirt's errors said as ours, parameters with a default, and finding a VM without mistaking it.
 */
#include "kvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where nothing better is known the hypervisor tried and failed. */
static const struct {
	int theirs, ours;
} codes[] = {
        {VIR_ERR_NO_MEMORY, NOVA_E_MEMORY},
        {VIR_ERR_NO_SUPPORT, NOVA_E_UNSUPPORTED},
        {VIR_ERR_CONFIG_UNSUPPORTED, NOVA_E_UNSUPPORTED},
        {VIR_ERR_OPERATION_UNSUPPORTED, NOVA_E_UNSUPPORTED},
        {VIR_ERR_ARGUMENT_UNSUPPORTED, NOVA_E_UNSUPPORTED},
        {VIR_ERR_NO_CONNECT, NOVA_E_UNAVAILABLE},
        {VIR_ERR_INVALID_CONN, NOVA_E_UNAVAILABLE},
        {VIR_ERR_RPC, NOVA_E_UNAVAILABLE},
        {VIR_ERR_UNKNOWN_HOST, NOVA_E_UNAVAILABLE},
        {VIR_ERR_LIBSSH, NOVA_E_UNAVAILABLE},
        {VIR_ERR_INVALID_ARG, NOVA_E_INVALID},
        {VIR_ERR_XML_ERROR, NOVA_E_INVALID},
        {VIR_ERR_XML_DETAIL, NOVA_E_INVALID},
        {VIR_ERR_NO_DOMAIN, NOVA_E_NOT_FOUND},
        {VIR_ERR_NO_DOMAIN_SNAPSHOT, NOVA_E_NOT_FOUND},
        {VIR_ERR_DOM_EXIST, NOVA_E_EXISTS},
        {VIR_ERR_OPERATION_INVALID, NOVA_E_BUSY},
        {VIR_ERR_AGENT_UNRESPONSIVE, NOVA_E_BUSY},
        {VIR_ERR_RESOURCE_BUSY, NOVA_E_BUSY},
        {VIR_ERR_OPERATION_TIMEOUT, NOVA_E_TIMEOUT},
        {VIR_ERR_OPERATION_ABORTED, NOVA_E_CANCELLED},
        {VIR_ERR_AUTH_FAILED, NOVA_E_PERMISSION},
        {VIR_ERR_AUTH_CANCELLED, NOVA_E_PERMISSION},
        {VIR_ERR_AUTH_UNAVAILABLE, NOVA_E_PERMISSION},
        {VIR_ERR_ACCESS_DENIED, NOVA_E_PERMISSION},
        {VIR_ERR_OPERATION_DENIED, NOVA_E_PERMISSION},
};

static int fail(struct kvm *self, nova_op op, virErrorPtr error, const char *what, const char *name)
{
	const char *text = error && error->message ? error->message : "libvirt gave no reason";
	int code = NOVA_E_FAILED;
	for (size_t i = 0; error && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].theirs == error->code)
			code = codes[i].ours;
	if (strstr(text, "No space left"))
		code = NOVA_E_FULL;
	else if (code == NOVA_E_FAILED && strstr(text, "Permission denied"))
		code = NOVA_E_PERMISSION;
	return self->host->errorf(op, code, "cannot %s%s%s: %s", what, name ? " " : "",
	                          name ? name : "", text);
}

/* Records what libvirt said last on this thread: "cannot WHAT NAME: …". */
int kvm_fail(struct kvm *self, nova_op op, const char *what, const char *name)
{
	return fail(self, op, virGetLastError(), what, name);
}

/* The same for an error that was kept while other calls were made; frees it. */
int kvm_fail_with(struct kvm *self, nova_op op, virErrorPtr kept, const char *what,
                  const char *name)
{
	int status = fail(self, op, kept, what, name);
	virFreeError(kept);
	return status;
}

int kvm_check_name(struct kvm *self, nova_op op, const char *name)
{
	if (!name || strncmp(name, KVM_PREFIX, strlen(KVM_PREFIX)) != 0)
		return self->host->errorf(op, NOVA_E_REFUSED,
		                          "refused to touch VM %s: only names that start with "
		                          "\"" KVM_PREFIX "\" are novacore's own",
		                          name ? name : "without a name");
	if (strlen(name) >= KVM_NAME_BYTES || strchr(name, '/'))
		return self->host->errorf(op, NOVA_E_INVALID,
		                          "VM name %s is longer than %d bytes or contains a slash",
		                          name, KVM_NAME_BYTES - 1);
	return NOVA_DONE;
}

/* Both halves of the identity must agree: another VM may have taken the name meanwhile. */
int kvm_lookup(struct kvm *self, nova_op op, const struct nova_ref *ref, virDomainPtr *domain)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	int status = kvm_check_name(self, op, ref->name);
	if (status != NOVA_DONE)
		return status;
	bool by_id = ref->id && *ref->id;
	*domain = by_id ? virDomainLookupByUUIDString(self->connection, ref->id)
	                : virDomainLookupByName(self->connection, ref->name);
	if (!*domain)
		return kvm_fail(self, op, "find VM", ref->name);
	if (virDomainGetUUIDString(*domain, uuid) == 0 &&
	    strcmp(virDomainGetName(*domain), ref->name) == 0 &&
	    (!by_id || strcasecmp(uuid, ref->id) == 0))
		return NOVA_DONE;
	status = self->host->errorf(op, NOVA_E_REFUSED,
	                            "refused: the VM with id %s is named %s, not %s; nothing was "
	                            "done to it",
	                            uuid, virDomainGetName(*domain), ref->name);
	virDomainFree(*domain);
	*domain = NULL;
	return status;
}

int kvm_left_s(struct kvm *self, nova_op op, int most)
{
	int64_t left = (self->host->deadline_ns(op) - self->host->now_ns()) / KVM_SECOND;
	return left < 1 ? 1 : left > most ? most : (int)left;
}

const char *kvm_text(struct kvm *self, const char *name, const char *fallback)
{
	const char *text = self->host->param_text(self->instance, name, 0);
	return text && *text ? text : fallback;
}

int64_t kvm_number(struct kvm *self, const char *name, int64_t fallback)
{
	int64_t value;
	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

/* libvirt keeps a file with the process id while a VM runs, where this process can read it. */
pid_t kvm_pid(struct kvm *self, const char *name)
{
	char *path = NULL;
	int pid = 0;
	if (self->embedded)
		path = kvm_format("%s/run/qemu/%s.pid", self->root, name);
	else if (self->daemon)
		path = kvm_format("%s/run/libvirt/qemu/run/%s.pid", self->root, name);
	else if (self->local && self->privileged)
		path = kvm_format("/run/libvirt/qemu/%s.pid", name);
	FILE *file = path ? fopen(path, "re") : NULL;
	if (file) {
		if (fscanf(file, "%d", &pid) != 1)
			pid = 0;
		fclose(file);
	}
	free(path);
	return (pid_t)pid;
}
