//! From descriptors to the events that wait for them.
//!
//! ```text
//!  slots, by descriptor                                    nodes, by event id
//!         ┌──────────────────────────────────────────┐           ┌───────────────────────────┐
//!   fd 3  │ head ─────────────────────────────────────────►  5   │ fd 3, WRITE, fresh, next ───┐
//!         │ told    generation 8, READ               │           └───────────────────────────┘ │
//!         │ wanted  READ | WRITE                     │           ┌───────────────────────────┐ │
//!         │ next_deferred ──► fd 6                   │       2   │ fd 3, READ                │◄┘
//!         └──────────────────────────────────────────┘           └───────────────────────────┘
//!   first_deferred ──► fd 3
//! ```
//!
//! Here event 5 has just joined event 2; the kernel will hear of it at the next wait.
//!
//! # Invariants
//!
//! 1. The members of a slot's list have the slot's descriptor in their nodes.
//! 2. They have one mode, unless modes [mix](FdMap::mix_modes): then each is level or edge-triggered. A member in
//!    [`Mode::Exclusive`] is alone.
//! 3. `wanted` is the union of their interests with their mode, where modes mix that of the member that came last. It is
//!    `None` if there are no events: the list is then empty, or has one member, which has *departed*.
//! 4. Fresh members (inserted since the latest commit) come before all others.
//! 5. `len` is the number of members that have not departed.
//!
//! Those of [`links`](crate::links) and [`deferred`](crate::deferred) come on top.
//!
//! # Departed events
//!
//! The last event to leave a descriptor stays on its list, in case it is the next to come: one that is deleted before each
//! call and added again in it costs two stores. For everybody else it is gone. Its node is taken off when another event comes
//! to the descriptor, or the event to another descriptor.
//!
//! # Generations
//!
//! A change's tag has the generation after the slot's; [`FdMap::commit`] makes it the slot's. So no two committed
//! changes of a descriptor share a tag, and a report is current exactly if it carries the latest one. This goes for
//! removals as well, though their tag reaches no kernel: after them even the latest report is late.
//!
//! The 32 bits may wrap. For harm to follow, a registration that the map believes gone (its file lives on in a
//! duplicate) would have to keep silent for exactly 2³² changes of one descriptor, half an hour of nothing but system
//! calls, and then report; and the harm would be one needless call of the descriptor's events.

use std::ops::ControlFlow;
use std::os::fd::RawFd;

use ev_backend::{Change, Interest, Mode, Readiness, Registration, Tag};

use crate::MapError;
use crate::deferred::Deferred;
use crate::links::{Head, Links};
use crate::slots::{MAX_FD, Slot, Slots};

/// Told of a doubted descriptor: unlike anything that can be wanted, and with all that may have to be taken back.
const ANYTHING: Interest = Interest::from_bits_retain(u8::MAX);

/// Which events wait for which file descriptor, and what the kernel knows of it.
///
/// Use it between your events, which it knows by dense `u32` ids, and an [`ev_backend::Backend`]. It owns no descriptor
/// and makes no system call: it answers with the [`Change`] that the backend is to be told, and believes it told when
/// you [`commit`](Self::commit) it.
///
/// ```
/// use ev_backend::{Interest, Mode, Readiness, Registration};
/// use ev_map::{FdMap, Matched};
///
/// let read = Registration { interest: Interest::READ, mode: Mode::Level };
/// let write = Registration { interest: Interest::WRITE, mode: Mode::Level };
/// let mut map = FdMap::new();
///
/// // Two events on descriptor 7. Each step is one change, told to a backend and then committed.
/// let change = map.insert(7, 0, read)?.expect("the kernel knows nothing of 7");
/// map.commit(&change);
/// let change = map.insert(7, 1, write)?.expect("the kernel knows only of READ");
/// assert_eq!((change.old, change.new.unwrap().interest), (Some(read), Interest::READ | Interest::WRITE));
/// map.commit(&change);
///
/// // The kernel reports with the tag it was told; the newest event comes first.
/// let mut hits = vec![];
/// let came = map.matching(change.tag, Readiness::READ | Readiness::WRITE, |id, hit| hits.push((id, hit)));
/// assert_eq!(came, Matched::Current);
/// assert_eq!(hits, [(1, Readiness::WRITE), (0, Readiness::READ)]);
/// # Ok::<(), ev_map::MapError>(())
/// ```
///
/// # Cost
///
/// All operations take constant time, except that [`remove`](Self::remove) walks the descriptor's other events until
/// their union is found, and that [`forget_told`](Self::forget_told) and [`iter`](Self::iter) walk all descriptors.
/// Nothing is hashed; only [`insert`](Self::insert) allocates. A descriptor takes 16 bytes and an event 16, kept until
/// the map is dropped. Any number of events may share a descriptor (libevent: 65,535 for each direction).
#[derive(Debug)]
pub struct FdMap {
    slots: Slots,
    links: Links<Entry>,
    deferred: Deferred,
    mixing: Mixing,
    len: usize,
}

