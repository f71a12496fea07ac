/* SPDX-License-Identifier: MIT */
/* Parts of the vSphere driver that need no peer: what faults say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fault.h"
#include <novacore/types.h>

#define ENVELOPE(body_)                                                                            \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                               \
	"<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" "                       \
	"xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" "                                   \
	"xmlns:v=\"urn:vim25\"><e:Body>" body_ "</e:Body></e:Envelope>"
#define FAULT(string_, detail_)                                                                    \
	ENVELOPE("<e:Fault><faultcode>ServerFaultCode</faultcode><faultstring>" string_            \
	         "</faultstring><detail>" detail_ "</detail></e:Fault>")

static struct nova_xml *parse(const char *text)
{
	char why[200];
	struct nova_xml *document = nova_xml_parse(text, strlen(text), why, sizeof(why));

	if (!document)
		fail_msg("%s", why);
	return document;
}

static struct fault read_fault(const char *text)
{
	struct nova_xml *document = parse(text);
	struct fault fault;

	assert_int_equal(fault_of_reply(nova_xml_root(document), &fault), 1);
	nova_xml_free(document);
	return fault;
}

static void reads_type_words_and_details(void **state)
{
	struct fault fault =
	        read_fault(FAULT("The attempted operation cannot be performed.",
	                         "<v:InvalidPowerStateFault x:type=\"v:InvalidPowerState\">"
	                         "<v:requestedState>poweredOn</v:requestedState>"
	                         "<v:existingState>poweredOff</v:existingState>"
	                         "</v:InvalidPowerStateFault>"));

	(void)state;
	assert_string_equal(fault.type, "InvalidPowerState");
	assert_int_equal(fault.code, NOVA_E_BUSY);
	assert_string_equal(fault.text,
	                    "The attempted operation cannot be performed. (InvalidPowerState, "
	                    "requestedState poweredOn, existingState poweredOff)");
}

static void names_the_privilege_that_is_missing(void **state)
{
	struct fault fault = read_fault(
	        FAULT("", "<NoPermissionFault xmlns=\"urn:vim25\" x:type=\"NoPermission\">"
	                  "<object type=\"Folder\">group-v3</object>"
	                  "<privilegeId>VirtualMachine.Inventory.Create</privilegeId>"
	                  "</NoPermissionFault>"));

	(void)state;
	assert_int_equal(fault.code, NOVA_E_PERMISSION);
	assert_string_equal(fault.text,
	                    "NoPermission, privilegeId VirtualMachine.Inventory.Create");
}

static void takes_faults_that_lack_parts(void **state)
{
	struct fault fault = read_fault(FAULT("", ""));

	(void)state;
	assert_string_equal(fault.text, "a fault without a reason");
	assert_int_equal(fault.code, NOVA_E_FAILED);
	fault = read_fault(ENVELOPE("<e:Fault/>"));
	assert_string_equal(fault.text, "a fault without a reason");
	/* no type: the element's name has it */
	fault = read_fault(FAULT("", "<v:NotFoundFault/>"));
	assert_string_equal(fault.type, "NotFound");
	assert_int_equal(fault.code, NOVA_E_NOT_FOUND);
	/* words that are none, and more of them than there is room */
	fault = read_fault(FAULT("a\nb&#x9;\xc2\x80", "<v:XFault x:type=\"X\"/>"));
	assert_non_null(strstr(fault.text, "a b"));
	assert_null(strchr(fault.text, '\n'));
}

static void cuts_long_faults_short(void **state)
{
	char text[9000] = "";
	char many[8000];
	struct fault fault;

	(void)state;
	memset(many, 'w', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	snprintf(text, sizeof(text),
	         ENVELOPE("<e:Fault><faultstring>%.4000s</faultstring><detail><v:F "
	                  "x:type=\"%.3000s\">"
	                  "<v:name>%.900s</v:name></v:F></detail></e:Fault>"),
	         many, many, many);
	fault = read_fault(text);
	assert_true(strlen(fault.text) < sizeof(fault.text));
	assert_int_equal(strlen(fault.type), sizeof(fault.type) - 1);
}

static void an_answer_is_no_fault(void **state)
{
	struct nova_xml *document = parse(ENVELOPE("<v:LoginResponse/>"));
	struct fault fault;

	(void)state;
	assert_int_equal(fault_of_reply(nova_xml_root(document), &fault), 0);
	assert_int_equal(fault_of_reply(NULL, &fault), 0);
	assert_int_equal(fault_of_properties(nova_xml_root(document), &fault), 0);
	assert_int_equal(fault_of_properties(NULL, &fault), 0);
	nova_xml_free(document);
}

static void knows_that_properties_are_kept_from_who_is_not_logged_in(void **state)
{
	static const char format[] = ENVELOPE(
	        "<v:RetrievePropertiesExResponse><v:returnval><v:objects>"
	        "<v:obj type=\"VirtualMachine\">vm-1</v:obj><v:missingSet><v:path>name</v:path>"
	        "<v:fault><v:fault x:type=\"%s\"/><v:localizedMessage>no</v:localizedMessage>"
	        "</v:fault></v:missingSet></v:objects></v:returnval>"
	        "</v:RetrievePropertiesExResponse>");
	char text[2000];
	struct nova_xml *document;
	struct fault fault;

	(void)state;
	snprintf(text, sizeof(text), format, "NotAuthenticated");
	document = parse(text);
	assert_int_equal(fault_of_properties(nova_xml_root(document), &fault), 1);
	assert_string_equal(fault.type, "NotAuthenticated");
	assert_int_equal(fault.code, NOVA_E_PERMISSION);
	nova_xml_free(document);
	snprintf(text, sizeof(text), format, "InvalidProperty");
	document = parse(text);
	assert_int_equal(fault_of_properties(nova_xml_root(document), &fault), 0);
	nova_xml_free(document);
}

static void knows_families_of_faults(void **state)
{
	(void)state;
	assert_int_equal(fault_code("InsufficientMemoryResourcesFault"), NOVA_E_FULL);
	assert_int_equal(fault_code("InsufficientResourcesFault"), NOVA_E_FULL);
	assert_int_equal(fault_code("InvalidName"), NOVA_E_INVALID);
	assert_int_equal(fault_code("InvalidLogin"), NOVA_E_PERMISSION);
	assert_int_equal(fault_code("InvalidPowerState"), NOVA_E_BUSY);
	assert_int_equal(fault_code("RestrictedVersion"), NOVA_E_UNSUPPORTED);
	assert_int_equal(fault_code("FileNotFound"), NOVA_E_NOT_FOUND);
	assert_int_equal(fault_code("NotFoundAtAll"), NOVA_E_FAILED);
	assert_int_equal(fault_code(""), NOVA_E_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_type_words_and_details),
	        cmocka_unit_test(names_the_privilege_that_is_missing),
	        cmocka_unit_test(takes_faults_that_lack_parts),
	        cmocka_unit_test(cuts_long_faults_short),
	        cmocka_unit_test(an_answer_is_no_fault),
	        cmocka_unit_test(knows_that_properties_are_kept_from_who_is_not_logged_in),
	        cmocka_unit_test(knows_families_of_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
