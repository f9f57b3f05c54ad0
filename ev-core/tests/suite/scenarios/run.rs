//! How long a run lasts, why it ends, and what a stop or a restart leaves behind.

use std::io;
use std::time::Duration;

use ev_core::{Causes, Interest, Outcome, RawIo, RunMode, Stop, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate};

scenarios!("run":
    an_empty_loop_ends,
    an_empty_loop_that_runs_forever_passes,
    a_pass_with_nothing_ready,
    a_pass_calls_what_is_due,
    non_blocking_repeats_until_nothing_is_active,
    non_blocking_with_a_last_event_ends_empty,
    once_waits_for_the_first_activity,
    once_that_uses_up_the_last_event_has_passed,
    an_event_that_cannot_fire_keeps_the_loop,
    an_event_that_is_not_added_does_not_keep_the_loop,
    a_loop_runs_again,
    stop_leaves_the_rest_active,
    stop_in_the_last_callback_is_a_stop,
    stop_before_a_run_is_honoured_once,
    stop_after_turn_calls_the_rest_of_the_priority,
    stop_after_turn_before_a_run_ends_its_first_turn,
    stop_after_turn_before_a_run_does_not_wait,
    stop_outranks_stop_after_turn,
    two_stops_end_one_run,
    a_stop_can_be_asked_about_until_the_run_ends,
    restart_asks_the_kernel_before_the_rest,
    restart_outside_a_run_has_no_effect,
    stop_outranks_restart,
    what_a_callback_inserts_runs_in_the_same_run,
    a_failed_wait_ends_the_run,
);

/// A loop without events ends at once, in every mode but `FOREVER`.
fn an_empty_loop_ends(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Empty);
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Empty);
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// `FOREVER` makes emptiness no reason to end; without waiting, a pass that finds nothing is over.
fn an_empty_loop_that_runs_forever_passes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let forever = RunMode::FOREVER | RunMode::NON_BLOCKING;
    assert_eq!(lp.run_with(forever), Outcome::Passed);
    assert_eq!(lp.run_with(forever | RunMode::ONCE), Outcome::Passed);
    Ok(())
}

/// A pass over events of which none is ready calls nothing and has passed, in both modes that do not wait.
fn a_pass_with_nothing_ready(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("called"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// One pass calls what is due, once, and leaves the rest pending.
fn a_pass_calls_what_is_due(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let due = lp.events().insert(Timer::after(Duration::ZERO), log.noting("due"));
    let later = lp.events().insert(Timer::after(HOUR), log.noting("later"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["due"]);
    assert!(!lp.events().is_pending(due).unwrap());
    assert!(lp.events().is_pending(later).unwrap());
    Ok(())
}

/// `NON_BLOCKING` alone is not one pass: it goes on until a pass finds nothing active.
fn non_blocking_repeats_until_nothing_is_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("timer"));
    let mut left = 3;
    let seen = log.clone();
    let user = lp.events().insert(User::new(), move |cx, (), fired| {
        seen.push("user");
        left -= 1;
        if left > 0 {
            cx.activate_later(fired.key(), Causes::empty()).unwrap();
        }
    });
    lp.events().activate(user, Causes::empty()).unwrap();
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    assert_eq!(log.take(), ["user"; 3]);
    Ok(())
}

/// When `NON_BLOCKING` has called the last one-shot event, its next pass finds the loop empty.
fn non_blocking_with_a_last_event_ends_empty(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("due"));
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Empty);
    assert_eq!(log.take(), ["due"]);
    Ok(())
}

/// `ONCE` waits until something is active, calls that, and leaves what is due later.
fn once_waits_for_the_first_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    lp.events()
        .insert(Timer::after(Duration::from_millis(2)), log.noting("near"));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["near"]);
    Ok(())
}

/// `ONCE` ends with its pass, also when nothing is left to run for.
fn once_that_uses_up_the_last_event_has_passed(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("due"));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Empty);
    assert_eq!(log.take(), ["due"]);
    Ok(())
}

