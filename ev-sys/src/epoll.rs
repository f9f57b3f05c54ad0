//! `epoll`: a set of descriptors inside the kernel, and a wait for any of them.
//!
//! ```
//! use std::os::fd::{AsFd, AsRawFd};
//! use std::time::Duration;
//! use ev_sys::epoll::{self, Event, Events};
//!
//! let (reader, writer) = std::io::pipe()?;
//! let set = epoll::create()?;
//! epoll::add(set.as_fd(), reader.as_raw_fd(), Events::IN, 7)?;
//!
//! let mut events = [Event::default(); 8];
//! assert_eq!(epoll::wait(set.as_fd(), &mut events, Some(Duration::ZERO))?, 0);
//! drop(writer);
//! assert_eq!(epoll::wait(set.as_fd(), &mut events, None)?, 1);
//! assert_eq!((events[0].events(), events[0].data()), (Events::HUP, 7));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Portability
//!
//! Linux and Android.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use bitflags::bitflags;

use crate::{check, timeout};

bitflags! {
    /// What is asked of a target and what is reported of it, with the options of a registration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Events: u32 {
        /// Data to read, a connection to accept, or the end of the stream.
        const IN = libc::EPOLLIN as u32;
        /// Room to write.
        const OUT = libc::EPOLLOUT as u32;
        /// Exceptional data: TCP's out-of-band byte, a pseudo-terminal's state change.
        const PRI = libc::EPOLLPRI as u32;
        /// An error is pending, or the reader of a pipe is gone. Reported unasked.
        const ERR = libc::EPOLLERR as u32;
        /// Both directions are closed, or the writer of a pipe is gone. Reported unasked.
        const HUP = libc::EPOLLHUP as u32;
        /// The peer of a stream socket closed it or shut down its writing side.
        const RDHUP = libc::EPOLLRDHUP as u32;
        /// Report a condition when it arises, not while it holds.
        const ET = libc::EPOLLET as u32;
        /// Report once, then stay silent until modified.
        const ONESHOT = libc::EPOLLONESHOT as u32;
        /// Wake one or some of the sets that watch the target, not all. Taken by [`add`] only, and together with
        /// [`IN`](Self::IN), [`OUT`](Self::OUT) and [`ET`](Self::ET) only; anything else is `EINVAL`. Linux 4.5.
        const EXCLUSIVE = 1 << 28;
        /// Keep the system from suspending while a report is being handled. Needs `CAP_BLOCK_SUSPEND`, else ignored.
        const WAKEUP = libc::EPOLLWAKEUP as u32;
    }
}

/// One report of a wait: what the target was registered with, and what it is ready for.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Event(libc::epoll_event);

impl Event {
    const fn new(events: Events, data: u64) -> Self {
        Self(libc::epoll_event {
            events: events.bits(),
            u64: data,
        })
    }

    /// The conditions the target is in.
    #[inline]
    pub const fn events(&self) -> Events {
        Events::from_bits_retain(self.0.events)
    }

    /// The value the target was registered with.
    #[inline]
    pub const fn data(&self) -> u64 {
        self.0.u64
    }
}

impl Default for Event {
    /// An empty place for a wait to write to.
    fn default() -> Self {
        Self::new(Events::empty(), 0)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("events", &self.events())
            .field("data", &self.data())
            .finish()
    }
}

