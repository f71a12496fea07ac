/* SPDX-License-Identifier: MIT */
/*
 * What sampling costs, and the frequency that keeps it below a target. The cost has two parts: this
 * process's own CPU time, which the kernel counts, and what each sample takes on the CPU that it
 * interrupts, which is measured once. Too much halves the frequency; little enough raises it by a
 * tenth.
 */
#include "core/profiler/record.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALIBRATE_HZ    4000u
#define CALIBRATE_NS    25000000
#define CALIBRATE_TIMES 3
#define CALIBRATE_DEPTH 24  /* frames of the stack that is sampled */
#define EVENTS          150 /* their records fit into the ring */
#define MOST_GAPS       1024u
#define LEAST_HZ        1u
#define HURRY           0.5 /* of what a second may cost: if it is spent before the second is over */

/* --- what a sample costs -------------------------------------------------------------------------
 * A thread that only looks at the clock sees each interrupt as a gap. Of the gaps the longest are
 * taken, as many as there were samples, and of these the median: a preemption is much longer and
 * rare, a tick of the timer shorter or as rare.
 */

struct gaps {
	double longest[MOST_GAPS];
	size_t count;
};

static void note_gap(struct gaps *gaps, double gap)
{
	if (gaps->count < MOST_GAPS)
		gaps->longest[gaps->count++] = gap;
}

static __attribute__((noinline)) int64_t spin(struct gaps *gaps, int depth)
{
	int64_t begin, last, now, step = 0;

	if (depth > 0) {
		int64_t typical = spin(gaps, depth - 1);

		__asm__ volatile("" ::: "memory"); /* no tail call: each is a frame */
		return typical;
	}
	begin = last = nova_now_ns();
	/* a usual step first, so that only what is longer is noted */
	for (int i = 0; i < 1000; i++)
		nova_now_ns();
	step = (nova_now_ns() - begin) / 1000;
	begin = last = nova_now_ns();
	while ((now = nova_now_ns()) - begin < CALIBRATE_NS) {
		if (now - last > 4 * step + 500)
			note_gap(gaps, (double)(now - last - step));
		last = now;
	}
	return step;
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static void count_sample(void *context, const struct event *event)
{
	*(uint64_t *)context += event->type == PERF_RECORD_SAMPLE;
}

/* The median gap of the samples of one piece of time; 0: there were too few. */
static double measure(struct ring *ring, int fd)
{
	struct gaps gaps = {.count = 0};
	uint64_t samples = 0;

	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	spin(&gaps, CALIBRATE_DEPTH);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	rings_drain(ring, 1, UINT64_MAX, count_sample, &samples);
	if (samples > gaps.count)
		samples = gaps.count;
	qsort(gaps.longest, gaps.count, sizeof(gaps.longest[0]), descending);
	return samples >= 10 ? gaps.longest[samples / 2] : 0;
}

/* A thread that sleeps for a moment leaves its CPU. */
static void leave_often(char *nothing)
{
	const struct timespec moment = {.tv_nsec = 1};

	(void)nothing;
	for (int i = 0; i < EVENTS; i++)
		nanosleep(&moment, NULL);
}

/* Pages that are given back are not there when they are touched again. */
static void touch_often(char *pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	madvise(pages, EVENTS * page, MADV_DONTNEED);
	for (size_t i = 0; i < EVENTS; i++)
		pages[i * page] = 1;
}

/* This thread's own time for one of them. */
static double time_of(void (*work)(char *), char *pages)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	work(pages);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
	       EVENTS;
}

static void ignore(void *context, const struct event *event)
{
	(void)context;
	(void)event;
}

/* With them and without. */
static double calibrate_events(struct ring *ring, int fd, bool faults)
{
	size_t bytes = EVENTS * (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*work)(char *) = faults ? touch_often : leave_often;
	double without, with;

	if (pages == MAP_FAILED)
		return 0;
	madvise(pages, bytes, MADV_NOHUGEPAGE);
	time_of(work, pages);
	without = time_of(work, pages);
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	with = time_of(work, pages);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	rings_drain(ring, 1, UINT64_MAX, ignore, NULL);
	munmap(pages, bytes);
	return with > without ? with - without : 0;
}

/* What can be done here at will: a switch stands for the tracepoints of locks, too. */
static void imitate(struct perf_event_attr *attr, enum sampler_kind kind)
{
	if (kind != SAMPLE_CONTENTION)
		return;
	attr->type = PERF_TYPE_SOFTWARE;
	attr->config = PERF_COUNT_SW_CONTEXT_SWITCHES;
	attr->sample_type &= ~(uint64_t)PERF_SAMPLE_RAW;
}

