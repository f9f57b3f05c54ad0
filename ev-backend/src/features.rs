//! What a backend can do.

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// The abilities in which backends differ.
    ///
    /// | | epoll | kqueue | poll | select |
    /// |---|---|---|---|---|
    /// | [`EDGE`](Self::EDGE) | yes | yes | | |
    /// | [`CONSTANT_TIME`](Self::CONSTANT_TIME) | yes | yes | | |
    /// | [`ANY_FILE`](Self::ANY_FILE) | | yes | yes | yes |
    /// | [`CLOSED`](Self::CLOSED) | yes | | Linux, FreeBSD | |
    /// | [`PRIORITY`](Self::PRIORITY) | yes | | yes | yes |
    /// | [`ERROR_ONLY`](Self::ERROR_ONLY) | yes | | yes | |
    /// | [`EXCLUSIVE`](Self::EXCLUSIVE) | yes | | | |
    /// | [`CONCURRENT`](Self::CONCURRENT) | yes | yes | | |
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Features: u16 {
        /// [`Mode::Edge`](crate::Mode::Edge) (libevent: `EV_FEATURE_ET`).
        const EDGE = 1 << 0;
        /// A wait costs the same however many descriptors are registered (libevent: `EV_FEATURE_O1`).
        const CONSTANT_TIME = 1 << 1;
        /// Any kind of descriptor can be registered, regular files included (libevent: `EV_FEATURE_FDS`).
        const ANY_FILE = 1 << 2;
        /// [`Interest::CLOSED`](crate::Interest::CLOSED) (libevent: `EV_FEATURE_EARLY_CLOSE`).
        const CLOSED = 1 << 3;
        /// [`Interest::PRIORITY`](crate::Interest::PRIORITY).
        const PRIORITY = 1 << 4;
        /// A registration of [`Interest::ERROR`](crate::Interest::ERROR) alone.
        const ERROR_ONLY = 1 << 5;
        /// [`Mode::Exclusive`](crate::Mode::Exclusive).
        const EXCLUSIVE = 1 << 6;
        /// An update made while another thread waits takes effect in that wait. Without it the waiting thread has to
        /// be woken.
        const CONCURRENT = 1 << 7;
    }
}

impl fmt::Display for Features {
    /// The names, as in `EDGE | CLOSED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bitflags::parser::to_writer(self, f)
    }
}
