/* SPDX-License-Identifier: MIT */
/* Starts a test peer as a child that ends with us. */
#include "peer.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static struct {
	pid_t child;
	int stdin_fd;
	int port, control;
} peer;

struct answer {
	char *text;
	size_t used;
};

static void die(const char *what)
{
	fprintf(stderr, "peer: %s\n", what);
	exit(1);
}

static void prepare(const char *argument)
{
	char command[1024];
	int status;

	snprintf(command, sizeof(command), "%s/prepare.sh %s %s", PEER_SOURCE, PEER_DIRECTORY,
	         argument ? argument : "");
	status = system(command);
	if (status == -1 || !WIFEXITED(status))
		die("prepare.sh cannot be run");
	if (WEXITSTATUS(status) == SKIPPED)
		exit(SKIPPED); /* it has said why */
	if (WEXITSTATUS(status))
		die("prepare.sh failed");
}

static void run_server(int in, int out, const char *argument)
{
	dup2(in, 0);
	dup2(out, 1);
	execl(PEER_SOURCE "/start.sh", "start.sh", PEER_DIRECTORY, argument, (char *)NULL);
	_exit(127);
}

void peer_start(const char *argument)
{
	int in[2], out[2];
	FILE *lines;

	prepare(argument);
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("no pipe");
	peer.child = fork();
	if (peer.child == 0)
		run_server(in[0], out[1], argument);
	close(in[0]);
	close(out[1]);
	peer.stdin_fd = in[1];
	lines = fdopen(out[0], "r");
	if (peer.child < 0 || !lines ||
	    fscanf(lines, "listening %d %d", &peer.port, &peer.control) != 2)
		die("the server does not start");
	fclose(lines);
}

void peer_stop(void)
{
	int status;

	close(peer.stdin_fd);
	waitpid(peer.child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("the server ended with a failure: see above");
}

const char *peer_uri(void)
{
	static char uri[64];

	snprintf(uri, sizeof(uri), "https://127.0.0.1:%d", peer.port);
	return uri;
}

const char *peer_file(const char *name)
{
	static char path[2][512];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", PEER_DIRECTORY, name);
	return path[turn];
}

const char *peer_fingerprint(void)
{
	static char text[128];
	FILE *openssl = popen("openssl x509 -noout -fingerprint -sha256 -in " PEER_DIRECTORY
	                      "/cert.pem | cut -d= -f2",
	                      "r");

	if (!openssl || !fgets(text, sizeof(text), openssl))
		die("openssl gives no fingerprint");
	pclose(openssl);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct answer *answer = context;

	answer->text = realloc(answer->text, answer->used + size * count + 1);
	if (!answer->text)
		die("out of memory");
	memcpy(answer->text + answer->used, data, size * count);
	answer->used += size * count;
	answer->text[answer->used] = '\0';
	return size * count;
}

static json_t *speak(const char *path, const char *body)
{
	char url[128];
	struct answer answer = {0};
	CURL *easy = curl_easy_init();
	json_t *out;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", peer.control, path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
	if (body)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(easy) != CURLE_OK || !answer.text)
		die("the server has died: see above");
	curl_easy_cleanup(easy);
	out = json_loads(answer.text, 0, NULL);
	free(answer.text);
	if (!out)
		die("the control port answers no JSON");
	return out;
}

void peer_tell(const char *path, const char *json)
{
	char *text = strdup(json);

	for (char *at = text; (at = strchr(at, '\''));)
		*at = '"';
	json_decref(speak(path, text));
	free(text);
}

json_t *peer_ask(const char *path)
{
	return speak(path, NULL);
}

json_t *peer_first(const char *path)
{
	json_t *list = peer_ask(path);
	json_t *first = json_incref(json_array_get(list, 0));

	json_decref(list);
	return first;
}
