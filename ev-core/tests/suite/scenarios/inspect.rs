//! Looking at a loop: numbers, names, descriptions, text; and setting off what waits for the same thing.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ev_core::backend::Backend;
use ev_core::{
    Causes, Counts, Error, EventKey, Interest, Io, Mode, Outcome, Persistence, RawIo, Signal, Target, Time, Timer, User,
};

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, handle, pair, ready_pair, watch};

scenarios!("inspect":
    counts_follow_an_io_event,
    counts_follow_timers_signals_and_user_events,
    counts_of_events_that_share,
    counts_in_a_callback,
    counts_of_what_is_removed,
    counts_of_holds,
    the_librarys_own_events_do_not_count,
    a_loop_is_empty_without_events,
    maxima_are_kept_until_they_are_reset,
    maxima_see_every_way_to_become_active,
    maxima_see_every_way_to_be_added,
    what_is_being_finalized_raises_no_maximum,
    the_maximum_of_memberships_is_that_of_the_sum,
    a_name_is_the_events_own,
    a_name_goes_with_its_event,
    a_new_event_tells_all,
    changes_are_described,
    activity_is_described,
    removed_events_are_not_described,
    all_events_are_listed,
    the_running_event_is_known,
    the_running_event_is_known_to_other_threads,
    dump_is_a_line_for_each,
    dump_tells_what_goes_on,
    deadlines_in_text_are_relative,
    a_descriptors_events_are_activated,
    a_descriptors_events_are_activated_newest_first,
    what_is_not_on_the_descriptor_is_not_activated,
    activation_by_descriptor_joins_what_is_active,
    activation_by_descriptor_in_a_callback,
    a_signals_events_are_activated,
    what_is_not_on_the_signal_is_not_activated,
    priorities_change,
    priorities_do_not_change_while_anything_is_active,
    priorities_in_use_do_not_go,
    priorities_change_in_a_callback,
);

const SECOND: Duration = Duration::from_secs(1);
/// `SIGURG` on Linux: ignored unless it is watched.
const SIGNAL: i32 = 23;

/// Events, registrations, deadlines, active ones, holds.
fn numbers(counts: Counts) -> [usize; 5] {
    let Counts {
        events,
        registrations,
        deadlines,
        active,
        holds,
        ..
    } = counts;
    [events, registrations, deadlines, active, holds]
}

fn counts<B: Backend + 'static>(lp: &mut Loop<B>) -> [usize; 5] {
    let counts = lp.events().counts();
    assert_eq!(
        counts.memberships,
        counts.registrations + counts.deadlines + counts.active
    );
    numbers(counts)
}

fn maxima<B: Backend + 'static>(lp: &mut Loop<B>) -> [usize; 5] {
    numbers(lp.events().maxima())
}

/// An I/O event counts as an event while it exists, as a registration while it waits for its descriptor, as a deadline
/// while it has one, and as active until it is called; in each of them once.
fn counts_follow_an_io_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(counts(&mut lp), [0; 5]);
    let (near, _far) = pair();
    let key = lp.events().insert(
        RawIo::new(near.as_raw_fd(), Interest::READ).timeout(HOUR).disarmed(),
        |_, (), _| {},
    );
    assert_eq!(counts(&mut lp), [1, 0, 0, 0, 0], "inserted");
    lp.events().add(key).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 1, 0, 0], "added");
    lp.events().add(key).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 1, 0, 0], "added again");
    lp.events().activate(key, Causes::READ).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 1, 1, 0], "active");
    lp.events().activate(key, Causes::WRITE).unwrap();
    lp.events().activate_later(key, Causes::WRITE).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 1, 1, 0], "active for more");
    lp.pass();
    assert_eq!(counts(&mut lp), [1, 1, 1, 0, 0], "called");
    lp.events().clear_timeout(key).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 0, 0, 0], "without timeout");
    lp.events().add_at(key, Time::MAX).unwrap();
    lp.events().activate_later(key, Causes::READ).unwrap();
    assert_eq!(counts(&mut lp), [1, 1, 1, 1, 0], "active in the next turn");
    lp.events().delete(key).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(counts(&mut lp), [1, 0, 0, 0, 0], "deleted");
    lp.events().remove(key).unwrap();
    assert_eq!(counts(&mut lp), [0; 5], "removed");
    Ok(())
}

/// The other kinds count as what they wait for. An event on a negative descriptor waits, though for nothing.
fn counts_follow_timers_signals_and_user_events(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let timer = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
    assert_eq!(counts(&mut lp), [1, 0, 1, 0, 0]);
    lp.events().add_after(timer, 2 * HOUR).unwrap();
    assert_eq!(counts(&mut lp), [1, 0, 1, 0, 0], "one deadline");
    let signal = lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
    assert_eq!(counts(&mut lp), [2, 1, 1, 0, 0]);
    let user = lp.events().insert(User::new(), |_, (), _| {});
    assert_eq!(counts(&mut lp), [3, 1, 1, 0, 0]);
    let (nowhere, _) = watch(&mut lp, RawIo::new(-1, Interest::READ));
    assert_eq!(counts(&mut lp), [4, 2, 1, 0, 0]);
    lp.events().activate(user, Causes::empty()).unwrap();
    assert_eq!(counts(&mut lp), [4, 2, 1, 1, 0]);
    for key in [timer, signal, user, nowhere] {
        lp.events().delete(key).unwrap();
    }
    assert_eq!(counts(&mut lp), [4, 0, 0, 0, 0]);
    // A one-shot timer that is due stops waiting when it becomes active, not before.
    lp.events().add_at(timer, Time::ZERO).unwrap();
    assert_eq!(counts(&mut lp), [4, 0, 1, 0, 0], "due, but there was no turn");
    lp.pass();
    assert_eq!(counts(&mut lp), [4, 0, 0, 0, 0], "called");
    Ok(())
}

