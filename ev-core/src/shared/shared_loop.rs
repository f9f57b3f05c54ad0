//! The driver of a shared loop.

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use ev_backend::{AnyBackend, Backend};
use ev_thread::{Monitor, MonitorGuard};
use ev_timer::Time;

use super::{LoopHandle, Shared, SharedCallback, SharedContext, State, waits};
use crate::diagnostics::error;
use crate::engine::{Engine, Held, Outcome, RunMode, Step, Stop, Taken};
use crate::hooks::{Hooks, Phase};
use crate::remote::{Inbox, Message, Messages, Sleeper};
use crate::{Config, Error, EventKey, Fired};

/// An event loop whose events any thread may add, delete and activate, through [`LoopHandle`]s.
///
/// The loop belongs to the thread that runs it; everything else is done through handles, also in callbacks. One lock
/// guards the events. It is never held while a callback runs, while the loop sleeps, or while a closure is dropped. Where
/// one thread manages its own events, [`EventLoop`](crate::EventLoop) does without the lock and lends state to callbacks.
///
/// ```
/// use std::sync::mpsc;
/// use std::thread;
/// use std::time::Duration;
/// use ev_core::{RunMode, SharedLoop, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = SharedLoop::new()?;
/// let handle = lp.handle();
/// let (fired, seen) = mpsc::channel();
/// let other = thread::spawn(move || -> Result<(), ev_core::Error> {
///     handle.insert(Timer::after(Duration::from_millis(1)), move |_, (), _| fired.send("timer").unwrap())?;
///     assert_eq!(seen.recv(), Ok("timer"));
///     handle.stop()
/// });
/// lp.run_with(RunMode::FOREVER)?;
/// other.join().expect("no panic")?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics in callbacks
///
/// As for [`EventLoop`](crate::EventLoop); no lock is poisoned, and threads that wait for the callback go on.
///
/// # Dropping
///
/// Dropping the loop drops all callbacks; handles that are left answer [`Error::Gone`].
pub struct SharedLoop<B: Backend = AnyBackend> {
    handle: LoopHandle<B>,
    waiter: B::Waiter,
    sleeper: Sleeper,
    /// The engine, when the loop is being dropped: it goes after the waiter, so that with both halves of the backend gone
    /// the kernel has forgotten all sources before they are closed.
    remains: Option<Engine<B, SharedCallback<B>>>,
}

impl SharedLoop {
    /// A loop with the default settings; see [`Config`].
    ///
    /// # Errors
    ///
    /// [`Error::Open`] or [`Error::Io`] when no backend or no notifier can be opened, for want of descriptors in the first
    /// place.
    #[doc(alias = "event_base_new")]
    pub fn new() -> Result<Self, Error> {
        Self::with_config(&Config::new())
    }

    /// A loop with settings of your own.
    ///
    /// # Errors
    ///
    /// As for [`EventLoop::with_config`](crate::EventLoop::with_config), and [`Error::Io`] when no notifier can be opened.
    #[doc(alias = "event_base_new_with_config")]
    pub fn with_config(config: &Config) -> Result<Self, Error> {
        let (backend, waiter) = config.backend.open()?;
        Self::with_backend(backend, waiter, config)
    }
}

impl<B: Backend> SharedLoop<B> {
    /// A loop on a backend of your own. The settings' choice of backends is not used.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no notifier can be opened.
    pub fn with_backend(backend: B, waiter: B::Waiter, config: &Config) -> Result<Self, Error> {
        let mut engine = config.engine(backend);
        let inbox = Arc::new(Inbox::open(&mut engine)?);
        let state = State {
            engine: Some(engine),
            hooks: Hooks::new(),
            messages: Messages::new(Arc::clone(&inbox)),
            owner: None,
            asleep: false,
        };
        let sleeper = Sleeper::new(&inbox);
        let shared = Shared {
            monitor: Monitor::new(state),
            inbox,
            clock: config.clock.clone(),
        };
        Ok(Self {
            handle: LoopHandle::new(Arc::new(shared)),
            waiter,
            sleeper,
            remains: None,
        })
    }

    /// A handle to the loop's events. Handles may be cloned and sent to other threads.
    pub fn handle(&self) -> LoopHandle<B> {
        self.handle.clone()
    }

