/* SPDX-License-Identifier: MIT */
/*
 * Live migration between two libvirt daemons of one machine. The ticket names the destination's
 * libvirt and the socket that the memory goes through. The source's process drives both ends.
 */
#include "bridge.h"

#include "xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse_embedded(struct kvm *self, nova_op op)
{
	return self->host->error(
	        op, NOVA_E_UNSUPPORTED,
	        "libvirt's embedded driver cannot migrate: use --pair local, or two "
	        "targets with URIs of two libvirt daemons");
}

/* One that is in flight; stands on the stack of the call that waits for it. */
struct kvm_moving {
	struct kvm_moving *next;
	nova_op op;
	virDomainPtr domain;
	uint32_t flags;
	int throttle;               /* the most CPU time that auto-converge took, per cent */
	unsigned long long dirtied; /* bytes per second in the last pass that said so */
};

static void set_arriving(struct kvm *self, const char *name, bool arriving)
{
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track)
		track->arriving = arriving;
	pthread_mutex_unlock(&self->lock);
}

int kvm_migrate_prepare(void *instance, nova_op op, const struct nova_ref *ref,
                        const struct nova_shape *shape)
{
	struct kvm *self = instance;
	int status = kvm_check_name(self, op, ref->name);
	(void)shape;
	if (status != NOVA_DONE)
		return status;
	if (self->embedded)
		return refuse_embedded(self, op);
	set_arriving(self, ref->name, true);
	char *socket = self->local ? kvm_format("unix://%s/%s.migrate",
	                                        self->daemon ? self->root : self->run, ref->name)
	                           : NULL;
	json_t *ticket = json_pack("{s:s, s:s*}", "libvirt", self->uri, "memory", socket);
	char *text = ticket ? json_dumps(ticket, JSON_COMPACT) : NULL;
	if (text)
		self->host->put_fact(op, NOVA_FIELD_TICKET, "", text);
	else
		status = self->host->error(op, NOVA_E_MEMORY, "out of memory");
	json_decref(ticket);
	free(socket);
	free(text);
	return status;
}

/* What the completed job says: QEMU's figures, through libvirt. */
static void put_job(struct kvm *self, nova_op op, virDomainPtr domain)
{
	static const struct {
		const char *name;
		uint32_t field;
		int64_t factor;
	} figures[] = {
	        {VIR_DOMAIN_JOB_TIME_ELAPSED, NOVA_FIELD_DURATION_NS, KVM_MS},
	        {VIR_DOMAIN_JOB_SETUP_TIME, NOVA_FIELD_SETUP_NS, KVM_MS},
	        {VIR_DOMAIN_JOB_DOWNTIME, NOVA_FIELD_DOWNTIME_NS, KVM_MS},
	        {VIR_DOMAIN_JOB_MEMORY_PROCESSED, NOVA_FIELD_MOVED_BYTES, 1},
	        {VIR_DOMAIN_JOB_MEMORY_ITERATION, NOVA_FIELD_ITERATIONS, 1},
	};
	virTypedParameterPtr list = NULL;
	unsigned long long value;
	int count = 0, type = 0;
	if (virDomainGetJobStats(domain, &type, &list, &count, VIR_DOMAIN_JOB_STATS_COMPLETED) != 0)
		return;
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (virTypedParamsGetULLong(list, count, figures[i].name, &value) == 1)
			self->host->put_i64(op, figures[i].field,
			                    (int64_t)value * figures[i].factor);
	if (virTypedParamsGetULLong(list, count, VIR_DOMAIN_JOB_MEMORY_BPS, &value) == 1)
		self->host->put_f64(op, NOVA_FIELD_MOVED_PER_S, (double)value);
	virTypedParamsFree(list, count);
}

struct parameters {
	virTypedParameterPtr list;
	int count, room;
};

static void add_text(struct parameters *parameters, const char *name, const char *value)
{
	if (value && *value)
		virTypedParamsAddString(&parameters->list, &parameters->count, &parameters->room,
		                        name, value);
}

static unsigned long set_how(struct parameters *parameters, const struct nova_migrate *how,
                             const char *memory)
{
	unsigned long flags =
	        VIR_MIGRATE_LIVE | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE;
	add_text(parameters, VIR_MIGRATE_PARAM_URI, memory);
	if (how->bandwidth_bytes_per_s) /* MiB/s, rounded up */
		virTypedParamsAddULLong(&parameters->list, &parameters->count, &parameters->room,
		                        VIR_MIGRATE_PARAM_BANDWIDTH,
		                        (how->bandwidth_bytes_per_s + (1 << 20) - 1) >> 20);
	if (how->channels > 1) {
		flags |= VIR_MIGRATE_PARALLEL;
		virTypedParamsAddInt(&parameters->list, &parameters->count, &parameters->room,
		                     VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, (int)how->channels);
	}
	if (how->flags & NOVA_MIGRATE_AUTO_CONVERGE)
		flags |= VIR_MIGRATE_AUTO_CONVERGE;
	if (how->flags & NOVA_MIGRATE_COMPRESS)
		flags |= VIR_MIGRATE_COMPRESSED;
	if (how->flags & NOVA_MIGRATE_POST_COPY)
		flags |= VIR_MIGRATE_POSTCOPY;
	return flags;
}

