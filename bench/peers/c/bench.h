/* What all C peers share: the command line, the clock, the course of bytes and counters that callbacks work on. */
#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The arguments after the scenario, NAME=NUMBER each; bench-scenarios, in Rust, explains the common ones. */
struct options {
	long n, a, w, r, t;
	long sock, run, ready, tmo, oneshot, same;
	long locks;		/* libevent: with locks, for use by several threads */
	long changelist;	/* libevent: changes are told at the next wait */
	long defer;		/* raw: the same */
	long lazy;		/* raw: setting a timeout anew only notes it */
	long inl;		/* raw: epoll's system calls without a function around them */
};
extern struct options opt;

/* The bytes' way: source i is the other end of writer i. */
struct course {
	int *sources, *writers;
	long read, expected, writes, failures, timers_fired;
};
extern struct course course;

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds since start, for each of the operations. */
static inline double each(uint64_t start, long operations)
{
	return (double)(now_ns() - start) / operations;
}

/* What the callback of source i does: takes a byte and, while there are writes left, passes one on to the next.
 * The answer is whether the loop is to stop. */
static inline bool pass_on(long i)
{
	char byte;

	if (opt.ready) {
		course.read++;
		return false;
	}
	if (read(course.sources[i], &byte, 1) == 1)
		course.read++;
	else
		course.failures++;
	if (!course.writes)
		return opt.run && course.read >= course.expected;
	if (write(course.writers[i + 1 < opt.n ? i + 1 : 0], &byte, 1) != 1)
		course.failures++;
	course.writes--;
	course.expected++;
	return false;
}

static inline void timer_fired(void)
{
	course.timers_fired++;
}

/* What the loop does when it was notified; whether it is to stop. */
bool answer(void);

/* A number below end, of a sequence that is the same in each run. */
uint64_t random_below(uint64_t end);

/* The timeout of event i where each has one: 10 to 20 seconds, in microseconds. */
static inline uint64_t idle_timeout(long i)
{
	return 10000000 + (uint64_t)i * 7919993 % 10000000;
}

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Memory set to zero; there always is enough. */
static inline void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		die("calloc");
	return memory;
}

/* Figures of the line of JSON. */
void figure(const char *name, double value);
/* The rounds' median, and their minimum as NAME_min. */
void figure_of_rounds(const char *name, double *rounds, long count);

void measure_pipes(void);
void measure_setup(void);
void measure_timers(void);
void measure_wakeup(void);
void measure_memory(void);

#endif
