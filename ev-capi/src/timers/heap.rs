//! A 4-ary heap of events, whose places in it stand in the events themselves.
//!
//! ```text
//! entries  [0]                      the earliest
//!          [1] [2] [3] [4]          its children
//!          [5] [6] [7] [8] [9] ..   children of [1], of [2], ..: those of i are 4i + 1 ..= 4i + 4
//!           │
//!           └ deadline | sequence | event ─► timer: deadline | sequence | place
//! ```
//!
//! It works like the heap of `ev-timer`, whose timers are numbers with a slot each; there is no slot here, as a program gives
//! the memory for its events. The key stands in the entry, so that comparing does not touch the events, and in the event,
//! which is the one that counts: a deadline that is pushed back is only stored there, and the entry moves when it comes up.
//!
//! Invariants:
//! 1. An entry's key is not before its parent's, and not after its event's.
//! 2. An event that has a deadline and is in no queue says where its entry is. An entry whose event says otherwise, because
//!    the program has set it up again meanwhile, is one of nobody's, and goes when it comes up.

use std::collections::TryReserveError;
use std::hint::select_unpredictable;
use std::ptr::{self, NonNull};

use ev_core::Time;

use super::{Key, SMALL, Timer, has_deadline};
use crate::abi::event;

const ARITY: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    event: NonNull<event>,
}

impl Entry {
    /// What the event knows of its deadline.
    #[inline]
    fn timer(&self) -> &Timer {
        // SAFETY: what an entry refers to is memory of an event (invariant 5 of `timers`).
        &unsafe { self.event.as_ref() }.timer
    }

    #[inline]
    fn is_at(&self, place: usize) -> bool {
        self.timer().place.get() as usize == place
    }
}

#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: Vec<Entry>,
    /// How many were taken out since memory was last looked at.
    removed: usize,
    /// The number of events that are not here yet, and for which there has to be room.
    promised: usize,
}

impl Heap {
    /// Makes room for one more beside those that are promised theirs.
    #[inline]
    pub(super) fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.entries.try_reserve(1 + self.promised)
    }

    /// Keeps for later the room that was reserved last.
    #[inline]
    pub(super) fn promise(&mut self) {
        self.promised += 1;
    }

    /// Takes such a promise back, or is about to fulfil it.
    #[inline]
    pub(super) fn release(&mut self) {
        self.promised -= 1;
    }

    /// Puts in an event that is not there, for which there is room.
    #[inline]
    pub(super) fn insert(&mut self, event: &event, key: Key) {
        let leaf = self.entries.len();
        event.timer.set(key, leaf as u32);
        let event = NonNull::from(event);
        self.entries.push(Entry { key, event });
        if is_misplaced(&self.entries, leaf, key) {
            rise(&mut self.entries, leaf);
        }
    }

    /// Takes out an event that is there.
    #[inline]
    pub(super) fn remove(&mut self, event: &event) {
        let place = self.place_of(event);
        debug_assert!(place.is_some(), "the event has its deadline here");
        if let Some(place) = place {
            self.remove_at(place);
        }
    }

    fn remove_at(&mut self, place: usize) {
        if let Some(last) = self.entries.pop()
            && let Some(removed) = self.entries.get_mut(place)
        {
            *removed = last;
            if last.is_at(self.entries.len()) {
                last.timer().set_place(place as u32);
            }
            if ARITY * place + 1 < self.entries.len() {
                sink(&mut self.entries, place);
            } else if is_misplaced(&self.entries, place, last.key) {
                rise(&mut self.entries, place);
            }
        }
        self.removed += 1;
        if self.removed > self.entries.capacity() {
            self.try_shrink();
        }
    }

    /// Gives half of the memory back if less than a quarter is in use. Tried once in as many removals as there is room for,
    /// so that bursts find their memory in place.
    #[cold]
    fn try_shrink(&mut self) {
        self.removed = 0;
        let left = self.entries.capacity() / 2;
        let mut entries = Vec::new();
        if left >= SMALL && self.entries.len() + self.promised < left / 2 && entries.try_reserve_exact(left).is_ok() {
            entries.extend_from_slice(&self.entries);
            self.entries = entries;
        }
    }

    #[inline]
    fn place_of(&self, event: &event) -> Option<usize> {
        let place = event.timer.place.get() as usize;
        let entry = self.entries.get(place)?;
        ptr::eq(entry.event.as_ptr(), event).then_some(place)
    }

    /// The key of the earliest event, if it is due. Entries that lag and come up are moved to where they belong.
    #[inline]
    pub(super) fn first_due(&mut self, now: Time) -> Option<Key> {
        let first = self.entries.first().filter(|first| first.key.deadline <= now)?;
        let key = first.timer().key();
        // No two settings have the same key.
        if first.key == key {
            return Some(key);
        }
        self.correct_first(now)
    }

    #[inline(never)]
    fn correct_first(&mut self, now: Time) -> Option<Key> {
        loop {
            let first = self.entries.first_mut().filter(|first| first.key.deadline <= now)?;
            let is_current = first.is_at(0) && has_deadline(first.event);
            let key = first.timer().key();
            if is_current && first.key == key {
                return Some(key);
            }
            if is_current {
                first.key = key;
                sink(&mut self.entries, 0);
            } else {
                self.remove_at(0);
            }
        }
    }

    /// Takes out the first event.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<event>> {
        let event = self.entries.first()?.event;
        self.remove_at(0);
        Some(event)
    }

    /// The deadline of the first entry, which may lag.
    #[inline]
    pub(super) fn first_deadline(&self) -> Option<Time> {
        self.entries.first().map(|entry| entry.key.deadline)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The events, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = NonNull<event>> {
        let current = |(place, entry): &(usize, &Entry)| entry.is_at(*place);
        let entries = self.entries.iter().enumerate().filter(current);
        entries.map(|(_, entry)| entry.event)
    }

    /// Whether there is room for this many, and it was promised.
    #[cfg(test)]
    pub(super) fn check_room(&self, promised: usize) {
        assert!(self.promised >= promised && self.entries.capacity() - self.entries.len() >= self.promised);
    }

    #[cfg(test)]
    pub(super) fn has(&self, event: &event) -> bool {
        self.place_of(event).is_some()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        for (place, entry) in self.entries.iter().enumerate() {
            let parent = self.entries[place.saturating_sub(1) / ARITY];
            assert!(!entry.key.is_before(parent.key), "1: {entry:?} is before {parent:?}");
            if entry.is_at(place) && has_deadline(entry.event) {
                assert!(
                    !entry.timer().key().is_before(entry.key),
                    "1: {entry:?} is after its event"
                );
            }
        }
    }
}