/// Events count for themselves, however many there are on a descriptor or signal.
fn counts_of_events_that_share(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let on_descriptor = [(); 3].map(|()| watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ)).0);
    let on_signal = [(); 2].map(|()| lp.events().insert(Signal::new(SIGNAL), |_, (), _| {}));
    assert_eq!(counts(&mut lp), [5, 5, 0, 0, 0]);
    far.write_all(b"x").unwrap();
    lp.events().reset_maxima();
    lp.pass();
    assert_eq!(maxima(&mut lp), [5, 5, 0, 3, 0], "three were active at once");
    lp.events().delete(on_descriptor[1]).unwrap();
    lp.events().delete(on_signal[0]).unwrap();
    assert_eq!(counts(&mut lp), [5, 3, 0, 0, 0]);
    Ok(())
}

/// The event that runs is not active any more, and waits for something only if it is persistent; others that are active
/// together with it still are.
fn counts_in_a_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let seen = log.clone();
    let persistent = lp.events().insert(
        RawIo::new(near.as_raw_fd(), Interest::READ).timeout(HOUR),
        move |cx, (), _| seen.push(("persistent", numbers(cx.counts()))),
    );
    let seen = log.clone();
    // On the same descriptor and newer, so it is called first.
    lp.events()
        .insert(RawIo::new(near.as_raw_fd(), Interest::READ).once(), move |cx, (), _| {
            seen.push(("once", numbers(cx.counts())));
        });
    assert_eq!(counts(&mut lp), [2, 2, 1, 0, 0]);
    lp.pass();
    assert_eq!(log.take(), [("once", [2, 1, 1, 1, 0]), ("persistent", [2, 1, 1, 0, 0])]);
    lp.events().remove(persistent).unwrap();
    assert_eq!(counts(&mut lp), [1, 0, 0, 0, 0]);
    Ok(())
}

/// A removed event is gone at once; one that removes itself, too; of one with a finalizer there is the call to come.
fn counts_of_what_is_removed(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        cx.remove(fired.key()).unwrap();
        seen.push(numbers(cx.counts()));
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(counts(&mut lp), [1, 0, 0, 1, 0]);
    lp.pass();
    assert_eq!(log.take(), [[0; 5]], "removed in its callback");

    let (near, _far) = pair();
    let event = Io::new(near, Interest::READ).timeout(HOUR);
    let key = lp.events().insert(event, |_, _, _| {});
    assert_eq!(counts(&mut lp), [1, 1, 1, 0, 0]);
    let seen = log.clone();
    lp.events()
        .finalize(key, move |cx| seen.push(numbers(cx.counts())))
        .unwrap();
    assert_eq!(counts(&mut lp), [0, 0, 0, 1, 0], "only its finalizer is left");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [[0; 5]], "while it runs");
    assert_eq!(counts(&mut lp), [0; 5]);

    let seen = log.clone();
    lp.events().defer(move |cx| seen.push(numbers(cx.counts())));
    assert_eq!(counts(&mut lp), [1, 0, 0, 1, 0], "deferred work is an event");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(counts(&mut lp), [0; 5]);
    Ok(())
}

/// Each hold counts, clones included, and dropping them lets the maximum stand.
fn counts_of_holds(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let first = lp.events().keep_alive();
    let second = first.clone();
    assert_eq!(counts(&mut lp), [0, 0, 0, 0, 2]);
    drop(first);
    assert_eq!(counts(&mut lp), [0, 0, 0, 0, 1]);
    assert_eq!(maxima(&mut lp), [0, 0, 0, 0, 2]);
    lp.events().reset_maxima();
    assert_eq!(maxima(&mut lp), [0, 0, 0, 0, 1], "what there is now");
    drop(second);
    assert_eq!((counts(&mut lp), maxima(&mut lp)), ([0; 5], [0, 0, 0, 0, 1]));
    lp.events().reset_maxima();
    assert_eq!(maxima(&mut lp), [0; 5]);
    Ok(())
}

/// The notifier's and the signal pipe's events are in no number, no list and no text, nor when they are active.
fn the_librarys_own_events_do_not_count(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let remote = lp.remote();
    let log = Log::new();
    let seen = log.clone();
    // Between the wait and the calls: pipe and notifier were found readable, and are not read yet.
    let hook = lp.events().on_check(move |cx| seen.push(numbers(cx.counts())));
    let user = lp.events().insert(User::new(), log.noting([8; 5]));
    let signal = lp.events().insert(Signal::new(SIGNAL), log.noting([9; 5]));
    lp.events().reset_maxima();
    assert_eq!(counts(&mut lp), [2, 1, 0, 0, 0]);
    assert_eq!(
        lp.events().all().iter().map(|event| event.key).collect::<Vec<_>>(),
        [user, signal]
    );
    assert_eq!(lp.events().dump().lines().count(), 3);
    ev_sys::signal::raise(SIGNAL).unwrap();
    remote.post(|_| {}).unwrap();
    lp.events().activate(user, Causes::empty()).unwrap();
    lp.pass();
    assert_eq!(log.take(), [[2, 1, 0, 1, 0], [8; 5], [9; 5]]);
    assert_eq!(maxima(&mut lp), [2, 1, 0, 2, 0], "both events were active");
    lp.events().remove_hook(hook).unwrap();
    lp.events().delete(signal).unwrap();
    assert_eq!(counts(&mut lp), [2, 0, 0, 0, 0], "the pipe stays, and does not count");
    Ok(())
}

/// A loop is empty while it has no event of the user's, added or not.
fn a_loop_is_empty_without_events(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let _remote = lp.remote();
    assert!(lp.events().is_empty());
    let key = lp.events().insert(Timer::after(HOUR).disarmed(), |_, (), _| {});
    assert!(!lp.events().is_empty());
    lp.events().remove(key).unwrap();
    assert!(lp.events().is_empty());
    Ok(())
}

