/* SPDX-License-Identifier: MIT */
/*
 * A task's name, as Proxmox VE gives it for every call that takes time:
 * UPID:node:pid:pstart:starttime:type:id:user: (numbers in hexadecimal).
 */
#ifndef PROXMOX_UPID_H
#define PROXMOX_UPID_H

#include <stdint.h>

struct upid {
	char text[256]; /* whole */
	char node[64];
	char type[64]; /* qmstart, qmclone … */
	char id[64];   /* mostly the VM's number; may be empty */
	char user[128];
	uint64_t pid, start_s;
};

/* 1 if `text` is one, else 0 and *upid is zeroed. */
int upid_parse(const char *text, struct upid *upid);

/* 1 if `name` can be a node's name. */
int upid_is_node(const char *name);

#endif
