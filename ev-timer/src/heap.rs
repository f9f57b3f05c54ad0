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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    deadline: Time,
    /// The sequence above, the id below.
    tail: u64,
}

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    #[inline]
    fn new(key: Key, id: u32) -> Self {
        Self {
            deadline: key.deadline,
            tail: u64::from(key.sequence) << 32 | u64::from(id),
        }
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.tail as u32
    }

    #[inline]
    pub(crate) fn deadline(self) -> Time {
        self.deadline
    }

    #[inline]
    fn key(self) -> Key {
        Key {
            deadline: self.deadline,
            sequence: (self.tail >> 32) as u32,
        }
    }

    /// As [`Key::is_before`]: no two entries have the same sequence, so the ids below it do not matter.
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
        Self {
            entries: Vec::with_capacity(capacity),
        }
    }

    /// Whether an entry can be put in without growing.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity()
    }

    pub(crate) fn make_room(&mut self) {
        self.entries.reserve(1);
    }

    pub(crate) fn try_make_room(&mut self) -> Result<(), TryReserveError> {
        self.entries.try_reserve(1)
    }

    /// Puts in a timer that is not armed. O(log n), of random keys O(1) on average.
    #[inline]
    pub(crate) fn insert(&mut self, slots: &mut [Slot], id: u32, key: Key) {
        let entry = Entry::new(key, id);
        let leaf = self.entries.len();
        slots[id as usize] = Slot::in_heap(key, leaf as u32);
        self.entries.push(entry);
        if is_misplaced(&self.entries, leaf, entry) {
            rise(&mut self.entries, slots, leaf);
        }
    }

    /// Gives the timer at `position` another key. O(1) if it is later, else O(log n).
    #[inline]
    pub(crate) fn rearm(&mut self, slots: &mut [Slot], id: u32, position: u32, key: Key) {
        let slot = &mut slots[id as usize];
        let pushed_back = slot.key().deadline <= key.deadline;
        slot.set_key(key);
        // Pushed back from where it truly is, it is surely not before its entry, which need not even be read.
        if !pushed_back {
            self.bring_forward(slots, id, position);
        }
    }

    /// Moves the entry at `position` up, if the timer's key is before it.
    #[inline(never)]
    fn bring_forward(&mut self, slots: &mut [Slot], id: u32, position: u32) {
        let (entry, position) = (Entry::new(slots[id as usize].key(), id), position as usize);
        if entry.is_before(self.entries[position]) {
            self.entries[position] = entry;
            if is_misplaced(&self.entries, position, entry) {
                rise(&mut self.entries, slots, position);
            }
        }
    }

    /// Takes out the entry at `position`. O(log n), of random positions O(1) on average.
    #[inline]
    pub(crate) fn remove(&mut self, slots: &mut [Slot], position: u32) {
        let position = position as usize;
        if let Some(last) = self.entries.pop()
            && let Some(removed) = self.entries.get_mut(position)
        {
            *removed = last;
            slots[last.id() as usize].set_position(position);
            if ARITY * position + 1 < self.entries.len() {
                sink(&mut self.entries, slots, position);
            } else if is_misplaced(&self.entries, position, last) {
                rise(&mut self.entries, slots, position);
            }
        }
    }

    /// Gives the first timer, which is `id`, a key that is not earlier, and moves it at once. O(log n).
    #[inline]
    pub(crate) fn delay_first(&mut self, slots: &mut [Slot], id: u32, key: Key) {
        slots[id as usize].set_key(key);
        self.entries[0] = Entry::new(key, id);
        if self.entries.len() > 1 {
            sink(&mut self.entries, slots, 0);
        }
    }

    /// The earliest timer, if it is due. Lagging entries that come up are moved to where they belong.
    #[inline]
    pub(crate) fn first_due(&mut self, slots: &mut [Slot], now: Time) -> Option<Entry> {
        loop {
            let first = self.entries.first_mut().filter(|first| first.deadline <= now)?;
            let up_to_date = Entry::new(slots[first.id() as usize].key(), first.id());
            if *first == up_to_date {
                return Some(up_to_date);
            }
            *first = up_to_date;
            sink(&mut self.entries, slots, 0);
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

    /// Gives back memory that is far from being used, no more than `used` entries having been there since the last time.
    pub(crate) fn trim(&mut self, used: usize) {
        give_back(&mut self.entries, used);
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

/// Whether the entry at `position` is before its parent: of random entries that come or take a hole, one in three is.
#[inline]
fn is_misplaced(entries: &[Entry], position: usize, entry: Entry) -> bool {
    position > 0 && entry.is_before(entries[(position - 1) / ARITY])
}

/// Moves the entry at `hole`, which is before its parent, up until it no longer is, and those parents down.
#[inline(never)]
fn rise(entries: &mut [Entry], slots: &mut [Slot], mut hole: usize) {
    let entry = entries[hole];
    loop {
        let above = (hole - 1) / ARITY;
        let parent = entries[above];
        entries[hole] = parent;
        slots[parent.id() as usize].set_position(hole);
        hole = above;
        if !is_misplaced(entries, hole, entry) {
            break;
        }
    }
    entries[hole] = entry;
    slots[entry.id() as usize].set_position(hole);
}

/// Moves the entry at `hole` down to where its children are not earlier; it may also be before its parent.
///
/// The hole goes down to a leaf, the earliest child up each time, and the entry rises from there. An entry that takes
/// another's place was the last or was pushed back, so it nearly always belongs near the leaves, and not comparing with
/// it on the way down saves a comparison a level.
#[inline(never)]
fn sink(entries: &mut [Entry], slots: &mut [Slot], mut hole: usize) {
    let entry = entries[hole];
    let mut first = ARITY * hole + 1;
    while let Some(children) = entries.get(first..).and_then(<[_]>::first_chunk) {
        let child = earliest(children);
        let moved = children[child];
        entries[hole] = moved;
        slots[moved.id() as usize].set_position(hole);
        hole = first + child;
        first = ARITY * hole + 1;
    }
    // The last siblings may be fewer.
    if let Some(child) = (first..entries.len()).reduce(|a, b| if entries[b].is_before(entries[a]) { b } else { a }) {
        let moved = entries[child];
        entries[hole] = moved;
        slots[moved.id() as usize].set_position(hole);
        hole = child;
    }
    entries[hole] = entry;
    slots[entry.id() as usize].set_position(hole);
    if is_misplaced(entries, hole, entry) {
        rise(entries, slots, hole);
    }
}

/// The index of the earliest. It cannot be predicted, so it is selected without branches.
#[inline]
fn earliest(children: &[Entry; ARITY]) -> usize {
    let earlier = |a: usize, b: usize| select_unpredictable(children[b].is_before(children[a]), b, a);
    earlier(earlier(0, 1), earlier(2, 3))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// The timers 0 to 5 in this order, due at 10 to 15; there is a slot for 6.
    fn six_timers() -> (Heap, Vec<Slot>) {
        let (mut heap, mut slots) = (Heap::new(), vec![Slot::UNARMED; 7]);
        for id in 0..6 {
            heap.insert(&mut slots, id, Key::at(10 + u64::from(id)));
        }
        heap.check_invariants(&slots);
        (heap, slots)
    }

    /// Breaks the six timers and looks at them.
    fn check_after(breaking: impl FnOnce(&mut Heap, &mut [Slot])) {
        let (mut heap, mut slots) = six_timers();
        breaking(&mut heap, &mut slots);
        heap.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "1: ")]
    fn sees_a_child_before_its_parent() {
        check_after(|heap, slots| {
            heap.entries[5] = Entry::new(Key::at(10), 5);
            slots[5].set_key(Key::at(10));
        });
    }

    #[test]
    #[should_panic(expected = "2: ")]
    fn sees_an_entry_after_its_slot() {
        check_after(|_, slots| slots[5].set_key(Key::at(14)));
    }

    #[test]
    #[should_panic(expected = "3: Entry")]
    fn sees_a_slot_with_a_wrong_position() {
        check_after(|_, slots| slots[5].set_position(4));
    }

    #[test]
    #[should_panic(expected = "3: slots without an entry")]
    fn sees_a_slot_without_an_entry() {
        check_after(|_, slots| slots[6] = Slot::in_heap(Key::at(20), 6));
    }
}
