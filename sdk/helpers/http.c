/* SPDX-License-Identifier: MIT */
/*
 * HTTPS clients: settings, trust, connections, and the turns in which requests advance. One request
 * is flight.c.
 */
#include "inside.h"

#include <novacore/types.h>

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CONNECTIONS  16u
#define ANSWER_BYTES (16u * 1024 * 1024)

int64_t nova_http_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

int nova_http_code(int status)
{
	if (status >= 200 && status <= 299)
		return NOVA_DONE;
	if (status >= 300 && status <= 399)
		return NOVA_E_PROTOCOL;
	switch (status) {
	case 400:
	case 413:
	case 422: return NOVA_E_INVALID;
	case 401:
	case 403:
	case 407: return NOVA_E_PERMISSION;
	case 404:
	case 410: return NOVA_E_NOT_FOUND;
	case 409:
	case 423: return NOVA_E_BUSY;
	case 405:
	case 501: return NOVA_E_UNSUPPORTED;
	case 429:
	case 502:
	case 503:
	case 504: return NOVA_E_UNAVAILABLE;
	case 507: return NOVA_E_FULL;
	default: return NOVA_E_FAILED;
	}
}

/* --- trust ------------------------------------------------------------------------------------ */

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

int nova_http_parse_pin(const char *text, unsigned char digest[32])
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

/* Instead of the usual verification: the certificate itself is the identity. */
static int verify_pin(X509_STORE_CTX *store, void *context)
{
	struct nova_http *client = context;
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	unsigned int bytes = 0;

	if (certificate && X509_digest(certificate, EVP_sha256(), digest, &bytes) &&
	    bytes == sizeof(client->pin) && memcmp(digest, client->pin, bytes) == 0) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	memcpy(client->seen, digest, sizeof(client->seen));
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static CURLcode use_pin(CURL *easy, void *ssl, void *context)
{
	(void)easy;
	SSL_CTX_set_cert_verify_callback(ssl, verify_pin, context);
	return CURLE_OK;
}

static void set_text(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = {.data = (void *)(uintptr_t)text, .flags = CURL_BLOB_NOCOPY};

	if (!text)
		return;
	blob.len = strlen(text);
	curl_easy_setopt(easy, option, &blob);
}

void nova_helper_set_trust(struct nova_http *client, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (client->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	} else if (client->pinned) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_pin);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, client);
	} else if (client->ca_file || client->ca_text) {
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
		set_text(easy, CURLOPT_CAINFO_BLOB, client->ca_text);
	}
	curl_easy_setopt(easy, CURLOPT_SSLCERT, client->certificate_file);
	curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
	set_text(easy, CURLOPT_SSLCERT_BLOB, client->certificate_text);
	set_text(easy, CURLOPT_SSLKEY_BLOB, client->key_text);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static int copy_settings(struct nova_http *client, const struct nova_http_settings *settings)
{
	client->insecure = settings->insecure;
	client->auth = settings->auth;
	client->answer_bytes = settings->answer_bytes ? settings->answer_bytes : ANSWER_BYTES;
	client->connect_timeout_ns =
	        settings->connect_timeout_ns > 0 ? settings->connect_timeout_ns : 10 * SECOND_NS;
	client->secrets = settings->secrets;
	return copy(&client->ca_file, settings->ca_file) &&
	       copy(&client->ca_text, settings->ca_text) &&
	       copy(&client->certificate_file, settings->certificate_file) &&
	       copy(&client->certificate_text, settings->certificate_text) &&
	       copy(&client->key_file, settings->key_file) &&
	       copy(&client->key_text, settings->key_text) && copy(&client->user, settings->user) &&
	       copy(&client->password, settings->password) && copy(&client->proxy, settings->proxy);
}

