/* SPDX-License-Identifier: MIT */
/*
 * The table of tuning knobs: how each is checked, written into a domain's XML and read back from
 * it. Pure functions; knobs.c applies them to VMs.
 */
#include "knob.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool digits(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 6;
}

static xmlNodePtr devices(xmlDocPtr doc)
{
	return kvm_xml_reach(doc, PATH("devices"));
}

static xmlNodePtr disk(xmlDocPtr doc)
{
	return kvm_xml_child(devices(doc), "disk");
}

static void set_or_unset(xmlNodePtr node, const char *name, const char *value)
{
	if (value)
		kvm_xml_set(node, name, value);
	else
		xmlUnsetProp(node, (const xmlChar *)name);
}

/* What libvirt leaves out has a default, which the knob calls by its own word. */
static char *read_or(xmlDocPtr doc, const char *xpath, const char *absent)
{
	char *text = kvm_xml_find(doc, xpath);
	return text ? text : strdup(absent);
}

/* --- vm.cpu.mode ---------------------------------------------------------------------------- */

static const char *const cpu_modes[] = {"host-passthrough", "host-model", "maximum", "default",
                                        NULL};

/* A mode or the name of a model that QEMU knows, perhaps with ±features: "Haswell,-tsx". */
static int check_cpu(const char *value)
{
	const char *const set =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,+";
	return *value && *value != ',' && strspn(value, set) == strlen(value) ? 0 : -1;
}

/* Sets the model and its ±features; `text` is cut up. */
static void set_model(xmlNodePtr cpu, char *text)
{
	char *rest = NULL;
	char *model = strtok_r(text, ",", &rest);
	kvm_xml_set(cpu, "mode", "custom");
	kvm_xml_set(cpu, "match", "exact");
	kvm_xml_set(kvm_xml_add(cpu, "model", model), "fallback", "forbid");
	for (char *feature; (feature = strtok_r(NULL, ",", &rest));) {
		bool off = *feature == '-';
		xmlNodePtr node = kvm_xml_add(cpu, "feature", NULL);
		kvm_xml_set(node, "policy", off ? "disable" : "require");
		kvm_xml_set(node, "name", feature + (*feature == '-' || *feature == '+'));
	}
}

static int apply_cpu(xmlDocPtr doc, const char *value)
{
	xmlNodePtr root = xmlDocGetRootElement(doc);
	xmlNodePtr cpu;
	kvm_xml_remove(root, "cpu");
	if (strcmp(value, "default") == 0)
		return 0;
	cpu = kvm_xml_add(root, "cpu", NULL);
	for (int i = 0; cpu_modes[i]; i++)
		if (strcmp(value, cpu_modes[i]) == 0) {
			kvm_xml_set(cpu, "mode", value);
			return 0;
		}
	char *copy = strdup(value);
	if (copy)
		set_model(cpu, copy);
	free(copy);
	return copy ? 0 : -1;
}

static char *read_cpu(xmlDocPtr doc)
{
	char *mode = read_or(doc, "/domain/cpu/@mode", "default"), *text = NULL;
	xmlNodePtr cpu = kvm_xml_child(xmlDocGetRootElement(doc), "cpu");
	size_t length = 0;
	if (!mode || strcmp(mode, "custom") != 0)
		return mode;
	FILE *out = open_memstream(&text, &length);
	free(mode);
	if (!out)
		return NULL;
	char *model = read_or(doc, "/domain/cpu/model", "");
	fputs(model ? model : "", out);
	free(model);
	for (xmlNodePtr node = cpu->children; node; node = node->next) {
		if (node->type != XML_ELEMENT_NODE ||
		    strcmp((const char *)node->name, "feature") != 0)
			continue;
		xmlChar *policy = xmlGetProp(node, (const xmlChar *)"policy");
		xmlChar *name = xmlGetProp(node, (const xmlChar *)"name");
		bool off = policy && strcmp((const char *)policy, "disable") == 0;
		fprintf(out, ",%c%s", off ? '-' : '+', name ? (const char *)name : "");
		xmlFree(policy);
		xmlFree(name);
	}
	fclose(out);
	return text;
}

/* --- vm.cpu.pin ----------------------------------------------------------------------------- */

/* One host CPU set for each vCPU, "0:1" or "0-1:2,3"; the last one serves all that follow. */
static int check_pin(const char *value)
{
	if (strcmp(value, "none") == 0)
		return 0;
	if (!*value || strspn(value, "0123456789-,:^") != strlen(value))
		return -1;
	for (const char *at = value; at;) {
		if (!*at || !strchr("0123456789", *at))
			return -1;
		at = strchr(at, ':');
		at = at ? at + 1 : NULL;
	}
	return 0;
}

