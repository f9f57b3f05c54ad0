//! A single-threaded loop's events: what may be done with them, in a callback and outside.

use std::fmt;
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime};

use ev_backend::{AnyBackend, Backend, Features, Interest};
use ev_timer::{SameDuration, Time};

use crate::engine::{Arming, Deadline, Engine, KeepAlive, Removed, Spec, Stop};
use crate::event::{Describe, Described};
use crate::hooks::{Hook, Hooks};
use crate::time_source::TimeSource;
use crate::{Causes, Context, Error, EventKey, Fired, Rejected};

pub(crate) type Callback<S, B> = Box<dyn FnMut(&mut Context<'_, S, B>, Fired)>;

/// The events of an [`EventLoop`](crate::EventLoop): reached through the loop itself and, in callbacks, through the
/// [`Context`].
///
/// # In callbacks
///
/// Everything here may be done to any event, also to the one whose callback runs. Removing that one ends its life at
/// once, and its callback and source are dropped when the callback returns. Deleting or removing another event that is
/// active takes its activation back: its callback is not called.
///
/// # Two ways to delete
///
/// | | the event | its callback and its source |
/// |---|---|---|
/// | [`delete`](Self::delete) | waits for nothing until it is [added](Self::add) again | stay with it |
/// | [`remove`](Self::remove) | is gone; its key is stale | are dropped, and the descriptor is closed |
///
/// An event that has fired for the last time is deleted, not removed; [`once`](Self::once) inserts one that is.
///
/// # Another event's source
///
/// A callback is lent the source of its own event, and there is no way to that of another. To write to another connection,
/// leave the bytes in the program's state, and have that connection's own callback write them: with
/// [`set_interest`](Self::set_interest) it is called when there is room. The example `chat` does so. Or keep the source in
/// an `Rc`, which can be a source as well, with one clone in the event and another in the state.
pub struct Reactor<S, B: Backend = AnyBackend> {
    pub(crate) engine: Engine<B, Callback<S, B>>,
    clock: TimeSource,
    pub(crate) hooks: Hooks<Hook<S, B>>,
    /// Whether there are turns, so that a reading of the clock holds for one.
    runs: bool,
    /// The turn's reading of the clock, once somebody needed one.
    turn_now: Option<Time>,
    /// For other threads, once one may reach the loop. In a box, so that each turn finds in one step that there is nothing.
    #[cfg(feature = "threads")]
    pub(crate) reached: Option<Box<crate::remote::Reached<S, B>>>,
}

impl<S, B: Backend> Reactor<S, B> {
    pub(crate) fn new(engine: Engine<B, Callback<S, B>>, clock: TimeSource) -> Self {
        Self {
            engine,
            clock,
            hooks: Hooks::new(),
            runs: false,
            turn_now: None,
            #[cfg(feature = "threads")]
            reached: None,
        }
    }

    /// Inserts an event and, unless its description says otherwise, adds it.
    ///
    /// The callback gets the context, the event's source, and what fired. It is dropped with its source when the event
    /// is removed or the loop is dropped; a one-shot event that has fired still exists until then.
    ///
    /// A callback that replaces the descriptor of its source by one of another number ends the event: when it returns, the
    /// event is removed.
    ///
    /// A closure that is kept in a variable first needs the types of its arguments:
    /// `|cx: &mut Context<'_, S>, source: &mut F, fired: Fired| …`, where `F` is `()` for what has no source.
    ///
    /// # Errors
    ///
    /// [`Error::Update`] where the backend or the kernel refuses the descriptor, or the interest is empty (with
    /// [`disarmed`](crate::Io::disarmed) that comes when the event is added), [`Error::Map`] where it does not go
    /// together with other events on it, [`Error::Signal`], [`Error::Priority`], [`Error::OutOfMemory`]. The source and
    /// the callback come back in the [`Rejected`].
    #[doc(alias = "event_new")]
    pub fn insert<D, C>(&mut self, event: D, callback: C) -> Result<EventKey, Rejected<(D::Source, C)>>
    where
        D: Describe,
        D::Source: 'static,
        C: FnMut(&mut Context<'_, S, B>, &mut D::Source, Fired) + 'static,
    {
        let Described { source, spec, arming } = event.describe();
        self.insert_payload(&spec, arming, (source, callback), |(source, callback)| {
            bind::<S, B, D, C>(source, callback)
        })
    }

    /// Inserts an event whose callback `bind` makes of `value`, or hands the value back.
    pub(crate) fn insert_payload<V>(
        &mut self,
        spec: &Spec,
        arming: Option<Arming>,
        value: V,
        bind: impl FnOnce(V) -> Callback<S, B>,
    ) -> Result<EventKey, Rejected<V>> {
        let Self { engine, clock, .. } = self;
        match engine.insert_armed(spec, arming, || clock.now()) {
            Ok(key) => {
                // The event was made just now and has no payload.
                let _ = engine.fill(key, bind(value));
                Ok(key)
            }
            Err(error) => Err(Rejected { error, value }),
        }
    }

    /// Adds an event as it was described: its descriptor or signal, and its timeout if it has one. An event whose
    /// timeout is running gets it anew, and one in [`Mode::OneShot`](crate::Mode::OneShot) that is added already is armed
    /// again. An event with none of these, [`User`](crate::User) or [`Timer::at`](crate::Timer::at), is left as it is: see
    /// [`add_after`](Self::add_after) and [`add_at`](Self::add_at).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; and as for [`insert`](Self::insert). Nothing has changed then.
    #[doc(alias = "event_add")]
    pub fn add(&mut self, key: EventKey) -> Result<(), Error> {
        let Self { engine, clock, .. } = self;
        engine.add_again(key, || clock.now())
    }

    /// Adds an event with a timeout, which replaces the one it has. On a persistent event it is the period from then on.
    ///
    /// The timeout counts from now: this reads the clock. To save that where many are added at once, see
    /// [`add_at`](Self::add_at).
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_after(&mut self, key: EventKey, timeout: Duration) -> Result<(), Error> {
        let now = self.read_clock();
        self.engine.add(key, Some(Deadline::After { now, timeout }))
    }

    /// Adds an event with a timeout that counts from `from`, in place of the deadline it has.
    ///
    /// For many events at once, of which one reading of the clock ([`now`](Self::now)) then serves all. Otherwise as
    /// [`add_after`](Self::add_after): the timeout is remembered, and events whose timeouts are equal share a queue, which
    /// a deadline given by [`add_at`](Self::add_at) does not have. A `from` that lies ahead makes the deadline later.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_from(&mut self, key: EventKey, from: Time, timeout: Duration) -> Result<(), Error> {
        self.engine.add(key, Some(Deadline::After { now: from, timeout }))
    }

    /// Adds an event with a deadline, in place of the one it has. Its timeout stays as it is.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_at(&mut self, key: EventKey, deadline: Time) -> Result<(), Error> {
        self.engine.add(key, Some(Deadline::At(deadline)))
    }

    /// Adds an event with a timeout that was announced by [`same_duration`](Self::same_duration).
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_in(&mut self, key: EventKey, queue: SameDuration) -> Result<(), Error> {
        let now = self.read_clock();
        self.engine.add(key, Some(Deadline::In { now, queue }))
    }

    /// Deletes an event: it waits for nothing any more, and an activation that has not been called yet is taken back, also
    /// one by an [`Activator`](crate::Activator) that the loop has not come to. It can be added again. Deleting an event that
    /// is neither added nor active changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; or the kernel's refusal to forget a raw descriptor, with the event deleted all the same.
    #[doc(alias = "event_del")]
    pub fn delete(&mut self, key: EventKey) -> Result<(), Error> {
        #[cfg(feature = "threads")]
        if let Some(reached) = &mut self.reached {
            reached.messages.take_back(key);
        }
        self.engine.delete(key)
    }

    /// Removes an event: deletes it and drops its callback and its source. The callback of the event that runs is dropped
    /// when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_free")]
    pub fn remove(&mut self, key: EventKey) -> Result<(), Error> {
        match self.engine.remove(key)? {
            Removed::Payload(callback) => drop(callback),
            Removed::Running => {}
        }
        Ok(())
    }

    /// Makes an event active by hand, whether it is added or not. Its callback is called in this turn, if the turn has not
    /// come past its priority, else in the next. On an active event the causes are added to and nothing else changes. A
    /// periodic timer starts its period anew by that.
    ///
    /// An event that activates itself keeps its turn going for ever: no descriptor, timer, signal or
    /// [`Remote`](crate::Remote) is heard, its `stop` included. Take [`activate_later`](Self::activate_later), or set
    /// [`Limits::callbacks`](crate::Limits::callbacks).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_active")]
    pub fn activate(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        self.engine.activate(key, causes)
    }

    /// Makes an event active in the next turn; only adds to the causes if it is active already.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn activate_later(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        self.engine.activate_later(key, causes)
    }

    /// Changes the conditions that an I/O event waits for, whether it is added or not. Of several events on a descriptor
    /// it then counts as the newest, and the newest is called first. The interest that it has already changes nothing, except
    /// that it arms an event in [`Mode::OneShot`](crate::Mode::OneShot) again.
    ///
    /// To wait for nothing for a while, [`delete`](Self::delete) the event: an empty interest is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Kind`], [`Error::Map`], [`Error::Update`]; the event is then as it was.
    pub fn set_interest(&mut self, key: EventKey, interest: Interest) -> Result<(), Error> {
        self.engine.set_interest(key, interest)
    }

    /// Changes the priority of an event that is not active.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Active`], [`Error::Priority`]; the priority is as it was.
    #[doc(alias = "event_priority_set")]
    pub fn set_priority(&mut self, key: EventKey, priority: u8) -> Result<(), Error> {
        self.engine.set_priority(key, priority)
    }

    /// Changes the timeout that [`add`](Self::add) uses, the period of a persistent event. A running timeout is not
    /// touched. `None`: no timeout.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::OutOfMemory`]; the timeout is as it was.
    pub fn set_timeout(&mut self, key: EventKey, timeout: Option<Duration>) -> Result<(), Error> {
        self.engine.set_timeout(key, timeout)
    }

    /// Ends a running timeout and forgets it; the rest of the event stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_remove_timer")]
    pub fn clear_timeout(&mut self, key: EventKey) -> Result<(), Error> {
        self.engine.clear_timeout(key)
    }

    /// Announces a duration that many events will have as their timeout, for [`add_in`](Self::add_in).
    ///
    /// Rarely needed: durations in heavy use are found without being told.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] after 256 different durations.
    #[doc(alias = "event_base_init_common_timeout")]
    pub fn same_duration(&mut self, timeout: Duration) -> Result<SameDuration, Error> {
        self.engine.same_duration(timeout)
    }

    /// Whether the event exists.
    pub fn contains(&self, key: EventKey) -> bool {
        self.engine.contains(key)
    }

    /// Whether the event waits for its descriptor, signal or deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_pending")]
    pub fn is_pending(&self, key: EventKey) -> Result<bool, Error> {
        self.engine.is_pending(key)
    }

    /// Whether the event is active: its callback is going to be called without anything more happening.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_pending")]
    pub fn is_active(&self, key: EventKey) -> Result<bool, Error> {
        Ok(self.engine.causes(key)?.is_some())
    }

    /// When the event times out, `None` if it does not.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn deadline(&self, key: EventKey) -> Result<Option<Time>, Error> {
        self.engine.deadline(key)
    }

    /// The number of events, added or not.
    pub fn len(&self) -> usize {
        self.engine.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.engine.is_empty()
    }

    /// This turn's reading of the clock, the same for all callbacks of the turn: the moment when the wait ended, or in a loop
    /// that never had a deadline the turn's first call of this. With a [limit in time](crate::Limits::interval) it is read
    /// anew after each callback. A hook after the wait may get an earlier reading than the callbacks. Outside a run each
    /// call reads the clock.
    ///
    /// Deadlines computed from it need no further reading of the clock; they count from the beginning of the turn.
    #[doc(alias = "event_base_gettimeofday_cached")]
    pub fn now(&mut self) -> Time {
        match self.turn_now {
            Some(now) => now,
            None => self.refresh_now(),
        }
    }

    /// Reads the clock, and makes that [`now`](Self::now).
    #[doc(alias = "event_base_update_cache_time")]
    pub fn refresh_now(&mut self) -> Time {
        let now = self.read_clock();
        self.turn_now = self.runs.then_some(now);
        now
    }

    /// The time of day at a time of the loop's clock: for showing deadlines to people.
    ///
    /// By how far the two clocks are apart at this moment; setting the time of day changes the answer.
    pub fn to_system_time(&self, time: Time) -> SystemTime {
        self.clock.to_system_time(time)
    }

    /// The time of the loop's clock at a time of day, for [`Timer::at`](crate::Timer::at). What lies before the clock's
    /// origin is its origin.
    ///
    /// By how far the two clocks are apart at this moment: a timer does not follow when the time of day is set later.
    pub fn at_system_time(&self, time: SystemTime) -> Time {
        self.clock.at_system_time(time)
    }

    /// The time by the loop's clock, read now; [`now`](Self::now) stays as it is.
    #[inline]
    #[doc(alias = "event_gettime_monotonic")]
    pub fn read_clock(&self) -> Time {
        self.clock.now()
    }

    /// Tells the engine the time; for turns that are limited in time.
    pub(crate) fn tick(&mut self) {
        let now = self.refresh_now();
        self.engine.tick(now);
    }

    #[inline]
    pub(crate) fn begin_turn(&mut self) -> Time {
        self.runs = true;
        self.turn_now = None;
        if self.engine.has_deadlines() {
            self.read_clock()
        } else {
            Time::ZERO
        }
    }

    /// Moves expired timers to the active events.
    #[inline]
    pub(crate) fn expire(&mut self) {
        if self.engine.has_deadlines() {
            let now = self.refresh_now();
            self.engine.expire(now);
        }
    }

    pub(crate) fn end_run(&mut self) {
        self.runs = false;
        self.turn_now = None;
    }

    /// Stops the loop after the callback that runs; what is active stays active for the next run. Outside a run, the
    /// next one returns at once.
    #[doc(alias = "event_base_loopbreak")]
    pub fn stop(&mut self) {
        self.engine.stop(Stop::Now);
    }

    /// Stops the loop at the end of this turn: everything active of the priority that is being processed is still called.
    /// Outside a run, the next one has one turn, which does not wait.
    #[doc(alias = "event_base_loopexit")]
    pub fn stop_after_turn(&mut self) {
        self.engine.stop(Stop::AfterTurn);
    }

    /// Whether the loop was asked to stop, and how soon it is going to. `None` again once the run has ended by it.
    #[doc(alias = "event_base_got_exit")]
    #[doc(alias = "event_base_got_break")]
    pub fn stopping(&self) -> Option<Stop> {
        self.engine.stopping()
    }

    /// Ends this turn after the callback that runs: the kernel is asked again before other active events are called.
    #[doc(alias = "event_base_loopcontinue")]
    pub fn restart_turn(&mut self) {
        self.engine.restart();
    }

    /// The name of the backend.
    #[doc(alias = "event_base_get_method")]
    pub fn backend_name(&self) -> &'static str {
        self.engine.backend_name()
    }

    /// What the backend can do.
    #[doc(alias = "event_base_get_features")]
    pub fn features(&self) -> Features {
        self.engine.features()
    }

    /// The number of priorities.
    #[doc(alias = "event_base_get_npriorities")]
    pub fn priorities(&self) -> u8 {
        self.engine.priorities()
    }

    /// Changes the number of priorities. Events keep theirs; the middle one is that of new events. In a callback, a turn
    /// whose own priority is gone by that ends.
    ///
    /// # Errors
    ///
    /// [`Error::Active`] while any event is active; [`Error::Priority`] if an event has a priority that would no longer
    /// exist. Nothing has changed then.
    #[doc(alias = "event_base_priority_init")]
    pub fn set_priorities(&mut self, priorities: NonZeroU8) -> Result<(), Error> {
        self.engine.set_priorities(priorities)
    }

    /// Keeps runs from ending for want of events for as long as the answer exists, in whatever thread.
    ///
    /// # Errors
    ///
    /// The first call opens a notifier, as [`remote`](Self::remote) does: the kernel's errors at that.
    #[cfg(feature = "threads")]
    #[doc(alias = "event_base_add_virtual_")]
    pub fn keep_alive(&mut self) -> Result<KeepAlive, Error> {
        self.remote()?;
        Ok(self.engine.keep_alive())
    }

    /// Keeps runs from ending for want of events for as long as the answer exists. Drop it in the loop's thread: a loop
    /// that sleeps is not woken without the feature `threads`.
    ///
    /// # Errors
    ///
    /// None without that feature.
    #[cfg(not(feature = "threads"))]
    #[doc(alias = "event_base_add_virtual_")]
    pub fn keep_alive(&mut self) -> Result<KeepAlive, Error> {
        Ok(self.engine.keep_alive())
    }
}

impl<S, B: Backend> fmt::Debug for Reactor<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// Makes one closure of the callback and the source it owns.
fn bind<S, B, D, C>(mut source: D::Source, mut callback: C) -> Callback<S, B>
where
    B: Backend,
    D: Describe,
    D::Source: 'static,
    C: FnMut(&mut Context<'_, S, B>, &mut D::Source, Fired) + 'static,
{
    match D::descriptor(&source) {
        None => Box::new(move |cx, fired| callback(cx, &mut source, fired)),
        Some(fd) => Box::new(move |cx, fired| {
            callback(cx, &mut source, fired);
            if D::descriptor(&source) != Some(fd) {
                // Stale if the callback has removed it.
                let _ = cx.remove(fired.key());
            }
        }),
    }
}