/* The password in a proxy's URL; curl's texts may quote the URL. */
static int hide_password(struct nova_secrets *secrets, const char *proxy)
{
	CURLU *url = proxy ? curl_url() : NULL;
	char *raw = NULL;
	char *plain = NULL;
	int result = NOVA_DONE;

	if (proxy && !url)
		return NOVA_E_MEMORY;
	if (url && curl_url_set(url, CURLUPART_URL, proxy,
	                        CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) == CURLUE_OK) {
		curl_url_get(url, CURLUPART_PASSWORD, &raw, 0);
		curl_url_get(url, CURLUPART_PASSWORD, &plain, CURLU_URLDECODE);
		result = nova_secrets_add(secrets, raw);
		if (result == NOVA_DONE)
			result = nova_secrets_add(secrets, plain);
	}
	curl_free(raw);
	curl_free(plain);
	curl_url_cleanup(url);
	return result;
}

static int hide_passwords(struct nova_http *client)
{
	static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	int result;

	if (!client->secrets)
		return NOVA_DONE;
	result = nova_secrets_add(client->secrets, client->password);
	if (result == NOVA_DONE)
		result = hide_password(client->secrets, client->proxy);
	for (size_t i = 0; !client->proxy && i < sizeof(names) / sizeof(names[0]); i++) {
		if (result == NOVA_DONE)
			result = hide_password(client->secrets, getenv(names[i]));
	}
	return result;
}

static const char *impossible(const struct nova_http_settings *settings)
{
	unsigned char digest[32];

	if (settings->pin && !nova_http_parse_pin(settings->pin, digest))
		return "the fingerprint is not a SHA-256: 32 bytes in hexadecimal";
	if (settings->insecure && settings->pin)
		return "a certificate to be trusted and trust in any are both asked for";
	if ((settings->certificate_file || settings->certificate_text) !=
	    (settings->key_file || settings->key_text))
		return "a client's certificate needs its key, and a key its certificate";
	if (settings->auth > NOVA_HTTP_AUTH_NEGOTIATE)
		return "the kind of authentication is none that is known";
	if (settings->auth && !settings->user)
		return "authentication needs a user (with a Kerberos ticket: an empty one)";
	for (size_t i = 0; settings->headers && settings->headers[i]; i++) {
		if (!nova_helper_is_header(settings->headers[i]))
			return "a header is not of the form Name: value, or has a line break";
	}
	return NULL;
}

static int fill(struct nova_http *client, const struct nova_http_settings *settings)
{
	long connections = settings->connections ? (long)settings->connections : (long)CONNECTIONS;

	client->multi = curl_multi_init();
	if (!client->multi || !copy_settings(client, settings))
		return NOVA_E_MEMORY;
	client->pinned = settings->pin && nova_http_parse_pin(settings->pin, client->pin);
	for (size_t i = 0; settings->headers && settings->headers[i]; i++) {
		if (!nova_helper_add_header(&client->headers, settings->headers[i]))
			return NOVA_E_MEMORY;
	}
	curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
	/* the default keeps fewer while few are busy */
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	return hide_passwords(client);
}

int nova_http_open(const struct nova_http_settings *settings, struct nova_http **out,
                   const char **why)
{
	struct nova_http *client;

	*out = NULL;
	*why = impossible(settings);
	if (*why)
		return NOVA_E_INVALID;
	*why = "out of memory";
	/* Counted by libcurl, and safe there for any thread and plugin of the process since 7.84.
	 */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		*why = "libcurl cannot be started";
		return NOVA_E_UNAVAILABLE;
	}
	client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return NOVA_E_MEMORY;
	}
	if (fill(client, settings) != NOVA_DONE) {
		nova_http_close(client);
		return NOVA_E_MEMORY;
	}
	*why = NULL;
	*out = client;
	return NOVA_DONE;
}

void nova_http_close(struct nova_http *client)
{
	if (!client)
		return;
	while (client->flights)
		nova_http_abort(client->flights);
	curl_multi_cleanup(client->multi);
	nova_helper_wipe_headers(client->headers);
	wipe(client->password);
	wipe(client->key_text);
	wipe(client->proxy);
	free(client->ca_file);
	free(client->ca_text);
	free(client->certificate_file);
	free(client->certificate_text);
	free(client->key_file);
	free(client->user);
	free(client);
	curl_global_cleanup();
}

const char *nova_http_trust(const struct nova_http *client)
{
	return client->insecure ? "insecure" : client->pinned ? "pinned" : "verified";
}

