//! Descriptors that are closed, duplicated and reused while a loop knows them.
//!
//! What a loop does while nothing happens is counted: a registration that lives on in a duplicate of a closed descriptor
//! may wake it twice, then it has to be gone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use ev_core::backend::Backend;
use ev_core::{Causes, EventKey, Features, Interest, Io, Mode, Outcome, RawIo, RunMode};
use ev_sys::{errno, fdio};

use super::scenarios;
use crate::cell::Cell;
use crate::events::{Events, Loop};
use crate::harness::{Skip, Verdict};
use crate::support::{Log, assert_errno, idle_waits, need, pair, pair_with, ready_pair, watch};

scenarios!("lifecycle":
    deleted_then_closed,
    deleted_then_closed_with_a_duplicate,
    closed_then_deleted,
    closed_then_deleted_with_a_duplicate,
    closed_while_added,
    closed_while_added_with_a_duplicate,
    many_stale_registrations_are_healed_at_once,
    a_heal_keeps_the_other_events,
    a_heal_tells_of_a_descriptor_that_was_closed,
    a_loop_heals_again_and_again,
    an_owned_source_leaves_nothing_behind,
    a_number_reused_after_remove,
    a_number_reused_after_delete,
    a_number_reused_between_delete_and_add,
    a_number_reused_while_a_duplicate_reports,
    a_number_reused_while_the_old_event_is_added,
    a_number_reused_while_the_old_event_and_a_duplicate_remain,
    a_number_reused_by_a_file_that_is_refused,
    a_second_event_on_a_closed_number_is_refused,
    a_number_reused_within_a_turn,
    an_owned_number_reused_within_a_turn,
    dup2_over_a_deleted_descriptor,
    dup2_over_an_added_descriptor,
    dup2_over_an_added_descriptor_with_a_duplicate,
    dup2_over_an_owned_source,
    edge_triggered_registrations_are_healed_too,
);

const CLOSES: &str = "libkqueue does not notice that a registered descriptor is closed";

/// Inserts an event for what can be read, and has it called once.
fn watch_once_reported<B: Backend + 'static>(lp: &mut Loop<B>, fd: &impl AsRawFd) -> (EventKey, Log<Causes>) {
    let (key, log) = watch(lp, RawIo::new(fd.as_raw_fd(), Interest::READ));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    (key, log)
}