#[inline]
fn is_misplaced(entries: &[Entry], place: usize, key: Key) -> bool {
    place > 0 && key.is_before(entries[(place - 1) / ARITY].key)
}

/// Puts `entry`, which was at `from`, at `to`.
#[inline]
fn put(entries: &mut [Entry], entry: Entry, from: usize, to: usize) {
    if entry.is_at(from) {
        entry.timer().set_place(to as u32);
    }
    entries[to] = entry;
}

/// Moves the entry at `start`, which is before its parent, up until it no longer is, and those parents down.
#[inline(never)]
fn rise(entries: &mut [Entry], start: usize) {
    let entry = entries[start];
    let is_current = entry.is_at(start);
    let mut hole = start;
    loop {
        let above = (hole - 1) / ARITY;
        put(entries, entries[above], above, hole);
        hole = above;
        if !is_misplaced(entries, hole, entry.key) {
            break;
        }
    }
    fill(entries, hole, entry, is_current);
}

/// Moves the entry at `start` down to where its children are not earlier; it may also be before its parent.
///
/// The hole goes down to a leaf, the earliest child up each time, and the entry rises from there: an entry that takes another's
/// place was the last or was pushed back, so that it nearly always belongs near the leaves.
#[inline(never)]
fn sink(entries: &mut [Entry], start: usize) {
    let entry = entries[start];
    let is_current = entry.is_at(start);
    let mut hole = start;
    let mut first = ARITY * hole + 1;
    while let Some(children) = entries.get(first..).and_then(<[_]>::first_chunk) {
        let child = first + earliest(children);
        put(entries, entries[child], child, hole);
        hole = child;
        first = ARITY * hole + 1;
    }
    let earlier = |a: usize, b: usize| if entries[b].key.is_before(entries[a].key) { b } else { a };
    if let Some(child) = (first..entries.len()).reduce(earlier) {
        put(entries, entries[child], child, hole);
        hole = child;
    }
    fill(entries, hole, entry, is_current);
    if is_misplaced(entries, hole, entry.key) {
        rise(entries, hole);
    }
}

/// Puts an entry that was moved where the hole has come to.
#[inline]
fn fill(entries: &mut [Entry], hole: usize, entry: Entry, is_current: bool) {
    if is_current {
        entry.timer().set_place(hole as u32);
    }
    entries[hole] = entry;
}

/// The index of the earliest. It cannot be predicted, so it is selected without branches.
#[inline]
fn earliest(children: &[Entry; ARITY]) -> usize {
    let earlier = |a: usize, b: usize| select_unpredictable(children[b].key.is_before(children[a].key), b, a);
    earlier(earlier(0, 1), earlier(2, 3))
}
