/* SPDX-License-Identifier: MIT */
/* Sessions that end while calls are under way: one logs in again, the others wait for it. */
#include "calls.h"

/* Logging in again takes at most that long. */
#define RENEWAL_NS (60 * SECOND_NS)

static void unpark(struct nova_call *call)
{
	struct nova_call_inside *inside = call->inside;

	inside->waiting = 0;
	inside->session = call->calls->session;
	if (call->calls->settings.refresh)
		call->calls->settings.refresh(call, nova_helper_body(inside->flight));
	if (nova_helper_body(inside->flight)->broken)
		nova_call_fail(call, NOVA_E_MEMORY, "out of memory");
	else
		nova_helper_unpark(inside->flight);
}

/* 0: out of memory. */
static int begin_renewal(struct nova_calls *calls)
{
	struct nova_call *call = nova_call_new(calls, 0);

	if (!call)
		return 0;
	call->deadline_ns = nova_http_now_ns() + RENEWAL_NS;
	nova_text_free(&calls->renewal_error);
	calls->renewal_result = NOVA_PENDING;
	calls->renewal = call;
	calls->settings.renew(call);
	call->inside->in_op = 0; /* freed with the others that have ended */
	return 1;
}

int nova_helper_await_session(struct nova_call *call, const struct nova_refusal *refusal)
{
	struct nova_calls *calls = call->calls;
	struct nova_call_inside *inside = call->inside;

	if (!calls->settings.expired || !calls->settings.renew || call == calls->renewal ||
	    inside->renewed || inside->stopped || !calls->settings.expired(call, refusal))
		return 0;
	/* somebody may have logged in since it was sent */
	if (inside->session == calls->session && !calls->renewal && !begin_renewal(calls))
		return 0;
	inside->renewed = 1;
	inside->waiting = 1;
	inside->flight = nova_helper_park(refusal->reply->http);
	if (!calls->renewal)
		unpark(call);
	return 1;
}

void nova_helper_resume(struct nova_calls *calls)
{
	int result = calls->renewal_result;

	if (!calls->renewal || result == NOVA_PENDING)
		return;
	calls->renewal = NULL;
	calls->session += result == NOVA_DONE;
	for (struct nova_call *call = calls->first; call; call = call->inside->next) {
		if (!call->inside->waiting || call->inside->ended)
			continue;
		if (result == NOVA_DONE)
			unpark(call);
		else
			nova_call_fail(call, result,
			               "%s at %s: the session has ended, and there is no "
			               "new one: %s",
			               nova_call_what(call), calls->base,
			               nova_text_get(&calls->renewal_error));
	}
}
