//! What the libraries export, against the lists and against the system's libevent.

use std::fs;
use std::process::Command;

use cargo_metadata::camino::Utf8Path;

use super::library::{Library, PRELOAD, SHARED, SHARED_LINKS};
use super::symbols::{Names, called, defined, shown};
use crate::process;
use crate::tally::Tally;
use crate::{Error, Result};

/// The headers of the functions that the library has.
const HEADERS: &[&str] = &[
    "event.h",
    "event_compat.h",
    "event_struct.h",
    "listener.h",
    "thread.h",
    "util.h",
];

/// The system's libraries that have them.
const SYSTEM: &[&str] = &["libevent_core-2.1.so.7", "libevent_pthreads-2.1.so.7"];

/// What the shared libraries may be linked to.
const NEEDED: &[&str] = &["libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"];

/// `cargo xtask capi --check`. There is nothing to count: all of it holds, or the error says what does not.
pub(super) fn run(library: &Library) -> Result<Tally> {
    alone(library)?;
    against_the_system(library)?;
    Ok(Tally::default())
}

/// The checks that need no other libevent.
pub(super) fn alone(library: &Library) -> Result {
    let symbols = &library.symbols;
    exports(&library.shared(), &symbols.exported())?;
    exports(&library.preload(), &symbols.preloaded())?;
    dynamic(&library.shared(), SHARED)?;
    dynamic(&library.preload(), PRELOAD)?;
    one_file(library)
}

/// None missing, none more.
fn exports(path: &Utf8Path, wanted: &Names) -> Result {
    let found = exported(path.as_str())?;
    let mut problem = String::new();
    for (what, names) in [("lacks", wanted - &found), ("exports besides", &found - wanted)] {
        if !names.is_empty() {
            problem = format!("{problem}\n{path} {what} {} names:{}", names.len(), shown(&names));
        }
    }
    if !problem.is_empty() {
        return Err(Error::Failed(problem.trim_start().to_owned()));
    }
    println!(
        "{} exports the {} names of its list",
        path.file_name().unwrap_or("?"),
        found.len()
    );
    Ok(())
}

fn exported(path: &str) -> Result<Names> {
    process::run(Command::new("nm").args(["-P", "-D", "--defined-only", path])).map(|output| defined(&output))
}

/// The library's own name, binding at once, and nothing unexpected to be loaded with it.
fn dynamic(path: &Utf8Path, name: &str) -> Result {
    let output = process::run(Command::new("readelf").args(["-dW", path.as_str()]))?;
    let problems = dynamic_problems(&output, name);
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(format!("{path}: {}", problems.join(", "))))
}

fn dynamic_problems(output: &str, name: &str) -> Vec<String> {
    let values = |tag: &str| -> Vec<&str> {
        let tag = format!("({tag})");
        let lines = output.lines().filter(|line| line.contains(&tag));
        lines
            .filter_map(|line| line.split_once('[')?.1.split(']').next())
            .collect()
    };
    let mut problems = Vec::new();
    if values("SONAME") != [name] {
        problems.push(format!("calls itself {:?}", values("SONAME")));
    }
    if !output
        .lines()
        .any(|line| line.contains("(FLAGS_1)") && line.contains("NOW"))
    {
        problems.push("is not bound at once".to_owned());
    }
    for needed in values("NEEDED") {
        if !NEEDED.contains(&needed) {
            problems.push(format!("needs {needed}"));
        }
    }
    problems
}

/// All names lead to the same file.
fn one_file(library: &Library) -> Result {
    let file = fs::canonicalize(library.shared())?;
    for name in SHARED_LINKS {
        if fs::canonicalize(library.directory.join(name))? != file {
            return Err(Error::Failed(format!("{name} is not a link to {SHARED}")));
        }
    }
    Ok(())
}

/// The list of public names is complete: whatever the system's library exports and a header declares is in it.
fn against_the_system(library: &Library) -> Result {
    let public = &library.symbols.public;
    let mut theirs = Names::new();
    for name in SYSTEM {
        theirs.extend(exported(system_library(name)?.trim())?);
    }
    let mut gcc = Command::new("gcc");
    gcc.args(["-E", "-P", "-x", "c", "/dev/null"]);
    for header in HEADERS {
        gcc.args(["-include", &format!("event2/{header}")]);
    }
    let declared = &called(&process::run(&mut gcc)?) & &theirs;
    if declared.len() < public.len() / 2 {
        return Err(Error::Failed("cannot read the system's headers of libevent".into()));
    }
    let forgotten = &declared - public;
    let unknown = public - &theirs;
    for (what, names) in [
        ("not in the list of public names", forgotten),
        ("not in the system's library", unknown),
    ] {
        if !names.is_empty() {
            return Err(Error::Failed(format!("{what}:{}", shown(&names))));
        }
    }
    println!(
        "all {} functions that the system's headers declare are there",
        declared.len()
    );
    Ok(())
}

/// Where the system has a library: the compiler knows.
fn system_library(name: &str) -> Result<String> {
    let path = process::run(Command::new("gcc").arg(format!("-print-file-name={name}")))?;
    if path.trim() == name {
        return Err(Error::Failed(format!(
            "{name} is not installed; on Debian: apt-get install libevent-dev"
        )));
    }
    Ok(path.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = " 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x000000000000000e (SONAME)             Library soname: [libevent_core-2.1.so.7]
 0x000000006ffffffb (FLAGS_1)            Flags: NOW
";

    #[test]
    fn a_good_library_has_no_problems() {
        assert!(dynamic_problems(GOOD, SHARED).is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_library_is_said() {
        assert_eq!(
            dynamic_problems(GOOD, PRELOAD),
            ["calls itself [\"libevent_core-2.1.so.7\"]"]
        );
        assert_eq!(
            dynamic_problems(&GOOD.replace("NOW", "LAZY"), SHARED),
            ["is not bound at once"]
        );
        assert_eq!(
            dynamic_problems(&GOOD.replace("libc.so.6", "libevent-2.1.so.7"), SHARED),
            ["needs libevent-2.1.so.7"]
        );
    }
}
