// rooms: xml
// SPDX-License-Identifier: MIT
// sources: plugins/hypervisors/vsphere/fault.c plugins/hypervisors/vsphere/props.c
// sources: plugins/hypervisors/vsphere/soap.c plugins/hypervisors/vsphere/watch.c
// sources: plugins/hypervisors/vsphere/vm.c plugins/hypervisors/vsphere/stats.c
// sources: plugins/hypervisors/vsphere/task.c
/* A property's path and a name in two lines, then an answer of vSphere's of any content: whatever
 * it is, its faults have a text, its objects fit, and names are the same as themselves alone. */
#include <stdlib.h>
#include <string.h>

#include "../../plugins/hypervisors/vsphere/vsphere.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void read_faults(const struct nova_xml_node *root)
{
	struct fault fault;

	if (fault_of_reply(root, &fault) || fault_of_properties(root, &fault)) {
		require(fault.text[0] && strlen(fault.text) < sizeof(fault.text));
		require(strlen(fault.type) < sizeof(fault.type) && fault.code < 0);
		for (const char *at = fault.text; *at; at++)
			require((unsigned char)*at >= ' ');
	}
	fault_of_method(root, &fault);
	require(fault.text[0] && fault.code < 0);
}

static void read_objects(const struct nova_xml_node *result, const char *path, const char *name)
{
	for (const struct nova_xml_node *one = props_first(result); one; one = props_next(one)) {
		struct moref object, value;
		struct nova_text written = {0};

		props_number(one, path, 0);
		vm_same_name(props_text(one, path, ""), name);
		soap_read_moref(props_value(one, path), &value);
		if (!props_object(one, &object))
			continue;
		soap_add_moref(&written, "obj", &object);
		require(object.type[0] && object.value[0] && moref_same(&object, &object));
		require(written.used > 0);
		nova_text_free(&written);
	}
}

/* As it is sent, it is the name that it was. */
static void check_name(const char *name)
{
	struct nova_text stored = {0};

	vm_add_name(&stored, name);
	require(vm_same_name(nova_text_get(&stored), name));
	nova_text_add(&stored, "x");
	require(!vm_same_name(nova_text_get(&stored), name));
	nova_text_free(&stored);
}

static const uint8_t *take_line(const uint8_t *data, const uint8_t *end, char line[100])
{
	const uint8_t *stop = memchr(data, '\n', (size_t)(end - data));
	size_t length = stop ? (size_t)(stop - data) : 0;

	line[0] = '\0';
	if (!stop || length >= 100)
		return NULL;
	memcpy(line, data, length);
	line[length] = '\0';
	return stop + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	char path[100], name[100];
	struct nova_xml *document;
	const struct nova_xml_node *answer;

	data = take_line(data, end, path);
	data = data ? take_line(data, end, name) : NULL;
	if (!data)
		return 0;
	check_name(name);
	document = nova_xml_parse((const char *)data, (size_t)(end - data), NULL, 0);
	read_faults(nova_xml_root(document));
	answer = nova_xml_first(nova_xml_at(nova_xml_root(document), SOAP, "Body"), VIM, NULL);
	read_objects(answer, path, name);
	nova_xml_free(document);
	return 0;
}
