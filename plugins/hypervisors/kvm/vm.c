/* SPDX-License-Identifier: MIT */
/* Making, cloning, listing and deleting VMs: a defined domain, an overlay, a console file. */
#include "bridge.h"

#include "knob.h"
#include "xml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Firmware does not boot from a virtio disk of one sector. */
#define STUB_BYTES (UINT64_C(1) << 20)

/* Everything that a specification points to and that must be freed with it. */
struct making {
	struct kvm_spec spec;
	char *disk, *console, *image, *beat;
	struct kvm_interface *interfaces;
};

static void unmake(struct making *making)
{
	free(making->disk);
	free(making->console);
	free(making->image);
	free(making->beat);
	free(making->interfaces);
}

static int memory(struct kvm *self, nova_op op)
{
	return self->host->error(op, NOVA_E_MEMORY, "out of memory");
}

/* An image is a path or the name of one that image_put brought. */
static int find_image(struct kvm *self, nova_op op, const struct nova_shape *shape,
                      struct making *making)
{
	if (!shape->image)
		return NOVA_DONE;
	making->image = strchr(shape->image, '/') ? realpath(shape->image, NULL)
	                                          : kvm_format("%s/%s", self->images, shape->image);
	making->spec.backing = making->image;
	making->spec.backing_format = making->image ? kvm_disk_format(making->image) : NULL;
	if (!making->spec.backing_format)
		return self->host->errorf(op, errno == ENOENT ? NOVA_E_NOT_FOUND : NOVA_E_IO,
		                          "cannot use the image %s: %s", shape->image,
		                          strerror(errno));
	return kvm_access_path(self, op, making->image);
}

static int find_kernel(struct kvm *self, nova_op op, const struct nova_shape *shape)
{
	const char *files[] = {shape->kernel, shape->initrd};
	if (!shape->kernel)
		return self->host->error(op, NOVA_E_INVALID, "direct boot needs a kernel");
	for (int i = 0; i < 2; i++) {
		if (files[i] && self->local && access(files[i], R_OK) != 0)
			return self->host->errorf(
			        op, errno == ENOENT ? NOVA_E_NOT_FOUND : NOVA_E_PERMISSION,
			        "cannot read %s: %s", files[i], strerror(errno));
		int status = files[i] ? kvm_access_path(self, op, files[i]) : NOVA_DONE;
		if (status != NOVA_DONE)
			return status;
	}
	return NOVA_DONE;
}

static int join_networks(struct kvm *self, nova_op op, const char *name,
                         const struct nova_shape *shape, struct making *making)
{
	size_t count = 0;
	while (shape->networks && shape->networks[count])
		count++;
	if (count == 0)
		return NOVA_DONE;
	making->interfaces = calloc(count, sizeof(*making->interfaces));
	if (!making->interfaces)
		return memory(self, op);
	for (size_t i = 0; i < count; i++) {
		struct kvm_interface *interface = &making->interfaces[i];
		struct kvm_net net;
		int status = kvm_net_join(self, op, shape->networks[i], &net);
		if (status != NOVA_DONE)
			return status;
		interface->type = net.kind == NOVA_NET_NAT ? KVM_NET_USER
		                  : net.bridged            ? KVM_NET_TAP
		                                           : KVM_NET_UDP;
		interface->local_port = net.ports[(net.members - 1) & 1];
		interface->peer_port = net.ports[net.members & 1];
		kvm_mac(name, i, interface->mac);
		if (net.bridged)
			status = kvm_bridge_join(self, op, net.name, name, i, interface->tap);
		if (status != NOVA_DONE)
			return status;
	}
	making->spec.interfaces = making->interfaces;
	making->spec.interface_count = count;
	return NOVA_DONE;
}

