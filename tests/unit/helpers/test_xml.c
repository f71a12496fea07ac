/* SPDX-License-Identifier: MIT */
/* XML from elsewhere: what is refused, and that accessors take anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <novacore/helpers/call.h>
#include <novacore/helpers/xml.h>

#define LAB "urn:lab"

static struct nova_xml *parse(const char *text)
{
	char why[200] = "";
	struct nova_xml *document = nova_xml_parse(text, strlen(text), why, sizeof(why));

	if (!document)
		fail_msg("'%s': %s", text, why);
	return document;
}

static void assert_refused(const char *text, size_t bytes, const char *wanted)
{
	char why[200] = "";

	if (nova_xml_parse(text, bytes, why, sizeof(why)))
		fail_msg("'%.80s' was taken", text);
	if (strncmp(why, "no XML", 6) != 0 || !strstr(why, wanted))
		fail_msg("'%.80s' is refused by '%s'", text, why);
	assert_null(strstr(why, "Welcome"));
}

static void refuses_what_is_no_xml(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	        {"", "empty"},
	        {"Welcome", "line 1"},
	        {"<html>\n<p>Welcome</html>", "line 2"},
	        {"<a>Welcome", "line 1"},
	        {"<a/><b/>", "line 1"},
	        {"<a x='1' x='2'/>", "line 1"},
	        {"<a>&Welcome;</a>", "line 1"},
	        {"<a>\n&#0;</a>", "line 2"},
	        {"<a>\xff</a>", "line 1"},
	        {"<a>\xed\xa0\x80</a>", "line 1"},
	        {"<Welcome:a/>", "line 1"}, /* a prefix that means nothing */
	        {"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
	assert_refused("<a>\0</a>", 8, "line 1");
	assert_null(nova_xml_parse("x", 1, NULL, 0));
	assert_null(nova_xml_parse(NULL, 0, NULL, 0));
}

