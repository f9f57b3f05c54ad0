//! The keys of timers that have none in the heap, or a later one than there.
//!
//! ```text
//! id      0                      1
//!         deadline | sequence    deadline | sequence    ..
//! ```
//!
//! One array, 12 bytes an id. It is there only once a timer was put in a queue, or pushed back in the heap. What it says of
//! other timers means nothing.

use crate::Time;
use crate::by_id::ById;
use crate::key::Key;

pub(crate) type Keys = ById<PackedKey>;

/// A [`Key`] in twelve bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(Rust, packed(4))]
pub(crate) struct PackedKey {
    deadline: Time,
    sequence: u32,
}

const _: () = assert!(size_of::<PackedKey>() == 12);

impl Keys {
    /// The key that was set last, if there is room for any.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<Key> {
        self.element(id)
            .map(|&PackedKey { deadline, sequence }| Key { deadline, sequence })
    }

    /// The key of a timer that has one here.
    #[inline]
    pub(crate) fn of(&self, id: u32) -> Key {
        let PackedKey { deadline, sequence } = self[id];
        Key { deadline, sequence }
    }

    /// Sets the key of a timer for which there is room.
    #[inline]
    pub(crate) fn set(&mut self, id: u32, key: Key) {
        let Key { deadline, sequence } = key;
        self[id] = PackedKey { deadline, sequence };
    }
}
