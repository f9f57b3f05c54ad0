//! Instructions and system calls of an event, counted by other programs.
//!
//! Each contender runs twice, with few rounds and with more; what the second run has more of, divided by the events it
//! has more of, is an event's share. The start and the set-up cancel out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::contenders::Contender;
use crate::plan::Measurement;
use crate::programs::Programs;
use crate::results::{Counts, Lack};
use crate::run::{LIMIT, run_under};

/// Few rounds and more, and not many events in each. Of several options of a name the last one holds.
const ROUNDS: [&str; 2] = ["w=2000 r=1", "w=2000 r=5"];

/// Counts by name, all of them of one run.
type Counted = BTreeMap<String, f64>;

/// What counts, where it is installed.
#[derive(Debug)]
pub(crate) struct Tools {
    valgrind: bool,
    strace: bool,
}

impl Tools {
    pub(crate) fn find() -> Self {
        Self {
            valgrind: is_installed("valgrind"),
            strace: is_installed("strace"),
        }
    }

    /// What cannot be counted, and why.
    pub(crate) fn lacks(&self) -> Vec<&'static str> {
        let mut lacks = vec![];
        if !self.valgrind {
            lacks.push("Instructions were not counted: valgrind is not installed.");
        }
        if !self.strace {
            lacks.push("System calls were not counted: strace is not installed.");
        }
        lacks
    }

    /// Counts for one contender.
    pub(crate) fn count(
        &self,
        programs: &Programs,
        measurement: &Measurement,
        contender: &Contender,
        scratch: &Path,
    ) -> Result<Counts, Lack> {
        let mut counts = Counts::default();
        if self.valgrind {
            let file = scratch.join("callgrind.out");
            let options = ["-q", "--tool=callgrind"].map(str::to_owned);
            let tool = [
                &["valgrind".to_owned()][..],
                &options,
                &[format!("--callgrind-out-file={}", file.display())],
            ];
            let counted = difference(&tool.concat(), &file, instructions, programs, measurement, contender)?;
            counts.instructions = counted.values().next().copied();
        }
        if self.strace {
            let file = scratch.join("strace.out");
            // `-I2`: with `-o` it would ignore that it is asked to end.
            let tool = ["strace", "-I2", "-c", "-f", "-o", &file.display().to_string()].map(str::to_owned);
            let counted = difference(&tool, &file, system_calls, programs, measurement, contender)?;
            counts.system_calls = Some(counted);
        }
        Ok(counts)
    }
}

fn is_installed(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What a contender counts for each event, by the file that `tool` leaves behind.
fn difference(
    tool: &[String],
    file: &Path,
    parse: fn(&str) -> Counted,
    programs: &Programs,
    measurement: &Measurement,
    contender: &Contender,
) -> Result<Counted, Lack> {
    let mut runs = vec![];
    for rounds in ROUNDS {
        let arguments = format!("{} {rounds}", measurement.arguments);
        let line = run_under(tool, programs, contender, &arguments, LIMIT)?;
        let text = fs::read_to_string(file).map_err(|error| Lack::Failed(error.to_string()))?;
        runs.push((line.figures.get("events").copied().unwrap_or_default(), parse(&text)));
    }
    let (few, more) = (&runs[0], &runs[1]);
    let events = more.0 - few.0;
    let each = |(name, count): (&String, &f64)| {
        let before = few.1.get(name).copied().unwrap_or_default();
        (name.clone(), (count - before) / events)
    };
    Ok(more.1.iter().map(each).collect())
}

/// The sum that callgrind writes at the end of its file.
fn instructions(text: &str) -> Counted {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total
        .map(|total: f64| ("instructions".to_owned(), total))
        .into_iter()
        .collect()
}

/// The rows of `strace -c`: share, seconds, microseconds a call, calls, perhaps errors, name.
fn system_calls(text: &str) -> Counted {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_row = words.len() >= 5 && words[0].parse::<f64>().is_ok();
        let name = words.last().filter(|&&name| is_row && name != "total")?;
        Some(((*name).to_owned(), words[3].parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_callgrind_is_read() {
        let text = "events: Ir\nfn=(1)\n16 400\n\ntotals: 123456\n";
        assert_eq!(instructions(text)["instructions"] as u64, 123_456);
        assert!(instructions("").is_empty());
    }

    #[test]
    fn the_rows_of_strace_are_read() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           1       300           write
 40.00    0.000200           2       100        50 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           1       400        50 total
";
        let counted = system_calls(text);
        assert_eq!((counted.len(), counted["write"], counted["read"]), (2, 300.0, 100.0));
    }
}