/* With a document type come entities that grow, and files and addresses to be read. */
static void refuses_document_types(void **state)
{
	static const char *const cases[] = {
	        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
	        "<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/x.dtd\"><a/>",
	        "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>",
	        "<!DOCTYPE a [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><a/>",
	        "<!DOCTYPE a><a/>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i], strlen(cases[i]), "document type");
}

static char *repeated(const char *first, const char *more, size_t count, const char *last)
{
	size_t length = strlen(more);
	char *text = malloc(strlen(first) + count * length + strlen(last) + 1);
	char *at = text + sprintf(text, "%s", first);

	for (size_t i = 0; i < count; i++, at += length)
		memcpy(at, more, length);
	strcpy(at, last);
	return text;
}

static void refuses_what_would_take_too_much_memory(void **state)
{
	char *deep = repeated("", "<a>", 3000000, "");
	char *many = repeated("<a>", "<b/>", NOVA_XML_NODES, "</a>");
	char *long_one = repeated("<a>", "        ", NOVA_XML_BYTES / 8, "</a>");
	char *fits = repeated("<a>", "<b/>", NOVA_XML_NODES - 1, "</a>");
	struct nova_xml *document;

	(void)state;
	assert_refused(deep, strlen(deep), "nested too deep");
	assert_refused(many, strlen(many), "too many elements");
	assert_refused(long_one, strlen(long_one), "too long");
	document = parse(fits);
	assert_non_null(nova_xml_first(nova_xml_root(document), "", "b"));
	nova_xml_free(document);
	free(deep);
	free(many);
	free(long_one);
	free(fits);
}

static void takes_elements_nested_as_deep_as_it_says(void **state)
{
	char *open = repeated("", "<a>", NOVA_XML_DEPTH, "");
	char *text = repeated(open, "</a>", NOVA_XML_DEPTH, "");

	(void)state;
	nova_xml_free(parse(text));
	free(open);
	free(text);
}

static const char sample[] =
        "<?xml version='1.0'?>\n"
        "<s:Envelope xmlns:s='urn:soap' xmlns='urn:lab' xmlns:other='urn:other'"
        "  xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:t='urn:types'>\n"
        "  <!-- a comment -->\n"
        "  <s:Body>\n"
        "    <vm type='small &amp; &quot;cheap&quot; &#228;' other:type='big' xsi:type='t:Vm'>\n"
        "      <name>a&lt;b<!-- not a cut -->c<![CDATA[<d>&amp;]]>&#xe4;<?no cut?>!</name>\n"
        "      <other:name>another</other:name>\n"
        "      <cpus> 8 </cpus><empty/><blank></blank>\n"
        "      <on>true</on><off>0</off><wmi>TRUE</wmi>\n"
        "      <nothing xsi:nil='true'/>\n"
        "    </vm>\n"
        "    <vm xsi:type='Plain'><name>second</name></vm>\n"
        "    <other:vm><name>not of the lab</name></other:vm>\n"
        "    <vm xsi:type='lost:Vm'><name>third</name></vm>\n"
        "  </s:Body>\n"
        "</s:Envelope>";

static void finds_elements_by_namespace_and_name(void **state)
{
	struct nova_xml *document = parse(sample);
	const struct nova_xml_node *root = nova_xml_root(document);
	const struct nova_xml_node *body = nova_xml_first(root, "urn:soap", "Body");
	const struct nova_xml_node *vm = nova_xml_first(body, LAB, "vm");

	(void)state;
	assert_true(nova_xml_is(root, "urn:soap", "Envelope"));
	assert_true(nova_xml_is(root, NULL, "Envelope"));
	assert_true(nova_xml_is(root, "urn:soap", NULL));
	assert_false(nova_xml_is(root, LAB, "Envelope"));
	assert_false(nova_xml_is(root, "", "Envelope"));
	assert_false(nova_xml_is(root, "urn:soap", "Envelop"));
	assert_string_equal(nova_xml_name(root), "Envelope");
	assert_null(nova_xml_first(root, LAB, "Body"));
	assert_ptr_equal(nova_xml_at(root, NULL, "Body/vm"), vm);
	assert_ptr_equal(nova_xml_at(vm, LAB, ""), vm);
	assert_null(nova_xml_at(root, LAB, "Body/vm"));
	assert_null(nova_xml_at(body, LAB, "vm/none/name"));
	assert_null(nova_xml_at(body, LAB, "/vm"));

	vm = nova_xml_next(vm, LAB, "vm");
	assert_string_equal(nova_xml_text(vm, LAB, "name", ""), "second");
	assert_string_equal(nova_xml_text(nova_xml_next(vm, NULL, NULL), NULL, "name", ""),
	                    "not of the lab");
	vm = nova_xml_next(vm, LAB, "vm");
	assert_string_equal(nova_xml_text(vm, LAB, "name", ""), "third");
	assert_null(nova_xml_next(vm, LAB, "vm"));
	nova_xml_free(document);
}

static void reads_texts_numbers_and_flags(void **state)
{
	struct nova_xml *document = parse(sample);
	const struct nova_xml_node *vm = nova_xml_at(nova_xml_root(document), NULL, "Body/vm");

	(void)state;
	assert_string_equal(nova_xml_text(vm, LAB, "name", ""), "a<bc<d>&amp;\xc3\xa4!");
	assert_string_equal(nova_xml_text(vm, "urn:other", "name", ""), "another");
	assert_string_equal(nova_xml_text(vm, LAB, "empty", "?"), "");
	assert_string_equal(nova_xml_text(vm, LAB, "blank", "?"), "");
	assert_string_equal(nova_xml_text(vm, LAB, "none", "?"), "?");
	assert_null(nova_xml_text(vm, LAB, "", NULL)); /* it has elements */
	assert_int_equal(nova_xml_number(vm, LAB, "cpus", -1), 8);
	assert_int_equal(nova_xml_number(vm, LAB, "name", -1), -1);
	assert_int_equal(nova_xml_number(vm, LAB, "empty", -1), -1);
	assert_int_equal(nova_xml_flag(vm, LAB, "on", -1), 1);
	assert_int_equal(nova_xml_flag(vm, LAB, "off", -1), 0);
	assert_int_equal(nova_xml_flag(vm, LAB, "wmi", -1), 1);
	assert_int_equal(nova_xml_flag(vm, LAB, "cpus", -1), -1);
	assert_true(nova_xml_is_nil(nova_xml_first(vm, LAB, "nothing")));
	assert_false(nova_xml_is_nil(nova_xml_first(vm, LAB, "empty")));
	nova_xml_free(document);
}

static void reads_attributes_and_types(void **state)
{
	struct nova_xml *document = parse(sample);
	const struct nova_xml_node *vm = nova_xml_at(nova_xml_root(document), NULL, "Body/vm");
	const char *space = NULL;

	(void)state;
	assert_string_equal(nova_xml_attribute(vm, NULL, "type"), "small & \"cheap\" \xc3\xa4");
	assert_string_equal(nova_xml_attribute(vm, "", "type"), "small & \"cheap\" \xc3\xa4");
	assert_string_equal(nova_xml_attribute(vm, "urn:other", "type"), "big");
	assert_null(nova_xml_attribute(vm, LAB, "type")); /* a default namespace is not theirs */
	assert_null(nova_xml_attribute(vm, NULL, "typ"));
	assert_string_equal(nova_xml_type(vm, &space), "Vm");
	assert_string_equal(space, "urn:types");
	assert_string_equal(nova_xml_type(vm, NULL), "Vm");
	vm = nova_xml_next(vm, LAB, "vm");
	assert_string_equal(nova_xml_type(vm, &space), "Plain");
	assert_string_equal(space, LAB);
	vm = nova_xml_next(vm, LAB, "vm");
	assert_string_equal(nova_xml_type(vm, &space), "Vm");
	assert_string_equal(space, "");
	assert_null(nova_xml_type(nova_xml_first(vm, LAB, "name"), &space));
	nova_xml_free(document);
}

static void numbers_are_strict(void **state)
{
	static const struct {
		const char *text;
		int64_t number;
	} cases[] = {
	        {"0", 0},
	        {"-1", -1},
	        {"+7", 7},
	        {"\n 007\t", 7},
	        {"9223372036854775807", INT64_MAX},
	        {"-9223372036854775808", INT64_MIN},
	        {"9223372036854775808", 42},
	        {"", 42},
	        {" ", 42},
	        {"-", 42},
	        {"+-1", 42},
	        {"0x10", 42},
	        {"1.0", 42},
	        {"1e3", 42},
	        {"1 2", 42},
	        {"INF", 42},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];
		struct nova_xml *document;

		snprintf(text, sizeof(text), "<a>%s</a>", cases[i].text);
		document = parse(text);
		assert_int_equal(nova_xml_number(nova_xml_root(document), NULL, "", 42),
		                 cases[i].number);
		nova_xml_free(document);
	}
}

