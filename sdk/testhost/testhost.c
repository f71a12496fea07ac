/* SPDX-License-Identifier: MIT */
/* A host's life, from nova_testhost_new to nova_testhost_free, and what can be read of it. */
#include "inside.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local char refusal[512];

/* --- events, complaints, log -------------------------------------------------------------- */

size_t nova_testhost_event_count(struct nova_testhost *host)
{
	size_t count;

	pthread_mutex_lock(&th_lock);
	count = host->event_count;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const struct nova_event *nova_testhost_event(struct nova_testhost *host, size_t index)
{
	const struct nova_event *event;

	pthread_mutex_lock(&th_lock);
	event = index < host->event_count ? host->events[index] : NULL;
	pthread_mutex_unlock(&th_lock);
	return event;
}

const struct nova_event *nova_testhost_wait(struct nova_testhost *host, size_t from,
                                            const char *name, uint32_t kind, int64_t timeout_ms)
{
	int64_t until_ns = th_clock_ns() + timeout_ms * 1000000;
	const struct nova_event *event, *found = NULL;

	pthread_mutex_lock(&th_lock);
	for (;;) {
		for (; from < host->event_count && !found; from++) {
			event = host->events[from];
			if (event->kind == kind && (!name || strcmp(event->name, name) == 0))
				found = event;
		}
		if (found || th_clock_ns() >= until_ns)
			break;
		th_wait_until(&host->changed, until_ns);
	}
	pthread_mutex_unlock(&th_lock);
	return found;
}

uint32_t nova_testhost_complaints(struct nova_testhost *host)
{
	uint32_t count;

	pthread_mutex_lock(&th_lock);
	count = host->complaint_count;
	pthread_mutex_unlock(&th_lock);
	return count;
}

const char *nova_testhost_complaint(struct nova_testhost *host, uint32_t index)
{
	const char *text;

	pthread_mutex_lock(&th_lock);
	text = index < host->complaint_count ? host->complaints[index] : NULL;
	pthread_mutex_unlock(&th_lock);
	return text;
}

int nova_testhost_logged(struct nova_testhost *host, const char *part)
{
	int found = 0;

	pthread_mutex_lock(&th_lock);
	for (uint32_t i = 0; i < host->line_count && !found; i++)
		found = strstr(host->lines[i], part) != NULL;
	pthread_mutex_unlock(&th_lock);
	return found;
}

/* --- life --------------------------------------------------------------------------------- */

const char *nova_testhost_refusal(void)
{
	return refusal;
}

uint64_t nova_testhost_instance(const struct nova_testhost *host)
{
	return host->instance;
}

void *nova_testhost_self(const struct nova_testhost *host)
{
	return host->self;
}

const struct nova_hypervisor *nova_testhost_ops(const struct nova_testhost *host)
{
	return host->plugin->kind == NOVA_KIND_HYPERVISOR ? host->plugin->ops : NULL;
}

/* False if a directory cannot be made. */
static int make_directories(struct nova_testhost *host)
{
	static const char *const names[] = {NULL, "state", "run", "cache"};
	const char *base = getenv("TMPDIR");
	char path[PATH_MAX + 8];

	snprintf(host->scratch, sizeof(host->scratch) - 8, "%s/novacore-testhost-XXXXXX",
	         base && *base ? base : "/tmp");
	if (!mkdtemp(host->scratch)) {
		host->scratch[0] = 0;
		return 0;
	}
	for (int i = NOVA_DIRECTORY_STATE; i <= (int)NOVA_DIRECTORY_CACHE; i++) {
		snprintf(path, sizeof(path), "%s/%s", host->scratch, names[i]);
		if (mkdir(path, 0700) != 0)
			return 0;
		host->directories[i] = th_copy(path);
	}
	return 1;
}

struct nova_testhost *nova_testhost_new(const struct nova_plugin *plugin,
                                        const char *const *parameters)
{
	struct nova_testhost *host = th_memory(NULL, sizeof(*host));

	memset(host, 0, sizeof(*host));
	host->plugin = plugin;
	th_init_condition(&host->changed);
	if (!plugin || th_parameters_read(&host->parameters, plugin, parameters, refusal,
	                                  sizeof(refusal)) != NOVA_DONE) {
		nova_testhost_free(host);
		return NULL;
	}
	if (!make_directories(host)) {
		snprintf(refusal, sizeof(refusal), "cannot make a directory: %s", strerror(errno));
		nova_testhost_free(host);
		return NULL;
	}
	th_calls_new(host);
	if (plugin->kind == NOVA_KIND_BENCHMARK)
		th_lab_new(host);
	if (plugin->kind == NOVA_KIND_OPTIMIZER)
		th_view_new(host);
	return host;
}

int nova_testhost_start(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);
	int status = NOVA_DONE;

	if (host->created || host->destroyed)
		return NOVA_E_INVALID;
	if (host->plugin->probe)
		status = host->plugin->probe(&th_table, host->instance);
	if (status == NOVA_DONE && ops)
		status = ops->create(&th_table, host->instance, &host->self);
	else if (status == NOVA_DONE && host->lab)
		status = th_benchmark_create(host);
	if (status != NOVA_DONE) {
		host->self = NULL;
		pthread_mutex_lock(&th_lock);
		if (!host->creation->error)
			th_complain(host, "probe or create failed with %d and no error()", status);
		pthread_mutex_unlock(&th_lock);
		return status;
	}
	host->creation->ended = 1;
	host->created = 1;
	if (!host->lab)
		th_threads_start(host);
	return NOVA_DONE;
}

#define GOODBYE_MS 3000

static void say_goodbye(struct nova_testhost *host)
{
	nova_testhost_call(host, GOODBYE_MS, disconnect);
	if (nova_testhost_ended(host))
		return;
	pthread_mutex_lock(&th_lock);
	th_complain(host, "disconnect had not ended 5 s after its deadline");
	pthread_mutex_unlock(&th_lock);
}

void nova_testhost_stop(struct nova_testhost *host)
{
	const struct nova_hypervisor *ops = nova_testhost_ops(host);

	if (!host->created || host->destroyed)
		return;
	if (ops && NOVA_HAS(ops, struct nova_hypervisor, disconnect) && ops->disconnect &&
	    !host->open_count)
		say_goodbye(host);
	th_threads_stop(host);
	if (ops && ops->destroy)
		ops->destroy(host->self);
	if (host->lab)
		th_benchmark_stop(host);
	pthread_mutex_lock(&th_lock);
	host->destroyed = 1;
	pthread_mutex_unlock(&th_lock);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void nova_testhost_free(struct nova_testhost *host)
{
	if (!host)
		return;
	nova_testhost_stop(host);
	th_calls_free(host);
	for (size_t i = 0; i < host->event_count; i++) {
		free((char *)(uintptr_t)host->events[i]->name);
		free(host->events[i]);
	}
	free(host->events);
	for (uint32_t i = 0; i < host->complaint_count; i++)
		free(host->complaints[i]);
	free(host->complaints);
	for (uint32_t i = 0; i < host->line_count; i++)
		free(host->lines[i]);
	free(host->lines);
	for (uint32_t i = 0; i < host->kept_count; i++)
		free(host->kept[i]);
	free(host->kept);
	th_lab_free(host->lab);
	th_view_free(host->view);
	for (int i = 0; i < 4; i++)
		free(host->directories[i]);
	if (host->scratch[0])
		nftw(host->scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	th_parameters_free(&host->parameters);
	pthread_cond_destroy(&host->changed);
	free(host);
}

/* --- without a test library --------------------------------------------------------------- */

void nova_testhost_expected(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
	exit(1);
}
