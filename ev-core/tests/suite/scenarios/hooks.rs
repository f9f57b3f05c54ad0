//! Hooks: closures that are called in every turn, before and after the wait.

use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use ev_core::{Causes, Error, Interest, Io, LoopHandle, Outcome, RawIo, RunMode, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::Verdict;
use crate::support::{HOUR, Log, handle, pair, ready_pair, until_main_sleeps};

scenarios!("hooks":
    around_the_wait_in_the_order_of_registration,
    once_in_every_turn,
    an_empty_loop_calls_none,
    a_pass_of_an_empty_loop_that_runs_forever_calls_them,
    hooks_are_no_activity,
    the_time_to_wait_without_limit,
    the_time_to_wait_with_a_deadline,
    the_time_to_wait_with_work_at_hand,
    what_is_added_before_the_wait_counts_for_it,
    a_post_before_the_wait_counts_for_it,
    a_stop_before_the_wait_counts_for_it,
    the_last_event_removed_before_the_wait,
    the_last_event_removed_by_another_thread_before_the_wait,
    after_the_wait_comes_before_all_callbacks,
    after_the_wait_takes_back_what_the_wait_found,
    what_is_activated_after_the_wait_is_called_in_the_turn,
    a_stop_after_the_wait_leaves_what_is_active,
    a_hook_added_by_a_hook_is_called_from_the_next_turn,
    a_hook_removes_itself,
    a_hook_removes_others,
    a_removed_hook_is_stale,
    a_hook_may_do_everything,
    hooks_are_dropped_with_the_loop,
    a_hook_that_uses_its_loop_when_dropped,
    a_hook_removed_outside_a_run_is_dropped_at_once,
    a_hook_removed_by_another_thread_while_it_is_called,
    a_hook_added_while_the_loop_sleeps,
    a_hook_keeps_no_other_thread_out,
);

/// Around each wait there are the hooks of its phase, in the order of registration, and then the callbacks.
fn around_the_wait_in_the_order_of_registration(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    for (check, prepare) in [("first check", "first prepare"), ("second check", "second prepare")] {
        lp.events().on_check(log.noting_check(check));
        lp.events().on_prepare(log.noting_prepare(prepare));
    }
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    assert_eq!(lp.run(), Outcome::Empty);
    let expected = [
        "first prepare",
        "second prepare",
        "first check",
        "second check",
        "timer",
    ];
    assert_eq!(log.take(), expected);
    Ok(())
}

/// Turns without a callback, of which each priority is one, have them as well.
fn once_in_every_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare("prepare"));
    lp.events().on_check(log.noting_check("check"));
    for (priority, name) in [(0, "high"), (1, "middle"), (2, "low")] {
        let key = lp.events().insert(User::new().priority(priority), log.noting(name));
        lp.events().activate(key, Causes::empty()).unwrap();
    }
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    let names = ["high", "middle", "low"].iter();
    let mut expected: Vec<_> = names.flat_map(|name| ["prepare", "check", name]).collect();
    expected.extend(["prepare", "check"]);
    assert_eq!(log.take(), expected);
    Ok(())
}

/// Hooks do not keep a loop running, and a run that ends for want of events does not call them.
fn an_empty_loop_calls_none(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().on_prepare(log.noting_prepare("prepare"));
    lp.events().on_check(log.noting_check("check"));
    for mode in [RunMode::UNTIL_EMPTY, RunMode::ONCE, RunMode::NON_BLOCKING] {
        assert_eq!(lp.run_with(mode), Outcome::Empty);
    }
    assert_eq!(log.len(), 0);
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["prepare", "check", "timer"]);
    assert_eq!((lp.events().len(), lp.events().counts().active), (1, 0));
    Ok(())
}

