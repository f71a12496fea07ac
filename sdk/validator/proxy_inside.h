/* SPDX-License-Identifier: MIT */
/* Between proxy.c (sockets, threads) and relay.c (what passes on one connection). */
#ifndef NOVACORE_VALIDATOR_PROXY_INSIDE_H
#define NOVACORE_VALIDATOR_PROXY_INSIDE_H

#include "proxy.h"

#include <openssl/ssl.h>
#include <pthread.h>

#define HEAD_ROOM 65536

struct proxy {
	struct certificates certificates;
	char uri[1024], trap_uri[64], ca_path[4096];
	char host[256], port[8], authority[280]; /* of the target */
	int listener, trap;
	pthread_t acceptor, trapper;
	int acceptor_runs, trapper_runs, verifies_name;
	pthread_mutex_t lock; /* all below */
	int stopping;
	enum identity identity;
	enum fault fault;
	uint32_t skip, times, requests, hits, turns;
	char trapped[HEAD_ROOM];
	size_t trapped_bytes;
	char trouble[512];
	struct link *links;
};

/* One connection of the driver, and the one to the target that belongs to it. */
struct link {
	struct proxy *proxy;
	struct link *next;
	pthread_t thread;
	int over;          /* its thread has nothing more to do */
	int broken;        /* what has come on it, and was not read yet, counts no more */
	int fd, target_fd; /* −1: none */
	SSL *driver, *target;
	char head[HEAD_ROOM]; /* of the request that is beginning, or of the answer */
	size_t head_bytes;
	size_t body_left; /* of the request that is being sent */
	int asking;       /* a request has been passed on, and is not answered yet */
	enum fault fault; /* of that request */
	uint32_t turn;    /* its number: what garbage it gets */
};

/* Which fault the request that has just begun gets, and the turn of it. */
enum fault proxy_take(struct link *link);
/* Until one side has had enough. */
void relay(struct link *link);

#endif
