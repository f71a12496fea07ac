/* SPDX-License-Identifier: MIT */
/* Checks of drivers about time: deadlines, cancellation, the pump, many calls at once. */
#include "target.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* --- deadlines ---------------------------------------------------------------------------- */

/* The op must have ended before the grace was over. */
static void judge_end(struct target *target, const char *what, int64_t timeout_ms, int64_t begin_ms)
{
	int64_t late = now_ms() - begin_ms - (timeout_ms > 0 ? timeout_ms : 0);

	if (!nova_testhost_ended(target->host) || late > NOVA_TESTHOST_GRACE_MS + SLACK_MS)
		fail(target->v,
		     "%s with a deadline of %lld ms had not ended 5 s after it: compare "
		     "host->deadline_ns(op), or end the op in `cancel`",
		     what, (long long)timeout_ms);
}

static void check_deadline(struct validator *v)
{
	static const int64_t timeouts[] = {-1000, 0, 1, 10, 50};
	struct target target;
	struct made vm;
	int64_t begin;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_CREATE))
		goto done;
	for (size_t i = 0; i < COUNT(timeouts) && v->verdict == NOVA_VERDICT_PASSED; i++) {
		memset(&vm, 0, sizeof(vm));
		new_name(v, vm.name);
		vm.ref = ref_to(vm.name);
		stage(v, "vm_create with a deadline of %lld ms", (long long)timeouts[i]);
		begin = now_ms();
		nova_testhost_call(target.host, timeouts[i], vm_create, vm.name, &target.shape);
		judge_end(&target, "vm_create", timeouts[i], begin);
		if (target.can[CAN_START] && v->verdict == NOVA_VERDICT_PASSED) {
			stage(v, "vm_power with a deadline of %lld ms", (long long)timeouts[i]);
			begin = now_ms();
			nova_testhost_call(target.host, timeouts[i], vm_power, &vm.ref,
			                   NOVA_POWER_START);
			judge_end(&target, "vm_power START", timeouts[i], begin);
		}
		if (v->verdict == NOVA_VERDICT_PASSED)
			drop_vm(&target, &vm);
	}
	/* Who timed out may have left something: a sweep finds and deletes it. */
	if (v->verdict == NOVA_VERDICT_PASSED && count_vms(&target, v->request->prefix) > 0)
		fail(v, "a VM whose vm_create had timed out cannot be deleted");
done:
	close_target(&target);
}

static void check_connect_deadline(struct validator *v)
{
	static const int64_t timeouts[] = {-1000, 1};
	struct nova_testhost *host;
	struct target target = {.v = v};
	int64_t begin;

	for (size_t i = 0; i < COUNT(timeouts); i++) {
		host = open_host(v, NULL);
		if (!host)
			return;
		target.host = host;
		target.ops = nova_testhost_ops(host);
		stage(v, "connect with a deadline of %lld ms", (long long)timeouts[i]);
		begin = now_ms();
		nova_testhost_call(host, timeouts[i], connect);
		judge_end(&target, "connect", timeouts[i], begin);
		close_host(v, host);
	}
}

/* --- cancellation ------------------------------------------------------------------------- */

void *cancel_later(void *context)
{
	struct canceller *canceller = context;

	sleep_ms(canceller->after_ms);
	nova_testhost_cancel(canceller->host, canceller->op);
	return NULL;
}

/* Cancels a vm_create or START in flight; says how long it took from then on. */
static void cancel_one(struct target *target, struct made *vm, int start, int64_t after_ms)
{
	struct canceller canceller = {.host = target->host, .after_ms = after_ms};
	int64_t begin;
	pthread_t thread;
	int status;

	stage(target->v, "cancel of %s after %lld ms", start ? "vm_power START" : "vm_create",
	      (long long)after_ms);
	canceller.op = nova_testhost_begin(target->host, target->v->op_timeout_ms);
	begin = now_ms();
	if (pthread_create(&thread, NULL, cancel_later, &canceller) != 0)
		return;
	status = start ? target->ops->vm_power(nova_testhost_self(target->host), canceller.op,
	                                       &vm->ref, NOVA_POWER_START)
	               : target->ops->vm_create(nova_testhost_self(target->host), canceller.op,
	                                        vm->name, &target->shape);
	status = nova_testhost_end(target->host, status);
	pthread_join(thread, NULL);
	if (!nova_testhost_ended(target->host) ||
	    now_ms() - begin > after_ms + NOVA_TESTHOST_GRACE_MS + SLACK_MS)
		fail(target->v, "%s had not ended 5 s after its cancellation",
		     start ? "vm_power START" : "vm_create");
	else if (status < 0 && status != NOVA_E_CANCELLED && status != NOVA_E_TIMEOUT &&
	         !*nova_testhost_error(target->host))
		fail(target->v, "a cancelled op returns %s and says no reason",
		     status_name(status));
}

