/* SPDX-License-Identifier: MIT */
/*
 * Images: raw disks of this host that are put on the datastore, each in a directory of its own, as
 * the two files that a disk of a VM is there: what is on it, and what it is. A VM gets a copy.
 */
#include "vsphere.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
/* Keys of devices that are being added: negative, as they are not the server's yet. */
#define CONTROLLER_KEY (-101)
#define DISK_KEY       (-102)

/* --- files of the datastore ---------------------------------------------------------------------
 */

/* "[datastore] IMAGE" and what follows. */
static void add_path(struct call *call, const char *element, const char *image, const char *rest)
{
	struct nova_text path = {0};

	nova_text_printf(&path, "[%s] %s%s", call->self->place.datastore_name, image, rest);
	nova_xml_add(&call->body, element, nova_text_get(&path));
	call->body.broken |= path.broken;
	nova_text_free(&path);
}

/* "/folder/IMAGE/IMAGE.vmdk?dcPath=…&dsName=…", see the vSphere Web Services SDK's "Datastore
 * access by HTTP". */
static void add_url(struct nova_text *url, const struct call *call, const char *suffix)
{
	const struct place *place = &call->self->place;

	nova_text_printf(url, "/folder/%s/%s%s?dcPath=", call->image, call->image, suffix);
	nova_text_escape_url(url, place->datacenter_path, strlen(place->datacenter_path));
	nova_text_add(url, "&dsName=");
	nova_text_escape_url(url, place->datastore_name, strlen(place->datastore_name));
}

/* What comes back is of no interest, and need not be XML. */
static int ignore(void *context, const char *bytes, size_t count)
{
	(void)context, (void)bytes, (void)count;
	return 0;
}

static void send_file(struct call *call, nova_step then, const char *suffix, const char *body,
                      const char *file)
{
	struct nova_text url = {0};

	add_url(&url, call, suffix);
	if (url.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(
		        &call->base, then, "PUT of a file to the datastore",
		        &(struct nova_http_request){.method = "PUT",
		                                    .url = url.text,
		                                    .content_type = "application/octet-stream",
		                                    .body = body,
		                                    .bytes = body ? strlen(body) : 0,
		                                    .file = file,
		                                    .chunk = ignore});
	nova_text_free(&url);
}

/* --- the file that is to go there ---------------------------------------------------------------
 */

static int is_other_format(int fd, int64_t bytes)
{
	static const char *const magics[] = {"QFI\xfb", "KDMV", "vhdx", "cone", "# Di"};
	char head[4] = "", foot[8] = "";

	if (pread(fd, head, sizeof(head), 0) != sizeof(head) ||
	    (bytes > SECTOR && pread(fd, foot, sizeof(foot), bytes - SECTOR) == sizeof(foot) &&
	     memcmp(foot, "conectix", sizeof(foot)) == 0))
		return 1;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (memcmp(head, magics[i], sizeof(head)) == 0)
			return 1;
	}
	return 0;
}

static int look(struct call *call)
{
	int fd = open(call->directory, O_RDONLY | O_CLOEXEC);
	struct stat status;
	int good = 0;

	if (fd < 0 || fstat(fd, &status) != 0) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "the image %s cannot be read: %m",
		               call->directory);
	} else if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
	           status.st_size % SECTOR != 0 || is_other_format(fd, status.st_size)) {
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "the image %s is no raw disk, which this driver takes: convert it "
		               "(qemu-img convert -O raw)",
		               call->directory);
	} else {
		call->disk_kib = status.st_size / 1024;
		good = 1;
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* --- image_put ----------------------------------------------------------------------------------
 */

static void described(struct nova_call *base, const struct nova_reply *unused)
{
	(void)unused;
	nova_call_done(base);
}

/* What VMware's disks of type vmfs say of themselves: "Virtual Disk Format 1.1". */
static void describe_disk(struct nova_call *base, const struct nova_reply *unused)
{
	struct call *call = (struct call *)base;
	long long sectors = (long long)call->disk_kib * 2;
	struct nova_text text = {0};

	(void)unused;
	nova_text_printf(&text,
	                 "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=fffffffe\n"
	                 "parentCID=ffffffff\ncreateType=\"vmfs\"\n\n# Extent description\n"
	                 "RW %lld VMFS \"%s-flat.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n"
	                 "ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"%lld\"\n"
	                 "ddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n"
	                 "ddb.virtualHWVersion = \"13\"\n",
	                 sectors, call->image, sectors / (255LL * 63));
	if (text.broken)
		nova_call_fail(base, NOVA_E_MEMORY, "out of memory");
	else
		send_file(call, described, ".vmdk", text.text, NULL);
	nova_text_free(&text);
}

static void put_content(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	send_file(call, describe_disk, "-flat.vmdk", NULL, call->directory);
}

/* As it can stand in a path of a datastore. */
static int is_name(const char *name)
{
	return strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0 && strlen(name) <= NAME_LONGEST &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	               strlen(name);
}

static struct call *image_call(struct vsphere *self, nova_op op, const char *name)
{
	struct call *call;

	if (!self->place.datastore.value[0]) {
		self->host->error(op, NOVA_E_UNSUPPORTED,
		                  "several datastores: set hypervisor.vsphere.datastore");
		return NULL;
	}
	if (!is_name(name)) {
		self->host->errorf(op, NOVA_E_REFUSED,
		                   "'%.80s' cannot be an image of ours: it begins with " OUR_PREFIX
		                   " and has letters, digits, '-', '_' and '.', 80 at most",
		                   name);
		return NULL;
	}
	call = call_new(self, op, NULL);
	if (!call)
		return NULL;
	snprintf(call->name, sizeof(call->name), "%s", name);
	call->image = strdup(name);
	if (call->image)
		return call;
	nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	nova_call_return(&call->base);
	return NULL;
}

int vsphere_image_put(void *self, nova_op op, const char *name, const char *path)
{
	struct vsphere *vsphere = self;
	struct call *call = image_call(vsphere, op, name);

	if (!call)
		return NOVA_E_REFUSED;
	call->directory = strdup(path);
	if (!call->directory) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	} else if (look(call)) {
		soap_begin(call, "MakeDirectory", &vsphere->files);
		add_path(call, "name", call->image, "");
		soap_add_moref(&call->body, "datacenter", &vsphere->place.datacenter);
		soap_order(call, put_content);
	}
	return nova_call_return(&call->base);
}

