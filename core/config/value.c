/* SPDX-License-Identifier: MIT */
/*
 * From what was written to a typed value: units, ranges, choices. Error texts begin with origin and
 * key, and say what would be right.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/internal.h"

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int value_number(const char *text, double *value)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char *end;

	pthread_once(&once, make_c_locale);
	/* strtod also takes "inf", "nan", "0x1p3" and leading space */
	if (*text == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
		return NOVA_E_INVALID;
	*value = strtod_l(text, &end, c_locale);
	return *end == '\0' && isfinite(*value) ? 0 : NOVA_E_INVALID;
}

static int read_integer(const char *text, int64_t *value)
{
	char *end;
	size_t sign = *text == '-' || *text == '+';

	if (text[sign] == '\0' || text[sign + strspn(text + sign, "0123456789")] != '\0')
		return NOVA_E_INVALID;
	errno = 0;
	*value = strtoll(text, &end, 10);
	return errno == 0 ? 0 : NOVA_E_INVALID;
}

static const char *const raw_names[] = {
        [RAW_WORD] = "a word",
        [RAW_TEXT] = "a text",
        [RAW_INTEGER] = "a whole number",
        [RAW_NUMBER] = "a number",
        [RAW_BOOLEAN] = "true or false",
};

/* Integers and numbers also come as texts: libconfig has none beyond 31 bits, nor "1e5". */
static int as_integer(const struct raw *raw, struct scalar *out, struct nova_error *error)
{
	if (raw->kind == RAW_BOOLEAN || read_integer(raw->text, &out->i64) != 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "\"%.60s\" is not a whole number; write one such as 10",
		                      raw->text);
	out->f64 = (double)out->i64;
	out->text = nova_format("%lld", (long long)out->i64);
	return 0;
}

static int as_number(const struct raw *raw, struct scalar *out, struct nova_error *error)
{
	if (raw->kind == RAW_BOOLEAN || value_number(raw->text, &out->f64) != 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "\"%.60s\" is not a number; write one such as 0.5",
		                      raw->text);
	out->i64 = fabs(out->f64) < 9e18 ? (int64_t)out->f64 : 0;
	out->text = nova_strdup(raw->text);
	return 0;
}

static int as_quantity(const struct raw *raw, enum nova_quantity quantity, struct scalar *out,
                       struct nova_error *error)
{
	int code = nova_quantity_parse(raw->text, quantity, &out->f64, error);
	if (code != 0)
		return code;
	out->i64 = out->f64 < 9.2e18 ? (int64_t)out->f64 : INT64_MAX;
	out->text = nova_strdup(raw->text);
	return 0;
}

static int as_boolean(const struct raw *raw, struct scalar *out, struct nova_error *error)
{
	bool yes = strcmp(raw->text, "true") == 0;
	if ((raw->kind != RAW_BOOLEAN && raw->kind != RAW_WORD) ||
	    (!yes && strcmp(raw->text, "false") != 0))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "\"%.60s\" is neither true nor false (written without quotes)", raw->text);
	out->i64 = yes;
	out->f64 = yes;
	out->text = nova_strdup(raw->text);
	return 0;
}

static int as_choice(const struct nova_spec *spec, const struct raw *raw, struct scalar *out,
                     struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text all = {0};

	for (char *const *choice = spec->choices; choice && *choice; choice++) {
		if (strcmp(*choice, raw->text) == 0) {
			out->text = nova_strdup(raw->text);
			return 0;
		}
		nova_text_addf(&all, "%s%s", all.length ? ", " : "", *choice);
	}
	const char *nearest = nova_nearest(raw->text, (const char *const *)spec->choices);
	return nova_error_set(error, NOVA_E_INVALID, "\"%.60s\" is not one of %s%s%s%s", raw->text,
	                      nova_text_get(&all), nearest ? "; did you mean \"" : "",
	                      nearest ? nearest : "", nearest ? "\"?" : "");
}

static int as_text(const struct nova_spec *spec, const struct raw *raw, struct scalar *out,
                   struct nova_error *error)
{
	if (raw->kind != RAW_TEXT && raw->kind != RAW_WORD)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s is %s where a text belongs; write it in quotes",
		                      raw->text, raw_names[raw->kind]);
	const char *home = getenv("HOME");
	if (spec->type == NOVA_PARAM_PATH && strncmp(raw->text, "~/", 2) == 0 && home)
		out->text = nova_format("%s%s", home, raw->text + 1);
	else
		out->text = nova_strdup(raw->text);
	return 0;
}

