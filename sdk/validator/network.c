/* SPDX-License-Identifier: MIT */
/*
 * Checks of drivers of an HTTPS API: what the network, or the peer, can do to them. All of it by a
 * relay (proxy.h) that stands between the driver and its target. A driver takes part if it has the
 * parameters `uri` and `ca_file`, and the target's uri begins with https://.
 */
#include "deed.h"
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BROKEN_MS  5000 /* deadline of an op that something happens to */
#define OUTAGE_MS  1000 /* and of one that nothing is answered to */
#define SLOW_MS    400  /* and of one whose answer does not come to its end */
#define REQUESTS   3    /* of an op that are hit: the first two, and the last */
#define PARAMETERS 128

struct lab {
	struct validator *v;
	struct proxy *proxy;
	const char *given[PARAMETERS]; /* the driver's parameters, with the relay as its target */
	char uri[1100], ca_file[4200];
	uint32_t met; /* requests that something happened to */
};

/* --- parameters --------------------------------------------------------------------------- */

static int declares(const struct validator *v, const char *name)
{
	for (const struct nova_parameter *const *p = v->plugin->parameters; p && *p; p++)
		if (strcmp((*p)->name, name) == 0)
			return 1;
	return 0;
}

static int is_named(const char *assignment, const char *name)
{
	size_t length = strlen(name);

	return strncmp(assignment, name, length) == 0 && assignment[length] == '=';
}

/* The last one counts. "" if it is not given. */
static const char *value_of(const struct validator *v, const char *name)
{
	const char *value = "";

	for (const char *const *at = v->request->parameters; at && *at; at++)
		if (is_named(*at, name))
			value = *at + strlen(name) + 1;
	return value;
}

static int takes_part(struct validator *v)
{
	if (!declares(v, "uri") || !declares(v, "ca_file"))
		untried(v, "it speaks no HTTPS: it has no parameter `ca_file`");
	else if (strncmp(value_of(v, "uri"), "https://", 8) != 0)
		untried(v, "the target is not given as uri=https://…, with its credentials beside "
		           "it");
	else
		return 1;
	return 0;
}

/* All but how the target is found and verified. */
static void redirect_parameters(struct lab *lab, const char *fingerprint)
{
	static const char *const replaced[] = {"uri", "ca_file", "fingerprint", "insecure"};
	size_t count = 0;

	for (const char *const *at = lab->v->request->parameters; at && *at; at++) {
		int other = 1;
		for (size_t i = 0; i < COUNT(replaced); i++)
			other &= !is_named(*at, replaced[i]);
		if (other && count + 4 < PARAMETERS)
			lab->given[count++] = *at;
	}
	lab->given[count++] = lab->uri;
	lab->given[count++] = fingerprint ? fingerprint : lab->ca_file;
	lab->given[count] = NULL;
}

/* 0: the verdict is set, and there is nothing to close. */
static int open_lab(struct lab *lab, struct validator *v)
{
	struct proxy_settings settings = {.directory = "."};
	char why[512], here[4096];

	memset(lab, 0, sizeof(*lab));
	lab->v = v;
	if (!usable(v) || !takes_part(v))
		return 0;
	settings.uri = value_of(v, "uri");
	settings.ca_file = value_of(v, "ca_file");
	settings.fingerprint = value_of(v, "fingerprint");
	settings.insecure = strcmp(value_of(v, "insecure"), "true") == 0;
	if (getcwd(here, sizeof(here)))
		settings.directory = here;
	lab->proxy = proxy_open(&settings, why, sizeof(why));
	if (!lab->proxy) {
		untried(v, "no relay to the target: %s", why);
		return 0;
	}
	snprintf(lab->uri, sizeof(lab->uri), "uri=%s", proxy_uri(lab->proxy));
	snprintf(lab->ca_file, sizeof(lab->ca_file), "ca_file=%s", proxy_ca_file(lab->proxy));
	redirect_parameters(lab, NULL);
	return 1;
}

