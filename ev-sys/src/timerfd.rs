//! `timerfd`: a timer that is a descriptor.
//!
//! ```
//! use std::os::fd::AsFd;
//! use std::time::Duration;
//! use ev_sys::timerfd;
//!
//! let timer = timerfd::create()?;
//! timerfd::arm(timer.as_fd(), Duration::from_secs(3600))?;
//! assert_eq!(timerfd::expirations(timer.as_fd())?, 0);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Portability
//!
//! Linux and Android.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use crate::{check, fdio, timeout};

/// Creates a disarmed timer on [`Clock::Monotonic`](crate::clock::Clock::Monotonic) (`timerfd_create`), non-blocking
/// and closed on `exec`.
///
/// # Errors
///
/// `EMFILE`, `ENFILE` and `ENOMEM` at a limit.
pub fn create() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers and returns a descriptor; no memory of ours is involved.
    let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) })?;
    // SAFETY: the kernel just gave out this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the timer readable once, `after` from now (`timerfd_settime`). Replaces what was armed and forgets an expiry
/// that was not read. Zero is taken as a nanosecond, as to the kernel it means "disarm".
///
/// # Errors
///
/// `EINVAL` where `timer` is something else.
pub fn arm(timer: BorrowedFd<'_>, after: Duration) -> io::Result<()> {
    set(timer, after.max(Duration::from_nanos(1)))
}

/// Stops the timer, and forgets an expiry that was not read.
///
/// # Errors
///
/// `EINVAL` where `timer` is something else.
pub fn disarm(timer: BorrowedFd<'_>) -> io::Result<()> {
    set(timer, Duration::ZERO)
}

fn set(timer: BorrowedFd<'_>, after: Duration) -> io::Result<()> {
    let spec = libc::itimerspec {
        it_interval: timeout::timespec(Duration::ZERO),
        it_value: timeout::timespec(after),
    };
    // SAFETY: `spec` outlives the call; the old setting, for which null is passed, is not wanted.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const spec, ptr::null_mut()) })?;
    Ok(())
}

/// How often the timer has expired since it was armed or last read; the reading makes it unreadable again.
///
/// # Errors
///
/// Those of `read`, except `EAGAIN`, which is 0.
pub fn expirations(timer: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count = [0; size_of::<u64>()];
    match fdio::read(timer, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}
