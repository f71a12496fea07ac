/* SPDX-License-Identifier: MIT */
/* The test host from C++. */
#include <novacore/testhost.h>

#include <memory>

#define EXPECT NOVA_TESTHOST_EXPECT

extern "C" const nova_plugin *nova_plugin_entry_v1(const nova_host *host);

int main()
{
	const char *parameters[] = {"label=x", nullptr};
	const std::unique_ptr<nova_testhost, decltype(&nova_testhost_free)> host(
	        nova_testhost_new(nova_plugin_entry_v1(nullptr), parameters), nova_testhost_free);

	EXPECT(host && nova_testhost_start(host.get()) == NOVA_DONE);
	EXPECT(nova_testhost_replicate(host.get(), 0, NOVA_SIDE_VM) == NOVA_DONE);
	const nova_sample *sample = nova_testhost_sample_of(host.get(), "cxx.off", 0);
	EXPECT(sample && sample->status == NOVA_SAMPLE_OK && sample->value > 0);
	EXPECT(nova_testhost_logged(host.get(), "label x"));
	EXPECT(nova_testhost_complaints(host.get()) == 0);
	return 0;
}
