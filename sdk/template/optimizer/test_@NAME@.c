/* SPDX-License-Identifier: @LICENSE@ */
/* The plugin in the test host of the SDK, where a knob is what the test says: <novacore/testhost.h>. */
#include <novacore/testhost.h>

#include <stdlib.h>
#include <string.h>

#define EXPECT NOVA_TESTHOST_EXPECT

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

/* How many proposals there are for a host with this vm.swappiness (NULL: without one). */
static uint32_t proposals(const char *swappiness)
{
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), NULL);
	const struct nova_proposal *proposal;
	uint32_t count;

	EXPECT(host && nova_testhost_start(host) == NOVA_DONE);
	if (swappiness)
		nova_testhost_set_knob(host, "host", "sysctl.vm.swappiness", swappiness);
	EXPECT(nova_testhost_examine(host, 1000) == NOVA_DONE);
	count = nova_testhost_proposal_count(host);
	proposal = nova_testhost_proposal(host, 0);
	if (proposal) {
		EXPECT(!strcmp(proposal->changes[0]->from, swappiness));
		EXPECT(atoi(proposal->changes[0]->to) < atoi(swappiness));
		EXPECT(*proposal->why && *proposal->source);
	}
	EXPECT(nova_testhost_complaints(host) == 0);
	nova_testhost_free(host);
	return count;
}

int main(void)
{
	EXPECT(proposals("60") == 1); /* the kernel's default */
	EXPECT(proposals("10") == 0);
	EXPECT(proposals("0") == 0);
	EXPECT(proposals(NULL) == 0);
	return 0;
}
