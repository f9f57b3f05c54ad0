//! What any thread may do with a shared loop.

use std::fmt;
use std::num::NonZeroU8;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ev_backend::{AnyBackend, Backend, Features, Interest};
use ev_timer::{SameDuration, Time};

use super::{Shared, SharedCallback, State, waits};
use crate::activator::{Post, Ring};
use crate::engine::{Deadline, Engine, KeepAlive, Removed, Stop};
use crate::event::{Describe, Described};
use crate::remote::Message;
use crate::{Activator, Causes, Error, EventKey, Fired, Rejected};

/// A closure posted to a [`SharedLoop`](crate::SharedLoop).
pub type SharedPosted<B = AnyBackend> = Box<dyn FnOnce(&mut SharedContext<'_, B>) + Send>;

/// The events of a [`SharedLoop`](crate::SharedLoop), for any thread, and for the loop's own callbacks.
///
/// Each operation locks the loop's events for its own duration, takes effect at once, and wakes the loop if it sleeps and
/// the change concerns it. All of them answer [`Error::Gone`] once the loop has been dropped.
///
/// # Three ways to delete
///
/// | | the callback, if it runs in another thread | the closure and its source |
/// |---|---|---|
/// | [`delete`](Self::delete) | has returned when this returns | stay with the event, which may be added again |
/// | [`delete_nowait`](Self::delete_nowait) | may still run | stay with the event |
/// | [`remove`](Self::remove) | may still run | are dropped by the loop's thread; a descriptor is open until then |
pub struct LoopHandle<B: Backend = AnyBackend> {
    pub(super) shared: Arc<Shared<B>>,
}

impl<B: Backend> LoopHandle<B> {
    pub(super) fn new(shared: Arc<Shared<B>>) -> Self {
        Self { shared }
    }

    /// Does something with the engine, and wakes the loop if that concerns it.
    pub(super) fn with<R>(
        &self,
        operation: impl FnOnce(&mut Engine<B, SharedCallback<B>>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut state = self.shared.monitor.lock();
        let answer = operation(state.engine()?);
        self.wake_for(&state);
        answer
    }

    /// Asks the engine something.
    pub(super) fn read<R>(
        &self,
        question: impl FnOnce(&Engine<B, SharedCallback<B>>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        question(self.shared.monitor.lock().engine()?)
    }

    /// Wakes the loop if it sleeps although there is something to be done, or will sleep past a deadline.
    fn wake_for(&self, state: &State<B>) {
        let Some(engine) = state.engine.as_ref().filter(|_| state.asleep) else {
            return;
        };
        if engine.wants_turn() {
            self.shared.inbox.wake();
        } else if let Some(deadline) = engine.next_wake() {
            self.shared.inbox.wake_before(deadline);
        }
    }

    /// Inserts an event and, unless its description says otherwise, adds it; see
    /// [`Reactor::insert`](crate::Reactor::insert).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`]. The source and the callback come back in the [`Rejected`].
    #[doc(alias = "event_new")]
    pub fn insert<D, C>(&self, event: D, callback: C) -> Result<EventKey, Rejected<(D::Source, C)>>
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnMut(&mut SharedContext<'_, B>, &mut D::Source, Fired) + Send + 'static,
    {
        let Described { source, spec, arming } = event.describe();
        let fd = D::descriptor(&source);
        self.insert_payload(&spec, arming, (source, callback), |(source, callback)| {
            bind::<B, D, C>(source, fd, callback)
        })
    }

    /// Adds an event as it was described; see [`Reactor::add`](crate::Reactor::add).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    #[doc(alias = "event_add")]
    pub fn add(&self, key: EventKey) -> Result<(), Error> {
        self.with(|engine| engine.add_again(key, || self.shared.read_clock()))
    }

    /// Adds an event with a timeout; see [`Reactor::add_after`](crate::Reactor::add_after).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    pub fn add_after(&self, key: EventKey, timeout: Duration) -> Result<(), Error> {
        let now = self.shared.read_clock();
        self.with(|engine| engine.add(key, Some(Deadline::After { now, timeout })))
    }

    /// Adds an event with a timeout that counts from `from`; see [`Reactor::add_from`](crate::Reactor::add_from).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    pub fn add_from(&self, key: EventKey, from: Time, timeout: Duration) -> Result<(), Error> {
        self.with(|engine| engine.add(key, Some(Deadline::After { now: from, timeout })))
    }

    /// Adds an event with a deadline; see [`Reactor::add_at`](crate::Reactor::add_at).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    pub fn add_at(&self, key: EventKey, deadline: Time) -> Result<(), Error> {
        self.with(|engine| engine.add(key, Some(Deadline::At(deadline))))
    }

    /// Adds an event with a timeout that was announced by [`same_duration`](Self::same_duration).
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn add_in(&self, key: EventKey, queue: SameDuration) -> Result<(), Error> {
        let now = self.shared.read_clock();
        self.with(|engine| engine.add(key, Some(Deadline::In { now, queue })))
    }

    /// Deletes an event and waits for its callback: when this returns, the callback is not running, and will not be
    /// called unless the event is added or activated again: activations from before are taken back, also those by an
    /// [`Activator`] that the loop has not come to. In the loop's own thread there is nothing to wait for.
    ///
    /// An event that was removed while its callback runs is waited for as well, and then the answer is [`Error::Stale`]:
    /// one that has removed itself, and one of [`once`](Self::once), which is removed before it is called.
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`] if the callback runs and its thread waits, by such a deletion of its own, for this thread:
    /// nothing has changed then. Further those of [`Reactor::delete`](crate::Reactor::delete), and [`Error::Gone`].
    ///
    /// # Deadlocks
    ///
    /// If the callback waits for this thread by other means: a lock that this thread holds, or a join.
    #[doc(alias = "event_del_block")]
    pub fn delete(&self, key: EventKey) -> Result<(), Error> {
        let mut state = self.shared.monitor.lock();
        let running = state.engine()?.running() == Some(key);
        let runner = state.owner.filter(|&owner| running && owner != waits::this_thread());
        let waiting = runner
            .map(|runner| waits::enter(runner, self.shared.id()))
            .transpose()?;
        let deleted = state.delete(key);
        self.wake_for(&state);
        if let Some(waiting) = waiting {
            state.wait_turn();
            drop(waiting);
        }
        deleted
    }

    /// As [`delete`](Self::delete), but does not wait: the callback may still be running in the loop's thread when this
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of [`Reactor::delete`](crate::Reactor::delete), and [`Error::Gone`].
    #[doc(alias = "event_del_noblock")]
    pub fn delete_nowait(&self, key: EventKey) -> Result<(), Error> {
        let mut state = self.shared.monitor.lock();
        let deleted = state.delete(key);
        self.wake_for(&state);
        deleted
    }

    /// Removes an event. Its closure and source are dropped in the loop's thread: at its next turn, or that of its next
    /// run, if the loop runs in another thread; else here. Until then its descriptor is open, and there is no bound on how
    /// many such events wait for a loop that is busy.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_free")]
    pub fn remove(&self, key: EventKey) -> Result<(), Error> {
        let mut state = self.shared.monitor.lock();
        let removed = state.engine()?.remove(key)?;
        let elsewhere = state.owner.is_some_and(|owner| owner != waits::this_thread());
        let callback = match removed {
            // Sent under the lock: a run that this leaves without events still comes to it. It also wakes the loop.
            Removed::Payload(callback) if elsewhere => {
                let sent = self.shared.inbox.send(Message::Drop(callback));
                debug_assert!(sent.is_ok(), "a loop with an owner exists");
                None
            }
            Removed::Payload(callback) => Some(callback),
            Removed::Running => None,
        };
        drop(state);
        drop(callback);
        Ok(())
    }

    /// Makes an event active by hand; see [`Reactor::activate`](crate::Reactor::activate).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_active")]
    pub fn activate(&self, key: EventKey, causes: Causes) -> Result<(), Error> {
        self.with(|engine| engine.activate(key, causes))
    }

    /// Makes an event active in the next turn; only adds to the causes if it is active already.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    pub fn activate_later(&self, key: EventKey, causes: Causes) -> Result<(), Error> {
        self.with(|engine| engine.activate_later(key, causes))
    }

    /// Changes the conditions that an I/O event waits for; see [`Reactor::set_interest`](crate::Reactor::set_interest).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    pub fn set_interest(&self, key: EventKey, interest: Interest) -> Result<(), Error> {
        self.with(|engine| engine.set_interest(key, interest))
    }

    /// Changes the priority of an event that is not active; see [`Reactor::set_priority`](crate::Reactor::set_priority).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    #[doc(alias = "event_priority_set")]
    pub fn set_priority(&self, key: EventKey, priority: u8) -> Result<(), Error> {
        self.with(|engine| engine.set_priority(key, priority))
    }

    /// Changes the timeout that [`add`](Self::add) uses; see [`Reactor::set_timeout`](crate::Reactor::set_timeout).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    pub fn set_timeout(&self, key: EventKey, timeout: Option<Duration>) -> Result<(), Error> {
        self.with(|engine| engine.set_timeout(key, timeout))
    }

    /// Ends a running timeout and forgets it; the rest of the event stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_remove_timer")]
    pub fn clear_timeout(&self, key: EventKey) -> Result<(), Error> {
        self.with(|engine| engine.clear_timeout(key))
    }

    /// Announces a duration that many events will have as their timeout; see
    /// [`Reactor::same_duration`](crate::Reactor::same_duration).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] after 256 different durations; [`Error::Gone`].
    #[doc(alias = "event_base_init_common_timeout")]
    pub fn same_duration(&self, timeout: Duration) -> Result<SameDuration, Error> {
        self.with(|engine| engine.same_duration(timeout))
    }

    /// Whether the event waits for its descriptor, signal or deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_pending")]
    pub fn is_pending(&self, key: EventKey) -> Result<bool, Error> {
        self.read(|engine| engine.is_pending(key))
    }

    /// Whether the event is active: its callback is going to be called without anything more happening.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_pending")]
    pub fn is_active(&self, key: EventKey) -> Result<bool, Error> {
        self.read(|engine| Ok(engine.causes(key)?.is_some()))
    }

    /// When the event times out, `None` if it does not.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    pub fn deadline(&self, key: EventKey) -> Result<Option<Time>, Error> {
        self.read(|engine| engine.deadline(key))
    }

    /// Whether the event exists.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn contains(&self, key: EventKey) -> Result<bool, Error> {
        self.read(|engine| Ok(engine.contains(key)))
    }

    /// The number of events, added or not.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn len(&self) -> Result<usize, Error> {
        self.read(|engine| Ok(engine.len()))
    }

    /// Whether there are no events.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.read(|engine| Ok(engine.is_empty()))
    }

    /// The time by the loop's clock, read now.
    pub fn now(&self) -> Time {
        self.shared.read_clock()
    }

    /// The time of day at a time of the loop's clock; see [`Reactor::to_system_time`](crate::Reactor::to_system_time).
    pub fn to_system_time(&self, time: Time) -> SystemTime {
        self.shared.clock.to_system_time(time)
    }

    /// The time of the loop's clock at a time of day; see
    /// [`Reactor::at_system_time`](crate::Reactor::at_system_time).
    pub fn at_system_time(&self, time: SystemTime) -> Time {
        self.shared.clock.at_system_time(time)
    }

    /// Has `closure` called in the loop's thread, in the order of posting, before the events that are active then.
    ///
    /// A panic in it reaches the caller of `run`; what was posted after it is called in the next run.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]; the closure comes back. A loop that is dropped before it comes to the closure drops it.
    pub fn post<C>(&self, closure: C) -> Result<(), Rejected<SharedPosted<B>>>
    where
        C: FnOnce(&mut SharedContext<'_, B>) + Send + 'static,
    {
        self.shared.inbox.post(Box::new(closure))
    }

    /// A handle that makes one event active, at little cost when that is done often: it does not take the lock of the loop's
    /// events, which the handle's own [`activate`](Self::activate) takes each time.
    #[must_use]
    pub fn activator(&self, key: EventKey) -> Activator<Self> {
        Activator::new(self.clone(), key)
    }

    /// Stops the loop after the callback that runs; what is active stays active for the next run. If the loop does not
    /// run, its next run returns at once.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_loopbreak")]
    pub fn stop(&self) -> Result<(), Error> {
        self.stop_with(Stop::Now)
    }

    /// Stops the loop at the end of this turn: everything active of the priority that is being processed is still called.
    /// If the loop does not run, its next run has one turn, which does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_loopexit")]
    pub fn stop_after_turn(&self) -> Result<(), Error> {
        self.stop_with(Stop::AfterTurn)
    }

    /// Whether the loop was asked to stop, and how soon it is going to. `None` again once the run has ended by it.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_got_exit")]
    #[doc(alias = "event_base_got_break")]
    pub fn stopping(&self) -> Result<Option<Stop>, Error> {
        self.read(|engine| Ok(engine.stopping()))
    }

    fn stop_with(&self, stop: Stop) -> Result<(), Error> {
        self.with(|engine| {
            engine.stop(stop);
            Ok(())
        })
    }

    /// Ends this turn after the callback that runs: the kernel is asked again before other active events are called.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_loopcontinue")]
    pub fn restart_turn(&self) -> Result<(), Error> {
        self.with(|engine| {
            engine.restart();
            Ok(())
        })
    }

    /// The name of the backend.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_method")]
    pub fn backend_name(&self) -> Result<&'static str, Error> {
        self.read(|engine| Ok(engine.backend_name()))
    }

    /// What the backend can do.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_features")]
    pub fn features(&self) -> Result<Features, Error> {
        self.read(|engine| Ok(engine.features()))
    }

    /// The number of priorities.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_npriorities")]
    pub fn priorities(&self) -> Result<u8, Error> {
        self.read(|engine| Ok(engine.priorities()))
    }

    /// Changes the number of priorities; see [`Reactor::set_priorities`](crate::Reactor::set_priorities).
    ///
    /// # Errors
    ///
    /// Those listed there, and [`Error::Gone`].
    #[doc(alias = "event_base_priority_init")]
    pub fn set_priorities(&self, priorities: NonZeroU8) -> Result<(), Error> {
        self.with(|engine| engine.set_priorities(priorities))
    }

    /// Keeps runs from ending for want of events for as long as the answer exists, in whatever thread.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_add_virtual_")]
    pub fn keep_alive(&self) -> Result<KeepAlive, Error> {
        self.read(|engine| Ok(engine.keep_alive()))
    }
}

impl<B: Backend> Post for LoopHandle<B> {
    fn post_activation(&self, ring: Ring) -> Result<(), Error> {
        self.shared.inbox.ring(ring)
    }
}

impl<B: Backend> Clone for LoopHandle<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B: Backend> fmt::Debug for LoopHandle<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle").finish_non_exhaustive()
    }
}

/// What a callback of a [`SharedLoop`](crate::SharedLoop) gets: its loop's [`LoopHandle`], to which it dereferences.
#[derive(Debug)]
pub struct SharedContext<'a, B: Backend = AnyBackend> {
    handle: &'a LoopHandle<B>,
}

impl<'a, B: Backend> SharedContext<'a, B> {
    pub(super) fn new(handle: &'a LoopHandle<B>) -> Self {
        Self { handle }
    }

    /// The handle, to clone and keep.
    #[must_use]
    pub fn handle(&self) -> &'a LoopHandle<B> {
        self.handle
    }
}

impl<B: Backend> Deref for SharedContext<'_, B> {
    type Target = LoopHandle<B>;

    fn deref(&self) -> &Self::Target {
        self.handle
    }
}

/// Makes one closure of the callback and the source it owns.
fn bind<B, D, C>(mut source: D::Source, fd: Option<RawFd>, mut callback: C) -> SharedCallback<B>
where
    B: Backend,
    D: Describe,
    D::Source: Send + 'static,
    C: FnMut(&mut SharedContext<'_, B>, &mut D::Source, Fired) + Send + 'static,
{
    Box::new(move |cx, fired| {
        callback(cx, &mut source, fired);
        if D::descriptor(&source) != fd {
            // Stale if the callback has removed it.
            let _ = cx.remove(fired.key());
        }
    })
}
