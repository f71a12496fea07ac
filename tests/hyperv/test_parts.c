/* SPDX-License-Identifier: MIT */
/* Parts of the Hyper-V driver that need no peer: WQL, CIM-XML, references, paths, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cim.h"
#include "fault.h"
#include <novacore/types.h>

static struct nova_xml *parse(const char *text)
{
	char why[200] = "";
	struct nova_xml *document = nova_xml_parse(text, strlen(text), why, sizeof(why));

	if (!document)
		fail_msg("%s in %s", why, text);
	return document;
}

static void assert_text(struct nova_text *text, const char *wanted)
{
	assert_string_equal(nova_text_get(text), wanted);
	nova_text_free(text);
}

static void escapes_what_wql_would_take_for_syntax(void **state)
{
	struct nova_text text = {0};

	(void)state;
	cim_add_wql(&text, "a'b\\c\"d");
	assert_text(&text, "a\\'b\\\\c\\\"d");
	cim_add_like(&text, "50%_[x]'");
	assert_text(&text, "50[%][_][[]x]\\'");
}

static void writes_instances_as_cim_xml(void **state)
{
	struct nova_text text = {0};

	(void)state;
	cim_begin(&text, "SystemSettings", "Msvm_X");
	cim_property(&text, "ElementName", "string", "a<b]]>&c");
	cim_property_number(&text, "VirtualQuantity", "uint64", UINT64_MAX);
	cim_property_list(&text, "HostResource", "C:\\a.vhdx");
	cim_end(&text, "SystemSettings");
	assert_text(&text, "<p:SystemSettings><![CDATA[<INSTANCE CLASSNAME=\"Msvm_X\">"
	                   "<PROPERTY NAME=\"ElementName\" TYPE=\"string\">"
	                   "<VALUE>a&lt;b]]&gt;&amp;c</VALUE></PROPERTY>"
	                   "<PROPERTY NAME=\"VirtualQuantity\" TYPE=\"uint64\">"
	                   "<VALUE>18446744073709551615</VALUE></PROPERTY>"
	                   "<PROPERTY.ARRAY NAME=\"HostResource\" TYPE=\"string\">"
	                   "<VALUE.ARRAY><VALUE>C:\\a.vhdx</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
	                   "</INSTANCE>]]></p:SystemSettings>");
}

static void writes_paths_of_objects(void **state)
{
	struct nova_text text = {0};

	(void)state;
	cim_add_path(&text, "HV1", "Msvm_X", "Microsoft:A\\0\"");
	assert_text(&text, "\\\\HV1\\root\\virtualization\\v2:Msvm_X.InstanceID="
	                   "\"Microsoft:A\\\\0\\\"\"");
}

#define REFERENCE(uri, selectors)                                                                  \
	"<Job xmlns:a='" CIM_ADDRESS "' xmlns:w='" CIM_WSMAN "'><a:Address>x</a:Address>"          \
	"<a:ReferenceParameters><w:ResourceURI>" uri "</w:ResourceURI><w:SelectorSet>" selectors   \
	"</w:SelectorSet></a:ReferenceParameters></Job>"

static int read_reference(const char *text, struct reference *reference)
{
	struct nova_xml *document = parse(text);
	int good = cim_read_reference(nova_xml_root(document), reference);

	nova_xml_free(document);
	return good;
}

static void reads_references_by_their_key(void **state)
{
	struct reference one;

	(void)state;
	assert_int_equal(
	        read_reference(REFERENCE("http://x/root/virtualization/v2/Msvm_ConcreteJob",
	                                 "<w:Selector Name='__cimnamespace'>n</w:Selector>"
	                                 "<w:Selector Name='InstanceID'>42</w:Selector>"),
	                       &one),
	        1);
	assert_string_equal(one.class_name, "Msvm_ConcreteJob");
	assert_string_equal(one.key, "InstanceID");
	assert_string_equal(one.value, "42");
	assert_int_equal(read_reference(REFERENCE("http://x/Msvm_ComputerSystem",
	                                          "<w:Selector Name='Name'>G</w:Selector>"),
	                                &one),
	                 1);
	assert_string_equal(one.key, "Name");
}

static void refuses_what_is_no_reference(void **state)
{
	static const char *const wrong[] = {
	        "<Job/>",
	        REFERENCE("http://x/Msvm_ConcreteJob", ""),
	        REFERENCE("http://x/Msvm_ConcreteJob", "<w:Selector Name='InstanceID'/>"),
	        REFERENCE("http://x/a b", "<w:Selector Name='InstanceID'>1</w:Selector>"),
	        REFERENCE("http://x/a&quot;", "<w:Selector Name='InstanceID'>1</w:Selector>"),
	        REFERENCE("Msvm_ConcreteJob", "<w:Selector Name='InstanceID'>1</w:Selector>"),
	        REFERENCE("http://x/", "<w:Selector Name='InstanceID'>1</w:Selector>"),
	};
	struct reference one;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (read_reference(wrong[i], &one))
			fail_msg("taken for a reference: %s", wrong[i]);
		assert_string_equal(one.class_name, "");
		assert_string_equal(one.value, "");
	}
}

static void reads_instances_in_both_forms(void **state)
{
	static const char *const forms[] = {
	        "<S><p:MemoryUsage xmlns:p='urn:x'>512</p:MemoryUsage><Name>vm</Name>"
	        "<Gone xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:nil='true'/></S>",
	        "<S>&lt;INSTANCE CLASSNAME=\"Msvm_S\"&gt;&lt;PROPERTY NAME=\"MemoryUsage\" "
	        "TYPE=\"uint64\"&gt;&lt;VALUE&gt;512&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;PROPERTY "
	        "NAME=\"Name\" TYPE=\"string\"&gt;&lt;VALUE&gt;vm&lt;/VALUE&gt;&lt;/PROPERTY&gt;"
	        "&lt;/INSTANCE&gt;</S>"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct nova_xml *document = parse(forms[i]);
		struct instance one;

		cim_open(nova_xml_root(document), &one);
		assert_non_null(one.node);
		assert_int_equal(cim_number(&one, "MemoryUsage", -1), 512);
		assert_string_equal(cim_text(&one, "Name", "?"), "vm");
		assert_string_equal(cim_text(&one, "Gone", "nil"), "nil");
		assert_int_equal(cim_number(&one, "Name", -7), -7);
		cim_close(&one);
		nova_xml_free(document);
	}
}

static void takes_no_text_for_an_instance_that_is_none(void **state)
{
	static const char *const wrong[] = {"<S/>", "<S>text</S>", "<S>&lt;OTHER/&gt;</S>",
	                                    "<S>&lt;INSTANCE</S>"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct nova_xml *document = parse(wrong[i]);
		struct instance one;

		cim_open(nova_xml_root(document), &one);
		assert_null(one.node);
		assert_int_equal(cim_number(&one, "MemoryUsage", -1), -1);
		cim_close(&one);
		nova_xml_free(document);
	}
}

static void knows_guids(void **state)
{
	char guid[40], other[40];

	(void)state;
	assert_int_equal(cim_is_guid("0E1A2F0C-1111-2222-3333-44445555abcd"), 1);
	assert_int_equal(cim_is_guid("0E1A2F0C-1111-2222-3333-44445555abc"), 0);
	assert_int_equal(cim_is_guid("0E1A2F0C-1111-2222-3333-44445555abcd0"), 0);
	assert_int_equal(cim_is_guid("0E1A2F0C-1111-2222-3333-44445555abcg"), 0);
	assert_int_equal(cim_is_guid("0E1A2F0C11112222333344445555abcd"), 0);
	assert_int_equal(cim_is_guid(""), 0);
	cim_make_guid(guid);
	cim_make_guid(other);
	assert_int_equal(cim_is_guid(guid), 1);
	assert_int_equal(guid[14], '4');
	assert_string_not_equal(guid, other);
}

static void reads_paths_of_files(void **state)
{
	struct file file;

	(void)state;
	assert_int_equal(cim_read_file("C:\\ClusterStorage\\Volume 1\\a.b.vhdx", &file), 1);
	assert_string_equal(file.drive, "C:");
	assert_string_equal(file.directory, "\\ClusterStorage\\Volume 1\\");
	assert_string_equal(file.stem, "a.b");
	assert_string_equal(file.extension, "vhdx");
	assert_int_equal(cim_read_file("d:\\x.vhd", &file), 1);
	assert_string_equal(file.directory, "\\");
	assert_int_equal(cim_read_directory("C:\\vm", &file), 1);
	assert_string_equal(file.directory, "\\vm\\");
	assert_int_equal(cim_read_directory("C:\\vm\\", &file), 1);
	assert_string_equal(file.directory, "\\vm\\");
	assert_int_equal(cim_read_directory("C:\\", &file), 1);
	assert_string_equal(file.directory, "\\");
	assert_int_equal(cim_is_file_name("a b.c"), 1);
	assert_int_equal(cim_is_file_name("a\\b"), 0);
	assert_int_equal(cim_is_file_name("a."), 0);
	assert_int_equal(cim_is_file_name(""), 0);
}

static void refuses_paths_that_cannot_be_cleaned_up(void **state)
{
	static const char *const wrong[] = {
	        "",
	        "C:",
	        "C:vm.vhdx",
	        "\\\\server\\share\\a.vhdx",
	        "vm.vhdx",
	        "/vm/a.vhdx",
	        "C:/vm/a.vhdx",
	        "C:\\vm\\..\\a.vhdx",
	        "C:\\a",
	        "C:\\.vhdx",
	        "C:\\vm\\",
	        "C:\\v*\\a.vhdx",
	        "C:\\a\n.vhdx",
	        "C:\\\\a.vhdx",
	        "C:\\vm.\\a.vhdx",
	        "1:\\a.vhdx",
	};
	struct file file;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (cim_read_file(wrong[i], &file))
			fail_msg("'%s' was taken for a file", wrong[i]);
		assert_string_equal(file.stem, "");
	}
}

#define FAULT(subcode, detail)                                                                     \
	"<s:Envelope xmlns:s='" FAULT_SOAP                                                         \
	"'><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value>"                                   \
	"<s:Subcode><s:Value>" subcode "</s:Value></s:Subcode></s:Code><s:Reason><s:Text>Because." \
	"</s:Text></s:Reason><s:Detail>" detail "</s:Detail></s:Fault></s:Body></s:Envelope>"
#define WSMAN_FAULT(code)                                                                          \
	"<f:WSManFault xmlns:f='http://schemas.microsoft.com/wbem/wsman/1/wsmanfault' Code='" code \
	"'><f:Message>m</f:Message></f:WSManFault>"

static void understands_faults(void **state)
{
	static const struct {
		const char *text, *said;
		int order, code;
	} cases[] = {
	        {FAULT("w:AccessDenied", WSMAN_FAULT("5")), "Because. (AccessDenied, 5)", 0,
	         NOVA_E_PERMISSION},
	        {FAULT("w:InvalidSelectors", ""), "Because. (InvalidSelectors)", 0,
	         NOVA_E_NOT_FOUND},
	        {FAULT("w:TimedOut", ""), "Because. (TimedOut)", 0, NOVA_E_UNAVAILABLE},
	        {FAULT("w:TimedOut", ""), "Because. (TimedOut)", 1, NOVA_E_UNKNOWN},
	        {FAULT("w:InternalError", WSMAN_FAULT("2147749891")),
	         "Because. (InternalError, 2147749891)", 0, NOVA_E_PERMISSION},
	        {FAULT("w:InternalError", "<a><b><Description>Said so.</Description></b></a>"),
	         "Said so. (InternalError)", 0, NOVA_E_FAILED},
	        {FAULT("", ""), "Because.", 0, NOVA_E_FAILED},
	        {"<s:Envelope xmlns:s='" FAULT_SOAP "'><s:Body><x/></s:Body></s:Envelope>", "", 0,
	         NOVA_DONE},
	        {"<html/>", "", 0, NOVA_DONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nova_xml *document = parse(cases[i].text);
		struct nova_text words = {0};

		assert_int_equal(fault_read(nova_xml_root(document), cases[i].order, &words),
		                 cases[i].code);
		assert_text(&words, cases[i].said);
		nova_xml_free(document);
	}
}

static void knows_what_methods_return(void **state)
{
	const char *meaning = NULL;

	(void)state;
	assert_int_equal(fault_of_number(RETURNS_CIM, 32775, &meaning), NOVA_E_BUSY);
	assert_string_equal(meaning, "invalid state for this operation");
	assert_int_equal(fault_of_number(RETURNS_FILE, 15, &meaning), NOVA_E_BUSY);
	assert_int_equal(fault_of_number(RETURNS_FILE, 32775, &meaning), NOVA_E_FAILED);
	assert_int_equal(fault_of_number(RETURNS_CIM, 99, &meaning), NOVA_E_FAILED);
	assert_non_null(meaning);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(escapes_what_wql_would_take_for_syntax),
	        cmocka_unit_test(writes_instances_as_cim_xml),
	        cmocka_unit_test(writes_paths_of_objects),
	        cmocka_unit_test(reads_references_by_their_key),
	        cmocka_unit_test(refuses_what_is_no_reference),
	        cmocka_unit_test(reads_instances_in_both_forms),
	        cmocka_unit_test(takes_no_text_for_an_instance_that_is_none),
	        cmocka_unit_test(knows_guids),
	        cmocka_unit_test(reads_paths_of_files),
	        cmocka_unit_test(refuses_paths_that_cannot_be_cleaned_up),
	        cmocka_unit_test(understands_faults),
	        cmocka_unit_test(knows_what_methods_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
