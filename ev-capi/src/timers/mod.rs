//! The deadlines of events.
//!
//! ```text
//!  heap: events with a timeout of their own      queues: events of one common timeout each
//!        [0] ..                                          [0] 30 s   event, event, ..
//!                                                        [1] 5 s    event
//!                                                heads:  number of each queue that is not empty, by its first event
//! ```
//!
//! The memory of an event is the program's, so all that is known of its deadline stands there: the engine is not told of
//! deadlines, only how many there are, and an event that waits for nothing else is known to it only while it is active. An
//! event with a deadline takes an entry of 24 bytes in the heap, or of 8 in a queue.
//!
//! To push a deadline back is only to store it, in the heap and in the queues. What comes up before its time goes to where it
//! belongs; from a queue, which has no such place, to the heap.
//!
//! Invariants, beside those of the parts:
//! 1. An event has `EVLIST_TIMEOUT` exactly while it is in the heap or in the queue that it names.
//! 2. `heads` has the queues that are not empty, the earliest last, each with a key that is not after those of its events.
//! 3. All keys come from one count, so that equal deadlines are told apart across heap and queues.
//! 4. The heap has room for all events that are `Late`, at least.
//! 5. What an entry refers to is the memory of an event. Who gives it up deletes the event first, or waits, where the event was
//!    set up again while it was here, until the entry has come up.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::hint::cold_path;
use std::ptr::NonNull;

use ev_core::Time;

use crate::abi::{EVLIST_TIMEOUT, event};

mod heap;
mod queue;
#[cfg(test)]
mod tests;

use self::heap::Heap;
use self::queue::Queue;

/// Arrays of no more than this many entries keep their memory.
const SMALL: usize = 1024;

/// The order in which events fire: by deadline; equal deadlines by the order in which they were set, for those less than 2³¹
/// settings apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    deadline: Time,
    sequence: u32,
}

impl Key {
    #[inline]
    fn is_before(self, other: Self) -> bool {
        if self.deadline == other.deadline {
            cold_path();
            self.sequence.wrapping_sub(other.sequence).cast_signed() < 0
        } else {
            self.deadline < other.deadline
        }
    }
}

/// What an event knows of its deadline, while it has one.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Timer {
    deadline: Cell<Time>,
    sequence: Cell<u32>,
    /// Its place in the heap, or the number of its entry in its queue.
    place: Cell<u32>,
}

impl Timer {
    pub(crate) const fn new() -> Self {
        Self {
            deadline: Cell::new(Time::ZERO),
            sequence: Cell::new(0),
            place: Cell::new(u32::MAX),
        }
    }

    #[inline]
    fn key(&self) -> Key {
        Key {
            deadline: self.deadline.get(),
            sequence: self.sequence.get(),
        }
    }

    #[inline]
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.deadline.get() <= now
    }

    #[inline]
    fn set_key(&self, key: Key) {
        self.deadline.set(key.deadline);
        self.sequence.set(key.sequence);
    }

    #[inline]
    fn set_place(&self, place: u32) {
        self.place.set(place);
    }

    #[inline]
    fn set(&self, key: Key, place: u32) {
        self.set_key(key);
        self.set_place(place);
    }
}

/// Where an event's deadline is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Heap,
    /// In the queue of this number.
    Queue(u16),
    /// There as well, but its deadline was pushed back, so that it belongs further back.
    Late(u16),
}

/// A queue that is not empty, and the key of its first event.
#[derive(Clone, Copy, Debug)]
struct Head {
    key: Key,
    queue: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Heap,
    queues: Vec<Queue>,
    heads: Vec<Head>,
    /// How many events are in queues.
    queued: usize,
    /// How many events wait for a descriptor or a signal as well; more, once one of them was set up again while it was here.
    others: usize,
    /// How often a deadline was set.
    settings: u32,
}

impl Timers {
    /// Makes a queue. The first has the number 0, and each the one after.
    pub(crate) fn add_queue(&mut self) -> Result<(), TryReserveError> {
        self.queues.try_reserve(1)?;
        // No head is ever refused for want of memory.
        self.heads.try_reserve(self.queues.len() + 1 - self.heads.len())?;
        self.queues.push(Queue::new(self.queues.len() as u16));
        Ok(())
    }

    /// The queue that takes a deadline, of the one that it is for, if any: a queue is in the order of deadlines, and time may
    /// have gone back.
    #[inline]
    fn admit(&self, queue: Option<u16>, deadline: Time) -> Option<u16> {
        queue.filter(|&queue| self.queues[usize::from(queue)].accepts(deadline))
    }

