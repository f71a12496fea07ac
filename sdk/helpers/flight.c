/* SPDX-License-Identifier: MIT */
/* One HTTPS request: what is sent, what comes back, whether it may be sent again. */
#include "inside.h"

#include <novacore/types.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server may close a connection that it finds idle just as we send on it, and such a request
 * fails (see may_send). So connections idle for longer than this are not used again. */
#define IDLE_S 3L

#define HEADER_BYTES    (256u * 1024)
#define DEADLINE_NS     (60 * SECOND_NS)
#define BACK_OFF_NS     (SECOND_NS / 5)
#define LONGEST_PAUSE   (5 * SECOND_NS)
#define LONGEST_ASKED_S 60

/* --- libcurl's callbacks ---------------------------------------------------------------------- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct nova_http_flight *flight = context;
	size_t bytes = size * count;
	int streams = (flight->chunk || flight->line) && flight->status / 100 == 2;
	struct nova_text *to = streams ? &flight->pending : &flight->answer;

	/* in pieces they may be many, but not unread: see nova_helper_deliver */
	if (!flight->chunk &&
	    to->used + bytes > flight->client->answer_bytes + (streams ? bytes : 0)) {
		flight->too_long = 1;
		return 0;
	}
	nova_text_append(to, data, bytes);
	flight->arrived = streams;
	return to->broken ? 0 : bytes;
}

/* The reason of the status line "HTTP/1.1 500 reason": some servers say what is wrong only there.
 */
static void take_status(struct nova_http_flight *flight, const char *at, const char *end)
{
	size_t used = 0;

	flight->status = 0;
	at = memchr(at, ' ', (size_t)(end - at));
	for (at = at ? at + 1 : end; at < end && *at >= '0' && *at <= '9'; at++)
		flight->status = flight->status < 1000 ? flight->status * 10 + *at - '0' : 0;
	for (at += at < end; at < end && used + 1 < sizeof(flight->reason); at++) {
		if (*at != '\r' && *at != '\n')
			flight->reason[used++] = *at >= ' ' && *at <= '~' ? *at : '?';
	}
	flight->reason[used] = '\0';
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct nova_http_flight *flight = context;
	size_t bytes = size * count;

	flight->header_bytes += bytes;
	if (flight->header_bytes > HEADER_BYTES) {
		flight->too_long = 1;
		return 0;
	}
	if (bytes >= 5 && strncmp(data, "HTTP/", 5) == 0)
		take_status(flight, data, data + bytes);
	return bytes;
}

/*
 * Called before each sending. Where a used connection ends without an answer libcurl sends the
 * request again on a new one, also a POST: the peer may have carried it out already. After a
 * challenge it sends it again, too: then the peer has said that it did not.
 */
static int may_send(void *context, char *ip, char *local_ip, int port, int local_port)
{
	struct nova_http_flight *flight = context;
	int challenged = flight->status == 401 || flight->status == 407;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (flight->sends++ && !flight->repeatable && !challenged) {
		flight->resent = 1;
		return CURL_PREREQFUNC_ABORT;
	}
	flight->status = 0;
	flight->sent_ns = nova_http_now_ns();
	return CURL_PREREQFUNC_OK;
}

/* Body, file and tail, one after the other. */
static size_t give_body(char *buffer, size_t size, size_t count, void *context)
{
	struct nova_http_flight *flight = context;
	size_t room = size * count;
	size_t from_end;
	ssize_t got = 0;

	if (flight->offset < flight->body.used) {
		got = (ssize_t)(flight->body.used - flight->offset);
		got = got < (ssize_t)room ? got : (ssize_t)room;
		memcpy(buffer, flight->body.text + flight->offset, (size_t)got);
	} else if (flight->offset < flight->body.used + flight->file_bytes) {
		from_end = flight->body.used + flight->file_bytes - flight->offset;
		got = pread(flight->file, buffer, from_end < room ? from_end : room,
		            (off_t)(flight->offset - flight->body.used));
		if (got <= 0) { /* also if it has become shorter: its length was announced */
			flight->io_failed = 1;
			return CURL_READFUNC_ABORT;
		}
	} else if (flight->tail.used) {
		uint64_t at = flight->offset - flight->body.used - flight->file_bytes;

		got = (ssize_t)(flight->tail.used - at);
		got = got < (ssize_t)room ? got : (ssize_t)room;
		memcpy(buffer, flight->tail.text + at, (size_t)got);
	}
	flight->offset += (uint64_t)got;
	return (size_t)got;
}

