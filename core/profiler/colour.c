/* SPDX-License-Identifier: MIT */
/*
 * Colours of flame graphs. A kind has a hue, a name a shade of it; a change has red or blue (which
 * people with any common colour blindness tell apart), darker the larger it is. All are light
 * enough for dark text, which tests compute; what a colour says is also said in words.
 */
#include "core/profiler/flame.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *name;
	double hue, spread, saturation; /* degrees; how far a shade may be from it; in [0, 1] */
} KINDS[FLAME_KINDS] = {
        [FLAME_USER] = {"user", 42, 14, 0.86},    [FLAME_KERNEL] = {"kernel", 208, 14, 0.72},
        [FLAME_JIT] = {"JIT", 112, 14, 0.48},     [FLAME_INLINED] = {"inlined", 172, 8, 0.45},
        [FLAME_GUEST] = {"guest", 280, 14, 0.62}, [FLAME_OTHER] = {"no function", 40, 0, 0.05}};

enum flame_kind flame_kind(const char *name, uint32_t flags)
{
	if (flags & FLAME_LABEL || (name[0] == '[' && !strcmp(name, "[unknown]")))
		return FLAME_OTHER;
	if (flags & NOVA_FRAME_GUEST)
		return FLAME_GUEST;
	if (flags & NOVA_FRAME_KERNEL)
		return FLAME_KERNEL;
	if (flags & NOVA_FRAME_JIT)
		return FLAME_JIT;
	return flags & NOVA_FRAME_INLINED ? FLAME_INLINED : FLAME_USER;
}

const char *flame_kind_name(enum flame_kind kind)
{
	return KINDS[kind].name;
}

void flame_kinds(const struct nova_flame *flame, bool seen[FLAME_KINDS])
{
	memset(seen, 0, FLAME_KINDS * sizeof(*seen));
	for (uint32_t i = 0; i < flame->count; i++)
		seen[flame_kind(flame->boxes[i].name, flame->boxes[i].flags)] = true;
}

unsigned flame_colour(const char *name, uint32_t flags)
{
	return (unsigned)flame_kind(name, flags) * FLAME_SHADES +
	       (unsigned)(stacks_hash(name, strlen(name)) >> 32) % FLAME_SHADES;
}

unsigned flame_change_colour(const struct nova_flame_box *box,
                             const struct nova_flame_change *change, uint64_t all,
                             uint64_t all_before)
{
	double points =
	        100 * fabs(flame_share(box->total, all) - flame_share(change->total, all_before));
	unsigned step = points < 1 ? 0 : points < 3 ? 1 : points < 10 ? 2 : 3;

	if (change->mark == NOVA_MARK_LESS)
		return FLAME_KINDS * FLAME_SHADES + step;
	if (change->mark == NOVA_MARK_MORE)
		return change->total == 0 ? FLAME_NEW
		                          : FLAME_KINDS * FLAME_SHADES + FLAME_STEPS + step;
	return FLAME_NOISE;
}

static unsigned channel(double hue, double saturation, double lightness, double at)
{
	/* CSS Color 4, section 7.1: HSL to RGB */
	double k = fmod(at + hue / 30, 12);
	double reach = saturation * fmin(lightness, 1 - lightness);

	return (unsigned)lround(255 * (lightness - reach * fmax(-1, fmin(k - 3, fmin(9 - k, 1)))));
}

void flame_colour_hex(unsigned colour, char hex[8])
{
	double hue, saturation, lightness;

	if (colour == FLAME_NOISE) {
		hue = 0, saturation = 0, lightness = 0.84;
	} else if (colour == FLAME_NEW) {
		hue = 310, saturation = 0.8, lightness = 0.76;
	} else if (colour >= FLAME_KINDS * FLAME_SHADES) {
		unsigned step = (colour - FLAME_KINDS * FLAME_SHADES) % FLAME_STEPS;

		hue = colour < FLAME_KINDS * FLAME_SHADES + FLAME_STEPS ? 214 : 8;
		saturation = 0.85;
		lightness = 0.88 - 0.06 * step;
	} else {
		unsigned kind = colour / FLAME_SHADES, shade = colour % FLAME_SHADES;
		double place = (double)shade / (FLAME_SHADES - 1);

		hue = KINDS[kind].hue + KINDS[kind].spread * (2 * place - 1);
		saturation = KINDS[kind].saturation;
		lightness = 0.70 + 0.03 * ((shade * 3) % FLAME_SHADES % 4);
	}
	snprintf(hex, 8, "#%02x%02x%02x", channel(hue, saturation, lightness, 0) & 255,
	         channel(hue, saturation, lightness, 8) & 255,
	         channel(hue, saturation, lightness, 4) & 255);
}
