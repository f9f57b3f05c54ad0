//! `cargo xtask bench`: builds the programs in `bench`, which is a workspace of its own, and has them report.
//!
//! | option | does |
//! |---|---|
//! | `--quick` | fewer measurements, shorter ones and fewer repetitions: under two minutes |
//! | `--instructions` | counts instructions and system calls of an event and measures no time |
//! | `--servers` | measures the web servers and nothing else; with `--quick`, in addition to the rest |
//! | `--repetitions N` | how often each contender is run, 7 times else and 3 times with `--quick` |
//! | `--out DIR` | where tables and charts go; else below the target directory |

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path;
use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;
use lexopt::{Arg, Parser, ValueExt as _};

use crate::workspace::Workspace;
use crate::{Error, Result, process};

pub(crate) const OPTIONS: &str = "[--quick] [--instructions] [--servers] [--repetitions N] [--out DIR]";

/// The program that runs the others.
const REPORT: &str = "bench-report";

pub(crate) fn command(mut parser: Parser) -> Result {
    let (mut passed_on, mut out): (Vec<String>, _) = (Vec::new(), None);
    let mut servers = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long(name @ ("quick" | "instructions")) => passed_on.push(format!("--{name}")),
            Arg::Long("servers") => servers = true,
            Arg::Long("repetitions") => {
                let repetitions: NonZeroUsize = parser.value()?.parse()?;
                passed_on.push(format!("--repetitions={repetitions}"));
            }
            Arg::Long("out") => out = Some(parser.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let is_given = |option| passed_on.iter().any(|passed| passed == option);
    let (quick, instructions) = (is_given("--quick"), is_given("--instructions"));
    if servers && instructions {
        let message = "`--servers` measures time, and `--instructions` does not";
        return Err(Error::Usage(message.to_owned()));
    }
    if servers && !quick {
        passed_on.push("--only-servers".to_owned());
    }
    let workspace = Workspace::load()?;
    if servers || !(quick || instructions) {
        passed_on.push(format!("--httpd={}", httpd(&workspace)?));
    }
    run(&workspace, &passed_on, out)
}

/// Checks and tests the programs in `bench`, and has each benchmark of a data structure run once, and each contender with
/// little to do.
pub(crate) fn check(workspace: &Workspace) -> Result {
    let manifest = workspace.root().join("bench/Cargo.toml");
    let cargo = |command: &str, arguments: &[&str]| {
        let mut cargo = process::cargo(workspace, command);
        cargo.arg("--manifest-path").arg(&manifest).args(arguments);
        cargo
    };
    process::run_silent(&mut cargo("fmt", &["--all", "--check"]))?;
    let clippy = ["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    process::run_silent(&mut cargo("clippy", &clippy))?;
    process::run(&mut cargo("test", &["--workspace", "--locked"]))?;
    for package in ["ev-timer", "ev-map", "ev-core"] {
        let mut benchmarks = process::cargo(workspace, "test");
        benchmarks.args(["--package", package, "--benches"]);
        if package == "ev-core" {
            benchmarks.args(["--features", "sim"]);
        }
        process::run(&mut benchmarks)?;
    }
    start(report(workspace)?.arg("--smoke"))
}

/// Builds the web server of the examples as its users would, and says where it is.
fn httpd(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let mut build = process::cargo(workspace, "build");
    build.args(["--release", "--package", "ev-core", "--example", "httpd"]);
    let program = process::build(&mut build)?.pop();
    let none = || Error::Failed(format!("`{}` built nothing", process::shown(&build)));
    Ok(program.ok_or_else(none)?.path)
}

fn run(workspace: &Workspace, passed_on: &[String], out: Option<OsString>) -> Result {
    let mut report = report(workspace)?;
    let out = match out {
        Some(directory) => path::absolute(directory)?,
        None => workspace.log_directory("bench").into(),
    };
    start(report.arg("--out").arg(out).args(passed_on))
}

/// Builds the programs, and says how to start the one that runs the others.
fn report(workspace: &Workspace) -> Result<Command> {
    let bench = workspace.root().join("bench");
    let mut build = process::cargo(workspace, "build");
    build
        .args(["--release", "--locked", "--manifest-path"])
        .arg(bench.join("Cargo.toml"));
    let programs = process::build(&mut build)?;
    let Some(report) = programs.iter().find(|program| program.name == REPORT) else {
        return Err(Error::Failed(format!("`{}` built no {REPORT}", process::shown(&build))));
    };
    let mut command = Command::new(&report.path);
    command.arg("--sources").arg(bench.join("peers/c"));
    command.arg("--programs").args(report.path.parent());
    Ok(command)
}

/// Lets it print, and takes its word for how it went.
fn start(report: &mut Command) -> Result {
    let status = report.status()?;
    if status.success() { Ok(()) } else { Err(Error::Reported) }
}
