//! What is measured, for event loops in Rust: a program implements [`Peer`] for its loop and calls [`main()`].
//!
//! ```text
//! bench-PEER SCENARIO [NAME=NUMBER]...
//! ```
//!
//! runs one scenario and prints one line of JSON. The C peers in `peers/c` take the same command line, do the same work
//! and print the same line, so that figures of all of them compare. Times are nanoseconds, each as the median of the
//! rounds under its name and as their minimum under `NAME_min`.
//!
//! | scenario | work | figures |
//! |---|---|---|
//! | `pipes` | `n` pipes, `a` bytes that travel from pipe to pipe: each callback reads one and writes it to the next pipe, `w` times in all | `ns` an event |
//! | `setup` | `n` events are added and deleted, without (`nodispatch`) and with (`dispatch`) a turn between | a pair |
//! | `timers` | `t` timers with random deadlines are inserted, cancelled, set anew, and expire | an operation |
//! | `wakeup` | another thread notifies the loop: one at a time, busy (`hot`) and asleep (`idle`), and `t` in a `burst` | a notify |
//! | `memory` | bytes of heap for each of `n` read events and `t` timers | bytes |
//!
//! The options of the command line are those of [`Options`].

mod course;
mod echo;
mod figures;
mod heap;
mod memory;
mod options;
mod peer;
mod pipes;
mod random;
mod setup;
mod timers;
mod wakeup;

use std::env;
use std::io;
use std::process::ExitCode;

pub use course::Course;
pub use options::Options;
pub use peer::{Abilities, Peer};
pub use random::idle_timeout;

use figures::Figures;

/// Rounds before those that count: memory is allocated and caches are filled in them.
const WARM_UP: usize = 2;
/// Exit code: the command line makes no sense.
const USAGE: u8 = 2;
/// Exit code: the peer cannot do what was asked.
const CANNOT: u8 = 3;

/// Runs the scenario that the command line asks for and prints its line.
pub fn main<P: Peer>() -> ExitCode {
    run_command_line(|scenario, options| run::<P>(scenario, options))
}

/// As [`main()`], for a library with two loops: with `locks` it runs on `L`, which other threads may use.
pub fn main_with_locks<P: Peer, L: Peer>() -> ExitCode {
    run_command_line(|scenario, options| {
        let run = if options.locks { run::<L> } else { run::<P> };
        run(scenario, options)
    })
}

#[expect(clippy::print_stderr, reason = "that is where a program says what is wrong")]
fn run_command_line(run: impl FnOnce(&str, &Options) -> ExitCode) -> ExitCode {
    let mut arguments = env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    match Options::parse(arguments) {
        Ok(options) => run(&scenario, &options),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(USAGE)
        }
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is what the program is for"
)]
fn run<P: Peer>(scenario: &str, options: &Options) -> ExitCode {
    let Some(measure) = measurement::<P>(scenario) else {
        eprintln!("unknown scenario {scenario}");
        return ExitCode::from(USAGE);
    };
    if let Some(lack) = P::ABILITIES.lack(scenario, options) {
        eprintln!("{} has no {lack}", P::NAME);
        return ExitCode::from(CANNOT);
    }
    match measure(options) {
        Ok(figures) => {
            println!("{}", figures.line(&options.label(P::NAME), P::VERSION, scenario));
            ExitCode::from(u8::from(figures.failures > 0))
        }
        Err(error) => {
            eprintln!("{scenario}: {error}");
            ExitCode::FAILURE
        }
    }
}

type Measure = fn(&Options) -> io::Result<Figures>;

/// How a scenario is measured, if there is one of that name.
fn measurement<P: Peer>(scenario: &str) -> Option<Measure> {
    Some(match scenario {
        "pipes" => pipes::measure::<P>,
        "setup" => setup::measure::<P>,
        "timers" => |options| Ok(timers::measure::<P>(options)),
        "wakeup" => wakeup::measure::<P>,
        "memory" => memory::measure::<P>,
        _ => return None,
    })
}