static void accessors_take_nothing(void **state)
{
	const char *space = "x";

	(void)state;
	assert_null(nova_xml_root(NULL));
	assert_null(nova_xml_reply(NULL));
	assert_null(nova_xml_reply(&(struct nova_reply){0}));
	assert_false(nova_xml_is(NULL, NULL, NULL));
	assert_string_equal(nova_xml_name(NULL), "");
	assert_null(nova_xml_first(NULL, NULL, NULL));
	assert_null(nova_xml_next(NULL, NULL, NULL));
	assert_null(nova_xml_at(NULL, NULL, "a/b"));
	assert_null(nova_xml_attribute(NULL, NULL, "a"));
	assert_null(nova_xml_type(NULL, &space));
	assert_false(nova_xml_is_nil(NULL));
	assert_null(nova_xml_text(NULL, NULL, "", NULL));
	assert_int_equal(nova_xml_number(NULL, NULL, "a", 3), 3);
	assert_int_equal(nova_xml_flag(NULL, NULL, "a", 3), 3);
	nova_xml_free(NULL);
}

static void reader_keeps_the_first_failure(void **state)
{
	struct nova_xml *document = parse(sample);
	struct nova_xml_reader reader = {
	        .node = nova_xml_at(nova_xml_root(document), NULL, "Body/vm"), .space = LAB};
	struct nova_xml_reader other = reader;

	(void)state;
	assert_string_equal(nova_xml_need_text(&reader, "empty"), "");
	assert_int_equal(nova_xml_need_number(&reader, "cpus"), 8);
	assert_non_null(nova_xml_need(&reader, ""));
	assert_string_equal(reader.error, "");
	assert_int_equal(nova_xml_need_number(&reader, "name"), 0);
	assert_string_equal(reader.error, "name is not a whole number of at most 64 bits");
	assert_null(nova_xml_need(&reader, "a/b"));
	assert_string_equal(nova_xml_need_text(&reader, "name"), "");
	assert_string_equal(reader.error, "name is not a whole number of at most 64 bits");
	assert_string_equal(nova_xml_need_text(&other, ""), "");
	assert_string_equal(other.error, "it has elements where a text must be");
	other.error[0] = '\0';
	assert_null(nova_xml_need(&other, "cpus/none"));
	assert_string_equal(other.error, "cpus/none is missing");
	nova_xml_free(document);
}

