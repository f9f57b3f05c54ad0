//! A server that runs, and is ended with its value.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::stat::{Process, children};
use super::{FILE, content};
use crate::process;

/// The time in which a server is there.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    child: Child,
    /// The child, and its workers.
    processes: Vec<Process>,
}

impl Server {
    /// Starts a server that listens at `address`, and waits until it answers and all its workers are there.
    ///
    /// What it says goes into the file `said`, and into the error.
    pub(super) fn start(
        command: &mut Command,
        address: SocketAddr,
        workers: usize,
        said: &Path,
    ) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let file = File::create(said).map_err(text)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
        let mut server = Self {
            address,
            child,
            processes: Vec::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        while !server.is_ready(workers) {
            let ended = server.child.try_wait().map_err(text)?;
            if ended.is_some() || Instant::now() >= deadline {
                let said = fs::read_to_string(said).map_err(text)?;
                let end = ended.map_or_else(|| "it does not answer".to_owned(), |status| status.to_string());
                return Err(format!("{end} {}", said.lines().last().unwrap_or_default()));
            }
            thread::sleep(POLL);
        }
        Ok(server)
    }

    fn is_ready(&mut self, workers: usize) -> bool {
        let of_child = Process::of(self.child.id());
        self.processes = of_child.into_iter().chain(children(self.child.id())).collect();
        self.processes.len() == 1 + workers && self.answers().unwrap_or_default()
    }

    /// Whether it answers a request with the file.
    fn answers(&self) -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /{FILE} HTTP/1.0\r\nHost: bench\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&content()))
    }

    /// What it and its workers have taken since they were started.
    pub(super) fn processor_seconds(&self) -> Result<f64, String> {
        let each = self.processes.iter().map(Process::processor_seconds);
        each.sum::<Option<f64>>()
            .ok_or_else(|| "it, or a worker, has ended".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its workers end with it where it does so when it is asked.
        process::end(&mut self.child);
        for process in self.processes.iter().filter(|process| process.is_alive()) {
            if let Some(pid) = Pid::from_raw(process.pid as i32) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, iter};

    use super::super::free_address;
    use super::*;

    #[test]
    fn a_server_takes_its_workers_along() {
        let mut command = Command::new("sh");
        let child = command.args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
        let pid = child.id();
        let workers = iter::repeat_with(|| children(pid)).find(|workers| !workers.is_empty());
        let processes = [vec![Process::of(pid).unwrap()], workers.unwrap()].concat();
        drop(Server {
            address: free_address().unwrap(),
            child,
            processes: processes.clone(),
        });
        while processes.iter().any(Process::is_alive) {
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let said = env::temp_dir().join(format!("bench-said-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no >&2; exit 2"]);
        let server = Server::start(&mut command, free_address().unwrap(), 0, &said);
        fs::remove_file(said).unwrap();
        assert_eq!(server.unwrap_err(), "exit status: 2 no");
    }
}
