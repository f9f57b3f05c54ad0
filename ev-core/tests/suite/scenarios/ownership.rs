//! Sources that events own: lent to the callback, dropped exactly once, and never before the kernel has forgotten them.

use std::fs;
use std::io::{Read, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use ev_core::{Causes, Error, EventKey, Fired, Interest, Io, Outcome, RawIo, Rejected, RunMode, Timer, User};
use ev_sys::process;

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop, Remote};
use crate::harness::{Skip, Verdict};
use crate::support::{HOUR, Log, pair, ready_pair, watch};

scenarios!("ownership":
    the_source_is_lent_to_each_call,
    remove_drops_the_source,
    remove_in_the_own_callback_drops_when_it_returns,
    delete_keeps_the_source,
    a_once_event_keeps_its_source,
    dropping_the_loop_drops_the_sources,
    a_loop_dropped_with_an_active_event,
    what_the_callback_captured_is_dropped_too,
    a_source_that_uses_its_loop_when_dropped,
    a_refused_source_comes_back,
    a_refused_source_keeps_working,
    the_kernel_forgets_before_the_descriptor_closes,
    the_kernel_forgets_a_deferred_deletion_before_the_close,
    a_replaced_source_ends_the_event,
    a_replaced_source_makes_room_for_its_number,
    an_event_removed_by_another_is_not_called,
    an_event_removed_and_inserted_anew_is_not_called_for_the_old_report,
    events_that_share_a_source,
    a_source_without_a_descriptor_of_its_own,
);

/// A stream that tells when it is dropped.
struct Source {
    stream: UnixStream,
    name: &'static str,
    log: Log<String>,
}

impl Source {
    fn new(stream: UnixStream, name: &'static str, log: &Log<String>) -> Self {
        let log = log.clone();
        Self { stream, name, log }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.log.push(format!("{} dropped", self.name));
    }
}

/// A source whose other end has written, and that end.
fn ready_source(name: &'static str, log: &Log<String>) -> (Source, UnixStream) {
    let (near, far) = ready_pair();
    (Source::new(near, name, log), far)
}

/// Logs the call.
fn called(_: &mut Events<'_>, source: &mut Source, _: Fired) {
    source.log.push(format!("{} called", source.name));
}

fn remove_self(cx: &mut Events<'_>, source: &mut Source, fired: Fired) {
    cx.remove(fired.key()).unwrap();
    source.log.push(format!("{} called", source.name));
}

/// A stream that knows how much was read from it.
struct Counting(UnixStream, usize);

impl AsFd for Counting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Each call gets the same source and may change it.
fn the_source_is_lent_to_each_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(Counting(near, 0), Interest::READ), move |_, source, _| {
            source.1 += source.0.read(&mut [0; 8]).unwrap();
            seen.push(source.1);
        });
    for text in ["a", "bc", "def"] {
        far.write_all(text.as_bytes()).unwrap();
        lp.pass();
    }
    assert_eq!(log.take(), [1, 3, 6]);
    Ok(())
}

/// Removing an event drops its source, once, before the call returns.
fn remove_drops_the_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let key = lp.events().insert(Io::new(source, Interest::READ), called);
    lp.pass();
    assert_eq!(log.take(), ["source called"]);
    lp.events().remove(key).unwrap();
    assert_eq!(log.take(), ["source dropped"]);
    lp.pass();
    drop(lp);
    assert_eq!(log.take(), <[&str; 0]>::default());
    Ok(())
}

/// A callback that removes its own event goes on with its source, which is dropped when it returns.
fn remove_in_the_own_callback_drops_when_it_returns(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let key = lp.events().insert(Io::new(source, Interest::READ), remove_self);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["source called", "source dropped"]);
    assert!(!lp.events().contains(key));
    assert_eq!(lp.events().len(), 0);
    drop(lp);
    assert_eq!(log.take(), <[&str; 0]>::default());
    Ok(())
}

/// A deleted event keeps its source, and lends it again once it is added.
fn delete_keeps_the_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let key = lp.events().insert(Io::new(source, Interest::READ), called);
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), <[&str; 0]>::default());
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["source called"]);
    Ok(())
}

/// A one-shot event that has fired still owns its source.
fn a_once_event_keeps_its_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let key = lp.events().insert(Io::new(source, Interest::READ).once(), called);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["source called"]);
    lp.events().remove(key).unwrap();
    assert_eq!(log.take(), ["source dropped"]);
    Ok(())
}

