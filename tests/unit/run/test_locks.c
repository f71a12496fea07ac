/* SPDX-License-Identifier: MIT */
/* Two runs, and which targets of theirs are one. */
#include "core/run/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A run with one target that has this parameter. */
static void begin(struct lead *lead, const char *run, const char *name, const char *value)
{
	memset(lead, 0, sizeof(*lead));
	snprintf(lead->short_id, sizeof(lead->short_id), "%s", run);
	lead->run.plan = json_pack("{s[{ss ss s{ss}}] }", "targets", "name", "lab", "plugin",
	                           "kubevirt", "params", name, value);
	assert_non_null(lead->run.plan);
}

static int learn(struct lead *lead, const char *endpoint, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *step = json_pack("{s[i]}", "targets", 0);
	NOVA_AUTOJSON json_t *opened =
	        json_pack("{s[{s{ss*}}]}", "targets", "facts", "endpoint", endpoint);

	return nova_locks_learn(lead, step, opened, error);
}

static void end(struct lead *lead, int lock)
{
	nova_locks_release(lead, lock);
	json_decref(lead->run.plan);
}

static void targets_of_one_uri_are_one(void **state)
{
	struct lead one, two;
	struct nova_error error = {0};
	int first, second;

	(void)state;
	begin(&one, "000000000001", "uri", "https://a:6443");
	begin(&two, "000000000002", "uri", "https://a:6443");
	assert_int_equal(nova_locks_take(&one, &first, &error), 0);
	assert_int_equal(nova_locks_take(&two, &second, &error), NOVA_E_BUSY);
	assert_non_null(strstr(error.text, "target lab is in use by another run"));
	nova_locks_release(&two, second);
	nova_locks_release(&one, first);
	assert_int_equal(nova_locks_take(&two, &second, &error), 0);
	end(&two, second);
	json_decref(one.run.plan);
}

static void targets_without_uri_are_what_their_driver_says(void **state)
{
	struct lead one, two;
	struct nova_error error = {0};
	int first, second;

	(void)state;
	begin(&one, "000000000001", "kubeconfig", "/a");
	begin(&two, "000000000002", "kubeconfig", "/b");
	assert_int_equal(nova_locks_take(&one, &first, &error), 0);
	assert_int_equal(nova_locks_take(&two, &second, &error), 0);
	assert_int_equal(learn(&one, "https://a:6443", &error), 0);
	assert_int_equal(learn(&one, "https://a:6443", &error), 0); /* in each step */
	assert_int_equal(learn(&two, "https://b:6443", &error), 0);
	assert_int_equal(learn(&two, NULL, &error), 0);
	assert_int_equal(learn(&two, "https://a:6443", &error), NOVA_E_BUSY);
	end(&two, second);
	begin(&two, "000000000002", "uri", "https://a:6443");
	assert_int_equal(nova_locks_take(&two, &second, &error), NOVA_E_BUSY);
	end(&two, second);
	begin(&two, "000000000002", "kubeconfig", "/a");
	assert_int_equal(nova_locks_take(&two, &second, &error), NOVA_E_BUSY);
	end(&two, second);
	end(&one, first);
}

int main(void)
{
	static char home[] = "/tmp/novacore-locks-XXXXXX";
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(targets_of_one_uri_are_one),
	        cmocka_unit_test(targets_without_uri_are_what_their_driver_says),
	};
	char command[64];
	int failed;

	if (!mkdtemp(home))
		return 1;
	setenv("NOVACORE_HOME", home, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command) || failed;
}
