//! A loop in a child process: made usable by `reinit`, or dropped, without the parent noticing.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::process::exit;
use std::thread;
use std::time::Duration;

use ev_core::{Causes, Features, Interest, Io, Mode, Outcome, RawIo, RunMode, Signal, Timer, User};
use ev_sys::process::{self, Child, Fork};
use ev_sys::signal;

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{Log, need, pair, ready_pair, watch};

scenarios!("fork":
    events_work_in_the_child,
    the_child_and_the_parent_both_wait,
    a_child_that_exits_takes_nothing_with_it,
    a_child_that_drops_the_loop_takes_nothing_with_it,
    a_child_that_drops_a_reinitialised_loop_takes_nothing_with_it,
    what_the_child_deletes_stays_with_the_parent,
    what_the_child_adds_stays_with_the_child,
    changes_not_yet_made_are_made_in_both,
    activations_and_deadlines_survive,
    edges_are_reported_anew_in_the_child,
    reinit_in_a_callback_of_the_child,
    reinit_twice,
    reinit_without_a_fork,
    wake_ups_in_the_child_do_not_reach_the_parent,
    a_wake_up_before_the_fork_does_not_reach_the_child,
    signals_of_the_child_stay_in_the_child,
    signals_of_the_parent_stay_in_the_parent,
    signals_are_restored_in_a_child_that_deletes,
    grandchildren,
);

pub const THREADS: &str = "libkqueue has a thread of its own, so that the process cannot fork";

/// `SIGURG` on Linux: ignored unless it is watched, so that a test that fails does not end by it.
const SIGNAL: i32 = 23;

/// Has a child do `body` and exit; a failed assertion is its exit code.
pub fn fork(body: impl FnOnce()) -> Child {
    match split() {
        Fork::Parent(child) => child,
        Fork::Child => exit_after(body),
    }
}

/// Forks, and returns in both processes.
fn split() -> Fork {
    loop {
        // SAFETY: nothing in this process is mapped to be shared.
        match unsafe { process::fork() } {
            // A thread that was joined is counted for a moment longer.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => thread::yield_now(),
            forked => return forked.expect("a process of one thread forks"),
        }
    }
}

fn exit_after(body: impl FnOnce()) -> ! {
    exit(i32::from(panic::catch_unwind(AssertUnwindSafe(body)).is_err()))
}

/// Waits for the child, which must not have failed.
pub fn join(child: Child) {
    let status = child.wait().unwrap();
    assert!(status.success(), "the child: {status}");
}

/// A loop in a process that can fork.
fn open(cell: &Cell) -> Result<Loop, Skip> {
    cell.beyond_libkqueue(THREADS)?;
    Ok(cell.open())
}

/// A loop in a process that can fork, what it reads from a socket, and the other side of that.
fn open_with_reader(cell: &Cell) -> Result<(Loop, Log<Vec<u8>>, UnixStream), Skip> {
    let mut lp = open(cell)?;
    let (near, far) = pair();
    let (_, log) = reader(&mut lp, near);
    Ok((lp, log, far))
}

/// Inserts an event that logs what it reads.
fn reader(lp: &mut Loop, stream: UnixStream) -> (ev_core::EventKey, Log<Vec<u8>>) {
    let log = Log::new();
    let seen = log.clone();
    let key = lp
        .events()
        .insert(Io::new(stream, Interest::READ), move |_, stream, _| {
            let mut buffer = [0; 64];
            let n = stream.read(&mut buffer).unwrap();
            seen.push(buffer[..n].to_vec());
        });
    (key, log)
}

/// One turn that finds something.
fn turn(lp: &mut Loop) {
    lp.run_with(RunMode::ONCE);
}

/// After `reinit` the child's loop serves the events it inherited, and then the parent's does, as if nothing had been.
fn events_work_in_the_child(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    far.write_all(b"before").unwrap();
    turn(&mut lp);
    assert_eq!(log.take(), [b"before"]);
    join(fork(|| {
        lp.reinit().unwrap();
        far.write_all(b"child").unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [b"child"]);
    }));
    far.write_all(b"parent").unwrap();
    turn(&mut lp);
    assert_eq!(log.take(), [b"parent"]);
    Ok(())
}

