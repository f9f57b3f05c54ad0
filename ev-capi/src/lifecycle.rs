//! Making and freeing bases, and making them usable after `fork`.

use std::array;
use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU8;
use std::ptr;

use ev_core::backend::Backend;
use ev_core::engine::{Engine, Held, RawChanges, RunMode, Step};
use ev_core::{Error, EventKey, SignalMethod, Time};

use crate::base::{Locked, State, event_base};
use crate::config::{self, event_config};
use crate::evthread::{self, Condition, Lock};
use crate::inspect::release_methods;
use crate::log::{msg, warn, warnx};
use crate::{compat, debug, mm};

/// A base with the default settings; see `event_base_new_with_config`.
#[unsafe(no_mangle)]
pub extern "C" fn event_base_new() -> *mut event_base {
    // SAFETY: null stands for no settings.
    unsafe { event_base_new_with_config(ptr::null()) }
}

/// A base with these settings, none if null; null with a warning if no backend fits or there is no memory for the base
/// itself. Of what is made for it after that some ends the process if there is no memory, see the README.
///
/// # Safety
///
/// `cfg` is null or of `event_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_new_with_config(cfg: *const event_config) -> *mut event_base {
    debug::freeze();
    evthread::freeze();
    let default = event_config::default();
    // SAFETY: as the caller promises.
    let config = unsafe { config::or_default(cfg, &default) };
    // The first of all allocations: a program that has no memory at all gets an answer.
    let Some(memory) = mm::boxed(MaybeUninit::uninit()) else {
        warn!(io::Error::from_raw_os_error(libc::ENOMEM) => "event_base_new_with_config: calloc");
        return ptr::null_mut();
    };
    match open(config) {
        Ok(base) => return Box::into_raw(Box::write(memory, base)),
        Err(Error::Open(_)) => warnx!("event_base_new_with_config: no event mechanism available"),
        Err(error) => {
            warn!(io::Error::from(error) => "event_base_new_with_config: Unable to make base notifiable.");
        }
    }
    ptr::null_mut()
}

fn open(config: &event_config) -> Result<event_base, Error> {
    let (backend, waiter) = config.backend().open()?;
    let batches = config.has(config::FLAG_EPOLL_USE_CHANGELIST, "EVENT_EPOLL_USE_CHANGELIST");
    let (method, raw_changes) = match backend.name() {
        "epoll" if batches => (c"epoll (with changelist)", RawChanges::Deferred),
        name => (c_name(name), RawChanges::Immediate),
    };
    if config::shows_method() {
        msg!("libevent using: {}", method.to_string_lossy());
    }
    let mut engine = Engine::new(backend, NonZeroU8::MIN, raw_changes);
    engine.set_limits(config.limits);
    engine.set_signal_method(if config.uses_signalfd() {
        SignalMethod::SignalFd
    } else {
        SignalMethod::Handler
    });
    if !debug::is_on() {
        engine.mix_modes();
    }
    let caches = config.flags & config::FLAG_NO_CACHE_TIME == 0;
    let mut state = State::new(engine, method, config.clock(), caches);
    let locks = config.flags & config::FLAG_NOLOCK == 0 && evthread::is_enabled();
    if !locks {
        return Ok(event_base::new(Lock::none(), Condition::none(), state, waiter));
    }
    state.make_notifiable()?;
    Ok(event_base::new(Lock::new(), Condition::new(), state, waiter))
}

/// A backend's name as C has it.
pub(crate) fn c_name(name: &str) -> &'static CStr {
    match name {
        "epoll" => c"epoll",
        "kqueue" => c"kqueue",
        "poll" => c"poll",
        "select" => c"select",
        _ => c"unknown",
    }
}

/// Frees a base and has its finalizers called; nothing else is called. Null is the current base. The events stay set up,
/// and are to be used no more.
///
/// # Safety
///
/// `base` is null or alive, no loop runs on it, and nobody uses it afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_free(base: *mut event_base) {
    // SAFETY: as the caller promises.
    unsafe { free(base, Finalizers::Called) };
}

/// As `event_base_free`, and drops finalizers that have not been called.
///
/// # Safety
///
/// As for `event_base_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_free_nofinalize(base: *mut event_base) {
    // SAFETY: as the caller promises.
    unsafe { free(base, Finalizers::Dropped) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finalizers {
    Called,
    Dropped,
}

unsafe fn free(base: *mut event_base, finalizers: Finalizers) {
    let base = compat::or_current(base);
    if base.is_null() {
        warnx!("event_base_free_: no base to free");
        return;
    }
    // SAFETY: the callers' callers promise that it is alive.
    let mut locked = unsafe { Locked::new(base) };
    locked.forget_events();
    if finalizers == Finalizers::Called {
        locked.run_finalizers();
    }
    locked.release_all();
    locked.watchers.free_all();
    drop(locked);
    compat::forget_base(base);
    // SAFETY: it is of `event_base_new_with_config`, and the callers' callers give it up.
    drop(unsafe { Box::from_raw(base) });
}

/// How many events are forgotten at a time: a number that lies on the stack, as there may be no memory for a list.
const BATCH: usize = 1024;

impl State {
    /// Lets all events and deferred callbacks be neither pending nor active, but for finalizers.
    pub(crate) fn forget_events(&mut self) {
        while let Some(event) = self.timers.pop_due(Time::MAX) {
            // SAFETY: an event that has a deadline is alive (invariant 2 of `base`).
            unsafe { self.cancel(event.as_ptr().cast()) };
        }
        self.engine.set_external_deadlines(0);
        while !self.engine.is_empty() {
            for key in self.some_keys().into_iter().flatten() {
                match self.callback_of(key) {
                    // SAFETY: what the engine knows is alive (invariant 2).
                    Some(callback) => unsafe { self.cancel(callback) },
                    None => drop(self.engine.remove(key)),
                }
            }
        }
    }

    fn some_keys(&self) -> [Option<EventKey>; BATCH] {
        let mut keys = self.engine.keys();
        array::from_fn(|_| keys.next())
    }
}

impl Locked {
    /// Calls the finalizers that wait, and those that these make. What else they make active is forgotten.
    fn run_finalizers(&mut self) {
        let _ = self.engine.take_stop();
        self.broken = false;
        self.freeing = true;
        self.engine.begin_run(RunMode::NON_BLOCKING | RunMode::FOREVER);
        while self.engine.has_active() {
            let step = self.with_waiter(|base, waiter| base.engine.begin_turn(Time::ZERO, Held::Nothing, waiter));
            if !matches!(step, Ok(Step::Wait(_))) {
                return;
            }
            self.dispatch();
            let _ = self.engine.end_turn();
        }
    }
}

/// Makes a base usable in a child of `fork`, which shares no kernel object with its parent then: 0, or -1 if something
/// could not be made anew.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_reinit(base: *mut event_base) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.engine
        .reinit()
        .map_or_else(|error| Locked::refuse("event_reinit", error), |()| 0)
}

/// Lets other threads wake the loop, where that was not settled when the base was made: 0, or -1.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_make_base_notifiable(base: *mut event_base) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.make_notifiable()
        .map_or_else(|error| Locked::refuse("evthread_make_base_notifiable", error), |()| 0)
}

/// Releases what the library keeps for the whole program. Nothing of it is to be used afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn libevent_global_shutdown() {
    debug::shutdown();
    release_methods(ptr::null_mut());
}
