/* Timers: order, periods, what adding and deleting leave behind. */
#include "ctest.h"

static int calls;

static void run(void)
{
	say("loop: %d", event_base_loop(base, 0));
}

static void order(void)
{
	static const int delays[] = { 30, 5, 60, 45, 0 };
	static const char *const names[] = { "30", "5", "60", "45", "0" };
	struct event *events[5];
	int i;
	base = event_base_new();
	for (i = 0; i < 5; i++) {
		struct timeval delay = ms(delays[i]);
		events[i] = evtimer_new(base, on_event, (void *)names[i]);
		say("add %s: %d", names[i], evtimer_add(events[i], &delay));
	}
	run();
	for (i = 0; i < 5; i++)
		event_free(events[i]);
	event_base_free(base);
}

static void negative_and_odd_delays(void)
{
	struct event *event;
	struct timeval negative = { -5, 0 }, microseconds = { 0, 3000000 / 1000 };
	base = event_base_new();
	event = evtimer_new(base, on_event, "timer");
	say("add: %d", evtimer_add(event, &negative));
	run();
	say("add: %d", evtimer_add(event, &microseconds));
	run();
	event_free(event);
	event_base_free(base);
}

static void one_shot_in_its_callback(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	struct timeval again = ms(5);
	(void)fd;
	say("  call %d: %s, pending %s", ++calls, bits(what), pending(self));
	if (calls < 3)
		tell("  add", event_add(self, &again), self);
}

static void one_shot_added_again(void)
{
	struct event *event;
	struct timeval soon = ms(5);
	base = event_base_new();
	calls = 0;
	event = evtimer_new(base, one_shot_in_its_callback, event_self_cbarg());
	event_add(event, &soon);
	run();
	event_free(event);
	event_base_free(base);
}

static void one_shot_with_a_descriptor(void)
{
	struct event *event;
	struct timeval soon = ms(5), late = ms(5000);
	set_up();
	event = event_new(base, pair[0], EV_READ, on_event, "reader");
	event_add(event, &soon);
	run();
	say("pending %s", pending(event));
	put(pair[1], "x");
	event_add(event, &late);
	run();
	say("pending %s", pending(event));
	event_free(event);
	tear_down();
}

static void persistent(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	(void)fd;
	say("  call %d: %s, pending %s", ++calls, bits(what), pending(self));
	if (calls == 3)
		tell("  del", event_del(self), self);
}

static void periodic(void)
{
	struct event *event;
	struct timeval period = ms(10);
	base = event_base_new();
	calls = 0;
	event = event_new(base, -1, EV_PERSIST, persistent, event_self_cbarg());
	event_add(event, &period);
	run();
	event_free(event);
	event_base_free(base);
}

/* Events that are persistent and have a period of nothing fire once and lose their descriptor as well. */
static void a_period_of_zero(void)
{
	struct event *event;
	struct timeval zero = ms(0);
	set_up();
	calls = 0;
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, persistent, event_self_cbarg());
	event_add(event, &zero);
	run();
	say("pending %s", pending(event));
	event_free(event);
	tear_down();
}

static struct timeval scheduled;

/* The next expiry counts from the last one, however late the call is. */
static void served_late(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	struct timeval next;
	(void)fd, (void)what;
	event_pending(self, EV_TIMEOUT, &next);
	say("  next after the scheduled one, in units of 10 ms: %ld", (ms_between(&scheduled, &next) + 5) / 10);
	event_del(self);
}

static void period_counts_from_the_schedule(void)
{
	struct event *event;
	struct timeval period = ms(200);
	base = event_base_new();
	event = event_new(base, -1, EV_PERSIST, served_late, event_self_cbarg());
	event_add(event, &period);
	event_pending(event, EV_TIMEOUT, &scheduled);
	sleep_ms(250);
	run();
	event_free(event);
	event_base_free(base);
}

/* When a whole period has been missed, there is no burst: the next expiry counts from now. */
static void missed_a_period(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	struct timeval next, now;
	(void)fd, (void)what;
	event_pending(self, EV_TIMEOUT, &next);
	event_base_gettimeofday_cached(base, &now);
	say("  next after now, in units of 10 ms: %ld", (ms_between(&now, &next) + 5) / 10);
	event_del(self);
}

static void missed_periods_are_not_made_up_for(void)
{
	struct event *event;
	struct timeval period = ms(30);
	base = event_base_new();
	event = event_new(base, -1, EV_PERSIST, missed_a_period, event_self_cbarg());
	event_add(event, &period);
	sleep_ms(100);
	run();
	event_free(event);
	event_base_free(base);
}

