//! What the kernel tells of processes: `/proc/PID/stat`.

use std::fs;

/// In a second. The same on all of Linux, whatever the kernel itself counts by.
const TICKS: f64 = 100.0;

/// A process. Its number may be another's after its end, but not with the same time of its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    start: u64,
}

impl Process {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let start = Stat::read(pid)?.start;
        Some(Self { pid, start })
    }

    /// In user mode and in the kernel, of all its threads. `None`: it has ended.
    pub(super) fn processor_seconds(&self) -> Option<f64> {
        Some(self.stat()?.ticks as f64 / TICKS)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.stat().is_some()
    }

    fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.start == self.start && !stat.has_ended)
    }
}

/// The processes that `parent` has started.
pub(super) fn children(parent: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| Stat::read(pid).is_some_and(|stat| stat.parent == parent))
        .filter_map(Process::of)
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// It is there only for its parent to ask after it.
    has_ended: bool,
    parent: u32,
    ticks: u64,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The fields by their numbers in `proc_pid_stat(5)`. The second is a name in parentheses, with any character in it.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            has_ended: *fields.first()? == "Z",
            parent: field(4)? as u32,
            ticks: field(14)? + field(15)?,
            start: field(22)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn a_line_is_parsed_whatever_the_name() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 500 60 70 80 20 0 1 0 9000 10 11";
        let stat = Stat {
            has_ended: false,
            parent: 1,
            ticks: 560,
            start: 9000,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert!(Stat::parse(&line.replace(" S ", " Z ")).unwrap().has_ended);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let this = Process::of(process::id()).unwrap();
        assert!(this.is_alive() && this.processor_seconds().is_some());
        let another = Process { start: 0, ..this };
        assert!(!another.is_alive());
    }
}
