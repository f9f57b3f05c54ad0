//! A child made by `fork`, and its parent.

mod rig;

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use ev_signal::{SIGUSR1, SIGUSR2, Signals};
use ev_sys::signal::{Action, Disposition};
use rig::{drained, fork, in_fork, raise, readable};

rig::tests_in_own_processes! {
    fn the_child_does_not_reach_the_parent() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        in_fork(|| {
            // Inherited, and not in service: nothing is counted, nothing is written, nobody dies of it.
            raise(SIGUSR1, 3);
            assert_eq!(drained(&mut signals), []);
        });
        assert!(!readable(&signals));
        assert_eq!(drained(&mut signals), []);
        raise(SIGUSR1, 2);
        assert_eq!(drained(&mut signals), [(SIGUSR1, 2)]);
    }

    fn the_child_does_not_take_from_the_parent() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        raise(SIGUSR1, 3);
        in_fork(|| {
            assert_eq!(drained(&mut signals), []);
            signals.reinit().unwrap();
            assert!(!readable(&signals));
            assert_eq!(drained(&mut signals), []);
        });
        assert!(readable(&signals));
        assert_eq!(drained(&mut signals), [(SIGUSR1, 3)]);
    }

    fn a_child_that_reinits_has_its_own() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        signals.watch(SIGUSR2).unwrap();
        let number = signals.as_fd().as_raw_fd();
        in_fork(|| {
            signals.reinit().unwrap();
            assert_eq!(signals.as_fd().as_raw_fd(), number);
            raise(SIGUSR1, 2);
            raise(SIGUSR2, 1);
            assert!(readable(&signals));
            assert_eq!(drained(&mut signals), [(SIGUSR1, 2), (SIGUSR2, 1)]);
            assert!(!readable(&signals));
            signals.unwatch(SIGUSR1).unwrap();
            assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
            // And the child's child.
            in_fork(|| {
                raise(SIGUSR2, 1);
                assert_eq!(drained(&mut signals), []);
                signals.reinit().unwrap();
                raise(SIGUSR2, 5);
                assert_eq!(drained(&mut signals), [(SIGUSR2, 5)]);
            });
            assert!(!readable(&signals));
            assert_eq!(drained(&mut signals), []);
        });
        assert!(!readable(&signals));
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
    }

    fn each_receiver_is_reinited_for_itself() {
        let mut first = Signals::new().unwrap();
        first.watch(SIGUSR1).unwrap();
        let mut second = Signals::new().unwrap();
        second.watch(SIGUSR1).unwrap();
        in_fork(|| {
            first.reinit().unwrap();
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut first), [(SIGUSR1, 1)]);
            assert_eq!(drained(&mut second), []);
            // The second has no say yet, so the last watcher in this process is the first.
            first.unwatch(SIGUSR1).unwrap();
            assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
            second.reinit().unwrap();
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut second), [(SIGUSR1, 1)]);
            assert_eq!(drained(&mut first), []);
            second.unwatch(SIGUSR1).unwrap();
            assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
        });
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut first), [(SIGUSR1, 1)]);
        assert_eq!(drained(&mut second), [(SIGUSR1, 1)]);
    }

    fn a_child_may_drop_what_it_inherited() {
        let mut signals = Some(Signals::new().unwrap());
        signals.as_mut().unwrap().watch(SIGUSR1).unwrap();
        in_fork(|| {
            signals = None;
            assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
            let mut own = Signals::new().unwrap();
            own.watch(SIGUSR1).unwrap();
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut own), [(SIGUSR1, 1)]);
        });
        raise(SIGUSR1, 1);
        assert_eq!(drained(signals.as_mut().unwrap()), [(SIGUSR1, 1)]);
    }

    fn what_a_child_watches_is_its_own() {
        let mut signals = Signals::new().unwrap();
        in_fork(|| {
            // Before `reinit`: noted, and in force after it.
            signals.watch(SIGUSR1).unwrap();
            signals.reinit().unwrap();
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        });
        assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
        assert_eq!(drained(&mut signals), []);
    }
    fn the_first_receiver_is_made_while_another_thread_forks() {
        for _ in 0..300 {
            // A process that has no receiver yet, and so does not watch its forks.
            in_fork(|| {
                let together = Barrier::new(3);
                thread::scope(|scope| {
                    // Two of them, either of which may be the first.
                    for _ in 0..2 {
                        scope.spawn(|| {
                            together.wait();
                            Signals::new().unwrap().watch(SIGUSR2).unwrap();
                        });
                    }
                    together.wait();
                    let child = fork(|| {
                        let mut own = Signals::new().unwrap();
                        own.watch(SIGUSR1).unwrap();
                        raise(SIGUSR1, 1);
                        assert_eq!(drained(&mut own), [(SIGUSR1, 1)]);
                    });
                    child.succeed_within(Duration::from_secs(10));
                });
                fork(|| drop(Signals::new().unwrap())).succeed_within(Duration::from_secs(10));
            });
        }
    }
}
