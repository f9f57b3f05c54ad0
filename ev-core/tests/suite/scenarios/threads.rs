//! Other threads: what they ask of a loop, when it wakes, and who waits for whom.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ev_core::{
    Causes, Error, EventKey, Fired, Interest, Io, LoopHandle, Outcome, RunMode, SharedContext, Signal, Timer, User,
};
use ev_sys::signal::raise;
use libc::{SIGUSR1, SIGUSR2};

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Remote};
use crate::harness::{Skip, Verdict};
use crate::support::{HOUR, Log, activate, pair, ready_pair, shared, until_main_sleeps};

const MILLISECOND: Duration = Duration::from_millis(1);

scenarios!("threads":
    posts_are_called_in_order,
    posts_before_the_run_are_called_by_it,
    a_post_wakes_the_loop,
    a_post_goes_before_active_events,
    a_post_in_a_post_is_for_the_next_turn,
    a_post_is_activity,
    a_thousand_posts_of_a_hundred_threads,
    a_burst_of_posts_leaves_the_loop_asleep,
    a_stop_before_the_run,
    a_stop_during_the_wait,
    a_stop_during_a_callback,
    a_stop_among_posts,
    a_stop_after_turn_before_the_run,
    a_stop_after_turn_during_the_wait,
    a_dropped_loop_gives_closures_back,
    a_dropped_loop_drops_what_was_posted,
    a_dropped_loop_drops_what_a_run_has_left,
    a_dropped_loop_answers_gone,
    delete_waits_for_the_running_callback,
    delete_waits_for_the_callback_of_a_removed_event,
    delete_does_not_wait_for_another_callback,
    delete_nowait_does_not_wait,
    delete_takes_back_what_an_activator_asked,
    delete_in_a_post_takes_back_what_an_activator_asked,
    delete_between_two_runs_takes_back_what_an_activator_asked,
    delete_nowait_takes_back_what_an_activator_asked,
    no_activator_calls_an_event_after_its_deletion,
    neither_adding_nor_activating_waits_for_the_callback,
    delete_of_the_last_event_ends_the_loop,
    remove_drops_the_closure_in_the_loops_thread,
    remove_of_the_last_event_drops_it_before_the_run_ends,
    remove_of_the_running_event_drops_it_afterwards,
    remove_without_a_run_drops_it_here,
    remove_after_a_run_drops_it_in_the_thread_that_removes,
    an_earlier_timer_wakes_the_loop,
    a_later_timer_does_not_wake_the_loop,
    deleting_the_earliest_timer_costs_no_wake_up,
    the_next_timer_is_in_time_when_the_earliest_is_deleted,
    a_question_does_not_wake_the_loop,
    an_activation_wakes_the_loop,
    an_added_descriptor_wakes_the_loop,
    an_added_signal_is_heard_by_a_loop_that_sleeps,
    ten_threads_add_and_activate,
    two_loops_that_delete_each_others_events,
    three_loops_that_delete_in_a_ring,
    a_callback_that_is_over_is_nobodys_deadlock,
    a_loop_moves_to_another_thread,
);

/// Logs the thread that drops it.
struct Dropped(Log<ThreadId>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.push(thread::current().id());
    }
}

/// Closures that one thread posts are called in the order of posting, in the loop's thread.
fn posts_are_called_in_order(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (remote, seen) = (lp.remote(), log.clone());
    let poster = thread::spawn(move || {
        for n in 0..100 {
            let seen = seen.clone();
            remote
                .post(move |_| seen.push((n, thread::current().id())))
                .expect("the loop exists");
        }
        let stop = |cx: &mut Events<'_>| cx.stop();
        remote.post(stop).expect("the loop exists");
    });
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    poster.join().unwrap();
    let here = thread::current().id();
    assert!(log.take().into_iter().eq((0..100).map(|n| (n, here))));
    Ok(())
}

/// A loop without events still calls what was posted before it ran.
fn posts_before_the_run_are_called_by_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let remote = lp.remote();
    for n in 0..3 {
        remote.post(log.note(n)).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [0, 1, 2]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.len(), 0);
    Ok(())
}

/// A post ends the wait of a loop that sleeps; the closure may insert events.
fn a_post_wakes_the_loop(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let far = lp.events().insert(Timer::after(HOUR), log.noting("far"));
    let (remote, seen) = (lp.remote(), log.clone());
    let poster = thread::spawn(move || {
        until_main_sleeps();
        remote.post(move |cx| {
            cx.delete(far).unwrap();
            cx.insert(Timer::after(Duration::ZERO), seen.noting("inserted"));
        })
    });
    assert_eq!(lp.run(), Outcome::Empty);
    poster.join().unwrap().unwrap();
    assert_eq!(log.take(), ["inserted"]);
    Ok(())
}

/// What was posted is called before the events that are active then, and may take their activation back.
fn a_post_goes_before_active_events(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let [first, second] = ["first", "second"].map(|name| lp.events().insert(User::new(), log.noting(name)));
    activate(&mut lp, &[first, second]);
    let seen = log.clone();
    lp.remote()
        .post(move |cx| {
            seen.push("posted");
            cx.delete(first).unwrap();
        })
        .unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["posted", "second"]);
    Ok(())
}

