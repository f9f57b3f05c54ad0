//! `kqueue`: a queue inside the kernel that descriptors and other sources report to.
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use ev_sys::kqueue::{Event, Filter, Flags, Kqueue};
//!
//! let (reader, writer) = std::io::pipe()?;
//! let queue = Kqueue::new()?;
//! let watch = Event::new(reader.as_raw_fd() as usize, Filter::READ, Flags::ADD).with_udata(7);
//! queue.kevent(&[watch], &mut [], None)?;
//! drop(writer);
//!
//! let mut events = [Event::default(); 8];
//! assert_eq!(queue.kevent(&[], &mut events, None)?, 1);
//! assert!(events[0].flags().contains(Flags::EOF) && events[0].udata() == 7);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Portability
//!
//! Apple's systems, FreeBSD, NetBSD and OpenBSD. On Linux the library libkqueue stands in, where the feature
//! `libkqueue` is on; the build asks `pkg-config` for it. It differs: `EV_ADD` does not change an existing registration,
//! and a descriptor has to be deleted before it is closed.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use bitflags::bitflags;

use crate::{check, timeout};

#[cfg(target_os = "linux")]
mod libkqueue;
#[cfg(not(target_os = "linux"))]
use libc as sys;
#[cfg(target_os = "linux")]
use libkqueue as sys;

/// The width of a filter: 32 bits on NetBSD, 16 elsewhere.
#[cfg(target_os = "netbsd")]
type RawFilter = u32;
#[cfg(not(target_os = "netbsd"))]
type RawFilter = i16;

/// The kind of source an [`Event`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter(RawFilter);

impl Filter {
    /// The descriptor `ident` can be read.
    pub const READ: Self = Self(sys::EVFILT_READ);
    /// The descriptor `ident` can be written.
    pub const WRITE: Self = Self(sys::EVFILT_WRITE);
    /// The signal `ident` was sent to the process.
    pub const SIGNAL: Self = Self(sys::EVFILT_SIGNAL);
    /// A program triggered the source `ident` with [`NOTE_TRIGGER`].
    pub const USER: Self = Self(sys::EVFILT_USER);
}

/// The filter flag that triggers a [`Filter::USER`] source.
pub const NOTE_TRIGGER: u32 = sys::NOTE_TRIGGER;

bitflags! {
    /// What a change does, and the options and state of a registration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u32 {
        /// Register, or change the registration; enables it.
        const ADD = sys::EV_ADD as u32;
        /// Remove the registration.
        const DELETE = sys::EV_DELETE as u32;
        /// Report again, after [`DISABLE`](Self::DISABLE) or [`DISPATCH`](Self::DISPATCH).
        const ENABLE = sys::EV_ENABLE as u32;
        /// Keep the registration without reporting it.
        const DISABLE = sys::EV_DISABLE as u32;
        /// Delete the registration after its first report.
        const ONESHOT = sys::EV_ONESHOT as u32;
        /// Report a condition when it arises, not while it holds.
        const CLEAR = sys::EV_CLEAR as u32;
        /// Answer the change with an event of its own, see [`Event::error`].
        const RECEIPT = sys::EV_RECEIPT as u32;
        /// Disable the registration after a report.
        const DISPATCH = sys::EV_DISPATCH as u32;
        /// Reported: the end of the stream, or the reader is gone. The filter flags may hold the socket's error.
        const EOF = sys::EV_EOF as u32;
        /// Reported: the answer to a change, see [`Event::error`].
        const ERROR = sys::EV_ERROR as u32;
    }
}

/// A change for the queue, or a report of it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Event(sys::kevent);

// SAFETY: the pointer inside is a number here and to the kernel; nobody dereferences it.
unsafe impl Send for Event {}
// SAFETY: as for `Send`.
unsafe impl Sync for Event {}

impl Event {
    /// A change of the source `ident` of this filter.
    pub fn new(ident: usize, filter: Filter, flags: Flags) -> Self {
        // SAFETY: a `kevent` is integers and a pointer; all zero bytes are a value of it on every system.
        let mut event: sys::kevent = unsafe { std::mem::zeroed() };
        event.ident = ident;
        event.filter = filter.0;
        event.flags = flags.bits() as _;
        Self(event)
    }

