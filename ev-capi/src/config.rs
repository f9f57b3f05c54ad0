//! `event_config`: what a base is to be like.

use std::collections::TryReserveError;
use std::ffi::{CStr, c_char, c_int};
use std::num::NonZeroU32;
use std::ptr;
use std::time::Duration;

use ev_core::{Clock, Features, Limits, backend};
use libc::timeval;

use crate::mm;
use crate::time::duration;

pub(crate) const FLAG_NOLOCK: c_int = 0x01;
pub(crate) const FLAG_IGNORE_ENV: c_int = 0x02;
pub(crate) const FLAG_NO_CACHE_TIME: c_int = 0x08;
pub(crate) const FLAG_EPOLL_USE_CHANGELIST: c_int = 0x10;
pub(crate) const FLAG_PRECISE_TIMER: c_int = 0x20;
pub(crate) const FLAG_USE_SIGNALFD: c_int = 0x80;

const FEATURE_ET: c_int = 0x01;
const FEATURE_O1: c_int = 0x02;
const FEATURE_FDS: c_int = 0x04;
const FEATURE_EARLY_CLOSE: c_int = 0x08;

/// `struct event_config`.
#[derive(Debug, Default)]
pub struct event_config {
    avoided: Vec<String>,
    required: c_int,
    pub(crate) flags: c_int,
    pub(crate) limits: Limits,
}

impl event_config {
    /// The backend to open, as these settings and the environment say. One that does not start is passed over, for
    /// whatever reason, as in libevent.
    pub(crate) fn backend(&self) -> backend::Config {
        let mut config = backend::Config::new().make_do().require(features_of(self.required));
        for name in &self.avoided {
            config = config.avoid(name.as_str());
        }
        if self.flags & FLAG_IGNORE_ENV != 0 {
            config = config.ignore_environment();
        }
        if self.is_precise() {
            config = config.precise();
        }
        config
    }

    fn avoid(&mut self, name: &str) -> Result<(), TryReserveError> {
        let mut avoided = String::new();
        avoided.try_reserve_exact(name.len())?;
        avoided.push_str(name);
        self.avoided.try_reserve(1)?;
        self.avoided.push(avoided);
        Ok(())
    }

    fn is_precise(&self) -> bool {
        self.has(FLAG_PRECISE_TIMER, "EVENT_PRECISE_TIMER")
    }

    /// Whether a flag is set, here or, unless that is not to be heeded, in the environment.
    pub(crate) fn has(&self, flag: c_int, variable: &str) -> bool {
        let heeds = self.flags & FLAG_IGNORE_ENV == 0 && !is_privileged();
        self.flags & flag != 0 || heeds && std::env::var_os(variable).is_some()
    }

    /// libevent 2.2 heeds this variable whatever the settings.
    pub(crate) fn uses_signalfd(&self) -> bool {
        self.flags & FLAG_USE_SIGNALFD != 0 || std::env::var_os("EVENT_USE_SIGNALFD").is_some()
    }

    /// libevent's default is the coarse clock: a timer may look up to a tick early by a precise one.
    pub(crate) fn clock(&self) -> Clock {
        if self.is_precise() {
            Clock::Monotonic
        } else {
            Clock::MonotonicCoarse
        }
    }
}

/// Whether the program runs with rights that who started it does not have: then the environment is not to be heeded.
fn is_privileged() -> bool {
    // SAFETY: these four have no conditions.
    let user = unsafe { libc::getuid() } != unsafe { libc::geteuid() };
    // SAFETY: as above.
    let group = unsafe { libc::getgid() } != unsafe { libc::getegid() };
    user || group
}

/// Whether `EVENT_SHOW_METHOD` is set, which no setting keeps from being heeded.
pub(crate) fn shows_method() -> bool {
    !is_privileged() && std::env::var_os("EVENT_SHOW_METHOD").is_some()
}

/// libevent's bits for what a backend can do.
pub(crate) fn feature_bits(name: &str, features: Features) -> c_int {
    let mut bits = 0;
    if features.contains(Features::EDGE) {
        bits |= FEATURE_ET;
    }
    if features.contains(Features::CONSTANT_TIME) {
        bits |= FEATURE_O1;
    }
    if features.contains(Features::ANY_FILE) {
        bits |= FEATURE_FDS;
    }
    if features.contains(Features::CLOSED) && name != "kqueue" {
        bits |= FEATURE_EARLY_CLOSE;
    }
    bits
}

