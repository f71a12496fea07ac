/* SPDX-License-Identifier: MIT */
/* Making VMs: from a container image with a disk in it, from a volume that is copied, from a VM. */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB 1048576u

/* --- names ------------------------------------------------------------------------------------ */

/* "novacore-INSTALLATION-RUN-N": the installation, as the value of our label. */
static void installation_of(const char *name, char out[NAME_BYTES])
{
	const char *begin = name + strlen(OUR_PREFIX);
	size_t length = strcspn(begin, "-");

	snprintf(out, NAME_BYTES, "%.*s", (int)(length ? length : 1), length ? begin : "x");
}

/* "[KIND:][NAMESPACE/]NAME" */
struct source {
	char kind[16], namespace[NAME_BYTES], name[254];
};

static int read_source(const struct kubevirt *self, const char *text, struct source *out)
{
	const char *colon = strchr(text, ':');
	const char *rest = colon ? colon + 1 : text;
	const char *slash = strchr(rest, '/');
	const char *name = slash ? slash + 1 : rest;

	memset(out, 0, sizeof(*out));
	if ((colon && (size_t)(colon - text) >= sizeof(out->kind)) ||
	    (slash && (size_t)(slash - rest) >= sizeof(out->namespace)) ||
	    strlen(name) >= sizeof(out->name))
		return 0;
	snprintf(out->kind, sizeof(out->kind), "%.*s", colon ? (int)(colon - text) : 3,
	         colon ? text : "pvc");
	snprintf(out->namespace, sizeof(out->namespace), "%.*s",
	         slash ? (int)(slash - rest) : NAME_BYTES - 1, slash ? rest : self->namespace);
	snprintf(out->name, sizeof(out->name), "%s", name);
	return is_name(out->namespace) && name[0] &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name) &&
	       (strcmp(out->kind, "pvc") == 0 || strcmp(out->kind, "datasource") == 0 ||
	        strcmp(out->kind, "snapshot") == 0);
}

/* --- what a VM is made of --------------------------------------------------------------------- */

/* The root disk as a copy of a volume, made by the containerized data importer. */
static json_t *volume_template(const struct kubevirt *self, const char *name,
                               const char *installation, const struct source *source,
                               const struct nova_shape *shape)
{
	const char *class = shape->place ? shape->place : self->storage_class;
	json_t *storage = class ? json_pack("{ss}", "storageClassName", class) : json_object();
	json_t *from = json_pack("{ssss}", "namespace", source->namespace, "name", source->name);
	json_t *spec = json_pack("{so}", "storage", storage);
	char disk[NAME_BYTES + 8], size[32];

	if (shape->disk_bytes) {
		snprintf(size, sizeof(size), "%llu", (unsigned long long)shape->disk_bytes);
		json_object_set_new(storage, "resources",
		                    json_pack("{s{ss}}", "requests", "storage", size));
	}
	if (strcmp(source->kind, "datasource") == 0) {
		json_object_set_new(from, "kind", json_string("DataSource"));
		json_object_set_new(spec, "sourceRef", from);
	} else {
		json_object_set_new(spec, "source", json_pack("{so}", source->kind, from));
	}
	snprintf(disk, sizeof(disk), "%s-root", name);
	return json_pack("{s{sss{ss}}so}", "metadata", "name", disk, "labels", OUR_LABEL,
	                 installation, "spec", spec);
}

/* Pods of one installation are spread over the nodes, but none waits for that. */
static json_t *spread_of(const char *installation)
{
	return json_pack("[{sisssss{s{ss}}}]", "maxSkew", 1, "topologyKey",
	                 "kubernetes.io/hostname", "whenUnsatisfiable", "ScheduleAnyway",
	                 "labelSelector", "matchLabels", OUR_LABEL, installation);
}

