//! Limits of a turn: where it is cut, what becomes of the rest, and how long a priority is passed over.

use std::io::{Read, Write};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use ev_core::{Causes, EventKey, Interest, Io, Limits, Outcome, RunMode, Signal, Timer, User};
use ev_sys::signal::raise;
use libc::SIGUSR1;

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, pair, ready_pair};

scenarios!("limits":
    a_turn_ends_after_its_callbacks,
    without_limits_a_turn_is_a_whole_priority,
    what_is_left_goes_before_what_comes_later,
    an_event_cut_off_can_be_taken_back,
    internal_events_do_not_count,
    posted_closures_do_not_count,
    finalizers_count,
    deliveries_of_a_signal_count_as_one,
    urgent_priorities_are_not_limited,
    urgent_readiness_goes_before_the_rest,
    a_callback_that_takes_long_ends_the_turn,
    an_interval_that_has_not_passed_ends_nothing,
    an_interval_does_not_limit_urgent_priorities,
    the_interval_begins_anew_with_each_turn,
    of_two_limits_the_first_one_counts,
    once_drains_what_limits_have_cut,
    a_stop_after_the_turn_takes_a_limited_one,
    a_stop_goes_before_the_limit,
    a_restart_is_a_turn_of_its_own,
    without_patience_urgent_work_starves_the_rest,
    patience_is_a_number_of_turns,
    patience_counts_anew_once_served,
    patience_ends_with_the_wait,
    of_several_that_starve_the_longest_waiting_goes_first,
    of_equals_that_starve_the_most_urgent_goes_first,
    a_turn_of_a_less_urgent_priority_passes_over_as_well,
    all_priorities_take_turns_without_patience_to_wait,
    an_event_deleted_after_it_starved_costs_no_turn,
    patience_outlives_a_change_of_priorities,
    a_limited_turn_counts_as_one_that_passes_over,
    a_change_of_priorities_keeps_the_turns_limit,
    priorities_change_beside_an_internal_event,
);

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn callbacks(n: u32) -> Limits {
    Limits::new().callbacks(number(n))
}

fn patience(turns: u32) -> Limits {
    Limits::new().patience(number(turns))
}

fn open(cell: &Cell, priorities: u8, limits: Limits) -> Loop {
    let priorities = NonZeroU8::new(priorities).expect("not zero");
    cell.open_with(&cell.config().priorities(priorities).limits(limits))
}

/// Logs the beginning of each turn.
fn log_turns(lp: &mut Loop, log: &Log<&'static str>) {
    lp.events().on_prepare(log.noting_prepare("turn"));
}

/// Inserts an event of that priority that logs its name.
fn named(lp: &mut Loop, log: &Log<&'static str>, priority: u8, name: &'static str) -> EventKey {
    lp.events().insert(User::new().priority(priority), log.noting(name))
}

/// Inserts active events of that priority which log their names.
fn active(lp: &mut Loop, log: &Log<&'static str>, priority: u8, names: &[&'static str]) {
    for &name in names {
        let key = named(lp, log, priority, name);
        activate(lp, &[key]);
    }
}

/// Inserts an active event of that priority that logs its name and is active again in each next turn, for `turns` calls.
/// The last call ends the run if `and_stop`.
fn busy(lp: &mut Loop, log: &Log<&'static str>, priority: u8, name: &'static str, turns: u32) -> EventKey {
    let seen = log.clone();
    let mut left = turns;
    let key = lp
        .events()
        .insert(User::new().priority(priority), move |cx, (), fired| {
            seen.push(name);
            left = left.saturating_sub(1);
            if left > 0 {
                cx.activate_later(fired.key(), Causes::empty()).unwrap();
            }
        });
    activate(lp, &[key]);
    key
}

/// Keeps the loop's thread busy until the loop's clock has moved on by that much.
fn spin(cx: &mut Events<'_>, time: Duration) {
    let begin = cx.read_clock();
    while cx.read_clock().saturating_duration_since(begin) < time {
        std::hint::spin_loop();
    }
}

