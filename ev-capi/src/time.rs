//! Times as C has them, and the functions that tell them.

use std::ffi::c_int;
use std::time::Duration;

use ev_core::{Clock, Time};
use libc::timeval;

use crate::base::{Locked, State, event_base};
use crate::compat;

const MICROS: i64 = 1_000_000;

/// The duration of a `timeval`, which need not be normalised; a negative one is none.
#[inline]
pub(crate) fn duration(tv: &timeval) -> Duration {
    if is_normal(tv) {
        Duration::new(tv.tv_sec as u64, tv.tv_usec as u32 * 1000)
    } else {
        odd_duration(tv)
    }
}

/// Whether it is the only `timeval` of a duration, and so short that two can be added.
#[inline]
pub(crate) fn is_normal(tv: &timeval) -> bool {
    (0..i64::from(i32::MAX)).contains(&tv.tv_sec) && (0..MICROS).contains(&tv.tv_usec)
}

/// The sum of two, of which neither has a million microseconds or more.
#[inline]
pub(crate) fn sum(a: &timeval, b: &timeval) -> timeval {
    let (tv_sec, tv_usec) = (a.tv_sec + b.tv_sec, a.tv_usec + b.tv_usec);
    if tv_usec < MICROS {
        timeval { tv_sec, tv_usec }
    } else {
        timeval {
            tv_sec: tv_sec + 1,
            tv_usec: tv_usec - MICROS,
        }
    }
}

#[cold]
fn odd_duration(tv: &timeval) -> Duration {
    let micros = i128::from(tv.tv_sec) * i128::from(MICROS) + i128::from(tv.tv_usec);
    Duration::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
}

/// The `timeval` of a duration, without the fraction of a microsecond.
pub(crate) fn timeval_from(duration: Duration) -> timeval {
    timeval {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_usec: i64::from(duration.subsec_micros()),
    }
}

/// The `timeval` of a time. It counts microseconds, so it is rounded up: no timer is early by it.
pub(crate) fn timeval_of(time: Time) -> timeval {
    let micros = time.as_nanos().div_ceil(1000);
    timeval {
        tv_sec: (micros / MICROS as u64) as i64,
        tv_usec: (micros % MICROS as u64) as i64,
    }
}

/// The time of a `timeval`.
pub(crate) fn time_of(tv: &timeval) -> Time {
    Time::ZERO.saturating_add(duration(tv))
}

/// Whether it is not zero.
pub(crate) fn is_set(tv: &timeval) -> bool {
    tv.tv_sec != 0 || tv.tv_usec != 0
}

impl State {
    /// The time of day at a time of the loop's clock.
    pub(crate) fn time_of_day(&self, time: Time) -> timeval {
        let nanos = i128::from(time.as_nanos()) + self.wall_offset();
        let micros = nanos.div_euclid(1000);
        timeval {
            tv_sec: micros.div_euclid(MICROS.into()) as i64,
            tv_usec: micros.rem_euclid(MICROS.into()) as i64,
        }
    }
}

fn now_of_day() -> timeval {
    timeval_from(Duration::from_nanos(Clock::Realtime.now()))
}

/// The time of day: in callbacks that as of the end of the wait, which costs no reading of the clock. A null base is the
/// current one.
///
/// # Safety
///
/// `base` is null or alive, `tv` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_gettimeofday_cached(base: *mut event_base, tv: *mut timeval) -> c_int {
    let base = compat::or_current(base);
    // SAFETY: the caller promises a base that is alive, and so does who made one the current one.
    let time = unsafe { cached_time_of_day(base) }.unwrap_or_else(now_of_day);
    // SAFETY: the caller gives room for a time.
    unsafe { tv.write(time) };
    0
}

/// The time of day of the turn; `None` while no callbacks run, and for a null base.
///
/// # Safety
///
/// `base` is null or alive.
unsafe fn cached_time_of_day(base: *mut event_base) -> Option<timeval> {
    if base.is_null() {
        return None;
    }
    // SAFETY: the caller promises that it is alive.
    let base = unsafe { Locked::new(base) };
    base.has_cached_time().then(|| base.time_of_day(base.now()))
}

/// Reads the clock anew for the callbacks that run now. A null base is the current one; -1 if there is none.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_update_cache_time(base: *mut event_base) -> c_int {
    let base = compat::or_current(base);
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    if base.running {
        base.update_time_cache();
    }
    0
}

/// The time by the base's clock, read now: 0, or -1 if either is null.
///
/// # Safety
///
/// `base` is null or alive, `tv` null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_gettime_monotonic(base: *mut event_base, tv: *mut timeval) -> c_int {
    if base.is_null() || tv.is_null() {
        return -1;
    }
    // SAFETY: the caller promises that it is alive.
    let base = unsafe { Locked::new(base) };
    let now = timeval_from(Duration::from_nanos(base.read_clock().as_nanos()));
    // SAFETY: the caller gives room for a time.
    unsafe { tv.write(now) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_times_are_understood() {
        let tv = |tv_sec, tv_usec| timeval { tv_sec, tv_usec };
        assert_eq!(duration(&tv(1, 2_500_000)), Duration::from_millis(3500));
        assert_eq!(duration(&tv(1, -1)), Duration::from_micros(999_999));
        assert_eq!(duration(&tv(-1, 0)), Duration::ZERO);
        let time = timeval_of(Time::from_nanos(1_000_000_001));
        assert_eq!((time.tv_sec, time.tv_usec), (1, 1));
        assert_eq!(time_of(&time).as_nanos(), 1_000_001_000);
    }
}
