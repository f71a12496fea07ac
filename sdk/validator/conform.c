/* SPDX-License-Identifier: MIT */
/*
 * Checks that only conformance asks for: each op broken off in its middle, ops in the wrong order,
 * two at the same VM, foreign VMs beside a sweep, many VMs. What a network does is network.c's.
 */
#include "deed.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- broken off in the middle ------------------------------------------------------------- */

static int do_cancelled(struct target *target, const struct deed *deed, struct made *vm,
                        int64_t after_ms)
{
	struct canceller canceller = {.host = target->host, .after_ms = after_ms};
	pthread_t thread;
	int status;

	canceller.op = nova_testhost_begin(target->host, target->v->op_timeout_ms);
	if (pthread_create(&thread, NULL, cancel_later, &canceller) != 0)
		return nova_testhost_end(target->host, NOVA_E_INTERNAL);
	status = nova_testhost_end(target->host, deed->call(target, canceller.op, vm));
	pthread_join(thread, NULL);
	return status;
}

/* How long the deed takes when nothing disturbs it, ms; < 0: it fails, and the verdict is set. */
static int64_t measure_deed(struct target *target, const struct deed *deed)
{
	struct made vm;
	int64_t begin;
	int done;

	if (!prepare_deed(target, deed, &vm))
		return -1;
	stage(target->v, "%s", deed->name);
	begin = now_ms();
	done = expect_done(target, deed->name,
	                   do_deed(target, deed, &vm, target->v->op_timeout_ms));
	begin = now_ms() - begin;
	clear_deed(target, deed, &vm);
	return done ? begin : -1;
}

static void break_deed(struct target *target, const struct deed *deed, int64_t after_ms, int cancel)
{
	char what[160];
	struct made vm;
	int64_t begin;
	int status;

	snprintf(what, sizeof(what), "%s %s %lld ms", deed->name,
	         cancel ? "cancelled after" : "with a deadline of", (long long)after_ms);
	if (!prepare_deed(target, deed, &vm))
		return;
	stage(target->v, "%s", what);
	begin = now_ms();
	status = cancel ? do_cancelled(target, deed, &vm, after_ms)
	                : do_deed(target, deed, &vm, after_ms);
	judge_deed(target, what, status, begin, after_ms);
	if (target->v->verdict == NOVA_VERDICT_PASSED)
		clear_deed(target, deed, &vm);
}

/* At half, at a quarter and at nine tenths of what each op takes. */
static void break_each(struct validator *v, int cancel)
{
	static const int64_t parts[] = {50, 25, 90};
	const size_t moments = v->request->quick ? 1 : COUNT(parts);
	struct target target;
	uint32_t tried = 0;
	int64_t took;

	if (!open_target(&target, v))
		return;
	for (const struct deed *deed = deeds; deed->name; deed++) {
		if (!can_deed(&target, deed) || v->verdict != NOVA_VERDICT_PASSED)
			continue;
		took = measure_deed(&target, deed);
		for (size_t i = 0; took >= 0 && i < moments; i++)
			if (v->verdict == NOVA_VERDICT_PASSED)
				break_deed(&target, deed, took * parts[i] / 100, cancel);
		tried++;
	}
	note(v, "%u ops", tried);
	close_target(&target);
}

static void check_each_deadline(struct validator *v)
{
	break_each(v, 0);
}

static void check_each_cancelled(struct validator *v)
{
	break_each(v, 1);
}

/* --- the wrong order, and once more ------------------------------------------------------- */

/* Of an op that cannot be done now: not done, and a reason. */
static void expect_refusal(struct target *target, const char *what, int status)
{
	if (status == NOVA_DONE)
		fail(target->v, "%s is NOVA_DONE", what);
	else if (status > 0 || status < NOVA_E_UNKNOWN)
		fail(target->v, "%s returned %d, which is no status", what, status);
	else if (!*nova_testhost_error(target->host))
		fail(target->v, "%s: %s without a reason by host->error()", what,
		     status_name(status));
}

