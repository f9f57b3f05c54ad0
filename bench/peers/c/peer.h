/* What the scenarios ask of an event loop. Sources and timers are numbers from 0. */
#ifndef PEER_H
#define PEER_H

#include "bench.h"

extern const char *const peer_name;
const char *peer_version(void);

/* An empty loop. */
void peer_open(void);
/* Takes over the sources of the course; nothing waits for them yet. */
void peer_prepare(void);
/* Begins to wait for source i, whose callback calls pass_on, and ceases to. */
void peer_add(long i);
void peer_delete(long i);

/* One turn, which does not wait. */
void peer_poll(void);
/* Turns that wait, until a callback is told to stop. */
void peer_run(void);

/* Makes opt.t timers without deadlines, whose callbacks call timer_fired. */
void peer_prepare_timers(void);
/* Calls operations, whose timers all count from one reading of the clock. */
void peer_with_time(void (*operations)(void));
/* Sets timer i, whether it has a deadline or not. */
void peer_set_timer(long i, uint64_t microseconds);
void peer_cancel_timer(long i);

/* Gets ready to be notified by another thread, and is; the loop then calls answer. */
void peer_prepare_notify(void);
void peer_notify(void);

#endif
