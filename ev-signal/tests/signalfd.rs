//! Signals that are held off and read from a signalfd.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod rig;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ev_signal::{Method, SIGCHLD, SIGHUP, SIGINT, SIGURG, SIGUSR1, SIGUSR2, SignalError, Signals};
use ev_sys::epoll::{self, Event, Events};
use ev_sys::process;
use ev_sys::signal::{self, Action, ActionFlags, NewAction, SigSet};
use rig::{assert_refuses_what_cannot_be_watched, drained, in_fork, raise, readable, readable_within, send, watch_all};

fn receiver(watched: &[i32]) -> Signals {
    let mut signals = Signals::with_method(Method::SignalFd).unwrap();
    for &signal in watched {
        signals.watch(signal).unwrap();
    }
    signals
}

fn set(signals: &[i32]) -> SigSet {
    SigSet::of(signals.iter().copied()).unwrap()
}

/// What the calling thread holds off.
fn mask() -> BTreeSet<i32> {
    let mask = signal::mask();
    (1..=libc::SIGRTMAX()).filter(|&signal| mask.contains(signal)).collect()
}

/// The calling thread's mask is what it was, and the signals besides.
fn assert_held_off_besides(before: &BTreeSet<i32>, signals: &[i32]) {
    assert_eq!(mask(), before | &signals.iter().copied().collect());
}

/// The set of the open file, as the kernel tells it.
fn set_in_kernel(signals: &Signals) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", signals.as_fd().as_raw_fd());
    let told = fs::read_to_string(path).unwrap();
    let set = told.lines().find_map(|line| line.strip_prefix("sigmask:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap()
}

fn action(signal: i32) -> String {
    format!("{:?}", Action::query(signal).unwrap())
}

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: i32) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

