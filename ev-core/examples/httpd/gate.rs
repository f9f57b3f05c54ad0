//! How many connections are open, over all threads.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts connections, and calls whoever waits for some to close.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: usize,
    closed: bool,
    bell: Option<Bell>,
}

/// Is rung when at most `at` connections are open.
struct Bell {
    at: usize,
    ring: Box<dyn FnOnce() + Send>,
}

impl Gate {
    /// Counts one connection more.
    pub(crate) fn enter(self: &Arc<Self>) -> Ticket {
        self.lock().open += 1;
        Ticket(Arc::clone(self))
    }

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    /// Has `ring` called, once, when at most `at` connections are open: now or in the thread that closes one. It replaces
    /// what was to be called before.
    pub(crate) fn when(&self, at: usize, ring: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        state.bell = Some(Bell {
            at,
            ring: Box::new(ring),
        });
        ring_if_due(state);
    }

    /// Notes that no more are to be let in. Answers whether that was so already.
    pub(crate) fn close(&self) -> bool {
        mem::replace(&mut self.lock().closed, true)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

fn ring_if_due(mut state: MutexGuard<'_, State>) {
    let open = state.open;
    let bell = state.bell.take_if(|bell| open <= bell.at);
    // Not with the lock held: it may come back here.
    drop(state);
    if let Some(bell) = bell {
        (bell.ring)();
    }
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Gate>);

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        ring_if_due(state);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("at", &self.at).finish_non_exhaustive()
    }
}
