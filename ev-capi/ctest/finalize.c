/* Finalizers. */
#include "ctest.h"

static void finalizer(struct event *event, void *name)
{
	say("  finalizer of %s: pending %s", (const char *)name, pending(event));
}

static void on_user(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
}

static void once_per_event(void)
{
	struct event event;
	struct timeval late = ms(5000);
	base = event_base_new();
	event_assign(&event, base, -1, EV_READ | EV_PERSIST, on_user, "event");
	event_add(&event, &late);
	event_active(&event, EV_READ, 1);
	say("finalize: %d", event_finalize(0, &event, finalizer));
	say("pending %s, counted %d", pending(&event), event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE));
	say("add: %d", event_add(&event, &late));
	say("del: %d", event_del(&event));
	say("priority_set: %d", event_priority_set(&event, 0));
	event_active(&event, EV_WRITE, 1);
	say("base_set: %d", event_base_set(base, &event));
	say("loop: %d", event_base_loop(base, 0));
	say("pending %s", pending(&event));
	event_base_free(base);
}

static void and_free(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, EV_READ, on_user, "event");
	event_add(event, NULL);
	say("free_finalize: %d", event_free_finalize(0, event, finalizer));
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}


static void finalizer_without_name(struct event *event, void *argument)
{
	say("  finalizer, its own argument %d", argument == event);
}

static void finalizes_itself(evutil_socket_t fd, short what, void *self)
{
	(void)fd;
	say("  callback: %s", bits(what));
	say("  finalize: %d", event_free_finalize(0, self, finalizer_without_name));
	say("  done");
}

static void in_its_own_callback(void)
{
	base = event_base_new();
	event_active(event_new(base, -1, 0, finalizes_itself, event_self_cbarg()), EV_READ, 1);
	event_active(event_new(base, -1, EV_PERSIST, finalizes_itself, event_self_cbarg()), EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static struct event *other;

static void finalizes_another(struct event *event, void *name)
{
	(void)event;
	say("  finalizer of %s", (const char *)name);
	if (other) {
		say("  another: %d", event_free_finalize(0, other, finalizer));
		other = NULL;
	}
}

static void chain(void (*end)(struct event_base *))
{
	struct event *first;
	base = event_base_new();
	first = event_new(base, -1, 0, on_user, "first");
	other = event_new(base, -1, EV_READ, on_user, "second");
	event_add(other, NULL);
	event_free_finalize(0, first, finalizes_another);
	end(base);
}

static void in_the_loop(struct event_base *of)
{
	say("loop: %d", event_base_loop(of, 0));
	event_base_free(of);
}

static void a_finalizer_starts_another(void)
{
	say("-- in the loop");
	chain(in_the_loop);
	say("-- with the base");
	chain(event_base_free);
}

static void with_the_base(void)
{
	struct event one, two;
	base = event_base_new();
	event_assign(&one, base, -1, EV_READ, on_user, "one");
	event_assign(&two, base, -1, EV_READ, on_user, "two");
	event_finalize(0, &one, finalizer);
	event_add(&two, NULL);
	event_active(&two, EV_READ, 1);
	event_base_free(base);
	say("initialized %d %d", event_initialized(&one), event_initialized(&two));
	say("-- without finalizers");
	base = event_base_new();
	event_assign(&one, base, -1, EV_READ, on_user, "one");
	event_finalize(0, &one, finalizer);
	event_base_free_nofinalize(base);
}

/* What a finalizer makes active while its base is freed is not called, unless it is a finalizer too. */
static void activating_finalizer(struct event *event, void *arg)
{
	(void)event;
	say("finalizer");
	event_active(arg, EV_READ, 1);
}

static void a_finalizer_activates_with_the_base(void)
{
	struct event *other;
	base = event_base_new();
	other = event_new(base, -1, EV_READ, on_user, "other");
	event_free_finalize(0, event_new(base, -1, EV_READ, on_user, other), activating_finalizer);
	event_base_free(base);
	say("the base is gone");
	free(other);
}

static void order(void)
{
	struct event events[3];
	static const char *const names[] = { "a", "b", "c" };
	int i;
	base = base_with(3);
	for (i = 0; i < 3; i++) {
		event_assign(&events[i], base, -1, 0, on_user, (void *)names[i]);
		event_priority_set(&events[i], 2 - i);
		event_finalize(0, &events[i], finalizer);
	}
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void without_a_base(void)
{
	struct event event;
	memset(&event, 0, sizeof(event));
	event_assign(&event, NULL, -1, 0, on_user, "event");
	say("finalize: %d", event_finalize(0, &event, finalizer));
}

int main(void)
{
	start();
	TEST(once_per_event);
	TEST(and_free);
	TEST(in_its_own_callback);
	TEST(a_finalizer_starts_another);
	TEST(with_the_base);
	TEST(a_finalizer_activates_with_the_base);
	TEST(order);
	TEST(without_a_base);
	return 0;
}
