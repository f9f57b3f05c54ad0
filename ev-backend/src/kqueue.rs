//! The BSDs' kqueue.
//!
//! ```text
//!   Kqueue ───────┐
//!                 ├─ Arc<ev_sys::kqueue::Kqueue> ──► in the kernel: (descriptor, read or write) → flags, tag
//!   KqueueWaiter ─┘
//! ```
//!
//! A registration is one entry of the kernel's for reading, one for writing, or both. The backend itself remembers only
//! what the kernel cannot: that the two entries of a one-shot registration belong together, and the descriptors whose
//! registration was answered with the news that they are broken.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use ev_sys::errno;
use ev_sys::kqueue::{self as sys, Event, Filter, Flags};

use crate::{Backend, Change, Features, Interest, Mode, Readiness, Registration, Tag, UpdateError, Waiter};

/// Readiness through kqueue: in constant time, with edges, and for every kind of file.
///
/// The one to use on the BSDs and macOS. An update made while another thread waits takes effect in that wait.
///
/// # Reports
///
/// The read filter is `READ`, the write filter `WRITE`. `EV_EOF` on the read filter adds nothing, unless the socket has
/// an error; with an error, or on the write filter (nobody is left to read), it is `READ | WRITE | ERROR`. A pipe or
/// device that answers its registration with `EPIPE` or `EPERM` is reported as that once. The two directions of a
/// descriptor are reported each on its own, in one wait or in two; after [`Mode::OneShot`] in one wait at most.
///
/// A [`Filter::USER`] source of the same [`queue`](Self::queue) is reported as `READ`, with its `udata` as tag.
///
/// # Portability
///
/// Apple's systems, FreeBSD, NetBSD and OpenBSD on 64-bit processors: the tag has to fit into a pointer. On
/// Linux through libkqueue, with the feature `libkqueue`; there a descriptor has to be deregistered before it is closed.
#[derive(Debug)]
pub struct Kqueue {
    queue: Arc<sys::Kqueue>,
    /// The one-shot registrations of both directions, each with the turn of its last update.
    pairs: HashMap<RawFd, u64>,
    /// Descriptors that cannot be watched because they are broken, to be reported as such.
    broken: Vec<(RawFd, Tag)>,
    /// How often `prepare` was called.
    turn: u64,
}

/// The half of [`Kqueue`] that sleeps.
#[derive(Debug)]
pub struct KqueueWaiter {
    queue: Arc<sys::Kqueue>,
    events: Vec<Event>,
    /// How many of `events`, from the first on, are reports.
    ready: usize,
    /// How many of them have been taken.
    taken: usize,
    /// One-shot registrations reported since the last `prepare`.
    spent: Vec<RawFd>,
    broken: Vec<(RawFd, Tag)>,
}

const FIRST_CAPACITY: usize = 32;
const LAST_CAPACITY: usize = 4096;
const BROKEN: Readiness = Readiness::READ.union(Readiness::WRITE).union(Readiness::ERROR);
const DIRECTIONS: [(Interest, Filter); 2] = [(Interest::READ, Filter::READ), (Interest::WRITE, Filter::WRITE)];

/// libkqueue refuses to change what is registered.
const CAN_CHANGE: bool = !cfg!(target_os = "linux");

impl Kqueue {
    /// What kqueue can do.
    pub const FEATURES: Features = Features::EDGE
        .union(Features::CONSTANT_TIME)
        .union(Features::ANY_FILE)
        .union(Features::CONCURRENT);

    /// Opens an empty queue.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE` and `ENOMEM` at a limit. `Unsupported` where the queue fails a test: the first
    /// versions of macOS did not answer wrong changes.
    pub fn new() -> io::Result<(Self, KqueueWaiter)> {
        let queue = Arc::new(open()?);
        let events = vec![Event::default(); FIRST_CAPACITY];
        let waiter = KqueueWaiter {
            queue: Arc::clone(&queue),
            events,
            ready: 0,
            taken: 0,
            spent: Vec::new(),
            broken: Vec::new(),
        };
        Ok((
            Self {
                queue,
                pairs: HashMap::new(),
                broken: Vec::new(),
                turn: 0,
            },
            waiter,
        ))
    }

    /// The queue, to register other sources with, such as one that wakes the waiter. After a
    /// [`reset`](Backend::reset) it is another one.
    pub fn queue(&self) -> &Arc<sys::Kqueue> {
        &self.queue
    }
}

