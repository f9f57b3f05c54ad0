//! What the kernel is told of a descriptor.

use std::os::fd::RawFd;

use crate::{Interest, Tag};

/// How often a condition is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Every wait reports the condition for as long as it holds.
    #[default]
    Level,
    /// A condition is reported when it begins or is renewed (`EPOLLET`, `EV_CLEAR`). The owner reads or writes until
    /// the call would block, else it may never hear of the rest.
    Edge,
    /// The first report is the last; the registration then stays, silent, until the backend is told of it anew
    /// (`EPOLLONESHOT`).
    ///
    /// An event of `ev-core` in this mode stays added, and pending, while it is silent. Adding it arms it again, in its callback
    /// or later, and so does setting its interest, also to the one that it has. The registration is the descriptor's: a
    /// report silences all events on it, also those that it did not concern, and arming one of them arms all.
    OneShot,
    /// As [`Mode::Level`], but of several epoll sets that watch the same file only one or some are woken
    /// (`EPOLLEXCLUSIVE`): for a listening socket shared by several loops. Not together with
    /// [`Interest::CLOSED`] and [`Interest::PRIORITY`].
    Exclusive,
}

/// A descriptor's wishes as the kernel knows them: the union of its events' interests, and their common mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registration {
    /// The conditions to report. Not empty.
    pub interest: Interest,
    /// How often to report them.
    pub mode: Mode,
}

/// One descriptor's step from what the kernel was told to what it is to be told now.
///
/// `old` and `new` are `None` where the descriptor is not registered; they are never both `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The descriptor. It may have been closed meanwhile: a backend takes that as a typed error or, on the way to
    /// `new: None`, as done.
    pub fd: RawFd,
    /// What reports about the descriptor carry from now on, in place of any earlier tag.
    pub tag: Tag,
    /// What the backend was last told.
    pub old: Option<Registration>,
    /// What it is told now.
    pub new: Option<Registration>,
}
