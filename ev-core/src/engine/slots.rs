//! The events themselves: a slab of slots, named by index and generation.
//!
//! The slot of an event that was removed is used next, while its memory is at hand. That of an event with a descriptor or a
//! signal that has only left for a while (`Flags::TRANSIENT`) is parked: as long as nobody has needed it, the event finds it by
//! its old key. So a
//! thousand events that come and go in any order stay where they are. When the number of slots would have to grow, and
//! more of them are parked than in use, a parked one is taken instead: the next that a hand comes upon, which goes around
//! over all slots. So looking for them costs little for each, no event is robbed twice in a round, and there are always fewer
//! than twice as many slots as there were events at a time.
//!
//! Payloads are an array of their own. What is done with an event without calling it, such as adding and deleting timers among
//! a hundred thousand, then moves half the memory.
//!
//! Invariants:
//! 1. A vacant slot is on the free list (`target` is the next index), or `PARKED`, or retired.
//! 2. A slot's generation grows by one when its event is removed, so an old key never matches again.
//! 3. The payload of a vacant slot and of an internal event is `None`, and while the event's callback runs.
//! 4. `parked` counts the slots that are `PARKED`, `occupied` those that have an event.

use std::collections::TryReserveError;
use std::num::NonZeroU32;

use bitflags::bitflags;
use ev_backend::{Interest, Mode, Registration};

use super::active::Activation;
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
        /// Has a remembered timeout, see `Engine::timeouts`.
        const TIMEOUT = 1 << 6;
        /// Gets no new deadline when it is called: it became active by the last one, and the next is already set.
        const EXPIRED = 1 << 7;
        /// Nobody can close the descriptor behind the loop's back: changes may wait for the next turn.
        const OWNED = 1 << 8;
        /// The kernel has accepted the descriptor before.
        const ACCEPTED = 1 << 9;
        /// No key leads to it any more, and its payload is the last one.
        const FINALIZING = 1 << 10;
        /// Was activated as deferred work at least once.
        const DEFERRED = 1 << 11;
        /// Exists only while it is pending or active.
        const TRANSIENT = 1 << 12;
        /// Vacant, and its last event may come back.
        const PARKED = 1 << 13;
    }
}

pub(crate) struct Slot {
    generation: NonZeroU32,
    /// Descriptor or signal; in a vacant slot on the free list the next one.
    pub(crate) target: i32,
    pub(crate) flags: Flags,
    pub(crate) interest: Interest,
    pub(crate) mode: Mode,
    pub(crate) activation: Activation,
}

impl Slot {
    /// The key of the event in this slot, of which `index` is the number.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> EventKey {
        EventKey::new(index, self.generation)
    }

    /// Whether a key with this slot's index is that of the event in it, and the event is the user's.
    #[inline]
    fn answers_to(&self, key: EventKey) -> bool {
        self.generation.get() == key.generation() && is_user(self)
    }

    /// As [`answers_to`](Self::answers_to), and the event is not active and has none of these flags.
    #[inline]
    fn is_idle_without(&self, key: EventKey, unwanted: Flags) -> bool {
        self.generation.get() == key.generation()
            && self.flags & USERS.union(unwanted) == Flags::OCCUPIED
            && self.activation.is_idle()
    }

    /// How the event's descriptor is to be watched.
    #[inline]
    pub(crate) fn registration(&self) -> Registration {
        Registration {
            interest: self.interest,
            mode: self.mode,
        }
    }
}

pub(crate) struct Slots<P> {
    entries: Vec<Slot>,
    /// As many.
    payloads: Vec<Option<P>>,
    free: i32,
    parked: usize,
    /// Where to look for a parked slot first.
    hand: usize,
    occupied: usize,
}