static void disorder_off(struct target *target, struct made *vm)
{
	static const char *const argv[] = {"true", NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};

	if (target->can[CAN_PAUSE])
		expect_refusal(target, "vm_power PAUSE of a VM that is off",
		               CALL(target, vm_power, &vm->ref, NOVA_POWER_PAUSE));
	if (target->can[CAN_RESET])
		expect_refusal(target, "vm_power RESET of a VM that is off",
		               CALL(target, vm_power, &vm->ref, NOVA_POWER_RESET));
	if (target->can[CAN_EXEC])
		expect_refusal(target, "exec in a VM that is off",
		               CALL(target, exec, &vm->ref, &exec));
	if (target->can[CAN_SNAPSHOT])
		expect_refusal(target, "snapshot RESTORE of one that never was",
		               CALL(target, snapshot, &vm->ref, "never", NOVA_SNAPSHOT_RESTORE));
	expect_refusal(target, "vm_power of no action",
	               CALL(target, vm_power, &vm->ref, 4000000000u));
	expect_state(target, vm, NOVA_STATE_OFF);
}

static void disorder_running(struct target *target, struct made *vm)
{
	if (!start_vm(target, vm))
		return;
	CALL(target, vm_power, &vm->ref, NOVA_POWER_START); /* done or refused, but nothing else */
	expect_state(target, vm, NOVA_STATE_RUNNING);
	if (target->can[CAN_PAUSE]) {
		CALL(target, vm_power, &vm->ref, NOVA_POWER_RESUME);
		expect_state(target, vm, NOVA_STATE_RUNNING);
	}
}

static void check_wrong_order(struct validator *v)
{
	struct target target;
	struct made vm;

	if (!open_target(&target, v))
		return;
	if (demand(&target, CAN_CREATE) && make_vm(&target, &vm)) {
		disorder_off(&target, &vm);
		if (target.can[CAN_START])
			disorder_running(&target, &vm);
		drop_vm(&target, &vm);
		if (target.can[CAN_START])
			expect_status(&target, "vm_power START after vm_delete",
			              CALL(&target, vm_power, &vm.ref, NOVA_POWER_START),
			              NOVA_E_NOT_FOUND);
	}
	close_target(&target);
}

static void check_again(struct validator *v)
{
	struct target target;
	struct made vm;
	char name[NAME_ROOM];

	if (!open_target(&target, v))
		return;
	new_name(v, name);
	if (target.can[CAN_NETWORK])
		expect_done(&target, "net_delete of a network that never was",
		            CALL(&target, net_delete, name));
	if (target.can[CAN_IMAGE])
		expect_done(&target, "image_delete of an image that never was",
		            CALL(&target, image_delete, name));
	if (demand(&target, CAN_CREATE) && make_vm(&target, &vm)) {
		for (int i = 0; i < 2 && target.can[CAN_START]; i++)
			expect_done(&target, "vm_power OFF of a VM that is off",
			            CALL(&target, vm_power, &vm.ref, NOVA_POWER_OFF));
		for (int i = 0; i < 3; i++)
			drop_vm(&target, &vm);
		if (count_vms(&target, vm.name) > 0)
			fail(v, "a VM that was deleted is still there");
	}
	close_target(&target);
}

/* --- two at the same VM ------------------------------------------------------------------- */

struct racer {
	struct target *target;
	const struct nova_ref *ref;
	const char *name;
	int (*run)(struct racer *racer);
	int status, silent, ended;
};

static void *race(void *context)
{
	struct racer *racer = context;
	struct nova_testhost *host = racer->target->host;

	racer->status = racer->run(racer);
	racer->silent = !*nova_testhost_error(host); /* the calling thread's last op */
	racer->ended = nova_testhost_ended(host);
	return NULL;
}

