//! Locks, conditions and thread numbers: whatever functions the program sets, or none.
//!
//! ```text
//! Lock, Condition, thread_id ──► evthread_lock_fns_, evthread_cond_fns_, evthread_id_fn_
//!                                  │ as set                     │ with lock debugging
//!                                  ▼                            ▼
//!                  the program's functions, or posix     checked ──► the functions that were set
//! ```
//!
//! The three tables are data that the libraries on top of this one read directly, so they lie in memory as in C.

mod checked;
mod lock;
mod posix;
#[cfg(test)]
mod tests;

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use libc::timeval;

use crate::debug;
use crate::function::FunctionCell;
use crate::log::{self, ensure, warn, warnx};

#[cfg(test)]
pub(crate) use checked::evthread_enable_lock_debugging;
pub(crate) use checked::evthreadimpl_disable_lock_debugging_;
pub(crate) use lock::{Condition, Lock, is_enabled, lock_raw, release_raw, thread_id, unlock_raw};
#[cfg(test)]
pub(crate) use posix::{evthread_use_pthreads, evthread_use_pthreads_with_flags};

/// `EVTHREAD_LOCK_API_VERSION`, and that of conditions.
const API_VERSION: c_int = 1;
/// The type of a lock that is not recursive.
const PLAIN: c_uint = 0;
/// `EVTHREAD_LOCKTYPE_RECURSIVE`.
const RECURSIVE: c_uint = 1;
/// `EVTHREAD_TRY`.
const TRY: c_uint = 0x10;

type AllocLock = unsafe extern "C" fn(c_uint) -> *mut c_void;
type FreeLock = unsafe extern "C" fn(*mut c_void, c_uint);
type UseLock = unsafe extern "C" fn(c_uint, *mut c_void) -> c_int;
type AllocCondition = unsafe extern "C" fn(c_uint) -> *mut c_void;
type FreeCondition = unsafe extern "C" fn(*mut c_void);
type SignalCondition = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type WaitCondition = unsafe extern "C" fn(*mut c_void, *mut c_void, *const timeval) -> c_int;
type ThreadId = unsafe extern "C" fn() -> c_ulong;

/// `struct evthread_lock_callbacks`.
#[repr(C)]
#[derive(Debug)]
pub struct evthread_lock_callbacks {
    lock_api_version: AtomicI32,
    supported_locktypes: AtomicU32,
    alloc: FunctionCell<AllocLock>,
    free: FunctionCell<FreeLock>,
    lock: FunctionCell<UseLock>,
    unlock: FunctionCell<UseLock>,
}

/// `struct evthread_condition_callbacks`.
#[repr(C)]
#[derive(Debug)]
pub struct evthread_condition_callbacks {
    condition_api_version: AtomicI32,
    alloc_condition: FunctionCell<AllocCondition>,
    free_condition: FunctionCell<FreeCondition>,
    signal_condition: FunctionCell<SignalCondition>,
    wait_condition: FunctionCell<WaitCondition>,
}

const _: () = assert!(size_of::<evthread_lock_callbacks>() == 40 && size_of::<evthread_condition_callbacks>() == 40);

/// The functions of locks that are in use.
#[unsafe(no_mangle)]
pub static evthread_lock_fns_: evthread_lock_callbacks = evthread_lock_callbacks::none();
/// The functions of conditions that are in use.
#[unsafe(no_mangle)]
pub static evthread_cond_fns_: evthread_condition_callbacks = evthread_condition_callbacks::none();
/// The function that tells threads apart.
#[unsafe(no_mangle)]
pub static evthread_id_fn_: FunctionCell<ThreadId> = FunctionCell::none();
/// Not zero: the functions in use are those of `checked`, and what the program set is in the two tables below.
#[unsafe(no_mangle)]
pub static evthread_lock_debugging_enabled_: AtomicI32 = AtomicI32::new(0);

static ORIGINAL_LOCKS: evthread_lock_callbacks = evthread_lock_callbacks::none();
static ORIGINAL_CONDITIONS: evthread_condition_callbacks = evthread_condition_callbacks::none();

impl evthread_lock_callbacks {
    const fn none() -> Self {
        Self {
            lock_api_version: AtomicI32::new(0),
            supported_locktypes: AtomicU32::new(0),
            alloc: FunctionCell::none(),
            free: FunctionCell::none(),
            lock: FunctionCell::none(),
            unlock: FunctionCell::none(),
        }
    }

