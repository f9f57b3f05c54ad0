//! Work that is done once: events that fire once and are gone, closures that are put off, and finalizers.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use ev_core::{
    Causes, Error, EventKey, Features, Interest, Io, Mode, Outcome, Persistence, RawIo, RunMode, Signal, Timer, User,
};
use ev_sys::signal::{Action, Disposition, raise};
use libc::SIGUSR1;

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::Verdict;
use crate::support::{HOUR, Log, OnDrop, activate, handle, need, pair, pair_with, ready_pair, until_main_sleeps};

scenarios!("later":
    once_gives_the_source_away,
    once_is_gone_when_it_is_called,
    once_makes_room_in_its_callback,
    the_kernel_has_forgotten_a_source_that_was_given_away,
    a_source_that_was_given_away_is_inserted_anew,
    a_descriptor_is_inserted_anew_in_another_mode,
    once_by_readiness_takes_its_deadline_along,
    once_by_deadline_takes_its_registration_along,
    once_by_both_is_one_call,
    once_of_a_timer,
    once_of_a_signal_is_one_call,
    once_of_a_raw_descriptor,
    once_of_a_user_event,
    once_has_its_priority,
    once_disarmed_waits_to_be_added,
    once_called_off,
    once_called_off_while_active,
    once_is_dropped_with_the_loop,
    once_refused_comes_back,
    once_from_another_thread,
    deferred_after_the_callback_and_its_siblings,
    deferred_in_order,
    deferred_with_the_middle_priority,
    deferred_with_a_priority,
    deferred_more_urgent_ends_the_turn,
    deferred_with_a_priority_that_does_not_exist_comes_back,
    deferred_beyond_thirty_three_is_for_the_next_turn,
    deferred_chains_do_not_starve_descriptors,
    deferred_outside_a_run_is_called_in_the_next,
    deferred_is_activity,
    deferred_called_off,
    deferred_is_dropped_with_the_loop,
    deferred_from_another_thread,
    a_finalizer_is_called_once,
    a_finalizer_comes_after_the_callback_that_runs,
    a_finalizer_ends_what_the_event_waits_for,
    a_finalizer_replaces_a_pending_call,
    a_finalizer_takes_back_deliveries,
    a_finalizer_ends_a_period,
    a_finalized_key_is_stale,
    a_finalizer_has_its_events_priority,
    a_finalizer_keeps_the_loop,
    a_finalizer_after_closure_and_source_are_dropped,
    the_kernel_has_forgotten_a_finalized_source,
    a_finalizer_may_reuse_the_descriptor,
    a_finalizer_may_insert_into_its_slot,
    a_finalizer_finalizes_others,
    a_finalizer_of_a_one_time_event,
    a_finalizer_is_dropped_with_the_loop,
    a_second_finalizer_comes_back,
    a_finalizer_while_the_callback_runs_in_another_thread,
    a_finalizer_from_another_thread_wakes_the_loop,
);

/// A stream whose end is logged.
struct Source {
    stream: UnixStream,
    #[expect(dead_code, reason = "for its drop")]
    end: OnDrop<&'static str>,
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A source that logs its end, and the other side of it.
fn source(log: &Log<&'static str>) -> (Source, UnixStream) {
    let (stream, far) = pair();
    let end = log.on_drop("source dropped");
    (Source { stream, end }, far)
}

/// Logs the thread that drops it.
struct Dropped(Log<(&'static str, ThreadId)>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.push(("dropped", thread::current().id()));
    }
}

/// Asserts that an operation is refused and that what it was given comes back: the token is not dropped with the refusal.
macro_rules! assert_comes_back {
    ($lp:expr, $error:pat, |$events:ident, $token:ident| $operation:expr) => {
        let log = Log::new();
        let $token = log.on_drop("dropped");
        let value: Box<dyn std::any::Any> = match $lp {
            Loop::Local($events) => {
                let rejected = $operation.unwrap_err();
                assert!(matches!(rejected.error, $error));
                Box::new(rejected.value)
            }
            Loop::Shared(lp) => {
                let $events = lp.handle();
                let rejected = $operation.unwrap_err();
                assert!(matches!(rejected.error, $error));
                Box::new(rejected.value)
            }
        };
        assert_eq!(log.len(), 0);
        drop(value);
        assert_eq!(log.take(), ["dropped"]);
    };
}

/// The callback gets the source by value, open and in working order, and may do with it what it likes.
fn once_gives_the_source_away(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = ready_pair();
    let (give, given) = mpsc::channel();
    lp.events()
        .once(Io::new(near, Interest::READ), move |_, socket, fired| {
            assert!(fired.is_readable());
            give.send(socket).unwrap();
        });
    assert_eq!(lp.run(), Outcome::Empty);
    let mut socket = given.recv().unwrap();
    assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
    socket.write_all(b"y").unwrap();
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 1);
    Ok(())
}

