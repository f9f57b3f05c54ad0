//! Numbers that are the same in each run and in each peer.

use std::time::Duration;

/// A generator of the xorshift family.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    pub(crate) fn micros_below(&mut self, end: usize) -> Duration {
        Duration::from_micros(self.below(end) as u64)
    }

    /// The numbers below `count` in some order.
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for i in 1..count {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// The timeout of event `i` where each has one: 10 to 20 seconds, spread over the events.
pub fn idle_timeout(i: usize) -> Duration {
    Duration::from_secs(10) + Duration::from_micros((i as u64 * 7_919_993) % 10_000_000)
}