/// The right order, delete and close, leaves nothing behind.
fn deleted_then_closed(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let (key, log) = watch_once_reported(&mut lp, &near);
    lp.events().delete(key).unwrap();
    drop(near);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// A descriptor deleted before it is closed is not reported, though its file lives on. (Where the deletion is deferred
/// it comes too late for that, and the loop heals.)
fn deleted_then_closed_with_a_duplicate(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (key, log) = watch_once_reported(&mut lp, &near);
    lp.events().delete(key).unwrap();
    drop(near);
    let extra = if cell.defers_raw_changes() { 2 } else { 0 };
    assert_eq!(idle_waits(&mut lp, &waits), 1 + extra);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// Deleting a descriptor that is closed already is no error.
fn closed_then_deleted(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let (key, log) = watch_once_reported(&mut lp, &near);
    drop(near);
    lp.events().delete(key).unwrap();
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// A descriptor closed before it is deleted, whose file lives on in a duplicate, wakes the loop twice at most.
fn closed_then_deleted_with_a_duplicate(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (key, log) = watch_once_reported(&mut lp, &near);
    drop(near);
    lp.events().delete(key).unwrap();
    let extra = if cell.registers_files() { 2 } else { 0 };
    assert_eq!(idle_waits(&mut lp, &waits), 1 + extra);
    assert_eq!(idle_waits(&mut lp, &waits), 1, "healed");
    assert_eq!(log.take(), [], "nobody is called for it");
    Ok(())
}

/// A descriptor closed while its event is added is silent (epoll), or an error in every turn (poll, select).
fn closed_while_added(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ | Interest::ERROR));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    drop(near);
    if cell.registers_files() {
        assert_eq!(idle_waits(&mut lp, &waits), 1);
        assert_eq!(log.take(), []);
    } else {
        for _ in 0..2 {
            lp.pass();
            assert_eq!(log.take(), [Causes::READ | Causes::ERROR]);
        }
    }
    lp.events().delete(key).unwrap();
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// While it is added, an event whose closed file lives on in a duplicate goes on hearing of it; deleting it ends that.
fn closed_while_added_with_a_duplicate(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.pass();
    drop(near);
    lp.pass();
    assert_eq!(log.take(), [Causes::READ, Causes::READ]);
    lp.events().remove(key).unwrap();
    assert!(idle_waits(&mut lp, &waits) <= 3);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// However many stale registrations report, one new kernel object is rid of them all.
fn many_stale_registrations_are_healed_at_once(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let mut kept = vec![];
    let mut keys = vec![];
    let mut nears = vec![];
    for _ in 0..20 {
        let (near, far) = ready_pair();
        kept.push((near.try_clone().unwrap(), far));
        keys.push(watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ)).0);
        nears.push(near);
    }
    lp.pass();
    drop(nears);
    for key in keys {
        lp.events().delete(key).unwrap();
    }
    assert!(idle_waits(&mut lp, &waits) <= 3);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    Ok(())
}

/// Events on other descriptors, owned, raw, one-shot or deleted, are after a heal what they were before.
fn a_heal_keeps_the_other_events(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (first, mut first_far) = pair();
    let (second, mut second_far) = pair();
    let (third, mut third_far) = pair();
    let (_, raw) = watch(&mut lp, RawIo::new(first.as_raw_fd(), Interest::READ));
    let (_, owned) = watch(&mut lp, Io::new(second, Interest::READ));
    let (deleted, silent) = watch(&mut lp, RawIo::new(third.as_raw_fd(), Interest::READ));

    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (stale, log) = watch_once_reported(&mut lp, &near);
    lp.events().delete(deleted).unwrap();
    drop(near);
    lp.events().remove(stale).unwrap();
    assert!(idle_waits(&mut lp, &waits) <= 3);

    for far in [&mut first_far, &mut second_far, &mut third_far] {
        far.write_all(b"x").unwrap();
    }
    lp.pass();
    assert_eq!(
        (raw.take(), owned.take(), silent.take(), log.take()),
        (vec![Causes::READ], vec![Causes::READ], vec![], vec![])
    );
    lp.events().add(deleted).unwrap();
    lp.pass();
    assert_eq!(silent.take(), [Causes::READ]);
    Ok(())
}

/// A heal registers everything anew, and so comes upon a descriptor that was closed while added: its event is deleted
/// and called with `ERROR`.
fn a_heal_tells_of_a_descriptor_that_was_closed(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    if !cell.registers_files() {
        return Err(Skip("nothing to heal"));
    }
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (stale, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    // The heal opens descriptors. They are to take these numbers, and not the one that is closed below.
    let spare = [pair(), pair()];
    let (forgotten, _forgotten_far) = pair();
    drop(spare);
    let (key, errors) = watch(&mut lp, RawIo::new(forgotten.as_raw_fd(), Interest::READ));
    lp.pass();
    log.take();
    drop((near, forgotten));
    lp.events().remove(stale).unwrap();
    lp.run_with(RunMode::ONCE);
    assert_eq!(errors.take(), [Causes::ERROR]);
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!((log.take(), errors.take()), (vec![], vec![]));
    Ok(())
}

/// Each stale registration is healed, also one that comes after a heal.
fn a_loop_heals_again_and_again(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let mut kept = vec![];
    for _ in 0..3 {
        let (near, far) = ready_pair();
        kept.push((near.try_clone().unwrap(), far));
        let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
        lp.pass();
        drop(near);
        lp.events().remove(key).unwrap();
        assert!(idle_waits(&mut lp, &waits) <= 3);
        assert_eq!(idle_waits(&mut lp, &waits), 1);
        assert_eq!(log.take(), [Causes::READ]);
    }
    Ok(())
}

/// An owned descriptor is forgotten before it is closed: no report comes of it, though its file lives on.
fn an_owned_source_leaves_nothing_behind(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let log = Log::new();
    for in_callback in [false, true] {
        let seen = log.clone();
        let source = near.try_clone().unwrap();
        let key = lp
            .events()
            .insert(Io::new(source, Interest::READ), move |cx, _, fired| {
                seen.push(fired.causes());
                if in_callback {
                    cx.remove(fired.key()).unwrap();
                }
            });
        lp.pass();
        if !in_callback {
            lp.events().remove(key).unwrap();
        }
        assert_eq!(idle_waits(&mut lp, &waits), 1);
        assert_eq!(log.take(), [Causes::READ]);
    }
    Ok(())
}

/// The number of a removed event's source goes to a new file, whose event hears of that file alone.
fn a_number_reused_after_remove(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut old_far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let number = near.as_raw_fd();
    let log = Log::new();
    let key = lp.events().insert(Io::new(near, Interest::READ), |_, _, _| {});
    lp.pass();
    lp.events().remove(key).unwrap();
    let (near, mut far) = pair_with(number);
    let seen = log.clone();
    lp.events().insert(Io::new(near, Interest::READ), move |_, stream, _| {
        let mut buffer = [0; 8];
        let n = stream.read(&mut buffer).unwrap();
        seen.push(buffer[..n].to_vec());
    });
    old_far.write_all(b"old").unwrap();
    for _ in 0..4 {
        lp.pass();
    }
    assert_eq!(log.take(), <[Vec<u8>; 0]>::default());
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [b"new".to_vec()]);
    Ok(())
}

/// The same with raw descriptors, deleted before they are closed.
fn a_number_reused_after_delete(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut old_far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let number = near.as_raw_fd();
    let (key, old) = watch_once_reported(&mut lp, &number);
    lp.events().delete(key).unwrap();
    drop(near);
    let (_near, mut far) = pair_with(number);
    let (_, new) = watch(&mut lp, RawIo::new(number, Interest::READ));
    old_far.write_all(b"old").unwrap();
    for _ in 0..4 {
        lp.pass();
    }
    assert_eq!((old.take(), new.take()), (vec![], vec![]));
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!((old.take(), new.take()), (vec![], vec![Causes::READ]));
    Ok(())
}

/// One event is deleted, its number given to another file, and the event added again, all between two turns.
fn a_number_reused_between_delete_and_add(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _old_far) = ready_pair();
    let number = near.as_raw_fd();
    let (key, log) = watch_once_reported(&mut lp, &number);
    lp.events().delete(key).unwrap();
    drop(near);
    let (_near, mut far) = pair_with(number);
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// The old file was closed before it was deleted and reports through a duplicate; the number's new event is not called.
fn a_number_reused_while_a_duplicate_reports(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let number = near.as_raw_fd();
    let (key, old) = watch_once_reported(&mut lp, &number);
    drop(near);
    lp.events().remove(key).unwrap();
    let (_near, mut far) = pair_with(number);
    let (_, new) = watch(&mut lp, RawIo::new(number, Interest::READ));
    assert!(idle_waits(&mut lp, &waits) <= 3);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!((old.take(), new.take()), (vec![], vec![]));
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!((old.take(), new.take()), (vec![], vec![Causes::READ]));
    Ok(())
}

/// An event that was left on a closed number does not keep the number's new file from being registered.
fn a_number_reused_while_the_old_event_is_added(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _old_far) = ready_pair();
    let number = near.as_raw_fd();
    watch_once_reported(&mut lp, &number);
    drop(near);
    let (near, mut far) = pair_with(number);
    let (_, log) = watch(&mut lp, Io::new(near, Interest::READ));
    lp.pass();
    assert_eq!(log.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// Nor does it when its file lives on; and what that file reports does not reach the new owner.
fn a_number_reused_while_the_old_event_and_a_duplicate_remain(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let number = near.as_raw_fd();
    watch_once_reported(&mut lp, &number);
    drop(near);
    let (_near, mut far) = pair_with(number);
    let (_, new) = watch(&mut lp, RawIo::new(number, Interest::READ));
    assert!(idle_waits(&mut lp, &waits) <= 3);
    assert_eq!(new.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(new.take(), [Causes::READ]);
    Ok(())
}

/// A number that now belongs to a file of a kind that the backend does not take is refused, and the old file forgotten.
fn a_number_reused_by_a_file_that_is_refused(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    if lp.events().features().contains(Features::ANY_FILE) {
        return Err(Skip("every kind of file is taken"));
    }
    let (near, _far) = ready_pair();
    let number = near.as_raw_fd();
    let (key, log) = watch_once_reported(&mut lp, &number);
    lp.events().delete(key).unwrap();
    drop(near);
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(file.as_raw_fd(), number);
    if cell.defers_raw_changes() {
        lp.events().add(key).unwrap();
        lp.run_with(RunMode::ONCE);
        assert_eq!(log.take(), [Causes::ERROR]);
    } else {
        assert_errno(lp.events().add(key), errno::EPERM);
    }
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    Ok(())
}

/// The kernel is asked about each event that comes, also where it was told of the number before.
fn a_second_event_on_a_closed_number_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let number = near.as_raw_fd();
    let (first, log) = watch(&mut lp, RawIo::new(number, Interest::READ));
    lp.pass();
    drop(near);
    if cell.defers_raw_changes() {
        let (second, errors) = watch(&mut lp, RawIo::new(number, Interest::READ));
        lp.run();
        assert_eq!((log.take(), errors.take()), (vec![Causes::ERROR], vec![Causes::ERROR]));
        assert!(!lp.events().is_pending(second).unwrap());
    } else {
        let refused = lp
            .events()
            .try_insert(RawIo::new(number, Interest::READ), |_, (), _| {});
        assert_errno(refused, errno::EBADF);
        assert_eq!(lp.events().len(), 1);
        lp.events().delete(first).unwrap();
        assert_eq!(lp.pass(), Outcome::Empty);
    }
    Ok(())
}

/// One of two events that are active in the same turn.
struct Peer {
    key: EventKey,
    number: RawFd,
    /// The descriptor, unless the event owns it.
    raw: Option<UnixStream>,
}

type Peers = Arc<Mutex<Vec<Peer>>>;

/// What either of them does, whichever the backend lets be first: ends the other one, with its descriptor, and puts an
/// event on a new file of the same number. Returns the new file's peer.
fn take_the_place_of(cx: &mut Events<'_>, other: &mut Peer, log: &Log<&'static str>) -> UnixStream {
    cx.remove(other.key).unwrap();
    other.raw = None;
    let (near, far) = pair_with(other.number);
    let seen = log.clone();
    cx.insert(Io::new(near, Interest::READ), move |_, _, _| seen.push("new"));
    far
}

fn assert_only_new_reports_count(mut lp: Loop, log: &Log<&'static str>, fars: &Mutex<Vec<UnixStream>>) {
    for _ in 0..3 {
        lp.pass();
    }
    assert_eq!(log.take(), ["first"], "the other one's report is nobody's");
    fars.lock().unwrap().last().unwrap().write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), ["new"]);
}

