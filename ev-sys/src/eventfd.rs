//! `eventfd`: a 64-bit counter in the kernel that can be waited for.
//!
//! # Portability
//!
//! Linux, Android, FreeBSD from 13 on, NetBSD from 10 on.

#![cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
))]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use bitflags::bitflags;
use libc::{c_int, c_uint};

use crate::{check, fdio};

bitflags! {
    /// Properties of a new eventfd.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct EventFdFlags: c_int {
        /// [`take`] and [`add`] answer `EAGAIN` where they would block.
        const NONBLOCK = libc::EFD_NONBLOCK;
        /// Closes when the process executes another program.
        const CLOEXEC = libc::EFD_CLOEXEC;
        /// [`take`] takes 1 at a time instead of the whole count.
        const SEMAPHORE = libc::EFD_SEMAPHORE;
    }
}

/// Makes an eventfd whose count is `initial`. It is readable while the count is not 0.
///
/// ```
/// use std::os::fd::AsFd;
/// use ev_sys::eventfd::{self, EventFdFlags};
///
/// let counter = eventfd::create(2, EventFdFlags::NONBLOCK | EventFdFlags::CLOEXEC)?;
/// eventfd::add(counter.as_fd(), 3)?;
/// assert_eq!(eventfd::take(counter.as_fd())?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The kernel's: `EMFILE`, `ENFILE`, `ENOSYS` where the system has none.
pub fn create(initial: c_uint, flags: EventFdFlags) -> io::Result<OwnedFd> {
    // SAFETY: `eventfd` takes two integers and touches no memory of ours.
    let fd = check(unsafe { libc::eventfd(initial, flags.bits()) })?;
    // SAFETY: the kernel has just opened `fd`, and no one else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds `n` to the count.
///
/// # Errors
///
/// The kernel's: `EAGAIN` where the count would pass `u64::MAX - 1` (it has not changed then), `EINVAL` if `n` is
/// `u64::MAX` or `fd` is no eventfd but of a kind that cannot be written.
#[inline]
pub fn add(fd: BorrowedFd<'_>, n: u64) -> io::Result<()> {
    // The kernel takes all 8 bytes or none.
    fdio::write(fd, &n.to_ne_bytes()).map(drop)
}

/// Takes the count and sets it to 0; with [`EventFdFlags::SEMAPHORE`] takes 1.
///
/// # Errors
///
/// The kernel's: `EAGAIN` where the count is 0.
#[inline]
pub fn take(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count = [0; 8];
    // The kernel gives all 8 bytes or none.
    fdio::read(fd, &mut count)?;
    Ok(u64::from_ne_bytes(count))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn counts() {
        let fd = create(0, EventFdFlags::NONBLOCK).unwrap();
        let fd = fd.as_fd();
        assert_eq!(take(fd).unwrap_err().kind(), ErrorKind::WouldBlock);
        add(fd, 3).unwrap();
        add(fd, 4).unwrap();
        assert_eq!(take(fd).unwrap(), 7);
        assert_eq!(take(fd).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn refuses_to_overflow() {
        let fd = create(1, EventFdFlags::NONBLOCK).unwrap();
        let fd = fd.as_fd();
        assert_eq!(add(fd, u64::MAX - 1).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(take(fd).unwrap(), 1);
        add(fd, u64::MAX - 1).unwrap();
        assert_eq!(add(fd, 1).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(add(fd, u64::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn semaphore_takes_one() {
        let fd = create(2, EventFdFlags::NONBLOCK | EventFdFlags::SEMAPHORE).unwrap();
        assert_eq!(take(fd.as_fd()).unwrap(), 1);
        assert_eq!(take(fd.as_fd()).unwrap(), 1);
        assert_eq!(take(fd.as_fd()).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