/* --- image_delete -------------------------------------------------------------------------------
 */

static void deleted(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static int was_gone(struct nova_call *base, int code, const char *words)
{
	(void)words;
	if (code != NOVA_E_NOT_FOUND)
		return 0;
	nova_call_done(base);
	return 1;
}

int vsphere_image_delete(void *self, nova_op op, const char *name)
{
	struct vsphere *vsphere = self;
	struct call *call = image_call(vsphere, op, name);

	if (!call)
		return NOVA_E_REFUSED;
	soap_begin(call, "DeleteDatastoreFile_Task", &vsphere->files);
	add_path(call, "name", call->image, "");
	soap_add_moref(&call->body, "datacenter", &vsphere->place.datacenter);
	task_order(call, deleted);
	call->task_failed = was_gone;
	return nova_call_return(&call->base);
}

/* --- a VM with a copy of an image ---------------------------------------------------------------
 */

static void attached(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void copy_dropped(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_fail(&call->base, NOVA_E_FAILED, "the disk could not be attached to VM '%s': %s",
	               call->name, call->label);
}

/* Deleting a VM deletes the disks that it has: this one it has not. */
static int attach_failed(struct nova_call *base, int code, const char *words)
{
	struct call *call = (struct call *)base;

	(void)code;
	snprintf(call->label, sizeof(call->label), "%.*s", NAME_BYTES, words);
	soap_begin(call, "DeleteVirtualDisk_Task", &call->self->disks);
	nova_xml_add(&call->body, "name", call->directory);
	soap_add_moref(&call->body, "datacenter", &call->self->place.datacenter);
	task_order(call, copy_dropped);
	return 1;
}

static void attach(struct call *call, const struct nova_xml_node *unused)
{
	struct nova_text *body = &call->body;

	(void)unused;
	soap_begin(call, "ReconfigVM_Task", &call->vm);
	nova_text_add(body, "<spec><deviceChange xsi:type=\"VirtualDeviceConfigSpec\">"
	                    "<operation>add</operation>"
	                    "<device xsi:type=\"ParaVirtualSCSIController\">");
	nova_xml_add_number(body, "key", CONTROLLER_KEY);
	nova_xml_add_number(body, "busNumber", 0);
	nova_xml_add(body, "sharedBus", "noSharing");
	nova_text_add(body, "</device></deviceChange>"
	                    "<deviceChange xsi:type=\"VirtualDeviceConfigSpec\">"
	                    "<operation>add</operation><device xsi:type=\"VirtualDisk\">");
	nova_xml_add_number(body, "key", DISK_KEY);
	nova_text_add(body, "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">");
	nova_xml_add(body, "fileName", call->directory);
	nova_xml_add(body, "diskMode", "persistent");
	nova_text_add(body, "</backing>");
	nova_xml_add_number(body, "controllerKey", CONTROLLER_KEY);
	nova_xml_add_number(body, "unitNumber", 0);
	nova_xml_add_number(body, "capacityInKB", 0); /* the file's own */
	nova_text_add(body, "</device></deviceChange></spec>");
	task_order(call, attached);
	call->task_failed = attach_failed;
}

/* Without a specification of what it becomes: vCenter takes none, and keeps the type. */
static void copy_disk(struct call *call)
{
	const struct vsphere *self = call->self;
	char rest[NAME_BYTES + 16];

	snprintf(rest, sizeof(rest), "/%.*s.vmdk", NAME_BYTES, call->image);
	soap_begin(call, "CopyVirtualDisk_Task", &self->disks);
	add_path(call, "sourceName", call->image, rest);
	soap_add_moref(&call->body, "sourceDatacenter", &self->place.datacenter);
	nova_xml_add(&call->body, "destName", call->directory);
	soap_add_moref(&call->body, "destDatacenter", &self->place.datacenter);
	nova_xml_add_flag(&call->body, "force", 0);
	task_order(call, attach);
}

/* "[datastore] directory/name.vmx": the copy lies beside it, and goes with the VM. */
static void take_files(struct call *call, const struct nova_xml_node *result)
{
	const char *path = props_text(props_first(result), "config.files.vmPathName", "");
	const char *slash = strrchr(path, '/');

	free(call->directory);
	call->directory = NULL;
	if (path[0] != '[' || !slash) {
		call_puzzled(call, "a VM without a directory");
	} else if (asprintf(&call->directory, "%.*s/system.vmdk", (int)(slash - path), path) < 0) {
		call->directory = NULL;
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	} else {
		copy_disk(call);
	}
}

void image_attach(struct call *call)
{
	props_ask(call, take_files, &call->vm, "config.files.vmPathName");
}

const char *image_wrong(const char *name)
{
	return is_name(name) ? NULL
	                     : "a disk is an image that image_put brought, whose name begins "
	                       "with " OUR_PREFIX
	                       ": to use one of your own, make a template of it, and "
	                       "use boot = \"template\"";
}
