//! The tests of the crates, each built alone: with its own features, the default ones and those that are there to be
//! tested, and no sibling's.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Package, Target};

use super::suite;
use crate::process::{self, Ended};
use crate::table::Row;
use crate::tally::Tally;
use crate::workspace::{LIBKQUEUE, Workspace, features_for_tests};
use crate::{Error, Result};

/// The crates that have loom models, and the test target that holds them.
const MODELS: &[(&str, &str)] = &[("ev-thread", "loom")];

/// What a test says that cannot run, behind its name and before the reason. The harness takes it for passed.
const SKIPPED: &str = " is SKIPPED: ";

/// The time after which a test program is taken for hanging.
const LIMIT: Duration = Duration::from_mins(5);

/// What is tested together and makes one row of the table.
///
/// Cargo only builds the programs. They are started from here, so that one that hangs can be ended.
#[derive(Debug)]
pub(super) struct Tests {
    name: String,
    /// Where cargo would run them: beside the manifest.
    directory: Utf8PathBuf,
    build: Command,
    doc: Option<Command>,
    /// Why the tests of kqueue are left out.
    no_kqueue: Option<String>,
}

/// The tests of every crate and the loom models.
pub(super) fn all(workspace: &Workspace) -> Result<Vec<Tests>> {
    let mut all: Vec<Tests> = workspace
        .members()
        .into_iter()
        .map(|package| Tests::of(workspace, package))
        .collect();
    for (package, target) in MODELS {
        all.push(Tests::of_models(workspace, workspace.library(package)?, target));
    }
    Ok(all)
}

impl Tests {
    /// What `cargo test --package NAME` runs, the suite excepted; with kqueue where the system or libkqueue has it.
    fn of(workspace: &Workspace, package: &Package) -> Self {
        // The suite has cells for kqueue, and its crate no other tests of it.
        let kqueue = if package.features.contains_key(LIBKQUEUE) && package.name != suite::PACKAGE {
            super::kqueue_features()
        } else {
            Ok(&[][..])
        };
        let cargo_test = |kind| {
            let mut command = process::cargo(workspace, "test");
            command.args([kind, "--package", &package.name]);
            command.args(features_for_tests(&package.name));
            command.args(kqueue.as_ref().copied().unwrap_or_default());
            command
        };
        Self {
            name: package.name.to_string(),
            directory: directory(package),
            build: cargo_test("--no-run"),
            doc: package.targets.iter().any(Target::is_lib).then(|| cargo_test("--doc")),
            no_kqueue: kqueue.err(),
        }
    }

    /// A crate's models: compiled with loom's atomics and locks for the real ones, and optimised, as loom runs them some
    /// hundred thousand times.
    fn of_models(workspace: &Workspace, package: &Package, target: &str) -> Self {
        let mut build = process::cargo(workspace, "test");
        build.args(["--no-run", "--release", "--package", &package.name, "--test", target]);
        build.env("RUSTFLAGS", "--cfg loom -D warnings");
        build.env("CARGO_TARGET_DIR", workspace.target_directory().join("loom"));
        Self {
            name: format!("{} {target}", package.name),
            directory: directory(package),
            build,
            doc: None,
            no_kqueue: None,
        }
    }

    /// Runs all of it, and shows the output of what fails.
    pub(super) fn run(mut self, workspace: &Workspace) -> Result<Row> {
        let mut row = Row {
            name: self.name.clone(),
            tally: Tally::default(),
            why: vec![],
        };
        let commands = match self.commands() {
            Ok(commands) => commands,
            Err(Error::Failed(problem)) => {
                println!("{problem}");
                broke(&mut row, "does not build".to_owned());
                return Ok(row);
            }
            Err(other) => return Err(other),
        };
        let mut skips = Skips::new();
        for (program, mut command) in commands {
            let log = workspace
                .log_directory("test-all")
                .join(format!("{} {program}.log", self.name));
            let ended = process::run_limited(&mut command, &log, LIMIT)?;
            let failed_before = row.tally.failed;
            add(&mut row, &mut skips, &program, &ended);
            if row.tally.failed > failed_before {
                println!("`{}`:\n{}", process::shown(&command), ended.output);
            }
        }
        if row.tally.ran() == 0 {
            broke(&mut row, "no test ran".to_owned());
        }
        if let Some(reason) = self.no_kqueue {
            row.tally.skipped += 1;
            skips.insert(format!("kqueue: {reason}"), 1);
        }
        row.why
            .extend(skips.iter().map(|(reason, count)| format!("{count} × {reason}")));
        Ok(row)
    }

