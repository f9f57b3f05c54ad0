//! Registrations kept in user space, for mechanisms whose kernel forgets them between waits.
//!
//! ```text
//!   Table (the backend's)                            Snapshot (the waiter's own)
//!     index by descriptor: [ – │ 1 │ – │ 0 │ … ]        entries: the armed ones, copied when the table changed
//!     entries:  [ 0: fd 3, tag, … │ 1: fd 1, … ]        spent:   one-shots reported since, for the table to disarm
//!     version:  + 1 with every change                   version: of the table, when it was copied
//! ```
//!
//! The waiter sleeps on its own copy, so that the table may change meanwhile. A one-shot registration is disarmed in
//! two steps: the waiter notes it as spent when it reports it, and the table disarms it at the next handing over,
//! unless an update has given the entry a newer version, which is to rearm it.
//!
//! # Invariants
//!
//! 1. `index[entries[i].fd] == i`; every other place of the index is [`ABSENT`].
//! 2. The entries' versions differ from each other, and none is greater than the table's.

use std::io;
use std::os::fd::RawFd;

use ev_sys::{errno, process};

use crate::{Change, Mode, Readiness, Registration, Tag, UpdateError};

const ABSENT: u32 = u32::MAX;

/// The backend's half.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    index: Vec<u32>,
    version: u64,
}

/// A registered descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) fd: RawFd,
    pub(crate) registration: Registration,
    tag: Tag,
    /// The table's version when this entry was last updated.
    version: u64,
    /// False once a one-shot has been reported.
    armed: bool,
}

/// The waiter's half.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    entries: Vec<Entry>,
    spent: Vec<(RawFd, u64)>,
    reports: Vec<(Tag, Readiness)>,
    version: u64,
    /// Where the next collection begins, so that no descriptor is always served first.
    start: usize,
}

impl Table {
    /// Applies a change that the backend supports.
    ///
    /// A closed descriptor is refused here, as epoll refuses it. This also bounds the index by the limit on open
    /// descriptors.
    pub(crate) fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        match change.new {
            None => self.remove(change.fd),
            Some(_) if !process::is_open(change.fd) => return Err(io::Error::from_raw_os_error(errno::EBADF).into()),
            Some(registration) => self.set(change.fd, change.tag, registration),
        }
        Ok(())
    }

    /// Forgets every entry, but not the version: a waiter sees that it changed.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
        self.version += 1;
    }

    /// Disarms what the waiter has spent, and brings its copy up to date. Returns whether that changed it.
    pub(crate) fn hand_over(&mut self, snapshot: &mut Snapshot) -> bool {
        for (fd, version) in snapshot.spent.drain(..) {
            self.disarm(fd, version);
        }
        if snapshot.version == self.version {
            return false;
        }
        snapshot.entries.clear();
        snapshot.entries.extend(self.entries.iter().filter(|entry| entry.armed));
        snapshot.version = self.version;
        true
    }

    fn position(&self, fd: RawFd) -> Option<usize> {
        let slot = usize::try_from(fd).ok()?;
        let position = *self.index.get(slot)?;
        (position != ABSENT).then_some(position as usize)
    }

    fn set(&mut self, fd: RawFd, tag: Tag, registration: Registration) {
        self.version += 1;
        let entry = Entry {
            fd,
            registration,
            tag,
            version: self.version,
            armed: true,
        };
        if let Some(position) = self.position(fd) {
            self.entries[position] = entry;
            return;
        }
        let slot = fd as usize;
        if slot >= self.index.len() {
            self.index.resize(slot + 1, ABSENT);
        }
        self.index[slot] = self.entries.len() as u32;
        self.entries.push(entry);
    }

    fn remove(&mut self, fd: RawFd) {
        let Some(position) = self.position(fd) else { return };
        self.version += 1;
        self.index[fd as usize] = ABSENT;
        self.entries.swap_remove(position);
        if let Some(moved) = self.entries.get(position) {
            self.index[moved.fd as usize] = position as u32;
        }
    }

    fn disarm(&mut self, fd: RawFd, version: u64) {
        if let Some(position) = self.position(fd)
            && self.entries[position].version == version
        {
            self.entries[position].armed = false;
            self.version += 1;
        }
    }
}

impl Snapshot {
    /// The armed entries, in an order that holds until the next handing over.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Drops the reports of the last wait.
    pub(crate) fn forget(&mut self) {
        self.reports.clear();
    }

    /// Keeps a report for every entry that `look`, given its position, finds in some condition, until there are `most`
    /// of them. Returns their number.
    pub(crate) fn collect(&mut self, most: usize, mut look: impl FnMut(usize, &Entry) -> Readiness) -> usize {
        self.reports.clear();
        self.start = if self.start < self.entries.len() { self.start } else { 0 };
        for position in (self.start..self.entries.len()).chain(0..self.start) {
            if self.reports.len() == most {
                break;
            }
            let entry = &self.entries[position];
            let readiness = look(position, entry);
            if readiness.is_empty() {
                continue;
            }
            self.reports.push((entry.tag, readiness));
            if entry.registration.mode == Mode::OneShot {
                self.spent.push((entry.fd, entry.version));
            }
        }
        self.start += 1;
        self.reports.len()
    }

    /// Passes the reports on.
    pub(crate) fn for_each(&mut self, mut report: impl FnMut(Tag, Readiness)) {
        for (tag, readiness) in self.reports.drain(..) {
            report(tag, readiness);
        }
    }
}
