/* A 4-ary heap of deadlines, and where in it each timer is. */
#ifndef HEAP_H
#define HEAP_H

#include "bench.h"

enum { ARITY = 4 };
#define NOWHERE UINT32_MAX

struct entry {
	uint64_t deadline;
	uint32_t timer;
};

struct heap {
	struct entry *entries;
	uint32_t *places;	/* of each timer, or NOWHERE */
	uint32_t count;
};

static inline void heap_open(struct heap *heap, long timers)
{
	heap->entries = zeroed(timers, sizeof *heap->entries);
	heap->places = zeroed(timers, sizeof *heap->places);
	memset(heap->places, 255, timers * sizeof *heap->places);
	heap->count = 0;
}

static inline void heap_put(struct heap *heap, uint32_t place, struct entry entry)
{
	heap->entries[place] = entry;
	heap->places[entry.timer] = place;
}

/* Puts entry where it belongs, beginning at place, which is free. */
static inline void heap_settle(struct heap *heap, uint32_t place, struct entry entry)
{
	uint32_t parent, child;

	while (place && heap->entries[parent = (place - 1) / ARITY].deadline > entry.deadline) {
		heap_put(heap, place, heap->entries[parent]);
		place = parent;
	}
	while ((child = ARITY * place + 1) < heap->count) {
		uint32_t end = child + ARITY < heap->count ? child + ARITY : heap->count, least = child;

		while (++child < end) {
			if (heap->entries[child].deadline < heap->entries[least].deadline)
				least = child;
		}
		if (heap->entries[least].deadline >= entry.deadline)
			break;
		heap_put(heap, place, heap->entries[least]);
		place = least;
	}
	heap_put(heap, place, entry);
}

static inline void heap_set(struct heap *heap, uint32_t timer, uint64_t deadline)
{
	uint32_t place = heap->places[timer];

	if (place == NOWHERE)
		place = heap->count++;
	heap_settle(heap, place, (struct entry){ deadline, timer });
}

static inline void heap_remove(struct heap *heap, uint32_t timer)
{
	uint32_t place = heap->places[timer];
	struct entry last = heap->entries[--heap->count];

	heap->places[timer] = NOWHERE;
	if (place != heap->count)
		heap_settle(heap, place, last);
}

#endif
