/* Timers that are due in the same turn, and what the callback of one does to the others. */
#include "ctest.h"

enum { FIRST, SECOND, THIRD, FOURTH, LAST, COUNT };

static const char *const names[COUNT] = { "first", "second", "third", "fourth", "last" };
static struct event *events[COUNT], *other;
static void (*action)(void);
/* With a common timeout; with a descriptor for the fourth. */
static int shared, mixed;

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
	int i, reads;
	for (i = 0; i < COUNT; i++) {
		delay = ms(shared ? 2 : i + 1);
		if (shared)
			timeout = event_base_init_common_timeout(base, &delay);
		reads = mixed && i == FOURTH;
		events[i] = event_new(base, reads ? pair[0] : -1, (reads ? EV_READ : 0) | persist, on_due, (void *)names[i]);
		event_add(events[i], timeout);
	}
	other = event_new(base, -1, 0, on_event, "other");
	sleep_ms(16);
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
	say("%s: active %d, at most %d, added at most %d", when, event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0));
}

/* Runs until nothing is left, one turn at a time. */
static void turns(void)
{
	int turn = 0, result;
	do {
		result = event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		say("turn %d: %d", ++turn, result);
		sleep_ms(16);
	} while (result == 0 && turn < 12);
}

static void nothing_is_done(void)
{
}

static void others_are_deleted(void)
{
	say("  delete: %d", event_del(events[THIRD]));
	say("  delete: %d", event_del(events[FOURTH]));
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
	struct timeval later = ms(4);
	tell("  add", event_add(events[THIRD], &later), events[THIRD]);
	tell("  add", event_add(events[LAST], NULL), events[LAST]);
}

static void the_fourth_is_added_again(void)
{
	struct timeval later = ms(4);
	tell("  add", event_add(events[FOURTH], &later), events[FOURTH]);
}

static void the_fourth_is_looked_at(void)
{
	say("  pending %s", pending(events[FOURTH]));
	tell("  add", event_add(events[FOURTH], NULL), events[FOURTH]);
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
	tell("  remove", event_remove_timer(events[FOURTH]), events[FOURTH]);
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

static void on_mine(int number)
{
	(void)number;
}

/* The program's handler is not touched any more by the event's turn to come. */
static void a_signal_is_caught_by_hand(void)
{
	struct sigaction found;
	sigaction(SIGUSR2, NULL, &found);
	say("  as if there were no event: %d", found.sa_handler == SIG_DFL);
	signal(SIGUSR2, on_mine);
}

static void a_signal_has_timed_out(void)
{
	struct timeval soon = ms(1), sooner = ms(0);
	struct sigaction found;
	struct event *event;
	base = event_base_new();
	event = event_new(base, SIGUSR2, EV_SIGNAL, on_event, "signal");
	events[SECOND] = evtimer_new(base, on_due, (void *)names[SECOND]);
	event_add(event, &soon);
	event_add(events[SECOND], &sooner);
	sleep_ms(16);
	action = a_signal_is_caught_by_hand;
	say("loop: %d", event_base_loop(base, 0));
	sigaction(SIGUSR2, NULL, &found);
	say("the program's handler: %d", found.sa_handler == on_mine);
	signal(SIGUSR2, SIG_DFL);
	event_free(events[SECOND]);
	event_free(event);
	event_base_free(base);
}

static void add_others(void)
{
	struct timeval late = ms(30000);
	event_add(other, &late);
	event_add(events[LAST], &late);
}

/* Timers only: what is called does not count as added any more. */
static void timers_are_counted(void)
{
	struct timeval delay = ms(1);
	int i;
	base = event_base_new();
	other = evtimer_new(base, on_event, "other");
	events[LAST] = evtimer_new(base, on_event, "last");
	for (i = FIRST; i <= THIRD; i++) {
		events[i] = evtimer_new(base, on_due, (void *)names[i]);
		delay = ms(i + 1);
		event_add(events[i], &delay);
	}
	sleep_ms(16);
	action = add_others;
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE));
	counts("at the end");
	for (i = FIRST; i <= THIRD; i++)
		event_free(events[i]);
	event_free(events[LAST]);
	event_free(other);
	event_base_free(base);
}

