/* SPDX-License-Identifier: MIT */
/*
 * Ops under way: their life, requests and answers, pauses, deadlines, giving up. Waiting for tasks
 * is in poll.c.
 *
 * A call that has ended stays in the list until nothing of it is on the stack (reap): so a step may
 * go on after it ended its call, and a host that hears of the end finds no trace of it here.
 */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_NS   (3 * SECOND_NS)
#define LONGEST_NS (600 * SECOND_NS)
/* The host ends the op at the deadline, and says so better than a request that was cut off. */
#define BEYOND_NS     (2 * SECOND_NS)
#define WORTH_TELLING (UINT64_C(1) << 20) /* bytes of an upload */
#define WORDS         400u
#define WATCHED       64u /* descriptors of calls that wait for one */

/* --- life of an instance's calls -------------------------------------------------------------- */

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

int nova_calls_set_base(struct nova_calls *calls, const char *base)
{
	size_t length = strlen(base);
	char *copied;

	while (length && base[length - 1] == '/')
		length--;
	copied = strndup(base, length);
	if (!copied)
		return NOVA_E_MEMORY;
	free(calls->base);
	calls->base = copied;
	return NOVA_DONE;
}

static int copy_texts(struct nova_calls *calls, const struct nova_calls_settings *settings)
{
	static const char *const types[] = {"text/xml; charset=utf-8", "application/json"};
	const char *type = settings->content_type ? settings->content_type
	                                          : types[settings->format == NOVA_REPLY_JSON];

	return nova_calls_set_base(calls, settings->base) == NOVA_DONE &&
	       copy(&calls->peer, settings->peer ? settings->peer : "the API") &&
	       copy(&calls->stranger, settings->stranger ? settings->stranger : "") &&
	       copy(&calls->trust_advice, settings->trust_advice ? settings->trust_advice : "") &&
	       copy(&calls->content_type, type);
}

static int fill(struct nova_calls *calls, const struct nova_calls_settings *settings,
                const char **why)
{
	struct nova_http_settings http = settings->http;

	*why = "out of memory";
	calls->settings = *settings;
	calls->host = settings->host;
	if (calls->settings.grace_ns <= 0)
		calls->settings.grace_ns = GRACE_NS;
	if (calls->settings.longest_ns <= 0)
		calls->settings.longest_ns = LONGEST_NS;
	if (calls->settings.call_bytes < sizeof(struct nova_call))
		calls->settings.call_bytes = sizeof(struct nova_call);
	calls->secrets = nova_secrets_new();
	if (!calls->secrets || !copy_texts(calls, settings))
		return NOVA_E_MEMORY;
	for (size_t i = 0; settings->secrets && settings->secrets[i]; i++) {
		if (nova_secrets_add(calls->secrets, settings->secrets[i]) != NOVA_DONE)
			return NOVA_E_MEMORY;
	}
	http.secrets = calls->secrets;
	return nova_http_open(&http, &calls->http, why);
}

int nova_calls_open(const struct nova_calls_settings *settings, struct nova_calls **out)
{
	struct nova_calls *calls = calloc(1, sizeof(*calls));
	const char *why = "out of memory";
	int result = calls ? fill(calls, settings, &why) : NOVA_E_MEMORY;

	*out = NULL;
	if (result != NOVA_DONE) {
		nova_calls_close(calls);
		return settings->host->error(settings->instance, result, why);
	}
	*out = calls;
	return NOVA_DONE;
}

static void free_call(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;
	struct nova_call **link = &call->calls->first;

	while (*link != call)
		link = &(*link)->inside->next;
	*link = inside->next;
	nova_http_abort(inside->flight);
	if (call->calls->settings.release)
		call->calls->settings.release(call);
	free(inside->what);
	free(inside->claim);
	free(inside->stopped_what);
	free(inside);
	free(call);
}

void nova_calls_close(struct nova_calls *calls)
{
	if (!calls)
		return;
	while (calls->first)
		free_call(calls->first);
	nova_http_close(calls->http);
	nova_secrets_free(calls->secrets);
	nova_text_free(&calls->renewal_error);
	free(calls->base);
	free(calls->peer);
	free(calls->stranger);
	free(calls->trust_advice);
	free(calls->content_type);
	free(calls);
}

