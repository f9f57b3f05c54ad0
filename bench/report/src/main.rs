//! Runs the programs side by side and reports what they came to: tables, targets, charts.
//!
//! The contenders of a measurement run in turn, A B C A B C …, so that a slow spell of the machine hits all of them, and
//! figures are compared within a repetition. `cargo xtask bench` builds everything and calls this.
//!
//! | module | holds |
//! |---|---|
//! | `contenders`, `plan` | who is measured, and at what |
//! | `programs`, `run`, `counts`, `process` | building and running them, also under valgrind and strace |
//! | `servers` | running web servers under a load |
//! | `results` | medians, bests, ratios |
//! | `tables`, `targets` | Markdown |
//! | `charts`, `bars`, `lines` | SVG |
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is how a report is made"
)]

mod bars;
mod charts;
mod contenders;
mod counts;
mod lines;
mod machine;
mod plan;
mod process;
mod programs;
mod results;
mod run;
mod servers;
mod tables;
mod targets;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt as _};

use charts::Charts;
use counts::Tools;
use plan::{Measurement, Section};
use programs::Programs;
use results::{Results, Runs};
use servers::Servers;

/// What went wrong, for people.
#[derive(Debug)]
struct Error(String);

type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The command line.
#[derive(Debug, Default)]
struct Options {
    /// The peers' C files.
    sources: PathBuf,
    /// Where the programs are, and those in C go.
    programs: PathBuf,
    /// Where tables and charts go.
    out: PathBuf,
    /// The web server to measure beside another one, if that is wanted.
    httpd: Option<PathBuf>,
    /// Measures servers and no loops.
    only_servers: bool,
    quick: bool,
    /// Counts instructions and system calls, and measures no time.
    only_counts: bool,
    repetitions: Option<usize>,
}

impl Options {
    fn parse(mut parser: Parser) -> std::result::Result<Self, lexopt::Error> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("sources") => options.sources = parser.value()?.into(),
                Arg::Long("programs") => options.programs = parser.value()?.into(),
                Arg::Long("out") => options.out = parser.value()?.into(),
                Arg::Long("httpd") => options.httpd = Some(parser.value()?.into()),
                Arg::Long("only-servers") => options.only_servers = true,
                Arg::Long("quick") => options.quick = true,
                Arg::Long("instructions") => options.only_counts = true,
                Arg::Long("repetitions") => options.repetitions = Some(parser.value()?.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        // Counting takes no less time where less is measured.
        options.quick &= !options.only_counts;
        Ok(options)
    }

    fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(if self.quick { 3 } else { 7 })
    }
}

fn main() -> ExitCode {
    let answer = Options::parse(Parser::from_env()).map_err(Error::from);
    match answer.and_then(|options| report(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Text that is printed as it grows, and kept.
#[derive(Default)]
struct Report(String);

impl Report {
    fn add(&mut self, text: &str) {
        println!("{text}");
        self.0.push_str(text);
        self.0.push('\n');
    }
}

fn report(options: &Options) -> Result {
    fs::create_dir_all(&options.out)?;
    let programs = Programs::build(&options.sources, &options.programs)?;
    let sections = plan::sections();
    let measurements: Vec<&Measurement> = sections.iter().flat_map(|section| &section.measurements).collect();
    let (mut results, mut report) = (Results::default(), Report::default());
    report.add(&format!("# Measurements\n\n{}", machine::description()));
    if !options.only_counts {
        for section in &sections {
            if section.is_of_servers() {
                measure_servers(section, options, &mut results, &mut report)?;
            } else if !options.only_servers {
                measure(section, options, &programs, &mut results);
            }
            let is_empty = section
                .measurements
                .iter()
                .all(|of| !results.runs.contains_key(of.arguments));
            if !is_empty {
                report.add(&tables::section(section, options.quick, &results));
            }
        }
    }
    if options.only_counts || !(options.quick || options.only_servers) {
        let tools = Tools::find();
        count(&tools, &measurements, options, &programs, &mut results)?;
        report.add(&tables::counts(&measurements, &results));
        for lack in tools.lacks() {
            report.add(lack);
        }
    }
    report.add(&format!(
        "## Targets\n\n{}",
        targets::table(&measurements, options.quick, &results)
    ));
    if !results.versions.is_empty() {
        report.add(&format!(
            "## Who was measured\n\n{}",
            tables::contenders(measurements.iter().copied(), &results)
        ));
    }
    fs::write(
        options.out.join("measurements.md"),
        report.0.trim_end().to_owned() + "\n",
    )?;
    let charts = Charts {
        measurements: &measurements,
        results: &results,
    };
    charts.draw(&options.out.join("charts"))?;
    println!("Tables and charts are in {}.", options.out.display());
    succeeded(&results.failures)
}

/// The error, if anything failed: a table with a row of words in it is not what was asked for.
fn succeeded(failures: &[String]) -> Result {
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error(format!("these failed:\n{}", failures.join("\n"))))
    }
}

/// Runs all contenders of a section's measurements in turn.
fn measure(section: &Section, options: &Options, programs: &Programs, results: &mut Results) {
    for measurement in &section.measurements {
        let Some(line) = measurement.line(options.quick) else {
            continue;
        };
        let mut runs = Runs::default();
        let repetitions = if measurement.is_timed() {
            options.repetitions()
        } else {
            1
        };
        for repetition in 0..repetitions {
            for contender in &measurement.contenders {
                if runs.lack(contender.label).is_some() {
                    continue;
                }
                match run::run(programs, contender, line) {
                    Ok(said) => {
                        results.versions.insert(contender.program, said.version);
                        runs.record(contender.label, repetition, said.figures);
                    }
                    Err(lack) => runs.record_lack(contender.label, lack),
                }
            }
        }
        results.record(measurement.arguments, line, runs);
    }
}

/// Loads the servers of a section's measurements in turn, if that is wanted and can be done.
fn measure_servers(section: &Section, options: &Options, results: &mut Results, report: &mut Report) -> Result {
    let Some(httpd) = &options.httpd else {
        return Ok(());
    };
    let Some(servers) = Servers::find(httpd, &mut |text| report.add(text))? else {
        return Ok(());
    };
    for measurement in &section.measurements {
        let Some(line) = measurement.line(options.quick) else {
            continue;
        };
        let runs = servers.measure(measurement, line, options.repetitions())?;
        results.record(measurement.arguments, line, runs);
    }
    results.versions.insert("httpd", "that of `ev-core` here".to_owned());
    results.versions.extend(servers.versions.clone());
    Ok(())
}

/// Counts instructions and system calls where that was asked for.
fn count(
    tools: &Tools,
    measurements: &[&Measurement],
    options: &Options,
    programs: &Programs,
    results: &mut Results,
) -> Result {
    let scratch: &Path = &options.programs.join("counts");
    fs::create_dir_all(scratch)?;
    for measurement in measurements.iter().filter(|measurement| measurement.is_counted) {
        for contender in &measurement.contenders {
            match tools.count(programs, measurement, contender, scratch) {
                Ok(counts) => {
                    let of_each = results.counts.entry(measurement.arguments).or_default();
                    of_each.insert(contender.label, counts);
                }
                Err(lack) => {
                    println!("{}, `{}`: {lack}", contender.label, measurement.arguments);
                    results.note(contender.label, measurement.arguments, &lack);
                }
            }
        }
    }
    Ok(())
}
