//! A chat: what one connection sends, all the others get. `chat [ADDRESS]`, by default 127.0.0.1:7777; SIGINT or SIGTERM
//! ends it.
//!
//! A callback is lent the source of its own event and no other's. So what is for another connection is left in the state
//! that all callbacks share, and that connection's own callback, which `set_interest` sets going, writes it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use ev_core::signal::{SIGINT, SIGTERM};
use ev_core::{EventKey, EventLoop, Fired, Interest, Io, Signal};

/// The connections, each with what is left for it to write.
type Room = HashMap<EventKey, Vec<u8>>;
type Context<'a> = ev_core::Context<'a, Room>;

/// A connection for which more than that is left misses what is said until it has caught up.
const MOST_LEFT: usize = 1 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".into());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);

    let mut lp = EventLoop::<Room>::new()?;
    lp.insert(Io::new(listener, Interest::READ), |cx, listener, _| {
        // Here a server that may run out of descriptors pauses: see `echo`.
        accept(cx, listener).unwrap_or_else(|error| eprintln!("accept: {error}"));
    })?;
    for signal in [SIGINT, SIGTERM] {
        lp.insert(Signal::new(signal), |cx, (), _| cx.stop())?;
    }
    lp.run(&mut Room::new())?;
    Ok(())
}

fn accept(cx: &mut Context<'_>, listener: &TcpListener) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let key = cx.insert(
        Io::new(stream, Interest::READ),
        |cx: &mut Context<'_>, stream, fired| match serve(cx, stream, fired) {
            Ok(true) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(false) | Err(_) => {
                cx.state.remove(&fired.key());
                cx.remove(fired.key()).expect("the event that runs exists"); // and closes the stream
            }
        },
    )?;
    cx.state.insert(key, Vec::new());
    println!("{} in the room", cx.state.len());
    Ok(())
}

/// Reads what is for the others, and writes what they have left. Answers whether the connection goes on.
fn serve(cx: &mut Context<'_>, stream: &mut TcpStream, fired: Fired) -> io::Result<bool> {
    if fired.is_writable()
        && let Some(left) = cx.state.get_mut(&fired.key())
    {
        let n = stream.write(left)?;
        left.drain(..n);
        if left.is_empty() {
            cx.set_interest(fired.key(), Interest::READ)?;
        }
    }
    if fired.is_readable() {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer)?;
        tell_others(cx, fired.key(), &buffer[..n])?;
        return Ok(n > 0);
    }
    Ok(true)
}

fn tell_others(cx: &mut Context<'_>, speaker: EventKey, text: &[u8]) -> io::Result<()> {
    for (&key, left) in cx.state.iter_mut() {
        if key != speaker && left.len() < MOST_LEFT {
            left.extend_from_slice(text);
            cx.reactor.set_interest(key, Interest::READ | Interest::WRITE)?;
        }
    }
    Ok(())
}
