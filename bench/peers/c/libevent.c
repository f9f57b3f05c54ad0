/* libevent 2. Timers are set inside a callback, where it goes by the turn's reading of the clock. */
#include "peer.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

static struct event_base *base;
static struct event *sources, *timers, notified;
static const struct timeval *far, *near;	/* durations that libevent was told of */

const char *const peer_name = "libevent";

const char *peer_version(void)
{
	return event_get_version();
}

static struct timeval timeval_of(uint64_t microseconds)
{
	return (struct timeval){ .tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000 };
}

static void on_source(evutil_socket_t fd, short what, void *argument)
{
	long i = (intptr_t)argument;

	(void)fd;
	(void)what;
	if (pass_on(i))
		event_base_loopbreak(base);
	if (opt.oneshot)
		peer_add(i);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
	timer_fired();
}

static void on_notify(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
	if (answer())
		event_base_loopbreak(base);
}

static void call_operations(evutil_socket_t fd, short what, void *argument)
{
	void (**operations)(void) = argument;

	(void)fd;
	(void)what;
	(*operations)();
}

void peer_open(void)
{
	struct event_config *config = event_config_new();

	if (opt.locks)
		evthread_use_pthreads();
	if (opt.changelist)
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	base = event_base_new_with_config(config);
	event_config_free(config);
}

void peer_prepare(void)
{
	sources = zeroed(opt.n, sizeof *sources);
	for (long i = 0; i < opt.n; i++)
		event_assign(sources + i, base, course.sources[i], EV_READ | (opt.oneshot ? 0 : EV_PERSIST), on_source,
			     (void *)(intptr_t)i);
}

void peer_add(long i)
{
	struct timeval timeout = timeval_of(idle_timeout(i));

	event_add(sources + i, opt.tmo ? &timeout : NULL);
}

void peer_delete(long i)
{
	event_del(sources + i);
}

void peer_poll(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
}

void peer_run(void)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void peer_prepare_timers(void)
{
	struct timeval ten_seconds = timeval_of(10000000), millisecond = timeval_of(1000);

	timers = zeroed(opt.t, sizeof *timers);
	for (long i = 0; i < opt.t; i++)
		evtimer_assign(timers + i, base, on_timer, NULL);
	if (!opt.same)
		return;
	far = event_base_init_common_timeout(base, &ten_seconds);
	near = event_base_init_common_timeout(base, &millisecond);
}

void peer_with_time(void (*operations)(void))
{
	event_base_once(base, -1, EV_TIMEOUT, call_operations, &operations, NULL);
	peer_poll();
}

void peer_set_timer(long i, uint64_t microseconds)
{
	struct timeval timeout = timeval_of(microseconds);

	if (opt.same)
		event_add(timers + i, microseconds == 1000 ? near : far);
	else
		event_add(timers + i, &timeout);
}

void peer_cancel_timer(long i)
{
	event_del(timers + i);
}

void peer_prepare_notify(void)
{
	if (!opt.locks) {
		fprintf(stderr, "another thread may come near a base only with locks=1\n");
		exit(2);
	}
	event_assign(&notified, base, -1, 0, on_notify, NULL);
}

void peer_notify(void)
{
	event_active(&notified, EV_READ, 0);
}
