//! Each test has a process of its own, as the tables are the process's.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use super::checked::evthread_is_debug_lock_held_;
use super::*;
use crate::child::{in_child, stderr};

fn passes(test: &str, body: fn()) {
    let output = in_child(test, body);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Whether `body`, with lock debugging, ends the process with this message.
fn dies(test: &str, message: &str, body: fn()) {
    let output = in_child(test, || {
        assert_eq!(evthread_use_pthreads(), 0);
        evthread_enable_lock_debugging();
        body();
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.ends_with(message), "{text}");
}

#[test]
fn there_are_no_locks_at_first() {
    passes("evthread::tests::there_are_no_locks_at_first", || {
        assert!(!Lock::none().is_real());
        let (lock, condition) = (Lock::new(), Condition::new());
        assert!(!is_enabled() && !lock.is_real());
        assert_eq!(thread_id(), None);
        lock.lock();
        lock.lock();
        condition.signal_all();
        condition.wait(&lock);
        lock.unlock();
    });
}

/// Threads that count together, with conditions that hand the turn on.
fn count() {
    assert!(is_enabled());
    let (lock, condition, count) = (Lock::recursive(), Condition::new(), AtomicUsize::new(0));
    assert!(lock.is_real());
    thread::scope(|scope| {
        for turn in 0..2 {
            let (lock, condition, count) = (&lock, &condition, &count);
            scope.spawn(move || {
                for _ in 0..1000 {
                    // The lock is recursive, but a wait gives only one level back.
                    lock.lock();
                    lock.lock();
                    lock.unlock();
                    while count.load(Relaxed) % 2 != turn {
                        condition.wait(lock);
                    }
                    count.store(count.load(Relaxed) + 1, Relaxed);
                    condition.signal_all();
                    lock.unlock();
                }
            });
        }
    });
    assert_eq!(count.load(Relaxed), 2000);
    let main = thread_id();
    assert!(main.is_some());
    assert_eq!(thread_id(), main);
    assert_ne!(thread::spawn(thread_id).join().unwrap(), main);
}

#[test]
fn posix_locks_lock() {
    passes("evthread::tests::posix_locks_lock", || {
        assert_eq!(evthread_use_pthreads(), 0);
        count();
        assert_eq!(evthread_use_pthreads(), 0);
    });
}

#[test]
fn locks_that_inherit_priorities_lock() {
    passes("evthread::tests::locks_that_inherit_priorities_lock", || {
        assert_eq!(evthread_use_pthreads_with_flags(1), 0);
        count();
    });
}

#[test]
fn checked_locks_lock() {
    passes("evthread::tests::checked_locks_lock", || {
        assert_eq!(evthread_use_pthreads(), 0);
        evthread_enable_lock_debugging();
        evthread_enable_lock_debugging();
        count();
    });
}

#[test]
fn checks_may_come_before_the_locks() {
    passes("evthread::tests::checks_may_come_before_the_locks", || {
        evthread_enable_lock_debugging();
        let bare = Lock::new();
        assert!(bare.is_real());
        bare.lock();
        bare.unlock();
        assert_eq!(evthread_use_pthreads(), 0);
        count();
    });
}

#[test]
fn a_plain_lock_is_not_taken_twice() {
    let test = "evthread::tests::a_plain_lock_is_not_taken_twice";
    dies(
        test,
        ": Assertion lock->count == 1 failed in evthread_debug_lock_mark_locked\n",
        || {
            let lock = lock::alloc_raw(PLAIN);
            // SAFETY: The lock is alive.
            unsafe { lock_raw(lock) };
            // SAFETY: As above.
            assert_eq!(unsafe { evthread_is_debug_lock_held_(lock) }, 1);
            // SAFETY: As above.
            unsafe { lock_raw(lock) };
        },
    );
}

#[test]
fn who_gives_a_lock_back_holds_it() {
    let test = "evthread::tests::who_gives_a_lock_back_holds_it";
    dies(
        test,
        ": Assertion lock->held_by == me failed in evthread_debug_lock_mark_unlocked\n",
        || {
            Lock::new().unlock();
        },
    );
}

#[test]
fn a_held_lock_is_not_freed() {
    let test = "evthread::tests::a_held_lock_is_not_freed";
    dies(test, ": Assertion lock->count == 0 failed in debug_lock_free\n", || {
        let lock = Lock::new();
        lock.lock();
    });
}

#[test]
fn who_waits_holds_the_lock() {
    let test = "evthread::tests::who_waits_holds_the_lock";
    dies(
        test,
        ": Assertion evthread_is_debug_lock_held_(lock_) failed in debug_cond_wait\n",
        || {
            Condition::new().wait(&Lock::new());
        },
    );
}

#[test]
fn the_programs_functions_are_called() {
    /// What was called, as decimal digits.
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn called(digits: usize) {
        CALLS.store(CALLS.load(Relaxed) * 10 + digits, Relaxed);
    }
    unsafe extern "C" fn alloc(locktype: c_uint) -> *mut c_void {
        called(usize::from(locktype == RECURSIVE));
        ptr::without_provenance_mut(1)
    }
    unsafe extern "C" fn free(_: *mut c_void, locktype: c_uint) {
        called(if locktype == RECURSIVE { 2 } else { 0 });
    }
    unsafe extern "C" fn lock(mode: c_uint, _: *mut c_void) -> c_int {
        called(if mode == 0 { 3 } else { 0 });
        0
    }
    unsafe extern "C" fn unlock(mode: c_uint, _: *mut c_void) -> c_int {
        called(if mode == 0 { 4 } else { 0 });
        0
    }
    unsafe extern "C" fn alloc_condition(kind: c_uint) -> *mut c_void {
        called(if kind == 0 { 5 } else { 0 });
        ptr::without_provenance_mut(2)
    }
    unsafe extern "C" fn free_condition(_: *mut c_void) {
        called(6);
    }
    unsafe extern "C" fn signal(_: *mut c_void, broadcast: c_int) -> c_int {
        called(if broadcast == 1 { 7 } else { 0 });
        0
    }
    unsafe extern "C" fn wait(_: *mut c_void, lock: *mut c_void, timeout: *const timeval) -> c_int {
        called(if lock.addr() == 1 && timeout.is_null() { 8 } else { 0 });
        0
    }
    unsafe extern "C" fn id() -> c_ulong {
        9
    }
    passes("evthread::tests::the_programs_functions_are_called", || {
        let locks = evthread_lock_callbacks::of(alloc, free, lock, unlock);
        // SAFETY: The structure is alive, and its functions are harmless.
        assert_eq!(unsafe { evthread_set_lock_callbacks(&raw const locks) }, 0);
        let conditions = evthread_condition_callbacks::of(alloc_condition, free_condition, signal, wait);
        // SAFETY: As above.
        assert_eq!(unsafe { evthread_set_condition_callbacks(&raw const conditions) }, 0);
        evthread_set_id_callback(Some(id));
        assert_eq!(thread_id(), Some(9));
        // The global lock, of which the type is another.
        assert_eq!(CALLS.swap(0, Relaxed), 0);
        let (lock, condition) = (Lock::recursive(), Condition::new());
        lock.lock();
        condition.wait(&lock);
        condition.signal_all();
        lock.unlock();
        drop((lock, condition));
        assert_eq!(CALLS.load(Relaxed), 15_387_426);
    });
}

#[test]
fn functions_are_not_replaced() {
    let output = in_child("evthread::tests::functions_are_not_replaced", || {
        assert_eq!(evthread_use_pthreads(), 0);
        let other = evthread_lock_callbacks::none();
        other.copy_from(&evthread_lock_fns_);
        // SAFETY: The structure is alive, and its functions are those in use.
        assert_eq!(unsafe { evthread_set_lock_callbacks(&raw const other) }, 0);
        other.lock_api_version.store(2, Relaxed);
        // SAFETY: As above.
        assert_eq!(unsafe { evthread_set_lock_callbacks(&raw const other) }, -1);
        let other = evthread_condition_callbacks::none();
        other.copy_from(&evthread_cond_fns_);
        // SAFETY: As above.
        assert_eq!(unsafe { evthread_set_condition_callbacks(&raw const other) }, 0);
        other.condition_api_version.store(2, Relaxed);
        // SAFETY: As above.
        assert_eq!(unsafe { evthread_set_condition_callbacks(&raw const other) }, -1);
    });
    let expected = "[warn] Can't change lock callbacks once they have been initialized.\n\
                    [warn] Can't change condition callbacks once they have been initialized.\n";
    assert_eq!(stderr(&output), expected);
    assert!(output.status.success());
}

#[test]
fn in_debug_mode_threads_come_first() {
    let output = in_child("evthread::tests::in_debug_mode_threads_come_first", || {
        debug::event_enable_debug_mode();
        freeze();
        evthread_use_pthreads();
    });
    assert_eq!(
        stderr(&output),
        "[err] evthread initialization must be called BEFORE anything else!\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
