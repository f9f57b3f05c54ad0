//! `struct event_base`: an engine, and what C's rules need beside it.
//!
//! ```text
//! event_base ── lock, condition          the program's, or none
//!            ├─ state                    the engine and all else; only touched with the lock held
//!            └─ waiter                   only touched by the thread that runs the loop
//! ```
//!
//! Invariants:
//! 1. No reference into the state is alive while a function of the program's runs.
//! 2. An event has a key exactly while it waits for a descriptor or a signal or is active, and the engine's payload of that
//!    key is the event; it is in `timers` exactly while it has a deadline. What neither knows is not touched. A finalizer
//!    that waits for its turn has a payload and no key. An event that a program sets up again while it is pending, which
//!    libevent forbids, leaves the engine with a key, and `timers` with a place, that are not the event's any more: they are
//!    passed over, and dropped when their turn comes, until when the memory has to stay an event.
//! 3. While `running` is set, `owner` is the thread inside `event_base_loop`.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_int, c_ulong};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use ev_core::backend::{AnyBackend, AnyWaiter};
use ev_core::engine::Engine;
use ev_core::thread::Waker;
use ev_core::{Clock, Error, EventKey, KeepAlive, Time};
use libc::timeval;

use crate::abi::{event, event_callback};
use crate::evthread::{self, Condition, Lock};
use crate::expiry::Expiry;
use crate::log::{warn, warnx};
use crate::once::Once;
use crate::time::timeval_of;
use crate::timers::Timers;
use crate::watch::Watchers;

/// What the engine knows an event or a deferred callback by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callback(NonNull<event_callback>);

impl Callback {
    pub(crate) fn new(callback: &event_callback) -> Self {
        Self(NonNull::from(callback))
    }

    pub(crate) fn as_ptr(self) -> *const event_callback {
        self.0.as_ptr()
    }
}

/// `struct event_base`.
#[derive(Debug)]
pub struct event_base {
    lock: Lock,
    condition: Condition,
    state: UnsafeCell<State>,
    waiter: UnsafeCell<AnyWaiter>,
}

impl event_base {
    pub(crate) fn new(lock: Lock, condition: Condition, state: State, waiter: AnyWaiter) -> Self {
        let (state, waiter) = (UnsafeCell::new(state), UnsafeCell::new(waiter));
        Self {
            lock,
            condition,
            state,
            waiter,
        }
    }
}

/// What the lock protects.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the loop")]
pub(crate) struct State {
    pub(crate) engine: Engine<AnyBackend, Callback>,
    pub(crate) method: &'static CStr,
    clock: Clock,
    /// `EVENT_BASE_FLAG_NO_CACHE_TIME` is not set.
    caches: bool,
    /// The time as of the end of the wait, while callbacks run.
    cached: Option<Time>,
    /// That time as C has it, as soon as somebody has asked for it.
    cached_timeval: Cell<Option<timeval>>,
    /// The time of day less the time of the clock, in nanoseconds, as it was first asked for while `cached` was the time.
    wall_offset: Cell<Option<i128>>,
    pub(crate) running: bool,
    /// The loop's thread sleeps, or is about to, so that changes have to wake it.
    pub(crate) asleep: bool,
    /// The last sleep was ended by another thread, or came to none for one.
    pub(crate) notified: bool,
    /// The events whose deadlines have passed are being called.
    pub(crate) expiry: Option<Expiry>,
    /// There was no memory for what was due in the last turn.
    pub(crate) starved: bool,
    /// The base is being freed: only finalizers are called any more.
    pub(crate) freeing: bool,
    /// The last thread that ran the loop.
    pub(crate) owner: Option<c_ulong>,
    pub(crate) exit: bool,
    pub(crate) broken: bool,
    /// The event or deferred callback whose function runs.
    pub(crate) current: *const event_callback,
    /// Whether that is an event.
    pub(crate) current_is_event: bool,
    /// How often the current signal event is still to be called.
    pub(crate) calls_left: u32,
    /// Grows by one whenever `current` is over.
    calls: u64,
    /// How many threads wait for `current` to be over.
    waiting: usize,
    pub(crate) waker: Option<Arc<Waker>>,
    /// The deadlines of all events.
    pub(crate) timers: Timers,
    /// What C was given for each common timeout, in the order of their numbers, which are those of `timers`' queues.
    #[expect(clippy::vec_box, reason = "C keeps pointers to them")]
    pub(crate) common: Vec<Box<timeval>>,
    /// Records of `event_base_once` that have not fired.
    pub(crate) once: Vec<*mut Once>,
    pub(crate) watchers: Watchers,
    /// The virtual events, and the most there were.
    pub(crate) virtuals: Vec<KeepAlive>,
    pub(crate) most_virtuals: usize,
}

