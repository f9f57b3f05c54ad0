//! The kinds of event, as they are described to a loop.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use ev_backend::{Interest, Mode};
use ev_timer::Time;

use crate::engine::{Arming, Spec, Target};

/// How long an event lives in the kernel and the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It stays added until it is deleted.
    Persistent,
    /// It is deleted before its callback is called, which may add it again.
    Once,
}

/// A description of an event: [`Io`], [`RawIo`], [`Timer`], [`Signal`] or [`User`].
///
/// The source is what the event owns and lends to its callback: the stream of an [`Io`], nothing for the others.
pub trait Describe: sealed::Sealed {
    /// What the callback's second argument refers to.
    type Source;

    #[doc(hidden)]
    fn describe(self) -> Described<Self::Source>;

    /// The descriptor that the source has now, for sources that have one.
    #[doc(hidden)]
    fn descriptor(source: &Self::Source) -> Option<RawFd>;
}

/// A description taken apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct Described<T> {
    pub(crate) source: T,
    pub(crate) spec: Spec,
    pub(crate) arming: Option<Arming>,
}

mod sealed {
    pub trait Sealed {}
    impl<F> Sealed for super::Io<F> {}
    impl Sealed for super::RawIo {}
    impl Sealed for super::Timer {}
    #[cfg(feature = "signals")]
    impl Sealed for super::Signal {}
    impl Sealed for super::User {}
}

/// Methods that several kinds of event have.
macro_rules! common_methods {
    () => {
        /// The event's priority, 0 being the most urgent. Default: the loop's middle one.
        #[doc(alias = "event_priority_set")]
        #[must_use]
        pub fn priority(mut self, priority: u8) -> Self {
            self.spec.priority = Some(priority);
            self
        }

        /// Inserts the event without adding it: nothing happens until it is added or activated. Only then is it found
        /// out whether the backend and the kernel take it.
        #[must_use]
        pub fn disarmed(mut self) -> Self {
            self.arming = None;
            self
        }
    };
}

/// The description of a kind of event that owns nothing, and how it is added when it is inserted.
macro_rules! describe_without_source {
    ($kind:ident, |$event:ident| $arming:expr) => {
        impl Describe for $kind {
            type Source = ();

            fn describe(self) -> Described<()> {
                let $event = &self;
                Described {
                    source: (),
                    arming: $arming,
                    spec: self.spec,
                }
            }

            fn descriptor(_source: &()) -> Option<RawFd> {
                None
            }
        }
    };
}

/// The methods of both kinds of I/O event.
macro_rules! io_methods {
    () => {
        /// How often a condition is reported. Default: [`Mode::Level`].
        #[must_use]
        pub fn mode(mut self, mode: Mode) -> Self {
            self.spec.mode = mode;
            self
        }

        /// Deletes the event before each call of its callback, which may add it again: that costs no system call if the
        /// event owns its source.
        #[must_use]
        pub fn once(mut self) -> Self {
            self.spec.persistence = Persistence::Once;
            self
        }

        /// Also calls the callback, with [`Fired::is_timeout`](crate::Fired::is_timeout), when nothing came for that
        /// long. Each activation pushes the timeout back; the clock starts in the turn in which the event was reported.
        ///
        /// *Each* activation does, one for `WRITE` or by hand as well. To close a connection that is written to but says
        /// nothing, take a [`Timer`] beside it, and push that back with [`Reactor::add`](crate::Reactor::add) when
        /// something was read.
        ///
        /// Pushing back costs a store. An event that is not persistent is deleted by whichever comes first.
        #[must_use]
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.spec.timeout = Some(timeout);
            self.arming = self.arming.map(|_| Arming::Remembered);
            self
        }
    };
}

