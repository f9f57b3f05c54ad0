//! `signalfd`: pending signals, read from a descriptor.
//!
//! The descriptor is readable while a signal of its set is pending for the thread that asks: sent to that thread, or to
//! the process. The set does not hold signals off; unless every thread that could take one does ([`signal::block`]), it
//! goes to its action and is never read.
//!
//! ```
//! use std::os::fd::AsFd;
//! use ev_sys::signal::{self, SigSet};
//! use ev_sys::signalfd::{self, Record, SignalFdFlags};
//!
//! let set = SigSet::of([libc::SIGUSR1])?;
//! signal::block(&set);
//! let fd = signalfd::create(&set, SignalFdFlags::NONBLOCK | SignalFdFlags::CLOEXEC)?;
//! signal::raise(libc::SIGUSR1)?;
//!
//! let mut records = [Record::default(); 4];
//! assert_eq!(signalfd::read(fd.as_fd(), &mut records)?, 1);
//! assert_eq!(records[0].signal(), libc::SIGUSR1);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Portability
//!
//! Linux and Android.
//!
//! [`signal::block`]: crate::signal::block

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use bitflags::bitflags;
use libc::c_int;

use crate::signal::SigSet;
use crate::{check, check_count};

bitflags! {
    /// Properties of a new signalfd.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct SignalFdFlags: c_int {
        /// [`read`] answers `EAGAIN` where it would block.
        const NONBLOCK = libc::SFD_NONBLOCK;
        /// Closes when the process executes another program.
        const CLOEXEC = libc::SFD_CLOEXEC;
    }
}

/// What the kernel tells of one signal (`struct signalfd_siginfo`).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Record(libc::signalfd_siginfo);

impl Record {
    /// The signal's number; 0 in a record that nothing was read into.
    pub fn signal(&self) -> c_int {
        self.0.ssi_signo as c_int
    }
}

impl Default for Record {
    fn default() -> Self {
        // SAFETY: `struct signalfd_siginfo` is integers: all zeroes is valid.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("signal", &self.signal())
            .finish_non_exhaustive()
    }
}

/// Makes a descriptor that the signals of `set` are read from. `SIGKILL` and `SIGSTOP` in it are passed over.
///
/// # Errors
///
/// The kernel's: `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create(set: &SigSet, flags: SignalFdFlags) -> io::Result<OwnedFd> {
    // SAFETY: -1 asks for a new descriptor; the set was initialised by its constructor and outlives the call.
    let fd = check(unsafe { libc::signalfd(-1, set.as_ptr(), flags.bits()) })?;
    // SAFETY: the kernel has just opened `fd`, and no one else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the signals of `set`, and no others, those that are read from `fd`. The descriptor stays the same; who waits
/// for it is woken if one of them is pending.
///
/// The set belongs to the open file: a child that inherited it changes it for its parent as well.
///
/// # Errors
///
/// `EINVAL` where `fd` is something else. The set has not changed.
pub fn set(fd: BorrowedFd<'_>, set: &SigSet) -> io::Result<()> {
    // SAFETY: `fd` is open by `BorrowedFd`'s promise; the set was initialised by its constructor and outlives the call.
    check(unsafe { libc::signalfd(fd.as_raw_fd(), set.as_ptr(), 0) }).map(drop)
}

/// Takes pending signals, those of the calling thread before those of the process. Returns how many records came, at
/// least one; fewer than there was room for means that there are no more.
///
/// # Errors
///
/// The kernel's: `EINVAL` if `records` is empty or `fd` is something else. `EINTR` is not retried; a descriptor that
/// does not block answers [`io::ErrorKind::WouldBlock`]. Nothing was taken.
pub fn read(fd: BorrowedFd<'_>, records: &mut [Record]) -> io::Result<usize> {
    let size = size_of_val(records);
    // SAFETY: `fd` is open by `BorrowedFd`'s promise. The exclusive slice is valid for writes of its own size, and a
    // `Record` is integers, for which all bytes are valid.
    let n = unsafe { libc::read(fd.as_raw_fd(), records.as_mut_ptr().cast(), size) };
    Ok(check_count(n)? / size_of::<Record>())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::thread;

    use super::*;
    use crate::signal::{self, raise};

    fn set_of(signals: &[c_int]) -> SigSet {
        SigSet::of(signals.iter().copied()).unwrap()
    }

    fn taken(fd: &OwnedFd) -> Vec<c_int> {
        let mut records = [Record::default(); 8];
        match read(fd.as_fd(), &mut records) {
            Ok(n) => {
                assert!(n > 0 && records[n..].iter().all(|record| record.signal() == 0));
                records[..n].iter().map(Record::signal).collect()
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                Vec::new()
            }
        }
    }

    /// Runs `body` in a thread of its own that holds the signals off: both the mask and what is pending are the thread's.
    fn holding_off(signals: &[c_int], body: impl FnOnce() + Send) {
        thread::scope(|scope| {
            scope.spawn(|| {
                signal::block(&set_of(signals));
                body();
            });
        });
    }

    #[test]
    fn a_record_has_the_kernels_size() {
        assert_eq!(size_of::<Record>(), 128);
    }

    #[test]
    fn pending_signals_are_read() {
        let real_time = libc::SIGRTMIN() + 2;
        holding_off(&[libc::SIGUSR1, libc::SIGUSR2, real_time], || {
            let fd = create(&set_of(&[libc::SIGUSR1, real_time]), SignalFdFlags::NONBLOCK).unwrap();
            assert_eq!(taken(&fd), []);
            for signal in [real_time, libc::SIGUSR2, libc::SIGUSR1, libc::SIGUSR1, real_time] {
                raise(signal).unwrap();
            }
            assert_eq!(taken(&fd), [libc::SIGUSR1, real_time, real_time]);
            assert_eq!(taken(&fd), []);
            // What is not in the set stays pending, until it is.
            set(fd.as_fd(), &set_of(&[libc::SIGUSR2])).unwrap();
            raise(libc::SIGUSR1).unwrap();
            assert_eq!(taken(&fd), [libc::SIGUSR2]);
            assert_eq!(taken(&fd), []);
        });
    }

    #[test]
    fn flags_are_set() {
        for flags in [
            SignalFdFlags::empty(),
            SignalFdFlags::NONBLOCK,
            SignalFdFlags::CLOEXEC,
            SignalFdFlags::all(),
        ] {
            let fd = create(&SigSet::empty(), flags).unwrap();
            // SAFETY: `F_GETFL` takes no argument.
            let status = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
            assert_eq!(status & libc::O_NONBLOCK != 0, flags.contains(SignalFdFlags::NONBLOCK));
            // SAFETY: `F_GETFD` takes no argument.
            let descriptor = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(
                descriptor & libc::FD_CLOEXEC != 0,
                flags.contains(SignalFdFlags::CLOEXEC)
            );
        }
    }

    #[test]
    fn wrong_use_is_an_error() {
        let fd = create(&SigSet::full(), SignalFdFlags::NONBLOCK).unwrap();
        assert_eq!(read(fd.as_fd(), &mut []).unwrap_err().kind(), ErrorKind::InvalidInput);
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(
            set(reader.as_fd(), &SigSet::empty()).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
