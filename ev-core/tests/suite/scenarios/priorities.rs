//! Priorities: who is called first, and when the kernel is asked in between.

use std::io::Write;
use std::time::Duration;

use ev_core::{Causes, Error, Interest, Io, Outcome, RunMode, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, pair};

scenarios!("priorities":
    the_urgent_go_first,
    the_default_is_the_middle,
    one_that_does_not_exist_is_refused,
    a_pending_event_changes_its_priority,
    an_active_event_keeps_its_priority,
    an_event_for_later_changes_its_priority,
    a_turn_is_one_priority,
    once_drains_all_priorities,
    activating_something_more_urgent_ends_the_turn,
    activating_something_less_urgent_does_not,
    an_event_inserted_more_urgent_ends_the_turn,
    urgent_work_goes_before_all_else_while_it_lasts,
    urgent_readiness_goes_before_less_urgent_work_at_hand,
    equal_deadlines_go_by_priority,
);

/// What is active together is called by priority, and within one in the order of activation.
fn the_urgent_go_first(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    for (priority, name) in [(2, "e"), (1, "c"), (0, "a"), (2, "f"), (0, "b"), (1, "d")] {
        let key = lp.events().insert(User::new().priority(priority), log.noting(name));
        lp.events().activate(key, Causes::empty()).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "b", "c", "d", "e", "f"]);
    Ok(())
}

/// An event for which no priority is named has the middle one: half the number of priorities, rounded down.
fn the_default_is_the_middle(cell: &Cell) -> Verdict {
    for (available, middle) in [(1, 0), (2, 1), (3, 1), (4, 2), (255, 127)] {
        let mut lp = cell.open_with_priorities(available);
        assert_eq!(lp.events().priorities(), available);
        let log = Log::new();
        let before = lp.events().insert(User::new().priority(middle), log.noting("before"));
        let unnamed = lp.events().insert(User::new(), log.noting("unnamed"));
        let after = lp.events().insert(User::new().priority(middle), log.noting("after"));
        activate(&mut lp, &[before, unnamed, after]);
        // One turn, so one priority.
        lp.events().stop_after_turn();
        assert_eq!(lp.run(), Outcome::Stopped);
        assert_eq!(log.take(), ["before", "unnamed", "after"], "of {available}");
    }
    Ok(())
}

/// A priority that the loop does not have is refused at insertion and later, and nothing changes.
fn one_that_does_not_exist_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let refused = lp.events().try_insert(User::new().priority(2), log.noting("refused"));
    assert!(matches!(refused, Err(Error::Priority { asked: 2, available: 2 })));
    assert_eq!(lp.events().len(), 0);
    let key = lp.events().insert(User::new().priority(1), log.noting("second"));
    let changed = lp.events().set_priority(key, 255);
    assert!(matches!(
        changed,
        Err(Error::Priority {
            asked: 255,
            available: 2
        })
    ));
    let urgent = lp.events().insert(User::new().priority(0), log.noting("first"));
    activate(&mut lp, &[key, urgent]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second"]);
    Ok(())
}

/// The priority of an event that waits can change, and counts when it becomes active.
fn a_pending_event_changes_its_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let now = lp.events().read_clock();
    let low = lp.events().insert(Timer::at(now).priority(0), log.noting("low"));
    let high = lp.events().insert(Timer::at(now).priority(2), log.noting("high"));
    lp.events().set_priority(low, 2).unwrap();
    lp.events().set_priority(high, 0).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["high", "low"]);
    Ok(())
}

/// The priority of an active event cannot change; that of the event whose callback runs can.
fn an_active_event_keeps_its_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new().priority(1), move |cx, (), fired| {
        seen.push("called");
        cx.set_priority(fired.key(), 0).unwrap();
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    assert!(matches!(lp.events().set_priority(key, 0), Err(Error::Active)));
    assert_eq!(lp.run(), Outcome::Empty);
    let other = lp.events().insert(User::new().priority(0), log.noting("other"));
    activate(&mut lp, &[key, other]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "called", "other"]);
    Ok(())
}

/// An event that is active for the next turn only has no place in a queue yet, and its priority can change.
fn an_event_for_later_changes_its_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let [a, b] = ["a", "b"].map(|name| lp.events().insert(User::new().priority(1), log.noting(name)));
    lp.events().activate_later(b, Causes::empty()).unwrap();
    lp.events().activate_later(a, Causes::empty()).unwrap();
    lp.events().set_priority(a, 0).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["a", "b"]);
    Ok(())
}

