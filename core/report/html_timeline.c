/* SPDX-License-Identifier: MIT */
/*
 * Figures of what happened to each VM: the timeline of a burst, and migrations with their
 * downtimes beside each other.
 */
#include "core/report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_VMS        2000 /* lines in a timeline; the caption says if there were more */
#define MOST_MIGRATIONS 200

/* --- the timeline of a burst ----------------------------------------------------------------- */

/* What a VM comes to, in order. Metrics of these end points share their prefix. */
static const char *const ends[] = {"running", "first", "ready"};
#define ENDS NOVA_COUNT(ends)

struct vm {
	long long replicate, attempt, number;
	const char *side;
	double begin, at[ENDS]; /* seconds; NaN: never */
	bool failed;
};

static int same_vm(const struct vm *a, const struct vm *b)
{
	int order = (a->replicate > b->replicate) - (a->replicate < b->replicate);

	if (!order)
		order = (a->attempt > b->attempt) - (a->attempt < b->attempt);
	if (!order)
		order = (a->number > b->number) - (a->number < b->number);
	return order ? order : strcmp(a->side, b->side);
}

static int by_identity(const void *a, const void *b)
{
	return same_vm(a, b);
}

static int by_begin(const void *a, const void *b)
{
	const struct vm *left = a, *right = b;

	return left->begin != right->begin ? (left->begin > right->begin ? 1 : -1) : same_vm(a, b);
}

/* "density.start." if there is a metric density.start.running (or else …ready). NULL: none. */
static char *prefix_of(const json_t *step)
{
	size_t i;
	json_t *metric;

	for (size_t e = 0; e < ENDS; e++)
		json_array_foreach(json_object_get(step, "metrics"), i, metric)
		{
			const char *name = nova_report_text(metric, "name");
			const char *last = strrchr(name, '.');

			if (last && !strcmp(last + 1, ends[e]) &&
			    !strcmp(nova_report_text(metric, "unit"), "s"))
				return nova_format("%.*s", (int)(last + 1 - name), name);
		}
	return NULL;
}

/* Begin: when it was intended to; without an open loop, when the call was made. */
static struct vm vm_of(const struct nova_html_sample *sample, size_t end)
{
	struct vm vm = {sample->replicate,
	                sample->attempt,
	                sample->vm,
	                sample->side,
	                NAN,
	                {NAN, NAN, NAN},
	                sample->status != NOVA_SAMPLE_OK};
	double at = (double)sample->t_ns / 1e9;

	if (sample->intended_ns)
		vm.begin = (double)sample->intended_ns / 1e9;
	else if (!vm.failed)
		vm.begin = at - sample->value;
	if (!vm.failed)
		vm.at[end] = at;
	return vm;
}

/* One entry for each VM, sorted by when it began. */
static size_t gather(const struct nova_html_samples *samples, const char *prefix, struct vm **vms)
{
	struct nova_html_samples own[ENDS];
	size_t count = 0, merged = 0, total = 0;

	for (size_t e = 0; e < ENDS; e++) {
		NOVA_AUTOFREE char *name = nova_format("%s%s", prefix, ends[e]);
		own[e] = nova_html_samples_find(samples, name, NULL);
		total += own[e].count;
	}
	*vms = nova_alloc((total + 1) * sizeof(**vms));
	for (size_t e = 0; e < ENDS; e++)
		for (size_t i = 0; i < own[e].count; i++)
			if (own[e].all[i].vm >= 0)
				(*vms)[count++] = vm_of(&own[e].all[i], e);
	if (!count)
		return 0;
	qsort(*vms, count, sizeof(**vms), by_identity);
	for (size_t i = 1; i < count; i++) {
		struct vm *into = &(*vms)[merged], *from = &(*vms)[i];

		if (same_vm(into, from)) {
			(*vms)[++merged] = *from;
			continue;
		}
		into->begin = fmin(into->begin, from->begin);
		into->failed |= from->failed;
		for (size_t e = 0; e < ENDS; e++)
			into->at[e] = fmin(into->at[e], from->at[e]);
	}
	count = merged + 1;
	merged = 0;
	for (size_t i = 0; i < count; i++)
		if (!isnan((*vms)[i].begin))
			(*vms)[merged++] = (*vms)[i];
	if (merged)
		qsort(*vms, merged, sizeof(**vms), by_begin);
	return merged;
}

static double last_of(const struct vm *vm)
{
	double last = vm->begin;

	for (size_t e = 0; e < ENDS; e++)
		last = fmax(last, vm->at[e]);
	return last;
}