/// A turn calls as many as it may; the next ones call the rest, in the order of activation.
fn a_turn_ends_after_its_callbacks(cell: &Cell) -> Verdict {
    for (most, expected) in [
        (1, vec!["turn", "a", "turn", "b", "turn", "c", "turn", "d", "turn", "e"]),
        (2, vec!["turn", "a", "b", "turn", "c", "d", "turn", "e"]),
        (5, vec!["turn", "a", "b", "c", "d", "e"]),
    ] {
        let mut lp = open(cell, 1, callbacks(most));
        let log = Log::new();
        log_turns(&mut lp, &log);
        active(&mut lp, &log, 0, &["a", "b", "c", "d", "e"]);
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), expected, "{most} a turn");
    }
    Ok(())
}

/// By default nothing is limited: what was said of a turn holds.
fn without_limits_a_turn_is_a_whole_priority(cell: &Cell) -> Verdict {
    for limits in [Limits::new(), Limits::default(), Limits::new().from_priority(0)] {
        let mut lp = open(cell, 1, limits);
        let log = Log::new();
        log_turns(&mut lp, &log);
        active(&mut lp, &log, 0, &["event"; 100]);
        assert_eq!(lp.run(), Outcome::Empty);
        let calls = log.take();
        assert_eq!((calls[0], calls.len()), ("turn", 101));
        assert!(calls[1..].iter().all(|&entry| entry == "event"));
    }
    Ok(())
}

/// What a turn did not come to keeps its place before what becomes active later, found by the kernel or by hand.
fn what_is_left_goes_before_what_comes_later(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(1));
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Io::new(near, Interest::READ), move |cx, _, fired| {
        seen.push("socket");
        cx.remove(fired.key()).unwrap();
    });
    let later = named(&mut lp, &log, 0, "activated in a");
    let seen = log.clone();
    let a = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("a");
        cx.activate(later, Causes::empty()).unwrap();
        far.write_all(b"x").unwrap();
    });
    activate(&mut lp, &[a]);
    active(&mut lp, &log, 0, &["b", "c"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "b", "c", "activated in a", "socket"]);
    Ok(())
}

/// Between two turns an event that was cut off is as active as before: deleting it takes that back.
fn an_event_cut_off_can_be_taken_back(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(1));
    let log = Log::new();
    let b = named(&mut lp, &log, 0, "b");
    let a = named(&mut lp, &log, 0, "a");
    activate(&mut lp, &[a, b]);
    active(&mut lp, &log, 0, &["c"]);
    let seen = log.clone();
    lp.events().on_prepare(move |cx, timeout| {
        assert_eq!(timeout, Some(Duration::ZERO));
        if seen.len() == 1 {
            cx.delete(b).unwrap();
        }
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "c"]);
    Ok(())
}

/// The library's own events, by which signals come and posts wake the loop, take nothing of the limit.
fn internal_events_do_not_count(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(1));
    let log = Log::new();
    log_turns(&mut lp, &log);
    let seen = log.clone();
    lp.events()
        .insert(Signal::new(SIGUSR1).once(), move |_, (), _| seen.push("signal"));
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "signal"]);
    Ok(())
}

/// Posted closures are called before the events and take nothing of their limit.
fn posted_closures_do_not_count(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(1));
    let log = Log::new();
    log_turns(&mut lp, &log);
    active(&mut lp, &log, 0, &["a", "b"]);
    let remote = lp.remote();
    for _ in 0..3 {
        remote.post(log.note("posted")).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "posted", "posted", "posted", "a", "turn", "b"]);
    Ok(())
}

