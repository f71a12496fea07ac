/* SPDX-License-Identifier: MIT */
/*
 * A benchmark in C++17: how long switching a VM off takes. One object per instance; the functions
 * of the table only lead to its members, and no exception leaves one of them.
 */
#include <novacore/sdk.h>

#include <memory>
#include <new>
#include <optional>
#include <string>

namespace
{

constexpr nova_metric metric() noexcept
{
	nova_metric off{};
	off.struct_size = sizeof(off);
	off.unit = NOVA_UNIT_SECOND;
	off.better = NOVA_BETTER_LOWER;
	off.revision = 1;
	off.name = "cxx.off";
	off.doc = "From the call that switches a running VM off to its return";
	return off;
}
constexpr nova_metric OFF = metric();
constexpr const nova_metric *METRICS[] = {&OFF, nullptr};
constexpr const char *NEEDS[] = {NOVA_CAN_CREATE, NOVA_CAN_START, nullptr};

constexpr nova_parameter parameter() noexcept
{
	nova_parameter label{};
	label.struct_size = sizeof(label);
	label.type = NOVA_PARAM_TEXT;
	label.name = "label";
	label.doc = "Put into the log, to see that texts arrive";
	label.fallback = "plain";
	return label;
}
constexpr nova_parameter LABEL = parameter();
constexpr const nova_parameter *PARAMETERS[] = {&LABEL, nullptr};

class Benchmark
{
      public:
	Benchmark(const nova_host &host, const nova_lab &lab, nova_run run) : lab(lab)
	{
		const char *label = host.param_text(run, "label", 0);
		const std::string text = std::string("label ") + (label ? label : "");

		host.log(run, NOVA_SAY_DEBUG, text.c_str());
	}

	int replicate(nova_run run) const
	{
		nova_sample sample{};
		int status = off(run, sample);

		if (status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED)
			return status;
		sample.struct_size = sizeof(sample);
		sample.metric = OFF.name;
		sample.status = status == NOVA_DONE        ? NOVA_SAMPLE_OK
		                : status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT
		                                           : NOVA_SAMPLE_FAILED;
		status = lab.sample(run, &sample);
		return status ? status : lab.attempt(run, sample.status);
	}

      private:
	int off(nova_run run, nova_sample &sample) const
	{
		int status = lab.vm_create(run, 0, nullptr, 0, &sample.vm);

		if (status == NOVA_DONE)
			status = lab.vm_power(run, sample.vm, NOVA_POWER_START, 0);
		if (status == NOVA_DONE)
			status = lab.vm_power(run, sample.vm, NOVA_POWER_OFF, 0);
		if (status != NOVA_DONE)
			return status;
		const std::optional<int64_t> from = stamp(run, sample.vm, NOVA_FIELD_STARTED_NS);
		const std::optional<int64_t> to = stamp(run, sample.vm, NOVA_FIELD_RETURNED_NS);
		if (!from || !to)
			return NOVA_E_INTERNAL;
		sample.value = static_cast<double>(*to - *from) / 1e9;
		sample.t_ns = *to;
		return NOVA_DONE;
	}

	std::optional<int64_t> stamp(nova_run run, nova_vm vm, uint32_t field) const
	{
		nova_result result{};

		result.struct_size = sizeof(result);
		if (lab.result(run, vm, field, 0, &result) != NOVA_DONE)
			return std::nullopt;
		return result.i64;
	}

	const nova_lab &lab;
};

int create(const nova_host *host, const nova_lab *lab, nova_run run, void **self) noexcept
try {
	*self = std::make_unique<Benchmark>(*host, *lab, run).release();
	return NOVA_DONE;
} catch (const std::bad_alloc &) {
	return host->error(run, NOVA_E_MEMORY, "out of memory");
}

int replicate(void *self, nova_run run, uint32_t, uint32_t) noexcept
{
	return static_cast<const Benchmark *>(self)->replicate(run);
}

void destroy(void *self) noexcept
{
	delete static_cast<Benchmark *>(self);
}

constexpr nova_benchmark table() noexcept
{
	nova_benchmark ops{};
	ops.struct_size = sizeof(ops);
	ops.targets_min = 1;
	ops.needs = NEEDS;
	ops.metrics = METRICS;
	ops.create = create;
	ops.replicate = replicate;
	ops.destroy = destroy;
	return ops;
}
constexpr nova_benchmark OPS = table();

constexpr nova_plugin descriptor() noexcept
{
	nova_plugin plugin{};
	plugin.struct_size = sizeof(plugin);
	plugin.kind = NOVA_KIND_BENCHMARK;
	plugin.thread_model = NOVA_THREADS_PARALLEL;
	plugin.name = "cxx";
	plugin.version = "0.2";
	plugin.summary = "How long switching a VM off takes, in C++";
	plugin.license = "MIT";
	plugin.parameters = PARAMETERS;
	plugin.ops = &OPS;
	return plugin;
}
constexpr nova_plugin PLUGIN = descriptor();

} // namespace

NOVA_PLUGIN(NOVA_KIND_BENCHMARK, PLUGIN)
