//! kqueue's own way to end a wait: `EVFILT_USER`.

use std::io;
use std::sync::Arc;

use ev_sys::kqueue::{Event, Filter, Flags, Kqueue, NOTE_TRIGGER};

/// Ends a wait on a kqueue from any thread, without a descriptor of its own.
///
/// The counterpart of a [`Notifier`](crate::Notifier) for who owns the queue: nothing has to be registered or drained.
/// The wait reports the event's tag, once for all notifications until then. Ask a [`Gate`](crate::Gate) first, as with
/// a notifier, whether there is a wait to end.
///
/// It belongs to its queue. A queue that is opened anew, after `fork` or to be rid of stale registrations, needs a new
/// one; a loop that does not want to mind that takes a notifier, which works with kqueue as well.
///
/// # Portability
///
/// FreeBSD, NetBSD 10, OpenBSD 7.7, macOS; Linux with the feature `libkqueue`.
#[derive(Debug)]
pub struct UserEvent {
    queue: Arc<Kqueue>,
    ident: usize,
    tag: usize,
}

impl UserEvent {
    /// Registers a user event with `queue`. `ident` tells it from other user events of the queue; `tag` is what its
    /// reports carry.
    ///
    /// # Errors
    ///
    /// The kernel's: `EINVAL` where it has no user events.
    pub fn new(queue: Arc<Kqueue>, ident: usize, tag: usize) -> io::Result<Self> {
        let event = Self { queue, ident, tag };
        event.change(Flags::ADD | Flags::CLEAR, 0)?;
        Ok(event)
    }

    /// Ends the wait on the queue, or the next one if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// The kernel's. None is known for a queue in working order.
    pub fn notify(&self) -> io::Result<()> {
        self.change(Flags::empty(), NOTE_TRIGGER)
    }

    fn change(&self, flags: Flags, fflags: u32) -> io::Result<()> {
        let event = Event::new(self.ident, Filter::USER, flags)
            .with_fflags(fflags)
            .with_udata(self.tag);
        self.queue.kevent(&[event], &mut [], None).map(drop)
    }
}

impl Drop for UserEvent {
    fn drop(&mut self) {
        // The number of an inherited queue may be another queue's by now.
        if !self.queue.is_inherited() {
            // A queue that does not know it any more has forgotten it already.
            let _ = self.change(Flags::DELETE, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const TAG: usize = 7;

    fn tags(queue: &Kqueue, timeout: Option<Duration>) -> Vec<usize> {
        let mut events = [Event::new(0, Filter::USER, Flags::empty()); 4];
        let count = queue.kevent(&[], &mut events, timeout).unwrap();
        events[..count].iter().map(Event::udata).collect()
    }

    #[test]
    fn notifications_until_the_wait_are_one_report() {
        let queue = Arc::new(Kqueue::new().unwrap());
        let event = UserEvent::new(Arc::clone(&queue), 0, TAG).unwrap();
        assert_eq!(tags(&queue, Some(Duration::ZERO)), [0; 0]);
        event.notify().unwrap();
        event.notify().unwrap();
        assert_eq!(tags(&queue, None), [TAG]);
        assert_eq!(tags(&queue, Some(Duration::ZERO)), [0; 0], "there is nothing to drain");
    }

    #[test]
    fn a_wait_in_another_thread_ends() {
        let queue = Arc::new(Kqueue::new().unwrap());
        let event = UserEvent::new(Arc::clone(&queue), 0, TAG).unwrap();
        let sleeper = thread::spawn(move || tags(&queue, None));
        event.notify().unwrap();
        assert_eq!(sleeper.join().unwrap(), [TAG]);
    }

    #[test]
    fn a_dropped_event_is_silent() {
        let queue = Arc::new(Kqueue::new().unwrap());
        let event = UserEvent::new(Arc::clone(&queue), 0, TAG).unwrap();
        event.notify().unwrap();
        drop(event);
        assert_eq!(tags(&queue, Some(Duration::ZERO)), [0; 0]);
    }
}
