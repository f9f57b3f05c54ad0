//! Loom's mutex and condition with the shape of `parking_lot`'s, as far as the crate uses it.

use std::ops::{Deref, DerefMut};

pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const HELD: &str = "the guard holds the lock except inside `unlocked` and `wait`";
const UNPOISONED: &str = "no model panics while it holds a lock";

#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: &self.0,
            held: Some(self.0.lock().expect(UNPOISONED)),
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().expect(UNPOISONED)
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a loom::sync::Mutex<T>,
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    /// As the real one, takes the lock again also if `f` unwinds.
    pub(crate) fn unlocked<R>(guard: &mut Self, f: impl FnOnce() -> R) -> R {
        guard.held = None;
        let _relock = Relock(guard);
        f()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

struct Relock<'a, 'b, T>(&'a mut MutexGuard<'b, T>);

impl<T> Drop for Relock<'_, '_, T> {
    fn drop(&mut self) {
        self.0.held = Some(self.0.mutex.lock().expect(UNPOISONED));
    }
}

/// A condition whose first wait ends without a notification, as any may.
#[derive(Debug)]
pub(crate) struct Condvar {
    condvar: loom::sync::Condvar,
    /// Not one of loom's, which would try more orders for it: those who wait hold the lock.
    has_woken_spuriously: std::sync::atomic::AtomicBool,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self {
            condvar: loom::sync::Condvar::new(),
            has_woken_spuriously: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if !self.has_woken_spuriously.swap(true, Ordering::Relaxed) {
            return MutexGuard::unlocked(guard, || ());
        }
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.condvar.wait(held).expect(UNPOISONED));
    }

    pub(crate) fn notify_all(&self) {
        self.condvar.notify_all();
    }
}
