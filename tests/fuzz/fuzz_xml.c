// rooms: xml
// SPDX-License-Identifier: MIT
/* A line that is a path, then an answer of any content: accessors take both, what is taken is
 * within the bounds, and a text that was read can be written and read again. */
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/xml.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void write_again(const char *value)
{
	struct nova_text text = {0};
	struct nova_xml *document;

	nova_xml_add(&text, "a", value);
	document = nova_xml_parse(text.text, text.used, NULL, 0);
	require(document &&
	        strcmp(nova_xml_text(nova_xml_root(document), "", "", "?"), value) == 0);
	nova_xml_free(document);
	nova_text_free(&text);
}

static size_t visit(const struct nova_xml_node *node, const char *path, int depth)
{
	struct nova_xml_reader reader = {.node = node};
	const char *space = NULL;
	const char *value = nova_xml_text(node, NULL, "", NULL);
	const struct nova_xml_node *child = nova_xml_first(node, NULL, NULL);
	size_t count = 1;

	require(depth <= NOVA_XML_DEPTH);
	require(!value || !child); /* text or elements */
	if (value && depth < 3)
		write_again(value);
	require(!nova_xml_type(node, &space) || space);
	nova_xml_attribute(node, NULL, path);
	nova_xml_is_nil(node);
	nova_xml_flag(node, "urn:vim25", path, 0);
	nova_xml_need_number(&reader, path);
	require(reader.error[0] ||
	        nova_xml_number(node, NULL, path, 1) == nova_xml_number(node, NULL, path, 2));
	require(nova_xml_is(node, NULL, nova_xml_name(node)));
	for (; child; child = nova_xml_next(child, NULL, NULL))
		count += visit(child, path, depth + 1);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	char path[200] = "";
	char why[200] = "";
	struct nova_xml *document;
	size_t length;

	if (!end)
		return 0;
	length = (size_t)(end - data);
	if (length < sizeof(path))
		memcpy(path, data, length);
	document = nova_xml_parse((const char *)end + 1, size - length - 1, why, sizeof(why));
	require(document || strncmp(why, "no XML", 6) == 0);
	if (document)
		require(visit(nova_xml_root(document), path, 1) <= NOVA_XML_NODES);
	nova_xml_free(document);
	return 0;
}
