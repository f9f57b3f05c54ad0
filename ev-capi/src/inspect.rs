//! Looking at a base: what it is like, how much it holds, and what its events are.

use std::ffi::{CString, c_char, c_int, c_short, c_uint};
use std::fmt::Write;
use std::num::NonZeroU8;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use ev_core::backend;

use crate::abi::{
    EV_CLOSED, EV_ET, EV_IO, EV_PERSIST, EV_READ, EV_SIGNAL, EV_TIMEOUT, EV_WRITE, EVLIST_INIT, EVLIST_INSERTED,
    EVLIST_TIMEOUT, event, event_callback,
};
use crate::base::{Locked, State, event_base};
use crate::config::feature_bits;
use crate::event::event_at;
use crate::known::key;
use crate::lifecycle::c_name;
use crate::time::time_of;
use crate::{compat, mm};

const COUNT_ACTIVE: c_uint = 1;
const COUNT_VIRTUAL: c_uint = 2;
const COUNT_ADDED: c_uint = 4;

type ForeachCallback = unsafe extern "C" fn(*const event_base, *const event, *mut std::ffi::c_void) -> c_int;

/// The name of the backend.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_method(base: *const event_base) -> *const c_char {
    // SAFETY: the caller promises that it is alive.
    unsafe { Locked::new(base) }.method.as_ptr()
}

/// How signals are caught, by the names of libevent 2.2.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_signal_method(base: *const event_base) -> *const c_char {
    // SAFETY: the caller promises that it is alive.
    let name = match unsafe { Locked::new(base) }.engine.signal_method() {
        ev_core::SignalMethod::SignalFd => c"signalfd_signal",
        _ => c"signal",
    };
    name.as_ptr()
}

/// What the backend can do: bits of `enum event_method_feature`.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_features(base: *const event_base) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let base = unsafe { Locked::new(base) };
    feature_bits(base.engine.backend_name(), base.engine.features())
}

static METHODS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// The names of all backends there are, the preferred one first, and null. They are valid until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn event_get_supported_methods() -> *mut *const c_char {
    let names = backend::supported();
    let methods = mm::alloc((names.len() + 1) * size_of::<*const c_char>()).cast::<*const c_char>();
    if methods.is_null() {
        return methods;
    }
    let names = names.iter().map(|name| c_name(name).as_ptr());
    for (place, name) in names.chain([ptr::null()]).enumerate() {
        // SAFETY: there is room for all names and the null.
        let entry = unsafe { methods.add(place) };
        // SAFETY: as above.
        unsafe { entry.write(name) };
    }
    release_methods(methods);
    methods
}

/// Frees the names that were handed out before, and notes those that are handed out now.
pub(crate) fn release_methods(next: *mut *const c_char) {
    let before = METHODS.swap(next, Ordering::AcqRel);
    // The program's function is not called for nothing.
    if !before.is_null() {
        // SAFETY: allocated by `event_get_supported_methods`, and valid only until now.
        unsafe { mm::free(before.cast()) };
    }
}

/// Sets the number of priorities: 0, or -1 for a number that cannot be, while anything is active, and, unlike libevent,
/// while an event is pending whose priority would be no more.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_priority_init(base: *mut event_base, priorities: c_int) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let Some(priorities) = u8::try_from(priorities).ok().and_then(NonZeroU8::new) else {
        return -1;
    };
    base.end_expiry();
    // SAFETY: an event that has a deadline is alive (invariant 2 of `base`).
    let priority = |event: NonNull<event>| unsafe { event.as_ref() }.ev_evcallback.evcb_pri.get();
    if base
        .timers
        .iter()
        .map(priority)
        .any(|priority| priority >= priorities.get())
    {
        return -1;
    }
    base.engine.set_priorities(priorities).map_or(-1, |()| 0)
}

/// The number of priorities. Null is the current base.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_npriorities(base: *mut event_base) -> c_int {
    let base = compat::or_current(base);
    // SAFETY: the caller promises that it is alive.
    c_int::from(unsafe { Locked::new(base) }.engine.priorities())
}

