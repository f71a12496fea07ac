/* SPDX-License-Identifier: MIT */
/*
 * Ops under way, by a small driver in a test host that complains of whatever breaks the contract:
 * steps, tasks, deadlines, cancellation, sessions, and that each op ends once, with a sentence that
 * has no secret in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server.h"
#include <novacore/helpers/call.h>
#include <novacore/sdk.h>
#include <novacore/testhost.h>

#define SECRET    "pa55 w/rd+of=lab"
#define SECOND_NS 1000000000LL
#define LONG_MS   20000

static struct server *server;

/* --- the driver ------------------------------------------------------------------------------- */

struct driver {
	const struct nova_host *host;
	nova_op instance;
	struct nova_calls *calls;
	char session[64];
	int lines, freed;
};

struct call {
	struct nova_call base;
	struct driver *driver;
	char id[120]; /* what the test wants: a path, a task's name */
	char *memory;
	int turns;
};

static void release(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	call->driver->freed++;
	free(call->memory);
}

static const char *advice(int status, int code)
{
	return code == NOVA_E_NOT_FOUND && status == 404 ? "; look for it" : "";
}

static int judge(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	const char *error = nova_json_text(reply->json, "error", NULL);

	(void)base;
	nova_text_add(words, error ? error : nova_json_text(reply->json, "message", ""));
	return error ? NOVA_E_FAILED : nova_http_code(reply->http->status);
}

static int expired(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)base;
	return refusal->status == 401 || strcmp(refusal->words, "SESSION_INVALID") == 0;
}

static void logged_in(struct nova_call *base, const struct nova_reply *reply)
{
	struct driver *driver = ((struct call *)base)->driver;
	struct nova_json_reader reader = {.value = reply->json};

	snprintf(driver->session, sizeof(driver->session), "%s",
	         nova_json_need_text(&reader, "id"));
	if (reader.error[0]) {
		nova_call_puzzled(base, reader.error);
		return;
	}
	nova_calls_add_secret(driver->calls, driver->session);
	nova_http_set_header(nova_calls_http(driver->calls), "Cookie", driver->session);
	nova_call_done(base);
}

static struct driver *the_driver; /* renew has no call of the driver's making */
static const char *login = "/session/login";

static void renew(struct nova_call *base)
{
	((struct call *)base)->driver = the_driver;
	nova_call_send(base, logged_in, "POST", NULL, "%s", login);
}

static void refresh(struct nova_call *base, struct nova_text *body)
{
	nova_text_replace(body, "session-0", ((struct call *)base)->driver->session);
}

/* A format of the driver's own: a body is of it if it begins with a brace. */
static int own_format, own_read, own_released;

static void *read_own(const char *text, size_t bytes, char *why, size_t room)
{
	own_read++;
	if (text[0] == '{')
		return strndup(text, bytes);
	snprintf(why, room, "no brace");
	return NULL;
}

static void release_own(void *parsed)
{
	own_released += parsed != NULL;
	free(parsed);
}

static const struct nova_reply_parser own_parser = {.parse = read_own, .release = release_own};

static int judge_own(struct nova_call *base, const struct nova_reply *reply,
                     struct nova_text *words)
{
	const char *parsed = reply->parsed;

	(void)base;
	assert_null(reply->json);
	if (!parsed || !strstr(parsed, "session-0"))
		return nova_http_code(reply->http->status);
	nova_text_add(words, "it is an old one");
	return NOVA_E_BUSY;
}

static int create(const struct nova_host *host, nova_op instance, void **self)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	const char *secret = host->param_text(instance, "password", 0);
	int64_t grace = 0;
	int result;

	driver->host = host;
	driver->instance = instance;
	the_driver = driver;
	if (host->param_i64(instance, "grace", 0, &grace) != NOVA_DONE)
		grace = 0;
	result = nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = host,
	                .instance = instance,
	                .base = host->param_text(instance, "uri", 0),
	                .peer = "the lab",
	                .stranger = "; is this it?",
	                .trust_advice = "; set ca_file",
	                .format = own_format ? NOVA_REPLY_RAW : NOVA_REPLY_JSON,
	                .parser = own_format ? &own_parser : NULL,
	                .secrets = (const char *const[]){secret, NULL},
	                .http = {.ca_file = host->param_text(instance, "ca_file", 0),
	                         .pin = host->param_text(instance, "pin", 0),
	                         .proxy = ""},
	                .call_bytes = sizeof(struct call),
	                .release = release,
	                .judge = own_format ? judge_own : judge,
	                .advice = advice,
	                .expired = expired,
	                .renew = renew,
	                .refresh = refresh,
	                .grace_ns = grace},
	        &driver->calls);
	if (result != NOVA_DONE)
		free(driver);
	else
		*self = driver;
	return result;
}

