//! The scenarios on `ev-core`, by its public interface and as a program would use it: events own their descriptors.
//!
//! With `locks` it measures [`SharedLoop`](ev_core::SharedLoop), which other threads may use, in place of
//! [`EventLoop`](ev_core::EventLoop).
#![forbid(unsafe_code)]

mod local;
mod shared;

use std::process::ExitCode;

use ev_core::RunMode;

/// One turn that does not wait. It asks the kernel even if no event is added, as most of the other loops do.
const POLL: RunMode = RunMode::FOREVER.union(RunMode::ONCE).union(RunMode::NON_BLOCKING);

fn main() -> ExitCode {
    bench_scenarios::main_with_locks::<local::Local, shared::Shared>()
}
