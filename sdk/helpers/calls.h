/* SPDX-License-Identifier: MIT */
/* What call.c and poll.c share: an instance's calls, and the inside of one. */
#ifndef NOVACORE_HELPERS_CALLS_H
#define NOVACORE_HELPERS_CALLS_H

#include "inside.h"

#include <novacore/helpers/call.h>

struct nova_calls {
	struct nova_calls_settings settings; /* texts in it are copies below */
	const struct nova_host *host;
	struct nova_http *http;
	struct nova_secrets *secrets;
	struct nova_call *first;
	struct nova_call *renewal; /* logs in again; NULL: nobody does */
	uint32_t session;          /* counts them */
	int renewal_result;        /* NOVA_PENDING until it has ended */
	struct nova_text renewal_error;
	char *base, *peer, *stranger, *trust_advice, *content_type;
};

struct nova_call_inside {
	struct nova_call *next;
	int in_op;         /* the op has not returned yet: its result is returned, not sent */
	int ended, result; /* then */
	int stopped;       /* 0, or the status that it ends with unless it ends well in the grace */
	int told;          /* that it was stopped */
	char *what;
	char *claim;        /* the name of what it makes */
	char *stopped_what; /* what it was about then */

	struct nova_http_flight *flight;
	int64_t told_ns; /* when the progress of its file was put last */
	int order;       /* the flight is one: must not be sent twice */
	nova_step step;
	uint32_t moves; /* counts requests and pauses */
	int (*refused)(struct nova_call *call, const struct nova_refusal *refusal);
	int (*on_loss)(struct nova_call *call, int code, const char *why);
	int (*chunk)(void *context, const char *bytes, size_t count);
	int (*line)(void *context, const char *line, size_t length);
	int64_t due_ns; /* of `step`, after a pause; 0: none */
	/* what is no request goes on by itself (ssh.c): its own, and what ends its pauses early */
	void *aside;
	/* given up: ends it now, or by the call's deadline, which is the grace then */
	void (*on_stop)(struct nova_call *call);
	int fd;     /* looked at while `events` is not 0 */
	int events; /* CURL_WAIT_POLL… */

	uint32_t session; /* in which it was sent */
	int renewed;      /* this request was sent again for it */
	int waiting;      /* for a new one; the flight is parked */

	struct nova_poll poll;
	int polling;   /* from nova_call_poll to the task's end */
	int hurried;   /* ask again at once: the answer under way may be older than the news */
	int stopping;  /* what is sent now is the order to stop */
	uint32_t lost; /* questions in a row that got no answer */
	int64_t interval_ns;
	int64_t running_ns; /* asked then, it still ran */
};

/* --- call.c ----------------------------------------------------------------------------------- */

void nova_helper_end(struct nova_call *call, int status);
/* Says an error, without secrets; for upkeep, logs it. */
void nova_helper_say(struct nova_call *call, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
const char *nova_helper_advice(const struct nova_call *call, int status, int code);

/* --- session.c -------------------------------------------------------------------------------- */

/* 1: the refusal means that the session is over, and the request will be sent again. */
int nova_helper_await_session(struct nova_call *call, const struct nova_refusal *refusal);
/* Goes on with those that wait, when the renewal has ended; where no step is on the stack. */
void nova_helper_resume(struct nova_calls *calls);

/* --- poll.c ----------------------------------------------------------------------------------- */

/* The step of every question. */
void nova_helper_poll_look(struct nova_call *call, const struct nova_reply *reply);
/* The step of every order to stop. */
void nova_helper_poll_stopped(struct nova_call *call, const struct nova_reply *reply);
/* A question got no answer; 1: it will be asked again. */
int nova_helper_poll_again(struct nova_call *call);
/* Tells the task to stop, then ends the call. */
void nova_helper_poll_stop(struct nova_call *call);

#endif
