/* SPDX-License-Identifier: MIT */
/*
 * Bridges and taps of this host, by the kernel's own calls: rtnetlink(7), and the TUNSET… of
 * /dev/net/tun (the kernel's networking/tuntap). Nothing here knows of VMs. Each call returns 0, or
 * -1 and errno.
 */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- rtnetlink ----------------------------------------------------------------------------------
 */

struct order {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char room[1024];
};

static struct order order_of(uint16_t type, uint16_t flags)
{
	return (struct order){.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
	                                 .nlmsg_type = type,
	                                 .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)}};
}

/* The result is for `close_nest` of what may follow inside. */
static struct rtattr *put(struct order *order, uint16_t type, const void *bytes, size_t count)
{
	uint32_t at = NLMSG_ALIGN(order->header.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)order + at);
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(count);
	if (count)
		memcpy(RTA_DATA(attribute), bytes, count);
	order->header.nlmsg_len = at + (uint32_t)RTA_ALIGN(attribute->rta_len);
	return attribute;
}

static void put_text(struct order *order, uint16_t type, const char *text)
{
	put(order, type, text, strlen(text) + 1);
}

static void close_nest(struct order *order, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)order + order->header.nlmsg_len - (char *)nest);
}

/* Reads what comes back for `order`: an acknowledgement, or one message. */
static int ask(const struct order *order, void *answer, size_t room)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), status = -1;
	const struct nlmsghdr *header = answer;
	const struct nlmsgerr *error = NLMSG_DATA(header);
	if (fd < 0)
		return -1;
	ssize_t got = send(fd, order, order->header.nlmsg_len, 0);
	if (got > 0)
		got = recv(fd, answer, room, 0);
	if (got >= (ssize_t)sizeof(*header) && header->nlmsg_type != NLMSG_ERROR) {
		status = 0;
	} else if (got >= (ssize_t)NLMSG_LENGTH(sizeof(*error))) {
		errno = -error->error;
		status = error->error ? -1 : 0;
	} else if (got >= 0) {
		errno = EPROTO;
	}
	int kept = errno;
	close(fd);
	errno = kept;
	return status;
}

static int tell(struct order *order)
{
	_Alignas(struct nlmsghdr) char answer[2048];
	order->header.nlmsg_flags |= NLM_F_ACK;
	return ask(order, answer, sizeof(answer));
}

/* --- links --------------------------------------------------------------------------------------
 */

/* The kind comes first. */
static void read_info(struct rtattr *at, size_t count, struct kvm_link *link)
{
	bool tap = false;
	for (; RTA_OK(at, count); at = RTA_NEXT(at, count)) {
		size_t inner = RTA_PAYLOAD(at);
		if (at->rta_type == IFLA_INFO_KIND) {
			link->bridge = strncmp(RTA_DATA(at), "bridge", inner) == 0;
			tap = strncmp(RTA_DATA(at), "tun", inner) == 0;
		}
		if (at->rta_type != IFLA_INFO_DATA || !tap)
			continue;
		for (struct rtattr *in = RTA_DATA(at); RTA_OK(in, inner); in = RTA_NEXT(in, inner))
			if (in->rta_type == IFLA_TUN_MULTI_QUEUE)
				link->queues = *(const uint8_t *)RTA_DATA(in) != 0;
	}
}

static void read_attribute(const struct rtattr *attribute, struct kvm_link *link)
{
	const void *data = RTA_DATA(attribute);
	size_t count = RTA_PAYLOAD(attribute);
	switch (attribute->rta_type) {
	case IFLA_IFALIAS:
		count = count < sizeof(link->alias) ? count : sizeof(link->alias) - 1;
		memcpy(link->alias, data, count);
		break;
	case IFLA_MASTER:
		if (count == sizeof(link->master))
			memcpy(&link->master, data, count);
		break;
	case IFLA_ADDRESS:
		if (count == sizeof(link->mac))
			memcpy(link->mac, data, count);
		break;
	case IFLA_LINKINFO: read_info(RTA_DATA(attribute), count, link); break;
	default: break;
	}
}