/// What a posted closure posts is called in the next turn: posts cannot keep events from being called.
fn a_post_in_a_post_is_for_the_next_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let event = lp.events().insert(User::new(), log.noting("event"));
    lp.events().activate(event, Causes::empty()).unwrap();
    let (remote, again) = (lp.remote(), lp.remote());
    let seen = log.clone();
    remote
        .post(move |_| {
            seen.push("posted");
            again.post(seen.note("posted in it")).unwrap();
        })
        .unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["posted", "event", "posted in it"]);
    Ok(())
}

/// A posted closure is activity: `ONCE` ends after it.
fn a_post_is_activity(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    lp.events().insert(Timer::after(HOUR), log.noting("far"));
    let (remote, seen) = (lp.remote(), log.clone());
    let poster = thread::spawn(move || {
        until_main_sleeps();
        remote.post(seen.note("posted"))
    });
    assert_eq!(lp.run_with(RunMode::ONCE), Outcome::Passed);
    poster.join().unwrap().unwrap();
    assert_eq!(log.take(), ["posted"]);
    Ok(())
}

/// A hundred threads post ten closures each: all are called, those of a thread in its order.
fn a_thousand_posts_of_a_hundred_threads(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let posters: Vec<_> = (0..100)
        .map(|poster| {
            let (remote, log) = (lp.remote(), log.clone());
            thread::spawn(move || {
                for n in 0..10 {
                    let seen = log.clone();
                    let done = remote.post(move |cx| {
                        seen.push((poster, n));
                        if seen.len() == 1000 {
                            cx.stop();
                        }
                    });
                    done.expect("the loop exists");
                }
            })
        })
        .collect();
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    for poster in posters {
        poster.join().unwrap();
    }
    let calls = log.take();
    for poster in 0..100 {
        let own = calls.iter().filter(|call| call.0 == poster).map(|call| call.1);
        assert!(own.eq(0..10), "of thread {poster}");
    }
    Ok(())
}

/// After a burst of wake-ups the notifier is drained: the loop sleeps until its timer, and does not spin.
fn a_burst_of_posts_leaves_the_loop_asleep(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (remote, begin) = (lp.remote(), waits.clone());
    let poster = thread::spawn(move || {
        until_main_sleeps();
        for _ in 0..1000 {
            remote.post(|_| ()).expect("the loop exists");
        }
        remote
            .post(move |cx| {
                begin.take();
                cx.insert(Timer::after(Duration::from_millis(10)), |cx, (), _| cx.stop());
            })
            .expect("the loop exists");
    });
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    poster.join().unwrap();
    // One for the timer, one for a wake-up that was under way, and a signal-less early return of the kernel's.
    let waited = waits.take();
    assert!(waited <= 3, "waited {waited} times");
    Ok(())
}

/// A stop that another thread asked for before the loop runs ends its next run, and only that.
fn a_stop_before_the_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let user = lp.events().insert(User::new(), log.noting("event"));
    lp.events().activate(user, Causes::empty()).unwrap();
    let remote = lp.remote();
    thread::spawn(move || remote.stop()).join().unwrap().unwrap();
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["event"]);
    Ok(())
}

/// A stop ends the wait of a loop that sleeps, time and again.
fn a_stop_during_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (again, next) = mpsc::channel();
    let remote = lp.remote();
    let stopper = thread::spawn(move || {
        while next.recv().is_ok() {
            until_main_sleeps();
            remote.stop().expect("the loop exists");
        }
    });
    for _ in 0..20 {
        again.send(()).unwrap();
        assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    }
    drop(again);
    stopper.join().unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// A stop that comes while a callback runs: a shared loop stops after it, a local one when its turn is over.
fn a_stop_during_a_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    let remote = lp.remote();
    let by_message = matches!(remote, Remote::Local(_));
    let seen = log.clone();
    let first = lp.events().insert(User::new().priority(0), move |_, (), _| {
        let remote = remote.clone();
        thread::spawn(move || remote.stop()).join().unwrap().unwrap();
        seen.push("first");
    });
    let second = lp.events().insert(User::new().priority(0), log.noting("second"));
    let less = lp.events().insert(User::new().priority(1), log.noting("less urgent"));
    activate(&mut lp, &[first, second, less]);
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(
        log.take(),
        if by_message {
            vec!["first", "second"]
        } else {
            vec!["first"]
        }
    );
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(
        log.take(),
        if by_message {
            vec!["less urgent"]
        } else {
            vec!["second", "less urgent"]
        }
    );
    Ok(())
}

/// A remote's stop has its place among its posts: what was posted before is called, what came after in the next run.
fn a_stop_among_posts(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let remote = lp.remote();
    let Remote::Local(_) = &remote else {
        return Err(Skip("a shared loop is stopped at once, not by a message"));
    };
    remote.post(log.note("before")).unwrap();
    remote.stop().unwrap();
    remote.post(log.note("after")).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["before"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["after"]);
    Ok(())
}

