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

/// What each contender takes, divided by what the reference does.
struct Ratios {
    file: &'static str,
    title: &'static str,
    subtitle: &'static str,
    groups: &'static [Of],
    /// Longer bars are cut off.
    longest: f64,
}

const RATIOS: [Ratios; 2] = [
    Ratios {
        file: "events.svg",
        title: "What an event costs",
        subtitle: "time for an event, the callback's read and write included, divided by that of epoll without a library",
        groups: &[
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
        longest: 3.0,
    },
    Ratios {
        file: "timers.svg",
        title: "What a timer costs: 100,000 of them, random deadlines",
        subtitle: "time for an operation, divided by that of a bare 4-ary heap",
        groups: &[
            ("insert", "timers t=100000 r=3", "insert"),
            ("cancel", "timers t=100000 r=3", "cancel"),
            ("set anew", "timers t=100000 r=3", "rearm"),
            ("expire, with the callback", "timers t=100000 r=3", "expire"),
        ],
        longest: 15.0,
    },
];

/// What each contender takes.
struct Values {
    file: &'static str,
    title: &'static str,
    subtitle: &'static str,
    groups: &'static [Of],
}

const VALUES: [Values; 2] = [
    Values {
        file: "setup.svg",
        title: "Adding and deleting an event",
        subtitle: "nanoseconds for the pair",
        groups: &[
            ("before a wait", "setup n=1000", "nodispatch"),
            ("with a turn of the loop after each", "setup n=1000", "dispatch"),
        ],
    },
    Values {
        file: "memory.svg",
        title: "Memory",
        subtitle: "bytes of heap",
        groups: &[
            ("a read event", "memory n=5000 t=1000000", "event_total"),
            ("a timer", "memory n=5000 t=1000000", "timer_total"),
        ],
    },
];

/// Counted, and not a figure of the runs.
const INSTRUCTIONS: Values = Values {
    file: "instructions.svg",
    title: "Instructions",
    subtitle: "instructions in user mode for an event, the callback's own and libc's included",
    groups: &[
        ("100 of 1,000 descriptors ready", "pipes n=1000 a=100", ""),
        ("1 of 100 descriptors ready", "pipes n=100 a=1", ""),
    ],
};

/// How a figure grows with the number after `prefix` in the command line.
struct Growth {
    file: &'static str,
    title: &'static str,
    across: &'static str,
    prefix: &'static str,
    figure: &'static str,
}

const GROWTH: [Growth; 2] = [
    Growth {
        file: "events-by-size.svg",
        title: "Cost of an event with the number of descriptors, 100 ready",
        across: "descriptors",
        prefix: "pipes n=",
        figure: "ns",
    },
    Growth {
        file: "timers-by-size.svg",
        title: "Cost of setting a timer anew with their number",
        across: "timers",
        prefix: "timers t=",
        figure: "rearm",
    },
];

impl Charts<'_> {
    /// Draws those charts into `directory` for which there are figures.
    pub(crate) fn draw(&self, directory: &Path) -> Result {
        fs::create_dir_all(directory)?;
        for chart in &RATIOS {
            self.ratios(chart, directory)?;
        }
        for chart in &VALUES {
            self.values(chart, directory)?;
        }
        self.instructions(&INSTRUCTIONS, directory)?;
        GROWTH.iter().try_for_each(|chart| self.growth(chart, directory))
    }

    fn ratios(&self, chart: &Ratios, directory: &Path) -> Result {
        let groups = self.groups(chart.groups, |measurement, figure, label| {
            let runs = self.results.runs.get(measurement.arguments)?;
            let value = runs.ratio(label, measurement.reference.label, figure)?;
            Some((value, ratio(Some(value))))
        });
        if groups.is_empty() {
            return Ok(());
        }
        let bars = Bars {
            title: chart.title,
            subtitle: chart.subtitle,
            groups,
            longest: chart.longest,
            mark: Some(1.0),
        };
        bars.draw(&directory.join(chart.file))
    }

    fn values(&self, chart: &Values, directory: &Path) -> Result {
        let groups = self.groups(chart.groups, |measurement, figure, label| {
            let value = self.results.runs.get(measurement.arguments)?.median(label, figure)?;
            Some((value, number(Some(value))))
        });
        chart.draw(groups, directory)
    }

    fn instructions(&self, chart: &Values, directory: &Path) -> Result {
        let groups = self.groups(chart.groups, |measurement, _, label| {
            let counts = self.results.counts.get(measurement.arguments)?.get(label)?;
            let value = counts.instructions?;
            Some((value, number(Some(value))))
        });
        chart.draw(groups, directory)
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

    /// A line for each contender through the figures of all measurements that differ in [`size`] alone.
    fn growth(&self, chart: &Growth, directory: &Path) -> Result {
        let mut series: Vec<Series> = vec![];
        for measurement in self.measurements {
            let Some(size) = size(measurement.arguments, chart.prefix) else {
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
                let Some(value) = runs.median(contender.label, chart.figure) else {
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
        let lines = Lines {
            title: chart.title,
            across: chart.across,
            up: "nanoseconds",
            series,
        };
        lines.draw(&directory.join(chart.file))
    }
}

impl Values {
    fn draw(&self, groups: Vec<Group>, directory: &Path) -> Result {
        if groups.is_empty() {
            return Ok(());
        }
        let values = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value);
        let longest = values.fold(1.0, f64::max);
        let bars = Bars {
            title: self.title,
            subtitle: self.subtitle,
            groups,
            longest,
            mark: None,
        };
        bars.draw(&directory.join(self.file))
    }
}

/// The number after `prefix`, where the rest of the command line is the same for all sizes: 100 bytes under way in pipes;
/// and of timers nothing but the number of rounds, which changes no figure.
fn size(arguments: &str, prefix: &str) -> Option<f64> {
    let rest = arguments.strip_prefix(prefix)?;
    let (number, options) = rest.split_once(' ').unwrap_or((rest, ""));
    let same = if prefix.starts_with("pipes") {
        options == "a=100"
    } else {
        options.is_empty() || options.starts_with("r=")
    };
    same.then(|| number.parse().ok()).flatten()
}

fn is_in_growth(contender: &Contender) -> bool {
    ["raw", "ev", "libevent", "libev"].contains(&contender.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    #[test]
    fn every_bar_is_measured() {
        let sections = plan::loops();
        let find = |arguments: &str| {
            let all = || sections.iter().flat_map(|section| &section.measurements);
            let measurement = all().find(|measurement| measurement.arguments == arguments);
            measurement.unwrap_or_else(|| panic!("{arguments} is not in the plan"))
        };
        let ratios = RATIOS.iter().flat_map(|chart| chart.groups);
        for (_, arguments, figure) in ratios.chain(VALUES.iter().flat_map(|chart| chart.groups)) {
            assert!(find(arguments).figures().contains(figure), "{arguments}: {figure}");
        }
        for (_, arguments, _) in INSTRUCTIONS.groups {
            assert!(find(arguments).is_counted, "{arguments}");
        }
    }

    #[test]
    fn sizes_are_those_of_lines_that_differ_in_nothing_else() {
        assert_eq!(size("pipes n=1600 a=100", "pipes n="), Some(1600.0));
        assert_eq!(size("pipes n=1000 a=1", "pipes n="), None);
        assert_eq!(size("pipes tmo=1 n=1000 a=100", "pipes n="), None);
        assert_eq!(size("timers t=100000 r=3", "timers t="), Some(100_000.0));
        assert_eq!(size("timers t=1000", "timers t="), Some(1000.0));
        assert_eq!(size("timers t=1000 told=1", "timers t="), None);
        assert_eq!(size("timers same=1 t=1000", "timers t="), None);
    }
}