    /// Builds the programs and returns how to start each, with its name.
    fn commands(&mut self) -> Result<Vec<(String, Command)>> {
        let mut commands = Vec::new();
        for program in process::build(&mut self.build)? {
            if program.name != suite::TARGET {
                let mut command = Command::new(&program.path);
                command.current_dir(&self.directory).arg("--quiet");
                commands.push((program.name, command));
            }
        }
        commands.extend(self.doc.take().map(|command| ("doc".to_owned(), command)));
        Ok(commands)
    }
}

fn directory(package: &Package) -> Utf8PathBuf {
    package
        .manifest_path
        .parent()
        .map_or_else(Utf8PathBuf::new, ToOwned::to_owned)
}

/// How often each reason for skipping a test was given.
type Skips = BTreeMap<String, usize>;

/// Adds what a test program came to.
fn add(row: &mut Row, skips: &mut Skips, program: &str, ended: &Ended) {
    let mut tally = Tally::of_libtest(&ended.output);
    if tally.skipped > 0 {
        *skips.entry("marked as ignored".to_owned()).or_default() += tally.skipped;
    }
    let skipped = ended.output.lines().filter_map(|line| line.split_once(SKIPPED));
    for (_test, reason) in skipped {
        tally.passed = tally.passed.saturating_sub(1);
        tally.skipped += 1;
        *skips.entry(reason.to_owned()).or_default() += 1;
    }
    row.tally = row.tally + tally;
    match ended.status {
        None => broke(row, format!("{program}: no end after {} s", LIMIT.as_secs())),
        Some(status) if !status.success() && tally.failed == 0 => broke(row, format!("{program}: {status}")),
        Some(_) => {}
    }
}

/// Notes a fault that no failed test tells of. It counts as one.
fn broke(row: &mut Row, problem: String) {
    row.tally.failed += 1;
    row.why.push(problem);
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const ONE_PASSED: &str = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    const ONE_FAILED: &str = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";

    fn row(output: &str, exit_code: Option<i32>) -> (Row, Skips) {
        let mut row = Row {
            name: String::new(),
            tally: Tally::default(),
            why: vec![],
        };
        let mut skips = Skips::new();
        let status = exit_code.map(|code| ExitStatus::from_raw(code << 8));
        add(
            &mut row,
            &mut skips,
            "alone",
            &Ended {
                status,
                output: output.to_owned(),
            },
        );
        (row, skips)
    }

    #[test]
    fn counts_alone_tell_of_tests_that_ran() {
        for (output, exit_code, passed, failed) in [(ONE_PASSED, 0, 1, 0), (ONE_FAILED, 101, 0, 1)] {
            let (row, skips) = row(output, Some(exit_code));
            assert_eq!(
                row.tally,
                Tally {
                    passed,
                    failed,
                    skipped: 0
                }
            );
            assert!(row.why.is_empty() && skips.is_empty());
        }
    }

    #[test]
    fn a_program_that_broke_off_counts_as_one_failure_and_is_named() {
        for (output, exit_code) in [("", Some(101)), (ONE_PASSED, Some(101)), (ONE_PASSED, None)] {
            let (row, _) = row(output, exit_code);
            assert_eq!(row.tally.failed, 1, "{output}");
            assert!(row.why[0].starts_with("alone: "), "{:?}", row.why);
        }
    }
    #[test]
    fn what_could_not_run_has_not_passed() {
        let output = "..io: one is SKIPPED: no tracer\n.io: two is SKIPPED: no tracer\n\
            test result: ok. 5 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n";
        let (row, skips) = row(output, Some(0));
        assert_eq!(
            row.tally,
            Tally {
                passed: 3,
                failed: 0,
                skipped: 5
            }
        );
        assert_eq!(
            skips,
            [("marked as ignored", 3), ("no tracer", 2)]
                .map(|(reason, count)| (reason.to_owned(), count))
                .into()
        );
    }
}
