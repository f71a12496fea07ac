/* SPDX-License-Identifier: MIT */
/* What an optimizer is shown, and what it proposes: checked, and kept as deep copies. */
#include "inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view {
	struct shown {
		enum { SHOWN_FACT, SHOWN_KNOB, SHOWN_METRIC } what;
		char *object, *name, *text; /* object: a knob's, else "" */
		double value;
	} * shown;
	struct nova_proposal **proposals;
	uint32_t shown_count, proposal_count, first_proposal; /* the last: of this examine */
};

/* --- what is shown ------------------------------------------------------------------------ */

/* Under the lock. */
static struct shown *find(const struct view *view, int what, const char *object, const char *name)
{
	for (uint32_t i = 0; i < view->shown_count; i++) {
		struct shown *shown = &view->shown[i];

		if ((int)shown->what == what && strcmp(shown->object, object) == 0 &&
		    strcmp(shown->name, name) == 0)
			return shown;
	}
	return NULL;
}

static void show(struct nova_testhost *host, int what, const char *object, const char *name,
                 const char *text, double value)
{
	struct view *view = host->view;
	struct shown *shown;

	pthread_mutex_lock(&th_lock);
	if (!view || !object || !name || !text) {
		th_complain(host, "set: not an optimizer, or a text is missing");
		pthread_mutex_unlock(&th_lock);
		return;
	}
	shown = find(view, what, object, name);
	if (!shown) {
		view->shown = th_grow(view->shown, view->shown_count, sizeof(*view->shown));
		shown = &view->shown[view->shown_count++];
		memset(shown, 0, sizeof(*shown));
		shown->what = what;
		shown->object = th_copy(object);
		shown->name = th_copy(name);
	}
	free(shown->text);
	shown->text = th_copy(text);
	shown->value = value;
	pthread_mutex_unlock(&th_lock);
}

void nova_testhost_set_fact(struct nova_testhost *host, const char *key, const char *value)
{
	show(host, SHOWN_FACT, "", key, value, 0);
}

void nova_testhost_set_knob(struct nova_testhost *host, const char *object, const char *knob,
                            const char *value)
{
	show(host, SHOWN_KNOB, object, knob, value, 0);
}

void nova_testhost_set_metric(struct nova_testhost *host, const char *name, double value)
{
	show(host, SHOWN_METRIC, "", name, "", value);
}

/* Locks; NULL, and not locked, if no examine is going on. */
static struct nova_testhost *come(nova_op op, const char *function)
{
	struct call *call;

	pthread_mutex_lock(&th_lock);
	call = th_find_call(op);
	if (call && call->host->view && call != call->host->creation && call->open)
		return call->host;
	th_complain(call ? call->host : NULL, "%s was called outside of examine", function);
	pthread_mutex_unlock(&th_lock);
	return NULL;
}

/* Unlocks. A value that is too long is cut. */
static int give(struct nova_testhost *host, const char *function, const struct shown *shown,
                char *value, uint32_t room)
{
	int status = shown ? NOVA_DONE : NOVA_E_NOT_FOUND;

	if (!value || room == 0) {
		th_complain(host, "%s: no room for the value", function);
		status = NOVA_E_INVALID;
	} else {
		snprintf(value, room, "%s", shown ? shown->text : "");
		if (shown && strlen(shown->text) >= room)
			status = NOVA_E_FULL;
	}
	pthread_mutex_unlock(&th_lock);
	return status;
}

static int view_fact(nova_op op, const char *key, char *value, uint32_t room)
{
	struct nova_testhost *host = come(op, "fact");

	if (!host)
		return NOVA_E_INVALID;
	if (!key)
		th_complain(host, "fact: no key");
	return give(host, "fact", key ? find(host->view, SHOWN_FACT, "", key) : NULL, value, room);
}

static int view_knob(nova_op op, const char *object, const char *knob, char *value, uint32_t room)
{
	struct nova_testhost *host = come(op, "knob");
	const struct shown *shown = NULL;

	if (!host)
		return NOVA_E_INVALID;
	if (!object || !knob)
		th_complain(host, "knob: no object or no knob");
	else
		shown = find(host->view, SHOWN_KNOB, object, knob);
	return give(host, "knob", shown, value, room);
}

