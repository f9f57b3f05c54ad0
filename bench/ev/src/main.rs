//! The scenarios on `ev-core`, by its public interface and as a program would use it: events own their descriptors.
//!
//! `locks=1` measures [`SharedLoop`](ev_core::SharedLoop), which other threads may use, in place of
//! [`EventLoop`](ev_core::EventLoop).
#![forbid(unsafe_code)]

mod local;
mod shared;

use std::env;
use std::process::ExitCode;

use ev_core::RunMode;

/// One turn that does not wait. It asks the kernel even if no event is added, as the other loops do.
const POLL: RunMode = RunMode::FOREVER.union(RunMode::ONCE).union(RunMode::NON_BLOCKING);

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "locks=1") {
        bench_scenarios::main::<shared::Shared>()
    } else {
        bench_scenarios::main::<local::Local>()
    }
}
