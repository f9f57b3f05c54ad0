/* Common timeouts: the pointer and its encoding, the order of expiry, mixing with ordinary ones. */
#include "ctest.h"

static void say_timeval(const char *name, const struct timeval *tv)
{
	say("%s: %ld s, %ld us, list %ld, magic %#lx", name, (long)tv->tv_sec, (long)tv->tv_usec & 0xfffff,
	    (long)(tv->tv_usec >> 20) & 0xff, (unsigned long)tv->tv_usec >> 28);
}

static void pointers(void)
{
	struct timeval one = ms(1500), two = ms(250), odd = { 1, 500000 + 1000000 }, full = { 0, 1000000 };
	const struct timeval *a, *b;
	base = event_base_new();
	a = event_base_init_common_timeout(base, &one);
	b = event_base_init_common_timeout(base, &two);
	say_timeval("first", a);
	say_timeval("second", b);
	say("same duration, same pointer: %d", event_base_init_common_timeout(base, &one) == a);
	say("by its own pointer: %d", event_base_init_common_timeout(base, b) == b);
	say_timeval("carried", event_base_init_common_timeout(base, &odd));
	say_timeval("a full second", event_base_init_common_timeout(base, &full));
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void there_are_256(void)
{
	int i, given = 0;
	base = event_base_new();
	for (i = 0; i < 256; i++) {
		struct timeval duration = ms(10000 + i);
		const struct timeval *common = event_base_init_common_timeout(base, &duration);
		given += common != NULL && ((common->tv_usec >> 20) & 0xff) == i;
	}
	say("given: %d", given);
	for (i = 255; i < 258; i++) {
		struct timeval duration = ms(10000 + i);
		say("duration %d: %d", i, event_base_init_common_timeout(base, &duration) != NULL);
	}
	event_base_free(base);
}

static void order(void)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct event *events[6];
	struct timeval ten = ms(10), plain = ms(60);
	const struct timeval *common;
	int i;
	base = event_base_new();
	common = event_base_init_common_timeout(base, &ten);
	for (i = 0; i < 6; i++) {
		events[i] = evtimer_new(base, on_event, (void *)names[i]);
		say("add %s: %d", names[i], event_add(events[i], i == 3 ? &plain : common));
	}
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_del(events[0]);
	event_del(events[4]);
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 6; i++)
		event_free(events[i]);
	event_base_free(base);
}

static int calls;

static void three_times(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	(void)fd;
	say("  call %d: %s, pending %s", ++calls, bits(what), pending(self));
	if (calls == 3)
		event_del(self);
}

static void periodic(void)
{
	struct event *event;
	struct timeval ten = ms(10);
	base = event_base_new();
	calls = 0;
	event = event_new(base, -1, EV_PERSIST, three_times, event_self_cbarg());
	event_add(event, event_base_init_common_timeout(base, &ten));
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_base_free(base);
}

/* The time that event_pending tells has lost the magic bits. */
static void pending_tells_a_plain_time(void)
{
	struct event *event;
	struct timeval duration = ms(3000), when, now;
	base = event_base_new();
	event = evtimer_new(base, on_event, "timer");
	event_add(event, event_base_init_common_timeout(base, &duration));
	say("pending %s", bits(event_pending(event, EV_TIMEOUT, &when)));
	gettimeofday(&now, NULL);
	say("microseconds in range: %d", when.tv_usec >= 0 && when.tv_usec < 1000000);
	say("in about three seconds: %d", ms_between(&now, &when) > 2500 && ms_between(&now, &when) < 3500);
	event_free(event);
	event_base_free(base);
}

static void from_one_kind_to_the_other(void)
{
	struct event *event;
	struct timeval soon = ms(10), long_time = ms(100000);
	const struct timeval *common_soon, *common_long;
	base = event_base_new();
	common_soon = event_base_init_common_timeout(base, &soon);
	common_long = event_base_init_common_timeout(base, &long_time);
	event = evtimer_new(base, on_event, "timer");
	event_add(event, common_long);
	event_add(event, &soon);
	say("loop: %d", event_base_loop(base, 0));
	event_add(event, &long_time);
	event_add(event, common_soon);
	say("loop: %d", event_base_loop(base, 0));
	event_add(event, common_long);
	event_add(event, common_soon);
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_base_free(base);
}

static void freed_with_members(void)
{
	struct event *events[4];
	struct timeval duration = ms(5000);
	const struct timeval *common;
	int i;
	base = event_base_new();
	common = event_base_init_common_timeout(base, &duration);
	for (i = 0; i < 4; i++) {
		events[i] = evtimer_new(base, on_event, "timer");
		event_add(events[i], common);
	}
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(pointers);
	TEST(there_are_256);
	TEST(order);
	TEST(periodic);
	TEST(pending_tells_a_plain_time);
	TEST(from_one_kind_to_the_other);
	TEST(freed_with_members);
	return 0;
}
