//! One face for both loops, so that a scenario is written once.

use std::io;
use std::num::NonZeroU8;
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

use ev_core::backend::{AnyBackend, Backend};
use ev_core::{
    Causes, Counts, Describe, Error, EventInfo, EventKey, EventLoop, Features, Fired, HookKey, Interest, KeepAlive,
    LoopHandle, Outcome, Reactor, RunMode, SameDuration, SharedLoop, SignalMethod, Stop, Time, User,
};

/// A loop of either kind.
pub enum Loop<B: Backend = AnyBackend> {
    Local(EventLoop<(), B>),
    Shared(SharedLoop<B>),
}

impl<B: Backend + 'static> Loop<B> {
    /// What may be done with the loop's events.
    pub fn events(&mut self) -> Events<'_, B> {
        match self {
            Self::Local(lp) => Events::Local(lp),
            Self::Shared(lp) => Events::Shared(lp.handle()),
        }
    }

    pub fn run(&mut self) -> Outcome {
        self.run_with(RunMode::UNTIL_EMPTY)
    }

    pub fn run_with(&mut self, mode: RunMode) -> Outcome {
        self.try_run_with(mode).expect("the backend works")
    }

    pub fn try_run_with(&mut self, mode: RunMode) -> io::Result<Outcome> {
        match self {
            Self::Local(lp) => lp.run_with(mode, &mut ()),
            Self::Shared(lp) => lp.run_with(mode),
        }
    }

    /// One pass without waiting.
    pub fn pass(&mut self) -> Outcome {
        self.run_with(RunMode::ONCE | RunMode::NON_BLOCKING)
    }

    pub fn reinit(&mut self) -> Result<(), Error> {
        match self {
            Self::Local(lp) => lp.reinit(),
            Self::Shared(lp) => lp.reinit(),
        }
    }

    /// Something other threads can stop the loop with and post to.
    pub fn remote(&mut self) -> Remote<B> {
        match self {
            Self::Local(lp) => Remote::Local(lp.remote().expect("a notifier opens")),
            Self::Shared(lp) => Remote::Shared(lp.handle()),
        }
    }
}

/// A loop as other threads reach it.
pub enum Remote<B: Backend = AnyBackend> {
    Local(ev_core::Remote<(), B>),
    Shared(LoopHandle<B>),
}

impl<B: Backend> Clone for Remote<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Local(remote) => Self::Local(remote.clone()),
            Self::Shared(handle) => Self::Shared(handle.clone()),
        }
    }
}

impl<B: Backend + 'static> Remote<B> {
    pub fn post(&self, closure: impl FnOnce(&mut Events<'_, B>) + Send + 'static) -> Result<(), Error> {
        match self {
            Self::Local(remote) => Ok(remote.post(move |cx| closure(&mut Events::Local(cx.reactor)))?),
            Self::Shared(handle) => Ok(handle.post(move |cx| closure(&mut Events::Shared(cx.handle().clone())))?),
        }
    }

    pub fn stop(&self) -> Result<(), Error> {
        match self {
            Self::Local(remote) => remote.stop(),
            Self::Shared(handle) => handle.stop(),
        }
    }

    pub fn stop_after_turn(&self) -> Result<(), Error> {
        match self {
            Self::Local(remote) => remote.stop_after_turn(),
            Self::Shared(handle) => handle.stop_after_turn(),
        }
    }
}

impl Remote {
    /// Activates an event by an activator of its own.
    pub fn activator(&self, key: EventKey) -> Box<dyn Fn() + Send> {
        match self {
            Self::Local(remote) => {
                let activator = remote.activator(key);
                Box::new(move || activator.activate().expect("the loop exists"))
            }
            Self::Shared(handle) => {
                let activator = handle.activator(key);
                Box::new(move || activator.activate().expect("the loop exists"))
            }
        }
    }
}

/// A loop's events, inside or outside a callback.
pub enum Events<'a, B: Backend = AnyBackend> {
    Local(&'a mut Reactor<(), B>),
    Shared(LoopHandle<B>),
}

/// Calls the method of the same name on either loop; the second form makes a result of what cannot fail locally.
macro_rules! either {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Events::Local(reactor) => reactor.$method($($argument),*),
            Events::Shared(handle) => handle.$method($($argument),*),
        }
    };
    (infallible $self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Events::Local(reactor) => reactor.$method($($argument),*),
            Events::Shared(handle) => handle.$method($($argument),*).expect("the loop exists"),
        }
    };
}