/*
 * On one machine both QEMUs have the same file, whatever libvirt thinks of its file system; it is
 * only unsafe if the host caches it, since each would trust its own cache.
 */
static int check_disk(struct kvm *self, nova_op op, virDomainPtr domain)
{
	char *text = virDomainGetXMLDesc(domain, 0);
	xmlDocPtr doc = text ? kvm_xml_parse(text) : NULL;
	char *cache = doc ? kvm_xml_find(doc, "/domain/devices/disk[1]/driver/@cache") : NULL;
	char *disk = doc ? kvm_xml_find(doc, "/domain/devices/disk[1]/@type") : NULL;
	bool safe = !disk ||
	            (cache && (strcmp(cache, "none") == 0 || strcmp(cache, "directsync") == 0));
	int status = NOVA_DONE;
	if (!doc)
		status = kvm_fail(self, op, "read the definition of VM", virDomainGetName(domain));
	else if (!safe)
		status = self->host->errorf(
		        op, NOVA_E_REFUSED,
		        "refused to migrate VM %s: its disk is cached by the host "
		        "(vm.disk.cache=%s); use none or directsync",
		        virDomainGetName(domain), cache ? cache : "default");
	free(disk);
	free(cache);
	free(text);
	xmlFreeDoc(doc);
	return status;
}

/* Under the lock. */
static struct kvm_moving *find_moving(struct kvm *self, const char *name)
{
	struct kvm_moving *moving = self->moving;
	while (moving && strcmp(virDomainGetName(moving->domain), name) != 0)
		moving = moving->next;
	return moving;
}

/* What is known only while it goes on: libvirt's figures of the completed job leave it out. */
static void note_pass(struct kvm *self, virDomainPtr domain)
{
	virTypedParameterPtr list = NULL;
	unsigned long long pages = 0, page = 0;
	int count = 0, type = 0, throttle = 0;
	if (virDomainGetJobStats(domain, &type, &list, &count, 0) != 0)
		return;
	virTypedParamsGetInt(list, count, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, &throttle);
	virTypedParamsGetULLong(list, count, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, &pages);
	virTypedParamsGetULLong(list, count, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, &page);
	virTypedParamsFree(list, count);
	pthread_mutex_lock(&self->lock);
	struct kvm_moving *moving = find_moving(self, virDomainGetName(domain));
	if (moving && throttle > moving->throttle)
		moving->throttle = throttle;
	if (moving && pages)
		moving->dirtied = pages * page;
	pthread_mutex_unlock(&self->lock);
}

/*
 * A pass over the memory begins. From the second on what is left can be fetched afterwards, as
 * `virsh migrate --postcopy-after-precopy` does.
 */
static void on_iteration(virConnectPtr connection, virDomainPtr domain, int iteration, void *opaque)
{
	struct kvm *self = opaque;
	(void)connection;
	pthread_mutex_lock(&self->lock);
	struct kvm_moving *moving = find_moving(self, virDomainGetName(domain));
	bool later = moving && (moving->flags & NOVA_MIGRATE_POST_COPY);
	pthread_mutex_unlock(&self->lock);
	if (later && iteration == 2)
		virDomainMigrateStartPostCopy(domain, 0);
	note_pass(self, domain);
}

/* The call itself, while others may watch it and stop it. */
static int go(struct kvm *self, struct kvm_moving *moving, virConnectPtr destination,
              struct parameters *parameters, unsigned long flags, virDomainPtr *moved)
{
	pthread_mutex_lock(&self->lock);
	moving->next = self->moving;
	self->moving = moving;
	pthread_mutex_unlock(&self->lock);
	int watch = virConnectDomainEventRegisterAny(
	        self->connection, moving->domain, VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
	        VIR_DOMAIN_EVENT_CALLBACK(on_iteration), self, NULL);
	if (!self->host->cancelled(moving->op))
		*moved = virDomainMigrate3(moving->domain, destination, parameters->list,
		                           (unsigned)parameters->count, (unsigned)flags);
	virErrorPtr kept = *moved ? NULL : virSaveLastError();
	if (watch >= 0)
		virConnectDomainEventDeregisterAny(self->connection, watch);
	pthread_mutex_lock(&self->lock);
	for (struct kvm_moving **at = &self->moving; *at; at = &(*at)->next)
		if (*at == moving) {
			*at = moving->next;
			break;
		}
	pthread_mutex_unlock(&self->lock);
	return *moved ? NOVA_DONE
	              : kvm_fail_with(self, moving->op, kept, "migrate VM",
	                              virDomainGetName(moving->domain));
}

void kvm_migrate_cancel(struct kvm *self, nova_op op)
{
	virDomainPtr domain = NULL;
	pthread_mutex_lock(&self->lock);
	for (struct kvm_moving *moving = self->moving; moving && !domain; moving = moving->next)
		if (moving->op == op && virDomainRef(moving->domain) == 0)
			domain = moving->domain;
	pthread_mutex_unlock(&self->lock);
	if (!domain)
		return;
	virDomainAbortJob(domain);
	virDomainFree(domain);
}

