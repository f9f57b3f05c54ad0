//! A backend whose readiness and time a test scripts: [`Sim`].
//!
//! Use it to test what is built on a [`Backend`]: callbacks, timeouts, what happens when one comes before the other. A
//! [`Script`] says which descriptor becomes ready when, by a [`VirtualClock`] that jumps to the next thing to happen in
//! place of sleeping: an hour takes no time, and each run is like the one before. It is not for production, nor for
//! testing how a kernel behaves.
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use std::time::Duration;
//! use ev_backend::sim::Sim;
//! use ev_backend::{Backend, Change, Interest, Mode, Readiness, Registration, Tag, Waiter};
//!
//! let (mut sim, mut waiter, script) = Sim::new(0)?;
//! let source = script.source()?;
//! sim.update(&Change {
//!     fd: source.as_raw_fd(),
//!     tag: Tag::from_bits(7),
//!     old: None,
//!     new: Some(Registration { interest: Interest::READ, mode: Mode::Level }),
//! })?;
//! script.after(Duration::from_hours(2), source.as_raw_fd(), Readiness::READ);
//!
//! // The first hour passes in no time, and nothing happens in it.
//! let start = script.clock().now();
//! sim.prepare(&mut waiter)?;
//! assert_eq!(waiter.wait(Some(Duration::from_hours(1)))?, 0);
//! assert_eq!(script.clock().now() - start, 3600 * 1_000_000_000);
//!
//! // The second ends with the report.
//! sim.prepare(&mut waiter)?;
//! assert_eq!(waiter.wait(None)?, 1);
//! waiter.for_each(|tag, readiness| assert_eq!((tag.to_bits(), readiness), (7, Readiness::READ)));
//! assert_eq!(script.clock().now() - start, 7200 * 1_000_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! ```text
//!   Script, VirtualClock ─┐                ┌─ clock: the time, and its pace
//!   Sim ──────────────────┼─ Arc<Mutex> ───┼─ levels: descriptor → readiness       what the script knows
//!   SimWaiter ────────────┘                ├─ agenda: time → descriptor, readiness what it has announced
//!     │                                    ├─ entries: descriptor → registration   scripted ones
//!     └ the waiter beneath ◄───────────────┴─ the backend beneath                  real ones
//! ```
//!
//! # Scripted and real descriptors
//!
//! A descriptor is *scripted* once the script has named it: it is one of [`Script::source`]'s, or a number that need not
//! be open at all. Its readiness is what the script says, it stays so until the script says otherwise, and the kernel is
//! never asked. All interests and modes are supported.
//!
//! All other descriptors are *real*: a notifier's, a signal pipe's, a socket of the test. They are registered with the
//! best real backend that is compiled in, which lies beneath. What that one cannot do it refuses here too: regular files
//! on epoll, edges on poll.
//!
//! # What a wait does
//!
//! 1. It applies what the script has announced for now or earlier, and looks at real descriptors without sleeping. If
//!    anything is ready it reports all of that at once: scripted descriptors in the order of their registration, then
//!    real ones, shuffled unless the seed is 0. The same seed gives the same order. **Time stands still while anything is
//!    ready**, so nothing that lies ahead is reached before it is taken away: let the callback [`set`](Script::set) the
//!    descriptor empty, where it would read. If nobody does, the wait fails with [`Standstill`] in the end.
//! 2. If nothing is, it jumps to the wait's end or to the next announcement, whichever comes first and never past it,
//!    and starts again.
//! 3. If neither lies ahead it sleeps until a real descriptor is ready, or until another thread updates a registration
//!    or calls the script. If no real one is registered either, nothing can ever happen: the wait fails with [`Stalled`].
//!
//! That is [`Pace::Jump`]. Where other threads are to have their say while there are deadlines ahead,
//! [`Pace::Hold`] and [`Pace::Real`] let the wait sleep in place of 2.

mod clock;
mod script;
mod world;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use self::clock::{Pace, VirtualClock};
pub use self::script::{Script, Source};
use self::world::{Plan, Shared, WAKE};
use crate::{AnyWaiter, Backend, Change, Config, Features, OpenError, Readiness, Tag, UpdateError, Waiter};

