//! `cargo xtask features`: feature combinations that have to build without a warning, and some that are tested.
//!
//! For both crates whose features choose backends: no feature, each alone, the default. For `ev-core` also no backend,
//! each, and all of them, with each choice of its other parts; without a backend it runs on one its user brings.

use std::process::Command;

use lexopt::Parser;

use crate::process;
use crate::workspace::{LIBKQUEUE, Workspace};
use crate::{Error, Result};

/// The crates whose features are tried one by one.
const CRATES: &[&str] = &["ev-backend", "ev-core"];

const BACKENDS: &[&str] = &["epoll", "kqueue", "poll", "select"];
/// What else `ev-core` is put together from.
const PARTS: &[&[&str]] = &[&[], &["signals"], &["threads"], &["signals", "threads"]];

/// Combinations of which the unit tests are run as well.
const TESTED: &[(&str, &[&str])] = &[
    ("ev-backend", &["epoll"]),
    ("ev-backend", &["poll"]),
    ("ev-backend", &["select"]),
    ("ev-core", &[]),
    ("ev-core", &["poll"]),
    ("ev-core", &["epoll", "signals"]),
    ("ev-core", &["select", "threads"]),
];

pub(crate) fn command(parser: Parser) -> Result {
    crate::no_arguments(parser)?;
    run(&Workspace::load()?)
}

pub(crate) fn run(workspace: &Workspace) -> Result {
    let without_libkqueue = process::libkqueue().is_err();
    let mut failed = 0;
    for package in CRATES {
        let declared = workspace.library(package)?.features.keys().map(String::as_str);
        let singles = declared
            .filter(|feature| !(without_libkqueue && *feature == LIBKQUEUE))
            .collect();
        for features in combinations(package, singles) {
            let mut command = choose(workspace, "check", package, &features);
            failed += report(
                "check",
                package,
                &features,
                process::run_silent(command.args(["--lib", "--tests"])),
            )?;
        }
    }
    for (package, features) in TESTED {
        let mut command = choose(workspace, "test", package, features);
        failed += report("test", package, features, process::run(command.arg("--lib")).map(drop))?;
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::Failed(format!("{failed} feature combinations failed")))
    }
}

fn choose(workspace: &Workspace, subcommand: &str, package: &str, features: &[&str]) -> Command {
    let mut command = process::cargo(workspace, subcommand);
    command.args([
        "--package",
        package,
        "--no-default-features",
        "--features",
        &features.join(","),
    ]);
    command
}

/// Prints what came of a combination, and counts it if it failed.
fn report(what: &str, package: &str, features: &[&str], result: Result) -> Result<usize> {
    let features = features.join(", ");
    match result {
        Ok(()) => {
            println!("{what} {package} [{features}]");
            Ok(0)
        }
        Err(Error::Failed(problem)) => {
            println!("{what} {package} [{features}]: FAILED\n{problem}");
            Ok(1)
        }
        Err(other) => Err(other),
    }
}

/// What to check of a crate with these features, no combination twice.
fn combinations<'a>(package: &str, declared: Vec<&'a str>) -> Vec<Vec<&'a str>> {
    let mut combinations = vec![vec![]];
    combinations.extend(declared.into_iter().map(|feature| vec![feature]));
    if package == "ev-core" {
        let choices = BACKENDS.chunks(1).chain([&[][..], BACKENDS]);
        combinations.extend(choices.flat_map(|backends| PARTS.iter().map(move |parts| [backends, parts].concat())));
    }
    combinations.sort();
    combinations.dedup();
    combinations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_checked_bare_and_with_each_feature() {
        assert_eq!(
            combinations("ev-backend", vec!["default", "poll"]),
            [vec![], vec!["default"], vec!["poll"]]
        );
    }

    #[test]
    fn the_core_is_checked_with_every_choice_of_its_parts() {
        let combinations = combinations("ev-core", vec!["default", "poll", "signals"]);
        // No backend, each or all of them, times the parts; and `default`, which names what the last of them does.
        assert_eq!(combinations.len(), (1 + BACKENDS.len() + 1) * PARTS.len() + 1);
        for some in [
            &[][..],
            &["signals"],
            &["poll", "threads"],
            &["epoll", "kqueue", "poll", "select", "signals"],
        ] {
            assert!(combinations.iter().any(|features| features == some), "{some:?}");
        }
    }
}
