//! Who waits for whom: so that a wait that could never end is refused.
//!
//! A thread that deletes an event waits for the thread that runs the event's callback. If that thread, by way of others,
//! waits for the first one, none would ever go on. The waits under way are a list of pairs; each thread is in it at most
//! once as the one that waits.

use std::thread::{self, ThreadId};

use parking_lot::Mutex;

use crate::Error;

struct Wait {
    waiting: ThreadId,
    awaited: ThreadId,
}

static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

/// Notes that this thread waits for `awaited`, until dropped.
pub(super) struct Waiting {
    waiting: ThreadId,
}

/// Enters a wait of this thread for another one.
///
/// # Errors
///
/// [`Error::Deadlock`] if the other one waits, directly or not, for this one.
pub(super) fn enter(awaited: ThreadId) -> Result<Waiting, Error> {
    let waiting = thread::current().id();
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
    waits.push(Wait { waiting, awaited });
    Ok(Waiting { waiting })
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
        assert!(matches!(enter(me), Err(Error::Deadlock)), "for itself");
        drop(enter(a).unwrap());
        WAITS.lock().push(Wait { waiting: a, awaited: b });
        drop(enter(a).unwrap());
        WAITS.lock().push(Wait {
            waiting: b,
            awaited: me,
        });
        assert!(
            matches!(enter(a), Err(Error::Deadlock)),
            "a waits for b, and b for this thread"
        );
        WAITS.lock().retain(|wait| wait.waiting != a && wait.waiting != b);
    }
}
