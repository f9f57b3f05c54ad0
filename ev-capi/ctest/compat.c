/* The functions of old, which work on the current base. */
#include "ctest.h"

#include <event2/event_compat.h>

/* No header declares it, but programs have been seen to. */
extern struct event_base *event_global_current_base_;

static void without_a_base(void)
{
	say("loopbreak: %d", event_loopbreak());
	say("loopexit: %d", event_loopexit(NULL));
	say("current: %d", event_global_current_base_ != NULL);
}

static void usual_work(void)
{
	struct event_base *base = event_init();
	struct event timer, reader, sig;
	struct timeval soon = ms(5);
	int pair[2];
	socket_pair(pair, 60);
	say("current: %d", event_global_current_base_ == base);
	say("base %d, method is a name %d", base != NULL, event_get_method() == event_base_get_method(base));
	say("priorities: %d", event_priority_init(3));
	say("now %d", event_base_get_npriorities(NULL));
	evtimer_set(&timer, on_event, "timer");
	event_set(&reader, pair[0], EV_READ | EV_PERSIST, on_event, "reader");
	signal_set(&sig, SIGUSR1, on_event, "signal");
	say("base of an event: %d", event_get_base(&timer) == base);
	say("initialized %d %d %d", evtimer_initialized(&timer), event_initialized(&reader), signal_initialized(&sig));
	evtimer_add(&timer, &soon);
	event_add(&reader, NULL);
	signal_add(&sig, NULL);
	put(pair[1], "x");
	say("loop: %d", event_loop(EVLOOP_ONCE));
	event_del(&reader);
	raise(SIGUSR1);
	say("loop: %d", event_loop(EVLOOP_ONCE));
	signal_del(&sig);
	say("dispatch: %d", event_dispatch());
	say("once: %d", event_once(-1, EV_TIMEOUT, on_event, "once", NULL));
	say("dispatch: %d", event_dispatch());
	say("loopexit: %d", event_loopexit(NULL));
	say("dispatch: %d", event_dispatch());
	say("loopbreak: %d", event_loopbreak());
	say("fd %d, signal %d", (int)EVENT_FD(&reader), (int)EVENT_SIGNAL(&sig));
	event_base_free(NULL);
	say("again: %d", event_loopbreak());
	close(pair[0]);
	close(pair[1]);
}

/* An event goes to the base that is current when it is set. */
static void two_bases(void)
{
	struct event_base *first = event_init(), *second;
	struct event event;
	event_set(&event, -1, 0, on_event, "event");
	second = event_init();
	say("the first: %d", event_get_base(&event) == first);
	event_set(&event, -1, 0, on_event, "event");
	say("the second: %d", event_get_base(&event) == second);
	say("assign without a base: %d", event_assign(&event, NULL, -1, 0, on_event, "event"));
	say("the second: %d", event_get_base(&event) == second);
	say("base_set: %d", event_base_set(first, &event));
	say("the first: %d", event_get_base(&event) == first);
	event_base_free(first);
	say("current: %d", event_loopbreak());
	event_base_free(second);
	say("current: %d", event_loopbreak());
}

int main(void)
{
	start();
	TEST(without_a_base);
	TEST(usual_work);
	TEST(two_bases);
	return 0;
}
