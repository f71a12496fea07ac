/* SPDX-License-Identifier: MIT */
/*
 * Checks of optimizers. The view that they are shown is this file's own, so that every question can
 * be answered, whatever is asked for; what they propose is judged as it comes.
 */
#include "inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How the view answers; `examine` runs on one thread, so one is enough. */
static struct {
	struct validator *v;
	int mode;  /* NOTHING, or an index into odd answers */
	int judge; /* whether proposals are */
	uint32_t asked, proposed;
} view_state = {.judge = 1};

#define NOTHING (-1)

static const char *const odd_texts[] = {"",
                                        "0",
                                        "-1",
                                        "1",
                                        "18446744073709551616",
                                        "nan",
                                        "yes",
                                        "always [madvise] never",
                                        "\xff\xfe",
                                        "%s%n",
                                        "0-3,8-11",
                                        "a very long text that fills the room which was given for "
                                        "it, and more, and more, and more, and more, and more"};

static int answer(char *value, uint32_t room)
{
	view_state.asked++;
	if (view_state.mode == NOTHING || !value || room == 0)
		return NOVA_E_NOT_FOUND;
	snprintf(value, room, "%s", odd_texts[(size_t)view_state.mode % COUNT(odd_texts)]);
	return NOVA_DONE;
}

static int view_fact(nova_op op, const char *key, char *value, uint32_t room)
{
	(void)op;
	if (!key || !*key)
		fail(view_state.v, "it asks for a fact without a key");
	return answer(value, room);
}

static int view_knob(nova_op op, const char *object, const char *knob, char *value, uint32_t room)
{
	(void)op;
	if (!object || !*object || !knob || !*knob)
		fail(view_state.v, "it asks for a knob without an object or a name");
	return answer(value, room);
}

static int view_metric(nova_op op, const char *name, struct nova_result *result)
{
	static const double odd[] = {0, -1, 1, 1e308, (double)INFINITY, (double)NAN, 1e-300};
	struct nova_result given;
	uint32_t size;

	(void)op;
	view_state.asked++;
	if (!name || !*name)
		fail(view_state.v, "it asks for a metric without a name");
	if (view_state.mode == NOTHING || !result)
		return NOVA_E_NOT_FOUND;
	size = result->struct_size;
	if (size < NOVA_SIZE_TO(struct nova_result, key)) {
		fail(view_state.v, "it asks for a metric with a struct_size of %u", size);
		return NOVA_E_INVALID;
	}
	given = (struct nova_result){.struct_size = size,
	                             .count = view_state.mode % 2 ? 0 : 5,
	                             .f64 = odd[(size_t)view_state.mode % COUNT(odd)],
	                             .i64 = view_state.mode % 3 ? -1 : INT64_MAX};
	memcpy(result, &given, size < sizeof(given) ? size : sizeof(given)); /* it may be older */
	return NOVA_DONE;
}

/* --- proposals ---------------------------------------------------------------------------- */

static int is_object(const char *object)
{
	static const char *const with_name[] = {"target:", "vm:", "shape:"};

	if (strcmp(object, "host") == 0)
		return 1;
	for (size_t i = 0; i < COUNT(with_name); i++)
		if (strncmp(object, with_name[i], strlen(with_name[i])) == 0 &&
		    object[strlen(with_name[i])])
			return 1;
	return 0;
}

static void judge_change(struct validator *v, const char *slug, const struct nova_change *change)
{
	if (change->struct_size < NOVA_SIZE_TO(struct nova_change, to)) {
		fail(v, "%s: a change has the struct_size %u", slug, change->struct_size);
		return;
	}
	if (change->when != NOVA_WHEN_LIVE && change->when != NOVA_WHEN_RESTART &&
	    change->when != NOVA_WHEN_RECREATE && change->when != NOVA_WHEN_REBOOT)
		fail(v, "%s: a change takes effect at %u, which is no NOVA_WHEN_*", slug,
		     change->when);
	if (!change->object || !is_object(change->object))
		fail(v,
		     "%s: a change's object is \"%s\"; it is host, target:NAME, vm:NAME or "
		     "shape:NAME",
		     slug, change->object ? change->object : "(null)");
	if (!change->knob || !*change->knob || !change->to)
		fail(v, "%s: a change needs a knob and what it is to be", slug);
	else if (change->from && strcmp(change->from, change->to) == 0)
		fail(v, "%s: %s is to become \"%.60s\", which it is already", slug, change->knob,
		     change->to);
}

