/* SPDX-License-Identifier: MIT */
/* One command to the QEMU guest agent, through libvirt, and its answer. */
#include "kvm.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The channel comes and goes (after a restore for about 2 s): wait for its next change or a moment.
 */
static void wait_channel(struct kvm *self, const char *name, int64_t until_ns)
{
	int64_t next = self->host->now_ns() + 50 * KVM_MS;
	if (next > until_ns)
		next = until_ns;
	struct timespec at = {.tv_sec = (time_t)(next / KVM_SECOND),
	                      .tv_nsec = (long)(next % KVM_SECOND)};
	pthread_mutex_lock(&self->lock);
	struct kvm_track *track = kvm_track(self, name);
	if (track)
		pthread_cond_timedwait(&self->changed, &self->lock, &at);
	pthread_mutex_unlock(&self->lock);
	if (!track)
		kvm_sleep_until(next);
}

/* "not connected" means that the command was not sent, so it may be sent again. */
static bool not_sent(void)
{
	const char *text = virGetLastErrorMessage();
	return virGetLastErrorCode() == VIR_ERR_AGENT_UNRESPONSIVE && text &&
	       strstr(text, "not connected");
}

int kvm_agent(struct kvm *self, nova_op op, virDomainPtr domain, json_t *command, json_t **answer)
{
	char *text = command ? json_dumps(command, JSON_COMPACT) : NULL;
	const char *name = virDomainGetName(domain);
	int most = (int)(kvm_number(self, "agent_timeout", 10 * KVM_SECOND) / KVM_SECOND);
	int64_t deadline = self->host->deadline_ns(op);
	int64_t patience = self->host->now_ns() + (int64_t)most * KVM_SECOND;
	char *reply = NULL;
	int status = NOVA_DONE;
	json_decref(command);
	if (!text)
		return self->host->error(op, NOVA_E_MEMORY, "out of memory");
	if (patience > deadline)
		patience = deadline;
	while (!reply && status == NOVA_DONE) {
		reply = virDomainQemuAgentCommand(domain, text, kvm_left_s(self, op, most), 0);
		if (reply)
			break;
		if (self->host->cancelled(op))
			status = NOVA_E_CANCELLED;
		else if (!not_sent() || self->host->now_ns() >= patience)
			status = kvm_fail(self, op, "talk to the guest agent of VM", name);
		else
			wait_channel(self, name, patience);
	}
	json_t *root = reply ? json_loads(reply, 0, NULL) : NULL;
	*answer = json_incref(json_object_get(root, "return"));
	if (status == NOVA_DONE && !*answer)
		status = self->host->errorf(
		        op, NOVA_E_PROTOCOL,
		        "the guest agent of VM %s answered what is not understood", name);
	json_decref(root);
	free(reply);
	free(text);
	return status;
}
