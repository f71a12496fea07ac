/* SPDX-License-Identifier: MIT */
/*
 * Ops under way. One op is a chain of steps: a step sends a request, or makes a pause, or waits for
 * a task of the hypervisor's by asking for it again and again, and names the step that goes on; the
 * last one ends the op. What every driver owes beside that is done here: deadlines, cancellation
 * (what runs on the other side is told to stop, within the host's grace), orders never sent twice,
 * questions that get no answer asked again, latencies, sentences for errors, no secret in any of
 * them, and that each op ends exactly once.
 *
 *	static void started(struct nova_call *call, const struct nova_reply *reply)
 *	{
 *		(void)reply;
 *		nova_call_done(call);
 *	}
 *
 *	static int vm_power(void *self, nova_op op, const struct nova_ref *vm, uint32_t action)
 *	{
 *		struct driver *driver = self;
 *		struct nova_call *call = nova_call_new(driver->calls, op);
 *
 *		if (!call)
 *			return NOVA_E_MEMORY;
 *		nova_call_send(call, started, "POST", "{}", "/vms/%s/start", vm->id);
 *		return nova_call_return(call);
 *	}
 *
 * For drivers with the thread model PER_INSTANCE or SERIAL, whose `pump`, `wake` and `cancel` are
 * nova_calls_pump, nova_calls_wake and nova_calls_cancel.
 *
 * Part of the helpers: linked into the plugin, not ABI. @thread all but nova_calls_wake: an op's or
 * pump's, as that thread model has it
 */
#ifndef NOVACORE_HELPERS_CALL_H
#define NOVACORE_HELPERS_CALL_H

#include <stddef.h>
#include <stdint.h>

#include <novacore/helpers/http.h>
#include <novacore/helpers/json.h>
#include <novacore/helpers/secret.h>
#include <novacore/helpers/text.h>
#include <novacore/hypervisor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nova_calls; /* of one instance: its client and all its ops under way */
struct nova_call_inside;

/*
 * One op under way. A driver that needs more makes a struct of its own that begins with it, says
 * how large that is (nova_calls_settings.call_bytes), and casts. It lives until the step in which
 * it was ended has returned, so what follows nova_call_done or _fail in a step does no harm.
 */
struct nova_call {
	struct nova_calls *calls;
	nova_op op; /* 0: upkeep that nobody waits for */
	/* CLOCK_MONOTONIC; of upkeep, the driver may change it (INT64_MAX: as long as it takes) */
	int64_t deadline_ns;
	/* of the last request that was answered: about to be sent, last byte received */
	int64_t asked_ns, answered_ns;
	struct nova_call_inside *inside;
};

/* What came back; all of it lives until the step returns. */
struct nova_reply {
	const struct nova_http_answer *http; /* status, body, headers */
	json_t *json; /* NOVA_REPLY_JSON: the body, or NULL if it is empty; borrowed */
	void *parsed; /* the body as settings.parser read it, NULL if it is empty; borrowed */
};

/* Reads bodies of a format that these calls do not know, once for judge and steps. */
struct nova_reply_parser {
	/* NULL: it is not of that format, and `why` has a clause with no words of the text in it */
	void *(*parse)(const char *text, size_t bytes, char *why, size_t room);
	void (*release)(void *parsed); /* of NULL, too */
};

/* Goes on with a call. `reply` is NULL after a pause. */
typedef void (*nova_step)(struct nova_call *call, const struct nova_reply *reply);

/* Why the peer said no. */
struct nova_refusal {
	int code;          /* NOVA_E_* */
	int status;        /* of HTTP */
	const char *words; /* its own, printable, without secrets */
	const struct nova_reply *reply;
};

/* --- all of an instance ----------------------------------------------------------------------- */

#define NOVA_REPLY_RAW  0u /* anything: the steps read http->body, or what `parser` made of it */
#define NOVA_REPLY_JSON 1u /* parsed strictly; a good answer that is no JSON is an error */

