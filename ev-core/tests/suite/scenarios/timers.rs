//! Deadlines: never early, in order, in phase; and what changes them.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use ev_core::{Causes, Clock, Error, EventKey, Interest, Io, Limits, Outcome, RawIo, RunMode, Time, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::Verdict;
use crate::support::{HOUR, Log, let_time_pass, local, pair, watch};

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);

scenarios!("timers":
    never_early,
    never_early_by_a_nanosecond,
    never_early_by_a_coarse_clock,
    never_early_when_added_in_a_callback,
    in_the_order_of_deadlines,
    equal_deadlines_in_the_order_of_arming,
    a_thousand_in_order,
    once_is_not_pending_in_its_callback,
    once_is_added_again_in_its_callback,
    once_starts_anew_when_added_while_pending,
    a_period_repeats,
    a_period_is_pending_in_its_callback,
    a_period_keeps_its_phase,
    missed_periods_are_not_made_up_for,
    a_period_activated_by_hand_counts_from_then,
    a_disarmed_period_activated_by_hand_counts_from_then,
    a_period_ends_when_deleted_in_its_callback,
    a_period_is_remembered_when_deleted,
    a_period_of_zero_is_once_a_turn,
    a_new_timeout_is_the_new_period,
    a_timeout_counts_from_the_time_given,
    a_set_timeout_does_not_touch_the_running_one,
    a_period_that_is_unset_ends,
    a_cleared_timeout_is_forgotten,
    a_new_deadline_replaces_the_old,
    a_new_deadline_takes_back_an_expiry,
    a_new_deadline_leaves_other_activations,
    adding_without_a_timeout_keeps_the_deadline,
    deleting_takes_back_an_expiry,
    a_deadline_pushed_back_ends_no_pass,
    a_deadline_brought_forward,
    a_deadline_that_never_comes,
    a_timer_added_in_a_callback_waits_for_the_next_turn,
    same_durations_fire_in_order,
    same_durations_are_limited,
    a_user_event_with_a_period,
    idle_timeout_is_pushed_back_by_activity,
    idle_timeout_repeats_while_idle,
    idle_timeout_of_zero_is_once_a_turn,
    idle_timeout_set_later_starts_with_the_next_activity,
    idle_timeout_cleared_while_due_comes_back_when_set,
    once_with_a_timeout_is_deleted_by_either,
    an_expired_event_added_again_hears_of_its_descriptor,
    readiness_and_timeout_in_one_call,
    a_one_off_deadline_leaves_the_registration,
    the_clock_outside_a_run_is_not_a_turns,
    the_first_timeout_set_in_a_turn,
    a_limit_in_time_makes_now_move_on,
);

fn deadline(lp: &mut Loop, key: EventKey) -> Time {
    lp.events().deadline(key).unwrap().expect("a deadline")
}

/// A point in time that has passed by that much.
fn past(lp: &mut Loop, by: Duration) -> Time {
    let now = lp.events().read_clock();
    Time::from_nanos(now.as_nanos() - by.as_nanos() as u64)
}

/// Waits until the loop's clock has come past `time`.
fn until(lp: &mut Loop, time: Time) {
    while lp.events().read_clock() <= time {
        std::hint::spin_loop();
    }
}

/// Inserts timers of these timeouts and asserts that each fires once and not before its deadline.
fn assert_not_early(lp: &mut Loop, timeouts: &[Duration]) {
    let log = Log::new();
    for &timeout in timeouts {
        let seen = log.clone();
        let before = lp.events().read_clock();
        let key = lp.events().insert(Timer::after(timeout), move |cx, (), fired| {
            seen.push((fired.key(), fired.causes(), cx.read_clock()));
        });
        let deadline = deadline(lp, key);
        assert!(deadline >= before + timeout, "the deadline counts from the insertion");
        assert_eq!(lp.run(), Outcome::Empty);
        let [(called, causes, at)] = log.take()[..] else {
            panic!("one call")
        };
        assert_eq!((called, causes), (key, Causes::TIMEOUT));
        assert!(
            at >= deadline,
            "{timeout:?}: called {:?} early",
            deadline.saturating_duration_since(at)
        );
    }
}