/* VMs one after the other say more when each begins at zero. */
static bool overlap(const struct vm *vms, size_t count)
{
	size_t overlapping = 0;
	double latest = -INFINITY;

	for (size_t i = 0; i < count; i++) {
		overlapping += vms[i].begin < latest ? 1 : 0;
		latest = fmax(latest, last_of(&vms[i]));
	}
	return overlapping * 2 >= count;
}

/* Shifts times so that the picture begins at zero; returns how long it lasts. */
static double align(struct vm *vms, size_t count, bool together)
{
	double zero = vms[0].begin, end = 0;

	for (size_t i = 0; i < count; i++) {
		double shift = together ? zero : vms[i].begin;

		for (size_t e = 0; e < ENDS; e++)
			vms[i].at[e] -= shift;
		vms[i].begin -= shift;
		end = fmax(end, last_of(&vms[i]));
	}
	return end;
}

/* From one end point to the next: thin, thicker, thickest, so that it reads without colour. */
static void draw_phase(struct nova_text *out, const struct vm *vms, size_t count, size_t phase,
                       const struct nova_scale *x, double top, double line)
{
	static const double thickness[] = {0.28, 0.5, 0.8};
	static const char *const classes[] = {"waiting", "booting", "starting"};

	nova_text_addf(out, "<path class=\"phase %s\" stroke-width=\"%.2f\" d=\"", classes[phase],
	               fmax(0.5, line * thickness[phase]));
	for (size_t i = 0; i < count; i++) {
		double from = vms[i].begin, to = vms[i].at[phase];

		for (size_t e = 0; e < phase; e++)
			from = isnan(vms[i].at[e]) ? from : fmax(from, vms[i].at[e]);
		if (!isnan(to) && to >= from)
			nova_text_addf(out, "M%.1f %.1fH%.1f", nova_scale_at(x, from),
			               top + line * ((double)i + 0.5), nova_scale_at(x, to));
	}
	nova_text_add(out, "\"/>");
}

static void draw_failed(struct nova_text *out, const struct vm *vms, size_t count,
                        const struct nova_scale *x, double top, double line)
{
	nova_text_add(out, "<path class=\"failed\" d=\"");
	for (size_t i = 0; i < count; i++)
		if (vms[i].failed)
			nova_text_addf(out, "M%.1f %.1fl6 6m0-6l-6 6",
			               nova_scale_at(x, last_of(&vms[i])),
			               top + line * ((double)i + 0.5) - 3);
	nova_text_add(out, "\"/>");
}

static void draw_key(struct nova_text *out, bool failed)
{
	static const char *const texts[] = {"until it runs", "until its first sign",
	                                    "until it is ready"};
	static const char *const classes[] = {"waiting", "booting", "starting"};
	static const double widths[] = {3, 5, 8};

	for (size_t i = 0; i < NOVA_COUNT(texts); i++)
		nova_text_addf(out,
		               "<path class=\"phase %s\" stroke-width=\"%.0f\" d=\"M%zu 30h24\"/>"
		               "<text x=\"%zu\" y=\"34\">%s</text>",
		               classes[i], widths[i], 60 + 160 * i, 90 + 160 * i, texts[i]);
	if (failed)
		nova_text_add(out, "<path class=\"failed\" d=\"M545 27l6 6m0-6l-6 6\"/>"
		                   "<text x=\"558\" y=\"34\">failed or timed out</text>");
}

static void draw_timeline(struct nova_html *html, struct vm *vms, size_t all)
{
	size_t count = all < MOST_VMS ? all : MOST_VMS, failed = 0, ready = 0;
	bool together = overlap(vms, count);
	double line = count <= 40 ? 12 : count <= 110 ? 6 : fmax(0.7, 640.0 / (double)count);
	double span[2] = {0, align(vms, count, together)}, top = 48;
	double bottom = top + line * (double)count + 4;
	struct nova_scale x = nova_scale_of(span, 2, 0, 60, 930);
	char text[32];

	x.low = 0;
	for (size_t i = 0; i < count; i++) {
		failed += vms[i].failed;
		ready += isnan(vms[i].at[ENDS - 1]) ? 0 : 1;
	}
	nova_value_format(span[1], NOVA_UNIT_SECOND, text);
	NOVA_AUTOFREE char *numbers =
	        nova_format("%zu VMs%s, a line each, in the order in which they were to begin; %zu "
	                    "became ready, "
	                    "%zu failed or timed out; the last event is at %s. %s",
	                    count, count < all ? " (the first of more)" : "", ready, failed, text,
	                    together ? "Time counts from the first VM's intended begin."
	                             : "They ran one after the other: each line begins at zero.");
	nova_plot_begin(&html->out, html->figures++, 960, bottom + 22, true, "Timeline of each VM",
	                numbers);
	nova_text_add(&html->out,
	              "<text class=\"title\" x=\"0\" y=\"12\">Timeline of each VM</text>");
	draw_key(&html->out, failed);
	nova_plot_axis_x(&html->out, &x, bottom, top - 4, NOVA_UNIT_SECOND);
	nova_text_addf(&html->out, "<text x=\"52\" y=\"%.1f\" text-anchor=\"end\">1</text>",
	               top + 9);
	if (line * (double)count > 30)
		nova_text_addf(&html->out,
		               "<text x=\"52\" y=\"%.1f\" text-anchor=\"end\">%zu</text>",
		               bottom - 4, count);
	for (size_t phase = 0; phase < ENDS; phase++)
		draw_phase(&html->out, vms, count, phase, &x, top, line);
	draw_failed(&html->out, vms, count, &x, top, line);
	nova_plot_end(&html->out, true, numbers);
}

