//! Waits for two sockets with nothing but this crate: `cargo run -p ev-backend --example two_sockets`.
//!
//! With `EVENT_NOEPOLL=1` in the environment the next backend does the same.
#![expect(clippy::print_stdout, reason = "the program talks to whoever tries it")]

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use ev_backend::{Backend, Change, Config, Interest, Mode, Registration, Tag, Waiter};

fn main() -> Result<(), Box<dyn Error>> {
    let sockets = [
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let (mut backend, mut waiter) = Config::new().open()?;
    println!("waiting with {}", backend.name());

    let readable = Registration {
        interest: Interest::READ,
        mode: Mode::Level,
    };
    for (index, socket) in sockets.iter().enumerate() {
        let tag = Tag::from_bits(index as u64);
        backend.update(&Change {
            fd: socket.as_raw_fd(),
            tag,
            old: None,
            new: Some(readable),
        })?;
    }

    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.send_to(b"to the second", sockets[1].local_addr()?)?;
    peer.send_to(b"to the first", sockets[0].local_addr()?)?;

    let mut received = 0;
    while received < sockets.len() {
        backend.prepare(&mut waiter)?;
        if waiter.wait(Some(Duration::from_secs(5)))? == 0 {
            return Err("nothing came in five seconds".into());
        }
        let mut ready = Vec::new();
        waiter.for_each(|tag, _| ready.push(tag.to_bits() as usize));
        for index in ready {
            let mut buffer = [0; 64];
            let (length, from) = sockets[index].recv_from(&mut buffer)?;
            println!(
                "socket {index}: {:?} from {from}",
                String::from_utf8_lossy(&buffer[..length])
            );
            received += 1;
        }
    }

    for socket in &sockets {
        let fd = socket.as_raw_fd();
        backend.update(&Change {
            fd,
            tag: Tag::from_bits(0),
            old: Some(readable),
            new: None,
        })?;
    }
    Ok(())
}
