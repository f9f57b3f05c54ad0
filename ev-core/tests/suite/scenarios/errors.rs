//! What is refused, with which error, and that nothing has changed then.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use ev_core::backend::{PassedOver, UpdateError};
use ev_core::{
    Causes, Counts, Error, EventKey, Features, Interest, Io, Mode, Outcome, RawIo, Readiness, Rejected, RunMode,
    Signal, Timer, User,
};
use ev_sys::{errno, fdio, process};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{HOUR, Log, assert_errno, need, pair, ready_pair, watch};

scenarios!("errors":
    every_operation_refuses_a_stale_key,
    a_key_whose_slot_is_used_again_is_stale,
    an_event_that_removed_itself_is_stale_at_once,
    priorities_out_of_range,
    unsupported_interests_name_what_is_missing,
    exclusive_with_conditions_that_it_excludes,
    an_empty_interest_is_refused,
    interest_of_an_event_without_a_descriptor,
    a_refused_interest_leaves_the_old_one,
    a_refused_interest_on_a_shared_descriptor_leaves_both,
    a_change_that_the_kernel_refuses_leaves_what_it_knows,
    a_closed_descriptor_is_refused,
    an_impossible_descriptor_is_refused,
    a_refused_insertion_leaves_nothing,
    a_refused_add_changes_nothing,
    a_refused_descriptor_does_not_disturb_others_on_it,
    a_deferred_refusal_is_a_call_with_an_error,
    a_deferred_refusal_of_several_events,
    a_deferred_refusal_can_be_added_again,
    a_deferred_refusal_of_an_owned_source,
    no_descriptors_for_a_loop,
    no_descriptors_for_signals,
    no_descriptors_for_reinit,
    no_descriptors_for_accept,
    errors_become_io_errors,
    no_key_leads_to_an_internal_event,
    a_refused_deletion_deletes,
    a_blocking_descriptor_is_refused_when_checked,
    a_descriptor_closed_while_added_is_told_when_checked,
    an_owned_descriptor_replaced_while_added_is_told_when_checked,
    descriptors_are_not_checked_unasked,
);

fn try_watch(lp: &mut Loop, event: RawIo) -> Result<EventKey, Error> {
    lp.events().try_insert(event, |_, (), _| {})
}

/// A number that no descriptor has.
fn closed_number() -> RawFd {
    let (near, _far) = pair();
    near.as_raw_fd()
}

/// The key of a removed event is refused by every operation.
fn every_operation_refuses_a_stale_key(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let key = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
    let queue = lp.events().same_duration(Duration::from_secs(1)).unwrap();
    let now = lp.events().read_clock();
    lp.events().remove(key).unwrap();
    let mut cx = lp.events();
    let answers = [
        cx.add(key),
        cx.add_after(key, Duration::ZERO),
        cx.add_at(key, now),
        cx.add_in(key, queue),
        cx.delete(key),
        cx.remove(key),
        cx.activate(key, Causes::READ),
        cx.activate_later(key, Causes::READ),
        cx.set_interest(key, Interest::READ),
        cx.set_priority(key, 0),
        cx.set_timeout(key, None),
        cx.set_timeout(key, Some(Duration::ZERO)),
        cx.clear_timeout(key),
        cx.is_pending(key).map(drop),
        cx.deadline(key).map(drop),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(matches!(answer, Err(Error::Stale)), "operation {number}: {answer:?}");
    }
    assert!(!cx.contains(key));
    assert_eq!(cx.len(), 0);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// A new event in the same slot is another event: the old key does not reach it.
fn a_key_whose_slot_is_used_again_is_stale(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let (old, _) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.events().remove(old).unwrap();
    let (new, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::WRITE));
    assert_eq!(new.index(), old.index(), "the same slot");
    assert_ne!(new, old);
    assert!(matches!(lp.events().remove(old), Err(Error::Stale)));
    assert!(matches!(lp.events().delete(old), Err(Error::Stale)));
    assert!(matches!(lp.events().activate(old, Causes::READ), Err(Error::Stale)));
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// A callback that has removed its own event gets `Stale` for it from then on.
fn an_event_that_removed_itself_is_stale_at_once(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(User::new(), move |cx, (), fired| {
        cx.remove(fired.key()).unwrap();
        seen.push((
            cx.contains(fired.key()),
            matches!(cx.activate(fired.key(), Causes::READ), Err(Error::Stale)),
            matches!(cx.remove(fired.key()), Err(Error::Stale)),
            cx.len(),
        ));
    });
    lp.events().activate(key, Causes::empty()).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(false, true, true, 0)]);
    Ok(())
}

