/* SPDX-License-Identifier: MIT */
/*
 * The guest's init: what its files share. It runs as PID 1 inside a VM, as static code, and never
 * gives up: whatever fails is said on the console, and the boot goes on with what is left.
 *
 * Kernel command line it understands (all optional):
 *   root=/dev/vda                    root disk; without it the first of vda, sda, nvme0n1, xvda
 *   root=PARTLABEL=NAME              the partition that the GPT of any disk calls NAME
 *   novacore.name=NAME               host name
 *   novacore.net=dhcp                DHCP on every Ethernet interface that has no static address, a
 *                                    link-local address while no server answers
 *   novacore.net=IF:ADDRESS/BITS[:GATEWAY]  static IPv4 on one interface; may be repeated
 *   novacore.beat=MICROSECONDS       writes '.' to the pulse port at that interval (10 …
 * 10,000,000)
 *   novacore.dirty=BYTES_PER_S,WORKING_SET  writes to memory at that rate, round and round through
 *                                    that many bytes
 *   novacore.ssh=TYPE,KEY            a public key (TYPE as in authorized_keys, KEY in base64) that
 * may log in as root; may be repeated. Without one no SSH server runs
 *
 * A VM that boots from a disk has the command line of the disk. What the host gives it as OEM
 * strings of SMBIOS (type 11), one word each, each beginning with "novacore.", comes before that.
 *
 * The pulse port is the second serial port (COM2, 0x2f8). Bytes written there, in this order:
 *   'U' user space runs · 'A' the agent has been started · '.' one beat · 'D' going down
 */
#ifndef NOVACORE_GUEST_INIT_H
#define NOVACORE_GUEST_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PULSE_UP    'U'
#define PULSE_AGENT 'A'
#define PULSE_BEAT  '.'
#define PULSE_DOWN  'D'

/* One line on the console; "%m" in `format` is strerror(errno). */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Children start with the default signals and none of them blocked. An error number, or 0. */
int spawn(pid_t *pid, char **argv);

/* --- cmdline.c --- */
/*
 * Copies the value of the `nth` (from 0) "key=value" word of `line` into `value`; false if there is
 * none or it does not fit.
 */
bool cmdline_value(const char *line, const char *key, unsigned nth, char *value, size_t room);
/* A decimal number from `low` to `high`; false if `text` is anything else. */
bool cmdline_number(const char *text, long low, long high, long *number);

/* --- smbios.c --- */
/*
 * The words that the OEM strings of a raw SMBIOS table have for us, each followed by a space; as
 * many as fit in `room` with the final NUL. Returns their length.
 */
size_t smbios_words(const unsigned char *table, size_t bytes, char *words, size_t room);

/* --- root.c --- */
/* Mounts the root disk on /root, grown to its device; false: there is none, which has been said. */
bool root_mount(const char *cmdline);
/* Makes it "/". */
void root_enter(void);

/* --- ssh.c --- */
/* Starts the SSH server if the command line names keys. */
void ssh_start(const char *cmdline);
/* A line of authorized_keys from "TYPE,KEY"; false if it is anything else. */
bool ssh_key_line(const char *text, char *line, size_t room);

/* --- pulse.c --- */
/* Writes one byte to the pulse port at once; does nothing where there is none. */
void pulse(char byte);
/* Forks the process that beats every `microseconds`; it dies with the system. */
void pulse_beat(long microseconds);

/* --- dirty.c --- */
struct dirty {
	uint64_t bytes_per_s, working_set; /* 4096 … 2^40 each */
};
/* "100000000,268435456"; false if it is anything else, or out of range. */
bool dirty_parse(const char *text, struct dirty *dirty);
/*
 * Forks the process that loads the memory. It dies with the system; how far it is stands in
 * /run/novacore-dirty: "PAGES NS", pages written so far and the guest's monotonic clock.
 */
void dirty_start(const struct dirty *dirty);

/* --- modules.c --- */
enum phase {
	PHASE_BASE = 1, /* always, first */
	PHASE_BUS,      /* what a PCI device asks for: disk controllers, the virtio transport */
	PHASE_DISK,     /* what a virtio device asks for, and the root may be on */
	PHASE_DEVICE,   /* the other virtio devices */
	PHASE_FALLBACK, /* when no root disk was found: everything slow to probe */
	PHASE_IDLE,     /* after the agent runs */
};
/* Opens the directory with the kernel modules and its list, which stays open after the root moves.
 */
void modules_open(const char *directory);
/* Loads the modules of one phase whose devices are present. */
void modules_load(enum phase phase);
/* `alias`, as a device has it, matches one of the comma-separated `patterns` ("-" matches always).
 */
bool modules_match(const char *patterns, const char *alias);

/* --- network.c --- */
/* Brings up the loopback, and the interfaces that the command line names. */
void network_start(const char *cmdline);
/* DHCP, where it is wanted, on interfaces that have come since. */
void network_more(void);
struct network_address {
	char interface[16];
	unsigned char address[4], gateway[4];
	unsigned bits;
	bool has_gateway;
};
/* "eth0:10.0.0.2/24[:10.0.0.1]"; false if it has another form. */
bool network_parse(const char *text, struct network_address *address);

/* --- power.c --- */
/* `poweroff`, `halt`, `reboot` and `shutdown`: signals PID 1. Returns the exit status. */
int power_command(const char *name, int argc, char **argv);
/* The signal that asks PID 1 for what `name` with these arguments means; 0 for none. */
int power_signal(const char *name, int argc, char **argv);
/* Ends everything and never returns. `signal` is what PID 1 was sent. */
void power_down(int signal) __attribute__((noreturn));
/* Opens the power buttons that are not open yet; fills `fds`, returns their count. */
unsigned power_buttons(int *fds, unsigned room);
/* Reads one button's events; true if it was pressed. */
bool power_pressed(int fd);

#endif
