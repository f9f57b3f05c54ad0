//! The functions of `event_compat.h`: those that have no base of their own and use the current one.

use std::ffi::{c_char, c_int, c_short, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::timeval;

use crate::abi::{EventCallback, event};
use crate::base::event_base;
use crate::event::event_assign;
use crate::inspect::{event_base_get_method, event_base_priority_init};
use crate::lifecycle::event_base_new_with_config;
use crate::log::{self, ensure};
use crate::once::event_base_once;
use crate::run::{event_base_loop, event_base_loopbreak, event_base_loopexit};

/// The base that `event_init` made last. Programs read it under this name.
#[unsafe(no_mangle)]
pub static event_global_current_base_: AtomicPtr<event_base> = AtomicPtr::new(ptr::null_mut());

/// The current base, or null.
pub(crate) fn current_base() -> *mut event_base {
    event_global_current_base_.load(Ordering::Relaxed)
}

/// What a null base stands for in most functions: the current one.
pub(crate) fn or_current(base: *mut event_base) -> *mut event_base {
    if base.is_null() { current_base() } else { base }
}

/// There is no current base any more, if it was this one.
pub(crate) fn forget_base(base: *mut event_base) {
    // If it is another one, that stays.
    let _ = event_global_current_base_.compare_exchange(base, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed);
}

/// Makes a base and makes it the current one. That it cannot be made is fatal.
#[unsafe(no_mangle)]
pub extern "C" fn event_init() -> *mut event_base {
    // SAFETY: null stands for no settings.
    let base = unsafe { event_base_new_with_config(ptr::null()) };
    if base.is_null() {
        log::fatal(1, format_args!("event_init: Unable to construct event_base"));
    }
    event_global_current_base_.store(base, Ordering::Relaxed);
    base
}

/// Runs the current base; see `event_base_loop`.
///
/// # Safety
///
/// There is a current base.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_dispatch() -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_loop(0) }
}

/// Runs the current base; see `event_base_loop`.
///
/// # Safety
///
/// There is a current base.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_loop(flags: c_int) -> c_int {
    // SAFETY: the caller promises that there is one.
    unsafe { event_base_loop(current_base(), flags) }
}

/// Ends the current base's loop; see `event_base_loopexit`.
///
/// # Safety
///
/// `tv` is null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_loopexit(tv: *const timeval) -> c_int {
    // SAFETY: as the caller promises; the current base is null or alive.
    unsafe { event_base_loopexit(current_base(), tv) }
}

/// Ends the current base's loop; see `event_base_loopbreak`.
#[unsafe(no_mangle)]
pub extern "C" fn event_loopbreak() -> c_int {
    // SAFETY: the current base is null or alive.
    unsafe { event_base_loopbreak(current_base()) }
}

/// See `event_base_once`.
///
/// # Safety
///
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_once(
    fd: c_int,
    events: c_short,
    callback: Option<EventCallback>,
    arg: *mut c_void,
    tv: *const timeval,
) -> c_int {
    // SAFETY: as the caller promises; the current base is null or alive.
    unsafe { event_base_once(current_base(), fd, events, callback, arg, tv) }
}

/// See `event_base_get_method`.
///
/// # Safety
///
/// There is a current base.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_get_method() -> *const c_char {
    // SAFETY: the caller promises that there is one.
    unsafe { event_base_get_method(current_base()) }
}

/// See `event_base_priority_init`.
///
/// # Safety
///
/// There is a current base.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_priority_init(priorities: c_int) -> c_int {
    // SAFETY: the caller promises that there is one.
    unsafe { event_base_priority_init(current_base(), priorities) }
}

/// Sets an event up on the current base; a combination that `event_assign` refuses is fatal.
///
/// # Safety
///
/// `ev` is memory for an event that is not pending or active.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_set(
    ev: *mut event,
    fd: c_int,
    events: c_short,
    callback: Option<EventCallback>,
    arg: *mut c_void,
) {
    // SAFETY: as the caller promises; the current base is null or alive.
    let answer = unsafe { event_assign(ev, current_base(), fd, events, callback, arg) };
    ensure!(answer == 0, "r == 0", "event_set");
}
