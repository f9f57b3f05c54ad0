//! How an event is described to the engine.

use std::os::fd::RawFd;
use std::time::Duration;

use ev_backend::{Interest, Mode};
use ev_timer::{SameDuration, Time};

use crate::event::Persistence;

/// What an event waits for, besides its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    None,
    /// A descriptor that is closed only after the event is removed: its changes are told to the backend at the next
    /// turn, and only if they still make a difference then.
    Owned {
        /// The descriptor.
        fd: RawFd,
        /// The conditions to wait for.
        interest: Interest,
    },
    /// A descriptor of whose life the engine knows nothing: changes are told to the backend at once.
    Raw {
        /// The descriptor.
        fd: RawFd,
        /// The conditions to wait for.
        interest: Interest,
    },
    /// A signal.
    #[cfg(feature = "signals")]
    Signal(i32),
}

/// The description of an event, without its payload.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What the event waits for.
    pub target: Target,
    /// How often conditions on the target are reported.
    pub mode: Mode,
    /// Whether the event survives its activation.
    pub persistence: Persistence,
    /// `None`: the middle priority.
    pub priority: Option<u8>,
    /// The timeout with which the event is added again: the period of a persistent event.
    pub timeout: Option<Duration>,
}

impl Spec {
    /// A level-triggered event of middle priority and without timeout.
    #[must_use]
    pub const fn new(target: Target, persistence: Persistence) -> Self {
        Self {
            target,
            mode: Mode::Level,
            persistence,
            priority: None,
            timeout: None,
        }
    }
}

/// When an event times out.
#[derive(Clone, Copy, Debug)]
pub enum Deadline {
    /// At a point in time.
    At(Time),
    /// A duration from now. It is also the period from then on, if the event is persistent.
    After {
        /// A reading of the loop's clock.
        now: Time,
        /// The duration.
        timeout: Duration,
    },
    /// As `After`, in the queue of a duration that was announced
    /// ([`Engine::same_duration`](crate::engine::Engine::same_duration)).
    In {
        /// A reading of the loop's clock.
        now: Time,
        /// The queue.
        queue: SameDuration,
    },
}

/// With which deadline a new event is added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arming {
    /// None.
    Registration,
    /// This one.
    At(Time),
    /// The timeout of its [`Spec`], from now.
    Remembered,
}