/// Where emptiness is no reason to end, an empty turn is a turn.
fn a_pass_of_an_empty_loop_that_runs_forever_calls_them(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    lp.events().on_prepare(move |_, timeout| seen.push(timeout));
    lp.events().on_check(log.noting_check(None));
    assert_eq!(lp.run_with(RunMode::FOREVER | RunMode::NON_BLOCKING), Outcome::Passed);
    assert_eq!(log.take(), [Some(Duration::ZERO), None]);
    Ok(())
}

/// A turn that only calls hooks has called nothing: `ONCE` waits on, and `NON_BLOCKING` has found nothing.
fn hooks_are_no_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().on_check(log.noting_check("check"));
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
    assert_eq!(log.take(), ["check"]);
    lp.events()
        .insert(Timer::after(Duration::from_millis(2)), log.noting("near"));
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take().last(), Some(&"near"));
    Ok(())
}

/// Runs one turn and answers what a hook was told of its wait. The hook ends the run, so that nothing sleeps.
fn told(lp: &mut Loop, mode: RunMode) -> Option<Duration> {
    let log = Log::new();
    let seen = log.clone();
    let hook = lp.events().on_prepare(move |cx, timeout| {
        seen.push(timeout);
        cx.stop();
    });
    assert_eq!(lp.run_with(mode), Outcome::Stopped);
    lp.events().remove_hook(hook).unwrap();
    let [timeout] = log.take()[..] else { panic!("one turn") };
    timeout
}

/// `None` if nothing limits the wait.
fn the_time_to_wait_without_limit(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    assert_eq!(told(&mut lp, RunMode::FOREVER), None);
    lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), None);
    assert_eq!(told(&mut lp, RunMode::ONCE), None);
    Ok(())
}

/// The time until the next deadline, zero if it has passed.
fn the_time_to_wait_with_a_deadline(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let far = lp.events().insert(Timer::after(2 * HOUR), |_, (), _| ());
    let timeout = told(&mut lp, RunMode::UNTIL_EMPTY).unwrap();
    assert!(timeout > HOUR && timeout <= 2 * HOUR, "{timeout:?}");
    let near = lp.events().insert(Timer::after(HOUR), |_, (), _| ());
    let before = lp.events().read_clock();
    let timeout = told(&mut lp, RunMode::UNTIL_EMPTY).unwrap();
    let deadline = lp.events().deadline(near).unwrap().unwrap();
    assert!(timeout <= deadline.saturating_duration_since(before));
    let after = lp.events().read_clock();
    assert!(timeout >= deadline.saturating_duration_since(after));
    lp.events().insert(Timer::at(before), |_, (), _| ());
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    assert!(lp.events().is_pending(far).unwrap());
    Ok(())
}

/// Zero if something is active, for now or for later, or was posted, or a stop was asked for, or the run does not wait.
fn the_time_to_wait_with_work_at_hand(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    lp.events().insert(Timer::after(HOUR), |_, (), _| ());
    assert_ne!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    assert_eq!(told(&mut lp, RunMode::NON_BLOCKING), Some(Duration::ZERO));
    let key = lp.events().insert(User::new(), |_, (), _| ());
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    lp.events().delete(key).unwrap();
    lp.events().activate_later(key, Causes::empty()).unwrap();
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    lp.events().delete(key).unwrap();
    lp.events().stop_after_turn();
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    lp.remote().post(|_| ()).unwrap();
    assert_eq!(told(&mut lp, RunMode::UNTIL_EMPTY), Some(Duration::ZERO));
    Ok(())
}

/// What makes the loop's work, inserted or activated by a hook.
type Work = fn(&mut Events<'_>, Log<&'static str>);

