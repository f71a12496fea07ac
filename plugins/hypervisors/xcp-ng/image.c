/* SPDX-License-Identifier: MIT */
/* Images: files of this host that become disks (VDIs) of the pool, and networks of a run. */
#include "xcpng.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files ------------------------------------------------------------------------------------ */

/* A VHD ends with a footer, which has the disk's size at byte 48, the highest byte first. */
static int64_t read_vhd(int fd, int64_t bytes)
{
	unsigned char footer[56];
	int64_t size = 0;

	if (bytes < 512 || pread(fd, footer, sizeof(footer), bytes - 512) != sizeof(footer) ||
	    memcmp(footer, "conectix", 8) != 0)
		return 0;
	for (size_t i = 0; i < 8; i++)
		size = (size << 8 | footer[48 + i]) & INT64_MAX;
	return size;
}

static int is_other_format(int fd)
{
	unsigned char head[4] = {0};

	return pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	       (memcmp(head, "QFI\xfb", 4) == 0 || memcmp(head, "KDMV", 4) == 0);
}

/* Size and format of call->path. */
static int look(struct call *call, int fd)
{
	struct stat status;
	int64_t vhd;

	if (fd < 0 || fstat(fd, &status) != 0) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "the image %s cannot be read: %m",
		               call->path);
		return 0;
	}
	if (!S_ISREG(status.st_mode) || status.st_size == 0 || is_other_format(fd)) {
		nova_call_fail(
		        &call->base, NOVA_E_INVALID,
		        "the image %s is no raw disk and no VHD, which XCP-ng takes: convert "
		        "it (qemu-img convert -O raw)",
		        call->path);
		return 0;
	}
	vhd = read_vhd(fd, status.st_size);
	call->format = vhd ? "vhd" : "raw";
	call->file_bytes = vhd ? vhd : status.st_size;
	return 1;
}

int image_look(struct call *call)
{
	int fd, good;

	if (!call->path) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
		return 0;
	}
	fd = open(call->path, O_RDONLY | O_CLOEXEC);
	good = look(call, fd);
	if (fd >= 0)
		close(fd);
	return good;
}

/* A local storage repository is its own host's: that one takes the file. */
void image_send(struct call *call, call_step then)
{
	const struct xcpng *self = call->self;
	char url[64 + REF_ROOM];

	snprintf(url, sizeof(url), "/import_raw_vdi?vdi=%s&format=%s", call->disk, call->format);
	call_http(call, then, "PUT /import_raw_vdi",
	          self->host_base[0] ? self->host_base : self->base,
	          &(struct nova_http_request){.method = "PUT",
	                                      .url = url,
	                                      .content_type = "application/octet-stream",
	                                      .file = call->path});
}

/* --- image_put -------------------------------------------------------------------------------- */

static void stored(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void send_file(struct call *call, json_t *result)
{
	if (call_take_ref(call, result, call->disk))
		image_send(call, stored);
}

static void make_disk(struct call *call, json_t *result)
{
	int64_t size = (call->file_bytes + (int64_t)MIB - 1) / MIB * MIB;
	char bytes[24];

	if (json_array_size(result)) {
		nova_call_fail(&call->base, NOVA_E_EXISTS, "a disk at %s is named '%s' already",
		               call->self->base, call->name);
		return;
	}
	snprintf(bytes, sizeof(bytes), "%lld", (long long)size);
	call_rpc(call, send_file, "VDI.create", "[{ss ss ss ss ss sb sb s{}}]", "name_label",
	         call->name, "name_description", "an image of novacore's", "SR", call->self->sr,
	         "virtual_size", bytes, "type", "user", "sharable", 0, "read_only", 0,
	         "other_config");
}

int xcpng_image_put(void *self, nova_op op, const char *name, const char *path)
{
	struct xcpng *xcpng = self;
	struct call *call;

	if (!xcpng->sr[0])
		return xcpng->host->error(op, NOVA_E_UNSUPPORTED,
		                          "no storage repository: set hypervisor.xcp-ng.sr, or the "
		                          "pool's default");
	call = call_new(xcpng, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	call->path = strdup(path);
	if (call_set_name(call, name) && image_look(call))
		call_rpc(call, make_disk, "VDI.get_by_name_label", "[s]", call->name);
	return nova_call_return(&call->base);
}

/* --- deleting images and networks ------------------------------------------------------------- */

static void next_object(struct call *call, json_t *unused);

static int object_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	next_object((struct call *)base, NULL);
	return 1;
}

static void next_object(struct call *call, json_t *unused)
{
	const char *ref = nova_json_text(json_array_get(call->list, call->index), "", NULL);

	(void)unused;
	if (!ref) {
		nova_call_done(&call->base);
		return;
	}
	call->index++;
	call_rpc(call, next_object, call->action ? "network.destroy" : "VDI.destroy", "[s]", ref);
	nova_call_on_refusal(&call->base, object_gone);
}

static void take_objects(struct call *call, json_t *result)
{
	call->list = json_incref(result);
	next_object(call, NULL);
}

static int delete_named(struct xcpng *self, nova_op op, const char *name, uint32_t is_network)
{
	struct call *call;

	if (strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0)
		return self->host->errorf(
		        op, NOVA_E_REFUSED,
		        "'%s' has not our prefix, " OUR_PREFIX ": nothing was done", name);
	call = call_new(self, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	call->action = is_network;
	if (call_set_name(call, name))
		call_rpc(call, take_objects,
		         is_network ? "network.get_by_name_label" : "VDI.get_by_name_label", "[s]",
		         name);
	return nova_call_return(&call->base);
}

int xcpng_image_delete(void *self, nova_op op, const char *name)
{
	return delete_named(self, op, name, 0);
}

/* --- networks --------------------------------------------------------------------------------- */

static void net_made(struct call *call, json_t *result)
{
	if (call_take_ref(call, result, call->other))
		nova_call_done(&call->base);
}

static void make_net(struct call *call, json_t *result)
{
	if (json_array_size(result))
		nova_call_fail(&call->base, NOVA_E_EXISTS, "a network at %s is named '%s' already",
		               call->self->base, call->name);
	else
		call_rpc(call, net_made, "network.create", "[{ss ss ss s{} s[]}]", "name_label",
		         call->name, "name_description", "made by novacore", "MTU", "1500",
		         "other_config", "tags");
}

/* Without a physical interface it is one between VMs of one host. */
int xcpng_net_create(void *self, nova_op op, const char *name, uint32_t kind)
{
	struct xcpng *xcpng = self;
	struct call *call;

	if (kind != NOVA_NET_ISOLATED)
		return xcpng->host->error(op, NOVA_E_UNSUPPORTED,
		                          "XCP-ng has isolated networks, none with NAT: use the "
		                          "parameter network");
	call = call_new(xcpng, op, NULL);
	if (!call)
		return NOVA_E_MEMORY;
	if (call_set_name(call, name))
		call_rpc(call, make_net, "network.get_by_name_label", "[s]", name);
	return nova_call_return(&call->base);
}

int xcpng_net_delete(void *self, nova_op op, const char *name)
{
	return delete_named(self, op, name, 1);
}
