/* SPDX-License-Identifier: MIT */
/*
 * A benchmark that starts one VM, and does one thing wrong when its parameter `mode` says so, or,
 * before it has parameters, the environment variable NOVACORE_ROGUE.
 */
#include <novacore/sdk.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct self {
	const struct nova_host *host;
	const struct nova_lab *lab;
	nova_run run;
	char mode[64];
};

static int is(const struct self *self, const char *mode)
{
	return !strcmp(self->mode, mode);
}

static int told(const char *what)
{
	const char *rogue = getenv("NOVACORE_ROGUE");

	return rogue && !strcmp(rogue, what);
}

/* As if it were the result. */
static void print(void)
{
	static const char line[] = "{\"schema\":\"novacore.result/1\"}\033[2J\n";

	printf("%s", line);
	fprintf(stderr, "%s", line);
	fflush(NULL);
	(void)!write(1, line, sizeof(line) - 1);
	(void)!write(2, line, sizeof(line) - 1);
}

__attribute__((constructor)) static void construct(void)
{
	if (told("print"))
		print();
	if (told("slow"))
		sleep(11); /* longer than a plugin may take to load */
}

static int create(const struct nova_host *host, const struct nova_lab *lab, nova_run run,
                  void **out)
{
	struct self *self = calloc(1, sizeof(*self));

	if (!self)
		return NOVA_E_MEMORY;
	self->host = host;
	self->lab = lab;
	self->run = run;
	snprintf(self->mode, sizeof(self->mode), "%s", host->param_text(run, "mode", 0));
	*out = self;
	return NOVA_DONE;
}

static void take_sample(struct self *self, const char *metric, double value)
{
	const struct nova_sample sample = {.struct_size = sizeof(sample),
	                                   .status = NOVA_SAMPLE_OK,
	                                   .metric = metric,
	                                   .value = value};

	self->lab->sample(self->run, &sample);
}

static int call_again(void *opaque, uint32_t i, int64_t intended_ns)
{
	struct self *self = opaque;

	(void)i, (void)intended_ns;
	take_sample(self, "prod.value", NAN);
	return NOVA_E_FAILED;
}

/* Calls of the façade with what is not there, is not allowed, or makes no sense. */
static void call_rubbish(struct self *self)
{
	const struct nova_lab *lab = self->lab;
	static const char *const argv[] = {"/no/such/program", NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	struct nova_result result = {.struct_size = sizeof(result)};
	struct nova_event event = {.struct_size = sizeof(event)};
	struct nova_shape shape = {.struct_size = sizeof(shape), .vcpus = UINT32_MAX, .boot = 99};
	char why[4], name[64];
	nova_vm vm;

	for (uint64_t n = 0; n < 70; n += 7) {
		nova_vm wrong = n < 35 ? n + 1000 : UINT64_MAX - n;

		lab->can((nova_run)n, (uint32_t)wrong, "no such", why, sizeof(why));
		lab->vm_create(self->run, (uint32_t)wrong, &shape, -1, &vm);
		lab->vm_power(self->run, wrong, UINT32_MAX, INT64_MIN);
		lab->vm_delete(self->run, wrong, 1);
		lab->vm_query(self->run, wrong, UINT32_MAX, 1);
		lab->snapshot(self->run, wrong, NULL, 0, 1);
		lab->exec(self->run, wrong, &exec, 1);
		lab->wait(self->run, wrong, UINT32_MAX, 1, &event);
		lab->migrate(self->run, wrong, UINT32_MAX, NULL, 1);
		lab->net_create(self->run, (uint32_t)wrong, UINT32_MAX, 1, name);
		lab->result(self->run, wrong, UINT32_MAX, UINT32_MAX, &result);
		lab->attempt(self->run, UINT32_MAX);
	}
	lab->exec(self->run, 0, &exec, 0);
	lab->fan_out(self->run, 3, 0, -1.0, call_again, self);
	lab->fan_out(self->run, 0, 0, INFINITY, NULL, NULL);
	take_sample(self, NULL, 1);
	take_sample(self, "", 1);
	take_sample(self, "prod.undeclared", 1);
	take_sample(self, "lifecycle.start.ready", 1);
	take_sample(self, "prod.value", INFINITY);
}

static void *sample_from_thread(void *opaque)
{
	for (int i = 0; i < 100; i++)
		take_sample(opaque, "prod.value", 1);
	return NULL;
}

/* Writes into its directory until there is no room. */
static void fill_disk(struct self *self)
{
	static char piece[1 << 20];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/full",
	         self->host->directory(self->run, NOVA_DIRECTORY_RUN));
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	memset(piece, 1, sizeof(piece));
	while (write(fd, piece, sizeof(piece)) > 0)
		usleep(5000);
	for (;;)
		pause();
}

