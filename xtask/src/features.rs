//! `cargo xtask features`: feature combinations that have to build without a warning, and some that are tested.
//!
//! For both crates whose features choose backends: no feature, each alone, the default. For `ev-core` also no backend,
//! each, and all of them, with each choice of its other parts; without a backend it has to say that it needs one.

use std::collections::BTreeSet;
use std::process::Command;

use lexopt::Parser;

use crate::process;
use crate::workspace::{LIBKQUEUE, Workspace};
use crate::{Error, Result};

/// The crates whose features are tried one by one.
const CRATES: &[&str] = &["ev-backend", "ev-core"];

/// What `ev-core` says when it is built without a backend.
const NEEDS_A_BACKEND: &str = "ev-core needs a backend";

const BACKENDS: &[&str] = &["epoll", "kqueue", "poll", "select"];
/// What else `ev-core` is put together from.
const PARTS: &[&[&str]] = &[&[], &["signals"], &["threads"], &["signals", "threads"]];

/// Combinations of which the unit tests are run as well.
const TESTED: &[(&str, &[&str])] = &[
    ("ev-backend", &["epoll"]),
    ("ev-backend", &["poll"]),
    ("ev-backend", &["select"]),
    ("ev-core", &["poll"]),
    ("ev-core", &["epoll", "signals"]),
    ("ev-core", &["select", "threads"]),
    ("ev-core", &["sim", "log"]),
];

/// The simulated backend, which brings a real one.
const SIMULATION: &str = "sim";

pub(crate) fn command(parser: Parser) -> Result {
    crate::no_arguments(parser)?;
    run(&Workspace::load()?)
}

pub(crate) fn run(workspace: &Workspace) -> Result {
    let mut failed = 0;
    for package in CRATES {
        let declared = workspace.library(package)?.features.keys().map(String::as_str);
        let has_libkqueue = process::pkg_config(LIBKQUEUE).is_ok();
        let builds = declared
            .filter(|feature| has_libkqueue || *feature != LIBKQUEUE)
            .collect();
        for combination in combinations(package, builds) {
            let mut check = combination.command(workspace, "check");
            let checked = process::run_silent(check.args(["--lib", "--tests"]));
            failed += combination.report("check", combination.judge(checked))?;
        }
    }
    for (package, features) in TESTED {
        let combination = Combination {
            package,
            features: features.to_vec(),
        };
        let mut test = combination.command(workspace, "test");
        failed += combination.report("test", process::run(test.arg("--lib")).map(drop))?;
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::Failed(format!("{failed} feature combinations failed")))
    }
}

/// Features of a crate, with its default ones off.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Combination<'a> {
    package: &'a str,
    features: Vec<&'a str>,
}

impl Combination<'_> {
    fn command(&self, workspace: &Workspace, subcommand: &str) -> Command {
        let mut command = process::cargo(workspace, subcommand);
        command.args([
            "--package",
            self.package,
            "--no-default-features",
            "--features",
            &self.features.join(","),
        ]);
        command
    }

    /// Whether this is the core without any backend.
    fn lacks_a_backend(&self) -> bool {
        let has_backend =
            |feature: &&str| BACKENDS.contains(feature) || [LIBKQUEUE, SIMULATION, "default"].contains(feature);
        self.package == "ev-core" && !self.features.iter().any(has_backend)
    }

    /// What a check's result means: where the core lacks a backend it has to be refused, with the reason and without an
    /// error of the compiler beside it.
    fn judge(&self, checked: Result) -> Result {
        if !self.lacks_a_backend() {
            return checked;
        }
        match checked {
            Err(Error::Failed(problem)) if problem.contains(NEEDS_A_BACKEND) && !problem.contains("error[") => Ok(()),
            Ok(()) => Err(Error::Failed("built without a backend, which it must not".into())),
            other => other,
        }
    }

    /// Prints what came of it. Returns 1 if it failed.
    fn report(&self, subcommand: &str, result: Result) -> Result<usize> {
        let (verdict, failed) = match result {
            Ok(()) => (String::new(), 0),
            Err(Error::Failed(problem)) => (format!(": FAILED\n{problem}"), 1),
            Err(other) => return Err(other),
        };
        println!("{subcommand} {} [{}]{verdict}", self.package, self.features.join(", "));
        Ok(failed)
    }
}

/// What to check of a crate that declares these features, each combination once.
fn combinations<'a>(package: &'a str, declared: Vec<&'a str>) -> BTreeSet<Combination<'a>> {
    let mut choices = vec![vec![]];
    choices.extend(declared.into_iter().map(|feature| vec![feature]));
    if package == "ev-core" {
        let backends = BACKENDS.chunks(1).chain([&[][..], BACKENDS]);
        choices.extend(backends.flat_map(|backends| PARTS.iter().map(move |parts| [backends, parts].concat())));
    }
    choices
        .into_iter()
        .map(|features| Combination { package, features })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features<'a>(package: &'a str, declared: &[&'a str]) -> Vec<Vec<&'a str>> {
        combinations(package, declared.to_vec())
            .into_iter()
            .map(|combination| combination.features)
            .collect()
    }

    #[test]
    fn a_crate_is_checked_bare_and_with_each_feature() {
        assert_eq!(
            features("ev-backend", &["default", "poll"]),
            [vec![], vec!["default"], vec!["poll"]]
        );
    }

    #[test]
    fn the_core_without_a_backend_has_to_say_so() {
        let refusal = || Err(Error::Failed(format!("error: {NEEDS_A_BACKEND}: enable one")));
        let core = |features| Combination {
            package: "ev-core",
            features,
        };
        assert!(core(vec!["signals"]).judge(refusal()).is_ok());
        assert!(core(vec!["signals"]).judge(Ok(())).is_err());
        let more = format!("error: {NEEDS_A_BACKEND}\nerror[E0432]: unresolved import");
        assert!(core(vec!["signals"]).judge(Err(Error::Failed(more))).is_err());
        assert!(
            core(vec!["signals"])
                .judge(Err(Error::Failed("another error".into())))
                .is_err()
        );
        assert!(core(vec!["poll"]).judge(refusal()).is_err());
        assert!(core(vec!["poll"]).judge(Ok(())).is_ok());
    }

    #[test]
    fn the_core_is_checked_with_every_choice_of_its_parts() {
        let features = features("ev-core", &["default", "poll", "signals"]);
        // No backend, each or all of them, times the parts; and `default`, which names what the last of them does.
        assert_eq!(features.len(), (1 + BACKENDS.len() + 1) * PARTS.len() + 1);
        for some in [
            &[][..],
            &["signals"],
            &["poll", "threads"],
            &["epoll", "kqueue", "poll", "select", "signals"],
        ] {
            assert!(features.iter().any(|features| features == some), "{some:?}");
        }
    }
}
