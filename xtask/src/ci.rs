//! `cargo xtask ci`: every check, the quick ones first; it stops at the first that fails.

use std::time::Instant;

use lexopt::Parser;

use crate::tally::Tally;
use crate::test_all::{self, Selection};
use crate::workspace::Workspace;
use crate::{Error, Result, bench, capi, cross, examples, features, process, tidy};

/// A check, and the tests it counts.
type Step = fn(&Workspace) -> Result<Tally>;

const STEPS: &[(&str, Step)] = &[
    ("fmt", |workspace| uncounted(fmt(workspace))),
    ("tidy", |workspace| uncounted(tidy::run(workspace))),
    ("clippy", |workspace| uncounted(clippy(workspace))),
    ("doc", |workspace| uncounted(doc(workspace))),
    ("features", |workspace| uncounted(features::run(workspace))),
    ("cross", |workspace| uncounted(cross::run(workspace))),
    ("bench", |workspace| uncounted(bench::check(workspace))),
    ("examples", |workspace| examples::run(workspace, &[])),
    ("capi", capi::compare),
    ("test-all", |workspace| test_all::run(workspace, &Selection::default())),
];

pub(crate) fn command(parser: Parser) -> Result {
    crate::no_arguments(parser)?;
    let workspace = Workspace::load()?;
    let start = Instant::now();
    let mut sum = Tally::default();
    for (name, step) in STEPS {
        println!("== {name}");
        let start = Instant::now();
        let tally = step(&workspace).map_err(|error| stopped_at(name, error))?;
        println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
        sum = sum + tally;
        if tally.failed > 0 {
            break;
        }
    }
    println!("== all: {:.1} s", start.elapsed().as_secs_f64());
    println!("{sum}");
    if sum.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

fn uncounted(result: Result) -> Result<Tally> {
    result.map(|()| Tally::default())
}

fn stopped_at(step: &str, error: Error) -> Error {
    match error {
        Error::Failed(message) => Error::Failed(format!("ci stopped at {step}: {message}")),
        other => other,
    }
}

fn fmt(workspace: &Workspace) -> Result {
    process::run_silent(process::cargo(workspace, "fmt").args(["--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result {
    let mut command = process::cargo(workspace, "clippy");
    command.args(["--workspace", "--all-targets", "--features", &workspace.all_features()]);
    process::run_silent(command.args(["--", "-D", "warnings"]))
}

fn doc(workspace: &Workspace) -> Result {
    let all_features = workspace.all_features();
    let selections: [&[&str]; 2] = [
        &["--workspace", "--features", &all_features],
        &["--package", "ev-core", "--no-default-features", "--features", "epoll"],
    ];
    for selection in selections {
        let mut command = process::cargo(workspace, "doc");
        command.arg("--no-deps").args(selection);
        process::run_silent(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}
