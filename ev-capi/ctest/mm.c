/* The functions for memory: every allocation goes through them, and all of it comes back. */
#include "ctest.h"

static int live, limit = -1;
static long calls, foreign, zero_sized, null_freed;

/* In front of each piece, so that foreign pointers are noticed. */
struct header { size_t size; size_t mark; };
#define MARK ((size_t)0x5ca1ab1e)

static void *counting_malloc(size_t size)
{
	struct header *header;
	calls++;
	if (size == 0)
		zero_sized++;
	if (limit >= 0 && limit-- == 0) {
		limit = 0;
		return NULL;
	}
	header = malloc(sizeof(*header) + size);
	header->size = size;
	header->mark = MARK;
	live++;
	return header + 1;
}

static void counting_free(void *pointer)
{
	struct header *header = pointer;
	if (!header) {
		null_freed++;
		return;
	}
	if (header[-1].mark != MARK) {
		foreign++;
		return;
	}
	header[-1].mark = 0;
	live--;
	free(header - 1);
}

static void *counting_realloc(void *pointer, size_t size)
{
	struct header *old = pointer;
	void *moved;
	if (!pointer)
		return counting_malloc(size);
	moved = counting_malloc(size);
	if (!moved)
		return NULL;
	memcpy(moved, pointer, old[-1].size < size ? old[-1].size : size);
	counting_free(pointer);
	return moved;
}

/* What a first use leaves for the next one is no leak; what every use leaves is. */
static void twice(const char *name, void (*use)(void))
{
	int after_first;
	say("== %s", name);
	use();
	after_first = live;
	use();
	say("grows by %d, foreign %ld, of no size %ld, null freed %ld", live - after_first, foreign, zero_sized, null_freed);
}

static void nothing(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
}

static void a_base(void)
{
	struct event_base *base = event_base_new();
	say("allocated: %d, is the very pointer: %d", live > 0, ((struct header *)base)[-1].mark == MARK);
	event_base_free(base);
}

