/* SPDX-License-Identifier: MIT */
/*
 * Migration between two targets: to another host of the same pool, or to another pool together with
 * the disks. What the destination gives for the latter holds a session of its own, so a ticket is
 * only the number of what is kept here, in the one process that has both targets open.
 */
#include "xcpng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ticket {
	struct ticket *next;
	char text[32];
	char pool[UUID_ROOM]; /* the destination's */
	char host[REF_ROOM], sr[REF_ROOM], network[REF_ROOM];
	char *receive;    /* of host.migrate_receive, as JSON; NULL: not needed */
	int64_t moved_ns; /* seen to have ended */
};

/* Two targets have a thread each. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ticket *tickets;
static unsigned long long ticket_count;

static struct ticket **find_ticket(const char *text)
{
	struct ticket **link = &tickets;

	while (*link && strcmp((*link)->text, text) != 0)
		link = &(*link)->next;
	return link;
}

static void free_ticket(struct ticket *ticket)
{
	if (ticket && ticket->receive)
		explicit_bzero(ticket->receive, strlen(ticket->receive));
	if (ticket)
		free(ticket->receive);
	free(ticket);
}

/* --- prepare ---------------------------------------------------------------------------------- */

/* `receive` NULL: within the pool. */
static void give_ticket(struct call *call, const json_t *receive)
{
	const struct xcpng *self = call->self;
	struct ticket *ticket = calloc(1, sizeof(*ticket));
	char text[32];

	if (ticket && receive)
		ticket->receive = json_dumps(receive, JSON_COMPACT);
	if (!ticket || (receive && !ticket->receive)) {
		free(ticket);
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
		return;
	}
	snprintf(ticket->pool, sizeof(ticket->pool), "%s", self->pool);
	snprintf(ticket->host, sizeof(ticket->host), "%s", self->host_ref);
	snprintf(ticket->sr, sizeof(ticket->sr), "%s", self->sr);
	snprintf(ticket->network, sizeof(ticket->network), "%s", self->network);
	pthread_mutex_lock(&lock);
	snprintf(ticket->text, sizeof(ticket->text), "xcp-ng/%llu", ++ticket_count);
	snprintf(text, sizeof(text), "%s", ticket->text);
	ticket->next = tickets;
	tickets = ticket;
	pthread_mutex_unlock(&lock);
	self->host->put_fact(call->base.op, NOVA_FIELD_TICKET, "", text);
	nova_call_done(&call->base);
}

static void take_receive(struct call *call, json_t *result)
{
	const char *session = nova_json_text(result, "session_id", "");

	if (!json_is_object(result))
		nova_call_puzzled(&call->base, "it was to say where the VM goes");
	else if (nova_calls_add_secret(call->self->calls, session) != NOVA_DONE)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else
		give_ticket(call, result);
}

/* Memory and disks go to the address of the host's management interface. */
static void take_interfaces(struct call *call, json_t *result)
{
	const char *network = "";
	const char *ref;
	json_t *interface;

	json_object_foreach(result, ref, interface)
	{
		if (nova_json_flag(interface, "management", 0) &&
		    strcmp(nova_json_text(interface, "host", ""), call->self->host_ref) == 0)
			network = nova_json_text(interface, "network", "");
	}
	if (answer_is_ref(network))
		call_rpc(call, take_receive, "host.migrate_receive", "[ss{}]", call->self->host_ref,
		         network);
	else
		nova_call_fail(&call->base, NOVA_E_UNAVAILABLE,
		               "the host %s has no management interface that a VM could come over",
		               call->self->host_name);
}

static void same_pool(struct call *call, json_t *unused)
{
	(void)unused;
	give_ticket(call, NULL);
}

static int other_pool(struct nova_call *base, const struct nova_refusal *refusal)
{
	struct call *call = (struct call *)base;

	if (refusal->code != NOVA_E_NOT_FOUND)
		return 0;
	if (call->self->sr[0])
		call_rpc(call, take_interfaces, "PIF.get_all_records", "[]");
	else
		nova_call_fail(base, NOVA_E_INVALID,
		               "the VM comes from another pool with its disks: set "
		               "hypervisor.xcp-ng.sr of the target that it goes to");
	return 1;
}

