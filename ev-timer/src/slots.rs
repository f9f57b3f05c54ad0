//! What is known of each timer, by its id.
//!
//! ```text
//! id      0                        1                       2
//!         deadline|sequence|place  deadline|sequence|place  ..
//!                            │                        │
//!                            ▼                        ▼
//!                     position in a heap       number of a queue
//! ```
//!
//! The heap and the queues order ids; the deadline that counts stands here, 16 bytes an id. A `place` is one of three,
//! told apart by its range. Invariants:
//!
//! 1. The place of a timer that is not armed is `NOWHERE`, and only theirs is.
//! 2. The array reaches no further than the largest id armed since the last trim.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::Time;
use crate::key::Key;

/// Places from here on are queues; below are positions in a heap, which are fewer than there are ids.
const FIRST_QUEUE: u32 = u32::MAX - 512;
const NOWHERE: u32 = u32::MAX;

/// The largest id.
pub(crate) const MAX_ID: u32 = FIRST_QUEUE - 1;

/// Arrays no longer than this are left alone.
const SMALL: usize = 64;

/// Where a timer is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Nowhere,
    /// At this position of the heap's array.
    Heap(u32),
    /// In the queue of this number.
    Queue(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    deadline: Time,
    sequence: u32,
    place: u32,
}

const _: () = assert!(size_of::<Slot>() == 16);

impl Slot {
    pub(crate) const UNARMED: Self = Self { deadline: Time::ZERO, sequence: 0, place: NOWHERE };

    #[inline]
    pub(crate) fn in_heap(key: Key, position: u32) -> Self {
        Self { deadline: key.deadline, sequence: key.sequence, place: position }
    }

    #[inline]
    pub(crate) fn in_queue(key: Key, queue: u32) -> Self {
        Self { deadline: key.deadline, sequence: key.sequence, place: FIRST_QUEUE + queue }
    }

    #[inline]
    pub(crate) fn key(&self) -> Key {
        Key { deadline: self.deadline, sequence: self.sequence }
    }

    #[inline]
    pub(crate) fn place(&self) -> Place {
        match self.place {
            NOWHERE => Place::Nowhere,
            queue @ FIRST_QUEUE.. => Place::Queue(queue - FIRST_QUEUE),
            position => Place::Heap(position),
        }
    }

    #[inline]
    pub(crate) fn set_key(&mut self, key: Key) {
        self.deadline = key.deadline;
        self.sequence = key.sequence;
    }

    #[inline]
    pub(crate) fn set_position(&mut self, position: usize) {
        self.place = position as u32;
    }

    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.place != NOWHERE
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// Timers disarmed since the last trim.
    disarmed: usize,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), disarmed: 0 }
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), disarmed: 0 }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Slot] {
        &self.slots
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// Where the timer is. Makes room for it.
    ///
    /// # Panics
    ///
    /// If the id is larger than [`MAX_ID`].
    #[inline]
    pub(crate) fn place(&mut self, id: u32) -> Place {
        if let Some(slot) = self.slots.get(id as usize) {
            slot.place()
        } else {
            self.grow(id);
            Place::Nowhere
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, id: u32) {
        if (id as usize) < self.slots.len() { return; }
        assert!(id <= MAX_ID, "a timer's id is at most {MAX_ID}, not {id}");
        self.slots.resize(id as usize + 1, Slot::UNARMED);
    }

    pub(crate) fn try_make_room(&mut self, id: u32) -> Result<(), TryReserveError> {
        // An id that is too large is told as the error of an array that would be: the type cannot be made by hand.
        let len = if id <= MAX_ID { id as usize + 1 } else { usize::MAX };
        if len > self.slots.len() {
            self.slots.try_reserve(len - self.slots.len())?;
            self.slots.resize(len, Slot::UNARMED);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn armed(&self, id: u32) -> Option<&Slot> {
        self.slots.get(id as usize).filter(|slot| slot.is_armed())
    }

    /// Marks the timer as not armed, and returns the deadline it had.
    #[inline]
    pub(crate) fn disarm(&mut self, id: u32) -> Time {
        self.disarmed += 1;
        let slot = &mut self.slots[id as usize];
        slot.place = NOWHERE;
        slot.deadline
    }

    /// Whether so many timers were disarmed since the last trim that they pay for one, and for growing again after it.
    #[inline]
    pub(crate) fn wants_trim(&self) -> bool {
        self.disarmed > self.slots.len() / 4 + SMALL
    }

    /// Cuts the array after the last armed timer and gives back memory that is far from being used.
    pub(crate) fn trim(&mut self) {
        self.cut();
        give_back(&mut self.slots);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.cut();
        self.slots.shrink_to_fit();
    }

    fn cut(&mut self) {
        self.disarmed = 0;
        let last = self.slots.iter().rposition(Slot::is_armed);
        self.slots.truncate(last.map_or(0, |last| last + 1));
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.disarmed = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The armed timers, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.is_armed())
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

/// Gives back memory if the array uses less than a quarter of what it has. Half of what is left stays free, so that the
/// array has to double, or to fall by half, before memory moves again.
pub(crate) fn give_back<T>(array: &mut Vec<T>) {
    let used = array.len().max(SMALL);
    if array.capacity() / 4 > used {
        array.shrink_to(2 * used);
    }
}
