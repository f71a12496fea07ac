/* SPDX-License-Identifier: MIT */
/* What this target is and can do, each "no" with its reason. */
#include "kvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const able[] = {
        NOVA_CAN_CREATE, NOVA_CAN_CLONE, NOVA_CAN_START,    NOVA_CAN_SHUTDOWN,
        NOVA_CAN_PAUSE,  NOVA_CAN_RESET, NOVA_CAN_SNAPSHOT, NOVA_CAN_EXEC,
        NOVA_CAN_READY,  NOVA_CAN_STATS, NOVA_CAN_ADDRESS,  NOVA_CAN_KNOBS,
        NOVA_CAN_DIRECT, NOVA_CAN_DISK,  NOVA_CAN_PIN,      NULL};
/* What works with files or sockets of the machine that novacore runs on. */
static const char *const here[] = {NOVA_CAN_BEAT,    NOVA_CAN_STUB,  NOVA_CAN_IMAGE,
                                   NOVA_CAN_NETWORK, NOVA_CAN_PLACE, NULL};

static void put_version(struct kvm *self, nova_op op, const char *key, unsigned long number)
{
	char *text =
	        kvm_format("%lu.%lu.%lu", number / 1000000, number / 1000 % 1000, number % 1000);
	if (text && number)
		self->host->put_fact(op, NOVA_FIELD_FACT, key, text);
	free(text);
}

static void hear(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	char *text = context;
	if (field != NOVA_FIELD_STDOUT || *text)
		return;
	snprintf(text, 128, "%.*s", (int)(count < 127 ? count : 127), (const char *)bytes);
}

/*
 * libvirt asks the emulator that it found itself, which may take it seconds (see kvm_hide_kvm), so
 * where another is used, that one is asked: "QEMU emulator version 7.2.22 (Debian …)".
 */
static int put_qemu(struct kvm *self, nova_op op)
{
	const char *emulator = kvm_text(self, "emulator", self->emulator);
	unsigned long number = 0;
	char text[128] = "", *version;
	int32_t code = 0;
	if (!emulator || !self->local) {
		if (virConnectGetVersion(self->connection, &number) != 0)
			return kvm_fail(self, op, "ask for QEMU's version at", self->uri);
		put_version(self, op, "version", number);
		return NOVA_DONE;
	}
	const struct nova_exec exec = {.struct_size = sizeof(exec),
	                               .argv = (const char *const[]){emulator, "--version", NULL}};
	int status = self->host->process(op, &exec, hear, text, &code);
	version = strstr(text, "version ");
	if (status == NOVA_DONE && version) {
		version += strlen("version ");
		version[strcspn(version, " \n")] = '\0';
		self->host->put_fact(op, NOVA_FIELD_FACT, "version", version);
	}
	return status;
}

static void put_migration(struct kvm *self, nova_op op)
{
	static const char *const ways[] = {NOVA_CAN_MIGRATE, NOVA_CAN_CONVERGE, NOVA_CAN_COMPRESS,
	                                   NOVA_CAN_PARALLEL, NULL};
	const char *why =
	        self->embedded ? "libvirt's embedded driver cannot migrate: use --pair local, or "
	                         "two targets with URIs of two libvirt daemons"
	                       : NULL;
	for (int i = 0; ways[i]; i++)
		self->host->put_fact(op, NOVA_FIELD_CAPABILITY, ways[i], why);
	self->host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_POST_COPY,
	                     why ? why : kvm_no_post_copy(self));
	char *sockets =
	        kvm_format("networks are sockets of two QEMUs, and a third cannot take one's "
	                   "place: %s",
	                   self->network_why);
	self->host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_ROAM,
	                     why             ? why
	                     : self->bridged ? NULL
	                     : sockets       ? sockets
	                                     : "networks are sockets");
	free(sockets);
}

int kvm_describe(void *instance, nova_op op)
{
	struct kvm *self = instance;
	const struct nova_host *host = self->host;
	unsigned long libvirt = 0;
	int status = put_qemu(self, op);
	if (status != NOVA_DONE)
		return status;
	virConnectGetLibVersion(self->connection, &libvirt);
	host->put_fact(op, NOVA_FIELD_FACT, "product", "QEMU/KVM");
	put_version(self, op, "libvirt", libvirt);
	host->put_fact(op, NOVA_FIELD_FACT, "uri", self->uri);
	host->put_fact(op, NOVA_FIELD_FACT, "accel", self->accelerated ? "kvm" : "tcg");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why", self->accel_why);
	host->put_fact(op, NOVA_FIELD_FACT, "network", self->bridged ? "bridge" : "socket");
	host->put_fact(op, NOVA_FIELD_FACT, "network.why", self->network_why);
	host->put_fact(op, NOVA_FIELD_FACT, "image.format", "qcow2");
	host->put_fact(op, NOVA_FIELD_FACT, "machine", kvm_text(self, "machine", "q35"));
	host->put_fact(op, NOVA_FIELD_FACT, "cpu", kvm_text(self, "cpu", "auto"));
	for (int i = 0; able[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, able[i], NULL);
	for (int i = 0; here[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, here[i],
		               self->local
		                       ? NULL
		                       : "needs files and sockets of the hypervisor's host, which "
		                         "a libvirt URI of another machine does not give");
	put_migration(self, op);
	host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_TEMPLATE,
	               "libvirt has no templates: boot a disk image, or clone a VM");
	host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_TWIN, kvm_no_twin(self));
	return NOVA_DONE;
}
