//! The contract between a loop and the mechanism that tells it of readiness.

use std::io;
use std::time::Duration;

use crate::{Change, Features, Readiness, Registration, Tag, UpdateError};

/// The half of a readiness mechanism that is told about descriptors.
///
/// A backend comes with a [`Waiter`], the half that sleeps. They are two values so that a loop shared by threads keeps
/// the backend behind its lock and sleeps in the waiter without it.
///
/// # Contract
///
/// 1. One turn is: any number of [`update`](Self::update)s, one [`prepare`](Self::prepare), one [`Waiter::wait`], and
///    [`Waiter::next_report`] until there is none. Updates may also come, from the thread that holds the backend, while
///    another thread is inside `wait`; they take effect there at once only with [`Features::CONCURRENT`].
/// 2. A report carries the tag of the latest successful update of its descriptor, or, when it was already on its way,
///    an earlier one.
/// 3. A failed update leaves the descriptor registered as it was; its reports may carry the new tag.
/// 4. A backend and its waiter are only used with each other.
/// 5. After `fork`, the child calls [`reset`](Self::reset) and `prepare` before anything else, or drops both halves;
///    neither disturbs the parent.
pub trait Backend {
    /// The half that sleeps.
    type Waiter: Waiter;

    /// A short lower-case name: `"epoll"`, `"poll"`, `"select"`, `"kqueue"`, `"sim"`.
    fn name(&self) -> &'static str;

    /// What this backend can do on this machine.
    fn features(&self) -> Features;

    /// Tells the mechanism of one descriptor's change.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Unsupported`] where this backend cannot do what `new` asks, [`UpdateError::Io`] with the kernel's
    /// error otherwise (`EBADF` for a closed descriptor, `EPERM` where epoll is given a regular file, `ENOSPC` and
    /// `ENOMEM` at a limit). Nothing has changed then. A removal (`new: None`) of a descriptor that the kernel has
    /// already forgotten succeeds.
    fn update(&mut self, change: &Change) -> Result<(), UpdateError>;

    /// Hands the current registrations to the waiter. Called before each wait.
    ///
    /// # Errors
    ///
    /// The kernel's, where handing over needs a system call.
    fn prepare(&mut self, waiter: &mut Self::Waiter) -> io::Result<()>;

    /// Replaces the kernel's object by a new and empty one: in a child after `fork`, and to be rid of registrations
    /// that live on in duplicates of closed descriptors. The caller registers its descriptors anew, with `old: None`.
    ///
    /// # Errors
    ///
    /// The kernel's; the old object is then still in use.
    fn reset(&mut self) -> io::Result<()>;

    /// Whether this backend can do what `registration` asks, by its [`features`](Self::features).
    ///
    /// # Errors
    ///
    /// [`UpdateError::Unsupported`], naming what is missing.
    fn supports(&self, registration: Registration) -> Result<(), UpdateError> {
        UpdateError::check(self.features(), registration)
    }
}

/// The half of a readiness mechanism that sleeps.
pub trait Waiter {
    /// Sleeps until a registered descriptor is ready or `timeout` has passed (`None`: for as long as it takes), and
    /// keeps what became ready for [`next_report`](Self::next_report). Returns the number of reports.
    ///
    /// It never returns before the timeout for want of precision: where the mechanism counts in coarser units, the
    /// timeout is rounded up. It may return early with 0: after a signal (`EINTR` is not retried here, as the loop may
    /// have something to do about the signal), or because the timeout was longer than the mechanism can express.
    ///
    /// # Errors
    ///
    /// The kernel's, `EINTR` excepted. There are no reports then.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize>;

    /// Takes a report of the last wait: a descriptor that was found ready. `None` when all have been taken. The next wait
    /// may forget those that have not been.
    ///
    /// A descriptor is reported at most once a wait by epoll, poll and select; kqueue may report each direction on
    /// its own. Conditions that were not asked for may be included.
    fn next_report(&mut self) -> Option<(Tag, Readiness)>;

    /// Takes all reports of the last wait, and calls `each` for them.
    #[inline]
    fn for_each(&mut self, mut each: impl FnMut(Tag, Readiness)) {
        while let Some((tag, readiness)) = self.next_report() {
            each(tag, readiness);
        }
    }
}
