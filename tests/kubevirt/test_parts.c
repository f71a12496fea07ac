/* SPDX-License-Identifier: MIT */
/* Parts of the KubeVirt driver that need no peer: kubeconfigs, and what a watch sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubeconfig.h"
#include "notice.h"
#include <novacore/types.h>

/* --- kubeconfigs ------------------------------------------------------------------------------ */

/* "-----BEGIN X-----\n" in Base64 */
#define PEM "LS0tLS1CRUdJTiBYLS0tLS0K"

static const char usual[] =
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
        "clusters:\n- name: one\n  cluster:\n    server: https://one:6443\n"
        "    certificate-authority-data: " PEM "\n"
        "- name: two\n  cluster: {server: 'https://two', certificate-authority: ca.pem,"
        " insecure-skip-tls-verify: true, proxy-url: 'http://p:1', tls-server-name: x}\n"
        "contexts:\n- name: lab\n  context: {cluster: one, user: robot, namespace: bench}\n"
        "- name: certified\n  context: {cluster: two, user: person}\n"
        "- name: filed\n  context: {cluster: one, user: filed}\n"
        "- name: cloud\n  context: {cluster: one, user: cloud}\n"
        "- name: old\n  context: {cluster: one, user: old}\n"
        "- name: nobody\n  context: {cluster: one}\n"
        "- name: lost\n  context: {cluster: three, user: robot}\n"
        "- name: ghost\n  context: {cluster: one, user: ghost}\n"
        "users:\n- name: robot\n  user: {token: secret-token}\n"
        "- name: person\n  user:\n    client-certificate-data: " PEM "\n"
        "    client-key: /keys/k.pem\n"
        "- name: filed\n  user: {tokenFile: tokens/t}\n"
        "- name: cloud\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n"
        "      command: bin/login\n      args: [get, 'a b']\n      interactiveMode: Always\n"
        "      env:\n      - {name: REGION, value: here}\n"
        "- name: old\n  user: {username: me, password: secret-word}\n";

static int read_text(const char *text, const char *context, struct kubeconfig *out, char why[200])
{
	strcpy(why, "");
	return kubeconfig_read(text, strlen(text), "/home", context, out, why, 200);
}

static struct kubeconfig good(const char *context)
{
	struct kubeconfig config;
	char why[200];

	if (read_text(usual, context, &config, why) != NOVA_DONE)
		fail_msg("%s", why);
	return config;
}

static void reads_the_current_context(void **state)
{
	struct kubeconfig config = good(NULL);

	(void)state;
	assert_string_equal(config.context, "lab");
	assert_string_equal(config.server, "https://one:6443");
	assert_string_equal(config.namespace, "bench");
	assert_string_equal(config.ca_text, "-----BEGIN X-----\n");
	assert_string_equal(config.token, "secret-token");
	assert_null(config.ca_file);
	assert_int_equal(config.insecure, 0);
	kubeconfig_free(&config);
}

static void reads_certificates_and_paths_beside_the_file(void **state)
{
	struct kubeconfig config = good("certified");

	(void)state;
	assert_string_equal(config.ca_file, "/home/ca.pem");
	assert_string_equal(config.key_file, "/keys/k.pem");
	assert_string_equal(config.certificate_text, "-----BEGIN X-----\n");
	assert_string_equal(config.proxy, "http://p:1");
	assert_string_equal(config.server_name, "x");
	assert_int_equal(config.insecure, 1);
	assert_null(config.namespace);
	kubeconfig_free(&config);
	config = good("filed");
	assert_string_equal(config.token_file, "/home/tokens/t");
	kubeconfig_free(&config);
	config = good("nobody");
	assert_null(config.token);
	kubeconfig_free(&config);
}

static void reads_a_credential_program(void **state)
{
	struct kubeconfig config = good("cloud");

	(void)state;
	assert_string_equal(config.exec_argv[0], "/home/bin/login");
	assert_string_equal(config.exec_argv[1], "get");
	assert_string_equal(config.exec_argv[2], "a b");
	assert_null(config.exec_argv[3]);
	assert_string_equal(config.exec_env[0], "REGION=here");
	assert_null(config.exec_env[1]);
	assert_int_equal(config.exec_asks, 1);
	kubeconfig_free(&config);
}

static void tells_logins_that_it_does_not_do(void **state)
{
	struct kubeconfig config = good("old");

	(void)state;
	assert_string_equal(config.foreign, "username");
	kubeconfig_free(&config);
}

