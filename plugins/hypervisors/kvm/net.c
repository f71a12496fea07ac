/* SPDX-License-Identifier: MIT */
/*
 * Networks. Isolated: a bridge of this host (bridge.c), or without privileges two VMs joined by UDP
 * datagrams on the loopback interface. NAT: QEMU's own user-mode network, one per VM. But for the
 * bridges they exist in this instance only.
 */
#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two ports that are free now; both are held until both are known. */
static int free_ports(uint16_t ports[2])
{
	int fds[2] = {-1, -1}, status = 0;
	for (int i = 0; i < 2 && status == 0; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET,
		                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t length = sizeof(address);
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&address, length) != 0 ||
		    getsockname(fds[i], (struct sockaddr *)&address, &length) != 0)
			status = -1;
		else
			ports[i] = ntohs(address.sin_port);
	}
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return status;
}

static struct kvm_net *find(struct kvm *self, const char *name)
{
	struct kvm_net *net = self->nets;
	while (net && strcmp(net->name, name) != 0)
		net = net->next;
	return net;
}

int kvm_net_create(void *instance, nova_op op, const char *name, uint32_t kind)
{
	struct kvm *self = instance;
	struct kvm_net *net;
	int status = kvm_check_name(self, op, name);
	if (status != NOVA_DONE)
		return status;
	if (kind != NOVA_NET_ISOLATED && kind != NOVA_NET_NAT)
		return self->host->errorf(op, NOVA_E_INVALID, "there is no network kind %u", kind);
	net = calloc(1, sizeof(*net));
	if (!net)
		return self->host->error(op, NOVA_E_MEMORY, "out of memory");
	strcpy(net->name, name);
	net->kind = kind;
	net->bridged = kind == NOVA_NET_ISOLATED && self->bridged;
	if (kind == NOVA_NET_ISOLATED && !net->bridged && free_ports(net->ports) != 0) {
		status = self->host->errorf(op, NOVA_E_FAILED,
		                            "cannot find two free UDP ports for network %s: %s",
		                            name, strerror(errno));
		free(net);
		return status;
	}
	if (net->bridged && (status = kvm_bridge_make(self, op, name)) != NOVA_DONE) {
		free(net);
		return status;
	}
	pthread_mutex_lock(&self->lock);
	bool exists = find(self, name) != NULL;
	if (!exists) {
		net->next = self->nets;
		self->nets = net;
	}
	pthread_mutex_unlock(&self->lock);
	if (!exists)
		return NOVA_DONE;
	free(net);
	return self->host->errorf(op, NOVA_E_EXISTS, "a network named %s exists already", name);
}

int kvm_net_delete(void *instance, nova_op op, const char *name)
{
	struct kvm *self = instance;
	int status = kvm_check_name(self, op, name);
	pthread_mutex_lock(&self->lock);
	for (struct kvm_net **at = &self->nets; status == NOVA_DONE && *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct kvm_net *gone = *at;
			*at = gone->next;
			free(gone);
			break;
		}
	pthread_mutex_unlock(&self->lock);
	/* Also what another process has left, of which nothing is known here. */
	return status == NOVA_DONE && self->local ? kvm_bridge_remove(self, op, name) : status;
}

/* One more VM joins; `copy->members` is its number, from 1. */
int kvm_net_join(struct kvm *self, nova_op op, const char *name, struct kvm_net *copy)
{
	pthread_mutex_lock(&self->lock);
	struct kvm_net *net = find(self, name);
	bool full = net && net->kind == NOVA_NET_ISOLATED && !net->bridged && net->members == 2;
	if (net && !full) {
		net->members++;
		*copy = *net;
	}
	pthread_mutex_unlock(&self->lock);
	if (!net)
		return self->host->errorf(op, NOVA_E_NOT_FOUND, "there is no network %s", name);
	if (full)
		return self->host->errorf(op, NOVA_E_UNSUPPORTED,
		                          "network %s has two VMs already: an isolated network "
		                          "without privileges joins two",
		                          name);
	return NOVA_DONE;
}