static void destroy(void *self)
{
	nova_calls_close(((struct driver *)self)->calls);
	free(self);
}

static int pump(void *self, int64_t until_ns)
{
	return nova_calls_pump(((struct driver *)self)->calls, until_ns);
}

static int wake(void *self)
{
	return nova_calls_wake(((struct driver *)self)->calls);
}

static int cancel(void *self, nova_op op)
{
	return nova_calls_cancel(((struct driver *)self)->calls, op);
}

static struct call *begin(struct driver *driver, nova_op op, const char *id)
{
	struct call *call = (struct call *)nova_call_new(driver->calls, op);

	if (!call)
		return NULL;
	call->driver = driver;
	call->memory = malloc(10);
	snprintf(call->id, sizeof(call->id), "%s", id);
	return call;
}

static void finished(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_done(base);
}

/* --- a question (vm_list) and an order (image_delete) by its path -------------------------------
 */

static int ask_path(void *self, nova_op op, const char *path)
{
	struct call *call = begin(self, op, path);

	nova_call_send(&call->base, finished, "GET", NULL, "%s", path);
	return nova_call_return(&call->base);
}

static int order_path(void *self, nova_op op, const char *path)
{
	struct call *call = begin(self, op, path);

	nova_call_send(&call->base, finished, "POST", "{\"session\":\"session-0\"}", "%s", path);
	return nova_call_return(&call->base);
}

/* --- a task (net_delete): start it, wait for it ------------------------------------------------
 */

/* "slow tasks/a/1" is "tasks/a/1", begun by an order that takes a while. */
static const char *task_of(struct nova_call *base)
{
	const char *id = ((struct call *)base)->id;

	return strncmp(id, "slow ", 5) == 0 ? id + 5 : id;
}

static void ask_task(struct nova_call *base)
{
	nova_call_send(base, NULL, "GET", NULL, "/%s", task_of(base));
}

static void stop_task(struct nova_call *base)
{
	nova_call_send(base, NULL, "DELETE", NULL, "/stop/%s", task_of(base));
}

static int look(struct nova_call *base, const struct nova_reply *reply, struct nova_text *words)
{
	struct nova_json_reader reader = {.value = reply->json};
	const char *state = nova_json_need_text(&reader, "state");

	if (reader.error[0])
		nova_call_puzzled(base, reader.error);
	if (strcmp(state, "running") == 0)
		return NOVA_PENDING;
	nova_text_add(words, nova_json_text(reply->json, "why", ""));
	return strcmp(state, "stopped") == 0 ? NOVA_DONE : NOVA_E_FULL;
}

static void task_ended(struct nova_call *base, const struct nova_reply *reply)
{
	assert_string_equal(nova_json_text(reply->json, "state", ""), "stopped");
	nova_call_poll_event(base, "vm", NOVA_EVENT_RUNNING);
	nova_call_done(base);
}

static int forgive(struct nova_call *base, int code, const char *words)
{
	assert_int_equal(code, NOVA_E_FULL);
	assert_string_equal(words, "no space left");
	if (!strstr(((struct call *)base)->id, "forgiven"))
		return 0;
	nova_call_done(base);
	return 1;
}

static void started(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;
	struct nova_poll poll = {.first_ns = SECOND_NS / 200,
	                         .longest_ns = SECOND_NS / 50,
	                         .lost = 3,
	                         .ask = ask_task,
	                         .look = look,
	                         .stop = strstr(call->id, "unstoppable") ? NULL : stop_task,
	                         .then = task_ended,
	                         .failed = forgive};

	(void)reply;
	snprintf(poll.name, sizeof(poll.name), "task %s", call->id);
	nova_call_poll(base, &poll);
}

static int run_task(void *self, nova_op op, const char *id)
{
	struct call *call = begin(self, op, id);
	int slow = strncmp(id, "slow ", 5) == 0;

	nova_call_send(&call->base, started, "POST", "{}", "/%s/x", slow ? "slow-start" : "start");
	return nova_call_return(&call->base);
}

/* --- odd chains (exec_kill with a number) ------------------------------------------------------
 */

static void paused(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	assert_null(reply);
	if (++call->turns == 3)
		nova_call_done(base);
	else
		nova_call_pause(base, paused, call->turns == 1 ? SECOND_NS / 100 : -5);
}

/* Ends, and ends, and goes on. */
static void ends_twice(struct nova_call *base, const struct nova_reply *reply)
{
	nova_call_done(base);
	nova_call_fail(base, NOVA_E_FAILED, "after the end");
	nova_call_done(base);
	nova_call_send(base, finished, "GET", NULL, "/echo?after");
	nova_call_on_refusal(base, NULL);
	nova_call_pause(base, finished, 0);
	nova_call_puzzled(base, "why not");
	nova_call_stop(base, NOVA_E_CANCELLED);
	nova_call_poll(base, &(struct nova_poll){.ask = ask_task});
	(void)reply;
}

