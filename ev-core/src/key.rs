//! The name by which an event is known.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

/// Identifies one event of one loop for as long as the event exists.
///
/// A key is eight bytes, `Copy`, and never names a second event: a slot that is used again has a new generation, and a
/// slot whose generations are used up is retired. Using the key of a removed event is [`Error::Stale`](crate::Error),
/// never undefined and never an event that came later. The order of keys is no order of the events. Do not give a loop the key of another loop's event: it may be the
/// key of one of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The generation above the index: one word, so that a key and its causes travel in two registers.
    bits: NonZeroU64,
}

impl EventKey {
    #[inline]
    pub(crate) const fn new(index: u32, generation: NonZeroU32) -> Self {
        let generation = (generation.get() as u64) << 32;
        match NonZeroU64::new(generation | index as u64) {
            Some(bits) => Self { bits },
            None => unreachable!(),
        }
    }

    /// The event's slot: small numbers, used again soon, for tables kept beside the loop's.
    ///
    /// Another event may use the slot after this one is removed.
    #[inline]
    #[must_use]
    pub const fn index(self) -> u32 {
        self.bits.get() as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.bits.get() >> 32) as u32
    }

    /// The key as a number, to travel through interfaces that know only numbers.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.bits.get()
    }

    /// The key that [`to_bits`](Self::to_bits) made a number of; `None` for a number that it never makes.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) if bits.get() >> 32 != 0 => Some(Self { bits }),
            _ => None,
        }
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({}v{})", self.index(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back() {
        let key = EventKey::new(7, NonZeroU32::new(3).unwrap());
        assert_eq!(EventKey::from_bits(key.to_bits()), Some(key));
        assert_eq!(EventKey::from_bits(7), None, "generation 0 is never given out");
        assert_eq!(size_of::<Option<EventKey>>(), 8);
    }

    #[test]
    fn a_key_shows_its_index_and_its_generation() {
        let key = EventKey::new(7, NonZeroU32::new(3).unwrap());
        assert_eq!(format!("{key:?}"), "EventKey(7v3)");
    }
}