/// A timer fires at or after its deadline by the loop's clock, at every scale.
fn never_early(cell: &Cell) -> Verdict {
    let micros = [
        0, 1, 10, 50, 99, 100, 333, 500, 999, 1_000, 1_001, 1_500, 2_999, 7_777, 20_001,
    ];
    assert_not_early(&mut cell.open(), &micros.map(Duration::from_micros));
    assert_not_early(
        &mut cell.open(),
        &[1, 999, 123_456, 1_000_001].map(Duration::from_nanos),
    );
    Ok(())
}

/// Of deadlines a nanosecond apart a turn calls those up to its reading of the clock, that one included, and no further.
fn never_early_by_a_nanosecond(cell: &Cell) -> Verdict {
    const SPAN: u64 = 10_000;
    let mut lp = local(cell.open())?;
    // Until a turn's reading has come in the midst of them.
    loop {
        let log = Log::new();
        let first = lp.now() + 20 * MILLISECOND;
        for n in 0..SPAN {
            let (seen, due) = (log.clone(), first + Duration::from_nanos(n));
            lp.insert(Timer::at(due), move |cx, (), fired| {
                seen.push(cx.now().as_nanos().checked_sub(due.as_nanos()));
                cx.remove(fired.key()).unwrap();
            })
            .unwrap();
        }
        while lp.run_with(RunMode::ONCE | RunMode::NON_BLOCKING, &mut ()).unwrap() == Outcome::Passed {}
        let lateness = log.take();
        assert_eq!(lateness.len() as u64, SPAN);
        assert!(lateness.iter().all(Option::is_some), "called early");
        if lateness.contains(&Some(0)) {
            return Ok(());
        }
    }
}

/// The same by a clock that ticks in milliseconds.
fn never_early_by_a_coarse_clock(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with(&cell.config().clock(Clock::MonotonicCoarse));
    assert_not_early(&mut lp, &[0, 1, 500, 1_000, 5_500].map(Duration::from_micros));
    Ok(())
}

/// A timeout that is given in a callback counts from that moment, not from the beginning of the turn.
fn never_early_when_added_in_a_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Timer::after(Duration::ZERO), move |cx, (), _| {
        let began = cx.read_clock();
        while cx.read_clock() < began + 3 * MILLISECOND {}
        let asked = cx.read_clock();
        let seen = seen.clone();
        let key = cx.insert(Timer::after(2 * MILLISECOND), move |cx, (), _| {
            seen.push(cx.read_clock().saturating_duration_since(asked));
        });
        assert!(cx.deadline(key).unwrap().unwrap() >= asked + 2 * MILLISECOND);
    });
    assert_eq!(lp.run(), Outcome::Empty);
    let waited = log.take();
    assert!(waited.len() == 1 && waited[0] >= 2 * MILLISECOND, "{waited:?}");
    Ok(())
}

/// Timers are called by deadline, whatever the order in which they were inserted.
fn in_the_order_of_deadlines(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let now = lp.events().read_clock();
    for n in [4, 1, 3, 0, 2] {
        lp.events().insert(Timer::at(now + n * MILLISECOND), log.noting(n));
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [0, 1, 2, 3, 4]);
    Ok(())
}

/// Equal deadlines are called first in, first out; one that is given anew counts as the last.
fn equal_deadlines_in_the_order_of_arming(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let now = lp.events().read_clock();
    let keys: Vec<_> = (0..7)
        .map(|n| lp.events().insert(Timer::at(now), log.noting(n)))
        .collect();
    lp.events().add_at(keys[2], now).unwrap();
    lp.events().add_at(keys[0], now).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [1, 3, 4, 5, 6, 2, 0]);
    Ok(())
}

/// A thousand deadlines in disorder, some of them equal, come out in order, equal ones as they were armed.
fn a_thousand_in_order(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let start = past(&mut lp, MILLISECOND);
    let mut expected: Vec<_> = (0..1000_u64).map(|n| (n * 7919 % 331, n)).collect();
    for &(offset, n) in &expected {
        let at = start + Duration::from_micros(10 * offset);
        lp.events().insert(Timer::at(at), log.noting((offset, n)));
    }
    expected.sort_unstable();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), expected);
    Ok(())
}

/// A one-shot timer waits for nothing in its callback, and still exists afterwards.
fn once_is_not_pending_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Timer::after(Duration::ZERO), move |cx, (), fired| {
        seen.push((cx.is_pending(fired.key()).unwrap(), cx.deadline(fired.key()).unwrap()));
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(false, None)]);
    assert!(lp.events().contains(key));
    Ok(())
}

