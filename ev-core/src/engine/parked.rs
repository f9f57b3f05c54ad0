//! A set of slots, of which any will do: that of vacant slots whose last event may come back.
//!
//! ```text
//! words  [0] 0110…  [1] 0000…  [2] 1000…      a bit a slot
//!                    └ start: where the next search begins
//! ```
//!
//! Invariants:
//! 1. `len` is the number of bits that are set.
//! 2. `start` is the number of a word, or zero.

use std::collections::TryReserveError;

pub(crate) struct Parked {
    words: Vec<u64>,
    len: usize,
    start: usize,
}

impl Parked {
    pub(crate) const fn new() -> Self {
        Self {
            words: Vec::new(),
            len: 0,
            start: 0,
        }
    }

    /// Makes room for this slot and all before it.
    pub(crate) fn try_reserve(&mut self, index: u32) -> Result<(), TryReserveError> {
        let needed = index as usize / 64 + 1;
        if let Some(missing) = needed.checked_sub(self.words.len()) {
            self.words.try_reserve(missing)?;
            self.words.resize(needed, 0);
        }
        Ok(())
    }

    /// Puts in a slot that is not in the set, and for which there is room.
    #[inline]
    pub(crate) fn insert(&mut self, index: u32) {
        self.words[index as usize / 64] |= 1 << (index % 64);
        self.len += 1;
    }

    /// Takes out a slot of the set.
    #[inline]
    pub(crate) fn remove(&mut self, index: u32) {
        self.words[index as usize / 64] &= !(1 << (index % 64));
        self.len -= 1;
    }

    /// Some slot of the set, the same one as long as it stays there. Looks at a bit for every slot that there is, at most.
    pub(crate) fn find(&mut self) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let (before, after) = self.words.split_at(self.start);
        let mut words = (self.start..).zip(after).chain((0..).zip(before));
        let (number, word) = words.find(|&(_, &word)| word != 0)?;
        let index = (64 * number) as u32 + word.trailing_zeros();
        self.start = number;
        Some(index)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let is_in = |&index: &u32| self.words[index as usize / 64] & 1 << (index % 64) != 0;
        (0..64 * self.words.len() as u32).filter(is_in)
    }

    /// Checks the module's invariants.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.iter().count(), self.len, "1: `len` counts the bits");
        assert!(self.start == 0 || self.start < self.words.len(), "2: `start` is a word");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_found_wherever_the_search_begins() {
        let mut parked = Parked::new();
        assert_eq!(parked.find(), None);
        let indices = [200, 3, 64, 130, 63];
        for index in indices {
            parked.try_reserve(index).unwrap();
            parked.insert(index);
        }
        parked.check_invariants();
        let mut found = vec![];
        while let Some(index) = parked.find() {
            assert_eq!(parked.find(), Some(index), "it is still there");
            parked.remove(index);
            parked.check_invariants();
            found.push(index);
            // One that comes back before the place of the search is found in the end.
            if index == 130 {
                parked.insert(5);
            }
        }
        found.sort_unstable();
        assert_eq!(found, [3, 5, 63, 64, 130, 200]);
    }
}
