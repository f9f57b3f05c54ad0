//! Activation by hand: user events, now and in the next turn.

use std::time::Duration;

use ev_core::{Causes, Error, Fired, Interest, Io, Outcome, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Events;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, pair, watch};

scenarios!("activation":
    an_activation_is_one_call,
    activations_are_called_in_order,
    an_active_event_only_gathers_causes,
    an_activation_without_causes,
    an_activation_keeps_the_loop,
    an_event_is_active_until_it_is_called,
    delete_takes_an_activation_back,
    remove_takes_an_activation_back,
    an_event_deletes_the_next_one,
    a_callback_activates_into_the_same_turn,
    an_event_activates_itself,
    later_is_the_next_turn,
    later_runs_before_what_the_next_turn_finds,
    activating_now_promotes_what_was_for_later,
    activating_later_what_is_active_only_adds_causes,
    activating_a_one_shot_event_deletes_it,
    adding_a_user_event_is_nothing,
    a_user_event_with_a_deadline,
    a_stale_key_is_refused,
    adding_what_is_active_adds_all_of_it,
    activating_what_is_not_added_adds_none_of_it,
    a_new_deadline_takes_back_no_readiness,
    while_a_finalizer_runs_no_event_does,
);

/// Each activation of an idle user event is one call, with its causes; the event stays and is never pending.
fn an_activation_is_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        seen.push((fired.causes(), cx.is_pending(fired.key()).unwrap()));
    });
    for causes in [Causes::READ, Causes::TIMEOUT | Causes::SIGNAL] {
        lp.events().activate(key, causes).unwrap();
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [(causes, false)]);
    }
    Ok(())
}

/// Of one priority, what was activated first is called first, not what was inserted first.
fn activations_are_called_in_order(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let keys: Vec<_> = (0..5).map(|n| lp.events().insert(User::new(), log.noting(n))).collect();
    for n in [3, 1, 4, 0, 2] {
        lp.events().activate(keys[n], Causes::empty()).unwrap();
    }
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), [3, 1, 4, 0, 2]);
    Ok(())
}

/// Activating an active event adds causes; it is called once, in its old place.
fn an_active_event_only_gathers_causes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let keys = ["first", "second"].map(|name| {
        let seen = log.clone();
        lp.events()
            .insert(User::new(), move |_, (), fired| seen.push((name, fired.causes())))
    });
    lp.events().activate(keys[0], Causes::READ).unwrap();
    lp.events().activate(keys[1], Causes::READ).unwrap();
    lp.events().activate(keys[0], Causes::WRITE).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let expected = [("first", Causes::READ | Causes::WRITE), ("second", Causes::READ)];
    assert_eq!(log.take(), expected);
    Ok(())
}

/// No causes is a legal activation, and arrives as none.
fn an_activation_without_causes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, User::new());
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::empty()]);
    Ok(())
}

/// An active event keeps a loop that has nothing else, whichever way it was activated.
fn an_activation_keeps_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), log.noting("called"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    lp.events().activate_later(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// A deleted event is not called, whether it was activated for now or for later, and can be activated again.
fn delete_takes_an_activation_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, User::new());
    lp.events().activate(key, Causes::READ).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().activate_later(key, Causes::READ).unwrap();
    lp.events().delete(key).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    lp.events().activate(key, Causes::WRITE).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::WRITE], "the causes taken back do not return");
    Ok(())
}

/// A removed event is not called, and what takes its slot does not inherit its activation.
fn remove_takes_an_activation_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for later in [false, true] {
        let old = lp.events().insert(User::new(), log.noting("old"));
        if later {
            lp.events().activate_later(old, Causes::empty()).unwrap();
        } else {
            lp.events().activate(old, Causes::empty()).unwrap();
        }
        lp.events().remove(old).unwrap();
        let new = lp.events().insert(User::new(), log.noting("new"));
        assert_eq!(new.index(), old.index(), "the slot is used again");
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.len(), 0);
        lp.events().remove(new).unwrap();
    }
    Ok(())
}

/// A callback that deletes or removes an event which is active in the same turn prevents its call.
fn an_event_deletes_the_next_one(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let deleted = lp.events().insert(User::new(), log.noting("deleted"));
    let removed = lp.events().insert(User::new(), log.noting("removed"));
    let last = lp.events().insert(User::new(), log.noting("last"));
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.delete(deleted).unwrap();
        cx.remove(removed).unwrap();
    });
    activate(&mut lp, &[first, deleted, removed, last]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["last"]);
    assert!(lp.events().contains(deleted));
    assert!(!lp.events().contains(removed));
    Ok(())
}

