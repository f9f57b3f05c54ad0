//! What becomes of the events whose deadlines have passed.
//!
//! They become active in the order of their deadlines, and are called after what was active before. Where nothing was,
//! nothing can come between, and all of them are timers, which wait for nothing else, they may as well stay in `timers` until
//! their turn comes, and be called from there. That is an expiry. As soon as somebody does something that depends on what is
//! active, the rest does become active. (`ev_flags` tell the difference all the time; they are nobody's business.)
//!
//! Invariants:
//! 1. During an expiry nothing is active in the engine. Whoever makes anything active, has active events called in another
//!    order or later, or tells what is active, [ends](State::end_expiry) it before.
//! 2. During an expiry the deadlines that are not after its `until` are those of the events that are left to be called, which
//!    are timers. Whoever sets such a one ends it before.

use std::ptr::NonNull;

use ev_core::{Causes, Error, EventKey, Time};

use crate::abi::{EVLIST_ACTIVE, EVLIST_TIMEOUT, event};
use crate::base::{Callback, State};
use crate::known::{key, set_lists};

/// The events whose deadlines are not after a time are being called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    until: Time,
    /// How many events have been called, or lost their deadlines: they count as active when it began.
    gone: usize,
}

impl State {
    /// Has the events called in this turn whose deadlines have passed.
    #[inline]
    pub(crate) fn begin_expiry(&mut self) {
        let until = self.now();
        if self.engine.calls_in_order() && self.timers.has_only_timers() {
            self.expiry = Some(Expiry { until, gone: 0 });
        } else {
            self.expire(until);
        }
    }

    /// Makes the events active that are left to be called.
    #[inline]
    pub(crate) fn end_expiry(&mut self) {
        if let Some(expiry) = self.expiry.take() {
            self.expire_rest(expiry);
        }
    }

    #[cold]
    fn expire_rest(&mut self, expiry: Expiry) {
        self.expire(expiry.until);
        self.note_active(expiry.gone + self.engine.counts().active);
    }

    /// Takes the next event to be called in an expiry, which is over with the last.
    #[inline]
    pub(crate) fn next_due(&mut self) -> Option<NonNull<event>> {
        let expiry = self.expiry.as_mut()?;
        debug_assert!(!self.engine.has_active(), "invariant 1");
        let Some(next) = self.timers.pop_due(expiry.until) else {
            let gone = expiry.gone;
            self.expiry = None;
            self.note_active(gone);
            self.tell_deadlines();
            return None;
        };
        // SAFETY: an event that has a deadline is alive (invariant 2 of `base`).
        let event = unsafe { next.as_ref() };
        expiry.gone += 1;
        self.check_priority(&event.ev_evcallback);
        self.tell_deadlines();
        Some(next)
    }

    /// To be called before an event gets a deadline: ends an expiry that this is in the way of.
    #[inline]
    pub(crate) fn make_way(&mut self, event: &event, deadline: Time) {
        let Some(expiry) = self.expiry else { return };
        if deadline <= expiry.until {
            self.end_expiry();
        } else if event.has(EVLIST_TIMEOUT) {
            self.count_if_due(event);
        }
    }

    /// To be called before an event that has a deadline loses it.
    #[inline]
    pub(crate) fn count_if_due(&mut self, event: &event) {
        if let Some(expiry) = &mut self.expiry
            && event.timer.is_due(expiry.until)
        {
            expiry.gone += 1;
        }
    }

    /// So many events were active.
    fn note_active(&mut self, active: usize) {
        if active > self.engine.maxima().active {
            self.engine.maxima_mut().active = active;
        }
    }

    /// Makes the events active whose deadlines are not after `now`, which deletes them. Without memory for that the rest keeps
    /// its deadlines.
    fn expire(&mut self, now: Time) {
        while let Some(event) = self.timers.pop_due(now) {
            // SAFETY: an event that has a deadline is alive (invariant 2 of `base`).
            let event = unsafe { event.as_ref() };
            if self.time_out(event).is_err() {
                self.check_priority(&event.ev_evcallback);
                self.timers.put_back(event);
                self.starved = true;
                break;
            }
        }
        // What was dropped on the way, as it was set up again, does not count either.
        self.tell_deadlines();
    }

    #[inline]
    fn time_out(&mut self, event: &event) -> Result<(), Error> {
        let head = &event.ev_evcallback;
        if event.is_timer() && head.key.get() == 0 {
            let key = self.engine.enter_due(head.evcb_pri.get(), Callback::new(head))?;
            head.key.set(key.to_bits());
        } else {
            // It does not count as both.
            self.tell_deadlines();
            match key(event) {
                Some(key) => self.time_out_known(event, key),
                None => self.activate_unregistered(event, Causes::TIMEOUT)?,
            }
        }
        let flags = &head.evcb_flags;
        flags.set(flags.get() | EVLIST_ACTIVE);
        Ok(())
    }

    /// Whichever comes first deletes an event, its readiness or its deadline; with both in one turn it hears of both.
    #[inline(never)]
    fn time_out_known(&mut self, event: &event, key: EventKey) {
        let is_active = self.engine.causes(key).is_ok_and(|causes| causes.is_some());
        if !is_active {
            // A backend that refuses to forget the descriptor reports it as stale later, which is harmless.
            let _ = self.engine.delete(key);
            set_lists(event, 0);
        }
        let activated = self.engine.activate(key, Causes::TIMEOUT);
        debug_assert!(activated.is_ok(), "the key is known");
    }
}
