/* SPDX-License-Identifier: MIT */
/*
 * Images: files of this host that are uploaded to a storage of the node, from which VMs' disks are
 * imported. From Proxmox VE 8.4 on; before, only ISO images and containers can be uploaded.
 */
#include "option.h"
#include "proxmox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOUNDARY "novacore-nK8fJ2aQ5tW0xZ7c"

/* --- finding ---------------------------------------------------------------------------------- */

static void take_content(struct call *call, json_t *data)
{
	const char *storage = call->self->image_storage;
	size_t i;
	json_t *one;

	call->volume[0] = '\0';
	json_array_foreach(data, i, one)
	{
		const char *volume = nova_json_text(one, "volid", "");

		if (option_is_image(volume, storage, call->image) &&
		    strlen(volume) < sizeof(call->volume))
			snprintf(call->volume, sizeof(call->volume), "%s", volume);
	}
	call->identified(call, NULL);
}

void image_find(struct call *call, call_step then)
{
	call->identified = then;
	call_send(call, take_content, "GET", NULL, "/nodes/%s/storage/%s/content?content=import",
	          call->node, call->self->image_storage);
}

/* --- image_put -------------------------------------------------------------------------------- */

/* By what the file begins with; NULL: it cannot be read. */
static const char *format_of(const char *path)
{
	char head[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

	if (fd >= 0)
		close(fd);
	if (bytes <= 0)
		return NULL;
	if (memcmp(head, "QFI\xfb", 4) == 0)
		return "qcow2";
	return memcmp(head, "KDMV", 4) == 0 ? "vmdk" : "raw";
}

static void uploaded(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void upload(struct call *call, json_t *unused)
{
	const char *format = format_of(call->path);
	struct nova_text head = {0};
	char what[160], url[200];

	(void)unused;
	if (call->volume[0]) {
		nova_call_fail(&call->base, NOVA_E_EXISTS, "the image %s is there already",
		               call->volume);
		return;
	}
	if (!format) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "the image %s cannot be read: %m",
		               call->path);
		return;
	}
	nova_text_printf(&head,
	                 "--" BOUNDARY
	                 "\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\n"
	                 "import\r\n--" BOUNDARY "\r\nContent-Disposition: form-data; "
	                 "name=\"filename\"; filename=\"%s.%s\"\r\n"
	                 "Content-Type: application/octet-stream\r\n\r\n",
	                 call->image, format);
	snprintf(what, sizeof(what), "POST /nodes/%s/storage/%s/upload", call->node,
	         call->self->image_storage);
	snprintf(url, sizeof(url), "/nodes/%s/storage/%s/upload", call->node,
	         call->self->image_storage);
	if (head.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		call_upload(call, uploaded, what,
		            &(struct nova_http_request){
		                    .method = "POST",
		                    .url = url,
		                    .content_type = "multipart/form-data; boundary=" BOUNDARY,
		                    .body = head.text,
		                    .bytes = head.used,
		                    .file = call->path,
		                    .tail = "\r\n--" BOUNDARY "--\r\n"});
	nova_text_free(&head);
}

/* As it can stand in a file's name on a storage. */
static int is_name(const char *name)
{
	return strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0 && strlen(name) <= 120 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	               strlen(name);
}

static struct call *image_call(struct proxmox *self, nova_op op, const char *name)
{
	struct call *call;

	if (!is_name(name)) {
		self->host->errorf(op, NOVA_E_REFUSED,
		                   "'%.80s' cannot be an image of ours: it begins with " OUR_PREFIX
		                   " and has letters, digits, '-', '_' and '.'",
		                   name);
		return NULL;
	}
	call = call_new(self, op, NULL);
	if (!call)
		return NULL;
	call->image = strdup(name);
	if (call->image)
		return call;
	nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	nova_call_return(&call->base);
	return NULL;
}

int proxmox_image_put(void *self, nova_op op, const char *name, const char *path)
{
	struct proxmox *proxmox = self;
	struct call *call;

	if (!option_version(proxmox->version, 8, 4))
		return proxmox->host->errorf(
		        op, NOVA_E_UNSUPPORTED,
		        "Proxmox VE %s takes no disk images by its API; 8.4 does",
		        proxmox->version);
	call = image_call(proxmox, op, name);
	if (!call)
		return NOVA_E_REFUSED;
	call->path = strdup(path);
	if (!call->path)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		image_find(call, upload);
	return nova_call_return(&call->base);
}

/* --- image_delete ----------------------------------------------------------------------------- */

static void delete_found(struct call *call, json_t *unused);

static int image_gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	nova_call_done(base);
	return 1;
}

/* Deleting is a task or is done at once, depending on the version. */
static void image_deleted(struct call *call, json_t *data)
{
	struct upid task;

	if (json_is_string(data) && upid_parse(json_string_value(data), &task))
		call_wait(call, uploaded, &task);
	else
		nova_call_done(&call->base);
}

static void delete_found(struct call *call, json_t *unused)
{
	struct nova_text volume = {0};

	(void)unused;
	if (!call->volume[0]) {
		nova_call_done(&call->base);
		return;
	}
	nova_text_escape_url(&volume, call->volume, strlen(call->volume));
	call_send(call, image_deleted, "DELETE", NULL, "/nodes/%s/storage/%s/content/%s",
	          call->node, call->self->image_storage, nova_text_get(&volume));
	nova_call_on_refusal(&call->base, image_gone);
	nova_text_free(&volume);
}

int proxmox_image_delete(void *self, nova_op op, const char *name)
{
	struct call *call = image_call(self, op, name);

	if (!call)
		return NOVA_E_REFUSED;
	image_find(call, delete_found);
	return nova_call_return(&call->base);
}
