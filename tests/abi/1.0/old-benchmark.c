/* SPDX-License-Identifier: MIT */
/* How long a program in a VM takes. novacore repeats replicate(), drives the hypervisor, deletes the
 * VMs, and does the statistics. The contract: <novacore/benchmark.h>. */
#include <novacore/sdk.h>

static const struct nova_metric run = {.struct_size = sizeof(run), .revision = 1,
	.unit = NOVA_UNIT_SECOND, .better = NOVA_BETTER_LOWER, .name = "old-benchmark.run",
	.doc = "From the call that runs `true` in a ready VM to its end"};
static const struct nova_metric *const metrics[] = {&run, NULL};
static const char *const needs[] = {NOVA_CAN_START, NOVA_CAN_READY, NOVA_CAN_EXEC, NULL};
static const struct nova_lab *lab; /* all that a benchmark can do; the same for every instance */

static int create(const struct nova_host *host, const struct nova_lab *all, nova_run id, void **self)
{
	(void)host, (void)id, *self = NULL, lab = all; /* parameters would be asked of `host` */
	return NOVA_DONE;
}
static void destroy(void *self) { (void)self; }

/* One measurement, in a fresh VM. NULL and 0: shape and deadlines as they are configured. */
static int replicate(void *self, nova_run id, uint32_t index, uint32_t side)
{
	static const char *const argv[] = {"true", NULL};
	const struct nova_exec program = {.struct_size = sizeof(program), .argv = argv};
	struct nova_result from = {.struct_size = sizeof(from)}, to = from, code = from;
	struct nova_sample sample = {.struct_size = sizeof(sample), .metric = run.name};
	int status;
	(void)self, (void)index, (void)side;
	if (!(status = lab->vm_create(id, 0, NULL, 0, &sample.vm)) &&
	    !(status = lab->vm_power(id, sample.vm, NOVA_POWER_START, 0)) &&
	    !(status = lab->wait(id, sample.vm, NOVA_EVENT_READY, 0, NULL)) &&
	    !(status = lab->exec(id, sample.vm, &program, 0)) &&
	    !(status = lab->result(id, sample.vm, NOVA_FIELD_EXIT_STATUS, 0, &code)) &&
	    !(status = lab->result(id, sample.vm, NOVA_FIELD_STARTED_NS, 0, &from)) &&
	    !(status = lab->result(id, sample.vm, NOVA_FIELD_RETURNED_NS, 0, &to)))
		sample.value = (double)(to.i64 - from.i64) / 1e9, sample.t_ns = to.i64;
	if (status == NOVA_E_INTERRUPTED || status == NOVA_E_REFUSED)
		return status; /* the run must not go on; any other failure is a result, too */
	sample.status = !status && !code.i64 ? NOVA_SAMPLE_OK
	              : status == NOVA_E_TIMEOUT ? NOVA_SAMPLE_TIMED_OUT : NOVA_SAMPLE_FAILED;
	return (status = lab->sample(id, &sample)) ? status : lab->attempt(id, sample.status);
}

static const struct nova_benchmark ops = {.struct_size = sizeof(ops), .targets_min = 1,
	.needs = needs, .metrics = metrics, .create = create, .replicate = replicate, .destroy = destroy};
static const struct nova_plugin plugin = {.struct_size = sizeof(plugin), .ops = &ops,
	.kind = NOVA_KIND_BENCHMARK, .thread_model = NOVA_THREADS_PARALLEL, .name = "old-benchmark",
	.version = "0.1", .license = "MIT", .summary = "How long a program in a VM takes"};
NOVA_PLUGIN(NOVA_KIND_BENCHMARK, plugin)
