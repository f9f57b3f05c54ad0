//! One loop's end of the table.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::handler::SIGNALS;
use crate::piped::Piped;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::signalfd::SignalFd;
use crate::{Method, SignalError};

/// The signals that one loop watches, and a descriptor that is readable while deliveries wait.
///
/// A loop registers [`as_fd`](AsFd::as_fd) for reading, level-triggered, and calls [`drain`](Self::drain) when it is
/// reported. There can be any number of `Signals`, in any threads, watching the same signals or others: each gets every
/// delivery. (libevent serves one loop only, the one that was last added to or entered.)
///
/// ```
/// use ev_signal::{SIGUSR1, Signals};
///
/// let mut signals = Signals::new()?;
/// signals.watch(SIGUSR1)?;
/// for _ in 0..3 {
///     ev_sys::signal::raise(SIGUSR1)?;
/// }
/// // Here a loop sleeps until `signals.as_fd()` is readable.
/// let mut came = Vec::new();
/// signals.drain(|signal, times| came.push((signal, times)))?;
/// assert_eq!(came, [(SIGUSR1, 3)]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Dropping it unwatches all its signals.
///
/// # Counts
///
/// Every run of the handler is counted, and none is lost: the counts are in memory, and the pipe behind the descriptor
/// only wakes. The kernel runs the handler once for each signal it delivers, but it does not queue: a signal that is
/// sent while the same one is still pending is one with it, unless it is a real-time signal.
///
/// With [`Method::SignalFd`] a signal is pending until it is drained, so however often it was sent, it counts as one
/// delivery; real-time signals are queued and counted.
///
/// # Forks
///
/// A child that `fork` has made inherits the handler and this value, but not its service: nothing that is delivered to
/// the child reaches the parent, nothing that is delivered to the parent can be drained in the child, and until
/// [`reinit`](Self::reinit) the child's deliveries are dropped. The handler stays installed in the child until the
/// signal is unwatched there. It does not survive `exec`.
///
/// With [`Method::SignalFd`] the child inherits a mask that holds the signals off. Its deliveries are kept until
/// `reinit`, and come then. The mask survives `exec`.
///
/// Make the first `Signals` of a process before other threads `fork`: with glibc, a child that another thread is just
/// forking, in a function that a library has registered with `pthread_atfork`, could wait for ever when it makes its own.
#[derive(Debug)]
pub struct Signals {
    receiver: Receiver,
}

#[derive(Debug)]
enum Receiver {
    Handler(Piped),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    SignalFd(SignalFd),
}

/// Does the same with whichever receiver there is.
macro_rules! with_receiver {
    ($signals:expr, $receiver:ident => $call:expr) => {
        match $signals.receiver {
            Receiver::Handler(ref $receiver) => $call,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Receiver::SignalFd(ref $receiver) => $call,
        }
    };
    ($signals:expr, mut $receiver:ident => $call:expr) => {
        match $signals.receiver {
            Receiver::Handler(ref mut $receiver) => $call,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Receiver::SignalFd(ref mut $receiver) => $call,
        }
    };
}

