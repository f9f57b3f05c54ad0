/* The clocks of a base and its cached time. */
#include "ctest.h"

static void says_times(evutil_socket_t fd, short what, void *unused)
{
	struct timeval first, second, third, real;
	(void)fd, (void)what, (void)unused;
	event_base_gettimeofday_cached(base, &first);
	gettimeofday(&real, NULL);
	say("  close to the real time: %d", ms_between(&first, &real) > -1000 && ms_between(&first, &real) < 1000);
	sleep_ms(30);
	event_base_gettimeofday_cached(base, &second);
	say("  moves by itself: %d", ms_between(&first, &second) > 10);
	say("  update: %d", event_base_update_cache_time(base));
	event_base_gettimeofday_cached(base, &third);
	say("  moves when updated: %d", ms_between(&first, &third) > 10);
}

static void cached(const char *name, int flags)
{
	struct event_config *config = event_config_new();
	struct event *event;
	struct timeval first, second;
	say("-- %s", name);
	event_config_set_flag(config, flags);
	base = event_base_new_with_config(config);
	event_config_free(config);
	event = event_new(base, -1, 0, says_times, NULL);
	event_active(event, EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	say("outside: %d", event_base_gettimeofday_cached(base, &first));
	say("update outside: %d", event_base_update_cache_time(base));
	sleep_ms(20);
	event_base_gettimeofday_cached(base, &second);
	say("moves by itself: %d", ms_between(&first, &second) > 10);
	event_free(event);
	event_base_free(base);
}

static void caching(void)
{
	cached("usual", 0);
	cached("without the cache", EVENT_BASE_FLAG_NO_CACHE_TIME);
	cached("precise", EVENT_BASE_FLAG_PRECISE_TIMER);
}

static void without_a_base(void)
{
	struct timeval now, real;
	say("cached: %d", event_base_gettimeofday_cached(NULL, &now));
	gettimeofday(&real, NULL);
	say("close to the real time: %d", ms_between(&now, &real) < 1000);
	say("update: %d", event_base_update_cache_time(NULL));
}

static void monotonic(void)
{
	struct timeval first, second;
	base = event_base_new();
	say("gettime: %d", event_gettime_monotonic(base, &first));
	sleep_ms(20);
	event_gettime_monotonic(base, &second);
	say("moves: %d", ms_between(&first, &second) >= 10);
	say("no base: %d, no place: %d", event_gettime_monotonic(NULL, &first), event_gettime_monotonic(base, NULL));
	event_base_free(base);
}

static void adds(evutil_socket_t fd, short what, void *other)
{
	struct timeval delay = ms(100), due, now;
	(void)fd, (void)what;
	event_base_gettimeofday_cached(base, &now);
	sleep_ms(40);
	event_add(other, &delay);
	event_pending(other, EV_TIMEOUT, &due);
	say("  from the cached time, in units of 20 ms: %ld", (ms_between(&now, &due) + 10) / 20);
	event_del(other);
}

static void delays_count_from_the_cached_time(void)
{
	struct event *event, *timer;
	base = event_base_new();
	timer = evtimer_new(base, on_event, "timer");
	event = event_new(base, -1, 0, adds, timer);
	event_active(event, EV_READ, 1);
	say("loop: %d", event_base_loop(base, 0));
	event_free(event);
	event_free(timer);
	event_base_free(base);
}

static void pending_tells_the_wall_clock(void)
{
	struct event *timer;
	struct timeval delay = ms(10000), due, now;
	base = event_base_new();
	timer = evtimer_new(base, on_event, "timer");
	event_add(timer, &delay);
	say("what is not asked for is not told: %s", bits(event_pending(timer, EV_READ, &due)));
	say("pending %s", bits(event_pending(timer, EV_READ | EV_TIMEOUT, &due)));
	gettimeofday(&now, NULL);
	say("in ten seconds: %d", ms_between(&now, &due) > 9900 && ms_between(&now, &due) < 10100);
	event_free(timer);
	event_base_free(base);
}

int main(void)
{
	start();
	TEST(caching);
	TEST(without_a_base);
	TEST(monotonic);
	TEST(delays_count_from_the_cached_time);
	TEST(pending_tells_the_wall_clock);
	return 0;
}
