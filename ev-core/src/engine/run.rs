//! What is asked of a run, what it answers, and what it keeps in mind between two calls.

use std::time::Duration;

use bitflags::bitflags;

use crate::Fired;

bitflags! {
    /// How long a loop runs, in addition to being stopped.
    ///
    /// | mode | waits | returns |
    /// |---|---|---|
    /// | `UNTIL_EMPTY` (none) | yes | when no event is added or active |
    /// | `FOREVER` | yes | when stopped |
    /// | `ONCE` | until something is active | when everything active was called, of all priorities |
    /// | `ONCE \| NON_BLOCKING` | no | after one pass |
    /// | `NON_BLOCKING` | no | when a pass finds nothing active |
    ///
    /// `FOREVER` combines with the others: an empty loop is then not a reason to return. A pass with `ONCE` lasts until
    /// nothing is active: a callback that always activates something for the next turn makes it endless.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    #[doc(alias = "EVLOOP_ONCE")]
    pub struct RunMode: u8 {
        /// Returns once everything that became active has been called.
        const ONCE = 1 << 0;
        /// Never waits.
        #[doc(alias = "EVLOOP_NONBLOCK")]
        const NON_BLOCKING = 1 << 1;
        /// Does not return for want of events.
        #[doc(alias = "EVLOOP_NO_EXIT_ON_EMPTY")]
        const FOREVER = 1 << 2;
        /// Runs until no event is added or active.
        const UNTIL_EMPTY = 0;
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No event was added or active.
    Empty,
    /// It was asked to stop.
    Stopped,
    /// The pass that [`RunMode::ONCE`] or [`RunMode::NON_BLOCKING`] asked for is over.
    Passed,
}

/// How soon a loop stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// When the turn's priority has been processed: everything active of the same priority is still called.
    #[doc(alias = "event_base_loopexit")]
    AfterTurn,
    /// After the callback that runs. Other active events stay active for the next run.
    #[doc(alias = "event_base_loopbreak")]
    Now,
}

/// What the driver does next.
#[must_use = "the run may be over"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The run is over.
    Leave(Outcome),
    /// Sleep for at most that long, `None`: until something comes.
    Wait(Option<Duration>),
}

/// Whether a driver has work of its own waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It has not.
    Nothing,
    /// It has: posted closures, say.
    Work,
}

/// An event taken out to be called.
#[derive(Debug)]
#[must_use = "the payload is to be given back"]
pub struct Taken<P> {
    /// What its callback is told; names the event.
    pub fired: Fired,
    /// Its payload, to be given back to [`Engine::finish`](super::Engine::finish).
    pub payload: P,
}

/// Deferred events beyond that many wait for the next turn, so that those that defer further ones leave room for the
/// rest. libevent's number: it puts off what comes when more than 32 were taken.
const MOST_DEFERRED: u8 = 33;

/// A signal that was delivered several times: its callback is called once for each.
#[derive(Clone, Copy, Default)]
pub(super) struct Repeat {
    pub(super) index: u32,
    pub(super) left: u32,
}

bitflags! {
    /// What a turn has to mind beside its queues. Most have nothing of this to mind, and find that out by one look.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(super) struct Special: u8 {
        /// The run was asked to stop when the turn is over.
        const STOP_AFTER_TURN = 1 << 0;
        /// The run was asked to stop after the callback that runs.
        const STOP_NOW = 1 << 1;
        /// The turn ends after the callback that runs.
        const RESTART = 1 << 2;
        /// There are limits, `Engine::allowance`.
        const LIMITS = 1 << 3;
        /// A signal has further deliveries, which `Run::repeat` tells of.
        const REPEAT = 1 << 4;
        const STOP = Self::STOP_AFTER_TURN.bits() | Self::STOP_NOW.bits();
    }
}

/// The state of a run.
#[derive(Default)]
pub(super) struct Run {
    pub(super) mode: RunMode,
    pub(super) special: Special,
    pub(super) turn: Turn,
    /// Of no meaning without `Special::REPEAT`.
    repeat: Repeat,
}

/// No priority: there are no more than 255.
pub(super) const NONE: u8 = u8::MAX;

/// The state of a turn.
pub(super) struct Turn {
    /// The priority that it processes, once it is known.
    pub(super) priority: Option<u8>,
    /// The priority that it processes, as long as its queue alone says what is called next; else `NONE`.
    pub(super) direct: u8,
    /// A callback was called.
    pub(super) called: bool,
    /// The driver called something of its own.
    pub(super) posted: bool,
    /// How many deferred events it has been given.
    deferred: u8,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            priority: None,
            direct: NONE,
            called: false,
            posted: false,
            deferred: 0,
        }
    }
}

impl Turn {
    pub(super) fn did_something(&self) -> bool {
        self.called || self.posted
    }

    /// Counts a deferred event that it has been given.
    pub(super) fn count_deferred(&mut self) {
        self.deferred = self.deferred.saturating_add(1);
    }
}

impl Run {
    /// A request to stop that came before is this run's.
    #[inline]
    pub(super) fn begin(&mut self, mode: RunMode) {
        self.mode = mode;
        self.special &= Special::STOP | Special::LIMITS;
    }

    /// Has all that comes next be asked whether that is to be minded.
    pub(super) fn mind(&mut self, special: Special) {
        self.special |= special;
        self.turn.direct = NONE;
    }

    pub(super) fn stopping(&self) -> Option<Stop> {
        if self.special.contains(Special::STOP_NOW) {
            Some(Stop::Now)
        } else {
            self.special
                .contains(Special::STOP_AFTER_TURN)
                .then_some(Stop::AfterTurn)
        }
    }

    pub(super) fn take_stop(&mut self) -> Option<Stop> {
        let stop = self.stopping();
        self.special -= Special::STOP;
        stop
    }

    /// Has the event called that many times more, before any other.
    pub(super) fn begin_repeat(&mut self, index: u32, left: u32) {
        if left > 0 {
            self.repeat = Repeat { index, left };
            self.mind(Special::REPEAT);
        }
    }

    pub(super) fn take_repeat(&mut self) -> Option<Repeat> {
        let is_left = self.special.contains(Special::REPEAT);
        self.special -= Special::REPEAT;
        is_left.then_some(self.repeat)
    }

    /// Takes back what is left of the event's deliveries.
    pub(super) fn cancel_repeat(&mut self, index: u32) {
        if self.repeat.index == index {
            self.take_repeat();
        }
    }

    /// Whether this turn takes one more deferred event.
    pub(super) fn takes_deferred(&mut self) -> bool {
        self.turn.count_deferred();
        self.turn.deferred <= MOST_DEFERRED
    }

    /// A turn whose priority is no more is over.
    pub(super) fn set_priorities(&mut self, available: u8) {
        if self.turn.priority >= Some(available) {
            self.mind(Special::RESTART);
        }
    }

    /// An event of that priority became active: one more urgent than what is being processed ends the turn.
    #[inline]
    pub(super) fn notice(&mut self, priority: u8) {
        if self.turn.priority.is_some_and(|current| priority < current) {
            self.mind(Special::RESTART);
        }
    }
}
