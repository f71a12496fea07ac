/* SPDX-License-Identifier: MIT */
/*
 * The tuning knobs as a table: name, the driver parameter that gives its default, the values it
 * takes, and how it is read from and written into a domain's XML.
 */
#ifndef NOVACORE_KVM_KNOB_H
#define NOVACORE_KVM_KNOB_H

#include "xml.h"

struct kvm_knob {
	const char *name;      /* vm.… */
	const char *parameter; /* of the driver */
	const char *doc;
	const char *values;              /* for a person */
	const char *const *choices;      /* NULL-terminated, or NULL: `check` decides */
	int (*check)(const char *value); /* 0: fine */
	int (*apply)(xmlDocPtr doc, const char *value); /* 0, -1: the VM has no such device */
	char *(*read)(xmlDocPtr doc);                   /* free() */
};

extern const struct kvm_knob *const kvm_knobs[]; /* NULL-terminated */

const struct kvm_knob *kvm_knob_find(const char *name, size_t length);
/* 0 or -1: not a value that the knob takes */
int kvm_knob_check(const struct kvm_knob *knob, const char *value);
/* The name of the knob that is nearest to `name`: for error texts. */
const char *kvm_knob_nearest(const char *name);

#endif
