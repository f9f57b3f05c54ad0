//! `select(2)`, without its limit of 1,024 descriptors.
//!
//! ```text
//!   Select ── Table ──► Snapshot ── SelectWaiter
//!                                    asked: read, write, except     made from the snapshot when it changed
//!                                    found: read, write, except     a copy, which the kernel overwrites
//! ```

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use ev_sys::select::{FdSet, select};
use ev_sys::{errno, process};

use crate::table::{Snapshot, Table};
use crate::{Backend, Change, Features, Interest, Readiness, Tag, UpdateError, Waiter};

/// Readiness through `select(2)`: on every system, and for every kind of file.
///
/// For systems whose `poll` does not take every descriptor, and as the last resort. A wait costs time in proportion to
/// the highest descriptor. The sets are as long as that needs: there is no limit of 1,024.
///
/// # Reports
///
/// The read set is `READ`, the write set `WRITE`, the exception set `PRIORITY`. Errors and hang-ups are not told apart:
/// they make a descriptor readable and, where writing would fail, writable. A descriptor that its owner closed makes
/// `select` fail with `EBADF`; the waiter then looks for it and reports it as `READ | WRITE | ERROR`, as
/// `Poll` does, in every wait until it is removed. Each wait begins its search at another descriptor, so
/// that none is always the first.
#[derive(Debug)]
pub struct Select {
    table: Table,
}

/// The half of [`Select`] that sleeps.
#[derive(Debug)]
pub struct SelectWaiter {
    snapshot: Snapshot,
    asked: Sets,
    found: Sets,
}

#[derive(Debug, Default)]
struct Sets {
    read: FdSet,
    write: FdSet,
    except: FdSet,
}

impl Select {
    /// What `select` can do.
    pub const FEATURES: Features = Features::ANY_FILE.union(Features::PRIORITY);

    /// An empty set of registrations.
    ///
    /// # Errors
    ///
    /// None; the result is that of the other backends' constructors.
    pub fn new() -> io::Result<(Self, SelectWaiter)> {
        let (asked, found) = (Sets::default(), Sets::default());
        Ok((
            Self {
                table: Table::default(),
            },
            SelectWaiter {
                snapshot: Snapshot::default(),
                asked,
                found,
            },
        ))
    }
}

impl Backend for Select {
    type Waiter = SelectWaiter;

    fn name(&self) -> &'static str {
        "select"
    }

    fn features(&self) -> Features {
        Self::FEATURES
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        change.new.map_or(Ok(()), |new| self.supports(new))?;
        self.table.update(change)
    }

    #[inline(never)]
    fn prepare(&mut self, waiter: &mut SelectWaiter) -> io::Result<()> {
        if self.table.hand_over(&mut waiter.snapshot) {
            waiter.asked.ask(&waiter.snapshot);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.table.clear();
        Ok(())
    }
}

impl Waiter for SelectWaiter {
    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.snapshot.forget();
        self.found.copy_from(&self.asked);
        match self.found.select(timeout) {
            Ok(0) => Ok(0),
            Ok(_) => Ok(self
                .snapshot
                .collect(usize::MAX, |_, entry| self.found.readiness(entry.fd))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.raw_os_error() == Some(errno::EBADF) => self.wait_without_closed(),
            Err(error) => Err(error),
        }
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.snapshot.next_report()
    }
}

impl SelectWaiter {
    /// Reports the closed descriptors, and the others as far as they are ready now.
    fn wait_without_closed(&mut self) -> io::Result<usize> {
        let mut closed = FdSet::new();
        self.found.copy_from(&self.asked);
        for entry in self
            .snapshot
            .entries()
            .iter()
            .filter(|entry| !process::is_open(entry.fd))
        {
            closed.insert(entry.fd);
            self.found.remove(entry.fd);
        }
        match self.found.select(Some(Duration::ZERO)) {
            Ok(_) => {}
            // One more was closed, or a signal came: the closed ones are news enough, the rest is for the next wait.
            Err(error) if matches!(error.raw_os_error(), Some(errno::EBADF | errno::EINTR)) => self.found.clear(),
            Err(error) => return Err(error),
        }
        Ok(self.snapshot.collect(usize::MAX, |_, entry| {
            if closed.contains(entry.fd) {
                Readiness::READ | Readiness::WRITE | Readiness::ERROR
            } else {
                self.found.readiness(entry.fd)
            }
        }))
    }
}

impl Sets {
    /// Fills the sets with what the entries are registered for. They are as long as the highest descriptor needs.
    fn ask(&mut self, snapshot: &Snapshot) {
        self.clear();
        for entry in snapshot.entries() {
            let interest = entry.registration.interest;
            if interest.contains(Interest::READ) {
                self.read.insert(entry.fd);
            }
            if interest.contains(Interest::WRITE) {
                self.write.insert(entry.fd);
            }
            if interest.contains(Interest::PRIORITY) {
                self.except.insert(entry.fd);
            }
        }
    }

    fn select(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        select(&mut self.read, &mut self.write, &mut self.except, timeout)
    }

    fn readiness(&self, fd: RawFd) -> Readiness {
        let mut readiness = Readiness::empty();
        readiness.set(Readiness::READ, self.read.contains(fd));
        readiness.set(Readiness::WRITE, self.write.contains(fd));
        readiness.set(Readiness::PRIORITY, self.except.contains(fd));
        readiness
    }

    fn copy_from(&mut self, other: &Self) {
        self.read.copy_from(&other.read);
        self.write.copy_from(&other.write);
        self.except.copy_from(&other.except);
    }

    fn remove(&mut self, fd: RawFd) {
        self.read.remove(fd);
        self.write.remove(fd);
        self.except.remove(fd);
    }

    fn clear(&mut self) {
        self.read.clear();
        self.write.clear();
        self.except.clear();
    }
}
