/* SPDX-License-Identifier: MIT */
/* The table of all checks, the verdict of one, and what every check needs. */
#include "inside.h"

#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define OP_TIMEOUT_MS    60000
#define COMPLAINTS_SHOWN 3

/* --- the table ---------------------------------------------------------------------------- */

const struct nova_validator_check *const *nova_validator_checks(void)
{
	static const struct nova_validator_check *all[128];
	static const struct nova_validator_check *const tables[] = {
	        first_checks,     common_checks,      connect_checks, work_checks,
	        contract_checks,  value_checks,       driver_checks,  vm_checks,
	        time_checks,      conformance_checks, network_checks, benchmark_checks,
	        optimizer_checks, profile_checks,     watch_checks,   last_checks};
	size_t count = 0;

	for (size_t i = 0; i < COUNT(tables); i++)
		for (const struct nova_validator_check *check = tables[i]; check->name; check++)
			if (count + 1 < COUNT(all))
				all[count++] = check;
	all[count] = NULL;
	return all;
}

/* --- verdicts ----------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void add(struct validator *v, const char *format,
                                                      va_list arguments)
{
	size_t length = strlen(v->why);

	if (length && length + 2 < v->room)
		length += (size_t)snprintf(v->why + length, v->room - length, "; ");
	if (length < v->room)
		vsnprintf(v->why + length, v->room - length, format, arguments);
}

void fail(struct validator *v, const char *format, ...)
{
	va_list arguments;

	if (v->quiet)
		return;
	if (v->verdict != NOVA_VERDICT_FAILED)
		v->why[0] = 0;
	v->verdict = NOVA_VERDICT_FAILED;
	va_start(arguments, format);
	add(v, format, arguments);
	va_end(arguments);
}

void untried(struct validator *v, const char *format, ...)
{
	va_list arguments;

	if (v->quiet || v->verdict != NOVA_VERDICT_PASSED)
		return;
	v->verdict = NOVA_VERDICT_NOT_TRIED;
	v->why[0] = 0;
	va_start(arguments, format);
	add(v, format, arguments);
	va_end(arguments);
}

void note(struct validator *v, const char *format, ...)
{
	va_list arguments;

	if (v->quiet || v->verdict != NOVA_VERDICT_PASSED)
		return;
	va_start(arguments, format);
	add(v, format, arguments);
	va_end(arguments);
}

void stage(struct validator *v, const char *format, ...)
{
	char text[256];
	va_list arguments;

	if (!v->request->stage)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	v->request->stage(v->request->context, text);
}

/* --- small helpers ------------------------------------------------------------------------ */