/// A finalizer and a deferred closure are calls like others.
fn finalizers_count(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(2));
    let log = Log::new();
    log_turns(&mut lp, &log);
    let ended = named(&mut lp, &log, 0, "never");
    lp.events().finalize(ended, log.note("finalizer")).unwrap();
    lp.events().defer(log.note("deferred"));
    active(&mut lp, &log, 0, &["a"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "finalizer", "deferred", "turn", "a"]);
    Ok(())
}

/// A signal that was delivered three times is called three times in a turn of two callbacks, and leaves room for one more.
fn deliveries_of_a_signal_count_as_one(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(2));
    let log = Log::new();
    log_turns(&mut lp, &log);
    let users = ["a", "b"].map(|name| named(&mut lp, &log, 0, name));
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        seen.push("signal");
        for user in users {
            cx.activate(user, Causes::empty()).unwrap();
        }
        if seen.len() == 4 {
            cx.remove(fired.key()).unwrap();
        }
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "signal", "signal", "signal", "a", "turn", "b"]);
    Ok(())
}

/// Priorities below `from_priority` are processed whole; those from it on are cut.
fn urgent_priorities_are_not_limited(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 3, callbacks(1).from_priority(1));
    let log = Log::new();
    log_turns(&mut lp, &log);
    active(&mut lp, &log, 2, &["low", "low"]);
    active(&mut lp, &log, 1, &["middle", "middle"]);
    active(&mut lp, &log, 0, &["urgent", "urgent", "urgent"]);
    assert_eq!(lp.run(), Outcome::Empty);
    let expected = [
        "turn", "urgent", "urgent", "urgent", "turn", "middle", "turn", "middle", "turn", "low", "turn", "low",
    ];
    assert_eq!(log.take(), expected);
    Ok(())
}

/// The use of a limit: a descriptor that becomes ready meanwhile is found, and goes before the rest if it is more urgent.
fn urgent_readiness_goes_before_the_rest(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 2, callbacks(2));
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ).priority(0), move |cx, socket, fired| {
            assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
            seen.push("socket");
            cx.remove(fired.key()).unwrap();
        });
    let seen = log.clone();
    let writer = lp.events().insert(User::new().priority(1), move |_, (), _| {
        seen.push("writer");
        far.write_all(b"x").unwrap();
    });
    activate(&mut lp, &[writer]);
    active(&mut lp, &log, 1, &["a", "b", "c"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["writer", "a", "socket", "b", "c"]);
    Ok(())
}

/// A callback during which the turn's time runs out is the last of the turn.
fn a_callback_that_takes_long_ends_the_turn(cell: &Cell) -> Verdict {
    const INTERVAL: Duration = Duration::from_millis(2);
    let mut lp = open(cell, 1, Limits::new().interval(INTERVAL));
    let log = Log::new();
    log_turns(&mut lp, &log);
    for name in ["a", "b"] {
        let seen = log.clone();
        let slow = lp.events().insert(User::new(), move |cx, (), _| {
            seen.push(name);
            spin(cx, INTERVAL);
        });
        activate(&mut lp, &[slow]);
    }
    active(&mut lp, &log, 0, &["c"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "a", "turn", "b", "turn", "c"]);
    Ok(())
}

/// While the time is not up the turn goes on, however many are called.
fn an_interval_that_has_not_passed_ends_nothing(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, Limits::new().interval(HOUR));
    let log = Log::new();
    log_turns(&mut lp, &log);
    active(&mut lp, &log, 0, &["a", "b", "c", "d"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "a", "b", "c", "d"]);
    Ok(())
}

/// An interval of zero passes at once: it cuts after each callback, but never a priority below `from_priority`.
fn an_interval_does_not_limit_urgent_priorities(cell: &Cell) -> Verdict {
    let limits = Limits::new().interval(Duration::ZERO).from_priority(1);
    let mut lp = open(cell, 2, limits);
    let log = Log::new();
    log_turns(&mut lp, &log);
    active(&mut lp, &log, 0, &["urgent", "urgent"]);
    active(&mut lp, &log, 1, &["low", "low"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "urgent", "urgent", "turn", "low", "turn", "low"]);
    Ok(())
}