/// Dropping the loop drops every source once: of added, deleted and fired events.
fn dropping_the_loop_drops_the_sources(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let mut fars = vec![];
    for name in ["added", "deleted", "fired"] {
        let (source, far) = ready_source(name, &log);
        let event = Io::new(source, Interest::READ);
        let event = if name == "fired" { event.once() } else { event };
        let key = lp.events().insert(event, |_, _, _| {});
        if name == "deleted" {
            lp.events().delete(key).unwrap();
        }
        fars.push(far);
    }
    lp.pass();
    assert_eq!(log.take(), <[&str; 0]>::default());
    drop(lp);
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["added dropped", "deleted dropped", "fired dropped"]);
    for mut far in fars {
        while far.read(&mut [0; 8]).is_ok_and(|n| n > 0) {}
        assert_eq!(far.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    }
    Ok(())
}

/// A loop that is stopped and dropped while an event is active drops its source and does not call it.
fn a_loop_dropped_with_an_active_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let key = lp.events().insert(Io::new(source, Interest::READ).disarmed(), called);
    lp.events().activate(key, Causes::READ).unwrap();
    drop(lp);
    assert_eq!(log.take(), ["source dropped"]);
    Ok(())
}

/// The callback's own captures live and die with the source.
fn what_the_callback_captured_is_dropped_too(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let captured = Arc::new(());
    let witness = Arc::clone(&captured);
    let timer = lp.events().insert(Timer::after(HOUR), move |_, (), _| {
        let _ = &captured;
    });
    assert_eq!(Arc::strong_count(&witness), 2);
    lp.events().remove(timer).unwrap();
    assert_eq!(Arc::strong_count(&witness), 1);

    let captured = Arc::clone(&witness);
    lp.events().insert(User::new(), move |_, (), _| {
        let _ = &captured;
    });
    drop(lp);
    assert_eq!(Arc::strong_count(&witness), 1);
    Ok(())
}

/// Stops its loop when it is dropped.
struct Stopping {
    stream: UnixStream,
    remote: Remote,
    log: Log<&'static str>,
}

impl AsFd for Stopping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        let loop_exists = self.remote.stop().is_ok();
        self.log.push(if loop_exists { "stopped" } else { "gone" });
    }
}

/// A source that reaches for the loop when it is dropped finds it unlocked; or gone, if the loop is being dropped.
fn a_source_that_uses_its_loop_when_dropped(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let mut fars = vec![];
    let mut insert = |lp: &mut Loop, remove: bool| {
        let (stream, far) = ready_pair();
        fars.push(far);
        let (remote, log) = (lp.remote(), log.clone());
        let source = Stopping { stream, remote, log };
        lp.events()
            .insert(Io::new(source, Interest::READ), move |cx, _, fired| {
                if remove {
                    cx.remove(fired.key()).unwrap();
                }
            })
    };
    insert(&mut lp, true);
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    assert_eq!(log.take(), ["stopped"]);
    let key = insert(&mut lp, false);
    lp.events().remove(key).unwrap();
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    assert_eq!(log.take(), ["stopped"]);
    insert(&mut lp, false);
    drop(lp);
    assert_eq!(log.take(), ["gone"]);
    Ok(())
}

/// Inserts what is refused, and returns the error and the source. The callback came back as well.
fn refused(lp: &mut Loop, event: Io<Source>) -> (Error, Source) {
    let witness = Arc::new(());
    let captured = Arc::clone(&witness);
    let (error, source) = match lp {
        Loop::Local(lp) => {
            let Rejected { error, value } = lp.insert(event, move |_, _, _| drop(captured.clone())).unwrap_err();
            assert_eq!(Arc::strong_count(&witness), 2, "the callback is here");
            (error, value.0)
        }
        Loop::Shared(lp) => {
            let handle = lp.handle();
            let Rejected { error, value } = handle.insert(event, move |_, _, _| drop(captured.clone())).unwrap_err();
            assert_eq!(Arc::strong_count(&witness), 2, "the callback is here");
            (error, value.0)
        }
    };
    assert_eq!(Arc::strong_count(&witness), 1, "and nowhere else");
    (error, source)
}