/// Two raw events are active. The first one called ends the other, closes its descriptor and puts an event on the same
/// number: neither is called for what the old file reported.
fn a_number_reused_within_a_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let peers = Peers::default();
    let fars = Arc::new(Mutex::new(vec![]));
    for me in 0..2 {
        let (near, far) = ready_pair();
        let number = near.as_raw_fd();
        let context = (log.clone(), Arc::clone(&peers), Arc::clone(&fars));
        fars.lock().unwrap().push(far);
        let key = lp
            .events()
            .insert(RawIo::new(number, Interest::READ).once(), move |cx, (), _| {
                let (log, peers, fars) = &context;
                log.push("first");
                let far = take_the_place_of(cx, &mut peers.lock().unwrap()[1 - me], log);
                fars.lock().unwrap().push(far);
            });
        let raw = Some(near);
        peers.lock().unwrap().push(Peer { key, number, raw });
    }
    assert_only_new_reports_count(lp, &log, &fars);
    Ok(())
}

/// The same with sources that the events own: removing the event closes, and a new source gets the number.
fn an_owned_number_reused_within_a_turn(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let peers = Peers::default();
    let fars = Arc::new(Mutex::new(vec![]));
    for me in 0..2 {
        let (near, far) = ready_pair();
        let number = near.as_raw_fd();
        let context = (log.clone(), Arc::clone(&peers), Arc::clone(&fars));
        fars.lock().unwrap().push(far);
        let key = lp
            .events()
            .insert(Io::new(near, Interest::READ).once(), move |cx, _, _| {
                let (log, peers, fars) = &context;
                log.push("first");
                let far = take_the_place_of(cx, &mut peers.lock().unwrap()[1 - me], log);
                fars.lock().unwrap().push(far);
            });
        let raw = None;
        peers.lock().unwrap().push(Peer { key, number, raw });
    }
    assert_only_new_reports_count(lp, &log, &fars);
    Ok(())
}