/// A maximum is the most there was of each since the last reset, not what there was together.
fn maxima_are_kept_until_they_are_reset(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(maxima(&mut lp), [0; 5]);
    let (near, _far) = pair();
    let (io, _) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    let user = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().remove(io).unwrap();
    let timers = [(); 3].map(|()| lp.events().insert(Timer::after(HOUR).disarmed(), |_, (), _| {}));
    lp.events().activate(user, Causes::empty()).unwrap();
    lp.pass();
    lp.events().add(timers[0]).unwrap();
    lp.events().add(timers[1]).unwrap();
    lp.events().delete(timers[0]).unwrap();
    assert_eq!(counts(&mut lp), [4, 0, 1, 0, 0]);
    assert_eq!(maxima(&mut lp), [4, 1, 2, 1, 0]);
    lp.events().reset_maxima();
    assert_eq!(maxima(&mut lp), [4, 0, 1, 0, 0], "what there is now");
    lp.events().remove(timers[1]).unwrap();
    assert_eq!(maxima(&mut lp), [4, 0, 1, 0, 0]);
    lp.events().add(timers[0]).unwrap();
    lp.events().add(timers[2]).unwrap();
    assert_eq!(maxima(&mut lp), [4, 0, 2, 0, 0]);
    Ok(())
}

/// The most that were active is noted whichever way they became so.
fn maxima_see_every_way_to_become_active(cell: &Cell) -> Verdict {
    type Way = (&'static str, fn(&mut Loop, &[EventKey; 2], i32));
    let ways: [Way; 9] = [
        ("activate", |lp, keys, _| {
            for &key in keys {
                lp.events().activate(key, Causes::READ).unwrap();
            }
        }),
        ("activate_later", |lp, keys, _| {
            for &key in keys {
                lp.events().activate_later(key, Causes::READ).unwrap();
            }
        }),
        ("activate_descriptor", |lp, _, fd| {
            assert_eq!(lp.events().activate_descriptor(fd, Causes::WRITE), 2);
        }),
        ("activate_signal", |lp, _, _| {
            for _ in 0..2 {
                lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
            }
            assert_eq!(lp.events().activate_signal(SIGNAL), 2);
        }),
        ("readiness", |lp, _, _| {
            lp.pass();
        }),
        ("deadlines", |lp, keys, _| {
            for &key in keys {
                lp.events().set_interest(key, Interest::READ).unwrap();
                lp.events().add_at(key, Time::ZERO).unwrap();
            }
            lp.pass();
        }),
        ("delivery", |lp, keys, _| {
            for &key in keys {
                lp.events().delete(key).unwrap();
            }
            for _ in 0..2 {
                lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
            }
            ev_sys::signal::raise(SIGNAL).unwrap();
            lp.pass();
        }),
        ("finalize", |lp, keys, _| {
            for &key in keys {
                lp.events().finalize(key, |_| {}).unwrap();
            }
        }),
        ("defer", |lp, _, _| {
            for _ in 0..2 {
                lp.events().defer(|_| {});
            }
        }),
    ];
    for (name, way) in ways {
        let mut lp = cell.open();
        let (near, _far) = pair();
        let fd = near.as_raw_fd();
        let keys = [(); 2].map(|()| watch(&mut lp, RawIo::new(fd, Interest::WRITE)).0);
        assert_eq!(maxima(&mut lp)[3], 0, "{name}");
        way(&mut lp, &keys, fd);
        // Taken back, so that nothing notes it later.
        for event in lp.events().all() {
            lp.events().remove(event.key).unwrap();
        }
        assert_eq!(maxima(&mut lp)[3], 2, "{name}");
    }
    Ok(())
}

/// The most that waited is noted whichever way they came to wait, also in a turn.
fn maxima_see_every_way_to_be_added(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let (key, _) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).disarmed());
    assert_eq!(maxima(&mut lp), [1, 0, 0, 0, 0]);
    lp.events().add(key).unwrap();
    assert_eq!(maxima(&mut lp), [1, 1, 0, 0, 0]);
    lp.events().add_after(key, HOUR).unwrap();
    assert_eq!(maxima(&mut lp), [1, 1, 1, 0, 0]);
    lp.events().remove(key).unwrap();
    let queue = lp.events().same_duration(HOUR).unwrap();
    let users = [(); 2].map(|()| lp.events().insert(User::new(), |_, (), _| {}));
    for key in users {
        lp.events().add_in(key, queue).unwrap();
    }
    lp.events().remove(users[0]).unwrap();
    lp.events().remove(users[1]).unwrap();
    assert_eq!(maxima(&mut lp), [2, 1, 2, 0, 0]);
    // A periodic event without a deadline gets one when it is called.
    lp.events().reset_maxima();
    let periodic = lp.events().insert(Timer::every(HOUR).disarmed(), |_, (), _| {});
    lp.events().activate(periodic, Causes::empty()).unwrap();
    lp.pass();
    assert_eq!(counts(&mut lp), [1, 0, 1, 0, 0]);
    lp.events().delete(periodic).unwrap();
    assert_eq!(maxima(&mut lp), [1, 0, 1, 1, 0]);
    Ok(())
}

fn name(lp: &mut Loop, key: EventKey) -> Option<String> {
    lp.events().describe(key).unwrap().name.map(|name| name.to_string())
}

/// An event that is being finalized is none any more: the next one takes its place in the maximum.
fn what_is_being_finalized_raises_no_maximum(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().finalize(key, log.note("finalizer")).unwrap();
    lp.events().insert(User::new(), |_, (), _| {});
    assert_eq!((lp.events().counts().events, lp.events().maxima().events), (1, 1));
    lp.pass();
    assert_eq!(log.take(), ["finalizer"]);
    assert_eq!((lp.events().counts().events, lp.events().maxima().events), (1, 1));
    Ok(())
}

/// An event is a member of all that it waits for and of what is active. The maximum of that is of one moment, and not the
/// sum of the maxima.
fn the_maximum_of_memberships_is_that_of_the_sum(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let user = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().activate(user, Causes::empty()).unwrap();
    assert_eq!(lp.events().maxima().memberships, 1);
    lp.pass();
    let (io, _) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).timeout(HOUR));
    assert_eq!(maxima(&mut lp), [2, 1, 1, 1, 0]);
    assert_eq!(lp.events().maxima().memberships, 2);
    lp.events().activate(io, Causes::READ).unwrap();
    assert_eq!(lp.events().maxima().memberships, 3);
    lp.events().remove(io).unwrap();
    lp.events().reset_maxima();
    assert_eq!(lp.events().maxima().memberships, 0);
    Ok(())
}