/// When a priority has been processed the kernel is asked again before a less urgent one is.
fn a_turn_is_one_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let timer = lp.events().insert(
        Timer::after(HOUR).priority(0).disarmed(),
        log.noting("urgent, found between"),
    );
    let seen = log.clone();
    let middle = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        seen.push("middle");
        cx.add_after(timer, Duration::ZERO).unwrap();
    });
    let middle_too = lp.events().insert(User::new().priority(1), log.noting("middle, too"));
    let low = lp.events().insert(User::new().priority(2), log.noting("low"));
    activate(&mut lp, &[low, middle, middle_too]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["middle", "middle, too", "urgent, found between", "low"]);
    Ok(())
}

/// `ONCE` ends only when no priority has anything active any more.
fn once_drains_all_priorities(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    let last = lp
        .events()
        .insert(User::new().priority(2), log.noting("activated late"));
    let seen = log.clone();
    let low = lp.events().insert(User::new().priority(2), move |cx, (), _| {
        seen.push("low");
        cx.activate_later(last, Causes::empty()).unwrap();
    });
    let high = lp.events().insert(User::new().priority(0), log.noting("high"));
    for mode in [RunMode::ONCE, RunMode::ONCE | RunMode::NON_BLOCKING] {
        activate(&mut lp, &[low, high]);
        assert_eq!(lp.run_with(mode), Outcome::Passed);
        assert_eq!(log.take(), ["high", "low", "activated late"]);
    }
    Ok(())
}

/// A callback that activates a more urgent event is the last of its turn: that event goes before the rest.
fn activating_something_more_urgent_ends_the_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let urgent = lp.events().insert(User::new().priority(0), log.noting("urgent"));
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(2), move |cx, (), _| {
        seen.push("first");
        cx.activate(urgent, Causes::empty()).unwrap();
    });
    let second = lp.events().insert(User::new().priority(2), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "urgent", "second"]);
    Ok(())
}

/// Activating a less urgent event leaves the turn as it is.
fn activating_something_less_urgent_does_not(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let low = lp.events().insert(User::new().priority(2), log.noting("low"));
    let urgent = lp
        .events()
        .insert(Timer::after(HOUR).priority(0).disarmed(), log.noting("urgent timer"));
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        seen.push("first");
        cx.add_after(urgent, Duration::ZERO).unwrap();
        cx.activate(low, Causes::empty()).unwrap();
    });
    let second = lp.events().insert(User::new().priority(1), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second", "urgent timer", "low"]);
    Ok(())
}

/// The rule holds as well for an event that the callback has just inserted.
fn an_event_inserted_more_urgent_ends_the_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        seen.push("first");
        let urgent = cx.insert(User::new().priority(0), seen.noting("urgent"));
        cx.activate(urgent, Causes::empty()).unwrap();
    });
    let second = lp.events().insert(User::new().priority(1), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "urgent", "second"]);
    Ok(())
}

/// An urgent event that goes on activating itself, turn by turn, keeps a less urgent one waiting, and no longer.
fn urgent_work_goes_before_all_else_while_it_lasts(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let mut left = 4;
    let urgent = lp.events().insert(User::new().priority(0), move |cx, (), fired| {
        seen.push("urgent");
        left -= 1;
        if left > 0 {
            cx.activate_later(fired.key(), Causes::empty()).unwrap();
        }
    });
    let low = lp.events().insert(User::new().priority(1), log.noting("low"));
    activate(&mut lp, &[low, urgent]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["urgent", "urgent", "urgent", "urgent", "low"]);
    Ok(())
}

/// A descriptor that becomes ready in a callback goes before less urgent events that were active all along.
fn urgent_readiness_goes_before_less_urgent_work_at_hand(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ).priority(0), move |cx, _, fired| {
            seen.push("socket");
            cx.remove(fired.key()).unwrap();
        });
    let seen = log.clone();
    let writer = lp.events().insert(User::new().priority(1), move |_, (), _| {
        seen.push("writer");
        far.write_all(b"x").unwrap();
    });
    let low = lp.events().insert(User::new().priority(2), log.noting("low"));
    activate(&mut lp, &[low, writer]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["writer", "socket", "low"]);
    Ok(())
}

/// Of timers that are due together the more urgent is called first, though it was added last.
fn equal_deadlines_go_by_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let now = lp.events().read_clock();
    for (priority, name) in [(2, "low"), (1, "middle"), (0, "high")] {
        lp.events().insert(Timer::at(now).priority(priority), log.noting(name));
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["high", "middle", "low"]);
    Ok(())
}
