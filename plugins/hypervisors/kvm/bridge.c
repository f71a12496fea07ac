/* SPDX-License-Identifier: MIT */
/*
 * Isolated networks as bridges of this host, with a tap for each VM. The devices outlive a process
 * that is killed, so each carries its owner's full name as its alias, and its short name follows
 * from that: whoever is to delete a network or a VM, a later process too, finds them by its name.
 * Nothing is touched whose alias says otherwise.
 *
 * A tap serves one QEMU, so a VM that migrates gets a second one: side 'a' and side 'b' take turns.
 */
#include "bridge.h"

#include "link.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIDES "ab"

/* --- names --------------------------------------------------------------------------------------
 */

static void bridge_name(const char *net, char device[IF_NAMESIZE])
{
	snprintf(device, IF_NAMESIZE, "nb%012llx",
	         (unsigned long long)(kvm_hash(net, 0) & UINT64_C(0xffffffffffff)));
}

/* The tap of a VM's interface number `index`. */
static void tap_name(const char *vm, size_t index, char side, char device[IF_NAMESIZE])
{
	snprintf(device, IF_NAMESIZE, "nt%011llx%c",
	         (unsigned long long)(kvm_hash(vm, index + 1) & UINT64_C(0xfffffffffff)), side);
}

/* Local, not of any maker. It marks a bridge as ours before it has its alias. */
static void bridge_mac(const char *net, unsigned char mac[6])
{
	uint64_t hash = kvm_hash(net, UINT64_C(1) << 32);
	mac[0] = 0x06;
	for (int i = 1; i < 6; i++)
		mac[i] = (unsigned char)(hash >> (8 * i));
}

static bool is_bridge_of(const struct kvm_link *link, const char *net)
{
	unsigned char mac[6];
	bridge_mac(net, mac);
	return link->bridge && memcmp(link->mac, mac, sizeof(mac)) == 0 &&
	       (!*link->alias || strcmp(link->alias, net) == 0);
}

/* A tap's alias is "NETWORK VM". */
static bool is_tap_of(const struct kvm_link *link, const char *vm)
{
	const char *space = strchr(link->alias, ' ');
	return !link->bridge && space && strcmp(space + 1, vm) == 0;
}

static bool is_tap_on(const struct kvm_link *link, const struct kvm_link *bridge, const char *net)
{
	size_t length = strlen(net);
	return link->master == bridge->index && strncmp(link->alias, net, length) == 0 &&
	       link->alias[length] == ' ';
}

/* --- bridges ------------------------------------------------------------------------------------
 */

int kvm_bridge_open(const char *net, int *index)
{
	struct kvm_link link;
	unsigned char mac[6];
	char device[IF_NAMESIZE];
	bridge_name(net, device);
	bridge_mac(net, mac);
	if (kvm_link_bridge(device, mac) != 0 || kvm_link_find(device, &link) != 0)
		return -1;
	*index = link.index;
	if (kvm_link_up(link.index, net, 0) == 0)
		return 0;
	int kept = errno;
	kvm_link_delete(link.index);
	errno = kept;
	return -1;
}

/* Its taps first. A port that is not ours stays, and is on no bridge then. */
int kvm_bridge_close(const char *net)
{
	struct kvm_link bridge, link;
	char device[IF_NAMESIZE];
	bridge_name(net, device);
	if (kvm_link_find(device, &bridge) != 0)
		return errno == ENODEV ? 0 : -1;
	if (!is_bridge_of(&bridge, net))
		return 0;
	struct if_nameindex *all = if_nameindex();
	for (struct if_nameindex *at = all; at && at->if_name; at++)
		if (strncmp(at->if_name, "nt", 2) == 0 && kvm_link_find(at->if_name, &link) == 0 &&
		    is_tap_on(&link, &bridge, net))
			kvm_link_delete(link.index);
	if (all)
		if_freenameindex(all);
	return kvm_link_delete(bridge.index);
}

