//! Running the loop, and making it stop.

use std::ffi::{c_int, c_short, c_void};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use ev_core::Time;
use ev_core::backend::{AnyWaiter, Waiter};
use ev_core::engine::{Held, Outcome, RunMode, Step, Stop};
use ev_core::thread::{Admission, Woken};
use libc::timeval;

use crate::abi::EV_TIMEOUT;
use crate::base::{Locked, event_base};
use crate::evthread;
use crate::log::{debug, warn, warnx};
use crate::once::event_base_once;
use crate::watch::Phase;

const ONCE: c_int = 0x01;
const NON_BLOCKING: c_int = 0x02;
const NO_EXIT_ON_EMPTY: c_int = 0x04;

fn mode(flags: c_int) -> RunMode {
    let mut mode = RunMode::UNTIL_EMPTY;
    mode.set(RunMode::ONCE, flags & ONCE != 0);
    mode.set(RunMode::NON_BLOCKING, flags & NON_BLOCKING != 0);
    mode.set(RunMode::FOREVER, flags & NO_EXIT_ON_EMPTY != 0);
    mode
}

/// Runs the loop until nothing is pending or active, or it is told to stop: 1 for the former, 0 for the latter, -1 if the
/// backend failed or the loop runs already.
///
/// # Safety
///
/// `base` is alive, and is not freed while it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_loop(base: *mut event_base, flags: c_int) -> c_int {
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    if base.running {
        warnx!("event_base_loop: reentrant invocation.  Only one event_base_loop can run on each event_base at once.");
        return -1;
    }
    base.running = true;
    base.clear_time_cache();
    base.owner = evthread::thread_id();
    (base.exit, base.broken) = (false, false);
    // To stop a loop that does not run has no effect; a loopexit that is to come is an event.
    let _ = base.engine.take_stop();
    base.engine.begin_run(mode(flags));
    let outcome = base.turns();
    base.clear_time_cache();
    base.running = false;
    match outcome {
        Ok(Outcome::Empty) => {
            debug!("event_base_loop: no events registered.");
            1
        }
        Ok(Outcome::Stopped | Outcome::Passed) => 0,
        Err(error) => {
            warn!(error => "event_base_loop");
            -1
        }
    }
}

/// `event_base_loop` without flags.
///
/// # Safety
///
/// As for `event_base_loop`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_dispatch(base: *mut event_base) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_base_loop(base, 0) }
}

impl Locked {
    fn turns(&mut self) -> io::Result<Outcome> {
        loop {
            let wake = self.timers.next_wake();
            let now = wake.map_or(Time::ZERO, |_| self.read_clock());
            let timeout = match self.with_waiter(|base, waiter| base.engine.begin_turn(now, Held::Nothing, waiter))? {
                Step::Leave(outcome) => return Ok(outcome),
                Step::Wait(timeout) => {
                    let until_due = wake.map(|wake| self.until_due(wake, now));
                    timeout.or(until_due).map(|timeout| self.lengthen(timeout))
                }
            };
            let now = self.prepare(now, timeout)?;
            self.clear_time_cache();
            self.sleep(now, timeout)?;
            self.update_time_cache();
            self.with_waiter(|base, waiter| base.engine.harvest(waiter))?;
            if !self.watchers.is_empty() {
                self.run_watchers(Phase::Check);
            }
            let was_starved = mem::take(&mut self.starved);
            if !self.timers.is_empty() {
                self.begin_expiry();
            }
            self.dispatch();
            if self.starved && !was_starved {
                warnx!("event_base_loop: timeouts wait for memory");
            }
            if let Some(outcome) = self.engine.end_turn() {
                return Ok(outcome);
            }
        }
    }

    /// How long to wait for a deadline.
    fn until_due(&self, wake: Time, now: Time) -> Duration {
        let wait = wake.saturating_duration_since(now);
        if self.starved { wait.max(RETRY) } else { wait }
    }

    /// Lends the waiter, which only the thread that runs the loop uses.
    pub(crate) fn with_waiter<R>(&mut self, body: impl FnOnce(&mut Self, &mut AnyWaiter) -> R) -> R {
        let waiter = self.waiter();
        // SAFETY: `running` is set by this thread, so no other one is here (invariant 3), and `body` does not come back.
        body(self, unsafe { &mut *waiter })
    }

