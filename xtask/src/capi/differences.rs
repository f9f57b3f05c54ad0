//! The lines in which the output of this library may differ from that of the system's.
//!
//! A block names a program and the backends it holds for (none: all of them), then the lines that the system's library
//! prints, each after `-`, those of this one, each after `+`, and the reason:
//!
//! ```text
//! timers [epoll, poll]
//! -  both: fd 60, TIMEOUT
//! +  both: fd 60, TIMEOUT|READ
//! The time and the data came in the same turn; libevent 2.2 tells both.
//! ```
//!
//! The output of the system's library is changed as the blocks say, each in the first place where it fits after the
//! block before it; then the two are the same. A block that fits nowhere is out of date, which is a failure too.

use std::fs;

use cargo_metadata::camino::Utf8Path;

use crate::{Error, Result};

/// All blocks of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    blocks: Vec<Block>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    program: String,
    /// Empty: all of them.
    backends: Vec<String>,
    theirs: Vec<String>,
    ours: Vec<String>,
    reason: String,
}

impl Differences {
    pub(super) fn read(path: &Utf8Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Error::Failed(format!("{path}: {error}")))?;
        Self::parse(&text).map_err(|problem| Error::Failed(format!("{path}: {problem}")))
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut blocks = Vec::new();
        for paragraph in text.split("\n\n") {
            let lines: Vec<&str> = paragraph.lines().filter(|line| !line.starts_with('#')).collect();
            if lines.iter().any(|line| !line.is_empty()) {
                blocks.push(Block::parse(&lines)?);
            }
        }
        Ok(Self { blocks })
    }

    /// What this library has to print where the system's printed `theirs`; and the blocks that fit nowhere.
    pub(super) fn expected(&self, program: &str, backend: &str, theirs: &str) -> (Vec<String>, Vec<String>) {
        let mut lines: Vec<String> = theirs.lines().map(str::to_owned).collect();
        let mut stale = Vec::new();
        let mut from = 0;
        for block in &self.blocks {
            if !block.is_for(program, backend) {
                continue;
            }
            let found = lines[from..]
                .windows(block.theirs.len())
                .position(|window| window == block.theirs);
            let Some(start) = found.map(|offset| from + offset) else {
                stale.push(block.theirs.join("\n"));
                continue;
            };
            lines.splice(start..start + block.theirs.len(), block.ours.iter().cloned());
            from = start + block.ours.len();
        }
        (lines, stale)
    }
}

impl Block {
    fn parse(lines: &[&str]) -> std::result::Result<Self, String> {
        let mut lines = lines.iter().filter(|line| !line.is_empty());
        let head = lines.next().copied().unwrap_or_default();
        let mut block = Self::default();
        (block.program, block.backends) = match head.split_once(" [") {
            None => (head.to_owned(), Vec::new()),
            Some((program, backends)) => {
                let backends = backends.strip_suffix(']').ok_or_else(|| format!("`{head}`: no `]`"))?;
                (program.to_owned(), backends.split(", ").map(str::to_owned).collect())
            }
        };
        for line in lines {
            if let Some(line) = line.strip_prefix('-') {
                block.theirs.push(line.to_owned());
            } else if let Some(line) = line.strip_prefix('+') {
                block.ours.push(line.to_owned());
            } else {
                block.reason.push_str(line);
            }
        }
        if block.theirs.is_empty() {
            return Err(format!("`{head}`: no line of the system's library, so no place"));
        }
        if block.reason.is_empty() {
            return Err(format!("`{head}`: no reason"));
        }
        Ok(block)
    }

    fn is_for(&self, program: &str, backend: &str) -> bool {
        self.program == program && (self.backends.is_empty() || self.backends.iter().any(|name| name == backend))
    }
}

/// The lines around the first one in which the two differ; `None` when they are the same.
pub(super) fn first_difference(expected: &[String], ours: &[String]) -> Option<String> {
    let same = expected.iter().zip(ours).take_while(|(a, b)| a == b).count();
    if same == expected.len() && same == ours.len() {
        return None;
    }
    let heading = expected[..same].iter().rfind(|line| line.starts_with("== "));
    let place = format!(
        "line {}, after `{}`:",
        same + 1,
        heading.map_or("the start", String::as_str)
    );
    let mut shown = vec![place];
    for (sign, lines) in [('-', expected), ('+', ours)] {
        if same == lines.len() {
            shown.push(format!("      {sign}(the end)"));
        }
        let next = lines.iter().skip(same).take(4);
        shown.extend(next.map(|line| format!("      {sign}{line}")));
    }
    Some(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    const BOTH: &str = "# About.\n\ntimers [epoll, poll]\n-a\n+b\n+c\nBecause.\n\ntimers\n-z\nNot here.\n";

    #[test]
    fn a_block_has_a_program_backends_lines_and_a_reason() {
        let differences = Differences::parse(BOTH).unwrap();
        assert_eq!(
            differences.blocks,
            [
                Block {
                    program: "timers".into(),
                    backends: vec!["epoll".into(), "poll".into()],
                    theirs: vec!["a".into()],
                    ours: vec!["b".into(), "c".into()],
                    reason: "Because.".into(),
                },
                Block {
                    program: "timers".into(),
                    theirs: vec!["z".into()],
                    reason: "Not here.".into(),
                    ..Block::default()
                }
            ]
        );
    }

    #[test]
    fn a_block_without_a_reason_or_a_place_is_refused() {
        assert!(
            Differences::parse("timers\n-a\n+b\n")
                .unwrap_err()
                .contains("no reason")
        );
        assert!(
            Differences::parse("timers\n+b\nBecause.\n")
                .unwrap_err()
                .contains("no place")
        );
        assert!(
            Differences::parse("timers [epoll\n-a\nBecause.\n")
                .unwrap_err()
                .contains("no `]`")
        );
    }

    #[test]
    fn blocks_change_what_is_expected() {
        let differences = Differences::parse(BOTH).unwrap();
        assert_eq!(
            differences.expected("timers", "epoll", "1\na\nz\na\n"),
            (lines("1\nb\nc\na"), vec![])
        );
        assert_eq!(differences.expected("timers", "select", "a\nz\n"), (lines("a"), vec![]));
        assert_eq!(differences.expected("loop", "epoll", "a\nz\n"), (lines("a\nz"), vec![]));
    }

    #[test]
    fn a_block_that_fits_nowhere_is_told() {
        let differences = Differences::parse(BOTH).unwrap();
        let (expected, stale) = differences.expected("timers", "epoll", "1\nz\n");
        assert_eq!((expected, stale), (lines("1"), lines("a")));
    }

    #[test]
    fn the_first_difference_is_shown_with_its_heading() {
        assert_eq!(first_difference(&lines("a\nb"), &lines("a\nb")), None);
        let shown = first_difference(&lines("== one\na\nb"), &lines("== one\na\nc")).unwrap();
        assert_eq!(shown, "line 3, after `== one`:\n      -b\n      +c");
        let shown = first_difference(&lines("a"), &lines("a\nb")).unwrap();
        assert_eq!(shown, "line 2, after `the start`:\n      -(the end)\n      +b");
    }
}
