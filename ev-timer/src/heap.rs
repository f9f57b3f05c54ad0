//! A 4-ary heap of deadlines whose entries may lag behind.
//!
//! ```text
//! entries  [0]                      the earliest
//!          [1] [2] [3] [4]          its children
//!          [5] [6] [7] [8] [9] ..   children of [1], of [2], ..: those of i are 4i + 1 ..= 4i + 4
//!           │
//!           └ deadline | sequence | lags? | id ─► slots[id] = position
//! ```
//!
//! The key stands in the entry, so that comparing follows no pointer: four children are 64 bytes. Positions are an array of
//! their own, four bytes a timer, so that moving entries writes to little memory. Where a timer is pushed back whose entry
//! has children, the entry only gets a mark that it lags, and the new key is with the [`Keys`], or whatever the caller has.
//! The entry is moved when it comes up, so a timer that is pushed back a thousand times before its first deadline moves
//! once.
//!
//! 1. An entry's key is not before its parent's.
//! 2. The key of an entry that lags is not after the timer's; that of another is the timer's.
//! 3. A slot says where its entry is, and there are as many slots that say so as entries.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::hint::{cold_path, select_unpredictable};

use crate::Time;
use crate::key::Key;
use crate::keys::Keys;
use crate::slots::{MAX_ID, Place, Slot, give_back, grow, try_grow};

const ARITY: usize = 4;
/// In the tail of an entry: it lags.
const LAGS: u64 = 1 << 31;
const _: () = assert!((MAX_ID as u64) < LAGS);

