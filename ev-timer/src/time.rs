//! A point in time.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time: nanoseconds since an epoch of the caller's clock.
///
/// This crate reads no clock. Take the time from a monotonic one (`CLOCK_MONOTONIC`, a hardware counter, a simulation)
/// and count from wherever that clock does: 64 bits of nanoseconds last for 584 years. Only times of the same clock may
/// be mixed.
///
/// Arithmetic saturates: a deadline that would lie beyond [`Time::MAX`] lies at `Time::MAX`, which no clock reaches.
///
/// ```
/// use core::time::Duration;
/// use ev_timer::Time;
///
/// let start = Time::from_nanos(5_000);
/// let later = start + Duration::from_micros(3);
/// assert_eq!(later.as_nanos(), 8_000);
/// assert_eq!(later - start, Duration::from_micros(3));
/// assert_eq!(start - later, Duration::ZERO);
/// assert_eq!(start + Duration::MAX, Time::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The epoch.
    pub const ZERO: Self = Self(0);

    /// The last point that can be expressed; as a deadline, "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the epoch.
    #[inline]
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[inline]
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point `duration` later, or [`Time::MAX`] where there is none.
    #[inline]
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_nanos(nanos(duration))
    }

    /// The time that has passed since `earlier`; zero if `earlier` is the later of the two.
    #[inline]
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time that is `duration` before this one, or [`Time::ZERO`].
    #[inline]
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    #[inline]
    pub(crate) const fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// The nanoseconds of `duration`, or `u64::MAX` where it has more.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}

/// Saturates, as [`Time::saturating_add`] does.
impl Add<Duration> for Time {
    type Output = Self;

    #[inline]
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

/// Saturates, as [`Time::saturating_add`] does.
impl AddAssign<Duration> for Time {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// The time that has passed since the other; zero if that is the later of the two, as
/// [`Time::saturating_duration_since`] has it and [`Instant`](https://doc.rust-lang.org/std/time/struct.Instant.html) too.
impl Sub for Time {
    type Output = Duration;

    #[inline]
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({:?})", Duration::from_nanos(self.0))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn long_durations_saturate() {
        assert_eq!(nanos(Duration::from_nanos(u64::MAX)), u64::MAX);
        assert_eq!(
            nanos(Duration::from_nanos(u64::MAX) + Duration::from_nanos(1)),
            u64::MAX
        );
        assert_eq!(nanos(Duration::from_secs(1 << 40)), u64::MAX);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
        assert_eq!(
            Time::ZERO + Duration::from_nanos(u64::MAX - 1),
            Time::from_nanos(u64::MAX - 1)
        );
        assert_eq!(Time::from_nanos(2) + Duration::from_nanos(u64::MAX - 1), Time::MAX);
    }

    #[test]
    fn no_time_is_before_zero() {
        let time = Time::from_nanos(1_500_000_000);
        assert_eq!(
            time.saturating_sub(Duration::from_secs(1)),
            Time::from_nanos(500_000_000)
        );
        assert_eq!(time.saturating_sub(Duration::from_secs(2)), Time::ZERO);
        assert_eq!(Time::MAX.saturating_sub(Duration::MAX), Time::ZERO);
    }

    #[test]
    fn debug_is_readable() {
        assert_eq!(format!("{:?}", Time::from_nanos(1_500_000_000)), "Time(1.5s)");
    }
}
