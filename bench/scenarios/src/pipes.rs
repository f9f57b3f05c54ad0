//! Bytes that travel from pipe to pipe: what a loop adds to the kernel's work for an event.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::figures::{Figures, each};
use crate::{Course, Options, Peer, WARM_UP};

pub(crate) fn measure<P: Peer>(options: &Options) -> io::Result<Figures> {
    let mut peer = open::<P>(options)?;
    for i in 0..options.descriptors {
        peer.add(i);
    }
    peer.poll();
    let writes = match options.writes {
        0 => (10 * options.active).max(5000),
        writes => writes,
    };
    let apart = options.descriptors / options.active;
    let (mut rounds, mut events, mut turns) = (vec![], 0, 0);
    for round in 0..WARM_UP + options.rounds {
        if round == 0 || !options.ready {
            for i in 0..options.active {
                peer.course().put_byte(i * apart)?;
            }
        }
        peer.course().start(options.active, writes);
        let start = Instant::now();
        if options.run {
            peer.run();
        } else {
            while !peer.course().is_done() {
                peer.poll();
                turns += 1;
            }
        }
        let reads = peer.course().reads();
        let ns = each(start, reads);
        events += reads;
        if round >= WARM_UP {
            rounds.push(ns);
        }
    }
    let mut figures = Figures::default();
    figures.failures = peer.course().failures();
    figures.push("events", events as f64);
    figures.push("iters", f64::from(turns));
    figures.push_rounds("ns", rounds);
    Ok(figures)
}

/// A peer that has the reading ends of as many pipes as asked for, and its course the writing ends.
pub(crate) fn open<P: Peer>(options: &Options) -> io::Result<P> {
    raise_descriptor_limit();
    let (mut sources, mut writers) = (vec![], vec![]);
    for _ in 0..options.descriptors {
        let (source, writer) = pair(options.sockets)?;
        sources.push(source);
        writers.push(writer);
    }
    let mut peer = P::open(options, Course::new(options, writers));
    peer.prepare(sources);
    Ok(peer)
}

/// Two connected descriptors, as files: they are read and written by `read` and `write`, whatever they are.
fn pair(of_sockets: bool) -> io::Result<(File, File)> {
    let (source, writer): (OwnedFd, OwnedFd) = if of_sockets {
        let (near, far) = UnixStream::pair()?;
        (near.into(), far.into())
    } else {
        let (reader, writer) = io::pipe()?;
        (reader.into(), writer.into())
    };
    Ok((source.into(), writer.into()))
}

/// Lets the process have as many descriptors as it may. Where that is too few, opening them fails and says so.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
