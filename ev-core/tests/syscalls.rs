//! What a turn costs in system calls, counted by `strace`.
//!
//! Each test runs itself once more, under `strace`, and counts the calls between two marks that its work leaves in the
//! trace. Where `strace` is missing or may not trace, the tests say so and pass; `cargo xtask test-all` counts them as
//! skipped.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{self, Command, Stdio};
use std::time::Duration;

use ev_core::{Interest, Io, Outcome, RawIo};

mod loops;

use loops::events::Loop;
use loops::{KINDS, both, readable};

const TURNS: usize = 1000;

/// Set in the process that is traced.
const TRACED: &str = "EV_CORE_TRACED";

/// How often each system call was made.
type Calls = BTreeMap<String, usize>;

/// The name of a file that is opened, in vain, where a section of the trace begins or ends.
fn mark(section: &str, end: &str) -> String {
    format!("/ev-core-trace/{section}/{end}")
}

/// Does `work` between two marks.
fn section(name: &str, work: impl FnOnce()) {
    let marks = [mark(name, "begin"), mark(name, "end")];
    assert!(File::open(&marks[0]).is_err());
    work();
    assert!(File::open(&marks[1]).is_err());
}

/// In the traced process, does `work` on each kind of loop and answers nothing; else traces such a process, and answers
/// what calls it made in each kind's section.
fn trace(test: &str, work: fn(&mut Loop, section: &str)) -> Vec<(&'static str, Calls)> {
    if env::var_os(TRACED).is_some() {
        for (kind, mut lp) in both("epoll") {
            work(&mut lp, kind);
        }
        return vec![];
    }
    if let Err(reason) = can_trace() {
        // Not by a macro, whose output the harness keeps to itself; and at once, as other tests write at the same time.
        let _ = io::stderr().write_all(format!("syscalls: {test} is SKIPPED: {reason}\n").as_bytes());
        return vec![];
    }
    let output = env::temp_dir().join(format!("ev-core-{}-{test}.strace", process::id()));
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&output)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1", "--quiet"])
        .env(TRACED, "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let text = fs::read_to_string(&output).unwrap();
    fs::remove_file(&output).unwrap();
    assert!(status.success(), "the traced process failed");
    KINDS.map(|section| (section, calls(&text, section))).into()
}

/// Whether there is an `strace` that works here.
fn can_trace() -> Result<(), String> {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("strace may not trace here ({status})")),
        Err(error) => Err(format!("strace cannot be run: {error}")),
    }
}

/// The calls of one section, made by the thread that left the marks.
fn calls(trace: &str, section: &str) -> Calls {
    let mut lines = trace.lines();
    let begin = mark(section, "begin");
    let begin = lines.find(|line| line.contains(&begin)).expect("the section begins");
    let thread = begin
        .split_whitespace()
        .next()
        .expect("-f puts the thread's number first");
    let end = mark(section, "end");
    let mut calls = Calls::new();
    for line in lines {
        if line.contains(&end) {
            return calls;
        }
        let mut parts = line.splitn(2, ' ');
        let (Some(number), Some(call)) = (parts.next(), parts.next()) else {
            continue;
        };
        // A call that another thread's interrupted is written in two lines, of which the second is `<... resumed>`.
        if number == thread
            && let Some((name, _)) = call.trim_start().split_once('(')
            && !name.starts_with(['<', '+', '-'])
        {
            *calls.entry(name.to_string()).or_default() += 1;
        }
    }
    panic!("the section does not end");
}

/// Takes the waits out: by whichever call this kernel offers.
fn take_waits(calls: &mut Calls) -> usize {
    ["epoll_pwait2", "epoll_pwait", "epoll_wait"]
        .into_iter()
        .filter_map(|name| calls.remove(name))
        .sum()
}

fn none() -> Calls {
    Calls::new()
}

/// Runs the counted turns, in each of which this event is called.
fn run_turns(lp: &mut Loop, name: &str, event: Io<UnixStream>) {
    let mut turns = 0;
    lp.events().insert(event, move |cx, _, _| {
        turns += 1;
        if turns == TURNS {
            cx.stop();
        }
    });
    section(name, || assert_eq!(lp.run(), Outcome::Stopped));
}

