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
    /// `SIGKILL` and `SIGSTOP` reach no handler.
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
            SignalError::NoSuchSignal(_) | SignalError::Uncatchable(_) | SignalError::Fault(_) => {
                Self::new(io::ErrorKind::InvalidInput, error)
            }
        }
    }
}
