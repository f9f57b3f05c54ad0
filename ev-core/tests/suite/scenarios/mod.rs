//! The scenarios, a file a subject.

mod activation;
mod clocks;
mod descriptor_life;
mod errors;
mod fork;
mod holds;
mod hooks;
mod inspect;
mod io;
mod later;
mod lifecycle;
mod limits;
mod matrix;
mod ownership;
mod panics;
mod priorities;
mod run;
mod signalfd;
mod signals;
mod threads;
mod timers;

use crate::cell::Cell;
use crate::harness::Verdict;

#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub run: fn(&Cell) -> Verdict,
}

/// Lists the scenarios of a file: functions of this file, each named `subject::function`.
macro_rules! scenarios {
    ($subject:literal: $($name:ident),* $(,)?) => {
        pub const ALL: &[super::Scenario] = &[
            $(super::Scenario { name: concat!($subject, "::", stringify!($name)), run: $name }),*
        ];
    };
}
use scenarios;

pub fn all() -> impl Iterator<Item = Scenario> {
    [
        activation::ALL,
        clocks::ALL,
        descriptor_life::ALL,
        errors::ALL,
        fork::ALL,
        holds::ALL,
        hooks::ALL,
        inspect::ALL,
        io::ALL,
        later::ALL,
        lifecycle::ALL,
        limits::ALL,
        matrix::ALL,
        ownership::ALL,
        panics::ALL,
        priorities::ALL,
        run::ALL,
        signalfd::ALL,
        signals::ALL,
        threads::ALL,
        timers::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}
