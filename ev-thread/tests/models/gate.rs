//! The gate by itself.

use ev_thread::{Admission, Gate, Wake, Woken};
use loom::model;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

use super::notifier::Notifier;
use super::up_to_three_preemptions;

const FOREVER: u64 = u64::MAX;

/// A gate and the notifier behind it.
struct Loop {
    gate: Gate,
    notifier: Notifier,
    /// How many writes were made, in all.
    writes: AtomicUsize,
    /// What the posters leave. Relaxed: only the gate makes it visible.
    work: [AtomicU64; 2],
}

impl Loop {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            notifier: Notifier::new(),
            writes: AtomicUsize::new(0),
            work: [AtomicU64::new(FOREVER), AtomicU64::new(FOREVER)],
        })
    }

    fn write(&self, wake: Wake) {
        if wake == Wake::Write {
            self.writes.fetch_add(1, Ordering::Relaxed);
            self.notifier.notify();
        }
    }

    fn post(&self, poster: usize, value: u64) {
        self.work[poster].store(value, Ordering::Relaxed);
        self.write(self.gate.notify());
    }

    fn post_deadline(&self, poster: usize, deadline: u64) {
        self.work[poster].store(deadline, Ordering::Relaxed);
        self.write(self.gate.notify_before(deadline));
    }

    fn sleep(&self) {
        self.notifier.wait();
        self.notifier.drain();
    }

    /// One wait without an end by itself.
    fn wait(&self) -> Woken {
        if self.gate.begin_wait(None) == Admission::Sleep {
            self.sleep();
        }
        self.gate.end_wait()
    }

    /// A wait that something else ends at once: a ready descriptor, a signal.
    fn wait_in_vain(&self) -> Woken {
        let _ = self.gate.begin_wait(None);
        self.gate.end_wait()
    }

    fn earliest(&self) -> u64 {
        self.work.iter().map(|work| work.load(Ordering::Relaxed)).min().unwrap()
    }
}

fn post(shared: &Arc<Loop>, poster: usize) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.post(poster, 1))
}

fn post_deadline(shared: &Arc<Loop>, poster: usize, deadline: u64) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.post_deadline(poster, deadline))
}

#[test]
fn a_notification_is_never_lost() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        while shared.earliest() == FOREVER {
            let _ = shared.wait();
        }
        poster.join().unwrap();
    });
}

#[test]
fn what_was_left_is_visible_when_the_loop_is_told() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        if shared.wait_in_vain() == Woken::Notified {
            assert_eq!(shared.work[0].load(Ordering::Relaxed), 1);
        }
        poster.join().unwrap();
    });
}

#[test]
fn what_was_left_is_visible_when_the_loop_may_not_sleep() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        if shared.gate.begin_wait(None) == Admission::Notified {
            assert_eq!(shared.work[0].load(Ordering::Relaxed), 1);
        }
        poster.join().unwrap();
    });
}

#[test]
fn two_posters_are_both_heard_and_a_sleep_costs_one_write() {
    up_to_three_preemptions(|| {
        let shared = Loop::new();
        let posters = [post(&shared, 0), post(&shared, 1)];
        let mut waits = 0;
        while shared.work.iter().any(|work| work.load(Ordering::Relaxed) == FOREVER) {
            let _ = shared.wait();
            waits += 1;
        }
        for poster in posters {
            poster.join().unwrap();
        }
        assert!(shared.writes.load(Ordering::Relaxed) <= waits);
    });
}

#[test]
fn a_loop_that_lingers_hears_of_what_comes_meanwhile() {
    up_to_three_preemptions(|| {
        let shared = Loop::new();
        let posters = [post(&shared, 0), post(&shared, 1)];
        let mut waits = 0;
        while shared.work.iter().any(|work| work.load(Ordering::Relaxed) == FOREVER) {
            shared.gate.linger();
            let _ = shared.wait();
            waits += 1;
        }
        for poster in posters {
            poster.join().unwrap();
        }
        assert!(shared.writes.load(Ordering::Relaxed) <= waits);
    });
}

#[test]
fn a_wait_that_ends_otherwise_loses_nothing() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        // The poster may have been told to write for this wait and do so in the next, or later.
        let _ = shared.wait_in_vain();
        while shared.earliest() == FOREVER {
            let _ = shared.wait();
        }
        poster.join().unwrap();
    });
}

#[test]
fn a_notification_before_the_run_is_kept() {
    model(|| {
        let shared = Loop::new();
        shared.post(0, 1);
        let runner = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                assert_eq!(shared.gate.begin_wait(None), Admission::Notified);
                assert_eq!(shared.gate.end_wait(), Woken::Notified);
            })
        };
        runner.join().unwrap();
        assert_eq!(shared.writes.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_notification_between_two_runs_is_kept() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        // The first run gives up after a turn; the second is another thread's.
        let first = shared.wait_in_vain();
        let second = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if first == Woken::Unnotified {
                    shared.wait()
                } else {
                    first
                }
            })
        };
        assert_eq!(second.join().unwrap(), Woken::Notified);
        poster.join().unwrap();
    });
}

/// Sleeps until the earliest deadline it knows, and returns when it slept no longer than until `latest`. The time
/// at which a longer sleep ends never comes.
fn sleep_until(shared: &Loop, default: u64, latest: u64) {
    loop {
        let until = shared.earliest().min(default);
        match shared.gate.begin_wait(Some(until)) {
            Admission::Sleep if until <= latest => {
                let _ = shared.gate.end_wait();
                return;
            }
            Admission::Sleep => shared.sleep(),
            Admission::Notified => {}
        }
        let _ = shared.gate.end_wait();
    }
}

#[test]
fn an_earlier_deadline_cuts_the_sleep() {
    model(|| {
        let shared = Loop::new();
        let poster = post_deadline(&shared, 0, 50);
        sleep_until(&shared, 100, 50);
        poster.join().unwrap();
    });
}

#[test]
fn a_deadline_is_not_lost_between_a_short_sleep_and_a_long_one() {
    model(|| {
        let shared = Loop::new();
        let poster = post_deadline(&shared, 0, 50);
        // A poster that sees this sleep may leave it be only if the end of it sees the deadline.
        let _ = shared.gate.begin_wait(Some(10));
        let _ = shared.gate.end_wait();
        sleep_until(&shared, 100, 50);
        poster.join().unwrap();
    });
}

#[test]
fn deadlines_of_two_posters_are_both_kept() {
    up_to_three_preemptions(|| {
        let shared = Loop::new();
        let posters = [(0, 50), (1, 70)].map(|(poster, deadline)| post_deadline(&shared, poster, deadline));
        sleep_until(&shared, 100, 50);
        for poster in posters {
            poster.join().unwrap();
        }
    });
}

#[test]
fn a_sleep_that_ends_in_time_costs_no_write() {
    model(|| {
        let shared = Loop::new();
        let poster = post_deadline(&shared, 0, 50);
        let _ = shared.gate.begin_wait(Some(50));
        let _ = shared.gate.end_wait();
        poster.join().unwrap();
        assert_eq!(shared.writes.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_loop_that_was_told_sleeps_again() {
    model(|| {
        let shared = Loop::new();
        let poster = post(&shared, 0);
        let _ = shared.wait_in_vain();
        poster.join().unwrap();
        let _ = shared.wait_in_vain();
        // Nobody is left to notify, and a sleep may be of any length.
        for until in [None, Some(0), Some(1), Some(100)] {
            assert_eq!(shared.gate.begin_wait(until), Admission::Sleep);
            assert_eq!(shared.gate.end_wait(), Woken::Unnotified);
        }
    });
}