static int missing_is_fine(struct nova_call *base, const struct nova_refusal *refusal)
{
	assert_int_equal(refusal->status, 404);
	assert_int_equal(refusal->code, NOVA_E_NOT_FOUND);
	assert_string_equal(refusal->words, "no such path");
	nova_call_send(base, finished, "GET", NULL, "/status/200"); /* with no hook any more */
	return 1;
}

static void fails_with_secret(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_fail(base, NOVA_E_FAILED, "what: %s, %s, %s", SECRET, "pa55%20w%2Frd%2Bof%3Dlab",
	               "pa55 w\\/rd");
}

static void upkeep(struct driver *driver)
{
	struct call *call = begin(driver, 0, "");

	nova_call_send(&call->base, fails_with_secret, "GET", NULL, "/status/200");
	nova_call_return(&call->base);
}

static int line(void *context, const char *text, size_t length)
{
	struct call *call = context;

	(void)text;
	(void)length;
	if (++call->driver->lines == 3)
		nova_call_done(&call->base);
	return 0;
}

static int any_line(void *context, const char *text, size_t length)
{
	(void)length;
	((struct call *)context)->turns += strcmp(text, "third") == 0;
	return 0;
}

static void stream_ended(struct nova_call *base, const struct nova_reply *reply)
{
	assert_null(reply->json);
	assert_int_equal(((struct call *)base)->turns, 1);
	nova_call_done(base);
}

static void seen_enough(struct nova_call *base, const struct nova_reply *reply)
{
	assert_null(reply);
	nova_call_done(base);
}

/* Stops the stream, makes a pause instead, or sends something else. */
static int second_line(void *context, const char *text, size_t length)
{
	struct call *call = context;

	assert_int_equal(strlen(text), length);
	if (call->turns == 10)
		nova_call_pause(&call->base, seen_enough, 1000);
	if (call->turns == 20)
		nova_call_send(&call->base, finished, "GET", NULL, "/status/200?after-line");
	return call->turns != 10;
}

static int watch_again(struct nova_call *base, int code, const char *why)
{
	struct nova_http_request stream = {.url = "/lines", .line = any_line};

	assert_int_equal(code, NOVA_E_UNAVAILABLE);
	assert_true(strlen(why) > 5);
	nova_call_request(base, stream_ended, NULL, &stream);
	return 1;
}

static void asks_nothing(struct nova_call *base)
{
	(void)base;
}

/* A task that is asked for hardly ever, and the one that hurries it. */
static struct call *lazy;
static int looks;

static int look_lazily(struct nova_call *base, const struct nova_reply *reply,
                       struct nova_text *words)
{
	looks++;
	return look(base, reply, words);
}

static void begin_lazily(struct call *call)
{
	struct nova_poll poll = {.name = "the lazy one",
	                         .first_ns = 3600 * SECOND_NS,
	                         .longest_ns = 3600 * SECOND_NS,
	                         .ask = ask_task,
	                         .look = look_lazily,
	                         .then = task_ended};

	snprintf(call->id, sizeof(call->id), "tasks/lazy/5");
	lazy = call;
	looks = 0;
	nova_call_poll(&call->base, &poll);
}

static void wait_for_look(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	if (looks > ((struct call *)base)->turns)
		nova_call_done(base);
	else
		nova_call_pause(base, wait_for_look, SECOND_NS / 500);
}

/* Done when the lazy one, once it is there, was asked once more. */
static void hurry(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	if (!lazy) {
		nova_call_pause(base, hurry, SECOND_NS / 500);
		return;
	}
	((struct call *)base)->turns = looks;
	nova_call_poll_now(&lazy->base, ((struct call *)base)->id[0] ? SECOND_NS / 200 : 0);
	wait_for_look(base, NULL);
}

/* The same server under another name: a path in front of its own. */
static int follow_leader(struct call *call, const char *after)
{
	char base[200];

	snprintf(base, sizeof(base), "%s%s",
	         call->driver->host->param_text(call->driver->instance, "uri", 0), after);
	return nova_calls_set_base(call->base.calls, base);
}

/* Two that make the same, and one that makes something else. */
static void claim(struct call *call)
{
	struct nova_call *others[2];

	for (int i = 0; i < 2; i++) {
		others[i] = &begin(call->driver, 0, "")->base;
		assert_int_equal(nova_call_claim(others[i], i ? "a VM" : "another VM"), 1);
	}
	assert_int_equal(nova_call_claim(&call->base, "a VM"), 0);
	for (int i = 0; i < 2; i++) {
		nova_call_done(others[i]);
		nova_call_return(others[i]);
	}
}

