//! Which charts there are.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::bars::{Bar, Bars, Group, Side};
use crate::contenders::Contender;
use crate::lines::{Lines, Series};
use crate::plan::Measurement;
use crate::results::Results;
use crate::tables::{number, ratio};

/// Everything that was measured, as charts are drawn from it.
pub(crate) struct Charts<'a> {
    pub(crate) measurements: &'a [&'a Measurement],
    pub(crate) results: &'a Results,
}

/// A group of bars: its title, the measurement, and the figure of it.
type Of = (&'static str, &'static str, &'static str);

impl Charts<'_> {
    /// Draws those charts into `directory` for which there are figures.
    pub(crate) fn draw(&self, directory: &Path) -> Result {
        fs::create_dir_all(directory)?;
        self.ratios(
            &directory.join("events.svg"),
            "What an event costs",
            "time for an event, the callback's read and write included, divided by that of epoll without a library",
            &[
                ("100 of 1,000 descriptors ready", "pipes n=1000 a=100", "ns"),
                ("all of 1,000 descriptors ready", "pipes n=1000 a=1000", "ns"),
                ("1 of 100 descriptors ready", "pipes n=100 a=1", "ns"),
                (
                    "idle timeout on each event, 100 of 1,000 ready",
                    "pipes tmo=1 n=1000 a=100",
                    "ns",
                ),
                (
                    "one-shot, added again in the callback, 100 of 1,000 ready",
                    "pipes oneshot=1 n=1000 a=100",
                    "ns",
                ),
            ],
            3.0,
        )?;
        self.ratios(
            &directory.join("timers.svg"),
            "What a timer costs: 100,000 of them, random deadlines",
            "time for an operation, divided by that of a bare 4-ary heap",
            &[
                ("insert", "timers t=100000 r=3", "insert"),
                ("cancel", "timers t=100000 r=3", "cancel"),
                ("set anew", "timers t=100000 r=3", "rearm"),
                ("expire, with the callback", "timers t=100000 r=3", "expire"),
            ],
            15.0,
        )?;
        self.values(
            &directory.join("setup.svg"),
            "Adding and deleting an event",
            "nanoseconds for the pair",
            &[
                ("before a wait", "setup n=1000", "nodispatch"),
                ("with a turn of the loop after each", "setup n=1000", "dispatch"),
            ],
        )?;
        self.values(
            &directory.join("memory.svg"),
            "Memory",
            "bytes of heap",
            &[
                ("a read event", "memory n=5000 t=1000000", "event_total"),
                ("a timer", "memory n=5000 t=1000000", "timer_total"),
            ],
        )?;
        self.instructions(&directory.join("instructions.svg"))?;
        self.growth(
            &directory.join("events-by-size.svg"),
            "Cost of an event with the number of descriptors, 100 ready",
            "descriptors",
            "pipes n=",
            "ns",
        )?;
        self.growth(
            &directory.join("timers-by-size.svg"),
            "Cost of setting a timer anew with their number",
            "timers",
            "timers t=",
            "rearm",
        )
    }

    fn ratios(&self, path: &Path, title: &str, subtitle: &str, of: &[Of], longest: f64) -> Result {
        let groups = self.groups(of, |measurement, figure, label| {
            let runs = self.results.runs.get(measurement.arguments)?;
            let value = runs.ratio(label, measurement.reference.label, figure)?;
            Some((value, ratio(Some(value))))
        });
        if groups.is_empty() {
            return Ok(());
        }
        let chart = Bars {
            title,
            subtitle,
            groups,
            longest,
            mark: Some(1.0),
        };
        chart.draw(path)
    }

    fn values(&self, path: &Path, title: &str, subtitle: &str, of: &[Of]) -> Result {
        let groups = self.groups(of, |measurement, figure, label| {
            let value = self.results.runs.get(measurement.arguments)?.median(label, figure)?;
            Some((value, number(Some(value))))
        });
        draw_values(path, title, subtitle, groups)
    }

    fn instructions(&self, path: &Path) -> Result {
        let of = [
            ("100 of 1,000 descriptors ready", "pipes n=1000 a=100", ""),
            ("1 of 100 descriptors ready", "pipes n=100 a=1", ""),
        ];
        let groups = self.groups(&of, |measurement, _, label| {
            let value = self
                .results
                .counts
                .get(measurement.arguments)?
                .get(label)?
                .instructions?;
            Some((value, number(Some(value))))
        });
        let subtitle = "instructions in user mode for an event, the callback's own and libc's included";
        draw_values(path, "Instructions", subtitle, groups)
    }

    /// The bars of each group whose measurement was made.
    fn groups(
        &self,
        of: &[Of],
        value: impl Fn(&Measurement, &'static str, &'static str) -> Option<(f64, String)>,
    ) -> Vec<Group> {
        let group = |&(title, arguments, figure): &Of| {
            let measurement = self
                .measurements
                .iter()
                .find(|measurement| measurement.arguments == arguments)?;
            let bar = |contender: &Contender| {
                let (value, shown) = value(measurement, figure, contender.label)?;
                let side = match contender {
                    _ if contender.is_ours => Side::Ours,
                    _ if contender.program == "raw" => Side::Bound,
                    _ => Side::Others,
                };
                let label = contender.label.to_owned();
                Some(Bar {
                    label,
                    value,
                    shown,
                    side,
                })
            };
            let bars: Vec<Bar> = measurement.contenders.iter().filter_map(bar).collect();
            let title = title.to_owned();
            (!bars.is_empty()).then_some(Group { title, bars })
        };
        of.iter().filter_map(group).collect()
    }

    /// A figure of all measurements whose command lines begin with `prefix` and a number and have no other options than
    /// those of one that is asked for by `a=100` or by rounds.
    fn growth(&self, path: &Path, title: &str, across: &str, prefix: &str, figure: &str) -> Result {
        let mut series: Vec<Series> = vec![];
        for measurement in self.measurements {
            let Some(size) = size(measurement.arguments, prefix) else {
                continue;
            };
            let Some(runs) = self.results.runs.get(measurement.arguments) else {
                continue;
            };
            for contender in measurement
                .contenders
                .iter()
                .filter(|contender| is_in_growth(contender))
            {
                let Some(value) = runs.median(contender.label, figure) else {
                    continue;
                };
                let known = series.iter().position(|series| series.label == contender.label);
                let index = known.unwrap_or_else(|| {
                    series.push(Series {
                        label: contender.label.to_owned(),
                        points: vec![],
                    });
                    series.len() - 1
                });
                series[index].points.push((size, value));
            }
        }
        series.retain(|series| series.points.len() > 1);
        for series in &mut series {
            series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        // The project's own line first, which has its colour.
        series.sort_by_key(|series| series.label != "ev");
        if series.is_empty() {
            return Ok(());
        }
        let up = "nanoseconds";
        Lines {
            title,
            across,
            up,
            series,
        }
        .draw(path)
    }
}

fn draw_values(path: &Path, title: &str, subtitle: &str, groups: Vec<Group>) -> Result {
    let values = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value);
    let longest = values.fold(1.0, f64::max);
    if groups.is_empty() {
        return Ok(());
    }
    let chart = Bars {
        title,
        subtitle,
        groups,
        longest,
        mark: None,
    };
    chart.draw(path)
}

/// The number after `prefix`, where the rest of the command line is the same for all sizes.
fn size(arguments: &str, prefix: &str) -> Option<f64> {
    let rest = arguments.strip_prefix(prefix)?;
    let (number, options) = rest.split_once(' ').unwrap_or((rest, ""));
    let same = if prefix.starts_with("pipes") {
        options == "a=100"
    } else {
        !options.contains('a')
    };
    same.then(|| number.parse().ok()).flatten()
}

fn is_in_growth(contender: &Contender) -> bool {
    ["raw", "ev", "libevent", "libev"].contains(&contender.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_lines_that_differ_in_nothing_else() {
        assert_eq!(size("pipes n=1600 a=100", "pipes n="), Some(1600.0));
        assert_eq!(size("pipes n=1000 a=1", "pipes n="), None);
        assert_eq!(size("pipes tmo=1 n=1000 a=100", "pipes n="), None);
        assert_eq!(size("timers t=100000 r=3", "timers t="), Some(100_000.0));
        assert_eq!(size("timers same=1 t=1000", "timers t="), None);
    }
}
