//! Running the loop, and making it stop.

use std::ffi::{c_int, c_short, c_void};
use std::hint::spin_loop;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use ev_core::Time;
use ev_core::backend::{AnyWaiter, Waiter};
use ev_core::engine::{Held, Outcome, RunMode, Step, Stop};
use ev_core::thread::{Admission, Gate, Woken};
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
                    let until_due = wake.map(|wake| wake.saturating_duration_since(now));
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
            if !self.timers.is_empty() {
                let now = self.now();
                self.expire(now);
            }
            self.dispatch();
            if let Some(outcome) = self.engine.end_turn() {
                return Ok(outcome);
            }
        }
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
                linger(gate);
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

/// Who has just notified the loop may be about to do so again, as soon as it sees what its event has done: to stay awake for
/// that long, less than a microsecond, is cheaper for both than to sleep and to be woken.
fn linger(gate: &Gate) {
    for _ in 0..LOOKS {
        if gate.is_notified() {
            return;
        }
        spin_loop();
    }
}

/// How often the loop looks before it sleeps. A pause between two looks takes some 10 to 50 nanoseconds.
const LOOKS: u32 = 20;

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
