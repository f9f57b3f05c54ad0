//! Panics in the program's closures: they reach the caller of `run`, cost one event, and leave the loop in working order.

use std::io::{ErrorKind, Read};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ev_core::{Causes, Error, Features, Interest, Io, Limits, Mode, Outcome, Signal, Timer, User};
use ev_sys::signal::raise;

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::Verdict;
use crate::support::{HOUR, Log, activate, let_time_pass, local, pair, ready_pair, shared};

scenarios!("panics":
    a_panic_removes_its_event,
    a_panic_leaves_the_rest_active,
    a_panic_ends_a_period,
    a_panic_takes_back_deliveries,
    a_panic_closes_the_source,
    a_panic_after_removing_itself,
    a_panic_in_a_posted_closure,
    a_panic_in_the_drop_of_the_running_closure,
    a_panic_in_the_drop_of_another_closure,
    a_panic_in_the_drop_of_a_closure_removed_outside,
    a_panic_in_a_drop_left_by_another_thread,
    a_panic_releases_those_who_wait,
    a_panic_leaves_no_reading_of_the_clock,
    a_panic_in_a_one_time_callback,
    a_panic_in_a_one_time_callback_with_its_slot_reused,
    a_panic_in_a_deferred_closure,
    a_panic_in_a_finalizer,
    a_panic_after_finalizing_itself,
    a_panic_in_a_hook_before_the_wait,
    a_panic_in_a_hook_after_the_wait,
    a_panic_in_a_hook_that_removed_itself,
    a_panic_in_the_drop_of_a_hook,
    a_panic_in_the_drop_of_what_a_one_time_callback_was_given,
    a_panic_in_the_drop_of_a_finalized_closure,
    a_panic_in_the_drop_of_a_finalized_closure_that_runs,
    a_panic_in_a_limited_turn,
    a_panic_with_the_last_hold,
    a_panic_in_a_one_time_callback_releases_those_who_wait,
    a_panic_in_a_hook_leaves_no_lock,
);

/// The message of the panic that `f` ends with.
fn caught<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it should have panicked");
    };
    payload.downcast_ref::<&str>().expect("a message").to_string()
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// The panic of a callback reaches the caller of `run`; its event is removed, and the loop can be run again.
fn a_panic_removes_its_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let bad = lp.events().insert(User::new(), |_, (), _| panic!("in a callback"));
    let good = lp.events().insert(User::new(), log.noting("good"));
    lp.events().activate(bad, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "in a callback");
    assert!(!lp.events().contains(bad));
    assert_eq!(lp.events().len(), 1);
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().activate(good, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["good"]);
    Ok(())
}

/// What was active with the event whose callback panicked is called in the next run, in its order.
fn a_panic_leaves_the_rest_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let first = lp.events().insert(User::new().priority(0), log.noting("first"));
    let bad = lp
        .events()
        .insert(User::new().priority(0), |_, (), _| panic!("in a callback"));
    let second = lp.events().insert(User::new().priority(0), log.noting("second"));
    let third = lp.events().insert(User::new().priority(1), log.noting("third"));
    activate(&mut lp, &[third, first, bad, second]);
    caught(|| lp.run());
    assert_eq!(log.take(), ["first"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["second", "third"]);
    Ok(())
}

/// A periodic timer whose callback panics is not called again.
fn a_panic_ends_a_period(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    lp.events()
        .insert(Timer::every(Duration::from_millis(1)), |_, (), _| panic!("in a timer"));
    assert_eq!(caught(|| lp.run()), "in a timer");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// A panic at the first of several deliveries of a signal takes the others back.
fn a_panic_takes_back_deliveries(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Signal::new(libc::SIGUSR1), move |_, (), _| {
        seen.push("called");
        panic!("in a signal event");
    });
    for _ in 0..3 {
        raise(libc::SIGUSR1).unwrap();
    }
    assert_eq!(caught(|| lp.run()), "in a signal event");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}

