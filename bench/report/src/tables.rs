//! Results as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::plan::{Measurement, Section};
use crate::results::{Counts, Results, Runs};

/// Rows of cells.
struct Table {
    text: String,
}

impl Table {
    /// A table whose columns are text where `is_text` says so, by their numbers.
    fn new(header: &[String], is_text: fn(usize) -> bool) -> Self {
        let mut table = Self { text: String::new() };
        table.row(header);
        let rule = |column| if is_text(column) { "---" } else { "---:" }.to_owned();
        let line: Vec<String> = (0..header.len()).map(rule).collect();
        table.row(&line);
        table
    }

    fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// Who was measured, in the order of the measurements, with versions; and by what else.
pub(crate) fn contenders(measurements: &[&Measurement], results: &Results) -> String {
    let mut table = Table::new(&["name", "what it is", "version"].map(str::to_owned), |_| true);
    let mut known = BTreeSet::new();
    for contender in measurements.iter().flat_map(|measurement| &measurement.contenders) {
        if let Some(version) = results.versions.get(contender.program)
            && known.insert(contender.label)
        {
            table.row(&[contender.label, contender.explanation, version].map(str::to_owned));
        }
    }
    if let Some(version) = results.versions.get("wrk") {
        table.row(&["wrk", "asks the servers, in one thread", version].map(str::to_owned));
    }
    table.text
}

pub(crate) fn section(section: &Section, quick: bool, results: &Results) -> String {
    let mut text = format!("## {}\n\n{}\n", section.title, section.text);
    for measurement in &section.measurements {
        if let Some(runs) = results.runs.get(measurement.arguments) {
            let line = measurement.line(quick).unwrap_or(measurement.arguments);
            let _ = write!(text, "\n`{line}`\n\n{}", times(measurement, runs));
            for remark in runs.remarks() {
                let _ = write!(text, "\n**{remark}**\n");
            }
        }
    }
    text
}

/// A row for each contender: figures and what they are to the reference's.
fn times(measurement: &Measurement, runs: &Runs) -> String {
    let figures = measurement.figures();
    let reference = measurement.reference.label;
    let mut header = vec!["peer".to_owned()];
    if figures.len() == 1 {
        header.extend(["median", "best"].map(str::to_owned));
        header.extend(["median", "best"].map(|what| format!("{what} / {reference}")));
    } else {
        header.extend(figures.iter().map(|&figure| figure.to_owned()));
    }
    let mut table = Table::new(&header, |column| column == 0);
    for contender in &measurement.contenders {
        let label = contender.label;
        let mut row = vec![label.to_owned()];
        if let Some(lack) = runs.lack(label) {
            row.push(lack.to_string());
            row.resize(header.len(), String::new());
        } else if let [figure] = figures {
            row.push(number(runs.median(label, figure)));
            row.push(number(runs.best(label, figure)));
            row.push(ratio(runs.ratio(label, reference, figure)));
            row.push(ratio(runs.best_ratio(label, reference, figure)));
        } else {
            row.extend(figures.iter().map(|figure| {
                let value = number(runs.median(label, figure));
                match runs
                    .ratio(label, reference, figure)
                    .filter(|_| figure != &"burst_callbacks")
                {
                    Some(of) => format!("{value} ({})", ratio(Some(of))),
                    None => value,
                }
            }));
        }
        table.row(&row);
    }
    if figures.len() > 1 {
        let _ = write!(table.text, "\nIn brackets: divided by {reference}.\n");
    }
    table.text
}

/// Instructions and system calls of an event.
pub(crate) fn counts(measurements: &[&Measurement], results: &Results) -> String {
    let mut text =
        "## Instructions and system calls\n\nFor each event; in `setup` for each pair of adding and deleting: \
                    instructions in user mode, the callback's own included, and system calls, the callback's read and \
                    write among them.\n"
            .to_owned();
    for measurement in measurements {
        let Some(of_each) = results.counts.get(measurement.arguments) else {
            continue;
        };
        let mut table = Table::new(
            &["peer", "instructions", "system calls", "which"].map(str::to_owned),
            |column| column % 3 == 0,
        );
        for contender in &measurement.contenders {
            if let Some(counts) = of_each.get(contender.label) {
                table.row(&count_row(contender.label, counts));
            }
        }
        let _ = write!(text, "\n`{}`\n\n{}", measurement.arguments, table.text);
    }
    text
}

fn count_row(label: &str, counts: &Counts) -> [String; 4] {
    let mut calls: Vec<(&str, f64)> = counts
        .system_calls
        .iter()
        .flatten()
        .map(|(name, &count)| (name.as_str(), count))
        .collect();
    calls.retain(|(_, count)| *count >= 0.0005);
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    let sum: f64 = calls.iter().map(|(_, count)| count).sum();
    let which: Vec<String> = calls.iter().map(|(name, count)| format!("{name} {count:.3}")).collect();
    let sum = counts.system_calls.as_ref().map(|_| format!("{sum:.3}"));
    [
        label.to_owned(),
        number(counts.instructions),
        sum.unwrap_or_else(|| "-".to_owned()),
        which.join(", "),
    ]
}

/// A figure with as many digits as mean something.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 100.0 => format!("{value:.1}"),
        Some(value) => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        for (value, text) in [
            (0.04, "0.0"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.0, "1,234"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(number(Some(value)), text);
        }
        assert_eq!(
            (number(None), ratio(None), ratio(Some(1.005))),
            ("-".into(), "-".into(), "1.00".into())
        );
    }
}
