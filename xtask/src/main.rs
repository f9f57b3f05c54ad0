//! The workspace's own commands, run as `cargo xtask COMMAND`; `cargo xtask help` lists them.
//!
//! | module | holds |
//! |---|---|
//! | `test_all` | the crates' tests, then the shared suite over every backend and driver, in one table |
//! | `tidy` | the rules that the compiler does not know: layers, unsafe code, file sizes, manifests, text |
//! | `features` | the feature combinations that have to build, and a few that are tested |
//! | `cross` | type checks for the systems this machine does not run |
//! | `examples` | the examples, built in release and used as a person would use them |
//! | `bench` | the project beside other event loops: tables, targets and charts |
//! | `capi` | libevent's C interface as libraries, compared with libevent itself and used by programs of others |
//! | `ci` | all of it, in an order that fails early |
//!
//! A command fails with exit code 1, a misspelt command line with 2.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is how a command answers"
)]

mod bench;
mod capi;
mod ci;
mod cross;
mod examples;
mod features;
#[cfg(test)]
mod fixture;
mod process;
mod table;
mod tally;
mod test_all;
mod tidy;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt as _};

/// Why a command did not succeed.
#[derive(Debug)]
enum Error {
    /// The command line was not understood.
    Usage(String),
    /// What was asked for failed; the text says what, with the output that shows it.
    Failed(String),
    /// It failed, and everything about it is already printed.
    Reported,
}

type Result<T = ()> = std::result::Result<T, Error>;

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One word of `cargo xtask COMMAND`.
struct Command {
    name: &'static str,
    options: &'static str,
    summary: &'static str,
    run: fn(Parser) -> Result,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test-all",
        options: test_all::OPTIONS,
        summary: "Test every crate, then the suite on every backend and driver. With options: only those cells.",
        run: test_all::command,
    },
    Command {
        name: "tidy",
        options: "",
        summary: "Check the workspace against its own rules.",
        run: tidy::command,
    },
    Command {
        name: "features",
        options: "",
        summary: "Check the feature combinations that have to build, and test a few.",
        run: features::command,
    },
    Command {
        name: "cross",
        options: "",
        summary: "Type-check the libraries for FreeBSD, NetBSD, OpenBSD and macOS.",
        run: cross::command,
    },
    Command {
        name: "examples",
        options: examples::OPTIONS,
        summary: "Build the examples in release and use each one; all of them or those named.",
        run: examples::command,
    },
    Command {
        name: "capi",
        options: capi::OPTIONS,
        summary: "Build the libraries with libevent's C interface; check, test or use them.",
        run: capi::command,
    },
    Command {
        name: "bench",
        options: bench::OPTIONS,
        summary: "Measure the loops beside other libraries; print tables, write them and charts to DIR.",
        run: bench::command,
    },
    Command {
        name: "ci",
        options: "",
        summary: "Format, tidy, lints, docs, features, cross, bench, examples, capi and test-all.",
        run: ci::command,
    },
    Command {
        name: "help",
        options: "",
        summary: "Print this list.",
        run: help,
    },
];

fn main() -> ExitCode {
    let (message, code) = match dispatch(Parser::from_env()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Error::Reported) => return ExitCode::FAILURE,
        Err(Error::Failed(message)) => (message, ExitCode::FAILURE),
        Err(Error::Usage(message)) => (format!("{message}; see `cargo xtask help`"), ExitCode::from(2)),
    };
    eprintln!("xtask: {message}");
    code
}

fn dispatch(mut parser: Parser) -> Result {
    let name = match parser.next()? {
        None => return help(parser),
        Some(Arg::Long("help") | Arg::Short('h')) => "help".to_owned(),
        Some(Arg::Value(name)) => name.string()?,
        Some(option) => return Err(option.unexpected().into()),
    };
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(parser),
        None => Err(Error::Usage(format!("unknown command `{name}`"))),
    }
}

/// For commands that take neither options nor arguments.
fn no_arguments(mut parser: Parser) -> Result {
    match parser.next()? {
        None => Ok(()),
        Some(argument) => Err(argument.unexpected().into()),
    }
}

fn help(parser: Parser) -> Result {
    no_arguments(parser)?;
    println!("The workspace's own commands.\n\nUsage: cargo xtask COMMAND\n");
    for Command {
        name, options, summary, ..
    } in COMMANDS
    {
        let usage = format!("{name} {options}");
        println!("  {}\n      {summary}", usage.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage_error(arguments: &[&str]) -> String {
        match dispatch(Parser::from_args(arguments)) {
            Err(Error::Usage(message)) => message,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_misspelt_command_line_is_a_usage_error_of_one_line() {
        for arguments in [
            &["tesst"][..],
            &["--verbose"],
            &["tidy", "--fast"],
            &["tidy", "everything"],
            &["test-all", "--backend"],
            &["test-all", "--backend", "iocp"],
            &["test-all", "--driver", "both"],
            &["test-all", "epoll"],
        ] {
            assert_eq!(usage_error(arguments).lines().count(), 1, "{arguments:?}");
        }
    }

    #[test]
    fn a_usage_error_names_what_it_did_not_understand() {
        assert!(usage_error(&["tesst"]).contains("`tesst`"));
        assert!(usage_error(&["tidy", "--fast"]).contains("--fast"));
        assert!(usage_error(&["test-all", "--backend", "iocp"]).contains("`iocp`"));
    }
}