/// In its callback the event exists no more, and a level-triggered condition that goes on is not reported again.
fn once_is_gone_when_it_is_called(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = source(&log);
    far.write_all(b"x").unwrap();
    let (seen, captured) = (log.clone(), log.on_drop("closure dropped"));
    let key = lp
        .events()
        .once(Io::new(near, Interest::READ), move |cx, source, fired| {
            let _captured = captured;
            let key = fired.key();
            assert!(!cx.contains(key));
            assert_eq!(cx.len(), 0);
            assert!(matches!(cx.add(key), Err(Error::Stale)));
            assert!(matches!(cx.remove(key), Err(Error::Stale)));
            assert!(matches!(cx.activate(key, Causes::READ), Err(Error::Stale)));
            assert!(matches!(cx.finalize(key, |_| ()), Err(Error::Stale)));
            seen.push("called");
            drop(source);
            seen.push("returns");
        });
    assert!(lp.events().contains(key));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "source dropped", "returns", "closure dropped"]);
    Ok(())
}

/// What the callback inserts may get the event's slot, and the end of the callback does not touch it.
fn once_makes_room_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().once(Timer::after(Duration::ZERO), move |cx, (), fired| {
        let next = cx.insert(Timer::after(Duration::ZERO), seen.noting("next"));
        assert_eq!(next.index(), fired.key().index());
        assert_ne!(next, fired.key());
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["next"]);
    assert_eq!(lp.events().len(), 1);
    Ok(())
}

/// The kernel forgets the descriptor before the callback can close it: where a duplicate keeps the file alive, the loop is
/// not woken for that, level- or edge-triggered.
fn the_kernel_has_forgotten_a_source_that_was_given_away(cell: &Cell) -> Verdict {
    for mode in [Mode::Level, Mode::Edge] {
        let (mut lp, waits) = cell.open_counted();
        if mode == Mode::Edge && need(&mut lp, Features::EDGE, "").is_err() {
            continue;
        }
        let (near, mut far) = pair();
        let duplicate = near.try_clone().unwrap();
        far.write_all(b"x").unwrap();
        let count = waits.clone();
        let event = Io::new(near, Interest::READ).mode(mode);
        lp.events().once(event, move |cx, socket, _| {
            drop(socket);
            far.write_all(b"y").unwrap();
            count.take();
            cx.once(Timer::after(Duration::from_millis(5)), move |_, (), _| drop(far));
        });
        assert_eq!(lp.run(), Outcome::Empty);
        // One for the timer, and an early return of the kernel's.
        let waited = waits.take();
        assert!(waited <= 2, "waited {waited} times");
        drop(duplicate);
    }
    Ok(())
}

/// Inserting the source again in the callback works at once, also where its number was closed and given out anew.
fn a_source_that_was_given_away_is_inserted_anew(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    lp.events().once(Io::new(near, Interest::READ), move |cx, socket, _| {
        seen.push("first");
        cx.once(Io::new(socket, Interest::READ), move |cx, socket, _| {
            seen.push("again");
            let number = socket.as_raw_fd();
            drop(socket);
            let (next, other) = pair_with(number);
            cx.once(Io::new(next, Interest::WRITE), move |_, _, fired| {
                assert_eq!(fired.causes(), Causes::WRITE);
                seen.push("another file");
                drop(other);
            });
        });
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "again", "another file"]);
    Ok(())
}

/// Nothing is left of an edge-triggered event that would not go together with a level-triggered one.
fn a_descriptor_is_inserted_anew_in_another_mode(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EDGE, "the backend knows levels only")?;
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    let edge = Io::new(near, Interest::READ).mode(Mode::Edge);
    lp.events().once(edge, move |cx, socket, _| {
        seen.push("edge");
        cx.once(Io::new(socket, Interest::READ), move |cx, socket, _| {
            seen.push("level");
            // The readiness has been reported before: a new registration reports it anew.
            let edge = Io::new(socket, Interest::READ).mode(Mode::Edge);
            cx.once(edge, move |_, _, _| seen.push("edge again"));
        });
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["edge", "level", "edge again"]);
    Ok(())
}

