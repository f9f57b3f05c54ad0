/* The program of each C peer: reads the command line, runs a scenario, prints one line of JSON. */
#include "peer.h"

#include <stddef.h>
#include <sys/resource.h>

struct options opt = { .n = 100, .a = 1, .r = 25, .t = 1000 };
struct course course;

static const struct {
	const char *name;
	size_t offset;
} names[] = {
#define OPTION(name) { #name, offsetof(struct options, name) }
	OPTION(n), OPTION(a), OPTION(w), OPTION(r), OPTION(t), OPTION(sock), OPTION(run), OPTION(ready), OPTION(tmo),
	OPTION(oneshot), OPTION(same), OPTION(locks), OPTION(changelist), OPTION(defer), OPTION(lazy), OPTION(inl),
};

static const struct {
	const char *name;
	void (*measure)(void);
} scenarios[] = {
	{ "pipes", measure_pipes },
	{ "setup", measure_setup },
	{ "timers", measure_timers },
	{ "wakeup", measure_wakeup },
	{ "memory", measure_memory },
};

uint64_t random_below(uint64_t end)
{
	static uint64_t state = 0x9E3779B97F4A7C15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % end;
}

void figure(const char *name, double value)
{
	printf(",\"%s\":%.3f", name, value);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void figure_of_rounds(const char *name, double *rounds, long count)
{
	char minimum[64];

	qsort(rounds, count, sizeof *rounds, compare);
	snprintf(minimum, sizeof minimum, "%s_min", name);
	figure(name, rounds[count / 2]);
	figure(minimum, rounds[0]);
}

static bool set_option(const char *argument)
{
	const char *equals = strchr(argument, '=');

	for (size_t k = 0; equals && k < sizeof names / sizeof *names; k++) {
		size_t length = strlen(names[k].name);
		char *end;

		if (length != (size_t)(equals - argument) || strncmp(names[k].name, argument, length))
			continue;
		*(long *)((char *)&opt + names[k].offset) = strtol(equals + 1, &end, 10);
		return end != equals + 1 && !*end;
	}
	return false;
}

int main(int count, char **arguments)
{
	const char *scenario = count > 1 ? arguments[1] : "";
	struct rlimit limit;

	for (int i = 2; i < count; i++) {
		if (!set_option(arguments[i])) {
			fprintf(stderr, "bad argument %s\n", arguments[i]);
			return 2;
		}
	}
	if (opt.a < 1 || opt.a > opt.n || opt.r < 1 || opt.t < 1) {
		fprintf(stderr, "not 1 <= a <= n, 1 <= r, 1 <= t\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (size_t k = 0; k < sizeof scenarios / sizeof *scenarios; k++) {
		if (strcmp(scenarios[k].name, scenario))
			continue;
		printf("{\"lib\":\"%s\",\"version\":\"%s\",\"scenario\":\"%s\"", peer_name, peer_version(), scenario);
		scenarios[k].measure();
		printf(",\"failures\":%ld}\n", course.failures);
		return course.failures > 0;
	}
	fprintf(stderr, "unknown scenario %s\n", scenario);
	return 2;
}