/// An event has the last name it was given, through everything but its removal.
fn a_name_is_the_events_own(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let key = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
    let other = lp.events().insert(User::new(), |_, (), _| {});
    assert_eq!(name(&mut lp, key), None);
    lp.events().set_name(key, "first").unwrap();
    lp.events().set_name(key, "second").unwrap();
    assert_eq!(name(&mut lp, key).as_deref(), Some("second"));
    assert_eq!(name(&mut lp, other), None);
    lp.events().delete(key).unwrap();
    lp.events().add_at(key, Time::ZERO).unwrap();
    lp.pass();
    assert_eq!(name(&mut lp, key).as_deref(), Some("second"), "called and deleted");
    lp.events().set_name(other, "second").unwrap();
    lp.events().remove(key).unwrap();
    assert_eq!(name(&mut lp, other).as_deref(), Some("second"), "names need not differ");
    Ok(())
}

/// A removed event leaves its name to nobody: not to the slot's next event, and it cannot be named any more.
fn a_name_goes_with_its_event(cell: &Cell) -> Verdict {
    type End = (&'static str, fn(&mut Loop, EventKey));
    let ends: [End; 4] = [
        ("removed", |lp, key| lp.events().remove(key).unwrap()),
        ("finalized", |lp, key| {
            lp.events().finalize(key, |_| {}).unwrap();
            lp.pass();
        }),
        ("removed in its callback", |lp, key| {
            lp.events().activate(key, Causes::READ).unwrap();
            lp.pass();
        }),
        ("called for the only time", |lp, key| {
            lp.events().remove(key).unwrap();
            let once = lp.events().once(Timer::at(Time::ZERO), |_, (), _| {});
            lp.events().set_name(once, "once").unwrap();
            lp.pass();
        }),
    ];
    for (what, end) in ends {
        let mut lp = cell.open();
        let old = lp
            .events()
            .insert(User::new(), |cx, (), fired| cx.remove(fired.key()).unwrap());
        lp.events().set_name(old, "old").unwrap();
        end(&mut lp, old);
        assert!(matches!(lp.events().set_name(old, "late"), Err(Error::Stale)), "{what}");
        let new = lp.events().insert(User::new(), |_, (), _| {});
        assert_eq!(new.index(), old.index(), "{what}: the same slot");
        assert_eq!(name(&mut lp, new), None, "{what}");
        assert!(!lp.events().dump().contains('"'), "{what}");
    }
    Ok(())
}

/// What is described of an event that was just inserted is how it was described to the loop.
fn a_new_event_tells_all(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(5);
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let interest = Interest::READ | Interest::WRITE;
    let nothing = |_: &mut Events<'_>, (): &mut (), _| {};
    let mut keys = vec![
        lp.events().insert(User::new(), nothing),
        lp.events().insert(Timer::after(HOUR).priority(4).disarmed(), nothing),
        lp.events().insert(Timer::every(SECOND), nothing),
        lp.events().insert(Timer::at(Time::from_nanos(7)), nothing),
        lp.events()
            .insert(RawIo::new(fd, interest).mode(Mode::OneShot), nothing),
        lp.events().insert(
            RawIo::new(-1, Interest::READ).once().timeout(SECOND).priority(0),
            nothing,
        ),
        lp.events().insert(Signal::new(SIGNAL), nothing),
        lp.events().insert(Signal::new(SIGNAL).once().disarmed(), nothing),
    ];
    let owned = near.try_clone().unwrap();
    let owned_fd = owned.as_raw_fd();
    keys.push(lp.events().insert(Io::new(owned, Interest::READ), |_, _, _| {}));

    let raw = |fd, interest| Target::Raw { fd, interest };
    let (once, persistent) = (Persistence::Once, Persistence::Persistent);
    let owned = Target::Owned {
        fd: owned_fd,
        interest: Interest::READ,
    };
    // Target, mode, persistence, priority, timeout, registered, with a deadline.
    let expected = [
        (Target::None, Mode::Level, persistent, 2, None, false, false),
        (Target::None, Mode::Level, once, 4, Some(HOUR), false, false),
        (Target::None, Mode::Level, persistent, 2, Some(SECOND), false, true),
        (Target::None, Mode::Level, once, 2, None, false, true),
        (raw(fd, interest), Mode::OneShot, persistent, 2, None, true, false),
        (raw(-1, Interest::READ), Mode::Level, once, 0, Some(SECOND), true, true),
        (Target::Signal(SIGNAL), Mode::Level, persistent, 2, None, true, false),
        (Target::Signal(SIGNAL), Mode::Level, once, 2, None, false, false),
        (owned, Mode::Level, persistent, 2, None, true, false),
    ];
    for (key, expected) in keys.into_iter().zip(expected) {
        let info = lp.events().describe(key).unwrap();
        let deadline = lp.events().deadline(key).unwrap();
        assert_eq!(
            (info.key, info.name, info.active, info.is_running),
            (key, None, None, false)
        );
        assert_eq!(info.deadline, deadline);
        let told = (
            info.target,
            info.mode,
            info.persistence,
            info.priority,
            info.timeout,
            info.is_registered,
            info.deadline.is_some(),
        );
        assert_eq!(told, expected);
    }
    Ok(())
}

/// A description is of the moment: each change of an event is in the next one, and nothing else is.
fn changes_are_described(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let (key, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let mut expected = lp.events().describe(key).unwrap();
    let check = |lp: &mut Loop, expected: &_| assert_eq!(&lp.events().describe(key).unwrap(), expected);

    lp.events().set_interest(key, Interest::WRITE).unwrap();
    expected.target = Target::Raw {
        fd,
        interest: Interest::WRITE,
    };
    check(&mut lp, &expected);
    lp.events().set_priority(key, 0).unwrap();
    expected.priority = 0;
    check(&mut lp, &expected);
    lp.events().set_timeout(key, Some(HOUR)).unwrap();
    expected.timeout = Some(HOUR);
    check(&mut lp, &expected);
    lp.events().add_at(key, Time::MAX).unwrap();
    expected.deadline = Some(Time::MAX);
    check(&mut lp, &expected);
    lp.events().add_after(key, SECOND).unwrap();
    expected.timeout = Some(SECOND);
    expected.deadline = lp.events().deadline(key).unwrap();
    assert_ne!(expected.deadline, Some(Time::MAX));
    check(&mut lp, &expected);
    lp.events().set_timeout(key, None).unwrap();
    expected.timeout = None;
    check(&mut lp, &expected);
    lp.events().clear_timeout(key).unwrap();
    expected.deadline = None;
    check(&mut lp, &expected);
    lp.events().set_name(key, "named").unwrap();
    expected.name = Some("named".into());
    check(&mut lp, &expected);
    lp.events().delete(key).unwrap();
    expected.is_registered = false;
    check(&mut lp, &expected);
    lp.events().add(key).unwrap();
    expected.is_registered = true;
    check(&mut lp, &expected);
    Ok(())
}

/// While an event is active its causes are told; in its callback that it runs, and what a one-shot event has lost.
fn activity_is_described(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let log = Log::new();
    let seen = log.clone();
    let event = Io::new(near, Interest::READ).once().timeout(HOUR);
    let other = lp.events().insert(User::new(), |_, (), _| {});
    let key = lp.events().insert(event, move |cx, _, fired| {
        assert!(!cx.describe(other).unwrap().is_running, "another event");
        let info = cx.describe(fired.key()).unwrap();
        seen.push((info.is_running, info.active, info.is_registered, info.deadline));
        cx.activate(fired.key(), Causes::ERROR).unwrap();
        let info = cx.describe(fired.key()).unwrap();
        seen.push((info.is_running, info.active, info.is_registered, info.deadline));
        cx.delete(fired.key()).unwrap();
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    let active = |lp: &mut Loop| lp.events().describe(key).unwrap().active;
    assert_eq!(active(&mut lp), Some(Causes::empty()), "active for no cause");
    lp.events().activate_later(key, Causes::WRITE).unwrap();
    assert_eq!(active(&mut lp), Some(Causes::WRITE));
    lp.events().activate(key, Causes::READ).unwrap();
    assert_eq!(active(&mut lp), Some(Causes::READ | Causes::WRITE));
    lp.pass();
    assert_eq!(
        log.take(),
        [(true, None, false, None), (true, Some(Causes::ERROR), false, None)]
    );
    let info = lp.events().describe(key).unwrap();
    assert_eq!((info.is_running, info.active), (false, None));
    lp.events().activate_later(key, Causes::CLOSED).unwrap();
    assert_eq!(active(&mut lp), Some(Causes::CLOSED), "in the next turn");
    Ok(())
}

/// Nothing is known of an event that was removed, also from its own callback and while its finalizer waits.
fn removed_events_are_not_described(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        cx.remove(fired.key()).unwrap();
        seen.push(matches!(cx.describe(fired.key()), Err(Error::Stale)));
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    lp.pass();
    assert_eq!(log.take(), [true]);
    assert!(matches!(lp.events().describe(key), Err(Error::Stale)));
    let key = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().finalize(key, |_| {}).unwrap();
    assert!(matches!(lp.events().describe(key), Err(Error::Stale)));
    Ok(())
}

/// All events are listed, added or not, in the order of their indices, each as it is described.
fn all_events_are_listed(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(lp.events().all(), []);
    let (near, _far) = pair();
    let mut keys = vec![];
    for _ in 0..3 {
        keys.push(lp.events().insert(User::new(), |_, (), _| {}));
        keys.push(lp.events().insert(Timer::after(HOUR), |_, (), _| {}));
        keys.push(watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).disarmed()).0);
        keys.push(lp.events().insert(Signal::new(SIGNAL), |_, (), _| {}));
    }
    for gone in [7, 2] {
        lp.events().remove(keys.remove(gone)).unwrap();
    }
    lp.events().finalize(keys.remove(4), |_| {}).unwrap();
    lp.events().set_name(keys[3], "named").unwrap();
    lp.events().activate(keys[0], Causes::READ).unwrap();
    keys.push(lp.events().insert(User::new(), |_, (), _| {}));
    keys.sort_by_key(|key| key.index());
    let expected: Vec<_> = keys.iter().map(|&key| lp.events().describe(key).unwrap()).collect();
    assert_eq!(lp.events().all(), expected);
    assert_eq!(expected.len(), lp.events().len());
    Ok(())
}

/// The event that runs is named while its callback does, and between callbacks there is none.
fn the_running_event_is_known(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(lp.events().running(), None);
    let log = Log::new();
    let mut keys = vec![];
    for _ in 0..2 {
        let seen = log.clone();
        let key = lp.events().insert(User::new(), move |cx, (), fired| {
            assert_eq!(cx.running(), Some(fired.key()));
            seen.push(cx.running());
            cx.remove(fired.key()).unwrap();
            assert_eq!(cx.running(), Some(fired.key()), "removed, but it runs");
        });
        lp.events().activate(key, Causes::empty()).unwrap();
        keys.push(Some(key));
    }
    let (remote, seen) = (lp.remote(), log.clone());
    remote.post(move |cx| seen.push(cx.running())).unwrap();
    let seen = log.clone();
    lp.events().on_check(move |cx| seen.push(cx.running()));
    lp.pass();
    assert_eq!(
        log.take(),
        [None, None, keys[0], keys[1]],
        "a hook and a posted closure are no event"
    );
    assert_eq!(lp.events().running(), None);
    let ended = lp.events().insert(User::new(), |_, (), _| {});
    let seen = log.clone();
    lp.events().finalize(ended, move |cx| seen.push(cx.running())).unwrap();
    lp.pass();
    assert_eq!(log.take(), [None, None], "nor is a finalizer");
    assert_eq!(lp.events().running(), None);
    Ok(())
}

/// While a callback runs, other threads see it; when it has returned they do not.
fn the_running_event_is_known_to_other_threads(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let key = lp.events().insert(User::new(), move |_, (), fired| {
        ask.send(fired.key()).unwrap();
        let () = answered.recv().unwrap();
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let runs = asked.recv().unwrap();
            let (running, info) = (handle.running().unwrap(), handle.describe(runs).unwrap());
            let dump = handle.dump().unwrap();
            answer.send(()).unwrap();
            assert_eq!(running, Some(runs));
            assert!(info.is_running);
            assert!(dump.contains(", runs\n"), "{dump}");
        });
        lp.pass();
    });
    assert_eq!(lp.events().running(), None);
    assert!(!lp.events().describe(key).unwrap().is_running);
    Ok(())
}

