/* SPDX-License-Identifier: MIT */
/* What passes on one connection: requests are counted where they begin, and what has been ordered
 * happens to them or to their answers. */
#include "proxy_inside.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define SLOW_MS  50
#define DRAIN_MS 300

/* --- writing ------------------------------------------------------------------------------ */

static int write_all(SSL *ssl, const char *bytes, size_t count)
{
	size_t done = 0;

	return count == 0 || SSL_write_ex(ssl, bytes, count, &done) == 1;
}

static int has_left(const struct link *link)
{
	struct pollfd one = {.fd = link->fd, .events = POLLRDHUP};

	return poll(&one, 1, 0) > 0 && one.revents;
}

/* Byte by byte. 0: the driver has not waited for the rest. */
static int trickle(struct link *link, const char *bytes, size_t count, int pause_ms)
{
	const struct timespec pause = {0, pause_ms * 1000000L};

	for (size_t i = 0; i < count; i++) {
		if (pause_ms) {
			nanosleep(&pause, NULL);
			if (has_left(link))
				return 0;
		}
		if (!write_all(link->driver, bytes + i, 1))
			return 0;
	}
	return 1;
}

/* A good end: the driver gets all that was said before the connection goes. */
static void say_goodbye(struct link *link)
{
	struct pollfd one = {.fd = link->fd, .events = POLLIN};
	char bytes[4096];

	SSL_shutdown(link->driver);
	shutdown(link->fd, SHUT_WR);
	while (poll(&one, 1, DRAIN_MS) > 0 && recv(link->fd, bytes, sizeof(bytes), 0) > 0)
		;
}

/* --- heads -------------------------------------------------------------------------------- */

/* What follows "\r\n<name>:" in a head, or NULL. */
static const char *find_field(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " ");
		if (strncmp(line, "\r\n", 2) == 0)
			return NULL;
	}
	return NULL;
}

/* Adds to the head that is being read; the number of its bytes once it is whole, else 0. */
static size_t add_to_head(struct link *link, const char *bytes, size_t count)
{
	size_t room = sizeof(link->head) - 1 - link->head_bytes;
	char *end;

	if (count > room)
		count = room;
	memcpy(link->head + link->head_bytes, bytes, count);
	link->head_bytes += count;
	link->head[link->head_bytes] = 0;
	end = strstr(link->head, "\r\n\r\n");
	if (end)
		return (size_t)(end - link->head) + 4;
	return link->head_bytes == sizeof(link->head) - 1 ? link->head_bytes : 0;
}

/* How much of the body that the request's head promises has not come yet. */
static size_t body_left(const struct link *link, size_t head)
{
	const char *length = find_field(link->head, "Content-Length");
	size_t all = length ? strtoul(length, NULL, 10) : 0, got = link->head_bytes - head;

	return all > got ? all - got : 0;
}

/* --- answers of our own ------------------------------------------------------------------- */

/* Who answers before the body has come breaks its sending. */
static void absorb_body(struct link *link, size_t head)
{
	size_t left = body_left(link, head), count;
	char bytes[8192];

	while (left && !find_field(link->head, "Expect") &&
	       SSL_read_ex(link->driver, bytes, sizeof(bytes), &count) == 1)
		left -= count < left ? count : left;
}

static void answer_status(struct link *link, const char *status, const char *more)
{
	static const char page[] = "<html><head><title>Error</title></head>"
	                           "<body><h1>Something is wrong</h1></body></html>\n";
	char text[1024];

	snprintf(text, sizeof(text),
	         "HTTP/1.1 %s\r\n%sContent-Type: text/html\r\nContent-Length: %zu\r\n"
	         "Connection: close\r\n\r\n%s",
	         status, more, sizeof(page) - 1, page);
	write_all(link->driver, text, strlen(text));
	say_goodbye(link);
}

/* To where nobody must follow with credentials. */
static void answer_redirect(struct link *link)
{
	const char *path = strchr(link->head, ' ');
	char more[1024];

	path = path && path[1] == '/' ? path + 1 : "/";
	snprintf(more, sizeof(more), "Location: %s%.*s\r\n", link->proxy->trap_uri,
	         (int)strnlen(path, strcspn(path, " \r\n") < 800 ? strcspn(path, " \r\n") : 1),
	         path);
	answer_status(link, "307 Temporary Redirect", more);
}

static const char *const garbage[] = {
        "<html><body>It works!</body></html>",
        "{\"data\":[{\"vmid\":",
        "<?xml version=\"1.0\"?><a><b></a>",
        "\x01\x02\xff\xfe\x80 %s%n%n \x1b[2J",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "null",
        "{\"data\":\"\\u0000\",\"data\":-1e999}",
        ""};

/* In the answer's own type, so that it is read as one. */
static void answer_garbage(struct link *link)
{
	const char *type = find_field(link->head, "Content-Type");
	const char *body = garbage[link->turn % (sizeof(garbage) / sizeof(garbage[0]))];
	char text[2048];

	snprintf(text, sizeof(text),
	         "HTTP/1.1 200 OK\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n"
	         "Connection: close\r\n\r\n%s",
	         (int)(type ? strcspn(type, "\r\n") : 0), type ? type : "", strlen(body), body);
	write_all(link->driver, text, strlen(text));
	say_goodbye(link);
}

