//! What the counts of a turn's costs share: both kinds of loop with the suite's face, and something for them to do.

#![expect(unreachable_pub, reason = "the suite's modules are written for a crate of their own")]

#[path = "../suite/events.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
pub mod events;
#[path = "../suite/mechanism.rs"]
mod mechanism;

use std::io::Write;
use std::os::unix::net::UnixStream;

use ev_core::{Config, EventLoop, SharedLoop};

use self::events::Loop;

pub const KINDS: [&str; 2] = ["local", "shared"];

/// A loop of each kind on the backend of that name.
pub fn both(backend: &str) -> [(&'static str, Loop); 2] {
    let open = || mechanism::open(backend, &Config::new()).unwrap();
    let (backend, waiter, config) = open();
    let local = EventLoop::with_backend(backend, waiter, &config);
    let (backend, waiter, config) = open();
    let shared = SharedLoop::with_backend(backend, waiter, &config).unwrap();
    [(KINDS[0], Loop::Local(local)), (KINDS[1], Loop::Shared(shared))]
}

/// A socket that stays readable, and its peer.
pub fn readable() -> (UnixStream, UnixStream) {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    (near, far)
}
