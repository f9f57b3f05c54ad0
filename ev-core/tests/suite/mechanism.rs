//! Opening what a cell's loop waits in, by name: a backend that is chosen at run time, or the simulation.

use std::time::Duration;

use ev_core::backend::sim::{Pace, Script, Sim};
use ev_core::backend::{self, AnyBackend, AnyWaiter};
use ev_core::{Config, Error};

/// Opens the backend of that name, and answers the settings for a loop on it.
pub fn open(name: &str, config: &Config) -> Result<(AnyBackend, AnyWaiter, Config), Error> {
    if name != "sim" {
        let (backend, waiter) = backend::Config::new().only(name).ignore_environment().open()?;
        return Ok((backend, waiter, config.clone()));
    }
    // Time passes as it does outside: the scenarios have threads and sockets that are not scripted.
    let (backend, waiter, config, script) = open_scripted(config)?;
    script.set_pace(Pace::Real);
    Ok((backend, waiter, config))
}

/// A simulation whose waits take no time, with its script.
pub fn open_scripted(config: &Config) -> Result<(AnyBackend, AnyWaiter, Config, Script), Error> {
    let (sim, waiter, script) = Sim::new(0)?;
    // Scenarios set deadlines that have passed long ago.
    script.clock().advance(Duration::from_hours(24));
    let config = config.clone().virtual_clock(script.clock().clone());
    Ok((AnyBackend::Sim(sim), AnyWaiter::Sim(waiter), config, script))
}
