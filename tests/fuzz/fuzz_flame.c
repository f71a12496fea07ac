// rooms: profiler
// packages: libxml-2.0
// SPDX-License-Identifier: MIT
/*
 * Flame graphs of whatever is read: SVG stays XML of our elements alone, the data of the page stays
 * JSON, and boxes lie within those that they stand on. The first half of the bytes is a recording,
 * the second another, of which the difference is drawn, too.
 */
#include "core/profiler/profiler.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nova_stacks *read_bytes(const uint8_t *data, size_t size)
{
	const struct nova_stacks_limits limits = {.bytes = (size_t)64 << 20};
	struct nova_stacks *stacks = NULL;
	char path[40];
	int fd = memfd_create("recording", MFD_CLOEXEC);

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (nova_stacks_read(path, &limits, &stacks, NULL))
		stacks = NULL;
	close(fd);
	return stacks;
}

static void check_elements(const xmlNode *node)
{
	static const char ours[] = " svg title style rect text tspan g script ";

	for (; node; node = node->next) {
		char padded[32];

		if (node->type != XML_ELEMENT_NODE)
			continue;
		if ((size_t)snprintf(padded, sizeof(padded), " %s ", (const char *)node->name) >=
		            sizeof(padded) ||
		    !strstr(ours, padded))
			abort();
		check_elements(node->children);
	}
}

static void check_svg(const char *text, size_t length)
{
	xmlDocPtr document = xmlReadMemory(text, (int)length, "flame.svg", NULL,
	                                   XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR);

	if (!document)
		abort();
	check_elements(xmlDocGetRootElement(document));
	xmlFreeDoc(document);
}

static void check_html(const char *text)
{
	const char *from = strstr(text, "id=\"data\">"), *end;
	unsigned scripts = 0;
	json_t *json;

	if (!from || !(end = strstr(from, "</script>")))
		abort();
	from += strlen("id=\"data\">");
	json = json_loadb(from, (size_t)(end - from), JSON_DECODE_INT_AS_REAL, NULL);
	if (!json)
		abort();
	json_decref(json);
	for (const char *at = text; (at = strstr(at, "<script")) != NULL; at++)
		scripts++;
	if (scripts != 2)
		abort();
}

static void check_boxes(const struct nova_flame *flame)
{
	for (uint32_t i = 0; i < flame->count; i++) {
		const struct nova_flame_box *box = &flame->boxes[i];

		if (box->next <= i || box->next > flame->count ||
		    (box->depth && flame->boxes[box->parent].next < box->next))
			abort();
		if (flame->changes &&
		    (isnan(flame->changes[i].width) || flame->changes[i].width < 0 ||
		     flame->changes[i].width > 1.001))
			abort();
	}
}

static void draw(const struct nova_flame *flame, const char *title)
{
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	check_boxes(flame);
	if (!file || nova_flame_write_svg(flame, title, file, NULL) || fflush(file))
		abort();
	check_svg(text, length);
	rewind(file);
	if (nova_flame_write_html(flame, title, file, NULL) || fclose(file))
		abort();
	check_html(text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nova_flame_request request = {
	        .by = size % 5, .reverse = size % 2, .absolute = size % 3 == 0};
	struct nova_stacks *one, *two;
	struct nova_flame flame;
	char title[64] = "";

	memcpy(title, data, size < 63 ? size : 63);
	one = read_bytes(data, size / 2);
	two = read_bytes(data + size / 2, size - size / 2);
	if (one) {
		nova_flame_make(one, &request, &flame);
		draw(&flame, title);
		nova_flame_free(&flame);
	}
	if (one && two && nova_flame_diff(one, two, &request, &flame, NULL) == 0) {
		draw(&flame, title);
		nova_flame_free(&flame);
	}
	if (one && two)
		nova_stacks_join(one, two, NULL);
	nova_stacks_free(one);
	nova_stacks_free(two);
	xmlResetLastError();
	return 0;
}