/// Readiness that comes before the timeout is the one call, and the deadline does not keep the loop.
fn once_by_readiness_takes_its_deadline_along(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    let event = Io::new(near, Interest::READ).timeout(HOUR);
    lp.events().once(event, move |_, _, fired| seen.push(fired.causes()));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A timeout that comes before readiness is the one call; it gets the source as well, which the kernel has forgotten.
fn once_by_deadline_takes_its_registration_along(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let seen = log.clone();
    let event = Io::new(near, Interest::READ).timeout(Duration::from_millis(1));
    lp.events().once(event, move |_, mut socket, fired| {
        seen.push(fired.causes());
        far.write_all(b"x").unwrap();
        assert_eq!(socket.read(&mut [0; 8]).unwrap(), 1);
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::TIMEOUT]);
    Ok(())
}

/// Readiness and a timeout of the same turn are one call with both causes.
fn once_by_both_is_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    let event = Io::new(near, Interest::READ).timeout(Duration::ZERO);
    lp.events().once(event, move |_, _, fired| seen.push(fired.causes()));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ | Causes::TIMEOUT]);
    Ok(())
}

/// A timer of any description fires once and is gone, a periodic one too.
fn once_of_a_timer(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let now = lp.events().read_clock();
    let millisecond = Duration::from_millis(1);
    for timer in [Timer::after(millisecond), Timer::at(now), Timer::every(millisecond)] {
        let log = Log::new();
        let seen = log.clone();
        let key = lp.events().once(timer, move |_, (), fired| seen.push(fired.causes()));
        assert_eq!(lp.events().describe(key).unwrap().persistence, Persistence::Once);
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [Causes::TIMEOUT]);
        assert_eq!(lp.events().len(), 0);
    }
    Ok(())
}

/// Of several deliveries of a signal there is one call, and the signal's disposition is restored before it.
fn once_of_a_signal_is_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().once(Signal::new(SIGUSR1), move |_, (), fired| {
        assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
        seen.push(fired.causes());
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::SIGNAL]);
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// A raw descriptor may be closed in the callback, whose event is deleted by then, and its number used again.
fn once_of_a_raw_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    let fd = near.as_raw_fd();
    lp.events().once(RawIo::new(fd, Interest::READ), move |cx, (), fired| {
        seen.push(fired.causes());
        drop(near);
        let (next, _far) = pair();
        let fd = next.as_raw_fd();
        cx.once(RawIo::new(fd, Interest::WRITE), move |_, (), fired| {
            seen.push(fired.causes());
            drop(next);
        });
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ, Causes::WRITE]);
    Ok(())
}

/// A user event waits for its activation without keeping the loop, and exists for one.
fn once_of_a_user_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp
        .events()
        .once(User::new(), move |_, (), fired| seen.push(fired.causes()));
    assert_eq!(lp.run(), Outcome::Empty);
    assert!(lp.events().contains(key));
    lp.events().activate(key, Causes::READ).unwrap();
    lp.events().activate(key, Causes::WRITE).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ | Causes::WRITE]);
    assert!(matches!(lp.events().activate(key, Causes::READ), Err(Error::Stale)));
    Ok(())
}

/// The priority of the description holds.
fn once_has_its_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let now = lp.events().read_clock();
    for (priority, name) in [(2, "low"), (0, "high"), (1, "middle")] {
        let seen = log.clone();
        lp.events()
            .once(Timer::at(now).priority(priority), move |_, (), _| seen.push(name));
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["high", "middle", "low"]);
    Ok(())
}

/// One that is inserted without being added, or was deleted, fires when it has been added.
fn once_disarmed_waits_to_be_added(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = source(&log);
    far.write_all(b"x").unwrap();
    let seen = log.clone();
    let event = Io::new(near, Interest::READ).disarmed();
    let key = lp.events().once(event, move |_, _, _| seen.push("called"));
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().add(key).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    lp.events().add(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "source dropped"]);
    Ok(())
}

