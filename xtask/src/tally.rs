//! Counts of tests.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// How many tests passed, failed and were skipped; displayed as a closing line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Reads `61 passed, 0 failed, 2 skipped`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut counts = text.split(", ");
        let mut count = |word| counts.next()?.strip_suffix(word)?.strip_suffix(' ')?.parse().ok();
        let tally = Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("skipped")?,
        };
        counts.next().is_none().then_some(tally)
    }

    /// Adds up the `test result:` lines of cargo's test programs; ignored tests count as skipped.
    pub(crate) fn of_libtest(output: &str) -> Self {
        output.lines().filter_map(Self::of_result_line).sum()
    }

    /// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; …`.
    fn of_result_line(line: &str) -> Option<Self> {
        let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for count in counts.split("; ") {
            match count.split_once(' ')? {
                (number, "passed") => tally.passed = number.parse().ok()?,
                (number, "failed") => tally.failed = number.parse().ok()?,
                (number, "ignored") => tally.skipped = number.parse().ok()?,
                _ => {}
            }
        }
        Some(tally)
    }

    /// The tests that really ran.
    pub(crate) fn ran(self) -> usize {
        self.passed + self.failed
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Self::add)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: usize, failed: usize, skipped: usize) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn a_closing_line_reads_back() {
        assert_eq!(Tally::parse(&tally(61, 0, 2).to_string()), Some(tally(61, 0, 2)));
    }

    #[test]
    fn anything_but_a_closing_line_is_refused() {
        for text in [
            "",
            "61 passed",
            "61 passed, 0 failed",
            "61 passed, 0 failed, 2 skipped, 1 lost",
            "61 passed, 0 failed, 2 skipped.",
            "-1 passed, 0 failed, 0 skipped",
            "passed, 0 failed, 0 skipped",
            "0 failed, 61 passed, 2 skipped",
            "61passed, 0failed, 2skipped",
        ] {
            assert_eq!(Tally::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn libtest_lines_are_added_up() {
        let output = "\n\
            running 6 tests\n......\n\
            test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\n\
            running 3 tests\n..F\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s\n\
            all doctests ran in 0.21s; merged doctests compilation took 0.20s\n";
        assert_eq!(Tally::of_libtest(output), tally(7, 1, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            Tally::of_libtest("error: could not compile `x`\ntest result: unclear\n"),
            tally(0, 0, 0)
        );
    }
}
