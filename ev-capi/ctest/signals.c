/* Signals: counting, order, dispositions, several bases. */
#include "ctest.h"

static int calls;

static void on_signal(evutil_socket_t fd, short what, void *name)
{
	say("  %s: signal %d, %s, call %d", (const char *)name, (int)fd, bits(what), ++calls);
}

static void loop(void)
{
	say("loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
}

static void every_delivery_counts(void)
{
	struct event *event;
	int i;
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGUSR1, on_signal, "event");
	say("add: %d", evsignal_add(event, NULL));
	say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	for (i = 0; i < 3; i++)
		raise(SIGUSR1);
	loop();
	say("pending %s", pending(event));
	raise(SIGUSR1);
	loop();
	event_free(event);
	event_base_free(base);
}

static void newest_first(void)
{
	struct event *events[3];
	static const char *const names[] = { "oldest", "middle", "newest" };
	int i;
	base = event_base_new();
	calls = 0;
	for (i = 0; i < 3; i++) {
		events[i] = evsignal_new(base, SIGUSR1, on_signal, (void *)names[i]);
		evsignal_add(events[i], NULL);
	}
	raise(SIGUSR1);
	loop();
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	event_base_free(base);
}

static void two_signals(void)
{
	struct event *one, *two;
	base = event_base_new();
	calls = 0;
	one = evsignal_new(base, SIGUSR1, on_signal, "one");
	two = evsignal_new(base, SIGUSR2, on_signal, "two");
	evsignal_add(one, NULL);
	evsignal_add(two, NULL);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR2);
	loop();
	event_free(one);
	event_free(two);
	event_base_free(base);
}

static void one_shot(void)
{
	struct event *event;
	base = event_base_new();
	calls = 0;
	event = event_new(base, SIGUSR1, EV_SIGNAL, on_signal, "one-shot");
	event_add(event, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	loop();
	say("pending %s", pending(event));
	event_free(event);
	event_base_free(base);
}

static void ends(evutil_socket_t fd, short what, void *self)
{
	on_signal(fd, what, "ends");
	if (calls == 2)
		say("  del: %d", event_del(self));
}

static void frees(evutil_socket_t fd, short what, void *self)
{
	on_signal(fd, what, "frees");
	event_free(self);
}

static void breaks(evutil_socket_t fd, short what, void *self)
{
	on_signal(fd, what, "breaks");
	say("  loopbreak: %d", event_base_loopbreak(event_get_base(self)));
}

static void cut(const char *name, event_callback_fn callback, int is_freed)
{
	struct event *event;
	int i;
	say("-- %s", name);
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGUSR1, callback, event_self_cbarg());
	evsignal_add(event, NULL);
	for (i = 0; i < 4; i++)
		raise(SIGUSR1);
	loop();
	loop();
	if (!is_freed)
		event_free(event);
	event_base_free(base);
}

static void the_rest_is_cut(void)
{
	cut("by event_del", ends, 0);
	cut("by event_free", frees, 1);
	cut("by loopbreak", breaks, 0);
}

static void with_timeouts(void)
{
	struct event *event;
	struct timeval soon = ms(5), late = ms(5000);
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGUSR1, on_signal, "event");
	evsignal_add(event, &soon);
	say("the time first, loop: %d", event_base_loop(base, 0));
	say("pending %s", pending(event));
	evsignal_add(event, &late);
	raise(SIGUSR1);
	say("the signal first, loop: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	say("pending %s", pending(event));
	event_free(event);
	event_base_free(base);
}

static volatile sig_atomic_t seen;

static void own_handler(int number)
{
	(void)number;
	seen++;
}

