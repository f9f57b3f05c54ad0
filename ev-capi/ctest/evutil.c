/* The helpers: text, numbers, addresses, sockets, random bytes. */
#include "ctest.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static int sign(int number)
{
	return number < 0 ? -1 : number > 0;
}

static void formatting(void)
{
	char buffer[8];
	int i;
	for (i = 0; i < 9; i++) {
		memset(buffer, '#', sizeof(buffer));
		say("size %d: %d, %.*s", i, evutil_snprintf(buffer, (size_t)i, "%d-%s", 12, "word"), i, i ? buffer : "");
	}
	i = evutil_snprintf(buffer, sizeof(buffer), "%5.2f|%c", 1.5, 'z');
	say("size 8: %d, %s", i, buffer);
	say("empty: %d", evutil_snprintf(buffer, sizeof(buffer), "%s", ""));
}

static int by_list(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;
	va_start(arguments, format);
	length = evutil_vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}

static void formatting_by_list(void)
{
	char buffer[8] = "#######";
	int length = by_list(buffer, sizeof(buffer), "%s %d %ld", "ab", 12, 34567L);
	say("%d, %s", length, buffer);
	length = by_list(buffer, 4, "%s", "long");
	say("%d, %s", length, buffer);
	say("size 0: %d", by_list(buffer, 0, "%s", "long"));
}

static void comparing(void)
{
	static const char *const pairs[][2] = {
		{ "abc", "ABC" }, { "abc", "abd" }, { "abC", "ABb" }, { "", "" }, { "", "a" }, { "abcd", "abc" },
		{ "[", "a" }, { "Z", "[" }, { "\xc4", "\xe4" },
	};
	size_t i;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		say("%zu: %d, first 2: %d, first 0: %d", i, sign(evutil_ascii_strcasecmp(pairs[i][0], pairs[i][1])),
		    sign(evutil_ascii_strncasecmp(pairs[i][0], pairs[i][1], 2)),
		    sign(evutil_ascii_strncasecmp(pairs[i][0], pairs[i][1], 0)));
}

static void numbers(void)
{
	static const char *const texts[] = { "0", "12", "-7x", "  99", "0x1f", "9223372036854775807", "zzz", "" };
	static const int bases[] = { 10, 16, 0 };
	size_t i, j;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (j = 0; j < 3; j++) {
			char *end;
			long long number = evutil_strtoll(texts[i], &end, bases[j]);
			say("\"%s\" in %d: %lld, rest \"%s\"", texts[i], bases[j], number, end);
		}
}

static void dates(void)
{
	char buffer[64];
	time_t times[] = { 0, 1000000000, 951782400, 2147483647 };
	size_t i;
	for (i = 0; i < 4; i++) {
		struct tm tm;
		gmtime_r(&times[i], &tm);
		say("%d, %s", evutil_date_rfc1123(buffer, sizeof(buffer), &tm), buffer);
	}
	say("now: %d", evutil_date_rfc1123(buffer, sizeof(buffer), NULL));
}

static const char *const addresses[] = {
	"127.0.0.1", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", " 1.2.3.4", "1.2.3.4 ", "",
	"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1::2::3", "::ffff:1.2.3.4", "::1.2.3.4",
	"fe80::1%1", "12345::", "abcd:EF01::7", ":1", "1:", "::g", "1:2:3:4:5:6:1.2.3.4", "0:0:0:0:0:0:0:0",
	"1:0:0:2:0:0:0:3", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
};

static void presentation(void)
{
	size_t i;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		unsigned char four[4], six[16];
		char text[64] = "-", small[5];
		int is_four = evutil_inet_pton(AF_INET, addresses[i], four);
		int is_six = evutil_inet_pton(AF_INET6, addresses[i], six);
		if (is_four == 1)
			evutil_inet_ntop(AF_INET, four, text, sizeof(text));
		else if (is_six == 1)
			evutil_inet_ntop(AF_INET6, six, text, sizeof(text));
		say("\"%s\": %d %d, %s", addresses[i], is_four, is_six, text);
		if (is_four == 1)
			say("  too small: %d", evutil_inet_ntop(AF_INET, four, small, sizeof(small)) != NULL);
		if (is_six == 1 && strlen(text) >= sizeof(small))
			say("  too small: %d", evutil_inet_ntop(AF_INET6, six, small, sizeof(small)) != NULL);
	}
	say("another family: %d", evutil_inet_pton(AF_UNIX, "::1", NULL));
}

