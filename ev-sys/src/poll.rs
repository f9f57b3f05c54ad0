//! `poll`: one question about a list of descriptors.
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use ev_sys::poll::{self, Events, PollFd};
//!
//! let (reader, writer) = std::io::pipe()?;
//! let mut fds = [PollFd::new(reader.as_raw_fd(), Events::IN), PollFd::new(writer.as_raw_fd(), Events::OUT)];
//! assert_eq!(poll::poll(&mut fds, None)?, 1);
//! assert_eq!(fds[0].returned(), Events::empty());
//! assert_eq!(fds[1].returned(), Events::OUT);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use bitflags::bitflags;

use crate::{check, timeout};

bitflags! {
    /// What is asked of a target and what is returned of it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Events: i16 {
        /// Data to read, a connection to accept, or the end of the stream.
        const IN = libc::POLLIN;
        /// Room to write.
        const OUT = libc::POLLOUT;
        /// Exceptional data: TCP's out-of-band byte, a pseudo-terminal's state change.
        const PRI = libc::POLLPRI;
        /// An error is pending, or the reader of a pipe is gone. Returned unasked.
        const ERR = libc::POLLERR;
        /// Both directions are closed, or the writer of a pipe is gone. Returned unasked.
        const HUP = libc::POLLHUP;
        /// The target is not an open descriptor. Returned unasked.
        const NVAL = libc::POLLNVAL;
        /// The peer of a stream socket closed it or shut down its writing side. Linux, Android and FreeBSD.
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        const RDHUP = libc::POLLRDHUP;
    }
}

/// A target, what is asked of it, and what was returned.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// A question about `target`. A negative number is skipped by the kernel.
    #[inline]
    pub const fn new(target: RawFd, events: Events) -> Self {
        Self(libc::pollfd {
            fd: target,
            events: events.bits(),
            revents: 0,
        })
    }

    /// The target.
    #[inline]
    pub const fn target(&self) -> RawFd {
        self.0.fd
    }

    /// What is asked.
    #[inline]
    pub const fn asked(&self) -> Events {
        Events::from_bits_retain(self.0.events)
    }

    /// What the last [`poll`] returned.
    #[inline]
    pub const fn returned(&self) -> Events {
        Events::from_bits_retain(self.0.revents)
    }
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd")
            .field("target", &self.target())
            .field("asked", &self.asked())
            .field("returned", &self.returned())
            .finish()
    }
}

/// Waits until a target is in a condition it was asked about. Returns how many targets are; each tells what in
/// [`PollFd::returned`].
///
/// A closed target is no error: it is returned as [`Events::NVAL`], and counts.
///
/// # Errors
///
/// `EINTR` after a signal, `EINVAL` where `fds` is longer than the limit on open descriptors, `ENOMEM`. What `fds`
/// returned before may be overwritten.
///
/// # Portability
///
/// `ppoll` with its nanoseconds; on Apple's systems `poll`, with milliseconds rounded up and cut to 24 days.
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `fds` is valid for reads and writes of `count` entries, and `PollFd` is transparent.
    let ready = unsafe { poll_raw(fds.as_mut_ptr().cast(), count, timeout) };
    check(ready).map(|ready| ready as usize)
}

/// # Safety
///
/// `fds` points to `count` entries that are valid for reads and writes.
#[cfg(not(target_vendor = "apple"))]
unsafe fn poll_raw(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: Option<Duration>) -> libc::c_int {
    let spec = timeout.map(timeout::timespec);
    let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller vouches for `fds` and `count`; `spec` is null or outlives the call; a null mask changes none.
    unsafe { libc::ppoll(fds, count, spec, std::ptr::null()) }
}

/// # Safety
///
/// `fds` points to `count` entries that are valid for reads and writes.
#[cfg(target_vendor = "apple")]
unsafe fn poll_raw(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: Option<Duration>) -> libc::c_int {
    // SAFETY: the caller vouches for `fds` and `count`.
    unsafe { libc::poll(fds, count, timeout::millis(timeout)) }
}

const _: () = {
    assert!(size_of::<PollFd>() == size_of::<libc::pollfd>());
    assert!(align_of::<PollFd>() == align_of::<libc::pollfd>());
};
