//! Registration and draining while signals rain.

mod rig;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ev_signal::{SIGUSR1, SIGUSR2, Signals};
use ev_sys::fdio;
use ev_sys::pipe::{PipeFlags, pipe};
use ev_sys::signal::{Action, Disposition};
use rig::{drained, fork, raise, readable, readable_within};

/// Ends what other threads do until it is set, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `body` while several threads raise SIGUSR1. It gets, and this returns, how often that was done; what is in the
/// number has been delivered.
fn while_signals_rain(body: impl FnOnce(&AtomicU32)) -> u32 {
    const RAISERS: usize = 3;

    let over = AtomicBool::new(false);
    let raised = AtomicU32::new(0);
    thread::scope(|scope| {
        let _over = Over(&over);
        for _ in 0..RAISERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    raise(SIGUSR1, 1);
                    raised.fetch_add(1, Ordering::Release);
                }
            });
        }
        while raised.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        body(&raised);
    });
    raised.into_inner()
}

fn total(signals: &mut Signals) -> u32 {
    drained(signals).iter().map(|&(_, times)| times).sum()
}

rig::tests_in_own_processes! {
    fn a_handler_that_is_late_does_not_write_to_a_reused_descriptor() {
        // Keeps the handler installed.
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        let mut reused = VecDeque::new();
        let raised = while_signals_rain(|_| {
            for _ in 0..300 {
                let mut signals = Signals::new().unwrap();
                signals.watch(SIGUSR1).unwrap();
                // The other threads run, and stop in the midst of the handler.
                thread::yield_now();
                drop(signals);
                // This has the numbers of the pipe that was closed.
                reused.push_back(pipe(PipeFlags::NONBLOCK).unwrap());
                if reused.len() == 100 {
                    assert!(!readable(reused.pop_front().unwrap().reader));
                }
            }
        });
        for pipe in reused {
            assert!(!readable(pipe.reader));
        }
        // And the one that stayed has missed nothing.
        assert_eq!(total(&mut keeper), raised);
    }

    fn a_delivery_in_the_midst_of_a_drain_wakes_again() {
        const ROUNDS: u32 = 2_000;
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        let over = AtomicBool::new(false);
        let raised = AtomicU32::new(0);
        let seen = AtomicU32::new(0);
        thread::scope(|scope| {
            let _over = Over(&over);
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    raise(SIGUSR1, 1);
                    raised.store(round, Ordering::Release);
                    while seen.load(Ordering::Relaxed) < round && !over.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                }
            });
            // Draining all the time, so that some deliveries come in the midst of it.
            let mut drained = 0;
            while drained < ROUNDS {
                drained += total(&mut signals);
                if drained < raised.load(Ordering::Acquire) {
                    assert!(readable(&signals), "a delivery was left behind");
                }
                seen.store(drained, Ordering::Relaxed);
            }
        });
    }

    fn watching_and_unwatching_loses_nothing_for_others() {
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        let raised = while_signals_rain(|_| {
            let mut signals = Signals::new().unwrap();
            for _ in 0..2_000 {
                signals.watch(SIGUSR1).unwrap();
                signals.watch(SIGUSR2).unwrap();
                signals.unwatch(SIGUSR1).unwrap();
                signals.unwatch(SIGUSR2).unwrap();
            }
        });
        assert_eq!(total(&mut keeper), raised);
    }

    fn reinit_without_a_fork_loses_no_wake_up() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        // A signal that comes when nothing is watched would end the process.
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        while_signals_rain(|_| {
            for _ in 0..100 {
                signals.reinit().unwrap();
                assert!(readable_within(&signals, Duration::from_mins(1)));
                drained(&mut signals);
            }
        });
    }

    fn the_last_of_several_threads_restores() {
        const THREADS: usize = 3;
        let together = Barrier::new(THREADS);
        let not_restored = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut signals = Signals::new().unwrap();
                    for _ in 0..1_000 {
                        signals.watch(SIGUSR2).unwrap();
                        // Watched here, so the handler is installed whatever the others do.
                        raise(SIGUSR2, 1);
                        together.wait();
                        signals.unwatch(SIGUSR2).unwrap();
                        if together.wait().is_leader()
                            && Action::query(SIGUSR2).unwrap().disposition() != Disposition::Default
                        {
                            not_restored.fetch_add(1, Ordering::Relaxed);
                        }
                        together.wait();
                    }
                });
            }
        });
        assert_eq!(not_restored.into_inner(), 0);
    }

    fn children_are_forked_in_the_midst() {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _over = Over(&over);
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
        });
    }
}

#[test]
fn a_late_write_would_be_seen() {
    let reused = pipe(PipeFlags::NONBLOCK).unwrap();
    fdio::write(reused.writer.as_fd(), &[0]).unwrap();
    assert!(readable(&reused.reader));
}