/// What a callback activates of its own priority is called in the same turn, before the kernel is asked again.
fn a_callback_activates_into_the_same_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let added = lp.events().insert(User::new(), log.noting("activated"));
    let timer = lp.events().insert(Timer::after(HOUR).disarmed(), log.noting("timer"));
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.add_after(timer, Duration::ZERO).unwrap();
        cx.activate(added, Causes::empty()).unwrap();
    });
    let second = lp.events().insert(User::new(), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["second", "activated", "timer"]);
    Ok(())
}

/// An event that activates itself in its callback is called again, after what was active already.
fn an_event_activates_itself(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let mut left = 2;
    let own = lp.events().insert(User::new(), move |cx, (), fired| {
        seen.push(("own", fired.causes()));
        if left > 0 {
            left -= 1;
            cx.activate(fired.key(), Causes::WRITE).unwrap();
        }
    });
    let seen = log.clone();
    let other = lp
        .events()
        .insert(User::new(), move |_, (), fired| seen.push(("other", fired.causes())));
    lp.events().activate(own, Causes::READ).unwrap();
    lp.events().activate(other, Causes::READ).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let (first, again) = (("own", Causes::READ), ("own", Causes::WRITE));
    assert_eq!(log.take(), [first, ("other", Causes::READ), again, again]);
    Ok(())
}

/// An activation for later is not called in this turn, however long that goes on.
fn later_is_the_next_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let later = lp.events().insert(User::new(), log.noting("later"));
    let now = lp.events().insert(User::new(), log.noting("now"));
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.activate_later(later, Causes::empty()).unwrap();
        cx.activate(now, Causes::empty()).unwrap();
    });
    let seen = log.clone();
    let last = lp.events().insert(User::new(), move |cx, (), _| {
        cx.activate(now, Causes::empty()).unwrap();
        seen.push("last");
    });
    activate(&mut lp, &[first, last]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["last", "now", "later"]);
    Ok(())
}

/// Activations for later go, in their order, before what the next turn finds due, each to its own priority.
fn later_runs_before_what_the_next_turn_finds(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    lp.events()
        .insert(Timer::after(Duration::ZERO).priority(1), log.noting("due"));
    let [one, two, urgent] = [(1, "one"), (1, "two"), (0, "urgent")]
        .map(|(priority, name)| lp.events().insert(User::new().priority(priority), log.noting(name)));
    for key in [two, one, urgent] {
        lp.events().activate_later(key, Causes::empty()).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["urgent", "two", "one", "due"]);
    Ok(())
}

/// Activating now what was activated for later calls it in this turn, once, with all causes.
fn activating_now_promotes_what_was_for_later(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (twice, log) = watch(&mut lp, User::new());
    let seen = log.clone();
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        cx.activate_later(twice, Causes::READ).unwrap();
        cx.activate(twice, Causes::WRITE).unwrap();
        seen.push(Causes::empty());
    });
    let stop = lp.events().insert(User::new(), |cx, (), _| cx.stop_after_turn());
    activate(&mut lp, &[first, stop]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), [Causes::empty(), Causes::READ | Causes::WRITE]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// An event is active from its activation, now or for later, until its callback is called or it is deleted.
fn an_event_is_active_until_it_is_called(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        seen.push(cx.is_active(fired.key()).unwrap());
    });
    assert!(!lp.events().is_active(key).unwrap());
    lp.events().activate_later(key, Causes::empty()).unwrap();
    assert!(lp.events().is_active(key).unwrap());
    lp.run();
    assert_eq!(log.take(), [false]);
    assert!(!lp.events().is_active(key).unwrap());
    lp.events().activate(key, Causes::READ).unwrap();
    assert!(lp.events().is_active(key).unwrap());
    lp.events().delete(key).unwrap();
    assert!(!lp.events().is_active(key).unwrap());
    Ok(())
}