/// A stop after the turn that was asked for before the run lets it have one turn.
fn a_stop_after_turn_before_the_run(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(2);
    let log = Log::new();
    for (priority, name) in [(1, "less urgent"), (0, "urgent")] {
        let key = lp.events().insert(User::new().priority(priority), log.noting(name));
        lp.events().activate(key, Causes::empty()).unwrap();
    }
    lp.remote().stop_after_turn().unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    assert_eq!(log.take(), ["urgent"]);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["less urgent"]);
    Ok(())
}

/// A stop after the turn ends the wait of a loop that sleeps.
fn a_stop_after_turn_during_the_wait(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let remote = lp.remote();
    let stopper = thread::spawn(move || {
        until_main_sleeps();
        remote.stop_after_turn()
    });
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    stopper.join().unwrap().unwrap();
    Ok(())
}

/// Posting to a loop that was dropped is refused, and the closure comes back, not dropped.
fn a_dropped_loop_gives_closures_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (remote, dropped) = (lp.remote(), Dropped(log.clone()));
    drop(lp);
    match remote {
        Remote::Local(remote) => {
            let rejected = remote.post(move |_| drop(dropped)).unwrap_err();
            assert!(matches!(rejected.error, Error::Gone));
            assert_eq!(log.len(), 0);
            drop(rejected.value);
            assert!(matches!(remote.stop(), Err(Error::Gone)));
            assert!(matches!(remote.stop_after_turn(), Err(Error::Gone)));
        }
        Remote::Shared(handle) => {
            let rejected = handle.post(move |_| drop(dropped)).unwrap_err();
            assert!(matches!(rejected.error, Error::Gone));
            assert_eq!(log.len(), 0);
            drop(rejected.value);
        }
    }
    assert_eq!(log.len(), 1);
    Ok(())
}

/// A loop that is dropped before it comes to a closure drops it.
fn a_dropped_loop_drops_what_was_posted(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (remote, dropped) = (lp.remote(), Dropped(log.clone()));
    remote.post(move |_| drop(dropped)).unwrap();
    assert_eq!(log.len(), 0);
    drop(lp);
    assert_eq!(log.len(), 1);
    Ok(())
}

/// Asks the loop something when it is dropped, and logs whether that was gone.
struct Asking(LoopHandle, Log<bool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.1.push(matches!(self.0.len(), Err(Error::Gone)));
    }
}

/// So is what the last run has taken out and not come to; and it may reach for the loop then.
fn a_dropped_loop_drops_what_a_run_has_left(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let (handle, log) = (lp.handle(), Log::new());
    handle.post(|cx| cx.stop().unwrap()).unwrap();
    let left = Asking(handle.clone(), log.clone());
    handle.post(move |_| drop(left)).unwrap();
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    assert_eq!(log.len(), 0);
    drop(lp);
    assert_eq!(log.take(), [true]);
    Ok(())
}

/// Every operation of a handle whose loop was dropped is refused; what was to be inserted comes back.
fn a_dropped_loop_answers_gone(cell: &Cell) -> Verdict {
    let lp = shared(cell.open())?;
    let handle = lp.handle();
    let key = handle.insert(User::new(), |_, (), _| ()).unwrap();
    drop(lp);
    let answers = [
        handle.add(key),
        handle.add_after(key, HOUR),
        handle.add_at(key, handle.now()),
        handle.delete(key),
        handle.delete_nowait(key),
        handle.remove(key),
        handle.activate(key, Causes::empty()),
        handle.activate_later(key, Causes::empty()),
        handle.set_priority(key, 0),
        handle.set_interest(key, Interest::READ),
        handle.set_timeout(key, None),
        handle.clear_timeout(key),
        handle.same_duration(HOUR).map(drop),
        handle.is_pending(key).map(drop),
        handle.deadline(key).map(drop),
        handle.contains(key).map(drop),
        handle.len().map(drop),
        handle.is_empty().map(drop),
        handle.stop(),
        handle.stop_after_turn(),
        handle.restart_turn(),
        handle.backend_name().map(drop),
        handle.features().map(drop),
        handle.priorities().map(drop),
    ];
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Gone))));
    let (near, mut far) = pair();
    let rejected = handle.insert(Io::new(near, Interest::READ), |_, _, _| ()).unwrap_err();
    assert!(matches!(rejected.error, Error::Gone));
    far.write_all(b"x").expect("the source is still open");
    Ok(())
}

/// When `delete` returns in another thread, the callback that was running has returned.
fn delete_waits_for_the_running_callback(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let (running, runs) = mpsc::channel();
    let seen = log.clone();
    let key = handle
        .insert(Timer::every(HOUR), move |cx, (), fired| {
            running.send(()).unwrap();
            while cx.is_pending(fired.key()).unwrap() {
                thread::yield_now();
            }
            // Deleted. Time enough for one who does not wait.
            thread::sleep(Duration::from_millis(10));
            seen.push("callback over");
        })
        .unwrap();
    handle.activate(key, Causes::empty()).unwrap();
    let seen = log.clone();
    let deleter = thread::spawn(move || {
        runs.recv().unwrap();
        handle.delete(key).unwrap();
        seen.push("deleted");
    });
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    deleter.join().unwrap();
    assert_eq!(log.take(), ["callback over", "deleted"]);
    Ok(())
}

