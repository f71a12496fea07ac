/* SPDX-License-Identifier: MIT */
/* Waits in three functions, 70, 20 and 10 of 100 parts of the time: waiting SECONDS. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By no function of libc, which saves no frame pointer and hides who called it. */
#define WAIT(name, ms)                                                                             \
	__attribute__((noinline)) static void name(void)                                           \
	{                                                                                          \
		const struct timespec time = {.tv_nsec = (ms)*1000000L};                           \
		long result;                                                                       \
                                                                                                   \
		__asm__ volatile("syscall"                                                         \
		                 : "=a"(result)                                                    \
		                 : "a"(SYS_nanosleep), "D"(&time), "S"(0)                          \
		                 : "rcx", "r11", "memory");                                        \
	}
WAIT(wait_seventy, 70)
WAIT(wait_twenty, 20)
WAIT(wait_ten, 10)

int main(int argc, char **argv)
{
	for (int i = 0; i < 10 * (argc > 1 ? atoi(argv[1]) : 1); i++) {
		wait_seventy();
		wait_twenty();
		wait_ten();
	}
	return 0;
}
