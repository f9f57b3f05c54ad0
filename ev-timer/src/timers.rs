//! Heap and queues together.
//!
//! ```text
//!                 slots[id] = place       keys[id] = deadline | sequence
//!                               ▲           ▲    of timers that are in a queue, or later than the heap knows
//!  heap of timers ──────────────┴───────────┴── queues ◄── heap of their heads
//!  set, set_after                               set_in, set_after
//!                                                  ▲
//!                         popular: which timeouts are in heavy use
//! ```
//!
//! The next timer is the earlier of the first in the heap and the first head. Invariants, beside those of the parts:
//!
//! 1. Every armed timer is in the heap or in a queue, and not in both.
//! 2. All keys come from one count of armings, so that equal deadlines are told apart across heap and queues.

use alloc::collections::TryReserveError;
use core::fmt;
use core::time::Duration;

use crate::heap::{Entry, Heap};
use crate::key::Key;
use crate::keys::Keys;
use crate::popular::{Popular, Use};
use crate::queues::Queues;
use crate::slots::{MAX_ID, Place, Slot, Slots};
use crate::time::nanos;
use crate::{SameDuration, Time, TooManyDurations};

/// The deadlines of timers that the caller numbers.
///
/// A timer is an id, chosen by the caller: the index of a connection, of a slot, of a task. It is armed with a deadline,
/// and comes out of [`pop_expired`](Self::pop_expired) once when that has passed. What it stands for is the caller's
/// matter; so are the clock and the waiting.
///
/// | | costs |
/// |---|---|
/// | [`set`](Self::set): deadlines of any kind | O(log n), close to O(1) on average |
/// | a later deadline for an armed timer | O(1) |
/// | [`set_after`](Self::set_after) where a timeout keeps coming, [`set_in`](Self::set_in) | O(1) |
/// | [`cancel`](Self::cancel) | O(log n) in the heap, close to O(1) on average; O(1) in a queue |
/// | [`pop_expired`](Self::pop_expired) | O(log n) from the heap, O(1) from a queue |
/// | [`next_wake`](Self::next_wake), [`deadline`](Self::deadline) | O(1) |
///
/// # Ids and memory
///
/// Ids index arrays: use small numbers, and the same ones again. Memory goes with the largest id armed (4 bytes up to it,
/// 16 once one was pushed back, 24 once queues are used) and the most timers that were in the heap (16 bytes each). An id
/// is at most [`Self::MAX_ID`]. The struct itself takes a good kilobyte, to watch which timeouts are in use.
///
/// Memory is given back once less than a quarter of it has been in use while as many timers were disarmed as there are ids,
/// or between two moments without any timer. So a burst that follows on a burst finds its memory in place; after the last of
/// them a few more timers, armed and disarmed, release it. [`shrink_to_fit`](Self::shrink_to_fit) does so at once.
///
/// # Order
///
/// Timers fire by deadline. Of equal deadlines the one armed first fires first, whichever way each was armed; being
/// armed anew counts as being armed last. (For armings that are less than 2³¹ armings apart.)
///
/// A timer never fires early: it comes out with the deadline it was last given, and only for a `now` that is not before
/// it. The `now` of the calls need not be monotonic: if it goes back, deadlines and order still hold.
///
/// ```
/// use core::time::Duration;
/// use ev_timer::{Time, Timers};
///
/// let mut timers = Timers::new();
/// let now = Time::ZERO;
/// timers.set_after(0, now, Duration::from_millis(250));
/// timers.set(1, Time::from_nanos(1_000));
/// timers.set_after(0, now, Duration::from_millis(500)); // pushed back
///
/// // Sleep until then, or until something else happens.
/// let wake = timers.next_wake().unwrap();
/// assert_eq!(timers.pop_expired(wake), Some((1, Time::from_nanos(1_000))));
/// assert_eq!(timers.pop_expired(wake), None);
/// assert_eq!(timers.deadline(0), Some(now + Duration::from_millis(500)));
/// ```
#[derive(Clone)]
pub struct Timers {
    slots: Slots,
    keys: Keys,
    heap: Heap,
    queues: Queues,
    popular: Popular,
    armings: u32,
}

