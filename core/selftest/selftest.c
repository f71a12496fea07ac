/* SPDX-License-Identifier: MIT */
/*
 * The self-test: a list of checks, each a claim, a bar and what was measured. A check judges by its
 * interval where it has one: that a bar is missed is said only of what cannot be chance.
 */
#include "core/selftest/check.h"

#include <novacore/benchmark.h>

#include "core/stats/stats.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- checks -----------------------------------------------------------------------------------
 */

const char *nova_check_verdict(const struct nova_check *check)
{
	double low = check->has_interval ? check->low : check->value;
	double high = check->has_interval ? check->high : check->value;

	if (!check->has_bar)
		return "reported";
	if (isnan(check->value))
		return "undecided";
	if (check->at_least)
		return low >= check->bar ? "met" : high < check->bar ? "missed" : "undecided";
	return high <= check->bar ? "met" : low > check->bar ? "missed" : "undecided";
}

static json_t *number(bool there, double value)
{
	return there && isfinite(value) ? json_real(value) : json_null();
}

void nova_check_add(json_t *report, const struct nova_check *check)
{
	json_t *interval =
	        check->has_interval ? json_pack("[ff]", check->low, check->high) : json_null();

	json_array_append_new(json_object_get(report, "checks"),
	                      json_pack("{ss ss ss so so sf sI so sb sb ss ss?}", "id", check->id,
	                                "claim", check->claim, "unit", nova_unit_name(check->unit),
	                                "value", number(true, check->value), "interval", interval,
	                                "level", NOVA_SELFTEST_LEVEL, "n", (json_int_t)check->n,
	                                "bar", number(check->has_bar, check->bar), "at_least",
	                                check->at_least, "timing", check->timing, "verdict",
	                                nova_check_verdict(check), "why", check->why));
}

void nova_check_add_share(json_t *report, struct nova_check *check, size_t hits)
{
	check->unit = NOVA_UNIT_ONE;
	check->value = check->n ? (double)hits / (double)check->n : NAN;
	check->has_interval =
	        nova_stats_share(hits, check->n, NOVA_SELFTEST_LEVEL, &check->low, &check->high);
	nova_check_add(report, check);
}

json_t *nova_selftest_load(void)
{
	double load[3];

	return getloadavg(load, 3) == 3 ? json_pack("[fff]", load[0], load[1], load[2])
	                                : json_null();
}

size_t nova_selftest_column(const json_t *columns, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(columns, i, one)
	{
		if (!strcmp(json_string_value(one), name))
			break;
	}
	return i;
}

/* --- the host of the test ----------------------------------------------------------------------
 */

void nova_selftest_tell(const struct nova_selftest_host *host, int64_t left_ns, const char *format,
                        ...)
{
	char text[256];
	va_list arguments;

	if (!host->progress)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	host->progress(host->context, text, left_ns);
}

int nova_selftest_stopped(const struct nova_selftest_host *host, struct nova_error *error)
{
	return host->stop && *host->stop ? nova_error_set(error, NOVA_E_INTERRUPTED, "interrupted")
	                                 : 0;
}

/* --- all of it --------------------------------------------------------------------------------
 */

static bool all_hold(const json_t *report)
{
	const json_t *checks = json_object_get(report, "checks"), *check;
	size_t i;

	json_array_foreach(checks, i, check)
	{
		if (!strcmp(nova_json_text(check, "verdict"), "missed"))
			return false;
	}
	return json_array_size(checks) > 0;
}

int nova_selftest_run(const struct nova_selftest_request *request, json_t **report,
                      struct nova_error *error)
{
	char started[32];
	int64_t begun_ns = nova_now_ns();
	int code;

	nova_utc_format(nova_utc_ns(), started);
	*report = json_pack("{ss ss sI sb ss s{sI so} s[] s[]}", "schema", "novacore.selftest/1",
	                    "novacore", NOVACORE_VERSION, "seed", (json_int_t)request->seed,
	                    "quick", request->quick, "started", started, "machine", "processors",
	                    (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "load_before",
	                    nova_selftest_load(), "recovered", "checks");
	code = nova_selftest_recover(request, *report, error);
	if (!code)
		code = nova_selftest_changes(request, *report, error);
	if (!code)
		code = nova_selftest_floors(request, *report, error);
	if (code) {
		json_decref(*report);
		*report = NULL;
		return code;
	}
	json_object_set_new(json_object_get(*report, "machine"), "load_after",
	                    nova_selftest_load());
	json_object_set_new(*report, "time_s", json_real((double)(nova_now_ns() - begun_ns) / 1e9));
	json_object_set_new(*report, "passed", json_boolean(all_hold(*report)));
	return 0;
}
