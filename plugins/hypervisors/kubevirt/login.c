/* SPDX-License-Identifier: MIT */
/*
 * Who we are and whom we trust: parameters, the kubeconfig, and where a token comes from. A token
 * in a file may be replaced there, and one that a program prints runs out: after a 401 both are
 * asked for again, once.
 */
#include "kubevirt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *param_text(const struct kubevirt *self, const char *name)
{
	const char *text = self->host->param_text(self->instance, name, 0);

	return text && text[0] ? text : NULL;
}

int64_t param_number(const struct kubevirt *self, const char *name, int64_t fallback)
{
	int64_t value;

	return self->host->param_i64(self->instance, name, 0, &value) == NOVA_DONE ? value
	                                                                           : fallback;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int read_kubeconfig(struct kubevirt *self)
{
	const char *path = param_text(self, "kubeconfig");
	char why[200] = "";
	int result;

	if (!path)
		return NOVA_DONE;
	result =
	        kubeconfig_load(path, param_text(self, "context"), &self->config, why, sizeof(why));
	if (result != NOVA_DONE)
		return self->host->errorf(self->instance, result, "kubeconfig %s: %s", path, why);
	if (self->config.server_name)
		return self->host->errorf(
		        self->instance, NOVA_E_UNSUPPORTED,
		        "kubeconfig %s: tls-server-name is not supported; name the "
		        "server as its certificate does, or set fingerprint",
		        path);
	return NOVA_DONE;
}

/* Without a slash at its end, and equal texts for equal servers. */
static char *tidy(const char *uri)
{
	size_t length = strlen(uri);

	while (length && uri[length - 1] == '/')
		length--;
	return strndup(uri, length);
}

static int read_address(struct kubevirt *self)
{
	const struct nova_host *host = self->host;
	const char *uri = param_text(self, "uri");
	const char *chosen = uri ? uri : self->config.server;
	char *server = self->config.server ? tidy(self->config.server) : NULL;
	int same;

	if (!chosen)
		return host->error(self->instance, NOVA_E_INVALID,
		                   "neither uri (https://host:6443) nor kubeconfig is set");
	if (strncmp(chosen, "https://", 8) != 0 || chosen[8] == '\0' ||
	    strpbrk(chosen, " @?#\r\n")) {
		free(server);
		return host->errorf(self->instance, NOVA_E_INVALID,
		                    "'%s' is not of the form https://host:6443", chosen);
	}
	self->base = tidy(chosen);
	same = !server || !self->base || strcmp(server, self->base) == 0;
	free(server);
	if (!self->base)
		return host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	if (!same) /* its credentials are for that server alone */
		return host->errorf(
		        self->instance, NOVA_E_INVALID,
		        "uri is %s, and the kubeconfig's context '%s' is about %s: leave "
		        "uri out, or choose another context",
		        self->base, self->config.context, self->config.server);
	return NOVA_DONE;
}

static int read_namespace(struct kubevirt *self)
{
	const char *name = param_text(self, "namespace");

	if (!name)
		name = self->config.namespace ? self->config.namespace : "default";
	if (!is_name(name))
		return self->host->errorf(self->instance, NOVA_E_INVALID,
		                          "'%.100s' cannot be a namespace's name", name);
	self->namespace = strdup(name);
	return self->namespace ? NOVA_DONE
	                       : self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
}

static int has_own_credentials(const struct kubevirt *self)
{
	return param_text(self, "token") || param_text(self, "client_certificate");
}

static const char *no_login(const struct kubevirt *self)
{
	const struct kubeconfig *config = &self->config;

	if (has_own_credentials(self))
		return NULL;
	if (config->foreign)
		return "the kubeconfig's user logs in by 'auth-provider', a password or by acting "
		       "as "
		       "somebody else, which this driver does not: give token or "
		       "client_certificate";
	if (config->exec_argv && !self->may_run)
		return "the kubeconfig's user gets a token from a program: allow that by "
		       "hypervisor.kubevirt.exec_credentials=true, or give token";
	if (config->exec_argv && config->exec_asks)
		return "the program that gives the kubeconfig's user a token wants to ask a person "
		       "(interactiveMode: Always), and there is none here: give token";
	if (!config->exec_argv && !config->token && !config->token_file &&
	    !config->certificate_file && !config->certificate_text)
		return "no credential: set kubeconfig (and context), or token, or "
		       "client_certificate "
		       "and client_key";
	return NULL;
}

int login_read(struct kubevirt *self)
{
	const char *fingerprint = param_text(self, "fingerprint");
	unsigned char digest[32];
	const char *why;
	int result = read_kubeconfig(self);

	if (result == NOVA_DONE)
		result = read_address(self);
	if (result == NOVA_DONE)
		result = read_namespace(self);
	if (result != NOVA_DONE)
		return result;
	if (fingerprint && !nova_http_parse_pin(fingerprint, digest))
		return self->host->error(self->instance, NOVA_E_INVALID,
		                         "fingerprint is not a SHA-256: 32 bytes in hexadecimal");
	if (!param_text(self, "client_certificate") != !param_text(self, "client_key"))
		return self->host->error(self->instance, NOVA_E_INVALID,
		                         "client_certificate and client_key need each other");
	why = no_login(self);
	return why ? self->host->error(self->instance, NOVA_E_INVALID, why) : NOVA_DONE;
}

/* --- tokens ----------------------------------------------------------------------------------- */

/* Output of a credential program. */
struct output {
	struct nova_text text;
	int errors; /* there was some on its standard error, which is not shown: it may hold secrets
	             */
};

static void take_output(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	struct output *output = context;

	if (field == NOVA_FIELD_STDOUT && output->text.used + count < 1u << 20)
		nova_text_append(&output->text, bytes, (size_t)count);
	else
		output->errors = 1;
}

/* The token in an ExecCredential; the caller owns it. */
static char *read_credential(const struct output *output, const char **why)
{
	char reason[120];
	json_t *json = nova_json_parse(nova_text_get(&output->text), output->text.used, reason,
	                               sizeof(reason));
	const char *token = nova_json_text(json, "status.token", "");
	char *copy = NULL;

	if (!json)
		*why = "it printed no JSON";
	else if (strcmp(nova_json_text(json, "kind", ""), "ExecCredential") != 0)
		*why = "it printed no ExecCredential";
	else if (!*token)
		*why = nova_json_at(json, "status.clientCertificateData")
		               ? "it gives a client certificate, which is not supported"
		               : "it gave no token";
	else if (!(copy = strdup(token)))
		*why = "out of memory";
	json_decref(json);
	return copy;
}

/* Runs it on this thread: nothing else can be done before, and it takes about a second. */
static char *run_program(struct kubevirt *self, nova_op op, const char **why)
{
	const struct kubeconfig *config = &self->config;
	const char *environment[KUBECONFIG_ENV + 2] = {NULL};
	struct nova_exec exec = {.struct_size = sizeof(exec),
	                         .argv = (const char *const *)config->exec_argv,
	                         .env = environment};
	struct output output = {0};
	char info[240];
	size_t count = 0;
	int32_t status = -1;
	char *token = NULL;

	snprintf(info, sizeof(info),
	         "KUBERNETES_EXEC_INFO={\"apiVersion\":\"%.100s\",\"kind\":\"ExecCredential\","
	         "\"spec\":{\"interactive\":false}}",
	         config->exec_version ? config->exec_version : "client.authentication.k8s.io/v1");
	environment[count++] = info;
	for (size_t i = 0; config->exec_env && config->exec_env[i]; i++)
		environment[count++] = config->exec_env[i];
	*why = "it cannot be run";
	if (self->host->process(op, &exec, take_output, &output, &status) == NOVA_DONE) {
		*why = "it failed (run it by hand to see why)";
		if (status == 0)
			token = read_credential(&output, why);
	}
	nova_text_wipe(&output.text);
	return token;
}

/* Where the token comes from that may become another one; NULL: it never does. */
static const char *token_source(const struct kubevirt *self)
{
	if (has_own_credentials(self) || self->config.token)
		return NULL;
	return self->config.token_file  ? self->config.token_file
	       : self->config.exec_argv ? self->config.exec_argv[0]
	                                : NULL;
}

static int use_token(struct kubevirt *self, const char *token)
{
	struct nova_text value = {0};
	int ok;

	nova_text_printf(&value, "Bearer %s", token);
	ok = !strpbrk(token, " \t\r\n") && !value.broken &&
	     nova_calls_add_secret(self->calls, token) == NOVA_DONE &&
	     nova_http_set_header(nova_calls_http(self->calls), "Authorization", value.text);
	nova_text_wipe(&value);
	return ok;
}

/* NOVA_DONE, or a code and a clause. */
static int fetch_token(struct kubevirt *self, nova_op op, char *reason, size_t room)
{
	const char *why = reason;
	char *token;
	int ok;

	snprintf(reason, room, "it is not a token");
	token = self->config.token_file
	                ? kubeconfig_read_token(self->config.token_file, reason, room)
	                : run_program(self, op, &why);
	if (!token) {
		if (why != reason)
			snprintf(reason, room, "%s", why);
		return NOVA_E_PERMISSION;
	}
	ok = use_token(self, token);
	memset(token, 0, strlen(token));
	free(token);
	return ok ? NOVA_DONE : NOVA_E_INVALID;
}

int login_begin(struct kubevirt *self, nova_op op)
{
	const char *source = token_source(self);
	char why[200];
	int result = source ? fetch_token(self, op, why, sizeof(why)) : NOVA_DONE;

	if (result != NOVA_DONE)
		return self->host->errorf(op, result, "no token from %s: %s", source, why);
	return NOVA_DONE;
}

int login_expired(struct nova_call *base, const struct nova_refusal *refusal)
{
	return refusal->status == 401 && token_source(nova_calls_driver(base->calls)) != NULL;
}

void login_renew(struct nova_call *base)
{
	struct kubevirt *self = nova_calls_driver(base->calls);
	char why[200];
	int result = fetch_token(self, self->instance, why, sizeof(why));

	if (result != NOVA_DONE)
		nova_call_fail(base, result,
		               "the token has run out, and there is no new one from %s: %s",
		               token_source(self), why);
	else
		nova_call_done(base);
}

/* --- opening ---------------------------------------------------------------------------------- */

int login_open(struct kubevirt *self)
{
	const struct kubeconfig *config = &self->config;
	int own = has_own_credentials(self);
	const char *token = own ? param_text(self, "token") : config->token;
	const char *pin = param_text(self, "fingerprint");
	const char *ca_file = param_text(self, "ca_file");
	struct nova_text bearer = {0};
	int result;

	if (token && strpbrk(token, " \t\r\n"))
		return self->host->error(self->instance, NOVA_E_INVALID,
		                         "token has white space in it");
	if (token)
		nova_text_printf(&bearer, "Authorization: Bearer %s", token);
	if (bearer.broken)
		return self->host->error(self->instance, NOVA_E_MEMORY, "out of memory");
	result = nova_calls_open(
	        &(struct nova_calls_settings){
	                .host = self->host,
	                .instance = self->instance,
	                .base = self->base,
	                .peer = "Kubernetes",
	                .stranger = "; is this the API server's address?",
	                .trust_advice = "; give its authority by ca_file or the kubeconfig, or its "
	                                "fingerprint",
	                .format = NOVA_REPLY_JSON,
	                .secrets = (const char *const[]){token ? token : config->key_text,
	                                                 config->key_text, NULL},
	                .http = {.ca_file = ca_file ? ca_file : config->ca_file,
	                         .ca_text = ca_file || config->ca_file ? NULL : config->ca_text,
	                         .pin = pin,
	                         .insecure = !pin && (param_number(self, "insecure", 0) != 0 ||
	                                              (config->insecure && !ca_file)),
	                         .certificate_file = own ? param_text(self, "client_certificate")
	                                                 : config->certificate_file,
	                         .key_file =
	                                 own ? param_text(self, "client_key") : config->key_file,
	                         .certificate_text = own ? NULL : config->certificate_text,
	                         .key_text = own ? NULL : config->key_text,
	                         .headers = (const char *const[]){"Accept: application/json",
	                                                          token ? bearer.text : NULL, NULL},
	                         .proxy = config->proxy, /* else as the environment says */
	                         .connections = 24},
	                .call_bytes = sizeof(struct call),
	                .release = call_release,
	                .judge = call_judge,
	                .advice = call_advice,
	                .driver = self,
	                .expired = login_expired,
	                .renew = login_renew},
	        &self->calls);
	nova_text_wipe(&bearer);
	return result;
}
