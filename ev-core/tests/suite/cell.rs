//! One cell of the matrix: a backend and a driver.

use std::num::NonZeroU8;
use std::str::FromStr;

use ev_core::backend::Backend;
use ev_core::backend::sim::Script;
use ev_core::{Config, Error, EventLoop, SharedLoop};

use crate::counted::{Counted, Waits};
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::mechanism;

/// A backend and how the loop treats raw descriptors on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendCell {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The backend's own name.
    backend: &'static str,
    deferred: bool,
}

impl BackendCell {
    const fn of(backend: &'static str) -> Self {
        Self {
            name: backend,
            backend,
            deferred: false,
        }
    }
}

pub const BACKENDS: [BackendCell; 6] = [
    BackendCell::of("epoll"),
    BackendCell {
        name: "epoll-deferred",
        backend: "epoll",
        deferred: true,
    },
    BackendCell::of("poll"),
    BackendCell::of("select"),
    BackendCell::of("kqueue"),
    BackendCell::of("sim"),
];

impl FromStr for BackendCell {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = BACKENDS.into_iter().find(|cell| cell.name == name);
        found.ok_or_else(|| format!("unknown backend {name:?}"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Local,
    Shared,
}

pub const DRIVERS: [Driver; 2] = [Driver::Local, Driver::Shared];

impl Driver {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Shared => "shared",
        }
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = DRIVERS.into_iter().find(|driver| driver.name() == name);
        found.ok_or_else(|| format!("unknown driver {name:?}"))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub backend: BackendCell,
    pub driver: Driver,
}

impl Cell {
    /// Whether raw descriptors' changes are put off to the next turn here.
    pub fn defers_raw_changes(&self) -> bool {
        self.backend.deferred
    }

    /// Whether the kernel keeps registrations of files, not of descriptors: epoll, also beneath the simulation.
    pub fn registers_files(&self) -> bool {
        matches!(self.backend.backend, "epoll" | "sim")
    }

    /// Whether a wait reports as much as its buffer holds, which grows.
    pub fn reports_in_parts(&self) -> bool {
        self.registers_files() || self.backend.backend == "kqueue"
    }

    /// Skips where kqueue is libkqueue's, which cannot do it.
    pub fn beyond_libkqueue(&self, reason: &'static str) -> Verdict {
        if self.backend.name == "kqueue" && cfg!(target_os = "linux") {
            Err(Skip(reason))
        } else {
            Ok(())
        }
    }

    /// The settings that make a loop of this cell.
    pub fn config(&self) -> Config {
        let config = Config::new();
        if self.backend.deferred {
            config.defer_raw_changes()
        } else {
            config
        }
    }

    /// A loop of this cell.
    pub fn open(&self) -> Loop {
        self.open_with(&self.config())
    }

    /// A loop of this cell with that many priorities.
    pub fn open_with_priorities(&self, priorities: u8) -> Loop {
        let priorities = NonZeroU8::new(priorities).expect("at least one priority");
        self.open_with(&self.config().priorities(priorities))
    }

    /// A loop of this cell's driver with these settings.
    pub fn open_with(&self, config: &Config) -> Loop {
        self.try_open_with(config).expect("a loop opens")
    }

    /// A loop of this cell that counts how often it asks the kernel.
    pub fn open_counted(&self) -> (Loop<Counted>, Waits) {
        let (backend, waiter, config) = mechanism::open(self.backend.backend, &self.config()).expect("a backend opens");
        let (backend, waiter, waits) = Counted::new((backend, waiter));
        let lp = self.loop_on((backend, waiter), &config).expect("a notifier opens");
        (lp, waits)
    }

    /// A loop of this cell, in which a script says what becomes ready and what fails. Waits take no time.
    pub fn open_scripted(&self) -> Result<(Loop, Script), Skip> {
        if self.backend.name != "sim" {
            return Err(Skip("what the kernel answers cannot be scripted"));
        }
        let (backend, waiter, config, script) = mechanism::open_scripted(&self.config()).expect("a simulation opens");
        let lp = self.loop_on((backend, waiter), &config).expect("a notifier opens");
        Ok((lp, script))
    }

    /// Whether this cell can run here.
    pub fn check(&self) -> Result<(), Error> {
        self.try_open_with(&self.config()).map(drop)
    }

    pub fn try_open_with(&self, config: &Config) -> Result<Loop, Error> {
        let (backend, waiter, config) = mechanism::open(self.backend.backend, config)?;
        self.loop_on((backend, waiter), &config)
    }

    /// A loop of this cell's driver on that backend.
    fn loop_on<B: Backend>(&self, (backend, waiter): (B, B::Waiter), config: &Config) -> Result<Loop<B>, Error> {
        Ok(match self.driver {
            Driver::Local => Loop::Local(EventLoop::with_backend(backend, waiter, config)),
            Driver::Shared => Loop::Shared(SharedLoop::with_backend(backend, waiter, config)?),
        })
    }
}
