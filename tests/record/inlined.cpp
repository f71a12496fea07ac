// SPDX-License-Identifier: MIT
// A function that is inlined into another, with names that the compiler mangles: inlined SECONDS.
#include <chrono>
#include <cstdint>
#include <cstdlib>

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
	auto until = std::chrono::steady_clock::now() +
	             std::chrono::milliseconds(argc > 1 ? atoi(argv[1]) * 1000 : 1000);
	volatile uint64_t sum = 0;
	outer::Machine machine;

	while (std::chrono::steady_clock::now() < until)
		machine.turn(sum);
	return 0;
}
