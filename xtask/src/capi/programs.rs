//! The programs in C: each is run with this library and with the system's, and both have to print the same.
//!
//! What a program calls says with which libraries it can run: not all of them have everything, see [`Scope`].

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::PACKAGE;
use super::differences::{Differences, first_difference};
use super::library::{Library, SHARED};
use super::symbols::{Names, Symbols, called};
use crate::process;
use crate::table::{Row, Table};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{Error, Result};

/// One way to run a program.
pub(super) struct Cell {
    pub(super) name: &'static str,
    backend: &'static str,
    /// The environment that makes libevent choose the backend.
    variables: &'static [&'static str],
    flavour: Flavour,
}

/// How a program gets this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    InPlace,
    Preloaded,
}

impl Cell {
    const fn of(backend: &'static str, variables: &'static [&'static str]) -> Self {
        Self {
            name: backend,
            backend,
            variables,
            flavour: Flavour::InPlace,
        }
    }

    pub(super) fn is_preloaded(&self) -> bool {
        self.flavour == Flavour::Preloaded
    }
}

const CELLS: &[Cell] = &[
    Cell::of("epoll", &[]),
    Cell::of("changelist", &["EVENT_EPOLL_USE_CHANGELIST"]),
    Cell::of("poll", &["EVENT_NOEPOLL"]),
    Cell::of("select", &["EVENT_NOEPOLL", "EVENT_NOPOLL"]),
    Cell {
        name: "preload",
        flavour: Flavour::Preloaded,
        ..Cell::of("epoll", &[])
    },
];

/// How often a program is run before it counts as different.
const ATTEMPTS: usize = 3;

const LIMIT: Duration = Duration::from_mins(2);
/// With each access to memory checked everything takes longer.
pub(super) const CHECKED_LIMIT: Duration = Duration::from_mins(5);

/// What valgrind ends with where it found an error; no program ends with it by itself.
const MEMCHECK_FAILED: &str = "98";

const COMPILER: &[&str] = &["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"];

/// The libraries that have all that a program calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All of them.
    Public,
    /// The system's, and of ours the one to preload: it calls what is inside of libevent.
    Internal,
    /// Ours: it calls functions of a later libevent than the system's. What it has to print is in a file beside it.
    Ours,
}

impl Scope {
    /// The scope of a program that calls nothing else than `names`.
    fn of(names: &Names, symbols: &Symbols) -> Self {
        if !names.is_disjoint(&symbols.later) {
            return Self::Ours;
        }
        let internal = &symbols.preloaded() - &symbols.exported();
        if names.is_disjoint(&internal) {
            Self::Public
        } else {
            Self::Internal
        }
    }

    /// The ways to run a program of this scope.
    fn cells(self) -> impl Iterator<Item = &'static Cell> {
        let fits = move |cell: &&Cell| self != Self::Internal || cell.flavour == Flavour::Preloaded;
        CELLS.iter().filter(fits)
    }

    /// What is not compared, for the table.
    fn remark(self) -> Option<&'static str> {
        match self {
            Self::Public => None,
            Self::Internal => Some("preloaded only: it calls what is inside of libevent"),
            Self::Ours => Some("ours only: the system's libevent lacks what it calls"),
        }
    }
}

/// Which programs are made, and how.
#[derive(Debug)]
pub(super) struct Build {
    /// Where they lie in the crate.
    pub(super) sources: &'static str,
    /// Where they are put among the logs.
    pub(super) scratch: &'static str,
    /// More options.
    pub(super) compiler: Vec<String>,
    pub(super) linker: Vec<String>,
}

impl Build {
    const PLAIN: Self = Self {
        sources: "ctest",
        scratch: "programs",
        compiler: Vec::new(),
        linker: Vec::new(),
    };
}

/// A program, compiled.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    scope: Scope,
}

impl Program {
    /// The ways to run it.
    pub(super) fn cells(&self) -> impl Iterator<Item = &'static Cell> {
        self.scope.cells()
    }

    /// Why these are not all.
    pub(super) fn remark(&self) -> Option<&'static str> {
        self.scope.remark()
    }
}