/* All is copied but `host` and the functions. What is 0 or NULL has a meaning unless it says so. */
struct nova_calls_settings {
	const struct nova_host *host; /* required */
	nova_op instance;             /* required */
	const char *base;         /* required: "https://host:8006/api2/json", goes before paths */
	const char *peer;         /* who answers there, for sentences; NULL: "the API" */
	const char *stranger;     /* advice when somebody else does: "; is this the API's port?" */
	const char *trust_advice; /* advice when it is not to be trusted: "; set ca_file" */
	uint32_t format;          /* NOVA_REPLY_* */
	uint32_t reserved;
	/* With RAW, as NOVA_REPLY_JSON does: &nova_xml_replies (xml.h). NULL: none. */
	const struct nova_reply_parser *parser;
	const char *content_type; /* of bodies; NULL: application/json, or text/xml if RAW */
	/* Credentials and whatever else must not be seen; NULL-terminated, or NULL. */
	const char *const *secrets;
	struct nova_http_settings http; /* its `secrets` is not looked at */
	size_t call_bytes;              /* of the driver's struct; 0: that of nova_call */
	/* Frees what the driver's struct points to. */
	void (*release)(struct nova_call *call);
	/*
	 * Does this answer say yes (NOVA_DONE) or no (NOVA_E_*, and the peer's own words appended)?
	 * NULL: as its status means, with the words of the status line. Where peers wrap a refusal
	 * in a good status, or say what is wrong in the body, it must be looked for here.
	 */
	int (*judge)(struct nova_call *call, const struct nova_reply *reply,
	             struct nova_text *words);
	/* What to do about a refusal, as the end of a sentence ("; check the token"), or "". */
	const char *(*advice)(int status, int code);
	/*
	 * Sessions that end. `expired`: does this refusal mean that? Then `renew` logs in, as the
	 * first step of an upkeep call (nova_call_send, then in a step nova_calls_add_secret,
	 * nova_http_set_header, nova_call_done), once for all calls, and each request that was
	 * refused so is sent once more: it was not carried out. `refresh`, or NULL, puts the new
	 * session into a body that names the old one (nova_text_replace). NULL: nothing ends.
	 */
	int (*expired)(struct nova_call *call, const struct nova_refusal *refusal);
	void (*renew)(struct nova_call *call);
	void (*refresh)(struct nova_call *call, struct nova_text *body);
	int64_t grace_ns;   /* for stopping what runs there; 0: 3 s (the host's own is 5 s) */
	int64_t longest_ns; /* an op without a deadline, and upkeep; 0: 10 minutes */
	void *driver;       /* whatever the driver wants to find again: nova_calls_driver */
};

/* NOVA_DONE and *calls, or NOVA_E_* after host->error(instance, …). Connects to nothing yet. */
int nova_calls_open(const struct nova_calls_settings *settings, struct nova_calls **calls);
/* Drops what is under way without telling anybody, as `destroy` must. NULL is fine. */
void nova_calls_close(struct nova_calls *calls);
struct nova_http *nova_calls_http(const struct nova_calls *calls);
/* Requests go there from now on, as to a cluster's leader; what is under way goes on where it is.
 * NOVA_DONE or NOVA_E_MEMORY. */
int nova_calls_set_base(struct nova_calls *calls, const char *base);
/* The settings' `driver`: in `renew`, whose call is nobody else's. */
void *nova_calls_driver(const struct nova_calls *calls);
/* One more secret (a session's id). NOVA_DONE or NOVA_E_MEMORY. */
int nova_calls_add_secret(struct nova_calls *calls, const char *secret);

/* The driver's `pump`, `wake` (@thread any) and `cancel`. */
int nova_calls_pump(struct nova_calls *calls, int64_t until_ns);
int nova_calls_wake(struct nova_calls *calls);
int nova_calls_cancel(struct nova_calls *calls, nova_op op);

/* --- one op ----------------------------------------------------------------------------------- */

/* A call, zeroed behind its nova_call; NULL after host->error(op, NOVA_E_MEMORY, …). `op` 0:
 * upkeep, whose errors are only logged; it, too, needs nova_call_return after its first step. */
struct nova_call *nova_call_new(struct nova_calls *calls, nova_op op);
/* What the op returns when its first step has been taken. The call may be gone then. */
int nova_call_return(struct nova_call *call);

/*
 * Sends a request and goes on with `step` when it was answered well. `path` begins behind the base;
 * its variables must have been escaped (nova_text_escape_url). `body` may be NULL. After a failure
 * the call has ended. A call has one request under way: the next one aborts the one before.
 */
void nova_call_send(struct nova_call *call, nova_step step, const char *method, const char *body,
                    const char *path, ...) __attribute__((format(printf, 5, 6)));
