//! Tests of what there is one of in a process.

use std::process::{Command, Output};
use std::{env, process};

const VARIABLE: &str = "EV_CAPI_CHILD";

/// Runs `body` in a process of its own, which leaves with 0 if `body` returns, and answers what became of it. `test` is the
/// name of the test that calls this, by which the process finds its way back here.
pub(crate) fn in_child(test: &str, body: impl FnOnce()) -> Output {
    if env::var_os(VARIABLE).is_some() {
        body();
        process::exit(0);
    }
    let program = env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args([test, "--exact", "--nocapture"])
        .env(VARIABLE, "1")
        .env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
    assert!(ran, "there is no test {test}");
    output
}

/// What the process wrote to standard error.
pub(crate) fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}