/// How much there is of what `flags` names, together.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_num_events(base: *mut event_base, flags: c_uint) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.end_expiry();
    let counts = base.engine.counts();
    sum(flags, [counts.active, base.virtuals.len(), counts.memberships])
}

/// The most there was of what `flags` names, added up; `clear` has these start anew from zero.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_max_events(base: *mut event_base, flags: c_uint, clear: c_int) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.end_expiry();
    let maxima = base.engine.maxima();
    let answer = sum(flags, [maxima.active, base.most_virtuals, maxima.memberships]);
    if clear != 0 {
        base.clear_maxima(flags);
    }
    answer
}

impl State {
    fn clear_maxima(&mut self, flags: c_uint) {
        let maxima = self.engine.maxima_mut();
        if flags & COUNT_ACTIVE != 0 {
            maxima.active = 0;
        }
        if flags & COUNT_ADDED != 0 {
            maxima.memberships = 0;
        }
        if flags & COUNT_VIRTUAL != 0 {
            self.most_virtuals = 0;
        }
    }
}

fn sum(flags: c_uint, counts: [usize; 3]) -> c_int {
    let kinds = [COUNT_ACTIVE, COUNT_VIRTUAL, COUNT_ADDED];
    let chosen = kinds.into_iter().zip(counts).filter(|(kind, _)| flags & kind != 0);
    chosen.map(|(_, count)| count as c_int).sum()
}

/// The event whose function runs; null outside of functions, and in any other thread than the loop's.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_get_running_event(base: *mut event_base) -> *mut event {
    // SAFETY: the caller promises that it is alive.
    let base = unsafe { Locked::new(base) };
    if base.is_in_loop() {
        base.running_event().cast_mut()
    } else {
        ptr::null_mut()
    }
}

impl State {
    /// The events that are pending or active, in libevent's order as far as that is defined: those that wait for a descriptor
    /// or a signal, those that wait for a deadline only, and those that are active only.
    fn events(&mut self) -> Vec<*const event> {
        self.end_expiry();
        let callbacks = self.engine.keys_by_place().filter_map(|key| self.callback_of(key));
        // SAFETY: what the engine knows is alive (invariant 2).
        let flags = |callback: *const event_callback| unsafe { &*callback }.evcb_flags.get();
        let known: Vec<_> = callbacks
            .filter(|&callback| flags(callback) & EVLIST_INIT != 0)
            .collect();
        let is_registered = |callback: &*const event_callback| flags(*callback) & EVLIST_INSERTED != 0;
        let (registered, active): (Vec<_>, Vec<_>) = known.into_iter().partition(is_registered);
        let timed = self
            .timers
            .events()
            .into_iter()
            .map(|event| event.as_ptr().cast_const().cast());
        let timed_only = timed.filter(|callback| !is_registered(callback));
        let active_only = active
            .into_iter()
            .filter(|&callback| flags(callback) & EVLIST_TIMEOUT == 0);
        let events = registered.into_iter().chain(timed_only).chain(active_only);
        events.map(<*const event_callback>::cast).collect()
    }

    /// The line about a pending event.
    fn describe_pending(&self, event: &event) -> Option<String> {
        let has_deadline = event.has(EVLIST_TIMEOUT);
        let is_registered = key(event).is_some_and(|key| self.engine.is_registered(key).is_ok_and(|is| is));
        if !has_deadline && !is_registered {
            return None;
        }
        let mut line = opening(event);
        line.push(']');
        line.push_str(&words(event.ev_events, &WANTED));
        if has_deadline {
            let time = self.time_of_day(time_of(&event.ev_timeout.get()));
            // Writing to a string does not fail.
            let _ = write!(line, " Timeout={}.{:06}", time.tv_sec, time.tv_usec);
        }
        Some(line)
    }

    /// The line about an active event.
    fn describe_active(&self, event: &event) -> Option<String> {
        let causes = self.engine.causes(key(event)?).ok()??;
        let mut line = opening(event);
        let came = words(self.result(event, causes), &CAME);
        // As above.
        let _ = write!(line, ", priority={}]{came} active", event.ev_evcallback.evcb_pri.get());
        Some(line)
    }
}

