/* SPDX-License-Identifier: MIT */
/*
 * Is a document a novacore.result/1? The same structure as docs/result.schema.json (a test compares
 * them), checked without a schema library because results are imported from elsewhere.
 */
#include "core/report/report.h"

#include <string.h>

/*
 * Types: s text, S text or null, i integer ≥ 0, I that or null, j integer, n number, N number or
 * null, b boolean, o object of `members`, O that or null, a array of objects of `members`, f any
 * object, t array of texts, r array of integers ≥ 0, p interval [number, number] or null, m object
 * whose every member is an object of `members`, U an object of units that may be missing, Q one of
 * `members` that may be missing, R samples' rows, C their columns.
 */
struct member {
	const char *name;
	char type;
	const char *const *choices; /* of a text */
	const struct member *members;
};
#define IS(name, type)                                                                             \
	{                                                                                          \
		name, type, NULL, NULL                                                             \
	}
#define ONE(name, choices)                                                                         \
	{                                                                                          \
		name, 's', choices, NULL                                                           \
	}
#define MAYBE(name, choices)                                                                       \
	{                                                                                          \
		name, 'S', choices, NULL                                                           \
	}
#define OF(name, type, members)                                                                    \
	{                                                                                          \
		name, type, NULL, members                                                          \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, 0, NULL, NULL                                                                \
	}

static const char *const run_states[] = {"running", "complete", "interrupted", "failed", NULL};
static const char *const step_states[] = {"planned", "running", "done", "failed",
                                          "skipped", "lost",    NULL};
static const char *const replicate_states[] = {"running",    "done",   "failed",
                                               "superseded", "warmup", NULL};
static const char *const stops[] = {"samples", "precision", "budget", NULL};
static const char *const recorded_what[] = {"all", "process", NULL};
static const char *const recording_states[] = {"running", "complete", "interrupted", "failed",
                                               NULL};
static const char *const units[] = {"s", "B", "B/s", "1/s", "1", NULL};
static const char *const directions[] = {"lower", "higher", NULL};
static const char *const sides[] = {"vm", "native", "a", "b", NULL};
static const char *const statuses[] = {"ok", "failed", "timed_out", NULL};
static const char *const reductions[] = {"median", NULL};
static const char *const ratios[] = {"1", NULL};
static const char *const ab_states[] = {"undecided", "greater", "less", "same", NULL};
static const char *const effects[] = {"overhead", "ratio", NULL};
static const char *const verdicts[] = {
        "pass", "acceptable", "needs optimization", "regressed", "inconclusive", "none", NULL};
static const char *const changes[] = {"same",         "regressed",      "improved",
                                      "inconclusive", "not comparable", NULL};
static const char *const columns[] = {"replicate", "attempt", "side", "vm",  "metric",
                                      "status",    "value",   "t_ns", "seq", "intended_ns",
                                      "error_ns",  "counted", "why",  NULL};

static const struct member anchor[] = {IS("monotonic_ns", 'j'), IS("utc_ns", 'j'),
                                       IS("boot_id", 's'), END};
static const struct member run[] = {
        IS("id", 's'),       IS("profile", 's'),        IS("started", 'd'),
        IS("ended", 'D'),    IS("seed", 'j'),           ONE("state", run_states),
        IS("novacore", 'S'), OF("anchor", 'o', anchor), END};
static const struct member facts[] = {IS("hash", 's'), IS("facts", 'f'), END};
static const struct member capability[] = {IS("ok", 'b'), IS("why", 'S'), END};
static const struct member target[] = {IS("name", 's'),
                                       IS("plugin", 's'),
                                       IS("uri", 'S'),
                                       IS("product", 'S'),
                                       IS("version", 'S'),
                                       IS("accel", 'S'),
                                       IS("why", 'S'),
                                       IS("simulated", 'b'),
                                       OF("capabilities", 'm', capability),
                                       IS("facts", 'f'),
                                       END};
static const struct member counts[] = {IS("attempted", 'i'), IS("succeeded", 'i'),
                                       IS("failed", 'i'), IS("timed_out", 'i'), END};
