//! The suite: a test program of `ev-core` that runs its scenarios on the backend and driver it is told.

use std::process::Command;
use std::time::Duration;

use cargo_metadata::camino::Utf8PathBuf;

use super::cell::{self, Outcome};
use super::selection::{Cell, Selection};
use crate::process;
use crate::workspace::{Workspace, features_for_tests};
use crate::{Error, Result};

/// Its crate.
pub(crate) const PACKAGE: &str = "ev-core";
/// The name of the test target.
pub(crate) const TARGET: &str = "suite";

/// The time after which a cell is taken for hanging.
const LIMIT: Duration = Duration::from_mins(5);

/// The built program.
#[derive(Debug)]
pub(crate) struct Suite {
    program: Utf8PathBuf,
    /// Where cargo runs the tests of a crate: beside its manifest.
    directory: Utf8PathBuf,
    logs: Utf8PathBuf,
    /// Why the kqueue cells cannot run.
    no_kqueue: Option<String>,
}

impl Suite {
    /// Builds the program, with kqueue where the system or libkqueue has it.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        let manifest = &workspace.library(PACKAGE)?.manifest_path;
        let mut command = process::cargo(workspace, "test");
        command.args(["--package", PACKAGE, "--test", TARGET, "--no-run"]);
        command.args(features_for_tests(PACKAGE));
        let kqueue = super::kqueue_features();
        command.args(kqueue.as_ref().copied().unwrap_or_default());
        let Some(program) = process::build(&mut command)?.pop() else {
            return Err(Error::Failed(format!("`{}` built no suite", process::shown(&command))));
        };
        Ok(Self {
            program: program.path,
            directory: manifest.parent().unwrap_or(workspace.root()).to_owned(),
            logs: workspace.log_directory("test-all"),
            no_kqueue: kqueue.err(),
        })
    }

    /// Runs one cell; what it printed is shown where it failed.
    pub(crate) fn run(&self, cell: Cell, selection: &Selection) -> Result<Outcome> {
        let Cell { backend, driver } = cell;
        match &self.no_kqueue {
            Some(reason) if backend == "kqueue" => return Ok(Outcome::CannotRun(reason.clone())),
            _ => {}
        }
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.directory)
            .args(["--backend", backend, "--driver", driver]);
        if let Some(filter) = &selection.filter {
            command.args(["--filter", filter]);
        }
        let ended = process::run_limited(&mut command, &self.logs.join(format!("{backend}-{driver}.log")), LIMIT)?;
        let outcome = match ended.status {
            None => Outcome::Broken(format!("no end after {} s", LIMIT.as_secs())),
            Some(status) => cell::judge(cell, &ended.output, status, selection),
        };
        if outcome.failed() {
            println!("{}", ended.output);
        }
        Ok(outcome)
    }
}
