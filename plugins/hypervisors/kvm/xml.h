/* SPDX-License-Identifier: MIT */
/*
 * The domain XML, by libxml2: a plain description goes in, text comes out; and the tuning knobs,
 * read from and written into such a document. Nothing here talks to libvirt.
 */
#ifndef NOVACORE_KVM_XML_H
#define NOVACORE_KVM_XML_H

#include <libxml/tree.h>
#include <stddef.h>
#include <stdint.h>

enum kvm_net_type { KVM_NET_UDP = 1, KVM_NET_USER, KVM_NET_TAP };

struct kvm_interface {
	enum kvm_net_type type;
	uint16_t local_port, peer_port; /* KVM_NET_UDP, on 127.0.0.1 */
	char tap[16];                   /* KVM_NET_TAP: a device that is there */
	unsigned char mac[6];
};

/* What a VM is; NULL and 0: without. */
struct kvm_spec {
	const char *name, *type; /* "kvm", "qemu" */
	const char *machine, *emulator;
	uint32_t boot, vcpus;
	uint64_t memory_bytes;
	const char *kernel, *initrd, *cmdline;
	const char *disk, *backing, *backing_format;
	const char *console;
	const char *beat_host, *beat_port;
	const struct kvm_interface *interfaces;
	size_t interface_count;
};

xmlDocPtr kvm_xml_domain(const struct kvm_spec *spec); /* xmlFreeDoc; NULL: out of memory */
char *kvm_xml_text(xmlDocPtr doc);                     /* free() */
/* "<element><name>NAME</name></element>"; free() */
char *kvm_xml_named(const char *element, const char *name);
xmlDocPtr kvm_xml_parse(const char *text);
/* First match of the XPath expression as text, "" if it is there and empty; NULL; free() */
char *kvm_xml_find(xmlDocPtr doc, const char *xpath);
/* The node at a path of element names below the root, made where missing. */
xmlNodePtr kvm_xml_reach(xmlDocPtr doc, const char *const *path);
xmlNodePtr kvm_xml_child(xmlNodePtr parent, const char *name); /* NULL if it has none */
void kvm_xml_remove(xmlNodePtr parent, const char *name);
xmlNodePtr kvm_xml_add(xmlNodePtr parent, const char *name, const char *text);
void kvm_xml_set(xmlNodePtr node, const char *name, const char *value);

/* "udp:ADDRESS:PORT" → 0 and both parts, in one allocation at *host; else -1. */
int kvm_beat_parse(const char *text, char **host, char **port);

#endif