const WORK: [(&str, Work); 7] = [
    ("due timer", |cx, log| {
        cx.insert(Timer::after(Duration::ZERO), log.noting("called"));
    }),
    ("earlier timer", |cx, log| {
        cx.insert(Timer::after(Duration::from_millis(2)), log.noting("called"));
    }),
    ("descriptor", |cx, log| {
        let (near, _far) = ready_pair();
        cx.once(Io::new(near, Interest::READ), move |_, _, _| log.push("called"));
    }),
    ("active event", |cx, log| {
        let key = cx.insert(User::new(), log.noting("called"));
        cx.activate(key, Causes::empty()).unwrap();
    }),
    ("event of the next turn", |cx, log| {
        let key = cx.insert(User::new(), log.noting("called"));
        cx.activate_later(key, Causes::empty()).unwrap();
    }),
    ("deferred closure", |cx, log| {
        cx.defer(log.note("called"));
    }),
    ("finalizer", |cx, log| {
        let key = cx.insert(User::new(), |_, (), _| ());
        cx.finalize(key, log.note("called")).unwrap();
    }),
];

/// A loop that was about to sleep for an hour, or for ever, does not sleep past what a hook has added before the wait.
fn what_is_added_before_the_wait_counts_for_it(cell: &Cell) -> Verdict {
    for (name, add) in WORK {
        for for_ever in [false, true] {
            let mut lp = cell.open();
            let log = Log::new();
            if for_ever {
                lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
            } else {
                lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
            }
            let (seen, mut is_first) = (log.clone(), true);
            lp.events().on_prepare(move |cx, timeout| {
                if std::mem::take(&mut is_first) {
                    assert_ne!(timeout, Some(Duration::ZERO));
                    add(cx, seen.clone());
                }
            });
            assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed, "{name}");
            assert_eq!(log.take(), ["called"], "{name}");
        }
    }
    Ok(())
}

/// So it is with what a hook posts.
fn a_post_before_the_wait_counts_for_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let (remote, seen) = (lp.remote(), log.clone());
    lp.events()
        .on_prepare(move |_, _| remote.post(seen.note("posted")).unwrap());
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["posted"]);
    Ok(())
}

/// A hook that stops the loop before the wait ends the run without one; after the turn, what is ready is still called.
fn a_stop_before_the_wait_counts_for_it(cell: &Cell) -> Verdict {
    for after_turn in [false, true] {
        let mut lp = cell.open();
        let log = Log::new();
        let hook = lp.events().on_prepare(move |cx, _| {
            if after_turn {
                cx.stop_after_turn();
            } else {
                cx.stop();
            }
        });
        lp.events().insert(Timer::after(HOUR), log.noting("far"));
        assert_eq!(lp.run(), Outcome::Stopped);
        lp.events().insert(Timer::after(Duration::ZERO), log.noting("due"));
        assert_eq!(lp.run(), Outcome::Stopped);
        assert_eq!(log.len(), usize::from(after_turn));
        lp.events().remove_hook(hook).unwrap();
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), ["due"]);
    }
    Ok(())
}

/// A hook that takes away the last thing the loop would wait for ends the run, instead of a wait without end.
fn the_last_event_removed_before_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let key = lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
    let hook = lp.events().on_prepare(move |cx, timeout| {
        assert_eq!(timeout, None);
        cx.delete(key).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    lp.events().remove_hook(hook).unwrap();
    let mut hold = Some(lp.events().keep_alive());
    lp.events().on_prepare(move |_, _| drop(hold.take()));
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// So does another thread, if it comes while a hook is called and the loop does not sleep yet.
fn the_last_event_removed_by_another_thread_before_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let key = lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
    lp.events().on_prepare(move |_, _| {
        let handle = handle.clone();
        thread::spawn(move || handle.delete(key)).join().unwrap().unwrap();
    });
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// Hooks after the wait come before posted closures and events.
fn after_the_wait_comes_before_all_callbacks(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let event = lp.events().insert(User::new(), log.noting("event"));
    lp.events().activate(event, Causes::empty()).unwrap();
    lp.remote().post(log.note("posted")).unwrap();
    lp.events().on_check(log.noting_check("check"));
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["check", "posted", "event"]);
    Ok(())
}

/// They see which descriptors the wait has found ready, and may take that back. Timers expire after them, as in libevent:
/// what is due is not active yet, and may be deleted.
fn after_the_wait_takes_back_what_the_wait_found(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let timer = lp
        .events()
        .insert(Timer::after(Duration::ZERO), |_, (), _| panic!("deleted"));
    let io = lp
        .events()
        .insert(Io::new(near, Interest::READ), |_, _, _| panic!("deleted"));
    let seen = log.clone();
    lp.events().on_check(move |cx| {
        for key in [timer, io] {
            seen.push(cx.describe(key).unwrap().active);
            cx.delete(key).unwrap();
        }
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [None, Some(Causes::READ)]);
    Ok(())
}

/// What they make active is called in their turn, behind the descriptors that the wait has found and before what has come
/// due; a timer that they add and that is due is called as well.
fn what_is_activated_after_the_wait_is_called_in_the_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (near, _far) = ready_pair();
    let seen = log.clone();
    lp.events()
        .once(Io::new(near, Interest::READ), move |_, _, _| seen.push("socket"));
    let user = lp.events().insert(User::new(), log.noting("activated"));
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    let added = lp
        .events()
        .insert(Timer::after(Duration::ZERO).disarmed(), log.noting("added timer"));
    let seen = log.clone();
    lp.events().on_check(move |cx| {
        seen.push("check");
        cx.activate(user, Causes::empty()).unwrap();
        cx.add(added).unwrap();
    });
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["check", "socket", "activated", "timer", "added timer"]);
    Ok(())
}

