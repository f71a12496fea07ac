/* SPDX-License-Identifier: MIT */
/* Checks of every kind: what the plugin declares, its probe, its instances, its work. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_MS 1000 /* plugin.h */
#define CYCLES   20

/* --- what it declares --------------------------------------------------------------------- */

static int is_one_line(const char *text)
{
	return *text && !strpbrk(text, "\r\n") && text[strlen(text) - 1] != ' ';
}

/* A plugin with this parameter alone, so that the test host judges a value of it. */
static int is_value(const struct validator *v, const struct nova_parameter *parameter,
                    const char *text)
{
	struct nova_parameter free_one = *parameter;
	const struct nova_parameter *const list[] = {&free_one, NULL};
	struct nova_plugin plugin = *v->plugin;
	char assignment[512];
	const char *const given[] = {assignment, NULL};
	struct nova_testhost *host;

	free_one.fallback = NULL;
	free_one.flags &= ~NOVA_PARAM_EACH; /* a default may be several steps */
	plugin.parameters = list;
	snprintf(assignment, sizeof(assignment), "%s=%s", parameter->name, text);
	host = nova_testhost_new(&plugin, given);
	nova_testhost_free(host);
	return host != NULL;
}

static void judge_limit(struct validator *v, const struct nova_parameter *p, const char *which,
                        const char *text)
{
	struct nova_parameter open = *p;

	if (!text)
		return;
	open.minimum = open.maximum = NULL;
	if (p->type == NOVA_PARAM_CHOICE || p->type == NOVA_PARAM_TEXT ||
	    p->type == NOVA_PARAM_PATH || p->type == NOVA_PARAM_SECRET ||
	    p->type == NOVA_PARAM_BOOLEAN)
		fail(v, "parameter %s has a %s, which its type cannot have", p->name, which);
	else if (!is_value(v, &open, text))
		fail(v, "parameter %s: its %s \"%s\" is no value of its type", p->name, which,
		     text);
	else if (!is_value(v, p, text))
		fail(v, "parameter %s: its %s \"%s\" lies outside of its own range (%s to %s)",
		     p->name, which, text, p->minimum ? p->minimum : "",
		     p->maximum ? p->maximum : "");
}

static void judge_parameter(struct validator *v, const struct nova_parameter *p)
{
	judge_limit(v, p, "minimum", p->minimum);
	judge_limit(v, p, "maximum", p->maximum);
	if (p->fallback && !(p->flags & NOVA_PARAM_REQUIRED) && !is_value(v, p, p->fallback))
		fail(v, "parameter %s: its default \"%s\" is no value of it", p->name, p->fallback);
	if (!is_one_line(p->doc) || p->doc[strlen(p->doc) - 1] == '.')
		fail(v, "parameter %s: `doc` must be one line without a full stop", p->name);
	for (const char *const *choice = p->choices; choice && *choice; choice++)
		for (const char *const *other = p->choices; other < choice; other++)
			if (strcmp(*choice, *other) == 0)
				fail(v, "parameter %s has the choice \"%s\" twice", p->name,
				     *choice);
	if ((p->flags & NOVA_PARAM_EACH) &&
	    (!(p->flags & NOVA_PARAM_LIST) || v->plugin->kind != NOVA_KIND_BENCHMARK))
		fail(v, "parameter %s: NOVA_PARAM_EACH goes with NOVA_PARAM_LIST, in a benchmark",
		     p->name);
	if ((p->flags & NOVA_PARAM_VMS) &&
	    (p->type != NOVA_PARAM_INTEGER || v->plugin->kind != NOVA_KIND_BENCHMARK))
		fail(v, "parameter %s: NOVA_PARAM_VMS goes with an integer, in a benchmark",
		     p->name);
	if (p->type == NOVA_PARAM_SECRET && p->fallback)
		fail(v, "parameter %s is a secret with a default, which is no secret", p->name);
}

static void check_parameters(struct validator *v)
{
	const struct nova_parameter *const *p;
	int has_uri = 0;

	if (!loaded(v))
		return;
	for (p = v->plugin->parameters; p && *p; p++) {
		judge_parameter(v, *p);
		has_uri |= strcmp((*p)->name, "uri") == 0;
	}
	if (v->plugin->kind == NOVA_KIND_HYPERVISOR && !has_uri)
		fail(v, "a driver takes its target from the parameter `uri`, which is not "
		        "declared");
	if (!is_one_line(v->plugin->summary))
		fail(v, "the plugin's summary must be one line");
}

/* --- probe -------------------------------------------------------------------------------- */

static void probe_once(struct validator *v, struct nova_testhost *host, int *status)
{
	nova_op op = nova_testhost_begin(host, PROBE_MS);
	int64_t begin = now_ms(), took;

	stage(v, "probe");
	*status = v->plugin->probe(nova_testhost_table(), op);
	took = now_ms() - begin;
	nova_testhost_end(host, *status == NOVA_PENDING ? NOVA_DONE : *status);
	if (took > PROBE_MS)
		fail(v, "probe took %lld ms; it may take 1000 (no network, no waiting in it)",
		     (long long)took);
	if (*status != NOVA_DONE && *status != NOVA_E_UNAVAILABLE && *status != NOVA_E_PERMISSION)
		fail(v,
		     "probe returned %s (%d); it returns NOVA_DONE, NOVA_E_UNAVAILABLE or "
		     "NOVA_E_PERMISSION",
		     status_name(*status), *status);
	else if (*status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "probe returned %s without a sentence by host->error()",
		     status_name(*status));
	else if (*status != NOVA_DONE)
		note(v, "it says: %s", nova_testhost_error(host));
}

