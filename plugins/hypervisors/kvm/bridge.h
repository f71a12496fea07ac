/* SPDX-License-Identifier: MIT */
/*
 * Isolated networks as bridges of this host. Beside names these take nothing: what there is, is
 * what the kernel has, so that a later process can clean up.
 */
#ifndef NOVACORE_KVM_BRIDGE_H
#define NOVACORE_KVM_BRIDGE_H

#include "kvm.h"

#include <net/if.h>

#define KVM_TAPS_MOST 8 /* networks of a VM */

/* 0, or -1 and errno */
int kvm_bridge_open(const char *net, int *index);
int kvm_bridge_close(const char *net); /* with the taps on it; 0 if it is not there, or not ours */

int kvm_bridge_make(struct kvm *self, nova_op op, const char *net);
int kvm_bridge_remove(struct kvm *self, nova_op op, const char *net);
/* A tap for the VM's interface number `index`. */
int kvm_bridge_join(struct kvm *self, nova_op op, const char *net, const char *vm, size_t index,
                    char tap[IF_NAMESIZE]);
void kvm_bridge_leave(const char *vm); /* all its taps */
/* Before it starts: its taps as its definition wants them now. */
int kvm_bridge_fit(struct kvm *self, nova_op op, virDomainPtr domain);

/* A migration of a VM that has taps; from 0: it has none. */
struct kvm_crossing {
	char from, to;
	char *xml, *kept; /* its definitions at the destination: as it runs, as it stays */
};
/* Makes the destination's taps. Whatever it returns, kvm_bridge_crossed must follow. */
int kvm_bridge_cross(struct kvm *self, nova_op op, virDomainPtr domain, struct kvm_crossing *how);
void kvm_bridge_crossed(const char *vm, struct kvm_crossing *how, bool moved);

/* transport.c: sets `bridged` and `network_why`, as the parameter `network` and this host will. */
int kvm_transport(struct kvm *self, nova_op op);

#endif
