//! The gate: who must be woken, and by whom.
//!
//! One word holds the whole state:
//!
//! ```text
//!                 notify: Nothing               notify: Nothing
//!              ┌─────────────────────┐         ┌──────┐
//!              │                     ▼         │      ▼
//!          ┌───────┐             ┌───────────────────────┐
//!   new ──►│ AWAKE │◄────────────│       NOTIFIED        │
//!          └───────┘   end_wait  └───────────────────────┘
//!            │   ▲                    ▲ begin_wait: Notified (no change)
//! begin_wait │   │ end_wait           │ notify: Write
//!   (Sleep)  ▼   │                    │
//!          ┌────────────────────────────┐
//!          │ ASLEEP until t (2 ≤ t)     │ notify_before(d): Nothing (no change) if t ≤ d
//!          └────────────────────────────┘
//! ```
//!
//! A loop that does not run looks awake: it needs no wake-up either, and what it was notified of is kept until it waits.
//!
//! # Invariants
//!
//! 1. Only the loop thread leaves NOTIFIED, and only in `end_wait`. So from a notification until the `end_wait` that
//!    tells of it the loop does not sleep, or a `Write` has been answered for its sleep.
//! 2. `Write` is answered exactly by the step ASLEEP → NOTIFIED; by 1 there is at most one such step for a sleep.
//! 3. Every operation but a failing `begin_wait` is one read-modify-write of the word, and those of posters are
//!    releases. So they all have a place in one order, and an `end_wait` (acquire) sees what every poster before it in
//!    that order had written before it posted: read-modify-writes continue a release sequence, whoever makes them.
//!
//! # Why no operation is a mere load
//!
//! A poster that only *looked* and found NOTIFIED would have no place in the order of invariant 3: its own writes may
//! still be on their way when the loop has taken the notification it saw and looked for them in vain. The same goes for
//! a poster that finds the sleep short enough. The models in `tests/loom.rs` fail with either short cut.

use crate::sync::{AtomicU64, Ordering, spin_loop};

const AWAKE: u64 = 0;
const NOTIFIED: u64 = 1;
/// The least value that stands for a sleep; the word is then the time the sleep ends by itself.
const SOONEST: u64 = 2;

/// How often [`Gate::linger`] looks. A pause between two looks takes some 10 to 50 nanoseconds.
const LOOKS: u32 = if cfg!(loom) { 2 } else { 20 };

const fn is_asleep(word: u64) -> bool {
    word >= SOONEST
}

/// Wakes only a sleeper: decides which notification of a loop needs a system call.
///
/// The loop thread brackets its wait with [`begin_wait`](Self::begin_wait) and [`end_wait`](Self::end_wait). Any thread
/// that has left work for the loop calls [`notify`](Self::notify) and writes to the loop's [`Notifier`](crate::Notifier)
/// exactly when the answer is [`Wake::Write`]. Notifying a loop that is awake, or that was notified already, is one
/// atomic operation: a burst of notifications costs one write.
///
/// The gate holds no descriptor and makes no system call. [`Waker`](crate::Waker) puts it together with a notifier.
///
/// Times are numbers on a clock of the caller's choice that only has to be the same for both sides, nanoseconds as a
/// rule.
///
/// ```
/// use ev_thread::{Admission, Gate, Wake, Woken};
///
/// let gate = Gate::new();
/// assert_eq!(gate.notify(), Wake::Nothing); // the loop is awake: it will look by itself
/// assert_eq!(gate.begin_wait(None), Admission::Notified); // and must not sleep now
/// assert_eq!(gate.end_wait(), Woken::Notified);
///
/// assert_eq!(gate.begin_wait(Some(1_000)), Admission::Sleep);
/// assert_eq!(gate.notify_before(2_000), Wake::Nothing); // it wakes in time by itself
/// assert_eq!(gate.notify_before(500), Wake::Write);
/// assert_eq!(gate.notify(), Wake::Nothing); // someone is writing already
/// assert_eq!(gate.end_wait(), Woken::Notified);
/// ```
#[derive(Debug)]
pub struct Gate {
    word: AtomicU64,
}