/// A priority that the loop does not have is refused, at insertion and later.
fn priorities_out_of_range(cell: &Cell) -> Verdict {
    let mut lp = cell.open_with_priorities(3);
    for asked in [3, 255] {
        let refused = lp.events().try_insert(User::new().priority(asked), |_, (), _| {});
        assert!(matches!(refused, Err(Error::Priority { asked: a, available: 3 }) if a == asked));
    }
    assert_eq!(lp.events().len(), 0);
    let key = lp.events().insert(User::new().priority(2), |_, (), _| {});
    let refused = lp.events().set_priority(key, 3);
    assert!(matches!(refused, Err(Error::Priority { asked: 3, available: 3 })));
    lp.events().set_priority(key, 0).unwrap();
    lp.events().activate(key, Causes::empty()).unwrap();
    assert!(matches!(lp.events().set_priority(key, 1), Err(Error::Active)));
    lp.pass();
    lp.events().set_priority(key, 1).unwrap();
    Ok(())
}

/// What the backend cannot do is refused where it is asked for, and the error names the missing feature.
fn unsupported_interests_name_what_is_missing(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let features = lp.events().features();
    let (near, _far) = pair();
    for (interest, mode, needed) in [
        (Interest::READ, Mode::Level, Features::empty()),
        (Interest::READ | Interest::WRITE, Mode::OneShot, Features::empty()),
        (Interest::READ | Interest::ERROR, Mode::Level, Features::empty()),
        (Interest::READ, Mode::Edge, Features::EDGE),
        (Interest::CLOSED, Mode::Level, Features::CLOSED),
        (Interest::READ | Interest::CLOSED, Mode::Level, Features::CLOSED),
        (Interest::PRIORITY, Mode::Level, Features::PRIORITY),
        (Interest::ERROR, Mode::Level, Features::ERROR_ONLY),
        (Interest::READ, Mode::Exclusive, Features::EXCLUSIVE),
        (Interest::CLOSED, Mode::Edge, Features::CLOSED.union(Features::EDGE)),
    ] {
        let missing = needed.difference(features);
        let raw = RawIo::new(near.as_raw_fd(), interest).mode(mode);
        let owned = Io::new(near.try_clone().unwrap(), interest).mode(mode);
        for inserted in [try_watch(&mut lp, raw), lp.events().try_insert(owned, |_, _, _| {})] {
            match inserted {
                Ok(key) if missing.is_empty() => lp.events().remove(key).unwrap(),
                Err(Error::Update(UpdateError::Unsupported(named))) => assert_eq!(named, missing),
                other => panic!("{interest:?} {mode:?}: {other:?}"),
            }
        }
    }
    assert_eq!(lp.events().len(), 0);
    Ok(())
}

/// Exclusive registrations go with reading and writing only, as the kernel takes no other.
fn exclusive_with_conditions_that_it_excludes(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    need(&mut lp, Features::EXCLUSIVE, "exclusive")?;
    let (near, _far) = pair();
    for (interest, missing) in [
        (Interest::READ | Interest::CLOSED, Features::CLOSED),
        (Interest::PRIORITY, Features::PRIORITY),
    ] {
        let refused = try_watch(&mut lp, RawIo::new(near.as_raw_fd(), interest).mode(Mode::Exclusive));
        assert!(
            matches!(refused, Err(Error::Update(UpdateError::Unsupported(named))) if named == missing),
            "{refused:?}"
        );
    }
    Ok(())
}

