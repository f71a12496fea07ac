/* SPDX-License-Identifier: MIT */
/* Flame graphs: boxes, drawings, and what names can do to them. */
#include "tests/flame/stacks.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

static const char *const HOSTILE[] = {"</title><script>alert(1)</script>",
                                      "]]>--></script><b id=\"injected\">",
                                      "\"'><img src=x onerror=alert(2)>",
                                      "&lt;&amp;&",
                                      "a\nb\tc\x01\x1b[31m\x7f",
                                      "\xff\xfe\xc0\x80\xed\xa0\x80",
                                      "\xef\xbf\xbe\xef\xbf\xbf",
                                      "\xe2\x80\xae evil \xe2\x81\xa6",
                                      "Gr\xc3\xbc\xc3\x9f"
                                      "e \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\xa6\x86",
                                      "\\u003c\\",
                                      "\xe4\xb8",
                                      "\xc3",
                                      " "};

static struct nova_stacks *hostile(void)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	static char endless[70000];
	uint64_t one = 1;

	for (size_t i = 0; i < NOVA_COUNT(HOSTILE); i++) {
		const struct nova_frame frame = {.name = HOSTILE[i], .library = HOSTILE[i]};
		uint32_t node = nova_stacks_call(stacks, 0, nova_stacks_frame(stacks, &frame));

		for (size_t j = 0; j <= i; j++)
			nova_stacks_add(stacks, node, 0, &one);
		nova_stacks_note(stacks, "%s", HOSTILE[i]);
	}
	for (size_t i = 0; i + 3 < sizeof(endless); i += 2)
		memcpy(endless + i, "\xc3\xbc", 2);
	nova_stacks_add(stacks, call(stacks, 0, endless, 0), 0, &(uint64_t){500});
	return stacks;
}

static xmlDocPtr parsed(const char *text)
{
	xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), "flame.svg", NULL,
	                                   XML_PARSE_NONET | XML_PARSE_HUGE);

	assert_non_null(document);
	return document;
}

/* How many elements of that name there are, and that no other is there than we write. */
static unsigned elements(const xmlNode *node, const char *name)
{
	static const char OURS[] = " svg title style rect text tspan g script ";
	unsigned found = 0;

	for (; node; node = node->next) {
		char padded[40];

		if (node->type != XML_ELEMENT_NODE)
			continue;
		snprintf(padded, sizeof(padded), " %s ", (const char *)node->name);
		assert_non_null(strstr(OURS, padded));
		for (const xmlAttr *at = node->properties; at; at = at->next)
			assert_true(strncmp((const char *)at->name, "on", 2) != 0 &&
			            !strstr((const char *)at->name, "href"));
		found += !strcmp((const char *)node->name, name) + elements(node->children, name);
	}
	return found;
}

