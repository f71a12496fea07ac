/* SPDX-License-Identifier: MIT */
/* HTTPS requests on one curl_multi. */
#include "http.h"
#include "form.h"

#include <novacore/types.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A server may close a connection that it finds idle just as we send on it, and such a request
 * fails (see may_send). So connections idle for longer than this are not used again. */
#define IDLE_S 3L

#define CONNECT_MS 10000L

struct http_client {
	CURLM *multi;
	struct curl_slist *headers;
	struct http_request *requests;
	char *ca_file;
	int insecure, pinned;
	unsigned char pin[32];
	size_t answer_bytes;
};

struct http_request {
	struct http_client *client;
	struct http_request *next;
	CURL *easy;
	http_done done;
	void *context;
	char *sent; /* body */
	struct form body;
	char reason[256];
	char error[CURL_ERROR_SIZE];
	int too_long;
	int changes; /* the peer's state: must not be sent twice */
	uint32_t sends;
	int64_t sent_ns; /* the last time */
	int unknown;     /* it may have been carried out */
};

int64_t http_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int http_parse_fingerprint(const char *text, unsigned char digest[32])
{
	for (size_t i = 0; i < 32; i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return 0;
		digest[i] = (unsigned char)(high * 16 + low);
		text += 2;
		if (*text == ':' && i < 31)
			text++;
	}
	return *text == '\0';
}

/* --- client ----------------------------------------------------------------------------------- */

static void wipe_headers(struct curl_slist *headers)
{
	for (struct curl_slist *one = headers; one; one = one->next)
		explicit_bzero(one->data, strlen(one->data));
	curl_slist_free_all(headers);
}

static int add_header(struct http_client *client, const char *name, const char *value)
{
	struct curl_slist *longer = NULL;
	char *line = NULL;
	int bytes = asprintf(&line, "%s: %s", name, value);

	if (bytes < 0)
		return 0;
	longer = curl_slist_append(client->headers, line);
	explicit_bzero(line, (size_t)bytes);
	free(line);
	if (!longer)
		return 0;
	client->headers = longer;
	return 1;
}

struct http_client *http_open(const struct http_settings *settings)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(client);
		return NULL;
	}
	client->insecure = settings->insecure;
	client->answer_bytes = settings->answer_bytes;
	client->pinned =
	        settings->fingerprint && http_parse_fingerprint(settings->fingerprint, client->pin);
	client->ca_file = settings->ca_file ? strdup(settings->ca_file) : NULL;
	client->multi = curl_multi_init();
	if (!client->multi || (settings->ca_file && !client->ca_file) ||
	    !add_header(client, "Authorization", settings->authorization) ||
	    !add_header(client, "Accept", "application/json") ||
	    !add_header(client, "Expect", "")) { /* no 100-continue: it costs a round trip */
		http_close(client);
		return NULL;
	}
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                  (long)settings->connections);
	/* the default keeps fewer while few are busy */
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)settings->connections);
	return client;
}

void http_close(struct http_client *client)
{
	if (!client)
		return;
	while (client->requests)
		http_abort(client->requests);
	curl_multi_cleanup(client->multi);
	wipe_headers(client->headers);
	free(client->ca_file);
	free(client);
	curl_global_cleanup();
}

/* --- one request ------------------------------------------------------------------------------ */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct http_request *request = context;
	size_t bytes = size * count;

	if (request->body.used + bytes > request->client->answer_bytes) {
		request->too_long = 1;
		return 0;
	}
	form_append(&request->body, data, bytes);
	return request->body.broken ? 0 : bytes;
}

/* The reason of the status line "HTTP/1.1 500 reason": some servers say what is wrong only there.
 */
static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct http_request *request = context;
	size_t bytes = size * count;
	const char *end = data + bytes;
	const char *at;
	size_t used = 0;

	if (bytes < 5 || strncmp(data, "HTTP/", 5) != 0)
		return bytes;
	at = memchr(data, ' ', bytes);
	at = at ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
	for (at = at ? at + 1 : end; at < end && used + 1 < sizeof(request->reason); at++) {
		if (*at != '\r' && *at != '\n')
			request->reason[used++] = *at >= ' ' && *at <= '~' ? *at : '?';
	}
	request->reason[used] = '\0';
	return bytes;
}

/*
 * Called before each sending. Where a used connection ends without an answer libcurl sends the
 * request again on a new one, also a POST: the peer may have carried it out already.
 */
