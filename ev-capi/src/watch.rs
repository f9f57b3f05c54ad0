//! Watchers: functions that are called before and after each wait. They are libevent 2.2's.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::time::Duration;

use libc::timeval;

use crate::base::{Locked, event_base};
use crate::mm;
use crate::time::timeval_from;

type PrepareCallback = unsafe extern "C" fn(*mut evwatch, *const evwatch_prepare_cb_info, *mut c_void);
type CheckCallback = unsafe extern "C" fn(*mut evwatch, *const evwatch_check_cb_info, *mut c_void);

/// What a watcher is told before the wait.
#[derive(Debug)]
pub struct evwatch_prepare_cb_info {
    timeout: Option<Duration>,
}

/// What a watcher is told after the wait: nothing.
#[derive(Debug)]
pub struct evwatch_check_cb_info {
    _nothing: c_int,
}

/// A watcher.
#[derive(Debug)]
pub struct evwatch {
    base: *mut event_base,
    callback: Callback,
    arg: *mut c_void,
}

#[derive(Clone, Copy, Debug)]
enum Callback {
    Prepare(PrepareCallback),
    Check(CheckCallback),
}

/// When watchers are called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Before a wait of that length, `None` if nothing but an event ends it.
    Prepare(Option<Duration>),
    /// After a wait.
    Check,
}

impl Phase {
    fn concerns(self, callback: Callback) -> bool {
        matches!(
            (self, callback),
            (Phase::Prepare(_), Callback::Prepare(_)) | (Phase::Check, Callback::Check(_))
        )
    }
}

/// The watchers of a base, in the order of their making.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    list: Vec<*mut evwatch>,
}

impl Watchers {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Frees all watchers that are left.
    pub(crate) fn free_all(&mut self) {
        for watcher in self.list.drain(..) {
            // SAFETY: what is in the list is alive, and of `new`; nobody uses watchers of a base that is being freed.
            drop(unsafe { Box::from_raw(watcher) });
        }
    }
}

impl Locked {
    /// Calls the watchers of a phase, each without the lock. They may make and free watchers, but for the one that runs.
    pub(crate) fn run_watchers(&mut self, phase: Phase) {
        let mut next = self.watchers.list.first().copied();
        while let Some(watcher) = next {
            // SAFETY: what is in the list is alive.
            let (callback, arg) = unsafe { parts(watcher) };
            if phase.concerns(callback) {
                // SAFETY: the watcher is alive, and its function may be called with its argument.
                self.unlocked(|| unsafe { call(watcher, callback, arg, phase) });
            }
            let list = &self.watchers.list;
            let place = list.iter().position(|&other| other == watcher);
            next = place.and_then(|place| list.get(place + 1)).copied();
        }
    }
}

/// # Safety
///
/// The watcher is alive.
unsafe fn parts(watcher: *mut evwatch) -> (Callback, *mut c_void) {
    // SAFETY: the caller promises that it is alive.
    let evwatch { callback, arg, .. } = unsafe { &*watcher };
    (*callback, *arg)
}

/// # Safety
///
/// The watcher is alive, and `callback` and `arg` are its own.
unsafe fn call(watcher: *mut evwatch, callback: Callback, arg: *mut c_void, phase: Phase) {
    match (callback, phase) {
        (Callback::Prepare(callback), Phase::Prepare(timeout)) => {
            let info = evwatch_prepare_cb_info { timeout };
            // SAFETY: who gave the function promised that it may be called like this.
            unsafe { callback(watcher, &raw const info, arg) };
        }
        (Callback::Check(callback), Phase::Check) => {
            let info = evwatch_check_cb_info { _nothing: 0 };
            // SAFETY: as above.
            unsafe { callback(watcher, &raw const info, arg) };
        }
        _ => {}
    }
}

/// A watcher; null without a function, or without memory.
///
/// # Safety
///
/// `base` is alive.
unsafe fn new(base: *mut event_base, callback: Option<Callback>, arg: *mut c_void) -> *mut evwatch {
    let watcher = callback.and_then(|callback| mm::boxed(evwatch { base, callback, arg }));
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let list = &mut base.watchers.list;
    let Some(watcher) = watcher.filter(|_| list.try_reserve(1).is_ok()) else {
        return ptr::null_mut();
    };
    let watcher = Box::into_raw(watcher);
    list.push(watcher);
    watcher
}

/// Has a function called before each wait, from now on; null if there is no memory.
///
/// # Safety
///
/// `base` is alive; the function may be called with `arg` until the watcher is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evwatch_prepare_new(
    base: *mut event_base,
    callback: Option<PrepareCallback>,
    arg: *mut c_void,
) -> *mut evwatch {
    // SAFETY: as the caller promises.
    unsafe { new(base, callback.map(Callback::Prepare), arg) }
}

/// Has a function called after each wait, from now on; null if there is no memory.
///
/// # Safety
///
/// `base` is alive; the function may be called with `arg` until the watcher is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evwatch_check_new(
    base: *mut event_base,
    callback: Option<CheckCallback>,
    arg: *mut c_void,
) -> *mut evwatch {
    // SAFETY: as the caller promises.
    unsafe { new(base, callback.map(Callback::Check), arg) }
}

/// The base of a watcher.
///
/// # Safety
///
/// `watcher` is of one of the functions above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evwatch_base(watcher: *mut evwatch) -> *mut event_base {
    // SAFETY: the caller vouches for the watcher.
    unsafe { (*watcher).base }
}

/// Frees a watcher; not in its own function.
///
/// # Safety
///
/// `watcher` is of one of the functions above, its base is alive, and nobody uses it afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evwatch_free(watcher: *mut evwatch) {
    // SAFETY: the caller vouches for the watcher.
    let base = unsafe { evwatch_base(watcher) };
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.watchers.list.retain(|&other| other != watcher);
    // SAFETY: the caller gives it up.
    drop(unsafe { Box::from_raw(watcher) });
}

/// How long the wait will be: 1, or 0 with `timeout` untouched if nothing but an event ends it.
///
/// # Safety
///
/// `info` is what the watcher was given, `timeout` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evwatch_prepare_get_timeout(
    info: *const evwatch_prepare_cb_info,
    timeout: *mut timeval,
) -> c_int {
    // SAFETY: the caller vouches for it.
    let Some(wait) = (unsafe { (*info).timeout }) else {
        return 0;
    };
    // SAFETY: the caller gives room for a time.
    unsafe { timeout.write(timeval_from(wait)) };
    1
}