/// A backend whose readiness and time are scripted; see the [module](self).
///
/// It claims the features that it has for scripted descriptors, and [`Features::ANY_FILE`] if the real backend beneath
/// has that. An update that asks more of a real descriptor than the one beneath can do is refused with
/// [`UpdateError::Unsupported`], or with `EPERM` for a regular file on epoll.
///
/// As with epoll, no registration may carry the tag `Tag::from_bits(u64::MAX)`: an update of a real descriptor refuses it
/// with `EINVAL`.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// The half of [`Sim`] that sleeps, or jumps.
#[derive(Debug)]
pub struct SimWaiter {
    shared: Arc<Shared>,
    /// The sleeping half of the backend beneath.
    beneath: Box<AnyWaiter>,
    reports: VecDeque<(Tag, Readiness)>,
    shuffle: Shuffle,
}

/// Nothing can happen any more: no descriptor is ready, the wait has no timeout, the script has announced nothing, and no
/// real descriptor is registered.
///
/// A test has forgotten to script something, or the code under test waits for what never comes. With another backend it
/// would hang. [`Waiter::wait`] gives it as an [`io::Error`] of the kind [`Deadlock`](io::ErrorKind::Deadlock):
///
/// ```
/// use ev_backend::sim::{Sim, Stalled};
/// use ev_backend::Waiter;
///
/// let (_sim, mut waiter, _script) = Sim::new(0)?;
/// let error = waiter.wait(None).unwrap_err();
/// assert!(error.get_ref().is_some_and(|inner| inner.is::<Stalled>()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nothing can happen any more: nothing is ready or scripted, and there is no timeout and no real descriptor")]
#[non_exhaustive]
pub struct Stalled;

impl From<Stalled> for io::Error {
    fn from(stalled: Stalled) -> Self {
        Self::new(io::ErrorKind::Deadlock, stalled)
    }
}

/// Time stands still: 100,000 waits in a row found scripted descriptors ready, and nothing changed in between.
///
/// Readiness is a level, and nobody takes it away: the code under test is called again and again at the same time, and no
/// deadline and no announcement is ever reached. With another backend it would be called again and again as well, while
/// time passes. Take the readiness away where the code reads, with [`Script::set`], or ask for it with
/// [`Mode::Edge`](crate::Mode::Edge).
///
/// A change of what is scripted or registered, or a report of a real descriptor, begins the count anew; waits that are
/// to return at once are not counted. Only at [`Pace::Jump`]. [`Waiter::wait`] gives it as an [`io::Error`] of the kind
/// [`Deadlock`](io::ErrorKind::Deadlock); the count begins anew then, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("time stands still: what the script has set ready is not taken away")]
#[non_exhaustive]
pub struct Standstill;

impl From<Standstill> for io::Error {
    fn from(standstill: Standstill) -> Self {
        Self::new(io::ErrorKind::Deadlock, standstill)
    }
}

impl Sim {
    /// What can be done with scripted descriptors.
    pub const FEATURES: Features = Features::EDGE
        .union(Features::CLOSED)
        .union(Features::PRIORITY)
        .union(Features::ERROR_ONLY)
        .union(Features::EXCLUSIVE)
        .union(Features::CONCURRENT);

    /// A simulation at [`Pace::Jump`]. Reports that come together are shuffled by `seed`; with 0 they keep the order in
    /// which their descriptors were registered.
    ///
    /// # Errors
    ///
    /// Those of opening the real backend beneath, whose environment variables are not heeded, and a pipe.
    pub fn new(seed: u64) -> io::Result<(Self, SimWaiter, Script)> {
        let config = Config::new().ignore_environment();
        let (backend, waiter) = config.open().map_err(OpenError::into_io)?;
        let shared = Arc::new(Shared::new(backend)?);
        let waiter = SimWaiter {
            shared: Arc::clone(&shared),
            beneath: Box::new(waiter),
            reports: VecDeque::new(),
            shuffle: Shuffle {
                state: (seed != 0).then_some(seed),
            },
        };
        let script = Script::new(Arc::clone(&shared));
        Ok((Self { shared }, waiter, script))
    }
}

impl Backend for Sim {
    type Waiter = SimWaiter;

