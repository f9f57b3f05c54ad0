//! A 4-ary heap of deadlines whose entries may lag behind.
//!
//! ```text
//! entries  [0]                      the earliest
//!          [1] [2] [3] [4]          its children
//!          [5] [6] [7] [8] [9] ..   children of [1], of [2], ..: those of i are 4i + 1 ..= 4i + 4
//!           │
//!           └ deadline | sequence | id ─► slots[id] = deadline | sequence | position
//! ```
//!
//! The key stands in the entry, so that comparing follows no pointer: four children are 64 bytes. It stands in the slot
//! as well, and the slot's is the one that counts: pushing a deadline back only stores it there. The entry is moved when
//! it comes up, so a timer that is pushed back a thousand times before its first deadline moves once.
//!
//! 1. An entry's key is not before its parent's.
//! 2. An entry's key is not after its slot's: the entry lags or is up to date.
//! 3. A slot says where its entry is, and there are as many slots that say so as entries.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::hint::{cold_path, select_unpredictable};

use crate::Time;
use crate::key::Key;
use crate::slots::{Place, Slot, give_back};

const ARITY: usize = 4;

/// A key and an id, as two words that travel in two registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    deadline: Time,
    /// The sequence above, the id below.
    tail: u64,
}

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    #[inline]
    fn new(key: Key, id: u32) -> Self {
        Self { deadline: key.deadline, tail: u64::from(key.sequence) << 32 | u64::from(id) }
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.tail as u32
    }

    #[inline]
    pub(crate) fn key(self) -> Key {
        Key { deadline: self.deadline, sequence: (self.tail >> 32) as u32 }
    }

    /// As [`Key::is_before`]. No two entries have the same sequence, so the ids below do not matter.
    #[inline]
    pub(crate) fn is_before(self, other: Self) -> bool {
        if self.deadline == other.deadline {
            cold_path();
            self.tail.wrapping_sub(other.tail).cast_signed() < 0
        } else {
            self.deadline < other.deadline
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Heap {
    entries: Vec<Entry>,
}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity) }
    }

    /// Makes room for `additional` entries.
    pub(crate) fn try_reserve(&mut self, additional: usize) -> Result<(), TryReserveError> {
        self.entries.try_reserve(additional)
    }

    /// Puts in a timer that is not armed.
    #[inline(always)]
    pub(crate) fn insert(&mut self, slots: &mut [Slot], id: u32, key: Key) {
        let entry = Entry::new(key, id);
        let leaf = self.entries.len();
        self.entries.push(entry);
        slots[id as usize].set_key(key);
        put(&mut self.entries, slots, leaf, entry);
    }

    /// Gives the timer at `position` another key.
    #[inline]
    pub(crate) fn rearm(&mut self, slots: &mut [Slot], position: u32, id: u32, key: Key) {
        let slot = &mut slots[id as usize];
        let pushed_back = slot.key().deadline <= key.deadline;
        slot.set_key(key);
        // Pushed back from where it truly is, it is surely not before its entry, which need not even be read.
        if !pushed_back {
            self.bring_forward(slots, position, id, key);
        }
    }

    #[inline(never)]
    fn bring_forward(&mut self, slots: &mut [Slot], position: u32, id: u32, key: Key) {
        let entry = Entry::new(key, id);
        if entry.is_before(self.entries[position as usize]) {
            put(&mut self.entries, slots, position as usize, entry);
        }
    }

    /// Takes out the entry at `position`.
    #[inline(always)]
    pub(crate) fn remove(&mut self, slots: &mut [Slot], position: u32) {
        let hole = position as usize;
        if let Some(last) = self.entries.pop()
            && hole < self.entries.len()
        {
            if ARITY * hole + 1 < self.entries.len() {
                sink(&mut self.entries, slots, hole, last);
            } else {
                put(&mut self.entries, slots, hole, last);
            }
        }
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity()
    }

    pub(crate) fn reserve(&mut self) {
        self.entries.reserve(1);
    }

    /// The earliest timer, if it is due. Lagging entries that come up are moved to where they belong.
    #[inline]
    pub(crate) fn first_due(&mut self, slots: &mut [Slot], now: Time) -> Option<Entry> {
        loop {
            let first = *self.entries.first()?;
            if first.deadline > now {
                return None;
            }
            let key = slots[first.id() as usize].key();
            if key == first.key() {
                return Some(first);
            }
            sink(&mut self.entries, slots, 0, Entry::new(key, first.id()));
        }
    }

    /// The deadline of the first entry, which may lag.
    #[inline]
    pub(crate) fn first_deadline(&self) -> Option<Time> {
        self.entries.first().map(|entry| entry.deadline)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn trim(&mut self) {
        give_back(&mut self.entries);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn check_invariants(&self, slots: &[Slot]) {
        for (position, entry) in self.entries.iter().enumerate() {
            let parent = self.entries[position.saturating_sub(1) / ARITY];
            assert!(!entry.is_before(parent), "1: {entry:?} is before its parent {parent:?}");
            let slot = slots[entry.id() as usize];
            assert!(!slot.key().is_before(entry.key()), "2: {entry:?} is after {slot:?}");
            assert_eq!(slot.place(), Place::Heap(position as u32), "3: {entry:?}");
        }
        let places = slots.iter().filter(|slot| matches!(slot.place(), Place::Heap(_)));
        assert_eq!(places.count(), self.entries.len(), "3: slots without an entry");
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// Puts `entry` at `hole` or, if the parent is later, above.
#[inline(always)]
fn put(entries: &mut [Entry], slots: &mut [Slot], hole: usize, entry: Entry) {
    if hole > 0 && entry.is_before(entries[(hole - 1) / ARITY]) {
        rise(entries, slots, hole, entry);
    } else {
        entries[hole] = entry;
        slots[entry.id() as usize].set_position(hole);
    }
}

/// Moves the parent down and the hole up until the parent is not later, and puts `entry` there.
#[inline(never)]
fn rise(entries: &mut [Entry], slots: &mut [Slot], mut hole: usize, entry: Entry) {
    while hole > 0 {
        let above = (hole - 1) / ARITY;
        let parent = entries[above];
        if !entry.is_before(parent) {
            break;
        }
        entries[hole] = parent;
        slots[parent.id() as usize].set_position(hole);
        hole = above;
    }
    entries[hole] = entry;
    slots[entry.id() as usize].set_position(hole);
}

/// Moves the hole down to a leaf, the earliest child up each time, and lets `entry` rise from there.
///
/// What fills a hole was the last entry or was pushed back: it nearly always belongs near the leaves, and not
/// comparing with it on the way down saves a comparison a level. If it belongs above where the hole was, it rises
/// to there.
#[inline(never)]
fn sink(entries: &mut [Entry], slots: &mut [Slot], mut hole: usize, entry: Entry) {
    while let Some(child) = earliest_child(entries, hole) {
        let moved = entries[child];
        entries[hole] = moved;
        slots[moved.id() as usize].set_position(hole);
        hole = child;
    }
    put(entries, slots, hole, entry);
}

#[inline(always)]
fn earliest_child(entries: &[Entry], parent: usize) -> Option<usize> {
    let first = ARITY * parent + 1;
    let children = entries.get(first..)?;
    let earlier = |a: usize, b: usize| select_unpredictable(children[b].is_before(children[a]), b, a);
    match children.len() {
        0 => None,
        1..ARITY => (1..children.len()).fold(Some(0), |a, b| a.map(|a| earlier(a, b))),
        _ => Some(earlier(earlier(0, 1), earlier(2, 3))),
    }
    .map(|child| first + child)
}
