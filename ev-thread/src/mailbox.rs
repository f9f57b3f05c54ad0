//! A queue with many senders and one receiver that takes all at once.

use std::mem;

use crate::sync::{AtomicBool, Mutex, Ordering};

/// What other threads leave for a loop: many push, one takes all at once.
///
/// Items come out in the order in which they went in. The receiver lends an empty buffer and gets the full one, so that
/// two buffers go back and forth and nothing is allocated in steady state. Pushing does not wake anyone: call
/// [`Waker::wake`](crate::Waker::wake) afterwards.
///
/// For a few items a turn. Where every nanosecond of a push counts, or the queue must be bounded, take a channel made
/// for that.
///
/// ```
/// use ev_thread::Mailbox;
///
/// let mailbox = Mailbox::new();
/// mailbox.push("one").unwrap();
/// mailbox.push("two").unwrap();
/// let mut buffer = Vec::new();
/// mailbox.take_all(&mut buffer);
/// assert_eq!(buffer, ["one", "two"]);
///
/// assert!(mailbox.close().is_empty());
/// assert_eq!(mailbox.push("three"), Err("three"));
/// ```
#[derive(Debug)]
pub struct Mailbox<T> {
    inbox: Mutex<Inbox<T>>,
    /// Whether `inbox.items` holds anything. Written under the lock, read without.
    occupied: AtomicBool,
}

#[derive(Debug)]
struct Inbox<T> {
    items: Vec<T>,
    closed: bool,
}

impl<T> Mailbox<T> {
    /// An empty, open mailbox.
    pub fn new() -> Self {
        Self {
            inbox: Mutex::new(Inbox {
                items: Vec::new(),
                closed: false,
            }),
            occupied: AtomicBool::new(false),
        }
    }

    /// Puts `item` behind the others.
    ///
    /// # Errors
    ///
    /// Gives `item` back if the mailbox is closed.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(item);
        }
        inbox.items.push(item);
        self.occupied.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Moves all items to the end of `buffer`, in their order. An empty `buffer` is exchanged for the full one, and its
    /// memory serves the next items.
    pub fn take_all(&self, buffer: &mut Vec<T>) {
        if self.is_empty() {
            return;
        }
        let mut inbox = self.inbox.lock();
        if buffer.is_empty() {
            mem::swap(buffer, &mut inbox.items);
        } else {
            buffer.append(&mut inbox.items);
        }
        self.occupied.store(false, Ordering::Relaxed);
    }

    /// Takes back what need not be delivered any more: drops all items that `stays` answers `false` for. The others keep their
    /// order. Returns how many were dropped. An empty mailbox is not locked.
    ///
    /// An item that is pushed meanwhile may be too late to be looked at.
    ///
    /// ```
    /// # let mailbox = ev_thread::Mailbox::new();
    /// for n in 1..=5 {
    ///     mailbox.push(n).unwrap();
    /// }
    /// assert_eq!(mailbox.retain(|n| n % 2 == 1), 2);
    /// assert_eq!(mailbox.close(), [1, 3, 5]);
    /// ```
    ///
    /// # Deadlocks
    ///
    /// If `stays`, or the drop of an item, uses the mailbox, which is locked meanwhile.
    pub fn retain(&self, stays: impl FnMut(&T) -> bool) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut inbox = self.inbox.lock();
        let before = inbox.items.len();
        inbox.items.retain(stays);
        self.occupied.store(!inbox.items.is_empty(), Ordering::Relaxed);
        before - inbox.items.len()
    }

    /// Refuses items from now on and returns those that are there. Closing twice does no harm.
    pub fn close(&self) -> Vec<T> {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        self.occupied.store(false, Ordering::Relaxed);
        mem::take(&mut inbox.items)
    }

    /// Whether there is nothing to take: one load, no lock.
    ///
    /// A push that is ordered before the call, as by a [`Waker`](crate::Waker), is seen. One that is under way may be
    /// missed; its sender has yet to wake the loop.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: the items themselves are read under the lock.
        !self.occupied.load(Ordering::Relaxed)
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn two_buffers_go_back_and_forth() {
        let mailbox = Mailbox::new();
        let mut buffer = Vec::with_capacity(8);
        let mut seen = Vec::new();
        for round in 0..6 {
            for item in 0..8 {
                mailbox.push((round, item)).unwrap();
            }
            mailbox.take_all(&mut buffer);
            assert_eq!(buffer, (0..8).map(|item| (round, item)).collect::<Vec<_>>());
            seen.push(buffer.as_ptr());
            buffer.clear();
        }
        assert_ne!(seen[0], seen[1]);
        for round in 2..6 {
            assert_eq!(seen[round], seen[round - 2]);
        }
    }

    #[test]
    fn what_the_buffer_holds_stays_in_front() {
        let mailbox = Mailbox::new();
        let mut buffer = vec![1];
        mailbox.take_all(&mut buffer);
        mailbox.push(2).unwrap();
        mailbox.push(3).unwrap();
        assert!(!mailbox.is_empty());
        mailbox.take_all(&mut buffer);
        assert!(mailbox.is_empty());
        assert_eq!(buffer, [1, 2, 3]);
    }

    #[test]
    fn what_is_taken_back_is_not_taken() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.retain(|_| panic!("there is nothing to ask about")), 0);
        (1..=6).for_each(|n| mailbox.push(n).unwrap());
        assert_eq!(mailbox.retain(|n| n % 3 != 0), 2);
        assert!(!mailbox.is_empty());
        let mut buffer = Vec::new();
        mailbox.take_all(&mut buffer);
        assert_eq!(buffer, [1, 2, 4, 5]);
        mailbox.push(7).unwrap();
        assert_eq!(mailbox.retain(|_| false), 1);
        assert!(mailbox.is_empty());
        mailbox.push(8).unwrap();
        assert_eq!(mailbox.close(), [8]);
    }

    #[test]
    fn a_closed_mailbox_refuses_and_keeps_nothing() {
        let mailbox = Mailbox::new();
        mailbox.push(1).unwrap();
        mailbox.push(2).unwrap();
        assert_eq!(mailbox.close(), [1, 2]);
        assert!(mailbox.is_empty());
        assert_eq!(mailbox.push(3), Err(3));
        assert_eq!(mailbox.close(), []);
        let mut buffer = Vec::new();
        mailbox.take_all(&mut buffer);
        assert_eq!(buffer, []);
    }

    #[test]
    fn every_sender_keeps_its_order() {
        const SENDERS: usize = 4;
        const EACH: usize = 10_000;
        let mailbox = Mailbox::new();
        let mut next = [0; SENDERS];
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let mailbox = &mailbox;
                scope.spawn(move || (0..EACH).for_each(|n| mailbox.push((sender, n)).unwrap()));
            }
            let mut buffer = Vec::new();
            while next != [EACH; SENDERS] {
                mailbox.take_all(&mut buffer);
                for (sender, n) in buffer.drain(..) {
                    assert_eq!(n, next[sender]);
                    next[sender] += 1;
                }
                thread::yield_now();
            }
        });
        assert!(mailbox.is_empty());
    }
}