static int seek_body(void *context, curl_off_t offset, int origin)
{
	struct nova_http_flight *flight = context;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	flight->offset = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* --- making one ------------------------------------------------------------------------------- */

static void free_flight(struct nova_http_flight *flight)
{
	if (flight->easy)
		curl_easy_cleanup(flight->easy);
	nova_helper_wipe_headers(flight->headers);
	nova_helper_wipe_headers(flight->own);
	if (flight->file >= 0)
		close(flight->file);
	nova_text_wipe(&flight->body);
	nova_text_free(&flight->tail);
	nova_text_wipe(&flight->answer);
	nova_text_free(&flight->pending);
	free(flight);
}

static const char *keep_headers(struct nova_http_flight *flight,
                                const struct nova_http_request *request)
{
	struct nova_text type = {0};
	int good = nova_helper_add_header(&flight->own, "Expect:"); /* it costs a round trip */

	for (size_t i = 0; request->headers && request->headers[i] && good; i++) {
		if (!nova_helper_is_header(request->headers[i]))
			return "a header is not of the form Name: value, or has a line break";
		good = nova_helper_add_header(&flight->own, request->headers[i]);
	}
	/* without one, libcurl says that it is a form */
	nova_text_printf(&type, "Content-Type:%s%s", request->content_type ? " " : "",
	                 request->content_type ? request->content_type : "");
	if (!type.broken && strpbrk(type.text, "\r\n")) {
		nova_text_free(&type);
		return "the content type has a line break";
	}
	good = good && !type.broken && nova_helper_add_header(&flight->own, type.text);
	nova_text_free(&type);
	return good ? NULL : "out of memory";
}

static int is_overridden(const char *line, const struct curl_slist *own)
{
	for (; own; own = own->next) {
		if (nova_helper_same_header(line, own->data))
			return 1;
	}
	return 0;
}

/* The client's headers may have changed since the last attempt. 0: out of memory. */
static int set_headers(struct nova_http_flight *flight)
{
	struct curl_slist *all = NULL;
	int good = 1;

	for (struct curl_slist *one = flight->client->headers; one && good; one = one->next)
		good = is_overridden(one->data, flight->own) ||
		       nova_helper_add_header(&all, one->data);
	for (struct curl_slist *one = flight->own; one && good; one = one->next)
		good = nova_helper_add_header(&all, one->data);
	if (!good) {
		nova_helper_wipe_headers(all);
		return 0;
	}
	curl_easy_setopt(flight->easy, CURLOPT_HTTPHEADER, all);
	nova_helper_wipe_headers(flight->headers);
	flight->headers = all;
	return 1;
}

static const char *open_file(struct nova_http_flight *flight, const char *path)
{
	struct stat facts;

	flight->file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (flight->file < 0)
		return "the file to send cannot be opened";
	if (fstat(flight->file, &facts) != 0 || !S_ISREG(facts.st_mode))
		return "what is to be sent is no regular file";
	flight->file_bytes = (uint64_t)facts.st_size;
	return NULL;
}

static void set_body(struct nova_http_flight *flight, const char *method)
{
	CURL *easy = flight->easy;
	int none = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	           strcmp(method, "DELETE") == 0;

	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (flight->file >= 0 || flight->tail.used) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(easy, CURLOPT_READDATA, flight);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, flight);
		curl_easy_setopt(
		        easy, CURLOPT_INFILESIZE_LARGE,
		        (curl_off_t)(flight->body.used + flight->file_bytes + flight->tail.used));
	} else if (flight->body.used || !none) {
		flight->posts = 1; /* see nova_helper_launch */
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_identity(const struct nova_http *client, CURL *easy)
{
	static const unsigned long kinds[] = {CURLAUTH_NONE, CURLAUTH_BASIC, CURLAUTH_NTLM,
	                                      CURLAUTH_NEGOTIATE};

	if (!client->auth)
		return;
	/* one kind, said exactly: libcurl's own choice may be one that cannot work */
	curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)kinds[client->auth]);
	curl_easy_setopt(easy, CURLOPT_USERNAME, client->user);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, client->password ? client->password : "");
}

static void set_transfer(struct nova_http_flight *flight, const struct nova_http_request *request)
{
	struct nova_http *client = flight->client;
	CURL *easy = flight->easy;

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, client->proxy);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* a name that nobody resolves must not hold up who gives up */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_S);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)(client->connect_timeout_ns / 1000000 + 1));
	if (request->idle_ns > 0) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
		                 (long)((request->idle_ns + SECOND_NS - 1) / SECOND_NS));
	}
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, flight);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, may_send);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, flight);
	set_identity(client, easy);
	set_body(flight, request->method ? request->method : "GET");
	nova_helper_set_trust(client, easy);
}

