/* SPDX-License-Identifier: MIT */
/*
 * Faults of WS-Management, and the numbers that methods return.
 * Subcodes: DSP0226 (WS-Management) chapter 14; numbers: the reference of Msvm_… and CIM_DataFile,
 * and wbemcli.h for what begins with 0x8004.
 */
#include "fault.h"

#include <novacore/types.h>

#include <stdlib.h>
#include <string.h>

#define FAULT_SPACE "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

static int of_subcode(const char *subcode, int order)
{
	static const struct {
		const char *name;
		int code;
	} known[] = {
	        {"AccessDenied", NOVA_E_PERMISSION},
	        {"InvalidSelectors", NOVA_E_NOT_FOUND},
	        {"DestinationUnreachable", NOVA_E_NOT_FOUND},
	        {"QuotaLimit", NOVA_E_BUSY},
	        {"Concurrency", NOVA_E_BUSY},
	        {"ActionNotSupported", NOVA_E_UNSUPPORTED},
	        {"UnsupportedFeature", NOVA_E_UNSUPPORTED},
	        {"InvalidParameter", NOVA_E_INVALID},
	};

	if (strcmp(subcode, "TimedOut") == 0)
		return order ? NOVA_E_UNKNOWN : NOVA_E_UNAVAILABLE;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(subcode, known[i].name) == 0)
			return known[i].code;
	}
	return NOVA_E_FAILED;
}

/* Numbers of WSManFault: Win32's, and WMI's HRESULTs. */
static int of_code(const char *text)
{
	switch (strtoull(text, NULL, 10)) {
	case 5:           /* ERROR_ACCESS_DENIED */
	case 0x80041003u: /* WBEM_E_ACCESS_DENIED */
	case 0x80070005u: return NOVA_E_PERMISSION;
	case 0x80041002u: return NOVA_E_NOT_FOUND;   /* WBEM_E_NOT_FOUND */
	case 0x8004100eu:                            /* WBEM_E_INVALID_NAMESPACE */
	case 0x80041010u: return NOVA_E_UNSUPPORTED; /* WBEM_E_INVALID_CLASS */
	case 0x80041013u: return NOVA_E_UNAVAILABLE; /* WBEM_E_PROVIDER_LOAD_FAILURE */
	case 0x80041015u: return NOVA_E_UNAVAILABLE; /* WBEM_E_TRANSPORT_FAILURE */
	default: return NOVA_DONE;
	}
}

/* The first element of that name, at any depth (the parser bounds it). */
static const struct nova_xml_node *search(const struct nova_xml_node *node, const char *name)
{
	const struct nova_xml_node *one = nova_xml_first(node, NULL, NULL);

	for (; one; one = nova_xml_next(one, NULL, NULL)) {
		const struct nova_xml_node *found =
		        strcmp(nova_xml_name(one), name) == 0 ? one : search(one, name);

		if (found)
			return found;
	}
	return NULL;
}

int fault_read(const struct nova_xml_node *envelope, int order, struct nova_text *words)
{
	const struct nova_xml_node *fault = nova_xml_at(envelope, FAULT_SOAP, "Body/Fault");
	const struct nova_xml_node *detail = nova_xml_first(fault, FAULT_SOAP, "Detail");
	const char *subcode = nova_xml_text(fault, FAULT_SOAP, "Code/Subcode/Value", "");
	const char *number =
	        nova_xml_attribute(nova_xml_first(detail, FAULT_SPACE, "WSManFault"), NULL, "Code");
	/* what the provider says is better than what the service says about it */
	const char *said = nova_xml_text(search(detail, "Description"), NULL, "", NULL);
	int code;

	if (!fault)
		return NOVA_DONE;
	if (strchr(subcode, ':'))
		subcode = strchr(subcode, ':') + 1;
	if (!said || !*said)
		said = nova_xml_text(fault, FAULT_SOAP, "Reason/Text", "no reason given");
	nova_text_add(words, said);
	if (*subcode || number)
		nova_text_printf(words, " (%s%s%s)", subcode, *subcode && number ? ", " : "",
		                 number ? number : "");
	code = of_subcode(subcode, order);
	return code == NOVA_E_FAILED && number && of_code(number) ? of_code(number) : code;
}

int fault_of_number(uint32_t returns, int64_t number, const char **meaning)
{
	static const struct {
		uint32_t returns;
		int64_t number;
		int code;
		const char *meaning;
	} known[] = {
	        {RETURNS_CIM, 1, NOVA_E_UNSUPPORTED, "not supported"},
	        {RETURNS_CIM, 2, NOVA_E_FAILED, "failed"},
	        {RETURNS_CIM, 3, NOVA_E_FAILED, "timeout"},
	        {RETURNS_CIM, 4, NOVA_E_INVALID, "invalid parameter"},
	        {RETURNS_CIM, 5, NOVA_E_BUSY, "invalid state"},
	        {RETURNS_CIM, 32768, NOVA_E_FAILED, "failed"},
	        {RETURNS_CIM, 32769, NOVA_E_PERMISSION, "access denied"},
	        {RETURNS_CIM, 32770, NOVA_E_UNSUPPORTED, "not supported"},
	        {RETURNS_CIM, 32771, NOVA_E_FAILED, "status is unknown"},
	        {RETURNS_CIM, 32772, NOVA_E_FAILED, "timeout"},
	        {RETURNS_CIM, 32773, NOVA_E_INVALID, "invalid parameter"},
	        {RETURNS_CIM, 32774, NOVA_E_BUSY, "system is in use"},
	        {RETURNS_CIM, 32775, NOVA_E_BUSY, "invalid state for this operation"},
	        {RETURNS_CIM, 32776, NOVA_E_INVALID, "incorrect data type"},
	        {RETURNS_CIM, 32777, NOVA_E_UNAVAILABLE, "system is not available"},
	        {RETURNS_CIM, 32778, NOVA_E_FULL, "out of memory"},
	        {RETURNS_CIM, 32779, NOVA_E_NOT_FOUND, "file not found"},
	        {RETURNS_FILE, 2, NOVA_E_PERMISSION, "access denied"},
	        {RETURNS_FILE, 8, NOVA_E_FAILED, "unspecified failure"},
	        {RETURNS_FILE, 9, NOVA_E_NOT_FOUND, "invalid object"},
	        {RETURNS_FILE, 15, NOVA_E_BUSY, "sharing violation: something has it open"},
	        {RETURNS_FILE, 17, NOVA_E_PERMISSION, "privilege not held"},
	        {RETURNS_FILE, 21, NOVA_E_INVALID, "invalid parameter"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].returns == returns && known[i].number == number) {
			*meaning = known[i].meaning;
			return known[i].code;
		}
	}
	*meaning = "no meaning known";
	return NOVA_E_FAILED;
}
