//! Waking a sleeping event loop from other threads, and only when it sleeps.
//!
//! A loop that sleeps in `epoll_wait` or its kin hears of another thread only through a descriptor: someone has to make
//! a system call. A loop that is awake will look by itself, if it is told to; that is an atomic operation. This crate
//! holds the parts from which a loop that others can reach is built:
//!
//! | | |
//! |---|---|
//! | [`Notifier`] | a descriptor that becomes readable on demand: an eventfd, else a pipe |
//! | `UserEvent` | the same for kqueue, without a descriptor: `EVFILT_USER` |
//! | [`Gate`] | decides whether a notification needs the notifier: a burst of them is one write |
//! | [`Waker`] | the two put together, for handles to share |
//! | [`Mailbox`] | what others leave for the loop: many push, one takes all at once |
//! | [`Bell`] | notifications that are one, however many they are: an atomic operation for all but the first |
//! | [`Monitor`] | a loop's state behind a lock, with callbacks as turns that other threads wait for |
//!
//! The example waits with `poll`, of the crate `ev-sys`; whatever else waits for a descriptor will do.
//!
//! ```
//! use std::os::fd::{AsFd, AsRawFd};
//! use std::sync::Arc;
//! use std::thread;
//! use std::time::Duration;
//! use ev_sys::poll::{Events, PollFd, poll};
//! use ev_thread::{Admission, Mailbox, Waker};
//!
//! let shared = Arc::new((Waker::new()?, Mailbox::new()));
//! let poster = thread::spawn({
//!     let shared = Arc::clone(&shared);
//!     move || {
//!         let (waker, mailbox) = &*shared;
//!         for word in ["wake", "only", "a", "sleeper"] {
//!             mailbox.push(word).expect("the loop has not closed it");
//!             waker.wake().expect("an eventfd can be written");
//!         }
//!     }
//! });
//!
//! let (waker, mailbox) = &*shared;
//! let mut heard = Vec::new();
//! while heard.len() < 4 {
//!     let timeout = match waker.gate().begin_wait(None) {
//!         Admission::Sleep => None,
//!         Admission::Notified => Some(Duration::ZERO),
//!     };
//!     let mut fds = [PollFd::new(waker.notifier().as_fd().as_raw_fd(), Events::IN)];
//!     let ready = poll(&mut fds, timeout)?;
//!     let _ = waker.gate().end_wait();
//!     if ready > 0 {
//!         waker.notifier().drain()?;
//!     }
//!     mailbox.take_all(&mut heard);
//! }
//! assert_eq!(heard, ["wake", "only", "a", "sleeper"]);
//! # poster.join().unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When to use it
//!
//! To build a loop of your own that other threads reach. With `ev-core` you have it already. It is not for waking
//! threads that wait for nothing but each other: there `std::thread::park` or a channel is right.
//!
//! # How it is tested
//!
//! The gate, the mailbox, the bell and the monitor, each alone, and all but the bell together in a small loop, are run by
//! `loom` through the orders of events that the memory model allows: all of them where they are few enough, else those with
//! up to three preemptions. `tests/loom.rs` lists the steps of the protocols, and which model fails without each.
#![forbid(unsafe_code)]

mod bell;
mod gate;
mod mailbox;
mod monitor;
mod notifier;
mod sync;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    all(target_os = "linux", feature = "libkqueue")
))]
mod user_event;
mod waker;

pub use bell::Bell;
pub use gate::{Admission, Gate, Wake, Woken};
pub use mailbox::Mailbox;
pub use monitor::{Monitor, MonitorGuard};
pub use notifier::Notifier;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    all(target_os = "linux", feature = "libkqueue")
))]
pub use user_event::UserEvent;
pub use waker::Waker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
