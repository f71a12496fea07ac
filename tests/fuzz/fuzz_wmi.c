// rooms: xml ssh
// SPDX-License-Identifier: MIT
// sources: plugins/hypervisors/hyperv/cim.c plugins/hypervisors/hyperv/fault.c
// sources: plugins/hypervisors/hyperv/wsman.c
/* The name of an element in a line, then an answer of WinRM's of any content: whatever it is, it is
 * good or has a code and words, its references and instances fit, and paths of files are whole. */
#include <stdlib.h>
#include <string.h>

#include "../../plugins/hypervisors/hyperv/hyperv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void judge(struct nova_xml *document, const char *expected, int order)
{
	struct nova_http_answer answer = {.status = 200};
	struct nova_reply reply = {.http = &answer, .parsed = document};
	struct nova_text words = {0};
	struct call call = {.order = order};
	int code;

	snprintf(call.expected, sizeof(call.expected), "%s", expected);
	code = call_judge(&call.base, &reply, &words);
	require(code == NOVA_DONE || (code < 0 && words.used > 0) || words.broken);
	nova_text_free(&words);
}

static void check_path(const char *path)
{
	struct nova_text again = {0};
	struct file file;

	if (!cim_read_file(path, &file)) {
		require(!file.stem[0]);
		return;
	}
	nova_text_printf(&again, "%s%s%s.%s", file.drive, file.directory, file.stem,
	                 file.extension);
	require(strcmp(nova_text_get(&again), path) == 0 && !strstr(path, "\\..\\"));
	require(cim_is_file_name(file.stem) || strchr(" .", file.stem[strlen(file.stem) - 1]));
	nova_text_free(&again);
}

static void visit(const struct nova_xml_node *node, const char *name)
{
	struct reference reference;
	struct instance instance;

	require(cim_read_reference(node, &reference) ? reference.value[0] && reference.class_name[0]
	                                             : !reference.value[0]);
	cim_open(node, &instance);
	require(cim_text(&instance, name, NULL) == NULL || instance.node);
	cim_number(&instance, name, 0);
	cim_close(&instance);
	item_number(node, name, 0);
	check_path(nova_xml_text(node, NULL, "", ""));
	cim_is_guid(nova_xml_text(node, NULL, "", ""));
	node = nova_xml_first(node, NULL, NULL);
	for (; node; node = nova_xml_next(node, NULL, NULL))
		visit(node, name);
}

/* It comes back as it was. */
static void write_instance(const char *name, const char *value)
{
	struct nova_text text = {0};
	struct nova_xml *document;
	struct instance instance;

	nova_text_add(&text, "<a xmlns:p='urn:p'>");
	cim_begin(&text, "X", "Msvm_X");
	cim_property(&text, "Name", "string", value);
	cim_end(&text, "X");
	nova_text_add(&text, "</a>");
	document = nova_xml_parse(text.text, text.used, NULL, 0);
	cim_open(nova_xml_first(nova_xml_root(document), NULL, "X"), &instance);
	require(instance.node && (!*value || !strcmp(cim_text(&instance, "Name", "?"), value)));
	cim_text(&instance, name, NULL);
	cim_close(&instance);
	nova_xml_free(document);
	nova_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t length = newline ? (size_t)(newline - data) : 0;
	struct nova_xml *document;
	char name[80];

	if (!newline || length >= sizeof(name))
		return 0;
	memcpy(name, data, length);
	name[length] = '\0';
	check_path(name);
	document = nova_xml_parse((const char *)newline + 1, size - length - 1, NULL, 0);
	judge(document, name, 0);
	judge(document, name, 1);
	if (document)
		visit(nova_xml_root(document), name);
	if (document)
		write_instance(name, nova_xml_text(nova_xml_root(document), NULL, "", ""));
	nova_xml_free(document);
	return 0;
}
