//! Where it was measured.

use std::fs;
use std::process::Command;
use std::thread;

use crate::programs::compiler;

/// A line for each part.
pub(crate) fn description() -> String {
    let processor = first_line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = said("uname", &["-sr"]);
    let rust = said("rustc", &["--version"]);
    let c = said(&compiler(), &["--version"]);
    format!(
        "- {processor}, {processors} processors\n- {kernel}\n- Rust: {rust}, fat LTO, one codegen unit\n- C: {c}, -O2, LTO\n"
    )
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
