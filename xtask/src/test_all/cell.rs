//! What one cell of the suite came to, read from what the suite printed.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;

use super::selection::{Cell, Selection};
use crate::table::Row;
use crate::tally::Tally;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The scenarios ran; some may have failed.
    Ran {
        tally: Tally,
        /// How often each reason for skipping a scenario was given.
        skips: BTreeMap<String, usize>,
    },
    /// The whole cell is skipped.
    CannotRun(String),
    /// The suite crashed, hung, or did not say what it did.
    Broken(String),
}

impl Outcome {
    pub(crate) fn failed(&self) -> bool {
        self.tally().failed > 0
    }

    /// The number of scenarios that the cell has met, skipped ones included.
    pub(crate) fn scenarios(&self) -> usize {
        match self {
            Self::Ran { tally, .. } => tally.passed + tally.failed + tally.skipped,
            Self::CannotRun(_) | Self::Broken(_) => 0,
        }
    }

    /// What the cell adds to the sum: a cell that cannot run is one skipped test, a broken one is one failure.
    fn tally(&self) -> Tally {
        match self {
            Self::Ran { tally, .. } => *tally,
            Self::CannotRun(_) => Tally {
                skipped: 1,
                ..Tally::default()
            },
            Self::Broken(_) => Tally {
                failed: 1,
                ..Tally::default()
            },
        }
    }

    pub(crate) fn into_row(self, cell: Cell) -> Row {
        let tally = self.tally();
        let why = match self {
            Self::Ran { skips, .. } => skips
                .into_iter()
                .map(|(reason, count)| format!("{count} × {reason}"))
                .collect(),
            Self::CannotRun(reason) => vec![format!("cannot run: {reason}")],
            Self::Broken(problem) => vec![problem],
        };
        Row {
            name: format!("{} {}", cell.backend, cell.driver),
            tally,
            why,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { tally, .. } => tally.fmt(f),
            Self::CannotRun(reason) => write!(f, "cannot run: {reason}"),
            Self::Broken(problem) => write!(f, "broken: {problem}"),
        }
    }
}

/// Judges a cell by what the suite printed and its exit code, which have to agree.
///
/// The suite prints `skip NAME: REASON` for each skipped scenario, and ends with
/// `cell epoll local: 61 passed, 0 failed, 2 skipped` or `cell kqueue local: cannot run: REASON`.
pub(crate) fn judge(cell: Cell, output: &str, status: ExitStatus, selection: &Selection) -> Outcome {
    let outcome = read(cell, output);
    let problem = match &outcome {
        Outcome::Ran { tally, .. } if tally.failed > 0 => {
            status.success().then(|| "failed with exit code 0".to_owned())
        }
        Outcome::Ran { tally, .. } if tally.ran() == 0 && selection.filter.is_none() => Some("nothing ran".to_owned()),
        _ => (!status.success()).then(|| status.to_string()),
    };
    match (outcome, problem) {
        (Outcome::Broken(first), Some(second)) => Outcome::Broken(format!("{first}, {second}")),
        (_, Some(problem)) => Outcome::Broken(problem),
        (outcome, None) => outcome,
    }
}

