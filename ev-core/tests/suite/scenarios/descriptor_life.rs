//! What programs do to descriptors behind a loop's back: the systematic table.
//!
//! A descriptor has an event and something to read. One of six things happens to it, while the event is added or after
//! it was deleted, which makes the twelve variants:
//!
//! | | while it is added, then deleted | after it was deleted |
//! |---|---|---|
//! | closed | 1 | 7 |
//! | closed, and a duplicate keeps the file open | 2 | 8 |
//! | another file put in its place (`dup2`), the old one kept open by a duplicate | 3 | 9 |
//! | closed, and a child process keeps the file open | 4 | 10 |
//! | as 2, and the number goes to a new file | 5 | 11 |
//! | as 5, and the new file gets an event of its own | 6 | 12 |
//!
//! They are tried on raw descriptors, and on descriptors that the event owns: there "closed" is done by removing the
//! event, in 1 to 6 without deleting it before. Whatever happens:
//!
//! - Deleting and removing succeed.
//! - The event is called at most once more while it is added, and never after it was deleted.
//! - The loop wakes at most twice too often, and then not any more. Where the descriptor was closed in the right order,
//!   after the kernel was told, it never does.
//! - What the old file reports reaches no event on the new file, nor on any other.
//! - The number's new file can be registered and is heard of.
//!
//! A third time, before the event is added, is tried with raw descriptors: the event then is on the number's new file, or
//! is refused where there is none.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};

use ev_core::backend::UpdateError;
use ev_core::{Causes, Error, EventKey, Interest, Io, Outcome, RawIo};
use ev_sys::process::{self, Child};
use ev_sys::{errno, fdio};

use super::{fork::fork, scenarios};
use crate::cell::Cell;
use crate::counted::{Counted, Waits};
use crate::events::Loop;
use crate::harness::Verdict;
use crate::support::{Log, idle_waits, pair, watch};

scenarios!("descriptor_life":
    raw_while_added,
    raw_after_delete,
    owned_while_added,
    owned_after_delete,
    raw_before_add,
);

const CLOSES: &str = "libkqueue does not notice that a registered descriptor is closed, and cannot fork";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Close,
    CloseWithDuplicate,
    Replace,
    CloseWithChild,
    Reuse,
    ReuseRegistered,
}

const DEEDS: [Deed; 6] = [
    Deed::Close,
    Deed::CloseWithDuplicate,
    Deed::Replace,
    Deed::CloseWithChild,
    Deed::Reuse,
    Deed::ReuseRegistered,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    WhileAdded,
    AfterDelete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Raw,
    Owned,
}

/// Who can close the descriptor.
enum Holder {
    Here(Option<OwnedFd>),
    /// The event, which closes it when it is removed; others can get at it all the same.
    Event(Weak<OwnedFd>),
}

/// A process that keeps open what was open when it began, until this is dropped.
struct Keeper {
    end: Option<UnixStream>,
    child: Option<Child>,
}

impl Keeper {
    fn new() -> Self {
        let (end, mut other) = UnixStream::pair().unwrap();
        let mut end = Some(end);
        let child = fork(|| {
            end = None;
            assert_eq!(other.read(&mut [0]).unwrap(), 0, "the end was closed");
        });
        let child = Some(child);
        Self { end, child }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end = None;
        let status = self.child.take().map(Child::wait);
        assert!(
            status.is_some_and(|status| status.is_ok_and(|status| status.success())),
            "the child ends when it is told"
        );
    }
}

/// A variant under way.
struct Trial {
    name: String,
    lp: Loop<Counted>,
    waits: Waits,
    key: EventKey,
    log: Log<Causes>,
    holder: Holder,
    number: RawFd,
    /// The peer of the file that was there first.
    old_far: UnixStream,
    /// What keeps that file open.
    duplicate: Option<OwnedFd>,
    keeper: Option<Keeper>,
    /// The number's new file and its peer; the file is `None` where it has taken the old one's place.
    new: Option<(Option<UnixStream>, UnixStream)>,
    new_event: Option<(EventKey, Log<Causes>)>,
    bystander: (EventKey, Log<Causes>, UnixStream, UnixStream),
}

