//! Running a program once.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::contenders::Contender;
use crate::process;
use crate::programs::Programs;
use crate::results::Lack;

/// The exit code of a peer that cannot do what it was asked.
const CANNOT: i32 = 3;
/// `EMFILE`, as C and Rust say it.
const TOO_MANY: &str = "Too many open files";

/// No run of what is planned takes longer: a program that does has stalled.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// What a run printed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) version: String,
    pub(crate) figures: BTreeMap<String, f64>,
}

/// Runs a contender with the arguments of a scenario, each word one of them.
pub(crate) fn run(programs: &Programs, contender: &Contender, arguments: &str, limit: Duration) -> Result<Line, Lack> {
    run_under(&[], programs, contender, arguments, limit)
}

/// As [`run`], the program being run by another one, which is given with its arguments.
pub(crate) fn run_under(
    tool: &[String],
    programs: &Programs,
    contender: &Contender,
    arguments: &str,
    limit: Duration,
) -> Result<Line, Lack> {
    if let Some(reason) = programs.why_missing(contender.program) {
        return Err(Lack::Cannot(reason.to_owned()));
    }
    let program = programs.path(contender.program);
    let mut command = match tool {
        [] => Command::new(program),
        [tool, options @ ..] => {
            let mut command = Command::new(tool);
            command.args(options).arg(program);
            command
        }
    };
    command.args(arguments.split(' ')).args(contender.arguments);
    let output = process::output(&mut command, limit).map_err(Lack::Failed)?;
    answer(&output)
}

fn answer(output: &Output) -> Result<Line, Lack> {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or_default();
    if output.status.code() == Some(CANNOT) {
        // "mio has no timers": the row is the peer's, so that its name need not be said.
        let lack = said.split_once(" has ").map_or(said, |(_, lack)| lack);
        return Err(Lack::Cannot(lack.to_owned()));
    }
    if said.contains(TOO_MANY) {
        let reason = "more descriptors than a process may have here";
        return Err(Lack::Cannot(reason.to_owned()));
    }
    if !output.status.success() {
        return Err(Lack::Failed(format!("failed: {}, {said}", output.status)));
    }
    parse(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| Lack::Failed("printed no figures".to_owned()))
}

fn parse(line: &str) -> Option<Line> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let version = fields.get("version")?.as_str()?.to_owned();
    let numbers = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_f64()?)));
    Some(Line {
        version,
        figures: numbers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parsed() {
        let line = parse(r#"{"lib":"ev","version":"1.2","scenario":"pipes","ns":7.5,"failures":0}"#).unwrap();
        assert_eq!((line.version.as_str(), line.figures["ns"]), ("1.2", 7.5));
        assert!(parse("").is_none());
        assert!(parse("{}").is_none());
    }

    #[test]
    fn a_program_that_cannot_has_not_failed() {
        let said = |script: &str| answer(&Command::new("sh").args(["-c", script]).output().unwrap()).unwrap_err();
        let cannot = |reason: &str| Lack::Cannot(reason.to_owned());
        assert_eq!(said("echo mio has no timers >&2; exit 3"), cannot("no timers"));
        let too_many = "more descriptors than a process may have here";
        assert_eq!(said("echo pipe: Too many open files >&2; exit 1"), cannot(too_many));
        let failed = |reason: &str| Lack::Failed(reason.to_owned());
        assert_eq!(said("echo why >&2; exit 1"), failed("failed: exit status: 1, why"));
        assert_eq!(said("kill -KILL $$"), failed("failed: signal: 9 (SIGKILL), "));
        assert_eq!(said("true"), failed("printed no figures"));
    }
}