/// A stop in a hook after the wait leaves what the wait has found for the next run.
fn a_stop_after_the_wait_leaves_what_is_active(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(Duration::ZERO), log.noting("timer"));
    lp.remote().post(log.note("posted")).unwrap();
    let hook = lp.events().on_check(|cx| {
        cx.stop();
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    lp.events().remove_hook(hook).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["posted", "timer"]);
    Ok(())
}

/// A hook that is added while hooks of its kind are being called waits for the next turn.
fn a_hook_added_by_a_hook_is_called_from_the_next_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (seen, mut is_first) = (log.clone(), true);
    lp.events().on_prepare(move |cx, _| {
        seen.push("prepare");
        if std::mem::take(&mut is_first) {
            cx.on_prepare(seen.noting_prepare("added prepare"));
        }
    });
    let (seen, mut is_first) = (log.clone(), true);
    lp.events().on_check(move |cx| {
        seen.push("check");
        if std::mem::take(&mut is_first) {
            cx.on_check(seen.noting_check("added check"));
        }
    });
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["prepare", "check"]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["prepare", "added prepare", "check", "added check"]);
    Ok(())
}

/// A hook that removes itself is dropped when it returns, and not called again; the others are called as before.
fn a_hook_removes_itself(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (give, own_key) = mpsc::channel();
    let (seen, captured) = (log.clone(), log.on_drop("dropped"));
    let key = lp.events().on_check(move |cx| {
        let _captured = &captured;
        let key = own_key.recv().unwrap();
        cx.remove_hook(key).unwrap();
        assert!(matches!(cx.remove_hook(key), Err(Error::Stale)));
        seen.push("removed itself");
    });
    give.send(key).unwrap();
    lp.events().on_check(log.noting_check("other"));
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["removed itself", "dropped", "other"]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["other"]);
    Ok(())
}

/// A hook that another one removes is dropped at once: it is not called any more, not even in this turn.
fn a_hook_removes_others(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (give, keys) = mpsc::channel();
    let before = lp.events().on_prepare(log.noting_prepare("before"));
    let seen = log.clone();
    lp.events().on_prepare(move |cx, _| {
        seen.push("remover");
        for key in keys.try_iter() {
            cx.remove_hook(key).unwrap();
        }
    });
    let (seen, captured) = (log.clone(), log.on_drop("dropped"));
    let after = lp.events().on_prepare(move |_, _| {
        let _captured = &captured;
        seen.push("after");
    });
    lp.events().on_prepare(log.noting_prepare("last"));
    for key in [before, after] {
        give.send(key).unwrap();
    }
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["before", "remover", "dropped", "last"]);
    assert_eq!(lp.pass(), Outcome::Passed);
    assert_eq!(log.take(), ["remover", "last"]);
    Ok(())
}

