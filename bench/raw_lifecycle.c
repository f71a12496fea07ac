/* SPDX-License-Identifier: MIT */
/*
 * What a life of a VM costs without novacore: the libvirt calls that the kvm driver makes for it,
 * on the same definition, in an embedded libvirt of its own, and nothing else. A line for each VM,
 * in nanoseconds: create, start, running, first, off, delete, total.
 */
#include "raw.h"

#include <libvirt/libvirt-qemu.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t resumed_ns;

static void on_monitor(virConnectPtr connection, virDomainPtr domain, const char *event,
                       long long seconds, unsigned int micros, const char *details, void *opaque)
{
	(void)connection, (void)domain, (void)seconds, (void)micros, (void)details, (void)opaque;
	if (strcmp(event, "RESUME") != 0)
		return;
	pthread_mutex_lock(&lock);
	resumed_ns = raw_now();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void live(virConnectPtr connection, const char *folder, const char *template,
                 const char *image, int number, int report)
{
	struct raw_vm vm;
	int64_t t0;
	raw_define(&vm, connection, folder, template, image, number, &t0);
	int64_t t1 = raw_now();
	resumed_ns = 0;
	raw_start(&vm);
	int64_t t2 = raw_now();
	pthread_mutex_lock(&lock);
	while (!resumed_ns)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	raw_hear(&vm);
	int64_t t3 = raw_now();
	raw_off(&vm);
	int64_t t4 = raw_now();
	raw_delete(&vm);
	int64_t t5 = raw_now();
	if (report)
		printf("%lld %lld %lld %lld %lld %lld %lld\n", (long long)(t1 - t0),
		       (long long)(t2 - t1), (long long)(resumed_ns - t1), (long long)(t3 - t1),
		       (long long)(t4 - t3), (long long)(t5 - t4), (long long)(t5 - t0));
	raw_close(&vm);
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr, "usage: raw_lifecycle ROOT TEMPLATE IMAGE FOLDER WARMUP COUNT\n");
		return 2;
	}
	raw_fork_below_reaper();
	char *template = raw_read_template(argv[2]);
	virConnectPtr connection = raw_open(argv[1]);
	raw_need(virConnectDomainQemuMonitorEventRegister(connection, NULL, NULL, on_monitor, NULL,
	                                                  NULL, 0) >= 0,
	         "watch events");
	for (int i = 0, warmup = atoi(argv[5]); i < warmup + atoi(argv[6]); i++)
		live(connection, argv[4], template, argv[3], i, i >= warmup);
	fflush(stdout);
	_exit(0);
}