static const char *fill(struct nova_http_flight *flight, const struct nova_http_request *request)
{
	const char *method = request->method ? request->method : "GET";
	const char *why = keep_headers(flight, request);

	flight->chunk = request->chunk;
	flight->line = request->line;
	flight->done = request->done;
	flight->context = request->context;
	flight->repeatable =
	        request->repeatable || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	flight->attempts = flight->repeatable && request->attempts ? request->attempts : 1;
	flight->pause_ns = request->back_off_ns > 0 ? request->back_off_ns : BACK_OFF_NS;
	flight->deadline_ns =
	        request->deadline_ns ? request->deadline_ns : nova_http_now_ns() + DEADLINE_NS;
	nova_text_append(&flight->body, request->body, request->body ? request->bytes : 0);
	if (request->tail)
		nova_text_add(&flight->tail, request->tail);
	if (!why && request->file)
		why = open_file(flight, request->file);
	flight->easy = why ? NULL : curl_easy_init();
	if (!why && (!flight->easy || flight->body.broken || flight->tail.broken))
		why = "out of memory";
	if (!why)
		set_transfer(flight, request);
	return why;
}

static void link_flight(struct nova_http_flight *flight)
{
	flight->next = flight->client->flights;
	flight->client->flights = flight;
}

struct nova_http_flight *nova_http_start(struct nova_http *client,
                                         const struct nova_http_request *request, const char **why)
{
	struct nova_http_flight *flight = calloc(1, sizeof(*flight));
	const char *reason = "out of memory";

	if (flight) {
		flight->client = client;
		flight->file = -1;
		reason = fill(flight, request);
	}
	if (why)
		*why = reason;
	if (flight && reason) {
		free_flight(flight);
		return NULL;
	}
	if (flight) {
		link_flight(flight);
		flight->due_ns = 1; /* the next turn launches it */
	}
	return flight;
}

static void leave_multi(struct nova_http_flight *flight)
{
	if (flight->in_multi)
		curl_multi_remove_handle(flight->client->multi, flight->easy);
	flight->in_multi = 0;
}

static void unlink_flight(struct nova_http_flight *flight)
{
	struct nova_http_flight **link = &flight->client->flights;

	while (*link != flight)
		link = &(*link)->next;
	*link = flight->next;
	leave_multi(flight);
}

void nova_http_abort(struct nova_http_flight *flight)
{
	if (!flight || flight->ended)
		return;
	if (flight->client->delivering == flight)
		flight->client->delivering = NULL;
	unlink_flight(flight);
	if (flight->in_done) { /* it was parked, and is no more; see end */
		flight->parked = 0;
		flight->ended = 1;
		return;
	}
	free_flight(flight);
}

uint64_t nova_http_uploaded(const struct nova_http_flight *flight, uint64_t *total)
{
	*total = flight->body.used + flight->file_bytes + flight->tail.used;
	return flight->file >= 0 || flight->tail.used ? flight->offset
	       : flight->sent_ns                      ? *total
	                                              : 0;
}

/* --- attempts --------------------------------------------------------------------------------- */

static void end(struct nova_http_flight *flight, struct nova_http_answer *answer)
{
	struct nova_http_answer ended = *answer;

	nova_secrets_hide(flight->client->secrets, flight->reason);
	ended.status = flight->status;
	ended.reason = flight->reason;
	ended.body = nova_text_get(&flight->answer);
	ended.bytes = flight->answer.used;
	ended.sent_ns = flight->sent_ns;
	ended.end_ns = nova_http_now_ns();
	ended.attempts = flight->attempt;
	ended.flight = flight;
	unlink_flight(flight);
	flight->ended = 1;
	flight->in_done = 1;
	if (flight->done)
		flight->done(flight->context, &ended);
	flight->in_done = 0;
	if (flight->parked)
		flight->parked = 0;
	else
		free_flight(flight);
}

struct nova_http_flight *nova_helper_park(const struct nova_http_answer *answer)
{
	struct nova_http_flight *flight = answer->flight;

	flight->parked = 1;
	flight->ended = 0;
	flight->due_ns = INT64_MAX;
	link_flight(flight);
	return flight;
}

struct nova_text *nova_helper_body(struct nova_http_flight *flight)
{
	return &flight->body;
}

void nova_helper_unpark(struct nova_http_flight *flight)
{
	flight->due_ns = 1;
}