const char *status_name(int status)
{
	static const char *const names[] = {
	        "NOVA_DONE",          "NOVA_E_INVALID",    "NOVA_E_UNSUPPORTED",
	        "NOVA_E_UNAVAILABLE", "NOVA_E_PERMISSION", "NOVA_E_NOT_FOUND",
	        "NOVA_E_EXISTS",      "NOVA_E_BUSY",       "NOVA_E_TIMEOUT",
	        "NOVA_E_CANCELLED",   "NOVA_E_FAILED",     "NOVA_E_PROTOCOL",
	        "NOVA_E_MEMORY",      "NOVA_E_IO",         "NOVA_E_FULL",
	        "NOVA_E_REFUSED",     "NOVA_E_INTERNAL",   "NOVA_E_INTERRUPTED",
	        "NOVA_E_UNKNOWN"};

	if (status == NOVA_PENDING)
		return "NOVA_PENDING";
	return status <= 0 && status > -(int)COUNT(names) ? names[-status] : "no status at all";
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sleep_ms(int64_t ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Counts shared libraries, without those that every plugin may bring. */
static int count_library(struct dl_phdr_info *info, size_t size, void *count)
{
	static const char *const common[] = {"libc.so",  "libm.so",     "libpthread.so",
	                                     "libdl.so", "librt.so",    "libgcc_s.so",
	                                     "ld-linux", "libstdc++.so"};

	(void)size;
	for (size_t i = 0; i < COUNT(common); i++)
		if (strstr(info->dlpi_name, common[i]))
			return 0;
	(*(uint32_t *)count)++;
	return 0;
}

const struct nova_plugin *loaded(struct validator *v)
{
	char why[1024] = "";
	uint32_t before = 0, after = 0;

	if (v->plugin)
		return v->plugin;
	stage(v, "loading it");
	dl_iterate_phdr(count_library, &before);
	v->plugin = v->request->load(v->request->context, why, sizeof(why));
	dl_iterate_phdr(count_library, &after);
	v->libraries = after > before + 1 ? after - before - 1 : 0;
	if (!v->plugin) {
		v->quiet = 0;
		untried(v, "%s", why);
	}
	return v->plugin;
}

/* A hypervisor's own user must reach the driver's files, as below novacore's own state. */
static void let_in(struct nova_testhost *host)
{
	const struct nova_host *table = nova_testhost_table();
	uint64_t instance = nova_testhost_instance(host);
	char path[4096], *slash;

	for (uint32_t which = NOVA_DIRECTORY_STATE; which <= NOVA_DIRECTORY_CACHE; which++) {
		snprintf(path, sizeof(path), "%s", table->directory(instance, which));
		if (chmod(path, 0711) != 0)
			return;
	}
	slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	(void)!chmod(path, 0711);
}

/* --- a host ------------------------------------------------------------------------------- */

/* `create` said no: does the plugin explain itself? */
static void judge_refusal(struct validator *v, struct nova_testhost *host, int status)
{
	const char *text = nova_testhost_error(host);

	if (!*text)
		fail(v, "create fails with %s and says no reason by host->error()",
		     status_name(status));
	else
		untried(v, "it says: %s (%s)", text, status_name(status));
}

struct nova_testhost *open_for_probe(struct validator *v)
{
	struct nova_testhost *host = nova_testhost_new(v->plugin, v->request->parameters);
	const struct nova_parameter *const *given = v->plugin->parameters;
	struct nova_plugin relaxed = *v->plugin;
	struct nova_parameter *copies;
	const struct nova_parameter **list;
	size_t count = 0;

	if (host)
		return host;
	while (given && given[count])
		count++;
	copies = calloc(count + 1, sizeof(*copies)); /* they live as long as the process */
	list = calloc(count + 1, sizeof(*list));
	if (!copies || !list)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		copies[i] = *given[i];
		copies[i].flags &= ~NOVA_PARAM_REQUIRED;
		copies[i].fallback = NULL;
		list[i] = &copies[i];
	}
	relaxed.parameters = list;
	v->relaxed = relaxed;
	return nova_testhost_new(&v->relaxed, NULL);
}

/* Asks `probe` once, as a worker does; from then on the plugin has none. */
static void ask(struct validator *v)
{
	int (*probe)(const struct nova_host *host, nova_op op) = v->plugin->probe;
	struct nova_testhost *host = probe ? open_for_probe(v) : NULL;
	nova_op op;
	int status;

	v->unprobed = *v->plugin;
	v->unprobed.probe = NULL;
	v->plugin = &v->unprobed;
	if (!host)
		return;
	stage(v, "probe");
	op = nova_testhost_begin(host, OP_TIMEOUT_MS);
	status = probe(nova_testhost_table(), op);
	nova_testhost_end(host, NOVA_DONE);
	if (status != NOVA_DONE)
		snprintf(v->unavailable, sizeof(v->unavailable), "its probe says %s%s%s",
		         status_name(status), *nova_testhost_error(host) ? ": " : "",
		         nova_testhost_error(host));
	nova_testhost_free(host);
}

int usable(struct validator *v)
{
	if (!loaded(v))
		return 0;
	if (v->plugin != &v->unprobed)
		ask(v);
	if (v->unavailable[0])
		untried(v, "%s", v->unavailable);
	return !v->unavailable[0];
}

struct nova_testhost *open_host(struct validator *v, const char *const *parameters)
{
	struct nova_testhost *host;
	int status;

	if (!usable(v))
		return NULL;
	host = nova_testhost_new(v->plugin, parameters ? parameters : v->request->parameters);
	if (!host) {
		untried(v, "%s; give values by --set NAME=VALUE", nova_testhost_refusal());
		return NULL;
	}
	let_in(host);
	stage(v, "create");
	status = nova_testhost_start(host);
	if (status == NOVA_DONE)
		return host;
	judge_refusal(v, host, status);
	close_host_quietly(v, host);
	return NULL;
}

void close_host(struct validator *v, struct nova_testhost *host)
{
	stage(v, "destroy");
	nova_testhost_stop(host);
	for (uint32_t i = 0; i < nova_testhost_complaints(host) && i < COMPLAINTS_SHOWN; i++)
		if (!v->request->contract_failed)
			fail(v, "%s", nova_testhost_complaint(host, i));
	nova_testhost_free(host);
}

void close_host_quietly(struct validator *v, struct nova_testhost *host)
{
	stage(v, "destroy");
	nova_testhost_free(host);
}

void tour(struct validator *v)
{
	switch (loaded(v) ? v->plugin->kind : 0) {
	case NOVA_KIND_BENCHMARK: tour_benchmark(v); break;
	case NOVA_KIND_HYPERVISOR: tour_driver(v); break;
	case NOVA_KIND_OPTIMIZER: tour_optimizer(v); break;
	case NOVA_KIND_PROFILE: tour_profile(v); break;
	default: break;
	}
}

enum nova_verdict nova_validator_run(const struct nova_validator_check *check,
                                     const struct nova_validator_request *request, char *why,
                                     uint32_t room)
{
	struct validator v = {.request = request,
	                      .verdict = NOVA_VERDICT_PASSED,
	                      .op_timeout_ms = request->op_timeout_ms ? request->op_timeout_ms
	                                                              : OP_TIMEOUT_MS,
	                      .why = why,
	                      .room = room};

	why[0] = 0;
	check->run(&v);
	stage(&v, "the end");
	return v.verdict;
}