/* Connected through the relay. 0: the verdict is set. */
static int open_through(struct lab *lab, struct target *target)
{
	struct nova_testhost *host = open_host(lab->v, lab->given);

	if (!host)
		return 0;
	if (connect_target(target, lab->v, host))
		return 1;
	fail(lab->v, "through a relay that changes nothing it cannot connect: %s",
	     *proxy_trouble(lab->proxy) ? proxy_trouble(lab->proxy) : nova_testhost_error(host));
	close_host_quietly(lab->v, host);
	return 0;
}

/* --- one fault ---------------------------------------------------------------------------- */

static const char *const fault_names[FAULTS] = {[FAULT_DIES_BEFORE] = "breaks before the request",
                                                [FAULT_DIES_AFTER] = "breaks instead of the answer",
                                                [FAULT_NO_HTTP] = "answers no HTTP",
                                                [FAULT_GARBAGE] = "answers garbage",
                                                [FAULT_HALF] = "answers half a body",
                                                [FAULT_500] = "answers 500",
                                                [FAULT_503] = "answers 503",
                                                [FAULT_REDIRECT] = "answers a redirect",
                                                [FAULT_SLOW] = "answers slowly",
                                                [FAULT_DRIBBLE] = "answers byte by byte"};

static void end_fault(struct lab *lab)
{
	lab->met += proxy_hits(lab->proxy);
	proxy_arm(lab->proxy, FAULT_NONE, 0, 0);
}

/* A case in which nothing has happened says nothing. */
static void close_lab(struct lab *lab)
{
	if (lab->met)
		note(lab->v, "%u requests broken", lab->met);
	else
		fail(lab->v, "no request of the driver has passed the relay");
	proxy_close(lab->proxy);
}

/* What a network can do to an op: enough to reach every way in which a driver asks. */
static int is_tried(const struct deed *deed)
{
	static const char *const names[] = {"describe",        "vm_list",        "vm_create",
	                                    "vm_power START",  "vm_query STATE", "vm_power OFF",
	                                    "snapshot CREATE", "vm_delete"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(deed->name, names[i]) == 0)
			return 1;
	return 0;
}

/* An order is never sent twice, whatever became of its answer. */
static void judge_twice(struct lab *lab, struct target *target, const struct made *vm,
                        const char *what)
{
	if (CALL(target, vm_list, vm->name) == NOVA_DONE &&
	    nova_testhost_count(target->host, NOVA_FIELD_VM) > 1)
		fail(lab->v, "after %s there are two VMs of the name", what);
}

/* Request number `skip` of the op, from 0, meets the fault; then all is well again. */
static void meet(struct lab *lab, struct target *target, const struct deed *deed, enum fault fault,
                 uint32_t skip, int64_t given_ms)
{
	char what[160];
	struct made vm;
	int64_t begin;
	int status;

	snprintf(what, sizeof(what), "%s, where the peer %s (request %u)", deed->name,
	         fault_names[fault], skip + 1);
	if (!prepare_deed(target, deed, &vm))
		return;
	stage(lab->v, "%s", what);
	proxy_arm(lab->proxy, fault, skip, 1);
	begin = now_ms();
	status = do_deed(target, deed, &vm, given_ms);
	judge_deed(target, what, status, begin, given_ms);
	end_fault(lab);
	if (lab->v->verdict != NOVA_VERDICT_PASSED)
		return;
	if (strcmp(deed->name, "vm_create") == 0)
		judge_twice(lab, target, &vm, what);
	clear_deed(target, deed, &vm);
}

/* How many requests of an op are hit. */
static uint32_t moments(const struct lab *lab)
{
	return lab->v->request->quick ? 1 : REQUESTS;
}