/// A one-shot timer that is added in its callback starts its timeout anew, and may be called in a later turn again.
fn once_is_added_again_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Timer::after(MILLISECOND), move |cx, (), fired| {
        seen.push(cx.read_clock());
        if seen.len() < 3 {
            cx.add(fired.key()).unwrap();
        }
    });
    assert_eq!(lp.run(), Outcome::Empty);
    let at = log.take();
    assert_eq!(at.len(), 3);
    assert!(at.windows(2).all(|pair| pair[1] >= pair[0] + MILLISECOND), "{at:?}");
    Ok(())
}

/// Adding a timer whose timeout is running starts it anew.
fn once_starts_anew_when_added_while_pending(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::after(HOUR), log.noting("called"));
    let first = deadline(&mut lp, key);
    until(&mut lp, Time::from_nanos(first.as_nanos() - HOUR.as_nanos() as u64));
    lp.events().add(key).unwrap();
    assert!(deadline(&mut lp, key) > first);
    Ok(())
}

/// A periodic timer is called until it is stopped, never before a period has passed.
fn a_period_repeats(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let start = lp.events().read_clock();
    lp.events().insert(Timer::every(MILLISECOND), move |cx, (), fired| {
        seen.push((fired.causes(), cx.read_clock()));
        if seen.len() == 4 {
            cx.stop();
        }
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    let calls = log.take();
    assert_eq!(calls.len(), 4);
    for (n, (causes, at)) in (1..).zip(calls) {
        assert_eq!(causes, Causes::TIMEOUT);
        assert!(at >= start + n * MILLISECOND, "call {n}");
    }
    Ok(())
}

/// The next deadline of a periodic timer is set before its callback is called, which may delete it.
fn a_period_is_pending_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Timer::every(HOUR), move |cx, (), fired| {
        seen.push((cx.is_pending(fired.key()).unwrap(), cx.deadline(fired.key()).unwrap()));
    });
    let scheduled = past(&mut lp, MILLISECOND);
    lp.events().add_at(key, scheduled).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [(true, Some(scheduled + HOUR))]);
    Ok(())
}

/// A periodic timer that is served late is due again one period after it was due, not after it was served.
fn a_period_keeps_its_phase(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MINUTE), log.noting("called"));
    let scheduled = past(&mut lp, MINUTE / 2);
    lp.events().add_at(key, scheduled).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["called"]);
    assert_eq!(deadline(&mut lp, key), scheduled + MINUTE);
    Ok(())
}

/// When whole periods were missed there is one call for all of them, and the next is a period from now.
fn missed_periods_are_not_made_up_for(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MINUTE), log.noting("called"));
    let scheduled = past(&mut lp, HOUR);
    lp.events().add_at(key, scheduled).unwrap();
    let before = lp.events().read_clock();
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    let after = lp.events().read_clock();
    assert_eq!(log.take(), ["called"]);
    let next = deadline(&mut lp, key);
    assert!(before + MINUTE <= next && next <= after + MINUTE);
    Ok(())
}

/// Activation by hand starts the period anew.
fn a_period_activated_by_hand_counts_from_then(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(HOUR), log.noting("called"));
    let near = lp.events().read_clock() + MINUTE;
    lp.events().add_at(key, near).unwrap();
    let before = lp.events().read_clock();
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    let after = lp.events().read_clock();
    assert_eq!(log.take(), ["called"]);
    let next = deadline(&mut lp, key);
    assert!(before + HOUR <= next && next <= after + HOUR);
    Ok(())
}

/// Activation by hand starts the period also where it was not running; the loop reads its clock for that.
fn a_disarmed_period_activated_by_hand_counts_from_then(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, Timer::every(HOUR).disarmed());
    let before = lp.events().read_clock();
    lp.events().activate(key, Causes::READ).unwrap();
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    let after = lp.events().read_clock();
    assert_eq!(log.take(), [Causes::READ], "and no timeout at once");
    let next = deadline(&mut lp, key);
    assert!(before + HOUR <= next && next <= after + HOUR);
    Ok(())
}

/// Deleting or removing a periodic timer in its callback is its end.
fn a_period_ends_when_deleted_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let deleted = lp.events().insert(Timer::every(MILLISECOND), move |cx, (), fired| {
        seen.push("deleted");
        cx.delete(fired.key()).unwrap();
    });
    let seen = log.clone();
    let removed = lp.events().insert(Timer::every(2 * MILLISECOND), move |cx, (), fired| {
        seen.push("removed");
        cx.remove(fired.key()).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["deleted", "removed"]);
    assert!(lp.events().contains(deleted) && !lp.events().contains(removed));
    Ok(())
}

