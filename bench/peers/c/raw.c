/* The bound: epoll itself, callbacks in an array indexed by descriptor, deadlines in a heap or a queue.
 *
 * defer: a change is noted, and told to the kernel before the next wait if it still is one.
 * lazy: setting a timeout anew only notes the deadline; the heap learns of it when the old one has come.
 * inl: epoll's system calls are made where they stand, without a function that returns.
 */
#include "heap.h"
#include "peer.h"
#include "queue.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { AT_ONCE = 1024 };

/* What waits for a descriptor. */
struct slot {
	void (*callback)(long);
	long argument;
	bool wanted, known, noted;
};

static int epoll, notifier = -1;
static bool stopped;
static struct epoll_event ready[AT_ONCE];
static struct slot *slots;
static int *noted;			/* descriptors with changes that the kernel does not know */
static int noted_count;

static struct heap heap;
static struct queue queue;
static uint64_t *timeouts;		/* of each event: its timeout, or with lazy the deadline it really has */
static uint64_t now;			/* microseconds, as of the last turn */

const char *const peer_name = "raw";

const char *peer_version(void)
{
	return "-";
}

static inline __attribute__((always_inline)) long call(long number, long a, long b, long c, long d)
{
#ifdef __x86_64__
	register long fourth __asm__("r10") = d;

	__asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
	return number;
#else
	return syscall(number, a, b, c, d);
#endif
}

static inline __attribute__((always_inline)) void control(int operation, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	long failed;

	if (opt.oneshot && !opt.defer)
		event.events |= EPOLLONESHOT;
	if (opt.inl)
		failed = call(SYS_epoll_ctl, epoll, operation, fd, (long)&event);
	else
		failed = epoll_ctl(epoll, operation, fd, &event);
	if (failed)
		die("epoll_ctl");
}

static inline void note(int fd)
{
	if (slots[fd].noted)
		return;
	slots[fd].noted = true;
	noted[noted_count++] = fd;
}

static inline void tell_noted(void)
{
	for (int k = 0; k < noted_count; k++) {
		struct slot *slot = slots + noted[k];

		slot->noted = false;
		if (slot->wanted != slot->known)
			control(slot->wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, noted[k]);
		slot->known = slot->wanted;
	}
	noted_count = 0;
}

/* The event is deleted when it fires; its callback adds it again. */
static inline void add_again(int fd)
{
	if (opt.defer) {
		slots[fd].wanted = true;
		note(fd);
	} else {
		control(EPOLL_CTL_MOD, fd);
	}
}

static void on_source(long i)
{
	if (pass_on(i))
		stopped = true;
	if (opt.oneshot)
		add_again(course.sources[i]);
	if (opt.tmo && opt.lazy)
		timeouts[i] = now + idle_timeout(i);
	else if (opt.tmo)
		heap_set(&heap, i, now + timeouts[i]);
}

static void on_notify(long unused)
{
	uint64_t count;

	(void)unused;
	if (read(notifier, &count, sizeof count) == sizeof count && answer())
		stopped = true;
}

static inline void dispatch(int fd)
{
	struct slot *slot = slots + fd;

	if (opt.oneshot && opt.defer) {
		slot->wanted = false;
		note(fd);
	}
	slot->callback(slot->argument);
}

static inline void expire(void)
{
	if (queue.links) {
		uint32_t first;

		while ((first = queue_first(&queue)) != queue.head && queue.links[first].deadline <= now) {
			queue_remove(&queue, first);
			timer_fired();
		}
		return;
	}
	while (heap.count && heap.entries[0].deadline <= now) {
		uint32_t timer = heap.entries[0].timer;

		if (opt.lazy && timeouts[timer] > now) {
			heap_set(&heap, timer, timeouts[timer]);
			continue;
		}
		heap_remove(&heap, timer);
		timer_fired();
	}
}

static inline __attribute__((always_inline)) void turn(int milliseconds)
{
	long count;

	if (noted_count)
		tell_noted();
	if (opt.inl)
		count = call(SYS_epoll_wait, epoll, (long)ready, AT_ONCE, milliseconds);
	else
		count = epoll_wait(epoll, ready, AT_ONCE, milliseconds);
	if (heap.entries || queue.links)
		now = now_ns() / 1000;
	for (long k = 0; k < count; k++)
		dispatch(ready[k].data.fd);
	if (heap.entries || queue.links)
		expire();
}

void peer_open(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
}

static void make_slots(int largest)
{
	slots = zeroed(largest + 1, sizeof *slots);
	if (opt.defer)
		noted = zeroed(largest + 1, sizeof *noted);
}

void peer_prepare(void)
{
	make_slots(course.sources[opt.n - 1]);
	for (long i = 0; i < opt.n; i++)
		slots[course.sources[i]] = (struct slot){ .callback = on_source, .argument = i };
	if (!opt.tmo)
		return;
	heap_open(&heap, opt.n);
	timeouts = zeroed(opt.n, sizeof *timeouts);
	for (long i = 0; i < opt.n; i++)
		timeouts[i] = idle_timeout(i);
	now = now_ns() / 1000;
}

void peer_add(long i)
{
	int fd = course.sources[i];
	struct slot *slot = slots + fd;

	slot->wanted = true;
	if (opt.defer)
		note(fd);
	else
		control(EPOLL_CTL_ADD, fd);
	if (!opt.tmo)
		return;
	heap_set(&heap, i, now + idle_timeout(i));
	if (opt.lazy)
		timeouts[i] = now + idle_timeout(i);
}

void peer_delete(long i)
{
	int fd = course.sources[i];

	slots[fd].wanted = false;
	if (opt.defer)
		note(fd);
	else
		control(EPOLL_CTL_DEL, fd);
	if (opt.tmo)
		heap_remove(&heap, i);
}

void peer_poll(void)
{
	turn(0);
}

void peer_run(void)
{
	for (stopped = false; !stopped;)
		turn(-1);
}

void peer_prepare_timers(void)
{
	if (opt.same)
		queue_open(&queue, opt.t);
	else
		heap_open(&heap, opt.t);
}

void peer_with_time(void (*operations)(void))
{
	now = now_ns() / 1000;
	operations();
}

void peer_set_timer(long i, uint64_t microseconds)
{
	if (opt.same) {
		queue_remove(&queue, i);
		queue_append(&queue, i, now + microseconds);
	} else {
		heap_set(&heap, i, now + microseconds);
	}
}

void peer_cancel_timer(long i)
{
	if (opt.same)
		queue_remove(&queue, i);
	else
		heap_remove(&heap, i);
}

void peer_prepare_notify(void)
{
	notifier = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	make_slots(notifier);
	slots[notifier].callback = on_notify;
	control(EPOLL_CTL_ADD, notifier);
}

void peer_notify(void)
{
	uint64_t one = 1;

	if (write(notifier, &one, sizeof one) != sizeof one)
		course.failures++;
}
