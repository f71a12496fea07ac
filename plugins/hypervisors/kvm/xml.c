/* SPDX-License-Identifier: MIT */
/* Builds and reads libvirt's domain XML with libxml2; no markup is ever pasted together. */
#include "xml.h"

#include <novacore/hypervisor.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(text) ((const xmlChar *)(text))

xmlNodePtr kvm_xml_add(xmlNodePtr parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, X(name), X(text));
}

void kvm_xml_set(xmlNodePtr node, const char *name, const char *value)
{
	xmlSetProp(node, X(name), X(value));
}

static void set_number(xmlNodePtr node, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	kvm_xml_set(node, name, text);
}

static xmlNodePtr add_number(xmlNodePtr parent, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return kvm_xml_add(parent, name, text);
}

/* <name a1="v1" …/>; the list ends with NULL. Attributes without a value are left out. */
static xmlNodePtr add_with(xmlNodePtr parent, const char *name, const char *const *attributes)
{
	xmlNodePtr node = kvm_xml_add(parent, name, NULL);
	for (; *attributes; attributes += 2)
		if (attributes[1])
			kvm_xml_set(node, attributes[0], attributes[1]);
	return node;
}
#define ADD(parent, name, ...)                                                                     \
	add_with(parent, name, (const char *const[]){__VA_ARGS__, NULL, NULL})

xmlNodePtr kvm_xml_child(xmlNodePtr parent, const char *name)
{
	for (xmlNodePtr node = parent ? parent->children : NULL; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
			return node;
	return NULL;
}

void kvm_xml_remove(xmlNodePtr parent, const char *name)
{
	xmlNodePtr node;
	while ((node = kvm_xml_child(parent, name))) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
}

xmlNodePtr kvm_xml_reach(xmlDocPtr doc, const char *const *path)
{
	xmlNodePtr node = xmlDocGetRootElement(doc);
	for (; node && *path; path++) {
		xmlNodePtr child = kvm_xml_child(node, *path);
		node = child ? child : kvm_xml_add(node, *path, NULL);
	}
	return node;
}

/* A broken document is the caller's error to report; libxml2 must not print it. */
static void quiet(void *context, const char *message, ...)
{
	(void)context;
	(void)message;
}

xmlDocPtr kvm_xml_parse(const char *text)
{
	xmlDocPtr doc = NULL;
	xmlParserCtxtPtr parser = xmlNewParserCtxt();
	if (!parser)
		return NULL;
	parser->sax->error = quiet;
	parser->sax->warning = quiet;
	doc = xmlCtxtReadMemory(parser, text, (int)strlen(text), "domain.xml", NULL,
	                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlFreeParserCtxt(parser);
	return doc;
}

char *kvm_xml_text(xmlDocPtr doc)
{
	xmlChar *bytes = NULL;
	int count = 0;
	char *copy;
	xmlDocDumpFormatMemory(doc, &bytes, &count, 1);
	copy = bytes ? strndup((const char *)bytes, (size_t)count) : NULL;
	xmlFree(bytes);
	return copy;
}

char *kvm_xml_named(const char *element, const char *name)
{
	xmlDocPtr doc = xmlNewDoc(X("1.0"));
	char *text = NULL;
	if (!doc)
		return NULL;
	xmlDocSetRootElement(doc, xmlNewDocNode(doc, NULL, X(element), NULL));
	kvm_xml_add(xmlDocGetRootElement(doc), "name", name);
	text = kvm_xml_text(doc);
	xmlFreeDoc(doc);
	return text;
}

char *kvm_xml_find(xmlDocPtr doc, const char *xpath)
{
	char *text = NULL;
	xmlXPathContextPtr context = xmlXPathNewContext(doc);
	xmlXPathObjectPtr found = context ? xmlXPathEvalExpression(X(xpath), context) : NULL;
	if (found && found->type == XPATH_NODESET && !xmlXPathNodeSetIsEmpty(found->nodesetval)) {
		xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[0]);
		text = strdup(content ? (const char *)content : "");
		xmlFree(content);
	} else if (found && found->type != XPATH_NODESET) {
		xmlChar *content = xmlXPathCastToString(found);
		text = content ? strdup((const char *)content) : NULL;
		xmlFree(content);
	}
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
	return text;
}

/* "udp:ADDRESS:PORT"; the address may be a bracketed IPv6 one. */
int kvm_beat_parse(const char *text, char **host, char **port)
{
	if (strncmp(text, "udp:", 4) != 0)
		return -1;
	char *copy = strdup(text + 4);
	char *colon = copy ? strrchr(copy, ':') : NULL;
	char *end = NULL;
	unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || colon == copy || end == colon + 1 || *end || number == 0 || number > 65535 ||
	    colon[1] < '0' || colon[1] > '9')
		goto error_text;
	*colon = '\0';
	if (copy[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		memmove(copy, copy + 1, strlen(copy));
	} else if (strchr(copy, ':')) {
		goto error_text;
	}
	*host = copy;
	*port = colon + 1;
	return 0;
error_text:
	free(copy);
	return -1;
}

static void add_os(xmlNodePtr root, const struct kvm_spec *spec)
{
	xmlNodePtr os = kvm_xml_add(root, "os", NULL);
	xmlNodePtr type = kvm_xml_add(os, "type", "hvm");
	kvm_xml_set(type, "arch", "x86_64");
	kvm_xml_set(type, "machine", spec->machine);
	if (spec->boot == NOVA_BOOT_DIRECT) {
		kvm_xml_add(os, "kernel", spec->kernel);
		if (spec->initrd)
			kvm_xml_add(os, "initrd", spec->initrd);
		if (spec->cmdline)
			kvm_xml_add(os, "cmdline", spec->cmdline);
	} else {
		ADD(os, "boot", "dev", "hd");
	}
	xmlNodePtr features = kvm_xml_add(root, "features", NULL);
	kvm_xml_add(features, "acpi", NULL);
	kvm_xml_add(features, "apic", NULL);
}

/*
 * The overlay is the driver's; its backing file is shared by many VMs and must keep its owner, so
 * libvirt is told the chain (it then need not probe it) and not to relabel that part.
 */
static void add_disk(xmlNodePtr devices, const struct kvm_spec *spec)
{
	if (!spec->disk)
		return;
	xmlNodePtr disk = ADD(devices, "disk", "type", "file", "device", "disk");
	ADD(disk, "driver", "name", "qemu", "type", "qcow2");
	ADD(disk, "source", "file", spec->disk);
	if (spec->backing) {
		xmlNodePtr backing = ADD(disk, "backingStore", "type", "file");
		ADD(backing, "format", "type", spec->backing_format);
		xmlNodePtr source = ADD(backing, "source", "file", spec->backing);
		ADD(source, "seclabel", "model", "dac", "relabel", "no");
		kvm_xml_add(backing, "backingStore", NULL);
	}
	ADD(disk, "target", "dev", "vda", "bus", "virtio");
}

static void add_serials(xmlNodePtr devices, const struct kvm_spec *spec)
{
	if (spec->console) {
		xmlNodePtr serial = ADD(devices, "serial", "type", "file");
		ADD(serial, "source", "path", spec->console);
		ADD(serial, "target", "port", "0");
	}
	if (spec->beat_host) {
		xmlNodePtr serial = ADD(devices, "serial", "type", "udp");
		ADD(serial, "source", "mode", "connect", "host", spec->beat_host, "service",
		    spec->beat_port);
		ADD(serial, "target", "port", "1");
	}
}

static void add_interface(xmlNodePtr devices, const struct kvm_interface *interface)
{
	char mac[18];
	static const char *const types[] = {
	        [KVM_NET_UDP] = "udp", [KVM_NET_USER] = "user", [KVM_NET_TAP] = "ethernet"};
	xmlNodePtr node = ADD(devices, "interface", "type", types[interface->type]);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", interface->mac[0],
	         interface->mac[1], interface->mac[2], interface->mac[3], interface->mac[4],
	         interface->mac[5]);
	ADD(node, "mac", "address", mac);
	if (interface->type == KVM_NET_UDP) {
		xmlNodePtr source = ADD(node, "source", "address", "127.0.0.1");
		xmlNodePtr local = ADD(source, "local", "address", "127.0.0.1");
		set_number(source, "port", interface->peer_port);
		set_number(local, "port", interface->local_port);
	}
	if (interface->type == KVM_NET_TAP)
		ADD(node, "target", "dev", interface->tap, "managed", "no");
	ADD(node, "model", "type", "virtio");
}

