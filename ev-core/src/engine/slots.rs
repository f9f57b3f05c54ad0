//! The events themselves: a slab of slots, named by index and generation.
//!
//! Invariants:
//! 1. A vacant slot is either on the free list (`target` is the next index) or retired.
//! 2. A slot's generation grows by one when its event is removed, so an old key never matches again.
//! 3. `payload` is `None` in a vacant slot, in an internal event, and while the event's callback runs.

use std::num::NonZeroU32;

use bitflags::bitflags;
use ev_backend::{Interest, Mode};

use crate::{Error, EventKey};

const NIL: i32 = -1;
/// Indices are kept in an `i32` on the free list.
const MAX_EVENTS: usize = i32::MAX as usize - 1;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u16 {
        const OCCUPIED = 1 << 0;
        /// `target` is a descriptor.
        const IO = 1 << 1;
        /// `target` is a signal.
        const SIGNAL = 1 << 2;
        const PERSISTENT = 1 << 3;
        /// The library's own: not counted, and handled by the engine in place of a callback.
        const INTERNAL = 1 << 4;
        /// In the fd map or the signal map.
        const INSERTED = 1 << 5;
        /// Has a deadline in the timers.
        const TIMED = 1 << 6;
        /// Has a remembered timeout, see `Engine::timeouts`.
        const TIMEOUT = 1 << 7;
        /// Gets no new deadline when it is called: it became active by the last one, and the next is already set.
        const EXPIRED = 1 << 8;
        /// Nobody can close the descriptor behind the loop's back: changes may wait for the next turn.
        const OWNED = 1 << 9;
        /// The kernel has accepted the descriptor before.
        const ACCEPTED = 1 << 10;
        /// No key leads to it any more, and its payload is the last one.
        const FINALIZING = 1 << 11;
        /// Its deadline deletes it, though it is persistent.
        const UNTIL_DUE = 1 << 13;
        /// Was activated as deferred work at least once.
        const DEFERRED = 1 << 12;
    }
}

pub(crate) struct Slot<P> {
    pub(crate) payload: Option<P>,
    generation: NonZeroU32,
    /// Descriptor or signal; in a vacant slot the next vacant one.
    pub(crate) target: i32,
    pub(crate) flags: Flags,
    pub(crate) interest: Interest,
    pub(crate) mode: Mode,
}

impl<P> Slot<P> {
    /// The key of the event in this slot, of which `index` is the number.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> EventKey {
        EventKey::new(index, self.generation)
    }
}

pub(crate) struct Slots<P> {
    entries: Vec<Slot<P>>,
    free: i32,
    occupied: usize,
}

