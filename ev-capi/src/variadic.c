/*
 * The functions with a format and arguments of any number, which Rust can call but not define. They have other names
 * than libevent's, which src/variadic.rs has: the linker exports from a library in Rust only what Rust defines.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* event2/event.h's severities. */
enum { LOG_DEBUG, LOG_MSG, LOG_WARN, LOG_ERR };

/* src/log.rs */
void event_logv_(int severity, const char *error, const char *format, va_list arguments);
_Noreturn void ev_capi_die(int code);

/* Unlike vsnprintf it makes of no room 0, and ends the text also where it fails: by a NUL in the last byte. */
int ev_capi_vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
	int length;

	if (size == 0)
		return 0;
	length = vsnprintf(buffer, size, format, arguments);
	buffer[size - 1] = '\0';
	return length;
}

int ev_capi_snprintf(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = ev_capi_vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}

/* Says something with the enclosing function's arguments. */
#define SAY(severity, error, format)                                 \
	do {                                                         \
		va_list arguments;                                   \
		va_start(arguments, format);                         \
		event_logv_((severity), (error), (format), arguments); \
		va_end(arguments);                                   \
	} while (0)

void ev_capi_debugx(const char *format, ...)
{
	SAY(LOG_DEBUG, NULL, format);
}

void ev_capi_msgx(const char *format, ...)
{
	SAY(LOG_MSG, NULL, format);
}

void ev_capi_warnx(const char *format, ...)
{
	SAY(LOG_WARN, NULL, format);
}

void ev_capi_warn(const char *format, ...)
{
	SAY(LOG_WARN, strerror(errno), format);
}

void ev_capi_sock_warn(int socket, const char *format, ...)
{
	(void)socket;
	SAY(LOG_WARN, strerror(errno), format);
}

_Noreturn void ev_capi_errx(int code, const char *format, ...)
{
	SAY(LOG_ERR, NULL, format);
	ev_capi_die(code);
}

_Noreturn void ev_capi_err(int code, const char *format, ...)
{
	SAY(LOG_ERR, strerror(errno), format);
	ev_capi_die(code);
}

_Noreturn void ev_capi_sock_err(int code, int socket, const char *format, ...)
{
	(void)socket;
	SAY(LOG_ERR, strerror(errno), format);
	ev_capi_die(code);
}
