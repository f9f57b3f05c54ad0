/* Walking over the events of a base, and printing them. */
#include "ctest.h"

static struct event *events[12];

/* How many events of its own the library has in a base, and where in the order, is its own affair. */
static int is_ours(const struct event *event)
{
	size_t i;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] == event)
			return 1;
	return 0;
}

static int visit(const struct event_base *of, const struct event *event, void *stop_at)
{
	if (!is_ours(event))
		return 0;
	say("  %s: fd %d, %s, base %d", (const char *)event_get_callback_arg(event), (int)event_get_fd(event),
	    bits(event_get_events(event)), of == base);
	return stop_at && strcmp(stop_at, event_get_callback_arg(event)) == 0 ? 42 : 0;
}

/* Prints what event_base_dump_events writes, without addresses, times and the library's own events. */
static void dump(void)
{
	char line[256];
	FILE *file = tmpfile();
	event_base_dump_events(base, file);
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		char *timeout = strstr(line, "Timeout=");
		if (strstr(line, "Internal"))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (timeout) {
			long seconds = 0, microseconds = -1;
			int length = 0;
			sscanf(timeout, "Timeout=%ld.%6ld%n", &seconds, &microseconds, &length);
			say("  wall clock %d, six digits %d, then [%s]", seconds > 1000000000, microseconds >= 0,
			    timeout + length);
			*timeout = '\0';
		}
		say("  [%s]", masked(line));
	}
	fclose(file);
}

static void everything(void)
{
	static const char *const common_names[] = { "common a", "common b" };
	struct timeval late = ms(500000), later = ms(600000), even = ms(700000);
	const struct timeval *common;
	int one[2], two[2], count = 0, i;
	base = base_with(4);
	socket_pair(one, 70);
	socket_pair(two, 60);
	common = event_base_init_common_timeout(base, &even);
	event_add(events[count++] = event_new(base, one[0], EV_READ, on_event, "read 70"), NULL);
	event_add(events[count++] = event_new(base, one[0], EV_WRITE | EV_PERSIST, on_event, "write 70"), NULL);
	event_add(events[count++] = event_new(base, two[1], EV_READ | EV_ET, on_event, "edge 61"), &late);
	event_add(events[count++] = event_new(base, two[0], EV_READ | EV_CLOSED, on_event, "closed 60"), NULL);
	event_add(events[count++] = evsignal_new(base, SIGUSR2, on_event, "usr2"), NULL);
	event_add(events[count++] = evsignal_new(base, SIGUSR1, on_event, "usr1"), &later);
	event_add(events[count++] = evtimer_new(base, on_event, "timer"), &later);
	for (i = 0; i < 2; i++)
		event_add(events[count++] = evtimer_new(base, on_event, (void *)common_names[i]), common);
	event_active(events[count++] = event_new(base, -1, 0, on_event, "active"), EV_WRITE, 1);
	events[count] = event_new(base, -1, 0, on_event, "urgent");
	event_priority_set(events[count], 0);
	event_active(events[count++], EV_READ | EV_TIMEOUT, 1);
	event_active(events[0], EV_READ, 1);
	say("foreach: %d", event_base_foreach_event(base, visit, NULL));
	say("foreach: %d", event_base_foreach_event(base, visit, "usr1"));
	dump();
	for (i = 0; i < count; i++)
		event_free(events[i]);
	memset(events, 0, sizeof(events));
	say("foreach: %d", event_base_foreach_event(base, visit, NULL));
	dump();
	event_base_free(base);
	close(one[0]);
	close(one[1]);
	close(two[0]);
	close(two[1]);
}

static void without_anything(void)
{
	base = event_base_new();
	say("foreach: %d", event_base_foreach_event(base, visit, NULL));
	say("no base: %d", event_base_foreach_event(NULL, visit, NULL));
	say("no function: %d", event_base_foreach_event(base, NULL, NULL));
	dump();
	event_base_free(base);
}

static void dumps(evutil_socket_t fd, short what, void *name)
{
	on_event(fd, what, name);
	dump();
}

static void in_a_callback(void)
{
	struct event *event;
	base = event_base_new();
	event = event_new(base, -1, EV_PERSIST, dumps, "event");
	event_active(event, EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(everything);
	TEST(without_anything);
	TEST(in_a_callback);
	return 0;
}