/// Whether the loop may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a loop that was notified must not sleep"]
pub enum Admission {
    /// It may. Whoever notifies from now on wakes it.
    Sleep,
    /// Someone has notified: poll with a timeout of zero instead. No one writes for this wait.
    Notified,
}

/// Why the loop is awake again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a notification is told of only once"]
pub enum Woken {
    /// Someone has notified since the last [`Gate::end_wait`]. All that was left before is visible now.
    Notified,
    /// No one has: something was ready, or the time had come. What was left by a [`Gate::notify_before`] that this sleep
    /// suited is not told of, so look at what was left in any case.
    Unnotified,
}

/// What the poster owes the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "unless the answer is `Nothing` the loop sleeps on until someone writes to its notifier"]
pub enum Wake {
    /// A write to the notifier: the loop sleeps, and no one else writes for this sleep.
    Write,
    /// Nothing: the loop looks by itself, in time.
    Nothing,
}

impl Gate {
    /// A gate whose loop is awake, or not running yet.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            word: AtomicU64::new(AWAKE),
        }
    }

    /// A gate whose loop is awake, or not running yet. Loom's atomics have no `const` constructor.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(AWAKE),
        }
    }

    /// The loop is about to sleep until the time `until`, or for as long as it takes (`None`).
    ///
    /// Called by the loop thread, after it has looked at everything that others leave for it, and always followed by
    /// [`end_wait`](Self::end_wait), whatever the answer. A wait that was begun and never ended, because the thread
    /// unwound, does no harm: the next one is answered [`Admission::Notified`].
    #[inline]
    pub fn begin_wait(&self, until: Option<u64>) -> Admission {
        let asleep = until.unwrap_or(u64::MAX).max(SOONEST);
        // Nothing is published by going to sleep but the word itself, so success is relaxed. Failure has read a
        // poster's release: acquire makes what it left visible even before `end_wait`.
        match self
            .word
            .compare_exchange(AWAKE, asleep, Ordering::Relaxed, Ordering::Acquire)
        {
            Ok(_) => Admission::Sleep,
            Err(_) => Admission::Notified,
        }
    }

    /// Stays awake for a moment, until someone notifies: for some 20 looks, about a microsecond of processor time at most.
    ///
    /// Called by the loop thread before [`begin_wait`](Self::begin_wait), if its last wait ended as [`Woken::Notified`] and
    /// the next one may last. Who has just notified the loop may be about to do so again, as soon as it sees what has come of
    /// it. If that is now, nobody writes and nobody has to be woken, which takes several times as long. If it is later, the
    /// looks were in vain, and the notification is a write as ever. With one processor they are always in vain: that is a
    /// small part of what it has cost to be woken.
    ///
    /// Not for a loop that was not notified, which would look in vain in every turn, nor before a mere look at what is ready.
    #[inline]
    pub fn linger(&self) {
        for _ in 0..LOOKS {
            // Relaxed, as it only gives a hint: `begin_wait` and `end_wait` are still to come, and take the notification.
            if self.word.load(Ordering::Relaxed) == NOTIFIED {
                return;
            }
            spin_loop();
        }
    }

    /// The loop is awake again. Takes the notification, if there is one.
    ///
    /// Called by the loop thread, before it looks at what others leave for it.
    ///
    /// This does not tell whether the notifier must be drained: a poster that was answered [`Wake::Write`] may not have
    /// written yet. Its write then ends the next sleep at once, which does no harm. So drain the notifier when the
    /// backend reports it readable, and only then.
    #[inline]
    pub fn end_wait(&self) -> Woken {
        // Acquire: what the loop looks at next is not read before the notification is taken (invariant 3).
        match self.word.swap(AWAKE, Ordering::Acquire) {
            NOTIFIED => Woken::Notified,
            _ => Woken::Unnotified,
        }
    }

    /// Tells the loop to look at what the caller has left for it.
    ///
    /// Called by any thread. If the loop thread calls it itself, its next wait does not sleep.
    #[inline]
    pub fn notify(&self) -> Wake {
        // Release: what the caller has left is visible to the `end_wait` that takes this notification (invariant 3).
        if is_asleep(self.word.swap(NOTIFIED, Ordering::Release)) {
            Wake::Write
        } else {
            Wake::Nothing
        }
    }

    /// Tells the loop to look at what the caller has left for it, not later than at the time `deadline`.
    ///
    /// As [`notify`](Self::notify), but a loop that sleeps only until `deadline` or less is left to sleep: for a timer
    /// that was added and is not the earliest.
    #[inline]
    pub fn notify_before(&self, deadline: u64) -> Wake {
        let in_time = |word| is_asleep(word) && word <= deadline;
        let step = |word| Some(if in_time(word) { word } else { NOTIFIED });
        // Release, also where the word stays as it is: the end of this very sleep then sees what was left.
        let (Ok(word) | Err(word)) = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, step);
        if is_asleep(word) && !in_time(word) {
            Wake::Write
        } else {
            Wake::Nothing
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_write() {
        let gate = Gate::new();
        assert_eq!(gate.begin_wait(None), Admission::Sleep);
        assert_eq!(gate.notify(), Wake::Write);
        for _ in 0..1000 {
            assert_eq!(gate.notify(), Wake::Nothing);
            assert_eq!(gate.notify_before(0), Wake::Nothing);
        }
        assert_eq!(gate.end_wait(), Woken::Notified);
        assert_eq!(gate.begin_wait(None), Admission::Sleep);
        assert_eq!(gate.end_wait(), Woken::Unnotified);
    }

    #[test]
    fn a_notification_outlives_a_loop_that_does_not_run() {
        let gate = Gate::new();
        assert_eq!(gate.notify(), Wake::Nothing);
        assert_eq!(gate.begin_wait(Some(10)), Admission::Notified);
        assert_eq!(gate.notify(), Wake::Nothing);
        assert_eq!(gate.end_wait(), Woken::Notified);
        assert_eq!(gate.begin_wait(Some(10)), Admission::Sleep);
    }

    #[test]
    fn only_a_sleep_past_the_deadline_is_cut() {
        for (until, deadline, expected) in [
            (None, u64::MAX - 1, Wake::Write),
            (Some(100), 99, Wake::Write),
            (Some(100), 100, Wake::Nothing),
            (Some(100), 101, Wake::Nothing),
            (Some(0), 0, Wake::Write),
            (Some(u64::MAX), u64::MAX, Wake::Nothing),
        ] {
            let gate = Gate::new();
            assert_eq!(gate.begin_wait(until), Admission::Sleep);
            assert_eq!(gate.notify_before(deadline), expected, "{until:?} {deadline}");
            let woken = if expected == Wake::Write {
                Woken::Notified
            } else {
                Woken::Unnotified
            };
            assert_eq!(gate.end_wait(), woken);
        }
    }

    #[test]
    fn a_loop_that_is_awake_is_notified_whatever_the_deadline() {
        let gate = Gate::new();
        assert_eq!(gate.notify_before(u64::MAX), Wake::Nothing);
        assert_eq!(gate.begin_wait(Some(5)), Admission::Notified);
    }

    #[test]
    fn an_abandoned_wait_heals() {
        let gate = Gate::new();
        assert_eq!(gate.begin_wait(None), Admission::Sleep);
        assert_eq!(gate.begin_wait(None), Admission::Notified);
        assert_eq!(gate.end_wait(), Woken::Unnotified);
        assert_eq!(gate.begin_wait(None), Admission::Sleep);
    }
}