/// The programs.
pub(super) struct Programs<'a> {
    library: &'a Library,
    sources: Utf8PathBuf,
    pub(super) scratch: Utf8PathBuf,
    build: Build,
    pub(super) list: Vec<Program>,
}

impl<'a> Programs<'a> {
    /// Compiles the programs of these names, all if there are none.
    pub(super) fn compile(
        workspace: &Workspace,
        library: &'a Library,
        chosen: &[String],
        build: Build,
    ) -> Result<Self> {
        let sources = workspace.root().join(PACKAGE).join(build.sources);
        let names = choose(program_names(&sources)?, chosen)?;
        let mut programs = Self {
            library,
            sources,
            scratch: workspace.log_directory("capi").join(build.scratch),
            build,
            list: Vec::new(),
        };
        fs::create_dir_all(&programs.scratch)?;
        for name in names {
            let scope = programs.compile_one(&name)?;
            programs.list.push(Program { name, scope });
        }
        programs.find_library()?;
        Ok(programs)
    }

    fn compile_one(&self, name: &str) -> Result<Scope> {
        let source = self.sources.join(name).with_extension("c");
        let object = self.path(name).with_extension("o");
        let scope = Scope::of(&called(&fs::read_to_string(&source)?), &self.library.symbols);
        let mut gcc = Command::new("gcc");
        gcc.args(COMPILER)
            .args(&self.build.compiler)
            .args(["-c", "-o", object.as_str(), source.as_str()]);
        process::run_silent(&mut gcc)?;
        let mut gcc = Command::new("gcc");
        gcc.args(["-pthread", "-o", self.path(name).as_str(), object.as_str()])
            .args(&self.build.linker);
        match scope {
            Scope::Ours => gcc.arg(self.library.shared()),
            Scope::Public | Scope::Internal => gcc.args(["-levent_core", "-levent_pthreads"]),
        };
        process::run_silent(&mut gcc)?;
        Ok(scope)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.scratch.join(name)
    }

    /// A comparison of the system's library with itself would always succeed.
    fn find_library(&self) -> Result {
        let Some(Program { name, .. }) = self.list.first() else {
            return Ok(());
        };
        let both = [
            (true, self.with_ours(name, Flavour::InPlace)),
            (false, self.with_theirs(name)),
        ];
        for (ours, mut command) in both {
            let output = process::run(command.env("LD_TRACE_LOADED_OBJECTS", "1"))?;
            let loaded = loaded(&output, SHARED).ok_or_else(|| Error::Failed(format!("{name} loads no {SHARED}")))?;
            let is_ours = fs::canonicalize(loaded)? == fs::canonicalize(self.library.shared())?;
            if is_ours != ours {
                return Err(Error::Failed(format!("the wrong library is loaded: {loaded}")));
            }
        }
        Ok(())
    }

    fn with_theirs(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        command.env_remove("LD_LIBRARY_PATH");
        command
    }

    /// A program with this library, in one way.
    pub(super) fn in_cell(&self, name: &str, cell: &Cell) -> Command {
        let mut command = self.with_ours(name, cell.flavour);
        command.envs(cell.variables.iter().map(|variable| (variable, "1")));
        command
    }

    fn with_ours(&self, name: &str, flavour: Flavour) -> Command {
        let mut command = self.with_theirs(name);
        match flavour {
            Flavour::InPlace => command.env("LD_LIBRARY_PATH", &self.library.directory),
            Flavour::Preloaded => command.env("LD_PRELOAD", self.library.preload()),
        };
        command
    }

    /// What a program prints, and how it ends, as a last line.
    fn output(&self, command: &mut Command, log: &str, variables: &[&str]) -> Result<String> {
        for variable in variables {
            command.env(variable, "1");
        }
        let log = self.scratch.join(log).with_extension("log");
        let ended = process::run_limited(command, &log, LIMIT)?;
        let status = ended
            .status
            .map_or("at the limit".to_owned(), |status| status.to_string());
        Ok(format!("{}\nended: {status}\n", ended.output.trim_end()))
    }

