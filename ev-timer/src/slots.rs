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
//! 2. Every armed timer has a slot. There may be more slots.

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
    pub(crate) const UNARMED: Self = Self {
        deadline: Time::ZERO,
        sequence: 0,
        place: NOWHERE,
    };

    #[inline]
    pub(crate) fn in_heap(key: Key, position: u32) -> Self {
        Self {
            deadline: key.deadline,
            sequence: key.sequence,
            place: position,
        }
    }

    #[inline]
    pub(crate) fn in_queue(key: Key, queue: u32) -> Self {
        Self {
            deadline: key.deadline,
            sequence: key.sequence,
            place: FIRST_QUEUE + queue,
        }
    }

    #[inline]
    pub(crate) fn key(&self) -> Key {
        Key {
            deadline: self.deadline,
            sequence: self.sequence,
        }
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
    by_id: Vec<Slot>,
    /// Timers disarmed since the last trim, and how many of them there are to be for the next.
    disarmed: usize,
    trim_at: usize,
    /// Slots that earlier disarmings have paid for cutting.
    credit: usize,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self {
            by_id: Vec::new(),
            disarmed: 0,
            trim_at: SMALL,
            credit: 0,
        }
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            by_id: Vec::with_capacity(capacity),
            ..Self::new()
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Slot] {
        &self.by_id
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Slot] {
        &mut self.by_id
    }

    /// Whether there is a slot for this timer.
    #[inline]
    pub(crate) fn has_room(&self, id: u32) -> bool {
        (id as usize) < self.by_id.len()
    }

    /// Makes sure that there is a slot for this timer.
    ///
    /// # Panics
    ///
    /// If the id is larger than [`MAX_ID`].
    #[cold]
    #[inline(never)]
    pub(crate) fn make_room(&mut self, id: u32) {
        assert!(id <= MAX_ID, "a timer's id is at most {MAX_ID}, not {id}");
        if !self.has_room(id) {
            self.by_id.reserve(id as usize + 1 - self.by_id.len());
            self.lengthen(id);
        }
    }

    pub(crate) fn try_make_room(&mut self, id: u32) -> Result<(), TryReserveError> {
        if !self.has_room(id) {
            // An id that is too large gets the error of an array that would be: one cannot be made by hand.
            let len = if id <= MAX_ID { id as usize + 1 } else { usize::MAX };
            self.by_id.try_reserve(len - self.by_id.len())?;
            self.lengthen(id);
        }
        Ok(())
    }

    /// Makes the array, which has memory for it, reach beyond `id`: where it can to twice the length, so that ids that
    /// come one by one do not come here one by one.
    fn lengthen(&mut self, id: u32) {
        let most = self.by_id.capacity().min(MAX_ID as usize + 1);
        let len = (2 * self.by_id.len()).clamp(id as usize + 1, most);
        self.by_id.resize(len, Slot::UNARMED);
        self.trim_at = len / 16 + SMALL;
    }

    /// The slot of the timer, if it is armed.
    #[inline]
    pub(crate) fn armed(&self, id: u32) -> Option<&Slot> {
        self.by_id.get(id as usize).filter(|slot| slot.is_armed())
    }

    /// Marks the timer as not armed. Returns where it was, and its deadline, or `None` if it was not armed.
    #[inline]
    pub(crate) fn disarm(&mut self, id: u32) -> Option<(Place, Time)> {
        let slot = self.by_id.get_mut(id as usize).filter(|slot| slot.is_armed())?;
        let place = slot.place();
        slot.place = NOWHERE;
        self.disarmed += 1;
        Some((place, slot.deadline))
    }

    /// Whether it is time to trim, `armed` timers being left: every now and then, and at the end of a burst.
    #[inline]
    pub(crate) fn wants_trim(&self, armed: usize) -> bool {
        self.disarmed > self.trim_at || armed == 0 && self.by_id.len() > SMALL
    }

    /// Cuts the array towards the last armed timer, and gives back memory that is far from being used.
    ///
    /// Each timer disarmed pays for cutting four slots. So a timer far out that is armed and disarmed over and over
    /// does not make the array shrink and grow by all its length each time.
    pub(crate) fn trim(&mut self) {
        let len = self.by_id.len();
        self.credit = len.min(self.credit + 4 * self.disarmed);
        self.disarmed = 0;
        let kept = len - self.credit;
        let last = self.by_id[kept..].iter().rposition(Slot::is_armed);
        self.by_id.truncate(last.map_or(kept, |last| kept + last + 1));
        self.credit -= len - self.by_id.len();
        self.trim_at = self.by_id.len() / 16 + SMALL;
        give_back(&mut self.by_id);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        let last = self.by_id.iter().rposition(Slot::is_armed);
        self.by_id.truncate(last.map_or(0, |last| last + 1));
        self.by_id.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The armed timers, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..).zip(&self.by_id).filter(|(_, slot)| slot.is_armed())
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.by_id.capacity() * size_of::<Slot>()
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
