/* SPDX-License-Identifier: MIT */
/* Bridges and taps of this host: what the kernel is asked for. Each call: 0, or -1 and errno. */
#ifndef NOVACORE_KVM_LINK_H
#define NOVACORE_KVM_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KVM_TUN         "/dev/net/tun"
#define KVM_ALIAS_BYTES 256 /* IFALIASZ */

struct kvm_link {
	int index, master; /* master: the bridge that it is a port of, or 0 */
	bool bridge;
	bool queues; /* a tap of more than one */
	unsigned char mac[6];
	char alias[KVM_ALIAS_BYTES];
};

int kvm_link_find(const char *name, struct kvm_link *link); /* ENODEV: there is none */
int kvm_link_bridge(const char *name, const unsigned char mac[6]);
/* Names its owner in the alias, makes it a port of `master` unless that is 0, and turns it on. */
int kvm_link_up(int index, const char *alias, int master);
int kvm_link_delete(int index);
/* A new tap; it ends with the descriptor that is returned. `queues`: of more than one queue. */
int kvm_link_tap(const char *name, bool queues, int *index);
/* From now on it stays, for a program of the user `owner` to take. */
int kvm_link_keep(int fd, uid_t owner);

#endif
