//! Exercises of the examples that have only one.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use super::running::{PATIENCE, Running};
use super::{Answer, Stage};

/// For examples that need nothing: they print something and end well.
pub(super) fn run(stage: &Stage) -> Answer {
    let printed = Running::start(stage, &[])?.expect_end(0)?;
    if printed.is_empty() {
        Err("it printed nothing".into())
    } else {
        Ok(())
    }
}

/// `stdin`: prints each line it reads, and ends with its input.
pub(super) fn stdin(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &[])?;
    let mut input = example.input()?;
    for line in ["first", "a longer second line"] {
        writeln!(input, "{line}")?;
        example.expect_line(line)?;
    }
    drop(input);
    example.expect_end(0).map(drop)
}

/// `signals`: prints a line once it listens and one for each SIGUSR1, and ends with SIGINT.
pub(super) fn signals(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &[])?;
    example.expect_line("")?;
    for _ in 0..2 {
        example.signal("USR1")?;
        example.expect_line("USR1")?;
    }
    example.signal("INT")?;
    example.expect_end(0).map(drop)
}

/// `fifo PATH`: makes the fifo, prints a line once it reads, then what any number of writers send; ends with SIGINT.
pub(super) fn fifo(stage: &Stage) -> Answer {
    let path = stage.directory.join("fifo");
    let mut example = Running::start(stage, &[path.as_str()])?;
    example.expect_line("")?;
    for line in ["from the first writer", "from the second writer"] {
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut fifo| writeln!(fifo, "{line}"))?;
        example.expect_line(line)?;
    }
    example.signal("INT")?;
    example.expect_end(0).map(drop)
}

/// `echo`: prints its address and sends back what each client sends; ends with SIGTERM.
pub(super) fn echo(stage: &Stage) -> Answer {
    let mut example = Running::start(stage, &[])?;
    let address = example.expect_address()?;
    let connect = || {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        std::io::Result::Ok(BufReader::new(stream))
    };
    let mut clients = [connect()?, connect()?];
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