/// An event on a negative descriptor is accepted, never ready, and keeps the loop until it is deleted.
fn an_event_that_cannot_fire_keeps_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(RawIo::new(-1, Interest::READ), log.noting("never"));
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.pass(), Outcome::Passed);
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// Events that exist and wait for nothing do not keep the loop, and are still there afterwards.
fn an_event_that_is_not_added_does_not_keep_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let user = lp.events().insert(User::new(), log.noting("user"));
    let timer = lp.events().insert(Timer::after(HOUR).disarmed(), log.noting("timer"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(lp.events().len(), 2);
    assert!(!lp.events().is_pending(user).unwrap());
    assert!(!lp.events().is_pending(timer).unwrap());
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A loop that ended runs what is added afterwards.
fn a_loop_runs_again(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    for _ in 0..3 {
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), ["timer"]);
        lp.events().add(key).unwrap();
    }
    Ok(())
}

/// A stop takes effect after the callback that runs; what is active stays so, in order, for the next run.
fn stop_leaves_the_rest_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.stop();
        seen.push("first");
    });
    let second = lp.events().insert(User::new(), log.noting("second"));
    let third = lp.events().insert(User::new(), log.noting("third"));
    activate(&mut lp, &[first, second, third]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["first"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["second", "third"]);
    Ok(())
}

/// A loop that was stopped by its last event was stopped, though it is empty as well.
fn stop_in_the_last_callback_is_a_stop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    lp.events().insert(Timer::after(Duration::ZERO), |cx, (), _| cx.stop());
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// A stop that comes while the loop does not run ends the next run before it calls anything, and only that one.
fn stop_before_a_run_is_honoured_once(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("due"));
    lp.events().stop();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["due"]);
    Ok(())
}

/// A stop after the turn still calls what is active of the same priority, and nothing less urgent.
fn stop_after_turn_calls_the_rest_of_the_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let stopper = lp.events().insert(User::new().priority(0), move |cx, (), _| {
        cx.stop_after_turn();
        seen.push("stopper");
    });
    let same = lp.events().insert(User::new().priority(0), log.noting("same"));
    let less = lp.events().insert(User::new().priority(1), log.noting("less urgent"));
    activate(&mut lp, &[less, stopper, same]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["stopper", "same"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["less urgent"]);
    Ok(())
}

/// A stop after the turn that is asked for outside a run lets the next run have one turn: its most urgent priority.
fn stop_after_turn_before_a_run_ends_its_first_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let urgent = lp.events().insert(User::new().priority(0), log.noting("urgent"));
    let less = lp.events().insert(User::new().priority(1), log.noting("less urgent"));
    activate(&mut lp, &[less, urgent]);
    lp.events().stop_after_turn();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["urgent"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["less urgent"]);
    Ok(())
}

/// That one turn does not wait for events, and an empty loop that was asked to stop has stopped.
fn stop_after_turn_before_a_run_does_not_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().stop_after_turn();
    assert_eq!(lp.run(), Outcome::Stopped);
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    lp.events().stop_after_turn();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// Of both stops the sooner one counts, whichever came first.
fn stop_outranks_stop_after_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let stop_last = lp.events().insert(User::new(), |cx, (), _| {
        cx.stop_after_turn();
        cx.stop();
    });
    let stop_first = lp.events().insert(User::new(), |cx, (), _| {
        cx.stop();
        cx.stop_after_turn();
    });
    let other = lp.events().insert(User::new(), log.noting("other"));
    for stopper in [stop_last, stop_first] {
        activate(&mut lp, &[stopper, other]);
        assert_eq!(lp.run(), Outcome::Stopped);
        assert_eq!(log.len(), 0);
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), ["other"]);
    }
    Ok(())
}

