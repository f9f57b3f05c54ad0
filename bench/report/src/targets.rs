//! What the project wants to reach, and whether it does.

use std::fmt::Write as _;

use crate::plan::{Measurement, PER_CPU_SECOND};
use crate::results::Results;
use crate::tables::{number, ratio};

/// Work, and the bounds that figures for it should keep.
#[derive(Clone)]
struct Target {
    work: &'static str,
    bounds: Vec<Bound>,
}

/// A figure, and what it should not go over, or under.
#[derive(Clone, Copy)]
struct Bound {
    arguments: &'static str,
    label: &'static str,
    what: What,
    limit: f64,
}

#[derive(Clone, Copy)]
enum What {
    /// A figure divided by that of another contender.
    Ratio(&'static str, &'static str),
    /// The same, for a figure of which more is better.
    AtLeast(&'static str, &'static str),
    /// A figure as it is, and its unit.
    Value(&'static str, &'static str),
    Instructions,
    /// Calls of that name for an event.
    SystemCall(&'static str),
}
use What::{AtLeast, Instructions, Ratio, SystemCall, Value};

const fn bound(arguments: &'static str, label: &'static str, what: What, limit: f64) -> Bound {
    Bound {
        arguments,
        label,
        what,
        limit,
    }
}

const ONE: &str = "pipes n=100 a=1";
const MANY: &str = "pipes n=1000 a=100";
const ALL: &str = "pipes n=1000 a=1000";
const TIMEOUT: &str = "pipes tmo=1 n=1000 a=100";
const ONE_SHOT: &str = "pipes oneshot=1 n=1000 a=100";
const SET_UP: &str = "setup n=1000";
const WAKE_UP: &str = "wakeup t=1000000 r=5";
const MEMORY: &str = "memory n=5000 t=1000000";
const RANDOM_TIMERS: [&str; 3] = ["timers t=1000", "timers t=100000 r=3", "timers t=1000000 r=1"];
const SAME_TIMERS: [&str; 3] = [
    "timers same=1 t=1000",
    "timers same=1 t=100000 r=3",
    "timers same=1 t=1000000 r=1",
];
const ONE_LOOP: [&str; 4] = [
    "servers loops=1 c=64 p=1 d=3",
    "servers loops=1 c=64 p=8 d=3",
    "servers loops=1 c=1000 p=1 d=3",
    "servers loops=1 c=1000 p=8 d=3",
];
const TWO_LOOPS: [&str; 4] = [
    "servers loops=2 c=64 p=1 d=3",
    "servers loops=2 c=64 p=8 d=3",
    "servers loops=2 c=1000 p=1 d=3",
    "servers loops=2 c=1000 p=8 d=3",
];
const OPERATIONS: [&str; 4] = ["insert", "cancel", "rearm", "expire"];

fn targets() -> Vec<Target> {
    [events(), changes(), timers(), notifies(), memory(), servers()].concat()
}

fn events() -> Vec<Target> {
    let level = |work, arguments, label, times, instructions| Target {
        work,
        bounds: vec![
            bound(arguments, label, Ratio("ns", "raw"), times),
            bound(arguments, label, Instructions, instructions),
        ],
    };
    vec![
        level("100 of 1,000 descriptors ready", MANY, "ev", 1.02, 115.0),
        level("all of 1,000 descriptors ready", ALL, "ev", 1.02, 115.0),
        level("1 of 100 descriptors ready", ONE, "ev", 1.00, 230.0),
        level("100 of 1,000 descriptors ready", MANY, "ev shared", 1.04, 190.0),
        level("all of 1,000 descriptors ready", ALL, "ev shared", 1.04, 190.0),
        level("1 of 100 descriptors ready", ONE, "ev shared", 1.04, 330.0),
        Target {
            work: "idle timeout pushed back on every event",
            bounds: vec![
                bound(TIMEOUT, "ev", Ratio("ns", "raw lazy"), 1.02),
                bound(TIMEOUT, "ev", Instructions, 130.0),
            ],
        },
        Target {
            work: "one-shot, added again in the callback",
            bounds: vec![
                bound(ONE_SHOT, "ev", Ratio("ns", "raw deferred"), 1.05),
                bound(ONE_SHOT, "ev", Instructions, 190.0),
                bound(ONE_SHOT, "ev", SystemCall("epoll_ctl"), 0.0),
            ],
        },
    ]
}

fn changes() -> Vec<Target> {
    vec![
        Target {
            work: "add and delete before a wait",
            bounds: vec![bound(SET_UP, "ev", Value("nodispatch", "ns"), 12.0)],
        },
        Target {
            work: "add and delete, a turn between",
            bounds: vec![bound(SET_UP, "ev", Ratio("dispatch", "raw deferred"), 1.0)],
        },
    ]
}

fn timers() -> Vec<Target> {
    let of_all = |work, arguments: [&'static str; 3], against, most| Target {
        work,
        bounds: arguments
            .into_iter()
            .flat_map(|arguments| OPERATIONS.map(|figure| bound(arguments, "ev", Ratio(figure, against), most)))
            .collect(),
    };
    vec![
        of_all("timers: insert, cancel, set anew, expire", RANDOM_TIMERS, "raw", 1.3),
        of_all("the same, ahead of libev", RANDOM_TIMERS, "libev", 1.0),
        of_all(
            "timers of the same duration, without being told",
            SAME_TIMERS,
            "raw",
            2.0,
        ),
    ]
}

fn notifies() -> Vec<Target> {
    let burst = |label| bound(WAKE_UP, label, Value("burst", "ns"), 4.0);
    vec![Target {
        work: "a notify of a burst",
        bounds: vec![burst("ev"), burst("ev shared")],
    }]
}

fn memory() -> Vec<Target> {
    let heap = |work, figure, most| Target {
        work,
        bounds: vec![bound(MEMORY, "ev", Value(figure, "bytes"), most)],
    };
    vec![
        heap("heap for a read event", "event_total", 64.0),
        heap("heap for a timer", "timer_total", 40.0),
    ]
}

fn servers() -> Vec<Target> {
    let server = |label, arguments: [&'static str; 4]| Target {
        work: "requests for each second of the server's processor time",
        bounds: arguments
            .into_iter()
            .flat_map(|arguments| {
                ["nginx", "nginx copying"]
                    .map(|reference| bound(arguments, label, AtLeast(PER_CPU_SECOND, reference), 1.0))
            })
            .collect(),
    };
    vec![
        server("httpd single", ONE_LOOP),
        server("httpd pool", ONE_LOOP),
        server("httpd multi", TWO_LOOPS),
    ]
}

/// The targets of these measurements with what came out; a miss is in bold. Work of which nothing was measured is only
/// counted.
pub(crate) fn table(measurements: &[&Measurement], quick: bool, results: &Results) -> String {
    let mut text = "| work | measured | target | kept |\n| --- | --- | --- | --- |\n".to_owned();
    let mut left_out = 0;
    for target in targets() {
        for group in target
            .bounds
            .chunk_by(|a, b| a.arguments == b.arguments && a.label == b.label)
        {
            let arguments = group[0].arguments;
            let Some(measurement) = measurements.iter().find(|of| of.arguments == arguments) else {
                continue;
            };
            match measurement
                .line(quick)
                .and_then(|line| target.row(line, group, results))
            {
                Some(row) => {
                    let _ = writeln!(text, "| {row} |");
                }
                None => left_out += 1,
            }
        }
    }
    if left_out > 0 {
        let _ = writeln!(text, "\nNot measured in this run: {left_out} more.");
    }
    text
}

impl Target {
    /// What came out for bounds of one contender, by the command line that was run.
    fn row(&self, line: &str, bounds: &[Bound], results: &Results) -> Option<String> {
        let found: Vec<Option<f64>> = bounds.iter().map(|bound| bound.find(results)).collect();
        let measured: Vec<String> = bounds
            .iter()
            .zip(&found)
            .filter_map(|(bound, value)| Some(bound.shown((*value)?)))
            .collect();
        if measured.is_empty() {
            return None;
        }
        let mut wanted: Vec<String> = bounds.iter().map(Bound::wanted).collect();
        wanted.dedup();
        let is_missed = |(bound, value): (&Bound, &Option<f64>)| value.is_some_and(|value| !bound.is_kept(value));
        let verdict = if bounds.iter().zip(&found).any(is_missed) {
            "**no**"
        } else if found.contains(&None) {
            "not all measured"
        } else {
            "yes"
        };
        let (who, measured, wanted) = (bounds[0].label, measured.join(", "), wanted.join(", "));
        Some(format!(
            "{}: {who}, `{line}` | {measured} | {wanted} | {verdict}",
            self.work
        ))
    }
}

impl Bound {
    fn find(&self, results: &Results) -> Option<f64> {
        let runs = || results.runs.get(self.arguments);
        let counts = || results.counts.get(self.arguments)?.get(self.label);
        match self.what {
            Ratio(figure, reference) | AtLeast(figure, reference) => runs()?.ratio(self.label, reference, figure),
            Value(figure, _) => runs()?.median(self.label, figure),
            Instructions => counts()?.instructions,
            SystemCall(name) => Some(counts()?.system_calls.as_ref()?.get(name).copied().unwrap_or_default()),
        }
    }

