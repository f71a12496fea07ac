/* SPDX-License-Identifier: MIT */
/* Checks of profiles that need nothing but the plugin; whether its settings are known is asked for
 * by a function of whoever runs the checks. */
#include "inside.h"

#include <string.h>

/* One workload; its settings are judged if somebody can. */
static void adapt(struct validator *v, struct nova_testhost *host, const char *workload, int judged)
{
	const struct nova_profile *ops = v->plugin->ops;
	const struct nova_validator_request *request = v->request;
	nova_op op = nova_testhost_begin(host, v->op_timeout_ms);
	const char *key, *value;
	char why[512];
	int status;

	stage(v, "adapt to \"%.60s\"", workload);
	status = nova_testhost_end(host, ops->adapt(nova_testhost_table(), op, workload));
	if (status != NOVA_DONE && !*nova_testhost_error(host))
		fail(v, "adapt to \"%.40s\" returned %s and said no reason", workload,
		     status_name(status));
	for (uint32_t i = 0; judged && i < nova_testhost_count(host, NOVA_FIELD_FACT); i++) {
		if (nova_testhost_fact_at(host, NOVA_FIELD_FACT, i, &key, &value) != NOVA_DONE)
			continue;
		if (!value)
			fail(v, "adapt to \"%.40s\" puts %.60s without a value", workload, key);
		else if (request->setting && request->setting(request->context, key, value, why,
		                                              sizeof(why)) != NOVA_DONE)
			fail(v, "adapt to \"%.40s\" puts %.60s: %s", workload, key, why);
	}
}

static void adapt_all(struct validator *v, const char *const *workloads, size_t count, int judged)
{
	struct nova_testhost *host = open_host(v, NULL);

	if (!host)
		return;
	if (!((const struct nova_profile *)v->plugin->ops)->adapt)
		note(v, "it has no adapt: novacore's own rules apply");
	else
		for (size_t i = 0; i < count; i++)
			adapt(v, host, workloads[i], judged);
	close_host_quietly(v, host);
}

void tour_profile(struct validator *v)
{
	static const char *const workloads[] = {"cpu-intensive"};

	adapt_all(v, workloads, COUNT(workloads), 0);
}

static void check_adapt(struct validator *v)
{
	static const char *const workloads[] = {"cpu-intensive",
	                                        "memory-intensive",
	                                        "io-intensive",
	                                        "network-intensive",
	                                        "mixed",
	                                        "ml",
	                                        "database",
	                                        "web",
	                                        "",
	                                        "no such workload",
	                                        "%s%n",
	                                        "\xff\xfe",
	                                        "../../../../etc/passwd"};

	adapt_all(v, workloads, COUNT(workloads), 1);
}

#define PROFILE NOVA_CHECK_OF(NOVA_KIND_PROFILE)

const struct nova_validator_check profile_checks[] = {
        {"adapt", PROFILE, 0, 2, "work",
         "adapt gives known settings for a workload, or says why not", check_adapt},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
