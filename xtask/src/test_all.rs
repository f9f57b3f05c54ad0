//! `cargo xtask test-all`: every crate's tests, then the suite on every backend and driver.

mod cell;
mod selection;
mod suite;

use std::time::{Duration, Instant};

use cargo_metadata::{Package, Target};
use lexopt::Parser;

use crate::process::{self, Ended};
use crate::table::{Row, Table};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{Error, Result};

pub(crate) use selection::{OPTIONS, Selection};
use suite::Suite;

/// The time after which a crate's tests are taken for hanging.
const CRATE_LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn command(parser: Parser) -> Result {
    let selection = Selection::parse(parser)?;
    let tally = run(&Workspace::load()?, &selection)?;
    println!("{tally}");
    if tally.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

/// Runs what was selected and prints its table; the closing line is left to the caller.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    let mut table = Table::default();
    if selection.is_everything() {
        for package in workspace.members() {
            table.rows.push(test_crate(workspace, package)?);
        }
    }
    let suite = Suite::build(workspace)?;
    let mut scenarios = 0;
    for cell in selection.cells() {
        let start = Instant::now();
        let outcome = suite.run(cell, selection)?;
        println!("{cell}: {outcome} ({:.1} s)", start.elapsed().as_secs_f64());
        scenarios += outcome.scenarios();
        table.rows.push(outcome.into_row(cell));
    }
    println!("\n{table}");
    if scenarios == 0 {
        return Err(Error::Failed("no scenario ran in any of the selected cells".to_owned()));
    }
    Ok(table.tally())
}

/// Tests one crate alone, as its users build it: with its own default features and no sibling's.
fn test_crate(workspace: &Workspace, package: &Package) -> Result<Row> {
    let start = Instant::now();
    let mut row = Row {
        name: package.name.to_string(),
        tally: Tally::default(),
        why: vec![],
    };
    for targets in target_choices(package) {
        let mut command = process::cargo(workspace, "test");
        command
            .args(["--no-fail-fast", "--package", package.name.as_str()])
            .args(targets);
        let log = workspace
            .log_directory("test-all")
            .join(format!("{}.log", package.name));
        let ended = process::run_limited(&mut command, &log, CRATE_LIMIT)?;
        let (tally, problem) = judge_cargo_test(&ended);
        if tally.failed > 0 {
            println!("`{}`:\n{}", process::shown(&command), ended.output);
        }
        row.tally = row.tally + tally;
        row.why.extend(problem);
    }
    if row.tally.skipped > 0 {
        row.why.push(format!("{} × marked as ignored", row.tally.skipped));
    }
    println!(
        "crate {}: {} ({:.1} s)",
        row.name,
        row.tally,
        start.elapsed().as_secs_f64()
    );
    Ok(row)
}

/// What to pass to `cargo test` so that all of a crate's tests run, the suite excepted.
///
/// Cargo cannot be told to leave out one target, and takes `--doc` only alone.
fn target_choices(package: &Package) -> Vec<Vec<String>> {
    let (suite, tests): (Vec<&Target>, _) = package
        .targets
        .iter()
        .filter(|target| target.is_test())
        .partition(|target| target.name == suite::TARGET);
    if suite.is_empty() {
        return vec![vec![]];
    }
    let mut targets = vec!["--lib".to_owned()];
    for test in tests {
        targets.extend(["--test".to_owned(), test.name.clone()]);
    }
    vec![targets, vec!["--doc".to_owned()]]
}

/// The counts of a `cargo test`, and what is wrong where no failed test says so. That counts as one failure.
fn judge_cargo_test(ended: &Ended) -> (Tally, Option<String>) {
    let mut tally = Tally::of_libtest(&ended.output);
    let problem = match ended.status {
        Some(status) if status.success() || tally.failed > 0 => return (tally, None),
        Some(status) => format!("cargo test: {status}"),
        None => format!("no end after {} s", CRATE_LIMIT.as_secs()),
    };
    tally.failed += 1;
    (tally, Some(problem))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    const ONE_PASSED: &str = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    const ONE_FAILED: &str = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";

    fn judge(output: &str, exit_code: Option<i32>) -> (Tally, Option<String>) {
        let status = exit_code.map(|code| ExitStatus::from_raw(code << 8));
        judge_cargo_test(&Ended {
            status,
            output: output.to_owned(),
        })
    }

    #[test]
    fn counts_alone_tell_of_tests_that_ran() {
        assert_eq!(
            judge(ONE_PASSED, Some(0)),
            (
                Tally {
                    passed: 1,
                    failed: 0,
                    skipped: 0
                },
                None
            )
        );
        assert_eq!(
            judge(ONE_FAILED, Some(101)),
            (
                Tally {
                    passed: 0,
                    failed: 1,
                    skipped: 0
                },
                None
            )
        );
    }

    #[test]
    fn a_run_that_broke_off_counts_as_one_failure() {
        for (output, exit_code) in [
            ("error: could not compile", Some(101)),
            (ONE_PASSED, Some(101)),
            ("", None),
        ] {
            let (tally, problem) = judge(output, exit_code);
            assert_eq!(tally.failed, 1, "{output}");
            assert!(problem.is_some(), "{output}");
        }
    }
}
