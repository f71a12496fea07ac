/* SPDX-License-Identifier: MIT */
/* Waiting for a task of the peer's: asking again and again, and telling it to stop. */
#include "calls.h"

#include <string.h>

/* A question changes nothing: it may be asked again where its answer was lost. */
#define LOST 4u
/* A peer that answers "it runs" at once is not asked more often, whatever the driver wants. */
#define SHORTEST_NS (SECOND_NS / 1000)

static void ask(struct nova_call *call, const struct nova_reply *unused)
{
	struct nova_call_inside *inside = call->inside;

	(void)unused;
	inside->poll.ask(call);
	if (!inside->ended && !inside->flight)
		nova_call_fail(call, NOVA_E_INTERNAL, "the driver does not ask how %s goes on",
		               inside->poll.name);
}

void nova_call_poll(struct nova_call *call, const struct nova_poll *poll)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended)
		return;
	inside->poll = *poll;
	inside->polling = 1;
	inside->hurried = 0;
	inside->lost = 0;
	inside->running_ns = call->asked_ns;
	inside->interval_ns = poll->first_ns > SHORTEST_NS ? poll->first_ns : SHORTEST_NS;
	if (inside->stopped) /* given up while it was being started */
		nova_helper_poll_stop(call);
	else if (poll->at_once)
		ask(call, NULL);
	else
		nova_call_pause(call, ask, inside->interval_ns);
}

void nova_call_poll_now(struct nova_call *call, int64_t interval_ns)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->ended || !inside->polling || inside->stopped)
		return;
	if (interval_ns > 0) {
		inside->interval_ns = interval_ns > SHORTEST_NS ? interval_ns : SHORTEST_NS;
		inside->poll.longest_ns = inside->interval_ns;
	}
	inside->hurried = inside->flight != NULL;
	if (!inside->hurried)
		nova_call_pause(call, ask, 0);
}

int nova_helper_poll_again(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;

	if (inside->step != nova_helper_poll_look ||
	    inside->lost >= (inside->poll.lost ? inside->poll.lost : LOST))
		return 0;
	inside->lost++;
	nova_call_pause(call, ask, inside->interval_ns);
	return 1;
}

static void ended(struct nova_call *call, const struct nova_reply *reply, int code,
                  const char *words)
{
	struct nova_call_inside *inside = call->inside;
	struct nova_poll poll = inside->poll;

	inside->polling = 0;
	if (code == NOVA_DONE)
		poll.then(call, reply);
	else if (!poll.failed || !poll.failed(call, code, words))
		nova_call_fail(call, code, "%s failed: %s%s", poll.name,
		               words[0] ? words : "no reason given",
		               nova_helper_advice(call, 0, code));
}

void nova_helper_poll_look(struct nova_call *call, const struct nova_reply *reply)
{
	struct nova_call_inside *inside = call->inside;
	struct nova_text said = {0};
	struct nova_text words = {0};
	int code = inside->poll.look(call, reply, &said);

	inside->lost = 0;
	nova_secrets_hide(call->calls->secrets, said.text);
	nova_text_add_printable(&words, nova_text_get(&said), 400);
	if (inside->ended) {
		; /* by the driver's look */
	} else if (said.broken || words.broken) {
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	} else if (code == NOVA_PENDING) {
		inside->running_ns = call->asked_ns;
		inside->interval_ns += inside->interval_ns / 2;
		if (inside->interval_ns > inside->poll.longest_ns)
			inside->interval_ns = inside->poll.longest_ns > SHORTEST_NS
			                              ? inside->poll.longest_ns
			                              : SHORTEST_NS;
		nova_call_pause(call, ask, inside->hurried ? 0 : inside->interval_ns);
		inside->hurried = 0;
	} else {
		ended(call, reply, code, nova_text_get(&words));
	}
	nova_text_free(&said);
	nova_text_free(&words);
}

void nova_helper_poll_stopped(struct nova_call *call, const struct nova_reply *reply)
{
	(void)reply;
	nova_helper_end(call, call->inside->stopped);
}

void nova_helper_poll_stop(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;

	nova_http_abort(inside->flight);
	inside->flight = NULL;
	inside->due_ns = 0;
	if (inside->poll.stop) {
		inside->stopping = 1;
		inside->poll.stop(call);
	}
	if (!inside->flight)
		nova_helper_end(call, inside->stopped);
}