/// An event that is removed while its callback runs is stale for `delete`, which waits for the callback all the same.
fn delete_waits_for_the_callback_of_a_removed_event(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    for once in [true, false] {
        let handle = lp.handle();
        let (running, runs) = mpsc::channel();
        let seen = log.clone();
        let run = move || {
            running.send(()).unwrap();
            // Time enough for one who does not wait.
            thread::sleep(Duration::from_millis(10));
            seen.push("callback over");
        };
        let event = Timer::after(Duration::ZERO);
        let key = if once {
            handle.once(event, move |_, (), _| run()).unwrap()
        } else {
            let inserted = handle.insert(event, move |cx, (), fired| {
                cx.remove(fired.key()).unwrap();
                run();
            });
            inserted.unwrap()
        };
        let seen = log.clone();
        let deleter = thread::spawn(move || {
            runs.recv().unwrap();
            assert!(matches!(handle.delete(key), Err(Error::Stale)));
            seen.push("answered");
        });
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        deleter.join().unwrap();
        assert_eq!(log.take(), ["callback over", "answered"]);
    }
    Ok(())
}

/// `delete` waits for no other event's callback: here for one that waits for the deletion.
fn delete_does_not_wait_for_another_callback(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (running, runs) = mpsc::channel();
    let (deleted, over) = mpsc::channel();
    let other = handle.insert(Timer::every(HOUR), |_, (), _| ()).unwrap();
    let runner = handle
        .insert(User::new(), move |_, (), _| {
            running.send(()).unwrap();
            over.recv().unwrap();
        })
        .unwrap();
    handle.activate(runner, Causes::empty()).unwrap();
    let deleter = thread::spawn(move || {
        runs.recv().unwrap();
        handle.delete(other).unwrap();
        deleted.send(()).unwrap();
    });
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    deleter.join().unwrap();
    Ok(())
}

/// `delete_nowait` returns while the callback runs, and the event is deleted then.
fn delete_nowait_does_not_wait(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (running, runs) = mpsc::channel();
    let (deleted, over) = mpsc::channel();
    let key = handle
        .insert(Timer::every(HOUR), move |cx, (), fired| {
            running.send(()).unwrap();
            over.recv().unwrap();
            assert!(!cx.is_pending(fired.key()).unwrap());
        })
        .unwrap();
    handle.activate(key, Causes::empty()).unwrap();
    let deleter = thread::spawn(move || {
        runs.recv().unwrap();
        handle.delete_nowait(key).unwrap();
        deleted.send(()).unwrap();
    });
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    deleter.join().unwrap();
    assert!(lp.handle().contains(key).unwrap());
    Ok(())
}

/// An event that is deleted before the loop comes to its activators' messages is not called for them. Those of other events
/// are, and the activators work as before.
fn delete_takes_back_what_an_activator_asked(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let [deleted, other] = ["deleted", "other"].map(|name| lp.events().insert(User::new(), log.noting(name)));
    let remote = lp.remote();
    let activators = [deleted, other, deleted].map(|key| remote.activator(key));
    for _ in 0..2 {
        for activate in &activators {
            activate();
        }
        assert!(!lp.events().is_active(deleted).unwrap(), "not yet");
        lp.events().delete(deleted).unwrap();
        lp.pass();
        assert_eq!(log.take(), ["other"]);
        for activate in &activators {
            activate();
            lp.pass();
        }
        assert_eq!(log.take(), ["deleted", "other", "deleted"]);
    }
    Ok(())
}

/// So is one that a posted closure deletes, with the messages taken out already. What is asked after the deletion stands.
fn delete_in_a_post_takes_back_what_an_activator_asked(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let [deleted, other] = ["deleted", "other"].map(|name| lp.events().insert(User::new(), log.noting(name)));
    let remote = lp.remote();
    let [activate, activate_other, in_post] = [deleted, other, deleted].map(|key| remote.activator(key));
    let posted = remote.post(move |cx| {
        in_post();
        cx.delete(deleted).unwrap();
    });
    posted.unwrap();
    activate();
    activate_other();
    remote.post(log.note("posted")).unwrap();
    activate();
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), ["posted", "other"]);
    activate();
    lp.pass();
    assert_eq!(log.take(), ["deleted"]);
    let posted = remote.post(move |cx| {
        cx.delete(deleted).unwrap();
        activate();
    });
    posted.unwrap();
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), ["deleted"]);
    Ok(())
}

/// So is one that is deleted after a run that left messages to the next.
fn delete_between_two_runs_takes_back_what_an_activator_asked(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let key = lp.events().insert(User::new(), log.noting("deleted"));
    let remote = lp.remote();
    let activate = remote.activator(key);
    let stops = |cx: &mut Events<'_>| {
        cx.stop();
    };
    remote.post(stops).unwrap();
    activate();
    remote.post(log.note("posted")).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["posted"]);
    activate();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["deleted"]);
    Ok(())
}

