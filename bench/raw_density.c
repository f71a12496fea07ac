/* SPDX-License-Identifier: MIT */
/*
 * A burst of VMs without novacore: as many threads as VMs may be on their way at once, each of
 * which creates a VM, starts it, hears its guest, and takes the next. All of them exist when the
 * last has been heard; then the same threads delete them. Prints nanoseconds: the burst, the
 * deletion.
 */
#include "raw.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	virConnectPtr connection;
	const char *folder, *template, *image;
	struct raw_vm *vms;
	int count, threads;
	atomic_int next;
} all;

static void *bring_up(void *nothing)
{
	for (int i; (i = atomic_fetch_add(&all.next, 1)) < all.count;) {
		raw_define(&all.vms[i], all.connection, all.folder, all.template, all.image, i + 1,
		           NULL);
		raw_start(&all.vms[i]);
		raw_hear(&all.vms[i]);
	}
	return nothing;
}

static void *take_down(void *nothing)
{
	for (int i; (i = atomic_fetch_add(&all.next, 1)) < all.count;) {
		raw_off(&all.vms[i]);
		raw_delete(&all.vms[i]);
		raw_close(&all.vms[i]);
	}
	return nothing;
}

/* How long it takes until each VM has gone through `work`. */
static int64_t together(void *(*work)(void *))
{
	pthread_t *threads = calloc((size_t)all.threads, sizeof(*threads));
	int64_t begin = raw_now();
	raw_need(threads != NULL, "get memory");
	atomic_store(&all.next, 0);
	for (int i = 0; i < all.threads; i++)
		raw_need(pthread_create(&threads[i], NULL, work, NULL) == 0, "start a thread");
	for (int i = 0; i < all.threads; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return raw_now() - begin;
}

int main(int argc, char **argv)
{
	struct raw_vm first;
	if (argc != 7) {
		fprintf(stderr, "usage: raw_density ROOT TEMPLATE IMAGE FOLDER COUNT AT_ONCE\n");
		return 2;
	}
	raw_fork_below_reaper();
	all.template = raw_read_template(argv[2]);
	all.connection = raw_open(argv[1]);
	all.image = argv[3];
	all.folder = argv[4];
	all.count = atoi(argv[5]);
	all.threads = atoi(argv[6]);
	all.vms = calloc((size_t)all.count, sizeof(*all.vms));
	raw_need(all.vms != NULL, "get memory");
	/* as novacore does before a burst */
	raw_define(&first, all.connection, all.folder, all.template, all.image, 0, NULL);
	raw_start(&first);
	raw_hear(&first);
	raw_off(&first);
	raw_delete(&first);
	raw_close(&first);
	int64_t burst_ns = together(bring_up);
	printf("%lld %lld\n", (long long)burst_ns, (long long)together(take_down));
	fflush(stdout);
	_exit(0);
}
