//! Running: what a turn is, which event is called next, and when the loop ends.
//!
//! A turn processes one priority (libevent's rule): the most urgent one that has active events, completely, and then
//! the kernel is asked again, so that urgent work found there goes before less urgent work at hand. The library's own events
//! are handled before the priority is chosen.

use std::io;
use std::mem;
use std::time::Duration;

use ev_backend::Backend;
use ev_timer::Time;

use super::limits::Allowance;
use super::run::{Held, NONE, Outcome, Repeat, RunMode, Special, Step, Stop, Taken, Turn};
use super::slots::Flags;
use super::transient::WAITS_FOR_NOTHING;
use super::{Engine, NOWHERE, Removed};
use crate::{Causes, EventKey, Fired};

impl<B: Backend, P> Engine<B, P> {
    /// Begins a run. A request to stop that came before is honoured by it.
    pub fn begin_run(&mut self, mode: RunMode) {
        self.run.begin(mode);
    }

    /// Asks the run, or the next one if none is under way, to end.
    pub fn stop(&mut self, stop: Stop) {
        self.run.mind(match stop {
            Stop::AfterTurn => Special::STOP_AFTER_TURN,
            Stop::Now => Special::STOP_NOW,
        });
    }

    /// Withdraws a request to stop, and returns it.
    pub fn take_stop(&mut self) -> Option<Stop> {
        self.run.take_stop()
    }

    /// Whether the run was asked to stop.
    #[doc(alias = "event_base_got_break")]
    pub fn stopping(&self) -> Option<Stop> {
        self.run.stopping()
    }

    /// Ends the turn after the callback that runs: the kernel is asked again before other active events are called.
    #[doc(alias = "event_base_loopcontinue")]
    pub fn restart(&mut self) {
        self.run.mind(Special::RESTART);
    }

    /// Begins a turn: decides whether the run ends, tells the backend what has changed, and computes how long to sleep.
    ///
    /// `now` is read only if [`has_deadlines`](Self::has_deadlines). `held` says that the driver has work of its own:
    /// the loop then neither ends for want of events nor sleeps.
    ///
    /// # Errors
    ///
    /// The backend's.
    #[inline]
    pub fn begin_turn(&mut self, now: Time, held: Held, waiter: &mut B::Waiter) -> io::Result<Step> {
        self.run.turn = Turn::default();
        let mut held = held;
        if !self.run.special.is_empty() {
            if self.begin_special_turn() {
                return Ok(Step::Leave(Outcome::Stopped));
            }
            held = self.with_stop(held);
        }
        if held == Held::Nothing && self.is_over() {
            return Ok(Step::Leave(Outcome::Empty));
        }
        let turn = &mut self.run.turn;
        self.active.promote_later(&mut self.slots, |_, slot| {
            if slot.flags.contains(Flags::DEFERRED) {
                turn.count_deferred();
            }
        });
        self.plan(now, held, waiter).map(Step::Wait)
    }

    /// Begins what is special about a turn. Answers whether the run has to stop instead.
    #[cold]
    fn begin_special_turn(&mut self) -> bool {
        self.run.special -= Special::RESTART;
        if let Some(allowance) = &mut self.allowance {
            allowance.begin_turn();
        }
        let stops = self.run.special.contains(Special::STOP_NOW);
        if stops {
            self.run.take_stop();
        }
        stops
    }

    /// A request to stop after the turn is work as well: if it came before the run, this is the turn.
    #[inline]
    fn with_stop(&self, held: Held) -> Held {
        match self.run.stopping() {
            Some(_) => Held::Work,
            None => held,
        }
    }

    /// Whether nothing is left that the run could wait for.
    fn is_over(&self) -> bool {
        !self.run.mode.contains(RunMode::FOREVER) && self.is_idle()
    }

    /// Tells the backend what has changed, and computes how long to sleep. [`begin_turn`](Self::begin_turn) does it; once
    /// more where the driver has called something between that and the wait.
    ///
    /// # Errors
    ///
    /// The backend's.
    #[inline(never)]
    pub fn plan_wait(&mut self, now: Time, held: Held, waiter: &mut B::Waiter) -> io::Result<Option<Duration>> {
        self.plan(now, self.with_stop(held), waiter)
    }