/// Readiness of a descriptor that the event owns.
///
/// The event keeps the source and lends it to the callback. The source is dropped, and its descriptor closed, when the
/// event is removed, always after the kernel has forgotten it. That removes the commonest fault in programs with an
/// event loop, a descriptor closed or reused while it is still registered, and lets the loop put off and compare its
/// changes: adding an event again in its callback makes no system call.
///
/// The callback gets the source as `&mut F`. It may read, write and shut down, but should not replace it by another
/// descriptor: that is noticed after the callback and ends the event, see [`Reactor::insert`](crate::Reactor::insert). It
/// is noticed by the number: a new file of the same number is not, and then the event may never fire again. To
/// reconnect, remove the event and insert another.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use ev_core::{EventLoop, Interest, Io};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut near, far) = UnixStream::pair()?;
/// near.write_all(b"hello")?;
/// far.set_nonblocking(true)?;
///
/// let mut lp = EventLoop::<Vec<u8>>::new()?;
/// lp.insert(Io::new(far, Interest::READ), |cx, stream, fired| {
///     let mut buffer = [0; 64];
///     let n = stream.read(&mut buffer).unwrap_or(0);
///     cx.state.extend_from_slice(&buffer[..n]);
///     cx.remove(fired.key()).expect("the event that runs exists");
/// })?;
///
/// let mut received = Vec::new();
/// lp.run(&mut received)?;
/// assert_eq!(received, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[doc(alias = "event_new")]
pub struct Io<F> {
    source: F,
    spec: Spec,
    arming: Option<Arming>,
}

impl<F: AsFd> Io<F> {
    /// A persistent, level-triggered event without timeout.
    pub fn new(source: F, interest: Interest) -> Self {
        let fd = source.as_fd().as_raw_fd();
        let target = Target::Owned { fd, interest };
        Self {
            source,
            spec: Spec::new(target, Persistence::Persistent),
            arming: Some(Arming::Registration),
        }
    }

    common_methods!();
    io_methods!();
}

impl<F: AsFd> Describe for Io<F> {
    type Source = F;

    fn describe(self) -> Described<F> {
        Described {
            source: self.source,
            spec: self.spec,
            arming: self.arming,
        }
    }

    #[inline]
    fn descriptor(source: &F) -> Option<RawFd> {
        Some(source.as_fd().as_raw_fd())
    }
}

/// Readiness of a descriptor that somebody else keeps.
///
/// For interfaces that know only numbers; prefer [`Io`]. The caller owes: the descriptor stays open while the event is
/// added, and the event is deleted *before* the descriptor is closed. If that is broken the loop stays memory-safe, and
/// reports about the old descriptor never reach events on a new one of the same number, but events on the
/// closed descriptor may stay silent (epoll, kqueue) or report an error (poll, select).
///
/// Changes are told to the kernel at once, so that its answer is the operation's result, unless the loop was configured
/// with [`Config::defer_raw_changes`](crate::Config::defer_raw_changes).
#[derive(Debug)]
pub struct RawIo {
    spec: Spec,
    arming: Option<Arming>,
}

impl RawIo {
    /// A persistent, level-triggered event without timeout.
    #[must_use]
    pub fn new(fd: RawFd, interest: Interest) -> Self {
        let spec = Spec::new(Target::Raw { fd, interest }, Persistence::Persistent);
        Self {
            spec,
            arming: Some(Arming::Registration),
        }
    }

    common_methods!();
    io_methods!();
}

describe_without_source!(RawIo, |event| event.arming);

/// A deadline, once or periodic.
///
/// A timer never fires early by the loop's clock. A timeout counts from the moment of the call, which reads the clock;
/// who arms many at a time reads it once and gives deadlines ([`Timer::at`]).
///
/// ```
/// use std::time::Duration;
/// use ev_core::{EventLoop, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = EventLoop::<u32>::new()?;
/// lp.insert(Timer::every(Duration::from_millis(1)), |cx, (), _| {
///     *cx.state += 1;
///     if *cx.state == 3 {
///         cx.stop();
///     }
/// })?;
/// let mut ticks = 0;
/// lp.run(&mut ticks)?;
/// assert_eq!(ticks, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[doc(alias = "evtimer_new")]
pub struct Timer {
    spec: Spec,
    arming: Option<Arming>,
}

