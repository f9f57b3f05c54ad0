//! Signals: counted deliveries, who gets them, and what is restored afterwards.

use std::thread;
use std::time::Duration;

use ev_core::{Causes, Error, Outcome, RunMode, Signal, Timer, User};
use ev_sys::signal::{Action, Disposition, NewAction, raise};
use libc::{SIGUSR1, SIGUSR2};

use super::scenarios;
use crate::cell::Cell;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, watch};

scenarios!("signals":
    each_delivery_is_a_call,
    deliveries_during_the_wait,
    a_delivery_in_the_callback_is_for_a_later_turn,
    every_signal_has_its_own_count,
    events_on_one_signal_newest_first,
    loops_on_one_signal_all_get_it,
    once_is_one_call,
    deleting_in_the_callback_takes_back_the_rest,
    removing_in_the_callback_takes_back_the_rest,
    stopping_in_the_callback_drops_the_rest,
    deleting_before_the_run_takes_back_deliveries,
    another_event_takes_back_deliveries,
    activation_by_hand_is_one_call,
    activation_by_hand_joins_deliveries,
    a_signal_event_keeps_the_loop,
    a_signal_event_has_its_priority,
    signals_do_not_end_a_pass_by_themselves,
    a_deadline_leaves_a_signal_event_added,
    a_new_deadline_takes_back_no_deliveries,
    the_disposition_is_restored_with_the_last_event,
    the_disposition_is_restored_with_the_last_loop,
    signals_that_cannot_be_watched_are_refused,
    a_signal_and_a_post_leave_the_turn_to_what_is_active,
);

fn disposition(signal: i32) -> Disposition {
    Action::query(signal).expect("a signal").disposition()
}

/// Three deliveries before the run are three calls.
fn each_delivery_is_a_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Signal::new(SIGUSR1), move |_, (), fired| {
        seen.push((fired.key(), fired.causes()));
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [(key, Causes::SIGNAL); 3]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [(key, Causes::SIGNAL)]);
    Ok(())
}

/// A signal that any thread gets ends the wait of the loop.
fn deliveries_during_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push(fired.causes());
        if seen.len() == 2 {
            cx.stop();
        }
    });
    let sender = thread::spawn(|| {
        raise(SIGUSR1).unwrap();
        raise(SIGUSR1).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    sender.join().unwrap();
    assert_eq!(log.take(), [Causes::SIGNAL; 2]);
    Ok(())
}

/// A signal that comes in its own callback is one more call, after what is active.
fn a_delivery_in_the_callback_is_for_a_later_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let other = lp.events().insert(User::new(), log.noting("other"));
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push("signal");
        if seen.len() == 1 {
            raise(SIGUSR1).unwrap();
            cx.activate(other, Causes::empty()).unwrap();
        } else {
            cx.remove(fired.key()).unwrap();
        }
    });
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["signal", "other", "signal"]);
    Ok(())
}

/// Deliveries of different signals are counted apart.
fn every_signal_has_its_own_count(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Signal::new(SIGUSR1), log.noting("usr1"));
    lp.events().insert(Signal::new(SIGUSR2), log.noting("usr2"));
    for signal in [SIGUSR2, SIGUSR1, SIGUSR2] {
        raise(signal).unwrap();
    }
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    let mut calls = log.take();
    calls.sort_unstable();
    assert_eq!(calls, ["usr1", "usr2", "usr2"]);
    Ok(())
}

/// Every event on a signal is called for every delivery; what was added last is called first.
fn events_on_one_signal_newest_first(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for name in ["old", "middle", "new"] {
        lp.events().insert(Signal::new(SIGUSR1), log.noting(name));
    }
    raise(SIGUSR1).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["new", "new", "middle", "middle", "old", "old"]);
    Ok(())
}