static void names_what_is_not_there(void **state)
{
	static const struct {
		const char *text, *context;
		int code;
		const char *words;
	} cases[] = {
	        {usual, "none", NOVA_E_NOT_FOUND, "no context named 'none'"},
	        {usual, "lost", NOVA_E_NOT_FOUND, "no cluster named 'three'"},
	        {usual, "ghost", NOVA_E_NOT_FOUND, "no user named 'ghost'"},
	        {"kind: Config\n", NULL, NOVA_E_NOT_FOUND, "no current-context"},
	        {"[]", NULL, NOVA_E_INVALID, "not a kubeconfig"},
	        {"", NULL, NOVA_E_INVALID, "not a kubeconfig"},
	        {"a: [", NULL, NOVA_E_INVALID, "no YAML"},
	        {"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
	         "clusters: [{name: c, cluster: {}}]",
	         NULL, NOVA_E_INVALID, "has no server"},
	        {"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
	         "clusters: [{name: c, cluster: {server: 'https://x', certificate-authority-data: "
	         "'%%%'}}]",
	         NULL, NOVA_E_INVALID, "certificate-authority-data is not the Base64"},
	        {"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
	         "clusters: [{name: c, cluster: {server: 'https://x', insecure-skip-tls-verify: "
	         "maybe}}]",
	         NULL, NOVA_E_INVALID, "neither true nor false"},
	        {"current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
	         "clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
	         "users: [{name: u, user: {exec: {args: [a]}}}]",
	         NULL, NOVA_E_INVALID, "has no command"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kubeconfig config;
		char why[200];

		assert_int_equal(read_text(cases[i].text, cases[i].context, &config, why),
		                 cases[i].code);
		if (!strstr(why, cases[i].words))
			fail_msg("'%s' is not in '%s'", cases[i].words, why);
		kubeconfig_free(&config);
	}
}

static void refuses_a_secret_that_others_may_read(void **state)
{
	char path[] = "/tmp/novacore-kubeconfig-XXXXXX";
	int fd = mkstemp(path);
	struct kubeconfig config;
	char why[200];

	(void)state;
	assert_int_equal(write(fd, usual, strlen(usual)), strlen(usual));
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(kubeconfig_load(path, NULL, &config, why, sizeof(why)), NOVA_E_REFUSED);
	assert_non_null(strstr(why, "chmod 600"));
	assert_null(strstr(why, "secret-token"));
	kubeconfig_free(&config);
	/* where there is none in it, nobody need hide it */
	assert_int_equal(kubeconfig_load(path, "filed", &config, why, sizeof(why)), NOVA_DONE);
	kubeconfig_free(&config);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(kubeconfig_load(path, NULL, &config, why, sizeof(why)), NOVA_DONE);
	kubeconfig_free(&config);
	close(fd);
	unlink(path);
	assert_int_equal(kubeconfig_load(path, NULL, &config, why, sizeof(why)), NOVA_E_IO);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(kubeconfig_load("/tmp", NULL, &config, why, sizeof(why)), NOVA_E_IO);
}

static void reads_a_token_from_a_file(void **state)
{
	char path[] = "/tmp/novacore-token-XXXXXX";
	int fd = mkstemp(path);
	char why[200];
	char *token;

	(void)state;
	assert_int_equal(write(fd, " \n", 2), 2);
	assert_null(kubeconfig_read_token(path, why, sizeof(why)));
	assert_string_equal(why, "it is empty");
	assert_int_equal(write(fd, "the-token\nmore\n", 15), 15);
	token = kubeconfig_read_token(path, why, sizeof(why));
	assert_string_equal(token, "the-token");
	free(token);
	close(fd);
	unlink(path);
}

/* --- watches ---------------------------------------------------------------------------------- */

static int read_line(const char *line, struct notice *notice, char why[200])
{
	strcpy(why, "");
	return notice_read(line, strlen(line), notice, why, 200);
}

static void reads_notices_of_each_kind(void **state)
{
	struct notice notice;
	char why[200];

	(void)state;
	assert_int_equal(read_line("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{"
	                           "\"resourceVersion\":\"12\"}}}",
	                           &notice, why),
	                 NOVA_DONE);
	assert_int_equal(notice.kind, NOTICE_MODIFIED);
	assert_string_equal(notice.version, "12");
	notice_free(&notice);
	assert_int_equal(read_line("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{"
	                           "\"resourceVersion\":\"13\",\"creationTimestamp\":null}}}",
	                           &notice, why),
	                 NOVA_DONE);
	assert_int_equal(notice.kind, NOTICE_BOOKMARK);
	notice_free(&notice);
	assert_int_equal(
	        read_line("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
	                  "\"message\":\"too old\"}}",
	                  &notice, why),
	        NOVA_DONE);
	assert_int_equal(notice.code, 410);
	assert_string_equal(notice.message, "too old");
	notice_free(&notice);
}

static void refuses_what_is_no_notice(void **state)
{
	static const char *const lines[] = {
	        "",
	        "null",
	        "[]",
	        "{}",
	        "{\"type\":\"ADDED\"}",
	        "{\"type\":\"ADDED\",\"object\":7}",
	        "{\"type\":\"NEW\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}",
	        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\""
	        "1234567890123456789012345678901234567890123456789012345678901234\"}}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct notice notice;
		char why[200];

		assert_int_equal(read_line(lines[i], &notice, why), NOVA_E_PROTOCOL);
		assert_true(strlen(why) > 5);
	}
}

static struct instance instance_of(const char *text)
{
	json_t *object = json_loads(text, 0, NULL);
	struct instance instance;

	assert_non_null(object);
	instance_read(object, &instance);
	json_decref(object);
	return instance;
}

static void reads_an_instance(void **state)
{
	struct instance one = instance_of(
	        "{\"metadata\":{\"name\":\"novacore-a\",\"uid\":\"u\",\"deletionTimestamp\":"
	        "\"now\","
	        "\"ownerReferences\":[{\"kind\":\"Pod\",\"uid\":\"p\"},{\"kind\":"
	        "\"VirtualMachine\","
	        "\"uid\":\"vm\"}]},\"status\":{\"phase\":\"Running\",\"nodeName\":\"n1\","
	        "\"conditions\":[{\"type\":\"Paused\",\"status\":\"True\"},"
	        "{\"type\":\"AgentConnected\",\"status\":\"False\"}],"
	        "\"interfaces\":[{\"name\":\"default\"},{\"ipAddress\":\"10.0.0.1\"}]}}");

	(void)state;
	assert_string_equal(one.name, "novacore-a");
	assert_string_equal(one.owner, "vm");
	assert_string_equal(one.phase, "Running");
	assert_string_equal(one.node, "n1");
	assert_int_equal(one.deleting && one.paused && one.addressed && !one.agent, 1);
	assert_int_equal(instance_is_final(&one), 0);
	one = instance_of("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"status\":{\"phase\":"
	                  "\"Failed\"}}");
	assert_int_equal(instance_is_final(&one), 1);
}

static void refuses_what_is_no_instance(void **state)
{
	static const char *const texts[] = {
	        "{}",
	        "[]",
	        "{\"metadata\":{\"name\":\"a\"}}",
	        "{\"metadata\":{\"uid\":\"a\"}}",
	        "{\"metadata\":{\"name\":\"../x\",\"uid\":\"u\"}}",
	        "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"status\":{\"phase\":"
	        "\"123456789012345678901234\"}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *object = json_loads(texts[i], 0, NULL);
		struct instance instance;

		assert_non_null(object);
		assert_int_equal(instance_read(object, &instance), 0);
		json_decref(object);
	}
}

static void knows_names_that_kubernetes_takes(void **state)
{
	(void)state;
	assert_int_equal(is_name("novacore-a1-b"), 1);
	assert_int_equal(is_name("a"), 1);
	assert_int_equal(is_name(""), 0);
	assert_int_equal(is_name("-a"), 0);
	assert_int_equal(is_name("a-"), 0);
	assert_int_equal(is_name("A"), 0);
	assert_int_equal(is_name("a.b"), 0);
	assert_int_equal(is_name("a/b"), 0);
	assert_int_equal(is_name("123456789012345678901234567890123456789012345678901234567890123"),
	                 1);
	assert_int_equal(
	        is_name("1234567890123456789012345678901234567890123456789012345678901234"), 0);
}

static void tells_conditions(void **state)
{
	json_t *object = json_loads(
	        "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"message\":"
	        "\"no disk\"},{\"type\":\"Odd\"},{\"type\":\"Live\",\"status\":\"True\"},7]}}",
	        0, NULL);

	(void)state;
	assert_int_equal(condition_is_true(object, "Live"), 1);
	assert_int_equal(condition_is_true(object, "Ready"), 0);
	assert_int_equal(condition_is_true(object, "None"), 0);
	assert_string_equal(condition_complaint(object, "Ready"), "no disk");
	assert_string_equal(condition_complaint(object, "Odd"), "");
	assert_null(condition_complaint(object, "Live"));
	assert_null(condition_complaint(object, "None"));
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_the_current_context),
	        cmocka_unit_test(reads_certificates_and_paths_beside_the_file),
	        cmocka_unit_test(reads_a_credential_program),
	        cmocka_unit_test(tells_logins_that_it_does_not_do),
	        cmocka_unit_test(names_what_is_not_there),
	        cmocka_unit_test(refuses_a_secret_that_others_may_read),
	        cmocka_unit_test(reads_a_token_from_a_file),
	        cmocka_unit_test(reads_notices_of_each_kind),
	        cmocka_unit_test(refuses_what_is_no_notice),
	        cmocka_unit_test(reads_an_instance),
	        cmocka_unit_test(refuses_what_is_no_instance),
	        cmocka_unit_test(knows_names_that_kubernetes_takes),
	        cmocka_unit_test(tells_conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
