/* The callbacks for locks and conditions: what is accepted, and that every lock is taken and given back. */
#include "ctest.h"

static int made, destroyed, held, errors;
static unsigned last_type;

struct own_lock { int depth; };

static void *make_lock(unsigned type)
{
	struct own_lock *lock = calloc(1, sizeof(*lock));
	if (!(type & EVTHREAD_LOCKTYPE_RECURSIVE) && type != 0)
		errors++;
	last_type = type;
	made++;
	return lock;
}

static void destroy_lock(void *pointer, unsigned type)
{
	struct own_lock *lock = pointer;
	(void)type;
	if (lock->depth != 0)
		errors++;
	destroyed++;
	free(lock);
}

static int take(unsigned mode, void *pointer)
{
	struct own_lock *lock = pointer;
	(void)mode;
	if (lock->depth++ != 0)
		errors++;
	held++;
	return 0;
}

static int give(unsigned mode, void *pointer)
{
	struct own_lock *lock = pointer;
	(void)mode;
	if (--lock->depth < 0)
		errors++;
	held--;
	return 0;
}

static void *make_condition(unsigned type)
{
	(void)type;
	return calloc(1, 1);
}

static void destroy_condition(void *condition) { free(condition); }
static int signal_condition(void *condition, int all) { (void)condition, (void)all; return 0; }

static int wait_condition(void *condition, void *lock, const struct timeval *timeout)
{
	(void)condition, (void)lock, (void)timeout;
	return 0;
}

static unsigned long the_thread(void) { return 7; }

static void incomplete(void)
{
	struct evthread_lock_callbacks locks = { EVTHREAD_LOCK_API_VERSION, 0, make_lock, destroy_lock, take, give };
	struct evthread_condition_callbacks conditions = { EVTHREAD_CONDITION_API_VERSION, make_condition, NULL, NULL, NULL };
	say("no type: %d", evthread_set_lock_callbacks(&locks));
	locks.supported_locktypes = EVTHREAD_LOCKTYPE_RECURSIVE;
	locks.lock_api_version = 9;
	say("a version of its own: %d", evthread_set_lock_callbacks(&locks));
	locks.lock_api_version = EVTHREAD_LOCK_API_VERSION;
	locks.unlock = NULL;
	say("no unlock: %d", evthread_set_lock_callbacks(&locks));
	say("conditions without functions: %d", evthread_set_condition_callbacks(&conditions));
}

static struct evthread_lock_callbacks locks = {
	EVTHREAD_LOCK_API_VERSION, EVTHREAD_LOCKTYPE_RECURSIVE, make_lock, destroy_lock, take, give,
};
static struct evthread_condition_callbacks conditions = {
	EVTHREAD_CONDITION_API_VERSION, make_condition, destroy_condition, signal_condition, wait_condition,
};

static int visit(const struct event_base *base, const struct event *event, void *unused)
{
	(void)base, (void)event, (void)unused;
	return 0;
}

static void in_a_callback(evutil_socket_t fd, short what, void *unused)
{
	(void)fd, (void)what, (void)unused;
	say("  locks held in a callback: %d", held);
}

static void balance(const char *name)
{
	say("%s: held %d, errors %d", name, held, errors);
}

static void working(void)
{
	struct event_base *base;
	struct event *event, *usr1;
	struct timeval soon = ms(1);
	int pair[2];
	socket_pair(pair, 60);
	base = event_base_new();
	say("a lock was made: %d, of type %u", made > destroyed, last_type);
	event = event_new(base, pair[0], EV_READ | EV_PERSIST, in_a_callback, NULL);
	usr1 = evsignal_new(base, SIGUSR1, in_a_callback, NULL);
	event_add(event, &soon);
	event_add(usr1, NULL);
	balance("add");
	event_active(event, EV_READ, 1);
	raise(SIGUSR1);
	event_base_once(base, -1, EV_TIMEOUT, in_a_callback, NULL, NULL);
	say("loop: %d", event_base_loop(base, EVLOOP_ONCE));
	event_base_foreach_event(base, visit, NULL);
	event_base_get_num_events(base, 7);
	event_base_init_common_timeout(base, &soon);
	event_base_active_by_fd(base, 60, EV_READ);
	event_base_loopbreak(base);
	event_base_loopcontinue(base);
	event_base_once(base, -1, EV_SIGNAL, in_a_callback, NULL, NULL);
	event_priority_set(event, 5);
	event_base_priority_init(base, 3);
	event_pending(event, EV_READ, NULL);
	event_reinit(base);
	balance("calls");
	event_free(event);
	event_free(usr1);
	event_base_free(base);
	balance("free");
	close(pair[0]);
	close(pair[1]);
}

static void set_again(void)
{
	struct evthread_lock_callbacks others = locks;
	struct evthread_condition_callbacks other_conditions = conditions;
	others.lock = give;
	other_conditions.alloc_condition = NULL;
	say("the same: %d", evthread_set_lock_callbacks(&locks));
	say("others: %d", evthread_set_lock_callbacks(&others));
	say("the same conditions: %d", evthread_set_condition_callbacks(&conditions));
	say("other conditions: %d", evthread_set_condition_callbacks(&other_conditions));
}

static void with_lock_debugging(void)
{
	struct event_base *base;
	evthread_set_lock_callbacks(&locks);
	evthread_set_condition_callbacks(&conditions);
	evthread_set_id_callback(the_thread);
	evthread_enable_lock_debugging();
	evthread_enable_lock_debuging();
	base = event_base_new();
	event_base_once(base, -1, EV_TIMEOUT, in_a_callback, NULL, NULL);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
	balance("free");
}

static void without_callbacks(void)
{
	struct event_base *base = event_base_new();
	say("locks: %d, held %d", made, held);
	say("loop: %d", event_base_loop(base, 0));
	event_base_free(base);
}

static void own_callbacks(void)
{
	say("set: %d", evthread_set_lock_callbacks(&locks));
	say("conditions: %d", evthread_set_condition_callbacks(&conditions));
	evthread_set_id_callback(the_thread);
	balance("set");
	working();
	set_again();
}

#define CHILD(name) in_child(#name, name)

int main(void)
{
	start();
	CHILD(incomplete);
	CHILD(without_callbacks);
	CHILD(own_callbacks);
	CHILD(with_lock_debugging);
	return 0;
}