/// A deleted timer remembers its timeout for when it is added again.
fn a_period_is_remembered_when_deleted(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(HOUR), log.noting("called"));
    lp.events().delete(key).unwrap();
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    assert_eq!(lp.run(), Outcome::Empty);
    let before = lp.events().read_clock();
    lp.events().add(key).unwrap();
    assert!(deadline(&mut lp, key) >= before + HOUR);
    Ok(())
}

/// A period of zero is one call a turn, and does not keep the turn from ending.
fn a_period_of_zero_is_once_a_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(Duration::ZERO), log.noting("called"));
    for _ in 0..3 {
        let due = deadline(&mut lp, key);
        until(&mut lp, due);
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), ["called"]);
    }
    lp.events().add_after(key, Duration::ZERO).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// Adding a periodic timer with a timeout makes that its period.
fn a_new_timeout_is_the_new_period(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MINUTE), log.noting("called"));
    lp.events().add_after(key, HOUR).unwrap();
    let scheduled = past(&mut lp, MILLISECOND);
    lp.events().add_at(key, scheduled).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(deadline(&mut lp, key), scheduled + HOUR);
    Ok(())
}

/// A timeout may count from an earlier reading of the clock, to the nanosecond, and is the new one from then on.
fn a_timeout_counts_from_the_time_given(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MINUTE), log.noting("called"));
    let from = past(&mut lp, MILLISECOND);
    lp.events().add_from(key, from, HOUR).unwrap();
    assert_eq!(deadline(&mut lp, key), from + HOUR);
    lp.events().add_from(key, from, Duration::from_nanos(1)).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["called"], "it was due already");
    let ahead = deadline(&mut lp, key) + HOUR;
    lp.events().add_from(key, ahead, MINUTE).unwrap();
    assert_eq!(deadline(&mut lp, key), ahead + MINUTE);
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    let due = deadline(&mut lp, key);
    assert!(due <= lp.events().read_clock() + MINUTE, "the last timeout, from now");
    Ok(())
}

/// Setting the timeout leaves the running deadline, and counts from the next one on.
fn a_set_timeout_does_not_touch_the_running_one(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MINUTE), log.noting("called"));
    let scheduled = past(&mut lp, MILLISECOND);
    lp.events().add_at(key, scheduled).unwrap();
    lp.events().set_timeout(key, Some(HOUR)).unwrap();
    assert_eq!(deadline(&mut lp, key), scheduled);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["called"]);
    assert_eq!(deadline(&mut lp, key), scheduled + HOUR);
    Ok(())
}

