/* SPDX-License-Identifier: MIT */
/* The relay's sockets and threads: one that listens, one for each connection, and one where
 * redirects lead to. */
#include "proxy_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_S 10
#define TRAP_MS     500

/* --- sockets ------------------------------------------------------------------------------ */

static int listen_here(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
	    listen(fd, SOMAXCONN) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &length) == 0) {
		*port = ntohs(address.sin_port);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static void set_limits(int fd)
{
	const struct timeval limit = {.tv_sec = HANDSHAKE_S};
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int dial(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
		if (fd < 0)
			continue;
		set_limits(fd);
		if (connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

/* --- one connection ----------------------------------------------------------------------- */

static void note_trouble(struct proxy *proxy, const char *text)
{
	pthread_mutex_lock(&proxy->lock);
	snprintf(proxy->trouble, sizeof(proxy->trouble), "%s", text);
	pthread_mutex_unlock(&proxy->lock);
}

static SSL *reach(const struct proxy *proxy, int fd, char *why, size_t room)
{
	SSL *ssl = SSL_new(proxy->certificates.client);
	struct in6_addr number;
	int literal = inet_pton(AF_INET, proxy->host, &number) == 1 ||
	              inet_pton(AF_INET6, proxy->host, &number) == 1;

	if (!ssl)
		return NULL;
	if (!literal)
		SSL_set_tlsext_host_name(ssl, proxy->host);
	if (proxy->verifies_name && literal)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), proxy->host);
	else if (proxy->verifies_name)
		SSL_set1_host(ssl, proxy->host);
	if (SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1)
		return ssl;
	snprintf(why, room, "TLS with %s failed%s%s", proxy->authority,
	         SSL_get_verify_result(ssl) == X509_V_OK ? "" : ": ",
	         SSL_get_verify_result(ssl) == X509_V_OK
	                 ? ""
	                 : X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	SSL_free(ssl);
	return NULL;
}

static void set_target_fd(struct link *link, int fd)
{
	pthread_mutex_lock(&link->proxy->lock);
	link->target_fd = fd;
	pthread_mutex_unlock(&link->proxy->lock);
}

/* With the driver first: who does not trust us is not to be seen by the target. */
static void serve(struct link *link)
{
	struct proxy *proxy = link->proxy;
	char why[512];
	int fd;

	if (!link->driver || SSL_set_fd(link->driver, link->fd) != 1 ||
	    SSL_accept(link->driver) != 1)
		return;
	fd = dial(proxy->host, proxy->port);
	if (fd < 0) {
		snprintf(why, sizeof(why), "%s cannot be reached: %s", proxy->authority,
		         strerror(errno));
		note_trouble(proxy, why);
		return;
	}
	set_target_fd(link, fd);
	link->target = reach(proxy, fd, why, sizeof(why));
	if (link->target)
		relay(link);
	else
		note_trouble(proxy, why);
}

static void *run_link(void *context)
{
	struct link *link = context;
	struct proxy *proxy = link->proxy;

	serve(link);
	SSL_free(link->driver);
	SSL_free(link->target);
	pthread_mutex_lock(&proxy->lock);
	close(link->fd);
	if (link->target_fd >= 0)
		close(link->target_fd);
	link->fd = link->target_fd = -1;
	link->over = 1;
	pthread_mutex_unlock(&proxy->lock);
	return NULL;
}

/* Takes links whose threads are over, or all, out of the list, and waits for them. */
static void reap(struct proxy *proxy, int all)
{
	struct link *over = NULL, **at, *link;

	pthread_mutex_lock(&proxy->lock);
	for (at = &proxy->links; (link = *at);) {
		if (!all && !link->over) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		link->next = over;
		over = link;
	}
	pthread_mutex_unlock(&proxy->lock);
	while ((link = over)) {
		over = link->next;
		pthread_join(link->thread, NULL);
		free(link);
	}
}

/* Under the lock. */
static void break_links(struct proxy *proxy)
{
	for (struct link *link = proxy->links; link; link = link->next) {
		link->broken = 1;
		if (link->fd >= 0)
			shutdown(link->fd, SHUT_RDWR);
		if (link->target_fd >= 0)
			shutdown(link->target_fd, SHUT_RDWR);
	}
}

/* 0: we are to end. */
static int begin_link(struct proxy *proxy, int fd)
{
	struct link *link = calloc(1, sizeof(*link));
	int begun = 0, stopping;

	set_limits(fd);
	pthread_mutex_lock(&proxy->lock);
	stopping = proxy->stopping;
	if (link && !stopping) {
		link->proxy = proxy;
		link->fd = fd;
		link->target_fd = -1;
		link->driver = SSL_new(proxy->certificates.servers[proxy->identity]);
		begun = pthread_create(&link->thread, NULL, run_link, link) == 0;
		if (begun) {
			link->next = proxy->links;
			proxy->links = link;
		}
	}
	pthread_mutex_unlock(&proxy->lock);
	if (!begun) {
		if (link)
			SSL_free(link->driver);
		free(link);
		close(fd);
	}
	return !stopping;
}

static void *accept_links(void *context)
{
	struct proxy *proxy = context;
	int fd, go_on = 1;

	while (go_on && (fd = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		go_on = begin_link(proxy, fd);
		reap(proxy, 0);
	}
	return NULL;
}

/* --- the trap ----------------------------------------------------------------------------- */

static void keep(struct proxy *proxy, const char *bytes, int count)
{
	size_t room;

	pthread_mutex_lock(&proxy->lock);
	room = sizeof(proxy->trapped) - 1 - proxy->trapped_bytes;
	if (count > 0 && (size_t)count < room) {
		memcpy(proxy->trapped + proxy->trapped_bytes, bytes, (size_t)count);
		proxy->trapped_bytes += (size_t)count;
	}
	pthread_mutex_unlock(&proxy->lock);
}

static void trap_one(struct proxy *proxy, int fd)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	                             "Connection: close\r\n\r\n{}";
	const struct timeval limit = {.tv_usec = TRAP_MS * 1000};
	SSL *ssl = SSL_new(proxy->certificates.servers[IDENTITY_TRUE]);
	char bytes[8192];
	int count;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
		while ((count = SSL_read(ssl, bytes, sizeof(bytes))) > 0)
			keep(proxy, bytes, count);
		SSL_write(ssl, answer, sizeof(answer) - 1);
	}
	SSL_free(ssl);
}

static void *run_trap(void *context)
{
	struct proxy *proxy = context;
	int fd;

	while ((fd = accept4(proxy->trap, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		trap_one(proxy, fd);
		close(fd);
	}
	return NULL;
}

/* --- the whole ---------------------------------------------------------------------------- */

/* "https://host[:port][/path]" into its parts. */
static int read_uri(struct proxy *proxy, const char *uri, const char **path)
{
	const char *begin = uri + 8, *end, *colon;
	size_t host;

	if (strncmp(uri, "https://", 8) != 0)
		return 0;
	end = begin + strcspn(begin, "/?#");
	*path = end;
	if (end == begin || (size_t)(end - begin) >= sizeof(proxy->host))
		return 0;
	snprintf(proxy->authority, sizeof(proxy->authority), "%.*s", (int)(end - begin), begin);
	colon = strrchr(proxy->authority, ':');
	if (colon && strchr(colon, ']'))
		colon = NULL; /* of an address in brackets */
	host = colon ? (size_t)(colon - proxy->authority) : strlen(proxy->authority);
	snprintf(proxy->port, sizeof(proxy->port), "%.7s", colon ? colon + 1 : "443");
	if (proxy->authority[0] == '[' && host > 2)
		snprintf(proxy->host, sizeof(proxy->host), "%.*s", (int)host - 2,
		         proxy->authority + 1);
	else
		snprintf(proxy->host, sizeof(proxy->host), "%.*s", (int)host, proxy->authority);
	return proxy->host[0] && proxy->port[0];
}

static int open_all(struct proxy *proxy, const struct proxy_settings *settings, char *why,
                    size_t room)
{
	uint16_t port = 0, trap_port = 0;
	const char *path = "";

	if (!read_uri(proxy, settings->uri, &path)) {
		snprintf(why, room, "\"%.100s\" is not https://host[:port]", settings->uri);
		return 0;
	}
	snprintf(proxy->ca_path, sizeof(proxy->ca_path), "%s/ca.pem", settings->directory);
	if (!certificates_make(&proxy->certificates, settings, proxy->ca_path, why, room))
		return 0;
	proxy->verifies_name = !settings->insecure && !proxy->certificates.pinned;
	proxy->listener = listen_here(&port);
	proxy->trap = listen_here(&trap_port);
	snprintf(proxy->uri, sizeof(proxy->uri), "https://127.0.0.1:%u%.900s", port, path);
	snprintf(proxy->trap_uri, sizeof(proxy->trap_uri), "https://127.0.0.1:%u", trap_port);
	if (proxy->listener >= 0 && proxy->trap >= 0) {
		proxy->acceptor_runs =
		        pthread_create(&proxy->acceptor, NULL, accept_links, proxy) == 0;
		proxy->trapper_runs = pthread_create(&proxy->trapper, NULL, run_trap, proxy) == 0;
	}
	if (proxy->acceptor_runs && proxy->trapper_runs)
		return 1;
	snprintf(why, room, "the relay cannot listen on 127.0.0.1: %s", strerror(errno));
	return 0;
}

struct proxy *proxy_open(const struct proxy_settings *settings, char *why, size_t room)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));

	if (!proxy) {
		snprintf(why, room, "out of memory");
		return NULL;
	}
	proxy->listener = proxy->trap = -1;
	pthread_mutex_init(&proxy->lock, NULL);
	if (open_all(proxy, settings, why, room))
		return proxy;
	proxy_close(proxy);
	return NULL;
}

void proxy_close(struct proxy *proxy)
{
	if (!proxy)
		return;
	pthread_mutex_lock(&proxy->lock);
	proxy->stopping = 1;
	break_links(proxy);
	pthread_mutex_unlock(&proxy->lock);
	if (proxy->listener >= 0)
		shutdown(proxy->listener, SHUT_RDWR);
	if (proxy->trap >= 0)
		shutdown(proxy->trap, SHUT_RDWR);
	if (proxy->acceptor_runs)
		pthread_join(proxy->acceptor, NULL);
	if (proxy->trapper_runs)
		pthread_join(proxy->trapper, NULL);
	reap(proxy, 1);
	if (proxy->listener >= 0)
		close(proxy->listener);
	if (proxy->trap >= 0)
		close(proxy->trap);
	unlink(proxy->ca_path);
	certificates_free(&proxy->certificates);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy);
}

