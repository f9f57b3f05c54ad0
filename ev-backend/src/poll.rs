//! `poll(2)`.
//!
//! ```text
//!   Poll ── Table ──► Snapshot ── PollWaiter
//!                                  fds: [ pollfd │ pollfd │ … ]     fds[i] is the question about snapshot entry i
//! ```

use std::io;
use std::time::Duration;

use ev_sys::poll::{self, Events, PollFd};

use crate::table::{Snapshot, Table};
use crate::{Backend, Change, Features, Interest, Readiness, Tag, UpdateError, Waiter};

/// Readiness through `poll(2)`: on every system, and for every kind of file.
///
/// The one to use for regular files, which are always ready, and for a handful of descriptors: a wait costs time in
/// proportion to how many are registered.
///
/// # Reports
///
/// `POLLIN` is `READ`, `POLLOUT` is `WRITE`, `POLLRDHUP` is `CLOSED`, `POLLPRI` is `PRIORITY`; `POLLERR`, `POLLHUP` and
/// `POLLNVAL` are `READ | WRITE | ERROR`. A descriptor that its owner closed is `POLLNVAL` in every wait until it is
/// removed. Each wait begins its search at another descriptor, so that none is always the first.
///
/// # Portability
///
/// [`Interest::CLOSED`] on Linux, Android and FreeBSD. Timeouts are counted in nanoseconds, on Apple's systems in
/// milliseconds, rounded up.
#[derive(Debug)]
pub struct Poll {
    table: Table,
}

/// The half of [`Poll`] that sleeps.
#[derive(Debug)]
pub struct PollWaiter {
    snapshot: Snapshot,
    fds: Vec<PollFd>,
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const RDHUP: Events = Events::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const RDHUP: Events = Events::empty();

impl Poll {
    /// What `poll` can do.
    pub const FEATURES: Features = Features::ANY_FILE
        .union(Features::PRIORITY)
        .union(Features::ERROR_ONLY)
        .union(if RDHUP.is_empty() {
            Features::empty()
        } else {
            Features::CLOSED
        });

    /// An empty set of registrations.
    ///
    /// # Errors
    ///
    /// None; the result is that of the other backends' constructors.
    pub fn new() -> io::Result<(Self, PollWaiter)> {
        let waiter = PollWaiter {
            snapshot: Snapshot::default(),
            fds: Vec::new(),
        };
        Ok((
            Self {
                table: Table::default(),
            },
            waiter,
        ))
    }
}

impl Backend for Poll {
    type Waiter = PollWaiter;

    fn name(&self) -> &'static str {
        "poll"
    }

    fn features(&self) -> Features {
        Self::FEATURES
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        change.new.map_or(Ok(()), |new| self.supports(new))?;
        self.table.update(change)
    }

    #[inline(never)]
    fn prepare(&mut self, waiter: &mut PollWaiter) -> io::Result<()> {
        if self.table.hand_over(&mut waiter.snapshot) {
            let entries = waiter.snapshot.entries().iter();
            waiter.fds.clear();
            waiter
                .fds
                .extend(entries.map(|entry| PollFd::new(entry.fd, events(entry.registration.interest))));
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.table.clear();
        Ok(())
    }
}

impl Waiter for PollWaiter {
    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.snapshot.forget();
        let ready = match poll::poll(&mut self.fds, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        Ok(self
            .snapshot
            .collect(ready, |position, _| readiness(self.fds[position].returned())))
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.snapshot.next_report()
    }
}

/// What the kernel is asked for. It reports errors, hang-ups and closed descriptors unasked.
fn events(interest: Interest) -> Events {
    let mut events = Events::empty();
    events.set(Events::IN, interest.contains(Interest::READ));
    events.set(Events::OUT, interest.contains(Interest::WRITE));
    events.set(RDHUP, interest.contains(Interest::CLOSED));
    events.set(Events::PRI, interest.contains(Interest::PRIORITY));
    events
}

/// What the kernel's answer means.
fn readiness(events: Events) -> Readiness {
    let mut readiness = Readiness::empty();
    readiness.set(Readiness::READ, events.contains(Events::IN));
    readiness.set(Readiness::WRITE, events.contains(Events::OUT));
    readiness.set(Readiness::CLOSED, events.intersects(RDHUP));
    readiness.set(Readiness::PRIORITY, events.contains(Events::PRI));
    if events.intersects(Events::ERR | Events::HUP | Events::NVAL) {
        readiness |= Readiness::READ | Readiness::WRITE | Readiness::ERROR;
    }
    readiness
}
