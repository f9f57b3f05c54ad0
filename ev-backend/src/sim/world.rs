//! What the halves of a simulation share with its script.
//!
//! # Invariants
//!
//! 1. Every descriptor in the agenda and every scripted registration has a level.
//! 2. No descriptor is registered both as scripted and as real.
//! 3. The entries' places differ, and all are smaller than the next one.
//! 4. `sleeping` only while a waiter sleeps in the backend beneath, with the pipe registered there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ev_sys::pipe::{Pipe, PipeFlags, pipe};
use ev_sys::{errno, fdio};

use super::clock::{Pace, Time};
use super::{Sim, Stalled, Standstill};
use crate::{
    AnyBackend, AnyWaiter, Backend, Change, Features, Interest, Mode, Readiness, Registration, Tag, UpdateError, Waiter,
};

/// The tag of the pipe that ends a sleep.
pub(super) const WAKE: Tag = Tag::from_bits(u64::MAX);

#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    /// For those who wait until `sleeping`.
    asleep: Condvar,
}

#[derive(Debug)]
pub(super) struct World {
    time: Time,
    /// What is ready; the descriptors that the script knows.
    levels: BTreeMap<RawFd, Readiness>,
    /// By time, and by the number of the announcement.
    agenda: BTreeMap<(u64, u64), (RawFd, Readiness)>,
    announcements: u64,
    refusals: BTreeMap<RawFd, io::Error>,
    fault: Option<io::Error>,
    /// The scripted registrations.
    entries: BTreeMap<RawFd, Entry>,
    next_place: u64,
    /// The descriptors registered with the backend beneath.
    real: BTreeSet<RawFd>,
    beneath: AnyBackend,
    /// A byte in it ends a sleep. Open from the start, so that its number is none that was closed while registered.
    pipe: Pipe,
    pipe_is_registered: bool,
    sleeping: bool,
    /// How many waits found something ready since time went on or anything changed.
    stood_still: u32,
}

/// A program that does something each time takes what is ready away long before.
const MOST_WAITS_IN_PLACE: u32 = 100_000;

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: Tag,
    registration: Registration,
    /// In the order of registration.
    place: u64,
    /// False after a report in a mode that is silent then.
    armed: bool,
}

/// What a wait does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Something is ready or the time is over: look at real descriptors, and return.
    Look,
    /// Look at real descriptors, and go on at this time if nothing is ready.
    Jump { to: u64 },
    /// Sleep, at most until that time.
    Sleep { until: Option<u64> },
}

impl Shared {
    pub(super) fn new(beneath: AnyBackend) -> io::Result<Self> {
        Ok(Self {
            world: Mutex::new(World {
                time: Time::new(),
                levels: BTreeMap::new(),
                agenda: BTreeMap::new(),
                announcements: 0,
                refusals: BTreeMap::new(),
                fault: None,
                entries: BTreeMap::new(),
                next_place: 0,
                real: BTreeSet::new(),
                beneath,
                pipe: open_pipe()?,
                pipe_is_registered: false,
                sleeping: false,
                stood_still: 0,
            }),
            asleep: Condvar::new(),
        })
    }

    /// A panic elsewhere does not spoil the simulation: it changes in steps that cannot panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a wait sleeps that no change has ended.
    pub(super) fn await_sleep(&self) {
        drop(self.asleep.wait_while(self.lock(), |world| !world.sleeping));
    }

    /// To be called when the world has fallen asleep.
    pub(super) fn tell_of_sleep(&self) {
        self.asleep.notify_all();
    }
}

/// The script's side.
impl World {
    pub(super) fn now(&self) -> u64 {
        self.time.now()
    }

    pub(super) fn time_after(&self, duration: Duration) -> u64 {
        self.time.after(duration)
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.time.advance(by);
        self.notify();
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.time.set_pace(pace);
        self.notify();
    }

    pub(super) fn set(&mut self, fd: RawFd, readiness: Readiness) {
        // What was announced for earlier does not undo it.
        self.play();
        self.apply(fd, readiness);
        self.notify();
    }

