//! Compilers, among them such as can build the standard library.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use cargo_metadata::camino::Utf8PathBuf;

use crate::workspace::Workspace;
use crate::{Result, process};

/// The variables that name a toolchain with the library sources.
pub(crate) const CARGO: &str = "CROSS_CARGO";
pub(crate) const RUSTC: &str = "CROSS_RUSTC";

#[derive(Debug)]
pub(crate) struct Toolchain {
    cargo: OsString,
    rustc: OsString,
}

impl Toolchain {
    /// The one that runs this program.
    pub(crate) fn own() -> Self {
        let variable = |name, default: &str| env::var_os(name).unwrap_or_else(|| default.into());
        Self {
            cargo: variable("CARGO", "cargo"),
            rustc: variable("RUSTC", "rustc"),
        }
    }

    /// The first that has the sources of the standard library: the one named in the environment, this one, rustup's
    /// nightly one, the system's.
    pub(crate) fn with_sources() -> Option<Self> {
        let named = env::var_os(CARGO)
            .zip(env::var_os(RUSTC))
            .map(|(cargo, rustc)| Self { cargo, rustc });
        let system = Self {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
        };
        let mut all = named.into_iter().chain([Self::own()]).chain(nightly()).chain([system]);
        all.find(Self::has_sources)
    }

    fn has_sources(&self) -> bool {
        self.sysroot()
            .is_ok_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").is_dir())
    }

    pub(crate) fn sysroot(&self) -> Result<Utf8PathBuf> {
        self.ask(&["--print", "sysroot"]).map(Utf8PathBuf::from)
    }

    pub(crate) fn version(&self) -> Result<String> {
        self.ask(&["--version"])
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let answer = process::run(self.environment(Command::new(&self.rustc).args(arguments)))?;
        Ok(answer.trim_end().to_owned())
    }

    /// This toolchain's cargo, at the root of the workspace.
    pub(crate) fn cargo(&self, workspace: &Workspace, subcommand: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(workspace.root())
            .env("CARGO_TERM_QUIET", "true")
            .arg(subcommand);
        self.environment(&mut command);
        command
    }

    /// As [`cargo`](Self::cargo), and it may use what is not yet stable, as building the standard library is, though the
    /// compiler be a stable one.
    pub(crate) fn unstable_cargo(&self, workspace: &Workspace, subcommand: &str) -> Command {
        let mut command = self.cargo(workspace, subcommand);
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// Keeps a program of this toolchain apart from the one that runs this program.
    ///
    /// `cargo run` puts the directory of its own compiler's libraries into `LD_LIBRARY_PATH`.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("RUSTC", &self.rustc).env_remove("LD_LIBRARY_PATH")
    }
}

fn nightly() -> Option<Toolchain> {
    let find = |program| {
        let path = process::run(Command::new("rustup").args(["which", "--toolchain", "nightly", program]));
        Some(path.ok()?.trim_end().into())
    };
    Some(Toolchain {
        cargo: find("cargo")?,
        rustc: find("rustc")?,
    })
}
