//! The clocks of the system.

use crate::check;

/// A clock to read the time from.
///
/// ```
/// use ev_sys::clock::Clock;
///
/// let before = Clock::Monotonic.now();
/// assert!(Clock::Monotonic.now() >= before);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Clock {
    /// Never steps back, and stands still while the system is suspended. For timeouts.
    ///
    /// `CLOCK_MONOTONIC`; on Apple's systems `CLOCK_UPTIME_RAW`.
    #[default]
    Monotonic,
    /// As [`Clock::Monotonic`], but as of the last tick of the kernel, 1 to 10 milliseconds ago: cheaper to read.
    ///
    /// A timeout that is computed from it may be short by a tick. `CLOCK_MONOTONIC_COARSE`, `CLOCK_MONOTONIC_FAST`,
    /// `CLOCK_UPTIME_RAW_APPROX`; the same as [`Clock::Monotonic`] where there is none.
    MonotonicCoarse,
    /// Never steps back, and counts the time the system was suspended.
    ///
    /// `CLOCK_BOOTTIME`; on Apple's systems and FreeBSD `CLOCK_MONOTONIC` does so; the same as [`Clock::Monotonic`]
    /// elsewhere.
    Boottime,
    /// The time of day, since 1970. It steps when it is set: not for timeouts.
    Realtime,
}

impl Clock {
    /// The time by this clock, in nanoseconds since an origin of its own.
    ///
    /// # Panics
    ///
    /// Where a sandbox forbids reading clocks, as [`Instant::now`](std::time::Instant::now) does.
    #[inline]
    #[must_use]
    pub fn now(self) -> u64 {
        let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `spec` is valid for a write.
        let answer = check(unsafe { libc::clock_gettime(self.id(), &raw mut spec) });
        assert!(answer.is_ok(), "clock_gettime is forbidden here");
        // A time of day before 1970 counts as 1970.
        u64::try_from(spec.tv_sec).map_or(0, |seconds| seconds * 1_000_000_000 + spec.tv_nsec as u64)
    }

    const fn id(self) -> libc::clockid_t {
        match self {
            Self::Monotonic => MONOTONIC,
            Self::MonotonicCoarse => COARSE,
            Self::Boottime => BOOTTIME,
            Self::Realtime => libc::CLOCK_REALTIME,
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_vendor = "apple")]
const MONOTONIC: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

#[cfg(any(target_os = "linux", target_os = "android"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_FAST;
#[cfg(target_vendor = "apple")]
const COARSE: libc::clockid_t = libc::CLOCK_UPTIME_RAW_APPROX;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
)))]
const COARSE: libc::clockid_t = MONOTONIC;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "openbsd"))]
const BOOTTIME: libc::clockid_t = libc::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "openbsd")))]
const BOOTTIME: libc::clockid_t = libc::CLOCK_MONOTONIC;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward() {
        for clock in [Clock::Monotonic, Clock::MonotonicCoarse, Clock::Boottime] {
            let start = clock.now();
            while clock.now() == start {}
            assert!(clock.now() > start, "{clock:?}");
        }
    }

    #[test]
    fn coarse_is_behind_and_boottime_ahead() {
        let coarse = Clock::MonotonicCoarse.now();
        let monotonic = Clock::Monotonic.now();
        let boottime = Clock::Boottime.now();
        assert!(coarse <= monotonic && monotonic <= boottime);
    }

    #[test]
    fn realtime_is_the_time_of_day() {
        let before = std::time::SystemTime::now();
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(Clock::Realtime.now());
        assert!(before <= now && now <= std::time::SystemTime::now());
    }
}
