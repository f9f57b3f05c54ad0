//! A TCP server that sends back what it gets: `echo [ADDRESS]`, by default 127.0.0.1:7777. SIGINT or SIGTERM ends it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use ev_core::signal::{SIGINT, SIGTERM};
use ev_core::{Context, Error, EventKey, EventLoop, Interest, Io, Signal, Timer};

/// A connection that nobody uses for that long is closed.
const IDLE: Duration = Duration::from_secs(30);

/// How long nothing is accepted when that has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What was read and could not be written yet. While there is any, nothing more is read.
type Backlog = Vec<u8>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".into());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);

    let mut lp = EventLoop::<()>::new()?;
    lp.insert(Io::new(listener, Interest::READ), |cx, listener, fired| {
        match accept(cx, listener) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                eprintln!("accept: {error}");
                pause(cx, fired.key()).unwrap_or_else(|error| eprintln!("{error}"));
            }
            _ => {}
        }
    })?;
    for signal in [SIGINT, SIGTERM] {
        lp.insert(Signal::new(signal), |cx, (), _| cx.stop())?;
    }
    lp.run(&mut ())?;
    Ok(())
}

/// Deletes the listener for a moment. Without descriptors it stays ready, and would be called again and again.
fn pause(cx: &mut Context<'_, ()>, listener: EventKey) -> Result<(), Error> {
    cx.once(Timer::after(PAUSE), move |cx, (), _| {
        cx.add(listener).unwrap_or_else(|error| eprintln!("{error}"));
    })?;
    cx.delete(listener)
}

fn accept(cx: &mut Context<'_, ()>, listener: &TcpListener) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let mut backlog = Backlog::new();
    cx.insert(
        Io::new(stream, Interest::READ).timeout(IDLE),
        move |cx, stream, fired| {
            let served = if fired.is_timeout() {
                Ok(None)
            } else {
                echo(stream, &mut backlog)
            };
            let kept = match served {
                Ok(Some(interest)) => cx.set_interest(fired.key(), interest),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()), // it was not ready after all
                Ok(None) | Err(_) => cx.remove(fired.key()),                   // and closes the stream
            };
            kept.unwrap_or_else(|error| eprintln!("{error}"));
        },
    )?;
    Ok(())
}

/// Moves what can be moved. Answers what to wait for next, `None` at the end.
fn echo(stream: &mut TcpStream, backlog: &mut Backlog) -> io::Result<Option<Interest>> {
    if backlog.is_empty() {
        let mut buffer = [0; 16 * 1024];
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(None);
        }
        backlog.extend_from_slice(&buffer[..n]);
    }
    match stream.write(backlog) {
        Ok(n) => drop(backlog.drain(..n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(Some(if backlog.is_empty() {
        Interest::READ
    } else {
        Interest::WRITE
    }))
}
