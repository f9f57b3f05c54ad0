//! From signals to the events that wait for them.
//!
//! One list a signal, in an array by signal number: the list of signal 1 is the first.
//!
//! # Invariants
//!
//! 1. The members of a signal's list have that signal in their nodes.
//!
//! Those of [`links`](crate::links) come on top.

use crate::MapError;
use crate::links::{Head, Links};

/// Which events wait for which signal.
///
/// It touches no signal handler: [`insert`](Self::insert) and [`remove`](Self::remove) tell when one has to be
/// installed or taken away. Events are dense `u32` ids, as in [`FdMap`](crate::FdMap).
///
/// ```
/// use ev_map::{RemovedSignal, Sharing, SignalMap};
///
/// const SIGTERM: i32 = 15;
/// let mut map = SignalMap::new();
/// assert_eq!(map.insert(SIGTERM, 0)?, Sharing::Alone); // install the handler
/// assert_eq!(map.insert(SIGTERM, 1)?, Sharing::Shared);
///
/// let mut hits = vec![];
/// map.matching(SIGTERM, |id| hits.push(id));
/// assert_eq!(hits, [1, 0], "newest first");
///
/// assert_eq!(map.remove(0), Some(RemovedSignal { signal: SIGTERM, sharing: Sharing::Shared }));
/// assert_eq!(map.remove(1), Some(RemovedSignal { signal: SIGTERM, sharing: Sharing::Alone })); // restore the old one
/// # Ok::<(), ev_map::MapError>(())
/// ```
///
/// # Cost
///
/// All operations take constant time, except [`iter`](Self::iter), which walks all signals. Only
/// [`insert`](Self::insert) allocates: 12 bytes an event, and a vector's slack. The map itself has half a kilobyte.
#[derive(Debug)]
pub struct SignalMap {
    heads: [Head; SignalMap::MAX_SIGNAL as usize],
    /// What is known of an event is its signal.
    links: Links<u8>,
}

// What the documentation says.
const _: () = assert!(Links::<u8>::NODE_SIZE == 12);

/// Whether an event has its signal to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// No other event waits for the signal: after an insertion the handler has to be installed, after a removal the
    /// earlier one restored.
    Alone,
    /// Other events wait for the signal: there is nothing to be done.
    Shared,
}

/// What [`SignalMap::remove`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedSignal {
    /// The signal the event waited for.
    pub signal: i32,
    /// Whether other events go on waiting for it.
    pub sharing: Sharing,
}

impl SignalMap {
    /// The highest signal number that can be on a map: FreeBSD's limit, the highest of all. Linux ends at 64.
    pub const MAX_SIGNAL: i32 = 128;

    /// An empty map. Does not allocate.
    pub const fn new() -> Self {
        Self {
            heads: [Head::EMPTY; Self::MAX_SIGNAL as usize],
            links: Links::new(),
        }
    }

    /// Puts event `id` on `signal`, before the events that are there: newest first is the order of deliveries.
    ///
    /// After [`Sharing::Alone`] the signal's handler has to be installed; [`remove`](Self::remove) the event if that
    /// fails.
    ///
    /// # Errors
    ///
    /// Nothing has changed after an error.
    ///
    /// - [`MapError::BadSignal`]: `signal` is not in 1 ..= [`MAX_SIGNAL`](Self::MAX_SIGNAL). Whether the system has
    ///   this signal, and lets a handler be installed for it, only the system can tell.
    /// - [`MapError::AlreadyOn`]: `id` is on the map already.
    /// - [`MapError::BadId`]: `id` is not below 2³¹ - 1.
    /// - [`MapError::OutOfMemory`].
    #[doc(alias = "evmap_signal_add_")]
    pub fn insert(&mut self, signal: i32, id: u32) -> Result<Sharing, MapError> {
        let head = place(signal)
            .and_then(|place| self.heads.get_mut(place))
            .ok_or(MapError::BadSignal(signal))?;
        let sharing = Sharing::with(*head);
        self.links.push_front(head, id, signal as u8)?;
        Ok(sharing)
    }

    /// Takes event `id` off its signal; `None` if it is on none.
    ///
    /// After [`Sharing::Alone`] the handler is needed no longer.
    #[doc(alias = "evmap_signal_del_")]
    pub fn remove(&mut self, id: u32) -> Option<RemovedSignal> {
        let signal = self.signal_of(id)?;
        let head = self.heads.get_mut(place(signal)?)?;
        self.links.unlink(head, id)?;
        Some(RemovedSignal {
            signal,
            sharing: Sharing::with(*head),
        })
    }

    /// Calls `each` for the events that wait for `signal`, newest first.
    ///
    /// A number that is no signal is one that nobody waits for.
    #[doc(alias = "evmap_signal_active_")]
    pub fn matching(&self, signal: i32, each: impl FnMut(u32)) {
        self.events_on(signal).for_each(each);
    }

    /// The signal that event `id` waits for, if it is on the map.
    pub fn signal_of(&self, id: u32) -> Option<i32> {
        self.links.get(id).copied().map(i32::from)
    }

    /// The events that wait for `signal`, newest first.
    pub fn events_on(&self, signal: i32) -> impl Iterator<Item = u32> {
        let head = place(signal).and_then(|place| self.heads.get(place)).copied();
        self.links.iter(head.unwrap_or(Head::EMPTY)).map(|(id, _)| id)
    }

    /// All events with their signals: by signal, newest first.
    pub fn iter(&self) -> impl Iterator<Item = (i32, u32)> {
        (1..=Self::MAX_SIGNAL).flat_map(|signal| self.events_on(signal).map(move |id| (signal, id)))
    }

    /// The number of events on the map.
    pub const fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether no event is on the map.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asserts the invariants of the map; for tests. Walks all of it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, which is a defect of this crate. The message has the number of the invariant.
    #[doc(alias = "evmap_check_integrity_")]
    pub fn check_invariants(&self) {
        self.links.check_invariants(self.heads.iter().copied());
        for (signal, id) in self.iter() {
            assert_eq!(self.signal_of(id), Some(signal), "1: the signal of event {id}");
        }
    }
}

impl Default for SignalMap {
    fn default() -> Self {
        Self::new()
    }
}

impl Sharing {
    /// How an event shares a signal with the list of `others`.
    fn with(others: Head) -> Self {
        if others.is_empty() { Self::Alone } else { Self::Shared }
    }
}

/// A signal's place in the array; beyond it for what is no signal.
fn place(signal: i32) -> Option<usize> {
    usize::try_from(signal).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    #[test]
    #[should_panic(expected = "1: the signal of event 0")]
    fn sees_a_wrong_signal() {
        let mut map = SignalMap::new();
        map.insert(2, 0).unwrap();
        map.check_invariants();
        map.links.visit_mut(map.heads[1], |signal| {
            *signal = 3;
            ControlFlow::Continue(())
        });
        map.check_invariants();
    }

    #[test]
    #[should_panic(expected = "links 3")]
    fn sees_a_lost_list() {
        let mut map = SignalMap::new();
        map.insert(2, 0).unwrap();
        map.heads[1] = Head::EMPTY;
        map.check_invariants();
    }
}
