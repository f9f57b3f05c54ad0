//! The process-wide table: whose handler is installed, what it replaced, and which nodes are free.
//!
//! Signals are global to the process, and so is this table; it is the only global of the workspace.
//!
//! # Invariants
//!
//! 1. `replaced` has an entry for exactly the signals whose action this crate has installed and not yet taken back.
//! 2. Every signal that a `Signals` of this process watches has an entry.
//! 3. `free` holds nodes of this process that were retired, each once.
//! 4. Whoever holds the table has all signals held off: a handler of the program's own that forks would else wait, in
//!    `before_fork`, for a lock of its own thread.
//! 5. `fork` holds the table: a child inherits it unlocked and whole.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ev_sys::signal::{self, Action, SigSet};

use crate::handler::{self, Node, Retired};

static TABLE: Mutex<Table> = Mutex::new(Table {
    replaced: BTreeMap::new(),
    free: Vec::new(),
    fork_is_watched: false,
});

pub(crate) struct Table {
    replaced: BTreeMap<i32, Action>,
    free: Vec<&'static Node>,
    fork_is_watched: bool,
}

/// The table, locked.
pub(crate) struct Registry {
    // Dropped in this order: unlocked first, then signals again.
    table: MutexGuard<'static, Table>,
    _held_off: HeldOff,
}

/// All signals, held off by this thread.
struct HeldOff {
    mask_before: SigSet,
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        signal::set_mask(&self.mask_before);
    }
}

impl Registry {
    pub(crate) fn lock() -> Self {
        let held_off = HeldOff {
            mask_before: signal::block(&SigSet::full()),
        };
        // Nothing panics half-way through a change of the table.
        let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            table,
            _held_off: held_off,
        }
    }

    /// A node for a `Signals` of this process whose pipe is written by `fd`.
    pub(crate) fn acquire(&mut self, fd: RawFd) -> io::Result<&'static Node> {
        if !self.table.fork_is_watched {
            handler::around_fork(before_fork, after_fork_in_parent, after_fork_in_child)?;
            self.table.fork_is_watched = true;
        }
        let node = self.table.free.pop().unwrap_or_else(Node::publish);
        node.adopt(fd);
        Ok(node)
    }

    /// Takes a node out of service: its descriptor can be closed afterwards.
    pub(crate) fn release(&mut self, node: &'static Node) {
        match node.retire() {
            Retired::Reusable => self.table.free.push(node),
            Retired::Inherited => {}
        }
    }

    /// Installs the handler, unless that was done before.
    pub(crate) fn install(&mut self, signal: i32) -> io::Result<()> {
        if let Entry::Vacant(entry) = self.table.replaced.entry(signal) {
            entry.insert(handler::action().install(signal)?);
        }
        Ok(())
    }

    /// Restores what the handler replaced, unless another node of this process than `node` watches the signal.
    pub(crate) fn uninstall(&mut self, signal: i32, node: &Node) -> io::Result<()> {
        let wanted =
            handler::nodes().any(|other| !std::ptr::eq(other, node) && other.watches(signal) && other.is_ours());
        if wanted {
            return Ok(());
        }
        if let Some(replaced) = self.table.replaced.get(&signal) {
            handler::restore(replaced, signal)?;
            self.table.replaced.remove(&signal);
        }
        Ok(())
    }
}

thread_local! {
    /// The table, held from before a `fork` by this thread until after it.
    static HELD_OVER_FORK: Cell<Option<Registry>> = const { Cell::new(None) };
}

// A thread that forks while it is being torn down has no `HELD_OVER_FORK` any more and forks without the table.

extern "C" fn before_fork() {
    let _ = HELD_OVER_FORK.try_with(|held| held.set(Some(Registry::lock())));
}

extern "C" fn after_fork_in_parent() {
    let _ = HELD_OVER_FORK.try_with(Cell::take);
}

extern "C" fn after_fork_in_child() {
    // Before any handler can run here: the signals are still held off.
    handler::nodes().for_each(Node::disown);
    let _ = HELD_OVER_FORK.try_with(|held| {
        if let Some(mut registry) = held.take() {
            registry.table.free.clear();
        }
    });
}