/// Opens a queue that answers a wrong change with the error.
fn open() -> io::Result<sys::Kqueue> {
    let queue = sys::Kqueue::new()?;
    let wrong = Event::new(usize::MAX, Filter::READ, Flags::ADD);
    let mut answer = [Event::default()];
    let count = queue.kevent(&[wrong], &mut answer, Some(Duration::ZERO))?;
    match (count, answer[0].error()) {
        (1, Some(_)) => Ok(queue),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "kqueue does not answer wrong changes",
        )),
    }
}

/// The changes that lead from one registration to another: at most a deletion and an addition a direction.
#[derive(Default)]
struct Changes {
    events: [Event; 4],
    count: usize,
}

impl Changes {
    fn between(fd: RawFd, tag: Tag, old: Option<Registration>, new: Option<Registration>) -> Self {
        let asks = |registration: Option<Registration>, direction| {
            registration.is_some_and(|registration| registration.interest.contains(direction))
        };
        // The kernel fixes EV_CLEAR and EV_DISPATCH when an entry is made; later changes reach its tag alone.
        let same_mode = old.map(|old| old.mode) == new.map(|new| new.mode);
        let mut changes = Self::default();
        for (direction, filter) in DIRECTIONS {
            let (was, wanted) = (asks(old, direction), asks(new, direction));
            if if wanted {
                !CAN_CHANGE || (was && !same_mode)
            } else {
                was
            } {
                changes.push(Event::new(fd as usize, filter, Flags::DELETE | Flags::RECEIPT));
            }
            if let Some(new) = new.filter(|_| wanted) {
                let add = Event::new(
                    fd as usize,
                    filter,
                    Flags::ADD | Flags::ENABLE | Flags::RECEIPT | flags(new.mode),
                );
                changes.push(add.with_udata(tag.to_bits() as usize));
            }
        }
        changes
    }

    fn push(&mut self, event: Event) {
        self.events[self.count] = event;
        self.count += 1;
    }

    /// Tells the kernel. All changes are tried; the first error that matters is returned. As every change asks for a
    /// receipt, the answers leave no room for reports, which would be lost here.
    fn apply(&self, queue: &sys::Kqueue) -> Result<Outcome, io::Error> {
        let mut answers = [Event::default(); 4];
        let changes = &self.events[..self.count];
        let count = queue.kevent(changes, &mut answers[..self.count], Some(Duration::ZERO))?;
        let mut outcome = Outcome::Watched;
        // A receipt each, in order: the change tells what was asked, as the BSDs answer with `EV_ERROR` for its flags.
        // libkqueue may leave receipts out, and keeps the flags.
        let asked = if count == changes.len() {
            changes
        } else {
            &answers[..count]
        };
        for (asked, answer) in asked.iter().zip(&answers) {
            let deleted = asked.flags().contains(Flags::DELETE);
            match answer.error() {
                None | Some(0) => {}
                // Closed, which ended its registration, or a one-shot that the kernel deleted.
                Some(errno::ENOENT | errno::EBADF) if deleted => {}
                // A pipe without reader (macOS), a device that can be neither read nor written (FreeBSD).
                Some(errno::EPIPE | errno::EPERM) => outcome = if deleted { outcome } else { Outcome::Broken },
                Some(error) => return Err(io::Error::from_raw_os_error(error)),
            }
        }
        Ok(outcome)
    }
}

/// What became of a registration.
#[derive(PartialEq, Eq)]
enum Outcome {
    Watched,
    /// The descriptor can never be ready for it.
    Broken,
}

const fn flags(mode: Mode) -> Flags {
    match mode {
        Mode::Edge => Flags::CLEAR,
        Mode::OneShot => Flags::DISPATCH,
        Mode::Level | Mode::Exclusive => Flags::empty(),
    }
}

impl Backend for Kqueue {
    type Waiter = KqueueWaiter;