/// A refused insertion gives source and callback back, and leaves no event behind.
fn a_refused_source_comes_back(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let (error, source) = refused(&mut lp, Io::new(source, Interest::READ).priority(9));
    assert!(matches!(error, Error::Priority { asked: 9, available: 1 }), "{error:?}");
    let (error, source) = refused(&mut lp, Io::new(source, Interest::empty()));
    assert!(matches!(error, Error::Update(_)), "{error:?}");
    assert_eq!(log.take(), <[&str; 0]>::default());
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.pass(), Outcome::Empty);
    drop(source);
    assert_eq!(log.take(), ["source dropped"]);
    Ok(())
}

/// What came back can be inserted again.
fn a_refused_source_keeps_working(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("source", &log);
    let (_, source) = refused(&mut lp, Io::new(source, Interest::empty()));
    lp.events().insert(Io::new(source, Interest::READ), remove_self);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["source called", "source dropped"]);
    Ok(())
}

/// Whether an epoll set of this process has `fd` (`/proc/self/fdinfo`).
fn is_in_an_epoll_set(fd: RawFd) -> bool {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("tfd:") && words.next() == Some(fd.to_string().as_str())
    };
    fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .any(|info| fs::read_to_string(info.unwrap().path()).is_ok_and(|text| text.lines().any(entry)))
}

/// A stream that looks, when it is dropped, whether the kernel still has it.
struct Checking {
    stream: UnixStream,
    log: Log<bool>,
}

impl AsFd for Checking {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        let fd = self.stream.as_raw_fd();
        assert!(process::is_open(fd));
        self.log.push(is_in_an_epoll_set(fd));
    }
}

fn checking(log: &Log<bool>) -> (Checking, UnixStream) {
    let (stream, far) = ready_pair();
    let log = log.clone();
    (Checking { stream, log }, far)
}

fn need_epoll(lp: &mut Loop) -> Verdict {
    if lp.events().backend_name() == "epoll" {
        Ok(())
    } else {
        Err(Skip("only epoll's set can be looked into"))
    }
}

/// When the source is dropped its registration is gone: on remove, in the own callback, and in another's.
fn the_kernel_forgets_before_the_descriptor_closes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need_epoll(&mut lp)?;
    let log = Log::new();
    let (source, _far) = checking(&log);
    let fd = source.stream.as_raw_fd();
    let key = lp.events().insert(Io::new(source, Interest::READ), |_, _, _| {});
    lp.pass();
    assert!(is_in_an_epoll_set(fd));
    lp.events().remove(key).unwrap();
    assert_eq!(log.take(), [false], "on remove");

    let (source, _far) = checking(&log);
    lp.events().insert(Io::new(source, Interest::READ), |cx, _, fired| {
        cx.remove(fired.key()).unwrap();
    });
    lp.run();
    assert_eq!(log.take(), [false], "in the own callback");

    let (source, _far) = checking(&log);
    let other = lp.events().insert(Io::new(source, Interest::READ), |_, _, _| {});
    let user = lp
        .events()
        .insert(User::new(), move |cx, (), _| cx.remove(other).unwrap());
    lp.pass();
    lp.events().activate(user, Causes::empty()).unwrap();
    lp.pass();
    assert_eq!(log.take(), [false], "in another's callback");
    Ok(())
}

/// A deletion that waits for the next turn is made before the source is dropped.
fn the_kernel_forgets_a_deferred_deletion_before_the_close(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need_epoll(&mut lp)?;
    let log = Log::new();
    let (source, _far) = checking(&log);
    let fd = source.stream.as_raw_fd();
    let key = lp.events().insert(Io::new(source, Interest::READ), |_, _, _| {});
    lp.pass();
    lp.events().delete(key).unwrap();
    assert!(is_in_an_epoll_set(fd), "not told yet");
    lp.events().remove(key).unwrap();
    assert_eq!(log.take(), [false]);
    // A one-shot event is deleted when it is called; here its callback then removes it.
    let (source, _far) = checking(&log);
    lp.events()
        .insert(Io::new(source, Interest::READ).once(), |cx, _, fired| {
            cx.remove(fired.key()).unwrap();
        });
    lp.run();
    assert_eq!(log.take(), [false]);
    Ok(())
}

/// A callback that puts another stream in its source's place ends its event; both streams are dropped once.
fn a_replaced_source_ends_the_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let (source, _far) = ready_source("old", &log);
    let (new, _new_far) = ready_source("new", &log);
    let mut new = Some(new);
    let key = lp
        .events()
        .insert(Io::new(source, Interest::READ), move |_, source, _| {
            let old = mem::replace(source, new.take().unwrap());
            old.log.push("called".to_string());
        });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "old dropped", "new dropped"]);
    assert!(!lp.events().contains(key));
    Ok(())
}

