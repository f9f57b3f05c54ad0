//! Deadlines for event loops: who is due, and when to wake next.
//!
//! A timer here is a number that the caller chooses, with a deadline. This crate keeps the deadlines in order and hands
//! out the numbers whose time has come. It reads no clock, never sleeps, calls nobody and knows no operating system: it
//! is `no_std` with `alloc`, has no dependencies and no `unsafe`.
//!
//! Use it in an event loop, a network stack, a simulation: wherever many timeouts are armed and most are cancelled or
//! pushed back before they pass. It is not for you if you want to sleep until a time (that is your system's business),
//! or if timers are to be found by anything but small numbers: the numbers index arrays.
//!
//! ```
//! use core::time::Duration;
//! use ev_timer::{Time, Timers};
//!
//! let second = Duration::from_secs(1);
//! let mut timers = Timers::new();
//! let mut now = Time::ZERO; // nanoseconds of whatever clock the caller has
//!
//! timers.set_after(7, now, 30 * second); // connection 7 may be idle for so long
//! timers.set_after(8, now, 30 * second);
//! now += 10 * second;
//! timers.set_after(7, now, 30 * second); // it said something: pushed back
//! timers.cancel(8);
//!
//! while let Some(wake) = timers.next_wake() {
//!     now = wake; // sleep until then
//!     while let Some((id, deadline)) = timers.pop_expired(now) {
//!         assert_eq!((id, deadline), (7, Time::ZERO + 40 * second));
//!     }
//! }
//! ```
//!
//! # Which of them
//!
//! | | for | arm, cancel | push back | expire |
//! |---|---|---|---|---|
//! | [`Timers`] | everything: both below, put together | the better of both | the better of both | the better of both |
//! | [`DeadlineHeap`] | deadlines of all kinds | O(log n), O(1) on average | O(1) | O(log n) |
//! | [`TimeoutQueue`] | one timeout for all | O(1) | O(1) | O(1) |
//!
//! [`Timers`] keeps arbitrary deadlines in the heap and finds by itself which timeouts are used so often that they
//! deserve a queue; [`Timers::same_duration`] makes one by hand. All three fire in the order of deadlines, equal ones in
//! the order of arming, and never early.
//!
//! # How it works
//!
//! The heap is 4-ary and keeps the deadlines in its entries, so that a comparison follows no pointer, and the position
//! of each timer in an array beside it, so that any timer can be taken out. Pushing a deadline back moves nothing: it is
//! noted, and the entry moves when it comes up. A queue is a list in the order of arming, which for one timeout is the
//! order of deadlines. A timer takes 4 bytes, in the heap 16 more. Where any was pushed back, or a queue is in use, there
//! are 12 more for each, and 8 for the links of queues.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod by_id;
mod deadline_heap;
mod heap;
mod key;
mod keys;
mod list;
mod popular;
mod queues;
mod same_duration;
mod slots;
mod time;
mod timeout_queue;
mod timers;

pub use deadline_heap::DeadlineHeap;
pub use same_duration::{SameDuration, TooManyDurations};
pub use time::Time;
pub use timeout_queue::TimeoutQueue;
pub use timers::Timers;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
