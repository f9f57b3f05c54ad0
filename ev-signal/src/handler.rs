//! What runs inside the signal handler, and the nodes that it walks. All `unsafe` of the crate is here.
//!
//! ```text
//! NODES ──► Node ──────────────► Node ──────────────► Node ──► ∅        one per `Signals` with a handler, newest first
//!           owner: pid           owner: 0 (free)      owner: pid
//!           fd: its pipe         fd: -                fd: its pipe
//!           busy: handlers in it busy                 busy
//!           slots[signal]: { watched, count }
//! ```
//!
//! The handler adds 1 to the count of every node that watches the signal and writes a byte to the node's pipe. The count
//! is the delivery, the byte only wakes: a full pipe loses nothing.
//!
//! # Invariants
//!
//! 1. A node is never freed, and its `next` never changes: the handler may walk the list at any time. Nodes whose
//!    `Signals` is gone are used again.
//! 2. While `owner` is this process, and any slot is watched, `fd` is the open, non-blocking writing end of the pipe of
//!    the node's `Signals`, and no other descriptor.
//! 3. A handler uses `fd` and the counts only between adding itself to `busy` and taking itself off, and only after it
//!    has seen, in between, that the slot is watched and that the owner is the calling process.
//! 4. A `Signals` closes its pipe, or gives its node back, only after no slot is watched and then, one moment at least,
//!    `busy` is 0 ([`Node::retire`]). With 3 no handler can write to a descriptor that was closed and reused: a handler
//!    adds itself to `busy` before it looks at the slot, the owner clears the slot before it looks at `busy`, and all
//!    four are sequentially consistent, so one of the two sees the other.
//! 5. `busy` counts only handlers of this process: a node that was inherited over `fork` may have lost threads that were
//!    in it, so it is never used again ([`Node::retire`] says so) and its `busy` is not waited for.
//! 6. The handler takes no lock, allocates nothing, leaves `errno` as it was, and has all signals held off while it
//!    runs. So it ends in bounded time, whatever it has interrupted, and waiting for `busy` ends too: new handlers turn
//!    away at the cleared slot.

use std::io::{self, ErrorKind};
use std::iter;
use std::os::fd::{BorrowedFd, RawFd};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::thread;

use ev_sys::fdio;
use ev_sys::signal::{Action, ActionFlags, ErrnoGuard, NewAction, SigSet};

/// One more than the highest signal number of any system (128 on FreeBSD).
pub(crate) const SIGNALS: usize = 129;

/// No process has this number.
const NOBODY: u32 = 0;

/// All nodes there are.
static NODES: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// What the handler knows of one `Signals`.
pub(crate) struct Node {
    next: Option<&'static Node>,
    owner: AtomicU32,
    fd: AtomicI32,
    busy: AtomicU32,
    slots: [Slot; SIGNALS],
}

struct Slot {
    watched: AtomicBool,
    count: AtomicU32,
}

impl Slot {
    const fn new() -> Self {
        Self {
            watched: AtomicBool::new(false),
            count: AtomicU32::new(0),
        }
    }
}

/// All nodes, newest first.
pub(crate) fn nodes() -> impl Iterator<Item = &'static Node> {
    let newest = NODES.load(Ordering::Acquire);
    // SAFETY: null, or a node that `Node::publish` has initialised, leaked and never changes but through atomics
    // (invariant 1).
    let newest = unsafe { newest.as_ref() };
    iter::successors(newest, |node| node.next)
}

/// The action that delivers a signal to the nodes.
///
/// It runs on the alternate stack where a thread has one, as threads with small stacks of their own need.
pub(crate) fn action() -> NewAction {
    // SAFETY: `handle` does what `signal-safety(7)` allows, restores `errno` and does not unwind (invariant 6); it is
    // part of the program for as long as the program runs.
    unsafe { NewAction::handler(handle, ActionFlags::RESTART | ActionFlags::ONSTACK, &SigSet::full()) }
}

/// Restores the action that [`action`] replaced.
pub(crate) fn restore(replaced: &Action, signal: i32) -> io::Result<()> {
    // SAFETY: the registry keeps each signal's replaced action under that signal. That a handler's code outlives the time
    // for which it is replaced is asked of the user by `Signals::watch`.
    unsafe { replaced.restore(signal) }
}

extern "C" fn handle(signal: i32) {
    let _errno = ErrnoGuard::save();
    let process = process::id();
    for node in nodes() {
        node.deliver(signal, process);
    }
}

impl Node {
    fn new(next: Option<&'static Node>) -> Self {
        Self {
            next,
            owner: AtomicU32::new(NOBODY),
            fd: AtomicI32::new(-1),
            busy: AtomicU32::new(0),
            slots: [const { Slot::new() }; SIGNALS],
        }
    }