static int may_send(void *context, char *ip, char *local_ip, int port, int local_port)
{
	struct http_request *request = context;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (request->sends++ && request->changes) {
		request->unknown = 1;
		return CURL_PREREQFUNC_ABORT;
	}
	request->sent_ns = http_now_ns();
	return CURL_PREREQFUNC_OK;
}

/* Instead of the usual verification: the certificate itself is the identity. */
static int verify_pin(X509_STORE_CTX *store, void *context)
{
	const struct http_client *client = context;
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int bytes = 0;

	if (!certificate || !X509_digest(certificate, EVP_sha256(), digest, &bytes) ||
	    bytes != sizeof(client->pin) || memcmp(digest, client->pin, bytes) != 0) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static CURLcode use_pin(CURL *easy, void *ssl, void *context)
{
	(void)easy;
	SSL_CTX_set_cert_verify_callback(ssl, verify_pin, context);
	return CURLE_OK;
}

static void set_trust(struct http_client *client, CURL *easy)
{
	if (client->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	} else if (client->pinned) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_pin);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, client);
	} else if (client->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
}

static void free_request(struct http_request *request)
{
	if (request->easy)
		curl_easy_cleanup(request->easy);
	form_free(&request->body);
	free(request->sent);
	free(request);
}

static void set_transfer(struct http_request *request, const char *method, const char *url,
                         long timeout_ms)
{
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, also from the environment */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->client->headers);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_S);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, may_send);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
	if (request->sent) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->sent);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(request->sent));
	}
}

struct http_request *http_start(struct http_client *client, const char *method, const char *url,
                                const char *body, long timeout_ms, http_done done, void *context)
{
	struct http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->client = client;
	request->done = done;
	request->context = context;
	request->changes = strcmp(method, "GET") != 0;
	request->easy = curl_easy_init();
	request->sent = body ? strdup(body) : NULL;
	if (!request->easy || (body && !request->sent)) {
		free_request(request);
		return NULL;
	}
	set_transfer(request, method, url, timeout_ms);
	set_trust(client, request->easy);
	if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK) {
		free_request(request);
		return NULL;
	}
	request->next = client->requests;
	client->requests = request;
	return request;
}

static void unlink_request(struct http_request *request)
{
	struct http_request **link = &request->client->requests;

	while (*link != request)
		link = &(*link)->next;
	*link = request->next;
	curl_multi_remove_handle(request->client->multi, request->easy);
}

void http_abort(struct http_request *request)
{
	if (!request)
		return;
	unlink_request(request);
	free_request(request);
}

/* --- what came of it -------------------------------------------------------------------------- */

static int status_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK: return NOVA_DONE;
	case CURLE_OPERATION_TIMEDOUT: return NOVA_E_TIMEOUT;
	case CURLE_OUT_OF_MEMORY: return NOVA_E_MEMORY;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_SSL_CACERT_BADFILE: return NOVA_E_INVALID;
	case CURLE_PEER_FAILED_VERIFICATION: return NOVA_E_PERMISSION;
	case CURLE_WRITE_ERROR:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2: return NOVA_E_PROTOCOL;
	default: return NOVA_E_UNAVAILABLE;
	}
}

static void finish(struct http_request *request, CURLcode code)
{
	struct http_answer answer = {.result = status_of(code),
	                             .reason = request->reason,
	                             .body = request->body.text ? request->body.text : "",
	                             .bytes = request->body.used,
	                             .end_ns = http_now_ns()};

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	answer.latency_ns = request->sent_ns ? answer.end_ns - request->sent_ns : 0;
	if (request->too_long)
		answer.error = "its answer is longer than is accepted";
	else if (request->unknown)
		answer.error =
		        "the connection ended before the answer came; whether it was carried "
		        "out is unknown, so it was not sent again";
	else if (answer.result != NOVA_DONE)
		answer.error = request->error[0] ? request->error : curl_easy_strerror(code);
	unlink_request(request);
	request->done(request->context, &answer);
	free_request(request);
}

/* How many requests ended. */
static int handle(struct http_client *client)
{
	CURLMsg *message;
	int running = 0;
	int left = 0;
	int ended = 0;

	curl_multi_perform(client->multi, &running);
	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct http_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		finish(request, message->data.result);
		ended++;
	}
	return ended;
}

void http_turn(struct http_client *client, int wait_ms)
{
	/* what has ended is handled before any waiting: nothing would end the wait for it */
	if (handle(client) || wait_ms <= 0)
		return;
	curl_multi_poll(client->multi, NULL, 0, wait_ms, NULL);
	handle(client);
}

void http_wake(struct http_client *client)
{
	curl_multi_wakeup(client->multi);
}