/// The source of an event that a panic removes is closed, after the kernel has forgotten it.
fn a_panic_closes_the_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    lp.events()
        .insert(Io::new(near, Interest::WRITE), |_, _, _| panic!("in an I/O event"));
    assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(caught(|| lp.run()), "in an I/O event");
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// A callback that removes its event and then panics has removed that, not the event that took its slot.
fn a_panic_after_removing_itself(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let bad = lp.events().insert(User::new(), move |cx, (), fired| {
        cx.remove(fired.key()).unwrap();
        let next = cx.insert(Timer::after(Duration::ZERO), seen.noting("the slot's next"));
        assert_eq!(next.index(), fired.key().index());
        panic!("afterwards");
    });
    lp.events().activate(bad, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "afterwards");
    assert_eq!(lp.events().len(), 1);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["the slot's next"]);
    Ok(())
}

/// The panic of a posted closure reaches the caller of `run`; what was posted after it is called in the next run.
fn a_panic_in_a_posted_closure(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let remote = lp.remote();
    let user = lp.events().insert(User::new(), log.noting("active"));
    lp.events().activate(user, Causes::empty()).unwrap();
    remote.post(log.note("before")).unwrap();
    remote.post(|_| panic!("in a posted closure")).unwrap();
    remote.post(log.note("after")).unwrap();
    assert_eq!(caught(|| lp.run()), "in a posted closure");
    assert_eq!(log.take(), ["before"]);
    remote.post(log.note("posted meanwhile")).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["after", "active", "posted meanwhile"]);
    Ok(())
}

/// A callback that removed its event is dropped when it returns; if that panics, the event is gone all the same.
fn a_panic_in_the_drop_of_the_running_closure(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (bomb, seen) = (Bomb, log.clone());
    let bad = lp.events().insert(User::new(), move |cx, (), fired| {
        let _armed = &bomb;
        cx.remove(fired.key()).unwrap();
        seen.push("removed");
    });
    let other = lp.events().insert(User::new(), log.noting("other"));
    activate(&mut lp, &[bad, other]);
    assert_eq!(caught(|| lp.run()), "dropped");
    assert_eq!(log.take(), ["removed"]);
    assert!(!lp.events().contains(bad));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other"]);
    Ok(())
}

/// A callback that removes another event whose closure panics at that has panicked itself: both are gone.
fn a_panic_in_the_drop_of_another_closure(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let bomb = Bomb;
    let armed = lp.events().insert(User::new(), move |_, (), _| {
        let _armed = &bomb;
    });
    let remover = lp
        .events()
        .insert(User::new(), move |cx, (), _| cx.remove(armed).unwrap());
    lp.events().activate(remover, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "dropped");
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// Removing such an event outside a run panics there, and the event is gone.
fn a_panic_in_the_drop_of_a_closure_removed_outside(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let bomb = Bomb;
    let armed = lp.events().insert(Timer::after(Duration::ZERO), move |_, (), _| {
        let _armed = &bomb;
    });
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("other"));
    assert_eq!(caught(|| lp.events().remove(armed)), "dropped");
    assert_eq!(lp.events().len(), 1);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other"]);
    Ok(())
}

/// A closure that another thread removed and whose drop panics does so in the loop's thread, out of `run`.
fn a_panic_in_a_drop_left_by_another_thread(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let bomb = Bomb;
    let armed = handle
        .insert(Timer::after(HOUR), move |_, (), _| {
            let _armed = &bomb;
        })
        .unwrap();
    let (running, runs) = mpsc::channel();
    handle.post(move |_| running.send(()).unwrap()).unwrap();
    let remover = thread::spawn(move || {
        runs.recv().unwrap();
        handle.remove(armed).unwrap();
    });
    assert_eq!(caught(|| lp.run()), "dropped");
    remover.join().expect("the thread that removed it did not panic");
    assert_eq!(lp.handle().len().unwrap(), 0);
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    Ok(())
}

