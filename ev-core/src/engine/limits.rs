//! How much one turn calls before the kernel is asked again, and how long a priority may be passed over.

use std::num::NonZeroU32;
use std::time::Duration;

use ev_backend::Backend;
use ev_timer::Time;

use super::Engine;
use super::run::Special;

/// Limits on what one turn calls. By default there are none.
///
/// A turn calls everything that is active at its priority. Where that is a lot, readiness of more urgent descriptors is
/// found late: a limit ends the turn earlier, and what is left is called in later turns.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use ev_core::{Config, Limits};
///
/// let limits = Limits::new()
///     .callbacks(NonZeroU32::new(16).expect("16 is not zero"))
///     .interval(Duration::from_millis(5))
///     .from_priority(1); // never cut what is most urgent
/// let config = Config::new().limits(limits);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "event_config_set_max_dispatch_interval")]
pub struct Limits {
    callbacks: Option<NonZeroU32>,
    interval: Option<Duration>,
    from_priority: u8,
    patience: Option<NonZeroU32>,
}

impl Limits {
    /// No limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            callbacks: None,
            interval: None,
            from_priority: 0,
            patience: None,
        }
    }

    /// A turn ends after that many callbacks. Several deliveries of one signal count as one.
    #[must_use]
    pub const fn callbacks(mut self, most: NonZeroU32) -> Self {
        self.callbacks = Some(most);
        self
    }

    /// A turn ends after the callback during which this much time has passed since its first callback began. Costs a
    /// reading of the clock a callback.
    #[must_use]
    pub const fn interval(mut self, longest: Duration) -> Self {
        self.interval = Some(longest);
        self
    }

    /// Turns of priorities below this number, which are more urgent, are not limited. Default: all are.
    #[must_use]
    pub const fn from_priority(mut self, priority: u8) -> Self {
        self.from_priority = priority;
        self
    }

    /// Whether there is any limit: [`from_priority`](Self::from_priority) alone is none.
    fn limits_anything(self) -> bool {
        self != Self::new().from_priority(self.from_priority)
    }

    /// A priority with active events is passed over by at most that many turns in a row, and then has one, however much
    /// urgent work there is.
    ///
    /// Without this, urgent work that does not end keeps all less urgent events waiting. libevent has nothing like it.
    #[must_use]
    pub const fn patience(mut self, turns: NonZeroU32) -> Self {
        self.patience = Some(turns);
        self
    }
}

/// What a turn has left of its limits, and what priorities have waited.
#[derive(Default)]
pub(super) struct Allowance {
    limits: Limits,
    /// The callbacks that this turn may still call; `None` if not limited.
    calls: Option<u32>,
    /// When this turn's time is up.
    until: Option<Time>,
    /// The turn has used up its limit.
    spent: bool,
    /// How many turns in a row each priority was passed over; empty without a bound on that.
    passed_over: Vec<u32>,
}

impl Allowance {
    fn new(limits: Limits, priorities: u8) -> Self {
        let bounded = limits.patience.map_or(0, |_| usize::from(priorities));
        Self {
            limits,
            passed_over: vec![0; bounded],
            ..Self::default()
        }
    }

    /// The limits of the turn under way stay.
    pub(super) fn set_priorities(&mut self, priorities: u8) {
        self.passed_over = Self::new(self.limits, priorities).passed_over;
    }

    pub(super) fn begin_turn(&mut self) {
        self.calls = self.limits.callbacks.map(NonZeroU32::get);
        self.until = None;
        self.spent = false;
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Counts a callback of that priority.
    pub(super) fn count(&mut self, priority: u8) {
        if let Some(calls) = &mut self.calls
            && priority >= self.limits.from_priority
        {
            *calls -= 1;
            self.spent |= *calls == 0;
        }
    }

    /// The priority that waits and has been passed over long enough; of several the one that was longest.
    pub(super) fn overdue(&self, waits: impl Fn(u8) -> bool) -> Option<u8> {
        let patience = self.limits.patience?.get();
        let passed_over = self.passed_over.iter().enumerate().rev();
        // Of equals `max_by_key` takes the last, which is the most urgent in this order.
        passed_over
            .map(|(priority, &turns)| (priority as u8, turns))
            .filter(|&(priority, turns)| turns >= patience && waits(priority))
            .max_by_key(|&(_, turns)| turns)
            .map(|(priority, _)| priority)
    }

    /// Notes which priorities the turn of `processed` has passed over. One that processed none has passed over none.
    pub(super) fn end_turn(&mut self, processed: Option<u8>, waits: impl Fn(u8) -> bool) {
        let turn = u32::from(processed.is_some());
        for (priority, turns) in (0..).zip(&mut self.passed_over) {
            let waited_on = processed != Some(priority) && waits(priority);
            *turns = if waited_on { turns.saturating_add(turn) } else { 0 };
        }
    }
}

impl<B: Backend, P> Engine<B, P> {
    /// Sets the limits of turns, from the next one on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.allowance = limits
            .limits_anything()
            .then(|| Box::new(Allowance::new(limits, self.priorities())));
        self.run.special.set(Special::LIMITS, self.allowance.is_some());
    }

    /// Whether turns are limited in time, so that the driver has to [`tick`](Self::tick).
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.allowance
            .as_ref()
            .is_some_and(|allowance| allowance.limits.interval.is_some())
    }

    /// Tells the time: before the first callback of a turn, and after each one.
    pub fn tick(&mut self, now: Time) {
        let Some(allowance) = &mut self.allowance else { return };
        let Allowance {
            limits, until, spent, ..
        } = &mut **allowance;
        let Some(interval) = limits.interval else { return };
        match *until {
            None => *until = Some(now.saturating_add(interval)),
            Some(until) => *spent |= now >= until && self.run.turn.priority >= Some(limits.from_priority),
        }
    }
}