struct nova_http *nova_calls_http(const struct nova_calls *calls)
{
	return calls->http;
}

void *nova_calls_driver(const struct nova_calls *calls)
{
	return calls->settings.driver;
}

int nova_calls_add_secret(struct nova_calls *calls, const char *secret)
{
	return nova_secrets_add(calls->secrets, secret);
}

/* --- life of one ------------------------------------------------------------------------------ */

struct nova_call *nova_call_new(struct nova_calls *calls, nova_op op)
{
	struct nova_call *call = calloc(1, calls->settings.call_bytes);
	int64_t deadline_ns = op ? calls->host->deadline_ns(op) : 0;

	if (call)
		call->inside = calloc(1, sizeof(*call->inside));
	if (!call || !call->inside) {
		free(call);
		if (op)
			calls->host->error(op, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	call->calls = calls;
	call->op = op;
	call->deadline_ns =
	        deadline_ns > 0 ? deadline_ns : nova_http_now_ns() + calls->settings.longest_ns;
	call->inside->in_op = 1;
	call->inside->next = calls->first;
	calls->first = call;
	return call;
}

int nova_call_return(struct nova_call *call)
{
	int result = call->inside->result;

	call->inside->in_op = 0;
	if (!call->inside->ended)
		return NOVA_PENDING;
	free_call(call);
	return result;
}

/* Frees what has ended and tells the host; called where no step is on the stack. */
static void reap(struct nova_calls *calls)
{
	struct nova_call *call;

	nova_helper_resume(calls);
	call = calls->first;
	while (call) {
		struct nova_call *next = call->inside->next;
		nova_op op = call->op;
		int result = call->inside->result;

		if (call->inside->ended && !call->inside->in_op) {
			free_call(call);
			if (op)
				calls->host->done(op, result);
			next = calls->first;
		}
		call = next;
	}
}

void nova_helper_say(struct nova_call *call, int code, const char *format, ...)
{
	struct nova_calls *calls = call->calls;
	struct nova_text text = {0};
	va_list arguments;

	va_start(arguments, format);
	nova_text_vprintf(&text, format, arguments);
	va_end(arguments);
	nova_secrets_hide(calls->secrets, text.text);
	if (call->op)
		calls->host->error(call->op, code, text.broken ? "out of memory" : text.text);
	else if (!text.broken)
		calls->host->log(calls->settings.instance, NOVA_SAY_DEBUG, text.text);
	nova_text_free(&text);
}

/* Why it was given up is said here and not before: until now it might have ended well. */
static void say_stopped(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;
	const char *told = inside->stopping ? "; told to stop: " : "";
	const char *name = inside->stopping ? inside->poll.name : "";
	const char *what = inside->stopped_what ? inside->stopped_what : "the op";

	if (inside->told)
		return;
	inside->told = 1;
	if (inside->stopped == NOVA_E_TIMEOUT)
		nova_helper_say(call, NOVA_E_TIMEOUT,
		                "%s at %s: not finished at the deadline%s%s; how it ended there is "
		                "unknown",
		                what, call->calls->base, told, name);
	else
		nova_helper_say(call, inside->stopped, "%s at %s: given up%s%s", what,
		                call->calls->base, told, name);
}

void nova_helper_end(struct nova_call *call, int status)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended)
		return;
	if (inside->stopped && status == inside->stopped)
		say_stopped(call);
	nova_http_abort(inside->flight);
	inside->flight = NULL;
	inside->due_ns = 0;
	inside->polling = 0;
	inside->ended = 1;
	inside->result = status;
	if (call == call->calls->renewal)
		call->calls->renewal_result = status;
}

int nova_call_claim(struct nova_call *call, const char *name)
{
	struct nova_call *other = call->calls->first;

	while (other && (other == call || other->inside->ended || !other->inside->claim ||
	                 strcmp(other->inside->claim, name) != 0))
		other = other->inside->next;
	if (!other) {
		free(call->inside->claim);
		if (copy(&call->inside->claim, name))
			return 1;
	}
	if (other)
		nova_call_fail(call, NOVA_E_EXISTS, "'%s' is being made already", name);
	else
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	return 0;
}

void nova_call_done(struct nova_call *call)
{
	nova_helper_end(call, NOVA_DONE);
}

