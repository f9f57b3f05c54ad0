/* Deferred callbacks, which libevent's other libraries use: the core exports them, and no header declares them. */
#include "ctest.h"

typedef void (*self_callback)(struct event_callback *, void *);

void event_deferred_cb_init_(struct event_callback *, unsigned char, self_callback, void *);
void event_deferred_cb_set_priority_(struct event_callback *, unsigned char);
int event_deferred_cb_schedule_(struct event_base *, struct event_callback *);
void event_deferred_cb_cancel_(struct event_base *, struct event_callback *);
int event_callback_activate_(struct event_base *, struct event_callback *);
int event_callback_cancel_(struct event_base *, struct event_callback *);
void event_callback_finalize_(struct event_base *, unsigned, struct event_callback *, self_callback);
int event_callback_finalize_many_(struct event_base *, int, struct event_callback **, self_callback);
void event_base_add_virtual_(struct event_base *);
void event_base_del_virtual_(struct event_base *);

#define MANY 40

static struct event_callback callbacks[MANY];
static const char *const names[] = { "a", "b", "c" };

static void on_callback(struct event_callback *self, void *name)
{
	(void)self;
	say("  %s", (const char *)name);
}

static void on_finalize(struct event_callback *self, void *name)
{
	(void)self;
	say("  finalizer of %s", (const char *)name);
}

static void three(int priorities)
{
	int i;
	base = base_with(priorities);
	for (i = 0; i < 3; i++)
		event_deferred_cb_init_(&callbacks[i], 0, on_callback, (void *)names[i]);
}

static void run(void)
{
	say("loop: %d", event_base_loop(base, 0));
}

static void schedule_one(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	say("schedule: %d", event_deferred_cb_schedule_(base, &callbacks[0]));
}

static void scheduling_while_timers_are_due(void)
{
	struct timeval delays[] = { ms(1), ms(2) };
	struct event *first, *second;
	three(1);
	first = evtimer_new(base, schedule_one, "first");
	second = evtimer_new(base, on_event, "second");
	event_add(first, &delays[0]);
	event_add(second, &delays[1]);
	sleep_ms(25);
	run();
	event_free(second);
	event_free(first);
	event_base_free(base);
}

static void scheduling(void)
{
	int i;
	three(3);
	event_deferred_cb_set_priority_(&callbacks[0], 2);
	for (i = 0; i < 3; i++)
		say("schedule %s: %d", names[i], event_deferred_cb_schedule_(base, &callbacks[i]));
	say("again: %d, by hand: %d", event_deferred_cb_schedule_(base, &callbacks[1]),
	    event_callback_activate_(base, &callbacks[1]));
	run();
	say("by hand: %d", event_callback_activate_(base, &callbacks[0]));
	event_deferred_cb_schedule_(base, &callbacks[1]);
	event_deferred_cb_cancel_(base, &callbacks[0]);
	say("cancel: %d, again: %d", event_callback_cancel_(base, &callbacks[1]),
	    event_callback_cancel_(base, &callbacks[1]));
	run();
	event_base_free(base);
}

/* A turn takes no more than some of them. One that waits for the next turn is called in this one if it is activated. */
static int called;
static int places[MANY];

static void on_one_of_many(struct event_callback *self, void *unused)
{
	(void)unused;
	places[self - callbacks] = ++called;
}

static void schedules_many(evutil_socket_t fd, short what, void *unused)
{
	int i, scheduled = 0;
	(void)fd, (void)what, (void)unused;
	for (i = 0; i < MANY; i++)
		scheduled += event_deferred_cb_schedule_(base, &callbacks[i]);
	say("  scheduled: %d, again: %d", scheduled, event_deferred_cb_schedule_(base, &callbacks[MANY - 2]));
	say("  the last one by hand: %d, again: %d", event_callback_activate_(base, &callbacks[MANY - 1]),
	    event_callback_activate_(base, &callbacks[MANY - 1]));
	event_base_loopexit(base, NULL);
}