/// Activating for later what is active already leaves it in its place.
fn activating_later_what_is_active_only_adds_causes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, User::new());
    lp.events().activate(key, Causes::READ).unwrap();
    lp.events().activate_later(key, Causes::WRITE).unwrap();
    lp.events().stop_after_turn();
    lp.run();
    assert_eq!(log.take(), [Causes::READ | Causes::WRITE]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A one-shot event that is activated by hand is deleted with its deadline, before its callback is called.
fn activating_a_one_shot_event_deletes_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Timer::after(HOUR), move |cx, (), fired| {
        seen.push((fired.causes(), cx.deadline(fired.key()).unwrap()));
    });
    lp.events().activate(key, Causes::READ).unwrap();
    assert!(lp.events().is_pending(key).unwrap(), "until it is called");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(Causes::READ, None)]);
    assert!(lp.events().contains(key));
    Ok(())
}

/// Adding a user event succeeds and makes it wait for nothing.
fn adding_a_user_event_is_nothing(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), log.noting("called"));
    lp.events().add(key).unwrap();
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A user event that is added with a deadline is called for that, once, and stays a user event.
fn a_user_event_with_a_deadline(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, User::new());
    let now = lp.events().read_clock();
    lp.events().add_at(key, now).unwrap();
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    lp.events().activate(key, Causes::READ).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Every way to activate, delete or ask about a removed event is refused, also when its slot is in use again.
fn a_stale_key_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let old = lp.events().insert(User::new(), log.noting("old"));
    lp.events().remove(old).unwrap();
    let new = lp.events().insert(User::new(), log.noting("new"));
    assert_ne!(old, new);
    let mut events = lp.events();
    let answers = [
        events.activate(old, Causes::READ),
        events.activate_later(old, Causes::READ),
        events.add(old),
        events.add_after(old, HOUR),
        events.delete(old),
        events.remove(old),
        events.set_priority(old, 0),
        events.set_timeout(old, None),
        events.clear_timeout(old),
        events.is_pending(old).map(drop),
        events.deadline(old).map(drop),
    ];
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Stale))));
    assert!(!events.contains(old) && events.contains(new));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// Adding an event that is active by hand registers its descriptor.
fn adding_what_is_active_adds_all_of_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let event = Io::new(near, Interest::WRITE).disarmed();
    let (key, log) = watch(&mut lp, event);
    lp.events().activate(key, Causes::empty()).unwrap();
    lp.events().add(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Passed);
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.pass(), Outcome::Passed);
    assert!(log.take().contains(&Causes::WRITE), "the descriptor is watched");
    Ok(())
}

/// An I/O event with a timeout that is not added is called when activated, and waits for nothing afterwards.
fn activating_what_is_not_added_adds_none_of_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let log = Log::new();
    let seen = log.clone();
    let event = Io::new(near, Interest::WRITE).timeout(HOUR).disarmed();
    let key = lp.events().insert(event, move |_, _, _| seen.push("called"));
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    assert!(!lp.events().is_pending(key).unwrap());
    Ok(())
}

/// A new deadline takes back the activation by the old one, and nothing else that the event is active for.
fn a_new_deadline_takes_back_no_readiness(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, Timer::after(HOUR));
    lp.events().activate(key, Causes::READ | Causes::TIMEOUT).unwrap();
    lp.events().add(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A finalizer runs when its event is gone, and names no other one: between two callbacks that are their events'.
fn while_a_finalizer_runs_no_event_does(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let running = || {
        let seen = log.clone();
        move |cx: &mut Events<'_>, (): &mut (), _: Fired| seen.push(cx.running())
    };
    let keys = [(); 3].map(|()| lp.events().insert(User::new(), running()));
    activate(&mut lp, &keys);
    let seen = log.clone();
    let finalizer = move |cx: &mut Events<'_>| seen.push(cx.running());
    // In the queue it takes its event's place again, which is the last.
    lp.events().finalize(keys[1], finalizer.clone()).unwrap();
    let own = lp.events().insert(User::new(), move |cx, (), fired| {
        cx.finalize(fired.key(), finalizer.clone()).unwrap();
        assert_eq!(cx.running(), Some(fired.key()), "its callback still runs");
    });
    lp.events().activate(own, Causes::empty()).unwrap();
    let after = lp.events().insert(User::new(), running());
    lp.events().activate(after, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Some(keys[0]), Some(keys[2]), None, Some(after), None]);
    assert_eq!(lp.events().running(), None);
    Ok(())
}
