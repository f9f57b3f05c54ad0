//! Finalizers: functions that are called when nothing uses an event any more.

use std::ffi::{c_int, c_uint, c_void};

use ev_core::engine::{Spec, Target};
use ev_core::{Error, Persistence};

use crate::abi::{
    CLOSURE_EVENT_FINALIZE, CLOSURE_EVENT_FINALIZE_FREE, EV_FINALIZE, EVLIST_ACTIVE, EVLIST_FINALIZING,
    EVLIST_INSERTED, EVLIST_TIMEOUT, FinalizeCallback, event, event_callback,
};
use crate::base::{Callback, Locked, State};
use crate::debug;
use crate::event::event_at;
use crate::log::warnx;

impl State {
    /// Has the callback called once more, as what its closure says now, and then not known any more.
    pub(crate) fn finalize(&mut self, callback: &event_callback) -> Result<(), Error> {
        let flags = &callback.evcb_flags;
        if flags.get() & EVLIST_FINALIZING != 0 {
            return Ok(());
        }
        self.drop_key(callback);
        let mut spec = Spec::new(Target::None, Persistence::Once);
        spec.priority = Some(callback.evcb_pri.get());
        let key = self.introduce(callback, &spec)?;
        self.engine.finalize(key, |_| Callback(callback))?;
        callback.key.set(0);
        flags.set(flags.get() & !(EVLIST_INSERTED | EVLIST_TIMEOUT) | EVLIST_ACTIVE | EVLIST_FINALIZING);
        Ok(())
    }
}

unsafe fn finalize(ev: *mut event, callback: Option<FinalizeCallback>, closure: u8) -> c_int {
    // SAFETY: the callers' callers vouch for the event.
    let event = unsafe { event_at(ev) };
    let base = event.ev_base.get();
    if base.is_null() {
        warnx!("event_finalize_impl_: event has no event_base set.");
        return -1;
    }
    // SAFETY: the callers' callers promise that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let is_first = !event.has(EVLIST_FINALIZING);
    if is_first {
        // A kernel that refuses to forget the descriptor does not keep the event from being over.
        let _ = base.delete(event);
        debug::deleted(ev);
    }
    let head = &event.ev_evcallback;
    head.evcb_function
        .set(callback.map_or(std::ptr::null_mut(), |callback| callback as *mut c_void));
    head.evcb_closure.set(closure);
    event.ev_res.set(EV_FINALIZE);
    if let Err(error) = base.finalize(head) {
        return Locked::refuse("event_finalize", error);
    }
    base.wake_if_needed();
    0
}

/// Deletes an event without waiting, and has `callback` called by the loop when the event's own function does not run any
/// more: 0, or -1 without a base. Until then the event cannot be added or activated.
///
/// # Safety
///
/// `ev` was assigned and is not freed before `callback` is called; its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_finalize(_flags: c_uint, ev: *mut event, callback: Option<FinalizeCallback>) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { finalize(ev, callback, CLOSURE_EVENT_FINALIZE) }
}

/// As `event_finalize`, and frees the event after `callback`.
///
/// # Safety
///
/// `ev` is of `event_new`; its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_free_finalize(
    _flags: c_uint,
    ev: *mut event,
    callback: Option<FinalizeCallback>,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { finalize(ev, callback, CLOSURE_EVENT_FINALIZE_FREE) }
}
