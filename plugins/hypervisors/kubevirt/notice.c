/* SPDX-License-Identifier: MIT */
/* Reads watch lines and VirtualMachineInstances. */
#include "notice.h"

#include <novacore/helpers/json.h>
#include <novacore/types.h>

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum notice_kind kind;
} kinds[] = {
        {"ADDED", NOTICE_ADDED},       {"MODIFIED", NOTICE_MODIFIED}, {"DELETED", NOTICE_DELETED},
        {"BOOKMARK", NOTICE_BOOKMARK}, {"ERROR", NOTICE_ERROR},
};

static int puzzled(struct notice *notice, char *why, size_t room, const char *what)
{
	snprintf(why, room, "%s", what);
	notice_free(notice);
	return NOVA_E_PROTOCOL;
}

int notice_read(const char *line, size_t length, struct notice *out, char *why, size_t room)
{
	json_t *whole = nova_json_parse(line, length, why, room);
	const char *type = nova_json_text(whole, "type", "");

	memset(out, 0, sizeof(*out));
	out->version = out->message = "";
	if (!whole)
		return NOVA_E_PROTOCOL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, type) == 0)
			out->kind = kinds[i].kind;
	}
	out->object = json_incref(json_object_get(whole, "object"));
	json_decref(whole);
	if (!out->kind)
		return puzzled(out, why, room, "a notification of an unknown type");
	if (!json_is_object(out->object))
		return puzzled(out, why, room, "a notification about nothing");
	if (out->kind == NOTICE_ERROR) {
		out->code = (int)nova_json_number(out->object, "code", 500);
		out->message = nova_json_text(out->object, "message", "");
		return NOVA_DONE;
	}
	out->version = nova_json_text(out->object, "metadata.resourceVersion", "");
	if (!out->version[0] || strlen(out->version) >= VERSION_BYTES)
		return puzzled(out, why, room, "a notification without resourceVersion");
	return NOVA_DONE;
}

void notice_free(struct notice *notice)
{
	json_decref(notice->object);
	notice->object = NULL;
	notice->version = notice->message = "";
}

/* --- names ------------------------------------------------------------------------------------ */

int is_name(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t length = strlen(text);

	return length >= 1 && length < NAME_BYTES && strspn(text, letters) == length &&
	       text[0] != '-' && text[length - 1] != '-';
}

/* --- VirtualMachineInstances ------------------------------------------------------------------ */

static const json_t *find_condition(const json_t *object, const char *type)
{
	size_t i;
	json_t *condition;

	json_array_foreach(nova_json_at(object, "status.conditions"), i, condition)
	{
		if (strcmp(nova_json_text(condition, "type", ""), type) == 0)
			return condition;
	}
	return NULL;
}

int condition_is_true(const json_t *object, const char *type)
{
	return strcmp(nova_json_text(find_condition(object, type), "status", ""), "True") == 0;
}

const char *condition_complaint(const json_t *object, const char *type)
{
	const json_t *condition = find_condition(object, type);

	if (!condition || strcmp(nova_json_text(condition, "status", ""), "True") == 0)
		return NULL;
	return nova_json_text(condition, "message", nova_json_text(condition, "reason", ""));
}

/* 0: too long, and *to is empty. */
static int take(char *to, size_t room, const json_t *object, const char *path)
{
	const char *text = nova_json_text(object, path, "");

	to[0] = '\0';
	if (strlen(text) >= room)
		return 0;
	strcpy(to, text);
	return 1;
}

static void read_owner(const json_t *object, struct instance *out)
{
	size_t i;
	json_t *owner;

	json_array_foreach(nova_json_at(object, "metadata.ownerReferences"), i, owner)
	{
		if (strcmp(nova_json_text(owner, "kind", ""), "VirtualMachine") == 0)
			take(out->owner, sizeof(out->owner), owner, "uid");
	}
}

static int has_address(const json_t *object)
{
	size_t i;
	json_t *interface;

	json_array_foreach(nova_json_at(object, "status.interfaces"), i, interface)
	{
		if (nova_json_text(interface, "ipAddress", "")[0])
			return 1;
	}
	return 0;
}

int instance_read(const json_t *object, struct instance *out)
{
	memset(out, 0, sizeof(*out));
	if (!take(out->name, sizeof(out->name), object, "metadata.name") || !is_name(out->name) ||
	    !take(out->uid, sizeof(out->uid), object, "metadata.uid") || !out->uid[0] ||
	    !take(out->phase, sizeof(out->phase), object, "status.phase") ||
	    !take(out->node, sizeof(out->node), object, "status.nodeName"))
		return 0;
	read_owner(object, out);
	out->deleting = nova_json_text(object, "metadata.deletionTimestamp", NULL) != NULL;
	out->paused = condition_is_true(object, "Paused");
	out->agent = condition_is_true(object, "AgentConnected");
	out->addressed = has_address(object);
	return 1;
}

int instance_is_final(const struct instance *instance)
{
	return strcmp(instance->phase, "Succeeded") == 0 || strcmp(instance->phase, "Failed") == 0;
}
