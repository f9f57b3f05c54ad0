//! Messages to a loop: the mailbox behind the gate. The inbox does what ev-core's does.

use ev_thread::{Admission, Gate, Mailbox, Wake, Woken};
use loom::model;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::notifier::Notifier;
use super::up_to_three_preemptions;

pub(super) struct Inbox<T> {
    pub(super) mailbox: Mailbox<T>,
    pub(super) notifier: Notifier,
    gate: Gate,
    writes: AtomicUsize,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        Self {
            mailbox: Mailbox::new(),
            notifier: Notifier::new(),
            gate: Gate::new(),
            writes: AtomicUsize::new(0),
        }
    }

    pub(super) fn send(&self, message: T) -> Result<(), T> {
        self.mailbox.push(message)?;
        self.wake();
        Ok(())
    }

    pub(super) fn wake(&self) {
        if self.gate.notify() == Wake::Write {
            self.writes.fetch_add(1, Ordering::Relaxed);
            self.notifier.notify();
        }
    }

    pub(super) fn sleep(&self) {
        if self.gate.begin_wait(None) == Admission::Sleep {
            self.notifier.wait();
        }
        let _ = self.gate.end_wait();
    }

    /// A sleep that a signal or a ready descriptor ends: at any moment, as others run before or after that.
    fn interrupted_sleep(&self) -> Woken {
        let _ = self.gate.begin_wait(None);
        self.gate.end_wait()
    }

    /// What the loop does after its wait. The backend reports the notifier, and it is drained, after the messages.
    pub(super) fn take(&self) -> Vec<T> {
        let mut taken = Vec::new();
        self.mailbox.take_all(&mut taken);
        self.notifier.drain();
        taken
    }
}

fn send<T: Send + 'static>(inbox: &Arc<Inbox<T>>, message: T) -> thread::JoinHandle<Result<(), T>> {
    let inbox = Arc::clone(inbox);
    thread::spawn(move || inbox.send(message))
}

#[test]
fn a_message_ends_the_sleep() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        let sender = send(&inbox, 1);
        let mut taken = Vec::new();
        while taken.is_empty() {
            inbox.sleep();
            taken = inbox.take();
        }
        assert_eq!(taken, [1]);
        assert!(inbox.mailbox.is_empty());
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_message_is_not_lost_on_an_interrupted_sleep() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        let sender = send(&inbox, 1);
        let _ = inbox.interrupted_sleep();
        let mut taken = inbox.take();
        while taken.is_empty() {
            inbox.sleep();
            taken = inbox.take();
        }
        assert_eq!(taken, [1]);
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn each_of_two_messages_is_taken_once() {
    up_to_three_preemptions(|| {
        let inbox = Arc::new(Inbox::new());
        let senders = [send(&inbox, 1), send(&inbox, 2)];
        let mut taken = Vec::new();
        while taken.len() < 2 {
            inbox.sleep();
            taken.extend(inbox.take());
        }
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        assert!(inbox.mailbox.is_empty());
        for sender in senders {
            sender.join().unwrap().unwrap();
        }
    });
}

#[test]
fn what_was_sent_before_is_taken_back_and_the_rest_is_taken() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        let sender = send(&inbox, 2);
        inbox.send(1).unwrap();
        assert_eq!(inbox.mailbox.retain(|&message| message != 1), 1);
        let mut taken = Vec::new();
        while taken.is_empty() {
            inbox.sleep();
            taken = inbox.take();
        }
        assert_eq!(taken, [2]);
        assert!(inbox.mailbox.is_empty());
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_message_to_a_loop_that_does_not_run_is_found_without_a_write() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        send(&inbox, 1).join().unwrap().unwrap();
        inbox.sleep();
        assert_eq!(inbox.take(), [1]);
        assert_eq!(inbox.writes.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_message_sent_during_shutdown_is_taken_or_given_back() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        let sender = send(&inbox, 1);
        let mut taken = Vec::new();
        if inbox.interrupted_sleep() == Woken::Notified {
            assert!(!inbox.mailbox.is_empty());
            taken = inbox.take();
            assert_eq!(taken, [1]);
        }
        taken.extend(inbox.mailbox.close());
        assert!(inbox.mailbox.is_empty());
        taken.extend(sender.join().unwrap().err());
        assert_eq!(taken, [1]);
        assert!(inbox.mailbox.is_empty());
    });
}

#[test]
fn a_sender_may_be_the_last_to_know_the_inbox() {
    model(|| {
        let inbox = Arc::new(Inbox::new());
        let message = Arc::new(());
        let sender = send(&inbox, Arc::clone(&message));
        let _ = inbox.interrupted_sleep();
        drop(inbox.take());
        drop(inbox.mailbox.close());
        drop(inbox);
        drop(sender.join().unwrap());
        assert_eq!(Arc::strong_count(&message), 1);
    });
}
