//! wrk, which asks for the file over and over.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::FILE;

/// How much longer than it was told to it may run.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// What a server has to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) connections: usize,
    /// Requests that a connection sends at once.
    pub(super) pipelined: usize,
    pub(super) seconds: usize,
}

/// What wrk saw of a server.
#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    /// Errors of sockets, and answers that are not the file.
    pub(super) faults: Option<String>,
}

/// The version, if it is installed.
pub(super) fn version() -> Option<String> {
    // It says its version and how it is used, and calls that a failure.
    let output = Command::new("wrk").arg("-v").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace().nth(1).map(str::to_owned)
}

/// Puts a load on the server. One thread of wrk is enough for that, and leaves the other processors to the server.
pub(super) fn run(address: SocketAddr, load: &Load, scratch: &Path) -> Result<Answered, String> {
    let mut command = Command::new("wrk");
    command.args([
        "-t1",
        &format!("-c{}", load.connections),
        &format!("-d{}s", load.seconds),
    ]);
    if load.pipelined > 1 {
        let script = scratch.join("pipeline.lua");
        fs::write(&script, pipeline(load.pipelined)).map_err(|error| error.to_string())?;
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://{address}/{FILE}"));
    let said = output(&mut command, Duration::from_secs(load.seconds as u64) + PATIENCE)?;
    parse(&said).ok_or_else(|| format!("wrk said: {}", said.trim()))
}

/// A script that has wrk send so many requests at once.
fn pipeline(requests: usize) -> String {
    format!(
        "\
local requests
function init()
    requests = string.rep(wrk.format(), {requests})
end
function request()
    return requests
end
"
    )
}

/// All that a program prints, which is not much, if it ends within the limit.
fn output(command: &mut Command, limit: Duration) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("wrk: {error}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(wrong)?;
    let ended = ends(&mut child, limit);
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().map_err(wrong)?;
    if !ended {
        return Err(format!("wrk did not end within {} s", limit.as_secs()));
    }
    let mut text = String::new();
    let stdout = child.stdout.as_mut();
    stdout
        .map_or(Ok(0), |stdout| stdout.read_to_string(&mut text))
        .map_err(wrong)?;
    if status.success() {
        Ok(text)
    } else {
        Err(format!("wrk: {status}"))
    }
}

fn ends(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

fn parse(said: &str) -> Option<Answered> {
    let lines = || said.lines().map(str::trim);
    let requests = lines().find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let per_second = lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    // wrk prints these lines only where there is something to say.
    let faults: Vec<&str> = lines()
        .filter(|line| line.starts_with("Socket errors:") || line.starts_with("Non-2xx"))
        .collect();
    Some(Answered {
        requests,
        per_second,
        faults: (!faults.is_empty()).then(|| faults.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
Running 2s test @ http://127.0.0.1:8080/4k.bin
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  321.16us   9.61ms   90.19%
    Req/Sec    52.86k     2.26k   56.02k    85.00%
  105220 requests in 2.01s, 435.43MB read
Requests/sec:  52441.85
Transfer/sec:    217.02MB
";

    #[test]
    fn what_wrk_prints_is_read() {
        let expected = Answered {
            requests: 105_220.0,
            per_second: 52_441.85,
            faults: None,
        };
        assert_eq!(parse(GOOD), Some(expected));
        assert_eq!(parse("unable to connect to 127.0.0.1:8080 Connection refused"), None);
    }

    #[test]
    fn errors_are_told_as_wrk_tells_them() {
        let errors = "  Socket errors: connect 0, read 5, write 0, timeout 1\n  Non-2xx or 3xx responses: 2\n";
        let text = GOOD.replace("Requests/sec", &format!("{errors}Requests/sec"));
        let faults = parse(&text).unwrap().faults.unwrap();
        assert_eq!(
            faults,
            "Socket errors: connect 0, read 5, write 0, timeout 1; Non-2xx or 3xx responses: 2"
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut command = Command::new("sleep");
        let said = output(command.arg("1000"), Duration::ZERO);
        assert_eq!(said.unwrap_err(), "wrk did not end within 0 s");
    }
}
