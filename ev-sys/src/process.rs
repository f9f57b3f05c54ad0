//! What `std::process` leaves out.

use std::io;
use std::os::fd::RawFd;

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
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for a write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    #[allow(clippy::unnecessary_cast, reason = "the type is signed on FreeBSD")]
    Ok(limit.rlim_cur as u64)
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
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for a write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = soft as libc::rlim_t;
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(())
}

/// In which of two processes [`fork`] has returned.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub enum Fork {
    /// The one that called it.
    Parent(Child),
    /// The new one.
    Child,
}

/// A process made by [`fork`]. Dropping this does not end it; one that is not waited for stays in the process table.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Child {
    /// Its process number.
    pub fn id(&self) -> u32 {
        self.pid as u32
    }

    /// Waits until it ends (`waitpid`). `EINTR` is retried.
    ///
    /// # Errors
    ///
    /// The kernel's: `ECHILD` if somebody else has waited for it.
    pub fn wait(self) -> io::Result<std::process::ExitStatus> {
        use std::os::unix::process::ExitStatusExt;

        let mut status = 0;
        loop {
            // SAFETY: `status` is valid for a write.
            match check(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }) {
                Ok(_) => return Ok(std::process::ExitStatus::from_raw(status)),
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes a copy of this process, which must have one thread only.
///
/// For daemons before they start threads, and for tests of what survives a `fork`. To start another program, use
/// [`std::process::Command`].
///
/// # Errors
///
/// The kernel's: `EAGAIN`, `ENOMEM`; [`io::ErrorKind::ResourceBusy`] in a process of several threads, where the child
/// could do next to nothing, as locks that other threads hold would stay locked in it for ever.
///
/// # Portability
///
/// Linux and Android, which can tell the number of threads (`/proc/self/task`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    // SAFETY: this thread is the only one, so the child inherits no lock and no data that another one was changing; with
    // that it may do everything that the parent may.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Child { pid })),
    }
}