static void scopes(void)
{
	static const char *const texts[] = { "fe80::1", "fe80::1%lo", "fe80::1%1", "fe80::1%no-such-interface", "fe80::1%", "::1%lo" };
	size_t i;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		unsigned char six[16];
		unsigned scope = 4711;
		int result = evutil_inet_pton_scope(AF_INET6, texts[i], six, &scope);
		say("\"%s\": %d, scope %u", texts[i], result, scope);
	}
}

static void say_address(const struct sockaddr *address, int length)
{
	char text[64] = "?";
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		evutil_inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		say("  %s, port %d, length %d", text, ntohs(in->sin_port), length);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)address;
		evutil_inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
		say("  %s, port %d, scope %d, length %d", text, ntohs(in->sin6_port), (int)in->sin6_scope_id, length);
	} else {
		say("  family %d, length %d", address->sa_family, length);
	}
}

static void with_ports(void)
{
	static const char *const texts[] = {
		"1.2.3.4", "1.2.3.4:80", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:", "1.2.3.4:8x", "[::1]:80", "[::1]", "::1",
		"[::1", "[::1]x", "[::1]:", "::1:80", "[1.2.3.4]:80", "example.org:80", "", "fe80::1", "[fe80::2]:99",
	};
	size_t i;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sockaddr_storage storage;
		int length = sizeof(storage), result;
		memset(&storage, 0, sizeof(storage));
		result = evutil_parse_sockaddr_port(texts[i], (struct sockaddr *)&storage, &length);
		say("\"%s\": %d", texts[i], result);
		if (result == 0)
			say_address((struct sockaddr *)&storage, length);
	}
	{
		struct sockaddr_in little;
		int length = 4;
		say("no room: %d", evutil_parse_sockaddr_port("1.2.3.4:5", (struct sockaddr *)&little, &length));
	}
}

static void ordering(void)
{
	static const char *const texts[] = { "1.2.3.4:80", "1.2.3.4:81", "1.2.3.5:80", "[::1]:80", "[::2]:80", "[::1]:9" };
	struct sockaddr_storage storages[6];
	int i, j;
	memset(storages, 0, sizeof(storages));
	for (i = 0; i < 6; i++) {
		int length = sizeof(storages[i]);
		evutil_parse_sockaddr_port(texts[i], (struct sockaddr *)&storages[i], &length);
	}
	for (i = 0; i < 6; i++)
		for (j = 0; j < 6; j++)
			say("%s and %s: %d, without ports %d", texts[i], texts[j],
			    sign(evutil_sockaddr_cmp((void *)&storages[i], (void *)&storages[j], 1)),
			    sign(evutil_sockaddr_cmp((void *)&storages[i], (void *)&storages[j], 0)));
}

static void resolve(const char *name, const char *service, int family, int type, int flags)
{
	struct evutil_addrinfo hints, *all = NULL, *one;
	int result;
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = family;
	hints.ai_socktype = type;
	hints.ai_flags = flags;
	result = evutil_getaddrinfo(name, service, &hints, &all);
	say("%s, %s: %d, %s", name ? name : "-", service ? service : "-", result, result ? evutil_gai_strerror(result) : "");
	for (one = all; result == 0 && one; one = one->ai_next) {
		say("  family %d, type %d, protocol %d", one->ai_family == AF_INET ? 4 : 6, one->ai_socktype, one->ai_protocol);
		say_address(one->ai_addr, (int)one->ai_addrlen);
	}
	if (result == 0)
		evutil_freeaddrinfo(all);
}

