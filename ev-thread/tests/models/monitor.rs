//! Turns, and those who wait for them.

use ev_thread::Monitor;
use loom::sync::Arc;
use loom::thread;

use super::up_to_three_preemptions;

#[derive(Default)]
struct Turns {
    /// The turn that runs now.
    running: Option<usize>,
    /// How many wait for each turn, and have not returned.
    waiting: [usize; 2],
}

/// Waits for the turn that runs, if one does.
fn wait(monitor: &Monitor<Turns>) {
    let mut turns = monitor.lock();
    if let Some(turn) = turns.running {
        turns.waiting[turn] += 1;
        turns.wait_turn();
        assert_ne!(turns.running, Some(turn));
        turns.waiting[turn] -= 1;
    }
}

fn run_turn(monitor: &Monitor<Turns>, turn: usize, callback: impl FnOnce()) {
    let mut turns = monitor.lock();
    turns.running = Some(turn);
    turns.unlocked(callback);
    assert_eq!(turns.is_awaited(), turns.waiting[turn] > 0);
    turns.running = None;
    turns.end_turn();
    assert!(!turns.is_awaited());
}

/// Two waiters that come at any time, in either turn. The second turn lasts until all have returned that waited for the
/// first.
#[test]
fn whoever_waits_for_a_turn_need_not_wait_for_the_next() {
    up_to_three_preemptions(|| {
        let monitor = Arc::new(Monitor::new(Turns::default()));
        let waiters = [(); 2].map(|()| {
            let monitor = Arc::clone(&monitor);
            thread::spawn(move || wait(&monitor))
        });
        run_turn(&monitor, 0, thread::yield_now);
        run_turn(&monitor, 1, || {
            while monitor.lock().waiting[0] > 0 {
                thread::yield_now();
            }
        });
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}
