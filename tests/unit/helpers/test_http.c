/* SPDX-License-Identifier: MIT */
/*
 * HTTPS requests against a server that misbehaves: whom the client trusts, what it sends twice,
 * where it gives up, and that no credential gets into its sentences.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include <novacore/helpers/http.h>
#include <novacore/helpers/text.h>
#include <novacore/types.h>

#define SECRET    "0b5e55ed-c0de/+=\"with blanks"
#define SECOND_NS 1000000000LL

static struct server *server;

struct got {
	int count, result, status;
	char error[700], reason[300], header[100];
	char *body;
	size_t bytes;
	int64_t sent_ns, end_ns;
	uint32_t attempts;
	const char *wanted; /* name of the header to keep */
	char lines[300];    /* each with | behind it */
	int stop_after;     /* lines */
	struct nova_http_flight **abort_in_line;
	int line_count;
};

static void take(void *context, const struct nova_http_answer *answer)
{
	struct got *got = context;
	const char *header = got->wanted ? nova_http_header(answer, got->wanted, 0) : NULL;

	got->count++;
	got->result = answer->result;
	got->status = answer->status;
	snprintf(got->error, sizeof(got->error), "%s", answer->error ? answer->error : "");
	snprintf(got->reason, sizeof(got->reason), "%s", answer->reason);
	snprintf(got->header, sizeof(got->header), "%s", header ? header : "");
	assert_int_equal(answer->error == NULL, answer->result == NOVA_DONE);
	free(got->body);
	got->body = calloc(answer->bytes + 1, 1);
	memcpy(got->body, answer->body, answer->bytes + 1);
	got->bytes = answer->bytes;
	got->sent_ns = answer->sent_ns;
	got->end_ns = answer->end_ns;
	got->attempts = answer->attempts;
}

static struct nova_http *open_with(struct nova_http_settings settings)
{
	struct nova_http *client = NULL;
	const char *why = "";

	if (!settings.proxy)
		settings.proxy = "";
	if (nova_http_open(&settings, &client, &why) != NOVA_DONE)
		fail_msg("%s", why);
	return client;
}

static struct nova_http *open_trusting(void)
{
	return open_with((struct nova_http_settings){.ca_file = certificates_file("ca")});
}

static void finish(struct nova_http *client, struct got *got)
{
	while (!got->count)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS);
}

static void run(struct nova_http *client, struct nova_http_request request, struct got *got)
{
	const char *why = "";

	free(got->body);
	got->body = NULL;
	got->count = 0;
	request.done = take;
	request.context = got;
	if (!request.deadline_ns)
		request.deadline_ns = nova_http_now_ns() + 20 * SECOND_NS;
	if (!nova_http_start(client, &request, &why))
		fail_msg("%s", why);
	finish(client, got);
}

static void get(struct nova_http *client, const char *path, struct got *got)
{
	run(client, (struct nova_http_request){.url = server_url(server, path)}, got);
}

static void post(struct nova_http *client, const char *path, struct got *got)
{
	run(client,
	    (struct nova_http_request){
	            .method = "POST", .url = server_url(server, path), .body = "x=1", .bytes = 3},
	    got);
}

static void expect(const struct got *got, int result, const char *said)
{
	if (got->result != result)
		fail_msg("result %d instead of %d: %s", got->result, result, got->error);
	if (!strstr(got->error, said))
		fail_msg("'%s' is not in '%s'", said, got->error);
}

/* --- trust ------------------------------------------------------------------------------------ */

/* One request by a client of its own. */
static void try_with(struct nova_http_settings settings, const char *url, struct got *got)
{
	struct nova_http *client = open_with(settings);

	run(client, (struct nova_http_request){.url = url}, got);
	free(got->body);
	got->body = NULL;
	nova_http_close(client);
}

static void trusts_the_authority_it_was_given(void **state)
{
	struct got got = {0};
	char name[80];

	(void)state;
	try_with((struct nova_http_settings){.ca_file = certificates_file("ca")},
	         server_url(server, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 200);
	snprintf(name, sizeof(name), "https://localhost:%d/echo", server_port(server));
	try_with((struct nova_http_settings){.ca_file = certificates_file("ca")}, name, &got);
	expect(&got, NOVA_DONE, "");
}

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 16384);

	assert_non_null(file);
	assert_true(fread(text, 1, 16383, file) > 0);
	fclose(file);
	return text;
}

