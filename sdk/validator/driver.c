/* SPDX-License-Identifier: MIT */
/* Checks of drivers that are about the target as a whole: connecting, describing, the tour. */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the tour ----------------------------------------------------------------------------- */

void tour_driver(struct validator *v)
{
	struct target target;
	struct made vm;
	size_t from;

	if (!open_target(&target, v))
		return;
	if (!target.can[CAN_CREATE]) {
		note(v, "the target cannot create VMs: connected and described only");
	} else if (make_vm(&target, &vm)) {
		if (target.can[CAN_START] && start_vm(&target, &vm)) {
			from = nova_testhost_event_count(target.host);
			if (expect_done(&target, "vm_power OFF",
			                CALL(&target, vm_power, &vm.ref, NOVA_POWER_OFF)))
				expect_event(&target, &vm, from, NOVA_EVENT_STOPPED,
				             "vm_power OFF");
		}
		drop_vm(&target, &vm);
	}
	target.quiet = 1;
	close_target(&target);
}

/* --- connecting --------------------------------------------------------------------------- */

/* Targets that there cannot be. None of them reaches a network: no name, a reserved name (RFC
 * 2606), a port that nothing listens on. */
static const char *const nowhere[] = {"",
                                      "nowhere",
                                      "://",
                                      "https://",
                                      "https://127.0.0.1:1",
                                      "https://host.invalid:1/",
                                      "test:\xff\xfe",
                                      "a b\r\nc"};

static void connect_nowhere(struct validator *v, const char *const *parameters, const char *uri)
{
	struct nova_testhost *host = nova_testhost_new(v->plugin, parameters);
	int64_t begin;
	int status;

	if (!host)
		return;
	stage(v, "create and connect with uri=%s", uri);
	status = nova_testhost_start(host);
	if (status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "uri=\"%s\": create returns %s and says no reason", uri,
		     status_name(status));
	if (status == NOVA_DONE) {
		begin = now_ms();
		status = nova_testhost_call(host, 5000, connect);
		if (status == NOVA_DONE)
			note(v, "uri=\"%s\" connects", uri);
		else if (!nova_testhost_ended(host))
			fail(v,
			     "uri=\"%s\": connect did not end: %lld ms with a deadline of "
			     "5000",
			     uri, (long long)(now_ms() - begin));
		else if (status != NOVA_E_TIMEOUT && !*nova_testhost_error(host))
			fail(v, "uri=\"%s\": connect returns %s and says no reason", uri,
			     status_name(status));
	}
	close_host(v, host);
}

static void check_failed_connect(struct validator *v)
{
	const char *const *given = v->request->parameters;
	size_t count = 0;
	char uri[64];
	const char **all;

	if (!usable(v))
		return;
	while (given && given[count])
		count++;
	all = calloc(count + 2, sizeof(*all));
	if (!all)
		return;
	for (size_t i = 0; i < count; i++)
		all[i] = given[i];
	all[count] = uri;
	for (size_t i = 0; i < COUNT(nowhere); i++) {
		snprintf(uri, sizeof(uri), "uri=%s", nowhere[i]);
		connect_nowhere(v, all, nowhere[i]);
	}
	free(all);
}

static void check_connect(struct validator *v)
{
	struct target target;

	if (!open_target(&target, v))
		return;
	target.quiet = 1;
	close_target(&target);
}

/* --- describing --------------------------------------------------------------------------- */

/* Said at all, yes or no. */
static int mentioned(struct target *target, enum capability capability)
{
	const char *key, *text;

	for (uint32_t i = 0; i < nova_testhost_count(target->host, NOVA_FIELD_CAPABILITY); i++)
		if (nova_testhost_fact_at(target->host, NOVA_FIELD_CAPABILITY, i, &key, &text) ==
		            NOVA_DONE &&
		    strcmp(key, capability_names[capability]) == 0)
			return 1;
	return 0;
}

static void judge_keys(struct target *target)
{
	const char *key, *text, *other, *more;
	uint32_t count = nova_testhost_count(target->host, NOVA_FIELD_CAPABILITY);

	for (uint32_t i = 0; i < count; i++) {
		if (nova_testhost_fact_at(target->host, NOVA_FIELD_CAPABILITY, i, &key, &text) !=
		    NOVA_DONE)
			continue;
		if (text && !*text)
			fail(target->v, "capability %s is denied without a reason", key);
		for (uint32_t j = 0; j < i; j++)
			if (nova_testhost_fact_at(target->host, NOVA_FIELD_CAPABILITY, j, &other,
			                          &more) == NOVA_DONE &&
			    strcmp(key, other) == 0)
				fail(target->v, "capability %s is put twice", key);
	}
}

static void check_describe(struct validator *v)
{
	static const char *const facts[] = {"product", "version"};
	struct target target;
	const char *op;

	if (!open_target(&target, v))
		return;
	for (size_t i = 0; i < COUNT(facts); i++)
		if (!nova_testhost_fact(target.host, NOVA_FIELD_FACT, facts[i]))
			fail(v, "describe does not put the fact \"%s\"", facts[i]);
	if (nova_testhost_fact(target.host, NOVA_FIELD_FACT, "accel") &&
	    !nova_testhost_fact(target.host, NOVA_FIELD_FACT, "accel.why"))
		fail(v, "describe puts the fact \"accel\" without \"accel.why\"");
	for (int i = 0; i < CAPABILITIES; i++)
		if (!mentioned(&target, (enum capability)i))
			fail(v,
			     "describe says nothing of the capability %s: put it with NULL, or "
			     "with the reason why not",
			     capability_names[i]);
	judge_keys(&target);
	for (int i = 0; i < CAPABILITIES; i++) {
		op = missing_op(target.ops, (enum capability)i);
		if (op && nova_testhost_can(target.host, capability_names[i]))
			fail(v, "it says that it can %s, and its op %s is NULL",
			     capability_names[i], op);
	}
	close_target(&target);
}

/* --- what is left ------------------------------------------------------------------------- */

static void check_left(struct validator *v)
{
	struct target target;
	const char *name, *id;
	struct nova_ref ref;
	char kept[NAME_ROOM];
	int count;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_CREATE))
		goto done;
	count = count_vms(&target, v->request->prefix);
	if (count > 0)
		fail(v, "%d VM%s of the checks were left on the target", count,
		     count == 1 ? "" : "s");
	for (int tries = 0; count > 0 && tries < 1000; tries++) {
		if (count_vms(&target, v->request->prefix) <= 0 ||
		    nova_testhost_fact_at(target.host, NOVA_FIELD_VM, 0, &name, &id) != NOVA_DONE)
			break;
		snprintf(kept, sizeof(kept), "%s", name);
		ref = ref_to(kept);
		if (!expect_done(&target, "deleting one of them", CALL(&target, vm_delete, &ref)))
			break;
	}
done:
	close_target(&target);
}

#define DRIVER NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR)

const struct nova_validator_check connect_checks[] = {
        {"connect", DRIVER, 0, 2, "create",
         "it connects to the target that is given, and describes it", check_connect},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

const struct nova_validator_check driver_checks[] = {
        {"failed-connect", DRIVER, 0, 1, "create",
         "connecting to what is not there fails with a reason, and destroy follows",
         check_failed_connect},
        {"describe", DRIVER, 0, 2, "connect",
         "every capability is put, with a reason if it is lacking, and has its op", check_describe},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

/* After everything else. */
const struct nova_validator_check last_checks[] = {
        {"nothing-left", DRIVER, NOVA_CHECK_SWEEPS, 20, "connect",
         "what the checks created is gone from the target", check_left},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
