/* Priorities, and the limits on how long one of them may keep the loop. */
#include "ctest.h"

static void numbers(void)
{
	static const int counts[] = { 1, 2, 3, 10, 255, 256, 0, -1 };
	struct event *event;
	size_t i;
	base = event_base_new();
	say("at first: %d", event_base_get_npriorities(base));
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int result = event_base_priority_init(base, counts[i]);
		say("init %d: %d, now %d", counts[i], result, event_base_get_npriorities(base));
		event = event_new(base, -1, 0, on_event, "event");
		say("given to an event: %d", event_get_priority(event));
		event_free(event);
	}
	event_base_free(base);
}

static void setting(void)
{
	struct event *event;
	struct timeval late = ms(5000);
	base = base_with(3);
	event = event_new(base, -1, 0, on_event, "event");
	say("set 0: %d", event_priority_set(event, 0));
	say("set 2: %d", event_priority_set(event, 2));
	say("set 3: %d", event_priority_set(event, 3));
	say("set -1: %d", event_priority_set(event, -1));
	say("is %d", event_get_priority(event));
	event_add(event, &late);
	say("while pending: %d", event_priority_set(event, 1));
	event_active(event, EV_READ, 1);
	say("while active: %d", event_priority_set(event, 0));
	say("is %d", event_get_priority(event));
	say("init while active: %d", event_base_priority_init(base, 5));
	event_del(event);
	say("init: %d", event_base_priority_init(base, 5));
	say("is %d", event_get_priority(event));
	say("base_set: %d", event_base_set(base, event));
	say("is %d", event_get_priority(event));
	event_free(event);
	event_base_free(base);
}

static struct event *urgent, *polled;
static int calls;

static void activates_urgent(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	event_active(urgent, EV_READ, 1);
}

/* An urgent event that comes up in the middle of a queue goes before the rest of that queue. */
static void urgent_ones_go_first(void)
{
	struct event *events[3];
	int i;
	base = base_with(3);
	urgent = event_new(base, -1, 0, on_event, "urgent");
	event_priority_set(urgent, 0);
	events[0] = event_new(base, -1, 0, activates_urgent, "first");
	events[1] = event_new(base, -1, 0, on_event, "second");
	events[2] = event_new(base, -1, 0, on_event, "last");
	event_priority_set(events[2], 2);
	for (i = 2; i >= 0; i--)
		event_active(events[i], EV_WRITE, 1);
	event_del(events[1]);
	event_active(events[1], EV_WRITE, 1);
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_free(urgent);
	event_base_free(base);
}

static void makes_readable(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	put(61, "x");
}

/* After one queue the loop asks the kernel again, before it looks at less urgent ones. */
static void the_loop_polls_between_queues(void)
{
	struct event *middle, *last;
	int pair[2];
	base = base_with(3);
	socket_pair(pair, 60);
	polled = event_new(base, pair[0], EV_READ, on_event, "polled");
	event_priority_set(polled, 0);
	event_add(polled, NULL);
	middle = event_new(base, -1, 0, makes_readable, "middle");
	last = event_new(base, -1, 0, on_event, "last");
	event_priority_set(last, 2);
	event_active(last, EV_WRITE, 1);
	event_active(middle, EV_WRITE, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_free(polled);
	event_free(middle);
	event_free(last);
	event_base_free(base);
	close(pair[0]);
	close(pair[1]);
}

static struct event *limited[6];

static void counted(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	if (++calls == 1)
		put(61, "x");
}

/* Six events of one queue, a descriptor of a more urgent one that becomes ready with the first call. */
static void with_limits(const char *name, const struct timeval *interval, int callbacks, int min_priority)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct event_config *config = event_config_new();
	int pair[2], i;
	say("-- %s: %d", name, event_config_set_max_dispatch_interval(config, interval, callbacks, min_priority));
	base = event_base_new_with_config(config);
	event_config_free(config);
	event_base_priority_init(base, 2);
	socket_pair(pair, 60);
	polled = event_new(base, pair[0], EV_READ, on_event, "polled");
	event_priority_set(polled, 0);
	event_add(polled, NULL);
	calls = 0;
	for (i = 0; i < 6; i++) {
		limited[i] = event_new(base, -1, 0, counted, (void *)names[i]);
		event_priority_set(limited[i], 1);
		event_active(limited[i], EV_WRITE, 1);
	}
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 6; i++)
		event_free(limited[i]);
	event_free(polled);
	event_base_free(base);
	close(pair[0]);
	close(pair[1]);
}

static void limits(void)
{
	struct timeval none = ms(0), long_time = ms(60000);
	with_limits("none", NULL, -1, 0);
	with_limits("two callbacks", NULL, 2, 0);
	with_limits("no callbacks", NULL, 0, 0);
	with_limits("two callbacks for queues after this one", NULL, 2, 2);
	with_limits("two callbacks for this queue", NULL, 2, 1);
	with_limits("a negative priority", NULL, 2, -3);
	with_limits("no time at all", &none, -1, 0);
	with_limits("plenty of time", &long_time, -1, 0);
	with_limits("plenty of time, three callbacks", &long_time, 3, 0);
}

static void ready_descriptors_by_priority(void)
{
	static const char *const names[] = { "last", "middle", "first" };
	struct event *events[3];
	int pairs[3][2], i;
	base = base_with(3);
	for (i = 0; i < 3; i++) {
		socket_pair(pairs[i], 60 + 2 * i);
		put(pairs[i][1], "x");
		events[i] = event_new(base, pairs[i][0], EV_READ, on_event, (void *)names[i]);
		event_priority_set(events[i], 2 - i);
		event_add(events[i], NULL);
	}
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 3; i++) {
		event_free(events[i]);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	event_base_free(base);
}

static void counters(void)
{
	struct event *event;
	struct timeval late = ms(5000);
	const unsigned all = EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_VIRTUAL;
	set_up();
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, on_event, "event");
	event_add(event, &late);
	say("added %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_active(event, EV_READ, 1);
	say("added %d, active %d, virtual %d, all %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED),
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	    event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL), event_base_get_num_events(base, all));
	event_del(event);
	say("after del %d", event_base_get_num_events(base, all));
	say("most: added %d, active %d, virtual %d", event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 0));
	say("most, cleared: %d", event_base_get_max_events(base, all, 1));
	say("most: %d", event_base_get_max_events(base, all, 0));
	event_add(event, NULL);
	say("most: %d", event_base_get_max_events(base, all, 0));
	event_free(event);
	tear_down();
}

int main(void)
{
	start();
	TEST(numbers);
	TEST(setting);
	TEST(urgent_ones_go_first);
	TEST(the_loop_polls_between_queues);
	TEST(limits);
	TEST(ready_descriptors_by_priority);
	TEST(counters);
	return 0;
}