    /// Runs until no event is added or active, or until stopped.
    ///
    /// A listener and a [`Signal`](crate::Signal) count like any other event: a program that has one never ends by itself.
    ///
    /// # Errors
    ///
    /// The backend's; the loop can be run again.
    #[doc(alias = "event_base_dispatch")]
    pub fn run(&mut self) -> io::Result<Outcome> {
        self.run_with(RunMode::UNTIL_EMPTY)
    }

    /// Runs for as long as the mode says.
    ///
    /// # Errors
    ///
    /// The backend's; the loop can be run again.
    #[doc(alias = "event_base_loop")]
    pub fn run_with(&mut self, mode: RunMode) -> io::Result<Outcome> {
        let Self {
            handle,
            waiter,
            sleeper,
            ..
        } = self;
        let mut running = Running {
            handle,
            state: handle.shared.monitor.lock(),
        };
        running.state.owner = Some(waits::this_thread());
        running.engine().begin_run(mode);
        running.turns(waiter, sleeper)
    }

    /// Makes the loop usable in a child process after `fork`; see [`EventLoop::reinit`](crate::EventLoop::reinit).
    ///
    /// Fork while no other thread holds the loop's lock, as the child would find it locked for ever: only threads that
    /// use handles at that moment do.
    ///
    /// # Errors
    ///
    /// The kernel's. Try again when there are descriptors, or drop the loop.
    #[doc(alias = "event_reinit")]
    pub fn reinit(&mut self) -> Result<(), Error> {
        self.handle.shared.monitor.lock().engine()?.reinit()
    }
}

impl<B: Backend> Drop for SharedLoop<B> {
    fn drop(&mut self) {
        // Callbacks may hold handles: they are dropped outside the lock, and find the loop gone.
        let mut state = self.handle.shared.monitor.lock();
        self.remains = state.engine.take();
        let hooks = mem::replace(&mut state.hooks, Hooks::new());
        let messages = state.messages.abandon();
        drop(state);
        drop(hooks);
        drop(messages);
        drop(self.handle.shared.inbox.close());
    }
}

impl<B: Backend> fmt::Debug for SharedLoop<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLoop").finish_non_exhaustive()
    }
}

/// A run under way: holds the lock, except while it waits and calls.
pub(super) struct Running<'a, B: Backend> {
    pub(super) handle: &'a LoopHandle<B>,
    pub(super) state: MonitorGuard<'a, State<B>>,
}

