//! Running other programs.

use std::env;
use std::fs::{self, File};
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Artifact, Message};

use crate::workspace::Workspace;
use crate::{Error, Result};

/// How long a program may stay silent about having ended; it is asked this often.
const POLL: Duration = Duration::from_millis(10);

/// The cargo that runs this program, at the root of the workspace, with its progress reports turned off.
pub(crate) fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // As a variable it reaches the cargo inside of `cargo clippy` too, and does not silence the findings of `cargo fmt`.
    command
        .current_dir(workspace.root())
        .env("CARGO_TERM_QUIET", "true")
        .arg(subcommand);
    command
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Utf8Path::from_path(command.get_program().as_ref())
        .and_then(Utf8Path::file_name)
        .unwrap_or("?");
    let mut text = program.to_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs `command` to its end. Where it fails, the error carries what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(printed)
    } else {
        Err(Error::Failed(format!(
            "`{}`: {}\n{printed}",
            shown(command),
            output.status
        )))
    }
}

/// As [`run`], and a program that prints anything has failed: all that `cargo check --quiet` has to say is warnings.
pub(crate) fn run_silent(command: &mut Command) -> Result {
    let printed = run(command)?;
    if printed.trim().is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(format!("`{}` has warnings:\n{printed}", shown(command))))
    }
}

/// A program that cargo has built.
#[derive(Debug)]
pub(crate) struct Program {
    /// The target's name.
    pub(crate) name: String,
    pub(crate) path: Utf8PathBuf,
}

/// Runs a `cargo build` or a `cargo test --no-run` and returns the programs that were asked for.
pub(crate) fn build(command: &mut Command) -> Result<Vec<Program>> {
    let asked_for_tests = command.get_args().any(|argument| argument == "test");
    let mut programs = Vec::new();
    for artifact in artifacts(command)? {
        if artifact.profile.test == asked_for_tests
            && let Some(path) = artifact.executable
        {
            programs.push(Program {
                name: artifact.target.name,
                path,
            });
        }
    }
    Ok(programs)
}

/// Runs a `cargo rustc --crate-type staticlib` and returns the library.
pub(crate) fn build_archive(command: &mut Command) -> Result<Utf8PathBuf> {
    let mut files = artifacts(command)?.into_iter().flat_map(|artifact| artifact.filenames);
    let archive = files.find(|file| file.extension() == Some("a"));
    archive.ok_or_else(|| Error::Failed(format!("`{}` built no archive", shown(command))))
}

/// Has cargo build, and returns what it made, or found made already.
///
/// What the compiler has to say goes where this program's errors go.
fn artifacts(command: &mut Command) -> Result<Vec<Artifact>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(Error::Failed(format!("`{}`: {}", shown(command), output.status)));
    }
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message? {
            artifacts.push(artifact);
        }
    }
    Ok(artifacts)
}

/// How a program ended that had a time limit.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it was killed at the limit.
    pub(crate) status: Option<ExitStatus>,
    /// Everything it printed.
    pub(crate) output: String,
}

/// Runs `command` for at most `limit`, with its output in the file `log`.
///
/// A file, not a pipe: a grandchild that outlives the program would keep a pipe open.
pub(crate) fn run_limited(command: &mut Command, log: &Utf8Path, limit: Duration) -> Result<Ended> {
    if let Some(directory) = log.parent() {
        fs::create_dir_all(directory)?;
    }
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
    let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
    let status = wait(&mut child, limit)?;
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(Ended {
        status,
        output: String::from_utf8_lossy(&fs::read(log)?).into_owned(),
    })
}

/// Waits for `child` to end by itself; `None` when it is still running after `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Whether a library in C is here to build with; the error says why not.
pub(crate) fn pkg_config(name: &str) -> std::result::Result<(), String> {
    match Command::new("pkg-config")
        .args(["--exists", name])
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err(format!("pkg-config does not find {name}")),
        Err(_) => Err(format!("pkg-config, which finds {name}, is not installed")),
    }
}

fn cannot_start(command: &Command, error: &io::Error) -> Error {
    Error::Failed(format!("cannot start `{}`: {error}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn message(result: Result) -> String {
        match result {
            Err(Error::Failed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failure_carries_both_outputs_and_the_status() {
        let message = message(run(&mut shell("echo out; echo err >&2; exit 3")).map(drop));
        for part in ["`sh -c", "exit status: 3", "out\n", "err\n"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_program_that_cannot_start_is_named() {
        assert!(message(run(&mut Command::new("no-such-program")).map(drop)).contains("`no-such-program`"));
    }

    #[test]
    fn a_silent_run_fails_on_any_output() {
        assert!(run_silent(&mut shell("exit 0")).is_ok());
        assert!(message(run_silent(&mut shell("echo warning: unused >&2"))).contains("warning: unused"));
    }

    #[test]
    fn a_limited_run_keeps_both_outputs_in_order() {
        let directory = Fixture::new(&[]);
        let log = directory.root().join("logs/both");
        let mut command = shell("echo first; echo second >&2; echo third; exit 4");
        let ended = run_limited(&mut command, &log, Duration::from_mins(1)).unwrap();
        assert_eq!(ended.status.and_then(|status| status.code()), Some(4));
        assert_eq!(ended.output, "first\nsecond\nthird\n");
    }

    #[test]
    fn a_run_past_its_limit_is_ended() {
        let directory = Fixture::new(&[]);
        let log = directory.root().join("endless");
        let ended = run_limited(&mut shell("exec sleep 600"), &log, Duration::ZERO).unwrap();
        assert!(ended.status.is_none());
    }
}