/// A period that is taken away ends with the deadline that is running.
fn a_period_that_is_unset_ends(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(MILLISECOND), log.noting("called"));
    lp.events().set_timeout(key, None).unwrap();
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// Clearing a timeout ends it and forgets it: added again, the timer waits for nothing.
fn a_cleared_timeout_is_forgotten(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::every(Duration::ZERO), log.noting("called"));
    lp.events().clear_timeout(key).unwrap();
    assert!(!lp.events().is_pending(key).unwrap());
    lp.events().add(key).unwrap();
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A timer has one deadline: the last it was given, to the nanosecond.
fn a_new_deadline_replaces_the_old(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let now = lp.events().read_clock();
    let key = lp.events().insert(Timer::at(now), log.noting("called"));
    let later = now + HOUR + Duration::from_nanos(1);
    lp.events().add_at(key, later).unwrap();
    assert_eq!(deadline(&mut lp, key), later);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    lp.events().add_at(key, now).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// A new deadline for an event that is active because of its old one takes the call back.
fn a_new_deadline_takes_back_an_expiry(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let [at, after] = [Timer::after(HOUR), Timer::every(HOUR)]
        .map(|timer| lp.events().insert(timer.disarmed(), log.noting("taken back")));
    let start = past(&mut lp, MILLISECOND);
    let later = start + HOUR;
    lp.events().insert(Timer::at(start), move |cx, (), _| {
        cx.add_at(at, later).unwrap();
        cx.add_after(after, HOUR).unwrap();
    });
    lp.events().add_at(at, start).unwrap();
    lp.events().add_at(after, start).unwrap();
    // Armed first, so called first.
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    assert_eq!(deadline(&mut lp, at), later);
    assert!(deadline(&mut lp, after) > later);
    Ok(())
}

/// A new deadline leaves an activation that has other causes.
fn a_new_deadline_leaves_other_activations(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, User::new());
    lp.events().activate(key, Causes::READ).unwrap();
    lp.events().add_after(key, HOUR).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Adding an event that has no timeout of its own keeps the deadline it was given.
fn adding_without_a_timeout_keeps_the_deadline(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let at = lp.events().read_clock() + HOUR;
    let key = lp.events().insert(Timer::at(at), log.noting("called"));
    lp.events().add(key).unwrap();
    assert_eq!(deadline(&mut lp, key), at);
    Ok(())
}

/// A timer that is due and deleted before its call is not called.
fn deleting_takes_back_an_expiry(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let start = past(&mut lp, MILLISECOND);
    let once = lp.events().insert(Timer::after(HOUR).disarmed(), log.noting("once"));
    let periodic = lp
        .events()
        .insert(Timer::every(HOUR).disarmed(), log.noting("periodic"));
    lp.events().insert(Timer::at(start), move |cx, (), _| {
        cx.delete(once).unwrap();
        cx.delete(periodic).unwrap();
    });
    lp.events().add_at(once, start).unwrap();
    lp.events().add_at(periodic, start).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A timer that was pushed back is neither called nor counted as activity at its old deadline.
fn a_deadline_pushed_back_ends_no_pass(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let now = lp.events().read_clock();
    let key = lp.events().insert(Timer::at(now + MILLISECOND), move |cx, (), _| {
        seen.push(cx.read_clock());
    });
    let mut last = now;
    for n in 2..=10 {
        last = now + n * MILLISECOND;
        lp.events().add_at(key, last).unwrap();
    }
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    let at = log.take();
    assert!(at.len() == 1 && at[0] >= last, "{at:?}, due at {last:?}");
    Ok(())
}

/// A timer that was brought forward is called then.
fn a_deadline_brought_forward(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let now = lp.events().read_clock();
    let key = lp.events().insert(Timer::at(now + HOUR), log.noting("brought forward"));
    lp.events().insert(Timer::at(now + MILLISECOND), log.noting("other"));
    lp.events().add_at(key, now).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["brought forward", "other"]);
    Ok(())
}

/// The largest timeouts end at the last point in time, which never comes and can be waited for.
fn a_deadline_that_never_comes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let longest = lp.events().insert(Timer::after(Duration::MAX), log.noting("never"));
    let periodic = lp.events().insert(Timer::every(Duration::MAX), log.noting("never"));
    let last = lp.events().insert(Timer::at(Time::MAX), log.noting("never"));
    for key in [longest, periodic, last] {
        assert_eq!(deadline(&mut lp, key), Time::MAX);
    }
    let remote = lp.remote();
    let stopper = std::thread::spawn(move || remote.stop());
    assert_eq!(lp.run(), Outcome::Stopped);
    stopper.join().unwrap().unwrap();
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A timer of zero that a callback adds is for the next turn, after all that is active in this one.
fn a_timer_added_in_a_callback_waits_for_the_next_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let start = past(&mut lp, MILLISECOND);
    let seen = log.clone();
    lp.events().insert(Timer::at(start), move |cx, (), _| {
        seen.push("first");
        cx.insert(Timer::at(start), seen.noting("added"));
    });
    lp.events()
        .insert(Timer::at(start + MILLISECOND / 2), log.noting("second"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second", "added"]);
    Ok(())
}

/// Timers of one announced duration are called in the order of arming, and in their place among others.
fn same_durations_fire_in_order(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let queue = lp.events().same_duration(2 * MILLISECOND).unwrap();
    assert_eq!(lp.events().same_duration(2 * MILLISECOND).unwrap(), queue);
    let keys: Vec<_> = (0..5)
        .map(|n| lp.events().insert(Timer::after(HOUR).disarmed(), log.noting(n)))
        .collect();
    let before = lp.events().read_clock();
    for n in [1, 0, 3, 4, 2] {
        lp.events().add_in(keys[n], queue).unwrap();
    }
    assert!(deadline(&mut lp, keys[1]) >= before + queue.timeout());
    let (first, last) = (deadline(&mut lp, keys[1]), deadline(&mut lp, keys[2]));
    lp.events().insert(Timer::at(last), log.noting(9));
    lp.events().delete(keys[3]).unwrap();
    lp.events().add_at(keys[4], first).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let order = log.take();
    // 0 may share the first deadline, and then goes before 4, which was armed later; 9 is the last to be armed.
    assert!(order == [1, 4, 0, 2, 9] || order == [1, 0, 4, 2, 9], "{order:?}");
    Ok(())
}

/// There are 256 announced durations; one more is refused, the old ones are not.
fn same_durations_are_limited(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    for n in 1..=256 {
        lp.events().same_duration(n * MINUTE).unwrap();
    }
    assert!(matches!(
        lp.events().same_duration(HOUR * 1000),
        Err(Error::OutOfMemory)
    ));
    assert_eq!(lp.events().same_duration(7 * MINUTE).unwrap().timeout(), 7 * MINUTE);
    Ok(())
}

/// A user event that is added with a timeout has that as its period.
fn a_user_event_with_a_period(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        seen.push(fired.causes());
        if seen.len() == 3 {
            cx.delete(fired.key()).unwrap();
        }
    });
    lp.events().add_after(key, MILLISECOND).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::TIMEOUT; 3]);
    Ok(())
}

