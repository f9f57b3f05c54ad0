//! How a loop answers to notifies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts the notifies that a loop has come to, for the thread that sent them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo(Arc<State>);

#[derive(Debug, Default)]
struct State {
    answers: AtomicUsize,
    last: AtomicBool,
}

impl Echo {
    /// What a loop does when it was notified. The answer is whether it is to stop.
    #[inline]
    pub(crate) fn answer(&self) -> bool {
        self.0.answers.fetch_add(1, Ordering::Release);
        self.0.last.load(Ordering::Relaxed)
    }

    pub(crate) fn answers(&self) -> usize {
        self.0.answers.load(Ordering::Acquire)
    }

    /// The next notify is the last one.
    pub(crate) fn end(&self) {
        self.0.last.store(true, Ordering::SeqCst);
    }
}