static void check_probe(struct validator *v)
{
	struct nova_testhost *host;
	int first, second;

	if (!loaded(v))
		return;
	if (!v->plugin->probe) {
		note(v, "it has none: always available");
		return;
	}
	host = open_for_probe(v);
	if (!host) {
		untried(v, "%s", nova_testhost_refusal());
		return;
	}
	probe_once(v, host, &first);
	probe_once(v, host, &second);
	if (first != second)
		fail(v, "probe returned %s, and right after that %s", status_name(first),
		     status_name(second));
	nova_testhost_free(host);
}

/* --- instances ---------------------------------------------------------------------------- */

static void check_create(struct validator *v)
{
	struct nova_testhost *one, *two;

	for (int i = 0; i < CYCLES; i++) {
		stage(v, "create and destroy, time %d", i + 1);
		one = open_host(v, NULL);
		if (!one)
			return;
		close_host_quietly(v, one);
	}
	/* Two at once, ended in both orders: what is shared between them shows. */
	for (int i = 0; i < 2; i++) {
		stage(v, "two instances at once");
		one = open_host(v, NULL);
		two = one ? open_host(v, NULL) : NULL;
		if (one && !two)
			close_host_quietly(v, one);
		if (!two)
			return;
		close_host_quietly(v, i ? two : one);
		close_host_quietly(v, i ? one : two);
	}
}

/* --- hostile parameters ------------------------------------------------------------------- */

static char *long_text(size_t length)
{
	char *text = malloc(length + 1);

	if (text) {
		memset(text, 'x', length);
		text[length] = 0;
	}
	return text;
}

/* The plugin with one more value; what it does with it is its affair, but it must say so. */
static void try_value(struct validator *v, const struct nova_parameter *p, const char *value)
{
	const char *const *given = v->request->parameters;
	size_t count = 0, bytes = strlen(p->name) + strlen(value) + 2;
	const char **all;
	char *assignment = malloc(bytes);
	struct nova_testhost *host;
	int status;

	while (given && given[count])
		count++;
	all = calloc(count + 2, sizeof(*all));
	if (!all || !assignment)
		goto done;
	for (size_t i = 0; i < count; i++)
		all[i] = given[i];
	snprintf(assignment, bytes, "%s=%s", p->name, value);
	all[count] = assignment;
	stage(v, "create with %.100s", assignment);
	host = nova_testhost_new(v->plugin, all);
	if (!host)
		goto done; /* the host does not let it through */
	status = nova_testhost_start(host);
	if (status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "%.80s: create returns %s and says no reason", assignment,
		     status_name(status));
	close_host(v, host);
done:
	free(all);
	free(assignment);
}

static void check_hostile_parameters(struct validator *v)
{
	static const char *const texts[] = {"",
	                                    " ",
	                                    "%s%n%n%n%x",
	                                    "../../../../../../etc/passwd",
	                                    "a\nb\r\nHost: c",
	                                    "'; touch pwned; '",
	                                    "$(touch pwned)`touch pwned`",
	                                    "<x>&amp;\"'",
	                                    "\xff\xfe\x80",
	                                    "://",
	                                    "-1",
	                                    "99999999999999999999999999"};
	static const char *const numbers[] = {"-9223372036854775808",
	                                      "9223372036854775807",
	                                      "0",
	                                      "-1",
	                                      "1e308",
	                                      "-1e308",
	                                      "8EiB",
	                                      "9000000000GiB",
	                                      "0s",
	                                      "-1s",
	                                      "100000d",
	                                      "true",
	                                      "false"};
	const struct nova_parameter *const *p;
	char *large = long_text(100000);
	uint32_t tried = 0;

	if (!usable(v) || !large)
		goto done;
	for (p = v->plugin->parameters; p && *p; p++) {
		for (size_t i = 0; i < COUNT(texts); i++)
			try_value(v, *p, texts[i]);
		for (size_t i = 0; i < COUNT(numbers); i++)
			try_value(v, *p, numbers[i]);
		try_value(v, *p, large);
		if ((*p)->minimum)
			try_value(v, *p, (*p)->minimum);
		if ((*p)->maximum)
			try_value(v, *p, (*p)->maximum);
		for (const char *const *choice = (*p)->choices; choice && *choice; choice++)
			try_value(v, *p, *choice);
		tried++;
	}
	if (!tried)
		note(v, "it has no parameters");
done:
	free(large);
}

/* --- work --------------------------------------------------------------------------------- */

static void check_work(struct validator *v)
{
	tour(v);
}

#define ALL   NOVA_CHECK_OF_ALL
#define LIVES (NOVA_CHECK_OF(NOVA_KIND_BENCHMARK) | NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR))

const struct nova_validator_check common_checks[] = {
        {"parameters", ALL, 0, 0, NULL,
         "every parameter has a possible range, a default that lies in it, and a text",
         check_parameters},
        {"probe", ALL, 0, 0, NULL, "probe ends within 1 s and says what it should", check_probe},
        {"create", LIVES, 0, 0, "!probe",
         "instances come and go, one after another and two at once", check_create},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

const struct nova_validator_check value_checks[] = {
        {"hostile-parameters", LIVES, 0, 0, "create",
         "odd, huge and hostile values are taken or refused with a reason",
         check_hostile_parameters},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

const struct nova_validator_check work_checks[] = {{"work", ALL, 0, 8, "!probe create connect",
                                                    "it does its work once, from create to destroy",
                                                    check_work},
                                                   {NULL, 0, 0, 0, NULL, NULL, NULL}};