const char *proxy_uri(const struct proxy *proxy)
{
	return proxy->uri;
}

const char *proxy_ca_file(const struct proxy *proxy)
{
	return proxy->ca_path;
}

void proxy_arm(struct proxy *proxy, enum fault fault, uint32_t skip, uint32_t times)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->fault = fault;
	proxy->skip = skip;
	proxy->times = times;
	proxy->requests = proxy->hits = 0;
	proxy->trapped_bytes = 0;
	proxy->trapped[0] = 0;
	pthread_mutex_unlock(&proxy->lock);
}

enum fault proxy_take(struct link *link)
{
	struct proxy *proxy = link->proxy;
	enum fault fault = FAULT_NONE;

	pthread_mutex_lock(&proxy->lock);
	proxy->requests += !link->broken;
	if (link->broken) {
		fault = FAULT_DIES_BEFORE;
	} else if (proxy->skip) {
		proxy->skip--;
	} else if (proxy->times) {
		proxy->times--;
		proxy->hits++;
		link->turn = proxy->turns++;
		fault = proxy->fault;
	}
	pthread_mutex_unlock(&proxy->lock);
	return fault;
}

static uint32_t peek(struct proxy *proxy, const uint32_t *number)
{
	uint32_t value;

	pthread_mutex_lock(&proxy->lock);
	value = *number;
	pthread_mutex_unlock(&proxy->lock);
	return value;
}

uint32_t proxy_requests(struct proxy *proxy)
{
	return peek(proxy, &proxy->requests);
}

uint32_t proxy_hits(struct proxy *proxy)
{
	return peek(proxy, &proxy->hits);
}

void proxy_identify(struct proxy *proxy, enum identity identity)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->identity = identity;
	break_links(proxy);
	pthread_mutex_unlock(&proxy->lock);
}

const char *proxy_trapped(struct proxy *proxy, size_t *bytes)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->trapped[proxy->trapped_bytes] = 0;
	*bytes = proxy->trapped_bytes;
	pthread_mutex_unlock(&proxy->lock);
	return proxy->trapped;
}

const char *proxy_trouble(struct proxy *proxy)
{
	return proxy->trouble;
}