/* 1: the request has been dealt with, and the connection ends. */
static int answer_instead(struct link *link, size_t head)
{
	static const char noise[] = "SSH-2.0-OpenSSH_9.2\r\n\x01\x02\x03 this is no HTTP\r\n";

	switch (link->fault) {
	case FAULT_DIES_BEFORE: absorb_body(link, head); return 1;
	case FAULT_NO_HTTP:
		absorb_body(link, head);
		write_all(link->driver, noise, sizeof(noise) - 1);
		say_goodbye(link);
		return 1;
	case FAULT_500:
		absorb_body(link, head);
		answer_status(link, "500 Internal Server Error", "");
		return 1;
	case FAULT_503:
		absorb_body(link, head);
		answer_status(link, "503 Service Unavailable", "Retry-After: 0\r\n");
		return 1;
	case FAULT_REDIRECT:
		absorb_body(link, head);
		answer_redirect(link);
		return 1;
	default: return 0;
	}
}

/* --- both directions ---------------------------------------------------------------------- */

/* The head with the target's own name in its Host, then what has come of the body. */
static int pass_request(struct link *link)
{
	const char *host = find_field(link->head, "Host");
	size_t before = host ? (size_t)(host - link->head) : 0;

	if (!host)
		return write_all(link->target, link->head, link->head_bytes);
	return write_all(link->target, link->head, before) &&
	       write_all(link->target, link->proxy->authority, strlen(link->proxy->authority)) &&
	       write_all(link->target, host + strcspn(host, "\r\n"),
	                 link->head_bytes - before - strcspn(host, "\r\n"));
}

/* 0: the connection ends. */
static int from_driver(struct link *link, const char *bytes, size_t count)
{
	size_t head;
	int going_on;

	if (link->asking || link->body_left) {
		link->body_left -= count < link->body_left ? count : link->body_left;
		return write_all(link->target, bytes, count);
	}
	head = add_to_head(link, bytes, count);
	if (!head)
		return 1;
	link->fault = proxy_take(link);
	if (answer_instead(link, head))
		return 0;
	going_on = pass_request(link);
	link->body_left = body_left(link, head);
	link->asking = 1;
	link->head_bytes = 0;
	return going_on;
}

/* Head and half of the body. 1: there is not enough of it yet. */
static int pass_half(struct link *link, size_t head)
{
	const char *length = find_field(link->head, "Content-Length");
	size_t body = link->head_bytes - head, half;

	if (!length && body == 0)
		return 1;
	half = length ? strtoul(length, NULL, 10) / 2 : body / 2;
	if (half > body && link->head_bytes < sizeof(link->head) - 1)
		return 1;
	write_all(link->driver, link->head, head + (half < body ? half : body));
	return 0;
}

static int from_target(struct link *link, const char *bytes, size_t count)
{
	size_t head;

	/* "100 Continue" is no answer yet, and the body comes after it. */
	if (link->asking && count > 12 && strncmp(bytes, "HTTP/1.", 7) == 0 && bytes[9] == '1')
		return write_all(link->driver, bytes, count);
	switch (link->fault) {
	case FAULT_DIES_AFTER: return 0;
	case FAULT_GARBAGE:
		if (!add_to_head(link, bytes, count))
			return 1;
		answer_garbage(link);
		return 0;
	case FAULT_HALF:
		head = add_to_head(link, bytes, count);
		return head ? pass_half(link, head) : 1;
	case FAULT_SLOW: link->asking = 0; return trickle(link, bytes, count, SLOW_MS);
	case FAULT_DRIBBLE: link->asking = 0; return trickle(link, bytes, count, 0);
	default: link->asking = 0; return write_all(link->driver, bytes, count);
	}
}

/* One read of one side. 0: the connection ends. */
static int advance(struct link *link, int driver)
{
	SSL *ssl = driver ? link->driver : link->target;
	char bytes[16384];
	size_t count = 0;

	if (SSL_read_ex(ssl, bytes, sizeof(bytes), &count) != 1) {
		if (SSL_get_error(ssl, 0) == SSL_ERROR_WANT_READ)
			return 1;
		if (!driver) /* an answer may be as long as the connection */
			say_goodbye(link);
		return 0;
	}
	return driver ? from_driver(link, bytes, count) : from_target(link, bytes, count);
}

void relay(struct link *link)
{
	struct pollfd both[2] = {{.fd = link->fd, .events = POLLIN},
	                         {.fd = link->target_fd, .events = POLLIN}};
	int going_on = 1;

	while (going_on) {
		int waiting = !SSL_has_pending(link->driver) && !SSL_has_pending(link->target);
		if (poll(both, 2, waiting ? -1 : 0) < 0)
			return;
		if (both[0].revents || SSL_has_pending(link->driver))
			going_on = advance(link, 1);
		if (going_on && (both[1].revents || SSL_has_pending(link->target)))
			going_on = advance(link, 0);
	}
}
