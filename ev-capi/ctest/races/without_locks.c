/* Two threads on a base without locks, which is wrong: a check for races has to find this one, inside of the library. */
#include "../ctest.h"

#include <pthread.h>

static void *asks(void *unused)
{
	event_base_loopbreak(base);
	return unused;
}

int main(void)
{
	pthread_t other;
	base = event_base_new();
	pthread_create(&other, NULL, asks, NULL);
	asks(NULL);
	pthread_join(other, NULL);
	event_base_free(base);
	return 0;
}
