//! Runs the programs side by side and reports what they came to: tables, targets, charts.
//!
//! The contenders of a measurement run in turn, A B C A B C …, so that a slow spell of the machine hits all of them, and
//! figures are compared within a repetition. `cargo xtask bench` builds everything and calls this.
//!
//! What it writes into the directory of `--out` is complete, so that documents can link to it and repeat nothing:
//!
//! | file | holds | written |
//! |---|---|---|
//! | `measurements.md` | the figures of the loops, their targets, who was measured, and where | always but with `--only-servers` |
//! | `charts/*.svg` | those of these figures that were measured | as above |
//! | `servers.md` | the same of the web servers | with `--httpd`, where nginx and wrk are installed |
//!
//! | module | holds |
//! |---|---|
//! | `contenders`, `plan` | who is measured, and at what |
//! | `programs`, `run`, `counts`, `process` | building and running them, also under valgrind and strace |
//! | `loops` | measuring loops, and their report |
//! | `servers` | running web servers under a load, and their report |
//! | `smoke` | `--smoke`: whether all contenders run, in a few seconds and without a report |
//! | `results` | medians, bests, ratios |
//! | `document`, `tables`, `targets`, `machine` | Markdown |
//! | `charts`, `bars`, `lines` | SVG |
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is how a report is made"
)]

mod bars;
mod charts;
mod contenders;
mod counts;
mod document;
mod lines;
mod loops;
mod machine;
mod plan;
mod process;
mod programs;
mod results;
mod run;
mod servers;
mod smoke;
mod tables;
mod targets;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt as _};

/// What went wrong, for people.
#[derive(Debug)]
struct Error(String);

type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The command line.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Options {
    /// The peers' C files.
    sources: PathBuf,
    /// Where the programs are, and those in C go.
    programs: PathBuf,
    /// Where tables and charts go.
    out: PathBuf,
    /// The web server to measure beside another one, if that is wanted.
    httpd: Option<PathBuf>,
    /// Measures servers and no loops.
    only_servers: bool,
    quick: bool,
    /// Runs each contender with little to do, and measures nothing.
    smoke: bool,
    /// Counts instructions and system calls, and measures no time.
    only_counts: bool,
    repetitions: Option<usize>,
}

impl Options {
    fn parse(mut parser: Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("sources") => options.sources = parser.value()?.into(),
                Arg::Long("programs") => options.programs = parser.value()?.into(),
                Arg::Long("out") => options.out = parser.value()?.into(),
                Arg::Long("httpd") => options.httpd = Some(parser.value()?.into()),
                Arg::Long("only-servers") => options.only_servers = true,
                Arg::Long("quick") => options.quick = true,
                Arg::Long("smoke") => options.smoke = true,
                Arg::Long("instructions") => options.only_counts = true,
                Arg::Long("repetitions") => options.repetitions = Some(parser.value()?.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        // Counting takes no less time where less is measured.
        options.quick &= !options.only_counts;
        Ok(options)
    }

    fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(if self.quick { 3 } else { 7 })
    }
}

fn main() -> ExitCode {
    let answer = Options::parse(Parser::from_env()).map_err(Error::from);
    match answer.and_then(|options| report(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for. All of it is reported before a failure is.
fn report(options: &Options) -> Result {
    if options.smoke {
        return succeeded(&smoke::report(options)?);
    }
    fs::create_dir_all(&options.out)?;
    let mut failures = vec![];
    if !options.only_servers {
        failures.extend(loops::report(options)?);
    }
    if let Some(httpd) = &options.httpd {
        failures.extend(servers::report(httpd, options)?);
    }
    println!("Tables and charts are in {}.", options.out.display());
    succeeded(&failures)
}

/// The error, if anything failed: a table with a row of words in it is not what was asked for.
fn succeeded(failures: &[String]) -> Result {
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error(format!("these failed:\n{}", failures.join("\n"))))
    }
}