static int convert(const struct nova_spec *spec, const struct raw *raw, struct scalar *out,
                   struct nova_error *error)
{
	switch (spec->type) {
	case NOVA_PARAM_INTEGER: return as_integer(raw, out, error);
	case NOVA_PARAM_NUMBER: return as_number(raw, out, error);
	case NOVA_PARAM_SIZE: return as_quantity(raw, NOVA_SIZE, out, error);
	case NOVA_PARAM_DURATION: return as_quantity(raw, NOVA_DURATION, out, error);
	case NOVA_PARAM_RATE: return as_quantity(raw, NOVA_RATE, out, error);
	case NOVA_PARAM_BOOLEAN: return as_boolean(raw, out, error);
	case NOVA_PARAM_CHOICE: return as_choice(spec, raw, out, error);
	default: return as_text(spec, raw, out, error);
	}
}

static bool is_below(const struct nova_spec *spec, const struct scalar *a, const struct scalar *b)
{
	/* doubles cannot tell integers beyond 2^53 apart */
	return spec->type == NOVA_PARAM_INTEGER ? a->i64 < b->i64 : a->f64 < b->f64;
}

static int check_range(const struct nova_spec *spec, const struct scalar *value,
                       struct nova_error *error)
{
	struct scalar low = {0}, high = {0};
	struct raw minimum = {RAW_WORD, spec->minimum}, maximum = {RAW_WORD, spec->maximum};
	bool outside = false;

	if (spec->minimum && convert(spec, &minimum, &low, NULL) == 0)
		outside = is_below(spec, value, &low);
	if (spec->maximum && convert(spec, &maximum, &high, NULL) == 0)
		outside = outside || is_below(spec, &high, value);
	free(low.text);
	free(high.text);
	if (!outside)
		return 0;
	if (spec->minimum && spec->maximum)
		return nova_error_set(error, NOVA_E_INVALID, "%s is out of range (%s to %s)",
		                      value->text, spec->minimum, spec->maximum);
	return nova_error_set(error, NOVA_E_INVALID, "%s is out of range (%s %s)", value->text,
	                      spec->minimum ? "at least" : "at most",
	                      spec->minimum ? spec->minimum : spec->maximum);
}

int value_read(const struct nova_spec *spec, const struct raw *raw, struct scalar *out,
               struct nova_error *error)
{
	*out = (struct scalar){0};
	int code = convert(spec, raw, out, error);
	bool ranged = spec->type >= NOVA_PARAM_INTEGER && spec->type <= NOVA_PARAM_RATE;
	if (code == 0 && ranged)
		code = check_range(spec, out, error);
	if (code != 0) {
		free(out->text);
		*out = (struct scalar){0};
	}
	return code;
}

void key_unset(struct key *key)
{
	for (size_t i = 0; i < key->count; i++)
		free(key->items[i].text);
	free(key->items);
	free(key->origin);
	free(key->shown);
	key->items = NULL;
	key->origin = key->shown = NULL;
	key->count = 0;
	key->set = key->exposed = false;
	key->layer = 0;
}

void key_clear(struct key *key)
{
	key_unset(key);
	free(key->name);
	nova_spec_free(&key->spec);
}

static char **copy_list(char *const *list)
{
	if (!list)
		return NULL;
	size_t count = 0;
	while (list[count])
		count++;
	char **copy = nova_alloc((count + 1) * sizeof(*copy));
	for (size_t i = 0; i < count; i++)
		copy[i] = nova_strdup(list[i]);
	return copy;
}

void spec_copy(struct nova_spec *to, const struct nova_spec *from)
{
	*to = (struct nova_spec){
	        .type = from->type,
	        .flags = from->flags,
	        .name = nova_strdup(from->name),
	        .doc = nova_strdup(from->doc),
	        .fallback = nova_strdup(from->fallback),
	        .minimum = nova_strdup(from->minimum),
	        .maximum = nova_strdup(from->maximum),
	        .choices = copy_list(from->choices),
	};
}

