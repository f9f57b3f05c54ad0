//! Registration while signals rain.

mod rig;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ev_signal::{SIGUSR1, SIGUSR2, Signals};
use ev_sys::fdio;
use ev_sys::pipe::{PipeFlags, pipe};
use ev_sys::signal::{Action, Disposition};
use rig::{drained, fork, raise, readable, readable_within};

const RAISERS: usize = 3;

/// Runs `body` while `RAISERS` threads raise SIGUSR1. Returns how often they did.
fn while_signals_rain(body: impl FnOnce()) -> u32 {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let raisers = [(); RAISERS].map(|()| {
            scope.spawn(|| {
                let mut raised = 0;
                while !over.load(Ordering::Relaxed) {
                    raise(SIGUSR1, 1);
                    raised += 1;
                }
                raised
            })
        });
        body();
        over.store(true, Ordering::Relaxed);
        raisers.map(|raiser| raiser.join().unwrap()).iter().sum()
    })
}

rig::tests_in_own_processes! {
    fn receivers_come_and_go() {
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        let raised = while_signals_rain(|| {
            for round in 0..400 {
                let mut signals = Signals::new().unwrap();
                signals.watch(SIGUSR1).unwrap();
                signals.watch(SIGUSR2).unwrap();
                if round % 3 == 0 {
                    signals.unwatch(SIGUSR1).unwrap();
                    signals.watch(SIGUSR1).unwrap();
                }
                if round % 5 == 0 {
                    // Until something comes.
                    while drained(&mut signals).is_empty() {}
                }
                drop(signals);
                // These have the numbers of the pipe that was closed. A handler that is late would write here.
                let reused = pipe(PipeFlags::NONBLOCK).unwrap();
                thread::yield_now();
                assert!(!readable(&reused.reader));
            }
        });
        // And the one that stayed has missed nothing.
        let total: u32 = drained(&mut keeper).iter().map(|&(_, times)| times).sum();
        assert_eq!(total, raised);
        assert!(raised > 0);
    }

    fn a_receiver_drains_while_it_is_written_to() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        let mut total = 0;
        let raised = while_signals_rain(|| {
            for _ in 0..5_000 {
                total += drained(&mut signals).iter().map(|&(_, times)| times).sum::<u32>();
            }
        });
        total += drained(&mut signals).iter().map(|&(_, times)| times).sum::<u32>();
        assert_eq!(total, raised);
    }

    fn a_delivery_in_the_midst_of_a_drain_wakes_again() {
        const ROUNDS: u32 = 5_000;
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        let seen = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    // The first wakes the other thread, the second meets it draining.
                    raise(SIGUSR1, 2);
                    while seen.load(Ordering::Relaxed) < 2 * (round + 1) {
                        thread::yield_now();
                    }
                }
            });
            while seen.load(Ordering::Relaxed) < 2 * ROUNDS {
                assert!(readable_within(&signals, Duration::from_secs(60)), "a delivery was left behind");
                signals
                    .drain(|_, times| {
                        seen.fetch_add(times, Ordering::Relaxed);
                    })
                    .unwrap();
            }
        });
    }

    fn reinit_without_a_fork_is_safe_and_loses_no_wake_up() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        while_signals_rain(|| {
            for _ in 0..100 {
                signals.reinit().unwrap();
                // Whatever is counted must have made it readable.
                while !readable(&signals) {
                    thread::yield_now();
                }
                drained(&mut signals);
            }
        });
    }

    fn the_last_of_many_threads_restores() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut signals = Signals::new().unwrap();
                    for _ in 0..500 {
                        signals.watch(SIGUSR2).unwrap();
                        // Watched here, so the handler is installed whatever the others do.
                        raise(SIGUSR2, 1);
                        signals.unwatch(SIGUSR2).unwrap();
                    }
                });
            }
        });
        assert_eq!(Action::query(SIGUSR2).unwrap().disposition(), Disposition::Default);
    }

    fn children_are_forked_in_the_midst() {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let mut signals = Signals::new().unwrap();
                        signals.watch(SIGUSR1).unwrap();
                        raise(SIGUSR1, 1);
                        assert!(!drained(&mut signals).is_empty());
                    }
                });
            }
            let mut inherited = Signals::new().unwrap();
            inherited.watch(SIGUSR2).unwrap();
            for round in 0..100 {
                let child = fork(|| {
                    if round % 2 == 0 {
                        inherited.reinit().unwrap();
                        raise(SIGUSR2, 2);
                        assert_eq!(drained(&mut inherited), [(SIGUSR2, 2)]);
                    }
                    let mut own = Signals::new().unwrap();
                    own.watch(SIGUSR1).unwrap();
                    raise(SIGUSR1, 3);
                    assert_eq!(drained(&mut own), [(SIGUSR1, 3)]);
                    drop(own);
                    // Whatever the other threads of the parent watched, they are not here.
                    assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
                });
                child.succeed();
            }
            assert!(!readable(&inherited));
            over.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn the_reused_pipe_would_show_a_write() {
    let reused = pipe(PipeFlags::NONBLOCK).unwrap();
    fdio::write(reused.writer.as_fd(), &[0]).unwrap();
    assert!(readable(&reused.reader));
}