impl Signals {
    /// Watches no signal yet. It will use a handler.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Self::with_method(Method::Handler)
    }

    /// Watches no signal yet. It will catch them as `method` says.
    ///
    /// ```
    /// use ev_signal::{Method, SIGUSR1, Signals};
    ///
    /// # #[cfg(target_os = "linux")] {
    /// // Before other threads are started: they have to hold the signal off as well.
    /// let mut signals = Signals::with_method(Method::SignalFd)?;
    /// signals.watch(SIGUSR1)?;
    /// for _ in 0..3 {
    ///     ev_sys::signal::raise(SIGUSR1)?;
    /// }
    /// let mut came = Vec::new();
    /// signals.drain(|signal, times| came.push((signal, times)))?;
    /// // The second and the third came while the first was pending.
    /// assert_eq!(came, [(SIGUSR1, 1)]);
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] where the system does not have the method. The kernel's: `EMFILE`, `ENFILE`,
    /// `ENOMEM`.
    pub fn with_method(method: Method) -> io::Result<Self> {
        let receiver = match method {
            Method::Handler => Receiver::Handler(Piped::new()?),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Method::SignalFd => Receiver::SignalFd(SignalFd::new()?),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            Method::SignalFd => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { receiver })
    }

    /// How it catches signals.
    #[doc(alias = "event_base_get_signal_method")]
    pub fn method(&self) -> Method {
        match self.receiver {
            Receiver::Handler(_) => Method::Handler,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Receiver::SignalFd(_) => Method::SignalFd,
        }
    }

    /// Counts deliveries of `signal` from now on.
    ///
    /// If nothing in the process watches the signal yet, its present action is saved and replaced by a handler that
    /// runs with all signals held off, after which interrupted system calls are restarted (`SA_RESTART`). An action
    /// that others install while the signal is watched is not noticed; it takes the signal away from all watchers.
    ///
    /// If a handler is replaced by this, its code has to stay in the process until it is restored.
    ///
    /// With [`Method::SignalFd`] the calling thread holds the signal off from now on, and **every other thread of the
    /// process has to do so as well**; see there. The action is left alone. A signal that is pending already counts.
    ///
    /// # Errors
    ///
    /// [`SignalError::NoSuchSignal`], [`SignalError::Uncatchable`], [`SignalError::Fault`] (libevent lets these be
    /// watched), [`SignalError::AlreadyWatched`]; [`SignalError::NotShared`] if another `Signals` watches it and one of
    /// the two uses a signalfd; [`SignalError::OtherThread`] if this one uses a signalfd and watches signals of another
    /// thread; [`SignalError::Io`] for the kernel's. Nothing has changed.
    #[doc(alias = "sigaction")]
    #[doc(alias = "signalfd")]
    pub fn watch(&mut self, signal: i32) -> Result<(), SignalError> {
        check(signal)?;
        with_receiver!(self, mut receiver => receiver.watch(signal))
    }

    /// Counts deliveries of `signal` no longer. Those that were not drained are dropped.
    ///
    /// If nothing else in the process watches the signal, the action that was saved is restored as it was, with its
    /// flags and mask; an action that others have installed meanwhile is overwritten.
    ///
    /// With [`Method::SignalFd`] the calling thread lets the signal through again, unless it held it off before; the rest
    /// of its mask stays as it is. What is pending is taken away first, so it does not have its action (in libevent it
    /// does, and may end the process). A signal that comes between these two steps is treated like one that comes
    /// afterwards: it has its action.
    ///
    /// # Errors
    ///
    /// [`SignalError::NotWatched`]; [`SignalError::OtherThread`] if it was watched by another thread through a signalfd;
    /// [`SignalError::Io`] for the kernel's, of which none is known. Nothing has changed.
    pub fn unwatch(&mut self, signal: i32) -> Result<(), SignalError> {
        with_receiver!(self, mut receiver => receiver.unwatch(signal))
    }

    /// Calls `deliver(signal, times)` for each watched signal that was delivered since the last call, in the order of
    /// their numbers. The descriptor is not readable afterwards, unless more has come meanwhile.
    ///
    /// If nothing was delivered it does nothing; a loop may be woken for nothing when a delivery came in the midst of
    /// the last call.
    ///
    /// # Errors
    ///
    /// The kernel's, from reading the descriptor; none is known. What was counted has been delivered nevertheless.
    ///
    /// # Panics
    ///
    /// If `deliver` does. Then call it again: what it did not come to is still counted, but no longer announced.
    pub fn drain(&mut self, deliver: impl FnMut(i32, u32)) -> io::Result<()> {
        with_receiver!(self, mut receiver => receiver.drain(deliver))
    }

    /// Makes this work in a child that `fork` has made: the same signals are watched, through a descriptor of the
    /// child's own. Deliveries that were not drained are dropped; with [`Method::SignalFd`] those that are still pending
    /// are kept, of which a child has none of its parent's.
    ///
    /// The descriptor keeps its number but is another file: register it again, in a kernel set of the child's own.
    /// The parent does not notice. In a process that has not forked it does the same.
    ///
    /// With [`Method::SignalFd`] the calling thread becomes the one that watches: in a child there is no other.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`, `ENOMEM`. [`io::ErrorKind::ResourceBusy`] for [`SignalError::NotShared`]: a
    /// signal was watched by other means since the fork. Nothing is delivered until a later call succeeds.
    /// [`io::ErrorKind::PermissionDenied`] for [`SignalError::OtherThread`], in a process that has not forked; then
    /// nothing has changed.
    #[doc(alias = "event_reinit")]
    pub fn reinit(&mut self) -> io::Result<()> {
        with_receiver!(self, mut receiver => receiver.reinit())
    }
}

/// Refuses the signals that no loop can watch.
fn check(signal: i32) -> Result<(), SignalError> {
    match signal {
        libc::SIGKILL | libc::SIGSTOP => Err(SignalError::Uncatchable(signal)),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => Err(SignalError::Fault(signal)),
        1.. if (signal as usize) < SIGNALS => Ok(()),
        _ => Err(SignalError::NoSuchSignal(signal)),
    }
}

impl AsFd for Signals {
    /// The descriptor that is readable while deliveries wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        with_receiver!(self, receiver => receiver.as_fd())
    }
}