int kvm_bridge_make(struct kvm *self, nova_op op, const char *net)
{
	int index;
	if (kvm_bridge_open(net, &index) == 0)
		return NOVA_DONE;
	return self->host->errorf(op, errno == EEXIST ? NOVA_E_EXISTS : NOVA_E_FAILED,
	                          "cannot make a bridge for network %s: %s", net, strerror(errno));
}

int kvm_bridge_remove(struct kvm *self, nova_op op, const char *net)
{
	if (kvm_bridge_close(net) == 0)
		return NOVA_DONE;
	return self->host->errorf(op, errno == EPERM ? NOVA_E_PERMISSION : NOVA_E_FAILED,
	                          "cannot remove the bridge of network %s: %s%s", net,
	                          strerror(errno),
	                          errno == EPERM ? "; it was made by root, who can remove it" : "");
}

/* --- taps ---------------------------------------------------------------------------------------
 */

static int make_tap(const struct kvm *self, const char *device, const char *alias, int bridge,
                    bool queues)
{
	int index, fd, status;
	if (if_nametoindex(device) != 0) {
		errno = EEXIST;
		return -1;
	}
	fd = kvm_link_tap(device, queues, &index);
	if (fd < 0)
		return -1;
	status = kvm_link_up(index, alias, bridge);
	if (status == 0)
		status = kvm_link_keep(fd, self->privileged ? self->qemu_uid : geteuid());
	int kept = errno;
	close(fd);
	errno = kept;
	return status;
}

static int no_tap(struct kvm *self, nova_op op, const char *vm)
{
	return self->host->errorf(op, NOVA_E_FAILED, "cannot make a tap device for VM %s: %s", vm,
	                          strerror(errno));
}

int kvm_bridge_join(struct kvm *self, nova_op op, const char *net, const char *vm, size_t index,
                    char tap[IF_NAMESIZE])
{
	struct kvm_link bridge;
	char device[IF_NAMESIZE], alias[KVM_ALIAS_BYTES];
	if (index >= KVM_TAPS_MOST)
		return self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                          "VM %s cannot be on more than %d networks", vm,
		                          KVM_TAPS_MOST);
	bridge_name(net, device);
	if (kvm_link_find(device, &bridge) != 0 || !is_bridge_of(&bridge, net))
		return self->host->errorf(op, NOVA_E_NOT_FOUND,
		                          "the bridge %s of network %s is not there any more",
		                          device, net);
	tap_name(vm, index, SIDES[0], tap);
	snprintf(alias, sizeof(alias), "%s %s", net, vm);
	return make_tap(self, tap, alias, bridge.index, false) == 0 ? NOVA_DONE
	                                                            : no_tap(self, op, vm);
}

/* The VM's taps, one after another from *at = 0 on. */
static bool next_tap(const char *vm, size_t *at, char device[IF_NAMESIZE], struct kvm_link *link)
{
	for (; *at < KVM_TAPS_MOST * strlen(SIDES); ++*at) {
		tap_name(vm, *at / strlen(SIDES), SIDES[*at % strlen(SIDES)], device);
		if (if_nametoindex(device) != 0 && kvm_link_find(device, link) == 0 &&
		    is_tap_of(link, vm)) {
			++*at;
			return true;
		}
	}
	return false;
}

/* `side` 0: whichever. */
static void delete_taps(const char *vm, char side)
{
	char device[IF_NAMESIZE];
	struct kvm_link link;
	size_t at = 0;
	while (next_tap(vm, &at, device, &link))
		if (!side || device[strlen(device) - 1] == side)
			kvm_link_delete(link.index);
}

void kvm_bridge_leave(const char *vm)
{
	delete_taps(vm, 0);
}

/* --- queues -------------------------------------------------------------------------------------
 */

/* Of the interface that has the tap. */
static bool wants_queues(xmlDocPtr doc, const char *device)
{
	char *xpath =
	        kvm_format("/domain/devices/interface[target/@dev='%s']/driver/@queues", device);
	char *queues = xpath ? kvm_xml_find(doc, xpath) : NULL;
	bool several = queues && atoi(queues) > 1;
	free(queues);
	free(xpath);
	return several;
}

