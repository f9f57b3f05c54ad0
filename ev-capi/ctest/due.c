/* Timers that are due in the same turn, and what the callback of one does to the others. */
#include "ctest.h"

enum { FIRST, SECOND, THIRD, IO, LAST, COUNT };

static const char *const names[COUNT] = { "first", "second", "third", "with a descriptor", "last" };
static struct event *events[COUNT], *other;
static void (*action)(void);
static int shared;

static void on_due(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	if (name == names[SECOND] && action) {
		void (*once)(void) = action;
		action = NULL;
		once();
	}
}

/* Adds all events, one after the other, and lets them become due. */
static void add_all(short persist)
{
	static struct timeval delay;
	const struct timeval *timeout = &delay;
	int i;
	for (i = 0; i < COUNT; i++) {
		delay = ms(shared ? 2 : i + 1);
		if (shared)
			timeout = event_base_init_common_timeout(base, &delay);
		events[i] = event_new(base, i == IO ? pair[0] : -1, (i == IO ? EV_READ : 0) | persist, on_due, (void *)names[i]);
		event_add(events[i], timeout);
	}
	other = event_new(base, -1, 0, on_event, "other");
	sleep_ms(25);
}

static void free_all(void)
{
	int i;
	for (i = 0; i < COUNT; i++)
		if (events[i])
			event_free(events[i]);
	event_free(other);
	tear_down();
}

static void counts(const char *when)
{
	say("%s: active %d, at most %d", when, event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0));
}

/* Runs until nothing is left, one turn at a time. */
static void turns(void)
{
	int turn = 0, result;
	do {
		result = event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		say("turn %d: %d", ++turn, result);
		sleep_ms(25);
	} while (result == 0 && turn < 12);
}

static void nothing_is_done(void)
{
}

static void others_are_deleted(void)
{
	say("  delete: %d", event_del(events[THIRD]));
	say("  delete: %d", event_del(events[IO]));
	say("  pending %s", pending(events[THIRD]));
}

static void one_is_freed(void)
{
	event_free(events[THIRD]);
	events[THIRD] = NULL;
}

static void others_are_activated(void)
{
	event_active(events[LAST], EV_READ, 1);
	event_active(other, EV_WRITE, 1);
	event_active(events[FIRST], EV_TIMEOUT, 1);
	event_active(events[THIRD], EV_WRITE, 1);
}

static void others_are_added_again(void)
{
	struct timeval later = ms(10);
	tell("  add", event_add(events[THIRD], &later), events[THIRD]);
	tell("  add", event_add(events[LAST], NULL), events[LAST]);
}

static void the_one_with_a_descriptor_is_added_again(void)
{
	struct timeval later = ms(10);
	tell("  add", event_add(events[IO], &later), events[IO]);
}

static void the_one_with_a_descriptor_is_looked_at(void)
{
	say("  pending %s", pending(events[IO]));
	tell("  add", event_add(events[IO], NULL), events[IO]);
}

static void some_are_added_without_delay(void)
{
	struct timeval now = ms(0);
	tell("  add", event_add(other, &now), other);
	tell("  add", event_add(events[SECOND], &now), events[SECOND]);
}

static void timeouts_are_removed(void)
{
	tell("  remove", event_remove_timer(events[THIRD]), events[THIRD]);
	tell("  remove", event_remove_timer(events[IO]), events[IO]);
}

static void priorities_are_set(void)
{
	say("  set: %d", event_priority_set(events[LAST], 0));
	say("  set: %d", event_priority_set(events[FIRST], 0));
}

static void the_number_of_priorities_is_set(void)
{
	say("  set: %d", event_base_priority_init(base, 3));
}

static void the_loop_is_broken_off(void)
{
	say("  break: %d", event_base_loopbreak(base));
	say("  pending %s", pending(events[THIRD]));
}

static void the_loop_is_continued(void)
{
	event_del(events[IO]);
	event_assign(other, base, pair[1], EV_READ, on_event, "reader");
	event_add(other, NULL);
	put(pair[0], "x");
	say("  continue: %d", event_base_loopcontinue(base));
}

