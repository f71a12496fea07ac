/* SPDX-License-Identifier: MIT */
/* WQL, CIM-XML, references, paths: see cim.h. */
#include "cim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- writing ---------------------------------------------------------------------------------- */

static void add_escaped(struct nova_text *text, const char *value, const char *escape)
{
	for (; *value; value++) {
		if (strchr(escape, *value))
			nova_text_add(text, "\\");
		nova_text_append(text, value, 1);
	}
}

void cim_add_wql(struct nova_text *wql, const char *value)
{
	add_escaped(wql, value, "'\"\\");
}

void cim_add_like(struct nova_text *wql, const char *value)
{
	char one[2] = "";

	for (; *value; value++) {
		one[0] = *value;
		if (strchr("%_[", *value))
			nova_text_printf(wql, "[%s]", one);
		else
			cim_add_wql(wql, one);
	}
}

/* What is escaped as XML has no "]]>" that could end the section. */
void cim_begin(struct nova_text *text, const char *parameter, const char *class_name)
{
	nova_text_printf(text, "<p:%s><![CDATA[<INSTANCE CLASSNAME=\"%s\">", parameter, class_name);
}

void cim_end(struct nova_text *text, const char *parameter)
{
	nova_text_printf(text, "</INSTANCE>]]></p:%s>", parameter);
}

void cim_property(struct nova_text *text, const char *name, const char *type, const char *value)
{
	nova_text_printf(text, "<PROPERTY NAME=\"%s\" TYPE=\"%s\"><VALUE>", name, type);
	nova_text_escape_xml(text, value);
	nova_text_add(text, "</VALUE></PROPERTY>");
}

void cim_property_number(struct nova_text *text, const char *name, const char *type, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	cim_property(text, name, type, digits);
}

void cim_property_list(struct nova_text *text, const char *name, const char *value)
{
	nova_text_printf(text, "<PROPERTY.ARRAY NAME=\"%s\" TYPE=\"string\"><VALUE.ARRAY><VALUE>",
	                 name);
	nova_text_escape_xml(text, value);
	nova_text_add(text, "</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>");
}

void cim_add_path(struct nova_text *text, const char *host, const char *class_name,
                  const char *instance_id)
{
	nova_text_printf(text, "\\\\%s\\root\\virtualization\\v2:%s.InstanceID=\"", host,
	                 class_name);
	add_escaped(text, instance_id, "\"\\");
	nova_text_add(text, "\"");
}

/* --- references ------------------------------------------------------------------------------- */

static int copy(char *to, size_t room, const char *from)
{
	size_t length = strlen(from);

	if (length == 0 || length >= room)
		return 0;
	memcpy(to, from, length + 1);
	return 1;
}

static int is_class_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
	       strlen(name);
}

int cim_read_reference(const struct nova_xml_node *node, struct reference *reference)
{
	const struct nova_xml_node *parameters =
	        nova_xml_first(node, CIM_ADDRESS, "ReferenceParameters");
	const char *uri = nova_xml_text(parameters, CIM_WSMAN, "ResourceURI", "");
	const char *slash = strrchr(uri, '/');
	const struct nova_xml_node *set = nova_xml_first(parameters, CIM_WSMAN, "SelectorSet");
	const struct nova_xml_node *one = nova_xml_first(set, CIM_WSMAN, "Selector");

	*reference = (struct reference){0};
	for (; one; one = nova_xml_next(one, CIM_WSMAN, "Selector")) {
		const char *name = nova_xml_attribute(one, NULL, "Name");

		/* of a computer system or a service the name is what tells them apart */
		if (name && (strcmp(name, "InstanceID") == 0 || strcmp(name, "Name") == 0) &&
		    slash &&
		    copy(reference->class_name, sizeof(reference->class_name), slash + 1) &&
		    is_class_name(reference->class_name) &&
		    copy(reference->key, sizeof(reference->key), name) &&
		    copy(reference->value, sizeof(reference->value),
		         nova_xml_text(one, NULL, "", "")))
			return 1;
	}
	*reference = (struct reference){0};
	return 0;
}

/* --- embedded instances ----------------------------------------------------------------------- */

void cim_open(const struct nova_xml_node *node, struct instance *instance)
{
	const char *text = nova_xml_text(node, NULL, "", "");

	*instance = (struct instance){0};
	if (nova_xml_first(node, NULL, NULL)) {
		instance->node = node;
		return;
	}
	text += strspn(text, " \t\r\n");
	if (*text != '<')
		return;
	instance->document = nova_xml_parse(text, strlen(text), NULL, 0);
	if (nova_xml_is(nova_xml_root(instance->document), NULL, "INSTANCE"))
		instance->node = nova_xml_root(instance->document);
}

