//! Loops in simulations.

use ev_backend::sim::{Script, Sim};
use ev_backend::{AnyBackend, AnyWaiter};

#[cfg(feature = "threads")]
use crate::SharedLoop;
use crate::{Config, Error, EventLoop};

/// A simulation's two halves, its script, and settings with its clock.
fn open(seed: u64, config: &Config) -> Result<(AnyBackend, AnyWaiter, Script, Config), Error> {
    let (backend, waiter, script) = Sim::new(seed)?;
    let config = config.clone().virtual_clock(script.clock().clone());
    Ok((AnyBackend::Sim(backend), AnyWaiter::Sim(waiter), script, config))
}

impl<S> EventLoop<S> {
    /// A loop in a simulation, with the script that says what becomes ready when: to test a program without sleeping.
    ///
    /// It is of the type of any other loop, so the program under test need not know. The settings' choices of backend and
    /// clock are not used. What is ready at the same time is reported in an order that depends on `seed` alone; 0 keeps
    /// the order of registration. See [`backend::sim`](crate::backend::sim).
    ///
    /// Time stands still while anything is ready. Let the callback have a clone of the script, to set its descriptor empty
    /// where it reads all; else it is called at the same time for ever, until the run fails with
    /// [`Standstill`](crate::backend::sim::Standstill).
    ///
    /// The script counts in nanoseconds: its clock's `now()` is that of [`Reactor::read_clock`](crate::Reactor::read_clock)
    /// as [`Time::from_nanos`](crate::Time::from_nanos), and [`Time::as_nanos`](crate::Time::as_nanos) is for
    /// [`Script::at`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use ev_core::{Config, EventLoop, Timer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (mut lp, script) = EventLoop::<u32>::simulated(0, &Config::new())?;
    /// lp.insert(Timer::every(Duration::from_hours(1)), |cx, (), _| {
    ///     *cx.state += 1;
    ///     if *cx.state == 24 {
    ///         cx.stop();
    ///     }
    /// })?;
    /// let (begin, mut hours) = (script.clock().now(), 0);
    /// lp.run(&mut hours)?; // takes no time
    /// assert_eq!(script.clock().now() - begin, 24 * 3600 * 1_000_000_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the backend beneath cannot be opened, for want of descriptors in the first place.
    pub fn simulated(seed: u64, config: &Config) -> Result<(Self, Script), Error> {
        let (backend, waiter, script, config) = open(seed, config)?;
        Ok((Self::with_backend(backend, waiter, &config), script))
    }
}

#[cfg(feature = "threads")]
impl SharedLoop {
    /// A loop in a simulation; see [`EventLoop::simulated`].
    ///
    /// Where other threads are to have their say while deadlines lie ahead, choose another
    /// [`Pace`](crate::backend::sim::Pace).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the backend beneath or the notifier cannot be opened.
    pub fn simulated(seed: u64, config: &Config) -> Result<(Self, Script), Error> {
        let (backend, waiter, script, config) = open(seed, config)?;
        Ok((Self::with_backend(backend, waiter, &config)?, script))
    }
}
