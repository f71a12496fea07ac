/* SPDX-License-Identifier: MIT */
/* The TLS server of the helpers' tests, and a proxy. */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 256
#define REQUESTS    4096
#define BODY_BYTES  (8u * 1024 * 1024)

static void die(const char *what)
{
	fprintf(stderr, "server: %s\n", what);
	exit(1);
}

/* --- listening, for both ---------------------------------------------------------------------- */

struct connection {
	pthread_t thread;
	void *owner; /* server or proxy */
	int fd;
};

struct listener {
	int fd, port;
	int stopping;
	pthread_t thread;
	pthread_mutex_t lock;
	void *(*serve)(void *connection);
	void *owner;
	struct connection connections[CONNECTIONS];
	int count;
};

static int is_stopping(struct listener *listener)
{
	int stopping;

	pthread_mutex_lock(&listener->lock);
	stopping = listener->stopping;
	pthread_mutex_unlock(&listener->lock);
	return stopping;
}

static void *accept_all(void *context)
{
	struct listener *listener = context;

	for (;;) {
		int fd = accept(listener->fd, NULL, NULL);
		struct connection *connection;

		pthread_mutex_lock(&listener->lock);
		if (listener->stopping || fd < 0 || listener->count == CONNECTIONS) {
			pthread_mutex_unlock(&listener->lock);
			if (fd >= 0)
				close(fd);
			if (fd >= 0 && !is_stopping(listener))
				die("too many connections");
			return NULL;
		}
		connection = &listener->connections[listener->count++];
		connection->fd = fd;
		connection->owner = listener->owner;
		if (pthread_create(&connection->thread, NULL, listener->serve, connection))
			die("no thread");
		pthread_mutex_unlock(&listener->lock);
	}
}

static void listen_for(struct listener *listener, void *(*serve)(void *), void *owner)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	sigset_t pipe, before;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, length) ||
	    listen(listener->fd, 64) ||
	    getsockname(listener->fd, (struct sockaddr *)&address, &length))
		die("cannot listen");
	listener->port = ntohs(address.sin_port);
	listener->serve = serve;
	listener->owner = owner;
	pthread_mutex_init(&listener->lock, NULL);
	/* these threads write to closed connections; that the client may not is a test */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	if (pthread_create(&listener->thread, NULL, accept_all, listener))
		die("no thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_listening(struct listener *listener)
{
	pthread_mutex_lock(&listener->lock);
	listener->stopping = 1;
	for (int i = 0; i < listener->count; i++)
		shutdown(listener->connections[i].fd, SHUT_RDWR);
	shutdown(listener->fd, SHUT_RDWR);
	pthread_mutex_unlock(&listener->lock);
	pthread_join(listener->thread, NULL);
	for (int i = 0; i < listener->count; i++) {
		pthread_join(listener->connections[i].thread, NULL);
		close(listener->connections[i].fd);
	}
	close(listener->fd);
	pthread_mutex_destroy(&listener->lock);
}

/* --- server ----------------------------------------------------------------------------------- */

struct server {
	struct listener listener;
	SSL_CTX *tls;
	char *requests[REQUESTS]; /* "GET /path" */
	int request_count;
	char *headers, *body;
	size_t body_bytes;
	int session; /* its number; another one begins by login or end */
};

struct request {
	char method[16], path[512];
	char *headers; /* the lines, without the first */
	char *body;
	size_t bytes;
};

static int count_locked(struct server *server, const char *start)
{
	int count = 0;

	for (int i = 0; i < server->request_count; i++)
		count += strncmp(server->requests[i], start, strlen(start)) == 0;
	return count;
}

int server_count(struct server *server, const char *start)
{
	int count;

	pthread_mutex_lock(&server->listener.lock);
	count = count_locked(server, start);
	pthread_mutex_unlock(&server->listener.lock);
	return count;
}

int server_wait(struct server *server, const char *start, int count)
{
	for (int i = 0; i < 1000; i++) {
		if (server_count(server, start) >= count)
			return 1;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return 0;
}

static void record(struct server *server, struct request *request)
{
	pthread_mutex_lock(&server->listener.lock);
	if (server->request_count == REQUESTS ||
	    asprintf(&server->requests[server->request_count++], "%s %s", request->method,
	             request->path) < 0)
		die("too many requests");
	free(server->headers);
	free(server->body);
	server->headers = strdup(request->headers);
	server->body = malloc(request->bytes + 1);
	if (!server->headers || !server->body)
		die("out of memory");
	memcpy(server->body, request->body, request->bytes + 1);
	server->body_bytes = request->bytes;
	pthread_mutex_unlock(&server->listener.lock);
}

char *server_headers(struct server *server)
{
	char *text;

	pthread_mutex_lock(&server->listener.lock);
	text = strdup(server->headers ? server->headers : "");
	pthread_mutex_unlock(&server->listener.lock);
	return text;
}

char *server_body(struct server *server, size_t *bytes)
{
	char *body;

	pthread_mutex_lock(&server->listener.lock);
	body = calloc(server->body_bytes + 1, 1);
	if (body && server->body)
		memcpy(body, server->body, server->body_bytes);
	*bytes = server->body_bytes;
	pthread_mutex_unlock(&server->listener.lock);
	return body;
}

int server_connections(struct server *server)
{
	int count;

	pthread_mutex_lock(&server->listener.lock);
	count = server->listener.count;
	pthread_mutex_unlock(&server->listener.lock);
	return count;
}

/* --- one request ------------------------------------------------------------------------------ */

static const char *header_of(const char *headers, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = headers; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncasecmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " ");
	}
	return NULL;
}