impl<P> Slots<P> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: NIL,
            occupied: 0,
        }
    }

    /// The index that the next [`Slots::occupy`] will use, with memory for it.
    pub(crate) fn reserve(&mut self) -> Result<u32, Error> {
        if self.free != NIL {
            return Ok(self.free as u32);
        }
        if self.entries.len() >= MAX_EVENTS {
            return Err(Error::OutOfMemory);
        }
        self.entries.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        Ok(self.entries.len() as u32)
    }

    /// Fills the slot that [`Slots::reserve`] named.
    pub(crate) fn occupy(&mut self, target: i32, flags: Flags, interest: Interest, mode: Mode) -> u32 {
        self.occupied += 1;
        let flags = flags | Flags::OCCUPIED;
        if self.free == NIL {
            let generation = NonZeroU32::MIN;
            self.entries.push(Slot {
                payload: None,
                generation,
                target,
                flags,
                interest,
                mode,
            });
            return self.entries.len() as u32 - 1;
        }
        let index = self.free as u32;
        let slot = &mut self.entries[index as usize];
        self.free = slot.target;
        *slot = Slot {
            payload: None,
            generation: slot.generation,
            target,
            flags,
            interest,
            mode,
        };
        index
    }

    /// Empties a slot and ends the life of its keys.
    pub(crate) fn vacate(&mut self, index: u32) -> Option<P> {
        self.occupied -= 1;
        let slot = &mut self.entries[index as usize];
        let payload = slot.payload.take();
        slot.flags = Flags::empty();
        // A slot whose generations are used up stays vacant for ever.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            slot.target = self.free;
            self.free = index as i32;
        }
        payload
    }

    #[inline]
    pub(crate) fn key(&self, index: u32) -> EventKey {
        EventKey::new(index, self.entries[index as usize].generation)
    }

    /// The slot's index, if the key is not stale. No key leads to an internal event, nor to one that is finalized.
    #[inline]
    pub(crate) fn find(&self, key: EventKey) -> Result<u32, Error> {
        match self.entries.get(key.index() as usize) {
            Some(slot) if slot.generation.get() == key.generation() && is_user(slot) => Ok(key.index()),
            _ => Err(Error::Stale),
        }
    }

    /// The slot, if the key is not stale; see [`find`](Self::find).
    #[inline]
    pub(crate) fn find_mut(&mut self, key: EventKey) -> Option<&mut Slot<P>> {
        let slot = self.entries.get_mut(key.index() as usize)?;
        (slot.generation.get() == key.generation() && is_user(slot)).then_some(slot)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &Slot<P> {
        &self.entries[index as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Slot<P> {
        &mut self.entries[index as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.occupied
    }

    /// One more than the largest index there ever was.
    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Keys of all events that keys lead to.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EventKey> + '_ {
        let occupied = self.entries.iter().enumerate().filter(|(_, slot)| is_user(slot));
        occupied.map(|(index, slot)| EventKey::new(index as u32, slot.generation))
    }
}

/// Whether there is an event in the slot that is the user's: not one of the library's own, nor one that is finalized.
fn is_user<P>(slot: &Slot<P>) -> bool {
    slot.flags & (Flags::OCCUPIED | Flags::INTERNAL | Flags::FINALIZING) == Flags::OCCUPIED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occupy(slots: &mut Slots<&'static str>, payload: &'static str) -> EventKey {
        let reserved = slots.reserve().unwrap();
        let index = slots.occupy(0, Flags::empty(), Interest::empty(), Mode::Level);
        assert_eq!(index, reserved);
        slots.get_mut(index).payload = Some(payload);
        slots.key(index)
    }

    #[test]
    fn a_reused_slot_has_a_new_key() {
        let mut slots = Slots::new();
        let first = occupy(&mut slots, "first");
        assert_eq!(slots.vacate(first.index()), Some("first"));
        let second = occupy(&mut slots, "second");
        assert_eq!(second.index(), first.index());
        assert!(slots.find(first).is_err());
        assert_eq!(slots.find(second).ok(), Some(second.index()));
    }

    #[test]
    fn every_vacant_slot_is_used_before_there_are_more() {
        let mut slots = Slots::new();
        let keys = [(); 4].map(|()| occupy(&mut slots, "first"));
        for key in keys {
            slots.vacate(key.index());
        }
        let mut indices = keys.map(|_| occupy(&mut slots, "second").index());
        indices.sort_unstable();
        assert_eq!(indices, keys.map(EventKey::index));
    }

    #[test]
    fn a_slot_without_generations_is_retired() {
        let mut slots = Slots::new();
        let first = occupy(&mut slots, "first");
        slots.get_mut(first.index()).generation = NonZeroU32::MAX;
        slots.vacate(first.index());
        let last_key = EventKey::new(first.index(), NonZeroU32::MAX);
        assert!(
            slots.find(last_key).is_err(),
            "vacant, though the generation is the same"
        );
        assert_ne!(occupy(&mut slots, "second").index(), first.index());
    }

    #[test]
    fn a_slot_is_half_a_cache_line() {
        assert_eq!(size_of::<Slot<Box<dyn FnMut()>>>(), 32);
    }
}