/// Whether level and edge-triggered events may share a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mixing {
    Refused,
    LatestWins,
}

impl Mixing {
    /// Whether an event of the mode `new` may join events of the mode `present`.
    fn admits(self, present: Mode, new: Mode) -> bool {
        let mixes = |mode| matches!(mode, Mode::Level | Mode::Edge);
        present == new && new != Mode::Exclusive || self == Self::LatestWins && mixes(present) && mixes(new)
    }
}

/// What the map knows of an event.
#[derive(Debug)]
struct Entry {
    fd: RawFd,
    registration: Registration,
    /// Whether the event was inserted since the latest commit for its descriptor.
    fresh: bool,
}

impl Entry {
    #[inline]
    fn new(fd: RawFd, registration: Registration) -> Self {
        Self {
            fd,
            registration,
            fresh: true,
        }
    }
}

// Four nodes share a cache line.
const _: () = assert!(Links::<Entry>::NODE_SIZE == 16);

/// What [`FdMap::remove`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The descriptor the event was on.
    pub fd: RawFd,
    /// What the kernel has to be told now; `None` if other events want all that it knows of, or if it was never told
    /// of this one.
    pub change: Option<Change>,
}

/// What [`FdMap::matching`] thinks of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Matched {
    /// The report is about the descriptor's present registration. Its events were called, those that asked for it.
    Current,
    /// The report is about an earlier registration, or about a descriptor that has none or no events. No event was
    /// called.
    ///
    /// One may always be on its way while a change is made. If they go on, the kernel has a registration that the map
    /// does not know of, as of a file that lives on in a duplicate of a closed descriptor.
    Stale,
}

impl FdMap {
    /// The highest descriptor that can be on a map: 2³⁰ - 2.
    ///
    /// The limit is libevent's. Memory grows with the numbers in use: 4 KiB for each 256 neighbours of which one is or
    /// was in use, and 8 bytes for each 256 numbers below the highest; the latter makes 32 MiB at this limit.
    pub const MAX_FD: RawFd = MAX_FD;

    /// An empty map. Does not allocate.
    pub const fn new() -> Self {
        Self {
            slots: Slots::new(),
            links: Links::new(),
            deferred: Deferred::new(),
            mixing: Mixing::Refused,
            len: 0,
        }
    }

    /// Lets level and edge-triggered events share a descriptor from now on: libevent's rule outside its debug mode.
    ///
    /// The kernel knows one mode a descriptor, and is told that of the event that was inserted last. So either the others
    /// hear of a condition only once, or they hear of it more often than they asked for: use it only where programs that
    /// do so have to go on running.
    pub fn mix_modes(&mut self) {
        self.mixing = Mixing::LatestWins;
    }