/// Reads all there is, and logs the causes.
fn reading(
    log: &Log<Causes>,
) -> impl FnMut(&mut Events<'_>, &mut std::os::unix::net::UnixStream, ev_core::Fired) + use<> {
    let log = log.clone();
    move |_, stream, fired| {
        log.push(fired.causes());
        let _ = stream.read(&mut [0; 64]);
    }
}

/// Each activation of a persistent I/O event starts its idle timeout anew.
fn idle_timeout_is_pushed_back_by_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).timeout(HOUR), reading(&log));
    for _ in 0..3 {
        let soon = lp.events().read_clock() + MINUTE;
        lp.events().add_at(key, soon).unwrap();
        let before = lp.events().read_clock();
        far.write_all(b"x").unwrap();
        assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
        let after = lp.events().read_clock();
        assert_eq!(log.take(), [Causes::READ]);
        let next = deadline(&mut lp, key);
        assert!(before + HOUR <= next && next <= after + HOUR);
    }
    Ok(())
}

/// An idle descriptor times out again and again, in phase, and stays registered.
fn idle_timeout_repeats_while_idle(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).timeout(HOUR), reading(&log));
    for _ in 0..2 {
        let scheduled = past(&mut lp, MILLISECOND);
        lp.events().add_at(key, scheduled).unwrap();
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), [Causes::TIMEOUT]);
        assert_eq!(deadline(&mut lp, key), scheduled + HOUR);
    }
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// An idle timeout of zero is a call a turn, and the descriptor stays registered.
fn idle_timeout_of_zero_is_once_a_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = pair();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).timeout(Duration::ZERO), reading(&log));
    for _ in 0..3 {
        let due = deadline(&mut lp, key);
        until(&mut lp, due);
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), [Causes::TIMEOUT]);
        assert!(lp.events().is_pending(key).unwrap());
    }
    Ok(())
}

/// A timeout that is set while the event waits without one starts when something comes.
fn idle_timeout_set_later_starts_with_the_next_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp.events().insert(Io::new(near, Interest::READ), reading(&log));
    lp.events().set_timeout(key, Some(HOUR)).unwrap();
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    let before = lp.events().read_clock();
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(lp.pass(), Outcome::Passed);
    let after = lp.events().read_clock();
    assert_eq!(log.take(), [Causes::READ], "and no timeout yet");
    let next = deadline(&mut lp, key);
    assert!(before + HOUR <= next && next <= after + HOUR);
    Ok(())
}

/// An expiry whose timeout is cleared before the call is still called, and leaves nothing behind.
fn idle_timeout_cleared_while_due_comes_back_when_set(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let start = past(&mut lp, MILLISECOND);
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).timeout(HOUR), reading(&log));
    lp.events()
        .insert(Timer::at(start), move |cx, (), _| cx.clear_timeout(key).unwrap());
    lp.events().add_at(key, start).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    lp.events().set_timeout(key, Some(HOUR)).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::READ]);
    assert!(lp.events().deadline(key).unwrap().is_some());
    Ok(())
}