static int odd(void *self, nova_op op, const struct nova_ref *vm, int64_t which)
{
	struct call *call = begin(self, op, "tasks/odd/0");
	struct nova_http_request stream = {
	        .url = "/lines", .line = line, .context = "not looked at"};
	struct nova_http_request upload = {.method = "PUT", .url = "/status/200", .file = "/none"};

	(void)vm;
	switch (which) {
	case 1: nova_call_pause(&call->base, paused, 0); break;
	case 2: nova_call_send(&call->base, ends_twice, "GET", NULL, "/status/200"); break;
	case 3:
		nova_call_send(&call->base, finished, "GET", NULL, "/none");
		nova_call_on_refusal(&call->base, missing_is_fine);
		break;
	case 4: nova_call_send(&call->base, fails_with_secret, "GET", NULL, "/status/200"); break;
	case 5:
		upkeep(self);
		nova_call_pause(&call->base, finished, SECOND_NS / 5);
		break;
	case 6: nova_call_request(&call->base, finished, "the stream", &stream); break;
	case 7: nova_call_request(&call->base, finished, NULL, &upload); break;
	case 8: nova_call_poll(&call->base, &(struct nova_poll){.ask = asks_nothing}); break;
	case 9: ends_twice(&call->base, NULL); break; /* before the op has returned */
	case 10:
		nova_call_fail(&call->base, NOVA_E_EXISTS, "at once");
		nova_call_done(&call->base);
		break;
	case 11: started(&call->base, NULL); break;
	case 12:
		call->base.deadline_ns = INT64_MAX; /* a watch of the instance's */
		stream.line = any_line;
		nova_call_request(&call->base, stream_ended, NULL, &stream);
		break;
	case 13:
		stream.url = "/cut-lines";
		stream.line = any_line;
		nova_call_request(&call->base, stream_ended, NULL, &stream);
		nova_call_on_loss(&call->base, watch_again);
		break;
	case 14:
	case 15:
	case 16:
		call->turns = (int)(which - 14) * 10;
		stream.line = second_line;
		stream.url = "/stall";
		nova_call_request(&call->base, seen_enough, NULL, &stream);
		break;
	case 17: begin_lazily(call); break;
	case 18:
	case 19:
		call->id[0] = which == 19; /* also after that */
		hurry(&call->base, NULL);
		break;
	case 20:
	case 21:
		assert_int_equal(follow_leader(call, which == 20 ? "/led/by//" : ""), NOVA_DONE);
		nova_call_send(&call->base, finished, "GET", NULL, "/echo?leader");
		break;
	case 22: claim(call); break;
	case 23:
		assert_int_equal(nova_call_claim(&call->base, "a VM"), 1);
		assert_int_equal(nova_call_claim(&call->base, "a VM"), 1);
		nova_call_done(&call->base);
		break;
	default:
		nova_call_poll_now(&call->base, 1); /* it does not poll */
		nova_call_done(&call->base);
	}
	return nova_call_return(&call->base);
}

#define PARAMETER(name_, type_)                                                                    \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), .type = (type_), .name = (name_),    \
		.doc = "of the test"                                                               \
	}

static const struct nova_parameter parameters[] = {
        PARAMETER("uri", NOVA_PARAM_TEXT), PARAMETER("ca_file", NOVA_PARAM_PATH),
        PARAMETER("pin", NOVA_PARAM_TEXT), PARAMETER("password", NOVA_PARAM_SECRET),
        PARAMETER("grace", NOVA_PARAM_DURATION)};
static const struct nova_parameter *const parameter_list[] = {
        &parameters[0], &parameters[1], &parameters[2], &parameters[3], &parameters[4], NULL};

static const struct nova_hypervisor ops = {.struct_size = sizeof(ops),
                                           .create = create,
                                           .destroy = destroy,
                                           .pump = pump,
                                           .wake = wake,
                                           .cancel = cancel,
                                           .vm_list = ask_path,
                                           .image_delete = order_path,
                                           .net_delete = run_task,
                                           .exec_kill = odd};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_HYPERVISOR,
                                          .thread_model = NOVA_THREADS_PER_INSTANCE,
                                          .name = "lab",
                                          .version = "0.1",
                                          .summary = "a driver to test the helpers",
                                          .license = "MIT",
                                          .parameters = parameter_list,
                                          .ops = &ops};

/* --- the tests' tools ------------------------------------------------------------------------- */

static struct nova_testhost *open_lab(const char *grace)
{
	char uri[80], ca_file[200];
	const char *list[] = {uri, ca_file, "password=" SECRET, grace, NULL};
	struct nova_testhost *host;

	snprintf(uri, sizeof(uri), "uri=%s", server_url(server, "//")); /* as a user may write it */
	snprintf(ca_file, sizeof(ca_file), "ca_file=%s", certificates_file("ca"));
	host = nova_testhost_new(&plugin, list);
	if (!host)
		fail_msg("%s", nova_testhost_refusal());
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	return host;
}