/// A thread that waits for a callback to end goes on when it ends by a panic.
fn a_panic_releases_those_who_wait(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (running, runs) = mpsc::channel();
    let bad = handle
        .insert(Timer::every(HOUR), move |cx, (), fired| {
            running.send(()).unwrap();
            // The other thread deletes it before it begins to wait.
            while cx.is_pending(fired.key()).unwrap() {
                thread::yield_now();
            }
            panic!("awaited");
        })
        .unwrap();
    handle.activate(bad, Causes::empty()).unwrap();
    let waiter = thread::spawn(move || {
        runs.recv().unwrap();
        handle.delete(bad)
    });
    assert_eq!(caught(|| lp.run()), "awaited");
    waiter.join().unwrap().expect("deleted");
    assert!(!lp.handle().contains(bad).unwrap());
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    Ok(())
}

/// The turn that a panic ends takes its reading of the clock with it.
fn a_panic_leaves_no_reading_of_the_clock(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    lp.insert(Timer::after(Duration::ZERO), |_, (), _| panic!("in a timer"))
        .unwrap();
    caught(|| lp.run(&mut ()));
    let first = lp.now();
    let_time_pass();
    assert!(lp.now() > first);
    Ok(())
}

/// A one-time event whose callback panics is gone, and so is the source that it was given; the others are called in the
/// next run.
fn a_panic_in_a_one_time_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let io = lp.events().once(Io::new(near, Interest::WRITE), |_, socket, _| {
        let _socket = socket;
        panic!("in a one-time event");
    });
    lp.events().activate(io, Causes::WRITE).unwrap();
    lp.events().defer(log.note("deferred"));
    assert_eq!(caught(|| lp.run()), "in a one-time event");
    assert!(!lp.events().contains(io));
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "closed");
    assert_eq!(log.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["deferred"]);
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// The event that took the slot of a one-time event or of a finalized one meanwhile is not touched.
fn a_panic_in_a_one_time_callback_with_its_slot_reused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let once = lp.events().once(User::new(), move |cx, (), fired| {
        let next = cx.insert(Timer::after(Duration::ZERO), seen.noting("next"));
        assert_eq!(next.index(), fired.key().index());
        panic!("afterwards");
    });
    lp.events().activate(once, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "afterwards");
    let seen = log.clone();
    let finalized = lp.events().insert(User::new(), |_, (), _| ());
    lp.events()
        .finalize(finalized, move |cx| {
            let next = cx.insert(Timer::after(Duration::ZERO), seen.noting("another"));
            assert_eq!(next.index(), finalized.index());
            panic!("in a finalizer");
        })
        .unwrap();
    assert_eq!(caught(|| lp.run()), "in a finalizer");
    assert_eq!(lp.events().len(), 2);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["next", "another"]);
    Ok(())
}

/// A deferred closure that panics is gone; those behind it are called in the next run, in order.
fn a_panic_in_a_deferred_closure(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().defer(log.note("before"));
    let bad = lp.events().defer(|_| panic!("in a deferred closure"));
    lp.events().defer(log.note("after"));
    assert_eq!(caught(|| lp.run()), "in a deferred closure");
    assert_eq!(log.take(), ["before"]);
    assert!(!lp.events().contains(bad));
    assert_eq!(lp.events().len(), 1);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["after"]);
    Ok(())
}

/// A finalizer that panics has been called: not again, and nothing of it is left to keep the loop.
fn a_panic_in_a_finalizer(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let [first, bad, last] = [(); 3].map(|()| lp.events().insert(User::new(), |_, (), _| ()));
    lp.events().finalize(first, log.note("first")).unwrap();
    lp.events().finalize(bad, |_| panic!("in a finalizer")).unwrap();
    lp.events().finalize(last, log.note("last")).unwrap();
    assert_eq!(caught(|| lp.run()), "in a finalizer");
    assert_eq!(log.take(), ["first"]);
    assert_eq!((lp.events().len(), lp.events().counts().active), (0, 1));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["last"]);
    lp.events().set_priorities(2).expect("nothing is active");
    Ok(())
}

