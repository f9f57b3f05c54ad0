//! The loop as a state machine: no callback is called here, no clock read, no lock taken but that of the process-wide table
//! of signals, and nothing sleeps.
//!
//! An [`Engine`] holds the events and all that is known of them; a *driver* reads the clock, sleeps in the backend's
//! [`Waiter`](ev_backend::Waiter) and calls what the engine hands out. [`EventLoop`](crate::EventLoop) and
//! [`SharedLoop`](crate::SharedLoop) are such drivers. Write your own to call something that is not a boxed closure, or
//! to lock differently; otherwise use one of these two.
//!
//! ```text
//!            driver                                engine
//!   ┌─► begin_turn(now) ──────────────► flush changes, compute the timeout
//!   │   waiter.wait(timeout)
//!   │   harvest(&mut waiter) ─────────► reports ─► fd map ─► active queues
//!   │   expire(now) ──────────────────► deadlines ────────► active queues
//!   │   next_active() ────────────────► takes an event and its payload out
//!   │   … call the payload …           (it may insert, add, delete, remove, activate any event, itself included)
//!   │   finish(key, payload) ─────────► puts the payload back, unless the event was removed
//!   └── end_turn()
//! ```
//!
//! Invariants:
//! 1. A slot's `INSERTED` flag is set exactly while its id is in the fd map or the signal map, or has a negative
//!    descriptor and is on neither. Whether it has a deadline only the timers know.
//! 2. `inserted` counts the inserted events that are not internal.
//! 3. The queues have room for every occupied slot, and the timers for one more deadline of every slot with a timeout,
//!    so that activating needs no memory.
//! 4. A descriptor whose wishes differ from what the backend was told is on the fd map's list of deferred changes.
//!    `unprepared` is set while any is.
//! 5. While a callback runs, `running` names its event, that slot's payload is with the driver, and `home` is its index
//!    until the event is removed. A finalizer runs for no event, nor does a one-shot event that is `TRANSIENT`.
//! 6. A slot that is `FINALIZING` is active, has a payload, and is waiting for nothing; `finalizing` counts them.
//! 7. `names` has entries for occupied slots only.

#[cfg_attr(
    not(any(feature = "signals", feature = "threads")),
    allow(dead_code, reason = "there are no internal events then")
)]
mod active;
mod arm;
mod checks;
mod finalize;
mod hold;
mod inspect;
mod internal;
mod kernel;
mod limits;
mod register;
mod run;
#[cfg(feature = "signals")]
mod signals;
mod slots;
mod spec;
#[cfg(test)]
mod tests;
mod transient;
mod turn;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use ev_backend::{Backend, Features, Tag};
use ev_map::FdMap;
use ev_timer::{SameDuration, Time, Timers};

pub use self::hold::KeepAlive;
pub use self::inspect::{Counts, EventInfo};
pub use self::limits::Limits;
pub use self::run::{Held, Outcome, RunMode, Step, Stop, Taken};
pub(crate) use self::spec::Arming;
pub use self::spec::{Deadline, Spec, Target};
pub use self::transient::Standing;

use self::active::ActiveQueues;
use self::checks::Checks;
use self::hold::Holds;
use self::limits::Allowance;
use self::run::Run;
use self::slots::{Flags, Slots};
use crate::{Causes, Error, EventKey};

/// When the kernel is told about a raw descriptor's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RawChanges {
    /// At once: its answer is the operation's result.
    #[default]
    Immediate,
    /// At the next turn, if the change still makes a difference then; a refusal is reported to the event's callback
    /// with [`Causes::ERROR`].
    Deferred,
}

