//! The handle of a same-duration queue.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::queues::MOST_KEPT;

/// A timeout that many timers share, from [`Timers::same_duration`](crate::Timers::same_duration).
///
/// It stays valid for as long as the [`Timers`](crate::Timers) it came from, and for their clones. With other `Timers`
/// it is of no use, and does no harm: timers armed with it have the right deadline and go to the heap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SameDuration {
    pub(crate) timeout: u64,
    pub(crate) queue: u32,
}

impl SameDuration {
    /// The duration; at most 2⁶⁴ − 1 ns, whatever was asked for.
    #[inline]
    #[must_use]
    pub const fn timeout(self) -> Duration {
        Duration::from_nanos(self.timeout)
    }
}

impl fmt::Debug for SameDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SameDuration({:?})", self.timeout())
    }
}

/// There are already as many same-duration handles as there can be (256).
///
/// The timeout can still be used with [`Timers::set_after`](crate::Timers::set_after).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TooManyDurations;

impl fmt::Display for TooManyDurations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are already {MOST_KEPT} same-duration queues")
    }
}

impl Error for TooManyDurations {}
