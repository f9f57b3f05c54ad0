//! Runs scenarios in processes of their own and counts what became of them.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::cell::{BACKENDS, BackendCell, Cell, DRIVERS, Driver};
use crate::matrix;
use crate::scenarios::{self, Scenario};

/// A scenario that takes longer has hung.
const LIMIT: Duration = Duration::from_mins(1);
/// The exit code by which a child tells that it skipped; its output is the reason.
const SKIPPED: u8 = 77;

/// Why a cell cannot do a scenario.
pub struct Skip(pub &'static str);

pub type Verdict = Result<(), Skip>;

#[derive(Default)]
pub struct Options {
    backends: Vec<BackendCell>,
    drivers: Vec<Driver>,
    filter: String,
    /// In a child: the one scenario to run, in this process.
    child: Option<String>,
    /// Prints the interest matrix and runs no scenario.
    matrix: bool,
}

impl Options {
    pub fn from_args() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("backend") => options.backends.push(parser.value()?.parse()?),
                Long("driver") => options.drivers.push(parser.value()?.parse()?),
                Long("filter") => options.filter = parser.value()?.string()?,
                Long("child") => options.child = Some(parser.value()?.string()?),
                Long("matrix") => options.matrix = true,
                // What `cargo test` hands to every harness.
                Value(filter) => options.filter = filter.string()?,
                Long("quiet" | "nocapture") | Short('q') => {}
                _ => return Err(argument.unexpected()),
            }
        }
        if options.backends.is_empty() {
            options.backends = BACKENDS.to_vec();
        }
        if options.drivers.is_empty() {
            options.drivers = DRIVERS.to_vec();
        }
        Ok(options)
    }

    fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let drivers = |backend| self.drivers.iter().map(move |&driver| Cell { backend, driver });
        self.backends.iter().flat_map(move |&backend| drivers(backend))
    }
}

pub fn run(options: &Options) -> ExitCode {
    if options.matrix {
        return matrix::print();
    }
    if let Some(name) = &options.child {
        return run_child(name, options);
    }
    let cells: Vec<Cell> = options.cells().collect();
    let green = cells.iter().filter(|cell| run_cell(**cell, &options.filter)).count();
    if green == cells.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the one scenario of a child, in this process.
fn run_child(name: &str, options: &Options) -> ExitCode {
    let (Some(scenario), Some(cell)) = (
        scenarios::all().find(|scenario| scenario.name == name),
        options.cells().next(),
    ) else {
        eprintln!("suite: no scenario {name:?}");
        return ExitCode::from(2);
    };
    match panic::catch_unwind(|| (scenario.run)(&cell)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Skip(reason))) => {
            print!("{reason}");
            ExitCode::from(SKIPPED)
        }
        Err(_) => ExitCode::FAILURE,
    }
}

enum Ended {
    Passed,
    Skipped(String),
    Failed(String),
}

/// Runs all scenarios of a cell; answers whether none failed.
fn run_cell(cell: Cell, filter: &str) -> bool {
    let title = format!("cell {} {}", cell.backend.name, cell.driver.name());
    if let Err(error) = cell.check() {
        println!("{title}: cannot run: {error}");
        return true;
    }
    let queue: Mutex<VecDeque<Scenario>> = Mutex::new(scenarios::all().filter(|s| s.name.contains(filter)).collect());
    let results = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let ended = run_in_child(scenario, cell).unwrap_or_else(|error| Ended::Failed(error.to_string()));
                    results.lock().unwrap().push((scenario.name, ended));
                }
            });
        }
    });
    report(&title, results.into_inner().unwrap())
}

fn report(title: &str, mut results: Vec<(&'static str, Ended)>) -> bool {
    results.sort_by_key(|(name, _)| *name);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, ended) in results {
        match ended {
            Ended::Passed => passed += 1,
            Ended::Skipped(reason) => {
                skipped += 1;
                println!("skip {name}: {reason}");
            }
            Ended::Failed(output) => {
                failed += 1;
                println!("FAILED {name}\n{output}");
            }
        }
    }
    println!("{title}: {passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

fn run_in_child(scenario: Scenario, cell: Cell) -> io::Result<Ended> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "--child",
            scenario.name,
            "--backend",
            cell.backend.name,
            "--driver",
            cell.driver.name(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut pipes = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || read_all(pipes.0.take()));
    let err = thread::spawn(move || read_all(pipes.1.take()));
    let in_time = wait(&mut child)?;
    let code = child.wait()?.code();
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    Ok(match code {
        Some(0) if in_time => Ended::Passed,
        Some(code) if code == i32::from(SKIPPED) => Ended::Skipped(out),
        _ if !in_time => Ended::Failed(format!("did not end within {LIMIT:?}\n{out}{err}")),
        Some(_) => Ended::Failed(format!("{out}{err}")),
        None => Ended::Failed(format!("ended by a signal\n{out}{err}")),
    })
}

/// Waits for the child, and kills one that does not end. Answers whether it ended by itself.
fn wait(child: &mut Child) -> io::Result<bool> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    while child.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            child.kill()?;
            return Ok(false);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(true)
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut text = Vec::new();
    // What cannot be read of a child's output is missing from the report, which is all it is for.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}