/// An event that was finalized in its callback, which then panics, has its finalizer called in the next run.
fn a_panic_after_finalizing_itself(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (seen, captured) = (log.clone(), log.on_drop("closure dropped"));
    let bad = lp.events().insert(User::new(), move |cx, (), fired| {
        let _captured = &captured;
        cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
        panic!("afterwards");
    });
    lp.events().activate(bad, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "afterwards");
    assert_eq!(log.take(), ["closure dropped"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer"]);
    Ok(())
}

/// A hook that panics before the wait is removed; the other hooks are called in the next run, and no event was touched.
fn a_panic_in_a_hook_before_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare("before"));
    let captured = log.on_drop("dropped");
    let bad = lp.events().on_prepare(move |_, _| {
        let _captured = &captured;
        panic!("in a hook");
    });
    lp.events().on_prepare(log.noting_prepare("after"));
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    let later = lp.events().insert(User::new(), log.noting("later"));
    lp.events().activate_later(later, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "in a hook");
    assert_eq!(log.take(), ["before", "dropped"]);
    assert!(matches!(lp.events().remove_hook(bad), Err(Error::Stale)));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["before", "after", "later", "timer"]);
    Ok(())
}

/// A hook that panics after the wait is removed; what the wait has found is called in the next run, also what is reported
/// only once.
fn a_panic_in_a_hook_after_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let has_edges = lp.events().features().contains(Features::EDGE);
    let mode = if has_edges { Mode::Edge } else { Mode::Level };
    let seen = log.clone();
    lp.events()
        .once(Io::new(near, Interest::READ).mode(mode), move |_, _, _| {
            seen.push("socket");
        });
    let bad = lp.events().on_check(|_| panic!("in a hook"));
    lp.events().on_check(log.noting_check("other hook"));
    assert_eq!(caught(|| lp.run()), "in a hook");
    assert!(matches!(lp.events().remove_hook(bad), Err(Error::Stale)));
    assert_eq!(log.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other hook", "socket"]);
    Ok(())
}

/// A hook that removes itself and then panics has removed that; the others stay.
fn a_panic_in_a_hook_that_removed_itself(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (give, own_key) = mpsc::channel();
    let captured = log.on_drop("dropped");
    let bad = lp.events().on_check(move |cx| {
        let _captured = &captured;
        cx.remove_hook(own_key.recv().unwrap()).unwrap();
        panic!("afterwards");
    });
    give.send(bad).unwrap();
    lp.events().on_check(log.noting_check("other"));
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    assert_eq!(caught(|| lp.run()), "afterwards");
    assert_eq!(log.take(), ["dropped"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other", "timer"]);
    Ok(())
}

/// A hook whose drop panics does so where it is removed, or out of `run` if that was in its own call; it is gone.
fn a_panic_in_the_drop_of_a_hook(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let bomb = Bomb;
    let armed = lp.events().on_prepare(move |_, _| {
        let _armed = &bomb;
    });
    assert_eq!(caught(|| lp.events().remove_hook(armed)), "dropped");
    assert!(matches!(lp.events().remove_hook(armed), Err(Error::Stale)));
    let (give, own_key) = mpsc::channel();
    let bomb = Bomb;
    let armed = lp.events().on_prepare(move |cx, _| {
        let _armed = &bomb;
        cx.remove_hook(own_key.recv().unwrap()).unwrap();
    });
    give.send(armed).unwrap();
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    assert_eq!(caught(|| lp.run()), "dropped");
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["timer"]);
    Ok(())
}

/// A socket that panics when it is dropped, after it has closed.
struct Armed(UnixStream, Bomb);

impl AsFd for Armed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A source that was given away is the callback's: a panic in its drop is one of the callback.
fn a_panic_in_the_drop_of_what_a_one_time_callback_was_given(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let armed = Armed(near, Bomb);
    let io = lp
        .events()
        .once(Io::new(armed, Interest::WRITE), |_, armed, _| drop(armed));
    let other = lp.events().insert(User::new(), log.noting("other"));
    lp.events().activate(io, Causes::WRITE).unwrap();
    lp.events().activate(other, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "dropped");
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "closed");
    assert_eq!(lp.events().len(), 1);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["other"]);
    Ok(())
}