static void resolving(void)
{
	resolve("1.2.3.4", "80", AF_UNSPEC, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	resolve("1.2.3.4", "80", AF_INET, SOCK_DGRAM, EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV);
	resolve("::1", "443", AF_UNSPEC, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	resolve("::1", "443", AF_INET, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	resolve("not numeric", "80", AF_INET, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	resolve(NULL, "80", AF_INET, SOCK_STREAM, EVUTIL_AI_PASSIVE);
	resolve(NULL, "80", AF_INET, SOCK_STREAM, 0);
	resolve(NULL, NULL, AF_INET, SOCK_STREAM, 0);
	resolve("1.2.3.4", "no-such-service", AF_INET, SOCK_STREAM, EVUTIL_AI_NUMERICHOST);
	say("code 0: %s", evutil_gai_strerror(0));
	say("code cancel: %s", evutil_gai_strerror(EVUTIL_EAI_CANCEL));
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	getsockopt(fd, level, name, &value, &length);
	return value;
}

static void sockets(void)
{
	int pair[2], fd;
	say("socketpair: %d", evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	say("nonblocking: %d, again %d", evutil_make_socket_nonblocking(pair[0]), evutil_make_socket_nonblocking(pair[0]));
	say("closeonexec: %d, again %d", evutil_make_socket_closeonexec(pair[0]), evutil_make_socket_closeonexec(pair[0]));
	say("flags: %d %d", (fcntl(pair[0], F_GETFL) & O_NONBLOCK) != 0, (fcntl(pair[0], F_GETFD) & FD_CLOEXEC) != 0);
	say("other end: %d %d", (fcntl(pair[1], F_GETFL) & O_NONBLOCK) != 0, (fcntl(pair[1], F_GETFD) & FD_CLOEXEC) != 0);
	say("close: %d %d", evutil_closesocket(pair[0]), evutil_closesocket(pair[1]));
	say("nothing to close: %d", evutil_closesocket(999));
	say("no descriptor: %d", evutil_make_socket_nonblocking(999));
	say("no descriptor: %d", evutil_make_socket_closeonexec(999));
	say("a bad family: %d", evutil_socketpair(12345, SOCK_STREAM, 0, pair));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	say("reuseable: %d", evutil_make_listen_socket_reuseable(fd));
	say("reuseable_port: %d", evutil_make_listen_socket_reuseable_port(fd));
	say("deferred: %d", evutil_make_tcp_listen_socket_deferred(fd));
	say("options: %d %d %d", option(fd, SOL_SOCKET, SO_REUSEADDR), option(fd, SOL_SOCKET, SO_REUSEPORT),
	    option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	say("ipv6only of another family: %d", evutil_make_listen_socket_ipv6only(fd));
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd >= 0) {
		say("ipv6only: %d, option %d", evutil_make_listen_socket_ipv6only(fd), option(fd, IPPROTO_IPV6, IPV6_V6ONLY));
		close(fd);
	}
}

static void random_bytes(void)
{
	unsigned char one[64], two[64];
	memset(one, 0, sizeof(one));
	memset(two, 0, sizeof(two));
	say("a device of its own: %d", evutil_secure_rng_set_urandom_device_file("/dev/urandom"));
	say("init: %d", evutil_secure_rng_init());
	evutil_secure_rng_get_bytes(one, sizeof(one));
	evutil_secure_rng_add_bytes("seed", 4);
	evutil_secure_rng_get_bytes(two, sizeof(two));
	say("differ: %d", memcmp(one, two, sizeof(one)) != 0);
	evutil_secure_rng_get_bytes(one, 0);
}

static void clocks(void)
{
	struct evutil_monotonic_timer *timer = evutil_monotonic_timer_new();
	static const int flags[] = { 0, EV_MONOT_PRECISE, EV_MONOT_FALLBACK };
	size_t i;
	for (i = 0; i < 3; i++) {
		struct timeval first, second;
		say("configure: %d", evutil_configure_monotonic_time(timer, flags[i]));
		say("gettime: %d", evutil_gettime_monotonic(timer, &first));
		sleep_ms(10);
		evutil_gettime_monotonic(timer, &second);
		say("moves: %d", evutil_timercmp(&first, &second, <));
	}
	evutil_monotonic_timer_free(timer);
}

static void times(void)
{
	struct timeval a = { 3, 700000 }, b = { 1, 900000 }, c;
	evutil_timeradd(&a, &b, &c);
	say("sum %ld.%06ld", (long)c.tv_sec, (long)c.tv_usec);
	evutil_timersub(&a, &b, &c);
	say("difference %ld.%06ld", (long)c.tv_sec, (long)c.tv_usec);
	evutil_timerclear(&c);
	say("set: %d", evutil_timerisset(&c) != 0);
}

int main(void)
{
	start();
	TEST(formatting);
	TEST(formatting_by_list);
	TEST(comparing);
	TEST(numbers);
	TEST(dates);
	TEST(presentation);
	TEST(scopes);
	TEST(with_ports);
	TEST(ordering);
	TEST(resolving);
	TEST(sockets);
	TEST(random_bytes);
	TEST(clocks);
	TEST(times);
	return 0;
}