    /// Puts event `id` on `fd`, before the events that are there: newest first is the order of reports.
    ///
    /// Returns what the kernel has to be told now, or `None` if it knows already. Either tell the backend and
    /// [`commit`](Self::commit), or [`defer`](Self::defer). If the backend refuses, [`remove`](Self::remove) the event
    /// and ignore the change which that returns: the kernel still knows what it knew.
    ///
    /// With [`Mode::Edge`] and [`Mode::OneShot`] the kernel is silent about a condition that it has reported already,
    /// so there a new event always makes a change, if need be with `old` equal to `new`: it *arms* the descriptor
    /// again. The events that are there may hear of the same condition a second time. Mind that a one-shot registration
    /// is the descriptor's: one report silences all of its events, also those that it did not concern.
    ///
    /// Ids index a vector: use small numbers, and use those of removed events again.
    ///
    /// # Errors
    ///
    /// Nothing has changed after an error.
    ///
    /// - [`MapError::NoInterest`]: the interest is empty.
    /// - [`MapError::BadFd`]: `fd` is negative or above [`MAX_FD`](Self::MAX_FD).
    /// - [`MapError::ModeConflict`]: there are events of another mode on `fd`, or one of them is exclusive.
    /// - [`MapError::AlreadyOn`]: `id` is on the map already.
    /// - [`MapError::BadId`]: `id` is not below 2³¹ - 1.
    /// - [`MapError::OutOfMemory`].
    #[doc(alias = "evmap_io_add_")]
    pub fn insert(&mut self, fd: RawFd, id: u32, registration: Registration) -> Result<Option<Change>, MapError> {
        if registration.interest.is_empty() {
            return Err(MapError::NoInterest);
        }
        if self.bring_back(fd, id, registration).is_none() {
            self.insert_newcomer(fd, id, registration)?;
        }
        Ok(self.change(fd))
    }

    /// [Inserts](Self::insert) event `id` on `fd` with few steps and [defers](Self::defer) the change, if `id` was the last
    /// event to leave `fd` and none has come since. Answers whether it was; nothing has changed otherwise.
    ///
    /// For events that are removed and inserted in turns, as one-shot events are: the registration should be one that was
    /// accepted before.
    #[inline]
    pub fn insert_again(&mut self, fd: RawFd, id: u32, registration: Registration) -> bool {
        let Some(slot) = self.bring_back(fd, id, registration) else {
            return false;
        };
        let is_told = slot.told == Some(registration) && registration.mode == Mode::Level;
        if !is_told || !self.deferred.withdraw(fd) {
            self.defer(fd);
        }
        true
    }