    fn of(alloc: AllocLock, free: FreeLock, lock: UseLock, unlock: UseLock) -> Self {
        let table = Self::none();
        table.lock_api_version.store(API_VERSION, Ordering::Relaxed);
        table.supported_locktypes.store(RECURSIVE, Ordering::Relaxed);
        table.alloc.set(Some(alloc));
        table.free.set(Some(free));
        table.lock.set(Some(lock));
        table.unlock.set(Some(unlock));
        table
    }

    fn is_complete(&self) -> bool {
        self.alloc.is_set() && self.free.is_set() && self.lock.is_set() && self.unlock.is_set()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.lock_api_version.load(Ordering::Relaxed) == other.lock_api_version.load(Ordering::Relaxed)
            && self.supported_locktypes.load(Ordering::Relaxed) == other.supported_locktypes.load(Ordering::Relaxed)
            && self.alloc.is_same(&other.alloc)
            && self.free.is_same(&other.free)
            && self.lock.is_same(&other.lock)
            && self.unlock.is_same(&other.unlock)
    }

    fn copy_from(&self, other: &Self) {
        self.lock_api_version
            .store(other.lock_api_version.load(Ordering::Relaxed), Ordering::Relaxed);
        self.supported_locktypes
            .store(other.supported_locktypes.load(Ordering::Relaxed), Ordering::Relaxed);
        self.alloc.copy_from(&other.alloc);
        self.free.copy_from(&other.free);
        self.lock.copy_from(&other.lock);
        self.unlock.copy_from(&other.unlock);
    }
}

impl evthread_condition_callbacks {
    const fn none() -> Self {
        Self {
            condition_api_version: AtomicI32::new(0),
            alloc_condition: FunctionCell::none(),
            free_condition: FunctionCell::none(),
            signal_condition: FunctionCell::none(),
            wait_condition: FunctionCell::none(),
        }
    }

    fn of(alloc: AllocCondition, free: FreeCondition, signal: SignalCondition, wait: WaitCondition) -> Self {
        let table = Self::none();
        table.condition_api_version.store(API_VERSION, Ordering::Relaxed);
        table.alloc_condition.set(Some(alloc));
        table.free_condition.set(Some(free));
        table.signal_condition.set(Some(signal));
        table.wait_condition.set(Some(wait));
        table
    }

    fn is_complete(&self) -> bool {
        self.alloc_condition.is_set()
            && self.free_condition.is_set()
            && self.signal_condition.is_set()
            && self.wait_condition.is_set()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.condition_api_version.load(Ordering::Relaxed) == other.condition_api_version.load(Ordering::Relaxed)
            && self.alloc_condition.is_same(&other.alloc_condition)
            && self.free_condition.is_same(&other.free_condition)
            && self.signal_condition.is_same(&other.signal_condition)
            && self.wait_condition.is_same(&other.wait_condition)
    }

    fn copy_from(&self, other: &Self) {
        self.condition_api_version
            .store(other.condition_api_version.load(Ordering::Relaxed), Ordering::Relaxed);
        self.copy_functions_but_wait(other);
        self.wait_condition.copy_from(&other.wait_condition);
    }

    fn copy_functions_but_wait(&self, other: &Self) {
        self.alloc_condition.copy_from(&other.alloc_condition);
        self.free_condition.copy_from(&other.free_condition);
        self.signal_condition.copy_from(&other.signal_condition);
    }
}

/// Sets the function that tells threads apart, which is also what makes one thread wake another's loop.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_set_id_callback(id: Option<ThreadId>) {
    evthread_id_fn_.set(id);
}

/// The table where the program's functions of locks are.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_get_lock_callbacks() -> *const evthread_lock_callbacks {
    ptr::from_ref(set_locks())
}

/// The table where the program's functions of conditions are.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_get_condition_callbacks() -> *const evthread_condition_callbacks {
    ptr::from_ref(set_conditions())
}

fn set_locks() -> &'static evthread_lock_callbacks {
    if checked::is_on() {
        &ORIGINAL_LOCKS
    } else {
        &evthread_lock_fns_
    }
}

fn set_conditions() -> &'static evthread_condition_callbacks {
    if checked::is_on() {
        &ORIGINAL_CONDITIONS
    } else {
        &evthread_cond_fns_
    }
}

