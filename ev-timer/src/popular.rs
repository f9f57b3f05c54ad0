//! Which timeouts are in heavy use.
//!
//! ```text
//! candidates  [mix(timeout)] = timeout | hits | queue
//! ```
//!
//! Each timeout has one candidate it can be, shared with all timeouts of the same mix. An arming with the candidate's
//! timeout is a hit, one with another timeout undoes a hit, and takes the place where none is left. So a timeout that
//! makes up most of what meets in its place gathers hits, however many others come once, and 64 places are enough for
//! the few that make up much of a program's armings. One that has gathered enough asks for a queue. Once it has that, a
//! single arming gives it all the hits there can be.
//!
//! 1. A candidate with hits stands where its timeout is looked for.
//! 2. A candidate's queue has the candidate's timeout. (The queue is not put to another use while it is referred to.)

const PLACES: usize = 64;
/// Hits at which a timeout asks for a queue.
const ENOUGH: u32 = 16;
/// The hits of a timeout that has a queue and was just used: so many armings with others it may miss.
const MOST: u32 = 256;
const NO_QUEUE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    timeout: u64,
    hits: u32,
    queue: u32,
}

const _: () = assert!(size_of::<Candidate>() == 16);

impl Candidate {
    const fn new(timeout: u64) -> Self {
        Self {
            timeout,
            hits: 0,
            queue: NO_QUEUE,
        }
    }
}

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
    candidates: [Candidate; PLACES],
}

impl Popular {
    pub(crate) const fn new() -> Self {
        // Timeout 0 stands in every place; in all but its own it has no hits and is not found there.
        Self {
            candidates: [Candidate::new(0); PLACES],
        }
    }

    /// Counts one use of a timeout. O(1).
    #[inline]
    pub(crate) fn note(&mut self, timeout: u64) -> Use {
        let candidate = &mut self.candidates[place(timeout)];
        if candidate.timeout != timeout {
            // Where every timeout is another, this goes the same way each time.
            match candidate.hits.checked_sub(1) {
                Some(left) => candidate.hits = left,
                None => *candidate = Candidate::new(timeout),
            }
            return Use::Light;
        }
        if candidate.queue != NO_QUEUE {
            candidate.hits = MOST;
            return Use::Queue(candidate.queue);
        }
        candidate.hits += 1;
        if candidate.hits < ENOUGH {
            Use::Light
        } else {
            Use::Heavy
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
        self.candidates[place(timeout)].queue == queue
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
}

/// The top bits of the product with 2⁶⁴ ÷ φ: neighbours, and round numbers of milliseconds and seconds, are spread evenly.
/// The upper half is folded in first, as the multiples of some numbers, a second among them, would share few places.
#[inline]
fn place(timeout: u64) -> usize {
    ((timeout ^ timeout >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    /// After the first use, which takes the place.
    fn prepared() -> Popular {
        let mut popular = Popular::new();
        assert_eq!(popular.note(MILLI), Use::Light);
        popular
    }

    /// Uses the timeout until it is no longer light.
    fn uses_until_heavy(popular: &mut Popular, timeout: u64) -> usize {
        (1..1000).find(|_| popular.note(timeout) != Use::Light).unwrap()
    }

    #[test]
    fn enough_hits_ask_for_a_queue_until_there_is_one() {
        let mut popular = prepared();
        assert_eq!(uses_until_heavy(&mut popular, MILLI), ENOUGH as usize);
        assert_eq!(popular.note(MILLI), Use::Heavy);
        popular.assign(MILLI, 7);
        assert_eq!(popular.note(MILLI), Use::Queue(7));
        assert!(popular.sends(MILLI, 7));
        assert!(!popular.sends(MILLI, 8));
    }

    #[test]
    fn one_that_was_refused_gathers_hits_anew() {
        let mut popular = prepared();
        uses_until_heavy(&mut popular, MILLI);
        popular.refuse(MILLI);
        assert_eq!(uses_until_heavy(&mut popular, MILLI), ENOUGH as usize);
    }

    #[test]
    fn a_timeout_out_of_use_gives_way_soon() {
        let mut popular = prepared();
        let rival = (2..1000)
            .map(|n| n * MILLI)
            .find(|&rival| place(rival) == place(MILLI))
            .unwrap();
        uses_until_heavy(&mut popular, MILLI);
        popular.assign(MILLI, 0);
        for _ in 0..10_000 {
            popular.note(MILLI);
        }
        assert_eq!(uses_until_heavy(&mut popular, rival), (MOST + 1 + ENOUGH) as usize);
    }

    #[test]
    fn round_numbers_and_neighbours_are_spread() {
        for step in [1, 1000, MILLI, 10 * MILLI, 1000 * MILLI] {
            let mut used = [false; PLACES];
            for n in 1..=PLACES as u64 {
                used[place(n * step)] = true;
            }
            let used = used.iter().filter(|used| **used).count();
            assert!(used > PLACES / 2, "{used} places for steps of {step} ns");
        }
    }

    #[test]
    #[should_panic(expected = "1: ")]
    fn sees_a_candidate_out_of_place() {
        let mut popular = prepared();
        popular.candidates[place(MILLI) ^ 1] = Candidate {
            timeout: MILLI,
            hits: 1,
            queue: NO_QUEUE,
        };
        popular.check_invariants(|_| None);
    }

    #[test]
    #[should_panic(expected = "2: ")]
    fn sees_a_queue_of_another_timeout() {
        let mut popular = prepared();
        popular.note(MILLI);
        popular.assign(MILLI, 0);
        popular.check_invariants(|_| Some(2 * MILLI));
    }
}
