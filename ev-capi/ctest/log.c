/* Messages, and what happens after the last one. Each case runs in a process of its own. */
#include "ctest.h"

#include <event2/event_compat.h>

static void makes_a_warning(void)
{
	struct event event;
	memset(&event, 0, sizeof(event));
	event_assign(&event, NULL, -1, EV_READ, on_event, "event");
	event_add(&event, NULL);
}

static void to_the_callback(void)
{
	makes_a_warning();
}

static int messages;

static void other_callback(int severity, const char *message)
{
	say("  the other: %d, %s, ends with a newline %d", severity, message, message[strlen(message) - 1] == '\n');
	messages++;
}

static void replaced(void)
{
	event_set_log_callback(other_callback);
	makes_a_warning();
	makes_a_warning();
	say("messages: %d", messages);
}

static void to_standard_error(void)
{
	dup2(1, 2);
	event_set_log_callback(NULL);
	makes_a_warning();
}

static void the_method(void)
{
	struct event_base *base;
	setenv("EVENT_SHOW_METHOD", "1", 1);
	base = event_base_new();
	say("then %s", event_base_get_method(base));
	event_base_free(base);
}

static void the_method_to_standard_error(void)
{
	dup2(1, 2);
	event_set_log_callback(NULL);
	the_method();
}

static void on_fatal(int code)
{
	say("  fatal: %s", code == (int)0xdeaddead ? "abort" : code == 1 ? "exit" : "other");
}

static void abort_without_a_callback(void)
{
	event_enable_debug_mode();
	event_enable_debug_mode();
}

static void a_fatal_callback_that_returns(void)
{
	event_set_fatal_callback(on_fatal);
	event_enable_debug_mode();
	event_enable_debug_mode();
	say("not reached");
}

static void no_init(void)
{
	setenv("EVENT_NOEPOLL", "1", 1);
	setenv("EVENT_NOPOLL", "1", 1);
	setenv("EVENT_NOSELECT", "1", 1);
	say("base: %d", event_base_new() != NULL);
	event_set_fatal_callback(on_fatal);
	event_init();
	say("not reached");
}

static void with_an_error(void)
{
	struct event_base *base = event_base_new();
	struct event *event = evsignal_new(base, SIGKILL, on_event, "event");
	errno = 0;
	say("add: %d", event_add(event, NULL));
	event_free(event);
	event_base_free(base);
}

static void not_debug(int severity, const char *message)
{
	if (severity != EVENT_LOG_DEBUG)
		say_log(severity, message);
}

static void debug_messages(void)
{
	struct event_base *base;
	event_set_log_callback(not_debug);
	event_enable_debug_logging(EVENT_DBG_ALL);
	base = event_base_new();
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_enable_debug_logging(EVENT_DBG_NONE);
	event_set_log_callback(say_log);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
	say("done");
}

#define CHILD(name) in_child(#name, name)

int main(void)
{
	start();
	CHILD(to_the_callback);
	CHILD(replaced);
	CHILD(to_standard_error);
	CHILD(the_method);
	CHILD(the_method_to_standard_error);
	CHILD(abort_without_a_callback);
	CHILD(a_fatal_callback_that_returns);
	CHILD(no_init);
	CHILD(with_an_error);
	CHILD(debug_messages);
	return 0;
}
