/* Making a base: backends, features, flags, versions. */
#include "ctest.h"

static void say_base(const char *name, struct event_base *base)
{
	int features;
	if (!base) {
		say("%s: none", name);
		return;
	}
	features = event_base_get_features(base);
	say("%s: %s,%s%s%s%s", name, event_base_get_method(base), features & EV_FEATURE_ET ? " ET" : "",
	    features & EV_FEATURE_O1 ? " O1" : "", features & EV_FEATURE_FDS ? " FDS" : "",
	    features & EV_FEATURE_EARLY_CLOSE ? " EARLY_CLOSE" : "");
	event_base_free(base);
}

static void plain(void)
{
	struct event_config *config = event_config_new();
	say_base("new", event_base_new());
	say_base("new with an empty configuration", event_base_new_with_config(config));
	say_base("new without a configuration", event_base_new_with_config(NULL));
	event_config_free(config);
}

static void methods(void)
{
	const char **names = event_get_supported_methods();
	for (; *names; names++)
		say("supported: %s", *names);
	names = event_get_supported_methods();
	say("again: %s", names[0]);
}

static void avoiding(void)
{
	static const char *const names[] = { "EPOLL", "devpoll", "epoll", "poll", "select" };
	struct event_config *config = event_config_new();
	size_t i;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		say("avoid %s: %d", names[i], event_config_avoid_method(config, names[i]));
		say_base("base", event_base_new_with_config(config));
	}
	event_config_free(config);
}

static void requiring(void)
{
	static const int sets[] = {
		0, EV_FEATURE_ET, EV_FEATURE_O1, EV_FEATURE_FDS, EV_FEATURE_EARLY_CLOSE, EV_FEATURE_ET | EV_FEATURE_O1,
		EV_FEATURE_FDS | EV_FEATURE_EARLY_CLOSE, EV_FEATURE_FDS | EV_FEATURE_ET,
	};
	struct event_config *config = event_config_new();
	size_t i;
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		char name[32];
		sprintf(name, "require %#x", (unsigned)sets[i]);
		say("%s: %d", name, event_config_require_features(config, sets[i]));
		say_base(name, event_base_new_with_config(config));
	}
	event_config_free(config);
	say("no configuration: %d", event_config_require_features(NULL, 0));
}

static void flags(void)
{
	static const int each[] = {
		EVENT_BASE_FLAG_NOLOCK, EVENT_BASE_FLAG_NO_CACHE_TIME, EVENT_BASE_FLAG_STARTUP_IOCP,
		EVENT_BASE_FLAG_PRECISE_TIMER, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST,
	};
	size_t i;
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		struct event_config *config = event_config_new();
		char name[32];
		sprintf(name, "flag %#x", (unsigned)each[i]);
		say("%s: %d", name, event_config_set_flag(config, each[i]));
		say_base(name, event_base_new_with_config(config));
		event_config_free(config);
	}
	say("no configuration: %d", event_config_set_flag(NULL, 1));
	say("no configuration: %d", event_config_set_num_cpus_hint(NULL, 1));
}

static void environment(void)
{
	struct event_config *config = event_config_new();
	setenv("EVENT_NOEPOLL", "", 1);
	say_base("without epoll", event_base_new());
	setenv("EVENT_NOPOLL", "0", 1);
	say_base("without poll", event_base_new());
	setenv("EVENT_NOSELECT", "", 1);
	say_base("without select", event_base_new());
	setenv("EVENT_EPOLL_USE_CHANGELIST", "", 1);
	say_base("with the changelist", event_base_new());
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	say_base("regardless", event_base_new_with_config(config));
	unsetenv("EVENT_NOEPOLL");
	say_base("with the changelist", event_base_new());
	say_base("regardless", event_base_new_with_config(config));
	event_config_free(config);
}

static void versions(void)
{
	say("version %s, number %#x", event_get_version(), (unsigned)event_get_version_number());
	say("header %s, number %#x", LIBEVENT_VERSION, (unsigned)LIBEVENT_VERSION_NUMBER);
	say("size of an event %zu", event_get_struct_event_size());
}

static void hints(void)
{
	struct event_config *config = event_config_new();
	struct timeval interval = ms(5);
	say("cpus: %d", event_config_set_num_cpus_hint(config, 8));
	say("interval: %d", event_config_set_max_dispatch_interval(config, &interval, 10, 1));
	say_base("base", event_base_new_with_config(config));
	event_config_free(config);
}

static void nothing_to_free(void)
{
	event_base_free(NULL);
}

int main(void)
{
	start();
	TEST(plain);
	TEST(methods);
	TEST(avoiding);
	TEST(requiring);
	TEST(flags);
	TEST(versions);
	TEST(hints);
	TEST(nothing_to_free);
	TEST(environment);
	return 0;
}
