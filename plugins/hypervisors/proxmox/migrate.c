/* SPDX-License-Identifier: MIT */
/*
 * Migration to another node of the cluster. A VM keeps its number there, so the node in an id is
 * only where it was made. Disks on storage that both nodes have stay where they are, others go
 * along.
 */
#include "option.h"
#include "proxmox.h"

#include <stdio.h>
#include <string.h>

/* The ticket is the destination's name in its cluster: "proxmox/CLUSTER/NODE". */
#define TICKET "proxmox/"

int proxmox_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                            const struct nova_shape *shape)
{
	struct proxmox *proxmox = self;
	char ticket[96];

	(void)vm;
	(void)shape;
	if (!proxmox->connected)
		return proxmox->host->error(op, NOVA_E_INVALID, "not connected");
	snprintf(ticket, sizeof(ticket), TICKET "%s", proxmox->node);
	proxmox->host->put_fact(op, NOVA_FIELD_TICKET, "", ticket);
	return NOVA_DONE;
}

/* --- migrate ---------------------------------------------------------------------------------- */

/* What QEMU said of the pause stands in the task's log, and nowhere else. */
static void take_log(struct call *call, json_t *data)
{
	size_t i;
	json_t *line;

	json_array_foreach(data, i, line)
	{
		int64_t downtime_ns = option_downtime_ns(nova_json_text(line, "t", ""));

		if (downtime_ns >= 0)
			call->self->host->put_i64(call->base.op, NOVA_FIELD_DOWNTIME_NS,
			                          downtime_ns);
	}
	nova_call_done(&call->base);
}

/* The VM is there, whatever becomes of the log. */
static int log_refused(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	nova_call_done(base);
	return 1;
}

static int log_lost(struct nova_call *base, int code, const char *why)
{
	(void)code;
	(void)why;
	nova_call_done(base);
	return 1;
}

static void moved(struct call *call, json_t *unused)
{
	struct nova_text task = {0};

	(void)unused;
	nova_text_escape_url(&task, call->task.text, strlen(call->task.text));
	call_send(call, take_log, "GET", NULL, "/nodes/%s/tasks/%s/log?limit=5000", call->task.node,
	          nova_text_get(&task));
	nova_call_on_refusal(&call->base, log_refused);
	nova_call_on_loss(&call->base, log_lost);
	nova_text_free(&task);
}

static void send_move(struct call *call, json_t *unused)
{
	(void)unused;
	nova_text_free(&call->form);
	nova_form_add(&call->form, "target", call->label);
	nova_form_add(&call->form, "online", "1");
	nova_form_add(&call->form, "with-local-disks", "1");
	if (call->bandwidth_kib)
		nova_form_add_number(&call->form, "bwlimit", call->bandwidth_kib);
	if (call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		call_task(call, moved, "POST", call->form.text, "/nodes/%s/qemu/%lld/migrate",
		          call->node, (long long)call->vmid);
}

static void begin_move(struct call *call, json_t *unused)
{
	char seconds[48];

	(void)unused;
	call_stamp_start(call);
	if (!call->downtime_ns) {
		send_move(call, NULL);
		return;
	}
	snprintf(seconds, sizeof(seconds), "migrate_downtime=%.3f",
	         (double)call->downtime_ns / 1e9);
	call_send(call, send_move, "PUT", seconds, "/nodes/%s/qemu/%lld/config", call->node,
	          (long long)call->vmid);
}

static const char *impossible(const struct proxmox *self, const struct nova_migrate *how)
{
	const char *node = how->ticket ? how->ticket : "";

	if (how->flags & NOVA_MIGRATE_POST_COPY)
		return "Proxmox VE has no post-copy migration";
	if (how->flags & NOVA_MIGRATE_AUTO_CONVERGE)
		return "whether Proxmox VE's migrations converge by themselves is QEMU's own "
		       "choice";
	if (how->flags)
		return "Proxmox VE does not compress migrations";
	if (how->channels > 1)
		return "Proxmox VE migrates over one connection";
	if (strncmp(node, TICKET, strlen(TICKET)) != 0 || !upid_is_node(node + strlen(TICKET)))
		return "no ticket of this driver's";
	if (strcmp(node + strlen(TICKET), self->node) == 0)
		return "the VM is on that node already: two targets each name a node, "
		       "hypervisor.proxmox.node";
	return NULL;
}

int proxmox_migrate(void *self, nova_op op, const struct nova_ref *vm,
                    const struct nova_migrate *how)
{
	struct proxmox *proxmox = self;
	const char *why = impossible(proxmox, how);
	struct call *call;

	if (why)
		return proxmox->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(proxmox, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%.63s", how->ticket + strlen(TICKET));
	call->bandwidth_kib = (int64_t)((how->bandwidth_bytes_per_s + 1023) / 1024);
	call->downtime_ns = how->downtime_ns;
	vm_identify(call, begin_move);
	return nova_call_return(&call->base);
}

/* --- finish ----------------------------------------------------------------------------------- */

static void arrived(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_event(&call->base, call->name, NOVA_EVENT_MIGRATED, NOVA_SOURCE_POLL,
	                call->base.answered_ns, call->self->poll_longest_ns);
	nova_call_done(&call->base);
}

int proxmox_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *ticket,
                           int32_t outcome)
{
	struct call *call = call_new(self, op, vm);

	(void)ticket;
	if (!call)
		return NOVA_E_INVALID;
	if (outcome == NOVA_MIGRATED)
		vm_identify(call, arrived);
	else
		nova_call_done(&call->base);
	return nova_call_return(&call->base);
}
