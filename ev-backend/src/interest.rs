//! What is asked of a descriptor, and what came.

use bitflags::bitflags;

bitflags! {
    /// The conditions a registration asks to be told about.
    ///
    /// An empty set asks for nothing and is refused by the backends; [`Interest::ERROR`] alone asks for the conditions
    /// that kernels report unasked.
    ///
    /// ```
    /// use ev_backend::Interest;
    ///
    /// let duplex = Interest::READ | Interest::WRITE;
    /// assert!(duplex.contains(Interest::READ));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Interest: u8 {
        /// Data can be read, a connection can be accepted, or the end of the stream was reached.
        const READ = 1 << 0;
        /// Data can be written without blocking, or a connection attempt has ended.
        const WRITE = 1 << 1;
        /// The peer closed its side of the stream or shut down writing (`EPOLLRDHUP`, `POLLRDHUP`).
        ///
        /// Seen even while unread data remains. `select` and `kqueue` cannot tell and refuse it.
        const CLOSED = 1 << 2;
        /// Exceptional data: out-of-band bytes on TCP, a state change on a pseudo-terminal master (`EPOLLPRI`).
        const PRIORITY = 1 << 3;
        /// An error is pending on the descriptor, or both directions are closed (`EPOLLERR`, `EPOLLHUP`).
        ///
        /// Alone it makes an error-only registration.
        const ERROR = 1 << 4;
    }
}

bitflags! {
    /// The conditions a descriptor was found in.
    ///
    /// The bits have the values of [`Interest`]'s. An error or a complete hang-up is reported as
    /// `READ | WRITE | ERROR`, so that whoever waits for either direction runs into it: the next `read` or `write`
    /// returns the cause.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Readiness: u8 {
        /// See [`Interest::READ`].
        const READ = 1 << 0;
        /// See [`Interest::WRITE`].
        const WRITE = 1 << 1;
        /// See [`Interest::CLOSED`].
        const CLOSED = 1 << 2;
        /// See [`Interest::PRIORITY`].
        const PRIORITY = 1 << 3;
        /// See [`Interest::ERROR`].
        const ERROR = 1 << 4;
    }
}

impl Readiness {
    /// The part of this readiness that `interest` asked for.
    ///
    /// ```
    /// use ev_backend::{Interest, Readiness};
    ///
    /// let came = Readiness::READ | Readiness::WRITE;
    /// assert_eq!(came.of(Interest::READ), Readiness::READ);
    /// assert!(came.of(Interest::CLOSED).is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub const fn of(self, interest: Interest) -> Self {
        Self::from_bits_retain(self.bits() & interest.bits())
    }
}