impl State {
    pub(crate) fn new(engine: Engine<AnyBackend, Callback>, method: &'static CStr, clock: Clock, caches: bool) -> Self {
        Self {
            engine,
            method,
            clock,
            caches,
            cached: None,
            cached_timeval: Cell::new(None),
            wall_offset: Cell::new(None),
            running: false,
            asleep: false,
            notified: false,
            expiry: None,
            starved: false,
            freeing: false,
            owner: None,
            exit: false,
            broken: false,
            current: ptr::null(),
            current_is_event: false,
            calls_left: 0,
            calls: 0,
            waiting: 0,
            waker: None,
            timers: Timers::default(),
            common: Vec::new(),
            once: Vec::new(),
            watchers: Watchers::default(),
            virtuals: Vec::new(),
            most_virtuals: 0,
        }
    }

    /// The time for timeouts: that of the turn while callbacks run, else now.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        self.cached.unwrap_or_else(|| self.read_clock())
    }

    #[inline]
    pub(crate) fn read_clock(&self) -> Time {
        Time::from_nanos(self.clock.now())
    }

    /// How long to wait at least for a deadline that is that far away: the coarse clock has not moved before.
    #[inline]
    pub(crate) fn lengthen(&self, wait: Duration) -> Duration {
        match self.clock {
            Clock::MonotonicCoarse => {
                let millis = wait.subsec_nanos().div_ceil(1_000_000);
                Duration::from_secs(wait.as_secs()).saturating_add(Duration::from_millis(millis.into()))
            }
            _ => wait,
        }
    }

    pub(crate) fn clear_time_cache(&mut self) {
        self.cached = None;
    }

    #[inline]
    pub(crate) fn update_time_cache(&mut self) {
        self.cached = self.caches.then(|| self.read_clock());
        self.cached_timeval.set(None);
        self.wall_offset.set(None);
    }

    /// The `timeval` of what [`now`](Self::now) has just answered.
    #[inline]
    pub(crate) fn timeval_of_now(&self, now: Time) -> timeval {
        if self.cached.is_none() {
            return timeval_of(now);
        }
        self.cached_timeval.get().unwrap_or_else(|| {
            let time = timeval_of(now);
            self.cached_timeval.set(Some(time));
            time
        })
    }

    pub(crate) fn has_cached_time(&self) -> bool {
        self.cached.is_some()
    }

    /// What is to be added to a time of the loop's clock to make it a time of day, in nanoseconds. It does not change as
    /// long as the time is cached.
    pub(crate) fn wall_offset(&self) -> i128 {
        let offset = || i128::from(Clock::Realtime.now()) - i128::from(self.clock.now());
        if self.cached.is_none() {
            return offset();
        }
        let known = self.wall_offset.get().unwrap_or_else(offset);
        self.wall_offset.set(Some(known));
        known
    }

    /// Whether this thread is the one that runs the loop, as far as threads are told apart.
    pub(crate) fn is_in_loop(&self) -> bool {
        match (evthread::thread_id(), self.owner) {
            (Some(this), Some(owner)) => this == owner,
            _ => true,
        }
    }

    /// Whether the loop runs in another thread than this one.
    pub(crate) fn runs_elsewhere(&self) -> bool {
        self.running && !self.is_in_loop()
    }

    /// Wakes the loop if it sleeps although there is something to do, or will sleep past a deadline.
    #[inline]
    pub(crate) fn wake_if_needed(&self) {
        if self.asleep {
            self.wake_sleeper();
        }
    }

    #[cold]
    fn wake_sleeper(&self) {
        if self.is_in_loop() {
            return;
        }
        let Some(waker) = &self.waker else { return };
        // The notifier never blocks, and a full one is a success.
        if self.engine.wants_turn() {
            let _ = waker.wake();
        } else if let Some(deadline) = self.timers.next_wake() {
            let _ = waker.wake_before(deadline.as_nanos());
        }
    }

    /// Makes a loop in another thread look around: 0, or -1 where there is nothing to wake it with.
    pub(crate) fn wake(&self) -> c_int {
        if !self.runs_elsewhere() {
            return 0;
        }
        match &self.waker {
            None => -1,
            Some(waker) if self.asleep => waker.wake().map_or(-1, |()| 0),
            Some(_) => 0,
        }
    }

    /// Makes the loop one that other threads can wake.
    pub(crate) fn make_notifiable(&mut self) -> Result<(), Error> {
        if self.waker.is_none() {
            let waker = Arc::new(Waker::new()?);
            self.engine.set_waker(Arc::clone(&waker))?;
            self.waker = Some(waker);
        }
        Ok(())
    }

    /// The event whose function runs, or null. It may have been freed since.
    pub(crate) fn running_event(&self) -> *const event {
        if self.current_is_event {
            self.current.cast()
        } else {
            ptr::null()
        }
    }

    /// The event or deferred callback of a key, unless it was set up again since.
    pub(crate) fn callback_of(&self, key: EventKey) -> Option<*const event_callback> {
        let callback = self.engine.payload(key).ok().flatten()?.as_ptr();
        // SAFETY: what the engine knows is alive (invariant 2).
        let current = unsafe { &*callback }.key.get();
        (current == key.to_bits()).then_some(callback)
    }
}

