/* SPDX-License-Identifier: MIT */
/*
 * A small driver of an HTTPS API (web.py) that keeps what conformance asks for; -DHOSTILE_<WHAT>
 * breaks one thing. It blocks, one curl handle for each op. NAME is the plugin's name.
 */
#include <novacore/sdk.h>

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

struct session {
	pthread_mutex_t lock;
	char name[64];
};

struct self {
	const struct nova_host *host;
	nova_op instance;
	const char *uri, *ca_file, *token;
	struct session *session;
};

struct reply {
	char *text;
	size_t used;
	const struct self *self;
	nova_op op;
};

/* --- requests --------------------------------------------------------------------------------- */

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
	struct reply *reply = context;

	reply->text = realloc(reply->text, reply->used + size * count + 1);
	if (!reply->text)
		abort();
	memcpy(reply->text + reply->used, bytes, size * count);
	reply->used += size * count;
	reply->text[reply->used] = '\0';
	return size * count;
}

static int is_over(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct reply *reply = context;

	(void)a, (void)b, (void)c, (void)d;
#ifdef HOSTILE_PATIENT
	(void)reply;
	return 0;
#else
	return reply->self->host->cancelled(reply->op) ||
	       reply->self->host->now_ns() > reply->self->host->deadline_ns(reply->op);
#endif
}

static void set_up(CURL *curl, const struct self *self, struct reply *reply, const char *method,
                   struct curl_slist *headers)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_over);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, reply);
	if (self->ca_file && *self->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, self->ca_file);
#ifdef HOSTILE_INSECURE
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
#endif
#ifdef HOSTILE_NAMELESS
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
#endif
#ifdef HOSTILE_FOLLOWS
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_UNRESTRICTED_AUTH, 1L);
#endif
}

/* The HTTP status, or minus a code of curl's. `who` is what the peer shall know us by. */
static long send_once(const struct self *self, struct reply *reply, const char *who,
                      const char *method, const char *path)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	char line[200], url[2048];
	long status = -1;
	CURLcode code;

	snprintf(line, sizeof(line), "Authorization: %s", who);
	snprintf(url, sizeof(url), "%s%s", self->uri, path);
	headers = curl_slist_append(headers, line);
	reply->used = 0;
	set_up(curl, self, reply, method, headers);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
#ifdef HOSTILE_HALF
	if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
		code = CURLE_OK;
#endif
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? status : -(long)code;
}

static long log_in(const struct self *self, struct reply *reply)
{
	char who[200];
	json_t *answer;
	long status;

	snprintf(who, sizeof(who), "Bearer %s", self->token);
	status = send_once(self, reply, who, "POST", "/login");
	answer = json_loadb(reply->used ? reply->text : "", reply->used, 0, NULL);
	pthread_mutex_lock(&self->session->lock);
	snprintf(self->session->name, sizeof(self->session->name), "Session %.40s",
	         status == 200 && json_object_get(answer, "session")
	                 ? json_string_value(json_object_get(answer, "session"))
	                 : "none");
	pthread_mutex_unlock(&self->session->lock);
	json_decref(answer);
	return status;
}

/* In a session, and in another one if that has ended. */
static long send_known(const struct self *self, struct reply *reply, const char *method,
                       const char *path)
{
	char who[sizeof(self->session->name)];
	long status = 401;

	for (int i = 0; i < 2 && status == 401; i++) {
#ifdef HOSTILE_FORGETS
		if (i > 0)
			break;
#endif
		if (i > 0 && (status = log_in(self, reply)) != 200)
			break;
		pthread_mutex_lock(&self->session->lock);
		memcpy(who, self->session->name, sizeof(who));
		pthread_mutex_unlock(&self->session->lock);
		status = send_once(self, reply, who, method, path);
	}
	return status;
}

static int complain(const struct self *self, nova_op op, long status, const json_t *answer)
{
	const char *said = json_string_value(json_object_get(answer, "error"));

	if (self->host->cancelled(op))
		return self->host->error(op, NOVA_E_CANCELLED, "cancelled");
	if (self->host->now_ns() > self->host->deadline_ns(op))
		return self->host->error(op, NOVA_E_TIMEOUT, "the deadline has passed");
	if (status < 0)
		return self->host->errorf(op, NOVA_E_UNAVAILABLE, "%s: %s", self->uri,
		                          curl_easy_strerror((CURLcode)-status));
	return self->host->errorf(op,
	                          status == 404   ? NOVA_E_NOT_FOUND
	                          : status == 409 ? NOVA_E_EXISTS
	                          : status == 401 ? NOVA_E_PERMISSION
	                                          : NOVA_E_PROTOCOL,
	                          "the answer is %ld: %s", status, said ? said : "no reason");
}

