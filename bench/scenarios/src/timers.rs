//! Timers far ahead that come and go, and timers that are due.

use std::time::{Duration, Instant};

use crate::figures::{Figures, each};
use crate::random::Random;
use crate::{Course, Options, Peer};

/// More timers than these are measured without a round to warm up, and spread over a longer time.
const MANY: usize = 100_000;
/// No timer of the first phases is due sooner.
const FAR: Duration = Duration::from_secs(10);
/// The timeout of all timers that are to fall due, with `same`.
const NEAR: Duration = Duration::from_millis(1);

pub(crate) fn measure<P: Peer>(options: &Options) -> Figures {
    let count = options.timers;
    let work = Work::new(options);
    let mut peer = P::open(options, Course::new(options, vec![]));
    peer.poll();
    peer.prepare_timers(count);
    if options.same && options.told {
        peer.announce(FAR);
        peer.announce(NEAR);
    }
    if count <= MANY {
        work.round(&mut peer);
    }
    let mut phases = [const { Vec::new() }; 4];
    for _ in 0..options.rounds {
        for (rounds, ns) in phases.iter_mut().zip(work.round(&mut peer)) {
            rounds.push(ns);
        }
    }
    let mut figures = Figures::default();
    figures.push("events", (count * options.rounds) as f64);
    for (name, rounds) in ["insert", "cancel", "rearm", "expire"].into_iter().zip(phases) {
        figures.push_rounds(name, rounds);
    }
    figures
}

/// What is done in each round.
struct Work {
    far: Vec<Duration>,
    near: Vec<Duration>,
    /// The time within which those are due.
    spread: Duration,
    /// The order in which timers are cancelled and set anew.
    order: Vec<usize>,
}

impl Work {
    fn new(options: &Options) -> Self {
        let (count, mut random) = (options.timers, Random::new());
        let spread = if count > MANY { 500_000 } else { 10_000 };
        let ahead: Vec<usize> = (0..count).map(|_| random.below(1_000_000_000)).collect();
        let micros = |micros: usize| Duration::from_micros(micros as u64);
        let each = |f: &dyn Fn(usize) -> Duration| ahead.iter().map(|&micros| f(micros)).collect();
        Self {
            far: each(&|of| FAR + if options.same { Duration::ZERO } else { micros(of) }),
            near: each(&|of| if options.same { NEAR } else { micros(of % spread) }),
            spread: micros(spread),
            order: random.order(count),
        }
    }

    /// Nanoseconds to insert a timer, to cancel one, to set one anew, and for one to expire.
    fn round<P: Peer>(&self, peer: &mut P) -> [f64; 4] {
        let count = self.order.len();
        let (cancelled, kept) = self.order.split_at(count / 2);

        peer.read_clock();
        let start = Instant::now();
        for (i, &after) in self.far.iter().enumerate() {
            peer.set_timer(i, after);
        }
        let insert = each(start, count);

        let start = Instant::now();
        for &i in cancelled {
            peer.cancel_timer(i);
        }
        let cancel = each(start, cancelled.len());

        let start = Instant::now();
        // The deadline of another timer: earlier than its own for one half, later for the other.
        for (k, &i) in kept.iter().enumerate() {
            peer.set_timer(i, self.far[k]);
        }
        let rearm = each(start, kept.len());

        for &i in kept {
            peer.cancel_timer(i);
        }
        [insert, cancel, rearm, self.expire(peer)]
    }

    fn expire<P: Peer>(&self, peer: &mut P) -> f64 {
        peer.read_clock();
        for (i, &after) in self.near.iter().enumerate() {
            peer.set_timer(i, after);
        }
        let all_due = Instant::now() + self.spread + 3 * NEAR;
        while Instant::now() < all_due {}
        peer.course().start_timers();
        let start = Instant::now();
        while peer.course().timers_fired() < self.near.len() {
            peer.poll();
        }
        each(start, self.near.len())
    }
}
