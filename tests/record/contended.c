/* SPDX-License-Identifier: MIT */
/* Waits for two locks, 70 and 30 of 100 parts of the time, and for the kernel's own lock of a file:
 * contended SECONDS [FILE]. */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A mutex of its own (Drepper, "Futexes Are Tricky"): libc's saves no frame pointer, and hides who
 * called it. 0: free, 1: taken, 2: others wait. */
static atomic_int first, second;
static atomic_int taken;
static int seconds = 1;

static inline __attribute__((always_inline)) long futex(atomic_int *word, int op, int value)
{
	register long timeout __asm__("r10") = 0;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(SYS_futex), "D"(word), "S"(op), "d"(value), "r"(timeout)
	                 : "rcx", "r11", "memory");
	return result;
}

static inline __attribute__((always_inline)) void lock(atomic_int *word)
{
	int was = 0;

	if (atomic_compare_exchange_strong(word, &was, 1))
		return;
	while (atomic_exchange(word, 2) != 0)
		futex(word, FUTEX_WAIT_PRIVATE, 2);
}

static void unlock(atomic_int *word)
{
	if (atomic_exchange(word, 0) == 2)
		futex(word, FUTEX_WAKE_PRIVATE, 1);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

__attribute__((noinline)) static void lock_seventy(void)
{
	lock(&first);
	__asm__ volatile("" ::: "memory"); /* no tail call: it is a frame */
}

__attribute__((noinline)) static void lock_thirty(void)
{
	lock(&second);
	__asm__ volatile("" ::: "memory");
}

/* Holds each for its time, once the other one is about to wait for it. */
static void *holder(void *nothing)
{
	for (int i = 0; i < 10 * seconds; i++) {
		lock(&first);
		atomic_store(&taken, 1);
		sleep_ms(70);
		lock(&second);
		unlock(&first);
		while (atomic_load(&taken) != 2)
			sleep_ms(1);
		sleep_ms(30);
		atomic_store(&taken, 3);
		unlock(&second);
		while (atomic_load(&taken) != 0)
			sleep_ms(1);
	}
	return nothing;
}

static void *writer(void *path)
{
	static char bytes[1 << 20];
	int file = open(path, O_WRONLY | O_CREAT, 0600);

	for (int i = 0; i < 200 * seconds; i++)
		if (pwrite(file, bytes, sizeof(bytes), 0) < 0)
			_exit(1);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread, writers[4];

	seconds = argc > 1 ? atoi(argv[1]) : 1;
	for (int i = 0; i < 4 && argc > 2; i++)
		pthread_create(&writers[i], NULL, writer, argv[2]);
	pthread_create(&thread, NULL, holder, NULL);
	for (int i = 0; i < 10 * seconds; i++) {
		while (atomic_load(&taken) != 1)
			sleep_ms(1);
		lock_seventy();
		unlock(&first);
		atomic_store(&taken, 2);
		lock_thirty();
		unlock(&second);
		atomic_store(&taken, 0);
	}
	pthread_join(thread, NULL);
	for (int i = 0; i < 4 && argc > 2; i++)
		pthread_join(writers[i], NULL);
	return 0;
}
