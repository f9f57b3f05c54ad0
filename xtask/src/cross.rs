//! `cargo xtask cross`: type checks for the systems this machine does not run.
//!
//! A type check needs the standard library of the target. Rustup's toolchains can have it installed ready made; a
//! toolchain with the library's sources can check those along with the workspace, for any target.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;
use lexopt::Parser;

use crate::process;
use crate::workspace::Workspace;
use crate::{Error, Result};

const TARGETS: &[&str] = &[
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "aarch64-apple-darwin",
];

/// What is not for other systems: the interface of a library of Linux distributions.
const ONLY_HERE: &[&str] = &["ev-capi"];

pub(crate) fn command(parser: Parser) -> Result {
    crate::no_arguments(parser)?;
    run(&Workspace::load()?)
}

pub(crate) fn run(workspace: &Workspace) -> Result {
    let own = Toolchain::own();
    let own_libraries = own.sysroot()?.join("lib/rustlib");
    let (installed, missing): (Vec<&str>, _) = TARGETS
        .iter()
        .partition(|target| own_libraries.join(target).join("lib").is_dir());
    if !installed.is_empty() {
        println!("check for {}", installed.join(", "));
        check(workspace, &own, &installed, &[])?;
    }
    if !missing.is_empty() {
        let toolchain = Toolchain::with_sources().ok_or_else(|| cannot_check(&missing))?;
        println!(
            "check for {} with the library sources of {}",
            missing.join(", "),
            toolchain.version()?
        );
        // Backtraces are left out of the library: nothing runs, and they bring half a dozen crates.
        check(
            workspace,
            &toolchain,
            &missing,
            &["-Zbuild-std=std", "-Zbuild-std-features="],
        )?;
    }
    Ok(())
}

/// Checks every library for all of `targets` at once, so that what they share is built once.
fn check(workspace: &Workspace, toolchain: &Toolchain, targets: &[&str], options: &[&str]) -> Result {
    let mut command = Command::new(&toolchain.cargo);
    command
        .current_dir(workspace.root())
        .env("CARGO_TERM_QUIET", "true")
        .args(["check", "--lib"])
        .args(options);
    for package in workspace.libraries() {
        if !ONLY_HERE.contains(&package.name.as_str()) {
            command.args(["--package", &package.name]);
        }
    }
    for target in targets {
        command.args(["--target", target]);
    }
    command.env("CARGO_TARGET_DIR", workspace.target_directory().join("cross"));
    if !options.is_empty() {
        // Building the standard library is not yet stable; this lets a stable compiler do it.
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    process::run_silent(toolchain.environment(&mut command))
}

fn cannot_check(missing: &[&str]) -> Error {
    Error::Failed(format!(
        "cannot check for {}: install either\n  - the targets: rustup target add {}\n  - or the library sources: rustup \
         component add rust-src, or on Debian: apt-get install rustc-web cargo-web rust-web-src\n  - or name a toolchain \
         that has the sources in {CARGO} and {RUSTC}",
        missing.join(", "),
        missing.join(" ")
    ))
}

/// The variables that name a toolchain with the library sources.
const CARGO: &str = "CROSS_CARGO";
const RUSTC: &str = "CROSS_RUSTC";

#[derive(Debug)]
struct Toolchain {
    cargo: OsString,
    rustc: OsString,
}

impl Toolchain {
    /// The one that runs this program.
    fn own() -> Self {
        let variable = |name, default: &str| env::var_os(name).unwrap_or_else(|| default.into());
        Self {
            cargo: variable("CARGO", "cargo"),
            rustc: variable("RUSTC", "rustc"),
        }
    }

    /// The first that has the sources of the standard library: the one named in the environment, this one, the system's.
    fn with_sources() -> Option<Self> {
        let named = env::var_os(CARGO)
            .zip(env::var_os(RUSTC))
            .map(|(cargo, rustc)| Self { cargo, rustc });
        let system = Self {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
        };
        named.into_iter().chain([Self::own(), system]).find(Self::has_sources)
    }

    fn has_sources(&self) -> bool {
        self.sysroot()
            .is_ok_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir())
    }

    fn sysroot(&self) -> Result<Utf8PathBuf> {
        self.ask(&["--print", "sysroot"]).map(Utf8PathBuf::from)
    }

    fn version(&self) -> Result<String> {
        self.ask(&["--version"])
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let answer = process::run(self.environment(Command::new(&self.rustc).args(arguments)))?;
        Ok(answer.trim_end().to_owned())
    }

    /// Keeps a program of this toolchain apart from the one that runs this program.
    ///
    /// `cargo run` puts the directory of its own compiler's libraries into `LD_LIBRARY_PATH`.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("RUSTC", &self.rustc).env_remove("LD_LIBRARY_PATH")
    }
}
