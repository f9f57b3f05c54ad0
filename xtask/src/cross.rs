//! `cargo xtask cross`: type checks for the systems this machine does not run.
//!
//! A type check needs the standard library of the target. Rustup's toolchains can have it installed ready made; a
//! toolchain with the library's sources can check those along with the workspace, for any target.

use lexopt::Parser;

use crate::process;
use crate::toolchain::{CARGO, RUSTC, Toolchain};
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
    let mut command = if options.is_empty() {
        toolchain.cargo(workspace, "check")
    } else {
        toolchain.unstable_cargo(workspace, "check")
    };
    command.arg("--lib").args(options);
    for package in workspace.libraries() {
        if !ONLY_HERE.contains(&package.name.as_str()) {
            command.args(["--package", &package.name]);
        }
    }
    for target in targets {
        command.args(["--target", target]);
    }
    command.env("CARGO_TARGET_DIR", workspace.target_directory().join("cross"));
    process::run_silent(&mut command)
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
