/* SPDX-License-Identifier: MIT */
/* What the always-valid test says of the blocks that there are. Pure: no store, no plan but `ab`.
 */
#include "core/judge/ab.h"

#include "core/stats/stats.h"

#include <math.h>
#include <string.h>

struct look {
	struct nova_sequential_view view;
	size_t lost;          /* blocks in which only one side has a value */
	size_t without_ratio; /* blocks that do not count: a value that is not > 0 */
};

/* A side without a value is worse than any: infinitely long, or infinitely slower than the other.
 */
static void add_block(struct nova_sequential *test, double a, double b, bool lower,
                      struct look *look)
{
	bool lost = isnan(a) || isnan(b);

	if (isnan(a)) {
		a = lower ? (double)INFINITY : 1;
		b = lower ? b : (double)INFINITY;
	} else if (isnan(b)) {
		b = lower ? (double)INFINITY : 1;
		a = lower ? a : (double)INFINITY;
	}
	if (!nova_sequential_add(test, a, b))
		look->without_ratio++;
	else
		look->lost += lost;
}

static struct nova_sequential *test_of(const json_t *ab)
{
	return nova_sequential_new(json_number_value(json_object_get(ab, "alpha")),
	                           json_number_value(json_object_get(ab, "minimum_effect")));
}

static void add_blocks(struct nova_sequential *test, bool lower, const struct nova_side_values *a,
                       const struct nova_side_values *b, struct look *look)
{
	struct nova_blocks blocks;

	nova_blocks_pair(a, b, &blocks);
	for (size_t i = 0; i < blocks.count; i++)
		add_block(test, blocks.a[i], blocks.b[i], lower, look);
	nova_blocks_free(&blocks);
}

static void judge(const json_t *ab, bool lower, const struct nova_side_values *a,
                  const struct nova_side_values *b, struct look *look)
{
	struct nova_sequential *test = test_of(ab);

	memset(look, 0, sizeof(*look));
	if (!test)
		return;
	add_blocks(test, lower, a, b, look);
	nova_sequential_look(test, &look->view);
	nova_sequential_free(test);
}

bool nova_ab_decides(const json_t *ab, bool lower, const struct nova_side_values *a,
                     const struct nova_side_values *b, struct nova_sequential **test)
{
	struct look look = {0};

	if (!*test)
		*test = test_of(ab);
	if (!*test)
		return false;
	add_blocks(*test, lower, a, b, &look);
	nova_sequential_look(*test, &look.view);
	return look.view.state != NOVA_SEQUENTIAL_UNDECIDED;
}

/* --- what it saw ---------------------------------------------------------------------------------
 */

static const char *const states[] = {[NOVA_SEQUENTIAL_UNDECIDED] = "undecided",
                                     [NOVA_SEQUENTIAL_GREATER] = "greater",
                                     [NOVA_SEQUENTIAL_LESS] = "less",
                                     [NOVA_SEQUENTIAL_SAME] = "same"};

static json_t *real_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* "1.042 [1.01, 1.08] after 34 pairs" */
static void say_ratio(struct nova_text *text, const struct nova_sequential_view *view)
{
	nova_text_addf(text, "b / a is %.4g", view->ratio);
	if (isfinite(view->low) && isfinite(view->high))
		nova_text_addf(text, " [%.4g, %.4g]", view->low, view->high);
	nova_text_addf(text, " after %zu pairs", view->pairs);
}

static char *sentence(const json_t *ab, bool lower, const struct look *look)
{
	const struct nova_sequential_view *view = &look->view;
	const char *metric = nova_json_text(ab, "metric");
	double effect = 100 * json_number_value(json_object_get(ab, "minimum_effect"));
	bool better = (view->state == NOVA_SEQUENTIAL_LESS) == lower;
	struct nova_text text = {0};

	switch (view->state) {
	case NOVA_SEQUENTIAL_GREATER:
	case NOVA_SEQUENTIAL_LESS:
		nova_text_addf(&text, "b is %s than a: %s is %s in b, by more than %g %%; ",
		               better ? "better" : "worse", metric,
		               view->state == NOVA_SEQUENTIAL_GREATER ? "greater" : "less", effect);
		break;
	case NOVA_SEQUENTIAL_SAME:
		nova_text_addf(&text, "a and b differ by less than %g %% in %s; ", effect, metric);
		break;
	default: nova_text_addf(&text, "not decided on %s; ", metric);
	}
	if (view->pairs)
		say_ratio(&text, view);
	else
		nova_text_add(&text, "there is no pair");
	if (look->lost)
		nova_text_addf(&text,
		               "; of %zu only one side has a value, and the other counts as "
		               "worse than any",
		               look->lost);
	if (look->without_ratio)
		nova_text_addf(&text, "; %zu blocks have no ratio and do not count",
		               look->without_ratio);
	if (view->state == NOVA_SEQUENTIAL_UNDECIDED)
		nova_text_add(&text, "; more pairs, or a larger minimum effect, decide");
	return text.data;
}

json_t *nova_ab_said(const json_t *ab, bool lower, const struct nova_side_values *a,
                     const struct nova_side_values *b)
{
	struct look look;
	const struct nova_sequential_view *view = &look.view;
	NOVA_AUTOFREE char *says = NULL;
	bool interval;

	judge(ab, lower, a, b, &look);
	says = sentence(ab, lower, &look);
	interval = view->pairs && isfinite(view->low) && isfinite(view->high);
	return json_pack("{sO sO sO sO sO sO ss sI so so so so sI ss}", "metric",
	                 json_object_get(ab, "metric"), "alpha", json_object_get(ab, "alpha"),
	                 "minimum_effect", json_object_get(ab, "minimum_effect"), "max_pairs",
	                 json_object_get(ab, "max_pairs"), "a",
	                 json_object_get(json_object_get(ab, "a"), "settings"), "b",
	                 json_object_get(json_object_get(ab, "b"), "settings"), "state",
	                 states[view->state], "pairs", (json_int_t)view->pairs, "decided_at",
	                 view->decided_at ? json_integer((json_int_t)view->decided_at)
	                                  : json_null(),
	                 "ratio", view->pairs ? real_or_null(view->ratio) : json_null(), "interval",
	                 interval ? json_pack("[f f]", view->low, view->high) : json_null(), "p",
	                 view->pairs ? real_or_null(view->p) : json_null(), "lost",
	                 (json_int_t)look.lost, "says", says);
}