    /// Calls the watchers that come before the wait. The wait stays as it was planned, whatever they do; what they add is
    /// waited for. What other threads do meanwhile ends the wait, as if it had begun. Answers when it begins.
    fn prepare(&mut self, now: Time, timeout: Option<Duration>) -> io::Result<Time> {
        if self.watchers.is_empty() {
            return Ok(now);
        }
        self.asleep = true;
        self.run_watchers(Phase::Prepare(timeout));
        self.asleep = false;
        self.with_waiter(|base, waiter| base.engine.plan_wait(now, Held::Nothing, waiter))?;
        Ok(self.read_clock())
    }

    /// Waits without the lock, in a way that other threads can end.
    fn sleep(&mut self, now: Time, timeout: Option<Duration>) -> io::Result<()> {
        let waiter = self.waiter();
        let wait = |timeout| {
            // SAFETY: as in `with_waiter`; nothing in here uses the base.
            let waiter = unsafe { &mut *waiter };
            waiter.wait(timeout)
        };
        let Some(waker) = self.waker.as_ref().map(Arc::as_ptr) else {
            return self.unlocked(|| wait(timeout)).map(drop);
        };
        self.asleep = true;
        let until = timeout.map(|timeout| now.saturating_add(timeout).as_nanos());
        let lingers = mem::take(&mut self.notified) && timeout != Some(Duration::ZERO);
        let (waited, woken) = self.unlocked(|| {
            // SAFETY: a base keeps its waker until it is freed, which nobody does while its loop runs.
            let gate = unsafe { &*waker }.gate();
            if lingers {
                gate.linger();
            }
            let admission = gate.begin_wait(until);
            let waited = wait(if admission == Admission::Sleep {
                timeout
            } else {
                Some(Duration::ZERO)
            });
            // Whether notified or not, the engine is looked at next.
            (waited, gate.end_wait())
        });
        self.asleep = false;
        self.notified = woken == Woken::Notified;
        waited.map(drop)
    }
}

/// How long the loop waits for memory before it tries again.
const RETRY: Duration = Duration::from_millis(1);

/// Ends the loop after that time, or now: what is active at the same priority is still called. Before the loop runs, it
/// ends the loop in its first turn.
///
/// # Safety
///
/// `base` is null or alive, `tv` null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_loopexit(base: *mut event_base, tv: *const timeval) -> c_int {
    // SAFETY: as the caller promises; the base outlives what is queued on it.
    unsafe { event_base_once(base, -1, EV_TIMEOUT, Some(exit), base.cast(), tv) }
}

/// What `event_base_loopexit` queues.
unsafe extern "C" fn exit(_fd: c_int, _events: c_short, base: *mut c_void) {
    // SAFETY: the base that this is called by is alive.
    let mut base = unsafe { Locked::new(base.cast()) };
    base.exit = true;
    base.engine.stop(Stop::AfterTurn);
}

/// Ends the loop after the callback that runs; what else is active stays so. Without effect on a loop that does not run.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_loopbreak(base: *mut event_base) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.broken = true;
    base.end_expiry();
    base.engine.stop(Stop::Now);
    base.wake()
}

/// Has the loop look for new readiness after the callback that runs, before other active events are called.
///
/// # Safety
///
/// `base` is null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_loopcontinue(base: *mut event_base) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller promises that it is alive.
    let mut base = unsafe { Locked::new(base) };
    base.end_expiry();
    base.engine.restart();
    base.wake()
}

/// Whether the loop was ended by `event_base_loopexit`, until it is entered again.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_got_exit(base: *mut event_base) -> c_int {
    // SAFETY: the caller promises that it is alive.
    c_int::from(unsafe { Locked::new(base) }.exit)
}