/* 1: there is one; 0: the connection has ended. */
static int read_request(SSL *tls, struct request *request)
{
	char *text = calloc(1, 65536);
	size_t used = 0;
	char *end = NULL;
	char *body, first;
	const char *length;
	size_t have;

	while (!end && used < 65535) {
		int got = SSL_read(tls, text + used, (int)(65535 - used));

		if (got <= 0) {
			free(text);
			return 0;
		}
		used += (size_t)got;
		end = memmem(text, used, "\r\n\r\n", 4);
	}
	if (!end || sscanf(text, "%15s %511s", request->method, request->path) != 2)
		die("no request");
	have = used - (size_t)(end + 4 - text);
	body = end + 4;
	first = *body;
	*body = '\0'; /* the last line keeps its end */
	request->headers = strdup(strchr(text, '\n') ? strchr(text, '\n') : "");
	length = header_of(request->headers, "Content-Length");
	request->bytes = length ? strtoul(length, NULL, 10) : 0;
	if (request->bytes > BODY_BYTES)
		die("a body is too long");
	request->body = calloc(request->bytes + 1, 1);
	*body = first;
	memcpy(request->body, body, have < request->bytes ? have : request->bytes);
	free(text);
	while (have < request->bytes) {
		int got = SSL_read(tls, request->body + have, (int)(request->bytes - have));

		if (got <= 0)
			return 0;
		have += (size_t)got;
	}
	return 1;
}

static void send_text(SSL *tls, const char *text)
{
	SSL_write(tls, text, (int)strlen(text));
}

__attribute__((format(printf, 4, 5))) static void
answer(SSL *tls, const char *status, const char *headers, const char *format, ...)
{
	char *body = NULL;
	char *head = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&body, format, arguments) < 0)
		die("out of memory");
	va_end(arguments);
	if (asprintf(&head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body),
	             headers) < 0)
		die("out of memory");
	send_text(tls, head);
	send_text(tls, body);
	free(head);
	free(body);
}

static void answer_bytes(SSL *tls, const char *bytes, size_t count)
{
	char head[100];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", count);
	send_text(tls, head);
	while (count) {
		int sent = SSL_write(tls, bytes, (int)(count < 16384 ? count : 16384));

		if (sent <= 0)
			return;
		bytes += sent;
		count -= (size_t)sent;
	}
}

static void answer_big(SSL *tls, size_t count)
{
	char *bytes = malloc(count + 1);

	if (!bytes)
		die("out of memory");
	memset(bytes, 'x', count);
	answer_bytes(tls, bytes, count);
	free(bytes);
}

/* Until the client goes away, or the test ends. */
static void wait_for_end(struct server *server, int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLRDHUP};

	while (!is_stopping(&server->listener) && poll(&one, 1, 50) == 0)
		;
}