#[test]
fn dispatching_costs_the_waits_alone() {
    for (driver, mut calls) in trace("dispatching_costs_the_waits_alone", |lp, name| {
        let (near, _far) = readable();
        run_turns(lp, name, Io::new(near, Interest::READ));
    }) {
        assert_eq!(take_waits(&mut calls), TURNS, "{driver}");
        assert_eq!(calls, none(), "{driver}");
    }
}

#[test]
fn idle_timeouts_cost_nothing() {
    for (driver, mut calls) in trace("idle_timeouts_cost_nothing", |lp, name| {
        let (near, _far) = readable();
        let event = Io::new(near, Interest::READ).timeout(Duration::from_hours(1));
        run_turns(lp, name, event);
    }) {
        assert_eq!(take_waits(&mut calls), TURNS, "{driver}");
        assert_eq!(calls, none(), "{driver}");
    }
}

#[test]
fn a_once_event_added_again_is_not_told_to_the_kernel() {
    for (driver, mut calls) in trace("a_once_event_added_again_is_not_told_to_the_kernel", |lp, name| {
        let (near, _far) = readable();
        let mut turns = 0;
        section(name, || {
            lp.events()
                .insert(Io::new(near, Interest::READ).once(), move |cx, _, fired| {
                    turns += 1;
                    cx.add(fired.key()).unwrap();
                    if turns == TURNS {
                        cx.stop();
                    }
                });
            assert_eq!(lp.run(), Outcome::Stopped);
        });
    }) {
        assert_eq!(take_waits(&mut calls), TURNS, "{driver}");
        assert_eq!(calls.remove("epoll_ctl"), Some(1), "{driver}: the first time alone");
        // The boxed callback and the first tables may have the heap grow.
        calls.retain(|name, _| name != "brk" && name != "mmap");
        assert_eq!(calls, none(), "{driver}");
    }
}

#[test]
fn changes_that_cancel_out_are_not_told_to_the_kernel() {
    for (driver, mut calls) in trace("changes_that_cancel_out_are_not_told_to_the_kernel", |lp, name| {
        let (near, _far) = readable();
        let (gone, _gone_far) = readable();
        // Keeps the loop from ending.
        lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| {});
        let added = lp.events().insert(Io::new(near, Interest::WRITE), |_, _, _| {});
        let deleted = lp.events().insert(Io::new(gone, Interest::WRITE), |_, _, _| {});
        lp.pass();
        lp.events().delete(deleted).unwrap();
        lp.pass();
        section(name, || {
            for _ in 0..100 {
                lp.events().delete(added).unwrap();
                lp.events().add(added).unwrap();
                lp.events().add(deleted).unwrap();
                lp.events().delete(deleted).unwrap();
                lp.events().set_interest(added, Interest::READ).unwrap();
                lp.events().set_interest(added, Interest::WRITE).unwrap();
                lp.pass();
            }
        });
    }) {
        assert_eq!(take_waits(&mut calls), 100, "{driver}");
        assert_eq!(calls, none(), "{driver}");
    }
}

#[test]
fn raw_changes_are_told_at_once() {
    for (driver, mut calls) in trace("raw_changes_are_told_at_once", |lp, name| {
        let (near, _far) = readable();
        let key = lp
            .events()
            .insert(RawIo::new(near.as_raw_fd(), Interest::READ), |_, (), _| {});
        section(name, || {
            for _ in 0..100 {
                lp.events().delete(key).unwrap();
                lp.events().add(key).unwrap();
            }
        });
    }) {
        assert_eq!(calls.remove("epoll_ctl"), Some(200), "{driver}");
        assert_eq!(calls, none(), "{driver}");
    }
}

#[test]
fn a_loop_that_is_awake_is_not_woken() {
    for (driver, mut calls) in trace("a_loop_that_is_awake_is_not_woken", |lp, name| {
        let remote = lp.remote();
        let (near, _far) = readable();
        let mut turns = 0;
        lp.events().insert(Io::new(near, Interest::READ), move |cx, _, _| {
            turns += 1;
            for _ in 0..10 {
                remote.post(|_| ()).unwrap();
            }
            if turns == TURNS {
                cx.stop();
            }
        });
        section(name, || assert_eq!(lp.run(), Outcome::Stopped));
    }) {
        assert_eq!(take_waits(&mut calls), TURNS, "{driver}");
        // Ten messages a turn: the queue's memory is the heap's affair.
        calls.retain(|name, _| name != "brk" && name != "mmap" && name != "munmap");
        assert_eq!(calls, none(), "{driver}: no write to the notifier");
    }
}
