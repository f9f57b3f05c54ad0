//! A running example.

use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::{Answer, Stage};
use crate::process;

/// The time in which an example answers, if it ever does.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A program that is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// What it prints, on either output.
    lines: Receiver<String>,
    /// The lines taken so far, to show when something goes wrong.
    seen: Vec<String>,
}

impl Running {
    /// Starts the example with a pipe as its standard input.
    pub(super) fn start(stage: &Stage, arguments: &[&str]) -> Answer<Self> {
        Self::start_with_input(stage, arguments, Stdio::piped())
    }

    pub(super) fn start_with_input(stage: &Stage, arguments: &[&str], input: Stdio) -> Answer<Self> {
        let (output, errors) = io::pipe()?;
        let child = Command::new(&stage.program)
            .args(arguments)
            .current_dir(&stage.directory)
            .stdin(input)
            .stdout(errors.try_clone()?)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", stage.program))?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// The pipe into its standard input; the input ends when the pipe is dropped.
    pub(super) fn input(&mut self) -> Answer<ChildStdin> {
        self.child
            .stdin
            .take()
            .ok_or_else(|| "the input is already taken".into())
    }

    /// Waits for a line that contains `text` and returns it.
    pub(super) fn expect_line(&mut self, text: &str) -> Answer<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return Ok(line);
                    }
                }
                Err(_) => return Err(self.instead(&format!("a line with `{text}`")).into()),
            }
        }
    }

    /// Waits for the line that says where it listens, on a port of its own choice.
    pub(super) fn expect_address(&mut self) -> Answer<SocketAddr> {
        let line = self.expect_line("127.0.0.1:")?;
        let word = line
            .split(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))
            .find(|word| word.starts_with("127."));
        let address = word.and_then(|word| word.trim_end_matches([':', '.']).parse().ok());
        address.ok_or_else(|| format!("no address in `{line}`").into())
    }

    /// Sends a signal, by name.
    pub(super) fn signal(&self, name: &str) -> Answer {
        let mut kill = Command::new("kill");
        match kill.args(["-s", name, &self.child.id().to_string()]).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill -s {name}: {status}").into()),
            Err(error) => Err(format!("kill: {error}").into()),
        }
    }

    /// Waits for the end, which has to come with exit code `code`. Returns everything it printed.
    pub(super) fn expect_end(mut self, code: i32) -> Answer<Vec<String>> {
        drop(self.child.stdin.take());
        let status = process::wait(&mut self.child, PATIENCE)?;
        if status.is_none() {
            self.child.kill()?;
        }
        self.seen.extend(self.lines.iter());
        match status {
            Some(status) if status.code() == Some(code) => Ok(std::mem::take(&mut self.seen)),
            Some(status) => Err(self
                .instead(&format!("exit code {code} (it ended with {status})"))
                .into()),
            None => Err(self.instead("an end").into()),
        }
    }

    fn instead(&mut self, expected: &str) -> String {
        self.seen.extend(self.lines.try_iter());
        format!(
            "no {expected} within {} s; printed: {:?}",
            PATIENCE.as_secs(),
            self.seen
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn shell(script: &str) -> Running {
        let stage = Stage {
            program: "/bin/sh".into(),
            directory: "/".into(),
        };
        Running::start(&stage, &["-c", script]).unwrap()
    }

    #[test]
    fn lines_of_both_outputs_are_seen() {
        let mut running = shell("echo one; echo two >&2; echo three");
        assert_eq!(running.expect_line("tw").unwrap(), "two");
        assert_eq!(running.expect_end(0).unwrap(), ["one", "two", "three"]);
    }

    #[test]
    fn a_line_that_does_not_come_is_told_with_those_that_did() {
        let error = shell("echo one").expect_line("two").unwrap_err().to_string();
        assert!(error.contains("`two`") && error.contains("\"one\""), "{error}");
    }

    #[test]
    fn an_address_is_found_in_its_line() {
        for line in [
            "listening on http://127.0.0.1:4711/",
            "127.0.0.1:4711",
            "at 127.0.0.1:4711, for all",
        ] {
            let address = shell(&format!("echo '{line}'")).expect_address().unwrap();
            assert_eq!(address.to_string(), "127.0.0.1:4711");
        }
    }

    #[test]
    fn the_exit_code_has_to_be_the_expected_one() {
        assert!(shell("exit 2").expect_end(2).is_ok());
        let error = shell("exit 3").expect_end(2).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn signals_and_input_arrive() {
        let mut running = shell("trap 'echo caught; exit 5' TERM; echo ready; read line; echo got $line; read line");
        running.expect_line("ready").unwrap();
        let mut input = running.input().unwrap();
        input.write_all(b"text\n").unwrap();
        running.expect_line("got text").unwrap();
        running.signal("TERM").unwrap();
        drop(input);
        assert!(running.expect_end(5).unwrap().contains(&"caught".to_owned()));
    }
}
