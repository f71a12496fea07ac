/* SPDX-License-Identifier: MIT */
/* What is known of objects: questions to the property collector, and reading its answers. */
#include "vsphere.h"

#include <string.h>

/* --- asking -------------------------------------------------------------------------------------
 */

static void add_paths(struct nova_text *body, const char *type, const char *paths)
{
	nova_text_add(body, "<propSet>");
	nova_xml_add(body, "type", type);
	while (*paths) {
		int length = (int)strcspn(paths, " ");

		nova_text_printf(body, "<pathSet>%.*s</pathSet>", length, paths);
		paths += length;
		paths += *paths == ' ';
	}
	nova_text_add(body, "</propSet>");
}

/* From `object` to what its property `via` names. */
static void add_step(struct nova_text *body, const struct moref *object, const char *via,
                     int without_object)
{
	nova_text_add(body, "<objectSet>");
	soap_add_moref(body, "obj", object);
	nova_xml_add_flag(body, "skip", without_object);
	nova_text_add(body, "<selectSet xsi:type=\"TraversalSpec\">");
	nova_xml_add(body, "type", object->type);
	nova_xml_add(body, "path", via);
	nova_xml_add_flag(body, "skip", 0);
	nova_text_add(body, "</selectSet></objectSet>");
}

static void finish(struct call *call, call_step step)
{
	nova_text_add(&call->body, "</specSet><options></options>");
	soap_ask(call, step);
}

void props_ask(struct call *call, call_step step, const struct moref *object, const char *paths)
{
	soap_begin(call, "RetrievePropertiesEx", &call->self->properties);
	nova_text_add(&call->body, "<specSet>");
	add_paths(&call->body, object->type, paths);
	nova_text_add(&call->body, "<objectSet>");
	soap_add_moref(&call->body, "obj", object);
	nova_text_add(&call->body, "</objectSet>");
	finish(call, step);
}

void props_ask_each(struct call *call, call_step step, const struct moref *object, const char *via,
                    const char *type, const char *paths)
{
	soap_begin(call, "RetrievePropertiesEx", &call->self->properties);
	nova_text_add(&call->body, "<specSet>");
	add_paths(&call->body, type, paths);
	add_paths(&call->body, object->type, "name");
	add_step(&call->body, object, via, 0);
	call->parent = *object;
	call->parent_seen = 0;
	finish(call, step);
}

int props_ask_more(struct call *call, call_step step, const struct nova_xml_node *result)
{
	const char *token = nova_xml_text(result, VIM, "returnval/token", "");

	if (!*token)
		return 0;
	soap_begin(call, "ContinueRetrievePropertiesEx", &call->self->properties);
	nova_xml_add(&call->body, "token", token);
	/* each part is given once: not to be asked for a second time */
	soap_order(call, step);
	return 1;
}

void props_add_list_filter(struct nova_text *body, const struct moref *list, const char *type,
                           const char *paths)
{
	nova_text_add(body, "<spec>");
	add_paths(body, type, paths);
	add_step(body, list, "view", 1);
	nova_text_add(body, "</spec>");
	nova_xml_add_flag(body, "partialUpdates", 0);
}

/* --- reading ------------------------------------------------------------------------------------
 */

const struct nova_xml_node *props_first(const struct nova_xml_node *result)
{
	return nova_xml_at(result, VIM, "returnval/objects");
}

const struct nova_xml_node *props_next(const struct nova_xml_node *object)
{
	return nova_xml_next(object, VIM, "objects");
}

int props_object(const struct nova_xml_node *object, struct moref *out)
{
	return soap_read_moref(nova_xml_first(object, VIM, "obj"), out);
}

const struct nova_xml_node *props_first_of(struct call *call, const struct nova_xml_node *result)
{
	const struct nova_xml_node *object = props_first(result);

	for (const struct nova_xml_node *one = object; one; one = props_next(one)) {
		struct moref found;

		call->parent_seen |= props_object(one, &found) && moref_same(&found, &call->parent);
	}
	return object;
}

int props_all_seen(struct call *call)
{
	if (!call->parent_seen)
		call_puzzled(call, "it says nothing of the object that was asked for");
	return call->parent_seen;
}

const struct nova_xml_node *props_value(const struct nova_xml_node *object, const char *path)
{
	const struct nova_xml_node *set = nova_xml_first(object, VIM, "propSet");

	for (; set; set = nova_xml_next(set, VIM, "propSet")) {
		if (strcmp(nova_xml_text(set, VIM, "name", ""), path) == 0)
			return nova_xml_first(set, VIM, "val");
	}
	return NULL;
}

const char *props_text(const struct nova_xml_node *object, const char *path, const char *fallback)
{
	return nova_xml_text(props_value(object, path), VIM, "", fallback);
}

int64_t props_number(const struct nova_xml_node *object, const char *path, int64_t fallback)
{
	return nova_xml_number(props_value(object, path), VIM, "", fallback);
}
