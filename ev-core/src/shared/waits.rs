//! Who waits for whom: so that a wait that could never end is refused.
//!
//! A thread that deletes an event waits for the thread that runs the event's callback. If that thread, by way of others,
//! waits for the first one, none would ever go on. The waits under way are a list of pairs; each thread is in it at most
//! once as the one that waits. A wait is over when the callback has returned, and leaves the list then, though the thread
//! that waited may not be awake yet: the next callback may well wait for it.

use std::thread::{self, ThreadId};

use parking_lot::Mutex;

use crate::Error;

struct Wait {
    waiting: ThreadId,
    awaited: ThreadId,
    /// The loop whose callback it is: a thread may run one loop in a callback of another.
    lp: usize,
}

static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

thread_local! {
    static THIS_THREAD: ThreadId = thread::current().id();
}

/// Which thread this is. The standard library counts a reference to the thread for each time that it is asked.
#[inline]
pub(super) fn this_thread() -> ThreadId {
    THIS_THREAD.with(|&id| id)
}

/// Notes that this thread waits for `awaited`, until dropped.
pub(super) struct Waiting {
    waiting: ThreadId,
}

/// Enters a wait of this thread for another one, which runs a callback of the loop that goes by `lp`.
///
/// # Errors
///
/// [`Error::Deadlock`] if the other one waits, directly or not, for this one.
pub(super) fn enter(awaited: ThreadId, lp: usize) -> Result<Waiting, Error> {
    let waiting = this_thread();
    let mut waits = WAITS.lock();
    let mut end = Some(awaited);
    while let Some(thread) = end {
        if thread == waiting {
            return Err(Error::Deadlock);
        }
        end = waits
            .iter()
            .find(|wait| wait.waiting == thread)
            .map(|wait| wait.awaited);
    }
    waits.push(Wait { waiting, awaited, lp });
    Ok(Waiting { waiting })
}

/// The callback that runs in this loop is over: nobody waits for it any more.
pub(super) fn over(lp: usize) {
    WAITS.lock().retain(|wait| wait.lp != lp);
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITS.lock().retain(|wait| wait.waiting != self.waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other() -> ThreadId {
        thread::spawn(|| thread::current().id()).join().unwrap()
    }

    #[test]
    fn a_ring_of_waits_is_refused() {
        let (me, a, b) = (thread::current().id(), other(), other());
        let note = |waiting, awaited, lp| WAITS.lock().push(Wait { waiting, awaited, lp });
        assert!(matches!(enter(me, 1), Err(Error::Deadlock)), "for itself");
        drop(enter(a, 1).unwrap());
        note(a, b, 2);
        drop(enter(a, 1).unwrap());
        note(b, me, 3);
        assert!(
            matches!(enter(a, 1), Err(Error::Deadlock)),
            "a waits for b, and b for this thread"
        );
        over(3);
        drop(enter(a, 1).unwrap());
        over(2);
        assert!(WAITS.lock().is_empty());
    }
}
