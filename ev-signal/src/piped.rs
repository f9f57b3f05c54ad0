//! A receiver behind the handler: a node of the table, and the pipe that the handler writes to.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ev_sys::fdio;
use ev_sys::pipe::{Pipe, PipeFlags, pipe};

use crate::SignalError;
use crate::handler::Node;
use crate::registry::{self, Registry};

pub(crate) struct Piped {
    node: &'static Node,
    pipe: Pipe,
    watched: BTreeSet<i32>,
}

impl Piped {
    pub(crate) fn new() -> io::Result<Self> {
        let pipe = open()?;
        registry::watch_forks()?;
        let node = Registry::lock().acquire(pipe.writer.as_raw_fd());
        Ok(Self {
            node,
            pipe,
            watched: BTreeSet::new(),
        })
    }

    pub(crate) fn watch(&mut self, signal: i32) -> Result<(), SignalError> {
        if self.watched.contains(&signal) {
            return Err(SignalError::AlreadyWatched(signal));
        }
        let mut registry = Registry::lock();
        // Before the handler is installed, so that it finds a watcher the first time it runs.
        self.node.watch(signal);
        if let Err(error) = registry.install(signal) {
            self.node.unwatch(signal);
            return Err(error);
        }
        self.watched.insert(signal);
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, signal: i32) -> Result<(), SignalError> {
        if !self.watched.contains(&signal) {
            return Err(SignalError::NotWatched(signal));
        }
        let mut registry = Registry::lock();
        // The old action first: what comes between the two steps is dropped with the count, but had its handler.
        registry.uninstall(signal, self.node)?;
        self.node.unwatch(signal);
        self.watched.remove(&signal);
        Ok(())
    }

    pub(crate) fn drain(&mut self, mut deliver: impl FnMut(i32, u32)) -> io::Result<()> {
        if !self.node.is_ours() {
            // The bytes are the parent's.
            return Ok(());
        }
        // The pipe first. The handler counts before it writes, so whoever has read its byte finds its count; the other
        // way round, a count that came between the two steps would be left behind without a byte.
        let emptied = fdio::drain(self.pipe.reader.as_fd());
        for &signal in &self.watched {
            let times = self.node.take(signal);
            if times != 0 {
                deliver(signal, times);
            }
        }
        emptied
    }

    pub(crate) fn reinit(&mut self) -> io::Result<()> {
        let new = open()?;
        let mut registry = Registry::lock();
        let node = registry.acquire(self.pipe.writer.as_raw_fd());
        registry.release(std::mem::replace(&mut self.node, node));
        fdio::replace(&self.pipe.reader, new.reader)?;
        fdio::replace(&self.pipe.writer, new.writer)?;
        for &signal in &self.watched {
            self.node.watch(signal);
        }
        let installed = self.watched.iter().try_for_each(|&signal| registry.install(signal));
        if installed.is_err() {
            for &signal in &self.watched {
                self.node.unwatch(signal);
            }
        }
        Ok(installed?)
    }
}

fn open() -> io::Result<Pipe> {
    pipe(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)
}

impl AsFd for Piped {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.reader.as_fd()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let mut registry = Registry::lock();
        for &signal in &self.watched {
            // The kernel gave out this very action, so it has no reason to refuse it.
            let _ = registry.uninstall(signal, self.node);
        }
        // The pipe is closed after this.
        registry.release(self.node);
    }
}

impl fmt::Debug for Piped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piped")
            .field("pipe", &self.pipe)
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}
