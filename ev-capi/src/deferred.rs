//! Deferred callbacks: what the libraries on top of the event core put off, without being events.
//!
//! These functions are libevent's own business; its other libraries link to them.

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::slice;

use ev_core::engine::{Spec, Target};
use ev_core::{Causes, Error, EventKey, Persistence};

use crate::abi::{
    CLOSURE_EVENT, CLOSURE_FINALIZE, CLOSURE_SELF, EVLIST_ACTIVE, EVLIST_FINALIZING, EVLIST_INIT, SelfCallback,
    event_callback,
};
use crate::base::{Locked, State, event_base};
use crate::event::event_at;
use crate::{compat, debug};

impl State {
    /// The key of an event or a deferred callback that is to become active; the engine gets to know it if it does not, as
    /// one that waits for nothing.
    pub(crate) fn known_callback(&mut self, callback: &event_callback) -> Result<EventKey, Error> {
        self.check_priority(callback);
        if let Some(key) = EventKey::from_bits(callback.key.get()) {
            return Ok(key);
        }
        let mut spec = Spec::new(Target::None, Persistence::Once);
        spec.priority = Some(callback.evcb_pri.get());
        self.introduce(callback, &spec)
    }

    /// Makes a deferred callback active. Answers 1 if it was not, not even from the next turn on; if it was that, and is to
    /// be called now, it is.
    fn schedule(&mut self, callback: &event_callback, how: How) -> c_int {
        let flags = &callback.evcb_flags;
        if flags.get() & EVLIST_FINALIZING != 0 {
            return 0;
        }
        self.end_expiry();
        let Ok(key) = self.known_callback(callback) else {
            return 0;
        };
        let activated = match how {
            How::Now => self.engine.activate(key, Causes::empty()),
            How::WithinBounds => self.engine.defer_event(key),
        };
        debug_assert!(activated.is_ok(), "the key is known");
        let was_active = flags.get() & EVLIST_ACTIVE != 0;
        flags.set(flags.get() | EVLIST_ACTIVE);
        self.wake_if_needed();
        c_int::from(!was_active)
    }

    /// Lets a deferred callback or an event be neither pending nor active, unless it is to be finalized.
    ///
    /// # Safety
    ///
    /// It was set up, and is alive.
    pub(crate) unsafe fn cancel(&mut self, callback: *const event_callback) {
        // SAFETY: as the caller promises.
        let head = unsafe { callback_at(callback) };
        let flags = &head.evcb_flags;
        if flags.get() & EVLIST_FINALIZING != 0 {
            return;
        }
        if flags.get() & EVLIST_INIT == 0 {
            // It waits for nothing that the kernel knows of.
            let _ = self.drop_key(head);
            flags.set(flags.get() & !EVLIST_ACTIVE);
            return;
        }
        // SAFETY: the head of an event is its first field, and only events are set up as such.
        let event = unsafe { event_at(callback.cast()) };
        // A kernel that refuses to forget the descriptor does not keep the event from being over.
        let _ = self.delete(event);
        debug::deleted(event);
    }
}

impl Locked {
    /// Cancels a deferred callback or an event and has it called once more, by another function.
    ///
    /// # Safety
    ///
    /// As for `cancel`.
    unsafe fn finalize_callback(&mut self, callback: *const event_callback, function: SelfCallback) {
        // SAFETY: as the caller promises.
        unsafe { self.cancel(callback) };
        // SAFETY: as above.
        let head = unsafe { callback_at(callback) };
        if let Err(error) = self.finalize(head) {
            Self::refuse("event_callback_finalize_", error);
            return;
        }
        head.evcb_function.set(function as *mut c_void);
        head.evcb_closure.set(CLOSURE_FINALIZE);
        self.wake_if_needed();
    }
}

/// When a deferred callback is to be called.
#[derive(Clone, Copy, Debug)]
enum How {
    Now,
    /// In the next turn if many are to be in this one.
    WithinBounds,
}

/// The deferred callback behind a pointer.
///
/// # Safety
///
/// It was set up, and is neither freed nor set up again as long as the answer is used.
unsafe fn callback_at<'a>(callback: *const event_callback) -> &'a event_callback {
    // SAFETY: the caller promises one; what changes in it are cells.
    unsafe { &*callback }
}

/// Sets a deferred callback up.
///
/// # Safety
///
/// `callback` is memory for one that is not scheduled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_deferred_cb_init_(
    callback: *mut event_callback,
    priority: u8,
    function: Option<SelfCallback>,
    arg: *mut c_void,
) {
    let set_up = event_callback {
        key: Cell::new(0),
        last_key: Cell::new(0),
        evcb_flags: Cell::new(0),
        evcb_pri: Cell::new(priority),
        evcb_closure: Cell::new(CLOSURE_SELF),
        evcb_function: Cell::new(function.map_or(ptr::null_mut(), |function| function as *mut c_void)),
        evcb_arg: arg,
    };
    // SAFETY: the caller gives memory for it.
    unsafe { callback.write(set_up) };
}