    fn name(&self) -> &'static str {
        "sim"
    }

    fn features(&self) -> Features {
        self.shared.lock().features()
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        self.shared.lock().update(change)
    }

    /// Does nothing: a wait sees every update, also one that another thread makes meanwhile.
    #[inline(never)]
    fn prepare(&mut self, _waiter: &mut SimWaiter) -> io::Result<()> {
        Ok(())
    }

    /// Forgets all registrations. The script stays: what is ready, what was announced, and the time.
    fn reset(&mut self) -> io::Result<()> {
        self.shared.lock().reset()
    }
}

impl Waiter for SimWaiter {
    /// See [the module](self#what-a-wait-does).
    ///
    /// # Errors
    ///
    /// [`Stalled`] and [`Standstill`], inside an [`io::Error`]; what [`Script::fail_wait`] asked for; the errors of the backend beneath.
    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.reports.clear();
        match self.wait_for_reports(timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result?,
        }
        self.shuffle.apply(self.reports.make_contiguous());
        Ok(self.reports.len())
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.reports.pop_front()
    }
}

impl SimWaiter {
    /// The lock is held but for sleep: what another thread scripts falls before a jump or after it, never in between.
    fn wait_for_reports(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Self {
            shared,
            beneath,
            reports,
            ..
        } = self;
        let mut world = shared.lock();
        let end = timeout.map(|timeout| world.time_after(timeout));
        loop {
            let plan = world.plan(end)?;
            if let Plan::Sleep { until } = plan {
                let limit = world.fall_asleep(beneath, until)?;
                shared.tell_of_sleep();
                drop(world);
                let slept = beneath.wait(limit);
                world = shared.lock();
                world.wake_up();
                slept?;
            } else {
                world.look(beneath)?;
            }
            world.collect(reports);
            let scripted = reports.len();
            let woken = take_reports(beneath, reports);
            if reports.len() > scripted {
                // What becomes of a real descriptor is not known here.
                world.go_on();
            }
            match plan {
                _ if !reports.is_empty() => return Ok(()),
                Plan::Jump { to } => world.jump(to),
                Plan::Sleep { until } if woken || world.has_come(until) => {}
                // A signal may have ended the sleep, or it was longer than the mechanism can express.
                Plan::Look | Plan::Sleep { .. } => return Ok(()),
            }
        }
    }
}

/// Appends what was found beneath, and returns whether the sleep was ended by the pipe.
fn take_reports(beneath: &mut AnyWaiter, reports: &mut VecDeque<(Tag, Readiness)>) -> bool {
    let mut woken = false;
    beneath.for_each(|tag, readiness| match tag {
        WAKE => woken = true,
        _ => reports.push_back((tag, readiness)),
    });
    woken
}

/// Puts reports in an order that depends on the seed alone (splitmix64, Fisher and Yates).
#[derive(Debug)]
struct Shuffle {
    /// `None` leaves the order as it is.
    state: Option<u64>,
}

impl Shuffle {
    fn apply<T>(&mut self, items: &mut [T]) {
        let Some(state) = &mut self.state else { return };
        for last in (1..items.len()).rev() {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut drawn = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            drawn ^= drawn >> 31;
            items.swap(last, (drawn % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every later sleep would end at once, with nothing to show for it.
    #[test]
    fn what_ends_a_sleep_ends_no_other() {
        let (sim, mut waiter, script) = Sim::new(0).unwrap();
        script.set_pace(Pace::Real);
        let second = Duration::from_secs(1);
        let is_woken = |waiter: &mut SimWaiter| waiter.beneath.wait(Some(Duration::ZERO)).unwrap() == 1;
        sim.shared.lock().fall_asleep(&mut waiter.beneath, None).unwrap();
        assert!(!is_woken(&mut waiter));
        script.clock().advance(second);
        assert!(is_woken(&mut waiter));
        assert_eq!(waiter.wait(Some(Duration::from_millis(1))).unwrap(), 0);
        assert!(!is_woken(&mut waiter), "the wait has emptied the pipe");
        script.clock().advance(second);
        assert!(!is_woken(&mut waiter), "nobody sleeps");
    }
}
