//! Where a loop reads the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ev_backend::Clock;
#[cfg(feature = "sim")]
use ev_backend::sim::VirtualClock;
use ev_timer::Time;

/// A clock of the system or of a simulation.
#[derive(Clone, Debug)]
pub(crate) enum TimeSource {
    System(Clock),
    #[cfg(feature = "sim")]
    Virtual(VirtualClock),
}

impl TimeSource {
    #[inline]
    pub(crate) fn now(&self) -> Time {
        Time::from_nanos(match self {
            Self::System(clock) => clock.now(),
            #[cfg(feature = "sim")]
            Self::Virtual(clock) => clock.now(),
        })
    }

    /// The time of day at a time of this clock.
    pub(crate) fn to_system_time(&self, time: Time) -> SystemTime {
        let (now, of_day) = self.both();
        if time >= now {
            of_day + time.saturating_duration_since(now)
        } else {
            of_day - now.saturating_duration_since(time)
        }
    }

    /// The time of this clock at a time of day.
    pub(crate) fn at_system_time(&self, time: SystemTime) -> Time {
        let (now, of_day) = self.both();
        match time.duration_since(of_day) {
            Ok(ahead) => now.saturating_add(ahead),
            Err(behind) => now.saturating_sub(behind.duration()),
        }
    }

    /// This clock and the time of day, now. A simulation's time of day begins in 1970.
    ///
    /// The time of day is read first: what passes between the two readings makes a deadline late, never early.
    fn both(&self) -> (Time, SystemTime) {
        let of_day = match self {
            Self::System(Clock::Realtime) => None,
            Self::System(_) => Some(Clock::Realtime.now()),
            #[cfg(feature = "sim")]
            Self::Virtual(_) => None,
        };
        let now = self.now();
        let of_day = of_day.unwrap_or(now.as_nanos());
        (now, UNIX_EPOCH + Duration::from_nanos(of_day))
    }
}