#define RACE_OP(name, ...)                                                                         \
	static int race_##name(struct racer *r)                                                    \
	{                                                                                          \
		return nova_testhost_call(r->target->host, r->target->v->op_timeout_ms,            \
		                          __VA_ARGS__);                                            \
	}
RACE_OP(create, vm_create, r->name, &r->target->shape)
RACE_OP(start, vm_power, r->ref, NOVA_POWER_START)
RACE_OP(off, vm_power, r->ref, NOVA_POWER_OFF)
RACE_OP(delete, vm_delete, r->ref)

/* Both ops at once; each must end, with a reason if it fails. */
static void race_two(struct target *target, const char *what, struct racer racers[2])
{
	pthread_t threads[2];
	int running[2];

	stage(target->v, "%s at once", what);
	for (int i = 0; i < 2; i++)
		running[i] = pthread_create(&threads[i], NULL, race, &racers[i]) == 0;
	for (int i = 0; i < 2; i++) {
		if (!running[i])
			continue;
		pthread_join(threads[i], NULL);
		if (!racers[i].ended)
			fail(target->v, "%s at once: one had not ended 5 s after its deadline",
			     what);
		else if (racers[i].status != NOVA_DONE && racers[i].silent)
			fail(target->v, "%s at once: %s without a reason by host->error()", what,
			     status_name(racers[i].status));
	}
}

static void race_creates(struct target *target)
{
	char name[NAME_ROOM] = "";
	struct nova_ref ref = ref_to(name);
	struct racer racers[2];
	int count;

	new_name(target->v, name);
	for (int i = 0; i < 2; i++)
		racers[i] = (struct racer){.target = target, .name = name, .run = race_create};
	race_two(target, "two vm_create of one name", racers);
	if (racers[0].status == NOVA_DONE && racers[1].status == NOVA_DONE)
		fail(target->v, "two vm_create of one name are both NOVA_DONE");
	count = count_vms(target, name);
	if (count > 1)
		fail(target->v, "two vm_create of one name at once make %d VMs", count);
	if (count == 0 && (racers[0].status == NOVA_DONE || racers[1].status == NOVA_DONE))
		fail(target->v,
		     "one of two vm_create of one name is NOVA_DONE, and there is no VM");
	for (int i = 0; i < count; i++)
		expect_done(target, "vm_delete", CALL(target, vm_delete, &ref));
	if (count_vms(target, name) > 0)
		fail(target->v, "what two vm_create of one name made cannot be deleted");
}

static void race_on_vm(struct target *target, const char *what, int (*one)(struct racer *),
                       int (*other)(struct racer *))
{
	struct made vm;

	if (!make_vm(target, &vm))
		return;
	struct racer racers[2] = {{.target = target, .ref = &vm.ref, .run = one},
	                          {.target = target, .ref = &vm.ref, .run = other}};
	race_two(target, what, racers);
	for (int i = 0; i < 2 && one == race_delete && other == race_delete; i++)
		if (racers[i].status != NOVA_DONE && racers[i].status != NOVA_E_BUSY)
			fail(target->v, "of two vm_delete of one VM at once one ends with %s",
			     status_name(racers[i].status));
	drop_vm(target, &vm);
	if (count_vms(target, vm.name) > 0)
		fail(target->v, "after %s at once the VM cannot be deleted", what);
}

static void check_same_at_once(struct validator *v)
{
	struct target target;

	if (!open_target(&target, v))
		return;
	if (demand(&target, CAN_CREATE)) {
		race_creates(&target);
		race_on_vm(&target, "two vm_delete", race_delete, race_delete);
		if (target.can[CAN_START]) {
			race_on_vm(&target, "START and vm_delete", race_start, race_delete);
			race_on_vm(&target, "START and OFF", race_start, race_off);
		}
	}
	close_target(&target);
}

/* --- foreign VMs -------------------------------------------------------------------------- */

#define FOREIGN 4