    /// Runs one program in one way with both; `None` when they agree.
    ///
    /// Programs that are about timers may waver, with either library, on a machine under load: what differs is run again,
    /// and told when that helps.
    fn differs(&self, program: &Program, cell: &Cell, differences: &Differences) -> Result<Option<String>> {
        let mut difference = None;
        for attempt in 1..=ATTEMPTS {
            difference = self.differs_once(program, cell, differences)?;
            if difference.is_none() {
                if attempt > 1 {
                    println!("{} on {}: alike in run {attempt}", program.name, cell.name);
                }
                break;
            }
        }
        Ok(difference)
    }

    fn differs_once(
        &self,
        Program { name, scope }: &Program,
        cell: &Cell,
        differences: &Differences,
    ) -> Result<Option<String>> {
        let log = |whose: &str| format!("{name}-{}-{whose}", cell.name);
        let theirs = match scope {
            Scope::Ours => fs::read_to_string(self.sources.join(name).with_extension("expected"))?,
            Scope::Public | Scope::Internal => {
                self.output(&mut self.with_theirs(name), &log("theirs"), cell.variables)?
            }
        };
        let mut command = self.with_ours(name, cell.flavour);
        let ours = self.output(&mut command, &log("ours"), cell.variables)?;
        let (expected, stale) = differences.expected(name, cell.backend, &theirs);
        let ours: Vec<String> = ours.lines().map(str::to_owned).collect();
        if let Some(difference) = first_difference(&expected, &ours) {
            return Ok(Some(difference));
        }
        Ok((!stale.is_empty()).then(|| format!("listed differences that fit nowhere:\n{}", stale.join("\n"))))
    }
}

/// `cargo xtask capi --test`.
pub(super) fn compare(workspace: &Workspace, library: &Library, names: &[String]) -> Result<Tally> {
    let programs = Programs::compile(workspace, library, names, Build::PLAIN)?;
    let differences = Differences::read(&programs.sources.join("differences.txt"))?;
    let mut table = Table::default();
    for program in &programs.list {
        let name = &program.name;
        let mut row = Row {
            name: name.clone(),
            tally: Tally::default(),
            why: program.remark().map(str::to_owned).into_iter().collect(),
        };
        // Backends mostly differ in the same way, which is told once.
        let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for cell in program.cells() {
            match programs.differs(program, cell, &differences)? {
                None => row.tally.passed += 1,
                Some(difference) => {
                    row.tally.failed += 1;
                    row.why.push(cell.name.to_owned());
                    told.entry(difference).or_default().push(cell.name);
                }
            }
        }
        for (difference, cells) in told {
            println!("{name} on {}: {difference}", cells.join(", "));
        }
        table.rows.push(row);
    }
    print!("{table}");
    Ok(table.tally())
}

