/* The scenario wakeup: another thread notifies the loop. */
#include "peer.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_long answers;
static atomic_bool last;
static double *hot, *idle, burst, burst_callbacks;

bool answer(void)
{
	atomic_fetch_add_explicit(&answers, 1, memory_order_release);
	return atomic_load_explicit(&last, memory_order_relaxed);
}

/* Binds this thread to a processor, if there is one of that number. */
static void pin_to(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* Nanoseconds from a notify until the loop has answered, each a pause after the one before. */
static double round_trip(long trips, uint64_t pause)
{
	uint64_t sum = 0;

	for (long i = 0; i < trips; i++) {
		uint64_t start = now_ns();
		long before;

		while (now_ns() - start < pause)
			;
		before = atomic_load_explicit(&answers, memory_order_acquire);
		start = now_ns();
		peer_notify();
		while (atomic_load_explicit(&answers, memory_order_acquire) == before)
			;
		sum += now_ns() - start;
	}
	return (double)sum / trips;
}

static void *other_thread(void *unused)
{
	long trips = opt.w ? opt.w : 200, before;
	uint64_t start;

	pin_to(1);
	usleep(20000);
	for (long round = 0; round < opt.r; round++) {
		hot[round] = round_trip(trips, 0);
		idle[round] = round_trip(trips, 50000);
	}
	usleep(5000);

	before = atomic_load(&answers);
	start = now_ns();
	for (long i = 0; i < opt.t; i++)
		peer_notify();
	burst = (double)(now_ns() - start) / opt.t;
	usleep(20000);
	burst_callbacks = atomic_load(&answers) - before;

	atomic_store(&last, true);
	peer_notify();
	return unused;
}

void measure_wakeup(void)
{
	pthread_t thread;

	hot = zeroed(opt.r, sizeof *hot);
	idle = zeroed(opt.r, sizeof *idle);
	pin_to(0);
	peer_open();
	peer_prepare_notify();
	if (pthread_create(&thread, NULL, other_thread, NULL))
		die("pthread_create");
	peer_run();
	pthread_join(thread, NULL);
	figure_of_rounds("hot", hot, opt.r);
	figure_of_rounds("idle", idle, opt.r);
	figure("burst", burst);
	figure("burst_callbacks", burst_callbacks);
}
