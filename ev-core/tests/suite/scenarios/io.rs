//! Readiness of descriptors.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ev_core::{Causes, Error, Features, Interest, Io, Mode, Outcome, RawIo};
use ev_sys::{errno, process, socket};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{HOUR, Log, assert_errno, fill, need, pair, ready_pair, tcp_pair, watch};

scenarios!("io":
    readable,
    persistent_level_reports_until_read,
    writable,
    read_and_write_in_one_call,
    what_was_not_asked_is_not_reported,
    a_listener_is_readable_when_a_connection_waits,
    the_end_of_a_stream_is_readable,
    a_hang_up_reaches_both_directions,
    a_broken_pipe_is_writable,
    error_only,
    an_error_reaches_an_event_that_asked_for_neither_direction,
    peer_closed_before_the_data_is_read,
    read_and_closed_in_one_call,
    priority_data,
    edge_reports_what_is_new,
    edge_added_again_reports_anew,
    an_edge_survives_the_deletion_of_another_event,
    one_shot_mode_reports_once,
    one_shot_mode_is_armed_by_adding,
    one_shot_mode_is_armed_in_the_own_callback,
    one_shot_mode_is_armed_for_all_events_on_a_descriptor,
    exclusive_is_reported_like_level,
    exclusive_shares_a_descriptor_with_nobody,
    modes_on_one_descriptor_agree,
    events_on_one_descriptor_are_called_newest_first,
    each_event_hears_what_it_asked_for,
    deleting_one_event_leaves_the_others_on_its_descriptor,
    adding_an_added_event_changes_nothing,
    set_interest_from_outside,
    set_interest_in_the_own_callback,
    set_interest_of_a_deleted_event,
    the_same_interest_again_keeps_the_place,
    set_interest_drops_a_direction_that_others_want,
    once_is_deleted_before_it_is_called,
    once_is_added_again_in_its_callback,
    once_is_added_again_with_new_interest,
    a_negative_descriptor_is_never_ready,
    regular_files,
    owned_regular_files,
    duplicates_are_descriptors_of_their_own,
    descriptors_above_1024,
    four_hundred_descriptors_at_once,
);

/// A persistent read event is called when data comes, and the loop ends once it is removed.
fn readable(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ), move |cx, stream, fired| {
            let mut buffer = [0; 16];
            let n = stream.read(&mut buffer).unwrap();
            seen.push((fired.causes(), buffer[..n].to_vec()));
            cx.remove(fired.key()).unwrap();
        });
    far.write_all(b"hello").unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(Causes::READ, b"hello".to_vec())]);
    Ok(())
}

/// Level-triggered readiness is reported in each turn for as long as it holds.
fn persistent_level_reports_until_read(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (key, log) = watch(&mut lp, Io::new(near, Interest::READ));
    far.write_all(b"x").unwrap();
    for turn in 1..=3 {
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.len(), turn);
    }
    assert!(lp.events().is_pending(key).unwrap());
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.len(), 3);
    Ok(())
}

/// A socket with room is writable; one without is not, until the peer reads.
fn writable(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::WRITE));
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    fill(&near);
    lp.pass();
    assert_eq!(log.take(), []);
    while far.read(&mut [0; 4096]).is_ok() {}
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// An event that is readable and writable in the same turn is called once, with both causes.
fn read_and_write_in_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ | Interest::WRITE));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ | Causes::WRITE]);
    Ok(())
}

/// A read event is not called because its descriptor is writable, and is told of nothing else.
fn what_was_not_asked_is_not_reported(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.pass();
    assert_eq!(log.take(), []);
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A listening socket is readable when a connection waits to be accepted.
fn a_listener_is_readable_when_a_connection_waits(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(listener, Interest::READ), move |cx, listener, fired| {
            let (_, peer) = listener.accept().unwrap();
            seen.push(peer);
            cx.remove(fired.key()).unwrap();
        });
    lp.pass();
    assert_eq!(log.take(), []);
    let client = TcpStream::connect(address).unwrap();
    lp.run();
    assert_eq!(log.take(), [client.local_addr().unwrap()]);
    Ok(())
}