static void data_came(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	struct timeval next, now;
	event_pending(self, EV_TIMEOUT, &next);
	event_base_gettimeofday_cached(base, &now);
	say("  %s, pending %s", bits(what), pending(self));
	if (what & EV_READ)
		say("  next after now, in units of 10 ms: %ld", (ms_between(&now, &next) + 5) / 10);
	drain(fd);
	if (what & EV_TIMEOUT)
		event_del(self);
}

static void data_restarts_the_period(void)
{
	struct event *event;
	struct timeval period = ms(100);
	set_up();
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, data_came, event_self_cbarg());
	event_add(event, &period);
	sleep_ms(40);
	put(pair[1], "x");
	run();
	event_free(event);
	tear_down();
}

/* event_del keeps the period, which comes back with the first activity; event_remove_timer forgets it. */
static void the_period_after_deleting(void)
{
	struct event *event;
	struct timeval period = ms(5000);
	int removed;
	set_up();
	for (removed = 0; removed < 2; removed++) {
		event = event_new(base, pair[0], EV_READ | EV_PERSIST, on_event, "reader");
		event_add(event, &period);
		say("pending %s", pending(event));
		if (removed)
			tell("remove_timer", event_remove_timer(event), event);
		say("del: %d", event_del(event));
		tell("add", event_add(event, NULL), event);
		put(pair[1], "x");
		event_base_loop(base, EVLOOP_ONCE);
		say("pending %s", pending(event));
		drain(pair[0]);
		event_free(event);
	}
	tear_down();
}

static void removing_timers(void)
{
	struct event *event;
	struct timeval period = ms(5000);
	base = event_base_new();
	event = event_new(base, -1, EV_READ, on_event, "event");
	say("no timer: %d", event_remove_timer(event));
	event_add(event, &period);
	tell("timer", event_remove_timer(event), event);
	tell("again", event_remove_timer(event), event);
	event_free(event);
	event = evtimer_new(base, on_event, "timer");
	event_add(event, &period);
	tell("timer", event_remove_timer(event), event);
	run();
	event_free(event);
	event_base_free(base);
}

static void adding_twice(void)
{
	struct event *event;
	struct timeval late = ms(5000), soon = ms(5), when, then;
	base = event_base_new();
	event = evtimer_new(base, on_event, "timer");
	event_add(event, &late);
	event_pending(event, EV_TIMEOUT, &when);
	tell("add without a timeout", event_add(event, NULL), event);
	event_pending(event, EV_TIMEOUT, &then);
	say("moved: %d", ms_between(&when, &then) > 1000 || ms_between(&when, &then) < -1000);
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	say("add with another: %d", event_add(event, &soon));
	event_pending(event, EV_TIMEOUT, &then);
	say("moved: %d", ms_between(&when, &then) < -1000);
	run();
	event_free(event);
	event_base_free(base);
}

/* An event that is active because of its timeout and is added again waits anew. */
static void add_while_active_by_timeout(void)
{
	struct event *event;
	struct timeval late = ms(20);
	base = event_base_new();
	event = evtimer_new(base, on_event, "timer");
	event_active(event, EV_TIMEOUT, 1);
	say("pending %s", pending(event));
	tell("add", event_add(event, &late), event);
	say("active: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	run();
	event_active(event, EV_READ, 1);
	tell("add", event_add(event, &late), event);
	say("active: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	run();
	event_free(event);
	event_base_free(base);
}

/* The descriptor is ready and the time is up in the same turn. */
static void both_are_due(void)
{
	struct event *event;
	struct timeval soon = ms(1);
	set_up();
	put(pair[1], "x");
	event = event_new(base, pair[0], EV_READ, on_event, "both");
	event_add(event, &soon);
	sleep_ms(30);
	run();
	event_free(event);
	tear_down();
}

static void many(void)
{
	struct event *events[500];
	int i, active = 0;
	base = event_base_new();
	for (i = 0; i < 500; i++) {
		struct timeval delay = ms(10000 + (i * 7919) % 500);
		events[i] = evtimer_new(base, on_event, "timer");
		event_add(events[i], &delay);
	}
	for (i = 0; i < 500; i += 2)
		event_del(events[i]);
	for (i = 0; i < 500; i++)
		active += event_pending(events[i], EV_TIMEOUT, NULL) != 0;
	say("pending %d, counted %d", active, event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	for (i = 0; i < 500; i++)
		event_free(events[i]);
	say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(order);
	TEST(negative_and_odd_delays);
	TEST(one_shot_added_again);
	TEST(one_shot_with_a_descriptor);
	TEST(periodic);
	TEST(a_period_of_zero);
	TEST(period_counts_from_the_schedule);
	TEST(missed_periods_are_not_made_up_for);
	TEST(data_restarts_the_period);
	TEST(the_period_after_deleting);
	TEST(removing_timers);
	TEST(adding_twice);
	TEST(add_while_active_by_timeout);
	TEST(both_are_due);
	TEST(many);
	return 0;
}
