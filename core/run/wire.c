/* SPDX-License-Identifier: MIT */
/* Packets between parent and worker: the table of kinds, checking, sending, receiving. */
#include "core/run/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { TEXT = 1, INTEGER, REAL, OBJECT, ARRAY, FLAG, TYPE_MASK = 15, OPTIONAL = 16 };

struct field {
	const char *name;
	int type;
};

struct kind {
	const char *name;
	struct field fields[14];
};

/* Parent to worker, then worker to parent. A name stands once: both directions share the table. */
static const struct kind kinds[] = {
        /* the step: plugins to load, targets with parameters and secrets, directories, names */
        {"open",
         {{"run", TEXT},
          {"prefix", TEXT},
          {"number", INTEGER},
          {"benchmark", OBJECT | OPTIONAL},
          {"targets", ARRAY},
          {"shape", OBJECT},
          {"directory", TEXT},
          {"op_timeout_ns", INTEGER},
          {"ready_timeout_ns", INTEGER},
          {"max_vms", INTEGER},
          {"limits", OBJECT | OPTIONAL},
          {"step", INTEGER | OPTIONAL},
          {"trace", FLAG | OPTIONAL}}},
        {"replicate", {{"index", INTEGER}, {"side", INTEGER}}},
        {"go", {{"number", INTEGER}, {"code", INTEGER}}}, /* the name is journaled: create it */
        {"stop", {{NULL, 0}}},                            /* Ctrl-C: end what runs, clean up */
        /* delete the objects; and, if a prefix is given, VMs of that prefix whose run is not busy
         */
        {"sweep",
         {{"target", INTEGER},
          {"objects", ARRAY},
          {"prefix", TEXT | OPTIONAL},
          {"busy", ARRAY | OPTIONAL}}},
        /* bring this file to the target as an image */
        {"image", {{"path", TEXT}, {"patience_ns", INTEGER}}},
        {"close", {{NULL, 0}}},
        /* to a recorder: `pid` 0 is all processes; `run` is the recording's own member */
        {"record",
         {{"kinds", ARRAY},
          {"pid", INTEGER},
          {"frequency", INTEGER},
          {"overhead", REAL},
          {"title", TEXT},
          {"run", OBJECT | OPTIONAL},
          {"probe", FLAG | OPTIONAL}}},
        /* recorder to parent: sampling has begun; it has ended */
        {"recording", {{"id", TEXT}, {"directory", TEXT}}},
        {"recorded", {{"code", INTEGER}, {"text", TEXT}, {"about", OBJECT}, {"flames", ARRAY}}},
        /* worker to parent */
        {"loading", {{"kind", INTEGER}, {"plugin", TEXT}, {"stage", TEXT}}},
        {"refused", {{"kind", INTEGER}, {"plugin", TEXT}, {"reason", INTEGER}, {"text", TEXT}}},
        {"opened",
         {{"code", INTEGER},
          {"text", TEXT},
          {"width", INTEGER},
          {"targets", ARRAY},
          {"lacks", TEXT | OPTIONAL}}},
        /* kind "move": a VM that there is, `from` where it is, may soon be at `target` */
        {"intend",
         {{"number", INTEGER},
          {"target", INTEGER},
          {"kind", TEXT},
          {"name", TEXT},
          {"from", INTEGER | OPTIONAL}}},
        {"moved", {{"name", TEXT}, {"target", INTEGER}}}, /* it is there, and nowhere else */
        {"settled", {{"name", TEXT}}}, /* a sweep has made sure that it is not where it was */
        {"id", {{"name", TEXT}, {"id", TEXT}}},
        {"gone", {{"name", TEXT}}},
        {"sample",
         {{"metric", TEXT},
          {"status", INTEGER},
          {"side", INTEGER},
          {"seq", INTEGER},
          {"vm", INTEGER},
          {"value", REAL},
          {"t_ns", INTEGER},
          {"intended_ns", INTEGER},
          {"error_ns", INTEGER},
          {"source", INTEGER},
          {"why", TEXT | OPTIONAL}}},
        {"attempt", {{"status", INTEGER}}},
        {"call",
         {{"target", INTEGER},
          {"call", TEXT},
          {"object", TEXT},
          {"code", INTEGER},
          {"duration_ns", INTEGER},
          {"text", TEXT | OPTIONAL}}},
        {"say", {{"level", INTEGER}, {"text", TEXT}}},
        {"replicated", {{"code", INTEGER}, {"text", TEXT}, {"tainted", FLAG}}},
        {"progress", {{"share", REAL}}}, /* of the image */
        {"stored", {{"code", INTEGER}, {"text", TEXT}, {"name", TEXT}}},
        {"swept", {{"code", INTEGER}, {"text", TEXT}, {"left", INTEGER}}},
};