/// When the peer closes, a read event is called and reads the end of the stream.
fn the_end_of_a_stream_is_readable(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ), move |cx, stream, fired| {
            seen.push((fired.causes(), stream.read(&mut [0; 16]).unwrap()));
            cx.remove(fired.key()).unwrap();
        });
    lp.pass();
    assert_eq!(log.take(), []);
    drop(far);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(Causes::READ, 0)]);
    Ok(())
}

/// When the peer is gone altogether, who waits for either direction is called, also a writer without room.
fn a_hang_up_reaches_both_directions(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, far) = pair();
    fill(&near);
    let fd = near.as_raw_fd();
    let (_, reads) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let (_, writes) = watch(&mut lp, RawIo::new(fd, Interest::WRITE));
    let (_, both) = watch(&mut lp, RawIo::new(fd, Interest::READ | Interest::WRITE));
    lp.pass();
    assert_eq!((reads.take(), writes.take(), both.take()), (vec![], vec![], vec![]));
    drop(far);
    lp.pass();
    assert_eq!(reads.take(), [Causes::READ]);
    assert_eq!(writes.take(), [Causes::WRITE]);
    assert_eq!(both.take(), [Causes::READ | Causes::WRITE]);
    Ok(())
}

/// A pipe whose reader has gone makes the writer run into it, although there is no room.
fn a_broken_pipe_is_writable(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (reader, writer) = io::pipe().unwrap();
    ev_sys::fdio::set_nonblocking(writer.as_fd()).unwrap();
    fill(&writer);
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(writer, Interest::WRITE), move |cx, writer, fired| {
            let error = writer.write(b"x").unwrap_err();
            seen.push((fired.causes(), error.raw_os_error()));
            cx.remove(fired.key()).unwrap();
        });
    lp.pass();
    assert_eq!(log.take(), []);
    drop(reader);
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(Causes::WRITE, Some(errno::EPIPE))]);
    Ok(())
}

/// An event that asks for errors alone is called when the descriptor fails, and for nothing else.
fn error_only(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::ERROR_ONLY, "error-only interest")?;
    let (reader, writer) = io::pipe().unwrap();
    let (_, log) = watch(&mut lp, RawIo::new(writer.as_raw_fd(), Interest::ERROR));
    lp.pass();
    assert_eq!(log.take(), [], "writable, which it did not ask for");
    drop(reader);
    lp.pass();
    assert_eq!(log.take(), [Causes::ERROR]);
    Ok(())
}

/// An error that none of the descriptor's events asked for reaches them all: a loop that kept it to itself would spin.
fn an_error_reaches_an_event_that_asked_for_neither_direction(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(
        &mut lp,
        Features::PRIORITY | Features::ERROR_ONLY,
        "errors apart from data",
    )?;
    let (reader, writer) = io::pipe().unwrap();
    let (_, log) = watch(&mut lp, RawIo::new(writer.as_raw_fd(), Interest::PRIORITY));
    lp.pass();
    assert_eq!(log.take(), []);
    drop(reader);
    lp.pass();
    assert_eq!(log.take(), [Causes::ERROR]);
    Ok(())
}

/// The peer's closing is told while unread data remains, and is no error.
fn peer_closed_before_the_data_is_read(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::CLOSED, "peer-closed")?;
    let (mut near, mut far) = pair();
    let (_, log) = watch(
        &mut lp,
        RawIo::new(near.as_raw_fd(), Interest::CLOSED | Interest::ERROR),
    );
    far.write_all(b"unread").unwrap();
    lp.pass();
    assert_eq!(log.take(), [], "data came, but nobody closed");
    far.shutdown(Shutdown::Write).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::CLOSED]);
    let mut buffer = [0; 16];
    assert_eq!(near.read(&mut buffer).unwrap(), 6, "nothing was taken");
    Ok(())
}

/// Data and the peer's closing behind it come in one call.
fn read_and_closed_in_one_call(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::CLOSED, "peer-closed")?;
    let (near, mut far) = pair();
    far.write_all(b"last").unwrap();
    drop(far);
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ | Interest::CLOSED));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ | Causes::CLOSED]);
    Ok(())
}

