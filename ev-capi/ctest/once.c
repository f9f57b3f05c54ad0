/* event_base_once. */
#include "ctest.h"

static void refused(void)
{
	struct timeval soon = ms(1);
	base = event_base_new();
	say("signal: %d", event_base_once(base, SIGUSR1, EV_SIGNAL, on_event, "signal", NULL));
	say("persistent: %d", event_base_once(base, 0, EV_READ | EV_PERSIST, on_event, "persistent", NULL));
	say("nothing: %d", event_base_once(base, -1, 0, on_event, "nothing", &soon));
	say("only PERSIST: %d", event_base_once(base, -1, EV_PERSIST, on_event, "persistent", &soon));
	say("only ET: %d", event_base_once(base, -1, EV_ET, on_event, "edge", &soon));
	say("no base: %d", event_base_once(NULL, -1, EV_TIMEOUT, on_event, "no base", &soon));
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_free(base);
}

static void timers(void)
{
	struct timeval none = ms(0), soon = ms(5), later = ms(30);
	base = event_base_new();
	say("later: %d", event_base_once(base, 7, EV_TIMEOUT, on_event, "later", &later));
	say("soon: %d", event_base_once(base, -1, EV_TIMEOUT, on_event, "soon", &soon));
	say("at once: %d", event_base_once(base, 9, EV_TIMEOUT, on_event, "at once", NULL));
	say("at zero: %d", event_base_once(base, -1, EV_TIMEOUT, on_event, "at zero", &none));
	say("added %d, active %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED),
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void descriptors(void)
{
	struct timeval soon = ms(5), late = ms(5000);
	set_up();
	say("write: %d", event_base_once(base, pair[0], EV_WRITE, on_event, "writer", NULL));
	say("read: %d", event_base_once(base, pair[0], EV_READ, on_event, "reader", &late));
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	put(pair[1], "x");
	say("loop: %d", event_base_loop(base, 0));
	drain(pair[0]);
	say("with a timeout: %d", event_base_once(base, pair[0], EV_READ | EV_TIMEOUT, on_event, "late", &soon));
	say("loop: %d", event_base_loop(base, 0));
	say("an edge: %d", event_base_once(base, pair[0], EV_WRITE | EV_ET, on_event, "edge", NULL));
	say("loop: %d", event_base_loop(base, 0));
	tear_down();
}

static void nested(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	say("  again: %d", event_base_once(base, -1, EV_TIMEOUT, on_event, "inner", NULL));
}

static void from_a_callback(void)
{
	base = event_base_new();
	event_base_once(base, -1, EV_TIMEOUT, nested, "outer", NULL);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void left_over(void)
{
	struct timeval late = ms(5000);
	int i;
	base = event_base_new();
	for (i = 0; i < 20; i++)
		event_base_once(base, -1, EV_TIMEOUT, on_event, "never", i % 2 ? &late : NULL);
	event_base_free(base);
	base = event_base_new();
	event_base_once(base, -1, EV_READ, on_event, "never", &late);
	event_base_free_nofinalize(base);
}

int main(void)
{
	start();
	TEST(refused);
	TEST(timers);
	TEST(descriptors);
	TEST(from_a_callback);
	TEST(left_over);
	return 0;
}