static json_t *domain_of(const struct nova_shape *shape)
{
	uint32_t vcpus = shape->vcpus ? shape->vcpus : 1;
	uint64_t mib = (shape->memory_bytes + MIB - 1) / MIB;
	char memory[32];

	snprintf(memory, sizeof(memory), "%lluMi", (unsigned long long)(mib < 16 ? 512 : mib));
	/* masquerade: with the bridge that is the default, no VM can be migrated */
	return json_pack("{s{si}s{ss}s{s[{sss{ss}}]s[{sss{}}]s{}}}", "cpu", "cores", (int)vcpus,
	                 "memory", "guest", memory, "devices", "disks", "name", "root", "disk",
	                 "bus", "virtio", "interfaces", "name", "default", "masquerade", "rng");
}

static json_t *template_of(const struct kubevirt *self, const char *installation,
                           const struct nova_shape *shape, json_t *root)
{
	json_t *spec = json_pack("{sos[{sss{}}]s[o]sI}", "domain", domain_of(shape), "networks",
	                         "name", "default", "pod", "volumes", root,
	                         "terminationGracePeriodSeconds", (json_int_t)self->grace_s);

	if (self->spread && !self->node)
		json_object_set_new(spec, "topologySpreadConstraints", spread_of(installation));
	if (self->node)
		json_object_set_new(spec, "nodeSelector",
		                    json_pack("{ss}", "kubernetes.io/hostname", self->node));
	return json_pack("{s{s{ss}}so}", "metadata", "labels", OUR_LABEL, installation, "spec",
	                 spec);
}

/*
 * Cloud images let nobody in before cloud-init has told them whom: the public half of our key, by a
 * small disk beside the root's (a template's JSON is YAML). Other systems do not look at it.
 */
static int add_cloud_init(const struct kubevirt *self, json_t *template)
{
	char line[1024];
	const char *user = param_text(self, "ssh_user");
	struct nova_text data = {0};
	json_t *config, *disk, *volume;

	if (!self->ssh || !self->cloud_init)
		return 1;
	if (!nova_ssh_public_key(self->ssh, line, sizeof(line)))
		return 0;
	config = json_pack("{sbs[{sss[s]}]}", "disable_root", 0, "users", "name",
	                   user ? user : "root", "ssh_authorized_keys", line);
	nova_text_add(&data, "#cloud-config\n");
	nova_json_write(&data, config);
	disk = json_pack("{sss{ss}}", "name", "cloudinit", "disk", "bus", "virtio");
	volume = json_pack("{sss{ss}}", "name", "cloudinit", "cloudInitNoCloud", "userData",
	                   nova_text_get(&data));
	json_array_append_new(nova_json_at(template, "spec.domain.devices.disks"), disk);
	json_array_append_new(nova_json_at(template, "spec.volumes"), volume);
	json_decref(config);
	nova_text_free(&data);
	return volume && disk;
}

static json_t *machine_of(const char *name, const char *installation, json_t *template,
                          json_t *volumes)
{
	json_t *spec = json_pack("{ssso}", "runStrategy", "Halted", "template", template);

	if (volumes)
		json_object_set_new(spec, "dataVolumeTemplates", json_pack("[o]", volumes));
	return json_pack("{sssss{sss{ss}}so}", "apiVersion", "kubevirt.io/v1", "kind",
	                 "VirtualMachine", "metadata", "name", name, "labels", OUR_LABEL,
	                 installation, "spec", spec);
}

/* NULL: out of memory. `source` NULL: `image` is a container's. */
static json_t *new_machine(const struct kubevirt *self, const char *name,
                           const struct nova_shape *shape, const char *image,
                           const struct source *source)
{
	char installation[NAME_BYTES], disk[NAME_BYTES + 8];
	json_t *root, *template;

	installation_of(name, installation);
	snprintf(disk, sizeof(disk), "%s-root", name);
	root = source ? json_pack("{sss{ss}}", "name", "root", "dataVolume", "name", disk)
	              : json_pack("{sss{ss}}", "name", "root", "containerDisk", "image", image);
	template = template_of(self, installation, shape, root);
	if (!template || !add_cloud_init(self, template)) {
		json_decref(template);
		return NULL;
	}
	knobs_put(template, shape->knobs);
	return machine_of(name, installation, template,
	                  source ? volume_template(self, name, installation, source, shape) : NULL);
}