static const struct member percentile[] = {IS("value", 'N'), IS("why", 'S'), END};
static const struct member goal[] = {IS("pass", 'n'), IS("acceptable", 'N'), END};
static const struct member acknowledged[] = {IS("why", 's'), IS("at", 'd'), END};
static const struct member baseline[] = {IS("name", 's'),
                                         IS("run", 's'),
                                         IS("runs", 'i'),
                                         IS("n", 'i'),
                                         IS("value", 'N'),
                                         IS("shift", 'N'),
                                         IS("interval", 'p'),
                                         IS("interval_why", 'S'),
                                         IS("p", 'N'),
                                         IS("p_adjusted", 'N'),
                                         IS("minimum_effect", 'n'),
                                         ONE("verdict", changes),
                                         IS("why", 'S'),
                                         IS("id", 'S'),
                                         OF("acknowledged", 'O', acknowledged),
                                         END};
static const struct member metric[] = {IS("name", 's'),
                                       ONE("unit", units),
                                       ONE("better", directions),
                                       IS("revision", 'i'),
                                       IS("doc", 's'),
                                       ONE("side", sides),
                                       IS("n", 'i'),
                                       OF("counts", 'o', counts),
                                       IS("value", 'N'),
                                       ONE("of", reductions),
                                       IS("interval", 'p'),
                                       IS("interval_why", 'S'),
                                       IS("level", 'n'),
                                       IS("coverage", 'N'),
                                       IS("min", 'N'),
                                       IS("max", 'N'),
                                       OF("p95", 'o', percentile),
                                       OF("p99", 'o', percentile),
                                       OF("goal", 'O', goal),
                                       OF("baseline", 'O', baseline),
                                       ONE("verdict", verdicts),
                                       IS("verdict_why", 'S'),
                                       IS("source", 'S'),
                                       IS("resolution_s", 'N'),
                                       IS("advice", 'S'),
                                       END};
static const struct member comparison[] = {
        IS("name", 's'),           IS("metric", 's'),      ONE("a", sides),
        ONE("b", sides),           ONE("of", effects),     ONE("unit", ratios),
        ONE("better", directions), IS("method", 's'),      IS("n", 'i'),
        IS("value", 'N'),          IS("interval", 'p'),    IS("interval_why", 'S'),
        IS("level", 'n'),          IS("p", 'N'),           OF("goal", 'O', goal),
        ONE("verdict", verdicts),  IS("verdict_why", 'S'), END};
static const struct member ab[] = {
        IS("metric", 's'),       IS("alpha", 'n'),    IS("minimum_effect", 'n'),
        IS("max_pairs", 'i'),    IS("a", 't'),        IS("b", 't'),
        ONE("state", ab_states), IS("pairs", 'i'),    IS("decided_at", 'I'),
        IS("ratio", 'N'),        IS("interval", 'p'), IS("p", 'N'),
        IS("lost", 'i'),         IS("says", 's'),     END};
static const struct member replicate[] = {
        IS("replicate", 'i'),
        ONE("side", sides),
        IS("attempt", 'i'),
        IS("order", 'I'),
        ONE("state", replicate_states),
        OF("counts", 'o', counts),
        IS("why", 'S'),
        END,
};
static const struct member recording[] = {IS("id", 's'),
                                          IS("directory", 's'),
                                          IS("host", 's'),
                                          IS("kinds", 't'),
                                          ONE("what", recorded_what),
                                          ONE("state", recording_states),
                                          IS("why", 'S'),
                                          IS("samples", 'I'),
                                          IS("lost", 'I'),
                                          IS("duration_s", 'N'),
                                          IS("overhead_host", 'N'),
                                          IS("overhead_sampled", 'N'),
                                          IS("flames", 't'),
                                          END};
static const struct member recorded[] = {IS("kinds", 't'), IS("overhead_host", 'N'),
                                         IS("overhead_sampled", 'N'),
                                         OF("recordings", 'a', recording), END};
static const struct member samples[] = {IS("columns", 'C'), IS("rows", 'R'), END};
static const struct member step[] = {IS("index", 'i'),
                                     IS("hash", 's'),
                                     IS("benchmark", 's'),
                                     IS("targets", 'r'),
                                     IS("params", 'f'),
                                     IS("param_units", 'U'),
                                     IS("order_seed", 'j'),
                                     ONE("state", step_states),
                                     IS("why", 'S'),
                                     IS("started", 'D'),
                                     IS("ended", 'D'),
                                     MAYBE("stopped", stops),
                                     IS("estimate_s", 'N'),
                                     OF("recorded", 'Q', recorded),
                                     OF("counts", 'o', counts),
                                     OF("metrics", 'a', metric),
                                     OF("comparisons", 'a', comparison),
                                     OF("ab", 'O', ab),
                                     OF("replicates", 'a', replicate),
                                     OF("samples", 'o', samples),
                                     END};
