//! The heap alone.

use alloc::collections::TryReserveError;
use core::fmt;

use crate::Time;
use crate::heap::Heap;
use crate::key::Key;
use crate::keys::Keys;
use crate::slots::{MAX_ID, Place, Slots};

/// The deadlines of timers that the caller numbers, in a 4-ary heap.
///
/// For deadlines of every kind where few of them share a duration; [`Timers`](crate::Timers) adds queues for those that
/// do. Arming and cancelling are O(log n), and close to O(1) on average as most entries are near the leaves; pushing a
/// deadline back is O(1); expiry is O(log n). An armed timer takes 20 bytes, and 12 more once one was pushed back.
///
/// Ids, their memory and the order of firing are as in [`Timers`](crate::Timers).
///
/// ```
/// use ev_timer::{DeadlineHeap, Time};
///
/// let mut heap = DeadlineHeap::new();
/// heap.set(0, Time::from_nanos(300));
/// heap.set(1, Time::from_nanos(100));
/// heap.set(2, Time::from_nanos(200));
/// heap.cancel(2);
///
/// assert_eq!(heap.pop_expired(Time::from_nanos(250)), Some((1, Time::from_nanos(100))));
/// assert_eq!(heap.pop_expired(Time::from_nanos(250)), None);
/// assert_eq!(heap.next_wake(), Some(Time::from_nanos(300)));
/// ```
#[derive(Clone)]
pub struct DeadlineHeap {
    heap: Heap,
    slots: Slots,
    keys: Keys,
    armings: u32,
}

impl DeadlineHeap {
    /// The largest id a timer may have, as [`Timers::MAX_ID`](crate::Timers::MAX_ID).
    pub const MAX_ID: u32 = MAX_ID;

    /// A heap without timers and without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Heap::new(),
            slots: Slots::new(),
            keys: Keys::new(),
            armings: 0,
        }
    }

    /// A heap with memory for the timers `0..capacity`.
    ///
    /// # Panics
    ///
    /// If that is more than an array can be long.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            heap: Heap::with_capacity(capacity),
            slots: Slots::with_capacity(capacity),
            ..Self::new()
        }
    }

    /// Makes sure that arming `id` next does not fail for want of memory.
    ///
    /// The promise is for one arming and lasts until another timer is armed or any is disarmed.
    ///
    /// # Errors
    ///
    /// There is not enough memory, or `id` is larger than [`Self::MAX_ID`]. Nothing has changed for the timers.
    pub fn try_reserve(&mut self, id: u32) -> Result<(), TryReserveError> {
        self.slots.try_make_room(id)?;
        self.heap.try_make_room()
    }

    /// Arms the timer, or arms it anew with another deadline.
    ///
    /// O(1) if the timer is armed with an earlier deadline; else O(log n), and O(1) on average of random deadlines.
    ///
    /// # Panics
    ///
    /// If `id` is larger than [`Self::MAX_ID`].
    pub fn set(&mut self, id: u32, deadline: Time) {
        let key = Key::next(deadline, &mut self.armings);
        if !self.slots.has_room(id) {
            self.slots.make_room(id);
        }
        let slots = self.slots.as_mut_slice();
        if let Place::Heap(position) = slots[id as usize].place() {
            self.heap.rearm(slots, &mut self.keys, id, position, key);
        } else {
            self.heap.insert(slots, id, key);
        }
    }

    /// Disarms the timer and returns the deadline it had, `None` if it was not armed. O(log n), O(1) on average.
    pub fn cancel(&mut self, id: u32) -> Option<Time> {
        let deadline = self.deadline(id)?;
        if let Place::Heap(position) = self.slots.place(id) {
            self.heap.remove(self.slots.as_mut_slice(), position);
            self.slots.disarm(id);
            self.trim_at_times();
        }
        Some(deadline)
    }

    /// The deadline of the timer, `None` if it is not armed. O(1).
    #[must_use]
    pub fn deadline(&self, id: u32) -> Option<Time> {
        match self.slots.place(id) {
            Place::Heap(position) => self.heap.deadline(&self.keys, position),
            Place::Nowhere | Place::Queue(_) => None,
        }
    }

    /// When to call [`pop_expired`](Self::pop_expired) next: never after the earliest deadline, possibly before it, see
    /// [`Timers::next_wake`](crate::Timers::next_wake). `None` if no timer is armed. O(1).
    #[inline]
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.heap.first_deadline()
    }

    /// Disarms the first timer whose deadline is not after `now`, and returns it with that deadline.
    ///
    /// First by deadline, then by the order of arming. O(log n), for it and for each timer that was pushed back and comes
    /// up.
    pub fn pop_expired(&mut self, now: Time) -> Option<(u32, Time)> {
        let first = self
            .heap
            .first_due(self.slots.as_mut_slice(), now, |id| self.keys.of(id))?;
        self.cancel(first.id()).map(|deadline| (first.id(), deadline))
    }

    #[inline]
    fn trim_at_times(&mut self) {
        if self.slots.wants_trim(self.len()) {
            self.trim();
        }
    }

    #[cold]
    fn trim(&mut self) {
        self.heap.trim(self.len() + self.slots.disarmed());
        self.slots.trim();
        self.keys.trim(self.slots.len());
    }

    /// The number of armed timers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no timer is armed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Disarms all timers. Keeps the memory. O(1).
    pub fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.keys.clear();
    }

    /// The armed timers and their deadlines, in no particular order. Looks at every id up to the largest in use.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Time)> {
        self.slots
            .armed()
            .filter_map(|id| self.deadline(id).map(|deadline| (id, deadline)))
    }

    /// Gives back all memory that the armed timers do not need. O(largest id in use).
    pub fn shrink_to_fit(&mut self) {
        self.heap.shrink_to_fit();
        self.slots.shrink_to_fit();
        self.keys.shrink_to_fit(self.slots.len());
    }

    /// Checks the structure in O(largest id), for tests.
    ///
    /// # Panics
    ///
    /// If an invariant of the heap does not hold, which is a defect of this crate.
    pub fn check_invariants(&self) {
        self.heap.check_invariants(self.slots.as_slice(), |id| self.keys.of(id));
        assert_eq!(
            self.slots.armed().count(),
            self.len(),
            "a timer is armed and not in the heap"
        );
    }
}