static void judge_proposal(struct validator *v, const struct nova_proposal *p)
{
	const char *slug = p->slug && *p->slug ? p->slug : "(no slug)";
	uint32_t count = 0;

	if (!p->slug || !*p->slug ||
	    strspn(p->slug, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(p->slug))
		fail(v, "a proposal's slug is \"%.60s\": lower-case letters, digits and -", slug);
	if (!p->why || !*p->why)
		fail(v, "%s: it does not say why", slug);
	if (!p->source || !*p->source)
		fail(v, "%s: it names no source for its claim", slug);
	if (!p->changes || !p->changes[0])
		fail(v, "%s: it changes nothing", slug);
	for (const struct nova_change *const *change = p->changes; change && *change; change++)
		if (count++ < 4096)
			judge_change(v, slug, *change);
	if (!isfinite(p->gain) || !isfinite(p->gain_low) || !isfinite(p->gain_high) ||
	    p->gain_low > p->gain || p->gain > p->gain_high)
		fail(v, "%s: its gain is %g, between %g and %g", slug, p->gain, p->gain_low,
		     p->gain_high);
	if (!(p->confidence >= 0 && p->confidence <= 1))
		fail(v, "%s: its confidence is %g, not 0 to 1", slug, p->confidence);
}

static int view_propose(nova_op op, const struct nova_proposal *proposal)
{
	(void)op;
	view_state.proposed++;
	if (!proposal || proposal->struct_size < NOVA_SIZE_TO(struct nova_proposal, confidence)) {
		fail(view_state.v, "a proposal has the struct_size %u",
		     proposal ? proposal->struct_size : 0);
		return NOVA_E_INVALID;
	}
	if (view_state.judge)
		judge_proposal(view_state.v, proposal);
	return NOVA_DONE;
}

static const struct nova_view view = {.struct_size = sizeof(view),
                                      .fact = view_fact,
                                      .knob = view_knob,
                                      .metric = view_metric,
                                      .propose = view_propose};

static void examine(struct validator *v, struct nova_testhost *host, int mode)
{
	const struct nova_optimizer *ops = v->plugin->ops;
	nova_op op = nova_testhost_begin(host, v->op_timeout_ms);
	int status;

	view_state.v = v;
	view_state.mode = mode;
	if (mode == NOTHING)
		stage(v, "examine with nothing known");
	else
		stage(v, "examine with all facts \"%.40s\"",
		      odd_texts[(size_t)mode % COUNT(odd_texts)]);
	status = ops->examine(nova_testhost_table(), &view, op);
	status = nova_testhost_end(host, status);
	if (status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "examine returned %s and said no reason", status_name(status));
}

void tour_optimizer(struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return;
	view_state.judge = 0;
	examine(v, host, NOTHING);
	examine(v, host, 1);
	view_state.judge = 1;
	close_host_quietly(v, host);
}

static void check_nothing_known(struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return;
	view_state.asked = view_state.proposed = 0;
	examine(v, host, NOTHING);
	note(v, "it asked %u times and proposed %u changes", view_state.asked, view_state.proposed);
	close_host(v, host);
}

static void check_odd_facts(struct validator *v)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return;
	view_state.proposed = 0;
	for (int mode = 0; mode < (int)COUNT(odd_texts); mode++)
		examine(v, host, mode);
	note(v, "it made %u proposals, each well-formed", view_state.proposed);
	close_host(v, host);
}

