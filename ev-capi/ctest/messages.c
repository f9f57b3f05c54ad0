/* Messages with a format, by the functions that libevent's other libraries use: no header declares them. */
#include "ctest.h"

void event_debugx_(const char *format, ...);
void event_msgx(const char *format, ...);
void event_warnx(const char *format, ...);
void event_warn(const char *format, ...);
void event_sock_warn(evutil_socket_t, const char *format, ...);
void event_errx(int code, const char *format, ...);
void event_err(int code, const char *format, ...);
void event_sock_err(int code, evutil_socket_t, const char *format, ...);
void event_logv_(int severity, const char *error, const char *format, va_list arguments);

static void logv(int severity, const char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	event_logv_(severity, error, format, arguments);
	va_end(arguments);
}

static void severities(void)
{
	event_debugx_("unheard %d", 1);
	logv(EVENT_LOG_DEBUG, NULL, "unheard %d", 2);
	event_msgx("%s: %d of %ld, %.2f", "said", 1, 2L, 0.5);
	event_warnx("%c%c%c %d %d %d %d %d %d", 'a', 'b', 'c', 1, 2, 3, 4, 5, 6);
	logv(EVENT_LOG_ERR, NULL, "an error that ends nothing");
	logv(17, NULL, "of no known severity");
	event_enable_debug_logging(EVENT_DBG_ALL);
	event_debugx_("heard %d", 1);
	logv(EVENT_LOG_DEBUG, NULL, "heard %d", 2);
	event_enable_debug_logging(EVENT_DBG_NONE);
}

static void with_an_error(void)
{
	errno = ENOENT;
	event_warn("open of %s", "it");
	errno = EPIPE;
	event_sock_warn(3, "write to %d", 3);
	errno = EPERM;
	logv(EVENT_LOG_WARN, "an error of its own", "what %s", "failed");
	logv(EVENT_LOG_WARN, "an error alone", NULL);
	logv(EVENT_LOG_WARN, NULL, NULL);
}

/* A message has 1023 characters at the most; the error is left out where it has no room. */
static void long_ones(void)
{
	static const int lengths[] = { 1000, 1015, 1019, 1020, 1021, 1022, 1023, 1024, 3000 };
	size_t i;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		event_warnx("%0*d", lengths[i], 0);
		logv(EVENT_LOG_WARN, "an error", "%0*d", lengths[i], 0);
	}
}

static void on_fatal(int code)
{
	say("  fatal: %d", code);
	exit(7);
}

static void ends_by_errx(void) { event_errx(3, "lost %d", 1); }
static void ends_by_err(void) { errno = EIO; event_err(4, "lost %d", 2); }
static void ends_by_sock_err(void) { errno = EPIPE; event_sock_err(5, 9, "lost %d", 3); }
static void ends_by_the_callback(void) { event_set_fatal_callback(on_fatal); event_errx(6, "lost %d", 4); }

#define CHILD(name) in_child(#name, name)

int main(void)
{
	start();
	TEST(severities);
	TEST(with_an_error);
	TEST(long_ones);
	CHILD(ends_by_errx);
	CHILD(ends_by_err);
	CHILD(ends_by_sock_err);
	CHILD(ends_by_the_callback);
	return 0;
}