impl<P> Slots<P> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            payloads: Vec::new(),
            free: NIL,
            parked: 0,
            hand: 0,
            occupied: 0,
        }
    }

    /// The index of a slot to [`occupy`](Self::occupy), with memory for it.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<u32, Error> {
        if self.free != NIL {
            return Ok(self.free as u32);
        }
        self.grow()
    }

    /// As [`reserve`](Self::reserve), the slot in which the event with this key was, if no other was there since.
    #[inline]
    pub(crate) fn reserve_last(&mut self, key: Option<EventKey>) -> Result<u32, Error> {
        if let Some(key) = key
            && let Some(slot) = self.entries.get(key.index() as usize)
            && slot.flags == Flags::PARKED
            && slot.generation.get() - 1 == key.generation()
        {
            return Ok(key.index());
        }
        self.reserve()
    }

    #[cold]
    fn grow(&mut self) -> Result<u32, Error> {
        let len = self.entries.len();
        let may_grow = self.parked <= self.occupied && len < MAX_EVENTS;
        if may_grow && try_grow(&mut self.entries, len + 1).is_ok() && try_grow(&mut self.payloads, len + 1).is_ok() {
            return Ok(len as u32);
        }
        self.find_parked().ok_or(Error::OutOfMemory)
    }

    /// The next parked slot, going around from the last that was found. O(1) on average if more are parked than in use.
    fn find_parked(&mut self) -> Option<u32> {
        let (before, from) = self.entries.split_at(self.hand.min(self.entries.len()));
        let is_parked = |slot: &Slot| slot.flags == Flags::PARKED;
        let ahead = from.iter().position(is_parked).map(|steps| before.len() + steps);
        let found = ahead.or_else(|| before.iter().position(is_parked))?;
        self.hand = found + 1;
        Some(found as u32)
    }

    /// Fills the slot that was reserved last.
    #[inline]
    pub(crate) fn occupy(
        &mut self,
        index: u32,
        target: i32,
        flags: Flags,
        interest: Interest,
        mode: Mode,
    ) -> &mut Slot {
        self.occupied += 1;
        if index as usize == self.entries.len() {
            self.append();
        }
        let slot = &mut self.entries[index as usize];
        if slot.flags.contains(Flags::PARKED) {
            self.parked -= 1;
        } else {
            self.free = slot.target;
        }
        slot.target = target;
        slot.flags = flags | Flags::OCCUPIED;
        slot.interest = interest;
        slot.mode = mode;
        slot
    }

    /// Puts a vacant slot, for which there is memory, on the free list, which is empty.
    #[cold]
    fn append(&mut self) {
        self.free = self.entries.len() as i32;
        self.payloads.push(None);
        self.entries.push(Slot {
            generation: NonZeroU32::MIN,
            target: NIL,
            flags: Flags::empty(),
            interest: Interest::empty(),
            mode: Mode::Level,
            activation: Activation::NEW,
        });
    }

    /// Empties a slot and ends the life of its keys.
    #[inline]
    pub(crate) fn vacate(&mut self, index: u32) -> Option<P> {
        self.occupied -= 1;
        let slot = &mut self.entries[index as usize];
        let payload = self.payloads[index as usize].take();
        let parks = slot.flags.contains(Flags::TRANSIENT) && slot.flags.intersects(Flags::IO | Flags::SIGNAL);
        slot.flags = Flags::empty();
        // A slot whose generations are used up stays vacant for ever.
        let Some(next) = slot.generation.checked_add(1) else {
            return payload;
        };
        slot.generation = next;
        if parks {
            slot.flags = Flags::PARKED;
            self.parked += 1;
        } else {
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
            Some(slot) if slot.answers_to(key) => Ok(key.index()),
            _ => Err(Error::Stale),
        }
    }

    /// Whether the key is not stale, and the event is not active and has none of these flags.
    #[inline]
    pub(crate) fn is_idle_without(&self, key: EventKey, unwanted: Flags) -> bool {
        self.entries
            .get(key.index() as usize)
            .is_some_and(|slot| slot.is_idle_without(key, unwanted))
    }

    /// The event's payload, and where it belongs.
    #[inline]
    pub(crate) fn payload(&mut self, index: u32) -> &mut Option<P> {
        &mut self.payloads[index as usize]
    }

    /// As [`payload`](Self::payload), if there is a slot with this index.
    #[inline]
    pub(crate) fn payload_at(&mut self, index: u32) -> Option<&mut Option<P>> {
        self.payloads.get_mut(index as usize)
    }

    /// As [`payload`](Self::payload), if the key is not stale; see [`find`](Self::find).
    #[inline]
    pub(crate) fn find_payload(&self, key: EventKey) -> Result<Option<&P>, Error> {
        let index = self.find(key)?;
        Ok(self.payloads[index as usize].as_ref())
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &Slot {
        &self.entries[index as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.entries[index as usize]
    }

    /// The slot, if there is one with this index.
    #[inline]
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Slot> {
        self.entries.get_mut(index as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.occupied
    }

    /// One more than the largest index there ever was.
    pub(crate) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Checks the module's invariants 1 and 4.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut listed = vec![false; self.entries.len()];
        let mut at = self.free;
        while let Some(slot) = self.entries.get(at as usize) {
            assert!(
                !std::mem::replace(&mut listed[at as usize], true),
                "1: on the list once"
            );
            assert!(slot.flags.is_empty(), "1: what is on the list is vacant");
            at = slot.target;
        }
        let with = |flags| self.entries.iter().filter(|slot| slot.flags.contains(flags)).count();
        assert_eq!(with(Flags::PARKED), self.parked, "4: parked slots are counted");
        assert_eq!(with(Flags::OCCUPIED), self.occupied, "4: events are counted");
        for (slot, listed) in self.entries.iter().zip(listed) {
            let is_retired = slot.generation == NonZeroU32::MAX;
            assert!(
                listed || is_retired || !slot.flags.is_empty(),
                "1: a vacant slot can be had"
            );
        }
    }

    /// Keys of all events that keys lead to.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EventKey> + '_ {
        let occupied = self.entries.iter().enumerate().filter(|(_, slot)| is_user(slot));
        occupied.map(|(index, slot)| EventKey::new(index as u32, slot.generation))
    }
}

