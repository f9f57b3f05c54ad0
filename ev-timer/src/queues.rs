//! Same-duration queues, and which of them comes first.
//!
//! ```text
//! queues  [0] 30 s   7 ◄─► 2 ◄─► 9          heads       a heap of queue numbers,
//!         [1] 100 ms 4                        [1]        each under its head's key
//!         [2] 5 s    (empty)                  └ [0]
//! ```
//!
//! Timers with the same timeout, armed as time goes on, are sorted by the order of arming. A timer that would not be (the
//! time it was armed at went back) is refused, and its owner puts it elsewhere.
//!
//! 1. From head to tail of a queue, keys ascend.
//! 2. `heads` holds the queues that are not empty, each under the key of its head. As in any of these heaps an entry
//!    may lag, so a head that goes is only noted.
//! 3. A timer's slot says which queue it is in, and the links of that queue hold it.
//! 4. No two queues have the same timeout.
//! 5. At most `MOST_KEPT` queues are kept for a handle, and at most `MOST_FOUND` are not.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::Time;
use crate::heap::{Entry, Heap};
use crate::key::Key;
use crate::list::{Links, List};
use crate::slots::{Place, Slot};

/// The most queues that have a handle: libevent's `MAX_COMMON_TIMEOUTS`.
pub(crate) const MOST_KEPT: usize = 256;
/// The most queues that were found and can be put to another use.
const MOST_FOUND: usize = 64;

#[derive(Clone, Debug)]
struct Queue {
    timeout: u64,
    list: List,
    /// A handle was given out: the queue keeps its timeout for good.
    kept: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Queues {
    by_number: Vec<Queue>,
    links: Links,
    heads: Heap,
    head_slots: Vec<Slot>,
}

impl Queues {
    pub(crate) const fn new() -> Self {
        Self {
            by_number: Vec::new(),
            links: Links::new(),
            heads: Heap::new(),
            head_slots: Vec::new(),
        }
    }

    /// The timeout of a queue in nanoseconds, `None` if there is no such queue.
    #[inline]
    pub(crate) fn timeout(&self, queue: u32) -> Option<u64> {
        self.by_number.get(queue as usize).map(|queue| queue.timeout)
    }

    /// The queue of this timeout, made if need be and kept for good. `None` if there are too many.
    pub(crate) fn keep(&mut self, timeout: u64) -> Option<u32> {
        let found = self.position(timeout);
        let is_kept = found.is_some_and(|queue| self.by_number[queue as usize].kept);
        if !is_kept && self.kept() == MOST_KEPT {
            return None;
        }
        let queue = found.unwrap_or_else(|| self.add(timeout));
        self.by_number[queue as usize].kept = true;
        Some(queue)
    }

    /// The queue of this timeout, made if need be. `None` if there are too many and all that were found before are used
    /// by a timer or `wanted`, or if there is no memory.
    pub(crate) fn find(&mut self, timeout: u64, wanted: impl Fn(u64, u32) -> bool) -> Option<u32> {
        if let Some(queue) = self.position(timeout) {
            return Some(queue);
        }
        if self.by_number.len() - self.kept() < MOST_FOUND {
            self.by_number.try_reserve(1).ok()?;
            self.head_slots.try_reserve(1).ok()?;
            self.heads.try_make_room().ok()?;
            return Some(self.add(timeout));
        }
        let (number, idle) = (0..)
            .zip(&mut self.by_number)
            .find(|(number, queue)| !queue.kept && queue.list.is_empty() && !wanted(queue.timeout, *number))?;
        idle.timeout = timeout;
        Some(number)
    }

    fn position(&self, timeout: u64) -> Option<u32> {
        self.by_number
            .iter()
            .position(|queue| queue.timeout == timeout)
            .map(|queue| queue as u32)
    }

    fn kept(&self) -> usize {
        self.by_number.iter().filter(|queue| queue.kept).count()
    }

    fn add(&mut self, timeout: u64) -> u32 {
        let number = self.by_number.len() as u32;
        self.head_slots.push(Slot::UNARMED);
        self.by_number.push(Queue {
            timeout,
            list: List::new(),
            kept: false,
        });
        number
    }

    /// Makes room for one more queue that is not empty.
    pub(crate) fn try_make_room(&mut self) -> Result<(), TryReserveError> {
        self.heads.try_make_room()
    }