/* --- headers ---------------------------------------------------------------------------------- */

void nova_helper_wipe_headers(struct curl_slist *headers)
{
	for (struct curl_slist *one = headers; one; one = one->next)
		explicit_bzero(one->data, strlen(one->data));
	curl_slist_free_all(headers);
}

int nova_helper_add_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*headers, line);

	if (!longer)
		return 0;
	*headers = longer;
	return 1;
}

int nova_helper_is_header(const char *line)
{
	const char *colon = strchr(line, ':');

	return colon && colon > line && !strpbrk(line, "\r\n");
}

int nova_helper_same_header(const char *line, const char *other)
{
	size_t length = strcspn(other, ":");

	return strncasecmp(line, other, length) == 0 && line[length] == ':';
}

int nova_http_set_header(struct nova_http *client, const char *name, const char *value)
{
	struct curl_slist *kept = NULL;
	struct nova_text line = {0};
	int good = 1;

	nova_text_printf(&line, "%s: %s", name, value ? value : "");
	if (line.broken || !nova_helper_is_header(line.text) || strchr(name, ':'))
		good = 0;
	for (struct curl_slist *one = client->headers; good && one; one = one->next)
		good = nova_helper_same_header(one->data, line.text) ||
		       nova_helper_add_header(&kept, one->data);
	if (good && value)
		good = nova_helper_add_header(&kept, line.text);
	if (good) {
		nova_helper_wipe_headers(client->headers);
		client->headers = kept;
	} else {
		nova_helper_wipe_headers(kept);
	}
	nova_text_wipe(&line);
	return good;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* When the next pause before another attempt is over; INT64_MAX: there is none. */
static int64_t next_due(const struct nova_http *client)
{
	int64_t due_ns = INT64_MAX;

	for (const struct nova_http_flight *flight = client->flights; flight;
	     flight = flight->next) {
		if (flight->due_ns && flight->due_ns < due_ns)
			due_ns = flight->due_ns;
	}
	return due_ns;
}

static void launch_due(struct nova_http *client)
{
	int64_t now_ns = nova_http_now_ns();

	for (struct nova_http_flight *flight = client->flights; flight; flight = flight->next) {
		if (flight->due_ns && flight->due_ns <= now_ns)
			nova_helper_launch(flight);
	}
}

/* Callbacks run here and not inside libcurl's own, so they may start and abort requests. */
static void deliver(struct nova_http *client)
{
	struct nova_http_flight *flight = client->flights;

	while (flight) {
		if (flight->arrived && nova_helper_deliver(flight, 0) != DELIVERED_NOTHING)
			flight = client->flights; /* whatever was next may be gone */
		else
			flight = flight->next;
	}
}

/* How many requests ended. */
static int handle(struct nova_http *client)
{
	CURLMsg *message;
	int running = 0;
	int left = 0;
	int ended = 0;

	launch_due(client);
	curl_multi_perform(client->multi, &running);
	deliver(client);
	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct nova_http_flight *flight = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &flight);
		ended += nova_helper_finish(flight, message->data.result);
	}
	return ended;
}

void nova_helper_turn(struct nova_http *client, struct curl_waitfd *fds, unsigned count,
                      int64_t until_ns)
{
	int64_t now_ns;
	int64_t due_ns;
	int64_t wait_ms;

	/* what has ended is handled before any waiting: nothing would end the wait for it */
	if (handle(client))
		return;
	now_ns = nova_http_now_ns();
	due_ns = next_due(client);
	if (due_ns < until_ns)
		until_ns = due_ns;
	if (until_ns <= now_ns)
		return;
	/* rounded up: waking a little late beats spinning for the rest of a millisecond */
	wait_ms = (until_ns - now_ns) / 1000000 + 1;
	curl_multi_poll(client->multi, fds, count, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms,
	                NULL);
	handle(client);
}

void nova_http_turn(struct nova_http *client, int64_t until_ns)
{
	nova_helper_turn(client, NULL, 0, until_ns);
}

void nova_http_wake(struct nova_http *client)
{
	curl_multi_wakeup(client->multi);
}
