/* libev 4, on its epoll backend. */
#include "peer.h"

#include <ev.h>

/* A source, and beside it the timer of its timeout. */
struct source {
	ev_io io;
	ev_timer timeout;
};

static struct ev_loop *loop;
static ev_io *plain;			/* sources without timeouts */
static struct source *timed;
static ev_timer *timers;
static ev_async notified;

const char *const peer_name = "libev";

const char *peer_version(void)
{
	static char version[32];

	snprintf(version, sizeof version, "%d.%d", ev_version_major(), ev_version_minor());
	return version;
}

static ev_io *io_of(long i)
{
	return opt.tmo ? &timed[i].io : plain + i;
}

static void on_source(struct ev_loop *of, ev_io *io, int events)
{
	long i = (intptr_t)io->data;

	(void)events;
	if (pass_on(i))
		ev_break(of, EVBREAK_ALL);
	if (opt.oneshot) {
		ev_io_stop(of, io);
		ev_io_start(of, io);
	}
	if (opt.tmo)
		ev_timer_again(of, &timed[i].timeout);
}

static void on_timer(struct ev_loop *of, ev_timer *timer, int events)
{
	(void)of;
	(void)timer;
	(void)events;
	timer_fired();
}

static void on_notify(struct ev_loop *of, ev_async *async, int events)
{
	(void)async;
	(void)events;
	if (answer())
		ev_break(of, EVBREAK_ALL);
}

void peer_open(void)
{
	loop = ev_loop_new(EVBACKEND_EPOLL);
}

void peer_prepare(void)
{
	if (opt.tmo)
		timed = zeroed(opt.n, sizeof *timed);
	else
		plain = zeroed(opt.n, sizeof *plain);
	for (long i = 0; i < opt.n; i++) {
		ev_io *io = io_of(i);

		ev_io_init(io, on_source, course.sources[i], EV_READ);
		io->data = (void *)(intptr_t)i;
		if (opt.tmo)
			ev_timer_init(&timed[i].timeout, on_timer, 0., idle_timeout(i) * 1e-6);
	}
}

void peer_add(long i)
{
	ev_io_start(loop, io_of(i));
	if (opt.tmo)
		ev_timer_again(loop, &timed[i].timeout);
}

void peer_delete(long i)
{
	if (opt.tmo)
		ev_timer_stop(loop, &timed[i].timeout);
	ev_io_stop(loop, io_of(i));
}

void peer_poll(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

void peer_run(void)
{
	ev_run(loop, 0);
}

void peer_prepare_timers(void)
{
	timers = zeroed(opt.t, sizeof *timers);
	for (long i = 0; i < opt.t; i++)
		ev_init(timers + i, on_timer);
}

void peer_with_time(void (*operations)(void))
{
	ev_now_update(loop);
	operations();
}

/* A timer that runs may not be set; one that repeats may be started again, and is stopped when it has fired. */
void peer_set_timer(long i, uint64_t microseconds)
{
	if (ev_is_active(timers + i)) {
		timers[i].repeat = microseconds * 1e-6;
		ev_timer_again(loop, timers + i);
	} else {
		ev_timer_set(timers + i, microseconds * 1e-6, 0.);
		ev_timer_start(loop, timers + i);
	}
}

void peer_cancel_timer(long i)
{
	ev_timer_stop(loop, timers + i);
}

void peer_prepare_notify(void)
{
	ev_async_init(&notified, on_notify);
	ev_async_start(loop, &notified);
}

void peer_notify(void)
{
	ev_async_send(loop, &notified);
}
