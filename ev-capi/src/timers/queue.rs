//! The events of one common timeout, in the order in which they are due.
//!
//! ```text
//! ring      8      9      10     7         numbers: from `first` to before `next`, each at its remainder
//!           event  (gone) event  event
//!             │
//!             └─► timer: deadline | sequence | place = 8 and a bit that tells it from a place in the heap
//! ```
//!
//! Who is added later is due later, so adding appends. An event that is deleted leaves its entry behind, empty, which goes when
//! it comes to the front; when the ring is full and half of it is empty the entries move together.
//!
//! Invariants:
//! 1. The keys of the events that are not `Late` ascend, and none of their deadlines is after `latest`.
//! 2. An event says what the number of its entry is, and which queue that is in. An entry whose event says otherwise, because
//!    the program has set it up again meanwhile, is one of nobody's, and goes when it comes to the front.
//! 3. The first entry is not empty. Outside of the numbers from `first` to before `next` all are.
//! 4. The length of the ring is a power of two, or zero.

use std::collections::TryReserveError;
use std::mem;
use std::ptr::{self, NonNull};

use ev_core::Time;

use super::{Key, Place, SMALL, Timer, place_of};
use crate::abi::event;

/// Places in queues have this bit; there is no room for as many events in the heap.
const IN_QUEUE: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Queue {
    /// Which of the queues it is.
    number: u16,
    ring: Vec<Option<NonNull<event>>>,
    first: u32,
    next: u32,
    latest: Time,
}

impl Queue {
    pub(super) const fn new(number: u16) -> Self {
        Self {
            number,
            ring: Vec::new(),
            first: 0,
            next: 0,
            latest: Time::ZERO,
        }
    }

    /// Where in the ring a number is.
    #[inline]
    fn at(&self, number: u32) -> usize {
        number as usize & self.ring.len().wrapping_sub(1)
    }

    #[inline]
    fn entry(&self, number: u32) -> Option<NonNull<event>> {
        *self.ring.get(self.at(number))?
    }

    #[inline]
    fn put(&mut self, number: u32, entry: Option<NonNull<event>>) {
        let at = self.at(number);
        self.ring[at] = entry;
    }

    /// The number of entries, empty ones included.
    #[inline]
    fn span(&self) -> usize {
        self.next.wrapping_sub(self.first) as usize
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let first = self.first;
        (0..self.span() as u32).map(move |n| first.wrapping_add(n))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// Whether the queue is still sorted with an event of this deadline at its end.
    #[inline]
    pub(super) fn accepts(&self, deadline: Time) -> bool {
        self.latest <= deadline || self.is_empty()
    }

    /// Makes room for one more.
    #[inline]
    pub(super) fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        if self.span() < self.ring.len() {
            return Ok(());
        }
        self.make_room()
    }

    #[cold]
    fn make_room(&mut self) -> Result<(), TryReserveError> {
        let used = self.ring.iter().flatten().count();
        if used < self.ring.len() / 2 {
            self.close_up();
            return Ok(());
        }
        let mut ring = Vec::new();
        let len = (2 * self.ring.len()).max(8);
        ring.try_reserve_exact(len)?;
        ring.resize(len, None);
        self.move_to(ring);
        Ok(())
    }

    /// Puts all entries into another ring, in which there is room for them.
    fn move_to(&mut self, ring: Vec<Option<NonNull<event>>>) {
        let before = mem::replace(&mut self.ring, ring);
        for number in self.numbers() {
            self.put(number, before[number as usize & (before.len() - 1)]);
        }
    }

    /// Gives half of the memory back if less than a quarter is in use. Tried once in each round of the ring, so that bursts
    /// find their memory in place.
    #[cold]
    fn try_shrink(&mut self) {
        let len = self.ring.len() / 2;
        let mut ring = Vec::new();
        if len >= SMALL && self.span() < len / 2 && ring.try_reserve_exact(len).is_ok() {
            ring.resize(len, None);
            self.move_to(ring);
        }
    }

