//! The locks and conditions of bases, made and used by the functions in the tables.

use std::ffi::{c_uint, c_ulong, c_void};
use std::ptr;

use super::{PLAIN, RECURSIVE, evthread_cond_fns_, evthread_id_fn_, evthread_lock_fns_};

/// A lock, or none, with which nothing happens.
#[derive(Debug)]
pub(crate) struct Lock {
    raw: *mut c_void,
    locktype: c_uint,
}

// SAFETY: What the program's functions make may be used by every thread, by the contract of evthread_set_lock_callbacks.
unsafe impl Send for Lock {}
// SAFETY: As above.
unsafe impl Sync for Lock {}

impl Lock {
    /// No lock.
    pub(crate) const fn none() -> Self {
        Lock {
            raw: ptr::null_mut(),
            locktype: PLAIN,
        }
    }

    /// A lock that a thread holds once at most, if the program set functions for locks and these have one to give; else
    /// none.
    pub(crate) fn new() -> Self {
        Self::of_type(PLAIN)
    }

    /// As [`new`](Self::new), a lock that a thread may hold several times.
    pub(crate) fn recursive() -> Self {
        Self::of_type(RECURSIVE)
    }

    fn of_type(locktype: c_uint) -> Self {
        Lock {
            raw: alloc_raw(locktype),
            locktype,
        }
    }

    /// Whether there is a lock.
    #[cfg(test)]
    pub(crate) fn is_real(&self) -> bool {
        !self.raw.is_null()
    }

    /// Waits for the lock. As in libevent, a function that fails is not heeded.
    #[inline]
    pub(crate) fn lock(&self) {
        // SAFETY: The lock is alive until it is dropped.
        unsafe { lock_raw(self.raw) }
    }

    /// Gives the lock back. The thread has it.
    #[inline]
    pub(crate) fn unlock(&self) {
        // SAFETY: The lock is alive until it is dropped.
        unsafe { unlock_raw(self.raw) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: Nobody has the lock any more.
        unsafe { release_raw(self.raw, self.locktype) }
    }
}

/// A condition, or none.
#[derive(Debug)]
pub(crate) struct Condition {
    raw: *mut c_void,
}

// SAFETY: What the program's functions make may be used by every thread, by the contract of
// evthread_set_condition_callbacks.
unsafe impl Send for Condition {}
// SAFETY: As above.
unsafe impl Sync for Condition {}

impl Condition {
    /// No condition.
    pub(crate) const fn none() -> Self {
        Condition { raw: ptr::null_mut() }
    }

    /// A condition if the program set functions for conditions and these have one to give, else none.
    pub(crate) fn new() -> Self {
        let raw = match evthread_cond_fns_.alloc_condition.get() {
            // SAFETY: Who set the function promised that it may be called so; 0 is the only type there is.
            Some(alloc) => unsafe { alloc(0) },
            None => ptr::null_mut(),
        };
        Condition { raw }
    }

    /// Whether there is a condition.
    pub(crate) fn is_real(&self) -> bool {
        !self.raw.is_null()
    }

    /// Wakes all who wait. The thread has the lock that they wait with.
    pub(crate) fn signal_all(&self) {
        if let Some(signal) = evthread_cond_fns_.signal_condition.get()
            && !self.raw.is_null()
        {
            // SAFETY: The condition is alive until it is dropped.
            unsafe { signal(self.raw, 1) };
        }
    }

    /// Waits until somebody signals, or for no reason. The thread has the lock, once only: a lock that it had taken twice
    /// would stay locked during the wait.
    pub(crate) fn wait(&self, lock: &Lock) {
        if let Some(wait) = evthread_cond_fns_.wait_condition.get()
            && !self.raw.is_null()
        {
            // SAFETY: Both are alive until they are dropped.
            unsafe { wait(self.raw, lock.raw, ptr::null()) };
        }
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        if let Some(free) = evthread_cond_fns_.free_condition.get()
            && !self.raw.is_null()
        {
            // SAFETY: Nobody uses the condition any more.
            unsafe { free(self.raw) };
        }
    }
}

/// The number of this thread, if the program set a function that tells threads apart.
#[inline]
pub(crate) fn thread_id() -> Option<c_ulong> {
    // SAFETY: Who set the function promised that it may be called by every thread.
    evthread_id_fn_.get().map(|id| unsafe { id() })
}

/// Whether bases get locks.
pub(crate) fn is_enabled() -> bool {
    evthread_lock_fns_.lock.is_set()
}

/// A lock of the program's, or null.
pub(super) fn alloc_raw(locktype: c_uint) -> *mut c_void {
    match evthread_lock_fns_.alloc.get() {
        // SAFETY: Who set the function promised that it may be called so.
        Some(alloc) => unsafe { alloc(locktype) },
        None => ptr::null_mut(),
    }
}

/// Waits for a lock.
///
/// # Safety
/// The lock is null or alive.
#[inline]
pub(crate) unsafe fn lock_raw(lock: *mut c_void) {
    if lock.is_null() {
        return;
    }
    if let Some(function) = evthread_lock_fns_.lock.get() {
        // SAFETY: The lock is alive, and made by the function that was set together with this one.
        unsafe { function(0, lock) };
    }
}

/// Gives a lock back.
///
/// # Safety
/// The lock is null or alive.
#[inline]
pub(crate) unsafe fn unlock_raw(lock: *mut c_void) {
    if lock.is_null() {
        return;
    }
    if let Some(function) = evthread_lock_fns_.unlock.get() {
        // SAFETY: The lock is alive, and made by the function that was set together with this one.
        unsafe { function(0, lock) };
    }
}

/// Frees a lock.
///
/// # Safety
/// The lock is null or alive, made with this type, and nobody uses it any more.
pub(crate) unsafe fn release_raw(lock: *mut c_void, locktype: c_uint) {
    if lock.is_null() {
        return;
    }
    if let Some(free) = evthread_lock_fns_.free.get() {
        // SAFETY: The lock is the caller's to free, and made by the function that was set together with this one.
        unsafe { free(lock, locktype) };
    }
}