static int fill(struct kvm *self, nova_op op, const char *name, const struct nova_shape *shape,
                struct making *making)
{
	struct kvm_spec *spec = &making->spec;
	char *port;
	*spec = (struct kvm_spec){.name = name,
	                          .type = self->accelerated ? "kvm" : "qemu",
	                          .machine = kvm_text(self, "machine", "q35"),
	                          .emulator = kvm_text(self, "emulator", self->emulator),
	                          .boot = shape->boot,
	                          .vcpus = shape->vcpus,
	                          .memory_bytes = shape->memory_bytes,
	                          .kernel = shape->kernel,
	                          .initrd = shape->initrd,
	                          .cmdline = shape->cmdline};
	if (shape->boot == NOVA_BOOT_TEMPLATE)
		return self->host->error(op, NOVA_E_UNSUPPORTED,
		                         "libvirt has no templates: use boot from disk, with the "
		                         "template's disk as the image, or clone a VM");
	if (shape->boot < NOVA_BOOT_DIRECT || shape->boot > NOVA_BOOT_STUB || shape->vcpus == 0 ||
	    shape->memory_bytes < 1 << 20)
		return self->host->errorf(
		        op, NOVA_E_INVALID,
		        "a VM needs a way to boot (%u is none), at least 1 vCPU and "
		        "1 MiB of memory",
		        shape->boot);
	if (shape->boot != NOVA_BOOT_DIRECT && !shape->image)
		return self->host->error(op, NOVA_E_INVALID, "booting from disk needs an image");
	if (shape->heartbeat && kvm_beat_parse(shape->heartbeat, &making->beat, &port) != 0)
		return self->host->errorf(op, NOVA_E_INVALID,
		                          "heartbeat %s is not of the form udp:ADDRESS:PORT",
		                          shape->heartbeat);
	if (making->beat) {
		spec->beat_host = making->beat;
		spec->beat_port = port;
	}
	making->console = kvm_format("%s/%s.console", self->run, name);
	if (!making->console)
		return memory(self, op);
	spec->console = making->console;
	int status = shape->boot == NOVA_BOOT_DIRECT ? find_kernel(self, op, shape) : NOVA_DONE;
	if (status == NOVA_DONE)
		status = find_image(self, op, shape, making);
	if (status == NOVA_DONE)
		status = kvm_place_disk(self, op, name, shape->place, &making->disk);
	spec->disk = shape->image || shape->disk_bytes ? making->disk : NULL;
	if (status == NOVA_DONE)
		status = join_networks(self, op, name, shape, making);
	return status;
}

/* What a VM cannot have is an error if somebody asked for it, and ignored as a mere default. */
static int apply_knobs(struct kvm *self, nova_op op, xmlDocPtr doc, const struct nova_shape *shape)
{
	for (int i = 0; kvm_knobs[i]; i++) {
		const char *value = kvm_text(self, kvm_knobs[i]->parameter, NULL);
		if (value && strcmp(value, "auto") == 0) /* of the CPU */
			value = self->accelerated ? "host-passthrough" : "maximum";
		if (value && kvm_knob_check(kvm_knobs[i], value) != 0)
			return self->host->errorf(
			        op, NOVA_E_INVALID, "%s cannot be %s; it takes %s",
			        kvm_knobs[i]->parameter, value, kvm_knobs[i]->values);
		if (value)
			kvm_knobs[i]->apply(doc, value);
	}
	for (const char *const *text = shape->knobs; text && *text; text++) {
		const char *value = strchr(*text, '=');
		const struct kvm_knob *knob =
		        value ? kvm_knob_find(*text, (size_t)(value - *text)) : NULL;
		if (!knob)
			return self->host->errorf(op, NOVA_E_INVALID,
			                          "there is no knob %s; did you mean %s=…?", *text,
			                          kvm_knob_nearest(*text));
		if (kvm_knob_check(knob, value + 1) != 0)
			return self->host->errorf(op, NOVA_E_INVALID,
			                          "%s cannot be %s; it takes %s", knob->name,
			                          value + 1, knob->values);
		if (knob->apply(doc, value + 1) != 0)
			return self->host->errorf(op, NOVA_E_UNSUPPORTED,
			                          "%s does not apply: the VM has no such device",
			                          knob->name);
	}
	return NOVA_DONE;
}