static void two_priorities(void)
{
	int i;
	base = base_with(2);
	for (i = 0; i < 4; i++) {
		struct timeval delay = ms(i + 1);
		events[i] = evtimer_new(base, on_event, (void *)names[i]);
		event_priority_set(events[i], !(i % 2));
		event_add(events[i], &delay);
	}
	sleep_ms(16);
	say("loop: %d", event_base_loop(base, 0));
	for (i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(base);
}

/* One callback a turn, and the end of the run between two timers: the second is left for the next run. */
static void a_limit(void)
{
	struct event_config *config = event_config_new();
	struct timeval delays[] = { ms(1), ms(2), ms(3) };
	event_config_set_max_dispatch_interval(config, NULL, 1, 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	events[FIRST] = evtimer_new(base, on_event, (void *)names[FIRST]);
	events[LAST] = evtimer_new(base, on_event, (void *)names[LAST]);
	event_add(events[FIRST], &delays[0]);
	event_base_loopexit(base, &delays[1]);
	event_add(events[LAST], &delays[2]);
	sleep_ms(16);
	say("loop: %d", event_base_loop(base, 0));
	say("loop: %d", event_base_loop(base, 0));
	event_free(events[FIRST]);
	event_free(events[LAST]);
	event_base_free(base);
}

/* However short their period, timers are called once in a turn. */
static void tiny_periods(void)
{
	struct timeval none = { -1, 0 }, tiny = { 0, 1 };
	int turn;
	base = event_base_new();
	events[FIRST] = event_new(base, -1, EV_PERSIST, on_event, (void *)names[FIRST]);
	events[LAST] = event_new(base, -1, EV_PERSIST, on_event, (void *)names[LAST]);
	event_add(events[FIRST], &none);
	event_add(events[LAST], &tiny);
	for (turn = 0; turn < 3; turn++) {
		sleep_ms(16);
		say("turn: %d", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
	}
	event_free(events[FIRST]);
	event_free(events[LAST]);
	event_base_free(base);
}

static void readiness_goes_first(void)
{
	struct timeval soon = ms(1);
	set_up();
	other = event_new(base, pair[0], EV_READ, on_event, "reader");
	events[LAST] = evtimer_new(base, on_event, (void *)names[LAST]);
	event_add(other, NULL);
	event_add(events[LAST], &soon);
	put(pair[1], "x");
	sleep_ms(16);
	say("loop: %d", event_base_loop(base, 0));
	event_free(events[LAST]);
	event_free(other);
	tear_down();
}

static int priorities_left;

/* The library ends the process. */
static void the_priority_is_no_more(void)
{
	struct timeval soon = ms(1);
	base = base_with(3);
	events[LAST] = evtimer_new(base, on_event, (void *)names[LAST]);
	event_priority_set(events[LAST], 2);
	say("init: %d", event_base_priority_init(base, priorities_left));
	say("add: %d", event_add(events[LAST], &soon));
	sleep_ms(16);
	event_base_loop(base, 0);
}

static void try(const char *name, void (*what)(void), short persist)
{
	say("== %s%s%s%s", name, mixed ? ", with a descriptor" : "", shared ? ", common timeouts" : "", persist ? ", persistent" : "");
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

static void try_all(void)
{
	TRY(nothing_is_done);
	TRY(others_are_deleted);
	TRY(one_is_freed);
	TRY(others_are_activated);
	TRY(others_are_added_again);
	TRY(the_fourth_is_added_again);
	TRY(some_are_added_without_delay);
	TRY(the_fourth_is_looked_at);
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

int main(void)
{
	start();
	TEST(one_pass_ends_with_what_was_due);
	TEST(a_signal_has_timed_out);
	TEST(timers_are_counted);
	TEST(two_priorities);
	TEST(a_limit);
	TEST(tiny_periods);
	TEST(readiness_goes_first);
	for (priorities_left = 1; priorities_left <= 2; priorities_left++)
		in_child("the_priority_is_no_more", the_priority_is_no_more);
	try_all();
	shared = 1;
	try_all();
	shared = 0;
	mixed = 1;
	try_all();
	return 0;
}