/* How many requests the op makes when nothing happens to it; 0: none, or the verdict is set. */
static uint32_t rehearse(struct lab *lab, struct target *target, const struct deed *deed)
{
	uint32_t requests = 0;
	struct made vm;

	if (!prepare_deed(target, deed, &vm))
		return 0;
	proxy_arm(lab->proxy, FAULT_NONE, 0, 0);
	stage(lab->v, "%s", deed->name);
	if (expect_done(target, deed->name, do_deed(target, deed, &vm, lab->v->op_timeout_ms)))
		requests = proxy_requests(lab->proxy);
	clear_deed(target, deed, &vm);
	return requests;
}

static void meet_each(struct lab *lab, struct target *target, enum fault fault, int64_t given_ms)
{
	for (const struct deed *deed = deeds; deed->name; deed++) {
		uint32_t requests, at[REQUESTS] = {0};

		if (!is_tried(deed) || !can_deed(target, deed) ||
		    lab->v->verdict != NOVA_VERDICT_PASSED)
			continue;
		requests = rehearse(lab, target, deed);
		at[1] = 1;
		at[2] = requests ? requests - 1 : 0;
		for (uint32_t i = 0; i < moments(lab) && i < requests; i++)
			if ((i < 2 || at[i] > 1) && lab->v->verdict == NOVA_VERDICT_PASSED)
				meet(lab, target, deed, fault, at[i], given_ms);
	}
}

/* Every request from now on meets it: what is asked then must not be taken for done. */
static void outage(struct lab *lab, struct target *target, enum fault fault)
{
	for (const struct deed *deed = deeds; deed->name; deed++) {
		char what[160];
		struct made vm;
		int64_t begin;
		int status;

		if ((strcmp(deed->name, "vm_list") != 0 && strcmp(deed->name, "vm_create") != 0) ||
		    !can_deed(target, deed) || lab->v->verdict != NOVA_VERDICT_PASSED)
			continue;
		snprintf(what, sizeof(what), "%s, where the peer always %s", deed->name,
		         fault_names[fault]);
		prepare_deed(target, deed, &vm);
		stage(lab->v, "%s", what);
		proxy_arm(lab->proxy, fault, 0, UINT32_MAX);
		begin = now_ms();
		status = do_deed(target, deed, &vm, OUTAGE_MS);
		judge_deed(target, what, status, begin, OUTAGE_MS);
		if (status == NOVA_DONE && proxy_hits(lab->proxy))
			fail(lab->v, "%s: it is NOVA_DONE", what);
		end_fault(lab);
		if (lab->v->verdict == NOVA_VERDICT_PASSED)
			clear_deed(target, deed, &vm);
	}
}

/* Instances of their own, whose connect meets it. */
static void meet_connect(struct lab *lab, enum fault fault)
{
	char what[160];
	int64_t begin;
	int status;

	for (uint32_t skip = 0; skip < moments(lab) && lab->v->verdict == NOVA_VERDICT_PASSED;
	     skip++) {
		struct target target = {.v = lab->v, .host = open_host(lab->v, lab->given)};

		if (!target.host)
			return;
		snprintf(what, sizeof(what), "connect, where the peer %s (request %u)",
		         fault_names[fault], skip + 1);
		stage(lab->v, "%s", what);
		proxy_arm(lab->proxy, fault, skip, 1);
		begin = now_ms();
		status = nova_testhost_call(target.host, BROKEN_MS, connect);
		judge_deed(&target, what, status, begin, BROKEN_MS);
		end_fault(lab);
		close_host(lab->v, target.host);
	}
}

/* The whole of a case: connecting, each op, and an outage. */
static void suffer(struct lab *lab, enum fault fault)
{
	struct target target;

	meet_connect(lab, fault);
	if (lab->v->verdict != NOVA_VERDICT_PASSED || !open_through(lab, &target))
		return;
	meet_each(lab, &target, fault, BROKEN_MS);
	if (lab->v->verdict == NOVA_VERDICT_PASSED)
		outage(lab, &target, fault);
	close_target(&target);
}