/// The key of a hook that was removed is stale for ever: no later hook has it.
fn a_removed_hook_is_stale(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let mut gone = Vec::new();
    for _ in 0..10 {
        let prepare = lp.events().on_prepare(|_, _| ());
        let check = lp.events().on_check(|_| ());
        assert!(!gone.contains(&prepare) && !gone.contains(&check) && prepare != check);
        lp.events().remove_hook(prepare).unwrap();
        lp.events().remove_hook(check).unwrap();
        gone.extend([prepare, check]);
    }
    lp.events().on_prepare(|_, _| ());
    for &key in &gone {
        assert!(matches!(lp.events().remove_hook(key), Err(Error::Stale)));
    }
    Ok(())
}

/// Hooks of both kinds may use the whole loop, as a callback may.
fn a_hook_may_do_everything(cell: &Cell) -> Verdict {
    fn work(cx: &mut Events<'_>, log: &Log<&'static str>) {
        let (near, _far) = pair();
        let io = cx.insert(Io::new(near, Interest::READ), |_, _, _| panic!("removed"));
        cx.set_interest(io, Interest::WRITE).unwrap();
        cx.set_priority(io, 1).unwrap();
        cx.remove(io).unwrap();
        let timer = cx.insert(Timer::after(HOUR), |_, (), _| panic!("finalized"));
        cx.add_after(timer, 2 * HOUR).unwrap();
        cx.finalize(timer, log.note("finalizer")).unwrap();
        cx.once(Timer::after(Duration::ZERO), {
            let log = log.clone();
            move |_, (), _| log.push("once")
        });
        cx.defer(log.note("deferred"));
        let hook = cx.on_prepare(|_, _| panic!("removed"));
        cx.remove_hook(hook).unwrap();
        drop(cx.keep_alive());
        cx.restart_turn();
        assert_eq!(cx.running(), None);
        assert_eq!(cx.counts().active, 2);
        assert!(!cx.dump().is_empty());
    }
    for phase in ["prepare", "check"] {
        let mut lp = cell.open_with_priorities(2);
        let log = Log::new();
        lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
        let (seen, mut is_first) = (log.clone(), true);
        let mut hook = move |cx: &mut Events<'_>| {
            if std::mem::take(&mut is_first) {
                work(cx, &seen);
            }
        };
        if phase == "prepare" {
            lp.events().on_prepare(move |cx, _| hook(cx));
        } else {
            lp.events().on_check(hook);
        }
        assert_eq!(lp.run_with(RunMode::NON_BLOCKING), Outcome::Passed);
        let mut calls = log.take();
        calls.sort_unstable();
        assert_eq!(calls, ["deferred", "finalizer", "once"], "{phase}");
    }
    Ok(())
}

/// Hooks that are left are dropped with the loop.
fn hooks_are_dropped_with_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (prepare, check) = (log.on_drop("prepare"), log.on_drop("check"));
    lp.events().on_prepare(move |_, _| {
        let _captured = &prepare;
    });
    lp.events().on_check(move |_| {
        let _captured = &check;
    });
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    drop(lp);
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["check", "prepare"]);
    Ok(())
}

/// A hook that uses its loop when it is dropped may do so: it is dropped without the lock, and finds the loop gone.
fn a_hook_that_uses_its_loop_when_dropped(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    handle(&lp)?;
    for ending in ["removed", "removed by itself", "dropped with the loop"] {
        let log = Log::new();
        let mut lp = cell.open();
        let asks = Asks(handle(&lp)?, log.clone());
        let (give, own_key) = mpsc::channel();
        let key = lp.events().on_check(move |cx| {
            let _asks = &asks;
            cx.remove_hook(own_key.recv().unwrap()).unwrap();
        });
        give.send(key).unwrap();
        match ending {
            "removed" => lp.events().remove_hook(key).unwrap(),
            "removed by itself" => {
                lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
                assert_eq!(lp.pass(), Outcome::Passed);
            }
            _ => drop(lp),
        }
        assert_eq!(log.take(), [ending != "dropped with the loop"], "{ending}");
    }
    lp.pass();
    Ok(())
}