/// TCP's urgent data is reported to those who asked for it, ordinary data is not.
fn priority_data(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::PRIORITY, "priority data")?;
    let (near, mut far) = tcp_pair();
    let fd = near.as_raw_fd();
    let reads = Log::new();
    let seen = reads.clone();
    lp.events()
        .insert(RawIo::new(fd, Interest::READ), move |cx, (), fired| {
            seen.push(fired.causes());
            cx.delete(fired.key()).unwrap();
        });
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(RawIo::new(fd, Interest::PRIORITY), move |cx, (), fired| {
            seen.push(fired.causes());
            cx.remove(fired.key()).unwrap();
        });
    far.write_all(b"ordinary").unwrap();
    while reads.len() == 0 {
        lp.run_with(ev_core::RunMode::ONCE);
    }
    assert_eq!((reads.take(), log.take()), (vec![Causes::READ], vec![]));
    socket::send_out_of_band(far.as_fd(), b'!').unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!((reads.take(), log.take()), (vec![], vec![Causes::PRIORITY]));
    Ok(())
}

/// An edge is reported once, until more data comes.
fn edge_reports_what_is_new(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EDGE, "edge")?;
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::Edge));
    for _ in 0..2 {
        far.write_all(b"x").unwrap();
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
        lp.pass();
        assert_eq!(log.take(), [], "unread, but not new");
    }
    Ok(())
}

/// An edge-triggered event that is deleted and added hears anew of what is there, and so does a second one.
fn edge_added_again_reports_anew(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EDGE, "edge")?;
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let event = Io::new(near, Interest::READ).mode(Mode::Edge);
    let (key, log) = watch(&mut lp, event);
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    let (_, second) = watch(&mut lp, RawIo::new(fd, Interest::READ).mode(Mode::Edge));
    lp.pass();
    assert_eq!(second.take(), [Causes::READ]);
    log.take();
    lp.pass();
    assert_eq!((log.take(), second.take()), (vec![], vec![]));
    Ok(())
}

/// Of two edge-triggered events on a descriptor the one that stays is told each edge, and once only.
fn an_edge_survives_the_deletion_of_another_event(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue("libkqueue forgets that a direction is edge-triggered when the other is deleted")?;
    let mut lp = cell.open();
    need(&mut lp, Features::EDGE, "edge")?;
    let (near, mut far) = pair();
    let edge = |interest| RawIo::new(near.as_raw_fd(), interest).mode(Mode::Edge);
    let (_, reads) = watch(&mut lp, edge(Interest::READ));
    let (writer, writes) = watch(&mut lp, edge(Interest::WRITE));
    lp.pass();
    assert_eq!((reads.take(), writes.take()), (vec![], vec![Causes::WRITE]));
    lp.events().delete(writer).unwrap();
    far.write_all(b"x").unwrap();
    for _ in 0..3 {
        lp.pass();
    }
    assert_eq!((reads.take(), writes.take()), (vec![Causes::READ], vec![]));
    Ok(())
}

/// In one-shot mode the event stays added, but is silent after one report. Deleting and adding it arms it.
fn one_shot_mode_reports_once(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let (key, log) = watch(
        &mut lp,
        RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::OneShot),
    );
    for _ in 0..2 {
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
        lp.pass();
        assert_eq!(log.take(), []);
        assert!(lp.events().is_pending(key).unwrap());
        lp.events().delete(key).unwrap();
        lp.events().add(key).unwrap();
    }
    Ok(())
}

/// Adding it again arms it, and so does giving it an interest, also the one that it has: on raw and on owned descriptors. It
/// is added all the while.
fn one_shot_mode_is_armed_by_adding(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let copy = near.try_clone().unwrap();
    let raw = RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::OneShot);
    let events = [
        watch(&mut lp, raw),
        watch(&mut lp, Io::new(copy, Interest::READ).mode(Mode::OneShot)),
    ];
    lp.pass();
    for (key, log) in &events {
        assert_eq!(log.take(), [Causes::READ]);
        for arm in [
            |lp: &mut Loop, key| lp.events().add(key).unwrap(),
            |lp: &mut Loop, key| lp.events().add_after(key, HOUR).unwrap(),
            |lp: &mut Loop, key| lp.events().set_interest(key, Interest::READ).unwrap(),
            |lp: &mut Loop, key| lp.events().set_interest(key, Interest::READ | Interest::ERROR).unwrap(),
        ] {
            lp.pass();
            assert_eq!(log.take(), [], "silent");
            assert!(lp.events().is_pending(*key).unwrap());
            arm(&mut lp, *key);
            lp.pass();
            assert_eq!(log.take(), [Causes::READ], "armed");
        }
    }
    Ok(())
}

