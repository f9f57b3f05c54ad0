//! wrk, which asks for the file over and over.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::FILE;
use crate::process;

/// How much longer than it was told to it may run.
const PATIENCE: Duration = Duration::from_secs(15);

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
    let limit = Duration::from_secs(load.seconds as u64) + PATIENCE;
    let output = process::output(&mut command, limit).map_err(|reason| format!("wrk {reason}"))?;
    if !output.status.success() {
        return Err(format!("wrk: {}", output.status));
    }
    let said = String::from_utf8_lossy(&output.stdout);
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
}