/// A callback closes its source by replacing it; a new event on the number, inserted before it returns, works.
fn a_replaced_source_makes_room_for_its_number(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let number = near.as_raw_fd();
    let log = Log::new();
    let seen = log.clone();
    let (new, _new_far) = pair();
    let mut new = Some(new);
    lp.events().insert(Io::new(near, Interest::READ), move |cx, stream, _| {
        *stream = new.take().unwrap();
        let (near, mut far) = pair();
        assert_eq!(near.as_raw_fd(), number);
        far.write_all(b"new").unwrap();
        let seen = seen.clone();
        cx.insert(Io::new(near, Interest::READ), move |cx, stream, fired| {
            let mut buffer = [0; 8];
            let n = stream.read(&mut buffer).unwrap();
            seen.push(buffer[..n].to_vec());
            cx.remove(fired.key()).unwrap();
        });
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [b"new".to_vec()]);
    Ok(())
}

/// Two events are active, and the first one called removes the other: that one is dropped at once and never called.
fn an_event_removed_by_another_is_not_called(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let keys = Log::<EventKey>::new();
    let mut fars = vec![];
    for _ in 0..2 {
        let (source, far) = ready_source("source", &log);
        let keys_seen = keys.clone();
        let key = lp
            .events()
            .insert(Io::new(source, Interest::READ), move |cx, source, fired| {
                source.log.push("called".to_string());
                for key in keys_seen.take() {
                    if key != fired.key() {
                        cx.remove(key).unwrap();
                    }
                }
                source.log.push("returns".to_string());
                cx.delete(fired.key()).unwrap();
            });
        keys.push(key);
        fars.push(far);
    }
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), ["called", "source dropped", "returns"]);
    assert_eq!(lp.events().len(), 1);
    Ok(())
}

/// Nor is an event that takes the removed one's place: it waits for a report of its own.
fn an_event_removed_and_inserted_anew_is_not_called_for_the_old_report(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = ready_pair();
    let fd = near.as_raw_fd();
    let log = Log::new();
    let (old, old_log) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let seen = log.clone();
    // The newest is called first.
    lp.events()
        .insert(RawIo::new(fd, Interest::READ), move |cx, (), fired| {
            cx.remove(old).unwrap();
            cx.remove(fired.key()).unwrap();
            (&near).read_exact(&mut [0]).unwrap();
            let seen = seen.clone();
            let copy = near.try_clone().unwrap();
            let new = cx.insert(Io::new(copy, Interest::READ), move |_, _, fired| {
                seen.push(fired.causes());
            });
            assert_eq!(new.index(), fired.key().index(), "it has the slot of the one that runs");
        });
    lp.pass();
    lp.pass();
    assert_eq!((old_log.take(), log.take()), (vec![], vec![]));
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Two events may share a stream by `Arc`: a reader and a writer that come and go by themselves.
fn events_that_share_a_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let shared = Arc::new(near);
    let log = Log::new();
    let (reads, writes) = (log.clone(), log.clone());
    let reader = lp
        .events()
        .insert(Io::new(Arc::clone(&shared), Interest::READ), move |_, stream, _| {
            (&**stream).read_exact(&mut [0]).unwrap();
            reads.push("read");
        });
    let writer = lp
        .events()
        .insert(Io::new(Arc::clone(&shared), Interest::WRITE), move |_, _, _| {
            writes.push("write");
        });
    lp.pass();
    assert_eq!(log.take(), ["write"]);
    lp.events().remove(writer).unwrap();
    far.write_all(b"x").unwrap();
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), ["read"]);
    lp.events().remove(reader).unwrap();
    assert_eq!(Arc::strong_count(&shared), 1);
    Ok(())
}

/// A source may be a borrowed descriptor that lives as long as the program.
fn a_source_without_a_descriptor_of_its_own(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let near: &'static UnixStream = Box::leak(Box::new(near));
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Io::new(near, Interest::READ), move |_, near, _| {
        near.read_exact(&mut [0]).unwrap();
        seen.push("called");
    });
    far.write_all(b"x").unwrap();
    lp.pass();
    lp.events().remove(key).unwrap();
    assert_eq!(log.take(), ["called"]);
    assert!(process::is_open(near.as_raw_fd()));
    Ok(())
}