void nova_helper_launch(struct nova_http_flight *flight)
{
	int64_t left_ms = (flight->deadline_ns - nova_http_now_ns()) / 1000000 + 1;

	left_ms = left_ms < 1 ? 1 : left_ms < INT_MAX ? left_ms : INT_MAX; /* 24 days */

	flight->due_ns = 0;
	flight->attempt++;
	flight->status = 0;
	flight->reason[0] = '\0';
	flight->error[0] = '\0';
	flight->header_bytes = 0;
	flight->sends = 0;
	flight->sent_ns = 0;
	flight->offset = 0;
	nova_text_wipe(&flight->answer);
	nova_text_free(&flight->pending);
	curl_easy_setopt(flight->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
	if (flight->posts) {
		curl_easy_setopt(flight->easy, CURLOPT_POSTFIELDS, nova_text_get(&flight->body));
		curl_easy_setopt(flight->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		                 (curl_off_t)flight->body.used);
	}
	flight->in_multi = set_headers(flight) &&
	                   curl_multi_add_handle(flight->client->multi, flight->easy) == CURLM_OK;
	if (!flight->in_multi) { /* out of memory: perhaps not for long */
		flight->attempt--;
		flight->due_ns = nova_http_now_ns() + BACK_OFF_NS;
	}
}

/* --- streams ---------------------------------------------------------------------------------- */

/* 1: go on; 0: the request is gone. */
static int hand_over(struct nova_http_flight *flight, char *bytes, size_t count)
{
	struct nova_http *client = flight->client;
	int stop;

	if (flight->line && count && bytes[count - 1] == '\r')
		count--;
	bytes[count] = '\0';
	flight->streamed = 1;
	client->delivering = flight;
	stop = flight->line ? flight->line(flight->context, bytes, count)
	                    : flight->chunk(flight->context, bytes, count);
	if (client->delivering != flight)
		return 0;
	client->delivering = NULL;
	if (stop)
		nova_http_abort(flight);
	return !stop;
}

enum delivery nova_helper_deliver(struct nova_http_flight *flight, int all)
{
	struct nova_text had = flight->pending;
	size_t limit = flight->client->answer_bytes;
	size_t at = 0;
	int alive = 1;
	char *newline;

	flight->arrived = 0;
	flight->pending = (struct nova_text){0};
	if (!had.used || had.broken) {
		nova_text_free(&had);
		return DELIVERED_NOTHING;
	}
	if (!flight->line) {
		alive = hand_over(flight, had.text, had.used);
		nova_text_free(&had);
		return alive ? DELIVERED : DELIVERED_AND_GONE;
	}
	while (at < had.used && (newline = memchr(had.text + at, '\n', had.used - at))) {
		size_t length = (size_t)(newline - had.text) - at;

		if (length > limit)
			break;
		if (!hand_over(flight, had.text + at, length)) {
			nova_text_free(&had);
			return DELIVERED_AND_GONE;
		}
		at += length + 1;
	}
	if (all && at < had.used && had.used - at <= limit) {
		alive = hand_over(flight, had.text + at, had.used - at);
	} else if (at < had.used) {
		nova_text_append(&flight->pending, had.text + at, had.used - at);
		flight->too_long = had.used - at > limit;
	}
	nova_text_free(&had);
	return !alive ? DELIVERED_AND_GONE : DELIVERED;
}

/* --- what came of it -------------------------------------------------------------------------- */

/* A server that wants another certificate says so as it closes the connection, in TLS 1.3 only
 * after the request was sent. */
static int is_alert(const struct nova_http_flight *flight)
{
	return strstr(flight->error, " alert ") &&
	       (strstr(flight->error, "certificate") || strstr(flight->error, "unknown ca"));
}

static int status_of(const struct nova_http_flight *flight, CURLcode code)
{
	int order = !flight->repeatable && flight->sent_ns;

	switch (code) {
	case CURLE_OK: return NOVA_DONE;
	case CURLE_OUT_OF_MEMORY: return NOVA_E_MEMORY;
	case CURLE_URL_MALFORMAT:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE: return NOVA_E_INVALID;
	case CURLE_UNSUPPORTED_PROTOCOL:
		return !flight->sent_ns ? NOVA_E_INVALID : order ? NOVA_E_UNKNOWN : NOVA_E_PROTOCOL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_LOGIN_DENIED: return NOVA_E_PERMISSION;
	case CURLE_OPERATION_TIMEDOUT:
		/* not connected in time is not the deadline */
		return flight->sent_ns || nova_http_now_ns() >= flight->deadline_ns
		               ? NOVA_E_TIMEOUT
		               : NOVA_E_UNAVAILABLE;
	case CURLE_WRITE_ERROR:
		return flight->answer.broken || flight->pending.broken ? NOVA_E_MEMORY
		                                                       : NOVA_E_PROTOCOL;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2: return order ? NOVA_E_UNKNOWN : NOVA_E_PROTOCOL;
	default: break;
	}
	if (is_alert(flight))
		return NOVA_E_PERMISSION;
	return order ? NOVA_E_UNKNOWN : NOVA_E_UNAVAILABLE;
}

static void explain(const struct nova_http_flight *flight, int result, CURLcode code,
                    struct nova_text *why)
{
	const struct nova_http *client = flight->client;
	const char *said = flight->error[0] ? flight->error : curl_easy_strerror(code);

	if (flight->too_long) {
		nova_text_add(why, "its answer is longer than is accepted");
	} else if (flight->io_failed) {
		nova_text_add(why, "the file to send cannot be read to its end");
	} else if (result == NOVA_E_UNKNOWN) {
		nova_text_add(why, "the connection ended before the answer came");
		if (!flight->resent)
			nova_text_printf(why, " (%s)", said);
		nova_text_add(why, "; whether it was carried out is unknown, so it was not sent "
		                   "again");
	} else if (client->pinned && code == CURLE_PEER_FAILED_VERIFICATION) {
		nova_text_add(why, "its certificate is not the one to be trusted, but has the "
		                   "SHA-256 fingerprint ");
		for (size_t i = 0; i < sizeof(client->seen); i++)
			nova_text_printf(why, "%s%02X", i ? ":" : "", client->seen[i]);
	} else {
		nova_text_add_printable(why, said, CURL_ERROR_SIZE);
	}
}

/* "Retry-After: 120"; its other form, a date, is not understood. */
static int64_t asked_pause(const struct nova_http_answer *answer)
{
	const char *text = nova_http_header(answer, "Retry-After", 0);
	long seconds = text && *text >= '0' && *text <= '9' ? strtol(text, NULL, 10) : 0;

	return (seconds < LONGEST_ASKED_S ? seconds : LONGEST_ASKED_S) * SECOND_NS;
}

static int is_worth_another(const struct nova_http_flight *flight, int result)
{
	int status = flight->status;

	if (flight->attempt >= flight->attempts || flight->streamed || flight->io_failed)
		return 0;
	if (result != NOVA_DONE)
		return result == NOVA_E_UNAVAILABLE;
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/* 1: it will be sent again after a pause. */
static int try_again(struct nova_http_flight *flight, int result)
{
	struct nova_http *client = flight->client;
	struct nova_http_answer answer = {.flight = flight};
	int64_t now_ns = nova_http_now_ns();
	int64_t pause_ns = flight->pause_ns < LONGEST_PAUSE ? flight->pause_ns : LONGEST_PAUSE;
	int64_t asked_ns;

	if (!is_worth_another(flight, result))
		return 0;
	/* up to a quarter longer, so that those who failed together do not come back together */
	client->chance = client->chance * 1664525u + 1013904223u;
	pause_ns += pause_ns / 4 * (client->chance >> 16) / 65536;
	asked_ns = result == NOVA_DONE ? asked_pause(&answer) : 0;
	if (asked_ns > pause_ns)
		pause_ns = asked_ns;
	if (pause_ns > flight->deadline_ns - now_ns)
		return 0;
	flight->pause_ns *= flight->pause_ns < LONGEST_PAUSE ? 2 : 1;
	flight->due_ns = now_ns + pause_ns;
	leave_multi(flight);
	return 1;
}

int nova_helper_finish(struct nova_http_flight *flight, CURLcode code)
{
	struct nova_http *client = flight->client;
	struct nova_http_answer answer = {0};
	struct nova_text why = {0};

	if (nova_helper_deliver(flight, code == CURLE_OK) == DELIVERED_AND_GONE)
		return 1;
	if (flight->too_long && code == CURLE_OK)
		code = CURLE_WRITE_ERROR;
	answer.result = flight->io_failed ? NOVA_E_IO : status_of(flight, code);
	if (try_again(flight, answer.result))
		return 0;
	if (answer.result != NOVA_DONE) {
		explain(flight, answer.result, code, &why);
		nova_secrets_hide(client->secrets, why.text);
		answer.error = why.broken ? "out of memory" : nova_text_get(&why);
	}
	end(flight, &answer);
	nova_text_free(&why);
	return 1;
}

const char *nova_http_header(const struct nova_http_answer *answer, const char *name, size_t index)
{
	struct curl_header *header;

	return curl_easy_header(answer->flight->easy, name, index, CURLH_HEADER, -1, &header) ==
	                       CURLHE_OK
	               ? header->value
	               : NULL;
}
