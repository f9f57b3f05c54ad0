//! Adding and deleting events, and making them active by hand.

use std::ffi::{c_int, c_short};
use std::ptr;

use ev_core::{Causes, Error, Features};
use libc::timeval;

use crate::abi::{
    CLOSURE_PERSIST, EV_CLOSED, EV_ET, EV_FINALIZE, EV_IO, EV_READ, EV_SIGNAL, EV_TIMEOUT, EV_WRITE, EVLIST_ACTIVE,
    EVLIST_FINALIZING, EVLIST_TIMEOUT, event, event_callback,
};
use crate::base::{Locked, State};
use crate::debug;
use crate::event::{ZERO, event_at};
use crate::known::{key, mark_idle, take_key};
use crate::log::{ensure, warnx};

/// Whether to wait for a callback that runs in another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Never,
    Always,
    /// Unless the event was created with `EV_FINALIZE`.
    Automatic,
}

impl State {
    /// Dies of a priority that the base does not have any more, as libevent does.
    pub(crate) fn check_priority(&self, callback: &event_callback) {
        ensure!(
            callback.evcb_pri.get() < self.engine.priorities(),
            "evcb->evcb_pri < base->nactivequeues",
            "event_queue_insert_active"
        );
    }

    /// Makes an event active, or adds to what it is active for. `calls` counts for a signal event.
    #[inline]
    pub(crate) fn activate(&mut self, event: &event, result: c_short, calls: c_short) -> Result<(), Error> {
        if event.has(EVLIST_FINALIZING) {
            return Ok(());
        }
        self.end_expiry();
        if event.has(EVLIST_ACTIVE) && result & EV_TIMEOUT == 0 {
            // The engine knows it already.
            event.by_hand.set(event.by_hand.get() | result);
            event.ev_res.set(event.ev_res.get() | result);
            return Ok(());
        }
        self.activate_anew(event, result, calls)
    }

    #[inline(never)]
    fn activate_anew(&mut self, event: &event, result: c_short, calls: c_short) -> Result<(), Error> {
        self.check_priority(&event.ev_evcallback);
        // Of what is given by hand the engine has to know only what a new deadline takes back.
        let causes = if result & EV_TIMEOUT == 0 {
            Causes::empty()
        } else {
            Causes::TIMEOUT
        };
        let was_active = match key(event) {
            None => {
                self.activate_idle(event, causes)?;
                false
            }
            Some(key) => {
                let was_active = self.engine.causes(key).is_ok_and(|causes| causes.is_some());
                let activated = self.engine.activate(key, causes);
                debug_assert!(activated.is_ok(), "the key is known");
                was_active
            }
        };
        event.by_hand.set(event.by_hand.get() | result);
        if !was_active {
            event.calls.set(calls.max(0));
        }
        event.ev_res.set(if was_active {
            event.ev_res.get() | result
        } else {
            result
        });
        let flags = &event.ev_evcallback.evcb_flags;
        flags.set(flags.get() | EVLIST_ACTIVE);
        Ok(())
    }

    /// What of `event_pending`'s bits apply to an event.
    fn pending(&self, event: &event) -> c_short {
        let mut bits = if event.has(EVLIST_TIMEOUT) { EV_TIMEOUT } else { 0 };
        let Some(standing) = key(event).and_then(|key| self.engine.standing(key).ok()) else {
            return bits;
        };
        bits |= standing.active.map_or(0, |causes| self.result(event, causes));
        if standing.is_registered {
            bits |= event.ev_events & (EV_IO | EV_SIGNAL);
        }
        bits
    }

    /// What an active event's function is told.
    #[inline]
    pub(crate) fn result(&self, event: &event, causes: Causes) -> c_short {
        let mut result = event.by_hand.get();
        for (cause, bit) in CAUSES {
            if causes.contains(cause) {
                result |= bit;
            }
        }
        if causes == Causes::ERROR {
            // Nothing that the event asked for came, but it would never hear of anything else.
            result |= event.ev_events & EV_IO;
        }
        let by_kernel = causes.intersects(Causes::READ | Causes::WRITE | Causes::CLOSED);
        if by_kernel && event.wants(EV_ET) && self.engine.features().contains(Features::EDGE) {
            result |= EV_ET;
        }
        result
    }
}

const CAUSES: [(Causes, c_short); 5] = [
    (Causes::READ, EV_READ),
    (Causes::WRITE, EV_WRITE),
    (Causes::CLOSED, EV_CLOSED),
    (Causes::TIMEOUT, EV_TIMEOUT),
    (Causes::SIGNAL, EV_SIGNAL),
];

/// The event's base, locked; a warning and `None` if it has none.
///
/// # Safety
///
/// The event's base is null or alive.
#[inline]
unsafe fn base_of(event: &event, what: &str) -> Option<Locked> {
    let base = event.ev_base.get();
    if base.is_null() {
        warn_without_base(what);
        return None;
    }
    // SAFETY: the caller promises a base that is alive.
    Some(unsafe { Locked::new(base) })
}