void nova_call_fail(struct nova_call *call, int code, const char *format, ...)
{
	struct nova_text text = {0};
	va_list arguments;

	if (call->inside->ended)
		return;
	if (call->inside->stopped)
		say_stopped(call); /* the first error is the one that is shown */
	va_start(arguments, format);
	nova_text_vprintf(&text, format, arguments);
	va_end(arguments);
	nova_helper_say(call, code, "%s", text.broken ? "out of memory" : nova_text_get(&text));
	if (call == call->calls->renewal)
		nova_text_add(&call->calls->renewal_error, nova_text_get(&text));
	nova_text_free(&text);
	nova_helper_end(call, call->inside->stopped ? call->inside->stopped : code);
}

void nova_call_puzzled(struct nova_call *call, const char *why)
{
	struct nova_calls *calls = call->calls;

	nova_call_fail(call, NOVA_E_PROTOCOL, "%s: the answer of %s is not %s's (%s)%s",
	               nova_call_what(call), calls->base, calls->peer, why, calls->stranger);
}

const char *nova_call_what(const struct nova_call *call)
{
	return call->inside->what ? call->inside->what : "the op";
}

/* --- answers ---------------------------------------------------------------------------------- */

const char *nova_helper_advice(const struct nova_call *call, int status, int code)
{
	const char *(*advice)(int, int) = call->calls->settings.advice;
	const char *text = advice ? advice(status, code) : NULL;

	return text ? text : "";
}

static void fail_unanswered(struct nova_call *call, const struct nova_http_answer *answer)
{
	struct nova_call_inside *inside = call->inside;
	int (*on_loss)(struct nova_call *, int, const char *) = inside->on_loss;

	inside->on_loss = NULL;
	if (inside->polling && !inside->stopping && nova_helper_poll_again(call))
		return;
	if (on_loss && !inside->stopped && on_loss(call, answer->result, answer->error))
		return;
	nova_call_fail(call, answer->result, "%s at %s failed: %s%s", nova_call_what(call),
	               call->calls->base, answer->error,
	               answer->result == NOVA_E_PERMISSION ? call->calls->trust_advice : "");
}

/* The peer's own words, else why there are none. */
static void find_words(struct nova_call *call, const struct nova_http_answer *answer,
                       struct nova_text *said, struct nova_text *words)
{
	const char *location = nova_http_header(answer, "Location", 0);

	nova_secrets_hide(call->calls->secrets, said->text);
	nova_text_add_printable(words, nova_text_get(said), WORDS);
	if (!words->used && answer->status / 100 == 3 && location) {
		nova_text_free(said);
		nova_text_add(said, location);
		nova_secrets_hide(call->calls->secrets, said->text);
		nova_text_add(words, "a redirect to ");
		nova_text_add_printable(words, nova_text_get(said), WORDS);
		nova_text_add(words, ", which is not followed");
	}
	if (!words->used)
		nova_text_add(words, answer->reason[0] ? answer->reason : "no reason given");
}

static void take_refusal(struct nova_call *call, const struct nova_reply *reply, int code,
                         struct nova_text *said)
{
	int (*refused)(struct nova_call *, const struct nova_refusal *) = call->inside->refused;
	struct nova_text words = {0};
	struct nova_refusal refusal = {.code = code, .status = reply->http->status, .reply = reply};
	char status[16] = "";

	find_words(call, reply->http, said, &words);
	call->inside->refused = NULL;
	refusal.words = nova_text_get(&words);
	if (!words.broken && nova_helper_await_session(call, &refusal)) {
		call->inside->refused = refused;
		nova_text_free(&words);
		return;
	}
	/* a good status is not worth mentioning: the peer wraps its refusals in it */
	if (refusal.status / 100 != 2)
		snprintf(status, sizeof(status), "%d ", refusal.status);
	if (words.broken)
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	else if (call->inside->polling && !call->inside->stopping && code == NOVA_E_UNAVAILABLE &&
	         nova_helper_poll_again(call))
		; /* it is asked again */
	else if (call->inside->stopped || !refused || !refused(call, &refusal))
		nova_call_fail(call, code, "%s at %s: %s%s%s", nova_call_what(call),
		               call->calls->base, status, refusal.words,
		               nova_helper_advice(call, refusal.status, code));
	nova_text_free(&words);
}

