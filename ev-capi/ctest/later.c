/*
 * What libevent 2.2 has in addition: watchers, signals by a descriptor, helpers. The system's libevent and its headers
 * lack all of it, so it is declared here, and what this program has to print is in later.expected.
 */
#include "ctest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

struct evwatch;
struct evwatch_prepare_cb_info;
struct evwatch_check_cb_info;
typedef void (*prepare_callback)(struct evwatch *, const struct evwatch_prepare_cb_info *, void *);
typedef void (*check_callback)(struct evwatch *, const struct evwatch_check_cb_info *, void *);

struct evwatch *evwatch_prepare_new(struct event_base *, prepare_callback, void *);
struct evwatch *evwatch_check_new(struct event_base *, check_callback, void *);
struct event_base *evwatch_base(struct evwatch *);
void evwatch_free(struct evwatch *);
int evwatch_prepare_get_timeout(const struct evwatch_prepare_cb_info *, struct timeval *);
const char *event_base_get_signal_method(const struct event_base *);
int evthread_use_pthreads_with_flags(int);
const char *evutil_ascii_strcasestr(const char *, const char *);
int evutil_make_listen_socket_not_ipv6only(evutil_socket_t);
int evutil_set_tcp_keepalive(evutil_socket_t, int, int);
const char *evutil_strsignal(int);

#define FLAG_USE_SIGNALFD 0x80
#define PRIO_INHERIT 0x01

static void turn(const char *name, int flags)
{
	say("%s: %d", name, event_base_loop(base, flags));
}

static void on_prepare(struct evwatch *watcher, const struct evwatch_prepare_cb_info *info, void *name)
{
	struct timeval wait = { 7, 7 };
	int ends = evwatch_prepare_get_timeout(info, &wait);
	const char *length = !ends ? "for ever" : wait.tv_sec == 0 && wait.tv_usec == 0 ? "not at all" : "for some time";
	if (ends ? wait.tv_sec > 10 : wait.tv_sec != 7 || wait.tv_usec != 7)
		length = "for a wrong time";
	say("  prepare %s: its base %d, waits %s", (const char *)name, evwatch_base(watcher) == base, length);
}

static void on_check(struct evwatch *watcher, const struct evwatch_check_cb_info *info, void *name)
{
	say("  check %s: its base %d, told something %d", (const char *)name, evwatch_base(watcher) == base, info != NULL);
}

static void watchers(void)
{
	struct evwatch *first;
	struct event *timer, *reader;
	struct timeval late = ms(10000);
	set_up();
	put(pair[1], "x");
	first = evwatch_prepare_new(base, on_prepare, "a");
	evwatch_check_new(base, on_check, "a");
	evwatch_prepare_new(base, on_prepare, "b");
	turn("nothing to wait for", 0);
	timer = evtimer_new(base, on_event, "timer");
	reader = event_new(base, pair[0], EV_READ, on_event, "reader");
	event_add(timer, &late);
	turn("without blocking", EVLOOP_NONBLOCK);
	event_add(reader, NULL);
	turn("a timer and a descriptor", EVLOOP_ONCE);
	event_active(timer, EV_READ, 1);
	turn("something active", EVLOOP_ONCE);
	evwatch_free(first);
	event_add(reader, NULL);
	turn("a descriptor", EVLOOP_ONCE);
	event_free(timer);
	event_free(reader);
	tear_down();
}

static struct evwatch *victim;

static void frees_another(struct evwatch *watcher, const struct evwatch_check_cb_info *info, void *unused)
{
	(void)watcher, (void)info, (void)unused;
	say("  frees another: %d", victim != NULL);
	if (victim)
		evwatch_free(victim);
	victim = NULL;
}

static void makes_another(struct evwatch *watcher, const struct evwatch_prepare_cb_info *info, void *made)
{
	(void)watcher, (void)info;
	say("  makes another: %d", *(int *)made == 0);
	if ((*(int *)made)++ == 0)
		evwatch_prepare_new(base, on_prepare, "new");
}