impl Default for DeadlineHeap {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeadlineHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineHeap")
            .field("len", &self.len())
            .field("next_wake", &self.next_wake())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const TIMERS: u32 = 1000;

    fn bytes(heap: &DeadlineHeap) -> usize {
        heap.heap.bytes() + heap.slots.bytes() + heap.keys.bytes()
    }

    fn fill(heap: &mut DeadlineHeap) {
        for id in 0..TIMERS {
            heap.set(id, Time::from_nanos(u64::from(id)));
        }
    }

    #[test]
    fn the_capacity_asked_for_is_there_from_the_start() {
        let mut heap = DeadlineHeap::with_capacity(TIMERS as usize);
        assert_eq!(bytes(&heap), 20 * TIMERS as usize);
        fill(&mut heap);
        assert_eq!(bytes(&heap), 20 * TIMERS as usize);
    }

    #[test]
    fn arming_takes_no_memory_beyond_the_reservation() {
        let mut heap = DeadlineHeap::new();
        for id in 0..TIMERS {
            heap.try_reserve(id).unwrap();
            let before = bytes(&heap);
            heap.set(id, Time::ZERO);
            assert_eq!(bytes(&heap), before, "{id}");
        }
    }

    #[test]
    fn memory_comes_back_after_a_burst() {
        let mut heap = DeadlineHeap::new();
        for expire in [true, false] {
            fill(&mut heap);
            for id in 0..TIMERS {
                let disarmed = if expire {
                    heap.pop_expired(Time::MAX).is_some()
                } else {
                    heap.cancel(id).is_some()
                };
                assert!(disarmed);
            }
            // A burst may follow on a burst. This is the end of them.
            for _ in 0..100 {
                heap.set(0, Time::ZERO);
                heap.cancel(0);
            }
            // Two arrays, each at most four times as long as one that is left alone.
            assert!(bytes(&heap) <= 4 * 64 * (4 + 16), "{}", bytes(&heap));
        }
    }

    #[test]
    fn shrinking_leaves_what_the_timers_take() {
        let mut heap = DeadlineHeap::new();
        fill(&mut heap);
        for id in TIMERS - 50..TIMERS {
            heap.cancel(id);
        }
        heap.shrink_to_fit();
        assert_eq!(bytes(&heap), 20 * (TIMERS as usize - 50));
        heap.check_invariants();
    }

    #[test]
    fn debug_is_readable() {
        let mut heap = DeadlineHeap::new();
        heap.set(3, Time::from_nanos(5));
        assert_eq!(
            format!("{heap:?}"),
            "DeadlineHeap { len: 1, next_wake: Some(Time(5ns)), .. }"
        );
    }

    #[test]
    #[should_panic(expected = "a timer is armed and not in the heap")]
    fn sees_a_timer_armed_elsewhere() {
        let mut heap = DeadlineHeap::new();
        fill(&mut heap);
        let slots = heap.slots.as_mut_slice();
        heap.heap.remove(slots, 999);
        slots[999] = crate::slots::Slot::in_queue(0);
        heap.check_invariants();
    }
}