/// Both loops are told of the same file at the same time.
fn the_child_and_the_parent_both_wait(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.pass();
    let (mut ready, mut child_ready) = pair();
    ready.set_nonblocking(false).unwrap();
    let child = fork(|| {
        lp.reinit().unwrap();
        lp.pass();
        child_ready.write_all(b"!").unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [Causes::READ]);
    });
    ready.read_exact(&mut [0]).unwrap();
    assert_eq!(log.take(), []);
    far.write_all(b"x").unwrap();
    join(child);
    turn(&mut lp);
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Runs the loop and sees that an event is still registered.
fn assert_undisturbed(lp: &mut Loop, log: &Log<Vec<u8>>, far: &mut UnixStream) {
    lp.pass();
    assert_eq!(log.len(), 0);
    far.write_all(b"parent").unwrap();
    turn(lp);
    assert_eq!(log.take(), [b"parent"]);
}

/// A child that never touches the loop and exits leaves the parent's registrations, timers and notifier alone.
fn a_child_that_exits_takes_nothing_with_it(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    lp.pass();
    join(fork(|| ()));
    assert_undisturbed(&mut lp, &log, &mut far);
    Ok(())
}

/// Nor does one that drops the loop, with its sources, without `reinit`.
fn a_child_that_drops_the_loop_takes_nothing_with_it(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    let signals = Log::new();
    let seen = signals.clone();
    lp.events()
        .insert(Signal::new(SIGNAL), move |_, (), _| seen.push("parent"));
    lp.pass();
    let mut lp = Some(lp);
    join(fork(|| drop(lp.take())));
    let mut lp = lp.unwrap();
    assert_undisturbed(&mut lp, &log, &mut far);
    signal::raise(SIGNAL).unwrap();
    turn(&mut lp);
    assert_eq!(signals.take(), ["parent"]);
    Ok(())
}

/// Nor one that drops it after `reinit`.
fn a_child_that_drops_a_reinitialised_loop_takes_nothing_with_it(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    lp.pass();
    let mut lp = Some(lp);
    join(fork(|| {
        let mut lp = lp.take().unwrap();
        lp.reinit().unwrap();
        lp.pass();
    }));
    assert_undisturbed(&mut lp.unwrap(), &log, &mut far);
    Ok(())
}

/// After `reinit`, events that the child deletes or removes are still registered in the parent.
fn what_the_child_deletes_stays_with_the_parent(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let (near, mut far) = pair();
    let (raw, mut raw_far) = pair();
    let (key, log) = reader(&mut lp, near);
    let (raw_key, raw_log) = watch(&mut lp, RawIo::new(raw.as_raw_fd(), Interest::READ));
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        lp.events().remove(key).unwrap();
        lp.events().delete(raw_key).unwrap();
        assert_eq!(lp.run(), Outcome::Empty);
    }));
    assert_undisturbed(&mut lp, &log, &mut far);
    raw_far.write_all(b"x").unwrap();
    turn(&mut lp);
    assert_eq!(raw_log.take(), [Causes::READ]);
    Ok(())
}

/// Events that the child inserts are not registered in the parent's kernel object.
fn what_the_child_adds_stays_with_the_child(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(THREADS)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
    }));
    lp.events()
        .insert(Timer::after(Duration::from_millis(20)), |_, (), _| {});
    waits.take();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(waits.take(), 1, "nothing but the timer woke the parent");
    Ok(())
}

/// Changes that wait for the next turn when the process forks are made in the parent and in the child.
fn changes_not_yet_made_are_made_in_both(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let (near, mut far) = pair();
    let (gone, mut gone_far) = pair();
    let (key, log) = reader(&mut lp, near);
    let (deleted, silent) = reader(&mut lp, gone);
    lp.events().delete(key).unwrap();
    lp.pass();
    lp.events().add(key).unwrap();
    lp.events().delete(deleted).unwrap();
    gone_far.write_all(b"unheard").unwrap();
    join(fork(|| {
        lp.reinit().unwrap();
        far.write_all(b"child").unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [b"child"]);
        assert_eq!(silent.len(), 0);
    }));
    assert_undisturbed(&mut lp, &log, &mut far);
    assert_eq!(silent.len(), 0);
    Ok(())
}

