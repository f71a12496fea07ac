/* SPDX-License-Identifier: MIT */
/* Power: start, graceful shutdown, pulling the plug, reset, pause. */
#include "bridge.h"

#include <string.h>
#include <time.h>

static bool is_off(virDomainPtr domain)
{
	int state = 0, reason = 0;
	return virDomainGetState(domain, &state, &reason, 0) == 0 &&
	       (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED);
}

static uint64_t stops_of(struct kvm *self, const char *name)
{
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	uint64_t stops = track ? track->stops : 0;
	pthread_mutex_unlock(&self->lock);
	return stops;
}

/* Until the VM has stopped once more or `until_ns`; the state is looked at now and then all the
 * same, since an event may be lost with a connection. */
static bool wait_stop(struct kvm *self, nova_op op, virDomainPtr domain, uint64_t stops,
                      int64_t until_ns)
{
	const char *name = virDomainGetName(domain);
	bool stopped = false;
	while (!stopped && !self->host->cancelled(op) && self->host->now_ns() < until_ns) {
		int64_t next = self->host->now_ns() + KVM_SECOND;
		if (next > until_ns)
			next = until_ns;
		struct timespec at = {.tv_sec = (time_t)(next / KVM_SECOND),
		                      .tv_nsec = (long)(next % KVM_SECOND)};
		pthread_mutex_lock(&self->lock);
		struct kvm_track *track = kvm_track(self, name);
		if (track && track->stops == stops)
			pthread_cond_timedwait(&self->changed, &self->lock, &at);
		track = kvm_track(self, name);
		stopped = track && track->stops != stops;
		pthread_mutex_unlock(&self->lock);
		stopped = stopped || is_off(domain);
	}
	return stopped;
}

/* A guest that is going down already answers neither its agent nor its button: give it this long.
 */
#define GOING_NS (2 * KVM_SECOND)

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * The agent is asked first: a guest without an ACPI daemon powers off only so. If it doesn't follow
 * within `shutdown_fallback`, or there is no agent, the power button is pressed. The agent may
 * report a failure because what it called was killed by the very shutdown that it began.
 */
static int shut_down(struct kvm *self, nova_op op, virDomainPtr domain)
{
	const struct nova_host *host = self->host;
	int64_t deadline = host->deadline_ns(op);
	int64_t patience = kvm_number(self, "shutdown_fallback", 10 * KVM_SECOND);
	const char *name = virDomainGetName(domain);
	uint64_t stops = stops_of(self, name);
	if (is_off(domain))
		return NOVA_DONE;
	bool asked = virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0;
	bool absent = !asked && virGetLastErrorCode() == VIR_ERR_AGENT_UNRESPONSIVE;
	if (!absent && wait_stop(self, op, domain, stops,
	                         earlier(host->now_ns() + (asked ? patience : GOING_NS), deadline)))
		return NOVA_DONE;
	if (host->cancelled(op))
		return NOVA_E_CANCELLED;
	if (virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) != 0) {
		virErrorPtr error = virSaveLastError();
		if (!wait_stop(self, op, domain, stops,
		               earlier(host->now_ns() + GOING_NS, deadline)))
			return kvm_fail_with(self, op, error, "shut down VM", name);
		virFreeError(error);
		return NOVA_DONE;
	}
	if (wait_stop(self, op, domain, stops, deadline))
		return NOVA_DONE;
	if (host->cancelled(op))
		return NOVA_E_CANCELLED;
	return host->errorf(
	        op, NOVA_E_TIMEOUT,
	        "VM %s did not power off in time: %s; look at its console, or pull the "
	        "plug",
	        name,
	        absent ? "it has no agent, and ignores the power button"
	               : "its agent took the command, the power button changed nothing");
}

static int power_off(struct kvm *self, nova_op op, virDomainPtr domain)
{
	if (is_off(domain) || virDomainDestroy(domain) == 0)
		return NOVA_DONE;
	virErrorPtr error = virSaveLastError();
	if (!is_off(domain))
		return kvm_fail_with(self, op, error, "power off VM", virDomainGetName(domain));
	virFreeError(error);
	return NOVA_DONE;
}

static int start(struct kvm *self, nova_op op, virDomainPtr domain)
{
	const char *name = virDomainGetName(domain);
	int status = self->local ? kvm_bridge_fit(self, op, domain) : NOVA_DONE;
	if (status != NOVA_DONE)
		return status;
	if (virDomainCreate(domain) != 0)
		return kvm_fail(self, op, "start VM", name);
	kvm_watch_process(self, name);
	return NOVA_DONE;
}

int kvm_vm_power(void *instance, nova_op op, const struct nova_ref *ref, uint32_t action)
{
	struct kvm *self = instance;
	virDomainPtr domain = NULL;
	int status = kvm_lookup(self, op, ref, &domain);
	if (status != NOVA_DONE)
		return status;
	switch (action) {
	case NOVA_POWER_START: status = start(self, op, domain); break;
	case NOVA_POWER_SHUTDOWN: status = shut_down(self, op, domain); break;
	case NOVA_POWER_OFF: status = power_off(self, op, domain); break;
	case NOVA_POWER_RESET:
		if (virDomainReset(domain, 0) != 0)
			status = kvm_fail(self, op, "reset VM", ref->name);
		break;
	case NOVA_POWER_PAUSE:
		if (virDomainSuspend(domain) != 0)
			status = kvm_fail(self, op, "pause VM", ref->name);
		break;
	case NOVA_POWER_RESUME:
		if (virDomainResume(domain) != 0)
			status = kvm_fail(self, op, "resume VM", ref->name);
		break;
	default:
		status = self->host->errorf(op, NOVA_E_INVALID, "there is no power action %u",
		                            (unsigned)action);
	}
	virDomainFree(domain);
	return status;
}
