//! `cargo xtask bench`: builds the programs in `bench`, which is a workspace of its own, and has them report.
//!
//! | option | does |
//! |---|---|
//! | `--quick` | fewer measurements, shorter ones and fewer repetitions: under two minutes |
//! | `--instructions` | counts instructions and system calls of an event and measures no time |
//! | `--repetitions N` | how often each contender is run, 7 times else and 3 times with `--quick` |
//! | `--out DIR` | where tables and charts go; else below the target directory |

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path;
use std::process::Command;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::workspace::Workspace;
use crate::{Error, Result, process};

pub(crate) const OPTIONS: &str = "[--quick] [--instructions] [--repetitions N] [--out DIR]";

/// The program that runs the others.
const REPORT: &str = "bench-report";

pub(crate) fn command(mut parser: Parser) -> Result {
    let (mut passed_on, mut out): (Vec<String>, _) = (Vec::new(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => passed_on.push("--quick".to_owned()),
            Arg::Long("instructions") => passed_on.push("--instructions".to_owned()),
            Arg::Long("repetitions") => {
                let repetitions: NonZeroUsize = parser.value()?.parse()?;
                passed_on.push(format!("--repetitions={repetitions}"));
            }
            Arg::Long("out") => out = Some(parser.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    run(&Workspace::load()?, &passed_on, out)
}

/// Checks and tests the programs in `bench`, and has each benchmark of a data structure run once.
pub(crate) fn check(workspace: &Workspace) -> Result {
    let manifest = workspace.root().join("bench/Cargo.toml");
    let cargo = |command: &str, arguments: &[&str]| {
        let mut cargo = process::cargo(workspace, command);
        cargo.arg("--manifest-path").arg(&manifest).args(arguments);
        process::run_silent(&mut cargo)
    };
    cargo("fmt", &["--all", "--check"])?;
    cargo(
        "clippy",
        &["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    )?;
    cargo("test", &["--workspace", "--locked"])?;
    for package in ["ev-timer", "ev-map", "ev-core"] {
        let mut benchmarks = process::cargo(workspace, "test");
        benchmarks.args(["--package", package, "--benches"]);
        if package == "ev-core" {
            benchmarks.args(["--features", "sim"]);
        }
        process::run_silent(&mut benchmarks)?;
    }
    Ok(())
}

fn run(workspace: &Workspace, passed_on: &[String], out: Option<OsString>) -> Result {
    let bench = workspace.root().join("bench");
    let mut build = process::cargo(workspace, "build");
    build
        .args(["--release", "--locked", "--manifest-path"])
        .arg(bench.join("Cargo.toml"));
    let programs = process::build(&mut build)?;
    let Some(report) = programs.iter().find(|program| program.name == REPORT) else {
        return Err(Error::Failed(format!("`{}` built no {REPORT}", process::shown(&build))));
    };
    let out = match out {
        Some(directory) => path::absolute(directory)?,
        None => workspace.log_directory("bench").into(),
    };
    let mut command = Command::new(&report.path);
    command.arg("--sources").arg(bench.join("peers/c"));
    command.arg("--programs").args(report.path.parent());
    command.arg("--out").arg(out);
    let status = command.args(passed_on).status()?;
    if status.success() { Ok(()) } else { Err(Error::Reported) }
}
