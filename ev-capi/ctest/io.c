/* Descriptors: readiness, edges, closed peers, several events on one, descriptors that come and go. */
#include "ctest.h"

static void turn(const char *name)
{
	say("%s: %d", name, event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK));
}

static int edges_are_told(void)
{
	return (event_base_get_features(base) & EV_FEATURE_ET) != 0;
}

/* Prints what came; the bits that depend on the backend are told apart. */
static void on_io(evutil_socket_t fd, short what, void *name)
{
	int edge_is_right = !(what & EV_ET) || edges_are_told();
	say("  %s: fd %d, %s%s", (const char *)name, (int)fd, bits(what), edge_is_right ? "" : ", an edge of no backend");
}

static void readiness(void)
{
	struct event *reader, *writer, *both;
	set_up();
	reader = event_new(base, pair[0], EV_READ | EV_PERSIST, on_io, "reader");
	writer = event_new(base, pair[0], EV_WRITE, on_io, "writer");
	both = event_new(base, pair[1], EV_READ | EV_WRITE | EV_PERSIST, on_io, "both");
	event_add(reader, NULL);
	turn("nothing");
	event_add(writer, NULL);
	turn("can be written");
	turn("once only");
	put(pair[1], "x");
	turn("can be read");
	turn("still");
	drain(pair[0]);
	turn("read");
	event_del(reader);
	put(pair[0], "x");
	event_add(both, NULL);
	turn("the other end");
	event_del(both);
	turn("deleted");
	event_free(reader);
	event_free(writer);
	event_free(both);
	tear_down();
}

static void several_on_one(void)
{
	static const char *const names[] = { "oldest", "middle", "newest" };
	struct event *events[3];
	int i;
	set_up();
	for (i = 0; i < 3; i++) {
		events[i] = event_new(base, pair[0], i == 1 ? EV_READ | EV_WRITE : EV_READ, on_io, (void *)names[i]);
		event_add(events[i], NULL);
	}
	put(pair[1], "x");
	turn("all");
	turn("none");
	for (i = 0; i < 3; i++)
		event_add(events[i], NULL);
	event_del(events[2]);
	event_del(events[0]);
	turn("one");
	for (i = 0; i < 3; i++)
		event_free(events[i]);
	tear_down();
}

static void edges(void)
{
	struct event *event;
	int pair[2];
	base = event_base_new();
	say("backend has edges: %d", edges_are_told());
	socket_pair(pair, 60);
	event = event_new(base, pair[0], EV_READ | EV_ET | EV_PERSIST, on_io, "edge");
	event_add(event, NULL);
	put(pair[1], "x");
	turn("first");
	turn("second");
	put(pair[1], "y");
	turn("more");
	drain(pair[0]);
	turn("read");
	put(pair[1], "z");
	turn("again");
	event_free(event);
	event_base_free(base);
	close(pair[0]);
	close(pair[1]);
}

/* Of two edge-triggered events on one descriptor one is deleted: the other must stay edge-triggered. */
static void an_edge_survives_deletion(void)
{
	struct event *reader, *writer;
	set_up();
	reader = event_new(base, pair[0], EV_READ | EV_ET | EV_PERSIST, on_io, "reader");
	writer = event_new(base, pair[0], EV_WRITE | EV_ET | EV_PERSIST, on_io, "writer");
	event_add(reader, NULL);
	event_add(writer, NULL);
	turn("both");
	event_del(writer);
	put(pair[1], "x");
	turn("one");
	turn("no edge");
	event_free(reader);
	event_free(writer);
	tear_down();
}

static void closed_peer(const char *name, short mask, int keeps_data)
{
	struct event *event;
	int pair[2];
	say("-- %s%s", name, keeps_data ? ", with data" : "");
	base = event_base_new();
	socket_pair(pair, 60);
	event = event_new(base, pair[0], mask, on_io, (void *)name);
	event_add(event, NULL);
	if (keeps_data)
		put(pair[1], "x");
	shutdown(pair[1], SHUT_WR);
	turn("half closed");
	event_add(event, NULL);
	close(pair[1]);
	turn("closed");
	event_free(event);
	event_base_free(base);
	close(pair[0]);
}

static void closed_peers(void)
{
	closed_peer("reader", EV_READ, 0);
	closed_peer("reader", EV_READ, 1);
	closed_peer("closing", EV_CLOSED, 0);
	closed_peer("closing", EV_CLOSED, 1);
	closed_peer("reader and closing", EV_READ | EV_CLOSED, 0);
	closed_peer("reader and closing", EV_READ | EV_CLOSED, 1);
	closed_peer("writer and closing", EV_WRITE | EV_CLOSED, 0);
	closed_peer("all", EV_READ | EV_WRITE | EV_CLOSED, 1);
}