void cim_close(struct instance *instance)
{
	nova_xml_free(instance->document);
	*instance = (struct instance){0};
}

static const struct nova_xml_node *find(const struct instance *instance, const char *name)
{
	const struct nova_xml_node *one;

	if (!instance->document)
		return nova_xml_first(instance->node, NULL, name);
	one = nova_xml_first(instance->node, NULL, "PROPERTY");
	for (; one; one = nova_xml_next(one, NULL, "PROPERTY")) {
		const char *called = nova_xml_attribute(one, NULL, "NAME");

		if (called && strcmp(called, name) == 0)
			return nova_xml_first(one, NULL, "VALUE");
	}
	return NULL;
}

const char *cim_text(const struct instance *instance, const char *name, const char *fallback)
{
	const struct nova_xml_node *node = find(instance, name);

	return !node || nova_xml_is_nil(node) ? fallback : nova_xml_text(node, NULL, "", fallback);
}

int64_t cim_number(const struct instance *instance, const char *name, int64_t fallback)
{
	const struct nova_xml_node *node = find(instance, name);

	return node ? nova_xml_number(node, NULL, "", fallback) : fallback;
}

const char *item_text(const struct nova_xml_node *instance, const char *name)
{
	const struct instance one = {.node = instance};

	return cim_text(&one, name, "");
}

int64_t item_number(const struct nova_xml_node *instance, const char *name, int64_t fallback)
{
	const struct instance one = {.node = instance};

	return cim_number(&one, name, fallback);
}

/* --- forms ------------------------------------------------------------------------------------ */

int cim_is_guid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (form[i] == '-' ? text[i] != '-'
		                   : !text[i] || !strchr("0123456789abcdefABCDEF", text[i]))
			return 0;
	}
	return text[sizeof(form) - 1] == '\0';
}

void cim_make_guid(char guid[40])
{
	unsigned char bytes[16] = {0};
	size_t at = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		bytes[0] = 1; /* cannot be: it is only so long, and there are no signals for us */
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			guid[at++] = '-';
		at += (size_t)snprintf(guid + at, 40 - at, "%02X", bytes[i]);
	}
}

/* Windows drops dots and blanks at the end of a name. */
static int is_part(const char *part, size_t length)
{
	if (length == 0 || part[length - 1] == '.' || part[length - 1] == ' ')
		return 0;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)part[i] < ' ' || strchr("<>:\"/|?*", part[i]))
			return 0;
	}
	return 1;
}

int cim_is_file_name(const char *name)
{
	return is_part(name, strlen(name)) && !strchr(name, '\\');
}

int cim_read_directory(const char *path, struct file *file)
{
	size_t length = strlen(path);
	const char *part = path + 3;

	*file = (struct file){0};
	if (length < 3 || !((path[0] | 0x20) >= 'a' && (path[0] | 0x20) <= 'z') || path[1] != ':' ||
	    path[2] != '\\')
		return 0;
	if (length > 3 && path[length - 1] == '\\' && path[--length - 1] == '\\')
		return 0;
	if (length + 1 - 2 >= sizeof(file->directory))
		return 0;
	while (length > 3 && part < path + length) {
		size_t part_length = strcspn(part, "\\");

		if (!is_part(part, part_length))
			return 0;
		part += part_length + 1;
	}
	snprintf(file->drive, sizeof(file->drive), "%.2s", path);
	snprintf(file->directory, sizeof(file->directory), "%.*s%s", (int)(length - 2), path + 2,
	         length > 3 ? "\\" : "");
	return 1;
}

int cim_read_file(const char *path, struct file *file)
{
	const char *name = strrchr(path, '\\');
	const char *dot = name ? strrchr(name, '.') : NULL;
	char directory[sizeof(file->directory) + 4];

	*file = (struct file){0};
	if (!dot || dot == name + 1 || (size_t)(name + 1 - path) >= sizeof(directory) ||
	    !cim_is_file_name(name + 1))
		return 0;
	snprintf(directory, sizeof(directory), "%.*s", (int)(name + 1 - path), path);
	if (!cim_read_directory(directory, file))
		return 0;
	if ((size_t)(dot - name - 1) >= sizeof(file->stem) ||
	    strlen(dot + 1) >= sizeof(file->extension)) {
		*file = (struct file){0};
		return 0;
	}
	snprintf(file->stem, sizeof(file->stem), "%.*s", (int)(dot - name - 1), name + 1);
	snprintf(file->extension, sizeof(file->extension), "%s", dot + 1);
	return 1;
}
