//! Notifications that are one, however many they are.

use crate::sync::{AtomicBool, Ordering};

/// Merges notifications: of those that come before the loop has answered, only the first has anything to do.
///
/// Whoever [rings](Self::ring) and is told to be the first sends the loop a message, and the loop [answers](Self::answer)
/// when it comes to that. All others have spent one atomic operation. For events that many threads announce often, where it
/// counts that they were announced and not how often.
///
/// What was written before a ring is visible after the answer that follows it.
///
/// ```
/// use ev_thread::Bell;
///
/// let bell = Bell::new();
/// assert!(bell.ring(), "the first: a message is to be sent");
/// assert!(!bell.ring(), "it is under way already");
/// bell.answer();
/// assert!(bell.ring());
/// ```
#[derive(Debug)]
pub struct Bell {
    rung: AtomicBool,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> Self {
        Self {
            rung: AtomicBool::new(false),
        }
    }

    /// Notifies. Whether this is the first since the last answer, so that the loop has to be told.
    #[inline]
    #[must_use = "the first has to tell the loop"]
    pub fn ring(&self) -> bool {
        // Not a load to see whether a swap is needed: the answer has to find this ring in the order of the bell's values, or
        // what was written before it might be missed.
        !self.rung.swap(true, Ordering::AcqRel)
    }

    /// Takes note of all rings until now. Call it first, then look at what was announced.
    #[inline]
    pub fn answer(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}
