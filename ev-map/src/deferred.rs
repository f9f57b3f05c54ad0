//! The queue of descriptors whose change is made later.
//!
//! First in, first out, so that the kernel hears of descriptors in the order in which they changed. It is linked
//! through the slots: a descriptor joins without allocating, hence without failing.
//!
//! One that is likely not to need its change may join *loosely*: it is only noted, and linked when the next one comes. If it is
//! withdrawn before that, it was never on the queue. So are one-shot events that are added again in their callback.
//!
//! # Invariants
//!
//! 1. A slot's `next_deferred` is `NOT_DEFERRED` exactly if the descriptor is not linked; `loose` is not.
//! 2. From `first` along the `next_deferred` of queued slots one arrives at `last`, whose `next_deferred` is `END`.

use std::mem;
use std::os::fd::RawFd;

use crate::slots::{Slot, Slots};

/// The link of a descriptor that is not queued. No descriptor is negative.
pub(crate) const NOT_DEFERRED: RawFd = -1;

/// The link of the last in the queue.
const END: RawFd = -2;

/// The two ends of the queue.
#[derive(Debug)]
pub(crate) struct Deferred {
    /// `END` if nothing is linked.
    first: RawFd,
    /// Of no meaning if nothing is linked.
    last: RawFd,
    /// The one that has joined last, if it did so loosely; else `END`.
    loose: RawFd,
}

impl Deferred {
    pub(crate) const fn new() -> Self {
        Self {
            first: END,
            last: END,
            loose: END,
        }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.first == END && self.loose == END
    }

    /// Whether `fd` is on the queue.
    pub(crate) fn contains(&self, slots: &Slots, fd: RawFd) -> bool {
        slots.get(fd).is_some_and(|slot| self.loose == fd || slot.is_linked())
    }

    /// Lets `fd` join the queue, unless it is there already or has no slot.
    #[inline]
    pub(crate) fn push(&mut self, slots: &mut Slots, fd: RawFd) {
        if fd != self.loose {
            self.link_loose(slots);
            self.link(slots, fd);
        }
    }

    /// As [`push`](Self::push), one that has a slot and is not linked. It can be [withdrawn](Self::withdraw) until another
    /// one joins.
    #[inline]
    pub(crate) fn push_loosely(&mut self, slots: &mut Slots, fd: RawFd) {
        if fd != self.loose {
            self.link_loose(slots);
            self.loose = fd;
        }
    }

    /// Takes `fd` off the queue if it is on it loosely. Answers whether it was.
    #[inline]
    pub(crate) fn withdraw(&mut self, fd: RawFd) -> bool {
        let is_loose = self.loose == fd;
        if is_loose {
            self.loose = END;
        }
        is_loose
    }

    #[inline]
    fn link_loose(&mut self, slots: &mut Slots) {
        if self.loose != END {
            let loose = mem::replace(&mut self.loose, END);
            self.link(slots, loose);
        }
    }

    #[inline(never)]
    fn link(&mut self, slots: &mut Slots, fd: RawFd) {
        match slots.get_mut(fd) {
            Some(slot) if !slot.is_linked() => slot.next_deferred = END,
            _ => return,
        }
        if self.first == END {
            self.first = fd;
        } else if let Some(last) = slots.get_mut(self.last) {
            last.next_deferred = fd;
        }
        self.last = fd;
    }

    /// Takes the one that has waited longest.
    pub(crate) fn pop(&mut self, slots: &mut Slots) -> Option<RawFd> {
        self.link_loose(slots);
        let fd = self.first;
        let slot = slots.get_mut(fd)?;
        self.first = mem::replace(&mut slot.next_deferred, NOT_DEFERRED);
        Some(fd)
    }

    /// Lets all descriptors that are `chosen` form the queue, by number, and no others.
    pub(crate) fn refill(&mut self, slots: &mut Slots, chosen: impl Fn(&Slot) -> bool) {
        *self = Self::new();
        let mut end = &mut self.first;
        for (fd, slot) in slots.iter_mut() {
            slot.next_deferred = NOT_DEFERRED;
            if chosen(slot) {
                (*end, self.last) = (fd, fd);
                slot.next_deferred = END;
                end = &mut slot.next_deferred;
            }
        }
    }

