/* SPDX-License-Identifier: MIT */
/*
 * Live migration from node to node of one cluster. Both targets are that cluster and one namespace;
 * where the destination names a node, the VM goes there, else where Kubernetes sends it.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- the ticket: server, namespace, node ("-": any) ------------------------------------------- */

static void write_ticket(const struct kubevirt *self, struct nova_text *ticket)
{
	nova_text_printf(ticket, "%s %s %s", self->base, self->namespace,
	                 self->node ? self->node : "-");
}

/* 1, and the node, if the ticket is of this cluster and namespace. */
static int read_ticket(const struct kubevirt *self, const char *ticket, char node[254])
{
	size_t base = strlen(self->base), space = strlen(self->namespace);
	const char *rest;

	if (!ticket || strlen(ticket) < base + space + 3 ||
	    strncmp(ticket, self->base, base) != 0 || ticket[base] != ' ' ||
	    strncmp(ticket + base + 1, self->namespace, space) != 0 ||
	    ticket[base + 1 + space] != ' ')
		return 0;
	rest = ticket + base + space + 2;
	if (strlen(rest) >= 254)
		return 0;
	snprintf(node, 254, "%s", rest);
	return 1;
}

int kubevirt_migrate_prepare(void *handle, nova_op op, const struct nova_ref *vm,
                             const struct nova_shape *shape)
{
	struct kubevirt *self = handle;
	struct nova_text ticket = {0};

	(void)shape;
	if (!self->connected)
		return self->host->error(op, NOVA_E_INVALID, "not connected");
	write_ticket(self, &ticket);
	if (ticket.broken || (is_name(vm->name) && !watch_know(self, vm->name)))
		return self->host->error(op, NOVA_E_MEMORY, "out of memory");
	self->host->put_fact(op, NOVA_FIELD_TICKET, "", ticket.text);
	nova_text_free(&ticket);
	return NOVA_DONE;
}

/* --- how it went ------------------------------------------------------------------------------ */

/* RFC 3339 in UTC, whole seconds; −1: none. */
static int64_t seconds_of(const char *text)
{
	struct tm time = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &time);

	return end && !*end ? (int64_t)timegm(&time) : -1;
}

static void put_facts(struct call *call, const json_t *state)
{
	int64_t start = seconds_of(nova_json_text(state, "startTimestamp", ""));
	int64_t end = seconds_of(nova_json_text(state, "endTimestamp", ""));
	const struct nova_host *host = call->self->host;

	if (start >= 0 && end >= start)
		host->put_i64(call->base.op, NOVA_FIELD_DURATION_NS, (end - start) * SECOND_NS);
	if (strcmp(nova_json_text(state, "mode", ""), "PostCopy") == 0)
		host->put_i64(call->base.op, NOVA_FIELD_POST_COPY, 1);
}

static void migrated(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	put_facts(call, nova_json_at(reply->json, "status.migrationState"));
	/* its end is known; what remains of it would only be in the way */
	call_send(call, call_end, "DELETE", call_delete_options(NULL), "%s", call->path);
}

static int look_migration(struct nova_call *base, const struct nova_reply *reply,
                          struct nova_text *words)
{
	const char *phase = nova_json_text(reply->json, "status.phase", "");

	(void)base;
	if (strcmp(phase, "Succeeded") == 0)
		return NOVA_DONE;
	if (strcmp(phase, "Failed") != 0)
		return NOVA_PENDING;
	nova_text_printf(words, "the migration failed: %s",
	                 nova_json_text(reply->json, "status.migrationState.failureReason",
	                                "KubeVirt gives no reason (see the VM's events)"));
	return NOVA_E_FAILED;
}

static void ask_migration(struct nova_call *base)
{
	nova_call_send(base, NULL, "GET", NULL, "%s", ((struct call *)base)->path);
}

/* Deleting one that runs aborts it. */
static void stop_migration(struct nova_call *base)
{
	nova_call_send(base, NULL, "DELETE", NULL, "%s", ((struct call *)base)->path);
}

