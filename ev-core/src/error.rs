//! What can go wrong, and what is then the state.

use std::fmt;
use std::io;
use std::os::fd::RawFd;

use ev_backend::{OpenError, PassedOver, UpdateError};
use ev_map::MapError;
use thiserror::Error;

/// Why an operation on a loop failed. The loop is as it was before, unless the operation's documentation says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The key's event was removed.
    #[error("the event no longer exists")]
    Stale,
    /// There is no memory, or no index, for one more event.
    #[error("no room for another event")]
    OutOfMemory,
    /// The priority is not below the loop's number of priorities.
    #[error("priority {asked} of {available}")]
    Priority {
        /// The priority that was asked for.
        asked: u8,
        /// The loop's number of priorities.
        available: u8,
    },
    /// The event is active: its priority cannot change now.
    #[error("the event is active")]
    Active,
    /// The operation is for another kind of event.
    #[error("this kind of event has no {0}")]
    Kind(&'static str),
    /// The events on a descriptor or signal do not go together.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The backend or the kernel refused the descriptor.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The descriptor is in blocking mode: a callback that reads once too often would stop the whole loop. Only with
    /// [`Config::check_descriptors`](crate::Config::check_descriptors).
    #[error("descriptor {0} is in blocking mode")]
    Blocking(RawFd),
    /// The descriptor was closed, and perhaps used again, while its event was added; the event is deleted. Only with
    /// [`Config::check_descriptors`](crate::Config::check_descriptors).
    #[error("descriptor {0} was closed while its event was added")]
    ClosedWhileAdded(RawFd),
    /// The signal cannot be watched.
    #[cfg(feature = "signals")]
    #[error(transparent)]
    Signal(#[from] ev_signal::SignalError),
    /// Deleting would wait for a callback that itself waits for this thread.
    #[cfg(feature = "threads")]
    #[error("deleting this event here would never end: its callback waits for this thread")]
    Deadlock,
    /// The loop has been dropped.
    #[error("the loop no longer exists")]
    Gone,
    /// No backend fits the settings.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::Update(error) => return error.into(),
            #[cfg(feature = "signals")]
            Error::Signal(error) => return error.into(),
            Error::Stale | Error::Gone => io::ErrorKind::NotFound,
            Error::OutOfMemory => io::ErrorKind::OutOfMemory,
            Error::Open(ref error) => why_none_opened(error),
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// The kernel's reason if it refused a backend that would have fitted.
fn why_none_opened(error: &OpenError) -> io::ErrorKind {
    let refused = error.passed_over().find_map(|(_, reason)| match reason {
        PassedOver::Failed(error) => Some(error.kind()),
        _ => None,
    });
    refused.unwrap_or(io::ErrorKind::Unsupported)
}

/// A refused value with the reason: what was to be inserted or posted comes back to its owner.
///
/// `?` makes an [`Error`](enum@Error) or an [`io::Error`] of it, and lets the value go. In a function whose errors must be
/// `Send`, say `Box<dyn Error + Send + Sync>`, that takes a step by hand, as the value may not be `Send`:
///
/// ```
/// use std::rc::Rc;
/// use ev_core::{EventLoop, Rejected, User};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let mut lp = EventLoop::<()>::new()?;
/// let shared = Rc::new(1);
/// lp.insert(User::new(), move |_, (), _| drop(Rc::clone(&shared))).map_err(Rejected::into_error)?;
/// # Ok(())
/// # }
/// ```
pub struct Rejected<T> {
    /// Why.
    pub error: Error,
    /// What was refused, unchanged.
    pub value: T,
}

impl<T> Rejected<T> {
    /// The reason alone; the value is dropped.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }
}

impl<T> fmt::Debug for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for Rejected<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<T> From<Rejected<T>> for Error {
    fn from(rejected: Rejected<T>) -> Self {
        rejected.error
    }
}

impl<T> From<Rejected<T>> for io::Error {
    fn from(rejected: Rejected<T>) -> Self {
        rejected.error.into()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    const ENOSPC: i32 = 28;

    fn refusal() -> io::Error {
        io::Error::from_raw_os_error(ENOSPC)
    }

    #[test]
    fn the_kernels_own_error_comes_through() {
        for error in [Error::Io(refusal()), Error::Update(refusal().into())] {
            assert_eq!(io::Error::from(error).raw_os_error(), Some(ENOSPC));
        }
        #[cfg(feature = "signals")]
        {
            let error = Error::Signal(ev_signal::SignalError::Io(refusal()));
            assert_eq!(io::Error::from(error).raw_os_error(), Some(ENOSPC));
        }
    }

    #[test]
    fn other_errors_have_a_kind_and_keep_their_text() {
        let impossible = ev_backend::Config::new()
            .ignore_environment()
            .require(ev_backend::Features::all());
        for (error, kind) in [
            (Error::Stale, io::ErrorKind::NotFound),
            (Error::Gone, io::ErrorKind::NotFound),
            (Error::OutOfMemory, io::ErrorKind::OutOfMemory),
            (Error::Active, io::ErrorKind::InvalidInput),
            (Error::Open(impossible.open().unwrap_err()), io::ErrorKind::Unsupported),
        ] {
            let text = error.to_string();
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string()), (kind, text));
        }
    }

    #[test]
    fn a_refused_value_comes_with_the_reason() {
        let rejected = Rejected {
            error: Error::Active,
            value: (),
        };
        assert_eq!(rejected.to_string(), Error::Active.to_string());
        assert_eq!(format!("{rejected:?}"), "Rejected { error: Active, .. }");
        assert!(rejected.source().is_some_and(<dyn std::error::Error>::is::<Error>));
    }
}