static void close_lab(struct nova_testhost *host)
{
	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("contract: %s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
	nova_testhost_free(host);
}

static void expect(struct nova_testhost *host, int got, int wanted, const char *said)
{
	const char *error = nova_testhost_error(host);

	if (got != wanted)
		fail_msg("status %d instead of %d: %s", got, wanted, error);
	if (!strstr(error, said))
		fail_msg("'%s' is not in '%s'", said, error);
	if (strstr(error, "pa55") || strstr(error, "session-"))
		fail_msg("a secret is in '%s'", error);
}

#define CALL(host, ...) nova_testhost_call(host, LONG_MS, __VA_ARGS__)

static void odd_one(struct nova_testhost *host, int64_t which, int wanted, const char *said)
{
	expect(host, CALL(host, exec_kill, NULL, which), wanted, said);
}

struct canceller {
	struct nova_testhost *host;
	nova_op op;
	const char *request;
	int count;
};

/* Once the server has seen so many of those requests. */
static void *cancel_then(void *context)
{
	struct canceller *canceller = context;

	if (!server_wait(server, canceller->request, canceller->count))
		return NULL;
	nova_testhost_cancel(canceller->host, canceller->op);
	return NULL;
}

static int cancelled(struct nova_testhost *host,
                     int (*op)(void *self, nova_op op, const char *text), const char *text,
                     const char *request)
{
	struct canceller canceller = {.host = host, .request = request};
	pthread_t thread;
	int status;

	canceller.count = server_count(server, request) + 1;
	canceller.op = nova_testhost_begin(host, LONG_MS);
	status = op(nova_testhost_self(host), canceller.op, text);
	assert_int_equal(pthread_create(&thread, NULL, cancel_then, &canceller), 0);
	status = nova_testhost_end(host, status);
	pthread_join(thread, NULL);
	assert_int_equal(nova_testhost_ended(host), 1);
	return status;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void asks_and_orders(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	struct driver *driver = nova_testhost_self(host);
	int64_t latency = 0;
	char *headers;

	(void)state;
	expect(host, CALL(host, vm_list, "/status/200"), NOVA_DONE, "");
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_API_NS), 1);
	assert_int_equal(nova_testhost_i64(host, NOVA_FIELD_API_NS, 0, &latency), NOVA_DONE);
	assert_true(latency > 1000);
	assert_int_equal(driver->freed, 1);
	expect(host, CALL(host, image_delete, "/status/201"), NOVA_DONE, "");
	headers = server_headers(server);
	assert_non_null(strstr(headers, "Content-Type: application/json\r"));
	free(headers);
	expect(host, CALL(host, vm_list, "/status/204"), NOVA_DONE, "");
	close_lab(host);
}

static void says_what_the_peer_says(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	expect(host, CALL(host, vm_list, "/none?key=value"), NOVA_E_NOT_FOUND,
	       "GET /none at https://");
	expect(host, CALL(host, vm_list, "/none"), NOVA_E_NOT_FOUND,
	       ": 404 no such path; look for it");
	assert_null(strstr(nova_testhost_error(host), "key"));
	expect(host, CALL(host, vm_list, "/status/503"), NOVA_E_UNAVAILABLE, "503 so it is");
	expect(host, CALL(host, vm_list, "/redirect"), NOVA_E_PROTOCOL,
	       "302 a redirect to https://evil.example/take, which is not followed");
	expect(host, CALL(host, vm_list, "/lines"), NOVA_E_PROTOCOL, "is not the lab's (no JSON: ");
	expect(host, CALL(host, vm_list, "/lines"), NOVA_E_PROTOCOL, "; is this it?");
	expect(host, CALL(host, vm_list, "/big/17000000"), NOVA_E_PROTOCOL, "longer");
	expect(host, CALL(host, image_delete, "/drop"), NOVA_E_UNKNOWN, "POST /drop at https://");
	close_lab(host);
}

static void pauses_and_hooks(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	odd_one(host, 1, NOVA_DONE, "");
	odd_one(host, 3, NOVA_DONE, "");
	odd_one(host, 6, NOVA_DONE, "");
	assert_int_equal(((struct driver *)nova_testhost_self(host))->lines, 3);
	odd_one(host, 12, NOVA_DONE, "");
	assert_int_equal(nova_testhost_count(host, NOVA_FIELD_API_NS), 0); /* it is no latency */
	odd_one(host, 13, NOVA_DONE, "");
	odd_one(host, 14, NOVA_DONE, "");
	odd_one(host, 15, NOVA_DONE, "");
	odd_one(host, 16, NOVA_DONE, "");
	assert_int_equal(server_count(server, "GET /status/200?after-line"), 1);
	odd_one(host, 7, NOVA_E_IO, "PUT /status/200");
	odd_one(host, 8, NOVA_E_INTERNAL, "does not ask");
	close_lab(host);
}