void nova_html_timeline(struct nova_html *html, const json_t *step,
                        const struct nova_html_samples *samples)
{
	NOVA_AUTOFREE char *prefix = prefix_of(step);
	struct vm *vms = NULL;
	size_t count = prefix ? gather(samples, prefix, &vms) : 0;

	if (count >= 3) {
		nova_text_add(&html->out, "<h4>VM by VM</h4>\n");
		draw_timeline(html, vms, count);
	}
	free(vms);
}

/* --- migrations ------------------------------------------------------------------------------ */

enum trace { REPORTED, STUN, FLOOR, TRACES };
static const char *const trace_names[TRACES] = {"migration.downtime.reported",
                                                "migration.stun.observed", "migration.stun.floor"};
/* What else is told of each migration, in the table. */
static const struct {
	const char *metric, *title;
} details[] = {
        {"migration.duration", "duration"},   {"migration.moved", "moved"},
        {"migration.rate", "rate"},           {"migration.iterations", "iterations"},
        {"migration.work.lost", "work lost"},
};

struct migration {
	long long replicate, attempt, vm, seq;
	double traces[TRACES];
	bool failed;
};

static bool same_migration(const struct migration *migration, const struct nova_html_sample *sample)
{
	return migration->replicate == sample->replicate && migration->attempt == sample->attempt &&
	       migration->vm == sample->vm && migration->seq == sample->seq;
}

/* At most MOST_MIGRATIONS, so that a search through all of them is short. */
static size_t gather_migrations(const struct nova_html_samples *samples,
                                struct migration migrations[MOST_MIGRATIONS])
{
	size_t count = 0;

	for (size_t t = 0; t < TRACES; t++) {
		struct nova_html_samples own =
		        nova_html_samples_find(samples, trace_names[t], NULL);

		for (size_t i = 0; i < own.count; i++) {
			const struct nova_html_sample *sample = &own.all[i];
			size_t at = 0;

			while (at < count && !same_migration(&migrations[at], sample))
				at++;
			if (at == MOST_MIGRATIONS)
				continue;
			if (at == count)
				migrations[count++] = (struct migration){
				        sample->replicate, sample->attempt, sample->vm,
				        sample->seq,       {NAN, NAN, NAN}, false};
			if (sample->status == NOVA_SAMPLE_OK)
				migrations[at].traces[t] = sample->value;
			else
				migrations[at].failed = true;
		}
	}
	return count;
}

static void draw_marks(struct nova_text *out, const struct migration *one,
                       const struct nova_scale *x, double y)
{
	const double *at = one->traces;

	if (!isnan(at[REPORTED]) && !isnan(at[STUN]))
		nova_text_addf(out, "<path class=\"link\" d=\"M%.1f %.1fH%.1f\"/>",
		               nova_scale_at(x, at[REPORTED]), y, nova_scale_at(x, at[STUN]));
	if (!isnan(at[FLOOR]))
		nova_text_addf(out, "<path class=\"floor\" d=\"M%.1f %.1fv10\"/>",
		               nova_scale_at(x, at[FLOOR]), y - 5);
	if (!isnan(at[REPORTED]))
		nova_text_addf(out, "<circle class=\"ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
		               nova_scale_at(x, at[REPORTED]), y);
	if (!isnan(at[STUN]))
		nova_text_addf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
		               nova_scale_at(x, at[STUN]), y);
	if (one->failed)
		nova_text_addf(out, "<path class=\"failed\" d=\"M%.1f %.1fl6 6m0-6l-6 6\"/>",
		               x->from, y - 3);
}