    /// Makes sure that [`try_set`](Self::try_set) with the same arguments, if it comes next, does not fail.
    pub(crate) fn try_reserve(
        &mut self,
        event: &event,
        deadline: Time,
        queue: Option<u16>,
    ) -> Result<(), TryReserveError> {
        if is_later(event, deadline) {
            return self.heap.try_reserve();
        }
        match self.admit(queue, deadline) {
            Some(number) => self.queues[usize::from(number)].try_reserve(),
            None => self.heap.try_reserve(),
        }
    }

    /// Sets an event's deadline, in place of the one it has: in the queue of its timeout, if there is one, or in the heap.
    /// Without memory for it nothing has changed.
    #[inline]
    pub(crate) fn try_set(&mut self, event: &event, deadline: Time, queue: Option<u16>) -> Result<(), TryReserveError> {
        let sequence = self.settings;
        let key = Key { deadline, sequence };
        if is_later(event, deadline) {
            self.push_back(event, key)?;
        } else if let Some(number) = self.admit(queue, deadline) {
            self.queues[usize::from(number)].try_reserve()?;
            self.take_out_of_former(event);
            self.append(number, event, key);
        } else {
            self.heap.try_reserve()?;
            self.take_out_of_former(event);
            event.timer_in.set(Place::Heap);
            self.heap.insert(event, key);
        }
        self.settings = sequence.wrapping_add(1);
        self.remember(event);
        Ok(())
    }

    /// Has an event tell that it has a deadline.
    #[inline]
    fn remember(&mut self, event: &event) {
        if !event.has(EVLIST_TIMEOUT) {
            let flags = &event.ev_evcallback.evcb_flags;
            flags.set(flags.get() | EVLIST_TIMEOUT);
            self.others += usize::from(!event.is_timer());
        }
    }

    /// Has an event tell that it has none.
    #[inline]
    fn forget(&mut self, event: &event) {
        let flags = &event.ev_evcallback.evcb_flags;
        flags.set(flags.get() & !EVLIST_TIMEOUT);
        if !event.is_timer() {
            self.others = self.others.saturating_sub(1);
        }
    }

    #[inline]
    fn take_out_of_former(&mut self, event: &event) {
        if event.has(EVLIST_TIMEOUT) {
            self.take_out(event);
        }
    }

    #[inline]
    fn append(&mut self, number: u16, event: &event, key: Key) {
        event.timer_in.set(Place::Queue(number));
        let queue = &mut self.queues[usize::from(number)];
        let was_empty = queue.is_empty();
        queue.push(event, key);
        self.queued += 1;
        if was_empty {
            self.place_head(number, Some(key));
        }
    }

    /// Gives an event a later deadline.
    #[inline]
    fn push_back(&mut self, event: &event, key: Key) -> Result<(), TryReserveError> {
        if let Place::Queue(number) = event.timer_in.get() {
            self.heap.try_reserve()?;
            self.heap.promise();
            event.timer_in.set(Place::Late(number));
        }
        event.timer.set_key(key);
        Ok(())
    }

    /// Takes an event's deadline away, which it has.
    #[inline]
    pub(crate) fn cancel(&mut self, event: &event) {
        self.take_out(event);
        self.forget(event);
    }

    #[inline]
    fn take_out(&mut self, event: &event) {
        if let Place::Queue(number) = event.timer_in.get() {
            self.take_out_of_queue(event, number);
        } else {
            self.take_out_of_heap(event);
        }
    }

    /// Takes an event out that is in the heap, or is to get there.
    #[inline(never)]
    fn take_out_of_heap(&mut self, event: &event) {
        if let Place::Late(number) = event.timer_in.get() {
            self.heap.release();
            self.take_out_of_queue(event, number);
        } else {
            self.heap.remove(event);
        }
    }

    #[inline]
    fn take_out_of_queue(&mut self, event: &event, number: u16) {
        let Some(was_first) = self.queues[usize::from(number)].remove(event) else {
            return;
        };
        self.queued -= 1;
        if was_first {
            self.update_head(number);
        }
    }

    /// Drops what does not belong to the front of a queue that was not empty, and notes what comes first then.
    #[inline(never)]
    fn update_head(&mut self, number: u16) {
        let mut first = self.queues[usize::from(number)].cut_front(&mut self.queued);
        if first.is_some_and(|first| place_of(first) != Place::Queue(number)) {
            first = self.move_late(number);
        }
        let key = first.map(key_of);
        match (self.heads.as_mut_slice(), key) {
            ([only], Some(key)) => only.key = key,
            _ => self.place_head(number, key),
        }
    }

