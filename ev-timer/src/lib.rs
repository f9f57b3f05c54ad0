//! Deadlines for event loops.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod deadline_heap;
mod heap;
mod key;
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
