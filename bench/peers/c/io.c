/* The scenarios pipes, setup and memory. */
#include "peer.h"

#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* Rounds before those that count. */
enum { WARM_UP = 2 };

static void open_pairs(void)
{
	course.sources = zeroed(opt.n, sizeof *course.sources);
	course.writers = zeroed(opt.n, sizeof *course.writers);
	for (long i = 0; i < opt.n; i++) {
		int pair[2];

		if (opt.sock ? socketpair(AF_UNIX, SOCK_STREAM, 0, pair) : pipe(pair))
			die("opening descriptors");
		course.sources[i] = pair[0];
		course.writers[i] = pair[1];
	}
}

static void put_bytes(void)
{
	for (long i = 0; i < opt.a; i++) {
		if (write(course.writers[i * (opt.n / opt.a)], "e", 1) != 1)
			die("write");
	}
}

void measure_pipes(void)
{
	double *rounds = zeroed(opt.r, sizeof *rounds);
	long writes = opt.w ? opt.w : 10 * opt.a < 5000 ? 5000 : 10 * opt.a;
	long events = 0, turns = 0;

	open_pairs();
	peer_open();
	peer_prepare();
	for (long i = 0; i < opt.n; i++)
		peer_add(i);
	peer_poll();
	for (long round = -WARM_UP; round < opt.r; round++) {
		uint64_t start;
		double ns;

		if (round == -WARM_UP || !opt.ready)
			put_bytes();
		course.read = 0;
		course.expected = opt.ready ? writes : opt.a;
		course.writes = writes;
		start = now_ns();
		if (opt.run) {
			peer_run();
		} else {
			for (; course.read < course.expected; turns++)
				peer_poll();
		}
		ns = each(start, course.read);
		events += course.read;
		if (round >= 0)
			rounds[round] = ns;
	}
	figure("events", events);
	figure("iters", turns);
	figure_of_rounds("ns", rounds, opt.r);
}

void measure_setup(void)
{
	double *without_turn = zeroed(opt.r, sizeof *without_turn), *with_turn = zeroed(opt.r, sizeof *with_turn);

	open_pairs();
	peer_open();
	peer_prepare();
	for (long round = -WARM_UP; round < opt.r; round++) {
		uint64_t start = now_ns();
		double without, with;

		for (long i = 0; i < opt.n; i++)
			peer_add(i);
		for (long i = 0; i < opt.n; i++)
			peer_delete(i);
		without = each(start, opt.n);
		peer_poll();

		start = now_ns();
		for (long i = 0; i < opt.n; i++)
			peer_add(i);
		peer_poll();
		for (long i = 0; i < opt.n; i++)
			peer_delete(i);
		peer_poll();
		with = each(start, opt.n);

		if (round >= 0) {
			without_turn[round] = without;
			with_turn[round] = with;
		}
	}
	figure("events", 2.0 * opt.n * (WARM_UP + opt.r));
	figure_of_rounds("nodispatch", without_turn, opt.r);
	figure_of_rounds("dispatch", with_turn, opt.r);
}

static double bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)(info.uordblks + info.hblkhd);
}

static void set_far_timers(void)
{
	for (long i = 0; i < opt.t; i++)
		peer_set_timer(i, 10000000 + random_below(1000000000));
}

void measure_memory(void)
{
	double empty, prepared, added;

	course.sources = zeroed(opt.n, sizeof *course.sources);
	for (long i = 0; i < opt.n; i++) {
		if ((course.sources[i] = eventfd(0, EFD_NONBLOCK)) < 0)
			die("eventfd");
	}
	peer_open();
	peer_poll();

	empty = bytes_in_use();
	peer_prepare();
	prepared = bytes_in_use();
	for (long i = 0; i < opt.n; i++)
		peer_add(i);
	peer_poll();
	added = bytes_in_use();
	figure("event_struct", (prepared - empty) / opt.n);
	figure("event_total", (added - empty) / opt.n);

	empty = bytes_in_use();
	peer_prepare_timers();
	prepared = bytes_in_use();
	peer_with_time(set_far_timers);
	figure("timer_struct", (prepared - empty) / opt.t);
	figure("timer_total", (bytes_in_use() - empty) / opt.t);
}
