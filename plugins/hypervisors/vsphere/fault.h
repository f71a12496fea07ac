/* SPDX-License-Identifier: MIT */
/* What a fault of the API says. */
#ifndef VSPHERE_FAULT_H
#define VSPHERE_FAULT_H

#include <novacore/helpers/text.h>
#include <novacore/helpers/xml.h>

/* Of all that the API answers; requests are of it, too. */
#define VIM  "urn:vim25"
#define SOAP "http://schemas.xmlsoap.org/soap/envelope/"

struct fault {
	int code;       /* NOVA_E_* */
	char type[64];  /* the API's name for it, "InvalidPowerState"; "" if it has none */
	char text[512]; /* its own words and that name, printable */
};

/* Of the root of an answer: 1 if it is a fault. */
int fault_of_reply(const struct nova_xml_node *root, struct fault *fault);
/* Who is not logged in gets objects without properties, and this fault for each of them: 1 if so.
 */
int fault_of_properties(const struct nova_xml_node *root, struct fault *fault);
/* Of a LocalizedMethodFault, as tasks and missing properties have them. */
void fault_of_method(const struct nova_xml_node *node, struct fault *fault);
/* NOVA_E_* of that name. */
int fault_code(const char *type);

#endif