static int judge(struct nova_call *call, const struct nova_reply *reply, struct nova_text *words)
{
	return call->calls->settings.judge ? call->calls->settings.judge(call, reply, words)
	                                   : nova_http_code(reply->http->status);
}

static void take_reply(struct nova_call *call, struct nova_reply *reply, const char *trouble)
{
	struct nova_text words = {0};
	int code;

	code = judge(call, reply, &words);
	if (call->inside->ended)
		; /* the judge has */
	else if (code != NOVA_DONE)
		take_refusal(call, reply, code, &words);
	else if (trouble)
		nova_call_puzzled(call, trouble);
	else
		call->inside->step(call, reply);
	nova_text_free(&words);
}

static void put_latency(const struct nova_call *call, const struct nova_http_answer *answer)
{
	const struct nova_call_inside *inside = call->inside;

	if (call->op && !inside->chunk && !inside->line &&
	    !(inside->polling && inside->poll.waits && !inside->stopping))
		call->calls->host->put_i64(call->op, NOVA_FIELD_API_NS,
		                           answer->end_ns - answer->sent_ns);
}

static void take_answer(void *context, const struct nova_http_answer *answer)
{
	struct nova_call *call = context;
	struct nova_calls *calls = call->calls;
	const struct nova_reply_parser *parser = calls->settings.parser;
	struct nova_reply reply = {.http = answer};
	char trouble[160] = "";

	call->inside->flight = NULL;
	if (answer->result == NOVA_DONE) {
		call->asked_ns = answer->sent_ns;
		call->answered_ns = answer->end_ns;
		put_latency(call, answer);
		if (calls->settings.format == NOVA_REPLY_JSON && answer->bytes)
			reply.json = nova_json_parse(answer->body, answer->bytes, trouble,
			                             sizeof(trouble));
		else if (parser && answer->bytes)
			reply.parsed = parser->parse(answer->body, answer->bytes, trouble,
			                             sizeof(trouble));
		take_reply(call, &reply, trouble[0] ? trouble : NULL);
		json_decref(reply.json);
		if (parser)
			parser->release(reply.parsed);
	} else {
		fail_unanswered(call, answer);
	}
	reap(calls);
}

/* --- requests --------------------------------------------------------------------------------- */

static int set_what(struct nova_call *call, const char *what, const char *method, const char *url)
{
	struct nova_text text = {0};
	size_t base = strlen(call->calls->base);

	if (strncmp(url, call->calls->base, base) == 0)
		url += base;
	if (what)
		nova_text_add_printable(&text, what, 160);
	else
		nova_text_printf(&text, "%s %.*s", method, (int)strcspn(url, "?"), url);
	free(call->inside->what);
	call->inside->what = text.text; /* NULL if broken */
	return !text.broken;
}

/* After a callback of the stream's: 1: the stream is over. */
static int stream_stops(struct nova_call *call, uint32_t moves, int stop)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended || inside->moves != moves)
		return 1; /* the driver has ended it, or goes on otherwise */
	if (!stop)
		return 0;
	inside->flight = NULL; /* the caller aborts it */
	nova_call_pause(call, inside->step, 0);
	return 1;
}

static int take_chunk(void *context, const char *bytes, size_t count)
{
	struct nova_call *call = context;
	uint32_t moves = call->inside->moves;

	return stream_stops(call, moves, call->inside->chunk(call, bytes, count));
}

static int take_line(void *context, const char *line, size_t length)
{
	struct nova_call *call = context;
	uint32_t moves = call->inside->moves;

	return stream_stops(call, moves, call->inside->line(call, line, length));
}

/* 0: it must not be sent, and the call has ended. */
static int may_send(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended)
		return 0;
	if (inside->stopped && !inside->stopping) {
		nova_helper_end(call, inside->stopped);
		return 0;
	}
	return 1;
}

