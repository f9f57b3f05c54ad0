//! Linux's epoll.
//!
//! ```text
//!   Epoll ───────┐
//!                ├─ Arc<Set> ──► epoll set in the kernel: descriptor → events, tag
//!   EpollWaiter ─┘                 and the timer, with EpollTimeout::Timer
//!      events: [ report │ report │ … │ free ]     32 places, doubled up to 4096 when a wait fills them
//! ```
//!
//! The kernel keeps everything: an update is one `epoll_ctl`, and the backend remembers nothing of its descriptors.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use ev_sys::epoll::{self, Event, Events};
use ev_sys::{errno, timerfd};

use crate::{Backend, Change, Features, Interest, Mode, Readiness, Registration, Tag, UpdateError, Waiter};

/// Readiness through epoll: in constant time, with edges and exclusive wake-ups.
///
/// The one to use on Linux, except for regular files and directories, which epoll refuses with `EPERM`. An update made
/// while another thread waits takes effect in that wait.
///
/// ```
/// use std::os::fd::AsRawFd;
/// use ev_backend::{Backend, Change, Epoll, Interest, Mode, Readiness, Registration, Tag, Waiter};
///
/// let (reader, writer) = std::io::pipe()?;
/// let (mut epoll, mut waiter) = Epoll::new()?;
/// epoll.update(&Change {
///     fd: reader.as_raw_fd(),
///     tag: Tag::from_bits(7),
///     old: None,
///     new: Some(Registration { interest: Interest::READ, mode: Mode::Level }),
/// })?;
///
/// drop(writer);
/// epoll.prepare(&mut waiter)?;
/// assert_eq!(waiter.wait(None)?, 1);
/// waiter.for_each(|tag, readiness| {
///     assert_eq!(tag, Tag::from_bits(7));
///     assert!(readiness.contains(Readiness::READ));
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Reports
///
/// `EPOLLIN` is `READ`, `EPOLLOUT` is `WRITE`, `EPOLLRDHUP` is `CLOSED`, `EPOLLPRI` is `PRIORITY`. `EPOLLERR` and
/// `EPOLLHUP` are `ERROR`, and `READ | WRITE` as well unless `EPOLLHUP` comes with `EPOLLRDHUP`. A descriptor that its
/// owner closes is silently forgotten by the kernel, unless a duplicate of it is open: then its reports go on until
/// [`reset`](Backend::reset).
///
/// # Portability
///
/// Linux and Android. [`Mode::Exclusive`] needs Linux 4.5; older kernels refuse it with `EINVAL`.
#[derive(Debug)]
pub struct Epoll {
    set: Arc<Set>,
}

/// The half of [`Epoll`] that sleeps.
#[derive(Debug)]
pub struct EpollWaiter {
    set: Arc<Set>,
    events: Vec<Event>,
    /// How many of `events`, from the first on, are reports.
    ready: usize,
    /// How many of them have been taken.
    taken: usize,
    /// The set's timer may be armed, or have expired.
    armed: bool,
}

/// How an [`EpollWaiter`] counts its timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EpollTimeout {
    /// To the nanosecond, in one system call: `epoll_pwait2`, Linux 5.11; `epoll_wait` where there is nothing to count.
    Nanoseconds,
    /// In milliseconds, rounded up: `epoll_wait`. A timeout of more than 35 minutes is cut to that, because the first
    /// kernels overflowed beyond it; the wait then returns early with 0.
    Milliseconds,
    /// To the nanosecond, by a timer inside the set: `timerfd_settime` and `epoll_wait`, two system calls a wait.
    ///
    /// The timer's reports are not passed on. They carry the tag `Tag::from_bits(u64::MAX)`, which an update therefore
    /// refuses with `EINVAL`; [`Tag::new`] makes no such tag of a descriptor.
    Timer,
}

/// The kernel's objects, shared by the two halves.
#[derive(Debug)]
struct Set {
    epoll: OwnedFd,
    timing: Timing,
}

#[derive(Debug)]
enum Timing {
    Nanoseconds,
    Milliseconds,
    Timer(OwnedFd),
}