    /// Moves the entries together.
    fn close_up(&mut self) {
        let mut left = self.first;
        for number in self.numbers() {
            let Some(event) = self.entry(number) else { continue };
            if self.is_at(event, number) {
                timer_of(event).set_place(left | IN_QUEUE);
            }
            self.put(number, None);
            self.put(left, Some(event));
            left = left.wrapping_add(1);
        }
        self.next = left;
    }

    /// Appends an event with a key that the queue accepts, and for which there is room.
    #[inline]
    pub(super) fn push(&mut self, event: &event, key: Key) {
        event.timer.set(key, self.next | IN_QUEUE);
        self.put(self.next, Some(NonNull::from(event)));
        self.next = self.next.wrapping_add(1);
        self.latest = key.deadline;
        if self.at(self.next) == 0 {
            self.try_shrink();
        }
    }

    /// Takes out an event that is in this queue. Answers whether it was the first; `None` if it is not there.
    #[inline]
    pub(super) fn remove(&mut self, event: &event) -> Option<bool> {
        let place = event.timer.place.get();
        let known = self.entry(place).filter(|known| ptr::eq(known.as_ptr(), event));
        debug_assert!(known.is_some(), "the event has its deadline here");
        known?;
        self.put(place, None);
        Some(place == self.first | IN_QUEUE)
    }

    /// Takes out the first entry, which there is.
    #[inline]
    pub(super) fn drop_first(&mut self) {
        self.put(self.first, None);
        self.first = self.first.wrapping_add(1);
    }

    /// Puts the event back that was first until now.
    pub(super) fn put_back(&mut self, event: &event) {
        let back = self.first.wrapping_sub(event.timer.place.get()) & !IN_QUEUE;
        self.first = self.first.wrapping_sub(back);
        self.put(self.first, Some(NonNull::from(event)));
    }

    /// The first event. Its entry may be one of nobody's by now.
    #[inline]
    pub(super) fn first(&self) -> Option<NonNull<event>> {
        self.entry(self.first).filter(|&event| self.is_at(event, self.first))
    }

    /// Drops what is first and empty, or of nobody, and takes off `count` how many the latter were. Answers what is first then.
    #[inline]
    pub(super) fn cut_front(&mut self, count: &mut usize) -> Option<NonNull<event>> {
        while self.first != self.next {
            if let Some(event) = self.entry(self.first) {
                if self.is_at(event, self.first) {
                    return Some(event);
                }
                *count -= 1;
            }
            self.drop_first();
        }
        None
    }

    /// The events, first to last.
    pub(super) fn iter(&self) -> impl Iterator<Item = NonNull<event>> {
        let current = |number| self.entry(number).filter(|&event| self.is_at(event, number));
        self.numbers().filter_map(current)
    }

    /// Whether an event says that its entry has this number here.
    #[inline]
    fn is_at(&self, event: NonNull<event>, number: u32) -> bool {
        timer_of(event).place.get() == number | IN_QUEUE
            && matches!(place_of(event), Place::Queue(queue) | Place::Late(queue) if queue == self.number)
    }

    /// The number of entries that are not empty.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.ring.iter().flatten().count()
    }

    #[cfg(test)]
    pub(super) fn has(&self, event: &event) -> bool {
        self.iter().any(|known| ptr::eq(known.as_ptr(), event))
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let in_place = || self.iter().filter(|&event| !matches!(place_of(event), Place::Late(_)));
        let keys = || in_place().map(|event| timer_of(event).key());
        assert!(keys().is_sorted_by(|a, b| a.is_before(*b)), "1: {self:?}");
        assert!(keys().all(|key| key.deadline <= self.latest), "1: {self:?}");
        assert_eq!(self.is_empty(), self.entry(self.first).is_none(), "3: {self:?}");
        let inside = self.numbers().filter(|&number| self.entry(number).is_some()).count();
        assert_eq!(self.count(), inside, "3: {self:?}");
        assert!(self.ring.is_empty() || self.ring.len().is_power_of_two(), "4: {self:?}");
    }
}

#[inline]
fn timer_of<'a>(event: NonNull<event>) -> &'a Timer {
    // SAFETY: what an entry refers to is memory of an event (invariant 5 of `timers`).
    &unsafe { event.as_ref() }.timer
}
