/* Flags and return values of the loop, and the ways to leave it. */
#include "ctest.h"

static int calls;

static void loop(const char *name, int flags)
{
	int result = event_base_loop(base, flags);
	say("%s: %d, exit %d, break %d", name, result, event_base_got_exit(base), event_base_got_break(base));
}

static void all_modes(const char *name)
{
	say("-- %s", name);
	loop("NONBLOCK", EVLOOP_NONBLOCK);
	loop("ONCE|NONBLOCK", EVLOOP_ONCE | EVLOOP_NONBLOCK);
	loop("NO_EXIT_ON_EMPTY|NONBLOCK", EVLOOP_NO_EXIT_ON_EMPTY | EVLOOP_NONBLOCK);
}

static void empty(void)
{
	base = event_base_new();
	loop("0", 0);
	loop("ONCE", EVLOOP_ONCE);
	say("dispatch: %d", event_base_dispatch(base));
	all_modes("nothing there");
	event_base_free(base);
}

static void waiting(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, EV_READ, on_event, "never");
	event_add(event, NULL);
	all_modes("an event without a descriptor");
	event_free(event);
	all_modes("and none again");
	event_base_free(base);
}

static void one_shot(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, 0, on_event, "user");
	event_active(event, EV_WRITE, 1);
	loop("NONBLOCK", EVLOOP_NONBLOCK);
	event_active(event, EV_WRITE, 1);
	loop("ONCE", EVLOOP_ONCE);
	event_active(event, EV_WRITE, 1);
	loop("ONCE|NONBLOCK", EVLOOP_ONCE | EVLOOP_NONBLOCK);
	event_active(event, EV_WRITE, 1);
	loop("0", 0);
	event_free(event);
	event_base_free(base);
}

static void once_drains_all_priorities(void)
{
	static const char *const names[] = { "first", "second", "third" };
	struct event *events[3];
	int i;
	base = base_with(3);
	for (i = 2; i >= 0; i--) {
		events[i] = event_new(base, -1, 0, on_event, (void *)names[i]);
		event_priority_set(events[i], i);
		event_active(events[i], EV_READ, 1);
	}
	loop("ONCE", EVLOOP_ONCE);
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
}

static void break_at_five(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)unused;
	say("  call %d: %s", ++calls, bits(what));
	if (calls == 5)
		event_base_loopbreak(base);
}

static void nonblock_goes_on_while_something_is_ready(void)
{
	struct event *event;
	set_up();
	put(pair[1], "x");
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, break_at_five, NULL);
	event_add(event, NULL);
	calls = 0;
	loop("NONBLOCK", EVLOOP_NONBLOCK);
	calls = 0;
	loop("ONCE|NONBLOCK", EVLOOP_ONCE | EVLOOP_NONBLOCK);
	event_free(event);
	tear_down();
}

static void leave(evutil_socket_t fd, short what, void *how)
{
	(void)fd;
	say("  %s: %s", (const char *)how, bits(what));
	if (strcmp(how, "exit") == 0)
		say("  loopexit: %d", event_base_loopexit(base, NULL));
	else if (strcmp(how, "break") == 0)
		say("  loopbreak: %d", event_base_loopbreak(base));
	else
		say("  loopcontinue: %d", event_base_loopcontinue(base));
	say("  exit %d, break %d", event_base_got_exit(base), event_base_got_break(base));
}

/* Three active events of one priority and one of a later one; the second is the one that leaves. */
static void leave_by(const char *how)
{
	struct event *events[4];
	int i;
	say("-- %s", how);
	base = base_with(3);
	events[0] = event_new(base, -1, 0, on_event, "before");
	events[1] = event_new(base, -1, 0, leave, (void *)how);
	events[2] = event_new(base, -1, 0, on_event, "after");
	events[3] = event_new(base, -1, 0, on_event, "less urgent");
	event_priority_set(events[3], 2);
	for (i = 0; i < 4; i++)
		event_active(events[i], EV_READ, 1);
	loop("0", 0);
	for (i = 0; i < 4; i++)
		say("active %d: %s", i, pending(events[i]));
	loop("again", 0);
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

static void leaving(void)
{
	leave_by("exit");
	leave_by("break");
	leave_by("continue");
}

static void before_the_loop(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, 0, on_event, "user");
	event_active(event, EV_READ, 1);
	say("loopbreak: %d", event_base_loopbreak(base));
	say("break %d", event_base_got_break(base));
	loop("a break is forgotten", 0);
	event_active(event, EV_READ, 1);
	say("loopexit: %d", event_base_loopexit(base, NULL));
	say("exit %d", event_base_got_exit(base));
	loop("an exit is not", 0);
	say("loopexit: %d", event_base_loopexit(base, NULL));
	say("loopexit: %d", event_base_loopexit(base, NULL));
	loop("two exits", 0);
	loop("no exit is left", 0);
	event_free(event);
	event_base_free(base);
}

static void a_later_exit_ends_a_later_loop(void)
{
	struct event *never;
	struct timeval soon = ms(5), later = ms(400);
	base = event_base_new();
	never = event_new(base, -1, EV_READ, on_event, "never");
	event_add(never, NULL);
	event_base_loopexit(base, &later);
	event_base_loopexit(base, &soon);
	loop("first", 0);
	loop("second", 0);
	loop("third", EVLOOP_NONBLOCK);
	event_free(never);
	event_base_free(base);
}

static void an_exit_alone_keeps_the_loop(void)
{
	struct timeval soon = ms(5);
	base = event_base_new();
	event_base_loopexit(base, &soon);
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	loop("0", 0);
	event_base_free(base);
}

static void enter(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	say("  inside: %d", event_base_loop(base, EVLOOP_NONBLOCK));
}

static void re_entered(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, 0, enter, NULL);
	event_active(event, EV_READ, 1);
	loop("0", 0);
	event_free(event);
	event_base_free(base);
}

static void go_on(evutil_socket_t fd, short what, void *argument)
{
	struct event *self = argument;
	(void)fd, (void)what;
	say("  step %d", ++calls);
	if (calls < 4)
		event_active(self, EV_READ, 1);
}

static void activated_in_its_own_callback(void)
{
	struct event *event;
	base = event_base_new();
	calls = 0;
	event = event_new(base, -1, 0, go_on, event_self_cbarg());
	event_active(event, EV_READ, 1);
	loop("ONCE", EVLOOP_ONCE);
	event_free(event);
	event_base_free(base);
}

static void without_a_base(void)
{
	say("loopexit: %d", event_base_loopexit(NULL, NULL));
	say("loopbreak: %d", event_base_loopbreak(NULL));
	say("loopcontinue: %d", event_base_loopcontinue(NULL));
}

int main(void)
{
	start();
	TEST(empty);
	TEST(waiting);
	TEST(one_shot);
	TEST(once_drains_all_priorities);
	TEST(nonblock_goes_on_while_something_is_ready);
	TEST(leaving);
	TEST(before_the_loop);
	TEST(a_later_exit_ends_a_later_loop);
	TEST(an_exit_alone_keeps_the_loop);
	TEST(re_entered);
	TEST(activated_in_its_own_callback);
	TEST(without_a_base);
	return 0;
}
