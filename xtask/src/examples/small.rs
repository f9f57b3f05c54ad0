//! Exercises of the small examples.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use super::running::{PATIENCE, Running};
use super::{Answer, Stage};

/// For an example that needs nothing: it ends well, and on the way prints these texts in this order.
fn prints(stage: &Stage, texts: &[&str]) -> Answer {
    let mut example = Running::start(stage, &[])?;
    for text in texts {
        example.expect_line(text)?;
    }
    example.expect_end(0).map(drop)
}

pub(super) fn two_sockets(stage: &Stage) -> Answer {
    prints(stage, &["waiting with", "to the"])
}

pub(super) fn sessions(stage: &Stage) -> Answer {
    prints(stage, &["after opening", "after half an hour", "at the end"])
}

pub(super) fn timers(stage: &Stage) -> Answer {
    prints(
        stage,
        &[
            "once",
            "tick 1",
            "first",
            "second",
            "third",
            "tick 4",
            "watchdog",
            "nothing left",
        ],
    )
}

pub(super) fn threads(stage: &Stage) -> Answer {
    prints(stage, &["1000 timers fired", "calls for 1000 activations"])
}

pub(super) fn retry(stage: &Stage) -> Answer {
    prints(
        stage,
        &["0.00ns  asked", "6.00s  asked", "223.00s  asked", "223.25s  answered"],
    )
}

/// `stdin` copies what a pipe brings as it comes, and ends with it.
pub(super) fn stdin_pipe(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &[])?;
    let mut input = example.input()?;
    for line in ["first", "a longer second line"] {
        writeln!(input, "{line}")?;
        example.expect_line(line)?;
    }
    drop(input);
    example.expect_end(0).map(drop)
}

/// `stdin` copies a regular file, which epoll refuses.
pub(super) fn stdin_file(stage: &Stage) -> Answer {
    let path = stage.directory.join("input");
    let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
    fs::write(&path, lines.join("\n") + "\n")?;
    let printed = Running::start_with_input(stage, &[], Stdio::from(File::open(path)?))?.expect_end(0)?;
    if printed.starts_with(&lines) {
        Ok(())
    } else {
        Err(format!("a copy of {} lines", printed.len()).into())
    }
}

/// `signals` counts SIGUSR1, tells the count on SIGUSR2, and ends with SIGTERM.
pub(super) fn signals(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &[])?;
    example.expect_line("waits")?;
    for count in 1..=3 {
        example.signal("USR1")?;
        // The two signals may be taken in either order; ask again until the first is counted.
        while {
            example.signal("USR2")?;
            example.expect_line("so far")? != format!("{count} so far")
        } {}
    }
    example.signal("TERM")?;
    example.expect_line("3 times SIGUSR1")?;
    example.expect_end(0).map(drop)
}

/// `fifo PATH` makes the fifo and prints what any number of writers send, up to the line `quit`.
pub(super) fn fifo(stage: &Stage) -> Answer {
    let path = stage.directory.join("fifo");
    let mut example = Running::start(stage, &[path.as_str()])?;
    example.expect_line("listening")?;
    for line in ["from the first writer", "from the second writer", "quit"] {
        writeln!(OpenOptions::new().write(true).open(&path)?, "{line}")?;
        example.expect_line(line)?;
    }
    example.expect_end(0)?;
    if path.exists() {
        Err("the fifo is left behind".into())
    } else {
        Ok(())
    }
}

fn connect(address: &SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// `echo ADDRESS` sends back what each client sends, and ends with SIGTERM.
pub(super) fn echo(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &["127.0.0.1:0"])?;
    let address = example.expect_address()?;
    let mut clients = [connect(&address)?, connect(&address)?];
    for round in 0..2 {
        for (client, number) in clients.iter_mut().zip(1..) {
            let sent = format!("client {number}, line {round}\n");
            let mut received = String::new();
            client.get_mut().write_all(sent.as_bytes())?;
            client.read_line(&mut received)?;
            if received != sent {
                return Err(format!("sent {sent:?}, received {received:?}").into());
            }
        }
    }
    drop(clients);
    example.signal("TERM")?;
    example.expect_end(0).map(drop)
}

/// `chat ADDRESS` sends what a client sends to the others and not to itself, also after one has left.
pub(super) fn chat(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &["127.0.0.1:0"])?;
    let address = example.expect_address()?;
    let mut clients = Vec::new();
    for count in 1..=3 {
        clients.push(connect(&address)?);
        example.expect_line(&format!("{count} in the room"))?;
    }
    for leaver in (0..3).rev() {
        for speaker in 0..clients.len() {
            let sent = format!("from {speaker}, before {leaver} leaves\n");
            clients[speaker].get_mut().write_all(sent.as_bytes())?;
            // Who got its own would read that first when it is the next one's turn.
            for listener in (0..clients.len()).filter(|&listener| listener != speaker) {
                let mut received = String::new();
                clients[listener].read_line(&mut received)?;
                if received != sent {
                    return Err(format!("sent {sent:?}, received {received:?}").into());
                }
            }
        }
        clients.pop();
    }
    example.signal("TERM")?;
    example.expect_end(0).map(drop)
}
