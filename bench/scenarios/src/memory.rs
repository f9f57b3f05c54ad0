//! Bytes of heap for an event and for a timer.
//!
//! `event_struct` and `timer_struct` are what is prepared once, `event_total` and `timer_total` all that is in use for an
//! event that is added and a timer that is set.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use crate::figures::Figures;
use crate::heap::bytes_in_use;
use crate::random::Random;
use crate::{Course, Options, Peer, pipes};

pub(crate) fn measure<P: Peer>(options: &Options) -> io::Result<Figures> {
    pipes::raise_descriptor_limit();
    let count = options.descriptors;
    let mut sources = Vec::with_capacity(count);
    for _ in 0..count {
        sources.push(File::from(eventfd(0, EventfdFlags::NONBLOCK)?));
    }
    // What holds a descriptor counts for the event, be it the peer's own place for it or this list.
    let list = count * size_of::<File>();
    let mut peer = P::open(options, Course::new(options, vec![]));
    peer.poll();
    let mut figures = Figures::default();

    let empty = bytes_in_use();
    peer.prepare(sources);
    let prepared = bytes_in_use();
    (0..count).for_each(|i| peer.add(i));
    peer.poll();
    let added = bytes_in_use();
    let each = |from: usize, to: usize, count: usize| (to as f64 - from as f64) / count as f64;
    figures.push("event_struct", each(empty, prepared + list, count));
    figures.push("event_total", each(empty, added + list, count));

    if P::ABILITIES.timers {
        let (count, mut random) = (options.timers, Random::new());
        let before = bytes_in_use();
        peer.prepare_timers(count);
        let prepared = bytes_in_use();
        peer.read_clock();
        for i in 0..count {
            peer.set_timer(i, Duration::from_secs(10) + random.micros_below(1_000_000_000));
        }
        figures.push("timer_struct", each(before, prepared, count));
        figures.push("timer_total", each(before, bytes_in_use(), count));
    }
    Ok(figures)
}
