/* Timers of one duration: a list in the order in which they are due. */
#ifndef QUEUE_H
#define QUEUE_H

#include "bench.h"

struct link {
	uint32_t next, previous;
	uint64_t deadline;
};

/* Links are indexed by timer; the one after the last timer is the list's head. */
struct queue {
	struct link *links;
	uint32_t head;
};

static inline void queue_open(struct queue *queue, long timers)
{
	queue->links = zeroed(timers + 1, sizeof *queue->links);
	queue->head = timers;
	queue->links[timers] = (struct link){ timers, timers, 0 };
	for (long i = 0; i < timers; i++)
		queue->links[i].next = queue->links[i].previous = i;
}

/* A timer that is in no list is a list of its own, so that removing it changes nothing. */
static inline void queue_remove(struct queue *queue, uint32_t timer)
{
	struct link *link = queue->links + timer;

	queue->links[link->previous].next = link->next;
	queue->links[link->next].previous = link->previous;
	link->next = link->previous = timer;
}

static inline void queue_append(struct queue *queue, uint32_t timer, uint64_t deadline)
{
	struct link *head = queue->links + queue->head;

	queue->links[timer] = (struct link){ queue->head, head->previous, deadline };
	queue->links[head->previous].next = timer;
	head->previous = timer;
}

/* The timer that is due first, or the head. */
static inline uint32_t queue_first(const struct queue *queue)
{
	return queue->links[queue->head].next;
}

#endif