impl<B: Backend> Running<'_, B> {
    fn engine(&mut self) -> &mut Engine<B, SharedCallback<B>> {
        // `run_with` borrows the loop, so it cannot be dropped before the run is over.
        self.state.engine.as_mut().expect("a loop that runs exists")
    }

    fn held(&self) -> Held {
        if self.state.messages.is_empty() {
            Held::Nothing
        } else {
            Held::Work
        }
    }

    /// The time, if there is any deadline that it can be compared to.
    #[expect(clippy::inline_always, reason = "part of every turn")]
    #[inline(always)]
    fn turn_time(&mut self) -> Time {
        if self.engine().has_deadlines() {
            self.handle.shared.read_clock()
        } else {
            Time::ZERO
        }
    }

    fn turns(&mut self, waiter: &mut B::Waiter, sleeper: &mut Sleeper) -> io::Result<Outcome> {
        loop {
            let held = self.held();
            let now = self.turn_time();
            match self.engine().begin_turn(now, held, waiter)? {
                // What was posted before the last hold went came after `held` had looked, if it went just now.
                Step::Leave(Outcome::Empty) if self.held() == Held::Work => continue,
                Step::Leave(outcome) => return Ok(outcome),
                Step::Wait(timeout) => {
                    let (now, timeout) = self.prepare(now, timeout, waiter)?;
                    let until = || timeout.map(|timeout| now + timeout);
                    self.state.asleep = true;
                    let waited = self.state.unlocked(|| sleeper.wait(waiter, until, timeout));
                    self.state.asleep = false;
                    waited?;
                }
            }
            self.engine().harvest(waiter)?;
            if !self.state.hooks.is_empty() {
                self.run_hooks(Phase::Check, None);
            }
            if self.engine().has_deadlines() {
                let now = self.handle.shared.read_clock();
                self.engine().expire(now);
            }
            if !self.state.messages.is_empty() {
                self.run_messages();
            }
            self.dispatch();
            if let Some(outcome) = self.engine().end_turn() {
                return Ok(outcome);
            }
        }
    }

    /// Calls the hooks that come before the wait, and answers the time and how long to wait after what they have done.
    fn prepare(
        &mut self,
        now: Time,
        timeout: Option<Duration>,
        waiter: &mut B::Waiter,
    ) -> io::Result<(Time, Option<Duration>)> {
        if self.state.hooks.is_empty() {
            return Ok((now, timeout));
        }
        self.run_hooks(Phase::Prepare, timeout);
        let held = self.held();
        let now = self.turn_time();
        Ok((now, self.engine().plan_wait(now, held, waiter)?))
    }

    /// Tells the engine the time; for turns that are limited in time.
    fn tick(&mut self) {
        let now = self.handle.shared.read_clock();
        self.engine().tick(now);
    }

    /// Does what other threads have asked for until now. Not in line, as most turns have nothing of it.
    #[inline(never)]
    fn run_messages(&mut self) {
        self.state.messages.take_batch();
        while self.engine().stopping() != Some(Stop::Now)
            && let Some(message) = self.state.messages.next()
        {
            match message {
                Message::Call(closure) => {
                    self.engine().count_as_called();
                    let handle = self.handle;
                    self.state.unlocked(|| closure(&mut SharedContext::new(handle)));
                }
                Message::Stop(stop) => self.engine().stop(stop),
                Message::Ring(ring) => self.engine().activate_rung(ring),
                Message::Drop(callback) => self.state.unlocked(|| drop(callback)),
            }
        }
    }

    /// Lets those go on who wait for the callback that has run.
    fn end_call(&mut self) {
        if self.state.is_awaited() {
            waits::over(self.handle.shared.id());
        }
        self.state.end_turn();
    }

    /// Ends a call whose callback has panicked.
    #[cold]
    fn end_panicked(&mut self, key: EventKey, callback: SharedCallback<B>) {
        error!("the callback of {key:?} panicked; the event is removed");
        self.engine().abandon(key);
        self.end_call();
        self.state.unlocked(|| drop(callback));
    }

    /// Calls what is active.
    fn dispatch(&mut self) {
        // Limits that are set meanwhile are the next turn's.
        let is_timed = self.engine().is_timed();
        if is_timed {
            self.tick();
        }
        while let Some(Taken { fired, payload }) = self.engine().next_active() {
            Call {
                running: self,
                key: fired.key(),
                callback: Some(payload),
            }
            .call(fired);
            if is_timed {
                self.tick();
            }
        }
    }
}

impl<B: Backend> Drop for Running<'_, B> {
    fn drop(&mut self) {
        self.state.owner = None;
        self.state.asleep = false;
    }
}

/// A callback that is being called: if it panics, its event is removed, and those who wait for it go on.
struct Call<'a, 'b, B: Backend> {
    running: &'a mut Running<'b, B>,
    key: EventKey,
    callback: Option<SharedCallback<B>>,
}

impl<B: Backend> Call<'_, '_, B> {
    #[inline]
    fn call(mut self, fired: Fired) {
        let handle = self.running.handle;
        if let Some(callback) = &mut self.callback {
            self.running
                .state
                .unlocked(|| callback(&mut SharedContext::new(handle), fired));
        }
        if let Some(callback) = self.callback.take() {
            let removed = self.running.engine().finish(self.key, callback);
            self.running.end_call();
            if removed.is_some() {
                self.running.state.unlocked(|| drop(removed));
            }
        }
        // There is nothing left to drop, and to find that out would be a call for each callback.
        mem::forget(self);
    }
}

impl<B: Backend> Drop for Call<'_, '_, B> {
    #[expect(
        clippy::inline_always,
        reason = "what is called with a reference to the guard has it in memory, for each callback"
    )]
    #[inline(always)]
    fn drop(&mut self) {
        // Still here only when the callback has panicked.
        if let Some(callback) = self.callback.take() {
            self.running.end_panicked(self.key, callback);
        }
    }
}