/// The text has a line for the loop and one for each event; this is all of it.
fn dump_is_a_line_for_each(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let backend = lp.events().backend_name();
    assert_eq!(
        lp.events().dump(),
        format!("{backend}, priorities: 3, events: 0, active: 0, holds: 0\n")
    );
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let owned = near.try_clone().unwrap();
    let owned_fd = owned.as_raw_fd();
    lp.events().insert(User::new(), |_, (), _| {});
    let named = lp.events().insert(Io::new(owned, Interest::READ), |_, _, _| {});
    lp.events().set_name(named, "the \"listener\"").unwrap();
    let event = RawIo::new(fd, Interest::READ | Interest::WRITE).mode(Mode::OneShot);
    lp.events().insert(event.priority(0).disarmed(), |_, (), _| {});
    let event = RawIo::new(-1, Interest::WRITE).once().timeout(SECOND).disarmed();
    lp.events().insert(event, |_, (), _| {});
    lp.events().insert(Timer::at(Time::ZERO).priority(2), |_, (), _| {});
    let active = lp.events().insert(Timer::every(HOUR).disarmed(), |_, (), _| {});
    lp.events().activate(active, Causes::READ | Causes::TIMEOUT).unwrap();
    let later = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().activate_later(later, Causes::empty()).unwrap();
    lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
    let _held = lp.events().keep_alive();
    // The library's own events take indices as well: where they do is not told.
    let keys = lp.events().all().into_iter().map(|event| event.key.index());
    let lines = [
        ": user event, persistent, priority 1".to_string(),
        format!(" \"the \\\"listener\\\"\": fd {owned_fd} READ, persistent, priority 1, waits"),
        format!(": raw fd {fd} READ|WRITE OneShot, persistent, priority 0"),
        ": raw fd -1 WRITE, once, priority 1, timeout 1s".to_string(),
        ": timer, once, priority 2, due in 0ns".to_string(),
        ": timer, persistent, priority 1, timeout 3600s, active for READ|TIMEOUT".to_string(),
        ": user event, persistent, priority 1, active for nothing".to_string(),
        format!(": signal {SIGNAL}, persistent, priority 1, waits"),
    ];
    let mut expected = format!("{backend}, priorities: 3, events: 8, active: 2, holds: 1\n");
    for (index, line) in keys.zip(lines) {
        writeln!(expected, "  #{index}{line}").unwrap();
    }
    assert_eq!(lp.events().dump(), expected);
    Ok(())
}

