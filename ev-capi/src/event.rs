//! Events: setting them up, looking at them, giving them back.

use std::ffi::{c_int, c_short, c_void};
use std::ptr;

use libc::timeval;

use crate::abi::{
    CLOSURE_EVENT, CLOSURE_PERSIST, CLOSURE_SIGNAL, EV_IO, EV_PERSIST, EV_SIGNAL, EVLIST_FINALIZING, EVLIST_INIT,
    EventCallback, event,
};
pub(crate) use crate::arm::{event_add, event_del, event_del_noblock};
use crate::base::{Locked, event_base};
use crate::known::key;
use crate::log::warnx;
use crate::{compat, debug, mm};

pub(crate) const ZERO: timeval = timeval { tv_sec: 0, tv_usec: 0 };

/// A unique address: as an argument it stands for the event itself.
static SELF_ARGUMENT: u8 = 0;

/// The event behind a pointer of C's.
///
/// # Safety
///
/// `ev` was assigned, and is neither freed nor assigned again as long as the answer is used.
#[inline]
pub(crate) unsafe fn event_at<'a>(ev: *const event) -> &'a event {
    // SAFETY: the caller promises an event; what changes in it are cells.
    unsafe { &*ev }
}

/// What `event_assign` and `event_new` replace by the address of the event.
#[unsafe(no_mangle)]
pub extern "C" fn event_self_cbarg() -> *mut c_void {
    ptr::addr_of!(SELF_ARGUMENT).cast_mut().cast()
}

/// The size that memory for an event needs.
#[unsafe(no_mangle)]
pub extern "C" fn event_get_struct_event_size() -> usize {
    size_of::<event>()
}

/// Sets an event up; -1 for a signal event that is to wait for a descriptor as well.
///
/// # Safety
///
/// `ev` is memory for an event that is not pending or active; `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_assign(
    ev: *mut event,
    base: *mut event_base,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallback>,
    arg: *mut c_void,
) -> c_int {
    let base = compat::or_current(base);
    let arg = if arg == event_self_cbarg() { ev.cast() } else { arg };
    if events & EV_SIGNAL == 0 {
        debug::check_nonblocking(fd);
    }
    debug::check_not_added(ev, "event_assign");
    let closure = match events {
        _ if events & EV_SIGNAL != 0 => CLOSURE_SIGNAL,
        _ if events & EV_PERSIST != 0 => CLOSURE_PERSIST,
        _ => CLOSURE_EVENT,
    };
    // SAFETY: the caller promises null or a base that is alive.
    let priority = unsafe { middle_priority(base) };
    let assigned = event::new(fd, events, arg);
    assigned.ev_base.set(base);
    let head = &assigned.ev_evcallback;
    head.evcb_pri.set(priority);
    head.evcb_closure.set(closure);
    head.evcb_function
        .set(callback.map_or(ptr::null_mut(), |callback| callback as *mut c_void));
    // SAFETY: the caller gives memory for an event, which need not be initialised.
    unsafe { ev.write(assigned) };
    if events & EV_SIGNAL != 0 && events & EV_IO != 0 {
        warnx!("event_assign: EV_SIGNAL is not compatible with EV_READ, EV_WRITE or EV_CLOSED");
        return -1;
    }
    debug::assigned(ev);
    0
}

/// The priority of events for which none is named; 0 without a base.
///
/// # Safety
///
/// `base` is null or alive.
unsafe fn middle_priority(base: *const event_base) -> u8 {
    if base.is_null() {
        return 0;
    }
    // SAFETY: the caller promises a base that is alive.
    let base = unsafe { Locked::new(base) };
    base.engine.priorities() / 2
}

/// Makes an event; null for want of memory, or where `event_assign` fails.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_new(
    base: *mut event_base,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallback>,
    arg: *mut c_void,
) -> *mut event {
    let ev = mm::alloc(size_of::<event>()).cast::<event>();
    if ev.is_null() {
        return ev;
    }
    // SAFETY: the memory is fresh; the caller vouches for the base.
    if unsafe { event_assign(ev, base, fd, events, callback, arg) } < 0 {
        // SAFETY: the memory was allocated above, and nobody has heard of it.
        unsafe { mm::free(ev.cast()) };
        return ptr::null_mut();
    }
    ev
}

/// Deletes an event, as `event_del` does, and frees it.
///
/// # Safety
///
/// `ev` is of `event_new`, its base is alive, and nobody uses it afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_free(ev: *mut event) {
    // SAFETY: the caller vouches for the event.
    unsafe { event_del(ev) };
    debug::unassigned(ev);
    // SAFETY: the event came from the same allocator, and the caller does not use it any more.
    unsafe { mm::free(ev.cast()) };
}