static const struct member skipped[] = {IS("step", 'I'),
                                        IS("benchmark", 'S'),
                                        IS("metric", 'S'),
                                        IS("target", 'S'),
                                        IS("why", 's'),
                                        IS("fix", 'S'),
                                        END};
static const struct member document[] = {IS("schema", 's'),          OF("run", 'o', run),
                                         OF("where", 'o', facts),    OF("what", 'o', facts),
                                         OF("targets", 'a', target), OF("steps", 'a', step),
                                         IS("proposals", 'F'),       OF("skipped", 'a', skipped),
                                         IS("notes", 't'),           END};

/* Where we are in the document, as a list on the stack: only a failure makes text of it. */
struct place {
	const struct place *above;
	const char *name; /* NULL: index */
	size_t index;
};

static void path(const struct place *place, struct nova_text *out)
{
	if (place->above)
		path(place->above, out);
	if (!place->name)
		nova_text_addf(out, "[%zu]", place->index);
	else
		nova_text_addf(out, "%s%s", place->above ? "." : "", place->name);
}

static int wrong(const struct place *place, const char *what, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text where = {0};

	path(place, &where);
	return nova_error_set(error, NOVA_E_INVALID, "not a novacore.result/1: %s %s",
	                      nova_text_get(&where), what);
}

static int check_object(const json_t *value, const struct member *members,
                        const struct place *place, struct nova_error *error);

static int check_text(const json_t *value, const struct member *member, const struct place *place,
                      struct nova_error *error)
{
	if (!json_is_string(value))
		return wrong(place, "is not text", error);
	if (strlen(json_string_value(value)) != json_string_length(value))
		return wrong(place, "contains a zero byte", error);
	if (!member->choices)
		return 0;
	for (const char *const *choice = member->choices; *choice; choice++)
		if (!strcmp(*choice, json_string_value(value)))
			return 0;
	return wrong(place, "has a value that is not known", error);
}

/* Century, month, day, hour, minute and second can be such. */
static bool in_range(const char *text)
{
	static const struct {
		int at, least, most;
	} parts[] = {{0, 19, 21}, {5, 1, 12}, {8, 1, 31}, {11, 0, 23}, {14, 0, 59}, {17, 0, 59}};

	for (size_t i = 0; i < NOVA_COUNT(parts); i++) {
		const char *digits = text + parts[i].at;
		int value = (digits[0] - '0') * 10 + digits[1] - '0';

		if (value < parts[i].least || value > parts[i].most)
			return false;
	}
	/* From 1970, where our clocks begin, and before nanoseconds overflow. */
	return strncmp(text, "1970", 4) >= 0;
}

/* "2026-11-20T11:39:16.123Z" */
static int check_time(const json_t *value, const struct place *place, struct nova_error *error)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < sizeof(form); i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			text = NULL;
	if (text && !in_range(text))
		text = NULL;
	return text ? 0 : wrong(place, "is not a time like 2026-11-20T11:39:16.123Z", error);
}

static int check_integer(const json_t *value, bool negative, const struct place *place,
                         struct nova_error *error)
{
	if (!json_is_integer(value))
		return wrong(place, "is not a whole number", error);
	if (!negative && json_integer_value(value) < 0)
		return wrong(place, "is negative", error);
	return 0;
}

static int check_each(const json_t *array, const struct member *member, const struct place *place,
                      struct nova_error *error)
{
	static const struct member text = IS("", 's');
	size_t i;
	json_t *element;
	int code = 0;

	if (!json_is_array(array))
		return wrong(place, "is not an array", error);
	json_array_foreach(array, i, element)
	{
		struct place at = {place, NULL, i};

		if (member->type == 'a')
			code = check_object(element, member->members, &at, error);
		else if (member->type == 't')
			code = check_text(element, &text, &at, error);
		else if (member->type == 'r')
			code = check_integer(element, false, &at, error);
		else if (!json_is_object(element))
			code = wrong(&at, "is not an object", error);
		if (code)
			return code;
	}
	return 0;
}