static bool type_fits(const json_t *value, int type)
{
	switch (type & TYPE_MASK) {
	case TEXT: return json_is_string(value);
	case INTEGER: return json_is_integer(value);
	case REAL: return json_is_number(value);
	case OBJECT: return json_is_object(value);
	case ARRAY: return json_is_array(value);
	default: return json_is_boolean(value);
	}
}

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; name && i < NOVA_COUNT(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static const struct field *find_field(const struct kind *kind, const char *name)
{
	for (size_t i = 0; i < NOVA_COUNT(kind->fields) && kind->fields[i].name; i++)
		if (!strcmp(kind->fields[i].name, name))
			return &kind->fields[i];
	return NULL;
}

static int check(json_t *packet, struct nova_error *error)
{
	const char *is = json_string_value(json_object_get(packet, "is"));
	const struct kind *kind = find_kind(is);
	const char *name;
	json_t *value;

	if (!kind)
		return nova_error_set(error, NOVA_E_PROTOCOL, "packet of unknown kind \"%.40s\"",
		                      is ? is : "");
	for (size_t i = 0; i < NOVA_COUNT(kind->fields) && kind->fields[i].name; i++) {
		const struct field *field = &kind->fields[i];

		if (!json_object_get(packet, field->name) && !(field->type & OPTIONAL))
			return nova_error_set(error, NOVA_E_PROTOCOL, "packet \"%s\" lacks \"%s\"",
			                      is, field->name);
	}
	json_object_foreach(packet, name, value)
	{
		const struct field *field = find_field(kind, name);

		if (!strcmp(name, "is"))
			continue;
		if (!field || !type_fits(value, field->type))
			return nova_error_set(
			        error, NOVA_E_PROTOCOL,
			        "packet \"%s\": field \"%.40s\" is unknown or of a wrong type", is,
			        name);
	}
	return 0;
}

int nova_wire_parse(const char *bytes, size_t count, json_t **packet, struct nova_error *error)
{
	json_error_t why;
	NOVA_AUTOJSON json_t *json = NULL;
	int code;

	*packet = NULL;
	if (count > NOVA_WIRE_LIMIT)
		return nova_error_set(error, NOVA_E_PROTOCOL, "packet of more than %d bytes",
		                      NOVA_WIRE_LIMIT);
	json = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(json))
		return nova_error_set(error, NOVA_E_PROTOCOL, "packet is not a JSON object: %s",
		                      json ? "another value" : why.text);
	code = check(json, error);
	if (code)
		return code;
	*packet = json;
	json = NULL;
	return 0;
}

int nova_wire_send(int fd, json_t *packet, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *owned = packet;
	NOVA_AUTOFREE char *text = json_dumps(owned, JSON_COMPACT | JSON_REAL_PRECISION(17));
	size_t length = text ? strlen(text) : 0;
	ssize_t sent;

	if (!length || length > NOVA_WIRE_LIMIT)
		return nova_error_set(error, NOVA_E_INTERNAL,
		                      "a packet \"%s\" of %zu bytes cannot be sent (at most %d)",
		                      nova_wire_is(owned) ? nova_wire_is(owned) : "?", length,
		                      NOVA_WIRE_LIMIT);
	do
		sent = send(fd, text, length, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return nova_error_set(error, errno == EAGAIN ? NOVA_E_BUSY : NOVA_E_IO,
		                      "cannot send to the other process: %s", strerror(errno));
	return 0;
}

int nova_wire_receive(int fd, json_t **packet, struct nova_error *error)
{
	NOVA_AUTOFREE char *buffer = nova_alloc(NOVA_WIRE_LIMIT + 1);
	ssize_t count;

	*packet = NULL;
	do
		count = recv(fd, buffer, NOVA_WIRE_LIMIT + 1, 0);
	while (count < 0 && errno == EINTR);
	if (count == 0 || (count < 0 && errno == ECONNRESET))
		return nova_error_set(error, NOVA_E_NOT_FOUND, "the other process has closed");
	if (count < 0)
		return nova_error_errno(error, "cannot receive from the other process");
	return nova_wire_parse(buffer, (size_t)count, packet, error);
}

const char *nova_wire_is(const json_t *packet)
{
	return json_string_value(json_object_get(packet, "is"));
}

int64_t nova_wire_i64(const json_t *packet, const char *field)
{
	return json_integer_value(json_object_get(packet, field));
}

double nova_wire_f64(const json_t *packet, const char *field)
{
	return json_number_value(json_object_get(packet, field));
}

const char *nova_wire_text(const json_t *packet, const char *field)
{
	return json_string_value(json_object_get(packet, field));
}
