//! Adding and deleting events.

use std::io;
use std::time::Instant;

use crate::figures::{Figures, each};
use crate::{Options, Peer, WARM_UP, pipes};

pub(crate) fn measure<P: Peer>(options: &Options) -> io::Result<Figures> {
    let mut peer = pipes::open::<P>(options)?;
    let count = options.descriptors;
    let (mut without_turn, mut with_turn) = (vec![], vec![]);
    for round in 0..WARM_UP + options.rounds {
        let start = Instant::now();
        (0..count).for_each(|i| peer.add(i));
        (0..count).for_each(|i| peer.delete(i));
        let without = each(start, count);
        peer.poll();

        let start = Instant::now();
        (0..count).for_each(|i| peer.add(i));
        peer.poll();
        (0..count).for_each(|i| peer.delete(i));
        peer.poll();
        let with = each(start, count);

        if round >= WARM_UP {
            without_turn.push(without);
            with_turn.push(with);
        }
    }
    let mut figures = Figures::default();
    figures.push("events", (2 * count * (WARM_UP + options.rounds)) as f64);
    figures.push_rounds("nodispatch", without_turn);
    figures.push_rounds("dispatch", with_turn);
    Ok(figures)
}
