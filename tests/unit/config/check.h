/* SPDX-License-Identifier: MIT */
/* What the tests of core/config share: a configuration with two invented plugins, and failures. */
#ifndef CHECK_CONFIG_H
#define CHECK_CONFIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config/config.h"

/* cmocka's assert_float_equal compares floats */
#define check_double(actual, expected)                                                             \
	do {                                                                                       \
		double actual_ = (actual), expected_ = (expected);                                 \
		if (!(fabs(actual_ - expected_) <= 1e-12 * fabs(expected_)))                       \
			fail_msg("%.17g is not %.17g", actual_, expected_);                        \
	} while (0)

#define check_contains(text, part)                                                                 \
	do {                                                                                       \
		const char *text_ = (text), *part_ = (part);                                       \
		if (!strstr(text_, part_))                                                         \
			fail_msg("\"%s\" does not contain \"%s\"", text_, part_);                  \
	} while (0)

/* A hypervisor "kvm" with one parameter of each kind, a benchmark "density". */
static inline struct nova_config *sample(void)
{
	static char *accels[] = {(char *)"auto", (char *)"kvm", (char *)"tcg", NULL};
#define N(text) .name = (char *)(text), .doc = (char *)"what it is for"
	const struct nova_spec kvm[] = {
	        {.type = NOVA_PARAM_CHOICE,
	         N("accel"),
	         .choices = accels,
	         .fallback = (char *)"auto"},
	        {.type = NOVA_PARAM_SIZE, N("cache"), .maximum = (char *)"1TiB"},
	        {.type = NOVA_PARAM_RATE, N("speed")},
	        {.type = NOVA_PARAM_SECRET, N("token")},
	        {.type = NOVA_PARAM_TEXT, N("uri"), .fallback = (char *)"qemu:///embed"},
	        {.type = NOVA_PARAM_PATH, N("state")},
	        {.type = NOVA_PARAM_BOOLEAN, N("trace"), .fallback = (char *)"false"},
	};
	const struct nova_spec remote[] = {
	        {.type = NOVA_PARAM_TEXT, .flags = NOVA_PARAM_REQUIRED, N("node")},
	};
	const struct nova_spec density[] = {
	        {.type = NOVA_PARAM_INTEGER,
	         N("count"),
	         .minimum = (char *)"1",
	         .fallback = (char *)"100"},
	        {.type = NOVA_PARAM_INTEGER,
	         .flags = NOVA_PARAM_LIST | NOVA_PARAM_EACH,
	         N("concurrency"),
	         .minimum = (char *)"1",
	         .maximum = (char *)"1000",
	         .fallback = (char *)"1,5"},
	        {.type = NOVA_PARAM_NUMBER, .flags = NOVA_PARAM_LIST, N("shares")},
	};
#undef N
	struct nova_config *config = nova_config_new();
	nova_config_declare(config, "hypervisor.kvm", kvm, NOVA_COUNT(kvm));
	nova_config_declare(config, "hypervisor.remote", remote, NOVA_COUNT(remote));
	nova_config_declare(config, "hypervisor.plain", NULL, 0);
	nova_config_declare(config, "benchmark.density", density, NOVA_COUNT(density));
	return config;
}

/* Adds one text as a file's and finishes; the first failure. */
static inline int load(struct nova_config *config, const char *text, struct nova_error *error)
{
	int code = nova_config_add_text(config, NOVA_LAYER_FILE, "a.conf", text, error);
	return code == 0 ? nova_config_finish(config, error) : code;
}

/* The text must be refused, with a text that contains `part`. */
static inline void refuses(const char *text, const char *part)
{
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	struct nova_error error = {0};
	int code = load(config, text, &error);
	if (code != NOVA_E_INVALID)
		fail_msg("%s: code %d (%s)", text, code, error.text);
	assert_int_equal(error.code, code);
	check_contains(error.text, part);
}

static inline void refuses_setting(const char *setting, const char *part)
{
	NOVA_AUTOCONFIG struct nova_config *config = sample();
	struct nova_error error = {0};
	int code = nova_config_add_setting(config, setting, &error);
	if (code == 0)
		code = nova_config_finish(config, &error);
	if (code != NOVA_E_INVALID)
		fail_msg("%s: code %d (%s)", setting, code, error.text);
	check_contains(error.text, part);
}

/* The text must be taken; the configuration is the caller's. */
static inline struct nova_config *takes(const char *text)
{
	struct nova_config *config = sample();
	struct nova_error error = {0};
	if (load(config, text, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	return config;
}

static inline struct nova_config *takes_setting(const char *setting)
{
	struct nova_config *config = sample();
	struct nova_error error = {0};
	if (nova_config_add_setting(config, setting, &error) != 0 ||
	    nova_config_finish(config, &error) != 0)
		fail_msg("%s: %s", setting, error.text);
	return config;
}

#endif