/* The stub is the smallest VM there is: no agent, no balloon, no random numbers. */
static void add_devices(xmlNodePtr root, const struct kvm_spec *spec)
{
	bool stub = spec->boot == NOVA_BOOT_STUB;
	xmlNodePtr devices = kvm_xml_add(root, "devices", NULL);
	if (spec->emulator)
		kvm_xml_add(devices, "emulator", spec->emulator);
	ADD(devices, "controller", "type", "usb", "model", "none");
	add_disk(devices, spec);
	add_serials(devices, spec);
	for (size_t i = 0; i < spec->interface_count; i++)
		add_interface(devices, &spec->interfaces[i]);
	ADD(devices, "memballoon", "model", stub ? "none" : "virtio");
	if (stub)
		return;
	xmlNodePtr channel = ADD(devices, "channel", "type", "unix");
	ADD(channel, "target", "type", "virtio", "name", "org.qemu.guest_agent.0");
	xmlNodePtr rng = ADD(devices, "rng", "model", "virtio");
	xmlNodePtr backend = kvm_xml_add(rng, "backend", "/dev/urandom");
	kvm_xml_set(backend, "model", "random");
}

xmlDocPtr kvm_xml_domain(const struct kvm_spec *spec)
{
	xmlDocPtr doc = xmlNewDoc(X("1.0"));
	xmlNodePtr root = doc ? xmlNewDocNode(doc, NULL, X("domain"), NULL) : NULL;
	if (!root) {
		xmlFreeDoc(doc);
		return NULL;
	}
	xmlDocSetRootElement(doc, root);
	kvm_xml_set(root, "type", spec->type);
	kvm_xml_add(root, "name", spec->name);
	kvm_xml_set(add_number(root, "memory", spec->memory_bytes), "unit", "b");
	add_number(root, "vcpu", spec->vcpus);
	add_os(root, spec);
	ADD(root, "clock", "offset", "utc");
	kvm_xml_add(root, "on_poweroff", "destroy");
	kvm_xml_add(root, "on_reboot", "restart");
	kvm_xml_add(root, "on_crash", "destroy");
	add_devices(root, spec);
	return doc;
}
