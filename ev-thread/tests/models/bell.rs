//! Rings that are merged: each is followed by an answer that sees what came before it.

use ev_thread::{Bell, Mailbox};
use loom::model;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

struct Shared {
    bell: Bell,
    mailbox: Mailbox<()>,
    written: AtomicUsize,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bell: Bell::new(),
            mailbox: Mailbox::new(),
            written: AtomicUsize::new(0),
        })
    }

    fn write(&self, value: usize) {
        self.written.store(value, Ordering::Relaxed);
        if self.bell.ring() {
            self.mailbox.push(()).unwrap();
        }
    }

    /// What is read in answer to a message; `None` without one.
    fn answer(&self) -> Option<usize> {
        let mut messages = Vec::new();
        self.mailbox.take_all(&mut messages);
        assert!(messages.len() <= 1, "the second of two rings has to wait for an answer");
        messages.pop()?;
        self.bell.answer();
        Some(self.written.load(Ordering::Relaxed))
    }
}

#[test]
fn the_last_answer_sees_what_came_before_the_last_ring() {
    model(|| {
        let shared = Shared::new();
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.write(1);
                shared.write(2);
            }
        });
        let early = shared.answer();
        writer.join().unwrap();
        // Without a message that is left, the early answer has to have seen it all.
        assert_eq!(shared.answer().or(early), Some(2));
        assert_eq!(shared.answer(), None);
    });
}

/// Whoever takes a message back answers its bell: a ring that comes later is not merged with what is gone.
#[test]
fn a_ring_after_a_message_was_taken_back_leaves_another() {
    model(|| {
        let shared = Shared::new();
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.write(1)
        });
        shared.mailbox.retain(|()| {
            shared.bell.answer();
            false
        });
        shared.write(2);
        writer.join().unwrap();
        assert!(shared.answer().is_some());
        assert_eq!(shared.answer(), None);
    });
}