int kvm_link_find(const char *name, struct kvm_link *link)
{
	_Alignas(struct nlmsghdr) char answer[32768];
	struct order order = order_of(RTM_GETLINK, 0);
	struct nlmsghdr *header = (struct nlmsghdr *)answer;
	*link = (struct kvm_link){.index = 0};
	put_text(&order, IFLA_IFNAME, name);
	if (ask(&order, answer, sizeof(answer)) != 0)
		return -1;
	const struct ifinfomsg *info = NLMSG_DATA(header);
	size_t count = IFLA_PAYLOAD(header);
	link->index = info->ifi_index;
	for (struct rtattr *at = IFLA_RTA(info); RTA_OK(at, count); at = RTA_NEXT(at, count))
		read_attribute(at, link);
	return 0;
}

/*
 * Without the spanning tree a port forwards as soon as it is up. Nobody snoops on groups: the few
 * ports get all, and the kernel sends no questions of its own.
 */
int kvm_link_bridge(const char *name, const unsigned char mac[6])
{
	struct order order = order_of(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	const uint32_t none = 0;
	const uint8_t off = 0;
	put_text(&order, IFLA_IFNAME, name);
	put(&order, IFLA_ADDRESS, mac, 6);
	struct rtattr *info = put(&order, IFLA_LINKINFO, NULL, 0);
	put(&order, IFLA_INFO_KIND, "bridge", strlen("bridge"));
	struct rtattr *data = put(&order, IFLA_INFO_DATA, NULL, 0);
	put(&order, IFLA_BR_STP_STATE, &none, sizeof(none));
	put(&order, IFLA_BR_FORWARD_DELAY, &none, sizeof(none));
	put(&order, IFLA_BR_MCAST_SNOOPING, &off, sizeof(off));
	close_nest(&order, data);
	close_nest(&order, info);
	return tell(&order);
}

/* A device that is up gets an IPv6 address by itself, and speaks; this one is not to. */
static void keep_silent(int index)
{
	struct order order = order_of(RTM_SETLINK, 0);
	const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	order.link.ifi_index = index;
	struct rtattr *families = put(&order, IFLA_AF_SPEC, NULL, 0);
	struct rtattr *family = put(&order, AF_INET6, NULL, 0);
	put(&order, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	close_nest(&order, family);
	close_nest(&order, families);
	tell(&order); /* refused where there is no IPv6: just as well */
}

/*
 * IFF_NOARP, because Linux answers ARP for any address of the host on any device: a guest that has
 * chosen one of them would otherwise find the host in its place.
 */
int kvm_link_up(int index, const char *alias, int master)
{
	struct order order = order_of(RTM_SETLINK, 0);
	order.link.ifi_index = index;
	order.link.ifi_flags = order.link.ifi_change = IFF_UP | IFF_NOARP;
	put_text(&order, IFLA_IFALIAS, alias);
	if (master)
		put(&order, IFLA_MASTER, &master, sizeof(master));
	keep_silent(index);
	return tell(&order);
}

int kvm_link_delete(int index)
{
	struct order order = order_of(RTM_DELLINK, 0);
	order.link.ifi_index = index;
	return tell(&order);
}

int kvm_link_tap(const char *name, bool queues, int *index)
{
	struct ifreq request = {
	        .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (queues ? IFF_MULTI_QUEUE : 0))};
	int fd = open(KVM_TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &request) != 0)
		goto error_fd;
	*index = (int)if_nametoindex(name);
	if (*index > 0)
		return fd;
error_fd:;
	int kept = errno;
	close(fd);
	errno = kept;
	return -1;
}

int kvm_link_keep(int fd, uid_t owner)
{
	return ioctl(fd, TUNSETOWNER, owner) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0 ? 0 : -1;
}