/* A VM of that very name, running if that is possible. */
static int make_named(struct target *target, struct made *vm)
{
	const char *id;

	vm->ref = ref_to(vm->name);
	if (!expect_done(target, "vm_create", CALL(target, vm_create, vm->name, &target->shape)))
		return 0;
	id = nova_testhost_fact(target->host, NOVA_FIELD_ID, "");
	if (id && *id) {
		snprintf(vm->id, sizeof(vm->id), "%s", id);
		vm->ref.id = vm->id;
	}
	return !target->can[CAN_START] || start_vm(target, vm);
}

/* As novacore sweeps: what the list says, by name and id. */
static void sweep_prefix(struct target *target, const char *prefix)
{
	char names[FOREIGN * 4][NAME_ROOM], ids[FOREIGN * 4][NAME_ROOM];
	const char *name, *id;
	int count = count_vms(target, prefix);

	for (int i = 0; i < count && i < FOREIGN * 4; i++) {
		nova_testhost_fact_at(target->host, NOVA_FIELD_VM, (uint32_t)i, &name, &id);
		snprintf(names[i], NAME_ROOM, "%s", name);
		snprintf(ids[i], NAME_ROOM, "%s", id ? id : "");
	}
	for (int i = 0; i < count && i < FOREIGN * 4; i++) {
		struct nova_ref ref = ref_to(names[i]);
		ref.id = ids[i][0] ? ids[i] : NULL;
		expect_done(target, "vm_delete in a sweep", CALL(target, vm_delete, &ref));
	}
}

/* A stranger's VM may have got the name that was ours: the id is another. */
static void try_stolen_name(struct target *target, const struct made *foreign)
{
	struct made ours;
	struct nova_ref mixed = foreign->ref;
	int status;

	if (!foreign->id[0] || !make_vm(target, &ours))
		return;
	drop_vm(target, &ours);
	mixed.id = ours.id;
	if (!ours.id[0] || strcmp(ours.id, foreign->id) == 0)
		return;
	status = CALL(target, vm_delete, &mixed);
	if (status != NOVA_DONE && status != NOVA_E_REFUSED && status != NOVA_E_NOT_FOUND)
		fail(target->v, "vm_delete of a name whose id was another VM's: %s",
		     status_name(status));
}

static void check_sweep_foreign(struct validator *v)
{
	/* What is foreign begins with the checks' own prefix all the same, so that whatever
	 * happens it is found and deleted by `nothing-left`. */
	static const char *const foreign[FOREIGN] = {"sweeb-1", "sweep1", "sweep", "x-sweep-1"};
	struct made others[FOREIGN], ours[2];
	char prefix[NAME_ROOM - 16];
	struct target target;
	int made = 0;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_CREATE))
		goto done;
	memset(others, 0, sizeof(others));
	memset(ours, 0, sizeof(ours));
	snprintf(prefix, sizeof(prefix), "%ssweep-", v->request->prefix);
	for (; made < FOREIGN; made++) {
		snprintf(others[made].name, NAME_ROOM, "%s%s", v->request->prefix, foreign[made]);
		if (!make_named(&target, &others[made]))
			break;
	}
	for (int i = 0; i < 2 && made == FOREIGN; i++) {
		snprintf(ours[i].name, NAME_ROOM, "%s%d", prefix, i + 1);
		make_named(&target, &ours[i]);
	}
	if (made == FOREIGN) {
		sweep_prefix(&target, prefix);
		if (count_vms(&target, prefix) > 0)
			fail(v, "after a sweep of \"%s\" there are VMs of that prefix", prefix);
		try_stolen_name(&target, &others[0]);
	}
	for (int i = 0; i < made; i++) {
		expect_state(&target, &others[i],
		             target.can[CAN_START] ? NOVA_STATE_RUNNING : NOVA_STATE_OFF);
		drop_vm(&target, &others[i]);
	}
done:
	close_target(&target);
}

/* --- many --------------------------------------------------------------------------------- */

#define LANES 16