static void dispositions_come_back(void)
{
	struct event *event;
	struct sigaction before, after;
	memset(&before, 0, sizeof(before));
	before.sa_handler = own_handler;
	before.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &before, NULL);
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGUSR1, on_signal, "event");
	evsignal_add(event, NULL);
	sigaction(SIGUSR1, NULL, &after);
	say("own handler while added: %d, restarts %d", after.sa_handler == own_handler,
	    (after.sa_flags & SA_RESTART) != 0);
	raise(SIGUSR1);
	evsignal_del(event);
	sigaction(SIGUSR1, NULL, &after);
	say("own handler after: %d, flags %d", after.sa_handler == own_handler, (after.sa_flags & SA_NODEFER) != 0);
	raise(SIGUSR1);
	say("seen %d", (int)seen);
	evsignal_add(event, NULL);
	event_free(event);
	event_base_free(base);
	sigaction(SIGUSR1, NULL, &after);
	say("own handler without a base: %d", after.sa_handler == own_handler);
	signal(SIGUSR1, SIG_DFL);
}

static void freeing_the_base_restores(void)
{
	struct event event;
	struct sigaction after;
	signal(SIGUSR1, own_handler);
	base = event_base_new();
	evsignal_assign(&event, base, SIGUSR1, on_signal, "event");
	evsignal_add(&event, NULL);
	event_base_free(base);
	sigaction(SIGUSR1, NULL, &after);
	say("own handler: %d", after.sa_handler == own_handler);
	signal(SIGUSR1, SIG_DFL);
}

static void refused(void)
{
	static const int numbers[] = { SIGKILL, SIGSTOP, 65, 100, -1 };
	size_t i;
	base = event_base_new();
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct event *event = evsignal_new(base, numbers[i], on_signal, "event");
		tell("add", evsignal_add(event, NULL), event);
		event_free(event);
	}
	say("counted %d", event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED));
	event_base_free(base);
}

/* libevent warns, with the name of the backend. */
static void silent(int severity, const char *message)
{
	(void)severity, (void)message;
}

/* One base receives: the one that was added to last, or whose loop runs. */
static void one_base_receives(void)
{
	struct event_base *second;
	struct event *one, *two;
	base = event_base_new();
	second = event_base_new();
	calls = 0;
	one = evsignal_new(base, SIGUSR1, on_signal, "first base");
	two = evsignal_new(second, SIGUSR1, on_signal, "second base");
	event_set_log_callback(silent);
	evsignal_add(one, NULL);
	evsignal_add(two, NULL);
	event_set_log_callback(say_log);
	raise(SIGUSR1);
	say("first: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	say("second: %d", event_base_loop(second, EVLOOP_NONBLOCK));
	event_base_loop(base, EVLOOP_NONBLOCK);
	raise(SIGUSR1);
	say("second: %d", event_base_loop(second, EVLOOP_NONBLOCK));
	say("first: %d", event_base_loop(base, EVLOOP_NONBLOCK));
	event_free(two);
	event_base_free(second);
	event_free(one);
	event_base_free(base);
}

static void raises(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	say("  raises");
	raise(SIGUSR1);
}

static void raised_in_a_callback(void)
{
	struct event *event, *timer;
	struct timeval soon = ms(5);
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGUSR1, breaks, event_self_cbarg());
	evsignal_add(event, NULL);
	timer = evtimer_new(base, raises, NULL);
	evtimer_add(timer, &soon);
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_free(timer);
	event_base_free(base);
}

static void a_child_ends(void)
{
	struct event *event;
	pid_t child;
	base = event_base_new();
	calls = 0;
	event = evsignal_new(base, SIGCHLD, breaks, event_self_cbarg());
	evsignal_add(event, NULL);
	child = fork();
	if (child == 0)
		_exit(0);
	say("loop: %d", event_base_loop(base, 0));
	waitpid(child, NULL, 0);
	event_free(event);
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(every_delivery_counts);
	TEST(newest_first);
	TEST(two_signals);
	TEST(one_shot);
	TEST(the_rest_is_cut);
	TEST(with_timeouts);
	TEST(dispositions_come_back);
	TEST(freeing_the_base_restores);
	TEST(refused);
	TEST(one_base_receives);
	TEST(raised_in_a_callback);
	TEST(a_child_ends);
	return 0;
}