impl Timers {
    /// The largest id a timer may have: 2³¹ − 1.
    pub const MAX_ID: u32 = MAX_ID;

    /// No timers, and no memory allocated.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Slots::new(),
            keys: Keys::new(),
            heap: Heap::new(),
            queues: Queues::new(),
            popular: Popular::new(),
            armings: 0,
        }
    }

    /// No timers, and memory for `0..capacity`.
    ///
    /// # Panics
    ///
    /// If that is more than an array can be long.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Slots::with_capacity(capacity),
            heap: Heap::with_capacity(capacity),
            ..Self::new()
        }
    }

    /// Makes sure that arming `id` next, in whichever way, does not fail for want of memory.
    ///
    /// For callers who have to know before they change something else. The promise is for one arming and lasts until
    /// another timer is armed or any is disarmed. O(1) on average over many: the arrays grow by half.
    ///
    /// # Errors
    ///
    /// There is not enough memory, or `id` is larger than [`Self::MAX_ID`]. Nothing has changed for the timers.
    #[inline]
    pub fn try_reserve(&mut self, id: u32) -> Result<(), TryReserveError> {
        if self.slots.has_room(id) && self.heap.has_room() && self.queues.has_room() {
            return Ok(());
        }
        self.try_grow(id)
    }

    #[cold]
    fn try_grow(&mut self, id: u32) -> Result<(), TryReserveError> {
        self.slots.try_make_room(id)?;
        self.heap.try_make_room()?;
        self.queues.try_make_room()
    }

    /// Arms the timer, or arms it anew, with a deadline.
    ///
    /// For deadlines that come from elsewhere. For "so long from now" prefer [`set_after`](Self::set_after). O(1) if the
    /// timer is armed with an earlier deadline; else O(log n), and O(1) on average of random deadlines.
    ///
    /// # Panics
    ///
    /// If `id` is larger than [`Self::MAX_ID`].
    #[inline(never)]
    pub fn set(&mut self, id: u32, deadline: Time) {
        let key = Key::next(deadline, &mut self.armings);
        self.set_in_heap(id, key);
    }

    /// As [`set`](Self::set), unless there is no memory for it.
    ///
    /// # Errors
    ///
    /// There is not enough memory, or `id` is larger than [`Self::MAX_ID`]. Nothing has changed for the timers.
    #[inline]
    pub fn try_set(&mut self, id: u32, deadline: Time) -> Result<(), TryReserveError> {
        if !self.slots.has_room(id) || !self.heap.has_room() {
            self.try_grow(id)?;
        }
        self.set(id, deadline);
        Ok(())
    }

    /// Arms the timer, or arms it anew, with the deadline `now + timeout`.
    ///
    /// A timeout that keeps coming gets a queue, in which arming and disarming do not depend on the number of timers.
    /// Up to 64 timeouts at a time do, those in the heaviest use, and they change with use. O(1) there, also for a timer
    /// armed anew; of other timeouts as [`set`](Self::set).
    ///
    /// # Panics
    ///
    /// If `id` is larger than [`Self::MAX_ID`].
    #[doc(alias = "evtimer_add")]
    pub fn set_after(&mut self, id: u32, now: Time, timeout: Duration) {
        let timeout = nanos(timeout);
        let key = Key::next(now.saturating_add_nanos(timeout), &mut self.armings);
        match self.slots.place(id) {
            Place::Nowhere => self.arm_after(id, timeout, key),
            place => self.rearm_after(id, place, timeout, key),
        }
    }

    /// The handle for a timeout that many timers share, the same for the same timeout.
    ///
    /// Its queue is kept for good. [`set_after`](Self::set_after) finds timeouts in heavy use by itself; a handle is for
    /// those who know beforehand, and spares the finding. O(number of queues).
    ///
    /// # Errors
    ///
    /// There are handles for 256 other timeouts.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ev_timer::{Time, Timers};
    ///
    /// let mut timers = Timers::new();
    /// let idle = timers.same_duration(Duration::from_secs(60))?;
    /// for connection in 0..1000 {
    ///     timers.set_in(connection, Time::ZERO, idle);
    /// }
    /// assert_eq!(timers.deadline(7), Some(Time::ZERO + idle.timeout()));
    /// # Ok::<(), ev_timer::TooManyDurations>(())
    /// ```
    #[doc(alias = "event_base_init_common_timeout")]
    pub fn same_duration(&mut self, timeout: Duration) -> Result<SameDuration, TooManyDurations> {
        let timeout = nanos(timeout);
        let queue = self.queues.keep(timeout).ok_or(TooManyDurations)?;
        Ok(SameDuration { timeout, queue })
    }

    /// Arms the timer, or arms it anew, with the deadline `now + queue.timeout()`. O(1).
    ///
    /// Where `now` is before that of an earlier arming with this handle, the timer goes to the heap, as with
    /// [`set`](Self::set).
    ///
    /// # Panics
    ///
    /// If `id` is larger than [`Self::MAX_ID`].
    pub fn set_in(&mut self, id: u32, now: Time, queue: SameDuration) {
        let key = Key::next(now.saturating_add_nanos(queue.timeout), &mut self.armings);
        if self.queues.timeout(queue.queue) == Some(queue.timeout) {
            self.set_in_queue(id, queue.queue, key);
        } else {
            self.set_in_heap(id, key);
        }
    }

    /// Disarms the timer and returns the deadline it had, `None` if it was not armed.
    ///
    /// O(1) in a queue; O(log n) in the heap, and O(1) on average there.
    #[doc(alias = "evtimer_del")]
    #[inline]
    pub fn cancel(&mut self, id: u32) -> Option<Time> {
        let deadline = self.deadline(id);
        // Who does not want the deadline does not pay for it, this being in line.
        let slot = self.slots.slot(id);
        if slot.is_armed() {
            self.disarm(id, slot);
        }
        deadline
    }

    /// Whether the timer is armed. O(1).
    #[inline]
    #[must_use]
    pub fn is_armed(&self, id: u32) -> bool {
        self.slots.slot(id).is_armed()
    }

    /// The deadline of the timer, `None` if it is not armed. O(1).
    #[inline]
    #[must_use]
    pub fn deadline(&self, id: u32) -> Option<Time> {
        match self.slots.place(id) {
            Place::Nowhere => None,
            Place::Heap(position) => self.heap.deadline(&self.keys, position),
            Place::Queue(_) => self.keys.get(id).map(|key| key.deadline),
        }
    }

    /// When to call [`pop_expired`](Self::pop_expired) next, `None` if no timer is armed.
    ///
    /// It is never after the earliest deadline. It may be before: where a timer was pushed back, the new deadline was
    /// only noted. `pop_expired` then finds nothing due, puts the timer in its place, and the next answer is a later
    /// one. So a thousand idle timeouts that are pushed back in every turn cost one such wake per timeout, not a
    /// thousand moves per turn. O(1).
    #[inline]
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        match (self.heap.first_deadline(), self.queues.first_deadline()) {
            (Some(timer), Some(queue)) => Some(timer.min(queue)),
            (timer, queue) => timer.or(queue),
        }
    }

    /// Disarms the first timer whose deadline is not after `now`, and returns it with that deadline.
    ///
    /// First by deadline, then by the order of arming. Call it until it returns `None`. A timer that is armed anew
    /// between two calls with a deadline that is due already comes out again: with a `now` read before the first call,
    /// and timeouts that are not zero, that ends.
    ///
    /// O(log n) from the heap, and for each timer that was pushed back and comes up; O(log q) from one of q queues, which
    /// with one queue in use is O(1).
    #[expect(
        clippy::inline_always,
        reason = "called in a loop, and a sixth of it would be the call"
    )]
    #[inline(always)]
    pub fn pop_expired(&mut self, now: Time) -> Option<(u32, Time)> {
        let slots = self.slots.as_mut_slice();
        let timer = self.heap.first_due(slots, now, |id| self.keys.of(id));
        if self.queues.len() > 0 {
            return self.pop_earlier(timer, now);
        }
        timer.map(|timer| self.pop_from_heap(timer))
    }

    /// Disarms the earlier of the heap's first timer, if that is due, and the first in a queue.
    #[inline(never)]
    fn pop_earlier(&mut self, timer: Option<Entry>, now: Time) -> Option<(u32, Time)> {
        let Some(queue) = self.queues.first_due(&self.keys, now) else {
            return timer.map(|timer| self.pop_from_heap(timer));
        };
        if let Some(timer) = timer.filter(|timer| timer.is_before(queue)) {
            return Some(self.pop_from_heap(timer));
        }
        let id = self.queues.pop(&self.keys, queue.id())?;
        self.slots.disarm(id);
        self.trim_at_times();
        Some((id, queue.deadline()))
    }

    /// Disarms the first timer in the heap, of which this is the entry.
    #[inline]
    fn pop_from_heap(&mut self, first: Entry) -> (u32, Time) {
        let id = first.id();
        self.slots.disarm(id);
        self.heap.remove_first(self.slots.as_mut_slice());
        self.trim_at_times();
        (id, first.deadline())
    }

    /// The number of armed timers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len() + self.queues.len()
    }

    /// Whether no timer is armed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Disarms all timers. Keeps the memory, and the handles stay valid. O(number of queues).
    pub fn clear(&mut self) {
        self.heap.clear();
        self.queues.clear();
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
    ///
    /// Memory that is mostly unused is given back anyway as timers are disarmed.
    pub fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
        self.keys.shrink_to_fit(self.slots.len());
        self.heap.shrink_to_fit();
        self.queues.shrink_to_fit(self.slots.len());
    }

    /// Checks the structure in O(largest id), for tests.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, which is a defect of this crate.
    pub fn check_invariants(&self) {
        let slots = self.slots.as_slice();
        self.heap.check_invariants(slots, |id| self.keys.of(id));
        self.queues.check_invariants(slots, &self.keys);
        self.popular.check_invariants(|queue| self.queues.timeout(queue));
        assert_eq!(
            self.slots.armed().count(),
            self.len(),
            "1: timers armed and timers queued"
        );
    }

    /// Arms the timer where timers of this timeout go.
    #[inline]
    fn arm_after(&mut self, id: u32, timeout: u64, key: Key) {
        match self.popular.note(timeout) {
            Use::Light => self.set_in_heap(id, key),
            Use::Queue(queue) => self.set_in_queue(id, queue, key),
            Use::Heavy => self.find_queue_and_set(id, timeout, key),
        }
    }

    /// Arms a timer anew: where it is if it can stay there, which costs less than finding it a better place.
    #[inline(never)]
    fn rearm_after(&mut self, id: u32, place: Place, timeout: u64, key: Key) {
        match place {
            Place::Heap(position) if self.heap.may_lag(position, key.deadline) => {
                self.heap
                    .rearm(self.slots.as_mut_slice(), &mut self.keys, id, position, key);
            }
            Place::Queue(queue) if self.queues.keeps(queue, timeout, key.deadline) => {
                self.keys.set(id, key);
                self.queues.renew(queue, id, key);
            }
            _ => self.arm_after(id, timeout, key),
        }
    }

    /// Arms the timer, of which the timeout has just been found to be in heavy use.
    #[cold]
    #[inline(never)]
    fn find_queue_and_set(&mut self, id: u32, timeout: u64, key: Key) {
        let queue = self
            .queues
            .find(timeout, |timeout, queue| self.popular.sends(timeout, queue));
        if let Some(queue) = queue {
            self.popular.assign(timeout, queue);
            self.set_in_queue(id, queue, key);
        } else {
            self.popular.refuse(timeout);
            self.set_in_heap(id, key);
        }
    }

    /// Arms the timer in the heap, wherever it was.
    ///
    /// What happens seldom is a call at the end, which saves no registers on the common way.
    #[inline]
    fn set_in_heap(&mut self, id: u32, key: Key) {
        if !self.slots.has_room(id) {
            return self.grow_and_set_in_heap(id, key);
        }
        let slots = self.slots.as_mut_slice();
        match slots[id as usize].place() {
            Place::Nowhere if self.heap.has_room() => self.heap.insert(slots, id, key),
            Place::Nowhere => self.grow_and_set_in_heap(id, key),
            Place::Heap(position) => self.heap.rearm(slots, &mut self.keys, id, position, key),
            Place::Queue(queue) => self.move_to_heap(id, queue, key),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_and_set_in_heap(&mut self, id: u32, key: Key) {
        self.slots.make_room(id);
        self.heap.make_room();
        self.set_in_heap(id, key);
    }

    #[inline(never)]
    fn move_to_heap(&mut self, id: u32, queue: u32, key: Key) {
        self.queues.remove(queue, id);
        self.heap.insert(self.slots.as_mut_slice(), id, key);
    }

    /// Arms the timer in the queue, wherever it was; in the heap if the queue would not be sorted.
    fn set_in_queue(&mut self, id: u32, queue: u32, key: Key) {
        if !self.slots.has_room(id) || !self.keys.has_room(id) || !self.queues.has_links(id) {
            return self.grow_and_set_in_queue(id, queue, key);
        }
        if !self.queues.accepts(queue, key.deadline) {
            return self.set_in_heap(id, key);
        }
        match self.slots.place(id) {
            Place::Nowhere => self.push_in_queue(id, queue, key),
            Place::Queue(old) if old == queue => {
                self.keys.set(id, key);
                self.queues.renew(queue, id, key);
            }
            _ => self.move_to_queue(id, queue, key),
        }
    }

    /// Without memory for links or keys, the timer goes to the heap.
    #[cold]
    #[inline(never)]
    fn grow_and_set_in_queue(&mut self, id: u32, queue: u32, key: Key) {
        self.slots.make_room(id);
        let ids = self.slots.len();
        let made = self
            .keys
            .try_make_room(ids)
            .and_then(|()| self.queues.try_make_links(ids));
        match made {
            Ok(()) => self.set_in_queue(id, queue, key),
            Err(_) => self.set_in_heap(id, key),
        }
    }

    #[inline(never)]
    fn move_to_queue(&mut self, id: u32, queue: u32, key: Key) {
        self.take_from(self.slots.slot(id), id);
        self.push_in_queue(id, queue, key);
    }

    /// Appends the timer, which is nowhere, to the queue.
    #[inline]
    fn push_in_queue(&mut self, id: u32, queue: u32, key: Key) {
        self.slots.as_mut_slice()[id as usize] = Slot::in_queue(queue);
        self.keys.set(id, key);
        self.queues.push(queue, id, key);
    }

    /// Disarms an armed timer, of which this is the slot.
    #[inline(never)]
    fn disarm(&mut self, id: u32, slot: Slot) {
        self.slots.disarm(id);
        if self.slots.wants_trim(self.len() - 1) {
            return self.take_and_trim(id, slot);
        }
        self.take_from(slot, id);
    }

    #[cold]
    #[inline(never)]
    fn take_and_trim(&mut self, id: u32, slot: Slot) {
        self.take_from(slot, id);
        self.trim();
    }

    /// Takes an armed timer out of the heap or its queue.
    #[expect(clippy::inline_always, reason = "as `Heap::remove`")]
    #[inline(always)]
    fn take_from(&mut self, slot: Slot, id: u32) {
        match slot.place() {
            Place::Heap(position) => self.heap.remove(self.slots.as_mut_slice(), position),
            Place::Queue(queue) => self.queues.remove(queue, id),
            Place::Nowhere => {}
        }
    }

    #[inline]
    fn trim_at_times(&mut self) {
        if self.slots.wants_trim(self.len()) {
            self.trim();
        }
    }

    #[cold]
    #[inline(never)]
    fn trim(&mut self) {
        self.heap.trim(self.len() + self.slots.disarmed());
        self.slots.trim();
        self.keys.trim(self.slots.len());
        self.queues.trim(self.slots.len());
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("in_heap", &self.heap.len())
            .field("in_queues", &self.queues.len())
            .field("queues", &self.queues.count_all())
            .field("next_wake", &self.next_wake())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
