//! `cargo xtask examples`: builds the examples in release and uses each as a person would.
//!
//! An example without an exercise is an error, and so is an exercise without an example: what is shown to users works.

mod http;
mod httpd;
mod running;
mod small;

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::tally::Tally;
use crate::workspace::{Workspace, features_for_tests};
use crate::{Error, Result, process};

pub(crate) const OPTIONS: &str = "[NAME]...";

/// What a use came to; the error says what happened instead of what should.
type Answer<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One use of an example.
type Use = fn(&Stage) -> Answer;

/// An example and its uses, each with a name.
struct Exercise {
    package: &'static str,
    example: &'static str,
    uses: &'static [(&'static str, Use)],
}

const EXERCISES: &[Exercise] = &[
    Exercise::new("ev-backend", "two_sockets", &[("run", small::two_sockets)]),
    Exercise::new("ev-timer", "sessions", &[("run", small::sessions)]),
    Exercise::new("ev-core", "timers", &[("run", small::timers)]),
    Exercise::new("ev-core", "threads", &[("run", small::threads)]),
    Exercise::new("ev-core", "retry", &[("run", small::retry)]),
    Exercise::new(
        "ev-core",
        "stdin",
        &[("a pipe", small::stdin_pipe), ("a file", small::stdin_file)],
    ),
    Exercise::new("ev-core", "signals", &[("three signals", small::signals)]),
    Exercise::new("ev-core", "fifo", &[("two writers", small::fifo)]),
    Exercise::new("ev-core", "echo", &[("two clients", small::echo)]),
    Exercise::new("ev-core", "chat", &[("three clients", small::chat)]),
    Exercise::new("ev-core", "httpd", httpd::USES),
];

/// What a use works with.
#[derive(Debug)]
struct Stage {
    /// The example's program.
    program: Utf8PathBuf,
    /// An empty directory.
    directory: Utf8PathBuf,
}

pub(crate) fn command(mut parser: Parser) -> Result {
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(name) => names.push(name.string()?),
            option => return Err(option.unexpected().into()),
        }
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| EXERCISES.iter().all(|exercise| exercise.example != **name))
    {
        return Err(Error::Usage(format!("unknown example `{unknown}`")));
    }
    let tally = run(&Workspace::load()?, &names)?;
    println!("{tally}");
    if tally.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

/// Uses the examples of these names, or all where there are none.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<Tally> {
    let chosen = |exercise: &&Exercise| names.is_empty() || names.iter().any(|name| name == exercise.example);
    if names.is_empty() {
        compare(&declared(workspace))?;
    }
    let mut tally = Tally::default();
    for exercise in EXERCISES.iter().filter(chosen) {
        let mut command = process::cargo(workspace, "build");
        command.args([
            "--release",
            "--package",
            exercise.package,
            "--example",
            exercise.example,
        ]);
        command.args(features_for_tests(exercise.package));
        let programs = process::build(&mut command)?;
        let Some(program) = programs.iter().find(|program| program.name == exercise.example) else {
            return Err(Error::Failed(format!(
                "`{}` built no program",
                process::shown(&command)
            )));
        };
        tally = tally + exercise.perform(&program.path, &workspace.log_directory("examples"))?;
    }
    Ok(tally)
}

impl Exercise {
    const fn new(package: &'static str, example: &'static str, uses: &'static [(&'static str, Use)]) -> Self {
        Self { package, example, uses }
    }

    fn perform(&self, program: &Utf8Path, scratch: &Utf8Path) -> Result<Tally> {
        let mut tally = Tally::default();
        for (name, perform) in self.uses {
            let directory = scratch.join(self.example);
            if directory.exists() {
                fs::remove_dir_all(&directory)?;
            }
            fs::create_dir_all(&directory)?;
            let start = Instant::now();
            let verdict = match perform(&Stage {
                program: program.to_owned(),
                directory,
            }) {
                Ok(()) => {
                    tally.passed += 1;
                    "ok".to_owned()
                }
                Err(problem) => {
                    tally.failed += 1;
                    format!("FAILED: {problem}")
                }
            };
            println!(
                "example {} ({name}): {verdict} ({:.1} s)",
                self.example,
                start.elapsed().as_secs_f64()
            );
        }
        Ok(tally)
    }
}

/// Examples, each by its crate and its name.
type Names<'a> = BTreeSet<(&'a str, &'a str)>;

/// The examples of the libraries.
fn declared(workspace: &Workspace) -> Names<'_> {
    let mut declared = Names::new();
    for package in workspace.libraries() {
        let examples = package.targets.iter().filter(|target| target.is_example());
        declared.extend(examples.map(|example| (package.name.as_str(), example.name.as_str())));
    }
    declared
}

fn used() -> Names<'static> {
    EXERCISES
        .iter()
        .map(|exercise| (exercise.package, exercise.example))
        .collect()
}

/// Compares the examples that are there with those that are used.
fn compare(declared: &Names) -> Result {
    let used = used();
    let unused = declared
        .difference(&used)
        .map(|(package, name)| format!("`{name}` of `{package}` has no exercise"));
    let missing = used
        .difference(declared)
        .map(|(package, name)| format!("`{package}` has no example `{name}`"));
    let problems: Vec<String> = unused.chain(missing).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(problems.join("\n       ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(declared: &Names) -> String {
        match compare(declared) {
            Err(Error::Failed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn examples_and_exercises_are_the_same() {
        assert!(compare(&used()).is_ok());

        let mut more = used();
        more.insert(("ev-core", "new"));
        assert_eq!(problems(&more), "`new` of `ev-core` has no exercise");

        let mut fewer = used();
        fewer.remove(&("ev-core", "echo"));
        assert_eq!(problems(&fewer), "`ev-core` has no example `echo`");
    }

    #[test]
    fn crates_may_have_examples_of_the_same_name() {
        let mut both = used();
        both.insert(("ev-timer", "echo"));
        assert_eq!(problems(&both), "`echo` of `ev-timer` has no exercise");
    }
}
