//! A backend that counts waits: what a loop does while nothing happens is seen from how often it asks the kernel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ev_core::backend::{AnyBackend, AnyWaiter, Backend, Change, Tag, UpdateError, Waiter};
use ev_core::{Features, Readiness};

/// A cell's backend, whose waiter counts.
pub struct Counted(AnyBackend);

pub struct CountedWaiter {
    waiter: AnyWaiter,
    waits: Waits,
}

/// How often a loop has waited.
#[derive(Clone, Default)]
pub struct Waits(Arc<AtomicUsize>);

impl Waits {
    /// The number of waits since the last call.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Counted {
    pub fn new((backend, waiter): (AnyBackend, AnyWaiter)) -> (Self, CountedWaiter, Waits) {
        let waits = Waits::default();
        let waiter = CountedWaiter {
            waiter,
            waits: waits.clone(),
        };
        (Self(backend), waiter, waits)
    }
}

impl Backend for Counted {
    type Waiter = CountedWaiter;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn features(&self) -> Features {
        self.0.features()
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        self.0.update(change)
    }

    fn prepare(&mut self, waiter: &mut CountedWaiter) -> io::Result<()> {
        self.0.prepare(&mut waiter.waiter)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.0.reset()
    }
}

impl Waiter for CountedWaiter {
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.waits.0.fetch_add(1, Ordering::SeqCst);
        self.waiter.wait(timeout)
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.waiter.next_report()
    }
}
