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

use std::collections::VecDeque;
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
    reports: VecDeque<(Tag, Readiness)>,
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
            self.reports.push_back((entry.tag, readiness));
            if entry.registration.mode == Mode::OneShot {
                self.spent.push((entry.fd, entry.version));
            }
        }
        self.start += 1;
        self.reports.len()
    }

    pub(crate) fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.reports.pop_front()
    }
}

#[cfg(test)]
impl Table {
    fn check_invariants(&self) {
        let mut indexed = 0;
        for (slot, &position) in self
            .index
            .iter()
            .enumerate()
            .filter(|&(_, &position)| position != ABSENT)
        {
            assert_eq!(self.entries[position as usize].fd as usize, slot, "invariant 1");
            indexed += 1;
        }
        assert_eq!(indexed, self.entries.len(), "invariant 1");
        let versions: std::collections::BTreeSet<_> = self.entries.iter().map(|entry| entry.version).collect();
        assert_eq!(versions.len(), self.entries.len(), "invariant 2");
        assert!(versions.iter().all(|&version| version <= self.version), "invariant 2");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Interest;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Set(RawFd, u64, Mode),
        Remove(RawFd),
        Clear,
        HandOver,
        /// Every armed entry is ready, as far as the limit lets them be found.
        Collect(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let fd = 0..12;
        prop_oneof![
            6 => (fd.clone(), any::<u64>(), prop_oneof![Just(Mode::Level), Just(Mode::OneShot)])
                .prop_map(|(fd, tag, mode)| Step::Set(fd, tag, mode)),
            3 => fd.prop_map(Step::Remove),
            1 => Just(Step::Clear),
            4 => Just(Step::HandOver),
            4 => (0..14_usize).prop_map(Step::Collect),
        ]
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Known {
        tag: Tag,
        mode: Mode,
        armed: bool,
        /// Not updated since the waiter's copy was made.
        copied: bool,
    }

    proptest! {
        /// The waiter's copy is what the table was at the last handing over; a one-shot is silent from the handing over
        /// after its report until it is updated.
        #[test]
        fn table_and_snapshot_follow_the_model(steps in prop::collection::vec(step(), 0..100)) {
            let (mut table, mut snapshot) = (Table::default(), Snapshot::default());
            let mut model = BTreeMap::<RawFd, Known>::new();
            let mut copy = BTreeMap::<RawFd, (Tag, Mode)>::new();
            let mut spent = Vec::new();
            for step in steps {
                match step {
                    Step::Set(fd, tag, mode) => {
                        let tag = Tag::from_bits(tag);
                        table.set(fd, tag, Registration { interest: Interest::READ, mode });
                        model.insert(fd, Known { tag, mode, armed: true, copied: false });
                    }
                    Step::Remove(fd) => {
                        table.remove(fd);
                        model.remove(&fd);
                    }
                    Step::Clear => {
                        table.clear();
                        model.clear();
                    }
                    Step::HandOver => {
                        for fd in spent.drain(..) {
                            if let Some(known) = model.get_mut(&fd).filter(|known| known.copied) {
                                known.armed = false;
                            }
                        }
                        for known in model.values_mut() {
                            known.copied = true;
                        }
                        copy = model.iter().filter(|(_, known)| known.armed)
                            .map(|(&fd, known)| (fd, (known.tag, known.mode))).collect();
                        table.hand_over(&mut snapshot);
                        prop_assert!(!table.hand_over(&mut snapshot), "nothing changed in between");
                    }
                    Step::Collect(most) => {
                        let mut looked = BTreeMap::new();
                        let found = snapshot.collect(most, |position, entry| {
                            looked.insert(entry.fd, position);
                            Readiness::READ
                        });
                        prop_assert_eq!(found, most.min(copy.len()));
                        let mut expected: Vec<_> = looked.keys().map(|fd| copy[fd].0.to_bits()).collect();
                        let reports = std::iter::from_fn(|| snapshot.next_report());
                        let mut reported: Vec<_> = reports.map(|(tag, _)| tag.to_bits()).collect();
                        expected.sort_unstable();
                        reported.sort_unstable();
                        prop_assert_eq!(reported, expected);
                        spent.extend(looked.keys().filter(|&fd| copy[fd].1 == Mode::OneShot));
                    }
                }
                table.check_invariants();
                let mut held: Vec<_> = snapshot.entries().iter().map(|entry| (entry.fd, entry.tag)).collect();
                held.sort_unstable_by_key(|&(fd, _)| fd);
                let expected: Vec<_> = copy.iter().map(|(&fd, &(tag, _))| (fd, tag)).collect();
                prop_assert_eq!(held, expected);
            }
        }
    }

    #[test]
    fn the_search_begins_elsewhere_each_time() {
        let (mut table, mut snapshot) = (Table::default(), Snapshot::default());
        for fd in 0..3 {
            table.set(
                fd,
                Tag::new(fd, 0),
                Registration {
                    interest: Interest::READ,
                    mode: Mode::Level,
                },
            );
        }
        table.hand_over(&mut snapshot);
        let mut firsts = Vec::new();
        for _ in 0..6 {
            snapshot.collect(1, |_, _| Readiness::READ);
            firsts.extend(snapshot.next_report().map(|(tag, _)| tag.fd()));
        }
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2]);
    }
}
