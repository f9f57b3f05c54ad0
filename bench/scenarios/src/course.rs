//! The bytes' way from pipe to pipe, and what callbacks count on it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::Options;
use crate::echo::Echo;

/// What all callbacks do, and count.
///
/// The counters are atomic because the callbacks of some loops have to be `Send`. Only the loop's thread touches them, by
/// plain loads and stores, which cost what they cost on any number.
#[derive(Debug)]
pub struct Course {
    /// The writing ends; the peer has the others.
    writers: Vec<File>,
    read: Counter,
    /// How many reads there are going to be in this round.
    expected: Counter,
    /// Writes left in this round.
    writes: Counter,
    failures: Counter,
    timers_fired: Counter,
    echo: Echo,
    only_count: bool,
    stop_at_end: bool,
}

impl Course {
    /// A course along `writers`, source `i` being the other end of writer `i`.
    pub(crate) fn new(options: &Options, writers: Vec<File>) -> Self {
        Self {
            writers,
            read: Counter::default(),
            expected: Counter::default(),
            writes: Counter::default(),
            failures: Counter::default(),
            timers_fired: Counter::default(),
            echo: Echo::default(),
            only_count: options.ready,
            stop_at_end: options.run,
        }
    }

    /// What the callback of source `i` does: takes a byte and, while there are writes left, passes one on to the next.
    ///
    /// The answer is whether the loop is to stop.
    // The programs in C have it in line as well, and each `ret` after a system call counts.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what is measured is the loop")]
    pub fn pass_on(&self, i: usize, mut source: &File) -> bool {
        if self.only_count {
            self.read.add(1);
            return false;
        }
        let mut byte = [0];
        match source.read(&mut byte) {
            Ok(1) => self.read.add(1),
            _ => self.failures.add(1),
        }
        let writes = self.writes.get();
        if writes == 0 {
            return self.stop_at_end && self.is_done();
        }
        let next = if i + 1 < self.writers.len() { i + 1 } else { 0 };
        if !matches!((&self.writers[next]).write(&byte), Ok(1)) {
            self.failures.add(1);
        }
        self.writes.set(writes - 1);
        self.expected.add(1);
        false
    }

    /// What a timer's callback does.
    #[inline]
    pub fn timer_fired(&self) {
        self.timers_fired.add(1);
    }

    /// What the loop does when it was notified. The answer is whether it is to stop.
    #[inline]
    pub fn answer(&self) -> bool {
        self.echo.answer()
    }

    pub(crate) fn echo(&self) -> Echo {
        self.echo.clone()
    }

    /// Begins a round of so many writes, in which `under_way` bytes travel. Without writes of its own (`ready`) there are
    /// as many reports instead.
    pub(crate) fn start(&self, under_way: usize, writes: usize) {
        self.read.set(0);
        self.expected.set(if self.only_count { writes } else { under_way });
        self.writes.set(writes);
    }

    /// Writes a byte for source `i` to report.
    pub(crate) fn put_byte(&self, i: usize) -> std::io::Result<()> {
        (&self.writers[i]).write_all(b"e")
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.read.get() >= self.expected.get()
    }

    pub(crate) fn reads(&self) -> usize {
        self.read.get()
    }

    pub(crate) fn failures(&self) -> usize {
        self.failures.get()
    }

    pub(crate) fn start_timers(&self) {
        self.timers_fired.set(0);
    }

    pub(crate) fn timers_fired(&self) -> usize {
        self.timers_fired.get()
    }
}

#[derive(Debug, Default)]
struct Counter(AtomicUsize);

impl Counter {
    #[inline]
    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    #[inline]
    fn set(&self, value: usize) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn add(&self, by: usize) {
        self.set(self.get() + by);
    }
}