static void draw_migrations(struct nova_html *html, const struct migration *all, size_t count)
{
	double values[MOST_MIGRATIONS * TRACES] = {0}, line = count <= 30 ? 18 : 11, top = 48;
	double bottom = top + line * (double)count + 2;
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(values + i * TRACES, all[i].traces, sizeof(all[i].traces));
		failed += all[i].failed;
	}
	struct nova_scale x = nova_scale_of(values, count * TRACES, 8, 60, 930);
	NOVA_AUTOFREE char *numbers = nova_format(
	        "%zu migrations, a line each; %zu failed. A ring is the downtime that the "
	        "hypervisor "
	        "reports, a disc the gap that was seen from outside (stun), a stroke the least gap "
	        "that could be told from noise. The numbers are in the table below.",
	        count, failed);
	nova_plot_begin(&html->out, html->figures++, 960, bottom + 22, true,
	                "Downtime, reported and observed", numbers);
	nova_text_add(
	        &html->out,
	        "<text class=\"title\" x=\"0\" y=\"12\">Downtime, reported and observed</text>"
	        "<circle class=\"ring\" cx=\"66\" cy=\"30\" r=\"4\"/>"
	        "<text x=\"76\" y=\"34\">reported</text>"
	        "<circle class=\"dot\" cx=\"166\" cy=\"30\" r=\"4\"/>"
	        "<text x=\"176\" y=\"34\">observed</text>"
	        "<path class=\"floor\" d=\"M266 25v10\"/>"
	        "<text x=\"274\" y=\"34\">noise floor</text>");
	nova_plot_axis_x(&html->out, &x, bottom, top - 4, NOVA_UNIT_SECOND);
	for (size_t i = 0; i < count; i++) {
		double y = top + line * ((double)i + 0.5);

		nova_text_addf(&html->out,
		               "<text x=\"52\" y=\"%.1f\" text-anchor=\"end\">%zu</text>", y + 4,
		               i + 1);
		draw_marks(&html->out, &all[i], &x, y);
	}
	nova_plot_end(&html->out, true, numbers);
}

/* The cell of a migration and a metric: its value, or how it ended. */
static void add_cell(struct nova_text *out, const json_t *step,
                     const struct nova_html_samples *samples, const char *name,
                     const struct migration *one)
{
	struct nova_html_samples own = nova_html_samples_find(samples, name, NULL);
	size_t i;
	json_t *metric;
	const char *unit = NULL;

	json_array_foreach(json_object_get(step, "metrics"), i, metric)
	{
		if (!strcmp(nova_report_text(metric, "name"), name))
			unit = nova_report_text(metric, "unit");
	}
	nova_text_add(out, "<td class=\"number\">");
	for (i = 0; i < own.count; i++) {
		NOVA_AUTOJSON json_t *value = json_real(own.all[i].value);

		if (!same_migration(one, &own.all[i]))
			continue;
		if (own.all[i].status == NOVA_SAMPLE_OK)
			nova_html_value(out, value, nova_report_unit(unit));
		else
			nova_text_add(out, own.all[i].status == NOVA_SAMPLE_FAILED ? "failed"
			                                                           : "timed out");
		break;
	}
	nova_text_add(out, i == own.count ? "–</td>" : "</td>");
}

static void tabulate(struct nova_html *html, const json_t *step,
                     const struct nova_html_samples *samples, const struct migration *all,
                     size_t count)
{
	struct nova_text *out = &html->out;

	nova_text_add(out, "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Each "
	                   "migration\"><table><caption>Each migration</caption><thead><tr><th "
	                   "scope=\"col\">#</th><th scope=\"col\">reported</th><th "
	                   "scope=\"col\">observed</th><th scope=\"col\">noise floor</th>");
	for (size_t d = 0; d < NOVA_COUNT(details); d++)
		nova_html_element(out, "th", "scope=\"col\"", details[d].title);
	nova_text_add(out, "</tr></thead><tbody>\n");
	for (size_t i = 0; i < count; i++) {
		nova_text_addf(out, "<tr><th scope=\"row\">%zu</th>", i + 1);
		for (size_t t = 0; t < TRACES; t++)
			add_cell(out, step, samples, trace_names[t], &all[i]);
		for (size_t d = 0; d < NOVA_COUNT(details); d++)
			add_cell(out, step, samples, details[d].metric, &all[i]);
		nova_text_add(out, "</tr>\n");
	}
	nova_text_add(out, "</tbody></table></div>\n");
}

void nova_html_migrations(struct nova_html *html, const json_t *step,
                          const struct nova_html_samples *samples)
{
	NOVA_AUTOFREE struct migration *all = nova_alloc(MOST_MIGRATIONS * sizeof(*all));
	size_t count = gather_migrations(samples, all);

	if (!count)
		return;
	nova_text_add(&html->out, "<h4>Migrations</h4>\n");
	draw_migrations(html, all, count);
	tabulate(html, step, samples, all, count);
}
