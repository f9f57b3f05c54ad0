/* Several threads on one base. */
#include "ctest.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_t looping;
static int loop_result;

static void *loop(void *flags)
{
	loop_result = event_base_loop(base, (int)(long)flags);
	return NULL;
}

static void start_loop(int flags)
{
	pthread_create(&looping, NULL, loop, (void *)(long)flags);
}

static void end_loop(const char *name)
{
	pthread_join(looping, NULL);
	say("%s: %d", name, loop_result);
}

/* Waits until the other thread sleeps in the loop, as far as that can be seen: it has run an event of ours. */
static atomic_int stage;

static void await_stage(int number)
{
	while (atomic_load(&stage) < number)
		sleep_ms(1);
}

static void next_stage(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	atomic_fetch_add(&stage, 1);
}

static void make_base(void)
{
	base = event_base_new();
	atomic_store(&stage, 0);
	event_base_once(base, -1, EV_TIMEOUT, next_stage, NULL, NULL);
}

static void break_wakes(void)
{
	make_base();
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	sleep_ms(10);
	say("loopbreak: %d", event_base_loopbreak(base));
	end_loop("loop");
	say("break %d, exit %d", event_base_got_break(base), event_base_got_exit(base));
	event_base_free(base);
}

static void exit_wakes(void)
{
	make_base();
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	say("loopexit: %d", event_base_loopexit(base, NULL));
	end_loop("loop");
	say("break %d, exit %d", event_base_got_break(base), event_base_got_exit(base));
	event_base_free(base);
}

static void adding_wakes(void)
{
	struct event *late, *soon, *reader;
	struct timeval moment = ms(5);
	int pair[2];
	make_base();
	socket_pair(pair, 60);
	late = event_new(base, -1, EV_READ, on_event, "late");
	soon = evtimer_new(base, next_stage, NULL);
	reader = event_new(base, pair[0], EV_READ, next_stage, NULL);
	event_add(late, NULL);
	start_loop(0);
	await_stage(1);
	sleep_ms(10);
	say("a timer: %d", event_add(soon, &moment));
	await_stage(2);
	say("it fired");
	put(pair[1], "x");
	say("a descriptor: %d", event_add(reader, NULL));
	await_stage(3);
	say("it fired");
	event_active(soon, EV_READ, 1);
	await_stage(4);
	say("it was activated");
	say("the last one: %d", event_del(late));
	end_loop("loop");
	event_free(late);
	event_free(soon);
	event_free(reader);
	event_base_free(base);
	close(pair[0]);
	close(pair[1]);
}

static atomic_int running, returned;

static void slow(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	atomic_store(&running, 1);
	sleep_ms(120);
	atomic_store(&returned, 1);
}

static void deleted_by(const char *name, int (*delete)(struct event *), short mask)
{
	struct event *event, *keep;
	struct timeval late = ms(100000);
	int result, had_returned;
	make_base();
	atomic_store(&running, 0);
	atomic_store(&returned, 0);
	event = event_new(base, -1, mask, slow, NULL);
	keep = evtimer_new(base, on_event, "keep");
	event_add(event, NULL);
	event_add(keep, &late);
	start_loop(0);
	await_stage(1);
	event_active(event, EV_READ, 1);
	while (!atomic_load(&running))
		sleep_ms(1);
	result = delete(event);
	had_returned = atomic_load(&returned);
	say("%s of %s: %d, the callback had returned %d", name, bits(mask), result, had_returned);
	event_base_loopbreak(base);
	end_loop("loop");
	event_free(event);
	event_free(keep);
	event_base_free(base);
}

static void deleting_waits_for_the_callback(void)
{
	deleted_by("event_del", event_del, EV_READ | EV_PERSIST);
	deleted_by("event_del_block", event_del_block, EV_READ | EV_PERSIST);
	deleted_by("event_del_noblock", event_del_noblock, EV_READ | EV_PERSIST);
	deleted_by("event_del", event_del, EV_READ | EV_PERSIST | EV_FINALIZE);
	deleted_by("event_del_block", event_del_block, EV_READ | EV_PERSIST | EV_FINALIZE);
	deleted_by("event_del", event_del, EV_READ);
}

static void ask(evutil_socket_t fd, short what, void *self)
{
	(void)fd, (void)what;
	say("  in the loop: %d", event_base_get_running_event(base) == self);
	atomic_fetch_add(&stage, 1);
	await_stage(3);
}

static void the_running_event(void)
{
	struct event *event;
	make_base();
	event = event_new(base, -1, 0, ask, event_self_cbarg());
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	event_active(event, EV_READ, 1);
	await_stage(2);
	say("in another thread: %d", event_base_get_running_event(base) != NULL);
	atomic_fetch_add(&stage, 1);
	event_base_loopbreak(base);
	end_loop("loop");
	event_free(event);
	event_base_free(base);
}