static int check_map(json_t *map, const struct member *members, const struct place *place,
                     struct nova_error *error)
{
	const char *key;
	json_t *value;

	if (!json_is_object(map))
		return wrong(place, "is not an object", error);
	json_object_foreach(map, key, value)
	{
		struct place at = {place, key, 0};
		int code = check_object(value, members, &at, error);

		if (code)
			return code;
	}
	return 0;
}

static int check_units(json_t *map, const struct place *place, struct nova_error *error)
{
	static const char *const of_params[] = {"ns", "B", "B/s", "1/s", NULL};
	static const struct member unit = ONE("", of_params);
	const char *key;
	json_t *value;
	int code = json_is_object(map) ? 0 : wrong(place, "is not an object", error);

	json_object_foreach(map, key, value)
	{
		struct place at = {place, key, 0};

		if (!code)
			code = check_text(value, &unit, &at, error);
	}
	return code;
}

static int check_interval(const json_t *value, const struct place *place, struct nova_error *error)
{
	if (!json_is_array(value) || json_array_size(value) != 2 ||
	    !json_is_number(json_array_get(value, 0)) || !json_is_number(json_array_get(value, 1)))
		return wrong(place, "is not an interval [low, high]", error);
	if (json_number_value(json_array_get(value, 0)) >
	    json_number_value(json_array_get(value, 1)))
		return wrong(place, "is an interval that ends before it begins", error);
	return 0;
}

static int check_columns(const json_t *value, const struct place *place, struct nova_error *error)
{
	size_t count = NOVA_COUNT(columns) - 1;

	if (json_array_size(value) != count)
		return wrong(place, "are not the columns of novacore.result/1", error);
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string_value(json_array_get(value, i));
		if (!name || strcmp(name, columns[i]) != 0)
			return wrong(place, "are not the columns of novacore.result/1", error);
	}
	return 0;
}

static int check_row(const json_t *row, const struct place *place, struct nova_error *error)
{
	static const struct member cells[] = {
	        IS("replicate", 'i'),   IS("attempt", 'i'),  ONE("side", sides),
	        IS("vm", 'I'),          IS("metric", 's'),   ONE("status", statuses),
	        IS("value", 'N'),       IS("t_ns", 'j'),     IS("seq", 'i'),
	        IS("intended_ns", 'j'), IS("error_ns", 'i'), IS("counted", 'b'),
	        IS("why", 'S')};
	bool ok;

	if (json_array_size(row) != NOVA_COUNT(cells))
		return wrong(place, "does not have one cell for each column", error);
	for (size_t i = 0; i < NOVA_COUNT(cells); i++) {
		const json_t *cell = json_array_get(row, i);
		struct place at = {place, cells[i].name, 0};
		int code = 0;

		if (cells[i].type == 's' || (cells[i].type == 'S' && !json_is_null(cell)))
			code = check_text(cell, &cells[i], &at, error);
		else if (cells[i].type == 'b' && !json_is_boolean(cell))
			code = wrong(&at, "is neither true nor false", error);
		else if (cells[i].type == 'N' && !json_is_number(cell) && !json_is_null(cell))
			code = wrong(&at, "is neither a number nor null", error);
		else if (strchr("ij", cells[i].type) ||
		         (cells[i].type == 'I' && !json_is_null(cell)))
			code = check_integer(cell, cells[i].type == 'j', &at, error);
		if (code)
			return code;
	}
	ok = !strcmp(json_string_value(json_array_get(row, 5)), "ok");
	if (ok != json_is_number(json_array_get(row, 6)))
		return wrong(place, "has a value without being ok, or is ok without a value",
		             error);
	return 0;
}

static int check_rows(const json_t *rows, const struct place *place, struct nova_error *error)
{
	size_t i;
	json_t *row;

	if (!json_is_array(rows))
		return wrong(place, "is not an array", error);
	json_array_foreach(rows, i, row)
	{
		struct place at = {place, NULL, i};
		int code = check_row(row, &at, error);

		if (code)
			return code;
	}
	return 0;
}

