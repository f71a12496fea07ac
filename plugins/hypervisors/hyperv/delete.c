/* SPDX-License-Identifier: MIT */
/*
 * Deleting VMs. Hyper-V forgets a VM and leaves its disks: those that this driver made, and nothing
 * else, are deleted as files of the host.
 */
#include "hyperv.h"

#include <stdio.h>
#include <string.h>

/* After DestroySystem Hyper-V goes on writing checkpoints back into the disk, which it holds open.
 */
#define LOCK_PAUSE_NS (SECOND_NS / 2)
#define LOCK_ATTEMPTS 40u

/* --- files ------------------------------------------------------------------------------------ */

static int is_ours(const struct call *call, const struct file *file)
{
	static const char *const extensions[] = {"vhdx", "vhd", "avhdx", "avhd"};
	size_t length = strlen(call->name);
	int is_disk = 0;

	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		is_disk |= strcasecmp(file->extension, extensions[i]) == 0;
	/* a checkpoint's is NAME_GUID.avhdx */
	return is_disk && strncasecmp(file->stem, call->name, length) == 0 &&
	       (file->stem[length] == '\0' ||
	        (file->stem[length] == '_' && cim_is_guid(file->stem + length + 1)));
}

static void keep_file(struct call *call, const struct nova_xml_node *instance)
{
	const char *path = item_text(instance, "Name");
	struct file file;

	if (cim_read_file(path, &file) && is_ours(call, &file))
		nova_text_append(&call->files, path, strlen(path) + 1);
}

static void next_file(struct call *call, const struct nova_xml_node *unused);

static void file_deleted(struct call *call, const struct nova_xml_node *output)
{
	call->attempts = 0;
	call->next_file += strlen(call->files.text + call->next_file) + 1;
	next_file(call, output);
}

static int file_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code == NOVA_E_NOT_FOUND) { /* somebody was faster */
		file_deleted(call, NULL);
		return 1;
	}
	if (refusal->code == NOVA_E_BUSY && call->attempts++ < LOCK_ATTEMPTS) {
		call_pause(call, next_file, LOCK_PAUSE_NS);
		return 1;
	}
	return 0;
}

static void next_file(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	if (call->files.broken) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	} else if (call->next_file >= call->files.used) {
		nova_call_done(&call->base);
	} else {
		order_delete_file(call, call->files.text + call->next_file, file_deleted);
		nova_call_on_refusal(&call->base, file_refused);
	}
}

/* Those of one directory; `path` may be a directory or a file in it. */
static int ask_files(struct call *call, const char *path, int is_file, call_step then)
{
	struct nova_text *wql;
	struct file file;

	if (!(is_file ? cim_read_file(path, &file) : cim_read_directory(path, &file)))
		return 0;
	wql = wql_begin(call, "select * from CIM_DataFile where Drive='");
	nova_text_add(wql, file.drive);
	nova_text_add(wql, "' and Path='");
	cim_add_wql(wql, file.directory);
	nova_text_add(wql, "' and (FileName='");
	cim_add_wql(wql, call->name);
	nova_text_add(wql, "' or FileName like '");
	cim_add_like(wql, call->name);
	nova_text_add(wql, "[_]%')");
	wql_send(call, CIM_HOST, keep_file, then);
	return 1;
}

static void ask_usual_files(struct call *call, const struct nova_xml_node *unused)
{
	if (!ask_files(call, call->self->directory, 0, next_file))
		next_file(call, unused);
}

/* Where its disk was: it may be elsewhere than where new ones are made. */
static void delete_files(struct call *call, const struct nova_xml_node *unused)
{
	nova_ssh_forget(call->self->ssh, call->name);
	nova_text_free(&call->files);
	call->next_file = 0;
	call->attempts = 0;
	if (call->found > 1) { /* what else is called so may be the other one's */
		if (call->disk[0])
			nova_text_append(&call->files, call->disk, strlen(call->disk) + 1);
		next_file(call, unused);
		return;
	}
	if (!call->disk[0] || !ask_files(call, call->disk, 1, ask_usual_files))
		ask_usual_files(call, unused);
}

/* --- the VM ----------------------------------------------------------------------------------- */

static int gone(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	delete_files(call, NULL);
	return 1;
}

static void delete_again(struct call *call, const struct nova_xml_node *unused);

/* What is going on with it ends, or was told to. */
static int try_again(struct call *call, int code)
{
	if (code != NOVA_E_BUSY || call->attempts++ >= LOCK_ATTEMPTS)
		return 0;
	call_pause(call, delete_again, LOCK_PAUSE_NS);
	return 1;
}

static int busy(struct nova_call *base, const struct nova_refusal *refusal)
{
	return gone(base, refusal) || try_again((struct call *)base, refusal->code);
}

static int failed(struct nova_call *base, int code, const char *words)
{
	(void)words;
	return try_again((struct call *)base, code);
}

static void destroy(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	order_service(call, MANAGE, "DestroySystem");
	order_add_reference(call, "AffectedSystem", "Msvm_ComputerSystem", call->guid);
	order_send(call, delete_files);
	nova_call_on_refusal(&call->base, busy);
	call->job_failed = failed;
}

static void keep_disk(struct call *call, const struct nova_xml_node *instance)
{
	const char *path = nova_xml_text(instance, NULL, "HostResource", "");
	struct file file;

	if (cim_read_file(path, &file) && is_ours(call, &file) && strlen(path) < sizeof(call->disk))
		snprintf(call->disk, sizeof(call->disk), "%s", path);
}

static void ask_disk(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_ask_settings(call, "Msvm_StorageAllocationSettingData", keep_disk, destroy);
}

static void stopped(struct call *call, const struct nova_xml_node *unused)
{
	call_event(call, NOVA_EVENT_STOPPED);
	ask_disk(call, unused);
}

static void stop_first(struct call *call, const struct nova_xml_node *unused)
{
	if (!call->guid[0] && call->found) {
		nova_call_done(&call->base); /* another VM has its name, and so its disk's */
		return;
	}
	if (!call->guid[0]) {
		delete_files(call, unused); /* what an earlier attempt left */
		return;
	}
	watch_forget(call->self, call->guid);
	if (!call->attempts)
		vm_stamp_start(call);
	if (call->state == STATE_OFF || call->state == STATE_SAVED) {
		ask_disk(call, unused);
		return;
	}
	vm_change_state(call, STATE_OFF, stopped);
	nova_call_on_refusal(&call->base, busy);
	call->job_failed = failed;
}

/* From the start: what the VM is may have changed meanwhile. */
static void delete_again(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	vm_identify(call, stop_first);
}

int hyperv_vm_delete(void *self, nova_op op, const struct nova_ref *vm)
{
	struct call *call = call_new(self, op, vm);

	if (!call)
		return NOVA_E_INVALID;
	call->missing_is_done = 1;
	vm_identify(call, stop_first);
	return nova_call_return(&call->base);
}