static void suffer_all(struct validator *v, const enum fault *faults, size_t count)
{
	struct lab lab;

	if (!open_lab(&lab, v))
		return;
	for (size_t i = 0; i < count && v->verdict == NOVA_VERDICT_PASSED; i++)
		suffer(&lab, faults[i]);
	close_lab(&lab);
}

static void check_peer_dies(struct validator *v)
{
	static const enum fault faults[] = {FAULT_DIES_BEFORE, FAULT_DIES_AFTER};

	suffer_all(v, faults, COUNT(faults));
}

static void check_garbage(struct validator *v)
{
	static const enum fault faults[] = {FAULT_NO_HTTP, FAULT_GARBAGE};

	suffer_all(v, faults, COUNT(faults));
}

static void check_half_body(struct validator *v)
{
	static const enum fault faults[] = {FAULT_HALF};

	suffer_all(v, faults, COUNT(faults));
}

static void check_server_errors(struct validator *v)
{
	static const enum fault faults[] = {FAULT_500, FAULT_503};

	suffer_all(v, faults, COUNT(faults));
}

/* --- redirects ---------------------------------------------------------------------------- */

/* What has come there must carry nothing by which somebody could be us. */
static void judge_trap(struct lab *lab)
{
	static const char *const fields[] = {"\r\nauthorization:", "\r\ncookie:", "\r\nx-auth"};
	const struct nova_parameter *const *p = lab->v->plugin->parameters;
	size_t bytes;
	const char *text = proxy_trapped(lab->proxy, &bytes);

	for (; p && *p && bytes; p++) {
		const char *secret = value_of(lab->v, (*p)->name);
		if ((*p)->type == NOVA_PARAM_SECRET && *secret &&
		    memmem(text, bytes, secret, strlen(secret)))
			fail(lab->v,
			     "it follows a redirect to another host, and sends the secret "
			     "`%s` there",
			     (*p)->name);
	}
	for (size_t i = 0; i < COUNT(fields) && bytes; i++)
		if (strcasestr(text, fields[i]))
			fail(lab->v,
			     "it follows a redirect to another host, and sends its header `%s` "
			     "there",
			     fields[i] + 2);
	if (bytes)
		note(lab->v, "it follows redirects, without credentials");
}

static void check_redirect(struct validator *v)
{
	struct target target;
	struct lab lab;

	if (!open_lab(&lab, v))
		return;
	for (uint32_t skip = 0; skip < REQUESTS && v->verdict == NOVA_VERDICT_PASSED; skip++) {
		struct nova_testhost *host = open_host(v, lab.given);
		if (!host)
			break;
		stage(v, "connect, where request %u is answered by a redirect", skip + 1);
		proxy_arm(lab.proxy, FAULT_REDIRECT, skip, UINT32_MAX);
		if (nova_testhost_call(host, BROKEN_MS, connect) == NOVA_DONE &&
		    proxy_hits(lab.proxy))
			note(v, "connect is done although request %u was redirected", skip + 1);
		close_host(v, host);
		judge_trap(&lab);
		end_fault(&lab);
	}
	if (v->verdict == NOVA_VERDICT_PASSED && open_through(&lab, &target)) {
		proxy_arm(lab.proxy, FAULT_REDIRECT, 0, UINT32_MAX);
		CALL(&target, vm_list, v->request->prefix);
		judge_trap(&lab);
		outage(&lab, &target, FAULT_REDIRECT);
		close_target(&target);
	}
	close_lab(&lab);
}

/* --- certificates ------------------------------------------------------------------------- */

static void refuse_identity(struct lab *lab, const char *whose)
{
	struct target target = {.v = lab->v, .host = open_host(lab->v, lab->given)};
	int64_t begin = now_ms();
	int status;

	if (!target.host)
		return;
	stage(lab->v, "connect to %s", whose);
	proxy_arm(lab->proxy, FAULT_NONE, 0, 0);
	status = nova_testhost_call(target.host, BROKEN_MS, connect);
	judge_deed(&target, "connect", status, begin, BROKEN_MS);
	if (status == NOVA_DONE)
		fail(lab->v, "it connects to a peer with %s", whose);
	else if (proxy_requests(lab->proxy))
		fail(lab->v, "it refuses a peer with %s only after it has sent a request to it",
		     whose);
	close_host(lab->v, target.host);
}

