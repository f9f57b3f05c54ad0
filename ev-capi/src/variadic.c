/*
 * The functions with a format and arguments of any number, which Rust can call but not define. They have other names
 * than libevent's, which src/variadic.rs has: the linker exports from a library in Rust only what Rust defines.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* event2/event.h's severities. */
enum { LOG_DEBUG, LOG_MSG, LOG_WARN, LOG_ERR };

/* src/log.rs */
extern unsigned event_debug_logging_mask_;
void ev_capi_log(int severity, const char *text);
_Noreturn void ev_capi_fatal(int code, const char *text);

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

/* A message: cut where it is full, and without the error if there is no room for a character of it. */
struct message {
	char text[1024];
};

static void compose(struct message *message, const char *error, const char *format, va_list arguments)
{
	size_t length;

	message->text[0] = '\0';
	if (format != NULL)
		ev_capi_vsnprintf(message->text, sizeof(message->text), format, arguments);
	length = strlen(message->text);
	if (error != NULL && length < sizeof(message->text) - 3)
		snprintf(message->text + length, sizeof(message->text) - length, ": %s", error);
}

/* Composes a message from the enclosing function's arguments. */
#define COMPOSE(message, error, format)                           \
	do {                                                      \
		va_list arguments;                                \
		va_start(arguments, format);                      \
		compose(&(message), (error), (format), arguments); \
		va_end(arguments);                                \
	} while (0)

void ev_capi_debugx(const char *format, ...)
{
	struct message message;

	if (event_debug_logging_mask_ == 0)
		return;
	COMPOSE(message, NULL, format);
	ev_capi_log(LOG_DEBUG, message.text);
}

void ev_capi_msgx(const char *format, ...)
{
	struct message message;

	COMPOSE(message, NULL, format);
	ev_capi_log(LOG_MSG, message.text);
}

void ev_capi_warnx(const char *format, ...)
{
	struct message message;

	COMPOSE(message, NULL, format);
	ev_capi_log(LOG_WARN, message.text);
}

void ev_capi_warn(const char *format, ...)
{
	struct message message;

	COMPOSE(message, strerror(errno), format);
	ev_capi_log(LOG_WARN, message.text);
}

void ev_capi_sock_warn(int socket, const char *format, ...)
{
	struct message message;

	(void)socket;
	COMPOSE(message, strerror(errno), format);
	ev_capi_log(LOG_WARN, message.text);
}

_Noreturn void ev_capi_errx(int code, const char *format, ...)
{
	struct message message;

	COMPOSE(message, NULL, format);
	ev_capi_fatal(code, message.text);
}

_Noreturn void ev_capi_err(int code, const char *format, ...)
{
	struct message message;

	COMPOSE(message, strerror(errno), format);
	ev_capi_fatal(code, message.text);
}

_Noreturn void ev_capi_sock_err(int code, int socket, const char *format, ...)
{
	struct message message;

	(void)socket;
	COMPOSE(message, strerror(errno), format);
	ev_capi_fatal(code, message.text);
}
