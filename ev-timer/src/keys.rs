//! The keys of timers that have none in the heap, or a later one than there.
//!
//! ```text
//! id      0                      1
//!         deadline | sequence    deadline | sequence    ..
//! ```
//!
//! One array, 12 bytes an id. It is there only once a timer was put in a queue, or pushed back in the heap. What it says of
//! other timers means nothing.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::Time;
use crate::key::Key;
use crate::slots::{give_back, grow, try_grow};

#[derive(Clone, Debug)]
pub(crate) struct Keys {
    by_id: Vec<PackedKey>,
}

/// A [`Key`] in twelve bytes.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct PackedKey {
    deadline: Time,
    sequence: u32,
}

const _: () = assert!(size_of::<PackedKey>() == 12);

impl PackedKey {
    const NONE: Self = Self {
        deadline: Time::ZERO,
        sequence: 0,
    };
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { by_id: Vec::new() }
    }

    /// Whether there is room for the key of this timer.
    #[inline]
    pub(crate) fn has_room(&self, id: u32) -> bool {
        (id as usize) < self.by_id.len()
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn try_make_room(&mut self, ids: usize) -> Result<(), TryReserveError> {
        try_grow(&mut self.by_id, ids)?;
        self.make_room(ids);
        Ok(())
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn make_room(&mut self, ids: usize) {
        if ids > self.by_id.len() {
            grow(&mut self.by_id, ids);
            self.by_id.resize(ids, PackedKey::NONE);
        }
    }

    /// The key that was set last, if there is room for any.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<Key> {
        self.by_id
            .get(id as usize)
            .map(|&PackedKey { deadline, sequence }| Key { deadline, sequence })
    }

    /// The key of a timer that has one here.
    #[inline]
    pub(crate) fn of(&self, id: u32) -> Key {
        let PackedKey { deadline, sequence } = self.by_id[id as usize];
        Key { deadline, sequence }
    }

    /// Sets the key of a timer for which there is room.
    #[inline]
    pub(crate) fn set(&mut self, id: u32, key: Key) {
        let Key { deadline, sequence } = key;
        self.by_id[id as usize] = PackedKey { deadline, sequence };
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }

    /// Cuts the array to the ids below `ids` and gives back memory that was far from being used since the last time.
    pub(crate) fn trim(&mut self, ids: usize) {
        let used = self.by_id.len();
        self.by_id.truncate(ids);
        give_back(&mut self.by_id, used);
    }

    pub(crate) fn shrink_to_fit(&mut self, ids: usize) {
        self.by_id.truncate(ids);
        self.by_id.shrink_to_fit();
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.by_id.capacity() * size_of::<PackedKey>()
    }
}
