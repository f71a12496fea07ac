/* SPDX-License-Identifier: MIT */
/*
 * What is inlined where, by DWARF. libdw's dwarf_getscopes walks through a whole unit for each
 * address; here a unit's functions are listed once, and addresses come sorted, so that one list is
 * kept at a time.
 */
#include "core/profiler/record.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <string.h>

#define MOST_NESTING 64 /* of scopes; broken files must not eat the stack */
#define MOST_RANGES  4000000u
#define MOST_VISITED 200000000u /* entries of a file: trees of broken ones may be entangled */

struct range {
	uint64_t start, end;
	Dwarf_Off die;
};

struct ranges {
	struct range *list;
	size_t count;
};

struct dwarf {
	Dwarf *file;
	Dwarf_Addr bias;
	struct ranges units;
	Dwarf_Off unit; /* whose functions are listed */
	struct ranges functions;
	uint32_t visited;
	struct readable *readable; /* the caller's */
};

/* --- ranges -------------------------------------------------------------------------------------
 */

static void add_ranges(struct ranges *ranges, Dwarf_Die *die)
{
	Dwarf_Addr base = 0, start, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		if (start >= end || ranges->count >= MOST_RANGES)
			continue;
		ranges->list = nova_grow(ranges->list, ranges->count, sizeof(*ranges->list));
		ranges->list[ranges->count++] = (struct range){start, end, dwarf_dieoffset(die)};
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void sort(struct ranges *ranges)
{
	if (ranges->count)
		qsort(ranges->list, ranges->count, sizeof(*ranges->list), by_start);
}

static const struct range *find(const struct ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->list[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < ranges->list[low - 1].end ? &ranges->list[low - 1] : NULL;
}

/* --- units and functions ---------------------------------------------------------------------- */

struct dwarf *dwarf_of(void *module, struct readable *readable)
{
	Dwarf_Addr bias;
	Dwarf *file = dwfl_module_getdwarf(module, &bias);
	struct dwarf *dwarf;
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t kind;

	if (!file)
		return NULL;
	dwarf = nova_alloc(sizeof(*dwarf));
	dwarf->file = file;
	dwarf->bias = bias;
	dwarf->readable = readable;
	while (dwarf_get_units(file, unit, &unit, NULL, &kind, &die, NULL) == 0)
		if (kind == DW_UT_compile || kind == DW_UT_skeleton)
			add_ranges(&dwarf->units, &die);
	sort(&dwarf->units);
	return dwarf;
}

void dwarf_free(struct dwarf *dwarf)
{
	if (!dwarf)
		return;
	free(dwarf->units.list);
	free(dwarf->functions.list);
	free(dwarf);
}

static bool may_hold_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_subprogram;
}

/* False at the end, and where a broken file leads back to what was there already. */
static bool next_sibling(struct dwarf *dwarf, Dwarf_Die *die)
{
	Dwarf_Off here = dwarf_dieoffset(die);

	return dwarf->visited++ < MOST_VISITED && dwarf_siblingof(die, die) == 0 &&
	       dwarf_dieoffset(die) > here;
}

static void list_functions(struct dwarf *dwarf, Dwarf_Die *parent, int depth)
{
	struct ranges *functions = &dwarf->functions;
	Dwarf_Die child;

	if (depth > MOST_NESTING || dwarf_child(parent, &child) != 0)
		return;
	do {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_subprogram)
			add_ranges(functions, &child);
		if (may_hold_functions(tag))
			list_functions(dwarf, &child, depth + 1);
	} while (functions->count < MOST_RANGES && next_sibling(dwarf, &child));
}

static const struct range *function_at(struct dwarf *dwarf, uint64_t address)
{
	const struct range *unit = find(&dwarf->units, address);
	Dwarf_Die die;

	if (!unit)
		return NULL;
	if (unit->die != dwarf->unit) {
		dwarf->unit = unit->die;
		dwarf->functions.count = 0;
		if (!dwarf_offdie(dwarf->file, unit->die, &die))
			return NULL;
		list_functions(dwarf, &die, 0);
		sort(&dwarf->functions);
	}
	return find(&dwarf->functions, address);
}

/* --- names --------------------------------------------------------------------------------------
 */

/* The name as the linker has it, or as it is written. */
static const char *name_of(const struct dwarf *dwarf, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *linkage = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		linkage = dwarf_formstring(&attribute);
	return linkage ? readable_of(dwarf->readable, linkage) : dwarf_diename(die);
}

static void add_name(const struct dwarf *dwarf, const struct address_run *run, uint32_t address,
                     Dwarf_Die *die, const char *name, uint32_t flags)
{
	recording_name(run->recording, address,
	               &(struct nova_frame){.name = name ? readable_of(dwarf->readable, name)
	                                                 : name_of(dwarf, die),
	                                    .library = run->object->path,
	                                    .file = dwarf_decl_file(die),
	                                    .flags = flags});
}

void bounds_clip(struct bounds *bounds, uint64_t at, uint64_t start, uint64_t end)
{
	uint64_t low = start > at ? 0 : end > at ? start : end;
	uint64_t high = start > at ? start : end > at ? end : UINT64_MAX;

	bounds->low = low > bounds->low ? low : bounds->low;
	bounds->high = high < bounds->high ? high : bounds->high;
}

/* In one of its ranges. */
static bool is_in(Dwarf_Die *scope, uint64_t address, struct bounds *bounds)
{
	Dwarf_Addr base = 0, start, end;
	ptrdiff_t at = 0;
	bool is = false;

	while ((at = dwarf_ranges(scope, at, &base, &start, &end)) > 0) {
		if (start >= end)
			continue;
		is = is || (address >= start && address < end);
		bounds_clip(bounds, address, start, end);
	}
	return is;
}

/* The scope inside of `scope` that has the address; false if there is none. */
static bool step_in(struct dwarf *dwarf, Dwarf_Die *scope, uint64_t address, struct bounds *bounds)
{
	Dwarf_Die child;

	if (dwarf_child(scope, &child) != 0)
		return false;
	do {
		int tag = dwarf_tag(&child);

		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    is_in(&child, address, bounds)) {
			*scope = child;
			return true;
		}
	} while (next_sibling(dwarf, &child));
	return false;
}

bool dwarf_name(struct dwarf *dwarf, const struct address_run *run, uint32_t address, uint64_t at,
                const char *outer, struct bounds *bounds)
{
	const struct range *function = function_at(dwarf, at - dwarf->bias);
	struct bounds here = {0, UINT64_MAX};
	Dwarf_Die scope;

	if (!function || !dwarf_offdie(dwarf->file, function->die, &scope))
		return false;
	add_name(dwarf, run, address, &scope, outer, 0);
	for (int depth = 0; depth < MOST_NESTING && step_in(dwarf, &scope, at - dwarf->bias, &here);
	     depth++)
		if (dwarf_tag(&scope) == DW_TAG_inlined_subroutine)
			add_name(dwarf, run, address, &scope, NULL, NOVA_FRAME_INLINED);
	bounds_clip(&here, at - dwarf->bias, function->start, function->end);
	bounds_clip(bounds, at, here.low + dwarf->bias,
	            here.high > UINT64_MAX - dwarf->bias ? UINT64_MAX : here.high + dwarf->bias);
	return true;
}
