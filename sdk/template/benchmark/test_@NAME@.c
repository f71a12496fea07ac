/* SPDX-License-Identifier: @LICENSE@ */
/* The plugin in the test host of the SDK, where VMs and time are simulated: <novacore/testhost.h>. */
#include <novacore/testhost.h>

#define EXPECT NOVA_TESTHOST_EXPECT

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

/* One replicate after `exec` was told to go so; its sample. */
static const struct nova_sample *measure(struct nova_testhost *host, int status, int64_t latency_ns)
{
	EXPECT(nova_testhost_script(host, "exec", status, latency_ns, 1) == NOVA_DONE);
	EXPECT(nova_testhost_replicate(host, 0, NOVA_SIDE_VM) == NOVA_DONE);
	return nova_testhost_sample_of(host, "@NAME@.run", nova_testhost_sample_count(host) - 1);
}

int main(void)
{
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), NULL);
	const struct nova_sample *sample;

	EXPECT(host && nova_testhost_start(host) == NOVA_DONE);

	/* the time of the program, and nothing of the VM's start */
	sample = measure(host, NOVA_DONE, 5000000);
	EXPECT(sample && sample->status == NOVA_SAMPLE_OK);
	EXPECT(sample->value > 0.0049 && sample->value < 0.0051);

	/* what did not end well is counted, and is no measurement */
	sample = measure(host, NOVA_E_FAILED, 0);
	EXPECT(sample && sample->status == NOVA_SAMPLE_FAILED);
	sample = measure(host, NOVA_E_TIMEOUT, 0);
	EXPECT(sample && sample->status == NOVA_SAMPLE_TIMED_OUT);
	nova_testhost_script_exec(host, "true", "", 1); /* its exit status from now on */
	sample = measure(host, NOVA_DONE, 0);
	EXPECT(sample && sample->status == NOVA_SAMPLE_FAILED);
	EXPECT(nova_testhost_attempts(host, NOVA_SAMPLE_OK) == 1);
	EXPECT(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED) == 2);

	EXPECT(nova_testhost_complaints(host) == 0);
	nova_testhost_free(host);
	return 0;
}
