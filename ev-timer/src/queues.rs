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
//! 1. From head to tail of a queue, keys ascend, and no deadline is after `latest`.
//! 2. `heads` holds the queues that are not empty, each under the key of its head. As in any of these heaps an entry
//!    may lag, so a head that goes is only noted: the new one's key counts.
//! 3. A timer's slot says which queue it is in, and the links of that queue hold it.
//! 4. No two queues have the same timeout.
//! 5. At most `MOST_KEPT` queues are kept for a handle, and at most `MOST_FOUND` are not.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::Time;
use crate::heap::{Entry, Heap};
use crate::key::Key;
use crate::keys::Keys;
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
    /// The deadline of the timer that came last, which may be gone since; of no account while the queue is empty.
    latest: Time,
    /// A handle was given out: the queue keeps its timeout for good.
    kept: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Queues {
    by_number: Vec<Queue>,
    links: Links,
    heads: Heap,
    /// Where in `heads` each queue is.
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
            latest: Time::ZERO,
            kept: false,
        });
        number
    }

    /// Whether one more queue can stop being empty without growing.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.heads.has_room()
    }

    /// Makes room for one more queue that is not empty.
    pub(crate) fn try_make_room(&mut self) -> Result<(), TryReserveError> {
        self.heads.try_make_room()
    }

    /// Whether there are links for this timer.
    #[inline]
    pub(crate) fn has_links(&self, id: u32) -> bool {
        self.links.has_room(id)
    }

    /// Makes links for all timers below `ids`.
    pub(crate) fn try_make_links(&mut self, ids: usize) -> Result<(), TryReserveError> {
        self.links.try_make_room(ids)
    }

    /// Whether a timer that is in this queue stays there for `timeout`, being armed anew with `deadline`. O(1).
    #[inline]
    pub(crate) fn keeps(&self, queue: u32, timeout: u64, deadline: Time) -> bool {
        let queue = &self.by_number[queue as usize];
        queue.timeout == timeout && queue.latest <= deadline
    }

    /// Whether the queue is still sorted with a timer of this deadline at its end. O(1).
    #[inline]
    pub(crate) fn accepts(&self, queue: u32, deadline: Time) -> bool {
        let queue = &self.by_number[queue as usize];
        queue.latest <= deadline || queue.list.is_empty()
    }

    /// Appends a timer that is in no queue, that this one accepts and that has links. O(1). The caller notes it in the slot.
    #[inline]
    pub(crate) fn push(&mut self, number: u32, id: u32, key: Key) {
        let queue = &mut self.by_number[number as usize];
        queue.latest = key.deadline;
        let was_empty = queue.list.is_empty();
        self.links.push_back(&mut queue.list, id);
        if was_empty {
            self.add_head(number, key);
        }
    }

    /// Tells `heads` that a queue is no longer empty. O(log q) for q queues.
    #[inline(never)]
    fn add_head(&mut self, queue: u32, key: Key) {
        self.heads.insert(&mut self.head_slots, queue, key);
    }

    /// Moves a timer of the queue to the end, having a new key with which the queue accepts it there. O(1).
    #[inline(never)]
    pub(crate) fn renew(&mut self, number: u32, id: u32, key: Key) {
        let queue = &mut self.by_number[number as usize];
        queue.latest = key.deadline;
        let was_head = queue.list.head() == Some(id);
        self.links.move_to_back(&mut queue.list, id);
        if was_head {
            self.update_head(number);
        }
    }

    /// Takes a timer out of the queue. O(1), and O(log q) where it leaves one of q queues empty.
    #[inline]
    pub(crate) fn remove(&mut self, queue: u32, id: u32) {
        let list = &mut self.by_number[queue as usize].list;
        let was_head = list.head() == Some(id);
        self.links.remove(list, id);
        if was_head {
            self.update_head(queue);
        }
    }

    /// Tells `heads` that a queue that was not empty has another head, or its head a later key, or none any more.
    #[inline(never)]
    fn update_head(&mut self, queue: u32) {
        let Place::Heap(position) = self.head_slots[queue as usize].place() else {
            return;
        };
        if self.by_number[queue as usize].list.is_empty() {
            self.heads.remove(&mut self.head_slots, position);
            self.head_slots[queue as usize] = Slot::UNARMED;
        } else {
            self.heads.lag(position);
        }
    }

    /// The queue with the earliest head, and that head's key, if it is due.
    #[inline]
    pub(crate) fn first_due(&mut self, keys: &Keys, now: Time) -> Option<Entry> {
        let Self {
            by_number,
            heads,
            head_slots,
            ..
        } = self;
        heads.first_due(head_slots, now, |queue| head_key(by_number, keys, queue))
    }

    /// Takes the first timer out of the queue that [`first_due`](Self::first_due) found. O(log q) for q queues.
    #[inline]
    pub(crate) fn pop(&mut self, keys: &Keys, queue: u32) -> Option<u32> {
        let list = &mut self.by_number[queue as usize].list;
        let first = self.links.pop_front(list)?;
        if let Some(head) = list.head() {
            self.heads.delay(&mut self.head_slots, 0, queue, keys.of(head));
        } else {
            self.heads.remove_first(&mut self.head_slots);
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
    pub(crate) fn check_invariants(&self, slots: &[Slot], keys: &Keys) {
        self.links
            .check_invariants(self.by_number.iter().map(|queue| &queue.list));
        self.heads
            .check_invariants(&self.head_slots, |queue| head_key(&self.by_number, keys, queue));
        let mut queued = 0;
        for (number, (queue, slot)) in (0..).zip(self.by_number.iter().zip(&self.head_slots)) {
            let members = || self.links.iter(&queue.list);
            let member_keys = || members().map(|id| keys.of(id));
            assert!(
                member_keys().is_sorted_by(|a, b| a.is_before(*b))
                    && member_keys().all(|key| key.deadline <= queue.latest),
                "1: {queue:?}"
            );
            let entry = match slot.place() {
                Place::Heap(position) => self.heads.get(position),
                _ => None,
            };
            // What lags was compared by the heap.
            let known = entry.filter(|entry| !entry.lags()).map(Entry::key);
            assert!(
                entry.is_some() != queue.list.is_empty() && known.is_none_or(|key| Some(key) == member_keys().next()),
                "2: {queue:?}"
            );
            assert!(
                members().all(|id| slots[id as usize].place() == Place::Queue(number)),
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

/// The key of a queue's head.
fn head_key(by_number: &[Queue], keys: &Keys, queue: u32) -> Key {
    let head = by_number[queue as usize].list.head();
    // A queue with a head in the heap of heads is not empty.
    head.map_or(Key::MAX, |head| keys.of(head))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// What else belongs to timers in queues.
    struct Rest {
        slots: Vec<Slot>,
        keys: Keys,
    }

    impl Rest {
        fn new(ids: usize) -> Self {
            let mut keys = Keys::new();
            keys.try_make_room(ids).unwrap();
            Self {
                slots: vec![Slot::UNARMED; ids],
                keys,
            }
        }
    }

    fn push(queues: &mut Queues, rest: &mut Rest, queue: u32, id: u32, key: Key) {
        queues.try_make_links(rest.slots.len()).unwrap();
        assert!(queues.accepts(queue, key.deadline));
        rest.slots[id as usize] = Slot::in_queue(queue);
        rest.keys.set(id, key);
        queues.push(queue, id, key);
    }

    fn check(queues: &Queues, rest: &Rest) {
        queues.check_invariants(&rest.slots, &rest.keys);
    }

    /// Timers 0 and 1 in one queue, 2 in another; there is a slot for 3.
    fn two_queues() -> (Queues, Rest) {
        let (mut queues, mut rest) = (Queues::new(), Rest::new(4));
        let [first, second] = [10, 20].map(|timeout| queues.keep(timeout).unwrap());
        for (queue, id, deadline) in [(first, 0, 10), (first, 1, 11), (second, 2, 20)] {
            push(&mut queues, &mut rest, queue, id, Key::at(deadline));
        }
        check(&queues, &rest);
        (queues, rest)
    }

    #[test]
    fn room_for_one_more_head_is_enough_for_one() {
        let (mut queues, mut rest) = (Queues::new(), Rest::new(100));
        for id in 0..100 {
            let queue = queues.keep(u64::from(id)).unwrap();
            queues.try_make_room().unwrap();
            let before = queues.heads.bytes();
            push(&mut queues, &mut rest, queue, id, Key::at(10));
            assert_eq!(queues.heads.bytes(), before);
        }
    }

    #[test]
    fn a_queue_takes_what_leaves_it_sorted() {
        let (mut queues, mut rest) = two_queues();
        let at = Time::from_nanos;
        assert!(queues.accepts(0, at(11)) && !queues.accepts(0, at(10)));
        assert!(queues.keeps(0, 10, at(11)) && !queues.keeps(0, 10, at(10)) && !queues.keeps(0, 20, at(11)));
        for id in [0, 1] {
            queues.remove(0, id);
            rest.slots[id as usize] = Slot::UNARMED;
        }
        assert!(queues.accepts(0, at(0)), "an empty queue takes all");
        check(&queues, &rest);
    }

    #[test]
    fn shrinking_leaves_links_for_the_ids_in_use() {
        let (mut queues, mut rest) = two_queues();
        rest.slots.resize(1000, Slot::UNARMED);
        rest.keys.try_make_room(1000).unwrap();
        push(&mut queues, &mut rest, 1, 999, Key::at(21));
        queues.remove(1, 999);
        rest.slots.truncate(3);
        queues.shrink_to_fit(3);
        assert_eq!(queues.links.bytes(), 3 * 8);
        check(&queues, &rest);
    }

    /// Breaks the two queues and looks at them.
    fn check_after(breaking: impl FnOnce(&mut Queues, &mut Rest)) {
        let (mut queues, mut rest) = two_queues();
        breaking(&mut queues, &mut rest);
        check(&queues, &rest);
    }

    #[test]
    #[should_panic(expected = "1: Queue")]
    fn sees_a_queue_out_of_order() {
        check_after(|_, rest| rest.keys.set(1, Key::at(9)));
    }

    #[test]
    #[should_panic(expected = "1: Queue")]
    fn sees_a_timer_after_the_latest() {
        check_after(|queues, _| queues.by_number[0].latest = Time::from_nanos(10));
    }

    #[test]
    #[should_panic(expected = "2: Queue")]
    fn sees_a_wrong_key_of_a_head() {
        check_after(|_, rest| rest.keys.set(2, Key::at(19)));
    }

    #[test]
    #[should_panic(expected = "3: Queue")]
    fn sees_a_timer_in_the_wrong_queue() {
        check_after(|_, rest| rest.slots[1] = Slot::in_queue(1));
    }

    #[test]
    #[should_panic(expected = "3: slots of timers that are in no queue")]
    fn sees_a_timer_in_no_queue() {
        check_after(|_, rest| rest.slots[3] = Slot::in_queue(0));
    }

    #[test]
    #[should_panic(expected = "4: Queue")]
    fn sees_a_timeout_with_two_queues() {
        check_after(|queues, _| queues.by_number[1].timeout = 10);
    }

    #[test]
    #[should_panic(expected = "5: 0 of 65 are kept")]
    fn sees_a_queue_too_many() {
        let mut queues = Queues::new();
        for timeout in 0..=MOST_FOUND {
            queues.add(timeout as u64);
        }
        queues.check_invariants(&[], &Keys::new());
    }
}