    #[expect(
        clippy::inline_always,
        reason = "part of every turn, and a turn's cost is that of its calls"
    )]
    #[inline(always)]
    fn plan(&mut self, now: Time, held: Held, waiter: &mut B::Waiter) -> io::Result<Option<Duration>> {
        self.prepare(waiter)?;
        // What was called since the turn began may have removed the last event.
        let polls = self.run.mode.contains(RunMode::NON_BLOCKING) || held == Held::Work || self.has_active();
        if polls || self.is_over() {
            return Ok(Some(Duration::ZERO));
        }
        let wake = self.timers.next_wake();
        Ok(wake.map(|wake| wake.saturating_duration_since(now)))
    }

    /// Whether all that becomes active in this turn is called in the order in which it does, as far as is known now: there is
    /// one priority, no limit, no request to stop, and nothing that is active already. For drivers that have events of their
    /// own to call, and then need not make them active.
    #[inline]
    pub fn calls_in_order(&self) -> bool {
        self.priorities() == 1 && self.run.special.is_empty() && !self.has_active()
    }

    /// Makes the events active whose deadlines are not after `now`, and sets the next deadline of periodic ones.
    pub fn expire(&mut self, now: Time) {
        self.now = Some(now);
        while let Some((index, deadline)) = self.timers.pop_expired(now) {
            let slot = self.slots.get_mut(index);
            let flags = slot.flags;
            if is_periodic(flags) {
                slot.flags |= Flags::EXPIRED;
                let next = next_in_phase(deadline, self.timeouts[index as usize], now);
                self.timers.set(index, next);
            } else if flags & (Flags::INSERTED | Flags::PERSISTENT) == Flags::INSERTED
                && slot.activation.causes().is_none()
            {
                // Whichever comes first deletes the event. A backend that refuses to forget the descriptor reports it as
                // stale later, which is harmless.
                let _ = self.disarm(index);
            }
            self.push(index, Causes::TIMEOUT);
        }
        self.note_active();
    }

    /// Takes the next event to be called; `None` when this turn is over.
    #[inline]
    pub fn next_active(&mut self) -> Option<Taken<P>> {
        let mut priority = self.run.turn.direct;
        loop {
            if let Some((index, causes, slot)) = self.active.pop(&mut self.slots, priority) {
                let key = slot.key(index);
                if is_plain(slot.flags)
                    && let Some(payload) = self.slots.payload(index).take()
                {
                    return Some(self.call(key, causes, payload));
                }
                let taken = self.take_other(index, causes);
                if taken.is_some() {
                    return taken;
                }
                // What was passed over was not called, so the turn may still go on with another priority.
                self.run.turn.direct = NONE;
            } else if priority != NONE {
                return None;
            }
            match self.pick() {
                Some(picked) => priority = picked,
                None => return self.next_repeat(),
            }
        }
    }

    /// The priority of which the first event is called next; `None` if none is in this turn, or a signal goes first.
    #[inline]
    fn pick(&mut self) -> Option<u8> {
        if self.run.turn.priority.is_some() || !self.run.special.is_empty() || self.active.has_internal() {
            return self.pick_specially();
        }
        let priority = self.active.most_urgent()?;
        self.run.turn.priority = Some(priority);
        self.run.turn.direct = priority;
        Some(priority)
    }

    /// As [`pick`](Self::pick), whatever there is to mind.
    #[inline(never)]
    fn pick_specially(&mut self) -> Option<u8> {
        let (special, turn) = (self.run.special, &self.run.turn);
        if !self.has_active()
            || special.intersects(Special::STOP_NOW | Special::REPEAT)
            || special.contains(Special::RESTART) && turn.did_something()
            || self.allowance.as_deref().is_some_and(Allowance::is_spent)
        {
            return None;
        }
        if self.active.begin_internal() {
            self.run_internals();
        }
        let turn = &mut self.run.turn;
        let active = &self.active;
        let current = turn.priority.filter(|&priority| active.has(priority));
        if current.is_none() && turn.called {
            return None;
        }
        let overdue = |allowance: &Allowance| allowance.overdue(|priority| active.has(priority));
        let priority = current
            .or_else(|| self.allowance.as_deref().and_then(overdue))
            .or_else(|| active.most_urgent())?;
        turn.priority = Some(priority);
        turn.direct = if self.run.special.is_empty() { priority } else { NONE };
        if let Some(allowance) = &mut self.allowance {
            allowance.count(priority);
        }
        Some(priority)
    }

    /// Takes an event of any kind; one without payload is passed over.
    fn take_other(&mut self, index: u32, causes: Causes) -> Option<Taken<P>> {
        let flags = self.slots.get(index).flags;
        if flags == WAITS_FOR_NOTHING {
            return self.take_transient(index, causes);
        }
        self.prepare_call(index, flags, causes);
        if flags.intersects(Flags::SIGNAL | Flags::FINALIZING | Flags::TRANSIENT) {
            return self.take_unusual(index, flags, causes);
        }
        let payload = self.slots.payload(index).take()?;
        let key = self.slots.key(index);
        Some(self.call(key, causes, payload))
    }

    /// Takes an event that is called several times, or that ends by being called.
    #[inline]
    fn take_unusual(&mut self, index: u32, flags: Flags, causes: Causes) -> Option<Taken<P>> {
        let leaves = Self::leaves_when_called(flags);
        if causes.contains(Causes::SIGNAL) && !leaves {
            self.begin_repeat(index);
        }
        let payload = self.slots.payload(index).take()?;
        let key = self.slots.key(index);
        let taken = self.call(key, causes, payload);
        if flags.contains(Flags::FINALIZING) {
            self.end_finalizing(index);
        } else if leaves {
            self.end_called(index);
        }
        Some(taken)
    }

    /// What becomes of an event before it is called: a one-shot event is deleted, a periodic one gets its next deadline.
    fn prepare_call(&mut self, index: u32, flags: Flags, causes: Causes) {
        if !flags.contains(Flags::PERSISTENT) {
            // As in `expire`: a refusal is harmless.
            let _ = self.unregister(index);
            self.timers.cancel(index);
        } else if flags.contains(Flags::EXPIRED) {
            self.slots.get_mut(index).flags.remove(Flags::EXPIRED);
        } else if is_periodic(flags) {
            self.push_back(index, flags, causes);
        }
    }

    #[inline]
    pub(super) fn call(&mut self, key: EventKey, causes: Causes, payload: P) -> Taken<P> {
        self.run.turn.called = true;
        self.running = Some(key);
        self.home = key.index();
        Taken {
            fired: Fired::new(key, causes),
            payload,
        }
    }

    /// The event that has just been handed out is no more: what runs is nobody's callback.
    #[inline]
    pub(super) fn disown_call(&mut self) {
        self.running = None;
        self.home = NOWHERE;
    }

    /// An activation other than by deadline starts the period anew.
    #[inline]
    fn push_back(&mut self, index: u32, flags: Flags, causes: Causes) {
        // An I/O event that is not added gets no deadline: it would be half added.
        if flags & (Flags::IO | Flags::INSERTED) == Flags::IO {
            return;
        }
        // The loop's first timeout was set in this very turn, and the clock was not read: the next activity starts it.
        let Some(now) = self.now else { return };
        let period = self.timeouts[index as usize];
        let scheduled = if causes.contains(Causes::TIMEOUT) {
            self.timers.deadline(index)
        } else {
            None
        };
        let deadline = match scheduled {
            Some(deadline) => next_in_phase(deadline, period, now),
            None => after(now, period),
        };
        if !self.timers.is_armed(index) {
            return self.set_first(index, deadline);
        }
        self.timers.set(index, deadline);
    }

    /// Sets the deadline of an event that had none.
    #[inline(never)]
    fn set_first(&mut self, index: u32, deadline: Time) {
        self.timers.set(index, deadline);
        self.note_deadlines();
    }

    /// Ends what [`next_active`](Self::next_active) began. Returns the payload if the event was removed meanwhile, or the one
    /// that it was [given](Self::fill) meanwhile: the driver drops it, outside its lock.
    #[inline]
    pub fn finish(&mut self, key: EventKey, payload: P) -> Option<P> {
        debug_assert!(self.running.is_none_or(|running| running == key), "this event runs");
        self.running = None;
        match self.slots.payload_at(self.home) {
            Some(place @ None) => {
                *place = Some(payload);
                None
            }
            Some(_) => self.finish_filled(payload),
            None => Some(payload),
        }
    }

    /// As [`finish`](Self::finish), an event that was given another payload meanwhile.
    #[inline(never)]
    fn finish_filled(&mut self, payload: P) -> Option<P> {
        self.slots.payload(self.home).replace(payload)
    }

    /// Takes over the further deliveries of the signal event that [`next_active`](Self::next_active) has just handed out:
    /// the engine does not hand it out for them any more. For drivers that call it several times by rules of their own.
    #[must_use = "they are lost otherwise"]
    pub fn take_repeats(&mut self) -> u32 {
        self.run.take_repeat().map_or(0, |repeat| repeat.left)
    }

    /// Ends what [`next_active`](Self::next_active) began when the callback panicked: the event is removed.
    pub fn abandon(&mut self, key: EventKey) {
        self.running = None;
        self.run.take_repeat();
        let removed = self.remove(key);
        debug_assert!(
            !matches!(removed, Ok(Removed::Payload(_))),
            "the driver holds the payload"
        );
    }

    /// Tells the engine that the driver called something of its own in this turn.
    /// It makes a pass of [`RunMode::ONCE`] complete, and does not stand for a callback of the turn's priority.
    pub fn count_as_called(&mut self) {
        self.run.turn.posted = true;
    }

    /// Ends a turn. Answers the outcome if the run ends with it.
    #[must_use = "the run may be over"]
    pub fn end_turn(&mut self) -> Option<Outcome> {
        let processed = self.run.turn.priority.take();
        if !self.run.special.is_empty() && self.end_special_turn(processed) {
            return Some(Outcome::Stopped);
        }
        let mode = self.run.mode;
        let over = if self.run.turn.did_something() {
            mode.contains(RunMode::ONCE) && !self.has_active()
        } else {
            mode.contains(RunMode::NON_BLOCKING) && processed.is_none()
        };
        over.then_some(Outcome::Passed)
    }

    /// Ends what was special about a turn. Answers whether the run has to stop.
    #[cold]
    fn end_special_turn(&mut self, processed: Option<u8>) -> bool {
        if let Some(allowance) = &mut self.allowance {
            allowance.end_turn(processed, |priority| self.active.has(priority));
        }
        self.run.take_stop().is_some()
    }

    fn begin_repeat(&mut self, index: u32) {
        let count = self.deliveries.get_mut(index as usize).map_or(1, mem::take);
        self.run.begin_repeat(index, count.saturating_sub(1));
    }

    fn next_repeat(&mut self) -> Option<Taken<P>> {
        let Repeat { index, left } = self.run.take_repeat()?;
        if self.run.special.contains(Special::STOP_NOW) {
            return None;
        }
        self.run.begin_repeat(index, left - 1);
        let payload = self.slots.payload(index).take()?;
        let key = self.slots.key(index);
        // However often it was delivered, it counts as one callback, and that was counted.
        Some(self.call(key, Causes::SIGNAL, payload))
    }
}

/// Whether an event is the user's, persistent, and has no timeout: nothing becomes of it when it is called. Most of all that
/// is called is like that.
#[inline]
fn is_plain(flags: Flags) -> bool {
    const OTHER: Flags = Flags::SIGNAL
        .union(Flags::FINALIZING)
        .union(Flags::TIMEOUT)
        .union(Flags::EXPIRED);
    flags & OTHER.union(Flags::PERSISTENT) == Flags::PERSISTENT
}

/// Whether the event gets a new deadline by itself. A signal event does not: libevent's rule.
fn is_periodic(flags: Flags) -> bool {
    const ALL: Flags = Flags::PERSISTENT.union(Flags::TIMEOUT).union(Flags::SIGNAL);
    flags & ALL == Flags::PERSISTENT | Flags::TIMEOUT
}

/// One period later. A period of zero counts as a nanosecond, or the event would be due again at once, and for ever.
fn after(time: Time, period: u64) -> Time {
    Time::from_nanos(time.as_nanos().saturating_add(period.max(1)))
}

/// The next deadline of a periodic event: one period after the last, unless that has passed as well.
fn next_in_phase(deadline: Time, period: u64, now: Time) -> Time {
    let next = after(deadline, period);
    if next < now { after(now, period) } else { next }
}
