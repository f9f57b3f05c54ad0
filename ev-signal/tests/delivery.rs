//! What is delivered, to whom, and how often.

mod rig;

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use ev_signal::{SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SignalError, Signals};
#[cfg(target_os = "linux")]
use ev_sys::signal::{self, SigSet};
#[cfg(target_os = "linux")]
use rig::watch_all;
use rig::{assert_refuses_what_cannot_be_watched, drained, raise, readable, readable_within, send};

rig::tests_in_own_processes! {
    fn deliveries_are_counted() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        signals.watch(SIGINT).unwrap();
        signals.watch(SIGUSR2).unwrap();
        assert!(!readable(&signals));
        raise(SIGUSR1, 3);
        raise(SIGINT, 1);
        assert!(readable(&signals));
        assert_eq!(drained(&mut signals), [(SIGINT, 1), (SIGUSR1, 3)]);
        assert!(!readable(&signals));
        assert_eq!(drained(&mut signals), []);
    }

    fn every_receiver_gets_every_delivery() {
        let mut receivers: Vec<_> = (0..5).map(|_| Signals::new().unwrap()).collect();
        for receiver in &mut receivers {
            receiver.watch(SIGUSR1).unwrap();
        }
        receivers[0].watch(SIGUSR2).unwrap();
        raise(SIGUSR1, 2);
        raise(SIGUSR2, 1);
        assert_eq!(drained(&mut receivers[0]), [(SIGUSR1, 2), (SIGUSR2, 1)]);
        for receiver in &mut receivers[1..] {
            assert!(readable(&*receiver));
            assert_eq!(drained(receiver), [(SIGUSR1, 2)]);
        }
        // Those that leave do not disturb the others.
        receivers.remove(2);
        receivers[0].unwatch(SIGUSR1).unwrap();
        raise(SIGUSR1, 1);
        assert!(!readable(&receivers[0]));
        for receiver in &mut receivers[1..] {
            assert_eq!(drained(receiver), [(SIGUSR1, 1)]);
        }
    }

    fn a_full_pipe_loses_nothing_and_errno_is_preserved() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        raise(SIGUSR1, 200_000);
        // The handler's write fails now, with another error than this one.
        // SAFETY: no descriptor has this number, so nothing is closed.
        assert_eq!(unsafe { libc::close(-1) }, -1);
        raise(SIGUSR1, 1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
        assert_eq!(drained(&mut signals), [(SIGUSR1, 200_001)]);
        assert!(!readable(&signals));
        raise(SIGUSR1, 1);
        assert!(readable(&signals));
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
    }

    fn what_was_not_drained_goes_with_the_watch() {
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        raise(SIGUSR1, 4);
        signals.unwatch(SIGUSR1).unwrap();
        assert_eq!(drained(&mut signals), []);
        signals.watch(SIGUSR1).unwrap();
        assert_eq!(drained(&mut signals), []);
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
        assert_eq!(drained(&mut keeper), [(SIGUSR1, 5)]);
    }

    fn a_used_receiver_leaves_nothing_to_the_next() {
        let mut keeper = Signals::new().unwrap();
        keeper.watch(SIGUSR1).unwrap();
        let mut first = Signals::new().unwrap();
        first.watch(SIGUSR1).unwrap();
        raise(SIGUSR1, 4);
        drop(first);
        let mut second = Signals::new().unwrap();
        raise(SIGUSR1, 4);
        assert!(!readable(&second));
        second.watch(SIGUSR1).unwrap();
        assert_eq!(drained(&mut second), []);
    }

    #[cfg(target_os = "linux")]
    fn the_kernel_queues_real_time_signals_only() {
        let real_time = libc::SIGRTMIN() + 1;
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        signals.watch(real_time).unwrap();
        let before = signal::block(&SigSet::full());
        raise(SIGUSR1, 3);
        raise(real_time, 3);
        assert_eq!(drained(&mut signals), []);
        signal::set_mask(&before);
        assert_eq!(drained(&mut signals), [(SIGUSR1, 1), (real_time, 3)]);
    }

    #[cfg(target_os = "linux")]
    fn every_signal_that_can_be_watched_arrives() {
        let mut signals = Signals::new().unwrap();
        let watched = watch_all(&mut signals);
        for &signal in &watched {
            raise(signal, 1);
        }
        assert_eq!(drained(&mut signals), watched.into_iter().map(|signal| (signal, 1)).collect::<Vec<_>>());
    }

    fn errors_change_nothing() {
        let mut signals = Signals::new().unwrap();
        assert_refuses_what_cannot_be_watched(&mut signals);
        assert!(matches!(signals.unwatch(SIGHUP), Err(SignalError::NotWatched(SIGHUP))));
        signals.watch(SIGHUP).unwrap();
        assert!(matches!(signals.watch(SIGHUP), Err(SignalError::AlreadyWatched(SIGHUP))));
        raise(SIGHUP, 1);
        assert_eq!(drained(&mut signals), [(SIGHUP, 1)]);
        signals.unwatch(SIGHUP).unwrap();
        assert!(matches!(signals.unwatch(SIGHUP), Err(SignalError::NotWatched(SIGHUP))));
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn a_signalfd_is_unsupported() {
        let error = Signals::with_method(ev_signal::Method::SignalFd).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }

    fn errors_become_io_errors() {
        let kind = |error: SignalError| io::Error::from(error).kind();
        assert_eq!(kind(SignalError::AlreadyWatched(1)), io::ErrorKind::AlreadyExists);
        assert_eq!(kind(SignalError::NotWatched(1)), io::ErrorKind::NotFound);
        assert_eq!(kind(SignalError::Uncatchable(9)), io::ErrorKind::InvalidInput);
        assert_eq!(kind(SignalError::NotShared(1)), io::ErrorKind::ResourceBusy);
        assert_eq!(kind(SignalError::OtherThread(1)), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(SignalError::Io(io::ErrorKind::OutOfMemory.into())), io::ErrorKind::OutOfMemory);
    }

    fn receivers_in_several_threads() {
        const THREADS: usize = 8;
        let ready = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut signals = Signals::new().unwrap();
                    signals.watch(SIGUSR1).unwrap();
                    signals.watch(SIGUSR2).unwrap();
                    ready.wait();
                    assert!(readable_within(&signals, Duration::from_mins(1)));
                    // The writer of the byte has counted; others may not have come to it yet.
                    let mut came = drained(&mut signals);
                    while came.len() < 2 {
                        assert!(readable_within(&signals, Duration::from_mins(1)));
                        came.extend(drained(&mut signals));
                    }
                    came.sort_unstable();
                    assert_eq!(came, [(SIGUSR1, 1), (SIGUSR2, 1)]);
                });
            }
            ready.wait();
            send(SIGUSR1);
            send(SIGUSR2);
        });
    }
}

#[test]
fn a_receiver_can_be_handed_to_another_thread() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Signals>();
}
