/* SPDX-License-Identifier: MIT */
/*
 * Texts of Proxmox VE's that have a form of their own: property strings ("local-lvm:vm-1-disk-0,
 * cache=none,size=4G"), names of volumes, versions, lines of a task's log. No network.
 */
#ifndef PROXMOX_OPTION_H
#define PROXMOX_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <novacore/helpers/text.h>

/* The value of `key` in a property string, copied; 0: it has none, or one that is too long. */
int option_get(const char *options, const char *key, char *value, size_t room);
/* Appends it with that value instead, or added at the end; value "": without it. */
void option_set(struct nova_text *out, const char *options, const char *key, const char *value);

/* "8.4.1" is at least 8.4. */
int option_version(const char *version, int64_t major, int64_t minor);
/* Is "local:import/NAME.qcow2" the image NAME of that storage? */
int option_is_image(const char *volume, const char *storage, const char *name);
/* "… downtime 73 ms" as nanoseconds; -1: there is none in it. */
int64_t option_downtime_ns(const char *line);

/* CPU time from rrddata's rows, those of the last `uptime_s` seconds; -1: they tell none. */
double option_cpu_s(const json_t *rows, int64_t uptime_s);

#endif