/// The time that an earlier turn took, or that passed between turns, is not the next one's.
fn the_interval_begins_anew_with_each_turn(cell: &Cell) -> Verdict {
    const INTERVAL: Duration = Duration::from_millis(500);
    let mut lp = open(cell, 2, Limits::new().interval(INTERVAL));
    let log = Log::new();
    log_turns(&mut lp, &log);
    lp.events().on_check(|cx| spin(cx, INTERVAL));
    active(&mut lp, &log, 0, &["a"]);
    active(&mut lp, &log, 1, &["b", "c"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "a", "turn", "b", "c"]);
    Ok(())
}

/// With both limits set, the number cuts where the time is not up, and the time where the number is not reached.
fn of_two_limits_the_first_one_counts(cell: &Cell) -> Verdict {
    for limits in [callbacks(1).interval(HOUR), callbacks(9).interval(Duration::ZERO)] {
        let mut lp = open(cell, 1, limits);
        let log = Log::new();
        log_turns(&mut lp, &log);
        active(&mut lp, &log, 0, &["a", "b"]);
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), ["turn", "a", "turn", "b"]);
    }
    Ok(())
}

/// A pass of `ONCE` is over only when nothing is active, so limits make it several turns.
fn once_drains_what_limits_have_cut(cell: &Cell) -> Verdict {
    for mode in [RunMode::ONCE, RunMode::ONCE | RunMode::NON_BLOCKING] {
        let mut lp = open(cell, 2, callbacks(1).interval(Duration::ZERO));
        let log = Log::new();
        lp.events().insert(Timer::after(HOUR), log.noting("far"));
        active(&mut lp, &log, 1, &["low", "low"]);
        active(&mut lp, &log, 0, &["high", "high"]);
        assert_eq!(lp.run_with(mode), Outcome::Passed);
        assert_eq!(log.take(), ["high", "high", "low", "low"]);
    }
    Ok(())
}

/// A stop after the turn waits for a limited turn no longer than that lasts: the rest is for the next run.
fn a_stop_after_the_turn_takes_a_limited_one(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(2));
    let log = Log::new();
    let seen = log.clone();
    let stopper = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("stopper");
        cx.stop_after_turn();
    });
    activate(&mut lp, &[stopper]);
    active(&mut lp, &log, 0, &["a", "b", "c"]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["stopper", "a"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["b", "c"]);
    Ok(())
}

/// A stop takes effect after the callback that runs, though the turn might call more; and the next run's turn has its
/// whole limit.
fn a_stop_goes_before_the_limit(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(2));
    let log = Log::new();
    log_turns(&mut lp, &log);
    let seen = log.clone();
    let stopper = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("stopper");
        cx.stop();
    });
    activate(&mut lp, &[stopper]);
    active(&mut lp, &log, 0, &["a", "b", "c"]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["turn", "stopper"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "a", "b", "turn", "c"]);
    Ok(())
}

/// A restart ends its turn before the limit does, and the turn that follows has its whole limit.
fn a_restart_is_a_turn_of_its_own(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, callbacks(2));
    let log = Log::new();
    log_turns(&mut lp, &log);
    let seen = log.clone();
    let restarter = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push("restarter");
        cx.restart_turn();
    });
    activate(&mut lp, &[restarter]);
    active(&mut lp, &log, 0, &["a", "b", "c"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "restarter", "turn", "a", "b", "turn", "c"]);
    Ok(())
}

/// Without patience, urgent work that is there in every turn keeps the rest waiting for as long as it lasts.
fn without_patience_urgent_work_starves_the_rest(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 2, callbacks(1));
    let log = Log::new();
    active(&mut lp, &log, 1, &["low"]);
    busy(&mut lp, &log, 0, "urgent", 50);
    assert_eq!(lp.run(), Outcome::Empty);
    let mut expected = vec!["urgent"; 50];
    expected.push("low");
    assert_eq!(log.take(), expected);
    Ok(())
}

