/* SPDX-License-Identifier: MIT */
/* Reads what XenAPI writes in forms of its own. */
#include "answer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <novacore/helpers/json.h>
#include <novacore/types.h>

/* --- errors ----------------------------------------------------------------------------------- */

/* A name that ends with * stands for all that begin so. */
static const struct {
	const char *name;
	int code;
} errors[] = {
        {"HANDLE_INVALID", NOVA_E_NOT_FOUND},
        {"UUID_INVALID", NOVA_E_NOT_FOUND},
        {"SESSION_AUTHENTICATION_FAILED", NOVA_E_PERMISSION},
        {"SESSION_INVALID", NOVA_E_PERMISSION},
        {"RBAC_PERMISSION_DENIED", NOVA_E_PERMISSION},
        {"PERMISSION_DENIED", NOVA_E_PERMISSION},
        {"AUTH_*", NOVA_E_PERMISSION},
        {"VM_BAD_POWER_STATE", NOVA_E_BUSY},
        {"OTHER_OPERATION_IN_PROGRESS", NOVA_E_BUSY},
        {"OPERATION_NOT_ALLOWED", NOVA_E_BUSY},
        {"VDI_IN_USE", NOVA_E_BUSY},
        {"TOO_BUSY", NOVA_E_BUSY},
        {"TOO_MANY_PENDING_TASKS", NOVA_E_BUSY},
        {"TOO_MANY_STORAGE_MIGRATES", NOVA_E_BUSY},
        {"SR_FULL", NOVA_E_FULL},
        {"SR_BACKEND_FAILURE_44", NOVA_E_FULL}, /* "there is insufficient space" */
        {"VM_LACKS_FEATURE*", NOVA_E_UNSUPPORTED},
        {"VM_MISSING_PV_DRIVERS", NOVA_E_UNSUPPORTED},
        {"LICENCE_RESTRICTION", NOVA_E_UNSUPPORTED},
        {"LICENSE_*", NOVA_E_UNSUPPORTED},
        {"FEATURE_*", NOVA_E_UNSUPPORTED},
        {"MESSAGE_METHOD_UNKNOWN", NOVA_E_UNSUPPORTED},
        {"MESSAGE_REMOVED", NOVA_E_UNSUPPORTED},
        {"NOT_IMPLEMENTED", NOVA_E_UNSUPPORTED},
        {"HOST_IS_SLAVE", NOVA_E_UNAVAILABLE},
        {"HOST_OFFLINE", NOVA_E_UNAVAILABLE},
        {"HOST_STILL_BOOTING", NOVA_E_UNAVAILABLE},
        {"HOST_NOT_LIVE", NOVA_E_UNAVAILABLE},
        {"HOST_DISABLED", NOVA_E_UNAVAILABLE},
        {"CANNOT_CONTACT_HOST", NOVA_E_UNAVAILABLE},
        {"VALUE_NOT_SUPPORTED", NOVA_E_INVALID},
        {"INVALID_VALUE", NOVA_E_INVALID},
        {"FIELD_TYPE_ERROR", NOVA_E_INVALID},
        {"MEMORY_CONSTRAINT_VIOLATION*", NOVA_E_INVALID},
        {"NETWORK_ALREADY_CONNECTED", NOVA_E_EXISTS},
};

int answer_code(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		size_t length = strlen(errors[i].name);

		if (errors[i].name[length - 1] == '*'
		            ? strncmp(name, errors[i].name, length - 1) == 0
		            : strcmp(name, errors[i].name) == 0)
			return errors[i].code;
	}
	return NOVA_E_FAILED;
}

int answer_error(const char *name, const json_t *details, size_t first, struct nova_text *words)
{
	size_t count = json_array_size(details);

	nova_text_add_printable(words, name, 80);
	for (size_t i = first; i < count; i++) {
		nova_text_add(words, i == first ? " (" : ", ");
		nova_text_add_printable(words, nova_json_text(json_array_get(details, i), "", "?"),
		                        200);
	}
	nova_text_add(words, count > first ? ")" : "");
	return answer_code(name);
}

