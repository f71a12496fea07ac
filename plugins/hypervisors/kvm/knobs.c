/* SPDX-License-Identifier: MIT */
/*
 * Knobs of an existing VM: read from its definition, and set there; what libvirt can change in a
 * running VM (pins) changes at once, the rest at its next start.
 */
#include "kvm.h"

#include "knob.h"

#include <stdlib.h>
#include <string.h>

static int definition(struct kvm *self, nova_op op, virDomainPtr domain, xmlDocPtr *doc)
{
	char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	*doc = text ? kvm_xml_parse(text) : NULL;
	free(text);
	return *doc ? NOVA_DONE
	            : kvm_fail(self, op, "read the definition of VM", virDomainGetName(domain));
}

static int open_vm(struct kvm *self, nova_op op, const struct nova_ref *ref, virDomainPtr *domain,
                   xmlDocPtr *doc)
{
	int status = kvm_lookup(self, op, ref, domain);
	if (status == NOVA_DONE)
		status = definition(self, op, *domain, doc);
	if (status != NOVA_DONE && *domain) {
		virDomainFree(*domain);
		*domain = NULL;
	}
	return status;
}

static void put(struct kvm *self, nova_op op, const struct kvm_knob *knob, xmlDocPtr doc)
{
	char *value = knob->read(doc);
	if (value)
		self->host->put_fact(op, NOVA_FIELD_KNOB, knob->name, value);
	free(value);
}

int kvm_knob_list(void *instance, nova_op op, const struct nova_ref *ref)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	xmlDocPtr doc = NULL;
	int status = open_vm(self, op, ref, &domain, &doc);
	if (status != NOVA_DONE)
		return status;
	for (int i = 0; kvm_knobs[i]; i++) {
		char *doc_text = kvm_format("%s: %s", kvm_knobs[i]->values, kvm_knobs[i]->doc);
		put(self, op, kvm_knobs[i], doc);
		if (doc_text)
			self->host->put_fact(op, NOVA_FIELD_KNOB_DOC, kvm_knobs[i]->name, doc_text);
		free(doc_text);
	}
	xmlFreeDoc(doc);
	virDomainFree(domain);
	return NOVA_DONE;
}

static int find(struct kvm *self, nova_op op, const char *name, const struct kvm_knob **knob)
{
	*knob = kvm_knob_find(name, strlen(name));
	return *knob ? NOVA_DONE
	             : self->host->errorf(op, NOVA_E_NOT_FOUND,
	                                  "there is no knob %s; did you mean %s?", name,
	                                  kvm_knob_nearest(name));
}

int kvm_knob_get(void *instance, nova_op op, const struct nova_ref *ref, const char *name)
{
	struct kvm *self = instance;
	const struct kvm_knob *knob;
	virDomainPtr domain = NULL;
	xmlDocPtr doc = NULL;
	int status = find(self, op, name, &knob);
	if (status == NOVA_DONE)
		status = open_vm(self, op, ref, &domain, &doc);
	if (status != NOVA_DONE)
		return status;
	put(self, op, knob, doc);
	xmlFreeDoc(doc);
	virDomainFree(domain);
	return NOVA_DONE;
}

/* Every host CPU in `set` ("0-3,^2") as a bit map. */
static void fill_map(const char *set, unsigned char *map, int bytes)
{
	for (const char *at = set; at && *at;) {
		bool off = *at == '^';
		char *end;
		long first = strtol(at + off, &end, 10), last = first;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (long cpu = first; cpu <= last && cpu < bytes * 8L; cpu++)
			map[cpu / 8] = (unsigned char)(off ? map[cpu / 8] & ~(1 << cpu % 8)
			                                   : map[cpu / 8] | 1 << cpu % 8);
		at = strchr(end, ',');
		at = at ? at + 1 : NULL;
	}
}

/* Pins each vCPU of a running VM as its changed definition says. */
static int pin_live(struct kvm *self, nova_op op, virDomainPtr domain, xmlDocPtr doc)
{
	int count = virDomainGetVcpusFlags(domain, VIR_DOMAIN_AFFECT_LIVE);
	int cpus = virNodeGetCPUMap(self->connection, NULL, NULL, 0), status = NOVA_DONE;
	int bytes = cpus > 0 ? VIR_CPU_MAPLEN(cpus) : 0;
	for (int i = 0; i < count && status == NOVA_DONE && bytes > 0; i++) {
		char *xpath = kvm_format("/domain/cputune/vcpupin[@vcpu='%d']/@cpuset", i);
		char *set = xpath ? kvm_xml_find(doc, xpath) : NULL;
		unsigned char *map = calloc(1, (size_t)bytes);
		if (map && set)
			fill_map(set, map, bytes);
		for (int cpu = 0; map && !set && cpu < cpus; cpu++)
			map[cpu / 8] = (unsigned char)(map[cpu / 8] | 1 << cpu % 8);
		if (map && virDomainPinVcpuFlags(domain, (unsigned)i, map, bytes,
		                                 VIR_DOMAIN_AFFECT_LIVE) != 0)
			status =
			        kvm_fail(self, op, "pin the vCPUs of VM", virDomainGetName(domain));
		free(map);
		free(set);
		free(xpath);
	}
	return status;
}

int kvm_knob_set(void *instance, nova_op op, const struct nova_ref *ref, const char *name,
                 const char *value)
{
	struct kvm *self = instance;
	const struct kvm_knob *knob;
	virDomainPtr domain = NULL, changed = NULL;
	xmlDocPtr doc = NULL;
	char *text = NULL;
	int status = find(self, op, name, &knob);
	if (status == NOVA_DONE && kvm_knob_check(knob, value) != 0)
		return self->host->errorf(op, NOVA_E_INVALID, "%s cannot be %s; it takes %s", name,
		                          value, knob->values);
	if (status == NOVA_DONE)
		status = open_vm(self, op, ref, &domain, &doc);
	if (status != NOVA_DONE)
		return status;
	if (knob->apply(doc, value) != 0) {
		status = self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                            "%s does not apply to VM %s: it has no such device",
		                            name, ref->name);
		goto done;
	}
	if (strcmp(name, "vm.cpu.pin") == 0 && virDomainIsActive(domain) == 1)
		status = pin_live(self, op, domain, doc);
	text = status == NOVA_DONE ? kvm_xml_text(doc) : NULL;
	changed = text ? virDomainDefineXMLFlags(self->connection, text, VIR_DOMAIN_DEFINE_VALIDATE)
	               : NULL;
	if (status == NOVA_DONE && !changed)
		status = kvm_fail(self, op, "change the definition of VM", ref->name);
done:
	if (changed)
		virDomainFree(changed);
	free(text);
	xmlFreeDoc(doc);
	virDomainFree(domain);
	return status;
}