static int apply_pin(xmlDocPtr doc, const char *value)
{
	xmlNodePtr tune = kvm_xml_reach(doc, PATH("cputune"));
	char *vcpus = read_or(doc, "/domain/vcpu", "1");
	long count = vcpus ? strtol(vcpus, NULL, 10) : 1;
	char number[24], *copy = strdup(value), *set = copy;
	free(vcpus);
	kvm_xml_remove(tune, "vcpupin");
	if (!copy || strcmp(value, "none") == 0) {
		free(copy);
		return copy ? 0 : -1;
	}
	for (long i = 0; i < count; i++) {
		char *next = strchr(set, ':');
		if (next)
			*next = '\0';
		snprintf(number, sizeof(number), "%ld", i);
		xmlNodePtr pin = kvm_xml_add(tune, "vcpupin", NULL);
		kvm_xml_set(pin, "vcpu", number);
		kvm_xml_set(pin, "cpuset", set);
		if (next)
			set = next + 1;
	}
	free(copy);
	return 0;
}

static char *read_pin(xmlDocPtr doc)
{
	xmlNodePtr tune = kvm_xml_child(xmlDocGetRootElement(doc), "cputune");
	char *text = NULL;
	size_t length = 0;
	if (!kvm_xml_child(tune, "vcpupin"))
		return strdup("none");
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return NULL;
	for (xmlNodePtr node = tune->children; node; node = node->next) {
		if (node->type != XML_ELEMENT_NODE ||
		    strcmp((const char *)node->name, "vcpupin") != 0)
			continue;
		xmlChar *set = xmlGetProp(node, (const xmlChar *)"cpuset");
		fprintf(out, "%s%s", ftell(out) > 0 ? ":" : "", set ? (const char *)set : "");
		xmlFree(set);
	}
	fclose(out);
	return text;
}

/* --- vm.disk.* ------------------------------------------------------------------------------ */

static const char *const caches[] = {"default",    "none",   "writeback", "writethrough",
                                     "directsync", "unsafe", NULL};
static const char *const ios[] = {"default", "threads", "native", "io_uring", NULL};
static const char *const buses[] = {"virtio", "sata", "ide", "scsi", NULL};
static const char *const switches[] = {"on", "off", NULL};
static const char *const discards[] = {"default", "unmap", "ignore", NULL};

static int apply_driver(xmlDocPtr doc, const char *attribute, const char *value)
{
	xmlNodePtr driver = kvm_xml_child(disk(doc), "driver");
	if (!driver)
		return -1;
	set_or_unset(driver, attribute, strcmp(value, "default") == 0 ? NULL : value);
	return 0;
}

static int apply_cache(xmlDocPtr doc, const char *value)
{
	return apply_driver(doc, "cache", value);
}

static char *read_cache(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/disk[1]/driver/@cache", "default");
}

static int apply_io(xmlDocPtr doc, const char *value)
{
	return apply_driver(doc, "io", value);
}

static char *read_io(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/disk[1]/driver/@io", "default");
}

static int apply_discard(xmlDocPtr doc, const char *value)
{
	return apply_driver(doc, "discard", value);
}

static char *read_discard(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/disk[1]/driver/@discard", "default");
}

/* The device moves to another bus, so its old address and alias there are void. */
static int apply_bus(xmlDocPtr doc, const char *value)
{
	xmlNodePtr node = disk(doc), target = kvm_xml_child(node, "target");
	if (!target)
		return -1;
	kvm_xml_remove(node, "address");
	kvm_xml_remove(node, "alias");
	kvm_xml_set(target, "bus", value);
	kvm_xml_set(target, "dev",
	            strcmp(value, "virtio") == 0 ? "vda"
	            : strcmp(value, "ide") == 0  ? "hda"
	                                         : "sda");
	char *scsi = kvm_xml_find(doc, "/domain/devices/controller[@type='scsi']");
	if (strcmp(value, "scsi") == 0 && !scsi) {
		xmlNodePtr controller = kvm_xml_add(devices(doc), "controller", NULL);
		kvm_xml_set(controller, "type", "scsi");
		kvm_xml_set(controller, "model", "virtio-scsi");
	}
	free(scsi);
	return 0;
}

static char *read_bus(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/disk[1]/target/@bus", "virtio");
}