static void watchers_of_watchers(void)
{
	int made = 0;
	base = event_base_new();
	say("no function: %d %d", evwatch_prepare_new(base, NULL, NULL) != NULL,
	    evwatch_check_new(base, NULL, NULL) != NULL);
	evwatch_prepare_new(base, makes_another, &made);
	evwatch_check_new(base, frees_another, NULL);
	victim = evwatch_check_new(base, on_check, "victim");
	turn("first", EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	turn("second", EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	event_base_free(base);
}

static void adds(struct evwatch *watcher, const struct evwatch_prepare_cb_info *info, void *event)
{
	(void)watcher, (void)info;
	say("  adds: %d", event_add(event, NULL));
}

static void what_a_watcher_adds_is_waited_for(void)
{
	struct event *timer, *reader;
	struct timeval late = ms(10000);
	set_up();
	timer = evtimer_new(base, on_event, "timer");
	reader = event_new(base, pair[0], EV_READ, on_event, "reader");
	event_add(timer, &late);
	evwatch_prepare_new(base, adds, reader);
	put(pair[1], "x");
	turn("loop", EVLOOP_ONCE);
	event_free(timer);
	event_free(reader);
	tear_down();
}

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

static void no_memory_for_a_watcher(void)
{
	struct evwatch *watcher;
	base = event_base_new();
	event_set_mem_functions(no_memory, NULL, NULL);
	watcher = evwatch_prepare_new(base, on_prepare, "a");
	event_set_mem_functions(NULL, NULL, NULL);
	say("a watcher: %d", watcher != NULL);
	turn("loop", EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	event_base_free(base);
}

static int is_blocked(int number)
{
	sigset_t blocked;
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	return sigismember(&blocked, number);
}

static void signals_of(struct event_base *with)
{
	struct event *event;
	base = with;
	say("method %s", event_base_get_signal_method(base));
	event = evsignal_new(base, SIGUSR1, on_event, "signal");
	tell("add", event_add(event, NULL), event);
	say("blocked: %d", is_blocked(SIGUSR1));
	raise(SIGUSR1);
	turn("loop", EVLOOP_ONCE);
	turn("loop", EVLOOP_NONBLOCK);
	tell("del", event_del(event), event);
	say("blocked: %d", is_blocked(SIGUSR1));
	event_free(event);
	event_base_free(base);
}

static void signals_by_a_descriptor(void)
{
	struct event_config *config = event_config_new();
	signals_of(event_base_new());
	say("flag: %d", event_config_set_flag(config, FLAG_USE_SIGNALFD));
	signals_of(event_base_new_with_config(config));
	event_config_free(config);
	setenv("EVENT_USE_SIGNALFD", "1", 1);
	signals_of(event_base_new());
	unsetenv("EVENT_USE_SIGNALFD");
}

static void helpers(void)
{
	static const char *const found[] = { "llo", "HELLO", "", "help", "hello there" };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), value = -1;
	socklen_t size = sizeof(value);
	const char *text = "Hello";
	size_t i;
	for (i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		const char *place = evutil_ascii_strcasestr(text, found[i]);
		say("`%s`: %d", found[i], place ? (int)(place - text) : -1);
	}
	say("a signal is called what the system calls it: %d", strcmp(evutil_strsignal(SIGUSR1), strsignal(SIGUSR1)) == 0);
	say("not IPv6 only: %d", evutil_make_listen_socket_not_ipv6only(fd));
	getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &size);
	say("is IPv6 only: %d", value);
	say("keep-alive: %d", evutil_set_tcp_keepalive(fd, 1, 30));
	getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size);
	say("after: %d s", value);
	say("none: %d", evutil_set_tcp_keepalive(fd, 0, 30));
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
	say("on: %d", value);
	close(fd);
	say("no socket: %d %d", evutil_make_listen_socket_not_ipv6only(-1), evutil_set_tcp_keepalive(-1, 1, 30));
}

static void *breaks(void *unused)
{
	(void)unused;
	event_base_loopbreak(base);
	return NULL;
}

static void starts_a_thread(evutil_socket_t fd, short what, void *thread)
{
	(void)fd, (void)what;
	pthread_create(thread, NULL, breaks, NULL);
}

static void threads(void)
{
	pthread_t thread;
	say("with inheritance: %d", evthread_use_pthreads_with_flags(PRIO_INHERIT));
	say("again, without: %d", evthread_use_pthreads_with_flags(0));
	base = event_base_new();
	event_base_once(base, -1, EV_TIMEOUT, starts_a_thread, &thread, NULL);
	turn("loop", EVLOOP_NO_EXIT_ON_EMPTY);
	pthread_join(thread, NULL);
	say("break: %d", event_base_got_break(base));
	event_base_free(base);
}

int main(void)
{
	start();
	/* Before there is a base in this process. */
	in_child("threads", threads);
	TEST(watchers);
	TEST(watchers_of_watchers);
	TEST(what_a_watcher_adds_is_waited_for);
	TEST(no_memory_for_a_watcher);
	TEST(signals_by_a_descriptor);
	TEST(helpers);
	return 0;
}