/// What is active or waits for a deadline is so in both processes.
fn activations_and_deadlines_survive(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let log = Log::new();
    let (user, timer) = (log.clone(), log.clone());
    let key = lp
        .events()
        .insert(User::new(), move |_, (), fired| user.push(fired.causes()));
    lp.events()
        .insert(Timer::after(Duration::from_millis(1)), move |_, (), fired| {
            timer.push(fired.causes());
        });
    lp.events().activate(key, Causes::WRITE).unwrap();
    let run = |lp: &mut Loop| {
        assert_eq!(lp.run(), Outcome::Empty);
        let mut causes = log.take();
        causes.sort_unstable_by_key(Causes::bits);
        assert_eq!(causes, [Causes::WRITE, Causes::TIMEOUT]);
    };
    join(fork(|| {
        lp.reinit().unwrap();
        run(&mut lp);
    }));
    run(&mut lp);
    Ok(())
}

/// The child's kernel object is new: what was reported before the fork is news to it.
fn edges_are_reported_anew_in_the_child(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    need(&mut lp, Features::EDGE, "edge")?;
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::Edge));
    far.write_all(b"x").unwrap();
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    join(fork(|| {
        lp.reinit().unwrap();
        lp.pass();
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
    }));
    lp.pass();
    assert_eq!(log.take(), []);
    Ok(())
}

/// A callback forks; the child leaves its run and starts anew.
fn reinit_in_a_callback_of_the_child(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    let forked = std::sync::Arc::new(std::sync::Mutex::new(None));
    let made = std::sync::Arc::clone(&forked);
    let key = lp.events().insert(User::new(), move |cx, (), _| {
        *made.lock().unwrap() = Some(split());
        cx.stop();
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Stopped);
    let forked = forked.lock().unwrap().take().unwrap();
    match forked {
        Fork::Parent(child) => {
            join(child);
            assert_undisturbed(&mut lp, &log, &mut far);
        }
        Fork::Child => exit_after(|| {
            lp.reinit().unwrap();
            far.write_all(b"child").unwrap();
            turn(&mut lp);
            assert_eq!(log.take(), [b"child"]);
        }),
    }
    Ok(())
}

/// A second `reinit` does no harm.
fn reinit_twice(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        lp.reinit().unwrap();
        far.write_all(b"child").unwrap();
        turn(&mut lp);
        lp.reinit().unwrap();
        assert_eq!(log.take(), [b"child"]);
        far.write_all(b"again").unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [b"again"]);
    }));
    assert_undisturbed(&mut lp, &log, &mut far);
    Ok(())
}

/// In a process that has not forked `reinit` changes nothing that events could see, and keeps no descriptor open.
fn reinit_without_a_fork(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue("libkqueue closes descriptors later, in a thread of its own")?;
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (_, log) = reader(&mut lp, near);
    let signals = Log::new();
    let seen = signals.clone();
    lp.events()
        .insert(Signal::new(SIGNAL), move |_, (), _| seen.push("signal"));
    lp.pass();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..3 {
        lp.reinit().unwrap();
        lp.pass();
        assert_eq!(descriptors(), before);
    }
    assert_undisturbed(&mut lp, &log, &mut far);
    signal::raise(SIGNAL).unwrap();
    turn(&mut lp);
    assert_eq!(signals.take(), ["signal"]);
    Ok(())
}

/// The counts of this process's eventfds, which are notifiers.
fn notifications() -> Vec<String> {
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap();
    infos
        .filter_map(|info| fs::read_to_string(info.unwrap().path()).ok())
        .filter_map(|text| {
            let line = text.lines().find(|line| line.starts_with("eventfd-count:"))?;
            Some(line.split_whitespace().nth(1)?.to_string())
        })
        .collect()
}

/// A closure posted to the child's sleeping loop wakes it, and leaves the parent's notifier unwritten.
fn wake_ups_in_the_child_do_not_reach_the_parent(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let remote = lp.remote();
    lp.pass();
    if notifications() != ["0"] {
        return Err(Skip("no notifier whose count can be read"));
    }
    let child_remote = remote.clone();
    join(fork(|| {
        lp.reinit().unwrap();
        let log = Log::new();
        let seen = log.clone();
        let poster = thread::spawn(move || {
            // The main thread sleeps in the kernel: the only place where a wake-up is a write.
            while !sleeps_in_a_wait() {
                thread::yield_now();
            }
            child_remote
                .post(move |cx| {
                    seen.push("posted");
                    cx.stop();
                })
                .unwrap();
        });
        assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
        poster.join().unwrap();
        assert_eq!(log.take(), ["posted"]);
    }));
    assert_eq!(notifications(), ["0"]);
    let log = Log::new();
    remote.post(log.note("parent")).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["parent"]);
    Ok(())
}

