//! Loom's mutex and condition with the shape of `parking_lot`'s, as far as the crate uses it.

use std::ops::{Deref, DerefMut};

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
    pub(crate) fn unlocked<R>(guard: &mut Self, f: impl FnOnce() -> R) -> R {
        guard.held = None;
        let result = f();
        guard.held = Some(guard.mutex.lock().expect(UNPOISONED));
        result
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

#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).expect(UNPOISONED));
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