/// Two loops that watch one signal both get all its deliveries, in whichever order they run.
fn loops_on_one_signal_all_get_it(cell: &Cell) -> Verdict {
    let mut loops = [cell.open(), cell.open()];
    let log = Log::new();
    for (lp, name) in loops.iter_mut().zip(["first", "second"]) {
        lp.events().insert(Signal::new(SIGUSR1), log.noting(name));
    }
    raise(SIGUSR1).unwrap();
    raise(SIGUSR1).unwrap();
    for lp in loops.iter_mut().rev() {
        assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    }
    assert_eq!(log.take(), ["second", "second", "first", "first"]);
    Ok(())
}

/// A one-shot signal event is deleted at its first delivery: further ones are not called, and it is not pending then.
fn once_is_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Signal::new(SIGUSR1).once(), move |cx, (), fired| {
        seen.push(cx.is_pending(fired.key()).unwrap());
    });
    raise(SIGUSR1).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [false]);
    lp.events().add(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed, "what came before is not delivered");
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [false]);
    Ok(())
}

/// An event that deletes itself at the first of several deliveries is not called for the others.
fn deleting_in_the_callback_takes_back_the_rest(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push("called");
        cx.delete(fired.key()).unwrap();
        cx.add(fired.key()).unwrap();
        cx.stop_after_turn();
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["called"]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0, "nor after it was added again");
    assert!(lp.events().is_pending(key).unwrap());
    Ok(())
}

/// An event that removes itself at the first of several deliveries is gone, and its slot's next event is not called.
fn removing_in_the_callback_takes_back_the_rest(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push("called");
        cx.remove(fired.key()).unwrap();
        let next = cx.insert(User::new(), seen.noting("the slot's next"));
        assert_eq!(next.index(), fired.key().index());
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// A stop between the calls for several deliveries drops those that are left.
fn stopping_in_the_callback_drops_the_rest(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), _| {
        seen.push("called");
        if seen.len() == 2 {
            cx.stop();
        }
    });
    for _ in 0..5 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["called"; 2]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// Deliveries to an event that is deleted before the loop runs are dropped, also if it is added again.
fn deleting_before_the_run_takes_back_deliveries(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting("called"));
    raise(SIGUSR1).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().add(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A signal event that another one deletes before its call is not called.
fn another_event_takes_back_deliveries(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let old = lp.events().insert(Signal::new(SIGUSR1), log.noting("old"));
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push("new");
        cx.delete(old).unwrap();
        cx.delete(fired.key()).unwrap();
    });
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["new"]);
    Ok(())
}

/// A signal event activated by hand is called once, whatever the causes.
fn activation_by_hand_is_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, Signal::new(SIGUSR1));
    for causes in [Causes::empty(), Causes::SIGNAL, Causes::READ] {
        lp.events().activate(key, causes).unwrap();
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), [causes]);
    }
    Ok(())
}

/// An activation by hand that meets deliveries adds its causes to the first of their calls.
fn activation_by_hand_joins_deliveries(cell: &Cell) -> Verdict {
    // The library learns of deliveries at the most urgent priority.
    let mut lp = cell.open_with_priorities(2);
    let (key, log) = watch(&mut lp, Signal::new(SIGUSR1).priority(1));
    lp.events().activate(key, Causes::WRITE).unwrap();
    raise(SIGUSR1).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [Causes::WRITE | Causes::SIGNAL, Causes::SIGNAL]);
    Ok(())
}

/// A loop with nothing but a signal event goes on; once that is deleted nothing is left, the pipe not counted.
fn a_signal_event_keeps_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting("called"));
    assert_eq!(lp.events().len(), 1);
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.pass(), Outcome::Passed);
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().remove(key).unwrap();
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// Deliveries are called at the priority of their event, in the turn that learns of them if it has nothing more urgent.
fn a_signal_event_has_its_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    lp.events()
        .insert(Signal::new(SIGUSR1).priority(1), log.noting("signal"));
    let [high, low] = [(0, "high"), (2, "low")]
        .map(|(priority, name)| lp.events().insert(User::new().priority(priority), log.noting(name)));
    raise(SIGUSR1).unwrap();
    activate(&mut lp, &[low, high]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["high", "signal", "low"]);
    Ok(())
}