struct crowd {
	struct target *target;
	struct made *vms;
	uint32_t count, next, failed;
	pthread_mutex_t lock;
	const char *what;
	int (*one)(struct crowd *crowd, struct made *vm);
};

static int crowd_create(struct crowd *crowd, struct made *vm)
{
	return nova_testhost_call(crowd->target->host, crowd->target->v->op_timeout_ms, vm_create,
	                          vm->name, &crowd->target->shape);
}

static int crowd_start(struct crowd *crowd, struct made *vm)
{
	struct nova_testhost *host = crowd->target->host;
	int status = nova_testhost_call(host, crowd->target->v->op_timeout_ms, vm_power, &vm->ref,
	                                NOVA_POWER_START);

	if (status != NOVA_DONE)
		return status;
	return nova_testhost_wait(host, 0, vm->name, NOVA_EVENT_RUNNING,
	                          crowd->target->v->op_timeout_ms)
	               ? NOVA_DONE
	               : NOVA_E_TIMEOUT;
}

static int crowd_delete(struct crowd *crowd, struct made *vm)
{
	return nova_testhost_call(crowd->target->host, crowd->target->v->op_timeout_ms, vm_delete,
	                          &vm->ref);
}

static void *walk(void *context)
{
	struct crowd *crowd = context;
	struct made *vm;
	int status;

	for (;;) {
		pthread_mutex_lock(&crowd->lock);
		vm = crowd->next < crowd->count ? &crowd->vms[crowd->next++] : NULL;
		pthread_mutex_unlock(&crowd->lock);
		if (!vm)
			return NULL;
		status = crowd->one(crowd, vm);
		if (status == NOVA_DONE)
			continue;
		pthread_mutex_lock(&crowd->lock);
		if (crowd->failed++ == 0)
			fail(crowd->target->v, "%s of %.60s: %s: %s", crowd->what, vm->name,
			     status_name(status), nova_testhost_error(crowd->target->host));
		pthread_mutex_unlock(&crowd->lock);
	}
}

/* All of them, LANES at a time. Returns whether all went well. */
static int crowd_do(struct crowd *crowd, const char *what,
                    int (*one)(struct crowd *crowd, struct made *vm))
{
	pthread_t threads[LANES];
	int running[LANES];

	stage(crowd->target->v, "%s of %u VMs", what, crowd->count);
	crowd->what = what;
	crowd->one = one;
	crowd->next = crowd->failed = 0;
	for (int i = 0; i < LANES; i++)
		running[i] = pthread_create(&threads[i], NULL, walk, crowd) == 0;
	for (int i = 0; i < LANES; i++)
		if (running[i])
			pthread_join(threads[i], NULL);
	if (crowd->failed)
		fail(crowd->target->v, "%s failed for %u of %u VMs", what, crowd->failed,
		     crowd->count);
	return !crowd->failed;
}

static void expect_count(struct target *target, const char *prefix, uint32_t wanted)
{
	int count = count_vms(target, prefix);

	if (count >= 0 && (uint32_t)count != wanted)
		fail(target->v, "vm_list shows %d VMs where there are %u", count, wanted);
}

static void check_many_vms(struct validator *v)
{
	struct crowd crowd = {.count = v->request->vms ? v->request->vms : 200};
	char prefix[NAME_ROOM];
	struct target target;

	if (!open_target(&target, v))
		return;
	crowd.target = &target;
	crowd.vms = calloc(crowd.count, sizeof(*crowd.vms));
	pthread_mutex_init(&crowd.lock, NULL);
	if (!crowd.vms || !demand(&target, CAN_CREATE))
		goto done;
	snprintf(prefix, sizeof(prefix), "%smany-", v->request->prefix);
	for (uint32_t i = 0; i < crowd.count; i++) {
		snprintf(crowd.vms[i].name, NAME_ROOM, "%smany-%u", v->request->prefix, i + 1);
		crowd.vms[i].ref = ref_to(crowd.vms[i].name);
	}
	if (crowd_do(&crowd, "vm_create", crowd_create)) {
		expect_count(&target, prefix, crowd.count);
		if (target.can[CAN_START])
			crowd_do(&crowd, "vm_power START", crowd_start);
	}
	crowd_do(&crowd, "vm_delete", crowd_delete);
	expect_count(&target, prefix, 0);
	note(v, "%u VMs", crowd.count);
done:
	pthread_mutex_destroy(&crowd.lock);
	free(crowd.vms);
	close_target(&target);
}