/// An event that is added in each call of its callback is like a level-triggered one.
fn one_shot_mode_is_armed_in_the_own_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let copy = near.try_clone().unwrap();
    let log = Log::new();
    let raw = RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::OneShot);
    let seen = log.clone();
    lp.events().insert(raw, move |cx, (), fired| {
        cx.add(fired.key()).unwrap();
        seen.push("raw");
    });
    let seen = log.clone();
    let owned = Io::new(copy, Interest::READ).mode(Mode::OneShot);
    lp.events().insert(owned, move |cx, _, fired| {
        cx.add(fired.key()).unwrap();
        seen.push("owned");
    });
    for _ in 0..3 {
        lp.pass();
        let mut called = log.take();
        called.sort_unstable();
        assert_eq!(called, ["owned", "raw"]);
    }
    Ok(())
}

/// One report silences all events on the descriptor, and adding one of them arms all. What was armed stays so when another
/// event leaves.
fn one_shot_mode_is_armed_for_all_events_on_a_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let keys = ["first", "second", "third"].map(|name| {
        let event = RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::OneShot);
        lp.events().insert(event, log.noting(name))
    });
    lp.pass();
    assert_eq!(log.take(), ["third", "second", "first"]);
    lp.pass();
    assert_eq!(log.len(), 0, "silent");
    lp.events().add(keys[1]).unwrap();
    lp.pass();
    assert_eq!(
        log.take(),
        ["second", "third", "first"],
        "the one that was added is the newest"
    );
    lp.events().add(keys[0]).unwrap();
    lp.events().delete(keys[1]).unwrap();
    lp.events().delete(keys[2]).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["first"]);
    lp.pass();
    assert_eq!(log.len(), 0, "silent");
    Ok(())
}

/// To a single loop an exclusive event is like a level-triggered one, and its interest can change.
fn exclusive_is_reported_like_level(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EXCLUSIVE, "exclusive")?;
    let (near, _far) = ready_pair();
    let (key, log) = watch(
        &mut lp,
        RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::Exclusive),
    );
    for _ in 0..2 {
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
    }
    lp.events().set_interest(key, Interest::WRITE).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// No second event goes on a descriptor with an exclusive one, nor an exclusive one on a descriptor in use.
fn exclusive_shares_a_descriptor_with_nobody(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EXCLUSIVE, "exclusive")?;
    let (near, far) = pair();
    for (first, second, fd) in [
        (Mode::Exclusive, Mode::Level, near.as_raw_fd()),
        (Mode::Level, Mode::Exclusive, far.as_raw_fd()),
        (Mode::Exclusive, Mode::Exclusive, near.as_raw_fd()),
    ] {
        let (key, _) = watch(&mut lp, RawIo::new(fd, Interest::READ).mode(first));
        let refused = lp
            .events()
            .try_insert(RawIo::new(fd, Interest::READ).mode(second), |_, (), _| {});
        assert_conflict(&refused, first);
        lp.events().remove(key).unwrap();
    }
    Ok(())
}

fn assert_conflict(refused: &Result<ev_core::EventKey, Error>, present: Mode) {
    let text = format!("{refused:?}");
    assert!(
        text.starts_with("Err(Map(ModeConflict") && text.contains(&format!("present: {present:?}")),
        "{text}"
    );
}

/// All events on a descriptor have one mode; another is refused and changes nothing.
fn modes_on_one_descriptor_agree(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let (first, log) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let one_shot = || RawIo::new(fd, Interest::READ).mode(Mode::OneShot);
    assert_conflict(&lp.events().try_insert(one_shot(), |_, (), _| {}), Mode::Level);
    assert_eq!(lp.events().len(), 1);
    far.write_all(b"x").unwrap();
    for _ in 0..2 {
        lp.pass();
        assert_eq!(log.take(), [Causes::READ], "still level-triggered");
    }
    lp.events().delete(first).unwrap();
    let (_, second) = watch(&mut lp, one_shot());
    assert!(lp.events().add(first).is_err(), "now the other one is there");
    assert!(!lp.events().is_pending(first).unwrap());
    lp.pass();
    assert_eq!((log.take(), second.take()), (vec![], vec![Causes::READ]));
    Ok(())
}

