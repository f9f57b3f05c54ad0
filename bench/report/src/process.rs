//! Waiting for programs, but not for ever.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// The time in which a program ends that was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a program prints, if it ends within the limit. It has to fit into a pipe: nobody reads while the program runs, so
/// that nothing but the program does.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<Output, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    match ends_within(&child, limit) {
        Ok(true) => child.wait_with_output().map_err(|error| error.to_string()),
        Ok(false) => {
            end(&mut child);
            Err(format!("did not end within {} s", limit.as_secs()))
        }
        Err(error) => {
            end(&mut child);
            Err(error.to_string())
        }
    }
}

/// Ends a program, and not only at once: one like strace takes along what it has started when it is asked.
pub(crate) fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        if !matches!(ends_within(child, PATIENCE), Ok(true)) {
            let _ = child.kill();
        }
    }
    let _ = child.wait();
}

/// Whether it ends before the limit is over. It is still there to be waited for then.
fn ends_within(child: &Child, limit: Duration) -> io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            answer => return Ok(answer? > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_told() {
        let mut command = Command::new("sh");
        let output = output(command.args(["-c", "echo yes; echo no >&2; exit 3"]), PATIENCE).unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"yes\n"[..], &b"no\n"[..]));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let said = output(Command::new("sleep").arg("1000"), Duration::ZERO);
        assert_eq!(said.unwrap_err(), "did not end within 0 s");
    }

    #[test]
    fn a_program_that_does_not_start_says_so() {
        let said = output(&mut Command::new("/nonexistent"), PATIENCE).unwrap_err();
        assert!(said.starts_with("cannot be started: "), "{said}");
    }
}
