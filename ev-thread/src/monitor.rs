//! A value behind a lock, and turns that others wait for.

use std::ops::{Deref, DerefMut};

use crate::sync::{Condvar, Mutex, MutexGuard};

/// The state of a loop that threads share: a value behind a lock, and the loop's callbacks as turns that other threads
/// can wait for.
///
/// The loop takes what it needs out of the value, calls back with the lock released
/// ([`unlocked`](MonitorGuard::unlocked)), and ends the turn ([`end_turn`](MonitorGuard::end_turn)). Another thread
/// that has to know the callback over, because it deletes the event, waits for that
/// ([`wait_turn`](MonitorGuard::wait_turn)).
///
/// ```
/// use ev_thread::Monitor;
///
/// let monitor = Monitor::new(vec![1, 2, 3]);
/// let mut guard = monitor.lock();
/// while let Some(n) = guard.pop() {
///     guard.unlocked(|| assert!(n > 0)); // other threads may lock meanwhile
///     guard.end_turn();
/// }
/// ```
///
/// # Deadlocks
///
/// Locking it in the thread that has it locked, and waiting for a turn in the thread that would have to end it.
///
/// # Forks
///
/// A child that is forked while another thread holds the lock finds it locked for ever.
#[derive(Debug)]
pub struct Monitor<T> {
    state: Mutex<State<T>>,
    turn_ended: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    /// The number of turns that have ended. 64 bits do not wrap.
    turn: u64,
    /// Whether someone waits for the turn that runs now.
    awaited: bool,
}

impl<T> Monitor<T> {
    /// A monitor of `value`, unlocked.
    pub fn new(value: T) -> Self {
        Self {
            state: Mutex::new(State {
                value,
                turn: 0,
                awaited: false,
            }),
            turn_ended: Condvar::new(),
        }
    }

    /// Waits until no one else has the lock, and takes it.
    pub fn lock(&self) -> MonitorGuard<'_, T> {
        MonitorGuard {
            state: self.state.lock(),
            turn_ended: &self.turn_ended,
        }
    }

    /// The value, once no one shares the monitor any more.
    pub fn into_inner(self) -> T {
        self.state.into_inner().value
    }
}

/// The lock of a [`Monitor`], held until dropped; leads to the value.
#[derive(Debug)]
#[must_use = "the monitor is unlocked when the guard is dropped"]
pub struct MonitorGuard<'a, T> {
    state: MutexGuard<'a, State<T>>,
    turn_ended: &'a Condvar,
}

impl<T> MonitorGuard<'_, T> {
    /// Calls `f` with the lock released and takes it again, also if `f` unwinds.
    pub fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        MutexGuard::unlocked(&mut self.state, f)
    }

    /// Releases the lock until the turn that runs now has ended, however long that takes, and takes it again.
    ///
    /// Only call it while a turn runs: it waits for the next [`end_turn`](Self::end_turn).
    ///
    /// # Deadlocks
    ///
    /// See [`Monitor`]. Two loops whose callbacks wait for each other's turn wait for ever; by
    /// [`is_awaited`](Self::is_awaited) the second can tell and refuse.
    pub fn wait_turn(&mut self) {
        let turn = self.state.turn;
        self.state.awaited = true;
        // Conditions wake spuriously, and a notification may come for an earlier turn: only the count tells.
        while self.state.turn == turn {
            self.turn_ended.wait(&mut self.state);
        }
    }

    /// Ends the turn that runs now and wakes those who wait for it.
    pub fn end_turn(&mut self) {
        self.state.turn += 1;
        if self.state.awaited {
            self.state.awaited = false;
            self.turn_ended.notify_all();
        }
    }

    /// Whether someone waits for the turn that runs now.
    pub fn is_awaited(&self) -> bool {
        self.state.awaited
    }
}

impl<T> Deref for MonitorGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.value
    }
}

impl<T> DerefMut for MonitorGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state.value
    }
}
