/* libuv 1: its loop alone, with poll handles. Its timers count milliseconds. */
#include "peer.h"

#include <uv.h>

static uv_loop_t loop;
static uv_poll_t *sources;
static uv_timer_t *timers, *timeouts;
static uv_async_t notified;

const char *const peer_name = "libuv";

const char *peer_version(void)
{
	return uv_version_string();
}

static void on_source(uv_poll_t *source, int status, int events)
{
	long i = source - sources;

	(void)status;
	(void)events;
	if (pass_on(i))
		uv_stop(&loop);
	if (opt.oneshot) {
		uv_poll_stop(source);
		uv_poll_start(source, UV_READABLE, on_source);
	}
	if (opt.tmo)
		uv_timer_again(timeouts + i);
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	timer_fired();
}

static void on_notify(uv_async_t *async)
{
	(void)async;
	if (answer())
		uv_stop(&loop);
}

void peer_open(void)
{
	uv_loop_init(&loop);
}

void peer_prepare(void)
{
	sources = zeroed(opt.n, sizeof *sources);
	if (opt.tmo)
		timeouts = zeroed(opt.n, sizeof *timeouts);
	for (long i = 0; i < opt.n; i++) {
		if (uv_poll_init(&loop, sources + i, course.sources[i]))
			die("uv_poll_init");
		if (opt.tmo)
			uv_timer_init(&loop, timeouts + i);
	}
}

void peer_add(long i)
{
	uint64_t timeout = idle_timeout(i) / 1000;

	uv_poll_start(sources + i, UV_READABLE, on_source);
	if (opt.tmo)
		uv_timer_start(timeouts + i, on_timer, timeout, timeout);
}

void peer_delete(long i)
{
	if (opt.tmo)
		uv_timer_stop(timeouts + i);
	uv_poll_stop(sources + i);
}

void peer_poll(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
}

void peer_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

void peer_prepare_timers(void)
{
	timers = zeroed(opt.t, sizeof *timers);
	for (long i = 0; i < opt.t; i++)
		uv_timer_init(&loop, timers + i);
}

void peer_with_time(void (*operations)(void))
{
	uv_update_time(&loop);
	operations();
}

void peer_set_timer(long i, uint64_t microseconds)
{
	uv_timer_start(timers + i, on_timer, microseconds / 1000, 0);
}

void peer_cancel_timer(long i)
{
	uv_timer_stop(timers + i);
}

void peer_prepare_notify(void)
{
	uv_async_init(&loop, &notified, on_notify);
}

void peer_notify(void)
{
	uv_async_send(&notified);
}
