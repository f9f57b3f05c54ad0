//! One loop's end of the table.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ev_sys::fdio;
use ev_sys::pipe::{Pipe, PipeFlags, pipe};

use crate::SignalError;
use crate::handler::{Node, SIGNALS};
use crate::registry::Registry;

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
/// # Forks
///
/// A child that `fork` has made inherits the handler and this value, but not its service: nothing that is delivered to
/// the child reaches the parent, nothing that is delivered to the parent can be drained in the child, and until
/// [`reinit`](Self::reinit) the child's deliveries are dropped. The handler stays installed in the child until the
/// signal is unwatched there. It does not survive `exec`.
pub struct Signals {
    node: &'static Node,
    pipe: Pipe,
    watched: BTreeSet<i32>,
}

impl Signals {
    /// Watches no signal yet.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let pipe = open()?;
        let node = Registry::lock().acquire(pipe.writer.as_raw_fd())?;
        Ok(Self {
            node,
            pipe,
            watched: BTreeSet::new(),
        })
    }

    /// Counts deliveries of `signal` from now on.
    ///
    /// If nothing in the process watches the signal yet, its present action is saved and replaced by a handler that
    /// runs with all signals held off, after which interrupted system calls are restarted (`SA_RESTART`). An action
    /// that others install while the signal is watched is not noticed; it takes the signal away from all watchers.
    ///
    /// If a handler is replaced by this, its code has to stay in the process until it is restored.
    ///
    /// # Errors
    ///
    /// [`SignalError::NoSuchSignal`], [`SignalError::Uncatchable`], [`SignalError::Fault`] (libevent lets these be
    /// watched), [`SignalError::AlreadyWatched`]; [`SignalError::Io`] for the kernel's. Nothing has changed.
    #[doc(alias = "sigaction")]
    pub fn watch(&mut self, signal: i32) -> Result<(), SignalError> {
        check(signal)?;
        if self.watched.contains(&signal) {
            return Err(SignalError::AlreadyWatched(signal));
        }
        let mut registry = Registry::lock();
        // Before the handler is installed, so that it finds a watcher the first time it runs.
        self.node.watch(signal);
        if let Err(error) = registry.install(signal) {
            self.node.unwatch(signal);
            return Err(match error.kind() {
                ErrorKind::InvalidInput => SignalError::NoSuchSignal(signal),
                _ => error.into(),
            });
        }
        self.watched.insert(signal);
        Ok(())
    }

    /// Counts deliveries of `signal` no longer. Those that were not drained are dropped.
    ///
    /// If nothing else in the process watches the signal, the action that was saved is restored as it was, with its
    /// flags and mask; an action that others have installed meanwhile is overwritten.
    ///
    /// # Errors
    ///
    /// [`SignalError::NotWatched`]; [`SignalError::Io`] for the kernel's, of which none is known. Nothing has changed.
    pub fn unwatch(&mut self, signal: i32) -> Result<(), SignalError> {
        if !self.watched.contains(&signal) {
            return Err(SignalError::NotWatched(signal));
        }
        let mut registry = Registry::lock();
        // The old action first: what comes between the two steps is dropped with the count, but had its handler.
        registry.uninstall(signal, self.node)?;
        self.node.unwatch(signal);
        self.watched.remove(&signal);
        Ok(())
    }

    /// Calls `deliver(signal, times)` for each watched signal that was delivered since the last call, in the order of
    /// their numbers. The descriptor is not readable afterwards, unless more has come meanwhile.
    ///
    /// If nothing was delivered it does nothing; a loop may be woken for nothing when a delivery came in the midst of
    /// the last call.
    ///
    /// # Errors
    ///
    /// The kernel's, from reading the pipe; none is known. What was counted has been delivered nevertheless.
    ///
    /// # Panics
    ///
    /// If `deliver` does. Then call it again: what it did not come to is still counted, but no longer announced.
    pub fn drain(&mut self, mut deliver: impl FnMut(i32, u32)) -> io::Result<()> {
        if !self.node.is_ours() {
            // The bytes are the parent's.
            return Ok(());
        }
        // The pipe first. The handler counts before it writes, so whoever has read its byte finds its count; the other
        // way round, a count that came between the two steps would be left behind without a byte.
        let emptied = self.empty_pipe();
        for &signal in &self.watched {
            let times = self.node.take(signal);
            if times != 0 {
                deliver(signal, times);
            }
        }
        emptied
    }

    fn empty_pipe(&self) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            match fdio::read(self.pipe.reader.as_fd(), &mut buffer) {
                Ok(n) if n == buffer.len() => {}
                // A pipe that gives less than there was room for is empty.
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes this work in a child that `fork` has made: the same signals are watched, through a pipe of the child's
    /// own. Deliveries that were not drained are dropped.
    ///
    /// The descriptor keeps its number but is another file: register it again, in a kernel set of the child's own.
    /// The parent does not notice. In a process that has not forked it does the same.
    ///
    /// # Errors
    ///
    /// The kernel's: `EMFILE`, `ENFILE`, `ENOMEM`. Nothing is delivered until a later call succeeds.
    #[doc(alias = "event_reinit")]
    pub fn reinit(&mut self) -> io::Result<()> {
        let new = open()?;
        let mut registry = Registry::lock();
        let node = registry.acquire(self.pipe.writer.as_raw_fd())?;
        registry.release(std::mem::replace(&mut self.node, node));
        fdio::replace(&self.pipe.reader, new.reader)?;
        fdio::replace(&self.pipe.writer, new.writer)?;
        for &signal in &self.watched {
            self.node.watch(signal);
            registry.install(signal)?;
        }
        Ok(())
    }
}

fn open() -> io::Result<Pipe> {
    pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)
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
        self.pipe.reader.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let mut registry = Registry::lock();
        for &signal in &self.watched {
            // The kernel gave out this very action, so it has no reason to refuse it.
            let _ = registry.uninstall(signal, self.node);
        }
        // The pipe is closed after this.
        registry.release(self.node);
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("pipe", &self.pipe)
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}