/// Sets the priority of a deferred callback, for when it is scheduled next.
///
/// # Safety
///
/// `callback` was set up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_deferred_cb_set_priority_(callback: *mut event_callback, priority: u8) {
    // SAFETY: as the caller promises.
    unsafe { callback_at(callback) }.evcb_pri.set(priority);
}

/// Has a deferred callback called in this turn or, if that has been given many, in the next: 1, or 0 if it was to be
/// called already.
///
/// # Safety
///
/// `base` is null or alive; `callback` was set up, and stays so until it is called or cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_deferred_cb_schedule_(base: *mut event_base, callback: *mut event_callback) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { schedule(base, callback, How::WithinBounds) }
}

/// Takes a deferred callback back.
///
/// # Safety
///
/// `base` is null or alive; `callback` was set up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_deferred_cb_cancel_(base: *mut event_base, callback: *mut event_callback) {
    // SAFETY: as the caller promises.
    unsafe { event_callback_cancel_(base, callback) };
}

/// Makes memory a deferred callback of the least urgent priority, without a function.
///
/// # Safety
///
/// `base` is alive; `callback` is memory for one that is not scheduled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_callback_init_(base: *mut event_base, callback: *mut event_callback) {
    // SAFETY: the caller promises that it is alive.
    let priority = unsafe { Locked::new(base) }.engine.priorities() - 1;
    // SAFETY: the caller gives memory for it.
    unsafe { event_deferred_cb_init_(callback, priority, None, ptr::null_mut()) };
    // SAFETY: it was set up above.
    unsafe { callback_at(callback) }.evcb_closure.set(CLOSURE_EVENT);
}

/// Makes a deferred callback active: 1, or 0 if it was.
///
/// # Safety
///
/// `base` is null or alive; `callback` was set up, and stays so until it is called or cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_callback_activate_(base: *mut event_base, callback: *mut event_callback) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { schedule(base, callback, How::Now) }
}

unsafe fn schedule(base: *mut event_base, callback: *mut event_callback, how: How) -> c_int {
    let base = compat::or_current(base);
    // SAFETY: the callers' callers promise that it is alive.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: the callers' callers vouch for it.
    base.schedule(unsafe { callback_at(callback) }, how)
}

/// Takes a deferred callback back: 0.
///
/// # Safety
///
/// `base` is null or alive; `callback` was set up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_callback_cancel_(base: *mut event_base, callback: *mut event_callback) -> c_int {
    let base = compat::or_current(base);
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: the caller vouches for it.
    unsafe { base.cancel(callback) };
    0
}

/// Takes a deferred callback back and has `function` called in its place, after the callback that may be running.
///
/// # Safety
///
/// `base` is alive; `callback` was set up, and stays so until `function` is called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_callback_finalize_(
    base: *mut event_base,
    _flags: c_uint,
    callback: *mut event_callback,
    function: SelfCallback,
) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: the caller vouches for it.
    unsafe { base.finalize_callback(callback, function) };
}

/// Takes deferred callbacks back and has `function` called once, in place of the one that is running or of the first. Does
/// nothing if there are none.
///
/// # Safety
///
/// `base` is null or alive; `callbacks` are `count` pointers to callbacks that were set up and stay so until `function` is
/// called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_callback_finalize_many_(
    base: *mut event_base,
    count: c_int,
    callbacks: *const *mut event_callback,
    function: SelfCallback,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 {
        return 0;
    }
    let base = compat::or_current(base);
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    // SAFETY: the caller gives that many.
    let callbacks = unsafe { slice::from_raw_parts(callbacks, count) };
    let running = callbacks.iter().position(|&callback| ptr::eq(callback, base.current));
    let last = running.unwrap_or(0);
    for (place, &callback) in callbacks.iter().enumerate() {
        if place == last {
            // SAFETY: the caller vouches for it.
            unsafe { base.finalize_callback(callback, function) };
        } else {
            // SAFETY: as above.
            unsafe { base.cancel(callback) };
        }
    }
    0
}

/// Keeps the loop from ending for want of events, until it is taken back.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_add_virtual_(base: *mut event_base) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let hold = base.engine.keep_alive();
    base.virtuals.push(hold);
    base.most_virtuals = base.most_virtuals.max(base.virtuals.len());
}

/// Takes one of these back, and wakes the loop if it was the last.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_del_virtual_(base: *mut event_base) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let hold = base.virtuals.pop();
    crate::log::ensure!(
        hold.is_some(),
        "base->virtual_event_count > 0",
        "event_base_del_virtual_"
    );
    drop(hold);
    base.wake_if_needed();
}