/// `dup2` over a descriptor whose event is deleted: added again, the event hears of the new file.
fn dup2_over_a_deleted_descriptor(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let target = OwnedFd::from(near);
    let (key, log) = watch_once_reported(&mut lp, &target);
    lp.events().delete(key).unwrap();
    let (near, mut far) = pair();
    fdio::replace(&target, near.into()).unwrap();
    lp.events().add(key).unwrap();
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// `dup2` over a descriptor whose event is added: after delete and add, or a change of interest, it hears of the new
/// file.
fn dup2_over_an_added_descriptor(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let target = OwnedFd::from(near);
    let (key, log) = watch_once_reported(&mut lp, &target);
    let (near, mut far) = pair();
    fdio::replace(&target, near.into()).unwrap();
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);

    let (near, mut far) = pair();
    fdio::replace(&target, near.into()).unwrap();
    far.write_all(b"newer").unwrap();
    lp.events().set_interest(key, Interest::READ | Interest::WRITE).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ | Causes::WRITE]);
    Ok(())
}

/// And if the file that was there lives on in a duplicate, its reports wake the loop twice at most and reach nobody.
fn dup2_over_an_added_descriptor_with_a_duplicate(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let target = OwnedFd::from(near);
    let (key, log) = watch_once_reported(&mut lp, &target);
    let (near, mut far) = pair();
    fdio::replace(&target, near.into()).unwrap();
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    assert!(idle_waits(&mut lp, &waits) <= 3);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), []);
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A callback that puts another file under its source's number keeps its event; the event hears of the new file once its
/// interest has changed, and removing it leaves nothing behind.
fn dup2_over_an_owned_source(cell: &Cell) -> Verdict {
    let (mut lp, waits) = cell.open_counted();
    let (near, _old_far) = ready_pair();
    let (new, mut far) = pair();
    let mut new = Some(OwnedFd::from(new));
    let log = Log::new();
    let seen = log.clone();
    let key = lp
        .events()
        .insert(Io::new(OwnedFd::from(near), Interest::READ), move |_, source, fired| {
            seen.push(fired.causes());
            if let Some(new) = new.take() {
                fdio::replace(source, new).unwrap();
            }
        });
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    assert_eq!(log.take(), [], "of the old file nothing is heard");
    lp.events().set_interest(key, Interest::READ | Interest::WRITE).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    lp.events().set_interest(key, Interest::READ).unwrap();
    far.write_all(b"new").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    lp.events().remove(key).unwrap();
    assert_eq!(idle_waits(&mut lp, &waits), 1);
    Ok(())
}

/// Stale edges come only with new data; each wakes the loop at most once more, until it is healed.
fn edge_triggered_registrations_are_healed_too(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    let (mut lp, waits) = cell.open_counted();
    need(&mut lp, Features::EDGE, "edge")?;
    let (near, mut far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).mode(Mode::Edge));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    drop(near);
    lp.events().remove(key).unwrap();
    let mut extra = 0;
    for _ in 0..10 {
        far.write_all(b"x").unwrap();
        extra += idle_waits(&mut lp, &waits) - 1;
    }
    assert_eq!(log.take(), []);
    assert!(extra <= 10, "{extra} extra wake-ups");
    Ok(())
}
