//! Where it was measured.

use std::fs;
use std::process::Command;
use std::thread;

use crate::programs::compiler;

/// The processor and the kernel.
pub(crate) fn description() -> Vec<String> {
    let processor = first_line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec![format!("{processor}, {processors} processors"), said("uname", &["-sr"])]
}

/// The compiler of Rust.
pub(crate) fn rust() -> String {
    format!("Rust: {}", said("rustc", &["--version"]))
}

/// The compiler of C.
pub(crate) fn c() -> String {
    format!("C: {}", said(&compiler(), &["--version"]))
}

fn first_line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = text.ok().and_then(|text| text.lines().next().map(str::to_owned));
    line.unwrap_or_else(|| format!("{program}, of unknown version"))
}