static void more_than_a_turn_takes(void)
{
	struct event starter;
	int i;
	base = event_base_new();
	for (i = 0; i < MANY; i++)
		event_deferred_cb_init_(&callbacks[i], 0, on_one_of_many, NULL);
	event_assign(&starter, base, -1, 0, schedules_many, NULL);
	event_active(&starter, EV_READ, 1);
	run();
	say("in one turn: %d, the last one: %d", called, places[MANY - 1] > 0);
	run();
	say("all: %d, the last one before those that were put off: %d", called == MANY,
	    places[MANY - 1] < places[MANY - 2]);
	event_base_free(base);
}

static void finalizing(void)
{
	struct event_callback *all[3] = { &callbacks[0], &callbacks[1], &callbacks[2] };
	int i;
	three(1);
	event_deferred_cb_schedule_(base, &callbacks[0]);
	event_callback_finalize_(base, 0, &callbacks[0], on_finalize);
	say("schedule: %d, cancel: %d", event_deferred_cb_schedule_(base, &callbacks[0]),
	    event_callback_cancel_(base, &callbacks[0]));
	run();
	for (i = 0; i < 3; i++) {
		event_deferred_cb_init_(&callbacks[i], 0, on_callback, (void *)names[i]);
		event_deferred_cb_schedule_(base, &callbacks[i]);
	}
	say("many: %d", event_callback_finalize_many_(base, 3, all, on_finalize));
	run();
	event_base_free(base);
}

static void finalizes_all(struct event_callback *self, void *name)
{
	struct event_callback *all[3] = { &callbacks[0], &callbacks[1], &callbacks[2] };
	on_callback(self, name);
	say("  many: %d", event_callback_finalize_many_(base, 3, all, on_finalize));
}

static void finalizing_the_one_that_runs(void)
{
	three(1);
	event_deferred_cb_init_(&callbacks[1], 0, finalizes_all, "b");
	event_deferred_cb_schedule_(base, &callbacks[0]);
	event_deferred_cb_schedule_(base, &callbacks[1]);
	event_deferred_cb_schedule_(base, &callbacks[2]);
	run();
	event_base_free(base);
}

static void finalizing_none(void)
{
	struct event_callback *all[1] = { NULL };
	three(1);
	say("none: %d", event_callback_finalize_many_(base, 0, all, on_finalize));
	say("less: %d", event_callback_finalize_many_(base, -1, all, on_finalize));
	run();
	event_base_free(base);
}

/* The head of an event is one, too. */
static void events(void)
{
	struct event event;
	struct timeval late = ms(10000);
	struct event_callback *all[2] = { &callbacks[0], &event.ev_evcallback };
	three(1);
	event_assign(&event, base, -1, EV_READ, on_event, "event");
	event_add(&event, &late);
	event_active(&event, EV_READ, 1);
	tell("cancel", event_callback_cancel_(base, &event.ev_evcallback), &event);
	say("base_set: %d", event_base_set(base, &event));
	event_active(&event, EV_WRITE, 1);
	run();
	event_add(&event, &late);
	tell("many", event_callback_finalize_many_(base, 2, all, on_finalize), &event);
	run();
	event_add(&event, &late);
	event_callback_finalize_(base, 0, &event.ev_evcallback, on_finalize);
	say("add: %d", event_add(&event, NULL));
	run();
	event_base_free(base);
}

static void virtual_events(void)
{
	base = event_base_new();
	event_base_add_virtual_(base);
	event_base_add_virtual_(base);
	say("counted %d, loop: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL),
	    event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_del_virtual_(base);
	event_base_del_virtual_(base);
	say("counted %d, at most %d", event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL),
	    event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 0));
	run();
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(scheduling);
	TEST(scheduling_while_timers_are_due);
	TEST(more_than_a_turn_takes);
	TEST(finalizing);
	TEST(finalizing_the_one_that_runs);
	TEST(events);
	TEST(virtual_events);
	in_child("finalizing_none", finalizing_none);
	return 0;
}