const WANTED: [(c_short, &str); 6] = [
    (EV_READ, " Read"),
    (EV_WRITE, " Write"),
    (EV_CLOSED, " EOF"),
    (EV_SIGNAL, " Signal"),
    (EV_PERSIST, " Persist"),
    (EV_ET, " ET"),
];

const CAME: [(c_short, &str); 5] = [
    (EV_READ, " Read"),
    (EV_WRITE, " Write"),
    (EV_CLOSED, " EOF"),
    (EV_SIGNAL, " Signal"),
    (EV_TIMEOUT, " Timeout"),
];

fn words(bits: c_short, names: &[(c_short, &str)]) -> String {
    names
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|&(_, name)| name)
        .collect()
}

fn opening(event: &event) -> String {
    let kind = if event.wants(EV_SIGNAL) { "sig" } else { "fd " };
    format!("  {:p} [{kind} {}", ptr::from_ref(event), event.ev_fd)
}

/// Calls a function for each event that is pending or active, until it answers something other than 0, which is the answer
/// then; -1 without base or function. The base stays locked meanwhile: the function changes no events, and where there are
/// locks it calls nothing that takes the base's, as `event_pending` does, or it waits for itself for ever; libevent's rule. The
/// library's own events, which libevent shows as well, are no `struct event` here.
///
/// # Safety
///
/// `base` is null or alive; the function may be called with `arg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_foreach_event(
    base: *mut event_base,
    function: Option<ForeachCallback>,
    arg: *mut std::ffi::c_void,
) -> c_int {
    let Some(function) = function.filter(|_| !base.is_null()) else {
        return -1;
    };
    // SAFETY: the caller promises that it is alive.
    let mut locked = unsafe { Locked::new(base) };
    let events = locked.events();
    for event in events {
        // SAFETY: the caller vouches for the function, and that it deletes no events.
        let answer = unsafe { function(base, event, arg) };
        if answer != 0 {
            return answer;
        }
    }
    0
}

/// Writes a line about each event that is pending, and each that is active.
///
/// # Safety
///
/// `base` is alive, `output` an open file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_dump_events(base: *mut event_base, output: *mut libc::FILE) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let mut text = String::from("Inserted events:\n");
    let events = base.events();
    // SAFETY: what the engine knows is alive (invariant 2).
    let events = || events.iter().map(|&ev| unsafe { event_at(ev) });
    for line in events().filter_map(|event| base.describe_pending(event)) {
        text += &line;
        text.push('\n');
    }
    text += "Active events:\n";
    for line in events().filter_map(|event| base.describe_active(event)) {
        text += &line;
        text.push('\n');
    }
    // There is no zero in it.
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the caller vouches for the file.
    unsafe { libc::fputs(text.as_ptr(), output) };
}

/// Makes the events of a descriptor active that wait for any of `events`; with `EV_TIMEOUT` among these, those with a
/// timeout, and only them.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_active_by_fd(base: *mut event_base, fd: c_int, events: c_short) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    let by_timeout = events & EV_TIMEOUT != 0;
    let found: Vec<*const event> = if by_timeout {
        base.timers
            .events()
            .into_iter()
            .map(|event| event.as_ptr().cast_const())
            .collect()
    } else {
        let callbacks = base.engine.keys_on(fd).filter_map(|key| base.callback_of(key));
        // Only events have descriptors.
        callbacks.map(<*const event_callback>::cast).collect()
    };
    for event in found {
        // SAFETY: what the engine and `timers` know is alive (invariant 2).
        let event = unsafe { event_at(event) };
        let result = if by_timeout {
            EV_TIMEOUT
        } else {
            event.ev_events & events & EV_IO
        };
        if event.ev_fd == fd
            && result != 0
            && let Err(error) = base.activate(event, result, 1)
        {
            Locked::refuse("event_base_active_by_fd", error);
        }
    }
    base.wake_if_needed();
}

/// Makes the events of a signal active, each for one call.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_active_by_signal(base: *mut event_base, signal: c_int) {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.end_expiry();
    base.engine.activate_signal(signal);
    base.wake_if_needed();
}