static void send_lines(SSL *tls)
{
	static const char *const chunks[] = {"5\r\nfirst\r\n", "9\r\n line\nsec\r\n",
	                                     "6\r\nond\r\n\n\r\n", "c\r\nthird\nfourth\r\n"};

	send_text(tls, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		send_text(tls, chunks[i]);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	send_text(tls, "0\r\n\r\n");
}

static void send_headers_without_end(SSL *tls)
{
	char line[1040];

	memset(line, 'x', sizeof(line));
	memcpy(line, "X-Long: ", 8);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	send_text(tls, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 4000 && SSL_write(tls, line, (int)strlen(line)) > 0; i++)
		;
}

/* What the client sent, in all places that may get into an error. */
static void reflect(SSL *tls, const struct request *request)
{
	const char *credential = header_of(request->headers, "Authorization");
	char status[600];

	snprintf(status, sizeof(status), "500 you sent %.*s",
	         credential ? (int)strcspn(credential, "\r") : 0, credential ? credential : "");
	answer(tls, status, "", "{\"message\":\"%s\"}", status + 4);
}

/* NTLM's second message, any challenge; whoever then sends a third one is let in. */
static void ask_for_ntlm(SSL *tls, const struct request *request)
{
	static const char challenge[] = "TlRMTVNTUAACAAAAAAAAADAAAAABggAAASNFZ4mr"
	                                "ze8AAAAAAAAAAAAAAAAwAAAA";
	const char *sent = header_of(request->headers, "Authorization");
	char header[200];

	if (!sent) {
		answer(tls, "401 Unauthorized", "WWW-Authenticate: NTLM\r\n", "%s", "");
	} else if (strncmp(sent, "NTLM TlRMTVNTUAAB", 17) == 0) {
		snprintf(header, sizeof(header), "WWW-Authenticate: NTLM %s\r\n", challenge);
		answer(tls, "401 Unauthorized", header, "%s", "");
	} else if (strncmp(sent, "NTLM TlRMTVNTUAAD", 17) == 0) {
		answer(tls, "200 OK", "", "%s", request->body);
	} else {
		answer(tls, "403 no", "", "%s", "");
	}
}

static int starts(const struct request *request, const char *path)
{
	return strncmp(request->path, path, strlen(path)) == 0;
}

static void serve_session(struct server *server, SSL *tls, const struct request *request)
{
	const char *cookie = header_of(request->headers, "Cookie");
	int rpc = strcmp(request->path, "/rpc") == 0;
	int wanted;
	char id[40];

	pthread_mutex_lock(&server->listener.lock);
	server->session += strcmp(request->path, "/session/login") == 0 ||
	                   strcmp(request->path, "/session/end") == 0;
	wanted = server->session;
	pthread_mutex_unlock(&server->listener.lock);
	snprintf(id, sizeof(id), "session-%d", wanted);
	if (strcmp(request->path, "/session/login") == 0)
		answer(tls, "200 OK", "", "{\"id\":\"%s\"}", id);
	else if (rpc && !strstr(request->body, id))
		answer(tls, "200 OK", "", "{\"error\":\"SESSION_INVALID\"}");
	else if (!rpc && strcmp(request->path, "/session/end") != 0 &&
	         (!cookie || strncmp(cookie, id, strlen(id)) != 0)) {
		if (strcmp(request->path, "/session/slow") == 0)
			nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
		answer(tls, "401 Unauthorized", "", "{\"message\":\"who are you\"}");
	} else
		answer(tls, "200 OK", "", "{}");
}

static void serve_task(SSL *tls, const struct request *request)
{
	const char *name = strchr(request->path + 1, '/');

	if (starts(request, "/slow-start/"))
		nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL);
	if (starts(request, "/failing"))
		answer(tls, "200 OK", "", "{\"state\":\"failed\",\"why\":\"no\\nspace left\"}");
	else if (starts(request, "/lost/"))
		answer(tls, "200 OK", "", "{\"state\":\"stopped\"}");
	else
		answer(tls, "200 OK", "", "{\"task\":\"%s\"}", name + 1);
}

/* The N-th of its name, from 1. */
static int turn_of(struct server *server, const struct request *request)
{
	char start[600];

	snprintf(start, sizeof(start), "%s %s", request->method, request->path);
	return server_count(server, start);
}

static long last_number(const struct request *request)
{
	return strtol(strrchr(request->path, '/') + 1, NULL, 10);
}