/// The text of an event that is registered, has a deadline, is active again and runs, all at once, tells all of that.
fn dump_tells_what_goes_on(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let log = Log::new();
    let seen = log.clone();
    let fd = near.as_raw_fd();
    let key = lp
        .events()
        .insert(RawIo::new(fd, Interest::READ).timeout(HOUR), move |cx, (), fired| {
            cx.add_at(fired.key(), Time::ZERO).unwrap();
            cx.activate_later(fired.key(), Causes::CLOSED | Causes::ERROR).unwrap();
            seen.push(cx.dump());
            cx.delete(fired.key()).unwrap();
        });
    lp.events().activate(key, Causes::READ).unwrap();
    lp.pass();
    let (backend, index) = (lp.events().backend_name(), key.index());
    assert_eq!(
        log.take(),
        [format!(
            "{backend}, priorities: 1, events: 1, active: 1, holds: 0
  #{index}: raw fd {fd} READ, persistent, priority 0, timeout 3600s, waits, due in 0ns, active for CLOSED|ERROR, runs
"
        )]
    );
    Ok(())
}

/// Deadlines are told as what is left of them at the reading of the clock that is given; a dump reads the clock itself.
fn deadlines_in_text_are_relative(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let key = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
    let info = lp.events().describe(key).unwrap();
    let deadline = info.deadline.unwrap();
    let before = |by: Duration| Time::from_nanos(deadline.as_nanos() - by.as_nanos() as u64);
    for (now, due) in [
        (before(SECOND), "1s"),
        (before(Duration::from_millis(1500)), "1.5s"),
        (before(Duration::from_nanos(1)), "1ns"),
        (deadline, "0ns"),
        (deadline + SECOND, "0ns"),
    ] {
        let index = key.index();
        assert_eq!(
            info.at(now).to_string(),
            format!("#{index}: timer, once, priority 0, timeout 3600s, due in {due}")
        );
    }
    // In the text of the loop it is what is left somewhere between these two readings.
    let most = deadline.saturating_duration_since(lp.events().read_clock());
    let dump = lp.events().dump();
    let least = deadline.saturating_duration_since(lp.events().read_clock());
    let due = dump.trim_end().rsplit("due in ").next().unwrap();
    let due: f64 = due.strip_suffix('s').and_then(|due| due.parse().ok()).expect(due);
    let range = least.as_secs_f64() - 1e-6..=most.as_secs_f64() + 1e-6;
    assert!(range.contains(&due), "{due}: {range:?}");
    Ok(())
}

/// Inserts an event that logs its name and causes.
fn log_calls(lp: &mut Loop, event: RawIo, name: &'static str, log: &Log<(&'static str, Causes)>) -> EventKey {
    let seen = log.clone();
    lp.events()
        .insert(event, move |_, (), fired| seen.push((name, fired.causes())))
}