static void names_cannot_become_markup_of_svg(void **state)
{
	struct nova_stacks *stacks = hostile();
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	nova_flame_make(stacks, &request, &flame);
	for (size_t i = 0; i < NOVA_COUNT(HOSTILE); i++) {
		NOVA_AUTOFREE char *svg = drawn(nova_flame_write_svg, &flame, HOSTILE[i]);
		xmlDocPtr document = parsed(svg);
		const xmlNode *root = xmlDocGetRootElement(document);

		assert_int_equal(elements(root, "script"), 1);
		assert_int_equal(elements(root, "title"), flame.count + 1);
		assert_null(strstr(svg, "\xe2\x80\xae"));
		xmlFreeDoc(document);
	}
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static unsigned times(const char *text, const char *word)
{
	unsigned found = 0;

	for (; (text = strstr(text, word)) != NULL; text += strlen(word))
		found++;
	return found;
}

/* The data of a page, which must be JSON. */
static json_t *data_of(const char *html)
{
	const char *from = strstr(html, "id=\"data\">");
	json_error_t error;
	json_t *json;

	assert_non_null(from);
	from += strlen("id=\"data\">");
	json = json_loadb(from, (size_t)(strstr(from, "</script>") - from), 0, &error);
	if (!json)
		fail_msg("%s at %d", error.text, error.position);
	return json;
}

static void names_cannot_become_markup_of_html(void **state)
{
	struct nova_stacks *stacks = hostile();
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	nova_flame_make(stacks, &request, &flame);
	for (size_t i = 0; i < NOVA_COUNT(HOSTILE); i++) {
		NOVA_AUTOFREE char *html = drawn(nova_flame_write_html, &flame, HOSTILE[i]);
		NOVA_AUTOJSON json_t *data = data_of(html);

		assert_int_equal(times(html, "<script"), 2);
		assert_int_equal(times(html, "</script"), 2);
		assert_int_equal(times(html, "<img") + times(html, "<b "), 0);
		assert_int_equal(times(html, "</title>"), 1);
		assert_int_equal(json_array_size(json_object_get(data, "boxes")), 4 * flame.count);
	}
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static void what_is_too_narrow_is_counted_not_drawn(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	const struct nova_flame_request request = {.min_width = 0.01};
	struct nova_flame flame;

	(void)state;
	count(stacks, "main;wide", 990);
	count(stacks, "main;narrow;deeper", 9);
	count(stacks, "main", 1);
	nova_flame_make(stacks, &request, &flame);
	assert_int_equal(flame.count, 3);
	assert_int_equal(flame.left_out, 2);
	assert_int_equal(flame.boxes[1].total, 1000);
	NOVA_AUTOFREE char *svg = drawn(nova_flame_write_svg, &flame, "t");
	assert_non_null(strstr(svg, "2 boxes are too narrow to be drawn"));
	assert_non_null(strstr(svg, ">main\n1,000 samples, 100 %; itself 1<"));
	assert_null(strstr(svg, "deeper"));
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static void same_stacks_give_same_picture(void **state)
{
	static const char *const folded[] = {"main;b;x", "main;a", "main;b", "init;a", "main;c;y"};
	char *pictures[2];

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
		const struct nova_flame_request request = {0};
		struct nova_flame flame;

		for (size_t i = 0; i < NOVA_COUNT(folded); i++)
			count(stacks, folded[round ? NOVA_COUNT(folded) - 1 - i : i], 3);
		nova_flame_make(stacks, &request, &flame);
		assert_string_equal(flame.boxes[1].name, "init");
		pictures[round] = drawn(nova_flame_write_svg, &flame, "t");
		nova_flame_free(&flame);
		nova_stacks_free(stacks);
	}
	assert_string_equal(pictures[0], pictures[1]);
	free(pictures[0]);
	free(pictures[1]);
}

static void kinds_of_frames_are_told_apart(void **state)
{
	static const struct {
		uint32_t flags;
		enum flame_kind kind;
	} cases[] = {{0, FLAME_USER},
	             {NOVA_FRAME_KERNEL, FLAME_KERNEL},
	             {NOVA_FRAME_JIT, FLAME_JIT},
	             {NOVA_FRAME_INLINED, FLAME_INLINED},
	             {NOVA_FRAME_GUEST, FLAME_GUEST},
	             {NOVA_FRAME_GUEST | NOVA_FRAME_KERNEL, FLAME_GUEST},
	             {FLAME_LABEL, FLAME_OTHER}};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		unsigned colour = flame_colour("work", cases[i].flags);

		assert_int_equal(colour / FLAME_SHADES, cases[i].kind);
		assert_int_equal(colour, flame_colour("work", cases[i].flags));
	}
	assert_int_equal(flame_kind("[unknown]", 0), FLAME_OTHER);
}

/* WCAG 2.2, "relative luminance" */
static double luminance(const char *hex)
{
	static const double weights[] = {0.2126, 0.7152, 0.0722};
	double sum = 0;

	for (int i = 0; i < 3; i++) {
		char two[3] = {hex[1 + 2 * i], hex[2 + 2 * i]};
		double value = (double)strtoul(two, NULL, 16) / 255;

		sum += weights[i] * (value <= 0.04045
		                             ? value / 12.92
		                             : __builtin_pow((value + 0.055) / 1.055, 2.4));
	}
	return sum;
}

static void text_can_be_read_on_every_colour(void **state)
{
	double ink = luminance("#14171b");
	char hex[8];

	(void)state;
	for (unsigned i = 0; i < FLAME_COLOURS; i++) {
		flame_colour_hex(i, hex);
		assert_true((luminance(hex) + 0.05) / (ink + 0.05) >= 4.5);
	}
}

static void recursion_counts_once_in_the_table(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	struct flame_function *functions;
	uint32_t found;

	(void)state;
	count(stacks, "main;f;g;f", 10);
	count(stacks, "main;f", 5);
	count(stacks, "main;g", 1);
	functions = flame_table(stacks, 0, 1, &found);
	assert_int_equal(found, 3);
	assert_string_equal(stacks->frames[functions[0].frame].name, "f");
	assert_int_equal(functions[0].self[0], 15);
	assert_int_equal(functions[0].total[0], 15);
	assert_string_equal(stacks->frames[functions[1].frame].name, "g");
	assert_int_equal(functions[1].self[0], 1);
	assert_int_equal(functions[1].total[0], 11);
	assert_int_equal(functions[2].total[0], 16);
	free(functions);
	nova_stacks_free(stacks);
}

static void a_recursion_of_a_hundred_thousand_takes_no_stack(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	const struct nova_flame_request request = {.reverse = true};
	struct flame_function *functions;
	struct nova_flame flame;
	uint32_t node = 0, found;

	(void)state;
	for (int i = 0; i < 100000; i++)
		node = call(stacks, node, i % 2 ? "even" : "odd", 0);
	nova_stacks_add(stacks, node, 0, &(uint64_t){7});
	nova_flame_make(stacks, &request, &flame);
	assert_int_equal(flame.depth, 100000);
	functions = flame_table(stacks, 0, 1, &found);
	assert_int_equal(found, 2);
	assert_int_equal(functions[0].total[0], 7);
	free(functions);
	free(drawn(nova_flame_write_svg, &flame, "t"));
	free(drawn(nova_flame_write_html, &flame, "t"));
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

static void joined_recordings_add_up(void **state)
{
	struct nova_stacks *one = nova_stacks_new(&SAMPLES, 1), *two = nova_stacks_new(&SAMPLES, 1);
	struct nova_stacks *other =
	        nova_stacks_new(&(struct nova_value_type){"cpu", "nanoseconds"}, 1);
	const struct nova_flame_request request = {0};
	struct nova_error error = {0};
	struct nova_flame flame;

	(void)state;
	count(one, "main;a", 3);
	count(two, "main;a", 4);
	count(two, "main;b", 5);
	count(other, "main", 1);
	two->lost = 2;
	assert_int_equal(nova_stacks_join(one, two, &error), 0);
	assert_int_equal(nova_stacks_join(one, other, &error), NOVA_E_INVALID);
	assert_non_null(strstr(error.text, "samples in count"));
	nova_flame_make(one, &request, &flame);
	assert_int_equal(flame.boxes[0].total, 12);
	assert_int_equal(flame.boxes[box_of(&flame, "a")].total, 7);
	assert_int_equal(flame.boxes[box_of(&flame, "b")].total, 5);
	NOVA_AUTOFREE char *svg = drawn(nova_flame_write_svg, &flame, "t");
	assert_non_null(strstr(svg, "2 samples were lost"));
	nova_flame_free(&flame);
	nova_stacks_free(one);
	nova_stacks_free(two);
	nova_stacks_free(other);
}

static void values_have_their_units(void **state)
{
	struct nova_stacks *stacks =
	        nova_stacks_new(&(struct nova_value_type){"cpu", "nanoseconds"}, 1);
	const struct nova_flame_request request = {0};
	struct nova_flame flame;

	(void)state;
	count(stacks, "main", 1500000000);
	nova_flame_make(stacks, &request, &flame);
	NOVA_AUTOFREE char *svg = drawn(nova_flame_write_svg, &flame, NULL);
	assert_non_null(strstr(svg, ">main\n1.50 s, 100 %<"));
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

/* A disk that is full is an error, not half a picture called done. */
static void writing_to_a_full_disk_fails(void **state)
{
	struct nova_stacks *stacks = nova_stacks_new(&SAMPLES, 1);
	const struct nova_flame_request request = {0};
	struct nova_error error = {0};
	struct nova_flame flame;
	FILE *file = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(file);
	count(stacks, "main", 1);
	nova_flame_make(stacks, &request, &flame);
	setvbuf(file, NULL, _IONBF, 0);
	assert_int_equal(nova_flame_write_svg(&flame, "t", file, &error), NOVA_E_FULL);
	clearerr(file);
	assert_int_equal(nova_flame_write_html(&flame, "t", file, &error), NOVA_E_FULL);
	fclose(file);
	nova_flame_free(&flame);
	nova_stacks_free(stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_cannot_become_markup_of_svg),
	        cmocka_unit_test(names_cannot_become_markup_of_html),
	        cmocka_unit_test(what_is_too_narrow_is_counted_not_drawn),
	        cmocka_unit_test(same_stacks_give_same_picture),
	        cmocka_unit_test(kinds_of_frames_are_told_apart),
	        cmocka_unit_test(text_can_be_read_on_every_colour),
	        cmocka_unit_test(recursion_counts_once_in_the_table),
	        cmocka_unit_test(a_recursion_of_a_hundred_thousand_takes_no_stack),
	        cmocka_unit_test(joined_recordings_add_up),
	        cmocka_unit_test(values_have_their_units),
	        cmocka_unit_test(writing_to_a_full_disk_fails),
	};
	int code = cmocka_run_group_tests(tests, NULL, NULL);

	xmlCleanupParser();
	return code;
}
