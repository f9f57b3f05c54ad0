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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    /// A gate with so many connections, and a bell that is to ring at `at`.
    fn gate(open: usize, at: usize) -> (Vec<Ticket>, Receiver<()>) {
        let gate = Arc::new(Gate::default());
        let tickets = (0..open).map(|_| gate.enter()).collect();
        let (ring, rung) = mpsc::channel();
        gate.when(at, move || ring.send(()).unwrap());
        (tickets, rung)
    }

    #[test]
    fn the_bell_rings_once_when_enough_have_left() {
        let (mut tickets, rung) = gate(3, 1);
        tickets.pop();
        assert!(rung.try_recv().is_err());
        tickets.pop();
        rung.try_recv().unwrap();
        tickets.pop();
        assert!(rung.try_recv().is_err());
    }

    #[test]
    fn the_bell_rings_at_once_when_enough_have_left_already() {
        let (_tickets, rung) = gate(2, 2);
        rung.try_recv().unwrap();
    }

    #[test]
    fn whoever_rings_may_use_the_gate() {
        let gate = Arc::new(Gate::default());
        let ticket = gate.enter();
        let (ring, rung) = mpsc::channel();
        let own = Arc::clone(&gate);
        gate.when(0, move || ring.send(own.open()).unwrap());
        drop(ticket);
        assert_eq!(rung.try_recv(), Ok(0));
    }

    #[test]
    fn a_gate_closes_once() {
        let gate = Gate::default();
        assert!(!gate.is_closed());
        assert!(!gate.close());
        assert!(gate.is_closed() && gate.close());
    }
}
