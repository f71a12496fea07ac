/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out: each allocation of the helpers fails once. A plugin may not abort, so all
 * of it must come out as an op that ends once, well or with an error, and nothing may be left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include <novacore/helpers/call.h>

#define SECOND_NS 1000000000LL

/* The linker leads calls of those functions here (--wrap). */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

static _Thread_local int countdown; /* 1: the next one fails; 0: none does */

static int fails(void)
{
	return countdown && --countdown == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
	return fails() ? NULL : __real_strndup(text, bytes);
}

/* --- a host ----------------------------------------------------------------------------------- */

static struct server *server;
static int ends, ended_with, errors;

static void done(nova_op op, int32_t status)
{
	assert_int_equal(op, 7);
	ends++;
	ended_with = status;
}

static int error(nova_op op, int32_t code, const char *text)
{
	(void)op;
	assert_true(code < 0 && text && text[0]);
	errors++;
	return code;
}

static int64_t deadline_ns(nova_op op)
{
	(void)op;
	return nova_http_now_ns() + 10 * SECOND_NS;
}

static int put_i64(nova_op op, uint32_t field, int64_t value)
{
	(void)op;
	(void)field;
	(void)value;
	return NOVA_DONE;
}

static void say(uint64_t instance, uint32_t severity, const char *text)
{
	(void)instance;
	(void)severity;
	(void)text;
}

static const struct nova_host host = {.struct_size = sizeof(host),
                                      .done = done,
                                      .error = error,
                                      .deadline_ns = deadline_ns,
                                      .put_i64 = put_i64,
                                      .log = say};

/* --- one op with all there is: a login, an order, a task, a refusal ----------------------------
 */

static int is_401(struct nova_call *call, const struct nova_refusal *refusal)
{
	(void)call;
	return refusal->status == 401;
}

static void logged_in(struct nova_call *call, const struct nova_reply *reply)
{
	const char *id = nova_json_text(reply->json, "id", "");

	if (nova_calls_add_secret(call->calls, id) != NOVA_DONE ||
	    !nova_http_set_header(nova_calls_http(call->calls), "Cookie", id))
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	else
		nova_call_done(call);
}

static void renew(struct nova_call *call)
{
	nova_call_send(call, logged_in, "POST", NULL, "/session/login");
}

static void refused_at_last(struct nova_call *call, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_fail(call, NOVA_E_INTERNAL, "a refusal was taken for an answer");
}

static int fine(struct nova_call *call, const struct nova_refusal *refusal)
{
	if (refusal->status != 404)
		return 0;
	nova_call_done(call);
	return 1;
}

static void ended(struct nova_call *call, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_send(call, refused_at_last, "GET", NULL, "/none/%s", "at-all");
	nova_call_on_refusal(call, fine);
}

static void ask(struct nova_call *call)
{
	nova_call_send(call, NULL, "GET", NULL, "/tasks/memory/0");
}

static int look(struct nova_call *call, const struct nova_reply *reply, struct nova_text *words)
{
	(void)call;
	nova_text_add(words, "as the peer says");
	return strcmp(nova_json_text(reply->json, "state", ""), "stopped") == 0 ? NOVA_DONE
	                                                                        : NOVA_E_FAILED;
}

static void started(struct nova_call *call, const struct nova_reply *reply)
{
	(void)reply;
	nova_call_poll(
	        call,
	        &(struct nova_poll){
	                .name = "the task", .at_once = 1, .ask = ask, .look = look, .then = ended});
}

static int run(struct nova_calls *calls)
{
	struct nova_call *call = nova_call_new(calls, 7);
	int status;

	if (!call)
		return NOVA_E_MEMORY;
	nova_call_send(call, started, "POST", "{}", "/session/%s", "start");
	status = nova_call_return(call);
	while (status == NOVA_PENDING && !ends)
		nova_calls_pump(calls, nova_http_now_ns() + SECOND_NS);
	return status == NOVA_PENDING ? ended_with : status;
}

/* Fails the n-th allocation; 1: there was one. */
static int run_without(int n)
{
	static const char *const secrets[] = {"hidden from all", NULL};
	static const char *const headers[] = {"Accept: application/json", NULL};
	struct nova_calls *calls = NULL;
	struct nova_calls_settings settings = {
	        .host = &host,
	        .instance = 1,
	        .base = server_url(server, "/"),
	        .format = NOVA_REPLY_JSON,
	        .secrets = secrets,
	        .http = {.ca_file = certificates_file("ca"), .headers = headers},
	        .expired = is_401,
	        .renew = renew};
	int status;
	int failed;

	settings.http.proxy = "";
	ends = errors = 0;
	countdown = n;
	status = nova_calls_open(&settings, &calls);
	if (status == NOVA_DONE)
		status = run(calls);
	failed = countdown == 0 && n > 0;
	countdown = 0;
	nova_calls_close(calls);
	assert_true(ends <= 1);
	if (!failed && status != NOVA_DONE)
		fail_msg("status %d without a failure", status);
	if (status != NOVA_DONE)
		assert_true(errors > 0);
	return failed;
}

static void survives_each_failed_allocation(void **state)
{
	int n = 1;

	(void)state;
	assert_int_equal(run_without(0), 0);
	/* a failure may be survived: then there are more of them behind it */
	while (run_without(n))
		n++;
	assert_true(n > 60);
}

static void texts_and_secrets_survive_it(void **state)
{
	(void)state;
	for (int n = 1; n < 40; n++) {
		struct nova_text text = {0};
		struct nova_secrets *secrets;

		countdown = n;
		secrets = nova_secrets_new();
		nova_text_printf(&text, "%0200d", 1);
		nova_text_printf(&text, "%0400d", 1);
		nova_text_replace(&text, "0", "some");
		if (secrets && nova_secrets_add(secrets, "abcdefgh") == NOVA_DONE && !text.broken)
			nova_text_add(&text, "abcdefgh");
		countdown = 0;
		nova_secrets_hide(secrets, text.text);
		assert_null(strstr(nova_text_get(&text), "abcdefgh"));
		nova_secrets_free(secrets);
		nova_text_free(&text);
	}
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
	        cmocka_unit_test(texts_and_secrets_survive_it),
	        cmocka_unit_test(survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
