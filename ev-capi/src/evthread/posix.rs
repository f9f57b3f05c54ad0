//! `evthread_use_pthreads`: the functions for POSIX threads.

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::{pthread_cond_t, pthread_mutex_t, pthread_mutexattr_t, timespec, timeval};

use super::{
    RECURSIVE, TRY, evthread_condition_callbacks, evthread_lock_callbacks, evthread_set_condition_callbacks,
    evthread_set_id_callback, evthread_set_lock_callbacks, refuse_if_late, set_conditions, set_locks,
};
use crate::mm;

/// `EVTHREAD_PTHREAD_PRIO_INHERIT`.
const PRIO_INHERIT: c_int = 0x01;

/// Whether who holds a lock runs with the priority of those who wait for it.
static INHERITS: AtomicBool = AtomicBool::new(false);

/// Lets the library use POSIX threads' locks, conditions and thread numbers: 0.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_use_pthreads() -> c_int {
    evthread_use_pthreads_with_flags(0)
}

/// `evthread_use_pthreads`, on request with priority inheritance (`EVTHREAD_PTHREAD_PRIO_INHERIT`): 0, or -1 if the system
/// has none. The first call decides: with the functions in use, this does nothing and succeeds. As in libevent other
/// functions that the program set before stay in use, and the answer is 0 all the same.
#[unsafe(no_mangle)]
pub extern "C" fn evthread_use_pthreads_with_flags(flags: c_int) -> c_int {
    /// One thread at a time sets the functions.
    static ONCE: Mutex<()> = Mutex::new(());

    let locks = evthread_lock_callbacks::of(alloc_lock, free_lock, lock, unlock);
    let conditions =
        evthread_condition_callbacks::of(alloc_condition, free_condition, signal_condition, wait_condition);
    // This may be fatal and the program leave by longjmp, so it comes before what has to be dropped.
    if !set_locks().is_same(&locks) {
        refuse_if_late();
    }
    let _once = ONCE.lock();
    if set_locks().is_same(&locks) && set_conditions().is_same(&conditions) {
        return 0;
    }
    let inherits = flags & PRIO_INHERIT != 0;
    if Attributes::new(0, inherits).is_none() {
        return -1;
    }
    INHERITS.store(inherits, Ordering::Relaxed);
    look_for_number_of_threads();
    // SAFETY: The table is complete, and its functions may be called by every thread.
    unsafe { evthread_set_lock_callbacks(&raw const locks) };
    // SAFETY: As above.
    unsafe { evthread_set_condition_callbacks(&raw const conditions) };
    evthread_set_id_callback(Some(id));
    0
}

/// How often a mutex that another thread holds is tried before the thread sleeps, with a pause twice as long each time, so
/// that the holder is left alone. The library holds its locks for less time than that takes, and for much less than to sleep
/// and to be woken does.
const TRIES: u32 = 6;

/// What glibc tells of the number of threads, from 2.32 on: not zero while there is one only. Null where nothing is told.
static SINGLE_THREADED: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

fn look_for_number_of_threads() {
    // SAFETY: The name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
    SINGLE_THREADED.store(found.cast(), Ordering::Relaxed);
}

/// Whether there is certainly no other thread.
#[inline]
fn is_single_threaded() -> bool {
    let told = SINGLE_THREADED.load(Ordering::Relaxed);
    // SAFETY: It is null, or the C library's for good. Only what this thread does makes it zero: starting another thread.
    !told.is_null() && unsafe { told.read_volatile() } != 0
}

/// The attributes of a lock to be made.
struct Attributes(pthread_mutexattr_t);