/* --- sessions ----------------------------------------------------------------------------- */

static void check_session_expired(struct validator *v)
{
	struct target target;
	struct made vm;
	char why[300];

	if (!v->request->expire) {
		untried(v, "how a session ends is the hypervisor's own: give a command that ends "
		           "all of them, --expire-session COMMAND");
		return;
	}
	if (!open_target(&target, v))
		return;
	for (int i = 0; i < 2; i++) {
		stage(v, "the command that ends sessions");
		if (v->request->expire(v->request->context, why, sizeof(why)) != NOVA_DONE) {
			untried(v, "no session could be ended: %s", why);
			break;
		}
		/* once with something that only reads, once with an order */
		if (i == 0)
			count_vms(&target, v->request->prefix);
		else if (demand(&target, CAN_CREATE) && make_vm(&target, &vm))
			drop_vm(&target, &vm);
	}
	close_target(&target);
}

#define DRIVER NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR)
#define ONLY   NOVA_CHECK_CONFORMANCE

const struct nova_validator_check conformance_checks[] = {
        {"again", DRIVER, ONLY, 12, "work", "what was done already is done again without harm",
         check_again},
        {"vm-wrong-order", DRIVER, ONLY, 20, "work",
         "what cannot be done now is refused with a reason, and changes nothing",
         check_wrong_order},
        {"same-at-once", DRIVER, ONLY, 24, "work",
         "two ops at the same VM both end, and leave one VM or none", check_same_at_once},
        {"each-deadline", DRIVER, ONLY, 300, "work",
         "a deadline in the middle of each op ends it, and leaves nothing that cannot be deleted",
         check_each_deadline},
        {"each-cancelled", DRIVER, ONLY, 300, "work",
         "each op that is cancelled in its middle ends, and leaves nothing that cannot be deleted",
         check_each_cancelled},
        {"session-expired", DRIVER, ONLY, 6, "work",
         "a session that has ended is renewed, and the op goes on", check_session_expired},
        {"sweep-foreign", DRIVER, ONLY, 40, "work",
         "a sweep deletes what carries the prefix, and no VM beside it", check_sweep_foreign},
        {"many-vms", DRIVER, ONLY, 60, "work",
         "many VMs are made, listed completely, started and deleted", check_many_vms},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};

/* --- the table of cases ------------------------------------------------------------------- */

static const struct nova_conformance_topic topics[] = {
        {"a VM's whole life",
         "connect describe work vm-list vm-query vm-events vm-name-only vm-power vm-pause vm-reset "
         "vm-shutdown vm-delete-running snapshot clone exec knobs image network twin migrate"},
        {"idempotence", "vm-delete-absent again"},
        {"wrong order", "vm-wrong-order vm-wrong-reference"},
        {"two at once", "many-at-once same-at-once"},
        {"deadlines", "connect-deadline deadline each-deadline"},
        {"cancellation", "cancel each-cancelled"},
        {"a failing peer", "failed-connect peer-dies garbage half-body server-errors redirect "
                           "wrong-certificate slow-bytes"},
        {"sessions", "session-expired"},
        {"name collision", "vm-create-twice"},
        {"hostile names", "vm-hostile-names"},
        {"sweeping", "sweep-foreign"},
        {"many VMs", "many-vms"},
        {"afterwards", "nothing-left"},
        {NULL, NULL}};

const struct nova_conformance_topic *nova_conformance_topics(void)
{
	return topics;
}
