/* Debug mode: what it refuses, and how. Each case runs in a process of its own. */
#include "ctest.h"

/* Before "called on" libevent has the name of a function of its own, this library that of the function called. */
static void without_the_caller(int severity, const char *message)
{
	const char *called = strstr(message, " called on");
	say_log(severity, called ? called + 1 : message);
}

static void on_fatal(int code)
{
	say("  fatal: %s", code == (int)0xdeaddead ? "abort" : code == 1 ? "exit" : "other");
	exit(7);
}

static void on(void)
{
	event_set_fatal_callback(on_fatal);
	event_enable_debug_mode();
	base = event_base_new();
}

static void usual_work(void)
{
	struct event *event, inside;
	struct timeval late = ms(5000);
	on();
	event = evtimer_new(base, on_event, "timer");
	event_add(event, &late);
	event_assign(&inside, base, -1, EV_READ | EV_PERSIST, on_event, "inside");
	event_add(&inside, NULL);
	event_active(&inside, EV_READ, 1);
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE));
	event_del(&inside);
	event_debug_unassign(&inside);
	event_assign(&inside, base, -1, EV_WRITE, on_event, "inside");
	event_debug_unassign(&inside);
	event_free(event);
	event_base_free(base);
	libevent_global_shutdown();
}

static void too_late(void)
{
	event_set_fatal_callback(on_fatal);
	base = event_base_new();
	event_enable_debug_mode();
}

static void too_late_after_an_event(void)
{
	struct event event;
	event_set_fatal_callback(on_fatal);
	event_assign(&event, NULL, -1, EV_READ, on_event, "event");
	event_enable_debug_mode();
	say("enabled");
}

static void twice(void)
{
	on();
	event_enable_debug_mode();
}

static struct event *never_assigned(void)
{
	static struct event event;
	on();
	return &event;
}

static void add_unassigned(void) { event_add(never_assigned(), NULL); }
static void del_unassigned(void) { event_del(never_assigned()); }
static void active_unassigned(void) { event_active(never_assigned(), EV_READ, 1); }
static void pending_unassigned(void) { event_pending(never_assigned(), EV_READ, NULL); }
static void priority_unassigned(void) { event_priority_set(never_assigned(), 0); }
static void remove_timer_unassigned(void) { event_remove_timer(never_assigned()); }
static void get_fd_unassigned(void) { event_get_fd(never_assigned()); }
static void get_base_unassigned(void) { event_get_base(never_assigned()); }
static void get_events_unassigned(void) { event_get_events(never_assigned()); }
static void get_callback_unassigned(void) { event_get_callback(never_assigned()); }
static void get_arg_unassigned(void) { event_get_callback_arg(never_assigned()); }
static void get_priority_unassigned(void) { event_get_priority(never_assigned()); }
static void get_assignment_unassigned(void) { event_get_assignment(never_assigned(), NULL, NULL, NULL, NULL, NULL); }
static void base_set_unassigned(void) { struct event *event = never_assigned(); event_base_set(base, event); }
static void unassign_unassigned(void) { event_debug_unassign(never_assigned()); say("nothing"); }
static void finalize_unassigned(void) { event_finalize(0, never_assigned(), NULL); }

static struct event *added(void)
{
	struct event *event;
	on();
	event = event_new(base, -1, EV_READ, on_event, "event");
	event_add(event, NULL);
	return event;
}

static void assign_added(void) { event_assign(added(), base, -1, EV_READ, on_event, "event"); }
static void unassign_added(void) { event_debug_unassign(added()); }

/* A copy of an event that is not known at its new place. */
static struct event *copied(void)
{
	static struct event copy;
	struct event *event = added();
	event_del(event);
	copy = *event;
	return &copy;
}

static void add_copied(void) { event_add(copied(), NULL); }
static void del_copied(void) { event_del(copied()); }
static void del_noblock_copied(void) { event_del_noblock(copied()); }
static void active_copied(void) { event_active(copied(), EV_READ, 1); }
static void pending_copied(void) { event_pending(copied(), EV_READ, NULL); }
static void remove_timer_copied(void) { event_remove_timer(copied()); }
static void base_set_copied(void) { struct event *event = copied(); event_base_set(base, event); }
static void unassign_copied(void) { event_debug_unassign(copied()); say("unassigned"); }
static void finalize_copied(void) { event_finalize(0, copied(), NULL); }

static void a_blocking_descriptor(void)
{
	struct event *event;
	on();
	fcntl(0, F_SETFL, fcntl(0, F_GETFL) & ~O_NONBLOCK);
	event = event_new(base, 0, EV_READ, on_event, "event");
	say("made %d", event != NULL);
}

static void a_bad_descriptor(void)
{
	on();
	say("made %d", event_new(base, 999, EV_READ, on_event, "event") != NULL);
}

static void edge_and_level(void)
{
	struct event *level, *edge;
	int pair[2];
	on();
	socket_pair(pair, 60);
	level = event_new(base, pair[0], EV_READ, on_event, "level");
	edge = event_new(base, pair[0], EV_WRITE | EV_ET, on_event, "edge");
	say("level: %d", event_add(level, NULL));
	say("edge: %d", event_add(edge, NULL));
	event_del(level);
	say("edge alone: %d", event_add(edge, NULL));
	say("level: %d", event_add(level, NULL));
}

/* An event that was activated is over once it has run: it can be assigned anew. */
static void fired(void)
{
	struct event *event;
	struct timeval soon = ms(1);
	on();
	event = evtimer_new(base, on_event, "timer");
	event_add(event, &soon);
	event_base_loop(base, 0);
	say("assign: %d", event_assign(event, base, -1, EV_READ, on_event, "event"));
}

static void priority_out_of_range(void)
{
	struct event *event;
	event_set_fatal_callback(on_fatal);
	base = base_with(5);
	event = event_new(base, -1, 0, on_event, "event");
	event_priority_set(event, 4);
	event_base_priority_init(base, 2);
	event_active(event, EV_READ, 1);
	say("active");
}

#define CHILD(name) in_child(#name, name)

int main(void)
{
	start();
	event_set_log_callback(without_the_caller);
	CHILD(usual_work);
	CHILD(too_late);
	CHILD(too_late_after_an_event);
	CHILD(twice);
	CHILD(add_unassigned);
	CHILD(del_unassigned);
	CHILD(active_unassigned);
	CHILD(pending_unassigned);
	CHILD(priority_unassigned);
	CHILD(remove_timer_unassigned);
	CHILD(get_fd_unassigned);
	CHILD(get_base_unassigned);
	CHILD(get_events_unassigned);
	CHILD(get_callback_unassigned);
	CHILD(get_arg_unassigned);
	CHILD(get_priority_unassigned);
	CHILD(get_assignment_unassigned);
	CHILD(base_set_unassigned);
	CHILD(unassign_unassigned);
	CHILD(finalize_unassigned);
	CHILD(assign_added);
	CHILD(unassign_added);
	CHILD(add_copied);
	CHILD(del_copied);
	CHILD(del_noblock_copied);
	CHILD(active_copied);
	CHILD(pending_copied);
	CHILD(remove_timer_copied);
	CHILD(base_set_copied);
	CHILD(unassign_copied);
	CHILD(finalize_copied);
	CHILD(a_blocking_descriptor);
	CHILD(a_bad_descriptor);
	CHILD(edge_and_level);
	CHILD(fired);
	CHILD(priority_out_of_range);
	return 0;
}