static void takes_the_authority_as_a_text(void **state)
{
	struct got got = {0};
	char *good = read_text(certificates_file("ca"));
	char *other = read_text(certificates_file("other-ca"));

	(void)state;
	try_with((struct nova_http_settings){.ca_text = good}, server_url(server, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	try_with((struct nova_http_settings){.ca_text = other}, server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "certificate");
	free(good);
	free(other);
}

static void refuses_whom_it_does_not_know(void **state)
{
	struct got got = {0};
	struct server *wrong = server_start("wrong-name", NULL);
	struct server *expired = server_start("expired", NULL);
	struct nova_http_settings ours = {.ca_file = certificates_file("ca")};

	(void)state;
	try_with((struct nova_http_settings){0}, server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "certificate");
	assert_int_equal(got.status, 0);
	try_with((struct nova_http_settings){.ca_file = certificates_file("other-ca")},
	         server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "certificate");
	try_with(ours, server_url(wrong, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "127.0.0.1");
	try_with(ours, server_url(expired, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "expired");
	try_with((struct nova_http_settings){.ca_file = certificates_file("none")},
	         server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_INVALID, "");
	assert_int_equal(server_count(wrong, ""), 0);
	assert_int_equal(server_count(expired, ""), 0);
	server_stop(wrong);
	server_stop(expired);
}

/* The certificate itself is what is trusted: not its name, dates or authority. */
static void trusts_a_pinned_certificate_and_no_other(void **state)
{
	struct got got = {0};
	struct server *expired = server_start("expired", NULL);
	char pin[100], lower[70];
	size_t used = 0;

	(void)state;
	snprintf(pin, sizeof(pin), "%s", certificates_pin("good"));
	try_with((struct nova_http_settings){.pin = pin}, server_url(server, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	for (const char *at = pin; *at; at++) {
		if (*at != ':')
			lower[used++] = (char)(*at >= 'A' ? *at | 0x20 : *at);
	}
	lower[used] = '\0';
	try_with((struct nova_http_settings){.pin = lower}, server_url(server, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	try_with((struct nova_http_settings){.pin = certificates_pin("expired")},
	         server_url(expired, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	/* the right authority does not help the wrong certificate */
	try_with((struct nova_http_settings){.pin = certificates_pin("expired"),
	                                     .ca_file = certificates_file("ca")},
	         server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, pin);
	server_stop(expired);
}

static void trusts_anybody_only_when_told_so(void **state)
{
	struct server *expired = server_start("expired", NULL);
	struct server *wrong = server_start("wrong-name", NULL);
	struct nova_http *client = open_with((struct nova_http_settings){.insecure = 1});
	struct got got = {0};

	(void)state;
	run(client, (struct nova_http_request){.url = server_url(expired, "/echo")}, &got);
	expect(&got, NOVA_DONE, "");
	run(client, (struct nova_http_request){.url = server_url(wrong, "/echo")}, &got);
	expect(&got, NOVA_DONE, "");
	server_stop(wrong);
	assert_string_equal(nova_http_trust(client), "insecure");
	nova_http_close(client);
	client = open_trusting();
	assert_string_equal(nova_http_trust(client), "verified");
	nova_http_close(client);
	client = open_with((struct nova_http_settings){.pin = certificates_pin("good")});
	assert_string_equal(nova_http_trust(client), "pinned");
	nova_http_close(client);
	free(got.body);
	server_stop(expired);
}

static void shows_its_own_certificate(void **state)
{
	struct server *strict = server_start("good", "ca");
	struct nova_http_settings settings = {.ca_file = certificates_file("ca")};
	char *certificate = read_text(certificates_file("client"));
	char *key = read_text(certificates_file("client-key"));
	struct got got = {0};

	(void)state;
	try_with(settings, server_url(strict, "/echo"), &got);
	expect(&got, NOVA_E_PERMISSION, "certificate");
	settings.certificate_file = certificates_file("client");
	settings.key_file = certificates_file("client-key");
	try_with(settings, server_url(strict, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	settings.certificate_file = settings.key_file = NULL;
	settings.certificate_text = certificate;
	settings.key_text = key;
	try_with(settings, server_url(strict, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	settings.key_text = "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n";
	try_with(settings, server_url(strict, "/echo"), &got);
	expect(&got, NOVA_E_INVALID, "");
	free(certificate);
	free(key);
	server_stop(strict);
}

static void refuses_settings_that_contradict(void **state)
{
	static const char *const broken[] = {"A: b\r\nC: d", NULL};
	static const char *const nameless[] = {"no colon", NULL};
	const struct {
		struct nova_http_settings settings;
		const char *why;
	} cases[] = {
	        {{.pin = "AB:CD"}, "SHA-256"},
	        {{.pin = certificates_pin("good"), .insecure = 1}, "both"},
	        {{.certificate_file = "x"}, "key"},
	        {{.key_text = "x"}, "certificate"},
	        {{.headers = broken}, "line break"},
	        {{.headers = nameless}, "Name: value"},
	        {{.auth = 9}, "authentication"},
	        {{.auth = NOVA_HTTP_AUTH_NTLM}, "user"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nova_http *client;
		const char *why = "";

		assert_int_equal(nova_http_open(&cases[i].settings, &client, &why), NOVA_E_INVALID);
		assert_null(client);
		if (!strstr(why, cases[i].why))
			fail_msg("'%s' is not in '%s'", cases[i].why, why);
	}
}

static void speaks_nothing_but_https(void **state)
{
	static const char *const urls[] = {
	        "http://127.0.0.1:1/",      "file:///etc/passwd", "ftp://127.0.0.1/",
	        "gopher://127.0.0.1/",      "https://",           "https://a b/",
	        "https://127.0.0.1:99999/", "https://x\r\ny/"};
	struct got got = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		try_with((struct nova_http_settings){0}, urls[i], &got);
		expect(&got, NOVA_E_INVALID, "");
	}
	try_with((struct nova_http_settings){0}, "https://127.0.0.1:1/", &got); /* nobody there */
	expect(&got, NOVA_E_UNAVAILABLE, "");
}

/* --- what is sent ----------------------------------------------------------------------------- */

static void assert_sent(const char *line)
{
	char *headers = server_headers(server);

	if (!strstr(headers, line))
		fail_msg("'%s' is not in '%s'", line, headers);
	free(headers);
}

static void assert_not_sent(const char *word)
{
	char *headers = server_headers(server);

	if (strstr(headers, word))
		fail_msg("'%s' is in '%s'", word, headers);
	free(headers);
}

static void sends_methods_bodies_and_headers(void **state)
{
	static const char *const always[] = {"Authorization: Bearer abc", "Accept: text/plain",
	                                     NULL};
	static const char *const once[] = {"accept: application/json", "SOAPAction: \"urn:x\"",
	                                   NULL};
	struct nova_http *client = open_with(
	        (struct nova_http_settings){.ca_file = certificates_file("ca"), .headers = always});
	struct got got = {0};

	(void)state;
	run(client,
	    (struct nova_http_request){.method = "PATCH",
	                               .url = server_url(server, "/echo"),
	                               .headers = once,
	                               .content_type = "application/merge-patch+json",
	                               .body = "{\"a\":\0}",
	                               .bytes = 7},
	    &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(server_count(server, "PATCH /echo"), 1);
	assert_int_equal(got.bytes, 7);
	assert_memory_equal(got.body, "{\"a\":\0}", 7);
	assert_sent("\nContent-Type: application/merge-patch+json\r");
	assert_sent("\nSOAPAction: \"urn:x\"\r");
	assert_sent("\naccept: application/json\r");
	assert_sent("\nAuthorization: Bearer abc\r");
	assert_not_sent("text/plain");
	assert_not_sent("Expect");

	get(client, "/echo", &got);
	assert_sent("\nAccept: text/plain\r");
	assert_not_sent("Content-");
	run(client,
	    (struct nova_http_request){.method = "POST", .url = server_url(server, "/echo")}, &got);
	assert_sent("\nContent-Length: 0\r");
	assert_not_sent("Content-Type");
	run(client,
	    (struct nova_http_request){.method = "DELETE", .url = server_url(server, "/echo?x=1")},
	    &got);
	assert_int_equal(server_count(server, "DELETE /echo?x=1"), 1);
	assert_int_equal(server_connections(server) > 0, 1);
	free(got.body);
	nova_http_close(client);
}

static void changes_a_header_of_all(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {0};

	(void)state;
	assert_int_equal(nova_http_set_header(client, "Cookie", "session=1"), 1);
	get(client, "/echo", &got);
	assert_sent("\nCookie: session=1\r");
	assert_int_equal(nova_http_set_header(client, "cookie", "session=2"), 1);
	get(client, "/echo", &got);
	assert_sent("\ncookie: session=2\r");
	assert_not_sent("session=1");
	assert_int_equal(nova_http_set_header(client, "Cookie", "a\r\nEvil: 1"), 0);
	assert_int_equal(nova_http_set_header(client, "Coo:kie", "a"), 0);
	assert_int_equal(nova_http_set_header(client, "", "a"), 0);
	assert_int_equal(nova_http_set_header(client, "Cookie", NULL), 1);
	get(client, "/echo", &got);
	assert_not_sent("ookie");
	free(got.body);
	nova_http_close(client);
}

static void refuses_requests_that_would_smuggle(void **state)
{
	static const char *const headers[] = {"X: a\nEvil: 1", NULL};
	struct nova_http *client = open_trusting();
	const char *why = "";

	(void)state;
	assert_null(nova_http_start(
	        client,
	        &(struct nova_http_request){.url = server_url(server, "/echo"), .headers = headers},
	        &why));
	assert_non_null(strstr(why, "line break"));
	assert_null(nova_http_start(client,
	                            &(struct nova_http_request){.url = server_url(server, "/echo"),
	                                                        .body = "x",
	                                                        .bytes = 1,
	                                                        .content_type = "a\r\nEvil: 1"},
	                            NULL));
	nova_http_close(client);
}

static void keeps_connections(void **state)
{
	struct nova_http *client = open_trusting();
	int before = server_connections(server);
	struct got got = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		get(client, "/echo", &got);
	assert_int_equal(server_connections(server), before + 1);
	assert_true(got.sent_ns > 0 && got.end_ns > got.sent_ns);
	free(got.body);
	nova_http_close(client);
}

static void uploads_a_file_between_two_texts(void **state)
{
	char path[] = "/tmp/novacore-upload-XXXXXX";
	int fd = mkstemp(path);
	char *content = malloc(3000000);
	struct nova_http *client = open_trusting();
	struct nova_http_flight *flight;
	struct got got = {0};
	size_t bytes;
	char *sent;
	uint64_t total = 0;

	(void)state;
	for (size_t i = 0; i < 3000000; i++)
		content[i] = (char)(i * 7 + i / 256);
	assert_int_equal(write(fd, content, 3000000), 3000000);
	flight = nova_http_start(client,
	                         &(struct nova_http_request){.method = "PUT",
	                                                     .url = server_url(server, "/echo"),
	                                                     .body = "begin:",
	                                                     .bytes = 6,
	                                                     .file = path,
	                                                     .tail = ":end",
	                                                     .done = take,
	                                                     .context = &got},
	                         NULL);
	assert_int_equal(nova_http_uploaded(flight, &total), 0);
	assert_int_equal(total, 3000010);
	finish(client, &got);
	expect(&got, NOVA_DONE, "");
	sent = server_body(server, &bytes);
	assert_int_equal(bytes, 3000010);
	assert_memory_equal(sent, "begin:", 6);
	assert_memory_equal(sent + 6, content, 3000000);
	assert_memory_equal(sent + 3000006, ":end", 4);
	assert_sent("\nContent-Length: 3000010\r");
	free(sent);

	/* a POST of a file alone, an empty one, and one that is none */
	run(client,
	    (struct nova_http_request){
	            .method = "POST", .url = server_url(server, "/echo"), .file = path},
	    &got);
	assert_int_equal(got.bytes, 3000000);
	assert_int_equal(ftruncate(fd, 0), 0);
	run(client,
	    (struct nova_http_request){
	            .method = "PUT", .url = server_url(server, "/echo"), .file = path},
	    &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.bytes, 0);
	assert_null(nova_http_start(client,
	                            &(struct nova_http_request){.url = server_url(server, "/echo"),
	                                                        .file = "/dev/null"},
	                            NULL));
	close(fd);
	unlink(path);
	assert_null(nova_http_start(
	        client,
	        &(struct nova_http_request){.url = server_url(server, "/echo"), .file = path},
	        NULL));
	free(got.body);
	free(content);
	nova_http_close(client);
}

static void proves_itself_by_ntlm_and_sends_the_order_once_it_is_let_in(void **state)
{
	struct nova_http *client =
	        open_with((struct nova_http_settings){.ca_file = certificates_file("ca"),
	                                              .auth = NOVA_HTTP_AUTH_NTLM,
	                                              .user = "LAB\\bench",
	                                              .password = SECRET});
	struct got got = {0};

	(void)state;
	post(client, "/ntlm", &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 200);
	assert_string_equal(got.body, "x=1");
	free(got.body);
	nova_http_close(client);
}

/* --- proxies ---------------------------------------------------------------------------------- */

static void goes_through_a_proxy(void **state)
{
	struct proxy *proxy = proxy_start("u:p@ss word");
	struct nova_secrets *secrets = nova_secrets_new();
	char url[100], quoted[200];
	struct nova_http_settings settings = {
	        .ca_file = certificates_file("ca"), .secrets = secrets, .proxy = url};
	struct got got = {.wanted = "X-Proxy"};

	(void)state;
	snprintf(url, sizeof(url), "http://u:p%%40ss%%20word@127.0.0.1:%d", proxy_port(proxy));
	try_with(settings, server_url(server, "/echo"), &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(proxy_tunnels(proxy), 1);
	assert_string_equal(got.header, ""); /* the proxy's words are not the peer's */
	snprintf(quoted, sizeof(quoted), "proxy %s and p@ss word", url);
	nova_secrets_hide(secrets, quoted);
	assert_null(strstr(quoted, "p%40ss"));
	assert_null(strstr(quoted, "p@ss"));

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", proxy_port(proxy));
	try_with(settings, server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_UNAVAILABLE, "407");
	snprintf(url, sizeof(url), "http://127.0.0.1:1");
	try_with(settings, server_url(server, "/echo"), &got);
	expect(&got, NOVA_E_UNAVAILABLE, "");
	proxy_stop(proxy);
	nova_secrets_free(secrets);
}

static void asks_the_environment_for_a_proxy_unless_told_otherwise(void **state)
{
	struct proxy *proxy = proxy_start(NULL);
	char url[100];
	struct nova_http_settings settings = {.ca_file = certificates_file("ca")};
	struct nova_http *client;
	const char *why;
	struct got got = {0};

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", proxy_port(proxy));
	setenv("https_proxy", url, 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	assert_int_equal(nova_http_open(&settings, &client, &why), NOVA_DONE);
	get(client, "/echo", &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(proxy_tunnels(proxy), 1);
	nova_http_close(client);
	setenv("no_proxy", "127.0.0.1", 1);
	assert_int_equal(nova_http_open(&settings, &client, &why), NOVA_DONE);
	get(client, "/echo", &got);
	assert_int_equal(proxy_tunnels(proxy), 1);
	nova_http_close(client);
	unsetenv("no_proxy");
	client = open_trusting(); /* with "" */
	get(client, "/echo", &got);
	assert_int_equal(proxy_tunnels(proxy), 1);
	nova_http_close(client);
	unsetenv("https_proxy");
	free(got.body);
	proxy_stop(proxy);
}

/* --- what comes back -------------------------------------------------------------------------- */

static void gives_statuses_headers_and_bodies(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {.wanted = "x-id"};

	(void)state;
	get(client, "/cookies", &got);
	assert_string_equal(got.header, "77");
	got.wanted = "Set-Cookie";
	get(client, "/cookies", &got);
	assert_string_equal(got.header, "a=1");
	got.wanted = "X-None";
	get(client, "/cookies", &got);
	assert_string_equal(got.header, "");
	get(client, "/status/418", &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 418);
	assert_string_equal(got.body, "{\"message\":\"so it is\"}");
	free(got.body);
	nova_http_close(client);
}

static void second_cookie(void *context, const struct nova_http_answer *answer)
{
	int *seen = context;

	assert_string_equal(nova_http_header(answer, "Set-Cookie", 1), "b=2");
	assert_null(nova_http_header(answer, "Set-Cookie", 2));
	*seen = 1;
}

static void gives_each_header_of_a_name(void **state)
{
	struct nova_http *client = open_trusting();
	int seen = 0;

	(void)state;
	assert_non_null(
	        nova_http_start(client,
	                        &(struct nova_http_request){.url = server_url(server, "/cookies"),
	                                                    .done = second_cookie,
	                                                    .context = &seen},
	                        NULL));
	while (!seen)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS);
	nova_http_close(client);
}

static void follows_no_redirect(void **state)
{
	static const char *const headers[] = {"Authorization: Bearer " SECRET, NULL};
	struct nova_http *client = open_with((struct nova_http_settings){
	        .ca_file = certificates_file("ca"), .headers = headers});
	struct got got = {.wanted = "Location"};

	(void)state;
	get(client, "/redirect", &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 302);
	assert_string_equal(got.header, "https://evil.example/take");
	free(got.body);
	nova_http_close(client);
}

static void refuses_what_is_too_long_or_cut_off(void **state)
{
	struct nova_http *client = open_with((struct nova_http_settings){
	        .ca_file = certificates_file("ca"), .answer_bytes = 10000});
	struct got got = {0};

	(void)state;
	get(client, "/big/10000", &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.bytes, 10000);
	get(client, "/big/10001", &got);
	expect(&got, NOVA_E_PROTOCOL, "longer than is accepted");
	get(client, "/big/5000000", &got);
	expect(&got, NOVA_E_PROTOCOL, "longer than is accepted");
	get(client, "/many-headers", &got);
	expect(&got, NOVA_E_PROTOCOL, "longer than is accepted");
	get(client, "/truncated", &got);
	expect(&got, NOVA_E_UNAVAILABLE, "");
	get(client, "/garbage", &got);
	expect(&got, NOVA_E_PROTOCOL, "");
	free(got.body);
	nova_http_close(client);
}

/* --- orders and questions --------------------------------------------------------------------- */

static void never_sends_an_order_twice(void **state)
{
	static const char *const paths[] = {"/drop", "/truncated", "/garbage"};
	struct nova_http *client = open_trusting();
	struct got got = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char start[40];
		int before;

		snprintf(start, sizeof(start), "POST %s", paths[i]);
		before = server_count(server, start);
		get(client, "/echo", &got); /* now there is a connection that libcurl may blame */
		run(client,
		    (struct nova_http_request){.method = "POST",
		                               .url = server_url(server, paths[i]),
		                               .body = "x",
		                               .bytes = 1,
		                               .attempts = 5},
		    &got);
		expect(&got, NOVA_E_UNKNOWN, "not sent again");
		assert_int_equal(got.attempts, 1);
		assert_int_equal(server_count(server, start), before + 1);
	}
	/* also one that was answered, but with a wish to hear it again */
	run(client,
	    (struct nova_http_request){
	            .method = "DELETE", .url = server_url(server, "/flaky/order/3"), .attempts = 5},
	    &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 503);
	assert_int_equal(server_count(server, "DELETE /flaky/order"), 1);
	free(got.body);
	nova_http_close(client);
}

static void knows_an_order_that_was_never_sent(void **state)
{
	struct got got = {0};
	struct nova_http *client = open_trusting();

	(void)state;
	run(client, (struct nova_http_request){.method = "POST", .url = "https://127.0.0.1:1/"},
	    &got);
	expect(&got, NOVA_E_UNAVAILABLE, "");
	assert_int_equal(got.sent_ns, 0);
	free(got.body);
	nova_http_close(client);
}

static void asks_again_only_when_asked_to(void **state)
{
	struct nova_http *client = open_trusting();
	struct nova_http_request request = {.attempts = 4, .back_off_ns = SECOND_NS / 100};
	struct got got = {0};

	(void)state;
	get(client, "/flaky/once/1", &got);
	assert_int_equal(got.status, 503);
	request.url = server_url(server, "/flaky/again/3");
	run(client, request, &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.status, 200);
	assert_string_equal(got.body, "turn 4");
	assert_int_equal(got.attempts, 4);
	request.url = server_url(server, "/flaky/longer/4");
	run(client, request, &got);
	assert_int_equal(got.status, 503); /* it has the last answer */
	assert_int_equal(server_count(server, "GET /flaky/longer"), 4);
	/* a POST that says that it only asks */
	request.method = "POST";
	request.body = "<read/>";
	request.bytes = 7;
	request.repeatable = 1;
	request.url = server_url(server, "/flaky/soap/2");
	run(client, request, &got);
	assert_int_equal(got.status, 200);
	request.url = server_url(server, "/drop-once/soap");
	run(client, request, &got);
	expect(&got, NOVA_DONE, "");
	assert_string_equal(got.body, "turn 2");
	/* what will not change is not asked again */
	request.url = server_url(server, "/status/404");
	run(client, request, &got);
	assert_int_equal(got.attempts, 1);
	free(got.body);
	nova_http_close(client);
}

static void waits_as_long_as_it_is_told(void **state)
{
	struct nova_http *client = open_trusting();
	struct nova_http_request request = {.url = server_url(server, "/busy/a"),
	                                    .attempts = 2,
	                                    .back_off_ns = SECOND_NS / 100};
	int64_t before = nova_http_now_ns();
	struct got got = {0};

	(void)state;
	run(client, request, &got);
	assert_int_equal(got.status, 200);
	assert_true(nova_http_now_ns() - before >= SECOND_NS);
	/* but not beyond the deadline: it would only be late */
	request.url = server_url(server, "/busy/b");
	request.deadline_ns = nova_http_now_ns() + SECOND_NS / 2;
	run(client, request, &got);
	assert_int_equal(got.status, 429);
	assert_int_equal(got.attempts, 1);
	free(got.body);
	nova_http_close(client);
}

static void gives_up_at_the_deadline(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {0};

	(void)state;
	run(client,
	    (struct nova_http_request){.url = server_url(server, "/never"),
	                               .attempts = 5,
	                               .deadline_ns = nova_http_now_ns() + 2 * SECOND_NS},
	    &got);
	expect(&got, NOVA_E_TIMEOUT, "");
	assert_int_equal(server_count(server, "GET /never"), 1);
	run(client,
	    (struct nova_http_request){.url = server_url(server, "/echo"), .deadline_ns = 1}, &got);
	expect(&got, NOVA_E_TIMEOUT, "");
	free(got.body);
	nova_http_close(client);
}

static void a_connection_that_is_not_made_in_time_is_not_the_deadline(void **state)
{
	int port;
	struct nova_http *client = open_with(
	        (struct nova_http_settings){.connect_timeout_ns = SECOND_NS / 10, .insecure = 1});
	struct proxy *silent = proxy_start(NULL); /* speaks no TLS, and waits for more */
	struct got got = {0};
	char url[60];

	(void)state;
	port = proxy_port(silent);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port);
	run(client, (struct nova_http_request){.method = "POST", .url = url}, &got);
	expect(&got, NOVA_E_UNAVAILABLE, "");
	free(got.body);
	nova_http_close(client);
	proxy_stop(silent);
}

static void ends_at_once_when_aborted(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {0};
	struct nova_http_request request = {
	        .url = server_url(server, "/never"), .done = take, .context = &got};
	struct nova_http_flight *flight = nova_http_start(client, &request, NULL);
	int before = server_count(server, "GET /never");

	(void)state;
	while (server_count(server, "GET /never") == before)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 100);
	nova_http_abort(flight);
	nova_http_abort(NULL);
	nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 100);
	assert_int_equal(got.count, 0);
	/* and those that wait for another attempt, or have not begun */
	assert_non_null(nova_http_start(client, &request, NULL));
	request.url = server_url(server, "/status/503");
	request.attempts = 9;
	request.back_off_ns = 4 * SECOND_NS;
	assert_non_null(nova_http_start(client, &request, NULL));
	while (server_count(server, "GET /status/503") < 1)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 100);
	nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 100);
	nova_http_close(client);
	nova_http_close(NULL);
	assert_int_equal(got.count, 0);
}

static void many_share_few_connections(void **state)
{
	struct nova_http *client = open_with(
	        (struct nova_http_settings){.ca_file = certificates_file("ca"), .connections = 4});
	int before = server_connections(server);
	struct got got[100] = {{0}};
	int done = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_non_null(nova_http_start(
		        client,
		        &(struct nova_http_request){.url = server_url(server, "/echo"),
		                                    .done = take,
		                                    .context = &got[i]},
		        NULL));
	while (done < 100) {
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS);
		done = 0;
		for (int i = 0; i < 100; i++)
			done += got[i].count;
	}
	for (int i = 0; i < 100; i++) {
		expect(&got[i], NOVA_DONE, "");
		assert_int_equal(got[i].count, 1);
		free(got[i].body);
	}
	assert_true(server_connections(server) - before <= 4);
	nova_http_close(client);
}

/* --- streams ---------------------------------------------------------------------------------- */

static int take_line(void *context, const char *line, size_t length)
{
	struct got *got = context;

	assert_int_equal(strlen(line), length);
	strncat(got->lines, line, sizeof(got->lines) - strlen(got->lines) - 2);
	strcat(got->lines, "|");
	got->line_count++;
	if (got->abort_in_line)
		nova_http_abort(*got->abort_in_line);
	return got->stop_after && got->line_count == got->stop_after;
}

static int take_chunk(void *context, const char *bytes, size_t count)
{
	struct got *got = context;

	(void)bytes;
	got->line_count += (int)count;
	return 0;
}

static void gives_lines_as_they_come(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {0};
	struct nova_http_request request = {.url = server_url(server, "/lines"), .line = take_line};

	(void)state;
	run(client, request, &got);
	expect(&got, NOVA_DONE, "");
	assert_string_equal(got.lines, "first line|second||third|fourth|");
	assert_int_equal(got.bytes, 0);
	/* a refusal is no stream */
	memset(got.lines, 0, sizeof(got.lines));
	request.url = server_url(server, "/status/410");
	run(client, request, &got);
	assert_string_equal(got.lines, "");
	assert_string_equal(got.body, "{\"message\":\"so it is\"}");
	free(got.body);
	nova_http_close(client);
}

static void gives_no_line_that_was_cut_off(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {0};

	(void)state;
	run(client,
	    (struct nova_http_request){.url = server_url(server, "/cut-lines"),
	                               .line = take_line,
	                               .attempts = 3,
	                               .back_off_ns = 1},
	    &got);
	expect(&got, NOVA_E_UNAVAILABLE, "");
	assert_string_equal(got.lines, "whole|");
	assert_int_equal(got.attempts, 1); /* what was handed over cannot be taken back */
	free(got.body);
	nova_http_close(client);
}

static void ends_a_stream_when_told_so(void **state)
{
	struct nova_http *client = open_trusting();
	struct got got = {.stop_after = 1};
	struct nova_http_flight *flight = NULL;
	struct nova_http_request request = {.url = server_url(server, "/stall"),
	                                    .line = take_line,
	                                    .done = take,
	                                    .context = &got};

	(void)state;
	assert_non_null(nova_http_start(client, &request, NULL));
	while (!got.line_count)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS);
	nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 50);
	assert_int_equal(got.count, 0);
	/* by an abort of itself */
	got = (struct got){.abort_in_line = &flight};
	request.url = server_url(server, "/lines");
	flight = nova_http_start(client, &request, NULL);
	while (!got.line_count)
		nova_http_turn(client, nova_http_now_ns() + SECOND_NS);
	nova_http_turn(client, nova_http_now_ns() + SECOND_NS / 50);
	assert_string_equal(got.lines, "first line|");
	assert_int_equal(got.count, 0);
	nova_http_close(client);
}

static void limits_streams_too(void **state)
{
	struct nova_http *client = open_with((struct nova_http_settings){
	        .ca_file = certificates_file("ca"), .answer_bytes = 100000});
	struct got got = {0};

	(void)state;
	run(client,
	    (struct nova_http_request){.url = server_url(server, "/big/3000000"),
	                               .line = take_line},
	    &got);
	expect(&got, NOVA_E_PROTOCOL, "longer than is accepted");
	assert_int_equal(got.line_count, 0);
	/* in pieces there is no limit: they are not kept */
	run(client,
	    (struct nova_http_request){.url = server_url(server, "/big/3000000"),
	                               .chunk = take_chunk},
	    &got);
	expect(&got, NOVA_DONE, "");
	assert_int_equal(got.line_count, 3000000);
	run(client,
	    (struct nova_http_request){
	            .url = server_url(server, "/stall"), .chunk = take_chunk, .idle_ns = SECOND_NS},
	    &got);
	expect(&got, NOVA_E_TIMEOUT, "");
	free(got.body);
	nova_http_close(client);
}

/* --- secrets ---------------------------------------------------------------------------------- */

static void keeps_credentials_out_of_its_words(void **state)
{
	static const char *const headers[] = {"Authorization: Bearer " SECRET, NULL};
	struct nova_secrets *secrets = nova_secrets_new();
	struct nova_http *client = open_with((struct nova_http_settings){
	        .ca_file = certificates_file("ca"), .headers = headers, .secrets = secrets});
	struct got got = {0};

	(void)state;
	assert_int_equal(nova_secrets_add(secrets, SECRET), NOVA_DONE);
	get(client, "/reflect", &got);
	assert_string_equal(got.reason, "you sent Bearer ****");
	run(client, (struct nova_http_request){.url = "https://" SECRET "/"}, &got);
	assert_true(got.result < 0);
	assert_null(strstr(got.error, "c0de"));
	run(client, (struct nova_http_request){.url = "https://0b5e55ed-c0de.invalid./"}, &got);
	assert_int_equal(got.result, NOVA_E_UNAVAILABLE);
	free(got.body);
	nova_http_close(client);
	nova_secrets_free(secrets);
}

static void wakes_from_another_thread_even_before_it_waits(void **state)
{
	struct nova_http *client = open_trusting();
	int64_t before = nova_http_now_ns();

	(void)state;
	nova_http_wake(client);
	nova_http_turn(client, before + 30 * SECOND_NS);
	assert_true(nova_http_now_ns() - before < 20 * SECOND_NS);
	nova_http_close(client);
}

static void *open_and_ask(void *context)
{
	struct got got = {0};

	(void)context;
	for (int i = 0; i < 5; i++) {
		struct nova_http *client = open_trusting();

		get(client, "/echo", &got);
		assert_int_equal(got.status, 200);
		nova_http_close(client);
	}
	free(got.body);
	return NULL;
}

/* Each instance is opened, pumped and closed on a thread of its own in a worker. */
static void clients_come_and_go_in_several_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_ask, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void knows_what_statuses_mean(void **state)
{
	(void)state;
	assert_int_equal(nova_http_code(200), NOVA_DONE);
	assert_int_equal(nova_http_code(204), NOVA_DONE);
	assert_int_equal(nova_http_code(302), NOVA_E_PROTOCOL);
	assert_int_equal(nova_http_code(401), NOVA_E_PERMISSION);
	assert_int_equal(nova_http_code(404), NOVA_E_NOT_FOUND);
	assert_int_equal(nova_http_code(422), NOVA_E_INVALID);
	assert_int_equal(nova_http_code(500), NOVA_E_FAILED);
	assert_int_equal(nova_http_code(503), NOVA_E_UNAVAILABLE);
	assert_int_equal(nova_http_code(0), NOVA_E_FAILED);
	assert_int_equal(nova_http_code(-5), NOVA_E_FAILED);
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
	        cmocka_unit_test(trusts_the_authority_it_was_given),
	        cmocka_unit_test(takes_the_authority_as_a_text),
	        cmocka_unit_test(refuses_whom_it_does_not_know),
	        cmocka_unit_test(trusts_a_pinned_certificate_and_no_other),
	        cmocka_unit_test(trusts_anybody_only_when_told_so),
	        cmocka_unit_test(shows_its_own_certificate),
	        cmocka_unit_test(refuses_settings_that_contradict),
	        cmocka_unit_test(speaks_nothing_but_https),
	        cmocka_unit_test(sends_methods_bodies_and_headers),
	        cmocka_unit_test(changes_a_header_of_all),
	        cmocka_unit_test(refuses_requests_that_would_smuggle),
	        cmocka_unit_test(keeps_connections),
	        cmocka_unit_test(uploads_a_file_between_two_texts),
	        cmocka_unit_test(proves_itself_by_ntlm_and_sends_the_order_once_it_is_let_in),
	        cmocka_unit_test(goes_through_a_proxy),
	        cmocka_unit_test(asks_the_environment_for_a_proxy_unless_told_otherwise),
	        cmocka_unit_test(gives_statuses_headers_and_bodies),
	        cmocka_unit_test(gives_each_header_of_a_name),
	        cmocka_unit_test(follows_no_redirect),
	        cmocka_unit_test(refuses_what_is_too_long_or_cut_off),
	        cmocka_unit_test(never_sends_an_order_twice),
	        cmocka_unit_test(knows_an_order_that_was_never_sent),
	        cmocka_unit_test(asks_again_only_when_asked_to),
	        cmocka_unit_test(waits_as_long_as_it_is_told),
	        cmocka_unit_test(gives_up_at_the_deadline),
	        cmocka_unit_test(a_connection_that_is_not_made_in_time_is_not_the_deadline),
	        cmocka_unit_test(ends_at_once_when_aborted),
	        cmocka_unit_test(many_share_few_connections),
	        cmocka_unit_test(gives_lines_as_they_come),
	        cmocka_unit_test(gives_no_line_that_was_cut_off),
	        cmocka_unit_test(ends_a_stream_when_told_so),
	        cmocka_unit_test(limits_streams_too),
	        cmocka_unit_test(keeps_credentials_out_of_its_words),
	        cmocka_unit_test(wakes_from_another_thread_even_before_it_waits),
	        cmocka_unit_test(clients_come_and_go_in_several_threads),
	        cmocka_unit_test(knows_what_statuses_mean),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