double govern_calibrate(const struct sampler *like)
{
	struct perf_event_attr attr = like->attr;
	struct ring ring;
	double cost = 0;
	int fd;

	imitate(&attr, like->kind);
	/* those with stacks are large, and must fit into the ring */
	if (attr.freq)
		attr.sample_freq =
		        attr.sample_type & PERF_SAMPLE_STACK_USER ? CALIBRATE_HZ / 2 : CALIBRATE_HZ;
	attr.inherit = attr.enable_on_exec = 0;
	attr.watermark = 0;
	attr.wakeup_events = 1u << 30;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!ring_map(&ring, fd, 128, NULL)) {
		ring.extra = sampler_extra(&attr);
		/* On a busy machine others make gaps longer, never shorter; of two small numbers
		 * the difference may be anything, and the largest is safe. */
		for (int i = 0; i < CALIBRATE_TIMES; i++) {
			double one = attr.freq ? measure(&ring, fd)
			                       : calibrate_events(&ring, fd,
			                                          like->kind == SAMPLE_FAULTS);

			if (one > 0 && (cost <= 0 || (attr.freq ? one < cost : one > cost)))
				cost = one;
		}
		ring_unmap(&ring);
	}
	close(fd);
	return cost;
}

/* --- the governor --------------------------------------------------------------------------------
 */

int64_t govern_own_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * NOVA_SECOND_NS + used.tv_nsec;
}

void govern_begin(struct governor *governor)
{
	governor->began_ns = governor->then_ns = governor->second_ns = nova_now_ns();
	governor->own_began_ns = governor->own_then_ns = govern_own_ns();
	for (size_t i = 0; i < governor->count; i++) {
		struct governed *one = &governor->of[i];
		double most = governor->target * 0.9e9;

		one->most = one->wanted;
		/* what samples alone would cost is known before the first one is taken */
		if (!one->unclocked && one->sample_cost * one->wanted > most)
			one->most = (uint32_t)(most / one->sample_cost);
		if (one->most < LEAST_HZ)
			one->most = LEAST_HZ;
		one->frequency = one->most;
	}
}

/* Of all CPUs. */
static double share(const struct governor *governor, double ns, int64_t wall_ns)
{
	double cpus = governor->cpus ? (double)governor->cpus : 1;

	return wall_ns > 0 ? ns / ((double)wall_ns * cpus) : 0;
}

/* What its samples cost those that they interrupt. */
static double cost_of(const struct governed *one, uint64_t samples)
{
	return (double)samples * one->sample_cost;
}

/* Who costs most in a second that costs too much takes fewer samples from now on, so many fewer
 * that it would have been cheap enough; in a cheap one all may take more. */
static void decide(struct governor *governor, double worse)
{
	struct governed *dearest = &governor->of[0];
	double factor = governor->target / worse;

	for (size_t i = 0; i < governor->count; i++) {
		struct governed *one = &governor->of[i];

		if (one->share > dearest->share)
			dearest = one;
		if (worse < governor->target * 0.7)
			one->frequency += one->frequency / 10 + 1;
		if (one->frequency > one->most)
			one->frequency = one->most;
	}
	if (worse <= governor->target)
		return;
	dearest->frequency = (uint32_t)(dearest->frequency * (factor < 0.5 ? factor : 0.5));
	if (dearest->frequency < LEAST_HZ)
		dearest->frequency = LEAST_HZ;
}

bool govern_hurries(const struct governor *governor, const uint64_t *samples, int64_t now_ns,
                    int64_t own_ns)
{
	double cost = (double)(own_ns - governor->own_then_ns);

	for (size_t i = 0; i < governor->count; i++)
		cost += cost_of(&governor->of[i], samples[i] - governor->of[i].samples_then);
	return now_ns - governor->then_ns > NOVA_SECOND_NS / 20 &&
	       share(governor, cost, NOVA_SECOND_NS) > governor->target * HURRY;
}

void govern_step(struct governor *governor, const uint64_t *samples, int64_t now_ns, int64_t own_ns)
{
	double last = (double)(own_ns - governor->own_then_ns), lost = 0;
	double all = (double)(own_ns - governor->own_began_ns);

	for (size_t i = 0; i < governor->count; i++) {
		struct governed *one = &governor->of[i];
		double cost = cost_of(one, samples[i] - one->samples_then);

		/* who is interrupted f times in a second loses f costs in that second */
		lost += one->unclocked ? 0 : one->sample_cost * one->frequency / 1e9;
		last += cost;
		all += cost_of(one, samples[i]);
		one->share = share(governor, cost, now_ns - governor->then_ns);
		if (!one->unclocked && one->sample_cost * one->frequency / 1e9 > one->share)
			one->share = one->sample_cost * one->frequency / 1e9;
		one->samples_then = samples[i];
	}
	governor->second_cost += last;
	if (now_ns - governor->second_ns > NOVA_SECOND_NS / 10 * 9) {
		double second =
		        share(governor, governor->second_cost, now_ns - governor->second_ns);

		if (second > governor->worst)
			governor->worst = second;
		governor->second_ns = now_ns;
		governor->second_cost = 0;
	}
	last = share(governor, last, now_ns - governor->then_ns);
	governor->host = share(governor, all, now_ns - governor->began_ns);
	if (lost > governor->sampled)
		governor->sampled = lost;
	governor->then_ns = now_ns;
	governor->own_then_ns = own_ns;
	decide(governor, last > lost ? last : lost);
}
