//! The process-wide table: whose handler is installed, what it replaced, which signals are read from a signalfd instead,
//! and which nodes are free.
//!
//! Signals are global to the process, and so is this table.
//!
//! # Invariants
//!
//! 1. `replaced` has an entry for exactly the signals whose action this crate has installed and not yet taken back.
//! 2. Every signal that a `Signals` of this process watches through the handler has an entry.
//! 3. `claimed` holds the signals that a `Signals` of this process reads from a signalfd. No other `Signals` of this
//!    process watches them, by either method: a signal that is read from a signalfd reaches nobody else.
//! 4. `free` holds nodes of this process that were retired, each once.
//! 5. Whoever holds the table has all signals held off: a handler of the program's own that forks would else wait, in
//!    `before_fork`, for a lock of its own thread.
//! 6. `fork` holds the table: a child inherits it unlocked and whole. To that end nobody locks it before
//!    [`watch_forks`] has returned once.
//!
//! # The fork that is under way when forks begin to be watched
//!
//! Such a fork does not call `before_fork`. It need not: C libraries keep their list of fork functions locked from when
//! they have called the last of them until the fork is over, so [`watch_forks`] waits for the fork, and the table is
//! locked only afterwards. One gap is left, and not in reach of this crate: where another library has a fork function of
//! its own, glibc (2.36 and later) opens the list while that function runs. If another thread makes the first `Signals`
//! of the process in this very time, the child may inherit the table locked, and would wait for ever in its own first
//! use of this crate. A program that makes its first `Signals` before its other threads fork does not have the gap.

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ev_sys::signal::{self, Action, SigSet};

use crate::SignalError;
use crate::handler::{self, Node, Retired};

static TABLE: Mutex<Table> = Mutex::new(Table {
    replaced: BTreeMap::new(),
    claimed: BTreeSet::new(),
    free: Vec::new(),
});

pub(crate) struct Table {
    replaced: BTreeMap<i32, Action>,
    claimed: BTreeSet<i32>,
    free: Vec<&'static Node>,
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
    /// Locks the table. [`watch_forks`] has returned before (invariant 6).
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
    pub(crate) fn acquire(&mut self, fd: RawFd) -> &'static Node {
        let node = self.table.free.pop().unwrap_or_else(Node::publish);
        node.adopt(fd);
        node
    }

    /// Takes a node out of service: its descriptor can be closed afterwards.
    pub(crate) fn release(&mut self, node: &'static Node) {
        match node.retire() {
            Retired::Reusable => self.table.free.push(node),
            Retired::Inherited => {}
        }
    }

    /// Installs the handler, unless that was done before.
    pub(crate) fn install(&mut self, signal: i32) -> Result<(), SignalError> {
        if self.table.claimed.contains(&signal) {
            return Err(SignalError::NotShared(signal));
        }
        if let Entry::Vacant(entry) = self.table.replaced.entry(signal) {
            let replaced = handler::action().install(signal).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => SignalError::NoSuchSignal(signal),
                _ => error.into(),
            })?;
            entry.insert(replaced);
        }
        Ok(())
    }

    /// Restores what the handler replaced, unless another node of this process than `node` watches the signal.
    pub(crate) fn uninstall(&mut self, signal: i32, node: &Node) -> io::Result<()> {
        if watching(signal).any(|other| !std::ptr::eq(other, node)) {
            return Ok(());
        }
        if let Some(replaced) = self.table.replaced.get(&signal) {
            handler::restore(replaced, signal)?;
            self.table.replaced.remove(&signal);
        }
        Ok(())
    }

    /// Claims all of the signals for one `Signals`, which reads them from a signalfd; or none of them, if another
    /// watches one.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn claim(&mut self, signals: impl Iterator<Item = i32> + Clone) -> Result<(), SignalError> {
        let claimed = &mut self.table.claimed;
        let taken = |signal: &i32| claimed.contains(signal) || watching(*signal).next().is_some();
        if let Some(signal) = signals.clone().find(taken) {
            return Err(SignalError::NotShared(signal));
        }
        claimed.extend(signals);
        Ok(())
    }

    /// Gives up what [`Self::claim`] claimed.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn disclaim(&mut self, signals: impl Iterator<Item = i32>) {
        for signal in signals {
            self.table.claimed.remove(&signal);
        }
    }
}

/// The nodes of this process that watch `signal`.
fn watching(signal: i32) -> impl Iterator<Item = &'static Node> {
    handler::nodes().filter(move |node| node.watches(signal) && node.is_ours())
}

/// Has every later `fork` hold the table. Call it before the table is first locked (invariant 6).
///
/// There is no lock around this: a child could inherit it. So several threads may come here at a time, and the functions
/// may be called several times around a fork, of which one is as good as another.
pub(crate) fn watch_forks() -> io::Result<()> {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if !WATCHED.load(Ordering::Acquire) {
        handler::around_fork(before_fork, after_fork_in_parent, after_fork_in_child)?;
        WATCHED.store(true, Ordering::Release);
    }
    Ok(())
}

thread_local! {
    /// The table, held from before a `fork` by this thread until after it.
    static HELD_OVER_FORK: Cell<Option<Registry>> = const { Cell::new(None) };
}

// A thread that forks while it is being torn down has no `HELD_OVER_FORK` any more and forks without the table.

extern "C" fn before_fork() {
    let _ = HELD_OVER_FORK.try_with(|held| {
        let registry = held.take().unwrap_or_else(Registry::lock);
        held.set(Some(registry));
    });
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
            // Those that inherited the claims make them again, if they are ever used here.
            registry.table.claimed.clear();
        }
    });
}
