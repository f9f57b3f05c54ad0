//! Readiness of file descriptors behind one trait.
#![forbid(unsafe_code)]

#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
mod any;
mod backend;
#[cfg(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue"))]
mod config;
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
        target_os = "dragonfly",
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
        target_os = "dragonfly",
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
