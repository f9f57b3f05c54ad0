//! Finalizers: functions that are called when nothing uses an event any more.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use ev_core::Error;

use crate::abi::{
    CLOSURE_EVENT_FINALIZE, CLOSURE_EVENT_FINALIZE_FREE, EV_FINALIZE, EVLIST_ACTIVE, EVLIST_FINALIZING,
    EVLIST_INSERTED, EVLIST_TIMEOUT, FinalizeCallback, event, event_callback,
};
use crate::base::{Callback, Locked, State};
use crate::debug;
use crate::event::event_at;
use crate::log::warnx;

impl State {
    /// Lets an event or a deferred callback be neither pending nor active, and has it called once more, by what its function
    /// and closure are by then; the engine does not know it any more. On failure nothing has changed.
    pub(crate) fn finalize(&mut self, callback: &event_callback) -> Result<(), Error> {
        let flags = &callback.evcb_flags;
        if flags.get() & EVLIST_FINALIZING != 0 {
            return Ok(());
        }
        self.end_expiry();
        let key = self.known_callback(callback)?;
        // A kernel that refuses to forget the descriptor does not keep the event from being over.
        self.engine.finalize(key, |_| Callback::new(callback))?;
        if ptr::eq(self.current, callback) {
            self.calls_left = 0;
        }
        if flags.get() & EVLIST_TIMEOUT != 0 {
            // SAFETY: only events have deadlines, and the head of an event is its first field.
            self.clear_deadline(unsafe { event_at(ptr::from_ref(callback).cast()) });
        }
        callback.key.set(0);
        flags.set(flags.get() & !EVLIST_INSERTED | EVLIST_ACTIVE | EVLIST_FINALIZING);
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
    let head = &event.ev_evcallback;
    if !event.has(EVLIST_FINALIZING) {
        // Only what waits for no descriptor and no signal can fail below: there has to be room for it.
        debug::deleted(ev);
        if let Err(error) = base.finalize(head) {
            return Locked::refuse("event_finalize", error);
        }
        event.ev_res.set(EV_FINALIZE);
    }
    // As in libevent, a second call replaces the finalizer.
    head.evcb_function
        .set(callback.map_or(ptr::null_mut(), |callback| callback as *mut c_void));
    head.evcb_closure.set(closure);
    base.wake_if_needed();
    0
}

/// Deletes an event without waiting, and has `callback` called by the loop when the event's own function does not run any
/// more: 0, or -1 without a base or, unlike libevent, without memory; then nothing has changed. Until `callback` is called
/// the event cannot be added or activated. Null stands for a function that does nothing.
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