/* --- making it -------------------------------------------------------------------------------- */

static void ask_provisioned(struct nova_call *base)
{
	const struct call *call = (const struct call *)base;

	nova_call_send(base, NULL, "GET", NULL, KUBEVIRT "/%s/virtualmachines/%s",
	               call->self->namespace, call->name);
}

static int look_provisioned(struct nova_call *base, const struct nova_reply *reply,
                            struct nova_text *words)
{
	const char *status = nova_json_text(reply->json, "status.printableStatus", "");
	const char *why = condition_complaint(reply->json, "Ready");

	(void)base;
	/* a volume that is bound only when somebody uses it is made when the VM starts */
	if (strcmp(status, "Stopped") == 0 || strcmp(status, "WaitingForVolumeBinding") == 0)
		return NOVA_DONE;
	if (strcmp(status, "DataVolumeError") != 0 && strcmp(status, "ErrorPvcNotFound") != 0 &&
	    strcmp(status, "ErrorDataVolumeNotFound") != 0)
		return NOVA_PENDING;
	nova_text_printf(words, "%s%s%s", status, why ? ": " : "", why ? why : "");
	return NOVA_E_FAILED;
}

static void provisioned(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_done(base);
}

static void made(struct call *call, json_t *data)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_provisioned,
	                         .look = look_provisioned,
	                         .then = provisioned};
	const char *uid = nova_json_text(data, "metadata.uid", "");
	struct vm *vm = watch_know(call->self, call->name);

	if (!uid[0]) {
		nova_call_puzzled(&call->base, "a new VirtualMachine without uid");
		return;
	}
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", uid);
	if (vm)
		watch_prime(call->self, call->name, NULL); /* it has no instance yet */
	snprintf(poll.name, sizeof(poll.name), "the disk of VM %s", call->name);
	if (!vm)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (nova_json_count(data, "spec.dataVolumeTemplates"))
		nova_call_poll(&call->base, &poll);
	else
		nova_call_done(&call->base);
}

static void send_spec(struct call *call)
{
	json_t *spec = call->spec;

	call->spec = NULL;
	call_send(call, made, "POST", spec, KUBEVIRT "/%s/virtualmachines", call->self->namespace);
}

/* What a shape asks for that this driver cannot give; NULL: nothing. */
static const char *impossible(const struct nova_shape *shape, const char *image)
{
	if (shape->boot == NOVA_BOOT_DIRECT)
		return "KubeVirt boots only kernels that are in a container image: set "
		       "vm.SHAPE.boot "
		       "to disk or template (run.shape says which SHAPE is used)";
	if (shape->boot == NOVA_BOOT_STUB)
		return "KubeVirt takes no boot sector from this host: use boot = \"disk\" or "
		       "\"template\"";
	if (shape->networks && shape->networks[0])
		return "this driver makes no networks: VMs use the pod network";
	if (shape->heartbeat)
		return "KubeVirt has no serial port that sends to the network";
	if (shape->boot == NOVA_BOOT_TEMPLATE && !image)
		return "no template named: set hypervisor.kubevirt.template or the shape's image";
	if (shape->boot == NOVA_BOOT_DISK && !image)
		return "no image named: set hypervisor.kubevirt.container_disk or the shape's "
		       "image "
		       "(a container image with a disk in it)";
	if (shape->boot == NOVA_BOOT_DISK && shape->disk_bytes)
		return "a container disk has the size of its image: set the shape's disk to 0";
	if (shape->boot == NOVA_BOOT_DISK && shape->place)
		return "a container disk lies where its pod runs: leave out place, or boot a "
		       "template";
	return NULL;
}

