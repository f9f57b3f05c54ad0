//! A receiver that reads pending signals from a signalfd.
//!
//! # Invariants
//!
//! While `process` is the calling process:
//!
//! 1. `fd` reads exactly the signals in `watched`, and the registry has them claimed.
//! 2. `thread` holds them off, and those with `unblock` it did not before they were watched.
//!
//! In a child of `process`, before `reinit`, the open file behind `fd` is the parent's: its set is left alone, and nothing
//! is claimed. What is watched then is noted only.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;
use std::thread::{self, ThreadId};

use ev_sys::fdio;
use ev_sys::signal::{self, SigSet};
use ev_sys::signalfd::{self, Record, SignalFdFlags};

use crate::SignalError;
use crate::registry::{self, Registry};

#[derive(Debug)]
pub(crate) struct SignalFd {
    fd: OwnedFd,
    process: u32,
    /// Of no meaning while nothing is watched.
    thread: ThreadId,
    watched: BTreeMap<i32, Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Whether the signal is let through again when it is not watched any more.
    unblock: bool,
    /// Deliveries that were read and not yet handed on.
    read: u32,
}

impl SignalFd {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = open(&SigSet::empty())?;
        registry::watch_forks()?;
        Ok(Self {
            fd,
            process: process::id(),
            thread: thread::current().id(),
            watched: BTreeMap::new(),
        })
    }

    pub(crate) fn watch(&mut self, signal: i32) -> Result<(), SignalError> {
        if self.watched.contains_key(&signal) {
            return Err(SignalError::AlreadyWatched(signal));
        }
        let mut set = self.set();
        set.insert(signal).map_err(|_| SignalError::NoSuchSignal(signal))?;
        let mut unblock = false;
        if self.is_ours() {
            if self.watched.is_empty() {
                self.thread = thread::current().id();
            }
            self.check_thread(signal)?;
            Registry::lock().claim([signal].into_iter())?;
            // Before the descriptor reads it: what comes between the two steps waits.
            unblock = !signal::block(&set_of([signal])).contains(signal);
            if let Err(error) = signalfd::set(self.fd.as_fd(), &set) {
                if unblock {
                    signal::unblock(&set_of([signal]));
                }
                Registry::lock().disclaim([signal].into_iter());
                return Err(error.into());
            }
        }
        self.watched.insert(signal, Watched { unblock, read: 0 });
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, signal: i32) -> Result<(), SignalError> {
        let Some(&watched) = self.watched.get(&signal) else {
            return Err(SignalError::NotWatched(signal));
        };
        if self.is_ours() {
            self.check_thread(signal)?;
            let rest = self.watched.keys().copied().filter(|&other| other != signal);
            signalfd::set(self.fd.as_fd(), &set_of(rest))?;
            Registry::lock().disclaim([signal].into_iter());
        }
        if self.is_here() {
            let_through(signal, watched);
        }
        self.watched.remove(&signal);
        Ok(())
    }

    pub(crate) fn drain(&mut self, mut deliver: impl FnMut(i32, u32)) -> io::Result<()> {
        if !self.is_ours() {
            // What is pending here is kept until `reinit`.
            return Ok(());
        }
        let emptied = self.read();
        for (&signal, watched) in &mut self.watched {
            let times = std::mem::take(&mut watched.read);
            if times != 0 {
                deliver(signal, times);
            }
        }
        emptied
    }

    fn read(&mut self) -> io::Result<()> {
        let mut records = [Record::default(); 16];
        loop {
            match signalfd::read(self.fd.as_fd(), &mut records) {
                Ok(n) => {
                    for record in &records[..n] {
                        if let Some(watched) = self.watched.get_mut(&record.signal()) {
                            watched.read = watched.read.saturating_add(1);
                        }
                    }
                    if n < records.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn reinit(&mut self) -> io::Result<()> {
        let inherited = !self.is_ours();
        if !inherited && let Some(&signal) = self.watched.keys().next() {
            self.check_thread(signal)?;
        }
        let set = self.set();
        let new = open(&set)?;
        if inherited {
            Registry::lock().claim(self.watched.keys().copied())?;
        }
        if let Err(error) = fdio::replace(&self.fd, new) {
            if inherited {
                Registry::lock().disclaim(self.watched.keys().copied());
            }
            return Err(error);
        }
        // If another thread of the parent watched, its mask is not the one that was inherited.
        let here = self.is_here();
        let before = signal::block(&set);
        for (&signal, watched) in &mut self.watched {
            watched.unblock = !before.contains(signal) || here && watched.unblock;
            watched.read = 0;
        }
        self.process = process::id();
        self.thread = thread::current().id();
        Ok(())
    }

    /// Whether the receiver serves the calling process, and not one that forked it.
    fn is_ours(&self) -> bool {
        self.process == process::id()
    }

    /// Whether the calling thread is the one that watched, or its copy in a child.
    fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }

    fn check_thread(&self, signal: i32) -> Result<(), SignalError> {
        if self.is_here() {
            Ok(())
        } else {
            Err(SignalError::OtherThread(signal))
        }
    }

    fn set(&self) -> SigSet {
        set_of(self.watched.keys().copied())
    }
}

fn open(set: &SigSet) -> io::Result<OwnedFd> {
    signalfd::create(set, SignalFdFlags::NONBLOCK | SignalFdFlags::CLOEXEC)
}

fn set_of(signals: impl IntoIterator<Item = i32>) -> SigSet {
    let mut set = SigSet::empty();
    for signal in signals {
        // `watch` has found it to be a signal.
        let inserted = set.insert(signal);
        debug_assert!(inserted.is_ok(), "{signal} was watched");
    }
    set
}

/// Makes the calling thread's mask what it was for `signal`.
fn let_through(signal: i32, watched: Watched) {
    let set = set_of([signal]);
    // What was not drained is dropped. Let through, it would have its action, and mostly end the process.
    while let Ok(Some(_)) = signal::take_pending(&set) {}
    if watched.unblock {
        signal::unblock(&set);
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SignalFd {
    fn drop(&mut self) {
        if self.is_ours() {
            Registry::lock().disclaim(self.watched.keys().copied());
        }
        if self.is_here() {
            for (&signal, &watched) in &self.watched {
                let_through(signal, watched);
            }
        }
    }
}