/* QEMU's user writes to the console, so the file must be its own before. */
static int make_console(struct kvm *self, nova_op op, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return self->host->errorf(op, errno == ENOSPC ? NOVA_E_FULL : NOVA_E_IO,
		                          "cannot make the console file %s: %s", path,
		                          strerror(errno));
	close(fd);
	return kvm_access_give(self, op, path);
}

static int define(struct kvm *self, nova_op op, const char *name, const struct nova_shape *shape,
                  const struct kvm_spec *spec)
{
	char uuid[VIR_UUID_STRING_BUFLEN], *text = NULL;
	virDomainPtr domain = NULL;
	xmlDocPtr doc = kvm_xml_domain(spec);
	int status = doc ? apply_knobs(self, op, doc, shape) : memory(self, op);
	if (status != NOVA_DONE)
		goto done;
	text = kvm_xml_text(doc);
	if (!text) {
		status = memory(self, op);
		goto done;
	}
	domain = virDomainDefineXMLFlags(self->connection, text, VIR_DOMAIN_DEFINE_VALIDATE);
	if (!domain || virDomainGetUUIDString(domain, uuid) != 0) {
		status = kvm_fail(self, op, "define VM", name);
		goto done;
	}
	self->host->put_fact(op, NOVA_FIELD_ID, "", uuid);
done:
	if (domain)
		virDomainFree(domain);
	free(text);
	xmlFreeDoc(doc);
	return status;
}

static int check_new(struct kvm *self, nova_op op, const char *name)
{
	int status = kvm_check_name(self, op, name);
	virDomainPtr old =
	        status == NOVA_DONE ? virDomainLookupByName(self->connection, name) : NULL;
	if (!old)
		return status;
	virDomainFree(old);
	return self->host->errorf(op, NOVA_E_EXISTS, "a VM named %s exists already", name);
}

static int make(struct kvm *self, nova_op op, const char *name, const struct nova_shape *shape,
                const char *copied)
{
	struct making making = {.disk = NULL};
	int status = check_new(self, op, name);
	if (status != NOVA_DONE)
		return status;
	status = fill(self, op, name, shape, &making);
	if (status == NOVA_DONE)
		status = make_console(self, op, making.console);
	if (status == NOVA_DONE && copied)
		status = kvm_disk_copy(self, op, copied, making.disk);
	if (status == NOVA_DONE && copied)
		status = kvm_access_give(self, op, making.disk);
	if (status == NOVA_DONE && making.spec.disk && !copied)
		status = kvm_disk_overlay(
		        self, op, making.disk, making.image, making.spec.backing_format,
		        shape->boot == NOVA_BOOT_STUB && !shape->disk_bytes ? STUB_BYTES
		                                                            : shape->disk_bytes);
	if (status == NOVA_DONE)
		status = define(self, op, name, shape, &making.spec);
	if (status != NOVA_DONE) {
		if (making.disk)
			unlink(making.disk);
		kvm_place_forget(self, name);
		kvm_bridge_leave(name);
		if (making.console)
			unlink(making.console);
	}
	unmake(&making);
	return status;
}

int kvm_vm_create(void *instance, nova_op op, const char *name, const struct nova_shape *shape)
{
	return make(instance, op, name, shape, NULL);
}

/* A clone gets a copy of the overlay, over the same image; the source must be off meanwhile. */
int kvm_vm_clone(void *instance, nova_op op, const char *name, const struct nova_ref *from,
                 const struct nova_shape *shape)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	xmlDocPtr doc = NULL;
	char *text = NULL, *disk = NULL;
	int status = kvm_lookup(self, op, from, &domain);
	if (status != NOVA_DONE)
		return status;
	if (virDomainIsActive(domain) != 0) {
		status = self->host->errorf(op, NOVA_E_BUSY,
		                            "cannot clone VM %s while it runs: shut it down first",
		                            from->name);
		goto done;
	}
	text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	doc = text ? kvm_xml_parse(text) : NULL;
	disk = doc ? kvm_xml_find(doc, "/domain/devices/disk[1]/source/@file") : NULL;
	if (!disk)
		status = self->host->errorf(op, NOVA_E_UNSUPPORTED, "VM %s has no disk to clone",
		                            from->name);
	else
		status = make(self, op, name, shape, disk);