static int is_image(const char *text)
{
	for (const char *at = text; *at; at++) {
		if (*at <= ' ' || *at > '~')
			return 0;
	}
	return strlen(text) < 512;
}

int kubevirt_vm_create(void *self, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct kubevirt *kubevirt = self;
	int copies = shape->boot == NOVA_BOOT_TEMPLATE;
	const char *image = shape->image && shape->image[0] ? shape->image
	                    : copies                        ? kubevirt->template
	                                                    : kubevirt->container_disk;
	const char *why = impossible(shape, image);
	struct source source;
	struct call *call;
	int code;

	if (why)
		return kubevirt->host->error(op, NOVA_E_UNSUPPORTED, why);
	if (copies ? !read_source(kubevirt, image, &source) : !is_image(image))
		return kubevirt->host->errorf(
		        op, NOVA_E_INVALID, "'%.200s' is not %s", image,
		        copies ? "a template: [pvc:|datasource:|snapshot:][NAMESPACE/]NAME"
		               : "a container image's name");
	code = knobs_check(kubevirt, op, shape->knobs);
	if (code != NOVA_DONE)
		return code;
	call = call_new(kubevirt, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (call_set_name(call, name)) {
		call->spec = new_machine(kubevirt, name, shape, image, copies ? &source : NULL);
		send_spec(call);
	}
	return nova_call_return(&call->base);
}

/* --- clones ----------------------------------------------------------------------------------- */

/* The root disk of the source's own volume, or NULL: it has a container disk. */
static const char *root_volume(const json_t *object)
{
	size_t i;
	json_t *volume;

	json_array_foreach(nova_json_at(object, "spec.template.spec.volumes"), i, volume)
	{
		if (nova_json_at(volume, "dataVolume"))
			return nova_json_text(volume, "dataVolume.name", "");
	}
	return NULL;
}

static const char *container_image(const json_t *object)
{
	return nova_json_text(object, "spec.template.spec.volumes[0].containerDisk.image", NULL);
}

/* A container disk keeps nothing: there a clone is a new VM of the same image. */
static void clone_source(struct call *call, json_t *data)
{
	const char *volume = root_volume(call->object);
	const char *image = container_image(call->object);
	const struct nova_shape shape = {.struct_size = sizeof(shape),
	                                 .vcpus = call->vcpus,
	                                 .memory_bytes = call->memory_bytes};
	struct source source = {.kind = "pvc"};

	(void)data;
	if (vm_has_instance(call) && volume) {
		nova_call_fail(&call->base, NOVA_E_BUSY,
		               "VM '%s' is running: its disk can be copied only when it is off",
		               call->name);
		return;
	}
	if (!volume && !image) {
		nova_call_fail(&call->base, NOVA_E_FAILED, "VM '%s' has no root disk to copy",
		               call->name);
		return;
	}
	snprintf(source.namespace, sizeof(source.namespace), "%s", call->self->namespace);
	snprintf(source.name, sizeof(source.name), "%s", volume ? volume : "");
	/* from here on the call is about the new VM */
	if (!call_set_name(call, call->prefix))
		return;
	call->spec = new_machine(call->self, call->name, &shape, image, volume ? &source : NULL);
	knobs_copy(call->object, call->spec);
	send_spec(call);
}

int kubevirt_vm_clone(void *self, nova_op op, const char *name, const struct nova_ref *from,
                      const struct nova_shape *shape)
{
	struct call *call = call_new(self, op, from);

	if (!call)
		return NOVA_E_MEMORY;
	call->prefix = strdup(name);
	if (!call->prefix)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	call->vcpus = shape->vcpus;
	call->memory_bytes = shape->memory_bytes;
	if (call->name[0] && call->prefix)
		vm_look(call, clone_source);
	return nova_call_return(&call->base);
}