    /// Compares what is shown: two digits of a ratio, and a system call in a thousand events is none.
    fn is_kept(&self, value: f64) -> bool {
        let half_digit = match self.what {
            Ratio(..) | AtLeast(..) => 0.005,
            Value(..) | Instructions => 0.05,
            SystemCall(_) => 0.0005,
        };
        if let AtLeast(..) = self.what {
            value >= self.limit - half_digit
        } else {
            value < self.limit + half_digit
        }
    }

    fn shown(&self, value: f64) -> String {
        let text = match self.what {
            Ratio(figure, reference) => {
                let value = ratio(Some(value));
                if OPERATIONS.contains(&figure) {
                    format!("{figure} {value} × {reference}")
                } else {
                    format!("{value} × {reference}")
                }
            }
            AtLeast(_, reference) => format!("{} × {reference}", ratio(Some(value))),
            Value(_, unit) => format!("{} {unit}", number(Some(value))),
            Instructions => format!("{} instructions", number(Some(value))),
            SystemCall(name) => format!("{value:.3} {name}"),
        };
        if self.is_kept(value) {
            text
        } else {
            format!("**{text}**")
        }
    }

    fn wanted(&self) -> String {
        match self.what {
            Ratio(_, reference) => format!("≤ {:.2} × {reference}", self.limit),
            AtLeast(_, reference) => format!("≥ {:.2} × {reference}", self.limit),
            Value(_, unit) => format!("≤ {} {unit}", self.limit),
            Instructions => format!("≤ {} instructions", self.limit),
            SystemCall(name) => format!("{} {name}", self.limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan;
    use crate::results::Runs;

    #[test]
    fn every_target_is_measured() {
        let sections = [plan::loops(), vec![plan::servers()]].concat();
        let all = || sections.iter().flat_map(|section| &section.measurements);
        for bound in targets().iter().flat_map(|target| &target.bounds) {
            let measurement = all().find(|measurement| measurement.arguments == bound.arguments);
            let measurement = measurement.unwrap_or_else(|| panic!("{} is not in the plan", bound.arguments));
            let has = |label| measurement.contenders.iter().any(|contender| contender.label == label);
            assert!(has(bound.label), "{}: {}", bound.arguments, bound.label);
            match bound.what {
                Ratio(figure, reference) | AtLeast(figure, reference) => {
                    assert!(has(reference) && measurement.figures().contains(&figure));
                }
                Value(figure, _) => assert!(measurement.figures().contains(&figure)),
                Instructions | SystemCall(_) => assert!(measurement.is_counted),
            }
        }
    }

    #[test]
    fn a_row_has_the_command_line_that_was_run() {
        let sections = plan::loops();
        let measurements: Vec<&Measurement> = sections.iter().flat_map(|section| &section.measurements).collect();
        let mut runs = Runs::default();
        for (label, ns) in [("raw", 100.0), ("ev", 101.0)] {
            runs.record(label, 0, BTreeMap::from([("ns".to_owned(), ns)]));
        }
        let mut results = Results::default();
        results.record(MANY, "pipes n=1000 a=100 r=15", runs);
        let quick = table(&measurements, true, &results);
        assert!(
            quick.contains("ready: ev, `pipes n=1000 a=100 r=15` | 1.01 × raw |"),
            "{quick}"
        );
        let full = table(&measurements, false, &results);
        assert!(
            full.contains("ready: ev, `pipes n=1000 a=100` | 1.01 × raw |"),
            "{full}"
        );
        let none = table(&[], false, &results);
        assert!(!none.contains("ready"), "{none}");
    }

    #[test]
    fn a_bound_is_kept_as_it_is_shown() {
        let ratio = bound(ONE, "ev", Ratio("ns", "raw"), 1.02);
        assert!(ratio.is_kept(1.0249) && !ratio.is_kept(1.0251));
        assert_eq!(ratio.shown(1.1), "**1.10 × raw**");
        let servers = bound(ONE, "ev", AtLeast("ns", "raw"), 1.0);
        assert!(servers.is_kept(0.9951) && !servers.is_kept(0.9949));
        assert_eq!(servers.shown(0.9), "**0.90 × raw**");
        let value = bound(SET_UP, "ev", Value("nodispatch", "ns"), 12.0);
        assert_eq!(
            (value.shown(11.5), value.wanted()),
            ("11.5 ns".into(), "≤ 12 ns".into())
        );
        let calls = bound(ONE_SHOT, "ev", SystemCall("epoll_ctl"), 0.0);
        assert!(calls.is_kept(0.0004) && !calls.is_kept(0.001));
    }
}