/// Of several events on a descriptor the one that was added last is called first.
fn events_on_one_descriptor_are_called_newest_first(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let keys = ["a", "b", "c", "d"].map(|name| {
        let seen = log.clone();
        lp.events()
            .insert(RawIo::new(near.as_raw_fd(), Interest::READ), move |_, (), _| {
                seen.push(name);
            })
    });
    lp.pass();
    assert_eq!(log.take(), ["d", "c", "b", "a"]);
    lp.events().delete(keys[2]).unwrap();
    lp.events().delete(keys[0]).unwrap();
    lp.events().add(keys[0]).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["a", "d", "b"]);
    Ok(())
}

/// An event whose interest changes counts as the newest of its descriptor. Given the interest that it has, it stays in its
/// place.
fn the_same_interest_again_keeps_the_place(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let keys = ["old", "new"].map(|name| {
        let seen = log.clone();
        let event = RawIo::new(near.as_raw_fd(), Interest::READ);
        lp.events().insert(event, move |_, (), _| seen.push(name))
    });
    lp.events().set_interest(keys[0], Interest::READ).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["new", "old"]);
    let both = Interest::READ | Interest::WRITE;
    lp.events().set_interest(keys[0], both).unwrap();
    lp.pass();
    assert_eq!(log.take(), ["old", "new"]);
    Ok(())
}

/// The kernel hears the union of the interests; each event is called for its own part only.
fn each_event_hears_what_it_asked_for(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let (_, reads) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let (_, writes) = watch(&mut lp, RawIo::new(fd, Interest::WRITE));
    let (_, both) = watch(&mut lp, RawIo::new(fd, Interest::READ | Interest::WRITE));
    lp.pass();
    assert_eq!(
        (reads.take(), writes.take(), both.take()),
        (vec![], vec![Causes::WRITE], vec![Causes::WRITE])
    );
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(
        (reads.take(), writes.take(), both.take()),
        (
            vec![Causes::READ],
            vec![Causes::WRITE],
            vec![Causes::READ | Causes::WRITE]
        )
    );
    Ok(())
}

/// Deleting one event takes only its own interest from the kernel.
fn deleting_one_event_leaves_the_others_on_its_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let fd = near.as_raw_fd();
    let (oldest, reads) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let (middle, writes) = watch(&mut lp, RawIo::new(fd, Interest::WRITE));
    let (newest, more) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    lp.events().delete(middle).unwrap();
    lp.pass();
    assert_eq!(
        (reads.take(), writes.take(), more.take()),
        (vec![Causes::READ], vec![], vec![Causes::READ])
    );
    lp.events().delete(newest).unwrap();
    lp.pass();
    assert_eq!((reads.take(), more.take()), (vec![Causes::READ], vec![]));
    lp.events().delete(oldest).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// Adding an event that is added already, or deleting one that is not, is no error and changes nothing.
fn adding_an_added_event_changes_nothing(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.events().add(key).unwrap();
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    lp.events().delete(key).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.take(), []);
    Ok(())
}

/// A new interest takes effect at once, on owned and on raw descriptors.
fn set_interest_from_outside(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    let copy = near.try_clone().unwrap();
    let (owned_key, owned) = watch(&mut lp, Io::new(copy, Interest::READ));
    for (interest, expected) in [
        (Interest::READ, vec![]),
        (Interest::WRITE, vec![Causes::WRITE]),
        (Interest::READ | Interest::WRITE, vec![Causes::WRITE]),
        (Interest::READ, vec![]),
    ] {
        lp.events().set_interest(key, interest).unwrap();
        lp.events().set_interest(owned_key, interest).unwrap();
        lp.pass();
        assert_eq!((log.take(), owned.take()), (expected.clone(), expected));
    }
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!((log.take(), owned.take()), (vec![Causes::READ], vec![Causes::READ]));
    Ok(())
}

