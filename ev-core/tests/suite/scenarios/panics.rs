//! Panics in the program's closures: they reach the caller of `run`, cost one event, and leave the loop in working order.

use std::io::{ErrorKind, Read};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ev_core::{Causes, Clock, Interest, Io, Outcome, SharedLoop, Signal, Timer, User};
use ev_sys::signal::raise;

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{Log, pair};

const HOUR: Duration = Duration::from_hours(1);

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
    for key in [third, first, bad, second] {
        lp.events().activate(key, Causes::empty()).unwrap();
    }
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
    let (before, after) = (log.clone(), log.clone());
    remote.post(move |_| before.push("before")).unwrap();
    remote.post(|_| panic!("in a posted closure")).unwrap();
    remote.post(move |_| after.push("after")).unwrap();
    assert_eq!(caught(|| lp.run()), "in a posted closure");
    assert_eq!(log.take(), ["before"]);
    let last = log.clone();
    remote.post(move |_| last.push("posted meanwhile")).unwrap();
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
    lp.events().activate(bad, Causes::empty()).unwrap();
    lp.events().activate(other, Causes::empty()).unwrap();
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

fn shared(cell: &Cell) -> Result<SharedLoop, Skip> {
    match cell.open() {
        Loop::Shared(lp) => Ok(lp),
        Loop::Local(_) => Err(Skip("other threads cannot reach a local loop's events")),
    }
}

/// A closure that another thread removed and whose drop panics does so in the loop's thread, out of `run`.
fn a_panic_in_a_drop_left_by_another_thread(cell: &Cell) -> Verdict {
    let mut lp = shared(cell)?;
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
    let mut lp = shared(cell)?;
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
    let Loop::Local(mut lp) = cell.open() else {
        return Err(Skip("a shared loop's clock is never a turn's"));
    };
    lp.insert(Timer::after(Duration::ZERO), |_, (), _| panic!("in a timer"))
        .unwrap();
    caught(|| lp.run(&mut ()));
    let first = lp.now();
    while Clock::Monotonic.now() <= first.as_nanos() {}
    assert!(lp.now() > first);
    Ok(())
}