/// `cargo xtask capi --memcheck`.
pub(super) fn memcheck(workspace: &Workspace, library: &Library, names: &[String]) -> Result<Tally> {
    let programs = Programs::compile(workspace, library, names, Build::PLAIN)?;
    let suppressions = programs.sources.join("valgrind.supp");
    let mut tally = Tally::default();
    for Program { name, scope } in &programs.list {
        let mut valgrind = Command::new("valgrind");
        match scope {
            Scope::Internal => valgrind.env("LD_PRELOAD", library.preload()),
            Scope::Public | Scope::Ours => valgrind.env("LD_LIBRARY_PATH", &library.directory),
        };
        valgrind
            .args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite"])
            .args(["--errors-for-leak-kinds=definite", "--num-callers=30"])
            .arg(format!("--error-exitcode={MEMCHECK_FAILED}"))
            .arg(format!("--suppressions={suppressions}"))
            .arg(programs.path(name));
        let log = programs.scratch.join(format!("{name}-memcheck.log"));
        let ended = process::run_limited(&mut valgrind, &log, CHECKED_LIMIT)?;
        // A child of the program that valgrind complains of does not change how the program ends.
        let complaint = ended.output.lines().find(|line| is_complaint(line));
        match (ended.status, complaint) {
            (Some(status), None) if status.success() => {
                println!("memcheck {name}: clean");
                tally.passed += 1;
            }
            (status, complaint) => {
                let status = status.map_or("at the limit".to_owned(), |status| status.to_string());
                println!(
                    "memcheck {name}: FAILED, ended: {status}; {}\n  see {log}",
                    complaint.unwrap_or_default()
                );
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// Whether valgrind says that something is wrong, and not merely that it does not know something.
fn is_complaint(line: &str) -> bool {
    let Some(text) = line.strip_prefix("==").and_then(|rest| rest.split_once("== ")) else {
        return false;
    };
    [
        "Invalid ",
        "Conditional jump",
        "Use of uninit",
        "Syscall param",
        "Mismatched",
        "Source and dest",
    ]
    .iter()
    .any(|start| text.1.starts_with(start))
        || text.1.contains("are definitely lost")
}

fn program_names(directory: &Utf8Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in directory.read_dir_utf8()? {
        let entry = entry?;
        if entry.path().extension() == Some("c") {
            names.extend(entry.path().file_stem().map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// Those of `all` that are named; without names, all.
pub(super) fn choose(all: Vec<String>, names: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        return Err(Error::Usage(format!("no `{unknown}`; there are {}", all.join(", "))));
    }
    let is_chosen = |name: &String| names.is_empty() || names.contains(name);
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// Where the loader found a library: what it prints of a program instead of running it.
fn loaded<'a>(output: &'a str, name: &str) -> Option<&'a str> {
    let line = output.lines().find(|line| line.trim_start().starts_with(name))?;
    line.split_once("=> ")?.1.split(" (").next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_tells_where_a_library_is() {
        let output = "\tlinux-vdso.so.1 (0x1)\n\tlibevent_core-2.1.so.7 => /a b/libevent_core-2.1.so.7 (0x2)\n";
        assert_eq!(loaded(output, SHARED), Some("/a b/libevent_core-2.1.so.7"));
        assert_eq!(loaded(output, "libevent-2.1.so.7"), None);
    }

    #[test]
    fn what_a_program_calls_is_its_scope() {
        let root = Workspace::load().unwrap().root().join(PACKAGE);
        let symbols = Symbols::read(&root.join("symbols")).unwrap();
        let scope = |source| Scope::of(&called(source), &symbols);
        assert_eq!(scope("int main(void) { event_init(); }"), Scope::Public);
        assert_eq!(
            scope("event_init(); event_callback_init_(base, &one);"),
            Scope::Internal
        );
        assert_eq!(scope("event_callback_init_(base, &one); evwatch_free(w);"), Scope::Ours);
        assert_eq!(Scope::Public.cells().count(), CELLS.len());
        assert_eq!(Scope::Ours.cells().count(), CELLS.len());
        assert!(Scope::Internal.cells().all(|cell| cell.flavour == Flavour::Preloaded));
    }

    #[test]
    fn programs_are_chosen_by_name() {
        let all = || vec!["loop".to_owned(), "time".to_owned()];
        assert_eq!(choose(all(), &[]).unwrap(), all());
        assert_eq!(choose(all(), &["time".to_owned()]).unwrap(), ["time"]);
        assert!(matches!(choose(all(), &["tome".to_owned()]), Err(Error::Usage(_))));
    }

    #[test]
    fn complaints_are_told_from_remarks() {
        assert!(is_complaint("==12== Invalid read of size 8"));
        assert!(is_complaint(
            "==12== 40 bytes in 1 blocks are definitely lost in loss record 1 of 1"
        ));
        assert!(!is_complaint("==12== Warning: noted but unhandled ioctl 0x5401"));
        assert!(!is_complaint("Invalid read: says the program itself"));
    }
}