/*
 * The same for any request: headers, other bodies, uploads, streams, attempts. `what` names it in
 * sentences (NULL: method and path). Its url may begin with / for the base; deadline 0: the call's.
 * `done` and `context` are not looked at: `chunk` and `line` get the call, and may end it, send
 * something else, or return 1: then the stream is over and `step` goes on without a reply.
 */
void nova_call_request(struct nova_call *call, nova_step step, const char *what,
                       const struct nova_http_request *request);
/* For the request just sent: looks at a refusal before it becomes an error. It returns 1 if it has
 * dealt with it (sent another one, made a pause, ended the call). */
void nova_call_on_refusal(struct nova_call *call,
                          int (*refused)(struct nova_call *call,
                                         const struct nova_refusal *refusal));
/* The same for no answer at all (`code` and `why` are nova_http_answer's): for a watch whose
 * connection breaks. A poll asks again before. */
void nova_call_on_loss(struct nova_call *call,
                       int (*lost)(struct nova_call *call, int code, const char *why));
/* Goes on with `step` later, without a reply. */
void nova_call_pause(struct nova_call *call, nova_step step, int64_t for_ns);

/*
 * For a peer that lets two objects have one name: 1 if no other call of this instance makes one of
 * that name; until this one ends, none will. 0: it has ended with NOVA_E_EXISTS. To be asked before
 * the peer is asked whether the name is free.
 */
int nova_call_claim(struct nova_call *call, const char *name);

/* Ends it well. */
void nova_call_done(struct nova_call *call);
/* Ends it with a code and a sentence. A second end of a call does nothing. */
void nova_call_fail(struct nova_call *call, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Ends it with NOVA_E_PROTOCOL: the answer is not the peer's, because of `why` (a clause). */
void nova_call_puzzled(struct nova_call *call, const char *why);
/*
 * Gives it up: what is being polled is told to stop, an order that is under way is waited for (its
 * answer may name what is to be stopped, or say that all is well), both for the grace; then it ends
 * with `status`. Meanwhile steps can send nothing: the call ends where one tries.
 */
void nova_call_stop(struct nova_call *call, int status);

/* "POST /vms", the last request, for sentences. */
const char *nova_call_what(const struct nova_call *call);

/* --- waiting for a task ----------------------------------------------------------------------- */

struct nova_poll {
	char name[256]; /* for sentences: "task qmclone of VM 101" */
	int64_t first_ns,
	        longest_ns; /* between questions; each is half longer than the one before */
	int waits;     /* 1: the peer itself waits with its answer: that is no latency of its API */
	int at_once;   /* 1: the first question without an interval */
	uint32_t lost; /* so many questions in a row may get no answer; 0: 4 */
	/* Sends the question, with the step NULL. */
	void (*ask)(struct nova_call *call);
	/* What the answer says: NOVA_PENDING (it runs), NOVA_DONE (it has ended well), or NOVA_E_*
	 * and why, appended to `words`. */
	int (*look)(struct nova_call *call, const struct nova_reply *reply,
	            struct nova_text *words);
	/* Sends the order to stop it, with the step NULL; NULL: it cannot be stopped. */
	void (*stop)(struct nova_call *call);
	/* When it has ended well. */
	nova_step then;
	/* Looks at its failure before it becomes an error; 1: dealt with. NULL: nobody. */
	int (*failed)(struct nova_call *call, int code, const char *words);
};

/* Copies it, and begins to wait. In a step, instead of sending or ending. */
void nova_call_poll(struct nova_call *call, const struct nova_poll *poll);
/* Asks now instead of after the interval: a notification, in another call's step, says that the
 * task has moved on. With an interval, from now on as often as that: there will be no more of them
 * (0: as before). Of a call that does not poll: nothing. */
void nova_call_poll_now(struct nova_call *call, int64_t interval_ns);

/* --- events ----------------------------------------------------------------------------------- */

/* About the VM `name`; a resolution below 1 ns is 1 ns. */
void nova_call_event(struct nova_call *call, const char *name, uint32_t kind, uint32_t source,
                     int64_t t_ns, int64_t resolution_ns);
/* What happened when the polled task ended: between the last look that saw it running and the one
 * that saw its end. In the poll's `then`, or later in the same chain. */
void nova_call_poll_event(struct nova_call *call, const char *name, uint32_t kind);

#ifdef __cplusplus
}
#endif

#endif
