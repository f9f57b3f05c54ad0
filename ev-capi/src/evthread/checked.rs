//! Lock debugging: locks that know who holds them and how often, around the program's locks.
//!
//! A wrong use is fatal. The program's locks are made recursive here, so that the check, not the lock, is what a thread
//! runs into that takes a plain lock twice. Without functions of the program's the checks alone remain.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

use libc::timeval;

use super::{
    ORIGINAL_CONDITIONS, ORIGINAL_LOCKS, RECURSIVE, event_global_setup_locks_, evthread_cond_fns_,
    evthread_lock_callbacks, evthread_lock_debugging_enabled_, evthread_lock_fns_, thread_id,
};
use crate::log::ensure;
use crate::mm;

const SIGNATURE: u32 = 0xdeb0_b10c;
const FREED: u32 = 0x1230_0fda;

/// A lock with checks. The holder of `real` is who changes the other fields; everybody may read them.
struct CheckedLock {
    /// `SIGNATURE` as long as this is a lock.
    signature: AtomicU32,
    locktype: c_uint,
    /// The thread that holds the lock, if threads are told apart, else zero.
    held_by: AtomicU64,
    /// How often the thread holds it.
    count: AtomicI32,
    /// The program's lock, null without functions of the program's.
    real: AtomicPtr<c_void>,
}

impl CheckedLock {
    fn is_valid(&self) -> bool {
        self.signature.load(Relaxed) == SIGNATURE
    }

    /// The thread has taken the program's lock.
    fn mark_locked(&self) {
        ensure!(
            self.is_valid(),
            "DEBUG_LOCK_SIG == lock->signature",
            "evthread_debug_lock_mark_locked"
        );
        let count = self.count.load(Relaxed) + 1;
        self.count.store(count, Relaxed);
        if self.locktype & RECURSIVE == 0 {
            ensure!(count == 1, "lock->count == 1", "evthread_debug_lock_mark_locked");
        }
        if let Some(me) = thread_id() {
            if count > 1 {
                ensure!(
                    self.held_by.load(Relaxed) == me,
                    "lock->held_by == me",
                    "evthread_debug_lock_mark_locked"
                );
            }
            self.held_by.store(me, Relaxed);
        }
    }

    /// The thread is about to give the program's lock back.
    fn mark_unlocked(&self) {
        ensure!(
            self.is_valid(),
            "DEBUG_LOCK_SIG == lock->signature",
            "evthread_debug_lock_mark_unlocked"
        );
        let count = self.count.load(Relaxed);
        if let Some(me) = thread_id() {
            ensure!(
                self.held_by.load(Relaxed) == me,
                "lock->held_by == me",
                "evthread_debug_lock_mark_unlocked"
            );
            if count == 1 {
                self.held_by.store(0, Relaxed);
            }
        }
        self.count.store(count - 1, Relaxed);
        ensure!(count > 0, "lock->count >= 0", "evthread_debug_lock_mark_unlocked");
    }

    fn is_held(&self) -> bool {
        self.count.load(Relaxed) != 0 && thread_id().is_none_or(|me| self.held_by.load(Relaxed) == me)
    }
}

/// The lock behind a pointer.
///
/// # Safety
/// `lock` came from [`alloc`] and was not freed.
unsafe fn checked<'a>(lock: *mut c_void) -> &'a CheckedLock {
    // SAFETY: The caller vouches for the lock.
    unsafe { &*lock.cast() }
}

/// Whether lock debugging is on.
pub(super) fn is_on() -> bool {
    evthread_lock_debugging_enabled_.load(Relaxed) != 0
}

/// Replaces the functions of locks and conditions by such that check the use of the locks. Comes before any lock, as a
/// lock without checks would not be understood.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_enable_lock_debugging() {
    if is_on() {
        return;
    }
    ORIGINAL_LOCKS.copy_from(&evthread_lock_fns_);
    evthread_lock_fns_.copy_from(&evthread_lock_callbacks::of(alloc_lock, free_lock, lock, unlock));
    ORIGINAL_CONDITIONS.copy_from(&evthread_cond_fns_);
    evthread_cond_fns_.wait_condition.set(Some(wait));
    evthread_lock_debugging_enabled_.store(1, Relaxed);
    event_global_setup_locks_(0);
}

/// `evthread_enable_lock_debugging`, by the name that it had at first.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_enable_lock_debuging() {
    evthread_enable_lock_debugging();
}

/// Forgets that lock debugging is on, without taking the checks away: for the end of the process.
#[unsafe(no_mangle)]
pub extern "C" fn evthreadimpl_disable_lock_debugging_() {
    evthread_lock_debugging_enabled_.store(0, Relaxed);
}

/// Whether this thread holds the lock, one of lock debugging.
///
/// # Safety
/// The lock was made while lock debugging was on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_is_debug_lock_held_(lock: *mut c_void) -> c_int {
    // SAFETY: The caller vouches for the lock.
    c_int::from(unsafe { checked(lock) }.is_held())
}

/// The program's lock inside a lock of lock debugging.
///
/// # Safety
/// The lock was made while lock debugging was on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_debug_get_real_lock_(lock: *mut c_void) -> *mut c_void {
    // SAFETY: The caller vouches for the lock.
    unsafe { checked(lock) }.real.load(Relaxed)
}

/// A checked lock around a lock of the program's, if it has functions; null without memory.
pub(super) fn alloc(locktype: c_uint) -> *mut c_void {
    // SAFETY: What `make` answers is null or a lock that nobody else knows.
    unsafe { complete(make(locktype), locktype) }
}

