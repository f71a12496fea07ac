/* SPDX-License-Identifier: MIT */
/*
 * What WMI has of its own: WQL, embedded instances (CIM-XML), references to objects, GUIDs, paths
 * of files. Knows no connection and no VM.
 */
#ifndef HYPERV_CIM_H
#define HYPERV_CIM_H

#include <novacore/helpers/text.h>
#include <novacore/helpers/xml.h>

#include <stddef.h>
#include <stdint.h>

#define CIM_RESOURCES "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
#define CIM_VIRT      "root/virtualization/v2"
#define CIM_HOST      "root/cimv2"
#define CIM_ADDRESS   "http://schemas.xmlsoap.org/ws/2004/08/addressing"
#define CIM_WSMAN     "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
#define CIM_ANYBODY   CIM_ADDRESS "/role/anonymous"

/* --- writing ---------------------------------------------------------------------------------- */

/* For WQL, between single quotes. */
void cim_add_wql(struct nova_text *wql, const char *value);
/* The same for the pattern of LIKE: it matches only itself. */
void cim_add_like(struct nova_text *wql, const char *value);

/* A parameter that holds instances: <p:PARAMETER><![CDATA[<INSTANCE
 * …>…</INSTANCE>]]></p:PARAMETER>. Names and types are the caller's own constants. */
void cim_begin(struct nova_text *text, const char *parameter, const char *class_name);
void cim_property(struct nova_text *text, const char *name, const char *type, const char *value);
void cim_property_number(struct nova_text *text, const char *name, const char *type,
                         uint64_t value);
/* An array of one text. */
void cim_property_list(struct nova_text *text, const char *name, const char *value);
void cim_end(struct nova_text *text, const char *parameter);

/* \\HOST\root\virtualization\v2:CLASS.InstanceID="…", as properties such as Parent hold it. */
void cim_add_path(struct nova_text *text, const char *host, const char *class_name,
                  const char *instance_id);

/* --- reading ---------------------------------------------------------------------------------- */

/* An object elsewhere, by its one key. */
struct reference {
	char class_name[64]; /* "": there is none */
	char key[24];        /* "InstanceID" or "Name" */
	char value[256];
};

/* Of an endpoint reference. 0: it is none, or too long, and *reference is empty. */
int cim_read_reference(const struct nova_xml_node *node, struct reference *reference);

/* Of an instance that a query found: a property, "" or `fallback` where it is not there or null. */
const char *item_text(const struct nova_xml_node *instance, const char *name);
int64_t item_number(const struct nova_xml_node *instance, const char *name, int64_t fallback);

/* An instance that a method returned: elements, or CIM-XML as text. */
struct instance {
	const struct nova_xml_node *node; /* NULL: there is none */
	struct nova_xml *document;        /* of CIM-XML */
};

void cim_open(const struct nova_xml_node *node, struct instance *instance);
void cim_close(struct instance *instance);
/* Borrowed; `fallback` where it is not there, null, or an array. */
const char *cim_text(const struct instance *instance, const char *name, const char *fallback);
int64_t cim_number(const struct instance *instance, const char *name, int64_t fallback);

/* --- forms ------------------------------------------------------------------------------------ */

/* "9B3A1F0C-…", 8-4-4-4-12 hexadecimal digits. */
int cim_is_guid(const char *text);
/* A new one (RFC 4122, version 4). */
void cim_make_guid(char guid[40]);

/* Can it be a file's name in Windows, and not a path? */
int cim_is_file_name(const char *name);

/* A file of the host: C:\directory\stem.extension, no share, no . or .., nothing that Windows does
 * not allow in names. */
struct file {
	char drive[4];       /* "C:" */
	char directory[240]; /* "\vm\disks\", in backslashes */
	char stem[160];
	char extension[16]; /* without the dot */
};

/* 0: it is none of that kind. */
int cim_read_file(const char *path, struct file *file);
/* The same without a file: "C:\vm\disks", also with a backslash behind it. */
int cim_read_directory(const char *path, struct file *file);

#endif