    fn name(&self) -> &'static str {
        "kqueue"
    }

    fn features(&self) -> Features {
        Self::FEATURES
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        let Change { fd, tag, old, new } = *change;
        if let Some(new) = new {
            self.supports(new)?;
        }
        let outcome = Changes::between(fd, tag, old, new)
            .apply(&self.queue)
            .inspect_err(|_| {
                // Back to the old state, as well as that can be done: it carries the new tag.
                drop(Changes::between(fd, tag, new, old).apply(&self.queue));
            })?;
        self.pairs.remove(&fd);
        self.broken.retain(|&(broken, _)| broken != fd);
        if new.is_some_and(|new| new.mode == Mode::OneShot && new.interest.contains(Interest::READ | Interest::WRITE)) {
            self.pairs.insert(fd, self.turn);
        }
        if outcome == Outcome::Broken {
            self.broken.push((fd, tag));
        }
        Ok(())
    }

    #[inline(never)]
    fn prepare(&mut self, waiter: &mut KqueueWaiter) -> io::Result<()> {
        if !Arc::ptr_eq(&self.queue, &waiter.queue) {
            waiter.queue = Arc::clone(&self.queue);
        }
        waiter.broken.append(&mut self.broken);
        for fd in waiter.spent.drain(..) {
            // An update since the report has armed the pair anew.
            if self.pairs.get(&fd).is_some_and(|&turn| turn < self.turn) {
                disable_pair(&self.queue, fd)?;
            }
        }
        self.turn += 1;
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.queue = Arc::new(open()?);
        self.pairs.clear();
        self.broken.clear();
        Ok(())
    }
}

/// Silences the direction of a one-shot registration that was not reported with the other. An error is a descriptor
/// that its owner has closed.
fn disable_pair(queue: &sys::Kqueue, fd: RawFd) -> io::Result<()> {
    let changes = DIRECTIONS.map(|(_, filter)| Event::new(fd as usize, filter, Flags::DISABLE | Flags::RECEIPT));
    queue.kevent(&changes, &mut [Event::default(); 2], Some(Duration::ZERO))?;
    Ok(())
}

impl Waiter for KqueueWaiter {
    #[inline(never)]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        (self.taken, self.ready) = (0, 0);
        let timeout = if self.broken.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        self.ready = match self.queue.kevent(&[], &mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        if self.ready == self.events.len() && self.ready < LAST_CAPACITY {
            self.events.resize(2 * self.ready, Event::default());
        }
        Ok(self.ready + self.broken.len())
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        if let Some((_, tag)) = self.broken.pop() {
            return Some((tag, BROKEN));
        }
        let event = self.events[..self.ready].get(self.taken)?;
        self.taken += 1;
        if event.flags().contains(Flags::DISPATCH) {
            self.spent.push(event.ident() as RawFd);
        }
        Some((Tag::from_bits(event.udata() as u64), readiness(event)))
    }
}

/// What the kernel's report means.
fn readiness(event: &Event) -> Readiness {
    let ended = event.flags().contains(Flags::EOF);
    if event.flags().contains(Flags::ERROR) || (ended && (event.filter() == Filter::WRITE || event.fflags() != 0)) {
        return BROKEN;
    }
    if event.filter() == Filter::WRITE {
        Readiness::WRITE
    } else {
        Readiness::READ
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn reports(waiter: &mut KqueueWaiter) -> Vec<(Tag, Readiness)> {
        let mut reports = Vec::new();
        waiter.for_each(|tag, readiness| reports.push((tag, readiness)));
        reports
    }

    /// Only macOS and FreeBSD answer so; the kernel's part is played here.
    #[test]
    fn a_broken_descriptor_is_reported_once() {
        let (mut kqueue, mut waiter) = Kqueue::new().unwrap();
        let tag = Tag::from_bits(7);
        kqueue.broken.push((0, tag));
        kqueue.prepare(&mut waiter).unwrap();
        assert_eq!(waiter.wait(None).unwrap(), 1, "there is nothing to wait for");
        assert_eq!(reports(&mut waiter), [(tag, BROKEN)]);
        kqueue.prepare(&mut waiter).unwrap();
        assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap(), 0);
        assert_eq!(reports(&mut waiter), []);
    }

    #[test]
    fn a_broken_descriptor_that_is_removed_is_not_reported() {
        let (mut kqueue, mut waiter) = Kqueue::new().unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        let fd = reader.as_raw_fd();
        let old = Some(Registration {
            interest: Interest::READ,
            mode: Mode::Level,
        });
        kqueue.broken.push((fd, Tag::from_bits(7)));
        kqueue
            .update(&Change {
                fd,
                tag: Tag::from_bits(7),
                old,
                new: None,
            })
            .unwrap();
        kqueue.prepare(&mut waiter).unwrap();
        assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap(), 0);
    }
}