/// A priority that is passed over by as many turns as the patience says has the next one, not sooner and not later.
fn patience_is_a_number_of_turns(cell: &Cell) -> Verdict {
    for turns in [1, 3] {
        let mut lp = open(cell, 2, patience(turns));
        let log = Log::new();
        active(&mut lp, &log, 1, &["low", "low, too"]);
        busy(&mut lp, &log, 0, "urgent", 5);
        assert_eq!(lp.run(), Outcome::Empty);
        let mut expected = vec!["urgent"; 5];
        expected.splice(turns as usize..turns as usize, ["low", "low, too"]);
        assert_eq!(log.take(), expected, "a patience of {turns}");
    }
    Ok(())
}

/// A priority that has had its turn waits as long for the next one.
fn patience_counts_anew_once_served(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 2, patience(3));
    let log = Log::new();
    busy(&mut lp, &log, 1, "low", 3);
    busy(&mut lp, &log, 0, "U", 10);
    assert_eq!(lp.run(), Outcome::Empty);
    let expected = ["U", "U", "U", "low", "U", "U", "U", "low", "U", "U", "U", "low", "U"];
    assert_eq!(log.take(), expected);
    Ok(())
}

/// What was passed over and then taken back has not waited when it becomes active again; also when nothing else was
/// active in the turn without it.
fn patience_ends_with_the_wait(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 2, patience(3));
    let log = Log::new();
    let low = named(&mut lp, &log, 1, "low");
    for waited in [1, 2] {
        activate(&mut lp, &[low]);
        let urgent = busy(&mut lp, &log, 0, "U", 9);
        let seen = log.clone();
        let hook = lp.events().on_prepare(move |cx, _| {
            if seen.len() == waited {
                cx.delete(low).unwrap();
                cx.delete(urgent).unwrap();
            }
        });
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), vec!["U"; waited]);
        lp.events().remove_hook(hook).unwrap();
        lp.events().remove(urgent).unwrap();
        activate(&mut lp, &[low]);
        busy(&mut lp, &log, 0, "U", 4);
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), ["U", "U", "U", "low", "U"], "after {waited} turns");
    }
    Ok(())
}

/// Of two priorities that are due, that goes first which was passed over by more turns, though it is less urgent.
fn of_several_that_starve_the_longest_waiting_goes_first(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 4, patience(1));
    let log = Log::new();
    // The first turn passes over all three, the second takes the most urgent of them, and that is soon back.
    active(&mut lp, &log, 3, &["third"]);
    active(&mut lp, &log, 2, &["second"]);
    busy(&mut lp, &log, 1, "first", 2);
    busy(&mut lp, &log, 0, "U", 3);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["U", "first", "second", "third", "U", "first", "U"]);
    Ok(())
}

/// Of priorities that have waited equally long the most urgent is first.
fn of_equals_that_starve_the_most_urgent_goes_first(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 4, patience(2));
    let log = Log::new();
    active(&mut lp, &log, 3, &["third"]);
    active(&mut lp, &log, 1, &["first"]);
    active(&mut lp, &log, 2, &["second"]);
    busy(&mut lp, &log, 0, "U", 3);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["U", "U", "first", "second", "third", "U"]);
    Ok(())
}

/// A turn that was given to a less urgent priority because that had waited longer passes over the others like any other.
fn a_turn_of_a_less_urgent_priority_passes_over_as_well(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 3, patience(3));
    let log = Log::new();
    let middle = named(&mut lp, &log, 1, "middle");
    active(&mut lp, &log, 2, &["low"]);
    let seen = log.clone();
    lp.events().on_prepare(move |cx, _| {
        if seen.len() == 1 {
            cx.activate(middle, Causes::empty()).unwrap();
        }
    });
    busy(&mut lp, &log, 0, "U", 5);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["U", "U", "U", "low", "middle", "U", "U"]);
    Ok(())
}

