/* SPDX-License-Identifier: MIT */
/*
 * XML that comes from elsewhere, over libxml2. A document is an xmlDoc and an element an xmlNode,
 * under names of our own: drivers see nothing of libxml2.
 */
#include <novacore/helpers/call.h>
#include <novacore/helpers/xml.h>

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XSI "http://www.w3.org/2001/XMLSchema-instance"

/* --- parsing ---------------------------------------------------------------------------------- */

/* Of one parsing; hangs on the parser's context. */
struct bounds {
	size_t nodes;
	const char *broken; /* why it was ended by us; NULL: it was not */
};

static void give_up(xmlParserCtxt *parser, const char *why)
{
	struct bounds *bounds = parser->_private;

	if (!bounds->broken)
		bounds->broken = why;
	xmlStopParser(parser);
}

/* Entities, files and addresses can be named in a document type only. */
static void take_document_type(void *context, const xmlChar *name, const xmlChar *public_id,
                               const xmlChar *system_id)
{
	(void)name;
	(void)public_id;
	(void)system_id;
	give_up(context, "it has a document type");
}

static void take_element(void *context, const xmlChar *name, const xmlChar *prefix,
                         const xmlChar *uri, int spaces_count, const xmlChar **spaces,
                         int attributes_count, int defaulted, const xmlChar **attributes)
{
	xmlParserCtxt *parser = context;
	struct bounds *bounds = parser->_private;

	bounds->nodes += 1 + (size_t)spaces_count + (size_t)attributes_count;
	if (bounds->nodes > NOVA_XML_NODES)
		give_up(parser, "it has too many elements");
	else if (parser->nodeNr >= NOVA_XML_DEPTH)
		give_up(parser, "its elements are nested too deep");
	else
		xmlSAX2StartElementNs(context, name, prefix, uri, spaces_count, spaces,
		                      attributes_count, defaulted, attributes);
}

/* libxml2's own sentences quote the text, which may be anything. */
static void explain(const xmlParserCtxt *parser, const char *broken, char *why, size_t room)
{
	int code = parser->errNo;

	if (broken)
		snprintf(why, room, "no XML to be read: %s", broken);
	else if (code == XML_ERR_NO_MEMORY)
		snprintf(why, room, "out of memory");
	else
		snprintf(why, room, "no XML: not well-formed at line %d",
		         parser->lastError.line > 0 ? parser->lastError.line : 1);
}

static xmlDoc *parse(xmlParserCtxt *parser, const char *text, size_t bytes, char *why, size_t room)
{
	struct bounds bounds = {0};
	xmlDoc *document;

	parser->_private = &bounds;
	parser->sax->internalSubset = take_document_type;
	parser->sax->externalSubset = take_document_type;
	parser->sax->startElementNs = take_element;
	/* without them, text that they would cut in two is one */
	parser->sax->comment = NULL;
	parser->sax->processingInstruction = NULL;
	document = xmlCtxtReadMemory(parser, text, (int)bytes, NULL, "UTF-8",
	                             XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
	                                     XML_PARSE_NOWARNING);
	if (!document || bounds.broken || !parser->nsWellFormed) {
		explain(parser, bounds.broken, why, room);
		xmlFreeDoc(document);
		document = NULL;
	}
	parser->_private = NULL;
	return document;
}

struct nova_xml *nova_xml_parse(const char *text, size_t bytes, char *why, size_t room)
{
	xmlParserCtxt *parser;
	xmlDoc *document;

	if (bytes == 0 || bytes > NOVA_XML_BYTES) {
		snprintf(why, room,
		         bytes ? "no XML to be read: it is too long" : "no XML: it is empty");
		return NULL;
	}
	parser = xmlNewParserCtxt();
	if (!parser) {
		snprintf(why, room, "out of memory");
		return NULL;
	}
	document = parse(parser, text, bytes, why, room);
	xmlFreeParserCtxt(parser);
	return (struct nova_xml *)document;
}

void nova_xml_free(struct nova_xml *document)
{
	xmlFreeDoc((xmlDoc *)document);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void *parse_reply(const char *text, size_t bytes, char *why, size_t room)
{
	return nova_xml_parse(text, bytes, why, room);
}

static void release_reply(void *document)
{
	nova_xml_free(document);
}

const struct nova_reply_parser nova_xml_replies = {.parse = parse_reply, .release = release_reply};

const struct nova_xml_node *nova_xml_reply(const struct nova_reply *reply)
{
	return reply ? nova_xml_root(reply->parsed) : NULL;
}

/* --- elements --------------------------------------------------------------------------------- */

static const xmlNode *inside(const struct nova_xml_node *node)
{
	return (const xmlNode *)node;
}

static const struct nova_xml_node *outside(const xmlNode *node)
{
	return (const struct nova_xml_node *)node;
}

static int same(const xmlChar *name, const char *wanted, size_t length)
{
	return name && strncmp((const char *)name, wanted, length) == 0 && name[length] == '\0';
}

static int is_in(const xmlNs *space, const char *wanted)
{
	const char *uri = space && space->href ? (const char *)space->href : "";

	return !wanted || strcmp(uri, wanted) == 0;
}

/* The first, from `node` on, of that name; `length` 0: any name. */
static const xmlNode *find(const xmlNode *node, const char *space, const char *name, size_t length)
{
	for (; node; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && is_in(node->ns, space) &&
		    (length == 0 || same(node->name, name, length)))
			return node;
	}
	return NULL;
}

const struct nova_xml_node *nova_xml_root(const struct nova_xml *document)
{
	return document ? outside(xmlDocGetRootElement((const xmlDoc *)document)) : NULL;
}

