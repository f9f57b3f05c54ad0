/* Listeners: accepting, switching off, options, errors. */
#include "ctest.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <event2/listener.h>

static int accepted;

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *name)
{
	const struct sockaddr_in *in = (const void *)address;
	(void)listener;
	say("  %s: number %d, family %d, loopback %d, length %d", (const char *)name, ++accepted, address->sa_family == AF_INET,
	    in->sin_addr.s_addr == htonl(INADDR_LOOPBACK), length);
	say("  blocks %d, closes on exec %d", !(fcntl(fd, F_GETFL) & O_NONBLOCK), (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	evutil_closesocket(fd);
	event_base_loopexit(base, NULL);
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address;
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((unsigned short)port);
	return address;
}

static struct sockaddr_in address_of(struct evconnlistener *listener)
{
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof(address);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
	return address;
}

static int connected(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void loop(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static struct evconnlistener *bound(unsigned flags)
{
	struct sockaddr_in address = loopback(0);
	return evconnlistener_new_bind(base, on_accept, "listener", flags, 16, (struct sockaddr *)&address, sizeof(address));
}

static void with_flags(const char *name, unsigned flags)
{
	struct evconnlistener *listener;
	struct sockaddr_in address;
	int client, listening;
	say("-- %s", name);
	base = event_base_new();
	listener = bound(flags);
	say("made %d, base %d", listener != NULL, evconnlistener_get_base(listener) == base);
	listening = evconnlistener_get_fd(listener);
	say("the listener blocks %d, closes on exec %d", !(fcntl(listening, F_GETFL) & O_NONBLOCK),
	    (fcntl(listening, F_GETFD) & FD_CLOEXEC) != 0);
	address = address_of(listener);
	client = connected(&address);
	if (!(flags & LEV_OPT_DISABLED))
		event_base_loop(base, 0);
	else
		loop();
	evconnlistener_free(listener);
	say("closed with the listener: %d", fcntl(listening, F_GETFD) < 0);
	if (fcntl(listening, F_GETFD) >= 0)
		close(listening);
	close(client);
	event_base_free(base);
}

static void flags(void)
{
	with_flags("none", 0);
	with_flags("close on free", LEV_OPT_CLOSE_ON_FREE);
	with_flags("blocking", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_LEAVE_SOCKETS_BLOCKING);
	with_flags("close on exec", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC);
	with_flags("reuseable", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT);
	with_flags("disabled", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED);
}

static void switched_off_and_on(void)
{
	struct evconnlistener *listener;
	struct sockaddr_in address;
	int client;
	base = event_base_new();
	listener = bound(LEV_OPT_CLOSE_ON_FREE);
	address = address_of(listener);
	say("disable: %d, again %d", evconnlistener_disable(listener), evconnlistener_disable(listener));
	client = connected(&address);
	loop();
	say("accepted while off: %d", accepted);
	say("enable: %d", evconnlistener_enable(listener));
	event_base_loop(base, 0);
	close(client);
	evconnlistener_set_cb(listener, NULL, NULL);
	client = connected(&address);
	loop();
	say("accepted without a callback: %d", accepted);
	close(client);
	evconnlistener_set_cb(listener, on_accept, "another name");
	client = connected(&address);
	event_base_loop(base, 0);
	close(client);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void frees(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *unused)
{
	(void)address, (void)length, (void)unused;
	say("  frees the listener");
	close(fd);
	evconnlistener_free(listener);
}

static void freed_in_its_callback(void)
{
	struct evconnlistener *listener;
	struct sockaddr_in address;
	int client;
	base = event_base_new();
	listener = bound(LEV_OPT_CLOSE_ON_FREE);
	evconnlistener_set_cb(listener, frees, NULL);
	address = address_of(listener);
	client = connected(&address);
	say("loop: %d", event_base_loop(base, 0));
	close(client);
	event_base_free(base);
}

static void on_error(struct evconnlistener *listener, void *name)
{
	(void)listener;
	say("  error of %s: %s", (const char *)name, strerror(EVUTIL_SOCKET_ERROR()));
	event_base_loopexit(base, NULL);
}

/* A descriptor that is readable and on which accept fails. */
static void errors(void)
{
	struct evconnlistener *listener;
	set_up();
	listener = evconnlistener_new(base, on_accept, "listener", 0, 0, pair[0]);
	say("made %d", listener != NULL);
	evconnlistener_set_error_cb(listener, on_error);
	put(pair[1], "x");
	event_base_loop(base, 0);
	evconnlistener_set_error_cb(listener, NULL);
	event_base_loop(base, EVLOOP_ONCE);
	evconnlistener_free(listener);
	tear_down();
}

static void refused(void)
{
	struct evconnlistener *listener, *second;
	struct sockaddr_in address;
	base = event_base_new();
	listener = bound(LEV_OPT_CLOSE_ON_FREE);
	address = address_of(listener);
	second = evconnlistener_new_bind(base, on_accept, "second", LEV_OPT_CLOSE_ON_FREE, 16, (struct sockaddr *)&address,
	    sizeof(address));
	say("the same address: %d", second != NULL);
	say("no address: %d", evconnlistener_new_bind(base, on_accept, "third", LEV_OPT_CLOSE_ON_FREE, 0,
	    (struct sockaddr *)&address, sizeof(address)) != NULL);
	say("no socket: %d", evconnlistener_new(base, on_accept, "fourth", 0, 16, 999) != NULL);
	evconnlistener_free(listener);
	event_base_free(base);
}

static void threadsafe(void)
{
	with_flags("threadsafe", LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE);
}

int main(void)
{
	start();
	TEST(flags);
	TEST(switched_off_and_on);
	TEST(freed_in_its_callback);
	TEST(errors);
	TEST(refused);
	evthread_use_pthreads();
	TEST(threadsafe);
	return 0;
}
