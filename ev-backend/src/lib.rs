//! Readiness of file descriptors through epoll, poll, select or kqueue behind one trait.
//!
//! A [`Backend`] is told which descriptors to watch and for what; its [`Waiter`] sleeps until one of them is ready, and
//! reports it by the 64-bit [`Tag`] it was registered with. That is all: no callbacks, no timers, no buffers, no global
//! state. It is the floor to build a loop, a runtime or a reactor on.
//!
//! Use it to write your own loop, or to wait for a few descriptors. It is not for you if you want callbacks, timers and
//! signals (the crate `ev-core` has them, on this one), or `async` and `await`.
//!
#![cfg_attr(feature = "poll", doc = "```")]
#![cfg_attr(not(feature = "poll"), doc = "```ignore")]
//! use std::os::fd::AsRawFd;
//! use std::time::Duration;
//! use ev_backend::{Backend, Change, Config, Interest, Mode, Readiness, Registration, Tag, Waiter};
//!
//! let (reader, mut writer) = std::io::pipe()?;
//! let (mut backend, mut waiter) = Config::new().open()?;
//! backend.update(&Change {
//!     fd: reader.as_raw_fd(),
//!     tag: Tag::from_bits(42),
//!     old: None,
//!     new: Some(Registration { interest: Interest::READ, mode: Mode::Level }),
//! })?;
//!
//! std::io::Write::write_all(&mut writer, b"news")?;
//! backend.prepare(&mut waiter)?;
//! assert_eq!(waiter.wait(Some(Duration::from_secs(1)))?, 1);
//! waiter.for_each(|tag, readiness| {
//!     assert_eq!((tag, readiness), (Tag::from_bits(42), Readiness::READ));
//! });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! - [`Interest`], [`Mode`], [`Registration`], [`Change`]: what is asked. [`Readiness`], [`Tag`]: what is reported.
//! - [`Backend`] and [`Waiter`]: the contract, with its calling order. Implement them for a mechanism of your own.
//! - `Epoll`, `Kqueue`, `Poll`, `Select`: the implementations. [`Features`] tells what each can do; what it cannot, it
//!   refuses with [`UpdateError::Unsupported`] and never by silence.
//! - `AnyBackend`, chosen by `Config` at run time, by preference, requirement and environment.
//! - The module `sim`: a backend whose readiness and time a test scripts.
//!
//! # Two halves
//!
//! A loop that threads share keeps the backend behind its lock and sleeps in the waiter without it. With
//! [`Features::CONCURRENT`] an update reaches a wait under way; otherwise the owner wakes the waiter, through a
//! descriptor it has registered for that.
//!
//! # Closed descriptors
//!
//! Descriptors are given as numbers, because a loop has to be able to take one out that its owner has closed. Whoever
//! calls [`Backend::update`] sees to it that a descriptor is taken out before it is closed. Where that fails, nothing
//! unsafe happens, but reports may be missing, may repeat, or may come for a file that was duplicated; a tag that is
//! new for every registration, as [`Tag::new`] makes, tells late reports apart, and [`Backend::reset`] is the way out.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `epoll` (default) | Linux's epoll |
//! | `kqueue` (default) | the BSDs' and Apple's kqueue |
//! | `poll` (default) | `poll(2)`, everywhere |
//! | `select` (default) | `select(2)`, everywhere, without limit on descriptors |
//! | `libkqueue` | lets `kqueue` run on Linux, through that library |
//! | `sim` | a scripted backend with a virtual clock, for tests, in the module `sim`; brings `poll` |
//!
//! Without any of them there is the vocabulary alone, for crates that name interests and never wait. A mechanism that
//! the target does not have is left out, whatever the features.
#![forbid(unsafe_code)]

#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
mod any;
mod backend;
#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
mod config;
#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
pub mod descriptor;
#[cfg(all(feature = "epoll", any(target_os = "linux", target_os = "android")))]
mod epoll;
mod error;
mod features;
mod interest;
#[cfg(all(
    feature = "kqueue",
    target_pointer_width = "64",
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        all(target_os = "linux", feature = "libkqueue")
    )
))]
mod kqueue;
#[cfg(feature = "poll")]
mod poll;
mod registration;
#[cfg(feature = "select")]
mod select;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(any(feature = "poll", feature = "select"))]
mod table;
mod tag;

#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
pub use any::{AnyBackend, AnyWaiter, supported};
pub use backend::{Backend, Waiter};
#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
pub use config::{Config, OpenError, PassedOver};
#[cfg(all(feature = "epoll", any(target_os = "linux", target_os = "android")))]
pub use epoll::{Epoll, EpollTimeout, EpollWaiter};
pub use error::UpdateError;
#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
#[doc(no_inline)]
pub use ev_sys::clock::Clock;
pub use features::Features;
pub use interest::{Interest, Readiness};
#[cfg(all(
    feature = "kqueue",
    target_pointer_width = "64",
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        all(target_os = "linux", feature = "libkqueue")
    )
))]
pub use kqueue::{Kqueue, KqueueWaiter};
#[cfg(feature = "poll")]
pub use poll::{Poll, PollWaiter};
pub use registration::{Change, Mode, Registration};
#[cfg(feature = "select")]
pub use select::{Select, SelectWaiter};
pub use tag::Tag;

#[cfg(all(doctest, feature = "poll"))]
#[doc = include_str!("../README.md")]
struct Readme;