void nova_call_request(struct nova_call *call, nova_step step, const char *what,
                       const struct nova_http_request *wanted)
{
	struct nova_call_inside *inside = call->inside;
	struct nova_http_request request = *wanted;
	const char *method = request.method ? request.method : "GET";
	int gives = request.body || request.file || request.tail || strcmp(method, "POST") == 0 ||
	            strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
	struct nova_text url = {0};
	const char *why = "out of memory";

	if (!may_send(call))
		return;
	nova_http_abort(inside->flight);
	inside->flight = NULL;
	inside->due_ns = 0;
	inside->refused = NULL;
	inside->on_loss = NULL;
	inside->moves++;
	inside->waiting = 0;
	inside->renewed = 0;
	inside->session = call->calls->session;
	inside->step = inside->stopping ? nova_helper_poll_stopped
	               : step           ? step
	                                : nova_helper_poll_look;
	inside->chunk = request.chunk;
	inside->line = request.line;
	inside->order =
	        !request.repeatable && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	nova_text_printf(&url, "%s%s", request.url[0] == '/' ? call->calls->base : "", request.url);
	request.url = nova_text_get(&url);
	if (!request.content_type && gives)
		request.content_type = call->calls->content_type;
	if (!request.deadline_ns)
		request.deadline_ns = call->deadline_ns < INT64_MAX - BEYOND_NS
		                              ? call->deadline_ns + BEYOND_NS
		                              : INT64_MAX;
	request.chunk = request.chunk ? take_chunk : NULL;
	request.line = request.line ? take_line : NULL;
	request.done = take_answer;
	request.context = call;
	if (!url.broken && set_what(call, what, method, url.text))
		inside->flight = nova_http_start(call->calls->http, &request, &why);
	if (!inside->flight)
		nova_call_fail(call, request.file ? NOVA_E_IO : NOVA_E_MEMORY,
		               "%s at %s cannot be sent: %s", nova_call_what(call),
		               call->calls->base, why);
	nova_text_free(&url);
}

void nova_call_send(struct nova_call *call, nova_step step, const char *method, const char *body,
                    const char *path, ...)
{
	struct nova_text text = {0};
	struct nova_http_request request = {
	        .method = method, .body = body, .bytes = body ? strlen(body) : 0};
	va_list arguments;

	va_start(arguments, path);
	nova_text_vprintf(&text, path, arguments);
	va_end(arguments);
	request.url = text.text;
	if (text.broken)
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_request(call, step, NULL, &request);
	nova_text_free(&text);
}

void nova_call_on_refusal(struct nova_call *call,
                          int (*refused)(struct nova_call *, const struct nova_refusal *))
{
	call->inside->refused = refused;
}

void nova_call_on_loss(struct nova_call *call, int (*lost)(struct nova_call *, int, const char *))
{
	call->inside->on_loss = lost;
}

void nova_call_pause(struct nova_call *call, nova_step step, int64_t for_ns)
{
	if (!may_send(call))
		return;
	nova_http_abort(call->inside->flight); /* a stream's callback may go on otherwise */
	call->inside->flight = NULL;
	call->inside->moves++;
	call->inside->step = step;
	call->inside->due_ns = nova_http_now_ns() + (for_ns > 0 ? for_ns : 0);
}

/* --- giving up -------------------------------------------------------------------------------- */

static void stop(struct nova_call *call, int status)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended || inside->stopped)
		return;
	inside->stopped = status;
	inside->stopped_what = strdup(nova_call_what(call)); /* NULL: said without it */
	call->deadline_ns = nova_http_now_ns() + call->calls->settings.grace_ns;
	if (inside->on_stop)
		inside->on_stop(call);
	else if (inside->polling)
		nova_helper_poll_stop(call);
	else if (!inside->flight || !inside->order || inside->waiting)
		nova_helper_end(call, status);
	/* else the answer tells what to stop, or that all is well */
}

void nova_call_stop(struct nova_call *call, int status)
{
	stop(call, status);
}

int nova_calls_cancel(struct nova_calls *calls, nova_op op)
{
	for (struct nova_call *call = calls->first; call; call = call->inside->next) {
		if (op && call->op == op) {
			stop(call, NOVA_E_CANCELLED);
			break;
		}
	}
	reap(calls);
	return NOVA_DONE;
}

/* --- pump ------------------------------------------------------------------------------------- */

