//! The shared suite: every scenario on every backend and both loops.
//!
//! ```text
//! cargo test -p ev-core --features sim --test suite -- [--backend NAME] [--driver local|shared] [--filter TEXT]
//! cargo test -p ev-core --features sim --test suite -- --matrix
//! ```
//!
//! Each scenario runs in a process of its own, so that signals, forks and descriptor limits of one do not reach another,
//! and one that hangs is ended. A scenario that a cell cannot do says why and is counted as skipped.
//!
//! The second line prints the interest matrix as it is measured here, for `docs/interest-matrix.md`.

#![expect(unreachable_pub, reason = "a test program has no public items")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its result")]
#![expect(
    clippy::unnecessary_wraps,
    reason = "all scenarios have one signature, also those that never skip"
)]

mod cell;
mod counted;
mod events;
mod harness;
mod matrix;
mod mechanism;
mod scenarios;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    match harness::Options::from_args() {
        Ok(options) => harness::run(&options),
        Err(error) => {
            eprintln!("suite: {error}");
            ExitCode::from(2)
        }
    }
}
