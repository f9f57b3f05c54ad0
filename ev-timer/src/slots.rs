//! Where each timer is, by its id.
//!
//! ```text
//! id      0      1      2
//!         place  place  ..
//!           │      │
//!           ▼      ▼
//!   position in    number of
//!     a heap       a queue
//! ```
//!
//! A place is one of three, told apart by its range, and takes 4 bytes. All arrays are trimmed together, from time to time as
//! timers are disarmed. Invariants:
//!
//! 1. The place of a timer that is not armed is `NOWHERE`, and only theirs is.
//! 2. Every armed timer has a slot. There may be more slots.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// Places from here on are queues; below are positions in a heap, which are fewer than there are ids.
const FIRST_QUEUE: u32 = u32::MAX - 512;
const NOWHERE: u32 = u32::MAX;

/// The largest id. The heap has 31 bits for it.
pub(crate) const MAX_ID: u32 = u32::MAX >> 1;
const _: () = assert!(MAX_ID < FIRST_QUEUE);

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

/// A [`Place`] in four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const UNARMED: Self = Self(NOWHERE);

    #[inline]
    pub(crate) fn in_heap(position: usize) -> Self {
        Self(position as u32)
    }

    #[inline]
    pub(crate) fn in_queue(queue: u32) -> Self {
        Self(FIRST_QUEUE + queue)
    }

    #[expect(clippy::inline_always, reason = "who matches on it has one comparison less")]
    #[inline(always)]
    pub(crate) fn place(self) -> Place {
        match self.0 {
            position @ ..FIRST_QUEUE => Place::Heap(position),
            NOWHERE => Place::Nowhere,
            queue => Place::Queue(queue - FIRST_QUEUE),
        }
    }

    #[inline]
    pub(crate) fn is_armed(self) -> bool {
        self != Self::UNARMED
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Slots {
    by_id: Vec<Slot>,
    /// Timers disarmed since the last trim, and how many of them there are to be for the next.
    disarmed: usize,
    trim_at: usize,
    /// One more than the largest id disarmed since the last trim: slots below are in use.
    reached: usize,
    /// Slots that earlier disarmings have paid for cutting.
    credit: usize,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self {
            by_id: Vec::new(),
            disarmed: 0,
            trim_at: SMALL,
            reached: 0,
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
            grow(&mut self.by_id, id as usize + 1);
            self.lengthen(id);
        }
    }

    pub(crate) fn try_make_room(&mut self, id: u32) -> Result<(), TryReserveError> {
        if !self.has_room(id) {
            // An id that is too large gets the error of an array that would be: one cannot be made by hand.
            let len = if id <= MAX_ID { id as usize + 1 } else { usize::MAX };
            try_grow(&mut self.by_id, len)?;
            self.lengthen(id);
        }
        Ok(())
    }

    /// Makes the array, which has memory for it, reach beyond `id`: where it can by half its length, so that ids that come
    /// one by one do not come here one by one.
    fn lengthen(&mut self, id: u32) {
        let most = self.by_id.capacity().min(MAX_ID as usize + 1);
        let usual = self.by_id.len() + 4 + self.by_id.len() / 2;
        let len = usual.clamp(id as usize + 1, most);
        self.by_id.resize(len, Slot::UNARMED);
        self.trim_at = len + SMALL;
    }

    /// Where the timer is.
    #[inline]
    pub(crate) fn place(&self, id: u32) -> Place {
        self.slot(id).place()
    }

    #[inline]
    pub(crate) fn slot(&self, id: u32) -> Slot {
        self.by_id.get(id as usize).copied().unwrap_or(Slot::UNARMED)
    }

    /// Marks an armed timer as not armed.
    #[inline]
    pub(crate) fn disarm(&mut self, id: u32) {
        self.by_id[id as usize] = Slot::UNARMED;
        self.disarmed += 1;
        self.reached = self.reached.max(id as usize + 1);
    }

    /// Whether it is time to trim, `armed` timers being left: when as many were disarmed as there are slots, and at the
    /// end of a burst.
    #[inline]
    pub(crate) fn wants_trim(&self, armed: usize) -> bool {
        self.disarmed > self.trim_at || armed == 0 && self.by_id.len() > SMALL
    }

    /// Timers disarmed since the last trim. No more than these and those armed now were armed at once.
    pub(crate) fn disarmed(&self) -> usize {
        self.disarmed
    }

    /// Cuts the array towards the last timer that is armed or was since the last trim, and gives back memory that was far
    /// from being used. O(1) for each timer disarmed since then.
    ///
    /// Each timer disarmed pays for cutting four slots, and what was in use since the last trim is not cut. So neither a timer
    /// far out that is armed and disarmed over and over nor a burst after a burst makes the array shrink and grow by all its
    /// length each time.
    pub(crate) fn trim(&mut self) {
        let len = self.by_id.len();
        self.credit = len.min(self.credit + 4 * self.disarmed);
        self.disarmed = 0;
        let kept = (len - self.credit).max(self.reached);
        self.reached = 0;
        let last = self.by_id[kept..].iter().rposition(|slot| slot.is_armed());
        self.by_id.truncate(last.map_or(kept, |last| kept + last + 1));
        self.credit -= len - self.by_id.len();
        self.trim_at = self.by_id.len() + SMALL;
        give_back(&mut self.by_id, len);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        let last = self.by_id.iter().rposition(|slot| slot.is_armed());
        self.by_id.truncate(last.map_or(0, |last| last + 1));
        self.by_id.shrink_to_fit();
        self.reached = 0;
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
        self.reached = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The armed timers, in the order of their ids.
    pub(crate) fn armed(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.by_id)
            .filter(|(_, slot)| slot.is_armed())
            .map(|(id, _)| id)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.by_id.capacity() * size_of::<Slot>()
    }
}