static struct nova_call *find_due(struct nova_calls *calls, int64_t now_ns)
{
	for (struct nova_call *call = calls->first; call; call = call->inside->next) {
		const struct nova_call_inside *inside = call->inside;

		if (!inside->ended &&
		    (now_ns >= call->deadline_ns || (inside->due_ns && now_ns >= inside->due_ns)))
			return call;
	}
	return NULL;
}

/* Does what is due; returns when the next thing is, INT64_MAX if nothing. */
static int64_t tick(struct nova_calls *calls, int64_t now_ns)
{
	int64_t next_ns = INT64_MAX;
	struct nova_call *call;

	/* each of these ends the call or moves its times into the future */
	while ((call = find_due(calls, now_ns))) {
		if (now_ns >= call->deadline_ns && call->inside->stopped) {
			nova_helper_end(call, call->inside->stopped);
		} else if (now_ns >= call->deadline_ns) {
			stop(call, NOVA_E_TIMEOUT);
		} else {
			call->inside->due_ns = 0;
			call->inside->step(call, NULL);
		}
		reap(calls);
	}
	for (call = calls->first; call; call = call->inside->next) {
		if (call->deadline_ns < next_ns)
			next_ns = call->deadline_ns;
		if (call->inside->due_ns && call->inside->due_ns < next_ns)
			next_ns = call->inside->due_ns;
	}
	return next_ns;
}

/* The descriptors that calls wait for; what does not fit has its pause. */
static unsigned watch(const struct nova_calls *calls, struct curl_waitfd *fds)
{
	unsigned count = 0;

	for (struct nova_call *call = calls->first; call && count < WATCHED;
	     call = call->inside->next)
		if (call->inside->events && call->inside->due_ns)
			fds[count++] = (struct curl_waitfd){.fd = call->inside->fd,
			                                    .events = (short)call->inside->events};
	return count;
}

static void end_pauses(const struct nova_calls *calls, const struct curl_waitfd *fds,
                       unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (struct nova_call *call = calls->first; fds[i].revents && call;
		     call = call->inside->next)
			if (call->inside->events && call->inside->due_ns &&
			    call->inside->fd == fds[i].fd)
				call->inside->due_ns = 1;
}

/* Of files that are being sent; the host shows how long it will take. */
static void put_progress(const struct nova_calls *calls, int64_t now_ns)
{
	for (struct nova_call *call = calls->first; call; call = call->inside->next) {
		uint64_t total = 0, sent;

		if (!call->op || !call->inside->flight ||
		    now_ns - call->inside->told_ns < SECOND_NS / 2)
			continue;
		sent = nova_http_uploaded(call->inside->flight, &total);
		if (total < WORTH_TELLING)
			continue;
		call->inside->told_ns = now_ns;
		calls->host->put_f64(call->op, NOVA_FIELD_PROGRESS, (double)sent / (double)total);
	}
}

int nova_calls_pump(struct nova_calls *calls, int64_t until_ns)
{
	struct curl_waitfd fds[WATCHED];
	int64_t next_ns = tick(calls, nova_http_now_ns());
	unsigned count = watch(calls, fds);

	nova_helper_turn(calls->http, fds, count, next_ns < until_ns ? next_ns : until_ns);
	end_pauses(calls, fds, count);
	reap(calls); /* a stream's callback may have ended one */
	tick(calls, nova_http_now_ns());
	put_progress(calls, nova_http_now_ns());
	return NOVA_DONE;
}

int nova_calls_wake(struct nova_calls *calls)
{
	nova_http_wake(calls->http);
	return NOVA_DONE;
}

/* --- events ----------------------------------------------------------------------------------- */

void nova_call_event(struct nova_call *call, const char *name, uint32_t kind, uint32_t source,
                     int64_t t_ns, int64_t resolution_ns)
{
	struct nova_event event = {.struct_size = sizeof(event),
	                           .kind = kind,
	                           .source = source,
	                           .name = name,
	                           .t_ns = t_ns,
	                           .resolution_ns = resolution_ns > 0 ? resolution_ns : 1};

	call->calls->host->event(call->calls->settings.instance, &event);
}

void nova_call_poll_event(struct nova_call *call, const char *name, uint32_t kind)
{
	nova_call_event(call, name, kind, NOVA_SOURCE_POLL, call->answered_ns,
	                call->answered_ns - call->inside->running_ns);
}
