//! The order in which timers fire.

use crate::Time;

/// By deadline; equal deadlines by the order of arming.
///
/// The sequence number of an arming wraps around, so "armed earlier" is told right for armings that lie less than 2³¹
/// apart. Of two timers with the same deadline to the nanosecond and more than two thousand million armings between
/// theirs, either may fire first; nothing else depends on the sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) deadline: Time,
    pub(crate) sequence: u32,
}

impl Key {
    /// After all that are armed.
    pub(crate) const MAX: Self = Self {
        deadline: Time::MAX,
        sequence: 0,
    };

    /// The key of a new arming. `armings` counts them.
    #[inline]
    pub(crate) fn next(deadline: Time, armings: &mut u32) -> Self {
        let sequence = *armings;
        *armings = sequence.wrapping_add(1);
        Self { deadline, sequence }
    }

    /// For tests of structures in which no two deadlines are equal.
    #[cfg(test)]
    pub(crate) fn at(nanos: u64) -> Self {
        Self {
            deadline: Time::from_nanos(nanos),
            sequence: 0,
        }
    }

    #[inline]
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.deadline < other.deadline
            || self.deadline == other.deadline && self.sequence.wrapping_sub(other.sequence).cast_signed() < 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armings_are_ordered_across_the_wrap() {
        let mut armings = u32::MAX - 1;
        let keys = [(); 4].map(|()| Key::next(Time::ZERO, &mut armings));
        assert!(keys.is_sorted_by(|a, b| a.is_before(*b) && !b.is_before(*a)));
        assert_eq!(keys[3].sequence, 1);
        let earlier = Key {
            deadline: Time::ZERO,
            sequence: 9,
        };
        let later = Key {
            deadline: Time::from_nanos(1),
            sequence: 8,
        };
        assert!(earlier.is_before(later) && !later.is_before(earlier) && !later.is_before(later));
    }
}