/// Who waits for nothing is refused, at insertion and by `set_interest`.
fn an_empty_interest_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let refused = try_watch(&mut lp, RawIo::new(fd, Interest::empty()));
    assert!(
        matches!(refused, Err(Error::Update(UpdateError::NoInterest))),
        "{refused:?}"
    );
    assert_eq!(lp.events().len(), 0);
    let (key, log) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let refused = lp.events().set_interest(key, Interest::empty());
    assert!(
        matches!(refused, Err(Error::Update(UpdateError::NoInterest))),
        "{refused:?}"
    );
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ], "as before");
    Ok(())
}

/// Timers, signals and user events have no interest.
fn interest_of_an_event_without_a_descriptor(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let timer = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
    let user = lp.events().insert(User::new(), |_, (), _| {});
    let signal = lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
    for key in [timer, user, signal] {
        let refused = lp.events().set_interest(key, Interest::READ);
        assert!(matches!(refused, Err(Error::Kind("interest"))), "{refused:?}");
    }
    assert!(lp.events().is_pending(timer).unwrap());
    Ok(())
}

/// `SIGURG` on Linux: ignored unless it is watched.
const SIGNAL: i32 = 23;

/// An interest, and a mode with which this backend cannot have it.
fn unsupported(lp: &mut Loop) -> Option<Interest> {
    let features = lp.events().features();
    if !features.contains(Features::CLOSED) {
        return Some(Interest::READ | Interest::CLOSED);
    }
    None
}