rig::tests_in_own_processes! {
    fn the_method_is_told() {
        let signals = receiver(&[]);
        assert_eq!((signals.method(), signals.method().name()), (Method::SignalFd, "signalfd"));
        let signals = Signals::new().unwrap();
        assert_eq!((signals.method(), signals.method().to_string().as_str()), (Method::Handler, "handler"));
    }

    fn three_kills_are_one_delivery() {
        // A process of one thread, which may be sent signals as a whole.
        in_fork(|| {
            let mut signals = receiver(&[SIGUSR1, SIGINT, SIGUSR2]);
            assert!(!readable(&signals));
            assert_eq!(drained(&mut signals), []);
            for signal in [SIGUSR1, SIGINT, SIGUSR1, SIGUSR1] {
                send(signal);
            }
            assert!(readable(&signals));
            assert_eq!(drained(&mut signals), [(SIGINT, 1), (SIGUSR1, 1)]);
            assert!(!readable(&signals));
            assert_eq!(drained(&mut signals), []);
            send(SIGUSR1);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        });
    }

    fn real_time_signals_are_counted() {
        let first = libc::SIGRTMIN();
        let last = libc::SIGRTMAX();
        let mut signals = receiver(&[first, SIGUSR1, last]);
        // Around the number of records that are read at a time, and far above.
        for times in [1, 15, 16, 17, 32, 500] {
            raise(first, times);
            raise(SIGUSR1, 2);
            raise(last, 3);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1), (first, times), (last, 3)]);
            assert!(!readable(&signals));
        }
        raise(first, 16);
        assert_eq!(drained(&mut signals), [(first, 16)]);
    }

    fn every_signal_that_can_be_watched_arrives() {
        let mut signals = receiver(&[]);
        let mut watched = watch_all(&mut signals);
        // Of those that stop the process and that which makes it go on, each takes the other back.
        let opposed = [libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        watched.retain(|signal| !opposed.contains(signal));
        for &signal in &watched {
            raise(signal, 1);
        }
        assert_eq!(drained(&mut signals), watched.into_iter().map(|signal| (signal, 1)).collect::<Vec<_>>());
        for signal in opposed {
            raise(signal, 1);
            assert_eq!(drained(&mut signals), [(signal, 1)]);
        }
    }

    fn the_mask_is_restored_exactly() {
        signal::block(&set(&[SIGUSR2, SIGHUP]));
        let before = mask();
        let mut signals = receiver(&[]);
        assert_held_off_besides(&before, &[]);
        signals.watch(SIGUSR1).unwrap();
        signals.watch(SIGUSR2).unwrap();
        signals.watch(SIGINT).unwrap();
        assert_held_off_besides(&before, &[SIGUSR1, SIGINT]);
        signals.unwatch(SIGUSR1).unwrap();
        assert_held_off_besides(&before, &[SIGINT]);
        // It was held off before, so it is held off afterwards.
        signals.unwatch(SIGUSR2).unwrap();
        assert_held_off_besides(&before, &[SIGINT]);
        // What the thread does meanwhile is its own affair.
        signal::block(&set(&[SIGURG]));
        signal::unblock(&set(&[SIGHUP]));
        drop(signals);
        let mut after = before;
        after.remove(&SIGHUP);
        assert_held_off_besides(&after, &[SIGURG]);
    }

    fn the_action_is_left_alone() {
        // SAFETY: the handler only adds to an atomic.
        let installed = unsafe { NewAction::handler(count, ActionFlags::NODEFER, &set(&[SIGUSR2])) };
        installed.install(SIGUSR1).unwrap();
        let (handled, default) = (action(SIGUSR1), action(SIGUSR2));
        let mut signals = receiver(&[SIGUSR1, SIGUSR2]);
        assert_eq!((action(SIGUSR1), action(SIGUSR2)), (handled.clone(), default.clone()));
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        raise(SIGUSR1, 1);
        signals.unwatch(SIGUSR1).unwrap();
        drop(signals);
        assert_eq!((action(SIGUSR1), action(SIGUSR2)), (handled, default));
        assert_eq!(CALLS.load(Ordering::Relaxed), 0);
        raise(SIGUSR1, 1);
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    }

    fn ignored_signals_come() {
        in_fork(|| {
            NewAction::ignore().install(SIGUSR1).unwrap();
            let mut signals = receiver(&[SIGUSR1, SIGURG, SIGCHLD]);
            send(SIGUSR1);
            // Ignored by default.
            send(SIGURG);
            in_fork(|| {});
            let mut came: Vec<_> = drained(&mut signals).into_iter().map(|(signal, _)| signal).collect();
            came.sort_unstable();
            let mut sent = [SIGUSR1, SIGURG, SIGCHLD];
            sent.sort_unstable();
            assert_eq!(came, sent);
        });
    }

    fn unwatch_drops_what_is_pending() {
        let real_time = libc::SIGRTMIN() + 1;
        in_fork(|| {
            let mut signals = receiver(&[SIGUSR1, SIGUSR2, real_time]);
            // Each would end the process, whether it was sent to the process or to the thread.
            send(SIGUSR1);
            raise(SIGUSR1, 1);
            raise(real_time, 5);
            send(SIGUSR2);
            signals.unwatch(SIGUSR1).unwrap();
            signals.unwatch(real_time).unwrap();
            assert_eq!(drained(&mut signals), [(SIGUSR2, 1)]);
            signals.watch(SIGUSR1).unwrap();
            signals.watch(real_time).unwrap();
            assert_eq!(drained(&mut signals), []);
            // The same for all of them.
            send(SIGUSR1);
            raise(real_time, 5);
            drop(signals);
        });
    }

    fn a_signal_held_off_before_leaves_nothing_either() {
        signal::block(&set(&[SIGUSR1]));
        raise(SIGUSR1, 1);
        let mut signals = receiver(&[SIGUSR1]);
        // What was pending counts.
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        raise(SIGUSR1, 1);
        signals.unwatch(SIGUSR1).unwrap();
        assert_eq!(signal::take_pending(&set(&[SIGUSR1])).unwrap(), None);
        // And takes nothing any more.
        raise(SIGUSR1, 1);
        assert!(!readable(&signals));
        assert_eq!(drained(&mut signals), []);
        assert_eq!(signal::take_pending(&set(&[SIGUSR1])).unwrap(), Some(SIGUSR1));
    }

    fn a_signal_may_be_watched_once_and_again() {
        let mut signals = receiver(&[]);
        let number = signals.as_fd().as_raw_fd();
        let before = mask();
        for _ in 0..100 {
            signals.watch(SIGUSR1).unwrap();
            raise(SIGUSR1, 2);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
            signals.unwatch(SIGUSR1).unwrap();
            assert_held_off_besides(&before, &[]);
        }
        assert_eq!(signals.as_fd().as_raw_fd(), number);
    }

    fn one_registration_serves_whatever_is_watched() {
        let mut signals = receiver(&[]);
        let set = epoll::create().unwrap();
        epoll::add(set.as_fd(), signals.as_fd().as_raw_fd(), Events::IN, 7).unwrap();
        let mut events = [Event::default(); 4];
        let mut reported = |within| epoll::wait(set.as_fd(), &mut events, Some(within)).unwrap();
        // Pending before it is watched.
        signal::block(&self::set(&[SIGUSR2]));
        raise(SIGUSR2, 1);
        assert_eq!(reported(Duration::ZERO), 0);
        signals.watch(SIGUSR2).unwrap();
        assert_eq!(reported(Duration::from_mins(1)), 1);
        drained(&mut signals);
        assert_eq!(reported(Duration::ZERO), 0);
        signals.watch(SIGUSR1).unwrap();
        signals.unwatch(SIGUSR2).unwrap();
        raise(SIGUSR1, 1);
        assert_eq!(reported(Duration::from_mins(1)), 1);
        signals.unwatch(SIGUSR1).unwrap();
        assert_eq!(reported(Duration::ZERO), 0);
    }

    fn a_panic_leaves_the_rest_counted() {
        let mut signals = receiver(&[SIGUSR1, SIGUSR2]);
        raise(SIGUSR1, 1);
        raise(SIGUSR2, 1);
        let outcome = catch_unwind(AssertUnwindSafe(|| signals.drain(|_, _| panic!("at the first"))));
        assert!(outcome.is_err());
        assert_eq!(drained(&mut signals), [(SIGUSR2, 1)]);
        assert_eq!(drained(&mut signals), []);
    }

    fn errors_change_nothing() {
        let before = mask();
        let mut signals = receiver(&[]);
        assert_refuses_what_cannot_be_watched(&mut signals);
        // The kernel's refusal.
        assert!(matches!(signals.watch(128), Err(SignalError::NoSuchSignal(128))));
        assert_held_off_besides(&before, &[]);
        assert_eq!(set_in_kernel(&signals), 0);
        assert!(matches!(signals.unwatch(SIGHUP), Err(SignalError::NotWatched(SIGHUP))));
        signals.watch(SIGHUP).unwrap();
        assert!(matches!(signals.watch(SIGHUP), Err(SignalError::AlreadyWatched(SIGHUP))));
        assert_held_off_besides(&before, &[SIGHUP]);
        signals.unwatch(SIGHUP).unwrap();
        assert!(matches!(signals.unwatch(SIGHUP), Err(SignalError::NotWatched(SIGHUP))));
    }

    fn a_receiver_cannot_be_made_without_descriptors() {
        in_fork(|| {
            process::set_descriptor_limit(0).unwrap();
            assert_eq!(
                Signals::with_method(Method::SignalFd).unwrap_err().raw_os_error(),
                Some(libc::EMFILE)
            );
        });
    }

    fn no_signal_is_shared_through_a_signalfd() {
        let not_shared = |result| assert!(matches!(result, Err(SignalError::NotShared(SIGUSR1))));
        let mut reading = receiver(&[SIGUSR1]);
        let mut other = receiver(&[SIGUSR2]);
        let mut handling = Signals::new().unwrap();
        let (before, action_before) = (mask(), action(SIGUSR1));
        not_shared(other.watch(SIGUSR1));
        not_shared(handling.watch(SIGUSR1));
        assert_held_off_besides(&before, &[]);
        assert_eq!(action(SIGUSR1), action_before);
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut other), []);
        assert_eq!(drained(&mut handling), []);
        assert_eq!(drained(&mut reading), [(SIGUSR1, 1)]);
        // Without a fork it keeps what it has.
        reading.reinit().unwrap();
        not_shared(other.watch(SIGUSR1));

        reading.unwatch(SIGUSR1).unwrap();
        handling.watch(SIGUSR1).unwrap();
        not_shared(reading.watch(SIGUSR1));
        raise(SIGUSR1, 3);
        assert_eq!(drained(&mut handling), [(SIGUSR1, 3)]);
        drop(handling);
        reading.watch(SIGUSR1).unwrap();
        drop(reading);
        other.watch(SIGUSR1).unwrap();
        raise(SIGUSR1, 3);
        assert_eq!(drained(&mut other), [(SIGUSR1, 1)]);
    }

    fn another_thread_is_refused_and_may_drain() {
        in_fork(|| {
            let before = mask();
            let mut signals = receiver(&[SIGUSR1]);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // Inherited.
                    assert_held_off_besides(&before, &[SIGUSR1]);
                    assert!(matches!(signals.watch(SIGUSR2), Err(SignalError::OtherThread(SIGUSR2))));
                    assert!(matches!(signals.unwatch(SIGUSR1), Err(SignalError::OtherThread(SIGUSR1))));
                    assert_eq!(signals.reinit().unwrap_err().kind(), ErrorKind::PermissionDenied);
                    assert_held_off_besides(&before, &[SIGUSR1]);
                    // What is sent to the process can be read by any thread.
                    send(SIGUSR1);
                    assert!(readable(&signals));
                    assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
                });
            });
            send(SIGUSR1);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
            signals.unwatch(SIGUSR1).unwrap();
            // Nothing is watched, so it can change hands.
            thread::scope(|scope| {
                scope.spawn(|| {
                    signals.watch(SIGUSR2).unwrap();
                    assert_held_off_besides(&before, &[SIGUSR2]);
                    raise(SIGUSR2, 1);
                    assert_eq!(drained(&mut signals), [(SIGUSR2, 1)]);
                    signals.unwatch(SIGUSR2).unwrap();
                    assert_held_off_besides(&before, &[]);
                });
            });
            assert_held_off_besides(&before, &[]);
        });
    }

    fn a_thread_that_does_not_hold_it_off_takes_the_signal() {
        in_fork(|| {
            // The C library holds all signals off while it starts a thread.
            let started = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    started.wait();
                    let mut signals = receiver(&[SIGURG]);
                    // Ignored in the main thread, which was there before, it is lost.
                    send(SIGURG);
                    assert_eq!(drained(&mut signals), []);
                    raise(SIGURG, 1);
                    assert_eq!(drained(&mut signals), [(SIGURG, 1)]);
                });
                started.wait();
            });
        });
    }

    fn dropped_in_another_thread_it_leaves_the_masks() {
        let before = mask();
        let signals = receiver(&[SIGUSR1]);
        raise(SIGUSR1, 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let inherited = mask();
                drop(signals);
                assert_eq!(mask(), inherited);
            });
        });
        assert_held_off_besides(&before, &[SIGUSR1]);
        assert_eq!(signal::take_pending(&set(&[SIGUSR1])).unwrap(), Some(SIGUSR1));
        // It can be watched anew, and is held off as it was.
        let mut next = receiver(&[SIGUSR1]);
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut next), [(SIGUSR1, 1)]);
        drop(next);
        assert_held_off_besides(&before, &[SIGUSR1]);
    }

    fn queued_signals_of_other_threads_are_all_counted() {
        const SENT: u32 = 2_000;
        let real_time = libc::SIGRTMIN() + 1;
        in_fork(|| {
            let mut signals = receiver(&[real_time]);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..SENT {
                        send(real_time);
                    }
                });
                let mut came = 0;
                while came < SENT {
                    assert!(readable_within(&signals, Duration::from_mins(1)));
                    came += drained(&mut signals).iter().map(|&(_, times)| times).sum::<u32>();
                }
                assert_eq!(came, SENT);
            });
        });
    }

    fn a_child_and_its_parent_do_not_disturb_each_other() {
        let before = mask();
        let mut signals = receiver(&[SIGUSR1]);
        let number = signals.as_fd().as_raw_fd();
        let in_kernel = set_in_kernel(&signals);
        raise(SIGUSR1, 1);
        in_fork(|| {
            // Not in service: what comes is kept, and the parent's set is not touched.
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut signals), []);
            signals.watch(SIGUSR2).unwrap();
            signals.watch(SIGHUP).unwrap();
            signals.unwatch(SIGHUP).unwrap();
            assert_eq!(set_in_kernel(&signals), in_kernel);
            signals.reinit().unwrap();
            assert_eq!(signals.as_fd().as_raw_fd(), number);
            assert_held_off_besides(&before, &[SIGUSR1, SIGUSR2]);
            assert!(readable(&signals));
            raise(SIGUSR2, 1);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1), (SIGUSR2, 1)]);
            assert!(!readable(&signals));
            signals.unwatch(SIGUSR1).unwrap();
            // And the child's child.
            in_fork(|| {
                signals.reinit().unwrap();
                raise(SIGUSR2, 1);
                assert_eq!(drained(&mut signals), [(SIGUSR2, 1)]);
            });
            signals.unwatch(SIGUSR2).unwrap();
            assert_held_off_besides(&before, &[]);
        });
        assert_eq!(set_in_kernel(&signals), in_kernel);
        assert_held_off_besides(&before, &[SIGUSR1]);
        assert!(readable(&signals));
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        assert!(!readable(&signals));
    }

    fn a_child_may_unwatch_or_drop_what_it_inherited() {
        let before = mask();
        let mut signals = Some(receiver(&[SIGUSR1, SIGUSR2]));
        in_fork(|| {
            raise(SIGUSR1, 1);
            signals.as_mut().unwrap().unwatch(SIGUSR1).unwrap();
            assert_held_off_besides(&before, &[SIGUSR2]);
            raise(SIGUSR2, 1);
            signals = None;
            assert_held_off_besides(&before, &[]);
            // Neither is claimed here any more.
            Signals::new().unwrap().watch(SIGUSR1).unwrap();
            receiver(&[SIGUSR2]);
        });
        let signals = signals.as_mut().unwrap();
        raise(SIGUSR1, 1);
        raise(SIGUSR2, 1);
        assert_eq!(drained(signals), [(SIGUSR1, 1), (SIGUSR2, 1)]);
    }

    fn a_child_forked_by_another_thread_takes_over() {
        let before = mask();
        let mut signals = receiver(&[SIGUSR1, SIGINT]);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The other stays as it was inherited.
                signal::unblock(&set(&[SIGUSR1]));
                in_fork(|| {
                    signals.watch(SIGUSR2).unwrap();
                    assert_held_off_besides(&before, &[SIGINT]);
                    signals.reinit().unwrap();
                    assert_held_off_besides(&before, &[SIGINT, SIGUSR1, SIGUSR2]);
                    raise(SIGUSR1, 1);
                    raise(SIGUSR2, 1);
                    assert_eq!(drained(&mut signals), [(SIGUSR1, 1), (SIGUSR2, 1)]);
                    signals.unwatch(SIGUSR1).unwrap();
                    drop(signals);
                    assert_held_off_besides(&before, &[SIGINT]);
                });
            });
        });
        assert_held_off_besides(&before, &[SIGUSR1, SIGINT]);
    }

    fn reinit_does_not_take_a_signal_from_another() {
        let mut signals = receiver(&[SIGUSR1]);
        in_fork(|| {
            let mut own = receiver(&[SIGUSR1]);
            assert_eq!(signals.reinit().unwrap_err().kind(), ErrorKind::ResourceBusy);
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut signals), []);
            assert_eq!(drained(&mut own), [(SIGUSR1, 1)]);
            own.unwatch(SIGUSR1).unwrap();
            signals.reinit().unwrap();
            raise(SIGUSR1, 1);
            assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        });
        let mut handling = Signals::new().unwrap();
        handling.watch(SIGUSR2).unwrap();
        in_fork(|| {
            let mut own = receiver(&[SIGUSR2]);
            assert_eq!(handling.reinit().unwrap_err().kind(), ErrorKind::ResourceBusy);
            raise(SIGUSR2, 1);
            assert_eq!(drained(&mut own), [(SIGUSR2, 1)]);
            drop(own);
            handling.reinit().unwrap();
            raise(SIGUSR2, 2);
            assert_eq!(drained(&mut handling), [(SIGUSR2, 2)]);
        });
    }

    fn reinit_without_a_fork_keeps_what_is_pending() {
        let before = mask();
        let mut signals = receiver(&[SIGUSR1]);
        raise(SIGUSR1, 1);
        signals.reinit().unwrap();
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        drop(signals);
        assert_held_off_besides(&before, &[]);
    }
}