/// Removing it drops closure and source uncalled, at once.
fn once_called_off(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = source(&log);
    far.write_all(b"x").unwrap();
    let (seen, captured) = (log.clone(), log.on_drop("closure dropped"));
    let key = lp.events().once(Io::new(near, Interest::READ), move |_, _, _| {
        let _captured = captured;
        seen.push("called");
    });
    lp.events().remove(key).unwrap();
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["closure dropped", "source dropped"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// So it does when it was found ready already.
fn once_called_off_while_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let (near, mut far) = source(&log);
    far.write_all(b"x").unwrap();
    let seen = log.clone();
    let key = lp
        .events()
        .once(Io::new(near, Interest::READ).priority(1), move |_, _, _| {
            seen.push("called");
        });
    let seen = log.clone();
    let timer = Timer::after(Duration::ZERO).priority(0);
    lp.events().once(timer, move |cx, (), _| {
        seen.push("removes");
        cx.remove(key).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["removes", "source dropped"]);
    Ok(())
}

/// What has not fired is dropped with the loop, once and uncalled.
fn once_is_dropped_with_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let captured = log.on_drop("closure dropped");
    lp.events().once(Timer::after(HOUR), move |_, (), _| drop(captured));
    let (near, _far) = source(&log);
    lp.events()
        .once(Io::new(near, Interest::READ), |_, _, _| panic!("not ready"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.len(), 0);
    drop(lp);
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["closure dropped", "source dropped"]);
    Ok(())
}

/// What is refused comes back whole, the closure with what it captured and the source open; nothing is left in the loop.
fn once_refused_comes_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    assert_comes_back!(&mut lp, Error::Priority { asked: 7, .. }, |events, token| {
        let event = Io::new(near, Interest::READ).priority(7);
        let refused = events.once(event, move |_, _, _| drop(token));
        far.write_all(b"x").expect("the source is open");
        refused
    });
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// Another thread's one-time event wakes the loop, and is called and dropped in the loop's thread.
fn once_from_another_thread(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let (seen, dropped) = (log.clone(), Dropped(log.clone()));
    let inserter = thread::spawn(move || {
        until_main_sleeps();
        Events::Shared(handle).once(Timer::after(Duration::ZERO), move |cx, (), _| {
            let _dropped = dropped;
            seen.push(("called", thread::current().id()));
            cx.stop();
        });
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    inserter.join().unwrap();
    let here = thread::current().id();
    assert_eq!(log.take(), [("called", here), ("dropped", here)]);
    Ok(())
}

/// A deferred closure is called when the callback has returned, after what was active of its priority before.
fn deferred_after_the_callback_and_its_siblings(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let first = lp.events().insert(User::new(), move |cx, (), _| {
        let deferred = cx.defer(seen.note("deferred"));
        assert!(cx.contains(deferred));
        seen.push("first");
    });
    let second = lp.events().insert(User::new(), log.noting("second"));
    activate(&mut lp, &[first, second]);
    lp.events().on_prepare(log.noting_prepare("turn"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "first", "second", "deferred"]);
    assert_eq!(lp.events().len(), 2);
    Ok(())
}

/// Deferred closures are called in the order of deferring, those of deferred closures last; each key ends with its call.
fn deferred_in_order(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let first = lp.events().defer(move |cx| {
        seen.push("first");
        cx.defer(seen.note("fourth"));
    });
    let seen = log.clone();
    lp.events().defer(move |cx| {
        assert!(!cx.contains(first));
        assert!(matches!(cx.remove(first), Err(Error::Stale)));
        seen.push("second");
    });
    lp.events().defer(log.note("third"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second", "third", "fourth"]);
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// Without a priority named it is the middle one, whatever the callback's is.
fn deferred_with_the_middle_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let seen = log.clone();
    let urgent = lp.events().insert(User::new().priority(0), move |cx, (), _| {
        cx.defer(seen.note("deferred"));
        seen.push("urgent");
    });
    let middle = lp.events().insert(User::new().priority(1), log.noting("middle"));
    let low = lp.events().insert(User::new().priority(2), log.noting("low"));
    activate(&mut lp, &[low, urgent, middle]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["urgent", "middle", "deferred", "low"]);
    Ok(())
}

/// A deferred closure is called by the priority it was given.
fn deferred_with_a_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    for (priority, name) in [(2, "low"), (1, "middle"), (0, "high")] {
        lp.events()
            .defer_as(User::new().priority(priority), log.note(name))
            .unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["high", "middle", "low"]);
    Ok(())
}

/// Deferring what is more urgent than the callback lets that go before the callback's siblings.
fn deferred_more_urgent_ends_the_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        cx.defer_as(User::new().priority(0), seen.note("deferred")).unwrap();
        seen.push("first");
    });
    let second = lp.events().insert(User::new().priority(1), log.noting("second"));
    activate(&mut lp, &[first, second]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "deferred", "second"]);
    Ok(())
}

