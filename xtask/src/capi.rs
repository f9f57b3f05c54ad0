//! `cargo xtask capi`: libevent's C interface as libraries that programs load, and what shows that they can.
//!
//! | module | holds |
//! |---|---|
//! | `symbols` | the lists of exported names, and what `nm` and the headers say |
//! | `library` | the libraries themselves: one shared file under several names, a static one, one to preload |
//! | `check` | that they export what they should, against the lists and the system's libevent |
//! | `programs` | the programs in C, run on this library and on the system's, line by line alike |
//! | `differences` | the list of lines in which the two may differ |
//! | `races` | the same programs on a library in which thread sanitizer watches every access to memory |
//! | `clients` | programs of others that run on the library |
//!
//! Every call builds the libraries; the options say what else is done.

mod check;
mod clients;
mod differences;
mod library;
mod programs;
mod races;
mod symbols;

use std::collections::BTreeSet;

use cargo_metadata::camino::Utf8PathBuf;
use lexopt::{Arg, Parser, ValueExt as _};

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{Error, Result, process};
use library::Library;

pub(crate) const OPTIONS: &str = "[--out DIR] [--check] [--test] [--memcheck] [--races] [--clients] [NAME]...";

/// The crate.
const PACKAGE: &str = "ev-capi";

/// What is done with the libraries once they are built, each with its option, in this order.
const TASKS: &[(&str, Task)] = &[
    ("check", |_, library, _| check::run(library)),
    ("test", programs::compare),
    ("memcheck", programs::memcheck),
    ("races", |workspace, _, names| races::find(workspace, names)),
    ("clients", clients::run),
];

/// Runs the programs or clients of these names, all if there are none, and counts them.
type Task = fn(&Workspace, &Library, &[String]) -> Result<Tally>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    /// Where the libraries go; `None`: below the target directory.
    out: Option<Utf8PathBuf>,
    /// The names of the tasks.
    tasks: BTreeSet<String>,
    /// The programs and clients to run; none: all of them.
    names: Vec<String>,
}

impl Request {
    fn parse(mut parser: Parser) -> Result<Self> {
        let mut request = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("out") => request.out = Some(parser.value()?.string()?.into()),
                Arg::Long(name) if TASKS.iter().any(|(task, _)| *task == name) => {
                    request.tasks.insert(name.to_owned());
                }
                Arg::Value(name) => request.names.push(name.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if !request.names.is_empty() && request.tasks.iter().all(|task| task == "check") {
            return Err(Error::Usage(
                "names go with --test, --memcheck, --races or --clients".into(),
            ));
        }
        Ok(request)
    }
}

pub(crate) fn command(parser: Parser) -> Result {
    let request = Request::parse(parser)?;
    let tally = run(&Workspace::load()?, &request)?;
    if tally != Tally::default() {
        println!("{tally}");
    }
    if tally.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

/// Builds the libraries and checks them, and compares them with the system's libevent where that is installed.
pub(crate) fn compare(workspace: &Workspace) -> Result<Tally> {
    let mut request = Request::default();
    if let Err(reason) = process::pkg_config("libevent") {
        check::alone(&build(workspace, &request)?)?;
        println!("not compared with the system's libevent: {reason}");
        return Ok(Tally {
            skipped: 1,
            ..Tally::default()
        });
    }
    request.tasks = ["check", "test"].map(str::to_owned).into();
    run(workspace, &request)
}

fn run(workspace: &Workspace, request: &Request) -> Result<Tally> {
    let library = build(workspace, request)?;
    let mut sum = Tally::default();
    for (name, task) in TASKS {
        if request.tasks.contains(*name) {
            sum = sum + task(workspace, &library, &request.names)?;
        }
    }
    Ok(sum)
}

fn build(workspace: &Workspace, request: &Request) -> Result<Library> {
    let out = match &request.out {
        // A path that cargo was given is seen from where it was called.
        Some(out) if out.is_relative() => Utf8PathBuf::try_from(std::env::current_dir()?)
            .map_err(|error| Error::Failed(error.to_string()))?
            .join(out),
        Some(out) => out.clone(),
        None => workspace.target_directory().join("capi"),
    };
    let library = Library::build(workspace, &out)?;
    println!("libraries in {out}");
    Ok(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_the_command_line() {
        let request = Request::parse(Parser::from_args(["--out", "lib", "--check", "--test", "loop", "time"])).unwrap();
        assert_eq!(
            request,
            Request {
                out: Some("lib".into()),
                tasks: ["check", "test"].map(str::to_owned).into(),
                names: vec!["loop".into(), "time".into()],
            }
        );
    }

    #[test]
    fn names_without_anything_to_run_are_a_mistake() {
        for arguments in [&["loop"][..], &["--check", "loop"], &["--out"], &["--fast"]] {
            assert!(
                matches!(Request::parse(Parser::from_args(arguments)), Err(Error::Usage(_))),
                "{arguments:?}"
            );
        }
    }
}