impl<B: Backend + 'static> Events<'_, B> {
    pub fn try_insert<D, C>(&mut self, event: D, mut callback: C) -> Result<EventKey, Error>
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnMut(&mut Events<'_, B>, &mut D::Source, Fired) + Send + 'static,
    {
        match self {
            Events::Local(reactor) => reactor
                .insert(event, move |cx, source, fired| {
                    callback(&mut Events::Local(cx.reactor), source, fired);
                })
                .map_err(Error::from),
            Events::Shared(handle) => handle
                .insert(event, move |cx, source, fired| {
                    callback(&mut Events::Shared(cx.handle().clone()), source, fired);
                })
                .map_err(Error::from),
        }
    }

    pub fn insert<D, C>(&mut self, event: D, callback: C) -> EventKey
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnMut(&mut Events<'_, B>, &mut D::Source, Fired) + Send + 'static,
    {
        self.try_insert(event, callback).expect("the event is accepted")
    }

    pub fn try_once<D, C>(&mut self, event: D, callback: C) -> Result<EventKey, Error>
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnOnce(&mut Events<'_, B>, D::Source, Fired) + Send + 'static,
    {
        match self {
            Events::Local(reactor) => reactor
                .once(event, move |cx, source, fired| {
                    callback(&mut Events::Local(cx.reactor), source, fired);
                })
                .map_err(Error::from),
            Events::Shared(handle) => handle
                .once(event, move |cx, source, fired| {
                    callback(&mut Events::Shared(cx.handle().clone()), source, fired);
                })
                .map_err(Error::from),
        }
    }

    pub fn once<D, C>(&mut self, event: D, callback: C) -> EventKey
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnOnce(&mut Events<'_, B>, D::Source, Fired) + Send + 'static,
    {
        self.try_once(event, callback).expect("the event is accepted")
    }

    pub fn defer(&mut self, closure: impl FnOnce(&mut Events<'_, B>) + Send + 'static) -> EventKey {
        match self {
            Events::Local(reactor) => reactor.defer(move |cx| closure(&mut Events::Local(cx.reactor))).ok(),
            Events::Shared(handle) => handle
                .defer(move |cx| closure(&mut Events::Shared(cx.handle().clone())))
                .ok(),
        }
        .expect("there is room")
    }

    pub fn defer_as(
        &mut self,
        event: User,
        closure: impl FnOnce(&mut Events<'_, B>) + Send + 'static,
    ) -> Result<EventKey, Error> {
        match self {
            Events::Local(reactor) => reactor
                .defer_as(event, move |cx| closure(&mut Events::Local(cx.reactor)))
                .map_err(Error::from),
            Events::Shared(handle) => handle
                .defer_as(event, move |cx| closure(&mut Events::Shared(cx.handle().clone())))
                .map_err(Error::from),
        }
    }

    pub fn finalize(
        &mut self,
        key: EventKey,
        finalizer: impl FnOnce(&mut Events<'_, B>) + Send + 'static,
    ) -> Result<(), Error> {
        match self {
            Events::Local(reactor) => reactor
                .finalize(key, move |cx| finalizer(&mut Events::Local(cx.reactor)))
                .map_err(Error::from),
            Events::Shared(handle) => handle
                .finalize(key, move |cx| finalizer(&mut Events::Shared(cx.handle().clone())))
                .map_err(Error::from),
        }
    }

    pub fn on_prepare(
        &mut self,
        mut hook: impl FnMut(&mut Events<'_, B>, Option<Duration>) + Send + 'static,
    ) -> HookKey {
        match self {
            Events::Local(reactor) => {
                reactor.on_prepare(move |cx, timeout| hook(&mut Events::Local(cx.reactor), timeout))
            }
            Events::Shared(handle) => handle
                .on_prepare(move |cx, timeout| hook(&mut Events::Shared(cx.handle().clone()), timeout))
                .expect("the loop exists"),
        }
    }

    pub fn on_check(&mut self, mut hook: impl FnMut(&mut Events<'_, B>) + Send + 'static) -> HookKey {
        match self {
            Events::Local(reactor) => reactor.on_check(move |cx| hook(&mut Events::Local(cx.reactor))),
            Events::Shared(handle) => handle
                .on_check(move |cx| hook(&mut Events::Shared(cx.handle().clone())))
                .expect("the loop exists"),
        }
    }

    pub fn remove_hook(&mut self, key: HookKey) -> Result<(), Error> {
        either!(self, remove_hook(key))
    }

    pub fn keep_alive(&mut self) -> KeepAlive {
        either!(self, keep_alive()).expect("a notifier opens")
    }

    pub fn counts(&mut self) -> Counts {
        either!(infallible self, counts())
    }

    pub fn maxima(&mut self) -> Counts {
        either!(infallible self, maxima())
    }

    pub fn reset_maxima(&mut self) {
        either!(infallible self, reset_maxima());
    }

    pub fn set_name(&mut self, key: EventKey, name: &'static str) -> Result<(), Error> {
        either!(self, set_name(key, name))
    }

    pub fn describe(&mut self, key: EventKey) -> Result<EventInfo, Error> {
        either!(self, describe(key))
    }

    /// All events.
    pub fn all(&mut self) -> Vec<EventInfo> {
        match self {
            Events::Local(reactor) => reactor.events().collect(),
            Events::Shared(handle) => handle.events().expect("the loop exists"),
        }
    }

    pub fn running(&mut self) -> Option<EventKey> {
        either!(infallible self, running())
    }

    pub fn dump(&mut self) -> String {
        match self {
            Events::Local(reactor) => reactor.dump().to_string(),
            Events::Shared(handle) => handle.dump().expect("the loop exists"),
        }
    }

    pub fn activate_descriptor(&mut self, fd: RawFd, causes: Causes) -> usize {
        either!(infallible self, activate_descriptor(fd, causes))
    }

    pub fn signal_method(&mut self) -> SignalMethod {
        either!(infallible self, signal_method())
    }

    pub fn activate_signal(&mut self, signal: i32) -> usize {
        either!(infallible self, activate_signal(signal))
    }

    pub fn set_priorities(&mut self, priorities: u8) -> Result<(), Error> {
        let priorities = NonZeroU8::new(priorities).expect("at least one priority");
        either!(self, set_priorities(priorities))
    }

    pub fn to_system_time(&self, time: Time) -> SystemTime {
        either!(self, to_system_time(time))
    }

    pub fn at_system_time(&mut self, time: SystemTime) -> Time {
        either!(self, at_system_time(time))
    }

    pub fn add(&mut self, key: EventKey) -> Result<(), Error> {
        either!(self, add(key))
    }

    pub fn add_after(&mut self, key: EventKey, timeout: Duration) -> Result<(), Error> {
        either!(self, add_after(key, timeout))
    }

    pub fn add_from(&mut self, key: EventKey, from: Time, timeout: Duration) -> Result<(), Error> {
        either!(self, add_from(key, from, timeout))
    }

    pub fn add_at(&mut self, key: EventKey, deadline: Time) -> Result<(), Error> {
        either!(self, add_at(key, deadline))
    }

    pub fn add_in(&mut self, key: EventKey, queue: SameDuration) -> Result<(), Error> {
        either!(self, add_in(key, queue))
    }

    pub fn same_duration(&mut self, timeout: Duration) -> Result<SameDuration, Error> {
        either!(self, same_duration(timeout))
    }

    pub fn delete(&mut self, key: EventKey) -> Result<(), Error> {
        either!(self, delete(key))
    }

    pub fn remove(&mut self, key: EventKey) -> Result<(), Error> {
        either!(self, remove(key))
    }

    pub fn activate(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        either!(self, activate(key, causes))
    }

    pub fn activate_later(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        either!(self, activate_later(key, causes))
    }

    pub fn set_interest(&mut self, key: EventKey, interest: Interest) -> Result<(), Error> {
        either!(self, set_interest(key, interest))
    }

    pub fn set_priority(&mut self, key: EventKey, priority: u8) -> Result<(), Error> {
        either!(self, set_priority(key, priority))
    }

    pub fn set_timeout(&mut self, key: EventKey, timeout: Option<Duration>) -> Result<(), Error> {
        either!(self, set_timeout(key, timeout))
    }

    pub fn clear_timeout(&mut self, key: EventKey) -> Result<(), Error> {
        either!(self, clear_timeout(key))
    }

    pub fn is_pending(&mut self, key: EventKey) -> Result<bool, Error> {
        either!(self, is_pending(key))
    }

    pub fn is_active(&mut self, key: EventKey) -> Result<bool, Error> {
        either!(self, is_active(key))
    }

    pub fn deadline(&mut self, key: EventKey) -> Result<Option<Time>, Error> {
        either!(self, deadline(key))
    }

    /// A fresh reading of the loop's clock.
    pub fn read_clock(&mut self) -> Time {
        match self {
            Events::Local(reactor) => reactor.refresh_now(),
            Events::Shared(handle) => handle.now(),
        }
    }

    pub fn contains(&mut self, key: EventKey) -> bool {
        either!(infallible self, contains(key))
    }

    pub fn len(&mut self) -> usize {
        either!(infallible self, len())
    }

    pub fn is_empty(&mut self) -> bool {
        either!(infallible self, is_empty())
    }

    pub fn features(&mut self) -> Features {
        either!(infallible self, features())
    }

    pub fn backend_name(&mut self) -> &'static str {
        either!(infallible self, backend_name())
    }

    pub fn priorities(&mut self) -> u8 {
        either!(infallible self, priorities())
    }

    pub fn stop(&mut self) {
        either!(infallible self, stop());
    }

    pub fn stopping(&mut self) -> Option<Stop> {
        either!(infallible self, stopping())
    }

    pub fn stop_after_turn(&mut self) {
        either!(infallible self, stop_after_turn());
    }

    pub fn restart_turn(&mut self) {
        either!(infallible self, restart_turn());
    }
}