int xcpng_migrate_prepare(void *self, nova_op op, const struct nova_ref *vm,
                          const struct nova_shape *shape)
{
	struct xcpng *xcpng = self;
	struct call *call;

	(void)shape;
	if (!xcpng->host_ref[0])
		return xcpng->host->error(
		        op, NOVA_E_UNSUPPORTED,
		        "where to is not known: set hypervisor.xcp-ng.host of the "
		        "target that the VM goes to");
	call = call_new(xcpng, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	if (!call->uuid[0]) {
		nova_call_fail(&call->base, NOVA_E_INVALID, "a VM without an id cannot migrate");
		return nova_call_return(&call->base);
	}
	call_rpc(call, same_pool, "VM.get_by_uuid", "[s]", call->uuid);
	nova_call_on_refusal(&call->base, other_pool);
	return nova_call_return(&call->base);
}

/* --- migrate ---------------------------------------------------------------------------------- */

static void moved(struct call *call, json_t *unused)
{
	int64_t t_ns = call->seen_ns ? call->seen_ns : call->base.answered_ns;
	struct ticket *ticket;

	(void)unused;
	pthread_mutex_lock(&lock);
	ticket = *find_ticket(call->label);
	if (ticket)
		ticket->moved_ns = t_ns;
	pthread_mutex_unlock(&lock);
	nova_call_done(&call->base);
}

/* A copy that belongs to the caller, without `next`; NULL: there is none. */
static struct ticket *copy_ticket(const char *text)
{
	struct ticket *copy = calloc(1, sizeof(*copy));
	const struct ticket *found;

	pthread_mutex_lock(&lock);
	found = *find_ticket(text);
	if (copy && found) {
		*copy = *found;
		copy->next = NULL;
		copy->receive = found->receive ? strdup(found->receive) : NULL;
	}
	pthread_mutex_unlock(&lock);
	if (found && copy)
		return copy;
	free(copy);
	return NULL;
}

/* "vdis" and "vifs": what goes where. */
static void send_vm(struct call *call, struct ticket *ticket)
{
	char why[80];
	json_t *receive = ticket->receive
	                          ? nova_json_parse(ticket->receive, strlen(ticket->receive), why,
	                                            sizeof(why))
	                          : NULL;

	if (!receive ||
	    nova_calls_add_secret(call->self->calls, nova_json_text(receive, "session_id", "")) !=
	            NOVA_DONE) {
		json_decref(receive);
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "the VM was found in the pool that it was to come to, and is not "
		               "there: prepare its migration again");
		return;
	}
	call_task(call, moved, "VM.migrate_send", "[sObOO{}]", call->ref, receive, 1,
	          json_object_get(call->more, "vdis"), json_object_get(call->more, "vifs"));
	json_decref(receive);
}

static void next_device(struct call *call, json_t *unused);

static void take_device(struct call *call, json_t *result)
{
	struct ticket *ticket = copy_ticket(call->label);
	const char *disk = nova_json_text(result, "VDI", "");

	if (ticket && strcmp(nova_json_text(result, "type", ""), "Disk") == 0 &&
	    answer_is_ref(disk))
		json_object_set_new(json_object_get(call->more, "vdis"), disk,
		                    json_string(ticket->sr));
	free_ticket(ticket);
	next_device(call, NULL);
}

static int add_cards(struct call *call, const struct ticket *ticket)
{
	const json_t *cards = json_object_get(call->record, "VIFs");
	size_t i;
	json_t *card;

	if (json_array_size(cards) && !ticket->network[0]) {
		nova_call_fail(
		        &call->base, NOVA_E_INVALID,
		        "the VM has network cards: set hypervisor.xcp-ng.network of the target "
		        "that it goes to");
		return 0;
	}
	json_array_foreach(cards, i, card)
	{
		json_object_set_new(json_object_get(call->more, "vifs"),
		                    nova_json_text(card, "", "?"), json_string(ticket->network));
	}
	return 1;
}