/// Whether the main thread of this process is inside a system call that waits for descriptors.
fn sleeps_in_a_wait() -> bool {
    let main = format!("/proc/self/task/{}/stat", std::process::id());
    let stat = fs::read_to_string(main).unwrap();
    // The state is the first word behind the name in brackets.
    stat.rsplit(')').next().unwrap().trim_start().starts_with('S')
}

/// A notifier that was written to before the fork is the parent's: the child's loop does not find it readable.
fn a_wake_up_before_the_fork_does_not_reach_the_child(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(THREADS)?;
    let (mut lp, waits) = cell.open_counted();
    let remote = lp.remote();
    lp.pass();
    if notifications() != ["0"] {
        return Err(Skip("no notifier whose count can be read"));
    }
    let poster = remote.clone();
    let thread = thread::spawn(move || {
        while !sleeps_in_a_wait() {
            thread::yield_now();
        }
        poster.stop().unwrap();
    });
    // The loop leaves before it comes to draining the notifier, if it drains it at all.
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    thread.join().unwrap();
    join(fork(|| {
        lp.reinit().unwrap();
        assert_eq!(notifications(), ["0"]);
        lp.events()
            .insert(Timer::after(Duration::from_millis(20)), |_, (), _| {});
        // What became active before the fork is done with first.
        lp.pass();
        waits.take();
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(waits.take(), 1);
    }));
    // The parent's still wakes the parent.
    let thread = thread::spawn(move || {
        while !sleeps_in_a_wait() {
            thread::yield_now();
        }
        remote.stop().unwrap();
    });
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    thread.join().unwrap();
    Ok(())
}

/// Signals delivered to the child after `reinit` are counted there, and nowhere else.
fn signals_of_the_child_stay_in_the_child(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let (_, log) = watch(&mut lp, Signal::new(SIGNAL));
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        for _ in 0..3 {
            signal::raise(SIGNAL).unwrap();
        }
        turn(&mut lp);
        assert_eq!(log.take(), [Causes::SIGNAL; 3]);
    }));
    lp.pass();
    assert_eq!(log.take(), []);
    signal::raise(SIGNAL).unwrap();
    turn(&mut lp);
    assert_eq!(log.take(), [Causes::SIGNAL]);
    Ok(())
}

/// A signal that was delivered to the parent before the fork is called in the parent only.
fn signals_of_the_parent_stay_in_the_parent(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let (_, log) = watch(&mut lp, Signal::new(SIGNAL));
    lp.pass();
    signal::raise(SIGNAL).unwrap();
    join(fork(|| {
        lp.reinit().unwrap();
        lp.pass();
        assert_eq!(log.take(), []);
        signal::raise(SIGNAL).unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [Causes::SIGNAL]);
    }));
    turn(&mut lp);
    assert_eq!(log.take(), [Causes::SIGNAL]);
    Ok(())
}

/// Deleting the signal's event in the child restores the child's disposition; the parent's handler stays.
fn signals_are_restored_in_a_child_that_deletes(cell: &Cell) -> Verdict {
    let mut lp = open(cell)?;
    let before = signal::Action::query(SIGNAL).unwrap().disposition();
    let (key, log) = watch(&mut lp, Signal::new(SIGNAL));
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        lp.events().delete(key).unwrap();
        let after = signal::Action::query(SIGNAL).unwrap().disposition();
        assert_eq!(after, before);
    }));
    signal::raise(SIGNAL).unwrap();
    turn(&mut lp);
    assert_eq!(log.take(), [Causes::SIGNAL]);
    Ok(())
}

/// A child's child reinitialises as well; all three are served.
fn grandchildren(cell: &Cell) -> Verdict {
    let (mut lp, log, mut far) = open_with_reader(cell)?;
    lp.pass();
    join(fork(|| {
        lp.reinit().unwrap();
        lp.pass();
        join(fork(|| {
            lp.reinit().unwrap();
            far.write_all(b"grandchild").unwrap();
            turn(&mut lp);
            assert_eq!(log.take(), [b"grandchild"]);
        }));
        far.write_all(b"child").unwrap();
        turn(&mut lp);
        assert_eq!(log.take(), [b"child"]);
    }));
    assert_undisturbed(&mut lp, &log, &mut far);
    Ok(())
}