/// Every added event on the descriptor that waits for one of the causes becomes active, with those it waits for.
fn a_descriptors_events_are_activated(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let log = Log::new();
    log_calls(&mut lp, RawIo::new(fd, Interest::READ), "read", &log);
    let both = RawIo::new(fd, Interest::READ | Interest::WRITE);
    let both = log_calls(&mut lp, both, "both", &log);
    let ask = |lp: &mut Loop, causes| {
        let number = lp.events().activate_descriptor(fd, causes);
        let active: Vec<_> = lp.events().all().iter().map(|event| event.active).collect();
        (number, active)
    };
    let (none, read, write) = (None, Some(Causes::READ), Some(Causes::WRITE));
    assert_eq!(ask(&mut lp, Causes::CLOSED | Causes::TIMEOUT), (0, vec![none, none]));
    assert_eq!(ask(&mut lp, Causes::empty()), (0, vec![none, none]));
    assert_eq!(ask(&mut lp, Causes::WRITE | Causes::CLOSED), (1, vec![none, write]));
    assert_eq!(
        ask(&mut lp, Causes::READ | Causes::ERROR),
        (2, vec![read, Some(Causes::READ | Causes::WRITE)])
    );
    lp.events().set_interest(both, Interest::READ).unwrap();
    lp.pass();
    assert_eq!(
        log.take(),
        [("both", Causes::READ | Causes::WRITE), ("read", Causes::READ)],
        "nothing is readable, it was done by hand"
    );
    assert_eq!(ask(&mut lp, Causes::all()), (2, vec![read, read]));
    Ok(())
}

/// They are called in the order in which readiness calls them: what was added last comes first.
fn a_descriptors_events_are_activated_newest_first(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let log = Log::new();
    let keys = ["a", "b", "c", "d"].map(|name| log_calls(&mut lp, RawIo::new(fd, Interest::READ), name, &log));
    lp.events().delete(keys[1]).unwrap();
    lp.events().add(keys[1]).unwrap();
    assert_eq!(lp.events().activate_descriptor(fd, Causes::READ), 4);
    lp.pass();
    let by_hand = log.take();
    assert_eq!(by_hand.iter().map(|(name, _)| *name).collect::<String>(), "bdca");
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), by_hand);
    Ok(())
}

/// Other descriptors' events, those that are not added, and the library's own are never meant; and no number is an error.
fn what_is_not_on_the_descriptor_is_not_activated(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, far) = pair();
    let log = Log::new();
    let fd = near.as_raw_fd();
    log_calls(&mut lp, RawIo::new(fd, Interest::READ).disarmed(), "not added", &log);
    let deleted = log_calls(&mut lp, RawIo::new(fd, Interest::READ), "deleted", &log);
    lp.events().delete(deleted).unwrap();
    log_calls(&mut lp, RawIo::new(far.as_raw_fd(), Interest::READ), "elsewhere", &log);
    log_calls(&mut lp, RawIo::new(-1, Interest::READ), "nowhere", &log);
    let _remote = lp.remote();
    lp.events().insert(Signal::new(SIGNAL), |_, (), _| panic!("a signal"));
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("a timer"));
    lp.pass();
    // Whatever the notifier's and the signal pipe's numbers are, they are among these.
    let numbers = (-2..256)
        .chain([i32::MAX, i32::MIN])
        .filter(|&fd| fd != far.as_raw_fd());
    for fd in numbers {
        assert_eq!(lp.events().activate_descriptor(fd, Causes::all()), 0, "{fd}");
    }
    assert_eq!(counts(&mut lp)[3], 0);
    lp.pass();
    assert_eq!(log.take(), []);
    assert_eq!(lp.events().activate_descriptor(far.as_raw_fd(), Causes::all()), 1);
    Ok(())
}

/// An event that is active already gets the causes and is counted, and is called once; one that is active in the next
/// turn is brought into this one.
fn activation_by_descriptor_joins_what_is_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (mut near, mut far) = pair();
    let fd = near.as_raw_fd();
    far.write_all(b"x").unwrap();
    let (key, log) = watch(&mut lp, RawIo::new(fd, Interest::READ | Interest::ERROR));
    lp.events().activate(key, Causes::PRIORITY).unwrap();
    assert_eq!(lp.events().activate_descriptor(fd, Causes::ERROR | Causes::WRITE), 1);
    lp.pass();
    assert_eq!(log.take(), [Causes::PRIORITY | Causes::ERROR | Causes::READ]);
    near.read_exact(&mut [0]).unwrap();
    let seen = log.clone();
    let user = lp.events().insert(User::new(), move |cx, (), _| {
        seen.push(Causes::empty());
        cx.activate_later(key, Causes::PRIORITY).unwrap();
        assert_eq!(cx.activate_descriptor(fd, Causes::ERROR), 1);
        cx.stop_after_turn();
    });
    lp.events().activate(user, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), [Causes::empty(), Causes::PRIORITY | Causes::ERROR]);
    Ok(())
}

/// In a callback it takes effect in the same turn, and what is more urgent ends that.
fn activation_by_descriptor_in_a_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let log = Log::new();
    log_calls(&mut lp, RawIo::new(fd, Interest::READ).priority(0), "urgent", &log);
    log_calls(
        &mut lp,
        RawIo::new(fd, Interest::READ).priority(1),
        "like the caller",
        &log,
    );
    let seen = log.clone();
    let caller = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        seen.push(("caller", Causes::empty()));
        assert_eq!(cx.activate_descriptor(fd, Causes::READ), 2);
    });
    let seen = log.clone();
    let second = lp.events().insert(User::new().priority(1), move |_, (), _| {
        seen.push(("second", Causes::empty()));
    });
    activate(&mut lp, &[caller, second]);
    lp.pass();
    let names: Vec<_> = log.take().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["caller", "urgent", "second", "like the caller"]);
    Ok(())
}