/// A priority that the loop does not have is refused, and the closure comes back uncalled.
fn deferred_with_a_priority_that_does_not_exist_comes_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_comes_back!(&mut lp, Error::Priority { asked: 1, available: 1 }, |events, token| {
        events.defer_as(User::new().priority(1), move |_| drop(token))
    });
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// Of what is deferred within a turn thirty-three are called in it; what was put off counts in the turn that calls it.
fn deferred_beyond_thirty_three_is_for_the_next_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare(1000));
    let seen = log.clone();
    let event = lp.events().insert(User::new(), move |cx, (), _| {
        for n in 0..39 {
            cx.defer(seen.note(n));
        }
        let seen = seen.clone();
        cx.defer(move |cx| {
            seen.push(39);
            for n in 40..70 {
                cx.defer(seen.note(n));
            }
        });
    });
    lp.events().activate(event, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let calls = log.take();
    let turns: Vec<&[i32]> = calls.split(|&entry| entry == 1000).skip(1).collect();
    let expected: [Vec<i32>; 3] = [(0..33).collect(), (33..66).collect(), (66..70).collect()];
    assert_eq!(turns, expected);
    Ok(())
}

/// Defers a closure that defers the next one, and so on.
fn chain(cx: &mut Events<'_>, log: Log<&'static str>, links: usize) {
    cx.defer(move |cx| {
        log.push("link");
        if links > 1 {
            chain(cx, log, links - 1);
        }
    });
}

/// A closure that goes on deferring itself leaves a turn after thirty-three, so that descriptors are looked at.
fn deferred_chains_do_not_starve_descriptors(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let seen = log.clone();
    lp.events()
        .once(Io::new(near, Interest::READ), move |_, _, _| seen.push("socket"));
    let seen = log.clone();
    let starter = lp.events().insert(User::new(), move |cx, (), _| {
        far.write_all(b"x").unwrap();
        chain(cx, seen.clone(), 100);
    });
    lp.events().activate(starter, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    let mut expected = vec!["link"; 100];
    // What was put off is active before the next turn asks the kernel.
    expected.insert(34, "socket");
    assert_eq!(log.take(), expected);
    Ok(())
}

/// A loop that does not run keeps any number for its next run, which does not end before; also after a run that deferred.
fn deferred_outside_a_run_is_called_in_the_next(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for _ in 0..3 {
        for n in 0..50 {
            lp.events().defer(log.note(n));
        }
        assert_eq!(log.len(), 0);
        assert_eq!(lp.run(), Outcome::Empty);
        assert!(log.take().into_iter().eq(0..50));
    }
    Ok(())
}

/// A pass of `ONCE` is complete with a deferred closure, and lasts until all are called, those put off too.
fn deferred_is_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let seen = log.clone();
    lp.events().defer(move |cx| chain(cx, seen, 70));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.len(), 70);
    Ok(())
}

/// Removing it drops the closure uncalled, in this turn or when it waits for the next.
fn deferred_called_off(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let event = lp.events().insert(User::new(), move |cx, (), _| {
        let keys: Vec<_> = (0..40)
            .map(|n| {
                let (seen, captured) = (seen.clone(), seen.on_drop("dropped"));
                cx.defer(move |_| {
                    let _captured = captured;
                    if n < 2 {
                        seen.push("called");
                    }
                })
            })
            .collect();
        for &key in &keys[2..] {
            cx.remove(key).unwrap();
            assert!(matches!(cx.remove(key), Err(Error::Stale)));
        }
        assert_eq!(seen.take().len(), 38);
    });
    lp.events().activate(event, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "dropped", "called", "dropped"]);
    Ok(())
}

/// A loop that is dropped before drops the closures uncalled.
fn deferred_is_dropped_with_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (seen, captured) = (log.clone(), log.on_drop("dropped"));
    lp.events().defer(move |_| {
        let _captured = captured;
        seen.push("called");
    });
    assert_eq!(log.len(), 0);
    drop(lp);
    assert_eq!(log.take(), ["dropped"]);
    Ok(())
}

