//! The programs: where they are, and how those in C are built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result};

/// What a peer in C is linked against.
enum Library {
    /// Nothing.
    None,
    /// What `pkg-config` knows under these names.
    PkgConfig(&'static [&'static str]),
    /// A library that `pkg-config` does not know: its header, and the linker's arguments.
    Header(&'static str, &'static [&'static str]),
}

const IN_C: &[(&str, Library)] = &[
    ("raw", Library::None),
    ("libevent", Library::PkgConfig(&["libevent_core", "libevent_pthreads"])),
    ("libev", Library::Header("ev.h", &["-lev", "-lm"])),
    ("libuv", Library::PkgConfig(&["libuv"])),
];
const IN_RUST: &[&str] = &["ev", "mio", "polling", "calloop"];
/// What all peers in C consist of beside their own file.
const COMMON: &[&str] = &["main.c", "io.c", "timers.c", "wakeup.c"];

/// The programs that can be run, by name.
#[derive(Debug)]
pub(crate) struct Programs {
    directory: PathBuf,
    missing: BTreeMap<&'static str, String>,
}

impl Programs {
    /// Builds the peers in C from `sources` into `directory`, where those in Rust are already.
    pub(crate) fn build(sources: &Path, directory: &Path) -> Result<Self> {
        let mut missing = BTreeMap::new();
        for (name, library) in IN_C {
            match library.arguments() {
                Ok(arguments) => compile(name, &arguments, sources, directory)?,
                Err(reason) => {
                    missing.insert(*name, reason);
                }
            }
        }
        let programs = Self {
            directory: directory.to_owned(),
            missing,
        };
        match IN_RUST.iter().find(|name| !programs.path(name).is_file()) {
            None => Ok(programs),
            Some(name) => Err(Error::new(format!("{} is missing", programs.path(name).display()))),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("bench-{name}"))
    }

    /// Why there is no such program.
    pub(crate) fn why_missing(&self, name: &str) -> Option<&str> {
        self.missing.get(name).map(String::as_str)
    }
}

impl Library {
    /// What the compiler has to be told, or why it would not help.
    fn arguments(&self) -> std::result::Result<Vec<String>, String> {
        match self {
            Self::None => Ok(vec![]),
            Self::PkgConfig(packages) => {
                let output = Command::new("pkg-config")
                    .args(["--cflags", "--libs"])
                    .args(*packages)
                    .output();
                match output {
                    Ok(output) if output.status.success() => Ok(words(&output.stdout)),
                    Ok(_) => Err("not installed".to_owned()),
                    Err(_) => Err("not installed, as far as can be told without pkg-config".to_owned()),
                }
            }
            Self::Header(header, arguments) => {
                let found = Command::new(compiler())
                    .args(["-E", "-x", "c", "-include", header, "/dev/null"])
                    .output()
                    .is_ok_and(|output| output.status.success());
                if found {
                    Ok(arguments.iter().map(|&argument| argument.to_owned()).collect())
                } else {
                    Err("not installed".to_owned())
                }
            }
        }
    }
}

fn compile(name: &str, library: &[String], sources: &Path, directory: &Path) -> Result {
    let own = format!("{name}.c");
    let files = COMMON
        .iter()
        .copied()
        .chain([own.as_str()])
        .map(|file| sources.join(file));
    let mut command = Command::new(compiler());
    command
        .args(["-std=gnu17", "-O2", "-flto=auto", "-g", "-Wall", "-Wextra", "-o"])
        .arg(directory.join(format!("bench-{name}")))
        .args(files)
        .args(library)
        .arg("-lpthread");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(format!("compiling {own}: {status}"))),
        Err(error) => Err(Error::new(format!("cannot start the C compiler: {error}"))),
    }
}

pub(crate) fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

fn words(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
