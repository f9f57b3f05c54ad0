/* fork and event_reinit. */
#include "ctest.h"

static void wait_for(pid_t child)
{
	int status = 0;
	if (waitpid(child, &status, 0) != child)
		exit(99);
	say("child ended with %d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

static void read_one(evutil_socket_t fd, short what, void *name)
{
	char byte;
	say("  %s: fd %d, %s, %zd byte", (const char *)name, (int)fd, bits(what), read(fd, &byte, 1));
}

static void descriptors(void)
{
	struct event *event;
	pid_t child;
	set_up();
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, read_one, "reader");
	event_add(event, NULL);
	put(pair[1], "a");
	child = fork();
	if (child == 0) {
		say("reinit: %d", event_reinit(base));
		tell("in the child, loop", event_base_loop(base, EVLOOP_NONBLOCK), event);
		say("del: %d", event_del(event));
		event_free(event);
		event_base_free(base);
		exit(3);
	}
	wait_for(child);
	put(pair[1], "b");
	tell("in the parent, loop", event_base_loop(base, EVLOOP_NONBLOCK), event);
	event_free(event);
	tear_down();
}

static void everything_survives(void)
{
	struct event *timer, *active, *usr1;
	struct timeval soon = ms(20);
	pid_t child;
	base = event_base_new();
	timer = evtimer_new(base, on_event, "timer");
	active = event_new(base, -1, 0, on_event, "active");
	usr1 = evsignal_new(base, SIGUSR1, on_event, "signal");
	event_add(timer, &soon);
	event_add(usr1, NULL);
	event_active(active, EV_READ, 1);
	event_base_once(base, -1, EV_TIMEOUT, on_event, "once", &soon);
	child = fork();
	if (child == 0) {
		say("reinit: %d", event_reinit(base));
		say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE));
		raise(SIGUSR1);
		event_base_loop(base, EVLOOP_ONCE);
		event_del(usr1);
		say("loop: %d", event_base_loop(base, 0));
		exit(0);
	}
	wait_for(child);
	say("-- in the parent");
	event_del(active);
	event_del(timer);
	raise(SIGUSR1);
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(timer);
	event_free(active);
	event_free(usr1);
	event_base_free(base);
}

/* What the child deletes must not be deleted from the parent's. */
static void the_parent_is_left_alone(void)
{
	struct event *event, *late;
	pid_t child;
	set_up();
	event = event_new(base, pair[0], EV_READ, read_one, "reader");
	late = evsignal_new(base, SIGUSR1, on_event, "signal");
	event_add(event, NULL);
	event_add(late, NULL);
	child = fork();
	if (child == 0) {
		event_reinit(base);
		event_del(event);
		event_del(late);
		event_base_free(base);
		exit(0);
	}
	wait_for(child);
	put(pair[1], "x");
	raise(SIGUSR1);
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(event);
	event_free(late);
	tear_down();
}

static void in_the_same_process(void)
{
	struct event *event;
	set_up();
	event = event_new(base, pair[0], EV_READ | EV_ET | EV_PERSIST, on_event, "edge");
	event_add(event, NULL);
	put(pair[1], "x");
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
	say("reinit: %d", event_reinit(base));
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
	event_free(event);
	tear_down();
}

int main(void)
{
	start();
	TEST(descriptors);
	TEST(everything_survives);
	TEST(the_parent_is_left_alone);
	TEST(in_the_same_process);
	return 0;
}