    /// Whether the queue is still sorted with the timer at its end, and there is memory for its links.
    #[inline]
    pub(crate) fn accepts(&mut self, slots: &[Slot], queue: u32, id: u32, deadline: Time) -> bool {
        let tail = self.by_number[queue as usize].list.tail();
        tail.is_none_or(|tail| slots[tail as usize].key().deadline <= deadline)
            && self.links.try_make_room(id, slots.len()).is_ok()
    }

    /// Appends a timer that is in no queue, and that this one accepts.
    #[inline]
    pub(crate) fn push(&mut self, slots: &mut [Slot], queue: u32, id: u32, key: Key) {
        let list = &mut self.by_number[queue as usize].list;
        let was_empty = list.is_empty();
        self.links.push_back(list, id);
        slots[id as usize] = Slot::in_queue(key, queue);
        if was_empty {
            self.heads.insert(&mut self.head_slots, queue, key);
        }
    }

    /// Gives a timer of the queue a key with which the queue accepts it at its end, and moves it there.
    #[inline]
    pub(crate) fn renew(&mut self, slots: &mut [Slot], queue: u32, id: u32, key: Key) {
        let list = &mut self.by_number[queue as usize].list;
        let was_head = list.head() == Some(id);
        if list.tail() != Some(id) {
            self.links.remove(list, id);
            self.links.push_back(list, id);
        }
        slots[id as usize].set_key(key);
        if was_head {
            self.update_head(slots, queue);
        }
    }

    /// Takes a timer out of the queue.
    #[inline]
    pub(crate) fn remove(&mut self, slots: &[Slot], queue: u32, id: u32) {
        let list = &mut self.by_number[queue as usize].list;
        let was_head = list.head() == Some(id);
        self.links.remove(list, id);
        if was_head {
            self.update_head(slots, queue);
        }
    }

    /// Tells `heads` that a queue that was not empty has another head, or its head another key.
    #[inline]
    fn update_head(&mut self, slots: &[Slot], queue: u32) {
        let head = self.by_number[queue as usize].list.head();
        let head_slots = &mut self.head_slots[..];
        if let Place::Heap(position) = head_slots[queue as usize].place() {
            if let Some(head) = head {
                self.heads
                    .rearm(head_slots, queue, position, slots[head as usize].key());
            } else {
                self.heads.remove(head_slots, position);
                head_slots[queue as usize] = Slot::UNARMED;
            }
        }
    }

    /// The queue with the earliest head, and that head's key, if it is due.
    #[inline]
    pub(crate) fn first_due(&mut self, now: Time) -> Option<Entry> {
        self.heads.first_due(&mut self.head_slots, now)
    }

    /// Takes the first timer out of the queue that [`first_due`](Self::first_due) found.
    #[inline]
    pub(crate) fn pop(&mut self, slots: &[Slot], queue: u32) -> Option<u32> {
        let list = &mut self.by_number[queue as usize].list;
        let first = list.head()?;
        self.links.remove(list, first);
        if let Some(head) = list.head() {
            self.heads
                .delay_first(&mut self.head_slots, queue, slots[head as usize].key());
        } else {
            self.heads.remove(&mut self.head_slots, 0);
            self.head_slots[queue as usize] = Slot::UNARMED;
        }
        Some(first)
    }

    /// A deadline that is not after that of any timer.
    #[inline]
    pub(crate) fn first_deadline(&self) -> Option<Time> {
        self.heads.first_deadline()
    }

    /// The number of timers in all queues.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// The number of queues, empty ones included.
    pub(crate) fn count_all(&self) -> usize {
        self.by_number.len()
    }

    /// Empties the queues, which stay.
    pub(crate) fn clear(&mut self) {
        for queue in &mut self.by_number {
            queue.list = List::new();
        }
        self.links.clear();
        self.heads.clear();
        self.head_slots.fill(Slot::UNARMED);
    }

    /// Gives back memory that is far from being used; ids are below `ids`.
    pub(crate) fn trim(&mut self, ids: usize) {
        self.links.trim(ids);
    }