    /// Adds a node to the list. Calls must not overlap: the caller holds the registry.
    pub(crate) fn publish() -> &'static Node {
        let node = Box::leak(Box::new(Self::new(nodes().next())));
        NODES.store(node, Ordering::Release);
        node
    }

    fn deliver(&self, signal: i32, process: u32) {
        let Some(slot) = self.slot(signal) else { return };
        // Most nodes do not watch the signal. And a node that is being retired gets no new visitors.
        if !slot.watched.load(Ordering::Relaxed) {
            return;
        }
        self.busy.fetch_add(1, Ordering::SeqCst);
        if slot.watched.load(Ordering::SeqCst) && self.owner.load(Ordering::Relaxed) == process {
            slot.count.fetch_add(1, Ordering::Release);
            self.wake();
        }
        self.busy.fetch_sub(1, Ordering::Release);
    }

    /// Writes a byte to the pipe. Called by `deliver` alone, inside `busy`.
    fn wake(&self) {
        // SAFETY: open by invariants 2 and 3, and not closed before `busy` is left, by invariant 4.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd.load(Ordering::Relaxed)) };
        // A full pipe (`EAGAIN`) is readable, which is all that is wanted.
        while fdio::write(fd, &[0]).is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
    }

    fn slot(&self, signal: i32) -> Option<&Slot> {
        self.slots.get(usize::try_from(signal).ok()?)
    }

    /// Makes this the node of a `Signals` of the calling process that writes to `fd`. Nothing is watched yet.
    pub(crate) fn adopt(&self, fd: RawFd) {
        self.fd.store(fd, Ordering::Relaxed);
        self.owner.store(process::id(), Ordering::Relaxed);
    }

    /// Whether the node belongs to the calling process, and not to one that forked it.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == process::id()
    }

    /// Lets deliveries of `signal` in; none is counted yet.
    pub(crate) fn watch(&self, signal: i32) {
        if let Some(slot) = self.slot(signal) {
            slot.count.store(0, Ordering::Relaxed);
            // Publishes `fd` and `owner` with it.
            slot.watched.store(true, Ordering::SeqCst);
        }
    }

    /// Lets no more deliveries of `signal` in. One may still be under way.
    pub(crate) fn unwatch(&self, signal: i32) {
        if let Some(slot) = self.slot(signal) {
            slot.watched.store(false, Ordering::SeqCst);
        }
    }

    pub(crate) fn watches(&self, signal: i32) -> bool {
        self.slot(signal)
            .is_some_and(|slot| slot.watched.load(Ordering::Relaxed))
    }

    /// Takes the deliveries of `signal` that were counted.
    pub(crate) fn take(&self, signal: i32) -> u32 {
        self.slot(signal)
            .map_or(0, |slot| slot.count.swap(0, Ordering::Acquire))
    }

    /// Takes the node out of service. Afterwards no handler uses its descriptor (invariant 4). Whether it can be used
    /// again (invariant 5).
    pub(crate) fn retire(&self) -> Retired {
        for slot in &self.slots {
            slot.watched.store(false, Ordering::SeqCst);
        }
        let reusable = self.is_ours();
        // Handlers in other threads; one that interrupts this loop runs to its end before the next look.
        while reusable && self.busy.load(Ordering::SeqCst) != 0 {
            thread::yield_now();
        }
        self.disown();
        if reusable {
            Retired::Reusable
        } else {
            Retired::Inherited
        }
    }

    /// Makes the node belong to no process.
    pub(crate) fn disown(&self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
    }
}

/// What becomes of a node that was taken out of service.
pub(crate) enum Retired {
    /// It can serve another `Signals`.
    Reusable,
    /// It came with `fork` and stays out of service.
    Inherited,
}

/// Has `before` called before every `fork` of the process, and `parent` and `child` after it.
pub(crate) fn around_fork(before: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the functions are part of the program for as long as it runs and do not unwind. What the child calls
    // touches only atomics and a lock that its own thread took in `before`.
    match unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNAL: i32 = 10;

    /// A node outside the list, which no handler walks to.
    fn node() -> Node {
        let node = Node::new(None);
        node.adopt(-1);
        node.watch(SIGNAL);
        node
    }

    #[test]
    fn a_node_is_not_retired_while_a_handler_is_in_it() {
        let node = node();
        node.busy.store(1, Ordering::SeqCst);
        thread::scope(|scope| {
            let retiring = scope.spawn(|| node.retire());
            while node.watches(SIGNAL) {
                thread::yield_now();
            }
            for _ in 0..1_000 {
                thread::yield_now();
                assert!(!retiring.is_finished());
            }
            node.busy.store(0, Ordering::SeqCst);
            assert!(matches!(retiring.join().unwrap(), Retired::Reusable));
        });
        assert!(!node.is_ours());
    }

    #[test]
    fn an_inherited_node_is_retired_at_once_and_for_good() {
        let node = node();
        // As `fork` leaves it, with a handler in it that the child does not have.
        node.busy.store(1, Ordering::SeqCst);
        node.disown();
        assert!(matches!(node.retire(), Retired::Inherited));
        assert!(!node.watches(SIGNAL));
    }

    #[test]
    fn a_handler_turns_away_from_what_is_not_its_own() {
        let node = node();
        node.disown();
        // It would write to a descriptor that is not open, and count.
        node.deliver(SIGNAL, process::id());
        node.deliver(SIGNAL + 1, process::id());
        node.deliver(-1, process::id());
        assert_eq!(node.take(SIGNAL), 0);
        assert_eq!(node.busy.load(Ordering::SeqCst), 0);
    }
}
