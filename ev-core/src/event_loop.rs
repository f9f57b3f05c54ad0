//! The loop for one thread.

use std::fmt;
use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ev_backend::{AnyBackend, Backend, Waiter};

use crate::diagnostics::error;
use crate::engine::{Held, Outcome, RunMode, Step, Taken};
use crate::hooks::Phase;
use crate::reactor::{Callback, Reactor};
use crate::{Config, Error, EventKey, Fired};

/// An event loop that belongs to one thread and lends its state `S` to every callback.
///
/// Callbacks need not be `Send`, there is no lock, and the state needs no `Rc<RefCell<…>>`: [`run`](Self::run) borrows it,
/// and each callback gets it as `cx.state`. Other threads reach the loop through a [`Remote`](crate::Remote). Where other
/// threads are to add and delete events directly, take [`SharedLoop`](crate::SharedLoop).
///
/// What may be done with events, outside a run and in callbacks, is documented at [`Reactor`], to which the loop
/// dereferences.
///
/// A loop is not `Send`, as its callbacks need not be: make it in the thread that runs it, and send a `Remote` out of there.
///
/// ```
/// use std::time::Duration;
/// use ev_core::{EventLoop, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = EventLoop::<Vec<&str>>::new()?;
/// lp.insert(Timer::after(Duration::from_millis(2)), |cx, (), _| cx.state.push("second"))?;
/// lp.insert(Timer::after(Duration::from_millis(1)), |cx, (), _| cx.state.push("first"))?;
///
/// let mut log = vec![];
/// lp.run(&mut log)?;
/// assert_eq!(log, ["first", "second"]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics in callbacks
///
/// A panic goes on to the caller of `run`. The event whose callback panicked is removed; the others are as they were, and
/// the loop can be run again.
#[doc(alias = "event_base")]
pub struct EventLoop<S, B: Backend = AnyBackend> {
    // Dropped first: with both halves of the backend gone the kernel has forgotten all sources before they are closed.
    waiter: B::Waiter,
    reactor: Reactor<S, B>,
}

impl<S> EventLoop<S> {
    /// A loop with the default settings; see [`Config`].
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when no backend can be opened, for want of descriptors in the first place. Nothing lesser is taken
    /// then; see [`backend::Config::make_do`](crate::backend::Config::make_do).
    #[doc(alias = "event_base_new")]
    pub fn new() -> Result<Self, Error> {
        Self::with_config(&Config::new())
    }

    /// A loop with settings of your own.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when none of the allowed backends has what is required, or the best of them cannot be opened for want
    /// of descriptors or memory. It names the candidates and why each was passed over.
    #[doc(alias = "event_base_new_with_config")]
    pub fn with_config(config: &Config) -> Result<Self, Error> {
        let (backend, waiter) = config.backend.open()?;
        Ok(Self::with_backend(backend, waiter, config))
    }
}

impl<S, B: Backend> EventLoop<S, B> {
    /// A loop on a backend of your own. The settings' choice of backends is not used.
    pub fn with_backend(backend: B, waiter: B::Waiter, config: &Config) -> Self {
        Self {
            reactor: Reactor::new(config.engine(backend), config.clock.clone()),
            waiter,
        }
    }

    /// Runs until no event is added or active, or until stopped.
    ///
    /// A listener and a [`Signal`](crate::Signal) count like any other event: a program that has one never ends by itself.
    ///
    /// # Errors
    ///
    /// The backend's; the loop can be run again.
    #[doc(alias = "event_base_dispatch")]
    pub fn run(&mut self, state: &mut S) -> io::Result<Outcome> {
        self.run_with(RunMode::UNTIL_EMPTY, state)
    }

    /// Runs for as long as the mode says.
    ///
    /// # Errors
    ///
    /// The backend's; the loop can be run again.
    #[doc(alias = "event_base_loop")]
    pub fn run_with(&mut self, mode: RunMode, state: &mut S) -> io::Result<Outcome> {
        self.reactor.engine.begin_run(mode);
        Running(self).0.turns(state)
    }

    fn turns(&mut self, state: &mut S) -> io::Result<Outcome> {
        loop {
            let now = self.reactor.begin_turn();
            let held = self.reactor.held();
            match self.reactor.engine.begin_turn(now, held, &mut self.waiter)? {
                // What was posted before the last hold went came after `held` had looked, if it went just now.
                Step::Leave(Outcome::Empty) if self.reactor.held() == Held::Work => continue,
                Step::Leave(outcome) => return Ok(outcome),
                Step::Wait(timeout) => {
                    let timeout = self.prepare(timeout, state)?;
                    self.wait(timeout)?;
                }
            }
            self.reactor.engine.harvest(&mut self.waiter)?;
            if !self.reactor.hooks.is_empty() {
                self.reactor.run_hooks(Phase::Check, None, state);
            }
            self.reactor.expire();
            #[cfg(feature = "threads")]
            self.reactor.run_messages(state);
            self.reactor.dispatch(state);
            if let Some(outcome) = self.reactor.engine.end_turn() {
                return Ok(outcome);
            }
        }
    }

    /// Calls the hooks that come before the wait, and answers how long to wait after what they have done.
    #[inline]
    fn prepare(&mut self, timeout: Option<Duration>, state: &mut S) -> io::Result<Option<Duration>> {
        if self.reactor.hooks.is_empty() {
            return Ok(timeout);
        }
        self.reactor.run_hooks(Phase::Prepare, timeout, state);
        let now = self.reactor.begin_turn();
        let held = self.reactor.held();
        self.reactor.engine.plan_wait(now, held, &mut self.waiter)
    }

