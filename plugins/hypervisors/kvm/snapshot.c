/* SPDX-License-Identifier: MIT */
/* Internal snapshots: memory and disk together in the VM's qcow2 overlay. */
#include "kvm.h"

#include "xml.h"

#include <stdlib.h>

static int create(struct kvm *self, nova_op op, virDomainPtr domain, const char *name)
{
	char *text = kvm_xml_named("domainsnapshot", name);
	virDomainSnapshotPtr snapshot = text ? virDomainSnapshotCreateXML(domain, text, 0) : NULL;
	int status =
	        snapshot ? NOVA_DONE
	                 : kvm_fail(self, op, "make a snapshot of VM", virDomainGetName(domain));
	if (snapshot)
		virDomainSnapshotFree(snapshot);
	free(text);
	return status;
}

static int find(struct kvm *self, nova_op op, virDomainPtr domain, const char *name,
                virDomainSnapshotPtr *snapshot)
{
	*snapshot = virDomainSnapshotLookupByName(domain, name, 0);
	return *snapshot ? NOVA_DONE : kvm_fail(self, op, "find the snapshot", name);
}

/* libvirt replaces the QEMU process by one that loads the snapshot, so there is a new one to watch.
 */
static int restore(struct kvm *self, nova_op op, virDomainPtr domain, virDomainSnapshotPtr snapshot)
{
	const char *name = virDomainGetName(domain);
	if (virDomainRevertToSnapshot(snapshot, 0) != 0)
		return kvm_fail(self, op, "restore a snapshot of VM", name);
	kvm_watch_process(self, name);
	return NOVA_DONE;
}

int kvm_snapshot(void *instance, nova_op op, const struct nova_ref *ref, const char *name,
                 uint32_t action)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	virDomainSnapshotPtr snapshot = NULL;
	int status = kvm_lookup(self, op, ref, &domain);
	if (status != NOVA_DONE)
		return status;
	if (action == NOVA_SNAPSHOT_CREATE)
		status = create(self, op, domain, name);
	else
		status = find(self, op, domain, name, &snapshot);
	if (status == NOVA_DONE && action == NOVA_SNAPSHOT_RESTORE)
		status = restore(self, op, domain, snapshot);
	else if (status == NOVA_DONE && action == NOVA_SNAPSHOT_DELETE &&
	         virDomainSnapshotDelete(snapshot, 0) != 0)
		status = kvm_fail(self, op, "delete a snapshot of VM", ref->name);
	if (snapshot)
		virDomainSnapshotFree(snapshot);
	virDomainFree(domain);
	return status;
}