/// A one-shot event with a timeout is deleted by whichever comes first, descriptor and deadline together.
fn once_with_a_timeout_is_deleted_by_either(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).once().timeout(HOUR), reading(&log));
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run(), Outcome::Empty, "ready first");
    assert_eq!(log.take(), [Causes::READ]);
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    let now = lp.events().read_clock();
    lp.events().add_at(key, now).unwrap();
    assert_eq!(lp.run(), Outcome::Empty, "due first");
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run(), Outcome::Empty, "not registered any more");
    assert_eq!(log.len(), 0);
    Ok(())
}

/// An event that its deadline has deleted and made active is added again before its call: it is not called for the old
/// deadline, and waits for its descriptor as well as for the new one.
fn an_expired_event_added_again_hears_of_its_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let event = RawIo::new(near.as_raw_fd(), Interest::READ).once().disarmed();
    let (key, log) = watch(&mut lp, event);
    let now = lp.events().read_clock();
    // Armed first, so called first.
    lp.events().insert(Timer::at(now), move |cx, (), _| {
        assert_eq!(cx.describe(key).unwrap().active, Some(Causes::TIMEOUT));
        assert!(!cx.is_pending(key).unwrap());
        cx.add_after(key, HOUR).unwrap();
    });
    lp.events().add_at(key, now).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), []);
    assert!(lp.events().describe(key).unwrap().is_registered);
    assert!(deadline(&mut lp, key) >= now + HOUR);
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// What is ready and due in one turn is called once, with both causes; the period stays in phase.
fn readiness_and_timeout_in_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).timeout(HOUR), reading(&log));
    let scheduled = past(&mut lp, MILLISECOND);
    lp.events().add_at(key, scheduled).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [Causes::READ | Causes::TIMEOUT]);
    assert_eq!(deadline(&mut lp, key), scheduled + HOUR);
    Ok(())
}

/// A deadline that is given once to a persistent event without timeout leaves it registered when it has passed.
fn a_one_off_deadline_leaves_the_registration(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let key = lp.events().insert(Io::new(near, Interest::READ), reading(&log));
    let start = past(&mut lp, MILLISECOND);
    lp.events().add_at(key, start).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    far.write_all(b"x").unwrap();
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Outside a run there is no turn whose reading of the clock could be kept: each one is fresh.
fn the_clock_outside_a_run_is_not_a_turns(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    let log = Log::new();
    let seen = log.clone();
    lp.insert(Timer::after(Duration::ZERO), move |cx, (), _| {
        let turn = cx.now();
        let_time_pass();
        seen.push(cx.now() == turn);
        seen.push(cx.refresh_now() > turn);
    })
    .unwrap();
    let first = lp.now();
    let_time_pass();
    let second = lp.now();
    assert!(second > first);
    assert_eq!(lp.run(&mut ()).unwrap(), Outcome::Empty);
    assert_eq!(
        log.take(),
        [true, true],
        "in a callback it is the turn's, unless it is asked for anew"
    );
    assert!(lp.now() > second);
    Ok(())
}

/// The first timeout that a loop ever has, set in a callback, does not count from the origin of the clock.
fn the_first_timeout_set_in_a_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (late, log) = watch(&mut lp, User::new());
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.set_timeout(late, Some(HOUR)).unwrap();
        cx.activate(late, Causes::READ).unwrap();
    });
    lp.events().activate(first, Causes::empty()).unwrap();
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A loop whose turns are limited in time reads the clock after each callback, and that is the next one's `now`.
fn a_limit_in_time_makes_now_move_on(cell: &Cell) -> Verdict {
    for (limits, moves_on) in [(Limits::new(), false), (Limits::new().interval(HOUR), true)] {
        let mut lp = local(cell.open_with(&cell.config().limits(limits)))?;
        let log = Log::new();
        for _ in 0..3 {
            let seen = log.clone();
            let key = lp.insert(User::new(), move |cx, (), _| {
                let now = cx.now();
                let_time_pass();
                assert_eq!(cx.now(), now, "within a callback it stands");
                seen.push(now);
            });
            lp.activate(key.unwrap(), Causes::empty()).unwrap();
        }
        lp.stop_after_turn();
        assert_eq!(lp.run(&mut ()).unwrap(), Outcome::Stopped);
        let [first, second, third] = log.take()[..] else {
            panic!("three calls in one turn")
        };
        assert_eq!((second > first, third > second), (moves_on, moves_on));
    }
    Ok(())
}
