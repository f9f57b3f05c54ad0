//! What `std::process` leaves out.

use std::io;
use std::os::fd::RawFd;

use crate::check;

/// Whether the process has rights that the user who started it lacks (set-user-id, set-group-id, file capabilities), so
/// that its environment must not steer it.
///
/// # Portability
///
/// `getauxval(AT_SECURE)` on Linux and Android, `issetugid` elsewhere.
pub fn is_privileged() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: reads a number from the vector that the kernel passed at start.
        let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
        secure != 0
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        // SAFETY: takes nothing and cannot fail.
        let tainted = unsafe { libc::issetugid() };
        tainted != 0
    }
}

/// Raises the limit on open descriptors as far as an unprivileged process may (`RLIMIT_NOFILE`), and returns it.
///
/// The usual soft limit, 1,024, protects C programs that use `select` with its fixed sets; a server raises it when it
/// starts. Child processes inherit the limit.
///
/// # Errors
///
/// The kernel's; Apple's systems refuse some values between the soft and the hard limit. The limit is unchanged.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for a write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur as u64)
}

/// Whether `fd` is an open descriptor of this process (`fcntl` with `F_GETFD`).
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: looks the number up in the descriptor table; there is no memory to touch.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}