    fn apply(&mut self, fd: RawFd, readiness: Readiness) {
        let old = self.levels.insert(fd, readiness).unwrap_or_default();
        let is_news = readiness == old || !old.contains(readiness);
        // A one-shot is armed by updates only.
        if let Some(entry) = self.entries.get_mut(&fd)
            && entry.registration.mode == Mode::Edge
        {
            entry.armed |= is_news;
        }
    }

    /// Applies what was announced until now.
    fn play(&mut self) {
        let now = self.now();
        while let Some(next) = self.agenda.first_entry()
            && next.key().0 <= now
        {
            let (fd, readiness) = next.remove();
            self.apply(fd, readiness);
        }
    }

    pub(super) fn announce(&mut self, time: u64, fd: RawFd, readiness: Readiness) {
        self.levels.entry(fd).or_default();
        self.agenda.insert((time, self.announcements), (fd, readiness));
        self.announcements += 1;
        self.notify();
    }

    pub(super) fn forget(&mut self, fd: RawFd) {
        self.levels.remove(&fd);
        self.entries.remove(&fd);
        self.refusals.remove(&fd);
        self.agenda.retain(|_, &mut (announced, _)| announced != fd);
    }

    pub(super) fn refuse(&mut self, fd: RawFd, error: io::Error) {
        self.refusals.insert(fd, error);
    }

    pub(super) fn fail_wait(&mut self, error: io::Error) {
        self.fault = Some(error);
        self.notify();
    }

    /// Ends a sleep, so that it takes notice of a change.
    fn notify(&mut self) {
        self.go_on();
        if mem::take(&mut self.sleeping) {
            // A full pipe ends it as well.
            let _ = fdio::write(self.pipe.writer.as_fd(), &[0]);
        }
    }
}

/// The backend's side.
impl World {
    pub(super) fn features(&self) -> Features {
        Sim::FEATURES | (self.beneath.features() & Features::ANY_FILE)
    }

    pub(super) fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        if let Some(error) = self.refusals.remove(&change.fd) {
            return Err(error.into());
        }
        match change.new {
            None => {
                self.entries.remove(&change.fd);
                self.remove_real(change.fd)?;
            }
            Some(new) if self.levels.contains_key(&change.fd) => {
                UpdateError::check(self.features(), new)?;
                self.remove_real(change.fd)?;
                self.register(change.fd, change.tag, new);
            }
            Some(_) => self.register_real(change)?,
        }
        self.notify();
        Ok(())
    }

    pub(super) fn reset(&mut self) -> io::Result<()> {
        let pipe = open_pipe()?;
        self.beneath.reset()?;
        self.pipe = pipe;
        self.pipe_is_registered = false;
        self.sleeping = false;
        self.entries.clear();
        self.real.clear();
        Ok(())
    }

    fn register(&mut self, fd: RawFd, tag: Tag, registration: Registration) {
        let place = self.entries.get(&fd).map_or(self.next_place, |entry| entry.place);
        self.next_place += 1;
        let entry = Entry {
            tag,
            registration,
            place,
            armed: true,
        };
        self.entries.insert(fd, entry);
    }

    fn register_real(&mut self, change: &Change) -> Result<(), UpdateError> {
        if change.tag == WAKE {
            return Err(io::Error::from_raw_os_error(errno::EINVAL).into());
        }
        let old = change.old.filter(|_| self.real.contains(&change.fd));
        self.beneath.update(&Change { old, ..*change })?;
        self.real.insert(change.fd);
        Ok(())
    }

    fn remove_real(&mut self, fd: RawFd) -> Result<(), UpdateError> {
        if self.real.contains(&fd) {
            self.beneath.update(&removal(fd))?;
            self.real.remove(&fd);
        }
        Ok(())
    }
}