#[cold]
fn warn_without_base(what: &str) {
    warnx!("{what}: event has no event_base set.");
}

/// Makes an event pending: 0, or -1 with nothing changed.
///
/// # Safety
///
/// `ev` was assigned and stays so while it is pending, its base is alive; `tv` is null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_add(ev: *mut event, tv: *const timeval) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_add") }) else {
        return -1;
    };
    debug::check_assigned(ev, "event_add");
    if event.has(EVLIST_FINALIZING) {
        return -1;
    }
    if event.wants(EV_SIGNAL) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    // SAFETY: the caller gives null or a time.
    let tv = unsafe { tv.as_ref() };
    let is_current = ptr::eq(base.current, &raw const event.ev_evcallback);
    let takes_back = is_current && tv.is_some() && is_active_by_timeout(&base, event);
    let added = base.add_for(event, tv);
    if added.is_ok() {
        if let Some(&tv) = tv
            && event.ev_evcallback.evcb_closure.get() == CLOSURE_PERSIST
        {
            event.ev_period.set(tv);
        }
        if takes_back {
            base.calls_left = 0;
        }
        base.wake_if_needed();
    }
    // Under the lock: as soon as it is released the loop may call the event, and its function may free it.
    debug::added(ev);
    drop(base);
    added.map_or_else(|error| Locked::refuse("event_add", error), |()| 0)
}

#[inline(never)]
fn is_active_by_timeout(base: &State, event: &event) -> bool {
    let causes = key(event).and_then(|key| base.engine.causes(key).ok().flatten());
    causes.is_some_and(|causes| causes.contains(Causes::TIMEOUT))
}

/// Deletes an event; the heart of all functions that do so. -1 if the kernel refused to forget it, which it has not where
/// the event is concerned.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[expect(clippy::inline_always, reason = "as `Engine::leave`")]
#[inline(always)]
unsafe fn delete(ev: *mut event, blocking: Blocking) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_del_") }) else {
        return -1;
    };
    if event.has(EVLIST_FINALIZING) {
        return 0;
    }
    let deleted = base.delete(event);
    base.wake_if_needed();
    debug::deleted(ev);
    if blocking == Blocking::Always || blocking == Blocking::Automatic && !event.wants(EV_FINALIZE) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    drop(base);
    deleted.map_or_else(|error| Locked::refuse("event_del", error), |()| 0)
}

impl State {
    /// Deletes an event from wherever it is, and what is left of its calls if it is a signal event that runs.
    #[expect(clippy::inline_always, reason = "as `Engine::leave`")]
    #[inline(always)]
    pub(crate) fn delete(&mut self, event: &event) -> Result<(), Error> {
        if ptr::eq(self.current, &raw const event.ev_evcallback) {
            self.calls_left = 0;
        }
        self.clear_deadline(event);
        let Some(key) = take_key(&event.ev_evcallback) else {
            return Ok(());
        };
        mark_idle(event);
        self.engine.leave(key)
    }
}

/// Makes an event neither pending nor active, and waits for its callback if that runs in another thread, unless the event
/// was created with `EV_FINALIZE`: 0, or -1.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Automatic) }
}

/// As `event_del`, and waits for the callback in any case.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del_block(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Always) }
}

/// As `event_del`, and does not wait.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del_noblock(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Never) }
}

/// Takes a pending timeout away and forgets the period; the rest stays as it is. 0, or -1 without a base.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_remove_timer(ev: *mut event) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_remove_timer") }) else {
        return -1;
    };
    debug::check_assigned(ev, "event_remove_timer");
    base.end_expiry();
    if event.has(EVLIST_TIMEOUT) {
        base.clear_deadline(event);
        event.ev_period.set(ZERO);
        base.wake_if_needed();
    }
    0
}

/// Makes an event active by hand; `calls` is how often a signal event is to be called.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_active(ev: *mut event, result: c_int, calls: c_short) {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_active") }) else {
        return;
    };
    debug::check_assigned(ev, "event_active");
    if event.wants(EV_SIGNAL) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    // The loop does not sleep while anything is active.
    let was_active = event.has(EVLIST_ACTIVE);
    match base.activate(event, result as c_short, calls) {
        Ok(()) if was_active => {}
        Ok(()) => base.wake_if_needed(),
        Err(error) => {
            Locked::refuse("event_active", error);
        }
    }
}

/// What of `what` an event is pending or active for; `tv` gets the time of day of its timeout, if it has one and it was
/// asked for.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive; `tv` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_pending(ev: *const event, what: c_short, tv: *mut timeval) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(base) = (unsafe { base_of(event, "event_pending") }) else {
        return 0;
    };
    debug::check_assigned(ev, "event_pending");
    let what = what & (EV_TIMEOUT | EV_IO | EV_SIGNAL);
    let bits = base.pending(event);
    if bits & what & EV_TIMEOUT != 0 && !tv.is_null() {
        let time = base.time_of_day(crate::time::time_of(&event.ev_timeout.get()));
        // SAFETY: the caller gives room for a time.
        unsafe { tv.write(time) };
    }
    c_int::from(bits & what)
}
