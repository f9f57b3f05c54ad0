/* Events: assignment, activation by hand, deleting and adding while active. */
#include "ctest.h"

static void on_anything(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what, (void)argument;
}

static void assigning(void)
{
	static const short masks[] = {
		0, EV_READ, EV_READ | EV_WRITE | EV_PERSIST, EV_TIMEOUT, EV_SIGNAL, EV_SIGNAL | EV_PERSIST,
		EV_SIGNAL | EV_READ, EV_SIGNAL | EV_WRITE, EV_SIGNAL | EV_CLOSED, EV_READ | EV_ET, EV_READ | EV_FINALIZE,
	};
	struct event event;
	size_t i;
	base = event_base_new();
	memset(&event, 0, sizeof(event));
	say("zeroed: %d", event_initialized(&event));
	for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		int result = event_assign(&event, base, masks[i] & EV_SIGNAL ? SIGUSR1 : 5, masks[i], on_anything, &event);
		say("%s: %d, events %s, initialized %d", bits(masks[i]), result, bits(event_get_events(&event)),
		    event_initialized(&event));
	}
	say("unknown bits: %d, %#x", event_assign(&event, base, 5, 0x3000 | EV_READ, on_anything, NULL),
	    (unsigned)event_get_events(&event));
	event_debug_unassign(&event);
	say("unassigned: %d", event_initialized(&event));
	say("new, a bad mask: %d", event_new(base, 1, EV_SIGNAL | EV_READ, on_anything, NULL) != NULL);
	event_base_free(base);
}

static void reading_back(void)
{
	struct event event;
	struct event_base *of;
	evutil_socket_t fd;
	short events;
	event_callback_fn callback;
	void *argument;
	int number = 0;
	base = event_base_new();
	event_assign(&event, base, 60, EV_READ | EV_PERSIST | EV_ET, on_anything, &number);
	say("fd %d, %s, base %d, callback %d, argument %d", (int)event_get_fd(&event), bits(event_get_events(&event)),
	    event_get_base(&event) == base, event_get_callback(&event) == on_anything,
	    event_get_callback_arg(&event) == &number);
	event_get_assignment(&event, &of, &fd, &events, &callback, &argument);
	say("fd %d, %s, base %d, callback %d, argument %d", (int)fd, bits(events), of == base, callback == on_anything,
	    argument == &number);
	event_get_assignment(&event, NULL, NULL, NULL, NULL, NULL);
	event_assign(&event, base, -1, 0, on_anything, event_self_cbarg());
	say("its own argument: %d", event_get_callback_arg(&event) == &event);
	say("size %zu, alignment fits %d", event_get_struct_event_size(), event_get_struct_event_size() <= sizeof(event));
	say("signal %d", (int)event_get_signal(&event));
	event_base_free(base);
}

