//! Why a signal cannot be watched.

use std::io;

use thiserror::Error;

/// Why [`Signals::watch`](crate::Signals::watch) or [`Signals::unwatch`](crate::Signals::unwatch) refused. Nothing has
/// changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The system has no such signal, or keeps it to itself.
    #[error("there is no signal {0}")]
    NoSuchSignal(i32),
    /// `SIGKILL` and `SIGSTOP` reach no handler and cannot be held off.
    #[error("signal {0} cannot be caught")]
    Uncatchable(i32),
    /// `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE` tell of a fault in the running code. A handler that only takes note
    /// and returns would run into the same fault again, for ever.
    #[error("signal {0} tells of a fault that cannot be left to a loop")]
    Fault(i32),
    /// This [`Signals`](crate::Signals) watches the signal already.
    #[error("signal {0} is watched already")]
    AlreadyWatched(i32),
    /// This [`Signals`](crate::Signals) does not watch the signal.
    #[error("signal {0} is not watched")]
    NotWatched(i32),
    /// Another [`Signals`](crate::Signals) of this process watches the signal, and one of the two reads it from a
    /// signalfd, which takes each delivery for itself ([`Method::SignalFd`](crate::Method::SignalFd)).
    #[error("signal {0} is watched by another receiver and cannot be shared through a signalfd")]
    NotShared(i32),
    /// What was watched through a signalfd was watched by another thread, and signal masks are the threads' own
    /// ([`Method::SignalFd`](crate::Method::SignalFd)).
    #[error("signal {0} belongs to a receiver whose signals another thread holds off")]
    OtherThread(i32),
    /// The kernel refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<SignalError> for io::Error {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::Io(error) => error,
            SignalError::AlreadyWatched(_) => Self::new(io::ErrorKind::AlreadyExists, error),
            SignalError::NotWatched(_) => Self::new(io::ErrorKind::NotFound, error),
            SignalError::NotShared(_) => Self::new(io::ErrorKind::ResourceBusy, error),
            SignalError::OtherThread(_) => Self::new(io::ErrorKind::PermissionDenied, error),
            SignalError::NoSuchSignal(_) | SignalError::Uncatchable(_) | SignalError::Fault(_) => {
                Self::new(io::ErrorKind::InvalidInput, error)
            }
        }
    }
}