static int view_metric(nova_op op, const char *name, struct nova_result *result)
{
	struct nova_testhost *host = come(op, "metric");
	const struct shown *shown = NULL;
	int status = NOVA_E_INVALID;

	if (!host)
		return NOVA_E_INVALID;
	if (!name || !result || result->struct_size < sizeof(*result)) {
		th_complain(host, "metric: no name, or struct_size of the result is not set");
	} else {
		shown = find(host->view, SHOWN_METRIC, "", name);
		status = shown ? NOVA_DONE : NOVA_E_NOT_FOUND;
	}
	if (shown)
		*result = (struct nova_result){
		        .struct_size = sizeof(*result), .count = 1, .f64 = shown->value};
	pthread_mutex_unlock(&th_lock);
	return status;
}

/* --- proposals ---------------------------------------------------------------------------- */

static int empty(const char *text)
{
	return !text || !*text;
}

/* ^[a-z0-9][a-z0-9-]*$ */
static int is_slug(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return !empty(text) && text[0] != '-' && strspn(text, allowed) == strlen(text);
}

static int is_object(const char *text)
{
	static const char *const kinds[] = {"target:", "vm:", "shape:"};

	if (empty(text))
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
			return text[strlen(kinds[i])] != 0;
	return strcmp(text, "host") == 0;
}

static const char *refuse_change(const struct view *view, const struct nova_change *const *changes,
                                 const struct nova_change *change)
{
	const struct shown *shown;

	if (change->struct_size < sizeof(*change))
		return "struct_size of a change is not set";
	if (change->when != NOVA_WHEN_LIVE && change->when != NOVA_WHEN_RESTART &&
	    change->when != NOVA_WHEN_RECREATE && change->when != NOVA_WHEN_REBOOT)
		return "a change does not say when it takes effect";
	if (!is_object(change->object))
		return "a change's object is not host, target:NAME, vm:NAME or shape:NAME";
	if (empty(change->knob))
		return "a change has no knob";
	if (!change->from || !change->to)
		return "a change does not say from what or to what";
	if (strcmp(change->from, change->to) == 0)
		return "a change changes nothing: from and to are the same";
	shown = find(view, SHOWN_KNOB, change->object, change->knob);
	if (shown && strcmp(shown->text, change->from) != 0)
		return "a change's from is not what the knob is";
	for (; *changes != change; changes++)
		if (strcmp((*changes)->object, change->object) == 0 &&
		    strcmp((*changes)->knob, change->knob) == 0)
			return "it changes one knob twice";
	return NULL;
}

static const char *refuse(const struct view *view, const struct nova_proposal *proposal)
{
	const struct nova_change *const *change;
	const char *wrong = NULL;

	if (!is_slug(proposal->slug))
		return "its slug is not lower-case letters, digits and -";
	for (uint32_t i = view->first_proposal; i < view->proposal_count; i++)
		if (strcmp(view->proposals[i]->slug, proposal->slug) == 0)
			return "it was proposed already";
	if (empty(proposal->why))
		return "it does not say why";
	if (proposal->accept_risk && !*proposal->accept_risk)
		return "the risk to accept has no name; NULL: there is none";
	if (!isfinite(proposal->gain) || !isfinite(proposal->gain_low) ||
	    !isfinite(proposal->gain_high))
		return "its gain is not finite";
	if (proposal->gain_low > proposal->gain || proposal->gain > proposal->gain_high)
		return "its gain is not between gain_low and gain_high";
	if (!(proposal->confidence >= 0 && proposal->confidence <= 1))
		return "its confidence is not in 0…1";
	if (!proposal->changes || !proposal->changes[0])
		return "it changes nothing";
	for (change = proposal->changes; *change && !wrong; change++)
		wrong = refuse_change(view, proposal->changes, *change);
	return wrong;
}

static struct nova_change *copy_change(const struct nova_change *change)
{
	struct nova_change *kept = th_memory(NULL, sizeof(*kept));

	*kept = *change;
	kept->struct_size = sizeof(*kept);
	kept->object = th_copy(change->object);
	kept->knob = th_copy(change->knob);
	kept->from = th_copy(change->from);
	kept->to = th_copy(change->to);
	return kept;
}