impl Attributes {
    fn new(locktype: c_uint, inherits: bool) -> Option<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: The function initialises what it is given.
        if unsafe { libc::pthread_mutexattr_init(raw.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: The function has succeeded.
        let mut attributes = Attributes(unsafe { raw.assume_init() });
        let kind = if locktype & RECURSIVE != 0 {
            libc::PTHREAD_MUTEX_RECURSIVE
        } else {
            libc::PTHREAD_MUTEX_DEFAULT
        };
        // SAFETY: The attributes are initialised.
        let failed = unsafe { libc::pthread_mutexattr_settype(&raw mut attributes.0, kind) };
        if failed != 0 {
            return None;
        }
        if inherits && !attributes.inherit() {
            return None;
        }
        Some(attributes)
    }

    /// Asks for priority inheritance; whether there is such a thing.
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn inherit(&mut self) -> bool {
        // SAFETY: The attributes are initialised.
        unsafe { libc::pthread_mutexattr_setprotocol(&raw mut self.0, libc::PTHREAD_PRIO_INHERIT) == 0 }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn inherit(&mut self) -> bool {
        false
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: The attributes are initialised, and gone after this.
        unsafe { libc::pthread_mutexattr_destroy(&raw mut self.0) };
    }
}

unsafe extern "C" fn alloc_lock(locktype: c_uint) -> *mut c_void {
    let Some(attributes) = Attributes::new(locktype, INHERITS.load(Ordering::Relaxed)) else {
        return ptr::null_mut();
    };
    let lock = mm::alloc(size_of::<pthread_mutex_t>());
    // SAFETY: The memory, if there is any, has the size of a mutex; the attributes are initialised.
    if !lock.is_null() && unsafe { libc::pthread_mutex_init(lock.cast(), &raw const attributes.0) } != 0 {
        // SAFETY: The memory is of `mm`, and there is no mutex in it.
        unsafe { mm::free(lock) };
        return ptr::null_mut();
    }
    lock
}

unsafe extern "C" fn free_lock(lock: *mut c_void, _locktype: c_uint) {
    // SAFETY: The caller has the mutex from `alloc_lock`, and nobody holds it.
    unsafe { libc::pthread_mutex_destroy(lock.cast()) };
    // SAFETY: The memory is of `mm`, and the caller gave it up.
    unsafe { mm::free(lock) };
}

unsafe extern "C" fn lock(mode: c_uint, lock: *mut c_void) -> c_int {
    let try_it = || {
        // SAFETY: The caller has the mutex from `alloc_lock`.
        unsafe { libc::pthread_mutex_trylock(lock.cast()) }
    };
    if mode & TRY != 0 {
        return try_it();
    }
    // With one thread only, to lock takes no atomic operation and to try takes one.
    if !is_single_threaded() {
        for tries in 0..TRIES {
            let result = try_it();
            if result != libc::EBUSY {
                return result;
            }
            (0..1 << tries).for_each(|_| spin_loop());
        }
    }
    // SAFETY: As above.
    unsafe { libc::pthread_mutex_lock(lock.cast()) }
}

unsafe extern "C" fn unlock(_mode: c_uint, lock: *mut c_void) -> c_int {
    // SAFETY: The caller has the mutex from `alloc_lock`, and holds it.
    unsafe { libc::pthread_mutex_unlock(lock.cast()) }
}

unsafe extern "C" fn alloc_condition(_flags: c_uint) -> *mut c_void {
    let condition = mm::alloc(size_of::<pthread_cond_t>());
    // SAFETY: The memory, if there is any, has the size of a condition; null are the default attributes.
    if !condition.is_null() && unsafe { libc::pthread_cond_init(condition.cast(), ptr::null()) } != 0 {
        // SAFETY: The memory is of `mm`, and there is no condition in it.
        unsafe { mm::free(condition) };
        return ptr::null_mut();
    }
    condition
}

unsafe extern "C" fn free_condition(condition: *mut c_void) {
    // SAFETY: The caller has the condition from `alloc_condition`, and nobody waits for it.
    unsafe { libc::pthread_cond_destroy(condition.cast()) };
    // SAFETY: The memory is of `mm`, and the caller gave it up.
    unsafe { mm::free(condition) };
}

unsafe extern "C" fn signal_condition(condition: *mut c_void, broadcast: c_int) -> c_int {
    let failed = if broadcast != 0 {
        // SAFETY: The caller has the condition from `alloc_condition`.
        unsafe { libc::pthread_cond_broadcast(condition.cast()) }
    } else {
        // SAFETY: As above.
        unsafe { libc::pthread_cond_signal(condition.cast()) }
    };
    -c_int::from(failed != 0)
}

/// 0: signalled, 1: the time is over, -1: an error.
unsafe extern "C" fn wait_condition(condition: *mut c_void, lock: *mut c_void, timeout: *const timeval) -> c_int {
    // SAFETY: The caller passed null or a timeout.
    let failed = if let Some(timeout) = unsafe { timeout.as_ref() } {
        let deadline = later(&now(), timeout);
        // SAFETY: The caller has both from the functions above, and holds the lock.
        unsafe { libc::pthread_cond_timedwait(condition.cast(), lock.cast(), &raw const deadline) }
    } else {
        // SAFETY: As above.
        unsafe { libc::pthread_cond_wait(condition.cast(), lock.cast()) }
    };
    match failed {
        0 => 0,
        libc::ETIMEDOUT => 1,
        _ => -1,
    }
}

/// The time by the wall clock, which is the one that conditions go by unless told otherwise.
fn now() -> timeval {
    let mut now = timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: The function writes the time where it is told to.
    unsafe { libc::gettimeofday(&raw mut now, ptr::null_mut()) };
    now
}

fn later(time: &timeval, timeout: &timeval) -> timespec {
    let mut seconds = time.tv_sec.saturating_add(timeout.tv_sec);
    let mut micros = time.tv_usec.saturating_add(timeout.tv_usec);
    if micros >= 1_000_000 {
        seconds = seconds.saturating_add(1);
        micros -= 1_000_000;
    }
    timespec {
        tv_sec: seconds,
        tv_nsec: (micros as c_long).saturating_mul(1000),
    }
}

unsafe extern "C" fn id() -> c_ulong {
    // SAFETY: The function has no conditions.
    unsafe { libc::pthread_self() as c_ulong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_carry_whole_seconds() {
        let deadline = |seconds, micros| {
            let time = timeval {
                tv_sec: 10,
                tv_usec: 400_000,
            };
            let timeout = timeval {
                tv_sec: seconds,
                tv_usec: micros,
            };
            let deadline = later(&time, &timeout);
            (deadline.tv_sec, deadline.tv_nsec)
        };
        assert_eq!(deadline(0, 0), (10, 400_000_000));
        assert_eq!(deadline(2, 599_999), (12, 999_999_000));
        assert_eq!(deadline(2, 600_000), (13, 0));
        assert_eq!(deadline(libc::time_t::MAX, 0), (libc::time_t::MAX, 400_000_000));
    }

    #[test]
    fn waits_end_in_time() {
        // SAFETY: The function may be called with every type.
        let (mutex, condition) = (unsafe { alloc_lock(RECURSIVE) }, unsafe { alloc_condition(0) });
        // SAFETY: The mutex is alive.
        assert_eq!(unsafe { lock(0, mutex) }, 0);
        let timeout = timeval { tv_sec: 0, tv_usec: 1 };
        // Nobody signals, so all that comes before the end of the time is a wake-up for no reason.
        // SAFETY: Both are alive, and the mutex is held.
        while unsafe { wait_condition(condition, mutex, &raw const timeout) } != 1 {}
        // SAFETY: The mutex is held.
        assert_eq!(unsafe { unlock(0, mutex) }, 0);
        // SAFETY: Nobody uses it any more.
        unsafe { free_lock(mutex, RECURSIVE) };
        // SAFETY: Nobody uses it any more.
        unsafe { free_condition(condition) };
    }
}
