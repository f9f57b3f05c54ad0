//! What a cell's loop waits in: a backend that was chosen at run time, or the simulated one.

use std::io;
use std::time::Duration;

pub use ev_core::backend::sim::Script;
use ev_core::backend::sim::{Pace, Sim, SimWaiter};
use ev_core::backend::{self, AnyBackend, AnyWaiter, Backend, Change, Registration, Tag, UpdateError, Waiter};
use ev_core::{Config, Error, Features, Readiness};

/// A cell's backend.
pub enum Mechanism {
    Any(AnyBackend),
    Sim(Sim),
}

/// The half of it that sleeps.
pub enum MechanismWaiter {
    Any(AnyWaiter),
    Sim(SimWaiter),
}

/// Opens the backend of that name, and answers the settings for a loop on it.
pub fn open(name: &str, config: &Config) -> Result<(Mechanism, MechanismWaiter, Config), Error> {
    if name == "sim" {
        return open_real(config);
    }
    let (backend, waiter) = backend::Config::new().only(name).ignore_environment().open()?;
    Ok((Mechanism::Any(backend), MechanismWaiter::Any(waiter), config.clone()))
}

/// A simulation in which time passes as it does outside: the scenarios have threads and sockets that are not scripted.
fn open_real(config: &Config) -> Result<(Mechanism, MechanismWaiter, Config), Error> {
    let (mechanism, waiter, config, script) = open_scripted(config)?;
    script.set_pace(Pace::Real);
    Ok((mechanism, waiter, config))
}

/// A simulation whose waits take no time, with its script.
pub fn open_scripted(config: &Config) -> Result<(Mechanism, MechanismWaiter, Config, Script), Error> {
    let (sim, waiter, script) = Sim::new(0)?;
    // Scenarios set deadlines that have passed long ago.
    script.clock().advance(Duration::from_hours(24));
    let config = config.clone().virtual_clock(script.clock().clone());
    Ok((Mechanism::Sim(sim), MechanismWaiter::Sim(waiter), config, script))
}

/// Does the same with either.
macro_rules! either {
    ($self:ident, $inner:ident => $answer:expr) => {
        match $self {
            Self::Any($inner) => $answer,
            Self::Sim($inner) => $answer,
        }
    };
}

impl Backend for Mechanism {
    type Waiter = MechanismWaiter;

    fn name(&self) -> &'static str {
        either!(self, backend => backend.name())
    }

    fn features(&self) -> Features {
        either!(self, backend => backend.features())
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        either!(self, backend => backend.update(change))
    }

    fn prepare(&mut self, waiter: &mut MechanismWaiter) -> io::Result<()> {
        match (self, waiter) {
            (Self::Any(backend), MechanismWaiter::Any(waiter)) => backend.prepare(waiter),
            (Self::Sim(backend), MechanismWaiter::Sim(waiter)) => backend.prepare(waiter),
            _ => unreachable!("both halves were opened together"),
        }
    }

    fn reset(&mut self) -> io::Result<()> {
        either!(self, backend => backend.reset())
    }

    fn supports(&self, registration: Registration) -> Result<(), UpdateError> {
        either!(self, backend => backend.supports(registration))
    }
}

impl Waiter for MechanismWaiter {
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        either!(self, waiter => waiter.wait(timeout))
    }

    fn for_each(&mut self, report: impl FnMut(Tag, Readiness)) {
        either!(self, waiter => waiter.for_each(report));
    }
}