static void a_second_loop(void)
{
	make_base();
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	say("second: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_base_loopbreak(base);
	end_loop("first");
	event_base_free(base);
}

/* Four threads activate one event many times over; no call is lost for good. */
static struct event *shared;
static atomic_int activations, calls;

static void counts(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	atomic_fetch_add(&calls, 1);
}

static void *activates(void *unused)
{
	int i;
	for (i = 0; i < 2000; i++) {
		event_active(shared, EV_READ, 1);
		atomic_fetch_add(&activations, 1);
	}
	return unused;
}

static void many_activate(void)
{
	pthread_t threads[4];
	int i, before;
	make_base();
	atomic_store(&calls, 0);
	shared = event_new(base, -1, 0, counts, NULL);
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, activates, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (before = atomic_load(&calls); event_pending(shared, EV_READ, NULL);)
		sleep_ms(1);
	before = atomic_load(&calls);
	event_active(shared, EV_READ, 1);
	while (atomic_load(&calls) == before)
		sleep_ms(1);
	say("activations %d, calls in range %d", (int)activations,
	    atomic_load(&calls) > 0 && atomic_load(&calls) <= (int)activations + 1);
	event_base_loopbreak(base);
	end_loop("loop");
	event_free(shared);
	event_base_free(base);
}

/* Each thread adds and deletes events of its own while the loop runs. */
static void *adds_and_deletes(void *number)
{
	struct timeval late = ms(100000);
	struct event *events[20];
	int i, round;
	for (i = 0; i < 20; i++)
		events[i] = evtimer_new(base, on_event, number);
	for (round = 0; round < 200; round++) {
		for (i = 0; i < 20; i++)
			event_add(events[i], &late);
		for (i = 0; i < 20; i++)
			event_del(events[i]);
	}
	for (i = 0; i < 20; i++)
		event_free(events[i]);
	return NULL;
}

static void many_add(void)
{
	pthread_t threads[4];
	int i;
	make_base();
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, adds_and_deletes, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_loopbreak(base);
	end_loop("loop");
	event_base_free(base);
}

/* What a reader's argument points to; the thread that owns it frees it when the event is deleted. */
struct inbox {
	int calls, bytes;
};

static void reads(evutil_socket_t fd, short what, void *arg)
{
	struct inbox *inbox = arg;
	char byte;
	if (what & EV_READ && read(fd, &byte, 1) == 1)
		inbox->bytes++;
	inbox->calls++;
}

struct reader {
	pthread_t thread;
	int pair[2], lost;
};

/* Each thread has descriptors of its own. When an event is deleted its function does not run any more, and never will. */
static void *waits_and_deletes(void *arg)
{
	struct timeval late = ms(100000);
	struct reader *reader = arg;
	char byte;
	int i;
	for (i = 0; i < 300; i++) {
		struct inbox *inbox = calloc(1, sizeof(*inbox));
		struct event *event;
		event = event_new(base, reader->pair[0], EV_READ | (i % 2 ? EV_PERSIST : 0), reads, inbox);
		event_add(event, i % 3 ? &late : NULL);
		if (write(reader->pair[1], "x", 1) != 1)
			reader->lost++;
		while (i % 10 == 0 && event_pending(event, EV_READ, NULL))
			sleep_ms(1);
		event_del(event);
		if (inbox->bytes == 0 && read(reader->pair[0], &byte, 1) != 1)
			reader->lost++;
		if (inbox->bytes != inbox->calls || inbox->bytes > 1)
			reader->lost++;
		memset(inbox, -1, sizeof(*inbox));
		free(inbox);
		event_free(event);
	}
	return NULL;
}

static void many_read(void)
{
	struct reader readers[4];
	int i;
	make_base();
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	for (i = 0; i < 4; i++) {
		readers[i].lost = pipe(readers[i].pair);
		evutil_make_socket_nonblocking(readers[i].pair[0]);
		pthread_create(&readers[i].thread, NULL, waits_and_deletes, &readers[i]);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(readers[i].thread, NULL);
		say("lost: %d", readers[i].lost);
	}
	say("added: %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_loopbreak(base);
	end_loop("loop");
	for (i = 0; i < 4; i++) {
		close(readers[i].pair[0]);
		close(readers[i].pair[1]);
	}
	event_base_free(base);
}

static void a_base_without_locks(void)
{
	struct event_config *config = event_config_new();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	event_base_once(base, -1, EV_TIMEOUT, on_event, "once", NULL);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void finalizer(struct event *event, void *unused)
{
	(void)event, (void)unused;
	say("  finalizer after the callback: %d", atomic_load(&returned));
	atomic_fetch_add(&stage, 1);
}

static void finalizing_a_running_event(void)
{
	struct event *event;
	make_base();
	atomic_store(&running, 0);
	atomic_store(&returned, 0);
	event = event_new(base, -1, EV_PERSIST, slow, NULL);
	start_loop(EVLOOP_NO_EXIT_ON_EMPTY);
	await_stage(1);
	event_active(event, EV_READ, 1);
	while (!atomic_load(&running))
		sleep_ms(1);
	say("free_finalize: %d", event_free_finalize(0, event, finalizer));
	await_stage(2);
	event_base_loopbreak(base);
	end_loop("loop");
	event_base_free(base);
}

int main(void)
{
	start();
	say("use_pthreads: %d", evthread_use_pthreads());
	say("again: %d", evthread_use_pthreads());
	TEST(break_wakes);
	TEST(exit_wakes);
	TEST(adding_wakes);
	TEST(deleting_waits_for_the_callback);
	TEST(the_running_event);
	TEST(a_second_loop);
	TEST(many_activate);
	TEST(many_add);
	TEST(many_read);
	TEST(a_base_without_locks);
	TEST(finalizing_a_running_event);
	base = event_base_new();
	say("make_base_notifiable: %d", evthread_make_base_notifiable(base));
	say("without a base: %d", evthread_make_base_notifiable(NULL));
	event_base_free(base);
	return 0;
}