/// Makes room for `len` elements in all. An array grows by half its length at least: that costs O(1) for each element, and
/// leaves a third of the memory unused at most.
pub(crate) fn try_grow<T>(array: &mut Vec<T>, len: usize) -> Result<(), TryReserveError> {
    if len <= array.capacity() {
        return Ok(());
    }
    let (more, usual) = (len - array.len(), 4 + array.len() / 2);
    array
        .try_reserve_exact(more.max(usual))
        .or_else(|_| array.try_reserve_exact(more))
}

/// As [`try_grow`].
///
/// # Panics
///
/// As any array does for which there is no memory.
pub(crate) fn grow<T>(array: &mut Vec<T>, len: usize) {
    if try_grow(array, len).is_err() {
        array.reserve(len - array.len());
    }
}

/// Gives back memory if no more than `used` elements were there since the last trim, and that is less than a quarter of
/// what the array has. Half of what is left stays free, so that the array has to double, or to fall by half, before memory
/// moves again; and a burst that follows on another finds its memory in place. Without memory to move to, all stays as it is.
pub(crate) fn give_back<T: Copy>(array: &mut Vec<T>, used: usize) {
    let left = 2 * used.max(SMALL);
    let mut smaller = Vec::new();
    if array.capacity() > 2 * left + 3 && array.len() <= left && smaller.try_reserve_exact(left).is_ok() {
        smaller.extend_from_slice(array);
        *array = smaller;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots for `0..len`, of which the last is armed.
    fn slots(len: usize) -> Slots {
        let mut slots = Slots::with_capacity(len);
        slots.make_room(len as u32 - 1);
        assert_eq!(slots.len(), len);
        slots.as_mut_slice()[len - 1] = Slot::in_heap(0);
        slots
    }

    /// Arms and disarms the first timer until it is time to trim.
    fn disarmings_until_trim(slots: &mut Slots) -> Option<usize> {
        (1..10_000).find(|_| {
            slots.as_mut_slice()[0] = Slot::in_heap(0);
            slots.disarm(0);
            slots.wants_trim(1)
        })
    }

    #[test]
    fn places_are_not_mistaken_for_one_another() {
        for position in [0, 1, MAX_ID] {
            assert_eq!(Slot::in_heap(position as usize).place(), Place::Heap(position));
        }
        for queue in [0, 1, 511] {
            assert_eq!(Slot::in_queue(queue).place(), Place::Queue(queue));
        }
        assert_eq!(Slot::UNARMED.place(), Place::Nowhere);
    }

    #[test]
    fn ids_that_come_one_by_one_make_room_seldom() {
        let mut slots = Slots::new();
        let mut growths = 0;
        for id in 0..1 << 16 {
            if !slots.has_room(id) {
                slots.make_room(id);
                growths += 1;
            }
        }
        assert!(growths <= 30, "{growths} for 2^16 ids");
        assert!(slots.bytes() <= 3 * slots.len() / 2 * size_of::<Slot>());
    }

    #[test]
    fn a_trim_is_due_when_more_were_disarmed_than_there_are_slots() {
        for len in [SMALL, 1600, 5000] {
            let mut slots = slots(len);
            for _ in 0..3 {
                assert_eq!(disarmings_until_trim(&mut slots), Some(len + SMALL + 1));
                slots.trim();
                assert_eq!(slots.len(), len, "the last one is armed");
            }
        }
    }

    #[test]
    fn a_trim_is_due_when_no_timer_is_left_unless_the_array_is_small() {
        for (len, due) in [(SMALL, false), (SMALL + 1, true)] {
            let mut slots = slots(len);
            assert!(!slots.wants_trim(1));
            slots.disarm(len as u32 - 1);
            assert_eq!(slots.wants_trim(0), due, "{len} slots");
        }
    }

    #[test]
    fn memory_is_given_back_where_less_than_a_quarter_is_used() {
        for (len, capacity, left) in [
            (0, 4 * SMALL + 3, 4 * SMALL + 3),
            (0, 4 * SMALL + 4, 2 * SMALL),
            (1000, 4003, 4003),
            (1000, 4004, 2000),
        ] {
            let mut array = Vec::<u64>::with_capacity(capacity);
            array.resize(len, 0);
            give_back(&mut array, len);
            assert_eq!((array.len(), array.capacity()), (len, left), "{len} of {capacity}");
        }
    }
}
