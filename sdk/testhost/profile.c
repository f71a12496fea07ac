/* SPDX-License-Identifier: MIT */
/* An environment profile's `adapt`: settings in, checked, and found among the op's facts. */
#include "inside.h"

#include <string.h>

/* Under the lock: what is wrong with the settings, or NULL. */
static const char *doubt(const struct results *results)
{
	for (uint32_t i = 0; i < results->count; i++) {
		const struct result *setting = &results->all[i];

		if (setting->field != NOVA_FIELD_FACT)
			return "adapt put something that is not NOVA_FIELD_FACT";
		if (setting->type != 't' || !setting->key || !*setting->key)
			return "adapt put a setting without a name";
		if (!setting->text)
			return "adapt put a setting without a value";
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(results->all[j].key, setting->key) == 0)
				return "adapt put one setting twice";
	}
	return NULL;
}

int nova_testhost_adapt(struct nova_testhost *host, const char *workload, int64_t timeout_ms)
{
	const struct nova_profile *ops = host->plugin->ops;
	const char *wrong;
	nova_op op;
	int status;

	if (host->plugin->kind != NOVA_KIND_PROFILE || !host->created || host->destroyed ||
	    !workload)
		return NOVA_E_INVALID;
	if (!NOVA_HAS(ops, struct nova_profile, adapt) || !ops->adapt)
		return NOVA_E_UNSUPPORTED;
	op = nova_testhost_begin(host, timeout_ms);
	status = nova_testhost_end(host, ops->adapt(&th_table, op, workload));
	pthread_mutex_lock(&th_lock);
	wrong = doubt(&th_find_call(op)->results);
	if (wrong)
		th_complain(host, "%s", wrong);
	pthread_mutex_unlock(&th_lock);
	return status;
}
