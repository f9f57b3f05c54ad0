//! Calling the functions of what is active.
//!
//! When an event's turn comes everything that is to be done with it is done first, and what its function is to be told is
//! copied: the function may free the event. The engine has no unfinished business while C code runs.

use std::ffi::{c_int, c_short, c_void};
use std::mem;
use std::ptr;

use ev_core::engine::Taken;
use ev_core::{Causes, Error, EventKey};

use crate::abi::{
    CLOSURE_EVENT_FINALIZE_FREE, CLOSURE_FINALIZE, CLOSURE_PERSIST, CLOSURE_SELF, CLOSURE_SIGNAL, EV_PERSIST,
    EV_SIGNAL, EV_TIMEOUT, EVLIST_ACTIVE, EVLIST_FINALIZING, EVLIST_INSERTED, EVLIST_TIMEOUT, EventCallback,
    FinalizeCallback, SelfCallback, event, event_callback,
};
use crate::base::{Locked, State};
use crate::event::event_at;
use crate::known::{Due, mark_idle, take_key};
use crate::log::warnx;
use crate::time::{duration, is_set, time_of, timeval_of};
use crate::{common, debug, mm};

/// What is called, with all that it is told.
enum Call {
    Event {
        function: *mut c_void,
        fd: c_int,
        result: c_short,
        arg: *mut c_void,
        /// How often; a signal may have been delivered several times.
        times: u32,
    },
    /// A function that is told which structure it is: a deferred callback's, or a finalizer.
    Itself {
        function: *mut c_void,
        arg: *mut c_void,
        closure: u8,
    },
}

impl Locked {
    /// Calls what is active, as far as this turn goes.
    pub(crate) fn dispatch(&mut self) {
        if self.expiry.is_some() {
            self.call_due();
        }
        self.tick();
        while let Some(Taken { fired, payload }) = self.engine.next_active() {
            let repeats = self.engine.take_repeats();
            // The engine has forgotten a finalizer already, and an event that is not persistent.
            let _ = self.engine.finish(fired.key(), payload);
            let callback = payload.as_ptr();
            if is_stale(callback, fired.key()) {
                // One that is forgotten is not there to be removed.
                let _ = self.engine.remove(fired.key());
                continue;
            }
            let call = self.take(callback, fired.causes(), repeats);
            self.call(callback, &call);
            self.callback_returned();
            if self.freeing {
                self.forget_events();
            }
            self.tick();
        }
    }

    /// Calls the events whose deadlines have passed.
    #[inline(never)]
    fn call_due(&mut self) {
        while let Some(event) = self.next_due() {
            self.engine.count_as_called();
            // SAFETY: an event that has a deadline is alive (invariant 2 of `base`).
            let call = self.take_timer(unsafe { event.as_ref() });
            self.call(event.as_ptr().cast_const().cast(), &call);
            self.callback_returned();
        }
    }

    /// Tells the engine the time, if turns are limited in time.
    #[inline]
    fn tick(&mut self) {
        if self.engine.is_timed() {
            self.tell_time();
        }
    }

    #[cold]
    fn tell_time(&mut self) {
        self.update_time_cache();
        let now = self.now();
        self.engine.tick(now);
    }

    /// Makes a call of an active event or deferred callback, which is not active any more then.
    fn take(&mut self, callback: *const event_callback, causes: Causes, repeats: u32) -> Call {
        // SAFETY: what is active was set up, and has not been freed: its owner would have deleted it first (invariant 2).
        let head = unsafe { &*callback };
        let itself = |closure| Call::Itself {
            function: head.evcb_function.get(),
            arg: head.evcb_arg,
            closure,
        };
        let closure = head.evcb_closure.get();
        if closure >= CLOSURE_SELF {
            // What is finalized has no key any more.
            take_key(head);
            head.evcb_flags.set(head.evcb_flags.get() & !EVLIST_ACTIVE);
            return itself(closure);
        }
        // SAFETY: the head of an event is its first field, and only events have the other kinds of functions.
        let event = unsafe { event_at(callback.cast()) };
        let result = self.result(event, causes);
        let times = match event.calls.get() {
            _ if closure != CLOSURE_SIGNAL => 1,
            event::NOT_BY_HAND => repeats.saturating_add(1),
            calls => calls as u32,
        };
        let kept = if event.wants(EV_PERSIST) && !event.is_timer() {
            self.keep(event, causes, result)
        } else {
            self.release(event, result)
        };
        hand_out(event, result, times, kept)
    }

    /// Makes a call of a timer that has timed out.
    fn take_timer(&mut self, timer: &event) -> Call {
        let kept = self.release(timer, EV_TIMEOUT);
        hand_out(timer, EV_TIMEOUT, 1, kept)
    }

    /// Has an event be neither registered nor active, and set its next deadline if it is persistent.
    #[inline]
    fn release(&mut self, event: &event, result: c_short) -> Result<(), Error> {
        let head = &event.ev_evcallback;
        if event.wants(EV_SIGNAL) {
            // To the engine it is persistent.
            let _ = self.drop_key(head);
        }
        take_key(head);
        mark_idle(event);
        if !event.wants(EV_PERSIST) {
            self.clear_deadline(event);
            return Ok(());
        }
        if is_set(&event.ev_period.get()) {
            return self.add_again(event, result);
        }
        Ok(())
    }