static void replies_are_read_once(void **state)
{
	char why[200] = "";
	struct nova_reply reply = {.parsed =
	                                   nova_xml_replies.parse("<a>1</a>", 8, why, sizeof(why))};

	(void)state;
	assert_int_equal(nova_xml_number(nova_xml_reply(&reply), NULL, "", 0), 1);
	nova_xml_replies.release(reply.parsed);
	nova_xml_replies.release(NULL);
	assert_null(nova_xml_replies.parse("<a>", 3, why, sizeof(why)));
	assert_string_equal(why, "no XML: not well-formed at line 1");
}

static void what_was_written_is_read_again(void **state)
{
	static const char name[] = "a <b> & 'c' \"d\"]]> \r\n\t\xc3\xa4 \xf0\x9f\x98\x80";
	struct nova_text text = {0};
	struct nova_xml *document;
	const struct nova_xml_node *root;

	(void)state;
	nova_text_add(&text, "<a xmlns='urn:lab'>");
	nova_xml_add(&text, "_this type=\"Folder\"", "group-v3");
	nova_xml_add(&text, "name", name);
	nova_xml_add_number(&text, "count", INT64_MIN);
	nova_xml_add_flag(&text, "on", 2);
	nova_text_add(&text, "</a>");
	document = parse(text.text);
	root = nova_xml_root(document);
	assert_string_equal(nova_xml_text(root, LAB, "_this", ""), "group-v3");
	assert_string_equal(nova_xml_attribute(nova_xml_first(root, LAB, "_this"), NULL, "type"),
	                    "Folder");
	assert_string_equal(nova_xml_text(root, LAB, "name", ""), name);
	assert_true(nova_xml_number(root, LAB, "count", 0) == INT64_MIN);
	assert_string_equal(nova_xml_text(root, LAB, "on", ""), "true");
	nova_xml_free(document);
	nova_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refuses_what_is_no_xml),
	        cmocka_unit_test(refuses_document_types),
	        cmocka_unit_test(refuses_what_would_take_too_much_memory),
	        cmocka_unit_test(takes_elements_nested_as_deep_as_it_says),
	        cmocka_unit_test(finds_elements_by_namespace_and_name),
	        cmocka_unit_test(reads_texts_numbers_and_flags),
	        cmocka_unit_test(reads_attributes_and_types),
	        cmocka_unit_test(numbers_are_strict),
	        cmocka_unit_test(accessors_take_nothing),
	        cmocka_unit_test(reader_keeps_the_first_failure),
	        cmocka_unit_test(replies_are_read_once),
	        cmocka_unit_test(what_was_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
