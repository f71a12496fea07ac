/* SPDX-License-Identifier: MIT */
/* How steps were recorded while they were measured. Internal to core/judge. */
#ifndef NOVACORE_JUDGE_RECORDED_H
#define NOVACORE_JUDGE_RECORDED_H

#include "core/base/base.h"

/* "recorded" of a step of the document, from its run's plan; NULL: it was not. The caller's. */
json_t *nova_recorded_of(const json_t *plan, uint32_t step);
/* Adds what that says to the "recordings" of a plan. */
void nova_recorded_back(const json_t *recorded, uint32_t step, json_t *recordings);
/* "a was recorded (cpu; it took 0.2 % of the host's CPUs) while it was measured, b was not
 * recorded"; NULL where both or neither were. Steps of documents; owned by the caller. */
char *nova_recorded_differs(const json_t *step_a, const char *a, const json_t *step_b,
                            const char *b);

#endif
