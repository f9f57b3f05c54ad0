//! How a loop is set up.

use std::num::NonZeroU8;

use ev_backend::Clock;

use crate::engine::RawChanges;

/// The settings of a loop.
///
/// ```
/// use std::num::NonZeroU8;
/// use ev_core::{Config, EventLoop, Features, backend};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new()
///     .backend(backend::Config::new().require(Features::ANY_FILE))
///     .priorities(NonZeroU8::new(3).expect("three is not zero"));
/// let lp = EventLoop::<()>::with_config(&config)?;
/// assert_eq!(lp.priorities(), 3);
/// assert_ne!(lp.backend_name(), "epoll", "which refuses regular files");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "event_config_new")]
pub struct Config {
    pub(crate) backend: ev_backend::Config,
    pub(crate) priorities: NonZeroU8,
    pub(crate) raw_changes: RawChanges,
    pub(crate) clock: Clock,
}

impl Config {
    /// The best backend there is, one priority, changes to raw descriptors made at once, the precise monotonic clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            backend: ev_backend::Config::new(),
            priorities: NonZeroU8::MIN,
            raw_changes: RawChanges::Immediate,
            clock: Clock::Monotonic,
        }
    }

    /// Which backend is chosen, and how.
    #[must_use]
    pub fn backend(mut self, backend: ev_backend::Config) -> Self {
        self.backend = backend;
        self
    }

    /// The number of priorities: 0 is the most urgent, and the middle one, `priorities / 2`, is that of events for which
    /// none is named.
    #[doc(alias = "event_base_priority_init")]
    #[must_use]
    pub fn priorities(mut self, priorities: NonZeroU8) -> Self {
        self.priorities = priorities;
        self
    }

    /// Tells the kernel of changes to raw descriptors at the next turn, and only if they still make a difference then.
    /// Changes to descriptors that events own are always treated so.
    ///
    /// Saves system calls; in return a refusal comes late, as a call with [`Causes::ERROR`](crate::Causes::ERROR) for
    /// an event that is then deleted.
    #[doc(alias = "EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST")]
    #[must_use]
    pub fn defer_raw_changes(mut self) -> Self {
        self.raw_changes = RawChanges::Deferred;
        self
    }

    /// The clock that deadlines are measured by.
    #[doc(alias = "EVENT_BASE_FLAG_PRECISE_TIMER")]
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