const TIMER_TAG: u64 = u64::MAX;
const FIRST_CAPACITY: usize = 32;
const LAST_CAPACITY: usize = 4096;
const LONGEST_MILLISECONDS: Duration = Duration::from_mins(35);

impl Epoll {
    /// What epoll can do.
    pub const FEATURES: Features = Features::EDGE
        .union(Features::CONSTANT_TIME)
        .union(Features::CLOSED)
        .union(Features::PRIORITY)
        .union(Features::ERROR_ONLY)
        .union(Features::EXCLUSIVE)
        .union(Features::CONCURRENT);

    /// Opens an empty set, with [`EpollTimeout::Nanoseconds`] where the kernel has them, else
    /// [`EpollTimeout::Milliseconds`].
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE` and `ENOMEM` at a limit.
    pub fn new() -> io::Result<(Self, EpollWaiter)> {
        Self::finest().or_else(|_| Self::with_timeout(EpollTimeout::Milliseconds))
    }

    /// Opens an empty set whose timeouts are always precise: with [`EpollTimeout::Nanoseconds`] where the kernel has
    /// them, else [`EpollTimeout::Timer`].
    ///
    /// # Errors
    ///
    /// As [`Epoll::new`].
    pub fn precise() -> io::Result<(Self, EpollWaiter)> {
        Self::finest().or_else(|_| Self::with_timeout(EpollTimeout::Timer))
    }

    /// Tries the call that not every kernel has; not on Android, where the sandbox may kill a process that does.
    fn finest() -> io::Result<(Self, EpollWaiter)> {
        if cfg!(target_os = "android") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Self::with_timeout(EpollTimeout::Nanoseconds)
    }

    /// Opens an empty set that counts timeouts in the way asked. For tests and measurements, and for sandboxes that
    /// kill the process at an unknown system call, as the other constructors try `epoll_pwait2`.
    ///
    /// # Errors
    ///
    /// As [`Epoll::new`]; with [`EpollTimeout::Nanoseconds`] also `ENOSYS` or a sandbox's `EPERM`.
    pub fn with_timeout(timeout: EpollTimeout) -> io::Result<(Self, EpollWaiter)> {
        let set = Arc::new(Set::open(timeout)?);
        let events = vec![Event::default(); FIRST_CAPACITY];
        let waiter = EpollWaiter {
            set: Arc::clone(&set),
            events,
            ready: 0,
            taken: 0,
            armed: false,
        };
        Ok((Self { set }, waiter))
    }

    /// How timeouts are counted.
    pub fn timeout(&self) -> EpollTimeout {
        match self.set.timing {
            Timing::Nanoseconds => EpollTimeout::Nanoseconds,
            Timing::Milliseconds => EpollTimeout::Milliseconds,
            Timing::Timer(_) => EpollTimeout::Timer,
        }
    }
}

impl Set {
    fn open(timeout: EpollTimeout) -> io::Result<Self> {
        let epoll = epoll::create()?;
        let timing = match timeout {
            EpollTimeout::Nanoseconds => {
                epoll::wait(epoll.as_fd(), &mut [Event::default()], Some(Duration::ZERO))?;
                Timing::Nanoseconds
            }
            EpollTimeout::Milliseconds => Timing::Milliseconds,
            EpollTimeout::Timer => {
                let timer = timerfd::create()?;
                epoll::add(epoll.as_fd(), timer.as_raw_fd(), Events::IN, TIMER_TAG)?;
                Timing::Timer(timer)
            }
        };
        Ok(Self { epoll, timing })
    }

    fn add(&self, fd: RawFd, registration: Registration, tag: Tag) -> io::Result<()> {
        epoll::add(self.epoll.as_fd(), fd, events(registration), tag.to_bits())
    }

    fn modify(&self, fd: RawFd, registration: Registration, tag: Tag) -> io::Result<()> {
        epoll::modify(self.epoll.as_fd(), fd, events(registration), tag.to_bits())
    }

    fn delete(&self, fd: RawFd) -> io::Result<()> {
        match epoll::delete(self.epoll.as_fd(), fd) {
            // Never registered or closed since, closed, reused by a file that cannot be registered: gone in any case.
            Err(error) if matches!(error.raw_os_error(), Some(errno::ENOENT | errno::EBADF | errno::EPERM)) => Ok(()),
            result => result,
        }
    }

    /// `EPOLL_CTL_MOD` takes exclusiveness neither as the old nor as the new state. On failure the old registration is
    /// put back, as well as that can be done: it carries the new tag.
    fn replace(&self, fd: RawFd, old: Registration, new: Registration, tag: Tag) -> io::Result<()> {
        self.delete(fd)?;
        self.add(fd, new, tag).inspect_err(|_| drop(self.add(fd, old, tag)))
    }
}

impl Backend for Epoll {
    type Waiter = EpollWaiter;

    fn name(&self) -> &'static str {
        "epoll"
    }

    fn features(&self) -> Features {
        Self::FEATURES
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        let Change { fd, tag, old, new } = *change;
        let set = &*self.set;
        let Some(new) = new else { return Ok(set.delete(fd)?) };
        self.supports(new)?;
        if tag.to_bits() == TIMER_TAG && matches!(set.timing, Timing::Timer(_)) {
            return Err(io::Error::from_raw_os_error(errno::EINVAL).into());
        }
        let result = match old {
            None => set.add(fd, new, tag),
            Some(old) if is_exclusive(old) || is_exclusive(new) => set.replace(fd, old, new, tag),
            Some(_) => set.modify(fd, new, tag),
        };
        Ok(result.or_else(|error| match (old, error.raw_os_error()) {
            // A duplicate keeps alive what was registered under this number before it was closed and reused.
            (None, Some(errno::EEXIST)) => set.replace(fd, new, new, tag),
            // The number was closed, which ended its registration, and reused.
            (Some(_), Some(errno::ENOENT)) => set.add(fd, new, tag),
            _ => Err(error),
        })?)
    }

    #[inline]
    fn prepare(&mut self, waiter: &mut EpollWaiter) -> io::Result<()> {
        if !Arc::ptr_eq(&self.set, &waiter.set) {
            waiter.set = Arc::clone(&self.set);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.set = Arc::new(Set::open(self.timeout())?);
        Ok(())
    }
}

impl Waiter for EpollWaiter {
    #[expect(
        clippy::inline_always,
        reason = "part of every turn, and a turn's cost is that of its calls"
    )]
    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let waited = self.wait_in_kernel(timeout);
        self.taken = 0;
        self.ready = match waited {
            Ok(ready) => ready,
            Err(error) => {
                self.ready = 0;
                return unless_interrupted(error);
            }
        };
        if self.ready == self.events.len() {
            self.make_room();
        }
        Ok(self.ready)
    }

    #[inline]
    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        if self.taken == self.ready {
            return None;
        }
        let event = self.events.get(self.taken)?;
        self.taken += 1;
        Some(report(event))
    }

    #[inline]
    fn for_each(&mut self, mut each: impl FnMut(Tag, Readiness)) {
        for (tag, readiness) in self.take_events().iter().map(report) {
            each(tag, readiness);
        }
    }
}

impl EpollWaiter {
    /// What was reported and has not been taken, all taken at once.
    #[inline]
    pub(crate) fn take_events(&mut self) -> &[Event] {
        let first = mem::replace(&mut self.taken, self.ready);
        &self.events[first..self.ready]
    }

    #[inline]
    fn wait_in_kernel(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        if matches!(self.set.timing, Timing::Timer(_)) {
            return self.wait_counting(timeout);
        }
        let epoll = self.set.epoll.as_fd();
        match timeout {
            // The older call does for these, and the kernel has less to fetch for it.
            None => epoll::wait_millis(epoll, &mut self.events, None),
            Some(Duration::ZERO) => epoll::wait_millis(epoll, &mut self.events, Some(Duration::ZERO)),
            Some(_) => self.wait_counting(timeout),
        }
    }

    #[inline(never)]
    fn wait_counting(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let epoll = self.set.epoll.as_fd();
        match &self.set.timing {
            Timing::Nanoseconds => epoll::wait(epoll, &mut self.events, timeout),
            Timing::Milliseconds => {
                let timeout = timeout.map(|timeout| timeout.min(LONGEST_MILLISECONDS));
                epoll::wait_millis(epoll, &mut self.events, timeout)
            }
            Timing::Timer(timer) => {
                let timeout = Self::set_timer(timer.as_fd(), &mut self.armed, timeout)?;
                let count = epoll::wait_millis(epoll, &mut self.events, timeout)?;
                Ok(without_timer(&mut self.events[..count]))
            }
        }
    }

    /// All room was taken: the next wait is to report more.
    #[cold]
    fn make_room(&mut self) {
        if self.ready < LAST_CAPACITY {
            self.events.resize(2 * self.ready, Event::default());
        }
    }

    /// Has the timer end the wait where `timeout` is to, and returns the timeout that is left to epoll.
    fn set_timer(timer: BorrowedFd<'_>, armed: &mut bool, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        match timeout {
            Some(Duration::ZERO) => return Ok(timeout),
            Some(timeout) => {
                timerfd::arm(timer, timeout)?;
                *armed = true;
            }
            None if *armed => {
                timerfd::disarm(timer)?;
                *armed = false;
            }
            None => {}
        }
        Ok(None)
    }
}

/// The outcome of a wait that failed: a signal has only cut it short.
#[cold]
fn unless_interrupted(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

/// Moves the timer's report, if it is there, behind the others, and counts those.
fn without_timer(events: &mut [Event]) -> usize {
    match events.iter().position(|event| event.data() == TIMER_TAG) {
        Some(position) => {
            events[position..].rotate_left(1);
            events.len() - 1
        }
        None => events.len(),
    }
}

#[inline]
pub(crate) fn report(event: &Event) -> (Tag, Readiness) {
    (Tag::from_bits(event.data()), readiness(event.events()))
}

const fn is_exclusive(registration: Registration) -> bool {
    matches!(registration.mode, Mode::Exclusive)
}

/// What the kernel is asked for. It reports errors and hang-ups unasked.
fn events(Registration { interest, mode }: Registration) -> Events {
    let mut events = match mode {
        Mode::Level => Events::empty(),
        Mode::Edge => Events::ET,
        Mode::OneShot => Events::ONESHOT,
        Mode::Exclusive => Events::EXCLUSIVE,
    };
    events.set(Events::IN, interest.contains(Interest::READ));
    events.set(Events::OUT, interest.contains(Interest::WRITE));
    events.set(Events::RDHUP, interest.contains(Interest::CLOSED));
    events.set(Events::PRI, interest.contains(Interest::PRIORITY));
    events
}

/// What the kernel's report means. `EPOLLHUP` comes with `EPOLLRDHUP` when the peer closed a stream whose closing was
/// asked for: the directions speak for themselves then.
#[inline]
fn readiness(events: Events) -> Readiness {
    // Most reports are of these conditions alone: what they mean is looked up.
    match COMMON.get(events.bits() as usize) {
        Some(&readiness) => readiness,
        None => conditions(events),
    }
}

/// The readiness of each set of the conditions that have the lowest five bits: IN, PRI, OUT, ERR and HUP.
static COMMON: [Readiness; 32] = {
    let mut table = [Readiness::empty(); 32];
    let mut bits = 0;
    while bits < 32 {
        table[bits as usize] = conditions(Events::from_bits_retain(bits));
        bits += 1;
    }
    table
};

/// The readiness of any set of conditions, said in full.
#[inline(never)]
const fn conditions(events: Events) -> Readiness {
    let mut readiness = Readiness::empty();
    if events.contains(Events::IN) {
        readiness = readiness.union(Readiness::READ);
    }
    if events.contains(Events::OUT) {
        readiness = readiness.union(Readiness::WRITE);
    }
    if events.contains(Events::RDHUP) {
        readiness = readiness.union(Readiness::CLOSED);
    }
    if events.contains(Events::PRI) {
        readiness = readiness.union(Readiness::PRIORITY);
    }
    let hung_up = events.contains(Events::HUP);
    if events.contains(Events::ERR) || hung_up && !events.contains(Events::RDHUP) {
        readiness = readiness.union(Readiness::READ).union(Readiness::WRITE);
    }
    if events.contains(Events::ERR) || hung_up {
        readiness = readiness.union(Readiness::ERROR);
    }
    readiness
}