fn features_of(bits: c_int) -> Features {
    let mut features = Features::empty();
    features.set(Features::EDGE, bits & FEATURE_ET != 0);
    features.set(Features::CONSTANT_TIME, bits & FEATURE_O1 != 0);
    features.set(Features::ANY_FILE, bits & FEATURE_FDS != 0);
    features.set(Features::CLOSED, bits & FEATURE_EARLY_CLOSE != 0);
    features
}

/// A configuration that asks for nothing; null if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn event_config_new() -> *mut event_config {
    mm::boxed(event_config::default()).map_or(ptr::null_mut(), Box::into_raw)
}

/// Frees a configuration.
///
/// # Safety
///
/// `cfg` is of `event_config_new`, and not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_free(cfg: *mut event_config) {
    // SAFETY: the caller gives back what `event_config_new` made, and made no second use of it.
    drop(unsafe { Box::from_raw(cfg) });
}

/// The configuration behind a pointer that may be null.
unsafe fn config<'a>(cfg: *mut event_config) -> Option<&'a mut event_config> {
    // SAFETY: the callers' callers promise that it is null or of `event_config_new`, and used by one thread at a time.
    unsafe { cfg.as_mut() }
}

/// Passes over the backend of that name: 0, or -1 without a configuration or memory.
///
/// # Safety
///
/// `cfg` is of `event_config_new`, `method` a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_avoid_method(cfg: *mut event_config, method: *const c_char) -> c_int {
    // SAFETY: the caller gives a string.
    let name = unsafe { CStr::from_ptr(method) };
    // SAFETY: the caller gives a configuration.
    let Some(config) = (unsafe { config(cfg) }) else {
        return -1;
    };
    // A backend's name is no other than UTF-8: whatever is not need not be remembered.
    let Ok(name) = name.to_str() else { return 0 };
    config.avoid(name).map_or(-1, |()| 0)
}

/// Requires features, in place of those required before.
///
/// # Safety
///
/// `cfg` is null or of `event_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_require_features(cfg: *mut event_config, features: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { with_config(cfg, |config| config.required = features) }
}

/// Sets flags, in addition to those set before.
///
/// # Safety
///
/// `cfg` is null or of `event_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_set_flag(cfg: *mut event_config, flag: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { with_config(cfg, |config| config.flags |= flag) }
}

/// For Windows only.
///
/// # Safety
///
/// `cfg` is null or of `event_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_set_num_cpus_hint(cfg: *mut event_config, _cpus: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { with_config(cfg, |_| ()) }
}

/// Limits what is called between two waits.
///
/// # Safety
///
/// `cfg` is of `event_config_new`, `max_interval` null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_config_set_max_dispatch_interval(
    cfg: *mut event_config,
    max_interval: *const timeval,
    max_callbacks: c_int,
    min_priority: c_int,
) -> c_int {
    // SAFETY: the caller gives null or a time.
    let interval = unsafe { max_interval.as_ref() }.map(duration);
    // SAFETY: as the caller promises.
    unsafe {
        with_config(cfg, |config| {
            config.limits = limits(interval, max_callbacks, min_priority);
        })
    }
}

unsafe fn with_config(cfg: *mut event_config, set: impl FnOnce(&mut event_config)) -> c_int {
    // SAFETY: as the callers' callers promise.
    match unsafe { config(cfg) } {
        Some(config) => {
            set(config);
            0
        }
        None => -1,
    }
}

/// A negative number of callbacks is no limit, none at all the limit of one that is tested after a callback; a negative
/// priority is the first.
fn limits(interval: Option<Duration>, callbacks: c_int, priority: c_int) -> Limits {
    let mut limits = Limits::new().from_priority(u8::try_from(priority.max(0)).unwrap_or(u8::MAX));
    if let Some(interval) = interval {
        limits = limits.interval(interval);
    }
    if let Ok(most) = u32::try_from(callbacks)
        && callbacks != c_int::MAX
    {
        limits = limits.callbacks(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
    }
    limits
}

/// The settings behind a pointer, or those that null stands for.
///
/// # Safety
///
/// `cfg` is null or of `event_config_new`.
pub(crate) unsafe fn or_default(cfg: *const event_config, default: &event_config) -> &event_config {
    // SAFETY: the caller promises null or a configuration, which nobody changes meanwhile.
    unsafe { cfg.as_ref() }.unwrap_or(default)
}
