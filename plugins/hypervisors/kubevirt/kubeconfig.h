/* SPDX-License-Identifier: MIT */
/*
 * A kubeconfig, as far as this driver needs it: where the cluster of one context is, whom to trust
 * there, and who we are. Reads text and files, runs nothing and connects to nothing.
 */
#ifndef KUBEVIRT_KUBECONFIG_H
#define KUBEVIRT_KUBECONFIG_H

#include <stddef.h>

/* Variables that a credential program is given, at most. */
#define KUBECONFIG_ENV 64

/* All texts are owned; NULL: not said. `…_text` is PEM, decoded. */
struct kubeconfig {
	char *context, *cluster, *user; /* names, for sentences */
	char *server, *namespace;
	char *ca_file, *ca_text;
	char *server_name; /* tls-server-name */
	char *proxy;
	int insecure;
	char *token, *token_file;
	char *certificate_file, *certificate_text;
	char *key_file, *key_text;
	/* a program that prints a credential */
	char *exec_version; /* client.authentication.k8s.io/v1 */
	char **exec_argv;   /* NULL-terminated; NULL: no program */
	char **exec_env;    /* "NAME=value", NULL-terminated */
	int exec_asks;      /* it wants to talk to a person */
	/* what the user logs in by and this driver does not do, e.g. "auth-provider"; static */
	const char *foreign;
};

/*
 * `context` NULL: the current one. Relative paths begin at `directory`. NOVA_DONE, or
 * NOVA_E_INVALID (no kubeconfig), NOVA_E_NOT_FOUND (no such context, …), NOVA_E_MEMORY, and `why`
 * has a clause without any of the file's secrets. Free it in either case.
 */
int kubeconfig_read(const char *text, size_t bytes, const char *directory, const char *context,
                    struct kubeconfig *out, char *why, size_t room);
/* The same from a file. NOVA_E_REFUSED: it holds secrets, and others may read it. */
int kubeconfig_load(const char *path, const char *context, struct kubeconfig *out, char *why,
                    size_t room);
/* Overwrites the secrets. */
void kubeconfig_free(struct kubeconfig *config);

/* The first line of a small file, such as a token, without white space around; NULL and `why`. */
char *kubeconfig_read_token(const char *path, char *why, size_t room);

#endif