static void check_cancel(struct validator *v)
{
	static const int64_t delays[] = {0, 1, 5, 20, 100};
	struct target target;
	struct made vm;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_CREATE))
		goto done;
	for (size_t i = 0; i < COUNT(delays) && v->verdict == NOVA_VERDICT_PASSED; i++) {
		memset(&vm, 0, sizeof(vm));
		new_name(v, vm.name);
		vm.ref = ref_to(vm.name);
		cancel_one(&target, &vm, 0, delays[i]);
		if (v->verdict == NOVA_VERDICT_PASSED)
			drop_vm(&target, &vm);
		if (!target.can[CAN_START] || v->verdict != NOVA_VERDICT_PASSED ||
		    !make_vm(&target, &vm))
			continue;
		cancel_one(&target, &vm, 1, delays[i]);
		if (v->verdict == NOVA_VERDICT_PASSED)
			drop_vm(&target, &vm);
	}
	if (v->verdict == NOVA_VERDICT_PASSED && count_vms(&target, v->request->prefix) > 0)
		fail(v, "a VM whose vm_create was cancelled cannot be deleted");
done:
	close_target(&target);
}

/* --- the pump ----------------------------------------------------------------------------- */

struct pumping {
	const struct nova_hypervisor *ops;
	void *self;
	int status;
	int64_t until_ns, took_ms;
};

static void *pump_once(void *context)
{
	struct pumping *pumping = context;
	int64_t begin = now_ms();

	pumping->status = pumping->ops->pump(pumping->self, pumping->until_ns);
	pumping->took_ms = now_ms() - begin;
	return NULL;
}

/* pump on a thread of its own for `ms`; `wake` after `wake_ms` (< 0: never, 0: before). */
static int64_t pump_for(struct validator *v, struct pumping *pumping, int64_t ms, int64_t wake_ms)
{
	pthread_t thread;

	pumping->until_ns = nova_testhost_table()->now_ns() + ms * 1000000;
	if (wake_ms == 0)
		pumping->ops->wake(pumping->self);
	if (pthread_create(&thread, NULL, pump_once, pumping) != 0)
		return 0;
	if (wake_ms > 0) {
		sleep_ms(wake_ms);
		pumping->ops->wake(pumping->self);
	}
	pthread_join(thread, NULL);
	if (pumping->status != NOVA_DONE)
		fail(v, "pump returned %s", status_name(pumping->status));
	return pumping->took_ms;
}

static void judge_pump(struct validator *v, struct pumping *pumping)
{
	stage(v, "pump for 200 ms");
	if (pump_for(v, pumping, 200, -1) > 200 + SLACK_MS)
		fail(v, "pump returned %lld ms after its beginning, it was to return after 200",
		     (long long)pumping->took_ms);
	stage(v, "pump until long ago");
	if (pump_for(v, pumping, -1000, -1) > SLACK_MS)
		fail(v, "pump with a time that has passed took %lld ms",
		     (long long)pumping->took_ms);
	if (!pumping->ops->wake) {
		note(v, "it has no wake: pumped in slices of 10 ms");
		return;
	}
	stage(v, "wake while pump waits");
	if (pump_for(v, pumping, 10000, 100) > 100 + SLACK_MS)
		fail(v, "wake did not make a waiting pump return soon");
	stage(v, "wake before pump");
	if (pump_for(v, pumping, 10000, 0) > SLACK_MS)
		fail(v, "wake before pump did not make the next pump return soon");
}

static void check_pump(struct validator *v)
{
	struct nova_testhost *host;
	struct pumping pumping;
	int status;

	if (!usable(v))
		return;
	pumping.ops = v->plugin->ops;
	if (!pumping.ops->pump) {
		note(v, "it has none: ops block, or end at once");
		if (v->plugin->thread_model != NOVA_THREADS_PARALLEL)
			note(v, "its thread model does not let ops block");
		return;
	}
	host = nova_testhost_new(v->plugin, v->request->parameters);
	if (!host) {
		untried(v, "%s; give values by --set NAME=VALUE", nova_testhost_refusal());
		return;
	}
	status = pumping.ops->create(nova_testhost_table(), nova_testhost_instance(host),
	                             &pumping.self);
	if (status != NOVA_DONE) {
		untried(v, "it says: %s (%s)", nova_testhost_error(host), status_name(status));
		nova_testhost_free(host);
		return;
	}
	judge_pump(v, &pumping);
	pumping.ops->destroy(pumping.self);
	close_host(v, host);
}

