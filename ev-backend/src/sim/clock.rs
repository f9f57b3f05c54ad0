//! The time of a simulation.

use std::sync::Arc;
use std::time::Duration;

use ev_sys::clock::Clock;

use super::world::Shared;

/// The clock of a simulation, to be read by the code under test and moved by the test.
///
/// It begins at a million seconds, as if the machine had been up for some days: there is room for points that have
/// passed, and no reading is zero by chance. It never goes back. At [`Pace::Jump`] and
/// [`Pace::Hold`] it stands still but for what waits and [`advance`](Self::advance) do; the machine's clock has no
/// influence then.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    shared: Arc<Shared>,
}

impl VirtualClock {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The time, in nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.shared.lock().now()
    }

    /// Moves the time forward: to let it pass outside waits, as a slow callback does, or at [`Pace::Hold`] during one.
    ///
    /// Announcements passed over take effect in their order, and before the next wait reports anything.
    pub fn advance(&self, by: Duration) {
        self.shared.lock().advance(by);
    }
}

/// How time passes in a wait that finds nothing ready; see [`Script::set_pace`](super::Script::set_pace).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Pace {
    /// It jumps to the next thing to happen. For tests of one thread; another thread that is about to do something is not
    /// waited for.
    #[default]
    Jump,
    /// It stands still until [`VirtualClock::advance`]. The wait sleeps until its end has come so, or a descriptor is
    /// ready, real or scripted. For tests in which threads take turns, in virtual time: one lets the loop fall asleep
    /// ([`Script::await_sleep`](super::Script::await_sleep)) before it moves the time. A wait that nobody ends hangs.
    Hold,
    /// It is the machine's time, during waits and between them. Waits sleep as they do with a real backend. For tests
    /// with threads, signals and sockets that were written for one.
    Real,
}

/// Where the clock stands, and how it goes on.
#[derive(Debug)]
pub(super) struct Time {
    /// The time when the pace was last set, and what the clock was moved since.
    base: u64,
    pace: Pace,
    /// At [`Pace::Real`]: the machine's time when the pace was set.
    origin: Option<u64>,
}

impl Time {
    pub(super) const START: u64 = 1_000_000 * 1_000_000_000;

    pub(super) fn new() -> Self {
        Self {
            base: Self::START,
            pace: Pace::default(),
            origin: None,
        }
    }

    pub(super) fn now(&self) -> u64 {
        let passed = self.origin.map_or(0, |origin| Clock::Monotonic.now() - origin);
        self.base.saturating_add(passed)
    }

    pub(super) fn after(&self, duration: Duration) -> u64 {
        self.now().saturating_add(nanoseconds(duration))
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.base = self.base.saturating_add(nanoseconds(by));
    }

    /// Moves forward to a point that lies ahead.
    pub(super) fn jump(&mut self, to: u64) {
        debug_assert!(self.origin.is_none() && self.base <= to, "time goes forward");
        self.base = to;
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.base = self.now();
        self.pace = pace;
        self.origin = (pace == Pace::Real).then(|| Clock::Monotonic.now());
    }
}

/// 584 years fit, and what is longer counts as that.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