/// A refused `set_interest` leaves the event added, with the interest it had.
fn a_refused_interest_leaves_the_old_one(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let exclusive = lp.events().features().contains(Features::EXCLUSIVE);
    let event = RawIo::new(near.as_raw_fd(), Interest::READ);
    let (event, interest) = match unsupported(&mut lp) {
        Some(interest) => (event, interest),
        None if exclusive => (event.mode(Mode::Exclusive), Interest::READ | Interest::CLOSED),
        None => return Err(Skip("the backend does everything")),
    };
    let (key, log) = watch(&mut lp, event);
    let refused = lp.events().set_interest(key, interest);
    assert!(matches!(refused, Err(Error::Update(UpdateError::Unsupported(_)))));
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// The kernel's refusal of a change leaves all events of the descriptor as they were.
fn a_refused_interest_on_a_shared_descriptor_leaves_both(cell: &Cell) -> Verdict {
    if cell.defers_raw_changes() {
        return Err(Skip("the refusal comes later"));
    }
    let mut lp = cell.open();
    let (near, _far) = pair();
    let target = OwnedFd::from(near);
    let fd = target.as_raw_fd();
    let (first, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    let (second, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    lp.pass();
    drop(target);
    assert_errno(lp.events().set_interest(first, Interest::WRITE), errno::EBADF);
    assert!(lp.events().is_pending(first).unwrap());
    assert!(lp.events().is_pending(second).unwrap());
    let (near, mut far) = pair();
    assert_eq!(near.as_raw_fd(), fd);
    lp.events()
        .set_interest(second, Interest::READ | Interest::WRITE)
        .unwrap();
    far.write_all(b"x").unwrap();
    let (_, log) = watch(&mut lp, RawIo::new(fd, Interest::WRITE));
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    lp.events().remove(first).unwrap();
    lp.events().remove(second).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// When the kernel refuses a change, the loop goes on taking the reports of what the kernel was told before.
fn a_change_that_the_kernel_refuses_leaves_what_it_knows(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    if cell.defers_raw_changes() || lp.events().features().contains(Features::ANY_FILE) {
        return Err(Skip("nothing is refused at once"));
    }
    let (near, _far) = ready_pair();
    let _duplicate = near.try_clone().unwrap();
    let target = OwnedFd::from(near);
    let (key, log) = watch(&mut lp, RawIo::new(target.as_raw_fd(), Interest::READ));
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    // The number is a regular file's now; the socket, which the kernel knows under it, lives on in the duplicate.
    fdio::replace(&target, File::open("/proc/self/exe").unwrap().into()).unwrap();
    assert_errno(lp.events().set_interest(key, Interest::WRITE), errno::EPERM);
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A number that is not open is refused with `EBADF` (or, where changes are deferred, by a call with `ERROR`).
fn a_closed_descriptor_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let number = closed_number();
    if cell.defers_raw_changes() {
        let (key, log) = watch(&mut lp, RawIo::new(number, Interest::READ));
        assert_eq!(lp.run(), Outcome::Empty);
        assert_eq!(log.take(), [Causes::ERROR]);
        assert!(!lp.events().is_pending(key).unwrap());
    } else {
        assert_errno(try_watch(&mut lp, RawIo::new(number, Interest::READ)), errno::EBADF);
        assert_eq!(lp.events().len(), 0);
    }
    Ok(())
}

/// A number that no descriptor can have is refused at once everywhere.
fn an_impossible_descriptor_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let refused = try_watch(&mut lp, RawIo::new(RawFd::MAX, Interest::READ));
    assert!(matches!(refused, Err(Error::Map(_))), "{refused:?}");
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!("{} is not a file descriptor", RawFd::MAX)
    );
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// However often an insertion is refused, the loop has no more events and uses the same slots.
fn a_refused_insertion_leaves_nothing(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let probe = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().remove(probe).unwrap();
    for _ in 0..100 {
        let event = RawIo::new(RawFd::MAX, Interest::READ).timeout(Duration::from_millis(1));
        assert!(try_watch(&mut lp, event).is_err());
        assert!(try_watch(&mut lp, RawIo::new(0, Interest::empty())).is_err());
        let signal = lp.events().try_insert(Signal::new(9), |_, (), _| {});
        assert!(matches!(signal, Err(Error::Signal(_))), "{signal:?}");
    }
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.run(), Outcome::Empty, "no deadline is left");
    let key = lp.events().insert(User::new(), |_, (), _| {});
    assert!(
        key.index() <= probe.index() + 1,
        "one slot, and one for the signal pipe"
    );
    Ok(())
}

/// A refused `add` leaves the event not added, without a deadline, and it can be added once the reason is gone.
fn a_refused_add_changes_nothing(cell: &Cell) -> Verdict {
    if cell.defers_raw_changes() {
        return Err(Skip("the refusal comes later"));
    }
    let mut lp = cell.open();
    let number = closed_number();
    let event = RawIo::new(number, Interest::WRITE).timeout(HOUR).disarmed();
    let (key, log) = watch(&mut lp, event);
    assert_errno(lp.events().add(key), errno::EBADF);
    assert_errno(lp.events().add_after(key, Duration::ZERO), errno::EBADF);
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    assert_eq!(lp.run(), Outcome::Empty);
    let (near, _far) = pair();
    assert_eq!(near.as_raw_fd(), number);
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// A mode or interest that is refused does not disturb the events that are on the descriptor.
fn a_refused_descriptor_does_not_disturb_others_on_it(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let fd = near.as_raw_fd();
    let (_, log) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    far.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert!(try_watch(&mut lp, RawIo::new(fd, Interest::empty())).is_err());
        assert!(try_watch(&mut lp, RawIo::new(fd, Interest::WRITE).mode(Mode::OneShot)).is_err());
        assert!(try_watch(&mut lp, RawIo::new(fd, Interest::WRITE).priority(7)).is_err());
        lp.pass();
        assert_eq!(log.take(), [Causes::READ]);
    }
    assert_eq!(lp.events().len(), 1);
    Ok(())
}

fn need_deferred(cell: &Cell) -> Verdict {
    if cell.defers_raw_changes() {
        Ok(())
    } else {
        Err(Skip("raw changes are made at once"))
    }
}

/// A refusal that nobody waits for any more is told to the event: it is deleted, then called with `ERROR` alone, once.
fn a_deferred_refusal_is_a_call_with_an_error(cell: &Cell) -> Verdict {
    need_deferred(cell)?;
    let mut lp = cell.open();
    let log = Log::new();
    let seen = log.clone();
    let event = RawIo::new(closed_number(), Interest::READ).timeout(HOUR);
    let key = lp.events().insert(event, move |cx, (), fired| {
        seen.push((fired.causes(), cx.is_pending(fired.key()).unwrap()));
    });
    assert!(lp.events().is_pending(key).unwrap(), "nobody knows yet");
    lp.pass();
    lp.pass();
    assert_eq!(log.len(), 1);
    assert_eq!(log.take()[0].0, Causes::ERROR);
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.events().deadline(key).unwrap(), None);
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// All events of the refused descriptor are deleted and called; those of other descriptors are not concerned.
fn a_deferred_refusal_of_several_events(cell: &Cell) -> Verdict {
    need_deferred(cell)?;
    let mut lp = cell.open();
    let (near, _far) = pair();
    let (_, unconcerned) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::WRITE));
    let number = closed_number();
    let events =
        [Interest::READ, Interest::WRITE, Interest::READ].map(|interest| watch(&mut lp, RawIo::new(number, interest)));
    lp.pass();
    lp.pass();
    for (key, log) in events {
        assert_eq!(log.take(), [Causes::ERROR]);
        assert!(!lp.events().is_pending(key).unwrap());
    }
    assert_eq!(unconcerned.take(), [Causes::WRITE, Causes::WRITE]);
    Ok(())
}