int nova_xml_is(const struct nova_xml_node *node, const char *space, const char *name)
{
	return node && is_in(inside(node)->ns, space) &&
	       (!name || same(inside(node)->name, name, strlen(name)));
}

const char *nova_xml_name(const struct nova_xml_node *node)
{
	return node ? (const char *)inside(node)->name : "";
}

const struct nova_xml_node *nova_xml_first(const struct nova_xml_node *node, const char *space,
                                           const char *name)
{
	return node ? outside(find(inside(node)->children, space, name, name ? strlen(name) : 0))
	            : NULL;
}

const struct nova_xml_node *nova_xml_next(const struct nova_xml_node *node, const char *space,
                                          const char *name)
{
	return node ? outside(find(inside(node)->next, space, name, name ? strlen(name) : 0))
	            : NULL;
}

const struct nova_xml_node *nova_xml_at(const struct nova_xml_node *node, const char *space,
                                        const char *path)
{
	const xmlNode *at = inside(node);

	while (at && *path) {
		size_t length = strcspn(path, "/");

		at = length ? find(at->children, space, path, length) : NULL;
		path += length;
		path += *path == '/';
	}
	return outside(at);
}

/* --- text ------------------------------------------------------------------------------------- */

/* libxml2 joins what stands side by side: a second piece is there only around an element. */
static const char *only_text(const xmlNode *first)
{
	if (!first)
		return "";
	if (first->type != XML_TEXT_NODE || first->next)
		return NULL;
	return first->content ? (const char *)first->content : "";
}

const char *nova_xml_attribute(const struct nova_xml_node *node, const char *space,
                               const char *name)
{
	const xmlAttr *at = node ? inside(node)->properties : NULL;

	for (; at; at = at->next) {
		if (same(at->name, name, strlen(name)) && is_in(at->ns, space ? space : ""))
			return only_text(at->children);
	}
	return NULL;
}

const char *nova_xml_type(const struct nova_xml_node *node, const char **space)
{
	const char *type = nova_xml_attribute(node, XSI, "type");
	const char *colon = type ? strchr(type, ':') : NULL;
	const xmlNs *found = NULL;
	xmlChar *prefix = NULL;

	if (!type)
		return NULL;
	if (colon)
		prefix = xmlStrndup((const xmlChar *)type, (int)(colon - type));
	if (space && (prefix || !colon))
		found = xmlSearchNs(inside(node)->doc, (xmlNode *)(uintptr_t)node, prefix);
	if (space)
		*space = found && found->href ? (const char *)found->href : "";
	xmlFree(prefix);
	return colon ? colon + 1 : type;
}

static int flag_of(const char *text, int fallback)
{
	if (text && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0))
		return 1;
	if (text && (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0))
		return 0;
	return fallback;
}

int nova_xml_is_nil(const struct nova_xml_node *node)
{
	return flag_of(nova_xml_attribute(node, XSI, "nil"), 0);
}

const char *nova_xml_text(const struct nova_xml_node *node, const char *space, const char *path,
                          const char *fallback)
{
	const struct nova_xml_node *at = nova_xml_at(node, space, path);
	const char *text = at ? only_text(inside(at)->children) : NULL;

	return text ? text : fallback;
}

static int read_number(const char *text, int64_t *number)
{
	static const char blanks[] = " \t\r\n";
	char *end;

	text += strspn(text, blanks);
	if (strspn(text + (*text == '-' || *text == '+'), "0123456789") == 0)
		return 0;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && end[strspn(end, blanks)] == '\0';
}

int64_t nova_xml_number(const struct nova_xml_node *node, const char *space, const char *path,
                        int64_t fallback)
{
	const char *text = nova_xml_text(node, space, path, "");
	int64_t number;

	return read_number(text, &number) ? number : fallback;
}

int nova_xml_flag(const struct nova_xml_node *node, const char *space, const char *path,
                  int fallback)
{
	return flag_of(nova_xml_text(node, space, path, NULL), fallback);
}

/* --- with a sentence -------------------------------------------------------------------------- */

static void complain(struct nova_xml_reader *reader, const char *path, const char *how)
{
	if (!reader->error[0])
		snprintf(reader->error, sizeof(reader->error), "%.140s %s", *path ? path : "it",
		         how);
}

const struct nova_xml_node *nova_xml_need(struct nova_xml_reader *reader, const char *path)
{
	const struct nova_xml_node *found = nova_xml_at(reader->node, reader->space, path);

	if (!found)
		complain(reader, path, "is missing");
	return reader->error[0] ? NULL : found;
}

const char *nova_xml_need_text(struct nova_xml_reader *reader, const char *path)
{
	const struct nova_xml_node *found = nova_xml_need(reader, path);
	const char *text = found ? only_text(inside(found)->children) : "";

	if (!text)
		complain(reader, path, "has elements where a text must be");
	return text ? text : "";
}

int64_t nova_xml_need_number(struct nova_xml_reader *reader, const char *path)
{
	const char *text = nova_xml_need_text(reader, path);
	int64_t number = 0;

	if (!reader->error[0] && !read_number(text, &number))
		complain(reader, path, "is not a whole number of at most 64 bits");
	return reader->error[0] ? 0 : number;
}

/* --- writing ---------------------------------------------------------------------------------- */

void nova_xml_add(struct nova_text *text, const char *name, const char *value)
{
	nova_text_printf(text, "<%s>", name);
	nova_text_escape_xml(text, value);
	nova_text_printf(text, "</%.*s>", (int)strcspn(name, " "), name);
}

void nova_xml_add_number(struct nova_text *text, const char *name, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)value);
	nova_xml_add(text, name, digits);
}

void nova_xml_add_flag(struct nova_text *text, const char *name, int value)
{
	nova_xml_add(text, name, value ? "true" : "false");
}