/// Logs, when it is dropped, whether the loop answers.
struct Asks<B: ev_core::backend::Backend>(LoopHandle<B>, Log<bool>);

impl<B: ev_core::backend::Backend> Drop for Asks<B> {
    fn drop(&mut self) {
        self.1.push(self.0.len().is_ok());
    }
}

/// Outside a run a removed hook is dropped by the thread that removes it.
fn a_hook_removed_outside_a_run_is_dropped_at_once(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let captured = log.on_drop("dropped");
    let key = lp.events().on_prepare(move |_, _| {
        let _captured = &captured;
    });
    lp.events().remove_hook(key).unwrap();
    assert_eq!(log.take(), ["dropped"]);
    Ok(())
}

/// Logs the thread that drops it.
struct Dropped(Log<ThreadId>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.push(thread::current().id());
    }
}

/// Another thread that removes a hook which is being called does not wait; the hook is dropped by the loop's thread when
/// it returns, and not called again.
fn a_hook_removed_by_another_thread_while_it_is_called(cell: &Cell) -> Verdict {
    for phase in ["prepare", "check"] {
        let mut lp = cell.open();
        let handle = handle(&lp)?;
        lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| ());
        let log = Log::new();
        let (dropped, seen) = (Dropped(log.clone()), log.clone());
        let (running, runs) = mpsc::channel();
        let (removed, over) = mpsc::channel();
        let hook = move |_: &mut Events<'_>| {
            let _dropped = &dropped;
            running.send(()).unwrap();
            over.recv().unwrap();
            assert_eq!(seen.len(), 0);
        };
        let key = if phase == "prepare" {
            lp.events().on_prepare(move |cx, _| hook(cx))
        } else {
            lp.events().on_check(hook)
        };
        let remover = thread::spawn(move || {
            runs.recv().unwrap();
            handle.remove_hook(key).unwrap();
            assert!(matches!(handle.remove_hook(key), Err(Error::Stale)));
            removed.send(()).unwrap();
        });
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.take(), [thread::current().id()], "{phase}");
        remover.join().unwrap();
        assert_eq!(lp.pass(), Outcome::Passed);
    }
    Ok(())
}

/// A hook that another thread adds while the loop sleeps is called after that wait, or before the next one.
fn a_hook_added_while_the_loop_sleeps(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let log = Log::new();
    let seen = log.clone();
    let adder = thread::spawn(move || {
        until_main_sleeps();
        let mut events = Events::Shared(handle.clone());
        events.on_check(seen.noting_check("check"));
        let prepare = seen.clone();
        events.on_prepare(move |cx, _| {
            prepare.push("prepare");
            cx.stop();
        });
        handle.post(|_| ()).unwrap();
    });
    assert_eq!(lp.run(), Outcome::Stopped);
    adder.join().unwrap();
    assert_eq!(log.take(), ["check", "prepare", "check"]);
    Ok(())
}

/// While a hook is called other threads may use the loop, and what they do counts for the wait that follows.
fn a_hook_keeps_no_other_thread_out(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    lp.events().insert(Timer::after(HOUR), |_, (), _| panic!("too early"));
    let log = Log::new();
    let (seen, mut is_first) = (log.clone(), true);
    lp.events().on_prepare(move |_, _| {
        if std::mem::take(&mut is_first) {
            let (handle, seen) = (handle.clone(), seen.clone());
            let other = thread::spawn(move || {
                Events::Shared(handle).insert(Timer::after(Duration::from_millis(1)), seen.noting("called"));
            });
            other.join().unwrap();
        }
    });
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    assert_eq!(log.take(), ["called"]);
    Ok(())
}