/// An event that was refused works once its number is open.
fn a_deferred_refusal_can_be_added_again(cell: &Cell) -> Verdict {
    need_deferred(cell)?;
    let mut lp = cell.open();
    let number = closed_number();
    let (key, log) = watch(&mut lp, RawIo::new(number, Interest::WRITE));
    lp.pass();
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::ERROR, Causes::ERROR]);
    let (near, _far) = pair();
    assert_eq!(near.as_raw_fd(), number);
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    Ok(())
}

/// The changes of an owned source that the kernel has accepted are deferred as well; if it refuses one after all, because
/// the callback has put a file of another kind under the number, the event is called with `ERROR`, and can be removed.
fn a_deferred_refusal_of_an_owned_source(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    if lp.events().features().contains(Features::ANY_FILE) {
        return Err(Skip("every kind of file is taken"));
    }
    let (near, _far) = ready_pair();
    let log = Log::new();
    let seen = log.clone();
    let mut file = Some(OwnedFd::from(File::open("/proc/self/exe").unwrap()));
    let event = Io::new(OwnedFd::from(near), Interest::READ).once();
    let key = lp.events().insert(event, move |cx, source, fired| {
        seen.push(fired.causes());
        if let Some(file) = file.take() {
            fdio::replace(source, file).unwrap();
            cx.set_interest(fired.key(), Interest::WRITE).unwrap();
            cx.add(fired.key()).unwrap();
        }
    });
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [Causes::READ, Causes::ERROR]);
    assert!(!lp.events().is_pending(key).unwrap());
    assert_errno(lp.events().add(key), errno::EPERM);
    lp.events().remove(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    Ok(())
}

/// The number of descriptors that a test allows itself.
const LIMIT: RawFd = 64;

/// Leaves this process `free` descriptors, until dropped.
struct Scarcity {
    held: Vec<File>,
}