/// The deletion that does not wait for the callback does so as well.
fn delete_nowait_takes_back_what_an_activator_asked(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let seen = log.clone();
    let key = handle.insert(User::new(), move |_, (), _| seen.push(())).unwrap();
    let activator = handle.activator(key);
    for calls in 0..2 {
        activator.activate().unwrap();
        if calls == 0 {
            handle.delete_nowait(key).unwrap();
        }
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        assert_eq!(log.take().len(), calls);
    }
    Ok(())
}

/// A thread that activates and deletes an event in turns sees no call between a deletion and the next activation, wherever
/// the loop is meanwhile.
fn no_activator_calls_an_event_after_its_deletion(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (log, deleted) = (Log::new(), Arc::new(AtomicBool::new(false)));
    let (late, is_deleted) = (log.clone(), Arc::clone(&deleted));
    let key = handle
        .insert(User::new(), move |_, (), _| {
            late.push(is_deleted.load(Ordering::Relaxed));
        })
        .unwrap();
    let thread = thread::spawn(move || {
        let activator = handle.activator(key);
        for n in 0..200 {
            deleted.store(false, Ordering::Relaxed);
            activator.activate().unwrap();
            (0..n % 20).for_each(|_| thread::yield_now());
            handle.delete(key).unwrap();
            deleted.store(true, Ordering::Relaxed);
            // With the second the turn of the first is over, whose events would include this one.
            for _ in 0..2 {
                let (passed, has_passed) = mpsc::channel();
                handle.post(move |_| passed.send(()).unwrap()).unwrap();
                has_passed.recv().unwrap();
            }
        }
        handle.stop().unwrap();
    });
    assert_eq!(lp.run_with(RunMode::FOREVER).unwrap(), Outcome::Stopped);
    thread.join().unwrap();
    assert!(!log.take().contains(&true), "a call after the deletion");
    Ok(())
}

/// Only deleting waits: a signal event can be activated and given a deadline by another thread while its callback runs,
/// and waits for that.
fn neither_adding_nor_activating_waits_for_the_callback(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let (running, runs) = mpsc::channel();
    let (done, over) = mpsc::channel();
    let seen = log.clone();
    let signal = Signal::new(SIGUSR1);
    let key = handle.insert(signal, move |cx, (), fired| {
        seen.push(fired.causes());
        if fired.causes() == Causes::SIGNAL {
            running.send(()).unwrap();
            over.recv().unwrap();
        } else {
            cx.stop().unwrap();
        }
    });
    let key = key.unwrap();
    raise(SIGUSR1).unwrap();
    let other = thread::spawn(move || {
        runs.recv().unwrap();
        handle.activate(key, Causes::WRITE).unwrap();
        handle.add_after(key, HOUR).unwrap();
        done.send(()).unwrap();
    });
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    other.join().unwrap();
    assert_eq!(log.take(), [Causes::SIGNAL, Causes::WRITE]);
    assert!(lp.handle().deadline(key).unwrap().is_some());
    Ok(())
}

/// Deleting the last event wakes the loop, which finds itself empty; of every kind that can be slept for.
fn delete_of_the_last_event_ends_the_loop(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (near, _far) = pair();
    let timer = handle.insert(Timer::after(HOUR).disarmed(), |_, (), _| ()).unwrap();
    let io = handle
        .insert(Io::new(near, Interest::READ).disarmed(), |_, _, _| ())
        .unwrap();
    let signal = handle.insert(Signal::new(SIGUSR1).disarmed(), |_, (), _| ()).unwrap();
    for key in [timer, io, signal] {
        handle.add(key).unwrap();
        let handle = handle.clone();
        let deleter = thread::spawn(move || {
            until_main_sleeps();
            handle.delete(key)
        });
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        deleter.join().unwrap().unwrap();
    }
    Ok(())
}

/// A closure that another thread removes is dropped by the loop's thread, which wakes for that.
fn remove_drops_the_closure_in_the_loops_thread(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let dropped = Dropped(log.clone());
    let key = handle
        .insert(Timer::after(HOUR), move |_, (), _| {
            let _kept = &dropped;
        })
        .unwrap();
    let seen = log.clone();
    let remover = thread::spawn(move || {
        until_main_sleeps();
        handle.remove(key).unwrap();
        assert!(!handle.contains(key).unwrap());
        while seen.len() == 0 {
            thread::yield_now();
        }
        handle.stop().unwrap();
    });
    assert_eq!(lp.run_with(RunMode::FOREVER).unwrap(), Outcome::Stopped);
    remover.join().unwrap();
    assert_eq!(log.take(), [thread::current().id()]);
    Ok(())
}

/// A run that ends because its last event was removed has dropped the closure and closed the source when it returns.
fn remove_of_the_last_event_drops_it_before_the_run_ends(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    for _ in 0..20 {
        let handle = lp.handle();
        let dropped = Dropped(log.clone());
        let key = handle
            .insert(Timer::after(HOUR), move |_, (), _| {
                let _kept = &dropped;
            })
            .unwrap();
        let (running, runs) = mpsc::channel();
        handle.post(move |_| running.send(()).unwrap()).unwrap();
        let remover = thread::spawn(move || {
            runs.recv().unwrap();
            handle.remove(key).unwrap();
        });
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        assert_eq!(log.take(), [thread::current().id()]);
        remover.join().unwrap();
    }
    Ok(())
}