    pub(crate) fn shrink_to_fit(&mut self, ids: usize) {
        self.links.shrink_to_fit(ids);
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn check_invariants(&self, slots: &[Slot]) {
        self.links
            .check_invariants(self.by_number.iter().map(|queue| &queue.list));
        self.heads.check_invariants(&self.head_slots);
        let mut queued = 0;
        for (number, (queue, slot)) in (0..).zip(self.by_number.iter().zip(&self.head_slots)) {
            let members = || self.links.iter(&queue.list).map(|id| slots[id as usize]);
            assert!(
                members().is_sorted_by(|a, b| a.key().is_before(b.key())),
                "1: {queue:?}"
            );
            let head = slot.is_armed().then(|| slot.key());
            assert_eq!(head, members().next().map(|slot| slot.key()), "2: {queue:?}");
            assert!(
                members().all(|slot| slot.place() == Place::Queue(number)),
                "3: {queue:?}"
            );
            assert_eq!(self.position(queue.timeout), Some(number), "4: {queue:?}");
            queued += members().count();
        }
        let places = slots.iter().filter(|slot| matches!(slot.place(), Place::Queue(_)));
        assert_eq!(places.count(), queued, "3: slots of timers that are in no queue");
        let (kept, all) = (self.kept(), self.by_number.len());
        assert!(
            kept <= MOST_KEPT && all - kept <= MOST_FOUND,
            "5: {kept} of {all} are kept"
        );
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.links.bytes()
            + self.heads.bytes()
            + self.head_slots.capacity() * size_of::<Slot>()
            + self.by_number.capacity() * size_of::<Queue>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn key(nanos: u64) -> Key {
        Key {
            deadline: Time::from_nanos(nanos),
            sequence: 0,
        }
    }

    fn push(queues: &mut Queues, slots: &mut [Slot], queue: u32, id: u32, key: Key) {
        assert!(queues.accepts(slots, queue, id, key.deadline));
        queues.push(slots, queue, id, key);
    }

    /// Timers 0 and 1 in one queue, 2 in another; there is a slot for 3.
    fn two_queues() -> (Queues, Vec<Slot>) {
        let (mut queues, mut slots) = (Queues::new(), vec![Slot::UNARMED; 4]);
        let [first, second] = [10, 20].map(|timeout| queues.keep(timeout).unwrap());
        for (queue, id, deadline) in [(first, 0, 10), (first, 1, 11), (second, 2, 20)] {
            push(&mut queues, &mut slots, queue, id, key(deadline));
        }
        queues.check_invariants(&slots);
        (queues, slots)
    }

    #[test]
    fn room_for_one_more_head_is_enough_for_one() {
        let (mut queues, mut slots) = (Queues::new(), vec![Slot::UNARMED; 100]);
        for id in 0..100 {
            let queue = queues.keep(u64::from(id)).unwrap();
            queues.try_make_room().unwrap();
            let before = queues.heads.bytes();
            push(&mut queues, &mut slots, queue, id, key(10));
            assert_eq!(queues.heads.bytes(), before);
        }
    }

    #[test]
    fn shrinking_leaves_links_for_the_ids_in_use() {
        let (mut queues, mut slots) = two_queues();
        slots.resize(1000, Slot::UNARMED);
        push(&mut queues, &mut slots, 1, 999, key(21));
        queues.remove(&slots, 1, 999);
        slots.truncate(3);
        queues.shrink_to_fit(3);
        assert_eq!(queues.links.bytes(), 3 * 8);
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "1: Queue")]
    fn sees_a_queue_out_of_order() {
        let (queues, mut slots) = two_queues();
        slots[1].set_key(key(9));
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "2: Queue")]
    fn sees_a_wrong_key_of_a_head() {
        let (queues, mut slots) = two_queues();
        slots[2].set_key(key(21));
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "3: Queue")]
    fn sees_a_timer_in_the_wrong_queue() {
        let (queues, mut slots) = two_queues();
        slots[1] = Slot::in_queue(key(11), 1);
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "3: slots of timers that are in no queue")]
    fn sees_a_timer_in_no_queue() {
        let (queues, mut slots) = two_queues();
        slots[3] = Slot::in_queue(key(12), 0);
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "4: Queue")]
    fn sees_a_timeout_with_two_queues() {
        let (mut queues, slots) = two_queues();
        queues.by_number[1].timeout = 10;
        queues.check_invariants(&slots);
    }

    #[test]
    #[should_panic(expected = "5: 0 of 65 are kept")]
    fn sees_a_queue_too_many() {
        let mut queues = Queues::new();
        for timeout in 0..=MOST_FOUND {
            queues.add(timeout as u64);
        }
        queues.check_invariants(&[]);
    }
}