/* --- nothing is changed ------------------------------------------------------------------- */

/* What an optimizer could be tempted to set. Values that change by themselves are left out: those
 * that differ between two readings before, that nobody can set, and the number of the last process
 * (proc(5), ns_last_pid), which is quiet only while nothing is started. */
static const char *const tunables[] = {"/proc/sys/kernel",
                                       "/proc/sys/vm",
                                       "/proc/sys/net/core",
                                       "/proc/sys/net/ipv4",
                                       "/sys/kernel/mm/transparent_hugepage",
                                       "/sys/kernel/mm/ksm",
                                       "/sys/module/kvm/parameters",
                                       "/sys/module/kvm_intel/parameters",
                                       "/sys/module/kvm_amd/parameters"};
#define VALUES_MAX 2048

struct value {
	char path[160], text[96];
	int stable;
};

static uint32_t read_values(struct value *values)
{
	uint32_t count = 0;

	for (size_t i = 0; i < COUNT(tunables); i++) {
		DIR *directory = opendir(tunables[i]);
		struct dirent *entry;

		while (directory && (entry = readdir(directory)) && count < VALUES_MAX) {
			struct value *value = &values[count];
			struct stat status;
			ssize_t got;
			int fd;

			snprintf(value->path, sizeof(value->path), "%s/%.100s", tunables[i],
			         entry->d_name);
			if (lstat(value->path, &status) != 0 || !S_ISREG(status.st_mode) ||
			    (status.st_mode & 0444) == 0 || (status.st_mode & 0222) == 0 ||
			    strcmp(entry->d_name, "ns_last_pid") == 0)
				continue;
			fd = open(value->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
			if (fd < 0)
				continue;
			got = read(fd, value->text, sizeof(value->text) - 1);
			close(fd);
			value->text[got > 0 ? got : 0] = 0;
			value->stable = 1;
			count++;
		}
		if (directory)
			closedir(directory);
	}
	return count;
}

static const struct value *find_value(const struct value *values, uint32_t count, const char *path)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(values[i].path, path) == 0)
			return &values[i];
	return NULL;
}

static void check_changes_nothing(struct validator *v)
{
	struct value *before = calloc(VALUES_MAX, sizeof(*before));
	struct value *after = calloc(VALUES_MAX, sizeof(*after));
	const struct value *now;
	uint32_t count, count_after;

	if (!before || !after)
		goto done;
	count = read_values(before);
	sleep_ms(50);
	count_after = read_values(after);
	for (uint32_t i = 0; i < count; i++) {
		now = find_value(after, count_after, before[i].path);
		before[i].stable = now && strcmp(now->text, before[i].text) == 0;
	}
	v->quiet++;
	tour(v);
	v->quiet--;
	count_after = read_values(after);
	for (uint32_t i = 0; v->plugin && i < count; i++) {
		now = before[i].stable ? find_value(after, count_after, before[i].path) : NULL;
		if (now && strcmp(now->text, before[i].text) != 0)
			fail(v,
			     "%s was changed while it ran: an optimizer proposes, novacore applies",
			     before[i].path);
	}
done:
	free(before);
	free(after);
}

#define OPTIMIZER NOVA_CHECK_OF(NOVA_KIND_OPTIMIZER)

const struct nova_validator_check optimizer_checks[] = {
        {"examine-nothing", OPTIMIZER, 0, 1, "work", "examine ends well where nothing is known",
         check_nothing_known},
        {"examine-odd", OPTIMIZER, 0, 12, "work",
         "examine survives odd facts, and each proposal is well-formed", check_odd_facts},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

/* Before all others: what they made it set would look the same afterwards. */
const struct nova_validator_check first_checks[] = {{"changes-nothing", OPTIMIZER, 0, 2, NULL,
                                                     "it proposes, and changes nothing itself",
                                                     check_changes_nothing},
                                                    {NULL, 0, 0, 0, NULL, NULL, NULL}};
