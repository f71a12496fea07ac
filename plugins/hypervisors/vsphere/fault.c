/* SPDX-License-Identifier: MIT */
/* What a fault of the API says: its type, which is what counts, its words, its details. */
#include "fault.h"

#include <novacore/types.h>

#include <stdio.h>
#include <string.h>

/* By the beginning of the name, where a family of faults is meant. */
static const struct {
	const char *type;
	int whole;
	int code;
} codes[] = {
        {"InvalidLogin", 1, NOVA_E_PERMISSION},
        {"InvalidLocale", 1, NOVA_E_PERMISSION},
        {"NotAuthenticated", 1, NOVA_E_PERMISSION},
        {"NoPermission", 1, NOVA_E_PERMISSION},
        {"InvalidGuestLogin", 1, NOVA_E_PERMISSION},
        {"GuestPermissionDenied", 1, NOVA_E_PERMISSION},
        {"ManagedObjectNotFound", 1, NOVA_E_NOT_FOUND},
        {"NotFound", 1, NOVA_E_NOT_FOUND},
        {"FileNotFound", 1, NOVA_E_NOT_FOUND},
        {"DuplicateName", 1, NOVA_E_EXISTS},
        {"AlreadyExists", 1, NOVA_E_EXISTS},
        {"FileAlreadyExists", 1, NOVA_E_EXISTS},
        {"TaskInProgress", 1, NOVA_E_BUSY},
        {"VAppTaskInProgress", 1, NOVA_E_BUSY},
        {"InvalidPowerState", 1, NOVA_E_BUSY},
        {"InvalidState", 1, NOVA_E_BUSY},
        {"ConcurrentAccess", 1, NOVA_E_BUSY},
        {"ResourceInUse", 1, NOVA_E_BUSY},
        {"FileLocked", 1, NOVA_E_BUSY},
        {"ToolsUnavailable", 1, NOVA_E_BUSY},
        {"GuestOperationsUnavailable", 1, NOVA_E_BUSY},
        {"GuestComponentsOutOfDate", 1, NOVA_E_BUSY},
        {"NotSupported", 1, NOVA_E_UNSUPPORTED},
        {"NotSupportedHost", 0, NOVA_E_UNSUPPORTED},
        {"NotImplemented", 1, NOVA_E_UNSUPPORTED},
        {"MethodNotFound", 1, NOVA_E_UNSUPPORTED},
        {"MethodDisabled", 1, NOVA_E_UNSUPPORTED},
        {"RestrictedVersion", 1, NOVA_E_UNSUPPORTED},
        {"LicenseRestricted", 1, NOVA_E_UNSUPPORTED},
        {"NotEnoughLicenses", 1, NOVA_E_UNSUPPORTED},
        {"NoDiskSpace", 1, NOVA_E_FULL},
        {"Insufficient", 0, NOVA_E_FULL},
        {"OutOfBounds", 1, NOVA_E_INVALID},
        {"Invalid", 0, NOVA_E_INVALID}, /* argument, name, folder, datastore, request… */
        {"MissingController", 1, NOVA_E_INVALID},
        {"HostNotConnected", 1, NOVA_E_UNAVAILABLE},
        {"HostNotReachable", 1, NOVA_E_UNAVAILABLE},
        {"HostCommunication", 1, NOVA_E_UNAVAILABLE},
        {"InaccessibleDatastore", 1, NOVA_E_UNAVAILABLE},
        {"RequestCanceled", 1, NOVA_E_CANCELLED},
        {"TooManyConsecutiveOverrides", 1, NOVA_E_BUSY},
};

int fault_code(const char *type)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].whole ? strcmp(type, codes[i].type) == 0
		                   : strncmp(type, codes[i].type, strlen(codes[i].type)) == 0)
			return codes[i].code;
	}
	return NOVA_E_FAILED;
}

/* The details that say which right, which object, which state; the words often do not. */
static void add_details(const struct nova_xml_node *node, struct nova_text *text)
{
	static const char *const details[] = {
	        "privilegeId", "requestedState", "existingState", "invalidProperty", "property",
	        "name",        "file",           "datastore",     "reason",          "method"};

	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		const char *value = nova_xml_text(node, VIM, details[i], "");

		if (!*value)
			continue;
		nova_text_printf(text, ", %s ", details[i]);
		nova_text_add_printable(text, value, 80);
	}
}

static void fill(const struct nova_xml_node *node, const char *type, const char *words,
                 struct fault *fault)
{
	struct nova_text text = {0};
	int has_words;

	snprintf(fault->type, sizeof(fault->type), "%s", type ? type : "");
	fault->code = fault_code(fault->type);
	nova_text_add_printable(&text, words, 280);
	has_words = text.used > 0;
	if (fault->type[0]) {
		nova_text_add(&text, has_words ? " (" : "");
		nova_text_add_printable(&text, fault->type, 60);
		add_details(node, &text);
		nova_text_add(&text, has_words ? ")" : "");
	}
	snprintf(fault->text, sizeof(fault->text), "%s",
	         text.used ? text.text : "a fault without a reason");
	nova_text_free(&text);
}

/* A name of the API's stands in xsi:type; else the element's own, which ends in "Fault". */
static const char *type_of(const struct nova_xml_node *node, char name[64])
{
	const char *type = nova_xml_type(node, NULL);
	size_t length;

	if (type)
		return type;
	snprintf(name, 64, "%s", nova_xml_name(node));
	length = strlen(name);
	if (length > 5 && strcmp(name + length - 5, "Fault") == 0)
		name[length - 5] = '\0';
	return name;
}

int fault_of_reply(const struct nova_xml_node *root, struct fault *fault)
{
	const struct nova_xml_node *said = nova_xml_at(root, SOAP, "Body/Fault");
	const struct nova_xml_node *detail =
	        nova_xml_first(nova_xml_first(said, NULL, "detail"), NULL, NULL);
	char name[64];

	if (!said)
		return 0;
	fill(detail, detail ? type_of(detail, name) : NULL,
	     nova_xml_text(said, NULL, "faultstring", ""), fault);
	return 1;
}

void fault_of_method(const struct nova_xml_node *node, struct fault *fault)
{
	const struct nova_xml_node *inner = nova_xml_first(node, VIM, "fault");

	fill(inner, inner ? nova_xml_type(inner, NULL) : NULL,
	     nova_xml_text(node, VIM, "localizedMessage", ""), fault);
}

int fault_of_properties(const struct nova_xml_node *root, struct fault *fault)
{
	const struct nova_xml_node *answer =
	        nova_xml_first(nova_xml_at(root, SOAP, "Body"), VIM, NULL);
	const struct nova_xml_node *object = nova_xml_at(answer, VIM, "returnval/objects");

	for (; object; object = nova_xml_next(object, VIM, "objects")) {
		const struct nova_xml_node *missing = nova_xml_at(object, VIM, "missingSet/fault");
		const char *type = nova_xml_type(nova_xml_first(missing, VIM, "fault"), NULL);

		if (!type || strcmp(type, "NotAuthenticated") != 0)
			continue;
		fault_of_method(missing, fault);
		return 1;
	}
	return 0;
}
