/* SPDX-License-Identifier: MIT */
/*
 * What a watch sends: one JSON object a line, {"type": …, "object": …}; and what of a
 * VirtualMachineInstance this driver looks at. Pure functions over what came from elsewhere.
 */
#ifndef KUBEVIRT_NOTICE_H
#define KUBEVIRT_NOTICE_H

#include <jansson.h>
#include <stddef.h>

enum notice_kind {
	NOTICE_ADDED = 1,
	NOTICE_MODIFIED,
	NOTICE_DELETED,
	NOTICE_BOOKMARK, /* nothing but a new resourceVersion */
	NOTICE_ERROR     /* `code`, as of HTTP: 410 means that the watch must begin anew */
};

struct notice {
	enum notice_kind kind;
	json_t *object;      /* owned; notice_free */
	const char *version; /* resourceVersion in it; "" with NOTICE_ERROR */
	int code;
	const char *message; /* of NOTICE_ERROR; "" if it has none */
};

/* NOVA_DONE, or NOVA_E_PROTOCOL and a clause in `why`. */
int notice_read(const char *line, size_t length, struct notice *out, char *why, size_t room);
void notice_free(struct notice *notice);

#define NAME_BYTES    64 /* of a label: 63 and the end */
#define UID_BYTES     64
#define VERSION_BYTES 64

struct instance {
	char name[NAME_BYTES];
	char uid[UID_BYTES];
	char owner[UID_BYTES]; /* uid of the VirtualMachine that it belongs to; "" none */
	char phase[24];        /* Pending … Running, Succeeded, Failed */
	char node[254];
	int deleting, paused, agent, addressed;
};

/* 1: it is one whose name can be ours; else 0. */
int instance_read(const json_t *object, struct instance *out);
/* It runs no more and will not again. */
int instance_is_final(const struct instance *instance);
/* "True" 1, anything else, or none of that type, 0. `conditions` is at status.conditions. */
int condition_is_true(const json_t *object, const char *type);
/* Message of a condition of that type that is not True, or NULL. */
const char *condition_complaint(const json_t *object, const char *type);

/* What Kubernetes allows as a label's value and DNS name, the shorter of both; 63 at most. */
int is_name(const char *text);

#endif