impl Scarcity {
    fn leaving(free: usize) -> Self {
        process::set_descriptor_limit(LIMIT as u64).unwrap();
        let mut held = vec![];
        let full = loop {
            match File::open("/dev/null") {
                Ok(file) => held.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(errno::EMFILE));
        held.truncate(held.len() - free);
        Self { held }
    }

    /// Gives one more descriptor free.
    fn relax(&mut self) {
        self.held.pop().expect("something is held");
    }
}

/// How many descriptors are open.
fn open_descriptors() -> usize {
    (0..LIMIT).filter(|&fd| process::is_open(fd)).count()
}

/// A loop that gets too few descriptors is not opened, says so, and keeps none of those it got.
fn no_descriptors_for_a_loop(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue("libkqueue keeps descriptors of its own")?;
    let before_all = open_descriptors();
    let mut scarcity = Scarcity::leaving(0);
    let mut refusals = 0;
    let lp = loop {
        let before = open_descriptors();
        match cell.try_open_with(&cell.config()) {
            Ok(lp) => break lp,
            Err(Error::Open(error)) => {
                let failed = error.passed_over().any(|(_, reason)| {
                    matches!(reason, PassedOver::Failed(error) if error.raw_os_error() == Some(errno::EMFILE))
                });
                assert!(failed, "{error}");
                let kind = io::Error::from(Error::Open(error)).kind();
                assert_eq!(kind, io::Error::from_raw_os_error(errno::EMFILE).kind());
            }
            Err(Error::Io(error)) => assert_eq!(error.raw_os_error(), Some(errno::EMFILE)),
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(open_descriptors(), before);
        refusals += 1;
        scarcity.relax();
    };
    let used = open_descriptors() - scarcity.held.len() - before_all;
    assert_eq!(used, refusals, "it was refused until it had what it takes");
    drop(lp);
    assert_eq!(open_descriptors(), scarcity.held.len() + before_all);
    if refusals == 0 {
        return Err(Skip("this loop needs no descriptor"));
    }
    Ok(())
}

fn assert_no_descriptors<T: Debug>(refused: Result<T, Error>) {
    match refused {
        Err(Error::Io(error)) => assert_eq!(error.raw_os_error(), Some(errno::EMFILE)),
        other => panic!("{other:?}"),
    }
}

/// A signal event that gets no pipe is refused; the loop goes on, keeps nothing, and takes the event later.
fn no_descriptors_for_signals(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::WRITE));
    let disposition = || ev_sys::signal::Action::query(SIGNAL).unwrap().disposition();
    let before = disposition();
    let mut scarcity = Scarcity::leaving(1);
    let open = open_descriptors();
    for _ in 0..3 {
        let refused = lp.events().try_insert(Signal::new(SIGNAL), |_, (), _| {});
        assert_no_descriptors(refused);
        assert_eq!(open_descriptors(), open);
        assert_eq!(lp.events().len(), 1);
        assert_eq!(disposition(), before);
    }
    lp.pass();
    assert_eq!(log.take(), [Causes::WRITE]);
    scarcity.relax();
    let seen = log.clone();
    lp.events()
        .insert(Signal::new(SIGNAL), move |_, (), fired| seen.push(fired.causes()));
    ev_sys::signal::raise(SIGNAL).unwrap();
    for _ in 0..2 {
        lp.pass();
    }
    assert!(log.take().contains(&Causes::SIGNAL));
    drop(lp);
    assert_eq!(disposition(), before);
    Ok(())
}

