/* SPDX-License-Identifier: MIT */
/*
 * Brings network interfaces up by the kernel's own calls; only DHCP needs a program (udhcpc).
 */
#include "init.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool network_parse(const char *text, struct network_address *address)
{
	char copy[96], *rest = NULL;
	long bits;

	memset(address, 0, sizeof(*address));
	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	char *interface = strtok_r(copy, ":", &rest);
	char *ip = strtok_r(NULL, ":", &rest), *gateway = strtok_r(NULL, ":", &rest);
	char *slash = ip != NULL ? strchr(ip, '/') : NULL;
	if (interface == NULL || strlen(interface) >= sizeof(address->interface) || slash == NULL ||
	    strtok_r(NULL, ":", &rest) != NULL)
		return false;
	*slash = '\0';
	strcpy(address->interface, interface);
	address->has_gateway = gateway != NULL;
	if (!cmdline_number(slash + 1, 0, 32, &bits))
		return false;
	address->bits = (unsigned)bits;
	return inet_pton(AF_INET, ip, address->address) == 1 &&
	       (gateway == NULL || inet_pton(AF_INET, gateway, address->gateway) == 1);
}

static void put_address(struct sockaddr *out, const unsigned char bytes[4])
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	memcpy(&in.sin_addr, bytes, 4);
	memcpy(out, &in, sizeof(in));
}

static struct ifreq request_for(const char *interface)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, interface, strnlen(interface, sizeof(request.ifr_name) - 1));
	return request;
}

static bool bring_up(int fd, const char *name)
{
	struct ifreq request = request_for(name);

	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static void apply(int fd, const struct network_address *address)
{
	struct ifreq request = request_for(address->interface);
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
	unsigned char any[4] = {0};
	unsigned mask = address->bits == 0 ? 0 : 0xffffffffu << (32 - address->bits);
	unsigned char mask_bytes[4] = {(unsigned char)(mask >> 24), (unsigned char)(mask >> 16),
	                               (unsigned char)(mask >> 8), (unsigned char)mask};

	put_address(&request.ifr_addr, address->address);
	bool done = ioctl(fd, SIOCSIFADDR, &request) == 0;
	put_address(&request.ifr_netmask, mask_bytes);
	done = done && ioctl(fd, SIOCSIFNETMASK, &request) == 0 && bring_up(fd, address->interface);
	if (done && address->has_gateway) {
		put_address(&route.rt_dst, any);
		put_address(&route.rt_genmask, any);
		put_address(&route.rt_gateway, address->gateway);
		done = ioctl(fd, SIOCADDRT, &route) == 0;
	}
	if (!done)
		complain("cannot configure the network interface %s: %m", address->interface);
}

static bool is_ethernet(int fd, const char *name)
{
	struct ifreq request = request_for(name);

	return ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
	       request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

/* Interfaces that have an address, or a client that gets one. */
static char served[16][16];
static unsigned served_count;
static bool dhcp_wanted;

static bool serve_once(const char *name)
{
	for (unsigned i = 0; i < served_count; i++)
		if (strncmp(served[i], name, sizeof(served[i])) == 0)
			return false;
	if (served_count == sizeof(served) / sizeof(served[0]) || strlen(name) >= sizeof(served[0]))
		return false;
	strcpy(served[served_count++], name);
	return true;
}

static void dhcp(int fd)
{
	DIR *interfaces = opendir("/sys/class/net");
	struct dirent *entry;

	while (interfaces != NULL && (entry = readdir(interfaces)) != NULL) {
		char *argv[] = {"/novacore/bin/udhcpc",
		                "-S",
		                "-i",
		                entry->d_name,
		                "-s",
		                "/novacore/dhcp",
		                "-t",
		                "5",
		                "-T",
		                "1",
		                "-A",
		                "5",
		                "-b",
		                NULL};
		pid_t pid;
		if (entry->d_name[0] == '.' || !is_ethernet(fd, entry->d_name) ||
		    !serve_once(entry->d_name))
			continue;
		if (!bring_up(fd, entry->d_name) || spawn(&pid, argv) != 0)
			complain("cannot start DHCP on %s", entry->d_name);
	}
	if (interfaces != NULL)
		closedir(interfaces);
}

void network_more(void)
{
	int fd = dhcp_wanted ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return;
	dhcp(fd);
	close(fd);
}

void network_start(const char *cmdline)
{
	char value[96];
	struct network_address address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		complain("no network: %m");
		return;
	}
	bring_up(fd, "lo");
	for (unsigned i = 0; cmdline_value(cmdline, "novacore.net", i, value, sizeof(value)); i++) {
		if (strcmp(value, "dhcp") == 0)
			dhcp_wanted = true;
		else if (network_parse(value, &address) && serve_once(address.interface))
			apply(fd, &address);
		else
			complain("novacore.net=%s is neither dhcp nor "
			         "INTERFACE:ADDRESS/BITS[:GATEWAY]",
			         value);
	}
	close(fd);
	network_more();
}
