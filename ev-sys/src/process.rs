//! What `std::process` leaves out.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod fork;

use std::io;
use std::os::fd::RawFd;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use self::fork::{Child, Fork, fork};
use crate::check;
use crate::signal::{ActionFlags, NewAction, SigSet};

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

/// Whether `fd` is an open descriptor of this process (`fcntl` with `F_GETFD`).
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: looks the number up in the descriptor table; there is no memory to touch.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
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
    limit_descriptors(|most| most)
}

/// Gives `signal` a handler that does nothing: the signal then ends a system call that waits with `EINTR`, and has no
/// other effect.
///
/// # Errors
///
/// `EINVAL` where there is no such signal, or none that the process may act on. Nothing has changed.
pub fn interrupt_on(signal: libc::c_int) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a function of this crate that does nothing.
    let action = unsafe { NewAction::handler(nothing, ActionFlags::empty(), &SigSet::empty()) };
    action.install(signal).map(drop)
}

/// Sets the soft limit on open descriptors (`RLIMIT_NOFILE`). What is open stays open, also where it is above the limit;
/// opening more then fails with `EMFILE`.
///
/// For tests of what a program does without descriptors.
///
/// # Errors
///
/// The kernel's: `EINVAL` above the hard limit. The limit is unchanged.
pub fn set_descriptor_limit(soft: u64) -> io::Result<()> {
    limit_descriptors(|_| soft as libc::rlim_t).map(drop)
}

/// Sets the soft limit on open descriptors, given the hard one, and returns it.
fn limit_descriptors(soft: impl FnOnce(libc::rlim_t) -> libc::rlim_t) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for a write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = soft(limit.rlim_max);
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    #[allow(clippy::unnecessary_cast, reason = "the type is signed on FreeBSD")]
    Ok(limit.rlim_cur as u64)
}
