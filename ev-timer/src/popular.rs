//! Which timeouts are in heavy use.
//!
//! ```text
//! candidates  [mix(timeout)] = timeout | hits | queue
//! ```
//!
//! Each timeout has one candidate it can be, shared with all timeouts of the same mix. An arming with the candidate's
//! timeout is a hit, one with another timeout undoes a hit, and takes the place when none is left. So a timeout that
//! makes up most of what meets in its place gathers hits, however many others come once, and 64 places are enough for
//! the few that make up much of a program's armings. One that has gathered enough asks for a queue.
//!
//! 1. A candidate with hits stands where its timeout is looked for.
//! 2. A candidate's queue has the candidate's timeout. (The queue is not put to another use while it is referred to.)

use alloc::vec::Vec;

const PLACES: usize = 64;
/// Hits at which a timeout asks for a queue.
const ENOUGH: u32 = 16;
/// Hits are not counted further, so that a timeout gone out of use gives way soon.
const MOST: u32 = 256;
const NO_QUEUE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    timeout: u64,
    hits: u32,
    queue: u32,
}

const _: () = assert!(size_of::<Candidate>() == 16);

/// What is to be done with a timer of some timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// Nothing special.
    Light,
    /// The timeout deserves a queue: answer with [`Popular::assign`] or [`Popular::refuse`].
    Heavy,
    /// This is its queue.
    Queue(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Popular {
    /// Empty until the first use, then `PLACES` of them.
    candidates: Vec<Candidate>,
}

impl Popular {
    pub(crate) const fn new() -> Self {
        Self { candidates: Vec::new() }
    }

    /// Counts one use of a timeout.
    #[inline]
    pub(crate) fn note(&mut self, timeout: u64) -> Use {
        let Some(candidate) = self.candidates.get_mut(place(timeout)) else {
            self.prepare();
            return Use::Light;
        };
        if candidate.timeout != timeout {
            if candidate.hits == 0 {
                *candidate = Candidate {
                    timeout,
                    hits: 1,
                    queue: NO_QUEUE,
                };
            } else {
                candidate.hits -= 1;
            }
            return Use::Light;
        }
        candidate.hits = MOST.min(candidate.hits + 1);
        match candidate.queue {
            NO_QUEUE if candidate.hits < ENOUGH => Use::Light,
            NO_QUEUE => Use::Heavy,
            queue => Use::Queue(queue),
        }
    }

    /// Makes the places; if there is no memory for them, every use is light.
    #[cold]
    #[inline(never)]
    fn prepare(&mut self) {
        if self.candidates.try_reserve_exact(PLACES).is_ok() {
            // Timeout 0 stands in every place; in all but its own it has no hits and is not found there.
            self.candidates.resize(
                PLACES,
                Candidate {
                    timeout: 0,
                    hits: 0,
                    queue: NO_QUEUE,
                },
            );
        }
    }

    /// Gives the timeout, which has just been noted, a queue.
    pub(crate) fn assign(&mut self, timeout: u64, queue: u32) {
        self.candidates[place(timeout)].queue = queue;
    }

    /// Makes the timeout, which has just been noted, gather hits anew.
    pub(crate) fn refuse(&mut self, timeout: u64) {
        self.candidates[place(timeout)].hits = 0;
    }

    /// Whether timers of this timeout are sent to this queue.
    pub(crate) fn sends(&self, timeout: u64, queue: u32) -> bool {
        self.candidates
            .get(place(timeout))
            .is_some_and(|candidate| candidate.queue == queue)
    }

    pub(crate) fn check_invariants(&self, timeout_of: impl Fn(u32) -> Option<u64>) {
        for (at, candidate) in self.candidates.iter().enumerate() {
            assert!(
                candidate.hits == 0 || place(candidate.timeout) == at,
                "1: {candidate:?} at {at}"
            );
            if candidate.queue != NO_QUEUE {
                assert_eq!(timeout_of(candidate.queue), Some(candidate.timeout), "2: {candidate:?}");
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<Candidate>()
    }
}

/// The top bits of the product with 2⁶⁴ ÷ φ: neighbours, and round numbers of milliseconds, are spread evenly.
#[inline]
fn place(timeout: u64) -> usize {
    (timeout.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2())) as usize
}