/// Removing the event whose callback runs does not wait; the closure is dropped when the callback has returned.
fn remove_of_the_running_event_drops_it_afterwards(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let (dropped, seen) = (Dropped(log.clone()), log.clone());
    let (running, runs) = mpsc::channel();
    let (removed, over) = mpsc::channel();
    let key = handle
        .insert(Timer::every(HOUR), move |_, (), _| {
            let _kept = &dropped;
            running.send(()).unwrap();
            over.recv().unwrap();
            assert_eq!(seen.len(), 0);
        })
        .unwrap();
    handle.activate(key, Causes::empty()).unwrap();
    let remover = thread::spawn(move || {
        runs.recv().unwrap();
        handle.remove(key).unwrap();
        removed.send(()).unwrap();
    });
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    assert_eq!(log.take(), [thread::current().id()]);
    remover.join().unwrap();
    Ok(())
}

/// While the loop does not run, the thread that removes an event drops its closure.
fn remove_without_a_run_drops_it_here(cell: &Cell) -> Verdict {
    let lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let dropped = Dropped(log.clone());
    let key = handle
        .insert(Timer::after(HOUR), move |_, (), _| {
            let _kept = &dropped;
        })
        .unwrap();
    let seen = log.clone();
    let remover = thread::spawn(move || {
        handle.remove(key).unwrap();
        assert_eq!(seen.take(), [thread::current().id()]);
    });
    remover.join().unwrap();
    Ok(())
}

/// A loop that has run belongs to no thread any more: whoever removes an event then drops what it owned.
fn remove_after_a_run_drops_it_in_the_thread_that_removes(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let dropped = Dropped(log.clone());
    let key = handle
        .insert(User::new(), move |_, (), _| {
            let _kept = &dropped;
        })
        .unwrap();
    handle.activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    let remover = thread::spawn(move || {
        handle.remove(key).unwrap();
        assert_eq!(log.take(), [thread::current().id()]);
    });
    remover.join().unwrap();
    Ok(())
}

/// A timer that another thread adds and that is due before all others ends the sleep of the loop in time.
fn an_earlier_timer_wakes_the_loop(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    handle
        .insert(Timer::after(HOUR), |_, (), _| panic!("too early"))
        .unwrap();
    let adder = thread::spawn(move || {
        until_main_sleeps();
        let early = Timer::after(Duration::from_millis(1));
        handle.insert(early, |cx, (), _| cx.stop().unwrap()).unwrap();
    });
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    adder.join().unwrap();
    Ok(())
}

/// A timer that is due after the loop wakes anyway costs no wake-up.
fn a_later_timer_does_not_wake_the_loop(cell: &Cell) -> Verdict {
    let (lp, waits) = cell.open_counted();
    let mut lp = shared(lp)?;
    let handle = lp.handle();
    handle.insert(Timer::after(HOUR), |_, (), _| ()).unwrap();
    let counted = waits.clone();
    let adder = thread::spawn(move || {
        until_main_sleeps();
        counted.take();
        for _ in 0..100 {
            handle.insert(Timer::after(2 * HOUR), |_, (), _| ()).unwrap();
        }
        // A loop that was woken does not sleep again before it has turned.
        until_main_sleeps();
        let waited = counted.take();
        handle.stop().unwrap();
        waited
    });
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    assert_eq!(adder.join().unwrap(), 0);
    Ok(())
}

/// Deleting the timer for which the loop sleeps does not disturb it: it wakes at that time and sleeps on.
fn deleting_the_earliest_timer_costs_no_wake_up(cell: &Cell) -> Verdict {
    let (lp, waits) = cell.open_counted();
    let mut lp = shared(lp)?;
    let handle = lp.handle();
    let earliest = handle.insert(Timer::after(HOUR), |_, (), _| ()).unwrap();
    handle.insert(Timer::after(2 * HOUR), |_, (), _| ()).unwrap();
    let deleter = thread::spawn(move || {
        until_main_sleeps();
        waits.take();
        handle.delete(earliest).unwrap();
        // A loop that was woken does not sleep again before it has turned.
        until_main_sleeps();
        let waited = waits.take();
        handle.stop().unwrap();
        waited
    });
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    assert_eq!(deleter.join().unwrap(), 0);
    Ok(())
}

/// A loop that was asleep for a timer that another thread deletes calls the next one, and not before its time.
fn the_next_timer_is_in_time_when_the_earliest_is_deleted(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    // Until a deletion has come before the deadline.
    loop {
        let handle = lp.handle();
        let now = handle.now();
        let (first, next) = (now + 5 * MILLISECOND, now + 10 * MILLISECOND);
        let [earliest, _] = [first, next].map(|deadline| {
            let seen = log.clone();
            let timer = Timer::at(deadline);
            let called = move |cx: &mut SharedContext<'_>, (): &mut (), _: Fired| {
                seen.push((deadline, cx.now() >= deadline));
            };
            handle.insert(timer, called).unwrap()
        });
        let deleter = thread::spawn(move || {
            until_main_sleeps();
            handle.delete(earliest)
        });
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        deleter.join().unwrap().unwrap();
        let calls = log.take();
        if calls != [(first, true), (next, true)] {
            assert_eq!(calls, [(next, true)]);
            return Ok(());
        }
    }
}