    /// Asserts the invariants.
    pub(crate) fn check_invariants(&self, slots: &Slots) {
        let marked = slots.iter().filter(|(_, slot)| slot.is_linked()).count();
        let (mut queued, mut last, mut at) = (0, END, self.first);
        while at != END {
            let next = slots.get(at).map_or(NOT_DEFERRED, |slot| slot.next_deferred);
            assert_ne!(next, NOT_DEFERRED, "deferred 1: {at} is queued without the mark");
            queued += 1;
            assert!(queued <= marked, "deferred 2: a circle");
            (last, at) = (at, next);
        }
        assert_eq!(queued, marked, "deferred 1: marks of descriptors that are not queued");
        let is_linked = slots.get(self.loose).is_some_and(Slot::is_linked);
        assert!(!is_linked, "deferred 1: linked and loose");
        assert!(queued == 0 || last == self.last, "deferred 2: the end of the queue");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(fds: &[RawFd]) -> Slots {
        let mut slots = Slots::new();
        for &fd in fds {
            slots.reserve(fd).unwrap();
        }
        slots
    }

    #[test]
    fn first_in_first_out_and_once() {
        let mut slots = slots(&[0, 300, 7]);
        let mut queue = Deferred::new();
        for fd in [300, 0, 300, 7, 0] {
            queue.push(&mut slots, fd);
            queue.check_invariants(&slots);
        }
        assert_eq!(queue.pop(&mut slots), Some(300));
        queue.check_invariants(&slots);
        queue.push(&mut slots, 300);
        for fd in [0, 7, 300] {
            assert_eq!(queue.pop(&mut slots), Some(fd));
            queue.check_invariants(&slots);
        }
        assert_eq!(queue.pop(&mut slots), None);
        queue.push(&mut slots, 7);
        assert_eq!(queue.pop(&mut slots), Some(7));
        assert_eq!(queue.pop(&mut slots), None);
    }

    #[test]
    fn who_joins_loosely_is_withdrawn_or_takes_the_place_of_its_turn() {
        let mut slots = slots(&[0, 300, 7]);
        let mut queue = Deferred::new();
        queue.push_loosely(&mut slots, 300);
        queue.push_loosely(&mut slots, 300);
        queue.check_invariants(&slots);
        assert!(queue.contains(&slots, 300) && !queue.is_empty());
        assert!(!queue.withdraw(7) && queue.withdraw(300));
        assert!(!queue.contains(&slots, 300) && queue.is_empty());
        assert_eq!(queue.pop(&mut slots), None);

        queue.push_loosely(&mut slots, 300);
        queue.push_loosely(&mut slots, 7);
        assert!(!queue.withdraw(300), "another one has joined");
        queue.push(&mut slots, 7);
        queue.push(&mut slots, 0);
        queue.check_invariants(&slots);
        assert!(!queue.withdraw(7), "another one has joined");
        for fd in [300, 7, 0] {
            assert!(queue.contains(&slots, fd));
            assert_eq!(queue.pop(&mut slots), Some(fd));
            assert!(!queue.contains(&slots, fd));
        }
        queue.push_loosely(&mut slots, 0);
        assert_eq!(queue.pop(&mut slots), Some(0), "not only those that are linked");
        queue.push_loosely(&mut slots, 0);
        queue.refill(&mut slots, |_| false);
        assert!(queue.is_empty());
    }

    #[test]
    fn refills_by_number() {
        let mut slots = slots(&[9, 0, 300, 7]);
        let mut queue = Deferred::new();
        for fd in [300, 8, 0] {
            queue.push(&mut slots, fd);
        }
        for fd in [300, 9, 7] {
            slots.get_mut(fd).unwrap().generation = 1;
        }
        queue.refill(&mut slots, |slot| slot.generation == 1);
        queue.check_invariants(&slots);
        queue.push(&mut slots, 8);
        for fd in [7, 9, 300, 8] {
            assert_eq!(queue.pop(&mut slots), Some(fd));
        }
        assert_eq!(queue.pop(&mut slots), None);

        queue.push(&mut slots, 7);
        queue.refill(&mut slots, |_| false);
        queue.check_invariants(&slots);
        assert_eq!(queue.pop(&mut slots), None);
    }

    #[test]
    fn a_descriptor_without_a_slot_does_not_join() {
        let mut slots = slots(&[0]);
        let mut queue = Deferred::new();
        for fd in [NOT_DEFERRED, END, 256, RawFd::MAX] {
            queue.push(&mut slots, fd);
            assert!(!queue.contains(&slots, fd), "{fd}");
        }
        assert_eq!(queue.pop(&mut slots), None);
    }

    /// Descriptors 0 and 7 in the queue, and 9 not.
    fn two_queued() -> (Slots, Deferred) {
        let mut slots = slots(&[0, 7, 9]);
        let mut queue = Deferred::new();
        for fd in [0, 7] {
            queue.push(&mut slots, fd);
        }
        queue.check_invariants(&slots);
        (slots, queue)
    }

    #[test]
    #[should_panic(expected = "deferred 1: marks")]
    fn sees_a_mark_of_one_that_is_not_queued() {
        let (mut slots, queue) = two_queued();
        slots.get_mut(9).unwrap().next_deferred = END;
        queue.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "deferred 1: 9 is queued without the mark")]
    fn sees_one_that_is_queued_without_the_mark() {
        let (mut slots, queue) = two_queued();
        slots.get_mut(7).unwrap().next_deferred = 9;
        queue.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "deferred 2: a circle")]
    fn sees_a_circle() {
        let (mut slots, queue) = two_queued();
        slots.get_mut(7).unwrap().next_deferred = 0;
        queue.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "deferred 2: the end")]
    fn sees_a_wrong_end() {
        let (slots, mut queue) = two_queued();
        queue.last = 0;
        queue.check_invariants(&slots);
    }
}
