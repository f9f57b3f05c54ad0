//! A gate and a notifier put together.

use std::io;

use crate::{Gate, Notifier, Wake};

/// What handles of a loop share to wake it: a [`Gate`] and the [`Notifier`] behind it.
///
/// The loop and its handles hold it in an `Arc`. A handle leaves its work where the loop looks, a
/// [`Mailbox`](crate::Mailbox) for example, and calls [`wake`](Self::wake). The loop turns like this:
///
/// ```
/// use std::os::fd::AsFd;
/// use ev_thread::{Admission, Mailbox, Waker};
/// # use ev_sys::poll::{PollFd, PollEvents};
/// # use std::time::Duration;
/// # fn wait_readable(fd: std::os::fd::BorrowedFd<'_>, timeout: Option<Duration>) -> bool { unimplemented!() }
///
/// fn turn(waker: &Waker, mailbox: &Mailbox<String>, inbox: &mut Vec<String>) -> std::io::Result<()> {
///     let timeout = match waker.gate().begin_wait(None) {
///         Admission::Sleep => None,
///         Admission::Notified => Some(Duration::ZERO),
///     };
///     let readable = wait_readable(waker.notifier().as_fd(), timeout);
///     let _ = waker.gate().end_wait();
///     if readable {
///         waker.notifier().drain()?;
///     }
///     mailbox.take_all(inbox);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Waker {
    gate: Gate,
    notifier: Notifier,
}

impl Waker {
    /// A waker for a loop that is awake, or not running yet.
    ///
    /// # Errors
    ///
    /// Those of [`Notifier::new`].
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_notifier(Notifier::new()?))
    }

    /// A waker that wakes by `notifier`.
    pub fn with_notifier(notifier: Notifier) -> Self {
        Self {
            gate: Gate::new(),
            notifier,
        }
    }

    /// Makes the loop look at what was left for it, and wakes it if it sleeps.
    ///
    /// Waking a loop that is awake, does not run or was woken already is one atomic operation.
    ///
    /// # Errors
    ///
    /// Those of [`Notifier::notify`]. The loop then sleeps on, and looks when something else wakes it.
    #[inline]
    pub fn wake(&self) -> io::Result<()> {
        self.write(self.gate.notify())
    }

    /// Makes the loop look at what was left for it not later than at the time `deadline`, and wakes it if it would
    /// sleep longer. See [`Gate::notify_before`].
    ///
    /// # Errors
    ///
    /// As for [`wake`](Self::wake).
    #[inline]
    pub fn wake_before(&self, deadline: u64) -> io::Result<()> {
        self.write(self.gate.notify_before(deadline))
    }

    #[inline]
    fn write(&self, wake: Wake) -> io::Result<()> {
        match wake {
            Wake::Write => self.notifier.notify(),
            Wake::Nothing => Ok(()),
        }
    }

    /// The gate, for the loop to pass before and after its wait.
    #[inline]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The notifier, for the loop to register and drain, and to renew in a child after `fork`.
    #[inline]
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }
}