/// A callback switches its own event between reading and writing, as a protocol does: question, answer, question.
fn set_interest_in_the_own_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    far.write_all(b"?").unwrap();
    lp.events()
        .insert(Io::new(near, Interest::READ), move |cx, stream, fired| {
            seen.push(fired.causes());
            if fired.is_readable() {
                stream.read_exact(&mut [0]).unwrap();
                cx.set_interest(fired.key(), Interest::WRITE).unwrap();
            } else {
                stream.write_all(b"!").unwrap();
                cx.set_interest(fired.key(), Interest::READ).unwrap();
            }
        });
    for _ in 0..2 {
        for _ in 0..3 {
            lp.pass();
        }
        assert_eq!(log.take(), [Causes::READ, Causes::WRITE]);
        far.read_exact(&mut [0]).unwrap();
        far.write_all(b"?").unwrap();
    }
    Ok(())
}

/// The interest of a deleted event can change; it holds when the event is added.
fn set_interest_of_a_deleted_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).disarmed());
    lp.events().set_interest(key, Interest::WRITE).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// Changing one event's interest does not take from the kernel what another event on the descriptor waits for.
fn set_interest_drops_a_direction_that_others_want(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let (first, log) = watch(&mut lp, RawIo::new(fd, Interest::READ | Interest::WRITE));
    let (_, other) = watch(&mut lp, RawIo::new(fd, Interest::WRITE));
    lp.events().set_interest(first, Interest::READ).unwrap();
    lp.pass();
    assert_eq!((log.take(), other.take()), (vec![], vec![Causes::WRITE]));
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!((log.take(), other.take()), (vec![Causes::READ], vec![Causes::WRITE]));
    Ok(())
}

/// A one-shot event is not pending inside its callback, and is not called again.
fn once_is_deleted_before_it_is_called(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let seen = log.clone();
    let key = lp
        .events()
        .insert(Io::new(near, Interest::READ).once(), move |cx, _, fired| {
            seen.push(cx.is_pending(fired.key()).unwrap());
        });
    assert!(lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [false]);
    assert!(lp.events().contains(key), "it exists, and can be added again");
    lp.events().add(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [false]);
    Ok(())
}

/// A one-shot event that its callback adds again is called in every turn.
fn once_is_added_again_in_its_callback(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    far.write_all(b"abcde").unwrap();
    let log = Log::new();
    let owned = log.clone();
    let (copy, raw) = (near.try_clone().unwrap(), log.clone());
    let fd = copy.as_raw_fd();
    lp.events()
        .insert(Io::new(near, Interest::READ).once(), move |cx, stream, fired| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            owned.push(byte[0]);
            if byte[0] != b'e' {
                cx.add(fired.key()).unwrap();
            }
        });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), b"abcde");

    far.write_all(b"fgh").unwrap();
    lp.events()
        .insert(RawIo::new(fd, Interest::READ).once(), move |cx, (), fired| {
            let mut byte = [0];
            (&copy).read_exact(&mut byte).unwrap();
            raw.push(byte[0]);
            if byte[0] != b'h' {
                cx.add(fired.key()).unwrap();
            }
        });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), b"fgh");
    Ok(())
}

/// A one-shot event may get another interest before its callback adds it again.
fn once_is_added_again_with_new_interest(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ).once(), move |cx, _, fired| {
            seen.push(fired.causes());
            if fired.is_readable() {
                cx.set_interest(fired.key(), Interest::WRITE).unwrap();
                cx.add(fired.key()).unwrap();
            }
        });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ, Causes::WRITE]);
    Ok(())
}

