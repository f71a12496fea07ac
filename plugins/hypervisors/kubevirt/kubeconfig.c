/* SPDX-License-Identifier: MIT */
/*
 * Kubeconfigs, over libyaml's document interface. Anchors are nodes like others there and are never
 * expanded, so that no small file becomes a large one.
 */
#include "kubeconfig.h"

#include <novacore/types.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

/* Larger than any that people have; what is longer is something else. */
#define FILE_BYTES  (4u << 20)
#define TOKEN_BYTES 65536u

struct reader {
	yaml_document_t document;
	const char *directory;
	char *why;
	size_t room;
	int code; /* NOVA_DONE until something was wrong */
};

__attribute__((format(printf, 3, 4))) static void wrong(struct reader *reader, int code,
                                                        const char *format, ...)
{
	va_list arguments;

	if (reader->code != NOVA_DONE)
		return;
	reader->code = code;
	va_start(arguments, format);
	vsnprintf(reader->why, reader->room, format, arguments);
	va_end(arguments);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static const char *scalar(const yaml_node_t *node)
{
	const char *text;

	if (!node || node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	/* a NUL in it would cut it short for us and not for others */
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

static yaml_node_t *child(struct reader *reader, const yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++) {
		const char *name = scalar(yaml_document_get_node(&reader->document, pair->key));

		if (name && strcmp(name, key) == 0)
			return yaml_document_get_node(&reader->document, pair->value);
	}
	return NULL;
}

/* NULL also for "", null and ~, which mean the same in a kubeconfig. */
static const char *text_at(struct reader *reader, const yaml_node_t *map, const char *key)
{
	const yaml_node_t *node = child(reader, map, key);
	const char *text = scalar(node);

	if (!text || !*text)
		return NULL;
	if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (strcmp(text, "null") == 0 || strcmp(text, "~") == 0))
		return NULL;
	return text;
}

static char *keep(struct reader *reader, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		wrong(reader, NOVA_E_MEMORY, "out of memory");
	return copy;
}

static char *keep_text(struct reader *reader, const yaml_node_t *map, const char *key)
{
	return keep(reader, text_at(reader, map, key));
}

static char *keep_path(struct reader *reader, const yaml_node_t *map, const char *key)
{
	const char *text = text_at(reader, map, key);
	char *path = NULL;

	if (!text || text[0] == '/')
		return keep(reader, text);
	if (asprintf(&path, "%s/%s", reader->directory, text) < 0) {
		wrong(reader, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	return path;
}

/* Base64 of PEM. */
static char *keep_pem(struct reader *reader, const yaml_node_t *map, const char *key)
{
	const char *text = text_at(reader, map, key);
	size_t length = text ? strlen(text) : 0;
	unsigned char *out;
	int bytes;

	if (!text)
		return NULL;
	while (length && strchr("\n\r ", text[length - 1]))
		length--;
	out = calloc(1, length + 4);
	if (!out) {
		wrong(reader, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	bytes = length > 1u << 24 ? -1
	                          : EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
	/* OpenSSL gives zeros for the padding */
	while (bytes > 0 && length && text[length - 1] == '=') {
		bytes--;
		length--;
	}
	if (bytes <= 0 || strlen((char *)out) != (size_t)bytes ||
	    !strstr((char *)out, "-----BEGIN ")) {
		wrong(reader, NOVA_E_INVALID, "%s is not the Base64 of a PEM text", key);
		OPENSSL_cleanse(out, length);
		free(out);
		return NULL;
	}
	return (char *)out;
}

static int flag_at(struct reader *reader, const yaml_node_t *map, const char *key)
{
	const char *text = text_at(reader, map, key);

	if (!text || strcmp(text, "false") == 0)
		return 0;
	if (strcmp(text, "true") == 0)
		return 1;
	wrong(reader, NOVA_E_INVALID, "%s is neither true nor false", key);
	return 0;
}

/* Of a list of {name: …, WHAT: {…}}: the WHAT of that name. */
static yaml_node_t *named(struct reader *reader, const char *list, const char *what,
                          const char *name)
{
	const yaml_node_t *items =
	        child(reader, yaml_document_get_root_node(&reader->document), list);

	if (items && items->type == YAML_SEQUENCE_NODE) {
		for (yaml_node_item_t *item = items->data.sequence.items.start;
		     item < items->data.sequence.items.top; item++) {
			const yaml_node_t *node = yaml_document_get_node(&reader->document, *item);
			const char *own = text_at(reader, node, "name");

			yaml_node_t *found;

			if (!own || strcmp(own, name) != 0)
				continue;
			found = child(reader, node, what);
			if (!found)
				wrong(reader, NOVA_E_INVALID, "what it names '%.100s' has no %s",
				      name, what);
			return found;
		}
	}
	wrong(reader, NOVA_E_NOT_FOUND, "it has no %s named '%.100s'", what, name);
	return NULL;
}

/* --- what is in it ---------------------------------------------------------------------------- */

static void read_cluster(struct reader *reader, const yaml_node_t *cluster, struct kubeconfig *out)
{
	out->server = keep_text(reader, cluster, "server");
	out->ca_file = keep_path(reader, cluster, "certificate-authority");
	out->ca_text = keep_pem(reader, cluster, "certificate-authority-data");
	out->server_name = keep_text(reader, cluster, "tls-server-name");
	out->proxy = keep_text(reader, cluster, "proxy-url");
	out->insecure = flag_at(reader, cluster, "insecure-skip-tls-verify");
	if (!out->server)
		wrong(reader, NOVA_E_INVALID, "the cluster '%.100s' has no server", out->cluster);
}

/* A sequence as a NULL-terminated list, after `first` if that is not NULL. */
static char **read_arguments(struct reader *reader, const yaml_node_t *exec, char *first)
{
	const yaml_node_t *list = child(reader, exec, "args");
	int is_list = list && list->type == YAML_SEQUENCE_NODE;
	size_t count =
	        is_list ? (size_t)(list->data.sequence.items.top - list->data.sequence.items.start)
	                : 0;
	char **out = calloc(count + 2, sizeof(*out));

	if (!out) {
		free(first);
		wrong(reader, NOVA_E_MEMORY, "out of memory");
		return NULL;
	}
	out[0] = first;
	for (size_t i = 0; i < count; i++) {
		const char *text = scalar(yaml_document_get_node(
		        &reader->document, list->data.sequence.items.start[i]));

		if (!text)
			wrong(reader, NOVA_E_INVALID, "args of the exec program are not texts");
		out[i + 1] = keep(reader, text ? text : "");
		if (!out[i + 1])
			break;
	}
	return out;
}

static char **read_environment(struct reader *reader, const yaml_node_t *exec)
{
	const yaml_node_t *list = child(reader, exec, "env");
	int is_list = list && list->type == YAML_SEQUENCE_NODE;
	size_t count =
	        is_list ? (size_t)(list->data.sequence.items.top - list->data.sequence.items.start)
	                : 0;
	char **out = calloc(count + 1, sizeof(*out));

	if (count > KUBECONFIG_ENV)
		wrong(reader, NOVA_E_INVALID, "env of the exec program is longer than %d",
		      KUBECONFIG_ENV);
	for (size_t i = 0; out && i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(
		        &reader->document, list->data.sequence.items.start[i]);
		const char *name = text_at(reader, item, "name");
		const char *value = scalar(child(reader, item, "value"));

		if (!name || strchr(name, '=') || !value) {
			wrong(reader, NOVA_E_INVALID,
			      "env of the exec program is not a list of {name, value}");
			break;
		}
		if (asprintf(&out[i], "%s=%s", name, value) < 0) {
			out[i] = NULL;
			wrong(reader, NOVA_E_MEMORY, "out of memory");
			break;
		}
	}
	if (!out)
		wrong(reader, NOVA_E_MEMORY, "out of memory");
	return out;
}

static void read_exec(struct reader *reader, const yaml_node_t *exec, struct kubeconfig *out)
{
	const char *command = text_at(reader, exec, "command");
	const char *mode = text_at(reader, exec, "interactiveMode");
	char *path;

	if (!exec || exec->type != YAML_MAPPING_NODE)
		return;
	if (!command) {
		wrong(reader, NOVA_E_INVALID, "the exec program has no command");
		return;
	}
	/* as kubectl: a path with a slash is relative to the file, a bare name is looked up */
	path = strchr(command, '/') ? keep_path(reader, exec, "command") : keep(reader, command);
	out->exec_argv = path ? read_arguments(reader, exec, path) : NULL;
	out->exec_env = read_environment(reader, exec);
	out->exec_version = keep_text(reader, exec, "apiVersion");
	out->exec_asks = mode && strcmp(mode, "Always") == 0;
}

static void read_user(struct reader *reader, const yaml_node_t *user, struct kubeconfig *out)
{
	static const char *const strange[] = {"auth-provider", "username", "as", "as-uid",
	                                      "as-groups"};

	out->token = keep_text(reader, user, "token");
	out->token_file = keep_path(reader, user, "tokenFile");
	out->certificate_file = keep_path(reader, user, "client-certificate");
	out->certificate_text = keep_pem(reader, user, "client-certificate-data");
	out->key_file = keep_path(reader, user, "client-key");
	out->key_text = keep_pem(reader, user, "client-key-data");
	read_exec(reader, child(reader, user, "exec"), out);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		if (child(reader, user, strange[i]) && !out->foreign)
			out->foreign = strange[i];
	}
}

static void read_document(struct reader *reader, const char *wanted, struct kubeconfig *out)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	const char *name = wanted ? wanted : text_at(reader, root, "current-context");
	const yaml_node_t *context, *cluster, *user;

	if (!root || root->type != YAML_MAPPING_NODE) {
		wrong(reader, NOVA_E_INVALID, "it is not a kubeconfig (no mapping)");
		return;
	}
	if (!name) {
		wrong(reader, NOVA_E_NOT_FOUND, "it has no current-context");
		return;
	}
	out->context = keep(reader, name);
	context = named(reader, "contexts", "context", name);
	out->cluster = keep_text(reader, context, "cluster");
	out->user = keep_text(reader, context, "user");
	out->namespace = keep_text(reader, context, "namespace");
	if (reader->code == NOVA_DONE && !out->cluster)
		wrong(reader, NOVA_E_INVALID, "the context '%.100s' has no cluster", name);
	if (reader->code != NOVA_DONE)
		return;
	cluster = named(reader, "clusters", "cluster", out->cluster);
	if (cluster)
		read_cluster(reader, cluster, out);
	user = out->user ? named(reader, "users", "user", out->user) : NULL;
	if (user)
		read_user(reader, user, out);
}

int kubeconfig_read(const char *text, size_t bytes, const char *directory, const char *context,
                    struct kubeconfig *out, char *why, size_t room)
{
	struct reader reader = {.directory = directory, .why = why, .room = room};
	yaml_parser_t parser;

	memset(out, 0, sizeof(*out));
	if (!yaml_parser_initialize(&parser)) {
		wrong(&reader, NOVA_E_MEMORY, "out of memory");
		return reader.code;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	if (!yaml_parser_load(&parser, &reader.document)) {
		/* libyaml's own words hold nothing of the file */
		wrong(&reader, parser.error == YAML_MEMORY_ERROR ? NOVA_E_MEMORY : NOVA_E_INVALID,
		      "it is no YAML: %s at line %zu",
		      parser.problem ? parser.problem : "unreadable", parser.problem_mark.line + 1);
	} else {
		read_document(&reader, context, out);
		yaml_document_delete(&reader.document);
	}
	yaml_parser_delete(&parser);
	return reader.code;
}

/* --- files ------------------------------------------------------------------------------------ */

/* At most `limit` bytes; NULL and a clause. */
static char *read_file(const char *path, size_t limit, size_t *bytes, mode_t *mode, char *why,
                       size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat about;
	char *text = NULL;
	ssize_t got = 0;

	*bytes = 0;
	if (fd < 0 || fstat(fd, &about)) {
		snprintf(why, room, "it cannot be read: %s", strerror(errno));
	} else if (!S_ISREG(about.st_mode)) {
		snprintf(why, room, "it is not a file");
	} else if ((uintmax_t)about.st_size > limit) {
		snprintf(why, room, "it is longer than %zu bytes", limit);
	} else if (!(text = calloc(1, limit + 1))) {
		snprintf(why, room, "out of memory");
	} else {
		while (*bytes < limit && (got = read(fd, text + *bytes, limit - *bytes)) > 0)
			*bytes += (size_t)got;
		if (got < 0) {
			snprintf(why, room, "it cannot be read: %s", strerror(errno));
			free(text);
			text = NULL;
		}
		*mode = about.st_mode;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

int kubeconfig_load(const char *path, const char *context, struct kubeconfig *out, char *why,
                    size_t room)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	size_t bytes;
	mode_t mode = 0;
	char *text;
	int result = NOVA_E_IO;

	memset(out, 0, sizeof(*out));
	text = read_file(path, FILE_BYTES, &bytes, &mode, why, room);
	if (text && directory)
		result = kubeconfig_read(text, bytes, directory, context, out, why, room);
	if (result == NOVA_DONE && (mode & 077) && (out->token || out->key_text)) {
		snprintf(why, room,
		         "it holds a secret and others may read it (mode %03o): chmod 600",
		         (unsigned)mode & 0777);
		result = NOVA_E_REFUSED;
	}
	if (text) {
		OPENSSL_cleanse(text, bytes);
		free(text);
	}
	free(directory);
	return result;
}

char *kubeconfig_read_token(const char *path, char *why, size_t room)
{
	size_t bytes;
	mode_t mode;
	char *text = read_file(path, TOKEN_BYTES, &bytes, &mode, why, room);
	size_t start, length;

	if (!text)
		return NULL;
	start = strspn(text, " \t\r\n");
	length = strcspn(text + start, " \t\r\n");
	memmove(text, text + start, length);
	OPENSSL_cleanse(text + length, bytes - length);
	if (!length) {
		snprintf(why, room, "it is empty");
		free(text);
		return NULL;
	}
	return text;
}

static void wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		wipe(list[i]); /* a token may stand in any of them */
	free(list);
}

void kubeconfig_free(struct kubeconfig *config)
{
	char *const plain[] = {
	        config->context,          config->cluster,          config->user,
	        config->server,           config->namespace,        config->ca_file,
	        config->ca_text,          config->server_name,      config->token_file,
	        config->certificate_file, config->certificate_text, config->key_file,
	        config->exec_version};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		free(plain[i]);
	wipe(config->proxy);
	wipe(config->token);
	wipe(config->key_text);
	free_list(config->exec_argv);
	free_list(config->exec_env);
	memset(config, 0, sizeof(*config));
}