/* What a tap was made with can only be seen by making it anew, so each is before a start. */
int kvm_bridge_fit(struct kvm *self, nova_op op, virDomainPtr domain)
{
	const char *vm = virDomainGetName(domain);
	char device[IF_NAMESIZE], *text = NULL;
	struct kvm_link link;
	xmlDocPtr doc = NULL;
	size_t at = 0;
	int status = NOVA_DONE;
	while (status == NOVA_DONE && next_tap(vm, &at, device, &link)) {
		text = text ? text : virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
		doc = doc || !text ? doc : kvm_xml_parse(text);
		bool queues = doc && wants_queues(doc, device);
		if (!doc || queues == link.queues)
			continue;
		if (kvm_link_delete(link.index) != 0 ||
		    make_tap(self, device, link.alias, link.master, queues) != 0)
			status = no_tap(self, op, vm);
	}
	free(text);
	xmlFreeDoc(doc);
	return status;
}

/* --- migration ----------------------------------------------------------------------------------
 */

/* NULL: it cannot be read. */
static char *with_other_taps(virDomainPtr domain, unsigned flags, char from, char to)
{
	const char *vm = virDomainGetName(domain);
	char *text = virDomainGetXMLDesc(domain, flags | VIR_DOMAIN_XML_MIGRATABLE), *changed;
	xmlDocPtr doc = text ? kvm_xml_parse(text) : NULL;
	char old[IF_NAMESIZE], new[IF_NAMESIZE];
	xmlNodePtr devices =
	        doc ? kvm_xml_reach(doc, (const char *const[]){"devices", NULL}) : NULL;
	for (xmlNodePtr node = devices ? devices->children : NULL; node; node = node->next) {
		xmlNodePtr target = kvm_xml_child(node, "target");
		xmlChar *device = target && strcmp((const char *)node->name, "interface") == 0
		                          ? xmlGetProp(target, (const xmlChar *)"dev")
		                          : NULL;
		for (size_t i = 0; device && i < KVM_TAPS_MOST; i++) {
			tap_name(vm, i, from, old);
			tap_name(vm, i, to, new);
			if (strcmp((const char *)device, old) == 0)
				kvm_xml_set(target, "dev", new);
		}
		xmlFree(device);
	}
	changed = doc ? kvm_xml_text(doc) : NULL;
	xmlFreeDoc(doc);
	free(text);
	return changed;
}

int kvm_bridge_cross(struct kvm *self, nova_op op, virDomainPtr domain, struct kvm_crossing *how)
{
	const char *vm = virDomainGetName(domain);
	char device[IF_NAMESIZE], other[IF_NAMESIZE];
	struct kvm_link link;
	size_t at = 0;
	*how = (struct kvm_crossing){.from = 0};
	while (next_tap(vm, &at, device, &link)) {
		size_t index = (at - 1) / strlen(SIDES);
		char side = device[strlen(device) - 1];
		if (how->from && side != how->from)
			continue; /* the one that was just made */
		how->from = side;
		how->to = side == SIDES[0] ? SIDES[1] : SIDES[0];
		tap_name(vm, index, how->to, other);
		if (make_tap(self, other, link.alias, link.master, link.queues) != 0)
			return no_tap(self, op, vm);
	}
	if (!how->from)
		return NOVA_DONE;
	how->xml = with_other_taps(domain, 0, how->from, how->to);
	how->kept = with_other_taps(domain, VIR_DOMAIN_XML_INACTIVE, how->from, how->to);
	return how->xml && how->kept ? NOVA_DONE
	                             : kvm_fail(self, op, "read the definition of VM", vm);
}

void kvm_bridge_crossed(const char *vm, struct kvm_crossing *how, bool moved)
{
	if (how->from)
		delete_taps(vm, moved ? how->from : how->to);
	free(how->xml);
	free(how->kept);
}