    #[inline]
    fn bring_back(&mut self, fd: RawFd, id: u32, registration: Registration) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(fd)?;
        if slot.wanted.is_some() || !slot.head.is_only(id) {
            return None;
        }
        slot.wanted = Some(registration);
        self.links.replace(id, Entry::new(fd, registration));
        self.len += 1;
        Some(slot)
    }

    /// Inserts an event that is not the one that departed from this descriptor.
    fn insert_newcomer(&mut self, fd: RawFd, id: u32, registration: Registration) -> Result<(), MapError> {
        let Registration { mut interest, mode } = registration;
        let present = self.slots.reserve(fd)?.wanted;
        if let Some(present) = present {
            if !self.mixing.admits(present.mode, mode) {
                return Err(MapError::ModeConflict {
                    fd,
                    present: present.mode,
                });
            }
            interest |= present.interest;
        }
        self.forget_departed(id);
        // Once more, as the event may have departed from another descriptor. It cannot fail now.
        let slot = self.slots.reserve(fd)?;
        let departed = slot.head.only().filter(|_| present.is_none());
        let mut list = if departed.is_some() { Head::EMPTY } else { slot.head };
        self.links.push_front(&mut list, id, Entry::new(fd, registration))?;
        if let Some(departed) = departed {
            self.links.unlink(&mut slot.head, departed);
        }
        slot.head = list;
        slot.wanted = Some(Registration { interest, mode });
        self.len += 1;
        Ok(())
    }

    /// Takes event `id` off its descriptor; `None` if it is on none.
    ///
    /// With the returned change do as with that of [`insert`](Self::insert). If the backend fails to make it, the
    /// kernel goes on reporting what nobody wants: [`defer`](Self::defer) it to try again.
    #[doc(alias = "evmap_io_del_")]
    pub fn remove(&mut self, id: u32) -> Option<Removed> {
        let fd = self.links.get(id)?.fd;
        if self.let_go(fd, id).is_none() {
            let slot = self.slots.get_mut(fd)?;
            slot.wanted = Some(take_off(&mut self.links, &mut slot.head, id, slot.wanted?));
            self.len -= 1;
        }
        Some(Removed {
            fd,
            change: self.change(fd),
        })
    }

    /// [Removes](Self::remove) event `id` from `fd` with few steps and [defers](Self::defer) the change, if it is the only
    /// event there. Answers whether it was; nothing has changed otherwise.
    #[inline]
    pub fn remove_only(&mut self, fd: RawFd, id: u32) -> bool {
        let Some(slot) = self.let_go(fd, id) else {
            return false;
        };
        if !slot.is_linked() {
            self.deferred.push_loosely(&mut self.slots, fd);
        }
        true
    }

    #[inline]
    fn let_go(&mut self, fd: RawFd, id: u32) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(fd)?;
        if slot.wanted.is_none() || !slot.head.is_only(id) {
            return None;
        }
        slot.wanted = None;
        self.len -= 1;
        Some(slot)
    }

    /// Takes an event that has departed off its list.
    fn forget_departed(&mut self, id: u32) {
        let slot = self.links.get(id).and_then(|entry| self.slots.get_mut(entry.fd));
        if let Some(slot) = slot
            && slot.wanted.is_none()
        {
            self.links.unlink(&mut slot.head, id);
        }
    }

    /// What the kernel has to be told of `fd`, if anything: the step from what it was told to what is wanted.
    ///
    /// The change has a tag that no committed change of this descriptor had. Asking changes nothing; the same question
    /// gets the same answer until the next insertion, removal or commit.
    #[inline]
    pub fn change(&self, fd: RawFd) -> Option<Change> {
        let slot = self.slots.get(fd)?;
        if slot.told == slot.wanted && !self.needs_arming(slot) {
            return None;
        }
        let tag = Tag::new(fd, slot.generation.wrapping_add(1));
        Some(Change {
            fd,
            tag,
            old: slot.told,
            new: slot.wanted,
        })
    }

    /// Notes that the backend has made `change`, the latest one this map gave for its descriptor.
    ///
    /// From now on only reports with its tag are [`Matched::Current`]; until now it was the tag before. Reports that
    /// were on their way are lost by this, but not the condition: a kernel that is told of a change looks anew.
    ///
    /// Commit before the next insertion or removal on this descriptor. The map believes what `change` says: one that it
    /// did not give makes it tell the kernel too much or too little, but does not break it.
    pub fn commit(&mut self, change: &Change) {
        let Some(slot) = self.slots.get_mut(change.fd) else {
            return;
        };
        slot.told = change.new;
        slot.generation = change.tag.generation();
        self.links.visit_mut(slot.head, |entry| {
            if !entry.fresh {
                return ControlFlow::Break(());
            }
            entry.fresh = false;
            ControlFlow::Continue(())
        });
    }

    /// Puts `fd` at the end of the queue of descriptors whose change is made later, unless it is on it.
    ///
    /// This saves the system calls of changes that cancel out until then, as when a one-shot event is inserted again by
    /// its own callback. If the descriptor may be closed before the change is made, also [`doubt`](Self::doubt) it: the
    /// number may then belong to another file, of which the kernel has not been told.
    ///
    /// A descriptor that needs no change may be deferred; [`next_deferred`](Self::next_deferred) passes over it.
    #[inline]
    pub fn defer(&mut self, fd: RawFd) {
        self.deferred.push(&mut self.slots, fd);
    }

    /// Notes that the descriptor may be closed and opened again from now on, so that what the kernel was told of it may
    /// have been forgotten: its next change is made even if it seems to make no difference.
    ///
    /// For a removal that is deferred though nobody vouches for the descriptor. Nothing happens if the kernel knows
    /// nothing of it.
    pub fn doubt(&mut self, fd: RawFd) {
        if let Some(told) = self.slots.get_mut(fd).and_then(|slot| slot.told.as_mut()) {
            told.interest = ANYTHING;
        }
    }

    /// Whether `fd` is on the queue of [`defer`](Self::defer): a report about it may be stale for no other reason.
    pub fn is_deferred(&self, fd: RawFd) -> bool {
        self.deferred.contains(&self.slots, fd)
    }

    /// Whether any descriptor is on the queue of [`defer`](Self::defer).
    #[inline]
    pub const fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Takes descriptors from the queue of [`defer`](Self::defer) until one needs a change, which is to be made and
    /// committed now. First in, first out.
    ///
    /// Who defers a descriptor again because its change failed should do so after the loop over this function, which
    /// would otherwise not end.
    ///
    /// ```
    /// # use ev_backend::{Interest, Mode, Registration};
    /// # let read = Registration { interest: Interest::READ, mode: Mode::Level };
    /// # let mut map = ev_map::FdMap::new();
    /// # let tell = |_: &ev_backend::Change| {};
    /// map.insert(3, 0, read)?;
    /// map.defer(3);
    /// map.insert(4, 1, read)?;
    /// map.defer(4);
    /// map.remove(0);
    /// while let Some(change) = map.next_deferred() {
    ///     assert_eq!(change.fd, 4, "insertion and removal on 3 cancelled out");
    ///     tell(&change);
    ///     map.commit(&change);
    /// }
    /// # Ok::<(), ev_map::MapError>(())
    /// ```
    pub fn next_deferred(&mut self) -> Option<Change> {
        loop {
            let fd = self.deferred.pop(&mut self.slots)?;
            if let Some(change) = self.change(fd) {
                return Some(change);
            }
        }
    }

    /// Notes that the kernel knows of no descriptor any more: after [`Backend::reset`](ev_backend::Backend::reset).
    ///
    /// All tags become stale. The queue of deferred descriptors is made anew: all that have events, in numeric order.
    #[doc(alias = "evmap_reinit_")]
    pub fn forget_told(&mut self) {
        for (_, slot) in self.slots.iter_mut() {
            slot.told = None;
        }
        self.deferred.refill(&mut self.slots, |slot| slot.wanted.is_some());
    }

    /// The event that a report concerns, with the part of it that it asked for, where it is the only one on its descriptor
    /// and asked for any. Everything else takes [`matching`](Self::matching).
    #[inline]
    pub fn matching_only(&self, tag: Tag, readiness: Readiness) -> Option<(u32, Readiness)> {
        let slot = self.slots.get(tag.fd())?;
        if slot.generation != tag.generation() || slot.told.is_none() {
            return None;
        }
        let id = slot.head.only()?;
        // What is wanted is what the only event asks for.
        let hit = readiness.of(slot.wanted?.interest);
        (!hit.is_empty()).then_some((id, hit))
    }

    /// Calls `each` for the events that a report concerns, newest first, with the part of it that each asked for.
    ///
    /// An event that asked for nothing in `readiness` is not called, so it may be that none is; except that an error
    /// concerns all of them, as [`Readiness::ERROR`]: one that nobody hears of would be reported for ever.
    #[doc(alias = "evmap_io_active_")]
    #[inline]
    pub fn matching(&self, tag: Tag, readiness: Readiness, mut each: impl FnMut(u32, Readiness)) -> Matched {
        let Some(slot) = self.slots.get(tag.fd()) else {
            return Matched::Stale;
        };
        if slot.generation != tag.generation() || slot.told.is_none() || slot.wanted.is_none() {
            return Matched::Stale;
        }
        for (id, entry) in self.links.iter(slot.head) {
            let hit = readiness.of(entry.registration.interest);
            if !hit.is_empty() {
                each(id, hit);
            } else if readiness.contains(Readiness::ERROR) {
                each(id, Readiness::ERROR);
            }
        }
        Matched::Current
    }

    /// The descriptor and the wishes of event `id`, if it is on the map.
    pub fn registration(&self, id: u32) -> Option<(RawFd, Registration)> {
        let entry = self.links.get(id)?;
        self.slots.get(entry.fd)?.wanted?;
        Some((entry.fd, entry.registration))
    }

    /// The events on `fd`, newest first.
    pub fn events_on(&self, fd: RawFd) -> impl Iterator<Item = u32> {
        let slot = self.slots.get(fd).filter(|slot| slot.wanted.is_some());
        slot.into_iter()
            .flat_map(|slot| self.links.iter(slot.head))
            .map(|(id, _)| id)
    }

    /// All events with their descriptors: by descriptor, newest first.
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, u32)> {
        let inhabited = self.slots.iter().filter(|(_, slot)| slot.wanted.is_some());
        inhabited.flat_map(|(fd, slot)| self.links.iter(slot.head).map(move |(id, _)| (fd, id)))
    }

    /// The number of events on the map.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no event is on the map. The kernel may still have to be told so.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asserts the invariants of the map; for tests. Walks all of it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, which is a defect of this crate. The message has the number of the invariant.
    #[doc(alias = "evmap_check_integrity_")]
    pub fn check_invariants(&self) {
        self.deferred.check_invariants(&self.slots);
        self.links
            .check_invariants(self.slots.iter().map(|(_, slot)| slot.head));
        let mut len = 0;
        for (fd, slot) in self.slots.iter() {
            let entries = || self.links.iter(slot.head).map(|(_, entry)| entry);
            if slot.wanted.is_none() {
                assert!(
                    slot.head.is_empty() || slot.head.only().is_some(),
                    "3: more than one event without wishes on {fd}"
                );
                assert!(
                    entries().all(|entry| entry.fd == fd),
                    "1: an event of another descriptor has left {fd}"
                );
                continue;
            }
            len += entries().count();
            assert!(
                entries().all(|entry| entry.fd == fd),
                "1: an event of another descriptor is on {fd}"
            );
            let mode = slot.wanted.map(|wanted| wanted.mode);
            assert!(
                entries().all(|entry| Some(entry.registration.mode) == mode) || self.mixing == Mixing::LatestWins,
                "2: the modes on {fd}"
            );
            assert!(
                mode != Some(Mode::Exclusive) || entries().count() == 1,
                "2: company for an exclusive one on {fd}"
            );
            let interest = entries().fold(Interest::empty(), |sum, entry| sum | entry.registration.interest);
            assert_eq!(
                slot.wanted.map_or(Interest::empty(), |wanted| wanted.interest),
                interest,
                "3: the union on {fd}"
            );
            assert!(!slot.head.is_empty(), "3: wishes without events on {fd}");
            assert!(
                entries().map(|entry| !entry.fresh).is_sorted(),
                "4: a fresh event after an older one on {fd}"
            );
        }
        assert_eq!(len, self.len, "5: the number of events");
    }

    /// Whether an event waits for conditions that the kernel may have reported before it came and will not report again
    /// unasked.
    #[inline]
    fn needs_arming(&self, slot: &Slot) -> bool {
        let keeps_silent = slot
            .wanted
            .is_some_and(|wanted| matches!(wanted.mode, Mode::Edge | Mode::OneShot));
        // Invariant 4: if any is fresh, the first one is.
        keeps_silent && self.links.front(slot.head).is_some_and(|entry| entry.fresh)
    }
}