/// Sets the functions of locks: 0, or -1 for an incomplete set or one that differs from that in use; null takes those in
/// use away. As in libevent neither the version nor the supported types are looked at.
///
/// # Safety
/// `callbacks` is null or the structure, and its functions may be called by any thread from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_set_lock_callbacks(callbacks: *const evthread_lock_callbacks) -> c_int {
    let target = set_locks();
    refuse_if_late();
    // SAFETY: The caller passed null or the structure.
    let Some(callbacks) = (unsafe { callbacks.as_ref() }) else {
        if target.alloc.is_set() {
            // The misspelling is libevent's: who looks for the message finds it.
            warnx!("Trying to disable lock functions after they have been set up will probaby not work.");
        }
        target.copy_from(&evthread_lock_callbacks::none());
        return 0;
    };
    if target.alloc.is_set() {
        if target.is_same(callbacks) {
            return 0;
        }
        warnx!("Can't change lock callbacks once they have been initialized.");
        return -1;
    }
    if !callbacks.is_complete() {
        return -1;
    }
    target.copy_from(callbacks);
    event_global_setup_locks_(1)
}

/// Sets the functions of conditions: 0, or -1 for a set that differs from that in use; an incomplete set is passed over
/// in silence, as libevent does it; null takes those in use away.
///
/// # Safety
/// `callbacks` is null or the structure, and its functions may be called by any thread from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_set_condition_callbacks(callbacks: *const evthread_condition_callbacks) -> c_int {
    let target = set_conditions();
    refuse_if_late();
    // SAFETY: The caller passed null or the structure.
    let Some(callbacks) = (unsafe { callbacks.as_ref() }) else {
        if target.alloc_condition.is_set() {
            warnx!("Trying to disable condition functions after they have been set up will probaby not work.");
        }
        target.copy_from(&evthread_condition_callbacks::none());
        return 0;
    };
    if target.alloc_condition.is_set() {
        if target.is_same(callbacks) {
            return 0;
        }
        warnx!("Can't change condition callbacks once they have been initialized.");
        return -1;
    }
    if callbacks.is_complete() {
        target.copy_from(callbacks);
    }
    if checked::is_on() {
        evthread_cond_fns_.copy_functions_but_wait(callbacks);
    }
    0
}

/// What exists already has no lock: in debug mode that is fatal.
fn refuse_if_late() {
    if debug::is_on() && debug::event_debug_created_threadable_ctx_.load(Ordering::Relaxed) != 0 {
        log::fatal(
            1,
            format_args!("evthread initialization must be called BEFORE anything else!"),
        );
    }
}

/// A base is being made: what locks it gets is settled.
pub(crate) fn freeze() {
    debug::event_debug_created_threadable_ctx_.store(1, Ordering::Relaxed);
}

/// Makes the lock of the whole library, which is that of debug mode, after locks (1) or lock debugging (0) were turned
/// on: 0, or -1 if the program's function gave none.
#[unsafe(no_mangle)]
pub extern "C" fn event_global_setup_locks_(enable_locks: c_int) -> c_int {
    // SAFETY: The lock was made here, or is null.
    let lock = unsafe { evthread_setup_global_lock_(debug::LOCK.load(Ordering::Acquire), 0, enable_locks) };
    debug::LOCK.store(lock, Ordering::Release);
    if lock.is_null() {
        warn!("Couldn't allocate event_debug_map_lock_");
        return -1;
    }
    0
}

/// What becomes of a global lock when locks (1) or lock debugging (0) are turned on, each before or after the other.
///
/// # Safety
/// `lock` is null or what this function answered for it before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn evthread_setup_global_lock_(
    lock: *mut c_void,
    locktype: c_uint,
    enable_locks: c_int,
) -> *mut c_void {
    match (enable_locks != 0, checked::is_on()) {
        (false, _) if !ORIGINAL_LOCKS.alloc.is_set() => {
            ensure!(lock.is_null(), "lock_ == NULL", "evthread_setup_global_lock_");
            checked::alloc(locktype)
        }
        (false, _) => {
            ensure!(!lock.is_null(), "lock_ != NULL", "evthread_setup_global_lock_");
            // SAFETY: The program's functions made the lock when they were set, and no thread holds it: they had to be
            // set, and lock debugging turned on, before there were threads.
            unsafe { checked::replace(lock, locktype) }
        }
        (true, false) => {
            ensure!(lock.is_null(), "lock_ == NULL", "evthread_setup_global_lock_");
            lock::alloc_raw(locktype)
        }
        (true, true) => {
            let lock = if lock.is_null() { checked::alloc(locktype) } else { lock };
            // SAFETY: With lock debugging on, what this function answers is a checked lock or null.
            unsafe { checked::complete(lock, locktype) }
        }
    }
}