static void await_migration(struct call *call, json_t *data)
{
	struct nova_poll poll = {.first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_migration,
	                         .look = look_migration,
	                         .stop = stop_migration,
	                         .then = migrated,
	                         .failed = call_remove_failed};
	const char *name = nova_json_text(data, "metadata.name", "");

	if (!name[0] || strlen(name) > 200 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(name)) {
		nova_call_puzzled(&call->base, "a migration without a name");
		return;
	}
	snprintf(call->path, sizeof(call->path),
	         KUBEVIRT "/%s/virtualmachineinstancemigrations/%.200s", call->self->namespace,
	         name);
	snprintf(poll.name, sizeof(poll.name), "the migration of VM %s", call->name);
	nova_call_poll(&call->base, &poll);
}

/* --- the order -------------------------------------------------------------------------------- */

static void send_migration(struct call *call, json_t *data)
{
	const char *installation = nova_json_text(call->object, "metadata.labels." OUR_LABEL, "x");
	const char *obstacle = condition_complaint(call->body, "LiveMigratable");
	char prefix[NAME_BYTES + 16];
	json_t *spec = json_pack("{ss}", "vmiName", call->name);

	(void)data;
	if (!vm_is_running(call) || obstacle) {
		nova_call_fail(&call->base, obstacle ? NOVA_E_UNSUPPORTED : NOVA_E_BUSY,
		               "VM '%s' in %s cannot be migrated: %.300s", call->name,
		               call->self->namespace, obstacle ? obstacle : "it is not running");
		json_decref(spec);
		return;
	}
	if (strcmp(call->part, "-") != 0)
		json_object_set_new(spec, "addedNodeSelector",
		                    json_pack("{ss}", "kubernetes.io/hostname", call->part));
	snprintf(prefix, sizeof(prefix), "%s-move-", call->name);
	vm_stamp_start(call);
	call_send(call, await_migration, "POST",
	          json_pack("{sssss{sss{ss}}so}", "apiVersion", "kubevirt.io/v1", "kind",
	                    "VirtualMachineInstanceMigration", "metadata", "generateName", prefix,
	                    "labels", OUR_LABEL, installation, "spec", spec),
	          KUBEVIRT "/%s/virtualmachineinstancemigrations", call->self->namespace);
}

static const char *impossible(const struct kubevirt *self, const struct nova_migrate *how,
                              char node[254])
{
	if (how->flags || how->bandwidth_bytes_per_s || how->downtime_ns || how->channels)
		return "KubeVirt takes no limits and no modes with a migration: they are set in "
		       "the "
		       "cluster, by a MigrationPolicy";
	if (self->node)
		return "this target's VMs are bound to one node (hypervisor.kubevirt.node): unset "
		       "it "
		       "where they are to be migrated from";
	if (!read_ticket(self, how->ticket, node))
		return "a VM can be migrated only within one cluster and namespace";
	return NULL;
}

int kubevirt_migrate(void *handle, nova_op op, const struct nova_ref *vm,
                     const struct nova_migrate *how)
{
	struct kubevirt *self = handle;
	char node[254] = "";
	const char *why = impossible(self, how, node);
	struct call *call;

	if (why)
		return self->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_MEMORY;
	snprintf(call->part, sizeof(call->part), "%s", node);
	if (call->name[0])
		vm_look(call, send_migration);
	return nova_call_return(&call->base);
}

static void take_over(struct call *call, json_t *data)
{
	(void)data;
	call->self->host->put_fact(call->base.op, NOVA_FIELD_ID, "", call->id);
	nova_call_done(&call->base);
}

int kubevirt_migrate_finish(void *handle, nova_op op, const struct nova_ref *vm, const char *ticket,
                            int32_t outcome)
{
	struct kubevirt *self = handle;
	struct nova_ref named = *vm;
	struct call *call;

	(void)ticket;
	if (outcome != NOVA_MIGRATED) { /* it is where it was, and nothing was made here */
		watch_forget(self, vm->name);
		return NOVA_DONE;
	}
	named.id = NULL;
	call = call_new(self, op, &named);
	if (!call)
		return NOVA_E_MEMORY;
	if (call->name[0])
		vm_look(call, take_over);
	return nova_call_return(&call->base);
}
