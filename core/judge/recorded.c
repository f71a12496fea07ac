/* SPDX-License-Identifier: MIT */
/*
 * How a step was recorded while it measured: from the run's plan ("recordings", which core/run
 * writes) to the step's "recorded" in the document, and back.
 */
#include "core/judge/recorded.h"

#include <math.h>
#include <string.h>

static double real_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static json_t *number_or_null(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_number(value) ? json_incref(value) : json_null();
}

static json_t *text_or_null(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_string(value) ? json_incref(value) : json_null();
}

static json_t *recording_of(const json_t *entry)
{
	const json_t *overhead = json_object_get(entry, "overhead");
	json_t *flames = json_object_get(entry, "flames");
	bool took = json_is_integer(json_object_get(entry, "duration_ns"));

	return json_pack(
	        "{sO sO sO sO sO sO so so so so so so so}", "id", json_object_get(entry, "id"),
	        "directory", json_object_get(entry, "directory"), "host",
	        json_object_get(entry, "host"), "kinds", json_object_get(entry, "kinds"), "what",
	        json_object_get(entry, "what"), "state", json_object_get(entry, "state"), "why",
	        text_or_null(entry, "why"), "samples", number_or_null(entry, "samples"), "lost",
	        number_or_null(entry, "lost"), "duration_s",
	        took ? json_real(real_of(entry, "duration_ns") / 1e9) : json_null(),
	        "overhead_host", number_or_null(overhead, "host"), "overhead_sampled",
	        number_or_null(overhead, "sampled"), "flames",
	        flames ? json_incref(flames) : json_array());
}

/* Each kind once, in the order of its first recording. */
static json_t *kinds_of(const json_t *recordings)
{
	json_t *kinds = json_array(), *one, *kind, *known;
	size_t i, j, k;

	json_array_foreach(recordings, i, one)
	{
		json_array_foreach(json_object_get(one, "kinds"), j, kind)
		{
			bool there = false;

			json_array_foreach(kinds, k, known) there =
			        there || json_equal(known, kind);
			if (!there)
				json_array_append(kinds, kind);
		}
	}
	return kinds;
}

/*
 * What recordings cost the step, as a share: those of different kinds at once add up, those of one
 * kind came one after the other. Null where nothing is known.
 */
static json_t *cost_of(const json_t *recordings, const json_t *kinds, const char *member)
{
	double spent = 0, longest = 0;
	json_t *one, *kind;
	size_t i, j;

	json_array_foreach(kinds, j, kind)
	{
		double lasted = 0;

		json_array_foreach(recordings, i, one)
		{
			json_t *first = json_array_get(json_object_get(one, "kinds"), 0);
			double took = real_of(one, "duration_s");

			if (!json_equal(first, kind) ||
			    !json_is_number(json_object_get(one, member)))
				continue;
			lasted += took;
			spent += took * real_of(one, member);
		}
		longest = lasted > longest ? lasted : longest;
	}
	return longest > 0 ? json_real(spent / longest) : json_null();
}

json_t *nova_recorded_of(const json_t *plan, uint32_t step)
{
	json_t *recordings = json_array(), *entry, *kinds;
	size_t i;

	json_array_foreach(json_object_get(plan, "recordings"), i, entry)
	{
		if (json_integer_value(json_object_get(entry, "step")) == step)
			json_array_append_new(recordings, recording_of(entry));
	}
	if (!json_array_size(recordings)) {
		json_decref(recordings);
		return NULL;
	}
	kinds = kinds_of(recordings);
	return json_pack("{so so so so}", "kinds", kinds, "overhead_host",
	                 cost_of(recordings, kinds, "overhead_host"), "overhead_sampled",
	                 cost_of(recordings, kinds, "overhead_sampled"), "recordings", recordings);
}

void nova_recorded_back(const json_t *recorded, uint32_t step, json_t *recordings)
{
	static const char *const kept[] = {"id",    "directory", "host", "kinds", "what",
	                                   "state", "samples",   "lost", "flames"};
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(recorded, "recordings"), i, one)
	{
		json_t *entry = json_pack("{sI}", "step", (json_int_t)step);
		json_t *took = json_object_get(one, "duration_s");

		for (size_t k = 0; k < NOVA_COUNT(kept); k++)
			json_object_set(entry, kept[k], json_object_get(one, kept[k]));
		if (json_is_string(json_object_get(one, "why")))
			json_object_set(entry, "why", json_object_get(one, "why"));
		if (json_is_number(took) && fabs(json_number_value(took)) < 9e6)
			json_object_set_new(
			        entry, "duration_ns",
			        json_integer((json_int_t)llround(json_number_value(took) * 1e9)));
		json_object_set_new(entry, "overhead",
		                    json_pack("{sO sO}", "host",
		                              json_object_get(one, "overhead_host"), "sampled",
		                              json_object_get(one, "overhead_sampled")));
		json_array_append_new(recordings, entry);
	}
}

/* --- where one side was, and the other not ---------------------------------------------------- */

static void say(struct nova_text *text, const char *who, const json_t *recorded)
{
	const json_t *cost = json_object_get(recorded, "overhead_host");
	json_t *kinds = json_object_get(recorded, "kinds"), *kind;
	size_t i;

	nova_text_addf(text, "%s was %srecorded", who, recorded ? "" : "not ");
	json_array_foreach(kinds, i, kind)
	        nova_text_addf(text, "%s%s", i ? ", " : " (", json_string_value(kind));
	if (json_is_number(cost))
		nova_text_addf(text, "; it took %.2g %% of the host's CPUs",
		               100 * json_number_value(cost));
	nova_text_add(text, json_array_size(kinds) ? ")" : "");
}

char *nova_recorded_differs(const json_t *step_a, const char *a, const json_t *step_b,
                            const char *b)
{
	const json_t *of_a = json_object_get(step_a, "recorded");
	const json_t *of_b = json_object_get(step_b, "recorded");
	struct nova_text text = {0};

	if ((!of_a && !of_b) ||
	    (of_a && of_b &&
	     json_equal(json_object_get(of_a, "kinds"), json_object_get(of_b, "kinds"))))
		return NULL;
	say(&text, a, of_a);
	nova_text_add(&text, " while it was measured, ");
	say(&text, b, of_b);
	return text.data;
}