/* --- names ------------------------------------------------------------------------------------ */

static int is_made_of(const char *text, size_t least, size_t most, const char *others)
{
	size_t length = strlen(text);

	if (length < least || length > most)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= 'A' && text[i] <= 'Z') &&
		    !(text[i] >= '0' && text[i] <= '9') && !strchr(others, text[i]))
			return 0;
	}
	return 1;
}

int answer_is_ref(const char *text)
{
	static const char before[] = "OpaqueRef:";

	return strncmp(text, before, sizeof(before) - 1) == 0 &&
	       is_made_of(text, sizeof(before), REF_ROOM - 1, ":-") &&
	       strcmp(text + sizeof(before) - 1, "NULL") != 0;
}

int answer_is_uuid(const char *text)
{
	if (strlen(text) != 36)
		return 0;
	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23
		            ? text[i] != '-'
		            : !strchr("0123456789abcdefABCDEF", text[i]))
			return 0;
	}
	return 1;
}

int answer_address(const char *text, char *address, size_t room)
{
	int six = strchr(text, ':') != NULL;

	if (!is_made_of(text, 1, 253, six ? ":." : ".-") || text[0] == '-' || text[0] == '.' ||
	    strlen(text) + 3 > room)
		return 0;
	snprintf(address, room, six ? "[%s]" : "%s", text);
	return 1;
}

int answer_task_ref(const char *result, char ref[REF_ROOM])
{
	static const char open[] = "<value>", close[] = "</value>";
	const char *text = result;
	size_t length = strlen(text);

	ref[0] = '\0';
	if (strncmp(text, open, sizeof(open) - 1) == 0) {
		text += sizeof(open) - 1;
		length = strlen(text);
		if (length < sizeof(close) - 1 ||
		    strcmp(text + length - (sizeof(close) - 1), close) != 0)
			return 0;
		length -= sizeof(close) - 1;
	}
	if (length >= REF_ROOM)
		return 0;
	snprintf(ref, REF_ROOM, "%.*s", (int)length, text);
	if (answer_is_ref(ref))
		return 1;
	ref[0] = '\0';
	return 0;
}

