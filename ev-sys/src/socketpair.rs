//! `socketpair`: two connected Unix sockets.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use bitflags::bitflags;
use libc::c_int;

use crate::check;

/// How a pair of sockets carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A stream of bytes (`SOCK_STREAM`).
    Stream,
    /// Messages (`SOCK_DGRAM`). On Unix sockets none is lost or overtakes another.
    Datagram,
    /// Messages on a connection (`SOCK_SEQPACKET`): the peer's end is seen. macOS has none.
    SeqPacket,
}

bitflags! {
    /// Properties of both sockets of a new pair.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct SocketFlags: u8 {
        /// Calls answer `EAGAIN` where they would block.
        const NONBLOCK = 1 << 0;
        /// Both close when the process executes another program.
        const CLOEXEC = 1 << 1;
    }
}

/// Makes two connected, unnamed Unix sockets.
///
/// ```
/// use std::os::fd::AsFd;
/// use ev_sys::{fdio, socketpair::{SocketFlags, SocketKind, socketpair}};
///
/// let [left, right] = socketpair(SocketKind::Stream, SocketFlags::CLOEXEC)?;
/// fdio::write(left.as_fd(), b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(fdio::read(right.as_fd(), &mut buffer)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The kernel's: `EMFILE`, `ENFILE`; `EPROTONOSUPPORT` and its like where the system lacks the kind.
///
/// # Portability
///
/// On macOS the flags are set by further calls, and another thread that forks and executes in between can pass the
/// sockets on.
pub fn socketpair(kind: SocketKind, flags: SocketFlags) -> io::Result<[OwnedFd; 2]> {
    let kind = match kind {
        SocketKind::Stream => libc::SOCK_STREAM,
        SocketKind::Datagram => libc::SOCK_DGRAM,
        SocketKind::SeqPacket => libc::SOCK_SEQPACKET,
    };
    open(kind, flags)
}

#[cfg(not(target_vendor = "apple"))]
fn open(mut kind: c_int, flags: SocketFlags) -> io::Result<[OwnedFd; 2]> {
    if flags.contains(SocketFlags::NONBLOCK) {
        kind |= libc::SOCK_NONBLOCK;
    }
    if flags.contains(SocketFlags::CLOEXEC) {
        kind |= libc::SOCK_CLOEXEC;
    }
    connected(kind)
}

#[cfg(target_vendor = "apple")]
fn open(kind: c_int, flags: SocketFlags) -> io::Result<[OwnedFd; 2]> {
    use std::os::fd::AsFd;

    let pair = connected(kind)?;
    for socket in &pair {
        if flags.contains(SocketFlags::NONBLOCK) {
            crate::fdio::set_nonblocking(socket.as_fd())?;
        }
        if flags.contains(SocketFlags::CLOEXEC) {
            crate::fdio::set_cloexec(socket.as_fd())?;
        }
    }
    Ok(pair)
}

fn connected(kind: c_int) -> io::Result<[OwnedFd; 2]> {
    let mut pair = [-1; 2];
    // SAFETY: `socketpair` writes two descriptors, and `pair` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    Ok(pair.map(|fd| {
        // SAFETY: the kernel has just opened `fd`, and this is the only place that takes it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::fdio::{read, write};

    #[test]
    fn both_directions() {
        for kind in [SocketKind::Stream, SocketKind::Datagram] {
            let [left, right] = socketpair(kind, SocketFlags::NONBLOCK).unwrap();
            let mut buffer = [0; 8];
            for (from, to) in [(&left, &right), (&right, &left)] {
                assert_eq!(read(to.as_fd(), &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
                assert_eq!(write(from.as_fd(), b"ping").unwrap(), 4);
                assert_eq!(read(to.as_fd(), &mut buffer).unwrap(), 4);
            }
        }
    }

    #[test]
    #[cfg(not(target_vendor = "apple"))]
    fn packets_keep_their_bounds_and_end() {
        let [left, right] = socketpair(SocketKind::SeqPacket, SocketFlags::empty()).unwrap();
        write(left.as_fd(), b"ab").unwrap();
        write(left.as_fd(), b"c").unwrap();
        drop(left);
        let mut buffer = [0; 8];
        assert_eq!(read(right.as_fd(), &mut buffer).unwrap(), 2);
        assert_eq!(read(right.as_fd(), &mut buffer).unwrap(), 1);
        assert_eq!(read(right.as_fd(), &mut buffer).unwrap(), 0);
    }

    #[test]
    fn cloexec_is_set() {
        for (flags, expected) in [(SocketFlags::empty(), 0), (SocketFlags::CLOEXEC, libc::FD_CLOEXEC)] {
            for socket in socketpair(SocketKind::Stream, flags).unwrap() {
                // SAFETY: `F_GETFD` takes no argument.
                assert_eq!(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) }, expected);
            }
        }
    }
}
