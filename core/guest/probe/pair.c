/* SPDX-License-Identifier: MIT */
/*
 * Two programs in two networks, joined by a pair of virtual Ethernet devices: the shortest way
 * between two network stacks of one kernel. Nothing has a name that outlives the processes: a
 * network namespace ends with its last process and takes its device, and so the pair, along. Needs
 * root or user namespaces. See network_namespaces(7), veth(4), rtnetlink(7).
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICE       "veth0" /* in each of the two namespaces */
#define LISTEN_TRIES 1000    /* of 10 ms, until the server listens */

/* --- rtnetlink ----------------------------------------------------------------------------------
 */

struct request {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char room[256];
};

static struct rtattr *add(struct request *request, unsigned short type, const void *data,
                          size_t bytes)
{
	struct rtattr *attribute =
	        (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
	if (bytes)
		memcpy(RTA_DATA(attribute), data, bytes);
	request->header.nlmsg_len =
	        NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
	return attribute;
}

static void end(const struct request *request, struct rtattr *attribute)
{
	attribute->rta_len = (unsigned short)((const char *)request + request->header.nlmsg_len -
	                                      (const char *)attribute);
}

/* 0, or −1 and errno. */
static int ask(struct request *request)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), code = -1;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;

	if (fd < 0)
		return -1;
	if (send(fd, request, request->header.nlmsg_len, 0) > 0 &&
	    recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(answer.error))) {
		errno = answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
		code = errno == 0 ? 0 : -1;
	}
	close(fd);
	return code;
}

/* One end here, the other in the network of the process `pid`. */
static int make_veth(pid_t pid)
{
	struct request request = {
	        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
	                   .nlmsg_type = RTM_NEWLINK,
	                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK}};
	const struct ifinfomsg none = {0};
	struct rtattr *info, *data, *peer;

	add(&request, IFLA_IFNAME, DEVICE, sizeof(DEVICE));
	info = add(&request, IFLA_LINKINFO, NULL, 0);
	add(&request, IFLA_INFO_KIND, "veth", 4);
	data = add(&request, IFLA_INFO_DATA, NULL, 0);
	peer = add(&request, VETH_INFO_PEER, &none, sizeof(none));
	add(&request, IFLA_IFNAME, DEVICE, sizeof(DEVICE));
	add(&request, IFLA_NET_NS_PID, &pid, sizeof(pid));
	end(&request, peer);
	end(&request, data);
	end(&request, info);
	return ask(&request);
}

static int bring_up(int fd, const char *device, const char *address)
{
	struct ifreq request = {0};
	struct sockaddr_in in = {.sin_family = AF_INET};

	strcpy(request.ifr_name, device);
	if (address) {
		inet_pton(AF_INET, address, &in.sin_addr);
		memcpy(&request.ifr_addr, &in, sizeof(in));
		if (ioctl(fd, SIOCSIFADDR, &request) != 0)
			return -1;
		inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
		memcpy(&request.ifr_netmask, &in, sizeof(in));
		if (ioctl(fd, SIOCSIFNETMASK, &request) != 0)
			return -1;
	}
	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		return -1;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int configure(const char *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int code = fd < 0 || bring_up(fd, "lo", NULL) != 0 || bring_up(fd, DEVICE, address) != 0;

	if (code)
		probe_fail("cannot give %s the address %s: %m", DEVICE, address);
	if (fd >= 0)
		close(fd);
	return code;
}

/* --- namespaces ---------------------------------------------------------------------------------
 */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int code = fd < 0 || write(fd, text, strlen(text)) < 0;

	if (fd >= 0)
		close(fd);
	return code;
}

/* A network of its own; who is not root becomes it in a user namespace, as its only user. */
static int leave(void)
{
	unsigned user = geteuid(), group = getegid();
	char map[64];

	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return probe_fail(
		        "two networks to compare with cannot be made: %m; run it as root, or "
		        "let users have namespaces (sysctl user.max_user_namespaces, "
		        "kernel.unprivileged_userns_clone, "
		        "kernel.apparmor_restrict_unprivileged_userns)");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", group);
	write_file("/proc/self/gid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", user);
	if (write_file("/proc/self/uid_map", map) != 0)
		return probe_fail("cannot map a user into a namespace: %m");
	return 0;
}

/* --- the two programs ---------------------------------------------------------------------------
 */

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