/// A key and an id, as two words that travel in two registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    deadline: Time,
    /// The sequence in the upper half, then [`LAGS`], the id below.
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
        (self.tail & (LAGS - 1)) as u32
    }

    #[inline]
    pub(crate) fn lags(self) -> bool {
        self.tail & LAGS != 0
    }

    #[inline]
    pub(crate) fn deadline(self) -> Time {
        self.deadline
    }

    #[inline]
    pub(crate) fn key(self) -> Key {
        Key {
            deadline: self.deadline,
            sequence: (self.tail >> 32) as u32,
        }
    }

    /// As [`Key::is_before`]: no two entries have the same sequence, so what is below it does not matter.
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
        let len = self.len() + 1;
        grow(&mut self.entries, len);
    }

    pub(crate) fn try_make_room(&mut self) -> Result<(), TryReserveError> {
        let len = self.len() + 1;
        try_grow(&mut self.entries, len)
    }

    /// Puts in a timer that is not armed. O(log n), of random keys O(1) on average.
    #[inline]
    pub(crate) fn insert(&mut self, slots: &mut [Slot], id: u32, key: Key) {
        let entry = Entry::new(key, id);
        let leaf = self.entries.len();
        slots[id as usize] = Slot::in_heap(leaf);
        self.entries.push(entry);
        if is_misplaced(&self.entries, leaf, entry) {
            rise(&mut self.entries, slots, leaf);
        }
    }

    /// The entry at this position.
    #[inline]
    pub(crate) fn get(&self, position: u32) -> Option<Entry> {
        self.entries.get(position as usize).copied()
    }

    /// The deadline of the timer of which the entry is at this position.
    #[inline]
    pub(crate) fn deadline(&self, keys: &Keys, position: u32) -> Option<Time> {
        let entry = self.get(position)?;
        if entry.lags() {
            keys.get(entry.id()).map(|key| key.deadline)
        } else {
            Some(entry.deadline)
        }
    }

    /// Gives the timer at `position` another key. O(1), and O(log n) if it is before that of the parent.
    #[expect(clippy::inline_always, reason = "as `remove`")]
    #[inline(always)]
    pub(crate) fn rearm(&mut self, slots: &mut [Slot], keys: &mut Keys, id: u32, position: u32, key: Key) {
        let (entry, hole) = (Entry::new(key, id), position as usize);
        if self.may_lag(position, key.deadline) {
            return self.push_back(slots, keys, position, entry);
        }
        self.entries[hole] = entry;
        if is_misplaced(&self.entries, hole, entry) {
            rise(&mut self.entries, slots, hole);
        }
    }

    /// Gives the timer at `position` a key that is not before that of its entry: at once where there are no children that might
    /// be before it then.
    #[inline]
    pub(crate) fn push_back(&mut self, slots: &mut [Slot], keys: &mut Keys, position: u32, entry: Entry) {
        let hole = position as usize;
        if ARITY * hole + 1 >= self.entries.len() {
            self.entries[hole] = entry;
        } else {
            self.push_parent_back(slots, keys, position, entry);
        }
    }

    /// As [`push_back`](Self::push_back), for one with children: the key is only noted.
    #[inline(never)]
    fn push_parent_back(&mut self, slots: &mut [Slot], keys: &mut Keys, position: u32, entry: Entry) {
        if keys.has_room(entry.id()) || keys.try_make_room(slots.len()).is_ok() {
            keys.set(entry.id(), entry.key());
            self.lag(position);
        } else {
            // Without memory for keys, the entry is moved at once.
            self.delay(slots, position, entry.id(), entry.key());
        }
    }

    /// Whether a timer may have this deadline while its entry stays as it is, at `position`.
    #[inline]
    pub(crate) fn may_lag(&self, position: u32, deadline: Time) -> bool {
        self.entries[position as usize].deadline <= deadline
    }

    /// Notes that the timer at `position` has a later key than its entry, which the entry does not know.
    #[inline]
    pub(crate) fn lag(&mut self, position: u32) {
        self.entries[position as usize].tail |= LAGS;
    }

    /// Takes out the entry at `position`. O(log n), of random positions O(1) on average.
    #[expect(
        clippy::inline_always,
        reason = "what is done seldom is a call at the end, which saves no registers"
    )]
    #[inline(always)]
    pub(crate) fn remove(&mut self, slots: &mut [Slot], position: u32) {
        let position = position as usize;
        if let Some(last) = self.entries.pop()
            && let Some(removed) = self.entries.get_mut(position)
        {
            *removed = last;
            slots[last.id() as usize] = Slot::in_heap(position);
            if ARITY * position + 1 < self.entries.len() {
                sink(&mut self.entries, slots, position);
            } else if is_misplaced(&self.entries, position, last) {
                rise(&mut self.entries, slots, position);
            }
        }
    }

    /// Takes out the first entry. O(log n).
    #[inline]
    pub(crate) fn remove_first(&mut self, slots: &mut [Slot]) {
        if let Some(last) = self.entries.pop()
            && let Some(first) = self.entries.first_mut()
        {
            *first = last;
            sink(&mut self.entries, slots, 0);
        }
    }

    /// Gives the timer at `position` a key that is not before that of its entry, and moves it at once. O(log n).
    #[inline]
    pub(crate) fn delay(&mut self, slots: &mut [Slot], position: u32, id: u32, key: Key) {
        self.entries[position as usize] = Entry::new(key, id);
        sink(&mut self.entries, slots, position as usize);
    }

    /// The earliest timer, if it is due. Lagging entries that come up get the key that is theirs, and are moved to where they
    /// belong.
    #[inline]
    pub(crate) fn first_due(&mut self, slots: &mut [Slot], now: Time, key_of: impl Fn(u32) -> Key) -> Option<Entry> {
        loop {
            let first = *self.entries.first().filter(|first| first.deadline <= now)?;
            if !first.lags() {
                return Some(first);
            }
            cold_path();
            self.delay(slots, 0, first.id(), key_of(first.id()));
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
    pub(crate) fn check_invariants(&self, slots: &[Slot], key_of: impl Fn(u32) -> Key) {
        for (position, entry) in self.entries.iter().enumerate() {
            let parent = self.entries[position.saturating_sub(1) / ARITY];
            assert!(!entry.is_before(parent), "1: {entry:?} is before its parent {parent:?}");
            if entry.lags() {
                let key = key_of(entry.id());
                assert!(!key.is_before(entry.key()), "2: {entry:?} is after {key:?}");
            }
            assert_eq!(
                slots[entry.id() as usize].place(),
                Place::Heap(position as u32),
                "3: {entry:?}"
            );
        }
        let places = slots.iter().filter(|slot| matches!(slot.place(), Place::Heap(_)));
        assert_eq!(places.count(), self.entries.len(), "3: slots without an entry");
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

/// The parent of `position` and the entry there; none of the first.
#[inline]
fn parent(entries: &[Entry], position: usize) -> Option<(usize, Entry)> {
    let above = position.wrapping_sub(1) / ARITY;
    entries.get(above).map(|&entry| (above, entry))
}

/// Whether the entry at `position` is before its parent: of random entries that come or take a hole, one in three is.
#[inline]
fn is_misplaced(entries: &[Entry], position: usize, entry: Entry) -> bool {
    parent(entries, position).is_some_and(|(_, parent)| entry.is_before(parent))
}

/// Moves the entry at `hole` up until it is not before its parent, and those parents down.
#[inline(never)]
fn rise(entries: &mut [Entry], slots: &mut [Slot], mut hole: usize) {
    let entry = entries[hole];
    while let Some((above, parent)) = parent(entries, hole)
        && entry.is_before(parent)
    {
        entries[hole] = parent;
        slots[parent.id() as usize] = Slot::in_heap(hole);
        hole = above;
    }
    entries[hole] = entry;
    slots[entry.id() as usize] = Slot::in_heap(hole);
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
        slots[moved.id() as usize] = Slot::in_heap(hole);
        hole = first + child;
        first = ARITY * hole + 1;
    }
    // The last siblings may be fewer.
    if let Some(child) = (first..entries.len()).reduce(|a, b| if entries[b].is_before(entries[a]) { b } else { a }) {
        let moved = entries[child];
        entries[hole] = moved;
        slots[moved.id() as usize] = Slot::in_heap(hole);
        hole = child;
    }
    entries[hole] = entry;
    slots[entry.id() as usize] = Slot::in_heap(hole);
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
        heap.check_invariants(&slots, no_keys);
        (heap, slots)
    }

    fn no_keys(id: u32) -> Key {
        panic!("the entry of {id} does not lag");
    }

    /// Breaks the six timers and looks at them; the key of those whose entries lag is due at 15.
    fn check_after(breaking: impl FnOnce(&mut Heap, &mut [Slot])) {
        let (mut heap, mut slots) = six_timers();
        breaking(&mut heap, &mut slots);
        heap.check_invariants(&slots, |_| Key::at(15));
    }

    #[test]
    fn entries_that_lag_move_when_they_come_up() {
        let (mut heap, mut slots) = six_timers();
        for position in 0..3 {
            assert!(heap.may_lag(position, Time::from_nanos(20)));
            heap.lag(position);
        }
        let key_of = |id| Key::at(20 - u64::from(id));
        heap.check_invariants(&slots, key_of);
        assert_eq!(heap.first_due(&mut slots, Time::from_nanos(9), key_of), None);
        let mut ids = Vec::new();
        while let Some(first) = heap.first_due(&mut slots, Time::MAX, key_of) {
            assert!(!first.lags());
            heap.remove(&mut slots, 0);
            slots[first.id() as usize] = Slot::UNARMED;
            heap.check_invariants(&slots, key_of);
            ids.push(first.id());
        }
        assert_eq!(ids, [3, 4, 5, 2, 1, 0]);
    }

    #[test]
    #[should_panic(expected = "1: ")]
    fn sees_a_child_before_its_parent() {
        check_after(|heap, _| heap.entries[5] = Entry::new(Key::at(10), 5));
    }

    #[test]
    #[should_panic(expected = "2: ")]
    fn sees_an_entry_after_its_key() {
        check_after(|heap, slots| {
            heap.insert(slots, 6, Key::at(16));
            heap.lag(6);
        });
    }

    #[test]
    #[should_panic(expected = "3: Entry")]
    fn sees_a_slot_with_a_wrong_position() {
        check_after(|_, slots| slots[5] = Slot::in_heap(4));
    }

    #[test]
    #[should_panic(expected = "3: slots without an entry")]
    fn sees_a_slot_without_an_entry() {
        check_after(|_, slots| slots[6] = Slot::in_heap(6));
    }
}
