/* SPDX-License-Identifier: MIT */
/*
 * XML that comes from elsewhere, over libxml2: strict and bounded parsing with a sentence when it
 * fails, and accessors that take anything (NULL, a wrong path, mixed content) and never fail but
 * answer with a fallback, or with a sentence about the first thing that is not as it must be.
 *
 * Names are a pair: the namespace's URI (`space`; NULL: any, "": none) and the local name (NULL:
 * any); prefixes are the peer's own choice and never looked at. A path is "a/b/c": the first child
 * of that name each time, all in the one `space`; "" is the element itself.
 *
 * A library of its own, NovacoreSDK::xml, so that only drivers that link it need libxml2.
 * Part of the helpers: linked into the plugin, not ABI. @thread any; one document, one thread.
 */
#ifndef NOVACORE_HELPERS_XML_H
#define NOVACORE_HELPERS_XML_H

#include <stddef.h>
#include <stdint.h>

#include <novacore/helpers/text.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nova_reply;
struct nova_reply_parser;

struct nova_xml;      /* a document */
struct nova_xml_node; /* an element of it: borrowed, lives as long as the document does */

/* What is beyond these is refused: it is no answer, but an attack on memory. */
#define NOVA_XML_BYTES 16777216u /* of the text */
#define NOVA_XML_DEPTH 64        /* elements in each other */
#define NOVA_XML_NODES 500000u   /* elements and attributes */

/*
 * UTF-8, well-formed, and without a document type: so nothing can name an entity of its own, a file
 * or an address. Comments and processing instructions are left out. The caller owns what is
 * returned. NULL: `why` (of `room` bytes; may be NULL with 0) has a clause such as "no XML: not
 * well-formed at line 3"; it has no words of the text in it.
 */
struct nova_xml *nova_xml_parse(const char *text, size_t bytes, char *why, size_t room);
/* NULL is fine. */
void nova_xml_free(struct nova_xml *document);
/* Never NULL, unless `document` is. */
const struct nova_xml_node *nova_xml_root(const struct nova_xml *document);

/* For nova_calls_settings.parser: answers are XML. */
extern const struct nova_reply_parser nova_xml_replies;
/* Then: the root of the reply's body; NULL: it is empty, is no XML, or there is no reply. */
const struct nova_xml_node *nova_xml_reply(const struct nova_reply *reply);

/* --- elements --------------------------------------------------------------------------------- */

int nova_xml_is(const struct nova_xml_node *node, const char *space, const char *name);
/* Its local name; "" of NULL. */
const char *nova_xml_name(const struct nova_xml_node *node);
/* The first child of that name, and the next sibling of that name; NULL: none. */
const struct nova_xml_node *nova_xml_first(const struct nova_xml_node *node, const char *space,
                                           const char *name);
const struct nova_xml_node *nova_xml_next(const struct nova_xml_node *node, const char *space,
                                          const char *name);
const struct nova_xml_node *nova_xml_at(const struct nova_xml_node *node, const char *space,
                                        const char *path);

/* An attribute's value, borrowed; `space` NULL or "": one without a prefix. NULL: there is none. */
const char *nova_xml_attribute(const struct nova_xml_node *node, const char *space,
                               const char *name);
/* The local name of its xsi:type, and that type's namespace if `space` is not NULL ("" where its
 * prefix is not declared). NULL: it has none. */
const char *nova_xml_type(const struct nova_xml_node *node, const char **space);
/* 1: xsi:nil */
int nova_xml_is_nil(const struct nova_xml_node *node);

/* --- with a fallback -------------------------------------------------------------------------- */

/* Its text, borrowed, "" if it is empty; an element that has elements has none. `fallback` may be
 * NULL. */
const char *nova_xml_text(const struct nova_xml_node *node, const char *space, const char *path,
                          const char *fallback);
/* An integer: a sign, decimal digits, white space around it, nothing else, and not beyond int64_t.
 */
int64_t nova_xml_number(const struct nova_xml_node *node, const char *space, const char *path,
                        int64_t fallback);
/* true, 1: 1; false, 0: 0; also "True" and the like, as WMI writes them. */
int nova_xml_flag(const struct nova_xml_node *node, const char *space, const char *path,
                  int fallback);

/* --- with a sentence -------------------------------------------------------------------------- */

/* Reads what must be there. The first failure is kept, later ones are not looked at: read all that
 * is needed, then look at `error` once: "returnval/key is missing". */
struct nova_xml_reader {
	const struct nova_xml_node *node;
	const char *space;
	char error[200]; /* "" while nothing is wrong */
};

/* Each returns something harmless (NULL or "" or 0) after a failure. */
const struct nova_xml_node *nova_xml_need(struct nova_xml_reader *reader, const char *path);
const char *nova_xml_need_text(struct nova_xml_reader *reader, const char *path);
int64_t nova_xml_need_number(struct nova_xml_reader *reader, const char *path);

/* --- writing ---------------------------------------------------------------------------------- */

/*
 * <name>value</name>, the value escaped. `name` is the caller's own and goes as it is; attributes
 * may stand behind it: "_this type=\"Folder\"". Where they are not constant, use
 * nova_text_escape_xml.
 */
void nova_xml_add(struct nova_text *text, const char *name, const char *value);
void nova_xml_add_number(struct nova_text *text, const char *name, int64_t value);
void nova_xml_add_flag(struct nova_text *text, const char *name, int value);

#ifdef __cplusplus
}
#endif

#endif
