/* SPDX-License-Identifier: MIT */
/* What WS-Management and WMI say when they refuse. Knows no connection. */
#ifndef HYPERV_FAULT_H
#define HYPERV_FAULT_H

#include <novacore/helpers/text.h>
#include <novacore/helpers/xml.h>

#include <stdint.h>

#define FAULT_SOAP "http://www.w3.org/2003/05/soap-envelope"

/* What the numbers of a method's result mean. */
#define RETURNS_CIM  0u /* Hyper-V's: 4096 a job, 32768… */
#define RETURNS_FILE 1u /* of CIM_DataFile */

#define RETURNED_JOB 4096

/* The fault in an envelope: NOVA_E_* and its words appended; NOVA_DONE: there is none. `order`: a
 * method, which may have been carried out when the answer does not come in time. */
int fault_read(const struct nova_xml_node *envelope, int order, struct nova_text *words);
/* A method's ReturnValue, or a job's ErrorCode: NOVA_E_*, and a clause. */
int fault_of_number(uint32_t returns, int64_t number, const char **meaning);

#endif