/// A base that is locked, until dropped.
pub(crate) struct Locked {
    base: *const event_base,
}

impl Locked {
    /// Locks a base.
    ///
    /// # Safety
    ///
    /// `base` is alive until the answer is dropped.
    #[inline]
    pub(crate) unsafe fn new(base: *const event_base) -> Self {
        let locked = Self { base };
        locked.base().lock.lock();
        locked
    }

    /// Calls `body`, in which the base may be used by anyone, without the lock.
    #[inline]
    pub(crate) fn unlocked<R>(&mut self, body: impl FnOnce() -> R) -> R {
        self.base().lock.unlock();
        let answer = body();
        self.base().lock.lock();
        answer
    }

    /// If this callback runs in another thread, waits until it has returned. The thread holds the lock only once.
    #[inline]
    pub(crate) fn wait_for(&mut self, callback: *const event_callback) {
        if ptr::eq(self.current, callback) {
            self.wait_for_current();
        }
    }

    #[cold]
    fn wait_for_current(&mut self) {
        if self.is_in_loop() || !self.base().condition.is_real() {
            return;
        }
        let call = self.calls;
        self.waiting += 1;
        loop {
            self.base().condition.wait(&self.base().lock);
            // A condition may be signalled for no reason, and for the call of another event.
            if self.calls != call {
                break;
            }
        }
        self.waiting -= 1;
    }

    /// Lets those go on who wait for the callback that has returned.
    #[inline]
    pub(crate) fn callback_returned(&mut self) {
        self.current = ptr::null();
        self.calls_left = 0;
        self.calls += 1;
        if self.waiting > 0 {
            self.base().condition.signal_all();
        }
    }

    /// What the loop sleeps in; only for the thread that runs the loop, or frees the base.
    pub(crate) fn waiter(&self) -> *mut AnyWaiter {
        self.base().waiter.get()
    }

    /// Reports an error of the engine's that C has only -1 for.
    #[cold]
    pub(crate) fn refuse(what: &str, error: Error) -> c_int {
        match error {
            // To make errors of the system's kind of these takes memory.
            Error::OutOfMemory | Error::Map(_) => warnx!("{what}: {error}"),
            _ => warn!(std::io::Error::from(error) => "{what}"),
        }
        -1
    }

    #[inline]
    fn base(&self) -> &event_base {
        // SAFETY: the base is alive as long as this is, and all that changes in it is in cells.
        unsafe { &*self.base }
    }
}

impl Deref for Locked {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        // SAFETY: the lock is held, and no other reference into the state is alive: they are made here only, and borrowed
        // from a value of which a thread uses one at a time (invariant 1).
        unsafe { &*self.base().state.get() }
    }
}

impl DerefMut for Locked {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.base().state.get() }
    }
}

impl Drop for Locked {
    #[inline]
    fn drop(&mut self) {
        self.base().lock.unlock();
    }
}
