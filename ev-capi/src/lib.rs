//! libevent 2.1's C interface for the event core, on `ev-core`.
//!
//! C programs that were linked to libevent run on this library instead: it has the functions, the structures and the
//! symbols that they expect. It is not meant for programs in Rust, which take `ev-core`.
//!
//! # Where it departs from libevent 2.1.12
//!
//! As 2.2 does:
//! - An event whose descriptor and timeout are due in one turn is called once, with both.
//! - Deleting the earliest timer from another thread wakes the loop.
//! - There are watchers (`evwatch_*`), signals by `signalfd`, and waits of nanoseconds.
//!
//! Because libevent's way is an accident that no program can want:
//! - A callback that takes long does not make the loop sleep longer than to the next deadline.
//! - Deadlines that are equal are served in the order in which they were set.
//! - Every base receives the signals that it watches, not only one; and a signal that comes while its event is active is
//!   counted.
//! - `event_add` with a timeout takes back what an event is active for by its old timeout, and no readiness.
//! - `event_base_get_running_event` outside of callbacks is null, and `event_base_once` leaves the base unlocked when it
//!   fails.
//! - The library's own events are no `struct event`, so `event_base_foreach_event` and `event_base_dump_events` do not show
//!   them, and they do not count as active.
//! - A closed descriptor is refused by `event_add` on poll and select as well. With the changelist, where the refusal comes
//!   late, the event is deleted and called with what it waited for.
//! - `event_base_priority_init` refuses to take away a priority that a pending event has.
//! - The signals that tell of a fault of the program itself, `SIGSEGV` and the like, cannot be watched.
//! - Running out of memory ends the program in more places, which the README lists.
#![expect(
    non_camel_case_types,
    reason = "the structures have the names that C programs know them by"
)]
#![expect(unreachable_pub, reason = "what is public is so for C, by its name")]

mod abi;
mod arm;
mod base;
#[cfg(test)]
mod child;
mod common;
mod compat;
mod config;
mod debug;
mod deferred;
mod dispatch;
mod event;
mod evthread;
mod evutil;
mod expiry;
mod finalize;
mod function;
mod inspect;
mod known;
mod lifecycle;
mod listener;
mod log;
mod mm;
mod once;
mod run;
mod time;
mod timers;
mod variadic;
mod version;
mod watch;