static int check_number(const char *value)
{
	return digits(value) && strtol(value, NULL, 10) <= 64 ? 0 : -1;
}

static int apply_disk_queues(xmlDocPtr doc, const char *value)
{
	return apply_driver(doc, "queues", strcmp(value, "0") == 0 ? "default" : value);
}

static char *read_disk_queues(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/disk[1]/driver/@queues", "0");
}

/* The number of threads; the disk is served by the first. */
static int apply_iothreads(xmlDocPtr doc, const char *value)
{
	xmlNodePtr root = xmlDocGetRootElement(doc), before = kvm_xml_child(root, "os");
	bool none = strcmp(value, "0") == 0;
	kvm_xml_remove(root, "iothreads");
	kvm_xml_remove(root, "iothreadids");
	if (!none) {
		xmlNodePtr node = kvm_xml_add(root, "iothreads", value);
		if (before)
			xmlAddPrevSibling(before, node);
	}
	if (!disk(doc))
		return none ? 0 : -1;
	return apply_driver(doc, "iothread", none ? "default" : "1");
}

static char *read_iothreads(xmlDocPtr doc)
{
	return read_or(doc, "/domain/iothreads", "0");
}

/* --- vm.net.queues, vm.memory.* ------------------------------------------------------------- */

static int apply_net_queues(xmlDocPtr doc, const char *value)
{
	xmlNodePtr list = devices(doc);
	bool one = strcmp(value, "0") == 0, any = false;
	for (xmlNodePtr node = list->children; node; node = node->next) {
		if (node->type != XML_ELEMENT_NODE ||
		    strcmp((const char *)node->name, "interface") != 0)
			continue;
		any = true;
		xmlNodePtr driver = kvm_xml_child(node, "driver");
		if (!driver && !one)
			driver = kvm_xml_add(node, "driver", NULL);
		if (driver)
			set_or_unset(driver, "queues", one ? NULL : value);
	}
	return any || one ? 0 : -1;
}

static char *read_net_queues(xmlDocPtr doc)
{
	return read_or(doc, "/domain/devices/interface[1]/driver/@queues", "0");
}

static const char *const page_sizes[] = {"off", "default", "2MiB", "1GiB", NULL};

static int apply_pages(xmlDocPtr doc, const char *value)
{
	xmlNodePtr backing = kvm_xml_reach(doc, PATH("memoryBacking"));
	kvm_xml_remove(backing, "hugepages");
	if (strcmp(value, "off") == 0)
		return 0;
	xmlNodePtr pages = kvm_xml_add(backing, "hugepages", NULL);
	if (strcmp(value, "default") != 0) {
		xmlNodePtr page = kvm_xml_add(pages, "page", NULL);
		kvm_xml_set(page, "size", strcmp(value, "1GiB") == 0 ? "1048576" : "2048");
		kvm_xml_set(page, "unit", "KiB");
	}
	return 0;
}

static char *read_pages(xmlDocPtr doc)
{
	char *size = kvm_xml_find(doc, "/domain/memoryBacking/hugepages/page/@size");
	const char *word = "off";
	if (size)
		word = strcmp(size, "1048576") == 0 ? "1GiB" : "2MiB";
	free(size);
	if (kvm_xml_child(kvm_xml_child(xmlDocGetRootElement(doc), "memoryBacking"), "hugepages") &&
	    strcmp(word, "off") == 0)
		word = "default";
	return strdup(word);
}

static int apply_locked(xmlDocPtr doc, const char *value)
{
	xmlNodePtr backing = kvm_xml_reach(doc, PATH("memoryBacking"));
	kvm_xml_remove(backing, "locked");
	if (strcmp(value, "on") == 0)
		kvm_xml_add(backing, "locked", NULL);
	return 0;
}

static char *read_locked(xmlDocPtr doc)
{
	xmlNodePtr backing = kvm_xml_child(xmlDocGetRootElement(doc), "memoryBacking");
	return strdup(kvm_xml_child(backing, "locked") ? "on" : "off");
}

