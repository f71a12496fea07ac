/* SPDX-License-Identifier: MIT */
/* The test host from C++: its header compiles, its functions link, and a failed expectation ends
 * the program. */
#include <novacore/testhost.h>

#include <sys/wait.h>
#include <unistd.h>

namespace
{

int settings(const nova_host *host, nova_op op, const char *workload)
{
	return host->put_fact(op, NOVA_FIELD_FACT, "run.workload", workload);
}

} // namespace

int main()
{
	nova_profile ops{};
	nova_plugin plugin{};
	int ended = 0;

	ops.struct_size = sizeof(ops);
	ops.settings = "";
	ops.adapt = settings;
	plugin.struct_size = sizeof(plugin);
	plugin.kind = NOVA_KIND_PROFILE;
	plugin.thread_model = NOVA_THREADS_PARALLEL;
	plugin.name = "fake";
	plugin.ops = &ops;

	nova_testhost *host = nova_testhost_new(&plugin, nullptr);
	NOVA_TESTHOST_EXPECT(host != nullptr);
	NOVA_TESTHOST_EXPECT(nova_testhost_start(host) == NOVA_DONE);
	NOVA_TESTHOST_EXPECT(nova_testhost_adapt(host, "ml", 1000) == NOVA_DONE);
	NOVA_TESTHOST_EXPECT(nova_testhost_fact(host, NOVA_FIELD_FACT, "run.workload") != nullptr);
	NOVA_TESTHOST_EXPECT(nova_testhost_complaints(host) == 0);
	nova_testhost_free(host);

	const pid_t child = fork();
	if (child == 0) {
		NOVA_TESTHOST_EXPECT(1 + 1 == 3);
		_exit(0);
	}
	NOVA_TESTHOST_EXPECT(waitpid(child, &ended, 0) == child);
	NOVA_TESTHOST_EXPECT(WIFEXITED(ended) && WEXITSTATUS(ended) == 1);
	return 0;
}