/// Whether the loop was ended by `event_base_loopbreak`, until it is entered again.
///
/// # Safety
///
/// `base` is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_base_got_break(base: *mut event_base) -> c_int {
    // SAFETY: the caller promises that it is alive.
    c_int::from(unsafe { Locked::new(base) }.broken)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::ffi::c_char;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::abi::event;
    use crate::child::{in_child, stderr};
    use crate::event::{event_add, event_assign, event_del, event_free, event_new};
    use crate::inspect::event_base_priority_init;
    use crate::lifecycle::{event_base_free, event_base_new};
    use crate::log::event_set_log_callback;
    use crate::mm::event_set_mem_functions;

    static MILLISECOND: timeval = timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };

    thread_local! {
        /// For this thread: the test harness has others.
        static LACKS_MEMORY: Cell<bool> = const { Cell::new(false) };
    }

    static FIRED: AtomicUsize = AtomicUsize::new(0);
    static WARNINGS: AtomicUsize = AtomicUsize::new(0);
    static LAST: AtomicPtr<event> = AtomicPtr::new(ptr::null_mut());

    unsafe extern "C" fn fire(_fd: c_int, _events: c_short, event: *mut c_void) {
        assert_ne!(event, LAST.load(Relaxed).cast(), "it was deleted");
        FIRED.fetch_add(1, Relaxed);
    }

    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        // SAFETY: null may be resized.
        unsafe { realloc(ptr::null_mut(), size) }
    }

    unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
        if LACKS_MEMORY.get() {
            return ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { libc::realloc(memory, size) }
    }

    unsafe extern "C" fn free(memory: *mut c_void) {
        // SAFETY: as the caller promises.
        unsafe { libc::free(memory) };
    }

    /// Deletes the last event when a warning is given.
    unsafe extern "C" fn warned(_severity: c_int, _text: *const c_char) {
        WARNINGS.fetch_add(1, Relaxed);
        // SAFETY: it was made, and is not freed while the loop runs.
        assert_eq!(unsafe { event_del(LAST.load(Relaxed)) }, 0);
    }

    #[test]
    fn the_loop_ends_when_all_that_is_left_was_set_up_again() {
        let base = event_base_new();
        // SAFETY: the base was made above.
        let ev = unsafe { event_new(base, -1, 0, None, ptr::null_mut()) };
        // SAFETY: the event was made above.
        assert_eq!(unsafe { event_add(ev, &raw const MILLISECOND) }, 0);
        // SAFETY: as above; that it is pending is against the rules, which is what is tested.
        assert_eq!(unsafe { event_assign(ev, base, -1, 0, None, ptr::null_mut()) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { event_base_dispatch(base) }, 1);
        // SAFETY: nobody uses it any more.
        unsafe { event_free(ev) };
        // SAFETY: nobody uses it any more.
        unsafe { event_base_free(base) };
    }

    #[test]
    fn timeouts_wait_for_memory() {
        const TIMERS: usize = 1000;
        let output = in_child("run::tests::timeouts_wait_for_memory", || {
            event_set_mem_functions(Some(malloc), Some(realloc), Some(free));
            event_set_log_callback(Some(warned));
            let base = event_base_new();
            // With one priority, what is due takes no memory.
            // SAFETY: the base was made above.
            assert_eq!(unsafe { event_base_priority_init(base, 2) }, 0);
            for _ in 0..TIMERS {
                // SAFETY: the base was made above.
                let ev = unsafe { event_new(base, -1, 0, Some(fire), crate::event::event_self_cbarg()) };
                LAST.store(ev, Relaxed);
                // SAFETY: the event was made above.
                assert_eq!(unsafe { event_add(ev, &raw const MILLISECOND) }, 0);
            }
            LACKS_MEMORY.set(true);
            while WARNINGS.load(Relaxed) == 0 {
                // SAFETY: the base was made above.
                assert_eq!(unsafe { event_base_loop(base, NON_BLOCKING) }, 0);
            }
            LACKS_MEMORY.set(false);
            // SAFETY: the base was made above.
            assert_eq!(unsafe { event_base_dispatch(base) }, 1);
            assert_eq!((FIRED.load(Relaxed), WARNINGS.load(Relaxed)), (TIMERS - 1, 1));
        });
        assert!(output.status.success(), "{}", stderr(&output));
    }
}