/* NOVA_DONE and the answer, an object; else the reason was said. */
static int ask(const struct self *self, nova_op op, const char *method, const char *path,
               json_t **answer)
{
	struct reply reply = {.self = self, .op = op};
	long status = send_known(self, &reply, method, path);
	int result = NOVA_DONE;

#ifdef HOSTILE_RESENDS
	if (status < 0)
		status = send_known(self, &reply, method, path);
#endif
	*answer = json_loadb(reply.used ? reply.text : "", reply.used, 0, NULL);
#if defined(HOSTILE_TRUSTING) || defined(HOSTILE_HALF)
#ifdef HOSTILE_HALF
	if (!json_is_object(*answer) && status == 200 && reply.used && reply.text[0] == '{') {
#else
	if (!json_is_object(*answer) && status > 0) {
#endif
		json_decref(*answer);
		*answer = json_object();
		status = 200;
	}
#endif
	if (status != 200 || !json_is_object(*answer)) {
		result = complain(self, op, status, *answer);
		json_decref(*answer);
		*answer = NULL;
	}
	free(reply.text);
	return result;
}

/* `words` with %s for the escaped name. */
static int ask_about(const struct self *self, nova_op op, const char *method, const char *words,
                     const struct nova_ref *vm, json_t **answer)
{
	CURL *curl = curl_easy_init();
	char *name = curl_easy_escape(curl, vm->name, 0), *id = NULL;
	char path[2048];
	int used = snprintf(path, sizeof(path), words, name ? name : "");

	if (vm->id) {
		id = curl_easy_escape(curl, vm->id, 0);
		snprintf(path + used, sizeof(path) - (size_t)used, "&id=%s", id);
	}
	curl_free(name);
	curl_free(id);
	curl_easy_cleanup(curl);
	return ask(self, op, method, path, answer);
}

static int is_plain(const char *name)
{
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
			return 0;
	return strlen(name) < 200;
}

/* --- the instance ----------------------------------------------------------------------------- */

static int create(const struct nova_host *host, nova_op instance, void **out)
{
	struct self *self = calloc(1, sizeof(*self));
	struct session *session = calloc(1, sizeof(*session));

	if (!self || !session) {
		free(self);
		free(session);
		return host->error(instance, NOVA_E_MEMORY, "out of memory");
	}
	pthread_mutex_init(&session->lock, NULL);
	strcpy(session->name, "Session none");
	self->session = session;
	self->host = host;
	self->instance = instance;
	self->uri = host->param_text(instance, "uri", 0);
	self->ca_file = host->param_text(instance, "ca_file", 0);
	self->token = host->param_text(instance, "token", 0);
	*out = self;
	return NOVA_DONE;
}

static void destroy(void *opaque)
{
	struct self *self = opaque;

	pthread_mutex_destroy(&self->session->lock);
	free(self->session);
	free(self);
}

static int cancel(void *self, nova_op op)
{
	(void)self, (void)op;
	return NOVA_DONE;
}

static int connect_(void *opaque, nova_op op)
{
	struct self *self = opaque;
	struct reply reply = {.self = self, .op = op};
	json_t *answer = NULL;
	long code;
	int status;

	if (!self->uri || strncmp(self->uri, "https://", 8) != 0)
		return self->host->error(op, NOVA_E_INVALID, "uri is no https://…");
	code = log_in(self, &reply);
	free(reply.text);
	if (code != 200)
		return complain(self, op, code, NULL);
	status = ask(self, op, "GET", "/list?prefix=none", &answer);
	json_decref(answer);
	return status;
}

static int describe(void *opaque, nova_op op)
{
	static const char *const can[] = {NOVA_CAN_CREATE, NOVA_CAN_START, NOVA_CAN_DISK, NULL};
	static const char *const cannot[] = {NOVA_CAN_CLONE,    NOVA_CAN_SHUTDOWN, NOVA_CAN_PAUSE,
	                                     NOVA_CAN_EXEC,     NOVA_CAN_READY,    NOVA_CAN_BEAT,
	                                     NOVA_CAN_DIRECT,   NOVA_CAN_STUB,     NOVA_CAN_STATS,
	                                     NOVA_CAN_ADDRESS,  NOVA_CAN_IMAGE,    NOVA_CAN_NETWORK,
	                                     NOVA_CAN_MIGRATE,  NOVA_CAN_KNOBS,    NOVA_CAN_TWIN,
	                                     NOVA_CAN_SNAPSHOT, NOVA_CAN_TEMPLATE, NULL};
	const struct nova_host *host = ((struct self *)opaque)->host;

	host->put_fact(op, NOVA_FIELD_FACT, "product", "web");
	host->put_fact(op, NOVA_FIELD_FACT, "version", "1");
	for (int i = 0; can[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, can[i], NULL);
	for (int i = 0; cannot[i]; i++)
		host->put_fact(op, NOVA_FIELD_CAPABILITY, cannot[i], "its VMs are lines");
	host->put_fact(op, NOVA_FIELD_CAPABILITY, NOVA_CAN_RESET, NULL);
	return NOVA_DONE;
}

/* --- VMs -------------------------------------------------------------------------------------- */

static int vm_create(void *opaque, nova_op op, const char *name, const struct nova_shape *shape)
{
	struct self *self = opaque;
	const struct nova_ref vm = {.name = name};
	json_t *answer = NULL;
	const char *words = "/vm?name=%s", *id;
	int status;

	(void)shape;
	if (!is_plain(name))
		return self->host->error(op, NOVA_E_INVALID, "no VM can have that name");
#if defined(HOSTILE_RESENDS) || defined(HOSTILE_TWICE)
	words = "/vm?force&name=%s";
#endif
	status = ask_about(self, op, "POST", words, &vm, &answer);
	id = json_string_value(json_object_get(answer, "id"));
	if (status == NOVA_DONE && id)
		self->host->put_fact(op, NOVA_FIELD_ID, "", id);
#if !defined(HOSTILE_TRUSTING) && !defined(HOSTILE_HALF)
	if (status == NOVA_DONE && !id)
		status = self->host->error(op, NOVA_E_PROTOCOL, "the answer has no id");
#endif
	json_decref(answer);
	return status;
}

static int vm_delete(void *opaque, nova_op op, const struct nova_ref *vm)
{
	struct self *self = opaque;
	json_t *answer = NULL;
	int status;

#ifdef HOSTILE_SWEEPS
	char prefix[] = "novacore-check-123456-";
	memcpy(prefix, vm->name, strnlen(vm->name, sizeof(prefix) - 1));
	status = ask_about(self, op, "DELETE", "/vm?all&name=%s",
	                   &(const struct nova_ref){.name = prefix}, &answer);
#else
	status = is_plain(vm->name) ? ask_about(self, op, "DELETE", "/vm?name=%s", vm, &answer)
	                            : NOVA_DONE;
#endif
	json_decref(answer);
	return status;
}

static void say(const struct self *self, const char *name, uint32_t kind)
{
	const struct nova_event event = {.struct_size = sizeof(event),
	                                 .kind = kind,
	                                 .source = NOVA_SOURCE_API,
	                                 .name = name,
	                                 .t_ns = self->host->now_ns(),
	                                 .resolution_ns = 1000};

	self->host->event(self->instance, &event);
}

static int vm_power(void *opaque, nova_op op, const struct nova_ref *vm, uint32_t action)
{
	struct self *self = opaque;
	json_t *answer = NULL;
	int64_t was;
	int status = ask_about(self, op, "GET", "/vm?name=%s", vm, &answer);

	was = json_integer_value(json_object_get(answer, "state"));
	json_decref(answer);
	if (status != NOVA_DONE)
		return status;
	if (action != NOVA_POWER_START && action != NOVA_POWER_OFF && action != NOVA_POWER_RESET)
		return self->host->error(op, NOVA_E_UNSUPPORTED, "a line knows only on and off");
#ifndef HOSTILE_DISORDER
	if (action == NOVA_POWER_RESET && was != NOVA_STATE_RUNNING)
		return self->host->error(op, NOVA_E_BUSY, "it is off");
#endif
#ifdef HOSTILE_ONCE
	if (action == NOVA_POWER_OFF && was != NOVA_STATE_RUNNING)
		return self->host->error(op, NOVA_E_BUSY, "it is off");
#endif
	status = ask_about(self, op, "POST",
	                   action == NOVA_POWER_OFF ? "/power?state=1&name=%s"
	                                            : "/power?state=2&name=%s",
	                   vm, &answer);
	json_decref(answer);
	if (status != NOVA_DONE)
		return status;
	if (action != NOVA_POWER_OFF && (was != NOVA_STATE_RUNNING || action == NOVA_POWER_RESET))
		say(self, vm->name, NOVA_EVENT_RUNNING);
	else if (action == NOVA_POWER_OFF && was == NOVA_STATE_RUNNING)
		say(self, vm->name, NOVA_EVENT_STOPPED);
	return NOVA_DONE;
}

static int vm_list(void *opaque, nova_op op, const char *prefix)
{
	struct self *self = opaque;
	const struct nova_ref vm = {.name = prefix};
	json_t *answer = NULL, *one;
	const char *words = "/list?prefix=%s";
	int status;
	size_t i;

#ifdef HOSTILE_FIRST_PAGE
	words = "/list?limit=20&prefix=%s";
#endif
	if (!is_plain(prefix))
		return NOVA_DONE;
	status = ask_about(self, op, "GET", words, &vm, &answer);
#if !defined(HOSTILE_TRUSTING) && !defined(HOSTILE_HALF)
	if (status == NOVA_DONE && !json_is_array(json_object_get(answer, "vms")))
		status = self->host->error(op, NOVA_E_PROTOCOL, "the answer has no VMs");
#endif
	json_array_foreach(json_object_get(answer, "vms"), i, one) self->host->put_fact(
	        op, NOVA_FIELD_VM, json_string_value(json_object_get(one, "name")),
	        json_string_value(json_object_get(one, "id")));
	json_decref(answer);
	return status;
}

static int vm_query(void *opaque, nova_op op, const struct nova_ref *vm, uint32_t what)
{
	struct self *self = opaque;
	json_t *answer = NULL;
	int status;

	if (what != NOVA_QUERY_STATE)
		return self->host->error(op, NOVA_E_UNSUPPORTED, "only its state is known");
#if defined(HOSTILE_LATE) || defined(HOSTILE_DEAF)
	usleep(200000);
#ifdef HOSTILE_LATE
	if (self->host->now_ns() > self->host->deadline_ns(op))
#else
	if (self->host->cancelled(op))
#endif
		sleep(8);
#endif
	status = ask_about(self, op, "GET", "/vm?name=%s", vm, &answer);
	if (status == NOVA_DONE)
		self->host->put_i64(op, NOVA_FIELD_STATE,
		                    json_integer_value(json_object_get(answer, "state")));
	json_decref(answer);
	return status;
}

static const struct nova_hypervisor ops = {.struct_size = sizeof(ops),
                                           .create = create,
                                           .destroy = destroy,
                                           .cancel = cancel,
                                           .connect = connect_,
                                           .describe = describe,
                                           .vm_create = vm_create,
                                           .vm_power = vm_power,
                                           .vm_delete = vm_delete,
                                           .vm_list = vm_list,
                                           .vm_query = vm_query};

#define PARAMETER(...)                                                                             \
	{                                                                                          \
		.struct_size = sizeof(struct nova_parameter), __VA_ARGS__                          \
	}
static const struct nova_parameter uri = PARAMETER(.type = NOVA_PARAM_TEXT, .name = "uri",
                                                   .flags = NOVA_PARAM_REQUIRED,
                                                   .doc = "where web.py is"),
                                   ca_file = PARAMETER(.type = NOVA_PARAM_PATH, .name = "ca_file",
                                                       .doc = "who vouches for it"),
                                   token = PARAMETER(.type = NOVA_PARAM_SECRET, .name = "token",
                                                     .flags = NOVA_PARAM_REQUIRED,
                                                     .doc = "what lets us in");
static const struct nova_parameter *const parameters[] = {&uri, &ca_file, &token, NULL};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_HYPERVISOR,
                                          .name = TEXT(NAME),
                                          .version = "1",
                                          .summary = "a driver of an HTTPS API for tests",
                                          .license = "MIT",
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .parameters = parameters,
                                          .ops = &ops};
NOVA_PLUGIN(NOVA_KIND_HYPERVISOR, plugin)
