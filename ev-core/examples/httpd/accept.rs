//! The loop that accepts: lets connections in while there is room, and knows when the server may end.
//!
//! ```text
//!   listener ──► Host::admit(guest)          a connection's end ──► Gate ──► posts to this loop: accept again
//!   SIGTERM  ──► Host::stop()                                            └─► … or, the last one: stop
//! ```
//!
//! Each connection holds a ticket, wherever it is served, and gives it back by being dropped. So this loop need not know
//! who serves it, nor do those who serve need to report.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use ev_core::{Causes, Context, EventKey, EventLoop, Fired, Interest, Io, Remote, Signal, Timer};
use libc::{SIGINT, SIGTERM};

use crate::gate::{Gate, Ticket};

/// After so many connections it is other events' turn.
const BURST: usize = 64;

/// So many descriptors are left for the files.
const SPARE: u64 = 8;

/// When accepting failed, it is tried again after that time at the latest.
const RETRY: Duration = Duration::from_secs(1);

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Guest {
    // The stream is closed before the ticket is given back, as the next connection may need its descriptor.
    pub(crate) stream: TcpStream,
    pub(crate) peer: IpAddr,
    _ticket: Ticket,
}

impl AsFd for Guest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The state of a loop that accepts.
pub(crate) trait Host: Sized + 'static {
    /// Serves a connection.
    fn admit(cx: &mut Context<'_, Self>, guest: Guest);

    /// Ends the connections, those that have asked for something after the answer. No more will be admitted.
    fn stop(cx: &mut Context<'_, Self>);
}

/// Where connections come in, and how many there may be.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    /// The most connections that are open at once.
    pub(crate) connections: usize,
    /// The process's limit on open descriptors.
    pub(crate) descriptors: u64,
}

/// Accepts connections on `lp`. After SIGINT or SIGTERM it accepts no more, and `lp` stops when all are closed; a second
/// signal ends the process.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn start<H: Host>(lp: &mut EventLoop<H>, entrance: Entrance) -> io::Result<()> {
    let gate = Arc::new(Gate::default());
    let door = open(lp, entrance, &gate)?;
    for signal in [SIGINT, SIGTERM] {
        let gate = Arc::clone(&gate);
        lp.insert(Signal::new(signal), move |cx, (), _| {
            if gate.close() {
                process::exit(128 + signal);
            }
            cx.activate(door, Causes::empty())
                .expect("the door is there until it finds the gate closed");
        })?;
    }
    Ok(())
}

/// Inserts the event that accepts. When it becomes active with the gate closed, it has the connections ended, removes
/// itself, and stops the loop as soon as all are closed.
pub(crate) fn open<H: Host>(lp: &mut EventLoop<H>, entrance: Entrance, gate: &Arc<Gate>) -> io::Result<EventKey> {
    let Entrance {
        listener,
        connections,
        descriptors,
    } = entrance;
    listener.set_nonblocking(true)?;
    let mut door = Door {
        gate: Arc::clone(gate),
        remote: lp.remote()?,
        connections,
        descriptors,
        retry: None,
    };
    let key = lp.insert(Io::new(listener, Interest::READ), move |cx, listener, fired| {
        if door.gate.is_closed() {
            door.shut(cx, listener, fired.key());
        } else {
            door.accept(cx, listener, fired);
        }
    })?;
    Ok(key)
}

struct Door<H> {
    gate: Arc<Gate>,
    remote: Remote<H>,
    connections: usize,
    descriptors: u64,
    /// The timer that opens it again.
    retry: Option<EventKey>,
}