/* --- blocking ----------------------------------------------------------------------------- */

/* SERIAL and PER_INSTANCE: an op's call itself is short, the waiting is pump's. */
static void check_no_blocking(struct validator *v)
{
	struct target target;
	struct made vm;
	int64_t begin;
	nova_op op;
	int status;

	if (!usable(v))
		return;
	if (v->plugin->thread_model == NOVA_THREADS_PARALLEL) {
		note(v, "PARALLEL: its ops may block");
		return;
	}
	if (!open_target(&target, v))
		return;
	if (demand(&target, CAN_CREATE) && make_vm(&target, &vm)) {
		if (target.can[CAN_START]) {
			op = nova_testhost_begin(target.host, v->op_timeout_ms);
			begin = now_ms();
			status = target.ops->vm_power(nova_testhost_self(target.host), op, &vm.ref,
			                              NOVA_POWER_START);
			if (now_ms() - begin > 1000)
				fail(v,
				     "the call of vm_power START took %lld ms: return "
				     "NOVA_PENDING and wait in pump",
				     (long long)(now_ms() - begin));
			expect_done(&target, "vm_power START",
			            nova_testhost_end(target.host, status));
		}
		drop_vm(&target, &vm);
	}
	close_target(&target);
}

/* --- many at once ------------------------------------------------------------------------- */

#define LIVES_AT_ONCE 6

struct life {
	struct target *target;
	struct made vm;
	pthread_t thread;
	const char *failed;
	int status, running;
};

static int step(struct life *life, const char *what, int status)
{
	if (status == NOVA_DONE)
		return 1;
	life->failed = what;
	life->status = status;
	return 0;
}

static void *live(void *context)
{
	struct life *life = context;
	struct nova_testhost *host = life->target->host;
	int64_t ms = life->target->v->op_timeout_ms;

	if (step(life, "vm_create",
	         nova_testhost_call(host, ms, vm_create, life->vm.name, &life->target->shape)) &&
	    life->target->can[CAN_START] &&
	    step(life, "vm_power START",
	         nova_testhost_call(host, ms, vm_power, &life->vm.ref, NOVA_POWER_START)))
		step(life, "vm_power OFF",
		     nova_testhost_call(host, ms, vm_power, &life->vm.ref, NOVA_POWER_OFF));
	if (!life->failed)
		step(life, "vm_delete", nova_testhost_call(host, ms, vm_delete, &life->vm.ref));
	else
		nova_testhost_call(host, ms, vm_delete, &life->vm.ref);
	return NULL;
}

static void check_many(struct validator *v)
{
	struct life lives[LIVES_AT_ONCE];
	struct target target;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_CREATE))
		goto done;
	stage(v, "%d VMs at once", LIVES_AT_ONCE);
	memset(lives, 0, sizeof(lives));
	for (int i = 0; i < LIVES_AT_ONCE; i++) {
		lives[i].target = &target;
		new_name(v, lives[i].vm.name);
		lives[i].vm.ref = ref_to(lives[i].vm.name);
		lives[i].running = pthread_create(&lives[i].thread, NULL, live, &lives[i]) == 0;
	}
	for (int i = 0; i < LIVES_AT_ONCE; i++) {
		if (!lives[i].running)
			continue;
		pthread_join(lives[i].thread, NULL);
		if (lives[i].failed)
			fail(v, "with %d VMs at once, %s ended with %s", LIVES_AT_ONCE,
			     lives[i].failed, status_name(lives[i].status));
	}
	if (count_vms(&target, v->request->prefix) > 0)
		fail(v, "after %d VMs at once some are left", LIVES_AT_ONCE);
done:
	close_target(&target);
}

#define DRIVER NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR)

const struct nova_validator_check time_checks[] = {
        {"pump", DRIVER, 0, 1, "create", "pump returns in time, and wake makes it return",
         check_pump},
        {"connect-deadline", DRIVER, 0, 2, "!connect create",
         "connect ends within 5 s after its deadline", check_connect_deadline},
        {"deadline", DRIVER, 0, 8, "work",
         "ops end within 5 s after their deadline, also when it has passed before", check_deadline},
        {"cancel", DRIVER, 0, 10, "work", "ops end within 5 s after they were cancelled",
         check_cancel},
        {"no-blocking", DRIVER, 0, 4, "work", "ops do not block unless the plugin is PARALLEL",
         check_no_blocking},
        {"many-at-once", DRIVER, 0, 6, "work", "several VMs live at the same time", check_many},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