/// Makes room for `len` elements in all. An array grows by half its length at least: that costs O(1) for each element, and
/// leaves a third of the memory unused at most.
pub(super) fn try_grow<T>(array: &mut Vec<T>, len: usize) -> Result<(), TryReserveError> {
    if len <= array.capacity() {
        return Ok(());
    }
    let (more, usual) = (len - array.len(), 4 + array.len() / 2);
    array
        .try_reserve_exact(more.max(usual))
        .or_else(|_| array.try_reserve_exact(more))
}

/// The flags that tell whether an event is the user's.
const USERS: Flags = Flags::OCCUPIED.union(Flags::INTERNAL).union(Flags::FINALIZING);

/// Whether there is an event in the slot that is the user's: not one of the library's own, nor one that is finalized.
fn is_user(slot: &Slot) -> bool {
    slot.flags & USERS == Flags::OCCUPIED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occupy(slots: &mut Slots<&'static str>, payload: &'static str) -> EventKey {
        let index = slots.reserve().unwrap();
        fill(slots, index, Flags::empty(), payload)
    }

    fn fill(slots: &mut Slots<&'static str>, index: u32, flags: Flags, payload: &'static str) -> EventKey {
        slots.occupy(index, 0, flags, Interest::empty(), Mode::Level);
        *slots.payload(index) = Some(payload);
        slots.key(index)
    }

    fn return_to_last(slots: &mut Slots<&'static str>, last: Option<EventKey>) -> EventKey {
        let index = slots.reserve_last(last).unwrap();
        fill(slots, index, Flags::TRANSIENT | Flags::IO, "transient")
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
    fn who_left_for_a_while_finds_the_old_place() {
        let mut slots = Slots::new();
        let keys = [(); 4].map(|()| return_to_last(&mut slots, None));
        for key in [2, 0, 3, 1].map(|n| keys[n]) {
            slots.vacate(key.index());
        }
        for key in keys {
            let again = return_to_last(&mut slots, Some(key));
            assert_eq!(again.index(), key.index());
            assert_ne!(again, key);
            assert!(slots.find(key).is_err());
        }
        assert_eq!(occupy(&mut slots, "fifth").index(), 4);
    }

    #[test]
    fn a_place_that_was_taken_is_not_found() {
        let mut slots = Slots::new();
        let keys = [(); 3].map(|()| return_to_last(&mut slots, None));
        for key in keys {
            slots.vacate(key.index());
        }
        let other = return_to_last(&mut slots, None);
        let robbed = keys.into_iter().find(|key| key.index() == other.index());
        let robbed = robbed.expect("there was a vacant slot");
        let moved = return_to_last(&mut slots, Some(robbed));
        assert_ne!(moved.index(), robbed.index());
        slots.vacate(other.index());
        assert_ne!(occupy(&mut slots, "third").index(), moved.index());
        assert!(slots.find(robbed).is_err());
    }

    #[test]
    fn each_newcomer_takes_one_place_and_no_more() {
        let mut slots = Slots::new();
        let keys = [(); 8].map(|()| return_to_last(&mut slots, None));
        for key in keys {
            slots.vacate(key.index());
        }
        let newcomers = [(); 3].map(|()| occupy(&mut slots, "newcomer").index());
        for key in keys.iter().filter(|key| !newcomers.contains(&key.index())) {
            assert_eq!(return_to_last(&mut slots, Some(*key)).index(), key.index());
        }
        assert_eq!(slots.capacity(), 8);
        slots.check_invariants();
    }

    #[test]
    fn the_list_has_every_vacant_slot_in_whatever_order_they_come_and_go() {
        let mut slots = Slots::new();
        let mut keys: Vec<_> = (0..8).map(|_| Some(return_to_last(&mut slots, None))).collect();
        let mut last = [None; 8];
        let mut random = 1u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 16) as usize % 8;
            match keys[at].take() {
                Some(key) => {
                    slots.vacate(key.index());
                    last[at] = (random >> 30 != 0).then_some(key);
                }
                None => keys[at] = Some(return_to_last(&mut slots, last[at].take())),
            }
            for key in keys.iter().flatten() {
                assert_eq!(slots.find(*key).ok(), Some(key.index()));
            }
            slots.check_invariants();
        }
        assert!(
            slots.capacity() < 16,
            "fewer than twice as many as there were at a time"
        );
    }

    #[test]
    fn a_slot_is_a_quarter_of_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 16);
    }
}
