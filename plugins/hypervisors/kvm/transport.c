/* SPDX-License-Identifier: MIT */
/*
 * What isolated networks are made of here: bridges, or sockets between QEMUs. A host that lets
 * bridges be made may still drop what goes over them, so two taps on a bridge say something to each
 * other first.
 */
#include "bridge.h"
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TRIES      10 /* to get a frame over */
#define TRY_MS     50
#define LOCK_MS    100
#define LOCK_TRIES 100
#define SUBNET     0xc0000200u /* TEST-NET-1 of RFC 5737, as the network benchmark has it */
#define SWITCH     "/proc/sys/net/bridge/bridge-nf-call-iptables"
#define WHY_LEN    400

/* --- the trial ----------------------------------------------------------------------------------
 */

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
	char text[32];
} __attribute__((packed));

/* RFC 1071 */
static uint16_t checksum(const void *bytes, size_t count)
{
	const unsigned char *at = bytes;
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* A datagram as two VMs would exchange it, from end `from` (0, 1) to the other. A UDP checksum of 0
 * is none. */
static struct frame frame_of(int from)
{
	struct frame frame = {
	        .ethernet = {.h_dest = {0x52, 0x54, 0, 0, 0, (unsigned char)(2 - from)},
	                     .h_source = {0x52, 0x54, 0, 0, 0, (unsigned char)(1 + from)},
	                     .h_proto = htons(ETH_P_IP)},
	        .ip = {.version = 4,
	               .ihl = 5,
	               .tot_len = htons(sizeof(frame) - sizeof(frame.ethernet)),
	               .ttl = 64,
	               .protocol = IPPROTO_UDP,
	               .saddr = htonl(SUBNET + 1 + (uint32_t)from),
	               .daddr = htonl(SUBNET + 2 - (uint32_t)from)},
	        .udp = {.source = htons(7),
	                .dest = htons(7),
	                .len = htons(sizeof(frame.udp) + sizeof(frame.text))},
	        .text = "novacore: does this arrive?"};
	frame.ip.check = checksum(&frame.ip, sizeof(frame.ip));
	return frame;
}

/* Whatever else the host says on the way is passed over. */
static bool arrives(int fd, const struct frame *frame)
{
	struct pollfd watched = {.fd = fd, .events = POLLIN};
	char bytes[2048];
	while (poll(&watched, 1, TRY_MS) > 0) {
		ssize_t got = read(fd, bytes, sizeof(bytes));
		if (got == (ssize_t)sizeof(*frame) && memcmp(bytes, frame, sizeof(*frame)) == 0)
			return true;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return false;
	}
	return false;
}

static bool gets_over(const int ends[2], int from)
{
	const struct frame frame = frame_of(from);
	for (int i = 0; i < TRIES; i++)
		if (write(ends[from], &frame, sizeof(frame)) == (ssize_t)sizeof(frame) &&
		    arrives(ends[1 - from], &frame))
			return true;
	return false;
}

static bool is_on(const char *path)
{
	char byte = '0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool on = fd >= 0 && read(fd, &byte, 1) == 1 && byte != '0';
	if (fd >= 0)
		close(fd);
	return on;
}

static void say_why(char why[WHY_LEN], const char *what)
{
	snprintf(why, WHY_LEN, "%s: %s%s", what, strerror(errno),
	         errno == EPERM || errno == EACCES ? "; that takes root with CAP_NET_ADMIN" : "");
}

/* Over a bridge that is there; the taps end with this. */
static bool passes(int bridge, const char *alias, char why[WHY_LEN])
{
	int ends[2] = {-1, -1}, index;
	bool passed = true;
	for (int i = 0; i < 2 && passed; i++) {
		char device[IF_NAMESIZE];
		snprintf(device, sizeof(device), "ntry%d%c", (int)getpid(), 'a' + i);
		ends[i] = kvm_link_tap(device, false, &index);
		passed = ends[i] >= 0 && kvm_link_up(index, alias, bridge) == 0;
		if (!passed)
			say_why(why, "a tap cannot be made and put on a bridge");
	}
	if (passed && !(passed = gets_over(ends, 0) && gets_over(ends, 1)))
		snprintf(why, WHY_LEN, "what is sent over a bridge of this host does not arrive%s",
		         is_on(SWITCH) ? ": its firewall sees bridged packets, too (sysctl "
		                         "net.bridge.bridge-nf-call-iptables is 1), and drops them"
		                       : "");
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return passed;
}

/* -1 and EBUSY: another process's trial is not over, which takes two seconds at most. */
static int take_turn(int lock)
{
	const struct timespec moment = {.tv_nsec = LOCK_MS * 1000000};
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		nanosleep(&moment, NULL);
	}
	errno = EBUSY;
	return -1;
}

/*
 * One at a time for a state directory, under a name that follows from it: what a killed process
 * leaves, the next one removes.
 */
static bool try_bridge(struct kvm *self, char why[WHY_LEN])
{
	const char *state = self->host->directory(self->instance, NOVA_DIRECTORY_STATE);
	char *path = kvm_format("%s/network.lock", state);
	char *name = kvm_format("novacore trial %.200s", state);
	int lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1, bridge;
	bool passed = lock >= 0 && name && take_turn(lock) == 0;
	if (!passed)
		say_why(why, "the trial of a bridge cannot be locked");
	else if (!(passed = kvm_bridge_close(name) == 0 && kvm_bridge_open(name, &bridge) == 0))
		say_why(why, "a bridge cannot be made");
	else {
		passed = passes(bridge, name, why);
		kvm_bridge_close(name);
	}
	if (lock >= 0)
		close(lock);
	free(path);
	free(name);
	return passed;
}

/* --- the choice ---------------------------------------------------------------------------------
 */

static bool can_bridge(struct kvm *self, char why[WHY_LEN])
{
	int tun = -1;
	if (!self->local)
		snprintf(why, WHY_LEN,
		         "bridges can only be made on this host, and the VMs are on another");
	else if ((tun = open(KVM_TUN, O_RDWR | O_CLOEXEC)) < 0)
		say_why(why, KVM_TUN " cannot be opened, and a bridge needs taps");
	if (tun >= 0)
		close(tun);
	return tun >= 0 && try_bridge(self, why);
}

int kvm_transport(struct kvm *self, nova_op op)
{
	const char *wanted = kvm_text(self, "network", "auto");
	char why[WHY_LEN] = "packets pass over a bridge of this host";
	if (strcmp(wanted, "socket") == 0)
		snprintf(why, sizeof(why), "chosen by network=socket");
	else
		self->bridged = can_bridge(self, why);
	if (strcmp(wanted, "bridge") == 0 && !self->bridged)
		return self->host->errorf(op, NOVA_E_UNAVAILABLE,
		                          "network=bridge is not possible: %s; use network=auto, "
		                          "which takes sockets then",
		                          why);
	free(self->network_why);
	self->network_why = strdup(why);
	return self->network_why ? NOVA_DONE
	                         : self->host->error(op, NOVA_E_MEMORY, "out of memory");
}
