// SPDX-License-Identifier: MIT
// A function that is inlined into another, with names that the compiler mangles: inlined SECONDS.
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace outer
{
template <int N> static inline __attribute__((always_inline)) void deep(volatile uint64_t &sum)
{
	for (int i = 0; i < N; i++)
		sum = sum * 3 + 1;
}

struct Machine {
	__attribute__((noinline)) void turn(volatile uint64_t &sum);
};

void Machine::turn(volatile uint64_t &sum)
{
	deep<100000>(sum);
}
} // namespace outer

int main(int argc, char **argv)
{
	clock_t until = (argc > 1 ? atoi(argv[1]) : 1) * CLOCKS_PER_SEC; // of CPU time
	volatile uint64_t sum = 0;
	outer::Machine machine;

	while (clock() < until)
		machine.turn(sum);
	return 0;
}