static int check_value(json_t *value, const struct member *member, const struct place *place,
                       struct nova_error *error)
{
	switch (member->type) {
	case 'D':
		if (json_is_null(value))
			return 0;
		/* fallthrough */
	case 'd': return check_time(value, place, error);
	case 'S':
		if (json_is_null(value))
			return 0;
		/* fallthrough */
	case 's': return check_text(value, member, place, error);
	case 'I':
		if (json_is_null(value))
			return 0;
		/* fallthrough */
	case 'i':
	case 'j': return check_integer(value, member->type == 'j', place, error);
	case 'N':
		if (json_is_null(value))
			return 0;
		/* fallthrough */
	case 'n': return json_is_number(value) ? 0 : wrong(place, "is not a number", error);
	case 'b': return json_is_boolean(value) ? 0 : wrong(place, "is not true or false", error);
	case 'f': return json_is_object(value) ? 0 : wrong(place, "is not an object", error);
	case 'O':
		if (json_is_null(value))
			return 0;
		/* fallthrough */
	case 'Q':
	case 'o': return check_object(value, member->members, place, error);
	case 'm': return check_map(value, member->members, place, error);
	case 'U': return check_units(value, place, error);
	case 'p': return json_is_null(value) ? 0 : check_interval(value, place, error);
	case 'C': return check_columns(value, place, error);
	case 'R': return check_rows(value, place, error);
	default: return check_each(value, member, place, error);
	}
}

static int check_object(const json_t *value, const struct member *members,
                        const struct place *place, struct nova_error *error)
{
	size_t known = 0;
	const char *key;
	json_t *inner;

	if (!json_is_object(value))
		return wrong(place, "is not an object", error);
	for (const struct member *member = members; member->name; member++) {
		struct place at = {place, member->name, 0};
		json_t *part = json_object_get(value, member->name);
		int code = 0;

		known += part != NULL;
		if (part)
			code = check_value(part, member, &at, error);
		else if (member->type != 'U' && member->type != 'Q')
			code = wrong(&at, "is missing", error);
		if (code)
			return code;
	}
	if (json_object_size(value) == known)
		return 0;
	json_object_foreach((json_t *)value, key, inner)
	{
		const struct member *member = members;
		struct place at = {place, key, 0};

		while (member->name && strcmp(member->name, key) != 0)
			member++;
		if (!member->name)
			return wrong(&at, "is not known", error);
	}
	return 0;
}

static bool is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form); i++) {
		bool hex = text[i] && strchr("0123456789abcdef", text[i]);
		if (form[i] == 'x' ? !hex : text[i] != form[i])
			return false;
	}
	return true;
}

/* What refers to something else in the document must find it. */
static int check_references(const json_t *result, struct nova_error *error)
{
	const json_t *steps = json_object_get(result, "steps");
	size_t targets = json_array_size(json_object_get(result, "targets")), i, j;
	struct place root = {NULL, "steps", 0};
	json_t *one, *number;

	json_array_foreach(steps, i, one)
	{
		struct place at = {&root, NULL, i}, below = {&at, "targets", 0};

		json_array_foreach(json_object_get(one, "targets"), j, number)
		{
			if (json_integer_value(number) >= (json_int_t)targets)
				return wrong(&below, "names a target that is not there", error);
		}
	}
	return 0;
}

int nova_report_check(const json_t *result, struct nova_error *error)
{
	static const char prefix[] = "novacore.result/";
	const char *schema = json_string_value(json_object_get(result, "schema"));
	struct place id = {NULL, "run.id", 0};
	int code = 0;

	if (!schema || strncmp(schema, prefix, sizeof(prefix) - 1) != 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "not a result of novacore: it has no \"schema\": "
		                      "\"novacore.result/1\"");
	if (strcmp(schema, "novacore.result/1") != 0)
		return nova_error_set(error, NOVA_E_UNSUPPORTED,
		                      "a result of form %s; this novacore knows novacore.result/1: "
		                      "use a newer one",
		                      schema);
	for (const struct member *member = document; member->name && !code; member++) {
		struct place at = {NULL, member->name, 0};
		json_t *part = json_object_get(result, member->name);

		code = part ? check_value(part, member, &at, error)
		            : wrong(&at, "is missing", error);
	}
	if (!code && json_object_size(result) != NOVA_COUNT(document) - 1)
		code = nova_error_set(error, NOVA_E_INVALID,
		                      "not a novacore.result/1: it has members that are not known");
	if (!code &&
	    !is_uuid(json_string_value(json_object_get(json_object_get(result, "run"), "id"))))
		code = wrong(&id, "is no UUID in lower case", error);
	return code ? code : check_references(result, error);
}
