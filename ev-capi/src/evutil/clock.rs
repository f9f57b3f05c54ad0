//! Clocks that do not go back: `evutil_monotonic_timer`.

use std::ffi::c_int;
use std::mem::MaybeUninit;

use libc::{clockid_t, timespec, timeval};

use crate::mm;

/// `EV_MONOT_PRECISE`: no coarse clock.
const PRECISE: c_int = 1;
/// `EV_MONOT_FALLBACK`: the time of day, which is kept from going back.
const FALLBACK: c_int = 2;

#[cfg(any(target_os = "linux", target_os = "android"))]
const COARSE: clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COARSE: clockid_t = libc::CLOCK_MONOTONIC;

const MICROS: i64 = 1_000_000;

/// `struct evutil_monotonic_timer`. One that is all zeros, that is not configured, tells the time of day.
#[derive(Debug)]
pub struct evutil_monotonic_timer {
    /// The system's clock, or -1 for the time of day.
    clock: clockid_t,
    /// By how many microseconds the time of day went back so far.
    correction: i64,
    /// The last time told, in microseconds.
    last: i64,
}

impl evutil_monotonic_timer {
    /// Tells the time that follows from the time of day, in microseconds.
    fn ratchet(&mut self, time_of_day: i64) -> i64 {
        let time = time_of_day + self.correction;
        if time < self.last {
            self.correction += self.last - time;
        } else {
            self.last = time;
        }
        self.last
    }
}

/// Makes a timer; null without memory. To be configured before it is used.
#[unsafe(no_mangle)]
pub extern "C" fn evutil_monotonic_timer_new() -> *mut evutil_monotonic_timer {
    mm::alloc_zeroed(1, size_of::<evutil_monotonic_timer>()).cast()
}

/// Frees a timer; does nothing for null.
///
/// # Safety
///
/// `timer` is null or of [`evutil_monotonic_timer_new`], and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_monotonic_timer_free(timer: *mut evutil_monotonic_timer) {
    if !timer.is_null() {
        // SAFETY: the caller promises a timer of `evutil_monotonic_timer_new` and does not use it any more.
        unsafe { mm::free(timer.cast()) };
    }
}

/// Chooses the clock: the coarse one, where there is one; with `EV_MONOT_PRECISE` the exact one; with
/// `EV_MONOT_FALLBACK` the time of day, kept from going back. Always 0.
///
/// # Safety
///
/// `timer` is of [`evutil_monotonic_timer_new`], and no other thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_configure_monotonic_time(timer: *mut evutil_monotonic_timer, flags: c_int) -> c_int {
    let clock = match flags {
        _ if flags & FALLBACK != 0 => -1i32 as clockid_t,
        _ if flags & PRECISE != 0 => libc::CLOCK_MONOTONIC,
        _ => COARSE,
    };
    // SAFETY: the caller promises a timer that no other thread uses.
    unsafe { (*timer).clock = clock };
    0
}

/// Tells the time; -1 if the clock cannot be read.
///
/// # Safety
///
/// As [`evutil_configure_monotonic_time`]; `tp` is a place for a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evutil_gettime_monotonic(timer: *mut evutil_monotonic_timer, tp: *mut timeval) -> c_int {
    // SAFETY: the caller promises a timer that no other thread uses.
    let timer = unsafe { &mut *timer };
    let fallback = timer.clock == -1i32 as clockid_t;
    let Some(mut micros) = read(if fallback { libc::CLOCK_REALTIME } else { timer.clock }) else {
        return -1;
    };
    if fallback {
        micros = timer.ratchet(micros);
    }
    let time = timeval {
        tv_sec: micros.div_euclid(MICROS) as _,
        tv_usec: micros.rem_euclid(MICROS) as _,
    };
    // SAFETY: the caller promises room for a time.
    unsafe { tp.write(time) };
    0
}

/// Reads one of the system's clocks, in microseconds.
fn read(clock: clockid_t) -> Option<i64> {
    let mut time = MaybeUninit::<timespec>::uninit();
    // SAFETY: the kernel writes to a local.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } == -1 {
        return None;
    }
    // SAFETY: the clock was read.
    let time = unsafe { time.assume_init() };
    Some(time.tv_sec * MICROS + time.tv_nsec / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of(flags: Option<c_int>) -> i64 {
        let timer = evutil_monotonic_timer_new();
        if let Some(flags) = flags {
            // SAFETY: the timer is ours.
            assert_eq!(unsafe { evutil_configure_monotonic_time(timer, flags) }, 0);
        }
        let mut time = timeval {
            tv_sec: -1,
            tv_usec: -1,
        };
        // SAFETY: the timer is ours, the time a local.
        assert_eq!(unsafe { evutil_gettime_monotonic(timer, &raw mut time) }, 0);
        // SAFETY: nobody uses it any more.
        unsafe { evutil_monotonic_timer_free(timer) };
        assert!((0..MICROS).contains(&time.tv_usec));
        time.tv_sec * MICROS + time.tv_usec
    }

    #[test]
    fn flags_choose_the_clock() {
        for (flags, clock) in [
            (PRECISE, libc::CLOCK_MONOTONIC),
            #[cfg(target_os = "linux")]
            (0, libc::CLOCK_MONOTONIC_COARSE),
        ] {
            let before = read(clock).unwrap();
            let time = time_of(Some(flags));
            assert!((before..=read(clock).unwrap()).contains(&time), "{flags}");
        }
        // No machine has run since 1970, which is where the time of day starts.
        let half_of_today = read(libc::CLOCK_REALTIME).unwrap() / 2;
        for flags in [None, Some(FALLBACK), Some(FALLBACK | PRECISE)] {
            assert!(time_of(flags) > half_of_today, "{flags:?}");
        }
        assert!(time_of(Some(PRECISE)) < half_of_today);
    }

    #[test]
    fn the_time_of_day_is_kept_from_going_back() {
        let mut timer = evutil_monotonic_timer {
            clock: 0,
            correction: 0,
            last: 0,
        };
        let told = [100, 110, 40, 45, 145, 10, 11].map(|time_of_day| timer.ratchet(time_of_day));
        assert_eq!(told, [100, 110, 110, 115, 215, 215, 216]);
    }

    #[test]
    fn a_clock_that_is_not_there_is_an_error() {
        let mut timer = evutil_monotonic_timer {
            clock: 12345,
            correction: 0,
            last: 0,
        };
        let mut time = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: both are locals.
        assert_eq!(unsafe { evutil_gettime_monotonic(&raw mut timer, &raw mut time) }, -1);
    }
}
