/* SPDX-License-Identifier: MIT */
/*
 * A small optimizer that keeps every promise; -DHOSTILE_<WHAT> breaks one. NAME is the plugin's
 * name.
 */
#include <novacore/sdk.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_(text) #text
#define TEXT(text)  TEXT_(text)

static int examine(const struct nova_host *host, const struct nova_view *view, nova_op op)
{
	char value[16];
	const struct nova_change change = {.struct_size = sizeof(change),
	                                   .when = NOVA_WHEN_LIVE,
#ifdef HOSTILE_OBJECT
	                                   .object = "everything",
#else
	                                   .object = "host",
#endif
	                                   .knob = "host.sysctl.vm.swappiness",
	                                   .from = value,
	                                   .to = "10"};
	const struct nova_change *const changes[] = {&change, NULL};
	const struct nova_proposal proposal = {.struct_size = sizeof(proposal),
	                                       .slug = "less-swapping",
#ifndef HOSTILE_NO_WHY
	                                       .why = "swapping slows VMs down",
#endif
	                                       .source = "proc(5)",
	                                       .changes = changes,
#ifdef HOSTILE_GAIN
	                                       .gain = 2,
#else
	                                       .gain = 0.1,
#endif
	                                       .gain_high = 0.2,
	                                       .confidence = 0.5};

#ifdef HOSTILE_APPLIES
	int fd = open("/proc/sys/kernel/domainname", O_WRONLY | O_CLOEXEC);
	(void)!write(fd, "hostile", 7);
	close(fd);
#endif
	if (view->knob(op, "host", "host.sysctl.vm.swappiness", value, sizeof(value)) != NOVA_DONE)
		return NOVA_DONE;
#ifdef HOSTILE_TRUSTS
	if (atoi(value) < 0)
		abort();
#endif
	(void)host;
	return strcmp(value, "10") == 0 ? NOVA_DONE : view->propose(op, &proposal);
}

static const struct nova_optimizer ops = {.struct_size = sizeof(ops), .examine = examine};

static const struct nova_plugin plugin = {.struct_size = sizeof(plugin),
                                          .kind = NOVA_KIND_OPTIMIZER,
                                          .thread_model = NOVA_THREADS_PARALLEL,
                                          .name = TEXT(NAME),
                                          .version = "1",
                                          .summary = "proposes to swap less",
                                          .license = "MIT",
                                          .ops = &ops};

NOVA_PLUGIN(NOVA_KIND_OPTIMIZER, plugin)