/// The events of one loop, on backend `B`, each with a payload `P`. See the [module](self).
pub struct Engine<B: Backend, P> {
    backend: B,
    slots: Slots<P>,
    fds: FdMap,
    #[cfg(feature = "signals")]
    signals: signals::Signals,
    timers: Timers,
    /// The number of deadlines that the driver keeps.
    external_deadlines: usize,
    /// The remembered timeout of each event in nanoseconds, for events with `Flags::TIMEOUT`; as long as the largest
    /// index among them.
    timeouts: Vec<u64>,
    active: ActiveQueues,
    /// The notifier and the index of its event.
    #[cfg(feature = "threads")]
    waker: Option<(Arc<ev_thread::Waker>, u32)>,
    /// The number of internal events.
    internal: usize,
    /// The number of events whose last payload is still to be handed out.
    finalizing: usize,
    names: BTreeMap<u32, Cow<'static, str>>,
    holds: Arc<Holds>,
    maxima: Counts,
    /// As long as no number exceeds the one here, none of `maxima` is exceeded.
    noted: Counts,
    /// How often each active signal event is to be called; as long as the largest index among signal events.
    deliveries: Vec<u32>,
    raw_changes: RawChanges,
    checks: Option<Checks>,
    /// The waiter does not know yet of some change.
    unprepared: bool,
    inserted: usize,
    run: Run,
    /// `None` without limits.
    allowance: Option<Box<Allowance>>,
    /// The latest reading of the clock that the driver gave.
    now: Option<Time>,
    running: Option<EventKey>,
    /// Where the payload that is with the driver is put back; `NOWHERE` if its event is no more. Of no meaning while none is.
    home: u32,
    /// The tag of a report that matched no registration at the last harvest.
    stale: Option<Tag>,
}

/// No place for a payload: there is no such slot.
const NOWHERE: u32 = u32::MAX;

/// What becomes of the payload of a removed event.
#[derive(Debug)]
pub enum Removed<P> {
    /// It is the caller's.
    Payload(P),
    /// The event's callback runs; [`Engine::finish`] hands the payload out.
    Running,
}

impl<B: Backend, P> Engine<B, P> {
    /// An engine without events, with that many priorities.
    pub fn new(backend: B, priorities: NonZeroU8, raw_changes: RawChanges) -> Self {
        Self {
            backend,
            slots: Slots::new(),
            fds: FdMap::new(),
            #[cfg(feature = "signals")]
            signals: signals::Signals::default(),
            timers: Timers::new(),
            external_deadlines: 0,
            timeouts: Vec::new(),
            active: ActiveQueues::new(priorities.get()),
            #[cfg(feature = "threads")]
            waker: None,
            internal: 0,
            finalizing: 0,
            names: BTreeMap::new(),
            holds: Arc::default(),
            maxima: Counts::default(),
            noted: Counts::default(),
            deliveries: Vec::new(),
            raw_changes,
            checks: None,
            unprepared: false,
            inserted: 0,
            run: Run::default(),
            allowance: None,
            now: None,
            running: None,
            home: NOWHERE,
            stale: None,
        }
    }

    /// The name of the backend.
    #[doc(alias = "event_base_get_method")]
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// What the backend can do.
    #[doc(alias = "event_base_get_features")]
    pub fn features(&self) -> Features {
        self.backend.features()
    }

    /// The number of priorities.
    #[doc(alias = "event_base_get_npriorities")]
    pub fn priorities(&self) -> u8 {
        self.active.priorities()
    }

    /// Changes the number of priorities. Events keep theirs. A turn whose own priority is gone by that ends.
    ///
    /// # Errors
    ///
    /// [`Error::Active`] while any event is active; [`Error::Priority`] if an event has a priority that would no longer
    /// exist. Nothing has changed then.
    #[doc(alias = "event_base_priority_init")]
    pub fn set_priorities(&mut self, priorities: NonZeroU8) -> Result<(), Error> {
        let available = priorities.get();
        if !self.active.is_empty() {
            return Err(Error::Active);
        }
        let least_urgent = self
            .slots
            .keys()
            .map(|key| self.slots.get(key.index()).activation.priority())
            .max();
        if let Some(asked) = least_urgent.filter(|&priority| priority >= available) {
            return Err(Error::Priority { asked, available });
        }
        self.active.set_priorities(available);
        if let Some(allowance) = &mut self.allowance {
            allowance.set_priorities(available);
        }
        self.run.set_priorities(available);
        Ok(())
    }

