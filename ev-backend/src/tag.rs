//! The value the kernel hands back with each report.

use std::fmt;
use std::os::fd::RawFd;

/// The 64 bits that travel through the kernel with a registration and come back with its reports.
///
/// A backend never looks inside. Users of a bare backend may store what they like ([`Tag::from_bits`]); `ev-map` stores
/// the descriptor with a generation that is new for every registration, so that a late report about a closed and
/// reused descriptor is told from one about its new owner.
///
/// ```
/// use ev_backend::Tag;
///
/// let tag = Tag::new(7, 3);
/// assert_eq!((tag.fd(), tag.generation()), (7, 3));
/// assert_eq!(Tag::from_bits(tag.to_bits()), tag);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(u64);

impl Tag {
    /// A tag made of a descriptor (not negative) and the generation of its registration.
    #[inline]
    #[must_use]
    pub const fn new(fd: RawFd, generation: u32) -> Self {
        Self((generation as u64) << 32 | fd as u32 as u64)
    }

    /// The descriptor given to [`Tag::new`].
    #[inline]
    #[must_use]
    pub const fn fd(self) -> RawFd {
        self.0 as u32 as RawFd
    }

    /// The generation given to [`Tag::new`].
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// A tag with a meaning of the caller's own. All are free to use but `u64::MAX`, which epoll keeps to itself where
    /// it counts its timeouts by a timer.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag(fd {}, generation {})", self.fd(), self.generation())
    }
}