    /// Moves the first events of a queue to the heap, where they were pushed back. Answers what is first then.
    #[inline(never)]
    fn move_late(&mut self, number: u16) -> Option<NonNull<event>> {
        let queue = &mut self.queues[usize::from(number)];
        loop {
            let first = queue.cut_front(&mut self.queued)?;
            if place_of(first) == Place::Queue(number) {
                return Some(first);
            }
            queue.drop_first();
            self.queued -= 1;
            // SAFETY: as for all that an entry refers to (invariant 5).
            let event = unsafe { first.as_ref() };
            event.timer_in.set(Place::Heap);
            self.heap.release();
            self.heap.insert(event, event.timer.key());
        }
    }

    /// Notes the key of the first event of a queue, if there is one. O(number of queues).
    #[inline(never)]
    fn place_head(&mut self, queue: u16, key: Option<Key>) {
        if let Some(known) = self.heads.iter().rposition(|head| head.queue == queue) {
            self.heads.remove(known);
        }
        if let Some(key) = key {
            let later = self.heads.partition_point(|head| key.is_before(head.key));
            self.heads.insert(later, Head { key, queue });
        }
    }

    /// When the loop has to be awake because of a deadline: the earliest one or, where events were pushed back, earlier.
    #[inline]
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let queued = self.heads.last().map(|head| head.key.deadline);
        match (self.heap.first_deadline(), queued) {
            (Some(timer), Some(queued)) => Some(timer.min(queued)),
            (timer, queued) => timer.or(queued),
        }
    }

    /// Takes the earliest event whose deadline is not after `now`.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<NonNull<event>> {
        let event = loop {
            let head = match self.heads.last() {
                Some(head) if head.key.deadline <= now => *head,
                _ => {
                    self.heap.first_due(now)?;
                    break self.heap.pop()?;
                }
            };
            if let Some(timer) = self.heap.first_due(now)
                && timer.is_before(head.key)
            {
                break self.heap.pop()?;
            }
            let queue = &mut self.queues[usize::from(head.queue)];
            let first = queue
                .first()
                .filter(|&first| place_of(first) == Place::Queue(head.queue));
            if first.is_some() {
                queue.drop_first();
                self.queued -= 1;
            }
            self.update_head(head.queue);
            if let Some(first) = first {
                break first;
            }
        };
        // SAFETY: as for all that an entry refers to (invariant 5).
        self.forget(unsafe { event.as_ref() });
        Some(event)
    }

    /// Puts the event back that was taken last. There is room where it was.
    #[cold]
    pub(crate) fn put_back(&mut self, event: &event) {
        self.remember(event);
        if let Place::Queue(number) = event.timer_in.get() {
            self.queues[usize::from(number)].put_back(event);
            self.queued += 1;
            self.place_head(number, Some(event.timer.key()));
        } else {
            self.heap.insert(event, event.timer.key());
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.queued
    }

    /// Whether all events that have a deadline are timers.
    #[inline]
    pub(crate) fn has_only_timers(&self) -> bool {
        self.others == 0
    }

    /// The events that have a deadline, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NonNull<event>> {
        self.heap.iter().chain(self.queues.iter().flat_map(Queue::iter))
    }

    /// The events that have a deadline, the earliest first.
    pub(crate) fn events(&self) -> Vec<NonNull<event>> {
        let mut events: Vec<_> = self.iter().collect();
        events.sort_by_key(|&event| {
            let Key { deadline, sequence } = key_of(event);
            (deadline, sequence.wrapping_sub(self.settings))
        });
        events
    }
}

/// Whether an event tells that it has a deadline.
#[inline]
fn has_deadline(event: NonNull<event>) -> bool {
    // SAFETY: what an entry refers to is memory of an event (invariant 5).
    unsafe { event.as_ref() }.has(EVLIST_TIMEOUT)
}

#[inline]
fn key_of(event: NonNull<event>) -> Key {
    // SAFETY: as in `has_deadline`.
    unsafe { event.as_ref() }.timer.key()
}

/// Whether an event has a deadline and this one is not before it.
#[inline]
fn is_later(event: &event, deadline: Time) -> bool {
    event.has(EVLIST_TIMEOUT) && event.timer.key().deadline <= deadline
}

/// Where the deadline of an event that has one is noted.
#[inline]
fn place_of(event: NonNull<event>) -> Place {
    // SAFETY: as in `has_deadline`.
    unsafe { event.as_ref() }.timer_in.get()
}
