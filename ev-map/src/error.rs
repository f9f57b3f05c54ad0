//! Why an event could not be put on a map.

use std::os::fd::RawFd;

use ev_backend::Mode;
use thiserror::Error;

/// Why [`FdMap::insert`](crate::FdMap::insert) or [`SignalMap::insert`](crate::SignalMap::insert) refused. Nothing has
/// changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The descriptor is negative or above [`FdMap::MAX_FD`](crate::FdMap::MAX_FD).
    #[error("{0} is not a file descriptor")]
    BadFd(RawFd),
    /// The signal number is not in 1 ..= [`SignalMap::MAX_SIGNAL`](crate::SignalMap::MAX_SIGNAL).
    #[error("{0} is not a signal number")]
    BadSignal(i32),
    /// The id is not below 2³¹ - 1: the bit above is in use inside the maps.
    #[error("{0} cannot be the id of an event")]
    BadId(u32),
    /// The interest was empty.
    #[error("the interest is empty")]
    NoInterest,
    /// The event is on this map already, on the same descriptor or signal or on another one.
    #[error("event {0} is on the map already")]
    AlreadyOn(u32),
    /// The descriptor has events of another mode, or an exclusive one.
    ///
    /// The kernel knows one mode a descriptor, so all events on it must agree; [`Mode::Exclusive`] allows no second
    /// event at all, as `EPOLLEXCLUSIVE` allows no later change. libevent checks this only in its debug mode, and then
    /// only against one of the events; otherwise the mode given last wins for all of them, as it does here after
    /// [`FdMap::mix_modes`](crate::FdMap::mix_modes).
    #[error("descriptor {fd} is in use with mode {present:?}")]
    ModeConflict {
        /// The descriptor.
        fd: RawFd,
        /// The mode of the events that are on it.
        present: Mode,
    },
    /// There is no memory for the map to grow.
    #[error("out of memory")]
    OutOfMemory,
}