/* 0: the connection is to end. */
static int serve_broken(struct server *server, SSL *tls, int fd, const struct request *request)
{
	if (starts(request, "/drop"))
		return 0;
	if (starts(request, "/never"))
		wait_for_end(server, fd);
	else if (starts(request, "/truncated"))
		send_text(tls, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this");
	else if (starts(request, "/garbage"))
		send_text(tls, "SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n\r\n");
	else if (starts(request, "/many-headers"))
		send_headers_without_end(tls);
	else if (starts(request, "/stall")) {
		send_text(tls,
		          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
		wait_for_end(server, fd);
	} else if (starts(request, "/cut-lines"))
		send_text(tls, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		               "7\r\nwhole\nh\r\n100\r\nalf");
	return 0;
}

static int serve_one(struct server *server, SSL *tls, int fd, const struct request *request)
{
	int turn = turn_of(server, request);

	if (starts(request, "/echo"))
		answer_bytes(tls, request->body, request->bytes);
	else if (starts(request, "/status/"))
		answer(tls, strrchr(request->path, '/') + 1, "", "%s",
		       "{\"message\":\"so it is\"}");
	else if (starts(request, "/flaky/"))
		answer(tls, turn <= last_number(request) ? "503 not now" : "200 OK", "", "turn %d",
		       turn);
	else if (starts(request, "/busy/"))
		answer(tls, turn <= 1 ? "429 slower" : "200 OK",
		       turn <= 1 ? "Retry-After: 1\r\n" : "", "%s", "");
	else if (starts(request, "/redirect"))
		answer(tls, "302 Found", "Location: https://evil.example/take\r\n", "%s", "");
	else if (starts(request, "/reflect"))
		reflect(tls, request);
	else if (starts(request, "/cookies"))
		answer(tls, "200 OK", "Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Id: 77\r\n", "%s",
		       "");
	else if (starts(request, "/big/"))
		answer_big(tls, (size_t)last_number(request));
	else if (starts(request, "/lines"))
		send_lines(tls);
	else if (starts(request, "/ntlm"))
		ask_for_ntlm(tls, request);
	else if (starts(request, "/tasks/"))
		answer(tls, "200 OK", "", "{\"state\":\"%s\"}",
		       turn <= last_number(request) ? "running" : "stopped");
	else if (starts(request, "/session/") || starts(request, "/rpc"))
		serve_session(server, tls, request);
	else if (starts(request, "/shaky/"))
		answer(tls, turn % 2 ? "503 not now" : "200 OK", "", "{\"state\":\"%s\"}",
		       turn < last_number(request) ? "running" : "stopped");
	else if (starts(request, "/lost/") && turn <= last_number(request))
		return 0;
	else if (starts(request, "/start/") || starts(request, "/slow-start/") ||
	         starts(request, "/failing") || starts(request, "/lost/"))
		serve_task(tls, request);
	else if (starts(request, "/drop-once/") && turn > 1)
		answer(tls, "200 OK", "", "turn %d", turn);
	else if (starts(request, "/drop") || starts(request, "/never") ||
	         starts(request, "/truncated") || starts(request, "/garbage") ||
	         starts(request, "/many-headers") || starts(request, "/stall") ||
	         starts(request, "/cut-lines"))
		return serve_broken(server, tls, fd, request);
	else
		answer(tls, "404 Not Found", "", "%s", "{\"message\":\"no such path\"}");
	return 1;
}

static void *serve_connection(void *context)
{
	struct connection *connection = context;
	struct server *server = connection->owner;
	SSL *tls = SSL_new(server->tls);
	int going = 1;

	if (!tls || !SSL_set_fd(tls, connection->fd))
		die("no TLS");
	if (SSL_accept(tls) != 1)
		going = 0;
	while (going) {
		struct request request = {0};

		going = read_request(tls, &request);
		if (going) {
			record(server, &request);
			going = serve_one(server, tls, connection->fd, &request);
		}
		free(request.headers);
		free(request.body);
	}
	SSL_shutdown(tls);
	SSL_free(tls);
	ERR_clear_error();
	shutdown(connection->fd, SHUT_RDWR);
	return NULL;
}

struct server *server_start(const char *name, const char *client_ca)
{
	struct server *server = calloc(1, sizeof(*server));
	char key[64];

	snprintf(key, sizeof(key), "%s-key", name);
	server->tls = SSL_CTX_new(TLS_server_method());
	if (!server->tls ||
	    SSL_CTX_use_certificate_file(server->tls, certificates_file(name), SSL_FILETYPE_PEM) !=
	            1 ||
	    SSL_CTX_use_PrivateKey_file(server->tls, certificates_file(key), SSL_FILETYPE_PEM) != 1)
		die("no certificate");
	if (client_ca) {
		SSL_CTX_set_verify(server->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		                   NULL);
		SSL_CTX_load_verify_locations(server->tls, certificates_file(client_ca), NULL);
	}
	listen_for(&server->listener, serve_connection, server);
	return server;
}

void server_stop(struct server *server)
{
	stop_listening(&server->listener);
	SSL_CTX_free(server->tls);
	for (int i = 0; i < server->request_count; i++)
		free(server->requests[i]);
	free(server->headers);
	free(server->body);
	free(server);
}

int server_port(const struct server *server)
{
	return server->listener.port;
}

const char *server_url(const struct server *server, const char *path)
{
	static _Thread_local char urls[4][256];
	static _Thread_local int turn;

	turn = (turn + 1) % 4;
	snprintf(urls[turn], sizeof(urls[turn]), "https://127.0.0.1:%d%s", server->listener.port,
	         path);
	return urls[turn];
}

/* --- proxy ------------------------------------------------------------------------------------ */

struct proxy {
	struct listener listener;
	char *credential; /* in Base64, or NULL */
	int tunnels;
};

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int carry(int from, int to)
{
	char bytes[16384];
	ssize_t got = read(from, bytes, sizeof(bytes));

	return got > 0 && send(to, bytes, (size_t)got, MSG_NOSIGNAL) == got;
}

static void tunnel(int client, int server)
{
	struct pollfd both[2] = {{.fd = client, .events = POLLIN},
	                         {.fd = server, .events = POLLIN}};

	while (poll(both, 2, -1) > 0) {
		if (both[0].revents && !carry(client, server))
			return;
		if (both[1].revents && !carry(server, client))
			return;
	}
}

static void *serve_tunnel(void *context)
{
	static const char good[] = "HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n";
	static const char denied[] =
	        "HTTP/1.1 407 who are you\r\nProxy-Authenticate: Basic "
	        "realm=\"p\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct connection *connection = context;
	struct proxy *proxy = connection->owner;
	char text[4096] = "";
	size_t used = 0;
	int port = 0;
	int server = -1;

	while (!strstr(text, "\r\n\r\n") && used < sizeof(text) - 1) {
		ssize_t got = read(connection->fd, text + used, sizeof(text) - 1 - used);

		if (got <= 0)
			return NULL;
		used += (size_t)got;
		text[used] = '\0';
	}
	if (proxy->credential && !strstr(text, proxy->credential)) {
		send(connection->fd, denied, strlen(denied), MSG_NOSIGNAL);
	} else if (sscanf(text, "CONNECT 127.0.0.1:%d ", &port) == 1) {
		server = connect_to(port);
		pthread_mutex_lock(&proxy->listener.lock);
		proxy->tunnels++;
		pthread_mutex_unlock(&proxy->listener.lock);
		if (server >= 0 && send(connection->fd, good, strlen(good), MSG_NOSIGNAL) > 0)
			tunnel(connection->fd, server);
	}
	if (server >= 0)
		close(server);
	shutdown(connection->fd, SHUT_RDWR);
	return NULL;
}

struct proxy *proxy_start(const char *user)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));

	if (user) {
		proxy->credential = calloc(1, strlen(user) * 2 + 8);
		EVP_EncodeBlock((unsigned char *)proxy->credential, (const unsigned char *)user,
		                (int)strlen(user));
	}
	listen_for(&proxy->listener, serve_tunnel, proxy);
	return proxy;
}

void proxy_stop(struct proxy *proxy)
{
	stop_listening(&proxy->listener);
	free(proxy->credential);
	free(proxy);
}

int proxy_port(const struct proxy *proxy)
{
	return proxy->listener.port;
}

int proxy_tunnels(struct proxy *proxy)
{
	int tunnels;

	pthread_mutex_lock(&proxy->listener.lock);
	tunnels = proxy->tunnels;
	pthread_mutex_unlock(&proxy->listener.lock);
	return tunnels;
}
