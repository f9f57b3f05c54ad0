//! Models that loom runs through every order of events that the memory model allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p ev-thread --test loom --release
//! ```
//!
//! A model in which a notification can be lost ends with a thread that waits for ever, which loom reports.

#[cfg(loom)]
mod models {
    use ev_thread::{Admission, Gate, Mailbox, Monitor, Wake, Woken};
    use loom::model;
    use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    const FOREVER: u64 = u64::MAX;

    /// A gate, and a notifier made of what loom has.
    struct Loop {
        gate: Gate,
        readable: Mutex<bool>,
        written: Condvar,
        /// How many writes were made, in all.
        writes: AtomicUsize,
        /// What the posters leave. Relaxed: only the gate makes it visible.
        work: [AtomicU64; 2],
    }

    impl Loop {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                gate: Gate::new(),
                readable: Mutex::new(false),
                written: Condvar::new(),
                writes: AtomicUsize::new(0),
                work: [AtomicU64::new(FOREVER), AtomicU64::new(FOREVER)],
            })
        }

        fn write(&self, wake: Wake) {
            if wake == Wake::Write {
                self.writes.fetch_add(1, Ordering::Relaxed);
                *self.readable.lock().unwrap() = true;
                self.written.notify_one();
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
            let mut readable = self.readable.lock().unwrap();
            while !*readable {
                readable = self.written.wait(readable).unwrap();
            }
            *readable = false;
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

    /// For models of three threads, which have too many orders to try all: those with up to three preemptions.
    fn model_of_three(f: impl Fn() + Sync + Send + 'static) {
        let mut builder = model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(f);
    }

    fn post(shared: &Arc<Loop>, poster: usize) -> thread::JoinHandle<()> {
        let shared = Arc::clone(shared);
        thread::spawn(move || shared.post(poster, 1))
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
        model_of_three(|| {
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
            let poster = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.post_deadline(0, 50))
            };
            sleep_until(&shared, 100, 50);
            poster.join().unwrap();
        });
    }

    #[test]
    fn a_deadline_is_not_lost_between_a_short_sleep_and_a_long_one() {
        model(|| {
            let shared = Loop::new();
            let poster = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.post_deadline(0, 50))
            };
            // A poster that sees this sleep may leave it be only if the end of it sees the deadline.
            let _ = shared.gate.begin_wait(Some(10));
            let _ = shared.gate.end_wait();
            sleep_until(&shared, 100, 50);
            poster.join().unwrap();
        });
    }

    #[test]
    fn deadlines_of_two_posters_are_both_kept() {
        model_of_three(|| {
            let shared = Loop::new();
            let posters = [(0, 50), (1, 70)].map(|(poster, deadline)| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.post_deadline(poster, deadline))
            });
            sleep_until(&shared, 100, 50);
            for poster in posters {
                poster.join().unwrap();
            }
        });
    }

    #[test]
    fn an_item_pushed_during_shutdown_is_taken_or_given_back() {
        model(|| {
            let shared = Arc::new((Gate::new(), Mailbox::new()));
            let poster = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let refused = shared.1.push(1).is_err();
                    let _ = shared.0.notify();
                    refused
                })
            };
            let (gate, mailbox) = &*shared;
            let mut taken = Vec::new();
            let admission = gate.begin_wait(None);
            if gate.end_wait() == Woken::Notified {
                assert!(!mailbox.is_empty());
                mailbox.take_all(&mut taken);
                assert_eq!(taken, [1]);
            } else {
                assert_eq!(admission, Admission::Sleep);
            }
            taken.extend(mailbox.close());
            let refused = poster.join().unwrap();
            assert_eq!(taken.len() + usize::from(refused), 1);
            assert!(mailbox.is_empty());
        });
    }

    /// What a callback and those who wait for it share.
    struct Callbacks {
        monitor: Monitor<Option<u8>>,
        inside: [AtomicBool; 2],
    }

    impl Callbacks {
        fn run(&self, events: impl IntoIterator<Item = u8>) {
            let mut running = self.monitor.lock();
            for event in events {
                *running = Some(event);
                running.unlocked(|| {
                    let inside = &self.inside[usize::from(event)];
                    inside.store(true, Ordering::Relaxed);
                    thread::yield_now();
                    inside.store(false, Ordering::Relaxed);
                });
                *running = None;
                running.end_turn();
            }
        }

        fn delete(&self, event: u8) {
            let mut running = self.monitor.lock();
            if *running == Some(event) {
                running.wait_turn();
            }
            assert!(!self.inside[usize::from(event)].load(Ordering::Relaxed));
            assert_ne!(*running, Some(event));
        }
    }

    #[test]
    fn whoever_waits_for_a_turn_finds_it_over() {
        for deleted in [[0, 0], [0, 1]] {
            model_of_three(move || {
                let shared = Arc::new(Callbacks {
                    monitor: Monitor::new(None),
                    inside: [AtomicBool::new(false), AtomicBool::new(false)],
                });
                let waiters = deleted.map(|event| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.delete(event))
                });
                shared.run([0, 1]);
                for waiter in waiters {
                    waiter.join().unwrap();
                }
            });
        }
    }
}
