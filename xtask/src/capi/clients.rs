//! Programs of others that run on the library. Each has a script, which is given the directory of the libraries.
//!
//! A script that cannot run, because a program is not installed, ends with 77 and says so in its last line.

use std::process::Command;
use std::time::Duration;

use super::PACKAGE;
use super::library::Library;
use super::programs::choose;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{Result, process};

const CLIENTS: &[&str] = &["memcached", "pgbouncer", "tmux"];

const LIMIT: Duration = Duration::from_mins(5);

/// What a script ends with that cannot run here.
const SKIPPED: i32 = 77;

/// `cargo xtask capi --clients`.
pub(super) fn run(workspace: &Workspace, library: &Library, names: &[String]) -> Result<Tally> {
    let mut tally = Tally::default();
    for name in choose(CLIENTS.iter().map(|&name| name.to_owned()).collect(), names)? {
        let script = workspace.root().join(PACKAGE).join("tests").join(format!("{name}.py"));
        let mut command = Command::new("python3");
        command
            .env_remove("LD_LIBRARY_PATH")
            // What Python would leave beside the scripts.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(script)
            .arg(&library.directory);
        let log = workspace.log_directory("capi").join(format!("client-{name}.log"));
        let ended = process::run_limited(&mut command, &log, LIMIT)?;
        println!("== {name}");
        print!("{}", ended.output);
        match ended.status.and_then(|status| status.code()) {
            Some(0) => tally.passed += 1,
            Some(SKIPPED) => tally.skipped += 1,
            code => {
                println!("{name}: FAILED, exit code {code:?}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}
