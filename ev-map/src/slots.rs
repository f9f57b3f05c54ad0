//! One slot a descriptor, in chunks made on demand.
//!
//! POSIX hands out the lowest free descriptor, so an index is the best of all hashes. The slots come in chunks of 256
//! (4 KiB), found through a directory:
//!
//! ```text
//!  fd 517 = 2 * 256 + 5
//!
//!  directory       0        1        2
//!             ┌────────┬────────┬────────┐
//!             │   ●    │ empty  │   ●    │
//!             └───┼────┴────────┴───┼────┘
//!                 ▼                 ▼
//!             fd 0..=255       fd 512..=767
//! ```
//!
//! Compared with one vector a look-up takes five instructions more, less than a nanosecond. In exchange no slot is
//! ever copied, there is no doubling with its slack, and a descriptor far from the others (`dup2`, `F_DUPFD`) costs one
//! chunk and 8 bytes for every 256 numbers below it: 32 KiB at one million, 32 MiB at [`MAX_FD`], where one vector
//! would take 16 GiB. Chunks stay until the map is dropped, as their generations must not be forgotten.

use std::fmt;
use std::os::fd::RawFd;

use ev_backend::Registration;

use crate::MapError;
use crate::deferred::NOT_DEFERRED;
use crate::links::Head;

/// The highest descriptor: libevent's limit. A greater number is more likely a mistake than a descriptor.
pub(crate) const MAX_FD: RawFd = RawFd::MAX / 2 - 1;

/// Slots in a chunk. A power of two, so that the look-up divides by shifting.
const CHUNK: usize = 256;

/// What is known of one descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Its events.
    pub(crate) head: Head,
    /// The generation of the latest committed change.
    pub(crate) generation: u32,
    /// The link of the queue of deferred changes.
    pub(crate) next_deferred: RawFd,
    /// What the kernel knows.
    pub(crate) told: Option<Registration>,
    /// What it should know: the union of the events' interests, with their mode.
    pub(crate) wanted: Option<Registration>,
}

impl Slot {
    const EMPTY: Self = Self {
        head: Head::EMPTY,
        generation: 0,
        next_deferred: NOT_DEFERRED,
        told: None,
        wanted: None,
    };

    /// Whether it is linked into the queue of deferred changes.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.next_deferred != NOT_DEFERRED
    }
}

// Four slots share a cache line.
const _: () = assert!(size_of::<Slot>() == 16);

/// What is allocated at a time.
type Chunk = [Slot; CHUNK];

/// The slots by descriptor.
pub(crate) struct Slots {
    chunks: Vec<Option<Box<Chunk>>>,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// The slot of `fd`, if there ever was reason to make one.
    #[inline]
    pub(crate) fn get(&self, fd: RawFd) -> Option<&Slot> {
        let (chunk, place) = position(fd);
        self.chunks.get(chunk)?.as_deref()?.get(place)
    }

    /// As [`get`](Self::get), to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, fd: RawFd) -> Option<&mut Slot> {
        let (chunk, place) = position(fd);
        self.chunks.get_mut(chunk)?.as_deref_mut()?.get_mut(place)
    }

    /// The slot of `fd`, made if need be.
    pub(crate) fn reserve(&mut self, fd: RawFd) -> Result<&mut Slot, MapError> {
        if !(0..=MAX_FD).contains(&fd) {
            return Err(MapError::BadFd(fd));
        }
        let (chunk, place) = position(fd);
        if let Some(missing) = (chunk + 1).checked_sub(self.chunks.len()) {
            self.chunks.try_reserve(missing).map_err(|_| MapError::OutOfMemory)?;
            self.chunks.resize_with(chunk + 1, || None);
        }
        let chunk = &mut self.chunks[chunk];
        let slots = match chunk.take() {
            Some(slots) => slots,
            None => new_chunk()?,
        };
        Ok(&mut chunk.insert(slots)[place])
    }

    /// All slots by descriptor.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RawFd, &Slot)> {
        self.chunks.iter().enumerate().flat_map(|(index, chunk)| {
            let first = (index * CHUNK) as RawFd;
            (first..).zip(chunk.iter().flat_map(|slots| slots.iter()))
        })
    }

    /// As [`iter`](Self::iter), to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (RawFd, &mut Slot)> {
        self.chunks.iter_mut().enumerate().flat_map(|(index, chunk)| {
            let first = (index * CHUNK) as RawFd;
            (first..).zip(chunk.iter_mut().flat_map(|slots| slots.iter_mut()))
        })
    }
}