/// What another thread defers wakes the loop and is called in the loop's thread, by its priority.
fn deferred_from_another_thread(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let seen = log.clone();
    let deferrer = thread::spawn(move || {
        until_main_sleeps();
        let dropped = Dropped(seen.clone());
        Events::Shared(handle).defer(move |cx| {
            let _dropped = dropped;
            seen.push(("called", thread::current().id()));
            cx.stop();
        });
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    deferrer.join().unwrap();
    let here = thread::current().id();
    assert_eq!(log.take(), [("called", here), ("dropped", here)]);
    Ok(())
}

/// A finalizer is called in the next run, once, and is dropped with its call.
fn a_finalizer_is_called_once(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), log.noting("callback"));
    let (seen, captured) = (log.clone(), log.on_drop("finalizer dropped"));
    lp.events()
        .finalize(key, move |cx| {
            let _captured = captured;
            assert_eq!(cx.len(), 0);
            seen.push("finalizer");
        })
        .unwrap();
    assert_eq!(log.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer", "finalizer dropped"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// An event that is finalized in its own callback has its finalizer called after that, in the same turn, behind what is
/// active.
fn a_finalizer_comes_after_the_callback_that_runs(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare("turn"));
    let (seen, captured) = (log.clone(), log.on_drop("closure dropped"));
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        let _captured = &captured;
        cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
        assert!(!cx.contains(fired.key()));
        seen.push("callback");
    });
    let other = lp.events().insert(User::new(), log.noting("other"));
    activate(&mut lp, &[key, other]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(
        log.take(),
        ["turn", "callback", "closure dropped", "other", "finalizer"]
    );
    Ok(())
}

/// A finalized event waits for nothing any more: neither its descriptor nor its deadline nor its signal keep the loop.
fn a_finalizer_ends_what_the_event_waits_for(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = pair();
    let keys = [
        lp.events().insert(Timer::every(HOUR), log.noting("timer")),
        lp.events().insert(Signal::new(SIGUSR1), log.noting("signal")),
        lp.events()
            .insert(Io::new(near, Interest::READ).timeout(HOUR), |_, _, _| {
                panic!("not ready")
            }),
    ];
    for key in keys {
        lp.events().finalize(key, log.note("finalizer")).unwrap();
    }
    assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer"; 3]);
    Ok(())
}

/// A call of the event's callback that was pending is taken back, in this turn or for the next.
fn a_finalizer_replaces_a_pending_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let now = lp.events().insert(User::new(), log.noting("callback"));
    let later = lp.events().insert(User::new(), log.noting("callback"));
    let other = lp.events().insert(User::new(), log.noting("other"));
    lp.events().activate(now, Causes::READ).unwrap();
    lp.events().activate(other, Causes::empty()).unwrap();
    lp.events().activate_later(later, Causes::READ).unwrap();
    lp.events().finalize(now, log.note("first")).unwrap();
    lp.events().finalize(later, log.note("second")).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other", "first", "second"]);
    Ok(())
}

/// A signal event that is finalized at the first of several deliveries is not called for the others.
fn a_finalizer_takes_back_deliveries(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let other = lp.events().insert(User::new(), log.noting("other"));
    let seen = log.clone();
    lp.events().insert(Signal::new(SIGUSR1), move |cx, (), fired| {
        cx.activate(other, Causes::empty()).unwrap();
        cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
        seen.push("delivery");
    });
    for _ in 0..3 {
        raise(SIGUSR1).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["delivery", "other", "finalizer"]);
    Ok(())
}

/// A periodic timer that is finalized in its callback does not come back.
fn a_finalizer_ends_a_period(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Timer::every(Duration::from_nanos(1)), move |cx, (), fired| {
            seen.push("timer");
            cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
        });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["timer", "finalizer"]);
    Ok(())
}

/// From `finalize` on the key is stale for everything, before and in the finalizer, and the event is not counted.
fn a_finalized_key_is_stale(cell: &Cell) -> Verdict {
    fn assert_stale(cx: &mut Events<'_>, key: EventKey) {
        assert!(!cx.contains(key));
        assert_eq!((cx.len(), cx.counts().events), (0, 0));
        let answers = [
            cx.add(key),
            cx.add_after(key, HOUR),
            cx.delete(key),
            cx.remove(key),
            cx.activate(key, Causes::READ),
            cx.activate_later(key, Causes::READ),
            cx.set_priority(key, 0),
            cx.set_timeout(key, None),
            cx.is_pending(key).map(drop),
            cx.describe(key).map(drop),
            cx.finalize(key, |_| panic!("refused")),
        ];
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Stale))));
        assert!(cx.all().is_empty());
    }
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(Timer::after(Duration::ZERO), log.noting("callback"));
    let seen = log.clone();
    lp.events()
        .finalize(key, move |cx| {
            assert_stale(cx, key);
            seen.push("finalizer");
        })
        .unwrap();
    assert_stale(&mut lp.events(), key);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer"]);
    assert_stale(&mut lp.events(), key);
    Ok(())
}

