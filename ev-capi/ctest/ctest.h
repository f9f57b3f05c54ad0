/*
 * What the programs share. Their output is compared line by line between two libraries, so it holds neither addresses
 * nor times, and descriptors that appear in it have fixed numbers.
 */
#ifndef CTEST_H
#define CTEST_H

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <event2/util.h>

/* Prints a line at once: a child of fork() must not inherit half of the output. */
static inline void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

/* The bits of an event as words. The buffer is good for the next four calls. */
static inline const char *bits(int what)
{
	static const struct { int bit; const char *name; } names[] = {
		{ EV_TIMEOUT, "TIMEOUT" }, { EV_READ, "READ" }, { EV_WRITE, "WRITE" }, { EV_SIGNAL, "SIGNAL" },
		{ EV_PERSIST, "PERSIST" }, { EV_ET, "ET" }, { EV_FINALIZE, "FINALIZE" }, { EV_CLOSED, "CLOSED" },
	};
	static char buffers[4][96];
	static unsigned next;
	char *buffer = buffers[next++ % 4];
	size_t i, length = 0;
	buffer[0] = '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (what & names[i].bit)
			length += (size_t)sprintf(buffer + length, "%s%s", length ? "|" : "", names[i].name);
	if (length == 0)
		sprintf(buffer, "0");
	return buffer;
}

/* Copies `text` without what differs from run to run: addresses, and the place and words of a failed assertion. */
static inline const char *masked(const char *text)
{
	static char buffer[2048];
	const char *in = text;
	size_t out = 0;
	if (strstr(text, "Assertion"))
		return "an assertion failed";
	while (*in && out < sizeof(buffer) - 8) {
		size_t digits = 0;
		if (in[0] == '0' && in[1] == 'x')
			while (isxdigit((unsigned char)in[2 + digits]))
				digits++;
		if (digits >= 6) {
			out += (size_t)sprintf(buffer + out, "ADDRESS");
			in += 2 + digits;
		} else {
			buffer[out++] = *in++;
		}
	}
	buffer[out] = '\0';
	return buffer;
}

static inline void say_log(int severity, const char *message)
{
	static const char *const names[] = { "debug", "msg", "warn", "err" };
	say("  log %s: %s", severity >= 0 && severity < 4 ? names[severity] : "?", masked(message));
}

/* Moves a descriptor to a fixed number, out of the way of those that the library opens. */
static inline int moved(int fd, int number)
{
	if (dup2(fd, number) < 0)
		exit(99);
	close(fd);
	fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
	return number;
}

/* A pair of connected sockets, or a pipe, without blocking, numbered `number` and `number + 1`. */
static inline void socket_pair(int pair[2], int number)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(99);
	pair[0] = moved(pair[0], number);
	pair[1] = moved(pair[1], number + 1);
}

static inline void pipe_pair(int pair[2], int number)
{
	if (pipe(pair) < 0)
		exit(99);
	pair[0] = moved(pair[0], number);
	pair[1] = moved(pair[1], number + 1);
}

static inline void put(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		say("write: %s", strerror(errno));
}

static inline void drain(int fd)
{
	char buffer[4096];
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

static inline void sleep_ms(int ms)
{
	struct timespec time = { ms / 1000, (ms % 1000) * 1000000L };
	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

static inline struct timeval ms(int count)
{
	struct timeval time = { count / 1000, (count % 1000) * 1000 };
	return time;
}

static inline long ms_between(const struct timeval *from, const struct timeval *to)
{
	return (to->tv_sec - from->tv_sec) * 1000L + (to->tv_usec - from->tv_usec) / 1000;
}

/* What most tests have: a base, and a pair of sockets, numbered 60 and 61. */
static struct event_base *base;
static int pair[2];

static inline void set_up(void)
{
	base = event_base_new();
	socket_pair(pair, 60);
}

static inline void tear_down(void)
{
	event_base_free(base);
	close(pair[0]);
	close(pair[1]);
}

/* A base with `count` priorities. */
static inline struct event_base *base_with(int count)
{
	struct event_base *with = event_base_new();
	if (!with || event_base_priority_init(with, count) < 0)
		exit(99);
	return with;
}

/* The usual callback: prints its name and the bits that came. */
static inline void on_event(evutil_socket_t fd, short what, void *name)
{
	say("  %s: fd %d, %s", (const char *)name, (int)fd, bits(what));
}

#define PENDING (EV_TIMEOUT | EV_READ | EV_WRITE | EV_SIGNAL | EV_CLOSED)

/* What an event waits for, or is active for. */
static inline const char *pending(const struct event *event)
{
	return bits(event_pending(event, PENDING, NULL));
}

/* Prints the result of a call on `event`, and what the event waits for after it. */
static inline void tell(const char *call, int result, const struct event *event)
{
	say("%s: %d, pending %s", call, result, pending(event));
}

/* Runs `test` in a child and tells how the child ended. */
static inline void in_child(const char *name, void (*test)(void))
{
	int status = 0;
	pid_t child;
	say("== %s", name);
	child = fork();
	if (child == 0) {
		alarm(20);
		test();
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		exit(99);
	if (WIFSIGNALED(status))
		say("  ended by signal %d", WTERMSIG(status));
	else
		say("  ended with %d", WEXITSTATUS(status));
}

#define TEST(name) do { say("== %s", #name); name(); } while (0)

/* The first lines of every main: a limit for the whole program, and warnings in the output. */
static inline void start(void)
{
	alarm(60);
	event_set_log_callback(say_log);
	signal(SIGPIPE, SIG_IGN);
}

#endif