/// An idle event whose closure or source panics in its drop panics there when it is finalized: at once in a local loop,
/// in the loop's thread in a shared one. The finalizer is called all the same, once.
fn a_panic_in_the_drop_of_a_finalized_closure(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, mut far) = pair();
    let armed = Armed(near, Bomb);
    let io = lp
        .events()
        .insert(Io::new(armed, Interest::READ), |_, _, _| panic!("finalized"));
    let other = lp.events().insert(User::new(), log.noting("other"));
    let finalizer = log.note("finalizer");
    let message = if let Loop::Local(_) = &lp {
        caught(|| lp.events().finalize(io, finalizer))
    } else {
        lp.events().finalize(io, finalizer).unwrap();
        caught(|| lp.run())
    };
    assert_eq!(message, "dropped");
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "closed");
    lp.events().activate(other, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer", "other"]);
    assert_eq!(lp.events().len(), 1);
    Ok(())
}

/// If it was finalized in its callback, the panic comes when that has returned, and the finalizer in the next run.
fn a_panic_in_the_drop_of_a_finalized_closure_that_runs(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (bomb, seen) = (Bomb, log.clone());
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        let _armed = &bomb;
        cx.finalize(fired.key(), seen.note("finalizer")).unwrap();
        seen.push("callback");
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(caught(|| lp.run()), "dropped");
    assert_eq!(log.take(), ["callback"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["finalizer"]);
    Ok(())
}

/// The turn after a panic has its whole limit, and has waited for nobody.
fn a_panic_in_a_limited_turn(cell: &Cell) -> Verdict {
    let two = NonZeroU32::new(2).unwrap();
    let limits = Limits::new().callbacks(two).interval(HOUR).patience(two);
    let mut lp = cell.open_with(&cell.config().limits(limits));
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare("turn"));
    lp.events().defer(|_| panic!("in a deferred closure"));
    for name in ["a", "b", "c"] {
        lp.events().defer(log.note(name));
    }
    assert_eq!(caught(|| lp.run()), "in a deferred closure");
    assert_eq!(log.take(), ["turn"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["turn", "a", "b", "turn", "c"]);
    Ok(())
}

/// A hold that a callback or another thread owns is gone with the panic that unwinds it.
fn a_panic_with_the_last_hold(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let hold = lp.events().keep_alive();
    lp.events().defer(move |_| {
        let _hold = hold;
        panic!("in a deferred closure");
    });
    assert_eq!(caught(|| lp.run()), "in a deferred closure");
    assert_eq!(lp.run(), Outcome::Empty);
    let hold = lp.events().keep_alive();
    let worker = thread::spawn(move || {
        let _hold = hold;
        panic!("in a worker");
    });
    assert_eq!(lp.run(), Outcome::Empty);
    worker.join().expect_err("it panicked");
    Ok(())
}

/// A thread that waits for a callback which is its event's last goes on when that panics.
fn a_panic_in_a_one_time_callback_releases_those_who_wait(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (running, runs) = mpsc::channel();
    let key = handle
        .once(Timer::after(Duration::ZERO), move |_, (), _| {
            running.send(()).unwrap();
            panic!("in a one-time event");
        })
        .unwrap();
    let waiter = thread::spawn(move || {
        runs.recv().unwrap();
        handle.delete(key)
    });
    assert_eq!(caught(|| lp.run()), "in a one-time event");
    assert!(matches!(waiter.join().unwrap(), Err(Error::Stale)));
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    Ok(())
}

/// After a panic in a hook, of either kind, other threads reach the loop as before, and it runs for them.
fn a_panic_in_a_hook_leaves_no_lock(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    for phase in ["prepare", "check"] {
        let handle = lp.handle();
        if phase == "prepare" {
            handle.on_prepare(|_, _| panic!("in a hook")).unwrap();
        } else {
            handle.on_check(|_| panic!("in a hook")).unwrap();
        }
        handle.insert(Timer::after(HOUR), |_, (), _| ()).unwrap();
        handle.post(|_| ()).unwrap();
        assert_eq!(caught(|| lp.run()), "in a hook");
        let seen = log.clone();
        let other = thread::spawn(move || {
            handle.len().unwrap();
            handle
                .defer(move |cx| {
                    seen.push(phase);
                    cx.stop().unwrap();
                })
                .unwrap();
        });
        assert_eq!(lp.run().unwrap(), Outcome::Stopped);
        other.join().unwrap();
        assert_eq!(log.take(), [phase]);
    }
    Ok(())
}