/// What the library does for itself is no activity: `ONCE` goes on after a delivery that nobody is called for.
fn signals_do_not_end_a_pass_by_themselves(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Signal::new(SIGUSR1), log.noting("signal"));
    raise(SIGUSR1).unwrap();
    lp.events().delete(key).unwrap();
    lp.events()
        .insert(Timer::after(Duration::from_millis(3)), log.noting("timer"));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["timer"]);
    Ok(())
}

/// A signal event whose deadline passes is called for that and stays added.
fn a_deadline_leaves_a_signal_event_added(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, Signal::new(SIGUSR1));
    lp.events().add_after(key, Duration::ZERO).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    assert_eq!(lp.events().deadline(key).unwrap(), None, "no period");
    lp.events().add_after(key, HOUR).unwrap();
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::SIGNAL]);
    Ok(())
}

/// A deadline given between the calls for several deliveries takes back an expiry, and none of these calls.
fn a_new_deadline_takes_back_no_deliveries(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push(fired.causes());
        cx.activate(fired.key(), Causes::TIMEOUT).unwrap();
        cx.add_after(fired.key(), HOUR).unwrap();
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::SIGNAL; 3]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), []);
    assert!(lp.events().deadline(key).unwrap().is_some());
    Ok(())
}

/// The handler is installed with the first event on a signal, and the old action restored with the last one.
fn the_disposition_is_restored_with_the_last_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    NewAction::ignore().install(SIGUSR1).unwrap();
    let first = lp.events().insert(Signal::new(SIGUSR1), log.noting("first"));
    let second = lp.events().insert(Signal::new(SIGUSR1), log.noting("second"));
    assert!(matches!(disposition(SIGUSR1), Disposition::Handler(_)));
    lp.events().delete(first).unwrap();
    assert!(matches!(disposition(SIGUSR1), Disposition::Handler(_)));
    lp.events().remove(second).unwrap();
    assert_eq!(disposition(SIGUSR1), Disposition::Ignore);
    lp.events().add(first).unwrap();
    assert!(matches!(disposition(SIGUSR1), Disposition::Handler(_)));
    Ok(())
}

/// Dropping a loop restores what its signals did, unless another loop watches them.
fn the_disposition_is_restored_with_the_last_loop(cell: &Cell) -> Verdict {
    let (mut first, mut second) = (cell.open(), cell.open());
    let log = Log::new();
    first.events().insert(Signal::new(SIGUSR2), log.noting("first"));
    second.events().insert(Signal::new(SIGUSR2), log.noting("second"));
    drop(first);
    raise(SIGUSR2).unwrap();
    assert_eq!(second.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["second"]);
    drop(second);
    assert_eq!(disposition(SIGUSR2), Disposition::Default);
    Ok(())
}

/// Signals that do not exist or cannot be caught are refused, and the loop is as it was.
fn signals_that_cannot_be_watched_are_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 100_000] {
        let refused = lp.events().try_insert(Signal::new(signal), log.noting("called"));
        assert!(
            matches!(refused, Err(Error::Signal(_) | Error::Map(_))),
            "{signal}: {refused:?}"
        );
    }
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// What is active is called in a turn that also begins with a posted closure and the library's own signal event.
fn a_signal_and_a_post_leave_the_turn_to_what_is_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    lp.events().insert(Signal::new(SIGUSR1).priority(2), |_, (), _| {});
    let key = lp.events().insert(User::new(), log.noting("active"));
    lp.events().activate(key, Causes::empty()).unwrap();
    raise(SIGUSR1).unwrap();
    lp.remote().post(log.note("posted")).unwrap();
    lp.events().stop_after_turn();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["posted", "active"]);
    Ok(())
}