/// A negative descriptor is accepted, keeps the loop alive and is never ready; the event can be activated by hand.
fn a_negative_descriptor_is_never_ready(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (key, log) = watch(&mut lp, RawIo::new(-1, Interest::READ | Interest::WRITE));
    assert!(lp.events().is_pending(key).unwrap());
    for _ in 0..3 {
        assert_eq!(lp.pass(), Outcome::Passed, "not empty");
    }
    assert_eq!(log.take(), []);
    lp.events().activate(key, Causes::WRITE).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    lp.events().set_interest(key, Interest::READ).unwrap();
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// Where the backend takes any file, a regular one is always ready; else it is refused with the kernel's `EPERM`.
fn regular_files(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let file = File::open("/proc/self/exe").unwrap();
    let event = || RawIo::new(file.as_raw_fd(), Interest::READ);
    if lp.events().features().contains(Features::ANY_FILE) {
        let (_, log) = watch(&mut lp, event());
        for _ in 0..2 {
            lp.pass();
            assert_eq!(log.take(), [Causes::READ]);
        }
    } else if cell.defers_raw_changes() {
        let (key, log) = watch(&mut lp, event());
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [Causes::ERROR]);
        assert!(!lp.events().is_pending(key).unwrap());
    } else {
        let refused = lp.events().try_insert(event(), |_, (), _| {});
        assert_errno(refused, errno::EPERM);
        assert_eq!(lp.events().len(), 0);
    }
    Ok(())
}

/// An owned file that epoll does not take is refused at once, also where raw changes are deferred.
fn owned_regular_files(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let file = File::open("/proc/self/exe").unwrap();
    let any_file = lp.events().features().contains(Features::ANY_FILE);
    let log = Log::new();
    let seen = log.clone();
    let inserted = lp
        .events()
        .try_insert(Io::new(file, Interest::READ).once(), move |_, file, fired| {
            let mut magic = [0; 4];
            file.read_exact(&mut magic).unwrap();
            seen.push((fired.causes(), magic));
        });
    if any_file {
        inserted.unwrap();
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [(Causes::READ, *b"\x7fELF")]);
    } else {
        assert_errno(inserted, errno::EPERM);
    }
    Ok(())
}

/// A duplicate of a descriptor has a registration of its own.
fn duplicates_are_descriptors_of_their_own(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let copy = near.try_clone().unwrap();
    let (first, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    let (_, second) = watch(&mut lp, RawIo::new(copy.as_raw_fd(), Interest::READ));
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!((log.take(), second.take()), (vec![Causes::READ], vec![Causes::READ]));
    lp.events().remove(first).unwrap();
    drop(near);
    lp.pass();
    assert_eq!((log.take(), second.take()), (vec![], vec![Causes::READ]));
    Ok(())
}

/// Descriptors beyond `FD_SETSIZE` work like others.
fn descriptors_above_1024(cell: &Cell) -> Verdict {
    if process::raise_descriptor_limit().unwrap() < 1200 {
        return Err(Skip("no descriptors above 1024"));
    }
    let mut lp = cell.open();
    let filler = File::open("/dev/null").unwrap();
    let mut held: Vec<OwnedFd> = vec![];
    while held.last().is_none_or(|fd| fd.as_raw_fd() < 1100) {
        held.push(filler.try_clone().unwrap().into());
    }
    let (near, mut far) = pair();
    assert!(near.as_raw_fd() > 1024);
    let event = Io::new(near, Interest::READ | Interest::WRITE);
    let (key, log) = watch(&mut lp, event);
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ | Causes::WRITE]);
    lp.events().remove(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// Four hundred ready descriptors are all called, each once, before any is called again: in one turn where the backend
/// reports all, else in the turns that its buffer of 32 reports, which doubles, takes.
fn four_hundred_descriptors_at_once(cell: &Cell) -> Verdict {
    const COUNT: usize = 400;
    if process::raise_descriptor_limit().unwrap() < 1000 {
        return Err(Skip("too few descriptors"));
    }
    let mut lp = cell.open();
    let log = Log::new();
    let mut peers = vec![];
    for number in 0..COUNT {
        let (near, far) = ready_pair();
        peers.push(far);
        let seen = log.clone();
        lp.events().insert(Io::new(near, Interest::READ), move |_, stream, _| {
            stream.read_exact(&mut [0]).unwrap();
            seen.push(number);
        });
    }
    // Reports a wait: 32 + 64 + 128 + 176, then 256 + 144.
    for most in if cell.reports_in_parts() { [4, 2] } else { [1, 1] } {
        let mut passes = 0;
        while log.len() < COUNT {
            lp.pass();
            passes += 1;
        }
        assert!(passes <= most, "{passes} passes");
        let mut called = log.take();
        called.sort_unstable();
        assert!(called.into_iter().eq(0..COUNT));
        for peer in &mut peers {
            peer.write_all(b"x").unwrap();
        }
    }
    Ok(())
}