/// Makes an event one that is not set up, so that debug mode forgets it.
///
/// # Safety
///
/// `ev` was assigned and is not pending or active.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_debug_unassign(ev: *mut event) {
    debug::check_not_added(ev, "event_debug_unassign");
    debug::unassigned(ev);
    // SAFETY: the caller vouches for the event.
    let flags = &unsafe { event_at(ev) }.ev_evcallback.evcb_flags;
    flags.set(flags.get() & !EVLIST_INIT);
}

/// Moves an idle event to another base and gives it that one's middle priority; -1 for an event that is not idle.
///
/// # Safety
///
/// `base` is alive, `ev` is memory for an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_set(base: *mut event_base, ev: *mut event) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    if event.ev_evcallback.evcb_flags.get() != EVLIST_INIT {
        return -1;
    }
    debug::check_assigned(ev, "event_base_set");
    event.ev_base.set(base);
    // SAFETY: the caller vouches for the base.
    event.ev_evcallback.evcb_pri.set(unsafe { middle_priority(base) });
    0
}

/// Whether an event was set up. Memory that is all zero is not.
///
/// # Safety
///
/// `ev` is memory for an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_initialized(ev: *const event) -> c_int {
    // SAFETY: the caller vouches for the memory.
    c_int::from(unsafe { event_at(ev) }.has(EVLIST_INIT))
}

/// The event behind a pointer, for a function that only reads what was assigned.
unsafe fn assigned<'a>(ev: *const event, what: &str) -> &'a event {
    debug::check_assigned(ev, what);
    // SAFETY: the callers' callers vouch for the event.
    unsafe { event_at(ev) }
}

/// The descriptor or signal of an event.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_fd(ev: *const event) -> c_int {
    // SAFETY: the caller vouches for the event.
    unsafe { assigned(ev, "event_get_fd") }.ev_fd
}

/// The base of an event.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_base(ev: *const event) -> *mut event_base {
    // SAFETY: the caller vouches for the event.
    unsafe { assigned(ev, "event_get_base") }.ev_base.get()
}

/// What an event was created for, `EV_PERSIST` and `EV_ET` included.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_events(ev: *const event) -> c_short {
    // SAFETY: the caller vouches for the event.
    unsafe { assigned(ev, "event_get_events") }.ev_events
}

/// The function of an event, as a pointer that may be null.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_callback(ev: *const event) -> *mut c_void {
    // SAFETY: the caller vouches for the event.
    unsafe { assigned(ev, "event_get_callback") }
        .ev_evcallback
        .evcb_function
        .get()
}

/// The argument of an event's function.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_callback_arg(ev: *const event) -> *mut c_void {
    // SAFETY: the caller vouches for the event.
    unsafe { assigned(ev, "event_get_callback_arg") }.ev_evcallback.evcb_arg
}

/// The priority of an event.
///
/// # Safety
///
/// `ev` was assigned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_priority(ev: *const event) -> c_int {
    // SAFETY: the caller vouches for the event.
    c_int::from(
        unsafe { assigned(ev, "event_get_priority") }
            .ev_evcallback
            .evcb_pri
            .get(),
    )
}

/// All that an event was assigned with; what is not wanted may be null.
///
/// # Safety
///
/// `ev` was assigned; each of the others is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_assignment(
    ev: *const event,
    base: *mut *mut event_base,
    fd: *mut c_int,
    events: *mut c_short,
    callback: *mut *mut c_void,
    arg: *mut *mut c_void,
) {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { assigned(ev, "event_get_assignment") };
    // SAFETY: the caller gives null or room for each.
    unsafe { answer(base, event.ev_base.get()) };
    // SAFETY: as above.
    unsafe { answer(fd, event.ev_fd) };
    // SAFETY: as above.
    unsafe { answer(events, event.ev_events) };
    // SAFETY: as above.
    unsafe { answer(callback, event.ev_evcallback.evcb_function.get()) };
    // SAFETY: as above.
    unsafe { answer(arg, event.ev_evcallback.evcb_arg) };
}

/// Writes an answer to where C wants it, unless it does not.
///
/// # Safety
///
/// `place` is null or may be written to.
pub(crate) unsafe fn answer<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller gives room for it.
        unsafe { place.write(value) };
    }
}

/// Changes the priority of an event that is not active: 0, or -1.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_priority_set(ev: *mut event, priority: c_int) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { assigned(ev, "event_priority_set") };
    if event.ev_base.get().is_null() {
        return -1;
    }
    // SAFETY: the caller vouches for the base.
    let mut base = unsafe { Locked::new(event.ev_base.get()) };
    let Some(priority) = u8::try_from(priority)
        .ok()
        .filter(|&priority| priority < base.engine.priorities())
    else {
        return -1;
    };
    base.end_expiry();
    // One that is finalized is active, and has no key any more.
    if event.has(EVLIST_FINALIZING) {
        return -1;
    }
    if let Some(key) = key(event)
        && base.engine.set_priority(key, priority).is_err()
    {
        return -1;
    }
    event.ev_evcallback.evcb_pri.set(priority);
    0
}