impl Timer {
    fn armed(persistence: Persistence, timeout: Option<Duration>, arming: Arming) -> Self {
        let spec = Spec {
            timeout,
            ..Spec::new(Target::None, persistence)
        };
        Self {
            spec,
            arming: Some(arming),
        }
    }

    /// Fires once, and has no deadline yet: it is inserted without being added. Give it one with
    /// [`Reactor::add_after`](crate::Reactor::add_after) or [`Reactor::add_at`](crate::Reactor::add_at), as often as you
    /// like.
    #[must_use]
    pub fn new() -> Self {
        Self {
            spec: Spec::new(Target::None, Persistence::Once),
            arming: None,
        }
    }

    /// Fires once, when `timeout` has passed. Adding it again in or after its callback starts the same timeout anew.
    ///
    /// The event exists, with its closure, after it has fired, until it is [removed](crate::Reactor::remove). For a timer
    /// that ends by itself: [`cx.once(Timer::after(timeout), …)`](crate::Reactor::once).
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self::armed(Persistence::Once, Some(timeout), Arming::Remembered)
    }

    /// Fires once, at `deadline` by the loop's clock ([`Reactor::now`](crate::Reactor::now)). It has no timeout to be added
    /// again with; give it another deadline with [`Reactor::add_at`](crate::Reactor::add_at).
    #[must_use]
    pub fn at(deadline: Time) -> Self {
        Self::armed(Persistence::Once, None, Arming::At(deadline))
    }

    /// Fires each time `period` has passed.
    ///
    /// The phase is kept: a call that comes late does not shift the later ones. When a whole period was missed the next
    /// call comes a period from now; missed calls are not made up for. A period of zero is taken as one nanosecond, that
    /// is: once a turn.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        let period = period.max(Duration::from_nanos(1));
        Self::armed(Persistence::Persistent, Some(period), Arming::Remembered)
    }

    common_methods!();
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

describe_without_source!(Timer, |event| event.arming);

/// Delivery of a Unix signal.
///
/// The callback is called in the loop like any other, so it may do what a signal handler may not. It is called once for
/// each delivery that the kernel made. Any number of loops and events may watch the same signal. While an event on the
/// signal is added anywhere in the process, the signal's previous disposition is replaced; it is restored exactly when
/// the last one goes.
///
/// ```
/// use ev_core::signal::SIGTERM;
/// use ev_core::{EventLoop, Signal};
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = EventLoop::<()>::new()?;
/// lp.insert(Signal::new(SIGTERM), |cx, (), _| cx.stop())?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "signals")]
#[derive(Debug)]
#[doc(alias = "evsignal_new")]
pub struct Signal {
    spec: Spec,
    arming: Option<Arming>,
}

#[cfg(feature = "signals")]
impl Signal {
    /// A persistent event on the signal of that number; the names are in [`signal`](crate::signal).
    #[must_use]
    pub fn new(signal: i32) -> Self {
        let spec = Spec::new(Target::Signal(signal), Persistence::Persistent);
        Self {
            spec,
            arming: Some(Arming::Registration),
        }
    }

    /// Deletes the event at its first delivery.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.spec.persistence = Persistence::Once;
        self
    }

    common_methods!();
}

#[cfg(feature = "signals")]
describe_without_source!(Signal, |event| event.arming);

/// An event that only [`activate`](crate::Reactor::activate) makes active.
#[derive(Debug)]
#[doc(alias = "evuser_new")]
pub struct User {
    spec: Spec,
}

impl User {
    /// An event that waits for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            spec: Spec::new(Target::None, Persistence::Persistent),
        }
    }

    /// The event's priority, 0 being the most urgent. Default: the loop's middle one.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.spec.priority = Some(priority);
        self
    }
}

impl Default for User {
    fn default() -> Self {
        Self::new()
    }
}

describe_without_source!(User, |_event| None);