    #[cfg(not(feature = "threads"))]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.waiter.wait(timeout)
    }

    #[cfg(feature = "threads")]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        match &mut self.reactor.reached {
            Some(reached) => reached.sleeper.wait(&mut self.waiter, || None, timeout),
            None => self.waiter.wait(timeout),
        }
    }

    /// Makes the loop usable in a child process after `fork`: it gets a kernel object, a signal pipe and a notifier of
    /// its own, and the parent's are not touched. Events, deadlines and activations are as they were; edge-triggered
    /// readiness is reported anew. Dropping the loop in the child instead is safe as well.
    ///
    /// # Errors
    ///
    /// The kernel's. Try again when there are descriptors, or drop the loop.
    #[doc(alias = "event_reinit")]
    pub fn reinit(&mut self) -> Result<(), Error> {
        self.reactor.engine.reinit()
    }
}

impl<S, B: Backend> Deref for EventLoop<S, B> {
    type Target = Reactor<S, B>;

    fn deref(&self) -> &Self::Target {
        &self.reactor
    }
}

impl<S, B: Backend> DerefMut for EventLoop<S, B> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reactor
    }
}

impl<S, B: Backend> fmt::Debug for EventLoop<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("reactor", &self.reactor)
            .finish_non_exhaustive()
    }
}

/// A run under way; also a panic ends it.
struct Running<'a, S, B: Backend>(&'a mut EventLoop<S, B>);

impl<S, B: Backend> Drop for Running<'_, S, B> {
    fn drop(&mut self) {
        self.0.reactor.end_run();
    }
}

/// What a callback of an [`EventLoop`] gets: the program's state, and the loop's events.
///
/// Dereferences to [`Reactor`], where everything that may be done with events is documented.
///
/// Do not swap `*reactor` with that of another loop (`mem::swap`, `mem::replace`). It compiles, and is memory-safe, but each
/// loop then waits in its own kernel object for the events of the other.
pub struct Context<'a, S, B: Backend = AnyBackend> {
    /// The state that was given to [`EventLoop::run`].
    pub state: &'a mut S,
    /// The events, for when `state` is borrowed as well.
    pub reactor: &'a mut Reactor<S, B>,
}

impl<S, B: Backend> Deref for Context<'_, S, B> {
    type Target = Reactor<S, B>;

    fn deref(&self) -> &Self::Target {
        self.reactor
    }
}

impl<S, B: Backend> DerefMut for Context<'_, S, B> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.reactor
    }
}

impl<S, B: Backend> fmt::Debug for Context<'_, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("reactor", &self.reactor)
            .finish_non_exhaustive()
    }
}

impl<S, B: Backend> Reactor<S, B> {
    /// Calls what is active.
    fn dispatch(&mut self, state: &mut S) {
        // Limits that are set meanwhile are the next turn's.
        let is_timed = self.engine.is_timed();
        if is_timed {
            self.tick();
        }
        while let Some(Taken { fired, payload }) = self.engine.next_active() {
            Call {
                reactor: self,
                key: fired.key(),
                callback: Some(payload),
            }
            .call(state, fired);
            if is_timed {
                self.tick();
            }
        }
    }

    /// Ends a call whose callback has panicked.
    #[cold]
    fn end_panicked(&mut self, key: EventKey, callback: Callback<S, B>) {
        error!("the callback of {key:?} panicked; the event is removed");
        self.engine.abandon(key);
        drop(callback);
    }

    #[cfg(feature = "threads")]
    fn held(&self) -> Held {
        match &self.reached {
            Some(reached) if !reached.messages.is_empty() => Held::Work,
            _ => Held::Nothing,
        }
    }

    #[cfg(not(feature = "threads"))]
    #[expect(clippy::unused_self, reason = "there are no messages then")]
    fn held(&self) -> Held {
        Held::Nothing
    }
}

/// A callback that is being called: if it panics, its event is removed and the engine is left as between two calls.
struct Call<'a, S, B: Backend> {
    reactor: &'a mut Reactor<S, B>,
    key: EventKey,
    callback: Option<Callback<S, B>>,
}

impl<S, B: Backend> Call<'_, S, B> {
    #[inline]
    fn call(mut self, state: &mut S, fired: Fired) {
        if let Some(callback) = &mut self.callback {
            callback(
                &mut Context {
                    state,
                    reactor: self.reactor,
                },
                fired,
            );
        }
        if let Some(callback) = self.callback.take() {
            drop(self.reactor.engine.finish(self.key, callback));
        }
        // There is nothing left to drop, and to find that out would be a call for each callback.
        mem::forget(self);
    }
}

impl<S, B: Backend> Drop for Call<'_, S, B> {
    #[expect(
        clippy::inline_always,
        reason = "what is called with a reference to the guard has it in memory, for each callback"
    )]
    #[inline(always)]
    fn drop(&mut self) {
        // Still here only when the callback has panicked.
        if let Some(callback) = self.callback.take() {
            self.reactor.end_panicked(self.key, callback);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Causes, User};

    #[test]
    fn debugging_shows_the_engine_everywhere() {
        let mut lp = EventLoop::<String>::new().unwrap();
        let key = lp
            .insert(User::new(), |cx, (), _| *cx.state = format!("{cx:?}"))
            .unwrap();
        let engine = format!("engine: Engine {{ backend: {:?}, events: 1, ", lp.backend_name());
        assert!(format!("{lp:?}").starts_with(&format!("EventLoop {{ reactor: Reactor {{ {engine}")));
        lp.activate(key, Causes::empty()).unwrap();
        let mut text = String::new();
        lp.run(&mut text).unwrap();
        assert!(
            text.starts_with(&format!("Context {{ reactor: Reactor {{ {engine}")),
            "{text}"
        );
    }
}
