//! One same-duration queue alone.

use alloc::collections::TryReserveError;
use core::fmt;
use core::time::Duration;

use crate::Time;
use crate::key::Key;
use crate::keys::Keys;
use crate::list::{Links, List};
use crate::slots::{MAX_ID, Place, Slot, Slots};
use crate::time::nanos;

/// The timers of one timeout: arming, disarming and expiry are O(1).
///
/// For a program with one duration, such as the idle timeout of its connections. Who was armed last fires last, so a
/// list in the order of arming is sorted. With several durations, or with any other deadlines beside, use
/// [`Timers`](crate::Timers).
///
/// The order rests on time not going backwards. A `now` before that of the last timer in the queue is taken as that
/// one's: timers never fire early and keep their order, and such a timer fires late by what the clock went back.
///
/// Ids and their memory are as in [`Timers`](crate::Timers); an armed timer takes 24 bytes.
///
/// ```
/// use core::time::Duration;
/// use ev_timer::{Time, TimeoutQueue};
///
/// let at = |seconds: u64| Time::from_nanos(seconds * 1_000_000_000);
/// let mut idle = TimeoutQueue::new(Duration::from_secs(30));
/// idle.set(0, at(100));
/// idle.set(1, at(101));
/// idle.set(0, at(120)); // connection 0 had something to say
///
/// assert_eq!(idle.next_deadline(), Some(at(131)));
/// assert_eq!(idle.pop_expired(at(140)), Some((1, at(131))));
/// assert_eq!(idle.pop_expired(at(140)), None);
/// ```
#[derive(Clone)]
pub struct TimeoutQueue {
    timeout: u64,
    list: List,
    links: Links,
    slots: Slots,
    keys: Keys,
}

impl TimeoutQueue {
    /// The largest id a timer may have, as [`Timers::MAX_ID`](crate::Timers::MAX_ID).
    pub const MAX_ID: u32 = MAX_ID;

    /// A queue without timers and without memory.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout: nanos(timeout),
            list: List::new(),
            links: Links::new(),
            slots: Slots::new(),
            keys: Keys::new(),
        }
    }

    /// The duration of all its timers; at most 2⁶⁴ − 1 ns, whatever was asked for.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_nanos(self.timeout)
    }

    /// Makes sure that arming `id` next does not fail for want of memory.
    ///
    /// The promise lasts until any timer is disarmed.
    ///
    /// # Errors
    ///
    /// There is not enough memory, or `id` is larger than [`Self::MAX_ID`]. Nothing has changed for the timers.
    pub fn try_reserve(&mut self, id: u32) -> Result<(), TryReserveError> {
        self.slots.try_make_room(id)?;
        self.keys.try_make_room(self.slots.len())?;
        self.links.try_make_room(self.slots.len())
    }

    /// Arms the timer, or arms it anew, with the deadline `now + timeout`.
    ///
    /// # Panics
    ///
    /// If `id` is larger than [`Self::MAX_ID`].
    pub fn set(&mut self, id: u32, now: Time) {
        let deadline = now.saturating_add_nanos(self.timeout);
        let deadline = self
            .list
            .tail()
            .map_or(deadline, |tail| deadline.max(self.deadline_of(tail)));
        if self.is_armed(id) {
            self.links.remove(&mut self.list, id);
        } else {
            self.slots.make_room(id);
            self.keys.make_room(self.slots.len());
            self.links.make_room(self.slots.len());
        }
        self.links.push_back(&mut self.list, id);
        self.keys.set(id, Key { deadline, sequence: 0 });
        self.slots.as_mut_slice()[id as usize] = Slot::in_queue(0);
    }

    /// Disarms the timer and returns the deadline it had, `None` if it was not armed.
    pub fn cancel(&mut self, id: u32) -> Option<Time> {
        let deadline = self.deadline(id)?;
        self.links.remove(&mut self.list, id);
        self.slots.disarm(id);
        if self.slots.wants_trim(self.len()) {
            self.trim();
        }
        Some(deadline)
    }

    /// The deadline of the timer, `None` if it is not armed.
    #[must_use]
    pub fn deadline(&self, id: u32) -> Option<Time> {
        self.is_armed(id).then(|| self.deadline_of(id))
    }

    /// The earliest deadline, `None` if no timer is armed.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.list.head().map(|head| self.deadline_of(head))
    }

    /// Disarms the first timer whose deadline is not after `now`, and returns it with that deadline.
    pub fn pop_expired(&mut self, now: Time) -> Option<(u32, Time)> {
        let first = self.list.head().filter(|&head| self.deadline_of(head) <= now)?;
        self.cancel(first).map(|deadline| (first, deadline))
    }

    #[inline]
    fn deadline_of(&self, id: u32) -> Time {
        self.keys.of(id).deadline
    }

    #[inline]
    fn is_armed(&self, id: u32) -> bool {
        self.slots.place(id) != Place::Nowhere
    }

    #[cold]
    fn trim(&mut self) {
        self.slots.trim();
        self.keys.trim(self.slots.len());
        self.links.trim(self.slots.len());
    }

    /// The number of armed timers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether no timer is armed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Disarms all timers. Keeps the memory.
    pub fn clear(&mut self) {
        self.list = List::new();
        self.links.clear();
        self.slots.clear();
        self.keys.clear();
    }

    /// The armed timers and their deadlines, in the order in which they will fire.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Time)> {
        self.links.iter(&self.list).map(|id| (id, self.deadline_of(id)))
    }

    /// Gives back all memory that the armed timers do not need. O(largest id in use).
    pub fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
        self.keys.shrink_to_fit(self.slots.len());
        self.links.shrink_to_fit(self.slots.len());
    }

    /// Checks the structure in O(largest id), for tests.
    ///
    /// # Panics
    ///
    /// If an invariant of the queue does not hold, which is a defect of this crate.
    pub fn check_invariants(&self) {
        self.links.check_invariants([&self.list]);
        assert!(self.iter().is_sorted_by_key(|(_, deadline)| deadline), "not sorted");
        assert_eq!(
            self.slots.armed().count(),
            self.len(),
            "a timer is armed and not in the list"
        );
    }
}