/// A `reinit` without descriptors fails with the kernel's error; the loop can be dropped, or tried again.
fn no_descriptors_for_reinit(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let (_, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    lp.pass();
    let scarcity = Scarcity::leaving(0);
    let open = open_descriptors();
    let Err(error) = lp.reinit() else {
        return Err(Skip("this loop needs no descriptor"));
    };
    assert_no_descriptors::<()>(Err(error));
    assert_eq!(open_descriptors(), open);
    drop(scarcity);
    lp.reinit().unwrap();
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A server without descriptors cannot accept; the loop itself needs none, and serves again when some are free.
fn no_descriptors_for_accept(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut scarcity = Scarcity::leaving(0);
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(
        Io::new(listener, Interest::READ),
        move |cx, listener, fired| match listener.accept() {
            Ok((mut stream, _)) => {
                cx.remove(fired.key()).unwrap();
                stream.write_all(b"served").unwrap();
                seen.push(None);
            }
            Err(error) => seen.push(error.raw_os_error()),
        },
    );
    lp.pass();
    lp.pass();
    assert_eq!(log.take(), [Some(errno::EMFILE), Some(errno::EMFILE)]);
    scarcity.relax();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [None]);
    let mut text = String::new();
    (&client).read_to_string(&mut text).unwrap();
    assert_eq!(text, "served");
    Ok(())
}

/// With `?` in a function that returns `io::Result`, the kernel's error number comes through.
fn errors_become_io_errors(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    if !cell.defers_raw_changes() {
        let refused = try_watch(&mut lp, RawIo::new(closed_number(), Interest::READ));
        let error = io::Error::from(refused.unwrap_err());
        assert_eq!(error.raw_os_error(), Some(errno::EBADF));
    }
    let user = lp.events().insert(User::new(), |_, (), _| {});
    lp.events().remove(user).unwrap();
    let error = io::Error::from(lp.events().add(user).unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let refused = try_watch(&mut lp, RawIo::new(0, Interest::empty()));
    assert_eq!(
        io::Error::from(refused.unwrap_err()).kind(),
        io::ErrorKind::InvalidInput
    );
    if let Some(interest) = unsupported(&mut lp) {
        let refused = try_watch(&mut lp, RawIo::new(0, interest));
        assert_eq!(io::Error::from(refused.unwrap_err()).kind(), io::ErrorKind::Unsupported);
    }
    Ok(())
}

/// Whatever key is given to a loop that has a notifier and a signal pipe: none leads to these.
fn no_key_leads_to_an_internal_event(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let remote = lp.remote();
    for index in 0..4 {
        let key = EventKey::from_bits(1 << 32 | index).expect("a key of the first generation");
        assert!(!lp.events().contains(key));
        assert!(matches!(lp.events().delete(key), Err(Error::Stale)));
        assert!(matches!(lp.events().remove(key), Err(Error::Stale)));
    }
    assert_eq!(lp.events().len(), 0);
    let waker = thread::spawn(move || remote.stop().unwrap());
    assert_eq!(lp.run_with(RunMode::FOREVER), Outcome::Stopped);
    waker.join().unwrap();
    Ok(())
}

/// A deletion that the kernel refuses is told, and the event is deleted all the same: the kernel is asked again.
fn a_refused_deletion_deletes(cell: &Cell) -> Verdict {
    // No process has it: it is scripted.
    const NUMBER: RawFd = 1_000_000;
    let (mut lp, script) = cell.open_scripted()?;
    script.set(NUMBER, Readiness::empty());
    let (key, log) = watch(&mut lp, RawIo::new(NUMBER, Interest::READ));
    script.refuse(NUMBER, io::Error::from_raw_os_error(libc::ENOMEM));
    assert_errno(lp.events().delete(key), libc::ENOMEM);
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.events().counts().registrations, 0);
    script.set(NUMBER, Readiness::READ);
    assert_eq!(lp.run(), Outcome::Empty);
    lp.run_with(RunMode::ONCE | RunMode::NON_BLOCKING | RunMode::FOREVER);
    assert_eq!(log.take(), []);
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

/// A loop that checks descriptors.
fn open_checked(cell: &Cell) -> Loop {
    cell.open_with(&cell.config().check_descriptors())
}

/// Inserts an event that owns its source, is refused, and returns the error and the source.
fn refused_source(lp: &mut Loop, source: UnixStream) -> (Error, UnixStream) {
    let event = Io::new(source, Interest::READ);
    let Rejected { error, value } = match lp {
        Loop::Local(lp) => lp
            .insert(event, |_, _, _| {})
            .map_err(|Rejected { error, value }| Rejected { error, value: value.0 }),
        Loop::Shared(lp) => lp
            .handle()
            .insert(event, |_, _, _| {})
            .map_err(|Rejected { error, value }| Rejected { error, value: value.0 }),
    }
    .expect_err("a refusal");
    (error, value)
}

/// With descriptors checked, one in blocking mode is refused, raw or owned, at insertion and when it is added; nothing has
/// changed then, and once its mode is right it is taken. What has no descriptor is not looked at.
fn a_blocking_descriptor_is_refused_when_checked(cell: &Cell) -> Verdict {
    let mut lp = open_checked(cell);
    let (near, mut far) = UnixStream::pair().unwrap();
    let fd = near.as_raw_fd();
    let raw = || RawIo::new(fd, Interest::READ).timeout(HOUR);
    let refused = try_watch(&mut lp, raw());
    assert!(
        matches!(refused, Err(Error::Blocking(named)) if named == fd),
        "{refused:?}"
    );
    let (error, near) = refused_source(&mut lp, near);
    assert!(matches!(error, Error::Blocking(named) if named == fd), "{error:?}");
    assert_eq!(near.as_raw_fd(), fd, "still open");
    assert_eq!(lp.events().counts(), Counts::default());
    let (key, log) = watch(&mut lp, raw().disarmed());
    let refused = lp.events().add(key);
    assert!(
        matches!(refused, Err(Error::Blocking(named)) if named == fd),
        "{refused:?}"
    );
    assert!(!lp.events().is_pending(key).unwrap());
    assert_eq!(lp.run(), Outcome::Empty);
    near.set_nonblocking(true).unwrap();
    lp.events().add(key).unwrap();
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    let negative = lp.events().insert(RawIo::new(-1, Interest::READ), |_, (), _| {});
    let signal = lp.events().insert(Signal::new(SIGNAL), |_, (), _| {});
    for key in [negative, signal, key] {
        lp.events().delete(key).unwrap();
    }
    assert_eq!(lp.run(), Outcome::Empty);
    Ok(())
}

/// Deletes an event that a check is to complain of: it is deleted all the same, and the complaint is not repeated.
fn assert_complains(lp: &mut Loop, key: EventKey, fd: RawFd) {
    let deleted = lp.events().delete(key);
    assert!(
        matches!(deleted, Err(Error::ClosedWhileAdded(named)) if named == fd),
        "{deleted:?}"
    );
    assert!(!lp.events().is_pending(key).unwrap());
    lp.events().delete(key).unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
}

/// With descriptors checked, the deletion of an event whose descriptor was closed before complains, whether its number is
/// used again or not.
fn a_descriptor_closed_while_added_is_told_when_checked(cell: &Cell) -> Verdict {
    let mut lp = open_checked(cell);
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let (key, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    drop(near);
    assert_complains(&mut lp, key, fd);
    let (reused, _other) = pair();
    assert_eq!(reused.as_raw_fd(), fd);
    let (key, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    drop(reused);
    let (reused, _another) = pair();
    assert_eq!(reused.as_raw_fd(), fd);
    assert_complains(&mut lp, key, fd);
    lp.events().add(key).unwrap();
    lp.events().delete(key).unwrap();
    Ok(())
}

/// The same for a source that the event owns, when its callback has put another file under the number; also where the event
/// was deleted and came back before.
fn an_owned_descriptor_replaced_while_added_is_told_when_checked(cell: &Cell) -> Verdict {
    for times_back in 0..2 {
        let mut lp = open_checked(cell);
        let (near, mut far) = pair();
        let fd = near.as_raw_fd();
        let (other, _other_far) = pair();
        let mut other = Some(OwnedFd::from(other));
        let key = lp
            .events()
            .insert(Io::new(OwnedFd::from(near), Interest::READ), move |cx, source, _| {
                let other = other.take().expect("one call");
                fdio::replace(source, other).unwrap();
                cx.stop();
            });
        for _ in 0..times_back {
            lp.events().delete(key).unwrap();
            lp.events().add(key).unwrap();
        }
        far.write_all(b"x").unwrap();
        assert_eq!(lp.run(), Outcome::Stopped);
        assert_complains(&mut lp, key, fd);
    }
    Ok(())
}

/// A loop that was not asked to check takes a descriptor in blocking mode, and says nothing of one that was closed.
fn descriptors_are_not_checked_unasked(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = UnixStream::pair().unwrap();
    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    far.write_all(b"x").unwrap();
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    drop(near);
    lp.events().delete(key).unwrap();
    let (near, _far) = pair();
    let fd = near.as_raw_fd();
    let (key, _) = watch(&mut lp, RawIo::new(fd, Interest::READ));
    drop(near);
    let (reused, _other) = pair();
    assert_eq!(reused.as_raw_fd(), fd);
    lp.events().delete(key).unwrap();
    Ok(())
}