/// The finalizer is called with the priority of its event, also where that makes it more urgent than its caller.
fn a_finalizer_has_its_events_priority(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    let [high, low] = [0, 2].map(|priority| lp.events().insert(User::new().priority(priority), |_, (), _| ()));
    let seen = log.clone();
    let middle = lp.events().insert(User::new().priority(1), move |cx, (), _| {
        cx.finalize(low, seen.note("low")).unwrap();
        cx.finalize(high, seen.note("high")).unwrap();
        seen.push("caller");
    });
    let sibling = lp.events().insert(User::new().priority(1), log.noting("sibling"));
    activate(&mut lp, &[middle, sibling]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["caller", "high", "sibling", "low"]);
    Ok(())
}

/// A loop that has nothing else does not end before the finalizer was called, nor does it sleep; after a stop it is for
/// the next run. While it waits the priorities cannot change.
fn a_finalizer_keeps_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), |_, (), _| ());
    let seen = log.clone();
    lp.events().once(Timer::after(Duration::ZERO), move |cx, (), _| {
        cx.finalize(key, seen.note("finalizer")).unwrap();
        cx.stop();
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    assert_eq!((lp.events().len(), lp.events().counts().active), (0, 1));
    assert!(matches!(lp.events().set_priorities(2), Err(Error::Active)));
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["finalizer"]);
    Ok(())
}

/// When the finalizer is called, the closure and the source of its event have been dropped: whether the event was idle,
/// or its callback ran.
fn a_finalizer_after_closure_and_source_are_dropped(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for runs in [false, true] {
        let (near, mut far) = source(&log);
        let (seen, captured) = (log.clone(), log.on_drop("closure dropped"));
        let key = lp.events().insert(Io::new(near, Interest::WRITE), move |cx, _, fired| {
            let _captured = &captured;
            cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
            seen.push("callback");
        });
        if !runs {
            lp.events().finalize(key, log.note("finalizer")).unwrap();
        }
        assert_eq!(lp.run(), Outcome::Empty);
        let mut calls = log.take();
        assert_eq!(calls.pop(), Some("finalizer"));
        calls.sort_unstable();
        let expected = ["callback", "closure dropped", "source dropped"];
        assert_eq!(calls, expected[usize::from(!runs)..]);
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "closed");
    }
    Ok(())
}

/// Closed where a duplicate keeps the file alive, a finalized source is nothing that the kernel reports: it forgot it
/// before.
fn the_kernel_has_forgotten_a_finalized_source(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, mut far) = pair();
    let duplicate = near.try_clone().unwrap();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ), |_, _, _| panic!("finalized"));
    assert_eq!(lp.pass(), Outcome::Passed);
    let count = waits.clone();
    lp.events()
        .finalize(key, move |cx| {
            far.write_all(b"x").unwrap();
            count.take();
            cx.once(Timer::after(Duration::from_millis(5)), move |_, (), _| drop(far));
        })
        .unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    // One for the timer, and an early return of the kernel's.
    let waited = waits.take();
    assert!(waited <= 2, "waited {waited} times");
    drop(duplicate);
    Ok(())
}

/// In the finalizer the descriptor's number is free: another file that has it is an event of its own.
fn a_finalizer_may_reuse_the_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let (number, duplicate) = (near.as_raw_fd(), near.try_clone().unwrap());
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ), |_, _, _| panic!("finalized"));
    assert_eq!(lp.events().activate_descriptor(number, Causes::READ), 1);
    let seen = log.clone();
    lp.events()
        .finalize(key, move |cx| {
            let (next, other) = pair_with(number);
            cx.once(Io::new(next, Interest::WRITE), move |_, _, fired| {
                seen.push(fired.causes());
                drop((other, duplicate));
            });
        })
        .unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// What the finalizer inserts may get the event's slot, and the end of the finalizer does not touch it.