static void order_of_activation(void)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct event *events[4];
	int i;
	base = event_base_new();
	for (i = 0; i < 4; i++)
		events[i] = event_new(base, -1, 0, on_event, (void *)names[i]);
	for (i = 3; i >= 0; i--)
		event_active(events[i], EV_READ, 1);
	/* Only the bits of an active event change; it keeps its place. */
	event_active(events[3], EV_WRITE, 1);
	event_active(events[2], EV_TIMEOUT, 5);
	for (i = 0; i < 4; i++)
		say("%s: %s", names[i], pending(events[i]));
	event_del(events[1]);
	say("active: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

static void odd_results(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, 33, EV_READ, on_event, "event");
	event_active(event, 0, 1);
	say("pending %s, active %d", pending(event), event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	say("loop: %d", event_base_loop(base, 0));
	event_active(event, EV_READ | EV_WRITE | EV_SIGNAL | EV_CLOSED | EV_TIMEOUT | EV_ET | EV_PERSIST, 1);
	say("pending %s", pending(event));
	say("loop: %d", event_base_loop(base, 0));
	event_active(event, EV_READ, 0);
	say("loop: %d", event_base_loop(base, 0));
	event_active(event, EV_READ, 3);
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_base_free(base);
}

static int calls;

static void count(evutil_socket_t fd, short what, void *name)
{
	(void)what;
	say("  %s: fd %d, call %d", (const char *)name, (int)fd, ++calls);
}

static void signals_by_hand(void)
{
	struct event *event;
	base = event_base_new();
	event = evsignal_new(base, SIGUSR1, count, "signal");
	for (int times = 0; times < 4; times++) {
		calls = 0;
		event_active(event, EV_SIGNAL, (short)times);
		say("%d times, loop: %d", times, event_base_loop(base, EVLOOP_NONBLOCK));
	}
	calls = 0;
	event_active(event, EV_SIGNAL, 2);
	event_active(event, EV_SIGNAL, 5);
	say("twice and five times more, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(event);
	event_base_free(base);
}

static void added_while_active(void)
{
	struct event *event;
	struct timeval late = ms(10);
	set_up();
	event = event_new(base, pair[0], EV_READ, on_event, "event");
	event_active(event, EV_WRITE, 1);
	tell("add", event_add(event, NULL), event);
	tell("loop", event_base_loop(base, EVLOOP_NONBLOCK), event);
	event_active(event, EV_WRITE, 1);
	tell("add with a timeout", event_add(event, &late), event);
	tell("loop", event_base_loop(base, EVLOOP_NONBLOCK), event);
	event_add(event, &late);
	event_active(event, EV_WRITE, 1);
	say("active and pending %s", pending(event));
	say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	tell("loop", event_base_loop(base, EVLOOP_NONBLOCK), event);
	event_free(event);
	tear_down();
}

static void deletes(evutil_socket_t fd, short what, void *other)
{
	(void)fd, (void)what;
	say("  deletes: %d", event_del(other));
}

static void deleted_while_active(void)
{
	struct event *first, *second;
	base = event_base_new();
	second = event_new(base, -1, 0, on_event, "second");
	first = event_new(base, -1, 0, deletes, second);
	event_active(first, EV_READ, 1);
	event_active(second, EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_free(first);
	event_free(second);
	event_base_free(base);
}

static void frees_itself(evutil_socket_t fd, short what, void *self)
{
	(void)fd, (void)what;
	say("  frees itself");
	event_free(self);
}

static void freed_in_its_callback(void)
{
	base = event_base_new();
	event_active(event_new(base, -1, 0, frees_itself, event_self_cbarg()), EV_READ, 1);
	event_active(event_new(base, -1, EV_PERSIST, frees_itself, event_self_cbarg()), EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void deleting(void)
{
	struct event *event;
	struct timeval late = ms(5000);
	base = event_base_new();
	event = event_new(base, -1, EV_READ | EV_PERSIST, on_event, "event");
	say("not added: %d", event_del(event) | event_del_noblock(event) | event_del_block(event));
	event_add(event, &late);
	event_active(event, EV_READ, 1);
	tell("del", event_del(event), event);
	say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE));
	say("again: %d", event_del(event));
	event_free(event);
	event_base_free(base);
}

static void says_running(evutil_socket_t fd, short what, void *self)
{
	(void)fd, (void)what;
	say("  running is this one: %d", event_base_get_running_event(base) == self);
	say("  pending %s, counted %d", pending(self),
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE));
}

static void running(void)
{
	struct event *once, *persistent;
	base = event_base_new();
	once = event_new(base, -1, EV_READ, says_running, event_self_cbarg());
	persistent = event_new(base, -1, EV_READ | EV_PERSIST, says_running, event_self_cbarg());
	event_add(once, NULL);
	event_add(persistent, NULL);
	event_active(once, EV_READ, 1);
	event_active(persistent, EV_READ, 1);
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(once);
	event_free(persistent);
	event_base_free(base);
}

static void without_a_base(void)
{
	struct event event;
	struct timeval late = ms(5000);
	say("assign: %d", event_assign(&event, NULL, -1, EV_READ, on_anything, NULL));
	say("add: %d", event_add(&event, &late));
	say("del: %d", event_del(&event));
	say("remove_timer: %d", event_remove_timer(&event));
	event_active(&event, EV_READ, 1);
	say("pending %s", pending(&event));
	base = event_base_new();
	say("base_set: %d", event_base_set(base, &event));
	say("add: %d", event_add(&event, NULL));
	say("base_set while pending: %d", event_base_set(base, &event));
	event_del(&event);
	event_base_free(base);
}

static void by_descriptor_and_signal(void)
{
	struct event *reader, *writer, *both, *timer, *usr1, *plain;
	struct timeval late = ms(5000);
	set_up();
	reader = event_new(base, pair[0], EV_READ | EV_PERSIST, on_event, "reader");
	writer = event_new(base, pair[1], EV_READ | EV_PERSIST, on_event, "other end");
	both = event_new(base, pair[0], EV_READ | EV_CLOSED | EV_PERSIST, on_event, "both");
	timer = event_new(base, pair[0], EV_READ | EV_PERSIST, on_event, "with a timer");
	usr1 = evsignal_new(base, SIGUSR1, on_event, "signal");
	plain = evtimer_new(base, on_event, "plain timer");
	event_add(reader, NULL);
	event_add(writer, NULL);
	event_add(both, NULL);
	event_add(timer, &late);
	event_add(usr1, NULL);
	event_add(plain, &late);
	event_base_active_by_fd(base, pair[0], EV_READ);
	say("by reading, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_active_by_fd(base, pair[0], EV_CLOSED | EV_WRITE);
	say("by closing, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_active_by_fd(base, pair[0], EV_TIMEOUT | EV_READ);
	say("by the time, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_active_by_fd(base, -1, EV_TIMEOUT);
	say("by the time of no descriptor, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_active_by_fd(base, 5000, EV_READ);
	event_base_active_by_fd(base, -1, EV_READ);
	say("unknown ones, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_active_by_signal(base, SIGUSR1);
	event_base_active_by_signal(base, SIGUSR2);
	event_base_active_by_signal(base, 500);
	event_base_active_by_signal(base, -1);
	say("by signal, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(reader);
	event_free(writer);
	event_free(both);
	event_free(timer);
	event_free(usr1);
	event_free(plain);
	tear_down();
}

static void macros(void)
{
	struct event *user = NULL;
	base = event_base_new();
	user = evuser_new(base, on_event, "user");
	evuser_trigger(user);
	say("pending %d, initialized %d", evuser_pending(user, NULL), evuser_initialized(user));
	say("loop: %d", event_base_loop(base, 0));
	evuser_trigger(user);
	say("del: %d", evuser_del(user));
	say("loop: %d", event_base_loop(base, 0));
	event_free(user);
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(assigning);
	TEST(reading_back);
	TEST(order_of_activation);
	TEST(odd_results);
	TEST(signals_by_hand);
	TEST(added_while_active);
	TEST(deleted_while_active);
	TEST(freed_in_its_callback);
	TEST(deleting);
	TEST(running);
	TEST(without_a_base);
	TEST(by_descriptor_and_signal);
	TEST(macros);
	return 0;
}
