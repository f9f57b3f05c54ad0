//! Why a descriptor could not be registered.

use std::io;

use thiserror::Error;

use crate::{Features, Interest, Mode, Registration};

/// Why [`Backend::update`](crate::Backend::update) refused. Nothing has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The backend lacks these abilities, which the registration needs.
    #[error("the backend cannot do this: missing {0}")]
    Unsupported(Features),
    /// The interest was empty.
    #[error("the interest is empty")]
    NoInterest,
    /// The kernel refused.
    #[error("{0}{hint}", hint = hint(.0))]
    Io(#[from] io::Error),
}

/// What the kernel's own text leaves open.
fn hint(refusal: &io::Error) -> &'static str {
    match refusal.kind() {
        // EPERM, see epoll_ctl(2).
        io::ErrorKind::PermissionDenied => {
            "; epoll refuses regular files and directories so, and backends with the feature ANY_FILE take them"
        }
        _ => "",
    }
}

impl UpdateError {
    /// Compares what `registration` asks with what `features` offer; for the use of backends.
    ///
    /// # Errors
    ///
    /// [`UpdateError::NoInterest`] and [`UpdateError::Unsupported`].
    ///
    /// ```
    /// use ev_backend::{Features, Interest, Mode, Registration, UpdateError};
    ///
    /// let asked = Registration { interest: Interest::CLOSED, mode: Mode::Edge };
    /// let error = UpdateError::check(Features::EDGE, asked).unwrap_err();
    /// assert!(matches!(error, UpdateError::Unsupported(missing) if missing == Features::CLOSED));
    /// ```
    pub fn check(features: Features, registration: Registration) -> Result<(), Self> {
        let Registration { interest, mode } = registration;
        if !interest.intersects(Interest::all()) {
            return Err(Self::NoInterest);
        }
        // The kernel takes no other conditions together with EPOLLEXCLUSIVE.
        let features = match mode {
            Mode::Exclusive => features.difference(Features::CLOSED.union(Features::PRIORITY)),
            _ => features,
        };
        let mut needed = match mode {
            Mode::Edge => Features::EDGE,
            Mode::Exclusive => Features::EXCLUSIVE,
            Mode::Level | Mode::OneShot => Features::empty(),
        };
        needed.set(Features::CLOSED, interest.contains(Interest::CLOSED));
        needed.set(Features::PRIORITY, interest.contains(Interest::PRIORITY));
        needed.set(Features::ERROR_ONLY, interest == Interest::ERROR);
        let missing = needed.difference(features);
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Self::Unsupported(missing))
        }
    }
}

impl From<UpdateError> for io::Error {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Io(error) => error,
            UpdateError::Unsupported(_) => Self::new(io::ErrorKind::Unsupported, error),
            UpdateError::NoInterest => Self::new(io::ErrorKind::InvalidInput, error),
        }
    }
}