int64_t answer_time(const char *text)
{
	struct tm tm = {0};
	int used = 0;

	if (sscanf(text, "%4d%2d%2dT%2d:%2d:%2dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
	           &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
	    used == 0 || text[used] || tm.tm_year < 1970 || tm.tm_year > 9999 || tm.tm_mon < 1 ||
	    tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm);
}

/* --- answers, events, tasks ------------------------------------------------------------------- */

json_t *answer_result(const json_t *answer, int64_t id, const char **why)
{
	json_t *result = json_object_get(answer, "result");

	*why = NULL;
	if (strcmp(nova_json_text(answer, "jsonrpc", ""), "2.0") != 0)
		*why = "it is no JSON-RPC 2.0";
	else if (nova_json_number(answer, "id", -1) != id)
		*why = "it answers another request";
	else if (!result)
		*why = "neither a result nor an error is in it";
	return *why ? NULL : result;
}

int answer_event(const json_t *event, struct answer_event *out)
{
	int gone = strcmp(nova_json_text(event, "operation", ""), "del") == 0;

	out->kind = nova_json_text(event, "class", "");
	out->ref = nova_json_text(event, "ref", "");
	out->object = gone ? NULL : json_object_get(event, "snapshot");
	return answer_is_ref(out->ref) && (gone || json_is_object(out->object));
}

int answer_task(const json_t *task, char made[REF_ROOM], struct nova_text *words)
{
	const char *status = nova_json_text(task, "status", "");
	const json_t *error = json_object_get(task, "error_info");

	made[0] = '\0';
	if (strcmp(status, "pending") == 0 || strcmp(status, "cancelling") == 0)
		return ANSWER_RUNS;
	if (strcmp(status, "success") == 0) {
		answer_task_ref(nova_json_text(task, "result", ""), made);
		return NOVA_DONE;
	}
	if (strcmp(status, "cancelled") == 0) {
		nova_text_add(words, "somebody cancelled it");
		return NOVA_E_CANCELLED;
	}
	if (strcmp(status, "failure") == 0)
		return answer_error(nova_json_text(json_array_get(error, 0), "", "no reason given"),
		                    error, 1, words);
	return NOVA_E_PROTOCOL;
}

/* --- statistics ------------------------------------------------------------------------------- */

/* Rates that are summed up. "cpu0" is a share of one CPU, the others are bytes per second. */
static const struct {
	const char *before, *after;
	size_t sum;
} sources[] = {
        {"cpu", "", offsetof(struct answer_stats, cpu_s)},
        {"vbd_", "_read", offsetof(struct answer_stats, read_bytes)},
        {"vbd_", "_write", offsetof(struct answer_stats, write_bytes)},
        {"vif_", "_rx", offsetof(struct answer_stats, received_bytes)},
        {"vif_", "_tx", offsetof(struct answer_stats, sent_bytes)},
};

/* "cpu0", "vbd_xvda_read"; not "cpu_usage", "vbd_xvda_read_latency". */
static double *sum_of(const char *source, struct answer_stats *stats)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		size_t before = strlen(sources[i].before), after = strlen(sources[i].after);
		size_t length = strlen(source);
		const char *middle = source + before;

		if (length <= before + after || strncmp(source, sources[i].before, before) != 0 ||
		    strcmp(source + length - after, sources[i].after) != 0 ||
		    strspn(middle,
		           i == 0 ? "0123456789" : "abcdefghijklmnopqrstuvwxyz0123456789") !=
		            length - before - after)
			continue;
		return (double *)(void *)((char *)stats + sources[i].sum);
	}
	return NULL;
}

/* "AVERAGE:vm:UUID:cpu0": what is behind the UUID; NULL: something else's. */
static const char *source_of(const char *legend, const char *uuid)
{
	static const char before[] = "AVERAGE:vm:";
	size_t length = strlen(uuid);

	if (strncmp(legend, before, sizeof(before) - 1) != 0)
		return NULL;
	legend += sizeof(before) - 1;
	return strncmp(legend, uuid, length) == 0 && legend[length] == ':' ? legend + length + 1
	                                                                   : NULL;
}

/* A value that is no number is a step of which nothing is known: it adds nothing. */
static void add_column(const json_t *rows, size_t column, double step_s, double *sum)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		double value = nova_json_real(
		        json_array_get(json_object_get(row, "values"), column), "", NAN);

		if (!isfinite(value) || value < 0)
			continue;
		*sum = (*sum < 0 ? 0 : *sum) + value * step_s;
	}
}

int answer_rrd(const json_t *rrd, const char *uuid, struct answer_stats *stats, const char **why)
{
	const json_t *legend = nova_json_at(rrd, "meta.legend");
	const json_t *rows = json_object_get(rrd, "data");
	double step_s = nova_json_real(rrd, "meta.step", 0);
	size_t i;
	json_t *one;

	*stats = (struct answer_stats){-1, -1, -1, -1, -1};
	*why = "the statistics have no legend, no data or no step";
	if (!json_is_array(legend) || !json_is_array(rows) || !(step_s > 0 && step_s < 1e6))
		return 0;
	*why = "a row of the statistics has not as many values as the legend";
	json_array_foreach(rows, i, one)
	{
		if (json_array_size(json_object_get(one, "values")) != json_array_size(legend))
			return 0;
	}
	*why = NULL;
	json_array_foreach(legend, i, one)
	{
		const char *text = json_string_value(one);
		const char *source = text ? source_of(text, uuid) : NULL;
		double *sum = source ? sum_of(source, stats) : NULL;

		if (sum)
			add_column(rows, i, step_s, sum);
	}
	return 1;
}
