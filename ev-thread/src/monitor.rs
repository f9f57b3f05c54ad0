//! A value behind a lock, and turns that others wait for.

use std::ops::{Deref, DerefMut};

use crate::sync::{Condvar, Mutex, MutexGuard};

/// The state of a loop that threads share: a value behind a lock, and the loop's callbacks as turns that other threads
/// can wait for.
///
/// The loop takes what it needs out of the value, calls back with the lock released
/// ([`unlocked`](MonitorGuard::unlocked)), and ends the turn ([`end_turn`](MonitorGuard::end_turn)). Another thread
/// that has to know that the callback is over, because it deletes the event, waits for that
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
        // Only the count tells. A condition may end a wait for no reason: `parking_lot`'s does not, others do, and
        // nothing is gained by relying on it. And once the lock is taken again, others may already wait for the next
        // turn.
        while self.state.turn == turn {
            self.turn_ended.wait(&mut self.state);
        }
    }

    /// Ends the turn that runs now and wakes those who wait for it. Where none runs, it counts as one that did.
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_value_is_reached_through_the_guard() {
        let monitor = Monitor::new(1);
        *monitor.lock() += 1;
        assert_eq!(*monitor.lock(), 2);
        assert_eq!(monitor.into_inner(), 2);
    }

    #[test]
    fn others_get_the_lock_while_it_is_released() {
        let monitor = Monitor::new(0);
        let mut guard = monitor.lock();
        let returned = guard.unlocked(|| {
            thread::scope(|scope| scope.spawn(|| *monitor.lock() += 1).join().unwrap());
            "returned"
        });
        assert_eq!((*guard, returned), (1, "returned"));
    }

    #[test]
    fn a_panic_does_not_leave_it_unlocked() {
        let monitor = Monitor::new(0);
        let mut guard = monitor.lock();
        let outcome = catch_unwind(AssertUnwindSafe(|| guard.unlocked(|| panic!("on purpose"))));
        assert!(outcome.is_err());
        assert!(monitor.state.try_lock().is_none());
        *guard += 1;
        drop(guard);
        assert_eq!(*monitor.lock(), 1);
    }

    #[test]
    fn a_waiter_returns_when_the_turn_has_ended_and_not_before() {
        let monitor = Monitor::new("idle");
        let (started, has_started) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = monitor.lock();
                for _ in 0..100 {
                    *guard = "running";
                    guard.unlocked(|| {
                        started.send(()).unwrap();
                        // Until someone waits for this turn.
                        while !monitor.lock().is_awaited() {
                            thread::yield_now();
                        }
                    });
                    *guard = "over";
                    guard.end_turn();
                    assert!(!guard.is_awaited());
                    // The waiter may come late; it is not to wait for the next turn.
                    while *guard != "seen" {
                        guard.unlocked(thread::yield_now);
                    }
                }
            });
            for _ in 0..100 {
                has_started.recv().unwrap();
                let mut guard = monitor.lock();
                assert_eq!(*guard, "running");
                guard.wait_turn();
                assert_eq!(*guard, "over");
                *guard = "seen";
            }
        });
    }

    #[test]
    fn a_wake_up_before_the_end_of_the_turn_is_ignored() {
        let monitor = Monitor::new(0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut guard = monitor.lock();
                guard.wait_turn();
                *guard
            });
            while !monitor.lock().is_awaited() {
                thread::yield_now();
            }
            for _ in 0..1000 {
                monitor.turn_ended.notify_all();
                thread::yield_now();
            }
            let mut guard = monitor.lock();
            assert!(guard.is_awaited());
            *guard = 1;
            guard.end_turn();
            drop(guard);
            assert_eq!(waiter.join().unwrap(), 1);
        });
    }
}