static void events(void)
{
	struct event_base *base = event_base_new();
	struct event *events[40];
	struct timeval late = ms(10000);
	int pairs[10][2], i;
	for (i = 0; i < 10; i++)
		socket_pair(pairs[i], 60 + 2 * i);
	for (i = 0; i < 40; i++) {
		short mask = i % 4 == 0 ? EV_READ : i % 4 == 1 ? EV_WRITE | EV_PERSIST : i % 4 == 2 ? EV_SIGNAL : 0;
		events[i] = event_new(base, mask & EV_SIGNAL ? SIGUSR1 : pairs[i / 4][0], mask, nothing, NULL);
		event_add(events[i], i % 3 ? &late : event_base_init_common_timeout(base, &late));
	}
	say("an event is the very pointer: %d", ((struct header *)events[0])[-1].mark == MARK);
	say("size asked for: %zu", ((struct header *)events[0])[-1].size);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	for (i = 0; i < 40; i++)
		event_free(events[i]);
	event_base_free(base);
	for (i = 0; i < 10; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

static void once_and_left_over(void)
{
	struct event_base *base = event_base_new();
	struct timeval late = ms(10000);
	int i;
	for (i = 0; i < 10; i++)
		event_base_once(base, -1, EV_TIMEOUT, nothing, NULL, i % 2 ? &late : NULL);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	event_base_loopexit(base, &late);
	event_base_free(base);
}

static void configurations(void)
{
	struct event_config *config = event_config_new();
	event_config_avoid_method(config, "one");
	event_config_avoid_method(config, "two");
	event_base_free(event_base_new_with_config(config));
	event_config_free(config);
	event_get_supported_methods();
	event_get_supported_methods();
}

static void priorities(void)
{
	struct event_base *base = event_base_new();
	event_base_priority_init(base, 100);
	event_base_priority_init(base, 3);
	event_base_free(base);
}

static void a_steady_state_allocates_nothing(void)
{
	struct event_base *base = event_base_new();
	struct event *event = event_new(base, -1, 0, nothing, NULL);
	struct timeval late = ms(10000);
	long before = 0;
	int i;
	for (i = 0; i < 200; i++) {
		if (i == 100)
			before = calls;
		event_active(event, EV_READ, 1);
		event_base_loop(base, EVLOOP_NONBLOCK);
		event_add(event, &late);
		event_del(event);
	}
	say("allocations: %ld", calls - before);
	event_free(event);
	event_base_free(base);
}

/* From the first allocation on there is none, until the call is over. */
static struct event_base *short_of_memory;

static void no_event(void)
{
	limit = 0;
	say("event: %d", event_new(short_of_memory, -1, EV_READ, nothing, NULL) != NULL);
}

static void no_configuration(void)
{
	limit = 0;
	say("configuration: %d", event_config_new() != NULL);
}

static void no_base(void)
{
	limit = 0;
	say("base: %d", event_base_new() != NULL);
}

static void no_once(void)
{
	limit = 0;
	say("once: %d", event_base_once(short_of_memory, -1, EV_TIMEOUT, nothing, NULL, NULL));
	limit = -1;
	say("once: %d", event_base_once(short_of_memory, -1, EV_TIMEOUT, nothing, NULL, NULL));
	say("loop: %d", event_base_loop(short_of_memory, 0));
}

static void no_loopexit(void)
{
	limit = 0;
	say("loopexit: %d", event_base_loopexit(short_of_memory, NULL));
	limit = -1;
	say("loop: %d", event_base_loop(short_of_memory, 0));
}

static void no_common_timeout(void)
{
	struct timeval duration = ms(5);
	limit = 0;
	say("common timeout: %d", event_base_init_common_timeout(short_of_memory, &duration) != NULL);
}

static void no_room_for_a_timer(void)
{
	struct event *event = event_new(short_of_memory, -1, 0, nothing, NULL);
	struct timeval soon = ms(1);
	limit = 0;
	say("add: %d", event_add(event, &soon));
	limit = -1;
	say("add: %d", event_add(event, &soon));
	say("loop: %d", event_base_loop(short_of_memory, 0));
	event_free(event);
}

static void finalizer(struct event *event, void *unused)
{
	(void)event, (void)unused;
}

static void no_room_for_a_finalizer(void)
{
	struct event *event = event_new(short_of_memory, -1, EV_READ, nothing, NULL);
	limit = 0;
	say("finalize: %d", event_finalize(0, event, finalizer));
	limit = -1;
	say("has its function: %d", event_get_callback(event) == nothing);
	tell("add", event_add(event, NULL), event);
}

static void finalize_by_null(void)
{
	struct event *event = event_new(short_of_memory, -1, EV_READ, nothing, NULL);
	say("finalize: %d", event_free_finalize(0, event, NULL));
	say("loop: %d", event_base_loop(short_of_memory, 0));
}

static void a_finalizer_that_is_null(void)
{
	twice("to be freed", finalize_by_null);
}

static void no_memory_to_free_with(void)
{
	struct event *reader = event_new(short_of_memory, -1, EV_READ, nothing, NULL);
	struct timeval late = ms(10000);
	int i;
	event_add(reader, &late);
	for (i = 0; i < 10; i++)
		event_base_once(short_of_memory, -1, EV_TIMEOUT, nothing, NULL, i % 2 ? &late : NULL);
	limit = 0;
	event_base_free(short_of_memory);
	limit = -1;
	/* The event has no base any more. */
	counting_free(reader);
	say("freed");
}

/* Each call is tried with ever more memory until there is enough: before that it fails, and may be tried again. */
static struct event_base *tried;

static int avoid_a_method(void)
{
	struct event_config *config;
	int most = limit, result;
	limit = -1;
	config = event_config_new();
	limit = most;
	result = event_config_avoid_method(config, "none");
	limit = -1;
	event_config_free(config);
	return result;
}

static int add_reader(void)
{
	static struct event event;
	event_assign(&event, tried, pair[0], EV_READ, nothing, NULL);
	return event_add(&event, NULL);
}

static int add_timer(void)
{
	static struct event event;
	struct timeval late = ms(10000);
	event_assign(&event, tried, -1, 0, nothing, NULL);
	return event_add(&event, &late);
}

static int once_now(void)
{
	return event_base_once(tried, -1, EV_TIMEOUT, nothing, NULL, NULL);
}

static int once_later(void)
{
	struct timeval late = ms(10000);
	return event_base_once(tried, -1, EV_TIMEOUT, nothing, NULL, &late);
}

static int once_ready(void)
{
	return event_base_once(tried, pair[0], EV_READ, nothing, NULL, NULL);
}

static void until_enough(const char *name, int (*call)(void))
{
	int most, result = -1;
	tried = event_base_new();
	for (most = 0; most < 100 && result < 0; most++) {
		limit = most;
		result = call();
		limit = -1;
		if (result < 0 && event_base_get_num_events(tried, EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_ACTIVE) > 0)
			say("  %s: half done with %d allocations", name, most);
	}
	say("%s: %d, at first %s", name, result, most > 1 ? "-1" : "the same");
	event_base_free(tried);
}

static void ever_more_memory(void)
{
	socket_pair(pair, 60);
	until_enough("a method to avoid", avoid_a_method);
	until_enough("a timer", add_timer);
	until_enough("once, now", once_now);
	until_enough("once, later", once_later);
	until_enough("a reader", add_reader);
	until_enough("once, when ready", once_ready);
}

static void shut_down(void)
{
	libevent_global_shutdown();
	say("foreign %ld, of no size %ld, null freed %ld", foreign, zero_sized, null_freed);
}

#define TWICE(name) twice(#name, name)
#define CHILD(name) in_child(#name, name)

int main(void)
{
	event_set_mem_functions(counting_malloc, counting_realloc, counting_free);
	start();
	TWICE(a_base);
	TWICE(events);
	TWICE(once_and_left_over);
	TWICE(priorities);
	TWICE(a_steady_state_allocates_nothing);
	TWICE(configurations);
	event_set_log_callback(NULL);
	short_of_memory = event_base_new();
	/* What a runtime says of its end is its own affair. */
	dup2(open("/dev/null", O_WRONLY), 2);
	CHILD(no_event);
	CHILD(no_configuration);
	CHILD(no_base);
	CHILD(no_once);
	CHILD(no_loopexit);
	CHILD(no_common_timeout);
	CHILD(no_room_for_a_timer);
	CHILD(no_room_for_a_finalizer);
	CHILD(a_finalizer_that_is_null);
	CHILD(no_memory_to_free_with);
	CHILD(ever_more_memory);
	event_base_free(short_of_memory);
	TEST(shut_down);
	return 0;
}
