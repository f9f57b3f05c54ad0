//! `cargo xtask capi --races`: the programs in C under thread sanitizer.
//!
//! The library, Rust's standard library in it, and the programs are compiled such that each access to memory is watched.
//! What watches is the runtime of the Rust toolchain, linked into each program: the shared libraries find it there, and
//! what gcc makes of the programs calls the same functions. The system's libevent, below the library that is preloaded, is
//! not watched.

use std::process::ExitStatus;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::PACKAGE;
use super::library::{Library, WITH_PROGRAM};
use super::programs::{Build, CHECKED_LIMIT, Cell, Program, Programs};
use crate::tally::Tally;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{Error, Result, process};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What thread sanitizer says before everything else it has to say.
const REPORT: &str = "WARNING: ThreadSanitizer: ";

/// A program is to end as it would, after a report as well; a child of a program with threads may go on.
const SETTINGS: &str = "exitcode=66 die_after_fork=0";

/// The program that would name functions in reports gets the preloaded library too, which it cannot run with.
const PRELOADED: &str = "exitcode=66 die_after_fork=0 symbolize=0";

/// Runs the programs, and counts those in which there was nothing to report.
pub(super) fn find(workspace: &Workspace, names: &[String]) -> Result<Tally> {
    let (toolchain, runtime) = match tools() {
        Ok(tools) => tools,
        Err(why) => {
            println!("races: skipped: {why}");
            return Ok(Tally {
                skipped: 1,
                ..Tally::default()
            });
        }
    };
    let scratch = workspace.log_directory("capi").join("races");
    let archive = compile(workspace, &toolchain)?;
    let library = Library::link(workspace, &archive, &scratch.join("lib"), &scratch, WITH_PROGRAM)?;
    find_known(workspace, &library, &runtime)?;
    let programs = Programs::compile(workspace, &library, names, build("ctest", "races/programs", &runtime))?;
    let mut tally = Tally::default();
    for program in &programs.list {
        tally = tally + examine(&programs, program)?;
    }
    Ok(tally)
}

/// The compiler, and the runtime to link, or what is missing.
fn tools() -> std::result::Result<(Toolchain, Utf8PathBuf), &'static str> {
    let toolchain =
        Toolchain::with_sources().ok_or("no Rust with the library sources (rustup +nightly component add rust-src)")?;
    let runtime = runtime(&toolchain).ok_or("the Rust with the library sources has no thread sanitizer")?;
    Ok((toolchain, runtime))
}

fn runtime(toolchain: &Toolchain) -> Option<Utf8PathBuf> {
    let directory = toolchain.sysroot().ok()?.join("lib/rustlib").join(TARGET).join("lib");
    let mut files = directory.read_dir_utf8().ok()?.flatten();
    let runtime = files.find(|file| file.file_name().ends_with("_rt.tsan.a"))?;
    Some(runtime.into_path())
}

/// The crate and all below it as a static library.
fn compile(workspace: &Workspace, toolchain: &Toolchain) -> Result<Utf8PathBuf> {
    let mut cargo = toolchain.unstable_cargo(workspace, "rustc");
    cargo
        .env("CARGO_TARGET_DIR", workspace.target_directory().join("races"))
        .env("RUSTFLAGS", "-Zsanitizer=thread")
        .args(["--package", PACKAGE, "--lib", "--release", "--crate-type", "staticlib"])
        .args(["--target", TARGET, "-Zbuild-std=std"]);
    process::build_archive(&mut cargo)
}

fn build(sources: &'static str, scratch: &'static str, runtime: &Utf8Path) -> Build {
    let linker = [
        "-Wl,--whole-archive",
        runtime.as_str(),
        "-Wl,--no-whole-archive",
        "-Wl,--export-dynamic",
        "-lm",
        "-lgcc_s",
    ];
    Build {
        sources,
        scratch,
        compiler: vec!["-fsanitize=thread".to_owned()],
        linker: linker.map(str::to_owned).into(),
    }
}

/// A check that finds nothing where there is something would be none.
fn find_known(workspace: &Workspace, library: &Library, runtime: &Utf8Path) -> Result {
    let programs = Programs::compile(workspace, library, &[], build("ctest/races", "races/known", runtime))?;
    for program in &programs.list {
        for cell in program.cells() {
            if run(&programs, program, cell)?.report.is_none() {
                let (name, cell) = (&program.name, cell.name);
                return Err(Error::Failed(format!("the race in {name} on {cell} is not found")));
            }
        }
    }
    Ok(())
}

/// Runs one program in each way.
fn examine(programs: &Programs<'_>, program: &Program) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut ways = Vec::new();
    for cell in program.cells() {
        ways.push(cell.name);
        let Ran { report, status, log } = run(programs, program, cell)?;
        if report.is_none() && status.is_some_and(|status| status.success()) {
            tally.passed += 1;
            continue;
        }
        let status = status.map_or("at the limit".to_owned(), |status| status.to_string());
        let report = report.unwrap_or_default();
        println!(
            "races {} on {}: FAILED, ended: {status}; {report}\n  see {log}",
            program.name, cell.name
        );
        tally.failed += 1;
    }
    let remark = program
        .remark()
        .map_or_else(String::new, |remark| format!("; {remark}"));
    println!("races {}: {tally} on {}{remark}", program.name, ways.join(", "));
    Ok(tally)
}

/// How a program went.
struct Ran {
    /// The first report, in a line.
    report: Option<String>,
    status: Option<ExitStatus>,
    log: Utf8PathBuf,
}

fn run(programs: &Programs<'_>, program: &Program, cell: &Cell) -> Result<Ran> {
    let log = programs.scratch.join(format!("{}-{}.log", program.name, cell.name));
    let mut command = programs.in_cell(&program.name, cell);
    let settings = if cell.is_preloaded() { PRELOADED } else { SETTINGS };
    let ended = process::run_limited(command.env("TSAN_OPTIONS", settings), &log, CHECKED_LIMIT)?;
    let mut reports = ended.output.lines().filter_map(|line| line.split_once(REPORT));
    Ok(Ran {
        report: reports.next().map(|(_, what)| what.to_owned()),
        status: ended.status,
        log,
    })
}