static void goes_where_the_leader_is(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	odd_one(host, 20, NOVA_E_NOT_FOUND, "/led/by: 404");
	assert_int_equal(server_count(server, "GET ///led/by/echo?leader"), 1);
	odd_one(host, 21, NOVA_DONE, "");
	close_lab(host);
}

static void ends_exactly_once(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	struct driver *driver = nova_testhost_self(host);

	(void)state;
	odd_one(host, 2, NOVA_DONE, "");
	odd_one(host, 9, NOVA_DONE, "");
	odd_one(host, 10, NOVA_E_EXISTS, "at once");
	odd_one(host, 0, NOVA_DONE, "");
	expect(host, CALL(host, vm_list, "/status/200"), NOVA_DONE, "");
	assert_int_equal(driver->freed, 5);
	assert_int_equal(server_count(server, "GET /echo?after"), 0);
	close_lab(host);
}

static void two_calls_make_nothing_of_one_name(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	odd_one(host, 22, NOVA_E_EXISTS, "'a VM' is being made already");
	odd_one(host, 23, NOVA_DONE, ""); /* whoever made it has ended */
	close_lab(host);
}

static void keeps_secrets_out_of_errors_and_logs(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	odd_one(host, 4, NOVA_E_FAILED, "what: ****, ****, ****");
	odd_one(host, 5, NOVA_DONE, "");
	assert_int_equal(nova_testhost_logged(host, "what: ****, ****, ****"), 1);
	assert_int_equal(nova_testhost_logged(host, "pa55"), 0);
	close_lab(host);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void waits_for_a_task(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	const struct nova_event *event;
	int64_t before_ns = nova_http_now_ns();

	(void)state;
	expect(host, CALL(host, net_delete, "tasks/a/5"), NOVA_DONE, "");
	assert_int_equal(server_count(server, "GET /tasks/a/5"), 6);
	event = nova_testhost_wait(host, 0, "vm", NOVA_EVENT_RUNNING, 0);
	assert_non_null(event);
	assert_int_equal(event->source, NOVA_SOURCE_POLL);
	assert_true(event->resolution_ns > 1000);
	/* after the fifth question, and four pauses of 5 to 17 ms */
	assert_true(event->t_ns - event->resolution_ns - before_ns > SECOND_NS / 25);
	/* one that began before this op, and has ended */
	odd_one(host, 11, NOVA_DONE, "");
	close_lab(host);
}

static void says_how_a_task_failed(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	expect(host, CALL(host, net_delete, "failing"), NOVA_E_FULL,
	       "task failing failed: no space left");
	expect(host, CALL(host, net_delete, "failing?forgiven"), NOVA_DONE, "");
	expect(host, CALL(host, net_delete, "status/200"), NOVA_E_PROTOCOL, "state is missing");
	expect(host, CALL(host, net_delete, "status/403"), NOVA_E_PERMISSION, "403 so it is");
	close_lab(host);
}

static void asks_again_where_an_answer_was_lost(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	expect(host, CALL(host, net_delete, "lost/a/3"), NOVA_DONE, "");
	expect(host, CALL(host, net_delete, "lost/b/9"), NOVA_E_UNAVAILABLE, "GET /lost/b/9");
	expect(host, CALL(host, net_delete, "flaky/polled/9"), NOVA_E_UNAVAILABLE, "503");
	assert_int_equal(server_count(server, "GET /flaky/polled"), 4);
	/* in a row: any number of them in all */
	expect(host, CALL(host, net_delete, "shaky/a/20"), NOVA_DONE, "");
	close_lab(host);
}

/* --- giving up -------------------------------------------------------------------------------- */

static void gives_up_at_the_deadline(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	expect(host, nova_testhost_call(host, 300, vm_list, "/never"), NOVA_E_TIMEOUT,
	       "GET /never at https://");
	expect(host, nova_testhost_call(host, 300, net_delete, "tasks/b/100000"), NOVA_E_TIMEOUT,
	       "not finished at the deadline; told to stop: task tasks/b/100000");
	assert_int_equal(server_count(server, "DELETE /stop/tasks/b"), 1);
	expect(host, nova_testhost_call(host, 300, net_delete, "tasks/unstoppable/100000"),
	       NOVA_E_TIMEOUT, "how it ended there is unknown");
	assert_int_equal(nova_testhost_ended(host), 1);
	close_lab(host);
}

static void stops_the_task_when_cancelled(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	char *request = "GET /tasks/c/100000";

	(void)state;
	expect(host, cancelled(host, run_task, "tasks/c/100000", request), NOVA_E_CANCELLED,
	       "told to stop: task tasks/c/100000");
	assert_int_equal(server_count(server, "DELETE /stop/tasks/c"), 1);
	expect(host, cancelled(host, ask_path, "/never", "GET /never"), NOVA_E_CANCELLED,
	       "given up");
	close_lab(host);
}

/* Its answer names the task, or says that it went well. */
static void waits_for_an_order_that_is_under_way(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	expect(host, cancelled(host, run_task, "slow tasks/d/1", "POST /slow-start/"),
	       NOVA_E_CANCELLED, "told to stop");
	assert_int_equal(server_count(server, "DELETE /stop/tasks/d"), 1);
	assert_int_equal(server_count(server, "GET /tasks/d"), 0);
	expect(host, cancelled(host, order_path, "/slow-start/whole", "POST /slow-start/whole"),
	       NOVA_DONE, "");
	close_lab(host);
	/* but not for ever */
	host = open_lab("grace=100ms");
	expect(host, cancelled(host, order_path, "/never", "POST /never"), NOVA_E_CANCELLED,
	       "given up");
	close_lab(host);
}

static void drops_what_is_under_way_when_it_is_closed(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	struct driver *driver = nova_testhost_self(host);

	(void)state;
	upkeep(driver);
	nova_testhost_free(host);
}

static void reports_what_cannot_be_opened(void **state)
{
	const char *list[] = {"uri=https://127.0.0.1:1", "pin=AB", "password=" SECRET, NULL};
	struct nova_testhost *host = nova_testhost_new(&plugin, list);

	(void)state;
	assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
	expect(host, NOVA_E_INVALID, NOVA_E_INVALID, "SHA-256");
	nova_testhost_free(host);
}

static void advises_whom_to_trust(void **state)
{
	char pin[120], uri[80];
	const char *list[] = {uri, pin, "password=" SECRET, NULL};
	struct nova_testhost *host;

	(void)state;
	snprintf(uri, sizeof(uri), "uri=%s", server_url(server, ""));
	snprintf(pin, sizeof(pin), "pin=%s", certificates_pin("expired"));
	host = nova_testhost_new(&plugin, list);
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	expect(host, CALL(host, vm_list, "/status/200"), NOVA_E_PERMISSION, "; set ca_file");
	close_lab(host);
}

/* --- sessions --------------------------------------------------------------------------------- */

static void logs_in_again_once_for_all(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	int logins;

	(void)state;
	expect(host, CALL(host, vm_list, "/session/a"), NOVA_DONE, "");
	logins = server_count(server, "POST /session/login");
	for (int i = 0; i < 3; i++)
		expect(host, CALL(host, vm_list, "/session/a"), NOVA_DONE, "");
	assert_int_equal(server_count(server, "POST /session/login"), logins);
	expect(host, CALL(host, vm_list, "/session/end"), NOVA_DONE, "");
	/* an order, too: a refused one was not carried out */
	expect(host, CALL(host, image_delete, "/session/order"), NOVA_DONE, "");
	assert_int_equal(server_count(server, "POST /session/login"), logins + 1);
	assert_int_equal(server_count(server, "POST /session/order"), 2);
	/* a body that names the session */
	expect(host, CALL(host, vm_list, "/session/end"), NOVA_DONE, "");
	expect(host, CALL(host, image_delete, "/rpc"), NOVA_DONE, "");
	close_lab(host);
}

struct one {
	pthread_t thread;
	struct nova_testhost *host;
	const char *path;
	int status;
};

static void *ask_one(void *context)
{
	struct one *one = context;

	one->status = CALL(one->host, vm_list, one->path);
	return NULL;
}

static void many_wait_for_one_login(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	struct one all[20];
	int logins = server_count(server, "POST /session/login");

	(void)state;
	for (int i = 0; i < 20; i++) {
		all[i] = (struct one){.host = host, .path = "/session/many"};
		assert_int_equal(pthread_create(&all[i].thread, NULL, ask_one, &all[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		pthread_join(all[i].thread, NULL);
		assert_int_equal(all[i].status, NOVA_DONE);
	}
	assert_int_equal(server_count(server, "POST /session/login"), logins + 1);
	close_lab(host);
}

/* Refused when there is a new one already: for a session that it never saw. */
static void a_late_refusal_ends_no_new_session(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	struct one late = {.host = host, .path = "/session/slow"};
	int logins = server_count(server, "POST /session/login");

	(void)state;
	assert_int_equal(pthread_create(&late.thread, NULL, ask_one, &late), 0);
	assert_int_equal(server_wait(server, "GET /session/slow", 1), 1);
	expect(host, CALL(host, vm_list, "/session/a"), NOVA_DONE, "");
	pthread_join(late.thread, NULL);
	assert_int_equal(late.status, NOVA_DONE);
	assert_int_equal(server_count(server, "POST /session/login"), logins + 1);
	assert_int_equal(server_count(server, "GET /session/slow"), 2);
	close_lab(host);
}

static void says_why_there_is_no_new_session(void **state)
{
	struct nova_testhost *host = open_lab(NULL);

	(void)state;
	login = "/status/403";
	expect(host, CALL(host, vm_list, "/session/a"), NOVA_E_PERMISSION,
	       "GET /session/a at https://");
	expect(host, CALL(host, vm_list, "/session/a"), NOVA_E_PERMISSION,
	       "there is no new one: POST /status/403");
	login = "/never";
	expect(host, cancelled(host, ask_path, "/session/b", "POST /never"), NOVA_E_CANCELLED,
	       "given up");
	expect(host, nova_testhost_call(host, 300, vm_list, "/session/c"), NOVA_E_TIMEOUT, "");
	close_lab(host);
	host = open_lab("grace=1h"); /* a refused order is not waited for: it was not carried out */
	expect(host, cancelled(host, order_path, "/session/d", "POST /never"), NOVA_E_CANCELLED,
	       "given up");
	login = "/status/200"; /* a good answer that names no session */
	close_lab(host);
	host = open_lab(NULL);
	expect(host, CALL(host, vm_list, "/session/a"), NOVA_E_PROTOCOL, "id is missing");
	login = "/session/login";
	/* and a session that does not help is not renewed for ever */
	expect(host, CALL(host, vm_list, "/status/401"), NOVA_E_PERMISSION, "401 so it is");
	assert_int_equal(server_count(server, "GET /status/401"), 2);
	close_lab(host);
}

static void *be_lazy(void *context)
{
	struct nova_testhost *host = context;
	int status = CALL(host, exec_kill, NULL, 17);

	return status == NOVA_DONE ? context : NULL;
}

static void news_hurry_a_question(void **state)
{
	struct nova_testhost *host = open_lab(NULL);
	pthread_t thread;
	void *done;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, be_lazy, host), 0);
	odd_one(host, 18, NOVA_DONE, "");
	odd_one(host, 18, NOVA_DONE, "");
	assert_int_equal(looks, 2); /* and no more by itself */
	odd_one(host, 19, NOVA_DONE, "");
	pthread_join(thread, &done);
	assert_ptr_equal(done, host);
	assert_int_equal(server_count(server, "GET /tasks/lazy"), 6);
	odd_one(host, 99, NOVA_DONE, "");
	close_lab(host);
}

static void reads_a_format_of_the_drivers_own(void **state)
{
	struct nova_testhost *host;

	(void)state;
	own_format = 1;
	host = open_lab(NULL);
	expect(host, CALL(host, image_delete, "/echo"), NOVA_E_BUSY, "it is an old one");
	expect(host, CALL(host, vm_list, "/big/5"), NOVA_E_PROTOCOL, "not the lab's (no brace)");
	expect(host, CALL(host, vm_list, "/status/500"), NOVA_E_FAILED, "500 ");
	close_lab(host);
	own_format = 0;
	assert_int_equal(own_read, 3);
	assert_int_equal(own_released, 2); /* the server says what is wrong in braces */
}

static int start(void **state)
{
	(void)state;
	certificates_make();
	server = server_start("good", NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	server_stop(server);
	certificates_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(asks_and_orders),
	        cmocka_unit_test(says_what_the_peer_says),
	        cmocka_unit_test(pauses_and_hooks),
	        cmocka_unit_test(goes_where_the_leader_is),
	        cmocka_unit_test(ends_exactly_once),
	        cmocka_unit_test(two_calls_make_nothing_of_one_name),
	        cmocka_unit_test(keeps_secrets_out_of_errors_and_logs),
	        cmocka_unit_test(waits_for_a_task),
	        cmocka_unit_test(says_how_a_task_failed),
	        cmocka_unit_test(asks_again_where_an_answer_was_lost),
	        cmocka_unit_test(gives_up_at_the_deadline),
	        cmocka_unit_test(stops_the_task_when_cancelled),
	        cmocka_unit_test(waits_for_an_order_that_is_under_way),
	        cmocka_unit_test(drops_what_is_under_way_when_it_is_closed),
	        cmocka_unit_test(reports_what_cannot_be_opened),
	        cmocka_unit_test(advises_whom_to_trust),
	        cmocka_unit_test(logs_in_again_once_for_all),
	        cmocka_unit_test(many_wait_for_one_login),
	        cmocka_unit_test(a_late_refusal_ends_no_new_session),
	        cmocka_unit_test(says_why_there_is_no_new_session),
	        cmocka_unit_test(news_hurry_a_question),
	        cmocka_unit_test(reads_a_format_of_the_drivers_own),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
