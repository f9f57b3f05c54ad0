//! A gate and a notifier put together.

use std::io;

use crate::{Gate, Notifier, Wake};

/// What handles of a loop share to wake it: a [`Gate`] and the [`Notifier`] behind it.
///
/// The loop and its handles hold it in an `Arc`. A handle leaves its work where the loop looks, in a
/// [`Mailbox`](crate::Mailbox) for example, and calls [`wake`](Self::wake). The loop goes through the
/// [`gate`](Self::gate) around each wait, and drains the [`notifier`](Self::notifier) when its backend reports it
/// readable; the [crate's documentation](crate) shows how.
///
/// ```
/// use ev_thread::{Admission, Waker, Woken};
///
/// let waker = Waker::new()?;
/// assert_eq!(waker.gate().begin_wait(None), Admission::Sleep);
/// waker.wake()?; // writes
/// waker.wake()?; // does not
/// assert_eq!(waker.gate().end_wait(), Woken::Notified);
/// waker.notifier().drain()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Forks
///
/// In a child, [`Notifier::renew`] is all that is needed, before the child starts threads: a gate that was inherited in
/// the midst of a sleep or with a notification makes the child's first wait a short one.
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
    /// Those of [`Notifier::notify`]. The loop then sleeps on until something else ends its wait, and until then no further
    /// call writes either: to try again, notify the [notifier](Self::notifier).
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use ev_sys::poll::{Events, PollFd, poll};

    use super::*;
    use crate::Admission;

    /// Whether the notifier is readable within `timeout`.
    fn wait(waker: &Waker, timeout: Option<Duration>) -> bool {
        let fd = waker.notifier().as_fd().as_raw_fd();
        poll(&mut [PollFd::new(fd, Events::IN)], timeout).unwrap() == 1
    }

    #[test]
    fn only_a_sleeper_is_written_to() {
        let waker = Waker::new().unwrap();
        let readable = || wait(&waker, Some(Duration::ZERO));
        waker.wake().unwrap();
        waker.wake_before(0).unwrap();
        assert!(!readable());
        assert_eq!(waker.gate().begin_wait(Some(100)), Admission::Notified);
        let _ = waker.gate().end_wait();
        assert_eq!(waker.gate().begin_wait(Some(100)), Admission::Sleep);
        waker.wake_before(200).unwrap();
        assert!(!readable());
        waker.wake_before(50).unwrap();
        assert!(readable());
        waker.notifier().drain().unwrap();
        waker.wake().unwrap();
        assert!(!readable());
    }

    #[test]
    fn a_loop_that_sleeps_for_ever_hears_of_everything() {
        const POSTERS: u64 = 4;
        const EACH: u64 = 20_000;
        let waker = Waker::with_notifier(Notifier::with_pipe().unwrap());
        let posted = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..POSTERS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        posted.fetch_add(1, Ordering::Relaxed);
                        waker.wake().unwrap();
                    }
                });
            }
            while posted.load(Ordering::Relaxed) < POSTERS * EACH {
                let timeout = match waker.gate().begin_wait(None) {
                    Admission::Sleep => Duration::from_mins(1),
                    Admission::Notified => Duration::ZERO,
                };
                if wait(&waker, Some(timeout)) {
                    waker.notifier().drain().unwrap();
                } else {
                    assert_eq!(timeout, Duration::ZERO, "a wake-up was lost");
                }
                let _ = waker.gate().end_wait();
            }
        });
    }
}