static int move(struct kvm *self, nova_op op, virDomainPtr domain, virConnectPtr destination,
                const struct nova_migrate *how, const char *memory)
{
	struct kvm_moving moving = {.op = op, .domain = domain, .flags = how->flags};
	struct parameters parameters = {.list = NULL};
	struct kvm_crossing crossing = {.from = 0};
	unsigned long flags = set_how(&parameters, how, memory);
	const char *name = virDomainGetName(domain);
	virDomainPtr moved = NULL;
	int status = NOVA_DONE;
	if (memory) {
		flags |= VIR_MIGRATE_UNSAFE;
		status = check_disk(self, op, domain);
	}
	if (status == NOVA_DONE && how->downtime_ns > 0 &&
	    virDomainMigrateSetMaxDowntime(
	            domain, (unsigned long long)((how->downtime_ns + KVM_MS - 1) / KVM_MS), 0) != 0)
		status = kvm_fail(self, op, "limit the downtime of VM", name);
	if (status == NOVA_DONE && self->local)
		status = kvm_bridge_cross(self, op, domain, &crossing);
	if (status == NOVA_DONE && crossing.from && !memory)
		status = self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                            "VM %s is on a bridge of this host, and cannot leave "
		                            "the host",
		                            name);
	add_text(&parameters, VIR_MIGRATE_PARAM_DEST_XML, crossing.xml);
	add_text(&parameters, VIR_MIGRATE_PARAM_PERSIST_XML, crossing.kept);
	if (status == NOVA_DONE)
		status = go(self, &moving, destination, &parameters, flags, &moved);
	kvm_bridge_crossed(name, &crossing, moved != NULL);
	if (moved) {
		put_job(self, op, moved);
		if (moving.dirtied)
			self->host->put_f64(op, NOVA_FIELD_DIRTY_PER_S, (double)moving.dirtied);
		if (how->flags & NOVA_MIGRATE_AUTO_CONVERGE)
			self->host->put_f64(op, NOVA_FIELD_THROTTLE, moving.throttle / 100.0);
		virDomainFree(moved);
	}
	virTypedParamsFree(parameters.list, parameters.count);
	return status;
}

int kvm_migrate(void *instance, nova_op op, const struct nova_ref *ref,
                const struct nova_migrate *how)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	virConnectPtr destination = NULL;
	json_t *ticket = json_loads(how->ticket ? how->ticket : "", 0, NULL);
	const char *uri = json_string_value(json_object_get(ticket, "libvirt"));
	const char *memory = json_string_value(json_object_get(ticket, "memory"));
	int status;
	if (!uri)
		status =
		        self->host->error(op, NOVA_E_INVALID,
		                          "the ticket is not one of this driver's migrate_prepare");
	else if (self->embedded)
		status = refuse_embedded(self, op);
	else
		status = kvm_lookup(self, op, ref, &domain);
	if (status == NOVA_DONE) {
		destination = virConnectOpen(uri);
		status = destination ? move(self, op, domain, destination, how, memory)
		                     : kvm_fail(self, op, "open the destination", uri);
	}
	if (destination)
		virConnectClose(destination);
	if (domain)
		virDomainFree(domain);
	json_decref(ticket);
	return status;
}

int kvm_migrate_finish(void *instance, nova_op op, const struct nova_ref *ref, const char *ticket,
                       int32_t outcome)
{
	struct kvm *self = instance;
	json_t *root = json_loads(ticket ? ticket : "", 0, NULL);
	const char *memory = json_string_value(json_object_get(root, "memory"));
	virDomainPtr domain = NULL;
	int status = kvm_check_name(self, op, ref->name);
	if (status == NOVA_DONE && memory && strncmp(memory, "unix://", 7) == 0)
		unlink(memory + 7);
	json_decref(root);
	if (status == NOVA_DONE && outcome != NOVA_MIGRATED)
		kvm_watch_forget(self, ref->name);
	if (status != NOVA_DONE || outcome != NOVA_MIGRATED)
		return status;
	status = kvm_lookup(self, op, ref, &domain);
	if (domain) {
		virDomainFree(domain);
		kvm_watch_process(self, ref->name);
	}
	return status;
}

/*
 * The destination's QEMU asks for the pages that are missing by userfaultfd: by the system call,
 * which the kernel refuses to an unprivileged process unless told otherwise (QEMU before 8.1 knows
 * no other way), or by /dev/userfaultfd.
 */
const char *kvm_no_post_copy(struct kvm *self)
{
	FILE *file = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
	int allowed = 0;
	if (!self->local)
		return NULL; /* the other machine's affair */
	if (file && fscanf(file, "%d", &allowed) != 1)
		allowed = 0;
	if (file)
		fclose(file);
	return allowed ? NULL
	               : "QEMU's user may not use userfaultfd, which fetches pages afterwards; "
	                 "allow "
	                 "it with sysctl vm.unprivileged_userfaultfd=1";
}