/// The waiter's side.
impl World {
    /// Applies what was announced until now, and decides what a wait that ends at `end` does.
    ///
    /// # Errors
    ///
    /// The one that the script has asked for, [`Stalled`] and [`Standstill`].
    pub(super) fn plan(&mut self, end: Option<u64>) -> io::Result<Plan> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.play();
        if self.has_come(end) {
            return Ok(Plan::Look);
        }
        if (self.entries.iter()).any(|(fd, entry)| !self.report(*fd, entry).is_empty()) {
            self.stand_still()?;
            return Ok(Plan::Look);
        }
        let announced = self.agenda.first_key_value().map(|(&(time, _), _)| time);
        let next = end.into_iter().chain(announced).min();
        match (self.time.pace(), next) {
            (Pace::Jump, Some(to)) => Ok(Plan::Jump { to }),
            (Pace::Jump, None) if self.real.is_empty() => Err(Stalled.into()),
            (Pace::Jump | Pace::Hold, _) => Ok(Plan::Sleep { until: None }),
            (Pace::Real, until) => Ok(Plan::Sleep { until }),
        }
    }

    /// Notes a wait that may take time, and takes none because something is ready. At another pace than
    /// [`Pace::Jump`] time goes on all the same, or another thread is to say when.
    fn stand_still(&mut self) -> io::Result<()> {
        if self.time.pace() != Pace::Jump {
            return Ok(());
        }
        if self.stood_still == MOST_WAITS_IN_PLACE {
            self.stood_still = 0;
            return Err(Standstill.into());
        }
        self.stood_still += 1;
        Ok(())
    }

    /// Notes that something has changed.
    pub(super) fn go_on(&mut self) {
        self.stood_still = 0;
    }

    pub(super) fn has_come(&self, time: Option<u64>) -> bool {
        time.is_some_and(|time| time <= self.now())
    }

    pub(super) fn jump(&mut self, to: u64) {
        self.go_on();
        self.time.jump(to);
    }

    /// Looks at real descriptors without sleeping. Makes no system call where there are none.
    pub(super) fn look(&mut self, waiter: &mut AnyWaiter) -> io::Result<()> {
        if !self.real.is_empty() {
            self.beneath.prepare(waiter)?;
            waiter.wait(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Sees to it that changes end the sleep that follows, and returns how long it may be.
    pub(super) fn fall_asleep(&mut self, waiter: &mut AnyWaiter, until: Option<u64>) -> io::Result<Option<Duration>> {
        if !self.pipe_is_registered {
            self.beneath.update(&Change {
                fd: self.pipe.reader.as_raw_fd(),
                tag: WAKE,
                old: None,
                new: Some(READABLE),
            })?;
            self.pipe_is_registered = true;
        }
        self.beneath.prepare(waiter)?;
        self.sleeping = true;
        Ok(until.map(|until| Duration::from_nanos(until.saturating_sub(self.now()))))
    }

    pub(super) fn wake_up(&mut self) {
        self.sleeping = false;
        // It is empty unless a change has ended the sleep.
        let _ = fdio::read(self.pipe.reader.as_fd(), &mut [0; 8]);
    }

    /// Appends a report for each scripted descriptor that is ready, in the order of registration.
    pub(super) fn collect(&mut self, reports: &mut VecDeque<(Tag, Readiness)>) {
        self.play();
        let mut ready: Vec<_> = self
            .entries
            .iter()
            .map(|(&fd, entry)| (entry.place, fd, self.report(fd, entry)))
            .filter(|(_, _, readiness)| !readiness.is_empty())
            .collect();
        ready.sort_unstable_by_key(|&(place, ..)| place);
        for (_, fd, readiness) in ready {
            if let Some(entry) = self.entries.get_mut(&fd) {
                reports.push_back((entry.tag, readiness));
                entry.armed = matches!(entry.registration.mode, Mode::Level | Mode::Exclusive);
            }
        }
    }

    /// What is to be said of a scripted descriptor.
    fn report(&self, fd: RawFd, entry: &Entry) -> Readiness {
        match self.levels.get(&fd) {
            Some(&level) if entry.armed => seen_by(entry.registration.interest, level),
            _ => Readiness::empty(),
        }
    }
}

const READABLE: Registration = Registration {
    interest: Interest::READ,
    mode: Mode::Level,
};

fn open_pipe() -> io::Result<Pipe> {
    pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)
}

fn removal(fd: RawFd) -> Change {
    Change {
        fd,
        tag: Tag::from_bits(0),
        old: Some(READABLE),
        new: None,
    }
}

/// What was asked for; an error or a hang-up unasked, as kernels do.
fn seen_by(interest: Interest, level: Readiness) -> Readiness {
    let mut seen = level.of(interest);
    if level.contains(Readiness::ERROR) {
        seen |= Readiness::READ | Readiness::WRITE | Readiness::ERROR;
    }
    seen
}