static const struct kvm_knob
        cpu_mode = {.name = "vm.cpu.mode",
                    .parameter = "cpu",
                    .doc = "what CPU the guest sees",
                    .values = "host-passthrough, host-model, maximum, default, or a model with "
                              "features: Haswell,-hle",
                    .check = check_cpu,
                    .apply = apply_cpu,
                    .read = read_cpu},
        cpu_pin = {.name = "vm.cpu.pin",
                   .parameter = "pin",
                   .doc = "host CPUs that each vCPU may run on",
                   .values =
                           "none, or one set for each vCPU: 0:1, 0-1:2,3; the last serves the rest",
                   .check = check_pin,
                   .apply = apply_pin,
                   .read = read_pin},
        disk_bus = {.name = "vm.disk.bus",
                    .parameter = "disk_bus",
                    .doc = "the disk's bus",
                    .values = "virtio, sata, ide, scsi",
                    .choices = buses,
                    .apply = apply_bus,
                    .read = read_bus},
        disk_cache = {.name = "vm.disk.cache",
                      .parameter = "disk_cache",
                      .doc = "the host's caching of the disk",
                      .values = "default, none, writeback, writethrough, directsync, unsafe",
                      .choices = caches,
                      .apply = apply_cache,
                      .read = read_cache},
        disk_io = {.name = "vm.disk.io",
                   .parameter = "disk_io",
                   .doc = "how QEMU does disk I/O; native needs cache none or directsync",
                   .values = "default, threads, native, io_uring",
                   .choices = ios,
                   .apply = apply_io,
                   .read = read_io},
        disk_discard = {.name = "vm.disk.discard",
                        .parameter = "disk_discard",
                        .doc = "whether freed blocks are given back",
                        .values = "default, unmap, ignore",
                        .choices = discards,
                        .apply = apply_discard,
                        .read = read_discard},
        disk_iothreads = {.name = "vm.disk.iothreads",
                          .parameter = "iothreads",
                          .doc = "I/O threads of the VM; the virtio disk is served by the first",
                          .values = "0 … 64",
                          .check = check_number,
                          .apply = apply_iothreads,
                          .read = read_iothreads},
        disk_queues = {.name = "vm.disk.queues",
                       .parameter = "disk_queues",
                       .doc = "request queues of the virtio disk; 0 leaves it to QEMU",
                       .values = "0 … 64",
                       .check = check_number,
                       .apply = apply_disk_queues,
                       .read = read_disk_queues},
        net_queues = {.name = "vm.net.queues",
                      .parameter = "net_queues",
                      .doc = "queues of each network interface; 0 leaves it to QEMU",
                      .values = "0 … 64",
                      .check = check_number,
                      .apply = apply_net_queues,
                      .read = read_net_queues},
        memory_pages = {.name = "vm.memory.hugepages",
                        .parameter = "hugepages",
                        .doc = "back the guest's memory with huge pages, which must be reserved",
                        .values = "off, default, 2MiB, 1GiB",
                        .choices = page_sizes,
                        .apply = apply_pages,
                        .read = read_pages},
        memory_locked = {.name = "vm.memory.locked",
                         .parameter = "memory_locked",
                         .doc = "lock the guest's memory",
                         .values = "on, off",
                         .choices = switches,
                         .apply = apply_locked,
                         .read = read_locked};

/* The bus comes before what only some buses have. */
const struct kvm_knob *const kvm_knobs[] = {
        &cpu_mode,    &cpu_pin,        &disk_bus,   &disk_cache,   &disk_io,       &disk_discard,
        &disk_queues, &disk_iothreads, &net_queues, &memory_pages, &memory_locked, NULL};

const struct kvm_knob *kvm_knob_find(const char *name, size_t length)
{
	for (int i = 0; kvm_knobs[i]; i++)
		if (strlen(kvm_knobs[i]->name) == length &&
		    strncmp(kvm_knobs[i]->name, name, length) == 0)
			return kvm_knobs[i];
	return NULL;
}

int kvm_knob_check(const struct kvm_knob *knob, const char *value)
{
	if (!knob->choices)
		return knob->check(value);
	for (int i = 0; knob->choices[i]; i++)
		if (strcmp(knob->choices[i], value) == 0)
			return 0;
	return -1;
}

/* Shared letters at both ends tell typing errors well enough in a list of eleven. */
const char *kvm_knob_nearest(const char *name)
{
	size_t best = 0, length = strlen(name);
	const char *nearest = kvm_knobs[0]->name;
	for (int i = 0; kvm_knobs[i]; i++) {
		const char *other = kvm_knobs[i]->name;
		size_t front = 0, back = 0, theirs = strlen(other);
		while (front < length && front < theirs && name[front] == other[front])
			front++;
		while (back < length - front && back < theirs - front &&
		       name[length - 1 - back] == other[theirs - 1 - back])
			back++;
		if (front + back > best) {
			best = front + back;
			nearest = other;
		}
	}
	return nearest;
}
