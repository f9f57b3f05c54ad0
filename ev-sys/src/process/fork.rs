//! `fork`, and the child's end.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::check;

/// In which of two processes [`fork`] has returned.
#[derive(Debug)]
pub enum Fork {
    /// The one that called it.
    Parent(Child),
    /// The new one.
    Child,
}

/// A process made by [`fork`]. Dropping this does not end it; one that is not waited for stays in the process table.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
}

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
    pub fn wait(self) -> io::Result<ExitStatus> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is valid for a write.
            match check(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }) {
                Ok(_) => return Ok(ExitStatus::from_raw(status)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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
/// # Safety
///
/// Memory is copied but for what is mapped to be shared (`MAP_SHARED`): that is one and the same in both processes
/// afterwards, and so is what the kernel does in it, such as the rings of `io_uring`. What is in such memory must bear to
/// be used by both, or one of the two processes does not touch it, nor drop what owns it.
///
/// # Portability
///
/// Linux and Android, which can tell the number of threads (`/proc/self/task`).
pub unsafe fn fork() -> io::Result<Fork> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    // SAFETY: this thread is the only one, so the child inherits no lock and no data that another one was changing; what
    // both processes can change is the caller's affair, by the function's contract.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Child { pid })),
    }
}