static void misbehave(struct self *self)
{
	pthread_t thread;
	static char piece[60000];

	if (is(self, "print"))
		print();
	if (is(self, "hang"))
		for (;;)
			pause();
	if (is(self, "rubbish"))
		call_rubbish(self);
	if (is(self, "threads") && !pthread_create(&thread, NULL, sample_from_thread, self))
		pthread_join(thread, NULL);
	if (is(self, "close"))
		close(3);
	if (is(self, "fill"))
		fill_disk(self);
	if (is(self, "error"))
		self->host->error(self->run, NOVA_E_FAILED, "not UTF-8: \xff\xfe \033[2J");
	memset(piece, 'y', sizeof(piece) - 1);
	if (is(self, "long-error"))
		self->host->error(self->run, NOVA_E_FAILED, piece);
}

static int replicate(void *opaque, nova_run run, uint32_t index, uint32_t side)
{
	struct self *self = opaque;
	nova_vm vm;
	int code;

	(void)index, (void)side;
	misbehave(self);
	if (is(self, "error") || is(self, "long-error"))
		return NOVA_E_FAILED;
	code = self->lab->vm_create(run, 0, NULL, 0, &vm);
	if (!code)
		code = self->lab->vm_power(run, vm, NOVA_POWER_START, 0);
	if (!code)
		code = self->lab->wait(run, vm, NOVA_EVENT_RUNNING, 0, NULL);
	self->lab->attempt(run, code ? NOVA_SAMPLE_FAILED : NOVA_SAMPLE_OK);
	if (!code)
		take_sample(self, "prod.value", 1.0);
	return NOVA_DONE;
}

static void destroy(void *self)
{
	free(self);
}

static const struct nova_metric metric = {
        .struct_size = sizeof(metric),
        .unit = NOVA_UNIT_ONE,
        .better = NOVA_BETTER_LOWER,
        .revision = 1,
        .name = "prod.value",
        .doc = "always one",
};
static const struct nova_metric *const metrics[] = {&metric, NULL};

static const struct nova_parameter mode = {
        .struct_size = sizeof(mode),
        .type = NOVA_PARAM_TEXT,
        .name = "mode",
        .fallback = "none",
        .doc = "what it does wrong",
};
static const struct nova_parameter *const parameters[] = {&mode, NULL};

static const struct nova_benchmark benchmark = {
        .struct_size = sizeof(benchmark),
        .targets_min = 1,
        .metrics = metrics,
        .create = create,
        .replicate = replicate,
        .destroy = destroy,
};

static const struct nova_plugin plugin = {
        .struct_size = sizeof(plugin),
        .kind = NOVA_KIND_BENCHMARK,
        .thread_model = NOVA_THREADS_PARALLEL,
        .name = "prod",
        .version = "1.0.0",
        .summary = "for tests of what the host survives",
        .license = "MIT",
        .parameters = parameters,
        .ops = &benchmark,
};

NOVA_PLUGIN_NOTE(NOVA_KIND_BENCHMARK);
NOVA_EXTERN_C NOVA_EXPORT const struct nova_plugin *
nova_plugin_entry_v1(const struct nova_host *host);
const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host)
{
	(void)host;
	if (told("print"))
		print();
	return &plugin;
}
