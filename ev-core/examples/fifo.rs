//! Reads lines from a named pipe, whoever writes to it: `fifo [PATH]`, then `echo hello > PATH` in another shell.
//! The line `quit` ends it.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use ev_core::{EventLoop, Interest, Io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("event.fifo"), PathBuf::from);
    let fifo = open(&path)?;
    println!("listening on {}", path.display());

    let mut lp = EventLoop::<Vec<u8>>::new()?;
    lp.insert(Io::new(fifo, Interest::READ), |cx, fifo, _| {
        let mut buffer = [0; 1024];
        let n = fifo.read(&mut buffer).unwrap_or(0);
        cx.state.extend_from_slice(&buffer[..n]);
        while let Some(end) = cx.state.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = cx.state.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            println!("read: {line}");
            if line == "quit" {
                cx.stop();
            }
        }
    })?;
    let ran = lp.run(&mut Vec::new());
    fs::remove_file(&path)?;
    ran?;
    Ok(())
}

/// Makes the pipe and opens it. Open for writing as well, it never comes to an end between two writers.
fn open(path: &Path) -> io::Result<File> {
    let made = Command::new("mkfifo").arg(path).status()?;
    if !made.success() {
        return Err(io::Error::other("mkfifo failed"));
    }
    OpenOptions::new().read(true).write(true).open(path)
}