/// Every added event on the signal is called once, newest first; no signal is sent for that.
fn a_signals_events_are_activated(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let keys = ["a", "b", "c"].map(|name| {
        let seen = log.clone();
        lp.events().insert(Signal::new(SIGNAL), move |_, (), fired| {
            seen.push((name, fired.causes()));
        })
    });
    assert_eq!(lp.events().activate_signal(SIGNAL), 3);
    assert_eq!(lp.events().activate_signal(SIGNAL), 3, "they are active already");
    lp.pass();
    let signal = Causes::SIGNAL;
    assert_eq!(
        log.take(),
        [("c", signal), ("b", signal), ("a", signal)],
        "one call each"
    );
    lp.pass();
    assert_eq!(log.take(), []);
    lp.events().delete(keys[1]).unwrap();
    assert_eq!(lp.events().activate_signal(SIGNAL), 2);
    lp.pass();
    assert_eq!(log.take(), [("c", signal), ("a", signal)]);
    Ok(())
}

/// Events that are not added or wait for other signals are never meant, nor are descriptors; and no number is an error.
fn what_is_not_on_the_signal_is_not_activated(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events()
        .insert(Signal::new(SIGNAL).disarmed(), log.noting("not added"));
    lp.events()
        .insert(Signal::new(SIGNAL + 5), log.noting("another signal"));
    // The descriptor of the same number.
    lp.events()
        .insert(RawIo::new(-1, Interest::READ), log.noting("no signal"));
    for signal in (-2..200)
        .chain([i32::MAX, i32::MIN])
        .filter(|&signal| signal != SIGNAL + 5)
    {
        assert_eq!(lp.events().activate_signal(signal), 0, "{signal}");
    }
    lp.pass();
    assert_eq!(log.take(), <[&str; 0]>::default());
    assert_eq!(lp.events().activate_signal(SIGNAL + 5), 1);
    lp.pass();
    assert_eq!(log.take(), ["another signal"]);
    Ok(())
}

/// Events keep their priorities; those that are inserted afterwards without one get the new middle.
fn priorities_change(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let old = lp.events().insert(User::new(), log.noting("old default, 1"));
    lp.events().set_priorities(7).unwrap();
    assert_eq!(lp.events().priorities(), 7);
    let new = lp.events().insert(User::new(), log.noting("new default, 3"));
    let last = lp.events().insert(User::new().priority(6), log.noting("last"));
    let second = lp.events().insert(User::new().priority(2), log.noting("second"));
    let told = |lp: &mut Loop, key| lp.events().describe(key).unwrap().priority;
    assert_eq!((told(&mut lp, old), told(&mut lp, new)), (1, 3));
    activate(&mut lp, &[last, new, second, old]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["old default, 1", "second", "new default, 3", "last"]);
    lp.events().set_priority(last, 5).unwrap();
    lp.events().set_priorities(6).unwrap();
    lp.events().set_priorities(255).unwrap();
    let most = lp.events().insert(User::new(), |_, (), _| {});
    assert_eq!(told(&mut lp, most), 127);
    assert!(lp.events().set_priority(most, 254).is_ok());
    assert!(lp.events().set_priority(most, 255).is_err());
    Ok(())
}

/// Nothing changes while any event is active, in this turn or the next, or is to be finalized.
fn priorities_do_not_change_while_anything_is_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let key = lp.events().insert(User::new(), log.noting("called"));
    let refused = |lp: &mut Loop| {
        for number in [1, 2, 3] {
            assert!(matches!(lp.events().set_priorities(number), Err(Error::Active)));
        }
        assert_eq!(lp.events().priorities(), 2);
    };
    lp.events().activate(key, Causes::empty()).unwrap();
    refused(&mut lp);
    lp.events().delete(key).unwrap();
    lp.events().activate_later(key, Causes::empty()).unwrap();
    refused(&mut lp);
    lp.pass();
    assert_eq!(log.take(), ["called"]);
    let other = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().finalize(other, log.note("finalized")).unwrap();
    refused(&mut lp);
    lp.pass();
    assert_eq!(log.take(), ["finalized"]);
    lp.events().set_priorities(3).unwrap();
    assert_eq!(lp.events().priorities(), 3);
    Ok(())
}

/// A number that would leave an event without its priority is refused, whether the event is added or not.
fn priorities_in_use_do_not_go(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(5);
    let low = lp
        .events()
        .insert(Timer::after(HOUR).priority(3).disarmed(), |_, (), _| {});
    lp.events().insert(Timer::after(HOUR).priority(0), |_, (), _| {});
    for number in [1, 3] {
        match lp.events().set_priorities(number) {
            Err(Error::Priority { asked: 3, available }) => assert_eq!(available, number),
            other => panic!("{other:?}"),
        }
        assert_eq!(lp.events().priorities(), 5);
    }
    let unnamed = lp.events().insert(User::new(), |_, (), _| {});
    assert_eq!(
        lp.events().describe(unnamed).unwrap().priority,
        2,
        "still the old middle"
    );
    lp.events().set_priorities(4).unwrap();
    lp.events().remove(low).unwrap();
    lp.events().set_priorities(3).unwrap();
    assert_eq!(lp.events().priorities(), 3);
    Ok(())
}

/// In a callback the number can change, also to one that the turn's own priority is beyond: that is the turn's end.
fn priorities_change_in_a_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    for (ends, name) in [(false, "less urgent no more"), (true, "removed")] {
        let seen = log.clone();
        let last = lp.events().insert(User::new().priority(2), move |cx, (), fired| {
            assert!(matches!(cx.set_priorities(2), Err(Error::Priority { asked: 2, .. })));
            if ends {
                cx.remove(fired.key()).unwrap();
            } else {
                cx.set_priority(fired.key(), 0).unwrap();
            }
            cx.set_priorities(1).unwrap();
            let next = cx.insert(User::new(), seen.noting("the next turn's"));
            cx.activate_later(next, Causes::empty()).unwrap();
            seen.push(name);
        });
        lp.events().activate(last, Causes::empty()).unwrap();
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [name, "the next turn's"]);
        assert_eq!(lp.events().priorities(), 1);
        lp.events().set_priorities(3).unwrap();
    }
    let seen = log.clone();
    let more = lp.events().insert(User::new().priority(2), move |cx, (), _| {
        cx.set_priorities(9).unwrap();
        let inserted = cx.insert(User::new().priority(8), seen.noting("of a new priority"));
        cx.activate(inserted, Causes::empty()).unwrap();
    });
    lp.events().activate(more, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["of a new priority"]);
    Ok(())
}