impl Trial {
    /// A loop with an event on a descriptor that has something to read, not added, and a silent one on another.
    fn new(cell: &Cell, kind: Kind, name: String) -> Self {
        let (mut lp, waits) = cell.open_counted();
        let (near, mut old_far) = pair();
        old_far.write_all(b"old").unwrap();
        let number = near.as_raw_fd();
        let (key, log, holder) = match kind {
            Kind::Raw => {
                let (key, log) = watch(&mut lp, RawIo::new(number, Interest::READ).disarmed());
                (key, log, Holder::Here(Some(near.into())))
            }
            Kind::Owned => {
                let log = Log::new();
                let (seen, source) = (log.clone(), Arc::new(OwnedFd::from(near)));
                let holder = Holder::Event(Arc::downgrade(&source));
                let event = Io::new(source, Interest::READ).disarmed();
                let key = lp.events().insert(event, move |_, _, fired| seen.push(fired.causes()));
                (key, log, holder)
            }
        };
        let (other, other_far) = pair();
        let (by_key, by_log) = watch(&mut lp, RawIo::new(other.as_raw_fd(), Interest::READ));
        Self {
            name,
            lp,
            waits,
            key,
            log,
            holder,
            number,
            old_far,
            duplicate: None,
            keeper: None,
            new: None,
            new_event: None,
            bystander: (by_key, by_log, other, other_far),
        }
    }

    /// The same with the event added and called once.
    fn added(cell: &Cell, kind: Kind, name: String) -> Self {
        let mut trial = Self::new(cell, kind, name);
        trial.lp.events().add(trial.key).unwrap();
        trial.lp.pass();
        assert_eq!(trial.log.take(), [Causes::READ], "{}: at first", trial.name);
        trial
    }

    /// Lets the old file outlive its descriptor.
    fn duplicate(&mut self) {
        let copy = match &self.holder {
            Holder::Here(fd) => fd.as_ref().unwrap().try_clone(),
            Holder::Event(fd) => fd.upgrade().unwrap().try_clone(),
        };
        self.duplicate = Some(copy.unwrap());
    }

    fn close(&mut self) {
        match &mut self.holder {
            Holder::Here(fd) => *fd = None,
            Holder::Event(_) => self.lp.events().remove(self.key).expect(&self.name),
        }
        assert!(!process::is_open(self.number), "{}: closed", self.name);
    }

    fn replace(&mut self) {
        let (new, far) = pair();
        match &self.holder {
            Holder::Here(fd) => fdio::replace(fd.as_ref().unwrap(), new.into()),
            Holder::Event(fd) => fdio::replace(&fd.upgrade().unwrap(), new.into()),
        }
        .unwrap();
        self.new = Some((None, far));
    }

    fn reuse(&mut self) {
        let (new, far) = pair();
        assert_eq!(new.as_raw_fd(), self.number, "{}: the lowest free number", self.name);
        self.new = Some((Some(new), far));
    }

    fn register_new(&mut self) {
        self.new_event = Some(watch(&mut self.lp, RawIo::new(self.number, Interest::READ)));
    }

    fn perform(&mut self, deed: Deed) {
        match deed {
            Deed::Close => self.close(),
            Deed::CloseWithDuplicate => {
                self.duplicate();
                self.close();
            }
            Deed::Replace => {
                self.duplicate();
                self.replace();
            }
            Deed::CloseWithChild => {
                self.keeper = Some(Keeper::new());
                self.close();
            }
            Deed::Reuse | Deed::ReuseRegistered => {
                self.duplicate();
                self.close();
                self.reuse();
                if deed == Deed::ReuseRegistered {
                    self.register_new();
                }
            }
        }
    }

    /// What other events have been called for.
    fn take_others(&self) -> Vec<Causes> {
        let mut calls = self.bystander.1.take();
        calls.extend(self.new_event.iter().flat_map(|(_, log)| log.take()));
        calls
    }

    /// The loop comes to rest after at most so many idle turns, and nobody has been called.
    fn assert_rest(&mut self, extra: usize, when: &str) {
        let name = format!("{}, {when}", self.name);
        let waits = idle_waits(&mut self.lp, &self.waits);
        assert!(waits <= 1 + extra, "{name}: {waits} waits");
        assert_eq!(idle_waits(&mut self.lp, &self.waits), 1, "{name}: it goes on");
        assert_eq!(
            (self.log.take(), self.take_others()),
            (vec![], vec![]),
            "{name}: called"
        );
    }

    /// The old file speaks, and nobody hears it. The new file speaks, and its event hears that.
    fn assert_heard(&mut self, extra: usize) {
        self.old_far.write_all(b"more").unwrap_or_default();
        self.assert_rest(extra, "when the old file has more");
        if self.new.is_some() {
            if self.new_event.is_none() {
                self.register_new();
            }
            self.assert_rest(extra, "with an event on the new file");
            self.new.as_mut().unwrap().1.write_all(b"new").unwrap();
            self.lp.pass();
            assert_eq!(self.take_others(), [Causes::READ], "{}: of the new file", self.name);
            assert_eq!(self.log.take(), [], "{}: the old event", self.name);
            let (key, _) = self.new_event.take().unwrap();
            self.lp.events().remove(key).expect(&self.name);
        }
        self.bystander.3.write_all(b"x").unwrap();
        self.lp.pass();
        assert_eq!(self.bystander.1.take(), [Causes::READ], "{}: the bystander", self.name);
    }

