//! Signals through a signalfd: what is different from a handler.

use std::process::{self, Command};
use std::thread;

use ev_core::{Causes, Error, Outcome, RunMode, Signal, SignalMethod};
use ev_sys::signal::{self, Action, Disposition, raise};
use libc::{SIGUSR1, SIGUSR2};

use super::fork::{THREADS, fork, join};
use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{Log, handle};

scenarios!("signalfd":
    deliveries_before_a_turn_are_one_call,
    a_signal_ends_the_wait,
    two_signals_through_one_descriptor,
    once_and_added_again,
    the_mask_and_the_disposition_are_what_they_were,
    a_deletion_takes_back_what_is_pending,
    two_loops_cannot_share_a_signal,
    another_thread_may_not_delete_it,
    a_child_gets_its_own,
    the_method_is_told,
);

fn open(cell: &Cell) -> Result<Loop, Skip> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return Err(Skip("there is no signalfd"));
    }
    Ok(cell.open_with(&cell.config().signal_method(SignalMethod::SignalFd)))
}

fn is_held_off(signal: i32) -> bool {
    signal::mask().contains(signal)
}

/// A signal is pending until the loop comes to it, so several deliveries are one call; later ones are others.
fn deliveries_before_a_turn_are_one_call(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    lp.events().insert(Signal::new(SIGUSR1), log.noting(()));
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [()]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), []);
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [()]);
    Ok(())
}

/// A loop that sleeps wakes for it, though no handler runs.
fn a_signal_ends_the_wait(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push(fired.causes());
        cx.stop();
    });
    // Of the process's own threads, one started afterwards holds the signal off as well.
    let sender = thread::spawn(|| {
        let kill = format!("kill -USR1 {}", process::id());
        Command::new("sh").args(["-c", &kill]).status().expect("a shell")
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    assert!(sender.join().unwrap().success());
    assert_eq!(log.take(), [Causes::SIGNAL]);
    Ok(())
}

/// Signals are told apart, and one can go while the other stays.
fn two_signals_through_one_descriptor(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    let first = lp.events().insert(Signal::new(SIGUSR1), log.noting(1));
    lp.events().insert(Signal::new(SIGUSR2), log.noting(2));
    raise(SIGUSR2).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    let mut calls = log.take();
    calls.sort_unstable();
    assert_eq!(calls, [1, 2]);
    lp.events().remove(first).unwrap();
    raise(SIGUSR2).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [2]);
    Ok(())
}

/// A one-shot event lets go of the signal, and takes it again when it is added again.
fn once_and_added_again(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1).once(), log.noting(()));
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert!(!is_held_off(SIGUSR1));
    lp.events().add(key).unwrap();
    assert!(is_held_off(SIGUSR1));
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(), ()]);
    Ok(())
}

/// The disposition is never touched, and the thread's mask is restored exactly.
fn the_mask_and_the_disposition_are_what_they_were(cell: &Cell) -> Verdict {
    let disposition = |signal| Action::query(signal).expect("a signal").disposition();
    let mut lp = open(cell)?;
    let log = Log::new();
    let keys = [0, 1].map(|_| lp.events().insert(Signal::new(SIGUSR1), log.noting(())));
    assert!(is_held_off(SIGUSR1) && !is_held_off(SIGUSR2));
    assert_eq!(disposition(SIGUSR1), Disposition::Default);
    lp.events().remove(keys[0]).unwrap();
    assert!(is_held_off(SIGUSR1), "an event is left");
    lp.events().delete(keys[1]).unwrap();
    assert!(!is_held_off(SIGUSR1));
    lp.events().add(keys[1]).unwrap();
    assert!(is_held_off(SIGUSR1));
    drop(lp);
    assert!(!is_held_off(SIGUSR1));
    assert_eq!(disposition(SIGUSR1), Disposition::Default);
    Ok(())
}

/// What is pending when the last event is deleted neither calls it later nor ends the process.
fn a_deletion_takes_back_what_is_pending(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting(()));
    raise(SIGUSR1).unwrap();
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), []);
    Ok(())
}

/// A signalfd takes each delivery for itself: a second loop is refused the signal, with either method.
fn two_loops_cannot_share_a_signal(cell: &Cell) -> Verdict {
    let (mut lp, mut second) = (open(cell)?, open(cell)?);
    let mut third = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting(1));
    for other in [&mut second, &mut third] {
        let refused = other.events().try_insert(Signal::new(SIGUSR1), log.noting(2));
        assert!(matches!(refused, Err(Error::Signal(_))), "{refused:?}");
        assert_eq!(other.events().len(), 0);
    }
    lp.events().remove(key).unwrap();
    second.events().insert(Signal::new(SIGUSR1), log.noting(2));
    raise(SIGUSR1).unwrap();
    assert_eq!(second.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [2]);
    Ok(())
}

/// Masks are the threads' own: a deletion in another thread is answered with an error. The event is deleted all the same,
/// the signal stays held off, and the event can be added again.
fn another_thread_may_not_delete_it(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let events = handle(&lp)?;
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting(()));
    let deleted = thread::spawn(move || events.delete(key)).join().unwrap();
    assert!(matches!(deleted, Err(Error::Signal(_))), "{deleted:?}");
    assert!(!lp.events().is_pending(key).unwrap());
    assert!(is_held_off(SIGUSR1));
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.take(), []);
    lp.events().add(key).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [()]);
    lp.events().remove(key).unwrap();
    assert!(!is_held_off(SIGUSR1));
    Ok(())
}

/// After `reinit` a child gets its own signals, and none of its parent's.
fn a_child_gets_its_own(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(THREADS)?;
    let mut lp = open(cell)?;
    let log = Log::new();
    lp.events().insert(Signal::new(SIGUSR1), log.noting(()));
    raise(SIGUSR1).unwrap();
    let child = fork(|| {
        lp.reinit().unwrap();
        lp.pass();
        assert_eq!(log.take(), [], "what is pending is not inherited");
        raise(SIGUSR1).unwrap();
        lp.pass();
        assert_eq!(log.take(), [()]);
    });
    join(child);
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [()]);
    Ok(())
}

/// A loop tells how it catches signals.
fn the_method_is_told(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    assert_eq!(lp.events().signal_method(), SignalMethod::SignalFd);
    assert_eq!(cell.open().events().signal_method(), SignalMethod::Handler);
    Ok(())
}