/// Looking at events does not disturb the loop.
fn a_question_does_not_wake_the_loop(cell: &Cell) -> Verdict {
    let (lp, waits) = cell.open_counted();
    let mut lp = shared(lp)?;
    let handle = lp.handle();
    let key = handle.insert(Timer::after(HOUR), |_, (), _| ()).unwrap();
    let counted = waits.clone();
    let asker = thread::spawn(move || {
        until_main_sleeps();
        counted.take();
        for _ in 0..100 {
            assert!(handle.is_pending(key).unwrap() && handle.contains(key).unwrap());
            assert!(handle.deadline(key).unwrap().is_some());
            assert_eq!(handle.len().unwrap(), 1);
        }
        until_main_sleeps();
        let waited = counted.take();
        handle.stop().unwrap();
        waited
    });
    assert_eq!(lp.run().unwrap(), Outcome::Stopped);
    assert_eq!(asker.join().unwrap(), 0);
    Ok(())
}

/// Activating an event, now or for later, ends the sleep of the loop.
fn an_activation_wakes_the_loop(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let seen = log.clone();
    let key = handle
        .insert(User::new(), move |_, (), fired| seen.push(fired.causes()))
        .unwrap();
    let activate = [LoopHandle::activate, LoopHandle::activate_later];
    for (activate, causes) in activate.into_iter().zip([Causes::READ, Causes::WRITE]) {
        let handle = handle.clone();
        let activator = thread::spawn(move || {
            until_main_sleeps();
            activate(&handle, key, causes)
        });
        assert_eq!(lp.run_with(RunMode::ONCE | RunMode::FOREVER).unwrap(), Outcome::Passed);
        activator.join().unwrap().unwrap();
        assert_eq!(log.take(), [causes]);
    }
    Ok(())
}

/// A descriptor that another thread adds is waited for at once, also by a backend that copies its list before it sleeps.
fn an_added_descriptor_wakes_the_loop(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let (near, _far) = ready_pair();
    let adder = thread::spawn(move || {
        until_main_sleeps();
        let added = Io::new(near, Interest::READ);
        handle.insert(added, |cx, _, _| cx.stop().unwrap()).unwrap();
    });
    assert_eq!(lp.run_with(RunMode::FOREVER).unwrap(), Outcome::Stopped);
    adder.join().unwrap();
    Ok(())
}

/// A signal event that another thread adds is heard of by a loop that sleeps: the first one, with which the loop begins to
/// listen to signals at all, and one of another signal.
fn an_added_signal_is_heard_by_a_loop_that_sleeps(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    for signal in [SIGUSR1, SIGUSR2] {
        let (handle, seen) = (lp.handle(), log.clone());
        let adder = thread::spawn(move || {
            until_main_sleeps();
            let added = handle.insert(Signal::new(signal), move |cx, (), _| {
                seen.push(signal);
                cx.stop().unwrap();
            });
            // To this thread: the loop's own wait is not interrupted.
            raise(signal).unwrap();
            added.unwrap();
        });
        assert_eq!(lp.run_with(RunMode::FOREVER).unwrap(), Outcome::Stopped);
        adder.join().unwrap();
        assert_eq!(log.take(), [signal]);
    }
    Ok(())
}

/// Ten threads insert, activate, delete and remove events of a loop that runs; none is lost and none is left.
fn ten_threads_add_and_activate(cell: &Cell) -> Verdict {
    const EACH: usize = 50;
    let mut lp = shared(cell.open())?;
    let log = Log::new();
    let threads: Vec<_> = (0..10)
        .map(|number| {
            let (handle, log) = (lp.handle(), log.clone());
            thread::spawn(move || {
                for n in 0..EACH {
                    let seen = log.clone();
                    let timer = Timer::after(Duration::from_micros(n as u64 % 7));
                    let called = handle.insert(timer, move |cx, (), fired| {
                        seen.push((number, n));
                        cx.remove(fired.key()).unwrap();
                    });
                    assert!(called.is_ok());
                    let seen = log.clone();
                    let user = handle.insert(User::new(), move |cx, (), fired| {
                        seen.push((number, EACH + n));
                        cx.remove(fired.key()).unwrap();
                    });
                    handle.activate(user.unwrap(), Causes::empty()).unwrap();
                    let never = handle
                        .insert(Timer::after(HOUR), |_, (), _| panic!("deleted before it was due"))
                        .unwrap();
                    handle.delete(never).unwrap();
                    handle.remove(never).unwrap();
                }
            })
        })
        .collect();
    let handle = lp.handle();
    let watcher = thread::spawn(move || {
        for thread in threads {
            thread.join().unwrap();
        }
        while handle.len().unwrap() > 0 {
            thread::yield_now();
        }
        handle.stop().unwrap();
    });
    assert_eq!(lp.run_with(RunMode::FOREVER).unwrap(), Outcome::Stopped);
    watcher.join().unwrap();
    let mut calls = log.take();
    calls.sort_unstable();
    let expected = (0..10).flat_map(|number| (0..2 * EACH).map(move |n| (number, n)));
    assert!(calls.into_iter().eq(expected));
    Ok(())
}