    /// Nothing is left of it in the loop.
    fn end(mut self) {
        if self.lp.events().contains(self.key) {
            self.lp.events().remove(self.key).expect(&self.name);
        }
        self.lp.events().remove(self.bystander.0).unwrap();
        assert_eq!(self.lp.pass(), Outcome::Empty, "{}", self.name);
        assert_eq!(self.lp.events().len(), 0, "{}", self.name);
    }
}

/// How many idle turns a variant may cost: two where the kernel keeps registrations of files (epoll), the old file lives
/// on, and the kernel was not told before the number came to mean something else; none otherwise.
fn most_idle_turns(cell: &Cell, kind: Kind, deed: Deed, time: Time) -> usize {
    let told_in_time = match kind {
        Kind::Owned => deed != Deed::Replace,
        Kind::Raw => time == Time::AfterDelete && !cell.defers_raw_changes(),
    };
    if cell.registers_files() && deed != Deed::Close && !told_in_time {
        2
    } else {
        0
    }
}

fn assert_all(cell: &Cell, kind: Kind, time: Time) {
    for deed in DEEDS {
        let mut trial = Trial::added(cell, kind, format!("{kind:?}, {deed:?}, {time:?}"));
        if time == Time::AfterDelete {
            trial.lp.events().delete(trial.key).expect(&trial.name);
        }
        trial.perform(deed);
        if time == Time::WhileAdded && trial.lp.events().contains(trial.key) {
            trial.lp.pass();
            let calls = trial.log.take();
            assert!(calls.len() <= 1, "{}: {calls:?}", trial.name);
            assert_eq!(trial.take_others(), [], "{}: another event", trial.name);
            trial.lp.events().delete(trial.key).expect(&trial.name);
        }
        let extra = most_idle_turns(cell, kind, deed, time);
        trial.assert_rest(extra, "at rest");
        trial.assert_heard(0);
        trial.end();
    }
}

/// Variants 1 to 6 on descriptors that the program keeps: the wrong order.
fn raw_while_added(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    assert_all(cell, Kind::Raw, Time::WhileAdded);
    Ok(())
}

/// Variants 7 to 12 on descriptors that the program keeps: the right order. The loop hears of the old file only where the
/// deletion was deferred.
fn raw_after_delete(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    assert_all(cell, Kind::Raw, Time::AfterDelete);
    Ok(())
}

/// Variants 1 to 6 on descriptors that the event owns: removing it closes them, in the right order.
fn owned_while_added(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    assert_all(cell, Kind::Owned, Time::WhileAdded);
    Ok(())
}

/// Variants 7 to 12 on descriptors that the event owns: the deletion, which is deferred, is made before the close.
fn owned_after_delete(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    assert_all(cell, Kind::Owned, Time::AfterDelete);
    Ok(())
}

/// What has happened before the event is added does not matter: it is on the file that its number means by then, alone or
/// with that file's other events. Where there is none it is refused, with `EBADF`, also if the old file lives on.
fn raw_before_add(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue(CLOSES)?;
    for deed in DEEDS {
        let mut trial = Trial::new(cell, Kind::Raw, format!("{deed:?}, before add"));
        trial.perform(deed);
        let added = trial.lp.events().add(trial.key);
        if trial.new.is_none() {
            assert_refused(cell, &mut trial, added);
        } else {
            added.expect(&trial.name);
            trial.assert_rest(0, "added");
            trial.new.as_mut().unwrap().1.write_all(b"new").unwrap();
            trial.lp.pass();
            assert_eq!(trial.log.take(), [Causes::READ], "{}", trial.name);
            let others = if deed == Deed::ReuseRegistered {
                vec![Causes::READ]
            } else {
                vec![]
            };
            assert_eq!(trial.take_others(), others, "{}", trial.name);
            if let Some((key, _)) = trial.new_event.take() {
                trial.lp.events().remove(key).unwrap();
            }
            trial.lp.events().delete(trial.key).expect(&trial.name);
        }
        trial.assert_rest(0, "deleted");
        trial.end();
    }
    Ok(())
}

/// At once, or by a call where the kernel is told later.
fn assert_refused(cell: &Cell, trial: &mut Trial, added: Result<(), Error>) {
    let name = &trial.name;
    if cell.defers_raw_changes() {
        added.expect(name);
        trial.lp.pass();
        assert_eq!(trial.log.take(), [Causes::ERROR], "{name}");
    } else {
        match added {
            Err(Error::Update(UpdateError::Io(error))) => {
                assert_eq!(error.raw_os_error(), Some(errno::EBADF), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(!trial.lp.events().is_pending(trial.key).unwrap(), "{name}");
}