    /// Has a persistent event wait again, or go on waiting, for its descriptor or signal.
    fn keep(&mut self, event: &event, causes: Causes, result: c_short) -> Result<(), Error> {
        event.by_hand.set(0);
        event.calls.set(event::NOT_BY_HAND);
        let head = &event.ev_evcallback;
        if head.evcb_closure.get() == CLOSURE_PERSIST && is_set(&event.ev_period.get()) {
            let added = self.add_again(event, result);
            self.settle(event);
            return added;
        }
        if event.has(EVLIST_INSERTED) && !causes.intersects(Causes::TIMEOUT | Causes::ERROR) {
            // It waits for what it waited for: only a timeout or the kernel's refusal deletes it.
            head.evcb_flags.set(head.evcb_flags.get() & !EVLIST_ACTIVE);
        } else {
            self.settle(event);
        }
        Ok(())
    }

    #[expect(clippy::inline_always, reason = "returns after a system call are mispredicted")]
    #[inline(always)]
    fn call(&mut self, callback: *const event_callback, call: &Call) {
        match *call {
            Call::Event {
                function,
                fd,
                result,
                arg,
                times,
            } => {
                // SAFETY: `event_assign` stored a function of this kind or null.
                let function = unsafe { mem::transmute::<*mut c_void, Option<EventCallback>>(function) };
                let Some(function) = function else { return };
                (self.current, self.current_is_event) = (callback, true);
                self.calls_left = times;
                // Deleting the event, also to free it, takes the calls that are left back.
                while self.calls_left > 0 && !self.broken {
                    self.calls_left -= 1;
                    // SAFETY: who assigned the event promised that its function may be called like this.
                    self.unlocked(|| unsafe { function(fd, result, arg) });
                }
            }
            Call::Itself { function, arg, closure } => {
                let runs = if closure == CLOSURE_SELF { callback } else { ptr::null() };
                (self.current, self.current_is_event) = (runs, false);
                self.unlocked(|| {
                    // SAFETY: the structure is alive until its function says otherwise, which is called once, now.
                    unsafe { call_with_itself(callback.cast_mut(), function, arg, closure) }
                });
            }
        }
    }
}

/// What an event's function is told; `kept` says whether it goes on waiting as it should.
#[inline]
fn hand_out(event: &event, result: c_short, times: u32, kept: Result<(), Error>) -> Call {
    let head = &event.ev_evcallback;
    event.ev_res.set(result);
    if head.key.get() == 0 && !event.has(EVLIST_TIMEOUT) {
        debug::deleted(event);
    } else {
        debug::added(event);
    }
    let call = Call::Event {
        function: head.evcb_function.get(),
        fd: event.ev_fd,
        result,
        arg: head.evcb_arg,
        times,
    };
    if let Err(error) = kept {
        warnx!("event_base_loop: a persistent event is not added again: {error}");
    }
    call
}

/// Whether what has become active was set up again since (invariant 2 of `base`).
fn is_stale(callback: *const event_callback, key: EventKey) -> bool {
    // SAFETY: what is active is alive: its owner would have deleted it first (invariant 2).
    let head = unsafe { &*callback };
    // A finalizer that waits for its turn has no key any more.
    head.key.get() != key.to_bits() && head.evcb_flags.get() & EVLIST_FINALIZING == 0
}

/// Calls the function of a deferred callback, or a finalizer.
///
/// # Safety
///
/// The structure is alive, and the function of the kind that `closure` says.
unsafe fn call_with_itself(callback: *mut event_callback, function: *mut c_void, arg: *mut c_void, closure: u8) {
    if closure <= CLOSURE_FINALIZE {
        // SAFETY: these two kinds are told the callback's structure, or they are null.
        let function = unsafe { mem::transmute::<*mut c_void, Option<SelfCallback>>(function) };
        if let Some(function) = function {
            // SAFETY: who stored the function promised that it may be called like this.
            unsafe { function(callback, arg) };
        }
        return;
    }
    let ev = callback.cast::<event>();
    debug::unassigned(ev);
    // SAFETY: the other two kinds are told the event's structure, or they are null.
    let function = unsafe { mem::transmute::<*mut c_void, Option<FinalizeCallback>>(function) };
    if let Some(function) = function {
        // SAFETY: who stored the function promised that it may be called like this.
        unsafe { function(ev, arg) };
    }
    if closure == CLOSURE_EVENT_FINALIZE_FREE {
        // SAFETY: `event_free_finalize` takes only what `event_new` made, and nobody uses it any more.
        unsafe { mm::free(ev.cast()) };
    }
}

impl State {
    /// Adds a persistent event that has a period again. After a timeout the period counts from when the event was to time
    /// out, unless the next one is past as well; else from now.
    fn add_again(&mut self, event: &event, result: c_short) -> Result<(), Error> {
        let (period, now) = (event.ev_period.get(), self.now());
        let queue = common::queue(self, &period);
        let timeout = duration(&queue.map_or(period, |_| common::unmarked(&period)));
        let mut from = if result & EV_TIMEOUT == 0 {
            now
        } else {
            time_of(&event.ev_timeout.get())
        };
        if from + timeout < now {
            from = now;
        }
        let deadline = from + timeout;
        let time = timeval_of(deadline);
        let due = Due { deadline, queue, time };
        self.make_way(event, deadline);
        self.add_due(event, &due)
    }
}
