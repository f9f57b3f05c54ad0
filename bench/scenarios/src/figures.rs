//! What a scenario came to, and its line of JSON.

use std::fmt::Write as _;
use std::time::Instant;

/// Named figures, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    fields: Vec<(String, f64)>,
    /// Reads and writes that did not do what they should.
    pub(crate) failures: usize,
}

impl Figures {
    pub(crate) fn push(&mut self, name: &str, value: f64) {
        self.fields.push((name.to_owned(), value));
    }

    /// The rounds' median, and their minimum as `NAME_min`.
    pub(crate) fn push_rounds(&mut self, name: &str, mut rounds: Vec<f64>) {
        rounds.sort_by(f64::total_cmp);
        self.push(name, rounds[rounds.len() / 2]);
        self.push(&format!("{name}_min"), rounds[0]);
    }

    /// The figures as JSON. Names and versions are plain words: nothing in them has to be escaped.
    pub(crate) fn line(&self, peer: &str, version: &str, scenario: &str) -> String {
        let mut line = format!(r#"{{"lib":"{peer}","version":"{version}","scenario":"{scenario}""#);
        for (name, value) in &self.fields {
            let _ = write!(line, r#","{name}":{value:.3}"#);
        }
        let _ = write!(line, r#","failures":{}}}"#, self.failures);
        line
    }
}

/// Nanoseconds since `start`, for each of `operations`.
pub(crate) fn each(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / operations as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_medians_and_minima() {
        let mut figures = Figures::default();
        figures.push("events", 7.0);
        figures.push_rounds("ns", vec![3.0, 1.0, 2.5]);
        assert_eq!(
            figures.line("ev", "1", "pipes"),
            r#"{"lib":"ev","version":"1","scenario":"pipes","events":7.000,"ns":2.500,"ns_min":1.000,"failures":0}"#
        );
    }
}