impl fmt::Debug for TimeoutQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutQueue")
            .field("timeout", &self.timeout())
            .field("len", &self.len())
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const TIMERS: u32 = 1000;

    fn bytes(queue: &TimeoutQueue) -> usize {
        queue.links.bytes() + queue.slots.bytes() + queue.keys.bytes()
    }

    fn full() -> TimeoutQueue {
        let mut queue = TimeoutQueue::new(Duration::from_nanos(5));
        for id in 0..TIMERS {
            queue.set(id, Time::from_nanos(u64::from(id)));
        }
        queue.check_invariants();
        queue
    }

    #[test]
    fn arming_takes_no_memory_beyond_the_reservation() {
        let mut queue = TimeoutQueue::new(Duration::ZERO);
        for id in 0..TIMERS {
            queue.try_reserve(id).unwrap();
            let before = bytes(&queue);
            queue.set(id, Time::ZERO);
            assert_eq!(bytes(&queue), before, "{id}");
        }
    }

    #[test]
    fn memory_comes_back_after_a_burst() {
        for expire in [true, false] {
            let mut queue = full();
            for id in 0..TIMERS {
                let disarmed = if expire {
                    queue.pop_expired(Time::MAX).is_some()
                } else {
                    queue.cancel(id).is_some()
                };
                assert!(disarmed);
            }
            // A burst may follow on a burst. This is the end of them.
            for _ in 0..100 {
                queue.set(0, Time::ZERO);
                queue.cancel(0);
            }
            // Three arrays, each at most four times as long as one that is left alone.
            assert!(bytes(&queue) <= 4 * 64 * (4 + 12 + 8), "{}", bytes(&queue));
        }
    }

    #[test]
    fn shrinking_leaves_what_the_timers_take() {
        let mut queue = full();
        for id in TIMERS - 50..TIMERS {
            queue.cancel(id);
        }
        queue.shrink_to_fit();
        assert_eq!(bytes(&queue), 24 * (TIMERS as usize - 50));
        queue.check_invariants();
    }

    #[test]
    fn debug_is_readable() {
        let mut queue = TimeoutQueue::new(Duration::from_nanos(5));
        queue.set(3, Time::ZERO);
        assert_eq!(
            format!("{queue:?}"),
            "TimeoutQueue { timeout: 5ns, len: 1, next_deadline: Some(Time(5ns)), .. }"
        );
    }

    #[test]
    #[should_panic(expected = "not sorted")]
    fn sees_a_queue_out_of_order() {
        let mut queue = full();
        let key = Key {
            deadline: Time::ZERO,
            sequence: 0,
        };
        queue.keys.set(999, key);
        queue.check_invariants();
    }

    #[test]
    #[should_panic(expected = "a timer is armed and not in the list")]
    fn sees_a_timer_in_no_list() {
        let mut queue = full();
        queue.links.remove(&mut queue.list, 0);
        queue.check_invariants();
    }
}