void nova_spec_free(struct nova_spec *spec)
{
	free(spec->name);
	free(spec->doc);
	free(spec->fallback);
	free(spec->minimum);
	free(spec->maximum);
	for (char **choice = spec->choices; choice && *choice; choice++)
		free(*choice);
	free(spec->choices);
	*spec = (struct nova_spec){0};
}

static void show(struct key *key)
{
	NOVA_AUTOTEXT struct nova_text all = {0};
	for (size_t i = 0; i < key->count; i++)
		nova_text_addf(&all, "%s%s", i ? "," : "", key->items[i].text);
	bool hide = key->spec.type == NOVA_PARAM_SECRET;
	key->shown = nova_strdup(hide ? "***" : nova_text_get(&all));
}

static void add_item(struct key *key, struct scalar item)
{
	key->items = nova_grow(key->items, key->count, sizeof(*key->items));
	key->items[key->count++] = item;
}

/* A word of --set or a default for a list: its elements stand between commas. */
static int read_words(struct key *key, const char *words, struct nova_error *error)
{
	while (*words) {
		size_t length = strcspn(words, ",");
		NOVA_AUTOFREE char *word = nova_format("%.*s", (int)length, words);
		struct raw raw = {RAW_WORD, word};
		struct scalar item;
		int code = value_read(&key->spec, &raw, &item, error);
		if (code != 0)
			return code;
		add_item(key, item);
		words += length;
		if (*words == ',' && words[1] == '\0')
			return nova_error_set(error, NOVA_E_INVALID,
			                      "nothing follows the last comma");
		words += *words == ',';
	}
	return 0;
}

static int check_form(const struct key *key, const struct assignment *from,
                      struct nova_error *error)
{
	bool wants_list = key->spec.flags & NOVA_PARAM_LIST;
	bool word = from->count == 1 && from->items[0].kind == RAW_WORD;

	if (wants_list && !from->list && !word)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "is a list: write its values in brackets, such as %s",
		                      from->count && from->items[0].kind == RAW_TEXT
		                              ? "[\"a\", \"b\"]"
		                              : "[1, 5]");
	if (wants_list && word && from->items[0].text[0] == '[')
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "is a list: here its values stand between commas, such as 1,5");
	if (!wants_list && (from->list || from->count != 1))
		return nova_error_set(error, NOVA_E_INVALID, "takes one value, not a list");
	return 0;
}

/* A secret itself, rather than a reference to it, only from where nobody else can read it. */
static int check_secret(const struct key *key, struct nova_error *error)
{
	for (size_t i = 0; i < key->count; i++) {
		if (secret_is_reference(key->items[i].text))
			continue;
		nova_secret_add(key->items[i].text);
		if (!key->exposed)
			continue;
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "a secret does not belong here, where others can read it; write env:NAME, "
		        "file:PATH or keyring:NAME, or keep it in a file with mode 600");
	}
	return 0;
}

int key_assign(struct key *key, const struct assignment *from, struct nova_error *error)
{
	key_unset(key);
	key->set = true;
	key->layer = from->layer;
	key->exposed = from->exposed;
	key->origin = nova_strdup(from->origin);
	int code = check_form(key, from, error);
	bool list = key->spec.flags & NOVA_PARAM_LIST;
	if (code == 0 && list && !from->list)
		code = read_words(key, from->items[0].text, error);
	else
		for (size_t i = 0; code == 0 && i < from->count; i++) {
			struct scalar item;
			code = value_read(&key->spec, &from->items[i], &item, error);
			if (code == 0)
				add_item(key, item);
		}
	if (code == 0 && key->spec.type == NOVA_PARAM_SECRET)
		code = check_secret(key, error);
	if (code != 0) {
		nova_error_prefix(error, "%s: %s", from->origin, key->name);
		return code;
	}
	show(key);
	return 0;
}

int key_fallback(struct key *key, struct nova_error *error)
{
	if (key->set || !key->spec.fallback)
		return 0;
	struct raw word = {RAW_WORD, key->spec.fallback};
	struct assignment from = {.layer = NOVA_LAYER_DEFAULT,
	                          .key = key->name,
	                          .origin = (char *)"default",
	                          .items = &word,
	                          .count = 1};
	return key_assign(key, &from, error);
}
