//! Another thread that notifies the loop.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::echo::Echo;
use crate::figures::{Figures, each};
use crate::{Course, Options, Peer};

/// How long the other thread waits before a notify that is to find the loop asleep.
const UNTIL_ASLEEP: Duration = Duration::from_micros(50);

/// What the other thread has measured.
struct Measured {
    hot: Vec<f64>,
    idle: Vec<f64>,
    burst: f64,
    /// How often the loop answered in the burst.
    burst_callbacks: usize,
}

pub(crate) fn measure<P: Peer>(options: &Options) -> io::Result<Figures> {
    pin_to(0);
    let mut peer = P::open(options, Course::new(options, vec![]));
    let notifier = peer.notifier();
    let other = {
        let (options, echo) = (options.clone(), peer.course().echo());
        thread::spawn(move || {
            let measured = notify::<P>(&options, &echo, &notifier);
            // The notifier comes back, so that none is closed under a loop that still answers.
            (measured, notifier)
        })
    };
    peer.run();
    let (measured, _notifier) = other
        .join()
        .map_err(|_| io::Error::other("the other thread panicked"))?;
    let mut figures = Figures::default();
    figures.push_rounds("hot", measured.hot);
    figures.push_rounds("idle", measured.idle);
    figures.push("burst", measured.burst);
    figures.push("burst_callbacks", measured.burst_callbacks as f64);
    Ok(figures)
}

fn notify<P: Peer>(options: &Options, echo: &Echo, notifier: &P::Notifier) -> Measured {
    pin_to(1);
    let trips = if options.writes == 0 { 200 } else { options.writes };
    thread::sleep(Duration::from_millis(20));
    let (mut hot, mut idle) = (vec![], vec![]);
    for _ in 0..options.rounds {
        hot.push(round_trip::<P>(trips, Duration::ZERO, echo, notifier));
        idle.push(round_trip::<P>(trips, UNTIL_ASLEEP, echo, notifier));
    }
    thread::sleep(Duration::from_millis(5));

    let before = echo.answers();
    let start = Instant::now();
    for _ in 0..options.timers {
        P::notify(notifier);
    }
    let burst = each(start, options.timers);
    thread::sleep(Duration::from_millis(20));
    let burst_callbacks = echo.answers() - before;

    echo.end();
    P::notify(notifier);
    Measured {
        hot,
        idle,
        burst,
        burst_callbacks,
    }
}

/// Nanoseconds from a notify until the loop has answered, each a `pause` after the one before.
fn round_trip<P: Peer>(trips: usize, pause: Duration, echo: &Echo, notifier: &P::Notifier) -> f64 {
    let mut sum = Duration::ZERO;
    for _ in 0..trips {
        let pause_began = Instant::now();
        while pause_began.elapsed() < pause {}
        let before = echo.answers();
        let start = Instant::now();
        P::notify(notifier);
        while echo.answers() == before {}
        sum += start.elapsed();
    }
    sum.as_nanos() as f64 / trips as f64
}

/// Binds this thread to a processor, if there is one of that number.
fn pin_to(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    let _ = sched_setaffinity(None, &set);
}