/// Shows the slots that are or were in use.
impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self
            .iter()
            .filter(|(_, slot)| slot.wanted.is_some() || slot.generation != 0);
        f.debug_map().entries(used).finish()
    }
}

/// A chunk of empty slots. `Box::new` would abort where there is no memory.
fn new_chunk() -> Result<Box<Chunk>, MapError> {
    let mut slots = Vec::new();
    slots.try_reserve_exact(CHUNK).map_err(|_| MapError::OutOfMemory)?;
    slots.resize(CHUNK, Slot::EMPTY);
    slots.try_into().map_err(|_| MapError::OutOfMemory)
}

/// The chunk of a descriptor, and its place therein. A negative number has a chunk beyond any directory.
#[inline]
const fn position(fd: RawFd) -> (usize, usize) {
    let index = fd as u32 as usize;
    (index / CHUNK, index % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_chunks_where_they_are_needed() {
        let mut slots = Slots::new();
        for fd in [517, 3, 512] {
            slots.reserve(fd).unwrap().generation = fd as u32;
        }
        assert_eq!(
            slots.chunks.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, true]
        );
        let used: Vec<_> = slots
            .iter()
            .filter(|(_, slot)| slot.generation != 0)
            .map(|(fd, _)| fd)
            .collect();
        assert_eq!(used, [3, 512, 517]);
        assert_eq!(
            format!("{slots:?}").matches("Slot ").count(),
            3,
            "only those in use are shown"
        );
        assert_eq!(slots.get(517).unwrap().generation, 517);
        assert_eq!(slots.get_mut(3).unwrap().generation, 3);
    }

    #[test]
    fn finds_nothing_where_nothing_was_made() {
        let mut slots = Slots::new();
        slots.reserve(600).unwrap();
        for fd in [-1, RawFd::MIN, 0, 511, 768, MAX_FD, RawFd::MAX] {
            assert!(slots.get(fd).is_none());
            assert!(slots.get_mut(fd).is_none());
        }
    }

    #[test]
    fn keeps_a_slot_when_others_are_made() {
        let mut slots = Slots::new();
        slots.reserve(7).unwrap().generation = 9;
        slots.reserve(8).unwrap();
        slots.reserve(70_000).unwrap();
        assert_eq!(slots.reserve(7).unwrap().generation, 9);
    }

    #[test]
    fn a_far_off_descriptor_costs_one_chunk_and_the_directory() {
        let mut slots = Slots::new();
        slots.reserve(MAX_FD).unwrap();
        assert_eq!(slots.chunks.iter().flatten().count(), 1);
        assert!(slots.chunks.capacity() * size_of::<Option<Box<Chunk>>>() <= 32 << 20);
        assert_eq!(
            slots.iter().last().map(|(fd, _)| fd),
            Some(MAX_FD + 1),
            "MAX_FD is the last but one of its chunk"
        );
    }

    #[test]
    fn refuses_what_is_no_descriptor() {
        let mut slots = Slots::new();
        for fd in [-1, RawFd::MIN, RawFd::MAX / 2, RawFd::MAX] {
            assert_eq!(slots.reserve(fd).unwrap_err(), MapError::BadFd(fd));
        }
        assert_eq!(slots.iter().count(), 0);
    }
}