impl Default for FdMap {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes one of several events off their descriptor's list, and answers what the others want.
fn take_off(links: &mut Links<Entry>, head: &mut Head, id: u32, before: Registration) -> Registration {
    links.unlink(head, id);
    let others = links.iter(*head).map(|(_, entry)| entry.registration.interest);
    let interest = union(others, before.interest);
    Registration { interest, ..before }
}

/// The union of `interests`, looking no further once it has become `all`.
fn union(interests: impl Iterator<Item = Interest>, all: Interest) -> Interest {
    let mut sum = Interest::empty();
    for interest in interests {
        sum |= interest;
        if sum == all {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_looks_no_further_than_it_must() {
        let (read, write) = (Interest::READ, Interest::WRITE);
        let mut interests = [read, read, write, read].into_iter();
        assert_eq!(union(&mut interests, read | write), read | write);
        assert_eq!(interests.len(), 1);
        assert_eq!(union(&mut interests, read | write), read);
    }

    /// Descriptor 3 with events 1 and 0, of which the kernel knows.
    fn told_map() -> FdMap {
        let mut map = FdMap::new();
        for (id, interest) in [Interest::READ, Interest::WRITE].into_iter().enumerate() {
            let registration = Registration {
                interest,
                mode: Mode::Level,
            };
            let change = map.insert(3, id as u32, registration).unwrap().unwrap();
            map.commit(&change);
        }
        map.check_invariants();
        map
    }

    /// Changes what the map knows of the older event, which is the last of two.
    fn spoil(map: &mut FdMap, spoiler: impl Fn(&mut Entry)) {
        let head = map.slots.get(3).unwrap().head;
        let mut members = 0;
        map.links.visit_mut(head, |entry| {
            members += 1;
            if members == 2 {
                spoiler(entry);
            }
            ControlFlow::Continue(())
        });
    }

    #[test]
    #[should_panic(expected = "1: an event of another descriptor")]
    fn sees_a_wrong_descriptor() {
        let mut map = told_map();
        spoil(&mut map, |entry| entry.fd = 4);
        map.check_invariants();
    }

    #[test]
    #[should_panic(expected = "2: the modes")]
    fn sees_a_wrong_mode() {
        let mut map = told_map();
        spoil(&mut map, |entry| entry.registration.mode = Mode::Edge);
        map.check_invariants();
    }

    #[test]
    #[should_panic(expected = "3: the union")]
    fn sees_a_wrong_union() {
        let mut map = told_map();
        spoil(&mut map, |entry| entry.registration.interest = Interest::CLOSED);
        map.check_invariants();
    }

    #[test]
    #[should_panic(expected = "3: more than one event without wishes")]
    fn sees_events_that_nobody_wants() {
        let mut map = told_map();
        map.slots.get_mut(3).unwrap().wanted = None;
        map.check_invariants();
    }

    #[test]
    #[should_panic(expected = "5: the number of events")]
    fn sees_a_wrong_number() {
        let mut map = told_map();
        map.len = 1;
        map.check_invariants();
    }

    /// The last event to leave a descriptor, and what becomes of its node.
    #[test]
    fn a_departed_event_makes_room() {
        let mut map = told_map();
        let read = Registration {
            interest: Interest::READ,
            mode: Mode::Level,
        };
        map.remove(0).unwrap();
        map.remove(1).unwrap();
        assert!(map.slots.get(3).unwrap().head.only() == Some(1) && map.is_empty());
        assert_eq!(map.remove(1), None);
        map.insert(4, 1, read).unwrap();
        map.check_invariants();
        assert!(
            map.slots.get(3).unwrap().head.is_empty(),
            "it came to another descriptor"
        );
        map.remove(1).unwrap();
        map.insert(4, 0, read).unwrap();
        map.check_invariants();
        assert_eq!(map.slots.get(4).unwrap().head.only(), Some(0), "another event came");
        assert_eq!(map.links.len(), 1);
    }

    #[test]
    #[should_panic(expected = "4: a fresh event")]
    fn sees_a_fresh_event_out_of_place() {
        let mut map = told_map();
        spoil(&mut map, |entry| entry.fresh = true);
        map.check_invariants();
    }
}
