/* SPDX-License-Identifier: MIT */
/*
 * A program of 25 functions, which says itself what each of them had: top SECONDS SEED. It waits
 * for a line, so that profilers can get ready, and prints the CPU time in ns of each function.
 *
 * Pieces of work are short against the time between two samples, and which function has the next
 * one is drawn: so samples are as good as independent, whatever the profilers are in step with.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 40000u /* of a piece, some 50 µs */

static volatile uint64_t sum;

/* Each has a number of its own in it: equal functions would be made one. */
#define FUNCTION(name, number)                                                                     \
	static __attribute__((noinline)) void name(void)                                           \
	{                                                                                          \
		for (unsigned i = 0; i < ROUNDS; i++)                                              \
			sum = sum * 3 + number;                                                    \
	}
#define FUNCTIONS(each)                                                                            \
	each(work_a, 1) each(work_b, 2) each(work_c, 3) each(work_d, 4) each(work_e, 5)            \
	        each(work_f, 6) each(work_g, 7) each(work_h, 8) each(work_i, 9) each(work_j, 10)   \
	                each(work_k, 11) each(work_l, 12) each(work_m, 13) each(work_n, 14)        \
	                        each(work_o, 15) each(work_p, 16) each(work_q, 17)                 \
	                                each(work_r, 18) each(work_s, 19) each(work_t, 20)         \
	                                        each(work_u, 21) each(work_v, 22) each(work_w, 23) \
	                                                each(work_x, 24) each(work_y, 25)

FUNCTIONS(FUNCTION)

#define ENTRY(name, number) {name, #name, 0},
static struct {
	void (*run)(void);
	const char *name;
	int64_t spent_ns;
} functions[] = {FUNCTIONS(ENTRY)};
#define COUNT ((unsigned)(sizeof(functions) / sizeof(functions[0])))

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Each is wanted 0.88 times as often as the one before: from 12.5 % down to 0.6 %. */
static unsigned draw(unsigned short state[3])
{
	unsigned at = COUNT;

	while (at >= COUNT)
		for (at = 0; at < COUNT && erand48(state) < 0.88; at++)
			;
	return at;
}

int main(int argc, char **argv)
{
	int64_t now, begin, end;
	unsigned short state[3] = {0};

	if (argc != 3 || getchar() == EOF)
		return 2;
	state[0] = (unsigned short)atoi(argv[2]);
	begin = now = cpu_ns();
	end = begin + (int64_t)(atof(argv[1]) * 1e9);
	while (now < end) {
		unsigned which = draw(state);
		int64_t before = cpu_ns();

		functions[which].run();
		now = cpu_ns();
		functions[which].spent_ns += now - before;
	}
	for (unsigned i = 0; i < COUNT; i++)
		printf("%s %lld\n", functions[i].name, (long long)functions[i].spent_ns);
	printf("all %lld\n", (long long)(now - begin));
	return 0;
}