/// Loops, each with the event that the one before it deletes.
type Ring = Vec<(LoopHandle, EventKey)>;

/// Runs that many loops, each in a thread of its own, of which each has a callback that deletes the running event of
/// the next one. Asserts that exactly one deletion is refused.
fn assert_ring_refuses_one(cell: &Cell, number: usize) -> Verdict {
    let mut loops = Vec::new();
    for _ in 0..number {
        loops.push(shared(cell.open())?);
    }
    let ring: Arc<OnceLock<Ring>> = Arc::default();
    let all_run = Arc::new(Barrier::new(number));
    let log = Log::new();
    let events = loops.iter().enumerate().map(|(n, lp)| {
        let (ring, all_run, seen) = (Arc::clone(&ring), Arc::clone(&all_run), log.clone());
        let key = lp.handle().insert(Timer::every(HOUR), move |cx, (), _| {
            all_run.wait();
            let (next, key) = &ring.get().unwrap()[(n + 1) % number];
            match next.delete(*key) {
                Ok(()) => seen.push("deleted"),
                Err(Error::Deadlock) => {
                    assert!(next.is_pending(*key).unwrap(), "nothing has changed");
                    seen.push("refused");
                }
                Err(error) => panic!("{error}"),
            }
            cx.stop().unwrap();
        });
        (lp.handle(), key.unwrap())
    });
    let events: Vec<_> = events.collect();
    for (handle, key) in &events {
        handle.activate(*key, Causes::empty()).unwrap();
    }
    assert!(ring.set(events).is_ok());
    let threads: Vec<_> = loops
        .into_iter()
        .map(|mut lp| thread::spawn(move || lp.run().unwrap()))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Outcome::Stopped);
    }
    let mut answers = log.take();
    answers.sort_unstable();
    assert_eq!(answers.len(), number);
    assert!(answers[..number - 1].iter().all(|&answer| answer == "deleted"));
    assert_eq!(answers[number - 1], "refused");
    Ok(())
}

/// Two loops whose callbacks delete each other's running event: one is refused, and both go on.
fn two_loops_that_delete_each_others_events(cell: &Cell) -> Verdict {
    (0..20).try_for_each(|_| assert_ring_refuses_one(cell, 2))
}

/// The same in a ring of three loops.
fn three_loops_that_delete_in_a_ring(cell: &Cell) -> Verdict {
    (0..20).try_for_each(|_| assert_ring_refuses_one(cell, 3))
}

/// A loop's next callback may wait for a thread that has just waited for the one before: no ring, no refusal.
fn a_callback_that_is_over_is_nobodys_deadlock(cell: &Cell) -> Verdict {
    for _ in 0..50 {
        let (mut here, mut there) = (shared(cell.open())?, shared(cell.open())?);
        let (running, runs) = mpsc::channel();
        let awaited = here.handle().insert(Timer::every(HOUR), move |cx, (), fired| {
            running.send(()).unwrap();
            // Until the other loop's callback has deleted this event, and waits.
            while cx.is_pending(fired.key()).unwrap() {
                thread::yield_now();
            }
        });
        let (handle, awaited) = (here.handle(), awaited.unwrap());
        let waiting = there.handle().insert(Timer::every(HOUR), move |_, (), _| {
            runs.recv().unwrap();
            handle.delete(awaited).expect("waits for the first callback");
        });
        let (handle, waiting) = (there.handle(), waiting.unwrap());
        let next = here.handle().insert(User::new(), move |_, (), _| {
            handle
                .delete(waiting)
                .expect("waits for the other loop's callback, if at all");
        });
        here.handle().activate(awaited, Causes::empty()).unwrap();
        here.handle().activate(next.unwrap(), Causes::empty()).unwrap();
        there.handle().activate(waiting, Causes::empty()).unwrap();
        let other = thread::spawn(move || there.run().unwrap());
        assert_eq!(here.run().unwrap(), Outcome::Empty);
        assert_eq!(other.join().unwrap(), Outcome::Empty);
    }
    Ok(())
}

/// A shared loop may be run in one thread and then in another, with its events, and is then that thread's.
fn a_loop_moves_to_another_thread(cell: &Cell) -> Verdict {
    let mut lp = shared(cell.open())?;
    let handle = lp.handle();
    let log = Log::new();
    let seen = log.clone();
    let key = handle
        .insert(User::new(), move |cx, (), fired| {
            seen.push(thread::current().id());
            cx.delete(fired.key()).expect("its own thread waits for nobody");
        })
        .unwrap();
    handle.activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run().unwrap(), Outcome::Empty);
    handle.activate(key, Causes::empty()).unwrap();
    let runner = thread::spawn(move || {
        assert_eq!(lp.run().unwrap(), Outcome::Empty);
        thread::current().id()
    });
    let there = runner.join().unwrap();
    assert_eq!(log.take(), [thread::current().id(), there]);
    Ok(())
}
