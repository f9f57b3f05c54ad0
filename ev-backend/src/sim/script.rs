//! What the test holds.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use ev_sys::pipe::{PipeFlags, pipe};

use super::clock::{Pace, VirtualClock};
use super::world::Shared;
use crate::Readiness;

/// The test's handle on a simulation: it says what becomes ready when, what fails, and how time passes.
///
/// Any thread may use it at any time; a wait that sleeps takes notice.
///
/// # Readiness
///
/// Readiness is a level: it stays until it is set anew, and the empty set ends it. Registrations see of it what they ask
/// for. [`Readiness::ERROR`] is seen by all of them, as `READ | WRITE | ERROR`, like an error or a hang-up.
///
/// At [`Pace::Jump`] time stands still while anything is ready. Code that would read until nothing is left has to say so:
/// give its callback a clone of the script, to [`set`](Self::set) the descriptor empty. Otherwise it is called at the same
/// time for ever, until the wait fails with [`Standstill`](super::Standstill).
///
/// | mode | reports |
/// |---|---|
/// | `Level`, `Exclusive` | in every wait, while something asked for is ready |
/// | `Edge` | once after each update, and once after each change that brings something new |
/// | `OneShot` | once after each update |
///
/// Setting the same readiness again is new, like more data; only taking some away is not. Several changes between two
/// waits are one: what is reported is the last.
///
/// # Which descriptors
///
/// The methods take numbers, because the code under test owns the descriptor. Naming a number makes it scripted from its
/// next registration on. It need not be open, and better is not: a number beyond what the process opens, such as
/// 1,000,000, meets no other descriptor.
#[derive(Clone, Debug)]
pub struct Script {
    shared: Arc<Shared>,
    clock: VirtualClock,
}

impl Script {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let clock = VirtualClock::new(Arc::clone(&shared));
        Self { shared, clock }
    }

    /// The simulation's clock.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// Chooses how time passes in waits; [`Pace::Jump`] at first.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.lock().set_pace(pace);
    }

    /// Blocks until a wait sleeps, after all that the script has said before. Then the code under test has dealt with that,
    /// and has computed how long to wait: time can be [moved](VirtualClock::advance) without a deadline being missed.
    ///
    /// At [`Pace::Jump`] a wait sleeps only where a real descriptor is registered and nothing lies ahead; one that never
    /// sleeps lets this hang.
    pub fn await_sleep(&self) {
        self.shared.await_sleep();
    }

    /// A descriptor to be owned by the code under test. It is scripted, and not ready yet.
    ///
    /// # Errors
    ///
    /// The kernel's, for want of descriptors.
    pub fn source(&self) -> io::Result<Source> {
        let fd = pipe(PipeFlags::CLOEXEC)?.reader;
        self.set(fd.as_raw_fd(), Readiness::empty());
        Ok(Source {
            shared: Arc::clone(&self.shared),
            fd,
        })
    }

    /// The descriptor has this readiness from now on, until it is set anew.
    pub fn set(&self, fd: RawFd, readiness: Readiness) {
        self.shared.lock().set(fd, readiness);
    }

    /// Announces a readiness for `time` by the [clock](Self::clock), in nanoseconds. One that has passed means the next
    /// wait. Announcements for the same time take effect in the order in which they were made.
    pub fn at(&self, time: u64, fd: RawFd, readiness: Readiness) {
        self.shared.lock().announce(time, fd, readiness);
    }

    /// Announces a readiness for a time from now.
    pub fn after(&self, duration: Duration, fd: RawFd, readiness: Readiness) {
        let mut world = self.shared.lock();
        let time = world.time_after(duration);
        world.announce(time, fd, readiness);
    }

    /// Forgets a descriptor, its registration and what was announced for it, as a kernel does when it is closed. The
    /// number is real from its next registration on. A [`Source`] does this when it is dropped.
    pub fn forget(&self, fd: RawFd) {
        self.shared.lock().forget(fd);
    }

    /// Lets the next update of the descriptor, be it scripted or real, fail with this error. An update that is a removal
    /// fails too. [Forgetting](Self::forget) the descriptor takes this back.
    ///
    /// A loop makes fewer updates than a program asks of it: what an event changes after it was inserted reaches the
    /// backend at the next wait, and not at all if it cancels out, as deleting and adding does. The refusal is kept for
    /// the next update that is made.
    ///
    /// ```
    /// # let (_sim, _waiter, script) = ev_backend::sim::Sim::new(0)?;
    /// script.refuse(1_000_000, std::io::ErrorKind::OutOfMemory);
    /// script.refuse(1_000_001, std::io::Error::from_raw_os_error(28)); // ENOSPC
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn refuse(&self, fd: RawFd, error: impl Into<io::Error>) {
        self.shared.lock().refuse(fd, error.into());
    }

    /// Lets the next wait, or one that sleeps now, fail with this error before it reports anything. With
    /// [`Interrupted`](io::ErrorKind::Interrupted) it returns early with 0, as after a signal.
    pub fn fail_wait(&self, error: impl Into<io::Error>) {
        self.shared.lock().fail_wait(error.into());
    }
}

/// A scripted descriptor that the code under test can own.
///
/// It is open, so that its number is nobody else's, but there is nothing in it: its readiness is the script's. Note its
/// number ([`AsRawFd`]) before handing it over.
#[derive(Debug)]
pub struct Source {
    shared: Arc<Shared>,
    /// The reading end of a pipe without a writer.
    fd: OwnedFd,
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for Source {
    /// The number may be a real descriptor's next.
    fn drop(&mut self) {
        self.shared.lock().forget(self.fd.as_raw_fd());
    }
}