static struct nova_proposal *copy_proposal(const struct nova_proposal *proposal)
{
	struct nova_proposal *kept = th_memory(NULL, sizeof(*kept));
	const struct nova_change **changes;
	size_t count = 0;

	while (proposal->changes[count])
		count++;
	changes = th_memory(NULL, (count + 1) * sizeof(*changes));
	for (size_t i = 0; i < count; i++)
		changes[i] = copy_change(proposal->changes[i]);
	changes[count] = NULL;
	*kept = *proposal;
	kept->struct_size = sizeof(*kept);
	kept->slug = th_copy(proposal->slug);
	kept->why = th_copy(proposal->why);
	kept->source = th_copy(proposal->source);
	kept->metric = th_copy(proposal->metric);
	kept->accept_risk = th_copy(proposal->accept_risk);
	kept->changes = changes;
	return kept;
}

static int view_propose(nova_op op, const struct nova_proposal *proposal)
{
	struct nova_testhost *host = come(op, "propose");
	const char *wrong = "struct_size is not set", *slug = "?";
	struct view *view;

	if (!host)
		return NOVA_E_INVALID;
	view = host->view;
	if (proposal && proposal->struct_size >= sizeof(*proposal)) {
		slug = proposal->slug ? proposal->slug : slug;
		wrong = refuse(view, proposal);
	}
	if (wrong) {
		th_complain(host, "proposal %s: %s", slug, wrong);
	} else {
		view->proposals = th_grow(view->proposals, view->proposal_count,
		                          sizeof(struct nova_proposal *));
		view->proposals[view->proposal_count++] = copy_proposal(proposal);
	}
	pthread_mutex_unlock(&th_lock);
	return wrong ? NOVA_E_INVALID : NOVA_DONE;
}

/* --- for the test ------------------------------------------------------------------------- */

static const struct nova_view VIEW = {
        .struct_size = sizeof(VIEW),
        .fact = view_fact,
        .knob = view_knob,
        .metric = view_metric,
        .propose = view_propose,
};

int nova_testhost_examine(struct nova_testhost *host, int64_t timeout_ms)
{
	const struct nova_optimizer *ops = host->plugin->ops;
	nova_op op;

	if (!host->view || !host->created || host->destroyed || !ops->examine)
		return NOVA_E_INVALID;
	op = nova_testhost_begin(host, timeout_ms);
	host->view->first_proposal = host->view->proposal_count;
	return nova_testhost_end(host, ops->examine(&th_table, &VIEW, op));
}

uint32_t nova_testhost_proposal_count(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->view ? host->view->proposal_count : 0;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const struct nova_proposal *nova_testhost_proposal(struct nova_testhost *host, uint32_t index)
{
	const struct nova_proposal *proposal = NULL;

	pthread_mutex_lock(&th_lock);
	if (host->view && index < host->view->proposal_count)
		proposal = host->view->proposals[index];
	pthread_mutex_unlock(&th_lock);
	return proposal;
}

void th_view_new(struct nova_testhost *host)
{
	host->view = th_memory(NULL, sizeof(*host->view));
	memset(host->view, 0, sizeof(*host->view));
}

#define DROP(text) free((char *)(uintptr_t)(text))

static void free_proposal(struct nova_proposal *proposal)
{
	for (const struct nova_change *const *change = proposal->changes; *change; change++) {
		DROP((*change)->object);
		DROP((*change)->knob);
		DROP((*change)->from);
		DROP((*change)->to);
		DROP(*change);
	}
	DROP(proposal->changes);
	DROP(proposal->slug);
	DROP(proposal->why);
	DROP(proposal->source);
	DROP(proposal->metric);
	DROP(proposal->accept_risk);
	free(proposal);
}

void th_view_free(struct view *view)
{
	if (!view)
		return;
	for (uint32_t i = 0; i < view->shown_count; i++) {
		free(view->shown[i].object);
		free(view->shown[i].name);
		free(view->shown[i].text);
	}
	for (uint32_t i = 0; i < view->proposal_count; i++)
		free_proposal(view->proposals[i]);
	free(view->shown);
	free(view->proposals);
	free(view);
}