static void pipes(void)
{
	struct event *reader, *writer;
	int pair[2];
	base = event_base_new();
	pipe_pair(pair, 60);
	reader = event_new(base, pair[0], EV_READ, on_io, "reader");
	writer = event_new(base, pair[1], EV_WRITE, on_io, "writer");
	event_add(reader, NULL);
	close(pair[1]);
	turn("the writer is gone");
	event_free(reader);
	event_free(writer);
	close(pair[0]);
	pipe_pair(pair, 60);
	writer = event_new(base, pair[1], EV_WRITE, on_io, "writer");
	reader = event_new(base, pair[1], EV_READ, on_io, "reader of the writing end");
	close(pair[0]);
	event_add(writer, NULL);
	turn("the reader is gone");
	event_add(reader, NULL);
	turn("the reader is gone");
	event_free(reader);
	event_free(writer);
	event_base_free(base);
	close(pair[1]);
}

/* A descriptor is closed and its number comes back before the loop has looked. */
static void a_number_comes_back(void)
{
	struct event *event, *other;
	set_up();
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, on_io, "old");
	event_add(event, NULL);
	turn("old");
	close(pair[0]);
	close(pair[1]);
	say("del: %d", event_del(event));
	socket_pair(pair, 60);
	other = event_new(base, pair[0], EV_READ | EV_PERSIST, on_io, "new");
	say("add: %d", event_add(other, NULL));
	put(pair[1], "x");
	turn("new");
	close(pair[0]);
	close(pair[1]);
	socket_pair(pair, 60);
	event_free(event);
	event = event_new(base, pair[0], EV_WRITE | EV_PERSIST, on_io, "newest");
	say("add over a lost one: %d", event_add(event, NULL));
	turn("newest");
	event_free(event);
	event_free(other);
	tear_down();
}

static void numbers_out_of_range(void)
{
	static const int numbers[] = { -1, -2, -1000 };
	size_t i;
	base = event_base_new();
	for (i = 0; i < 3; i++) {
		struct event *event = event_new(base, numbers[i], EV_READ | EV_WRITE, on_io, "event");
		tell("add", event_add(event, NULL), event);
		tell("del", event_del(event), event);
		event_free(event);
	}
	event_base_free(base);
}

/* Both ends exchange bytes until one side has had enough. */
static int left;

static void echo(evutil_socket_t fd, short what, void *unused)
{
	char byte;
	(void)what, (void)unused;
	while (read(fd, &byte, 1) == 1)
		if (--left > 0 && write(fd, &byte, 1) < 0)
			say("write: %s", strerror(errno));
	if (left <= 0)
		event_base_loopexit(base, NULL);
}

static void traffic(void)
{
	struct event *events[64];
	int pairs[32][2], i;
	base = event_base_new();
	left = 20000;
	for (i = 0; i < 32; i++) {
		socket_pair(pairs[i], 100 + 2 * i);
		events[2 * i] = event_new(base, pairs[i][0], EV_READ | EV_PERSIST, echo, NULL);
		events[2 * i + 1] = event_new(base, pairs[i][1], EV_READ | EV_PERSIST | EV_ET, echo, NULL);
		event_add(events[2 * i], NULL);
		event_add(events[2 * i + 1], NULL);
		put(pairs[i][0], "x");
	}
	say("loop: %d", event_base_loop(base, 0));
	say("left: %d", left > 0);
	for (i = 0; i < 64; i++)
		event_free(events[i]);
	event_base_free(base);
	for (i = 0; i < 32; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

static void level_after_edge_in_one_turn(void)
{
	struct event *event;
	set_up();
	put(pair[1], "x");
	event = event_new(base, pair[0], EV_READ | EV_ET | EV_PERSIST, on_io, "edge");
	event_add(event, NULL);
	turn("an edge");
	event_del(event);
	event_free(event);
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, on_io, "level");
	event_add(event, NULL);
	turn("a level");
	turn("a level");
	event_free(event);
	tear_down();
}

/* Which a program must not do. */
static void set_up_again_while_added(void)
{
	struct event event;
	int pair[2];
	base = event_base_new();
	socket_pair(pair, 60);
	event_assign(&event, base, pair[0], EV_READ, on_io, "first");
	event_add(&event, NULL);
	event_assign(&event, base, pair[0], EV_READ, on_io, "second");
	say("pending %s", pending(&event));
	put(pair[1], "x");
	turn("set up again");
	exit(0);
}

int main(void)
{
	start();
	TEST(readiness);
	TEST(several_on_one);
	TEST(edges);
	TEST(an_edge_survives_deletion);
	TEST(closed_peers);
	TEST(pipes);
	TEST(a_number_comes_back);
	TEST(numbers_out_of_range);
	TEST(traffic);
	TEST(level_after_edge_in_one_turn);
	in_child("set_up_again_while_added", set_up_again_while_added);
	return 0;
}