fn read(cell: Cell, output: &str) -> Outcome {
    let broken = |problem: &str| Outcome::Broken(problem.to_owned());
    let Some(said) = output
        .lines()
        .next_back()
        .and_then(|line| line.strip_prefix(&format!("{cell}: ")))
    else {
        return broken("the last line is not the cell's");
    };
    if let Some(reason) = said.strip_prefix("cannot run: ") {
        return Outcome::CannotRun(reason.to_owned());
    }
    let Some(tally) = Tally::parse(said) else {
        return broken("the cell's line has no counts");
    };
    let mut skips = BTreeMap::new();
    for line in output.lines() {
        if let Some((_scenario, reason)) = line.strip_prefix("skip ").and_then(|skip| skip.split_once(": ")) {
            *skips.entry(reason.to_owned()).or_default() += 1;
        }
    }
    if skips.values().sum::<usize>() == tally.skipped {
        Outcome::Ran { tally, skips }
    } else {
        broken("the skipped scenarios are not all named")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use lexopt::Parser;

    use super::*;

    const CELL: Cell = Cell {
        backend: "poll",
        driver: "local",
    };

    fn judge_with(options: &[&str], output: &str, exit_code: i32) -> Outcome {
        let selection = Selection::parse(Parser::from_args(options)).unwrap();
        judge(CELL, output, ExitStatus::from_raw(exit_code << 8), &selection)
    }

    fn judge_whole(output: &str, exit_code: i32) -> Outcome {
        judge_with(&[], output, exit_code)
    }

    #[test]
    fn skips_are_counted_by_reason() {
        let output = "skip io::edge: no edge\nskip io::edge_twice: no edge\nskip io::one_of_many: no exclusive\n\
            cell poll local: 61 passed, 0 failed, 3 skipped\n";
        let row = judge_whole(output, 0).into_row(CELL);
        assert_eq!(row.name, "poll local");
        assert_eq!(
            row.tally,
            Tally {
                passed: 61,
                failed: 0,
                skipped: 3
            }
        );
        assert_eq!(row.why, ["2 × no edge", "1 × no exclusive"]);
    }

    #[test]
    fn failed_scenarios_keep_their_counts() {
        let outcome = judge_whole(
            "FAILED io::read\n  late\ncell poll local: 60 passed, 1 failed, 0 skipped\n",
            1,
        );
        assert!(outcome.failed());
        assert_eq!(outcome.scenarios(), 61);
    }

    #[test]
    fn a_cell_that_cannot_run_is_one_skip_with_its_reason() {
        let outcome = judge_whole("cell poll local: cannot run: no poll here\n", 0);
        assert_eq!(outcome.scenarios(), 0);
        let row = outcome.into_row(CELL);
        assert_eq!(
            row.tally,
            Tally {
                passed: 0,
                failed: 0,
                skipped: 1
            }
        );
        assert_eq!(row.why, ["cannot run: no poll here"]);
    }

    #[test]
    fn a_cell_that_does_not_say_what_it_did_is_broken() {
        for output in [
            "",
            "61 passed, 0 failed, 0 skipped\n",
            "cell poll shared: 61 passed, 0 failed, 0 skipped\n",
            "cell poll local: 61 passed\n",
            "cell poll local: 61 passed, 0 failed, 0 skipped\nthread 'main' panicked\n",
            "cell poll local: 61 passed, 0 failed, 2 skipped\n",
            "skip io::edge: no edge\ncell poll local: 61 passed, 0 failed, 0 skipped\n",
            "cell poll local: 0 passed, 0 failed, 0 skipped\n",
            "skip io::edge: no edge\ncell poll local: 0 passed, 0 failed, 1 skipped\n",
        ] {
            let outcome = judge_whole(output, 0);
            assert!(matches!(outcome, Outcome::Broken(_)), "{output}{outcome:?}");
            assert_eq!(
                outcome.into_row(CELL).tally,
                Tally {
                    passed: 0,
                    failed: 1,
                    skipped: 0
                }
            );
        }
    }

    #[test]
    fn an_exit_code_against_the_counts_is_broken() {
        let broken = |output, exit_code| matches!(judge_whole(output, exit_code), Outcome::Broken(_));
        assert!(broken("cell poll local: 61 passed, 0 failed, 0 skipped\n", 1));
        assert!(broken(
            "FAILED io::read\ncell poll local: 60 passed, 1 failed, 0 skipped\n",
            0
        ));
        assert!(broken("cell poll local: cannot run: no poll here\n", 1));
    }

    #[test]
    fn a_crash_is_told_with_the_status() {
        let outcome = judge_whole("thread 'main' panicked\n", 134);
        assert!(
            matches!(&outcome, Outcome::Broken(problem) if problem.contains("exit status: 134")),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_filter_may_leave_a_cell_empty() {
        let outcome = judge_with(
            &["--filter", "signal"],
            "cell poll local: 0 passed, 0 failed, 0 skipped\n",
            0,
        );
        assert!(!outcome.failed());
        assert_eq!(outcome.scenarios(), 0);
    }
}