static void become(char **argv)
{
	execvp(argv[0], argv);
	probe_fail("cannot run %s: %m", argv[0]);
	_exit(127);
}

/* The server's process: says that it is in its network, waits until the devices are there. */
static void serve(char **argv, bool veth, int say, int hear, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char byte = 0;

	die_with(parent);
	if (veth && unshare(CLONE_NEWNET) != 0)
		_exit(probe_fail("cannot make a second network: %m"));
	if (write(say, &byte, 1) != 1 || read(hear, &byte, 1) != 1)
		_exit(1);
	if (veth && configure(PROBE_SERVER) != 0)
		_exit(1);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO); /* the client's is what counts */
	become(argv);
}

/* Whether a socket listens (TCP) or is bound (UDP) in the network of `pid`; proc_pid_net(5). */
static bool listens(pid_t pid, uint64_t port)
{
	static const char *const files[] = {"tcp", "tcp6", "udp"};
	static const unsigned states[] = {0x0a, 0x0a, 0x07};
	bool found = false;

	for (int i = 0; i < 3 && !found; i++) {
		char path[64], line[512];
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, files[i]);
		file = fopen(path, "re");
		while (file && !found && fgets(line, sizeof(line), file)) {
			unsigned local = 0, state = 0;

			found = sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local,
			               &state) == 2 &&
			        local == port && state == states[i];
		}
		if (file)
			fclose(file);
	}
	return found;
}

static bool has_ended(pid_t server)
{
	siginfo_t about = {0};

	/* seen, but not reaped: its number stays its own until the end */
	return waitid(P_PID, (id_t)server, &about, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       about.si_pid == server;
}

static int wait_until_it_listens(pid_t server, uint64_t port)
{
	const struct timespec moment = {.tv_nsec = 10000000};

	for (int i = 0; i < LISTEN_TRIES; i++) {
		if (has_ended(server))
			return probe_fail("the server has ended before it listened");
		if (listens(server, port))
			return 0;
		nanosleep(&moment, NULL);
	}
	return probe_fail("the server does not listen");
}

static int run_client(char **argv)
{
	pid_t self = getpid(), child = fork();
	int status = 0;

	if (child < 0)
		return probe_fail("cannot start a process: %m");
	if (child == 0) {
		die_with(self);
		become(argv);
	}
	if (waitpid(child, &status, 0) != child)
		return probe_fail("the client was lost: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status)
	                         : probe_fail("signal %d ended the client", WTERMSIG(status));
}

static int connect_and_run(pid_t server, char **client, bool veth, uint64_t port, int say, int hear)
{
	char byte = 0;
	int code;

	if (read(hear, &byte, 1) != 1)
		return 1; /* it has said why */
	if (veth && make_veth(server) != 0)
		return probe_fail("cannot make a pair of virtual Ethernet devices: %m%s",
		                  errno == EOPNOTSUPP ? "; load the kernel module veth" : "");
	if (veth && configure(PROBE_CLIENT) != 0)
		return 1;
	if (write(say, &byte, 1) != 1)
		return probe_fail("the server has gone");
	code = wait_until_it_listens(server, port);
	if (code == 0)
		code = run_client(client);
	if (code == 0 && has_ended(server))
		return probe_fail("the server has ended early: another one may have answered");
	return code;
}

int probe_pair(bool veth, uint64_t port, char **argv)
{
	char **server = argv, **client = server;
	int up[2], down[2], code;
	pid_t self = getpid(), child;

	while (*client && strcmp(*client, "--") != 0)
		client++;
	if (client == server || !*client || !client[1]) {
		probe_fail("pair takes a server, -- and a client");
		return 2;
	}
	*client++ = NULL;
	if (veth && leave() != 0)
		return 1;
	if (pipe2(up, O_CLOEXEC) != 0 || pipe2(down, O_CLOEXEC) != 0)
		return probe_fail("cannot make a pipe: %m");
	child = fork();
	if (child < 0)
		return probe_fail("cannot start a process: %m");
	if (child == 0) {
		close(up[0]);
		close(down[1]);
		serve(server, veth, up[1], down[0], self);
	}
	close(up[1]);
	close(down[0]);
	code = connect_and_run(child, client, veth, port, down[1], up[0]);
	kill(child, SIGKILL);
	return code;
}
