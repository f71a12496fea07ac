/* SPDX-License-Identifier: MIT */
/* Proposes a lower vm.swappiness for a host of VMs. An optimizer only looks and proposes; novacore
 * applies, measures before and after, and takes back. Contract: <novacore/optimizer.h>. */
#include <novacore/sdk.h>

#include <stdlib.h>

#define KNOB "sysctl.vm.swappiness"
#define WANTED 10 /* as tuned's profile virtual-host has it */

static int examine(const struct nova_host *host, const struct nova_view *view, nova_op op)
{
	char now[16];
	int status = view->knob(op, "host", KNOB, now, sizeof(now));

	if (status == NOVA_E_NOT_FOUND)
		return NOVA_DONE; /* this host has no such knob: nothing to say */
	if (status != NOVA_DONE)
		return host->error(op, status, "cannot read vm.swappiness of the host");
	if (atoi(now) <= WANTED)
		return NOVA_DONE; /* somebody has thought of it already */

	const struct nova_change change = {.struct_size = sizeof(change), .when = NOVA_WHEN_LIVE,
		.object = "host", .knob = KNOB, .from = now, .to = "10"};
	const struct nova_change *const changes[] = {&change, NULL};
	const struct nova_proposal proposal = {.struct_size = sizeof(proposal),
		.slug = "lower-swappiness", .changes = changes,
		.why = "the higher vm.swappiness, the more readily the kernel swaps out memory of VMs "
		       "to keep file pages, and a VM waits whenever it touches what was swapped out",
		.source = "Linux, Documentation/admin-guide/sysctl/vm.rst, swappiness; "
		          "tuned, profiles/virtual-host",
		.metric = "lifecycle.start.ready"}; /* to judge it by; gain 0: known once measured */
	return view->propose(op, &proposal);
}

static const struct nova_optimizer ops = {.struct_size = sizeof(ops), .examine = examine};
static const struct nova_plugin plugin = {.struct_size = sizeof(plugin), .ops = &ops,
	.kind = NOVA_KIND_OPTIMIZER, .thread_model = NOVA_THREADS_PARALLEL, .name = "old-optimizer",
	.version = "0.1", .license = "MIT",
	.summary = "Less swapping of VMs: a lower vm.swappiness"};
NOVA_PLUGIN(NOVA_KIND_OPTIMIZER, plugin)