done:
	free(disk);
	free(text);
	xmlFreeDoc(doc);
	virDomainFree(domain);
	return status;
}

/* Deletes a file of the VM: only one that bears its name, whatever the definition says. */
static void delete_file(xmlDocPtr doc, const char *xpath, const char *name, const char *suffix)
{
	char *path = kvm_xml_find(doc, xpath);
	const char *base = path ? strrchr(path, '/') : NULL;
	size_t length = strlen(name);
	if (base && strncmp(base + 1, name, length) == 0 && strcmp(base + 1 + length, suffix) == 0)
		unlink(path);
	free(path);
}

static int undefine(struct kvm *self, nova_op op, virDomainPtr domain, const char *name)
{
	const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
	                       VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM |
	                       VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
	/* Again if somebody else started it, or it stopped by itself, in between. */
	for (int attempt = 0;; attempt++) {
		bool stopped = virDomainIsActive(domain) != 1 || virDomainDestroy(domain) == 0;
		if (stopped && (virDomainIsPersistent(domain) == 0 ||
		                virDomainUndefineFlags(domain, flags) == 0))
			return NOVA_DONE;
		if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
			return NOVA_DONE;
		if (attempt == 3)
			return kvm_fail(self, op, stopped ? "delete VM" : "power off VM", name);
	}
}

int kvm_vm_delete(void *instance, nova_op op, const struct nova_ref *ref)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	xmlDocPtr doc = NULL;
	char *text = NULL;
	int status = kvm_check_name(self, op, ref->name);
	if (status != NOVA_DONE)
		return status;
	domain = ref->id && *ref->id ? virDomainLookupByUUIDString(self->connection, ref->id)
	                             : virDomainLookupByName(self->connection, ref->name);
	if (!domain && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
		kvm_place_forget(self, ref->name); /* made, and killed before it was defined */
		kvm_bridge_leave(ref->name);
		kvm_watch_forget(self, ref->name);
		return NOVA_DONE;
	}
	if (domain)
		virDomainFree(domain);
	status = kvm_lookup(self, op, ref, &domain);
	if (status != NOVA_DONE)
		return status;
	text = virDomainGetXMLDesc(domain, 0);
	status = undefine(self, op, domain, ref->name);
	doc = status == NOVA_DONE && text ? kvm_xml_parse(text) : NULL;
	if (doc && self->local) {
		delete_file(doc, "/domain/devices/disk[1]/source/@file", ref->name, ".qcow2");
		delete_file(doc, "/domain/devices/serial[1]/source/@path", ref->name, ".console");
	}
	if (status == NOVA_DONE) {
		kvm_place_forget(self, ref->name);
		kvm_bridge_leave(ref->name);
		kvm_watch_forget(self, ref->name);
	}
	free(text);
	xmlFreeDoc(doc);
	virDomainFree(domain);
	return status;
}

int kvm_vm_list(void *instance, nova_op op, const char *prefix)
{
	struct kvm *self = instance;
	virDomainPtr *domains = NULL;
	char uuid[VIR_UUID_STRING_BUFLEN];
	int status = kvm_check_name(self, op, prefix);
	int count =
	        status == NOVA_DONE ? virConnectListAllDomains(self->connection, &domains, 0) : 0;
	if (count < 0)
		return kvm_fail(self, op, "list the VMs of", self->uri);
	for (int i = 0; i < count; i++) {
		const char *name = virDomainGetName(domains[i]);
		if (strncmp(name, prefix, strlen(prefix)) == 0 &&
		    virDomainGetUUIDString(domains[i], uuid) == 0)
			self->host->put_fact(op, NOVA_FIELD_VM, name, uuid);
		virDomainFree(domains[i]);
	}
	free(domains);
	return status;
}
