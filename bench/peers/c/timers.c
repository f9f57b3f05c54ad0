/* The scenario timers: timers far ahead that come and go, and timers that are due. */
#include "peer.h"

/* More timers than these are measured without a round to warm up, and spread over a longer time. */
enum { MANY = 100000 };

static uint32_t *ahead, *order;		/* microseconds of each timer; in which order they come */
static uint32_t spread;
static double round_ns[4];		/* insert, cancel, rearm, expire */

static uint64_t far_ahead(long i)
{
	return 10000000 + (opt.same ? 0 : ahead[i]);
}

static void come_and_go(void)
{
	long half = opt.t / 2;
	uint64_t start = now_ns();

	for (long i = 0; i < opt.t; i++)
		peer_set_timer(i, far_ahead(i));
	round_ns[0] = each(start, opt.t);

	start = now_ns();
	for (long k = 0; k < half; k++)
		peer_cancel_timer(order[k]);
	round_ns[1] = each(start, half);

	start = now_ns();
	for (long k = half; k < opt.t; k++)
		peer_set_timer(order[k], far_ahead(k - half));
	round_ns[2] = each(start, opt.t - half);

	for (long k = half; k < opt.t; k++)
		peer_cancel_timer(order[k]);
}

static void set_near(void)
{
	for (long i = 0; i < opt.t; i++)
		peer_set_timer(i, opt.same ? 1000 : ahead[i] % spread);
}

static void expire(void)
{
	uint64_t start, all_due;

	peer_with_time(set_near);
	all_due = now_ns() + 1000u * spread + 3000000u;
	while (now_ns() < all_due)
		;
	course.timers_fired = 0;
	start = now_ns();
	while (course.timers_fired < opt.t)
		peer_poll();
	round_ns[3] = each(start, opt.t);
}

static void draw_numbers(void)
{
	ahead = zeroed(opt.t, sizeof *ahead);
	order = zeroed(opt.t, sizeof *order);
	spread = opt.t > MANY ? 500000 : 10000;
	for (long i = 0; i < opt.t; i++)
		ahead[i] = random_below(1000000000);
	for (long i = 1; i < opt.t; i++) {
		long k = random_below(i + 1);

		order[i] = order[k];
		order[k] = i;
	}
}

void measure_timers(void)
{
	static const char *const names[] = { "insert", "cancel", "rearm", "expire" };
	double *rounds[4];

	for (int k = 0; k < 4; k++)
		rounds[k] = zeroed(opt.r, sizeof *rounds[k]);
	draw_numbers();
	peer_open();
	peer_poll();
	peer_prepare_timers();
	for (long round = opt.t > MANY ? 0 : -1; round < opt.r; round++) {
		peer_with_time(come_and_go);
		expire();
		for (int k = 0; k < 4 && round >= 0; k++)
			rounds[k][round] = round_ns[k];
	}
	figure("events", (double)opt.t * opt.r);
	for (int k = 0; k < 4; k++)
		figure_of_rounds(names[k], rounds[k], opt.r);
}
