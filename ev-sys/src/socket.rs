//! What `std::net` leaves out.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Sends `byte` out of band (`send` with `MSG_OOB`): TCP's urgent data, which the peer sees as exceptional data.
///
/// # Errors
///
/// Those of `send`: `EOPNOTSUPP` where the socket has no such thing, `EPIPE` (and no signal) where it is closed.
///
/// # Portability
///
/// On Apple's systems `SIGPIPE` is suppressed by an option of the socket, which `std` sets, not by this call.
pub fn send_out_of_band(socket: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = libc::MSG_OOB | libc::MSG_NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = libc::MSG_OOB;
    // SAFETY: the buffer is one byte long and outlives the call.
    check(unsafe { libc::send(socket.as_raw_fd(), (&raw const byte).cast(), 1, flags) } as libc::c_int)?;
    Ok(())
}