static void next_device(struct call *call, json_t *unused)
{
	const json_t *devices = json_object_get(call->record, "VBDs");
	const char *device = nova_json_text(json_array_get(devices, call->index), "", NULL);
	struct ticket *ticket;

	(void)unused;
	if (device) {
		call->index++;
		call_rpc(call, take_device, "VBD.get_record", "[s]", device);
		return;
	}
	ticket = copy_ticket(call->label);
	if (!ticket)
		nova_call_fail(&call->base, NOVA_E_INVALID, "'%s' is no ticket (any more)",
		               call->label);
	else if (add_cards(call, ticket))
		send_vm(call, ticket);
	free_ticket(ticket);
}

static void begin_move(struct call *call, json_t *record)
{
	struct ticket *ticket = copy_ticket(call->label);

	(void)record;
	vm_stamp_start(call);
	call->more = json_pack("{s{} s{}}", "vdis", "vifs");
	if (!ticket)
		nova_call_fail(&call->base, NOVA_E_INVALID, "'%s' is no ticket (any more)",
		               call->label);
	else if (strcmp(ticket->pool, call->self->pool) == 0)
		call_task(call, moved, "VM.pool_migrate", "[ss{ss}]", call->ref, ticket->host,
		          "live", "true");
	else
		next_device(call, NULL);
	free_ticket(ticket);
}

static const char *impossible(const struct nova_migrate *how)
{
	if (how->flags & NOVA_MIGRATE_AUTO_CONVERGE)
		return "Xen's migration has no auto-converge";
	if (how->flags & NOVA_MIGRATE_POST_COPY)
		return "Xen has no post-copy migration";
	if (how->flags)
		return "XCP-ng compresses migrations by a setting of the pool, not of one "
		       "migration";
	if (how->channels > 1)
		return "Xen migrates over one connection";
	if (how->bandwidth_bytes_per_s || how->downtime_ns)
		return "XCP-ng has no limits of bandwidth or downtime for a migration";
	return NULL;
}

int xcpng_migrate(void *self, nova_op op, const struct nova_ref *vm, const struct nova_migrate *how)
{
	struct xcpng *xcpng = self;
	const char *why = impossible(how);
	struct call *call;

	if (why)
		return xcpng->host->error(op, NOVA_E_UNSUPPORTED, why);
	if (!how->ticket || !how->ticket[0] || strlen(how->ticket) >= sizeof(call->label))
		return xcpng->host->error(op, NOVA_E_INVALID, "no ticket of this driver's");
	call = call_new(xcpng, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%s", how->ticket);
	vm_identify(call, begin_move);
	return nova_call_return(&call->base);
}

/* --- finish ----------------------------------------------------------------------------------- */

static void settled(struct call *call, json_t *unused)
{
	(void)unused;
	watch_guest(call);
	nova_call_event(&call->base, call->name, NOVA_EVENT_MIGRATED, NOVA_SOURCE_WATCH,
	                call->seen_ns ? call->seen_ns : call->base.answered_ns, SECOND_NS / 10);
	nova_call_done(&call->base);
}

/* From now on it belongs to this host, also when it is off. */
static void arrived(struct call *call, json_t *record)
{
	const char *resident = nova_json_text(record, "resident_on", "");

	if (strcmp(resident, call->self->host_ref) != 0)
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND,
		               "the VM '%s' does not run on %s after its migration", call->name,
		               call->self->host_name);
	else
		call_rpc(call, settled, "VM.set_affinity", "[ss]", call->ref, call->self->host_ref);
}

int xcpng_migrate_finish(void *self, nova_op op, const struct nova_ref *vm, const char *text,
                         int32_t outcome)
{
	struct call *call = call_new(self, op, vm);
	struct ticket **link, *ticket;

	if (!call)
		return NOVA_E_INVALID;
	pthread_mutex_lock(&lock);
	link = find_ticket(text ? text : "");
	ticket = *link;
	if (ticket)
		*link = ticket->next;
	pthread_mutex_unlock(&lock);
	call->seen_ns = ticket ? ticket->moved_ns : 0;
	call->anywhere = 1;
	free_ticket(ticket);
	if (outcome == NOVA_MIGRATED)
		vm_identify(call, arrived);
	else
		nova_call_done(&call->base);
	return nova_call_return(&call->base);
}