    /// The number of events, added or not; internal ones are not counted, nor those that were removed and whose
    /// finalizer is yet to be called.
    pub fn len(&self) -> usize {
        self.slots.len() - self.internal - self.finalizing
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no event is added, none is active, and nobody holds the loop: nothing can happen any more by itself.
    pub fn is_idle(&self) -> bool {
        self.inserted == 0 && self.deadlines() == 0 && self.active.is_empty() && self.holds.is_empty()
    }

    /// Keeps the engine from being [idle](Self::is_idle) for as long as the answer exists.
    #[doc(alias = "event_base_add_virtual_")]
    pub fn keep_alive(&self) -> KeepAlive {
        KeepAlive::new(&self.holds)
    }

    /// Whether any event has a deadline, or may get one when it is called, so that the driver has to read the clock.
    ///
    /// True from the first event on that has a timeout, and as long as any has a deadline.
    #[inline]
    pub fn has_deadlines(&self) -> bool {
        self.timeouts.len() + self.timers.len() > 0
    }

    /// When the loop has to be awake because of a deadline: the earliest one, or earlier.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.next_wake()
    }

    /// Whether any event is active.
    #[inline]
    pub fn has_active(&self) -> bool {
        !self.active.is_empty() || self.active.has_internal()
    }

    /// The event's payload; `None` while its callback runs, and before it was filled.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn payload(&self, key: EventKey) -> Result<Option<&P>, Error> {
        self.slots.find_payload(key)
    }

    /// Whether the event exists.
    pub fn contains(&self, key: EventKey) -> bool {
        self.slots.find(key).is_ok()
    }

    /// The keys of all events.
    pub fn keys(&self) -> impl Iterator<Item = EventKey> + '_ {
        self.slots.keys()
    }

    /// The event whose callback runs.
    #[doc(alias = "event_base_get_running_event")]
    pub fn running(&self) -> Option<EventKey> {
        self.running
    }

    /// Whether the event waits for its descriptor or signal, or for a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_pending")]
    pub fn is_pending(&self, key: EventKey) -> Result<bool, Error> {
        let index = self.slots.find(key)?;
        Ok(self.slots.get(index).flags.contains(Flags::INSERTED) || self.timers.is_armed(index))
    }

    /// Whether the event waits for its descriptor or signal.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn is_registered(&self, key: EventKey) -> Result<bool, Error> {
        let index = self.slots.find(key)?;
        Ok(self.slots.get(index).flags.contains(Flags::INSERTED))
    }

    /// The reasons for which the event is active, `None` if it is not.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn causes(&self, key: EventKey) -> Result<Option<Causes>, Error> {
        let index = self.slots.find(key)?;
        Ok(self.slots.get(index).activation.causes())
    }

    /// When the event times out, `None` if it does not.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn deadline(&self, key: EventKey) -> Result<Option<Time>, Error> {
        let index = self.slots.find(key)?;
        Ok(self.timers.deadline(index))
    }

    /// The timeout with which the event is added again.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn timeout(&self, key: EventKey) -> Result<Option<Duration>, Error> {
        let index = self.slots.find(key)?;
        Ok(self.remembered_timeout(index))
    }

    /// Lets level and edge-triggered events share a raw descriptor from now on, libevent's rule; see
    /// [`FdMap::mix_modes`].
    pub fn mix_modes(&mut self) {
        self.fds.mix_modes();
    }

    /// Announces that many events will have this timeout; see [`Deadline::In`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] after 256 different durations.
    #[doc(alias = "event_base_init_common_timeout")]
    pub fn same_duration(&mut self, timeout: Duration) -> Result<SameDuration, Error> {
        self.timers.same_duration(timeout).map_err(|_| Error::OutOfMemory)
    }
}

impl<B: Backend, P> fmt::Debug for Engine<B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("backend", &self.backend.name())
            .field("events", &self.len())
            .field("inserted", &self.inserted)
            .field("deadlines", &self.deadlines())
            .field("active", &self.active.len())
            .finish_non_exhaustive()
    }
}