/// Stops do not pile up: two in one run end that run and no later one.
fn two_stops_end_one_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for stopper in ["one", "two"] {
        let seen = log.clone();
        let key = lp.events().insert(User::new(), move |cx, (), _| {
            seen.push(stopper);
            cx.stop_after_turn();
        });
        lp.events().activate(key, Causes::empty()).unwrap();
    }
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["one", "two"]);
    assert_eq!(lp.pass(), Outcome::Passed);
    Ok(())
}

/// Whether and how soon the loop is going to stop is known from the request on, until the run has ended by it.
fn a_stop_can_be_asked_about_until_the_run_ends(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let user = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push(cx.stopping());
        cx.stop_after_turn();
        seen.push(cx.stopping());
        cx.stop();
        seen.push(cx.stopping());
    });
    lp.events().activate(user, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), [None, Some(Stop::AfterTurn), Some(Stop::Now)]);
    assert_eq!(lp.events().stopping(), None);
    lp.events().stop();
    assert_eq!(lp.events().stopping(), Some(Stop::Now));
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(lp.events().stopping(), None);
    Ok(())
}

/// After a restart the loop looks for what has become due before it calls the rest, which goes first of its priority.
fn restart_asks_the_kernel_before_the_rest(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let urgent = lp
        .events()
        .insert(Timer::after(HOUR).priority(0).disarmed(), log.noting("urgent timer"));
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("first");
        cx.add_after(urgent, Duration::ZERO).unwrap();
        cx.restart_turn();
    });
    let second = lp.events().insert(User::new(), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "urgent timer", "second"]);
    Ok(())
}

/// A restart that nothing runs for is forgotten: the first turn is whole.
fn restart_outside_a_run_has_no_effect(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let timer = lp
        .events()
        .insert(Timer::after(HOUR).priority(0).disarmed(), log.noting("urgent timer"));
    let seen = log.clone();
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("first");
        cx.add_after(timer, Duration::ZERO).unwrap();
    });
    let second = lp.events().insert(User::new(), log.noting("second"));
    activate(&mut lp, &[first, second]);
    lp.events().restart_turn();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second", "urgent timer"]);
    Ok(())
}

/// A callback that asks for both stops the loop.
fn stop_outranks_restart(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let both = lp.events().insert(User::new(), |cx, (), _| {
        cx.stop();
        cx.restart_turn();
    });
    let other = lp.events().insert(User::new(), log.noting("other"));
    activate(&mut lp, &[both, other]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A chain of events, each inserted by the callback of the one before, runs to its end before the loop is empty.
fn what_a_callback_inserts_runs_in_the_same_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Timer::after(Duration::ZERO), move |cx, (), fired| {
        seen.push(1);
        cx.remove(fired.key()).unwrap();
        let seen = seen.clone();
        cx.insert(Timer::after(Duration::ZERO), move |cx, (), fired| {
            seen.push(2);
            cx.remove(fired.key()).unwrap();
            let user = cx.insert(User::new(), seen.noting(3));
            cx.activate(user, Causes::empty()).unwrap();
        });
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [1, 2, 3]);
    assert_eq!(lp.events().len(), 1, "the user event");
    Ok(())
}

/// An error of the kernel's in the wait ends the run with it, also where the loop has a notifier. Nothing has changed, and
/// the next run works.
fn a_failed_wait_ends_the_run(cell: &Cell) -> Verdict {
    let (mut lp, script) = cell.open_scripted()?;
    let log = Log::new();
    let key = lp.events().insert(Timer::after(HOUR), log.noting("timer"));
    let assert_fails = |lp: &mut Loop, mode| {
        script.fail_wait(io::Error::from_raw_os_error(libc::ENOMEM));
        let error = lp.try_run_with(mode).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
        assert!(lp.events().is_pending(key).unwrap());
        assert_eq!(log.len(), 0);
    };
    for mode in [RunMode::UNTIL_EMPTY, RunMode::ONCE, RunMode::NON_BLOCKING] {
        assert_fails(&mut lp, mode);
    }
    let _remote = lp.remote();
    assert_fails(&mut lp, RunMode::UNTIL_EMPTY);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["timer"]);
    Ok(())
}