/// A checked lock in place of a lock that the program's functions made with this type.
///
/// # Safety
/// Nobody uses the lock any more.
pub(super) unsafe fn replace(lock: *mut c_void, locktype: c_uint) -> *mut c_void {
    if let Some(free) = ORIGINAL_LOCKS.free.get() {
        // SAFETY: The lock was made with this type by the function set together with this one, and nobody uses it.
        unsafe { free(lock, locktype) };
    }
    alloc(locktype)
}

/// Gives a checked lock that was made without functions of the program's a lock of theirs. Null, and the lock is freed, if
/// there is none to have; null of null.
///
/// # Safety
/// `lock` is null or came from this file, and nobody holds it.
pub(super) unsafe fn complete(lock: *mut c_void, locktype: c_uint) -> *mut c_void {
    if lock.is_null() {
        return lock;
    }
    // SAFETY: The caller vouches for the lock.
    let checked = unsafe { checked(lock) };
    ensure!(
        checked.locktype == locktype,
        "lock->locktype == locktype",
        "evthread_setup_global_lock_"
    );
    let Some(alloc) = ORIGINAL_LOCKS.alloc.get() else {
        return lock;
    };
    if checked.real.load(Relaxed).is_null() {
        // SAFETY: Who set the function promised that it may be called so.
        let real = unsafe { alloc(locktype | RECURSIVE) };
        if real.is_null() {
            // SAFETY: The lock is of `make`, and the caller will see null instead of it.
            unsafe { mm::free(lock) };
            return ptr::null_mut();
        }
        checked.real.store(real, Relaxed);
    }
    lock
}

fn make(locktype: c_uint) -> *mut c_void {
    let lock = mm::alloc(size_of::<CheckedLock>()).cast::<CheckedLock>();
    if !lock.is_null() {
        let value = CheckedLock {
            signature: AtomicU32::new(SIGNATURE),
            locktype,
            held_by: AtomicU64::new(0),
            count: AtomicI32::new(0),
            real: AtomicPtr::new(ptr::null_mut()),
        };
        // SAFETY: The memory is large enough, aligned to more than is needed, and nobody else's.
        unsafe { lock.write(value) };
    }
    lock.cast()
}

unsafe extern "C" fn alloc_lock(locktype: c_uint) -> *mut c_void {
    alloc(locktype)
}

unsafe extern "C" fn free_lock(lock: *mut c_void, locktype: c_uint) {
    // SAFETY: The caller has the lock of `alloc_lock`, and gives it up only in the end.
    let checked = unsafe { checked(lock) };
    ensure!(checked.count.load(Relaxed) == 0, "lock->count == 0", "debug_lock_free");
    ensure!(
        checked.locktype == locktype,
        "locktype == lock->locktype",
        "debug_lock_free"
    );
    ensure!(
        checked.is_valid(),
        "DEBUG_LOCK_SIG == lock->signature",
        "debug_lock_free"
    );
    let real = checked.real.load(Relaxed);
    if let Some(free) = ORIGINAL_LOCKS.free.get()
        && !real.is_null()
    {
        // SAFETY: The real lock was made with this type by the function that was set together with this one.
        unsafe { free(real, locktype | RECURSIVE) };
    }
    // A late user finds out, as long as the memory has no other use.
    checked.signature.store(FREED, Relaxed);
    // SAFETY: The lock is of `make`, and the caller gave it up.
    unsafe { mm::free(lock) };
}

unsafe extern "C" fn lock(mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: The caller has the lock of `alloc_lock`.
    let checked = unsafe { checked(lock) };
    let real = checked.real.load(Relaxed);
    if let Some(function) = ORIGINAL_LOCKS.lock.get()
        && !real.is_null()
    {
        // SAFETY: The real lock was made by the function that was set together with this one.
        let answer = unsafe { function(mode, real) };
        if answer != 0 {
            return answer;
        }
    }
    checked.mark_locked();
    0
}

unsafe extern "C" fn unlock(mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: The caller has the lock of `alloc_lock`.
    let checked = unsafe { checked(lock) };
    checked.mark_unlocked();
    let real = checked.real.load(Relaxed);
    match ORIGINAL_LOCKS.unlock.get() {
        // SAFETY: The real lock was made by the function that was set together with this one.
        Some(function) if !real.is_null() => unsafe { function(mode, real) },
        _ => 0,
    }
}

unsafe extern "C" fn wait(condition: *mut c_void, lock: *mut c_void, timeout: *const timeval) -> c_int {
    ensure!(!lock.is_null(), "lock", "debug_cond_wait");
    // SAFETY: The caller has the lock of `alloc_lock`.
    let checked = unsafe { checked(lock) };
    ensure!(
        checked.is_valid(),
        "DEBUG_LOCK_SIG == lock->signature",
        "debug_cond_wait"
    );
    ensure!(
        checked.is_held(),
        "evthread_is_debug_lock_held_(lock_)",
        "debug_cond_wait"
    );
    checked.mark_unlocked();
    let answer = match ORIGINAL_CONDITIONS.wait_condition.get() {
        // SAFETY: The condition and the real lock were made by the functions that were set together with this one.
        Some(function) => unsafe { function(condition, checked.real.load(Relaxed), timeout) },
        None => 0,
    };
    checked.mark_locked();
    answer
}
