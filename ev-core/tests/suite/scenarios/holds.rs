//! Holds: what keeps a loop without events running.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ev_core::{Causes, Outcome, RunMode, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, until_main_sleeps};

scenarios!("holds":
    a_held_loop_is_not_empty,
    a_hold_dropped_before_the_run_is_none,
    a_hold_dropped_in_a_callback_ends_the_run,
    a_hold_taken_in_the_last_callback,
    a_hold_dropped_while_the_loop_sleeps_ends_the_run,
    a_held_loop_takes_what_is_posted,
    what_was_posted_before_the_last_hold_went_is_called,
    a_clone_holds_like_the_first,
    only_the_last_hold_wakes_the_loop,
    a_hold_does_not_keep_from_stopping,
    a_hold_is_no_activity,
    a_hold_may_outlive_the_loop,
    holds_are_counted,
);

/// While it is held an empty loop goes on, and what does not wait has passed.
fn a_held_loop_is_not_empty(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let hold = lp.events().keep_alive();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    drop(hold);
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// Only what exists holds.
fn a_hold_dropped_before_the_run_is_none(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let hold = lp.events().keep_alive();
    drop(hold.clone());
    drop(hold);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Empty);
    Ok(())
}

/// The last callback may let go: no wait follows.
fn a_hold_dropped_in_a_callback_ends_the_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (first, last) = (lp.events().keep_alive(), lp.events().keep_alive());
    lp.events().once(Timer::after(Duration::ZERO), move |cx, (), _| {
        drop(first);
        cx.once(Timer::after(Duration::from_millis(1)), move |_, (), _| drop(last));
    });
    assert_eq!(lp.run(), Outcome::Empty);
    let (remote, hold) = (lp.remote(), lp.events().keep_alive());
    remote.post(move |_| drop(hold)).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// A callback of a loop that would be empty after it may hold it.
fn a_hold_taken_in_the_last_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (give, hold) = mpsc::channel();
    lp.events().once(Timer::after(Duration::ZERO), move |cx, (), _| {
        give.send(cx.keep_alive()).unwrap();
    });
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    drop(hold);
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// The last hold that another thread drops ends the wait of a loop that sleeps; time and again.
fn a_hold_dropped_while_the_loop_sleeps_ends_the_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    for _ in 0..20 {
        let hold = lp.events().keep_alive();
        let worker = thread::spawn(move || {
            until_main_sleeps();
            drop(hold);
        });
        assert_eq!(lp.run(), Outcome::Empty);
        worker.join().unwrap();
    }
    Ok(())
}

/// The use of a hold: what a worker posts is called, though the loop has nothing else to wait for.
fn a_held_loop_takes_what_is_posted(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (remote, hold, seen) = (lp.remote(), lp.events().keep_alive(), log.clone());
    let worker = thread::spawn(move || {
        for n in 0..3 {
            until_main_sleeps();
            remote.post(seen.note(n)).unwrap();
        }
        drop(hold);
    });
    assert_eq!(lp.run(), Outcome::Empty);
    worker.join().unwrap();
    assert_eq!(log.take(), [0, 1, 2]);
    Ok(())
}

/// A worker that posts and lets go has its closure called in this run, however the loop looks at both meanwhile.
fn what_was_posted_before_the_last_hold_went_is_called(cell: &Cell) -> Verdict {
    const ROUNDS: usize = 5000;
    let mut lp = cell.open();
    let log = Log::new();
    let (work, jobs) = mpsc::channel();
    let (remote, seen) = (lp.remote(), log.clone());
    let worker = thread::spawn(move || {
        for (round, hold) in jobs.into_iter().enumerate() {
            // The loop may be anywhere: it has slept, or never, or is awake because of the first of two.
            for _ in 0..round % 3 {
                remote.post(|_| ()).unwrap();
            }
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            remote.post(seen.note(round)).unwrap();
            drop(hold);
        }
    });
    for round in 0..ROUNDS {
        work.send(lp.events().keep_alive()).unwrap();
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [round]);
    }
    drop(work);
    worker.join().unwrap();
    Ok(())
}

/// The loop is held until the last of all clones is gone, in whatever order they go.
fn a_clone_holds_like_the_first(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let first = lp.events().keep_alive();
    let second = first.clone();
    drop(first);
    let third = second.clone();
    assert_eq!(lp.pass(), Outcome::Passed);
    drop(third);
    assert_eq!(lp.pass(), Outcome::Passed);
    drop(second);
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// Letting go of others costs no wake-up.
fn only_the_last_hold_wakes_the_loop(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let hold = lp.events().keep_alive();
    let worker = thread::spawn(move || {
        until_main_sleeps();
        waits.take();
        for _ in 0..100 {
            drop(hold.clone());
        }
        // A loop that was woken does not sleep again before it has turned.
        until_main_sleeps();
        let waited = waits.take();
        drop(hold);
        waited
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(worker.join().unwrap(), 0);
    Ok(())
}

/// A held loop stops like any other, and is held in the next run as well.
fn a_hold_does_not_keep_from_stopping(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let _hold = lp.events().keep_alive();
    lp.events().stop();
    assert_eq!(lp.run(), Outcome::Stopped);
    lp.events().stop_after_turn();
    assert_eq!(lp.run(), Outcome::Stopped);
    let remote = lp.remote();
    let stopper = thread::spawn(move || {
        until_main_sleeps();
        remote.stop()
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    stopper.join().unwrap().unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    Ok(())
}

/// Taking and dropping holds while events are there changes nothing: `ONCE` waits for an event.
fn a_hold_is_no_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    lp.events()
        .insert(Timer::after(Duration::from_millis(2)), log.noting("near"));
    let hold = lp.events().keep_alive();
    let worker = thread::spawn(move || {
        until_main_sleeps();
        drop(hold);
    });
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    worker.join().unwrap();
    assert_eq!(log.take(), ["near"]);
    Ok(())
}

/// A hold that is left when the loop is dropped is dropped without effect.
fn a_hold_may_outlive_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let hold = lp.events().keep_alive();
    drop(lp);
    let clone = hold.clone();
    thread::spawn(move || drop(hold)).join().unwrap();
    drop(clone);
    Ok(())
}

/// Each clone counts; the maximum stays until it is reset to what there is. They are no events.
fn holds_are_counted(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let holds = |lp: &mut Loop| (lp.events().counts().holds, lp.events().maxima().holds);
    assert_eq!(holds(&mut lp), (0, 0));
    let first = lp.events().keep_alive();
    let second = first.clone();
    assert_eq!(holds(&mut lp), (2, 2));
    drop(first);
    assert_eq!(holds(&mut lp), (1, 2));
    lp.events().reset_maxima();
    assert_eq!(holds(&mut lp), (1, 1));
    let key = lp.events().insert(User::new(), |_, (), _| ());
    lp.events().activate(key, Causes::empty()).unwrap();
    let counts = lp.events().counts();
    assert_eq!((counts.events, counts.active, counts.registrations), (1, 1, 0));
    drop(second);
    assert_eq!(holds(&mut lp), (0, 1));
    Ok(())
}