    /// The same, with a value that the source's reports carry.
    #[must_use]
    pub fn with_udata(mut self, udata: usize) -> Self {
        self.0.udata = ptr::without_provenance_mut(udata);
        self
    }

    /// The same, with flags that the filter interprets, such as [`NOTE_TRIGGER`].
    #[must_use]
    pub fn with_fflags(mut self, fflags: u32) -> Self {
        self.0.fflags = fflags;
        self
    }

    /// The source: a descriptor or signal, by the filter.
    #[inline]
    pub const fn ident(&self) -> usize {
        self.0.ident
    }

    /// The kind of source.
    #[inline]
    pub const fn filter(&self) -> Filter {
        Filter(self.0.filter)
    }

    /// The registration's options and the reported state.
    #[inline]
    pub const fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.0.flags as u32)
    }

    /// What the filter has to say in flags; with [`Flags::EOF`] the socket's error, or 0.
    #[inline]
    pub const fn fflags(&self) -> u32 {
        self.0.fflags
    }

    /// What the filter has to say in a number: how much can be read or written, how often the signal was sent.
    #[inline]
    pub const fn data(&self) -> i64 {
        self.0.data as i64
    }

    /// The value given to [`with_udata`](Self::with_udata).
    #[inline]
    pub fn udata(&self) -> usize {
        self.0.udata.addr()
    }

    /// The answer to a change: `Some(0)` is the receipt of a success, other numbers are errors. `None` for a report.
    #[inline]
    pub const fn error(&self) -> Option<i32> {
        if self.flags().contains(Flags::ERROR) {
            Some(self.0.data as i32)
        } else {
            None
        }
    }
}

impl Default for Event {
    /// An empty place for the queue to write to.
    fn default() -> Self {
        Self::new(0, Filter::READ, Flags::empty())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("ident", &self.ident())
            .field("filter", &self.filter())
            .field("flags", &self.flags())
            .field("fflags", &self.fflags())
            .field("data", &self.data())
            .field("udata", &self.udata())
            .finish()
    }
}

/// A queue, closed on `exec` and when dropped.
///
/// A child does not inherit it over `fork`: there the descriptor is closed, its number may soon be another file's, and
/// dropping the value does nothing.
#[derive(Debug)]
pub struct Kqueue {
    fd: ManuallyDrop<OwnedFd>,
    /// The process it was created in.
    process: u32,
}

impl Kqueue {
    /// Creates an empty queue.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` and `ENOMEM` at a limit.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes nothing and returns a descriptor; no memory of ours is involved.
        let fd = check(unsafe { sys::kqueue() })?;
        // SAFETY: the call just gave out this descriptor, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sets a flag of a descriptor that is open; there is no memory to touch.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(Self {
            fd: ManuallyDrop::new(fd),
            process: std::process::id(),
        })
    }

    /// Whether this process inherited the value over `fork`, and with it no queue.
    pub fn is_inherited(&self) -> bool {
        self.process != std::process::id()
    }

    /// Applies `changes`, then waits for reports, unless `events` is empty. Returns how many of `events`, from the first
    /// on, were written.
    ///
    /// Answers to changes, see [`Event::error`], come before reports; if there are any, there is no wait.
    ///
    /// # Errors
    ///
    /// A change's error (`EBADF`, `ENOENT`, …) where `events` has no room for the answer, `EINTR` after a signal (the
    /// changes are applied), `ENOMEM`.
    pub fn kevent(&self, changes: &[Event], events: &mut [Event], timeout: Option<Duration>) -> io::Result<usize> {
        let spec = timeout.map(timeout::timespec);
        // SAFETY: `changes` and `events` are valid for as many entries as they are said to have, and `Event` is
        // transparent; the timeout is null or outlives the call.
        let count = unsafe {
            sys::kevent(
                self.fd.as_raw_fd(),
                changes.as_ptr().cast(),
                changes.len() as _,
                events.as_mut_ptr().cast(),
                events.len() as _,
                spec.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        check(count).map(|count| count as usize)
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Kqueue {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for Kqueue {
    fn drop(&mut self) {
        if std::process::id() == self.process {
            // SAFETY: the field is not used again.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

const _: () = {
    assert!(size_of::<Event>() == size_of::<sys::kevent>());
    assert!(align_of::<Event>() == align_of::<sys::kevent>());
};