fn a_finalizer_may_insert_into_its_slot(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), |_, (), _| ());
    let seen = log.clone();
    lp.events()
        .finalize(key, move |cx| {
            let next = cx.insert(Timer::after(Duration::ZERO), seen.noting("next"));
            assert_eq!(next.index(), key.index());
        })
        .unwrap();
    let other = lp.events().insert(User::new(), |_, (), _| ());
    assert_ne!(other.index(), key.index(), "the slot is not free before");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["next"]);
    assert_eq!(lp.events().len(), 2);
    Ok(())
}

/// A finalizer may finalize, remove and insert events like any callback.
fn a_finalizer_finalizes_others(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let keys = [(); 3].map(|()| lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("finalized")));
    let removed = lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("removed"));
    let seen = log.clone();
    lp.events()
        .finalize(keys[0], move |cx| {
            seen.push("first");
            cx.remove(removed).unwrap();
            let last = seen.clone();
            cx.finalize(keys[1], move |cx| {
                last.push("second");
                cx.finalize(keys[2], last.note("third")).unwrap();
            })
            .unwrap();
        })
        .unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second", "third"]);
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// A one-time event and a deferred closure are called off by it.
fn a_finalizer_of_a_one_time_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let timer = lp
        .events()
        .once(Timer::after(Duration::ZERO), |_, (), _| panic!("finalized"));
    let deferred = lp.events().defer(|_| panic!("finalized"));
    lp.events().finalize(timer, log.note("first")).unwrap();
    lp.events().finalize(deferred, log.note("second")).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first", "second"]);
    Ok(())
}

/// A loop that is dropped before drops the finalizer uncalled, and what was left of its event.
fn a_finalizer_is_dropped_with_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = source(&log);
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ), |_, _, _| panic!("finalized"));
    let (seen, captured) = (log.clone(), log.on_drop("finalizer dropped"));
    lp.events()
        .finalize(key, move |_| {
            let _captured = captured;
            seen.push("called");
        })
        .unwrap();
    drop(lp);
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["finalizer dropped", "source dropped"]);
    Ok(())
}

/// Of two finalizers the second is refused and comes back; so is one for an event that is gone.
fn a_second_finalizer_comes_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), |_, (), _| ());
    lp.events().finalize(key, log.note("first")).unwrap();
    assert_comes_back!(&mut lp, Error::Stale, |events, token| {
        events.finalize(key, move |_| drop(token))
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["first"]);
    assert_comes_back!(&mut lp, Error::Stale, |events, token| {
        events.finalize(key, move |_| drop(token))
    });
    Ok(())
}

/// Another thread that finalizes an event whose callback runs does not wait; the finalizer is called when the callback
/// has returned and what it owned was dropped, all in the loop's thread.
fn a_finalizer_while_the_callback_runs_in_another_thread(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let log = Log::new();
    let (running, runs) = mpsc::channel();
    let (finalized, over) = mpsc::channel();
    let (seen, dropped) = (log.clone(), Dropped(log.clone()));
    let key = lp.events().insert(Timer::every(HOUR), move |cx, (), fired| {
        let _dropped = &dropped;
        running.send(()).unwrap();
        over.recv().unwrap();
        assert!(!cx.contains(fired.key()));
        // Time enough for one who does not wait.
        thread::sleep(Duration::from_millis(5));
        seen.push(("callback over", thread::current().id()));
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    let seen = log.clone();
    let finalizer = thread::spawn(move || {
        runs.recv().unwrap();
        Events::Shared(handle)
            .finalize(key, move |_| seen.push(("finalizer", thread::current().id())))
            .unwrap();
        finalized.send(()).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    finalizer.join().unwrap();
    let here = thread::current().id();
    assert_eq!(
        log.take(),
        ["callback over", "dropped", "finalizer"].map(|entry| (entry, here))
    );
    Ok(())
}

/// A loop that sleeps wakes for a finalizer; closure and source are dropped in its thread, not in the one that finalizes.
fn a_finalizer_from_another_thread_wakes_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let log = Log::new();
    let dropped = Dropped(log.clone());
    let key = lp.events().insert(Timer::after(HOUR), move |_, (), _| {
        let _dropped = &dropped;
    });
    let seen = log.clone();
    let finalizer = thread::spawn(move || {
        until_main_sleeps();
        Events::Shared(handle)
            .finalize(key, move |_| seen.push(("finalizer", thread::current().id())))
            .unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    finalizer.join().unwrap();
    let here = thread::current().id();
    assert_eq!(log.take(), [("dropped", here), ("finalizer", here)]);
    Ok(())
}