/// With a patience of one, priorities that are all busy take turns.
fn all_priorities_take_turns_without_patience_to_wait(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 3, patience(1));
    let log = Log::new();
    busy(&mut lp, &log, 2, "c", 3);
    busy(&mut lp, &log, 1, "b", 3);
    busy(&mut lp, &log, 0, "a", 3);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
    Ok(())
}

/// An event that was due for want of patience, and is deleted before its turn, leaves that turn to the others.
fn an_event_deleted_after_it_starved_costs_no_turn(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 3, patience(2));
    let log = Log::new();
    let low = named(&mut lp, &log, 2, "low");
    activate(&mut lp, &[low]);
    active(&mut lp, &log, 1, &["middle"]);
    busy(&mut lp, &log, 0, "U", 3);
    let seen = log.clone();
    lp.events().on_prepare(move |cx, _| {
        let turns = seen.len();
        seen.push("turn");
        if turns == 6 {
            cx.delete(low).unwrap();
        }
    });
    assert_eq!(lp.run(), Outcome::Empty);
    let expected = ["turn", "U", "turn", "U", "turn", "middle", "turn", "U"];
    assert_eq!(log.take(), expected);
    // Where nothing else was active, the pass has found nothing.
    activate(&mut lp, &[low]);
    busy(&mut lp, &log, 0, "U", 2);
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    lp.events().on_check(move |cx| {
        let _ = cx.delete(low);
    });
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["turn", "U", "turn", "U"]);
    Ok(())
}

/// A loop whose number of priorities changes keeps its limits, for the priorities that it has then.
fn patience_outlives_a_change_of_priorities(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 1, patience(2));
    lp.events().set_priorities(3).unwrap();
    let log = Log::new();
    active(&mut lp, &log, 2, &["low"]);
    busy(&mut lp, &log, 0, "U", 4);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["U", "U", "low", "U", "U"]);
    Ok(())
}

/// A priority is passed over by each turn of a limited one, so that it has its turn although the other has work left.
fn a_limited_turn_counts_as_one_that_passes_over(cell: &Cell) -> Verdict {
    let mut lp = open(cell, 2, callbacks(1).patience(number(2)));
    let log = Log::new();
    active(&mut lp, &log, 0, &["a", "b", "c", "d", "e"]);
    active(&mut lp, &log, 1, &["x", "y"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "b", "x", "c", "d", "y", "e"]);
    Ok(())
}

/// A callback that changes the number of priorities does not lift the limits of the turn under way.
fn a_change_of_priorities_keeps_the_turns_limit(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with(&cell.config().limits(Limits::new().callbacks(NonZeroU32::MIN)));
    let log = Log::new();
    let keys = [1, 2].map(|name| lp.events().insert(User::new().priority(0), log.noting(name)));
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(0), move |cx, (), _| {
        cx.set_priorities(2).unwrap();
        for key in keys {
            cx.activate(key, Causes::empty()).unwrap();
        }
        cx.stop_after_turn();
        seen.push(0);
    });
    lp.events().activate(first, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), [0]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [1, 2]);
    Ok(())
}

/// An event of the loop's own that is active, here that of the receiver of signals, does not keep the number of priorities
/// from being changed, and is handled all the same.
fn priorities_change_beside_an_internal_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let signal = lp.events().insert(Signal::new(SIGUSR1).once(), log.noting("signal"));
    let (near, _far) = ready_pair();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ).once(), move |cx, _, _| {
            // Backends that report the receiver first have made the user's event active by now, which does keep it.
            let is_delivered = cx.describe(signal).unwrap().active.is_some();
            assert_eq!(cx.set_priorities(3).is_err(), is_delivered);
            seen.push("changed");
        });
    raise(SIGUSR1).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let mut called = log.take();
    called.sort_unstable();
    assert_eq!(called, ["changed", "signal"]);
    Ok(())
}
