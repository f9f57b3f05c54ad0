//! What a scenario asks of an event loop.

use std::fs::File;
use std::time::Duration;

use crate::{Course, Options};

/// An event loop under measurement, with its sources and timers, which the scenarios name by numbers from 0.
///
/// Nothing here can fail: a peer panics where its loop refuses what any loop can do. The methods about timers are only
/// called where [`ABILITIES`](Self::ABILITIES) says that there are some.
pub trait Peer: Sized {
    /// The library's name.
    const NAME: &'static str;
    /// The library's version.
    const VERSION: &'static str;
    /// What the library can do.
    const ABILITIES: Abilities;
    /// What another thread notifies the loop by.
    type Notifier: Send + 'static;

    /// An empty loop, which keeps the course for its callbacks.
    fn open(options: &Options, course: Course) -> Self;

    /// The course, to start it and to read what the callbacks counted.
    fn course(&self) -> &Course;

    /// Takes over the sources. Nothing waits for them yet; what a program prepares once for each it prepares here.
    fn prepare(&mut self, sources: Vec<File>);

    /// Begins to wait for source `i` to be readable. When it is, [`Course::pass_on`] is to be called.
    fn add(&mut self, i: usize);

    /// Ceases to wait for source `i`.
    fn delete(&mut self, i: usize);

    /// One turn, which does not wait.
    fn poll(&mut self);

    /// Turns that wait, until a callback has the answer that the loop is to stop.
    fn run(&mut self);

    /// What another thread notifies this loop by; [`Course::answer`] is to be called in the loop then.
    fn notifier(&mut self) -> Self::Notifier;

    /// Notifies the loop.
    fn notify(notifier: &Self::Notifier);

    /// Makes as many timers, without deadlines. When one is due, [`Course::timer_fired`] is to be called.
    fn prepare_timers(&mut self, _count: usize) {}

    /// Tells the loop of a duration that many timers are going to have.
    fn announce(&mut self, _duration: Duration) {}

    /// Reads the clock, for the timers that are set from now on to count from.
    fn read_clock(&mut self) {}

    /// Sets timer `i`, whether it has a deadline already or not, to fire once.
    fn set_timer(&mut self, _i: usize, _after: Duration) {}

    /// Takes timer `i` its deadline.
    fn cancel_timer(&mut self, _i: usize) {}
}

/// What a library can do; what it cannot is left out of the measurement, and said.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each ability is there or not")]
pub struct Abilities {
    /// Timers.
    pub timers: bool,
    /// Events that fire once and are added again.
    pub one_shot: bool,
    /// Events that fire again for what is still there.
    pub level: bool,
    /// A loop that other threads may use.
    pub locks: bool,
}

impl Abilities {
    /// Everything that a loop for one thread may do.
    pub const ONE_THREAD: Self = Self {
        timers: true,
        one_shot: true,
        level: true,
        locks: false,
    };

    /// What would be needed for a scenario and is not there.
    pub(crate) fn lack(self, scenario: &str, options: &Options) -> Option<&'static str> {
        if (scenario == "timers" || options.timeout) && !self.timers {
            Some("timers")
        } else if options.one_shot && !self.one_shot {
            Some("one-shot events")
        } else if options.ready && !self.level {
            Some("level-triggered events")
        } else if options.locks && !self.locks {
            Some("locks")
        } else {
            None
        }
    }
}