static void the_loop_ends_after_the_turn(void)
{
	say("  exit: %d", event_base_loopexit(base, NULL));
}

static void one_is_finalized(struct event *event, void *name)
{
	(void)event;
	say("  finalizer of %s", (const char *)name);
}

static void others_are_finalized(void)
{
	say("  finalize: %d", event_finalize(0, events[THIRD], one_is_finalized));
}

static void once_is_asked_for(void)
{
	struct timeval now = ms(0), later = ms(2);
	say("  once: %d", event_base_once(base, -1, EV_TIMEOUT, on_event, "once", &now));
	say("  once: %d", event_base_once(base, -1, EV_TIMEOUT, on_event, "once later", &later));
}

static void the_clock_is_read_anew(void)
{
	struct timeval soon = ms(1);
	sleep_ms(30);
	say("  update: %d", event_base_update_cache_time(base));
	tell("  add", event_add(other, &soon), other);
}

static void a_descriptor_is_activated(void)
{
	event_base_active_by_fd(base, pair[0], EV_READ);
	event_base_active_by_fd(base, pair[0], EV_TIMEOUT);
}

static void a_signal_is_activated(void)
{
	event_assign(other, base, SIGUSR1, EV_SIGNAL, on_event, "signal");
	event_add(other, NULL);
	event_base_active_by_signal(base, SIGUSR1);
	say("  pending %s", pending(events[LAST]));
}

static int each(const struct event_base *b, const struct event *event, void *count)
{
	int i;
	(void)b;
	for (i = 0; i < COUNT; i++)
		if (event == events[i])
			say("  there is %s", names[i]);
	++*(int *)count;
	return 0;
}

static void they_are_counted(void)
{
	say("  active %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	say("  added %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
}

static void the_most_is_asked_for(void)
{
	say("  at most %d", event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0));
}

static void they_are_listed(void)
{
	int count = 0;
	say("  each: %d", event_base_foreach_event(base, each, &count));
}

static void try(const char *name, void (*what)(void), short persist)
{
	say("== %s%s%s", name, shared ? ", common timeouts" : "", persist ? ", persistent" : "");
	set_up();
	add_all(persist);
	action = what;
	if (!persist) {
		turns();
		say("%s, %s", event_base_got_break(base) ? "broken off" : "not broken off",
		    event_base_got_exit(base) ? "ended" : "not ended");
	} else {
		say("turn: %d", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
	}
	counts("at the end");
	free_all();
}

#define TRY(name) do { try(#name, name, 0); try(#name, name, EV_PERSIST); } while (0)

static void one_pass_ends_with_what_was_due(void)
{
	struct timeval soon = ms(1), late = ms(30000);
	base = event_base_new();
	other = evtimer_new(base, on_event, "other");
	events[LAST] = evtimer_new(base, on_event, "last");
	event_add(other, &soon);
	event_add(events[LAST], &late);
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE));
	say("pending %s", pending(events[LAST]));
	event_free(events[LAST]);
	event_free(other);
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(one_pass_ends_with_what_was_due);
	for (shared = 0; shared < 2; shared++) {
		TRY(nothing_is_done);
		TRY(others_are_deleted);
		TRY(one_is_freed);
		TRY(others_are_activated);
		TRY(others_are_added_again);
		TRY(the_one_with_a_descriptor_is_added_again);
		TRY(some_are_added_without_delay);
		TRY(the_one_with_a_descriptor_is_looked_at);
		TRY(timeouts_are_removed);
		TRY(priorities_are_set);
		TRY(the_number_of_priorities_is_set);
		TRY(the_loop_is_broken_off);
		/* Not with periods, which might be over by the time the loop comes back. */
		try("the_loop_is_continued", the_loop_is_continued, 0);
		TRY(the_loop_ends_after_the_turn);
		TRY(others_are_finalized);
		TRY(once_is_asked_for);
		TRY(the_clock_is_read_anew);
		TRY(a_descriptor_is_activated);
		TRY(a_signal_is_activated);
		TRY(they_are_counted);
		TRY(the_most_is_asked_for);
		TRY(they_are_listed);
	}
	return 0;
}
