//! `pipe2`: two connected descriptors.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use bitflags::bitflags;
use libc::c_int;

use crate::check;

bitflags! {
    /// Properties of both ends of a new pipe.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct PipeFlags: c_int {
        /// Reads and writes answer `EAGAIN` where they would block.
        const NONBLOCK = libc::O_NONBLOCK;
        /// Both ends close when the process executes another program.
        const CLOEXEC = libc::O_CLOEXEC;
    }
}

/// The two ends of a pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where the bytes come out.
    pub reader: OwnedFd,
    /// Where the bytes go in.
    pub writer: OwnedFd,
}

/// Makes a pipe.
///
/// ```
/// use std::os::fd::AsFd;
/// use ev_sys::{fdio, pipe::{PipeFlags, pipe}};
///
/// let pipe = pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
/// fdio::write(pipe.writer.as_fd(), b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(fdio::read(pipe.reader.as_fd(), &mut buffer)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The kernel's: `EMFILE`, `ENFILE`.
///
/// # Portability
///
/// macOS has no `pipe2`: there the flags are set by further calls, and another thread that forks and executes in
/// between can pass the ends on.
pub fn pipe(flags: PipeFlags) -> io::Result<Pipe> {
    let [reader, writer] = open(flags)?;
    Ok(Pipe { reader, writer })
}

#[cfg(not(target_vendor = "apple"))]
fn open(flags: PipeFlags) -> io::Result<[OwnedFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `pipe2` writes two descriptors, and `ends` has room for two.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags.bits()) })?;
    Ok(ends.map(own))
}

#[cfg(target_vendor = "apple")]
fn open(flags: PipeFlags) -> io::Result<[OwnedFd; 2]> {
    use std::os::fd::AsFd;

    let mut ends = [-1; 2];
    // SAFETY: `pipe` writes two descriptors, and `ends` has room for two.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    let ends = ends.map(own);
    for end in &ends {
        if flags.contains(PipeFlags::NONBLOCK) {
            crate::fdio::set_nonblocking(end.as_fd())?;
        }
        if flags.contains(PipeFlags::CLOEXEC) {
            crate::fdio::set_cloexec(end.as_fd())?;
        }
    }
    Ok(ends)
}

fn own(fd: c_int) -> OwnedFd {
    // SAFETY: the kernel has just opened `fd` for `open`, which passes it here once and keeps no copy.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn flags_reach_both_ends() {
        for flags in [
            PipeFlags::empty(),
            PipeFlags::NONBLOCK,
            PipeFlags::CLOEXEC,
            PipeFlags::all(),
        ] {
            let pipe = pipe(flags).unwrap();
            for end in [&pipe.reader, &pipe.writer] {
                // SAFETY: `F_GETFL` takes no argument.
                let status = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_GETFL) };
                assert_eq!(status & libc::O_NONBLOCK != 0, flags.contains(PipeFlags::NONBLOCK));
                // SAFETY: `F_GETFD` takes no argument.
                let descriptor = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_GETFD) };
                assert_eq!(descriptor & libc::FD_CLOEXEC != 0, flags.contains(PipeFlags::CLOEXEC));
            }
        }
    }
}
