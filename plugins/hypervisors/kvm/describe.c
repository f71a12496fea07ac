/* SPDX-License-Identifier: MIT */
/* What this target is and can do, each "no" with its reason. */
#include "kvm.h"

#include <stdlib.h>

static const char *const able[] = {NOVA_CAN_CREATE,
                                   NOVA_CAN_CLONE,
                                   NOVA_CAN_START,
                                   NOVA_CAN_SHUTDOWN,
                                   NOVA_CAN_PAUSE,
                                   NOVA_CAN_RESET,
                                   NOVA_CAN_SNAPSHOT,
                                   NOVA_CAN_EXEC,
                                   NOVA_CAN_READY,
                                   NOVA_CAN_STATS,
                                   NOVA_CAN_ADDRESS,
                                   NOVA_CAN_KNOBS,
                                   NULL};
/* What works with files or sockets of the machine that novacore runs on. */
static const char *const here[] = {NOVA_CAN_BEAT, NOVA_CAN_STUB, NOVA_CAN_IMAGE, NOVA_CAN_NETWORK,
                                   NULL};

static void put_version(struct kvm *self, nova_op op, const char *key, unsigned long number)
{
	char *text =
	        kvm_format("%lu.%lu.%lu", number / 1000000, number / 1000 % 1000, number % 1000);
	if (text && number)
		self->host->put_fact(op, NOVA_FIELD_FACT, key, text);
	free(text);
}

int kvm_describe(void *instance, nova_op op)
{
	struct kvm *self = instance;
	const struct nova_host *host = self->host;
	unsigned long qemu = 0, libvirt = 0;
	if (virConnectGetVersion(self->connection, &qemu) != 0)
		return kvm_fail(self, op, "ask for QEMU's version at", self->uri);
	virConnectGetLibVersion(self->connection, &libvirt);
	host->put_fact(op, NOVA_FIELD_FACT, "product", "QEMU/KVM");
	put_version(self, op, "version", qemu);
	put_version(self, op, "libvirt", libvirt);
	host->put_fact(op, NOVA_FIELD_FACT, "uri", self->uri);
	host->put_fact(op, NOVA_FIELD_FACT, "accel", self->accelerated ? "kvm" : "tcg");
	host->put_fact(op, NOVA_FIELD_FACT, "accel.why", self->accel_why);
	host->put_fact(op, NOVA_FIELD_FACT, "machine", kvm_text(self, "machine", "pc"));
	host->put_fact(op, NOVA_FIELD_FACT, "cpu", kvm_text(self, "cpu", "auto"));
	for (int i = 0; able[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, able[i], NULL);
	for (int i = 0; here[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, here[i],
		               self->local
		                       ? NULL
		                       : "needs files and sockets of the hypervisor's host, which "
		                         "a libvirt URI of another machine does not give");
	host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_MIGRATE,
	               self->embedded ? "libvirt's embedded driver cannot migrate: use two libvirt "
	                                "daemons and their URIs"
	                              : NULL);
	host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_TWIN,
	               "starting a second local libvirt is not built yet");
	return NOVA_DONE;
}
