//! Safe, typed bindings to the system calls an event loop stands on.
//!
//! | module | what | where |
//! |---|---|---|
//! | `epoll` | `epoll_create1`, `epoll_ctl`, `epoll_wait`, `epoll_pwait2` | Linux, Android |
//! | [`poll`] | `ppoll`, `poll` | every Unix |
//! | [`select`] | `pselect` with sets of any length | every Unix |
//! | `kqueue` | `kqueue`, `kevent` | BSD, macOS; Linux with the feature `libkqueue` |
//! | `eventfd`, [`pipe`], [`socketpair`] | channels to wake a sleeping loop by | see each |
//! | [`signal`] | dispositions, masks | every Unix, see there |
//! | `signalfd` | pending signals read like files | Linux, Android |
//! | `timerfd` | timers read like files | Linux, Android |
//! | [`clock`] | `clock_gettime` | every Unix |
//! | [`fdio`] | `read` and `write` on borrowed descriptors | every Unix |
//! | [`socket`], [`process`] | the few calls about sockets and processes that `std` leaves out | every Unix |
//! | [`errno`] | error numbers to compare with | every Unix |
//!
//! # When to use it
//!
//! To build a readiness mechanism or a loop without writing `unsafe`. To wait for descriptors, the crate `ev-backend`
//! is the layer above; to call other parts of the system, `libc` or `rustix` are more complete.
//!
//! # Conventions
//!
//! - Nothing is emulated or retried: one function is one system call, and `EINTR` is an error like any other. Where a
//!   function does more, its documentation says so.
//! - What a call creates is an [`OwnedFd`](std::os::fd::OwnedFd), closed on `exec` unless it takes a flag for that. What
//!   it works with is a [`BorrowedFd`](std::os::fd::BorrowedFd).
//! - A *target*, the descriptor that `epoll_ctl`, `kevent`, `poll` or `select` is asked about, is a
//!   [`RawFd`](std::os::fd::RawFd): it is a number in a question to the kernel, which answers `EBADF` (or `POLLNVAL`)
//!   when its owner has closed it. No memory is touched through it, so this is safe; but a number that was closed and
//!   given out anew means another file, and it is the caller's to know that.
//! - A timeout is an `Option<Duration>`: `None` waits for as long as it takes. Where the kernel counts in coarser
//!   units it is rounded up, so that no wait ends early for want of precision. A timeout of more than 100,000,000
//!   seconds (three years) is cut to that, the most that every kernel takes.

pub mod clock;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod epoll;
pub mod errno;
pub mod eventfd;
pub mod fdio;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    all(target_os = "linux", feature = "libkqueue")
))]
pub mod kqueue;
pub mod pipe;
pub mod poll;
pub mod process;
pub mod select;
pub mod signal;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod signalfd;
pub mod socket;
pub mod socketpair;
mod timeout;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod timerfd;

use std::io;

#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The kernel's answer to a call that returns a count or a descriptor, and -1 for "see `errno`".
#[inline]
pub(crate) fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(refused()) } else { Ok(answer) }
}

/// What `errno` says. Out of line, so that success does not pass by it.
#[cold]
fn refused() -> io::Error {
    io::Error::last_os_error()
}

/// The kernel's answer to a call that returns a count of bytes, and -1 for "see `errno`".
#[inline]
pub(crate) fn check_count(answer: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}
