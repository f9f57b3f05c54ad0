//! How a loop is set up.

use std::num::NonZeroU8;

use ev_backend::{Backend, Clock};

use crate::Limits;
#[cfg(feature = "signals")]
use crate::SignalMethod;
use crate::diagnostics::debug;
use crate::engine::{Engine, RawChanges};
use crate::time_source::TimeSource;

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
    pub(crate) clock: TimeSource,
    pub(crate) limits: Limits,
    checks_descriptors: bool,
    #[cfg(feature = "signals")]
    signal_method: SignalMethod,
}

impl Config {
    /// The best backend there is, one priority, changes to raw descriptors made at once, the precise monotonic clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            backend: ev_backend::Config::new(),
            priorities: NonZeroU8::MIN,
            raw_changes: RawChanges::Immediate,
            clock: TimeSource::System(Clock::Monotonic),
            limits: Limits::new(),
            checks_descriptors: false,
            #[cfg(feature = "signals")]
            signal_method: SignalMethod::default(),
        }
    }

    /// An engine with these settings.
    pub(crate) fn engine<B: Backend, P>(&self, backend: B) -> Engine<B, P> {
        debug!("a loop on {}", backend.name());
        let mut engine = Engine::new(backend, self.priorities, self.raw_changes);
        engine.set_limits(self.limits);
        #[cfg(feature = "signals")]
        engine.set_signal_method(self.signal_method);
        if self.checks_descriptors {
            engine.check_descriptors();
        }
        engine
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

    /// The clock that deadlines are measured by. Default: [`Clock::Monotonic`].
    ///
    /// A timer never fires before its deadline by this clock. The coarse clock saves some nanoseconds a reading, and
    /// timeouts may be short by a tick of the kernel's. With [`Clock::Boottime`] the time of a suspension counts, and
    /// what came due meanwhile fires after it. [`Clock::Realtime`] makes every deadline follow the setting of the time
    /// of day, at the latest when the loop wakes for another reason.
    #[doc(alias = "EVENT_BASE_FLAG_PRECISE_TIMER")]
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = TimeSource::System(clock);
        self
    }

    /// Measures deadlines by the clock of a simulation: for an engine of your own on the simulated backend that has this
    /// clock. [`EventLoop::simulated`](crate::EventLoop::simulated) sets it by itself.
    ///
    /// The two go together: on another backend the clock does not move while the loop waits, and a simulation whose loop
    /// has another clock jumps ahead in vain.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn virtual_clock(mut self, clock: ev_backend::sim::VirtualClock) -> Self {
        self.clock = TimeSource::Virtual(clock);
        self
    }

    /// How signals are caught. Default: [`SignalMethod::Handler`].
    ///
    /// With [`SignalMethod::SignalFd`], on Linux, no handler runs and no system call is interrupted, but several deliveries
    /// before the loop comes to them are one, and the thread that adds signal events holds those signals off: add and
    /// delete them in one thread, the loop's, before others are started. See [`SignalMethod`] for what that entails.
    #[cfg(feature = "signals")]
    #[doc(alias = "EVENT_BASE_FLAG_USE_SIGNALFD")]
    #[must_use]
    pub fn signal_method(mut self, method: SignalMethod) -> Self {
        self.signal_method = method;
        self
    }

    /// Checks what types cannot rule out, for while a program is being written: adding an event on a descriptor in
    /// blocking mode is refused with [`Error::Blocking`](crate::Error::Blocking), and deleting one whose descriptor was
    /// closed in the meantime, or closed and used again, is answered with
    /// [`Error::ClosedWhileAdded`](crate::Error::ClosedWhileAdded) and told to the log; where the operation has no such
    /// answer, as when the event is removed, only to the log. Regular files, which always block, are refused as well.
    ///
    /// Costs two system calls where an event is added and one where it is deleted; nothing when off. One file that
    /// replaces another of a kind that has no file (event counters, timers) is not noticed.
    #[doc(alias = "event_enable_debug_mode")]
    #[must_use]
    pub fn check_descriptors(mut self) -> Self {
        self.checks_descriptors = true;
        self
    }

    /// Limits what one turn calls. Default: no limits.
    #[doc(alias = "event_config_set_max_dispatch_interval")]
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