impl<H: Host> Door<H> {
    fn accept(&mut self, cx: &mut Context<'_, H>, listener: &TcpListener, fired: Fired) {
        let key = fired.key();
        if fired.is_error() {
            // The kernel could not watch the listener.
            self.retry(cx, key);
        }
        for _ in 0..BURST {
            let open = self.gate.open();
            if open >= self.connections {
                return self.pause(cx, key, open - 1);
            }
            match self.next(listener) {
                Ok(guest) => {
                    let scarce = self.is_scarce(&guest);
                    H::admit(cx, guest);
                    if scarce {
                        self.retry(cx, key);
                        return self.pause(cx, key, open);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    // That one is gone (Linux tells of its network's errors too); others may wait behind it.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::NetworkDown
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::HostUnreachable => {}
                    // Out of descriptors or of memory: the connection stays in the queue, and the listener ready.
                    _ => {
                        self.retry(cx, key);
                        return self.pause(cx, key, open.saturating_sub(1));
                    }
                },
            }
        }
    }

    fn next(&self, listener: &TcpListener) -> io::Result<Guest> {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        // An answer is written in large pieces; to hold the last one back gains nothing. Some systems refuse it for a
        // peer that is gone already, which the first read will tell as well.
        let _ = stream.set_nodelay(true);
        Ok(Guest {
            stream,
            peer: peer.ip(),
            _ticket: self.gate.enter(),
        })
    }

    /// Whether descriptors run short. The kernel gives the lowest free number: a high one tells that few are left.
    fn is_scarce(&self, guest: &Guest) -> bool {
        guest.as_fd().as_raw_fd() as u64 + SPARE >= self.descriptors
    }

    /// Accepts no more until at most `open` connections are open.
    fn pause(&self, cx: &mut Context<'_, H>, key: EventKey, open: usize) {
        let _ = cx.delete(key);
        let remote = self.remote.clone();
        self.gate.when(open, move || {
            let _ = remote.post(move |cx| drop(cx.add(key)));
        });
    }

    /// Accepts again when some time has passed, in case nothing else gives cause to.
    fn retry(&mut self, cx: &mut Context<'_, H>, key: EventKey) {
        if let Some(timer) = self.retry {
            let _ = cx.add(timer);
        } else {
            let again = cx.insert(Timer::after(RETRY), move |cx, (), _| drop(cx.add(key)));
            self.retry = again.ok();
        }
    }

    fn shut(&self, cx: &mut Context<'_, H>, listener: &TcpListener, key: EventKey) {
        // Whom the kernel has accepted already may have sent a request.
        while self.gate.open() < self.connections
            && let Ok(guest) = self.next(listener)
        {
            H::admit(cx, guest);
        }
        H::stop(cx);
        let _ = cx.remove(key);
        let remote = self.remote.clone();
        self.gate.when(0, move || drop(remote.stop()));
    }
}

#[cfg(test)]
mod tests {
    use ev_core::{Outcome, RunMode};

    use super::*;

    /// Lets the guests wait.
    #[derive(Default)]
    struct Lobby {
        guests: Vec<Guest>,
        /// How many were there when the loop was to end.
        stopped_with: Option<usize>,
    }

    impl Host for Lobby {
        fn admit(cx: &mut Context<'_, Self>, guest: Guest) {
            cx.state.guests.push(guest);
        }

        fn stop(cx: &mut Context<'_, Self>) {
            cx.state.stopped_with = Some(cx.state.guests.len());
            cx.state.guests.clear();
        }
    }

    struct House {
        lp: EventLoop<Lobby>,
        lobby: Lobby,
        gate: Arc<Gate>,
        door: EventKey,
        /// Connections that the kernel has accepted.
        _peers: Vec<TcpStream>,
    }

    impl House {
        fn new(peers: usize, connections: usize, descriptors: u64) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let entrance = Entrance {
                listener,
                connections,
                descriptors,
            };
            let mut lp = EventLoop::new().unwrap();
            let gate = Arc::new(Gate::default());
            let door = open(&mut lp, entrance, &gate).unwrap();
            Self {
                lp,
                lobby: Lobby::default(),
                gate,
                door,
                _peers: (0..peers).map(|_| TcpStream::connect(address).unwrap()).collect(),
            }
        }

        /// Runs until so many guests are there.
        fn run_until(&mut self, guests: usize) {
            while self.lobby.guests.len() < guests {
                self.lp.run_with(RunMode::ONCE, &mut self.lobby).unwrap();
            }
            self.lp.run_with(RunMode::NON_BLOCKING, &mut self.lobby).unwrap();
            assert_eq!(self.lobby.guests.len(), guests);
        }
    }

    #[test]
    fn no_more_are_let_in_than_allowed() {
        let mut house = House::new(4, 2, u64::MAX);
        house.run_until(2);
        house.lobby.guests.pop();
        house.run_until(2);
        house.lobby.guests.clear();
        house.run_until(1);
    }

    #[test]
    fn the_last_descriptors_are_left_alone() {
        let mut house = House::new(2, 100, SPARE);
        house.run_until(1);
        house.lobby.guests.clear();
        house.run_until(1);
    }

    #[test]
    fn a_closed_gate_ends_the_loop_after_the_last_guest() {
        for connections in [100, 1] {
            let mut house = House::new(2, connections, u64::MAX);
            if connections == 1 {
                house.run_until(1);
            }
            assert!(!house.gate.close());
            house.lp.activate(house.door, Causes::empty()).unwrap();
            let outcome = house.lp.run_with(RunMode::FOREVER, &mut house.lobby).unwrap();
            assert_eq!(outcome, Outcome::Stopped);
            assert_eq!(house.lobby.stopped_with, Some(connections.min(2)));
            assert!(!house.lp.contains(house.door));
        }
    }
}
