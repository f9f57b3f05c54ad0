//! What was measured, and how figures of two contenders compare.

use std::collections::BTreeMap;
use std::fmt;

/// Figures of one run, by name.
type Figures = BTreeMap<String, f64>;

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It cannot do this, is not installed, or may not have what it takes: all is well.
    Cannot(String),
    /// It should have done it.
    Failed(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Cannot(reason) | Self::Failed(reason)) = self;
        f.write_str(reason)
    }
}

/// All runs of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// By contender, by repetition.
    figures: BTreeMap<&'static str, BTreeMap<usize, Figures>>,
    /// Why a contender has none.
    lacks: BTreeMap<&'static str, Lack>,
    /// What there was to single runs that their figures do not tell.
    remarks: Vec<String>,
}

impl Runs {
    pub(crate) fn record(&mut self, label: &'static str, repetition: usize, figures: Figures) {
        self.figures.entry(label).or_default().insert(repetition, figures);
    }

    pub(crate) fn record_lack(&mut self, label: &'static str, lack: Lack) {
        self.lacks.insert(label, lack);
    }

    pub(crate) fn lack(&self, label: &str) -> Option<&Lack> {
        self.lacks.get(label)
    }

    pub(crate) fn remark(&mut self, remark: Option<String>) {
        self.remarks.extend(remark);
    }

    pub(crate) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn each<'a>(&'a self, label: &str, figure: &'a str) -> impl Iterator<Item = (usize, f64)> + use<'a> {
        let runs = self.figures.get(label).into_iter().flatten();
        runs.filter_map(move |(&repetition, figures)| Some((repetition, *figures.get(figure)?)))
    }

    /// The repetitions' median.
    pub(crate) fn median(&self, label: &str, figure: &str) -> Option<f64> {
        median(self.each(label, figure).map(|(_, value)| value).collect())
    }

    /// The least of all rounds of all repetitions, where the programs tell it.
    pub(crate) fn best(&self, label: &str, figure: &str) -> Option<f64> {
        let least = format!("{figure}_min");
        self.each(label, &least).map(|(_, value)| value).min_by(f64::total_cmp)
    }

    /// The median of what a figure is to the other's in the same repetition: a slow spell of the machine hits both.
    pub(crate) fn ratio(&self, label: &str, reference: &str, figure: &str) -> Option<f64> {
        let others: BTreeMap<usize, f64> = self.each(reference, figure).collect();
        let ratios = self.each(label, figure).filter_map(|(repetition, value)| {
            let other = others.get(&repetition).filter(|&&other| other > 0.0)?;
            Some(value / other)
        });
        median(ratios.collect())
    }

    /// What the best figure is to the other's best.
    pub(crate) fn best_ratio(&self, label: &str, reference: &str, figure: &str) -> Option<f64> {
        Some(self.best(label, figure)? / self.best(reference, figure)?)
    }
}

/// The runs of all measurements by their command lines, and the counts of instructions and system calls.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) runs: BTreeMap<&'static str, Runs>,
    pub(crate) counts: BTreeMap<&'static str, BTreeMap<&'static str, Counts>>,
    /// Of the libraries, by program.
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// What should have been measured and was not.
    pub(crate) failures: Vec<String>,
}

impl Results {
    /// Takes the runs of the measurement with these arguments, which were shortened perhaps to those in `line`.
    pub(crate) fn record(&mut self, arguments: &'static str, line: &str, runs: Runs) {
        for (label, lack) in &runs.lacks {
            self.note(label, line, lack);
        }
        self.runs.insert(arguments, runs);
    }

    /// Notes a lack if it is a failure.
    pub(crate) fn note(&mut self, label: &str, line: &str, lack: &Lack) {
        if let Lack::Failed(reason) = lack {
            self.failures.push(format!("{label}, `{line}`: {reason}"));
        }
    }
}

/// What was counted of one contender, for each event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) instructions: Option<f64>,
    /// By name.
    pub(crate) system_calls: Option<BTreeMap<String, f64>>,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(&'static str, &[f64])]) -> Runs {
        let mut runs = Runs::default();
        for (label, values) in of {
            for (repetition, &value) in values.iter().enumerate() {
                let figures = [("ns".to_owned(), value), ("ns_min".to_owned(), value - 1.0)];
                runs.record(label, repetition, Figures::from(figures));
            }
        }
        runs
    }

    #[test]
    fn a_ratio_is_the_median_of_the_repetitions_ratios() {
        // The second repetition met a slow spell, which says nothing about either.
        let runs = runs(&[("a", &[2.0, 40.0, 3.0]), ("b", &[1.0, 20.0, 1.0])]);
        assert_eq!(runs.ratio("a", "b", "ns"), Some(2.0));
        assert_eq!(runs.ratio("a", "c", "ns"), None);
    }

    #[test]
    fn what_failed_is_noted_and_what_cannot_be_is_not() {
        let mut runs = runs(&[("a", &[1.0])]);
        runs.record_lack("b", Lack::Cannot("timers".to_owned()));
        runs.record_lack("c", Lack::Failed("did not end".to_owned()));
        let mut results = Results::default();
        results.record("timers t=1000", "timers t=1000 r=9", runs);
        assert_eq!(results.failures, ["c, `timers t=1000 r=9`: did not end"]);
        assert_eq!(results.runs["timers t=1000"].lack("b").unwrap().to_string(), "timers");
    }

    #[test]
    fn medians_and_bests_are_over_all_repetitions() {
        let runs = runs(&[("a", &[5.0, 2.0, 9.0, 3.0]), ("b", &[3.0])]);
        assert_eq!(runs.median("a", "ns"), Some(4.0));
        assert_eq!(runs.best("a", "ns"), Some(1.0));
        assert_eq!(runs.best_ratio("a", "b", "ns"), Some(0.5));
        assert_eq!(runs.median("a", "us"), None);
    }
}