/// Creates an empty set (`epoll_create1`), closed on `exec`.
///
/// # Errors
///
/// `EMFILE`, `ENFILE` and `ENOMEM` at a limit.
pub fn create() -> io::Result<OwnedFd> {
    // SAFETY: takes a flag and returns a descriptor; no memory of ours is involved.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel just gave out this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Registers a target (`EPOLL_CTL_ADD`). Its reports carry `data`.
///
/// # Errors
///
/// `EEXIST` where the target is registered already, `EBADF` where it is closed, `EPERM` where it cannot be watched (a
/// regular file, a directory), `ELOOP` where it is a set that leads back here, `ENOSPC` and `ENOMEM` at a limit. The
/// set is unchanged.
pub fn add(epoll: BorrowedFd<'_>, target: RawFd, events: Events, data: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_ADD, target, Some(Event::new(events, data)))
}

/// Replaces what a registered target was asked (`EPOLL_CTL_MOD`), and rearms a [`Events::ONESHOT`].
///
/// # Errors
///
/// `ENOENT` where the target is not registered, `EBADF` where it is closed, `EINVAL` where the old or the new
/// registration is [`Events::EXCLUSIVE`]. The set is unchanged.
pub fn modify(epoll: BorrowedFd<'_>, target: RawFd, events: Events, data: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_MOD, target, Some(Event::new(events, data)))
}

/// Takes a target out of the set (`EPOLL_CTL_DEL`).
///
/// # Errors
///
/// `ENOENT` where the target is not registered, `EBADF` where it is closed, `EPERM` where it cannot be watched.
pub fn delete(epoll: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_DEL, target, None)
}

fn control(epoll: BorrowedFd<'_>, operation: libc::c_int, target: RawFd, mut event: Option<Event>) -> io::Result<()> {
    let event = event.as_mut().map_or(ptr::null_mut(), |event| &raw mut event.0);
    // SAFETY: `event` is null, as `EPOLL_CTL_DEL` allows, or points to an event that outlives the call. `target` is
    // only looked up in the descriptor table.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, target, event) })?;
    Ok(())
}

/// Waits with a timeout in nanoseconds (`epoll_pwait2`, Linux 5.11). Returns how many of `events`, from the first on,
/// were written.
///
/// The system call is made directly, as C libraries older than the kernel have no function for it.
///
/// # Errors
///
/// `ENOSYS` where the kernel is older, `EPERM` where a sandbox does not know the call, `EINTR` after a signal, `EINVAL`
/// where `events` is empty or `epoll` is something else.
pub fn wait(epoll: BorrowedFd<'_>, events: &mut [Event], timeout: Option<Duration>) -> io::Result<usize> {
    let spec = timeout.map(KernelTimespec::new);
    let spec = spec.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `events` is valid for writes of as many entries as it is said to have, `spec` is null or points to a
    // timespec of the kernel's layout that outlives the call, and a null signal mask needs no size.
    let count = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            max_events(events),
            spec,
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    check(count as libc::c_int).map(|count| count as usize)
}

/// Waits with a timeout in milliseconds, rounded up (`epoll_wait`). Returns how many of `events`, from the first on,
/// were written.
///
/// A timeout of more than `i32::MAX` milliseconds, 24 days, is cut to that.
///
/// # Errors
///
/// `EINTR` after a signal, `EINVAL` where `events` is empty or `epoll` is something else.
pub fn wait_millis(epoll: BorrowedFd<'_>, events: &mut [Event], timeout: Option<Duration>) -> io::Result<usize> {
    let millis = timeout::millis(timeout);
    // SAFETY: `events` is valid for writes of as many entries as it is said to have, and `Event` is transparent.
    let count = unsafe {
        libc::epoll_wait(
            epoll.as_raw_fd(),
            events.as_mut_ptr().cast(),
            max_events(events),
            millis,
        )
    };
    check(count).map(|count| count as usize)
}

fn max_events(events: &[Event]) -> libc::c_int {
    libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX)
}

/// The kernel's own `struct __kernel_timespec`: 64 bits a field on every target, unlike the C library's.
#[repr(C)]
struct KernelTimespec {
    sec: i64,
    nsec: i64,
}

impl KernelTimespec {
    fn new(timeout: Duration) -> Self {
        let timeout = timeout::bounded(timeout);
        Self {
            sec: timeout.as_secs() as i64,
            nsec: i64::from(timeout.subsec_nanos()),
        }
    }
}

const _: () = {
    assert!(size_of::<Event>() == size_of::<libc::epoll_event>());
    assert!(align_of::<Event>() == align_of::<libc::epoll_event>());
    assert!(size_of::<KernelTimespec>() == 16);
};