/* Somebody comes between while we are connected. */
static void change_identity(struct lab *lab)
{
	struct target target;
	int status;

	if (!open_through(lab, &target))
		return;
	proxy_identify(lab->proxy, IDENTITY_STRANGER);
	proxy_arm(lab->proxy, FAULT_NONE, 0, 0);
	stage(lab->v, "vm_list from a peer whose certificate has changed");
	status = nova_testhost_call(target.host, BROKEN_MS, vm_list, lab->v->request->prefix);
	if (status == NOVA_DONE || proxy_requests(lab->proxy))
		fail(lab->v, "it goes on with a peer whose certificate has become %s",
		     identity_names[IDENTITY_STRANGER]);
	proxy_identify(lab->proxy, IDENTITY_TRUE);
	count_vms(&target, lab->v->request->prefix);
	close_target(&target);
}

static void check_wrong_certificate(struct validator *v)
{
	static const char zeros[] = "fingerprint=00000000000000000000000000000000"
	                            "00000000000000000000000000000000";
	struct lab lab;

	if (!open_lab(&lab, v))
		return;
	for (int i = IDENTITY_TRUE + 1; i < IDENTITIES; i++) {
		proxy_identify(lab.proxy, (enum identity)i);
		refuse_identity(&lab, identity_names[i]);
	}
	proxy_identify(lab.proxy, IDENTITY_TRUE);
	if (declares(v, "fingerprint")) {
		redirect_parameters(&lab, zeros);
		refuse_identity(&lab, "another fingerprint");
		redirect_parameters(&lab, NULL);
	}
	if (v->verdict == NOVA_VERDICT_PASSED)
		change_identity(&lab);
	proxy_close(lab.proxy);
}

/* --- slowness ----------------------------------------------------------------------------- */

static void check_slow_bytes(struct validator *v)
{
	struct target target;
	struct made vm;
	struct lab lab;

	if (!open_lab(&lab, v))
		return;
	/* Slow, and not too slow: all is done. */
	proxy_arm(lab.proxy, FAULT_DRIBBLE, 0, UINT32_MAX);
	if (!open_through(&lab, &target))
		goto done;
	if (target.can[CAN_CREATE] && make_vm(&target, &vm)) {
		if (target.can[CAN_START])
			start_vm(&target, &vm);
		drop_vm(&target, &vm);
	}
	end_fault(&lab);
	meet_each(&lab, &target, FAULT_SLOW, SLOW_MS);
	close_target(&target);
done:
	close_lab(&lab);
}

#define DRIVER NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR)
#define ONLY   NOVA_CHECK_CONFORMANCE

const struct nova_validator_check network_checks[] = {
        {"peer-dies", DRIVER, ONLY, 100, "work",
         "a connection that breaks costs the op at most, and no order is sent twice",
         check_peer_dies},
        {"garbage", DRIVER, ONLY, 100, "work", "an answer that is none costs the op at most",
         check_garbage},
        {"half-body", DRIVER, ONLY, 60, "work", "half of an answer is not taken for one",
         check_half_body},
        {"server-errors", DRIVER, ONLY, 100, "work", "500 and 503 cost the op at most",
         check_server_errors},
        {"redirect", DRIVER, ONLY, 20, "work", "credentials never follow a redirect",
         check_redirect},
        {"wrong-certificate", DRIVER, ONLY, 10, "work",
         "a peer that cannot prove who it is gets no request", check_wrong_certificate},
        {"slow-bytes", DRIVER, ONLY, 60, "work",
         "slow answers are waited for up to the deadline, and no longer", check_slow_bytes},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
